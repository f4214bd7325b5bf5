"""Periodicity: the two indices that share a name, and the shape of the intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ekbom.measures.legs.events import TOLERANCE, Array, Bools, Ints
from ekbom.measures.legs.score import Scored

#: Width of the histogram bins, s and ln s (R19).
BIN, LN_BIN = 2.0, 0.1


@dataclass(frozen=True)
class Value:
    """A number, or NaN with the reason why there is none."""

    value: float
    why: str = ""


def pi_2016(scored: Scored, group: str) -> Value:
    """Return PLM / CLM of a group of stages (WASM 2016).

    Parameters
    ----------
    scored : Scored
    group : str
        A key of :data:`ekbom.measures.legs.hypnogram.GROUPS`.

    Returns
    -------
    Value
        0 to 1; NaN without candidates.
    """
    mine = scored.within(group)
    clm = int((mine & scored.candidate).sum())
    if clm == 0:
        return Value(math.nan, "no-CLM")
    return Value(int((mine & scored.periodic).sum()) / clm)


def interval_runs(imi: Array, member: Bools, low: float, high: float) -> tuple[int, int]:
    """Count intervals, and those in runs of three or more within the bounds.

    Parameters
    ----------
    imi : (M,) array
        Interval before each candidate in order, s; NaN breaks a run.
    member : (M,) array of bool
        Whether the interval belongs to the group asked about.
    low, high : float
        An interval counts when low < i <= high, s.

    Returns
    -------
    in_runs, total : int
    """
    good = member & (imi > low + TOLERANCE) & (imi <= high + TOLERANCE)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], good.astype(np.int8), [0]))))
    lengths = edges[1::2] - edges[::2]
    return int(lengths[lengths >= 3].sum()), int((member & ~np.isnan(imi)).sum())


def pi_ferri2006(scored: Scored, group: str) -> Value:
    """Return the share of intervals that lie in runs of three or more with 10 < i <= 90 s.

    Ferri et al. 2006, Sleep 29:759-769.

    Parameters
    ----------
    scored : Scored
    group : str
        Both ends of an interval must lie in it.

    Returns
    -------
    Value
        0 to 1; NaN without intervals.
    """
    return ferri2006(*group_intervals(scored, group))


def ferri2006(imi: Array, member: Bools) -> Value:
    """Return that share of intervals given as by :func:`group_intervals`.

    Parameters
    ----------
    imi : (C,) array
        s; NaN when undefined.
    member : (C,) array of bool
        Whether each interval belongs to the group.

    Returns
    -------
    Value
        0 to 1; NaN without intervals.
    """
    in_runs, total = interval_runs(imi, member, 10.0, 90.0)
    return Value(in_runs / total) if total else Value(math.nan, "no-interval")


def group_intervals(scored: Scored, group: str) -> tuple[Array, Bools]:
    """Return the interval before each candidate, and whether both its ends lie in a group.

    Parameters
    ----------
    scored : Scored
    group : str

    Returns
    -------
    imi : (C,) array
        s; NaN when undefined.
    member : (C,) array of bool
    """
    clm: Ints = np.flatnonzero(scored.candidate)
    mine = scored.within(group)[clm]
    member = mine & np.concatenate(([False], mine[:-1])) if clm.size else np.zeros(0, bool)
    return scored.series.imi[clm], member


def intervals(scored: Scored, group: str) -> Array:
    """Return the defined intervals of a group, s."""
    imi, member = group_intervals(scored, group)
    return imi[member & ~np.isnan(imi)]


def geometric(imi: Array) -> tuple[Value, Value]:
    """Return the geometric mean (s) and the SD of ln intervals.

    Parameters
    ----------
    imi : (K,) array
        s.

    Returns
    -------
    mean, sd : Value
        NaN with a reason for none, or for one.
    """
    positive = imi[imi > 0]
    if not positive.size:
        return Value(math.nan, "no-interval"), Value(math.nan, "no-interval")
    logs = np.log(positive)
    mean = Value(float(np.exp(logs.mean())))
    if positive.size < 2:
        return mean, Value(math.nan, "one-interval")
    return mean, Value(float(logs.std(ddof=1)))


def histogram(imi: Array, *, ln: bool = False) -> tuple[Array, Ints]:
    """Count intervals in bins of 2 s from 0 to 90 s, or of 0.1 ln s from 0 to 6.

    Parameters
    ----------
    imi : (K,) array
        s.
    ln : bool
        Whether the bins are logarithmic.

    Returns
    -------
    edges : (B + 1,) array
        s, or ln s.
    counts : (B,) array of int
        A value on an edge belongs to the bin above it.
    """
    edges: Array = LN_BIN * np.arange(61.0) if ln else BIN * np.arange(46.0)
    x = np.log(imi[imi > 0]) if ln else imi
    k = np.floor(x / (LN_BIN if ln else BIN) + TOLERANCE).astype(np.int64)
    k = k[(k >= 0) & (k < edges.size - 1)]
    return edges, np.bincount(k, minlength=edges.size - 1).astype(np.int64)


def mode(imi: Array, *, ln: bool = False) -> Value:
    """Return the middle of the fullest bin above 10 s, s; the first of equals.

    Parameters
    ----------
    imi : (K,) array
        s.
    ln : bool
        Of the logarithmic histogram.

    Returns
    -------
    Value
        s; NaN when no interval is longer than 10 s and at most 90 s.
    """
    body = imi[(imi >= 10.0 - TOLERANCE) & (imi <= 90.0 + TOLERANCE)]
    if not body.size:
        return Value(math.nan, "no-interval-10-90")
    edges, counts = histogram(body, ln=ln)
    if not counts.any():
        return Value(math.nan, "no-interval-10-90")
    k = int(np.argmax(counts))
    middle = float(edges[k] + edges[k + 1]) / 2.0
    return Value(math.exp(middle) if ln else middle)
