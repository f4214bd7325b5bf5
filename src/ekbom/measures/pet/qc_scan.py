"""All quality-control figures of one scan, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ekbom.measures.pet import qc
from ekbom.measures.pet.qc_blood import blood_figure, ratio_figure
from ekbom.measures.pet.qc_models import spectrum_figure, tstar_figure
from ekbom.measures.pet.residuals import residuals
from ekbom.nouns import Figure

if TYPE_CHECKING:
    from ekbom.measures.pet.frames import Frames
    from ekbom.measures.pet.input_fit import InputFit
    from ekbom.measures.pet.regional import Regional
    from ekbom.measures.pet.settings import PETSettings

Array = NDArray[np.float64]


def scan_figures(
    names: Sequence[str],
    values: Array,
    rows: Sequence[int],
    regional: Regional,
    fitted: InputFit | None,
    frames: Frames,
    settings: PETSettings,
    weights: str,
    *,
    prefix: str = "desc-",
) -> list[Figure]:
    """Draw blood, plasma over blood, delay, t*, fits, residuals and spectra.

    Parameters
    ----------
    names : sequence of str
        N regions, as they are to be called.
    values : (N, F) array
        kBq/mL.
    rows : sequence of int
        Regions that are drawn one by one.
    regional : Regional
        Fits of all N.
    fitted : InputFit or None
    frames : Frames
    settings : PETSettings
    weights : str
        Kind of weights, for the captions.
    prefix : str
        Before the name of every figure.

    Returns
    -------
    list of Figure
        Those that the scan has something to show for.
    """
    words = qc.settings_words(regional, settings, weights)
    index = list(rows)
    shown = [names[i] for i in index]
    drawn = [
        qc.Drawn(model, fit.fitted[index])
        for model, fit in regional.fits.items()
        if model not in ("suvr", "suv")
    ]
    figures: list[Figure] = []
    if fitted is not None:
        figures.append(blood_figure(fitted, name=f"{prefix}blood"))
        ratio = ratio_figure(fitted, name=f"{prefix}ratio")
        figures += [] if ratio is None else [ratio]
    figures.append(
        qc.fits_figure(
            frames.mid, frames.start, frames.end, shown, values[index], drawn,
            name=f"{prefix}fits", words=words,
        )
    )  # fmt: skip
    missed = residuals(values, regional, frames)
    if missed:
        figures.append(
            qc.residuals_figure(frames.mid, missed, name=f"{prefix}residuals", words=words)
        )
    if regional.delay is not None:
        figures.append(qc.delay_figure(regional.delay, name=f"{prefix}delay"))
    if regional.straight:
        figures.append(
            tstar_figure(regional.straight, regional.tstar, name=f"{prefix}tstar", words=words)
        )
    spectral = regional.fits.get("spectral")
    if spectral is not None:
        figures.append(
            spectrum_figure(
                shown,
                spectral.extra["beta"],
                spectral.extra["alpha"][index],
                spectral.params["VT"][index],
                float(frames.end[-1]),
                name=f"{prefix}spectrum",
                words=words,
            )
        )
    return figures
