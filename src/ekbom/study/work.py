"""The measurement of one unit: what goes to a worker process.

Little is imported here, because every worker process imports it at its start.
"""

from __future__ import annotations

import functools
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from threadpoolctl import threadpool_limits

from ekbom.errors import OutputRefused, Refused
from ekbom.nouns import Inputs
from ekbom.study import registry
from ekbom.study.products import made_by, product_files
from ekbom.study.store import Store, key_of


@dataclass(frozen=True)
class Job:
    """One unit to be measured; goes to a worker process.

    Parameters
    ----------
    measure, place : str
        Name of the measure, and ``module:Class``.
    settings : BaseModel
        Of this unit: other scans' permissions are left out.
    inputs : Inputs
        Files to be read.
    parts : mapping
        What the key of the step is the hash of.
    hashes : mapping of str to str
        Path inside the study to SHA-256, for sidecars.
    out : Path
        The output folder.
    folder : str, optional
        Folder of its files below that of the unit; the name of the measure by default.
    before : mapping of str to Job
        Steps that must be in the store first, by the role of their files.
    """

    measure: str
    place: str
    settings: BaseModel
    inputs: Inputs
    parts: Mapping[str, Any]
    hashes: Mapping[str, str]
    out: Path
    folder: str | None = None
    before: Mapping[str, Job] = field(default_factory=dict)

    @functools.cached_property
    def key(self) -> str:
        """Key of the step; worked out once, many ask for it."""
        return key_of(self.parts)


def measure_in_turn(jobs: Sequence[Job]) -> list[tuple[str, str]]:
    """Measure units that build on each other, each only when those before it are sound.

    Parameters
    ----------
    jobs : sequence of Job
        Steps before others first.

    Returns
    -------
    list of (str, str)
        As :func:`measure_one`, one a job; ``"held"`` when a step before it gave nothing.

    Raises
    ------
    OutputRefused
        The output cannot be written.
    """
    gone: set[str] = set()
    out = []
    for job in jobs:
        if any(one.key in gone for one in job.before.values()):
            outcome, text = "held", ""
        else:
            outcome, text = measure_one(job)
        if outcome != "done":
            gone.add(job.key)
        out.append((outcome, text))
    return out


def measure_one(job: Job) -> tuple[str, str]:
    """Measure one unit and put the result into the store.

    Parameters
    ----------
    job : Job
        What to do.

    Returns
    -------
    outcome : str
        ``"done"``, ``"refused"`` or ``"failed"``.
    text : str
        The refusal or the fault.

    Raises
    ------
    OutputRefused
        The output cannot be written.
    """
    store = Store(job.out)
    measure = registry.load(job.place)
    try:
        # One BLAS thread: the order of sums must not depend on the number of workers.
        with threadpool_limits(1, user_api="blas"):
            product = measure.run(_with_files_before(job, store), job.settings)
        made = made_by(f"measure {job.measure}", job.key, job.hashes)
        content, result = product_files(job.inputs.unit, job.measure, product, made, job.folder)
    except OutputRefused:
        raise
    except Refused as no:
        store.put(job.parts, {}, {"refused": no.as_dict()})
        return "refused", no.what
    except Exception as fault:
        where = traceback.extract_tb(fault.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        return "failed", f"{type(fault).__name__}: {fault} ({place})"
    store.put(job.parts, content, result)
    return "done", ""


def _with_files_before(job: Job, store: Store) -> Inputs:
    files = dict(job.inputs.files)
    for role, one in job.before.items():
        step = store.get(one.key)
        if step is None:
            raise OutputRefused(
                "a finished step is not in the output folder",
                file=store.steps / one.key,
                found="nothing, or other bytes than were written",
                expected="the files that the worker wrote",
                mend="check the disk; let only one run use the folder",
            )
        files[role] = [step.path(name) for name in sorted(step.files)]
    return replace(job.inputs, files=files)
