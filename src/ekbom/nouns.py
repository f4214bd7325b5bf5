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
        return (
            self.participant if self.session is None else f"{self.participant}/ses-{self.session}"
        )

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

    Parameters
    ----------
    parameter : str
        What it is: ``"VT"``, ``"PLMS_index"``.
    value : float
        The number; NaN when missing.
    unit : str
        Its unit, ``"1"`` for a pure number.
    region : str
        With its segmentation, ``"gtmseg:Left-Thalamus"``, or ``"n/a"``.
    method : str
        Kinetic model or rule set, or ``"n/a"``.
    se, lower, upper : float
        Standard error and 95 % interval; NaN when unknown.
    flags : tuple of str
        Short words; empty when nothing is to be said.
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
    """What a table column means, for the JSON beside the table.

    Parameters
    ----------
    description : str
        What the column holds.
    unit : str, optional
        Unit of its numbers.
    levels : mapping of str to str, optional
        Meaning of each word that may stand in it.
    """

    description: str
    unit: str | None = None
    levels: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Table:
    """A table for people and programs: rows, column meanings, and a sidecar.

    Parameters
    ----------
    name : str
        End of the file name: ``desc-gtmseg_kinpar`` becomes
        ``sub-01_ses-x_desc-gtmseg_kinpar.tsv``, with a ``.json`` of the same stem.
    frame : pandas.DataFrame
        The rows.
    columns : mapping of str to Column
        What each column means.
    meta : mapping
        What else the sidecar says (model, weights, delay ...).
    """

    name: str
    frame: pd.DataFrame
    columns: Mapping[str, Column]
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Map:
    """A 3-D image with its place, unit and name.

    Parameters
    ----------
    name : str
        End of the file name, ``desc-ma1_VT_mimap``.
    values : (X, Y, Z) float32
        NaN where there is nothing.
    affine : (4, 4) float
        Index to RAS+ mm.
    unit : str
        Unit of the values.
    space : str
        BIDS space label (``MNI152NLin2009aSym``, ``orig`` ...).
    parameter, method : str
        As in :class:`Score`; a question finds the map by them.
    meta : mapping
        What else the sidecar says.
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
    """A finished picture and the words under it.

    Parameters
    ----------
    name : str
        End of the file name, ``desc-blood``.
    data : bytes
        SVG text or PNG.
    caption : str
        What it shows, with model and settings.
    kind : {"svg", "png"}
        Format, and file extension.
    """

    name: str
    data: bytes
    caption: str
    kind: str = "svg"


@dataclass(frozen=True)
class Attachment:
    """A finished file of another kind: a transform.

    Parameters
    ----------
    name : str
        End of the file name, ``from-T1w_to-MNI152NLin2009aSym_mode-image_xfm``.
    data : mapping of str to bytes
        Extension to content; several when the same thing is written in several formats.
    meta : mapping
        What the JSON beside it says.
    """

    name: str
    data: Mapping[str, bytes]
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Note:
    """Something a reader must know about a unit: a warning or a permission used.

    Parameters
    ----------
    code : str
        A short fixed word (``blood-sorted``).
    text : str
        One sentence with the figures.
    permission : bool
        True when the plan had to allow what was done, which makes the study
        give its answers with and without this person.
    """

    code: str
    text: str
    permission: bool = False


@dataclass(frozen=True)
class Product:
    """All that a measure got out of one unit.

    Parameters
    ----------
    scores : sequence of Score
        Rows of ``measures.tsv``.
    tables : sequence of Table
        Written beside each other with their sidecars.
    maps : sequence of Map
        Images.
    figures : sequence of Figure
        For quality control.
    notes : sequence of Note
        Warnings, and permissions used.
    meta : mapping
        What the step's sidecar says beyond its key.
    files : sequence of Attachment
        Transforms and other files.
    """

    scores: Sequence[Score] = ()
    tables: Sequence[Table] = ()
    maps: Sequence[Map] = ()
    figures: Sequence[Figure] = ()
    notes: Sequence[Note] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)
    files: Sequence[Attachment] = ()


@dataclass(frozen=True)
class BidsFile:
    """A file of the study: where it is and what its name says.

    Parameters
    ----------
    path : Path
        Where it lies.
    entities : mapping of str to str
        ``{"sub": "01", "ses": "x", "desc": "gtmseg"}``.
    suffix, extension : str
        ``"tacs"`` and ``".tsv"``.
    datatype : str or None
        ``"pet"``, ``"anat"`` ...; ``None`` when its folder names none.
    scope : str
        ``"raw"``, or the name of the derivative folder.
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

    Parameters
    ----------
    unit : Unit
        Whose files they are.
    files : mapping of str to sequence of Path
        A role (``"blood"``) and its paths.
    extra : mapping
        Other facts that shape the result (weight of the person, permissions
        of this scan); JSON-serialisable.
    before : sequence of Before
        Steps whose files are read too, each under its role.
    """

    unit: Unit
    files: Mapping[str, Sequence[Path]]
    extra: Mapping[str, Any] = field(default_factory=dict)
    before: Sequence[Before] = ()


@dataclass(frozen=True)
class Before:
    """A step that comes before a unit is measured; done once for all that need the same.

    Parameters
    ----------
    role : str
        Its files are given to the step after it under this role.
    place : str
        ``module:Class`` of an object with ``run(inputs, settings) -> Product``.
    measure : str
        Its name in tables (``"space"``).
    folder : str
        Folder of its files below that of the unit (``"anat"``).
    inputs : Inputs
        What it reads; may have steps before it in turn.
    settings : BaseModel
        What it depends on besides.
    """

    role: str
    place: str
    measure: str
    folder: str
    inputs: Inputs
    settings: BaseModel


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
