import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pet_numerics_truth import C11, blood

from ekbom.errors import Refused
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction


@pytest.mark.parametrize(
    ("start", "end", "word"),
    [
        ([0, 1], [1, 1], "does not end after"),
        ([0, 0.5], [1, 2], "overlap"),
        ([1, 0], [2, 1], "overlap"),
        ([-1, 0], [0, 1], "before injection"),
        ([0, np.nan], [1, 2], "missing"),
        ([0, 1], [1], "one start and one end"),
        ([], [], "one start and one end"),
    ],
)
def test_frames_that_cannot_be_are_refused(start, end, word):
    with pytest.raises(Refused, match=word):
        Frames(start, end, C11)


@pytest.mark.parametrize("half_life", [0.0, -1.0, np.nan])
def test_half_life_must_be_positive(half_life):
    with pytest.raises(Refused, match="half-life"):
        Frames([0], [1], half_life)


def test_gaps_are_listed_and_rounding_of_seconds_is_none():
    start = np.array([29, 39, 49, 60]) / 60
    end = np.array([39, 49, 59, 90]) / 60
    frames = Frames(start, end, C11)
    assert frames.gaps == ((0.0, 29 / 60), (pytest.approx(59 / 60), 1.0))
    many = Frames.of_runs([(90, 7), (30, 11)], C11)
    assert many.gaps == ()
    assert (many.start[1:] == many.end[:-1]).all()


def test_zero_length_frames_are_dropped_with_a_note():
    frames, keep, notes = Frames.without_empty([0, 0.5, 1], [0, 1, 2], C11)
    assert frames.n == 2
    assert keep.tolist() == [False, True, True]
    assert "1 frame" in notes[0]
    assert Frames.without_empty([0], [1], C11)[2] == ()


def test_frames_cannot_be_changed():
    frames = Frames([0, 1], [1, 2], C11)
    with pytest.raises(ValueError, match="read-only"):
        frames.start[0] = 3


def test_decay_factor_is_the_mean_fall_of_a_frame():
    frames = Frames([0, 10, 40], [0.001, 20, 50], C11)
    t = np.linspace(frames.start, frames.end, 20001)
    fall = np.trapezoid(np.exp(-frames.decay_lambda * t), t, axis=0) / frames.duration
    np.testing.assert_allclose(frames.decay_factor, 1 / fall, rtol=1e-9)
    none = Frames([0, 10], [10, 20], np.inf)
    assert none.decay_factor.tolist() == [1, 1]


def test_values_come_to_injection():
    t = Frames([0, 10], [10, 20], C11)
    later = Frames([0, 10], [10, 20], C11, decay_ref=C11)
    raw = Frames([0, 10], [10, 20], C11, decay_corrected=False)
    values = np.array([3.0, 4.0])
    np.testing.assert_allclose(later.to_injection(values / 2), t.to_injection(values))
    np.testing.assert_allclose(raw.to_injection(values / t.decay_factor), values)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"t": [0.1, 1, 2]}, "starts at injection"),
        ({"t": [0, 1, 1]}, "do not increase"),
        ({"t": [0, 2, 1]}, "do not increase"),
        ({"t": [0.0]}, "two or more"),
        ({"plasma_parent": [0, -1, 2]}, "negative or missing"),
        ({"whole_blood": [0, np.nan, 2]}, "negative or missing"),
        ({"whole_blood": [0, 1]}, "one value a knot"),
        ({"covers": (3, 3)}, "covered is empty"),
    ],
)
def test_inputs_that_cannot_be_are_refused(change, word):
    parts = {"t": [0, 1, 2], "plasma_parent": [0, 1, 2], "whole_blood": [0, 1, 2]} | change
    with pytest.raises(Refused, match=word):
        InputFunction(**parts)


def test_auc_and_extrapolated_share():
    one = InputFunction([0, 1, 3], [0, 2, 2], [0, 1, 1], covers=(0.0, 2.0))
    assert one.auc(0, 3) == pytest.approx(5)
    assert one.auc(0.5, 4) == pytest.approx(0.75 + 6)
    assert one.extrapolated_share(3) == pytest.approx(2 / 5)


@given(st.floats(-1, 3), st.floats(0, 60))
def test_shift_moves_the_curve(delay, t):
    given_ = blood()
    moved = given_.shifted(delay)
    assert moved.t[0] == 0
    if t >= 0 and (t > delay + 1e-6 or t < delay - 1e-6):
        assert moved.at(t) == pytest.approx(float(given_.at(t - delay)), abs=1e-9)
    if delay >= 0:
        assert moved.auc(0, 100 + delay) == pytest.approx(given_.auc(0, 100), rel=1e-9)


def test_shift_keeps_a_step():
    step = InputFunction([0, 5], [2, 2], [1, 1])
    moved = step.shifted(1.0)
    assert moved.at([0.5, 1.0001]).tolist() == [0, 2]
    assert moved.auc(0, 5) == pytest.approx(8)
    assert moved.provenance["delay_min"] == "1"
    assert step.shifted(0.0) is step
    with pytest.raises(Refused, match="delay"):
        step.shifted(np.nan)


@pytest.mark.parametrize("delay", [0.277, -0.0277])
def test_knots_nearer_than_rounding_survive_a_delay(delay):
    """A fitted start of 1e-18 min and the knot at 0 are one knot after any shift."""
    t = np.array([0.0, 1e-18, 0.0277, 0.0277 * (1 + 3e-16), 1.0, 60.0])
    c = np.array([0.0, 0.0, 2.0, 2.0, 10.0, 1.0])
    curve = InputFunction(t, c, 0.8 * c)
    moved = curve.shifted(delay)
    assert (np.diff(moved.t) > 0).all()
    probe = np.linspace(0.5, 50, 40)
    np.testing.assert_allclose(moved.at(probe), curve.at(probe - delay), rtol=1e-12)
