"""Registration, motion and side on made images with known truth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.space.image import Volume
from ekbom.space.motion import estimate_motion
from ekbom.space.normalise import pet_to_t1, to_template
from ekbom.space.quality import dice, side
from ekbom.space.register import backend
from ekbom.space.simulate import moving_head
from ekbom.space.simulate_heads import bent_head
from ekbom.space.smooth import gaussian
from ekbom.space.template import template
from ekbom.space.transform import Rigid, Transform, compose, round_trip, world_points
from ekbom.space.warp import warp
from ekbom.validate.result import Check

Array = NDArray[np.float64]


def validate_space(
    *,
    scans: int = 3,
    heads: int = 20,
    bent: int = 3,
    resolution: float = 4.0,
    noise: float = 0.05,
    seed: int = 1,
    say: Callable[[str], None] = lambda text: None,
) -> list[Check]:
    """Check motion correction, T1 to template, PET to T1 and the side on made images.

    Parameters
    ----------
    scans : int
        Dynamic scans of 30 frames.
    heads : int
        Pairs of PET and T1.
    bent : int
        Bent heads that are brought to the template.
    resolution : float
        Voxel edge, mm.
    noise : float
        Of a five-minute frame at 30 minutes, in shares of the mean of the brain.
    seed : int
        Of every random draw.
    say : callable
        Told what is being done.

    Returns
    -------
    list of Check
        With gates where there is a target.
    """
    out = _motion(scans, resolution, noise, seed, say)
    out += _bent(bent, resolution, seed, say) + _bent_pairs(bent, resolution, seed, say)
    return out + _pairs(heads, resolution, seed, say)


def motion_errors(
    found: tuple[Transform, ...], true: tuple[Rigid, ...], brain: Array, used: NDArray[np.bool_]
) -> tuple[Array, Array, Array]:
    """Errors of estimated motion, after the pose that all frames have in common.

    Parameters
    ----------
    found : tuple of Transform
        From points of the reference to points of each frame.
    true : tuple of Rigid
        From points of the head at rest to points in each frame.
    brain : (P, 3) array
        World points of the brain at rest.
    used : (F,) array of bool
        Frames that count.

    Returns
    -------
    surface, rms : (n,) array
        Largest and root mean square distance over the brain, mm.
    angle : (n,) array
        Degrees.
    """
    pairs = [(f, t) for f, t, u in zip(found, true, used, strict=True) if u]
    # Where the reference lies against the head at rest is nobody's error.
    matrices = [_matrix(f.inverse()) @ t.matrix for f, t in pairs]
    mean = np.mean(matrices, axis=0)
    u, _, vt = np.linalg.svd(mean[:3, :3])
    mean[:3, :3] = u @ vt
    mean[3] = [0.0, 0.0, 0.0, 1.0]
    common = Rigid(mean)
    surface, rms, angle = [], [], []
    for f, t in pairs:
        both = compose(f, common)
        apart = ((both.points(brain) - t.points(brain)) ** 2).sum(axis=1)
        surface.append(np.sqrt(apart.max()))
        rms.append(np.sqrt(apart.mean()))
        turn = _matrix(both)[:3, :3] @ t.matrix[:3, :3].T
        angle.append(np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))))
    return np.array(surface), np.array(rms), np.array(angle)


def _matrix(transform: Transform) -> Array:
    assert isinstance(transform, Rigid)
    return transform.matrix


def _motion(
    scans: int, resolution: float, noise: float, seed: int, say: Callable[[str], None]
) -> list[Check]:
    errors: list[tuple[Array, Array, Array]] = []
    for k in range(scans):
        say(f"motion: scan {k + 1} of {scans}")
        head = moving_head(seed + k, resolution=resolution, noise=noise)
        found = estimate_motion(head.series, half_life=20.4)
        brain = head.series.grid.to_world(np.argwhere(head.brain))[
            :: max(1, head.brain.sum() // 4000)
        ]
        errors.append(motion_errors(found.transforms, head.motion, brain, found.estimated))
    surface, rms, angle = (np.concatenate(e) for e in zip(*errors, strict=True))
    n, note = (
        len(surface),
        f"{resolution:g} mm voxels, noise {100 * noise:g} %, contrast turns over",
    )
    both = float(((surface <= 0.3) & (angle <= 0.3)).mean())
    return [
        Check("motion: rms error over the brain, 95th percentile", float(np.percentile(rms, 95)),
              n, "mm", high=0.3, note=note),
        Check("motion: angle error, 95th percentile", float(np.percentile(angle, 95)),
              n, "degrees", high=0.3, note=note),
        Check("motion: error at the brain surface, 95th percentile",
              float(np.percentile(surface, 95)), n, "mm", note="target 0.3 mm"),
        Check("motion: frames within 0.3 mm at the surface and 0.3 degrees", both, n,
              note="target 0.95"),
    ]  # fmt: skip


def _bent(heads: int, resolution: float, seed: int, say: Callable[[str], None]) -> list[Check]:
    if not heads:
        return []
    t = template(resolution)
    brain = np.asarray(t.brain)
    points = t.grid.to_world(np.argwhere(brain))[:: max(1, int(brain.sum()) // 10000)]
    overlap, apart, folded, refused = [], [], [], 0
    for k in range(heads):
        say(f"T1 to template: head {k + 1} of {heads}")
        head = bent_head(seed + k, voxel=max(1.0, resolution / 2))
        try:
            found = to_template(head.t1, resolution_mm=resolution)
        except Refused:
            refused += 1
            continue
        grey = warp(head.grey.values, head.grey.grid, t.grid, found.transform)
        seen = np.isfinite(grey)
        overlap.append(dice((np.nan_to_num(grey) > 0.5) & seen, t.grey_mask & seen))
        apart.append(round_trip(found.transform, found.inverse, points))
        folded.append(found.quality["folded"])
    note = f"{resolution:g} mm; bends of 3 to 8 mm rms, every third head turned by 30 degrees"
    miss = np.concatenate(apart) if apart else np.array([np.nan])
    done = len(overlap)
    return [
        Check("T1 to template: median grey-matter Dice",
              float(np.median(overlap)) if done else np.nan, done, note=note),
        Check("T1 to template: smallest grey-matter Dice",
              min(overlap, default=np.nan), done, low=0.85, note=note),
        Check("T1 to template: there and back, 95th percentile",
              float(np.percentile(miss, 95)), done, "mm", high=0.5, note=note),
        Check("T1 to template: heads with a fold in the brain",
              float(np.sum(np.array(folded) > 0)), done, high=0),
        Check("T1 to template: refused", refused, heads, high=0),
    ]  # fmt: skip


def _bent_pairs(
    heads: int, resolution: float, seed: int, say: Callable[[str], None]
) -> list[Check]:
    """PET of heads that do not have the shape of the template, with the T1 of the same head."""
    if not heads:
        return []
    rng = np.random.default_rng([seed, 3])
    worst, failed = [], 0
    for k in range(heads):
        say(f"PET to T1, bent heads: {k + 1} of {heads}")
        head = bent_head(seed + k, voxel=resolution)
        grid = head.t1.grid
        grey, white = (np.asarray(m.values, dtype=float) for m in (head.grey, head.white))
        brain = grey + white > 0.5
        places = grid.to_world(np.argwhere(brain))
        p = rng.normal(size=(2, 3))
        p *= rng.uniform(0, [np.radians(15), 20])[:, None] / np.sqrt((p**2).sum(axis=1))[:, None]
        true = Rigid.of(p.ravel(), places.mean(axis=0))
        uptake = grey + rng.uniform(0.2, 0.5) * white
        pet = np.nan_to_num(warp(uptake, grid, grid, true.inverse(), interpolation="cubic"))
        pet = gaussian(pet, grid.voxel_size, 6.0)
        grain = gaussian(rng.normal(size=pet.shape), grid.voxel_size, 5.0)
        pet += rng.uniform(0.05, 0.15) * pet[brain].mean() * grain / grain.std()
        try:
            found = pet_to_t1(
                Volume(pet, grid), head.t1, t1_mask=brain, check_side=False,
                resolution_mm=resolution,
            )  # fmt: skip
        except Refused:
            failed += 1
            continue
        apart = found.transform.points(places[::7]) - true.points(places[::7])
        worst.append(float(np.sqrt((apart**2).sum(axis=1).max())))
    note = (
        f"bends, lesions and cuts of T1 to template; up to 15 degrees and 20 mm, {resolution:g} mm"
    )
    return [
        Check("PET to T1, bent heads: largest error in the brain, 95th percentile",
              float(np.percentile(worst, 95)) if worst else np.nan, heads, "mm", note=note),
        Check("PET to T1, bent heads: share captured",
              float((np.array(worst) < 5.0).sum()) / heads, heads, low=0.95, note=note),
        Check("PET to T1, bent heads: refused", failed, heads, note=note),
    ]  # fmt: skip


def _pairs(heads: int, resolution: float, seed: int, say: Callable[[str], None]) -> list[Check]:
    rng = np.random.default_rng([seed, 2])
    t = template(resolution)
    t1 = np.asarray(t.t1, dtype=float)
    place = world_points(t.grid)
    points = t.grid.to_world(np.argwhere(t.brain))[:: max(1, int(t.brain.sum()) // 4000)]
    worst, sides, failed = [], {"same": 0, "mirrored": 0, "undecided": 0}, 0
    flips = dict(sides)
    for k in range(heads):
        say(f"PET to T1: head {k + 1} of {heads}")
        # A lesion on one side, else the template's two halves are the same.
        lesion = rng.uniform([25, -60, 0], [50, 20, 40]) * [rng.choice([-1, 1]), 1, 1]
        hole = ((place - lesion) ** 2).sum(axis=-1) < rng.uniform(10, 20) ** 2
        still = Volume(np.where(hole, 0.2, t1) + rng.normal(scale=0.03, size=t1.shape), t.grid)
        uptake = np.where(hole, 0.1, t.grey + rng.uniform(0.2, 0.5) * t.white)
        direction = rng.normal(size=(2, 3))
        direction /= np.sqrt((direction**2).sum(axis=1, keepdims=True))
        size = rng.uniform(0, [np.radians(15), 20])
        true = Rigid.of(
            np.concatenate([direction[0] * size[0], direction[1] * size[1]]), (0, -20, 10)
        )
        pet = gaussian(np.nan_to_num(warp(uptake, t.grid, t.grid, true.inverse())),
                       t.grid.voxel_size, 6.0)  # fmt: skip
        grain = gaussian(rng.normal(size=pet.shape), t.grid.voxel_size, 5.0)
        pet += rng.uniform(0.05, 0.15) * pet[t.brain].mean() * grain / grain.std()
        moving = Volume(pet, t.grid)
        try:
            found = backend().register(
                still, moving, kind="rigid", fixed_mask=np.asarray(t.brain), resolution=resolution
            )
        except Refused:
            failed += 1
            continue
        apart = found.transform.points(points) - true.points(points)
        worst.append(float(np.sqrt((apart**2).sum(axis=1).max())))
        if k < max(4, heads // 4):
            sides[side(still, moving, fixed_mask=np.asarray(t.brain)).verdict] += 1
            mirror = Volume(pet[::-1], t.grid)
            flips[side(still, mirror, fixed_mask=np.asarray(t.brain)).verdict] += 1
    miss = np.array(worst)
    captured = float((miss < 5.0).sum()) / heads
    looked = sum(sides.values())
    note = f"up to 15 degrees and 20 mm, noise 5 to 15 %, {resolution:g} mm voxels"
    return [
        Check("PET to T1: largest error in the brain, 95th percentile",
              float(np.percentile(miss, 95)) if miss.size else np.nan, heads, "mm",
              high=1.0 if resolution <= 2 else np.nan, note=f"target 1 mm at 2 mm voxels; {note}"),
        Check("PET to T1: share captured", captured, heads, low=0.95, note=note),
        Check("PET to T1: refused", failed, heads),
        Check("side: same called mirrored", sides["mirrored"], looked, high=0),
        Check("side: mirrored called same", flips["same"], looked, high=0),
        Check("side: undecided", sides["undecided"] + flips["undecided"], 2 * looked),
    ]  # fmt: skip
