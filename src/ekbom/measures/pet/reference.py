"""Reference-region models: BP_ND, R1 ... of curves against a region without binding.

No blood is needed and none is corrected for: these models have no blood volume.
What they return is only as good as the reference, a region with the same
non-displaceable distribution as the targets and no specific binding.

References
----------
Lammertsma AA, Hume SP (1996). Simplified reference tissue model for PET receptor
studies. NeuroImage 4:153-158. doi:10.1006/nimg.1996.0066

Gunn RN et al. (1997). Parametric imaging of ligand-receptor binding in PET using a
simplified reference region model. NeuroImage 6:279-287. doi:10.1006/nimg.1997.0303

Wu Y, Carson RE (2002). Noise reduction in the simplified reference tissue model for
neuroreceptor functional imaging. J Cereb Blood Flow Metab 22:1440-1452.
doi:10.1097/01.WCB.0000033967.83623.34
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ekbom.errors import Refused
from ekbom.measures.pet import _srtm, frtm, multilinear, uptake
from ekbom.measures.pet._threads import share_rows
from ekbom.measures.pet.convolve import Grid, running_input
from ekbom.measures.pet.fit import checked_curves, first_frame, mean_curve
from ekbom.measures.pet.flags import CV_HIGH, FlagList
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.k2prime import k2prime_of
from ekbom.measures.pet.kinetic import KineticFit
from ekbom.measures.pet.lift import Lift, lift
from ekbom.measures.pet.reference_basis import k2a_table, searched
from ekbom.measures.pet.select import aicc
from ekbom.measures.pet.weights import weights as frame_weights

Array = NDArray[np.float64]

#: Models of :func:`fit_reference`.
MODELS = ("srtm", "srtm2", "frtm", "mrtm1", "mrtm2", "logan-ref", "suvr")
#: Those that use frames from t* on.
LINEAR = tuple(multilinear.CODES)
#: Those that hold k2' (1/min), the efflux rate of the reference.
FIXED_K2PRIME = ("srtm2", "mrtm2", "logan-ref")
#: Units of what they estimate.
UNITS = {
    "BPND": "1",
    "DVR": "1",
    "SUVR": "1",
    "R1": "1",
    "k2": "1/min",
    "k2a": "1/min",
    "k2prime": "1/min",
    "k3": "1/min",
    "k4": "1/min",
    "intercept": "min",
}
#: Rates in the table of regional fits.
NODES = 512


def fit_reference(
    tacs: ArrayLike,
    reference_tac: ArrayLike,
    frames: Frames,
    *,
    model: str,
    weights: str | ArrayLike = "poisson",
    weight_reference: ArrayLike | None = None,
    k2prime: float | Literal["auto"] = "auto",
    tstar: float | None = None,
    window: tuple[float, float] | None = None,
    names: Sequence[str] | None = None,
    frame_mean: Literal["decay-weighted", "plain"] = "decay-weighted",
) -> KineticFit:
    """Fit every curve by one reference-region model.

    Parameters
    ----------
    tacs : (F,) or (N, F) array
        kBq/mL, as ``frames`` says.
    reference_tac : (F,) array
        Curve of the reference region on the same frames.
    frames : Frames
    model : {"srtm", "srtm2", "frtm", "mrtm1", "mrtm2", "logan-ref", "suvr"}
    weights : {"poisson", "duration", "uniform"} or (F,) array
    weight_reference : (F,) array, optional
        Curve of a large region for Poisson weights; the mean of all curves by default.
    k2prime : float or "auto"
        1/min, for SRTM2, MRTM2 and the reference Logan plot (``inf`` leaves its
        term out of that). ``auto``: median over the curves with BP_ND > 0.5 of a
        first fit (SRTM, or MRTM1 before MRTM2), weighted by its precision.
    tstar : float, optional
        Minutes: multilinear models use the frames that begin here or later; 0 by
        default for MRTM1 and MRTM2, needed for the Logan plot.
    window : (float, float), optional
        Minutes, of ``suvr``.
    names : sequence of str, optional
        N regions.
    frame_mean : {"decay-weighted", "plain"}
        How a frame value averages the curve.

    Returns
    -------
    KineticFit
        ``BPND``, and what else the model has; ``SUVR`` without standard error.

    Raises
    ------
    Refused
        When shapes differ, the model is unknown, the reference holds nothing, or
        t*, k2' or the window do not fit the model.
    """
    _, values, labels = checked_curves(tacs, frames, names)
    _, rows, _ = checked_curves(reference_tac, frames, None)
    reference = rows[0]
    if model not in MODELS:
        raise Refused(
            "The model is not known.", field="model", found=repr(model), expected=", ".join(MODELS)
        )
    if rows.shape[0] != 1 or not np.isfinite(reference).all() or not (reference > 0).any():
        raise Refused(
            "The reference is not one curve with activity.",
            field="reference",
            found=f"{rows.shape[0]} curve(s), {int((rows > 0).sum())} values above zero",
            expected=f"{frames.n} numbers",
        )
    if isinstance(weights, str) and weights == "poisson" and weight_reference is None:
        weight_reference = mean_curve(np.asarray(tacs, dtype=np.float64).reshape(-1, frames.n))
    w = frame_weights(weights, frames, weight_reference)
    meta: dict[str, Any] = {
        "model": model,
        "vB": 0.0,
        "weights": weights if isinstance(weights, str) else "user",
        "frame_mean": frame_mean,
        "n_frames": int((w > 0).sum()),
    }
    if model == "suvr":
        return _suvr(values, reference, frames, window, labels, w, meta)
    lifted = lift(frames, decay_weighted=frame_mean == "decay-weighted")
    data = np.where(w > 0, values, 0.0)
    usable = np.asarray(np.isfinite(data).all(axis=1) & (data > 0).any(axis=1))
    data = np.where(np.isfinite(data), data, 0.0)
    if model in FIXED_K2PRIME:
        meta["k2prime"] = (
            _common_k2prime(model, data[usable], reference, frames, w, tstar, frame_mean)
            if k2prime == "auto"
            else float(k2prime)
        )
        if not meta["k2prime"] > 0 or (model != "logan-ref" and np.isinf(meta["k2prime"])):
            raise Refused("k2' is not a rate.", field="k2prime", found=k2prime, expected="> 0")
    if model in LINEAR:
        return _linear(model, data, usable, reference, lifted, frames, w, tstar, labels, meta)
    p = {"srtm": 3, "srtm2": 2, "frtm": 4}[model]
    if meta["n_frames"] <= p:
        raise Refused(
            "There are too few frames for the model.", field="frames", found=meta["n_frames"]
        )
    grid = lifted.on_grid(reference)
    if model == "frtm":
        return _full(data, usable, grid, w, labels, meta)
    return _simplified(model, data, usable, grid, float(frames.end[-1]), w, labels, meta)


def _simplified(
    model: str,
    data: Array,
    usable: NDArray[np.bool_],
    grid: Grid,
    end: float,
    w: Array,
    labels: tuple[str, ...],
    meta: dict[str, Any],
) -> KineticFit:
    root = np.sqrt(w)
    k2p = float(meta["k2prime"]) if model == "srtm2" else np.nan
    q = grid.plasma_mean * root
    ln_rate, table, slope = k2a_table(grid, root, end, NODES)
    unit = searched(table, q, ln_rate, k2p)
    N, F = data.shape
    result, rss = np.full((N, 10), np.nan), np.full(N, np.nan)
    status = np.full(N, _srtm.NO_DATA, dtype=np.int64)
    fitted = np.full((N, F), np.nan)
    curves = np.ascontiguousarray(data * root)

    def work(rows: NDArray[np.int64]) -> None:
        _srtm.fit_rows(
            rows, curves, q, k2p, True, ln_rate, table, slope, unit, grid.arrays, root,
            result, rss, status, fitted,
        )  # fmt: skip

    share_rows(np.flatnonzero(usable), work)
    params = {name: result[:, i].copy() for i, name in enumerate(_srtm.COLUMNS)}
    se = {name: result[:, 5 + i].copy() for i, name in enumerate(_srtm.COLUMNS)}
    found = FlagList(N)
    found.add("no_data", ~usable)
    found.add("at_lower_k2a", status == _srtm.AT_LOWER)
    found.add("at_upper_k2a", status == _srtm.AT_UPPER)
    found.add("no_convergence", status == _srtm.STUCK)
    with np.errstate(invalid="ignore", divide="ignore"):
        fitted = fitted / root
    return _made(model, labels, params, se, rss, 3 if model == "srtm" else 2, usable, found, fitted,
                 w, meta)  # fmt: skip


def _full(
    data: Array,
    usable: NDArray[np.bool_],
    grid: Grid,
    w: Array,
    labels: tuple[str, ...],
    meta: dict[str, Any],
) -> KineticFit:
    root = np.sqrt(w)
    start = _simplified("srtm", data, usable, grid, 1e2, w, labels, dict(meta))
    N, F = data.shape
    params = {name: np.full(N, np.nan) for name in (*frtm.PARAMETERS, "BPND")}
    se = {name: np.full(N, np.nan) for name in params}
    rss, fitted = np.full(N, np.nan), np.full((N, F), np.nan)
    low, high = np.zeros((4, N), dtype=bool), np.zeros((4, N), dtype=bool)
    stuck = np.zeros(N, dtype=bool)
    for n in np.flatnonzero(usable):
        ln, cov, rss[n], done, fitted[n] = frtm.fit_curve(
            data[n], grid, root, float(start.params["R1"][n]), float(start.params["k2"][n])
        )
        x = np.exp(ln)
        for i, name in enumerate(frtm.PARAMETERS):
            params[name][n] = x[i]
            se[name][n] = x[i] * np.sqrt(cov[i, i])
        ratio = x[2] / x[3]
        params["BPND"][n] = ratio
        se["BPND"][n] = ratio * np.sqrt(max(cov[2, 2] + cov[3, 3] - 2 * cov[2, 3], 0.0))
        low[:, n] = x <= frtm.LOWER * (1 + 1e-6)
        high[:, n] = x >= frtm.UPPER * (1 - 1e-6)
        stuck[n] = not done
    found = FlagList(N)
    found.add("no_data", ~usable)
    found.add("no_convergence", stuck)
    for i, name in enumerate(frtm.PARAMETERS):
        found.add(f"at_lower_{name}", low[i])
        found.add(f"at_upper_{name}", high[i])
    return _made("frtm", labels, params, se, rss, 4, usable, found, fitted, w, meta)


def _linear(
    model: str,
    data: Array,
    usable: NDArray[np.bool_],
    reference: Array,
    lifted: Lift,
    frames: Frames,
    w: Array,
    tstar: float | None,
    labels: tuple[str, ...],
    meta: dict[str, Any],
) -> KineticFit:
    if tstar is None:
        if model == "logan-ref":
            raise Refused(
                "The reference Logan plot needs t*.",
                field="tstar",
                expected="minutes: frames that begin there or later are used",
            )
        tstar = 0.0
    first = first_frame(frames, float(tstar))
    free = 3 if model == "mrtm1" else 2
    used = int((w[first:] > 0).sum())
    if used <= free:
        raise Refused(
            "Too few frames begin at t* or later.",
            field="tstar",
            found=f"{used} frames from {float(tstar):g} min on",
            expected=f"more than {free}; t* is minutes from injection, not a number of frames",
        )
    N, F = data.shape
    result, rss = np.full((N, 12), np.nan), np.full(N, np.nan)
    fitted, ratio = np.full((N, F), np.nan), np.full((N, F), np.nan)
    operator = np.ascontiguousarray(lifted.running().T)
    running = running_input(lifted.on_grid(reference))
    k2p = float(meta.get("k2prime", np.inf))

    def work(rows: NDArray[np.int64]) -> None:
        multilinear.fit_rows(
            rows, multilinear.CODES[model], data, reference, running, operator, k2p, np.sqrt(w),
            first, result, rss, fitted, ratio,
        )  # fmt: skip

    share_rows(np.flatnonzero(usable), work)
    kept = {
        "mrtm1": ("BPND", "R1", "k2", "k2a", "k2prime"),
        "mrtm2": ("BPND", "R1", "k2", "k2a", "k2prime"),
        "logan-ref": ("BPND", "intercept"),
    }[model]
    index = [multilinear.COLUMNS.index(name) for name in kept]
    params = {name: result[:, i].copy() for name, i in zip(kept, index, strict=True)}
    se = {name: result[:, 6 + i].copy() for name, i in zip(kept, index, strict=True)}
    if model == "logan-ref":
        params["DVR"], se["DVR"] = params["BPND"] + 1, se["BPND"].copy()
    meta = {
        **meta,
        "n_frames": used,
        "tstar_min": float(frames.start[first]),
        "tstar_asked_min": float(tstar),
    }
    found = FlagList(N)
    found.add("no_data", ~usable)
    return _made(model, labels, params, se, rss, free, usable, found, fitted, w, meta, ratio)


def _made(
    model: str,
    labels: tuple[str, ...],
    params: dict[str, Array],
    se: dict[str, Array],
    rss: Array,
    n_free: int,
    usable: NDArray[np.bool_],
    found: FlagList,
    fitted: Array,
    w: Array,
    meta: dict[str, Any],
    ratio: Array | None = None,
) -> KineticFit:
    BPND, error = params["BPND"], se["BPND"]
    with np.errstate(invalid="ignore"):
        found.add("singular", usable & ~np.isfinite(error))
        # BP_ND of a region without binding scatters around zero; what cannot be
        # negative is its distribution volume over that of the reference
        odd = BPND <= -1
        if "R1" in params:
            odd |= params["R1"] <= 0
        found.add("negative_value", odd)
        found.add("cv_high", 100 * error > CV_HIGH * np.abs(1 + BPND))
    used = int(meta["n_frames"])
    return KineticFit(
        model=model,
        names=labels,
        params=params,
        se=se,
        units={name: UNITS[name] for name in params},
        rss=rss,
        aicc=aicc(rss, used, n_free),
        n_free=n_free,
        df=used - n_free,
        flags=found.tuples(),
        fitted=fitted,
        weights=w,
        meta=meta,
        se_kind="se_regression" if model in LINEAR else "se",
        extra={} if ratio is None else {"residual_ratio": ratio},
    )


def _suvr(
    values: Array,
    reference: Array,
    frames: Frames,
    window: tuple[float, float] | None,
    labels: tuple[str, ...],
    w: Array,
    meta: dict[str, Any],
) -> KineticFit:
    if window is None:
        raise Refused("SUVR needs a window.", field="window", expected="start and end in minutes")
    ratio = uptake.suvr(values, reference, frames, window)
    none = np.full(len(labels), np.nan)
    found = FlagList(len(labels))
    found.add("no_data", ~np.isfinite(ratio))
    return KineticFit(
        "suvr", labels, {"SUVR": ratio}, {"SUVR": none}, {"SUVR": "1"}, none, none, 1, 0,
        found.tuples(), np.full(values.shape, np.nan), w,
        {**meta, "window_min": list(window)},
    )  # fmt: skip


def _common_k2prime(
    model: str,
    data: Array,
    reference: Array,
    frames: Frames,
    w: Array,
    tstar: float | None,
    frame_mean: Literal["decay-weighted", "plain"],
) -> float:
    # the curves are at injection by now
    straight = Frames(frames.start, frames.end, frames.half_life)
    pilot = "mrtm1" if model == "mrtm2" else "srtm"
    start = tstar if pilot == "mrtm1" else None
    return k2prime_of(
        fit_reference(
            data, reference, straight, model=pilot, weights=w, tstar=start, frame_mean=frame_mean
        )
    )
