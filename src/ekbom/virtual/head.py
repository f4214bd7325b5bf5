"""The head of one virtual person: how it differs from the template, and where it lies.

Transforms pull, as everywhere in :mod:`ekbom.space`: a point of the native T1w
image is first moved by a smooth displacement, then by an affine matrix, and is
then a point of the template. The displacement is a cubic B-spline of random
coefficients plus the growth of the ventricles with age plus the torque that
brains have (right frontal and left occipital parts stand out). All sizes are
assumed; they stand in the design.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ekbom.space.grid import Grid
from ekbom.space.transform import Affine, Chain, Rigid, Transform, Warp, jacobian, rotation
from ekbom.virtual.design_parts import Head as Settings

Array = NDArray[np.float64]

#: Lattice on which a displacement is stored, mm; what is stored is what is used.
_LATTICE = 4.0
_HALF = (132.0, 144.0, 132.0)

#: About which a head is scaled and turned, MNI mm.
CENTRE = np.array([0.0, -18.0, 6.0])

#: Bodies of the lateral ventricles, MNI mm: centre and width of the region that grows.
_VENTRICLES = (
    ((-13.0, -12.0, 20.0), (13.0, 24.0, 13.0)),
    ((13.0, -12.0, 20.0), (13.0, 24.0, 13.0)),
)

#: A displacement is halved until no volume is folded below this.
LEAST_JACOBIAN = 0.2


@dataclass(frozen=True, eq=False)
class Head:
    """One person's anatomy and the way it lies in the two scanners.

    Parameters
    ----------
    affine : Affine
        From displaced native points to the template.
    warp, unwarp : Warp
        Displacement of native points, and its inverse.
    pet : Rigid
        From points of the PET frame of reference to points of the T1w image.
    jacobian : (2,) tuple of float
        Smallest and largest determinant of the displacement.
    ventricles : float
        Share by which the ventricles are wider than the template's.
    """

    affine: Affine
    warp: Warp
    unwarp: Warp
    pet: Rigid
    jacobian: tuple[float, float]
    ventricles: float

    @property
    def to_template(self) -> Chain:
        """Points of the T1w image to points of the template."""
        return Chain((self.affine, self.warp))

    @property
    def from_template(self) -> Chain:
        """Points of the template to points of the T1w image."""
        return Chain((self.unwarp, self.affine.inverse()))

    def pet_to_template(self) -> Transform:
        """Return points of PET to points of the template."""
        return Chain((self.affine, self.warp, self.pet))


def draw_head(rng: np.random.Generator, settings: Settings, age: float) -> Head:
    """Draw the anatomy of one person.

    Parameters
    ----------
    rng : numpy.random.Generator
        Stream of the person's head.
    settings : ekbom.virtual.design_parts.Head
        Spreads.
    age : float
        Years; ventricles grow with it.

    Returns
    -------
    Head
        With a displacement whose Jacobian stays above 0.2.
    """
    affine = _draw_affine(rng, settings)
    lattice = _lattice()
    field = _spline_field(rng, lattice, settings.warp_sd_mm, settings.warp_knot_mm)
    ventricles = float(
        settings.ventricle_percent_per_year / 100.0 * (age - 50.0)
        + settings.ventricle_sd * rng.standard_normal()
    )
    ventricles = float(np.clip(ventricles, -0.25, 0.4))
    field = field + _ventricle_field(lattice, affine, ventricles)
    field = field + _torque_field(lattice, settings.torque_mm)
    for _ in range(12):
        warp = Warp(field.astype(np.float32), lattice)
        volume = jacobian(warp, lattice)
        if volume.min() > LEAST_JACOBIAN:
            break
        field = 0.8 * field
    return Head(
        affine,
        warp,
        _inverse(warp),
        draw_position(rng, settings),
        (float(volume.min()), float(volume.max())),
        ventricles,
    )


def draw_position(rng: np.random.Generator, settings: Settings) -> Rigid:
    """Draw how a head lies in the PET scanner.

    Parameters
    ----------
    rng : numpy.random.Generator
        Stream.
    settings : ekbom.virtual.design_parts.Head
        Spreads.

    Returns
    -------
    Rigid
        From points of PET to points of the T1w image.
    """
    turn, shift = settings.pet_offset_deg, settings.pet_offset_mm
    numbers = [np.radians(turn) * rng.standard_normal(3), shift * rng.standard_normal(3)]
    return Rigid.of(np.concatenate(numbers), CENTRE)


def _draw_affine(rng: np.random.Generator, settings: Settings) -> Affine:
    common = 0.9 * settings.scale_sd * rng.standard_normal()
    own = np.sqrt(0.19) * settings.scale_sd * rng.standard_normal(3)
    scale = np.diag(np.exp(common + own))
    shear = np.eye(3)
    shear[np.triu_indices(3, 1)] = settings.shear_sd * rng.standard_normal(3)
    turn = rotation(*(np.radians(settings.turn_deg) * rng.standard_normal(3)))
    shift = settings.shift_mm * rng.standard_normal(3)
    there = np.eye(4)  # template to native
    there[:3, :3] = turn @ scale @ shear
    there[:3, 3] = CENTRE + shift - there[:3, :3] @ CENTRE
    return Affine(there).inverse()


def _lattice() -> Grid:
    shape = [int(2 * half / _LATTICE) + 1 for half in _HALF]
    affine = np.diag([_LATTICE, _LATTICE, _LATTICE, 1.0])
    affine[:3, 3] = CENTRE - np.array(_HALF)
    return Grid((shape[0], shape[1], shape[2]), affine)


def _axes(lattice: Grid) -> list[Array]:
    return [
        lattice.affine[k, 3] + _LATTICE * np.arange(lattice.shape[k]) - CENTRE[k] for k in range(3)
    ]


def _spline_field(rng: np.random.Generator, lattice: Grid, sd_mm: float, knot: float) -> Array:
    """Return a cubic B-spline of random coefficients, SD ``sd_mm`` an axis in the brain."""
    basis = []
    for axis, half in zip(_axes(lattice), _HALF, strict=True):
        # the outermost two knots are zero, so that the field ends inside the lattice
        n = int(np.floor((half - 2.0 * knot) / knot + 1e-9))
        at = np.abs(axis[:, None] - knot * np.arange(-n, n + 1)[None, :]) / knot
        basis.append(
            np.where(at < 1, 2 / 3 - at**2 + at**3 / 2, np.where(at < 2, (2 - at) ** 3 / 6, 0.0))
        )
    coefficients = rng.standard_normal((*(b.shape[1] for b in basis), 3))
    field: Array = np.einsum("xi,yj,zk,ijkc->xyzc", *basis, coefficients, optimize=True)
    # mean over a cell of the sum of squared weights: (151/315)^3
    scaled: Array = field * (sd_mm / np.sqrt((151.0 / 315.0) ** 3))
    return scaled


def _ventricle_field(lattice: Grid, affine: Affine, growth: float) -> Array:
    """Points near a ventricle look nearer to its middle, so that it is seen larger."""
    x, y, z = _axes(lattice)
    place = np.stack(np.meshgrid(x, y, z, indexing="ij"), axis=-1) + CENTRE
    back = affine.inverse()
    out = np.zeros(place.shape)
    for centre, width in _VENTRICLES:
        from_centre = place - back.points(centre)
        near = np.exp(-0.5 * np.sum((from_centre / np.array(width)) ** 2, axis=-1))
        out -= growth / 1.4 * near[..., None] * from_centre
    return out


def _torque_field(lattice: Grid, torque_mm: float) -> Array:
    """Right frontal and left occipital poles stand out by ``torque_mm``, smoothly."""
    x, y, z = _axes(lattice)
    right = np.tanh(x / 25.0)[:, None, None]
    front = np.tanh(y / 50.0)[None, :, None]
    near = (
        np.exp(-0.5 * ((x / 60.0) ** 2))[:, None, None]
        * np.exp(-0.5 * ((y / 75.0) ** 2))[None, :, None]
        * np.exp(-0.5 * ((z / 60.0) ** 2))[None, None, :]
    )
    out = np.zeros((*lattice.shape, 3))
    # pulled towards the middle, hence seen further out, where right * front > 0
    out[..., 1] = -2.0 * torque_mm * right * np.abs(front) * near
    return out


def _inverse(warp: Warp, rounds: int = 40, tolerance: float = 0.01) -> Warp:
    """Invert by fixed point, v(y) = -u(y + v(y)), until 0.01 mm at every point."""
    place = warp.grid.to_world(np.moveaxis(np.indices(warp.grid.shape), 0, -1)).reshape(-1, 3)
    back = -warp.displacement.reshape(-1, 3)
    left = np.arange(len(place))
    for _ in range(rounds):
        miss = warp.points(place[left] + back[left]) - place[left]
        far = np.abs(miss).max(axis=1) > tolerance
        left, miss = left[far], miss[far]
        if not left.size:
            break
        back[left] -= miss
    return Warp(back.reshape(warp.displacement.shape).astype(np.float32), warp.grid)
