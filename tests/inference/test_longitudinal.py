"""Mixed models and MMRM against closed forms and a dense likelihood written apart."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from ekbom.errors import Refused
from ekbom.inference.longitudinal import mmrm, repeated


def _trial(seed: int, n: int = 24, visits: int = 3, missing: float = 0.0):
    rng = np.random.default_rng(seed)
    root = np.tril(rng.uniform(0.3, 1.5, (visits, visits)))
    y = 20 + rng.normal(size=(n, visits)) @ root.T
    if missing:
        y[rng.random(y.shape) < missing] = np.nan
        y[np.isnan(y).all(axis=1), 0] = 20.0
    return y, np.repeat(["a", "b"], n // 2)


def test_complete_data_give_the_t_test_of_each_visit() -> None:
    y, arm = _trial(1)
    found = mmrm(y, arm, visits=["w0", "w6", "w12"])
    for j, visit in enumerate(found.visits):
        closed = stats.ttest_ind(y[arm == "b", j], y[arm == "a", j])
        one = found.differences["b", visit]
        assert one.t == pytest.approx(closed.statistic, abs=1e-9)
        assert one.df == pytest.approx(len(y) - 2, rel=1e-8)
        assert one.p == pytest.approx(closed.pvalue, rel=1e-8)
        low, high = closed.confidence_interval()
        assert (one.low, one.high) == pytest.approx((low, high))
    rest = y - np.array([y[arm == a].mean(axis=0) for a in arm])
    s = rest.T @ rest / (len(y) - 2)
    assert found.model.fit.theta == pytest.approx(s[np.tril_indices(3)], rel=1e-8)
    kr = mmrm(y, arm, small_sample="kenward-roger").differences["b", "2"]
    assert kr.se == pytest.approx(found.differences["b", "w6"].se, rel=1e-7)


def test_baseline_with_complete_data_gives_the_analysis_of_covariance_of_each_visit() -> None:
    y, arm = _trial(2)
    start = np.random.default_rng(3).normal(size=len(y))
    found = mmrm(y, arm, baseline=start)
    x = np.column_stack([arm == "a", arm == "b", start - start.mean()]).astype(float)
    for j in range(3):
        beta, rss, *_ = np.linalg.lstsq(x, y[:, j], rcond=None)
        s2 = rss[0] / (len(y) - 3)
        v = np.linalg.inv(x.T @ x)
        se = np.sqrt(s2 * (v[0, 0] + v[1, 1] - 2 * v[0, 1]))
        one = found.differences["b", str(j + 1)]
        assert (one.estimate, one.se) == pytest.approx((beta[1] - beta[0], se), rel=1e-7)
        assert one.df == pytest.approx(len(y) - 3, rel=1e-7)


def test_two_visits_equal_the_paired_t_test() -> None:
    y, _ = _trial(4, n=14, visits=2)
    n = len(y)
    who, visit = np.repeat(np.arange(n), 2), np.tile([0, 1], n)
    x = np.column_stack([np.ones(2 * n), visit])
    closed = stats.ttest_rel(y[:, 1], y[:, 0])
    for covariance in ("unstructured", "intercept"):
        one = repeated(y.ravel(), x, who, visit, covariance=covariance).fit.contrast(
            np.array([0.0, 1.0])
        )
        assert one.t == pytest.approx(closed.statistic, abs=1e-9)
        assert one.df == pytest.approx(n - 1, rel=1e-7)


def test_balanced_variances_equal_those_of_the_analysis_of_variance() -> None:
    y, _ = _trial(5, n=12, visits=4)
    n, k = y.shape
    x = np.eye(k)[np.tile(np.arange(k), n)]
    found = repeated(
        y.ravel(), x, np.repeat(np.arange(n), k), np.tile(np.arange(k), n), covariance="intercept"
    )
    centred = y - y.mean(axis=0)
    between = k * np.square(centred.mean(axis=1)).sum() / (n - 1)
    error = np.square(centred - centred.mean(axis=1, keepdims=True)).sum() / ((n - 1) * (k - 1))
    assert found.fit.theta == pytest.approx([(between - error) / k, error], rel=1e-8)
    assert found.names == ("var(intercept)", "var(residual)")


def test_random_slopes_of_balanced_data_equal_the_t_test_of_slopes() -> None:
    rng = np.random.default_rng(6)
    n, t = 20, np.array([0.0, 6.0, 12.0, 24.0])
    y = rng.normal(20, 4, (n, 1)) + rng.normal(0, 0.4, (n, 1)) * t + rng.normal(size=(n, 4))
    arm = np.repeat([0, 1], n // 2)
    who, time = np.repeat(np.arange(n), 4), np.tile(t, n)
    a = np.repeat(arm, 4)
    x = np.column_stack([np.ones(4 * n), a, time, a * time])
    one = repeated(y.ravel(), x, who, time, time=time, covariance="slope").fit.contrast(
        np.array([0.0, 0.0, 0.0, 1.0])
    )
    slope = np.polyfit(t, y.T, 1)[0]
    closed = stats.ttest_ind(slope[arm == 1], slope[arm == 0])
    assert one.t == pytest.approx(closed.statistic, abs=1e-8)
    assert one.df == pytest.approx(n - 2, rel=1e-6)


def _dense(y, x, who, visit, covariance, time):
    """Minus twice the restricted log-likelihood of dense matrices, by covariance parameters."""
    people = [np.flatnonzero(who == w) for w in np.unique(who)]
    places = visit.max() + 1

    def v_of(theta, rows):
        if covariance == "unstructured":
            s = np.zeros((places, places))
            s[np.tril_indices(places)] = theta
            s = s + s.T - np.diag(np.diag(s))
            return s[np.ix_(visit[rows], visit[rows])]
        z = np.column_stack([np.ones(len(rows)), time[rows]])
        g = np.array([[theta[0], theta[1]], [theta[1], theta[2]]])
        return z @ g @ z.T + theta[3] * np.eye(len(rows))

    def deviance(theta):
        v = np.zeros((len(y), len(y)))
        for rows in people:
            v[np.ix_(rows, rows)] = v_of(theta, rows)
        sign, det = np.linalg.slogdet(v)
        if sign <= 0 or np.linalg.eigvalsh(v)[0] <= 0:
            return 1e10
        w = np.linalg.inv(v)
        xwx = x.T @ w @ x
        r = y - x @ np.linalg.solve(xwx, x.T @ w @ y)
        return (
            det + np.linalg.slogdet(xwx)[1] + r @ w @ r + (len(y) - x.shape[1]) * np.log(2 * np.pi)
        )

    def cov(theta):
        v = np.zeros((len(y), len(y)))
        for rows in people:
            v[np.ix_(rows, rows)] = v_of(theta, rows)
        return np.linalg.inv(x.T @ np.linalg.inv(v) @ x)

    return deviance, cov


def _gradient(f, theta, h=1e-5):
    out = []
    for k in range(len(theta)):
        e = np.zeros(len(theta))
        e[k] = h * max(1.0, abs(theta[k]))
        out.append((f(theta + e) - f(theta - e)) / (2 * e[k]))
    return np.array(out)


@pytest.mark.parametrize("covariance", ["unstructured", "slope"])
def test_missing_visits_against_a_dense_likelihood(covariance: str) -> None:
    y, arm = _trial(7, n=26, missing=0.2)
    if covariance == "slope":
        rng = np.random.default_rng(8)
        y += 3 * rng.normal(size=(26, 1)) + 1.5 * rng.normal(size=(26, 1)) * np.arange(3)
    seen = np.isfinite(y)
    who, visit = np.nonzero(seen)
    b = (arm == "b")[who].astype(float)
    x = np.column_stack([np.eye(3)[visit], b, b * visit])
    time = visit * 6.0
    found = repeated(y[seen], x, who, visit, time=time, covariance=covariance).fit
    deviance, cov = _dense(y[seen], x, who, visit, covariance, time)
    assert deviance(found.theta) == pytest.approx(-2 * found.loglik, abs=1e-8)
    best = optimize.minimize(
        deviance, found.theta * 1.1, method="Nelder-Mead",
        options={"maxiter": 150, "fatol": 1e-9, "xatol": 1e-7},
    )  # fmt: skip
    assert best.fun >= -2 * found.loglik - 1e-7
    assert np.abs(_gradient(deviance, found.theta)).max() < 1e-4
    assert found.cov == pytest.approx(cov(found.theta), rel=1e-7)
    hessian = _gradient(lambda p: _gradient(deviance, p, 1e-4), found.theta, 1e-4)
    assert np.linalg.inv(hessian / 2) == pytest.approx(found.theta_cov, rel=2e-3, abs=1e-3)
    c = np.array([0.0, 0, 0, 1, 2])
    g = _gradient(lambda p: c @ cov(p) @ c, found.theta)
    df = 2 * (c @ cov(found.theta) @ c) ** 2 / (g @ np.linalg.inv(hessian / 2) @ g)
    assert found.contrast(c).df == pytest.approx(df, rel=2e-3)


def test_units_and_origin_change_nothing_but_units() -> None:
    y, arm = _trial(9, missing=0.15)
    one = mmrm(y, arm).differences["b", "3"]
    other = mmrm(1000 * y - 5e4, arm).differences["b", "3"]
    assert other.t == pytest.approx(one.t, rel=1e-7)
    assert other.df == pytest.approx(one.df, rel=1e-6)
    assert other.estimate == pytest.approx(1000 * one.estimate, rel=1e-7)


def test_one_contrast_is_the_square_of_its_t() -> None:
    y, arm = _trial(10, missing=0.15)
    found = mmrm(y, arm)
    c = np.zeros(6)
    c[[0, 3]] = -1, 1
    for how in ("satterthwaite", "kenward-roger"):
        single = found.model.fit.contrast(c, small_sample=how)
        joint = found.model.fit.joint(c[None], how)
        assert pytest.approx(single.t**2) == joint.F
        assert joint.df2 == pytest.approx(single.df)
        assert joint.p == pytest.approx(single.p)
    assert found.overall.df1 == 3
    assert 0 < found.overall.p < 1


def test_several_effects_of_complete_data_are_hotellings_test() -> None:
    """Two visits, two arms, unstructured covariance: T2 is an exact F, and KR's F is that one."""
    rng = np.random.default_rng(31)
    y = rng.normal(size=(14, 3)) @ np.array([[1, 0.5, 0.3], [0, 1, 0.4], [0, 0, 1.5]])
    y[7:] += 0.6
    arm = np.repeat(["a", "b"], 7)
    gap = y[7:].mean(axis=0) - y[:7].mean(axis=0)
    pooled = (6 * np.cov(y[:7].T) + 6 * np.cov(y[7:].T)) / 12
    t2 = gap @ np.linalg.solve(pooled, gap) / (2 / 7)
    f = t2 * (12 - 3 + 1) / (12 * 3)
    found = mmrm(y, arm).overall
    assert pytest.approx(f, rel=1e-6) == found.F
    assert found.df2 == pytest.approx(10, rel=1e-6)
    assert found.p == pytest.approx(stats.f.sf(f, 3, 10), rel=1e-6)


def test_a_singular_covariance_is_refused_or_simplified_by_name() -> None:
    rng = np.random.default_rng(11)
    n = 12
    y = rng.normal(size=(n, 3)) - rng.normal(size=(n, 1)) * 0  # nothing between persons
    y -= y.mean(axis=1, keepdims=True) * 0.99
    who, visit = np.repeat(np.arange(n), 3), np.tile(np.arange(3), n)
    x = np.eye(3)[visit]
    with pytest.raises(Refused, match=r"cannot be estimated.*between persons"):
        repeated(y.ravel(), x, who, visit, covariance="intercept")
    found = repeated(y.ravel(), x, who, visit, covariance="slope", simplify=True)
    assert found.structure == "independent"
    assert len(found.warnings) == 2
    assert "simplified to independent" in found.warnings[-1]


def test_too_few_people_for_an_unstructured_covariance_are_refused() -> None:
    y, arm = _trial(12, n=8, visits=6)
    with pytest.raises(Refused, match="cannot be estimated"):
        mmrm(y[:6], arm[1:7])
    simple = mmrm(y[:6], arm[1:7], simplify=True)
    assert simple.model.structure == "intercept"
    assert "unstructured" in simple.model.warnings[0]


def test_bad_input_is_refused_by_name() -> None:
    y, arm = _trial(13)
    with pytest.raises(Refused, match="no arms"):
        mmrm(y, ["a"] * len(y))
    with pytest.raises(Refused, match="reference"):
        mmrm(y, arm, reference="c")
    start = np.ones(len(y))
    start[3] = np.nan
    with pytest.raises(Refused, match="baseline"):
        mmrm(y, arm, baseline=start)
    gone = y.copy()
    gone[arm == "a", 2] = np.nan
    with pytest.raises(Refused, match="no measurement at a visit"):
        mmrm(gone, arm)
    with pytest.raises(Refused, match="two measurements"):
        repeated(y.ravel(), np.ones((72, 1)), np.zeros(72), np.zeros(72))
