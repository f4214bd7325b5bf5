"""`ekbom space` on files made on the fly."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from ekbom.cli.app import call
from ekbom.space import Grid, template
from ekbom.space.io import nifti_bytes, read_volume
from ekbom.space.labels_io import label_table_bytes
from ekbom.space.simulate import moving_head
from ekbom.space.transform import Rigid
from ekbom.space.transforms_io import itk_text_bytes, read_transform
from ekbom.space.warp import warp


@pytest.fixture
def pet(tmp_path):
    """A PET-like image of the template's head in another pose, and the pose."""
    t = template(4.0)
    true = Rigid.of([0.1, -0.05, 0.08, 4, -6, 5])
    image = np.nan_to_num(warp(t.grey + 0.25 * t.white, t.grid, t.grid, true.inverse()))
    path = tmp_path / "pet.nii.gz"
    path.write_bytes(nifti_bytes(image, t.grid.affine))
    return path, true


def test_register_then_warp(pet, tmp_path, capsys):
    path, true = pet
    xfm, out = tmp_path / "from-PET_to-T1w_xfm.txt", tmp_path / "there.nii.gz"
    assert call(["space", "register", "template", str(path), str(xfm), "--resolution", "4"]) == 0
    found = read_transform(xfm)
    points = np.random.default_rng(0).uniform(-50, 50, (50, 3))
    assert np.abs(found.points(points) - true.points(points)).max() < 1.0
    about = json.loads(xfm.with_suffix(".json").read_text())
    assert about["MetricValue"] > about["MetricValueAtStart"]
    assert "points" in about["Direction"]
    words = [
        "space",
        "warp",
        str(path),
        str(out),
        "--reference",
        "template:4",
        "--transform",
        str(xfm),
    ]
    assert call([*words, "--dry-run"]) == 0
    assert not out.exists()
    assert call(words) == 0
    assert "one interpolation" in capsys.readouterr().out
    there, t = read_volume(out), template(4.0)
    assert there.grid == t.grid
    inside = t.brain & np.isfinite(there.values)
    match = np.corrcoef(there.values[inside], (t.grey + 0.25 * t.white)[inside])[0, 1]
    assert match > 0.93  # two interpolations of 4 mm voxels
    # And back again.
    back = tmp_path / "back.nii.gz"
    assert call(["space", "warp", str(out), str(back), "--reference", str(path),
                 "--transform", str(xfm), "--invert", str(xfm)]) == 0  # fmt: skip
    inside = np.isfinite(read_volume(back).values)
    assert (
        np.corrcoef(read_volume(back).values[inside], read_volume(path).values[inside])[0, 1] > 0.9
    )


def test_refused_calls(pet, tmp_path, capsys):
    path, true = pet
    xfm = tmp_path / "a.txt"
    xfm.write_bytes(itk_text_bytes(true))
    out = tmp_path / "o.nii.gz"
    base = ["space", "warp", str(path), str(out), "--reference", "template:4"]
    far = tmp_path / "far.txt"
    far.write_bytes(itk_text_bytes(Rigid.of([0, 0, 0, 900, 0, 0])))
    for words, expected in (
        ([*base, "--invert", str(xfm)], "not among"),
        ([*base, "--interpolation", "label", "--fwhm", "3"], "not smoothed"),
        ([*base, "--interpolation", "label"], "not whole numbers"),
        ([*base, "--transform", str(far)], "Nothing of the image"),
        ([*base, "--transform", str(path)], "cannot be read"),
        (
            [
                "space",
                "register",
                "template",
                str(path),
                str(tmp_path / "x.mat"),
                "--resolution",
                "4",
            ],
            "ending",
        ),
        (
            ["space", "register", "template", str(path), str(xfm), "--backend", "none"],
            "no registration backend",
        ),
        (["space", "label", "1,2", "--atlas", str(path)], "table of names"),
        (["space", "check"], "no image"),
    ):
        assert call(words) == 2
        assert expected in capsys.readouterr().err
    assert not out.exists()


def test_label(tmp_path, capsys):
    grid = Grid((10, 10, 10), np.diag([2.0, 2, 2, 1]))
    values = np.zeros(grid.shape, np.int32)
    values[2:5, 2:5, 2:5], values[6:9, 2:5, 2:5] = 1, 2
    dseg = tmp_path / "atlas-two_dseg.nii.gz"
    dseg.write_bytes(nifti_bytes(values, grid.affine))
    (tmp_path / "atlas-two_dseg.tsv").write_bytes(
        label_table_bytes({1: "Amygdala_L", 2: "Amygdala_R"})
    )
    assert call(["space", "label", "6,6,6", "--atlas", str(dseg)]) == 0
    assert "Amygdala_L" in capsys.readouterr().out
    image = tmp_path / "map.nii.gz"
    image.write_bytes(nifti_bytes(np.where(values == 2, 7.0, 3.0), grid.affine))
    assert call(["space", "label", str(image), "--atlas", str(dseg), "--regions", "amygdala"]) == 0
    rows = [ln.split("\t") for ln in capsys.readouterr().out.splitlines()]
    assert {r[0]: r[1] for r in rows[1:]} == {"amygdala_L": "3", "amygdala_R": "7", "amygdala": "5"}
    assert call(["space", "check", str(image), str(dseg)]) == 0
    (tmp_path / "no.nii.gz").write_text("no")
    assert call(["space", "check", str(image), str(tmp_path / "no.nii.gz")]) == 2


def test_motion(tmp_path):
    head = moving_head(3, resolution=8.0, noise=0.02)
    pet = tmp_path / "sub-1_pet.nii.gz"
    pet.write_bytes(nifti_bytes(head.series.values, head.series.grid.affine))
    about = {
        "FrameTimesStart": (head.series.frame_start * 60).tolist(),
        "FrameDuration": (head.series.frame_duration * 60).tolist(),
        "Units": "kBq/mL", "ImageDecayCorrected": True, "ImageDecayCorrectionTime": 0,
        "InjectionStart": 0, "ScanStart": 0, "TracerRadionuclide": "C11", "TracerName": "x",
    }  # fmt: skip
    (tmp_path / "sub-1_pet.json").write_text(json.dumps(about))
    out = tmp_path / "out"
    assert call(["space", "motion", str(pet), str(out)]) == 0
    table = pd.read_csv(out / "sub-1_desc-motion_xfm.tsv", sep="\t")
    assert len(table) == 30
    assert list(table.columns[:3]) == ["frame", "estimated", "rot_x"]
    assert table.loc[~table.estimated, "flag"].str.contains("few counts").all()
    told = json.loads((out / "sub-1_desc-moco_pet.json").read_text())
    assert told["FrameDuration"] == about["FrameDuration"]
    assert told["MotionCorrection"]["Interpolations"] == 1
