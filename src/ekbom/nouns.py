"""The nouns that the rooms share.

A :class:`Measure` is an instrument. It says which files of one
:class:`Unit` (a subject-session) it reads, and turns them into a
:class:`Product`: scores, tables, maps and figures. Rooms exchange these and
nothing else, so a measure knows nothing of the study that calls it, and the
study knows nothing of the physics inside a measure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel


@dataclass(frozen=True, order=True)
class Unit:
    """One subject-session (and run, and tracer): what a measure measures.

    Parameters
    ----------
    participant : str
        With its prefix, ``"sub-01"``.
    session, run, tracer : str or None
        Without prefix (``"baseline"``, ``"1"``, ``"DPN"``); ``None`` when the
        file names do not hold the entity.
    """

    participant: str
    session: str | None = None
    run: str | None = None
    tracer: str | None = None

    @property
    def label(self) -> str:
        """File-name stem, e.g. ``sub-13_ses-retest``."""
        parts = [self.participant]
        for key, value in (("ses", self.session), ("trc", self.tracer), ("run", self.run)):
            if value is not None:
                parts.append(f"{key}-{value}")
        return "_".join(parts)

    @property
    def folder(self) -> str:
        """Folder inside a derivative tree, e.g. ``sub-13/ses-retest``."""
        return self.participant if self.session is None else f"{self.participant}/ses-{self.session}"

    def as_columns(self) -> dict[str, str]:
        """Return the identifying columns of a long table (``n/a`` when absent)."""
        return {
            "participant_id": self.participant,
            "session_id": self.session or "n/a",
            "run_id": self.run or "n/a",
        }


@dataclass(frozen=True)
class Score:
    """A named number with its unit and uncertainty.

    ``region`` carries its segmentation (``gtmseg:Left-Thalamus``) or is
    ``"n/a"``; ``method`` names the kinetic model or rule set; ``flags`` are
    short words, empty when nothing is to be said. Missing numbers are NaN.
    """

    parameter: str
    value: float
    unit: str
    region: str = "n/a"
    method: str = "n/a"
    se: float = math.nan
    lower: float = math.nan
    upper: float = math.nan
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Column:
    """What a table column means: description and unit, written to the JSON."""

    description: str
    unit: str | None = None
    levels: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Table:
    """A table for people and programs: rows, column meanings, and a sidecar.

    ``name`` is the end of the file name: ``desc-gtmseg_kinpar`` becomes
    ``sub-01_ses-x_desc-gtmseg_kinpar.tsv`` with a ``.json`` of the same stem.
    ``meta`` holds what else the sidecar says (model, weights, delay ...).
    """

    name: str
    frame: pd.DataFrame
    columns: Mapping[str, Column]
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Map:
    """A 3-D image with its place, unit and name.

    ``values`` is (X, Y, Z) float32; ``affine`` maps index to RAS+ mm;
    ``space`` is a BIDS space label (``MNI152NLin2009aSym``, ``orig`` ...);
    ``name`` is the end of the file name, ``desc-ma1_VT_mimap``; ``parameter``
    and ``method`` are those of :class:`Score`, by which a question finds it.
    """

    name: str
    values: NDArray[np.floating[Any]]
    affine: NDArray[np.float64]
    unit: str
    space: str
    parameter: str
    method: str
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """A finished picture: SVG text or PNG bytes, and the words under it."""

    name: str
    data: bytes
    caption: str
    kind: str = "svg"


@dataclass(frozen=True)
class Note:
    """Something a reader must know about a unit: a warning or a permission used.

    ``code`` is a short fixed word (``blood-sorted``); ``permission`` is true
    when the plan had to allow what was done, which makes the study give its
    answers with and without this person.
    """

    code: str
    text: str
    permission: bool = False


@dataclass(frozen=True)
class Product:
    """All that a measure got out of one unit."""

    scores: Sequence[Score] = ()
    tables: Sequence[Table] = ()
    maps: Sequence[Map] = ()
    figures: Sequence[Figure] = ()
    notes: Sequence[Note] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class BidsFile:
    """A file of the study: where it is and what its name says.

    ``entities`` holds key-value pairs without prefixes (``{"sub": "01",
    "ses": "x", "desc": "gtmseg"}``); ``scope`` is ``"raw"`` or the name of
    the derivative folder; ``datatype`` is ``"pet"``, ``"anat"`` ... or
    ``None`` when the folder has none.
    """

    path: Path
    entities: Mapping[str, str]
    suffix: str
    extension: str
    datatype: str | None
    scope: str


@runtime_checkable
class Files(Protocol):
    """What a measure may ask of a study: files of a unit, and their metadata."""

    root: Path

    def find(
        self,
        unit: Unit | None = None,
        *,
        suffix: str | None = None,
        extension: str | None = None,
        datatype: str | None = None,
        scope: str | None = None,
        **entities: str,
    ) -> list[BidsFile]:
        """Return matching files in a fixed order.

        A unit matches files of its subject, session, run and tracer; a file
        whose name leaves one of session, run or tracer out still matches.
        ``scope=None`` searches everywhere, ``"raw"`` only the raw tree,
        ``"derivatives"`` every derivative, a name only that one.
        """
        ...

    def metadata(self, file: BidsFile | Path) -> dict[str, Any]:
        """Return the JSON metadata of a file with BIDS inheritance applied."""
        ...

    def metadata_files(self, file: BidsFile | Path) -> list[Path]:
        """Return the JSON files that :meth:`metadata` reads, outermost first."""
        ...

    def participant(self, unit: Unit) -> dict[str, Any]:
        """Return the participants.tsv row of the unit (``{}`` without one)."""
        ...


@dataclass(frozen=True)
class Inputs:
    """The files one unit's measure will read: part of the key of the step.

    ``files`` maps a role (``"blood"``) to paths; ``extra`` holds other facts
    that shape the result (weight of the person, permissions of this scan).
    It must be picklable and ``extra`` JSON-serialisable.
    """

    unit: Unit
    files: Mapping[str, Sequence[Path]]
    extra: Mapping[str, Any] = field(default_factory=dict)


class Measure(Protocol):
    """An instrument, registered in ``study.registry`` or by entry point.

    Attributes
    ----------
    name : str
        Key in the plan, ``[measures.<name>]``, and first part of outcomes.
    settings_model : type of pydantic.BaseModel
        Checks ``[measures.<name>]``; ``extra="forbid"``.
    outcomes : mapping of str to str
        Parameter name to unit, e.g. ``{"VT": "mL/cm3"}``.
    citations : mapping of str to str
        Key (model or method name) to a full reference, for the report.
    """

    name: ClassVar[str]
    settings_model: ClassVar[type[BaseModel]]
    outcomes: ClassVar[Mapping[str, str]]
    citations: ClassVar[Mapping[str, str]]

    def units(self, study: Files) -> list[Unit]:
        """Return the units this measure has anything to do with, in order."""
        ...

    def inputs(self, unit: Unit, study: Files, settings: BaseModel) -> Inputs:
        """Name the files to be read; raise ``Refused`` when one is missing."""
        ...

    def run(self, inputs: Inputs, settings: BaseModel) -> Product:
        """Measure one unit. Pure: same files and settings, same product."""
        ...

    def words(self, settings: BaseModel) -> str:
        """Return the methods paragraph for these settings."""
        ...
