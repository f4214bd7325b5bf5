"""Planted faults: what goes wrong at real sites, put into one scan on purpose.

Each fault changes the raw files of the first person as a mistake would, and is
named in ``derivatives/truth/faults.json`` with the field that a reader should
refuse. They test refusals: a reader that takes such a file computes nonsense.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ekbom.errors import Refused
from ekbom.virtual import bids


@dataclass(frozen=True)
class Fault:
    """A kind of mistake.

    Parameters
    ----------
    name : str
        Word on the command line.
    words : str
        What was done.
    field : str
        What the refusal should name.
    plant : callable
        Takes the folder of the scan and the stem of its files.
    of : {"pet", "night"}
        What can have it.
    """

    name: str
    words: str
    field: str
    plant: Callable[[Path, str], Path]
    of: str = "pet"


def _json(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    content = json.loads(path.read_text("utf-8"))
    change(content)
    bids.write_json(path, content)
    return path


def _rows(path: Path) -> tuple[list[str], list[list[str]]]:
    lines = path.read_text("utf-8").splitlines()
    return lines[0].split("\t"), [line.split("\t") for line in lines[1:]]


def _table(path: Path, names: list[str], rows: list[list[str]]) -> Path:
    bids.write_text(path, "\n".join("\t".join(row) for row in [names, *rows]))
    return path


def _blood(folder: Path, stem: str, ending: str = "tsv") -> Path:
    path = folder / f"{stem}_recording-manual_blood.{ending}"
    if not path.is_file():
        raise Refused(
            "The fault needs blood, and the design has none.",
            field="--faults",
            found=path.name,
            expected="a design with arterial blood",
        )
    return path


def _decay(folder: Path, stem: str) -> Path:
    def change(said: dict[str, Any]) -> None:
        del said["ImageDecayCorrected"]
        del said["ImageDecayCorrectionTime"]

    return _json(folder / f"{stem}_pet.json", change)


def _units(folder: Path, stem: str) -> Path:
    def change(said: dict[str, Any]) -> None:
        for column in ("plasma_radioactivity", "whole_blood_radioactivity"):
            said[column]["Units"] = "Bq/mL" if said[column]["Units"] == "kBq/mL" else "kBq/mL"

    return _json(_blood(folder, stem, "json"), change)


def _no_unit(folder: Path, stem: str) -> Path:
    def change(said: dict[str, Any]) -> None:
        del said["plasma_radioactivity"]["Units"]

    return _json(_blood(folder, stem, "json"), change)


def _parent(folder: Path, stem: str) -> Path:
    path = _blood(folder, stem)
    names, rows = _rows(path)
    k = names.index("metabolite_parent_fraction")
    return _table(path, names[:k] + names[k + 1 :], [row[:k] + row[k + 1 :] for row in rows])


def _clock(folder: Path, stem: str) -> Path:
    path = _blood(folder, stem)
    names, rows = _rows(path)
    k = names.index("time")
    for row in rows:  # the laboratory's clock: an hour of daylight saving
        row[k] = f"{float(row[k]) + 3600.0:g}"
    return _table(path, names, rows)


def _frames(folder: Path, stem: str) -> Path:
    def change(said: dict[str, Any]) -> None:
        said["FrameTimesStart"] = [t / 60.0 for t in said["FrameTimesStart"]]

    return _json(folder / f"{stem}_pet.json", change)


def _sides(folder: Path, stem: str) -> Path:
    path = folder / f"{stem}_pet.nii.gz"
    if not path.is_file():
        raise Refused(
            "The fault needs images.",
            field="--faults",
            found="sides at size rois",
            expected="--size quick or full",
        )
    raw = gzip.decompress(path.read_bytes())
    shape = np.frombuffer(raw[40:56], "<i2")[1:5]
    data = np.frombuffer(raw[352:], "<i2").reshape(shape, order="F")[::-1]
    bids.write_bytes(path, bids.zipped(raw[:352] + data.tobytes(order="F")))
    return path


#: Words of sleep stages in ``events.tsv``.
_STAGES = ("W", "N1", "N2", "N3", "R")


def _epochs(folder: Path, stem: str) -> Path:
    path = folder / f"{stem}_events.tsv"
    names, rows = _rows(path)
    kind, onset = names.index("trial_type"), names.index("onset")
    stages = [row for row in rows if row[kind] in _STAGES]
    # staged every 20 s by one program, called 30 s by the next
    first = float(stages[0][onset])
    for k, row in enumerate(stages):
        row[onset] = f"{first + 20.0 * k:g}"
    rows.sort(key=lambda row: float(row[onset]))
    return _table(path, names, rows)


#: All kinds, by name.
FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault("decay", "decay correction is not declared", "ImageDecayCorrected", _decay),
        Fault("units", "blood in kBq/mL is called Bq/mL", "Units", _units),
        Fault("no-unit", "plasma has no unit", "Units", _no_unit),
        Fault(
            "parent", "the column of the parent fraction is missing", "metabolite_parent_fraction",
            _parent,
        ),
        Fault("clock", "blood times come from a clock an hour off", "time", _clock),
        Fault("frames", "frame starts are in minutes", "FrameTimesStart", _frames),
        Fault("sides", "the PET image is mirrored against its header", "left and right", _sides),
        Fault("epochs", "sleep stages every 20 s are called 30 s long", "onset", _epochs, "night"),
    )
}  # fmt: skip


def plant(root: Path, stem: str, folder: Path, names: tuple[str, ...]) -> None:
    """Plant faults into one scan, and say so in the truth.

    Parameters
    ----------
    root : Path
        Study.
    stem : str
        Of the scan's files.
    folder : Path
        Of the scan, below the study.
    names : tuple of str
        Keys of :data:`FAULTS`.

    Raises
    ------
    Refused
        An unknown fault, or one that the study cannot have.
    """
    said = []
    for name in names:
        path = (fault := FAULTS[name]).plant(root / folder, stem)
        said.append(
            {
                "name": name,
                "file": path.relative_to(root).as_posix(),
                "done": fault.words,
                "field": fault.field,
            }
        )
    bids.write_json(root / "derivatives" / "truth" / "faults.json", {"faults": said})


def known(name: str, of: str) -> Fault:
    """Return a fault by name.

    Parameters
    ----------
    name : str
        Key of :data:`FAULTS`.
    of : {"pet", "night"}
        What the study has.

    Returns
    -------
    Fault
        The kind.

    Raises
    ------
    Refused
        When there is none of that name, or not in such a study.
    """
    if name not in FAULTS or FAULTS[name].of != of:
        raise Refused(
            "There is no such fault.", field="--faults", found=name,
            expected=", ".join(f.name for f in FAULTS.values() if f.of == of),
        )  # fmt: skip
    return FAULTS[name]
