"""Grids: world and index, orientation, equality."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from space_orders import ORDERS, stored

from ekbom.errors import Refused
from ekbom.space import Grid, checks


def test_there_are_48_orders():
    assert len({stored(*order).orientation for order in ORDERS}) == 48


@pytest.mark.parametrize(("axes", "signs"), ORDERS)
def test_letters_say_where_axes_point(axes, signs):
    grid = stored(axes, signs)
    for k, letter in enumerate(grid.orientation):
        step = np.zeros(3)
        step[k] = 1
        moved = grid.to_world(step) - grid.to_world([0, 0, 0])
        world = {"R": 0, "L": 0, "A": 1, "P": 1, "S": 2, "I": 2}[letter]
        assert np.flatnonzero(moved).tolist() == [world]
        assert (moved[world] > 0) == (letter in "RAS")
    assert grid.obliquity == 0


@settings(max_examples=60, deadline=None)
@given(
    order=st.sampled_from(ORDERS),
    angles=st.tuples(*[st.floats(-0.7, 0.7)] * 3),
    point=st.tuples(*[st.floats(-200, 200)] * 3),
)
def test_world_and_back(order, angles, point):
    grid = stored(*order)
    turn = np.eye(4)
    for axis, angle in enumerate(angles):
        one = np.eye(4)
        i, j = [k for k in range(3) if k != axis]
        one[i, i] = one[j, j] = np.cos(angle)
        one[i, j], one[j, i] = -np.sin(angle), np.sin(angle)
        turn = turn @ one
    turned = Grid(grid.shape, turn @ grid.affine)
    assert np.allclose(turned.to_world(turned.to_index(point)), point, atol=1e-10, rtol=0)
    assert np.allclose(turned.voxel_size, grid.voxel_size, atol=1e-12)


def test_one_point_alone_or_among_others_is_the_same_to_the_bit():
    rng = np.random.default_rng(3)
    grid = Grid((5, 6, 7), np.vstack([rng.normal(size=(3, 4)), [0, 0, 0, 1]]))
    points = rng.normal(size=(100, 3)) * 80
    together = grid.to_index(points)
    assert all(np.array_equal(grid.to_index(p), q) for p, q in zip(points, together, strict=True))


def test_obliquity_is_the_angle_of_the_turn():
    angle = np.deg2rad(20)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    assert Grid((4, 4, 4), turn).obliquity == pytest.approx(20, abs=1e-9)
    # At 45 degrees two axes could take the same letter; they do not.
    angle = np.deg2rad(45)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    assert {"RLAPSI".index(c) // 2 for c in Grid((4, 4, 4), turn).orientation} == {0, 1, 2}


def test_equality_is_a_tenth_of_a_micrometre_at_the_corners():
    one = Grid((100, 100, 100), np.eye(4))
    for move, same in ((0.9e-4, True), (1.1e-4, False)):
        affine = np.eye(4)
        affine[0, 3] = move
        assert (one == Grid(one.shape, affine)) is same
    # A voxel size that differs in the sixth digit adds up over 99 voxels.
    assert one != Grid(one.shape, np.diag([1 + 2e-6, 1, 1, 1.0]))
    assert one == Grid(one.shape, np.diag([1 + 5e-7, 1, 1, 1.0]))
    assert one != Grid((100, 100, 99), np.eye(4))
    with pytest.raises(Refused) as no:
        one.require(Grid((100, 100, 99), np.eye(4)), mine="a.nii", theirs="b.nii")
    assert no.value.what == checks.GRIDS_DIFFER.what
    assert "1 mm at a corner" in no.value.found


@pytest.mark.parametrize(
    ("shape", "affine"),
    [
        ((0, 2, 2), np.eye(4)),
        ((2, 2), np.eye(4)),
        ((2, 2, 2), np.zeros((4, 4))),
        ((2, 2, 2), np.full((4, 4), np.nan)),
        ((2, 2, 2), np.eye(3)),
        ((2, 2, 2), np.diag([1.0, 1, 1, 2])),
    ],
)
def test_impossible_grids_are_refused(shape, affine):
    with pytest.raises(Refused):
        Grid(shape, affine)


def test_other_resolution_keeps_first_voxel_and_stays_inside():
    fine = Grid(
        (197, 233, 189), np.array([[1, 0, 0, -98], [0, 1, 0, -134], [0, 0, 1, -72], [0, 0, 0, 1.0]])
    )
    coarse = fine.with_resolution(4)
    assert coarse.shape == (50, 59, 48)
    assert coarse.to_world([0, 0, 0]).tolist() == [-98, -134, -72]
    assert np.all(coarse.corners().max(axis=0) <= fine.corners().max(axis=0))
    for order in ORDERS:
        grid = stored(*order)
        other = grid.with_resolution(1.5)
        assert other.orientation == grid.orientation
        assert np.allclose(other.voxel_size, 1.5)
        assert np.allclose(other.to_world([0, 0, 0]), grid.to_world([0, 0, 0]))


def test_a_grid_cannot_be_changed_or_hashed():
    grid = Grid((2, 2, 2), np.eye(4))
    with pytest.raises(ValueError, match="read-only"):
        grid.affine[0, 0] = 2
    with pytest.raises(TypeError):
        hash(grid)
