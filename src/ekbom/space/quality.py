"""Whether a registration can be trusted: overlap, a displaced score, the side.

The template is left-right symmetric, so how well an image fits it never proves
the side; two images of one person do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ekbom.space.grid import Grid
from ekbom.space.image import Volume
from ekbom.space.register.base import Registration
from ekbom.space.register.linear import Metric, centre_of_mass, pyramid
from ekbom.space.register.own import Own
from ekbom.space.transform import Affine, Rigid, compose

#: Difference of the gains, in shares of the larger, below which the side is open.
_UNDECIDED = 0.02


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Overlap of two masks: twice what they share over the sum of both.

    Parameters
    ----------
    one, other : (X, Y, Z) array of bool
        On one grid.

    Returns
    -------
    float
        0 to 1; NaN when both are empty.
    """
    whole = int(one.sum()) + int(other.sum())
    return 2.0 * int((one & other).sum()) / whole if whole else float("nan")


@dataclass(frozen=True)
class Displaced:
    """The metric at the result and around it.

    Parameters
    ----------
    value : float
        At the result.
    around : tuple of float
        After 4 mm along and 4 degrees about each axis, both ways (12 values).
    """

    value: float
    around: tuple[float, ...]

    @property
    def interior(self) -> bool:
        """Whether the metric falls in every direction.

        Returns
        -------
        bool
            False: the metric does not see misregistration here.
        """
        return all(v < self.value for v in self.around)


def displaced(
    fixed: Volume,
    moving: Volume,
    transform: Affine,
    *,
    fixed_mask: NDArray[np.bool_] | None = None,
    shift: float = 4.0,
    turn: float = 4.0,
    width: float = 4.0,
    seed: int = 0,
) -> Displaced:
    """Look at the metric around a result.

    Parameters
    ----------
    fixed, moving : Volume
        The images.
    transform : Affine
        The result, from fixed to moving.
    fixed_mask : (X, Y, Z) array of bool, optional
        Where the fixed image counts.
    shift, turn : float
        How far the result is moved (mm, degrees).
    width : float
        Smoothness (FWHM, mm) at which is looked.
    seed : int
        Of the points.

    Returns
    -------
    Displaced
        Thirteen values.
    """
    still = pyramid(fixed, fixed_mask, [width])[0]
    centre = centre_of_mass(still)
    metric = Metric(still, pyramid(moving, None, [width])[0], 16000, seed, centre)
    around = []
    for axis in range(6):
        for sign in (-1.0, 1.0):
            p = np.zeros(6)
            p[axis] = sign * (np.radians(turn) if axis < 3 else shift)
            moved = compose(transform, Rigid.of(p, centre))
            assert isinstance(moved, Affine)
            around.append(metric.value(moved))
    return Displaced(metric.value(transform), tuple(around))


@dataclass(frozen=True)
class Side:
    """Whether two images of one person agree in left and right.

    Parameters
    ----------
    verdict : {"same", "mirrored", "undecided"}
        What the images say.
    as_is, mirrored : float
        Best match as it is and with the moving image mirrored.
    """

    verdict: Literal["same", "mirrored", "undecided"]
    as_is: float
    mirrored: float


def side(
    fixed: Volume,
    moving: Volume,
    *,
    fixed_mask: NDArray[np.bool_] | None = None,
    resolution: float = 4.0,
    seed: int = 0,
) -> Side:
    """Compare the match of an image with that of its mirror image.

    Parameters
    ----------
    fixed, moving : Volume
        Two images of one person.
    fixed_mask : (X, Y, Z) array of bool, optional
        Where the fixed image counts.
    resolution : float
        Finest step, mm.
    seed : int
        Of the points.

    Returns
    -------
    Side
        A difference below 2 % of the gain (match above 1) is undecided.
    """
    flip = np.diag([-1.0, 1.0, 1.0, 1.0])
    mirror = replace(moving, grid=Grid(moving.grid.shape, flip @ moving.grid.affine))
    found: list[Registration] = [
        Own().register(
            fixed, image, kind="rigid", fixed_mask=fixed_mask, resolution=resolution, seed=seed
        )
        for image in (moving, mirror)
    ]
    here, there = found[0].value, found[1].value
    gain = max(here, there) - 1.0
    if abs(here - there) < _UNDECIDED * gain:
        return Side("undecided", here, there)
    return Side("same" if here > there else "mirrored", here, there)


def curve(
    fixed: Volume,
    moving: Volume,
    transform: Affine,
    *,
    fixed_mask: NDArray[np.bool_] | None = None,
    reach: float = 5.0,
    steps: int = 11,
    seed: int = 0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Match along and about the axes around a result.

    Parameters
    ----------
    fixed, moving : Volume
        The images.
    transform : Affine
        The result.
    fixed_mask : (X, Y, Z) array of bool, optional
        Where the fixed image counts.
    reach : float
        mm and degrees.
    steps : int
        From minus to plus that.
    seed : int
        Of the points.

    Returns
    -------
    places : (steps,) array
        mm, or degrees.
    values : (6, steps) array
        Turns about x, y, z, then shifts.
    """
    still = pyramid(fixed, fixed_mask, [4.0])[0]
    centre = centre_of_mass(still)
    metric = Metric(still, pyramid(moving, None, [4.0])[0], 8000, seed, centre)
    places = np.linspace(-reach, reach, steps)
    values = np.zeros((6, steps))
    for axis in range(6):
        for k, place in enumerate(places):
            p = np.zeros(6)
            p[axis] = np.radians(place) if axis < 3 else place
            matrix = transform.matrix @ Rigid.of(p, centre).matrix
            matrix[3] = [0.0, 0.0, 0.0, 1.0]
            values[axis, k] = metric.value(Affine(matrix))
    return places, values


def single_peak(values: NDArray[np.float64]) -> bool:
    """Whether every curve has one peak, inside.

    Parameters
    ----------
    values : (6, N) array
        From :func:`curve`.

    Returns
    -------
    bool
        Rises to a place that is not an end, then falls.
    """
    for row in values:
        top = int(np.argmax(row))
        if top in (0, len(row) - 1):
            return False
        slope = np.diff(row)
        if (slope[:top] < 0).any() or (slope[top:] > 0).any():
            return False
    return True
