"""Grids: which world point each voxel centre is.

World is RAS+ in mm, index (0, 0, 0) is the centre of the first voxel.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ekbom.space.checks import BAD_AFFINE, GRIDS_DIFFER, NOT_3D_SHAPE

Points = NDArray[np.float64]

#: Two grids are one when no corner is further apart than this (mm).
TOLERANCE_MM = 1e-4


@dataclass(frozen=True, eq=False)
class Grid:
    """A lattice of voxel centres.

    Parameters
    ----------
    shape : tuple of int
        Voxels along the three axes, each at least 1.
    affine : (4, 4) array
        Index to world (RAS+, mm).

    Raises
    ------
    Refused
        When the shape is not three positive numbers or the affine is not
        invertible, not finite, or has a last row other than 0 0 0 1.

    Examples
    --------
    >>> import numpy as np
    >>> grid = Grid((99, 117, 95), np.diag([2.0, 2.0, 2.0, 1.0]))
    >>> grid.to_world([1, 2, 3]).tolist()
    [2.0, 4.0, 6.0]
    >>> grid.orientation
    'RAS'
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    __hash__: ClassVar[None]  # type: ignore[assignment]  # equality has a tolerance

    def __post_init__(self) -> None:
        shape = tuple(int(n) for n in self.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise NOT_3D_SHAPE.refused(found=str(tuple(self.shape)))
        affine = np.array(self.affine, dtype=np.float64)
        sound = (
            affine.shape == (4, 4)
            and bool(np.isfinite(affine).all())
            and np.array_equal(affine[3], [0.0, 0.0, 0.0, 1.0])
            and abs(float(np.linalg.det(affine[:3, :3]))) > 1e-12
        )
        if not sound:
            raise BAD_AFFINE.refused(found=np.array2string(affine, separator=","))
        affine.setflags(write=False)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "affine", affine)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Grid):
            return NotImplemented
        return self.shape == other.shape and self.distance(other) <= TOLERANCE_MM

    @property
    def size(self) -> int:
        """Number of voxels."""
        return math.prod(self.shape)

    @property
    def voxel_size(self) -> tuple[float, float, float]:
        """Edge lengths of a voxel in mm, in the order of the array axes."""
        lengths = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))
        return float(lengths[0]), float(lengths[1]), float(lengths[2])

    @property
    def voxel_volume(self) -> float:
        """Volume of a voxel in mm3."""
        return abs(float(np.linalg.det(self.affine[:3, :3])))

    @property
    def orientation(self) -> str:
        """World direction to which each array axis points most, e.g. ``"LAS"``."""
        unit = self.affine[:3, :3] / np.asarray(self.voxel_size)
        # Of the six ways to give the axes away, the one that agrees best: no
        # world axis is named twice, also in a grid turned by 45 degrees.
        best = max(
            itertools.permutations(range(3)),
            key=lambda axes: sum(abs(unit[axes[k], k]) for k in range(3)),
        )
        return "".join("RAS"[best[k]] if unit[best[k], k] > 0 else "LPI"[best[k]] for k in range(3))

    @property
    def obliquity(self) -> float:
        """Largest angle (degrees) between an array axis and its world axis."""
        unit = np.abs(self.affine[:3, :3]) / np.asarray(self.voxel_size)
        rows = ["RLAPSI".index(letter) // 2 for letter in self.orientation]
        cosines = [min(1.0, float(unit[rows[k], k])) for k in range(3)]
        return max(math.degrees(math.acos(c)) for c in cosines)

    def to_world(self, index: ArrayLike) -> Points:
        """World points (mm) of voxel indices.

        Parameters
        ----------
        index : (..., 3) array
            Indices, whole or not.

        Returns
        -------
        (..., 3) array
            RAS+ mm.
        """
        return _apply(self.affine, index)

    def to_index(self, world: ArrayLike) -> Points:
        """Voxel indices (not rounded) of world points.

        Parameters
        ----------
        world : (..., 3) array
            RAS+ mm.

        Returns
        -------
        (..., 3) array
            Indices; whole numbers are voxel centres.
        """
        return _apply(np.linalg.inv(self.affine), world)

    def corners(self) -> Points:
        """World points (8, 3) of the corner voxels' centres."""
        ends = [(0, n - 1) for n in self.shape]
        return self.to_world(list(itertools.product(*ends)))

    def distance(self, other: Grid) -> float:
        """Largest distance (mm) between corresponding corners of two grids.

        Parameters
        ----------
        other : Grid
            May differ in shape too.

        Returns
        -------
        float
            Zero for the same grid.
        """
        apart = self.corners() - other.corners()
        return float(np.sqrt((apart**2).sum(axis=1)).max())

    def require(self, other: Grid, *, mine: object, theirs: object) -> None:
        """Refuse another grid that is not this one.

        Parameters
        ----------
        other : Grid
            The grid of the second image.
        mine, theirs : str or path
            What the two images are called in the message.

        Raises
        ------
        Refused
            With both grids and their distance in mm.
        """
        if self != other:
            apart = f"{self.distance(other):.4g} mm at a corner"
            raise GRIDS_DIFFER.refused(
                file=theirs, found=f"{theirs}: {other}; {mine}: {self}; {apart}"
            )

    def with_resolution(self, resolution: float) -> Grid:
        """Return the grid with the same first voxel and cubic voxels that fits inside this one.

        Parameters
        ----------
        resolution : float
            Voxel edge in mm.

        Returns
        -------
        Grid
            Same axes and first voxel centre; its last centres do not lie
            beyond those of this grid.
        """
        step = np.asarray(self.voxel_size)
        shape = [
            math.floor((n - 1) * s / resolution + 1e-6) + 1
            for n, s in zip(self.shape, step, strict=True)
        ]
        affine = self.affine.copy()
        affine[:3, :3] = affine[:3, :3] / step * resolution
        return Grid((shape[0], shape[1], shape[2]), affine)

    def as_dict(self) -> dict[str, Any]:
        """Return shape, voxel size, origin and axes in plain words for a sidecar."""
        return {
            "shape": list(self.shape),
            "voxel_size_mm": [round(v, 6) for v in self.voxel_size],
            "origin_mm": [round(float(v), 6) for v in self.affine[:3, 3]],
            "axes": self.orientation,
        }

    def __str__(self) -> str:
        shape = " x ".join(str(n) for n in self.shape)
        size = " x ".join(f"{v:.4g}" for v in self.voxel_size)
        origin = ", ".join(f"{v:.4g}" for v in self.affine[:3, 3])
        return f"{shape} voxels of {size} mm, axes {self.orientation}, first voxel at ({origin})"


def _apply(matrix: NDArray[np.floating], points: ArrayLike) -> Points:
    # Written out rather than as a matrix product: BLAS may round a point
    # differently when it stands alone or among others.
    p = np.asarray(points, dtype=np.float64)
    out = np.empty(p.shape)
    for k, row in enumerate(matrix[:3]):
        part = row[0] * p[..., 0]
        part += row[1] * p[..., 1]
        part += row[2] * p[..., 2]
        out[..., k] = part + row[3]
    return out
