"""Reference-region models in every voxel: SRTM, SRTM2, MRTM2, reference Logan, SUVR.

The same kernels as for regions. SRTM takes its basis from a table of 128 rates
and, between them, from cubics through values and slopes (Gunn et al. 1997 with a
polish), so that a voxel costs no convolution.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ekbom.errors import Refused
from ekbom.measures.pet import _srtm, multilinear, uptake
from ekbom.measures.pet._threads import share_rows
from ekbom.measures.pet.convolve import running_input
from ekbom.measures.pet.fit import first_frame
from ekbom.measures.pet.flags import CV_HIGH, bits
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.k2prime import BINDING, weighted_median
from ekbom.measures.pet.lift import Lift, lift
from ekbom.measures.pet.reference import UNITS
from ekbom.measures.pet.reference_basis import k2a_table, searched
from ekbom.measures.pet.voxels import VoxelFit, checked, with_signal

Array = NDArray[np.float64]

#: Models that can be fitted to every voxel.
MODELS = ("srtm", "srtm2", "mrtm2", "logan-ref", "suvr")
#: Rates in the table.
NODES = 128
_KEPT = {"srtm": _srtm.COLUMNS, "srtm2": _srtm.COLUMNS[:4]}


def map_reference(
    curves: ArrayLike,
    reference_tac: ArrayLike,
    frames: Frames,
    *,
    model: str,
    weights: ArrayLike,
    k2prime: float | None = None,
    tstar: float | None = None,
    window: tuple[float, float] | None = None,
    nodes: int = NODES,
    decay_weighted: bool = True,
) -> VoxelFit:
    """Fit a reference-region model to every voxel.

    Parameters
    ----------
    curves : (V, F) array
        Decay-corrected frame means, kBq/mL.
    reference_tac : (F,) array
        Curve of the reference region.
    frames : Frames
    model : {"srtm", "srtm2", "mrtm2", "logan-ref", "suvr"}
    weights : (F,) array
        Of squared residuals, the same for all voxels.
    k2prime : float, optional
        1/min. SRTM2: median over the voxels with BP_ND > 0.5 of a first SRTM by
        default. MRTM2 and the Logan plot need it (infinite: term left out).
    tstar : float, optional
        Minutes, of MRTM2 (0 by default) and the Logan plot.
    window : (float, float), optional
        Minutes, of SUVR.
    nodes : int
        Rates in the table.
    decay_weighted : bool
        How a frame averages, see :mod:`ekbom.measures.pet.convolve`.

    Returns
    -------
    VoxelFit
        BPND, R1, k2, k2a (and k2prime by SRTM), DVR or SUVR.

    Raises
    ------
    Refused
        Unknown model, a setting it needs is missing, shapes that do not fit.
    """
    if model not in MODELS:
        raise Refused(
            "No voxel can be fitted with this model.",
            field="model",
            found=model,
            expected=", ".join(MODELS),
        )
    y, w = checked(curves, weights, frames.n)
    reference = checked(np.asarray(reference_tac, dtype=np.float64)[None], weights, frames.n)[0][0]
    if not np.isfinite(reference).all() or not (reference > 0).any():
        raise Refused("The reference holds no activity.", field="reference")
    good = with_signal(y)
    if model == "suvr":
        if window is None:
            raise Refused("SUVR needs a window.", field="window", expected="start and end, min")
        ratio = np.full(len(y), np.nan)
        ratio[good] = uptake.suvr(y[good], reference, frames, window)
        flags = np.where(good, 0, bits(["no_data"])).astype(np.int16)
        meta = {"WindowMinutes": list(window), "NoSignalVoxels": int((~good).sum())}
        return VoxelFit(
            "suvr", {"SUVR": ratio}, {}, {"SUVR": "1"}, np.full(len(y), np.nan), flags, meta
        )
    lifted = lift(frames, decay_weighted=decay_weighted)
    if model in _KEPT:
        if model == "srtm2" and k2prime is None:
            k2prime = _voxel_k2prime(y, good, reference, lifted, frames, w, nodes)
        fixed = float("nan") if model == "srtm" else float(k2prime or 0.0)
        return _simplified(model, y, good, reference, lifted, frames, w, fixed, nodes)
    if k2prime is None or not k2prime > 0:
        raise Refused(f"{model} needs k2'.", field="k2prime", found=k2prime, expected="1/min")
    return _linear(model, y, good, reference, lifted, frames, w, float(k2prime), tstar)


def _simplified(
    model: str,
    y: Array,
    good: NDArray[np.bool_],
    reference: Array,
    lifted: Lift,
    frames: Frames,
    w: Array,
    k2prime: float,
    nodes: int,
) -> VoxelFit:
    if model == "srtm2" and not 0 < k2prime < np.inf:
        raise Refused("k2' is not a rate.", field="k2prime", found=k2prime, expected="> 0, 1/min")
    used = int((w > 0).sum())
    if used <= 3:
        raise Refused("There are too few frames for the model.", field="frames", found=used)
    root = np.sqrt(w)
    grid = lifted.on_grid(reference)
    q = reference * root
    ln_rate, table, slope = k2a_table(grid, root, float(frames.end[-1]), nodes)
    unit = searched(table, q, ln_rate, k2prime)
    result, rss = np.full((len(y), 10), np.nan), np.full(len(y), np.nan)
    status = np.full(len(y), _srtm.NO_DATA, dtype=np.int64)
    none = np.empty((0, frames.n))

    def work(rows: NDArray[np.int64]) -> None:
        # weighted in blocks, so that no second image is made
        for first in range(0, rows.size, 4096):
            block = rows[first : first + 4096]
            inner, misfit = np.full((block.size, 10), np.nan), np.full(block.size, np.nan)
            state = np.zeros(block.size, dtype=np.int64)
            _srtm.fit_rows(
                np.arange(block.size), y[block] * root, q, k2prime, False, ln_rate, table, slope,
                unit, grid.arrays, root, inner, misfit, state, none,
            )  # fmt: skip
            result[block], rss[block], status[block] = inner, misfit, state

    share_rows(np.flatnonzero(good), work)
    names = _KEPT[model]
    params = {name: result[:, _srtm.COLUMNS.index(name)] for name in names}
    se = {name: result[:, 5 + _srtm.COLUMNS.index(name)] for name in names}
    flags = _flags(params, se, good)
    for word, code in (
        ("at_lower", _srtm.AT_LOWER),
        ("at_upper", _srtm.AT_UPPER),
        ("no_convergence", _srtm.STUCK),
    ):
        flags[status == code] |= bits([word])
    meta: dict[str, Any] = {
        "BasisNodes": nodes,
        "k2aRange": [float(np.exp(ln_rate[0])), float(np.exp(ln_rate[-1]))],
        "NoSignalVoxels": int((~good).sum()),
    }
    if model == "srtm2":
        meta["k2prime"] = k2prime
    return VoxelFit(model, params, se, {n: UNITS[n] for n in names}, rss, flags, meta)


def _voxel_k2prime(
    y: Array,
    good: NDArray[np.bool_],
    reference: Array,
    lifted: Lift,
    frames: Frames,
    w: Array,
    nodes: int,
) -> float:
    first = _simplified("srtm", y, good, reference, lifted, frames, w, float("nan"), nodes)
    value, error = first.params["k2prime"], first.se["k2prime"]
    with np.errstate(invalid="ignore"):
        binds = (first.params["BPND"] > BINDING) & (value > 0) & (error > 0) & (first.flags == 0)
    if not binds.any():
        raise Refused(
            "No voxel binds enough to tell k2' from.",
            field="k2prime",
            found="none with BP_ND above 0.5 and no flag",
            mend="give k2prime in 1/min",
        )
    return weighted_median(value[binds], 1 / error[binds] ** 2)


def _linear(
    model: str,
    y: Array,
    good: NDArray[np.bool_],
    reference: Array,
    lifted: Lift,
    frames: Frames,
    w: Array,
    k2prime: float,
    tstar: float | None,
) -> VoxelFit:
    if tstar is None:
        if model == "logan-ref":
            raise Refused("The reference Logan plot needs t*.", field="tstar", expected="minutes")
        tstar = 0.0
    first = first_frame(frames, float(tstar))
    used = int((w[first:] > 0).sum())
    if used < 3:
        raise Refused("Too few frames begin after t*.", field="tstar", found=used, expected="3")
    result, rss = np.full((len(y), 12), np.nan), np.full(len(y), np.nan)
    operator = np.ascontiguousarray(lifted.running().T)
    running = running_input(lifted.on_grid(reference))
    none, root = np.empty((0, frames.n)), np.sqrt(w)

    def work(rows: NDArray[np.int64]) -> None:
        multilinear.fit_rows(
            rows, multilinear.CODES[model], y, reference, running, operator, k2prime, root, first,
            result, rss, none, none,
        )  # fmt: skip

    share_rows(np.flatnonzero(good), work)
    at = multilinear.COLUMNS.index
    names = ("BPND",) if model == "logan-ref" else ("BPND", "R1", "k2", "k2a")
    params = {name: result[:, at(name)] for name in names}
    se = {name: result[:, 6 + at(name)] for name in names}
    meta = {
        "k2prime": k2prime,
        "tstar_min": float(frames.start[first]),
        "Frames": used,
        "NoSignalVoxels": int((~good).sum()),
    }
    units = {name: UNITS[name] for name in names}
    return VoxelFit(model, params, se, units, rss, _flags(params, se, good), meta)


def _flags(
    params: dict[str, Array], se: dict[str, Array], good: NDArray[np.bool_]
) -> NDArray[np.int16]:
    flags = np.where(good, 0, bits(["no_data"])).astype(np.int16)
    BPND, error = params["BPND"], se["BPND"]
    with np.errstate(invalid="ignore"):
        flags[good & ~np.isfinite(error)] |= bits(["singular"])
        odd = BPND <= -1
        if "R1" in params:
            odd |= params["R1"] <= 0
        flags[good & odd] |= bits(["negative_value"])
        flags[good & (100 * error > CV_HIGH * np.abs(1 + BPND))] |= bits(["cv_high"])
    return flags
