"""Kinetic models in every voxel of an image.

Logan and MA1 are the regional fit itself, called for every voxel: a map and a
regional table differ in nothing but the curve. What all voxels of a scan share
(frame means of the input and its integral, the weights of the running integral
of tissue, the spectral basis) is computed once.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from ekbom.errors import Refused
from ekbom.measures.pet._threads import share_rows
from ekbom.measures.pet.convolve import make_grid, running_input
from ekbom.measures.pet.fit import first_frame
from ekbom.measures.pet.flags import CV_HIGH, bits
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.graphical import fit_one, tissue_integral
from ekbom.measures.pet.input import InputFunction
from ekbom.measures.pet.spectral import spectral, spectral_basis
from ekbom.measures.pet.voxels import VoxelFit, checked, with_signal

Array = NDArray[np.float64]

#: Models that can be fitted to every voxel.
MODELS = ("logan", "ma1", "spectral")
_CODES = {"logan": 0, "ma1": 1}


def map_voxels(
    curves: ArrayLike,
    frames: Frames,
    input: InputFunction,
    *,
    model: str,
    weights: ArrayLike,
    vB: float | Literal["free"] | None = None,
    tstar: float | None = None,
    beta_min: float | None = None,
    beta_max: float = 6.0,
    nodes: int = 100,
    draws: int = 0,
    seed: int = 0,
    decay_weighted: bool = True,
) -> VoxelFit:
    """Fit a model to every voxel.

    Parameters
    ----------
    curves : (V, F) array
        Decay-corrected frame means, kBq/mL.
    frames : Frames
        F frames.
    input : InputFunction
        As tissue sees it, delay applied.
    model : {"logan", "ma1", "spectral"}
        Which.
    weights : (F,) array
        Of squared residuals, the same for all voxels; from the curve of a
        large region, not from the voxel's own noise.
    vB : float or "free", optional
        Blood volume: 0 by default for Logan and MA1, which cannot fit it, and
        free for spectral analysis.
    tstar : float, optional
        Logan and MA1 use frames that begin at this many minutes or later.
    beta_min, beta_max, nodes, draws, seed
        Of :func:`ekbom.measures.pet.spectral.spectral_basis` and ``spectral``.
    decay_weighted : bool
        How a frame averages, see :mod:`ekbom.measures.pet.convolve`.

    Returns
    -------
    VoxelFit
        VT (and K1, vB, IRF60 ... by spectral analysis), standard errors, flags.

    Raises
    ------
    Refused
        Unknown model, no t*, fewer than three frames after it, shapes that do
        not fit.
    """
    if model == "spectral":
        base = spectral_basis(
            frames,
            input,
            beta_min=beta_min,
            beta_max=beta_max,
            nodes=nodes,
            decay_weighted=decay_weighted,
        )
        volume = "free" if vB is None else vB
        return spectral(curves, base, weights, vB=volume, draws=draws, seed=seed)
    if model not in _CODES:
        raise Refused(
            "No voxel can be fitted with this model.",
            field="model",
            found=model,
            expected=", ".join(MODELS),
        )
    y, w = checked(curves, weights, frames.n)
    volume = 0.0 if vB is None else vB
    if volume == "free" or not 0 <= volume < 1:
        raise Refused(
            "Logan and MA1 need a known blood volume.",
            field="vB",
            found=vB,
            expected="a share from 0 to below 1",
        )
    first = _first(frames, tstar, w)
    grid = make_grid(frames, input, decay_weighted=decay_weighted)
    operator = tissue_integral(frames, decay_weighted=decay_weighted)
    VT, se, rss = (np.full(y.shape[0], np.nan) for _ in range(3))
    good = with_signal(y)
    plasma = running_input(grid)

    def work(rows: NDArray[np.int64]) -> None:
        _fit(
            rows, _CODES[model], y, volume, grid.whole_blood_mean, operator.lead, operator.inner,
            operator.whole, plasma, grid.plasma_mean, w, first, VT, se, rss,
        )  # fmt: skip

    share_rows(np.flatnonzero(good), work)
    return VoxelFit(
        model,
        {"VT": VT},
        {"VT": se},
        {"VT": "mL/cm3"},
        rss,
        _flags(VT, se, good),
        {
            "tstar_min": float(frames.start[first]),
            "Frames": int((w[first:] > 0).sum()),
            "vB": volume,
            "NoSignalVoxels": int((~good).sum()),
        },
    )


def _first(frames: Frames, tstar: float | None, w: Array) -> int:
    if tstar is None:
        raise Refused(
            "Logan and MA1 need a t*.",
            field="tstar",
            found="nothing",
            expected="minutes from injection",
        )
    first = first_frame(frames, float(tstar))
    left = int((w[first:] > 0).sum())
    if left < 3:
        raise Refused(
            "Too few frames begin after t*.",
            field="tstar",
            found=f"{left} from {tstar:g} min on; the last frame begins at {frames.start[-1]:g}",
            expected="three or more",
            mend="choose an earlier t*",
        )
    return first


def _flags(VT: Array, se: Array, good: NDArray[np.bool_]) -> NDArray[np.int16]:
    flags = np.where(good, 0, bits(["no_data"])).astype(np.int16)
    fitted = good & np.isfinite(VT)
    flags[good & ~fitted] |= bits(["singular"])
    flags[fitted & (VT < 0)] |= bits(["negative_value"])
    high = np.zeros_like(good)
    high[fitted] = 100 * se[fitted] > CV_HIGH * np.abs(VT[fitted])
    flags[high] |= bits(["cv_high"])
    return flags


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _fit(
    rows: Any, code: Any, curves: Any, vB: Any, blood: Any, lead: Any, inner: Any, whole: Any,
    plasma: Any, plasma_mean: Any, w: Any, first: Any, VT: Any, se: Any, rss: Any,
) -> None:  # fmt: skip
    F = curves.shape[1]
    tissue = np.empty(F)
    u, v, y = np.zeros(F), np.zeros(F), np.zeros(F)
    for row in range(rows.size):
        n = rows[row]
        usable = True
        for f in range(F):
            tissue[f] = (curves[n, f] - vB * blood[f]) / (1.0 - vB)
            # Logan divides by tissue; a frame of nothing has no place on its axes.
            if code == 0 and f >= first and tissue[f] == 0.0:
                usable = False
        if usable:
            VT[n], _, se[n], rss[n], _, _ = fit_one(
                code, tissue, lead, inner, whole, plasma, plasma_mean, w, first, u, v, y
            )
