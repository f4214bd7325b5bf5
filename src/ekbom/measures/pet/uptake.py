"""Ratios of uptake: SUV, and SUVR over a window of time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ekbom.errors import Refused
from ekbom.measures.pet.dose import Injected
from ekbom.measures.pet.flags import FlagList, bits
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.kinetic import KineticFit
from ekbom.measures.pet.voxels import VoxelFit, with_signal

Array = NDArray[np.float64]

#: Frames this far (min) outside the window still lie in it: seconds / 60 are not exact.
_TOLERANCE = 1e-6


def window_mean(tacs: ArrayLike, frames: Frames, window: tuple[float, float]) -> Array:
    """Return the mean over the frames that lie in a window, by their duration.

    Parameters
    ----------
    tacs : (F,) or (N, F) array
        Decay-corrected, kBq/mL.
    frames : Frames
    window : (float, float)
        Minutes from injection.

    Returns
    -------
    () or (N,) array
        kBq/mL.

    Raises
    ------
    Refused
        When no frame lies in the window.
    """
    inside = (frames.start >= window[0] - _TOLERANCE) & (frames.end <= window[1] + _TOLERANCE)
    if not inside.any():
        raise Refused(
            "No frame lies in the window.",
            field="window",
            found=f"{window[0]:g} to {window[1]:g} min; the scan covers {frames.start[0]:g} to"
            f" {frames.end[-1]:g} min",
            expected="a start and an end between which whole frames lie, minutes",
        )
    values = np.asarray(tacs, dtype=np.float64)[..., inside]
    d = frames.duration[inside]
    return np.asarray((values * d).sum(axis=-1) / d.sum())


def suv(
    tacs: ArrayLike, frames: Frames, window: tuple[float, float], *, dose: float, weight: float
) -> Array:
    """Return the standardised uptake value.

    Parameters
    ----------
    tacs : (F,) or (N, F) array
        Decay-corrected to injection, kBq/mL.
    frames : Frames
    window : (float, float)
        Minutes.
    dose : float
        Injected activity at injection, MBq.
    weight : float
        Of the person, kg.

    Returns
    -------
    () or (N,) array
        ``C / (dose / weight)``, g/mL: kBq/mL over MBq/kg.

    Raises
    ------
    Refused
        When dose or weight is not positive.
    """
    for name, value in (("dose", dose), ("weight", weight)):
        if not value > 0:
            raise Refused("SUV needs dose and weight.", field=name, found=value, expected="> 0")
    return window_mean(tacs, frames, window) / (dose / weight)


def suvr(
    tacs: ArrayLike, reference_tac: ArrayLike, frames: Frames, window: tuple[float, float]
) -> Array:
    """Return the ratio of window means to that of a reference.

    Parameters
    ----------
    tacs : (F,) or (N, F) array
        kBq/mL.
    reference_tac : (F,) array
        kBq/mL.
    frames : Frames
    window : (float, float)
        Minutes.

    Returns
    -------
    () or (N,) array
        Without unit. Not 1 + BP_ND unless target and reference are in the same
        equilibrium over the window.
    """
    below = float(window_mean(reference_tac, frames, window))
    if not below > 0:
        raise Refused(
            "The reference holds no activity in the window.", field="reference", found=below
        )
    return window_mean(tacs, frames, window) / below


def fit_suv(
    values: Array,
    frames: Frames,
    labels: tuple[str, ...],
    given: Injected,
    window: tuple[float, float],
    weights: Array,
) -> KineticFit:
    """Return SUV of every region in the form of a fit.

    Parameters
    ----------
    values : (N, F) array
        kBq/mL decay-corrected to injection.
    frames : Frames
    labels : tuple of str
    given : Injected
    window : (float, float)
        Minutes.
    weights : (F,) array

    Returns
    -------
    KineticFit
        ``SUV`` in g/mL, without standard error.
    """
    ratio = suv(values, frames, window, dose=given.dose, weight=given.weight)
    none = np.full(len(labels), np.nan)
    found = FlagList(len(labels))
    found.add("no_data", ~np.isfinite(ratio))
    meta: dict[str, Any] = {
        "model": "suv",
        "vB": 0.0,
        "n_frames": int((weights > 0).sum()),
        **_divided_by(given, window),
    }
    return KineticFit(
        "suv", labels, {"SUV": ratio}, {"SUV": none}, {"SUV": "g/mL"}, none, none, 1, 0,
        found.tuples(), np.full(values.shape, np.nan), weights, meta,
    )  # fmt: skip


def map_suv(
    curves: Array, frames: Frames, given: Injected, window: tuple[float, float]
) -> VoxelFit:
    """Return SUV of every voxel.

    Parameters
    ----------
    curves : (V, F) array
        kBq/mL decay-corrected to injection.
    frames : Frames
    given : Injected
    window : (float, float)
        Minutes.

    Returns
    -------
    VoxelFit
        ``SUV`` in g/mL, without standard error; NaN and ``no_data`` without signal.
    """
    y = np.asarray(curves, dtype=np.float64)
    good = with_signal(y)
    ratio = np.full(len(y), np.nan)
    ratio[good] = suv(y[good], frames, window, dose=given.dose, weight=given.weight)
    flags = np.where(good, 0, bits(["no_data"])).astype(np.int16)
    meta = {**_divided_by(given, window), "NoSignalVoxels": int((~good).sum())}
    return VoxelFit(
        "suv", {"SUV": ratio}, {}, {"SUV": "g/mL"}, np.full(len(y), np.nan), flags, meta
    )


def _divided_by(given: Injected, window: tuple[float, float]) -> dict[str, Any]:
    return {
        "window_min": list(window),
        "dose_MBq": given.dose,
        "dose_from": given.dose_from,
        "weight_kg": given.weight,
        "weight_from": given.weight_from,
    }
