"""One- and two-tissue compartment models in every voxel.

What a scan's voxels share is made once: the basis on 512 rates, its slopes, and a
coarse table whose every pair is scored for the start. A voxel then costs no
convolution (see :mod:`ekbom.measures.pet._voxel_varpro`).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ekbom.errors import Refused
from ekbom.measures.pet import _voxel_varpro, compartment
from ekbom.measures.pet._threads import share_rows
from ekbom.measures.pet._varpro import LN_MAX, LN_MIN, VB_MAX
from ekbom.measures.pet._voxel_starts import inverse_determinants
from ekbom.measures.pet.compartment import Exponentials
from ekbom.measures.pet.convolve import basis, make_grid
from ekbom.measures.pet.fit import UNITS
from ekbom.measures.pet.flags import CV_HIGH, EXTRAPOLATED, K4_SMALL, bits
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction
from ekbom.measures.pet.outcomes import outcomes
from ekbom.measures.pet.voxels import VoxelFit, checked, with_signal

Array = NDArray[np.float64]

#: Models that can be fitted to every voxel, and their exponentials.
MODELS = {"1tcm": 1, "2tcm": 2}
#: Rates in the table, and in the table of starts.
NODES, STARTS = 512, 28
# Rows of the table apart at which another valley is looked for.
_APART = 7
_BLOCK = 2048
# Numbers of a vector register, at most.
_LANES = 4


def map_compartments(
    curves: ArrayLike,
    frames: Frames,
    input: InputFunction,
    *,
    model: str,
    weights: ArrayLike,
    vB: float | Literal["free"] = "free",
    se: bool = True,
    decay_weighted: bool = True,
) -> VoxelFit:
    """Fit a compartment model to every voxel.

    Parameters
    ----------
    curves : (V, F) array
        Decay-corrected frame means, kBq/mL.
    frames : Frames
    input : InputFunction
        As tissue sees it, delay applied.
    model : {"1tcm", "2tcm"}
    weights : (F,) array
        Of squared residuals, the same for all voxels.
    vB : float or "free"
        Blood volume.
    se : bool
        Whether standard errors are wanted.
    decay_weighted : bool
        How a frame averages, see :mod:`ekbom.measures.pet.convolve`.

    Returns
    -------
    VoxelFit
        VT, K1, k2 (k3, k4, BPND, VND), vB and ``extrapolated``, the share of V_T from
        rates slower than 1 / end of the scan.

    Raises
    ------
    Refused
        Unknown model, a vB outside 0 to 1, too few frames, shapes that do not fit.
    """
    if model not in MODELS:
        raise Refused(
            "No voxel can be fitted with this model.",
            field="model",
            found=model,
            expected=", ".join(MODELS),
        )
    free = vB == "free"
    if not free and not 0 <= float(vB) < 1:
        raise Refused("The blood volume must be a share.", field="vB", found=vB, expected="0 to 1")
    y, w = checked(curves, weights, frames.n)
    n_exp = MODELS[model]
    if int((w > 0).sum()) <= 2 * n_exp + int(free):
        raise Refused(
            "There are too few frames for the model.",
            field="frames",
            found=int((w > 0).sum()),
            expected=f"more than {2 * n_exp + int(free)}",
        )
    held = 0.0 if free else float(vB)
    root = np.sqrt(w)
    # frames of no weight fill the last vector register
    spare = -frames.n % _LANES
    grid = make_grid(frames, input, decay_weighted=decay_weighted)
    ln_rate = np.linspace(LN_MIN, LN_MAX, NODES)
    mean, slope = basis(np.exp(ln_rate), grid)
    table = _filled(mean * root, spare)
    slopes = _filled(slope * np.exp(ln_rate)[:, None] * root, spare)
    coarse_ln = np.linspace(LN_MIN, LN_MAX, STARTS)
    coarse = _filled(basis(np.exp(coarse_ln), grid)[0] * root, spare)
    blood = _filled(grid.whole_blood_mean * root, spare)
    gram, cross = compartment.gram_matrix(coarse), compartment.products(coarse, blood)
    apart = compartment.apart_from(gram, cross, blood)
    grams = (gram, apart, inverse_determinants(gram), inverse_determinants(apart),
             np.diag(gram).copy(), np.diag(apart).copy())  # fmt: skip
    starts = (coarse_ln, np.ascontiguousarray(coarse.T), grams, cross)
    every = table[::_APART]
    tried = (
        (every**2).sum(axis=1), compartment.products(every, blood),
        # by plain loops: the same bits whatever BLAS and threads
        np.einsum("nf,kf->nk", table, every), np.einsum("nf,kf->nk", slopes, every),
    )  # fmt: skip
    fine = (ln_rate[::_APART], np.ascontiguousarray(every.T), tried)
    end = float(frames.end[-1])
    good = with_signal(y)
    names = [n for n in ("VT", "K1", "k2", "k3", "k4", "BPND", "VND", "vB") if n_exp == 2 or n in (
        "VT", "K1", "k2", "vB")]  # fmt: skip
    V = len(y)
    params = {name: np.full(V, np.nan) for name in (*names, "extrapolated")}
    errors = {name: np.full(V, np.nan) for name in names if free or name != "vB"} if se else {}
    rss, flags = np.full(V, np.nan), np.full(V, bits(["no_data"]), dtype=np.int16)

    def work(rows: NDArray[np.int64]) -> None:
        # in blocks, so that no second image and no covariances of all voxels are held
        for first in range(0, rows.size, _BLOCK):
            block = rows[first : first + _BLOCK]
            n = block.size
            data = _filled((y[block] - held * grid.whole_blood_mean) * root, spare)
            raw = Exponentials(
                np.full((n, 2), np.nan), np.full((n, 2), np.nan), np.empty(n), np.empty(n),
                np.empty((0, 0)), np.full((n if se else 0, 5, 5), np.nan),
                np.zeros(n, dtype=np.int64),
            )  # fmt: skip
            _voxel_varpro.fit_rows(
                data, n_exp, free, held, blood, ln_rate[0], ln_rate[1] - ln_rate[0], table, slopes,
                starts, fine, se, raw.theta, raw.phi, raw.vB,
                raw.rss, raw.cov, raw.status,
            )  # fmt: skip
            found, spread = outcomes(model, raw, with_se=se)
            rss[block] = raw.rss
            for name in names:
                params[name][block] = found[name]
            for name in errors:
                errors[name][block] = spread[name]
            share, flags[block] = _flags(raw, found, spread, n_exp, free, end)
            params["extrapolated"][block] = share

    share_rows(np.flatnonzero(good), work)
    units = {**{name: UNITS[name] for name in names}, "extrapolated": "1"}
    meta: dict[str, Any] = {
        "vB": vB if free else held,
        "TableNodes": NODES,
        "StartNodes": STARTS,
        "NoSignalVoxels": int((~good).sum()),
    }
    return VoxelFit(model, params, errors, units, rss, flags, meta)


def _filled(rows: Array, spare: int) -> Array:
    """Return rows with as many frames of nothing behind."""
    wide = [(0, 0)] * (rows.ndim - 1) + [(0, spare)]
    return np.ascontiguousarray(np.pad(rows, wide))


def _flags(
    raw: Exponentials,
    params: dict[str, Array],
    se: dict[str, Array],
    n_exp: int,
    free: bool,
    end: float,
) -> tuple[Array, NDArray[np.int16]]:
    theta, phi = raw.theta[:, :n_exp], raw.phi[:, :n_exp]
    with np.errstate(invalid="ignore", divide="ignore"):
        slow = np.where((theta < 1 / end) & (phi > 0), phi / theta, 0.0).sum(axis=1)
        share = slow / params["VT"]
        ln_rate = np.log(theta)
        low = (ln_rate <= LN_MIN + 1e-9).any(axis=1) | (phi <= 0).any(axis=1)
        high = (ln_rate >= LN_MAX - 1e-9).any(axis=1)
        if free:
            low |= raw.vB <= 0
            high |= raw.vB >= VB_MAX
        words = {
            "at_lower": low,
            "at_upper": high,
            "no_convergence": np.isin(raw.status, (1, 2)),
            "singular": raw.status == compartment.SINGULAR,
            "extrapolated": share > EXTRAPOLATED,
        }
        if n_exp == 2:
            words["k4_small"] = (theta[:, 1] * end < K4_SMALL) & (phi[:, 1] > 0)
        if se:
            words["cv_high"] = 100 * se["VT"] > CV_HIGH * np.abs(params["VT"])
    flags = np.zeros(raw.vB.size, dtype=np.int16)
    for word, where in words.items():
        flags |= np.where(where, np.int16(bits([word])), np.int16(0))
    return share, flags
