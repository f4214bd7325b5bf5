"""Studies without a scanner: nights, a levodopa test, a trial with visits, as raw BIDS."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom import __version__
from ekbom.errors import Refused
from ekbom.virtual import bids
from ekbom.virtual.faults import known, plant
from ekbom.virtual.missing import checked, drop
from ekbom.virtual.patients import Pool, draw_pool
from ekbom.virtual.protocol import Protocol, load_protocol, protocol_plan, protocol_toml
from ekbom.virtual.sidecars import BIDS_VERSION, WORD
from ekbom.virtual.study import SIZES

Array = NDArray[np.float64]
Progress = Callable[[str, int, int], None]

#: Bytes of a sample, and of what stands beside the signal of one person.
_SAMPLE, _REST = 2, 400_000


@dataclass(frozen=True, eq=False)
class ClinicalTruth:
    """What was put into a study without a scanner.

    Parameters
    ----------
    design : Protocol
        As used, overrides applied.
    root : Path
        Raw study.
    size : str
        Size.
    seed : int
        Seed.
    participants : DataFrame
        One row a person: parameters of the disease model and what follows from them.
    files : int
        Number of files written.
    """

    design: Protocol
    root: Path
    size: str
    seed: int
    participants: pd.DataFrame
    files: int


@dataclass(frozen=True, eq=False)
class Making:
    """A study on its way.

    Parameters
    ----------
    design, root, size, seed
        As asked for.
    labels : tuple of str
        ``sub-01`` ...
    pool : Pool
        People in the order of the labels.
    """

    design: Protocol
    root: Path
    size: str
    seed: int
    labels: tuple[str, ...]
    pool: Pool

    def rng(self, *key: int) -> np.random.Generator:
        """Return the random generator of a branch of the seed tree."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))


def make_clinical(
    design: str | Protocol,
    out: str | Path,
    *,
    size: str = "quick",
    seed: int = 1,
    subjects: int | None = None,
    progress: Progress | None = None,
    workers: int = 2,
    faults: tuple[str, ...] = (),
    missing: float = 0.0,
) -> ClinicalTruth:
    """Simulate a study without a scanner.

    Parameters
    ----------
    design : str or Protocol
        Name of a ready-made design, or a design.
    out : path-like
        New or empty folder; becomes a BIDS raw study.
    size : {"rois", "quick", "full"}
        Of nights: marks in place of a signal, EMG at the quick or the full rate.
        Tables are the same at each size.
    seed : int
        Same design, size and seed give the same bytes.
    subjects : int, optional
        Persons in all, shared between the groups as in the design.
    progress : callable, optional
        Called with a word, persons done and persons in all.
    workers : int
        Threads; the bytes do not depend on it.
    faults : tuple of str
        Mistakes planted into the first night, keys of
        :data:`ekbom.virtual.faults.FAULTS`.
    missing : float
        Probability of each kind of gap of :data:`ekbom.virtual.missing.KINDS`.

    Returns
    -------
    ClinicalTruth
        What was put in.

    Raises
    ------
    Refused
        Unknown design or size, folder not empty, disk too small.
    """
    built = load_protocol(design) if isinstance(design, str) else design
    if size not in SIZES:
        raise Refused("There is no such size.", field="size", found=size, expected=", ".join(SIZES))
    if seed < 0:
        raise Refused("The seed must not be negative.", field="seed", found=seed)
    for name in faults:
        known(name, "night")
    if faults and built.nights is None:
        raise Refused("The fault needs a night, and the design has none.", field="--faults",
                      found=faults[0], expected="a design with polysomnography")  # fmt: skip
    checked(missing)
    built = _with_subjects(built, subjects)
    root, n = Path(out), built.groups.rls + built.groups.control
    bids.new_folder(root, _bytes(built, size))
    if progress:
        progress("people", 0, n)
    trial = built.arms is not None
    pool = draw_pool(
        seed, built.groups.rls, built.groups.control, built.people.age_range, built.people.women,
        spare=2.5 if trial else 1.0,
    )  # fmt: skip
    width = max(2, len(str(n)))
    labels = tuple(f"sub-{k + 1:0{width}d}" for k in range(n))
    study = Making(built, root, size, seed, labels, pool)
    _descriptions(study)
    if built.kind == "nights":
        rows = _nights(study, progress, workers)
    elif built.kind == "levodopa":
        from ekbom.virtual.levodopa import write_levodopa

        rows = write_levodopa(study)
    else:
        from ekbom.virtual.visits import write_visits

        rows = write_visits(study)
    nights = _recorded(study)
    if missing:
        drop(root, labels, nights, missing, seed)
    if faults:
        plant(root, nights[0][1], nights[0][2], faults)
    return _finish(study, rows)


def _recorded(study: Making) -> list[tuple[str, str, Path]]:
    """Return label, stem and folder of every recording, in the order of people."""
    out = []
    for label in study.labels:
        for path in sorted((study.root / label).rglob("*_events.tsv")):
            stem = path.name.removesuffix("_events.tsv")
            out.append((label, stem, path.parent.relative_to(study.root)))
    return out


def _with_subjects(design: Protocol, subjects: int | None) -> Protocol:
    if subjects is None:
        return design
    both = design.groups
    if subjects < 1:
        raise Refused("A study needs at least one person.", field="subjects", found=subjects)
    rls = round(subjects * both.rls / (both.rls + both.control))
    if subjects > 1 and min(both.rls, both.control) > 0:
        rls = min(max(rls, 1), subjects - 1)
    groups = both.model_copy(update={"rls": rls, "control": subjects - rls})
    return design.model_copy(update={"groups": groups})


def _bytes(design: Protocol, size: str) -> int:
    n = design.groups.rls + design.groups.control
    if design.nights is None or size == "rois":
        return n * _REST
    fs = design.nights.fs["full" if size == "full" else "quick"]
    hours = design.nights.hours * design.nights.nights + design.nights.sit
    return int(n * (_REST + 3 * _SAMPLE * fs * 3600 * hours))


def _descriptions(study: Making) -> None:
    design = study.design

    def said(kind: str, name: str) -> dict[str, Any]:
        words = f"Simulated study: design {design.name}, size {study.size}, seed {study.seed}"
        return {
            "Name": name, "BIDSVersion": BIDS_VERSION, "DatasetType": kind, "License": "CC0",
            "Authors": ["ekbom.virtual (a program)", "nobody else"], "Acknowledgements": WORD,
            "GeneratedBy": [
                {"Name": "ekbom.virtual", "Version": __version__, "Description": words}
            ],
        }  # fmt: skip

    bids.write_json(study.root / "dataset_description.json", said("raw", design.title))
    truth = study.root / "derivatives" / "truth"
    bids.write_json(truth / "dataset_description.json", said("derivative", "truth (simulated)"))
    bids.write_text(truth / "design.toml", protocol_toml(design))
    if design.nights is not None and design.nights.scorers:
        bids.write_json(
            study.root / "derivatives" / "scorers" / "dataset_description.json",
            said("derivative", "marks of scorers (simulated)"),
        )
    if design.arms is not None:
        bids.write_json(
            study.root / "derivatives" / "ekbom-sim" / "dataset_description.json",
            said("derivative", "visits in one table (simulated)"),
        )
    bids.write_text(study.root / "code" / "plan.toml", protocol_plan(design.kind))
    lines = [
        design.title, "", WORD, "",
        f"Design {design.name}, size {study.size}, seed {study.seed}, ekbom {__version__}.",
        f"{design.groups.rls} patients, {design.groups.control} others: {design.description}.", "",
        "People come from the executable disease model; patients are whoever its threshold yields.",
        "code/plan.toml: a plan for `ekbom run`.",
        "derivatives/truth: what was put in. Nobody who analyses blindly looks there.", "",
        "Question texts of the scales are not shipped; items stand under their numbers.",
        "The same design, size, seed and version give the same bytes.",
    ]  # fmt: skip
    bids.write_text(study.root / "README", "\n".join(lines))


def write_participants(study: Making, more: dict[str, Any], about: dict[str, Any]) -> None:
    """Write participants.tsv and its JSON.

    Parameters
    ----------
    study : Making
        With the people.
    more : dict of str to sequence
        Columns beside age, sex and group.
    about : dict
        What the JSON says of them.
    """
    pool, n = study.pool, len(study.labels)
    table = pool.table
    bids.write_tsv(
        study.root / "participants.tsv",
        {
            "participant_id": study.labels,
            "age": [int(a) for a in table["age"][:n]],
            "sex": ["F" if f else "M" for f in table["female"][:n]],
            "group": ["rls" if r else "control" for r in pool.rls[:n]],
            **more,
        },
    )
    bids.write_json(
        study.root / "participants.json",
        {
            "age": {"Description": "Age", "Units": "year"},
            "sex": {"Description": "Sex", "Levels": {"F": "female", "M": "male"}},
            "group": {"Description": "Group", "Levels": {"rls": "patient", "control": "other"}},
            **about,
        },
    )


def _nights(study: Making, progress: Progress | None, workers: int) -> dict[str, Any]:
    from ekbom.virtual import tables
    from ekbom.virtual.nights import make_night
    from ekbom.virtual.patients import irls_answers, movement_facts, visit_z
    from ekbom.virtual.psg import write_recording, write_scorers

    asked, pool = study.design.nights, study.pool
    assert asked is not None
    write_participants(study, {}, {})
    patients = np.flatnonzero(pool.rls)
    rng = study.rng(0)
    first = tables.ids([study.labels[k] for k in patients])
    z = visit_z(rng, pool.table["z"][patients], expectancy=False)
    if patients.size:
        answers = irls_answers(rng, z, pool.cut)
        tables.write_phenotype(study.root, tables.irls(first, answers), rng)
    every = tables.ids(study.labels)
    named, factor = tables.sites(rng, len(study.labels), study.design.sites)
    for table in (
        tables.iron(every, rng, pool.table, factor, named), tables.genotype(every, pool.table),
        tables.tms(every, rng, pool.table),
    ):  # fmt: skip
        tables.write_phenotype(study.root, table, rng)

    def one(k: int) -> None:
        facts = movement_facts(pool.table, k)
        session = "night1" if asked.nights > 1 else None
        for night in range(asked.nights):
            own = f"night{night + 1}" if asked.nights > 1 else None
            made = make_night(study.rng(1, k, night, 0), hours=asked.hours, ahi=asked.ahi, **facts)
            done = write_recording(
                study.root, study.labels[k], "sleep", made, asked, study.rng(1, k, night, 1),
                session=own, size=study.size,
            )  # fmt: skip
            if asked.scorers:
                write_scorers(study.root, study.labels[k], "sleep", done, asked,
                              study.rng(1, k, night, 2), own)  # fmt: skip
        if asked.sit:
            made = make_night(study.rng(2, k, 0, 0), hours=1.0, awake=True, **facts)
            write_recording(
                study.root, study.labels[k], "sit", made, asked, study.rng(2, k, 0, 1),
                session=session, size=study.size,
            )  # fmt: skip

    with ThreadPoolExecutor(max(1, workers)) as threads:
        for done, _ in enumerate(threads.map(one, range(len(study.labels)))):
            if progress:
                progress("recorded", done + 1, len(study.labels))
    return {"plm_person": pool.table["plm_person"], "excitability": pool.table["e@0"]}


#: Meaning of the columns that only some designs have.
_SAID: dict[str, dict[str, str]] = {
    "plm_person": {"Description": "Log effect on the hazard of episodes", "Units": "1"},
    "excitability": {"Description": "Spinal excitability at midnight", "Units": "1"},
    "mimic": {"Description": "What resembles the disease; none in patients"},
    "drug_fall_percent": {
        "Description": "Largest fall of the urge within two hours by the drug alone",
        "Units": "%",
    },
    "placebo_fall_percent": {"Description": "Fall after two hours without a drug", "Units": "%"},
    "arm": {"Description": "Arm of the trial"},
    "z_change": {
        "Description": "Change of z by the last visit, of the disease model without placebo",
        "Units": "1",
    },
}


def _finish(study: Making, rows: dict[str, Any]) -> ClinicalTruth:
    pool, n = study.pool, len(study.labels)
    truth = study.root / "derivatives" / "truth"
    frame = pd.DataFrame(
        {
            "participant_id": list(study.labels),
            "rls": pool.rls[:n].astype(int),
            "age": pool.table["age"][:n],
            "z": pool.table["z"][:n],
            "cut": np.full(n, pool.cut),
            **{k: np.asarray(v)[:n] for k, v in rows.items()},
        }
    )
    columns = {str(c): frame[c].tolist() for c in frame.columns}
    bids.write_tsv(truth / "participants_truth.tsv", columns)
    bids.write_json(
        truth / "participants_truth.json",
        {
            "rls": {"Description": "Whether the model's threshold is passed"},
            "z": {"Description": "Log mean urge from 18 to 02 h, untreated", "Units": "1"},
            "cut": {"Description": "Threshold of z", "Units": "1"},
            **{name: _SAID[name] for name in rows if name in _SAID},
        },
    )
    files = bids.write_sums(study.root, truth / "SHA256SUMS")
    return ClinicalTruth(study.design, study.root, study.size, study.seed, frame, files + 1)
