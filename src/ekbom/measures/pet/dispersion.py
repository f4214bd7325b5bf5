"""Dispersion: what the tubing of an automatic sampler does to the blood curve, and back.

The tube is one well-mixed compartment: ``g = C (x) (1/tau) exp(-t/tau)``, so
``C = g + tau dg/dt`` (Iida et al. 1986, J Cereb Blood Flow Metab 6:536). The
derivative is that of a smoothing spline on the samples' own times; nothing
assumes even sampling.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_smoothing_spline

from ekbom.errors import Refused

Array = NDArray[np.float64]

_MIN_SAMPLES = 10


def disperse(t: Array, values: Array, tau: float) -> Array:
    """Return what a sampler records of a curve of straight lines.

    Parameters
    ----------
    t : (N,) array
        min, increasing; the curve and the record are zero before ``t[0]``.
    values : (N,) array
        kBq/mL at the catheter.
    tau : float
        Time constant of the tube, min.

    Returns
    -------
    (N,) array
        kBq/mL at the detector, exact.
    """
    seen = np.empty_like(values, dtype=np.float64)
    seen[0] = 0.0
    for i, step in enumerate(np.diff(t)):
        slope = (values[i + 1] - values[i]) / step
        # on a straight line the record runs tau behind it; the rest dies away
        behind = seen[i] - (values[i] - slope * tau)
        seen[i + 1] = values[i + 1] - slope * tau + behind * np.exp(-step / tau)
    return seen


def undisperse(t: Array, seen: Array, tau: float) -> Array:
    """Return the curve at the catheter from that at the detector.

    Parameters
    ----------
    t : (N,) array
        min, increasing, ten or more.
    seen : (N,) array
        kBq/mL.
    tau : float
        Time constant of the tube, min.

    Returns
    -------
    (N,) array
        kBq/mL. The smoothing of the spline is chosen by generalised
        cross-validation, so that noise is not multiplied by the derivative.

    Raises
    ------
    Refused
        With fewer than ten samples.
    """
    if t.size < _MIN_SAMPLES:
        raise Refused(
            "Too few samples for a correction of dispersion.",
            field="dispersion",
            found=f"{t.size} samples",
            expected=f"{_MIN_SAMPLES} or more of an automatic sampler",
            mend="leave dispersion out for manual samples",
        )
    spline = make_smoothing_spline(t, seen)
    return np.asarray(spline(t) + tau * spline(t, 1))
