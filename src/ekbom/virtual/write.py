"""The files of one person and of the study: raw, derivatives, truth."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ekbom.virtual import bids, sidecars
from ekbom.virtual.anatomy import label_table
from ekbom.virtual.binding import Tissue
from ekbom.virtual.blood import Arterial, Samples
from ekbom.virtual.cohort import (
    AFFECTIVE_ITEMS,
    AFFECTIVE_MAX,
    IRLS_ITEMS,
    IRLS_MAX,
    Person,
)
from ekbom.virtual.plans import plan_text
from ekbom.virtual.scanner import dynamic_image, seen_weights
from ekbom.virtual.signals import label_curves
from ekbom.virtual.study import VirtualStudy

Array = NDArray[np.float64]

#: Name of the segmentation in file names (``desc-sim``).
SEGMENTATION = "sim"


def write_raw(study: VirtualStudy, person: Person, dose: float, samples: Samples) -> None:
    """Write what the scanner's console and the laboratory give.

    Parameters
    ----------
    study : VirtualStudy
        Study.
    person : Person
        Whose scan.
    dose : float
        MBq.
    samples : Samples
        Blood.
    """
    folder = study.root / study.folder(person)
    stem = study.stem(person)
    bids.write_json(
        folder / f"{stem}_pet.json",
        sidecars.pet(study.tracer, study.design, study.timing, dose, person.weight),
    )
    if study.dopamine:
        return  # no artery is needed for a tracer with a reference region
    unit = 1000.0 if study.design.blood.units == "Bq/mL" else 1.0
    stem = f"{stem}_recording-manual_blood"
    bids.write_tsv(
        folder / f"{stem}.tsv",
        {
            "time": samples.time,
            "plasma_radioactivity": np.round(samples.plasma * unit, 6),
            "whole_blood_radioactivity": np.round(samples.whole_blood * unit, 6),
            "metabolite_parent_fraction": np.round(samples.parent_fraction, 5),
        },
    )
    bids.write_json(folder / f"{stem}.json", sidecars.blood(study.design))


def write_curves(
    study: VirtualStudy, person: Person, curves: Array, seen: Array, rng: np.random.Generator
) -> None:
    """Write regional curves as PETPrep does: the image path's label means.

    Parameters
    ----------
    study : VirtualStudy
        Study.
    person : Person
        Whose scan.
    curves : (S, F) array
        Curves of the sources, kBq/mL.
    seen : (L, S) array
        Mixing of the sources in the labels.
    rng : numpy.random.Generator
        Stream of the scan.
    """
    noisy = label_curves(study, seen, curves, rng)
    folder = study.root / "derivatives" / "ekbom-sim" / study.folder(person)
    stem = f"{study.stem(person)}_desc-{SEGMENTATION}"
    table: dict[str, Any] = {
        "frame_start": study.timing.start * 60.0,
        "frame_end": study.timing.end * 60.0,
    }
    labels = label_table(study.sources)
    rounded = np.round(noisy * 1000.0, 3)
    table |= {name: curve for (_, name), curve in zip(labels, rounded, strict=True)}
    bids.write_tsv(folder / f"{stem}_tacs.tsv", table)
    size = float(np.prod(study.anatomy.grid.voxel_size))
    bids.write_tsv(
        folder / f"{stem}_morph.tsv",
        {
            "index": [index for index, _ in labels],
            "volume-mm3": study.mixing.voxels * size,
            "name": [name for _, name in labels],
        },
    )
    bids.write_tsv(folder / f"{stem}_dseg.tsv", _label_columns(study))


def _label_columns(study: VirtualStudy) -> dict[str, Any]:
    labels = label_table(study.sources)
    return {"index": [i for i, _ in labels], "name": [name for _, name in labels]}


def write_image(
    study: VirtualStudy,
    person: Person,
    curves: Array,
    texture: Array,
    tissue: Tissue,
    rng: np.random.Generator,
) -> None:
    """Write the dynamic image, its segmentation and mask, and the true V_T.

    Parameters
    ----------
    study : VirtualStudy
        Study.
    person : Person
        Whose scan.
    curves : (S, F) array
        Curves of the sources, kBq/mL.
    texture : (X, Y, Z) array
        Factor of uptake.
    tissue : Tissue
        Kinetics.
    rng : numpy.random.Generator
        Stream of the scan.
    """
    place, scanner = study.anatomy, study.design.scanner
    weights = seen_weights(place, texture, scanner.psf_fwhm_mm)
    image = dynamic_image(rng, weights, curves, place, scanner, study.noise, study.timing)
    affine = place.grid.affine
    bids.write_nifti(
        study.root / study.folder(person) / f"{study.stem(person)}_pet.nii.gz",
        image * np.float32(1000.0),
        affine,
        scaled=True,
    )
    folder = study.root / "derivatives" / "ekbom-sim" / study.folder(person)
    stem = f"{study.stem(person)}_space-{place.space}"
    bids.write_nifti(
        folder / f"{stem}_desc-{SEGMENTATION}_dseg.nii.gz", place.labels, affine, scaled=False
    )
    bids.write_tsv(folder / f"{stem}_desc-{SEGMENTATION}_dseg.tsv", _label_columns(study))
    bids.write_nifti(folder / f"{stem}_desc-brain_mask.nii.gz", place.brain, affine, scaled=False)
    true = study.root / "derivatives" / "truth" / study.folder(person)
    VT = np.einsum("xyzs,s->xyz", place.weights, tissue.VT) * texture
    bids.write_nifti(true / f"{stem}_desc-truth_VT.nii.gz", VT, affine, scaled=True)
    bids.write_json(
        true / f"{stem}_desc-truth_VT.json",
        {
            "Description": "True distribution volume before the scanner's blur",
            "Units": "mL/cm3",
            "Sources": [f"bids::{study.folder(person)}/{study.stem(person)}_pet.nii.gz"],
        },
    )


def write_true_curves(
    study: VirtualStudy, person: Person, curves: Array, blood: Arterial, t: Array
) -> None:
    """Write the noise-free curves and the true blood.

    Parameters
    ----------
    study : VirtualStudy
        Study.
    person : Person
        Whose.
    curves : (S, F) array
        Curves of the sources, kBq/mL.
    blood : Arterial
        True blood.
    t : (G,) array
        Grid, min.
    """
    folder = study.root / "derivatives" / "truth" / study.folder(person)
    stem = f"{study.stem(person)}_desc-truth"
    table: dict[str, Any] = {
        "frame_start": study.timing.start * 60.0,
        "frame_end": study.timing.end * 60.0,
    }
    table |= {source.name: curves[s] * 1000.0 for s, source in enumerate(study.sources)}
    bids.write_tsv(folder / f"{stem}_curves.tsv", table)
    # every second at first, then sparser: enough to draw and to compare
    thin = t[np.unique(np.round(np.geomspace(1, t.size, 200)).astype(int) - 1)]
    bids.write_tsv(
        folder / f"{stem}_arterial.tsv",
        {
            "time": thin * 60.0,
            "parent": blood.parent(thin) * 1000.0,
            "plasma": blood.plasma(thin) * 1000.0,
            "whole_blood": blood.whole_blood(thin) * 1000.0,
            "parent_fraction": blood.parent_fraction(thin),
        },
    )


def _write_sessions(study: VirtualStudy) -> None:
    """Write ``sub-XX_sessions.tsv`` where the design has sessions."""
    sessions = {s.session: s.hour for s in study.design.scans if s.session is not None}
    if not sessions:
        return
    for person in study.people:
        path = study.root / person.label / f"{person.label}_sessions.tsv"
        bids.write_tsv(
            path,
            {
                "session_id": [f"ses-{name}" for name in sessions],
                "clock_hour": list(sessions.values()),
            },
        )
        bids.write_json(
            path.with_suffix(".json"),
            {
                "session_id": {"Description": "Session"},
                "clock_hour": {"Description": "Clock time of the injection", "Units": "h"},
            },
        )


def write_tables(study: VirtualStudy) -> None:
    """Write descriptions, participants and questionnaires.

    Parameters
    ----------
    study : VirtualStudy
        Study.
    """
    root, design = study.root, study.design
    bids.write_json(
        root / "dataset_description.json",
        sidecars.description(design, study.size, study.seed, shared=study.shared_physics),
    )
    said = sidecars.readme(
        design, study.size, study.seed, study.images, shared=study.shared_physics
    )
    bids.write_text(root / "README", said)
    if not study.images:
        bids.write_text(
            root / ".bidsignore", "# no images at this size; see README\n*_pet.json\n*_blood.*\n"
        )
    bids.write_text(root / "code" / "plan.toml", plan_text(study.size, design))
    _write_sessions(study)
    people = study.people
    bids.write_tsv(
        root / "participants.tsv",
        {
            "participant_id": [p.label for p in people],
            "age": [p.age for p in people],
            "sex": [p.sex for p in people],
            "group": [p.group for p in people],
            "weight": [p.weight for p in people],
            "onset_age": [p.onset_age for p in people],
        },
    )
    bids.write_json(root / "participants.json", sidecars.PARTICIPANTS)
    for stem, total, items, names, sidecar in (
        (
            "irls",
            {"irls_total": [p.irls_total for p in people]},
            [p.irls for p in people],
            [f"irls_{i:02d}" for i in range(1, IRLS_ITEMS + 1)],
            sidecars.irls(IRLS_ITEMS, IRLS_MAX),
        ),
        (
            "sfmpq",
            {"mpq_affective": [p.mpq_affective for p in people]},
            [p.affective for p in people],
            [f"mpq_a{i:02d}" for i in range(1, AFFECTIVE_ITEMS + 1)],
            sidecars.sfmpq(AFFECTIVE_ITEMS, AFFECTIVE_MAX),
        ),
    ):
        columns: dict[str, Any] = {"participant_id": [p.label for p in people]} | total
        columns |= {
            name: [None if v is None else v[i] for v in items] for i, name in enumerate(names)
        }
        bids.write_tsv(root / "phenotype" / f"{stem}.tsv", columns)
        bids.write_json(root / "phenotype" / f"{stem}.json", sidecar)
    bids.write_json(
        root / "derivatives" / "ekbom-sim" / "dataset_description.json",
        sidecars.description(
            design,
            study.size,
            study.seed,
            kind="derivative",
            name="ekbom-sim (simulated)",
            shared=study.shared_physics,
        ),
    )
