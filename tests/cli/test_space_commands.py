"""`ekbom space` on files made on the fly."""

from __future__ import annotations

import json

import nibabel as nib
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


@pytest.fixture
def small(tmp_path):
    """Write images of 8 mm with headers of any kind; return a function that does it."""
    grid = Grid((24, 28, 24), np.diag([8.0, 8, 8, 1]) + 0.0)

    def write(name, volumes=None, *, codes=(1, 1), shift=0.0):
        rng = np.random.default_rng(5)
        shape = grid.shape if volumes is None else (*grid.shape, volumes)
        image = nib.Nifti1Image(rng.random(shape).astype(np.float32), grid.affine)
        moved = grid.affine.copy()
        moved[0, 3] += shift
        image.set_sform(grid.affine, code=codes[0])
        image.set_qform(moved, code=codes[1])
        image.header.set_xyzt_units("mm", "sec")
        nib.save(image, tmp_path / name)
        return tmp_path / name

    return write


def test_doubtful_headers_are_refused_or_read_as_asked(small, tmp_path, capsys):
    lost, apart = small("lost.nii.gz", codes=(0, 0)), small("apart.nii.gz", shift=3.0)
    good, many = small("good.nii.gz"), small("many.nii.gz", 3)
    xfm, out = tmp_path / "x.txt", tmp_path / "o.nii.gz"
    xfm.write_bytes(itk_text_bytes(Rigid.of([0, 0, 0, 4, 0, 0])))
    warping = ["--reference", str(good), "--transform", str(xfm)]
    for image, option, message in (
        (lost, ["--assume-affine", "header"], "left and right are unknown"),
        (apart, ["--trust", "qform"], "different positions"),
        (many, ["--volume", "2"], "4-D where one 3-D"),
    ):
        assert call(["space", "warp", str(image), str(out), *warping]) == 2
        assert message in (said := capsys.readouterr().err)
        assert option[0] in said  # the message names the option that mends it
        assert call(["space", "warp", str(image), str(out), *warping, *option]) == 0
        assert read_volume(out).grid == read_volume(good).grid
        capsys.readouterr()
    trusted = read_volume(apart, trust="qform").grid.affine[0, 3]
    assert trusted == pytest.approx(read_volume(apart, trust="sform").grid.affine[0, 3] + 3.0)
    assert call(["space", "check", str(lost), str(apart)]) == 2
    capsys.readouterr()
    both = ["space", "check", str(lost), str(apart), "--trust", "sform"]
    assert call([*both, "--assume-affine", "header"]) == 0
    said = capsys.readouterr().out
    assert "the sform was trusted" in said
    assert "was believed" in said
    assert call(["space", "warp", str(many), str(out), *warping, "--volume", "9"]) == 2
    assert "a volume 9" in capsys.readouterr().err
    assert call(["space", "check", str(good), "--sides"]) == 2
    assert "nothing to agree with" in capsys.readouterr().err


def test_dry_runs_say_the_chain_and_write_nothing(small, tmp_path, capsys):
    good, many = small("good.nii.gz"), small("many.nii.gz", 3)
    dseg = tmp_path / "atlas-x_dseg.nii.gz"
    dseg.write_bytes(nifti_bytes(np.ones((24, 28, 24), np.int32), read_volume(good).grid.affine))
    (tmp_path / "atlas-x_dseg.tsv").write_bytes(label_table_bytes({1: "All"}))
    xfm = tmp_path / "a.txt"
    xfm.write_bytes(itk_text_bytes(Rigid.of([0, 0, 0, 4, 0, 0])))
    about = {"FrameTimesStart": [0, 600, 1200], "FrameDuration": [600, 600, 600],
             "Units": "kBq/mL", "ImageDecayCorrected": True, "ImageDecayCorrectionTime": 0,
             "InjectionStart": 0, "ScanStart": 0, "TracerRadionuclide": "C11"}  # fmt: skip
    (tmp_path / "many.json").write_text(json.dumps(about))
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}
    out = tmp_path / "out"
    chain = ["--transform", str(xfm), "--invert", str(xfm), "--dry-run"]
    for words, expected in (
        (["register", str(good), str(many), str(tmp_path / "r.txt"), "--volume", "3", "--dry-run"],
         ["volume 3", "rigid, backend", "start search", "points of"]),
        (["warp", str(good), str(out), "--reference", str(good), "--fwhm", "9", *chain],
         ["turned round", "one interpolation, linear; then smoothed, FWHM 9 mm"]),
        (["label", str(good), "--atlas", str(dseg), "--native", *chain],
         ["turned round", "labels are brought to the map"]),
        (["motion", str(many), str(out), "--dry-run"], ["3 frames", "10 to 40 minutes"]),
    ):  # fmt: skip
        assert call(["space", *words]) == 0
        said = capsys.readouterr().out
        assert all(word in said for word in expected), said
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before
    refused = ["space", "register", str(good), str(good), str(tmp_path / "x.mat"), "--dry-run"]
    assert call(refused) == 2
    assert "ending" in capsys.readouterr().err
    assert (
        call(["space", "motion", str(good), str(out), "--json", str(tmp_path / "many.json")]) == 2
    )
    assert "3-D where a dynamic scan" in capsys.readouterr().err
    assert call(["space", "motion", str(many), str(out), "--window", "9", "3", "--dry-run"]) == 2
    assert "before it begins" in capsys.readouterr().err


def test_labels_reach_a_map_in_its_own_space(small, tmp_path, capsys):
    good = small("good.nii.gz")
    grid = read_volume(good).grid
    labels = np.zeros(grid.shape, np.int32)
    labels[4:9, 6:12, 6:12], labels[14:19, 6:12, 6:12] = 1, 2
    dseg = tmp_path / "atlas-two_dseg.nii.gz"
    dseg.write_bytes(nifti_bytes(labels, grid.affine))
    (tmp_path / "atlas-two_dseg.tsv").write_bytes(label_table_bytes({1: "A", 2: "B"}))
    # the head lies 16 mm further right in its own space: two voxels
    way = Rigid.of([0, 0, 0, 16, 0, 0])  # points of the atlas to points of the map
    xfm = tmp_path / "from-own_to-atlas.txt"
    xfm.write_bytes(itk_text_bytes(way))
    image = tmp_path / "map.nii.gz"
    image.write_bytes(nifti_bytes(np.roll(labels, 2, axis=0) * 10.0, grid.affine))
    base = ["space", "label", str(image), "--atlas", str(dseg)]
    assert call([*base, "--native", "--transform", str(xfm)]) == 0
    rows = dict(ln.split("\t")[:2] for ln in capsys.readouterr().out.splitlines()[1:])
    assert rows == {"A": "10", "B": "20"}
    point = ",".join(f"{v:g}" for v in grid.to_world([8, 8, 8]))  # A there, nothing in the atlas
    for words, name in (([], "A"), (["--native", "--transform", str(xfm)], "A")):
        at = point if words else ",".join(f"{v:g}" for v in grid.to_world([6, 8, 8]))
        assert call(["space", "label", at, "--atlas", str(dseg), *words]) == 0
        assert f"\t{name}\t" in capsys.readouterr().out
    for words in (["--native"], ["--transform", str(xfm)]):
        assert call([*base, *words]) == 2
        assert "way to the atlas" in capsys.readouterr().err
    far = tmp_path / "far.txt"
    far.write_bytes(itk_text_bytes(Rigid.of([0, 0, 0, 900, 0, 0])))
    assert call([*base, "--native", "--transform", str(far)]) == 2
    assert "No label of the atlas" in capsys.readouterr().err


def test_a_mirrored_image_of_the_same_person_is_caught(tmp_path, capsys):
    t = template(4.0)
    rng = np.random.default_rng(2)
    head = np.asarray(t.t1, dtype=float) + 0.02 * rng.random(t.grid.shape)
    head[30:37, 18:26, 24:31] *= 0.3  # one side has a lesion
    other = np.asarray(t.grey + 0.3 * t.white, dtype=float)
    other[30:37, 18:26, 24:31] *= 0.3
    paths = [tmp_path / name for name in ("T1w.nii.gz", "pet.nii.gz", "flipped.nii.gz")]
    for path, values in zip(paths, (head, other, other[::-1]), strict=True):
        path.write_bytes(nifti_bytes(values, t.grid.affine))
    assert call(["space", "check", *map(str, paths[:2]), "--sides"]) == 0
    assert "agree in left and right" in capsys.readouterr().out
    assert call(["space", "check", str(paths[0]), str(paths[2]), "--sides"]) == 2
    assert "mirrored image fits better" in capsys.readouterr().out
