"""Deformable registration: derivative, known fields found again, folds, threads, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from ekbom.errors import Refused
from ekbom.space import Grid, Volume, template
from ekbom.space.normalise import pet_to_t1, to_template
from ekbom.space.quality import dice
from ekbom.space.register import deform as d
from ekbom.space.register.own import Own
from ekbom.space.smooth import gaussian
from ekbom.space.transform import Affine, Chain, Rigid, Warp, compose, jacobian, round_trip
from ekbom.space.warp import warp

NONE = Rigid(np.eye(4))


@pytest.fixture(scope="module")
def head():
    t = template(4.0)
    return t, Volume(np.asarray(t.t1, float), t.grid)


def wavy(grid, size, seed=3, fwhm=45.0):
    rng = np.random.default_rng(seed)
    field = np.stack(
        [gaussian(rng.normal(size=grid.shape), grid.voxel_size, fwhm) for _ in range(3)], axis=-1
    )
    return Warp(field * size / np.sqrt((field**2).sum(axis=-1)).max(), grid)


@pytest.fixture(scope="module")
def bent(head):
    """A head bent by at most 13 mm, and what was found: (true psi, image, registration)."""
    t, still = head
    psi = wavy(t.grid, 13.0)
    image = np.nan_to_num(warp(still.values, t.grid, t.grid, psi))
    image += np.random.default_rng(1).normal(scale=0.02, size=image.shape)
    moving = Volume(image, t.grid)
    found = Own().deformable(
        still, moving, NONE, fixed_mask=np.asarray(t.brain), resolution=4.0, threads=2
    )
    return psi, moving, found


def inside(t, step=20):
    return t.grid.to_world(np.argwhere(t.brain)[::step])


def test_derivative_is_that_of_the_metric(head):
    t, still = head
    moving = Volume(np.nan_to_num(warp(t.t1, t.grid, t.grid, wavy(t.grid, 6.0))), t.grid)
    serial = lambda kernel, planes, *rest: kernel(*rest, 0, planes)  # noqa: E731
    grid = d._lattice(still, t.brain, 8.0)
    level = d._Level(still, moving, t.brain, None, NONE, grid, d.Recipe(), serial)
    level.taps = np.ones(1, np.float32)  # the derivative itself, not smoothed
    level.fade = [np.ones(n, np.float32) for n in grid.shape]
    # Off the lattice: a trilinear image has kinks at its voxels.
    nothing = np.full((3, *grid.shape), 0.2, np.float32)
    level.look(nothing)
    count = level.sums[:, 1].sum()
    slope = level.slope().astype(float)
    rng = np.random.default_rng(0)
    for _ in range(4):
        way = np.stack([gaussian(rng.normal(size=grid.shape), (1, 1, 1), 4.0) for _ in range(3)])
        way = (way / np.abs(way).max()).astype(np.float32)
        ends = [level.look(nothing + sign * np.float32(0.01) * way) for sign in (1, -1)]
        numeric = (ends[0] - ends[1]) / 0.02 * count
        assert (slope * way).sum() == pytest.approx(numeric, rel=0.05, abs=1.0)


def test_known_field_is_found(head, bent):
    t, _ = head
    psi, _, found = bent
    points = inside(t)
    # psi takes points of the bent head to the template: the way back must end where it began.
    miss = np.linalg.norm(psi.points(found.transform.points(points)) - points, axis=-1)
    start = np.linalg.norm(psi.points(points) - points, axis=-1)
    assert np.median(miss) < 0.4 * np.median(start)
    assert np.median(miss) < 1.2  # voxels of 4 mm
    grey = np.nan_to_num(warp(t.grey, t.grid, t.grid, psi))
    before = dice(grey > 0.5, t.grey_mask)
    after = dice(np.nan_to_num(warp(grey, t.grid, t.grid, found.transform)) > 0.5, t.grey_mask)
    assert before < 0.8
    assert after > 0.88


def test_inverse_and_folds(head, bent):
    t, _ = head
    found = bent[2]
    apart = round_trip(found.transform, found.inverse, inside(t, 5))
    assert np.percentile(apart, 95) < 0.5
    assert jacobian(found.transform, t.grid)[np.asarray(t.brain)].min() > 0.05


def test_inverse_of_a_steep_field_comes_to_rest():
    """Slopes from -0.9 to 1.6 along each axis: above 1 the fixed point wanders for ever."""
    from ekbom.space.register.inverse import invert

    n, k = 33, 2 * np.pi / 16
    grid = Grid((n, n, n), np.diag([4.0, 4.0, 4.0, 1.0]))
    wave = 0.8 / k * (np.sin(k * np.arange(n)) + np.sin(2 * k * np.arange(n)) / 2)
    field = np.zeros((3, n, n, n), np.float32)
    for axis in range(3):
        field[axis] = wave.reshape([-1 if axis == j else 1 for j in range(3)])
    d.still(field)
    back, lattice, miss = invert(
        field, grid, lambda kernel, planes, *rest: kernel(*rest, 0, planes)
    )
    assert miss < 0.01
    assert lattice.shape == (49, 49, 49)
    assert lattice.voxel_size == pytest.approx((8 / 3,) * 3)
    there, here = d._warp(field, grid), d._warp(back, lattice)
    points = lattice.to_world(np.argwhere(np.ones(lattice.shape, dtype=bool)))[::7]
    assert float(round_trip(here, there, points).max()) < 0.01  # at its own voxels
    same, unchanged, _ = invert(
        field, Grid((n, n, n), np.diag([2.0, 2.0, 2.0, 1.0])),
        lambda kernel, planes, *rest: kernel(*rest, 0, planes),
    )  # fmt: skip
    assert same.shape == field.shape
    assert unchanged.voxel_size == (2.0, 2.0, 2.0)


def test_same_bytes_on_any_number_of_threads(head, bent):
    t, still = head
    _, moving, found = bent
    again = Own().deformable(
        still, moving, NONE, fixed_mask=np.asarray(t.brain), resolution=4.0, threads=1
    )
    for one, other in ((found.transform, again.transform), (found.inverse, again.inverse)):
        fields = [
            next(p for p in side.parts if isinstance(p, Warp)).displacement for side in (one, other)
        ]
        assert fields[0].tobytes() == fields[1].tobytes()


def test_same_image_stays(head):
    t, still = head
    warped, _, _, _ = d.deform(still, still, NONE, fixed_mask=t.brain, resolution=4.0)
    assert np.abs(warped.displacement).max() == 0.0


def test_swapped_images_give_about_the_inverse(head, bent):
    t, still = head
    _, moving, found = bent
    other = Own().deformable(moving, still, NONE, resolution=4.0)
    points = inside(t)
    apart = round_trip(found.transform, other.transform, points)
    far = np.linalg.norm(found.transform.points(points) - points, axis=-1)
    assert np.median(apart) < 0.25 * np.median(far)
    assert np.median(apart) < 1.5  # voxels of 4 mm


def test_a_folded_field_is_mended():
    n = 24
    x = np.indices((n, n, n), dtype=float)[0]
    field = np.zeros((3, n, n, n), np.float32)
    field[0] = -4.0 * np.sin((x - 11.5) / 2.0) * (np.abs(x - 11.5) < 6.2)
    d.still(field)
    serial = lambda kernel, planes, *rest: kernel(*rest, 0, planes)  # noqa: E731
    least = np.empty(field.shape[1:], np.float32)
    d.fields.volume(field, least, 0, n)
    assert least.min() < 0
    mended, rounds = d._unfold(field, serial)
    assert rounds > 0
    d.fields.volume(mended, least, 0, n)
    assert least.min() > 0


def test_to_template_and_its_numbers(head):
    t, still = head
    true = Affine([[1.04, 0.05, 0, 6], [-0.06, 0.97, 0.03, -5], [0, -0.02, 1.02, 4], [0, 0, 0, 1]])
    bend = wavy(t.grid, 5.0)
    image = np.nan_to_num(warp(still.values, t.grid, t.grid, Chain((bend, true))))
    found = to_template(Volume(image, t.grid), resolution_mm=4.0)
    points = inside(t)
    miss = Chain((bend, true)).points(found.transform.points(points)) - points
    assert np.median(np.linalg.norm(miss, axis=-1)) < 1.2
    q = found.quality
    assert q["nmi"] > q["nmi_start"]
    assert q["metric"] > q["metric_start"]
    assert q["folded"] == 0
    assert q["inverse_p95_mm"] < 0.5
    assert q["coverage"] > 0.99
    assert q["turn_deg"] == pytest.approx(3.5, abs=1.5)


def test_refusals(head):
    t, still = head
    turned = Rigid.of([0, 0, np.radians(90), 0, 0, 0], [0, -20, 10])
    image = np.nan_to_num(warp(still.values, t.grid, t.grid, turned.inverse()))
    with pytest.raises(Refused, match="lies turned"):
        to_template(Volume(image, t.grid), resolution_mm=4.0, start=turned, kind="affine")
    cut = still.values[:, :, 20:]
    affine = t.grid.affine.copy()
    affine[2, 3] += 20 * 4.0
    with pytest.raises(Refused, match="too little of the brain"):
        to_template(
            Volume(cut, Grid(cut.shape, affine)), resolution_mm=4.0, start="header", kind="rigid"
        )
    with pytest.raises(Refused, match="metric"):
        Own().register(still, still, kind="deformable", metric="ssd")
    noise = np.random.default_rng(0).normal(size=t.grid.shape)
    with pytest.raises(Refused, match="could not be registered"):
        to_template(Volume(noise, t.grid), resolution_mm=4.0)


def test_pet_to_t1_and_a_mirrored_pet(head):
    t, still = head
    place = t.grid.to_world(np.moveaxis(np.indices(t.grid.shape), 0, -1))
    hole = ((place - [35, -20, 25]) ** 2).sum(axis=-1) < 18**2
    t1 = Volume(np.where(hole, 0.2, still.values), t.grid)
    uptake = np.where(hole, 0.1, t.grey + 0.3 * t.white)
    true = Rigid.of([*np.radians([4, -6, 5]), 5, -4, 6])
    pet = gaussian(
        np.nan_to_num(warp(uptake, t.grid, t.grid, true.inverse())), t.grid.voxel_size, 6.0
    )
    found = pet_to_t1(Volume(pet, t.grid), t1, t1_mask=np.asarray(t.brain), resolution_mm=4.0)
    miss = found.transform.points(inside(t)) - true.points(inside(t))
    assert np.linalg.norm(miss, axis=-1).max() < 1.0
    assert found.quality["nmi_as_is"] > found.quality["nmi_mirrored"]
    both = compose(found.transform, found.inverse)
    np.testing.assert_allclose(both.matrix, np.eye(4), atol=1e-9)
    with pytest.raises(Refused, match="disagree in left and right"):
        pet_to_t1(
            Volume(pet[::-1].copy(), t.grid), t1, t1_mask=np.asarray(t.brain), resolution_mm=4.0
        )
