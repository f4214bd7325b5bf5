"""Designs without a scanner: nights, tests and trials, as TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ekbom.errors import Refused
from ekbom.virtual.design_parts import Groups
from ekbom.virtual.toml_text import toml_text

_FOLDER = "protocols"


class _Checked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class People(_Checked):
    """Who takes part."""

    age_range: tuple[int, int]
    women: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _range(self) -> Self:
        if not 18 <= self.age_range[0] < self.age_range[1] <= 90:
            raise ValueError("age_range must rise within 18 to 90 years")
        return self


class Nights(_Checked):
    """Recordings and what disturbs them."""

    nights: int = Field(ge=1, le=5)
    sit: bool
    hours: float = Field(ge=1, le=24)
    fs: dict[str, float]
    unit: Literal["uV", "mV", "V"]
    legs: Literal["two", "one"]
    rest_uV: tuple[float, float]
    steps: int = Field(ge=0, le=100)
    tone: int = Field(ge=0, le=100)
    ecg_uV: float = Field(ge=0, le=200)
    mains_uV: float = Field(ge=0, le=200)
    mains_hz: Literal[50, 60]
    crosstalk: float = Field(ge=0, le=0.5)
    loss: float = Field(ge=0, le=1)
    twitches: int = Field(ge=0, le=100)
    ahi: float = Field(ge=0, le=100)
    scorers: int = Field(ge=0, le=12)
    scorer_miss: float = Field(ge=0, lt=1)
    scorer_jitter_s: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if set(self.fs) != {"quick", "full"} or min(self.fs.values()) < 100:
            raise ValueError("fs needs quick and full, at least 100 Hz each")
        if any(rate != round(rate) for rate in self.fs.values()):
            raise ValueError("fs must be whole numbers of samples a second")
        if not 0 < self.rest_uV[0] <= self.rest_uV[1] <= 8:
            raise ValueError("rest_uV must rise within 0 to 8 uV")
        if abs(self.hours * 120 - round(self.hours * 120)) > 1e-9:
            raise ValueError("hours must be whole epochs of 30 s")
        return self


class LevodopaTest(_Checked):
    """The test dose and how it is told."""

    dose_mg: float = Field(gt=0, le=400)
    clock_h: float = Field(ge=1, le=23)
    vas_mean: float = Field(ge=0, le=100)
    vas_sd: float = Field(ge=0, le=40)
    vas_per_z: float = Field(ge=0, le=40)
    reading_sd: float = Field(ge=0, le=30)
    placebo_fall: float = Field(ge=0, le=1)
    placebo_sd: float = Field(ge=0, le=1)
    missing: float = Field(ge=0, lt=1)


class Arms(_Checked):
    """Arms, visits and who may enter."""

    names: tuple[str, ...] = Field(min_length=2)
    treatments: tuple[str, ...]
    shares: tuple[int, ...]
    days: tuple[int, ...] = Field(min_length=2)
    irls_least: int = Field(ge=0, le=40)
    brain_iron: bool
    dropout: float = Field(ge=0, lt=0.5)
    missing: float = Field(ge=0, lt=1)

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if not len(self.names) == len(self.treatments) == len(self.shares):
            raise ValueError("names, treatments and shares must be one each an arm")
        if self.days[0] != 0 or list(self.days) != sorted(set(self.days)):
            raise ValueError("days must start at 0 and rise")
        if min(self.shares) < 0 or sum(self.shares) < 1:
            raise ValueError("shares must not be negative, and not all zero")
        return self


class Sites(_Checked):
    """Where people are seen, and how each site's ferritin assay reads."""

    names: tuple[str, ...] = Field(min_length=1)
    assay_factor: tuple[float, ...]

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if len(self.names) != len(self.assay_factor) or min(self.assay_factor) <= 0:
            raise ValueError("assay_factor must be one positive number a site")
        return self


class Protocol(_Checked):
    """A study without a scanner as data.

    Parameters
    ----------
    name : str
        Key.
    kind : {"nights", "levodopa", "trial"}
        Polysomnography, a levodopa test, a trial with visits.
    title, description : str
        Heading, and what it is for.
    groups, people
        How many, and who.
    nights, test, arms
        The part of the kind.
    sites : Sites
        One site whose assay reads as the reference by default.
    """

    name: str
    kind: Literal["nights", "levodopa", "trial"]
    title: str
    description: str
    groups: Groups
    people: People
    nights: Nights | None = None
    test: LevodopaTest | None = None
    arms: Arms | None = None
    sites: Sites = Sites(names=("A",), assay_factor=(1.0,))

    @model_validator(mode="after")
    def _part(self) -> Self:
        part = {"nights": "nights", "levodopa": "test", "trial": "arms"}[self.kind]
        for name in ("nights", "test", "arms"):
            if (getattr(self, name) is not None) != (name == part):
                raise ValueError(f"a design of kind {self.kind} has the part [{part}] and no other")
        return self


def protocol_names() -> tuple[str, ...]:
    """Return the names of the ready-made designs without a scanner, sorted.

    Returns
    -------
    tuple of str
        Names that :func:`load_protocol` knows.
    """
    folder = resources.files("ekbom.virtual") / _FOLDER
    stems = (item.name for item in folder.iterdir() if item.name.endswith(".toml"))
    return tuple(sorted(n.removesuffix(".toml") for n in stems if not n.startswith("plan-")))


def protocol_text(name: str) -> str:
    """Return the TOML text of a ready-made design without a scanner.

    Parameters
    ----------
    name : str
        One of :func:`protocol_names`.

    Returns
    -------
    str
        TOML with its comments.
    """
    if name not in protocol_names():
        raise Refused("There is no such design.", field="DESIGN", found=repr(name),
                      expected=", ".join(protocol_names()))  # fmt: skip
    return (resources.files("ekbom.virtual") / _FOLDER / f"{name}.toml").read_text("utf-8")


def protocol_plan(kind: str) -> str:
    """Return ``plan.toml`` for a study of this kind.

    Parameters
    ----------
    kind : {"nights", "levodopa", "trial"}

    Returns
    -------
    str
        TOML.
    """
    return (resources.files("ekbom.virtual") / _FOLDER / f"plan-{kind}.toml").read_text("utf-8")


def load_protocol(name: str, overrides: Mapping[str, Any] | None = None) -> Protocol:
    """Return a ready-made design without a scanner, changed where asked.

    Parameters
    ----------
    name : str
        One of :func:`protocol_names`.
    overrides : mapping of str to value, optional
        Dotted keys, ``{"nights.ahi": 20}``.

    Returns
    -------
    Protocol
        Checked.

    Raises
    ------
    Refused
        Unknown design or key, or a value out of range.
    """
    return parse_protocol(protocol_text(name), overrides, source=f"{name}.toml")


def parse_protocol(
    text: str, overrides: Mapping[str, Any] | None = None, source: str = "design"
) -> Protocol:
    """Return a design without a scanner from TOML text.

    Parameters
    ----------
    text : str
        TOML.
    overrides : mapping of str to value, optional
        Dotted keys.
    source : str
        File name, for messages.

    Returns
    -------
    Protocol
        Checked.

    Raises
    ------
    Refused
        As :func:`load_protocol`.
    """
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise Refused("The design is not TOML.", file=source, found=str(fault)) from fault
    for key, value in (overrides or {}).items():
        *path, last = key.split(".")
        node: Any = tree
        for part in path:
            node = node.get(part) if isinstance(node, dict) else None
        if not isinstance(node, dict) or last not in node:
            raise Refused("The design has no such key.", file=source, field=key,
                          expected="a key of `ekbom simulate DESIGN --show`")  # fmt: skip
        node[last] = value
    try:
        return Protocol(**tree)
    except ValidationError as fault:
        first = fault.errors()[0]
        raise Refused(
            "The design does not hold together.",
            file=source,
            field=".".join(str(part) for part in first["loc"]) or "design",
            found=first.get("input") if first["loc"] else None,
            expected=first["msg"].removeprefix("Value error, "),
        ) from fault


def protocol_toml(design: Protocol) -> str:
    """Return a design without a scanner as TOML, overrides applied.

    Parameters
    ----------
    design : Protocol
        Any design.

    Returns
    -------
    str
        TOML that :func:`parse_protocol` reads back to the same design.
    """
    return toml_text(design.model_dump(exclude_none=True))
