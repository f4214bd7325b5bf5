"""From the plan to jobs: inputs named, hashed, and put in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from ekbom.errors import Refused
from ekbom.nouns import Inputs, Unit
from ekbom.study.executors import cores
from ekbom.study.files import sha256
from ekbom.study.index import Study
from ekbom.study.plan import Plan
from ekbom.study.store import code_of
from ekbom.study.work import Job

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


def prepare(
    study: Study, plan: Plan, out: Path, order: Sequence[tuple[str, Unit]]
) -> list[Job | Stopped]:
    """Name and hash the inputs of every unit, and of the steps before it.

    Parameters
    ----------
    study : Study
        The opened study.
    plan : Plan
        The plan.
    out : Path
        The output folder.
    order : sequence of (str, Unit)
        Measure and unit.

    Returns
    -------
    list of Job or Stopped
        In that order.
    """
    named: list[tuple[str, Unit, Inputs | Stopped]] = []
    for name, unit in order:
        chosen = plan.measures[name]
        try:
            inputs = chosen.measure.inputs(unit, study, _of_unit(chosen.settings, unit))
            named.append((name, unit, inputs))
        except Refused as no:
            named.append((name, unit, Stopped(name, unit, no.as_dict())))
    paths = {path for *_, i in named if isinstance(i, Inputs) for path in _paths(i)}
    listed = sorted(paths)
    hashes: dict[Path, str | Refused] = {}
    with ThreadPoolExecutor(cores()) as pool:
        for path, digest in zip(listed, pool.map(_hash, listed), strict=True):
            hashes[path] = digest
    jobs: list[Job | Stopped] = []
    for name, unit, given in named:
        if isinstance(given, Stopped):
            jobs.append(given)
            continue
        chosen = plan.measures[name]
        settings = _of_unit(chosen.settings, unit)
        jobs.append(_job(study, out, name, chosen.place, given, settings, hashes))
    return jobs


def _paths(inputs: Inputs) -> set[Path]:
    own = {path for role in inputs.files.values() for path in role}
    return own.union(*(_paths(one.inputs) for one in inputs.before))


def _hash(path: Path) -> str | Refused:
    try:
        return sha256(path)
    except Refused as no:
        return no


def _job(
    study: Study,
    out: Path,
    name: str,
    place: str,
    inputs: Inputs,
    settings: BaseModel,
    hashes: Mapping[Path, str | Refused],
    folder: str | None = None,
) -> Job | Stopped:
    before: dict[str, Job] = {}
    for one in inputs.before:
        made = _job(
            study, out, one.measure, one.place, one.inputs, one.settings, hashes, one.folder
        )
        if isinstance(made, Stopped):
            return Stopped(name, inputs.unit, made.parts)
        before[one.role] = made
    roles: dict[str, list[list[str]]] = {}
    flat: dict[str, str] = {}
    for role, paths in inputs.files.items():
        for path in paths:
            digest = hashes[path]
            if isinstance(digest, Refused):
                return Stopped(name, inputs.unit, digest.as_dict())
            roles.setdefault(role, []).append([study.relative(path), digest])
            flat[study.relative(path)] = digest
    parts = {
        "step": f"measure {name}" if folder is None else f"{name} {place.partition(':')[2]}",
        "unit": inputs.unit.label,
        "code": code_of(_module(place), *_WRITERS),
        "settings": settings.model_dump(mode="json"),
        "extra": dict(inputs.extra),
        "inputs": roles,
    }
    if before:
        parts["before"] = {role: one.key for role, one in before.items()}
    return Job(name, place, settings, inputs, parts, flat, out, folder, before)


def _module(place: str) -> str:
    """The package of a measure, or its module when it is not in a package."""
    module = place.partition(":")[0]
    return module.rpartition(".")[0] or module


def _of_unit(settings: BaseModel, unit: Unit) -> BaseModel:
    # A permission for one scan must not make the others run again.
    scans = getattr(settings, "scans", None)
    if not isinstance(scans, dict):
        return settings
    mine = {label: value for label, value in scans.items() if label == unit.label}
    return settings.model_copy(update={"scans": mine})


def groups_of(jobs: Sequence[Job]) -> list[list[Job]]:
    """Put jobs that build on one another together.

    Parameters
    ----------
    jobs : sequence of Job
        Steps before others first.

    Returns
    -------
    list of list of Job
        Each for one worker, in order.
    """
    groups: list[list[Job]] = []
    keys: list[set[str]] = []
    for job in jobs:
        mine = {job.key, *_keys_before(job)}
        hits = [k for k, theirs in enumerate(keys) if theirs & mine]
        if not hits:
            groups.append([job])
            keys.append(mine)
            continue
        first, *rest = hits
        for k in reversed(rest):
            groups[first] += groups.pop(k)
            mine |= keys.pop(k)
        groups[first].append(job)
        keys[first] |= mine
    return groups


def _keys_before(job: Job) -> set[str]:
    out = {one.key for one in job.before.values()}
    for one in job.before.values():
        out |= _keys_before(one)
    return out
