"""Exact TFCE, extent and mass against brute force over every value of the map."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from ekbom.inference import lattice, tfce
from ekbom.inference._forest import DIGIT, falling
from ekbom.inference.lattice import structure
from ekbom.inference.tfce import Enhancement, Enhancer

ONE = np.ones((1, 1, 1), bool)


def brute(t, mask, connectivity, E=0.5, H=2.0):
    """The integral as a sum over all distinct values, components by scipy."""
    volume, out = np.zeros(mask.shape), np.zeros(mask.shape)
    volume[mask] = t
    for sign in (1, -1):
        part = np.where(sign * volume > 0, sign * volume, 0.0)
        levels = np.unique(part[part > 0])
        for low, high in zip(np.append(0.0, levels), levels, strict=False):
            label, _ = ndimage.label(part >= high, structure(connectivity))
            size = np.bincount(label.ravel())[label] * (label > 0)
            out += sign * size**E * (label > 0) * (high ** (H + 1) - low ** (H + 1)) / (H + 1)
    return out[mask]


def brute_clusters(t, mask, connectivity, u):
    volume = np.zeros(mask.shape)
    volume[mask] = t
    extent = mass = 0.0
    for sign in (1, -1):
        label, n = ndimage.label(sign * volume > u, structure(connectivity))
        for i in range(1, n + 1):
            extent = max(extent, (label == i).sum())
            mass = max(mass, (sign * volume[label == i] - u).sum())
    return extent, mass


@pytest.mark.parametrize("connectivity", [6, 18, 26])
@pytest.mark.parametrize(("E", "H"), [(0.5, 2.0), (1.0, 1.0), (0.3, 0.0), (0.7, 2.5)])
def test_exact_tfce_is_the_integral(connectivity, E, H):
    rng = np.random.default_rng(connectivity)
    for fill, digits in ((0.3, 7), (0.6, 1), (1.0, 7)):  # one digit: many ties
        mask = rng.random((6, 7, 8)) < fill
        t = np.round(1.5 * rng.standard_normal(mask.sum()), digits).astype(np.float32)
        graph = lattice(mask, connectivity)
        got = tfce(t, graph, E=E, H=H)
        np.testing.assert_allclose(
            got, brute(t.astype(float), mask, connectivity, E, H), rtol=1e-12
        )
        how = Enhancement(E, H, forming=1.0)
        most = Enhancer(graph, how).maxima(t)
        # the maximum alone adds from the peak downward, the map from the ground upward
        assert most[0] == pytest.approx(np.abs(got).max(), rel=1e-13)
        extent, mass = brute_clusters(t.astype(float), mask, connectivity, 1.0)
        assert most[1] == extent
        assert most[2] == pytest.approx(mass, rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([6, 18, 26]), st.integers(0, 2))
def test_any_map_any_mask(seed, connectivity, digits):
    rng = np.random.default_rng(seed)
    mask = rng.random(rng.integers(1, 6, 3)) < rng.uniform(0.2, 1.0)
    if not mask.any():
        return
    t = np.round(2 * rng.standard_normal(mask.sum()), digits).astype(np.float32)
    np.testing.assert_allclose(
        tfce(t, lattice(mask, connectivity)), brute(t.astype(float), mask, connectivity), rtol=1e-12
    )


def test_by_hand():
    assert tfce(np.array([3.0]), lattice(ONE)) == pytest.approx(3.0**3 / 3)
    row = np.ones((5, 1, 1), bool)
    assert tfce(np.full(5, 2.0), lattice(row)) == pytest.approx(np.full(5, np.sqrt(5) * 8 / 3))
    # two peaks of 3 and 2 with a saddle of 1
    got = tfce(np.array([3.0, 1.0, 2.0]), lattice(np.ones((3, 1, 1), bool)))
    base = np.sqrt(3) / 3
    assert got == pytest.approx([26 / 3 + base, base, 7 / 3 + base])


def test_a_fine_step_converges_to_it():
    rng = np.random.default_rng(5)
    mask = np.ones((5, 5, 5), bool)
    t = np.abs(rng.standard_normal(125)).astype(np.float32)
    dh = float(t.max()) / 10_000
    volume, total = t.reshape(mask.shape).astype(float), np.zeros(mask.shape)
    for k in range(10_000):
        h = (k + 0.5) * dh
        label, _ = ndimage.label(volume > h, structure(26))
        total += (np.bincount(label.ravel())[label] * (label > 0)) ** 0.5 * h**2 * dh
    np.testing.assert_allclose(tfce(t, lattice(mask)), total[mask], rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("where", "joined"),
    [((1, 0, 0), (6, 18, 26)), ((1, 1, 0), (18, 26)), ((1, 1, 1), (26,)), ((2, 0, 0), ())],
)
def test_face_edge_corner(where, joined):
    mask = np.zeros((3, 3, 3), bool)
    mask[0, 0, 0] = mask[where] = True
    for connectivity in (6, 18, 26):
        size = 2 if connectivity in joined else 1
        got = tfce(np.array([2.0, 2.0]), lattice(mask, connectivity))
        assert got == pytest.approx(np.full(2, np.sqrt(size) * 8 / 3))


def test_signs_are_never_joined_and_mirror():
    rng = np.random.default_rng(6)
    mask = np.ones((4, 4, 4), bool)
    t = rng.standard_normal(64).astype(np.float32)
    graph = lattice(mask)
    both = tfce(t, graph)
    np.testing.assert_array_equal(tfce(-t, graph), -both)
    np.testing.assert_array_equal(tfce(t, graph, sign="positive"), np.maximum(both, 0))
    np.testing.assert_array_equal(tfce(t, graph, sign="negative"), np.minimum(both, 0))
    pair = tfce(np.array([2.0, -2.0]), lattice(np.ones((2, 1, 1), bool)))
    assert pair == pytest.approx([8 / 3, -8 / 3])  # |t| merged would give sqrt(2) 8 / 3


def test_scale_and_distant_maximum():
    """There is no step that hangs on the maximum of the map."""
    rng = np.random.default_rng(7)
    mask = np.zeros((9, 4, 4), bool)
    mask[:4] = mask[6:] = True
    t = np.abs(rng.standard_normal(mask.sum())).astype(np.float32)
    graph = lattice(mask)
    plain = tfce(t, graph)
    np.testing.assert_allclose(tfce(4 * t, graph), 64 * plain, rtol=1e-12)
    far = t.copy()
    far[-1] = 100
    half = int(mask[:4].sum())
    np.testing.assert_array_equal(tfce(far, graph)[:half], plain[:half])


def test_order_of_voxels_changes_nothing():
    rng = np.random.default_rng(8)
    mask = rng.random((6, 7, 8)) < 0.7
    volume = np.where(mask, rng.standard_normal(mask.shape), 0).astype(np.float32)
    plain = np.zeros(mask.shape)
    plain[mask] = tfce(volume[mask], lattice(mask))
    turned_mask, turned = mask.transpose(2, 0, 1)[::-1], volume.transpose(2, 0, 1)[::-1]
    other = np.zeros(turned.shape)
    other[turned_mask] = tfce(turned[turned_mask], lattice(turned_mask))
    np.testing.assert_array_equal(other, plain.transpose(2, 0, 1)[::-1])
    how = Enhancement(forming=0.5)
    one = Enhancer(lattice(mask), how).maxima(volume[mask])
    two = Enhancer(lattice(turned_mask), how).maxima(turned[turned_mask])
    np.testing.assert_array_equal(one, two)


def test_connectivity_is_one_of_three():
    with pytest.raises(ValueError, match="connectivity"):
        lattice(ONE, 8)
    assert [int(structure(c).sum()) - 1 for c in (6, 18, 26)] == [6, 18, 26]


def _sorted(values):
    bits, what = values.view(np.uint32), np.arange(len(values), dtype=np.uint32)[::-1].copy()
    out, spare = np.empty((2, len(values)), np.uint64)
    n, most = falling(bits, what, 3, out, spare, np.empty((4, DIGIT), np.uint32))
    levels = (most - (out[:n] >> np.uint64(32))).astype(np.uint32).view(np.float32)
    return levels, (out[:n] & np.uint64(0xFFFFFFFF)).astype(np.uint32), what


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 300),
    octaves=st.integers(0, 250),
    kinds=st.integers(1, 400),
)
def test_voxels_fall_whatever_their_range(seed, n, octaves, kinds):
    rng = np.random.default_rng(seed)
    some = (rng.normal(size=kinds) * 2.0 ** rng.uniform(-octaves / 2, octaves / 2, kinds)).astype(
        np.float32
    )
    values = rng.choice(np.append(some, np.float32(0)), n)
    levels, carried, what = _sorted(values)
    order = np.argsort(-np.abs(values), kind="stable")
    order = order[values[order] != 0]
    assert np.array_equal(levels, np.abs(values)[order])
    assert np.array_equal(carried, what[order])


def test_voxels_fall_where_nearly_all_are_alike():
    # 24 bits of a range of 200 octaves do not tell these apart: mending would take n^2 / 4 moves
    rng = np.random.default_rng(5)
    near = np.float32(1.0).view(np.uint32) + rng.integers(0, 100, 40_000).astype(np.uint32)
    values = np.concatenate([near.view(np.float32), np.float32([1e30, -1e-30])])
    levels, carried, what = _sorted(values)
    order = np.argsort(-np.abs(values), kind="stable")
    assert np.array_equal(levels, np.abs(values)[order])
    assert np.array_equal(carried, what[order])
