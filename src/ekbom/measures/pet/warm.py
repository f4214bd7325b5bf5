"""Compile the kernels of this room, so that no scan has to wait for them."""

from __future__ import annotations

import numpy as np

from ekbom.measures.pet.compartment_maps import map_compartments
from ekbom.measures.pet.fit import fit
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction
from ekbom.measures.pet.parametric import MODELS, map_voxels
from ekbom.measures.pet.reference import fit_reference
from ekbom.measures.pet.reference_maps import map_reference


def warm() -> None:
    """Run every model once on a small made-up scan."""
    frames = Frames.of_runs([(6, 10), (4, 60), (6, 300), (5, 600)], 20.364)
    t = np.linspace(0, frames.end[-1], 60)
    plasma = 50 * t * np.exp(-t) + 2 * np.exp(-0.01 * t)
    input = InputFunction(t, plasma, plasma)
    curves = np.outer([1.0, 0.8], frames.mid * np.exp(-0.02 * frames.mid))
    for model in ("1tcm", "2tcm", "logan", "ma1"):
        graphical = model in MODELS
        fit(
            curves,
            frames,
            input,
            model=model,
            vB=0.05 if graphical else "free",
            weights="duration",
            tstar=10.0 if graphical else None,
        )
    for model in ("srtm", "mrtm2"):
        fit_reference(curves, 0.5 * curves[0], frames, model=model, weights="duration", k2prime=0.2)
        map_reference(
            curves, curves[1], frames, model=model, weights=np.ones(frames.n), k2prime=0.2
        )
    for model in ("1tcm", "2tcm"):
        map_compartments(curves, frames, input, model=model, weights=np.ones(frames.n))
    for model in MODELS:
        map_voxels(curves, frames, input, model=model, weights=np.ones(frames.n), tstar=10.0)
