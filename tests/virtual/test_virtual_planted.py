"""A study says what was put in, and its own plan can be answered, however small it is."""

from __future__ import annotations

import re
import tomllib

import numpy as np
import pandas as pd
import pytest

from ekbom import virtual
from ekbom.cli import app
from ekbom.virtual.clinical import ClinicalTruth


def test_the_smallest_study_is_answered_by_the_plan_beside_it(small_rois, tmp_path, capsys):
    assert (
        app.call(["run", str(small_rois.root), str(tmp_path / "out"), "all", "--workers", "1"]) == 0
    )
    assert "smallest p was in" in capsys.readouterr().out
    plan = tomllib.loads((small_rois.root / "code/plan.toml").read_text())
    assert list(plan["questions"]) == ["group"]


@pytest.mark.parametrize(
    ("rls", "control", "asked"),
    [(6, 2, 5), (5, 9, 1), (2, 1, 1), (1, 1, 0), (4, 0, 0), (15, 12, 5)],
)
def test_a_plan_asks_what_its_people_can_answer(rls, control, asked):
    design = virtual.load("demo", {"groups.rls": rls, "groups.control": control})
    for size in ("rois", "quick"):
        plan = tomllib.loads(virtual.plan_text(size, design))
        more = 2 * (size == "quick" and asked > 1)
        assert len(plan.get("questions", {})) == asked + more
        assert ("maps" in plan["measures"]["pet"]) == (size == "quick")


def test_what_was_planted_is_said_with_its_numbers(small_rois):
    first, people = virtual.planted_lines(small_rois)
    assert "0.03 occupancy a point of IRLS in medialthalamus" in first
    assert first.endswith("groups equal on average")
    table = small_rois.joined().merge(small_rois.participants[["participant_id", "group"]])
    mean = table.pivot_table("VT", "area", "group")
    change = 100 * (mean["rls"] / mean["control"] - 1)
    severe = small_rois.effects.query("planted.str.contains('severity')")["region"]
    low, high = (float(x) for x in re.findall(r"[+-]\d+\.\d", people)[:2])
    assert low == pytest.approx(change[severe].min(), abs=0.06)
    assert high == pytest.approx(change[severe].max(), abs=0.06)


def test_a_slope_of_the_people_is_that_of_their_truth(tmp_path):
    made = virtual.make("smoke", tmp_path, size="rois", seed=2, subjects=8)
    said = virtual.planted_lines(made)[1]
    low, high = (float(x) for x in re.findall(r"[+-]\d+\.\d\d(?!\d)", said)[:2])
    table = made.joined().merge(made.participants[["participant_id", "irls_total"]].dropna())
    severe = made.effects.query("planted.str.contains('severity')")["region"]
    slopes = [
        np.polyfit(t["irls_total"].astype(float), t["VT"], 1)[0]
        for _, t in table[table["area"].isin(severe)].groupby("area")
    ]
    assert (low, high) == pytest.approx((min(slopes), max(slopes)), abs=0.006)


def test_tests_and_trials_say_what_the_disease_model_holds(small_rois):
    def said(**columns):
        frame = pd.DataFrame(columns)
        truth = ClinicalTruth(virtual.load_protocol("levodopa-test"), small_rois.root, "rois", 1,
                              frame, 3)  # fmt: skip
        return virtual.planted_lines(truth)

    (line,) = said(rls=[1, 1, 0], drug_fall_percent=[30.0, 50.0, 0.0],
                   placebo_fall_percent=[10.0, 20.0, 5.0])  # fmt: skip
    assert "patients 40 % (30 to 50) by the drug at its height, 15 % without it" in line
    assert "others 0 % (0 to 0) by the drug at its height, 5 % without it" in line
    (line,) = said(rls=[1, 1, 1], arm=["a", "b", "a"], z_change=np.log([0.7, 1.0, 0.9]))
    assert line.endswith("changes by -21 % under a, +0 % under b")
    assert said(rls=[1, 0], plm_person=[0.0, 0.0]) == []
