"""Indices, intervals, the night, the test awake, uncertainty: closed forms and small cases."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from ekbom.errors import Refused
from ekbom.measures.legs.analyse import analyse, chosen_rules
from ekbom.measures.legs.events import Marks, Spans, inside, overlap, union
from ekbom.measures.legs.hypnogram import N2, Hypnogram, W
from ekbom.measures.legs.indices import find, indices, poisson_interval
from ekbom.measures.legs.night import course, first_half
from ekbom.measures.legs.periodicity import geometric, histogram, intervals, mode
from ekbom.measures.legs.reference import beside, cut, references, single_night_words
from ekbom.measures.legs.rules import rule_set
from ekbom.measures.legs.score import score
from ekbom.measures.legs.settings import LegsSettings
from ekbom.measures.legs.sit import repeated, score_sit
from ekbom.measures.legs.uncertainty import (
    band,
    between_nights,
    between_scorers,
    bootstrap,
    sensitivity,
)

W16 = rule_set("wasm2016")


def flat(hours=1.0, stage=N2):
    return Hypnogram.constant(stage, 0, 3600 * hours)


def test_every_kind_of_index_by_stage_and_leg():
    night = Hypnogram(np.array([0.0, 1800]), np.full(2, 1800.0), np.array([N2, W]))
    onsets = [100, 120, 140, 160, 400, 2000, 2020, 2040, 2060]
    lengths = [1, 1, 1, 1, 12, 1, 1, 1, 1]
    legs = list("LRLRL") + ["R"] * 4
    arousal = Spans(np.array([120.5]), np.array([125.0]), ("arousal",))
    resp = Spans(np.array([2000.0]), np.array([2018.0]), ("apnoea",))
    got = score(Marks.of(onsets, lengths, legs), night, resp, arousal, rules=W16)
    rows = indices(got)
    expect = {
        ("LM_index", "sleep", "all"): 5, ("CLM_index", "sleep", "all"): 4,
        ("nonCLM_index", "sleep", "all"): 1, ("PLM_index", "sleep", "all"): 4,
        ("PLM_index", "sleep", "left"): 2, ("PLM_index", "sleep", "right"): 2,
        ("PLM_index", "sleep", "bi"): 0, ("PLM_index", "NREM", "all"): 4,
        ("PLM_index", "N2", "all"): 4, ("PLM_index", "wake", "all"): 4,
        ("PLM_index", "night", "all"): 8, ("CLMr_index", "wake", "all"): 1,
        ("PLMnr_index", "wake", "all"): 0, ("PLMnr_index", "sleep", "all"): 4,
        ("PLM_arousal_index", "sleep", "all"): 1,
    }  # fmt: skip
    for key, n in expect.items():
        row = find(rows, *key)
        assert row.n == n, key
        assert row.value == pytest.approx(n / row.hours)
        assert row.lower <= row.value <= row.upper
    assert find(rows, "PLM_index", "night").hours == 1.0
    assert find(rows, "PI_2016", "sleep").value == 1.0
    assert find(rows, "CLM_duration_median").value == 1.0
    assert {r.rules for r in rows} == {"wasm2016"}
    without = {r.measure for r in indices(score(Marks.of(onsets), night, rules=W16))}
    assert not {"CLMr_index", "PLMnr_index", "PLM_arousal_index"} & without


def test_poisson_interval_is_exact():
    for n in (0, 1, 7, 100):
        low, high = poisson_interval(n)
        if n:
            assert stats.poisson.sf(n - 1, low) == pytest.approx(0.025)
        assert stats.poisson.cdf(n, high) == pytest.approx(0.025)


def test_the_two_periodicity_indices():
    onsets = [0, 20, 40, 60, 200, 220, 240, 500]
    got = score(Marks.of(onsets), flat(), rules=W16)
    rows = indices(got)
    assert find(rows, "PI_2016").value == pytest.approx(4 / 8)
    # 7 intervals; 3 in a run of three, 2 in a run of two
    assert find(rows, "PI_Ferri2006").value == pytest.approx(3 / 7)
    assert find(rows, "IMI_count_long").value == 2
    assert find(rows, "IMI_count_within").value == 5
    assert find(rows, "IMI_share_long").value == pytest.approx(200 / 7)


def test_intervals_do_not_cross_the_end_of_a_stage():
    night = Hypnogram(np.array([0.0, 50]), np.array([50.0, 950]), np.array([N2, W]))
    got = score(Marks.of([10, 30, 60, 90, 110]), night, rules=W16)
    assert intervals(got, "sleep").tolist() == [20]
    assert intervals(got, "wake").tolist() == [30, 20]
    assert intervals(got, "night").tolist() == [20, 30, 30, 20]


def test_shape_of_intervals():
    imi = np.array([5.0, 20, 21, 21.9, 40, 200])
    edges, counts = histogram(imi)
    assert edges[1] == 2
    assert counts[10] == 3
    assert counts.sum() == 5
    assert mode(imi).value == 21.0
    mean, sd = geometric(np.array([10.0, 40.0]))
    assert mean.value == pytest.approx(20)
    assert sd.value == pytest.approx(np.log(2) * np.sqrt(2))
    assert geometric(np.array([]))[0].why == "no-interval"
    assert geometric(np.array([10.0]))[1].why == "one-interval"
    assert math.isnan(mode(np.array([5.0, 95.0])).value)
    ln_edges, ln_counts = histogram(np.array([np.e]), ln=True)
    assert ln_counts[10] == 1
    assert ln_edges[10] == pytest.approx(1.0)


def test_course_of_the_night():
    night = flat(4)
    onsets = [20.0 * k + 100 for k in range(60)] + [3600 * 2 + 20.0 * k for k in range(20)]
    got = score(Marks.of(onsets), night, rules=W16)
    of = course(got)
    assert of.counts.tolist() == [60, 0, 20, 0]
    assert of.hours.tolist() == [1, 1, 1, 1]
    slope, low, high = of.slope()
    assert slope.value == pytest.approx(np.polyfit([0.5, 1.5, 2.5, 3.5], of.counts, 1)[0])
    assert low < slope.value < high < 0
    assert of.peak_hour().value == 1
    assert of.dispersion().value == pytest.approx(np.var([60, 0, 20, 0], ddof=1) / 20)
    share, a, b = first_half(got)
    assert share.value == 75
    assert a < 75 < b
    low, high = of.intervals()
    assert low[1] == 0
    assert high[1] == pytest.approx(3.689, abs=1e-3)


def test_course_without_sleep_or_movements():
    awake = score(Marks.of([10, 30, 50, 70]), flat(1, W), rules=W16)
    assert course(awake).counts.size == 0
    assert course(awake).slope()[0].why
    assert first_half(awake)[0].why == "no-movement"
    quiet = course(score(Marks.of([]), flat(3), rules=W16))
    assert quiet.slope()[0].value == 0
    assert math.isnan(quiet.dispersion().value)
    assert math.isnan(quiet.peak_hour().value)


def test_slope_interval_covers():
    rng = np.random.default_rng(3)
    inside_, truth = 0, -3.0
    for _ in range(400):
        rate = 20 + truth * (np.arange(7) + 0.5)
        counts = rng.poisson(rate)
        of = replace(course(score(Marks.of([]), flat(7), rules=W16)), counts=counts)
        _, low, high = of.slope()
        inside_ += low <= truth <= high
    assert 361 <= inside_ <= 395  # binomial 99.9 % range of 380 of 400


def test_suggested_immobilisation_test():
    got = score(Marks.of([20.0 * k + 60 for k in range(50)]), flat(1, W), rules=W16)
    result = score_sit(got, [0, 10, 20, 30], [0, 2, math.nan, 8])
    assert result.index.value == pytest.approx(50)
    assert result.parts.tolist()[:2] == [27 * 6, 23 * 6]
    assert result.parts[5] == 0
    assert result.vas_mean == pytest.approx(10 / 3)
    assert result.vas_auc == pytest.approx(10 + 20 * 5)
    assert result.flags == ()
    twice = repeated([result, result])
    assert twice.n == 100
    assert twice.value == pytest.approx(50)
    short = score_sit(score(Marks.of([]), flat(0.5, N2), rules=W16))
    assert math.isnan(short.index.value)
    assert short.flags == ("lasts-30-min", "sleep-during-test")
    assert math.isnan(repeated([short]).value)
    with pytest.raises(Refused, match="discomfort"):
        score_sit(got, [0, 10], [1])
    with pytest.raises(Refused, match="discomfort"):
        score_sit(got, [10, 0], [1, 2])


def test_sensitivity_to_rules():
    onsets = [100, 109, 118, 127, 136, 400, 495, 590, 685]
    got = sensitivity(Marks.of(onsets), flat(), None, None, W16)
    by = {(v.what, v.setting): v.value for v in got}
    assert by["as set", "WASM 2016"] == 0
    assert by["shortest interval", "8 s"] == 5
    assert by["longest interval", "100 s"] == 4
    assert band(got) == (0, 5)
    assert math.isnan(band([])[0])
    moved = sensitivity(Marks.of(onsets), flat(), None, None, W16, lambda s: Marks.of([]))
    assert {v.what for v in moved} >= {"on", "off", "hold"}


def test_bootstrap_is_seeded_and_holds_the_value():
    rng = np.random.default_rng(5)
    onsets = np.cumsum(np.exp(rng.normal(np.log(30), 0.8, 700)))
    onsets = onsets[onsets < 8 * 3600]
    got = score(Marks.of(onsets), flat(8), rules=W16)
    one, two = bootstrap(got, seed=1), bootstrap(got, seed=1)
    assert one == two != bootstrap(got, seed=2)
    rows = indices(got)
    for name, (low, high) in one.items():
        assert low <= find(rows, name).value <= high
        assert high > low
    assert math.isnan(bootstrap(score(Marks.of([]), flat(), rules=W16))["PI_2016"][0])


def test_between_nights_and_scorers():
    got = between_nights([[10, 14], [30, 34], [50, 54, math.nan], [3]])
    assert got.sd_within == pytest.approx(np.sqrt(8))
    assert got.mdc == pytest.approx(1.959964 * np.sqrt(2) * np.sqrt(8), rel=1e-6)
    # one-way: mean square among 3 people 800, within 8, two nights each
    assert got.icc == pytest.approx((800 - 8) / (800 + 8))
    assert (got.n_people, got.n_nights) == (3, 6)
    assert math.isnan(between_nights([[1, 2]]).icc)
    with pytest.raises(Refused, match="two nights"):
        between_nights([[1.0]])
    assert between_scorers([1, 3]) == (2, pytest.approx(np.sqrt(2)))
    assert math.isnan(between_scorers([4.0])[1])
    assert math.isnan(between_scorers([])[0])


def test_analysis_of_empty_and_crowded_nights_says_why():
    for marks in (Marks.of([]), Marks.of([5.0])):
        for one in analyse(marks, flat(8), Spans(), Spans()).values():
            for row in one.indices:
                assert (row.value == row.value) or row.why, row


def test_references_name_their_source():
    for r in references():
        assert r.source
        assert isinstance(r.verified, bool)
    assert cut(False) == 15
    assert cut(True) == 5
    assert "not checked" in str(beside("PLMS_index")[0])
    assert "does not show" in single_night_words(3.0)
    assert single_night_words(math.nan) == ""
    assert "5/h" in single_night_words(9.0, child=True)


def test_spans():
    joined = union(np.array([[5.0, 6], [1, 3], [2, 4], [7, 7]]))
    assert joined.tolist() == [[1, 4], [5, 6]]
    assert inside(np.array([0.5, 1, 3.9, 4, 5.5]), joined).tolist() == [0, 1, 1, 0, 1]
    assert overlap(np.array([0.0, 2, 4.5]), np.array([10.0, 5.5, 4.9]), joined).tolist() == [
        4,
        2.5,
        0,
    ]
    assert union(np.zeros((0, 2))).shape == (0, 2)


def test_minutes_of_sleep():
    night = Hypnogram(
        np.arange(0, 600, 60.0),
        np.full(10, 60.0),
        np.array([0, 0, 1, 2, 0, 2, 3, 4, -1, 0]),
        30,
        570,
    )
    got = night.minutes()
    assert got["TST"] == 5
    assert got["SOL"] == 1.5
    assert got["WASO"] == 1.5
    assert got["unknown"] == 1
    assert got["SE"] == pytest.approx(100 * 5 / 9)
    assert night.flags == ()
    assert Hypnogram(np.zeros(0), np.zeros(0), np.zeros(0, int)).minutes()["TST"] == 0


def test_readings_of_the_settings_reach_the_rules():
    asked = LegsSettings(
        short_imi_can_open=False, resp_window="event", aasm_short_imi="skip",
        aasm_non_clm="skip", arousal_closed=True,
    )  # fmt: skip
    new, old, aasm = chosen_rules(asked)
    assert not new.short_imi_can_open
    assert (new.resp_from, new.resp_before, new.resp_after) == ("event", 0.5, 0.5)
    assert old.short_imi_can_open
    assert (aasm.short_imi, aasm.non_clm) == ("skip", "skip")
    assert all(r.arousal_closed for r in (new, old, aasm))
    plain = analyse(Marks.of([100, 105, 125, 145, 165]), flat())["wasm2016"]
    strict = analyse(Marks.of([100, 105, 125, 145, 165]), flat(), settings=asked)["wasm2016"]
    assert find(plain.indices, "PLM_index").n == 4
    assert find(strict.indices, "PLM_index").n == 0


def test_settings_refuse_what_is_not_known():
    with pytest.raises(ValueError, match="rules"):
        LegsSettings(rules=["wasm2020"])
    with pytest.raises(ValueError, match="extra"):
        LegsSettings(threshold=3)
