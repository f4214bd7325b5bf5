"""Maps of a simulated study against what the scanner sees of the truth."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from ekbom.validate.pet_images import fitness, validate_images


def test_slope_r_and_errors_by_hand():
    true = np.array([[[1.0, 2.0, 4.0, 8.0, 5.0]]])
    found = 2 * true - 1
    found[0, 0, 4] = np.nan
    got = fitness(found, true, np.ones(true.shape, dtype=bool))
    assert (got.slope, got.r) == (pytest.approx(2.0), pytest.approx(1.0))
    relative = np.array([0.0, 0.5, 0.75, 0.875])
    assert got.bias == pytest.approx(100 * np.median(relative))
    assert got.rmse == pytest.approx(100 * np.sqrt(np.mean(relative**2)))
    only = fitness(found, true, np.array([[[True, True, False, False, False]]]))
    assert only.bias == pytest.approx(25.0)


def test_maps_without_noise_have_the_slope_of_the_truth(tmp_path):
    checks = validate_images(people=1, seed=1, noise=(0.0,), bias_map=tmp_path / "bias.nii.gz")
    by = {check.name: check for check in checks}
    slope = by["images, noise 0 %: slope of V_T on the truth, grey matter"]
    assert slope.gated
    assert 0.93 < slope.value < 1.07  # one person, whose blood has noise
    assert by["images, noise 0 %: r with the truth"].value > 0.99
    assert abs(by["images, noise 0 %: median error of a voxel"].value) < 8
    image = nib.load(tmp_path / "bias.nii.gz").get_fdata()
    assert np.isfinite(image).all()
    assert np.count_nonzero(image) > 1000
