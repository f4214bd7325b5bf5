"""Reliability by hand, by mean squares, and by resampling."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ekbom.errors import Refused
from ekbom.inference import Settings, answer_reliability, reliability
from ekbom.inference.reliability import as_row

# Shrout & Fleiss 1979, table 2: six targets, four judges; their table 4 gives
# ICC(1,1) .17 and ICC(3,1) .71.
SHROUT = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float
)


def test_published_example():
    got = reliability(SHROUT)
    assert got.icc11 == pytest.approx(0.17, abs=0.005)
    assert got.icc31 == pytest.approx(0.71, abs=0.005)
    assert (got.ms_rows, got.ms_within) == pytest.approx((11.24, 6.26), abs=0.005)
    assert (got.ms_columns, got.ms_error) == pytest.approx((32.49, 1.02), abs=0.005)


def test_two_by_three_by_hand():
    got = reliability(np.array([[10.0, 12.0], [20.0, 18.0], [30.0, 33.0]]))
    # persons 11, 19, 31.5; grand 20.5; sessions 20, 21
    assert got.mean == pytest.approx(20.5)
    assert got.ms_rows == pytest.approx(2 * (9.5**2 + 1.5**2 + 11**2) / 2)
    assert got.ms_within == pytest.approx((4 + 4 + 9) / 2 / 3)
    assert got.ms_columns == pytest.approx(3 * 2 * 0.25)
    assert got.ms_error == pytest.approx((8.5 - 1.5) / 2)
    assert got.trt == pytest.approx(100 * (2 / 11 + 2 / 19 + 3 / 31.5) / 3)
    assert got.sd_within == pytest.approx(math.sqrt(17 / 6))
    assert got.bias == pytest.approx(1.0)
    sd = math.sqrt(((2 - 1) ** 2 + (-2 - 1) ** 2 + (3 - 1) ** 2) / 2)
    assert got.loa_low == pytest.approx(1 - 1.96 * sd)
    assert got.loa_high == pytest.approx(1 + 1.96 * sd)
    half = stats.t.ppf(0.975, 2) * sd / math.sqrt(3)
    assert got.bias_high - got.bias == pytest.approx(half)
    wide = stats.t.ppf(0.975, 2) * sd * math.sqrt(1 / 3 + 1.96**2 / 4)
    assert got.loa_high_high - got.loa_high == pytest.approx(wide)


def test_constant_shift_between_sessions():
    base = np.array([3.0, 5.0, 6.0, 9.0, 4.0])
    got = reliability(np.column_stack([base, base + 1]))
    assert got.icc31 == pytest.approx(1.0)
    assert got.icc11 < 1
    assert got.bias == pytest.approx(1.0)
    assert got.loa_low == pytest.approx(1.0)


def test_no_error_at_all():
    got = reliability(np.column_stack([[1.0, 2, 3], [1.0, 2, 3]]))
    assert got.icc31 == got.icc11 == 1.0
    assert got.trt == got.sd_within == 0.0


def test_interval_of_icc_is_that_of_the_ratio_of_mean_squares():
    """At a limit, the observed F is just the 2.5 % point under that true ICC."""
    got = reliability(SHROUT)
    n, k = SHROUT.shape
    for value, low, high, rest, df in (
        (got.icc31, got.icc31_low, got.icc31_high, got.ms_error, (n - 1) * (k - 1)),
        (got.icc11, got.icc11_low, got.icc11_high, got.ms_within, n * (k - 1)),
    ):
        assert low < value < high
        f = got.ms_rows / rest
        for limit, tail in ((low, stats.f.sf), (high, stats.f.cdf)):
            ratio = 1 + k * limit / (1 - limit)  # of the expected mean squares
            assert tail(f / ratio, n - 1, df) == pytest.approx(0.025, abs=1e-9)


def test_coverage_of_icc():
    rng = np.random.default_rng(5)
    true, hits = 0.7, 0
    for _ in range(400):
        y = rng.normal(0, math.sqrt(true), (12, 1)) + rng.normal(0, math.sqrt(1 - true), (12, 2))
        got = reliability(y + 10, bootstrap=100)
        hits += got.icc11_low <= true <= got.icc11_high
    low, high = stats.binom.ppf([0.0005, 0.9995], 400, 0.95)
    assert low <= hits <= high


def test_unit_and_session_order():
    rng = np.random.default_rng(6)
    y = rng.normal(20, 3, (9, 2))
    one, scaled = reliability(y), reliability(y * 1000)
    swapped = reliability(y[:, ::-1])
    assert scaled.trt == pytest.approx(one.trt)
    assert scaled.icc31 == pytest.approx(one.icc31)
    assert scaled.sd_within == pytest.approx(1000 * one.sd_within)
    assert swapped.bias == pytest.approx(-one.bias)
    assert swapped.icc31 == pytest.approx(one.icc31)
    again = reliability(y)
    assert as_row(one) == as_row(again)
    assert reliability(y, seed=1).trt_low != one.trt_low


def test_bootstrap_is_that_of_the_mean():
    """The percentile interval tends to mean +- 1.96 se of the persons' values."""
    rng = np.random.default_rng(7)
    y = rng.normal(100, 5, (200, 2))
    got = reliability(y, bootstrap=4000)
    each = 100 * np.abs(y[:, 0] - y[:, 1]) / y.mean(1)
    se = each.std() / math.sqrt(200)
    assert got.trt == pytest.approx(each.mean())
    np.testing.assert_allclose(
        [got.trt_low, got.trt_high], each.mean() + 1.96 * se * np.array([-1, 1]), rtol=0.02
    )


def _table(people, sessions=("test", "retest")):
    return pd.DataFrame(
        {
            "participant": np.repeat(people, len(sessions)),
            "session": list(sessions) * len(people),
        }
    )


def test_answer_drops_an_incomplete_pair_whole_and_says_who(rng):
    table = _table(["sub-01", "sub-02", "sub-03", "sub-04"]).drop(index=5)
    values = rng.normal(20, 2, (7, 2))
    answer = answer_reliability(values, ["thalamus", "putamen"], "mL/cm3", table)
    assert answer.meta["dropped"] == ["sub-03: no retest"]
    assert "sub-03" in answer.results
    frame = answer.table("regions").frame
    assert (frame["n"] == 3).all()
    assert "sub-03" not in set(answer.table("values").frame.participant_id)
    assert "wide" in answer.results
    y = values[[0, 1, 2, 3, 5, 6], 0].reshape(3, 2)
    assert frame.loc[0, "icc31"] == pytest.approx(reliability(y).icc31)
    assert frame.loc[0, "bias"] == pytest.approx((y[:, 1] - y[:, 0]).mean())


def test_retest_is_second_whatever_the_order_of_rows(rng):
    table = _table(["a", "b", "c"], ("retest", "test"))
    values = rng.normal(20, 2, (6, 1))
    answer = answer_reliability(values, ["x"], "u", table)
    assert answer.meta["sessions"] == ["test", "retest"]
    assert answer.table("regions").frame.loc[0, "bias"] == pytest.approx(
        (values[::2] - values[1::2]).mean()
    )


def test_missing_value_drops_the_person_from_that_region_only(rng):
    values = rng.normal(20, 2, (8, 2))
    values[3, 0] = np.nan
    answer = answer_reliability(values, ["x", "y"], "u", _table(list("abcd")))
    frame = answer.table("regions").frame
    assert frame["n"].tolist() == [3, 4]
    assert frame.loc[0, "note"] == "no value in b"


@pytest.mark.parametrize(
    "table",
    [
        _table(["a", "b"], ("test",)),
        pd.concat([_table(["a"], ("test", "retest")), _table(["b"], ("baseline", "blocked"))]),
        pd.concat([_table(["a", "b"]), _table(["a"])]),
        _table(["a", "b"]).drop(columns="session"),
    ],
)
def test_what_is_no_retest_is_refused(table):
    with pytest.raises(Refused) as caught:
        answer_reliability(np.ones((len(table), 1)), ["x"], "u", table, Settings())
    assert caught.value.mend


def test_a_pair_of_mean_zero_has_no_percentage_and_costs_nothing_else() -> None:
    rng = np.random.default_rng(5)
    y = rng.normal(size=(8, 2))
    y[:3] = [[1.0, -1.0], [2.0, -2.0], [0.0, 0.0]]
    got = reliability(y)  # warnings are errors
    assert np.isnan([got.trt, got.trt_low, got.trt_high]).all()
    assert np.isfinite([got.icc31, got.sd_within, got.bias]).all()
