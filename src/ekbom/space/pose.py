"""Where one image lies on another: turned by how much, and how much of it is seen."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ekbom.space.grid import Grid
from ekbom.space.transform import Affine, Transform, as_transform

Array = NDArray[np.float64]

#: Points of the brain at which transforms are compared.
_POINTS = 4000


def brain_points(grid: Grid, brain: NDArray[np.bool_]) -> Array:
    """Some world points of a mask, evenly taken.

    Parameters
    ----------
    grid : Grid
        Of the mask.
    brain : (X, Y, Z) array of bool
        The mask.

    Returns
    -------
    (P, 3) array
        RAS+ mm.
    """
    index = np.argwhere(brain)
    return np.asarray(grid.to_world(index[:: max(1, len(index) // _POINTS)]))


def covered(
    transform: Transform,
    points: Array,
    source: Grid,
    known: NDArray[np.bool_] | None = None,
) -> float:
    """Share of some points that a transform finds inside an image.

    Parameters
    ----------
    transform : Transform
        From fixed to moving.
    points : (P, 3) array
        Of the fixed image.
    source : Grid
        Of the moving image.
    known : (X, Y, Z) array of bool, optional
        Voxels of the moving image that hold a value; all by default.

    Returns
    -------
    float
        0 to 1.
    """
    index = np.round(source.to_index(transform.points(points))).astype(int)
    inside = np.asarray(((index >= 0) & (index < source.shape)).all(axis=1), dtype=bool)
    if known is not None:
        inside[inside] = known[tuple(index[inside].T)]
    return float(inside.mean())


def linear_part(transform: Transform, points: Array) -> Affine:
    """Matrix that comes nearest to a transform at some points.

    Parameters
    ----------
    transform : Transform
        Any.
    points : (P, 3) array
        Of the fixed image.

    Returns
    -------
    Affine
        Least squares.
    """
    ones = np.column_stack([points, np.ones(len(points))])
    found, *_ = np.linalg.lstsq(ones, transform.points(points), rcond=None)
    matrix = np.eye(4)
    matrix[:3] = found.T
    return as_transform(matrix)


def turn(transform: Transform, points: Array) -> float:
    """Angle by which a transform turns what lies at some points.

    Parameters
    ----------
    transform : Transform
        Any.
    points : (P, 3) array
        Of the fixed image.

    Returns
    -------
    float
        Degrees; of the rotation nearest to its linear part.
    """
    return turn_and_scale(linear_part(transform, points))[0]


def turn_and_scale(linear: Affine) -> tuple[float, float]:
    """Angle of the rotation nearest to a matrix, and its mean scale.

    Parameters
    ----------
    linear : Affine
        Any.

    Returns
    -------
    angle : float
        Degrees; 180 for a matrix that mirrors.
    scale : float
        Cube root of the determinant; NaN for a matrix that mirrors.
    """
    part = linear.matrix[:3, :3]
    u, _, vt = np.linalg.svd(part)
    nearest = u @ vt
    if np.linalg.det(nearest) < 0:
        return 180.0, math.nan
    angle = math.degrees(math.acos(float(np.clip((np.trace(nearest) - 1.0) / 2.0, -1.0, 1.0))))
    return angle, float(np.cbrt(np.linalg.det(part)))
