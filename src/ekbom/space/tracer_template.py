"""Template of a tracer: the mean map of a group whose ways to the template are known.

People of the same tracer who have a T1 are brought to the template by it; the
mean of their maps then serves scans without a T1. Groups count the same, so
that a template of 30 patients and 10 volunteers does not look like patients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.space.image import Volume
from ekbom.space.smooth import smooth

#: A voxel needs values of at least this share of the people.
_SEEN = 0.5


@dataclass(frozen=True, eq=False)
class TracerTemplate:
    """A mean map.

    Parameters
    ----------
    mean : Volume
        Smoothed; NaN where fewer than half of the people have a value.
    counts : dict of str to int
        People by group.
    fwhm : float
        Smoothing, mm.
    """

    mean: Volume
    counts: dict[str, int]
    fwhm: float


def tracer_template(
    maps: Sequence[Volume],
    names: Sequence[str],
    groups: Sequence[str] | None = None,
    *,
    fwhm: float = 8.0,
) -> TracerTemplate:
    """Average maps in template space, groups with equal weight.

    Parameters
    ----------
    maps : sequence of Volume
        One a person, on one grid, e.g. V_T; NaN where there is no value.
    names : sequence of str
        What the maps are called in messages.
    groups : sequence of str, optional
        Of the people; one group by default.
    fwhm : float
        Smoothing afterwards, mm.

    Returns
    -------
    TracerTemplate
        Mean and numbers.

    Raises
    ------
    Refused
        Fewer than two maps, maps on several grids or in several units, or
        groups that do not fit.
    """
    if len(maps) < 2:
        raise Refused(
            "A template needs maps of at least two people.",
            found=f"{len(maps)}",
            mend="Name one parametric map in template space for each person.",
        )
    if len(names) != len(maps) or (groups is not None and len(groups) != len(maps)):
        raise Refused("Maps, names and groups differ in number.", found=f"{len(maps)} maps")
    first = maps[0]
    for one, name in zip(maps, names, strict=True):
        first.grid.require(one.grid, mine=names[0], theirs=name)
        if one.unit != first.unit:
            raise Refused(
                "The maps have different units.",
                file=name,
                found=one.unit or "none",
                expected=first.unit or "none",
            )
        if not np.isfinite(np.asarray(one.values)).any():
            raise Refused("The map holds no value.", file=name)
    told = list(groups) if groups is not None else ["all"] * len(maps)
    total, seen = np.zeros(first.grid.shape), np.zeros(first.grid.shape)
    weight = np.zeros(first.grid.shape)
    counts = {group: told.count(group) for group in sorted(set(told))}
    for one, group in zip(maps, told, strict=True):
        values = np.asarray(one.values, dtype=np.float64)
        there = np.isfinite(values)
        total += np.where(there, values, 0.0) / counts[group]
        weight += there / counts[group]
        seen += there
    inside: NDArray[np.bool_] = seen >= _SEEN * len(maps)
    mean = np.full(first.grid.shape, np.nan)
    np.divide(total, weight, out=mean, where=inside)
    return TracerTemplate(
        Volume(smooth(mean, first.grid.voxel_size, fwhm), first.grid, first.unit), counts, fwhm
    )
