"""Power against the noncentral t, the figures of the specification, and direct simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ekbom.errors import Refused
from ekbom.inference import Settings
from ekbom.inference.glm import fit, residuals
from ekbom.inference.kinds import Ask, answer_kind
from ekbom.inference.onmaps import Grid
from ekbom.inference.power import detectable_shift, draw, people_needed, power_of_t
from ekbom.inference.question import ask


def _people(n1: int = 15, n2: int = 12) -> pd.DataFrame:
    return pd.DataFrame({
        "participant": [f"s{i:02d}" for i in range(n1 + n2)],
        "group": ["rls"] * n1 + ["control"] * n2,
    })  # fmt: skip


def test_known_figures_of_15_against_12() -> None:
    unit = np.sqrt(1 / 15 + 1 / 12)
    t = stats.t.isf(0.025, 25)
    assert power_of_t(0.8 / unit, 25, t) == pytest.approx(0.510, abs=5e-4)
    assert detectable_shift(25, t, 0.8) * unit == pytest.approx(1.129, abs=5e-4)
    assert detectable_shift(25, 6.46, 0.8) * unit == pytest.approx(2.92, abs=5e-3)
    t13 = stats.t.isf(0.025, 13)
    assert t13 / np.sqrt(t13**2 + 13) == pytest.approx(0.514, abs=5e-4)


def test_noncentral_t_equals_scipy_and_one_side_is_less_demanding() -> None:
    for shift in (0.0, 1.0, -2.5, 4.0):
        got = power_of_t(shift, 13, 2.16)
        want = stats.nct.sf(2.16, 13, shift) + stats.nct.cdf(-2.16, 13, shift)
        assert got == pytest.approx(want, abs=1e-8)
    assert power_of_t(2.0, 20, 1.7247, "positive") > power_of_t(2.0, 20, 2.086)
    assert power_of_t(5.0, 20, np.inf) == 0.0
    assert detectable_shift(20, 1.7247, 0.9, "negative") < 0


def test_people_needed_is_the_least_number_that_reaches_the_power() -> None:
    for d in (0.3, 0.5, 0.9):
        n = people_needed(d, 2 / 20, 40, 38, 0.05, 0.8)
        assert n is not None

        def power(n: int, d: float = d) -> float:
            return power_of_t(d / np.sqrt(4 / n), n - 2, stats.t.isf(0.025, n - 2))

        assert power(n) >= 0.8 > power(n - 1)
    assert people_needed(0.0, 0.1, 40, 38, 0.05, 0.8) is None


def test_drawn_noise_keeps_covariance_and_size() -> None:
    rng = np.random.default_rng(1)
    y = rng.normal(size=(27, 5)) @ np.linalg.cholesky(0.7 * np.ones((5, 5)) + 0.3 * np.eye(5)).T
    q = ask(_people(), "~ group", "rls - control", "u", Settings())
    got = draw(residuals(y, q.model), q.model, 4000, 2)
    assert got.noise.std(axis=0) == pytest.approx(np.ones(5), abs=0.05)
    assert np.square(got.error).mean(axis=0) == pytest.approx(np.ones(5), abs=0.02)
    want = np.corrcoef(residuals(y, q.model).T)
    assert np.corrcoef(got.noise.T) == pytest.approx(want, abs=0.06)
    critical, (low, high) = got.critical(0.05)
    single = stats.t.isf(0.025, 25)
    assert single < low < critical < high < stats.t.isf(0.025 / 5, 25) + 0.15
    power = got.power(3.0, single)
    assert power == pytest.approx(np.full(5, power_of_t(3.0, 25, single)), abs=0.03)


def test_an_answer_gives_simulation_beside_the_noncentral_t() -> None:
    y = np.random.default_rng(3).normal(20, 2, (27, 6))
    how = Settings(permutations=1500)
    asked = Ask("power", "~ group", "rls - control", sizes=(0.5, 1.129))
    got = answer_kind(asked, y, list("abcdef"), "mL/cm3", _people(), how, "V_T")
    frame = got.table("power").frame
    assert (frame["power"] - frame["power_analytic"]).abs().max() < 4 * frame["se"].max()
    one = frame[(frame["test"] == "single") & (frame["size"] == 1.129)].iloc[0]
    assert one["power_analytic"] == pytest.approx(0.8, abs=1e-3)
    assert one["people_needed"] in (27, 28)
    regions = got.table("regions").frame
    assert (regions["detectable_max_t"] > regions["detectable_single"]).all()
    sd = fit(y, ask(_people(), "~ group", "rls - control", "u", how).model).sigma
    assert regions["detectable_single"].to_numpy() == pytest.approx(1.129 * sd, rel=1e-3)
    again = answer_kind(asked, y, list("abcdef"), "mL/cm3", _people(), how, "V_T")
    pd.testing.assert_frame_equal(frame, again.table("power").frame)


def test_over_voxels_the_largest_statistic_asks_for_more() -> None:
    rng = np.random.default_rng(4)
    mask = np.ones((5, 5, 5), bool)
    y = rng.normal(20, 2, (27, 125))
    got = answer_kind(Ask("power", "~ group", "rls - control"), y, [], "u", _people(),
                      Settings(permutations=400), "V_T", grid=Grid(mask, np.eye(4)))  # fmt: skip
    detectable = got.meta["detectable"]
    assert detectable["single"] < detectable["max-t"] < detectable["bonferroni"] + 0.25
    assert next(m.name for m in got.maps) == "detectable-single_statmap"


def test_scales_are_checked() -> None:
    y = np.random.default_rng(5).normal(size=(27, 1))
    for asked, word in (
        (Ask("power", "~ group", "rls - control", sizes_in="r"), "sizes are in r"),
        (Ask("power", "~ group", "rls - control", sizes_in="outcome"), "must be named"),
        (Ask("power", "~ group", "group", sizes=(1.0,)), ""),
    ):
        if word:
            with pytest.raises(Refused, match=word):
                answer_kind(asked, y, ["a"], "u", _people(), Settings(permutations=300), "V_T")
