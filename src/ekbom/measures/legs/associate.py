"""Movements held against respiratory events and arousals."""

from __future__ import annotations

import numpy as np

from ekbom.measures.legs.events import TOLERANCE, Array, Ints, Spans
from ekbom.measures.legs.rules import RuleSet


def respiratory(onset: Array, end: Array, events: Spans, rules: RuleSet) -> tuple[Ints, Array]:
    """Return the respiratory event each movement belongs to, and the lag.

    Parameters
    ----------
    onset, end : (M,) array
        Movements, s.
    events : Spans
        Respiratory events.
    rules : RuleSet
        Says where the window lies.

    Returns
    -------
    which : (M,) array of int
        Number of the nearest event whose window the movement overlaps, -1 for none.
    lag : (M,) array
        Onset of the movement minus the end of the event, s; NaN for none.
    """
    low = (events.end if rules.resp_from == "end" else events.onset) - rules.resp_before
    high = events.end + rules.resp_after
    which = _nearest(onset, end, low, high, events.end)
    return which, _lag(onset, events.end, which)


def arousals(onset: Array, end: Array, events: Spans, rules: RuleSet) -> tuple[Ints, Array]:
    """Return the arousal each movement belongs to, and the lag.

    Parameters
    ----------
    onset, end : (M,) array
        Movements, s.
    events : Spans
        Arousals.
    rules : RuleSet
        Says which gap is near enough, and whether its end counts.

    Returns
    -------
    which : (M,) array of int
        Number of the nearest arousal that overlaps or is parted by less than the
        gap in either order, -1 for none.
    lag : (M,) array
        Onset of the arousal minus onset of the movement, s; NaN for none.
    """
    # The gap is open at its end unless asked otherwise: a window closed within
    # the tolerance is moved by twice the tolerance.
    gap = rules.arousal_gap - (0.0 if rules.arousal_closed else 2.0 * TOLERANCE)
    which = _nearest(onset, end, events.onset - gap, events.end + gap, events.onset)
    return which, -_lag(onset, events.onset, which)


def _nearest(onset: Array, end: Array, low: Array, high: Array, anchor: Array) -> Ints:
    """Of the windows [low, high] that each movement overlaps, the one with the nearest anchor."""
    which = np.full(onset.size, -1, np.int64)
    if not low.size or not onset.size:
        return which
    order = np.argsort(low, kind="stable")
    start = low[order]
    longest = float(np.max(high - low))
    first = np.searchsorted(start, onset - longest - TOLERANCE, side="left")
    last = np.searchsorted(start, end + TOLERANCE, side="right")
    for k in range(onset.size):
        near = order[first[k] : last[k]]
        near = near[high[near] >= onset[k] - TOLERANCE]
        if near.size:
            which[k] = near[int(np.argmin(np.abs(anchor[near] - onset[k])))]
    return which


def _lag(onset: Array, anchor: Array, which: Ints) -> Array:
    lag = np.full(onset.size, np.nan)
    hit = which >= 0
    lag[hit] = onset[hit] - anchor[which[hit]]
    return lag
