"""Inverse of a displacement field, voxel by voxel, by Newton's method.

A field that does not fold is one to one, but the fixed point v(y) = -u(y + v(y))
need not come to rest where it is steep (slopes above 1). Newton's step with the
slopes of the field between its voxels does, in three or four steps, from where the
neighbour ended. The inverse is linear between its own voxels; above 2 mm they lie
closer than those of the field, since what is lost between them is most of the
error of a way there and back.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ekbom.space.grid import Grid
from ekbom.space.register.slabs import Run

Field = NDArray[np.float32]
Array = NDArray[np.float64]

#: Voxels of the inverse are at most this much closer than those of the field,
_CLOSER = 1.5
#: and not closer than this (mm) for that reason.
_CLOSE_MM = 2.0


def invert(field: Field, grid: Grid, run: Run) -> tuple[Field, Grid, float]:
    """Invert a field.

    Parameters
    ----------
    field : (3, X, Y, Z) array
        u in voxels of its lattice: x goes to x + u(x); nothing moves beyond.
    grid : Grid
        Its lattice, with edges of one length.
    run : callable
        Threads; see :mod:`ekbom.space.register.slabs`.

    Returns
    -------
    back : (3, x, y, z) array
        The inverse, in voxels of its own lattice.
    lattice : Grid
        Of the inverse: the same box.
    miss : float
        Largest round trip at a voxel, mm.
    """
    spacing = grid.voxel_size[0]
    closer = min(_CLOSER, max(1.0, spacing / _CLOSE_MM))
    n, m, k = (math.ceil((n - 1) * closer - 1e-6) + 1 for n in grid.shape)
    affine = grid.affine.copy()
    affine[:3, :3] /= closer
    back = np.empty((3, n, m, k), np.float32)
    miss = np.empty(n)
    run(solve, n, field, 1.0 / closer, back, miss)
    return back, Grid((n, m, k), affine), float(miss.max()) * spacing


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _miss(field: Field, x: Array, y: Array, here: Array) -> float:
    # x + u(x) - y and its slopes by x; the squared length. Beyond the lattice u is 0.
    for c in range(3):
        here[c] = x[c] - y[c]
        for axis in range(3):
            here[3 + 3 * c + axis] = 1.0 if axis == c else 0.0
    i, j, k = math.floor(x[0]), math.floor(x[1]), math.floor(x[2])
    a, b, g = x[0] - i, x[1] - j, x[2] - k
    nx, ny, nz = field.shape[1:]
    for di in range(2):
        p = i + di
        if p < 0 or p >= nx:
            continue
        wa, sa = (a, 1.0) if di else (1.0 - a, -1.0)
        for dj in range(2):
            q = j + dj
            if q < 0 or q >= ny:
                continue
            wb, sb = (b, 1.0) if dj else (1.0 - b, -1.0)
            for dk in range(2):
                r = k + dk
                if r < 0 or r >= nz:
                    continue
                wg, sg = (g, 1.0) if dk else (1.0 - g, -1.0)
                for c in range(3):
                    u = field[c, p, q, r]
                    here[c] += wa * wb * wg * u
                    here[3 + 3 * c] += sa * wb * wg * u
                    here[4 + 3 * c] += wa * sb * wg * u
                    here[5 + 3 * c] += wa * wb * sg * u
    return float(here[0] ** 2 + here[1] ** 2 + here[2] ** 2)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _newton(here: Array, step: Array) -> None:
    # The step that a linear map would need, at most one voxel; the miss itself where it folds.
    a, b, c = here[3], here[4], here[5]
    d, e, f = here[6], here[7], here[8]
    g, h, i = here[9], here[10], here[11]
    x, y, z = here[0], here[1], here[2]
    det = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    if det > 1e-3:
        step[0] = (x * (e * i - f * h) - b * (y * i - f * z) + c * (y * h - e * z)) / det
        step[1] = (a * (y * i - f * z) - x * (d * i - f * g) + c * (d * z - y * g)) / det
        step[2] = (a * (e * z - y * h) - b * (d * z - y * g) + x * (d * h - e * g)) / det
    else:
        step[0], step[1], step[2] = x, y, z
    long = math.sqrt(step[0] ** 2 + step[1] ** 2 + step[2] ** 2)
    if long > 1.0:
        for axis in range(3):
            step[axis] /= long


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def solve(field: Field, edge: float, back: Field, miss: Array, low: int, high: int) -> None:
    """Solve x + u(x) = y for the voxels y of the inverse.

    Parameters
    ----------
    field : (3, X, Y, Z) array
        u, in its own voxels.
    edge : float
        Of a voxel of the inverse, in voxels of the field.
    back : (3, x, y, z) array
        Written: x - y in voxels of the inverse.
    miss : (x,) array
        Written: largest distance left in each plane, voxels of the field.
    low, high : int
        Planes.
    """
    x, y, tried = np.zeros(3), np.zeros(3), np.zeros(3)
    step, here, there = np.zeros(3), np.zeros(12), np.zeros(12)
    for n in range(low, high):
        worst = 0.0
        for m in range(back.shape[2]):
            # Along a row each voxel starts where its neighbour ended.
            x[0], x[1], x[2] = edge * n, edge * m, 0.0
            for k in range(back.shape[3]):
                y[0], y[1], y[2] = edge * n, edge * m, edge * k
                far = _miss(field, x, y, here)
                for _ in range(60):
                    if far < 1e-8:
                        break
                    _newton(here, step)
                    part = 1.0
                    for _ in range(8):
                        for axis in range(3):
                            tried[axis] = x[axis] - part * step[axis]
                        new = _miss(field, tried, y, there)
                        if new < far:
                            break
                        part *= 0.5
                    if not new < far:
                        break
                    far = new
                    for axis in range(3):
                        x[axis] = tried[axis]
                    for at in range(12):
                        here[at] = there[at]
                worst = max(worst, far)
                for axis in range(3):
                    back[axis, n, m, k] = (x[axis] - y[axis]) / edge
                x[2] += edge
        miss[n] = math.sqrt(worst)
