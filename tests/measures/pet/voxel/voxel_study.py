"""A tiny BIDS study with one dynamic image of known kinetics."""

from __future__ import annotations

import json

import numpy as np
import voxel_truth as truth

from ekbom.space import Grid
from ekbom.space.io import nifti_bytes
from ekbom.space.labels_io import label_table_bytes

SPACE = "MNI152NLin2009aSym"
GRID = Grid((7, 8, 6), np.array([[4, 0, 0, -12], [0, 4, 0, -20], [0, 0, 4, 2], [0, 0, 0, 1.0]]))
REGIONS = {
    1: ("left", truth.two_tissue(0.3, 0.3, 0.1, 0.1), 2.0),
    2: ("right", [(0.4, 0.1)], 4.0),
}


def labels():
    out = np.zeros(GRID.shape, dtype=np.int16)
    out[1:3, 1:-1, 1:-1] = 1
    out[4:6, 1:-1, 1:-1] = 2
    return out


def brain():
    out = np.zeros(GRID.shape, dtype=bool)
    out[1:6, 1:-1, 1:-1] = True
    return out


def image():
    """Activity in kBq/mL; between the regions the mean of both."""
    input = truth.input_function()
    curves = {k: truth.tissue(terms, 0.05, input) for k, (_, terms, _) in REGIONS.items()}
    out = np.zeros((*GRID.shape, truth.FRAMES.n))
    for k, curve in curves.items():
        out[labels() == k] = curve
    out[brain() & (labels() == 0)] = (curves[1] + curves[2]) / 2
    return out


def pet_json(**changes):
    frames = truth.FRAMES
    content = {
        "Units": "Bq/mL",
        "TracerName": "test",
        "TracerRadionuclide": "C11",
        "RadionuclideHalfLife": truth.HALF_LIFE * 60,
        "InjectionStart": 0,
        "ScanStart": 0,
        "FrameTimesStart": np.round(frames.start * 60, 6).tolist(),
        "FrameDuration": np.round(frames.duration * 60, 6).tolist(),
        "ImageDecayCorrected": True,
        "ImageDecayCorrectionTime": 0,
    } | changes
    return {key: value for key, value in content.items() if value is not None}


def write(root, *, values=None, sidecar=None, space=SPACE, dseg=True, mask=True, sub="sub-01"):
    """Write the study and return its root."""
    values = image() * 1000 if values is None else values
    pet = root / sub / "pet"
    pet.mkdir(parents=True, exist_ok=True)
    (root / "dataset_description.json").write_text('{"Name": "t", "BIDSVersion": "1.10.0"}')
    (root / "participants.tsv").write_text(f"participant_id\n{sub}\n")
    (pet / f"{sub}_pet.nii.gz").write_bytes(nifti_bytes(values, GRID.affine))
    (pet / f"{sub}_pet.json").write_text(json.dumps(sidecar or pet_json()))
    t = np.unique(np.concatenate([np.arange(0, 3, 0.02), np.arange(3, 90.01, 0.5)]).round(6))
    rows = ["time\tplasma_radioactivity\twhole_blood_radioactivity\tmetabolite_parent_fraction"]
    rows += [
        f"{60 * x:.4f}\t{truth.parent(x):.9g}\t{truth.whole_blood(x):.9g}\t1.0" for x in t if x > 0
    ]
    stem = pet / f"{sub}_recording-manual_blood"
    stem.with_suffix(".tsv").write_text("\n".join(rows) + "\n")
    units = {"Units": "kBq/mL"}
    stem.with_suffix(".json").write_text(
        json.dumps(
            {
                "PlasmaAvail": True,
                "WholeBloodAvail": True,
                "MetaboliteAvail": True,
                "MetaboliteRecoveryCorrectionApplied": False,
                "DispersionCorrected": False,
                "time": {"Units": "s"},
                "plasma_radioactivity": units,
                "whole_blood_radioactivity": units,
                "metabolite_parent_fraction": {"Units": "1"},
            }
        )
    )
    made = root / "derivatives" / "seg" / sub / "pet"
    made.mkdir(parents=True, exist_ok=True)
    name = f"{sub}_space-{space}" if space else sub
    if dseg:
        (made / f"{name}_desc-halves_dseg.nii.gz").write_bytes(nifti_bytes(labels(), GRID.affine))
        table = {k: word for k, (word, *_) in REGIONS.items()}
        (made / f"{name}_desc-halves_dseg.tsv").write_bytes(label_table_bytes(table))
    if mask:
        (made / f"{name}_desc-brain_mask.nii.gz").write_bytes(nifti_bytes(brain(), GRID.affine))
    return root
