"""The template: ICBM 2009a symmetric, as it lies in the installed nilearn.

The three maps (T1, grey and white matter, 1 mm) are part of nilearn's
package; nothing is downloaded, and nilearn itself is not imported because
that takes seconds. Other resolutions are made from them.

The template is left-right symmetric: a flipped image fits it just as well.

References
----------
Fonov V, Evans AC, Botteron K, Almli CR, McKinstry RC, Collins DL (2011).
Unbiased average age-appropriate atlases for pediatric studies. NeuroImage
54:313-327. doi:10.1016/j.neuroimage.2010.07.033
"""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

from ekbom.space.checks import TEMPLATE_RESOLUTION
from ekbom.space.grid import Grid
from ekbom.space.smooth import FWHM_PER_SIGMA

#: BIDS space label. Not 2009cAsym, not 6Asym.
SPACE = "MNI152NLin2009aSym"

#: nilearn's brain mask: T1 above this share of its maximum.
_BRAIN_THRESHOLD = 0.2
_MAKING = threading.Lock()

CITATION = (
    "Fonov V, Evans AC, Botteron K, Almli CR, McKinstry RC, Collins DL, 2011. Unbiased average "
    "age-appropriate atlases for pediatric studies. NeuroImage 54:313-327. "
    "doi:10.1016/j.neuroimage.2010.07.033"
)


@dataclass(frozen=True, eq=False)
class Template:
    """The template at one resolution.

    Parameters
    ----------
    space : str
        BIDS space label.
    grid : Grid
        Where its voxels are.
    t1 : (X, Y, Z) float32 array
        T1-weighted image without skull, 0 to 1.
    grey, white : (X, Y, Z) float32 array
        Tissue share, 0 to 1.
    brain : (X, Y, Z) array of bool
        Brain mask as nilearn defines it (T1 above 0.2); at other resolutions
        the voxels of which at least half is inside.
    """

    space: str
    grid: Grid
    t1: NDArray[np.float32]
    grey: NDArray[np.float32]
    white: NDArray[np.float32]
    brain: NDArray[np.bool_]

    @property
    def grey_mask(self) -> NDArray[np.bool_]:
        """Voxels of which grey matter is more than half of its maximum."""
        return np.asarray(self.grey > 0.5 * self.grey.max())


def template(resolution: float = 2.0) -> Template:
    """Return the template at a resolution.

    At 1 mm the maps are those of the package. Others come from a Gaussian
    (FWHM sqrt(resolution^2 - 1) mm, T1 inside the brain only) and linear
    interpolation at the new voxel centres; the first voxel stays where it is,
    so 2 mm is 99 x 117 x 95 and 4 mm is 50 x 59 x 48 from (-98, -134, -72).

    Parameters
    ----------
    resolution : float
        Voxel edge in mm, 1 to 12.

    Returns
    -------
    Template
        Arrays cannot be written to; the same object is returned again.

    Raises
    ------
    Refused
        When the resolution is out of range or nilearn's files are missing.
    """
    resolution = float(resolution)
    with _MAKING:  # two threads that ask at once wait for one
        return _template(resolution)


@functools.lru_cache(maxsize=4)
def _template(resolution: float) -> Template:
    from ekbom.space.io import template_file  # files are read at the edge only

    if not 1.0 <= resolution <= 12.0:
        raise TEMPLATE_RESOLUTION.refused(found=f"{resolution:g} mm")
    t1, grid = template_file("t1")
    grey, _ = template_file("gm")
    white, _ = template_file("wm")
    brain = t1 > _BRAIN_THRESHOLD
    if resolution == 1.0:
        return _frozen(grid, t1, grey, white, brain)
    target = grid.with_resolution(resolution)
    # T1 is weighted by where there is head at all, so that the cortex does not
    # fade; tissue shares are plain means, a voxel half outside is half empty.
    head = t1 > 0
    share = _coarser(head, grid, target)
    bright = _coarser(t1, grid, target)
    t1_out = np.divide(bright, share, out=np.zeros(target.shape), where=share > 0.5)
    return _frozen(
        target,
        t1_out,
        _coarser(grey, grid, target),
        _coarser(white, grid, target),
        _coarser(brain, grid, target) >= 0.5,
    )


def _frozen(grid: Grid, *maps: NDArray[np.generic]) -> Template:
    t1, grey, white, brain = maps
    out = Template(
        SPACE,
        grid,
        np.ascontiguousarray(t1, dtype=np.float32),
        np.ascontiguousarray(grey, dtype=np.float32),
        np.ascontiguousarray(white, dtype=np.float32),
        np.ascontiguousarray(brain, dtype=bool),
    )
    for array in (out.t1, out.grey, out.white, out.brain):
        array.setflags(write=False)
    return out


def _coarser(image: NDArray[np.generic], grid: Grid, target: Grid) -> NDArray[np.float64]:
    # Both grids have the same axes, so Gaussian and linear interpolation are
    # done axis by axis. Along one axis both together are a sparse matrix of
    # few rows, so that nothing is filtered only to be thrown away.
    # The axis that lies slowest in memory goes first (files hold x fastest):
    # the volume shrinks without being turned round in memory.
    rows = [
        _weights(n, n_out, new / old)
        for n, n_out, new, old in zip(
            grid.shape, target.shape, target.voxel_size, grid.voxel_size, strict=True
        )
    ]
    if np.asarray(image).flags.f_contiguous:
        return _along(np.asarray(image).T, rows[::-1]).T
    return _along(image, rows)


def _along(image: NDArray[np.generic], rows: list[sparse.csr_array]) -> NDArray[np.float64]:
    values = np.ascontiguousarray(image, dtype=np.float64)
    values = (rows[0] @ values.reshape(values.shape[0], -1)).reshape(-1, *values.shape[1:])
    values = np.stack([rows[1] @ slab for slab in values])
    first, second, last = values.shape
    flat = rows[2] @ np.ascontiguousarray(values.reshape(-1, last).T)
    return np.ascontiguousarray(flat.T).reshape(first, second, -1)


def _weights(n: int, n_out: int, step: float) -> sparse.csr_array:
    """Return what each new voxel of one axis takes of the old ones."""
    sigma = np.sqrt(step**2 - 1.0) / FWHM_PER_SIGMA
    blur = ndimage.gaussian_filter1d(np.eye(n), sigma, axis=0, mode="nearest", truncate=4.5)
    where = np.round(np.arange(n_out) * step, 9)
    low = np.minimum(where.astype(int), n - 1)
    high = np.minimum(low + 1, n - 1)
    part = (where - low)[:, None]
    return sparse.csr_array((1.0 - part) * blur[low] + part * blur[high])
