"""A plan and a command with a reference region and no blood."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pet_edge_study import HALF_LIFE, Made, frame_times
from pydantic import ValidationError

from ekbom.errors import Refused
from ekbom.measures.pet import words
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction
from ekbom.measures.pet.settings import PETSettings
from ekbom.measures.pet.simulate import forward_ode

TRUTH = {"Left-Thalamus": (0.9, 1.5), "Right-Thalamus": (1.1, 0.8), "Left-Putamen": (1.0, 3.0)}


def bound(made: Made) -> None:
    """Curves of one-tissue targets over a one-tissue cerebellum, and no blood file."""
    t = np.concatenate((np.linspace(0, 3, 31), np.geomspace(3.2, 90, 40)))
    plasma = 80 * t * np.exp(-2 * t) + 6 * (1 - np.exp(-t)) * np.exp(-0.01 * t)
    start, duration = frame_times()
    frames = Frames(start / 60, (start + duration) / 60, HALF_LIFE)
    R1, BPND = np.array([*TRUTH.values(), (1.0, 0.0)]).T
    curves = forward_ode(
        "1tcm", {"K1": 0.1 * R1, "k2": 0.25 * R1 / (1 + BPND)}, InputFunction(t, plasma, plasma),
        frames,
    )  # fmt: skip
    for name, curve in zip([*TRUTH, "Cerebellum"], curves, strict=True):
        made.tacs[name] = (1000 * curve).tolist()
    made.after.append(lambda made: made.blood_file.unlink())
    made.settings |= {"reference": "gtmseg:Cerebellum"}


def test_a_plan_without_blood(made: Made) -> None:
    bound(made)
    models = ["srtm", "srtm2", "mrtm1", "mrtm2", "logan-ref", "suvr"]
    made.settings |= {
        "model": models, "window": [40, 80], "figures": True, "tracer": "diprenorphine"
    }  # fmt: skip
    product = made.run()
    for model in models[:-1]:
        found = {
            s.region.partition(":")[2]: s
            for s in product.scores
            if (s.parameter, s.method) == ("BPND", model)
        }
        for region, (_, BPND) in TRUTH.items():
            assert found[region].value == pytest.approx(BPND, rel=2e-3)
            assert found[region].lower <= found[region].value <= found[region].upper
    ratio = [s for s in product.scores if s.parameter == "SUVR"]
    assert len(ratio) == 4
    codes = {note.code: note.text for note in product.notes}
    assert "gtmseg:Cerebellum" in codes["reference-region"]
    assert "may bind" in codes["reference-binding"]
    table = next(t for t in product.tables if t.name == "desc-gtmseg_kinpar")
    assert set(table.frame["model"]) == set(models)
    assert table.frame["k2prime"].notna().any()
    assert set(table.frame.columns) == set(table.columns)
    assert product.meta["Models"]["srtm2"]["k2prime"] == pytest.approx(0.25, rel=1e-3)
    assert product.meta["BloodSource"].startswith("none")
    assert len(product.figures) == 2


def test_reference_models_beside_arterial_ones(made: Made) -> None:
    made.settings |= {"model": ["2tcm", "frtm"], "reference": "Cerebellum"}
    product = made.run()
    assert {s.method for s in product.scores if s.parameter == "BPND"} == {"2tcm", "frtm"}
    assert any(s.parameter == "VT" for s in product.scores)


def test_the_reference_must_be_one_region(made: Made) -> None:
    bound(made)
    made.settings |= {"model": ["srtm"], "reference": "gtmseg:pons"}
    with pytest.raises(Refused, match="reference region is not there"):
        made.run()
    for wrong in ({"model": "srtm"}, {"model": "suvr", "reference": "x"},
                  {"model": "suvr", "reference": "x", "window": [60, 40]}):  # fmt: skip
        with pytest.raises(ValidationError):
            PETSettings.model_validate(wrong)


def test_words() -> None:
    said = words.methods(
        PETSettings(model=("srtm2", "suvr"), reference="gtmseg:cerebellum", window=(40.0, 60.0))
    )
    assert "gtmseg:cerebellum" in said
    assert "40 to 60 min" in said
    assert "delay" not in said
    assert "plasma" not in said


def test_command(made: Made, tmp_path, capsys) -> None:
    from ekbom.cli.pet import app

    bound(made)
    made.write()
    out = tmp_path / "out"
    given = ["fit", str(out), "--tacs", str(made.tacs_file), "--units", "Bq/mL",
             "--decay-corrected", "--nuclide", "11C", "--model", "srtm,mrtm2,suvr"]  # fmt: skip
    more = ["--reference", "Cerebellum", "--window", "40,80", "--tracer", "diprenorphine"]
    assert app([*given, *more], result_action="return_value") == 0
    said = capsys.readouterr().out
    assert "Cerebellum" in said
    assert "may bind" in said
    (file,) = out.glob("*_kinpar.tsv")
    found = pd.read_csv(file, sep="\t", na_values="n/a").set_index(["model", "region"])
    for region, (_, BPND) in TRUTH.items():
        for model in ("srtm", "mrtm2"):
            assert found.loc[(model, region), "BPND"] == pytest.approx(BPND, rel=2e-3)
    with pytest.raises(Refused, match="needs blood"):
        app([*given[:-1], "2tcm"], result_action="return_value")
    with pytest.raises(Refused, match="window"):
        app([*given, *more[:2], "--window", "soon"], result_action="return_value")


def test_the_two_parts_of_the_error_stand_apart(made: Made) -> None:
    made.settings |= {"model": ["1tcm", "srtm"], "reference": "Cerebellum", "blood_draws": 4,
                      "input": "auto"}  # fmt: skip
    product = made.run()
    table = next(t for t in product.tables if t.name == "desc-gtmseg_uncertainty")
    assert set(table.frame["model"]) == {"1tcm"}
    assert len(table.frame) == 4
    both = np.hypot(table.frame["se_tissue"], table.frame["se_blood"])
    np.testing.assert_allclose(table.frame["se"], both)
    assert (table.frame["se_blood"] > 0).all()
