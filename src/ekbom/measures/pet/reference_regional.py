"""Reference-region models in a scan: the reference found, t* chosen, words of warning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.kinetic import KineticFit
from ekbom.measures.pet.reference import LINEAR, fit_reference
from ekbom.measures.pet.reference_maps import map_reference
from ekbom.measures.pet.settings import REFERENCE, PETSettings
from ekbom.measures.pet.tracers import tracer
from ekbom.measures.pet.tstar import MAX_DEVIATION, MIN_FRAMES
from ekbom.measures.pet.voxels import VoxelFit
from ekbom.nouns import Note

Array = NDArray[np.float64]


def find_reference(
    labels: Sequence[str], settings: PETSettings, source: object = None
) -> int | None:
    """Return the row of the reference region.

    Parameters
    ----------
    labels : sequence of str
        Regions with their segmentation.
    settings : PETSettings
    source : path, optional
        For the message.

    Returns
    -------
    int or None
        ``None`` when no model asks for one.

    Raises
    ------
    Refused
        When it is not there, or in two segmentations.
    """
    models = (*settings.model, *settings.maps.model)
    if not any(model in REFERENCE for model in models) or settings.reference is None:
        return None
    name = settings.reference
    hits = [i for i, label in enumerate(labels) if name in (label, label.partition(":")[2])]
    if len(hits) == 1:
        return hits[0]
    raise Refused(
        "The reference region is " + ("not there." if not hits else "there more than once."),
        file=None if source is None else str(source),
        field="measures.pet.reference",
        found=name,
        expected="a region with its segmentation, such as " + ", ".join(labels[:4]),
        mend="name one of the regions, or join it from others in [measures.pet.regions]",
    )


def fit_models(
    models: Sequence[str],
    values: Array,
    labels: Sequence[str],
    row: int,
    frames: Frames,
    weights: Array,
    settings: PETSettings,
) -> tuple[dict[str, KineticFit], dict[str, float]]:
    """Fit every region by reference-region models.

    Parameters
    ----------
    models : sequence of str
        Of :data:`ekbom.measures.pet.reference.MODELS`.
    values : (N, F) array
        kBq/mL decay-corrected to injection.
    labels : sequence of str
    row : int
        The reference.
    frames : Frames
    weights : (F,) array
    settings : PETSettings

    Returns
    -------
    fits : dict of str to KineticFit
    tstar : dict of str to float
        Minutes, by model that has one.
    """
    fits: dict[str, KineticFit] = {}
    tstar: dict[str, float] = {}
    # the reference against itself has no rates to tell, and no part in k2'
    others = np.arange(len(values)) != row
    for model in models:
        start = None
        if model in LINEAR:
            start = (
                choose(model, values[others], values[row], frames, weights, settings)
                if settings.tstar == "auto"
                else float(settings.tstar)
            )
        fits[model] = fit_reference(
            values,
            values[row],
            frames,
            model=model,
            weights=weights,
            k2prime=settings.k2prime,
            tstar=start,
            window=settings.window,
            names=tuple(labels),
            frame_mean=settings.frame_mean,
        )
        if model in LINEAR:
            tstar[model] = float(fits[model].meta["tstar_min"])
    return fits, tstar


def choose(
    model: str,
    values: Array,
    reference: Array,
    frames: Frames,
    weights: Array,
    settings: PETSettings,
) -> float:
    """Choose t* as for plasma input: the earliest from which no frame is far from the line.

    Parameters
    ----------
    model : {"mrtm1", "mrtm2", "logan-ref"}
    values : (N, F) array
        Targets, kBq/mL.
    reference : (F,) array
    frames : Frames
    weights : (F,) array
    settings : PETSettings

    Returns
    -------
    float
        Minutes: median over regions of the earliest candidate.

    Raises
    ------
    Refused
        When no region is ever straight enough.
    """
    left = np.cumsum((weights > 0)[::-1])[::-1]
    starts = np.flatnonzero((left >= MIN_FRAMES) & (weights > 0))
    k2prime = settings.k2prime
    if k2prime == "auto" and model != "mrtm1" and starts.size:
        # one k2' for all candidates, from all frames
        pilot = fit_reference(
            values, reference, frames, model="srtm2", weights=weights,
            frame_mean=settings.frame_mean,
        )  # fmt: skip
        k2prime = float(pilot.meta["k2prime"])
    straight = np.zeros((len(values), starts.size), dtype=bool)
    for c, first in enumerate(starts):
        one = fit_reference(
            values, reference, frames, model=model, weights=weights, k2prime=k2prime,
            tstar=float(frames.start[first]), frame_mean=settings.frame_mean,
        )  # fmt: skip
        ratio = np.abs(one.extra["residual_ratio"][:, first:][:, weights[first:] > 0])
        straight[:, c] = (ratio <= MAX_DEVIATION).all(axis=1)
    some = straight.any(axis=1)
    if not some.any():
        raise Refused(
            "No region is straight from any frame on.",
            field="tstar",
            expected=f"residuals within {100 * MAX_DEVIATION:g} % of the line",
            mend="give tstar in minutes",
        )
    early = np.sort(frames.start[starts[np.argmax(straight[some], axis=1)]])
    return float(early[early.size // 2])


def map_model(
    curves: Array,
    reference: Array,
    frames: Frames,
    model: str,
    weights: Array,
    regions: Array,
    tstar: float | None,
    settings: PETSettings,
) -> VoxelFit:
    """Fit every voxel by a reference-region model, k2' and t* from the regions.

    Parameters
    ----------
    curves : (V, F) array
        kBq/mL.
    reference : (F,) array
    frames : Frames
    model : str
    weights : (F,) array
    regions : (N, F) array
        Curves of the regions.
    tstar : float or None
        Minutes, where a regional fit by this model has used one.
    settings : PETSettings

    Returns
    -------
    VoxelFit
    """
    k2prime = None if settings.k2prime == "auto" else float(settings.k2prime)
    if model in ("mrtm2", "logan-ref"):
        usable = regions[np.isfinite(regions).all(axis=1)]
        if k2prime is None:
            pilot = fit_reference(
                usable, reference, frames, model="srtm2", weights=weights,
                frame_mean=settings.frame_mean,
            )  # fmt: skip
            k2prime = float(pilot.meta["k2prime"])
        if tstar is None:
            tstar = (
                choose(model, usable, reference, frames, weights, settings)
                if settings.tstar == "auto"
                else float(settings.tstar)
            )
    return map_reference(
        curves,
        reference,
        frames,
        model=model,
        weights=weights,
        k2prime=k2prime,
        tstar=tstar,
        window=settings.window,
        decay_weighted=settings.frame_mean == "decay-weighted",
    )


def reference_notes(label: str, tracer_name: str | None) -> list[Note]:
    """Return what a reader must know of the reference region.

    Parameters
    ----------
    label : str
        The region.
    tracer_name : str or None
        Of the plan or the scan.

    Returns
    -------
    list of Note
        The region; the tracer file's warning when there is one.
    """
    notes = [Note("reference-region", f"reference region {label}; no blood is corrected for")]
    if not tracer_name:
        return notes
    try:
        known = tracer(tracer_name)
    except Refused:
        return notes
    if known.reference is not None and known.reference.warning:
        own = known.reference
        notes.append(
            Note(
                "reference-binding",
                f"{known.label}: {own.warning} ({own.status}; {own.source})",
            )
        )
    elif known.reference is None:
        notes.append(Note("reference-unknown", f"{known.label}: no reference region is on file"))
    return notes
