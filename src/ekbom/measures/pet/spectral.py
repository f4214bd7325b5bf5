"""Spectral analysis: tissue as a sum of many exponentials with coefficients >= 0.

    C_PET = vB C_WB + (1 - vB) sum_j alpha_j (C_P (x) exp(-beta_j t))

The rates beta_j lie on a logarithmic grid; alpha_j and vB are found by weighted
non-negative least squares on exact frame means. Data are decay-corrected, so
beta = 0 is no washout at all.

With noise a slow rate is only seen through the part of the scan that is there:
V_T then rests on what lies beyond its end. How much it does is an outcome of
its own (``extrapolated``).

References
----------
Cunningham VJ, Jones T (1993). Spectral analysis of dynamic PET studies. J Cereb
Blood Flow Metab 13:15-23. doi:10.1038/jcbfm.1993.5
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ekbom.errors import Refused
from ekbom.measures.pet.convolve import basis, make_grid
from ekbom.measures.pet.flags import EXTRAPOLATED, bits
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction
from ekbom.measures.pet.nnls import NNLS, nnls
from ekbom.measures.pet.voxels import VoxelFit, checked, with_signal

Array = NDArray[np.float64]

UNITS = {
    "VT": "mL/cm3",
    "K1": "mL/cm3/min",
    "vB": "1",
    "IRF60": "mL/cm3/min",
    "extrapolated": "1",
    "components": "1",
}


@dataclass(frozen=True, eq=False)
class SpectralBasis:
    """What all voxels of a scan share.

    Parameters
    ----------
    beta : (M,) array
        Rates, ascending, 1/min.
    columns : (F, M) array
        Frame means of the convolved exponentials, kBq/mL min.
    blood : (F,) array
        Frame means of whole blood, kBq/mL.
    end : float
        End of the scan, min.
    """

    beta: Array
    columns: Array
    blood: Array
    end: float


#: Parameters that have a bootstrap standard error.
_BOOTSTRAPPED = ("VT", "K1", "IRF60")

#: Voxels solved at once.
_BLOCK = 32768


def spectral_basis(
    frames: Frames,
    input: InputFunction,
    *,
    beta_min: float | None = None,
    beta_max: float = 6.0,
    nodes: int = 100,
    decay_weighted: bool = True,
) -> SpectralBasis:
    """Compute the basis of a scan.

    Parameters
    ----------
    frames : Frames
        F frames.
    input : InputFunction
        As tissue sees it, delay applied.
    beta_min, beta_max : float
        Slowest and fastest rate, 1/min; the slowest is 0.1 / end of the scan
        by default.
    nodes : int
        Number of rates M, evenly spaced in their logarithm.
    decay_weighted : bool
        Frame means as a scanner that corrects whole frames for decay reports
        them, or plain means.

    Returns
    -------
    SpectralBasis
        Columns for :func:`spectral`.

    Raises
    ------
    Refused
        When the rates are not 0 < beta_min < beta_max.
    """
    end = float(frames.end[-1])
    low = 0.1 / end if beta_min is None else float(beta_min)
    if not 0 < low < beta_max or nodes < 2:
        raise Refused(
            "The rates of the spectral analysis do not make a range.",
            field="beta_min, beta_max",
            found=f"{low:g} to {beta_max:g} 1/min, {nodes} nodes",
            expected="0 < beta_min < beta_max and two or more nodes",
        )
    grid = make_grid(frames, input, decay_weighted=decay_weighted)
    beta = np.geomspace(low, beta_max, nodes)
    return SpectralBasis(beta, basis(beta, grid)[0].T.copy(), grid.whole_blood_mean, end)


def spectral(
    curves: ArrayLike,
    base: SpectralBasis,
    weights: ArrayLike,
    *,
    vB: float | Literal["free"] = "free",
    draws: int = 0,
    seed: int = 0,
) -> VoxelFit:
    """Fit the spectrum of every voxel.

    Parameters
    ----------
    curves : (V, F) array
        Decay-corrected frame means, kBq/mL.
    base : SpectralBasis
        Of the scan.
    weights : (F,) array
        Of squared residuals; the same for all voxels.
    vB : float or "free"
        Blood volume share, fitted as a further column when free.
    draws : int
        Residual-bootstrap draws for standard errors, 0 or two and more; each
        costs as much as the fit.
    seed : int
        Of the bootstrap.

    Returns
    -------
    VoxelFit
        VT, K1 (fastest rate left out, it is like blood), vB, IRF60 (impulse
        response at 60 min), extrapolated (share of V_T from rates slower than
        1 / end of the scan), components (after joining neighbouring nodes).

    Raises
    ------
    Refused
        Shapes that do not fit, or a vB outside 0 to 1.
    """
    y, w = checked(curves, weights, base.blood.size)
    if draws == 1 or draws < 0:
        raise Refused("A bootstrap needs two draws or more.", field="draws", found=draws)
    free = vB == "free"
    if not free and not 0 <= float(vB) < 1:
        raise Refused("The blood volume must be a share.", field="vB", found=vB, expected="0 to 1")
    good = np.flatnonzero(with_signal(y))
    design = base.columns if not free else np.column_stack([base.columns, base.blood])
    design = design * np.sqrt(w)[:, None]
    names = (*UNITS, *(f"{name}_se" for name in _BOOTSTRAPPED if draws))
    out = {name: np.full(y.shape[0], np.nan) for name in names}
    rss = np.full(y.shape[0], np.nan)
    flags = np.full(y.shape[0], bits(["no_data"]), dtype=np.int16)
    worst = 0.0
    # In blocks, so that the spectra of a whole image are never held at once.
    for start in range(0, good.size, _BLOCK):
        rows = good[start : start + _BLOCK]
        weighted = y[rows] if free else y[rows] - float(vB) * base.blood
        weighted = weighted * np.sqrt(w)
        found = nnls(design, weighted, _functions(base, free))
        params, flags[rows] = _outcomes(found, base, None if free else float(vB))
        if draws:
            fixed = None if free else float(vB)
            params |= _bootstrap(found, design, weighted, base, fixed, draws, seed)
        for name, values in params.items():
            out[name][rows] = values
        rss[rows] = found.rss
        worst = max(worst, float(found.violation.max()))
    return VoxelFit(
        "spectral",
        {name: out[name] for name in UNITS},
        {name: out[f"{name}_se"] for name in _BOOTSTRAPPED if draws},
        UNITS,
        rss,
        flags,
        {
            "BetaRange": [float(base.beta[0]), float(base.beta[-1])],
            "BetaNodes": int(base.beta.size),
            "vB": vB if free else float(vB),
            "NoSignalVoxels": int(y.shape[0] - good.size),
            "LargestOptimalityViolation": worst,
            "BootstrapDraws": draws,
        },
    )


def spectrum(
    curve: ArrayLike,
    base: SpectralBasis,
    weights: ArrayLike,
    *,
    vB: float | Literal["free"] = "free",
) -> tuple[Array, float]:
    """Return the whole spectrum of one curve.

    Parameters
    ----------
    curve : (F,) array
        kBq/mL.
    base : SpectralBasis
        Of the scan.
    weights : (F,) array
        Of squared residuals.
    vB : float or "free"
        Blood volume share.

    Returns
    -------
    alpha : (M,) array
        Coefficients, mL/cm3/min, by rate.
    vB : float
        Blood volume share.
    """
    y, w = checked(np.asarray(curve, dtype=np.float64)[None], weights, base.blood.size)
    root = np.sqrt(w)
    design = base.columns * root[:, None]
    if vB == "free":
        design = np.column_stack([design, base.blood * root])
    else:
        y = y - float(vB) * base.blood
    found = nnls(design, y * root)
    x = np.zeros(design.shape[1])
    inside = found.passive[0] >= 0
    x[found.passive[0][inside]] = found.coefficients[0][inside]
    volume = float(x[-1]) if vB == "free" else float(vB)
    return x[: base.beta.size] / (1.0 - volume), volume


def _functions(base: SpectralBasis, free: bool) -> Array:
    """Rows: sum, sum without the fastest, V_T, IRF at 60 min, slow part of V_T, blood."""
    m = base.beta.size
    rows = np.zeros((5, m + free))
    rows[0, : m - 1] = 1.0
    rows[1, :m] = 1.0 / base.beta
    rows[2, :m] = np.exp(-60.0 * base.beta)
    rows[3, :m] = np.where(base.beta < 1.0 / base.end, 1.0 / base.beta, 0.0)
    if free:
        rows[4, m] = 1.0
    return rows


def _outcomes(
    found: NNLS, base: SpectralBasis, fixed: float | None
) -> tuple[dict[str, Array], NDArray[np.int16]]:
    K1, VT, irf, slow, blood = found.linear.T
    volume = blood if fixed is None else np.full_like(blood, fixed)
    tissue = np.where(volume < 1.0, 1.0 - volume, np.nan)
    last = base.beta.size - 1
    passive = np.where(found.passive > last, -1, found.passive)
    there = passive >= 0
    # Neighbouring nodes are one component that lies between them.
    before = np.concatenate(
        [np.full((len(passive), 1), -9, dtype=np.int16), passive[:, :-1]], axis=1
    )
    components = (there & (passive != before + 1)).sum(axis=1)
    share = np.divide(slow, VT, out=np.zeros_like(VT), where=VT > 0)
    bad = ~found.converged
    params = {
        "VT": np.where(bad, np.nan, VT / tissue),
        "K1": np.where(bad, np.nan, K1 / tissue),
        "vB": np.where(bad, np.nan, volume),
        "IRF60": np.where(bad, np.nan, irf / tissue),
        "extrapolated": np.where(bad, np.nan, share),
        "components": np.where(bad, np.nan, components.astype(np.float64)),
    }
    flags = np.zeros(VT.size, dtype=np.int16)
    for word, where in (
        ("no_convergence", bad),
        ("slow_at_edge", (passive == 0).any(axis=1)),
        ("fast_at_edge", (passive == last).any(axis=1)),
        ("extrapolated", share > EXTRAPOLATED),
        ("singular", ~np.isfinite(tissue)),
    ):
        flags |= np.where(where, np.int16(bits([word])), np.int16(0))
    return params, flags


def _bootstrap(
    found: NNLS,
    design: Array,
    weighted: Array,
    base: SpectralBasis,
    fixed: float | None,
    draws: int,
    seed: int,
) -> dict[str, Array]:
    """Standard deviation over fits to fitted values plus resampled weighted residuals."""
    functions = _functions(base, fixed is None)
    used = np.flatnonzero(design.any(axis=1))
    fitted = np.zeros(weighted.shape)
    for k in range(found.passive.shape[1]):
        column = found.passive[:, k]
        if (column < 0).all():
            break
        fitted += np.where(column[:, None] >= 0, design.T[column], 0) * found.coefficients[:, [k]]
    count = (found.passive >= 0).sum(axis=1)
    spread = np.sqrt(used.size / np.maximum(used.size - count, 1))
    residual = (weighted - fitted)[:, used] * spread[:, None]
    # One resampling of frames a draw for all voxels: it depends on no voxel's
    # place in the list.
    rng = np.random.default_rng(seed)
    first: dict[str, Array] = {}
    sums = {name: np.zeros((2, len(weighted))) for name in _BOOTSTRAPPED}
    for _ in range(draws):
        again = fitted.copy()
        again[:, used] += residual[:, rng.integers(0, used.size, size=used.size)]
        drawn, _flags = _outcomes(nnls(design, again, functions), base, fixed)
        for name in _BOOTSTRAPPED:
            # Sums of differences from the first draw, so that squares do not cancel.
            apart = drawn[name] - first.setdefault(name, drawn[name])
            sums[name] += np.stack([apart, apart**2])
    return {
        f"{name}_se": np.sqrt(np.maximum((squares - total**2 / draws) / (draws - 1), 0.0))
        for name, (total, squares) in sums.items()
    }
