"""An image on a finer lattice, by cubic B-splines.

Between voxels that are coarse against the sharpness of the image, linear
interpolation pulls fine structure towards the nearer voxel. A registration
that looks at images that way finds too little motion: with voxels of 4 mm and
5 mm of blur a fifth of a millimetre was missing at the far end of a drift. On
a lattice of half the spacing, filled in by B-splines, it is a thirtieth.

References
----------
Unser M, Aldroubi A, Eden M (1993). B-spline signal processing: part I, theory.
IEEE Trans Signal Processing 41:821-833. doi:10.1109/78.193220
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ekbom.space.between import halve
from ekbom.space.grid import Grid
from ekbom.space.image import Volume

#: Voxel edges (mm) above this are halved.
_COARSE_MM = 3.0


def factors(grid: Grid) -> tuple[int, int, int]:
    """Say by how much each axis is refined.

    Parameters
    ----------
    grid : Grid
        Of the image.

    Returns
    -------
    tuple of int
        2 where the voxels are longer than 3 mm, else 1.
    """
    x, y, z = (2 if v > _COARSE_MM else 1 for v in grid.voxel_size)
    return x, y, z


def finer(volume: Volume) -> Volume:
    """Fill in an image on a lattice of half the spacing where voxels are coarse.

    Parameters
    ----------
    volume : Volume
        Values that are not finite count as 0.

    Returns
    -------
    Volume
        Its own values at its own voxels, up to rounding; the same object when
        its voxels are fine enough.
    """
    steps = factors(volume.grid)
    if steps == (1, 1, 1):
        return volume
    known = np.nan_to_num(np.asarray(volume.values, dtype=np.float64), posinf=0.0, neginf=0.0)
    for axis in range(3):
        if steps[axis] == 2 and known.shape[axis] > 1:
            known = ndimage.spline_filter1d(known, 3, axis=axis, mode="mirror")
    shape = [step * (n - 1) + 1 for step, n in zip(steps, known.shape, strict=True)]
    out = np.empty(shape)
    halve(np.ascontiguousarray(known), np.array(steps), out)
    affine = volume.grid.affine.copy()
    affine[:3, :3] /= steps
    grid = Grid((out.shape[0], out.shape[1], out.shape[2]), affine)
    return Volume(out, grid, volume.unit)


def finer_mask(mask: NDArray[np.bool_], grid: Grid) -> NDArray[np.bool_]:
    """Bring a mask to the lattice of :func:`finer`.

    Parameters
    ----------
    mask : (X, Y, Z) array of bool
        On the coarse grid.
    grid : Grid
        The coarse grid.

    Returns
    -------
    (x, y, z) array of bool
        The nearest voxel decides; half way, the one before.
    """
    for axis, step in enumerate(factors(grid)):
        n = mask.shape[axis]
        mask = mask.take(np.arange(step * (n - 1) + 1) // step, axis=axis)
    return np.asarray(mask, dtype=bool)
