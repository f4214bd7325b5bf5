"""One interpolation from one grid to another of the same space."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from ekbom.space.grid import Grid
from ekbom.space.smooth import smooth

#: Indices this close to a whole number are that number, so that a shift by
#: whole voxels copies values and does not blend in a neighbour by rounding.
_SNAP = 1e-7


def resample(
    values: NDArray[np.floating],
    source: Grid,
    target: Grid,
    mask: NDArray[np.bool_] | None = None,
    *,
    antialias: bool = False,
) -> NDArray[np.float64]:
    """Interpolate linearly from one grid to another of the same space.

    Weights come from valid voxels only (inside the mask and finite), so that
    the edge of the brain is not drawn towards zero.

    Parameters
    ----------
    values : (X, Y, Z) array
        Values on `source`.
    source, target : Grid
        From and to.
    mask : (X, Y, Z) array of bool, optional
        Valid voxels of `source`; all finite ones by default.
    antialias : bool
        Smooth before going to larger voxels (FWHM sqrt(target^2 - source^2) of
        the mean voxel sizes). A map that was smoothed before needs none.

    Returns
    -------
    (x, y, z) array
        On `target`; NaN where less than half of the weight is valid. Equal
        grids return the values themselves.
    """
    image = np.asarray(values, dtype=np.float64)
    if source == target:
        if mask is None:
            return image.copy()
        return np.where(mask, image, np.nan)
    valid = np.isfinite(image)
    if mask is not None:
        valid &= np.asarray(mask, dtype=bool)
    if antialias:
        here, there = float(np.mean(source.voxel_size)), float(np.mean(target.voxel_size))
        if there > here:
            image = smooth(image, source.voxel_size, float(np.sqrt(there**2 - here**2)), valid)
    index = target_indices(source, target)
    top = linear_at(np.where(valid, image, 0.0), index)
    share = linear_at(valid.astype(np.float64), index)
    out = np.full(target.shape, np.nan)
    np.divide(top, share, out=out, where=share >= 0.5)
    return out


def resample_labels(labels: NDArray[np.integer], source: Grid, target: Grid) -> NDArray[np.int32]:
    """Bring a label image to another grid of the same space.

    The label with the largest share of the linear weight wins a voxel (the
    lower one in a tie), so labels stay whole numbers. Beyond the field of view
    is 0.

    Parameters
    ----------
    labels : (X, Y, Z) array of int
        Label image on `source`.
    source, target : Grid
        From and to.

    Returns
    -------
    (x, y, z) array of int32
        Label image on `target`.
    """
    if source == target:
        return np.array(labels, dtype=np.int32)
    index = target_indices(source, target)
    # A rim of 0 around the image stands for all that is outside.
    rim = np.pad(np.asarray(labels, dtype=np.int32), 1)
    out = np.zeros(target.shape, dtype=np.int32)
    for plane in range(target.shape[0]):
        out[plane] = _largest_share(rim, index[:, plane] + 1.0)
    return out


def _largest_share(rim: NDArray[np.int32], index: NDArray[np.float64]) -> NDArray[np.int32]:
    low = np.floor(index).astype(np.intp)
    part = index - low
    there: list[NDArray[np.int32]] = []
    weight: list[NDArray[np.float64]] = []
    for corner in itertools.product((0, 1), repeat=3):
        place = [np.clip(low[k] + corner[k], 0, rim.shape[k] - 1) for k in range(3)]
        there.append(rim[place[0], place[1], place[2]])
        sides = [part[k] if corner[k] else 1.0 - part[k] for k in range(3)]
        weight.append(sides[0] * sides[1] * sides[2])
    best = np.zeros(index.shape[1:])
    out = np.zeros(index.shape[1:], dtype=np.int32)
    for mine in there:
        share = np.zeros_like(best)
        for other, w in zip(there, weight, strict=True):
            share += np.where(other == mine, w, 0.0)
        # Rounding must not break a tie differently from voxel to voxel.
        wins = (share > best + 1e-9) | ((share > best - 1e-9) & (mine < out))
        out[wins] = mine[wins]
        best = np.maximum(best, np.where(wins, share, 0.0))
    return out


def target_indices(source: Grid, target: Grid) -> NDArray[np.float64]:
    """Indices into `source` of every voxel of `target`.

    Parameters
    ----------
    source, target : Grid
        From and to.

    Returns
    -------
    (3, x, y, z) array
        Not rounded, except when within 1e-7 of a whole number.
    """
    grid = np.stack(np.meshgrid(*(np.arange(n, dtype=float) for n in target.shape), indexing="ij"))
    index = np.moveaxis(source.to_index(target.to_world(np.moveaxis(grid, 0, -1))), -1, 0)
    whole = np.round(index)
    return np.where(np.abs(index - whole) < _SNAP, whole, index)


def linear_at(image: NDArray[np.float64], index: NDArray[np.float64]) -> NDArray[np.float64]:
    """Look at an image between its voxels, trilinear; beyond it everything is 0.

    Parameters
    ----------
    image : (X, Y, Z) array
        Finite values.
    index : (3, ...) array
        Where, in voxels.

    Returns
    -------
    (...) array
        Values.
    """
    from ekbom.space.between import linear  # compiled: not for those who only import

    out = np.empty(index.shape[1:])
    linear(np.ascontiguousarray(image), flat_index(index), out.reshape(-1))
    return out


def flat_index(index: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return indices as the kernels take them.

    Parameters
    ----------
    index : (3, ...) array
        In voxels.

    Returns
    -------
    (3, P) array
        C order.
    """
    return np.ascontiguousarray(index.reshape(3, -1), dtype=np.float64)
