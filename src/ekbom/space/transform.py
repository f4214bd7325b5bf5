"""Transforms: from points of the fixed image to points of the moving image.

World is RAS+ in mm. A transform **pulls**: it says for a point of the fixed
(reference) image where in the moving (input) image the same tissue lies. In a
:class:`Chain` the parts stand in the order in which the image passes through
them, from the input to the reference, so points go through them backwards;
for matrices that is the order of the product.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ekbom.errors import Refused
from ekbom.space.checks import BAD_FIELD, BAD_MATRIX, FOLDED, NOT_INVERTED, NOT_RIGID
from ekbom.space.field_points import displaced
from ekbom.space.grid import Grid, Points, _apply


class Transform(ABC):
    """Base of all transforms."""

    @abstractmethod
    def points(self, world: ArrayLike) -> Points:
        """Map points of the fixed image to the moving one.

        Parameters
        ----------
        world : (..., 3) array
            RAS+ mm.

        Returns
        -------
        (..., 3) array
            RAS+ mm.
        """

    @abstractmethod
    def inverse(self) -> Transform:
        """Return the transform the other way.

        Returns
        -------
        Transform
            Maps points of the moving image to the fixed one.
        """


@dataclass(frozen=True, eq=False)
class Affine(Transform):
    """A 4 x 4 matrix.

    Parameters
    ----------
    matrix : (4, 4) array
        RAS+ mm to RAS+ mm.

    Raises
    ------
    Refused
        When the matrix is not finite, not invertible, or not affine.

    Examples
    --------
    >>> shift = Affine([[1, 0, 0, 5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    >>> shift.points([1, 2, 3]).tolist()
    [6.0, 2.0, 3.0]
    """

    matrix: NDArray[np.float64]

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, dtype=np.float64)
        sound = (
            matrix.shape == (4, 4)
            and bool(np.isfinite(matrix).all())
            and np.array_equal(matrix[3], [0.0, 0.0, 0.0, 1.0])
            and abs(float(np.linalg.det(matrix[:3, :3]))) > 1e-9
        )
        if not sound:
            raise BAD_MATRIX.refused(found=np.array2string(matrix, separator=","))
        matrix.setflags(write=False)
        object.__setattr__(self, "matrix", matrix)

    def points(self, world: ArrayLike) -> Points:
        """Map points; see :meth:`Transform.points`.

        Parameters
        ----------
        world : (..., 3) array
            RAS+ mm.

        Returns
        -------
        (..., 3) array
            RAS+ mm.
        """
        return _apply(self.matrix, world)

    def inverse(self) -> Affine:
        """Return the inverse matrix as a transform.

        Returns
        -------
        Affine
            Of the same class.
        """
        out = np.array(np.linalg.inv(self.matrix), dtype=np.float64)
        out[3] = [0.0, 0.0, 0.0, 1.0]
        return type(self)(out)


@dataclass(frozen=True, eq=False)
class Rigid(Affine):
    """A rotation with a shift.

    Parameters
    ----------
    matrix : (4, 4) array
        RAS+ mm to RAS+ mm.

    Raises
    ------
    Refused
        When the matrix is not a proper rotation with a shift.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        turn = self.matrix[:3, :3]
        apart = float(np.abs(turn @ turn.T - np.eye(3)).max())
        if apart > 1e-6 or np.linalg.det(turn) < 0:
            raise NOT_RIGID.refused(found=f"off by {apart:.2g}, det {np.linalg.det(turn):.3g}")

    @classmethod
    def of(cls, parameters: ArrayLike, centre: ArrayLike = (0.0, 0.0, 0.0)) -> Rigid:
        """Make it from three angles and three shifts.

        Parameters
        ----------
        parameters : (6,) array
            Turns about x, y, z (radians; x first) and shifts along them (mm).
        centre : (3,) array
            Point (mm) about which is turned.

        Returns
        -------
        Rigid
            x goes to centre + shift + R (x - centre).
        """
        p, c = np.asarray(parameters, dtype=np.float64), np.asarray(centre, dtype=np.float64)
        out = np.eye(4)
        out[:3, :3] = rotation(*p[:3])
        out[:3, 3] = c + p[3:] - out[:3, :3] @ c
        return cls(out)

    def parameters(self, centre: ArrayLike = (0.0, 0.0, 0.0)) -> NDArray[np.float64]:
        """Return the numbers from which :meth:`of` makes this transform.

        Parameters
        ----------
        centre : (3,) array
            Point (mm) about which is turned.

        Returns
        -------
        (6,) array
            Radians (x, y, z), mm (x, y, z).
        """
        r, c = self.matrix[:3, :3], np.asarray(centre, dtype=np.float64)
        y = -math.asin(float(np.clip(r[2, 0], -1.0, 1.0)))
        x, z = math.atan2(r[2, 1], r[2, 2]), math.atan2(r[1, 0], r[0, 0])
        return np.array([x, y, z, *(self.matrix[:3, 3] + r @ c - c)])


@dataclass(frozen=True, eq=False)
class Warp(Transform):
    """A field of displacements: x goes to x + u(x).

    Parameters
    ----------
    displacement : (X, Y, Z, 3) array
        u in mm (RAS+) at the voxels of `grid`; linear between them, nothing beyond.
    grid : Grid
        A grid of the fixed image.

    Raises
    ------
    Refused
        When shape and grid disagree or a value is not finite.
    """

    displacement: NDArray[np.float64]
    grid: Grid

    def __post_init__(self) -> None:
        field = np.asarray(self.displacement, dtype=np.float64)
        if field.shape != (*self.grid.shape, 3) or not np.isfinite(field).all():
            raise BAD_FIELD.refused(found=f"array of shape {field.shape}, grid {self.grid}")
        object.__setattr__(self, "displacement", np.ascontiguousarray(field))

    def points(self, world: ArrayLike) -> Points:
        """Map points; see :meth:`Transform.points`.

        Parameters
        ----------
        world : (..., 3) array
            RAS+ mm.

        Returns
        -------
        (..., 3) array
            RAS+ mm.
        """
        place = np.asarray(world, dtype=np.float64)
        flat = np.ascontiguousarray(place.reshape(-1, 3))
        out = np.empty_like(flat)
        displaced(self.displacement, np.linalg.inv(self.grid.affine), flat, out)
        return out.reshape(place.shape)

    def inverse(self, tolerance: float = 0.05, rounds: int = 100) -> Warp:
        """Invert by fixed point on the same grid: v(y) = -u(y + v(y)).

        Parameters
        ----------
        tolerance : float
            Largest round trip (mm) that is accepted, at the voxels.
        rounds : int
            Largest number of iterations.

        Returns
        -------
        Warp
            The field the other way.

        Raises
        ------
        Refused
            When the field folds or the iteration does not get there.
        """
        lowest = float(jacobian(self, self.grid).min())
        if lowest <= 0.0:
            raise FOLDED.refused(found=f"a Jacobian determinant of {lowest:.3g}")
        place = world_points(self.grid)
        back, step, before = -self.displacement, 1.0, math.inf
        for _ in range(rounds):
            goal = place + back
            miss = self.points(goal) - place
            worst = float(np.sqrt((miss**2).sum(axis=-1)).max())
            if worst < 0.2 * tolerance:
                break
            if worst > before:
                step = max(0.5 * step, 0.125)
            before = worst
            back = back - step * miss
        if worst > tolerance:
            raise NOT_INVERTED.refused(found=f"{worst:.3g} mm after {rounds} rounds")
        return Warp(back, self.grid)


@dataclass(frozen=True, eq=False)
class Chain(Transform):
    """Transforms one after the other.

    Parameters
    ----------
    parts : tuple of Transform
        From the input image to the reference: ``Chain((a, b)).points(x)`` is
        ``a.points(b.points(x))``.
    """

    parts: tuple[Transform, ...]

    def points(self, world: ArrayLike) -> Points:
        """Map points; see :meth:`Transform.points`.

        Parameters
        ----------
        world : (..., 3) array
            RAS+ mm.

        Returns
        -------
        (..., 3) array
            RAS+ mm.
        """
        out = np.asarray(world, dtype=np.float64)
        for part in reversed(self.parts):
            out = part.points(out)
        return out

    def inverse(self) -> Chain:
        """Return the inverses in the other order.

        Returns
        -------
        Chain
            From reference to input.
        """
        return Chain(tuple(part.inverse() for part in reversed(self.parts)))


def compose(*parts: Transform) -> Transform:
    """Put transforms together; neighbouring matrices become one.

    Parameters
    ----------
    *parts : Transform
        From the input image to the reference.

    Returns
    -------
    Transform
        `Rigid` or `Affine` when all are, else a `Chain`.
    """
    flat: list[Transform] = []
    for part in parts:
        for one in part.parts if isinstance(part, Chain) else (part,):
            last = flat[-1] if flat else None
            if isinstance(one, Affine) and isinstance(last, Affine):
                both = isinstance(one, Rigid) and isinstance(last, Rigid)
                matrix = last.matrix @ one.matrix
                matrix[3] = [0.0, 0.0, 0.0, 1.0]
                flat[-1] = Rigid(matrix) if both else Affine(matrix)
            else:
                flat.append(one)
    if not flat:
        return Rigid(np.eye(4))
    return flat[0] if len(flat) == 1 else Chain(tuple(flat))


def rotation(x: float, y: float, z: float) -> NDArray[np.float64]:
    """Return the matrix of turns about x, then y, then z.

    Parameters
    ----------
    x, y, z : float
        Radians.

    Returns
    -------
    (3, 3) array
        Rz Ry Rx.
    """
    cx, sx, cy, sy, cz, sz = *_cs(x), *_cs(y), *_cs(z)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x, dtype=np.float64)


def jacobian(transform: Transform, grid: Grid) -> NDArray[np.float64]:
    """Determinant of the Jacobian at the voxels of a grid, by central differences.

    Parameters
    ----------
    transform : Transform
        Any.
    grid : Grid
        At least two voxels along each axis.

    Returns
    -------
    (X, Y, Z) array
        Volume in the moving image per volume in the fixed one; 0 or less where it folds.
    """
    place = transform.points(world_points(grid))
    a, b, c = (np.gradient(place[..., k]) for k in range(3))
    # written out: a call for every matrix of 3 x 3 would take most of the time
    volume = (
        a[0] * (b[1] * c[2] - b[2] * c[1])
        - a[1] * (b[0] * c[2] - b[2] * c[0])
        + a[2] * (b[0] * c[1] - b[1] * c[0])
    )
    return np.asarray(volume / np.linalg.det(grid.affine[:3, :3]), dtype=np.float64)


def world_points(grid: Grid) -> Points:
    """World points of all voxels.

    Parameters
    ----------
    grid : Grid
        Where.

    Returns
    -------
    (X, Y, Z, 3) array
        RAS+ mm.
    """
    index = np.indices(grid.shape, dtype=np.float64)
    return grid.to_world(np.moveaxis(index, 0, -1))


def round_trip(there: Transform, back: Transform, world: ArrayLike) -> NDArray[np.float64]:
    """Distance between points and where they are after going there and back.

    Parameters
    ----------
    there, back : Transform
        A transform and what should be its inverse.
    world : (..., 3) array
        RAS+ mm.

    Returns
    -------
    (...) array
        mm.
    """
    place = np.asarray(world, dtype=np.float64)
    apart = back.points(there.points(place)) - place
    return np.asarray(np.sqrt((apart**2).sum(axis=-1)), dtype=np.float64)


def as_transform(matrix: ArrayLike) -> Affine:
    """Return a `Rigid` when the matrix is one, else an `Affine`.

    Parameters
    ----------
    matrix : (4, 4) array
        RAS+ mm to RAS+ mm.

    Returns
    -------
    Affine
        Of the narrower class.
    """
    try:
        return Rigid(np.asarray(matrix))
    except Refused:
        return Affine(np.asarray(matrix))


def _cs(angle: float) -> tuple[float, float]:
    return math.cos(angle), math.sin(angle)
