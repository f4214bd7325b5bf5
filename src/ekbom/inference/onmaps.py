"""Maps of the questions beside the plain effect: their mask, images and peaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.inference.clusters import clusters
from ekbom.inference.masking import Tally, usable
from ekbom.inference.settings import Settings
from ekbom.nouns import Column, Map


@dataclass(frozen=True)
class Grid:
    """Where the voxels of a question lie.

    Parameters
    ----------
    mask : (X, Y, Z) bool
        Mask with V voxels, in C order.
    affine : (4, 4) float
        Index to RAS+ mm.
    space : str
        BIDS label of the space.
    label : callable or None
        Name of the region at a place in mm.
    """

    mask: NDArray[np.bool_]
    affine: NDArray[np.float64]
    space: str = "unknown"
    label: Callable[[float, float, float], str] | None = None


PEAK_COLUMNS = {
    "cluster": Column("Joined voxels of one sign above the threshold, by largest statistic"),
    "peak": Column("Number of the peak in its cluster"),
    "x": Column("Position of the peak, to the right", "mm"),
    "y": Column("Position of the peak, forward", "mm"),
    "z": Column("Position of the peak, upward", "mm"),
    "label": Column("Region at the peak, n/a without labels"),
    "k_vox": Column("Voxels of the cluster"),
    "selected": Column("The peak was chosen by its size: its effect is biased upward"),
}


def usable_maps(
    values: NDArray[np.floating[Any]], grid: Grid, settings: Settings
) -> tuple[NDArray[np.floating[Any]], Grid, Tally]:
    """Return the voxels that have a value in everybody, and their grid.

    Parameters
    ----------
    values : (n, V) float
        Rows of the design.
    grid : Grid
        With V voxels.
    settings : Settings
        Rules of the mask.

    Returns
    -------
    values, grid, tally
        Fewer voxels, and how many each rule took.

    Raises
    ------
    Refused
        A choice that only the plain effect over voxels knows, or nothing left.
    """
    for field, value, allowed in (
        ("scaling", settings.scaling, "none"),
        ("variance", settings.variance, "equal"),
    ):
        if value != allowed:
            raise Refused(
                f"inference.{field} = {value!r} is not offered for this kind of question.",
                field=f"inference.{field}",
                found=value,
                expected=allowed,
                mend="leave it out",
            )
    if values.shape[1] != int(grid.mask.sum()):
        raise ValueError(f"values {values.shape}, mask of {int(grid.mask.sum())}")
    good, tally = usable(values, settings)
    inside = grid.mask.copy()
    inside[grid.mask] = good
    return np.ascontiguousarray(values[:, good]), replace(grid, mask=inside), tally


def image(
    grid: Grid, name: str, values: NDArray[Any], unit: str, meaning: str, **about: Any
) -> Map:
    """Return values of the voxels as an image, 0 outside the mask.

    Parameters
    ----------
    grid : Grid
        Where.
    name : str
        End of the file name without ``_statmap``.
    values : (V,) float
        Numbers.
    unit, meaning : str
        For the sidecar.
    **about
        What else the sidecar says.

    Returns
    -------
    Map
        float32.
    """
    volume = np.zeros(grid.mask.shape, np.float32)
    volume[grid.mask] = np.nan_to_num(np.asarray(values, float), nan=0.0, posinf=0.0, neginf=0.0)
    return Map(f"{name}_statmap", volume, grid.affine, unit or "1", grid.space, name, "glm",
               {"Description": meaning, **about})  # fmt: skip


def peak_rows(
    grid: Grid,
    score: NDArray[np.float64],
    threshold: float,
    *,
    signs: tuple[int, ...] = (1, -1),
    connectivity: int = 26,
    most: int = 30,
) -> list[tuple[int, dict[str, Any]]]:
    """Return the peaks of a statistic: voxel and the columns that say where it is.

    Parameters
    ----------
    grid : Grid
        Where.
    score : (V,) float
        What peaks are high in.
    threshold : float
        Voxels above it are joined; when none is, the highest voxel alone is listed.
    signs : tuple of int
        Signs to look at.
    connectivity : {6, 18, 26}
        Which voxels are joined.
    most : int
        Peaks listed.

    Returns
    -------
    list of (int, dict)
        Largest first.
    """
    joined = clusters(
        score, grid.mask, grid.affine, threshold, signs=signs, connectivity=connectivity
    )
    place = np.argwhere(grid.mask) @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    found = [(c, k, i, one.size) for c, one in enumerate(joined, 1)
             for k, i in enumerate(one.peaks, 1)]  # fmt: skip
    if not found:
        best = max(signs, key=lambda s: float(np.nanmax(s * score)))
        found = [(0, 1, int(np.nanargmax(best * score)), 0)]
    out = []
    for cluster, peak, voxel, size in found[:most]:
        x, y, z = (round(float(v), 3) for v in place[voxel])
        name = grid.label(x, y, z) if grid.label else "n/a"
        where = {"cluster": cluster, "peak": peak, "x": x, "y": y, "z": z, "label": name}
        out.append((voxel, {**where, "k_vox": size}))
    return out
