"""The suggested immobilisation test: sixty minutes of wake, sitting, legs stretched out.

Movements are scored by the rules of the night (R2 to R11) in wake only; discomfort
is told every few minutes. Michaud 2001, Montplaisir 1998 (doi:10.1002/mds.870130220);
repeated tests: Garcia-Borreguero 2013 (PMC3669063).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ekbom.errors import Refused
from ekbom.measures.legs.events import Array
from ekbom.measures.legs.indices import Index, find, indices, poisson_interval
from ekbom.measures.legs.score import Scored

#: Length of the test, and of the parts by which it is shown, s.
LENGTH, PART = 3600.0, 600.0


@dataclass(frozen=True)
class SIT:
    """Result of one test.

    Parameters
    ----------
    index : Index
        PLMW an hour of wake.
    parts : (6,) array
        PLMW an hour in each ten minutes; NaN where there was no wake.
    minutes_awake : float
    vas_mean, vas_max, vas_auc : float
        Discomfort, in the unit of its scale; area in unit times minutes. NaN without.
    flags : tuple of str
    """

    index: Index
    parts: Array
    minutes_awake: float
    vas_mean: float
    vas_max: float
    vas_auc: float
    flags: tuple[str, ...]


def score_sit(
    scored: Scored,
    vas_minutes: Sequence[float] = (),
    vas: Sequence[float] = (),
) -> SIT:
    """Score a test of sixty minutes.

    Parameters
    ----------
    scored : Scored
        Of the test alone, from lights off (start) to lights on (end).
    vas_minutes, vas : sequence of float
        When discomfort was told (min from start) and what was told; missing is NaN.

    Returns
    -------
    SIT
        Index, parts, discomfort.

    Raises
    ------
    Refused
        Times and values of discomfort differ in number or are out of order.
    """
    night = scored.hypnogram
    index = find(indices(scored), "PLM_index", "wake")
    plm = scored.movements.onset[scored.within("wake") & scored.periodic]
    parts = np.full(6, np.nan)
    for k in range(6):
        a = night.lights_off + k * PART
        wake = night.seconds("wake", a, a + PART)
        if wake > 0:
            parts[k] = 3600.0 * np.sum((plm >= a - 1e-6) & (plm < a + PART - 1e-6)) / wake
    flags = []
    length = night.lights_on - night.lights_off
    if abs(length - LENGTH) > 60.0:
        flags.append(f"lasts-{length / 60:.0f}-min")
    if night.seconds("sleep") > 0:
        flags.append("sleep-during-test")
    mean, top, area = _discomfort(vas_minutes, vas)
    return SIT(index, parts, night.seconds("wake") / 60.0, mean, top, area, tuple(flags))


def repeated(tests: Sequence[SIT]) -> Index:
    """Return the PLMW index over several tests of one day (m-SIT), 1/h.

    Parameters
    ----------
    tests : sequence of SIT

    Returns
    -------
    Index
        Movements and hours are summed.
    """
    n = sum(t.index.n for t in tests)
    hours = sum(t.index.hours for t in tests)
    low, high = poisson_interval(n)
    if hours <= 0:
        return Index("mSIT_PLMW_index", "wake", "all", "n/a", math.nan, "1/h", n, 0.0,
                     why="no-time-in-stage")  # fmt: skip
    rules = tests[0].index.rules
    return Index("mSIT_PLMW_index", "wake", "all", rules, n / hours, "1/h", n, hours,
                 low / hours, high / hours)  # fmt: skip


def _discomfort(minutes: Sequence[float], told: Sequence[float]) -> tuple[float, float, float]:
    t, v = np.asarray(minutes, np.float64), np.asarray(told, np.float64)
    if t.size != v.size or (np.diff(t) <= 0).any():
        raise Refused(
            "Times and values of discomfort do not belong together.",
            field="vas",
            found=f"{t.size} times, {v.size} values",
            expected="one value a time, times rising",
        )
    known = ~np.isnan(v)
    if not known.any():
        return math.nan, math.nan, math.nan
    area = math.nan
    if known.sum() > 1:
        area = float(np.trapezoid(v[known], t[known]))
    return float(v[known].mean()), float(v[known].max()), area
