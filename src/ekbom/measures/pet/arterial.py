"""One regional model with arterial input, called as the settings say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ekbom.measures.pet.fit import fit
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction
from ekbom.measures.pet.kinetic import KineticFit
from ekbom.measures.pet.settings import PETSettings
from ekbom.measures.pet.spectral_regional import fit_spectral

Array = NDArray[np.float64]


def fit_arterial(
    values: Array,
    frames: Frames,
    input: InputFunction,
    model: str,
    settings: PETSettings,
    weights: Array,
    *,
    tstar: float | None = None,
    names: tuple[str, ...] | None = None,
    with_se: bool = True,
) -> KineticFit:
    """Fit every region by one model.

    Parameters
    ----------
    values : (N, F) array
        kBq/mL decay-corrected to injection.
    frames : Frames
    input : InputFunction
        As tissue sees it, delay applied.
    model : str
        A model of the settings that reads blood.
    settings : PETSettings
    weights : (F,) array
    tstar : float, optional
        Minutes, for graphical models.
    names : tuple of str, optional
        N regions.
    with_se : bool
        Whether the standard errors of spectral analysis, a bootstrap, are wanted.

    Returns
    -------
    KineticFit
    """
    volume = settings.blood_volume(model)
    if model == "spectral":
        basis = settings.spectral
        slowest = basis.beta_min
        if slowest is None:
            # as in maps: rates the scan cannot tell from zero make V_T anything
            slowest = 1.0 / float(frames.end[-1])
        return fit_spectral(
            values,
            frames,
            input,
            vB=volume,
            weights=weights,
            beta_min=slowest,
            beta_max=basis.beta_max,
            nodes=basis.nodes,
            draws=basis.draws if with_se else 0,
            names=names,
            frame_mean=settings.frame_mean,
        )
    return fit(
        values,
        frames,
        input,
        model=model,
        vB=volume,
        weights=weights,
        tstar=tstar,
        names=names,
        frame_mean=settings.frame_mean,
    )
