"""Maps made elsewhere: a table that lists them, to an answer in files."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ekbom.errors import Refused
from ekbom.inference import Answer, Settings, answer_voxels
from ekbom.space.atlas import atlas, atlas_files
from ekbom.space.io import read_mask, read_stack
from ekbom.study import names
from ekbom.study.chunks import Chunks
from ekbom.study.files import canonical, json_bytes, plain, sha256, tsv_bytes, write_bytes
from ekbom.study.named import namer, told_space
from ekbom.study.products import made_by, map_bytes, map_sidecar, table_sidecar
from ekbom.study.readers import read_text, read_tsv
from ekbom.study.store import Store, code_of, key_of
from ekbom.study.words import choices, did_you_mean

MAP = "map"
"""Column of the list that names the image of each row."""


@dataclass(frozen=True)
class Asked:
    """A question to maps made elsewhere.

    Parameters
    ----------
    listed : Path
        Table with ``participant_id``, ``map`` (paths relative to the table) and covariates.
    model, test : str
        Formula and named effect.
    space : str
        BIDS label of the space of the maps, or ``unknown``.
    unit, outcome : str
        Of the maps, for the words.
    mask, labels : Path or None
        Mask image; label image with a table beside it.
    """

    listed: Path
    model: str
    test: str
    space: str
    unit: str = "1"
    outcome: str = "the map"
    mask: Path | None = None
    labels: Path | None = None


def settings_from(file: Path | None, given: Mapping[str, Any]) -> Settings:
    """Return the settings of a TOML file with the keys of a plan's ``inference`` table.

    Parameters
    ----------
    file : Path or None
        TOML file.
    given : mapping
        What else was given, which counts; values of None do not.

    Returns
    -------
    Settings
        Checked.

    Raises
    ------
    Refused
        Not TOML, an unknown key, a value out of range.
    """
    known = [f.name for f in dataclasses.fields(Settings)]
    chosen: dict[str, Any] = {}
    if file is not None:
        try:
            chosen = tomllib.loads(read_text(file))
        except tomllib.TOMLDecodeError as no:
            raise Refused("the settings are not TOML", file=file, found=str(no)) from None
    for key in chosen:
        if key not in known:
            raise Refused(
                f"the settings have a key that is not known: {key}",
                file=file,
                field=key,
                found=key,
                expected=choices(known),
                mend=did_you_mean(key, known) or "remove it",
            )
    chosen |= {key: value for key, value in given.items() if value is not None}
    try:
        return Settings(**chosen)
    except TypeError as no:
        raise Refused("the settings have a value of the wrong kind", file=file, found=no) from None


def infer(
    asked: Asked,
    settings: Settings,
    out: Path,
    *,
    workers: int | None = None,
    tell: Callable[[int, int], None] = lambda done, whole: None,
) -> Answer:
    """Answer, and write tables, maps and words.

    Parameters
    ----------
    asked : Asked
        The question.
    settings : Settings
        How it is inferred.
    out : Path
        Folder to write to. A permutation that was interrupted goes on from what it holds.
    workers : int, optional
        Threads; all cores by default. The answer does not depend on them.
    tell : callable
        Told the progress of a permutation.

    Returns
    -------
    Answer
        As written.

    Raises
    ------
    Refused
        What is wrong with table, maps, formula or settings.
    """
    table, paths = _rows(asked)
    stack = read_stack(paths, asked.mask)
    volumes = _volumes(settings, asked.listed.parent, stack)
    inputs = {str(p.name): sha256(p) for p in paths}
    labels = None if asked.labels is None else atlas_files(asked.labels)[0]
    extra = [asked.mask, labels]
    inputs |= {p.name: sha256(p) for p in extra if p is not None}
    parts = {
        "step": "infer",
        "code": code_of("ekbom.inference", "ekbom.space"),
        "settings": plain(dataclasses.asdict(settings)),
        "asked": [asked.model, asked.test, asked.space, asked.unit, asked.outcome],
        "table": hashlib.sha256(tsv_bytes(table)).hexdigest(),
        "maps": hashlib.sha256(canonical(sorted(inputs.items()))).hexdigest(),
    }
    chunks = Chunks(Store(out).root / "chunks" / key_of(parts))
    label = None if labels is None else namer(atlas(labels))
    answer = answer_voxels(
        np.asarray(stack.values),
        stack.mask,
        stack.affine,
        asked.unit,
        table,
        asked.model,
        asked.test,
        settings,
        label=label,
        space=asked.space,
        outcome=asked.outcome,
        workers=workers or os.cpu_count() or 1,
        volume_images=volumes,
        kept=chunks,
        tell=tell,
    )
    answer = told_space(answer, labels, asked.space)
    made = made_by("infer", key_of(parts), inputs)
    for name, data in _content(asked, answer, made).items():
        write_bytes(out / name, data)
    chunks.remove()
    return answer


def _rows(asked: Asked) -> tuple[Any, list[Path]]:
    table = read_tsv(asked.listed)
    for column in ("participant_id", MAP):
        if column not in table:
            raise Refused(
                f"the list has no column {column}",
                file=asked.listed,
                field=column,
                found=choices(list(map(str, table.columns))),
                expected="participant_id, map and the covariates of the model",
                mend="add the column",
            )
    paths = [asked.listed.parent / str(name) for name in table[MAP]]
    for row, path in enumerate(paths, start=2):
        if not path.is_file():
            raise Refused(
                "a map of the list does not exist",
                file=asked.listed,
                field=f"row {row}, {MAP}",
                found=str(path),
                expected="a NIfTI image, relative to the list",
                mend="correct the path",
            )
    people = table["participant_id"].astype(str)
    table = table.drop(columns=[MAP, "participant_id"]).assign(participant=people)
    if "session_id" in table:
        table = table.rename(columns={"session_id": "session"})
    return table, paths


def _volumes(settings: Settings, folder: Path, stack: Any) -> dict[str, np.ndarray]:
    out = {}
    for one in settings.volumes:
        if "mask" not in one:
            continue
        path = folder / str(one["mask"])
        volume = read_mask(path)
        if volume.grid.shape != stack.grid.shape or not np.allclose(
            volume.grid.affine, stack.affine, atol=1e-4
        ):
            raise Refused(
                "the image of a search volume is not on the grid of the maps",
                file=path,
                field="volumes",
                found=str(volume.grid),
                expected=str(stack.grid),
                mend="bring it to the grid of the maps, or give a sphere or a box",
            )
        out[str(one["name"])] = np.asarray(volume.values, bool)
    return out


def _content(asked: Asked, answer: Answer, made: Mapping[str, Any]) -> dict[str, bytes]:
    effect = names.effect_slug(answer.effect)
    about = {"Model": asked.model, "Effect": answer.effect, "Unit": asked.unit}
    out: dict[str, bytes] = {}
    for table in answer.tables:
        stem = f"desc-{effect}_{table.name}"
        sidecar = {**table_sidecar(table, made), "About": about, "Space": asked.space}
        out[f"{stem}.tsv"] = tsv_bytes(table.frame)
        out[f"{stem}.json"] = json_bytes(sidecar)
    for image in answer.maps:
        stem = f"space-{image.space}_desc-{effect}_{image.name}"
        out[f"{stem}.nii.gz"] = map_bytes(image)
        out[f"{stem}.json"] = json_bytes({**map_sidecar(image, made), "About": about})
    out[f"desc-{effect}_methods.txt"] = f"{answer.methods}\n\n{answer.results}\n".encode()
    out["answer.json"] = json_bytes(
        {
            **about,
            "Space": asked.space,
            "words": {"methods": answer.methods, "results": answer.results},
            "meta": plain(answer.meta),
            "GeneratedBy": made,
        }
    )
    return out
