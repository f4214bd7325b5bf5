"""A mask with a rim: the edge of a brain or head says most about its place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def with_rim(
    mask: NDArray[np.bool_], voxel_size: tuple[float, float, float], reach: float
) -> NDArray[np.bool_]:
    """Widen a mask along each axis.

    Parameters
    ----------
    mask : (X, Y, Z) array of bool
        The mask.
    voxel_size : three floats
        mm.
    reach : float
        By how much, mm.

    Returns
    -------
    (X, Y, Z) array of bool
        With a rim of at least one voxel.
    """
    for axis, size in enumerate(voxel_size):
        steps = max(1, round(reach / size))
        mask = ndimage.maximum_filter1d(mask, 2 * steps + 1, axis=axis)
    return np.asarray(mask, dtype=bool)
