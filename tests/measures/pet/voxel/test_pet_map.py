"""`ekbom pet map` on plain files."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
import voxel_study as tiny

from ekbom.cli.app import call


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tiny.write(tmp_path_factory.mktemp("study"))


def arguments(root, out):
    pet = root / "sub-01" / "pet"
    made = root / "derivatives" / "seg" / "sub-01" / "pet" / f"sub-01_space-{tiny.SPACE}_desc-"
    return [
        "pet", "map", str(out), "--image", str(pet / "sub-01_pet.nii.gz"),
        "--input", str(pet / "sub-01_recording-manual_blood.tsv"),
        "--mask", f"{made}brain_mask.nii.gz", "--dseg", f"{made}halves_dseg.nii.gz",
    ]  # fmt: skip


def test_maps_with_sidecars(root, tmp_path, capsys):
    more = ["--model", "ma1,spectral", "--outcome", "VT,K1", "--tstar", "30", "--fwhm", "6", "--se"]
    assert call([*arguments(root, tmp_path), *more]) == 0
    names = {path.name for path in tmp_path.iterdir()}
    stem = f"sub-01_space-{tiny.SPACE}_desc-"
    assert {
        f"{stem}ma1_VT_mimap.nii.gz",
        f"{stem}ma1_VTse_mimap.json",
        f"{stem}spectralSmoothed_K1_mimap.nii.gz",
        "sub-01_desc-ma1_mimap.png",
    } <= names
    image = nib.load(tmp_path / f"{stem}ma1_VT_mimap.nii.gz")
    values = image.get_fdata()
    assert np.allclose(values[tiny.labels() == 2], 4.0, rtol=0.01)
    assert np.allclose(image.affine, tiny.GRID.affine)
    about = json.loads((tmp_path / f"{stem}ma1_VT_mimap.json").read_text())
    assert (about["Units"], about["Method"], about["Space"]) == ("mL/cm3", "ma1", tiny.SPACE)
    assert about["ModelSettings"]["tstar_min"] == 30
    assert "maps written" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (["--tstar", "soon"], "--tstar"),
        (["--model", "3tcm"], "--maps-model"),
        (["--json", "none.json"], "--json"),
        (["--outcome", "BPND"], "BPND"),
    ],
)
def test_refusals(root, tmp_path, capsys, change, word):
    assert call([*arguments(root, tmp_path), *change]) == 2
    assert word in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def uptake(root, tmp_path, **fields):
    """An image without blood, in a study of its own; its JSON with more fields."""
    pet = tmp_path / "raw" / "sub-01" / "pet"
    pet.mkdir(parents=True)
    (pet / "sub-01_pet.nii.gz").write_bytes((root / "sub-01/pet/sub-01_pet.nii.gz").read_bytes())
    about = json.loads((root / "sub-01" / "pet" / "sub-01_pet.json").read_text())
    (pet / "sub-01_pet.json").write_text(json.dumps(about | fields))
    given = [*arguments(root, tmp_path / "out"), "--model", "suv", "--window", "40,60"]
    blood = given.index("--input")
    del given[blood : blood + 2]
    given[given.index("--image") + 1] = str(pet / "sub-01_pet.nii.gz")
    return given


def weighed(tmp_path, weight, unit):
    raw = tmp_path / "raw"
    (raw / "participants.tsv").write_text(f"participant_id\tweight\nsub-01\t{weight}\n")
    (raw / "participants.json").write_text(json.dumps({"weight": {"Units": unit}} if unit else {}))


def test_suv_maps_divide_by_what_the_sidecar_and_the_table_say(root, tmp_path, capsys):
    stem = f"sub-01_space-{tiny.SPACE}_desc-suv_SUV_mimap"
    dose = {"InjectedRadioactivity": 10, "InjectedRadioactivityUnits": "mCi"}
    given = uptake(root, tmp_path, **dose)
    weighed(tmp_path, 154.0, "lb")
    assert call(given) == 0
    image = nib.load(tmp_path / "out" / f"{stem}.nii.gz").get_fdata()
    inside = (tiny.truth.FRAMES.start >= 40) & (tiny.truth.FRAMES.end <= 60)
    length = tiny.truth.FRAMES.duration[inside]
    mean = (tiny.image()[..., inside] * length).sum(axis=-1) / length.sum()
    # 10 mCi = 370 MBq, 154 lb = 69.853 kg: kBq/mL over MBq/kg is g/mL
    wanted = mean[tiny.brain()] / (370.0 / 69.8532)
    np.testing.assert_allclose(image[tiny.brain()], wanted, rtol=2e-3)
    about = json.loads((tmp_path / "out" / f"{stem}.json").read_text())
    assert about["Units"] == "g/mL"
    used = about["ModelSettings"]
    assert (used["dose_from"], used["weight_from"]) == (
        "InjectedRadioactivity", "participants.tsv",
    )  # fmt: skip
    assert used["weight_kg"] == pytest.approx(69.8532, rel=1e-5)
    assert call([*given, "--weight-kg", "35", "--dose-MBq", "740"]) == 0
    again = nib.load(tmp_path / "out" / f"{stem}.nii.gz").get_fdata()
    np.testing.assert_allclose(
        again[tiny.brain()], wanted * (370 / 69.8532) / (740 / 35), rtol=2e-3
    )
    capsys.readouterr()


@pytest.mark.parametrize(
    ("fields", "weight", "more", "words"),
    [
        ({}, (70, "kg"), [], "InjectedRadioactivity"),
        ({"InjectedRadioactivity": 370}, (70, "kg"), [], "InjectedRadioactivityUnits"),
        ({"InjectedRadioactivity": 370, "InjectedRadioactivityUnits": "MBq"}, None, [], "weight"),
        ({"InjectedRadioactivity": 370, "InjectedRadioactivityUnits": "MBq"}, (70, None), [],
         "participants.json declares"),
        ({"InjectedRadioactivity": 370, "InjectedRadioactivityUnits": "MBq",
          "RadionuclideTotalDose": 4e8}, (70, "kg"), [], "dose_from"),
        ({}, (70, "kg"), ["--window", "60,40"], "window"),
    ],
)  # fmt: skip
def test_suv_without_dose_or_weight_is_refused(root, tmp_path, capsys, fields, weight, more, words):
    given = uptake(root, tmp_path, **fields)
    if weight is not None:
        weighed(tmp_path, *weight)
    assert call([*given, *more]) == 2
    assert words in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()


def test_a_reference_region_needs_no_blood(root, tmp_path, capsys):
    given = arguments(root, tmp_path)
    blood = given.index("--input")
    del given[blood : blood + 2]
    more = ["--model", "srtm", "--outcome", "BPND,R1", "--reference", "right", "--fwhm", "0"]
    assert call([*given, *more]) == 0
    stem = f"sub-01_space-{tiny.SPACE}_desc-srtm"
    values = nib.load(tmp_path / f"{stem}_BPND_mimap.nii.gz").get_fdata()
    assert np.abs(values[tiny.labels() == 2]).max() < 0.01
    assert "reference region" in capsys.readouterr().out
    assert call([*given, "--model", "2tcm", "--outcome", "VT"]) == 2
    assert "needs blood" in "".join(capsys.readouterr())


def test_options_that_do_not_go_together_are_said_without_the_rest(root, capsys):
    image = next((root / "sub-01").rglob("*_pet.nii.gz"))
    assert call(["pet", "map", "--image", str(image), "--model", "suv", "OUT"]) == 2
    told = capsys.readouterr().err
    assert "suv needs a window" in told
    assert "found" not in told
    assert call(["pet", "map", "--image", str(image), "--model", "suvv", "OUT"]) == 2
    assert "suvv" in capsys.readouterr().err
