"""Values between voxels, against scipy's own spline interpolation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from ekbom.space import Grid, Volume
from ekbom.space.finer import finer
from ekbom.space.transform import Rigid
from ekbom.space.warp import interpolate, source_indices

SHAPES = [(9, 8, 7), (5, 1, 7), (2, 3, 4)]


def _around(image, index, pick):
    low = np.floor(index).astype(int)
    out = []
    for corner in np.ndindex(2, 2, 2):
        on = (low == index).all(axis=0)
        place = [
            np.clip(np.clip(low[k], 0, n - 1) + np.where(on, 0, corner[k]), 0, n - 1)
            for k, n in enumerate(image.shape)
        ]
        out.append(image[tuple(place)])
    return pick(out, axis=0)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("holes", [0, 4])
def test_values_are_those_of_scipy(shape, holes):
    rng = np.random.default_rng(3)
    image = rng.normal(size=shape)
    image.ravel()[rng.permutation(image.size)[:holes]] = np.nan
    top = np.array(shape)[:, None] - 1
    # inside, on voxels, in the rim and beyond
    index = np.concatenate(
        [rng.uniform(-1.5, top + 1.5, (3, 400)), rng.integers(0, top + 1, (3, 40))], axis=1
    )
    valid = np.isfinite(image)
    filled = np.where(valid, image, 0.0)
    share = ndimage.map_coordinates(valid.astype(float), index, order=1, mode="grid-constant")
    there = share >= 0.5
    total = ndimage.map_coordinates(filled, index, order=1, mode="grid-constant")
    found = interpolate(image, index)
    np.testing.assert_array_equal(np.isfinite(found), there)
    np.testing.assert_allclose(found[there], (total / np.maximum(share, 0.1))[there], atol=1e-12)
    if holes:
        near = ndimage.distance_transform_edt(~valid, return_distances=False, return_indices=True)
        filled = filled[tuple(near)]
    spline = ndimage.map_coordinates(filled, index, order=3, mode="mirror")
    wanted = np.clip(spline, _around(filled, index, np.min), _around(filled, index, np.max))
    found = interpolate(image, index, "cubic")
    np.testing.assert_array_equal(np.isfinite(found), there)
    np.testing.assert_allclose(found[there], wanted[there], atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("edges", [(4.0, 4.0, 4.0), (2.0, 4.0, 5.0)])
def test_a_finer_image_is_the_spline_of_scipy(shape, edges):
    image = np.random.default_rng(4).normal(size=shape)
    fine = finer(Volume(image, Grid(shape, np.diag([*edges, 1.0]))))
    steps = np.array([2 if e > 3 else 1 for e in edges])
    assert fine.values.shape == tuple(s * (n - 1) + 1 for s, n in zip(steps, shape, strict=True))
    place = [np.arange(n) / step for n, step in zip(fine.values.shape, steps, strict=True)]
    # whole places of an axis hold the values themselves, so an axis that stays is exact too
    known = ndimage.map_coordinates(
        image, np.stack(np.meshgrid(*place, indexing="ij")), order=3, mode="mirror"
    )
    np.testing.assert_allclose(fine.values, known, atol=1e-12)


def test_indices_are_those_of_the_points():
    fixed = Grid((4, 5, 6), np.diag([2.0, 3.0, 4.0, 1.0]))
    moving = Grid((7, 6, 5), np.diag([-3.0, 3.0, 2.0, 1.0]))
    way = Rigid.of([0.1, -0.2, 0.3, 4, 5, 6])
    place = np.stack(np.meshgrid(*(np.arange(n) for n in fixed.shape), indexing="ij"), -1)
    wanted = moving.to_index(way.points(fixed.to_world(place)))
    np.testing.assert_allclose(
        source_indices(moving, fixed, way), np.moveaxis(wanted, -1, 0), atol=1e-12
    )
    # a shift by whole voxels stays one
    whole = source_indices(moving, moving, Rigid.of([0, 0, 0, 0.1 + 0.2 - 3.3, 0, 0]))
    np.testing.assert_array_equal(whole, np.round(whole))
