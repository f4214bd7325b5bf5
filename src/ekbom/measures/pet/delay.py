"""How much later than the sampling site the tissue sees the blood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import fdtri

from ekbom.errors import Refused
from ekbom.measures.pet import compartment
from ekbom.measures.pet.convolve import make_grid
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction
from ekbom.measures.pet.weights import weights as frame_weights

Array = NDArray[np.float64]

#: Frames that end by then (min) tell the delay.
WINDOW = 6.0
#: Where a delay is looked for, min.
BOUNDS = (-1.0, 1.0)
_POINTS = 41
# The rates only have to be near enough for the polish to find the optimum.
_NODES = 96


@dataclass(frozen=True, eq=False)
class Delay:
    """A delay with its profile.

    Attributes
    ----------
    value : float
        Minutes; positive when tissue is later than the sampling site; 0 when flagged.
    se : float
        Minutes, from the curvature of the profile; NaN when flagged.
    profile_t, profile_rss : (P,) arrays
        Delays (min) and the least weighted RSS at each.
    flag : str
        Empty; ``delay_bound`` (best at an end of the profile) or ``delay_flat``
        (the profile does not tell one end from the best).
    best : float
        Delay of least RSS, min, also when flagged.
    """

    value: float
    se: float
    profile_t: Array
    profile_rss: Array
    flag: str
    best: float


def fit_delay(
    tac: ArrayLike,
    frames: Frames,
    input: InputFunction,
    *,
    model: str = "2tcm",
    weights: str | ArrayLike = "poisson",
    window: float = WINDOW,
    bounds: tuple[float, float] = BOUNDS,
    frame_mean: Literal["decay-weighted", "plain"] = "decay-weighted",
) -> Delay:
    """Find the delay of a large region on the first minutes.

    Parameters
    ----------
    tac : (F,) array
        Whole brain, or the largest region, kBq/mL.
    frames : Frames
    input : InputFunction
        Without delay.
    model : {"2tcm", "1tcm"}
        With free blood volume.
    weights : {"poisson", "duration", "uniform"} or (F,) array
    window : float
        Minutes: frames that end by then are used.
    bounds : (float, float)
        Minutes.
    frame_mean : {"decay-weighted", "plain"}
        How a frame value averages the curve.

    Returns
    -------
    Delay
        ``value`` is 0 and ``flag`` set when the delay is not identifiable: it
        lies on a bound, or its 95 % profile interval reaches one.

    Raises
    ------
    Refused
        When the curve does not fit the frames or the first minutes hold too few.
    """
    values = np.asarray(tac, dtype=np.float64)
    if values.shape != (frames.n,) or not np.isfinite(values).all():
        raise Refused(
            "The curve for the delay is not one number a frame.",
            field="tac",
            found=values.shape,
            expected=f"{frames.n} numbers",
        )
    early = frames.end <= window + 1e-6
    w = frame_weights(weights, frames, values)[early]
    n_exp, _ = compartment.MODELS[model]
    used = int((w > 0).sum())
    n_free = 2 * n_exp + 2  # rates, amplitudes, blood volume, delay
    if used <= n_free:
        raise Refused(
            "The first minutes hold too few frames for a delay.",
            field="delay",
            found=f"{used} frames end by {window:g} min",
            expected=f"more than {n_free} for {model}",
            mend='give the delay, or use model "1tcm"',
        )
    first = Frames(frames.start[early], frames.end[early], frames.half_life)
    data = frames.to_injection(values)[early][None, :]

    def rss(delay: float) -> float:
        grid = make_grid(first, input.shifted(delay), decay_weighted=frame_mean == "decay-weighted")
        fit = compartment.fit_exponentials(data, grid, w, n_exp=n_exp, nodes=_NODES)
        return float(fit.rss[0])

    profile_t = np.linspace(*bounds, _POINTS)
    # seconds of a delay are exact numbers: 0 is one of the points
    profile_t[np.abs(profile_t) < 1e-12] = 0.0
    profile_rss = np.array([rss(float(d)) for d in profile_t])
    at = int(np.argmin(profile_rss))
    step = profile_t[1] - profile_t[0]
    if at in (0, _POINTS - 1):
        best, least = float(profile_t[at]), float(profile_rss[at])
        return Delay(0.0, float("nan"), profile_t, profile_rss, "delay_bound", best)
    found = minimize_scalar(
        rss, bounds=(profile_t[at] - step, profile_t[at] + step), method="bounded",
        options={"xatol": 1e-5},
    )  # fmt: skip
    best, least = float(found.x), float(found.fun)
    if least > profile_rss[at]:
        best, least = float(profile_t[at]), float(profile_rss[at])
    df = used - n_free
    ceiling = least * (1 + float(fdtri(1, df, 0.95)) / df)
    if profile_rss[0] < ceiling or profile_rss[-1] < ceiling:
        return Delay(0.0, float("nan"), profile_t, profile_rss, "delay_flat", best)
    se = _half_width(profile_t, profile_rss, best, least, least * (1 + 1 / df))
    return Delay(best, se, profile_t, profile_rss, "", best)


def _half_width(t: Array, rss: Array, best: float, least: float, level: float) -> float:
    """Return half the width of the profile at a level, parabolas between its points."""
    # sqrt(rss - least) is nearly straight on each side of the best
    height = np.sqrt(np.maximum(rss - least, 0.0))
    target = np.sqrt(level - least)
    right, left = t > best, t < best
    ends = []
    for x, h in (
        (np.concatenate(([best], t[right])), np.concatenate(([0.0], height[right]))),
        (np.concatenate(([best], t[left][::-1])), np.concatenate(([0.0], height[left][::-1]))),
    ):
        above = int(np.argmax(h >= target))
        share = (target - h[above - 1]) / (h[above] - h[above - 1])
        ends.append(float(x[above - 1] + share * (x[above] - x[above - 1])))
    return abs(ends[0] - ends[1]) / 2
