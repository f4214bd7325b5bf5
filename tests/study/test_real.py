"""A part of the real study, from raw blood to an answer."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from ekbom.study.run import run_study

PLAN = """
[measures.pet]
model = "logan"
tstar = 30
vB = 0.05
segmentations = ["gtmseg"]
figures = false

[questions.retest]
kind = "reliability"
outcome = "pet.VT"
regions = ["Left-Thalamus", "Right-Thalamus"]
among = "session in ['test', 'retest']"
"""

PERMITTED = """
[measures.pet.scans.sub-13_ses-test]
blood.extrapolate = true
[measures.pet.scans.sub-13_ses-retest]
blood.sort = true
"""

PEOPLE = ("11", "12", "13")


@pytest.mark.real_data
def test_faulty_blood_with_and_without_permission(shared_data: Path, tmp_path: Path) -> None:
    study, out, plan = shared_data / "ds004869", tmp_path / "out", tmp_path / "plan.toml"
    folder = out / "group" / "question-retest"
    plan.write_text(PLAN)
    summary = run_study(study, out, "all", plan, participants=PEOPLE)
    assert summary.exit_code == 3
    refused = pd.read_csv(out / "refused.tsv", sep="\t")
    assert list(refused.participant_id + "_" + refused.session_id) == [
        "sub-13_retest",
        "sub-13_test",
    ]
    assert "178.2" in refused.found[0]
    assert "2732" in refused.found[1]
    said = json.loads((folder / "answer.json").read_text())
    assert (said["participants"], len(said["dropped"])) == (2, 2)

    plan.write_text(PLAN + PERMITTED)
    summary = run_study(study, out, "all", plan, participants=PEOPLE)
    assert summary.exit_code == 0
    said = json.loads((folder / "answer.json").read_text())
    assert said["participants"] == 3
    assert said["without_permitted"]["participants_left_out"] == ["sub-13"]
    assert said["sessions"] == ["test", "retest"]
    notes = pd.read_csv(out / "notes.tsv", sep="\t")
    assert set(notes[notes.permission].participant_id) == {"sub-13"}
    # The answer without that person is the answer of the run that refused it.
    with_, fewer = (
        pd.read_csv(folder / f"desc-testRetest{end}_regions.tsv", sep="\t")
        for end in ("", "WithoutPermitted")
    )
    assert list(with_.region) == ["gtmseg:Left-Thalamus", "gtmseg:Right-Thalamus"]
    assert not with_.equals(fewer)
