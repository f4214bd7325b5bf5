"""From the map of one image to the map that groups are compared by: smoothed, on their grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ekbom.measures.pet.io.image import DynamicImage
from ekbom.measures.pet.io.native import ToTemplate
from ekbom.measures.pet.settings import PETSettings
from ekbom.space import Grid, smooth, template
from ekbom.space.template import SPACE
from ekbom.space.warp import warp

Array = NDArray[np.float64]

#: Voxels this many median absolute deviations above the median, or below zero,
#: do not take part in smoothing: one such voxel would spoil all around it.
OUTLIER_MAD = 20.0


def smoothed(values: Array, image: DynamicImage, fwhm: float) -> tuple[Array, int]:
    """Smooth a map inside the brain mask.

    Parameters
    ----------
    values : (X, Y, Z) array
    image : DynamicImage
    fwhm : float
        mm.

    Returns
    -------
    values : (X, Y, Z) array
    left_out : int
        Voxels that took no part.
    """
    calm, left_out = _without_odd(values)
    return smooth(calm, image.grid.voxel_size, fwhm, image.brain_mask, fill=True), left_out


def brought(
    values: Array, image: DynamicImage, way: ToTemplate, target: Grid, settings: PETSettings
) -> tuple[Array, int]:
    """Bring a map to the template: one interpolation through the whole chain, then smoothing.

    Parameters
    ----------
    values : (X, Y, Z) array
    image : DynamicImage
    way : ToTemplate
    target : Grid
    settings : PETSettings

    Returns
    -------
    values : (X, Y, Z) array
        On ``target``, smoothed inside the template's brain.
    left_out : int
        Voxels that took no part.
    """
    calm, left_out = _without_odd(values)
    calm = warp(
        calm,
        image.grid,
        target,
        way.transform,
        interpolation=settings.space.interpolation,
        mask=image.brain_mask,
    )
    brain = np.asarray(template(target.voxel_size[0]).brain)
    fill = settings.space.fwhm > 0
    return smooth(calm, target.voxel_size, settings.space.fwhm, brain, fill=fill), left_out


def _without_odd(values: Array) -> tuple[Array, int]:
    there = np.isfinite(values)
    good = values[there & (np.nan_to_num(values) >= 0)]
    middle = float(np.median(good)) if good.size else 0.0
    limit = middle + OUTLIER_MAD * float(np.median(np.abs(good - middle))) if good.size else 0.0
    with np.errstate(invalid="ignore"):
        odd = there & ((values < 0) | (values > limit))
    return np.where(odd, np.nan, values), int(odd.sum())


def target_grid(image: DynamicImage, settings: PETSettings) -> Grid:
    """Return the grid of the map that groups are compared by.

    Parameters
    ----------
    image : DynamicImage
    settings : PETSettings

    Returns
    -------
    Grid
        The image's own when nothing is to change.
    """
    resolution = settings.space.resolution
    if image.way is not None:
        return template(2.0 if resolution is None else resolution).grid
    if resolution is None:
        return image.grid
    grid = (
        template(resolution).grid
        if image.space == SPACE
        else image.grid.with_resolution(resolution)
    )
    return image.grid if grid == image.grid else grid
