"""One person and a population of the model, held to the hours they come from."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from ekbom.cli.app import call
from ekbom.disease import cohort as co
from ekbom.disease.doses import dose
from ekbom.disease.model import load
from ekbom.disease.simulate import Event
from ekbom.errors import Refused
from ekbom.trials import cohort as many
from ekbom.trials import person as who


@pytest.fixture(scope="module")
def typical() -> who.Person:
    return who.typical()


def test_the_stored_threshold_is_of_this_model():
    # a fresh one takes a minute; the key says whether the stored one still holds
    import tomllib
    from importlib import resources

    text = (resources.files("ekbom.trials.data") / "threshold.toml").read_text("utf-8")
    assert tomllib.loads(text)["model"] == who._key()


def test_the_threshold_leaves_the_stated_share_above():
    people = co.settled(co.draw(600, 3)[0])
    whole = co.table(people)["z"]
    rows, z = who._urge(people, 108)
    assert np.array_equal(z, whole[rows])
    # those of the highest long-run urge hold everybody over the threshold
    assert set(np.flatnonzero(whole > who.threshold())) <= set(rows)
    share = float((whole > who.threshold()).mean())
    assert abs(share - 0.072) < 3 * np.sqrt(0.072 * 0.928 / 600)


def test_the_typical_man_of_fifty_is_the_default_but_for_his_stores(typical):
    own = {k: float(v[0]) for k, v in typical.people.cohort.params.items()}
    default = load().defaults
    assert {k for k, v in own.items() if v != default[k]} == {"fs0"}


def test_alleles_move_the_drive_as_in_a_drawn_population():
    plain, two = co.typical(50, False), co.with_alleles(co.typical(50, False), {"meis1": 2})
    moved = two.cohort.params["u_e"] - plain.cohort.params["u_e"]
    assert moved[0] == pytest.approx(co.drive_per_liability() * np.log(1.74) * (2 - 2 * 0.24))
    # movements alone for BTBD9, by the name of its variant as well
    a, b = (co.with_alleles(plain, {k: 2}) for k in ("btbd9", "rs3923809-A"))
    assert a.facts["plm_person"][0] == b.facts["plm_person"][0] > 0
    assert a.cohort.params["u_e"][0] == plain.cohort.params["u_e"][0]
    drawn = co.draw(400, 2)[0]
    carriers = drawn.facts["btbd9"] == 2
    got = drawn.facts["plm_person"] - drawn.facts["z_plm"] * 1.06
    assert np.allclose(got[carriers], a.facts["plm_person"][0])


def test_a_course_without_doses_repeats_and_with_them_differs(typical):
    a, b = who.course(typical, 2, seed=4), who.course(typical, 2, seed=4)
    pd.testing.assert_frame_equal(a.hours, b.hours)
    pd.testing.assert_frame_equal(a.days, b.days)
    assert np.array_equal(a.night, b.night)
    treated = who.course(typical, 2, [Event(21.0, "l_gut", 100.0)], seed=4)
    assert len(treated.hours) == 49
    assert treated.hours["l_body"].max() > 10
    assert treated.days["urge"].iloc[0] < a.days["urge"].iloc[0]


def test_hours_over_the_threshold_are_counted_by_the_minute():
    assert who._over(np.array([-1.0, 1.0, 1.0, -1.0])) == pytest.approx((0.5 + 1 / 60, 2 - 1 / 60))
    first, hours = who._over(np.array([-1.0, -0.5, -1.0]))
    assert np.isnan(first)
    assert hours == 0


def test_days_of_the_course_are_read_off_its_hours(typical):
    strong = who.typical(under=who.Under({"g0": -0.2}))
    made = who.course(strong, 2)
    u = made.hours["u"].to_numpy()
    assert made.days["urge"].iloc[0] == pytest.approx(u[18:27].mean(), rel=1e-12)
    level = np.exp(who.threshold())
    assert made.days["over_hours"].iloc[1] == pytest.approx((u[24:49] > level).sum(), abs=1.0)
    assert made.days["over_hours"].iloc[1] > 3
    assert 12 < made.days["over_from"].iloc[0] < 26
    assert made.days["ferritin"].iloc[1] == made.hours["ferritin"].iloc[34]
    above = np.log(made.days["urge"].to_numpy()) - who.threshold()
    assert np.allclose(made.days["severity"], co.expected_irls(above))


def test_a_drawn_patient_has_the_severity_asked_for_and_another_seed_is_another(monkeypatch):
    monkeypatch.setattr(who, "_AMONG", 400)
    one, two = (who.drawn(18.0, 60, True, seed=s) for s in (1, 2))
    for p in (one, two):
        z = co.table(p.people)["z"]
        assert abs(co.expected_irls(z - who.threshold())[0] - 18) <= 2
        assert p.people.facts["female"][0] == 1
        assert 55 <= p.people.facts["age"][0] <= 65
    assert one.people.cohort.params["u_e"][0] != two.people.cohort.params["u_e"][0]
    with pytest.raises(Refused, match="Nobody"):
        who.drawn(40.0, 30, False)


def test_doses_have_days():
    assert [e.time for e in dose("levodopa 100 mg 21:00 days 2-3", 5)] == [69.0, 93.0]
    assert [e.time for e in dose("levodopa 100 mg 21:00 days 3-", 5)] == [93.0, 117.0]
    assert [(e.time, e.target) for e in dose("iv iron 500 mg 9:30 day 4", 5)] == [(105.5, "fx")]
    for text in ("levodopa 100 mg 21:00 day 5", "levodopa 1 mg 21:00 days 3-2",
                 "levodopa 1.0.0 mg 21:00"):  # fmt: skip
        with pytest.raises(Refused):
            dose(text, 5)


@pytest.mark.parametrize("name", sorted(co.data("treatments")))
def test_every_shipped_treatment_runs(name, typical):
    events = who.treatment(typical.people, name, 2)
    made = who.course(typical, 2, events)
    assert np.isfinite(made.days["severity"]).all()
    given = sum(e.amount for e in events if e.target.endswith("_gut"))
    entry = co.data("treatments")[name]
    assert given == pytest.approx(2 * sum(d[2] for d in entry.get("doses", [])))


def test_the_command_writes_what_it_says_and_refuses(tmp_path, capsys):
    file = tmp_path / "p.toml"
    file.write_text('age = 60\nsex = "female"\ng0 = -0.4\n[genes]\nmeis1 = 2\n')
    out = tmp_path / "o"
    asked = ["model", "run", "--person", str(file), "--days", "2", "--out", str(out)]
    assert call([*asked, "--treatment", "pramipexole_0.5", "--condition", "ida"]) == 0
    told = capsys.readouterr().out
    assert "Typical woman of 60; iron-deficiency anaemia; pramipexole_0.5" in told
    assert "untreated" in told
    days = pd.read_csv(out / "days.tsv", sep="\t")
    about = json.loads((out / "days.json").read_text())
    assert set(about["Columns"]) == set(days.columns)
    assert all(v["Description"] and v["Units"] for v in about["Columns"].values())
    page = (out / "run.html").read_text()
    assert page.count("<svg") == 2
    assert "spinal set point" in page
    for text, word in (("age = 17", "age"), ("g0 = true", "g0"), ("nobody = 1", "nobody"),
                       ("[genes]\nmeis1 = 3", "meis1"), ("[genes]\nmeis9 = 1", "meis9"),
                       ('sex = "f"', "sex"), ("g0 = ", "TOML"),
                       ("irls = 20\n[genes]\nmeis1 = 1", "genes or irls")):  # fmt: skip
        file.write_text(text)
        assert call(asked) == 2
        assert word in capsys.readouterr().err
    file.write_text("")
    assert call([*asked, "--treatment", "wine"]) == 2
    assert call([*asked, "--condition", "gout"]) == 2


def test_a_cohort_stands_beside_itself_without_the_condition(tmp_path, capsys):
    out = tmp_path / "c"
    assert call(["model", "cohort", "-n", "120", "--condition", "ida", "--out", str(out)]) == 0
    a, b = (pd.read_csv(out / f"{k}.tsv", sep="\t") for k in ("cohort", "without"))
    assert (a["age"] == b["age"]).all()
    assert a["hb@10"].median() < b["hb@10"].median() - 1
    about = json.loads((out / "cohort.json").read_text())
    assert set(about["Columns"]) == set(a.columns)
    shares = pd.read_csv(out / "prevalence.tsv", sep="\t")
    assert shares["n"].sum() == 120
    assert shares["cases"].sum() == a["rls"].sum()
    assert "times as many" in capsys.readouterr().out
    made = many.Population(a, b)
    value, low, high = many.ratio(made, 1)
    assert value == pytest.approx(a["rls"].mean() / b["rls"].mean())
    assert low < value < high
    assert many.ratio(many.Population(a, None), 1) is None
    assert call(["model", "cohort", "-n", "5", "--out", str(out)]) == 2
