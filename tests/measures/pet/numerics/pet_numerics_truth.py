"""Inputs, schedules and brute-force answers for the numerical tests."""

from __future__ import annotations

import itertools

import numpy as np

from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction

C11 = 20.364

#: Real schedules: (number, seconds). pbr28 starts half a minute late.
SCHEDULES = {
    "dpn90": [(6, 10), (3, 20), (3, 60), (5, 120), (5, 300), (5, 600)],
    "mc1-120": [(6, 30), (3, 60), (2, 120), (22, 300)],
    "long": [(4, 15), (4, 60), (5, 300), (6, 600)],
}

#: One- and two-tissue truths, K1 mL/cm3/min, others 1/min.
SETS = {
    "one": ("1tcm", {"K1": 0.30, "k2": 0.05}),
    "pbr28": ("2tcm", {"K1": 0.12, "k2": 0.12, "k3": 0.08, "k4": 0.05}),
    "diprenorphine": ("2tcm", {"K1": 0.40, "k2": 0.15, "k3": 0.40, "k4": 0.07}),
    "carfentanil": ("2tcm", {"K1": 0.107, "k2": 0.201, "k3": 0.201, "k4": 0.06}),
}


def schedule(name: str, *, gap: bool = False) -> Frames:
    frames = Frames.of_runs(SCHEDULES[name], C11)
    if not gap:
        return frames
    keep = np.ones(frames.n, dtype=bool)
    keep[:2] = False
    keep[frames.n // 2] = False
    return Frames(frames.start[keep], frames.end[keep], C11)


def VT(params: dict[str, float]) -> float:
    value = params["K1"] / params["k2"]
    return value * (1 + params["k3"] / params["k4"]) if "k3" in params else value


def triexp(t: np.ndarray) -> np.ndarray:
    """Bolus with three falling terms, continuous and 0 at injection."""
    t = np.asarray(t, dtype=float)
    return (120 * t - 22.5) * np.exp(-4 * t) + 18 * np.exp(-0.5 * t) + 4.5 * np.exp(-0.008 * t)


def blood(end: float = 130.0, dense: bool = True) -> InputFunction:
    """The bolus on knots that lie nowhere near frame edges; whole blood is not plasma."""
    early = np.arange(0, 5, 0.037 if dense else 0.3)
    t = np.concatenate((early, 5 + np.geomspace(0.31, end - 5, 40)))
    plasma = np.maximum(triexp(t), 0)
    plasma[0] = 0
    return InputFunction(t, plasma, plasma * (0.75 + 0.9 * (1 - np.exp(-t / 25))))


def gauss_means(
    theta: float, input: InputFunction, frames: Frames, decay: float, nodes: int = 24
) -> np.ndarray:
    """Frame means of ``C_P (x) exp(-theta t)`` by nested Gauss quadrature, knot by knot."""
    x, weight = np.polynomial.legendre.leggauss(nodes)
    edges = np.concatenate((input.t, frames.start, frames.end, np.arange(0, frames.end[-1], 0.9)))
    edges = np.unique(edges)

    def rule(a: float, b: float) -> tuple[np.ndarray, np.ndarray]:
        return (a + b) / 2 + (b - a) / 2 * x, (b - a) / 2 * weight

    def convolved(t: float) -> float:
        total = 0.0
        below = edges[edges < t]
        for a, b in zip(below, np.append(below[1:], t), strict=True):
            u, w = rule(a, b)
            total += w @ (np.interp(u, input.t, input.plasma_parent) * np.exp(-theta * (t - u)))
        return total

    out = np.empty(frames.n)
    for f, (s, e) in enumerate(zip(frames.start, frames.end, strict=True)):
        inside = edges[(edges >= s) & (edges <= e)]
        top = bottom = 0.0
        for a, b in itertools.pairwise(inside):
            t, w = rule(a, b)
            fall = np.exp(-decay * (t - s))
            top += w @ (fall * np.array([convolved(v) for v in t]))
            bottom += w @ fall
        out[f] = top / bottom
    return out
