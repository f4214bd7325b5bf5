"""Closed forms for two arms: adjusted differences, shares, the 2 x 2 crossover."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]


def ancova(
    after: Array, before: Array, treated: NDArray[np.bool_], covariates: Array | None = None
) -> tuple[float, float, float, float]:
    """Return the treatment effect adjusted for baseline.

    Parameters
    ----------
    after, before : (N,) ndarray
        Outcome (or its change) and baseline; rows with NaN are left out.
    treated : (N,) ndarray of bool
        Arm.
    covariates : (N, K) ndarray, optional
        More columns, such as dose or clock time of assessment.

    Returns
    -------
    estimate, lower, upper, p : float
        Difference with 95 % interval; NaN with too few people.
    """
    columns = [np.ones(len(after)), treated.astype(float), before]
    x = np.column_stack(columns if covariates is None else [*columns, covariates])
    keep = ~np.isnan(after) & ~np.isnan(x).any(axis=1)
    x, y = x[keep], after[keep]
    df = len(y) - x.shape[1]
    if df < 1 or np.linalg.matrix_rank(x) < x.shape[1]:
        return (math.nan,) * 4
    beta, *_ = np.linalg.lstsq(x, y, rcond=None)
    s2 = float(((y - x @ beta) ** 2).sum()) / df
    se = math.sqrt(s2 * np.linalg.inv(x.T @ x)[1, 1])
    half = float(stats.t.isf(0.025, df)) * se
    effect = float(beta[1])
    p = float(2.0 * stats.t.sf(abs(effect) / se, df)) if se > 0 else math.nan
    return effect, effect - half, effect + half, p


def wilson(events: int, n: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a proportion.

    Parameters
    ----------
    events, n : int
        Events of trials.

    Returns
    -------
    lower, upper : float
        Bounds.
    """
    z = float(stats.norm.isf(0.025))
    p = events / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def risk_difference(a: int, n_a: int, b: int, n_b: int) -> tuple[float, float, float]:
    """Return a difference of proportions with Newcombe's hybrid interval (method 10).

    Parameters
    ----------
    a, n_a, b, n_b : int
        Events and people, treatment and control.

    Returns
    -------
    estimate, lower, upper : float
        Newcombe 1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I.

    Examples
    --------
    >>> [round(x, 4) for x in risk_difference(56, 70, 48, 80)]
    [0.2, 0.0524, 0.3339]
    """
    p1, p2 = a / n_a, b / n_b
    (l1, u1), (l2, u2) = wilson(a, n_a), wilson(b, n_b)
    d = p1 - p2
    return d, d - math.hypot(p1 - l1, u2 - p2), d + math.hypot(u1 - p1, p2 - l2)


def nnt(difference: tuple[float, float, float]) -> tuple[float, float, float]:
    """Return the number needed to treat with its interval.

    Parameters
    ----------
    difference : (estimate, lower, upper)
        Risk difference.

    Returns
    -------
    estimate, lower, upper : float
        The upper end is infinite when the difference may be 0; NaN ends when
        it may be of either sign.
    """
    d, lower, upper = difference
    value = 1.0 / d if d else math.inf
    if lower < 0.0 < upper:
        return value, math.nan, math.nan
    ends = sorted(1.0 / e if e else math.inf for e in (lower, upper))
    return value, ends[0], ends[1]


@dataclass(frozen=True)
class Crossover:
    """Treatment, period and carry-over effects of a two-period crossover."""

    treatment: tuple[float, float, float, float]
    period: tuple[float, float, float, float]
    carry_over: tuple[float, float, float, float]
    n: tuple[int, int]


def crossover(first: Array, second: Array, treatment_first: NDArray[np.bool_]) -> Crossover:
    """Analyse a 2 x 2 crossover (Hills and Armitage 1979, doi:10.1111/j.1365-2125.1979.tb05910.x).

    Parameters
    ----------
    first, second : (N,) ndarray
        Outcome in period 1 and 2; people with a missing one are left out.
    treatment_first : (N,) ndarray of bool
        Sequence.

    Returns
    -------
    Crossover
        Each effect as (estimate, lower, upper, p). The carry-over effect is
        the difference of the sequences' sums; its test is weak, and a wash-out
        is no less needed when it is not significant.
    """
    keep = ~np.isnan(first) & ~np.isnan(second)
    d, total = (first - second)[keep], (first + second)[keep]
    a = treatment_first[keep]
    half_t = _two_sample(d[a], d[~a], 0.5)
    period = _two_sample(d[a], -d[~a], 0.5)
    carry = _two_sample(total[a], total[~a], 1.0)
    return Crossover(half_t, period, carry, (int(a.sum()), int((~a).sum())))


def _two_sample(x: Array, y: Array, scale: float) -> tuple[float, float, float, float]:
    n, m = len(x), len(y)
    if min(n, m) < 2:
        return (math.nan,) * 4
    df = n + m - 2
    s2 = (x.var(ddof=1) * (n - 1) + y.var(ddof=1) * (m - 1)) / df
    se = math.sqrt(s2 * (1 / n + 1 / m)) * scale
    effect = float(x.mean() - y.mean()) * scale
    half = float(stats.t.isf(0.025, df)) * se
    p = float(2 * stats.t.sf(abs(effect) / se, df)) if se > 0 else math.nan
    return effect, effect - half, effect + half, p
