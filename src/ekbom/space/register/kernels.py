"""Kernels of linear registration: values with slopes, joint histogram, its derivative.

Serial on purpose: sums are made in one order, so the result does not depend on
the number of threads. Points lie scattered in memory, so that most of the time is
waiting for it: places are counted in unsigned whole numbers along the flat array,
without a check of every index, and more points are on their way at once.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]
Image = NDArray[np.float32]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def sample(image: Image, mask: NDArray[np.uint8], place: Array, matrix: Array, out: Array) -> int:
    """Values and slopes of the moving image at mapped points, trilinear.

    Parameters
    ----------
    image, mask : (X, Y, Z) array, C order
        Moving image, and where it counts (1).
    place : (P, 3) array
        Points of the fixed image, mm from a centre.
    matrix : (3, 4) array
        From these to indices of the moving image.
    out : (P, 5) array
        Written: 1 where the point counts, value, three slopes (per voxel).

    Returns
    -------
    int
        Points that count: inside the image, and inside the mask by the nearest voxel.
    """
    nx, ny, nz = image.shape
    flat, there = image.ravel(), mask.ravel()
    one, along, across = np.uint64(1), np.uint64(nz), np.uint64(ny * nz)
    count = 0
    for p in range(place.shape[0]):
        x, y, z = place[p, 0], place[p, 1], place[p, 2]
        u = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z + matrix[0, 3]
        v = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z + matrix[1, 3]
        w = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z + matrix[2, 3]
        out[p, 0] = 0.0
        if not (0.0 <= u < nx - 1 and 0.0 <= v < ny - 1 and 0.0 <= w < nz - 1):
            continue
        i, j, k = np.int64(u), np.int64(v), np.int64(w)
        a, b, c = u - i, v - j, w - k
        q = np.uint64(i) * across + np.uint64(j) * along + np.uint64(k)
        near = q
        if a >= 0.5:
            near += across
        if b >= 0.5:
            near += along
        if c >= 0.5:
            near += one
        if there[near] == 0:
            continue
        v000, v001 = np.float64(flat[q]), np.float64(flat[q + one])
        v010, v011 = np.float64(flat[q + along]), np.float64(flat[q + along + one])
        q += across
        v100, v101 = np.float64(flat[q]), np.float64(flat[q + one])
        v110, v111 = np.float64(flat[q + along]), np.float64(flat[q + along + one])
        x00, x10 = v000 + a * (v100 - v000), v010 + a * (v110 - v010)
        x01, x11 = v001 + a * (v101 - v001), v011 + a * (v111 - v011)
        y0, y1 = x00 + b * (x10 - x00), x01 + b * (x11 - x01)
        d0 = (v100 - v000) + b * ((v110 - v010) - (v100 - v000))
        d1 = (v101 - v001) + b * ((v111 - v011) - (v101 - v001))
        out[p, 0] = 1.0
        out[p, 1] = y0 + c * (y1 - y0)
        out[p, 2] = d0 + c * (d1 - d0)
        out[p, 3] = (x10 - x00) + c * ((x11 - x01) - (x10 - x00))
        out[p, 4] = y1 - y0
        count += 1
    return count


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def histogram(bins: Array, seen: Array, low: float, width: float, joint: Array) -> None:
    """Joint histogram: cubic B-spline windows for both images.

    Parameters
    ----------
    bins : (P,) array
        Fixed values in bins, 1.5 to B - 2.5.
    seen : (P, 5) array
        From :func:`sample`.
    low, width : float
        Moving value to bin: (value - low) / width + 2.
    joint : (B, B) array, C order
        Written; sums to 1.
    """
    n = joint.shape[0]
    flat = joint.ravel()
    flat[:] = 0.0
    total = 0.0
    for p in range(bins.shape[0]):
        if seen[p, 0] == 0.0:
            continue
        f, m = bins[p], min(max((seen[p, 1] - low) / width + 2.0, 1.5), n - 2.5)
        i, j = np.int64(f), np.int64(m)
        f0, f1, f2, f3 = _windows(f - i)
        m0, m1, m2, m3 = _windows(m - j)
        q = np.uint64((i - 1) * n + j - 1)
        for wide in (f0, f1, f2, f3):
            flat[q] += wide * m0
            flat[q + np.uint64(1)] += wide * m1
            flat[q + np.uint64(2)] += wide * m2
            flat[q + np.uint64(3)] += wide * m3
            q += np.uint64(n)
        total += 1.0
    for k in range(flat.size):
        flat[k] /= total


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def climb(
    bins: Array, place: Array, seen: Array, low: float, width: float, rate: Array, out: Array
) -> None:
    """Derivative of a sum over the joint histogram by the affine map to indices.

    Parameters
    ----------
    bins, place, seen, low, width
        As in :func:`histogram` and :func:`sample`.
    rate : (B, B) array, C order
        Derivative of the metric by each entry of the histogram.
    out : (3, 4) array
        Written: derivative by the matrix of :func:`sample`.
    """
    out[:] = 0.0
    n = rate.shape[0]
    flat = rate.ravel()
    total = 0.0
    for p in range(bins.shape[0]):
        if seen[p, 0] == 0.0:
            continue
        total += 1.0
        m = (seen[p, 1] - low) / width + 2.0
        if m <= 1.5 or m >= n - 2.5:
            continue
        f = bins[p]
        i, j = np.int64(f), np.int64(m)
        # change of the windows by the value
        d = m - j
        e = 1.0 - d
        m0, m3 = -0.5 * e * e, 0.5 * d * d
        m1, m2 = d * (1.5 * d - 2.0), e * (2.0 - 1.5 * e)
        g = 0.0
        q = np.uint64((i - 1) * n + j - 1)
        for wide in _windows(f - i):
            g += wide * (
                m0 * flat[q]
                + m1 * flat[q + np.uint64(1)]
                + m2 * flat[q + np.uint64(2)]
                + m3 * flat[q + np.uint64(3)]
            )
            q += np.uint64(n)
        g /= width
        for axis in range(3):
            h = g * seen[p, 2 + axis]
            out[axis, 0] += h * place[p, 0]
            out[axis, 1] += h * place[p, 1]
            out[axis, 2] += h * place[p, 2]
            out[axis, 3] += h
    out /= total


@njit(cache=True, nogil=True, error_model="numpy", inline="always")  # type: ignore[untyped-decorator]
def _windows(d: float) -> tuple[float, float, float, float]:
    """The four cubic B-splines that reach a value ``d`` behind a bin."""
    e = 1.0 - d
    return (
        e * e * e / 6.0,
        2.0 / 3.0 - d * d * (1.0 - d / 2.0),
        2.0 / 3.0 - e * e * (1.0 - e / 2.0),
        d * d * d / 6.0,
    )
