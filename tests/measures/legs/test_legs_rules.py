"""Every rule on an example that can be checked by eye."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ekbom.errors import Refused
from ekbom.measures.legs.events import Marks, Spans
from ekbom.measures.legs.hypnogram import N2, Hypnogram, R, W
from ekbom.measures.legs.indices import find, indices
from ekbom.measures.legs.periodicity import pi_2016, pi_ferri2006
from ekbom.measures.legs.reasons import events_frame
from ekbom.measures.legs.rules import RULE_SETS, rule_set
from ekbom.measures.legs.score import score, score_all

N2_HOUR = Hypnogram.constant(N2, 0, 3600)
W16 = rule_set("wasm2016")


def by(rules, onset, duration=1.0, leg="L", night=N2_HOUR, **more):
    given = rule_set(rules) if isinstance(rules, str) else rules
    return score(Marks.of(onset, duration, leg), night, rules=given, **more)


def plm(scored):
    return int(scored.periodic.sum())


def spans(onset, end, kind="apnoea"):
    return Spans(np.array(onset, float), np.array(end, float), (kind,) * len(onset))


def test_four_movements_are_a_series_and_the_last_of_the_record_counts():
    got = by(W16, [100, 120, 140, 160], night=Hypnogram.constant(N2, 0, 161))
    assert plm(got) == 4
    assert pi_2016(got, "sleep").value == 1


def test_three_movements_are_none():
    assert plm(by(W16, [100, 120, 140])) == 0


def test_bounds_of_the_interval_are_closed_and_the_old_index_is_open_below():
    got = by(W16, [100, 110, 200, 210])
    assert plm(got) == 4
    assert pi_ferri2006(got, "sleep").value == 0


def test_a_short_interval_ends_a_series_but_not_for_the_aasm():
    onsets = [100, 120, 140, 149.9, 170, 190]
    assert plm(by("wasm2016", onsets)) == 0
    assert plm(by("aasm", onsets)) == 6


def test_the_movement_after_a_short_interval_opens_a_series_unless_told_otherwise():
    onsets = [100, 105, 125, 145, 165]
    got = by(W16, onsets)
    assert plm(got) == 4
    assert got.periodic.tolist() == [False, True, True, True, True]
    closed = by(replace(W16, short_imi_can_open=False), onsets)
    assert plm(closed) == 0
    # two short intervals one after the other, then four that may open
    onsets = [100, 105, 108, 128, 148, 168, 188]
    assert plm(by(replace(W16, short_imi_can_open=False), onsets)) == 4
    assert plm(by(W16, onsets)) == 5


def test_an_interval_above_ninety_seconds_ends_a_series():
    assert plm(by(W16, [100, 120, 140, 230.1, 250, 270])) == 0
    assert plm(by(W16, [100, 120, 140, 230.0, 250, 270])) == 6


def test_a_movement_longer_than_ten_seconds_splits():
    onsets = [100, 120, 140, 160, 180, 200, 220]
    lengths = [1, 1, 1, 10.5, 1, 1, 1]
    got = by(W16, onsets, lengths)
    assert plm(got) == 0
    assert got.movements.no[3] == "too_long"
    assert np.isnan(got.series.imi[3:5]).all()
    assert plm(by("wasm2006", onsets, lengths)) == 6  # passed over


def test_ten_seconds_are_not_too_long():
    assert plm(by(W16, [100, 120, 140, 160, 180], [1, 1, 1, 10.0, 1])) == 5


def test_legs_joined_when_the_gap_is_below_half_a_second():
    left = [100, 120, 140, 160]
    for lag, movements, periodic in ((1.49, 4, 4), (1.51, 8, 0), (1.50, 8, 0)):
        got = by(W16, left + [t + lag for t in left], leg=["L"] * 4 + ["R"] * 4)
        assert len(got.movements) == movements
        assert plm(got) == periodic
        if movements == 4:
            assert (got.movements.end - got.movements.onset) == pytest.approx(2.49)
    far = by(W16, left + [t + 1.51 for t in left], leg=["L"] * 4 + ["R"] * 4)
    assert np.nanmin(far.series.imi) == pytest.approx(1.51)


def test_bursts_of_one_leg_are_one_movement():
    got = by(W16, [100, 101.4, 120, 140, 160])
    assert plm(got) == 4
    assert got.movements.end[0] - got.movements.onset[0] == pytest.approx(2.4)
    # merged before the length is tested: two bursts of 0.3 s are one movement of 0.9 s
    short = by(W16, [100, 100.6, 120, 140, 160], [0.3, 0.3, 1, 1, 1])
    assert plm(short) == 4


def test_five_members_are_too_many():
    onsets = [100, 102.2, 104.4, 101.1, 103.3, 120, 140, 160]
    legs = ["L"] * 3 + ["R"] * 2 + ["L"] * 3
    got = by(W16, onsets, leg=legs)
    assert plm(got) == 0
    assert got.movements.no[0] == "bilateral_many"
    assert plm(by(W16, onsets[:2] + onsets[3:], leg=legs[:2] + legs[3:])) == 4  # four members


def test_both_legs_together_last_fifteen_seconds_at_most():
    onsets, legs = [100, 108, 125, 145, 165], ["L", "R", "L", "L", "L"]
    got = by(W16, onsets, [9, 7.5, 1, 1, 1], legs)
    assert plm(got) == 0
    assert got.movements.no[0] == "bilateral_long"
    assert plm(by(W16, onsets, [9, 7.0, 1, 1, 1], legs)) == 4
    assert plm(by(W16, onsets, [9, 6.5, 1, 1, 1], legs)) == 4


def test_every_member_must_be_a_candidate():
    got = by(W16, [100, 105, 125, 145, 165, 185], [11, 2, 1, 1, 1, 1], ["L", "R", *"LLLL"])
    assert got.movements.no[0] == "bilateral_member_long"
    assert plm(got) == 4


def test_marks_below_half_a_second_do_nothing():
    got = by(W16, [100, 110, 120, 140, 160], [1, 0.4, 1, 1, 1])
    assert plm(got) == 4
    assert got.dropped == {1: "too_short"}
    assert plm(by(W16, [100, 120, 140, 160], 0.5)) == 4


def test_scoring_runs_through_wake():
    night = Hypnogram(np.array([0, 90, 150]), np.array([90, 60, 150]), np.array([N2, W, N2]))
    onsets = [80, 100, 130, 150]
    got = by(W16, onsets, night=night)
    assert plm(got) == 4
    assert got.movements.onset[got.periodic & got.within("sleep")].tolist() == [80, 150]
    assert got.movements.onset[got.periodic & got.within("wake")].tolist() == [100, 130]
    assert find(indices(got), "PLM_index", "sleep").value == pytest.approx(2 / (240 / 3600))
    aasm = by("aasm", onsets, night=night)
    assert len(aasm.movements) == 2
    assert np.isnan(find(indices(aasm), "PLM_index", "wake").value)
    # short wake does not split a series of the AASM: 80 and 150 are 70 s apart
    assert plm(by("aasm", [20, 50, 80, 100, 150], night=night)) == 4


def test_respiratory_movements_are_taken_out_and_the_rest_is_scored_again():
    got = by(W16, [100, 120, 140, 160, 180], resp=spans([120], [138]))
    assert plm(got) == 5
    assert got.movements.onset[got.respiratory].tolist() == [140]
    assert int(got.periodic_nr.sum()) == 4
    assert got.series_nr is not None
    assert got.series_nr.imi[3] == 40
    assert got.series_nr.why[2] == "respiratory"


def test_respiratory_window():
    ends = [103.1, 111, 170]
    got = by(W16, [100, 120, 180], resp=spans([e - 10 for e in ends], ends))
    assert got.respiratory.tolist() == [False, True, True]
    at_end = by(W16, [180.25, 300.251], resp=spans([160, 280], [170, 290]))
    assert at_end.respiratory.tolist() == [True, False]
    about = replace(W16, resp_from="event", resp_before=0.5, resp_after=0.5)
    inside = by(about, [165, 171], resp=spans([160], [170]))
    assert inside.respiratory.tolist() == [True, False]


def test_a_respiratory_movement_that_is_no_candidate_still_ends_a_series():
    onsets, lengths = [100, 120, 140, 160, 180, 200], [1, 1, 1, 12, 1, 1]
    got = by(W16, onsets, lengths, resp=spans([150], [160]))
    assert got.respiratory.tolist() == [False] * 6
    assert int(got.periodic_nr.sum()) == 0


def test_effort_related_arousals_count_only_when_asked():
    rera = spans([90], [100.5], "rera")
    assert not by(W16, [100], resp=rera).respiratory.any()
    assert by(W16, [100], resp=rera, rera=True).respiratory.all()


def test_the_aasm_does_not_score_movements_about_respiration():
    got = by("aasm", [100, 120, 140, 160, 180], resp=spans([130], [141.0]))
    assert got.movements.onset.tolist() == [100, 120, 160, 180]
    assert plm(got) == 4
    assert got.dropped == {2: "respiratory"}


def test_arousals_within_half_a_second():
    got = by(
        W16, [100, 120, 140, 160], arousal=spans([101.4, 121.6, 137, 150], [105, 125, 139.6, 159.4])
    )
    assert (got.arousal_id >= 0).tolist() == [True, False, True, False]
    on_edge = spans([101.5], [105])
    assert by(W16, [100], arousal=on_edge).arousal_id[0] == -1
    assert by(replace(W16, arousal_closed=True), [100], arousal=on_edge).arousal_id[0] == 0
    # either order
    assert by(W16, [105.49], arousal=on_edge).arousal_id[0] == 0
    assert by(W16, [105.51], arousal=on_edge).arousal_id[0] == -1


def test_no_movement_and_one_interval_that_is_too_long():
    for onsets in ([], [100], [100, 300]):
        rows = indices(by(W16, onsets))
        assert find(rows, "PLM_index").value == 0
        pi = find(rows, "PI_2016")
        assert (np.isnan(pi.value) and pi.why == "no-CLM") if not onsets else pi.value == 0
        old = find(rows, "PI_Ferri2006")
        assert old.value == 0 if len(onsets) == 2 else (np.isnan(old.value) and old.why)


def test_aasm_joins_legs_by_onset():
    got = by("aasm", [100, 104.99, 120, 125.0, 140], 0.5, list("LRLRL"))
    assert got.movements.onset.tolist() == [100, 120, 125, 140]
    assert by("aasm", [100, 102, 103], 0.5, list("LLR")).movements.onset.tolist() == [100, 102]


def test_options_of_the_aasm_reading():
    skip = replace(rule_set("aasm"), short_imi="skip", non_clm="skip")
    onsets = [100, 120, 122, 140, 160]
    assert plm(by("aasm", onsets)) == 0
    got = by(skip, onsets)
    assert plm(got) == 4
    assert got.series.why[2] == "imi_short"
    assert by("wasm2006", onsets).periodic.tolist() == got.periodic.tolist()


def test_a_combined_channel_is_one_leg():
    got = by(W16, [100, 120, 140, 160, 160.2], leg=["n/a"] * 4 + ["R"])
    assert len(got.movements) == 5
    assert (got.movements.legs_joined == 1).all()


def test_morphology_is_asked_only_of_detected_movements():
    onset, shape = np.array([100.0, 120, 140, 160]), np.array([True, True, False, True])
    marks = Marks(onset, np.ones(4), np.zeros(4, int), shape)
    assert score(marks, N2_HOUR, rules=W16).dropped == {2: "morphology"}
    assert not score(marks, N2_HOUR, rules=rule_set("aasm")).dropped


def test_stages_and_lights_decide_what_is_counted():
    night = Hypnogram(
        np.array([0, 300, 600, 900.0]), np.full(4, 300.0), np.array([N2, -1, R, N2]), 50, 1100
    )
    got = by(W16, [10, 100, 299.9999999, 400, 700, 1100, 1150], night=night)
    assert got.counts == (
        "outside_lights",
        "yes",
        "stage_unknown",
        "stage_unknown",
        "yes",
        "outside_lights",
        "outside_lights",
    )
    rows = indices(got)
    assert find(rows, "CLM_index", "REM").n == 1
    assert find(rows, "CLM_index", "N2").hours == pytest.approx((250 + 200) / 3600)
    none = find(rows, "CLM_index", "N3")
    assert np.isnan(none.value)
    assert none.why == "no-time-in-stage"


def test_lost_signal_leaves_the_denominator():
    night = Hypnogram(
        np.array([0.0]),
        np.array([3600.0]),
        np.array([N2]),
        lost={"L": np.array([[100, 700.0]]), "R": np.array([[600, 1000.0]])},
    )
    assert night.seconds("sleep") == 2700
    got = by(W16, [150, 1100], night=night)
    assert got.counts == ("artefact", "yes")


def test_reasons_speak_with_numbers():
    got = by(
        W16,
        [100, 104, 300, 320, 340, 360, 500, 600, 700.4, 800],
        [1, 1, 1, 1, 1, 1, 12, 0.3, 0.6, 1],
        night=N2_HOUR,
    )
    frame = events_frame(got).set_index("id")
    assert frame.loc["1", "why"] == "imi_short"
    assert "4.00 s" in frame.loc["1", "why_text"]
    assert frame.loc["3", "status"] == "PLM"
    assert "movement 1 of 4" in frame.loc["3", "why_text"]
    assert frame.loc["7", ["status", "why"]].tolist() == ["nonCLM", "too_long"]
    assert "12.00 s" in frame.loc["7", "why_text"]
    assert frame.loc["8", ["status", "why"]].tolist() == ["none", "too_short"]
    assert frame.loc["9", "why"] == "nonclm_between"
    two = by(W16, [100, 101.1, 120, 140], leg=list("LRLL"))
    frame = events_frame(two).set_index("id")
    assert frame.loc["1+2", "leg"] == "B"
    assert frame.loc["2", "why"] == "merged_into:1+2"
    assert frame.loc["3", "why"] == "run_short"
    assert "run of 3" in frame.loc["3", "why_text"]


def test_every_set_names_itself_and_its_source():
    for name in RULE_SETS:
        rules = rule_set(name)
        assert rules.name == name
        assert rules.reference
        got = events_frame(by(rules, [1, 20, 40, 60]))
        assert set(got["rules"]) == {name}
        assert set(rules.unverified) <= set(rules.settings())
    with pytest.raises(Refused, match="no such rule set"):
        rule_set("aasm1993")
    assert list(score_all(Marks.of([1.0]), N2_HOUR)) == list(RULE_SETS)


@pytest.mark.parametrize(
    ("onset", "duration"), [([1.0, float("nan")], [1.0, 1.0]), ([1.0, 2.0], [1.0, -1.0])]
)
def test_marks_without_times_are_refused(onset, duration):
    with pytest.raises(Refused, match="mark"):
        Marks.of(onset, duration)


def test_hypnograms_that_contradict_themselves_are_refused():
    with pytest.raises(Refused, match="overlap"):
        Hypnogram(np.array([0.0, 20]), np.array([30.0, 30]), np.array([2, 2]))
    with pytest.raises(Refused, match="Lights"):
        Hypnogram(np.array([0.0]), np.array([30.0]), np.array([2]), 20, 10)
