"""Missing data planted with their truth; curves of the two physics, for every tracer."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import resources

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from ekbom import virtual
from ekbom.errors import Refused
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.reference import fit_reference
from ekbom.measures.pet.tracers import tracer
from ekbom.virtual import missing
from ekbom.virtual.blood import draw_arterial
from ekbom.virtual.kinetics import Rates
from ekbom.virtual.scanner import Timing
from ekbom.virtual.shared import tissue_curves

PLAN = '[measures.pet]\nmodel = ["ma1"]\ntstar = 20\nfigures = false\n'


def read(path):
    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The same study whole and with gaps."""
    place = tmp_path_factory.mktemp("gaps")
    whole = virtual.make("smoke", place / "whole", size="rois", seed=3)
    gaps = virtual.make("smoke", place / "gaps", size="rois", seed=3, missing=0.4)
    return whole.root, gaps.root


def test_gaps_are_what_the_truth_says_and_nothing_else(both):
    whole, gaps = both
    truth = read(gaps / "derivatives/truth/missing_truth.tsv")
    assert {"value", "scan", "frames", "samples", "column", "parent"} >= set(truth["kind"])
    assert len(set(truth["kind"])) >= 4
    touched = set()
    for row in truth.itertuples():
        before, after = whole / row.file, gaps / row.file
        touched.add(row.file)
        if row.kind == "value":
            a, b = (read(p).set_index("participant_id") for p in (before, after))
            lost = row.what.split(", ")
            assert (b.loc[row.participant_id, lost] == "n/a").all()
            assert (a.loc[row.participant_id, lost] != "n/a").all()
            a.loc[row.participant_id, lost] = "n/a"
            pd.testing.assert_series_equal(a.loc[row.participant_id], b.loc[row.participant_id])
        elif row.kind == "scan":
            assert not list(after.parent.glob("*"))
            touched |= {p.relative_to(whole).as_posix() for p in before.parent.iterdir()}
        elif row.kind == "frames":
            a, b = (json.loads(p.read_text()) for p in (before, after))
            n = int(row.what.split()[-1])
            assert b["FrameTimesStart"] == a["FrameTimesStart"][:-n]
            assert b["FrameDuration"] == a["FrameDuration"][:-n]
        elif row.kind == "samples":
            assert len(read(before)) - len(read(after)) == int(row.what.split()[-1])
        elif row.kind == "column":
            assert row.what in read(before)
            assert row.what not in read(after)
            said = json.loads(after.with_suffix(".json").read_text())
            assert said["MetaboliteAvail"] is False
            touched.add(row.file.replace(".tsv", ".json"))
    raw = [p for p in whole.rglob("*") if p.is_file() and "derivatives" not in p.parts]
    for path in raw:
        name = path.relative_to(whole)
        if name.as_posix() not in touched:
            assert (gaps / name).read_bytes() == path.read_bytes(), name


def test_an_item_takes_its_total_along():
    assert missing._total_of("irls_total", "irls_03")
    assert missing._total_of("mpq_affective", "mpq_a01")
    assert not missing._total_of("irls_04", "irls_03")
    assert not missing._total_of("irls_total", "mpq_a01")
    assert not missing._total_of("age", "weight")


def test_the_rest_of_a_study_with_gaps_is_measured(both, tmp_path, capsys):
    from ekbom.cli import app

    _, gaps = both
    (gaps / "code/plan.toml").write_text(PLAN)
    code = app.call(["run", str(gaps), str(tmp_path), "participant", "--workers", "1"])
    said = " ".join(capsys.readouterr().out.split())
    # a scan without parent fractions is refused; shorter ones are measured
    assert code == 3
    assert "2 scans measured, 1 refused" in said
    assert "metabolite_parent_fraction" in said or "parent fraction" in said


def test_last_frames_are_cut_from_the_image_too(tmp_path):
    kept = {"scanner.noise_cov": 0.0}
    a, b = (
        virtual.make(virtual.load("smoke", kept), tmp_path / name, size="quick", seed=5, subjects=1)
        for name in "ab"
    )
    folder, stem = "sub-01/pet", "sub-01"
    missing._cut(b.root, stem, b.root.__class__(folder), 2)
    whole, cut = (nib.load(t.root / folder / f"{stem}_pet.nii.gz") for t in (a, b))
    np.testing.assert_array_equal(np.asarray(whole.dataobj)[..., :-2], np.asarray(cut.dataobj))
    said = json.loads((b.root / folder / f"{stem}_pet.json").read_text())
    assert len(said["FrameDuration"]) == cut.shape[-1]


@pytest.mark.parametrize("share", [-0.1, 0.95])
def test_a_share_that_is_none_is_refused(share, tmp_path):
    with pytest.raises(Refused, match="missing data"):
        virtual.make("smoke", tmp_path / "x", size="rois", seed=1, missing=share)


def test_a_study_by_shared_physics_says_so_and_is_nearly_the_same(small_rois, tmp_path):
    made = virtual.make("smoke", tmp_path / "s", size="rois", seed=11, shared_physics=True)
    for path in ("dataset_description.json", "README", "derivatives/truth/dataset_description.json",
                 "derivatives/ekbom-sim/dataset_description.json"):  # fmt: skip
        assert "physics shared with the analysis" in (made.root / path).read_text()
        assert "physics shared" not in (small_rois.root / path).read_text()
    ours, theirs = (
        pd.read_csv(next((t.root / "derivatives/truth/sub-01").rglob("*_curves.tsv")), sep="\t")
        for t in (small_rois, made)
    )
    assert not ours.equals(theirs)
    late = ours.index > 2
    np.testing.assert_allclose(ours[late], theirs[late], rtol=1e-3)


def known():
    """Every tracer file with rate constants, and every tissue of it."""
    folder = resources.files("ekbom.measures.pet") / "tracers"
    names = sorted(i.name[:-5] for i in folder.iterdir() if i.name.endswith(".toml"))
    return [(name, key) for name in names for key in tracer(name).kinetics]


def scanned(name):
    """Frames and blood of a tracer; those of diprenorphine where its file has none."""
    one, dpn = tracer(name), tracer("diprenorphine")
    timing = Timing.of(one if one.frames is not None else dpn)
    if one.frames is None:
        timing = replace(timing, decay=float(np.log(2) / one.half_life))
    blood = draw_arterial(
        np.random.default_rng(3), one.input_shape or dpn.input_shape,
        one.parent_fraction or dpn.parent_fraction, virtual.load("demo").blood,
        dose_kBq=185_000, clearance_mL_min=1200, sex="F",
    )  # fmt: skip
    return timing, blood


def test_every_tracer_with_rate_constants_is_tried():
    names = {name for name, _ in known()}
    assert {"diprenorphine", "raclopride", "flb457", "fallypride", "carfentanil"} <= names


@pytest.mark.parametrize(("name", "key"), known())
def test_the_two_physics_agree_to_a_thousandth(name, key):
    timing, blood = scanned(name)
    k = tracer(name).kinetics[key]
    rates = Rates(*(np.array([getattr(k, part)]) for part in ("K1", "k2", "k3", "k4")))
    own, theirs = (tissue_curves(rates, blood, timing, 0.05, shared=s) for s in (False, True))
    assert np.abs(theirs / own - 1).max() <= 1e-3


@pytest.mark.parametrize("name", ["raclopride", "flb457"])
def test_a_tracer_seen_against_a_reference_gives_its_binding_potential(name):
    # one tissue in target and reference, from plasma: what the reference model assumes,
    # so that its own forward model must agree with the simulator's curves
    timing, blood = scanned(name)
    k = tracer(name).kinetics["cerebellum"]
    zero = np.zeros(2)
    rates = Rates(np.full(2, k.K1), k.k2 / np.array([1.0, 1.0 + 2.5]), zero, zero)
    reference, target = tissue_curves(rates, blood, timing, 0.0)
    frames = Frames(timing.start, timing.end, tracer(name).half_life)
    found = fit_reference(target[None], reference, frames, model="srtm")
    assert found.params["BPND"][0] == pytest.approx(2.5, rel=0.02)
    assert found.params["R1"][0] == pytest.approx(1.0, rel=0.02)
    misfit = np.abs(found.fitted[0] - target)[2:] / target.max()
    assert misfit.max() <= 5e-3
