"""Spectral analysis of regional curves, in the form the other regional models have.

The fit is :func:`ekbom.measures.pet.spectral.spectral`, as in maps; here the whole
spectrum and the fitted curve of every region are kept as well.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ekbom.measures.pet import flags as flag_words
from ekbom.measures.pet.fit import checked_curves
from ekbom.measures.pet.flags import CV_HIGH, FlagList
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction
from ekbom.measures.pet.kinetic import KineticFit
from ekbom.measures.pet.nnls import nnls
from ekbom.measures.pet.spectral import SpectralBasis, spectral, spectral_basis
from ekbom.measures.pet.weights import weights as frame_weights

Array = NDArray[np.float64]

#: Parameters kept, in their order.
KEPT = ("VT", "K1", "vB", "IRF60")


def fit_spectral(
    tacs: ArrayLike,
    frames: Frames,
    input: InputFunction,
    *,
    vB: float | Literal["free"] = "free",
    weights: str | ArrayLike = "poisson",
    beta_min: float | None = None,
    beta_max: float = 6.0,
    nodes: int = 100,
    draws: int = 50,
    seed: int = 0,
    names: tuple[str, ...] | None = None,
    frame_mean: Literal["decay-weighted", "plain"] = "decay-weighted",
) -> KineticFit:
    """Fit the spectrum of every regional curve.

    Parameters
    ----------
    tacs : (F,) or (N, F) array
        kBq/mL, as ``frames`` says.
    frames : Frames
    input : InputFunction
        As tissue sees it, delay applied.
    vB : float or "free"
        Blood volume.
    weights : {"poisson", "duration", "uniform"} or (F,) array
        Poisson weights are those of the mean of all curves.
    beta_min, beta_max : float
        Slowest and fastest rate, 1/min; the slowest is 0.1 / end of the scan by default.
    nodes : int
        Number of rates.
    draws : int
        Draws of the residual bootstrap behind the standard errors; 0 for none.
    seed : int
        Of the bootstrap.
    names : tuple of str, optional
        N regions.
    frame_mean : {"decay-weighted", "plain"}

    Returns
    -------
    KineticFit
        V_T, K1 (fastest rate left out), v_B, IRF60 (impulse response at 60 min); ``extra`` holds
        ``extrapolated_share`` of V_T, ``components``, the spectrum ``alpha`` (N, M) and its rates
        ``beta`` (M,). ``aicc`` is NaN: the number of parameters is not known beforehand.
        ``n_free`` is the median number of coefficients above zero.

    Raises
    ------
    Refused
        When shapes differ or the rates are no range.

    References
    ----------
    Cunningham VJ, Jones T (1993). J Cereb Blood Flow Metab 13:15-23. doi:10.1038/jcbfm.1993.5
    """
    checked, values, labels = checked_curves(tacs, frames, names)
    if isinstance(weights, str):
        usable = values[np.isfinite(values).all(axis=1)]
        reference = usable.mean(axis=0) if usable.size else None
        w = frame_weights(weights, frames, reference)
    else:
        w = frame_weights(weights, frames)
    base = spectral_basis(
        checked,
        input,
        beta_min=beta_min,
        beta_max=beta_max,
        nodes=nodes,
        decay_weighted=frame_mean == "decay-weighted",
    )
    raw = spectral(values, base, w, vB=vB, draws=draws, seed=seed)
    alpha, blood, fitted, active = spectra(values, base, w, vB=vB)
    missing = np.full(len(labels), np.nan)
    params = {name: raw.params[name] for name in KEPT}
    se = {name: raw.se.get(name, missing) for name in KEPT}
    found = FlagList(len(labels))
    for word in flag_words.MEANINGS:
        found.add(word, (raw.flags & flag_words.bits([word])) != 0)
    with np.errstate(invalid="ignore"):
        found.add("cv_high", 100 * se["VT"] > CV_HIGH * np.abs(params["VT"]))
    used = int((w > 0).sum())
    n_free = int(np.median(active)) if active.size else 0
    meta: dict[str, Any] = {
        "model": "spectral",
        "vB": vB,
        "weights": weights if isinstance(weights, str) else "user",
        "frame_mean": frame_mean,
        "delay_min": float(input.provenance.get("delay_min", "0")),
        "input_extrapolated_share": input.extrapolated_share(base.end),
        "n_frames": used,
        **{key: raw.meta[key] for key in ("BetaRange", "BetaNodes", "BootstrapDraws")},
    }
    return KineticFit(
        model="spectral",
        names=labels,
        params=params,
        se=se,
        units={name: raw.units[name] for name in KEPT},
        rss=raw.rss,
        aicc=missing,
        n_free=n_free,
        df=max(used - n_free, 0),
        flags=found.tuples(),
        fitted=fitted,
        weights=w,
        meta=meta,
        extra={
            "extrapolated_share": raw.params["extrapolated"],
            "components": raw.params["components"],
            "alpha": alpha,
            "beta": base.beta,
            "blood": blood,
        },
    )


def spectra(
    curves: ArrayLike,
    base: SpectralBasis,
    weights: ArrayLike,
    *,
    vB: float | Literal["free"] = "free",
) -> tuple[Array, Array, Array, NDArray[np.int64]]:
    """Return whole spectra, and the curves they make.

    Parameters
    ----------
    curves : (N, F) array
        kBq/mL.
    base : SpectralBasis
        M rates.
    weights : (F,) array
    vB : float or "free"

    Returns
    -------
    alpha : (N, M) array
        mL/cm3/min, by rate; NaN in a row that holds a missing value.
    vB : (N,) array
    fitted : (N, F) array
        kBq/mL.
    active : (N,) int array
        Coefficients above zero, blood included; 0 in a row without values.
    """
    y, w = np.asarray(curves, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    free = vB == "free"
    design = base.columns if not free else np.column_stack([base.columns, base.blood])
    root = np.sqrt(w)
    # a frame without weight may hold nothing
    data = np.where(w > 0, y, 0.0)
    good = np.isfinite(data).all(axis=1)
    rest = 0.0 if free else float(vB) * base.blood
    x = np.full((len(y), design.shape[1]), np.nan)
    active = np.zeros(len(y), dtype=np.int64)
    if good.any():
        solved = nnls(design * root[:, None], (data[good] - rest) * root)
        inside = solved.passive >= 0
        rows = np.zeros((int(good.sum()), design.shape[1]))
        where = np.nonzero(inside)
        rows[where[0], solved.passive[where]] = solved.coefficients[where]
        x[good] = rows
        active[good] = inside.sum(axis=1)
    fitted = x @ design.T + rest
    volume = x[:, -1] if free else np.full(len(y), float(vB))
    with np.errstate(divide="ignore", invalid="ignore"):
        alpha = x[:, : base.beta.size] / (1.0 - volume)[:, None]
    return alpha, volume, np.asarray(fitted), active
