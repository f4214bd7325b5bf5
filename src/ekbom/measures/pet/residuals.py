"""Residuals of fits: on one scale, and whether their signs run as chance would have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

if TYPE_CHECKING:
    from ekbom.measures.pet.frames import Frames
    from ekbom.measures.pet.regional import Regional

Array = NDArray[np.float64]


def residuals(values: Array, regional: Regional, frames: Frames) -> dict[str, Array]:
    """Return weighted residuals by model, in units of each region's residual SD.

    Parameters
    ----------
    values : (N, F) array
        kBq/mL.
    regional : Regional
    frames : Frames

    Returns
    -------
    dict of str to (N, F) array
        NaN for frames that were not used; without models that predict no curve.
    """
    found = {}
    for model, fit in regional.fits.items():
        weighted = np.sqrt(regional.weights) * (values - fit.fitted)
        start = regional.tstar.get(model, -np.inf)
        weighted[:, (frames.start < start - 1e-9) | (regional.weights <= 0)] = np.nan
        used = np.isfinite(weighted).any(axis=0)
        if not used.any():
            continue  # a ratio has no curve to miss
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = np.sqrt(np.mean(np.square(weighted[:, used]), axis=1, keepdims=True))
            found[model] = weighted / spread
    return found


def runs_p(residual: Array) -> Array:
    """Return the two-sided p of the Wald-Wolfowitz runs test of the signs, row by row.

    Parameters
    ----------
    residual : (N, F) array
        Without NaN in a used row; rows with NaN or one sign only give NaN.

    Returns
    -------
    (N,) array
        Normal approximation.
    """
    sign = residual > 0
    plus = sign.sum(axis=1).astype(np.float64)
    n = float(residual.shape[1])
    minus = n - plus
    runs = 1 + (sign[:, 1:] != sign[:, :-1]).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = 2 * plus * minus / n + 1
        variance = (mean - 1) * (mean - 2) / (n - 1)
        z = (runs - mean) / np.sqrt(variance)
    p = 2 * ndtr(-np.abs(z))
    p[(plus == 0) | (minus == 0) | ~np.isfinite(residual).all(axis=1)] = np.nan
    return np.asarray(p)
