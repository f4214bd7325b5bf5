"""Tissue curves of a scan: by the simulator's own physics, or, on request, by the analysis'."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ekbom.virtual.blood import Arterial
from ekbom.virtual.kinetics import Rates, frame_means, time_grid
from ekbom.virtual.scanner import Timing

Array = NDArray[np.float64]


def tissue_curves(
    rates: Rates, blood: Arterial, timing: Timing, vB: float, *, shared: bool = False
) -> Array:
    """Return noise-free frame means of tissues with their blood.

    Parameters
    ----------
    rates : Rates
        R tissues.
    blood : Arterial
        True curves.
    timing : Timing
        F frames.
    vB : float
        Share of blood.
    shared : bool
        By the closed forms of :mod:`ekbom.measures.pet.simulate` in place of the matrix
        exponential: a mistake common to simulation and analysis then cannot show.

    Returns
    -------
    (R, F) array
        kBq/mL, decay-corrected.
    """
    t = time_grid(float(timing.end[-1]))
    if not shared:
        return frame_means(rates, *blood.courses(t), timing.start, timing.end, timing.decay, vB)
    from ekbom.measures.pet.frames import Frames
    from ekbom.measures.pet.input import InputFunction
    from ekbom.measures.pet.simulate import forward

    # every half second while the bolus passes, every five afterwards
    knots = np.unique(np.concatenate([t[t <= 10.0], t[::10], t[-1:]]))
    given = InputFunction(
        t=knots, plasma_parent=blood.parent(knots), whole_blood=blood.whole_blood(knots),
        provenance={"all": "simulated"}, covers=(0.0, float(t[-1])),
    )  # fmt: skip
    frames = Frames(timing.start, timing.end, float(np.log(2.0) / timing.decay))
    params = {"K1": rates.K1, "k2": rates.k2, "k3": rates.k3, "k4": rates.k4}
    return forward("2tcm", params, given, frames, vB=vB)
