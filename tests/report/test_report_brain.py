"""Slices and the data of the slice viewer."""

from __future__ import annotations

import base64
import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ekbom.report import brain, style


def unpack(volume: dict, kind: str) -> np.ndarray:
    raw = gzip.decompress(base64.b64decode(volume["data"]))
    return np.frombuffer(raw, kind).reshape(volume["shape"], order="F")


@pytest.fixture
def image() -> brain.Image:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(6, 7, 5))
    values[0] = np.nan
    values[3, 2, 1] = -9.5
    affine = np.diag([-4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = [10.0, -12.0, -8.0]
    return brain.Image(values, affine)


def test_viewer_holds_the_map(image: brain.Image) -> None:
    data = brain.viewer(image, None, threshold=3.0, name="t")
    coded = unpack(data["stat"], "<i2").astype(float)
    back = np.where(coded == -32768, np.nan, coded * data["stat"]["scale"])
    np.testing.assert_allclose(back, image.values, atol=9.5 / 32000, equal_nan=True)
    assert data["peak"] == [10.0 - 4 * 3, -12.0 + 4 * 2, -8.0 + 4 * 1]
    assert data["top"] == 9.5
    assert data == brain.viewer(image, None, threshold=3.0, name="t")


def test_background_is_cropped_in_place() -> None:
    values = np.full((5, 5, 5), np.nan)
    values[2:4, 1:4, 3] = 0.5
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    cut = brain.grey_volume(brain.Image(values, affine))
    assert cut["shape"] == [2, 3, 1]
    assert [row[3] for row in cut["affine"]] == [4.0, 2.0, 6.0]
    assert set(unpack(cut, "<u1").ravel()) == {128}


def test_at_finds_voxels_and_ends(image: brain.Image) -> None:
    points = np.array([[-2.0, -4.0, -4.0], [500.0, 0, 0], [10.0, 0.0, 0.0]])
    nearest = image.at(points, order=0)
    assert nearest[0] == -9.5
    assert np.isnan(nearest[1:]).all()
    middle = np.array([[-4.0, -4.0, -4.0]])
    expected = (image.values[3, 2, 1] + image.values[4, 2, 1]) / 2
    assert image.at(middle, order=1)[0] == pytest.approx(expected)


def test_zero_is_outside(tmp_path: Path) -> None:
    values = np.zeros((3, 3, 3), np.float32)
    values[1, 1, 1] = 2.0
    nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / "x.nii.gz")
    loaded = brain.load(tmp_path / "x.nii.gz")
    assert np.isfinite(loaded.values).sum() == 1


def test_mosaic_is_the_same_and_shows_significance(image: brain.Image) -> None:
    hit = np.zeros(image.values.shape)
    hit[3, 2, 1] = 1.0
    under, name = brain.background("orig", None, image)
    assert name == "the mask"

    def draw(significant: brain.Image | None) -> str:
        with style.look():
            figure = brain.mosaic(under, image, significant, label="t", count=5, columns=5)
            return str(style.svg(figure, key="m", alt="x"))

    with_, without = draw(brain.Image(hit, image.affine)), draw(None)
    assert with_ == draw(brain.Image(hit, image.affine))
    assert with_.count("<image") == 11
    assert without.count("<image") == 6
    assert "outlined where significant" in with_
    assert "fading where the statistic is small" in without


def test_mean_map_is_scaled_to_grey(image: brain.Image) -> None:
    mean = brain.Image(np.abs(image.values) * 20, image.affine)
    grey, name = brain.background("orig", mean, image)
    inside = grey.values[np.isfinite(grey.values)]
    assert name == "mean map of the study"
    assert inside.min() == 0.0
    assert inside.max() == 1.0


def test_slices_go_through_what_is_significant(image: brain.Image) -> None:
    under, _ = brain.background("orig", None, image)
    hit = np.zeros(image.values.shape)
    hit[3, 2, 1] = hit[3, 3, 1] = 1.0  # one piece; its peak is the -9.5 at z = -4 mm
    plain = brain.slices(under, image, 3)
    moved = brain.slices(under, image, 3, brain.Image(hit, image.affine))
    assert -4.0 in moved
    assert len(moved) == len(plain) == 3
    assert moved == sorted(moved)
