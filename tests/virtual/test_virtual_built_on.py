"""Designs built on other designs; people who come with the program; the demo's own truth."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from ekbom import virtual
from ekbom.cli.demo import power_words
from ekbom.errors import Refused
from ekbom.validate.drawn_power import drawn_power
from ekbom.virtual import recruits
from ekbom.virtual.built_on import whole
from ekbom.virtual.cohort import draw_cohort
from ekbom.virtual.design import parse
from ekbom.virtual.shipped import everybody, shipped, some

BELOW = {
    "one": {"name": "one", "part": {"a": 1, "b": {"c": 2}}, "list": [1, 2], "variants": {"v": {}}},
    "two": {"base": "one", "name": "two", "part": {"b": {"c": 3}}},
    "round": {"base": "about", "name": "round"},
    "about": {"base": "round", "name": "about"},
}


def test_tables_are_joined_and_all_else_replaced():
    tree = {"base": "two", "without": [], "name": "three", "list": [9], "part": {"d": 4}}
    found = whole(tree, "three.toml", BELOW.__getitem__)
    assert found == {"name": "three", "part": {"a": 1, "b": {"c": 3}, "d": 4}, "list": [9]}
    assert BELOW["one"]["part"] == {"a": 1, "b": {"c": 2}}  # what is below stays as it is


def test_a_part_left_out_is_gone_or_the_new_design_s_own():
    tree = {"base": "one", "without": ["part", "list"], "name": "x", "part": {"z": 1}}
    assert whole(tree, "x.toml", BELOW.__getitem__) == {"name": "x", "part": {"z": 1}}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('base = "nobody"\nname = "x"', "There is no such design to build on"),
        ('base = "demo"\nname = "x"\nwithout = ["head"]', "no such part"),
        ('base = "demo"\nname = "x"\nwithout = "disease"', "list of names"),
        ('without = ["head"]\nname = "x"', "nothing to leave out"),
        ('base = "demo"', "name"),
        ('base = "demo"\nname = "x"\n[scanner]\nfwhm = 5', "scanner.fwhm"),
        ('base = "demo"\nname = "x"\n[binding]\nseverity_slope = 0.01', "opioid.slope"),
    ],
)
def test_mistakes_of_a_base_are_named(text, says):
    with pytest.raises(Refused) as caught:
        parse(text, source="mine.toml")
    assert says in str(caught.value)
    assert caught.value.file == "mine.toml"


def test_a_circle_of_designs_is_refused():
    with pytest.raises(Refused, match="circle"):
        whole(BELOW["round"], "round.toml", BELOW.__getitem__, ("round",))


def test_a_design_of_one_s_own_is_a_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('base = "smoke"\nname = "mine"\n[groups]\ncontrol = 5\n')
    made = virtual.load(str(path), {"binding.cv": 0.1})
    assert (made.name, made.groups.rls, made.groups.control) == ("mine", 2, 5)
    assert made.binding.cv == 0.1
    with pytest.raises(Refused, match="cannot be read"):
        virtual.load(str(tmp_path / "none.toml"))


def test_the_demo_is_the_model_study_but_for_what_it_says():
    demo, model = (virtual.load(n).model_dump() for n in ("demo", "von-spiczak-2005"))
    different = {
        f"{part}.{key}" if isinstance(value, dict) else part
        for part, value in model.items()
        if part not in ("name", "title", "description", "variants") and value != demo[part]
        for key in (value if isinstance(value, dict) and demo[part] is not None else [""])
        if not isinstance(value, dict) or demo[part] is None or value[key] != demo[part][key]
    }
    assert different == {
        *("head.", "t1.", "plan", "disease.people", "disease.people_per_patient"),
        *("opioid.slope", "opioid.coupling", "binding.affective_slope"),
    }
    weak = virtual.load("demo", variant="realistic").model_dump()
    assert (weak["opioid"], weak["binding"]) == (model["opioid"], model["binding"])


def test_the_people_shipped_are_of_the_model_as_it_is():
    """Fails when the model has changed: `python -m ekbom.virtual.recruits` mends it."""
    design = virtual.load("demo")
    found = everybody()
    assert found.key == recruits.people_key(design)
    assert found.cut == recruits.reference(design).cut
    assert 1000 < found.people.rls.sum() < 1400
    assert (~found.people.rls).sum() == 1200
    assert shipped(design) is not None


def test_the_people_shipped_are_those_of_a_population_drawn_anew():
    design = virtual.load("demo")
    ref = recruits.reference(design)
    drawn, _ = recruits.pool(1200, 9, (10.0,), "base", ref.cut, design.cohort.age_range)
    kept = everybody().people
    for name in ("age", "z", "phasic", "theta", "bp"):
        for sick in (True, False):
            a, b = (np.ravel(getattr(p, name))[p.rls == sick] for p in (drawn, kept))
            error = np.hypot(a.std() / np.sqrt(a.size), b.std() / np.sqrt(b.size))
            assert abs(a.mean() - b.mean()) < 4 * error, (name, sick)


def test_people_are_drawn_where_those_shipped_do_not_fit():
    for change in ({"disease.scenario": "d2-down"}, {"disease.hour": 18}, {"groups.rls": 1500},
                   {"cohort.age_range": [30, 60]}, {"disease.people": "drawn"}):  # fmt: skip
        assert shipped(virtual.load("demo", change)) is None
    some_of = some(virtual.load("demo"), everybody(), 1200, np.random.default_rng(0))
    assert some_of.rls.sum() == 60
    assert some_of.rls.size == 60 + 228


def test_occupancy_goes_with_the_score_and_the_groups_are_equal():
    people = draw_cohort(virtual.load("demo"), 3)
    score = np.array([p.irls_total for p in people if p.group == "rls"])
    taken = np.array([p.occupancy[0] for p in people if p.group == "rls"])
    np.testing.assert_allclose(taken, 0.03 * (score - score.mean()), atol=1e-12)
    assert all(p.occupancy == (0.0,) for p in people if p.group == "control")
    assert score.std(ddof=1) > 4.5
    assert len({p.urge for p in people}) == 27
    rival = draw_cohort(virtual.load("demo", {"opioid.tonic": 0.0, "opioid.slope": 0.01}), 3)
    assert [p.occupancy[0] for p in rival[:15]] == pytest.approx((0.01 * score).tolist())
    dealt = draw_cohort(virtual.load("demo", variant="null"), 3)
    assert sorted(p.occupancy for p in dealt) == sorted(p.occupancy for p in people)
    assert [p.occupancy for p in dealt] != [p.occupancy for p in people]


def test_the_truth_says_whose_people_and_what_was_planted(tmp_path):
    made = virtual.make("demo", tmp_path / "s", size="rois", seed=1, subjects=5, workers=1)
    told = json.loads((made.root / "derivatives/truth/disease_truth.json").read_text())
    assert (told["people"], told["coupling"], told["slope"]) == ("shipped", "score", 0.03)
    assert told["slope_of_these_patients"] == pytest.approx(0.03)
    assert told["threshold"] == everybody().cut
    assert made.participants["latent_severity"].notna().all()
    effects = made.effects.set_index("region")["occupancy_per_irls"]
    assert (effects == 0.03).sum() == 6


def test_power_drawn_is_that_of_a_strong_and_of_no_slope():
    strong = drawn_power(virtual.load("demo"), 20)
    assert strong.five > 0.7
    none = drawn_power(
        virtual.load("demo", {"opioid.slope": 0.0, "binding.affective_slope": 0.0}), 40
    )
    assert none.none > 0.8
    own = dataclasses.replace(drawn_power(virtual.load("von-spiczak-2005"), 10), studies=10)
    assert own.none > 0
    said = power_words(own, virtual.load("von-spiczak-2005"))
    assert "Power of 15 patients at Holm p < .05, % of 10 such studies drawn (+- 16)" in said
    assert "medialthalamus" in said
