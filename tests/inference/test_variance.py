"""Unequal variances, shrinkage, masks and global scaling."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ekbom.errors import Refused
from ekbom.inference import Settings, answer_voxels, fit
from ekbom.inference.masking import usable
from ekbom.inference.question import ask
from ekbom.inference.variance import Welch, groups_of, pooled, reml, shrunk

AFFINE = np.eye(4)
MASK = np.ones((4, 5, 3), bool)
N = 60


def _table(n1=9, n2=6):
    return pd.DataFrame(
        {
            "participant": [f"s{i:02d}" for i in range(n1 + n2)],
            "group": ["rls"] * n1 + ["control"] * n2,
        }
    )


def _values(table, ratio=3.0, seed=0):
    rng = np.random.default_rng(seed)
    wide = np.where(table.group == "rls", np.sqrt(ratio), 1.0)
    return 20 + wide[:, None] * rng.standard_normal((len(table), N))


def _asked(table, formula="~ group", test="rls - control", **more):
    settings = Settings(**more)
    return ask(table, formula, test, "u", settings)


def test_v_is_welch():
    table = _table()
    y = _values(table)
    q = _asked(table, variance="voxel")
    label = groups_of(q.design, q.model, q.settings)
    value, df = Welch(y, q.model, label, q.settings).statistic()
    truth = stats.ttest_ind(y[:9], y[9:], equal_var=False)
    np.testing.assert_allclose(value, truth.statistic, rtol=1e-10)
    np.testing.assert_allclose(df, truth.df, rtol=1e-10)


def test_g_is_welchs_anova():
    rng = np.random.default_rng(2)
    sizes, spread = (6, 8, 5), (1.0, 2.0, 0.5)
    table = pd.DataFrame(
        {
            "participant": [f"s{i:02d}" for i in range(19)],
            "site": np.repeat(["a", "b", "c"], sizes),
        }
    )
    y = rng.standard_normal((19, 7)) * np.repeat(spread, sizes)[:, None]
    q = _asked(table, "~ site", "site", variance="voxel", variance_groups="site")
    value, df = Welch(y, q.model, groups_of(q.design, q.model, q.settings), q.settings).statistic()
    # Welch 1951
    parts = np.split(y, np.cumsum(sizes)[:-1])
    n = np.array(sizes)[:, None]
    mean = np.stack([p.mean(axis=0) for p in parts])
    w = n / np.stack([p.var(axis=0, ddof=1) for p in parts])
    k = 3
    grand = (w * mean).sum(axis=0) / w.sum(axis=0)
    gap = ((1 - w / w.sum(axis=0)) ** 2 / (n - 1)).sum(axis=0)
    f = (w * (mean - grand) ** 2).sum(axis=0) / (k - 1)
    f /= 1 + 2 * (k - 2) / (k**2 - 1) * gap
    np.testing.assert_allclose(value, f, rtol=1e-9)
    np.testing.assert_allclose(df, (k**2 - 1) / 3 / gap, rtol=1e-9)


def test_v_by_sign_flips_equals_enumeration():
    table = _table(4, 4)
    y = _values(table, seed=3)
    got = answer_voxels(
        y, MASK, AFFINE, "u", table, "~ group", "rls - control",
        Settings("max-t", variance="voxel"),
    )  # fmt: skip
    assert got.meta["exchange"] == "flip"
    centred = y - y.mean(axis=0)
    nulls = []
    for signs in itertools.product((1, -1), repeat=8):
        f = centred * np.array(signs)[:, None]
        nulls.append(np.abs(stats.ttest_ind(f[:4], f[4:], equal_var=False).statistic).max())
    np.testing.assert_allclose(
        np.sort(got.table("null").frame.max_t), np.sort(nulls), rtol=1e-5, atol=1e-9
    )
    assert "Aspin-Welch" in got.methods
    assert got.table("peaks").frame.df.iloc[0] != 6


def test_pooled_variances_are_those_of_the_groups():
    table = _table()
    y = _values(table, ratio=4.0)
    q = _asked(table)
    label = groups_of(q.design, q.model, q.settings)
    s = np.diag(np.where(label == 0, 1.0, 2.5))
    for g, rows in ((0, np.arange(9, 15)), (1, np.arange(9))):
        centre = np.eye(len(rows)) - 1 / len(rows)
        block = s[np.ix_(rows, rows)]
        h = reml(s, np.eye(2)[label], label)
        assert h[g] == pytest.approx(np.trace(centre @ block) / (len(rows) - 1), rel=1e-9)
    made, h = pooled(y, q.model, label)
    assert h[label].mean() == pytest.approx(1)
    assert h[1] / h[0] == pytest.approx(4.0, rel=0.6)
    # everywhere the same weights: a weighted fit by hand
    w = 1 / h[label]
    x = q.model.x
    inverse = np.linalg.inv(x.T @ (w[:, None] * x))
    beta = inverse @ x.T @ (w[:, None] * y)
    e = y - x @ beta
    se = np.sqrt((w[:, None] * e**2).sum(axis=0) / 13 * (q.model.c @ inverse @ q.model.c.T)[0, 0])
    np.testing.assert_allclose(fit(y, made).statistic, (q.model.c @ beta)[0] / se, rtol=1e-9)


def test_pooled_is_not_welch():
    """Unequal variance in half of the brain: pooled weights are equal everywhere."""
    table = _table()
    y = _values(table, ratio=1.0)
    y[:9, : N // 2] = 20 + 3 * (y[:9, : N // 2] - 20)
    q = _asked(table)
    label = groups_of(q.design, q.model, q.settings)
    made, _ = pooled(y, q.model, label)
    ratio = fit(y, made).se / fit(y, q.model).se
    v, _ = Welch(y, q.model, label, q.settings).statistic()
    welch = np.abs(fit(y, q.model).statistic / v)
    halves = [slice(None, N // 2), slice(N // 2, None)]
    assert welch[halves[0]].mean() / welch[halves[1]].mean() < 0.97
    assert made.weight is not None
    assert np.unique(made.weight.round(12)).size == 2
    assert np.isfinite(ratio).all()


def test_permutation_of_pooled_weights_keeps_the_observed_t():
    table = _table(5, 5)
    y = _values(table)
    settings = Settings("max-t", variance="pooled")
    got = answer_voxels(y, MASK, AFFINE, "u", table, "~ group", "rls - control", settings)
    t = next(m for m in got.maps if m.parameter == "stat-t").values
    assert np.abs(t).max() == pytest.approx(abs(got.table("peaks").frame["T"]).max(), rel=1e-6)
    assert set(got.meta["group_variances"]) == {"control", "rls"}
    assert "pooled over voxels" in got.methods


def test_shrinkage_by_hand_and_a_wild_voxel():
    table = _table()
    y = _values(table)
    found = fit(y, _asked(table).model)
    got, where, _ = shrunk(found)
    s2 = found.sigma**2
    assert where == np.argmax(s2)
    np.testing.assert_allclose(got.sigma**2, s2 + 1e-3 * s2.max())
    np.testing.assert_allclose(
        got.statistic, found.statistic * np.sqrt(s2 / (s2 + 1e-3 * s2.max()))
    )
    wild = y.copy()
    wild[:, 7] = 20 + 40 * (wild[:, 7] - 20)
    plain = answer_voxels(
        y, MASK, AFFINE, "u", table, "~ group", "rls - control", Settings(shrinkage=True)
    )
    after = answer_voxels(
        wild, MASK, AFFINE, "u", table, "~ group", "rls - control", Settings(shrinkage=True)
    )
    t, u = (next(m for m in a.maps if m.parameter == "stat-t") for a in (plain, after))
    others = np.delete(np.arange(N), 7)
    assert (np.abs(u.values.ravel()[others]) < 0.8 * np.abs(t.values.ravel()[others]) + 1e-9).all()
    assert after.meta["ResidualVarianceShrinkage"] is True
    assert after.meta["shrinkage"]["at_mm"] == [0, 2, 1]
    default = answer_voxels(y, MASK, AFFINE, "u", table, "~ group", "rls - control", Settings())
    assert default.maps[0].meta["ResidualVarianceShrinkage"] is False
    with pytest.raises(Refused, match="shrinkage"):
        answer_voxels(
            y, MASK, AFFINE, "u", table, "~ group", "rls - control",
            Settings("max-t", shrinkage=True),
        )  # fmt: skip


def test_variance_groups_are_refused_by_name():
    table = _table()
    y = _values(table)
    for more in ({"variance_groups": "nothing"}, {"variance_groups": "site"}):
        with pytest.raises(Refused, match="varianc"):
            answer_voxels(
                y, MASK, AFFINE, "u", table.assign(site="x"), "~ group", "rls - control",
                Settings(variance="pooled", **more),
            )  # fmt: skip


def test_zeros_of_float_maps():
    table = _table()
    y = _values(table)
    y[3, :10] = 0.0
    drop = answer_voxels(y, MASK, AFFINE, "u", table, "~ group", "rls - control", Settings())
    spm = answer_voxels(
        y, MASK, AFFINE, "u", table, "~ group", "rls - control", Settings(preset="spm")
    )
    assert drop.meta["mask"]["zero"] == 10
    assert drop.meta["mask"]["used"] == N - 10
    assert spm.meta["mask"]["used"] == N
    assert any("exactly 0" in w for w in spm.meta["warnings"])
    assert spm.meta["mask"]["zeros_kept"] == 10


def test_people_with_voxels_that_are_not_finite_are_named():
    table = _table()
    y = _values(table)
    y[3, :4] = np.nan
    y[5, 9] = np.inf
    got = answer_voxels(y, MASK, AFFINE, "u", table, "~ group", "rls - control", Settings())
    assert "Voxels that are not finite: s03 4, s05 1." in got.meta["warnings"]
    assert got.meta["mask"]["not_finite"] == 5


def test_thresholds_absolute_and_of_the_global_mean():
    y = np.array([[1.0, 5, 9, 9], [9.0, 9, 1, 8]])
    good, tally = usable(y, Settings(threshold=2.0))
    assert good.tolist() == [False, True, False, True]
    assert tally.under_threshold == 2
    good, _ = usable(y, Settings(threshold=0.9, threshold_of="global"))
    assert good.tolist() == [False, False, False, True]


def test_global_scaling_and_its_test():
    table = _table()
    rng = np.random.default_rng(1)
    y = _values(table, ratio=1.0) * rng.uniform(0.8, 1.2, 15)[:, None]
    y[:9] *= 1.2
    asked = ("~ group", "rls - control")
    scaled = answer_voxels(y, MASK, AFFINE, "u", table, *asked, Settings(scaling="proportional"))
    by_hand = fit(y * 50 / y.mean(axis=1, keepdims=True), _asked(table).model)
    np.testing.assert_allclose(scaled.maps[0].values.ravel(), by_hand.statistic, rtol=1e-5)
    told = scaled.meta["global"]
    truth = stats.ttest_ind(y[:9].mean(axis=1), y[9:].mean(axis=1))
    assert told["p"] == pytest.approx(truth.pvalue)
    assert told["groups"]["rls"]["mean"] == pytest.approx(y[:9].mean())
    assert "Global mean" in scaled.methods
    assert "took that part of the effect away" in scaled.methods
    both = table.assign(g=y.mean(axis=1))
    ancova = answer_voxels(y, MASK, AFFINE, "u", table, *asked, Settings(scaling="ancova"))
    by_hand = fit(y, _asked(both, "~ group + g").model)
    np.testing.assert_allclose(ancova.maps[0].values.ravel(), by_hand.statistic, rtol=1e-5)
    assert ancova.meta["df"] == 12
    plain = answer_voxels(y, MASK, AFFINE, "u", table, *asked, Settings())
    assert plain.meta["global"]["scaling"] == "none"
    with pytest.raises(Refused, match="global mean"):
        answer_voxels(y - 50, MASK, AFFINE, "u", table, *asked, Settings(scaling="proportional"))


def test_a_thousand_added_moves_t_little_in_float32():
    table = _table(5, 5)
    y = (_values(table) - 20).astype(np.float32)
    moved = (y + np.float32(1000)).astype(np.float32)
    back = (moved - np.float32(1000)).astype(np.float32)  # what float32 holds of it
    settings = Settings("tfce", forming=1.0)
    asked = ("~ group", "rls - control", settings)
    one = answer_voxels(back, MASK, AFFINE, "u", table, *asked)
    two = answer_voxels(moved, MASK, AFFINE, "u", table, *asked)
    np.testing.assert_allclose(one.maps[0].values, two.maps[0].values, atol=1e-4)
    np.testing.assert_allclose(
        one.table("null").frame.max_t, two.table("null").frame.max_t, rtol=1e-5
    )
