"""Effect sizes and influence: closed forms, and refits."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ekbom.inference import build_design, effect, effect_sizes, fit, influence, model
from ekbom.inference.effects import fieller, paired_percent, small_sample


def _all(formula, table, y, test):
    design = build_design(formula, table)
    asked = effect(design, test)
    made = model(design, asked)
    return design, asked, made, fit(y[design.kept], made)


def test_small_sample_factor():
    assert small_sample(25) == pytest.approx(0.96965, abs=5e-6)
    assert small_sample(25) == pytest.approx(1 - 3 / (4 * 25 - 1), abs=1e-4)
    assert small_sample(1e7) == pytest.approx(1, abs=1e-6)
    assert math.isnan(small_sample(1))


def test_g_of_two_groups(groups, rng):
    y = rng.normal(20, 3, (27, 1))
    _, asked, made, found = _all("~ group", groups, y, "rls - control")
    size = effect_sizes(found, made, asked, 0)
    a, b = y[:15, 0], y[15:, 0]
    pooled = math.sqrt((14 * a.var(ddof=1) + 11 * b.var(ddof=1)) / 25)
    assert size.g == pytest.approx(small_sample(25) * (a.mean() - b.mean()) / pooled, rel=1e-10)
    scale = math.sqrt(1 / 15 + 1 / 12)
    assert stats.nct.sf(found.statistic[0], 25, size.g_ci[0] / scale) == pytest.approx(
        0.025, abs=1e-6
    )
    truth = stats.ttest_ind(a, b).confidence_interval()
    np.testing.assert_allclose(size.ci, (truth.low, truth.high), rtol=1e-9)
    t = found.statistic[0]
    assert size.r == pytest.approx(t / math.sqrt(t * t + 25))


def test_g_of_pairs_is_the_change_over_its_deviation(pairs, rng):
    y = rng.normal(20, 3, (12, 1))
    _, asked, made, found = _all("~ session + participant", pairs, y, "session: blocked - baseline")
    d = y[1::2, 0] - y[::2, 0]
    size = effect_sizes(found, made, asked, 0)
    assert size.g == pytest.approx(small_sample(5) * d.mean() / d.std(ddof=1), rel=1e-10)
    truth = stats.ttest_rel(y[1::2, 0], y[::2, 0]).confidence_interval()
    np.testing.assert_allclose(size.ci, (truth.low, truth.high), rtol=1e-9)


def test_partial_r_is_the_correlation_of_residuals(groups, rng):
    y = rng.normal(20, 3, (27, 1))
    groups["irls_like"] = rng.normal(size=27)
    _, asked, made, found = _all("~ irls_like + age", groups, y, "irls_like")
    size = effect_sizes(found, made, asked, 0)
    z = np.column_stack([np.ones(27), groups.age])
    res = [v - z @ np.linalg.lstsq(z, v, rcond=None)[0] for v in (y[:, 0], groups.irls_like)]
    r = np.corrcoef(*res)[0, 1]
    assert size.r == pytest.approx(r, rel=1e-9)
    half = 1.959963984540054 / math.sqrt(27 - 1 - 3)
    np.testing.assert_allclose(np.arctanh(size.r_ci), np.arctanh(r) + np.array([-half, half]))


def test_joint_effect_has_a_share_of_variance(groups, rng):
    groups["site"] = (["a", "b", "c"] * 9)[:27]
    y = rng.normal(20, 3, (27, 1))
    _, asked, made, found = _all("~ site", groups, y, "site")
    size = effect_sizes(found, made, asked, 0)
    means = pd.Series(y[:, 0]).groupby(groups.site.to_numpy()).transform("mean")
    eta2 = np.square(means - y.mean()).sum() / np.square(y - y.mean()).sum()
    assert size.partial_r2 == pytest.approx(eta2, rel=1e-10)
    assert size.partial_r2_ci[0] <= size.partial_r2 <= size.partial_r2_ci[1]


def test_percentage_by_hand(groups, rng):
    y = rng.normal(20, 3, (27, 1))
    _, asked, made, found = _all("~ group", groups, y, "rls - control")
    size = effect_sizes(found, made, asked, 0)
    a, b = y[:15, 0], y[15:, 0]
    assert size.percent == pytest.approx(100 * (a.mean() - b.mean()) / b.mean(), rel=1e-10)
    # Fieller: the limits are the ratios at which a - (1 + q) b is just significant
    s2 = found.sigma[0] ** 2
    for limit in size.percent_ci:
        k = 1 + limit / 100
        t = (a.mean() - k * b.mean()) / math.sqrt(s2 * (1 / 15 + k * k / 12))
        assert abs(t) == pytest.approx(stats.t.ppf(0.975, 25), rel=1e-8)


def test_paired_percentage_limits_are_just_significant(rng):
    before = rng.normal(20, 3, 8)
    after = before * 0.7 + rng.normal(0, 1, 8)
    percent, limits = paired_percent(after, before, 0.95)
    assert percent == pytest.approx(100 * (after.mean() / before.mean() - 1))
    for limit in limits:
        assert stats.ttest_1samp(after - (1 + limit / 100) * before, 0).pvalue == pytest.approx(
            0.05, abs=1e-8
        )
    assert all(math.isnan(v) for v in fieller(1.0, 0.1, 1.0, 0.0, 1.0, 2.0)[1])


@pytest.mark.parametrize(
    ("formula", "test"),
    [("~ group", "rls - control"), ("~ group * age + sex", "group:age"), ("~ age + sex", "sex"),
     ("~ group + age", "group, age"), ("~ 1", "intercept")],
)  # fmt: skip
def test_influence_is_the_refit(groups, rng, formula, test):
    y = rng.normal(20, 3, (27, 3))
    _, _, made, found = _all(formula, groups, y, test)
    got = influence(y, made, found)
    for i in range(27):
        rest = groups.drop(index=i)
        design = build_design(formula, rest)
        # covariates of the refit are centred on another mean: only effects free of it are compared
        again = fit(np.delete(y, i, axis=0), model(design, effect(design, test)))
        np.testing.assert_allclose(got.statistic[i], again.statistic, rtol=1e-9)
        np.testing.assert_allclose(got.estimate[i], again.estimate[0], rtol=1e-9)
        assert got.df[i] == again.df


def test_influence_of_a_pair_is_the_refit_without_the_person(pairs, rng):
    y = rng.normal(20, 3, (12, 2))
    _, _, made, found = _all("~ session + participant", pairs, y, "session: blocked - baseline")
    got = influence(y, made, found)
    for i in range(6):
        d = np.delete(y[1::2] - y[::2], i, axis=0)
        truth = stats.ttest_1samp(d, 0)
        np.testing.assert_allclose(got.statistic[i], truth.statistic, rtol=1e-9)
        assert got.df[i] == 4


def test_cook_and_dfbetas_by_their_definitions(groups, rng):
    y = rng.normal(20, 3, (27, 1))
    _, _, made, found = _all("~ group + age", groups, y, "rls - control")
    got = influence(y, made, found)
    x = made.x
    beta = np.linalg.lstsq(x, y[:, 0], rcond=None)[0]
    s2 = np.square(y[:, 0] - x @ beta).sum() / 24
    for i in (0, 13, 26):
        xi, yi = np.delete(x, i, 0), np.delete(y[:, 0], i)
        without = np.linalg.lstsq(xi, yi, rcond=None)[0]
        assert got.cook[i, 0] == pytest.approx(np.square(x @ (beta - without)).sum() / (3 * s2))
        s_without = math.sqrt(np.square(yi - xi @ without).sum() / 23)
        spread = s_without * math.sqrt(np.linalg.inv(x.T @ x)[1, 1])
        assert got.dfbetas[i, 0] == pytest.approx((beta - without)[1] / spread)


def test_effect_that_hangs_on_one_person_has_no_answer_without(rng):
    table = pd.DataFrame({"participant": list("abcdef"), "dose": [0, 0, 0, 0, 0, 1.0]})
    y = rng.normal(size=(6, 1))
    _, _, made, found = _all("~ dose", table, y, "dose")
    got = influence(y, made, found)
    assert np.isnan(got.statistic[5, 0])
    assert np.isfinite(got.statistic[:5, 0]).all()
