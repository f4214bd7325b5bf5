"""A question of equivalence: from a table or maps to an answer in words."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom.inference import words
from ekbom.inference.answer import Answer
from ekbom.inference.columns import chosen, effect_columns
from ekbom.inference.equivalence import Tost, checked_bounds, half_width, tost
from ekbom.inference.glm import Fit, fit
from ekbom.inference.kinds import Ask
from ekbom.inference.multiple import holm
from ekbom.inference.onmaps import Grid, image, usable_maps
from ekbom.inference.question import Question, common_meta, design_table, labels
from ekbom.inference.question import ask as ask_effect
from ekbom.inference.regions import _notes, _values_table
from ekbom.inference.retest import checked
from ekbom.inference.settings import Settings
from ekbom.nouns import Column, Table

_IN = {"g": "standard deviations", "percent": "%"}


def answer_equivalence(
    ask: Ask,
    values: NDArray[np.floating[Any]],
    names: list[str],
    unit: str,
    table: pd.DataFrame,
    settings: Settings,
    outcome: str,
    grid: Grid | None = None,
) -> Answer:
    """Answer whether an effect is small enough to be called absent.

    Parameters
    ----------
    ask, values, names, unit, table, settings, outcome, grid
        As in :func:`~ekbom.inference.kinds.answer_kind`.

    Returns
    -------
    Answer
        Table ``regions`` with the interval, both tests and the smallest bound that would
        pass, region by region; over voxels one row for the whole mask, and maps.

    Raises
    ------
    Refused
        No bounds, bounds on a scale that the effect has not, or what is wrong with the model.
    """
    bounds = checked_bounds(ask.bounds, ask.bounds_in)
    question = ask_effect(table, str(ask.formula), str(ask.test), unit, settings)
    kept = np.asarray(values)[question.design.kept]
    tally: dict[str, int] | None = None
    if grid is None:
        kept = checked(values, names, table)[question.design.kept]
        notes = _notes(kept, question.design)
    else:
        kept, grid, counted = usable_maps(kept, grid, settings)
        tally, notes = counted.as_dict(), ["n/a"] * kept.shape[1]
    tested = np.array([note == "n/a" for note in notes])
    found = fit(np.where(tested, kept, 0.0), question.model)
    asked, made = question.effect, question.model
    result = tost(found, made, asked, bounds, ask.bounds_in, settings.alpha)
    scale = question.effect_unit if ask.bounds_in == "outcome" else _IN[ask.bounds_in]
    warnings = list(question.warnings)
    warnings += [f"{n} was not tested: {note}." for n, note in zip(names, notes, strict=False)
                 if note != "n/a"]  # fmt: skip
    least = half_width(found, made, settings.alpha)
    about = _About(question, ask, bounds, scale, least, outcome, found, result, settings)
    meta = common_meta(question, found, None, warnings, outcome, "")
    meta |= {
        "kind": "equivalence", "bounds": list(bounds), "bounds_in": ask.bounds_in,
        "bounds_unit": scale, "half_width_sd": least, "alpha": settings.alpha,
        "effect_unit": scale,
        "references": words.references("schuirmann1987", "berger1982", "holm1979",
                                       *(["fieller1954"] if ask.bounds_in == "percent" else [])),
    }  # fmt: skip
    if grid is None:
        frame = _frame(about, names, notes, tested, kept)
        everywhere = bool(frame["p"].max() <= settings.alpha) and bool(tested.all())
        meta |= {
            "everywhere": everywhere,
            "smallest_everywhere": float(np.nanmax(frame["smallest_bound"])),
            "regions": [n for n, ok in zip(names, tested, strict=True) if ok],
        }
        tables: tuple[Table, ...] = (
            Table("regions", frame, _columns(about, frame)),
            _values_table(question.design, kept, names, unit),
            design_table(question.design, asked, made),
        )
        return Answer("equivalence", asked.name, tables, (), _methods(about),
                      _results(about, frame, warnings), meta)  # fmt: skip
    frame = _whole(about, kept)
    meta |= {
        "mask": tally, "space": grid.space, "voxels": int(grid.mask.sum()),
        "everywhere": bool(frame["p"].iloc[0] <= settings.alpha),
        "smallest_everywhere": float(frame["smallest_bound"].iloc[0]),
    }  # fmt: skip
    log_p = -np.log10(np.maximum(result.p, 1e-300))
    maps = (
        image(grid, "beta", result.value, scale, asked.meaning),
        image(grid, "ci90low", result.low, scale, "lower limit of the 1 - 2 alpha interval"),
        image(grid, "ci90high", result.high, scale, "upper limit of the 1 - 2 alpha interval"),
        image(grid, "smallestbound", result.smallest, scale, "smallest bound that would pass"),
        image(grid, "pmap-tost", log_p, "-log10 p", "two one-sided tests, uncorrected"),
        image(grid, "mask", np.ones(kept.shape[1]), "", "voxels that were tested"),
    )
    tables = (
        Table("regions", frame, _columns(about, frame)),
        design_table(question.design, asked, made),
    )
    return Answer("equivalence", asked.name, tables, maps, _methods(about, grid),
                  _results(about, frame, warnings, grid), meta)  # fmt: skip


class _About:
    """What frame and words are made of."""

    def __init__(
        self,
        question: Question,
        ask: Ask,
        bounds: tuple[float, float],
        scale: str,
        least: float,
        outcome: str,
        found: Fit,
        result: Tost,
        settings: Settings,
    ) -> None:
        self.question, self.ask, self.bounds, self.scale = question, ask, bounds, scale
        self.least, self.outcome, self.found, self.result = least, outcome, found, result
        self.settings = settings

    @property
    def percent(self) -> int:
        """Coverage of the interval that belongs to the tests."""
        return round(100 * (1 - 2 * self.settings.alpha))


def _row(about: _About, j: int) -> dict[str, Any]:
    found, result = about.found, about.result
    return {
        "effect": result.value[j], "unit": about.scale,
        "ci_low": result.low[j], "ci_high": result.high[j],
        "bound_low": about.bounds[0], "bound_high": about.bounds[1],
        "smallest_bound": result.smallest[j],
        "t": found.statistic[j], "df": found.df,
        "p_low": result.p_low[j], "p_high": result.p_high[j], "p": result.p[j],
    }  # fmt: skip


def _frame(
    about: _About,
    names: list[str],
    notes: list[str],
    tested: NDArray[np.bool_],
    kept: NDArray[np.floating[Any]],
) -> pd.DataFrame:
    difference = about.found.p("two-sided")
    rows = []
    for j, name in enumerate(names):
        row = {"region": name, "n": about.question.model.n, "mean": float(np.mean(kept[:, j]))}
        row |= _row(about, j) if tested[j] else {}
        rows.append({**row, "p_difference": difference[j] if tested[j] else math.nan,
                     "note": notes[j]})  # fmt: skip
    frame = pd.DataFrame(rows)
    place = list(frame.columns).index("p") + 1
    frame.insert(place, "p_holm", holm(frame["p"].to_numpy(float)))
    passed = frame["p_holm"] <= about.settings.alpha
    alone = frame["p"] <= about.settings.alpha
    verdict = np.where(passed, "equivalent", np.where(alone, "equivalent alone", "not shown"))
    frame.insert(place + 1, "verdict", np.where(tested, verdict, "not tested"))
    return frame


def _whole(about: _About, kept: NDArray[np.floating[Any]]) -> pd.DataFrame:
    """Return one row: the voxel that decides whether the claim holds everywhere."""
    result, alpha = about.result, about.settings.alpha
    worst = int(np.nanargmax(result.p))
    voxels = kept.shape[1]
    alone = int((result.p <= alpha).sum())
    corrected = int((result.p * voxels <= alpha).sum())
    row: dict[str, Any] = {
        "region": "everywhere in the mask", "n": about.question.model.n, "voxels": voxels,
    }  # fmt: skip
    row |= _row(about, worst)
    row |= {
        "smallest_bound": float(np.nanmax(result.smallest)),
        "voxels_alone": alone, "voxels_corrected": corrected,
        "verdict": "equivalent" if result.p[worst] <= alpha else "not shown", "note": "n/a",
    }  # fmt: skip
    return pd.DataFrame([row])


def _columns(about: _About, frame: pd.DataFrame) -> dict[str, Column]:
    q, scale, pc = about.question, about.scale, about.percent
    base = effect_columns(q.unit, scale, pc, labels(q))
    base |= {
        "ci_low": Column(f"Lower limit of the {pc} % interval, which the tests look at", scale),
        "ci_high": Column(f"Upper limit of the {pc} % interval", scale),
        "bound_low": Column("Lower bound of equivalence, from the plan", scale),
        "bound_high": Column("Upper bound of equivalence, from the plan", scale),
        "smallest_bound": Column("Smallest symmetric bound that would pass", scale),
        "p_low": Column("p of the one-sided test that the effect is above the lower bound"),
        "p_high": Column("p of the one-sided test that the effect is below the upper bound"),
        "p": Column("p of equivalence: the larger of both"),
        "p_holm": Column("The same corrected over the regions by Holm"),
        "verdict": Column(
            "What is shown",
            levels={
                "equivalent": "within the bounds, corrected over regions",
                "equivalent alone": "within the bounds if this region alone had been asked about",
                "not shown": "neither equivalence nor a difference follows from this",
            },
        ),
        "p_difference": Column("p of the usual test that there is a difference, uncorrected"),
        "voxels": Column("Voxels tested"),
        "voxels_alone": Column("Voxels within the bounds at alpha, uncorrected"),
        "voxels_corrected": Column("Voxels within the bounds, corrected by Bonferroni"),
    }
    return chosen(base, frame.columns)


def _bounds(about: _About) -> str:
    low, high = about.bounds
    if low == -high:
        return f"{words.number(high)} {about.scale} either way"
    return f"{words.number(low)} to {words.number(high)} {about.scale}"


def _methods(about: _About, grid: Grid | None = None) -> str:
    q, alpha = about.question, about.settings.alpha
    out = [
        f"{words.named(about.outcome, q.unit)} of {q.model.n} participants was modelled by "
        f"least squares as `{q.design.formula}`. Equivalence of `{q.effect.name}` "
        f"({q.effect.meaning}) within bounds set in the plan ({_bounds(about)}) was "
        f"tested by two one-sided tests at {alpha:g} each with {q.model.df} residual degrees "
        f"of freedom, which is to ask whether the {about.percent} % interval lies "
        "between the bounds."
    ]
    if about.ask.bounds_in == "g":
        out.append("The interval of the standardised effect inverts the noncentral t distribution.")
    if about.ask.bounds_in == "percent":
        out.append("The interval of the percentage is Fieller's.")
    out.append(
        "That the effect is nowhere larger than the bounds is an intersection-union claim: every "
        + ("voxel" if grid is not None else "region")
        + " must pass at this level, and no further correction is needed; "
        + ("single voxels were corrected by Bonferroni." if grid is not None
           else "claims about single regions were corrected by Holm's method.")
    )  # fmt: skip
    out.append(
        f"Half the {about.percent} % interval of this design is {about.least:.2f} standard "
        "deviations, so that no narrower bounds could have been passed save by a lucky sample."
    )
    return " ".join(out)


def _results(
    about: _About, frame: pd.DataFrame, warnings: list[str], grid: Grid | None = None
) -> str:
    q, alpha, name = about.question, about.settings.alpha, f"`{about.question.effect.name}`"
    good = frame[frame["note"] == "n/a"]
    what = "voxel" if grid is not None else "region"
    m = int(good["voxels"].iloc[0]) if grid is not None else len(good)
    worst = good.sort_values("smallest_bound", kind="stable").iloc[-1]
    smallest = words.number(float(worst["smallest_bound"]))
    everywhere = bool((good["p"] <= alpha).all())
    out = []
    if everywhere:
        out.append(
            f"{name} lies within {_bounds(about)} in {'all ' if m > 1 else ''}"
            f"{words.count(m, what)} (largest p = {words.p_text(float(good['p'].max()))}): "
            "equivalence is shown."
        )
    else:
        passed = (
            int(good["voxels_corrected"].iloc[0]) if grid is not None
            else int((good["p_holm"] <= alpha).sum())
        )  # fmt: skip
        out.append(
            f"Equivalence of {name} within {_bounds(about)} is not shown everywhere: "
            f"{passed} of {words.count(m, what)} pass after correction."
        )
    if grid is None:
        for _, row in good.iterrows():
            out.append(
                f"{row['region']}: {words.number(row['effect'])} {about.scale} ({about.percent} % "
                f"CI {words.number(row['ci_low'])} to {words.number(row['ci_high'])}), p of "
                f"equivalence {words.p_text(row['p_holm'])} (alone {words.p_text(row['p'])}), "
                f"smallest bound {words.number(row['smallest_bound'])}."
            )
        different = good[good["p_difference"] <= alpha]
        if len(different):
            out.append(
                f"The usual test finds a difference ({alpha:g}, uncorrected) in "
                f"{', '.join(different['region'])}; an effect can differ from 0 and still be small."
            )
    where = f", in {worst['region']}" if grid is None and m > 1 else ""
    out.append(
        f"The smallest bound that would pass everywhere is {smallest} {about.scale}{where}; a "
        "bound chosen after seeing this would prove nothing."
    )
    bound = min(abs(about.bounds[0]), abs(about.bounds[1]))
    if not everywhere:
        out.append("What does not pass is not shown to differ either.")
    if about.ask.bounds_in == "g" and bound < about.least:
        out.append(
            f"With {q.model.n} participants half the interval is {about.least:.2f} standard "
            f"deviations: equivalence within {bound:g} could hardly have been shown at all."
        )
    return " ".join(out + warnings)
