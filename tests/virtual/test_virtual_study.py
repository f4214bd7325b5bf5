"""Whole studies: same bytes, blind raw data, valid BIDS, truth beside."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ekbom import virtual
from ekbom.errors import Refused
from ekbom.measures.pet.tracers import tracer
from ekbom.study.index import Study
from ekbom.virtual.design import design_toml, parse
from ekbom.virtual.regions import sources

SUMS = "derivatives/truth/SHA256SUMS"


def sums(root):
    return (Path(root) / SUMS).read_text()


@pytest.mark.parametrize("size", ["rois", "quick"])
def test_same_bytes_again_and_with_other_workers(size, tmp_path):
    made = [
        virtual.make("smoke", tmp_path / str(i), size=size, seed=4, subjects=3, workers=workers)
        for i, workers in enumerate((1, 2, 4))
    ]
    assert sums(made[0].root) == sums(made[1].root) == sums(made[2].root)
    other = virtual.make("smoke", tmp_path / "other", size="rois", seed=5, subjects=3)
    assert sums(other.root) != sums(made[0].root)


def test_same_bytes_in_another_process(small_rois, tmp_path):
    code = (
        "from ekbom import virtual;"
        f"virtual.make('smoke', {str(tmp_path / 'p')!r}, size='rois', seed=11)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert sums(tmp_path / "p") == sums(small_rois.root)


def test_every_file_is_summed(small_rois):
    listed = {line.split("  ")[1] for line in sums(small_rois.root).splitlines()}
    there = {
        p.relative_to(small_rois.root).as_posix() for p in small_rois.root.rglob("*") if p.is_file()
    }
    assert there - listed == {SUMS}
    assert small_rois.files == len(there)


def test_raw_files_hold_no_truth(small_images):
    words = ("occupancy", "truth", "planted", "k3", "VT_", "slope", "scale_", "clearance")
    raw = [
        p
        for p in small_images.root.rglob("*")
        if p.suffix in (".json", ".tsv") and "derivatives/truth" not in p.as_posix()
    ]
    assert len(raw) > 10
    for path in raw:
        text = path.read_text()
        for word in words:
            assert word not in text, (path, word)


def test_what_is_simulated_says_so(small_images, small_rois):
    for root in (small_images.root, small_rois.root):
        said = json.loads((root / "dataset_description.json").read_text())
        assert said["GeneratedBy"][0]["Name"] == "ekbom.virtual"
        assert "Simulated" in said["Acknowledgements"]
        assert "not patient data" in (root / "README").read_text()
        for derivative in ("ekbom-sim", "truth"):
            path = root / "derivatives" / derivative / "dataset_description.json"
            assert json.loads(path.read_text())["DatasetType"] == "derivative"


def test_sidecar_carries_the_half_life_and_the_frames(small_images):
    said = json.loads((small_images.root / "sub-01/pet/sub-01_pet.json").read_text())
    assert said["RadionuclideHalfLife"] == pytest.approx(20.364 * 60)
    assert said["ImageDecayCorrected"] is True
    assert said["ImageDecayCorrectionTime"] == 0
    assert len(said["FrameDuration"]) == len(said["FrameTimesStart"]) == 27
    np.testing.assert_allclose(
        np.cumsum(said["FrameDuration"])[:-1], said["FrameTimesStart"][1:], rtol=0
    )
    assert said["InjectedMass"] == pytest.approx(
        said["InjectedRadioactivity"] / said["SpecificRadioactivity"], abs=1e-3
    )


def test_truth_reads_back_and_the_design_with_it(small_rois):
    root = small_rois.root / "derivatives/truth"
    assert parse((root / "design.toml").read_text()).groups == small_rois.design.groups
    for name in ("participants", "regions", "effects"):
        table = pd.read_csv(root / f"{name}_truth.tsv", sep="\t")
        assert set(json.loads((root / f"{name}_truth.json").read_text())) == set(table.columns)
    found = pd.read_csv(root / "regions_truth.tsv", sep="\t")
    np.testing.assert_allclose(found["VT"], small_rois.regions["VT"], rtol=1e-7)
    joined = small_rois.joined()
    assert len(joined) == 4 * 14
    both = small_rois.regions[small_rois.regions["region"].str.endswith("-Insula")].iloc[:2]
    expected = np.average(both["VT"], weights=both["voxels"])
    row = joined[(joined["participant_id"] == "sub-01") & (joined["area"] == "insula")]
    assert row["VT"].iloc[0] == pytest.approx(expected)


def test_effects_are_what_the_design_says(small_rois):
    effects = small_rois.effects.set_index("region")
    six = ["medialthalamus", "amygdala", "caudate", "anteriorcingulate", "insula", "orbitofrontal"]
    assert set(effects.index[effects["occupancy_per_irls"] == 0.03]) == set(six)
    assert np.all(effects["group_difference_percent"] == 0)
    # blur and mixed voxels only weaken a slope inside its own region
    assert np.all(effects.loc[six, "VT_per_irls"] < effects.loc[six, "VT_per_irls_label"])
    assert np.all(effects.loc[six, "VT_per_irls_label"] < effects.loc[six, "VT_per_irls_seen"])
    assert effects.loc["caudate", "VT_per_irls"] == pytest.approx(-0.03 * (23 - 0.4 / 0.15))


def test_the_study_index_finds_what_it_should_and_not_the_truth(small_rois, small_images):
    rois = Study.open(small_rois.root)
    assert len(rois.find(suffix="tacs", scope="derivatives")) == 4
    assert not [f for f in rois.find(suffix="tacs") if f.scope == "truth"]
    images = Study.open(small_images.root)
    assert len(images.find(suffix="pet", extension=".nii.gz", scope="raw")) == 2
    assert len(images.find(suffix="dseg", extension=".nii.gz", scope="ekbom-sim")) == 2


def errors(root):
    """Return the errors of the official validator, or skip with a word."""
    program = Path(sys.executable).with_name("bids-validator-deno")
    if importlib.util.find_spec("bids_validator_deno") is None or not program.exists():
        pytest.skip("bids-validator-deno is not installed")
    run = subprocess.run(
        [program, str(root), "--format", "json"], capture_output=True, text=True, check=False
    )
    found = json.loads(run.stdout)
    assert found["summary"]["totalFiles"] > 0
    return [i for i in found["issues"]["issues"] if i["severity"] == "error"]


def test_the_validator_finds_no_error(small_rois, small_images):
    assert errors(small_images.root) == []
    assert errors(small_rois.root) == []


def test_the_validator_would_find_one(small_images, tmp_path):
    root = tmp_path / "bad"
    for path in small_images.root.rglob("*"):
        if path.is_file() and "derivatives" not in path.parts:
            to = root / path.relative_to(small_images.root)
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(path.read_bytes())
    sidecar = root / "sub-01/pet/sub-01_pet.json"
    said = json.loads(sidecar.read_text())
    del said["TimeZero"]
    sidecar.write_text(json.dumps(said))
    assert errors(root)


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rls=st.integers(0, 3),
    control=st.integers(1, 3),
    cv=st.floats(0, 0.3),
    slope=st.floats(-0.03, 0.03),
    vB=st.floats(0, 0.2),
    psf=st.floats(0, 10),
    seed=st.integers(0, 2**32),
)
def test_any_small_design_gives_a_readable_study(
    tmp_path_factory, rls, control, cv, slope, vB, psf, seed
):
    design = virtual.load(
        "smoke",
        {
            "groups.rls": rls,
            "groups.control": control,
            "binding.cv": cv,
            "binding.severity_slope": slope,
            "scanner.vB": vB,
            "scanner.psf_fwhm_mm": round(psf),
        },
    )
    assert parse(design_toml(design)) == design.model_copy(update={"variants": {}})
    made = virtual.make(design, tmp_path_factory.mktemp("any"), size="rois", seed=seed)
    assert len(made.participants) == rls + control
    rows = made.regions
    assert np.isfinite(rows[["K1", "k2", "k3", "k4", "VT", "VT_label", "VT_seen"]]).all(axis=None)
    assert (rows["VT"] >= rows["K1"] / rows["k2"] - 1e-9).all()
    for label in made.participants["participant_id"]:
        path = made.root / f"derivatives/ekbom-sim/{label}/pet/{label}_desc-sim_tacs.tsv"
        curves = pd.read_csv(path, sep="\t")
        assert curves.shape == (27, 30)
        assert np.isfinite(curves).all(axis=None)
        assert (curves.iloc[-10:, 2:].mean() > 0).all()


def test_fewer_persons_keep_both_groups(tmp_path):
    made = virtual.make("demo", tmp_path / "a", size="rois", seed=1, subjects=2)
    assert sorted(made.participants["group"]) == ["control", "rls"]


@pytest.mark.parametrize(
    ("call", "field"),
    [
        ({"design": "nothing"}, "DESIGN"),
        ({"size": "huge"}, "size"),
        ({"seed": -1}, "seed"),
        ({"subjects": 0}, "subjects"),
    ],
)
def test_what_cannot_be_is_refused(call, field, tmp_path):
    given_call = {"design": "smoke", "size": "rois", "seed": 1} | call
    with pytest.raises(Refused) as no:
        virtual.make(given_call.pop("design"), tmp_path / "x", **given_call)
    assert no.value.field == field


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"binding.nothing": 1}, "binding.nothing"),
        ({"nothing.at.all": 1}, "nothing.at.all"),
        ({"binding.cv": -1}, "binding.cv"),
        ({"groups.rls": "many"}, "groups.rls"),
        ({"blood.sample_times_s": [10, 5, 3]}, "blood"),
        ({"blood.sample_times_s": [10, 20, 60], "blood.parent_times_s": [10, 20, 60]}, "design"),
        ({"tracer": "pbr28"}, "design"),
    ],
)
def test_a_design_that_does_not_hold_is_refused(change, field):
    with pytest.raises(Refused) as no:
        virtual.load("demo", change)
    assert no.value.field == field


def test_unknown_variant_and_region_are_refused(tmp_path):
    with pytest.raises(Refused, match="variant"):
        virtual.load("demo", variant="easy")
    design = virtual.load("smoke", {"binding.severity_regions": ["hypothalamus"]})
    with pytest.raises(Refused, match="does not exist"):
        virtual.make(design, tmp_path / "x", size="rois", seed=1)


def test_plans_are_toml_with_the_questions_of_the_study():
    plan = tomllib.loads(virtual.plan_text("quick"))
    assert set(plan["questions"]) == {
        "severity",
        "affective",
        "group",
        "severityVoxels",
        "groupVoxels",
        "groupSame",
        "severityPower",
    }
    assert "maps" not in tomllib.loads(virtual.plan_text("rois"))["measures"]["pet"]
    names = {s.name for s in sources(tracer("diprenorphine"))}
    for patterns in plan["measures"]["pet"]["regions"]["sim"].values():
        for pattern in patterns:
            assert f"Left{pattern[1:]}" in names


def test_the_plan_of_heads_of_their_own_says_how_they_come_together():
    native = virtual.load("von-spiczak-2005")
    for size, mm in (("quick", 4), ("full", 2)):
        space = tomllib.loads(virtual.plan_text(size, native))["space"]
        assert (space["resolution"], space["warp_resolution"], space["fwhm"]) == (mm, mm, 8)
    # without images there is no space; the blood of the model study is treated with more care
    model = tomllib.loads(virtual.plan_text("rois", native))
    pet = model["measures"]["pet"]
    assert (pet.pop("parent"), pet.pop("blood_draws")) == ("auto", 50)
    assert model == tomllib.loads(virtual.plan_text("rois"))
    assert "resolution" not in tomllib.loads(virtual.plan_text("quick"))["space"]
