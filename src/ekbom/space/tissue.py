"""Grey matter, white matter and fluid of a T1-weighted image, by brightness.

Three normal distributions on the brightness inside the brain, with a smooth
shading that is found beside them. No map of the template takes part, so that the
result can be held against the template.

References
----------
Wells WM, Grimson WEL, Kikinis R, Jolesz FA (1996). Adaptive segmentation of MRI
data. IEEE Trans Med Imaging 15:429-442. doi:10.1109/42.511747
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Rounds of classes and shading.
_ROUNDS = 4
_STEPS = 25
#: Classes from dark to bright, as they start: shares of the sorted brightness.
_START = (0.08, 0.45, 0.85)


@dataclass(frozen=True, eq=False)
class Tissue:
    """Shares of three tissues in each voxel.

    Parameters
    ----------
    fluid, grey, white : (X, Y, Z) array
        Probabilities, 0 outside the mask.
    """

    fluid: Array
    grey: Array
    white: Array


def classify(t1: NDArray[np.floating], mask: NDArray[np.bool_]) -> Tissue:
    """Tell grey matter, white matter and fluid apart by brightness.

    Parameters
    ----------
    t1 : (X, Y, Z) array
        T1-weighted image: white matter is brightest.
    mask : (X, Y, Z) array of bool
        The brain.

    Returns
    -------
    Tissue
        In the mask where the image is above zero.
    """
    image = np.asarray(t1, dtype=np.float64)
    inside = mask & np.isfinite(image) & (image > 0)
    shares = np.zeros((3, *image.shape))
    if np.count_nonzero(inside) < 100:
        return Tissue(*shares)
    bright = np.log(image[inside])
    low, high = np.quantile(bright, [0.005, 0.995])
    clipped = np.clip(bright, low, high)
    terms = _terms(inside)
    shade = np.zeros(bright.size)
    means = np.quantile(clipped, _START)
    spread = np.full(3, max(float(clipped.std()) / 3.0, 1e-6))
    weight = np.array([0.2, 0.45, 0.35])
    given = np.zeros((3, bright.size))
    for _ in range(_ROUNDS):
        flat = clipped - shade
        for _ in range(_STEPS):
            given = _given(flat, means, spread, weight)
            whole = given.sum(axis=1) + 1e-9
            means = (given @ flat) / whole
            gap = flat - means[:, None]
            spread = np.sqrt((given * gap**2).sum(axis=1) / whole + 1e-8)
            weight = whole / whole.sum()
        # What white and grey matter leave over, fitted by a smooth polynomial.
        trust = given[1] / spread[1] ** 2 + given[2] / spread[2] ** 2
        rest = clipped - (
            given[1] * means[1] / spread[1] ** 2 + given[2] * means[2] / spread[2] ** 2
        ) / np.maximum(trust, 1e-12)
        root = np.sqrt(trust)
        found, *_ = np.linalg.lstsq(terms * root[:, None], rest * root, rcond=None)
        shade = terms @ found
        shade -= shade.mean()
    order = np.argsort(means)
    shares[:, inside] = _given(clipped - shade, means, spread, weight)[order]
    return Tissue(*shares)


def _given(flat: Array, means: Array, spread: Array, weight: Array) -> Array:
    log = (
        np.log(weight)[:, None]
        - np.log(spread)[:, None]
        - 0.5 * ((flat - means[:, None]) / spread[:, None]) ** 2
    )
    log -= log.max(axis=0)
    share = np.exp(log)
    return np.asarray(share / share.sum(axis=0))


def _terms(inside: NDArray[np.bool_]) -> Array:
    # Polynomials up to the second order of the position, without the constant's
    # rivals: brightness itself belongs to the classes.
    place = np.argwhere(inside).astype(np.float64)
    place = 2.0 * place / np.maximum(np.array(inside.shape) - 1, 1) - 1.0
    x, y, z = place.T
    return np.column_stack([np.ones_like(x), x, y, z, x * x, y * y, z * z, x * y, x * z, y * z])
