"""From rates and amplitudes to V_T, K1 ... with their standard errors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ekbom.measures.pet.compartment import Exponentials

Array = NDArray[np.float64]


def outcomes(
    model: str, fit: Exponentials, *, with_se: bool = True
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the parameters of a model and their standard errors.

    Parameters
    ----------
    model : str
        Of :data:`ekbom.measures.pet.compartment.MODELS`.
    fit : Exponentials
    with_se : bool
        Without, ``se`` is empty.

    Returns
    -------
    params, se : dict of str to (N,) array
        Delta method on the full covariance of rates, amplitudes and vB:
        V_T = phi1/theta1 + phi2/theta2, K1 = phi1 + phi2, k2 = (phi1 theta1 +
        phi2 theta2)/K1, k4 = theta1 theta2/k2, k3 = theta1 + theta2 - k2 - k4,
        BP_ND = k3/k4, V_ND = K1/k2.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        params, slopes = _OUTCOMES[model](fit)
        se: dict[str, Array] = {}
        if not with_se:
            return params, se
        # parameters first, so that every product is one of whole columns
        cov = np.ascontiguousarray(np.moveaxis(fit.cov, 0, -1))
        absent = np.isnan(cov[2, 2]), np.isnan(cov[3, 3]), np.isnan(cov[4, 4])
        np.nan_to_num(cov, copy=False)
        for name, slope in slopes.items():
            use = [i for i in range(5) if slope[i] is not None]
            variance = np.zeros_like(fit.vB)
            for at, i in enumerate(use):
                variance += slope[i] ** 2 * cov[i, i]
                for j in use[at + 1 :]:
                    variance += 2.0 * slope[i] * slope[j] * cov[i, j]
            unknown = absent[0]
            if name in _OF_SECOND[model]:
                unknown = unknown | absent[1]
            if name == "vB":
                unknown = unknown | absent[2]
            se[name] = np.where(unknown, np.nan, np.sqrt(variance))
    return params, se


_Slopes = dict[str, list[Any]]


def _one_tissue(fit: Exponentials) -> tuple[dict[str, Array], _Slopes]:
    k2, K1 = fit.theta[:, 0], fit.phi[:, 0]
    params = {"VT": K1 / k2, "K1": K1, "k2": k2, "vB": fit.vB}
    slopes: _Slopes = {
        "VT": [-K1 / k2**2, None, 1 / k2, None, None],
        "K1": [None, None, 1.0, None, None],
        "k2": [1.0, None, None, None, None],
        "vB": [None, None, None, None, 1.0],
    }
    return params, slopes


def _two_tissue(fit: Exponentials) -> tuple[dict[str, Array], _Slopes]:
    t1, t2 = fit.theta.T
    p1, p2 = fit.phi.T
    one, none = np.ones_like(t1), np.zeros_like(t1)
    K1 = p1 + p2
    dK1 = np.stack((none, none, one, one))
    k2 = (p1 * t1 + p2 * t2) / K1
    dk2 = (np.stack((p1, p2, t1, t2)) - k2 * dK1) / K1
    # without a second amplitude its rate is nowhere
    k4 = np.where(p2 > 0, t1 * t2 / k2, np.nan)
    dk4 = (np.stack((t2, t1, none, none)) - k4 * dk2) / k2
    # the difference t1 + t2 - k2 - k4, without its cancellation
    k3 = np.where(p2 > 0, (t1 - k2) * (k2 - t2) / k2, 0.0)
    dk3 = np.stack((one, one, none, none)) - dk2 - dk4
    BPND = np.where(p2 > 0, k3 / k4, 0.0)
    VND = K1 / k2
    gradients = {
        "VT": np.stack((-p1 / t1**2, -p2 / t2**2, 1 / t1, 1 / t2)),
        "K1": dK1,
        "k2": dk2,
        "k3": dk3,
        "k4": dk4,
        "BPND": (dk3 - BPND * dk4) / k4,
        "VND": (dK1 - VND * dk2) / k2,
    }
    params = {
        "VT": p1 / t1 + p2 / t2,
        "K1": K1,
        "k2": k2,
        "k3": k3,
        "k4": k4,
        "BPND": BPND,
        "VND": VND,
        "vB": fit.vB,
    }
    slopes: _Slopes = {name: [*g, None] for name, g in gradients.items()}
    slopes["vB"] = [None, None, None, None, 1.0]
    return params, slopes


def _irreversible(fit: Exponentials) -> tuple[dict[str, Array], _Slopes]:
    t1 = fit.theta[:, 0]
    p1, Ki = fit.phi.T
    K1 = p1 + Ki
    share = p1 / K1
    dshare = (Ki / K1**2, -p1 / K1**2)
    params = {
        "Ki": Ki,
        "K1": K1,
        "k2": t1 * share,
        "k3": t1 * (1 - share),
        "vB": fit.vB,
    }
    slopes: _Slopes = {
        "Ki": [None, None, None, 1.0, None],
        "K1": [None, None, 1.0, 1.0, None],
        "k2": [share, None, t1 * dshare[0], t1 * dshare[1], None],
        "k3": [1 - share, None, -t1 * dshare[0], -t1 * dshare[1], None],
        "vB": [None, None, None, None, 1.0],
    }
    return params, slopes


# What is not known when the second exponential has no amplitude; the rest is
# then that of the first alone.
_OF_SECOND: dict[str, tuple[str, ...]] = {
    "1tcm": (),
    "2tcm": ("k3", "k4", "BPND"),
    "2tcm-irreversible": ("Ki", "k3"),
}
_OUTCOMES = {"1tcm": _one_tissue, "2tcm": _two_tissue, "2tcm-irreversible": _irreversible}
