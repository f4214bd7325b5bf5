"""Frames of one scan: each is a sum of two mean images of the others, moved.

Tracer is redistributed during a scan, so a frame does not look like the mean
of others; but it is close to a sum of an early and a late mean image, with
weights of its own. Weights and the six numbers of the motion are found
together by least squares (Gauss-Newton, with slopes of the mean images, which
are nearly free of noise). A frame is never part of the means with which it is
compared: its own noise would hold it where it is. It starts where mutual
information ended, and a common shift of early against late frames stays as
that found it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ekbom.space.register import kernels, sums
from ekbom.space.register.linear import Level, centre_of_mass, scatter
from ekbom.space.transform import Rigid, compose

Array = NDArray[np.float64]

_ARM_MM = 60.0
_STEPS = 4
#: A step shorter than this (mm; turns at 60 mm) is the last of a round.
_SHORT_MM = 2e-3


def refine(
    frames: Mapping[int, Level],
    target: Level,
    poses: Mapping[int, Rigid],
    weights: Mapping[int, float],
    *,
    points: int = 40000,
    rounds: int = 4,
    seed: int = 0,
) -> dict[int, Rigid]:
    """Bring every frame to the mean images of the others, again and again.

    Parameters
    ----------
    frames : mapping of int to Level
        At least three, by number, equally smooth.
    target : Level
        A mean image; where its mask is, frames are compared.
    poses : mapping of int to Rigid
        Where to start: from points of the mean to points of the frame.
    weights : mapping of int to float
        Of the frames in the means.
    points : int
        Quasi-random points at which frames are compared.
    rounds : int
        How often all frames are gone through.
    seed : int
        Where the sequence of points starts.

    Returns
    -------
    dict of int to Rigid
        By number.
    """
    keys = sorted(frames)
    centre = centre_of_mass(target)
    world = target.grid.to_world(scatter(target.mask, points, seed))
    # How late a frame is, 0 to 1: its share in the late mean.
    late = np.linspace(0.0, 1.0, len(keys))
    share = np.array([weights[k] for k in keys])
    mix = np.stack([share * (1.0 - late), share * late])
    out = dict(poses)
    seen = np.zeros((len(keys), len(world), 5))
    for row, k in enumerate(keys):
        _see(frames[k], out[k], world, seen[row])
    held, total = np.empty((2, len(world))), np.empty((2, len(world), 4))
    mean, counts = np.empty_like(total), np.empty(len(world), dtype=np.bool_)
    arm = world - centre
    for _ in range(rounds):
        # Frames where a point lies outside count with weight 0 there.
        sums.gather(mix, seen, held, total)
        for row, k in enumerate(keys):
            own = np.ascontiguousarray(mix[:, row])
            sums.others(own, mix.sum(axis=1) - own, seen[row], held, total, mean, counts)
            pose = out[k]
            for _ in range(_STEPS):
                pose, far = _step(arm, seen[row], mean, counts, pose, centre)
                _see(frames[k], pose, world, seen[row])
                if far < _SHORT_MM:
                    break
            out[k] = pose
    return out


def _step(
    arm: Array, row: Array, mean: Array, counts: NDArray[np.bool_], pose: Rigid, centre: Array
) -> tuple[Rigid, float]:
    small, right = np.empty((3, 3)), np.empty(3)
    # Weights first, for the slopes of the explained frame.
    sums.explain(row, mean, counts, small, right)
    weight = np.linalg.solve(small, right)[:2]
    square, right = np.empty((9, 9)), np.empty(9)
    sums.move(arm, row, mean, counts, weight, _ARM_MM, square, right)
    step = np.linalg.solve(square, right)[:6]
    change = Rigid.of([*(step[:3] / _ARM_MM), *step[3:]], centre)
    return cast(Rigid, compose(pose, change)), float(np.sqrt((step**2).sum()))


def _see(frame: Level, pose: Rigid, world: Array, out: Array) -> None:
    # Values of a frame at the points of the mean, and slopes by world mm there.
    to_index = np.ascontiguousarray((np.linalg.inv(frame.grid.affine) @ pose.matrix)[:3])
    kernels.sample(frame.image, frame.mask, world, to_index, out)
    sums.turn(out, np.ascontiguousarray(to_index[:, :3]))
