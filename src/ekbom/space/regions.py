"""Named region sets: medial thalamus, substantia nigra ... as labels of an atlas.

Right and left are not mirror images in these atlases: a mirrored coordinate is
not the homologous region. No region is a reference region here.
"""

from __future__ import annotations

import fnmatch
import functools
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from ekbom.space.checks import Message
from ekbom.space.labels import LabelImage, RegionMean

SIDES = ("L", "R")

UNKNOWN_SET = Message("There is no region set of that name.", field="regions")
SET_WITHOUT_VOXELS = Message(
    "The region set names a label that holds no voxel in this atlas.",
    mend="Give the atlas for which the set was made, or other labels.",
    field="regions",
)
SMALL_NOTE = (
    "{name}: {mm3:.0f} mm3 is less than (2 x {resolution:g} mm)^3; "
    "its mean is dominated by activity from around it"
)
MISMATCH_NOTE = (
    "space_mismatch: labels drawn in {labels} are used in {images} without a transform between "
    "them; they differ by 1 to 2 mm, which matters for small regions"
)


@dataclass(frozen=True)
class RegionSet:
    """Labels of an atlas that make a region, left and right.

    Parameters
    ----------
    name : str
        Name of the set.
    atlas : str
        Atlas whose labels they are.
    labels : tuple of str
        Without side; ``*`` stands for anything.
    mm3 : tuple of float
        Volume in that atlas, left and right.
    citation : str
        Of the atlas.
    """

    name: str
    atlas: str
    labels: tuple[str, ...]
    mm3: tuple[float, float]
    citation: str

    def names(self, atlas: LabelImage, side: str) -> tuple[str, ...]:
        """Names of the labels of one side that make the region.

        Parameters
        ----------
        atlas : LabelImage
            Whose labels.
        side : {"L", "R"}
            Which side.

        Returns
        -------
        tuple of str
            In the order of the atlas.

        Raises
        ------
        Refused
            When a label has no voxel.
        """
        out: list[str] = []
        for label in self.labels:
            found = fnmatch.filter(atlas.names, f"{label}_{side}")
            if not found:
                raise SET_WITHOUT_VOXELS.refused(
                    found=f"{self.name}: {label}_{side} in {atlas.segmentation}"
                )
            out += found
        return tuple(out)


@functools.lru_cache(maxsize=1)
def region_sets() -> dict[str, RegionSet]:
    """Return the region sets there are, by name.

    Returns
    -------
    dict of str to RegionSet
        In the order of the data file.
    """
    data = tomllib.loads(files("ekbom.space").joinpath("regions.toml").read_text())
    return {
        name: RegionSet(
            name,
            one["atlas"],
            tuple(one["labels"]),
            (float(one["mm3"][0]), float(one["mm3"][1])),
            data["atlases"][one["atlas"]]["citation"],
        )
        for name, one in data["sets"].items()
    }


def region_set(name: str) -> RegionSet:
    """Return one region set.

    Parameters
    ----------
    name : str
        For example ``"medial_thalamus"``.

    Returns
    -------
    RegionSet
        Its labels.

    Raises
    ------
    Refused
        When there is none of that name.
    """
    if name not in region_sets():
        raise UNKNOWN_SET.refused(found=name, expected=", ".join(region_sets()))
    return region_sets()[name]


def masks(atlas: LabelImage, names: Iterable[str]) -> dict[str, NDArray[np.bool_]]:
    """Masks of region sets, each side and both.

    Parameters
    ----------
    atlas : LabelImage
        The atlas of the sets.
    names : iterable of str
        Region sets.

    Returns
    -------
    dict of str to (X, Y, Z) array of bool
        ``<set>_L``, ``<set>_R`` and ``<set>``; sets may overlap.
    """
    out: dict[str, NDArray[np.bool_]] = {}
    for name in names:
        one = region_set(name)
        sides = {side: atlas.mask(*one.names(atlas, side)) for side in SIDES}
        for side in SIDES:
            out[f"{name}_{side}"] = sides[side]
        out[name] = sides["L"] | sides["R"]
    return out


@dataclass(frozen=True)
class SetMean:
    """Mean of a map over one region set.

    Parameters
    ----------
    region : RegionMean
        Mean, standard deviation, voxels, coverage.
    note : str
        Why the mean is missing or doubtful; empty when it is neither.
    """

    region: RegionMean
    note: str


def region_means(
    values: NDArray[np.floating],
    atlas: LabelImage,
    names: Iterable[str],
    *,
    resolution: float | None = None,
    weights: NDArray[np.floating] | None = None,
    coverage: float = 0.8,
) -> dict[str, SetMean]:
    """Mean of a map over region sets, each side and both.

    Parameters
    ----------
    values : (X, Y, Z) array
        Map on the grid of the atlas; NaN is missing.
    atlas : LabelImage
        The atlas of the sets.
    names : iterable of str
        Region sets.
    resolution : float, optional
        FWHM (mm) of the map, to say which regions are too small for it.
    weights : (X, Y, Z) array, optional
        Weight of each voxel.
    coverage : float
        Regions of which less than this share has a value give NaN.

    Returns
    -------
    dict of str to SetMean
        By name of set and side.
    """
    out: dict[str, SetMean] = {}
    for name, inside in masks(atlas, names).items():
        alone = replace(atlas, values=inside.astype(np.int32), table={1: name}, notes=())
        mean = alone.region_means(values, weights=weights, coverage=coverage)[name]
        mm3 = float(inside.sum()) * atlas.grid.voxel_volume
        note = ""
        if mean.coverage < coverage:
            note = f"{name}: {100 * mean.coverage:.0f} % has a value, {100 * coverage:.0f} % needed"
        elif resolution is not None and mm3 < (2 * resolution) ** 3:
            note = SMALL_NOTE.format(name=name, mm3=mm3, resolution=resolution)
        out[name] = SetMean(mean, note)
    return out
