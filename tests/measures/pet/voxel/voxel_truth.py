"""Curves with known kinetics by brute force: a fine grid and the trapezium rule.

Nothing here uses the package's convolution, so that a shared mistake shows.
"""

from __future__ import annotations

import numpy as np

from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction

HALF_LIFE = 20.364
FRAMES = Frames.of_runs([(6, 10), (3, 20), (3, 60), (5, 120), (5, 300), (5, 600)], HALF_LIFE)
STEP = 0.1 / 60  # min; every frame edge lies on it


def fine_times(end=90.0):
    return np.arange(round(end / STEP) + 1) * STEP


def parent(t):
    """Parent plasma, kBq/mL: rise over half a minute, then three exponentials."""
    fall = (
        6 * np.exp(-4 * (t - 0.5)) + 2 * np.exp(-0.5 * (t - 0.5)) + 0.5 * np.exp(-0.02 * (t - 0.5))
    )
    return 10 * np.where(t < 0.5, 8.5 * t / 0.5, fall)


def whole_blood(t):
    return 1.1 * parent(t) * (1 - 0.6 * np.exp(-0.03 * t)) / 0.4 * 0.6 + 2 * (1 - np.exp(-0.1 * t))


def input_function():
    # Knots fine enough that straight lines are the curves to 1e-5.
    t = np.unique(np.concatenate([np.arange(0, 3, 0.005), np.arange(3, 90.01, 0.05)]).round(6))
    return InputFunction(t, parent(t), whole_blood(t))


def two_tissue(K1, k2, k3, k4):
    total = k2 + k3 + k4
    root = np.sqrt(total**2 - 4 * k2 * k4)
    fast, slow = (total + root) / 2, (total - root) / 2
    return [
        (K1 * (fast - k3 - k4) / (fast - slow), fast),
        (K1 * (k3 + k4 - slow) / (fast - slow), slow),
    ]


def tissue(terms, vB, input):
    """Frame means of decay-corrected frames, (F,), from sum of amplitude, rate terms."""
    t = fine_times()
    plasma, blood = input.at(t), input.whole_blood_at(t)
    y = np.zeros_like(t)
    for amplitude, rate in terms:
        fall = np.exp(-rate * STEP)
        one = np.empty_like(t)
        one[0] = 0.0
        for i in range(1, t.size):
            # Trapezium rule on the convolution integral: second order in the step.
            one[i] = fall * one[i - 1] + STEP / 2 * (fall * plasma[i - 1] + plasma[i])
        y += amplitude * one
    return frame_mean((1 - vB) * y + vB * blood)


def frame_mean(y):
    t = fine_times()
    decay = np.exp(-np.log(2) / HALF_LIFE * t)
    out = np.empty(FRAMES.n)
    for f, (a, b) in enumerate(zip(FRAMES.start, FRAMES.end, strict=True)):
        part = slice(round(a / STEP), round(b / STEP) + 1)
        out[f] = np.trapezoid((y * decay)[part], t[part]) / np.trapezoid(decay[part], t[part])
    return out


def variance(curve):
    """Of a frame up to a factor: decay factor times activity over duration."""
    return FRAMES.decay_factor * np.maximum(curve, 0) / FRAMES.duration


def noisy(curve, share, rng, n):
    """Curves with Poisson-like noise, `share` of the curve in the last frame."""
    sd = np.sqrt(variance(curve))
    return curve + rng.normal(size=(n, curve.size)) * sd * (share * curve[-1] / sd[-1])
