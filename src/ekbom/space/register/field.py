"""Kernels on displacement fields: smoothing, composition, Jacobian.

A field is (3, X, Y, Z) in voxels: point x goes to x + u(x); zero beyond the
image. Kernels write the planes from `low` to `high` and read any, release the
interpreter lock, and compute every voxel in one order.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Field = NDArray[np.float32]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def smooth_xy(
    source: Field, taps: NDArray[np.float32], out: Field, axis: int, step: int, low: int, high: int
) -> None:
    """Convolve along the first (0) or second (1) axis of space.

    Parameters
    ----------
    source, out : (C, X, Y, Z) array
        Read and written; the axis of `out` is shorter when steps are above 1.
    taps : (2 H + 1,) array
        Symmetric kernel.
    axis : int
        0 or 1.
    step : int
        Every how many voxels of the axis one is kept.
    low, high : int
        Planes of `out`.
    """
    half = taps.size // 2
    nx, ny, nz = source.shape[1:]
    row = np.zeros(nz, np.float32)
    for c in range(source.shape[0]):
        for x in range(low, high):
            for y in range(out.shape[2]):
                row[:] = 0.0
                at, n = (step * x, nx) if axis == 0 else (step * y, ny)
                for k in range(taps.size):
                    p = at + k - half
                    if p < 0 or p >= n:
                        continue
                    t = taps[k]
                    other = source[c, p, y] if axis == 0 else source[c, x, p]
                    for z in range(nz):
                        row[z] += t * other[z]
                out[c, x, y, :] = row


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def smooth_z(
    source: Field, taps: NDArray[np.float32], out: Field, step: int, low: int, high: int
) -> None:
    """Convolve along the last axis.

    Parameters
    ----------
    source, out : (C, X, Y, Z) array
        Read and written; may be the same array when nothing is left out.
    taps : (2 H + 1,) array
        Symmetric kernel.
    step : int
        Every how many voxels one is kept.
    low, high : int
        Planes.
    """
    half = taps.size // 2
    ny, nz = source.shape[2:]
    wide = np.zeros(nz + 2 * half, np.float32)
    row = np.zeros(nz, np.float32)
    for c in range(source.shape[0]):
        for x in range(low, high):
            for y in range(ny):
                wide[half : half + nz] = source[c, x, y]
                row[:] = 0.0
                for k in range(taps.size):
                    t = taps[k]
                    part = wide[k : k + nz]
                    for z in range(nz):
                        row[z] += t * part[z]
                out[c, x, y, :] = row[::step]


@njit(cache=True, nogil=True, error_model="numpy", inline="always")  # type: ignore[untyped-decorator]
def _three(field: Field, x: float, y: float, z: float) -> tuple[float, float, float]:
    # Trilinear value of a field; voxels beyond the image are 0.
    i, j, k = math.floor(x), math.floor(y), math.floor(z)
    a, b, c = x - i, y - j, z - k
    nx, ny, nz = field.shape[1:]
    u = v = w = 0.0
    for di in range(2):
        p = i + di
        if p < 0 or p >= nx:
            continue
        wi = a if di else 1.0 - a
        for dj in range(2):
            q = j + dj
            if q < 0 or q >= ny:
                continue
            wj = wi * (b if dj else 1.0 - b)
            for dk in range(2):
                r = k + dk
                if r < 0 or r >= nz:
                    continue
                wk = wj * (c if dk else 1.0 - c)
                u += wk * field[0, p, q, r]
                v += wk * field[1, p, q, r]
                w += wk * field[2, p, q, r]
    return u, v, w


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def compose(field: Field, update: Field, scale: float, out: Field, low: int, high: int) -> None:
    """Follow a small update by a field: out(x) = v(x) + u(x + v(x)), v = scale * update.

    Parameters
    ----------
    field, update, out : (3, X, Y, Z) array
        u, the update, and the result.
    scale : float
        Of the update.
    low, high : int
        Planes.
    """
    for x in range(low, high):
        for y in range(field.shape[2]):
            for z in range(field.shape[3]):
                a, b, c = (
                    scale * update[0, x, y, z],
                    scale * update[1, x, y, z],
                    scale * update[2, x, y, z],
                )
                u, v, w = _three(field, x + a, y + b, z + c)
                out[0, x, y, z], out[1, x, y, z], out[2, x, y, z] = a + u, b + v, c + w


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def upsample(
    field: Field, place: NDArray[np.float64], scale: float, out: Field, low: int, high: int
) -> None:
    """Bring a field to a finer lattice of the same axes.

    Parameters
    ----------
    field : (3, X, Y, Z) array
        Coarse field, in its own voxels.
    place : (2, 3) array
        Coarse index of a fine voxel: place[0] + place[1] * index.
    scale : float
        Coarse voxel in fine voxels.
    out : (3, x, y, z) array
        Fine field, in fine voxels.
    low, high : int
        Planes of `out`.
    """
    for x in range(low, high):
        for y in range(out.shape[2]):
            for z in range(out.shape[3]):
                u, v, w = _three(
                    field,
                    place[0, 0] + place[1, 0] * x,
                    place[0, 1] + place[1, 1] * y,
                    place[0, 2] + place[1, 2] * z,
                )
                out[0, x, y, z], out[1, x, y, z], out[2, x, y, z] = scale * u, scale * v, scale * w


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def volume(field: Field, out: NDArray[np.float32], low: int, high: int) -> None:
    """Jacobian determinant of x + u(x): the smallest of the eight corner differences of a voxel.

    A trilinear field can fold between voxels whose central differences do
    not; the corner differences see it.

    Parameters
    ----------
    field : (3, X, Y, Z) array
        u in voxels.
    out : (X, Y, Z) array
        Written.
    low, high : int
        Planes.
    """
    nx, ny, nz = field.shape[1:]
    for x in range(low, high):
        for y in range(ny):
            for z in range(nz):
                least = np.inf
                for corner in range(8):
                    i, j, k = corner & 1, (corner >> 1) & 1, corner >> 2
                    if min(x + i, y + j, z + k) < 1 or x + i >= nx or y + j >= ny or z + k >= nz:
                        continue
                    a = 1.0 + field[0, x + i, y, z] - field[0, x + i - 1, y, z]
                    d = field[1, x + i, y, z] - field[1, x + i - 1, y, z]
                    g = field[2, x + i, y, z] - field[2, x + i - 1, y, z]
                    b = field[0, x, y + j, z] - field[0, x, y + j - 1, z]
                    e = 1.0 + field[1, x, y + j, z] - field[1, x, y + j - 1, z]
                    h = field[2, x, y + j, z] - field[2, x, y + j - 1, z]
                    c = field[0, x, y, z + k] - field[0, x, y, z + k - 1]
                    f = field[1, x, y, z + k] - field[1, x, y, z + k - 1]
                    i9 = 1.0 + field[2, x, y, z + k] - field[2, x, y, z + k - 1]
                    det = a * (e * i9 - f * h) - b * (d * i9 - f * g) + c * (d * h - e * g)
                    least = min(least, det)
                out[x, y, z] = least
