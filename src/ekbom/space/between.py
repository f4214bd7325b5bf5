"""Values of an image between its voxels: kernels behind every interpolation.

One pass over the wanted places, without lists of neighbours in between. float64
throughout; every place is looked at alone, so a value does not depend on which
other places are asked for, nor on threads.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def indices(matrix: Array, snap: float, out: Array) -> None:
    """Index into another grid of every voxel of one.

    Parameters
    ----------
    matrix : (4, 4) array
        From voxels to voxels.
    snap : float
        What lies closer than this to a whole number is that number.
    out : (3, X, Y, Z) array
        Written.
    """
    m = matrix
    for k in range(3):
        for a in range(out.shape[1]):
            for b in range(out.shape[2]):
                start = m[k, 0] * a + m[k, 1] * b
                for c in range(out.shape[3]):
                    value = start + (m[k, 2] * c + m[k, 3])
                    whole = math.floor(value + 0.5)
                    out[k, a, b, c] = whole if abs(value - whole) < snap else value


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def linear(image: Array, index: Array, out: Array) -> None:
    """Trilinear values; beyond the image everything is 0.

    Parameters
    ----------
    image : (X, Y, Z) array
        Finite values.
    index : (3, P) array
        Where, in voxels.
    out : (P,) array
        Written.
    """
    nx, ny, nz = image.shape
    for p in range(index.shape[1]):
        x, y, z = index[0, p], index[1, p], index[2, p]
        if not (-1.0 < x < nx and -1.0 < y < ny and -1.0 < z < nz):
            out[p] = 0.0
            continue
        i, j, k = math.floor(x), math.floor(y), math.floor(z)
        a, b, c = x - i, y - j, z - k
        if 0 <= i < nx - 1 and 0 <= j < ny - 1 and 0 <= k < nz - 1:
            near = (1.0 - c) * image[i, j, k] + c * image[i, j, k + 1]
            far = (1.0 - c) * image[i, j + 1, k] + c * image[i, j + 1, k + 1]
            front = (1.0 - b) * near + b * far
            near = (1.0 - c) * image[i + 1, j, k] + c * image[i + 1, j, k + 1]
            far = (1.0 - c) * image[i + 1, j + 1, k] + c * image[i + 1, j + 1, k + 1]
            out[p] = (1.0 - a) * front + a * ((1.0 - b) * near + b * far)
            continue
        total = 0.0
        for corner in range(8):
            u, v, w = corner >> 2, (corner >> 1) & 1, corner & 1
            q, r, s = i + u, j + v, k + w
            if q < 0 or r < 0 or s < 0 or q >= nx or r >= ny or s >= nz:
                continue
            share = (a if u else 1.0 - a) * (b if v else 1.0 - b) * (c if w else 1.0 - c)
            total += share * image[q, r, s]
        out[p] = total


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def cubic(weights: Array, image: Array, index: Array, share: Array, out: Array) -> None:
    """Cubic B-spline, clipped to the range of the voxels around; mirrored at the rim.

    Parameters
    ----------
    weights : (X, Y, Z) array
        Spline coefficients, as ``scipy.ndimage.spline_filter(mode="mirror")`` gives them.
    image : (X, Y, Z) array
        What they are the coefficients of.
    index : (3, P) array
        Where, in voxels.
    share : (P,) array
        Places with less than a half of it are left out.
    out : (P,) array
        Written; NaN where left out.
    """
    nx, ny, nz = image.shape
    bx, by, bz = np.empty(4), np.empty(4), np.empty(4)
    for p in range(index.shape[1]):
        if not share[p] >= 0.5:
            out[p] = np.nan
            continue
        x, y, z = index[0, p], index[1, p], index[2, p]
        i, j, k = math.floor(x), math.floor(y), math.floor(z)
        basis(x - i, bx)
        basis(y - j, by)
        basis(z - k, bz)
        total = 0.0
        if 1 <= i < nx - 2 and 1 <= j < ny - 2 and 1 <= k < nz - 2:
            for u in range(4):
                plane = 0.0
                for v in range(4):
                    q, r = i + u - 1, j + v - 1
                    plane += by[v] * (
                        bz[0] * weights[q, r, k - 1]
                        + bz[1] * weights[q, r, k]
                        + bz[2] * weights[q, r, k + 1]
                        + bz[3] * weights[q, r, k + 2]
                    )
                total += bx[u] * plane
        else:
            for u in range(4):
                q = _mirrored(i + u - 1, nx)
                for v in range(4):
                    r = _mirrored(j + v - 1, ny)
                    for w in range(4):
                        s = _mirrored(k + w - 1, nz)
                        total += bx[u] * by[v] * bz[w] * weights[q, r, s]
        # the voxels around, those at the rim instead of those beyond
        i0, j0, k0 = min(max(i, 0), nx - 1), min(max(j, 0), ny - 1), min(max(k, 0), nz - 1)
        low = high = image[i0, j0, k0]
        if x != i or y != j or z != k:
            for corner in range(1, 8):
                q = min(i0 + (corner >> 2), nx - 1)
                r = min(j0 + ((corner >> 1) & 1), ny - 1)
                s = min(k0 + (corner & 1), nz - 1)
                low, high = min(low, image[q, r, s]), max(high, image[q, r, s])
        out[p] = min(max(total, low), high)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")  # type: ignore[untyped-decorator]
def basis(d: float, out: Array) -> None:
    """The four cubic B-splines that reach a point behind a voxel.

    Parameters
    ----------
    d : float
        How far behind, 0 to 1 voxel.
    out : (4,) array
        Written: weights, from the voxel before.
    """
    e = 1.0 - d
    out[0] = e * e * e / 6.0
    out[1] = 2.0 / 3.0 - d * d * (1.0 - d / 2.0)
    out[2] = 2.0 / 3.0 - e * e * (1.0 - e / 2.0)
    out[3] = d * d * d / 6.0


@njit(cache=True, nogil=True, error_model="numpy", inline="always")  # type: ignore[untyped-decorator]
def _mirrored(q: int, n: int) -> int:
    """Index of a voxel of an image that is mirrored about its outermost voxels."""
    if n == 1:
        return 0
    period = 2 * (n - 1)
    q = q % period
    return period - q if q >= n else q


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def halve(weights: Array, steps: NDArray[np.int64], out: Array) -> None:
    """Fill in an image half way between its voxels by cubic B-splines.

    Parameters
    ----------
    weights : (X, Y, Z) array
        Spline coefficients along the axes that are filled in (mirrored at the rim), values
        along the others.
    steps : (3,) array of int
        2 along the axes that are filled in, else 1.
    out : (x, y, z) array
        Written; ``steps[k] * (n - 1) + 1`` voxels an axis.
    """
    nx, ny, nz = weights.shape
    plane, wide = np.empty((ny, nz)), np.empty((out.shape[1], nz))
    share = np.empty(4)
    for a in range(out.shape[0]):
        i = _place(a, steps[0], share)
        i0, i1 = _mirrored(i - 1, nx), min(i, nx - 1)
        i2, i3 = _mirrored(i + 1, nx), _mirrored(i + 2, nx)
        for r in range(ny):
            for s in range(nz):
                plane[r, s] = (
                    share[0] * weights[i0, r, s]
                    + share[1] * weights[i1, r, s]
                    + share[2] * weights[i2, r, s]
                    + share[3] * weights[i3, r, s]
                )
        for b in range(out.shape[1]):
            j = _place(b, steps[1], share)
            j0, j1 = _mirrored(j - 1, ny), min(j, ny - 1)
            j2, j3 = _mirrored(j + 1, ny), _mirrored(j + 2, ny)
            for s in range(nz):
                wide[b, s] = (
                    share[0] * plane[j0, s]
                    + share[1] * plane[j1, s]
                    + share[2] * plane[j2, s]
                    + share[3] * plane[j3, s]
                )
        for b in range(out.shape[1]):
            if steps[2] == 1:
                for s in range(nz):
                    out[a, b, s] = wide[b, s]
                continue
            for s in range(nz):
                before = wide[b, s - 1 if s > 0 else min(1, nz - 1)]
                after = wide[b, s + 1 if s < nz - 1 else max(nz - 2, 0)]
                out[a, b, 2 * s] = (before + 4.0 * wide[b, s] + after) / 6.0
                if s < nz - 1:
                    beyond = wide[b, s + 2 if s < nz - 2 else max(nz - 2, 0)]
                    out[a, b, 2 * s + 1] = (
                        before + 23.0 * wide[b, s] + 23.0 * after + beyond
                    ) / 48.0


@njit(cache=True, nogil=True, error_model="numpy", inline="always")  # type: ignore[untyped-decorator]
def _place(fine: int, step: int, share: Array) -> int:
    """Voxel at or before a place of the fine lattice, and weights of four from the one before."""
    if step == 1:
        share[0], share[1], share[2], share[3] = 0.0, 1.0, 0.0, 0.0
        return fine
    if fine % 2 == 0:
        share[0], share[1], share[2], share[3] = 1.0 / 6.0, 4.0 / 6.0, 1.0 / 6.0, 0.0
    else:
        share[0], share[1], share[2], share[3] = 1.0 / 48.0, 23.0 / 48.0, 23.0 / 48.0, 1.0 / 48.0
    return fine // 2
