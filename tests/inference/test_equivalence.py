"""Equivalence against one-sided t tests done by hand, and what its words say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ekbom.errors import Refused
from ekbom.inference import Settings
from ekbom.inference.equivalence import checked_bounds, tost
from ekbom.inference.glm import fit
from ekbom.inference.kinds import Ask, answer_kind
from ekbom.inference.onmaps import Grid
from ekbom.inference.question import ask


def _people(n1: int = 15, n2: int = 12, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({
        "participant": [f"s{i:02d}" for i in range(n1 + n2)],
        "group": ["rls"] * n1 + ["control"] * n2,
        "age": rng.normal(55, 8, n1 + n2),
    })  # fmt: skip


def _asked(y: np.ndarray, formula: str = "~ group", test: str = "rls - control"):
    question = ask(_people(), formula, test, "mL/cm3", Settings())
    return fit(y, question.model), question


def test_both_tests_are_those_of_shifted_data() -> None:
    y = np.random.default_rng(1).normal(20, 2, (27, 3))
    found, q = _asked(y)
    got = tost(found, q.model, q.effect, (-1.5, 2.0))
    for j in range(3):
        a, b = y[:15, j], y[15:, j]
        low = stats.ttest_ind(a, b - 1.5, alternative="greater").pvalue
        high = stats.ttest_ind(a, b + 2.0, alternative="less").pvalue
        assert got.p_low[j] == pytest.approx(low, rel=1e-9)
        assert got.p_high[j] == pytest.approx(high, rel=1e-9)
        ci = stats.ttest_ind(a, b).confidence_interval(0.90)
        assert (got.low[j], got.high[j]) == pytest.approx((ci.low, ci.high))
        inside = ci.low > -1.5 and ci.high < 2.0
        assert (got.p[j] < 0.05) == inside


@pytest.mark.parametrize("scale", ["outcome", "g", "percent"])
def test_the_smallest_bound_passes_at_alpha_exactly(scale: str) -> None:
    y = np.random.default_rng(2).normal(20, 2, (27, 4))
    found, q = _asked(y, "~ group + age")
    first = tost(found, q.model, q.effect, (-1.0, 1.0), scale)
    for j in range(4):
        b = float(first.smallest[j])
        at = tost(found, q.model, q.effect, (-b, b), scale)
        assert at.p[j] == pytest.approx(0.05, abs=1e-6)


def test_standardised_bounds_are_exact_where_those_in_units_of_s_are_not() -> None:
    rng = np.random.default_rng(3)
    y = rng.normal(size=(27, 20_000))
    y[:15] += 0.8  # the true effect stands on the bound
    found, q = _asked(y)
    exact = (tost(found, q.model, q.effect, (-0.8, 0.8), "g").p_high < 0.05).mean()
    assert abs(exact - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 20_000)


def test_bounds_are_checked() -> None:
    assert checked_bounds(0.5, "g") == (-0.5, 0.5)
    assert checked_bounds([-1, 2], "outcome") == (-1.0, 2.0)
    for wrong in (None, [2, -1], [1, 2, 3], "x", float("nan")):
        with pytest.raises(Refused, match="bounds"):
            checked_bounds(wrong, "outcome")
    with pytest.raises(Refused, match="scale"):
        checked_bounds(1, "mm")


def test_a_difference_that_is_not_significant_is_not_called_equivalence() -> None:
    y = np.random.default_rng(4).normal(20, 2, (27, 2))
    question = Ask("equivalence", "~ group", "rls - control", bounds=0.3, bounds_in="g")
    got = answer_kind(question, y, ["a", "b"], "u", _people(), Settings(), "V_T")
    assert (got.table("regions").frame["p_difference"] > 0.05).all()
    assert "is not shown" in got.results
    assert "equivalence is shown" not in got.results
    assert "could hardly have been shown at all" in got.results  # half-width .66 SD
    assert got.meta["half_width_sd"] == pytest.approx(0.66, abs=0.005)
    assert not got.meta["everywhere"]


def test_everywhere_needs_every_region_and_no_correction() -> None:
    rng = np.random.default_rng(5)
    y = 20 + 0.05 * rng.normal(size=(27, 3))
    question = Ask("equivalence", "~ group", "rls - control", bounds=0.1)
    got = answer_kind(question, y, ["a", "b", "c"], "u", _people(), Settings(), "V_T")
    assert got.meta["everywhere"]
    assert "equivalence is shown" in got.results
    y[:15, 1] += 1.0
    got = answer_kind(question, y, ["a", "b", "c"], "u", _people(), Settings(), "V_T")
    assert not got.meta["everywhere"]
    frame = got.table("regions").frame.set_index("region")
    assert frame.loc["b", "verdict"] == "not shown"
    assert frame.loc["a", "verdict"] == "equivalent"


def test_the_claim_over_a_map_is_decided_by_its_worst_voxel() -> None:
    rng = np.random.default_rng(6)
    mask = np.ones((4, 4, 4), bool)
    y = (20 + 0.05 * rng.normal(size=(27, 64))).astype(np.float32)
    question = Ask("equivalence", "~ group", "rls - control", bounds=0.1)
    place = Grid(mask, np.eye(4))
    got = answer_kind(question, y, [], "u", _people(), Settings(), "V_T", grid=place)
    row = got.table("regions").frame.iloc[0]
    bound = next(m for m in got.maps if m.name.startswith("smallestbound")).values
    assert row["smallest_bound"] == pytest.approx(float(bound.max()), rel=1e-6)
    assert row["verdict"] == "equivalent"
    y[:15, 13] += 0.2
    got = answer_kind(question, y, [], "u", _people(), Settings(), "V_T", grid=place)
    assert got.table("regions").frame.iloc[0]["verdict"] == "not shown"
    assert not got.meta["everywhere"]
