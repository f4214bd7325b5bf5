"""Exchange inside blocks, of whole blocks and both, with and without signs: brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from ekbom.errors import Refused
from ekbom.inference import Settings, answer_regions, permute
from ekbom.inference.permute.engine import plan_for
from ekbom.inference.question import ask


def _ask(table, formula="~ group", test="rls - control", **more):
    return ask(table, formula, test, "u", Settings("max-t", 100, **more))


def _families(kinds):
    """Families of two, all of one group; ``kinds`` says which."""
    return pd.DataFrame(
        {
            "participant": [f"s{i}" for i in range(2 * len(kinds))],
            "group": np.repeat(kinds, 2),
            "family": np.repeat([f"f{i}" for i in range(len(kinds))], 2),
        }
    )


def _t(x, y, c):
    pinv = np.linalg.pinv(x)
    beta = pinv @ y
    s2 = np.square(y - x @ beta).sum(axis=0) / (len(x) - np.linalg.matrix_rank(x))
    return (c @ beta)[0] / np.sqrt(s2 * (c @ pinv @ pinv.T @ c.T)[0, 0])


def _brute(question, y, moves):
    """Largest |t| over every distinct relabelling of the design, by refits of residuals."""
    x, c = question.model.x, question.model.c
    null = np.linalg.svd(c)[2][len(c) :].T
    z = x @ null
    reduced = y - z @ (np.linalg.pinv(z) @ y)
    seen, most = set(), []
    for rows, signs in moves:
        moved = np.asarray(signs)[:, None] * x[list(rows)]
        key = np.round(moved, 9).tobytes()
        if key not in seen:
            seen.add(key)
            most.append(np.abs(_t(moved, reduced, c)).max())
    return np.array(most)


def _within(blocks, m):
    for picked in itertools.product(*(itertools.permutations(b) for b in blocks)):
        rows = list(range(m))
        for block, order in zip(blocks, picked, strict=True):
            for place, row in zip(block, order, strict=True):
                rows[place] = row
        yield rows


def _whole(blocks, m):
    for order in itertools.permutations(range(len(blocks))):
        rows = list(range(m))
        for block, other in zip(blocks, order, strict=True):
            for place, row in zip(block, blocks[other], strict=True):
                rows[place] = row
        yield rows


def _both(blocks, m):
    for outer in _whole(blocks, m):
        for inner in _within(blocks, m):
            yield [outer[i] for i in inner]


def _signs(groups):
    for signs in itertools.product((1, -1), repeat=max(groups) + 1):
        yield [signs[g] for g in groups]


BLOCKS = [[0, 1], [2, 3], [4, 5], [6, 7]]
CASES = {
    ("whole", "exchangeable"): (_whole, None),
    ("whole", "symmetric"): (None, [0, 0, 1, 1, 2, 2, 3, 3]),
    ("whole", "both"): (_whole, [0, 0, 1, 1, 2, 2, 3, 3]),
    ("within", "exchangeable"): (_within, None),
    ("within", "symmetric"): (None, list(range(8))),
    ("within", "both"): (_within, list(range(8))),
    ("both", "exchangeable"): (_both, None),
    ("both", "symmetric"): (None, list(range(8))),
    ("both", "both"): (_both, list(range(8))),
}


@pytest.mark.parametrize(("how", "errors"), CASES)
@pytest.mark.parametrize("formula", ["~ kind", "~ kind + dose"])
def test_every_distinct_relabelling_and_no_other(how, errors, formula):
    rng = np.random.default_rng(1)
    inside = how != "whole"
    table = pd.DataFrame(
        {
            "participant": [f"s{i}" for i in range(8)],
            "family": np.repeat(list("abcd"), 2),
            # inside families for exchange inside, between them for exchange of wholes
            "kind": ["x", "y"] * 4 if inside else np.repeat(["x", "x", "y", "y"], 2),
            "dose": [1.0, 2.0] * 4 if how == "both" else np.repeat([0.0, 1.0, 5.0, 2.0], 2),
        }
    )
    if how == "both":  # a nuisance between families with the same pattern inside
        table["dose"] = [0.0, 0.0, 1.0, 1.0, 5.0, 5.0, 2.0, 2.0]
    m = 6 if (how, errors) == ("both", "both") else 8  # 98,304 of eight rows would be sampled
    table = table[:m]
    y = rng.normal(size=(m, 3)) + 4
    question = _ask(table, formula, "y - x", blocks="family", exchange=how, errors=errors)
    got = permute(y, question.model, question.settings, blocks=question.blocks)
    exchange, groups = CASES[how, errors]
    rows = [list(range(m))] if exchange is None else list(exchange(BLOCKS[: m // 2], m))
    rows = list({question.model.x[r].tobytes(): r for r in rows}.values())  # those that differ
    signs = [[1] * m] if groups is None else list(_signs(groups[:m]))
    null = _brute(question, y, itertools.product(rows, signs))
    assert got.plan.exhaustive
    assert got.plan.n == got.plan.possible == len(null)
    np.testing.assert_allclose(np.sort(got.maxima), np.sort(null), rtol=1e-9, atol=1e-9)
    x, c = question.model.x, question.model.c
    t = np.abs(_t(x, y, c))
    assert got.maxima[0] == pytest.approx(t.max())
    p = (null[:, None] >= t - 1e-9).mean(axis=0)
    np.testing.assert_allclose(got.p_corrected, p, atol=1e-12)
    assert got.p_corrected.min() >= 1 / len(null)


def test_counts_by_formula():
    three = _families(["rls", "rls", "rls", "control", "control", "control"])
    assert plan_for(*_planned(three, exchange="whole")).possible == 20
    mixed = three.assign(group=["rls", "control"] * 6)
    assert plan_for(*_planned(mixed, exchange="within")).possible == 2**6
    assert plan_for(*_planned(mixed, exchange="within", errors="both")).possible == 2**6 * 2**12
    # every family is the same: exchange of wholes moves nothing, signs of families do
    whole = plan_for(*_planned(mixed, exchange="whole"))
    assert (whole.mode, whole.possible) == ("flip", 2**6)


def _planned(table, **more):
    question = _ask(table, blocks="family", **more)
    return question.model, question.settings, question.blocks


def test_drawn_ones_are_distinct_begin_with_the_data_and_keep_blocks_whole():
    table = _families(["rls"] * 12 + ["control"] * 10)
    model, settings, blocks = _planned(table, exchange="whole", errors="both", seed=3)
    plan = plan_for(model, settings, blocks)
    assert not plan.exhaustive
    assert plan.n == 100
    moved = plan.signs[:, :, None] * model.x[plan.rows]
    np.testing.assert_array_equal(moved[0], model.x)
    assert len({m.tobytes() for m in moved}) == 100
    assert (plan.signs[:, ::2] == plan.signs[:, 1::2]).all()
    assert (moved[:, ::2] == moved[:, 1::2]).all()


def test_whole_exchange_holds_where_free_exchange_does_not():
    """Families share half of their variance, groups are of whole families: size at .05."""
    rng = np.random.default_rng(5)
    table = _families(["rls", "control"] * 5)
    right = _ask(table, blocks="family", exchange="whole")
    wrong = _ask(table)
    hits = [0, 0]
    for _ in range(400):
        y = np.repeat(rng.normal(size=(10, 1)), 2, axis=0) + 0.5 * rng.normal(size=(20, 1))
        for j, q in enumerate((right, wrong)):
            hits[j] += permute(y, q.model, q.settings, blocks=q.blocks).p_corrected[0] <= 0.05
    assert 6 <= hits[0] <= 36  # binomial 99.9 % of 400 at .05
    assert hits[1] > 40


def test_blocks_that_differ_and_missing_blocks_are_refused():
    table = _families(["rls", "control", "rls", "control"]).iloc[:-1]
    with pytest.raises(Refused, match="alike"):
        plan_for(*_planned(table, exchange="whole"))
    odd = _families(["rls", "control", "rls", "control"])
    odd.loc[0, "group"] = "control"
    with pytest.raises(Refused, match="alike"):
        plan_for(*_planned(odd, exchange="both"))
    question = _ask(_families(["rls", "control"] * 3), exchange="whole")
    with pytest.raises(Refused, match="blocks"):
        plan_for(question.model, question.settings, None)
    with pytest.raises(Refused, match="exchange"):
        Settings("max-t", exchange="all")


def test_words_say_what_was_exchanged():
    table = _families(["rls", "control"] * 4)
    got = answer_regions(
        np.random.default_rng(2).normal(size=(16, 2)), ["a", "b"], "u", table, "~ group",
        "rls - control",
        Settings("max-t", 50, blocks="family", exchange="whole", errors="both"),
    )  # fmt: skip
    assert "whole blocks of family were exchanged and signs" in got.methods
    assert got.meta["exchange"] == "both"
    assert got.meta["exchange_of"] == "whole"


def test_maps_are_exchanged_by_the_same_plan():
    from ekbom.inference import lattice
    from ekbom.inference.permute.spatial import Exchanged, permute_maps

    rng = np.random.default_rng(8)
    mask = np.ones((3, 4, 2), bool)
    y = rng.normal(size=(12, 24))
    table = _families(["rls", "control"] * 3)
    for errors in ("exchangeable", "both"):
        q = _ask(table, blocks="family", exchange="whole", errors=errors)
        flat = permute(y, q.model, q.settings, blocks=q.blocks)
        maps = permute_maps(
            Exchanged(y, q.model, q.settings, q.blocks), lattice(mask), q.settings, forming=2.0,
            df=10,
        )  # fmt: skip
        np.testing.assert_allclose(maps.nulls["t"], flat.maxima, rtol=1e-6, atol=1e-5)
        np.testing.assert_allclose(maps.p_t, flat.p_corrected, atol=1e-12)
