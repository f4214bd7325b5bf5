"""A question over regions: from a table of values to an answer in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.inference import words
from ekbom.inference.answer import Answer
from ekbom.inference.columns import WHO, chosen, effect_columns, influence_columns
from ekbom.inference.correlation import influence_of, scored
from ekbom.inference.design import Design
from ekbom.inference.effects import Size, effect_sizes, paired_percent
from ekbom.inference.exactregions import exact_columns
from ekbom.inference.glm import Fit
from ekbom.inference.influence import Influence
from ekbom.inference.multiple import benjamini_hochberg, bonferroni, holm
from ekbom.inference.permute.engine import Permuted, permute
from ekbom.inference.permute.tail import TAIL, tail_p
from ekbom.inference.prepare import SESSION
from ekbom.inference.question import (
    Question,
    ask,
    common_meta,
    design_table,
    labels,
    least,
    p_of,
    size_columns,
)
from ekbom.inference.retest import checked
from ekbom.inference.settings import Settings
from ekbom.nouns import Column, Table


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
    _possible(settings)
    values = checked(values, names, table)
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
    scores, tested_model, found = scored(whole, question)
    permuted = (
        permute(
            np.ascontiguousarray(scores[:, tested]),
            tested_model,
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
    left_out = influence_of(whole, scores, question, tested_model)
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
            if short is None:
                continue
            full = np.full(len(names), np.nan)
            full[tested] = short
            corrected[column] = full
        if settings.tail and not permuted.plan.exhaustive:
            toward = {"two-sided": np.abs, "positive": np.positive, "negative": np.negative}
            seen = toward[settings.sign](found.statistic)
            tail = tail_p(
                permuted.maxima, seen, corrected["p_maxT"], settings.seed, settings.interval
            )
            corrected |= dict(zip(TAIL, tail, strict=True))
    if settings.exact:
        corrected |= exact_columns(kept, tested, question)
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
        question.unit, question.effect_unit, round(100 * settings.interval), labels(question)
    )
    return Table("regions", frame, chosen(meanings, frame.columns))


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
        p = p_of(found, left_out.statistic[:, j], left_out.df, sign)
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


def _possible(settings: Settings) -> None:
    """Refuse what needs neighbours or maps."""
    for field, value, allowed in (
        ("method", settings.method, ("parametric", "max-t")),
        ("variance", settings.variance, ("equal",)),
        ("scaling", settings.scaling, ("none",)),
    ):
        if value not in allowed:
            raise Refused(
                f"inference.{field} = {value!r} is for maps: regions have no neighbours.",
                field=f"inference.{field}",
                found=value,
                expected=" or ".join(allowed),
                mend='use one of these, or ask over = "voxels"',
            )
