"""The measure of a study, and the command line, from tables on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from ekbom.cli.app import call
from ekbom.errors import Refused
from ekbom.measures.clinic.measure import ClinicMeasure
from ekbom.measures.clinic.settings import ClinicSettings
from ekbom.measures.clinic.simulate import trial
from ekbom.nouns import Measure, Unit
from ekbom.study.index import Study
from ekbom.study.registry import measure

IRLS = [f"irls_{i:02d}" for i in range(1, 11)]
SECRET = "Mrs Anybody, born in May"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    root = tmp_path / "study"
    phenotype = root / "phenotype"
    phenotype.mkdir(parents=True)
    (root / "dataset_description.json").write_text('{"Name": "made", "BIDSVersion": "1.10.0"}')
    (root / "participants.tsv").write_text("participant_id\tage\nsub-01\t50\nsub-02\t61\n")
    for person in ("sub-01", "sub-02"):
        (root / person / "pet").mkdir(parents=True)
    rows = [["sub-01", "ses-1", *"3231233212"], ["sub-02", "ses-1", *"323123n212"]]
    text = pd.DataFrame(rows, columns=["participant_id", "session_id", *IRLS]).replace("n", "n/a")
    text.assign(remark=SECRET).to_csv(phenotype / "irls.tsv", sep="\t", index=False)
    pd.DataFrame(
        {
            "participant_id": ["sub-01", "sub-02"],
            **{f"dx_c{i}": ["yes", "yes"] for i in range(1, 5)},
            "dx_c5": ["yes", "unknown"],
            "dx_body_parts": ["legs, lower_back", "legs"],
        }
    ).to_csv(phenotype / "diagnosis.tsv", sep="\t", index=False)
    pd.DataFrame(
        {
            "participant_id": ["sub-01", "sub-02"],
            "ferritin": [60, 200], "iron": [12, 20], "tibc": [60, 60], "crp": [1, 9],
            "assay": [SECRET, SECRET],
        }
    ).to_csv(phenotype / "iron.tsv", sep="\t", index=False)  # fmt: skip
    units = {"ferritin": "ng/mL", "iron": "umol/L", "tibc": "umol/L", "crp": "mg/L"}
    (phenotype / "iron.json").write_text(json.dumps({k: {"Units": v} for k, v in units.items()}))
    (phenotype / "other.tsv").write_text("subject\tx\n1\t2\n")
    return root


def run(root: Path, unit: Unit, **settings: object) -> dict[str, object]:
    m = ClinicMeasure()
    asked = ClinicSettings(**settings)
    product = m.run(m.inputs(unit, Study.open(root), asked), asked)
    return {s.parameter: s for s in product.scores} | {"product": product}


def test_scores_of_a_study(study: Path) -> None:
    m = measure("clinic")
    assert isinstance(m, ClinicMeasure)
    _: Measure = m
    assert m.units(Study.open(study)) == [
        Unit("sub-01"), Unit("sub-01", "1"), Unit("sub-02"), Unit("sub-02", "1"),
    ]  # fmt: skip
    first = run(study, Unit("sub-01", "1"))
    assert first["IRLS_total"].value == 22
    assert first["IRLS_total"].se == pytest.approx(5.2 * np.sqrt(0.19))
    assert first["IRLS_symptoms"].flags == ("unverified",)
    second = run(study, Unit("sub-02", "1"))["IRLS_total"]
    assert np.isnan(second.value)
    assert (second.lower, second.upper) == (19, 23)
    assert "missing_items" in second.flags
    assert run(study, Unit("sub-02", "1"), prorate=True)["IRLS_total"].value == pytest.approx(
        19 / 0.9
    )
    one = run(study, Unit("sub-01"), criteria=["2012", "2003"])
    assert (one["RLS_2012"].value, one["RLS_2003"].value) == (1, 1)
    assert one["ferritin"].value == 60
    two = run(study, Unit("sub-02"))
    assert np.isnan(two["RLS_2012"].value)
    assert two["RLS_2012"].flags == ("four-met-fifth-unknown",)
    assert "not-informative-low" in two["iron_candidate_AASM2025"].flags
    names = [t.name for t in two["product"].tables]
    assert names == ["desc-diagnosis_clinic", "desc-iron_clinic"]
    for unit in m.units(Study.open(study)):
        assert set(run(study, unit)) - {"product"} <= set(m.outcomes)


def test_no_free_text_leaves_the_room(study: Path) -> None:
    m, s = ClinicMeasure(), ClinicSettings()
    for unit in m.units(Study.open(study)):
        inputs = m.inputs(unit, Study.open(study), s)
        assert SECRET not in json.dumps(inputs.extra)
        product = m.run(inputs, s)
        text = "".join(
            t.frame.to_csv() + json.dumps(dict(t.meta), default=str) for t in product.tables
        )
        assert SECRET not in text


def test_one_persons_step_does_not_see_the_others(study: Path) -> None:
    m, s, unit = ClinicMeasure(), ClinicSettings(), Unit("sub-01", "1")
    before = m.inputs(unit, Study.open(study), s)
    path = study / "phenotype" / "irls.tsv"
    path.write_text(path.read_text().replace("n/a\t2\t1\t2", "4\t2\t1\t2"))
    assert m.inputs(unit, Study.open(study), s) == before
    assert run(study, Unit("sub-02", "1"))["IRLS_total"].value == 23


def test_bad_rows_are_named_by_their_line(study: Path) -> None:
    path = study / "phenotype" / "irls.tsv"
    path.write_text(path.read_text().replace("sub-02\tses-1\t3", "sub-02\tses-1\t8"))
    assert run(study, Unit("sub-01", "1"))["IRLS_total"].value == 22
    with pytest.raises(Refused) as no:
        run(study, Unit("sub-02", "1"))
    assert no.value.field == "irls_01, line 3 (sub-02)"
    assert no.value.file == "phenotype/irls.tsv"


def test_one_scale_in_two_tables_is_refused(study: Path) -> None:
    (study / "phenotype" / "again.tsv").write_text(
        "participant_id\tsession_id\tirls_total\nsub-01\tses-1\t22\n"
    )
    with pytest.raises(Refused, match="two tables") as no:
        run(study, Unit("sub-01", "1"))
    assert "again.tsv" in str(no.value.found)


def test_settings() -> None:
    assert ClinicSettings(criteria="2003").criteria == ["2003"]
    for wrong in ({"criteria": "1999"}, {"scales": ["x"]}, {"colour": 1}, {"variants": "maybe"}):
        with pytest.raises(ValidationError):
            ClinicSettings(**wrong)
    words = ClinicMeasure().words(ClinicSettings(variants="include"))
    assert "IRLSSG 2012" in words
    assert "not medical advice" in words


def test_score_and_diagnose(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, phenotype = tmp_path / "out", study / "phenotype"
    assert call(["clinic", "score", str(phenotype / "irls.tsv"), str(out)]) == 0
    said = capsys.readouterr().out
    assert "not medical advice" in said
    assert "columns not used: remark" in said
    scored = pd.read_csv(out / "phenotype" / "desc-scored_irls.tsv", sep="\t")
    total = scored[scored["measure"] == "IRLS_total"].set_index("participant_id")
    assert total.loc["sub-01", "value"] == 22
    assert np.isnan(total.loc["sub-02", "value"])
    assert total["verified"].tolist() == [True, False]
    side = json.loads((out / "phenotype" / "desc-scored_irls.json").read_text())
    assert "scales.irls.parts.symptoms" in side["NotVerified"]
    assert json.loads((out / "dataset_description.json").read_text())["DatasetType"] == "derivative"
    code = call(["clinic", "diagnose", str(phenotype / "diagnosis.tsv"), str(out),
                 "--criteria", "1995,2003,2012,icsd3tr"])  # fmt: skip
    assert code == 0
    got = pd.read_csv(out / "phenotype" / "diagnosis.tsv", sep="\t").set_index(
        ["participant_id", "set"]
    )
    assert got.loc[("sub-01", "2012"), "status"] == "definite"
    assert "back also" in got.loc[("sub-01", "2012"), "why"]
    assert got.loc[("sub-02", "2012"), "status"] == "four met, fifth unknown"
    assert got.loc[("sub-02", "2003"), "status"] == "definite"
    assert call(["clinic", "iron", str(phenotype / "iron.tsv"), str(out)]) == 0
    page = (out / "clinic.html").read_text()
    for words in ("definite", "back also", "22, severe", "19 to 23, moderate or severe; 1 missing",
                  "AASM 2025, adult: candidate", "It is not medical advice"):  # fmt: skip
        assert words in page, words
    everything = "".join(p.read_text() for p in out.rglob("*") if p.is_file())
    assert SECRET not in everything


def test_exit_codes(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = study / "phenotype" / "irls.tsv", tmp_path / "out"
    path.write_text(path.read_text().replace("sub-02\tses-1\t3", "sub-02\tses-1\t8"))
    assert call(["clinic", "score", str(path), str(out), "--strict"]) == 2
    assert not out.exists()
    assert "irls_01, line 3 (sub-02)" in capsys.readouterr().err
    assert call(["clinic", "score", str(path), str(out)]) == 3
    assert "irls_01, line 3 (sub-02)" in capsys.readouterr().out
    kept = pd.read_csv(out / "phenotype" / "desc-scored_irls.tsv", sep="\t")
    assert set(kept["participant_id"]) == {"sub-01"}
    for wrong in (
        ["score", str(path)],
        ["score", str(tmp_path / "none.tsv"), str(out)],
        ["score", str(study / "phenotype" / "iron.tsv"), str(out)],
        ["diagnose", str(path), str(out)],
        ["levodopa", str(path), str(out)],
        ["diagnose", str(study / "phenotype" / "diagnosis.tsv"), str(out), "--criteria", "1999"],
        ["explain", str(study), "--participant-label", "77"],
        ["response", str(path), str(out), "--baseline", "nine"],
    ):
        assert call(["clinic", *wrong]) == 2, wrong
        assert "refused" in capsys.readouterr().err


def test_explain_in_plain_language(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["clinic", "explain", str(study), "--participant-label", "02"]) == 0
    said = capsys.readouterr().out
    for words in (
        "it is not settled whether something else explains them",
        "16 of 100",
        "Hening",
        "between 19 and 23 (moderate or severe)",
        "not informative low",
        "a guideline would consider it, not that it is due",
        "not all of it checked",
    ):
        assert words in said, words
    assert said.rstrip().endswith("belong to a doctor.")
    assert said.count("It is not medical advice") == 1


def test_response_and_endpoints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = trial(25, -9.0, seed=11)
    table["irls_total"] = table["irls_total"].clip(0, 40).round()
    table["week"] = table["session_id"]
    path, out, plan = tmp_path / "t.tsv", tmp_path / "out", tmp_path / "trial.toml"
    table.to_csv(path, sep="\t", index=False, na_rep="n/a")
    assert call(["clinic", "response", str(path), str(out), "--baseline", "0"]) == 0
    frame = pd.read_csv(out / "phenotype" / "response.tsv", sep="\t")
    assert len(frame) == 150
    assert {"mcic_minimal", "mcic_much", "mcid_review", "cohort_change"} <= set(frame)
    times = pd.read_csv(out / "phenotype" / "firstresponse.tsv", sep="\t")
    assert len(times) == 50
    assert set(times["time"].dropna()) <= {4.0, 8.0, 12.0}
    curve = pd.read_csv(out / "phenotype" / "desc-kaplanmeier_firstresponse.tsv", sep="\t")
    assert curve["share"].is_monotonic_decreasing
    body = '[endpoints]\nvisits = ["0","4","8","12"]\narms = ["active","placebo"]\n'
    plan.write_text(body + 'order = ["irls_change", "irls_responder"]\n')
    ask = ["clinic", "endpoints", str(path), str(out), "--plan", str(plan)]
    assert call(ask) == 0
    first = json.loads((out / "phenotype" / "endpoints.json").read_text())
    assert not first["PlanChanged"]
    plan.write_text(body + 'order = ["irls_responder", "irls_change"]\n')
    assert call(ask) == 0
    second = json.loads((out / "phenotype" / "endpoints.json").read_text())
    assert second["PlanChanged"]
    assert second["PlanFirstSeen"] == first["PlanFirstSeen"] == first["Plan"]
    assert "changed after the data were first seen" in capsys.readouterr().out
    page = (out / "clinic.html").read_text()
    assert page.count("<rect") == frame.query("session_id == 12")["delta"].notna().sum()
    assert "irls_responder, observed" in page
    plan.write_text("[nothing]\n")
    assert call(ask) == 2


def test_sources(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["clinic", "sources"]) == 0
    everything = capsys.readouterr().out
    assert call(["clinic", "sources", "--unverified"]) == 0
    few = capsys.readouterr().out
    assert "scales.mpi" in few
    assert "NOT CHECKED" in few
    assert "iron.aasm2025.adult: " in everything
    assert "iron.aasm2025.adult: " not in few
