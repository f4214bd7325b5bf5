"""Truths of the closed loop of kinetic models: tracers, tissues, inputs and noise."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction
from ekbom.measures.pet.simulate import add_noise, noise_scale
from ekbom.measures.pet.tracers import KineticSet, Tracer, tracer
from ekbom.validate.result import Check

Array = NDArray[np.float64]

#: Tracers with rate constants on file, and the tissue taken.
TISSUES = {
    "diprenorphine": "general",
    "carfentanil": "thalamus",
    "raclopride": "general",
    "fallypride": "striatum",
}
#: Gate of the median bias, per cent.
BIAS = 2.0
#: Blood volume of every tissue with arterial input.
BLOOD = 0.05
_TSTAR, _LINE = 30.0, 5


@dataclass(frozen=True)
class Truth:
    """A tissue, its input and the tracer's frames.

    Attributes
    ----------
    name : str
        Tracer.
    frames : Frames
    input : InputFunction
    rates : KineticSet
    note : str
        What of it is not verified.
    """

    name: str
    frames: Frames
    input: InputFunction
    rates: KineticSet
    note: str


def truth_of(name: str) -> Truth:
    """Return the truth of a tracer of :data:`TISSUES`."""
    one = tracer(name)
    rates = one.kinetics[TISSUES[name]]
    frames = Frames.of_runs(
        one.frames.runs if one.frames else [(6, 10), (3, 20), (3, 60), (5, 120), (15, 300)],
        one.half_life,
    )
    doubts = sorted({f"{part} {status}" for part, status in one.unverified().items()})
    note = f"{rates.status} rates" + (f"; {', '.join(doubts)}" if doubts else "")
    return Truth(name, frames, _input(one, float(frames.end[-1])), rates, note)


def first_minute(frames: Frames) -> float:
    """Minutes: 30, or where a shorter scan has frames enough left for a line."""
    return min(_TSTAR, float(frames.start[-_LINE]))


def _input(one: Tracer, end: float) -> InputFunction:
    """The tracer's own shape on knots; whole blood is not plasma."""
    shape = one.input_shape
    (a1, a2, a3), (r1, r2, r3) = (
        (shape.a, shape.rates) if shape else ((12.0, 1.8, 0.45), (4.0, 0.5, 0.008))
    )
    t = np.concatenate((np.arange(0, 5, 0.05), 5 + np.geomspace(0.1, max(end - 5, 1.0), 60)))
    plasma = (a1 * t - a2 - a3) * np.exp(-r1 * t) + a2 * np.exp(-r2 * t) + a3 * np.exp(-r3 * t)
    plasma = 20 * np.maximum(plasma, 0.0) / plasma.max()
    plasma[0] = 0.0
    return InputFunction(t, plasma, plasma * (0.75 + 0.9 * (1 - np.exp(-t / 25))))


def noisy(clean: Array, truth: Truth, percent: float, fits: int, seed: int, what: str) -> Array:
    """Return noisy copies (fits, F); ``percent`` is the mean variation of the last ten frames."""
    scale = noise_scale(clean, truth.frames, percent / 100)
    key = zlib.crc32(f"{truth.name} {percent:g} {what}".encode())
    draw = int(np.random.SeedSequence([seed, key]).generate_state(1)[0])
    return add_noise(np.repeat(clean[None], fits, axis=0), truth.frames, scale, draw)


def bias_check(name: str, values: Array, value: float, truth: Truth, gated: bool) -> Check:
    """Return the median error in per cent, with its Monte-Carlo error."""
    error = 100 * (values[np.isfinite(values)] / value - 1)
    middle = float(np.median(error)) if error.size else math.nan
    spread = 1.4826 * float(np.median(np.abs(error - middle))) if error.size else math.nan
    return Check(
        name,
        middle,
        int(error.size),
        "%",
        low=-BIAS if gated else math.nan,
        high=BIAS if gated else math.nan,
        se=math.sqrt(math.pi / 2) * spread / math.sqrt(max(error.size, 1)),
        note=truth.note if gated else "",
    )
