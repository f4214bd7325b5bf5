"""A question of power: what this design could show, on its own covariance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from ekbom.errors import Refused
from ekbom.inference import words
from ekbom.inference.answer import Answer
from ekbom.inference.glm import fit, residuals
from ekbom.inference.kinds import Ask
from ekbom.inference.onmaps import Grid, image, usable_maps
from ekbom.inference.power import (
    Drawn,
    detectable_shift,
    draw,
    people_needed,
    power_of_t,
)
from ekbom.inference.question import Question, common_meta, design_table
from ekbom.inference.question import ask as ask_effect
from ekbom.inference.regions import _notes
from ekbom.inference.retest import checked
from ekbom.inference.settings import Settings
from ekbom.nouns import Column, Table

_BUDGET = 4e10
"""Multiplications that the draws may take."""
DEFAULTS = {"g": (0.2, 0.5, 0.8, 1.2), "r": (0.1, 0.3, 0.5, 0.7)}


@dataclass(frozen=True)
class Threshold:
    """A way of testing: the statistic that must be passed."""

    name: str
    meaning: str
    critical: float
    low: float = math.nan
    high: float = math.nan


def answer_power(
    ask: Ask,
    values: NDArray[np.floating[Any]],
    names: list[str],
    unit: str,
    table: pd.DataFrame,
    settings: Settings,
    outcome: str,
    grid: Grid | None = None,
) -> Answer:
    """Answer what a design can find.

    Parameters
    ----------
    ask, values, names, unit, table, settings, outcome, grid
        As in :func:`~ekbom.inference.kinds.answer_kind`.

    Returns
    -------
    Answer
        Tables ``power`` (sizes by ways of testing, simulated beside analytic, people
        needed), ``regions`` (smallest size found with the wished power, in units of the
        outcome too), ``design``; a map of that size over voxels.

    Raises
    ------
    Refused
        An F effect; sizes on a scale that the effect has not; what is wrong with the model.
    """
    question = ask_effect(table, str(ask.formula), str(ask.test), unit, settings)
    if question.model.kind != "t":
        raise Refused(
            "Power is asked of one difference or slope.",
            field="test",
            found=f"{question.effect.name}, an F test",
            expected="a t effect",
        )
    scale = ask.sizes_in or ("r" if question.effect.quantity == "slope" else "g")
    _scale(question, scale)
    kept = np.asarray(values)[question.design.kept]
    tally: dict[str, int] | None = None
    notes: list[str] = []
    if grid is None:
        kept = checked(values, names, table)[question.design.kept]
        notes = _notes(kept, question.design)
        good = np.array([note == "n/a" for note in notes])
        kept, names = kept[:, good], [n for n, ok in zip(names, good, strict=True) if ok]
        if not names:
            raise Refused("No region has a value in everybody.", field="regions",
                          found="; ".join(notes)[:300])  # fmt: skip
    else:
        kept, grid, counted = usable_maps(kept, grid, settings)
        tally = counted.as_dict()
    found = fit(kept, question.model)
    e = residuals(kept, question.model)
    m, v = e.shape
    draws = int(max(200, min(settings.permutations, _BUDGET / (m * m * v))))
    drawn = draw(e, question.model, draws, settings.seed, settings.sign)
    ways = _ways(question, drawn, v, grid is not None)
    per_unit = float(np.median(found.sigma))
    sizes = ask.sizes or DEFAULTS.get(scale, ())
    if not sizes:
        raise Refused("Sizes in units of the outcome must be named.", field="sizes",
                      found="nothing", expected="numbers, sizes = [1, 2]")  # fmt: skip
    rows = _power_rows(question, ask, ways, drawn, sizes, scale, per_unit)
    power = pd.DataFrame(rows)
    regions = _region_rows(question, ask, ways, names, found.sigma, grid is not None)
    warnings = list(question.warnings)
    meta = common_meta(question, found, None, warnings, outcome, "")
    meta |= {
        "kind": "power", "sizes_in": scale, "power": ask.power, "draws": draws,
        "seed": settings.seed, "method": "simulation and noncentral t",
        "thresholds": {w.name: w.critical for w in ways},
        "detectable": {
            w.name: _in_scale(question, scale, _least(question, ask, w)) for w in ways
            if scale != "outcome"
        },
        "references": words.references("cohen1988", "worsley1996") if grid is not None
        else words.references("cohen1988"),
    }  # fmt: skip
    maps: tuple[Any, ...] = ()
    if grid is not None:
        meta |= {"mask": tally, "space": grid.space, "voxels": v}
        least = [_least(question, ask, w) * _error(question) * found.sigma for w in ways]
        maps = tuple(
            image(grid, f"detectable-{w.name.replace('-', '')}", size, question.effect_unit,
                  f"size found with power {ask.power:g}, {w.meaning}")
            for w, size in zip(ways, least, strict=True)
        )  # fmt: skip
    about = (question, ask, ways, power, scale, draws, settings, v, grid is not None)
    tables = (
        Table("regions", regions, _region_columns(question, ask)),
        Table("power", power, _power_columns(question, ask, scale)),
        design_table(question.design, question.effect, question.model),
    )
    return Answer("power", question.effect.name, tables, maps, _methods(outcome, *about),
                  _results(warnings, *about), meta)  # fmt: skip


def _scale(question: Question, scale: str) -> None:
    difference = question.effect.quantity in ("difference", "mean")
    if (scale == "g" and not difference) or (scale == "r" and question.effect.quantity != "slope"):
        raise Refused(
            f"The sizes are in {scale}, which this effect has not.",
            field="sizes_in",
            found=f"{question.effect.name}, a {question.effect.quantity}",
            expected="g for a difference, r for a slope, or outcome",
        )


def _error(question: Question) -> float:
    """Standard error of the estimate for a residual standard deviation of 1."""
    pinv = np.linalg.pinv(question.model.x)
    row = question.model.c @ pinv
    return float(np.sqrt((row @ row.T)[0, 0]))


def _g_unit(question: Question) -> float:
    return _error(question) / (math.sqrt(2) if question.model.stratum == "within" else 1)


def _shift(question: Question, scale: str, size: float, sigma: float) -> float:
    """Return the noncentrality of a size."""
    if scale == "g":
        return size / _g_unit(question)
    if scale == "r":
        return size / math.sqrt(1 - size * size) * math.sqrt(question.model.df + 1)
    return size / (_error(question) * sigma)


def _in_scale(question: Question, scale: str, shift: float) -> float:
    if scale == "g":
        return shift * _g_unit(question)
    s = shift / math.sqrt(question.model.df + 1)
    return s / math.sqrt(1 + s * s) if math.isfinite(s) else math.copysign(1.0, s)


def _ways(question: Question, drawn: Drawn, v: int, maps: bool) -> list[Threshold]:
    settings, df = question.settings, question.model.df
    tail = settings.alpha / (2 if settings.sign == "two-sided" else 1)
    out = [
        Threshold("single", "one test declared beforehand", float(special.stdtrit(df, 1 - tail)))
    ]
    if v > 1:
        what = "voxels" if maps else "regions"
        value, (low, high) = drawn.critical(settings.alpha)
        out.append(Threshold("max-t", f"largest statistic over {v} {what}", value, low, high))
        bonferroni = float(special.stdtrit(df, 1 - tail / v))
        out.append(Threshold("bonferroni", f"Bonferroni over {v} {what}", bonferroni))
    return out


def _least(question: Question, ask: Ask, way: Threshold) -> float:
    return detectable_shift(question.model.df, way.critical, ask.power, question.settings.sign)


def _power_rows(
    question: Question,
    ask: Ask,
    ways: list[Threshold],
    drawn: Drawn,
    sizes: tuple[float, ...],
    scale: str,
    sigma: float,
) -> list[dict[str, Any]]:
    settings, df, made = question.settings, question.model.df, question.model
    s = len(drawn.largest)
    rows = []
    for way in ways:
        each = 1.0 - float(special.stdtr(df, way.critical))
        alpha = each * (2 if settings.sign == "two-sided" else 1)
        for size in sizes:
            if scale == "r" and not abs(size) < 1:
                raise Refused("A correlation lies between -1 and 1.", field="sizes", found=size)
            shift = _shift(question, scale, size, sigma)
            got = drawn.power(shift, way.critical, settings.sign)
            mean = float(got.mean())
            # outcomes share draws, so the error is that of one of them
            se = math.sqrt(max(mean * (1 - mean), 1e-12) / s)
            rows.append({
                "size": size, "size_unit": scale, "test": way.name, "critical": way.critical,
                "power": mean, "se": se, "power_low": float(got.min()),
                "power_high": float(got.max()),
                "power_analytic": power_of_t(shift, df, way.critical, settings.sign),
                "people_needed": people_needed(
                    abs(shift) * _error(question), _error(question) ** 2, made.n, df, alpha,
                    ask.power, "two-sided" if settings.sign == "two-sided" else "positive",
                ) if made.stratum != "within" else None,
            })  # fmt: skip
    return rows


def _region_rows(
    question: Question,
    ask: Ask,
    ways: list[Threshold],
    names: list[str],
    sigma: NDArray[np.float64],
    maps: bool,
) -> pd.DataFrame:
    error = _error(question)
    shown = [("median voxel", float(np.median(sigma)))] if maps else list(
        zip(names, sigma.tolist(), strict=True))  # fmt: skip
    rows = []
    for name, s in shown:
        row: dict[str, Any] = {
            "region": name, "n": question.model.n, "df": question.model.df, "sd": s,
            "unit": question.effect_unit,
        }  # fmt: skip
        for way in ways:
            row[f"detectable_{way.name.replace('-', '_')}"] = (
                _least(question, ask, way) * error * s
            )  # fmt: skip
        rows.append({**row, "note": "n/a"})
    return pd.DataFrame(rows)


def _region_columns(question: Question, ask: Ask) -> dict[str, Column]:
    unit = question.effect_unit
    word = f"Smallest true effect found with power {ask.power:g}, "
    return {
        "region": Column("Region, with its segmentation; over voxels the median voxel"),
        "n": Column("Participants"),
        "df": Column("Residual degrees of freedom"),
        "sd": Column("Residual standard deviation", question.unit),
        "unit": Column("Unit of the effect"),
        "detectable_single": Column(word + "if only this were tested", unit),
        "detectable_max_t": Column(word + "tested by the largest statistic over all", unit),
        "detectable_bonferroni": Column(word + "tested by Bonferroni over all", unit),
        "note": Column("n/a"),
    }


def _power_columns(question: Question, ask: Ask, scale: str) -> dict[str, Column]:
    return {
        "size": Column("True effect in one region or voxel, none in the others"),
        "size_unit": Column(
            "Unit of the size",
            levels={"g": "standard deviations", "r": "partial correlation",
                    "outcome": question.effect_unit},
        ),
        "test": Column("How it is tested", levels={
            "single": "one test declared beforehand", "max-t": "largest statistic over all",
            "bonferroni": "Bonferroni over all"}),
        "critical": Column("Statistic that must be passed"),
        "power": Column("Power by simulation, mean over outcomes"),
        "se": Column("Monte-Carlo standard error of the power of one outcome"),
        "power_low": Column("Least power of an outcome"),
        "power_high": Column("Greatest power of an outcome"),
        "power_analytic": Column("Power by the noncentral t distribution"),
        "people_needed": Column(f"People for power {ask.power:g} in a design of the same make"),
    }  # fmt: skip


def _methods(
    outcome: str, question: Question, ask: Ask, ways: list[Threshold], power: pd.DataFrame,
    scale: str, draws: int, settings: Settings, v: int, maps: bool,
) -> str:  # fmt: skip
    what = "voxels" if maps else "regions"
    q = question
    out = [
        f"What `{q.effect.name}` in {words.named(outcome, q.unit)} could be found by "
        f"`{q.design.formula}` with {q.model.n} participants and {q.model.df} residual degrees of "
        f"freedom was computed at alpha {settings.alpha:g} ({settings.sign})."
    ]
    if v > 1:
        out.append(
            f"{draws} studies without an effect were drawn through this design (seed "
            f"{settings.seed}): normal noise with the covariance of the residuals over {v} {what}. "
            "The statistic that the largest passes in a share alpha of them is the threshold of "
            f"max-T ({ways[1].critical:.2f}, 95 % interval {ways[1].low:.2f} to "
            f"{ways[1].high:.2f}); a true effect was then put into one of the {what}."
        )
    else:
        out.append(f"{draws} studies were drawn through this design (seed {settings.seed}).")
    out.append(
        "The noncentral t distribution is printed beside. People needed hold the design's "
        "proportions and the spread of its covariates, and for max-T the level that one test has "
        "here."
    )
    return " ".join(out)


def _results(
    warnings: list[str], question: Question, ask: Ask, ways: list[Threshold], power: pd.DataFrame,
    scale: str, draws: int, settings: Settings, v: int, maps: bool,
) -> str:  # fmt: skip
    words_of = {"g": "standard deviations", "r": "(partial r)", "outcome": question.effect_unit}
    symbol = words_of[scale]
    out = []
    for way in ways:
        if scale != "outcome":
            size = abs(_in_scale(question, scale, _least(question, ask, way)))
            out.append(
                f"{way.meaning[0].upper()}{way.meaning[1:]} (|t| > {way.critical:.2f}): an effect "
                f"of {size:.2f} {symbol} is found with power {ask.power:g}."
            )
        said = []
        for _, row in power[power["test"] == way.name].iterrows():
            need = row["people_needed"]
            people = "" if need is None or need != need else f", {int(need)} people for it"
            said.append(
                f"{row['size']:g}: {row['power']:.2f} (by noncentral t "
                f"{row['power_analytic']:.2f}{people})"
            )
        out.append(f"Power for {symbol} {'; '.join(said)}.")
    t = ways[0].critical
    r = t / math.sqrt(t * t + question.model.df)
    if scale == "r":
        out.append(f"In this sample only a correlation beyond {r:.3f} is significant at all.")
    out.append(
        "Power speaks of studies like this one before their data are seen; it says nothing about "
        "whether an effect is there."
    )
    return " ".join(out + warnings)
