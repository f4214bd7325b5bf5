"""Search volumes: parts of the mask that were named before the map was seen.

A small volume has its own resels, its own number of voxels and its own maximum in each
permutation. It is declared in the plan by name and by one of four shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ekbom.errors import Refused

SHAPES = ("centre", "box", "mask", "label")
_KEYS = {"name", "radius", "post_hoc", *SHAPES}


@dataclass(frozen=True)
class SearchVolume:
    """A declared volume within the mask.

    Parameters
    ----------
    name : str
        Name in the plan.
    inside : (V,) bool
        Voxels of the mask (C order) that lie in it.
    post_hoc : bool
        It was declared after the data had been seen.
    meaning : str
        Its shape in words.
    """

    name: str
    inside: NDArray[np.bool_]
    post_hoc: bool
    meaning: str

    @property
    def n(self) -> int:
        """Voxels."""
        return int(self.inside.sum())


def checked(volumes: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Check declared volumes.

    Parameters
    ----------
    volumes : sequence of mapping
        As in the plan.

    Returns
    -------
    tuple of dict
        The same.

    Raises
    ------
    Refused
        A volume without name or with no or two shapes, names used twice, numbers that
        are no place.
    """
    out: list[dict[str, Any]] = []
    for i, given in enumerate(volumes):
        one = dict(given)
        where = f"inference.volumes[{i}]"
        if set(one) - _KEYS or not isinstance(one.get("name"), str) or not one["name"]:
            raise _refused(where, sorted(one), "a name and one of " + ", ".join(SHAPES))
        if sum(shape in one for shape in SHAPES) != 1:
            raise _refused(f"{where} ({one['name']})", sorted(one), "one of " + ", ".join(SHAPES))
        if "centre" in one and not (_place(one["centre"]) and _positive(one.get("radius"))):
            raise _refused(where, one, "centre = [x, y, z] and radius in mm")
        if "box" in one and not (len(one["box"]) == 2 and all(map(_place, one["box"]))):
            raise _refused(where, one, "box = [[x, y, z], [x, y, z]] in mm")
        if one["name"] in (other["name"] for other in out):
            raise _refused(where, one["name"], "a name of its own")
        out.append(one)
    return tuple(out)


def search_volumes(
    volumes: Sequence[Mapping[str, Any]],
    mask: NDArray[np.bool_],
    affine: NDArray[np.float64],
    images: Mapping[str, NDArray[np.bool_]] | None = None,
    label: Callable[[float, float, float], str] | None = None,
) -> tuple[SearchVolume, ...]:
    """Find the voxels of declared volumes.

    Parameters
    ----------
    volumes : sequence of mapping
        From :func:`checked`.
    mask : (X, Y, Z) bool
        Voxels that are tested.
    affine : (4, 4) float
        Index to mm.
    images : mapping of str to (X, Y, Z) bool
        Images of the volumes that are masks, by name of the volume.
    label : callable, optional
        Name of the region at x, y, z mm, for volumes that are regions.

    Returns
    -------
    tuple of SearchVolume
        In the order of the plan.

    Raises
    ------
    Refused
        A volume without a voxel of the mask, an image of another shape, a region
        without labels.
    """
    mm = np.argwhere(mask) @ affine[:3, :3].T + affine[:3, 3]
    names: list[str] | None = None
    out = []
    for one in volumes:
        name = one["name"]
        if "centre" in one:
            away = np.sqrt(np.square(mm - np.array(one["centre"], float)).sum(axis=1))
            inside = away <= float(one["radius"]) + 1e-6
            meaning = f"sphere of {one['radius']:g} mm around {_text(one['centre'])} mm"
        elif "box" in one:
            low, high = np.sort(np.array(one["box"], float), axis=0)
            inside = ((mm >= low - 1e-6) & (mm <= high + 1e-6)).all(axis=1)
            meaning = f"box from {_text(low)} to {_text(high)} mm"
        elif "mask" in one:
            image = (images or {}).get(name)
            if image is None or image.shape != mask.shape:
                raise _refused(
                    name, "none" if image is None else image.shape, f"an image of {mask.shape}"
                )
            inside = np.asarray(image, bool)[mask]
            meaning = f"mask {one['mask']}"
        else:
            if label is None:
                raise _refused(name, "no labels", "a label image in the space of the maps")
            if names is None:
                names = [label(*(float(c) for c in row)) for row in mm]
            wanted = [one["label"]] if isinstance(one["label"], str) else list(one["label"])
            inside = np.isin(np.array(names), wanted)
            meaning = "region " + ", ".join(wanted)
        if not inside.any():
            raise _refused(name, "no voxel of the mask", "a volume that meets the mask")
        out.append(SearchVolume(name, inside, bool(one.get("post_hoc", False)), meaning))
    return tuple(out)


def _place(value: Any) -> bool:
    try:
        return len(value) == 3 and bool(np.isfinite(np.array(value, float)).all())
    except (TypeError, ValueError):
        return False


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _text(place: Any) -> str:
    return ", ".join(f"{float(c):g}" for c in place)


def _refused(field: str, found: object, expected: str) -> Refused:
    return Refused(
        "A search volume cannot be used.",
        field=field if field.startswith("inference") else f"inference.volumes: {field}",
        found=found,
        expected=expected,
        mend='for example {name = "thalamus", centre = [0, -18, 8], radius = 12}',
    )
