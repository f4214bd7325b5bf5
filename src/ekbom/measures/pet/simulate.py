"""Curves of known truth: tissue, its noise, blood samples.

Two ways to the same curve: :func:`forward` uses the closed forms of the fit;
:func:`forward_ode` integrates the compartments' differential equations and
shares nothing with it but the input, so that a common mistake would show.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import solve_ivp

from ekbom.errors import Refused
from ekbom.measures.pet.convolve import basis, make_grid
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction

Array = NDArray[np.float64]

#: Rate constants of each model, as :func:`forward` takes them.
PARAMETERS = {
    "1tcm": ("K1", "k2"),
    "2tcm": ("K1", "k2", "k3", "k4"),
    "2tcm-irreversible": ("K1", "k2", "k3"),
}


def exponentials(model: str, params: Mapping[str, ArrayLike]) -> tuple[Array, Array]:
    """Return rates and amplitudes of a model's impulse response.

    Parameters
    ----------
    model : {"1tcm", "2tcm", "2tcm-irreversible"}
    params : mapping of str to float or (N,) array
        ``K1`` mL/cm3/min and rates 1/min.

    Returns
    -------
    theta, phi : (N, E) arrays
        Faster first.
    """
    columns = _columns(model, params)
    K1, k2 = columns[0], columns[1]
    if model == "1tcm":
        return k2[:, None], K1[:, None]
    k3 = columns[2]
    k4 = columns[3] if model == "2tcm" else np.zeros_like(k3)
    total = k2 + k3 + k4
    root = np.sqrt(np.maximum(total**2 - 4 * k2 * k4, 0.0))
    fast = (total + root) / 2
    slow = k2 * k4 / fast  # not (total - root)/2: that cancels when k4 is small
    gap = fast - slow
    apart = gap > 1e-12 * fast
    safe = np.where(apart, gap, 1.0)
    first = np.where(apart, K1 * (fast - k3 - k4) / safe, K1)
    return np.stack((fast, slow), axis=1), np.stack((first, K1 - first), axis=1)


def forward(
    model: str,
    params: Mapping[str, ArrayLike],
    input: InputFunction,
    frames: Frames,
    *,
    vB: ArrayLike = 0.0,
    delay: float = 0.0,
    decay_weighted: bool = True,
) -> Array:
    """Return noise-free frame values, decay-corrected to injection.

    Parameters
    ----------
    model : {"1tcm", "2tcm", "2tcm-irreversible"}
    params : mapping of str to float or (N,) array
        ``K1`` mL/cm3/min, ``k2`` ... 1/min.
    input : InputFunction
        At the sampling site.
    frames : Frames
        F frames.
    vB : float or (N,) array
    delay : float
        Minutes by which tissue is later.
    decay_weighted : bool
        Frames decay-corrected as a whole, or plain means.

    Returns
    -------
    (N, F) array
        ``(1 - vB) C_T + vB C_WB``, kBq/mL.
    """
    theta, phi = exponentials(model, params)
    grid = make_grid(frames, input.shifted(delay), decay_weighted=decay_weighted)
    mean = basis(theta.ravel(), grid)[0].reshape(*theta.shape, frames.n)
    share = np.broadcast_to(np.asarray(vB, dtype=np.float64), theta.shape[:1])[:, None]
    tissue = np.einsum("ne,nef->nf", phi, mean)
    return np.asarray((1 - share) * tissue + share * grid.whole_blood_mean)


def forward_ode(
    model: str,
    params: Mapping[str, ArrayLike],
    input: InputFunction,
    frames: Frames,
    *,
    vB: ArrayLike = 0.0,
    delay: float = 0.0,
    decay_weighted: bool = True,
) -> Array:
    """Return the same by integrating the differential equations (slow).

    Parameters
    ----------
    model, params, input, frames, vB, delay, decay_weighted
        As of :func:`forward`.

    Returns
    -------
    (N, F) array
        By an eighth-order Runge-Kutta method with tolerance 1e-12, restarted at
        every frame edge and knot of the input; the frame integrals are states.
    """
    columns = _columns(model, params)
    K1, k2 = columns[0], columns[1]
    none = np.zeros_like(K1)
    k3 = columns[2] if len(columns) > 2 else none
    k4 = columns[3] if len(columns) > 3 else none
    share = np.broadcast_to(np.asarray(vB, dtype=np.float64), K1.shape)
    decay = frames.decay_lambda if decay_weighted else 0.0
    knots = input.t + delay
    times = np.concatenate(([0.0], frames.start, frames.end, knots))
    times = np.unique(times[(times >= 0) & (times <= frames.end[-1])])
    n = K1.size

    def slope(t: float, state: Array) -> Array:
        plasma = float(np.interp(t, knots, input.plasma_parent, left=0.0))
        blood = float(np.interp(t, knots, input.whole_blood, left=0.0))
        free, bound = state[:n], state[n : 2 * n]
        seen = ((1 - share) * (free + bound) + share * blood) * np.exp(-decay * t)
        return np.concatenate(
            (K1 * plasma - (k2 + k3) * free + k4 * bound, k3 * free - k4 * bound, seen)
        )

    state = np.zeros(3 * n)
    seen = {0.0: np.zeros(n)}
    for a, b in itertools.pairwise(times):
        # inside the interval only: a knot shared with the next one may be a step
        done = solve_ivp(
            slope, (a, b), state, method="DOP853", rtol=1e-12, atol=1e-12, first_step=(b - a) / 4
        )
        state = done.y[:, -1]
        seen[float(b)] = state[2 * n :]
    out = np.empty((n, frames.n))
    for f, (s, e) in enumerate(zip(frames.start, frames.end, strict=True)):
        width = e - s if decay == 0 else (np.exp(-decay * s) - np.exp(-decay * e)) / decay
        out[:, f] = (seen[float(e)] - seen[float(s)]) / width
    return out


def noise_sd(tac: ArrayLike, frames: Frames, scale: float) -> Array:
    """Return the standard deviation of each frame value.

    Parameters
    ----------
    tac : (..., F) array
        Noise-free values decay-corrected to injection, kBq/mL.
    frames : Frames
    scale : float
        As of :func:`noise_scale`.

    Returns
    -------
    (..., F) array
        ``scale sqrt(DF C / Delta)``: counts ``C Delta / DF`` are Poisson.
    """
    values = np.maximum(np.asarray(tac, dtype=np.float64), 0.0)
    return np.asarray(scale * np.sqrt(frames.decay_factor * values / frames.duration))


def noise_scale(tac: ArrayLike, frames: Frames, cv: float, last: int = 10) -> float:
    """Return the scale that gives a mean coefficient of variation over the last frames.

    Parameters
    ----------
    tac : (F,) array
        Noise-free, kBq/mL.
    frames : Frames
    cv : float
        As a share: 0.01 is 1 %.
    last : int
        Frames counted from the end.

    Returns
    -------
    float
        For :func:`add_noise`.
    """
    values = np.asarray(tac, dtype=np.float64)
    sd = noise_sd(values, frames, 1.0)
    return float(cv / (sd[-last:] / values[-last:]).mean())


def add_noise(tac: ArrayLike, frames: Frames, scale: float, seed: int) -> Array:
    """Return frame values with Gaussian noise of Poisson size.

    Parameters
    ----------
    tac : (..., F) array
        Noise-free values decay-corrected to injection, kBq/mL.
    frames : Frames
    scale : float
        As of :func:`noise_scale`.
    seed : int

    Returns
    -------
    (..., F) array
    """
    values = np.asarray(tac, dtype=np.float64)
    draw = np.random.default_rng(seed).standard_normal(values.shape)
    return np.asarray(values + draw * noise_sd(values, frames, scale))


@dataclass(frozen=True, eq=False)
class BloodSamples:
    """Samples as they would be drawn.

    Attributes
    ----------
    t : (B,) array
        Minutes from injection.
    plasma_parent, whole_blood : (B,) arrays
        kBq/mL, decay-corrected to injection.
    """

    t: Array
    plasma_parent: Array
    whole_blood: Array


def simulate_blood(
    input: InputFunction, schedule: ArrayLike, noise: float, seed: int
) -> BloodSamples:
    """Sample an input function with proportional noise.

    Parameters
    ----------
    input : InputFunction
    schedule : (B,) array
        Times of samples, minutes.
    noise : float
        Coefficient of variation of a sample, as a share.
    seed : int

    Returns
    -------
    BloodSamples
        Never below zero.
    """
    t = np.asarray(schedule, dtype=np.float64)
    draw = 1 + noise * np.random.default_rng(seed).standard_normal((2, t.size))
    return BloodSamples(
        t,
        np.maximum(input.at(t) * draw[0], 0.0),
        np.maximum(input.whole_blood_at(t) * draw[1], 0.0),
    )


def _columns(model: str, params: Mapping[str, ArrayLike]) -> list[Array]:
    if model not in PARAMETERS:
        raise Refused(
            "The model cannot be simulated.",
            field="model",
            found=repr(model),
            expected=", ".join(PARAMETERS),
        )
    missing = [name for name in PARAMETERS[model] if name not in params]
    if missing:
        raise Refused(
            "A rate constant is missing.",
            field=", ".join(missing),
            found=", ".join(params),
            expected=", ".join(PARAMETERS[model]),
        )
    values = [np.asarray(params[name], dtype=np.float64).ravel() for name in PARAMETERS[model]]
    return [np.array(v) for v in np.broadcast_arrays(*values)]
