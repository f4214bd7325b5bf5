"""Change and trial endpoints: by hand, by other routes, and under no effect."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ekbom.errors import Refused
from ekbom.measures.clinic import endpoints as ep
from ekbom.measures.clinic import trialstats as ts
from ekbom.measures.clinic.norms import place
from ekbom.measures.clinic.response import (
    change,
    first_response,
    first_responses,
    kaplan_meier,
    mean_over_time,
    response_table,
    thresholds,
)
from ekbom.measures.clinic.simulate import cohort, trial
from ekbom.validate.clinic import validate_clinic
from ekbom.validate.result import Check, as_frame, as_html, binomial_gate

NAN = np.nan
VISITS = ("0", "4", "8", "12")
ARMS = ("active", "placebo")


def test_change_at_every_threshold() -> None:
    before = np.array([20.0, 20, 20, 20, 20, 20, 0, NAN, 20])
    after = np.array([10.0, 10.1, 11, 9, 17, 15, 0, 5, NAN])
    c = change(before, after)
    np.testing.assert_array_equal(c.responder, [1, 0, 0, 1, 0, 0, NAN, NAN, NAN])
    np.testing.assert_array_equal(c.beyond["mcic_minimal"], [1, 1, 1, 1, 0, 0, 0, NAN, NAN])
    np.testing.assert_array_equal(c.beyond["mcic_much"], [0, 0, 0, 1, 0, 0, 0, NAN, NAN])
    np.testing.assert_array_equal(c.beyond["mcid_review"], [1, 1, 1, 1, 1, 1, 0, NAN, NAN])
    np.testing.assert_array_equal(c.beyond["cohort_change"], [1, 1, 1, 1, 0, 1, 0, NAN, NAN])
    np.testing.assert_array_equal(c.remission_mild, [1, 0, 0, 1, 0, 0, 1, 1, NAN])
    np.testing.assert_array_equal(c.remission_zero, [0, 0, 0, 0, 0, 0, 1, 0, NAN])
    assert c.rci[0] == pytest.approx(-10 / (np.sqrt(2) * 5.2 * np.sqrt(0.19)))
    assert set(thresholds()) == set(c.beyond)
    assert not thresholds()["mcid_review"].verified


def test_response_table() -> None:
    long = pd.DataFrame(
        {
            "participant_id": ["sub-1", "sub-1", "sub-2", "sub-2", "sub-3"],
            "session_id": ["a", "b", "a", "b", "b"],
            "value": [20.0, 8.0, NAN, 8.0, 8.0],
            "cgi_i": [NAN, 2.0, NAN, 3.0, NAN],
        }
    )
    got = response_table(long, "a")
    np.testing.assert_array_equal(got["delta"], [-12, NAN, NAN])
    np.testing.assert_array_equal(got["cgi_responder"], [1, 0, NAN])


def test_time_course() -> None:
    t = np.array([0.0, 4, 8, 12])
    assert mean_over_time(t, np.array([20.0, 10, NAN, 10])) == pytest.approx((15 * 4 + 10 * 8) / 12)
    assert np.isnan(mean_over_time(t, np.array([20.0, NAN, NAN, NAN])))
    assert first_response(t, np.array([NAN, 0, 1, 0])) == (8.0, True)
    assert first_response(t, np.array([NAN, 0, 0, NAN])) == (8.0, False)


def test_kaplan_meier_by_hand() -> None:
    """Textbook steps: 5 at risk, events at 2 and 4, one censored at 3."""
    km = kaplan_meier(np.array([2.0, 3, 4, 5, 5]), np.array([True, False, True, False, False]))
    np.testing.assert_allclose(km["share"], [0.8, 0.8 * 2 / 3])
    assert km["at_risk"].tolist() == [5, 3]
    # Without censoring it is the plain share still without an event.
    times = np.array([1.0, 2, 2, 3])
    plain = kaplan_meier(times, np.ones(4, bool))
    np.testing.assert_allclose(plain["share"], [(times > t).mean() for t in plain["time"]])
    assert (km["lower"] < km["share"]).all()
    assert (km["upper"] > km["share"]).all()


def test_ancova_against_residuals() -> None:
    """Frisch-Waugh: regress the residuals of the outcome on those of the arm."""
    rng = np.random.default_rng(5)
    before, treated = rng.normal(25, 5, 40), rng.random(40) < 0.5
    after = 0.6 * before - 3 * treated + rng.normal(0, 2, 40)
    after[0] = NAN
    got = ts.ancova(after, before, treated)
    k = ~np.isnan(after)
    x = np.column_stack([np.ones(k.sum()), before[k]])

    def residual(v: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        return v - x @ np.linalg.solve(x.T @ x, x.T @ v)

    ry, ra = residual(after[k]), residual(treated[k].astype(float))
    effect = ra @ ry / (ra @ ra)
    s2 = ((ry - effect * ra) ** 2).sum() / (k.sum() - 3)
    half = stats.t.isf(0.025, k.sum() - 3) * np.sqrt(s2 / (ra @ ra))
    np.testing.assert_allclose(got[:3], [effect, effect - half, effect + half])
    # Without a baseline that matters it is the two-sample t-test with pooled variance.
    flat = ts.ancova(after, np.r_[np.zeros(39), 0.0], treated)
    assert np.isnan(flat[0])  # a constant baseline is not a covariate


def test_newcombe_and_nnt() -> None:
    """Newcombe 1998, table II, method 10: 56/70 v 48/80 and 9/10 v 3/10."""
    np.testing.assert_allclose(ts.risk_difference(56, 70, 48, 80), [0.2, 0.0524, 0.3339], atol=5e-5)
    np.testing.assert_allclose(ts.risk_difference(9, 10, 3, 10), [0.6, 0.1705, 0.8090], atol=5e-5)
    assert ts.nnt((0.25, 0.1, 0.4)) == (4.0, 2.5, 10.0)
    value, low, high = ts.nnt((0.1, -0.05, 0.2))
    assert value == 10
    assert np.isnan([low, high]).all()


def test_parallel_trial_tables() -> None:
    frame = trial(30, -8.0, seed=4)
    tables = ep.all_endpoints(frame, VISITS, ARMS, ["irls_change", "irls_responder"])
    rows = tables["endpoints"]
    primary = rows[rows["role"] == "primary"]
    assert primary["population"].tolist() == ["observed", "completers", "locf"]
    assert primary["sensitivity"].tolist() == [False, True, True]
    assert (primary["estimate"] < 0).all()
    assert tables["gate"]["tested"].tolist() == [True, True]
    assert tables["missing"]["n"].sum() == 60
    assert tables["missing"]["pattern"].str.len().eq(4).all()
    tip = tables["tipping"]
    assert tip["estimate"].is_monotonic_increasing
    assert len(tables["long"]) == 60 * 3


def test_locf_and_completers_by_hand() -> None:
    frame = pd.DataFrame(
        [
            (f"sub-{i}", v, "active" if i < 3 else "placebo", y)
            for i, values in enumerate(
                [
                    (20, 10, 8),
                    (22, 12, NAN),
                    (24, 13, 12),
                    (21, 18, 17),
                    (23, 20, NAN),
                    (25, 22, 21),
                ]
            )
            for v, y in zip("abc", values, strict=True)
        ],
        columns=["participant_id", "session_id", "arm", "irls_total"],
    )
    long = ep.long_table(frame, "irls_total", "abc")
    assert ep.endpoint_change(long, ARMS, "x").n_treatment == 2
    locf = ep.endpoint_change(long, ARMS, "x", "locf")
    assert (locf.n_treatment, locf.n_control) == (3, 3)
    y = np.array([-12.0, -10, -12, -4, -3, -4])
    by_hand = ts.ancova(y, np.array([20.0, 22, 24, 21, 23, 25]), np.arange(6) < 3)
    assert locf.estimate == pytest.approx(by_hand[0])
    assert set(ep.missing_patterns(long, "abc")["pattern"]) == {"xxx", "xx."}


def test_gate_closes() -> None:
    g = ep.gate(["a", "b", "c"], {"a": 0.01, "b": 0.2, "c": 0.001})
    assert g["tested"].tolist() == [True, True, False]
    assert g["confirmed"].tolist() == [True, False, False]
    with pytest.raises(Refused):
        ep.gate(["a", "d"], {"a": 0.01})


def test_crossover_recovers_what_was_planted() -> None:
    """Noise-free: treatment -4, period +1, no carry-over."""
    rng = np.random.default_rng(2)
    person, first = rng.normal(20, 4, 40), np.arange(40) < 20
    y1 = person + np.where(first, -4.0, 0.0)
    y2 = person + 1.0 + np.where(first, 0.0, -4.0)
    noise = rng.normal(0, 0.5, (2, 40))
    got = ts.crossover(y1 + noise[0], y2 + noise[1], first)
    assert got.treatment[1] < -4 < got.treatment[2]
    assert got.period[1] < -1 < got.period[2]
    assert got.carry_over[3] > 0.01
    # The treatment test is the t-test of the period differences.
    d = (y1 + noise[0]) - (y2 + noise[1])
    assert got.treatment[3] == pytest.approx(stats.ttest_ind(d[first], d[~first]).pvalue)


def test_crossover_from_a_table() -> None:
    rng = np.random.default_rng(4)
    rows = []
    for i in range(30):
        base, first = rng.normal(22, 4), i % 2 == 0
        for session, active in (("1", first), ("2", not first)):
            y = base - 6.0 * active + rng.normal(0, 1)
            rows.append((f"sub-{i:02d}", session, "drug" if active else "placebo", y))
    frame = pd.DataFrame(rows, columns=["participant_id", "session_id", "arm", "irls_total"])
    got = ep.crossover_table(frame, ["1", "2"], "drug").set_index("effect")
    assert got.loc["treatment", "lower"] < -6 < got.loc["treatment", "upper"]
    assert got.loc["treatment", "n_treatment_first"] == 15
    with pytest.raises(Refused, match="two periods"):
        ep.crossover_table(frame, ["1"], "drug")
    frame.loc[1, "arm"] = "drug"
    with pytest.raises(Refused, match="same treatment twice"):
        ep.crossover_table(frame, ["1", "2"], "drug")


def test_covariates_take_away_what_they_explain() -> None:
    """The clock hour of the assessment shifts the score and differs between the arms."""
    frame = trial(60, 0.0, seed=9, dropout=0.0)
    rng = np.random.default_rng(1)
    frame["clock_h"] = np.where(frame["arm"] == "active", 20, 16) + rng.normal(0, 1, len(frame))
    frame["irls_total"] += 2.0 * (frame["clock_h"] - 18) * (frame["session_id"] != "0")
    plain = ep.all_endpoints(frame, VISITS, ARMS, ["irls_change"])["endpoints"].iloc[0]
    table = ep.all_endpoints(frame, VISITS, ARMS, ["irls_change"], covariates=["clock_h"])
    adjusted = table["endpoints"].iloc[0]
    assert plain["lower"] > 4
    assert adjusted["lower"] < 0 < adjusted["upper"]
    assert "clock_h" in adjusted["method"]


def test_first_responses() -> None:
    table = pd.DataFrame(
        {
            "participant_id": ["a", "a", "b", "b"],
            "session_id": ["w4", "w8", "w8", "w4"],
            "responder_50": [0.0, 1.0, NAN, 0.0],
        }
    )
    got = first_responses(table, pd.Series({"w4": 4.0, "w8": 8.0}))
    assert got.values.tolist() == [["a", 8.0, True], ["b", 4.0, False]]


def test_place_among_reference_values() -> None:
    where = place("IRLS_total", 24.7 + 5.2)
    assert where is not None
    assert (where.z, where.centile) == (pytest.approx(1.0), pytest.approx(84.134, abs=1e-3))
    assert place("IRLS_total", NAN) is None
    assert place("CGI_S", 3.0) is None


def test_refusals_of_endpoints() -> None:
    frame = trial(5, 0.0, seed=1)
    with pytest.raises(Refused, match="visit is not in the table"):
        ep.long_table(frame, "irls_total", ["0", "99"])
    torn = frame.copy()
    torn.loc[0, "arm"] = "placebo"
    with pytest.raises(Refused, match="two arms"):
        ep.long_table(torn, "irls_total", VISITS)
    with pytest.raises(Refused, match="cannot be computed") as no:
        ep.all_endpoints(frame, VISITS, ARMS, ["irls_change", "happiness"])
    assert no.value.found == "happiness"
    with pytest.raises(Refused, match="nobody"):
        ep.endpoint_share(np.ones(4), ["active"] * 4, ARMS, "x")


def test_simulators_keep_their_word() -> None:
    a, b = cohort(200, 7), cohort(200, 7)
    pd.testing.assert_frame_equal(a.irls, b.irls)
    assert not a.irls.equals(cohort(200, 8).irls)
    assert (a.irls == "n/a").to_numpy().mean() == pytest.approx(0.05 * 10 / 11, abs=0.01)
    t = trial(400, -5.0, seed=3, dropout=0.0).pivot_table(
        index="participant_id", columns="session_id", values="irls_total"
    )
    gain = (t["12"] - t["0"]).groupby(np.arange(800) < 400).mean()
    assert gain[True] - gain[False] == pytest.approx(-5.0, abs=1.3)


def test_validation_report_passes_and_can_fail() -> None:
    checks = validate_clinic(replicates=150, seed=2)
    assert all(c.passed for c in checks), [c for c in checks if not c.passed]
    assert sum(c.gated for c in checks) >= 10
    bad = Check("x", 3.0, 1, low=0, high=2)
    assert not bad.passed
    assert not Check("x", NAN, 1, low=0, high=2).passed
    frame = as_frame([bad, *checks])
    assert frame["result"].tolist()[0] == "FAILED"
    assert "class='failed'" in as_html("t", [bad])
    assert binomial_gate(2000, 0.05) == (69, 133)
