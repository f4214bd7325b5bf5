"""Reference-region models against curves from differential equations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pet_reference_truth import K2PRIME, SCHEDULES, TARGETS, TWO, scan
from scipy.optimize import minimize_scalar

from ekbom.errors import Refused
from ekbom.measures.pet.convolve import basis, frame_operator
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.k2prime import weighted_median
from ekbom.measures.pet.lift import lift
from ekbom.measures.pet.reference import MODELS, fit_reference
from ekbom.measures.pet.simulate import add_noise, noise_scale
from ekbom.measures.pet.uptake import suv

R1, BPND = np.array(TARGETS).T


@pytest.mark.parametrize("name", list(SCHEDULES))
@pytest.mark.parametrize("model", ["srtm", "srtm2", "mrtm1", "mrtm2", "logan-ref"])
def test_noise_free_truth_comes_back(name: str, model: str) -> None:
    frames, reference, targets = scan(name)
    tstar = 20.0 if model == "logan-ref" else None
    fit = fit_reference(
        targets[:4], reference, frames, model=model, weights="duration", tstar=tstar
    )
    np.testing.assert_allclose(1 + fit.params["BPND"], 1 + BPND, rtol=1e-3)
    if "R1" in fit.params:
        np.testing.assert_allclose(fit.params["R1"], R1, rtol=1e-3)
        np.testing.assert_allclose(fit.params["k2"], R1 * K2PRIME, rtol=2e-3)
    if model in ("srtm", "mrtm1"):
        np.testing.assert_allclose(fit.params["k2prime"][:3], K2PRIME, rtol=2e-3)
    elif model != "srtm":
        assert fit.meta["k2prime"] == pytest.approx(K2PRIME, rel=1e-3)
    assert not any("no_convergence" in flags for flags in fit.flags)


@pytest.mark.parametrize("name", ["bolus", "even"])
def test_full_model_recovers_two_tissues(name: str) -> None:
    frames, reference, targets = scan(name)
    fit = fit_reference(targets[4], reference, frames, model="frtm", weights="duration")
    found = [fit.params[n][0] for n in ("R1", "k2", "k3", "k4")]
    np.testing.assert_allclose(found, TWO, rtol=1e-2)
    assert fit.params["BPND"][0] == pytest.approx(TWO[2] / TWO[3], rel=1e-3)


def test_middle_values_on_even_steps_are_worse() -> None:
    """The naive way: values at mid-frame, convolved as if frames were samples."""
    frames, reference, targets = scan("long")
    fine = np.arange(0, frames.end[-1], 0.5)
    curve = np.interp(fine, frames.mid, reference, left=0)

    def naive(ln: float) -> float:
        kernel = np.exp(-np.exp(ln) * fine)
        b = np.interp(frames.mid, fine, 0.5 * np.convolve(curve, kernel)[: fine.size])
        X = np.stack((reference, b), axis=1)
        coef, *_ = np.linalg.lstsq(X, targets[0], rcond=None)
        naive.BPND = coef[0] + coef[1] / np.exp(ln) - 1
        return float(np.sum((targets[0] - X @ coef) ** 2))

    naive(minimize_scalar(naive, bounds=(-6, 1), method="bounded").x)
    fit = fit_reference(targets[0], reference, frames, model="srtm", weights="uniform")
    assert abs(fit.params["BPND"][0] / BPND[0] - 1) < 1e-3
    assert abs(naive.BPND / BPND[0] - 1) > 5e-3


def test_the_lift_keeps_frame_means_and_is_smoothest() -> None:
    frames, reference, _ = scan("bolus")
    one = lift(frames)
    curve = one.curve(reference)
    A = frame_operator(one.grid)
    np.testing.assert_allclose(A @ curve, reference, rtol=1e-8)
    assert curve[0] == 0

    def bending(c: np.ndarray) -> float:
        h = np.diff(one.t)
        return float(np.sum(np.diff(np.diff(c) / h) ** 2 / ((h[1:] + h[:-1]) / 2)))

    # any other curve with the same means bends more
    rng = np.random.default_rng(0)
    free = np.linalg.svd(A[:, 1:])[2][frames.n :]
    for _ in range(20):
        other = curve + np.concatenate(([0.0], rng.normal(size=len(free)) @ free)) * 0.01
        np.testing.assert_allclose(A @ other, reference, rtol=1e-6)
        assert bending(other) > bending(curve)


def test_the_lift_of_a_line_is_the_line() -> None:
    frames = Frames([0, 1, 5, 8], [1, 2, 8, 20], np.inf)
    one = lift(frames)
    np.testing.assert_allclose(one.curve(3 * frames.mid), 3 * one.t, atol=1e-9)
    running = one.running() @ (3 * frames.mid)
    exact = (frames.end**3 - frames.start**3) / 2 / frames.duration
    np.testing.assert_allclose(running, exact, rtol=1e-9)


@pytest.mark.parametrize("model", ["srtm", "srtm2"])
def test_the_optimum_is_that_of_a_brute_search(model: str) -> None:
    frames, reference, targets = scan("bolus")
    noisy = add_noise(np.repeat(targets[:4], 8, axis=0), frames,
                      noise_scale(targets[0], frames, 0.06), seed=4)  # fmt: skip
    w = frames.duration / frames.duration.mean()
    fit = fit_reference(noisy, reference, frames, model=model, weights=w, k2prime=K2PRIME)
    ln = np.linspace(np.log(0.1 / frames.end[-1]), np.log(3.0), 20000)
    b = basis(np.exp(ln), lift(frames).on_grid(reference))[0] * np.sqrt(w)
    q = reference * np.sqrt(w)
    if model == "srtm":
        u = b - np.outer(b @ q / (q @ q), q)
        base = lambda y: y @ y - (q @ y) ** 2 / (q @ q)  # noqa: E731
    else:
        u = q + (K2PRIME - np.exp(ln))[:, None] * b
        base = lambda y: y @ y  # noqa: E731
    for row, y in enumerate(noisy * np.sqrt(w)):
        best = base(y) - np.max((u @ y) ** 2 / np.sum(u**2, axis=1))
        assert fit.rss[row] <= best * (1 + 1e-9)


def test_standard_errors_are_the_spread_of_repeats() -> None:
    frames, reference, targets = scan("bolus")
    scale = noise_scale(targets[0], frames, 0.01)
    noisy = add_noise(np.repeat(targets[:1], 400, axis=0), frames, scale, seed=1)
    for model in ("srtm", "srtm2"):
        fit = fit_reference(
            noisy, reference, frames, model=model, weight_reference=targets[0], k2prime=K2PRIME
        )
        spread = fit.params["BPND"].std(ddof=1)
        assert fit.se["BPND"].mean() == pytest.approx(spread, rel=0.15)
        lower, upper = fit.interval("BPND")
        inside = int(((lower < 3.0) & (upper > 3.0)).sum())
        assert 365 <= inside <= 394  # binomial 99.9 % range of 95 % of 400


@given(st.floats(0.01, 100), st.floats(0.01, 100))
@settings(max_examples=10, deadline=None)
def test_units_cancel(a: float, b: float) -> None:
    frames, reference, targets = scan("bolus")
    for model in ("srtm", "mrtm1"):
        one = fit_reference(targets[:2], reference, frames, model=model, weights="duration")
        two = fit_reference(a * targets[:2], b * reference, frames, model=model, weights="duration")
        np.testing.assert_allclose(two.params["R1"], a / b * one.params["R1"], rtol=1e-4)
        same = (1 + one.params["BPND"]) * a / b
        np.testing.assert_allclose(1 + two.params["BPND"], same, rtol=1e-6)


def test_decay_reference_changes_nothing() -> None:
    frames, reference, targets = scan("bolus")
    late = Frames(frames.start, frames.end, frames.half_life, decay_ref=7.0)
    factor = np.exp(-frames.decay_lambda * 7.0)
    one = fit_reference(targets, reference, frames, model="srtm", weights="duration")
    two = fit_reference(factor * targets, factor * reference, late, model="srtm",
                        weights="duration")  # fmt: skip
    np.testing.assert_allclose(two.params["BPND"], one.params["BPND"], rtol=1e-8, atol=1e-10)


def test_suvr_and_suv_by_hand() -> None:
    frames = Frames([0, 10, 20, 40], [10, 20, 40, 60], 110.0)
    fit = fit_reference(
        [0, 1, 2, 5.0], [1, 1, 1, 2.0], frames, model="suvr", weights="uniform", window=(10, 60)
    )
    assert fit.params["SUVR"][0] == pytest.approx((10 + 40 + 100) / (10 + 20 + 40))
    assert fit.outcome == "SUVR"
    # 5 kBq/mL after 200 MBq in 80 kg
    assert suv([0, 1, 2, 5.0], frames, (40, 60), dose=200, weight=80) == pytest.approx(2.0)


def test_k2prime_is_that_of_regions_that_bind() -> None:
    assert weighted_median([3.0, 1.0, 2.0], [1.0, 1.0, 1.0]) == 2.0
    frames, reference, targets = scan("bolus")
    with pytest.raises(Refused, match="binds enough"):
        fit_reference(targets[2:4], reference, frames, model="srtm2", weights="duration")


def test_what_cannot_be_fitted_is_refused_or_flagged() -> None:
    frames, reference, targets = scan("bolus")
    with pytest.raises(Refused, match="not known"):
        fit_reference(targets, reference, frames, model="srtm3")
    with pytest.raises(Refused, match="t\\*"):
        fit_reference(targets, reference, frames, model="logan-ref")
    with pytest.raises(Refused, match="reference"):
        fit_reference(targets, 0 * reference, frames, model="srtm")
    with pytest.raises(Refused, match="window"):
        fit_reference(targets, reference, frames, model="suvr")
    with pytest.raises(Refused, match="Too few"):
        fit_reference(targets, reference, frames, model="mrtm1", tstar=80.0)
    missing = np.vstack((targets[0], np.full(frames.n, np.nan), np.zeros(frames.n)))
    for model in MODELS:
        fit = fit_reference(
            missing, reference, frames, model=model, weights="duration", tstar=30.0,
            k2prime=K2PRIME, window=(30.0, 90.0),
        )  # fmt: skip
        assert not fit.flags[0] or model == "frtm"
        assert "no_data" in fit.flags[1]
        assert np.isnan(fit.params[fit.outcome][1])


def test_the_reference_itself_binds_nothing() -> None:
    frames, reference, _ = scan("bolus")
    fit = fit_reference(reference, reference, frames, model="srtm", weights="duration")
    assert abs(fit.params["BPND"][0]) < 1e-6
    one = fit_reference(reference, reference, frames, model="mrtm1", weights="duration")
    assert "singular" in one.flags[0]  # three columns of which two are one
