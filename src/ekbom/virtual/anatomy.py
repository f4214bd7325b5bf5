"""Which share of every voxel belongs to which source, in template space.

Tissue shares come from the template, regions from ellipsoids. The scanner's
resolution and the smooth texture of a person are linear, so the curve of a
label is a fixed mixture of the sources' curves: images and regional tables are
made from the same weights and agree before noise.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

from ekbom.space.grid import Grid
from ekbom.space.template import SPACE, template
from ekbom.virtual.regions import Ellipsoid, Source, ellipsoids
from ekbom.virtual.smooth import Box, smoothed

Array = NDArray[np.float64]

FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))

#: Points a voxel edge is divided into when it is asked how much lies inside.
_FINE = 5

#: Share of a voxel that the region must hold for the label to be given.
_LABEL_NUCLEUS, _LABEL_CORTEX = 0.5, 0.35


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Weights of the sources and the labels.

    Parameters
    ----------
    grid : Grid
        Where the voxels are.
    space : str
        BIDS space label.
    weights : (X, Y, Z, S) array
        Share of each voxel, sum at most 1; the rest holds no tracer.
    labels : (X, Y, Z) array of int16
        Index of the source, 0 outside all regions.
    brain : (X, Y, Z) array of bool
        Brain mask.
    """

    grid: Grid
    space: str
    weights: Array
    labels: NDArray[np.int16]
    brain: NDArray[np.bool_]


@functools.lru_cache(maxsize=2)
def anatomy(sources: tuple[Source, ...], resolution: float) -> Anatomy:
    """Return the anatomy at one resolution.

    Parameters
    ----------
    sources : tuple of Source
        As :func:`ekbom.virtual.regions.sources` gives them.
    resolution : float
        Voxel edge, mm.

    Returns
    -------
    Anatomy
        The same object is returned again; do not write to it.
    """
    base = template(resolution)
    shape = base.grid.shape
    tissue = np.clip(base.grey + base.white, 0.0, None).astype(np.float64)
    scale = np.maximum(tissue, 1.0)
    grey, white = base.grey / scale, base.white / scale
    grey = np.where(base.brain, grey, 0.0)
    white = np.where(base.brain, white, 0.0)

    weights = np.zeros((*shape, len(sources)))
    labels = np.zeros(shape, dtype=np.int16)
    free = np.ones(shape)
    grey_left, white_left = grey.copy(), white.copy()
    by_name = {source.name: s for s, source in enumerate(sources)}
    for region in ellipsoids():
        for name, sign in (("Left", -1.0), ("Right", 1.0)):
            inside = np.minimum(_inside(region, sign, base.grid), free)
            free -= inside
            s = by_name[f"{name}-{region.name}"]
            took_grey = inside * grey
            took_white = inside * white if region.tissue == "all" else 0.0
            weights[..., s] = took_grey + took_white
            grey_left -= took_grey
            white_left -= took_white
            least = _LABEL_NUCLEUS if region.tissue == "all" else _LABEL_CORTEX
            labels[(weights[..., s] >= least) & (inside > 0.5)] = sources[s].index
    weights[..., by_name["OtherGrey"]] = np.clip(grey_left, 0.0, None)
    weights[..., by_name["White"]] = np.clip(white_left, 0.0, None)
    if "CSF" in by_name:
        weights[..., by_name["CSF"]] = np.where(base.brain, np.clip(1.0 - grey - white, 0, 1), 0.0)
    for array in (weights, labels):
        array.setflags(write=False)
    return Anatomy(base.grid, SPACE, weights, labels, base.brain)


def _inside(region: Ellipsoid, sign: float, grid: Grid) -> Array:
    """Return the share of each voxel inside an ellipsoid, by points."""
    centre = np.array(region.centre) * [sign, 1.0, 1.0]
    offsets = (np.arange(_FINE) + 0.5) / _FINE - 0.5
    squares = []
    for axis in range(3):
        step = grid.affine[axis, axis]
        mm = grid.affine[axis, 3] + step * (np.arange(grid.shape[axis])[:, None] + offsets)
        squares.append(((mm - centre[axis]) / region.radii[axis]) ** 2)
    out = np.zeros(grid.shape)
    near = [np.flatnonzero(part.min(axis=1) < 1.0) for part in squares]
    if all(part.size for part in near):
        x, y, z = (part[where] for part, where in zip(squares, near, strict=True))
        total = (
            x[:, None, None, :, None, None]
            + y[None, :, None, None, :, None]
            + z[None, None, :, None, None, :]
        )
        out[np.ix_(*near)] = (total <= 1.0).mean(axis=(3, 4, 5))
    return out


def blur(volume: Array, fwhm_mm: float, grid: Grid) -> Array:
    """Return a volume as a scanner of that resolution sees it.

    Parameters
    ----------
    volume : (X, Y, Z) array
        Activity.
    fwhm_mm : float
        Full width at half maximum of the point spread, mm; 0 is perfect.
    grid : Grid
        Voxel sizes.

    Returns
    -------
    (X, Y, Z) array
        Same total, but for what leaves the field of view.
    """
    if fwhm_mm == 0:
        return np.array(volume, dtype=np.float64)
    sigma = fwhm_mm / FWHM_PER_SIGMA / np.asarray(grid.voxel_size)
    out: Array = ndimage.gaussian_filter(
        np.asarray(volume, dtype=np.float64), sigma, mode="constant", truncate=5.0
    )
    return out


def noise_gain(fwhm_mm: float, grid: Grid) -> float:
    """Return the SD of blurred white noise of unit variance.

    Parameters
    ----------
    fwhm_mm : float
        Of the blur, mm.
    grid : Grid
        Voxel sizes.

    Returns
    -------
    float
        Norm of the kernel; 1 without blur.
    """
    return 1.0 if fwhm_mm == 0 else _gain(fwhm_mm, tuple(float(v) for v in grid.voxel_size))


@functools.lru_cache(maxsize=16)
def _gain(fwhm_mm: float, voxel: tuple[float, ...]) -> float:
    size = tuple(2 * int(np.ceil(5.0 * fwhm_mm / FWHM_PER_SIGMA / v)) + 3 for v in voxel)
    point = np.zeros(size)
    point[tuple(n // 2 for n in size)] = 1.0
    sigma = fwhm_mm / FWHM_PER_SIGMA / np.asarray(voxel)
    kernel = ndimage.gaussian_filter(point, sigma, mode="constant", truncate=5.0)
    return float(np.sqrt(np.sum(kernel**2)))


@dataclass(frozen=True, eq=False)
class Mixing:
    """How label means follow from the sources, for any texture.

    Parameters
    ----------
    seen, true : sparse (L S, V) array
        With the scanner's blur and without.
    noise : (L,) array
        SD of the label mean of correlated noise of unit variance.
    voxels : (L,) array of int
        Voxels of each label.
    shape : tuple of int
        L, S.
    box : tuple of slice
        Holds all voxels that any label has a share of.
    """

    seen: sparse.csr_array
    true: sparse.csr_array
    noise: Array
    voxels: NDArray[np.int64]
    shape: tuple[int, int]
    box: Box

    def matrices(self, texture: Array) -> tuple[Array, Array]:
        """Return (L, S) mixing matrices with and without blur for a texture."""
        flat = texture.ravel()
        return (self.seen @ flat).reshape(self.shape), (self.true @ flat).reshape(self.shape)


@functools.lru_cache(maxsize=2)
def mixing(sources: tuple[Source, ...], resolution: float, fwhm_mm: float) -> Mixing:
    """Return the mixing of all labelled sources.

    Parameters
    ----------
    sources : tuple of Source
        Sources.
    resolution, fwhm_mm : float
        Voxel edge and blur, mm.

    Returns
    -------
    Mixing
        Labels in order of their index.
    """
    built = anatomy(sources, resolution)
    weights = built.weights.reshape(-1, len(sources))
    labelled = [source for source in sources if source.index]
    seen, true, noise, voxels = [], [], [], []
    gain = noise_gain(fwhm_mm, built.grid)
    for source in labelled:
        mask = built.labels == source.index
        mean = mask / max(int(mask.sum()), 1)
        # the mean over a label of a blurred image is the blurred label's mean
        spread = blur(mean, fwhm_mm, built.grid)
        seen.append(_rows(spread, weights))
        true.append(_rows(mean, weights))
        noise.append(float(np.sqrt(np.sum(spread**2))) / gain)
        voxels.append(int(mask.sum()))
    wide = sparse.csr_array(sparse.vstack(seen))
    where = np.unravel_index(np.unique(wide.indices), built.labels.shape)
    return Mixing(
        wide,
        sparse.csr_array(sparse.vstack(true)),
        np.array(noise),
        np.array(voxels),
        (len(labelled), len(sources)),
        tuple(slice(int(axis.min()), int(axis.max()) + 1) for axis in where),
    )


def _rows(over: Array, weights: Array) -> sparse.csr_array:
    flat = over.ravel()
    where = np.flatnonzero(flat > flat.max() * 1e-9) if flat.any() else np.array([], dtype=int)
    block = (weights[where] * flat[where, None]).T
    rows, cols = np.nonzero(block)
    return sparse.csr_array(
        (block[rows, cols], (rows, where[cols])), shape=(weights.shape[1], weights.shape[0])
    )


def draw_texture(
    rng: np.random.Generator, sd: float, fwhm_mm: float, grid: Grid, box: Box | None = None
) -> Array:
    """Draw smooth differences inside regions, mean 1.

    Parameters
    ----------
    rng : numpy.random.Generator
        Stream of the person's texture.
    sd, fwhm_mm : float
        Spread and smoothness (mm).
    grid : Grid
        Where.
    box : tuple of slice, optional
        Voxels that will be asked for: the others are left at 1, these are the same.

    Returns
    -------
    (X, Y, Z) array
        Factor of uptake, hence of V_T.
    """
    out = np.ones(grid.shape)
    if sd == 0:
        return out
    sigma = fwhm_mm / FWHM_PER_SIGMA / np.asarray(grid.voxel_size)
    field = smoothed(rng.standard_normal(grid.shape), sigma, box)
    out[() if box is None else box] = np.maximum(1.0 + sd * field / noise_gain(fwhm_mm, grid), 0.0)
    return out


def label_table(sources: Sequence[Source]) -> list[tuple[int, str]]:
    """Return index and name of each label, in order.

    Parameters
    ----------
    sources : sequence of Source
        Sources.

    Returns
    -------
    list of (int, str)
        Without 0.
    """
    return [(source.index, source.name) for source in sources if source.index]
