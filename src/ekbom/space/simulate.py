"""Made images with known truth: a head that moves in a dynamic scan.

The head is the template: grey and white matter take up tracer at their own
pace, so contrast turns over during the scan; counts fall with decay and frame
length as they do in a scanner. The head moves, blurred, on a lattice of at most
3 mm and is looked at from there: moved on coarse voxels it would be pulled
towards them, which is not what a scanner does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ekbom.space.image import Series
from ekbom.space.smooth import gaussian
from ekbom.space.template import template
from ekbom.space.transform import Rigid
from ekbom.space.warp import warp

#: Minutes: 30 frames of a 90-minute scan.
DURATIONS = (*[0.25] * 4, *[0.5] * 4, *[1.0] * 5, *[2.0] * 4, *[5.0] * 9, *[7.5] * 4)

#: The head moves on a lattice no coarser than this.
_FINE_MM = 3.0
_BLOOD_SHARE = 0.06


@dataclass(frozen=True, eq=False)
class MovingHead:
    """A simulated scan and how the head really moved.

    Parameters
    ----------
    series : Series
        Decay-corrected activity, kBq/mL.
    motion : tuple of Rigid
        By frame: from points of the head at rest to points in that frame.
    brain : (X, Y, Z) array of bool
        The brain at rest.
    """

    series: Series
    motion: tuple[Rigid, ...]
    brain: NDArray[np.bool_]


def moving_head(
    seed: int,
    *,
    resolution: float = 4.0,
    drift_mm: float = 3.0,
    drift_deg: float = 3.0,
    jump_mm: float = 3.0,
    noise: float = 0.10,
    half_life: float = 20.4,
    still: bool = False,
    curves: Sequence[NDArray[np.float64]] | None = None,
) -> MovingHead:
    """Simulate a dynamic scan of a head that drifts, jumps, and is redistributed in.

    Parameters
    ----------
    seed : int
        Of motion and noise.
    resolution : float
        Voxel edge, mm.
    drift_mm, drift_deg : float
        Drift over the scan: standard deviation of its end, per axis.
    jump_mm : float
        Standard deviation, per axis, of one jump (and as many degrees).
    noise : float
        Standard deviation, in shares of the mean of the brain and after 5 mm
        filtering, in a five-minute frame at 30 minutes; that of other frames
        follows their counts.
    half_life : float
        Minutes.
    still : bool
        No motion at all.
    curves : three (30,) arrays, optional
        Activity of grey matter, of white matter, and of blood everywhere in the
        brain, by frame (kBq/mL).

    Returns
    -------
    MovingHead
        Scan and truth.
    """
    rng = np.random.default_rng(seed)
    head = template(resolution)
    duration = np.array(DURATIONS)
    start = np.concatenate([[0.0], np.cumsum(duration)[:-1]])
    mid = start + duration / 2
    motion = _motion(rng, mid, drift_mm, drift_deg, jump_mm, still)
    # Blood first, then grey matter, and white matter slowly: k exp(-a t) - exp(-b t).
    blood = 30.0 * (1 - np.exp(-mid / 0.3)) * np.exp(-mid / 2.5) + 2.0 * np.exp(-mid / 60)
    grey = 14.0 * (1 - np.exp(-mid / 3.0)) * np.exp(-mid / 70)
    white = 9.0 * (1 - np.exp(-mid / 12.0)) * np.exp(-mid / 200)
    fine = template(resolution / max(1, math.ceil(resolution / _FINE_MM)))
    if curves is not None:
        grey, white, blood = curves
    g, w, inside = (
        gaussian(np.asarray(m, dtype=float), fine.grid.voxel_size, 5.0)
        for m in (fine.grey, fine.white, fine.brain)
    )
    lam = np.log(2) / half_life
    decay = (1 - np.exp(-lam * duration)) / lam * np.exp(-lam * start)  # counts a unit activity
    frames = np.empty((*head.grid.shape, len(duration)), dtype=np.float32)
    for k, pose in enumerate(motion):
        image = grey[k] * g + white[k] * w + _BLOOD_SHARE * blood[k] * inside
        there = pose.inverse()
        moved = warp(image, fine.grid, head.grid, there, interpolation="cubic")
        frames[..., k] = np.nan_to_num(moved)
    level = np.array([float(frames[..., k][head.brain].mean()) for k in range(len(mid))])
    # Reconstruction spreads the noise of the whole head over all voxels: its
    # variance follows the counts of the frame, not the activity of the voxel.
    typical = int(np.argmin(np.abs(mid - 30.0)))
    spread = np.sqrt(level / decay) / np.sqrt(level[typical] / decay[typical]) * level[typical]
    for k in range(len(mid)):
        grain = gaussian(rng.normal(size=head.grid.shape), head.grid.voxel_size, 5.0)
        frames[..., k] += noise * spread[k] * grain / grain.std()
    series = Series(frames, head.grid, start, duration, "kBq/mL")
    return MovingHead(series, motion, np.asarray(head.brain))


def _motion(
    rng: np.random.Generator,
    mid: NDArray[np.float64],
    drift_mm: float,
    drift_deg: float,
    jump_mm: float,
    still: bool,
) -> tuple[Rigid, ...]:
    slow = rng.normal(size=6) * np.radians([drift_deg] * 6)
    slow[3:] = rng.normal(size=3) * drift_mm
    jump = np.concatenate([np.radians(rng.normal(size=3) * jump_mm), rng.normal(size=3) * jump_mm])
    when = rng.uniform(15, 75)
    share = mid / mid[-1]
    poses = [s * slow + (t > when) * jump for s, t in zip(share, mid, strict=True)]
    return tuple(Rigid.of(p * (not still), (0.0, -30.0, 0.0)) for p in poses)
