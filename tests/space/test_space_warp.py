"""One interpolation: what is exact, what is bounded."""

from __future__ import annotations

import numpy as np
import pytest

from ekbom.errors import Refused
from ekbom.space.grid import Grid
from ekbom.space.transform import Affine, Chain, Rigid, Warp, compose, world_points
from ekbom.space.warp import warp

RNG = np.random.default_rng(1)
GRID = Grid(
    (14, 16, 12), np.array([[-2.0, 0, 0, 12], [0, 2, 0, -16], [0, 0, 3, -10], [0, 0, 0, 1]])
)
NOISE = RNG.normal(size=GRID.shape)
STILL = Rigid(np.eye(4))
TILTED = Affine(
    [[1.02, 0.05, 0, 0.6], [-0.04, 0.97, 0.1, -0.3], [0, -0.08, 1.03, 0.4], [0, 0, 0, 1]]
)


def blob(grid, centre=(1.0, -2.0, 3.0), width=5.0):
    d2 = ((world_points(grid) - np.array(centre)) ** 2).sum(-1)
    return np.exp(-d2 / (2 * width**2))


@pytest.mark.parametrize("how", ["linear", "cubic", "nearest"])
def test_identity_is_bitwise(how):
    np.testing.assert_array_equal(warp(NOISE, GRID, GRID, STILL, interpolation=how), NOISE)


@pytest.mark.parametrize("how", ["linear", "cubic", "nearest"])
def test_whole_voxels_are_exact(how):
    # One voxel along the first axis is 2 mm to the left.
    moved = warp(NOISE, GRID, GRID, Rigid.of([0, 0, 0, -2.0, 0, 0]), interpolation=how)
    np.testing.assert_array_equal(moved[:-1], NOISE[1:])
    assert np.isnan(moved[-1]).all()


def test_linear_functions_are_reproduced():
    place = world_points(GRID)
    image = 3 + place @ [0.2, -0.7, 0.4]
    out = warp(image, GRID, GRID, TILTED)
    exact = 3 + TILTED.points(place) @ [0.2, -0.7, 0.4]
    inside = np.isfinite(out)
    inside[[0, -1]] = inside[:, [0, -1]] = inside[:, :, [0, -1]] = False
    # Voxels that fall wholly inside.
    index = GRID.to_index(TILTED.points(place))
    inside &= ((index >= 0) & (index <= np.array(GRID.shape) - 1)).all(-1)
    assert inside.sum() > 500
    np.testing.assert_allclose(out[inside], exact[inside], atol=1e-10)


@pytest.mark.parametrize("how", ["linear", "cubic", "nearest"])
def test_constant_under_a_mask(how):
    mask = blob(GRID, width=6) > 0.3
    image = np.where(mask, 7.0, np.nan)
    out = warp(image, GRID, GRID, TILTED, interpolation=how)
    assert 0.7 * mask.sum() < np.isfinite(out).sum() < 1.3 * mask.sum()
    np.testing.assert_allclose(out[np.isfinite(out)], 7.0, rtol=1e-12)
    again = warp(np.where(mask, 7.0, 99.0), GRID, GRID, TILTED, interpolation=how, mask=mask)
    np.testing.assert_allclose(again, out, rtol=1e-12)


def test_cubic_is_nearer_and_does_not_ring():
    exact = blob(GRID, width=4)
    turn = Rigid.of([0.05, 0.02, -0.04, 0.7, -0.9, 1.1])
    truth = np.exp(-((turn.points(world_points(GRID)) - [1.0, -2.0, 3.0]) ** 2).sum(-1) / 32)
    errors = {}
    for how in ("linear", "cubic"):
        out = warp(exact, GRID, GRID, turn, interpolation=how)
        errors[how] = np.nanmax(np.abs(out - truth)[2:-2, 2:-2, 2:-2])
    assert errors["cubic"] < 0.4 * errors["linear"]
    step = (world_points(GRID)[..., 0] > 0).astype(float)
    out = warp(step, GRID, GRID, turn, interpolation="cubic")
    assert np.nanmin(out) >= 0
    assert np.nanmax(out) <= 1


def test_one_interpolation_beats_three():
    fine = blob(GRID, width=4)
    parts = [Rigid.of([0.04 * k, -0.03, 0.02, 0.7, 0.5 * k, -0.6]) for k in (1, 2, -1)]
    chain = Chain(tuple(parts))
    truth = np.exp(-((chain.points(world_points(GRID)) - [1.0, -2.0, 3.0]) ** 2).sum(-1) / 32)
    once = warp(fine, GRID, GRID, chain)
    thrice = fine
    for part in parts:
        thrice = warp(thrice, GRID, GRID, part)
    both = np.isfinite(once) & np.isfinite(thrice)
    assert np.abs(once - truth)[both].max() < 0.6 * np.abs(thrice - truth)[both].max()
    np.testing.assert_allclose(once, warp(fine, GRID, GRID, compose(*parts)), atol=1e-9)


def test_labels_stay_labels_and_fields_go_in_the_chain():
    labels = RNG.integers(0, 4, GRID.shape)
    out = warp(labels, GRID, GRID, TILTED, interpolation="label")
    assert set(np.unique(out)) <= {0.0, 1.0, 2.0, 3.0}
    np.testing.assert_array_equal(warp(labels, GRID, GRID, STILL, interpolation="label"), labels)
    # A constant field is a shift.
    field = Warp(np.broadcast_to([2.0, 0, 0], (*GRID.shape, 3)), GRID)
    moved = warp(NOISE, GRID, GRID, Chain((STILL, field)))
    np.testing.assert_allclose(moved[1:], NOISE[:-1], rtol=1e-12)


def test_unknown_interpolation():
    with pytest.raises(Refused, match="interpolation"):
        warp(NOISE, GRID, GRID, STILL, interpolation="sinc")  # type: ignore[arg-type]
