"""Figures of the parametric maps of one scan."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ekbom.measures.pet.io.image import DynamicImage
from ekbom.measures.pet.map_figure import map_figure
from ekbom.measures.pet.map_quality import quality_figure
from ekbom.measures.pet.voxels import VoxelFit
from ekbom.nouns import Figure, Map


def map_figures(image: DynamicImage, fit: VoxelFit, made: Sequence[Map]) -> list[Figure]:
    """Draw the first map of a model, and what to doubt in it.

    Parameters
    ----------
    image : DynamicImage
    fit : VoxelFit
    made : sequence of Map
        The published maps, the smoothed one among them.

    Returns
    -------
    list of Figure
        One, or two when there are standard errors, an extrapolated share or flags.
    """
    first = next(name for name in ("VT", *fit.params) if name in fit.params)
    values = image.image(fit.params[first])
    smoothed = next((m for m in made if m.parameter == first and m.name.count("Smoothed")), None)
    fwhm = float(smoothed.meta["SmoothingFWHM"]) if smoothed is not None else 0.0
    calm = None
    if smoothed is not None and smoothed.values.shape == values.shape:
        calm = np.asarray(smoothed.values, dtype=np.float64)
    drawn = map_figure(
        values,
        image.grid,
        smoothed=calm,
        name=f"desc-{fit.model}_mimap",
        parameter=first,
        unit=fit.units[first],
        model=fit.model,
        fwhm=fwhm,
    )
    cv = None
    if first in fit.se:
        se = image.image(fit.se[first])
        cv = np.full(values.shape, np.nan)
        np.divide(100.0 * se, np.abs(values), out=cv, where=np.abs(values) > 0)
    share = fit.params.get("extrapolated")
    doubt = quality_figure(
        values,
        image.grid,
        cv=cv,
        extrapolated=None if share is None else image.image(share),
        flags=image.image(fit.flags.astype(np.float64)) if (fit.flags != 0).any() else None,
        name=f"desc-{fit.model}Quality_mimap",
        parameter=first,
        model=fit.model,
    )
    return [drawn] if doubt is None else [drawn, doubt]
