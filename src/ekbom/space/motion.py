"""Head motion between PET frames: found, described, undone with one interpolation.

What is not mended: motion inside a frame, and the mismatch between the
attenuation map and the moved head.

References
----------
Power JD et al. (2012). Spurious but systematic correlations in functional
connectivity MRI networks arise from subject motion. NeuroImage 59:2142-2154.
doi:10.1016/j.neuroimage.2011.10.018

Jenkinson M, Bannister P, Brady M, Smith S (2002). Improved optimization for
the robust and accurate linear registration and motion correction of brain
images. NeuroImage 17:825-841. doi:10.1006/nimg.2002.1132
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.space.finer import factors, finer, finer_mask
from ekbom.space.image import Series, Volume
from ekbom.space.register.linear import Level, Metric, centre_of_mass, fit, pyramid
from ekbom.space.register.series import refine
from ekbom.space.rim import with_rim
from ekbom.space.transform import Rigid, compose
from ekbom.space.warp import warp

#: Radius (mm) on which turns count in framewise displacement.
_RADIUS_MM = 50.0
#: A frame that moved less than this at the brain surface is left as it is.
_UNTOUCHED_MM = 0.05
#: The mask of the head is widened by this.
_RIM_MM = 10.0
_LEVELS = (8.0, 6.0, 3.0)
_POINTS = {8.0: 6000, 6.0: 12000}
#: Gain of a step below which mutual information is left: a few hundredths of a millimetre.
_SETTLE = 1e-7

NOT_MENDED = (
    "Motion inside a frame and the mismatch between attenuation map and moved head are not mended."
)
LARGE_NOTE = "frames {a} and {b}: the head moved {mm:.1f} mm between them"


@dataclass(frozen=True, eq=False)
class Motion:
    """How the head moved from frame to frame.

    Parameters
    ----------
    transforms : tuple of Rigid
        By frame: from points of the reference to points of the frame.
    estimated : (F,) array of bool
        False where a frame had too few counts and took its neighbour's transform.
    flags : tuple of str
        By frame, empty when there is nothing to say.
    framewise : (F,) array
        Framewise displacement (Power 2012), mm; 0 for the first frame.
    rms : (F,) array
        Root mean square displacement from the reference over the brain (Jenkinson 2002), mm.
    largest : (F,) array
        Largest displacement from the reference over the brain, mm.
    reference : (X, Y, Z) array
        The last reference image, 6 mm smooth.
    notes : tuple of str
        What should be known.
    """

    transforms: tuple[Rigid, ...]
    estimated: NDArray[np.bool_]
    flags: tuple[str, ...]
    framewise: NDArray[np.float64]
    rms: NDArray[np.float64]
    largest: NDArray[np.float64]
    reference: NDArray[np.float64]
    notes: tuple[str, ...]


def estimate_motion(
    series: Series,
    *,
    half_life: float,
    decay_corrected: bool = True,
    mask: NDArray[np.bool_] | None = None,
    window: tuple[float, float] = (10.0, 40.0),
    min_counts: float = 0.1,
    min_end: float = 2.0,
    rounds: int = 2,
    seed: int = 0,
) -> Motion:
    """Find the rigid motion of every frame towards the mean of frames in a window.

    Normalised mutual information first, because contrast turns over as the
    tracer is redistributed; each frame starts from the frame nearer to the
    window. Then each frame is explained by an early and a late mean image of
    the other frames (:mod:`ekbom.space.register.series`). Voxels above 3 mm are
    halved first (:mod:`ekbom.space.finer`).

    Parameters
    ----------
    series : Series
        The dynamic scan.
    half_life : float
        Minutes; with it counts are judged.
    decay_corrected : bool
        Whether the values are corrected to the start of the scan.
    mask : (X, Y, Z) array of bool, optional
        Brain, dilated; where the reference is above 20 % of its 98th percentile by default.
    window : two floats
        Minutes from which the reference is made; the middle third of the frames when empty.
    min_counts : float
        Frames with fewer counts than this share of the median of later frames are not estimated.
    min_end : float
        Nor are frames that end before this time (minutes).
    rounds : int
        How often the reference is made and the frames are brought to it.
    seed : int
        Of the points at which images are compared.

    Returns
    -------
    Motion
        Transforms and their summary.

    Raises
    ------
    Refused
        When no frame has enough counts.
    """
    start, duration = series.frame_start, series.frame_duration
    mid = start + duration / 2
    counts = _counts(series, half_life, decay_corrected)
    estimated = (counts >= min_counts * _median_later(counts)) & (start + duration > min_end)
    if not estimated.any():
        raise Refused(
            "No frame of the scan has enough counts to see motion.",
            found=f"{series.n_frames} frames that end at {float((start + duration)[-1]):g} min",
            mend="Lower min_counts or min_end, or leave motion correction out.",
        )
    used = estimated & (mid >= window[0]) & (mid <= window[1])
    if not used.any():
        places = np.flatnonzero(estimated)
        used[places[len(places) // 3 : max(len(places) // 3 + 1, -(-2 * len(places) // 3))]] = True
    frames = {
        int(k): pyramid(finer(Volume(_values(series, int(k)), series.grid)), None, _LEVELS)
        for k in np.flatnonzero(estimated)
    }
    order = _order(estimated, used, mid)
    poses = {k: Rigid(np.eye(4)) for k in frames}
    reference = np.zeros(series.grid.shape)
    inside = np.ones(series.grid.shape, dtype=bool) if mask is None else mask
    for done in range(1, rounds + 1):
        reference = _mean(series, poses, used)
        if mask is None:
            # With its rim: the edge of the head says most about its place.
            bright = reference > 0.2 * np.percentile(reference, 98.0)
            inside = with_rim(bright, series.grid.voxel_size, _RIM_MM)
        wide = finer_mask(inside, series.grid)
        target = pyramid(finer(Volume(reference, series.grid)), wide, _LEVELS)
        # A reference of frames that still lie apart is not worth the finer level.
        poses = _bring(frames, target, poses, order, seed, fine=done == rounds)
    if len(frames) > 2:
        smooth = {k: levels[-1] for k, levels in frames.items()}
        poses = refine(smooth, target[-1], poses, {k: counts[k] for k in frames}, seed=seed)
    transforms = _fill(poses, estimated)
    flags = tuple("" if e else "not estimated: few counts" for e in estimated)
    brain = series.grid.to_world(np.argwhere(inside))
    brain = brain[:: max(1, len(brain) // 5000)]
    moved = [np.sqrt(((t.points(brain) - brain) ** 2).sum(axis=1)) for t in transforms]
    framewise = framewise_displacement(transforms, brain.mean(axis=0))
    notes = [
        LARGE_NOTE.format(a=k, b=k + 1, mm=v)
        for k, v in enumerate(_between(transforms, brain), start=1)
        if v > 3.0
    ]
    return Motion(
        transforms,
        estimated,
        flags,
        framewise,
        np.array([float(np.sqrt((d**2).mean())) for d in moved]),
        np.array([float(d.max()) for d in moved]),
        reference,
        (*notes, NOT_MENDED),
    )


def correct_motion(series: Series, motion: Motion) -> Series:
    """Bring every frame to the reference with one cubic interpolation.

    Parameters
    ----------
    series : Series
        The scan.
    motion : Motion
        From :func:`estimate_motion`.

    Returns
    -------
    Series
        Float32, same grid, frame times and unit. Frames that moved less than
        0.05 mm are the same bits; NaN where the head left the field of view.
    """
    out = np.empty(series.values.shape, dtype=np.float32)
    for k, transform in enumerate(motion.transforms):
        values = np.asarray(series.values[..., k], dtype=np.float64)
        if motion.largest[k] >= _UNTOUCHED_MM:
            values = warp(values, series.grid, series.grid, transform, interpolation="cubic")
        out[..., k] = values
    return replace(series, values=out, notes=(*series.notes, NOT_MENDED))


def framewise_displacement(
    transforms: Sequence[Rigid], centre: NDArray[np.float64] | Sequence[float] = (0.0, 0.0, 0.0)
) -> NDArray[np.float64]:
    """Framewise displacement: sum of shifts and of turns on a sphere of 50 mm.

    Parameters
    ----------
    transforms : sequence of Rigid
        By frame.
    centre : (3,) array
        Point (mm) about which turns are counted.

    Returns
    -------
    (F,) array
        mm; 0 for the first frame.

    Examples
    --------
    >>> shift = Rigid.of([0, 0, 0, 1, 0, 0])
    >>> framewise_displacement([Rigid.of([0] * 6), shift]).tolist()
    [0.0, 1.0]
    """
    rows = np.array([t.parameters(centre) for t in transforms])
    steps = np.abs(np.diff(rows, axis=0))
    out = _RADIUS_MM * steps[:, :3].sum(axis=1) + steps[:, 3:].sum(axis=1)
    return np.concatenate([[0.0], out])


def _counts(series: Series, half_life: float, corrected: bool) -> NDArray[np.float64]:
    lam = np.log(2) / half_life
    length, start = series.frame_duration, series.frame_start
    mean = np.array([float(np.nanmean(_values(series, k))) for k in range(series.n_frames)])
    # Mean of exp(-lambda t) over a frame turns corrected values back into counts.
    back = np.exp(-lam * start) * -np.expm1(-lam * length) / (lam * length) if corrected else 1.0
    return np.asarray(np.clip(mean, 0.0, None) * back * length)


def _median_later(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([np.median(counts[min(k + 1, len(counts) - 1) :]) for k in range(len(counts))])


def _values(series: Series, k: int) -> NDArray[np.float64]:
    return np.asarray(series.values[..., k], dtype=np.float64)


def _order(
    estimated: NDArray[np.bool_], used: NDArray[np.bool_], mid: NDArray[np.float64]
) -> list[tuple[int, int]]:
    # From the middle of the window outwards; each frame with the one it starts from.
    places = np.flatnonzero(estimated)
    centre = int(places[np.argmin(np.abs(places - np.flatnonzero(used).mean()))])
    later = [int(k) for k in places if k >= centre]
    earlier = [int(k) for k in places[::-1] if k < centre]
    pairs = list(zip(later, [centre, *later], strict=False))
    return pairs + list(zip(earlier, [centre, *earlier], strict=False))


def _mean(
    series: Series,
    poses: dict[int, Rigid],
    used: NDArray[np.bool_],
) -> NDArray[np.float64]:
    share = series.frame_duration
    coarse = factors(series.grid) != (1, 1, 1)
    total, weight = np.zeros(series.grid.shape), np.zeros(series.grid.shape)
    still = np.eye(4)
    for k in np.flatnonzero(used):
        image = _values(series, int(k))
        if not np.array_equal(poses[int(k)].matrix, still):
            image = warp(
                image,
                series.grid,
                series.grid,
                poses[int(k)],
                interpolation="cubic" if coarse else "linear",
            )
        there = np.isfinite(image)
        total += np.where(there, image, 0.0) * share[k]
        weight += there * share[k]
    return np.divide(total, weight, out=np.zeros(series.grid.shape), where=weight > 0)


def _bring(
    frames: dict[int, list[Level]],
    target: list[Level],
    poses: dict[int, Rigid],
    order: list[tuple[int, int]],
    seed: int,
    *,
    fine: bool,
) -> dict[int, Rigid]:
    centre = centre_of_mass(target[0])
    out: dict[int, Rigid] = {}
    any_frame = frames[order[0][0]]
    metrics = [
        Metric(target[n], any_frame[n], _POINTS[target[n].width], seed, centre)
        for n in range(1 + fine)
    ]
    for k, before in order:
        coarse, *finer_ones = (m.to(frames[k][n]) for n, m in enumerate(metrics))
        # Its own pose of the round before, or that of the neighbouring frame.
        starts = [poses[k], out.get(before, poses[before])]
        here = fit(coarse, max(starts, key=coarse.value), "rigid", 30, _SETTLE)[0]
        for one in finer_ones:
            here = fit(one, here, "rigid", 40, _SETTLE)[0]
        out[k] = cast(Rigid, here)
    return out


def _fill(poses: dict[int, Rigid], estimated: NDArray[np.bool_]) -> tuple[Rigid, ...]:
    known = np.flatnonzero(estimated)
    return tuple(poses[int(known[np.argmin(np.abs(known - k))])] for k in range(len(estimated)))


def _between(transforms: Sequence[Rigid], brain: NDArray[np.float64]) -> list[float]:
    places = [t.points(brain) for t in transforms]
    return [float(np.sqrt(((b - a) ** 2).sum(axis=1)).max()) for a, b in itertools.pairwise(places)]


def relative_to(transforms: Sequence[Rigid], frame: int) -> tuple[Rigid, ...]:
    """Return the motion as seen from one frame.

    Parameters
    ----------
    transforms : sequence of Rigid
        From points of a reference to points of each frame.
    frame : int
        Becomes the reference.

    Returns
    -------
    tuple of Rigid
        From points of that frame to points of each frame.
    """
    first = transforms[frame].inverse()
    return tuple(cast(Rigid, compose(t, first)) for t in transforms)
