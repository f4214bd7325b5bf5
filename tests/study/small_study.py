"""A small BIDS study for the instrument of the tests."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

REGIONS = ("thalamus", "caudate", "insula")

PLAN = """
[measures.fake]
model = ["a", "b"]

[questions.group]
outcome = "fake.VT"
method = ["a", "b"]
among = "session == 'one'"
model = "~ group + age"
test = "rls - control"

[questions.change]
outcome = "fake.VT"
method = "a"
regions = ["thalamus", "insula"]
model = "~ session + participant"
test = "session: two - one"
inference = { method = "max-t", permutations = 100 }

[questions.retest]
kind = "reliability"
outcome = "fake.VT"
method = "a"
among = "session in ['one', 'two']"

[questions.burden]
outcome = "table:phenotype/scales.tsv:burden"
among = "group == 'rls'"
model = "~ irls_total"
test = "irls_total"
"""


def make_study(root: Path, n: int = 8, sessions: tuple[str, ...] = ("one", "two")) -> Path:
    """Write a study of `n` people, half of them patients."""
    rng = np.random.default_rng(7)
    root.mkdir(parents=True)
    (root / "dataset_description.json").write_text(
        json.dumps({"Name": "test", "BIDSVersion": "1.10.0", "DatasetType": "raw"})
    )
    (root / "task-rest_beh.json").write_text(json.dumps({"Units": "mL/cm3"}))
    people = ["participant_id\tgroup\tage\tirls_total"]
    scales = ["participant_id\tburden\tmood"]
    for k in range(n):
        label = f"sub-{k + 1:02d}"
        patient = k % 2 == 0
        irls = f"{15 + k}" if patient else "n/a"
        people.append(f"{label}\t{'rls' if patient else 'control'}\t{30 + 3 * k}\t{irls}")
        scales.append(f"{label}\t{rng.normal(10, 2):.3f}\t{'low' if k % 3 else 'high'}")
        for session in sessions:
            folder = root / label / f"ses-{session}" / "beh"
            folder.mkdir(parents=True)
            rows = [f"{r}\t{rng.normal(20, 2):.4f}" for r in REGIONS]
            text = "\n".join(["region\tvalue", *rows, ""])
            (folder / f"{label}_ses-{session}_task-rest_beh.tsv").write_text(text)
    (root / "participants.tsv").write_text("\n".join(people) + "\n")
    (root / "phenotype").mkdir()
    (root / "phenotype" / "scales.tsv").write_text("\n".join(scales) + "\n")
    (root / "phenotype" / "scales.json").write_text(json.dumps({"burden": {"Units": "points"}}))
    (root / "code").mkdir()
    (root / "code" / "plan.toml").write_text(PLAN)
    return root
