"""Gaussian smoothing in millimetres, inside a mask."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ekbom.errors import Refused
from ekbom.space.checks import BELOW_VOXEL_NOTE

#: FWHM of a Gaussian in units of its standard deviation.
FWHM_PER_SIGMA = math.sqrt(8.0 * math.log(2.0))

#: Kernels end here (standard deviations): 7e-6 of the area is beyond.
_TRUNCATE = 4.5


def smooth(
    values: NDArray[np.floating],
    voxel_size: Sequence[float],
    fwhm: float,
    mask: NDArray[np.bool_] | None = None,
    *,
    fill: bool = False,
) -> NDArray[np.float64]:
    """Smooth with a Gaussian; voxels outside the mask neither give nor receive.

    The result is G(m y) / G(m), where G is the Gaussian and m the voxels that
    give, so a constant stays the same constant up to the edge of the mask.

    Parameters
    ----------
    values : (X, Y, Z) array
        Values; those that are not finite do not give.
    voxel_size : three floats
        Voxel edges in mm, in the order of the axes.
    fwhm : float
        Full width at half maximum in mm; 0 returns the values as they are.
    mask : (X, Y, Z) array of bool, optional
        Inside is true; everywhere by default.
    fill : bool
        Let voxels inside the mask that have no value receive one from their
        neighbours, where those hold at least half of the weight of the mask.

    Returns
    -------
    (X, Y, Z) array
        NaN outside the mask and, unless filled, where there was no value.

    Raises
    ------
    Refused
        When the FWHM is negative or not a number.
    """
    if not (math.isfinite(fwhm) and fwhm >= 0):
        raise Refused(
            "The smoothing width must be a number of millimetres, 0 or more.",
            field="fwhm",
            found=fwhm,
            mend="Set fwhm = 0 for no smoothing.",
        )
    image = np.asarray(values, dtype=np.float64)
    inside = np.ones(image.shape, bool) if mask is None else np.asarray(mask, dtype=bool)
    giving = inside & np.isfinite(image)
    if fwhm == 0:
        return np.where(giving, image, np.nan)
    top = gaussian(np.where(giving, image, 0.0), voxel_size, fwhm)
    share = gaussian(giving.astype(np.float64), voxel_size, fwhm)
    receiving = giving
    if fill:
        whole = gaussian(inside.astype(np.float64), voxel_size, fwhm)
        receiving = giving | (inside & (share >= 0.5 * whole) & (share > 0))
    out = np.full(image.shape, np.nan)
    np.divide(top, share, out=out, where=receiving)
    return out


def gaussian(
    values: NDArray[np.floating],
    voxel_size: Sequence[float],
    fwhm: float,
    stride: Sequence[int] = (1, 1, 1),
) -> NDArray[np.float64]:
    """Separable Gaussian with zeros beyond the edge of the image.

    Parameters
    ----------
    values : (X, Y, Z) array
        Finite values.
    voxel_size : three floats
        Voxel edges in mm.
    fwhm : float
        Full width at half maximum in mm, above 0.
    stride : three ints
        Every how many voxels of each axis are kept; the kept values are the same.

    Returns
    -------
    (x, y, z) array
        Smoothed values; without strides their sum is kept up to what leaves the image.
    """
    out = np.asarray(values, dtype=np.float64)
    for axis, (size, step) in enumerate(zip(voxel_size, stride, strict=True)):
        sigma = fwhm / FWHM_PER_SIGMA / float(size)
        out = ndimage.gaussian_filter1d(
            out, sigma, axis=axis, mode="constant", cval=0.0, truncate=_TRUNCATE
        )
        if step > 1:
            # What is dropped now need not be smoothed along the other axes.
            out = np.ascontiguousarray(out[(slice(None),) * axis + (slice(None, None, step),)])
    return out


def smoothing_note(voxel_size: Sequence[float], fwhm: float) -> str | None:
    """Return a word for the sidecar when the FWHM is below the voxel size.

    Parameters
    ----------
    voxel_size : three floats
        Voxel edges in mm.
    fwhm : float
        Full width at half maximum in mm.

    Returns
    -------
    str or None
        ``None`` when there is nothing to say.
    """
    largest = max(float(v) for v in voxel_size)
    if 0 < fwhm < largest:
        return BELOW_VOXEL_NOTE.format(fwhm=fwhm, voxel=largest)
    return None
