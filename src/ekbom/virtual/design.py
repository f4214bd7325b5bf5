"""A design says who is scanned, how they bind, and with what instruments: TOML."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ekbom.errors import Refused
from ekbom.measures.pet.tracers import tracer


class _Checked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Groups(_Checked):
    """Number of persons in each group; the names are fixed words."""

    rls: int = Field(ge=0, le=10_000)
    control: int = Field(ge=0, le=10_000)

    @model_validator(mode="after")
    def _someone(self) -> Self:
        if self.rls + self.control < 1:
            raise ValueError("a study needs at least one person")
        return self


class Scale(_Checked):
    """A clinical score: whole numbers, truncated normal.

    ``recruited = "spread"`` takes one person from each of n bands of equal
    probability, as a study of severity does that fills its range on purpose;
    ``"random"`` takes whoever comes.
    """

    mean: float
    sd: float = Field(gt=0)
    low: int = Field(ge=0)
    high: int
    recruited: Literal["random", "spread"] = "random"

    @model_validator(mode="after")
    def _range(self) -> Self:
        if not self.low <= self.mean <= self.high:
            raise ValueError("the mean of a score must lie between low and high")
        return self


class Cohort(_Checked):
    """Who takes part."""

    age_mean: float = Field(gt=0)
    age_sd: float = Field(ge=0)
    age_range: tuple[int, int]
    female: float = Field(ge=0, le=1)
    weight_mean_kg: float = Field(gt=0)
    weight_cv: float = Field(ge=0, lt=0.5)
    irls: Scale
    affective: Scale
    affective_irls_correlation: float = Field(ge=-0.95, le=0.95)


class Binding(_Checked):
    """How distribution volume goes with the scores, and how persons differ.

    Slopes are occupancy per point: the share of the sites that are free in a
    volunteer, taken by the person's own opioids. They act around the mean score
    of the patients, so that the groups do not differ on average.
    """

    severity_slope: float
    severity_regions: tuple[str, ...]
    affective_slope: float
    affective_regions: tuple[str, ...]
    group_shift_percent: float = 0.0
    cv: float = Field(ge=0, lt=0.5)
    shared_variance: float = Field(ge=0, le=1)
    side_cv: float = Field(ge=0, lt=0.2)
    retest_cv: float = Field(default=0.0, ge=0, lt=0.2)
    K1_cv: float = Field(ge=0, lt=0.5)
    K1_region_cv: float = Field(ge=0, lt=0.5)


class Blood(_Checked):
    """Blood of persons, its sampling and counting."""

    clearance_cv: float = Field(ge=0, lt=0.5)
    rate_cv: float = Field(ge=0, lt=0.5)
    metabolism_cv: float = Field(ge=0, lt=0.5)
    haematocrit: dict[str, float]
    partition: float = Field(ge=0)
    exchange_min: float = Field(gt=0)
    sample_times_s: tuple[float, ...] = Field(min_length=3)
    parent_times_s: tuple[float, ...] = Field(min_length=3)
    volume_mL: float = Field(gt=0)
    hplc_volume_factor: float = Field(gt=0)
    efficiency: float = Field(gt=0, le=1)
    count_s: float = Field(gt=0)
    count_delay_min: float = Field(ge=0)
    background_cps: float = Field(ge=0)
    pipetting_cv: float = Field(ge=0, lt=0.5)
    units: Literal["kBq/mL", "Bq/mL"] = "kBq/mL"

    @model_validator(mode="after")
    def _times(self) -> Self:
        if set(self.haematocrit) != {"F", "M"}:
            raise ValueError("haematocrit needs F and M")
        times = self.sample_times_s
        if times[0] <= 0 or any(b <= a for a, b in itertools.pairwise(times)):
            raise ValueError("sample_times_s must start above 0 and increase")
        if not set(self.parent_times_s) <= set(times):
            raise ValueError("parent_times_s must be among sample_times_s")
        return self


class Scanner(_Checked):
    """Dose, resolution and noise."""

    dose_MBq: float = Field(gt=0)
    dose_cv: float = Field(ge=0, lt=0.5)
    vB: float = Field(ge=0, lt=0.5)
    psf_fwhm_mm: float = Field(ge=0, le=15)
    noise_cov: float = Field(ge=0, lt=2)
    noise_floor: float = Field(ge=0, le=1)
    texture_sd: float = Field(ge=0, lt=0.2)
    texture_fwhm_mm: float = Field(gt=0, le=40)


class Disease(_Checked):
    """The people come from the executable disease model, in one of its scenarios."""

    scenario: str = "base"
    hour: float = Field(ge=0, lt=24)
    people_per_patient: int = Field(ge=25, le=2000)


class Opioid(_Checked):
    """How the model's opioid states become occupancy of the receptors.

    ``slope`` is occupancy a point of severity among the patients; ``tonic`` is
    the tonic deficit, 1 where it makes the groups' means equal, 0 the rival
    without any. ``coupling = "model"`` takes the model's own occupancy.
    """

    slope: float = Field(ge=0, le=0.04)
    tonic: float = Field(ge=0, le=2)
    coupling: Literal["calibrated", "model"] = "calibrated"


class Scan(_Checked):
    """One PET scan of every person."""

    tracer: str
    session: str | None = None
    hour: float = Field(ge=0, lt=24)
    label: str | None = None


class Head(_Checked):
    """How heads differ from the template, how they lie, and how they move.

    Without this part of a design everybody has the template's brain, and images
    are in template space.
    """

    scale_sd: float = Field(ge=0, le=0.1)
    shear_sd: float = Field(ge=0, le=0.05)
    turn_deg: float = Field(ge=0, le=15)
    shift_mm: float = Field(ge=0, le=20)
    warp_sd_mm: float = Field(ge=0, le=6)
    warp_knot_mm: float = Field(ge=20, le=60)
    ventricle_percent_per_year: float = Field(ge=0, le=3)
    ventricle_sd: float = Field(ge=0, le=0.3)
    torque_mm: float = Field(ge=0, le=4)
    pet_offset_deg: float = Field(ge=0, le=15)
    pet_offset_mm: float = Field(ge=0, le=20)
    motion_mm: float = Field(ge=0, le=10)
    motion_deg: float = Field(ge=0, le=10)
    jump_mm: float = Field(ge=0, le=10)
    jump_probability: float = Field(ge=0, le=1)


class T1(_Checked):
    """The anatomical image."""

    resolution_mm: dict[str, float]
    bias_percent: float = Field(ge=0, le=60)
    snr: float = Field(gt=2)
    grey: float = Field(gt=0)
    white: float = Field(gt=0)
    csf: float = Field(ge=0)

    @model_validator(mode="after")
    def _sizes(self) -> Self:
        if set(self.resolution_mm) != {"quick", "full"} or min(self.resolution_mm.values()) < 1:
            raise ValueError("resolution_mm needs quick and full, at least 1 mm each")
        return self


class Design(_Checked):
    """A whole study as data.

    Parameters
    ----------
    name, title, description : str
        Key, heading, and what it is for.
    tracer : str
        Name of a tracer file.
    groups, cohort, binding, blood, scanner
        Parts, each checked.
    disease, opioid : optional
        People from the disease model, and what becomes of their opioid states.
    scans : tuple of Scan
        Several scans a person; one of ``tracer`` without sessions by default.
    plan : str, optional
        File of ``plans/`` that is written beside; the opioid study's by default.
    permuted : bool
        Brains are dealt to persons at random: nothing goes with group or score.
    head, t1 : optional
        Individual anatomy and its image; without them images are in template space.
    variants : mapping of str to mapping
        Named sets of overrides, ``{"realistic": {"binding.severity_slope": 0.014}}``.
    """

    name: str
    title: str
    description: str
    tracer: str
    groups: Groups
    cohort: Cohort
    binding: Binding
    blood: Blood
    scanner: Scanner
    disease: Disease | None = None
    opioid: Opioid | None = None
    scans: tuple[Scan, ...] = ()
    plan: str | None = None
    permuted: bool = False
    head: Head | None = None
    t1: T1 | None = None
    variants: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _blood_covers_scan(self) -> Self:
        if self.opioid is not None and self.disease is None:
            raise ValueError("[opioid] needs [disease]")
        if self.scans and self.disease is None:
            raise ValueError("[[scans]] need [disease], whose states they see")
        names = [(scan.session, scan.label) for scan in self.scans]
        if len(set(names)) < len(names):
            raise ValueError("two scans have the same session and label")
        totals = []
        for name in (self.tracer, *(scan.tracer for scan in self.scans)):
            frames = tracer(name).frames
            if frames is None:
                raise ValueError(f"the tracer {name} has no frames and cannot be simulated")
            totals.append(frames.total)
        if (self.head is None) != (self.t1 is None):
            raise ValueError("[head] and [t1] belong together")
        if self.blood.sample_times_s[-1] < max(totals):
            raise ValueError("the last blood sample must not be before the end of the scan")
        return self

    @property
    def severity_slope(self) -> float:
        """Planted occupancy a point of severity, from whichever part plants it."""
        return self.binding.severity_slope if self.opioid is None else self.opioid.slope


def design_names() -> tuple[str, ...]:
    """Return the names of the ready-made designs, sorted.

    Returns
    -------
    tuple of str
        Names that :func:`load` knows.
    """
    folder = resources.files("ekbom.virtual") / "designs"
    stems = (item.name for item in folder.iterdir() if item.name.endswith(".toml"))
    return tuple(sorted(name.removesuffix(".toml") for name in stems))


def design_text(name: str) -> str:
    """Return the TOML text of a ready-made design.

    Parameters
    ----------
    name : str
        One of :func:`design_names`.

    Returns
    -------
    str
        TOML with its comments.

    Raises
    ------
    Refused
        When there is no such design.
    """
    if name not in design_names():
        raise Refused(
            "There is no such design.",
            field="DESIGN",
            found=repr(name),
            expected=", ".join(design_names()),
            mend="`ekbom simulate --list` says what each is for",
        )
    return (resources.files("ekbom.virtual") / "designs" / f"{name}.toml").read_text("utf-8")


def load(
    name: str, overrides: Mapping[str, Any] | None = None, variant: str | None = None
) -> Design:
    """Return a ready-made design, changed where asked.

    Parameters
    ----------
    name : str
        One of :func:`design_names`.
    overrides : mapping of str to value, optional
        Dotted keys, ``{"binding.cv": 0.12}``; applied after the variant.
    variant : str, optional
        A set of overrides that the design itself names.

    Returns
    -------
    Design
        Checked.

    Raises
    ------
    Refused
        Unknown design, variant or key, or a value out of range.
    """
    return parse(design_text(name), overrides, variant, source=f"{name}.toml")


def parse(
    text: str,
    overrides: Mapping[str, Any] | None = None,
    variant: str | None = None,
    source: str = "design",
) -> Design:
    """Return a design from TOML text.

    Parameters
    ----------
    text : str
        TOML.
    overrides, variant
        As for :func:`load`.
    source : str
        File name, for messages.

    Returns
    -------
    Design
        Checked.

    Raises
    ------
    Refused
        As :func:`load`.
    """
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise Refused("The design is not TOML.", file=source, found=str(fault)) from fault
    changes: dict[str, Any] = {}
    if variant is not None:
        variants = tree.get("variants", {})
        if variant not in variants:
            raise Refused(
                "The design has no such variant.",
                file=source,
                field="variants",
                found=repr(variant),
                expected=", ".join(variants) or "none",
            )
        changes.update(variants[variant])
    changes.update(overrides or {})
    for key, value in changes.items():
        _change(tree, key, value, source)
    try:
        return Design(**tree)
    except ValidationError as fault:
        first = fault.errors()[0]
        raise Refused(
            "The design does not hold together.",
            file=source,
            field=".".join(str(part) for part in first["loc"]) or "design",
            found=first.get("input") if first["loc"] else None,
            expected=first["msg"],
        ) from fault


def _change(tree: dict[str, Any], key: str, value: object, source: str) -> None:
    *path, last = key.split(".")
    node: Any = tree
    for part in path:
        node = node.get(part) if isinstance(node, dict) else None
    if not isinstance(node, dict) or last not in node or last == "variants":
        raise Refused(
            "The design has no such key.",
            file=source,
            field=key,
            expected="a key that the design has; `ekbom simulate DESIGN --show` prints it",
        )
    node[last] = value


def design_toml(design: Design) -> str:
    """Return a design as TOML, overrides applied.

    Parameters
    ----------
    design : Design
        Any design.

    Returns
    -------
    str
        TOML that :func:`parse` reads back to the same design.
    """
    lines: list[str] = []
    _toml(design.model_dump(exclude={"variants"}, exclude_none=True), [], lines)
    return "\n".join(lines) + "\n"


def _toml(tree: dict[str, Any], path: list[str], lines: list[str]) -> None:
    plain = {k: v for k, v in tree.items() if not isinstance(v, dict) and not _is_tables(v)}
    if path:
        lines += ["", f"[{'.'.join(path)}]"]
    lines += [f"{key} = {_toml_value(value)}" for key, value in plain.items()]
    for key, value in tree.items():
        if isinstance(value, dict):
            _toml(value, [*path, key], lines)
        elif _is_tables(value):
            for one in value:
                lines += ["", f"[[{'.'.join([*path, key])}]]"]
                lines += [f"{k} = {_toml_value(v)}" for k, v in one.items()]


def _is_tables(value: object) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and isinstance(value[0], dict)


def _toml_value(value: object) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml_value(v) for v in value) + "]"
    return repr(value)
