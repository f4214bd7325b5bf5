import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pet_numerics_truth import C11, blood, gauss_means, schedule, triexp

from ekbom.errors import Refused
from ekbom.measures.pet.convolve import basis, make_grid, running_input
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction


@pytest.mark.parametrize("decay_weighted", [True, False])
@pytest.mark.parametrize("theta", [0.0, 1e-8, 9e-4, 0.0173, 0.4, 8.0])
def test_exact_against_nested_gauss_quadrature(theta, decay_weighted):
    rough = InputFunction(
        [0, 0.7, 0.9, 3.1, 7.7, 19.3, 25], [0, 20, 3, 9, 4, 2.5, 1], [0, 1, 1, 1, 1, 1, 1]
    )
    # a gap first, touching frames, a gap, a frame that holds several knots
    frames = Frames([0.4, 0.6, 1.0, 5.0], [0.6, 1.0, 1.7, 22.0], C11)
    grid = make_grid(frames, rough, decay_weighted=decay_weighted)
    mean, _ = basis(np.array([theta]), grid)
    brute = gauss_means(theta, rough, frames, grid.decay)
    np.testing.assert_allclose(mean[0], brute, rtol=3e-13)


def test_closed_form_of_a_triexponential_input():
    # A_i e^{-l t} (x) e^{-theta t} = A_i (e^{-l t} - e^{-theta t}) / (theta - l);
    # the rise (a t) e^{-4t} likewise. The knots are dense, so what is left is their error.
    theta, frames = 0.05, schedule("dpn90")
    decay = frames.decay_lambda

    def closed(t):
        m = theta - 4.0
        rise = 120 * (t * np.exp(-4 * t) / m - (np.exp(-4 * t) - np.exp(-theta * t)) / m**2)
        falls = sum(
            A * (np.exp(-rate * t) - np.exp(-theta * t)) / (theta - rate)
            for A, rate in ((-22.5, 4.0), (18.0, 0.5), (4.5, 0.008))
        )
        return rise + falls

    x, w = np.polynomial.legendre.leggauss(40)
    truth = []
    for s, e in zip(frames.start, frames.end, strict=True):
        t = (s + e) / 2 + (e - s) / 2 * x
        fall = w * np.exp(-decay * t)
        truth.append((fall @ closed(t)) / fall.sum())
    errors = []
    for step in (0.005, 0.0025):
        t = np.concatenate((np.arange(0, 10, step), np.arange(10, 91, 20 * step)))
        c = np.maximum(triexp(t), 0)
        mean, _ = basis(np.array([theta]), make_grid(frames, InputFunction(t, c, c)))
        errors.append(np.abs(mean[0] / truth - 1).max())
    assert errors[1] < 1e-4
    # straight lines between knots: a quarter of the error at half the step
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)


def test_running_integral_is_that_of_the_input():
    """The integral of the input starts at injection, whatever the frames (trap T3)."""
    frames, given_ = schedule("dpn90", gap=True), blood()
    got = running_input(make_grid(frames, given_, decay_weighted=False))
    for f in (0, 5, frames.n - 1):
        t = np.linspace(frames.start[f], frames.end[f], 4001)
        area = np.array([given_.auc(0, v) for v in t])
        assert got[f] == pytest.approx(np.trapezoid(area, t) / frames.duration[f], rel=1e-6)
    # the naive version: the input known at the frames only, from the first on
    naive = np.trapezoid(given_.at(frames.mid), frames.mid)
    assert abs(naive / given_.auc(0, frames.mid[-1]) - 1) > 0.02


def test_uneven_knots_equal_even_ones():
    """Knots on the lines change nothing; an even-sampling convolution does (trap T1)."""
    frames, given_ = schedule("dpn90"), blood(dense=False)
    even = np.unique(np.concatenate((given_.t, np.arange(0, 130, 0.05))))
    even = even[np.concatenate(([True], np.diff(even) > 1e-7))]
    finer = InputFunction(even, given_.at(even), given_.whole_blood_at(even))
    rates = np.geomspace(1e-3, 5, 9)
    one, d_one = basis(rates, make_grid(frames, given_))
    two, d_two = basis(rates, make_grid(frames, finer))
    np.testing.assert_allclose(one, two, rtol=1e-8)
    np.testing.assert_allclose(d_one, d_two, rtol=1e-8)
    step = frames.mid[1] - frames.mid[0]
    naive = np.convolve(given_.at(frames.mid), np.exp(-0.05 * frames.mid))[: frames.n] * step
    truth = basis(np.array([0.05]), make_grid(frames, given_))[0][0]
    assert np.abs(naive[-5:] / truth[-5:] - 1).max() > 0.1


@settings(max_examples=40, deadline=None)
@given(st.floats(-9, 2.2), st.booleans())
def test_slope_is_the_derivative(ln_rate, decay_weighted):
    grid = make_grid(schedule("dpn90", gap=True), blood(dense=False), decay_weighted=decay_weighted)
    theta, eps = np.exp(ln_rate), 1e-5
    around, slope = basis(theta * np.array([1 - eps, 1 + eps, 1]), grid)
    numeric = (around[1] - around[0]) / (2 * eps)
    np.testing.assert_allclose(slope[2] * theta, numeric, rtol=1e-5, atol=1e-9 * around.max())


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 1), st.floats(1e-3, 5))
def test_shifted_input_shifts_tissue(delay, theta):
    """A delay of the input is a delay of the tissue: shift the frames instead."""
    given_ = blood(dense=False)
    frames = Frames([5, 8, 20], [8, 12, 50], np.inf)
    later = Frames(frames.start + delay, frames.end + delay, np.inf)
    one = basis(np.array([theta]), make_grid(frames, given_))[0]
    two = basis(np.array([theta]), make_grid(later, given_.shifted(delay)))[0]
    np.testing.assert_allclose(one, two, rtol=1e-9)


def test_linear_in_the_input():
    frames = schedule("mc1-120")
    a = blood(dense=False)
    b = InputFunction(a.t, np.sqrt(a.plasma_parent), a.whole_blood)
    both = InputFunction(a.t, 2 * a.plasma_parent + b.plasma_parent, a.whole_blood)
    rates = np.array([0.01, 1.0])
    sums = [basis(rates, make_grid(frames, each))[0] for each in (a, b, both)]
    np.testing.assert_allclose(2 * sums[0] + sums[1], sums[2], rtol=1e-12)


def test_frame_means_of_the_input_are_decay_weighted():
    frames, given_ = schedule("long"), blood(dense=False)
    grid = make_grid(frames, given_)
    for f in (0, 9, frames.n - 1):
        t = np.linspace(frames.start[f], frames.end[f], 40001)
        fall = np.exp(-frames.decay_lambda * t)
        for mean, curve in (
            (grid.plasma_mean, given_.at(t)),
            (grid.whole_blood_mean, given_.whole_blood_at(t)),
        ):
            truth = np.trapezoid(curve * fall, t) / np.trapezoid(fall, t)
            assert mean[f] == pytest.approx(truth, rel=1e-6)


def test_double_precision_throughout():
    grid = make_grid(schedule("dpn90"), blood())
    assert all(a.dtype == np.float64 for a in (grid.plasma, grid.share, grid.steps))
    assert basis(np.array([1], dtype=np.float32), grid)[0].dtype == np.float64


def test_input_that_ends_early_is_refused():
    with pytest.raises(Refused, match="ends long before"):
        make_grid(schedule("dpn90"), blood(end=70))
