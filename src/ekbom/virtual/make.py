"""A design becomes a raw BIDS study on disk, with its truth beside it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.virtual import bids, sidecars
from ekbom.virtual.anatomy import label_table
from ekbom.virtual.binding import Tissue
from ekbom.virtual.blood import Arterial
from ekbom.virtual.cohort import Person
from ekbom.virtual.design import Design, design_toml, load
from ekbom.virtual.disease_truth import told_of
from ekbom.virtual.faults import known, plant
from ekbom.virtual.head import Head
from ekbom.virtual.kinetics import time_grid
from ekbom.virtual.missing import checked, drop
from ekbom.virtual.seeds import stream
from ekbom.virtual.signals import blood_samples, person_texture, signals
from ekbom.virtual.study import SIZES, VirtualStudy
from ekbom.virtual.truth import StudyTruth, area_of, table_sidecar
from ekbom.virtual.write import (
    write_curves,
    write_image,
    write_raw,
    write_tables,
    write_true_curves,
)
from ekbom.virtual.write_native import (
    lie_again,
    native_place,
    write_atlas,
    write_head,
    write_native_pet,
)

Array = NDArray[np.float64]

Progress = Callable[[str, int, int], None]


def make(
    design: str | Design,
    out: str | Path,
    *,
    size: str,
    seed: int,
    subjects: int | None = None,
    progress: Progress | None = None,
    workers: int = 2,
    faults: tuple[str, ...] = (),
    blind: bool = False,
    missing: float = 0.0,
    shared_physics: bool = False,
) -> StudyTruth:
    """Simulate a study.

    Parameters
    ----------
    design : str or Design
        Name of a ready-made design, or a design.
    out : path-like
        New or empty folder; becomes a BIDS raw study.
    size : {"rois", "quick", "full"}
        Regional curves only, images of 4 mm, images of 2 mm.
    seed : int
        Seed; same design, size and seed give the same bytes.
    subjects : int, optional
        Persons in all, shared between the groups as in the design.
    progress : callable, optional
        Called with a word, persons done and persons in all.
    workers : int
        Threads; the bytes do not depend on it.
    faults : tuple of str
        Mistakes planted into the first scan, keys of
        :data:`ekbom.virtual.faults.FAULTS`.
    blind : bool
        Take the truth away again and leave one hash of it, so that nobody who
        analyses can look.
    missing : float
        Probability of each kind of gap of :data:`ekbom.virtual.missing.KINDS`.
    shared_physics : bool
        Tissue curves from the forward model of the analysis instead of the simulator's own;
        the study says so wherever it says what it is.

    Returns
    -------
    StudyTruth
        What was put in.

    Raises
    ------
    Refused
        Unknown design or size, folder not empty, disk too small.
    """
    built = load(design) if isinstance(design, str) else design
    if size not in SIZES:
        raise Refused("There is no such size.", field="size", found=size, expected=", ".join(SIZES))
    if seed < 0:
        raise Refused("The seed must not be negative.", field="seed", found=seed)
    for name in faults:
        known(name, "pet")
    checked(missing)
    built = _with_subjects(built, subjects)
    study = replace(VirtualStudy.plan(built, Path(out), size, seed), shared_physics=shared_physics)
    bids.new_folder(study.root, study.bytes_needed)
    write_tables(study)
    if study.images and built.head is not None:
        write_atlas(study)
    scans: list[_Scan] = []
    if progress:
        progress("simulated", 0, len(study.people))
    with ThreadPoolExecutor(max(1, workers)) as pool:
        parts = study.scans()
        waiting: list[Future[list[_Scan]]] = [pool.submit(_person, parts, p) for p in study.people]
        for n, done in enumerate(waiting, start=1):
            scans.extend(done.result())
            if progress:
                progress("simulated", n, len(study.people))
    if missing:
        drop(
            study.root,
            [person.label for person in study.people],
            [(p.label, s.stem(p), s.folder(p)) for p in study.people for s in study.scans()],
            missing, seed,
        )  # fmt: skip
    if faults:
        plant(study.root, study.stem(study.people[0]), study.folder(study.people[0]), faults)
    truth = _finish(study, scans)
    if blind:
        _seal(study.root)
    return truth


def _seal(root: Path) -> None:
    """Leave only the hash of the truth's own list of hashes."""
    folder = root / "derivatives" / "truth"
    sealed = hashlib.sha256((folder / "SHA256SUMS").read_bytes()).hexdigest()
    shutil.rmtree(folder)
    bids.write_text(root / "code" / "truth.sha256", f"{sealed}  derivatives/truth/SHA256SUMS")


def _with_subjects(design: Design, subjects: int | None) -> Design:
    if subjects is None:
        return design
    n = design.groups.rls + design.groups.control
    if subjects < 1:
        raise Refused("A study needs at least one person.", field="subjects", found=subjects)
    rls = round(subjects * design.groups.rls / n)
    if subjects > 1 and min(design.groups.rls, design.groups.control) > 0:
        rls = min(max(rls, 1), subjects - 1)
    groups = design.groups.model_copy(update={"rls": rls, "control": subjects - rls})
    return design.model_copy(update={"groups": groups})


@dataclass(frozen=True, eq=False)
class _Scan:
    """What is kept of one person for the truth tables."""

    study: VirtualStudy
    person: Person
    dose_MBq: float
    blood: Arterial
    tissue: Tissue
    VT_label: Array
    VT_seen: Array
    voxels: NDArray[np.int64]


def _person(scans: tuple[VirtualStudy, ...], person: Person) -> list[_Scan]:
    """Simulate and write all scans of one person."""
    first, out = scans[0], []
    design = first.design
    texture = person_texture(first, person)
    head = write_head(first, person) if first.images and design.head is not None else None
    for study in scans:
        if head is not None and study.scan > 0:
            assert design.head is not None
            head = lie_again(
                stream(study.seed, person.index, "head", study.scan), head, design.head
            )
        out.append(_scan(study, person, texture, head))
    return out


def _scan(study: VirtualStudy, person: Person, texture: Array, head: Head | None) -> _Scan:
    """Simulate and write one scan of one person."""
    true_signals = signals(study, person)
    blood, tissue, curves = true_signals.blood, true_signals.tissue, true_signals.curves
    voxels = study.mixing.voxels
    if head is not None:
        where = native_place(study, head, texture)
        seen, true, voxels = where.mixing(len(label_table(study.sources)))
    else:
        seen, true = study.mixing.matrices(texture)
    write_raw(study, person, true_signals.dose_MBq, blood_samples(study, person, blood))
    scan_rng = stream(study.seed, person.index, "scan", study.scan)
    if head is not None:
        motion = stream(study.seed, person.index, "motion", study.scan)
        write_native_pet(study, person, head, where, curves, tissue, texture, (scan_rng, motion))
    elif study.images:
        write_image(study, person, curves, texture, tissue, scan_rng)
    else:
        write_curves(study, person, curves, seen, scan_rng)
    write_true_curves(study, person, curves, blood, time_grid(float(study.timing.end[-1])))
    return _Scan(
        study,
        person,
        true_signals.dose_MBq,
        blood,
        tissue,
        np.einsum("ls,s->l", true, tissue.VT),
        np.einsum("ls,s->l", seen, tissue.VT),
        voxels,
    )


def _finish(study: VirtualStudy, scans: list[_Scan]) -> StudyTruth:
    root = study.root / "derivatives" / "truth"
    bids.write_json(
        root / "dataset_description.json",
        sidecars.description(
            study.design,
            study.size,
            study.seed,
            kind="derivative",
            name="truth (simulated)",
            shared=study.shared_physics,
        ),
    )
    bids.write_text(root / "design.toml", design_toml(study.design))
    tables = {
        "participants": pd.DataFrame(list(_participant_rows(scans))),
        "regions": pd.DataFrame(list(_region_rows(study, scans))),
        "effects": pd.DataFrame(list(_effect_rows(study))),
    }
    for name, frame in tables.items():
        columns = {str(c): _plain(frame[c]) for c in frame.columns}
        bids.write_tsv(root / f"{name}_truth.tsv", columns)
        bids.write_json(root / f"{name}_truth.json", table_sidecar(frame))
    if study.design.disease is not None:
        bids.write_json(root / "disease_truth.json", told_of(study.design, study.people))
    files = bids.write_sums(study.root, root / "SHA256SUMS")
    return StudyTruth(
        study.design,
        study.root,
        study.size,
        study.seed,
        tables["participants"],
        tables["regions"],
        tables["effects"],
        files + 1,
    )


def _plain(column: pd.Series) -> Any:
    """Return the cells of a column; numbers stay an array, which is written sooner."""
    return column.to_numpy() if column.dtype == np.float64 else column.tolist()


def _participant_rows(scans: list[_Scan]) -> Iterator[dict[str, Any]]:
    for scan in scans:
        yield {
            "participant_id": scan.person.label,
            **_which(scan),
            "group": scan.person.group,
            "irls_total": scan.person.irls_total,
            "mpq_affective": scan.person.mpq_affective,
            "dose": scan.dose_MBq,
            "clearance": scan.dose_MBq * 1000.0 / scan.blood.area,
            "area": scan.blood.area,
            **_states(scan),
        }


def _which(scan: _Scan) -> dict[str, Any]:
    """Return session and tracer of a scan, where the design has several."""
    if not scan.study.design.scans:
        return {}
    return {"session_id": f"ses-{scan.study.session}", "tracer": scan.study.tracer.name}


def _states(scan: _Scan) -> dict[str, Any]:
    """Return what the disease model said of the person at the scan."""
    person, k = scan.person, scan.study.scan
    out: dict[str, Any] = {}
    if person.urge is not None:
        out["latent_severity"] = person.urge
    if person.occupancy is not None:
        out["opioid_occupancy"] = person.occupancy[k]
    if person.bp is not None and scan.study.dopamine:
        out["d2_binding"] = person.bp[k]
    return out


def _region_rows(study: VirtualStudy, scans: list[_Scan]) -> Iterator[dict[str, Any]]:
    for scan in scans:
        rates, VT = scan.tissue.rates, scan.tissue.VT
        for s, source in enumerate(scan.study.sources):
            if not source.index:
                continue
            label = source.index - 1
            yield {
                "participant_id": scan.person.label,
                **_which(scan),
                "region": source.name,
                "voxels": int(scan.voxels[label]),
                "K1": float(rates.K1[s]),
                "k2": float(rates.k2[s]),
                "k3": float(rates.k3[s]),
                "k4": float(rates.k4[s]),
                "VT": float(VT[s]),
                "occupancy": float(scan.tissue.occupancy[s]),
                "VT_label": float(scan.VT_label[label]),
                "VT_seen": float(scan.VT_seen[label]),
            }


def _effect_rows(study: VirtualStudy) -> Iterator[dict[str, Any]]:
    """Return planted slopes by region, and what blur makes of them."""
    binding, VND = study.design.binding, study.tracer.kinetics["general"].VND
    slope = study.design.severity_slope
    specific = np.array([max(source.VT - VND, 0.0) for source in study.sources])
    slopes = {
        "irls": np.array([slope * (s.area in binding.severity_regions) for s in study.sources]),
        "affective": np.array(
            [binding.affective_slope * (s.area in binding.affective_regions) for s in study.sources]
        ),
    }
    seen, true = study.mixing.matrices(np.ones(study.anatomy.grid.shape))
    voxels = study.mixing.voxels
    labels = [s for s, source in enumerate(study.sources) if source.index]
    areas = dict.fromkeys(area_of(study.sources[s].name) for s in labels)
    for area in areas:
        here = [i for i, s in enumerate(labels) if study.sources[s].area == area]
        one = labels[here[0]]
        change = {name: -specific * slope for name, slope in slopes.items()}

        planted = [
            word
            for word, regions in (
                ("severity", binding.severity_regions),
                ("affective", binding.affective_regions),
            )
            if area in regions
        ]
        yield {
            "region": area,
            "planted": " ".join(planted) or "nothing",
            "occupancy_per_irls": float(slopes["irls"][one]),
            "occupancy_per_affective": float(slopes["affective"][one]),
            "VT_per_irls": float(change["irls"][one]),
            "VT_per_irls_label": _over(true, change["irls"], here, voxels),
            "VT_per_irls_seen": _over(seen, change["irls"], here, voxels),
            "VT_per_affective_label": _over(true, change["affective"], here, voxels),
            "group_difference_percent": binding.group_shift_percent,
        }


def _over(matrix: Array, change: Array, labels: list[int], voxels: NDArray[np.int64]) -> float:
    """Return the change of a region's mean, sides joined by volume."""
    share = voxels[labels] / voxels[labels].sum()
    return float(np.einsum("l,ls,s->", share, matrix[labels], change))
