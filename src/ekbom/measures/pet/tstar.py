"""From when on a graphical model is straight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ekbom.errors import Refused
from ekbom.measures.pet import graphical
from ekbom.measures.pet.convolve import make_grid
from ekbom.measures.pet.fit import mean_curve
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction
from ekbom.measures.pet.weights import weights as frame_weights

Array = NDArray[np.float64]

#: Frames that must remain.
MIN_FRAMES = 5
#: Largest residual, as a share of the fitted value.
MAX_DEVIATION = 0.10


@dataclass(frozen=True, eq=False)
class TStar:
    """A choice of t* and what it rests on.

    Attributes
    ----------
    value : float
        Minutes: start of the first frame used.
    candidates : (C,) array
        Starts of frames, min.
    deviation : (N, C) array
        Largest ``|residual / fitted|`` of each region from each candidate on.
    regions : (N,) array
        Earliest candidate of each region; NaN where none is straight enough.
    limit : float
        The largest deviation that was allowed.
    """

    value: float
    candidates: Array
    deviation: Array
    regions: Array
    limit: float


def choose_tstar(
    tacs: ArrayLike,
    frames: Frames,
    input: InputFunction,
    *,
    model: str = "logan",
    vB: float = 0.0,
    weights: str | ArrayLike = "poisson",
    weight_reference: ArrayLike | None = None,
    max_deviation: float = MAX_DEVIATION,
    frame_mean: Literal["decay-weighted", "plain"] = "decay-weighted",
) -> TStar:
    """Choose t*: the earliest from which no frame is far from the line.

    Parameters
    ----------
    tacs : (F,) or (N, F) array
        Regions that take part, kBq/mL.
    frames : Frames
    input : InputFunction
    model : {"logan", "ma1", "patlak"}
    vB : float
    weights, weight_reference
        As of :func:`ekbom.measures.pet.fit.fit`.
    max_deviation : float
        Largest ``|residual / fitted|`` over the frames used.
    frame_mean : {"decay-weighted", "plain"}
        As of :func:`ekbom.measures.pet.fit.fit`.

    Returns
    -------
    TStar
        ``value`` is the median over regions (of an even number, the later of
        the two in the middle), a start of a frame with five or more left.

    Raises
    ------
    Refused
        When there are too few frames, or no region is ever straight enough.
    """
    values = np.atleast_2d(np.asarray(tacs, dtype=np.float64))
    if isinstance(weights, str) and weights == "poisson" and weight_reference is None:
        weight_reference = mean_curve(values)
    w = frame_weights(weights, frames, weight_reference)
    grid = make_grid(frames, input, decay_weighted=frame_mean == "decay-weighted")
    data = frames.to_injection(values)
    left = np.cumsum((w > 0)[::-1])[::-1]
    starts = np.flatnonzero((left >= MIN_FRAMES) & (w > 0))
    if not starts.size:
        raise Refused(
            "There are too few frames to choose t*.",
            field="tstar",
            found=f"{int((w > 0).sum())} frames",
            expected=f"{MIN_FRAMES} or more",
        )
    deviation = np.full((len(data), starts.size), np.nan)
    for c, first in enumerate(starts):
        line = graphical.fit_line(model, data, frames, grid, w, first=int(first), vB=vB)
        ratio = np.abs(line.residual_ratio[:, first:][:, w[first:] > 0])
        deviation[:, c] = ratio.max(axis=1)
    straight = deviation <= max_deviation
    some = straight.any(axis=1)
    regions = np.where(some, frames.start[starts[np.argmax(straight, axis=1)]], np.nan)
    if not some.any():
        raise Refused(
            "No region is straight from any frame on.",
            field="tstar",
            found=f"smallest deviation {100 * np.nanmin(deviation):.1f} %"
            if np.isfinite(deviation).any()
            else "no region that can be fitted",
            expected=f"{100 * max_deviation:g} % or less",
            mend="give tstar in minutes",
        )
    early = np.sort(regions[some])
    return TStar(
        float(early[early.size // 2]), frames.start[starts], deviation, regions, max_deviation
    )
