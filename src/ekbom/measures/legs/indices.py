"""Indices of a night: counts by hours, shares, durations, each with its interval.

A number that cannot be formed is NaN, and its flag says why. Rates have exact
Poisson intervals (Garwood 1936); leg movements cluster, so these are the least
that chance alone would allow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy import stats

from ekbom.measures.legs.events import BOTH, LEFT, RIGHT, Array, Bools, Ints
from ekbom.measures.legs.hypnogram import GROUPS
from ekbom.measures.legs.periodicity import (
    Value,
    ferri2006,
    geometric,
    group_intervals,
    mode,
    pi_2016,
)
from ekbom.measures.legs.score import Scored

#: Legs by which counts are given; left and right are movements of one leg only.
LEG_GROUPS = ("all", "left", "right", "mono", "bi")


@dataclass(frozen=True)
class Index:
    """One number of a night.

    Parameters
    ----------
    measure : str
        ``PLM_index``, ``PI_2016`` ...
    stage : str
        Group of stages.
    leg : str
        One of :data:`LEG_GROUPS`.
    rules : str
        Name of the rule set.
    value : float
        NaN where there is none.
    unit : str
        Of the value.
    n : int
        Movements, or intervals, behind it.
    hours : float
        Of the stage, without what was lost.
    lower, upper : float
        95 % interval, NaN where there is none.
    why : str
        Why the value is NaN, or what to know of it.
    """

    measure: str
    stage: str
    leg: str
    rules: str
    value: float
    unit: str
    n: int
    hours: float
    lower: float = math.nan
    upper: float = math.nan
    why: str = ""


def poisson_interval(n: int, level: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of a Poisson mean (Garwood 1936, doi:10.1093/biomet/28.3-4.437).

    Parameters
    ----------
    n : int
        Count.
    level : float

    Returns
    -------
    lower, upper : float
        Of the mean count.

    Examples
    --------
    >>> [round(x, 2) for x in poisson_interval(0)], [round(x, 2) for x in poisson_interval(10)]
    ([0.0, 3.69], [4.8, 18.39])
    """
    low, high = _poisson(np.array([n]), level)
    return float(low[0]), float(high[0])


def _poisson(n: Ints, level: float = 0.95) -> tuple[Array, Array]:
    tail = (1.0 - level) / 2.0
    low = np.where(n > 0, stats.chi2.ppf(tail, np.maximum(2 * n, 1)) / 2.0, 0.0)
    return low, np.asarray(stats.chi2.isf(tail, 2 * n + 2)) / 2.0


def leg_masks(scored: Scored) -> dict[str, Bools]:
    """Return which movements belong to each group of legs."""
    leg = scored.movements.leg
    return {
        "all": np.ones(leg.size, bool),
        "left": leg == LEFT,
        "right": leg == RIGHT,
        "mono": leg != BOTH,
        "bi": leg == BOTH,
    }


def kinds(scored: Scored) -> dict[str, Bools]:
    """Return which movements are of each kind, by the name of the index."""
    clm, plm = scored.candidate, scored.periodic
    found = {"LM": np.ones(clm.size, bool), "CLM": clm, "PLM": plm, "nonCLM": ~clm}
    if scored.resp is not None and scored.rules.respiratory == "report":
        found |= {"CLMr": scored.respiratory, "PLMnr": scored.periodic_nr}
    elif scored.resp is not None:
        found |= {"PLMnr": plm}
    if scored.arousal is not None:
        found |= {"PLM_arousal": plm & (scored.arousal_id >= 0)}
    return found


def indices(scored: Scored) -> list[Index]:
    """Return every index of one scored night.

    Parameters
    ----------
    scored : Scored

    Returns
    -------
    list of Index
        Rates by stage and leg, then shares, intervals and durations by stage.
    """
    rows = [*_rates(scored), *_shapes(scored)]
    if scored.rules.wake == "score":
        return rows
    # A rule set that does not score wake has no number for it, not a zero.
    return [
        replace(r, value=math.nan, lower=math.nan, upper=math.nan, why="wake-not-scored")
        if r.stage in ("wake", "night")
        else r
        for r in rows
    ]


def _rates(scored: Scored) -> Iterator[Index]:
    legs, by_kind = leg_masks(scored), kinds(scored)
    hours_of = {group: scored.hypnogram.seconds(group) / 3600.0 for group in GROUPS}
    within = np.array([scored.within(group) for group in GROUPS], np.float64)
    kind_and_leg = [is_kind & of_leg for is_kind in by_kind.values() for of_leg in legs.values()]
    counts = (within @ np.array(kind_and_leg, np.float64).T).astype(np.int64).reshape(-1)
    low, high = _poisson(counts)
    cells = product(GROUPS, by_kind, legs)
    numbers = zip(counts.tolist(), low.tolist(), high.tolist(), strict=True)
    for (group, kind, leg), (n, a, b) in zip(cells, numbers, strict=True):
        name, hours = f"{kind}_index", hours_of[group]
        if hours <= 0:
            yield Index(name, group, leg, scored.rules.name, math.nan, "1/h", n, 0.0,
                        why="no-time-in-stage")  # fmt: skip
        else:
            yield Index(name, group, leg, scored.rules.name, n / hours, "1/h", n, hours,
                        a / hours, b / hours)  # fmt: skip


def _shapes(scored: Scored) -> Iterator[Index]:
    rules = scored.rules.name
    length = scored.movements.end - scored.movements.onset
    for group in GROUPS:
        hours = scored.hypnogram.seconds(group) / 3600.0
        mine = scored.within(group)
        clm = mine & scored.candidate
        every, member = group_intervals(scored, group)
        imi = every[member & ~np.isnan(every)]
        n, k = int(clm.sum()), int(imi.size)

        def row(name: str, value: Value, unit: str, count: int, group: str = group,
                hours: float = hours) -> Index:  # fmt: skip
            return Index(name, group, "all", rules, value.value, unit, count, hours, why=value.why)

        yield row("PI_2016", pi_2016(scored, group), "1", n)
        yield row("PI_Ferri2006", ferri2006(every, member), "1", k)
        mean, sd = geometric(imi)
        yield row("IMI_geometric_mean", mean, "s", k)
        yield row("IMI_sd_ln", sd, "ln s", k)
        yield row("IMI_mode", mode(imi), "s", k)
        yield row("IMI_mode_ln", mode(imi, ln=True), "s", k)
        low, high = scored.rules.imi_min, scored.rules.imi_max
        short = int((imi < low - 1e-6).sum())
        long = int((imi > high + 1e-6).sum())
        yield row("IMI_count_short", Value(short), "count", k)
        yield row("IMI_count_within", Value(k - short - long), "count", k)
        yield row("IMI_count_long", Value(long), "count", k)
        yield row("IMI_share_short", _share(short, k, "no-interval"), "%", k)
        yield row("IMI_share_long", _share(long, k, "no-interval"), "%", k)
        spread = np.quantile(length[clm], [0.25, 0.5, 0.75]) if n else np.full(3, math.nan)
        why = "" if n else "no-CLM"
        yield row("CLM_duration_q1", Value(float(spread[0]), why), "s", n)
        yield row("CLM_duration_median", Value(float(spread[1]), why), "s", n)
        yield row("CLM_duration_q3", Value(float(spread[2]), why), "s", n)
        both = int((clm & (scored.movements.leg == BOTH)).sum())
        yield row("CLM_share_bilateral", _share(both, n, "no-CLM"), "%", n)


def _share(part: int, whole: int, why: str) -> Value:
    return Value(100.0 * part / whole) if whole else Value(math.nan, why)


def find(rows: list[Index], measure: str, stage: str = "sleep", leg: str = "all") -> Index:
    """Return the one index of this name, stage and leg.

    Parameters
    ----------
    rows : list of Index
        Of :func:`indices`.
    measure, stage, leg : str
        As in :class:`Index`.

    Returns
    -------
    Index
        The first that fits.
    """
    return next(r for r in rows if (r.measure, r.stage, r.leg) == (measure, stage, leg))
