"""Rigid and affine registration by normalised mutual information.

Both images are made smoother level by level; at each level the metric is
looked at in quasi-random points that lie between the voxels, so that the
lattice of one image does not attract that of the other, and is climbed with
its exact derivative (L-BFGS).

References
----------
Studholme C, Hill DLG, Hawkes DJ (1999). An overlap invariant entropy measure
of 3D medical image alignment. Pattern Recognition 32:71-86.
doi:10.1016/S0031-3203(98)00091-0

Mattes D, Haynor DR, Vesselle H, Lewellen TK, Eubank W (2003). PET-CT image
registration in the chest using free-form deformations. IEEE Trans Med Imaging
22:120-128. doi:10.1109/TMI.2003.809072
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from ekbom.space.checks import require_mask
from ekbom.space.grid import Grid
from ekbom.space.image import Volume
from ekbom.space.register import kernels
from ekbom.space.register.slabs import serial
from ekbom.space.register.soften import soften, strides
from ekbom.space.transform import Affine, Rigid, rotation

Array = NDArray[np.float64]

_BINS = 32
#: Angles, scales and shears are counted in mm at this distance from the centre.
_ARM_MM = 60.0
#: Voxels from which the range of values is taken.
_ENOUGH = 100_000
#: Fewer points than this share in common: the images do not meet.
_OVERLAP = 0.3


@dataclass(frozen=True, eq=False)
class Level:
    """An image at one smoothness.

    Parameters
    ----------
    width : float
        FWHM in mm.
    image : (X, Y, Z) array of float32
        Smoothed, thinned out.
    mask : (X, Y, Z) array of uint8
        Where it counts.
    grid : Grid
        Of these arrays.
    low, bin_width : float
        From value to bin of the histogram.
    """

    width: float
    image: NDArray[np.float32]
    mask: NDArray[np.uint8]
    grid: Grid
    low: float
    bin_width: float


def pyramid(
    volume: Volume, mask: NDArray[np.bool_] | None = None, levels: Sequence[float] = (8.0, 4.0, 2.0)
) -> list[Level]:
    """Make an image smoother level by level.

    Parameters
    ----------
    volume : Volume
        Values that are not finite count as 0 and outside.
    mask : (X, Y, Z) array of bool, optional
        Where the image counts.
    levels : sequence of float
        FWHM in mm, coarse first.

    Returns
    -------
    list of Level
        In the order of `levels`.

    Raises
    ------
    Refused
        When the mask is empty.
    """
    values = np.asarray(volume.values)
    image = values.astype(np.float32)
    valid = np.isfinite(image)
    if not valid.all():
        image[~valid] = 0.0
    if mask is not None:
        valid &= mask
    require_mask(valid)
    grid, done, out = volume.grid, 0.0, []
    for width in sorted(levels):
        stride = strides(image.shape, grid.voxel_size, width)
        more = float(np.sqrt(width**2 - done**2))
        image = soften(image, grid.voxel_size, more, stride, serial)
        done = width
        valid = valid[tuple(slice(None, None, s) for s in stride)]
        affine = grid.affine.copy()
        affine[:3, :3] *= stride
        shape = (image.shape[0], image.shape[1], image.shape[2])
        grid = Grid(shape, affine)
        seen = image[valid]
        low, high = np.percentile(seen[:: max(1, seen.size // _ENOUGH)], [0.05, 99.95])
        step = max(float(high - low), 1e-12) / (_BINS - 5)
        out.append(Level(width, image, valid.astype(np.uint8, order="C"), grid, float(low), step))
    return out[::-1]


class Metric:
    """Normalised mutual information at one level, and its derivative.

    Parameters
    ----------
    fixed, moving : Level
        The two images.
    points : int
        Points at which they are compared.
    seed : int
        Where the quasi-random sequence starts.
    centre : (3,) array
        World point about which is turned.
    """

    def __init__(
        self, fixed: Level, moving: Level, points: int, seed: int, centre: NDArray[np.float64]
    ) -> None:
        self.moving, self.centre = moving, centre
        index = scatter(fixed.mask, points, seed)
        seen = np.zeros((len(index), 5))
        kernels.sample(fixed.image, fixed.mask, index, np.eye(4)[:3].copy(), seen)
        good = seen[:, 0] > 0
        self.place = np.ascontiguousarray(fixed.grid.to_world(index[good]) - centre)
        self.bins = np.clip((seen[good, 1] - fixed.low) / fixed.bin_width + 2.0, 1.5, _BINS - 2.5)
        self.seen = np.zeros((len(self.place), 5))
        self.joint = np.zeros((_BINS, _BINS))
        self._to_index = np.linalg.inv(moving.grid.affine)

    def to(self, moving: Level) -> Metric:
        """Return the metric of the same fixed image with another moving one.

        Parameters
        ----------
        moving : Level
            The other image.

        Returns
        -------
        Metric
            At the same points.
        """
        other = copy.copy(self)
        other.moving = moving
        other._to_index = np.linalg.inv(moving.grid.affine)
        other.seen, other.joint = np.zeros_like(self.seen), np.zeros_like(self.joint)
        return other

    def value(self, transform: Affine) -> float:
        """Return the metric.

        Parameters
        ----------
        transform : Affine
            From fixed to moving.

        Returns
        -------
        float
            1 for no relation, 2 for the same image; 0 when the images do not meet.
        """
        return self._look(transform.matrix)[0]

    def value_and_slope(self, matrix: Array) -> tuple[float, Array]:
        """Return the metric and its derivative by the matrix.

        Parameters
        ----------
        matrix : (4, 4) array
            From fixed to moving, RAS+ mm.

        Returns
        -------
        value : float
            See :meth:`value`.
        slope : (3, 4) array
            By the entries of the map from (point - centre) to the moving image, mm.
        """
        value, rate = self._look(matrix)
        out = np.zeros((3, 4))
        if rate is not None:
            m = self.moving
            kernels.climb(self.bins, self.place, self.seen, m.low, m.bin_width, rate, out)
            out = self._to_index[:3, :3].T @ out
        return value, out

    def _look(self, matrix: Array) -> tuple[float, Array | None]:
        about = matrix.copy()
        about[:3, 3] += matrix[:3, :3] @ self.centre
        to_index = np.ascontiguousarray((self._to_index @ about)[:3])
        m = self.moving
        count = kernels.sample(m.image, m.mask, self.place, to_index, self.seen)
        if count < _OVERLAP * len(self.place):
            return 0.0, None
        kernels.histogram(self.bins, self.seen, m.low, m.bin_width, self.joint)
        tiny = 1e-12
        both = np.log(self.joint + tiny)
        f, g = self.joint.sum(axis=1), self.joint.sum(axis=0)
        log_f, log_g = np.log(f + tiny), np.log(g + tiny)
        apart = -float((f * log_f).sum() + (g * log_g).sum())
        joined = -float((self.joint * both).sum())
        if joined < 1e-9:
            return 0.0, None
        rate = ((-2.0 - log_f[:, None] - log_g) * joined + apart * (both + 1.0)) / joined**2
        return apart / joined, rate


def scatter(mask: NDArray[np.uint8], points: int, seed: int) -> Array:
    """Quasi-random indices inside a mask (additive recurrence in three dimensions).

    Parameters
    ----------
    mask : (X, Y, Z) array
        Inside is not 0.
    points : int
        How many are wanted; fewer when the mask is small.
    seed : int
        Where the sequence starts.

    Returns
    -------
    (P, 3) array
        Indices between the voxels, in the order of the voxels.
    """
    sides = [np.flatnonzero(mask.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    low, high = (np.array([side[end] for side in sides]) for end in (0, -1))
    share = np.count_nonzero(mask) / float(np.prod(high - low + 1))
    root = 1.2207440846057596  # of x^4 = x + 1: the generalised golden ratio
    start = np.random.default_rng(seed).random(3)
    n = np.arange(1, int(points / share) + 1)[:, None]
    index = low + (start + n * root ** -np.arange(1.0, 4.0)) % 1.0 * (high - low)
    near = np.round(index).astype(int)
    inside = mask[tuple(near.T)] > 0
    # In the order of the voxels: neighbours in memory are looked at together.
    order = np.argsort(np.ravel_multi_index(tuple(near[inside].T), mask.shape), kind="stable")
    return np.asarray(index[inside][order])


def fit(
    metric: Metric,
    start: Affine,
    kind: Literal["rigid", "affine"],
    rounds: int = 60,
    settle: float = 1e-9,
) -> tuple[Affine, float]:
    """Climb from a start to the nearest maximum.

    Parameters
    ----------
    metric : Metric
        At one level.
    start : Affine
        From fixed to moving; a `Rigid` stays one when the kind is rigid.
    kind : {"rigid", "affine"}
        Freedom.
    rounds : int
        Largest number of iterations.
    settle : float
        It ends when an iteration gains less than this.

    Returns
    -------
    transform : Affine
        The maximum.
    value : float
        The metric there.
    """
    size = 6 if kind == "rigid" else 12
    centre = metric.centre

    turn = start.matrix[:3, :3]

    def down(p: Array) -> tuple[float, Array]:
        step, by_number = _step(p, centre)
        value, by_matrix = metric.value_and_slope(start.matrix @ step)
        # By the step's own matrix: what is turned afterwards is turned back.
        pull = turn.T @ by_matrix
        slope = (by_number * pull[:, :3]).sum(axis=(1, 2))
        return -value, -np.concatenate([slope[:3], pull[:, 3], slope[3:]])

    found = optimize.minimize(
        down,
        np.zeros(size),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": rounds, "ftol": settle, "gtol": 1e-7},
    )
    matrix = start.matrix @ _step(np.asarray(found.x), centre)[0]
    matrix[3] = [0.0, 0.0, 0.0, 1.0]
    rigid = kind == "rigid" and isinstance(start, Rigid)
    return (_clean(matrix) if rigid else Affine(matrix)), -float(found.fun)


def centre_of_mass(level: Level) -> Array:
    """Centre (world, mm) of what is brighter than nothing.

    Parameters
    ----------
    level : Level
        An image.

    Returns
    -------
    (3,) array
        RAS+ mm.
    """
    weight = np.clip(level.image.astype(np.float64) - level.low, 0.0, None) * level.mask
    weight = np.minimum(weight, np.percentile(weight, 95.0))
    sides = [weight.sum(axis=axes) for axes in ((1, 2), (0, 2), (0, 1))]
    index = np.array([float((side * np.arange(side.size)).sum()) for side in sides])
    return np.asarray(level.grid.to_world(index / weight.sum()))


def _step(p: Array, centre: Array) -> tuple[Array, Array]:
    # Six numbers: turns and shifts; twelve: scales and shears too. All in mm. With the
    # derivatives of the 3 x 3 part by all but the shifts.
    x, y, z = p[:3] / _ARM_MM
    part = rotation(x, y, z)
    # Rz Ry Rx: the first turn is about x, the last about z, the middle one about y turned by z.
    rates = [part @ _about(1.0, 0.0, 0.0), _about(-math.sin(z), math.cos(z), 0.0) @ part]
    rates.append(_about(0.0, 0.0, 1.0) @ part)
    if p.size == 12:
        stretch = np.diag(np.exp(p[6:9] / _ARM_MM))
        stretch[0, 1], stretch[0, 2], stretch[1, 2] = p[9:] / _ARM_MM
        rates = [rate @ stretch for rate in rates]
        for k, (i, j) in enumerate(((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))):
            rate = np.zeros((3, 3))
            rate[:, j] = part[:, i] * (stretch[i, j] if k < 3 else 1.0)
            rates.append(rate)
        part = part @ stretch
    out = np.eye(4)
    out[:3, :3] = part
    out[:3, 3] = centre + p[3:6] - part @ centre
    return out, np.stack(rates) / _ARM_MM


def _about(x: float, y: float, z: float) -> Array:
    # Rate of a turn about an axis.
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])


def _clean(matrix: Array) -> Rigid:
    # Products of many rotations drift; the nearest rotation is taken.
    u, _, vt = np.linalg.svd(matrix[:3, :3])
    out = matrix.copy()
    out[:3, :3] = u @ vt
    return Rigid(out)
