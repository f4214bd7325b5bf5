"""Regional curves of one segmentation, and regions joined from several by volume."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ekbom.errors import Refused

Array = NDArray[np.float64]

# Not brain tissue: left out of the curve that makes the weights.
_NOT_TISSUE = (
    "*Ventricle*",
    "*Inf-Lat-Vent*",
    "*choroid*",
    "*CSF*",
    "*AirCavity*",
    "*Skull*",
    "*ExtraCerebral*",
    "*vessel*",
    "*Background*",
    "Unknown",
)


@dataclass(frozen=True)
class Curves:
    """Time-activity curves of the regions of one segmentation.

    Attributes
    ----------
    segmentation : str
    names : tuple of str
        Regions, N of them.
    values : (N, F) array
        kBq/mL decay-corrected to injection.
    volumes : mapping of str to float or None
        mm3 by region, when the pipeline gave them.
    source : Path
        For messages.
    joined : mapping of str to tuple of str
        Joined regions and their members.
    """

    segmentation: str
    names: tuple[str, ...]
    values: Array
    volumes: Mapping[str, float] | None
    source: Path
    joined: Mapping[str, tuple[str, ...]]

    @property
    def labels(self) -> tuple[str, ...]:
        """Names that carry their segmentation, ``gtmseg:Left-Thalamus``."""
        return tuple(f"{self.segmentation}:{name}" for name in self.names)


def join(curves: Curves, wanted: Mapping[str, Sequence[str]]) -> Curves:
    """Append regions that are volume-weighted means of others.

    Parameters
    ----------
    curves : Curves
        One segmentation.
    wanted : mapping of str to patterns
        Name of the joined region to names or patterns (``*``, ``?``) of its members.

    Returns
    -------
    Curves
        With the joined regions at the end.

    Raises
    ------
    Refused
        When a pattern matches no region, a name is taken, or volumes are absent.
    """
    names, joined = list(curves.names), dict(curves.joined)
    rows: list[Array] = list(curves.values)
    for name, patterns in wanted.items():
        key = f"measures.pet.regions.{curves.segmentation}.{name}"
        if name in names:
            raise Refused(
                "A joined region has the name of a region that is there already.",
                file=curves.source,
                field=key,
                found=name,
                expected="a new name",
                mend="choose another name for the joined region",
            )
        members = _members(curves, patterns, key)
        weights = _weights(curves, members, key)
        index = [curves.names.index(member) for member in members]
        names.append(name)
        rows.append(np.asarray(weights @ curves.values[index]))
        joined[name] = members
    return replace(curves, names=tuple(names), values=np.array(rows), joined=joined)


def _members(curves: Curves, patterns: Sequence[str], key: str) -> tuple[str, ...]:
    found: list[str] = []
    for pattern in patterns:
        hits = [name for name in curves.names if name == pattern or fnmatchcase(name, pattern)]
        if not hits:
            near = difflib.get_close_matches(pattern, curves.names, n=4, cutoff=0.4)
            raise Refused(
                "A pattern of a joined region matches no region.",
                file=curves.source,
                field=key,
                found=pattern,
                expected=f"one of {len(curves.names)} regions"
                + (f", such as {', '.join(near)}" if near else ""),
                mend="correct the pattern; * and ? stand for any letters and one letter",
            )
        found += [hit for hit in hits if hit not in found]
    return tuple(found)


def _weights(curves: Curves, members: Sequence[str], key: str) -> Array:
    if len(members) == 1:
        return np.ones(1)
    volumes = curves.volumes or {}
    size = np.array([volumes.get(member, np.nan) for member in members])
    lost = [m for m, v in zip(members, size, strict=True) if not (np.isfinite(v) and v > 0)]
    if lost:
        raise Refused(
            "Regions cannot be joined without their volumes.",
            file=curves.source,
            field=key,
            found=f"no volume for {', '.join(lost[:6])}",
            expected="a _morph.tsv with name and volume-mm3 beside the curves",
            mend="add the volumes, or join regions of a segmentation that has them",
        )
    return np.asarray(size / size.sum())


def tissue_curve(curves: Sequence[Curves]) -> Array:
    """Return the mean curve of the brain, from which the weights are made.

    The first segmentation with volumes counts, else the first; its single
    regions of brain tissue are averaged by volume (equally without volumes).

    Parameters
    ----------
    curves : sequence of Curves

    Returns
    -------
    (F,) array
        kBq/mL.
    """
    chosen = next((c for c in curves if c.volumes), curves[0])
    volumes = chosen.volumes or {}
    weights = np.array(
        [
            0.0
            if name in chosen.joined
            or any(fnmatchcase(name, pattern) for pattern in _NOT_TISSUE)
            or not np.isfinite(row).all()
            else (volumes.get(name, 0.0) if chosen.volumes else 1.0)
            for name, row in zip(chosen.names, chosen.values, strict=True)
        ]
    )
    if not weights.sum() > 0:
        weights = np.where(np.isfinite(chosen.values).all(axis=1), 1.0, 0.0)
    if not weights.sum() > 0:
        raise Refused("No region has a curve.", file=chosen.source, expected="finite values")
    usable = weights > 0
    return np.asarray(weights[usable] @ chosen.values[usable] / weights.sum())
