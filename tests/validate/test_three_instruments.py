"""One plan asks of PET, polysomnography and scales together, from raw files to the report."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from three_instruments import make_study

from ekbom.cli.app import call


@pytest.mark.slow
def test_three_instruments_one_plan(tmp_path):
    plan = make_study(tmp_path / "bids")
    out = tmp_path / "out"
    assert call(["run", str(tmp_path / "bids"), str(out), "all", "--plan", str(plan)]) == 0

    measures = pd.read_csv(out / "measures.tsv", sep="\t")
    people = measures.dropna(subset="value").groupby("measure")["participant_id"].nunique()
    assert dict(people) == {"pet": 8, "legs": 8, "clinic": 7}  # the volunteer has no IRLS

    def score(name):
        rows = measures[measures["parameter"] == name].set_index("participant_id")
        return rows["value"].dropna()

    irls, index = score("IRLS_total"), score("PLMS_index")
    truth = pd.read_csv(tmp_path / "bids/phenotype/irls.tsv", sep="\t", na_values="n/a")
    truth = truth.set_index("participant_id")["irls_total"].dropna()
    assert irls.to_dict() == truth.to_dict()
    # Planted: 20 + 3 IRLS periodic movements an hour, none in the volunteer.
    np.testing.assert_allclose(index[truth.index], 20 + 3 * truth, rtol=0.15)
    assert (index.drop(truth.index) == 0).all()

    for question, effect in (("movements", "legs.PLMS_index"), ("severity", "clinic.IRLS_total")):
        folder = out / "group" / f"question-{question}"
        assert effect in json.dumps(json.loads((folder / "answer.json").read_text()))
        (table,) = folder.glob("*_regions.tsv")
        found = pd.read_csv(table, sep="\t").set_index("region")
        assert (found["n"] == 7).all()
        assert np.isfinite(found[["effect", "ci_low", "ci_high", "p", "p_maxT"]]).all(axis=None)
        planted = found.loc[["sim:medialthalamus", "sim:insula"]]
        assert (planted["ci_high"] < 0).all()
        assert (planted["p_maxT"] < 0.05).all()
        assert abs(found.loc["sim:occipital", "effect"]) < 0.2 * planted["effect"].abs().min()

    page = (out / "report.html").read_text()
    for said in ("movements", "severity", "Scores: legs", "Scores: clinic"):
        assert said in page
    assert "legs.PLMS_index" in page
    assert "clinic.IRLS_total" in page
