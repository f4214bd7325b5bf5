"""Regional curves and an input function, fitted by each model that was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.measures.pet.arterial import fit_arterial
from ekbom.measures.pet.dose import Injected
from ekbom.measures.pet.fit import first_frame
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction
from ekbom.measures.pet.input_fit import InputFit
from ekbom.measures.pet.kinetic import KineticFit
from ekbom.measures.pet.reference_regional import find_reference, fit_models
from ekbom.measures.pet.settings import GRAPHICAL, REFERENCE, PETSettings
from ekbom.measures.pet.tstar import TStar, choose_tstar
from ekbom.measures.pet.uptake import fit_suv
from ekbom.measures.pet.weights import weights as frame_weights
from ekbom.nouns import Note

if TYPE_CHECKING:
    from ekbom.measures.pet.delay import Delay

Array = NDArray[np.float64]

#: Peak tissue over peak plasma outside which the units cannot fit together.
PEAK_RATIO = (1e-3, 20.0)


@dataclass(frozen=True)
class Regional:
    """Fits of all regions by all models.

    Attributes
    ----------
    fits : mapping of str to KineticFit
        By model, in the order asked for; rows as in ``labels``.
    labels : tuple of str
        Regions with their segmentation.
    input : InputFunction or None
        As used, delay included; ``None`` without blood.
    delay_min : float
        min; 0 when not fitted or not identifiable.
    delay : Delay or None
        The fit of the delay.
    tstar : mapping of str to float
        Start of the first frame used, min, by graphical model.
    n_frames : mapping of str to int
        Frames with weight, by model.
    weights : (F,) array
    notes : tuple of Note
    reference : (F,) array or None
        Curve of the reference region, kBq/mL.
    straight : mapping of str to TStar
        What each candidate of t* would leave, by graphical model; without those for which
        nothing could be told.
    """

    fits: Mapping[str, KineticFit]
    labels: tuple[str, ...]
    input: InputFunction | None
    delay_min: float
    delay: Delay | None
    tstar: Mapping[str, float]
    n_frames: Mapping[str, int]
    weights: Array
    notes: tuple[Note, ...]
    reference: Array | None = None
    straight: Mapping[str, TStar] = field(default_factory=dict)


def fit_regions(
    values: Array,
    labels: Sequence[str],
    reference: Array,
    frames: Frames,
    blood: InputFit | None,
    settings: PETSettings,
    *,
    weights: Array | None = None,
    injected: Injected | None = None,
) -> Regional:
    """Fit every region with every model of the settings.

    Parameters
    ----------
    values : (N, F) array
        kBq/mL decay-corrected to injection.
    labels : sequence of str
        N names.
    reference : (F,) array
        Curve of a large region: makes the weights and the delay.
    frames : Frames
    blood : InputFit or None
        ``None`` when no model reads blood.
    settings : PETSettings
    weights : (F,) array, optional
        Instead of those the settings name.
    injected : Injected, optional
        What SUV divides by.

    Returns
    -------
    Regional
    """
    notes: list[Note] = []
    weights = frame_weights(settings.weights if weights is None else weights, frames, reference)
    delay, delay_min, used = None, 0.0, None
    if blood is not None:
        delay, delay_min = _delay(reference, frames, blood, settings, weights, notes)
        used = blood.input.shifted(delay_min) if delay_min else blood.input
    fits: dict[str, KineticFit] = {}
    tstar: dict[str, float] = {}
    count: dict[str, int] = {}
    straight: dict[str, TStar] = {}
    row = find_reference(labels, settings)
    for model in settings.model:
        if model in REFERENCE:
            assert row is not None
            found, starts = fit_models([model], values, labels, row, frames, weights, settings)
            fits |= found
            tstar |= starts
            count[model] = int(found[model].meta["n_frames"])
            continue
        if model == "suv":
            assert injected is not None
            assert settings.window is not None
            fits[model] = fit_suv(values, frames, tuple(labels), injected, settings.window, weights)
            count[model] = int(fits[model].meta["n_frames"])
            continue
        assert used is not None
        start: float | None = None
        if model in GRAPHICAL:
            start, told = _tstar(values, frames, used, model, settings, weights)
            if told is not None:
                straight[model] = told
            tstar[model] = float(frames.start[min(first_frame(frames, start), frames.n - 1)])
        fits[model] = fit_arterial(
            values, frames, used, model, settings, weights, tstar=start, names=tuple(labels)
        )
        count[model] = int(fits[model].meta["n_frames"])
    return Regional(
        fits, tuple(labels), used, delay_min, delay, tstar, count, weights, tuple(notes),
        None if row is None else np.asarray(values[row]), straight,
    )  # fmt: skip


def check_sizes(
    values: Array, blood: InputFit, *, file: object, trust: bool, notes: list[Note]
) -> None:
    """Refuse tissue and plasma whose sizes cannot stand in one unit.

    Parameters
    ----------
    values : (N, F) array
        kBq/mL.
    blood : InputFit
    file : path
        The curves, for the message.
    trust : bool
        Permission of the plan.
    notes : list of Note
        A used permission is appended.

    Raises
    ------
    Refused
        When the median region's peak over the plasma's peak is outside 0.001 to 20.
    """
    whole = values[np.isfinite(values).all(axis=1)]
    if not whole.size:
        return
    tissue = float(np.median(whole.max(axis=1)))
    plasma = float(blood.samples.max())
    ratio = tissue / plasma if plasma > 0 else np.inf
    if PEAK_RATIO[0] <= ratio <= PEAK_RATIO[1]:
        return
    if trust:
        notes.append(
            Note(
                "units-trusted",
                f"peak tissue over peak plasma is {ratio:.3g}, accepted by permission",
                permission=True,
            )
        )
        return
    raise Refused(
        "Tissue and plasma cannot be in the declared units.",
        file=str(file),
        field="Units",
        found=f"peak tissue {tissue:.3g}, peak parent plasma {plasma:.3g} kBq/mL"
        f" (ratio {ratio:.3g}); blood in {blood.blood.source}",
        expected=f"a ratio between {PEAK_RATIO[0]:g} and {PEAK_RATIO[1]:g}",
        mend="correct the declared unit of one of them (a factor 1000 is Bq against kBq), or set"
        " trust_units = true for this scan in the plan",
    )


def _delay(
    reference: Array,
    frames: Frames,
    blood: InputFit,
    settings: PETSettings,
    weights: Array,
    notes: list[Note],
) -> tuple[Delay | None, float]:
    if settings.delay != "fit":
        return None, float(settings.delay) / 60
    from ekbom.measures.pet.delay import fit_delay

    try:
        found = fit_delay(reference, frames, blood.input, weights=weights)
    except Refused as no:
        notes.append(
            Note("delay-not-identifiable", f"no delay could be fitted ({no.found}); 0 s was taken")
        )
        return None, 0.0
    if found.flag:
        notes.append(
            Note(
                "delay-not-identifiable",
                f"the delay cannot be told from this scan ({found.flag}); 0 s was taken",
            )
        )
    return found, found.value


def _tstar(
    values: Array,
    frames: Frames,
    used: InputFunction,
    model: str,
    settings: PETSettings,
    weights: Array,
) -> tuple[float, TStar | None]:
    """Return t*, and what every candidate of it would leave."""
    fixed = settings.tstar != "auto"
    usable = values[np.isfinite(values[:, weights > 0]).all(axis=1)] if fixed else values
    try:
        told = choose_tstar(
            usable,
            frames,
            used,
            model=model,
            vB=settings.vB,
            weights=weights,
            frame_mean=settings.frame_mean,
        )
    except Refused:
        if not fixed:
            raise
        return float(settings.tstar), None
    return (float(settings.tstar) if fixed else told.value), told
