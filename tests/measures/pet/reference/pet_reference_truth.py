"""Targets and reference from differential equations, integrated without the room's closed forms."""

from __future__ import annotations

import functools

import numpy as np

from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction
from ekbom.measures.pet.simulate import forward_ode

SCHEDULES = {
    "bolus": [(6, 10), (3, 20), (3, 60), (5, 120), (5, 300), (5, 600)],
    "even": [(6, 30), (3, 60), (2, 120), (16, 300)],
    "long": [(4, 15), (4, 60), (5, 300), (6, 600)],
}
#: Of the reference: K1 mL/cm3/min, k2 1/min.
K1, K2PRIME = 0.15, 0.37
#: R1 and BP_ND of the targets.
TARGETS = ((1.0, 3.0), (0.8, 1.0), (1.2, 0.3), (0.9, 0.0))
#: Two-tissue target over the same reference: R1, k2, k3, k4.
TWO = (0.85, 0.85 * K2PRIME, 0.60, 0.14)


def input_function() -> InputFunction:
    t = np.concatenate((np.arange(0, 5, 0.1), 5 + np.geomspace(0.31, 125, 30)))
    plasma = (120 * t - 22.5) * np.exp(-4 * t) + 18 * np.exp(-0.5 * t) + 4.5 * np.exp(-0.008 * t)
    plasma = np.maximum(plasma, 0)
    plasma[0] = 0
    return InputFunction(t, plasma, plasma)


@functools.cache
def scan(name: str) -> tuple[Frames, np.ndarray, np.ndarray]:
    """Frames, reference (F,), targets (5, F); the last is the two-tissue one."""
    frames = Frames.of_runs(SCHEDULES[name], 20.364)
    R1, BPND = np.array([*TARGETS, (1.0, 0.0)]).T
    curves = forward_ode(
        "1tcm", {"K1": K1 * R1, "k2": K2PRIME * R1 / (1 + BPND)}, input_function(), frames
    )
    two = {"K1": K1 * TWO[0], "k2": TWO[1], "k3": TWO[2], "k4": TWO[3]}
    full = forward_ode("2tcm", two, input_function(), frames)
    return frames, curves[-1], np.vstack((curves[:-1], full))
