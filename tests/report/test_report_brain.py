"""Slices and the data of the slice viewer."""

from __future__ import annotations

import base64
import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from ekbom.report import brain, searched, style, voxels
from ekbom.report.output import Answered


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


def searched_answer(folder: Path, method: str, **meta: object) -> Answered:
    """Return an answer over three voxels whose rules find 1, 2 and 3 of them."""
    maps = {}
    for name, values in (
        ("stat-t_statmap", [-9.0, 7.0, -5.0]),
        ("pmap-fweTfce_statmap", -np.log10([0.01, 0.05, 0.05])),
        ("pmap-fweMaxT_statmap", -np.log10([0.01, 0.05, 0.2])),
        ("pmap-fweBonferroni_statmap", -np.log10([0.01, 0.2, 0.4])),
    ):
        maps[name] = folder / f"space-orig_desc-x_{name}.nii.gz"
        image = np.full((4, 4, 3), 0.01, np.float32)
        image[:3, 1, 1] = values
        nib.save(nib.Nifti1Image(image, np.eye(4)), maps[name])
    about = {"meta": {"method": method, "alpha": 0.05, "sign": "two-sided", **meta}}
    peaks = pd.DataFrame(
        {"x": [0.0], "y": 0.0, "z": 0.0, "T": -9.0, "p_tfce": 0.01, "p_extent": 0.02}
    )
    volumes = pd.DataFrame(
        {
            "volume": ["thalamus", "insula"],
            **{c: [0.0, 1.0] for c in "xyz"},
            "p_svc": [0.04, 0.3],
            "p_svc_holm": [0.08, 0.3],
            "p_tfce_svc": [0.01, 0.2],
            "p_tfce_svc_holm": [0.02, 0.2],
            "post_hoc": ["False", "True"],
        }
    )
    return Answered(folder, "x", about, {"peaks": peaks, "volumes": volumes}, {}, maps)


@pytest.mark.parametrize(
    ("method", "count", "words"),
    [
        ("tfce", 3, "largest TFCE"),
        ("max-t", 2, "permutation of the maximum"),
        ("parametric", 1, "Bonferroni"),
        ("rft", 2, "random field"),
    ],
)
def test_voxels_are_significant_by_the_method(
    tmp_path: Path, method: str, count: int, words: str
) -> None:
    answer = searched_answer(tmp_path, method, field={"threshold": 6.5}, threshold=7.0)
    said = next(b.caption for b in voxels.blocks(answer, "k") if b.kind == "figure")
    verb = "voxel is" if count == 1 else "voxels are"
    assert f"{count} {verb} significant at family-wise p ≤ .05 (" in said
    assert words in said
    told = {"rft": (6.5, "random field"), "tfce": (7.0, "maximum")}.get(method, (7.0, ""))
    found = searched.threshold(answer)
    assert found[0] == told[0]
    assert told[1] in found[1]


def test_the_threshold_of_the_mask_is_no_significance(tmp_path: Path) -> None:
    answer = searched_answer(tmp_path, "parametric", bonferroni_threshold=8.0)
    answer.about["inference"] = {"threshold": 0.5}
    assert searched.threshold(answer) == (8.0, "Bonferroni")


def test_volumes_stand_out_by_the_method_over_all_of_them(tmp_path: Path) -> None:
    bold = {}
    for method in ("tfce", "rft"):
        answer = searched_answer(tmp_path, method, field={"threshold": 6.5})
        rule = searched.rule(answer)
        grid = searched.tables(answer, rule, "v")[0].content
        bold[method] = [row[0].strong for row in grid.rows]
        assert "Declared after the data had been seen: insula." in grid.notes
    assert bold == {"tfce": [True, False], "rft": [False, False]}


def test_voxel_tally_is_told(tmp_path: Path) -> None:
    tally = {"given": 9, "used": 3, "zero": 4, "not_finite": 2, "constant": 0}
    told = searched.tested(searched_answer(tmp_path, "tfce", mask=tally))
    assert told == "3 tested of 9; left out: 2 not finite in somebody, 4 0 in somebody"


def test_peaks_show_what_there_is(tmp_path: Path) -> None:
    answer = searched_answer(tmp_path, "tfce")
    grid = searched.tables(answer, searched.rule(answer), "v")[2].content
    heads = [str(h.label) for h in grid.heads]
    assert heads[-2:] == ["<i>p</i><sub>TFCE</sub>", "<i>p</i><sub>extent</sub>"]
    assert "<i>p</i><sub>mass</sub>" not in heads
    assert grid.rows[0][0].strong
