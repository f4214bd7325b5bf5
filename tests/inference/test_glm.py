"""t, F and their tails against scipy and against closed forms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ekbom.inference import build_design, effect, fit, model
from ekbom.inference.multiple import benjamini_hochberg, bonferroni, holm
from ekbom.inference.tails import (
    log_sf_f,
    log_sf_t,
    noncentrality_of_f,
    noncentrality_of_t,
    p_of_t,
    t_critical,
    z_of_f,
    z_of_t,
)


def _fit(formula, table, y, test):
    design = build_design(formula, table)
    return fit(y[design.kept], model(design, effect(design, test)))


def test_two_sample_is_scipy(groups, rng):
    y = rng.normal(20, 3, (27, 5))
    found = _fit("~ group", groups, y, "rls - control")
    truth = stats.ttest_ind(y[:15], y[15:])
    np.testing.assert_allclose(found.statistic, truth.statistic, rtol=1e-11)
    np.testing.assert_allclose(found.p(), truth.pvalue, rtol=1e-10)
    assert found.df == 25


def test_regression_is_scipy(groups, rng):
    y = rng.normal(20, 3, (27, 1))
    found = _fit("~ age", groups, y, "age")
    truth = stats.linregress(groups.age, y[:, 0])
    assert found.estimate[0, 0] == pytest.approx(truth.slope, rel=1e-11)
    assert found.se[0] == pytest.approx(truth.stderr, rel=1e-11)
    assert found.p()[0] == pytest.approx(truth.pvalue, rel=1e-10)
    assert found.partial_r2[0] == pytest.approx(truth.rvalue**2, rel=1e-10)


def test_one_way_is_scipy(groups, rng):
    groups["site"] = (["a", "b", "c"] * 9)[:27]
    y = rng.normal(20, 3, (27, 4))
    found = _fit("~ site", groups, y, "site")
    truth = stats.f_oneway(*(y[(groups.site == s).to_numpy()] for s in "abc"))
    np.testing.assert_allclose(found.statistic, truth.statistic, rtol=1e-10)
    np.testing.assert_allclose(found.p(), truth.pvalue, rtol=1e-9)


def test_paired_is_scipy_and_one_sample_on_differences(pairs, rng):
    y = rng.normal(20, 3, (12, 5))
    for formula in ("~ session + participant", "~ session", "~ participant + session"):
        found = _fit(formula, pairs, y, "session: blocked - baseline")
        truth = stats.ttest_rel(y[1::2], y[::2])
        np.testing.assert_allclose(found.statistic, truth.statistic, rtol=1e-10)
        assert found.df == 5
        differences = pd.DataFrame({"participant": pairs.participant[::2]})
        one = _fit("~ 1", differences, y[1::2] - y[::2], "intercept")
        np.testing.assert_allclose(found.statistic, one.statistic, rtol=1e-10)
        np.testing.assert_allclose(found.estimate, one.estimate, rtol=1e-10)
        np.testing.assert_allclose(found.se, one.se, rtol=1e-10)


def test_paired_equals_the_model_with_a_column_for_each_person(pairs, rng):
    """The textbook matrix, with dummies, fitted by lstsq."""
    y = rng.normal(20, 3, (12, 3))
    x = np.column_stack([np.tile([0.0, 1.0], 6), np.repeat(np.eye(6), 2, axis=0)])
    beta, *_ = np.linalg.lstsq(x, y, rcond=None)
    s2 = np.square(y - x @ beta).sum(0) / 5
    t = beta[0] / np.sqrt(s2 * np.linalg.inv(x.T @ x)[0, 0])
    found = _fit("~ session + participant", pairs, y, "session: blocked - baseline")
    np.testing.assert_allclose(found.statistic, t, rtol=1e-10)


def test_repeated_design_has_the_strata_of_a_split_plot(rng):
    n = 11
    table = pd.DataFrame(
        {
            "participant": np.repeat([f"s{i:02d}" for i in range(n)], 2),
            "session": ["am", "pm"] * n,
            "group": np.repeat(["rls"] * 6 + ["control"] * 5, 2),
        }
    )
    y = rng.normal(size=(2 * n, 3)) + np.repeat(rng.normal(0, 3, (n, 3)), 2, axis=0)
    change, mean = y[1::2] - y[::2], (y[1::2] + y[::2]) / 2
    found = _fit("~ group * session", table, y, "group:session")
    truth = stats.ttest_ind(change[:6], change[6:])
    np.testing.assert_allclose(found.statistic, truth.statistic, rtol=1e-10)
    assert found.df == n - 2
    found = _fit("~ group * session", table, y, "rls - control")
    np.testing.assert_allclose(
        found.statistic, stats.ttest_ind(mean[:6], mean[6:]).statistic, rtol=1e-10
    )
    found = _fit("~ group * session", table, y, "session: pm - am")
    means = (change[:6].mean(0) + change[6:].mean(0)) / 2
    np.testing.assert_allclose(found.estimate[0], means, rtol=1e-10)


def test_large_offset_does_not_cost_digits(groups, rng):
    y = rng.normal(0, 1, (27, 50)).astype(np.float32)
    plain = _fit("~ group + age", groups, y, "rls - control").statistic
    far = _fit("~ group + age", groups, (y + np.float32(1000)), "rls - control").statistic
    exact = _fit(
        "~ group + age", groups, (y + np.float32(1000)).astype(float) - 1000, "rls - control"
    ).statistic
    np.testing.assert_allclose(far, exact, atol=1e-9)
    np.testing.assert_allclose(far, plain, atol=5e-4)  # what float32 itself rounds away


def test_missing_constant_and_perfect_outcomes_have_no_statistic(groups, rng):
    y = rng.normal(size=(27, 4))
    y[3, 0] = np.nan
    y[:, 1] = 7.0
    y[:, 2] = np.where(groups.group == "rls", 2.0, 1.0)
    found = _fit("~ group", groups, y, "rls - control")
    assert np.isnan(found.statistic[:3]).all()
    assert np.isfinite(found.statistic[3])


def test_outcomes_do_not_touch_each_other(groups, rng):
    y = rng.normal(size=(27, 40))
    whole = _fit("~ group + age", groups, y, "age").statistic
    alone = [_fit("~ group + age", groups, y[:, [j]], "age").statistic[0] for j in range(40)]
    np.testing.assert_allclose(whole, alone, rtol=1e-12)


def test_tails_are_scipy_where_scipy_reaches():
    t = np.array([-3.0, -0.5, 0.0, 0.1, 2.1788128, 5.0, 12.0])
    for df in (1, 5, 12, 25, 300):
        np.testing.assert_allclose(log_sf_t(t, df), stats.t.logsf(t, df), rtol=1e-9)
    f = np.array([0.2, 1.0, 4.0, 40.0])
    np.testing.assert_allclose(log_sf_f(f, 3, 20), stats.f.logsf(f, 3, 20), rtol=1e-9)
    assert t_critical(12, 0.95) == pytest.approx(2.1788, abs=5e-5)
    assert p_of_t(2.1788128, 12) == pytest.approx(0.05, abs=1e-7)
    assert p_of_t(2.1788128, 12, "positive") == pytest.approx(0.025, abs=1e-7)
    assert p_of_t(2.1788128, 12, "negative") == pytest.approx(0.975, abs=1e-7)


def test_far_tails_are_finite_and_ordered():
    assert np.isfinite(z_of_t(60.0, 12))
    # P(T > t) with v df tends to its leading power, C t^-v: slope of log p against log t
    v = 200.0
    far = log_sf_t(np.array([1e3, 1e4]), v)
    assert far[0] < -740  # p itself is 0 here
    assert (far[1] - far[0]) / np.log(10) == pytest.approx(-v, rel=2e-3)
    z = z_of_t(np.array([30.0, 37.0, 45.0, 60.0]), 5000)
    assert np.isfinite(z).all()
    assert (np.diff(z) > 0).all()
    np.testing.assert_allclose(z_of_t(-60.0, 12), -z_of_t(60.0, 12))
    f = np.array([2.0, 50.0, 5000.0])
    np.testing.assert_allclose(log_sf_f(f**2, 1, 12), np.log(2) + log_sf_t(f, 12), rtol=1e-12)
    assert np.isfinite(z_of_f(1e6, 2, 100))


@pytest.mark.parametrize(("t", "df"), [(2.5, 10), (-1.3, 5), (0.0, 20), (8.0, 4), (15.0, 30)])
def test_noncentral_t_limits_by_direct_inversion(t, df):
    low, high = noncentrality_of_t(t, df)
    assert stats.nct.sf(t, df, low) == pytest.approx(0.025, abs=1e-6)
    assert stats.nct.cdf(t, df, high) == pytest.approx(0.025, abs=1e-6)


def test_noncentral_f_limits_by_direct_inversion():
    low, high = noncentrality_of_f(9.0, 2, 20)
    assert stats.ncf.sf(9.0, 2, 20, low) == pytest.approx(0.025, abs=1e-6)
    assert stats.ncf.cdf(9.0, 2, 20, high) == pytest.approx(0.025, abs=1e-6)
    assert noncentrality_of_f(0.1, 2, 20)[0] == 0.0


def test_corrections_by_hand():
    p = [0.01, np.nan, 0.04, 0.03, 0.005]
    np.testing.assert_allclose(holm(p), [0.03, np.nan, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(bonferroni(p), [0.04, np.nan, 0.16, 0.12, 0.02])
    np.testing.assert_allclose(benjamini_hochberg(p), [0.02, np.nan, 0.04, 0.04, 0.02])


def test_false_discovery_is_scipy(rng):
    p = rng.uniform(size=50) ** 2
    np.testing.assert_allclose(benjamini_hochberg(p), stats.false_discovery_control(p))


def test_holm_by_its_definition(rng):
    """Closed testing: the largest Bonferroni p of all sets that hold the hypothesis."""
    from itertools import combinations

    p = rng.uniform(size=6) * 0.2
    for i in range(6):
        others = [j for j in range(6) if j != i]
        worst = max(
            min(len(s) + 1, 6) * min([p[i], *p[list(s)]])
            for k in range(6)
            for s in combinations(others, k)
        )
        assert holm(p)[i] == pytest.approx(min(worst, 1.0))
