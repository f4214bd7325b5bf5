"""Deformable registration: greedy steps along the gradient of local correlation.

The field is built up by composition of small smooth steps, coarse to fine, so
it stays invertible: phi <- phi o (id + v), where v is the smoothed gradient of
the local squared correlation at the image as it is warped now. After every
step the whole field is smoothed a little. A field that still folds is smoothed
until it does not.

References
----------
Avants BB, Epstein CL, Grossman M, Gee JC (2008). Symmetric diffeomorphic image
registration with cross-correlation. Medical Image Analysis 12:26-41.
doi:10.1016/j.media.2007.06.004

Christensen GE, Rabbitt RD, Miller MI (1996). Deformable templates using large
deformation kinematics. IEEE Trans Image Processing 5:1435-1447.
doi:10.1109/83.536892
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ekbom.space.checks import require_mask
from ekbom.space.grid import Grid
from ekbom.space.image import Volume
from ekbom.space.register import field as fields
from ekbom.space.register import lncc
from ekbom.space.register.inverse import invert
from ekbom.space.register.slabs import Run, slabs
from ekbom.space.register.soften import gaussian_taps, soften, strides
from ekbom.space.transform import Affine, Warp, world_points

Field = NDArray[np.float32]

#: Jacobian determinants below this are mended by smoothing.
_LEAST = 0.05
#: The lattice reaches this far beyond what counts, and steps fade out there.
_MARGIN_MM = 20.0


@dataclass(frozen=True)
class Recipe:
    """How a field is found.

    Parameters
    ----------
    spacings : tuple of float
        Lattice spacings (mm), coarse first; those below the resolution are left out.
    rounds : tuple of int
        Most steps at each.
    radius : int
        Of the window, voxels.
    step : float
        Largest displacement of one step, voxels.
    update, total : float
        Standard deviation (voxels) of the smoothing of a step and of the field.
    floor : float
        Noise variance of an image of unit variance.
    shrink : float
        Share to which steps shrink when one overshoots.
    patience : int
        Steps over which the gain is looked at.
    settle : float
        A level ends when they gain less than this.
    """

    spacings: tuple[float, ...] = (8.0, 4.0, 2.0)
    rounds: tuple[int, ...] = (60, 60, 30)
    radius: int = 2
    step: float = 0.5
    update: float = 1.7
    total: float = 0.7
    floor: float = 1e-2
    shrink: float = 0.5
    patience: int = 10
    settle: float = 1e-3


def deform(
    fixed: Volume,
    moving: Volume,
    start: Affine,
    *,
    fixed_mask: NDArray[np.bool_] | None = None,
    moving_mask: NDArray[np.bool_] | None = None,
    resolution: float = 2.0,
    recipe: Recipe | None = None,
    threads: int = 1,
) -> tuple[Warp, Warp, tuple[float, float], tuple[str, ...]]:
    """Find the field between two images that an affine map brings together.

    Parameters
    ----------
    fixed, moving : Volume
        Images; values that are not finite do not count.
    start : Affine
        From points of the fixed image to points of the moving one.
    fixed_mask, moving_mask : (X, Y, Z) array of bool, optional
        Where the images count.
    resolution : float
        Spacing (mm) of the field.
    recipe : Recipe, optional
        How it is found.
    threads : int
        Threads; the result is the same for any number.

    Returns
    -------
    warp, inverse : Warp
        A point goes through the warp, then through `start`.
    values : tuple of two floats
        Mean squared local correlation at the finest level, before and after.
    log : tuple of str
        What was done.
    """
    recipe = recipe or Recipe()
    finest = _lattice(fixed, fixed_mask, resolution)
    plan = levels(recipe, resolution)
    log: list[str] = []
    field = np.zeros((3, 0, 0, 0), np.float32)
    grid = finest
    first = value = math.nan
    with slabs(threads) as run:
        for spacing, rounds in plan:
            before, grid = grid, _coarser(finest, spacing / resolution)
            level = _Level(fixed, moving, fixed_mask, moving_mask, start, grid, recipe, run)
            field = _carry(field, before, grid, run)
            if spacing == plan[-1][0]:
                first = level.look(np.zeros_like(field))
            field, value, done = level.climb(field, rounds)
            log.append(f"{spacing:g} mm: {done} steps, local correlation {value:.4f}")
        field, mended = _unfold(field, run)
        if mended:
            log.append(f"smoothed {mended} times where it folded")
        back, lattice, miss = invert(field, grid, run)
    log.append(f"inverse: largest round trip {miss:.3f} mm")
    return _warp(field, grid), _warp(back, lattice), (first, value), tuple(log)


def correlation(
    fixed: Volume,
    moving: Volume,
    start: Affine,
    warp: Warp,
    *,
    fixed_mask: NDArray[np.bool_] | None = None,
    spacing: float = 4.0,
    threads: int = 1,
) -> tuple[float, float]:
    """Mean squared local correlation without and with a warp.

    Parameters
    ----------
    fixed, moving, start, fixed_mask, threads
        As in :func:`deform`.
    warp : Warp
        A point goes through the warp, then through `start`.
    spacing : float
        Of the lattice, mm.

    Returns
    -------
    before, after : float
        -1 to 1.
    """
    grid = _lattice(fixed, fixed_mask, spacing)
    place = world_points(grid)
    turn = np.linalg.inv(grid.affine[:3, :3])
    apart = warp.points(place) - place
    field = np.stack([sum(turn[k, j] * apart[..., j] for j in range(3)) for k in range(3)])
    with slabs(threads) as run:
        level = _Level(fixed, moving, fixed_mask, None, start, grid, Recipe(), run)
        zero = np.zeros((3, *grid.shape), np.float32)
        return level.look(zero), level.look(np.ascontiguousarray(field, dtype=np.float32))


class _Level:
    """Both images on one lattice, and buffers."""

    def __init__(
        self,
        fixed: Volume,
        moving: Volume,
        fixed_mask: NDArray[np.bool_] | None,
        moving_mask: NDArray[np.bool_] | None,
        start: Affine,
        grid: Grid,
        recipe: Recipe,
        run: Run,
    ) -> None:
        self.recipe, self.run, self.shape = recipe, run, grid.shape
        spacing = grid.voxel_size[0]
        still, inside, fixed_at = _soft(fixed, fixed_mask, spacing, run)
        moved, there, moving_at = _soft(moving, moving_mask, spacing, run)
        self.image = np.where(there, moved, np.float32(np.nan))
        none = np.zeros((3, *grid.shape), np.float32)
        ones = np.ones(grid.shape, np.float32)
        self.pulled = np.empty((2, *grid.shape), np.float32)
        self.push = np.empty_like(none)
        place = (np.linalg.inv(fixed_at) @ grid.affine)[:3]
        self._pull(still, place, none, ones)
        self.fixed, lies = self.pulled.copy()
        # At least half inside: a lattice coarser than the mask must not lose its rim.
        self._pull(inside.astype(np.float32), place, none, ones)
        self.mask = np.where(self.pulled[0] >= 0.5, lies, np.float32(0.0))
        self.fixed *= self.mask
        self.fixed /= np.float32(_spread(self.fixed, self.mask))
        self.matrix = np.ascontiguousarray(
            (np.linalg.inv(moving_at) @ start.matrix @ grid.affine)[:3]
        )
        self._pull(self.image, self.matrix, none, self.mask)
        self.image /= np.float32(_spread(*self.pulled))
        self.six = np.empty((2, 6, *grid.shape), np.float32)
        self.sums = np.empty((grid.shape[0], 2))
        self.taps = gaussian_taps(recipe.update)
        self.fade = [_fade(n, _MARGIN_MM / spacing) for n in grid.shape]

    def _pull(
        self,
        image: NDArray[np.float32],
        matrix: NDArray[np.float64],
        field: Field,
        mask: NDArray[np.float32],
    ) -> None:
        self.run(lncc.pull, self.shape[0], image, matrix, field, mask, self.pulled, self.push)

    def look(self, field: Field) -> float:
        """Mean squared local correlation under a field; leaves the factors in the buffer."""
        n, r, floor = self.shape[0], self.recipe.radius, self.recipe.floor
        one, two = self.six
        self._pull(self.image, self.matrix, field, self.mask)
        moved, seen = self.pulled
        self.run(lncc.products, n, self.fixed, moved, seen, r, one)
        self.run(lncc.box_y, n, one, r, two)
        self.run(lncc.windows, n, two, seen, r, floor, one, self.sums)
        total, count = self.sums.sum(axis=0)
        return float(total / max(count, 1.0))

    def slope(self) -> Field:
        """Smoothed derivative, once, after :meth:`look`."""
        n, r = self.shape[0], self.recipe.radius
        one, two = self.six[0, :3], self.six[1, :3]
        box = np.ones(2 * r + 1, np.float32)
        self.run(fields.smooth_z, n, one, box, one, 1)
        self.run(lncc.box_y, n, one, r, two)
        self.run(lncc.force, n, two, self.fixed, self.pulled, self.push, r)
        smooth(self.push, self.taps, two, self.run)
        for axis, fade in enumerate(self.fade):
            self.push *= fade.reshape([-1 if k == axis + 1 else 1 for k in range(4)])
        return self.push

    def climb(self, field: Field, rounds: int) -> tuple[Field, float, int]:
        """Take steps until nothing is gained; steps shrink when one overshoots."""
        r = self.recipe
        seen = [self.look(field)]
        spare, step = np.empty_like(field), r.step
        for done in range(rounds):
            update = self.slope()
            longest = math.sqrt(float((update**2).sum(axis=0).max()))
            if longest == 0.0:
                return field, seen[-1], done
            scale = step / longest
            self.run(fields.compose, self.shape[0], field, update, scale, spare)
            still(spare)
            if r.total > 0:
                # As much as the step is long, else small steps are smoothed away.
                part = 0.5 * r.total**2 * step / r.step
                taps = np.array([part, 1.0 - 2.0 * part, part], np.float32)
                smooth(spare, taps, self.six[1, :3], self.run)
                still(spare)
            value = self.look(spare)
            if value <= seen[-1]:
                step *= r.shrink
                if step < r.step / 20:
                    return field, seen[-1], done + 1
                self.look(field)
                continue
            field, spare = spare, field
            seen.append(value)
            if len(seen) > r.patience and seen[-1] - seen[-1 - r.patience] < r.settle:
                return field, seen[-1], done + 1
        return field, seen[-1], rounds


def smooth(field: Field, taps: NDArray[np.float32], spare: Field, run: Run) -> None:
    """Smooth a field in place.

    Parameters
    ----------
    field, spare : (3, X, Y, Z) array
        Field, and room.
    taps : (2 H + 1,) array
        Kernel.
    run : callable
        Threads.
    """
    n = field.shape[1]
    run(fields.smooth_z, n, field, taps, field, 1)
    run(fields.smooth_xy, n, field, taps, spare, 1, 1)
    run(fields.smooth_xy, n, spare, taps, field, 0, 1)


def still(field: Field) -> None:
    """Hold the outermost voxels: beyond them nothing moves.

    Parameters
    ----------
    field : (3, X, Y, Z) array
        Written.
    """
    field[:, [0, -1]] = 0.0
    field[:, :, [0, -1]] = 0.0
    field[:, :, :, [0, -1]] = 0.0


def _fade(n: int, margin: float) -> NDArray[np.float32]:
    # 0 at the outermost voxels, 1 from half the margin on.
    rim = np.minimum(np.arange(n), np.arange(n)[::-1]) / max(0.5 * margin, 1.0)
    return np.asarray(np.minimum(rim, 1.0), dtype=np.float32)


def _spread(values: NDArray[np.float32], mask: NDArray[np.float32]) -> float:
    inside = values[mask > 0].astype(np.float64)
    require_mask(mask > 0)
    return max(float(inside.std()), 1e-12)


def _soft(
    volume: Volume, mask: NDArray[np.bool_] | None, spacing: float, run: Run
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float64]]:
    # As smooth as a lattice of this spacing needs, with the affine of what is kept;
    # voxels that do not count give nothing.
    image = np.asarray(volume.values)
    valid = np.isfinite(image)
    known = np.where(valid, image, 0.0).astype(np.float32)
    if mask is not None:
        valid = valid & mask
    edges, affine = volume.grid.voxel_size, volume.grid.affine.copy()
    size = float(np.mean(edges))
    if spacing <= 1.01 * size:
        return np.ascontiguousarray(known), valid, affine
    steps = strides(known.shape, edges, spacing)
    affine[:3, :3] *= steps
    known = soften(known, edges, math.sqrt(spacing**2 - size**2), steps, run)
    return known, valid[tuple(slice(None, None, s) for s in steps)], affine


def _lattice(fixed: Volume, mask: NDArray[np.bool_] | None, resolution: float) -> Grid:
    inside = np.isfinite(np.asarray(fixed.values, dtype=np.float64))
    if mask is not None:
        inside &= mask
    require_mask(inside)
    grid = fixed.grid.with_resolution(resolution)
    ends = grid.to_index(fixed.grid.to_world(np.argwhere(inside)[:, :]))
    margin = math.ceil(_MARGIN_MM / resolution)
    low = np.floor(ends.min(axis=0)).astype(int) - margin
    high = np.ceil(ends.max(axis=0)).astype(int) + margin
    affine = grid.affine.copy()
    affine[:3, 3] = grid.to_world(low)
    shape = high - low + 1
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def _coarser(grid: Grid, factor: float) -> Grid:
    affine = grid.affine.copy()
    affine[:3, :3] *= factor
    shape = [max(8, math.floor((n - 1) / factor + 1e-6) + 1) for n in grid.shape]
    return Grid((shape[0], shape[1], shape[2]), affine)


def _carry(field: Field, before: Grid, grid: Grid, run: Run) -> Field:
    out = np.zeros((3, *grid.shape), np.float32)
    if field.size:
        ratio = before.voxel_size[0] / grid.voxel_size[0]
        place = np.array([[0.0] * 3, [1.0 / ratio] * 3])
        run(fields.upsample, grid.shape[0], field, place, ratio, out)
        still(out)
    return out


def _unfold(field: Field, run: Run) -> tuple[Field, int]:
    least = np.empty(field.shape[1:], np.float32)
    spare = np.empty_like(field)
    for done in range(50):
        run(fields.volume, field.shape[1], field, least)
        if float(least.min()) >= _LEAST:
            return field, done
        smooth(field, gaussian_taps(1.0), spare, run)
        still(field)
    return field, 50


def _warp(field: Field, grid: Grid) -> Warp:
    turn = grid.affine[:3, :3]
    f = field.astype(np.float64)
    world = np.stack([sum(turn[k, j] * f[j] for j in range(3)) for k in range(3)], axis=-1)
    return Warp(np.ascontiguousarray(world), grid)


def levels(recipe: Recipe, resolution: float) -> list[tuple[float, int]]:
    """Return the spacings of a recipe down to a resolution.

    Parameters
    ----------
    recipe : Recipe
        How.
    resolution : float
        Finest spacing, mm.

    Returns
    -------
    list of (float, int)
        Spacing (mm) and most steps, coarse first; the last is the resolution itself.
    """
    steps = list(zip(recipe.spacings, recipe.rounds, strict=True))
    return [
        *((s, n) for s, n in steps if s > 1.4 * resolution),
        (resolution, next((n for s, n in steps if s <= 1.4 * resolution), recipe.rounds[-1])),
    ]
