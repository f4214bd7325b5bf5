"""Masked Gaussian smoothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ekbom.errors import Refused
from ekbom.space.smooth import FWHM_PER_SIGMA, gaussian, smooth, smoothing_note


def fwhm_of(image, axis, size):
    """FWHM (mm) of a Gaussian from the second moment of its profile."""
    profile = image.sum(axis=tuple(k for k in range(3) if k != axis))
    x = np.arange(profile.size) * size
    centre = (x * profile).sum() / profile.sum()
    return FWHM_PER_SIGMA * np.sqrt(((x - centre) ** 2 * profile).sum() / profile.sum())


def impulse(shape=(41, 41, 41)):
    image = np.zeros(shape)
    image[tuple(n // 2 for n in shape)] = 1
    return image


@pytest.mark.parametrize(("size", "fwhm"), [((4, 4, 4), 8), ((2, 2, 2), 8), ((1.5, 2, 3), 10)])
def test_impulse_has_the_width_asked_for(size, fwhm):
    out = gaussian(impulse(), size, fwhm)
    for axis in range(3):
        assert fwhm_of(out, axis, size[axis]) == pytest.approx(fwhm, rel=0.01)
    assert out.sum() == pytest.approx(1, rel=1e-9)
    # And by its height along one axis, not only by its moment.
    line = out[20:25, 20, 20]
    away = np.arange(5) * size[0]
    assert np.allclose(line / line[0], 2.0 ** -((2 * away / fwhm) ** 2), rtol=1e-9, atol=1e-7)


def test_widths_add_as_squares():
    image = impulse()
    twice = gaussian(gaussian(image, (2, 2, 2), 6), (2, 2, 2), 8)
    assert fwhm_of(twice, 1, 2) == pytest.approx(10, rel=0.01)


def test_zero_width_changes_no_bit():
    image = np.random.default_rng(1).normal(size=(5, 6, 7))
    assert smooth(image, (2, 2, 2), 0).tobytes() == image.tobytes()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), fwhm=st.floats(1, 20), share=st.floats(0.05, 1))
def test_constant_inside_any_mask_stays_constant(seed, fwhm, share):
    mask = np.random.default_rng(seed).random((9, 10, 11)) < share
    mask[4, 4, 4] = True
    out = smooth(np.where(mask, 7.25, 1e6), (2, 3, 4), fwhm, mask)
    assert np.allclose(out[mask], 7.25, rtol=1e-12, atol=0)
    assert np.isnan(out[~mask]).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), fwhm=st.floats(1, 20))
def test_result_lies_between_smallest_and_largest(seed, fwhm):
    rng = np.random.default_rng(seed)
    image, mask = rng.normal(size=(8, 8, 8)), rng.random((8, 8, 8)) < 0.6
    mask[0, 0, 0] = True
    out = smooth(image, (2, 2, 2), fwhm, mask)[mask]
    assert out.min() >= image[mask].min() - 1e-12
    assert out.max() <= image[mask].max() + 1e-12


def test_missing_values_count_as_outside():
    image = np.full((9, 9, 9), 3.0)
    image[4, 4, 4] = np.nan
    out = smooth(image, (2, 2, 2), 6)
    assert np.isnan(out[4, 4, 4])
    assert np.allclose(np.delete(out.ravel(), 4 * 81 + 4 * 9 + 4), 3.0)


def test_holes_are_filled_when_asked_and_only_from_enough():
    image = np.full((15, 15, 15), 3.0)
    image[4, 4, 4] = np.nan
    image[8:] = np.nan
    mask = np.ones(image.shape, dtype=bool)
    mask[0] = False
    out = smooth(image, (2, 2, 2), 8, mask, fill=True)
    assert out[4, 4, 4] == pytest.approx(3)
    assert np.isnan(out[0]).all()  # outside the mask
    assert np.isnan(out[9:]).all()  # most of the weight has no value there
    assert np.isfinite(out[1:8]).all()
    plain = smooth(image, (2, 2, 2), 8, mask)
    there = np.isfinite(plain)
    assert np.array_equal(plain[there], out[there])


def test_brute_force_in_a_small_image():
    rng = np.random.default_rng(5)
    image, mask, size, fwhm = (
        rng.normal(size=(5, 4, 6)),
        rng.random((5, 4, 6)) < 0.7,
        (2, 3, 2.5),
        7.0,
    )
    out = smooth(image, size, fwhm, mask)
    points = np.argwhere(mask)
    sigma = fwhm / FWHM_PER_SIGMA
    for here in points[:10]:
        distance2 = (((points - here) * size) ** 2).sum(axis=1)
        weight = np.exp(-distance2 / (2 * sigma**2))
        expected = (weight * image[mask]).sum() / weight.sum()
        assert out[tuple(here)] == pytest.approx(expected, rel=1e-4)


def test_narrow_kernels_are_mentioned_and_negative_ones_refused():
    assert smoothing_note((4, 4, 4), 3) is not None
    assert smoothing_note((4, 4, 4), 8) is None
    assert smoothing_note((4, 4, 4), 0) is None
    for wrong in (-1.0, float("nan")):
        with pytest.raises(Refused):
            smooth(np.zeros((3, 3, 3)), (1, 1, 1), wrong)
