"""Rank and bent correlation: scipy, Wilcox's formula, enumeration, invariance."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ekbom.errors import Refused
from ekbom.inference import Settings, answer_regions, answer_voxels, permute
from ekbom.inference.correlation import bent, mid_ranks, scored
from ekbom.inference.question import ask


def _table(n, rng, **more):
    return pd.DataFrame(
        {"participant": [f"s{i:02d}" for i in range(n)], "irls": rng.normal(25, 6, n)} | more
    )


def _r(values, table, formula, how, **more):
    got = answer_regions(
        values, [f"r{j}" for j in range(values.shape[1])], "u", table, formula, "irls",
        Settings("parametric", correlation=how, **more),
    )  # fmt: skip
    return got.table("regions").frame


def test_spearman_is_scipys_with_ties(rng):
    table = _table(14, rng)
    table["irls"] = table.irls.round(-1)
    values = np.round(rng.normal(size=(14, 3)), 1) + 20
    frame = _r(values, table, "~ irls", "spearman")
    want = [stats.spearmanr(table.irls, y).statistic for y in values.T]
    np.testing.assert_allclose(frame.r, want, atol=1e-12)
    plain = _r(values, table, "~ irls", "pearson")
    np.testing.assert_allclose(frame.effect, plain.effect)
    np.testing.assert_allclose(frame.se, plain.se)
    assert (frame.r != plain.r).all()


def test_partial_rank_correlation_is_that_of_residual_ranks(rng):
    table = _table(16, rng, age=rng.normal(50, 8, 16))
    values = rng.normal(size=(16, 2)) + table.age.to_numpy()[:, None] / 10
    frame = _r(values, table, "~ irls + age", "spearman")
    x, z = (stats.rankdata(table[c]) for c in ("irls", "age"))
    for j in range(2):
        y = stats.rankdata(values[:, j])
        a, b = (v - np.polyval(np.polyfit(z, v, 1), z) for v in (x, y))
        assert frame.r[j] == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-12)


def test_ranks_do_not_see_a_monotone_change(rng):
    table = _table(15, rng)
    values = rng.normal(size=(15, 3))
    one = _r(values, table, "~ irls", "spearman")
    two = _r(np.exp(values), table.assign(irls=table.irls**3), "~ irls", "spearman")
    np.testing.assert_allclose(one.r, two.r, atol=1e-12)
    assert not np.allclose(one.effect, two.effect)


def _wilcox(x, beta=0.2):
    """Percentage-bend scores by the steps of the book."""
    n, median = len(x), np.median(x)
    w = sorted(abs(x - median))
    omega = w[int(np.floor((1 - beta) * n + 0.5)) - 1]
    psi = (x - median) / omega
    i1, i2 = (psi < -1).sum(), (psi > 1).sum()
    s = x[(psi >= -1) & (psi <= 1)].sum()
    phi = (omega * (i2 - i1) + s) / (n - i1 - i2)
    return np.clip((x - phi) / omega, -1, 1)


def test_bent_scores_are_wilcoxs_and_an_outlier_counts_little(rng):
    x, y = rng.normal(size=(2, 21))
    y = y + x
    a, b = _wilcox(x), _wilcox(y)
    np.testing.assert_allclose(bent(x[:, None])[:, 0], a, atol=1e-12)
    book = (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum())
    table = _table(21, rng).assign(irls=x)
    frame = _r(np.c_[y, y], table, "~ irls", "bend")
    # ours takes the mean of the scores off, which the book leaves in; it is nearly 0
    assert frame.r[0] == pytest.approx(book, abs=0.02)
    wild = y.copy()
    wild[0] = 1e3
    moved = _r(np.c_[y, wild], table, "~ irls", "bend").r
    raw = _r(np.c_[y, wild], table, "~ irls", "pearson").r
    assert abs(moved[1] - moved[0]) < 0.2 < abs(raw[1] - raw[0])
    assert (bent(np.ones((9, 1))) == 0).all()


@pytest.mark.parametrize("how", ["spearman", "bend"])
def test_permutation_of_scores_is_every_order(rng, how):
    n = 6
    table = _table(n, rng)
    values = rng.normal(size=(n, 3))
    settings = Settings("max-t", correlation=how)
    question = ask(table, "~ irls", "irls", "u", settings)
    scores, made, found = scored(values, question)
    got = permute(scores, made, settings)
    score = mid_ranks if how == "spearman" else bent
    x, y = score(table[["irls"]].to_numpy())[:, 0], score(values)
    most = [
        max(abs(np.corrcoef(x[list(order)], y[:, j])[0, 1]) for j in range(3))
        for order in itertools.permutations(range(n))
    ]
    r = np.array([abs(np.corrcoef(x, y[:, j])[0, 1]) for j in range(3)])
    p = (np.array(most)[:, None] >= r - 1e-10).mean(axis=0)
    assert got.plan.n == 720
    np.testing.assert_allclose(got.p_corrected, p, atol=1e-12)
    t = r / np.sqrt((1 - r**2) / (n - 2))
    np.testing.assert_allclose(np.abs(found.statistic), t, rtol=1e-9)


def test_maps_by_ranks(rng):
    mask = np.ones((4, 4, 3), bool)
    table = _table(12, rng)
    values = rng.normal(size=(12, 48)).astype(np.float32) + np.float32(20)
    got = answer_voxels(
        values, mask, np.eye(4), "u", table, "~ irls", "irls",
        Settings("tfce", 200, correlation="spearman", forming=1.5),
    )  # fmt: skip
    t = next(m for m in got.maps if m.parameter == "stat-t").values[mask]
    r = np.array([stats.spearmanr(table.irls, y).statistic for y in values.T])
    np.testing.assert_allclose(t, r * np.sqrt(10 / (1 - r**2)), rtol=1e-4, atol=1e-6)
    best = got.table("peaks").frame.iloc[0]
    assert best.r == pytest.approx(r[np.argmax(np.abs(t))], abs=1e-5)
    assert got.table("null").frame.max_t[0] == pytest.approx(np.abs(t).max(), rel=1e-5)
    assert "Spearman" in got.methods
    # values stay as they were measured
    shown = got.table("values").frame["peak-" + f"{best.cluster}.{best.peak}"]
    assert shown.between(10, 30).all()


def test_what_has_no_rank_correlation_is_refused(groups):
    table = groups.assign(irls=np.arange(len(groups), dtype=float))
    values = np.random.default_rng(0).normal(size=(len(groups), 2))
    for formula, test in (("~ group", "rls - control"), ("~ irls * age", "irls")):
        with pytest.raises(Refused, match="correlation"):
            answer_regions(
                values, ["a", "b"], "u", table, formula, test,
                Settings("parametric", correlation="spearman", allow=("severity-with-controls",)),
            )  # fmt: skip
