"""Label images: regions, means, names at points."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from space_orders import ORDERS, stored

from ekbom.errors import Refused
from ekbom.space import Grid, LabelImage, checks
from ekbom.space.labels import join, region_curves


def two_regions(grid):
    """Left and right halves in the world, with a gap between."""
    x = grid.to_world(np.moveaxis(np.indices(grid.shape), 0, -1))[..., 0]
    values = np.where(x < -2, 7, 0) + np.where(x > 4, 3, 0)
    return LabelImage(values, grid, {3: "right", 7: "left"}, "halves", "test")


@pytest.mark.parametrize("order", ORDERS[::5])
def test_names_at_points_do_not_depend_on_storage(order):
    labels = two_regions(stored(*order))
    assert labels.at([-5, 16, 7]).name == "left"
    assert labels.at([7, 16, 7]).name == "right"
    between = labels.at([1, 16, 7])
    assert between.name == "n/a"
    assert between.nearest == "left"  # voxel centres at -3 and 5
    assert between.distance == pytest.approx(4)
    outside = labels.at([-205, 16, 7])
    assert (outside.name, outside.nearest, outside.distance) == ("n/a", "left", pytest.approx(200))


def test_nearest_by_brute_force():
    rng = np.random.default_rng(1)
    grid = stored(*ORDERS[11])
    values = rng.choice([0, 0, 0, 0, 2, 5, 9], size=grid.shape)
    labels = LabelImage(values, grid, {2: "b", 5: "e", 9: "i"})
    places = grid.to_world(np.argwhere(values > 0))
    names = np.array([labels.table[v] for v in values[values > 0]])
    for point in rng.uniform(-60, 60, size=(40, 3)):
        found = labels.at(point)
        index = np.round(grid.to_index(point)).astype(int)
        inside = np.all((index >= 0) & (index < grid.shape)) and values[tuple(index)] > 0
        if inside:
            assert found.name == labels.table[values[tuple(index)]]
            continue
        apart = np.sqrt(((places - point) ** 2).sum(axis=1))
        assert found.name == "n/a"
        assert found.distance == pytest.approx(apart.min())
        assert found.nearest in names[np.isclose(apart, apart.min())]


def test_means_with_weights_and_coverage():
    grid = Grid((4, 1, 1), np.eye(4))
    labels = LabelImage(np.array([1, 1, 1, 2]).reshape(4, 1, 1), grid, {1: "a", 2: "b"})
    image = np.array([1.0, 2.0, np.nan, 5.0]).reshape(4, 1, 1)
    assert np.isnan(labels.region_means(image)["a"].mean)
    loose = labels.region_means(image, coverage=0.6)
    assert loose["a"].mean == 1.5
    assert loose["a"].voxels == 2
    assert loose["a"].coverage == pytest.approx(2 / 3)
    assert loose["a"].sd == 0.5
    assert loose["b"].mean == 5
    weights = np.array([1.0, 3.0, 0.5, 0.0]).reshape(4, 1, 1)
    weighted = labels.region_means(image, weights=weights)
    assert weighted["a"].mean == pytest.approx(7 / 4)
    assert weighted["a"].coverage == pytest.approx(4 / 4.5)
    assert np.isnan(weighted["b"].mean)
    assert labels.volumes() == {"a": 3.0, "b": 1.0}


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_curves_are_the_means_frame_by_frame(seed):
    rng = np.random.default_rng(seed)
    grid = Grid((4, 5, 3), np.eye(4))
    values = rng.integers(0, 4, size=grid.shape)
    labels = LabelImage(values, grid, {1: "a", 2: "b", 3: "c", 8: "none"})
    image = rng.normal(size=(*grid.shape, 6))
    mask = rng.random(grid.shape) < 0.9
    voxels = np.flatnonzero(mask)
    weights = rng.random(grid.shape)
    means, shares = region_curves(
        image.reshape(-1, 6)[voxels], voxels, labels, weights=weights, coverage=0.5
    )
    for frame in range(6):
        masked = np.where(mask, image[..., frame], np.nan)
        expected = labels.region_means(masked, weights=weights, coverage=0.5)
        for k, name in enumerate(labels.names):
            assert means[k, frame] == pytest.approx(expected[name].mean, nan_ok=True)
            assert shares[name] == pytest.approx(expected[name].coverage)


def test_what_image_and_table_disagree_about_is_said():
    grid = Grid((3, 1, 1), np.eye(4))
    labels = LabelImage(
        np.array([0, 4, 6]).reshape(3, 1, 1), grid, {4: "there", 5: "Thalamus_L", 0: "background"}
    )
    assert labels.names == ("there",)
    assert checks.MISSING_ROWS_NOTE.format(labels="6") in labels.notes
    assert checks.EMPTY_LABELS_NOTE.format(names="Thalamus_L") in labels.notes
    with pytest.raises(Refused) as no:
        labels.mask("Thalamus_L")
    assert no.value.what == checks.UNKNOWN_REGION.what
    assert "there" in no.value.expected


def test_float_labels_and_double_names_are_refused():
    grid = Grid((2, 1, 1), np.eye(4))
    for values in ([0.0, 1.5], [0.0, np.nan]):
        with pytest.raises(Refused) as no:
            LabelImage(np.array(values).reshape(2, 1, 1), grid, {1: "a"})
        assert no.value.what == checks.NOT_INTEGER_LABELS.what
    with pytest.raises(Refused) as no:
        LabelImage(np.array([1, 2]).reshape(2, 1, 1), grid, {1: "a", 2: "a"})
    assert no.value.what == checks.LABEL_NAME_TWICE.what


def test_on_another_grid_and_joined():
    grid = stored((0, 1, 2), (1, 1, 1))
    labels = two_regions(grid)
    assert labels.on(grid) is labels
    coarse = labels.on(grid.with_resolution(4))
    assert coarse.names == ("right", "left")
    volumes, before = coarse.volumes(), labels.volumes()
    assert volumes["left"] == pytest.approx(before["left"], rel=0.6)
    both = join(labels, {"both": ["left", "right"]})["both"]
    assert np.array_equal(both, labels.values > 0)


def test_no_region_at_all():
    grid = Grid((2, 2, 2), np.eye(4))
    labels = LabelImage(np.zeros(grid.shape), grid, {})
    assert labels.at([0, 0, 0]).nearest == "n/a"
    assert labels.names == ()
