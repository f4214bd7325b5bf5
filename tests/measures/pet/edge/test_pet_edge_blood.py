"""Blood samples to input functions: forms, curves, checks, continuous records."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ekbom.errors import Refused
from ekbom.measures.pet import parent, plasma
from ekbom.measures.pet.blood import BloodData, inspect, short_by
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input_fit import fit_input
from ekbom.measures.pet.io.bloodstream import thin

T = np.array([0.3, 0.7, 1, 1.5, 2, 3, 5, 8, 12, 20, 30, 45, 60, 75, 90.0])
FRAMES = Frames(np.arange(0, 90, 5.0), np.arange(5, 95, 5.0), half_life=20.364)

TRUE_FRACTION = {
    "hill": {"f0": 0.97, "f_inf": 0.15, "t50": 12.0, "n": 1.5},
    "power": {"f0": 0.95, "b": 0.08, "c": 0.5},
    "exponential": {"f0": 0.98, "w": 0.6, "b": 0.12, "c_over_b": 0.05},
    "single-exponential": {"f0": 0.9, "b": 0.015},
    "inverse-gamma": {"f0": 0.96, "f_inf": 0.1, "a": 0.8, "b": 9.0},
}


@pytest.mark.parametrize("model", TRUE_FRACTION)
def test_every_form_is_recovered_without_noise(model: str) -> None:
    truth = TRUE_FRACTION[model]
    values = parent.FORMS[model].function(T, np.array(list(truth.values())))
    fit = parent.fit_form(model, T, values)
    assert fit.rss < 1e-10
    dense = np.linspace(0, 90, 200)
    expected = parent.FORMS[model].function(dense, np.array(list(truth.values())))
    np.testing.assert_allclose(fit.at(dense), expected, atol=2e-4)


def test_inverse_gamma_is_the_distribution_function() -> None:
    from scipy.stats import invgamma

    p = np.array([0.9, 0.2, 0.8, 9.0])
    expected = 0.9 * (1 - 0.8 * invgamma.cdf(T, 0.8, scale=9.0))
    np.testing.assert_allclose(parent.FORMS["inverse-gamma"].function(T, p), expected, rtol=1e-12)


@pytest.mark.parametrize("model", ["hill", "power", "inverse-gamma"])
def test_auto_takes_the_form_that_made_the_data(model: str) -> None:
    truth = np.array(list(TRUE_FRACTION[model].values()))
    noise = np.random.default_rng(1).normal(0, 0.002, T.size)
    fits = parent.candidates(T, parent.FORMS[model].function(T, truth) + noise)
    assert parent.choose(fits, "auto").model == model


def test_f0_can_be_fixed_and_is_then_not_counted() -> None:
    truth = np.array([1.0, 0.15, 12.0, 1.5])
    values = parent.FORMS["hill"].function(T, truth)
    free, fixed = parent.fit_form("hill", T, values), parent.fit_form("hill", T, values, f0=1.0)
    assert (free.n_free, fixed.n_free) == (4, 3)
    assert fixed.params["f0"] == 1.0
    assert "f0" not in fixed.se


def test_aicc_by_hand() -> None:
    # n = 10, two free parameters and the variance: p = 3
    assert parent.aicc(2.5, 10, 2) == pytest.approx(10 * np.log(0.25) + 6 + 24 / 6)
    assert parent.aicc(2.5, 4, 2) == np.inf


def test_standard_errors_cover() -> None:
    rng, truth = np.random.default_rng(5), np.array([0.9, 0.015])
    clean = parent.FORMS["single-exponential"].function(T, truth)
    inside = 0
    for _ in range(200):
        fit = parent.fit_form("single-exponential", T, clean + rng.normal(0, 0.02, T.size))
        inside += abs(fit.params["b"] - 0.015) < 2.16 * fit.se["b"]
    assert 178 <= inside <= 199  # 95 % of 200, 99.9 % range


def test_interpolation_error_is_leave_one_out() -> None:
    fit = parent.interpolate(np.array([0.0, 1, 2, 4]), np.array([1.0, 0.8, 0.7, 0.5]))
    by_hand = [(1.0 + 0.7) / 2 - 0.8, 0.8 + (0.5 - 0.8) / 3 - 0.7]
    assert fit.loo_rmse == pytest.approx(np.sqrt(np.mean(np.square(by_hand))))
    assert fit.at(np.array([9.0])) == 0.5


def _triexp(t: np.ndarray) -> np.ndarray:
    after = np.maximum(t - 1.0, 0)
    rise = np.clip((t - 0.4) / 0.6, 0, 1)
    return rise * (
        90 * np.exp(-2.5 * after) + 14 * np.exp(-0.2 * after) + 6 * np.exp(-0.012 * after)
    )


def test_triexponential_is_recovered_and_its_area_exact() -> None:
    t = np.unique(
        np.concatenate((np.arange(0.1, 3, 0.1), np.arange(3, 15, 1), np.arange(15, 91, 7.5)))
    )
    curve = plasma.triexponential(t, _triexp(t), 90.0)
    closed = 110 * 0.3 + sum(
        a / r * (1 - np.exp(-r * 89)) for a, r in ((90, 2.5), (14, 0.2), (6, 0.012))
    )
    assert curve.auc(0, 90) == pytest.approx(closed, rel=1e-3)
    assert curve.params["t_pk"] == pytest.approx(1.0, abs=1e-2)
    assert curve.params["t0"] == pytest.approx(0.4, abs=1e-2)
    assert sum(curve.params[f"A{i}"] for i in (1, 2, 3)) == pytest.approx(110, rel=1e-2)


def test_lines_start_at_zero_and_the_tail_is_one_exponential() -> None:
    t = np.array([1.0, 2, 10, 20, 30])
    values = np.array([50.0, 20, 8 * np.exp(-0.2), 8 * np.exp(-0.4), 8 * np.exp(-0.6)])
    curve = plasma.interpolated(t, values, 60.0)
    assert curve.at(np.array([0.5])) == pytest.approx(25.0)
    assert curve.params["tail_rate"] == pytest.approx(0.02)
    assert curve.at(np.array([60.0])) == pytest.approx(8 * np.exp(-1.2))
    assert curve.auc(30, 60) == pytest.approx(8 / 0.02 * (np.exp(-0.6) - np.exp(-1.2)), rel=1e-3)


def test_a_rising_tail_is_held_and_flagged() -> None:
    curve = plasma.interpolated(np.array([1.0, 2, 10, 20, 30]), np.array([50.0, 20, 5, 6, 7]), 60.0)
    assert "tail_flat" in curve.flags
    assert curve.at(np.array([60.0])) == 7.0


def _blood(**changes) -> BloodData:
    fraction = parent.FORMS["hill"].function(T, np.array([0.97, 0.15, 12.0, 1.5]))
    values = {
        "time_wb": T,
        "whole_blood": 0.7 * _triexp(T),
        "time_p": T,
        "plasma": _triexp(T),
        "time_f": T,
        "parent_fraction": fraction,
    } | changes
    return BloodData(**values)


def test_the_default_multiplies_at_the_samples() -> None:
    blood = _blood()
    fit = fit_input(blood, frames=FRAMES)
    product = blood.plasma * blood.parent_fraction
    np.testing.assert_allclose(fit.input.at(T), product, rtol=1e-12)
    middle = (T[3] + T[4]) / 2
    assert fit.input.at(middle) == pytest.approx((product[3] + product[4]) / 2)
    assert fit.extrapolated_share == 0


def test_candidates_are_shown_with_their_difference_in_area() -> None:
    fit = fit_input(_blood(), frames=FRAMES)
    row = fit.table.set_index("model").loc["triexp"]
    expected = 100 * (
        fit.candidates["triexp"].auc(0, 90) / fit.candidates["interpolate"].auc(0, 90) - 1
    )
    assert row["auc_difference_percent"] == pytest.approx(expected)
    assert not row["chosen"]
    assert set(fit.parent_table["model"]) == {"interpolate", *parent.FORMS}


def test_negative_samples_stay_in_the_fit_and_never_reach_the_input() -> None:
    values = _triexp(T)
    values[0] = -0.5
    blood = _blood(plasma=values)
    fit = fit_input(blood, frames=FRAMES)
    assert fit.samples[0] < 0
    assert fit.input.plasma_parent.min() == 0
    assert "blood-negative" in [note.code for note in inspect(blood, 20.364)]


def test_no_correction_has_to_be_said_aloud() -> None:
    bare = _blood(time_f=None, parent_fraction=None)
    with pytest.raises(Refused, match="no parent fraction") as no:
        fit_input(bare, frames=FRAMES)
    assert 'parent = "none"' in no.value.mend
    fit = fit_input(bare, frames=FRAMES, parent="none")
    np.testing.assert_allclose(fit.input.at(T), _triexp(T))


def test_plasma_must_be_there_or_made_by_a_stated_ratio() -> None:
    blood = _blood(time_p=None, plasma=None)
    with pytest.raises(Refused, match="no plasma"):
        fit_input(blood, frames=FRAMES)
    fit = fit_input(blood, frames=FRAMES, plasma_over_blood=1 / 0.7)
    np.testing.assert_allclose(fit.input.at(T), _triexp(T) * blood.parent_fraction)


def test_whole_blood_is_never_plasma() -> None:
    blood = _blood(time_wb=None, whole_blood=None)
    with pytest.raises(Refused, match="no whole blood"):
        fit_input(blood, frames=FRAMES)
    fit = fit_input(blood, frames=FRAMES, needs_whole_blood=False)
    assert fit.input.whole_blood.max() == 0


def test_short_blood_needs_permission() -> None:
    keep = T <= 45
    blood = _blood(
        time_p=T[keep],
        plasma=_triexp(T)[keep],
        time_f=T[keep],
        parent_fraction=_blood().parent_fraction[keep],
    )
    assert short_by(blood, 90.0) == 45
    with pytest.raises(Refused, match="ends before the scan") as no:
        fit_input(blood, frames=FRAMES)
    assert "blood.extrapolate" in no.value.mend
    fit = fit_input(blood, frames=FRAMES, extrapolate=True)
    used = [note for note in fit.notes if note.permission]
    assert [note.code for note in used] == ["blood-extrapolated"]
    tail = fit.parent_plasma.auc(45, 90) / fit.parent_plasma.auc(0, 90)
    assert fit.extrapolated_share == pytest.approx(tail)
    assert 0.02 < tail < 0.5
    assert fit.input.covers == (0.0, 45.0)


def test_an_autosampler_gives_the_early_plasma_by_the_measured_ratio() -> None:
    t = np.arange(0, 10, 1 / 60)
    manual = T[T >= 5]
    blood = BloodData(
        time_wb=manual,
        whole_blood=0.7 * _triexp(manual),
        time_p=manual,
        plasma=_triexp(manual),
        time_f=T,
        parent_fraction=_blood().parent_fraction,
        time_c=t,
        continuous=0.7 * _triexp(t),
    )
    fit = fit_input(blood, frames=FRAMES)
    dense = np.linspace(0.2, 9, 50)
    expected = _triexp(dense) * np.interp(dense, T, blood.parent_fraction)
    np.testing.assert_allclose(fit.input.at(dense), expected, rtol=2e-2, atol=0.05)
    (note,) = [n for n in fit.notes if n.code == "blood-overlap"]
    assert "median 1.000" in note.text


@pytest.mark.parametrize(
    ("slope", "code"),
    [(-0.05, "blood-looks-uncorrected"), (0.02, "blood-looks-corrected-twice"), (-0.01, None)],
)
def test_late_slope_tells_decay_correction(slope: float, code: str | None) -> None:
    late = BloodData(time_p=T, plasma=20 * np.exp(slope * T))
    codes = [note.code for note in inspect(late, 20.364)]
    assert codes == ([code] if code else [])


@pytest.mark.parametrize(
    ("fraction", "word"),
    [
        (np.linspace(95, 20, T.size), "not a fraction"),
        (np.linspace(1.2, 0.2, T.size), "outside 0 to 1"),
        (np.linspace(0.05, 0.8, T.size), "metabolite fraction"),
    ],
)
def test_impossible_parent_fractions(fraction: np.ndarray, word: str) -> None:
    with pytest.raises(Refused, match=word):
        _blood(parent_fraction=fraction)


def test_a_rising_parent_fraction_is_noted() -> None:
    fraction = _blood().parent_fraction.copy()
    fraction[9] += 0.3
    assert "parent-fraction-rising" in [
        n.code for n in inspect(_blood(parent_fraction=fraction), 20)
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0.1, 5), min_size=3, max_size=15),
    st.lists(st.floats(0, 100), min_size=16, max_size=16),
    st.integers(2, 6),
)
def test_thinning_keeps_the_curve(steps: list[float], heights: list[float], between: int) -> None:
    knots = np.concatenate(([0.0], np.cumsum(steps)))
    values = np.array(heights[: knots.size])
    parts = [np.linspace(a, b, between, endpoint=False) for a, b in pairwise(knots)]
    dense = np.concatenate((*parts, knots[-1:]))
    curve = np.interp(dense, knots, values)
    t, v = thin(dense, curve)
    assert t.size <= knots.size
    np.testing.assert_allclose(np.interp(dense, t, v), curve, atol=1e-6 * max(values.max(), 1e-9))
