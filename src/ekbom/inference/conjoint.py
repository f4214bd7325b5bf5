"""A question of conjunction: over regions or voxels, to an answer in words."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.inference import words
from ekbom.inference.answer import Answer
from ekbom.inference.conjunction import (
    GlobalNull,
    check_orthogonal,
    conjunction_p,
    correlation_of,
    least_statistic,
)
from ekbom.inference.glm import Fit, fit
from ekbom.inference.kinds import Ask
from ekbom.inference.multiple import holm
from ekbom.inference.onmaps import PEAK_COLUMNS, Grid, image, peak_rows, usable_maps
from ekbom.inference.permute.engine import Permuted, permute
from ekbom.inference.question import Question, design_table
from ekbom.inference.question import ask as ask_effect
from ekbom.inference.regions import _notes, _values_table
from ekbom.inference.retest import checked
from ekbom.inference.searched import field_of
from ekbom.inference.settings import Settings
from ekbom.inference.tails import p_of_t
from ekbom.nouns import Column, Table


def answer_conjunction(
    ask: Ask,
    values: NDArray[np.floating[Any]],
    names: list[str],
    unit: str,
    table: pd.DataFrame,
    settings: Settings,
    outcome: str,
    grid: Grid | None = None,
) -> Answer:
    """Answer whether several effects are at the same place.

    Parameters
    ----------
    ask, values, names, unit, table, settings, outcome, grid
        As in :func:`~ekbom.inference.kinds.answer_kind`.

    Returns
    -------
    Answer
        Table ``regions`` (or ``peaks``) with the least statistic, p of it, and every effect
        beside; maps over voxels.

    Raises
    ------
    Refused
        An F effect; effects of different strata; the global null for effects that are not
        orthogonal, or by permutation.
    """
    questions = [ask_effect(table, str(ask.formula), test, unit, settings) for test in ask.tests]
    first = questions[0]
    _alike(questions)
    names_of = [q.effect.name for q in questions]
    if ask.null == "global":
        check_orthogonal([q.model for q in questions], names_of)
        if settings.method in ("max-t", "tfce"):
            raise Refused(
                "The global null is tested by distributions, not by permutation.",
                field="inference.method",
                found=settings.method,
                expected="parametric or rft",
                mend='leave method out, or use null = "conjunction"',
            )
    kept = np.asarray(values)[first.design.kept]
    tally: dict[str, int] | None = None
    notes = ["n/a"] * len(names)
    if grid is None:
        kept = checked(values, names, table)[first.design.kept]
        notes = _notes(kept, first.design)
    else:
        kept, grid, counted = usable_maps(kept, grid, settings)
        tally = counted.as_dict()
    good = np.array([n == "n/a" for n in notes]) if grid is None else np.ones(kept.shape[1], bool)
    rows = np.ascontiguousarray(kept[:, good])
    fits = [fit(rows, q.model) for q in questions]
    t = np.array([f.statistic for f in fits])
    least, way = least_statistic(t, settings.sign)
    permuted: list[Permuted] = []
    extra: dict[str, Any] = {}
    if ask.null == "conjunction":
        p, corrected, how, permuted = _conjunction(questions, fits, rows, least, way, settings)
        if settings.method == "rft" and grid is not None:
            corrected, how = _by_field(first, fits[0], rows, grid, least, None) or (holm(p), "Holm")
    else:
        tails = 2 if settings.sign == "two-sided" else 1
        null = GlobalNull("T", (float(fits[0].df),), len(questions), tails)
        p = null.p_many(np.abs(least))
        corrected, how = holm(p), "Holm"
        if grid is not None:
            corrected, how = _by_field(first, fits[0], rows, grid, least, null) or (corrected, how)
            corrected = np.minimum(corrected, np.minimum(p * len(p), 1.0))
        extra["shared_variance"] = fits[0].df < 30
    r = correlation_of([q.model for q in questions])
    warnings = list(dict.fromkeys(w for q in questions for w in q.warnings))
    if extra.get("shared_variance"):
        warnings.append(
            f"With {fits[0].df} degrees of freedom the effects depend on each other through the "
            "shared estimate of the variance, which the random field takes no account of."
        )
    effect = " and ".join(names_of)
    meta: dict[str, Any] = {
        "kind": "conjunction", "outcome": outcome, "unit": unit, "effect": effect,
        "effects": names_of, "null": ask.null, "formula": ask.formula, "n": first.model.n,
        "df": fits[0].df, "sign": settings.sign, "alpha": settings.alpha,
        "correlation_of_estimates": np.round(r, 6).tolist(), "corrected": how,
        "method": settings.method, "warnings": warnings,
        "references": words.references("nichols2005" if ask.null == "conjunction"
                                       else "friston1999", "holm1979"),
    }  # fmt: skip
    if permuted:
        plan = permuted[0].plan
        meta |= {"permutations": plan.n, "exhaustive": plan.exhaustive, "seed": plan.seed}
    frame = _frame(ask, questions, fits, least, p, corrected)
    about = (ask, questions, outcome, settings, how, permuted)
    if grid is None:
        full = pd.DataFrame({"region": names, "n": first.model.n})
        for column in frame:
            full[column] = np.full(len(names), np.nan)
            full.loc[good, column] = frame[column].to_numpy()
        full["note"] = notes
        meta["regions"] = [n for n, ok in zip(names, good, strict=True) if ok]
        tables: tuple[Table, ...] = (
            Table("regions", full, _columns(ask, questions, full, how)),
            _values_table(first.design, kept, names, unit),
            design_table(first.design, first.effect, first.model),
        )
        return Answer("conjunction", effect, tables, (), _methods(*about),
                      _results(full[full["note"] == "n/a"], warnings, *about), meta)  # fmt: skip
    passed = corrected <= settings.alpha
    level = float(np.abs(least[passed]).min()) * (1 - 1e-9) if passed.any() else math.inf
    listed = peak_rows(grid, least, level, connectivity=settings.connectivity)
    peaks = pd.DataFrame(
        [{**where, **frame.iloc[v].to_dict(), "selected": True} for v, where in listed]
    )
    meta |= {
        "mask": tally, "space": grid.space, "voxels": len(least), "significant": int(passed.sum())
    }  # fmt: skip
    maps = [
        image(grid, "stat-min", least, "", "least t of the effects, 0 where signs differ",
              df=fits[0].df),
        image(grid, "pmap-fweConjunction", -np.log10(np.maximum(corrected, 1e-300)), "-log10 p",
              f"{ask.null} null, corrected: {how}"),
        image(grid, "mask", np.ones(len(least)), "", "voxels that were tested"),
    ]  # fmt: skip
    maps += [image(grid, f"stat-t{k + 1}", row, "", f"t of {name}", df=fits[0].df)
             for k, (row, name) in enumerate(zip(t, names_of, strict=True))]  # fmt: skip
    tables = (
        Table("peaks", peaks, _columns(ask, questions, peaks, how)),
        design_table(first.design, first.effect, first.model),
    )
    return Answer("conjunction", effect, tables, tuple(maps), _methods(*about),
                  _results(peaks, warnings, *about, meta=meta), meta)  # fmt: skip


def _alike(questions: list[Question]) -> None:
    for q in questions:
        if q.model.kind != "t":
            raise Refused("A conjunction joins differences and slopes.", field="tests",
                          found=f"{q.effect.name}, an F test", expected="t effects")  # fmt: skip
    strata = {q.model.stratum for q in questions}
    if len(strata) > 1:
        raise Refused(
            "The effects are not of one kind: some compare people, some sessions of a person.",
            field="tests",
            found=", ".join(f"{q.effect.name} ({q.model.stratum})" for q in questions),
            expected="effects of the same rows",
            mend="ask about each apart",
        )


def _conjunction(
    questions: list[Question],
    fits: list[Fit],
    rows: NDArray[np.floating[Any]],
    least: NDArray[np.float64],
    way: NDArray[np.int64],
    settings: Settings,
) -> tuple[NDArray[np.float64], NDArray[np.float64], str, list[Permuted]]:
    """Return p, corrected p, how it was corrected and the permutations."""
    # a shared direction is asked of either sign, so each effect is tested two-sided
    each = np.array([p_of_t(f.statistic, f.dfs, settings.sign) for f in fits])
    p = np.where(way == 0, 1.0, conjunction_p(each))
    if settings.method not in ("max-t", "tfce"):
        return p, holm(p), "Holm", []
    done = []
    for q in questions:
        how = replace(settings, method="max-t")
        done.append(permute(rows, q.model, how, blocks=q.blocks))
    # each null speaks of its own effect; the least statistic is held against all of them
    reach = np.abs(least)
    corrected = conjunction_p(
        np.array([
            [float((one.maxima >= v - 1e-6 * max(1.0, v)).mean()) for v in reach] for one in done
        ])
    )  # fmt: skip
    return p, np.where(way == 0, 1.0, corrected), "largest statistic by permutation", done


def _by_field(
    question: Question,
    found: Fit,
    rows: NDArray[np.floating[Any]],
    grid: Grid,
    least: NDArray[np.float64],
    null: GlobalNull | None,
) -> tuple[NDArray[np.float64], str] | None:
    """Return p corrected by the random field, None where the maps are too rough for it."""
    field = field_of(rows, question, found, grid.mask, grid.affine)
    if field.space is None:
        return None
    space = field.space
    out = np.ones(len(least))
    for v in np.flatnonzero(np.abs(least) > 1.0):
        u = abs(float(least[v]))
        if null is None:
            out[v] = space.p_peak(u)[0]
        else:
            out[v] = -math.expm1(-max(null.expected(u, space.resels), 0.0))
    return out, "random field or Bonferroni, whichever is less"


def _frame(
    ask: Ask,
    questions: list[Question],
    fits: list[Fit],
    least: NDArray[np.float64],
    p: NDArray[np.float64],
    corrected: NDArray[np.float64],
) -> pd.DataFrame:
    out: dict[str, Any] = {"min_t": least, "df": float(fits[0].df), "p": p, "p_conj": corrected}
    for k, (q, f) in enumerate(zip(questions, fits, strict=True), 1):
        out |= {f"effect_{k}": f.estimate[0], f"se_{k}": f.se, f"t_{k}": f.statistic,
                f"p_{k}": f.p(q.settings.sign)}  # fmt: skip
    return pd.DataFrame(out)


def _columns(
    ask: Ask, questions: list[Question], frame: pd.DataFrame, how: str
) -> dict[str, Column]:
    base = {
        **PEAK_COLUMNS,
        "region": Column("Region, with its segmentation"),
        "n": Column("Participants"),
        "min_t": Column("Least t of the effects; 0 where they do not share a direction"),
        "df": Column("Residual degrees of freedom"),
        "p": Column(f"p of the {ask.null} null, uncorrected"),
        "p_conj": Column(f"p of the {ask.null} null, corrected ({how})"),
        "note": Column("Why a region was not tested, else n/a"),
    }
    for k, q in enumerate(questions, 1):
        base |= {
            f"effect_{k}": Column(f"Estimate of {q.effect.name}", q.effect_unit),
            f"se_{k}": Column("Its standard error", q.effect_unit),
            f"t_{k}": Column(f"t of {q.effect.name}"),
            f"p_{k}": Column("Its p, uncorrected"),
        }
    return {name: base[name] for name in frame.columns}


def _methods(
    ask: Ask,
    questions: list[Question],
    outcome: str,
    settings: Settings,
    how: str,
    permuted: list[Permuted],
) -> str:
    q = questions[0]
    listed = ", ".join(f"`{one.effect.name}`" for one in questions)
    out = [
        f"{words.named(outcome, q.unit)} of {q.model.n} participants was modelled by least "
        f"squares as `{q.design.formula}`. The least t of {listed} was tested "
        f"({settings.sign}; effects that do not share a direction count as 0)."
    ]
    if ask.null == "conjunction":
        out.append(
            "The null is that at least one of the effects is absent, so that the least statistic "
            "is held against the usual threshold of each effect: every effect must be significant "
            "alone."
        )
    else:
        out.append(
            "The null is that none of the effects is there. Their estimates are uncorrelated in "
            "this design."
        )
    out.append(f"Correction: {how}.")
    if permuted:
        plan = permuted[0].plan
        out.append(
            f"{plan.n} relabellings of each effect after Freedman and Lane"
            + (", all there are." if plan.exhaustive else f", seed {plan.seed}.")
        )
    return " ".join(out)


def _results(
    frame: pd.DataFrame,
    warnings: list[str],
    ask: Ask,
    questions: list[Question],
    outcome: str,
    settings: Settings,
    how: str,
    permuted: list[Permuted],
    *,
    meta: dict[str, Any] | None = None,
) -> str:
    alpha = settings.alpha
    good = frame[frame["p_conj"] <= alpha].sort_values("p_conj", kind="stable")
    every = f"all of {', '.join(q.effect.name for q in questions)}"
    some = f"at least one of {', '.join(q.effect.name for q in questions)} (not which, nor all)"
    claim = every if ask.null == "conjunction" else some
    out = []
    if meta is not None:
        out.append(
            f"{meta['significant']} of {meta['voxels']} voxels are significant at {alpha:g}, "
            f"corrected."
        )
    elif len(good):
        out.append(f"{len(good)} of {words.count(len(frame), 'region')} significant at {alpha:g}.")
    for _, row in good.head(8).iterrows():
        name = row.get("region")
        if name is None:
            name = f"{row['label']} ({row['x']:g}, {row['y']:g}, {row['z']:g} mm)"
        out.append(
            f"{name}: least t({row['df']:.0f}) = {row['min_t']:.2f}, p = "
            f"{words.p_text(row['p_conj'])}."
        )
    if len(good):
        out.append(f"There {claim} {'are' if ask.null == 'conjunction' else 'is'} shown.")
    else:
        best = frame.sort_values("p_conj", kind="stable").iloc[0]
        out.append(
            f"Nowhere is {claim} shown (smallest corrected p {words.p_text(best['p_conj'])}); "
            "that does not show the effects to be absent."
        )
    return " ".join(out + warnings)
