"""Tracers as data: one TOML file each in ``tracers/``, read and checked here.

A tracer is added by a file, not by code. Analysis reads the reference region
and its warning, simulation the kinetics, the frames and the blood; both see
the same numbers with the same marks.
"""

from __future__ import annotations

import functools
import math
import tomllib
from collections.abc import Iterator
from importlib import resources
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ekbom.errors import Refused
from ekbom.measures.pet.half_lives import half_life
from ekbom.measures.pet.quantity import Quantity, Status

Model = Literal["1tcm", "2tcm", "2tcm-irreversible", "srtm", "patlak"]


class _Checked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Schedule(_Checked):
    """Frames of a usual scan: runs of equal frames, ``[[6, 10], [3, 20]]`` in s."""

    runs: tuple[tuple[int, float], ...]
    unit: Literal["s"] = "s"
    status: Status
    source: str = Field(min_length=1)

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if not self.runs or any(n < 1 or length <= 0 for n, length in self.runs):
            raise ValueError("runs of frames need a positive number and duration")
        return self

    @property
    def durations(self) -> tuple[float, ...]:
        """Duration of each frame, s."""
        return tuple(length for n, length in self.runs for _ in range(n))

    @property
    def total(self) -> float:
        """Length of the scan, s."""
        return math.fsum(self.durations)


class KineticSet(_Checked):
    """Rate constants of one tissue: K1 in mL/cm3/min, the rest in 1/min."""

    K1: float = Field(gt=0)
    k2: float = Field(gt=0)
    k3: float = Field(default=0.0, ge=0)
    k4: float = Field(default=0.0, ge=0)
    unit: Literal["mL/cm3/min, 1/min"] = "mL/cm3/min, 1/min"
    status: Status
    source: str = Field(min_length=1)

    @property
    def VND(self) -> float:
        """Non-displaceable distribution volume, mL/cm3."""
        return self.K1 / self.k2

    @property
    def BPND(self) -> float:
        """k3/k4; NaN for an irreversible set, 0 for one tissue."""
        if self.k4 > 0:
            return self.k3 / self.k4
        return math.nan if self.k3 > 0 else 0.0

    @property
    def VT(self) -> float:
        """Total distribution volume, mL/cm3; NaN for an irreversible set."""
        return self.VND * (1.0 + self.BPND)


class Regional(_Checked):
    """Typical values of one parameter by region, with the spread between persons."""

    unit: str = Field(min_length=1)
    status: Status
    source: str = Field(min_length=1)
    cv_percent: tuple[float, float] | None = None
    values: dict[str, float]


class Reference(_Checked):
    """A reference region and what is to be said whenever it is used."""

    region: str
    warning: str = ""
    status: Status
    source: str = Field(min_length=1)


class ParentFraction(_Checked):
    """Hill prior of the parent fraction, ``1 - (1 - f_inf) t^n / (t^n + t50^n)``."""

    form: Literal["hill"] = "hill"
    t50: float = Field(gt=0)
    n: float = Field(gt=0)
    f_inf: float = Field(ge=0, lt=1)
    unit: Literal["min, 1, 1"] = "min, 1, 1"
    status: Status
    source: str = Field(min_length=1)


class InputShape(_Checked):
    """Prior shape of the parent in plasma after a bolus, before scaling.

    ``(a1 t - a2 - a3) e^(-r1 t) + a2 e^(-r2 t) + a3 e^(-r3 t)``, t in minutes;
    its area scales to dose / clearance.
    """

    form: Literal["feng"] = "feng"
    a: tuple[float, float, float]
    rates: tuple[float, float, float]
    unit: Literal["relative, 1/min"] = "relative, 1/min"
    status: Status
    source: str = Field(min_length=1)


class Tracer(_Checked):
    """All that is known, recalled or assumed about one tracer.

    Parameters
    ----------
    name : str
        Key in plans and designs, the file's stem.
    label : str
        As printed, ``[11C]diprenorphine``.
    bids_name : str
        What ``TracerName`` of a sidecar holds.
    nuclide : str
        Nuclide, key of the table of half-lives.
    target : str
        What it binds to.
    model : str
        Model that a first analysis would use.
    outcomes : tuple of str
        Outcomes usually reported.
    notes : tuple of str
        What a user of this tracer must know.
    references : mapping of str to str
        Short name to full reference.
    requires : tuple of str
        Columns that a design must have (a genotype).
    frames, dose, vB, reference, parent_fraction, input_shape, clearance
        Priors, each with unit, status and source; ``None`` when not known.
    kinetics : mapping of str to KineticSet
        Rate constants by tissue; ``general`` stands for grey matter.
    regional : mapping of str to Regional
        Parameter (``VT``, ``BPND``) to its typical regional values.
    facts : mapping of str to Quantity
        Other numbers (test-retest, age slope).
    """

    name: str
    label: str
    bids_name: str
    nuclide: str
    target: str
    model: Model
    outcomes: tuple[str, ...]
    notes: tuple[str, ...] = ()
    references: dict[str, str] = Field(default_factory=dict)
    requires: tuple[str, ...] = ()
    frames: Schedule | None = None
    dose: Quantity | None = None
    vB: Quantity | None = None
    reference: Reference | None = None
    parent_fraction: ParentFraction | None = None
    input_shape: InputShape | None = None
    clearance: Quantity | None = None
    kinetics: dict[str, KineticSet] = Field(default_factory=dict)
    regional: dict[str, Regional] = Field(default_factory=dict)
    facts: dict[str, Quantity] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _nuclide_known(self) -> Self:
        half_life(self.nuclide)
        return self

    @property
    def half_life(self) -> float:
        """Half-life of the nuclide, min."""
        return half_life(self.nuclide)

    def unverified(self) -> dict[str, str]:
        """Return which parts were not seen in a source.

        Returns
        -------
        dict of str to str
            Part (``"kinetics.general"``) to ``recalled`` or ``assumed``.
        """
        return {part: status for part, status in self._statuses() if status != "verified"}

    def _statuses(self) -> Iterator[tuple[str, Status]]:
        for part in (
            "frames",
            "dose",
            "vB",
            "reference",
            "parent_fraction",
            "input_shape",
            "clearance",
        ):
            found = getattr(self, part)
            if found is not None:
                yield part, found.status
        for group in ("kinetics", "regional", "facts"):
            for key, entry in getattr(self, group).items():
                yield f"{group}.{key}", entry.status


def tracer_names() -> tuple[str, ...]:
    """Return the names of all tracers that have a file, sorted.

    Returns
    -------
    tuple of str
        Names that :func:`tracer` knows.
    """
    folder = resources.files("ekbom.measures.pet") / "tracers"
    stems = (item.name.removesuffix(".toml") for item in folder.iterdir())
    return tuple(sorted(stem for stem in stems if not stem.startswith(("_", "."))))


@functools.cache
def tracer(name: str) -> Tracer:
    """Return a tracer by name.

    Parameters
    ----------
    name : str
        File stem (``"diprenorphine"``), case and a bracketed nuclide ignored:
        ``"[11C]Diprenorphine"`` is found too.

    Returns
    -------
    Tracer
        Checked; the same object at each call.

    Raises
    ------
    Refused
        When there is no such tracer.

    Examples
    --------
    >>> round(tracer("diprenorphine").kinetics["general"].VT, 1)
    17.9
    """
    key = name.split("]")[-1].strip().lower()
    if key not in tracer_names():
        raise Refused(
            "The tracer has no file.",
            field="tracer",
            found=repr(name),
            expected=", ".join(tracer_names()),
            mend="choose one of these, or leave the tracer out of the plan",
        )
    source = resources.files("ekbom.measures.pet") / "tracers" / f"{key}.toml"
    return parse_tracer(source.read_text("utf-8"), source=f"{key}.toml")


def parse_tracer(text: str, source: str = "tracer") -> Tracer:
    """Return a tracer from the text of a TOML file.

    Parameters
    ----------
    text : str
        TOML.
    source : str
        File name, for the error message.

    Returns
    -------
    Tracer
        Checked.

    Raises
    ------
    Refused
        When the text is not TOML or a value has no unit, status or source.
    """
    try:
        return Tracer(**tomllib.loads(text))
    except tomllib.TOMLDecodeError as fault:
        raise Refused("The tracer file is not TOML.", file=source, found=str(fault)) from fault
    except ValidationError as fault:
        first = fault.errors()[0]
        raise Refused(
            "The tracer file does not hold what a tracer needs.",
            file=source,
            field=".".join(str(part) for part in first["loc"]) or "file",
            found=first["msg"],
            expected="every value with unit, status (verified, recalled, assumed) and source",
        ) from fault
