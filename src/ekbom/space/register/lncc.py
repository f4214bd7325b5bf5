"""Kernels of local normalised cross-correlation and its derivative.

In every window of (2 r + 1)^3 voxels the squared correlation of both images is
looked at, over the voxels that count. Its derivative by the value of one voxel
is a sum over the windows that hold it, so two passes of box sums give both,
whatever the radius.

References
----------
Avants BB, Epstein CL, Grossman M, Gee JC (2008). Symmetric diffeomorphic image
registration with cross-correlation. Medical Image Analysis 12:26-41.
doi:10.1016/j.media.2007.06.004
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float32]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def pull(
    image: Array,
    matrix: NDArray[np.float64],
    field: Array,
    mask: Array,
    out: Array,
    slope: Array,
    low: int,
    high: int,
) -> None:
    """Moving image at displaced voxels of the fixed lattice, trilinear, with its slopes.

    Parameters
    ----------
    image : (I, J, K) array
        Moving image; NaN is missing.
    matrix : (3, 4) array
        From indices of the fixed lattice to those of the moving image.
    field : (3, X, Y, Z) array
        Displacement in voxels of the fixed lattice.
    mask : (X, Y, Z) array
        Weight of the fixed voxels.
    out : (2, X, Y, Z) array
        Written: value (0 where not seen), and the weight of what lies inside the moving image.
    slope : (3, X, Y, Z) array
        Written: change of the value by a shift of one voxel of the fixed lattice.
    low, high : int
        Planes.
    """
    ni, nj, nk = image.shape
    for x in range(low, high):
        for y in range(mask.shape[1]):
            for z in range(mask.shape[2]):
                for c in range(2):
                    out[c, x, y, z] = 0.0
                for c in range(3):
                    slope[c, x, y, z] = 0.0
                if mask[x, y, z] == 0.0:
                    continue
                u, v, w = x + field[0, x, y, z], y + field[1, x, y, z], z + field[2, x, y, z]
                p = matrix[0, 0] * u + matrix[0, 1] * v + matrix[0, 2] * w + matrix[0, 3]
                q = matrix[1, 0] * u + matrix[1, 1] * v + matrix[1, 2] * w + matrix[1, 3]
                r = matrix[2, 0] * u + matrix[2, 1] * v + matrix[2, 2] * w + matrix[2, 3]
                i, j, k = math.floor(p), math.floor(q), math.floor(r)
                if i < 0 or j < 0 or k < 0 or i >= ni - 1 or j >= nj - 1 or k >= nk - 1:
                    continue
                a, b, c = p - i, q - j, r - k
                d00 = image[i + 1, j, k] - image[i, j, k]
                d10 = image[i + 1, j + 1, k] - image[i, j + 1, k]
                d01 = image[i + 1, j, k + 1] - image[i, j, k + 1]
                d11 = image[i + 1, j + 1, k + 1] - image[i, j + 1, k + 1]
                v00, v10 = image[i, j, k] + a * d00, image[i, j + 1, k] + a * d10
                v01, v11 = image[i, j, k + 1] + a * d01, image[i, j + 1, k + 1] + a * d11
                near, far = v00 + b * (v10 - v00), v01 + b * (v11 - v01)
                value = near + c * (far - near)
                if value != value:  # a voxel that is missing in the moving image does not count
                    continue
                out[0, x, y, z] = value
                out[1, x, y, z] = mask[x, y, z]
                e = (d00 + b * (d10 - d00)) * (1.0 - c) + c * (d01 + b * (d11 - d01))
                f = (v10 - v00) * (1.0 - c) + c * (v11 - v01)
                g = far - near
                for n in range(3):
                    slope[n, x, y, z] = matrix[0, n] * e + matrix[1, n] * f + matrix[2, n] * g


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def products(
    fixed: Array, moved: Array, seen: Array, radius: int, out: Array, low: int, high: int
) -> None:
    """Box sums along the last axis of 1, F, W, FF, WW and FW.

    Parameters
    ----------
    fixed, moved, seen : (X, Y, Z) array
        Both images and where they count.
    radius : int
        Of the window.
    out : (6, X, Y, Z) array
        Written.
    low, high : int
        Planes.
    """
    nz = fixed.shape[2]
    wide = np.zeros((6, nz + 2 * radius), np.float32)
    for x in range(low, high):
        for y in range(fixed.shape[1]):
            for z in range(nz):
                m, f, w = seen[x, y, z], fixed[x, y, z], moved[x, y, z]
                wide[0, z + radius] = m
                wide[1, z + radius] = m * f
                wide[2, z + radius] = m * w
                wide[3, z + radius] = m * f * f
                wide[4, z + radius] = m * w * w
                wide[5, z + radius] = m * f * w
            for c in range(6):
                row = out[c, x, y]
                row[:] = wide[c, :nz]
                for k in range(1, 2 * radius + 1):
                    part = wide[c, k : k + nz]
                    for z in range(nz):
                        row[z] += part[z]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def box_y(source: Array, radius: int, out: Array, low: int, high: int) -> None:
    """Box sums along the second axis.

    Parameters
    ----------
    source, out : (C, X, Y, Z) array
        Read and written.
    radius : int
        Of the window.
    low, high : int
        Planes.
    """
    ny, nz = source.shape[2:]
    for c in range(source.shape[0]):
        for x in range(low, high):
            for y in range(ny):
                row = out[c, x, y]
                row[:] = 0.0
                for p in range(max(0, y - radius), min(ny, y + radius + 1)):
                    other = source[c, x, p]
                    for z in range(nz):
                        row[z] += other[z]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def windows(
    sums: Array,
    mask: Array,
    radius: int,
    floor: float,
    out: Array,
    total: NDArray[np.float64],
    low: int,
    high: int,
) -> None:
    """Squared correlation of every window and what its derivative is made of.

    Parameters
    ----------
    sums : (6, X, Y, Z) array
        Box sums along two axes; the first axis is summed here.
    mask : (X, Y, Z) array
        Windows about voxels above 0 count.
    radius : int
        Of the window.
    floor : float
        Variance that is added to that of a voxel, so that noise does not count as structure.
    out : (3, X, Y, Z) array
        Written: factors of F and W, and the constant.
    total : (X, 2) array
        Written: sum of the squared correlation and number of windows, by plane.
    low, high : int
        Planes.
    """
    nx, ny, nz = mask.shape
    acc = np.zeros((6, nz), np.float32)
    for x in range(low, high):
        value, count = 0.0, 0.0
        for y in range(ny):
            acc[:] = 0.0
            for p in range(max(0, x - radius), min(nx, x + radius + 1)):
                for c in range(6):
                    other, mine = sums[c, p, y], acc[c]
                    for z in range(nz):
                        mine[z] += other[z]
            for z in range(nz):
                n = acc[0, z]
                out[0, x, y, z] = 0.0
                out[1, x, y, z] = 0.0
                out[2, x, y, z] = 0.0
                if mask[x, y, z] == 0.0 or n < 4.0:
                    continue
                f, w = acc[1, z] / n, acc[2, z] / n
                vf = max(acc[3, z] - f * acc[1, z], np.float32(0.0)) + n * floor
                vw = max(acc[4, z] - w * acc[2, z], np.float32(0.0)) + n * floor
                both = acc[5, z] - f * acc[2, z]
                a = 2.0 * abs(both) / (vf * vw)
                b = a * both / vw
                out[0, x, y, z] = a
                out[1, x, y, z] = b
                out[2, x, y, z] = b * w - a * f
                value += 0.5 * a * both
                count += 1.0
        total[x, 0], total[x, 1] = value, count


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def force(
    sums: Array, fixed: Array, pulled: Array, slope: Array, radius: int, low: int, high: int
) -> None:
    """Derivative of the sum of squared correlations by the displacement.

    Parameters
    ----------
    sums : (3, X, Y, Z) array
        Factors, box-summed along the last two axes; the first is summed here.
    fixed : (X, Y, Z) array
        Fixed image.
    pulled : (2, X, Y, Z) array
        Moving image and where it counts.
    slope : (3, X, Y, Z) array
        Slopes of the moving image; multiplied by the derivative by its value.
    radius : int
        Of the window.
    low, high : int
        Planes.
    """
    nx, ny, nz = fixed.shape
    acc = np.zeros((3, nz), np.float32)
    for x in range(low, high):
        for y in range(ny):
            acc[:] = 0.0
            for p in range(max(0, x - radius), min(nx, x + radius + 1)):
                for c in range(3):
                    other, mine = sums[c, p, y], acc[c]
                    for z in range(nz):
                        mine[z] += other[z]
            for z in range(nz):
                rate = acc[0, z] * fixed[x, y, z] - acc[1, z] * pulled[0, x, y, z] + acc[2, z]
                for c in range(3):
                    slope[c, x, y, z] *= rate
