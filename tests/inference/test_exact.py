"""Exact tests against enumeration and scipy; intervals against the test they invert."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ekbom.errors import Refused
from ekbom.inference import Settings, answer_regions
from ekbom.inference.exact import rank_correlation, rank_sum, signed_rank


@pytest.mark.parametrize("ties", [False, True])
def test_rank_sum_is_every_regrouping(rng, ties):
    for n, m in ((3, 3), (4, 5), (2, 7)):
        v = rng.normal(size=n + m) * 3
        v = np.round(v) if ties else v
        got = rank_sum(v[:n], v[n:])
        r = stats.rankdata(v)
        sums = [r[list(g)].sum() for g in itertools.combinations(range(n + m), n)]
        mean = n * (n + m + 1) / 2
        want = np.mean(np.abs(np.array(sums) - mean) >= abs(r[:n].sum() - mean) - 1e-9)
        assert got.p == pytest.approx(want, abs=1e-12)
        assert got.possible == len(sums)
        if not ties:
            scipys = stats.mannwhitneyu(v[:n], v[n:], method="exact").pvalue
            assert got.p == pytest.approx(scipys, abs=1e-12)


@pytest.mark.parametrize("ties", [False, True])
def test_signed_rank_is_every_change_of_sign(rng, ties):
    for n in (4, 7, 9):
        d = rng.normal(0.5, 2, n)
        d = np.where(np.round(d) == 0, 1.0, np.round(d)) if ties else d
        got = signed_rank(d)
        r = stats.rankdata(np.abs(d))
        sums = np.array([(np.array(s) * r).sum() for s in itertools.product((0, 1), repeat=n)])
        want = np.mean(np.abs(sums - r.sum() / 2) >= abs(r[d > 0].sum() - r.sum() / 2) - 1e-9)
        assert got.p == pytest.approx(want, abs=1e-12)
        if not ties:
            assert got.p == pytest.approx(stats.wilcoxon(d, mode="exact").pvalue, abs=1e-12)


def test_rank_correlation_is_every_order(rng):
    x, y = rng.normal(size=(2, 6))
    got = rank_correlation(x, y)
    every = [stats.spearmanr(x, y[list(o)]).statistic for o in itertools.permutations(range(6))]
    assert got.statistic == pytest.approx(stats.spearmanr(x, y).statistic)
    assert got.p == pytest.approx(np.mean(np.abs(every) >= abs(got.statistic) - 1e-10))


def test_intervals_invert_the_tests(rng):
    a, b = rng.normal(1, 1, 6), rng.normal(0, 1, 7)
    got = rank_sum(a, b)
    for shift, rejected in (
        (got.low - 1e-6, True), (got.low + 1e-6, False),
        (got.high - 1e-6, False), (got.high + 1e-6, True),
    ):  # fmt: skip
        assert (rank_sum(a - shift, b).p <= 0.05) == rejected
    d = rng.normal(1, 1, 8)
    got = signed_rank(d)
    for shift, rejected in (
        (got.low - 1e-6, True), (got.low + 1e-6, False),
        (got.high - 1e-6, False), (got.high + 1e-6, True),
    ):  # fmt: skip
        assert (signed_rank(d - shift).p <= 0.05) == rejected


def test_coverage_is_what_is_said(rng):
    inside, said = 0, 0.0
    for _ in range(1500):
        a, b = rng.normal(0.7, 1, 5), rng.normal(0, 1, 6)
        got = rank_sum(a, b)
        inside += got.low <= 0.7 <= got.high
        said = got.coverage
    assert said >= 0.95
    assert inside / 1500 == pytest.approx(said, abs=3.3 * np.sqrt(said * (1 - said) / 1500))


def test_too_few_have_no_bounds_and_too_many_are_refused():
    assert signed_rank([1.0, 2.0, 3.0]).low == -np.inf
    assert signed_rank([0.0, 0.0]).p == 1.0
    for wrong in (
        lambda: rank_sum([1.0, np.nan], [2.0]),
        lambda: rank_sum([], [2.0]),
        lambda: rank_correlation(range(10), range(10)),
        lambda: signed_rank(np.ones(500)),
    ):
        with pytest.raises(Refused):
            wrong()


def _regions(table, formula, test, values, **more):
    names = [f"r{j}" for j in range(values.shape[1])]
    return answer_regions(
        values, names, "u", table, formula, test, Settings("parametric", exact=True, **more)
    )


def test_columns_of_a_region_table_are_these_tests(rng):
    y = rng.normal(size=(9, 3))
    who = [f"s{i}" for i in range(9)]
    two = pd.DataFrame({"participant": who, "group": ["rls"] * 4 + ["control"] * 5})
    frame = _regions(two, "~ group", "rls - control", y).table("regions").frame
    want = [rank_sum(v[:4], v[4:]) for v in y.T]
    np.testing.assert_allclose(frame.p_exact, [w.p for w in want])
    np.testing.assert_allclose(frame["shift"], [w.shift for w in want])
    assert (frame.p_exact_holm >= frame.p_exact).all()
    other = _regions(two, "~ group", "control - rls", y).table("regions").frame
    np.testing.assert_allclose(other["shift"], -frame["shift"])
    np.testing.assert_allclose(other.shift_low, -frame.shift_high)
    one = _regions(two[["participant"]], "~ 1", "intercept", y)
    np.testing.assert_allclose(one.table("regions").frame.p_exact, [signed_rank(v).p for v in y.T])
    assert "exact rank test" in one.methods
    score = two[["participant"]].assign(irls=rng.permutation(9) + 10.0)[:7]
    frame = _regions(score, "~ irls", "irls", y[:7]).table("regions").frame
    np.testing.assert_allclose(frame.p_exact, [rank_correlation(score.irls, v).p for v in y[:7].T])
    pairs = pd.DataFrame({"participant": np.repeat(who, 2), "session": ["one", "two"] * 9}).sample(
        frac=1, random_state=3
    )
    twice = rng.normal(size=(18, 2))[pairs.index]
    frame = _regions(pairs, "~ session + participant", "session: two - one", twice)
    at = pairs.assign(y=twice[:, 0]).pivot_table("y", "participant", "session")
    want = signed_rank((at.two - at.one).to_numpy())
    assert frame.table("regions").frame.p_exact[0] == pytest.approx(want.p)
    assert frame.table("regions").frame["shift"][0] == pytest.approx(want.shift)


def test_designs_with_other_terms_have_no_exact_test(rng):
    table = pd.DataFrame(
        {
            "participant": [f"s{i}" for i in range(9)],
            "group": ["rls"] * 4 + ["control"] * 5,
            "age": rng.normal(50, 5, 9),
        }
    )
    y = rng.normal(size=(9, 1))
    with pytest.raises(Refused, match="exact"):
        _regions(table, "~ group + age", "rls - control", y)
    with pytest.raises(Refused, match="exact"):
        _regions(table, "~ group", "rls - control", y, sign="positive")
