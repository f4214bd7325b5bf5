"""A question over regions: from a table of values to an answer in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.inference import words
from ekbom.inference.answer import Answer
from ekbom.inference.balance import balance, variance_inflation
from ekbom.inference.columns import (
    WHO,
    chosen,
    effect_columns,
    influence_columns,
    reliability_columns,
)
from ekbom.inference.design import SESSION, Design, build_design, normalised
from ekbom.inference.effects import Size, effect_sizes, paired_percent
from ekbom.inference.formula import PARTICIPANT
from ekbom.inference.glm import Fit, fit
from ekbom.inference.influence import Influence, influence
from ekbom.inference.multiple import benjamini_hochberg, bonferroni, holm
from ekbom.inference.named import Effect, effect
from ekbom.inference.permute.engine import Permuted, permute
from ekbom.inference.reliability import as_row, reliability, sessions_of
from ekbom.inference.settings import Settings
from ekbom.inference.strata import Model, model
from ekbom.inference.tails import p_of_t
from ekbom.nouns import Column, Table


@dataclass(frozen=True)
class Question:
    """A question taken apart: what regions and voxels have in common."""

    design: Design
    effect: Effect
    model: Model
    settings: Settings
    blocks: NDArray[Any] | None
    unit: str
    effect_unit: str
    warnings: tuple[str, ...]


def ask(table: pd.DataFrame, formula: str, test: str, unit: str, settings: Settings) -> Question:
    """Build design, effect and model of a question.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a scan.
    formula, test : str
        Model and named effect.
    unit : str
        Unit of the outcome.
    settings : Settings
        Choices.

    Returns
    -------
    Question
        All that fitting needs.
    """
    design = build_design(formula, table, settings)
    asked = effect(design, test)
    if asked.kind == "F" and settings.sign != "two-sided":
        raise Refused(
            f"{asked.name!r} is tested by F, which has no sign.",
            field="inference.sign",
            found=settings.sign,
            expected="two-sided",
            mend="ask for a difference or a slope, or remove the sign",
        )
    made = model(design, asked)
    blocks = _blocks(table, design, made, settings)
    warnings = balance(design, made)
    effect_unit = f"{unit} per unit of {asked.over}" if asked.quantity == "slope" else unit
    return Question(design, asked, made, settings, blocks, unit, effect_unit, tuple(warnings))


def answer_regions(
    values: NDArray[np.floating[Any]],
    names: Sequence[str],
    unit: str,
    table: pd.DataFrame,
    formula: str,
    test: str,
    settings: Settings | None = None,
    outcome: str = "V_T",
    *,
    workers: int = 1,
) -> Answer:
    """Answer a question over regions.

    Parameters
    ----------
    values : (n, V) float
        One row a scan, one column a region; NaN where a region was not measured.
    names : sequence of str, length V
        Regions: together the family over which p is corrected.
    unit : str
        Unit of the values.
    table : pandas.DataFrame
        n rows: ``participant``, perhaps ``session``, and the names of the formula.
    formula : str
        Model, for example ``"~ irls_total + age"``.
    test : str
        Named effect, for example ``"irls_total"``.
    settings : Settings, optional
        Method, permutations, seed, level, sign.
    outcome : str
        What the values are, for the words.
    workers : int
        Threads of the permutation; the answer does not depend on them.

    Returns
    -------
    Answer
        Tables ``regions``, ``values``, ``influence``, ``design``; words; meta.

    Raises
    ------
    Refused
        For what is wrong with formula, effect, table or values, by name.
    """
    settings = settings or Settings()
    values = _checked(values, names, table)
    question = ask(table, formula, test, unit, settings)
    design, asked, made = question.design, question.effect, question.model
    kept = values[design.kept]
    notes = _notes(kept, design)
    tested = np.array([note == "n/a" for note in notes])
    warnings = [*question.warnings]
    warnings += [
        f"{name} was not tested: {note}."
        for name, note in zip(names, notes, strict=True)
        if note != "n/a"
    ]
    if not tested.any():
        raise Refused(
            "No region has a value in everybody.",
            field="regions",
            found="; ".join(f"{n}: {note}" for n, note in zip(names, notes, strict=True))[:400],
            expected="at least one complete region",
            mend="leave people with missing values out by `among`, or choose other regions",
        )
    whole = np.where(tested, kept, 0.0)
    found = fit(whole, made)
    permuted = (
        permute(
            np.ascontiguousarray(kept[:, tested]),
            made,
            settings,
            blocks=question.blocks,
            each=True,
            workers=workers,
        )
        if settings.method == "max-t"
        else None
    )
    if permuted is not None:
        warnings += words.few_relabellings(permuted.plan, settings)
    left_out = influence(whole, made, found)
    regions = _region_table(question, names, notes, tested, kept, found, permuted, left_out)
    meta = _meta(question, found, permuted, warnings, names, tested, outcome)
    tables = (
        regions,
        _values_table(design, kept, names, unit),
        _influence_table(question, names, tested, found, left_out),
        design_table(design, asked, made),
    )
    facts = words.Facts(question, outcome, regions.frame, permuted, tuple(warnings), "regions")
    return Answer(
        "regions", asked.name, tables, (), words.methods(facts), words.results(facts), meta
    )


def answer_reliability(
    values: NDArray[np.floating[Any]],
    names: Sequence[str],
    unit: str,
    table: pd.DataFrame,
    settings: Settings | None = None,
    outcome: str = "V_T",
) -> Answer:
    """Answer how reliable regional numbers are, from two or more sessions a person.

    Parameters
    ----------
    values : (n, V) float
        One row a scan, one column a region.
    names : sequence of str, length V
        Regions.
    unit : str
        Unit of the values.
    table : pandas.DataFrame
        n rows with ``participant`` and ``session``.
    settings : Settings, optional
        Interval, bootstrap draws, seed.
    outcome : str
        What the values are, for the words.

    Returns
    -------
    Answer
        Tables ``regions`` and ``values``; words; meta.

    Raises
    ------
    Refused
        Fewer than two persons or sessions; a session held twice.
    """
    settings = settings or Settings()
    values = _checked(values, names, table)
    frame = normalised(table)
    if SESSION not in frame:
        raise Refused(
            "Reliability needs sessions, and the table has none.",
            field="session",
            found=", ".join(map(str, frame.columns)),
            expected="a column session",
            mend="include the retest scans",
        )
    people, sessions, index, dropped = sessions_of(frame)
    percent = round(100 * settings.interval)
    rows = []
    for j, name in enumerate(names):
        y = values[:, j].astype(float)[index]
        good = np.isfinite(y).all(axis=1)
        missing = [p for p, g in zip(people, good, strict=True) if not g]
        row: dict[str, Any] = {"region": name, "unit": unit, "note": "n/a"}
        if missing:
            row["note"] = "no value in " + ", ".join(missing)
        if good.sum() >= 2:
            row |= as_row(
                reliability(
                    y[good],
                    interval=settings.interval,
                    bootstrap=settings.bootstrap,
                    seed=settings.seed,
                )
            )
        else:
            row |= {"n": int(good.sum()), "k": len(sessions)}
        rows.append(row)
    meanings = reliability_columns(unit, percent, sessions[0], sessions[1])
    order = [c for c in _RELIABILITY if c in meanings]
    regions = pd.DataFrame(rows).reindex(columns=order)
    flat = index.ravel()
    shown = pd.DataFrame(
        {
            "participant_id": frame[PARTICIPANT].iloc[flat].to_numpy(),
            "session_id": frame[SESSION].iloc[flat].to_numpy(),
        }
    )
    shown = pd.concat([shown, pd.DataFrame(values[flat], columns=list(names))], axis=1)
    warnings = [f"Left out: {reason}." for reason in dropped]
    meta = {
        "kind": "reliability",
        "outcome": outcome,
        "unit": unit,
        "n": len(people),
        "participants": people,
        "sessions": sessions,
        "interval": settings.interval,
        "bootstrap": settings.bootstrap,
        "seed": settings.seed,
        "dropped": dropped,
        "warnings": warnings,
        "references": words.references("mcgraw1996", "bland1986", "efron1993"),
    }
    tables = (
        Table("regions", regions, chosen(meanings, order)),
        Table("values", shown, {**WHO, **{n: Column(outcome, unit) for n in names}}),
    )
    methods, results = words.reliability_words(regions, meta)
    return Answer("reliability", "test-retest", tables, (), methods, results, meta)


_RELIABILITY = (
    "region", "n", "k", "mean", "unit",
    "trt", "trt_low", "trt_high",
    "icc31", "icc31_low", "icc31_high", "icc11", "icc11_low", "icc11_high",
    "bias", "bias_low", "bias_high",
    "loa_low", "loa_low_low", "loa_low_high", "loa_high", "loa_high_low", "loa_high_high",
    "sd_within", "sd_within_low", "sd_within_high", "sd_between", "cv_within",
    "ms_rows", "ms_columns", "ms_error", "ms_within", "note",
)  # fmt: skip


def size_columns(size: Size, joint: bool) -> dict[str, float]:
    """Return the columns of an effect's size."""
    if joint:
        low, high = size.partial_r2_ci
        return {
            "partial_r2": size.partial_r2, "partial_r2_low": low, "partial_r2_high": high
        }  # fmt: skip
    return {
        "percent": size.percent, "percent_low": size.percent_ci[0],
        "percent_high": size.percent_ci[1],
        "g": size.g, "g_low": size.g_ci[0], "g_high": size.g_ci[1],
        "r": size.r, "r_low": size.r_ci[0], "r_high": size.r_ci[1],
    }  # fmt: skip


def least(found: Fit, left_out: Influence, v: int, sign: str) -> tuple[float, float, str]:
    """Return the statistic nearest to none when one person is left out, its p and who it is."""
    column = left_out.statistic[:, v]
    if not np.isfinite(column).any():
        return math.nan, math.nan, "n/a"
    toward = column * np.sign(found.statistic[v]) if found.kind == "t" else column
    who = int(np.nanargmin(toward))
    stat, df = float(column[who]), int(left_out.df[who])
    return stat, float(_p(found, np.array([stat]), df, sign)[0]), left_out.people[who]


def _p(found: Fit, stat: NDArray[np.float64], df: Any, sign: str) -> NDArray[np.float64]:
    if found.kind == "t":
        return p_of_t(stat, df, sign)
    from ekbom.inference.tails import log_sf_f

    return np.asarray(np.exp(log_sf_f(stat, found.df1, df)))


def _region_table(
    question: Question,
    names: Sequence[str],
    notes: Sequence[str],
    tested: NDArray[np.bool_],
    kept: NDArray[np.floating[Any]],
    found: Fit,
    permuted: Permuted | None,
    left_out: Influence,
) -> Table:
    settings, asked, made = question.settings, question.effect, question.model
    p = np.where(tested, found.p(settings.sign), np.nan)
    corrected: dict[str, NDArray[np.float64]] = {
        "p": p, "p_holm": holm(p), "p_bonf": bonferroni(p), "p_fdr": benjamini_hochberg(p)
    }  # fmt: skip
    if permuted is not None:
        for column, short in (("p_perm", permuted.p_uncorrected), ("p_maxT", permuted.p_corrected)):
            full = np.full(len(names), np.nan)
            full[tested] = short if short is not None else np.nan
            corrected[column] = full
    z = found.z
    rows = []
    for j, name in enumerate(names):
        row: dict[str, Any] = {"region": name, "n": made.n}
        row |= _means_of(question, kept[:, j])
        if found.kind == "t":
            size = effect_sizes(found, made, asked, j, settings.interval) if tested[j] else Size()
            row |= {
                "effect": found.estimate[0, j], "unit": question.effect_unit, "se": found.se[j],
                "ci_low": size.ci[0], "ci_high": size.ci[1], "t": found.statistic[j],
            }  # fmt: skip
        else:
            size = effect_sizes(found, made, asked, j, settings.interval) if tested[j] else Size()
            row |= {"F": found.statistic[j], "df1": found.df1}
        row |= {"df": found.df, "z": z[j]}
        row |= {column: value[j] for column, value in corrected.items()}
        columns = size_columns(size, found.kind == "F")
        if found.kind == "t" and made.stratum == "within" and tested[j]:
            columns |= _within_percent(question, kept[:, j], float(found.estimate[0, j]))
        row |= columns
        stat, p_least, who = least(found, left_out, j, settings.sign)
        row |= {"loo_stat": stat, "loo_p": p_least, "loo_subject": who, "note": notes[j]}
        if not tested[j]:
            for column in ("effect", "se", "t", "F", "z", "loo_stat", "loo_p"):
                if column in row:
                    row[column] = math.nan
            row["loo_subject"] = "n/a"
        rows.append(row)
    frame = pd.DataFrame(rows)
    for group in (("g", "g_low", "g_high"), ("percent", "percent_low", "percent_high")):
        if group[0] in frame and frame[list(group)].isna().all(axis=None):
            frame = frame.drop(columns=list(group))
    meanings = effect_columns(
        question.unit, question.effect_unit, round(100 * settings.interval), _labels(question)
    )
    return Table("regions", frame, chosen(meanings, frame.columns))


def _labels(question: Question) -> dict[str, str]:
    asked = question.effect
    out = {"effect": asked.meaning}
    if len(asked.levels) == 2:
        out["a"], out["b"] = asked.levels
    out["g"] = {
        "within": "change over the standard deviation of the change",
        "persons": "difference over the residual standard deviation",
        "between": "difference over the residual standard deviation of persons",
    }[question.model.stratum]
    return out


def _level_rows(question: Question) -> list[NDArray[np.bool_]]:
    asked, design = question.effect, question.design
    if asked.quantity != "difference" or asked.over is None or len(asked.levels) != 2:
        return []
    column = design.table[asked.over].astype(str).to_numpy()
    return [column == level for level in asked.levels]


def _means_of(question: Question, y: NDArray[np.floating[Any]]) -> dict[str, float]:
    sides = _level_rows(question)
    if not sides:
        return {"mean": float(np.mean(y))}
    people = np.array(question.design.participants)
    out: dict[str, float] = {}
    for side in "ab":
        rows = sides["ab".index(side)]
        out[f"n_{side}"] = len(set(people[rows]))
        out[f"mean_{side}"] = float(np.mean(y[rows]))
        out[f"sd_{side}"] = float(np.std(y[rows], ddof=1))
    return out


def _within_percent(
    question: Question, y: NDArray[np.floating[Any]], estimate: float
) -> dict[str, float]:
    """Return the change in per cent when the estimate is the plain mean change, else nothing."""
    sides = _level_rows(question)
    if not sides:
        return {}
    block = question.design.blocks
    one = all((np.bincount(block[side], minlength=question.model.n) == 1).all() for side in sides)
    if not one:
        return {}
    after, before = (y[side][np.argsort(block[side])].astype(float) for side in sides)
    if abs(float((after - before).mean()) - estimate) > 1e-8 * float(np.abs(y).max()):
        return {}
    percent, (low, high) = paired_percent(after, before, question.settings.interval)
    return {"percent": percent, "percent_low": low, "percent_high": high}


def _influence_table(
    question: Question,
    names: Sequence[str],
    tested: NDArray[np.bool_],
    found: Fit,
    left_out: Influence,
) -> Table:
    sign = question.settings.sign
    rows = []
    for j in np.flatnonzero(tested).tolist():
        p = _p(found, left_out.statistic[:, j], left_out.df, sign)
        for i, person in enumerate(left_out.people):
            rows.append(
                {
                    "region": names[j],
                    "participant_id": person,
                    "effect_without": left_out.estimate[i, j] if found.kind == "t" else math.nan,
                    "stat_without": left_out.statistic[i, j],
                    "df_without": int(left_out.df[i]),
                    "p_without": p[i],
                    "dfbetas": left_out.dfbetas[i, j],
                    "cook": left_out.cook[i, j],
                }
            )
    frame = pd.DataFrame(rows)
    return Table("influence", frame, influence_columns(question.effect_unit, found.kind))


def _values_table(
    design: Design, kept: NDArray[np.floating[Any]], names: Sequence[str], unit: str
) -> Table:
    frame = pd.DataFrame({"participant_id": design.participants, "session_id": design.sessions})
    shown = design.table.drop(columns=[c for c in (SESSION,) if c in design.table])
    frame = pd.concat(
        [frame, shown.reset_index(drop=True), pd.DataFrame(kept, columns=list(names))], axis=1
    )
    meanings = dict(WHO)
    for column in shown.columns:
        meanings[str(column)] = Column("Covariate or factor, as it was read")
    meanings |= {name: Column("Value of the region", unit) for name in names}
    return Table("values", frame, meanings)


def design_table(design: Design, asked: Effect, made: Model) -> Table:
    """Return the matrix of a design with its rows named, and the effect as contrast."""
    frame = pd.DataFrame({"participant_id": design.participants, "session_id": design.sessions})
    matrix = pd.DataFrame(design.matrix, columns=list(design.columns))
    vif = variance_inflation(design)
    meanings = dict(WHO)
    for column in design.columns:
        word = f", variance inflation {vif[column]:.2f}" if column in vif else ""
        meanings[column] = Column(f"Column of the model{word}")
    meta = {
        "formula": design.formula,
        "terms": list(design.terms),
        "effect": asked.name,
        "contrast": np.round(asked.matrix, 12).tolist(),
        "columns": list(design.columns),
        "centring": design.centre,
        "means": dict(design.means),
        "stratum": made.stratum,
        "sha256": design.digest(),
    }
    return Table("design", pd.concat([frame, matrix], axis=1), meanings, meta)


def _meta(
    question: Question,
    found: Fit,
    permuted: Permuted | None,
    warnings: Sequence[str],
    names: Sequence[str],
    tested: NDArray[np.bool_],
    outcome: str,
) -> dict[str, Any]:
    meta = common_meta(question, found, permuted, warnings, outcome)
    meta["kind"] = "regions"
    meta["regions"] = [n for n, ok in zip(names, tested, strict=True) if ok]
    meta["regions_not_tested"] = [n for n, ok in zip(names, tested, strict=True) if not ok]
    return meta


def common_meta(
    question: Question,
    found: Fit,
    permuted: Permuted | None,
    warnings: Sequence[str],
    outcome: str,
) -> dict[str, Any]:
    """Return what the sidecars of any answer say."""
    design, asked, made, settings = (
        question.design, question.effect, question.model, question.settings
    )  # fmt: skip
    out: dict[str, Any] = {
        "outcome": outcome,
        "unit": question.unit,
        "effect_unit": question.effect_unit,
        "formula": design.formula,
        "effect": asked.name,
        "meaning": asked.meaning,
        "quantity": asked.quantity,
        "levels": list(asked.levels),
        "statistic": found.kind,
        "n": made.n,
        "rows": design.n,
        "participants": list(made.people),
        "df": found.df,
        "df1": found.df1,
        "stratum": made.stratum,
        "sign": settings.sign if found.kind == "t" else "none (F)",
        "alpha": settings.alpha,
        "interval": settings.interval,
        "method": settings.method,
        "centring": design.centre,
        "means": dict(design.means),
        "design_sha256": design.digest(),
        "dropped": list(design.dropped),
        "warnings": list(warnings),
        "references": words.references(*words.cited(question, permuted)),
    }
    if permuted is not None:
        plan = permuted.plan
        out |= {
            "permutations": plan.n,
            "possible": plan.possible,
            "exhaustive": plan.exhaustive,
            "exchange": plan.mode,
            "seed": plan.seed,
            "threshold": permuted.threshold if math.isfinite(permuted.threshold) else None,
        }
    return out


def _checked(
    values: NDArray[np.floating[Any]], names: Sequence[str], table: pd.DataFrame
) -> NDArray[np.floating[Any]]:
    values = np.asarray(values)
    if values.dtype != np.float32:
        values = values.astype(np.float64)
    if values.ndim != 2 or values.shape != (len(table), len(names)):
        raise ValueError(f"values {values.shape} for {len(table)} rows and {len(names)} regions")
    if len(set(names)) != len(names):
        twice = next(n for n in names if list(names).count(n) > 1)
        raise Refused(
            f"The region {twice} stands twice in the question.",
            field="regions",
            found=twice,
            expected="each region once",
            mend="remove one",
        )
    return values


def _notes(kept: NDArray[np.floating[Any]], design: Design) -> list[str]:
    """Say of each region why it cannot be tested; ``n/a`` when it can."""
    notes = []
    who = np.array(design.participants)
    for y in kept.T:
        bad = ~np.isfinite(y)
        if bad.any():
            people = list(dict.fromkeys(who[bad]))
            notes.append("no value in " + ", ".join(people))
        elif np.ptp(y.astype(float)) <= 1e-12 * np.abs(y).max():
            notes.append("the same value in everybody")
        else:
            notes.append("n/a")
    return notes


def _blocks(
    table: pd.DataFrame, design: Design, made: Model, settings: Settings
) -> NDArray[Any] | None:
    """Return the blocks of exchange, by row of the model."""
    name = settings.blocks
    if name is None or name in (PARTICIPANT, "participant_id"):
        return None
    if name not in table:
        raise Refused(
            f"There is no column {name} for blocks of exchange.",
            field="inference.blocks",
            found=name,
            expected=", ".join(map(str, table.columns)),
            mend="correct the name",
        )
    column = table[name].astype(str).to_numpy()[design.kept]
    if made.stratum == "within":
        return None  # sessions are exchanged within persons, who lie inside the blocks
    if made.stratum == "persons":
        return column
    first = np.array([np.flatnonzero(design.blocks == b)[0] for b in range(made.n)])
    if any(len(set(column[design.blocks == b])) > 1 for b in range(made.n)):
        raise Refused(
            f"{name} changes within participants, and the effect is between them.",
            field="inference.blocks",
            found=name,
            expected="a column that is constant within participants",
            mend="use another column",
        )
    return np.asarray(column[first])
