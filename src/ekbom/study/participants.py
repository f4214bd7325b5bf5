"""The participant level: every unit through every measure of the plan.

One unit's measurement is a step. A refused unit is a result too: it is kept by
name, and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ekbom.errors import OutputRefused, Refused
from ekbom.nouns import Note, Unit
from ekbom.study.executors import Executor
from ekbom.study.index import Study
from ekbom.study.jobs import Stopped, groups_of, prepare
from ekbom.study.plan import Plan
from ekbom.study.results import MapFile, Measured, score_from_json
from ekbom.study.store import Step, Store
from ekbom.study.words import choices, did_you_mean
from ekbom.study.work import Job, measure_in_turn


@dataclass(frozen=True)
class Measurements:
    """All that the participant level got, in order of measure and unit.

    Parameters
    ----------
    measured : tuple of Measured
        What was measured.
    stopped : tuple of Stopped
        What was refused.
    waiting : tuple of (str, Unit)
        Measure and unit that were not asked for in this run and are not in the store.
    before : tuple of Measured
        What the steps before them left: transforms, motion, and how good they are.
    """

    measured: tuple[Measured, ...]
    stopped: tuple[Stopped, ...]
    waiting: tuple[tuple[str, Unit], ...] = ()
    before: tuple[Measured, ...] = ()


State = Literal["kept", "measured", "refused", "failed"]
Told = Callable[[str, Unit, State, str], None]


def units_of(study: Study, plan: Plan) -> dict[str, list[Unit]]:
    """Return the units of each measure of a plan.

    Parameters
    ----------
    study : Study
        The opened study.
    plan : Plan
        The plan.

    Returns
    -------
    dict of str to list of Unit
        In the order of the measure.

    Raises
    ------
    Refused
        A measure finds nothing, or the plan gives permissions to a scan that
        does not exist.
    """
    found = {}
    for name, chosen in plan.measures.items():
        units = list(chosen.measure.units(study))
        if not units:
            raise Refused(
                f"the study holds nothing that the measure {name} can read",
                file=study.root,
                field=f"measures.{name}",
                found=choices(sorted({f.datatype or f.suffix for f in study.files})),
                expected=f"files of {name}",
                mend=f"remove [measures.{name}], or give the right folder",
            )
        labels = [unit.label for unit in units]
        for label in getattr(chosen.settings, "scans", None) or {}:
            if label not in labels:
                raise Refused(
                    "the plan speaks of a scan that does not exist",
                    file=plan.file,
                    field=f"measures.{name}.scans.{label}",
                    found=label,
                    expected=choices(labels),
                    mend=did_you_mean(label, labels) or "correct the label",
                )
        found[name] = units
    return found


def measure_all(
    study: Study,
    plan: Plan,
    out: Path,
    executor: Executor,
    *,
    among: Callable[[Unit], bool] = lambda unit: True,
    run: bool = True,
    tell: Told = lambda measure, unit, state, text: None,
) -> Measurements:
    """Measure every unit, taking from the store what is finished.

    Parameters
    ----------
    study : Study
        The opened study.
    plan : Plan
        The plan.
    out : Path
        The output folder.
    executor : Executor
        Where it runs.
    among : callable
        Which units are measured now.
    run : bool
        False only looks into the store.
    tell : callable
        Told measure, unit, state and text as each unit ends.

    Returns
    -------
    Measurements
        The same whatever the executor and the order of completion.

    Raises
    ------
    OutputRefused
        The output cannot be written.
    """
    store = Store(out)
    order = [(name, unit) for name, units in units_of(study, plan).items() for unit in units]
    prepared = prepare(study, plan, out, order)
    known: dict[str, Measured | Stopped] = {}
    told: set[str] = set()
    jobs: list[Job] = []
    waiting: set[str] = set()
    slots: dict[tuple[str, Unit], Measured | Stopped] = {}

    def look(job: Job, mine: bool) -> None:
        """Take from the store what is there, those before it first."""
        for one in job.before.values():
            look(one, mine)
        if job.key not in known and not _held(job, known):
            step = store.get(job.key)
            if step is not None:
                known[job.key] = _result(job, step)
            elif mine and run and job.key not in waiting:
                jobs.append(job)
                waiting.add(job.key)
        if job.key in known and mine and job.key not in told:
            told.add(job.key)
            tell(job.measure, job.inputs.unit, "kept", "")

    for (_, unit), job in zip(order, prepared, strict=True):
        if isinstance(job, Job):
            look(job, among(unit))
    groups = groups_of(jobs)
    for index, results in executor.map(measure_in_turn, groups):
        for job, (outcome, text) in zip(groups[index], results, strict=True):
            if outcome == "held":
                continue
            known[job.key] = _outcome(store, job, outcome, text)
            stopped = isinstance(known[job.key], Stopped)
            state: State = "failed" if outcome == "failed" else "measured"
            if stopped and state != "failed":
                state = "refused"
            tell(job.measure, job.inputs.unit, state, text)
    for place, job in zip(order, prepared, strict=True):
        name, unit = place
        if isinstance(job, Stopped):
            if among(unit):
                slots[place] = job
                tell(name, unit, "failed" if job.internal else "refused", job.what)
            continue
        result = known.get(job.key) or _held(job, known)
        if result is None:
            continue
        if isinstance(result, Stopped) and result.measure != name:
            result = Stopped(name, unit, result.parts, result.internal)
            if among(unit):
                tell(name, unit, "refused", result.what)
        slots[place] = result
    done = [slots[place] for place in order if place in slots]
    return Measurements(
        tuple(one for one in done if isinstance(one, Measured)),
        tuple(one for one in done if isinstance(one, Stopped)),
        tuple(place for place in order if place not in slots),
        _before(prepared, known),
    )


def _outcome(store: Store, job: Job, outcome: str, text: str) -> Measured | Stopped:
    unit = job.inputs.unit
    if outcome == "failed":
        fault = {"what": f"internal error: {text}", "mend": "this is a fault of ekbom"}
        return Stopped(job.measure, unit, fault, internal=True)
    step = store.get(job.key)
    if step is None:
        raise OutputRefused(
            "a finished step is not in the output folder",
            file=store.steps / job.key,
            found="nothing, or other bytes than were written",
            expected="the files that the worker wrote",
            mend="check the disk; let only one run use the folder",
        )
    return _result(job, step)


def _held(job: Job, known: Mapping[str, Measured | Stopped]) -> Stopped | None:
    """Why a unit cannot be measured: a step before it gave nothing."""
    for one in job.before.values():
        result = known.get(one.key)
        found = result if isinstance(result, Stopped) else _held(one, known)
        if found is not None:
            return found
    return None


def _before(
    prepared: Sequence[Job | Stopped], known: Mapping[str, Measured | Stopped]
) -> tuple[Measured, ...]:
    """What the steps before the units left, each once, in their order."""
    out: dict[str, Measured] = {}

    def add(job: Job) -> None:
        for one in job.before.values():
            add(one)
            result = known.get(one.key)
            if isinstance(result, Measured):
                out.setdefault(one.key, result)

    for job in prepared:
        if isinstance(job, Job):
            add(job)
    return tuple(out.values())


def _result(job: Job, step: Step) -> Measured | Stopped:
    unit = job.inputs.unit
    refused = step.result.get("refused")
    if refused is not None:
        return Stopped(job.measure, unit, refused)
    return Measured(
        measure=job.measure,
        unit=unit,
        key=step.key,
        scores=tuple(score_from_json(parts) for parts in step.result["scores"]),
        notes=tuple(
            Note(code, text, permission) for code, text, permission in step.result["notes"]
        ),
        maps=tuple(MapFile(path=step.path(said["name"]), **said) for said in step.result["maps"]),
        files={name: step.path(name) for name in step.files},
    )
