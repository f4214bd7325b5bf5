"""Permutation against brute force: loops over itertools, refits by lstsq."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ekbom.errors import Refused
from ekbom.inference import Settings, build_design, effect, fit, model, permute
from ekbom.inference.permute.engine import plan_for
from ekbom.inference.permute.plan import ENUMERATE, exchange, flip

MAXT = Settings("max-t", 999, seed=5)


def _model(formula, table, test):
    design = build_design(formula, table)
    return model(design, effect(design, test))


def _two(n1, n2):
    return pd.DataFrame(
        {
            "participant": [f"s{i:02d}" for i in range(n1 + n2)],
            "group": ["rls"] * n1 + ["control"] * n2,
        }
    )


def _t(y, patients):
    a, b = y[patients], y[~patients]
    s2 = (np.square(a - a.mean(0)).sum(0) + np.square(b - b.mean(0)).sum(0)) / (len(y) - 2)
    return (a.mean(0) - b.mean(0)) / np.sqrt(s2 * (1 / len(a) + 1 / len(b)))


@pytest.mark.parametrize(("n1", "n2", "count"), [(5, 5, 252), (3, 3, 20), (4, 2, 15)])
@pytest.mark.parametrize("sign", ["two-sided", "positive", "negative"])
def test_two_sample_is_every_combination(rng, n1, n2, count, sign):
    y = rng.normal(size=(n1 + n2, 4)) + np.r_[np.ones(n1), np.zeros(n2)][:, None]
    made = _model("~ group", _two(n1, n2), "rls - control")
    got = permute(y, made, Settings("max-t", 999, sign=sign), each=True)
    assert got.plan.exhaustive
    assert got.plan.n == got.plan.possible == count == math.comb(n1 + n2, n1)
    assert got.plan.seed is None
    way = {"two-sided": np.abs, "positive": lambda t: t, "negative": lambda t: -t}[sign]
    every = []
    for chosen in itertools.combinations(range(n1 + n2), n1):
        patients = np.isin(np.arange(n1 + n2), chosen)
        every.append(way(_t(y, patients)))
    every = np.array(every)
    seen = way(_t(y, np.arange(n1 + n2) < n1))
    np.testing.assert_allclose(
        got.p_corrected, (every.max(1)[:, None] >= seen - 1e-9).mean(0), rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(
        got.p_uncorrected, (every >= seen - 1e-9).mean(0), rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(np.sort(got.maxima), np.sort(every.max(1)), atol=1e-9)


def test_pairs_are_every_flip(pairs, rng):
    y = rng.normal(size=(12, 3)) + np.tile([0.0, 1.0], 6)[:, None]
    got = permute(
        y, _model("~ session + participant", pairs, "session: blocked - baseline"), MAXT, each=True
    )
    d = y[1::2] - y[::2]
    every = []
    for signs in itertools.product((1, -1), repeat=6):
        flipped = d * np.array(signs)[:, None]
        every.append(np.abs(flipped.mean(0) / (flipped.std(0, ddof=1) / np.sqrt(6))))
    every = np.array(every)
    assert got.plan.n == 64
    np.testing.assert_allclose(
        got.p_corrected, (every.max(1)[:, None] >= every[0] - 1e-9).mean(0), atol=1e-12
    )
    np.testing.assert_allclose(got.p_uncorrected, (every >= every[0] - 1e-9).mean(0), atol=1e-12)
    assert got.p_corrected.min() >= 2 / 64


def test_one_sample_is_the_same_flips(pairs, rng):
    y = rng.normal(size=(12, 3)) + 0.5
    paired = permute(y, _model("~ session", pairs, "session: blocked - baseline"), MAXT, each=True)
    one = permute(
        y[1::2] - y[::2],
        _model("~ 1", pd.DataFrame({"participant": pairs.participant[::2]}), "intercept"),
        MAXT,
        each=True,
    )
    assert one.plan.mode == "flip"
    np.testing.assert_array_equal(paired.p_corrected, one.p_corrected)
    np.testing.assert_array_equal(paired.p_uncorrected, one.p_uncorrected)


def test_three_sessions_are_exchanged_within_people(rng):
    table = pd.DataFrame({"participant": np.repeat(["a", "b"], 3), "session": ["x", "y", "z"] * 2})
    y = rng.normal(size=(6, 2))
    got = permute(y, _model("~ session + participant", table, "session"), MAXT, each=True)
    assert got.plan.n == 36  # 3! squared
    every = []
    for one in itertools.permutations(range(3)):
        for two in itertools.permutations(range(3)):
            cells = np.array([y[:3][list(one)], y[3:][list(two)]])
            mean = cells.mean(0)
            person = cells.mean(1, keepdims=True)
            grand = cells.mean((0, 1))
            between = 2 * np.square(mean - grand).sum(0) / 2
            error = np.square(cells - mean - person + grand).sum((0, 1)) / 2
            every.append(between / error)
    every = np.array(every)
    np.testing.assert_allclose(got.p_uncorrected, (every >= every[0] - 1e-9).mean(0), atol=1e-12)


def _freedman_lane(y, x, z, rows, df):
    """|t| of the last column of [z x] for each order of the rows, by fitting P R_Z y."""
    residual = y - z @ np.linalg.lstsq(z, y, rcond=None)[0]
    full = np.column_stack([z, x])
    inverse = np.linalg.inv(full.T @ full)[-1, -1]
    out = []
    for order in rows:
        moved = residual[order]
        beta, *_ = np.linalg.lstsq(full, moved, rcond=None)
        s2 = np.square(moved - full @ beta).sum(0) / df
        out.append(np.abs(beta[-1]) / np.sqrt(s2 * inverse))
    return np.array(out)


def test_freedman_lane_with_a_nuisance_is_a_refit_of_permuted_residuals(rng):
    n = 6
    table = pd.DataFrame(
        {"participant": list("abcdef"), "score": rng.normal(size=n), "age": rng.normal(size=n)}
    )
    y = rng.normal(size=(n, 3)) + table.age.to_numpy()[:, None]
    got = permute(y, _model("~ score + age", table, "score"), MAXT, each=True)
    assert got.plan.n == 720
    every = _freedman_lane(
        y,
        table.score.to_numpy(),
        np.column_stack([np.ones(n), table.age]),
        [list(p) for p in itertools.permutations(range(n))],
        n - 3,
    )
    np.testing.assert_allclose(
        got.p_corrected, (every.max(1)[:, None] >= every[0] - 1e-9).mean(0), atol=1e-12
    )
    np.testing.assert_allclose(got.p_uncorrected, (every >= every[0] - 1e-9).mean(0), atol=1e-12)


def test_blocks_hold_people_inside(rng):
    table = _two(4, 4).assign(site=["a", "b"] * 4)
    y = rng.normal(size=(8, 2))
    made = _model("~ group + site", table, "rls - control")
    got = permute(y, made, MAXT, blocks=table.site.to_numpy(), each=True)
    assert got.plan.n == 36  # C(4, 2) squared
    site = (table.site == "b").to_numpy().astype(float)
    patients = (table.group == "rls").to_numpy().astype(float)
    orders = []
    for one in itertools.permutations(range(0, 8, 2)):
        for two in itertools.permutations(range(1, 8, 2)):
            order = np.empty(8, int)
            order[::2], order[1::2] = one, two
            orders.append(order)
    every = _freedman_lane(y, patients, np.column_stack([np.ones(8), site]), orders, 5)
    np.testing.assert_allclose(got.p_uncorrected, (every >= every[0] - 1e-9).mean(0), atol=1e-12)


def test_identity_gives_the_observed_statistic(groups, rng):
    y = rng.normal(size=(27, 1))
    made = _model("~ group * age + sex", groups, "group:age")
    got = permute(y, made, MAXT)
    assert got.maxima[0] == pytest.approx(abs(fit(y, made).statistic[0]), rel=1e-9)
    made = _model("~ group * age + sex", groups, "group, age")
    got = permute(y, made, MAXT)
    assert got.maxima[0] == pytest.approx(fit(y, made).statistic[0], rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(scale=st.floats(1e-3, 1e3), shift=st.floats(-50, 50), slope=st.floats(-5, 5))
def test_p_does_not_see_scale_or_nuisance(scale, shift, slope):
    rng = np.random.default_rng(8)
    table = _two(6, 5).assign(age=rng.normal(size=11))
    y = rng.normal(size=(11, 3))
    made = _model("~ group + age", table, "rls - control")
    plain = permute(y, made, Settings("max-t", 200), each=True)
    other = permute(
        scale * y + shift + slope * table.age.to_numpy()[:, None],
        made,
        Settings("max-t", 200),
        each=True,
    )
    np.testing.assert_array_equal(plain.p_corrected, other.p_corrected)
    np.testing.assert_array_equal(plain.p_uncorrected, other.p_uncorrected)


def test_ties_under_float_noise(rng):
    """3 + 3 with equal values: p are multiples of 1/20 and count the ties."""
    made = _model("~ group", _two(3, 3), "rls - control")
    base = np.array([3.0, 3.0, 2.0, 2.0, 1.0, 1.0])
    exact = permute(base[:, None], made, MAXT, each=True).p_uncorrected[0]
    every = np.array(
        [
            abs(base[list(c)].sum() - (12 - base[list(c)].sum()))
            for c in itertools.combinations(range(6), 3)
        ]
    )
    assert exact == (every >= every[0]).mean()
    for _ in range(20):
        noisy = (base + rng.normal(0, 1e-7, 6)).astype(np.float32)[:, None]
        assert permute(noisy, made, MAXT, each=True).p_uncorrected[0] == exact
    assert permute(np.float64([[1], [1], [1], [0], [0], [0.1]]), made, MAXT).p_corrected[0] == 0.1


@pytest.mark.parametrize("formula", ["~ group", "~ group + age", "~ group * age"])
def test_threads_and_dtype(groups, rng, formula):
    y = rng.normal(20, 3, (27, 1203)).astype(np.float32)
    made = _model(formula, groups, "rls - control")
    settings = Settings("max-t", 333, seed=11)
    one = permute(y, made, settings, each=True)
    for workers in (2, 3):
        other = permute(y, made, settings, each=True, workers=workers)
        assert one.maxima.tobytes() == other.maxima.tobytes()
        assert one.p_corrected.tobytes() == other.p_corrected.tobytes()
        assert one.p_uncorrected.tobytes() == other.p_uncorrected.tobytes()
    wide = permute(y.astype(float), made, settings)
    np.testing.assert_array_equal(one.p_corrected, wide.p_corrected)


def test_batches_do_not_matter(groups, rng, monkeypatch):
    from ekbom.inference.permute import engine

    y = rng.normal(20, 3, (27, 700))
    made = _model("~ group + age", groups, "rls - control")
    one = permute(y, made, MAXT)
    monkeypatch.setattr(engine, "BLOCK", 12)
    two = permute(y, made, MAXT)
    assert one.maxima.tobytes() == two.maxima.tobytes()


def test_each_outcome_is_independent_of_its_place(groups, rng):
    y = rng.normal(20, 3, (27, 1100))
    made = _model("~ group + age", groups, "rls - control")
    order = rng.permutation(1100)
    one, two = permute(y, made, MAXT), permute(y[:, order], made, MAXT)
    assert one.maxima.tobytes() == two.maxima.tobytes()
    assert one.p_corrected[order].tobytes() == two.p_corrected.tobytes()


def test_seed_and_identity(groups, rng):
    y = rng.normal(size=(27, 3))
    made = _model("~ group", groups, "rls - control")
    plan = plan_for(made, MAXT)
    assert not plan.exhaustive
    assert plan.possible == math.comb(27, 12)
    assert plan.seed == 5
    assert len(np.unique(plan.rows, axis=0)) == plan.n == 999
    np.testing.assert_allclose(made.x[plan.rows[0]], made.x)
    again = plan_for(made, MAXT)
    np.testing.assert_array_equal(plan.rows, again.rows)
    other = plan_for(made, Settings("max-t", 999, seed=6))
    assert not np.array_equal(plan.rows, other.rows)
    assert permute(y, made, MAXT).p_corrected.min() >= 1 / 999


def test_drawn_relabellings_are_uniform_and_without_repeats(rng):
    """25,200 possible, 22,000 asked for: nearly all, each once, and no group favoured."""
    x = np.eye(4)[np.repeat([0, 1, 2, 3], [4, 3, 2, 1])]
    plan = exchange(x, None, 100, 0)
    assert plan.possible == 12_600
    assert plan.exhaustive
    assert len(np.unique(plan.rows, axis=0)) == 12_600
    x = np.eye(4)[np.repeat([0, 1, 2, 3], [4, 3, 3, 1])]
    plan = exchange(x, None, 2_000, 3)
    assert plan.possible == 46_200 > ENUMERATE
    assert len(np.unique(plan.rows, axis=0)) == 2_000
    at_first = np.bincount(plan.rows[1:, 0], minlength=11)[[0, 4, 7, 10]] / 1_999
    np.testing.assert_allclose(at_first, np.array([4, 3, 3, 1]) / 11, atol=0.05)


def test_flips(rng):
    plan = flip(5, None, 100, 0)
    assert plan.n == 32
    assert (plan.signs[0] == 1).all()
    assert len(np.unique(plan.signs, axis=0)) == 32
    plan = flip(20, None, 500, 1)
    assert (plan.n, plan.possible, plan.exhaustive) == (500, 2**20, False)
    assert len(np.unique(plan.signs, axis=0)) == 500
    together = flip(6, np.array([0, 0, 1, 1, 2, 2]), 100, 0)
    assert together.n == 8
    assert (together.signs[:, ::2] == together.signs[:, 1::2]).all()


def test_nothing_to_exchange_is_refused():
    with pytest.raises(Refused, match="nothing to exchange"):
        exchange(np.ones((5, 1)), None, 100, 0)
    with pytest.raises(Refused):
        exchange(np.arange(4.0)[:, None], np.arange(4), 100, 0)


def test_threshold_is_where_p_passes_alpha(rng):
    made = _model("~ group", _two(5, 5), "rls - control")
    got = permute(rng.normal(size=(10, 3)), made, Settings("max-t", 999, alpha=0.1))
    assert (got.maxima >= got.threshold).mean() <= 0.1 + 1e-12
    below = got.maxima[got.maxima < got.threshold].max()
    assert (got.maxima >= below).mean() > 0.1
    few = _model("~ group", _two(3, 3), "rls - control")
    assert permute(rng.normal(size=(6, 2)), few, Settings("max-t", 999, alpha=0.01)).threshold == (
        math.inf
    )
