"""A small valid BIDS study with one scan, whose truth comes from a fine grid of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import lfilter

HALF_LIFE = 20.364
DECAY = np.log(2) / HALF_LIFE
STEP = 1 / 600  # min
FRAMES_S = [(0, 15)] * 4 + [(0, 30)] * 4 + [(0, 60)] * 5 + [(0, 120)] * 4 + [(0, 300)] * 13
TRUTH = {
    # K1, k2, k3, k4, vB
    "Left-Thalamus": (0.12, 0.10, 0.08, 0.06, 0.05),
    "Right-Thalamus": (0.11, 0.10, 0.06, 0.06, 0.05),
    "Left-Putamen": (0.15, 0.12, 0.05, 0.05, 0.03),
    "Cerebellum": (0.13, 0.14, 0.03, 0.07, 0.06),
}
VOLUMES = {
    "Left-Thalamus": 7000.0,
    "Right-Thalamus": 5000.0,
    "Left-Putamen": 4000.0,
    "Cerebellum": 50000.0,
}


def frame_times() -> tuple[np.ndarray, np.ndarray]:
    """Start and duration, s."""
    duration = np.array([d for _, d in FRAMES_S], dtype=float)
    return np.concatenate(([0.0], np.cumsum(duration)[:-1])), duration


def blood_curves() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Sample times (s), total plasma, parent fraction, whole blood (kBq/mL)."""
    t = np.unique(
        np.concatenate((np.arange(5, 120, 5), np.arange(120, 600, 20), np.arange(600, 4921, 120)))
    ).astype(float)
    m = t / 60
    plasma = np.where(m < 0.5, 0.0, 120 * (m - 0.5) * np.exp(-2.2 * (m - 0.5)) * 3)
    plasma = plasma + np.where(m < 0.5, 0.0, 9 * (1 - np.exp(-2 * (m - 0.5))) * np.exp(-0.02 * m))
    fraction = 0.96 * (1 - 0.7 * m**1.3 / (m**1.3 + 14**1.3))
    whole = plasma * (0.7 + 0.05 * np.exp(-m / 20))
    return t, plasma, fraction, whole


def true_vt(region: str) -> float:
    """Total volume of distribution of a region."""
    k1, k2, k3, k4, _ = TRUTH[region]
    return k1 / k2 * (1 + k3 / k4)


def tissue(region: str) -> np.ndarray:
    """Frame means (kBq/mL) of a region."""
    return tissue_of(*TRUTH[region])


def tissue_of(k1: float, k2: float, k3: float, k4: float, v_b: float) -> np.ndarray:
    """Frame means (kBq/mL) of the two-tissue model by the trapezoid rule on a fine grid."""
    t, plasma, fraction, whole = blood_curves()
    grid = np.arange(0, 82 * 600 + 1) * STEP
    knots = np.concatenate(([0.0], t / 60))
    c_p = np.interp(grid, knots, np.concatenate(([0.0], plasma * fraction)))
    c_wb = np.interp(grid, knots, np.concatenate(([0.0], whole)))
    total = k2 + k3 + k4
    root = np.sqrt(total**2 - 4 * k2 * k4)
    fast, slow = (total + root) / 2, (total - root) / 2
    curve = np.zeros_like(grid)
    for amount, rate in (
        (k1 * (fast - k3 - k4) / root, fast),
        (k1 * (k3 + k4 - slow) / root, slow),
    ):
        e = np.exp(-rate * STEP)
        curve += amount * lfilter([STEP / 2, STEP / 2 * e], [1.0, -e], c_p)
    seen = ((1 - v_b) * curve + v_b * c_wb) * np.exp(-DECAY * grid)
    start, duration = frame_times()
    out = []
    for s, d in zip(start / 60, duration / 60, strict=True):
        i, j = round(s / STEP), round((s + d) / STEP)
        mean = np.trapezoid(seen[i : j + 1], dx=STEP)
        out.append(mean * DECAY / (np.exp(-DECAY * s) - np.exp(-DECAY * (s + d))))
    return np.array(out)


_TISSUE = {region: tissue(region) for region in TRUTH}


@dataclass
class Made:
    """Parts of the study as they will be written; tests change them first."""

    root: Path
    pet: dict[str, Any] = field(default_factory=dict)
    blood: dict[str, list[Any]] = field(default_factory=dict)
    blood_json: dict[str, Any] = field(default_factory=dict)
    tacs: dict[str, list[Any]] = field(default_factory=dict)
    tacs_json: dict[str, Any] | None = None
    volumes: dict[str, float] | None = field(default_factory=lambda: dict(VOLUMES))
    settings: dict[str, Any] = field(default_factory=lambda: {"model": ["2tcm"], "figures": False})
    after: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        start, duration = frame_times()
        self.pet = {
            "TimeZero": "10:00:00",
            "ScanStart": 0,
            "InjectionStart": 0,
            "FrameTimesStart": start.tolist(),
            "FrameDuration": duration.tolist(),
            "Units": "Bq/mL",
            "TracerName": "MC1",
            "TracerRadionuclide": "11C",
            "InjectedRadioactivity": 400.0,
            "InjectedRadioactivityUnits": "MBq",
            "ImageDecayCorrected": True,
            "ImageDecayCorrectionTime": 0,
        }
        t, plasma, fraction, whole = blood_curves()
        self.blood = {
            "time": t.tolist(),
            "plasma_radioactivity": plasma.tolist(),
            "metabolite_parent_fraction": fraction.tolist(),
            "whole_blood_radioactivity": whole.tolist(),
        }
        self.blood_json = {
            "PlasmaAvail": True,
            "WholeBloodAvail": True,
            "MetaboliteAvail": True,
            "DispersionCorrected": False,
            "time": {"Units": "s"},
            "plasma_radioactivity": {"Units": "kBq/mL"},
            "metabolite_parent_fraction": {"Units": "arbitrary"},
            "whole_blood_radioactivity": {"Units": "kBq/mL"},
        }
        self.tacs = {
            "frame_start": start.tolist(),
            "frame_end": (start + duration).tolist(),
        } | {region: (1000 * values).tolist() for region, values in _TISSUE.items()}

    @property
    def stem(self) -> Path:
        return self.root / "sub-01" / "ses-a" / "pet" / "sub-01_ses-a"

    @property
    def blood_file(self) -> Path:
        return self.stem.with_name("sub-01_ses-a_recording-manual_blood.tsv")

    @property
    def pet_file(self) -> Path:
        return self.stem.with_name("sub-01_ses-a_pet.json")

    @property
    def tacs_file(self) -> Path:
        folder = self.root / "derivatives" / "petprep" / "sub-01" / "ses-a"
        return folder / "sub-01_ses-a_desc-gtmseg_tacs.tsv"

    def write(self) -> Path:
        write_json(self.root / "dataset_description.json", {"Name": "x", "BIDSVersion": "1.8.0"})
        (self.root / "participants.tsv").write_text("participant_id\tage\nsub-01\t40\n")
        derivative = self.root / "derivatives" / "petprep" / "dataset_description.json"
        write_json(derivative, {"Name": "PETPrep", "BIDSVersion": "1.8.0"})
        write_json(self.pet_file, self.pet)
        write_tsv(self.blood_file, self.blood)
        write_json(self.blood_file.with_suffix(".json"), self.blood_json)
        write_tsv(self.tacs_file, self.tacs)
        if self.tacs_json is not None:
            write_json(self.tacs_file.with_suffix(".json"), self.tacs_json)
        if self.volumes is not None:
            write_tsv(
                self.tacs_file.with_name("sub-01_ses-a_desc-gtmseg_morph.tsv"),
                {
                    "index": list(range(len(self.volumes))),
                    "volume-mm3": list(self.volumes.values()),
                    "name": list(self.volumes),
                },
            )
        for step in self.after:
            step(self)
        return self.root

    def run(self):
        """Write the study and measure its scan as the study would."""
        from ekbom.measures.pet.measure import PETMeasure
        from ekbom.measures.pet.settings import PETSettings
        from ekbom.study.index import Study

        study = Study.open(self.write())
        measure, settings = PETMeasure(), PETSettings.model_validate(self.settings)
        (unit,) = measure.units(study)
        return measure.run(measure.inputs(unit, study, settings), settings)


def write_json(path: Path, data: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data))


def write_tsv(path: Path, columns: dict[str, list[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(columns)]
    lines += ["\t".join(str(cell) for cell in row) for row in zip(*columns.values(), strict=True)]
    path.write_text("\n".join(lines) + "\n")
