"""Voxels: the same numbers as regions, at the optimum, in any order and on any threads."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from pet_reference_truth import K2PRIME, scan

from ekbom.errors import Refused
from ekbom.measures.pet.reference import fit_reference
from ekbom.measures.pet.reference_maps import MODELS, map_reference
from ekbom.measures.pet.simulate import add_noise, noise_scale

HELP = {"k2prime": K2PRIME, "tstar": 20.0, "window": (30.0, 90.0)}


def voxels(n: int, cv: float = 0.08) -> np.ndarray:
    frames, _, targets = scan("bolus")
    clean = targets[np.arange(n) % 4]
    return add_noise(clean, frames, noise_scale(targets[0], frames, cv), seed=3)


@pytest.mark.parametrize("model", MODELS)
def test_voxels_are_regions(model: str) -> None:
    frames, reference, _ = scan("bolus")
    y, w = voxels(200, 0.02), frames.duration / frames.duration.mean()
    one = map_reference(y, reference, frames, model=model, weights=w, **HELP)
    two = fit_reference(y, reference, frames, model=model, weights=w, **HELP)
    for name, values in one.params.items():
        free = np.array([not f or f == ("cv_high",) for f in two.flags])
        assert free.sum() > 100
        np.testing.assert_allclose(values[free], two.params[name][free], rtol=1e-4, atol=1e-5)
        if name in one.se:
            np.testing.assert_allclose(one.se[name][free], two.se[name][free], rtol=1e-3)


def test_noisy_voxels_are_at_the_optimum_of_the_exact_recursion() -> None:
    frames, reference, _ = scan("bolus")
    y, w = voxels(4000), frames.duration / frames.duration.mean()
    maps = map_reference(y, reference, frames, model="srtm", weights=w)
    exact = fit_reference(y, reference, frames, model="srtm", weights=w)
    apart = maps.rss / exact.rss - 1
    assert np.mean(np.abs(apart) <= 1e-6) >= 0.999
    assert np.max(np.abs(apart)) < 1e-5


@pytest.mark.parametrize("model", MODELS)
def test_order_and_threads_change_no_bit(model: str) -> None:
    frames, reference, _ = scan("bolus")
    y, w = voxels(300), np.ones(frames.n)
    y[7] = np.nan
    before = numba.get_num_threads()
    try:
        found = []
        for threads in (1, min(2, before)):
            numba.set_num_threads(threads)
            found.append(map_reference(y, reference, frames, model=model, weights=w, **HELP))
    finally:
        numba.set_num_threads(before)
    turned = map_reference(y[::-1], reference, frames, model=model, weights=w, **HELP)
    for name, values in found[0].params.items():
        assert values.tobytes() == found[1].params[name].tobytes()
        assert values[::-1].tobytes() == turned.params[name].tobytes()
        assert np.isnan(values[7])


def test_k2prime_from_voxels() -> None:
    frames, reference, _ = scan("bolus")
    w = np.ones(frames.n)
    fit = map_reference(voxels(400, 0.03), reference, frames, model="srtm2", weights=w)
    assert fit.meta["k2prime"] == pytest.approx(K2PRIME, rel=0.05)
    with pytest.raises(Refused, match="binds enough"):
        map_reference(np.tile(reference, (5, 1)), reference, frames, model="srtm2", weights=w)
    with pytest.raises(Refused, match="k2'"):
        map_reference(voxels(4), reference, frames, model="mrtm2", weights=w)
    with pytest.raises(Refused, match="model"):
        map_reference(voxels(4), reference, frames, model="frtm", weights=w)
