"""The participant level: every unit through every measure of the plan.

One unit's measurement is a step. A refused unit is a result too: it is kept by
name, and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from ekbom.errors import OutputRefused, Refused
from ekbom.nouns import Inputs, Note, Unit
from ekbom.study.executors import Executor, cores
from ekbom.study.files import sha256
from ekbom.study.index import Study
from ekbom.study.plan import Chosen, Plan
from ekbom.study.results import MapFile, Measured, score_from_json
from ekbom.study.store import Step, Store, code_of
from ekbom.study.words import choices, did_you_mean
from ekbom.study.work import Job, measure_one

#: Code outside the measure that shapes what is written.
_WRITERS = ("ekbom.nouns", "ekbom.space", "ekbom.study.products", "ekbom.study.files")


@dataclass(frozen=True)
class Stopped:
    """A unit that gave nothing.

    Parameters
    ----------
    measure : str
        Name of the measure.
    unit : Unit
        Who and when.
    parts : mapping
        ``what``, ``file``, ``field``, ``found``, ``expected``, ``mend``.
    internal : bool
        True when the fault is ours.
    """

    measure: str
    unit: Unit
    parts: Mapping[str, str | None]
    internal: bool = False

    @property
    def what(self) -> str:
        """One sentence."""
        return str(self.parts.get("what") or "")


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
    """

    measured: tuple[Measured, ...]
    stopped: tuple[Stopped, ...]
    waiting: tuple[tuple[str, Unit], ...] = ()


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
    slots: dict[tuple[str, Unit], Measured | Stopped] = {}
    jobs: list[Job] = []
    order = [(name, unit) for name, units in units_of(study, plan).items() for unit in units]
    prepared = _prepare(study, plan, out, order)
    for (name, unit), job in zip(order, prepared, strict=True):
        if isinstance(job, Stopped):
            if among(unit):
                slots[name, unit] = job
                tell(name, unit, "failed" if job.internal else "refused", job.what)
            continue
        step = store.get(job.key)
        if step is not None:
            slots[name, unit] = _result(job, step)
            if among(unit):
                tell(name, unit, "kept", "")
        elif run and among(unit):
            jobs.append(job)
    for index, (outcome, text) in executor.map(measure_one, jobs):
        job = jobs[index]
        unit = job.inputs.unit
        if outcome == "failed":
            fault = {"what": f"internal error: {text}", "mend": "this is a fault of ekbom"}
            slots[job.measure, unit] = Stopped(job.measure, unit, fault, internal=True)
            tell(job.measure, unit, "failed", text)
            continue
        step = store.get(job.key)
        if step is None:
            raise OutputRefused(
                "a finished step is not in the output folder",
                file=store.steps / job.key,
                found="nothing, or other bytes than were written",
                expected="the files that the worker wrote",
                mend="check the disk; let only one run use the folder",
            )
        result = _result(job, step)
        slots[job.measure, unit] = result
        stopped = isinstance(result, Stopped)
        tell(job.measure, unit, "refused" if stopped else "measured", text)
    done = [slots[place] for place in order if place in slots]
    return Measurements(
        tuple(one for one in done if isinstance(one, Measured)),
        tuple(one for one in done if isinstance(one, Stopped)),
        tuple(place for place in order if place not in slots),
    )


def _prepare(
    study: Study, plan: Plan, out: Path, order: Sequence[tuple[str, Unit]]
) -> list[Job | Stopped]:
    """Name and hash the inputs of every unit."""
    named: list[tuple[str, Unit, Inputs | Stopped]] = []
    for name, unit in order:
        chosen = plan.measures[name]
        try:
            inputs = chosen.measure.inputs(unit, study, _of_unit(chosen.settings, unit))
            named.append((name, unit, inputs))
        except Refused as no:
            named.append((name, unit, Stopped(name, unit, no.as_dict())))
    paths = {
        path
        for *_, i in named
        if isinstance(i, Inputs)
        for role in i.files.values()
        for path in role
    }
    listed = sorted(paths)
    hashes: dict[Path, str | Refused] = {}
    with ThreadPoolExecutor(cores()) as pool:
        for path, digest in zip(listed, pool.map(_hash, listed), strict=True):
            hashes[path] = digest
    return [
        given if isinstance(given, Stopped) else _job(study, plan, out, name, unit, given, hashes)
        for name, unit, given in named
    ]


def _hash(path: Path) -> str | Refused:
    try:
        return sha256(path)
    except Refused as no:
        return no


def _job(
    study: Study,
    plan: Plan,
    out: Path,
    name: str,
    unit: Unit,
    inputs: Inputs,
    hashes: Mapping[Path, str | Refused],
) -> Job | Stopped:
    chosen = plan.measures[name]
    roles: dict[str, list[list[str]]] = {}
    flat: dict[str, str] = {}
    for role, paths in inputs.files.items():
        for path in paths:
            digest = hashes[path]
            if isinstance(digest, Refused):
                return Stopped(name, unit, digest.as_dict())
            roles.setdefault(role, []).append([study.relative(path), digest])
            flat[study.relative(path)] = digest
    settings = _of_unit(chosen.settings, unit)
    parts = {
        "step": f"measure {name}",
        "unit": unit.label,
        "code": code_of(*_modules(chosen), *_WRITERS),
        "settings": settings.model_dump(mode="json"),
        "extra": dict(inputs.extra),
        "inputs": roles,
    }
    return Job(name, chosen.place, settings, inputs, parts, flat, out)


def _modules(chosen: Chosen) -> list[str]:
    """The package of a measure, or its module when it is not in a package."""
    module = type(chosen.measure).__module__
    return [module.rpartition(".")[0] or module]


def _of_unit(settings: BaseModel, unit: Unit) -> BaseModel:
    # A permission for one scan must not make the others run again.
    scans = getattr(settings, "scans", None)
    if not isinstance(scans, dict):
        return settings
    mine = {label: value for label, value in scans.items() if label == unit.label}
    return settings.model_copy(update={"scans": mine})


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
