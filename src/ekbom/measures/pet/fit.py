"""Fit regional curves: one call for every arterial model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ekbom.errors import Refused
from ekbom.measures.pet import compartment, graphical
from ekbom.measures.pet._varpro import LN_MAX, LN_MIN, VB_MAX
from ekbom.measures.pet.convolve import SHORT_SHARE, Grid, make_grid
from ekbom.measures.pet.flags import CV_HIGH, EXTRAPOLATED, K4_SMALL, FlagList
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction
from ekbom.measures.pet.kinetic import KineticFit
from ekbom.measures.pet.outcomes import outcomes
from ekbom.measures.pet.profile import Profile
from ekbom.measures.pet.select import aicc
from ekbom.measures.pet.weights import weights as frame_weights

Array = NDArray[np.float64]

#: Models of :func:`fit`.
MODELS = (*compartment.MODELS, *graphical.MODELS)

#: Units of the parameters.
UNITS = {
    "VT": "mL/cm3",
    "VND": "mL/cm3",
    "V0": "mL/cm3",
    "K1": "mL/cm3/min",
    "Ki": "mL/cm3/min",
    "k2": "1/min",
    "k3": "1/min",
    "k4": "1/min",
    "BPND": "1",
    "vB": "1",
    "intercept": "min",
}

#: Frames start this much (min) before t* at most: seconds / 60 are not exact.
_TSTAR_TOLERANCE = 1e-6


def fit(
    tacs: ArrayLike,
    frames: Frames,
    input: InputFunction,
    *,
    model: str,
    vB: float | Literal["free"] = "free",
    weights: str | ArrayLike = "poisson",
    weight_reference: ArrayLike | None = None,
    tstar: float | None = None,
    names: Sequence[str] | None = None,
    frame_mean: Literal["decay-weighted", "plain"] = "decay-weighted",
) -> KineticFit:
    """Fit every curve by one model.

    Parameters
    ----------
    tacs : (F,) or (N, F) array
        kBq/mL, as ``frames`` says: corrected to its decay reference or not corrected.
    frames : Frames
    input : InputFunction
        As tissue sees it: apply a delay by :meth:`InputFunction.shifted`.
    model : {"1tcm", "2tcm", "2tcm-irreversible", "logan", "ma1", "patlak"}
    vB : float or "free"
        Blood volume. Graphical models need a number.
    weights : {"poisson", "duration", "uniform"} or (F,) array
    weight_reference : (F,) array, optional
        Curve of a large region for Poisson weights; the mean of all curves by default.
    tstar : float, optional
        Minutes: graphical models use the frames that begin here or later.
    names : sequence of str, optional
        N regions.
    frame_mean : {"decay-weighted", "plain"}
        How a frame value averages the curve.

    Returns
    -------
    KineticFit
        Parameters, standard errors, flags and fitted curves, N regions long.

    Raises
    ------
    Refused
        When shapes differ, the model is unknown, t* or vB do not fit the model.

    Notes
    -----
    A curve's result has the same bytes in any order of curves and with any
    number of threads (given weights, or a fixed reference).
    """
    frames_checked, values, labels = checked_curves(tacs, frames, names)
    if model not in MODELS:
        raise Refused(
            "The model is not known.", field="model", found=repr(model), expected=", ".join(MODELS)
        )
    if vB != "free" and not (isinstance(vB, int | float) and 0 <= vB < 1):
        raise Refused(
            "The blood volume is not a share.",
            field="vB",
            found=repr(vB),
            expected='"free" or a number from 0 to below 1',
        )
    if frame_mean not in ("decay-weighted", "plain"):
        raise Refused(
            "The frame mean is not known.",
            field="frame_mean",
            found=repr(frame_mean),
            expected="decay-weighted, plain",
        )
    if isinstance(weights, str) and weights == "poisson" and weight_reference is None:
        weight_reference = mean_curve(np.asarray(tacs, dtype=np.float64).reshape(-1, frames.n))
    w = frame_weights(weights, frames, weight_reference)
    grid = make_grid(frames_checked, input, decay_weighted=frame_mean == "decay-weighted")
    end = float(frames.end[-1])
    meta: dict[str, Any] = {
        "model": model,
        "vB": vB,
        "weights": weights if isinstance(weights, str) else "user",
        "frame_mean": frame_mean,
        "delay_min": float(input.provenance.get("delay_min", "0")),
        "input_extrapolated_share": input.extrapolated_share(end),
    }
    found = FlagList(len(labels))
    late = end - input.covers[1] > SHORT_SHARE * end
    found.add("blood_extrapolated", np.full(len(labels), late))
    if model in graphical.MODELS:
        return _fit_graphical(
            model, values, frames_checked, grid, w, vB, tstar, labels, meta, found
        )
    if tstar is not None:
        raise Refused(
            "A compartment model uses all frames.", field="tstar", found=tstar, mend="leave it out"
        )
    return _fit_compartment(model, values, grid, w, vB, end, labels, meta, found)


def mean_curve(tacs: ArrayLike) -> Array:
    """Return the mean of the curves without missing values, whatever their order.

    Parameters
    ----------
    tacs : (N, F) array

    Returns
    -------
    (F,) array
        Summed exactly, so that permuted rows give the same bytes.
    """
    values = np.asarray(tacs, dtype=np.float64)
    whole = values[np.isfinite(values).all(axis=1)]
    if not whole.size:
        return np.full(values.shape[1], np.nan)
    return np.array([math.fsum(column) / whole.shape[0] for column in whole.T])


def first_frame(frames: Frames, tstar: float) -> int:
    """Return the index of the first frame that begins at ``tstar`` (min) or later."""
    return int(np.searchsorted(frames.start, tstar - _TSTAR_TOLERANCE))


def checked_curves(
    tacs: ArrayLike, frames: Frames, names: Sequence[str] | None
) -> tuple[Frames, Array, tuple[str, ...]]:
    """Return frames, curves decay-corrected to injection (N, F), and N names.

    Parameters
    ----------
    tacs : (F,) or (N, F) array
        kBq/mL, as ``frames`` says.
    frames : Frames
    names : sequence of str or None
        Numbers when ``None``.

    Returns
    -------
    frames : Frames
    values : (N, F) array
    names : tuple of str

    Raises
    ------
    Refused
        When there is not one value a frame, or not one name a curve.
    """
    values = np.atleast_2d(np.asarray(tacs, dtype=np.float64))
    if values.ndim != 2 or values.shape[1] != frames.n:
        raise Refused(
            "The curves have not one value a frame.",
            field="tacs",
            found=values.shape,
            expected=f"(N, {frames.n})",
        )
    labels = tuple(names) if names is not None else tuple(f"{i + 1}" for i in range(len(values)))
    if len(labels) != len(values):
        raise Refused(
            "There is not one name a curve.",
            field="names",
            found=len(labels),
            expected=len(values),
        )
    return frames, np.ascontiguousarray(frames.to_injection(values)), labels


def _fit_compartment(
    model: str,
    values: Array,
    grid: Grid,
    w: Array,
    vB: float | Literal["free"],
    end: float,
    labels: tuple[str, ...],
    meta: dict[str, Any],
    found: FlagList,
) -> KineticFit:
    n_exp, trap = compartment.MODELS[model]
    used = int((w > 0).sum())
    n_free = 2 * n_exp - int(trap) + int(vB == "free")
    if used <= n_free:
        raise Refused(
            "There are too few frames for the model.",
            field="frames",
            found=f"{used} with weight",
            expected=f"more than {n_free} for {model}",
        )
    volume = None if vB == "free" else float(vB)
    raw = compartment.fit_exponentials(values, grid, w, n_exp=n_exp, trap=trap, vB=volume)
    params, se = outcomes(model, raw)
    theta, phi = raw.theta[:, :n_exp], raw.phi[:, :n_exp]
    slow = theta < 1 / end
    extra: dict[str, Array] = {}
    with np.errstate(invalid="ignore", divide="ignore"):
        found.add("no_data", raw.status == compartment.NO_DATA)
        found.add("no_convergence", np.isin(raw.status, (1, 2)))
        found.add("singular", raw.status == compartment.SINGULAR)
        if vB == "free":
            found.add("at_lower_vB", raw.vB <= 0)
            found.add("at_upper_vB", raw.vB >= VB_MAX)
        for e in range(n_exp):
            if not (trap and e == 1):
                ln_rate = np.log(theta[:, e])
                found.add(f"at_lower_theta{e + 1}", ln_rate <= LN_MIN + 1e-9)
                found.add(f"at_upper_theta{e + 1}", ln_rate >= LN_MAX - 1e-9)
            found.add(f"at_lower_phi{e + 1}", phi[:, e] <= 0)
        if "VT" in params:
            part = np.where(slow & (phi > 0), phi / theta, 0.0).sum(axis=1)
            extra["extrapolated_share"] = part / params["VT"]
            found.add("extrapolated", extra["extrapolated_share"] > EXTRAPOLATED)
        if model == "2tcm":
            found.add("k4_small", (theta[:, 1] * end < K4_SMALL) & (phi[:, 1] > 0))
        main = "VT" if "VT" in params else "Ki"
        found.add("cv_high", 100 * se[main] > CV_HIGH * np.abs(params[main]))
    profile = None
    if "VT" in params:
        profile = Profile(
            values, grid, w, volume, np.log(theta), params["VT"], se["VT"], raw.rss, used - n_free
        )
    return KineticFit(
        model=model,
        names=labels,
        params=params,
        se=se,
        units={name: UNITS[name] for name in params},
        rss=raw.rss,
        aicc=aicc(raw.rss, used, n_free),
        n_free=n_free,
        df=used - n_free,
        flags=found.tuples(),
        fitted=raw.fitted,
        weights=w,
        meta={**meta, "n_frames": used},
        cov=raw.cov,
        extra=extra,
        profile=profile,
    )


def _fit_graphical(
    model: str,
    values: Array,
    frames: Frames,
    grid: Grid,
    w: Array,
    vB: float | Literal["free"],
    tstar: float | None,
    labels: tuple[str, ...],
    meta: dict[str, Any],
    found: FlagList,
) -> KineticFit:
    if vB == "free":
        raise Refused(
            f"{model} cannot estimate the blood volume.",
            field="vB",
            found="free",
            expected="a number, 0 for none",
        )
    if tstar is None:
        raise Refused(
            f"{model} needs t*.",
            field="tstar",
            expected="minutes: frames that begin there or later are used",
            mend="give tstar, or find it by choose_tstar",
        )
    first = first_frame(frames, float(tstar))
    used = int((w[first:] > 0).sum())
    if used < 3:
        raise Refused(
            "Too few frames begin at t* or later.",
            field="tstar",
            found=f"{used} frames from {float(tstar):g} min on",
            expected="3 or more; t* is minutes from injection, not a number of frames",
        )
    line = graphical.fit_line(model, values, frames, grid, w, first=first, vB=float(vB))
    main, second = ("Ki", "V0") if model == "patlak" else ("VT", "intercept")
    params = {main: line.value, second: line.intercept}
    usable = np.asarray(np.isfinite(values).all(axis=1) & (values > 0).any(axis=1))
    with np.errstate(invalid="ignore"):
        found.add("no_data", ~usable)
        found.add("singular", np.asarray(usable & ~np.isfinite(line.value)))
        found.add("negative_value", line.value < 0)
        found.add("cv_high", 100 * line.se > CV_HIGH * np.abs(line.value))
    return KineticFit(
        model=model,
        names=labels,
        params=params,
        se={main: line.se, second: np.full(len(labels), np.nan)},
        units={name: UNITS[name] for name in params},
        rss=line.rss,
        aicc=aicc(line.rss, used, 2),
        n_free=2,
        df=used - 2,
        flags=found.tuples(),
        fitted=line.fitted,
        weights=w,
        meta={
            **meta,
            "tstar_min": float(frames.start[first]),
            "tstar_asked_min": float(tstar),
            "n_frames": used,
        },
        se_kind="se_regression",
        extra={"guessed_share": line.guessed, "residual_ratio": line.residual_ratio},
    )
