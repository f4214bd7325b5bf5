"""p from the tail of the draws, and drawing that stops when enough is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ekbom.errors import Refused
from ekbom.inference import Settings, answer_regions, lattice, permute
from ekbom.inference.permute.sequential import sequential_p, stopping_draw
from ekbom.inference.permute.spatial import Exchanged, permute_maps
from ekbom.inference.permute.tail import fit_tail, survival, tail_p
from ekbom.inference.question import ask


def _table(n1, n2):
    return pd.DataFrame(
        {
            "participant": [f"s{i:02d}" for i in range(n1 + n2)],
            "group": ["rls"] * n1 + ["control"] * n2,
        }
    )


def test_survival_is_scipys():
    x = np.array([0.1, 1.0, 3.0])
    for shape in (-0.3, 0.0, 0.2):
        np.testing.assert_allclose(
            survival(x, shape, 1.5), stats.genpareto.sf(x, shape, scale=1.5), rtol=1e-12
        )


def test_exponential_maxima_have_shape_0_and_p_of_their_law():
    rng = np.random.default_rng(1)
    fits = [fit_tail(rng.exponential(size=5001)) for _ in range(20)]
    assert np.mean([f.shape for f in fits]) == pytest.approx(0.0, abs=0.03)
    logs = [np.log(f.p(np.log(1e4))) for f in fits]
    assert np.mean(logs) == pytest.approx(np.log(1e-4), abs=0.25)


def test_uniform_maxima_have_a_bounded_tail_and_p_is_never_0():
    null = np.random.default_rng(2).random(2001)
    found = fit_tail(null)
    assert found.shape == pytest.approx(-1.0, abs=0.15)
    end = found.threshold - found.scale / found.shape
    assert end == pytest.approx(1.0, abs=0.01)
    p, low, high = tail_p(null, np.array([0.5, 0.99, 0.9999]), np.array([0.5, 0.01, 0.0005]))
    assert np.isnan(p[0])  # only what is under .1 is extrapolated
    assert 0 <= low[1] < p[1] < high[1]
    assert p[1] == pytest.approx(0.01, abs=0.005)
    assert not (p[1:] == 0).any()


def test_two_pieces_are_not_taken_for_one_tail():
    rng = np.random.default_rng(3)
    broken = np.concatenate([rng.random(900), 50 + 0.01 * rng.random(100)])
    found = fit_tail(rng.permutation(broken))
    assert found is None or found.threshold >= 50


def test_besag_and_clifford_by_their_definition():
    rng = np.random.default_rng(4)
    null, values = rng.normal(size=300), rng.normal(size=40)
    got = sequential_p(null, values, 7)
    for v, p in zip(values, got, strict=True):
        hits = np.flatnonzero(null[1:] >= v) + 1
        want = 7 / hits[6] if len(hits) >= 7 else (len(hits) + 1) / len(null)
        assert p == pytest.approx(want, abs=1e-15)
    reached = null[1:, None] >= values[:2]
    last = stopping_draw(reached, 7)
    whole = [np.flatnonzero(reached[:, j])[6] + 1 for j in range(2)]
    assert last == max(whole)


def test_sequential_p_is_valid_under_the_null():
    rng = np.random.default_rng(5)
    p = np.array([sequential_p(d, d[:1], 5)[0] for d in rng.normal(size=(4000, 100))])
    for alpha in (0.05, 0.1, 0.3):
        assert (p <= alpha).mean() <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / 4000)


@pytest.fixture(scope="module")
def weak():
    rng = np.random.default_rng(6)
    mask = np.ones((5, 5, 4), bool)
    values = rng.normal(size=(20, 100)) + 10
    question = ask(_table(10, 10), "~ group", "rls - control", "u", Settings("tfce", 2000))
    return mask, values, question


def test_stopping_does_not_depend_on_chunks_or_threads(weak, monkeypatch):
    from ekbom.inference.permute import spatial

    mask, values, question = weak
    settings = Settings("tfce", 2000, enough=20)

    def run(workers=1):
        maps = Exchanged(values, question.model, settings)
        return permute_maps(
            maps, lattice(mask), settings, forming=2.0, df=18, enough=20, workers=workers
        )

    plain = run()
    assert plain.plan.n < 2000
    whole = permute_maps(
        Exchanged(values, question.model, settings), lattice(mask), settings, forming=2.0, df=18
    )
    for key, null in plain.nulls.items():
        np.testing.assert_array_equal(null, whole.nulls[key][: plain.plan.n])
        hits = np.flatnonzero(whole.nulls[key][1:] >= null[0] * (1 - 1e-5))
        assert plain.p(key, null[0]) == pytest.approx(20 / (hits[19] + 1))
    # the last draw is the one at which the slowest of them was reached for the 20th time
    counts = [(null[1:] >= null[0] * (1 - 1e-5)).sum() for null in plain.nulls.values()]
    assert min(counts) == 20
    maps, ball = Exchanged(values, question.model, settings), np.arange(100) < 30
    how = {"forming": 2.0, "df": 18, "enough": 20, "volumes": [("ball", ball)]}
    all_of_them, each = (
        permute_maps(maps, lattice(mask), settings, **how, alone=alone) for alone in (False, True)
    )
    for key, null in each.nulls.items():
        np.testing.assert_array_equal(null, all_of_them.nulls[key][: len(null)])
        assert (null[1:] >= null[0] * (1 - 1e-5)).sum() == 20
        assert each.p(key, null[0]) == all_of_them.p(key, null[0])
    assert len({len(null) for null in each.nulls.values()}) > 1
    assert each.p_tfce.tobytes() == all_of_them.p_tfce.tobytes()
    monkeypatch.setattr(spatial, "CHUNK", 48)
    for workers in (1, 3):
        again = run(workers)
        assert again.plan.n == plain.plan.n
        assert again.p_tfce.tobytes() == plain.p_tfce.tobytes()


def test_regions_stop_at_the_same_draw_whatever_the_block(weak, monkeypatch):
    from ekbom.inference.permute import sequential

    _, values, question = weak
    settings = Settings("max-t", 5000, enough=20)
    got = permute(values, question.model, settings, each=True)
    many = permute(values, question.model, settings, workers=3)
    assert got.plan.n == many.plan.n < 5000
    assert got.p_uncorrected is None
    assert got.p_corrected.tobytes() == many.p_corrected.tobytes()
    hits = (got.maxima[1:] >= got.maxima[0] - 1e-9).sum()
    assert hits == 20
    assert got.p_corrected.min() == pytest.approx(20 / (got.plan.n - 1))
    assert sequential.stopping_draw(np.ones((3, 1), bool), 4) is None


def test_exhaustive_sets_take_neither(weak):
    rng = np.random.default_rng(7)
    values = rng.normal(size=(8, 3))
    table = _table(4, 4)
    names = ["a", "b", "c"]
    plain = (
        answer_regions(values, names, "u", table, "~ group", "rls - control", Settings("max-t"))
        .table("regions")
        .frame
    )
    for more in ({"tail": True}, {"enough": 5}):
        got = answer_regions(
            values, names, "u", table, "~ group", "rls - control", Settings("max-t", **more)
        )
        pd.testing.assert_frame_equal(got.table("regions").frame, plain)
        assert got.meta["exhaustive"]
        assert got.meta["enough"] is None
        assert got.meta["tail"] is False


def test_tail_stands_beside_p_and_is_told(weak):
    _, values, _ = weak
    values = values.copy()
    values[:10, 0] += 2.0
    got = answer_regions(
        values[:, :4], ["a", "b", "c", "d"], "u", _table(10, 10), "~ group", "rls - control",
        Settings("max-t", 500, tail=True),
    )  # fmt: skip
    row = got.table("regions").frame.iloc[0]
    assert row.p_maxT >= 1 / 500
    assert 0 < row.p_tail < 0.02
    assert row.p_tail_low <= row.p_tail <= row.p_tail_high
    assert "Pareto" in got.methods
    stopped = answer_regions(
        values[:, 1:4], ["b", "c", "d"], "u", _table(10, 10), "~ group", "rls - control",
        Settings("max-t", 5000, enough=20),
    )  # fmt: skip
    assert "Besag" in stopped.methods
    assert "p_perm" not in stopped.table("regions").frame
    assert not any("permutation cannot reach" in w for w in stopped.meta["warnings"])


def test_both_at_once_are_refused():
    with pytest.raises(Refused, match="tail"):
        Settings("max-t", tail=True, enough=20)
