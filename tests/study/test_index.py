"""The index: scopes, entities, inheritance."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ekbom.errors import Refused
from ekbom.nouns import Files, Unit
from ekbom.study.bidsname import applies, parse
from ekbom.study.index import Study


def touch(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def write_json(path: Path, **content: object) -> Path:
    return touch(path, json.dumps(content))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_json(tmp_path / "dataset_description.json", Name="x", BIDSVersion="1.10.0")
    touch(tmp_path / "sub-01/ses-a/pet/sub-01_ses-a_pet.nii.gz")
    touch(tmp_path / "sub-01/ses-a/pet/sub-01_ses-a_run-01_recording-manual_blood.tsv")
    touch(tmp_path / "sub-01/ses-b/pet/sub-01_ses-b_trc-DPN_pet.nii.gz")
    touch(tmp_path / "sub-02/anat/sub-02_T1w.nii.gz")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "entities", "suffix", "extension"),
    [
        ("sub-01_pet.nii.gz", {"sub": "01"}, "pet", ".nii.gz"),
        ("pet.json", {}, "pet", ".json"),
        (
            "sub-01_ses-x_desc-gtmseg_tacs.tsv",
            {"sub": "01", "ses": "x", "desc": "gtmseg"},
            "tacs",
            ".tsv",
        ),
    ],
)
def test_parse(name: str, entities: dict[str, str], suffix: str, extension: str) -> None:
    assert parse(name) == (entities, suffix, extension)


@pytest.mark.parametrize(
    "name",
    ["dataset_description.json", "README", "sub-01_sub-02_pet.nii", "sub-_pet.nii", "_x.tsv"],
)
def test_not_bids_names(name: str) -> None:
    assert parse(name) is None


def test_indexed_entities_are_numbers() -> None:
    assert applies({"run": "1"}, {"sub": "01", "run": "01"})
    assert not applies({"ses": "1"}, {"sub": "01", "ses": "01"})


def test_is_what_a_measure_asks_for(root: Path) -> None:
    study = Study.open(root)
    assert isinstance(study, Files)
    assert study.participants == ("sub-01", "sub-02")
    assert study.sessions() == ["a", "b"]
    assert study.sessions("sub-02") == []
    assert study.tracers() == ["DPN"]


def test_unit_matches_files_that_leave_an_entity_out(root: Path) -> None:
    study = Study.open(root)
    names = [f.path.name for f in study.find(Unit("sub-01", "a", run="1"))]
    assert names == [
        "sub-01_ses-a_pet.nii.gz",
        "sub-01_ses-a_run-01_recording-manual_blood.tsv",
    ]
    assert study.find(Unit("sub-01", "a", run="2"), suffix="blood") == []
    assert study.find(Unit("sub-01", "b", tracer="RAC")) == []
    assert len(study.find(Unit("sub-01"))) == 3
    assert study.find(recording="manual")[0].suffix == "blood"
    assert study.find(recording="autosampler") == []


def test_derivatives_with_and_without_datatype_and_nested(root: Path) -> None:
    d = root / "derivatives"
    touch(d / "petprep/sub-01/ses-a/sub-01_ses-a_desc-gtmseg_tacs.tsv")
    touch(d / "petprep/sub-01/ses-a/pet/sub-01_ses-a_desc-wm_tacs.tsv")
    touch(d / "deep/x/y/sub-01/ses-a/pet/sub-01_ses-a_desc-deep_tacs.tsv")
    write_json(d / "lab/two/dataset_description.json", Name="two")
    touch(d / "lab/two/sub-01/sub-01_desc-two_tacs.tsv")
    study = Study.open(root)
    tacs = {f.entities["desc"]: f for f in study.find(suffix="tacs")}
    assert {k: (f.scope, f.datatype) for k, f in tacs.items()} == {
        "gtmseg": ("petprep", None),
        "wm": ("petprep", "pet"),
        "deep": ("deep", "pet"),
        "two": ("lab/two", None),
    }
    assert study.derivatives() == ["deep", "lab/two", "petprep"]
    assert len(study.find(suffix="tacs", scope="derivatives")) == 4
    assert len(study.find(suffix="tacs", scope="petprep")) == 2
    assert study.find(suffix="tacs", scope="raw") == []


def test_outputs_and_hidden_folders_are_no_inputs(root: Path) -> None:
    touch(root / "derivatives/ekbom/.ekbom/lock")
    touch(root / "derivatives/ekbom/sub-01/sub-01_desc-x_tacs.tsv")
    touch(root / "derivatives/mine/sub-01/sub-01_desc-x_tacs.tsv")
    touch(root / ".git/sub-01/sub-01_desc-x_tacs.tsv")
    touch(root / "sourcedata/sub-01/sub-01_desc-x_tacs.tsv")
    assert len(Study.open(root).find(suffix="tacs")) == 1
    assert Study.open(root, ignore=[root / "derivatives/mine"]).find(suffix="tacs") == []


def test_file_in_the_wrong_folder_is_left_out_with_a_word(root: Path) -> None:
    touch(root / "sub-02/anat/sub-01_T1w.nii.gz")
    study = Study.open(root)
    assert [f.entities["sub"] for f in study.find(suffix="T1w")] == ["02"]
    assert any("contradicts its folder" in w for w in study.warnings)


class TestInheritance:
    """BIDS inheritance principle, rule by rule."""

    def test_most_specific_wins_key_by_key(self, root: Path) -> None:
        write_json(root / "pet.json", A=1, B=1, C=1)
        write_json(root / "sub-01/sub-01_pet.json", B=2, C=2)
        write_json(root / "sub-01/ses-a/pet/sub-01_ses-a_pet.json", C=3)
        study = Study.open(root)
        image = study.find(Unit("sub-01", "a"), suffix="pet", extension=".nii.gz")[0]
        assert study.metadata(image) == {"A": 1, "B": 2, "C": 3}
        assert [p.name for p in study.metadata_files(image)] == [
            "pet.json",
            "sub-01_pet.json",
            "sub-01_ses-a_pet.json",
        ]
        assert study.metadata(image.path) == study.metadata(image)

    def test_other_suffix_or_entity_does_not_apply(self, root: Path) -> None:
        write_json(root / "blood.json", A=1)
        write_json(root / "trc-DPN_pet.json", D=1)
        write_json(root / "sub-02/sub-02_pet.json", E=1)
        study = Study.open(root)
        a = study.find(Unit("sub-01", "a"), suffix="pet")[0]
        b = study.find(Unit("sub-01", "b"), suffix="pet")[0]
        assert study.metadata(a) == {}
        assert study.metadata(b) == {"D": 1}

    def test_more_entities_in_one_folder_win(self, root: Path) -> None:
        folder = root / "sub-01/ses-b/pet"
        write_json(folder / "sub-01_ses-b_pet.json", X=1, Y=1)
        write_json(folder / "sub-01_ses-b_trc-DPN_pet.json", Y=2)
        study = Study.open(root)
        image = study.find(suffix="pet", extension=".nii.gz", trc="DPN")[0]
        assert study.metadata(image) == {"X": 1, "Y": 2}

    def test_rivals_in_one_folder_are_refused(self, root: Path) -> None:
        write_json(root / "trc-DPN_pet.json", X=1)
        write_json(root / "ses-b_pet.json", X=2)
        study = Study.open(root)
        image = study.find(suffix="pet", extension=".nii.gz", trc="DPN")[0]
        with pytest.raises(Refused, match="different things about X"):
            study.metadata(image)

    def test_derivatives_do_not_inherit_from_raw(self, root: Path) -> None:
        write_json(root / "tacs.json", A="raw")
        write_json(root / "derivatives/p/tacs.json", A="derivative")
        touch(root / "derivatives/p/sub-01/ses-a/pet/sub-01_ses-a_tacs.tsv")
        study = Study.open(root)
        assert study.metadata(study.find(suffix="tacs", extension=".tsv")[0]) == {"A": "derivative"}

    def test_json_below_the_file_does_not_apply(self, root: Path) -> None:
        touch(root / "sub-01/ses-a/sub-01_ses-a_tacs.tsv")
        write_json(root / "sub-01/ses-a/pet/sub-01_tacs.json", A=1)
        study = Study.open(root)
        assert study.metadata(study.find(suffix="tacs", extension=".tsv")[0]) == {}


def test_participant_row_without_missing_values(root: Path) -> None:
    touch(root / "participants.tsv", "participant_id\tage\tsex\nsub-01\t30\tn/a\nsub-02\tn/a\tF\n")
    study = Study.open(root)
    assert study.participant(Unit("sub-01", "a")) == {"participant_id": "sub-01", "age": 30.0}
    assert study.participant(Unit("sub-03")) == {}


def test_participants_and_folders_are_compared(root: Path) -> None:
    touch(root / "participants.tsv", "participant_id\nsub-01\nsub-09\n")
    warnings = " ".join(Study.open(root).warnings)
    assert "sub-09" in warnings
    assert "sub-02" in warnings


def test_five_hundred_subjects(tmp_path: Path) -> None:
    write_json(tmp_path / "dataset_description.json", Name="x", BIDSVersion="1.10.0")
    write_json(tmp_path / "pet.json", TracerName="DPN")
    for k in range(500):
        folder = tmp_path / f"sub-{k:03d}/ses-a/pet"
        folder.mkdir(parents=True)
        (folder / f"sub-{k:03d}_ses-a_pet.json").write_text('{"A": 1}')
        (folder / f"sub-{k:03d}_ses-a_pet.nii.gz").touch()
    study = Study.open(tmp_path)
    assert len(study.participants) == 500
    images = study.find(suffix="pet", extension=".nii.gz")
    assert all(study.metadata(f) == {"TracerName": "DPN", "A": 1} for f in images)


@pytest.mark.real_data
def test_real_study(shared_data: Path) -> None:
    study = Study.open(shared_data / "ds004869")
    assert len(study.participants) == 12
    assert study.warnings == ()
    assert study.sessions() == ["baseline", "blocked", "retest", "test"]
    blood = study.find(suffix="blood", extension=".tsv", scope="raw")
    assert len(blood) == 24
    assert all("plasma_radioactivity" in study.metadata(file) for file in blood)
    assert len(study.find(suffix="tacs", scope="petprep_extract_tacs")) == 48
