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
    out = np.nan_to_num(np.asarray(volume.values, dtype=np.float64), posinf=0.0, neginf=0.0)
    # The first axis last: what is written then is largest, and lies in one piece.
    for axis in (2, 1, 0):
        if steps[axis] == 2 and out.shape[axis] > 1:
            out = _between(ndimage.spline_filter1d(out, 3, axis=axis, mode="mirror"), axis)
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


def _between(weights: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    # Cubic B-spline at the voxels (1, 4, 1) / 6 and half way (1, 23, 23, 1) / 48.
    n = weights.shape[axis]

    def part(array: NDArray[np.float64], *which: int | None) -> NDArray[np.float64]:
        return array[(slice(None),) * axis + (slice(*which),)]

    # mirrored about the outermost voxels
    wide = np.concatenate([part(weights, 1, 2), weights, part(weights, n - 2, n - 1)], axis)
    shape = list(weights.shape)
    shape[axis] = 2 * n - 1
    out = np.empty(shape)
    here, half = part(out, 0, None, 2), part(out, 1, None, 2)
    np.multiply(weights, 4.0, out=here)
    here += part(wide, 0, n)
    here += part(wide, 2, n + 2)
    here /= 6.0
    np.add(part(wide, 1, n), part(wide, 2, n + 1), out=half)
    half *= 23.0
    half += part(wide, 0, n - 1)
    half += part(wide, 3, n + 2)
    half /= 48.0
    return out
