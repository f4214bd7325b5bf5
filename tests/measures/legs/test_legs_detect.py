"""Made EMG through the detector, the truth beside; filters against scipy."""

from __future__ import annotations

import itertools
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from ekbom.errors import Refused
from ekbom.measures.legs import artefact, filters
from ekbom.measures.legs.agreement import agree
from ekbom.measures.legs.crosstalk import separate
from ekbom.measures.legs.detect import DetectSettings, detect, rethreshold
from ekbom.measures.legs.ecg import find_beats
from ekbom.measures.legs.envelope import Envelope, envelope
from ekbom.measures.legs.events import LEFT, RIGHT, UNKNOWN, Marks
from ekbom.measures.legs.filters import Channel, design, filtered, mains_found
from ekbom.measures.legs.hysteresis import bursts, judged
from ekbom.measures.legs.simulate import CLEAN, HARD, Scene, simulate_night, true_marks

FS = 256.0


def channels(night):
    legs = [Channel("L", LEFT, night.emg["L"], FS), Channel("R", RIGHT, night.emg["R"], FS)]
    ecg = None if night.ecg is None else Channel("ECG", UNKNOWN, night.ecg, FS)
    return legs, ecg


def run(scene, seed=1, seconds=3600.0, settings=None, per_hour=90):
    night = simulate_night(seconds=seconds, fs=FS, scene=scene, seed=seed, per_hour=per_hour)
    legs, ecg = channels(night)
    found = detect(legs, ecg, settings)
    return night, found, agree(found.marks, night.truth)


def pooled(scene, seeds, **more):
    results = [run(scene, seed, **more)[2] for seed in seeds]
    hits = sum(r.hits for r in results)
    wrong = sum(r.false + r.missed for r in results)
    offset = np.abs(np.concatenate([r.offset_error for r in results]))
    onset = np.abs(np.concatenate([r.onset_error for r in results]))
    return 2 * hits / (2 * hits + wrong), float(np.median(onset)), float(np.median(offset)), hits


def test_clean_nights():
    f1, onset, offset, hits = pooled(CLEAN, (1, 2, 3))
    assert hits > 200
    assert f1 >= 0.99
    assert onset <= 0.05
    assert offset <= 0.05


def test_hard_nights():
    f1, onset, offset, _ = pooled(HARD, (1, 2, 3))
    assert f1 >= 0.95
    assert onset <= 0.05
    assert offset <= 0.05


@pytest.mark.parametrize(
    "scene",
    [
        Scene(rest=(6.0, 6.0)),
        Scene(ecg=25.0),
        Scene(ecg=25.0, ecg_channel=False),
        Scene(mains=20.0, mains_hz=60.0),
        Scene(rest=(1.0, 5.0), steps=12, tone=6),
        Scene(crosstalk=0.15),
        Scene(loss=True),
        Scene(twitches=20),
    ],
    ids=["noise", "ecg", "hidden ecg", "mains", "floor", "cross-talk", "loss", "twitches"],
)
def test_each_disturbance_alone(scene):
    _, found, got = run(scene, seed=4)
    assert got.f1 >= 0.96
    assert np.median(np.abs(got.offset_error)) <= 0.05
    facts = [one.facts for one in found.legs]
    assert all(f["ECG"]["BeatsRemoved"] > 3000 for f in facts) == bool(scene.ecg)
    assert (60.0 in facts[0]["Notches"]) == bool(scene.mains)
    assert (abs(facts[0]["CrossTalk"] - 0.15) < 0.02) == bool(scene.crosstalk)
    assert (facts[1]["MinutesLost"] > 3.5) == scene.loss


def test_without_removal_the_disturbances_do_harm():
    """The removal is what makes the difference, so its tests can fail."""
    off = DetectSettings(ecg="none", notch="none", crosstalk="none")
    for scene in (Scene(crosstalk=0.18), Scene(ecg=60.0)):
        _, _, bare = run(scene, seed=4, settings=off)
        _, _, clean = run(scene, seed=4)
        wrong = bare.false + bare.missed + np.median(np.abs(bare.offset_error))
        assert wrong > clean.false + clean.missed + 2 * np.median(np.abs(clean.offset_error))


def test_filter_is_that_of_scipy_and_pieces_agree_with_the_whole():
    rng = np.random.default_rng(1)
    x = rng.normal(0, 20, 60_000) + 300 * np.sin(np.arange(60_000) / 5000)
    sos = design(FS, 10, 100, (50.0,))
    c = Channel("L", LEFT, x, FS)
    whole = filtered(c, sos, chunk=1e9)
    pad = int(10 * FS)
    expected = signal.sosfiltfilt(sos, x, padtype="odd", padlen=pad)
    assert np.max(np.abs(whole - expected)) < 1e-9
    pieces = filtered(c, sos, chunk=37.0)
    assert np.max(np.abs(pieces - whole)) < 1e-9


def test_units_enter_by_gain_only():
    night = simulate_night(seconds=900, fs=FS, seed=2, per_hour=90)
    legs, _ = channels(night)
    volts = [replace(c, raw=c.raw * 1e-6, gain=1e6) for c in legs]
    a, b = detect(legs), detect(volts)
    assert np.allclose(a.marks.onset, b.marks.onset)
    assert np.allclose(a.marks.duration, b.marks.duration)


def test_the_number_of_threads_changes_nothing():
    night = simulate_night(seconds=900, fs=FS, seed=5, scene=HARD, per_hour=90)
    legs, ecg = channels(night)
    a, b = detect(legs, ecg, threads=1), detect(legs, ecg, threads=2)
    assert np.array_equal(a.marks.onset, b.marks.onset)
    assert np.array_equal(a.legs[0].rest, b.legs[0].rest)


def test_a_movement_at_the_end_of_the_record_is_kept():
    bursts = Marks.of([100, 200, 298.0], [2, 2, 10.0])
    night = simulate_night(seconds=300, fs=FS, seed=6, bursts=bursts)
    legs, ecg = channels(night)
    got = detect(legs, ecg)
    assert got.marks.onset[-1] == pytest.approx(298.0, abs=0.2)
    assert got.marks.onset[-1] + got.marks.duration[-1] == pytest.approx(300.0, abs=0.01)


def test_times_stay_exact_at_odd_sampling_rates():
    """No window is rounded to whole samples a second: an hour does not drift."""
    for fs in (201.7, 333.3):
        night = simulate_night(seconds=3600, fs=fs, seed=16, per_hour=60)
        legs = [Channel(k, i, night.emg[k], fs) for i, k in enumerate("LR")]
        got = agree(detect(legs).marks, night.truth)
        assert got.f1 > 0.98
        late = got.onset_error[-10:]
        assert np.median(np.abs(late)) < 0.03


def test_rest_without_movements_gives_none():
    night = simulate_night(seconds=600, fs=FS, seed=7, bursts=Marks.of([]))
    legs, ecg = channels(night)
    found = detect(legs, ecg)
    assert len(found.marks) == 0
    assert all(0.8 < one.facts["RestMedian"] < 3.2 for one in found.legs)
    ratio = found.legs[0].rest / np.interp(
        found.legs[0].rest_times, np.arange(night.rest["L"].size) / 200, night.rest["L"]
    )
    assert abs(float(np.median(ratio)) - 1) < 0.03


def test_onset_needs_eight_and_offset_two_microvolts():
    """A noiseless tone of known strength: the thresholds of R2 and R3."""
    t = np.arange(int(120 * FS)) / FS
    rng = np.random.default_rng(8)
    x = rng.normal(0, 1.0, t.size)
    # tones of 2 s at 40 Hz; their strength adds to that of the noise in squares
    for at, strength in ((30, 6.0), (60, 14.0)):
        here = (t >= at) & (t < at + 2)
        x[here] += np.sqrt(2) * strength * np.sin(2 * np.pi * 40 * t[here])
    found = detect([Channel("L", LEFT, x, FS)], settings=DetectSettings(ecg="none", notch="none"))
    assert found.marks.onset.size == 1
    assert found.marks.onset[0] == pytest.approx(60.0, abs=0.1)
    low = detect(
        [Channel("L", LEFT, x, FS)], settings=DetectSettings(on=4, ecg="none", notch="none")
    )
    assert low.marks.onset.size == 2
    assert len(rethreshold(found, replace(found.settings, on=4.0))) == 2


def test_truth_is_read_off_the_envelope():
    rest = np.full(2000, 2.0)
    amplitude = np.zeros(2000)
    amplitude[400:800] = 50.0  # 2 to 4 s
    amplitude[880:1000] = 50.0  # a gap of 0.4 s: one movement, to 5 s
    amplitude[1200:1280] = 50.0  # 0.4 s: too short
    assert true_marks(rest, amplitude) == [(2.0, 5.0)]


def test_artefacts_are_found():
    fs = 100.0
    raw = np.random.default_rng(9).integers(-500, 500, 10_000)
    raw[2000:3500] = 7
    raw[5000:5010] = 2047
    raw[6000:6003] = 2047
    c = Channel("L", LEFT, raw, fs, rails=(-2048.0, 2047.0))
    assert artefact.flat_spans(c).tolist() == [[20.0, 35.0]]
    assert artefact.clipped_spans(c).tolist() == [[50.0, 50.1]]
    x = raw.astype(float)
    assert artefact.same_spans(x, x.copy(), fs).tolist() == [[0.0, 100.0]]
    y = np.random.default_rng(10).normal(0, 1, x.size)
    assert artefact.same_spans(x, y, fs).size == 0


def test_two_channels_with_one_signal_are_no_signal():
    night = simulate_night(seconds=300, fs=FS, seed=3, per_hour=90)
    legs, _ = channels(night)
    twin = Channel("R", RIGHT, legs[0].raw.copy(), FS)
    found = detect([legs[0], twin], settings=DetectSettings(crosstalk="none"))
    assert found.legs[0].facts["MinutesLost"] == pytest.approx(5.0, abs=0.05)


def test_shares_of_the_other_leg_are_found_and_taken_out():
    night = simulate_night(seconds=1800, fs=FS, seed=11, per_hour=120)
    sos = design(FS, 10, 100)
    x, y = (filtered(Channel(k, 0, night.emg[k], FS), sos) for k in ("L", "R"))
    a, b = x + 0.05 * y, y + 0.2 * x
    in_a, in_b = separate(a, b, envelope(a, FS, 0.1), envelope(b, FS, 0.1))
    assert in_a == pytest.approx(0.05, abs=0.01)
    assert in_b == pytest.approx(0.2, abs=0.01)
    assert np.sqrt(np.mean((a - x) ** 2)) < 0.1 * np.sqrt(np.mean((0.05 * y) ** 2)) + 0.2


def test_beats_and_mains():
    night = simulate_night(seconds=600, fs=FS, seed=12, scene=Scene(mains=20.0), per_hour=0)
    assert night.ecg is not None
    beats = find_beats(Channel("ECG", UNKNOWN, night.ecg, FS))
    assert 500 < beats.size < 800
    assert np.quantile(np.diff(beats), 0.02) > 0.6
    assert mains_found(channels(night)[0][0], 100.0) == (50.0, 100.0)
    clean = simulate_night(seconds=600, fs=FS, seed=12, per_hour=0)
    assert mains_found(channels(clean)[0][0], 100.0) == ()


def test_what_cannot_be_emg_is_refused():
    x = np.random.default_rng(13).normal(0, 3, int(60 * FS))
    with pytest.raises(Refused, match="cannot be EMG") as no:
        detect([Channel("L", LEFT, x * 1e-6, FS)])
    assert "uV" in str(no.value.found)
    with pytest.raises(Refused, match="cannot be EMG"):
        detect([Channel("L", LEFT, x * 1e3, FS)])
    with pytest.raises(Refused, match="cannot be EMG"):
        detect([Channel("L", LEFT, np.zeros(int(60 * FS)), FS)])
    with pytest.raises(Refused, match="sampling rate"):
        detect([Channel("L", LEFT, x, 30.0)])
    with pytest.raises(Refused, match="too short"):
        detect([Channel("L", LEFT, x[:500], FS)])
    with pytest.raises(Refused, match="no leg channel"):
        detect([])
    with pytest.raises(Refused, match="contradict"):
        detect([Channel("L", LEFT, x, FS)], settings=DetectSettings(on=2, off=8))


def test_one_channel_of_both_legs():
    night = simulate_night(seconds=900, fs=FS, seed=14, per_hour=90)
    found = detect([Channel("Leg", UNKNOWN, night.emg["L"] + night.emg["R"], FS)])
    assert set(found.marks.leg) == {UNKNOWN}
    assert set(found.lost) == {"n/a"}


def test_agreement_is_one_to_one():
    true = Marks.of([10, 20, 30], [2, 2, 2])
    found = Marks.of([10.5, 11.6, 20, 31.9], [1, 1, 2, 2])
    got = agree(found, true)
    assert (got.hits, got.false, got.missed) == (2, 2, 1)
    assert got.f1 == pytest.approx(4 / 7)
    assert np.isnan(agree(Marks.of([]), Marks.of([])).f1)
    other = agree(Marks.of([10.0], 2.0, "R"), true)
    assert other.hits == 0


@pytest.mark.parametrize("fs", [512.0, 200.0])
def test_memory_stays_below_three_signals(fs):
    """Above what is loaded, in float64 of one channel: the filter works in chunks."""
    n = int(2 * 3600 * fs)
    rng = np.random.default_rng(4)
    raw = np.round(rng.normal(0, 300, n)).astype(np.int16)
    channel = Channel("EMG LAT", LEFT, raw, fs, 0.01)
    detect([Channel("EMG LAT", LEFT, raw[:30_000], fs, 0.01)])  # compile first
    tracemalloc.start()
    try:
        detect([channel], threads=1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * 8 * n


def test_chunks_side_by_side_are_filtered_as_alone(monkeypatch):
    x = np.random.default_rng(6).normal(0, 20, 30_000)
    c, sos = Channel("L", LEFT, x, FS), design(FS, 10, 100, (50.0,))
    beside = filtered(c, sos, chunk=9.0)
    monkeypatch.setattr(filters, "LANES", 1)
    assert np.array_equal(beside, filtered(c, sos, chunk=9.0))


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 9)), min_size=1, max_size=40),
       st.integers(1, 8))  # fmt: skip
def test_runs_are_those_of_a_plain_search(runs, need):
    raw = np.concatenate([np.full(n, value) for value, n in runs]).astype(np.int16)
    starts, stops = artefact._runs(raw, need)
    edges = [0, *(np.flatnonzero(np.diff(raw)) + 1).tolist(), raw.size]
    expected = [(a, b) for a, b in itertools.pairwise(edges) if b - a > need]
    assert list(zip(starts.tolist(), stops.tolist(), strict=True)) == expected


def test_bursts_stand_on_the_line_between_the_levels_of_seconds():
    """Bursts and their shape against arrays of the whole night and sorted neighbours."""
    rng = np.random.default_rng(8)
    for block, fs in ((2, 200.0), (5, 512.0), (1, 128.0)):
        step = block / fs
        seconds = 40
        k = int(seconds / step) + 3
        rest = rng.uniform(1, 4, seconds)
        raised = np.repeat(rng.choice([0.0, 4.0, 12.0], k // 70 + 1, p=[0.6, 0.2, 0.2]), 70)[:k]
        env = Envelope(rng.uniform(1, 4, k) + raised, block, fs, 0.1)
        usable = np.repeat(rng.random(k // 200 + 1) > 0.2, 200)[:k]
        level = np.interp((np.arange(k) + 0.5) * step, np.arange(seconds) + 0.5, rest)
        first, past = bursts(env, rest, 8.0, 2.0, 0.5, usable)
        assert len(first) > 3
        hold = max(round(0.5 / step) - (env.blocks - 1), 1)
        at = 0
        for a, b in zip(first, past, strict=True):
            onset = (env.values >= level + 8.0) & usable
            assert a == at + np.flatnonzero(onset[at:])[0]
            low = env.values < level + 2.0
            held = np.flatnonzero(np.convolve(low[a + 1 :], np.ones(hold), "valid") == hold)
            ends = [a + 1 + held[0]] if held.size else []
            gone = a + np.flatnonzero(~usable[a:])[:1]
            if gone.size and not (ends and ends[0] + hold <= gone[0]):
                tail = low[a + 1 : gone[0]][::-1]
                ends = [gone[0] - (np.argmin(tail) if not tail.all() else tail.size)]
            assert b == (ends[0] if ends else b)
            at = b
        shape = judged(env, rest, first, past, 8.0, 2.0, np.ones(first.size, bool))
        five, half = round(5 / step), round(0.5 / step)
        for a, b, got in zip(first, past, shape, strict=True):
            v = env.values
            sides = [np.sort(v[max(a - five, 0) : a]), np.sort(v[b : b + five])]
            floor = max(float(s[s.size // 2]) if s.size else 0.0 for s in sides)
            over = v[a:b] - (level[a:b] + 2.0)
            if v[a:b].max() < floor + 8.0:
                expected = -1
            elif b - a < half:
                expected = int(np.median(over) >= 0)
            else:
                windows = np.lib.stride_tricks.sliding_window_view(over >= 0, half)
                expected = int(windows.sum(axis=1).max() * 2 >= half)
            assert got == expected
