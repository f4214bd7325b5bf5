"""The levodopa test: how far symptoms fall in the two hours after one low dose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ekbom.measures.clinic.facts import fact, unverified

#: Minutes after the dose at which the scale is read.
MINUTES = np.arange(0, 121, 15)


@dataclass(frozen=True)
class LevodopaTest:
    """Result of one test on one analogue scale (``symptoms`` or ``urge``).

    Falls are percent of baseline; ``auc`` is the mean of the curve as percent
    of baseline; ``lr_positive`` and ``lr_negative`` likelihood ratios with
    exact bounds from the sample in print.
    """

    status: str
    scale: str
    fall_best: float
    fall_end: float
    minutes_to_half: float
    auc: float
    lr_positive: tuple[float, float]
    lr_negative: float
    specificity_interval: tuple[float, float]
    interpolated: int
    why: tuple[str, ...]
    facts: tuple[str, ...]

    @property
    def flags(self) -> tuple[str, ...]:
        """Return the facts used that were not checked.

        Returns
        -------
        tuple of str
            ``unverified:<key>``.
        """
        return tuple(f"unverified:{k}" for k in unverified(self.facts))


def exact_interval(events: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return the Clopper-Pearson interval of a proportion.

    Parameters
    ----------
    events, n : int
        Events of trials.
    level : float
        Coverage.

    Returns
    -------
    lower, upper : float
        Bounds.

    Examples
    --------
    >>> lower, upper = exact_interval(8, 8)
    >>> round(lower, 3), upper
    (0.631, 1.0)
    """
    tail = (1.0 - level) / 2.0
    lower = 0.0 if events == 0 else float(stats.beta.ppf(tail, events, n - events + 1))
    upper = 1.0 if events == n else float(stats.beta.isf(tail, events + 1, n - events))
    return lower, upper


def levodopa_test(vas: NDArray[np.float64], scale: str = "symptoms") -> LevodopaTest:
    """Judge one levodopa test.

    Parameters
    ----------
    vas : (9,) ndarray
        0-100 at 0, 15 ... 120 min, NaN when missing.
    scale : str
        ``symptoms`` or ``urge``: what the scale asked for.

    Returns
    -------
    LevodopaTest
        ``positive``, ``negative``, ``not testable`` or ``undetermined``.

    Examples
    --------
    >>> r = levodopa_test(np.array([60, 60, 50, 40, 30, 25, 24, 24, 24.0]))
    >>> r.status, r.fall_best, r.minutes_to_half
    ('positive', 60.0, 60.0)
    """
    rule, row = fact("response.levodopa"), fact(f"response.levodopa_{scale}")
    count, least = fact("response.levodopa_n"), fact("response.levodopa_baseline")["least"]
    names = ("levodopa", f"levodopa_{scale}", "levodopa_baseline", "levodopa_n")
    keys = tuple(f"response.{name}" for name in names)
    bounds = exact_interval(round(row["specificity"] * count["n_other"]), count["n_other"])
    # Specificity was 1 of 8: the ratio has no upper bound, its lower one is honest.
    upper = np.inf if row["specificity"] == 1 else row["sensitivity"] / (1 - row["specificity"])
    positive = (row["sensitivity"] / (1.0 - bounds[0]), float(upper))
    negative = (1.0 - row["sensitivity"]) / row["specificity"]

    curve, filled = _inside(vas)
    base, nan = float(vas[0]), float("nan")
    seen = ~np.isnan(curve)

    def made(status: str, numbers: tuple[float, float, float, float], *why: str) -> LevodopaTest:
        return LevodopaTest(status, scale, *numbers, positive, negative, bounds, filled, why, keys)

    if base != base or seen.sum() < 2:
        return made("undetermined", (nan,) * 4, "baseline or every later reading is missing")
    if base < least:
        why = f"baseline {base:g} below {least:g}: too little to fall"
        return made("not testable", (nan,) * 4, why)
    falls = (base - curve) / base * 100.0
    best, end = float(np.nanmax(falls[1:])), float(falls[-1])
    need = rule["percent_fall"]
    half = _time_to(falls, need)
    last = np.flatnonzero(seen)[-1]
    auc = float(np.trapezoid(curve[: last + 1], MINUTES[: last + 1]) / MINUTES[last] / base * 100)
    numbers = (best, end, half, auc)
    words = f"best fall {best:.0f} % of baseline, {need:g} % asked"
    notes = (f"{filled} readings interpolated",) if filled else ()
    if best >= need:
        return made("positive", numbers, words, *notes)
    if last < len(MINUTES) - 1:
        cut = f"readings end at {MINUTES[last]} min: a later fall cannot be excluded"
        return made("undetermined", numbers, words, cut, *notes)
    return made("negative", numbers, words, *notes)


def _inside(vas: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """Fill gaps between readings, never before the first or after the last."""
    known = ~np.isnan(vas)
    if known.sum() < 2:
        return vas.copy(), 0
    curve = np.interp(MINUTES, MINUTES[known], vas[known])
    first, last = np.flatnonzero(known)[[0, -1]]
    curve[:first] = np.nan
    curve[last + 1 :] = np.nan
    return curve, int((~known[first : last + 1]).sum())


def _time_to(falls: NDArray[np.float64], need: float) -> float:
    reached = np.flatnonzero(np.nan_to_num(falls, nan=-np.inf) >= need)
    if not reached.size:
        return float("nan")
    i = int(reached[0])
    a, b = falls[i - 1], falls[i]
    return float(MINUTES[i - 1] + (need - a) / (b - a) * 15.0)
