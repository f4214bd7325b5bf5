"""Displacements of a field at any points: one pass, no copies.

float64 throughout; every point is computed alone, so the result does not
depend on which other points are asked for.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def displaced(field: Array, to_index: Array, world: Array, out: Array) -> None:
    """Move points by a trilinear field; beyond its voxels it is 0.

    Parameters
    ----------
    field : (X, Y, Z, 3) array
        Displacement, mm.
    to_index : (4, 4) array
        World to index.
    world, out : (P, 3) array
        Points, and where they go.
    """
    nx, ny, nz, _ = field.shape
    m = to_index
    for p in range(world.shape[0]):
        a, b, c = world[p, 0], world[p, 1], world[p, 2]
        x = m[0, 0] * a + m[0, 1] * b + m[0, 2] * c + m[0, 3]
        y = m[1, 0] * a + m[1, 1] * b + m[1, 2] * c + m[1, 3]
        z = m[2, 0] * a + m[2, 1] * b + m[2, 2] * c + m[2, 3]
        u = v = w = 0.0
        if -1.0 < x < nx and -1.0 < y < ny and -1.0 < z < nz:
            i, j, k = math.floor(x), math.floor(y), math.floor(z)
            for corner in range(8):
                q, r, s = i + (corner >> 2), j + ((corner >> 1) & 1), k + (corner & 1)
                if q < 0 or r < 0 or s < 0 or q >= nx or r >= ny or s >= nz:
                    continue
                share = (1.0 - abs(x - q)) * (1.0 - abs(y - r)) * (1.0 - abs(z - s))
                u += share * field[q, r, s, 0]
                v += share * field[q, r, s, 1]
                w += share * field[q, r, s, 2]
        out[p, 0], out[p, 1], out[p, 2] = a + u, b + v, c + w
