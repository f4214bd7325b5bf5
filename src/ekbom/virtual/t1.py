"""A T1-weighted image of one person's head."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ekbom.space.grid import Grid
from ekbom.space.template import template
from ekbom.space.transform import Transform
from ekbom.virtual.design_parts import T1
from ekbom.virtual.head import CENTRE
from ekbom.virtual.native import centred, near_brain
from ekbom.virtual.regions import Source, ellipsoids
from ekbom.virtual.tissue_points import tissue_at

Array = NDArray[np.float64]

_FIELD = (192.0, 240.0, 200.0)


def draw_t1(
    rng: np.random.Generator,
    to_template: Transform,
    settings: T1,
    resolution: float,
    sources: tuple[Source, ...],
) -> tuple[NDArray[np.float32], NDArray[np.int16], Grid]:
    """Draw the image, and its true labels.

    Parameters
    ----------
    rng : numpy.random.Generator
        Stream of the person's T1w image.
    to_template : Transform
        From points of the image to points of the template.
    settings : T1
        Contrast, bias, noise.
    resolution : float
        Voxel edge, mm.
    sources : tuple of Source
        Give the labels.

    Returns
    -------
    image : (X, Y, Z) float32 array
        Rician; nothing but noise outside the brain and its fluid (there is no
        face to be recognised, and no skull).
    labels : (X, Y, Z) array of int16
        True labels.
    grid : Grid
        Voxels.
    """
    grid = centred(_FIELD, resolution)
    base = template(max(1.0, min(resolution, 2.0)))
    where = near_brain(grid, to_template)
    index = np.stack(np.unravel_index(where, grid.shape), axis=-1)
    world = grid.to_world(index)
    tissue = tissue_at(to_template.points(world), base)
    mean = settings.grey * tissue.grey + settings.white * tissue.white + settings.csf * tissue.csf
    mean = mean * _bias(rng, world, settings.bias_percent / 100.0)
    real = rng.standard_normal(grid.size, dtype=np.float32)
    imaginary = rng.standard_normal(grid.size, dtype=np.float32)
    sd = np.float32(settings.white / settings.snr)
    real *= sd
    imaginary *= sd
    real[where] += mean.astype(np.float32)
    image = np.hypot(real, imaginary)
    labels = np.zeros(grid.size, dtype=np.int16)
    labels[where] = _label_of(tissue.region, tissue.grey, tissue.white, sources)
    return image.reshape(grid.shape), labels.reshape(grid.shape), grid


def _bias(rng: np.random.Generator, world: Array, size: float) -> Array:
    """Return a factor of second order in space, SD ``size`` over the head."""
    x, y, z = ((world - CENTRE) / np.array([70.0, 85.0, 75.0])).T
    terms = (x, y, z, x * x, y * y, z * z, x * y, y * z, x * z)
    field = np.zeros(len(world))
    for weight, term in zip(rng.standard_normal(9), terms, strict=True):
        field += weight * term
    field -= field.mean()
    out: Array = np.exp(size * field / max(float(field.std()), 1e-9))
    return out


def _label_of(
    region: NDArray[np.int16], grey: Array, white: Array, sources: tuple[Source, ...]
) -> NDArray[np.int16]:
    index = {source.name: source.index for source in sources}
    n = len(ellipsoids())
    table = np.zeros(2 * n + 1, dtype=np.int16)
    nucleus = np.zeros(2 * n + 1, dtype=bool)
    for k, part in enumerate(ellipsoids(), start=1):
        for name, sign in (("Left", -1), ("Right", 1)):
            table[n + sign * k] = index[f"{name}-{part.name}"]
            nucleus[n + sign * k] = part.tissue == "all"
    at = region.astype(np.int64) + n
    held = np.where(nucleus[at], grey + white, grey)
    return np.where(held >= 0.5, table[at], 0).astype(np.int16)
