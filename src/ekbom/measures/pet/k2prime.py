"""One efflux rate of the reference, k2', from fits that had one each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ekbom.errors import Refused

if TYPE_CHECKING:
    from ekbom.measures.pet.kinetic import KineticFit

#: BP_ND above which a curve takes part.
BINDING = 0.5


def weighted_median(values: ArrayLike, weights: ArrayLike) -> float:
    """Return the value that has half of the weight on either side.

    Parameters
    ----------
    values, weights : (N,) arrays

    Returns
    -------
    float

    Examples
    --------
    >>> weighted_median([1.0, 2.0, 9.0], [1.0, 1.0, 5.0])
    9.0
    """
    v, w = np.asarray(values, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    order = np.argsort(v, kind="stable")
    total = np.cumsum(w[order])
    return float(v[order][int(np.searchsorted(total, total[-1] / 2))])


def k2prime_of(fit: KineticFit) -> float:
    """Return one k2' for all curves from a fit that had one each.

    Parameters
    ----------
    fit : KineticFit
        By SRTM or MRTM1.

    Returns
    -------
    float
        1/min: weighted median over curves with BP_ND > 0.5 and a standard error.

    Raises
    ------
    Refused
        When there is no such curve.
    """
    value, error = fit.params["k2prime"], fit.se["k2prime"]
    with np.errstate(invalid="ignore", divide="ignore"):
        good = (fit.params["BPND"] > BINDING) & (value > 0) & np.isfinite(value) & (error >= 0)
        precise = np.where(error > 0, 1 / np.maximum(error, 1e-12) ** 2, 1e24)
    if not good.any():
        raise Refused(
            "No region binds enough to tell k2' from.",
            field="k2prime",
            found=f"largest BP_ND {np.nanmax(fit.params['BPND']):.3g}"
            if np.isfinite(fit.params["BPND"]).any()
            else "no fit",
            expected=f"a region with BP_ND above {BINDING:g}",
            mend="give k2prime in 1/min",
        )
    return weighted_median(value[good], precise[good])
