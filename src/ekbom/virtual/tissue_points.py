"""Tissue and region of any points of the template: one pass, no copies.

float64; every point is computed alone, so the result does not depend on which
other points are asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ekbom.space.template import Template
from ekbom.virtual.regions import ellipsoids

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Tissue:
    """Tissue of some points.

    Parameters
    ----------
    grey, white, csf : (N,) array
        Shares, sum at most 1.
    region : (N,) array of int
        Index of the ellipsoid plus one, negative on the left side, 0 outside all.
    """

    grey: Array
    white: Array
    csf: Array
    region: NDArray[np.int16]


def tissue_at(points: Array, base: Template) -> Tissue:
    """Return the tissue of points of the template.

    Parameters
    ----------
    points : (N, 3) array
        Template mm.
    base : Template
        At any resolution.

    Returns
    -------
    Tissue
        Trilinear. A point outside the brain mask holds nothing; CSF is what grey and
        white matter leave inside it.
    """
    points = np.ascontiguousarray(points, dtype=np.float64)
    shares = np.zeros((3, len(points)))
    region = np.zeros(len(points), dtype=np.int16)
    to_index = np.linalg.inv(base.grid.affine)
    _shares(base.grey, base.white, base.brain, to_index, points, shares)
    places = ellipsoids()
    centres = np.array([place.centre for place in places], dtype=np.float64)
    radii = np.array([place.radii for place in places], dtype=np.float64)
    _regions(centres, radii, points, region)
    return Tissue(shares[0], shares[1], shares[2], region)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _shares(
    grey: NDArray[np.float32], white: NDArray[np.float32], brain: NDArray[np.bool_],
    to_index: Array, points: Array, out: Array,
) -> None:  # fmt: skip
    """Write grey, white and CSF of each point; zeros lie beyond the maps."""
    nx, ny, nz = grey.shape
    m = to_index
    for p in range(points.shape[0]):
        a, b, c = points[p, 0], points[p, 1], points[p, 2]
        x = m[0, 0] * a + m[0, 1] * b + m[0, 2] * c + m[0, 3]
        y = m[1, 0] * a + m[1, 1] * b + m[1, 2] * c + m[1, 3]
        z = m[2, 0] * a + m[2, 1] * b + m[2, 2] * c + m[2, 3]
        if not (-1.0 < x < nx and -1.0 < y < ny and -1.0 < z < nz):
            continue
        i, j, k = math.floor(x), math.floor(y), math.floor(z)
        g = w = mask = 0.0
        for corner in range(8):
            q, r, s = i + (corner >> 2), j + ((corner >> 1) & 1), k + (corner & 1)
            if q < 0 or r < 0 or s < 0 or q >= nx or r >= ny or s >= nz:
                continue
            share = (1.0 - abs(x - q)) * (1.0 - abs(y - r)) * (1.0 - abs(z - s))
            g += share * grey[q, r, s]
            w += share * white[q, r, s]
            if brain[q, r, s]:
                mask += share
        g *= mask
        w *= mask
        over = max(g + w, 1.0)
        g /= over
        w /= over
        out[0, p], out[1, p], out[2, p] = g, w, max(mask - g - w, 0.0)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _regions(centres: Array, radii: Array, points: Array, out: NDArray[np.int16]) -> None:
    """Write the first ellipsoid that holds each point; both sides alike."""
    for p in range(points.shape[0]):
        x, y, z = abs(points[p, 0]), points[p, 1], points[p, 2]
        for n in range(centres.shape[0]):
            v = (y - centres[n, 1]) / radii[n, 1]
            if abs(v) >= 1.0:
                continue
            u = (x - centres[n, 0]) / radii[n, 0]
            w = (z - centres[n, 2]) / radii[n, 2]
            if u * u + v * v + w * w <= 1.0:
                out[p] = -(n + 1) if points[p, 0] < 0 else n + 1
                break
