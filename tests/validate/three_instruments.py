"""A made study whose people have PET with blood, a night in the sleep laboratory and scales."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from ekbom import virtual
from ekbom.measures.legs.events import Marks
from ekbom.measures.legs.simulate import simulate_night
from ekbom.validate.legs import night_file

PLAN = """\
[measures.pet]
tracer = "diprenorphine"
model = ["ma1"]
tstar = 20                 # minutes
vB = 0.05
input = "interpolate"

[measures.pet.regions.sim]
medialthalamus = ["*-MedialThalamus"]
insula = ["*-Insula"]
occipital = ["*-Occipital"]

[measures.legs]
rules = ["wasm2016", "aasm"]

[measures.clinic]
scales = ["irls"]

[questions.movements]
outcome = "pet.VT"
over = "regions"
segmentation = "sim"
regions = ["medialthalamus", "insula", "occipital"]
among = "group == 'rls'"
model = "~ legs.PLMS_index + age"
test = "legs.PLMS_index"
inference = { method = "max-t", permutations = 500 }

[questions.severity]
outcome = "pet.VT"
over = "regions"
segmentation = "sim"
regions = ["medialthalamus", "insula", "occipital"]
among = "group == 'rls'"
model = "~ clinic.IRLS_total + age"
test = "clinic.IRLS_total"
inference = { method = "max-t", permutations = 500 }
"""

#: Seconds of a night, and when the made hypnogram first sleeps.
NIGHT, ASLEEP = 1800.0, 900.0


def make_study(root: Path, *, rls: int = 7, control: int = 1, seed: int = 3) -> Path:
    """Write the study; returns its plan.

    VT falls with IRLS in the thalamus and insula, not in the occipital cortex;
    the rate of periodic movements rises with IRLS.
    """
    design = virtual.load(
        "smoke",
        {
            "title": "PET, a night and scales of the same people, simulated",
            "groups.rls": rls,
            "groups.control": control,
            "binding.cv": 0.03,
        },
    )
    virtual.make(design, root, size="rois", seed=seed)
    people = pd.read_csv(root / "participants.tsv", sep="\t")["participant_id"]
    irls = pd.read_csv(root / "phenotype" / "irls.tsv", sep="\t", na_values="n/a")
    severity = irls.set_index("participant_id")["irls_total"].reindex(people).fillna(0.0)
    for k, (person, points) in enumerate(severity.items()):
        _night(root, str(person), float(points), seed=1000 * seed + k)
    plan = root / "code" / "plan.toml"
    plan.parent.mkdir(exist_ok=True)
    plan.write_text(PLAN)
    return plan


def _night(root: Path, person: str, points: float, seed: int) -> None:
    """Write a short night; a patient moves 20 + 3 IRLS times an hour, all through sleep."""
    rng = np.random.default_rng(seed)
    gap = 3600.0 / (20.0 + 3.0 * points)
    n = int((NIGHT - 60.0 - ASLEEP) / gap) if points else 0
    onset = ASLEEP + np.cumsum(gap * np.exp(rng.normal(0.0, 0.08, n)))
    onset = onset[onset < NIGHT - 10.0]
    bursts = Marks(onset, rng.uniform(1.0, 3.0, onset.size), rng.integers(0, 2, onset.size))
    night = simulate_night(seconds=NIGHT, fs=256.0, seed=seed, bursts=bursts)
    stem = root / person / "eeg" / f"{person}_task-sleep_eeg.edf"
    stem.parent.mkdir()
    night_file(night, stem)
    said = {
        "TaskName": "sleep",
        "SamplingFrequency": night.fs,
        "EEGReference": "n/a",
        "PowerLineFrequency": 50,
        "SoftwareFilters": "n/a",
        "EMGChannelCount": 2,
        "ECGChannelCount": 1,
        "RecordingDuration": NIGHT,
    }
    stem.with_suffix(".json").write_text(json.dumps(said, indent=2) + "\n")
