"""One interpolation from the moving image to the fixed one, through any chain."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ekbom.errors import Refused
from ekbom.space.between import cubic, indices
from ekbom.space.grid import Grid
from ekbom.space.resample import _SNAP, _largest_share, flat_index, linear_at
from ekbom.space.transform import Affine, Transform

Interpolation = Literal["linear", "cubic", "nearest", "label"]


def warp(
    values: NDArray[np.generic],
    source: Grid,
    target: Grid,
    transform: Transform,
    *,
    interpolation: Interpolation = "linear",
    mask: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Bring an image through a transform onto a grid, with one interpolation.

    A concentration (V_T, activity) stays a concentration: nothing is
    multiplied by the Jacobian.

    Parameters
    ----------
    values : (X, Y, Z) array
        The moving image, on `source`.
    source, target : Grid
        Of the moving and of the fixed image.
    transform : Transform
        From points of the fixed image to points of the moving one.
    interpolation : {"linear", "cubic", "nearest", "label"}
        ``linear`` takes weights from valid voxels only. ``cubic`` is a cubic
        B-spline clipped to the range of the 8 voxels around, so that it does
        not ring at the skull. ``label`` lets the label with the largest linear
        weight win.
    mask : (X, Y, Z) array of bool, optional
        Valid voxels of `source`; all finite ones by default.

    Returns
    -------
    (x, y, z) array
        On `target`. NaN where less than half of the weight is valid; labels
        are 0 there.

    Raises
    ------
    Refused
        An interpolation of another name.
    """
    index = source_indices(source, target, transform)
    if interpolation == "label":
        return warp_labels(values.astype(np.int32), index).astype(np.float64)
    return interpolate(values, index, interpolation, mask)


def interpolate(
    values: NDArray[np.generic],
    index: NDArray[np.float64],
    interpolation: Interpolation = "linear",
    mask: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Look at an image between its voxels.

    Parameters
    ----------
    values : (X, Y, Z) array
        The image.
    index : (3, ...) array
        Where, in voxels; from :func:`source_indices`, or some of it.
    interpolation : {"linear", "cubic", "nearest"}
        As of :func:`warp`.
    mask : (X, Y, Z) array of bool, optional
        Valid voxels; all finite ones by default.

    Returns
    -------
    (...) array
        NaN where less than half of the weight is valid.

    Raises
    ------
    Refused
        An interpolation of another name.
    """
    if interpolation not in ("linear", "cubic", "nearest"):
        raise Refused(
            "There is no such interpolation.",
            field="interpolation",
            found=interpolation,
            expected="linear, cubic, nearest or label",
        )
    image = np.asarray(values, dtype=np.float64)
    valid = np.isfinite(image)
    if mask is not None:
        valid &= np.asarray(mask, dtype=bool)
    filled = np.where(valid, image, 0.0)
    out = np.full(index.shape[1:], np.nan)
    if interpolation == "nearest":
        there = _near(valid.astype(np.float64), index) > 0.5
        return np.where(there, _near(filled, index), out)
    whole = bool(valid.all())
    share = _within(image.shape, index) if whole else linear_at(valid.astype(np.float64), index)
    if interpolation == "linear":
        np.divide(linear_at(filled, index), share, out=out, where=share >= 0.5)
        return out
    if not whole:
        # A spline reaches far: what is not valid takes its nearest valid value.
        nearest = ndimage.distance_transform_edt(
            ~valid, return_distances=False, return_indices=True
        )
        filled = filled[tuple(nearest)]
    weights = ndimage.spline_filter(filled, 3, mode="mirror")
    cubic(weights, np.ascontiguousarray(filled), flat_index(index), share.ravel(), out.reshape(-1))
    return out


def warp_labels(labels: NDArray[np.int32], index: NDArray[np.float64]) -> NDArray[np.int32]:
    """Label with the largest share of the linear weight at each index.

    Parameters
    ----------
    labels : (X, Y, Z) array of int
        Labels; beyond the image is 0.
    index : (3, x, y, z) array
        From :func:`source_indices`.

    Returns
    -------
    (x, y, z) array of int32
        The lower label in a tie.
    """
    rim = np.pad(labels, 1)
    out = np.zeros(index.shape[1:], dtype=np.int32)
    for plane in range(index.shape[1]):
        out[plane] = _largest_share(rim, index[:, plane] + 1.0)
    return out


def source_indices(source: Grid, target: Grid, transform: Transform) -> NDArray[np.float64]:
    """Indices into the moving image for every voxel of the fixed grid.

    Parameters
    ----------
    source, target : Grid
        Of the moving and of the fixed image.
    transform : Transform
        From fixed to moving.

    Returns
    -------
    (3, x, y, z) array
        Whole where within 1e-7 of a whole number.
    """
    if isinstance(transform, Affine):
        # One matrix from voxels to voxels: no list of points is needed.
        index = np.empty((3, *target.shape))
        indices(np.linalg.inv(source.affine) @ transform.matrix @ target.affine, _SNAP, index)
        return index
    # Plane by plane: what is in between stays in the processor's memory.
    index = np.empty((3, *target.shape))
    _, ny, nz = target.shape
    place = np.empty((ny, nz, 3))
    place[..., 1], place[..., 2] = np.arange(ny)[:, None], np.arange(nz)
    for plane in range(target.shape[0]):
        place[..., 0] = plane
        there = source.to_index(transform.points(target.to_world(place)))
        whole = np.round(there)
        there = np.where(np.abs(there - whole) < _SNAP, whole, there)
        index[:, plane] = np.moveaxis(there, -1, 0)
    return index


def _within(shape: tuple[int, ...], index: NDArray[np.float64]) -> NDArray[np.float64]:
    # Linear weight that lies in an image of which every voxel is valid.
    out = np.ones(index.shape[1:])
    for n, along in zip(shape, index, strict=True):
        out *= np.clip(np.minimum(along + 1.0, n - along), 0.0, 1.0)
    return out


def _near(image: NDArray[np.float64], index: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(
        ndimage.map_coordinates(image, index, order=0, mode="grid-constant", cval=0.0),
        dtype=np.float64,
    )
