"""Corrections over the regions or voxels of one declared family."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def bonferroni(p: ArrayLike) -> NDArray[np.float64]:
    """Return p times the number of tests, at most 1; missing p stay missing and do not count."""
    p = np.asarray(p, float)
    return np.asarray(np.minimum(p * np.isfinite(p).sum(), 1.0))


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Return Holm's step-down adjusted p (Holm 1979, Scand J Stat 6:65).

    Parameters
    ----------
    p : array_like, (m,)
        Uncorrected p; NaN where nothing was tested, which does not count.

    Returns
    -------
    ndarray, (m,)
        Adjusted p, never below ``p``.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p, float)
    out = np.full(p.shape, np.nan)
    index, ordered = _ordered(p)
    m = len(ordered)
    out[index] = np.minimum(np.maximum.accumulate(ordered * (m - np.arange(m))), 1.0)
    return out


def benjamini_hochberg(p: ArrayLike) -> NDArray[np.float64]:
    """Return false-discovery-rate adjusted p (Benjamini & Hochberg 1995, JRSS B 57:289).

    Parameters
    ----------
    p : array_like, (m,)
        Uncorrected p; NaN where nothing was tested, which does not count.

    Returns
    -------
    ndarray, (m,)
        Adjusted p.

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.04, 0.04]
    """
    p = np.asarray(p, float)
    out = np.full(p.shape, np.nan)
    index, ordered = _ordered(p)
    m = len(ordered)
    raw = ordered * m / np.arange(1, m + 1)
    out[index] = np.minimum(np.minimum.accumulate(raw[::-1])[::-1], 1.0)
    return out


def _ordered(p: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    index = np.flatnonzero(np.isfinite(p))
    index = index[np.argsort(p[index], kind="stable")]
    return index, p[index]
