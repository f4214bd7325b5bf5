"""Kernels of the refinement of frames: mean images without one frame, normal equations.

Serial on purpose, like :mod:`ekbom.space.register.kernels`: sums are made in one
order, whatever the number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]


@njit(cache=True)  # type: ignore[untyped-decorator]
def gather(mix: Array, seen: Array, held: Array, total: Array) -> None:
    """Sums of all frames for the early and the late mean.

    Parameters
    ----------
    mix : (2, K) array
        Weights of the frames in both.
    seen : (K, P, 5) array
        Of each frame: 1 where a point counts, value, three slopes.
    held : (2, P) array
        Written: weight at each point.
    total : (2, P, 4) array
        Written: weighted values and slopes.
    """
    held[:] = 0.0
    total[:] = 0.0
    for k in range(mix.shape[1]):
        for p in range(seen.shape[1]):
            if seen[k, p, 0] == 0.0:
                continue
            for j in range(2):
                held[j, p] += mix[j, k]
                for i in range(4):
                    total[j, p, i] += mix[j, k] * seen[k, p, 1 + i]


@njit(cache=True)  # type: ignore[untyped-decorator]
def others(
    mix: Array, whole: Array, row: Array, held: Array, total: Array, mean: Array, counts: Array
) -> None:
    """Means of the other frames: a frame is taken out of the sums.

    Parameters
    ----------
    mix, whole : (2,) array
        Weights of the frame, and of all the others together.
    row : (P, 5) array
        What is seen of it.
    held, total : arrays
        From :func:`gather`.
    mean : (2, P, 4) array
        Written: values and slopes.
    counts : (P,) array of bool
        Written: whether more than half of the others' weight is there, in both.
    """
    for p in range(row.shape[0]):
        counts[p] = True
        for j in range(2):
            own = mix[j] * row[p, 0]
            rest = held[j, p] - own
            counts[p] = counts[p] and rest > 0.5 * whole[j]
            for i in range(4):
                mean[j, p, i] = (total[j, p, i] - own * row[p, 1 + i]) / max(rest, 1e-12)


@njit(cache=True)  # type: ignore[untyped-decorator]
def explain(row: Array, mean: Array, counts: Array, square: Array, right: Array) -> None:
    """Normal equations of a frame as a sum of two means and a constant.

    Parameters
    ----------
    row, mean, counts
        As of :func:`others`.
    square : (3, 3) array
        Written.
    right : (3,) array
        Written.
    """
    square[:] = 0.0
    right[:] = 0.0
    base = np.ones(3)
    for p in range(row.shape[0]):
        if not counts[p] or row[p, 0] == 0.0:
            continue
        base[0], base[1] = mean[0, p, 0], mean[1, p, 0]
        for i in range(3):
            right[i] += base[i] * row[p, 1]
            for j in range(3):
                square[i, j] += base[i] * base[j]


@njit(cache=True)  # type: ignore[untyped-decorator]
def move(
    arm: Array,
    row: Array,
    mean: Array,
    counts: Array,
    weight: Array,
    reach: float,
    square: Array,
    right: Array,
) -> None:
    """Normal equations of a small motion together with the two weights and the constant.

    Parameters
    ----------
    arm : (P, 3) array
        Points, mm from the centre about which is turned.
    row, mean, counts
        As of :func:`others`.
    weight : (2,) array
        Of the means in the explained frame.
    reach : float
        Turns are counted in mm at this distance.
    square : (9, 9) array
        Written: three turns, three shifts, three weights.
    right : (9,) array
        Written.
    """
    square[:] = 0.0
    right[:] = 0.0
    line = np.ones(9)
    for p in range(row.shape[0]):
        if not counts[p] or row[p, 0] == 0.0:
            continue
        a = weight[0] * mean[0, p, 1] + weight[1] * mean[1, p, 1]
        b = weight[0] * mean[0, p, 2] + weight[1] * mean[1, p, 2]
        c = weight[0] * mean[0, p, 3] + weight[1] * mean[1, p, 3]
        x, y, z = arm[p, 0], arm[p, 1], arm[p, 2]
        line[0], line[1], line[2] = (
            (z * b - y * c) / reach,
            (x * c - z * a) / reach,
            (y * a - x * b) / reach,
        )
        line[3], line[4], line[5] = -a, -b, -c
        line[6], line[7] = mean[0, p, 0], mean[1, p, 0]
        for i in range(9):
            right[i] += line[i] * row[p, 1]
            for j in range(i, 9):
                square[i, j] += line[i] * line[j]
    for i in range(9):
        for j in range(i):
            square[i, j] = square[j, i]


@njit(cache=True)  # type: ignore[untyped-decorator]
def turn(row: Array, matrix: Array) -> None:
    """Bring slopes by voxels to slopes by mm, in place.

    Parameters
    ----------
    row : (P, 5) array
        From :func:`ekbom.space.register.kernels.sample`.
    matrix : (3, 3) array
        From mm to voxels.
    """
    for p in range(row.shape[0]):
        u, v, w = row[p, 2], row[p, 3], row[p, 4]
        for j in range(3):
            row[p, 2 + j] = u * matrix[0, j] + v * matrix[1, j] + w * matrix[2, j]
