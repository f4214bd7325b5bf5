"""Levodopa tests and trials of virtual people: tables that the clinic reads."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from bids_errors import errors

from ekbom.cli.app import call
from ekbom.measures.clinic.io.people import levodopa_curves, presentations, samples, scored
from ekbom.measures.clinic.io.phenotype import read_phenotype
from ekbom.measures.clinic.levodopa import MINUTES
from ekbom.virtual import load_protocol, make_clinical
from ekbom.virtual.levodopa import urge_after
from ekbom.virtual.patients import draw_pool
from ekbom.virtual.visits import _allocated


@pytest.fixture(scope="module")
def dosed(tmp_path_factory):
    return make_clinical("levodopa-test", tmp_path_factory.mktemp("ldopa"), seed=3, subjects=14)


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    design = load_protocol("iv-iron-trial", {"arms.missing": 0.02})
    return make_clinical(design, tmp_path_factory.mktemp("trial"), seed=3, subjects=16)


def test_the_validator_finds_no_error(dosed, trial):
    assert errors(dosed.root) == []
    assert errors(trial.root) == []


def test_every_table_is_read_by_the_clinic(dosed, trial):
    for made in (dosed, trial):
        for path in sorted((made.root / "phenotype").glob("*.tsv")):
            table = read_phenotype(path)
            assert len(table) > 0
            if "irls_01" in table:
                total = scored(table, "irls")["IRLS_total"]
                assert ((total.value >= 0) | np.isnan(total.value)).all()
            if "ferritin" in table:
                assert all(s.ferritin is None or s.ferritin > 0 for s in samples(table))
            if any(c.startswith("dx_") for c in table.frame):
                assert len(presentations(table)) == len(table)


def test_urge_falls_after_the_dose_and_only_then():
    pool = draw_pool(1, 6, 2, (30, 70), 0.5)
    alone, treated = (urge_after(pool.people.cohort, mg, 20.0) for mg in (0.0, 100.0))
    assert alone.shape == (8, MINUTES.size)
    assert treated[:, 0] == pytest.approx(alone[:, 0], rel=1e-6)
    assert (treated[:, 4:] < alone[:, 4:]).all()
    # twice the dose does more
    double = urge_after(pool.people.cohort, 200.0, 20.0)
    assert (double[:, -1] < treated[:, -1]).all()


def test_patients_fall_more_than_the_others(dosed):
    table = read_phenotype(dosed.root / "phenotype" / "levodopa.tsv")
    curves = levodopa_curves(table, "symptoms")
    fall = 1 - curves[:, 4:].mean(axis=1) / curves[:, 0]
    truth = dosed.participants
    rls = truth["rls"].to_numpy(bool)
    assert fall[rls].mean() > fall[~rls].mean()
    assert (truth["drug_fall_percent"][~rls] == 0).all()
    assert set(truth["mimic"][rls]) == {"none"}
    assert "none" not in set(truth["mimic"][~rls])


def test_arms_visits_and_selection(trial):
    people = pd.read_csv(trial.root / "participants.tsv", sep="\t")
    assert people["arm"].value_counts().to_dict() == {"fcm": 8, "placebo": 8}
    truth = pd.read_csv(trial.root / "derivatives/truth/visits_truth.tsv", sep="\t")
    wide = truth.merge(people[["participant_id", "arm"]]).pivot_table(
        index="arm", columns="session_id", values="ferritin"
    )
    assert wide.loc["fcm", "ses-day42"] > wide.loc["fcm", "ses-day00"] + 10
    assert wide.loc["placebo", "ses-day42"] == pytest.approx(
        wide.loc["placebo", "ses-day00"], rel=0.01
    )
    # site B reads higher by its factor
    iron = pd.read_csv(trial.root / "phenotype/ironDay00.tsv", sep="\t").merge(
        people[["participant_id", "site"]]
    )
    first = truth[truth["session_id"] == "ses-day00"]
    ratio = iron.merge(first, on="participant_id").eval("ferritin_x / ferritin_y")
    by_site = ratio.groupby(iron["site"]).mean()
    assert by_site["B"] / by_site["A"] == pytest.approx(1.1, rel=0.1)


def test_arms_are_dealt_in_their_shares():
    for n in (7, 20, 208):
        arm = _allocated(np.random.default_rng(n), n, (107, 101))
        assert abs(int((arm == 0).sum()) - n * 107 / 208) < 1


def test_the_visits_in_one_table_give_endpoints(trial, tmp_path, capsys):
    plan = tmp_path / "trial.toml"
    plan.write_text(
        '[endpoints]\nvisits = ["day00", "day28", "day42"]\narms = ["fcm", "placebo"]\n'
        'order = ["irls_change", "irls_responder"]\n'
    )
    table = trial.root / "derivatives/ekbom-sim/visits.tsv"
    code = call(["clinic", "endpoints", str(table), str(tmp_path / "o"), "--plan", str(plan)])
    assert code == 0, capsys.readouterr().err
    assert (tmp_path / "o" / "phenotype" / "endpoints.tsv").is_file()


@pytest.mark.parametrize("which", ["dosed", "trial"])
def test_run_answers_the_plan_of_the_study(which, request, tmp_path, capsys):
    made = request.getfixturevalue(which)
    assert call(["run", str(made.root), str(tmp_path / "out"), "all"]) in (0, 3)
    capsys.readouterr()
    scores = pd.read_csv(tmp_path / "out" / "measures.tsv", sep="\t")
    assert set(scores["measure"]) == {"clinic"}
    assert list((tmp_path / "out" / "group").glob("question-*/answer.json"))


def test_the_command_lists_shows_and_simulates(tmp_path, capsys):
    assert call(["simulate", "--list"]) == 0
    assert "levodopa-test" in capsys.readouterr().out
    assert call(["simulate", "iv-iron-trial", "--show"]) == 0
    assert "fcm_1500" in capsys.readouterr().out
    out = str(tmp_path / "a")
    asked = ["simulate", "smoke-nights", out, "--size", "rois", "--seed", "2"]
    assert call([*asked, "--set", "nights.ahi=500"]) == 2
    assert "nights.ahi" in capsys.readouterr().err
    assert call(asked) == 0
    assert "1 patients, 1 others" in capsys.readouterr().out
