"""Images in memory: one volume or a series of frames, with their place and unit."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ekbom.space.checks import FRAMES_DIFFER, NOT_3D, NOT_4D
from ekbom.space.grid import Grid


@dataclass(frozen=True, eq=False)
class Volume:
    """One 3-D image.

    Parameters
    ----------
    values : (X, Y, Z) array
        Voxel values; NaN is missing.
    grid : Grid
        Where the voxels are.
    unit : str
        Unit of the values, ``"1"`` for pure numbers, ``""`` when not said.
    notes : tuple of str
        What the reader of the file noticed.

    Raises
    ------
    Refused
        When the array does not have the shape of the grid.
    """

    values: NDArray[np.generic]
    grid: Grid
    unit: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or self.values.shape != self.grid.shape:
            raise NOT_3D.refused(found=f"array of shape {self.values.shape}, grid {self.grid}")


@dataclass(frozen=True, eq=False)
class Series:
    """A dynamic image.

    Parameters
    ----------
    values : (X, Y, Z, F) array
        Voxel values, one volume a frame.
    grid : Grid
        Where the voxels are.
    frame_start, frame_duration : (F,) array
        Minutes from the time zero of the scan.
    unit : str
        Unit of the values.
    notes : tuple of str
        What the reader of the file noticed.

    Raises
    ------
    Refused
        When array, grid and frame times disagree.
    """

    values: NDArray[np.generic]
    grid: Grid
    frame_start: NDArray[np.float64]
    frame_duration: NDArray[np.float64]
    unit: str
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.values.ndim != 4 or self.values.shape[:3] != self.grid.shape:
            raise NOT_4D.refused(found=f"array of shape {self.values.shape}, grid {self.grid}")
        frames = self.values.shape[3]
        if not len(self.frame_start) == len(self.frame_duration) == frames:
            raise FRAMES_DIFFER.refused(
                found=f"{frames} volumes, {len(self.frame_start)} starts, "
                f"{len(self.frame_duration)} durations"
            )

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return int(self.values.shape[3])
