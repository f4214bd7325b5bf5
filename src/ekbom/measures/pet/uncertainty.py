"""Uncertainty beyond the delta method: profile likelihood and parametric bootstrap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import fdtri

from ekbom.errors import Refused
from ekbom.measures.pet import compartment
from ekbom.measures.pet._scan import scan
from ekbom.measures.pet._varpro import LN_MAX, LN_MIN, polish
from ekbom.measures.pet.convolve import Grid, basis, make_grid
from ekbom.measures.pet.fit import KineticFit, fit
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction
from ekbom.measures.pet.weights import weights as frame_weights

Array = NDArray[np.float64]

# The equation that fixes V_T counts this much more than the data.
_HARD = 1e3
_NODES = 96
#: V_T is looked for up to this many times its estimate.
REACH = 1e3


def profile_interval(
    tac: ArrayLike,
    frames: Frames,
    input: InputFunction,
    *,
    model: str = "2tcm",
    vB: float | Literal["free"] = "free",
    weights: str | ArrayLike = "poisson",
    level: float = 0.95,
    frame_mean: Literal["decay-weighted", "plain"] = "decay-weighted",
) -> tuple[float, float]:
    """Return a profile-likelihood interval of V_T for one curve.

    Parameters
    ----------
    tac : (F,) array
        kBq/mL.
    frames : Frames
    input : InputFunction
    model : {"1tcm", "2tcm"}
    vB : float or "free"
    weights : {"poisson", "duration", "uniform"} or (F,) array
        Give the array of the fit; Poisson weights from one region are its own.
    level : float
    frame_mean : {"decay-weighted", "plain"}

    Returns
    -------
    lower, upper : float
        Where the least RSS at a fixed V_T exceeds the least of all by the
        factor ``1 + F_level(1, df)/df``; ``inf`` when that does not happen below
        1000 times the estimate, or only because the slowest rate may not be
        slower than its bound: the scan does not bound V_T from above.

    Raises
    ------
    Refused
        When the model has no V_T.
    """
    if model not in ("1tcm", "2tcm"):
        raise Refused(
            "Only compartment models with V_T have this interval.", field="model", found=repr(model)
        )
    values = np.asarray(tac, dtype=np.float64)
    w = frame_weights(weights, frames, values)
    best = fit(values, frames, input, model=model, vB=vB, weights=w, frame_mean=frame_mean)
    VT = float(best.params["VT"][0])
    limit = float(best.rss[0]) * (1 + float(fdtri(1, best.df, level)) / best.df)
    grid = make_grid(frames, input, decay_weighted=frame_mean == "decay-weighted")
    n_exp = compartment.MODELS[model][0]
    raw = compartment.fit_exponentials(
        frames.to_injection(values)[None, :], grid, w, n_exp=n_exp,
        vB=None if vB == "free" else float(vB),
    )  # fmt: skip
    estimate = np.clip(np.log(raw.theta[0, :n_exp]), LN_MIN, LN_MAX)
    profile = _profile(frames.to_injection(values), grid, w, vB, estimate)

    def above(ln_value: float) -> float:
        return profile(float(np.exp(ln_value)))[0] - limit

    lower, upper = _limit(above, np.log(VT), -1), _limit(above, np.log(VT), 1)
    if np.isfinite(upper) and profile(upper)[1] <= LN_MIN + 1e-6:
        upper = float("inf")
    return lower, upper


def _limit(above: Callable[[float], float], start: float, sign: int) -> float:
    step, inside = 0.02, start
    while True:
        outside = start + sign * step
        if abs(outside - start) > np.log(REACH):
            return float("inf") if sign > 0 else 0.0
        if above(outside) > 0:
            return float(np.exp(brentq(above, inside, outside, xtol=1e-7)))
        inside, step = outside, step * 2


def _profile(
    tac: Array, grid: Grid, w: Array, vB: float | Literal["free"], estimate: Array
) -> Callable[[float], tuple[float, float]]:
    """Return the least RSS, and ln of the slowest rate there, as functions of V_T.

    Given the rates, V_T is a linear condition on amplitudes and blood volume,
    ``sum beta_i/theta_i + vB V_T = V_T``: one more, hard equation of the linear
    part, as a frame after the last.
    """
    root = np.append(np.sqrt(w), 0.0)
    held = 0.0 if vB == "free" else float(vB)
    y = np.append(np.where(w > 0, tac - held * grid.whole_blood_mean, 0.0), 0.0) * root
    hard = _HARD * float(np.linalg.norm(y))
    blood = np.append(grid.whole_blood_mean, 0.0) * root
    ln_rate = np.linspace(LN_MIN, LN_MAX, _NODES)
    rates = np.exp(ln_rate)
    table = np.column_stack((basis(rates, grid)[0], np.zeros(_NODES))) * root
    n_exp = estimate.size
    last = [estimate]

    def profile(VT: float) -> tuple[float, float]:
        table[:, -1] = hard / VT / rates
        blood[-1], y[-1] = hard, hard * (1 - held)
        gram = compartment.gram_matrix(table)
        cross = compartment.products(table, blood)
        apart = compartment.apart_from(gram, cross, blood)
        i, j = scan(table, gram, apart, blood, cross, y, n_exp == 2, False, vB == "free")
        found = ln_rate[[i, j if j >= 0 else max(i - 1, 0)]][:n_exp]
        best = np.inf
        for start in (found, estimate, last[0]):
            ln, coef = np.zeros(2), np.zeros(3)
            ln[:n_exp] = start
            rss, _ = polish(
                ln, n_exp, False, y, blood, vB == "free", root, grid.arrays, hard / VT, coef
            )
            if rss < best:
                best, last[0] = float(rss), ln[:n_exp]
        return best, float(last[0].min())

    return profile


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Spread and bias of the main outcome under simulated noise.

    Attributes
    ----------
    se : (N,) array
        Standard deviation over draws.
    bias : (N,) array
        Median over draws less the value from the noise-free curve.
    draws : (D, N) array
        The outcome in each draw.
    """

    se: Array
    bias: Array
    draws: Array


def bootstrap(
    tacs: ArrayLike,
    frames: Frames,
    input: InputFunction,
    *,
    model: str,
    seed: int,
    truth: str = "2tcm",
    draws: int = 200,
    vB: float | Literal["free"] = "free",
    weights: str | ArrayLike = "poisson",
    weight_reference: ArrayLike | None = None,
    tstar: float | None = None,
    frame_mean: Literal["decay-weighted", "plain"] = "decay-weighted",
) -> Bootstrap:
    """Refit curves simulated from a compartment fit: the parametric bootstrap.

    For graphical models, whose regression error is optimistic because both
    axes share the noise, and for any flagged fit.

    Parameters
    ----------
    tacs : (F,) or (N, F) array
        kBq/mL.
    frames : Frames
    input : InputFunction
    model : str
        The model whose outcome is wanted, as of :func:`ekbom.measures.pet.fit.fit`.
    seed : int
    truth : {"2tcm", "1tcm", "2tcm-irreversible"}
        Fitted with free vB to make the noise-free curves and the size of the noise.
    draws : int
    vB, weights, weight_reference, tstar, frame_mean
        Of ``model``.

    Returns
    -------
    Bootstrap
        Spread and bias of the outcome over the draws.
    """
    values = np.atleast_2d(np.asarray(tacs, dtype=np.float64))
    base = fit(
        values, frames, input, model=truth, weights=weights, weight_reference=weight_reference,
        frame_mean=frame_mean,
    )  # fmt: skip
    w = base.weights
    spread = np.sqrt(base.rss / base.df)[:, None] / np.sqrt(np.where(w > 0, w, np.inf))
    noise = np.random.default_rng(seed).standard_normal((draws, *values.shape))
    N, F = values.shape
    many = (base.fitted + noise * spread).reshape(draws * N, F)
    straight = Frames(frames.start, frames.end, frames.half_life)  # fitted is at injection

    def refit(curves: Array) -> KineticFit:
        return fit(
            curves, straight, input, model=model, vB=vB, weights=w, tstar=tstar,
            frame_mean=frame_mean,
        )  # fmt: skip

    clean, again = refit(base.fitted), refit(many)
    outcome = again.params[clean.outcome].reshape(draws, N)
    return Bootstrap(
        outcome.std(axis=0, ddof=1),
        np.median(outcome, axis=0) - clean.params[clean.outcome],
        outcome,
    )
