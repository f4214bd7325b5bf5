"""Kernels of linear registration: values with slopes, joint histogram, its derivative.

Serial on purpose: sums are made in one order, so the result does not depend on
the number of threads.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]
Image = NDArray[np.float32]


@njit(cache=True)  # type: ignore[untyped-decorator]
def look(image: Image, mask: NDArray[np.uint8], x: float, y: float, z: float, out: Array) -> bool:
    """Value and slopes (per voxel) of a trilinear image; false outside image or mask.

    Parameters
    ----------
    image, mask : (X, Y, Z) array
        Values, and where they count (1).
    x, y, z : float
        Index, not rounded.
    out : (4,) array
        Value and three slopes, written.

    Returns
    -------
    bool
        Whether the point counts.
    """
    i, j, k = math.floor(x), math.floor(y), math.floor(z)
    if (
        i < 0
        or j < 0
        or k < 0
        or i >= image.shape[0] - 1
        or j >= image.shape[1] - 1
        or k >= image.shape[2] - 1
    ):
        return False
    a, b, c = x - i, y - j, z - k
    if mask[i + (a >= 0.5), j + (b >= 0.5), k + (c >= 0.5)] == 0:
        return False
    v000, v100 = np.float64(image[i, j, k]), np.float64(image[i + 1, j, k])
    v010, v110 = np.float64(image[i, j + 1, k]), np.float64(image[i + 1, j + 1, k])
    v001, v101 = np.float64(image[i, j, k + 1]), np.float64(image[i + 1, j, k + 1])
    v011, v111 = np.float64(image[i, j + 1, k + 1]), np.float64(image[i + 1, j + 1, k + 1])
    x00, x10 = v000 + a * (v100 - v000), v010 + a * (v110 - v010)
    x01, x11 = v001 + a * (v101 - v001), v011 + a * (v111 - v011)
    y0, y1 = x00 + b * (x10 - x00), x01 + b * (x11 - x01)
    out[0] = y0 + c * (y1 - y0)
    d0 = (v100 - v000) + b * ((v110 - v010) - (v100 - v000))
    d1 = (v101 - v001) + b * ((v111 - v011) - (v101 - v001))
    out[1] = d0 + c * (d1 - d0)
    out[2] = (x10 - x00) + c * ((x11 - x01) - (x10 - x00))
    out[3] = y1 - y0
    return True


@njit(cache=True)  # type: ignore[untyped-decorator]
def spline(t: float) -> float:
    """Cubic B-spline.

    Parameters
    ----------
    t : float
        Distance in bins.

    Returns
    -------
    float
        Weight.
    """
    t = abs(t)
    if t < 1.0:
        return (4.0 - 6.0 * t * t + 3.0 * t * t * t) / 6.0
    if t < 2.0:
        return (2.0 - t) ** 3 / 6.0
    return 0.0


@njit(cache=True)  # type: ignore[untyped-decorator]
def slope(t: float) -> float:
    """Derivative of the cubic B-spline.

    Parameters
    ----------
    t : float
        Distance in bins.

    Returns
    -------
    float
        Derivative.
    """
    s = abs(t)
    if s < 1.0:
        return -2.0 * t + 1.5 * t * s
    if s < 2.0:
        return -0.5 * (2.0 - s) ** 2 * (1.0 if t > 0 else -1.0)
    return 0.0


@njit(cache=True)  # type: ignore[untyped-decorator]
def sample(image: Image, mask: NDArray[np.uint8], place: Array, matrix: Array, out: Array) -> int:
    """Values and slopes of the moving image at mapped points.

    Parameters
    ----------
    image, mask : (X, Y, Z) array
        Moving image.
    place : (P, 3) array
        Points of the fixed image, mm from a centre.
    matrix : (3, 4) array
        From these to indices of the moving image.
    out : (P, 5) array
        Written: 1 where the point counts, value, three slopes.

    Returns
    -------
    int
        Points that count.
    """
    four = np.zeros(4)
    count = 0
    for p in range(place.shape[0]):
        x, y, z = place[p, 0], place[p, 1], place[p, 2]
        u = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z + matrix[0, 3]
        v = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z + matrix[1, 3]
        w = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z + matrix[2, 3]
        if look(image, mask, u, v, w, four):
            out[p, 0] = 1.0
            out[p, 1], out[p, 2], out[p, 3], out[p, 4] = four[0], four[1], four[2], four[3]
            count += 1
        else:
            out[p, 0] = 0.0
    return count


@njit(cache=True)  # type: ignore[untyped-decorator]
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
    joint : (B, B) array
        Written; sums to 1.
    """
    joint[:] = 0.0
    n = joint.shape[0]
    weight = np.zeros(4)
    total = 0.0
    for p in range(bins.shape[0]):
        if seen[p, 0] == 0.0:
            continue
        m = min(max((seen[p, 1] - low) / width + 2.0, 1.5), n - 2.5)
        f = bins[p]
        i0, j0 = int(f) - 1, int(m) - 1
        for j in range(4):
            weight[j] = spline(m - (j0 + j))
        for i in range(i0, i0 + 4):
            wi = spline(f - i)
            for j in range(4):
                joint[i, j0 + j] += wi * weight[j]
        total += 1.0
    for i in range(n):
        for j in range(n):
            joint[i, j] /= total


@njit(cache=True)  # type: ignore[untyped-decorator]
def climb(
    bins: Array, place: Array, seen: Array, low: float, width: float, rate: Array, out: Array
) -> None:
    """Derivative of a sum over the joint histogram by the affine map to indices.

    Parameters
    ----------
    bins, place, seen, low, width
        As in :func:`histogram` and :func:`sample`.
    rate : (B, B) array
        Derivative of the metric by each entry of the histogram.
    out : (3, 4) array
        Written: derivative by the matrix of :func:`sample`.
    """
    out[:] = 0.0
    n = rate.shape[0]
    weight = np.zeros(4)
    total = 0.0
    for p in range(bins.shape[0]):
        if seen[p, 0] == 0.0:
            continue
        total += 1.0
        m = (seen[p, 1] - low) / width + 2.0
        if m <= 1.5 or m >= n - 2.5:
            continue
        f = bins[p]
        i0, j0 = int(f) - 1, int(m) - 1
        for j in range(4):
            weight[j] = slope(m - (j0 + j))
        g = 0.0
        for i in range(i0, i0 + 4):
            wi = spline(f - i)
            for j in range(4):
                g += wi * weight[j] * rate[i, j0 + j]
        g /= width
        for axis in range(3):
            h = g * seen[p, 2 + axis]
            out[axis, 0] += h * place[p, 0]
            out[axis, 1] += h * place[p, 1]
            out[axis, 2] += h * place[p, 2]
            out[axis, 3] += h
    out /= total
