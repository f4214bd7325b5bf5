"""Effects by name: what they are, and that no coding or order changes them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ekbom.errors import Refused
from ekbom.inference import build_design, effect, effect_names, fit, model


def _answer(formula: str, table: pd.DataFrame, y: np.ndarray, test: str):
    design = build_design(formula, table)
    asked = effect(design, test)
    return asked, fit(y[design.kept], model(design, asked))


def test_difference_is_a_difference_of_means(groups, rng):
    y = rng.normal(20, 3, (27, 2))
    asked, found = _answer("~ group", groups, y, "rls - control")
    patients = (groups.group == "rls").to_numpy()
    np.testing.assert_allclose(
        found.estimate[0], y[patients].mean(0) - y[~patients].mean(0), rtol=1e-12
    )
    assert asked.kind == "t"
    assert asked.levels == ("rls", "control")


def test_two_orders_of_a_difference_have_opposite_signs(groups, rng):
    y = rng.normal(20, 3, (27, 3))
    _, one = _answer("~ group + age", groups, y, "rls - control")
    _, two = _answer("~ group + age", groups, y, "control - rls")
    np.testing.assert_allclose(one.statistic, -two.statistic, rtol=1e-10)


def test_group_omnibus_is_the_square_of_t(groups, rng):
    y = rng.normal(20, 3, (27, 3))
    _, t = _answer("~ group + age", groups, y, "rls - control")
    asked, f = _answer("~ group + age", groups, y, "group")
    assert asked.kind == "F"
    np.testing.assert_allclose(f.statistic, t.statistic**2, rtol=1e-10)
    np.testing.assert_allclose(f.p(), t.p(), rtol=1e-9)


def test_slopes_within_levels_are_those_of_separate_lines(groups, rng):
    y = rng.normal(20, 3, (27, 1)) + 0.1 * groups.age.to_numpy()[:, None]
    slopes = {}
    for level in ("rls", "control"):
        rows = (groups.group == level).to_numpy()
        slopes[level] = np.polyfit(groups.age[rows], y[rows, 0], 1)[0]
        _, found = _answer("~ group * age", groups, y, f"age[{level}]")
        assert found.estimate[0, 0] == pytest.approx(slopes[level], abs=1e-10)
    for name in ("group:age", "age:group", "age[rls] - age[control]"):
        _, found = _answer("~ group * age", groups, y, name)
        assert found.estimate[0, 0] == pytest.approx(slopes["rls"] - slopes["control"], abs=1e-10)
    _, found = _answer("~ group * age", groups, y, "age")
    assert found.estimate[0, 0] == pytest.approx(np.mean(list(slopes.values())), abs=1e-10)


def test_group_in_an_interaction_is_the_difference_at_the_mean_age(groups, rng):
    y = rng.normal(20, 3, (27, 1))
    lines = {}
    for level in ("rls", "control"):
        rows = (groups.group == level).to_numpy()
        lines[level] = np.polyval(np.polyfit(groups.age[rows], y[rows, 0], 1), groups.age.mean())
    _, found = _answer("~ group * age", groups, y, "rls - control")
    assert found.estimate[0, 0] == pytest.approx(lines["rls"] - lines["control"], abs=1e-9)


def test_joint_effect_has_as_many_degrees_as_names(groups, rng):
    groups["score"] = rng.normal(size=27)
    y = rng.normal(20, 3, (27, 2))
    asked, found = _answer("~ age + score + group", groups, y, "age, score")
    assert (asked.kind, found.df1, found.df) == ("F", 2, 23)
    full = np.column_stack(
        [np.ones(27), groups.age - groups.age.mean(), groups.score, groups.group == "rls"]
    ).astype(float)
    rss = [
        np.square(y - x @ np.linalg.lstsq(x, y, rcond=None)[0]).sum(0)
        for x in (full[:, [0, 3]], full)
    ]
    np.testing.assert_allclose(found.statistic, (rss[0] - rss[1]) / 2 / (rss[1] / 23), rtol=1e-9)


def test_three_levels(groups, rng):
    groups["site"] = (["a", "b", "c"] * 9)[:27]
    y = rng.normal(20, 3, (27, 1))
    means = pd.Series(y[:, 0]).groupby(groups.site.to_numpy()).mean()
    for a, b in (("c", "a"), ("b", "c"), ("a", "b")):
        _, found = _answer("~ site", groups, y, f"{a} - {b}")
        assert found.estimate[0, 0] == pytest.approx(means[a] - means[b], abs=1e-10)
    asked, _ = _answer("~ site", groups, y, "site")
    assert asked.matrix.shape[0] == 2


def test_interaction_of_two_factors_is_a_difference_of_differences(groups, rng):
    y = rng.normal(20, 3, (27, 1))
    mean = pd.Series(y[:, 0]).groupby([groups.group.to_numpy(), groups.sex.to_numpy()]).mean()
    _, found = _answer("~ group * sex", groups, y, "group:sex")
    expected = (mean["rls", "M"] - mean["control", "M"]) - (mean["rls", "F"] - mean["control", "F"])
    assert found.estimate[0, 0] == pytest.approx(expected, abs=1e-10)
    _, simple = _answer("~ group * sex", groups, y, "rls - control[M]")
    assert simple.estimate[0, 0] == pytest.approx(mean["rls", "M"] - mean["control", "M"])


def test_intercept_is_the_mean_of_the_cells(groups, rng):
    y = rng.normal(20, 3, (27, 1))
    _, found = _answer("~ 1", groups, y, "intercept")
    assert found.estimate[0, 0] == pytest.approx(y.mean())
    _, found = _answer("~ age", groups, y, "intercept")
    assert found.estimate[0, 0] == pytest.approx(y.mean())


@pytest.mark.parametrize("written", ["~ 0 + group + age", "~ age + group", "~ C(group) + age"])
def test_coding_does_not_matter(groups, rng, written):
    y = rng.normal(20, 3, (27, 2))
    for name in ("rls - control", "age", "group", "intercept"):
        _, one = _answer("~ group + age", groups, y, name)
        _, two = _answer(written, groups, y, name)
        np.testing.assert_allclose(one.statistic, two.statistic, rtol=1e-9)


@settings(max_examples=25, deadline=None)
@given(
    order=st.permutations(list(range(12))),
    names=st.permutations(["a0", "m1", "z2"]),
    columns=st.permutations(["participant", "site", "age", "group"]),
)
def test_rows_levels_and_columns_in_any_order(order, names, columns):
    rng = np.random.default_rng(3)
    plain = pd.DataFrame(
        {
            "participant": [f"s{i}" for i in range(12)],
            "site": ["a0", "m1", "z2"] * 4,
            "age": rng.normal(size=12),
            "group": ["rls"] * 6 + ["control"] * 6,
        }
    )
    y = rng.normal(size=(12, 2))
    swap = dict(zip(["a0", "m1", "z2"], names, strict=True))
    moved = plain.assign(site=plain.site.map(swap)).iloc[order][columns]
    moved["site"] = pd.Categorical(moved.site, categories=names)
    for name in ("m1 - a0", "rls - control", "site", "age", "group:age", "site: z2 - a0"):
        new = name
        for old, other in swap.items():
            new = new.replace(old, other.upper())
        formula = "~ site + group * age"
        _, one = _answer(formula, plain, y, name)
        _, two = _answer(formula, moved, y[order], new.replace("A0", "a0").replace(
            "M1", "m1").replace("Z2", "z2"))  # fmt: skip
        np.testing.assert_allclose(one.statistic, two.statistic, rtol=1e-8)
        np.testing.assert_allclose(one.estimate[: len(one.estimate) == 1], two.estimate[
            : len(two.estimate) == 1], rtol=1e-8)  # fmt: skip


def test_a_typo_is_answered_with_the_effects_that_exist(groups):
    design = build_design("~ group * age", groups)
    with pytest.raises(Refused) as caught:
        effect(design, "rls - contrl")
    assert "rls - control" in caught.value.mend
    for name in effect_names(design):
        assert name in caught.value.expected
        effect(design, name)  # and every name that is offered works


def test_offered_names_of_paired_and_repeated_designs_work(pairs):
    design = build_design("~ session + participant", pairs)
    assert effect_names(design)[0] == "session: blocked - baseline"
    for name in effect_names(design):
        effect(design, name)


def test_level_shared_by_two_factors_must_be_named(groups):
    groups["coil"] = (["rls", "control"] * 14)[:27]
    design = build_design("~ group + coil", groups)
    with pytest.raises(Refused, match="levels of group and of coil"):
        effect(design, "rls - control")
    assert effect(design, "coil: rls - control").over == "coil"


def test_empty_cell_makes_the_interaction_not_estimable(groups):
    table = groups[~((groups.group == "rls") & (groups.sex == "F"))]
    with pytest.raises(Refused, match="aliased") as caught:
        build_design("~ group * sex", table)
    assert "group" in caught.value.what
    assert "sex" in caught.value.what


def test_centring_changes_the_intercept_and_not_the_slope(groups, rng):
    from ekbom.inference import Settings

    y = rng.normal(20, 3, (27, 1))
    slopes, groups_effect = [], []
    for centre in ("mean", "none"):
        design = build_design("~ group + age", groups, Settings(centre=centre))
        slopes.append(fit(y, model(design, effect(design, "age"))).statistic[0])
        groups_effect.append(fit(y, model(design, effect(design, "rls - control"))).statistic[0])
    assert slopes[0] == pytest.approx(slopes[1], rel=1e-9)
    assert groups_effect[0] == pytest.approx(groups_effect[1], rel=1e-9)
    design = build_design("~ group + age", groups, Settings(centre="group"))
    rows = (groups.group == "rls").to_numpy()
    found = fit(y, model(design, effect(design, "rls - control")))
    # centred within group, the difference is that of the plain means
    assert found.estimate[0, 0] == pytest.approx(y[rows].mean() - y[~rows].mean(), abs=1e-10)
    assert design.means["age"]["rls"] == pytest.approx(groups.age[rows].mean())
