"""How good a way from one image to another is, in numbers.

All is measured with the images as they come out, not with what the backend says
of itself, so that backends can be compared and a bad result is seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ekbom.space.grid import Grid
from ekbom.space.image import Volume
from ekbom.space.pose import brain_points, covered, turn
from ekbom.space.quality import Displaced, dice, displaced
from ekbom.space.register.linear import Level, Metric, centre_of_mass, pyramid
from ekbom.space.smooth import smooth
from ekbom.space.template import Template
from ekbom.space.tissue import classify
from ekbom.space.transform import Rigid, Transform, jacobian, round_trip
from ekbom.space.warp import warp

Array = NDArray[np.float64]

#: Robust z above which a person is an outlier of the group.
OUTLIER = 3.5


@dataclass(frozen=True)
class Number:
    """One number of quality control.

    Parameters
    ----------
    name, unit : str
        What it is.
    value : float
        The number.
    """

    name: str
    value: float
    unit: str = "1"


@dataclass(frozen=True, eq=False)
class Assessed:
    """A registration to the template, looked at.

    Parameters
    ----------
    numbers : tuple of Number
        For tables.
    image : (X, Y, Z) array
        The moving image on the grid of the template.
    around : Displaced
        The match at the result and around it.
    angle : float
        Degrees by which the head is turned against the template.
    folds : float
        Share of voxels of the brain where the deformation folds.
    coverage : float
        Share of the brain of the template that lies in the field of view.
    """

    numbers: tuple[Number, ...]
    image: Array
    around: Displaced
    angle: float
    folds: float
    coverage: float

    def number(self, name: str) -> float:
        """Return a number by name."""
        return next(one.value for one in self.numbers if one.name == name)


def to_template(
    head: Template, t1: Volume, transform: Transform, inverse: Transform, *, seed: int = 0
) -> Assessed:
    """Look at the way of a T1-weighted image to the template.

    Parameters
    ----------
    head : Template
        At the resolution at which is looked.
    t1 : Volume
        The image.
    transform, inverse : Transform
        From points of the template to points of the image, and back.
    seed : int
        Of the points.

    Returns
    -------
    Assessed
        ``GM_Dice`` and ``brain_Dice`` (brightness classes of the image against the
        maps of the template), ``NMI_start`` and ``NMI``, ``jacobian_min/max``,
        ``folded``, ``inverse_median`` and ``inverse_95`` (mm), ``coverage``, ``turn``.
    """
    image = warp(t1.values, t1.grid, head.grid, transform)
    fixed = Volume(np.asarray(head.t1, dtype=np.float64), head.grid)
    there = Volume(np.nan_to_num(image), head.grid)
    around = displaced(fixed, there, Rigid(np.eye(4)), fixed_mask=head.brain, seed=seed)
    tissue = classify(image, head.brain)
    matter = tissue.grey + tissue.white > 0.5
    known = np.asarray(head.grey + head.white) > 0.5 * float((head.grey + head.white).max())
    numbers = [
        Number("GM_Dice", dice(tissue.grey > 0.5, head.grey_mask & head.brain)),
        Number("brain_Dice", dice(matter, known & head.brain)),
        Number("NMI_start", _start(fixed, t1, head.brain, seed)),
        Number("NMI", around.value),
    ]
    way, folds = way_numbers(head.grid, head.brain, transform, inverse)
    points = brain_points(head.grid, head.brain)
    seen = covered(transform, points, t1.grid)
    angle = turn(transform, points)
    more = [*way, Number("coverage", 100 * seen, "%"), Number("turn", angle, "degrees")]
    return Assessed((*numbers, *more), image, around, angle, folds, seen)


def way_numbers(
    grid: Grid, brain: NDArray[np.bool_], transform: Transform, inverse: Transform
) -> tuple[list[Number], float]:
    """Jacobian, folds and inverse consistency of a transform inside the brain.

    Parameters
    ----------
    grid : Grid
        Of the fixed image.
    brain : (X, Y, Z) array of bool
        Where it counts.
    transform, inverse : Transform
        From fixed to moving, and back.

    Returns
    -------
    numbers : list of Number
        Five of them.
    folds : float
        Share of folded voxels.
    """
    volume = jacobian(transform, grid)[brain]
    apart = round_trip(transform, inverse, brain_points(grid, brain))
    folds = float(np.mean(volume <= 0.0))
    return [
        Number("jacobian_min", float(volume.min())),
        Number("jacobian_max", float(volume.max())),
        Number("folded", 100 * folds, "%"),
        Number("inverse_median", float(np.median(apart)), "mm"),
        Number("inverse_95", float(np.quantile(apart, 0.95)), "mm"),
    ], folds


def robust_z(values: Array) -> Array:
    """Distance from the median in units of the scaled median absolute deviation.

    Parameters
    ----------
    values : (N,) array
        One number of everybody; NaN is missing.

    Returns
    -------
    (N,) array
        NaN for fewer than five people, or when more than half are the same.

    References
    ----------
    Iglewicz B, Hoaglin DC (1993). How to detect and handle outliers. ASQC, Milwaukee.

    Examples
    --------
    >>> robust_z([1.0, 2.0, 3.0, 4.0, 100.0]).round(1).tolist()
    [-1.3, -0.7, 0.0, 0.7, 65.4]
    """
    numbers = np.asarray(values, dtype=np.float64)
    there = numbers[np.isfinite(numbers)]
    out = np.full(numbers.shape, np.nan)
    if there.size < 5:
        return out
    middle = float(np.median(there))
    spread = float(np.median(np.abs(there - middle)))
    if spread > 0:
        out = 0.6745 * (numbers - middle) / spread
    return out


def _start(fixed: Volume, moving: Volume, mask: NDArray[np.bool_], seed: int) -> float:
    still: Level = pyramid(fixed, mask, [4.0])[0]
    moved: Level = pyramid(moving, None, [4.0])[0]
    centre = centre_of_mass(still)
    metric = Metric(still, moved, 16000, seed, centre)
    return metric.value(Rigid.of([0, 0, 0, *(centre_of_mass(moved) - centre)], centre))


def warped_mask(
    mask: NDArray[np.bool_], source: Grid, target: Grid, transform: Transform
) -> NDArray[np.bool_]:
    """Bring a mask through a transform: voxels of which at least half is inside.

    Parameters
    ----------
    mask : (X, Y, Z) array of bool
        On `source`.
    source, target : Grid
        Of the moving and the fixed image.
    transform : Transform
        From fixed to moving.

    Returns
    -------
    (x, y, z) array of bool
        On `target`.
    """
    share = mask.astype(np.float64)
    if max(target.voxel_size) > 1.5 * max(source.voxel_size):
        # A coarser voxel holds many of the mask's.
        share = smooth(share, source.voxel_size, 0.7 * max(target.voxel_size))
    return np.asarray(np.nan_to_num(warp(share, source, target, transform)) >= 0.5)
