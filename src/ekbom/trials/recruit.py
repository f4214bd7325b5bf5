"""People chosen as a study chose them: towards a mean and spread of the score, or in strata."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

Array = NDArray[np.float64]
#: Width of a band of scores, points.
_BAND = 4.0


def towards(score: Array, weight: Array, mean: float, sd: float) -> Array:
    """Return weights under which the score has about a normal distribution.

    Parameters
    ----------
    score, weight : (n,) float
        Score of each person, and how many people each stands for.
    mean, sd : float
        What the study says its patients had.

    Returns
    -------
    (n,) array
        Weights, sum 1: those of each band of four points are scaled to the mass the
        normal distribution gives it. A band without people is left out.
    """
    edges = np.arange(np.floor(score.min()), score.max() + 2 * _BAND, _BAND)
    band = np.digitize(score, edges) - 1
    have = np.bincount(band, weight, len(edges))
    want = np.diff(norm.cdf(np.r_[edges, edges[-1] + _BAND], mean, sd))
    scaled: Array = weight * want[band] / np.maximum(have[band], 1e-300)
    out: Array = np.asarray(scaled / scaled.sum(), dtype=np.float64)
    return out


def resampled(weight: Array, count: int) -> NDArray[np.intp]:
    """Return rows so often as their weights say, by systematic resampling.

    Parameters
    ----------
    weight : (n,) float
        Weights, sum 1.
    count : int
        Number of rows.

    Returns
    -------
    (count,) array of int
        Rows, in order; no draw is involved.
    """
    at = (np.arange(count) + 0.5) / count
    rows: NDArray[np.intp] = np.searchsorted(np.cumsum(weight), at)
    return np.minimum(rows, len(weight) - 1)
