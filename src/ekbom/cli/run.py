"""`ekbom run`: a study from raw files to answers and report."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from ekbom.errors import Refused
from ekbom.study.executors import executor
from ekbom.study.progress import Voice
from ekbom.study.run import Summary, run_study


def run(
    bids_dir: Path,
    out_dir: Path,
    level: Literal["participant", "group", "all"],
    /,
    *,
    plan: Path | None = None,
    participant_label: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    workers: int = 1,
    dask: str | None = None,
) -> int:
    """Run a study: measure every scan, answer every question of the plan, write the report.

    A run may be stopped at any moment and started again; what is finished is kept.

    Parameters
    ----------
    bids_dir
        Data set (BIDS).
    out_dir
        Output folder; made when it does not exist.
    level
        participant measures, group answers, all does both.
    plan
        Plan; BIDS_DIR/code/plan.toml by default.
    participant_label
        Only these participants, with or without sub-.
    workers
        Processes on this machine.
    dask
        Address (tcp://host:port) or scheduler file of a dask scheduler that does the work.

    Returns
    -------
    int
        0 done, 1 internal error, 2 refused, 3 some scans were refused.
    """
    from ekbom.report import render

    console = Console(highlight=False, soft_wrap=True)
    summary = run_study(
        bids_dir,
        out_dir,
        level,
        _plan(bids_dir, plan),
        participants=participant_label or (),
        executor=executor(workers, dask),
        render=render,
        voice=Voice(console),
    )
    show(summary, console)
    return summary.exit_code


def _plan(bids_dir: Path, plan: Path | None) -> Path:
    if plan is not None:
        return plan
    usual = bids_dir / "code" / "plan.toml"
    if not usual.is_file():
        raise Refused(
            "there is no plan",
            file=usual,
            field="--plan",
            found="nothing",
            expected="--plan plan.toml, or code/plan.toml in the BIDS folder",
            mend=f"`ekbom plan init {bids_dir}` writes one for these data",
        )
    return usual


def show(summary: Summary, console: Console) -> None:
    """Print what a run did.

    Parameters
    ----------
    summary : Summary
        From `run_study`.
    console : rich.console.Console
        Where.
    """
    found = summary.found
    measured = Counter(one.measure for one in found.measured)
    stopped = Counter(one.measure for one in found.stopped)
    console.print()
    for name in sorted(measured | stopped):
        console.print(f"{name}: {measured[name]} scans measured, {stopped[name]} refused")
    if found.waiting:
        console.print(f"{len(found.waiting)} scans were not asked for and are not measured yet")
    permitted = [one for one in found.measured if one.permissions]
    if permitted:
        listed = ", ".join(f"{o.unit.label} ({' '.join(o.permissions)})" for o in permitted)
        console.print(f"measured by permission of the plan: {listed}", markup=False)
    if found.stopped:
        table = Table(
            "refused", "why", "to mend", box=None, pad_edge=False, header_style="bold red"
        )
        for one in found.stopped:
            why = " - ".join(str(v) for v in (one.what, one.parts.get("found")) if v)
            table.add_row(one.unit.label, _plain(why), _plain(one.parts.get("mend") or ""))
        console.print(table)
    for answered in summary.answers:
        style = "red" if answered.refused is not None else "bold"
        console.print(f"[{style}]{answered.slug}[/]: ", end="")
        console.print(_first(answered.sentence), markup=False)
        without = answered.about.get("without_permitted")
        if without and "words" in without:
            people = ", ".join(without["participants_left_out"])
            console.print(
                f"    without {people}: {_first(without['words']['results'])}", markup=False
            )
        if answered.refused is not None:
            for word in ("file", "field", "found", "expected", "mend"):
                if answered.refused.get(word):
                    console.print(f"    {word}: {answered.refused[word]}", markup=False)
    if summary.report:
        console.print(f"report: {summary.out / 'report.html'}", markup=False)
    else:
        console.print(f"output: {summary.out}", markup=False)


def _plain(text: str) -> str:
    return text.replace("[", "\\[")


def _first(text: str) -> str:
    """One line: the whole of a short text, the first two sentences of a long one."""
    line = " ".join(text.split())
    if len(line) <= 400:
        return line
    sentences = line.split(". ")
    return ". ".join(sentences[:2]).rstrip(".") + "."
