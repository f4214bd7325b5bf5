"""Cubic B-spline values of an image at points that are a matrix away from its voxels.

One pass over the wanted voxels: nothing but the result is kept, and the voxels
that hold nothing are not asked for. float64; every voxel is computed alone.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ekbom.space.between import basis

Array = NDArray[np.float64]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def spline_at(weights: Array, matrix: Array, where: NDArray[np.int64], out: Array) -> None:
    """Sum the spline at the points of some voxels.

    Parameters
    ----------
    weights : (X, Y, Z) array
        Spline coefficients, as ``scipy.ndimage.spline_filter`` gives them; 0 beyond.
    matrix : (4, 4) array
        Voxel index to the index at which the image is asked.
    where : (N,) array of int
        Voxels, flat in C order.
    out : (X * Y * Z,) array
        Written at ``where`` only.
    """
    nx, ny, nz = weights.shape
    bx, by, bz = np.empty(4), np.empty(4), np.empty(4)
    for n in range(where.shape[0]):
        flat = where[n]
        c = flat % nz
        b = (flat // nz) % ny
        a = flat // (nz * ny)
        x = matrix[0, 0] * a + matrix[0, 1] * b + matrix[0, 2] * c + matrix[0, 3]
        y = matrix[1, 0] * a + matrix[1, 1] * b + matrix[1, 2] * c + matrix[1, 3]
        z = matrix[2, 0] * a + matrix[2, 1] * b + matrix[2, 2] * c + matrix[2, 3]
        i, j, k = math.floor(x), math.floor(y), math.floor(z)
        basis(x - i, bx)
        basis(y - j, by)
        basis(z - k, bz)
        total = 0.0
        for p in range(4):
            q = i + p - 1
            if q < 0 or q >= nx:
                continue
            for r in range(4):
                s = j + r - 1
                if s < 0 or s >= ny:
                    continue
                line = 0.0
                for t in range(4):
                    u = k + t - 1
                    if 0 <= u < nz:
                        line += bz[t] * weights[q, s, u]
                total += bx[p] * by[r] * line
        out[flat] = total
