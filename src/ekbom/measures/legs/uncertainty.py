"""How far the numbers would move: by rules and thresholds, by chance, by scorer, by night."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from ekbom.errors import Refused
from ekbom.measures.legs.detect import DetectSettings
from ekbom.measures.legs.events import Array, Bools, Ints, Marks, Spans
from ekbom.measures.legs.hypnogram import Hypnogram
from ekbom.measures.legs.periodicity import group_intervals, interval_runs
from ekbom.measures.legs.rules import RuleSet
from ekbom.measures.legs.score import Scored, score

#: Seconds of a bootstrap block, and draws.
BLOCK, DRAWS = 1800.0, 1000


@dataclass(frozen=True)
class Variant:
    """PLMS an hour under one change of a rule or threshold."""

    what: str
    setting: str
    value: float


def rule_variants(rules: RuleSet) -> list[tuple[str, str, RuleSet]]:
    """Return the changes of rules that the standards leave room for.

    Parameters
    ----------
    rules : RuleSet

    Returns
    -------
    list of (what, setting, RuleSet)
    """
    found = [
        ("shortest interval", f"{v:g} s", replace(rules, imi_min=v))
        for v in ((8.0, 12.0) if rules.imi_min >= 10 else (4.0, 6.0))
    ]
    found += [
        ("longest interval", f"{v:g} s", replace(rules, imi_max=v)) for v in (80.0, 100.0)
    ]  # fmt: skip
    other = not rules.short_imi_can_open
    if rules.short_imi == "end":
        word = "may open a series" if other else "opens no series"
        found.append(
            ("movement after a short interval", word, replace(rules, short_imi_can_open=other))
        )
    return found


def sensitivity(
    marks: Marks,
    hypnogram: Hypnogram,
    resp: Spans | None,
    arousal: Spans | None,
    rules: RuleSet,
    again: Callable[[DetectSettings], Marks] | None = None,
    settings: DetectSettings | None = None,
) -> list[Variant]:
    """Return PLMS an hour under every change, the setting as it stands first.

    Parameters
    ----------
    marks, hypnogram, resp, arousal, rules
        As for :func:`ekbom.measures.legs.score.score`.
    again : callable, optional
        Finds the movements anew under other thresholds.
    settings : DetectSettings, optional
        Thresholds as they stand.

    Returns
    -------
    list of Variant
        The range of all values is the band.
    """
    hours = hypnogram.seconds("sleep") / 3600.0

    def rate(given: Marks, by: RuleSet) -> float:
        scored = score(given, hypnogram, resp, arousal, rules=by)
        if hours <= 0:
            return math.nan
        return float((scored.within("sleep") & scored.periodic).sum()) / hours

    found = [Variant("as set", rules.title, rate(marks, rules))]
    found += [Variant(what, word, rate(marks, by)) for what, word, by in rule_variants(rules)]
    if again is not None:
        base = settings or DetectSettings()
        changes = [("on", base.on * f) for f in (0.75, 1.25)]
        changes += [("off", base.off * f) for f in (0.75, 1.25)]
        changes += [("hold", base.hold + d) for d in (-0.1, 0.1)]
        units = {"on": "uV above rest", "off": "uV above rest", "hold": "s"}
        for name, value in changes:
            new = again(_changed(base, name, value))
            found.append(Variant(name, f"{value:g} {units[name]}", rate(new, rules)))
    return found


def _changed(base: DetectSettings, name: str, value: float) -> DetectSettings:
    if name == "on":
        return replace(base, on=value)
    return replace(base, off=value) if name == "off" else replace(base, hold=value)


def band(variants: Sequence[Variant]) -> tuple[float, float]:
    """Return the smallest and largest value of all variants; NaN when there is none."""
    values = np.array([v.value for v in variants])
    if not np.isfinite(values).any():
        return math.nan, math.nan
    return float(np.nanmin(values)), float(np.nanmax(values))


def bootstrap(
    scored: Scored, group: str = "sleep", seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Return 95 % intervals of the periodicity indices and the geometric interval.

    Blocks of half an hour of the night are drawn with replacement (Kuensch 1989,
    doi:10.1214/aos/1176347265), so that bunching within them is kept.

    Parameters
    ----------
    scored : Scored
    group : str
    seed : int

    Returns
    -------
    dict of str to (lower, upper)
        ``PI_2016``, ``PI_Ferri2006``, ``IMI_geometric_mean``; NaN with fewer than
        two blocks that hold a movement.
    """
    nothing = (math.nan, math.nan)
    out = {"PI_2016": nothing, "PI_Ferri2006": nothing, "IMI_geometric_mean": nothing}
    night = scored.hypnogram
    blocks = math.ceil((night.lights_on - night.lights_off) / BLOCK - 1e-9)
    mine = scored.within(group) & scored.candidate
    of = np.floor((scored.movements.onset - night.lights_off) / BLOCK + 1e-9).astype(np.int64)
    if blocks < 2 or np.unique(of[mine]).size < 2:
        return out
    clm = np.bincount(of[mine], minlength=blocks)[:blocks]
    plm = np.bincount(of[mine & scored.periodic], minlength=blocks)[:blocks]
    imi, member = group_intervals(scored, group)
    where = of[scored.candidate]
    runs, total, logs, count = (np.zeros(blocks) for _ in range(4))
    for b in range(blocks):
        here = member & (where == b)
        runs[b], total[b] = interval_runs(imi, here, 10.0, 90.0)
        good = here & (imi > 0)
        logs[b], count[b] = float(np.log(imi[good]).sum()), float(good.sum())
    # Runs cut by the edge of a block count as in the whole night.
    whole, _ = interval_runs(imi, member, 10.0, 90.0)
    runs = _in_long_runs(imi, member, where, blocks) if whole else runs
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(blocks, np.full(blocks, 1.0 / blocks), size=DRAWS)
    for name, top, below in (
        ("PI_2016", plm, clm),
        ("PI_Ferri2006", runs, total),
        ("IMI_geometric_mean", logs, count),
    ):
        bottom = drawn @ below
        value = (drawn @ top)[bottom > 0] / bottom[bottom > 0]
        if name == "IMI_geometric_mean":
            value = np.exp(value)
        if value.size:
            low, high = np.quantile(value, [0.025, 0.975])
            out[name] = (float(low), float(high))
    return out


def _in_long_runs(imi: Array, member: Bools, where: Ints, blocks: int) -> Array:
    good = member & (imi > 10.0 + 1e-6) & (imi <= 90.0 + 1e-6)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], good.astype(np.int8), [0]))))
    keep = np.zeros(imi.size, bool)
    for a, b in zip(edges[::2], edges[1::2], strict=True):
        keep[a:b] = b - a >= 3
    return np.bincount(where[keep & (where >= 0)], minlength=blocks)[:blocks].astype(np.float64)


@dataclass(frozen=True)
class Nights:
    """How an index varies between nights of one or more people.

    Parameters
    ----------
    sd_within : float
        Root mean square of the SD within a person.
    icc : float
        One-way ICC(1,1); NaN with one person.
    mdc : float
        Minimal detectable change of one night against another, 95 %.
    n_people, n_nights : int
    """

    sd_within: float
    icc: float
    mdc: float
    n_people: int
    n_nights: int


def between_nights(values: Sequence[Sequence[float]]) -> Nights:
    """Return within-person SD, ICC and minimal detectable change from repeated nights.

    Parameters
    ----------
    values : sequence of sequence of float
        One sequence a person; people with one night do not enter.

    Returns
    -------
    Nights
        Over all people with two nights or more.

    Raises
    ------
    Refused
        Nobody has two nights.
    """
    groups = [np.asarray(v, np.float64) for v in values]
    groups = [g[~np.isnan(g)] for g in groups]
    groups = [g for g in groups if g.size > 1]
    if not groups:
        raise Refused("Nobody has two nights.", field="nights", expected="two or more a person")
    n, k = sum(g.size for g in groups), len(groups)
    within = sum(float(((g - g.mean()) ** 2).sum()) for g in groups) / (n - k)
    icc = math.nan
    if k > 1:
        grand = float(np.concatenate(groups).mean())
        among = sum(g.size * (float(g.mean()) - grand) ** 2 for g in groups) / (k - 1)
        size = (n - sum(g.size**2 for g in groups) / n) / (k - 1)
        bottom = among + (size - 1) * within
        icc = (among - within) / bottom if bottom > 0 else math.nan
    sd = math.sqrt(within)
    z = float(stats.norm.isf(0.025))
    return Nights(sd, icc, z * math.sqrt(2.0) * sd, k, n)


def between_scorers(values: Sequence[float]) -> tuple[float, float]:
    """Return mean and SD of one index over scorers.

    Parameters
    ----------
    values : sequence of float
        One a scorer; NaN is left out.

    Returns
    -------
    mean, sd : float
        The SD is NaN for one scorer.
    """
    array = np.asarray(values, np.float64)
    array = array[~np.isnan(array)]
    if not array.size:
        return math.nan, math.nan
    return float(array.mean()), float(array.std(ddof=1)) if array.size > 1 else math.nan
