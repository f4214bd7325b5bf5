"""Which share of every voxel of a person's own PET image belongs to which source.

Points of a fine lattice (2 mm) inside the voxels of the image are carried to the
template: tissue shares are read there, ellipsoids are asked there, and the shares
of the points of a voxel are averaged. The scanner's blur is applied on the fine
lattice too. The true labels are those of the same shares.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

from ekbom.space.grid import Grid
from ekbom.space.template import template
from ekbom.space.transform import Transform
from ekbom.virtual.anatomy import _LABEL_CORTEX, _LABEL_NUCLEUS, FWHM_PER_SIGMA
from ekbom.virtual.head import CENTRE
from ekbom.virtual.regions import Source, ellipsoids
from ekbom.virtual.tissue_points import Tissue, tissue_at

Array = NDArray[np.float64]

#: Edge of the fine lattice, mm.
FINE = 2.0
#: Field of view of the PET image, mm.
_PET_FIELD = (208.0, 248.0, 208.0)


@dataclass(frozen=True, eq=False)
class Place:
    """The sources in a person's PET image.

    Parameters
    ----------
    grid : Grid
        Of the image.
    true, seen : sparse (V, S) array
        Shares of the sources in each voxel (C order), texture included; as they
        are, and blurred by the scanner.
    labels : (X, Y, Z) array of int16
        True label of each voxel.
    brain : (X, Y, Z) array of bool
        Voxels of which at least half is brain.
    """

    grid: Grid
    true: sparse.csr_array
    seen: sparse.csr_array
    labels: NDArray[np.int16]
    brain: NDArray[np.bool_]

    def mixing(self, labels: int) -> tuple[Array, Array, NDArray[np.int64]]:
        """Return what each label's mean holds of each source, and its voxels.

        Parameters
        ----------
        labels : int
            Number of labels.

        Returns
        -------
        seen, true : (L, S) array
            With and without blur.
        voxels : (L,) array of int
            Size of each label.
        """
        flat = self.labels.ravel()
        voxels = np.bincount(flat, minlength=labels + 1)[1:]
        inside = np.flatnonzero(flat)
        mean = sparse.csr_array(
            (1.0 / voxels[flat[inside] - 1], (flat[inside] - 1, inside)), shape=(labels, flat.size)
        )
        return (mean @ self.seen).toarray(), (mean @ self.true).toarray(), voxels


def pet_grid(resolution: float) -> Grid:
    """Return the voxels of a PET image, in the scanner's coordinates.

    Parameters
    ----------
    resolution : float
        Voxel edge, mm.

    Returns
    -------
    Grid
        208 x 248 x 208 mm about the middle of the template's brain.
    """
    return centred(_PET_FIELD, resolution)


def centred(field: tuple[float, float, float], resolution: float) -> Grid:
    """Return cubic voxels that fill a field of view about the middle of the head.

    Parameters
    ----------
    field : tuple of float
        mm.
    resolution : float
        Voxel edge, mm.

    Returns
    -------
    Grid
        RAS+.
    """
    shape = [round(width / resolution) for width in field]
    affine = np.diag([resolution, resolution, resolution, 1.0])
    affine[:3, 3] = CENTRE - resolution * (np.array(shape) - 1.0) / 2.0
    return Grid((shape[0], shape[1], shape[2]), affine)


def place(
    sources: tuple[Source, ...],
    to_template: Transform,
    texture: Array,
    texture_grid: Grid,
    resolution: float,
    fwhm_mm: float,
) -> Place:
    """Work out the sources of every voxel of a person's PET image.

    Parameters
    ----------
    sources : tuple of Source
        With OtherGrey, White and CSF.
    to_template : Transform
        From points of the image to points of the template.
    texture : (x, y, z) array
        Factor of uptake in template space.
    texture_grid : Grid
        Its voxels.
    resolution, fwhm_mm : float
        Voxel edge (a multiple of 2 mm) and blur, mm.

    Returns
    -------
    Place
        True and seen shares, labels, brain.
    """
    grid = pet_grid(resolution)
    parts = round(resolution / FINE)
    base = template(FINE)
    where = near_brain(grid, to_template)
    voxel, fine_index = _fine_points(grid, where, parts)
    points = to_template.points(_fine_world(grid, fine_index, parts))
    tissue = tissue_at(points, base)
    factor = ndimage.map_coordinates(
        texture, texture_grid.to_index(points).T, order=1, mode="nearest"
    )
    source, share, point = _entries(tissue, factor, sources)
    count = parts**3
    n_voxels, n_sources = grid.size, len(sources)
    true = sparse.csr_array(
        sparse.coo_array(
            (share / count, (voxel[point], source)), shape=(n_voxels, n_sources)
        ).tocsr()
    )
    brain = np.bincount(voxel, tissue.grey + tissue.white + tissue.csf, minlength=n_voxels) / count
    labels = _labels(true, tissue.region, voxel, count, sources)
    seen = _blurred(grid, parts, fine_index[point], source, share, n_sources, fwhm_mm)
    shape = grid.shape
    return Place(grid, true, seen, labels.reshape(shape), (brain >= 0.5).reshape(shape))


def near_brain(grid: Grid, to_template: Transform) -> NDArray[np.int64]:
    """Return the voxels (flat, C order) that may hold brain, with some to spare.

    Parameters
    ----------
    grid : Grid
        Voxels of a native image.
    to_template : Transform
        From points of the image to points of the template.

    Returns
    -------
    (N,) array of int
        Increasing.
    """
    base = template(4.0)
    stride = max(1, round(4.0 / grid.voxel_size[0]))
    corners = np.stack(
        np.meshgrid(*(np.arange(0, n + stride, stride) for n in grid.shape), indexing="ij"), -1
    )
    points = to_template.points(grid.to_world(corners + (stride - 1) / 2.0))
    at = np.rint(base.grid.to_index(points)).astype(np.int64)
    wide = np.pad(ndimage.binary_dilation(base.brain, iterations=3), 1)
    at = np.clip(at + 1, 0, np.array(wide.shape) - 1)  # the rim of zeros is all that is outside
    near = wide[at[..., 0], at[..., 1], at[..., 2]]
    for axis in range(3):
        near = near.repeat(stride, axis)
    x, y, z = grid.shape
    return np.flatnonzero(near[:x, :y, :z])


def _fine_points(
    grid: Grid, where: NDArray[np.int64], parts: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the voxel of each fine point, and its index in the fine lattice."""
    coarse = np.stack(np.unravel_index(where, grid.shape), axis=-1)
    step = np.stack(np.unravel_index(np.arange(parts**3), (parts,) * 3), axis=-1)
    fine = (coarse[:, None, :] * parts + step[None, :, :]).reshape(-1, 3)
    return np.repeat(where, parts**3), fine


def _fine_world(grid: Grid, fine: NDArray[np.int64], parts: int) -> Array:
    return grid.to_world((fine + 0.5) / parts - 0.5)


def _entries(
    tissue: Tissue, factor: Array, sources: tuple[Source, ...]
) -> tuple[NDArray[np.int64], Array, NDArray[np.int64]]:
    """Return source, share and point of all that holds tracer."""
    by_name = {source.name: s for s, source in enumerate(sources)}
    n = len(ellipsoids())
    # where the grey and the white matter of each region belong, by signed region
    grey_to = np.full(2 * n + 1, by_name["OtherGrey"])
    white_to = np.full(2 * n + 1, by_name["White"])
    for k, region in enumerate(ellipsoids(), start=1):
        for name, sign in (("Left", -1), ("Right", 1)):
            s = by_name[f"{name}-{region.name}"]
            grey_to[n + sign * k] = s
            if region.tissue == "all":
                white_to[n + sign * k] = s
    at = tissue.region.astype(np.int64) + n
    source = np.concatenate([grey_to[at], white_to[at], np.full(at.size, by_name["CSF"])])
    share = np.concatenate([tissue.grey * factor, tissue.white * factor, tissue.csf])
    point = np.tile(np.arange(at.size), 3)
    there = share > 0
    return source[there], share[there], point[there]


def _labels(
    true: sparse.csr_array,
    region: NDArray[np.int16],
    voxel: NDArray[np.int64],
    count: int,
    sources: tuple[Source, ...],
) -> NDArray[np.int16]:
    out = np.zeros(true.shape[0], dtype=np.int16)
    by_name = {source.name: s for s, source in enumerate(sources)}
    columns = sparse.csc_array(true)
    for k, part in enumerate(ellipsoids(), start=1):
        least = _LABEL_NUCLEUS if part.tissue == "all" else _LABEL_CORTEX
        for name, sign in (("Left", -1), ("Right", 1)):
            s = by_name[f"{name}-{part.name}"]
            inside = np.bincount(voxel[region == sign * k], minlength=out.size) / count
            low, high = columns.indptr[s], columns.indptr[s + 1]
            held = np.zeros(out.size)
            held[columns.indices[low:high]] = columns.data[low:high]
            out[(held >= least) & (inside > 0.5)] = sources[s].index
    return out


def _blurred(
    grid: Grid,
    parts: int,
    fine: NDArray[np.int64],
    source: NDArray[np.int64],
    share: Array,
    n_sources: int,
    fwhm_mm: float,
) -> sparse.csr_array:
    """Blur each source on the fine lattice, in its own box, and average to voxels."""
    sigma = fwhm_mm / FWHM_PER_SIGMA / FINE
    margin = int(np.ceil(4.0 * sigma)) + 1
    top = np.array(grid.shape) * parts
    order = np.argsort(source, kind="stable")
    edges = np.searchsorted(source[order], np.arange(n_sources + 1))
    rows, cols, data = [], [], []
    for s in range(n_sources):
        mine = order[edges[s] : edges[s + 1]]
        if not mine.size:
            continue
        at = fine[mine]
        # whole voxels, with room for the blur
        low = np.maximum(at.min(axis=0) - margin, 0) // parts * parts
        high = np.minimum(-(-(at.max(axis=0) + 1 + margin) // parts) * parts, top)
        box = np.zeros(high - low, dtype=np.float32)
        np.add.at(box, tuple((at - low).T), share[mine].astype(np.float32))
        if sigma > 0:
            box = ndimage.gaussian_filter(box, sigma, mode="constant", truncate=4.0)
        if parts > 1:
            n = (high - low) // parts
            box = box.reshape(n[0], parts, n[1], parts, n[2], parts).mean(axis=(1, 3, 5))
        inside = np.nonzero(box > 1e-5)
        first = low // parts
        rows.append(
            np.ravel_multi_index(
                tuple(i + f for i, f in zip(inside, first, strict=True)), grid.shape
            )
        )
        cols.append(np.full(rows[-1].size, s))
        data.append(box[inside].astype(np.float64))
    return sparse.csr_array(
        sparse.coo_array(
            (np.concatenate(data), (np.concatenate(rows), np.concatenate(cols))),
            shape=(grid.size, n_sources),
        ).tocsr()
    )
