"""Dispersion of the tubing, and its correction."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from ekbom.errors import Refused
from ekbom.measures.pet.dispersion import disperse, undisperse

RNG = np.random.default_rng(3)
#: Uneven: half a second to one and a half apart.
T = np.concatenate(([0.0], np.cumsum(RNG.uniform(0.5, 1.5, 600)))) / 60
CURVE = 600 * np.maximum(T - 0.4, 0) ** 3 * np.exp(-4 * np.maximum(T - 0.4, 0)) + 5 * T**2 / (
    T**2 + 4
)
TAU = 9 / 60


def test_the_record_is_the_convolution() -> None:
    seen = disperse(T, CURVE, TAU)
    for i in (40, 120, 500):
        expected, _ = quad(
            lambda s, end=T[i]: np.interp(s, T, CURVE) * np.exp(-(end - s) / TAU) / TAU,
            0, T[i], limit=2000, epsabs=1e-7, points=T[max(0, i - 40) : i],
        )  # fmt: skip
        assert seen[i] == pytest.approx(expected, rel=1e-5)


def test_disperse_then_correct_is_the_identity() -> None:
    back = undisperse(T, disperse(T, CURVE, TAU), TAU)
    inner = slice(2, -2)  # a spline's end has no neighbour to lean on
    assert np.abs(back - CURVE)[inner].max() < 1e-3 * CURVE.max()
    assert np.trapezoid(back, T) == pytest.approx(np.trapezoid(CURVE, T), rel=1e-3)


def test_noise_is_not_blown_up() -> None:
    noise = RNG.normal(0, 0.01 * CURVE.max(), T.size)
    back = undisperse(T, disperse(T, CURVE, TAU) + noise, TAU)
    naive = disperse(T, CURVE, TAU) + noise
    naive = naive + TAU * np.gradient(naive, T)
    assert np.std(back - CURVE) < 0.5 * np.std(naive - CURVE)


def test_few_samples_are_refused() -> None:
    with pytest.raises(Refused, match="Too few samples"):
        undisperse(T[:9], CURVE[:9], TAU)
