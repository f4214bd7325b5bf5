"""Feng's input, its infusion, the choice by AICc, and what blood noise does to V_T."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from ekbom.errors import Refused
from ekbom.measures.pet.blood import BloodData
from ekbom.measures.pet.blood_draws import blood_errors, draw_inputs
from ekbom.measures.pet.feng import columns_of, feng, rates_of
from ekbom.measures.pet.fit import fit
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction
from ekbom.measures.pet.input_fit import fit_input
from ekbom.measures.pet.plasma import FORMS
from ekbom.measures.pet.regional import fit_regions
from ekbom.measures.pet.settings import PETSettings
from ekbom.measures.pet.simulate import forward

TIMES = np.concatenate((np.arange(0.2, 3, 0.2), [3.5, 4, 5, 7, 10, 15, 20, 30, 45, 60, 75, 90]))
X = np.array([np.log(3.0), 1.8, 3.2])
A = np.array([300.0, 15.0, 5.0])
FRAMES = Frames.of_runs([(6, 10), (3, 20), (3, 60), (5, 120), (5, 300), (5, 600)], 20.364)


def truth(t: np.ndarray, box: float = 0.0) -> np.ndarray:
    return columns_of(np.asarray(t) - 0.35, X, box) @ A


def blood(values: np.ndarray) -> BloodData:
    return BloodData(
        time_wb=TIMES, whole_blood=0.8 * values, time_p=TIMES, plasma=values, time_f=None,
        parent_fraction=None, plasma_is_parent=True, source="made",
    )  # fmt: skip


def test_the_form_is_fengs() -> None:
    L1, L2, L3 = rates_of(X)
    u = np.linspace(0, 20, 50)
    by_paper = (
        (A[0] * u - A[1] - A[2]) * np.exp(-L1 * u) + A[1] * np.exp(-L2 * u) + A[2] * np.exp(-L3 * u)
    )
    np.testing.assert_allclose(columns_of(u, X, 0.0) @ A, by_paper, atol=1e-10)
    assert (columns_of(-u, X, 0.0) == 0).all()


@given(st.floats(0.05, 5.0), st.floats(0.0, 30.0))
@settings(max_examples=25, deadline=None)
def test_the_infusion_is_the_mean_over_its_length(box: float, t: float) -> None:
    def bolus(s: float) -> float:
        return float((columns_of(np.array([s]), X, 0.0) @ A)[0])

    mean = quad(bolus, max(t - box, 0.0), t, limit=200, epsabs=1e-10)[0] / box
    found = float((columns_of(np.array([t]), X, box) @ A)[0])
    assert found == pytest.approx(mean, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("box", [0.0, 1.0])
def test_parameters_come_back(box: float) -> None:
    found = feng(TIMES, truth(TIMES, box), 90.0, infusion=box > 0)
    expected = dict(zip(("lambda1", "lambda2", "lambda3"), rates_of(X), strict=True))
    expected |= {"t0": 0.35, "A1": A[0], "A2": A[1], "A3": A[2]}
    if box:
        expected["infusion"] = box
    for name, value in expected.items():
        assert found.params[name] == pytest.approx(value, rel=1e-4), name
    fine = np.linspace(0, 90, 20001)
    assert np.max(np.abs(found.at(fine) - truth(fine, box))) < 2e-3 * truth(fine, box).max()
    area = np.trapezoid(truth(fine, box), fine)
    assert found.auc(0, 90) == pytest.approx(area, rel=1e-3)
    held = feng(TIMES, truth(TIMES, box), 90.0, infusion=box > 0, length=box or None)
    assert held.rss < 1e-9


def test_auto_takes_what_the_samples_say() -> None:
    rng = np.random.default_rng(5)
    for box, wanted in ((0.0, "feng"), (1.5, "feng_infusion")):
        values = truth(TIMES, box) * (1 + 0.02 * rng.normal(size=TIMES.size))
        made = fit_input(blood(values), frames=FRAMES, plasma="auto", needs_whole_blood=False)
        assert made.parent_plasma.model == wanted
        table = made.table.set_index("model")
        assert set(FORMS) <= set(table.index)
        assert table.loc[list(FORMS), "aicc"].idxmin() == wanted
        assert table.loc[wanted, "auc_difference_percent"] == 0
    plain = fit_input(blood(values), frames=FRAMES, plasma="interpolate", needs_whole_blood=False)
    assert plain.parent_plasma.model == "interpolate"
    assert set(FORMS) <= set(plain.candidates)


def test_too_few_samples_are_refused() -> None:
    few = slice(None, None, 4)
    with pytest.raises(Refused, match="Too few blood samples"):
        feng(TIMES[few], truth(TIMES)[few], 90.0)


@pytest.mark.parametrize("plasma", ["interpolate", "feng"])
def test_blood_error_is_the_spread_over_repeated_blood(plasma: str) -> None:
    """Other people draw the same blood again: V_T spreads as the bootstrap of one of them says."""
    fine = np.unique(np.concatenate((np.linspace(0, 5, 500), np.geomspace(5, 91, 300))))
    clean = InputFunction(fine, truth(fine), 0.8 * truth(fine))
    tissue = forward("1tcm", {"K1": [0.3, 0.2], "k2": [0.05, 0.1]}, clean, FRAMES)
    plan = PETSettings(model=("1tcm",), delay=0, blood_draws=20, input=plasma,
                       compartment={"vB": 0.0})  # fmt: skip
    rng = np.random.default_rng(8)

    def again() -> np.ndarray:
        # counting noise, as the weights of the fit take it
        clear = truth(TIMES)
        return np.maximum(clear + 0.15 * np.sqrt(clear) * rng.normal(size=TIMES.size), 0)

    many = []
    for _ in range(40):
        one = fit_input(blood(again()), frames=FRAMES, plasma=plasma)
        many.append(fit(tissue, FRAMES, one.input, model="1tcm", vB=0.0).params["VT"])
    spread = np.std(many, axis=0, ddof=1)
    said = []
    for i in range(4):
        made = fit_input(blood(again()), frames=FRAMES, plasma=plasma)
        regional = fit_regions(tissue, ("a", "b"), tissue.mean(axis=0), FRAMES, made, plan)
        error = blood_errors(tissue, regional, made, FRAMES, plan, seed=i)["1tcm"]
        assert error.draws.shape == (20, 2)
        np.testing.assert_allclose(error.se, np.hypot(error.se_tissue, error.se_blood))
        said.append(error.se_blood)
    ratio = np.median(said, axis=0) / spread
    assert ((ratio > 0.5) & (ratio < 2.0)).all(), ratio


def test_draws_are_seeded_and_no_noise_gives_no_spread() -> None:
    noisy = truth(TIMES) * (1 + 0.03 * np.random.default_rng(0).normal(size=TIMES.size))
    made = fit_input(blood(noisy), frames=FRAMES, plasma="feng")
    a, b, c = (draw_inputs(made, FRAMES, 3, seed) for seed in (1, 1, 2))
    for one, two in zip(a, b, strict=True):
        assert one.plasma_parent.tobytes() == two.plasma_parent.tobytes()
    assert a[0].auc(0, 90) != c[0].auc(0, 90)
    exact = fit_input(blood(truth(TIMES)), frames=FRAMES, plasma="feng")
    areas = [one.auc(0, 90) for one in draw_inputs(exact, FRAMES, 4, 0)]
    np.testing.assert_allclose(areas, areas[0], rtol=1e-3)
    with pytest.raises(Refused, match="two draws"):
        draw_inputs(made, FRAMES, 1, 0)
