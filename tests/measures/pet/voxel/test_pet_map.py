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
