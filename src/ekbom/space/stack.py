"""Maps of many people on one grid, as rows of a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.space.checks import EMPTY_MASK, require_values
from ekbom.space.grid import Grid
from ekbom.space.image import Volume


@dataclass(frozen=True)
class Tally:
    """What became of the voxels when maps were brought together.

    Parameters
    ----------
    considered : int
        Voxels inside the mask that was given, else voxels where any map has a value.
    missing : int
        Left out because at least one map has no value there.
    constant : int
        Left out because all maps have the same value there.
    kept : int
        Voxels that remain.
    alone : tuple of int
        By map: voxels that this map alone takes away.
    """

    considered: int
    missing: int
    constant: int
    kept: int
    alone: tuple[int, ...]

    def words(self) -> str:
        """Return the tally as a sentence."""
        return (
            f"{self.kept} of {self.considered} voxels are used: {self.missing} have no value in "
            f"at least one map, {self.constant} have the same value in all maps"
        )


@dataclass(frozen=True, eq=False)
class Stack:
    """Maps on one grid.

    Parameters
    ----------
    values : (n, V) array
        One map a row, one voxel a column (C order of the mask).
    mask : (X, Y, Z) array of bool
        Voxels that are columns.
    grid : Grid
        Where they are.
    tally : Tally
        What was left out.
    """

    values: NDArray[np.float64]
    mask: NDArray[np.bool_]
    grid: Grid
    tally: Tally

    @property
    def affine(self) -> NDArray[np.float64]:
        """Index to RAS+ mm."""
        return self.grid.affine

    def image(self, row: NDArray[np.floating]) -> NDArray[np.float64]:
        """Put one value a voxel back into a volume.

        Parameters
        ----------
        row : (V,) array
            Values of the voxels inside the mask.

        Returns
        -------
        (X, Y, Z) array
            NaN outside the mask.
        """
        out = np.full(self.grid.shape, np.nan)
        out[self.mask] = row
        return out


def stack(
    maps: Sequence[Volume], mask: Volume | None = None, *, names: Sequence[str] | None = None
) -> Stack:
    """Bring maps together: voxels where all of them have a value.

    Parameters
    ----------
    maps : sequence of Volume
        All on one grid; a value that is not finite is missing.
    mask : Volume, optional
        Voxels above 0 are considered; all by default.
    names : sequence of str, optional
        What the maps are called in messages (paths).

    Returns
    -------
    Stack
        With the tally of what was left out.

    Raises
    ------
    Refused
        No map, grids that differ, a map without information or with absurd
        values, or fewer than two voxels left.
    """
    called = list(names) if names is not None else [f"map {k + 1}" for k in range(len(maps))]
    if not maps:
        raise Refused("There is no map to bring together.", expected="at least one map")
    grid = maps[0].grid
    for other, name in zip(maps[1:], called[1:], strict=True):
        grid.require(other.grid, mine=called[0], theirs=name)
    if mask is not None:
        grid.require(mask.grid, mine=called[0], theirs="the mask")
    rows = np.stack([np.asarray(image.values, dtype=np.float64).ravel() for image in maps])
    there = np.isfinite(rows)
    for row, known, name in zip(rows, there, called, strict=True):
        require_values(row[known], file=name)
    count = there.sum(axis=0)
    considered = count > 0
    if mask is not None:
        considered = np.nan_to_num(np.asarray(mask.values, dtype=np.float64)).ravel() > 0
    complete = considered & (count == len(maps))
    constant = np.zeros_like(complete)
    if len(maps) > 1:
        constant = complete & (rows == rows[0]).all(axis=0)
    kept = complete & ~constant
    nearly = considered & (count == len(maps) - 1)
    tally = Tally(
        int(considered.sum()),
        int((considered & ~complete).sum()),
        int(constant.sum()),
        int(kept.sum()),
        tuple(int((nearly & ~row).sum()) for row in there),
    )
    if tally.kept < 2:
        raise EMPTY_MASK.refused(file=called[0], found=tally.words())
    return Stack(rows[:, kept], kept.reshape(grid.shape), grid, tally)
