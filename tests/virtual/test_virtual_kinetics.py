"""Frame means against closed forms, an ODE solver and the analysis' own model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from ekbom.measures.pet.tracers import tracer
from ekbom.virtual.blood import draw_arterial
from ekbom.virtual.design import load
from ekbom.virtual.kinetics import STEP_S, Rates, _exponential, frame_means, time_grid
from ekbom.virtual.scanner import Timing

DPN = tracer("diprenorphine")
TIMING = Timing.of(DPN)
GRID = time_grid(90.0)


def rates(K1=0.4, k2=0.15, k3=0.4, k4=0.07):
    return Rates(*(np.array([v], dtype=float) for v in (K1, k2, k3, k4)))


def weight(start, end, decay):
    return decay / (np.exp(-decay * start) - np.exp(-decay * end))


def test_one_tissue_with_a_linear_input_is_exact():
    # u = C_P e^(-lt) = a + b t is linear, so x' = -(k2 + l) x + K1 u has a closed form
    decay, K1, k2, a, b = 0.034, 0.3, 0.2, 5.0, 0.1
    parent = np.exp(decay * GRID) * (a + b * GRID)
    q = k2 + decay

    def integral(t):
        # of x = K1 [(a/q - b/q^2)(1 - e^(-qt)) + b t / q]
        c = a / q - b / q**2
        return K1 * (c * (t + np.expm1(-q * t) / q) + b * t**2 / (2 * q))

    start, end = TIMING.start, TIMING.end
    expected = (integral(end) - integral(start)) * weight(start, end, decay)
    found = frame_means(rates(K1, k2, 0.0, 0.0), parent, 0 * parent, start, end, decay)
    np.testing.assert_allclose(found[0], expected, rtol=1e-9)


@pytest.mark.parametrize("k4", [0.07, 0.0])
def test_two_tissues_against_an_ode_solver(k4):
    decay = TIMING.decay
    r = rates(k4=k4)
    parent = np.exp(decay * GRID) * (2.0 + 0.05 * GRID)

    def rhs(t, y):
        c1, c2, _ = y
        u = 2.0 + 0.05 * t
        d1 = 0.4 * u - (0.15 + 0.4 + decay) * c1 + k4 * c2
        d2 = 0.4 * c1 - (k4 + decay) * c2
        return [d1, d2, c1 + c2]

    edges = np.append(TIMING.start, 90.0)
    run = solve_ivp(rhs, (0, 90), [0, 0, 0], t_eval=edges, rtol=1e-11, atol=1e-12, method="DOP853")
    expected = np.diff(run.y[2]) * weight(TIMING.start, TIMING.end, decay)
    found = frame_means(r, parent, 0 * parent, TIMING.start, TIMING.end, decay)
    np.testing.assert_allclose(found[0], expected, rtol=1e-8)


def test_frames_with_gaps_equal_the_same_frames_of_a_full_schedule():
    parent = np.exp(-0.01 * GRID) * (1 - np.exp(-GRID))
    full = frame_means(rates(), parent, parent, TIMING.start, TIMING.end, TIMING.decay, 0.05)
    some = np.array([2, 7, 20, 26])
    part = frame_means(
        rates(), parent, parent, TIMING.start[some], TIMING.end[some], TIMING.decay, 0.05
    )
    np.testing.assert_allclose(part, full[:, some], rtol=1e-10)


def test_a_constant_source_keeps_its_value_and_an_undecaying_one_rises_with_lambda():
    still = np.ones_like(GRID)
    flat = frame_means(rates(), 0 * still, still, TIMING.start, TIMING.end, TIMING.decay, 1.0)
    np.testing.assert_allclose(flat, 1.0, rtol=2e-7)
    active = np.exp(TIMING.decay * GRID)
    found = frame_means(rates(), 0 * still, active, TIMING.start, TIMING.end, TIMING.decay, 1.0)[0]
    # activity 1 at all times: the corrected mean is duration times the weight
    np.testing.assert_allclose(
        found,
        (TIMING.end - TIMING.start) * weight(TIMING.start, TIMING.end, TIMING.decay),
        rtol=1e-9,
    )
    slope = np.polyfit((TIMING.start + TIMING.end) / 2, np.log(found), 1)[0]
    assert slope == pytest.approx(TIMING.decay, rel=5e-3)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-0.2, 0.2), min_size=16, max_size=16))
def test_the_exponential_is_that_of_scipy(values):
    m = np.array(values).reshape(1, 4, 4)
    np.testing.assert_allclose(_exponential(m)[0], expm(m[0]), rtol=1e-13, atol=1e-15)


def test_rates_too_fast_for_the_step_are_an_error():
    with pytest.raises(ValueError, match="too fast"):
        frame_means(rates(k2=200.0), GRID, GRID, np.array([0.0]), np.array([1.0]), 0.03)


def test_blood_share_is_linear_in_vB():
    parent = np.exp(-0.01 * GRID)
    blood = 2 * parent
    at = [
        frame_means(rates(), parent, blood, TIMING.start, TIMING.end, TIMING.decay, v)
        for v in (0.0, 0.05, 1.0)
    ]
    np.testing.assert_allclose(at[1], 0.95 * at[0] + 0.05 * at[2], rtol=1e-12)


@settings(max_examples=20, deadline=None)
@given(
    K1=st.floats(0.01, 1.0),
    k2=st.floats(0.02, 1.0),
    k3=st.floats(0.0, 2.0),
    k4=st.floats(0.005, 0.5),
)
def test_equilibrium_is_VT(K1, k2, k3, k4):
    # constant parent long enough: tissue over plasma tends to V_T from below
    r = rates(K1, k2, k3, k4)
    t = time_grid(600.0)
    start, end = np.array([595.0]), np.array([600.0])
    found = frame_means(r, np.ones_like(t), 0 * t, start, end, 0.001)[0, 0]
    s = k2 + k3 + k4
    slow = (s - np.sqrt(s * s - 4 * k2 * k4)) / 2
    assert found <= r.VT[0] * (1 + 1e-6)
    assert found >= r.VT[0] * (1 - 2.0 * np.exp(-slow * 590.0)) - 1e-6


def test_edges_off_the_grid_are_an_error():
    with pytest.raises(ValueError, match="multiples"):
        frame_means(rates(), GRID, GRID, np.array([0.0]), np.array([1.0 + 0.1 * STEP_S / 60]), 0.03)


def test_the_analysis_forward_model_agrees():
    simulate = pytest.importorskip("ekbom.measures.pet.simulate")
    from ekbom.measures.pet.frames import Frames
    from ekbom.measures.pet.input import InputFunction

    assert DPN.input_shape is not None
    assert DPN.parent_fraction is not None
    blood = draw_arterial(
        np.random.default_rng(3),
        DPN.input_shape,
        DPN.parent_fraction,
        load("demo").blood,
        dose_kBq=185_000,
        clearance_mL_min=1200,
        sex="F",
    )
    parent, whole = blood.parent(GRID), blood.whole_blood(GRID)
    frames = Frames(start=TIMING.start, end=TIMING.end, half_life=DPN.half_life)
    dense = np.unique(np.concatenate([GRID[GRID <= 10.0], GRID[::10]]))
    given_input = InputFunction(
        t=dense,
        plasma_parent=blood.parent(dense),
        whole_blood=blood.whole_blood(dense),
        provenance={"all": "simulated"},
        covers=(0.0, 90.0),
    )
    for name in ("diprenorphine", "raclopride", "carfentanil", "fallypride"):
        for key, kinetic in tracer(name).kinetics.items():
            values = {k: getattr(kinetic, k) for k in ("K1", "k2", "k3", "k4")}
            model = "2tcm" if kinetic.k4 > 0 else "1tcm"
            if model == "1tcm":
                values = {k: values[k] for k in ("K1", "k2")}
            theirs = simulate.forward(model, values, given_input, frames, vB=0.05)
            ours = frame_means(
                rates(kinetic.K1, kinetic.k2, kinetic.k3, kinetic.k4),
                parent,
                whole,
                TIMING.start,
                TIMING.end,
                TIMING.decay,
                0.05,
            )
            difference = np.abs(np.ravel(theirs) / ours[0] - 1)
            assert difference.max() <= 1e-3, (name, key, difference.max())
