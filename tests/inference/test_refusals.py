"""Designs that are refused, each with the name of what is wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ekbom.errors import Refused
from ekbom.inference import Settings, answer_regions, build_design, effect, model
from ekbom.inference.balance import balance


def _refused(formula, table, **settings):
    with pytest.raises(Refused) as caught:
        build_design(formula, table, Settings(**settings))
    assert caught.value.mend
    return caught.value


def test_unknown_name_offers_the_nearest(groups):
    error = _refused("~ grop + age", groups)
    assert "did you mean group" in error.mend


def test_missing_covariate_lists_the_people(groups):
    groups.loc[[2, 7], "age"] = np.nan
    error = _refused("~ group + age", groups)
    assert "sub-03" in error.found
    assert "sub-08" in error.found
    assert error.field == "age"
    groups["age"] = groups["age"].astype(object)
    groups.loc[4, "age"] = "n/a"
    assert "sub-05" in _refused("~ group + age", groups).found


def test_aliased_columns_are_named(groups):
    groups["months"] = groups.age * 12
    error = _refused("~ group + age + months", groups)
    assert "months" in error.what
    assert "age" in error.what
    groups["clinic"] = np.where(groups.group == "rls", "here", "there")
    error = _refused("~ group + clinic", groups)
    assert "clinic" in error.what
    assert "group" in error.what


def test_group_with_one_member(groups):
    error = _refused("~ group", groups.iloc[:16])
    assert "control has one member" in error.what
    assert error.found == "sub-16"


def test_factor_of_one_level(groups):
    assert "one level" in _refused("~ group", groups.iloc[:15]).what


def test_no_degrees_of_freedom(groups):
    error = _refused("~ group * age", groups.iloc[13:17])
    assert "degrees of freedom" in error.what
    assert "4 rows" in error.found


def test_nobody(groups):
    assert "nobody" in _refused("~ group", groups.iloc[:0]).what


def test_healthy_people_in_a_severity_model(groups, rng):
    groups["irls_total"] = np.where(groups.group == "rls", rng.integers(10, 40, 27), 0)
    error = _refused("~ irls_total + age", groups)
    assert "12 controls" in error.found
    assert "severity-with-controls" in error.mend
    build_design("~ irls_total + age", groups, Settings(allow=("severity-with-controls",)))
    build_design("~ irls_total + age", groups[groups.group == "rls"])


def test_one_row_each_asked_within_participants(groups):
    groups["session"] = "x"
    assert "within participants" in _refused("~ age + participant", groups).what


def test_between_term_beside_participant_is_aliased(pairs):
    pairs["age"] = np.repeat([30.0, 40, 50, 60, 70, 80], 2)
    design = build_design("~ session + age + participant", pairs)
    with pytest.raises(Refused, match="age is aliased"):
        model(design, effect(design, "session: blocked - baseline"))


def test_effect_that_mixes_within_and_between(pairs, rng):
    pairs["dose"] = rng.normal(size=12)
    design = build_design("~ dose", pairs)
    with pytest.raises(Refused, match="both within people and between") as caught:
        model(design, effect(design, "dose"))
    assert "participant" in caught.value.mend
    design = build_design("~ dose + participant", pairs)
    assert model(design, effect(design, "dose")).stratum == "within"


def test_session_held_twice(pairs):
    twice = pd.concat([pairs, pairs.iloc[:1]])
    assert "two rows" in _refused("~ session + participant", twice).what


def test_incomplete_person_is_dropped_by_name(pairs):
    design = build_design("~ session + participant", pairs.drop(index=3))
    assert design.n == 10
    assert design.dropped == ("sub-02: no blocked",)


def test_sign_of_an_f_test(groups, rng):
    with pytest.raises(Refused, match="has no sign"):
        answer_regions(
            rng.normal(size=(27, 2)), ["a", "b"], "x", groups, "~ group", "group",
            Settings(sign="positive"),
        )  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value"),
    [("method", "maxt"), ("sign", "both"), ("permutations", 0), ("alpha", 1.5), ("allow", ("x",)),
     ("seed", -1), ("centre", "median")],
)  # fmt: skip
def test_settings_name_the_key(field, value):
    with pytest.raises(Refused) as caught:
        Settings(**{field: value})
    assert field in caught.value.field
    assert caught.value.expected


def test_region_named_twice(groups, rng):
    with pytest.raises(Refused, match="twice"):
        answer_regions(
            rng.normal(size=(27, 2)), ["a", "a"], "x", groups, "~ group", "rls - control"
        )


def test_balance_is_told(groups):
    table = groups.assign(age=np.where(groups.group == "rls", 60.0, 40.0) + np.arange(27) % 3)
    design = build_design("~ group", table)
    told = balance(design, model(design, effect(design, "rls - control")))
    assert any("differ in age" in t for t in told)
    design = build_design("~ group + age", table)
    told = balance(design, model(design, effect(design, "rls - control")))
    assert any("age goes with group" in t for t in told)
    assert any("variance inflation" in t for t in told)
    table["treated"] = ["yes", "no"] * 13 + ["no"]
    design = build_design("~ group + age", table)
    told = balance(design, model(design, effect(design, "rls - control")))
    assert any("Treated and untreated" in t for t in told)
