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

from ekbom.space.register import kernels
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
    for _ in range(rounds):
        # Frames where a point lies outside count with weight 0 there.
        held = np.einsum("jk,kp->jp", mix, seen[:, :, 0])
        total = np.einsum("jk,kpi->jpi", mix, seen[:, :, 1:] * seen[:, :, :1])
        for row, k in enumerate(keys):
            own = mix[:, row, None] * seen[row, :, 0]
            rest = np.maximum(held - own, 1e-12)
            mean = (total - own[..., None] * seen[row, None, :, 1:]) / rest[..., None]
            covered = (held - own > 0.5 * (mix.sum(axis=1) - mix[:, row])[:, None]).all(axis=0)
            pose = out[k]
            for _ in range(_STEPS):
                good = covered & (seen[row, :, 0] > 0)
                pose, far = _step(
                    world[good] - centre, seen[row, good, 1], mean[:, good], pose, centre
                )
                _see(frames[k], pose, world, seen[row])
                if far < _SHORT_MM:
                    break
            out[k] = pose
    return out


def _step(
    arm: Array, values: Array, mean: Array, pose: Rigid, centre: Array
) -> tuple[Rigid, float]:
    base = np.column_stack([*mean[:, :, 0], np.ones(len(arm))])
    # Weights first, for the slopes of the explained frame.
    weight = _solve(base, values)
    slope = np.einsum("k,kpi->pi", weight[:-1], mean[:, :, 1:])
    design = np.column_stack([-np.cross(arm, slope) / _ARM_MM, -slope, base])
    step = _solve(design, values)[:6]
    change = Rigid.of([*(step[:3] / _ARM_MM), *step[3:]], centre)
    return cast(Rigid, compose(pose, change)), float(np.sqrt((step**2).sum()))


def _solve(design: Array, values: Array) -> Array:
    # Sums written out: BLAS adds in another order on another number of threads.
    square = np.einsum("pi,pj->ij", design, design)
    return np.asarray(np.linalg.solve(square, np.einsum("pi,p->i", design, values)))


def _see(frame: Level, pose: Rigid, world: Array, out: Array) -> None:
    # Values of a frame at the points of the mean, and slopes by world mm there.
    to_index = np.linalg.inv(frame.grid.affine) @ pose.matrix
    kernels.sample(frame.image, frame.mask, world, np.ascontiguousarray(to_index[:3]), out)
    out[:, 2:] = np.einsum("pi,ij->pj", out[:, 2:], to_index[:3, :3])
