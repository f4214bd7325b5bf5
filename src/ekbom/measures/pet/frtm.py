"""Full reference tissue model: two tissues in the target, one in the reference.

``C_T = R1 [C_R + a C_R (x) exp(-c t) + b C_R (x) exp(-d t)]`` with
``s = k2 + k3 + k4``, ``p = sqrt(s^2 - 4 k2 k4)``, ``c, d = (s +- p)/2``,
``r = k2/R1``, ``a = (k3 + k4 - c)(c - r)/p``, ``b = (d - k3 - k4)(d - r)/p``
(Lammertsma et al. 1996, doi:10.1097/00004647-199601000-00005). Four parameters
of one curve and an unmeasured input: often not identifiable, which the
standard errors and flags say.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from ekbom.measures.pet.convolve import Grid, basis

Array = NDArray[np.float64]

#: Parameters, all positive; searched in their logarithms.
PARAMETERS = ("R1", "k2", "k3", "k4")
#: Bounds of the parameters.
LOWER = np.array([0.05, 1e-3, 1e-5, 1e-4])
UPPER = np.array([20.0, 10.0, 10.0, 10.0])

# k3 and k4 of the starts; R1 and k2 come from SRTM.
# Below this share of the data's sum of squares a residual is rounding and lift.
_EXACT = 1e-7
_STARTS = tuple(product((0.02, 0.2, 1.0), (0.02, 0.1, 0.5)))


def curve(ln: Array, grid: Grid) -> Array:
    """Return frame means of the target.

    Parameters
    ----------
    ln : (4,) array
        Logarithms of :data:`PARAMETERS`.
    grid : Grid
        With the reference as input.

    Returns
    -------
    (F,) array
        kBq/mL.
    """
    R1, k2, k3, k4 = np.exp(ln)
    total = k2 + k3 + k4
    p = np.sqrt(max(total**2 - 4 * k2 * k4, 0.0))
    c = (total + p) / 2
    d = k2 * k4 / c  # not (total - p)/2: that cancels when k4 is small
    r = k2 / R1
    gap = max(c - d, 1e-9 * c)
    a, b = (k3 + k4 - c) * (c - r) / gap, (d - k3 - k4) * (d - r) / gap
    fast, slow = basis(np.array([d + gap, d]), grid)[0]
    return np.asarray(R1 * (grid.plasma_mean + a * fast + b * slow))


def fit_curve(
    y: Array, grid: Grid, root: Array, R1: float, k2: float
) -> tuple[Array, Array, float, bool, Array]:
    """Fit one curve from several starts.

    Parameters
    ----------
    y : (F,) array
        kBq/mL.
    grid : Grid
        With the reference as input.
    root : (F,) array
        Square roots of the weights.
    R1, k2 : float
        Of SRTM, for the starts.

    Returns
    -------
    ln : (4,) array
        Logarithms of :data:`PARAMETERS`.
    cov : (4, 4) array
        Of ``ln``; NaN when the parameters cannot be told apart.
    rss : float
    converged : bool
    fitted : (F,) array
        kBq/mL.
    """
    low, high = np.log(LOWER), np.log(UPPER)

    def misfit(ln: Array) -> Array:
        return np.asarray((curve(ln, grid) - y) * root)

    base = np.array([R1 if R1 > 0 else 1.0, k2 if k2 > 0 else 0.1])
    starts: list[Array] = [
        np.clip(np.log(np.array([base[0], base[1] * more, k3, k4])), low + 1e-6, high - 1e-6)
        for more, (k3, k4) in product((1.0, 2.0), _STARTS)
    ]
    order = np.argsort([float(np.sum(misfit(x) ** 2)) for x in starts], kind="stable")

    def search(x: Array) -> Any:
        return least_squares(
            misfit, x, bounds=(low, high), xtol=1e-12, ftol=1e-13, gtol=1e-13, max_nfev=300
        )

    best = min((search(starts[i]) for i in order[:3]), key=lambda one: float(one.cost))
    R1, k2, k3, k4 = np.exp(best.x)
    used = int((root > 0).sum())
    if k2 / R1 > k3 + k4:
        # with R1 near 1 efflux from the reference and exchange in the target can change
        # places without a trace in the data: then exchange is taken to be the faster
        slow = k2 * k4 / (R1 * (k3 + k4))
        twin = np.array([R1, R1 * (k3 + k4), max(k2 / R1 - slow, LOWER[2]), slow])
        other = search(np.clip(np.log(twin), low + 1e-6, high - 1e-6))
        limit = best.cost * (1 + 1 / max(used - 4, 1)) + _EXACT * float(np.sum((root * y) ** 2))
        if other.cost <= limit:
            best = other
    rss = 2 * float(best.cost)
    J = np.asarray(best.jac)
    scale = np.sqrt((J**2).sum(axis=0))
    cov = np.full((4, 4), np.nan)
    if used > 4 and (scale > 0).all():
        _, s, v = np.linalg.svd(J / scale, full_matrices=False)
        if s[-1] > 1e-7 * s[0]:
            half = v.T / s
            cov = rss / (used - 4) * (half @ half.T) / np.outer(scale, scale)
    return best.x, cov, rss, bool(best.status > 0), curve(best.x, grid)
