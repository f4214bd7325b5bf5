"""Two groups compared in many replicates at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]


def signs(t: Any, p: Any, alpha: float) -> NDArray[Any]:
    """Return the sign of each statistic, 0 where its p is not under alpha.

    Parameters
    ----------
    t, p : array
        Statistic and p.
    alpha : float
        Level.

    Returns
    -------
    array of str
        ``+``, ``-`` and ``0``.
    """
    return np.where(p < alpha, np.where(t > 0, "+", "-"), "0")


def compare(x: Array, y: Array, statistic: str | None, alpha: float) -> NDArray[Any]:
    """Return the statistic of two groups in each replicate.

    Parameters
    ----------
    x, y : (R, n) array
        Measurements of the groups.
    statistic : str or None
        ``mean_diff``, ``median_diff``, ``percent_diff``; the sign of Welch's t by default.
    alpha : float
        Level of the sign.

    Returns
    -------
    (R,) array
        Numbers, or ``+``, ``-`` and ``0``.
    """
    if statistic == "mean_diff":
        return np.asarray(x.mean(1) - y.mean(1))
    if statistic == "median_diff":
        return np.asarray(np.median(x, 1) - np.median(y, 1))
    if statistic == "percent_diff":
        return np.asarray(100 * (x.mean(1) / y.mean(1) - 1))
    # Welch by hand: a quantity that no one varies in has no difference, without a warning
    a, b = x.var(1, ddof=1) / x.shape[1], y.var(1, ddof=1) / y.shape[1]
    floor = 1e-24 * (1.0 + y.mean(1) ** 2)
    a, b = a + floor, b + floor
    t = np.where(a + b > 10 * floor, (x.mean(1) - y.mean(1)) / np.sqrt(a + b), 0.0)
    df = (a + b) ** 2 / (a**2 / (x.shape[1] - 1) + b**2 / (y.shape[1] - 1))
    return signs(t, 2 * stats.t.sf(np.abs(t), df), alpha)
