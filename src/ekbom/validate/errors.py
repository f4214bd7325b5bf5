"""Monte-Carlo errors of what a closed loop counts, when its units are nights and events."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

#: Resamples of a median.
_DRAWS = 200


def binomial_error(share: float, n: int) -> float:
    """Return the standard error of a share, after Agresti and Coull: 0 or 1 has one too.

    Parameters
    ----------
    share : float
        0 to 1.
    n : int
        Trials.

    Returns
    -------
    float
        Positive.
    """
    p = (share * n + 2) / (n + 4)
    return math.sqrt(p * (1 - p) / (n + 4))


def f1_error(hits: Sequence[int], wrong: Sequence[int]) -> float:
    """Return the standard error of F1 over recordings, by the jackknife.

    Parameters
    ----------
    hits, wrong : sequence of int
        Found events, and false plus missed ones, of each recording.

    Returns
    -------
    float
        NaN of fewer than two recordings.
    """
    h, w = np.asarray(hits, dtype=float), np.asarray(wrong, dtype=float)
    n = h.size
    if n < 2:
        return math.nan
    rest_h, rest_w = h.sum() - h, w.sum() - w
    each = 2 * rest_h / np.maximum(2 * rest_h + rest_w, 1)
    return float(np.sqrt((n - 1) / n * np.sum((each - each.mean()) ** 2)))


def median_error(values: ArrayLike, seed: int = 1) -> float:
    """Return the standard error of the median of the sizes of values, by the bootstrap.

    Parameters
    ----------
    values : (n,) array
        Errors of single events; their signs do not matter.
    seed : int
        Of the resamples.

    Returns
    -------
    float
        NaN of fewer than two values.
    """
    size = np.abs(np.asarray(values, dtype=float))
    if size.size < 2:
        return math.nan
    rng = np.random.default_rng(seed)
    medians = [np.median(size[rng.integers(0, size.size, size.size)]) for _ in range(_DRAWS)]
    return float(np.std(medians, ddof=1))


def mean_words(errors: ArrayLike) -> str:
    """Return a mean error with its standard error, in words for a note."""
    x = np.asarray(errors, dtype=float)
    if x.size < 2:
        return f"mean {x.mean():+.2f}" if x.size else "none"
    return f"mean {x.mean():+.2f}, standard error {x.std(ddof=1) / math.sqrt(x.size):.2f}"
