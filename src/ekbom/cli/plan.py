"""`ekbom plan`: write a plan for what the data hold, or check one."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App
from rich.console import Console

from ekbom.errors import Refused
from ekbom.study.check import check_questions
from ekbom.study.draft import draft
from ekbom.study.files import write_bytes
from ekbom.study.index import Study
from ekbom.study.plan import Plan
from ekbom.study.tables import Names

app = App(name="plan")


@app.command
def init(bids_dir: Path, /, *, out: Path | None = None, force: bool = False) -> int:
    """Write a commented plan for what the data hold.

    Parameters
    ----------
    bids_dir
        Data set (BIDS).
    out
        File to write; BIDS_DIR/code/plan.toml by default.
    force
        Overwrite a plan that is there.

    Returns
    -------
    int
        0 done.
    """
    study = Study.open(bids_dir)
    target = out or study.root / "code" / "plan.toml"
    if target.exists() and not force:
        raise Refused(
            "there is a plan already",
            file=target,
            field="--out",
            found="a file",
            expected="no file of this name",
            mend="give another name with --out, or --force to overwrite it",
        )
    write_bytes(target, draft(study).encode())
    console = Console(highlight=False, soft_wrap=True)
    for warning in study.warnings:
        console.print(f"note: {warning}", markup=False)
    console.print(f"plan: {target}", markup=False)
    console.print(f"Edit it, then: ekbom plan check {target} {bids_dir}", markup=False)
    return 0


@app.command
def check(plan: Path, bids_dir: Path | None = None, /) -> int:
    """Check a plan, by itself or against the data.

    Parameters
    ----------
    plan
        plan.toml.
    bids_dir
        Data set: names, groups, formulas and effects are checked too.

    Returns
    -------
    int
        0 when nothing is wrong.
    """
    checked = Plan.read(plan)
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"plan {checked.hash[:12]}: {len(checked.questions)} questions", markup=False)
    if bids_dir is None:
        console.print(
            "Well formed. Give BIDS_DIR too to check names and formulas against the data."
        )
        return 0
    study = Study.open(bids_dir)
    outcomes = {name: list(one.measure.outcomes) for name, one in checked.measures.items()}
    counts = check_questions(study, checked, Names.open(study, checked.tables, outcomes))
    for name, count in counts.items():
        console.print(f"  {name}: {count} scans, if all can be measured", markup=False)
    return 0
