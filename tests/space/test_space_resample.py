"""Interpolation between grids."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from space_orders import ORDERS, stored

from ekbom.space import Grid, resample, resample_labels


def shifted(grid, index):
    affine = grid.affine.copy()
    affine[:3, 3] = grid.to_world(index)
    return Grid(grid.shape, affine)


def field(grid, gradient=(0.3, -0.7, 1.1), constant=4.0):
    index = np.moveaxis(np.indices(grid.shape), 0, -1)
    return grid.to_world(index) @ np.asarray(gradient) + constant


def test_identity_changes_no_bit():
    grid = stored(*ORDERS[17])
    image = np.random.default_rng(0).normal(size=grid.shape)
    image[0, 0, 0] = np.nan
    assert resample(image, grid, grid).tobytes() == image.tobytes()


def test_shift_by_whole_voxels_copies_values():
    grid = stored((0, 1, 2), (1, -1, 1))
    image = np.random.default_rng(0).normal(size=grid.shape)
    moved = resample(image, grid, shifted(grid, [2, 1, 0]))
    assert np.array_equal(moved[:-2, :-1], image[2:, 1:])
    assert np.isnan(moved[-2:]).all()
    assert np.isnan(moved[:, -1:]).all()


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    order=st.sampled_from(ORDERS),
    gradient=st.tuples(*[st.floats(-3, 3)] * 3),
)
def test_linear_field_is_exact_under_any_affine(seed, order, gradient):
    rng = np.random.default_rng(seed)
    source = stored(*order)
    matrix = np.eye(4)
    matrix[:3, :3] = np.eye(3) + 0.3 * rng.normal(size=(3, 3))
    matrix[:3, 3] = source.corners().mean(axis=0) + rng.normal(size=3)
    target = Grid((4, 5, 3), matrix)
    out = resample(field(source, gradient), source, target)
    index = np.moveaxis(
        source.to_index(target.to_world(np.moveaxis(np.indices(target.shape), 0, -1))), -1, 0
    )
    ends = np.array(source.shape).reshape(3, 1, 1, 1) - 1
    inside = np.all((index >= 0) & (index <= ends), axis=0)
    assert np.allclose(out[inside], field(target, gradient)[inside], atol=1e-10, rtol=1e-12)


def test_every_order_of_storage_gives_the_same_world():
    plain = stored((0, 1, 2), (1, 1, 1))
    image = np.random.default_rng(2).normal(size=plain.shape)
    image[-1, -1, -1] = 50  # right, anterior, superior
    marker = plain.to_world(np.array(plain.shape) - 1)
    target = plain.with_resolution(1.7)
    expected = resample(image, plain, target)
    for axes, signs in ORDERS:
        grid = stored(axes, signs)
        other = image.transpose(axes)[tuple(slice(None, None, s) for s in signs)]
        assert other[tuple(np.round(grid.to_index(marker)).astype(int))] == 50
        assert np.array_equal(resample(other, grid, plain), image)
        assert np.allclose(
            resample(other, grid, target), expected, atol=1e-12, rtol=0, equal_nan=True
        )


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_constant_under_a_mask_stays_constant(seed):
    rng = np.random.default_rng(seed)
    grid = stored((0, 1, 2), (1, 1, 1))
    mask = rng.random(grid.shape) < 0.7
    image = np.where(mask, 2.5, rng.choice([np.nan, 1e9], size=grid.shape))
    out = resample(image, grid, grid.with_resolution(2.7), mask)
    assert np.allclose(out[np.isfinite(out)], 2.5, rtol=1e-12)


def test_less_than_half_valid_is_missing():
    grid = Grid((4, 1, 1), np.eye(4))
    for step, present in ((0.4, True), (0.6, False)):
        affine = np.eye(4)
        affine[0, 3] = step
        target = Grid((1, 1, 1), affine)
        mask = np.array([True, False, False, False]).reshape(4, 1, 1)
        out = resample(np.full((4, 1, 1), 3.0), grid, target, mask)
        assert np.isfinite(out).all() == present


def test_antialias_keeps_the_mean_of_fine_noise_small():
    fine = Grid((40, 40, 40), np.eye(4))
    noise = np.random.default_rng(8).normal(size=fine.shape)
    coarse = fine.with_resolution(4)
    plain = resample(noise, fine, coarse)
    calm = resample(noise, fine, coarse, antialias=True)
    assert np.std(calm) < 0.25 * np.std(plain)


def test_labels_stay_labels_and_the_larger_share_wins():
    grid = Grid((6, 6, 6), np.eye(4))
    labels = np.random.default_rng(4).choice([0, 3, 17, 900], size=grid.shape)
    assert np.array_equal(resample_labels(labels, grid, grid), labels)
    affine = np.eye(4)
    affine[0, 3] = 0.3
    near = resample_labels(labels, grid, Grid((5, 6, 6), affine))
    assert np.array_equal(near, labels[:5])
    out = resample_labels(labels, grid, grid.with_resolution(1.7))
    assert set(np.unique(out)) <= {0, 3, 17, 900}
    assert out.dtype == np.int32


def test_label_of_a_coarse_voxel_by_brute_force():
    source = Grid((5, 5, 5), np.eye(4))
    labels = np.random.default_rng(9).choice([0, 1, 2, 5], size=source.shape)
    affine = np.eye(4)
    affine[:3, 3] = [0.25, 0.35, 0.15]
    target = Grid((4, 4, 4), affine)
    out = resample_labels(labels, source, target)
    for index in np.ndindex(target.shape):
        shares: dict[int, float] = {}
        for corner in np.ndindex(2, 2, 2):
            weight = np.prod(
                [f if c else 1 - f for c, f in zip(corner, (0.25, 0.35, 0.15), strict=True)]
            )
            label = int(labels[tuple(np.add(index, corner))])
            shares[label] = shares.get(label, 0) + weight
        top = max(shares.values())
        assert shares[int(out[index])] == pytest.approx(top)


def test_what_is_mostly_outside_is_no_region():
    grid = Grid((3, 3, 3), np.eye(4))
    for step, label in ((0.4, 5), (0.6, 0), (0.5, 0), (1.2, 0)):
        affine = np.eye(4)
        affine[0, 3] = 2 + step
        out = resample_labels(np.full(grid.shape, 5), grid, Grid((1, 1, 1), affine))
        assert out.item() == label
