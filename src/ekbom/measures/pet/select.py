"""Choice between models by the corrected Akaike criterion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ekbom.errors import Refused

Array = NDArray[np.float64]


def aicc(rss: ArrayLike, n: int, n_free: int) -> Array:
    """Return Akaike's criterion, corrected for few data.

    Parameters
    ----------
    rss : (...) array
        Weighted residual sums of squares; weights of mean 1.
    n : int
        Frames with weight.
    n_free : int
        Parameters that were estimated. A blood volume or delay that was given
        is not one of them; the variance is counted here.

    Returns
    -------
    (...) array
        ``n ln(rss/n) + 2p + 2p(p+1)/(n-p-1)``, ``p = n_free + 1``; ``inf`` when
        there are too few frames.

    References
    ----------
    Hurvich CM, Tsai CL (1989). Biometrika 76:297-307. doi:10.1093/biomet/76.2.297
    """
    values = np.asarray(rss, dtype=np.float64)
    p = n_free + 1
    if n - p - 1 <= 0:
        return np.where(np.isfinite(values), np.inf, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(n * np.log(values / n) + 2 * p + 2 * p * (p + 1) / (n - p - 1))


def akaike_weights(criteria: ArrayLike) -> Array:
    """Return the relative support of each model.

    Parameters
    ----------
    criteria : (M, ...) array
        AICc of M models of the same data.

    Returns
    -------
    (M, ...) array
        Sums to 1 over models; a model without a value has 0.
    """
    values = np.asarray(criteria, dtype=np.float64)
    known = np.where(np.isnan(values), np.inf, values)
    least = known.min(axis=0)
    least = np.where(np.isfinite(least), least, 0.0)
    share = np.exp(-(known - least) / 2)
    total = share.sum(axis=0)
    return np.asarray(np.where(total > 0, share / np.where(total > 0, total, 1.0), np.nan))


@dataclass(frozen=True, eq=False)
class Choice:
    """Which model, for each region and for all of them.

    Attributes
    ----------
    model : str
        The one with the most Akaike weight over regions.
    best : tuple of str
        The best of each region.
    weights : mapping of str to (N,) array
        Akaike weights.
    """

    model: str
    best: tuple[str, ...]
    weights: Mapping[str, Array]


def choose(criteria: Mapping[str, ArrayLike]) -> Choice:
    """Choose between models of the same frames, weights and axis.

    Parameters
    ----------
    criteria : mapping of str to (N,) array
        AICc by model. Graphical models fit other frames or another quantity:
        their criteria cannot be compared with those of compartments.

    Returns
    -------
    Choice
        The model of each region, that of the study, and Akaike weights.

    Raises
    ------
    Refused
        When no model has a value in any region.
    """
    names = tuple(criteria)
    table = np.array([np.asarray(criteria[name], dtype=np.float64) for name in names])
    if table.size == 0 or not np.isfinite(table).any():
        raise Refused(
            "No model can be chosen: none has a criterion.", field="choose", found=", ".join(names)
        )
    share = akaike_weights(table)
    best = tuple(
        names[int(np.argmax(column))] if np.isfinite(column).all() else "n/a" for column in share.T
    )
    model = names[int(np.argmax(np.nansum(share, axis=1)))]
    return Choice(model, best, dict(zip(names, share, strict=True)))
