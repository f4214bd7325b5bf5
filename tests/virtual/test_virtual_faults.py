"""Every planted fault is refused by the reader, by file and field; blind studies stay blind."""

from __future__ import annotations

import hashlib
import json

import nibabel as nib
import numpy as np
import pytest

from ekbom import virtual
from ekbom.cli import app
from ekbom.errors import Refused
from ekbom.validate.faults import planted
from ekbom.virtual.faults import FAULTS

PLAN = '[measures.pet]\nmodel = ["ma1"]\ntstar = 20\nfigures = false\n'
#: What the refusal says of each: the field that is wrong, and a word of the message.
SAYS = {
    "decay": ("ImageDecayCorrected", "decay-corrected"),
    "units": ("Units", "cannot be in the declared units"),
    "no-unit": ("Units", "unit of radioactivity is not declared"),
    "parent": ("metabolite_parent_fraction", "promises a column"),
    "clock": ("time", "begins long after the scan"),
    "frames": ("FrameTimesStart", "Frames overlap"),
}


@pytest.mark.parametrize("name", sorted(SAYS))
def test_a_planted_fault_is_refused_and_the_others_are_measured(name, tmp_path, capsys):
    made = virtual.make("smoke", tmp_path / "raw", size="rois", seed=1, subjects=2, faults=(name,))
    (made.root / "code/plan.toml").write_text(PLAN)
    code = app.call(["run", str(made.root), str(tmp_path / "out"), "participant", "--workers", "1"])
    said = " ".join(capsys.readouterr().out.split())
    _field, words = SAYS[name]
    assert code == 3
    assert "1 scans measured, 1 refused" in said
    assert words in said
    truth = json.loads((made.root / "derivatives/truth/faults.json").read_text())["faults"]
    assert truth[0]["name"] == name
    assert (made.root / truth[0]["file"]).is_file()


def test_every_fault_but_the_mirrored_image_is_tried_here():
    # the mirrored image and the epochs of a night have tests of their own below
    assert set(SAYS) == set(FAULTS) - {"sides", "epochs"}
    for name, (field, _words) in SAYS.items():
        assert FAULTS[name].field == field


def test_the_mirrored_image_is_the_mirror_image(tmp_path):
    design = virtual.load("smoke", {"scanner.noise_cov": 0.0})
    plain = virtual.make(design, tmp_path / "a", size="quick", seed=1, subjects=1)
    turned = virtual.make(
        design, tmp_path / "b", size="quick", seed=1, subjects=1, faults=("sides",)
    )
    a, b = (nib.load(t.root / "sub-01/pet/sub-01_pet.nii.gz") for t in (plain, turned))
    np.testing.assert_array_equal(np.asarray(a.dataobj)[::-1], np.asarray(b.dataobj))
    np.testing.assert_array_equal(a.affine, b.affine)


def test_the_mirrored_image_is_refused_where_it_meets_the_head(tmp_path):
    said = planted(tmp_path, "sides")
    assert said.caught
    assert said.measured == 0
    assert "mirrored" in said.what


def test_stages_of_the_wrong_length_are_refused_and_the_other_night_is_scored(tmp_path, capsys):
    made = virtual.make_clinical("smoke-nights", tmp_path / "raw", size="rois", faults=("epochs",))
    (made.root / "code/plan.toml").write_text("[measures.legs]\n")
    code = app.call(["run", str(made.root), str(tmp_path / "out"), "participant", "--workers", "1"])
    said = " ".join(capsys.readouterr().out.split())
    assert code == 3
    assert "Two epochs of the hypnogram overlap" in said
    assert "sub-01" in said
    assert "1 scans measured, 1 refused" in said
    truth = json.loads((made.root / "derivatives/truth/faults.json").read_text())["faults"]
    assert truth[0]["field"] == FAULTS["epochs"].field
    assert (made.root / truth[0]["file"]).is_file()


@pytest.mark.parametrize(
    ("design", "name", "says"),
    [
        ("smoke", "odd", "no such fault"),
        ("smoke", "epochs", "no such fault"),
        ("smoke", "sides", "needs images"),
    ],
)
def test_faults_that_cannot_be_are_refused(design, name, says, tmp_path):
    with pytest.raises(Refused, match=says):
        virtual.make(design, tmp_path / "x", size="rois", seed=1, subjects=1, faults=(name,))


def test_a_blind_study_has_a_hash_of_its_truth_and_nothing_else_of_it(tmp_path, capsys):
    code = app.call(
        ["simulate", "smoke", str(tmp_path / "a"), "--rois-only", "--subjects", "2", "--blind"]
    )
    assert code == 0
    assert "sealed" in capsys.readouterr().out
    assert not (tmp_path / "a/derivatives/truth").exists()
    sealed = (tmp_path / "a/code/truth.sha256").read_text().split()[0]
    seen = virtual.make("smoke", tmp_path / "b", size="rois", seed=1, subjects=2)
    sums = (seen.root / "derivatives/truth/SHA256SUMS").read_bytes()
    assert hashlib.sha256(sums).hexdigest() == sealed
