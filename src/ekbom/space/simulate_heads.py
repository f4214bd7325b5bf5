"""Made heads with known truth: the template bent, turned, shaded, noisy, with a lesion, cut.

The way from a head to the template is made first and is exact at every voxel
of the head, so nothing needs to be inverted to know the truth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ekbom.space.grid import Grid
from ekbom.space.image import Volume
from ekbom.space.smooth import FWHM_PER_SIGMA, gaussian
from ekbom.space.template import template
from ekbom.space.transform import Affine, Chain, Rigid, Transform, Warp, jacobian
from ekbom.space.warp import source_indices

#: Centre (mm) about which heads are turned.
_CENTRE = (0.0, -20.0, 10.0)


@dataclass(frozen=True, eq=False)
class BentHead:
    """One made head.

    Parameters
    ----------
    t1 : Volume
        T1-weighted image without skull.
    grey, white : Volume
        True tissue shares, 0 to 1.
    psi : Transform
        From points of the head to points of the template.
    rms : float
        Root mean square of the bend over the brain, mm.
    turn : float
        Degrees.
    lesion, cut : bool
        Whether tissue is missing, and whether the field of view cuts the brain.
    """

    t1: Volume
    grey: Volume
    white: Volume
    psi: Transform
    rms: float
    turn: float
    lesion: bool
    cut: bool


def bent_head(
    seed: int, *, voxel: float = 1.0, rms: float | None = None, turn: float | None = None
) -> BentHead:
    """Make a head.

    Bends of 3 to 8 mm rms, sizes within 5 %, shifts of some mm; every third head
    is turned by 30 degrees, the others by up to 12; every other has a dark lesion
    of 8 to 16 mm radius; every fourth is cut so that up to a tenth of the brain is
    missing below or above. Shading of 15 % and noise of 3 % of the brightest tissue.

    Parameters
    ----------
    seed : int
        Of every draw.
    voxel : float
        Edge, mm.
    rms : float, optional
        Of the bend, mm; drawn by default.
    turn : float, optional
        Degrees; drawn by default.

    Returns
    -------
    BentHead
        Image and truth.
    """
    rng = np.random.default_rng([seed, 77])
    drawn = rng.uniform(3.0, 8.0), rng.uniform(0.0, 12.0)
    size = drawn[0] if rms is None else rms
    angle = (30.0 if seed % 3 == 0 else drawn[1]) if turn is None else turn
    axis = rng.normal(size=3)
    axis /= np.sqrt((axis**2).sum())
    turned = Rigid(_about(axis, np.radians(angle)))
    shift = rng.normal(size=3) * 6.0
    scale = np.diag([*(1.0 + rng.uniform(-0.05, 0.05, size=3)), 1.0])
    scale[0, 1], scale[1, 2] = rng.uniform(-0.03, 0.03, size=2)
    move = np.eye(4)
    move[:3, 3] = shift
    psi = Chain((_bend(rng, size), Affine(scale @ turned.matrix @ move)))
    head = template(1.0)
    shape = tuple(int(n / voxel) for n in (190, 226, 200))
    affine = np.diag([voxel, voxel, voxel, 1.0])
    # The head lies near the middle of its field of view, as at a scanner.
    middle = np.linalg.inv(scale @ turned.matrix @ move) @ np.array([*_CENTRE, 1.0])
    affine[:3, 3] = middle[:3] - (np.array(shape) - 1) * voxel / 2
    grid = Grid((shape[0], shape[1], shape[2]), affine)
    index = source_indices(head.grid, grid, psi)
    image, grey, white = (
        ndimage.map_coordinates(np.asarray(m, dtype=np.float64), index, order=1)
        for m in (head.t1, head.grey, head.white)
    )
    lesion = seed % 2 == 1
    if lesion:
        spots = np.argwhere(white > 0.7)
        spot = grid.to_world(spots[int(rng.integers(len(spots)))])
        place = grid.to_world(np.moveaxis(np.indices(grid.shape), 0, -1))
        near = ((place - spot) ** 2).sum(axis=-1) < rng.uniform(8.0, 16.0) ** 2
        image = np.where(near & (image > 0), 0.25, image)
    coarse = tuple(n // 8 for n in grid.shape)
    shade = gaussian(rng.normal(size=coarse), (8.0 * voxel,) * 3, 70.0)
    shade = ndimage.zoom(
        shade / shade.std(), [n / c for n, c in zip(grid.shape, coarse, strict=True)], order=1
    )
    image = image * np.exp(0.15 * shade) + 0.03 * rng.normal(size=grid.shape)
    low, high = 0, grid.shape[2]
    cut = seed % 4 == 2
    if cut:
        share = np.cumsum((grey + white > 0.5).sum(axis=(0, 1)))
        part = rng.uniform(0.05, 0.10) * share[-1]
        if rng.random() < 0.5:
            low = int(np.searchsorted(share, part))
        else:
            high = int(np.searchsorted(share, share[-1] - part))
    affine = grid.affine.copy()
    affine[2, 3] += low * voxel
    seen = Grid((grid.shape[0], grid.shape[1], high - low), affine)
    t1, g, w = (
        Volume(np.asarray(m[:, :, low:high], dtype=np.float32), seen) for m in (image, grey, white)
    )
    return BentHead(t1, g, w, psi, size, angle, lesion, cut)


def _bend(rng: np.random.Generator, rms: float) -> Warp:
    inside = template(4.0)
    grid = Grid(
        (62, 70, 62), np.array([[4.0, 0, 0, -122], [0, 4, 0, -158], [0, 0, 4, -104], [0, 0, 0, 1]])
    )
    low = np.round(grid.to_index(inside.grid.affine[:3, 3])).astype(int)
    here = tuple(slice(a, a + n) for a, n in zip(low, inside.grid.shape, strict=True))
    grain = rng.normal(size=(3, *grid.shape))
    # Large bends are smoother than small ones, as far as it takes not to fold.
    sigma = 9.0 + 1.2 * rms
    while True:
        field = np.stack([gaussian(g, grid.voxel_size, FWHM_PER_SIGMA * sigma) for g in grain], -1)
        brain = field[here][np.asarray(inside.brain)]
        field *= rms / np.sqrt((brain**2).sum(axis=-1).mean())
        out = Warp(field, grid)
        if float(jacobian(out, grid)[2:-2, 2:-2, 2:-2].min()) > 0.2:
            return out
        sigma *= 1.1


def _about(axis: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    # Rodrigues about a centre.
    x, y, z = axis
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turn = np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k
    out = np.eye(4)
    out[:3, :3] = turn
    centre = np.array(_CENTRE)
    out[:3, 3] = centre - turn @ centre
    return out
