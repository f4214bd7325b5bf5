"""Compartment models in voxels against the regional fit, which scans every pair of 512 rates."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from ekbom.errors import Refused
from ekbom.measures.pet.compartment_maps import map_compartments
from ekbom.measures.pet.fit import fit
from ekbom.measures.pet.flags import bits
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction
from ekbom.measures.pet.simulate import add_noise, forward, noise_scale

FRAMES = Frames.of_runs([(6, 10), (3, 20), (3, 60), (5, 120), (5, 300), (5, 600)], 20.364)


def blood() -> InputFunction:
    t = np.concatenate((np.arange(0, 5, 0.1), 5 + np.geomspace(0.3, 90, 40)))
    plasma = (120 * t - 22.5) * np.exp(-4 * t) + 18 * np.exp(-0.5 * t) + 4.5 * np.exp(-0.008 * t)
    plasma = np.maximum(plasma, 0.0)
    plasma[0] = 0.0
    return InputFunction(t, plasma, plasma * (0.75 + 0.9 * (1 - np.exp(-t / 25))))


def tissue(n: int, model: str = "2tcm") -> tuple[np.ndarray, np.ndarray]:
    spread = np.exp(0.25 * np.random.default_rng(3).normal(size=(4, n)))
    middle = np.array([0.4, 0.15, 0.4, 0.07])[:, None]
    rates = dict(zip(("K1", "k2", "k3", "k4"), middle * spread, strict=True))
    if model == "1tcm":
        rates = {"K1": rates["K1"], "k2": rates["k2"] / 3}
    VT = rates["K1"] / rates["k2"]
    if model == "2tcm":
        VT = VT * (1 + rates["k3"] / rates["k4"])
    return forward(model, rates, blood(), FRAMES, vB=0.05), VT


W = FRAMES.duration / FRAMES.duration.mean()


@pytest.mark.parametrize("model", ["1tcm", "2tcm"])
def test_noise_free_truth_comes_back(model: str) -> None:
    y, VT = tissue(60, model)
    done = map_compartments(y, FRAMES, blood(), model=model, weights=W)
    np.testing.assert_allclose(done.params["VT"], VT, rtol=1e-4)
    np.testing.assert_allclose(done.params["vB"], 0.05, rtol=1e-3)


@pytest.mark.parametrize("vB", ["free", 0.05])
def test_noisy_voxels_are_at_the_global_optimum(vB) -> None:
    y, _ = tissue(800)
    y = add_noise(y, FRAMES, noise_scale(y.mean(axis=0), FRAMES, 0.03), seed=2)
    done = map_compartments(y, FRAMES, blood(), model="2tcm", weights=W, vB=vB)
    brute = fit(y, FRAMES, blood(), model="2tcm", weights=W, vB=vB)
    # the map's parameters through the exact recursion, not through its table
    ok = np.isfinite(done.params["k4"])
    rates = {name: done.params[name][ok] for name in ("K1", "k2", "k3", "k4")}
    exact = forward("2tcm", rates, blood(), FRAMES, vB=done.params["vB"][ok])
    rss = (W * (y[ok] - exact) ** 2).sum(axis=1)
    np.testing.assert_allclose(rss, done.rss[ok], rtol=2e-6)
    missed = (done.rss > brute.rss * (1 + 1e-6)).mean()
    assert missed <= 0.006
    both = np.abs(done.rss / brute.rss - 1) < 1e-7
    clean = both & (done.flags == 0)
    assert clean.mean() > 0.2
    for name in ("VT", "K1", "BPND"):
        apart = np.abs(done.params[name] - brute.params[name]) / brute.se[name]
        assert apart[clean].max() < 0.01, name
        ratio = done.se[name][clean] / brute.se[name][clean]
        assert abs(np.median(ratio) - 1) < 1e-5
        assert np.abs(ratio - 1).max() < 0.05


@pytest.mark.parametrize("model", ["1tcm", "2tcm"])
def test_order_and_threads_change_no_bit(model: str) -> None:
    y, _ = tissue(300)
    y = add_noise(y, FRAMES, noise_scale(y[0], FRAMES, 0.1), seed=1)
    y[5] = np.nan
    y[6] = 0.0
    before = numba.get_num_threads()
    try:
        found = []
        for threads in (1, min(2, before)):
            numba.set_num_threads(threads)
            found.append(map_compartments(y, FRAMES, blood(), model=model, weights=W))
    finally:
        numba.set_num_threads(before)
    turned = map_compartments(y[::-1], FRAMES, blood(), model=model, weights=W)
    for name, values in found[0].params.items():
        assert values.tobytes() == found[1].params[name].tobytes()
        np.testing.assert_array_equal(values[::-1], turned.params[name])
        assert np.isnan(values[5:7]).all()
    assert (found[0].flags[5:7] == bits(["no_data"])).all()


def test_what_the_scan_cannot_tell_is_flagged() -> None:
    slow = forward("2tcm", {"K1": 0.3, "k2": 0.1, "k3": 0.1, "k4": 1e-5}, blood(), FRAMES)
    done = map_compartments(slow, FRAMES, blood(), model="2tcm", weights=W)
    assert done.flags[0] & bits(["k4_small"])
    y, _ = tissue(5)
    without = map_compartments(y, FRAMES, blood(), model="2tcm", weights=W, se=False)
    assert not without.se
    with pytest.raises(Refused, match="model"):
        map_compartments(y, FRAMES, blood(), model="3tcm", weights=W)
    with pytest.raises(Refused, match="too few frames"):
        map_compartments(y, FRAMES, blood(), model="2tcm", weights=np.arange(FRAMES.n) < 5)
    with pytest.raises(Refused, match="share"):
        map_compartments(y, FRAMES, blood(), model="2tcm", weights=W, vB=1.5)
