"""One interpolation from one grid to another of the same space."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

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
        Smooth before going to larger voxels, FWHM sqrt(target^2 - source^2) an
        axis is not needed: one width from the mean voxel sizes. For maps that
        have been smoothed already it only costs sharpness.

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
    top = _linear(np.where(valid, image, 0.0), index)
    share = _linear(valid.astype(np.float64), index)
    out = np.full(target.shape, np.nan)
    np.divide(top, share, out=out, where=share >= 0.5)
    return out


def resample_labels(labels: NDArray[np.integer], source: Grid, target: Grid) -> NDArray[np.int32]:
    """Bring a label image to another grid of the same space.

    For every label the share of the linear weight that it holds is computed,
    and the label with the largest share wins (the lower one in a tie); labels
    stay whole numbers. Beyond the field of view is 0.

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
    best = np.zeros(target.shape)
    out = np.zeros(target.shape, dtype=np.int32)
    for label in np.unique(labels):
        share = _linear((labels == label).astype(np.float64), index)
        # Rounding must not break a tie between two labels differently from
        # voxel to voxel.
        wins = share > best + 1e-9
        out[wins] = label
        best[wins] = share[wins]
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


def _linear(image: NDArray[np.float64], index: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(
        ndimage.map_coordinates(image, index, order=1, mode="grid-constant", cval=0.0),
        dtype=np.float64,
    )
