"""A design says who is scanned, how they bind, and with what instruments: TOML.

A design may be built on a ready-made one (``base = "von-spiczak-2005"``), leave parts of it
out (``without = ["head", "t1"]``) and say what is different; see :mod:`ekbom.virtual.built_on`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from ekbom.errors import Refused
from ekbom.measures.pet.tracers import tracer
from ekbom.virtual.built_on import whole
from ekbom.virtual.design_parts import (
    T1,
    Binding,
    Blood,
    Checked,
    Cohort,
    Disease,
    Groups,
    Head,
    Opioid,
    Scan,
    Scanner,
)
from ekbom.virtual.toml_text import toml_text


class Design(Checked):
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
        File of ``plans/`` that is written beside, the opioid study's by default; ``quick`` is
        that one without the error of the blood.
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
        if self.opioid is not None and self.binding.severity_slope:
            raise ValueError(
                "with [opioid], severity acts through opioid.slope: binding.severity_slope is 0"
            )
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
    """Return the TOML text of a design, as it is written.

    Parameters
    ----------
    name : str
        One of :func:`design_names`, or the path of a file that ends in ``.toml``.

    Returns
    -------
    str
        TOML with its comments.

    Raises
    ------
    Refused
        When there is no such design.
    """
    if name.endswith(".toml"):
        try:
            return Path(name).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as fault:
            raise Refused("The design cannot be read.", file=name, found=fault) from fault
    if name not in design_names():
        raise Refused(
            "There is no such design.",
            field="DESIGN",
            found=repr(name),
            expected=", ".join((*design_names(), "or a file that ends in .toml")),
            mend="`ekbom simulate --list` says what each is for",
        )
    return (resources.files("ekbom.virtual") / "designs" / f"{name}.toml").read_text("utf-8")


def load(
    name: str, overrides: Mapping[str, Any] | None = None, variant: str | None = None
) -> Design:
    """Return a design, changed where asked.

    Parameters
    ----------
    name : str
        One of :func:`design_names`, or the path of a file of one's own that ends in ``.toml``.
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
    source = name if name.endswith(".toml") else f"{name}.toml"
    return parse(design_text(name), overrides, variant, source=source)


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
    tree = whole(_tree(text, source), source, _below)
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


def _tree(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise Refused("The design is not TOML.", file=source, found=str(fault)) from fault


def _below(name: str) -> dict[str, Any]:
    """Return the settings of a ready-made design on which another is built."""
    if name not in design_names():
        raise Refused(
            "There is no such design to build on.",
            field="base",
            found=repr(name),
            expected=", ".join(design_names()),
        )
    return _tree(design_text(name), f"{name}.toml")


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
    return toml_text(design.model_dump(exclude={"variants"}, exclude_none=True))


def shown_text(name: str) -> str:
    """Return what `--show` prints: a design as written, or whole where it is built on another.

    Parameters
    ----------
    name : str
        As for :func:`load`.

    Returns
    -------
    str
        TOML that :func:`parse` reads to the same design; what its own file says stands above
        as a comment.
    """
    text, design = design_text(name), load(name)
    if "base" not in _tree(text, name):
        return text
    own = "\n".join(f"# {line}".rstrip() for line in text.splitlines())
    every = toml_text(design.model_dump(exclude_none=True))
    return f"{own}\n#\n# The whole of it:\n\n{every}"
