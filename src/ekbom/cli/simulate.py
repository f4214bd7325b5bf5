"""`ekbom simulate`: a design becomes a raw BIDS study."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ekbom import virtual
from ekbom.errors import Refused


def simulate(
    design: str | None = None,
    out: Path | None = None,
    /,
    *,
    size: str = "quick",
    seed: int = 1,
    subjects: int | None = None,
    variant: str | None = None,
    set_: Annotated[tuple[str, ...], Parameter(name="--set", negative=())] = (),
    show: Annotated[bool, Parameter(negative=())] = False,
    list_: Annotated[bool, Parameter(name="--list", negative=())] = False,
    rois_only: Annotated[bool, Parameter(negative=())] = False,
    faults: tuple[str, ...] = (),
    blind: Annotated[bool, Parameter(negative=())] = False,
    missing: float = 0.0,
    shared_physics: Annotated[bool, Parameter(negative=())] = False,
    workers: int = 2,
) -> int:
    """Simulate a study with known truth: raw BIDS, ready for `ekbom run`.

    Nothing simulated may be shown as patient data; every study says what it is.

    Parameters
    ----------
    design
        Name of a ready-made design, `--list` prints them; or a file of your own, my.toml, which
        may be built on one (base = "von-spiczak-2005").
    out
        New or empty folder.
    size
        rois: blood and regional curves; quick: images of 4 mm; full: 2 mm.
    seed
        Same design, size and seed give the same bytes.
    subjects
        Persons in all, shared between the groups as in the design.
    variant
        A set of changes that the design names (demo: realistic, null).
    set_
        Change one value, `--set binding.cv=0.12`; may be repeated.
    show
        Print the design as TOML and stop.
    list_
        List the ready-made designs and stop.
    rois_only
        The same as `--size rois`.
    faults
        Plant mistakes into the first scan, to test refusals: decay, units, no-unit, parent,
        clock, frames, sides; into the first night: epochs.
    blind
        Write no truth, only a hash of it; the same command without it shows the truth.
    missing
        Take data away as real sites lose it, `--missing 0.05`: the probability of each kind of
        gap (a value, a scan, last frames, late samples, parent fractions).
    shared_physics
        Tissue curves by the forward model of the analysis; the study is labelled.
    workers
        Threads; the bytes do not depend on it.
    """
    console = Console(highlight=False, soft_wrap=True)
    if list_:
        for name in virtual.design_names():
            built = virtual.load(name)
            console.print(
                f"{name}: {built.groups.rls} + {built.groups.control} persons; {built.description}",
                markup=False,
            )
        for name in virtual.protocol_names():
            plain = virtual.load_protocol(name)
            console.print(
                f"{name}: {plain.groups.rls} + {plain.groups.control} persons; {plain.description}",
                markup=False,
            )
        return 0
    if design is None:
        raise Refused(
            "Which design?",
            field="DESIGN",
            expected=", ".join((*virtual.design_names(), *virtual.protocol_names())),
            mend="ekbom simulate DESIGN OUT, or ekbom simulate --list",
        )
    clinical = design in virtual.protocol_names()
    if show:
        text = virtual.protocol_text(design) if clinical else virtual.shown_text(design)
        console.print(text, markup=False, end="")
        return 0
    if out is None:
        raise Refused(
            "Where should the study go?",
            field="OUT",
            mend=f"ekbom simulate {design} OUT",
        )
    changes = dict(_setting(text) for text in set_)
    if clinical:
        plain = virtual.load_protocol(design, changes)
        for flag, given in (("--blind", blind), ("--shared-physics", shared_physics)):
            if given:
                raise Refused("This design has no PET scan.", field=flag, found=design,
                              expected=", ".join(virtual.design_names()))  # fmt: skip
        done = clinical_progress(
            plain, out, size=size, seed=seed, subjects=subjects, faults=faults, missing=missing
        )
        groups = done.design.groups
        console.print(
            f"{done.root}: {groups.rls} patients, {groups.control} others, {done.files} files. "
            "Simulated; truth in derivatives/truth.",
            markup=False,
        )
        _say(console, done)
        return 0
    built = virtual.load(design, changes, variant)
    size = "rois" if rois_only else size
    need = virtual.bytes_needed(built, size, subjects)
    console.print(f"needs up to {need / 1e6:.0f} MB on disk", markup=False)
    truth = with_progress(
        built, out, size=size, seed=seed, subjects=subjects, faults=faults, blind=blind,
        workers=workers, missing=missing, shared_physics=shared_physics,
    )  # fmt: skip
    groups = truth.design.groups
    console.print(
        f"{truth.root}: {groups.rls} patients, {groups.control} volunteers, {truth.files} files. "
        + (
            "Simulated; truth sealed, its hash in code/truth.sha256."
            if blind
            else "Simulated; truth in derivatives/truth."
        ),
        markup=False,
    )
    if not blind:
        _say(console, truth)
    return 0


def _say(console: Console, truth: virtual.StudyTruth | virtual.ClinicalTruth) -> None:
    """Print what was put in, to hold the answer of `ekbom run` to."""
    for line in virtual.planted_lines(truth):
        console.print(line, markup=False)


def with_progress(
    design: virtual.Design,
    out: Path,
    *,
    size: str,
    seed: int,
    subjects: int | None = None,
    faults: tuple[str, ...] = (),
    blind: bool = False,
    workers: int = 2,
    missing: float = 0.0,
    shared_physics: bool = False,
) -> virtual.StudyTruth:
    """Simulate with a progress bar on standard error.

    Parameters
    ----------
    design : Design
        What to simulate.
    out : Path
        New or empty folder.
    size, seed, subjects, faults, blind, workers, missing, shared_physics
        As for :func:`ekbom.virtual.make`.

    Returns
    -------
    StudyTruth
        What was put in.
    """
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task("simulating", total=None)

        def progress(word: str, done: int, total: int) -> None:
            bar.update(task, description=word, completed=done, total=total)

        return virtual.make(
            design, out, size=size, seed=seed, subjects=subjects, progress=progress,
            faults=faults, blind=blind, workers=workers, missing=missing,
            shared_physics=shared_physics,
        )  # fmt: skip


def clinical_progress(
    design: virtual.Protocol, out: Path, *, size: str, seed: int, subjects: int | None = None,
    faults: tuple[str, ...] = (), missing: float = 0.0,
) -> virtual.ClinicalTruth:  # fmt: skip
    """Simulate a study without a scanner, with a progress bar on standard error.

    Parameters
    ----------
    design : Protocol
        What to simulate.
    out : Path
        New or empty folder.
    size, seed, subjects, faults, missing
        As for :func:`ekbom.virtual.make_clinical`.

    Returns
    -------
    ClinicalTruth
        What was put in.
    """
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=Console(stderr=True), transient=True,
    ) as bar:  # fmt: skip
        task = bar.add_task("simulating", total=None)

        def progress(word: str, done: int, total: int) -> None:
            bar.update(task, description=word, completed=done, total=total)

        return virtual.make_clinical(
            design, out, size=size, seed=seed, subjects=subjects, progress=progress,
            faults=faults, missing=missing,
        )  # fmt: skip


def _setting(text: str) -> tuple[str, Any]:
    """Return key and value of ``key=value``; the value as TOML has it."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise Refused(
            "A setting is key=value.",
            field="--set",
            found=text,
            mend="--set binding.cv=0.12",
        )
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        # a bare word: tracer=diprenorphine
        return key.strip(), value.strip()
