"""Questions over voxels: the maps of a measure on one grid, and names at peaks."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ekbom.errors import Refused
from ekbom.inference import Answer, Settings
from ekbom.nouns import Unit
from ekbom.space.atlas import atlas
from ekbom.space.grid import Grid
from ekbom.space.image import Volume
from ekbom.space.io import read_mask, read_stack
from ekbom.study.files import canonical, sha256
from ekbom.study.index import Study
from ekbom.study.named import labels_digest, labels_for, namer, told_space
from ekbom.study.outcomes import Outcome
from ekbom.study.participants import Measurements
from ekbom.study.question import Question
from ekbom.study.results import MapFile
from ekbom.study.selection import Rows
from ekbom.study.words import choices, did_you_mean


@dataclass(frozen=True)
class Maps:
    """The maps of a question.

    Parameters
    ----------
    outcome : Outcome
        Units and unit of measurement; it has no regions.
    files : mapping of Unit to MapFile
        One map a unit.
    space : str
        Space label of all of them.
    mask, labels : Path or None
        Mask of the plan, and a label image of the study in this space.
    volumes : mapping of str to Path
        Images of the search volumes that are masks.
    """

    outcome: Outcome
    files: Mapping[Unit, MapFile]
    space: str
    mask: Path | None
    labels: Path | None
    volumes: Mapping[str, Path] = field(default_factory=dict)

    def digest(self, units: Sequence[Unit]) -> str:
        """Return the SHA-256 over the maps of units, the mask and the labels."""
        parts: list[Any] = [
            [self.files[unit].name, sha256(self.files[unit].path)] for unit in units
        ]
        parts += [None if self.mask is None else sha256(self.mask)]
        if self.labels is not None:
            parts += labels_digest(self.labels)
        parts += [[name, sha256(path)] for name, path in sorted(self.volumes.items())]
        return hashlib.sha256(canonical(parts)).hexdigest()


def gather(
    question: Question,
    method: str | None,
    found: Measurements,
    study: Study,
    settings: Settings | None = None,
) -> Maps:
    """Find the maps of a question.

    Parameters
    ----------
    question : Question
        With an outcome ``measure.parameter``.
    method : str or None
        Kinetic model.
    found : Measurements
        What the participant level got.
    study : Study
        For mask and labels.
    settings : Settings, optional
        For the images of its search volumes.

    Returns
    -------
    Maps
        One a unit.

    Raises
    ------
    Refused
        No maps, several kinds of them and none named, two of one kind for one
        unit, or no such mask.
    """
    measure, _, parameter = question.outcome.partition(".")
    mine = [one for one in found.measured if one.measure == measure]
    every = [(one.unit, image) for one in mine for image in one.maps]
    pairs = [(unit, image) for unit, image in every if image.parameter == parameter]
    if not pairs:
        raise Refused(
            f"no scan has a map of {parameter}",
            field="over",
            found=choices(sorted({f"{measure}.{i.parameter}" for _, i in every})),
            expected=f"maps of {question.outcome}",
            mend=f'ask for maps in [measures.{measure}.maps], or say over = "regions"',
        )
    chosen = _one("method", method, [image.method for _, image in pairs])
    pairs = [(unit, image) for unit, image in pairs if image.method == chosen]
    space = _one("space", question.space, [image.space for _, image in pairs])
    files: dict[Unit, MapFile] = {}
    for unit, image in pairs:
        if image.space != space:
            continue
        if unit in files:
            raise Refused(
                f"{unit.label} has two maps of {parameter}",
                field="over",
                found=f"{files[unit].name} and {image.name}",
                expected="one map a scan",
                mend="name the method",
            )
        files[unit] = image
    stopped = {one.unit: one.what for one in found.stopped if one.measure == measure}
    stopped |= {one.unit: f"no map of {parameter}" for one in mine if one.unit not in files}
    units = sorted({image.unit for image in files.values()})
    outcome = Outcome(
        parameter,
        units[0] if len(units) == 1 else choices(units),
        (),
        {unit: {} for unit in files},
        stopped,
        {one.unit: one.permissions for one in mine if one.permissions and one.unit in files},
    )
    volumes = {
        str(one["name"]): _image(str(one["mask"]), "inference.volumes", study)
        for one in (settings.volumes if settings else ())
        if "mask" in one
    }
    mask = None if question.mask is None else _image(question.mask, "mask", study)
    labels = labels_for(question.segmentation, space, study)
    return Maps(outcome, files, space, mask, labels, volumes)


def ask(
    question: Question,
    maps: Maps,
    rows: Rows,
    settings: Settings,
    kept: MutableMapping[int, np.ndarray] | None = None,
) -> Answer:
    """Answer a question over voxels.

    Parameters
    ----------
    question : Question
        What is asked.
    maps : Maps
        Its maps.
    rows : Rows
        Who is in it.
    settings : Settings
        How it is inferred.
    kept : mutable mapping, optional
        Finished parts of a long permutation.

    Returns
    -------
    Answer
        Maps and tables.

    Raises
    ------
    Refused
        Maps on different grids, or nothing left in the mask.
    """
    from ekbom.inference.kinds import answer_kind
    from ekbom.inference.onmaps import Grid as Place
    from ekbom.inference.voxels import answer_voxels
    from ekbom.study.kinds import ask_of

    named = None if maps.labels is None else namer(atlas(maps.labels))
    if question.kind != "effect":
        stack = read_stack([maps.files[unit].path for unit in rows.units], maps.mask)
        place = Place(stack.mask, stack.affine, maps.space, named)
        other = answer_kind(
            ask_of(question), np.asarray(stack.values), (), maps.outcome.unit, rows.table,
            settings, maps.outcome.name, grid=place, asked_as=question.outcome,
            workers=min(os.cpu_count() or 1, 16),
        )  # fmt: skip
        return told_space(other, maps.labels, maps.space)
    volumes = {name: read_mask(path) for name, path in maps.volumes.items()}
    stack = read_stack([maps.files[unit].path for unit in rows.units], maps.mask)
    answer = answer_voxels(
        np.asarray(stack.values),
        stack.mask,
        stack.affine,
        maps.outcome.unit,
        rows.table,
        str(question.model),
        str(question.test),
        settings,
        label=named,
        space=maps.space,
        outcome=maps.outcome.name,
        workers=min(os.cpu_count() or 1, 16),  # each holds some 30 MB
        volume_images={
            name: np.asarray(_on(stack.grid, volume, maps.volumes[name]), bool)
            for name, volume in volumes.items()
        },
        kept=kept,
    )
    return told_space(answer, maps.labels, maps.space)


def _on(grid: Grid, volume: Volume, path: Path) -> np.ndarray:
    if volume.grid.shape != grid.shape or not np.allclose(
        volume.grid.affine, grid.affine, atol=1e-4
    ):
        raise Refused(
            "the image of a search volume is not on the grid of the maps",
            file=path,
            field="inference.volumes",
            found=str(volume.grid),
            expected=str(grid),
            mend="bring it to the grid of the maps, or give a sphere or a box",
        )
    return volume.values


def _one(key: str, asked: str | None, there: Sequence[str]) -> str:
    listed = list(dict.fromkeys(there))
    if asked is None and len(listed) == 1:
        return listed[0]
    if asked is None or asked not in listed:
        raise Refused(
            f"the maps come by several {key}s and the question names none"
            if asked is None
            else f"no map comes by this {key}",
            field=key,
            found=choices(listed) if asked is None else asked,
            expected=choices(listed),
            mend=(did_you_mean(asked, listed) if asked else None) or f"add {key} to the question",
        )
    return asked


def _image(name: str, field: str, study: Study) -> Path:
    path = study.root / name
    if not path.is_file():
        raise Refused(
            "the mask does not exist",
            file=path,
            field=field,
            found="nothing",
            expected="a NIfTI image, relative to the BIDS folder",
            mend="correct the path",
        )
    return path
