"""A generalised Pareto tail for the permuted maximum: p below one over the number of draws.

The largest quarter of the draws is taken, and less until the tail fits (Anderson-Darling
p above .1 by its own simulation); shape and scale are those of moments (Knijnenburg 2009;
Winkler 2016). It is an approximation and stands beside the permutation p, never in its
place.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

SHARES = tuple(round(0.25 - 0.02 * i, 2) for i in range(12))
"""Shares of the draws that are tried as the tail, the largest first."""
LEAST = 20
"""Fewest draws a tail is fitted to."""
BELOW = 0.1
"""Only a permutation p under this is extrapolated."""
TAIL = ("p_tail", "p_tail_low", "p_tail_high")
"""Columns of a table that holds it."""
_LEVEL = 0.1
_SIMULATED = 400
_RESAMPLED = 500


@dataclass(frozen=True)
class Tail:
    """A generalised Pareto tail: P(M > x) = share (1 + shape (x - threshold) / scale)^(-1/shape).

    Parameters
    ----------
    threshold : float
        Where it begins.
    shape, scale : float
        Shape (under 0: the tail ends; 0: exponential) and scale.
    share : float
        Share of the draws above the threshold.
    n : int
        How many those are.
    """

    threshold: float
    shape: float
    scale: float
    share: float
    n: int

    def p(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return the tail probability at or above the threshold; NaN beneath it."""
        over = np.asarray(x, float) - self.threshold
        return np.where(over >= 0.0, self.share * survival(over, self.shape, self.scale), np.nan)


def survival(over: ArrayLike, shape: float, scale: float) -> NDArray[np.float64]:
    """Return the survival function of the generalised Pareto distribution.

    Examples
    --------
    >>> survival(1.0, 0.0, 2.0).round(6)
    np.float64(0.606531)
    >>> survival(3.0, -1.0, 2.0)
    array(0.)
    """
    y = np.asarray(over, float) / scale
    if abs(shape) < 1e-9:
        return np.asarray(np.exp(-y))
    with np.errstate(divide="ignore"):
        return np.asarray(np.maximum(1.0 + shape * y, 0.0) ** (-1.0 / shape))


def fit_tail(null: NDArray[np.float64]) -> Tail | None:
    """Fit the tail of the maxima.

    Parameters
    ----------
    null : (N + 1,) float
        Maxima; the first is that of the data and is left out.

    Returns
    -------
    Tail or None
        None when no share of the draws fits.
    """
    draws = np.sort(np.asarray(null[1:], float))
    n = len(draws)
    for share in SHARES:
        k = int(share * n)
        if k < LEAST:
            return None
        threshold = 0.5 * (draws[n - k] + draws[n - k - 1])
        over = draws[n - k :] - threshold
        if not over[0] > 0.0:  # tied with what lies beneath: extents of few voxels
            continue
        shape, scale = (float(a) for a in _moments(over))
        if not shape < 0.5:
            continue
        if float(_anderson(over, shape, scale)) <= _critical(k, round(max(shape, -2.0), 1)):
            return Tail(float(threshold), shape, scale, k / n, k)
    return None


def tail_p(
    null: NDArray[np.float64],
    values: NDArray[np.float64],
    p: NDArray[np.float64],
    seed: int = 0,
    interval: float = 0.95,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return p by the tail with its bootstrap limits.

    Parameters
    ----------
    null : (N + 1,) float
        Maxima, that of the data first.
    values : (V,) float
        Observed values.
    p : (V,) float
        Their permutation p: only those under .1 are extrapolated.
    seed : int
        Of the bootstrap over draws.
    interval : float
        Coverage of the limits.

    Returns
    -------
    tuple of three (V,) arrays
        p, lower and upper limit; NaN where there is none. Beyond the end of a bounded tail
        the upper limit is given as p, since a p of 0 would claim what no draw can show.
    """
    values = np.asarray(values, float)
    out = np.full((3, len(values)), np.nan)
    tail = fit_tail(null)
    if tail is None:
        return out[0], out[1], out[2]
    draws = np.asarray(null[1:], float)
    over = draws[draws > tail.threshold] - tail.threshold
    wanted = np.flatnonzero((np.asarray(p) < BELOW) & (values >= tail.threshold))
    if len(wanted) == 0:
        return out[0], out[1], out[2]
    away = values[wanted] - tail.threshold
    rng = np.random.default_rng([seed, len(draws)])
    again = np.zeros((_RESAMPLED, len(wanted)))
    for b in range(_RESAMPLED):
        k = int(rng.binomial(len(draws), tail.share))
        drawn = over[rng.integers(0, len(over), max(k, 2))]
        shape, scale = (float(a) for a in _moments(drawn))
        again[b] = k / len(draws) * survival(away, min(shape, 0.5), scale)
    outer = 100 * (1.0 - interval) / 2.0
    low, high = np.percentile(again, [outer, 100 - outer], axis=0)
    point = tail.p(values[wanted])
    out[0, wanted] = np.where(point > 0.0, point, np.where(high > 0.0, high, np.nan))
    out[1, wanted], out[2, wanted] = low, high
    return out[0], out[1], out[2]


def _moments(over: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shape and scale from mean and variance, along the last axis, (2, ...)."""
    mean = over.mean(axis=-1)
    ratio = np.square(mean) / np.maximum(over.var(axis=-1, ddof=1), 1e-300)
    return np.stack([0.5 * (1.0 - ratio), 0.5 * mean * (ratio + 1.0)])


def _anderson(over: NDArray[np.float64], shape: Any, scale: Any) -> NDArray[np.float64]:
    """Anderson-Darling statistic of sorted excesses, along the last axis."""
    n = over.shape[-1]
    y = over / np.asarray(scale)[..., None]
    shape = np.asarray(shape)[..., None]
    inner = np.maximum(1.0 + shape * y, 1e-12)
    safe = np.where(np.abs(shape) < 1e-9, 1.0, shape)
    log_s = np.where(np.abs(shape) < 1e-9, -y, -np.log(inner) / safe)
    log_s = np.minimum(log_s, -1e-15)
    log_f = np.log(-np.expm1(log_s))
    weight = 2.0 * np.arange(1, n + 1) - 1.0
    return np.asarray(-n - (weight * (log_f + log_s[..., ::-1])).sum(axis=-1) / n)


@lru_cache(maxsize=4096)
def _critical(n: int, shape: float) -> float:
    """Statistic that a true tail passes in one case of ten, when shape and scale are fitted."""
    rng = np.random.default_rng([n, round(10 * shape) + 1000])
    u = rng.random((_SIMULATED, n))
    over = -np.log(u) if abs(shape) < 1e-9 else np.expm1(-shape * np.log(u)) / shape
    over.sort(axis=1)
    return float(np.quantile(_anderson(over, *_moments(over)), 1.0 - _LEVEL))
