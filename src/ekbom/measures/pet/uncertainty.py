"""Uncertainty beyond the delta method: profile likelihood and parametric bootstrap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ekbom.errors import Refused
from ekbom.measures.pet.fit import fit
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction
from ekbom.measures.pet.kinetic import KineticFit
from ekbom.measures.pet.weights import weights as frame_weights

Array = NDArray[np.float64]


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
        As of :meth:`ekbom.measures.pet.profile.Profile.interval`.

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
    found = fit(values, frames, input, model=model, vB=vB, weights=w, frame_mean=frame_mean)
    lower, upper = found.interval("VT", level)
    return float(lower[0]), float(upper[0])


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
