"""Blood: area is dose over clearance, samples are honest about what they are."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.integrate import quad

from ekbom.measures.pet.tracers import tracer
from ekbom.virtual.blood import draw_arterial, draw_samples
from ekbom.virtual.design import load

DPN = tracer("diprenorphine")
DECAY = np.log(2) / DPN.half_life


def arterial(seed=1, **changes):
    settings = load("demo", changes).blood
    return settings, draw_arterial(
        np.random.default_rng(seed),
        DPN.input_shape,
        DPN.parent_fraction,
        settings,
        dose_kBq=185_000.0,
        clearance_mL_min=1200.0,
        sex="M",
    )


def test_area_is_dose_over_clearance_and_equals_the_integral():
    _, blood = arterial(**{"blood.clearance_cv": 0.0})
    assert blood.area == pytest.approx(185_000 / 1200, rel=1e-12)
    _, blood = arterial(seed=5)
    whole, _ = quad(lambda t: float(blood.parent(np.array(t))), 0, 3000, limit=500, points=[1, 20])
    assert whole == pytest.approx(blood.area, rel=1e-6)


def test_curves_start_at_zero_and_stay_positive():
    _, blood = arterial(seed=2)
    t = np.linspace(-1, 90, 4000)
    assert np.all(blood.parent(t[t <= 0]) == 0)
    assert np.all(blood.parent(t[t > 0]) > 0)
    fraction = blood.parent_fraction(t[t >= 0])
    assert float(blood.parent_fraction(np.array(0.0))) == 1.0
    assert np.all(np.diff(fraction) < 0)
    assert fraction[-1] > blood.f_inf
    ratio = blood.blood_over_plasma(t[t >= 0])
    assert float(blood.blood_over_plasma(np.array(0.0))) == 1 - blood.haematocrit
    assert np.all(np.diff(ratio) > 0)


def test_samples_are_unbiased_with_the_noise_asked_for():
    settings, blood = arterial()
    draws = [draw_samples(np.random.default_rng(s), blood, settings, DECAY) for s in range(400)]
    ratio = np.array([d.plasma / blood.plasma(d.time / 60) for d in draws])
    t = draws[0].time / 60
    assert np.all(np.abs(ratio.mean(axis=0) - 1) < 5 * ratio.std(axis=0) / 20)
    # pipetting and Poisson counts with background, at the time of counting
    per = 1000 * settings.volume_mL * settings.efficiency * settings.count_s
    per *= np.exp(-DECAY * (t + settings.count_delay_min))
    counts = blood.plasma(t) * per
    background = settings.background_cps * settings.count_s
    expected = np.sqrt(settings.pipetting_cv**2 + (counts + background) / counts**2)
    np.testing.assert_allclose(ratio.std(axis=0), expected, rtol=0.15)
    error = np.array([d.parent_fraction - blood.parent_fraction(d.time / 60) for d in draws])
    error = error[:, ~np.isnan(error).any(axis=0)]
    assert error.shape[1] == len(settings.parent_times_s)
    assert np.all(np.abs(error.mean(axis=0)) < 4 * error.std(axis=0) / 20)
    assert np.all(error.std(axis=0) < 0.02)


def test_sample_times_are_possible_and_missing_stays_missing():
    settings, blood = arterial()
    for seed in range(50):
        found = draw_samples(np.random.default_rng(seed), blood, settings, DECAY)
        assert found.time[0] > 0
        assert np.all(np.diff(found.time) > 0)
        assert found.time[-1] == settings.sample_times_s[-1]
        asked = np.isin(settings.sample_times_s, settings.parent_times_s)
        assert np.array_equal(~np.isnan(found.parent_fraction), asked)
        assert np.all((found.parent_fraction[asked] >= 0) & (found.parent_fraction[asked] <= 1))


def test_weak_counts_give_negatives_late_as_real_counters_do():
    settings, blood = arterial(**{"blood.count_s": 1.0, "blood.volume_mL": 0.02})
    weak = dataclasses.replace(blood, scale=blood.scale / 50)
    late = np.array(
        [
            draw_samples(np.random.default_rng(s), weak, settings, DECAY).plasma[-3:]
            for s in range(50)
        ]
    )
    assert (late < 0).any()


def test_spread_between_persons_is_that_of_the_design():
    clear = [185_000 / arterial(seed=s)[1].area / 1200 for s in range(500)]
    assert np.std(np.log(clear)) == pytest.approx(0.12, rel=0.1)
