"""Real scans: ds004869 (manual samples) and pbr28 (files without a study)."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import pytest

from ekbom.cli.app import call
from ekbom.errors import Refused
from ekbom.measures.pet.input_fit import fit_input
from ekbom.measures.pet.io.bids import read_scan
from ekbom.measures.pet.io.blood import read_blood
from ekbom.measures.pet.io.bloodstream import read_inputfunction
from ekbom.measures.pet.io.text import read_tsv
from ekbom.measures.pet.measure import PETMeasure
from ekbom.measures.pet.settings import PETSettings
from ekbom.nouns import Unit
from ekbom.study.index import Study

pytestmark = pytest.mark.real_data

PERMITTED = {
    "sub-13_ses-test": {"blood": {"extrapolate": True}},
    "sub-13_ses-retest": {"blood": {"sort": True}},
}


@pytest.fixture(scope="module")
def study(shared_data: Path) -> Study:
    return Study.open(shared_data / "ds004869")


def _input(study: Study, unit: Unit):
    settings = PETSettings(scans=PERMITTED)
    inputs = PETMeasure().inputs(unit, study, settings)
    scan = read_scan(inputs.files["pet_json"])
    blood, _, _ = read_blood(
        (inputs.files["manual"][0], inputs.files["manual_json"]),
        injection_s=scan.injection_s,
        factor=scan.blood_factor,
        sort=inputs.extra["blood.sort"],
    )
    return scan, fit_input(blood, frames=scan.frames, extrapolate=inputs.extra["blood.extrapolate"])


def test_24_scans_are_found(study: Study) -> None:
    assert len(PETMeasure().units(study)) == 24


def test_input_functions_agree_with_those_of_the_data_set(study: Study) -> None:
    differences, parametric = {}, {}
    for unit in PETMeasure().units(study):
        scan, mine = _input(study, unit)
        (file,) = study.find(unit, suffix="inputfunction", extension=".tsv")
        theirs, _ = read_inputfunction(file.path, study.metadata_files(file))
        end = min(theirs.time_p[-1], mine.covers_end)
        grid = np.unique(np.concatenate((theirs.time_p[theirs.time_p < end], mine.input.t, [end])))
        grid = grid[grid <= end]
        area = np.trapezoid(np.interp(grid, theirs.time_p, theirs.plasma), grid)
        differences[unit.label] = 100 * (mine.input.auc(0, end) / area - 1)
        parametric[unit.label] = mine.table.set_index("model").loc[
            "triexp", "auc_difference_percent"
        ]
        whole = np.interp(grid, theirs.time_wb, theirs.whole_blood)
        assert np.trapezoid(mine.input.whole_blood_at(grid), grid) == pytest.approx(
            np.trapezoid(whole, grid), rel=2e-3
        )
        assert scan.meta["DecayFactorConvention"] == "mid-frame"
        assert -6.1 < scan.meta["DecayFactorReference"] < -1.9
    assert len(differences) == 24
    assert max(abs(d) for d in differences.values()) < 0.2, differences
    # a chord overestimates a convex fall: three exponentials are lower, never far
    assert all(-12 < d < 0 for d in parametric.values()), parametric


def test_extrapolated_share_of_the_scan_whose_blood_ends_early(study: Study) -> None:
    _, fit = _input(study, Unit("sub-13", "test"))
    added = fit.extrapolated_share / (1 - fit.extrapolated_share)
    assert 0.16 < added < 0.22
    assert fit.covers_end == pytest.approx(2731.8 / 60)


@pytest.mark.parametrize(
    ("session", "words", "found"),
    [
        ("test", "blood ends before the scan", "last sample at 2732 s, scan ends at 5400 s"),
        ("retest", "times of the blood samples do not increase", "178.2 s, row 9: 133.8 s"),
    ],
)
def test_the_two_faulty_scans_are_refused_without_permission(
    study: Study, session: str, words: str, found: str
) -> None:
    measure, unit = PETMeasure(), Unit("sub-13", session)
    with pytest.raises(Refused, match=words) as no:
        measure.run(measure.inputs(unit, study, PETSettings()), PETSettings())
    assert found in str(no.value.found)
    assert "sub-13_ses-" + session in str(no.value.file)


def test_a_whole_scan(study: Study) -> None:
    settings = PETSettings(
        model=["logan", "ma1", "2tcm"],
        tstar=30,
        regions={"gtmseg": {"thalamus": ["*-Thalamus"], "cerebellum": ["*-Cerebellum-Cortex"]}},
    )
    measure = PETMeasure()
    product = measure.run(measure.inputs(Unit("sub-01", "baseline"), study, settings), settings)
    vt = {(s.region, s.method): s for s in product.scores if s.parameter == "VT"}
    assert len(vt) == 3 * (100 + 2 + 46)
    for region in ("gtmseg:thalamus", "gtmseg:cerebellum"):
        values = [vt[region, model].value for model in ("logan", "ma1", "2tcm")]
        assert np.ptp(values) / np.mean(values) < 0.1
        assert 0.5 < np.mean(values) < 10
        assert all(
            vt[region, m].lower < vt[region, m].value < vt[region, m].upper
            for m in ("logan", "2tcm")
        )
    names = [table.name for table in product.tables]
    assert names.count("desc-gtmseg_kinpar") == names.count("desc-thalamus_kinpar") == 1
    (kinpar,) = [t for t in product.tables if t.name == "desc-gtmseg_kinpar"]
    assert len(kinpar.frame) == 3 * 102
    assert set(kinpar.frame.columns) == set(kinpar.columns)
    assert [n.code for n in product.notes] == ["half-life-differs", "decay-reference-differs"]
    again = measure.run(measure.inputs(Unit("sub-01", "baseline"), study, settings), settings)
    assert [f.data for f in product.figures] == [f.data for f in again.figures]
    assert all(
        b"<svg" in f.data and not re.search(rb"20\d\d-\d\d", f.data) for f in product.figures
    )


def test_pet_fit_on_single_files(shared_data: Path, tmp_path: Path, capsys) -> None:
    folder = shared_data / "pbr28"
    code = call(
        [
            "pet", "fit", "--tacs", str(folder / "cgyu_1_tacs.tsv"),
            "--input", str(folder / "cgyu_1_procblood.tsv"), str(tmp_path),
            "--units", "kBq/mL", "--decay-corrected", "--model", "2tcm,logan,ma1", "--tstar", "30",
        ]
    )  # fmt: skip
    said = capsys.readouterr()
    assert code == 0, said.err
    table = read_tsv(tmp_path / "cgyu_1_kinpar.tsv")
    regions = np.array(table.columns["region"])
    assert set(regions) == {"FC", "TC", "STR", "THA", "WB", "CBL"}
    vt = table.numbers("VT")
    for region in ("THA", "FC", "CBL"):
        values = vt[regions == region]
        assert np.ptp(values) / values.mean() < 0.15
        assert 1 < values.mean() < 6
    for name in ("inputfunction.tsv", "kinpar.json", "blood.svg", "fits.svg", "residuals.svg"):
        assert (tmp_path / f"cgyu_1_{name}").stat().st_size > 100
    assert "THA" in said.out


def test_pet_fit_refuses_what_was_not_said(shared_data: Path, tmp_path: Path, capsys) -> None:
    folder = shared_data / "pbr28"
    base = [
        "pet", "fit", "--tacs", str(folder / "cgyu_1_tacs.tsv"),
        "--input", str(folder / "cgyu_1_procblood.tsv"), str(tmp_path),
    ]  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert call([*base, "--decay-corrected"]) == 2
        assert "unit of radioactivity is not declared" in capsys.readouterr().err
        assert call([*base, "--units", "kBq/mL"]) == 2
        assert "decay-corrected" in capsys.readouterr().err
        assert call([*base, "--units", "kBq/mL", "--decay-corrected", "--model", "3tcm"]) == 2
        assert "--model" in capsys.readouterr().err
        assert call([*base, "--units", "kBq/mL", "--decay-corrected", "--regions", "XYZ"]) == 2
        assert "XYZ" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_pet_blood_on_single_files(shared_data: Path, tmp_path: Path, capsys) -> None:
    folder = shared_data / "ds004869" / "sub-01" / "ses-baseline" / "pet"
    recording = folder / "sub-01_ses-baseline_recording-manual_blood.tsv"
    assert call(["pet", "blood", str(recording), str(tmp_path), "--parent", "auto"]) == 0
    assert "inverse-gamma" in capsys.readouterr().out
    made = read_tsv(tmp_path / "sub-01_ses-baseline_recording-manual_inputfunction.tsv")
    again, _ = read_inputfunction(
        made.path, [made.path.with_suffix(".json")]
    )  # our own output is read back by the same reader
    assert again.plasma.max() == pytest.approx(read_tsv(made.path).numbers("AIF").max() / 1000)
