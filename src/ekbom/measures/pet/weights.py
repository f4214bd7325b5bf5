"""Weights of the frames: what a squared residual counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ekbom.errors import Refused
from ekbom.measures.pet.frames import Frames

Array = NDArray[np.float64]

#: Kinds that are known by name; anything else is an array.
KINDS = ("poisson", "duration", "uniform")

#: Uncorrected counts below this share of their largest are taken as this share.
FLOOR = 0.01


def weights(kind: str | ArrayLike, frames: Frames, reference_tac: ArrayLike | None = None) -> Array:
    """Return the weight of each frame, mean 1.

    Parameters
    ----------
    kind : {"poisson", "duration", "uniform"} or (F,) array
        ``poisson``: the inverse variance ``Delta / (DF C)`` of a decay-corrected
        frame mean ``C`` with decay factor ``DF`` and duration ``Delta``, whose
        counts ``C Delta / DF`` are Poisson. An array is taken as it is
        (scaled to mean 1); zeros leave frames out.
    frames : Frames
        F frames.
    reference_tac : (F,) array, optional
        Curve of a large region, on these frames, for ``poisson``: weights from
        a noisy curve of its own bias the fit towards its low frames.

    Returns
    -------
    (F,) array
        Not negative; mean 1 over all frames.

    Raises
    ------
    Refused
        When the kind is unknown, the reference missing, or a weight negative.

    Notes
    -----
    Multiplying the reference by a constant changes nothing, so neither its unit
    nor the time to which it was decay-corrected matters.
    """
    if isinstance(kind, str):
        if kind == "poisson":
            raw = _poisson(frames, reference_tac)
        elif kind == "duration":
            raw = frames.duration
        elif kind == "uniform":
            raw = np.ones(frames.n)
        else:
            raise Refused(
                "The weights are not known.",
                field="weights",
                found=repr(kind),
                expected=", ".join(KINDS) + " or one number a frame",
            )
    else:
        raw = np.array(kind, dtype=np.float64)
        if raw.shape != (frames.n,):
            raise Refused(
                "Weights are not one a frame.",
                field="weights",
                found=raw.shape,
                expected=(frames.n,),
            )
        if not (np.isfinite(raw) & (raw >= 0)).all() or not raw.any():
            raise Refused(
                "Weights must be numbers, zero or more, not all zero.",
                field="weights",
                found=raw.tolist(),
            )
    return np.asarray(raw / raw.mean(), dtype=np.float64)


def _poisson(frames: Frames, reference_tac: ArrayLike | None) -> Array:
    if reference_tac is None:
        raise Refused(
            "Poisson weights need the curve of a large region.",
            field="weight_reference",
            mend='give one, or use weights = "duration"',
        )
    reference = np.asarray(reference_tac, dtype=np.float64)
    if reference.shape != (frames.n,) or not np.isfinite(reference).all():
        raise Refused(
            "The curve for the weights is not one number a frame.",
            field="weight_reference",
            found=f"{reference.shape}, {int(np.isfinite(reference).sum())} finite",
            expected=f"{frames.n} numbers",
        )
    factor = frames.decay_factor if frames.decay_corrected else np.ones(frames.n)
    counts = reference / factor
    if counts.max() <= 0:
        raise Refused(
            "The curve for the weights holds no activity.",
            field="weight_reference",
            found=f"largest {reference.max():g}",
        )
    counts = np.maximum(counts, FLOOR * counts.max())
    return np.asarray(frames.duration / (frames.decay_factor**2 * counts), dtype=np.float64)
