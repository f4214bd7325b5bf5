"""What must hold for any night, and another scorer that must agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from legs_brute import (
    movements_2006,
    movements_2016,
    movements_aasm,
    periodic_2006,
    periodic_2016,
    periodic_strict,
)

from ekbom.measures.legs.events import LEFT, RIGHT, Marks, Spans
from ekbom.measures.legs.hypnogram import Hypnogram
from ekbom.measures.legs.indices import find, indices
from ekbom.measures.legs.reasons import events_frame
from ekbom.measures.legs.rules import RULE_SETS, rule_set
from ekbom.measures.legs.score import score

NIGHT_END = 2000.0


def night(shift=0.0):
    """Ten-minute epochs of several stages, some unknown."""
    stages = np.array([2, 0, 3, 4, -1, 1, 2])
    onset = shift + 300.0 * np.arange(7)
    return Hypnogram(onset, np.full(7, 300.0), stages, shift + 60, shift + 2040)


# whole milliseconds, so that no time lies on a bound by rounding only
times = st.integers(0, 1_900_000)
lengths = st.one_of(st.integers(0, 1500), st.integers(300, 16_000))
mark = st.tuples(times, lengths, st.sampled_from([LEFT, RIGHT]))
periodic = st.builds(
    lambda start, steps, length, leg: [
        (start + sum(steps[:k]), length, leg) for k in range(len(steps))
    ],
    st.integers(0, 1_000_000),
    st.lists(st.integers(9_000, 92_000), min_size=4, max_size=10),
    st.integers(400, 2500),
    st.sampled_from([LEFT, RIGHT]),
)
marks_of_a_night = st.builds(
    lambda trains, alone: [m for t in trains for m in t] + alone,
    st.lists(periodic, max_size=2),
    st.lists(mark, max_size=8),
)
rules_names = st.sampled_from(RULE_SETS)
events = st.lists(st.tuples(times, st.integers(0, 30_000)), max_size=4)


def made(rows):
    array = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return Marks(array[:, 0] / 1000.0, array[:, 1] / 1000.0, array[:, 2])


def moved(rows):
    array = np.array(rows, dtype=np.float64).reshape(-1, 2) / 1000.0
    return Spans(array[:, 0], array.sum(axis=1))


def told(scored):
    """All that a scored night says, without times."""
    return (
        scored.movements.members,
        scored.movements.no,
        scored.periodic.tolist(),
        scored.periodic_nr.tolist(),
        scored.series.why,
        scored.counts,
        scored.resp_id.tolist(),
        scored.arousal_id.tolist(),
        scored.dropped,
    )


@given(marks_of_a_night, events, events, rules_names, st.integers(0, 10_000_000))
@settings(max_examples=80, deadline=None)
def test_a_shift_of_all_times_changes_nothing(rows, resp, arousal, name, shift):
    one = score(made(rows), night(), moved(resp), moved(arousal), rules=rule_set(name))
    later = [(t + shift, d, leg) for t, d, leg in rows]
    two = score(
        made(later),
        night(shift / 1000.0),
        moved([(t + shift, d) for t, d in resp]),
        moved([(t + shift, d) for t, d in arousal]),
        rules=rule_set(name),
    )
    assert told(one) == told(two)
    for a, b in zip(indices(one), indices(two), strict=True):
        assert (a.measure, a.stage, a.leg, a.n) == (b.measure, b.stage, b.leg, b.n)
        assert a.value == pytest.approx(b.value, rel=1e-9, nan_ok=True)


@given(marks_of_a_night, rules_names)
@settings(max_examples=80, deadline=None)
def test_swapping_legs_swaps_sides_only(rows, name):
    one = score(made(rows), night(), rules=rule_set(name))
    two = score(made([(t, d, 1 - leg) for t, d, leg in rows]), night(), rules=rule_set(name))
    first, second = indices(one), indices(two)
    for kind in ("LM", "CLM", "PLM", "nonCLM"):
        for stage in ("sleep", "night"):
            pairs = [("left", "right"), ("right", "left"), ("mono", "mono"), ("bi", "bi")]
            for a, b in [*pairs, ("all", "all")]:
                x, y = (
                    find(first, f"{kind}_index", stage, a),
                    find(second, f"{kind}_index", stage, b),
                )
                assert x.n == y.n


@given(marks_of_a_night, rules_names, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_order_of_rows_is_irrelevant(rows, name, random):
    mixed = list(rows)
    random.shuffle(mixed)
    one = score(made(rows), night(), rules=rule_set(name))
    two = score(made(mixed), night(), rules=rule_set(name))
    assert events_frame(one).equals(events_frame(two))


@given(marks_of_a_night, events, rules_names)
@settings(max_examples=60, deadline=None)
def test_a_periodic_movement_is_a_candidate_is_a_movement(rows, resp, name):
    got = score(made(rows), night(), moved(resp), rules=rule_set(name))
    assert not (got.periodic & ~got.candidate).any()
    assert not (got.periodic_nr & ~got.candidate).any()
    assert not (got.periodic_nr & got.respiratory).any() or name == "aasm"
    numbers = [k for m in got.movements.members for k in m]
    assert sorted(numbers + list(got.dropped)) == list(range(len(got.marks)))
    for k in range(1, int(got.series.series.max(initial=0)) + 1):
        ranks = got.series.rank[got.series.series == k]
        assert ranks.tolist() == list(range(1, len(ranks) + 1))
        assert len(ranks) >= got.rules.min_run
    assert set(events_frame(got)["id"]) >= set(got.ids())


@given(marks_of_a_night, rules_names, st.integers(90_001, 900_000), st.integers(500, 20_000))
@settings(max_examples=60, deadline=None)
def test_a_movement_far_from_all_others_adds_no_periodic_one(rows, name, far, length):
    one = score(made(rows), night(), rules=rule_set(name))
    last = max((t + d for t, d, _ in rows), default=0)
    more = [*rows, (last + far, length, LEFT)]
    two = score(made(more), night(), rules=rule_set(name))
    assert int(two.periodic.sum()) == int(one.periodic.sum())


@given(marks_of_a_night, rules_names, times, st.integers(0, 499))
@settings(max_examples=60, deadline=None)
def test_a_short_mark_that_stands_alone_changes_nothing(rows, name, at, length):
    if any(t - 501 <= at + length and at <= t + d + 501 for t, d, _ in rows):
        return
    one = score(made(rows), night(), rules=rule_set(name))
    two = score(made([*rows, (at, length, RIGHT)]), night(), rules=rule_set(name))
    for what in ("onset", "end", "leg"):
        assert np.array_equal(getattr(one.movements, what), getattr(two.movements, what))
    assert one.periodic.tolist() == two.periodic.tolist()


def _random_night(rng):
    """Trains near the bounds, alone marks, overlaps: whole milliseconds."""
    rows = []
    for _ in range(int(rng.integers(0, 3))):
        n = int(rng.integers(3, 8))
        kind = int(rng.integers(0, 3))
        if kind == 0:
            steps = rng.integers(4_000, 30_000, n)
        elif kind == 1:
            steps = rng.choice([5_000, 9_999, 10_000, 10_001, 45_000, 90_000, 90_001], n)
        else:
            steps = rng.integers(12_000, 100_000, n)
        start = int(rng.integers(0, 200_000))
        lengths = rng.choice([400, 499, 500, 501, 1_000, 3_000, 10_000, 10_001], n)
        both = rng.random() < 0.5
        for t, d in zip(start + np.cumsum(steps), lengths, strict=True):
            rows.append((int(t), int(t + d), int(rng.integers(0, 2)) if both else 0))
            if both and rng.random() < 0.5:
                lag = int(rng.choice([0, 200, 499, 500, 501, 1_400])) + (
                    d if rng.random() < 0.5 else 0
                )
                rows.append((int(t + lag), int(t + lag + rng.integers(300, 9_000)), 1))
    for _ in range(int(rng.integers(0, 5))):
        t = int(rng.integers(0, 600_000))
        rows.append((t, t + int(rng.integers(100, 12_000)), int(rng.integers(0, 2))))
    return rows


def test_another_scorer_agrees_on_ten_thousand_nights():
    rng = np.random.default_rng(20160)
    w16 = rule_set("wasm2016")
    ways = (
        (w16, movements_2016, periodic_2016),
        (rule_set("wasm2006"), movements_2006, periodic_2006),
        (rule_set("aasm"), movements_aasm, lambda e: periodic_2016(e, shortest=5_000)),
        (replace(w16, short_imi_can_open=False), movements_2016, periodic_strict),
        (w16, movements_2016, periodic_2016),
    )
    flat = Hypnogram.constant(2, 0, 4000)
    found = 0
    for k in range(10_000):
        rows = _random_night(rng)
        array = np.array(rows, dtype=np.int64).reshape(-1, 3)
        marks = Marks(array[:, 0] / 1000, (array[:, 1] - array[:, 0]) / 1000, array[:, 2])
        rules, joined, periodic_of = ways[k % len(ways)]
        theirs = joined(rows)
        got = score(marks, flat, rules=rules)
        starts = np.round(1000 * got.movements.onset).astype(int).tolist()
        ends = np.round(1000 * got.movements.end).astype(int).tolist()
        assert sorted(zip(starts, ends, got.candidate.tolist(), strict=True)) == theirs, rows
        want = sorted(theirs[i][:2] for i in periodic_of(theirs))
        pairs = zip(starts, ends, got.periodic, strict=True)
        have = sorted((a, b) for a, b, p in pairs if p)
        assert have == want, (rules.name, rows)
        found += len(want)
    assert found > 10_000  # the nights are not empty


@pytest.mark.parametrize("n", [0, 1, 3, 10_000])
@pytest.mark.parametrize("name", RULE_SETS)
def test_sparse_and_crowded_nights(n, name):
    rng = np.random.default_rng(n)
    length = 8 * 3600.0
    onset = rng.uniform(0, length, n)  # unsorted, overlapping
    marks = Marks(onset, rng.uniform(0, 12, n), rng.integers(0, 2, n))
    quiet = Hypnogram(np.array([0.0, length / 2]), np.full(2, length / 2), np.array([2, 0]))
    got = score(marks, quiet, Spans(), Spans(), rules=rule_set(name))
    rows = indices(got)
    assert len(events_frame(got)) >= n
    assert np.isnan(find(rows, "PLM_index", "REM").value)
    assert find(rows, "PLM_index", "REM").why == "no-time-in-stage"
    if n < 4:
        assert find(rows, "PLM_index").value == 0


@pytest.mark.parametrize("stage", [0, -1])
@pytest.mark.parametrize("name", RULE_SETS)
def test_nights_without_sleep_or_without_stages(stage, name):
    flat = Hypnogram.constant(stage, 0, 3600)
    got = score(Marks.of([100, 120, 140, 160]), flat, rules=rule_set(name))
    rows = indices(got)
    assert np.isnan(find(rows, "PLM_index").value)
    wake = find(rows, "PLM_index", "wake")
    assert wake.value == 4 if stage == 0 and name != "aasm" else np.isnan(wake.value)
    assert not any(r.n for r in rows if stage == -1 and r.measure == "PLM_index")


def test_options_can_be_varied():
    tight = replace(rule_set("wasm2016"), imi_min=25.0)
    assert not score(Marks.of([100, 120, 140, 160]), night(), rules=tight).periodic.any()
