"""Noise-free truth is recovered; two independent ways forward agree; nothing depends on order."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pet_numerics_truth import C11, SETS, VT, blood, schedule
from scipy.optimize import least_squares

from ekbom.errors import Refused
from ekbom.measures import pet
from ekbom.measures.pet import simulate
from ekbom.measures.pet.convolve import basis, make_grid
from ekbom.measures.pet.fit import MODELS, fit
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction

NAMES = ("dpn90", "mc1-120", "long")


@pytest.mark.parametrize("decay_weighted", [True, False])
@pytest.mark.parametrize("model", ["1tcm", "2tcm", "2tcm-irreversible"])
def test_forward_agrees_with_the_differential_equations(model, decay_weighted):
    params = {
        "K1": np.array([0.4, 0.1]),
        "k2": np.array([0.15, 0.3]),
        "k3": np.array([0.4, 0.02]),
        "k4": np.array([0.07, 0.3]),
    }
    how = {"vB": np.array([0.05, 0.1]), "delay": 0.21, "decay_weighted": decay_weighted}
    frames, given_ = schedule("dpn90", gap=True), blood(dense=False)
    closed = simulate.forward(model, params, given_, frames, **how)
    solved = simulate.forward_ode(model, params, given_, frames, **how)
    np.testing.assert_allclose(closed, solved, rtol=1e-8)


@pytest.mark.parametrize("gap", [False, True])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("truth", SETS)
def test_noise_free_recovery(name, truth, gap):
    model, params = SETS[truth]
    frames, given_ = schedule(name, gap=gap), blood()
    tac = simulate.forward(model, params, given_, frames, vB=0.05, delay=0.1)
    found = fit(tac, frames, given_.shifted(0.1), model=model)
    for key, value in {**params, "VT": VT(params), "vB": 0.05}.items():
        assert found.params[key][0] == pytest.approx(value, rel=1e-6)
    np.testing.assert_allclose(found.fitted, tac, rtol=1e-9)


def test_recovery_from_the_differential_equations():
    frames, given_ = schedule("mc1-120"), blood(dense=False)
    for model, params in (SETS["pbr28"], SETS["one"]):
        tac = simulate.forward_ode(model, params, given_, frames, vB=0.04)
        found = fit(tac, frames, given_, model=model)
        assert found.params["VT"][0] == pytest.approx(VT(params), rel=1e-4)
        assert found.params["vB"][0] == pytest.approx(0.04, rel=1e-4)


def test_irreversible_recovery():
    params = {"K1": 0.1, "k2": 0.15, "k3": 0.05}
    frames, given_ = schedule("dpn90"), blood()
    tac = simulate.forward("2tcm-irreversible", params, given_, frames, vB=0.03)
    found = fit(tac, frames, given_, model="2tcm-irreversible")
    for key, value in {**params, "Ki": 0.1 * 0.05 / 0.2, "vB": 0.03}.items():
        assert found.params[key][0] == pytest.approx(value, rel=1e-6)
    assert found.outcome == "Ki"
    assert found.n_free == 4
    patlak = fit(tac, frames, given_, model="patlak", vB=0.03, tstar=40)
    assert patlak.params["Ki"][0] == pytest.approx(0.025, rel=0.01)


def test_two_tissues_on_a_curve_of_one():
    model, params = SETS["one"]
    frames, given_ = schedule("dpn90"), blood()
    tac = simulate.forward(model, params, given_, frames, vB=0.05)
    found = fit(tac, frames, given_, model="2tcm")
    assert found.params["VT"][0] == pytest.approx(6, rel=1e-6)
    assert found.params["k3"][0] == 0
    assert "singular" in found.flags[0]
    assert np.isnan(found.se["k3"][0])
    assert np.isfinite(found.se["VT"][0])


@pytest.mark.parametrize("vB", [0.0, 0.05, "free"])
def test_blood_volume_free_fixed_or_none(vB):
    model, params = SETS["pbr28"]
    frames, given_ = schedule("dpn90"), blood()
    truth = 0.05 if vB == "free" else vB
    tac = simulate.forward(model, params, given_, frames, vB=truth)
    found = fit(tac, frames, given_, model="2tcm", vB=vB)
    assert found.params["VT"][0] == pytest.approx(VT(params), rel=1e-6)
    assert found.n_free == 4 + (vB == "free")
    assert np.isnan(found.se["vB"][0]) == (vB != "free")


@pytest.mark.parametrize(("truth", "bound", "flag"), [(0.35, 0.2, "upper"), (-0.03, 0.0, "lower")])
def test_blood_volume_stays_in_its_box(truth, bound, flag):
    model, params = SETS["pbr28"]
    frames, given_ = schedule("dpn90"), blood()
    tac = simulate.forward(model, params, given_, frames, vB=truth)
    found = fit(tac, frames, given_, model="2tcm")
    assert found.params["vB"][0] == bound
    assert f"at_{flag}_vB" in found.flags[0]
    # the rest is the best fit with the blood volume at that bound
    held = fit(tac, frames, given_, model="2tcm", vB=bound)
    assert found.rss[0] == pytest.approx(held.rss[0], rel=1e-9)
    assert found.params["VT"][0] == pytest.approx(held.params["VT"][0], rel=1e-6)


def _brute(tac, frames, input, weights):
    """Least RSS from 60 random starts of all five parameters, bounds kept."""
    grid, root = make_grid(frames, input), np.sqrt(weights)
    rng = np.random.default_rng(5)

    def residual(x):
        mean, _ = basis(np.exp(x[:2]), grid)
        tissue = x[2] * mean[0] + x[3] * mean[1]
        return root * ((1 - x[4]) * tissue + x[4] * grid.whole_blood_mean - tac)

    low, high = [-7, -7, 0, 0, 0], [2.1, 2.1, 3, 3, 0.2]
    best = np.inf
    for _ in range(60):
        start = [*rng.uniform(-6.5, 2, 2), *rng.uniform(0.001, 0.5, 2), rng.uniform(0.01, 0.15)]
        got = least_squares(residual, start, bounds=(low, high), x_scale="jac", xtol=1e-12)
        best = min(best, 2 * got.cost)
    return best


@pytest.mark.parametrize("truth", ["pbr28", "diprenorphine"])
def test_the_global_optimum_is_found(truth):
    model, params = SETS[truth]
    frames, given_ = schedule("dpn90"), blood(dense=False)
    clean = simulate.forward(model, params, given_, frames, vB=0.04)[0]
    scale = simulate.noise_scale(clean, frames, 0.06)
    for seed in range(3):
        tac = simulate.add_noise(clean, frames, scale, seed)
        found = fit(tac, frames, given_, model="2tcm", weight_reference=clean)
        assert found.rss[0] <= _brute(tac, frames, given_, found.weights) * (1 + 1e-7)
        assert "no_convergence" not in found.flags[0]


def test_no_node_pair_of_a_finer_table_is_better():
    model, params = SETS["carfentanil"]
    frames, given_ = schedule("mc1-120"), blood(dense=False)
    clean = simulate.forward(model, params, given_, frames, vB=0.04)[0]
    tacs = simulate.add_noise(
        np.tile(clean, (40, 1)), frames, simulate.noise_scale(clean, frames, 0.1), 3
    )
    found = fit(tacs, frames, given_, model="2tcm", vB=0.04, weights="duration")
    root = np.sqrt(found.weights)
    grid = make_grid(frames, given_)
    B = basis(np.exp(np.linspace(-7, 2.1, 150)), grid)[0] * root
    for tac, rss in zip(tacs, found.rss, strict=True):
        y = (tac - 0.04 * grid.whole_blood_mean) * root
        G, h = B @ B.T, B @ y
        g = np.diag(G)
        det = g[:, None] * g[None, :] - G**2
        with np.errstate(divide="ignore", invalid="ignore"):
            one = (h[:, None] * g[None, :] - h[None, :] * G) / det
        fine = (one > 0) & (one.T > 0) & (det > 1e-9 * g[:, None] * g[None, :])
        gain = np.where(fine, one * h[:, None] + one.T * h[None, :], 0)
        assert rss <= y @ y - max(gain.max(), (h.clip(0) ** 2 / g).max()) + 1e-9 * (y @ y)


def _noisy(n, seed=0):
    model, params = SETS["diprenorphine"]
    frames, given_ = schedule("dpn90"), blood()
    clean = simulate.forward(model, params, given_, frames, vB=0.05)[0]
    scale = simulate.noise_scale(clean, frames, 0.03)
    return simulate.add_noise(np.tile(clean, (n, 1)), frames, scale, seed), frames, given_


def _how(model):
    graphical = model in ("logan", "ma1", "patlak")
    return {"vB": 0.05, "tstar": 30} if graphical else {}


@pytest.mark.parametrize("model", MODELS)
def test_order_and_threads_change_no_bit(model):
    tacs, frames, given_ = _noisy(200)
    threads = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        one = fit(tacs, frames, given_, model=model, **_how(model))
        numba.set_num_threads(threads)
        two = fit(tacs, frames, given_, model=model, **_how(model))
    finally:
        numba.set_num_threads(threads)
    order = np.random.default_rng(1).permutation(len(tacs))
    mixed = fit(tacs[order], frames, given_, model=model, **_how(model))
    alone = fit(tacs[7], frames, given_, model=model, weights=one.weights, **_how(model))
    for key in one.params:
        assert one.params[key].tobytes() == two.params[key].tobytes()
        assert one.params[key][order].tobytes() == mixed.params[key].tobytes()
        assert one.se[key][order].tobytes() == mixed.se[key].tobytes()
        # scaled weights may round: the same region alone, to rounding
        np.testing.assert_allclose(alone.params[key][0], one.params[key][7], rtol=1e-6)
    assert [one.flags[i] for i in order] == list(mixed.flags)


@settings(max_examples=15, deadline=None)
@given(st.floats(1e-3, 1e4), st.sampled_from(MODELS))
def test_tissue_and_input_scaled_together(factor, model):
    tacs, frames, given_ = _noisy(3, seed=4)
    scaled = InputFunction(given_.t, factor * given_.plasma_parent, factor * given_.whole_blood)
    one = fit(tacs, frames, given_, model=model, **_how(model))
    two = fit(factor * tacs, frames, scaled, model=model, **_how(model))
    np.testing.assert_allclose(two.params[one.outcome], one.params[one.outcome], rtol=1e-6)
    np.testing.assert_allclose(two.se[one.outcome], one.se[one.outcome], rtol=1e-4)


@settings(max_examples=15, deadline=None)
@given(st.floats(0.2, 5))
def test_VT_scales_with_tissue(factor):
    tacs, frames, given_ = _noisy(2, seed=5)
    one = fit(tacs, frames, given_, model="2tcm", vB=0.0)
    two = fit(factor * tacs, frames, given_, model="2tcm", vB=0.0)
    np.testing.assert_allclose(two.params["VT"], factor * one.params["VT"], rtol=1e-6)


def test_curves_that_hold_nothing():
    tacs, frames, given_ = _noisy(3)
    tacs[0] = 0
    tacs[1, 4] = np.nan
    for model in MODELS:
        found = fit(tacs, frames, given_, model=model, weight_reference=tacs[2], **_how(model))
        assert found.flags[0] == found.flags[1] == ("no_data",)
        assert np.isnan(found.params[found.outcome][:2]).all()
        assert np.isfinite(found.params[found.outcome][2])


def test_curves_of_noise_give_flags_and_no_warning():
    _, frames, given_ = _noisy(1)
    tacs = np.random.default_rng(0).standard_normal((60, frames.n))
    tacs[0], tacs[1], tacs[2, 3], tacs[3] = -1, 1e12, np.inf, 1e-200
    for model in MODELS:
        found = fit(tacs, frames, given_, model=model, weights="duration", **_how(model))
        assert found.flags[2] == ("no_data",)
        if model in ("1tcm", "2tcm"):
            assert all(found.flags)


def test_frames_of_no_weight_are_left_out():
    tacs, frames, given_ = _noisy(2)
    w = np.ones(frames.n)
    w[[3, 20]] = 0
    broken = tacs.copy()
    broken[:, [3, 20]] = [1e6, np.nan]
    keep = w > 0
    few = Frames(frames.start[keep], frames.end[keep], C11)
    one = fit(broken, frames, given_, model="2tcm", weights=w)
    two = fit(tacs[:, keep], few, given_, model="2tcm", weights="uniform")
    np.testing.assert_allclose(one.params["VT"], two.params["VT"], rtol=1e-7)
    np.testing.assert_allclose(one.se["VT"], two.se["VT"], rtol=1e-5)
    assert one.df == two.df


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"model": "3tcm"}, "model is not known"),
        ({"vB": 1.0}, "not a share"),
        ({"vB": "some"}, "not a share"),
        ({"tstar": 30}, "uses all frames"),
        ({"frame_mean": "middle"}, "frame mean"),
        ({"names": ["a"]}, "one name a curve"),
        ({"weights": "counts"}, "weights are not known"),
        ({"model": "logan", "tstar": 30}, "cannot estimate the blood volume"),
        ({"model": "logan", "vB": 0.05}, "needs t"),
        ({"weights": [1, 2]}, "one a frame"),
    ],
)
def test_what_does_not_fit_is_refused(change, word):
    tacs, frames, given_ = _noisy(2)
    with pytest.raises(Refused, match=word):
        fit(tacs, frames, given_, **({"model": "2tcm"} | change))
    with pytest.raises(Refused, match="one value a frame"):
        fit(tacs[:, 1:], frames, given_, model="2tcm")


def test_public_names():
    assert pet.fit is fit
    assert set(pet.__all__) == set(pet._HOME)
    for name in pet.__all__:
        assert callable(getattr(pet, name))
    with pytest.raises(AttributeError):
        _ = pet.nothing
