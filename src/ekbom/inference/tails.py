"""Tails of t and F on a log scale, and intervals from their noncentral forms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats
from scipy.optimize import brentq

# Beneath this the incomplete beta function is near the end of double precision.
_SMALL = 1e-200


def _log_incomplete_beta(
    a: NDArray[np.float64], b: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return log I_x(a, b) with y = 1 - x, also where I_x is far below 1e-308."""
    value = special.betainc(a, b, x)
    far = value < _SMALL
    with np.errstate(divide="ignore"):
        out = np.asarray(np.log(np.where(far, 1.0, value)))
    if np.any(far):
        # I_x = x^a y^b / (a B(a, b)) 2F1(a + b, 1; a + 1; x), DLMF 8.17.8
        af, bf, xf, yf = (np.broadcast_to(v, value.shape)[far] for v in (a, b, x, y))
        with np.errstate(divide="ignore"):
            out[far] = (
                special.xlogy(af, xf)
                + special.xlogy(bf, yf)
                - np.log(af)
                - special.betaln(af, bf)
                + np.log(special.hyp2f1(af + bf, 1.0, af + 1.0, xf))
            )
    return out


def log_sf_t(t: ArrayLike, df: ArrayLike) -> NDArray[np.float64]:
    """Return log P(T > t), accurate far beyond where P itself underflows.

    Parameters
    ----------
    t, df : array_like
        Statistic and degrees of freedom, broadcast together.

    Returns
    -------
    ndarray
        Natural logarithm of the upper tail.
    """
    t, df = np.broadcast_arrays(np.asarray(t, float), np.asarray(df, float))
    t2 = np.square(t)
    half = np.full(t.shape, 0.5)
    log_two_sided = _log_incomplete_beta(df / 2.0, half, df / (df + t2), t2 / (df + t2))
    upper = log_two_sided - np.log(2.0)
    return np.asarray(np.where(t >= 0.0, upper, np.log1p(-np.exp(upper))))


def log_sf_f(f: ArrayLike, df1: ArrayLike, df2: ArrayLike) -> NDArray[np.float64]:
    """Return log P(F > f) for df1 and df2 degrees of freedom (see :func:`log_sf_t`)."""
    f, df1, df2 = np.broadcast_arrays(*(np.asarray(v, float) for v in (f, df1, df2)))
    whole = df2 + df1 * f
    return _log_incomplete_beta(df2 / 2.0, df1 / 2.0, df2 / whole, df1 * f / whole)


def p_of_t(t: ArrayLike, df: ArrayLike, sign: str = "two-sided") -> NDArray[np.float64]:
    """Return the p value of a t statistic for the given alternative."""
    t = np.asarray(t, float)
    if sign == "two-sided":
        return np.asarray(np.minimum(2.0 * np.exp(log_sf_t(np.abs(t), df)), 1.0))
    return np.asarray(np.exp(log_sf_t(t if sign == "positive" else -t, df)))


def z_of_t(t: ArrayLike, df: ArrayLike) -> NDArray[np.float64]:
    """Return the normal deviate with the tail probability of t, with its sign."""
    t = np.asarray(t, float)
    return np.asarray(-np.sign(t) * special.ndtri_exp(log_sf_t(np.abs(t), df)))


def z_of_f(f: ArrayLike, df1: ArrayLike, df2: ArrayLike) -> NDArray[np.float64]:
    """Return the normal deviate with the upper tail probability of F."""
    return np.asarray(-special.ndtri_exp(log_sf_f(f, df1, df2)))


def t_critical(df: float, interval: float) -> float:
    """Return the two-sided critical t of an interval with the given coverage."""
    return float(special.stdtrit(df, 0.5 + interval / 2.0))


def noncentrality_of_t(t: float, df: float, interval: float = 0.95) -> tuple[float, float]:
    """Return the interval of the noncentrality that an observed t leaves open.

    Parameters
    ----------
    t, df : float
        Observed statistic and its degrees of freedom.
    interval : float
        Coverage.

    Returns
    -------
    tuple of float
        Values at which the observed t is the upper and the lower
        ``(1 - interval) / 2`` point of the noncentral t distribution
        (Steiger & Fouladi 1997).
    """
    if not (np.isfinite(t) and np.isfinite(df)):
        return np.nan, np.nan
    tail = (1.0 - interval) / 2.0
    if t < 0.0:
        low, high = noncentrality_of_t(-t, df, interval)
        return -high, -low
    return (
        _solve(lambda d: float(special.nctdtr(df, d, t)) - (1.0 - tail), t),
        _solve(lambda d: float(special.nctdtr(df, d, t)) - tail, t),
    )


def noncentrality_of_f(
    f: float, df1: float, df2: float, interval: float = 0.95
) -> tuple[float, float]:
    """Return the interval of the noncentrality that an observed F leaves open (at least 0)."""
    if not (np.isfinite(f) and np.isfinite(df2)):
        return np.nan, np.nan
    tail = (1.0 - interval) / 2.0

    def one(target: float) -> float:
        if float(stats.f.cdf(f, df1, df2)) <= target:
            return 0.0
        return _solve(lambda d: float(special.ncfdtr(df1, df2, d, f)) - target, df1 * f, 0.0)

    return one(1.0 - tail), one(tail)


def _solve(function: Callable[[float], float], start: float, floor: float = -np.inf) -> float:
    # both functions above fall as the noncentrality grows
    step = 1.0 + 0.1 * abs(start)
    a = max(start, floor)
    here = function(a)
    if here == 0.0:
        return a
    way = 1.0 if here > 0.0 else -1.0
    for _ in range(200):
        b = max(a + way * step, floor)
        there = function(b)
        if not np.isfinite(there):
            return float("nan")
        if there == 0.0:
            return float(b)
        if np.sign(there) != np.sign(here):
            return float(brentq(function, min(a, b), max(a, b), xtol=1e-12, rtol=1e-12))
        if b == floor:
            return float(floor)
        a, step = b, step * 1.6
    return float("nan")
