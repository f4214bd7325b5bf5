"""Spectral analysis, irreversible models, SUV and PETPrep's other tables through a plan."""

from __future__ import annotations

import numpy as np
import pytest
from pet_edge_study import TRUTH, Made, frame_times, tissue_of, true_vt, write_json, write_tsv
from pydantic import ValidationError

from ekbom.errors import Refused
from ekbom.measures.pet import words
from ekbom.measures.pet.settings import PETSettings
from ekbom.nouns import Product

WEIGHT = "participant_id\tage\tweight\nsub-01\t40\t80\n"


def values(product: Product, parameter: str, method: str) -> dict[str, float]:
    return {
        score.region.partition(":")[2]: score.value
        for score in product.scores
        if (score.parameter, score.method) == (parameter, method)
    }


def test_spectral_analysis_of_regions(made: Made) -> None:
    made.settings |= {"model": ["spectral", "2tcm"], "spectral": {"draws": 5}, "figures": True}
    product = made.run()
    VT, K1 = values(product, "VT", "spectral"), values(product, "K1", "spectral")
    late = values(product, "IRF60", "spectral")
    for region, (k1, k2, k3, k4, v_b) in TRUTH.items():
        total = k2 + k3 + k4
        root = np.sqrt(total**2 - 4 * k2 * k4)
        fast, slow = (total + root) / 2, (total - root) / 2
        irf = k1 * (fast - k3 - k4) / root * np.exp(-60 * fast)
        irf += k1 * (k3 + k4 - slow) / root * np.exp(-60 * slow)
        assert VT[region] == pytest.approx(true_vt(region), rel=5e-3)
        assert K1[region] == pytest.approx(k1, rel=5e-3)
        assert late[region] == pytest.approx(irf, rel=5e-3)
        assert values(product, "vB", "spectral")[region] == pytest.approx(v_b, rel=0.02)
    (table,) = [t for t in product.tables if t.name.endswith("_kinpar")]
    rows = table.frame[table.frame["model"] == "spectral"].set_index("region")
    assert set(table.frame.columns) == set(table.columns)
    assert (rows["components"] >= 2).all()
    assert (rows["slow_share"] < 0.01).all()
    assert rows["aicc"].isna().all()
    assert product.meta["Models"]["spectral"]["BetaNodes"] == 100
    (spectrum,) = [f for f in product.figures if f.name == "desc-spectrum"]
    assert b"Cerebellum" in spectrum.data
    # a line needs no table of its own: without the model none of its columns stands there
    made.settings |= {"model": ["2tcm"]}
    (table,) = [t for t in made.run().tables if t.name.endswith("_kinpar")]
    assert not {"IRF60", "Ki", "SUV", "slow_share"} & set(table.frame.columns)


def test_irreversible_models(made: Made) -> None:
    k1, k2, k3 = 0.1, 0.12, 0.04
    made.tacs["Left-Putamen"] = (1000 * tissue_of(k1, k2, k3, 0.0, 0.05)).tolist()
    made.settings |= {"model": ["2tcm-irreversible", "patlak", "2tcm"], "tstar": 40, "vB": 0.05}
    product = made.run()
    influx = k1 * k3 / (k2 + k3)
    fitted = values(product, "Ki", "2tcm-irreversible")["Left-Putamen"]
    assert fitted == pytest.approx(influx, rel=1e-4)
    assert values(product, "k3", "2tcm-irreversible")["Left-Putamen"] == pytest.approx(k3, rel=2e-3)
    # the line is straight once the first tissue follows the plasma
    assert values(product, "Ki", "patlak")["Left-Putamen"] == pytest.approx(influx, rel=0.02)
    assert values(product, "V0", "patlak")["Left-Putamen"] > 0
    (table,) = [t for t in product.tables if t.name.endswith("_kinpar")]
    frame = table.frame.set_index(["region", "model"])
    assert frame.loc[("Left-Putamen", "2tcm-irreversible"), "akaike_weight"] > 0.5
    assert frame.loc[("Left-Thalamus", "2tcm"), "akaike_weight"] > 0.99
    patlak = frame.loc[("Left-Putamen", "patlak")]
    assert patlak["cv_percent"] == pytest.approx(100 * patlak["Ki_se"] / patlak["Ki"])
    assert patlak["tstar_min"] == 41
    assert product.meta["Models"]["patlak"]["tstar_min"] == 41


def _weighed(made: Made, unit: str | None) -> None:
    def write(study: Made) -> None:
        (study.root / "participants.tsv").write_text(WEIGHT)
        about = {"weight": {"Units": unit} if unit else {"Description": "weight"}}
        write_json(study.root / "participants.json", about)

    made.after.append(write)


@pytest.mark.parametrize(("unit", "factor"), [("kg", 1.0), ("lb", 0.45359237)])
def test_suv_is_activity_over_dose_per_weight(made: Made, unit: str, factor: float) -> None:
    _weighed(made, unit)
    made.settings = {"model": "suv", "window": [40, 60], "figures": False}
    # neither blood nor reference region is needed
    made.after.append(lambda study: study.blood_file.unlink())
    product = made.run()
    start, duration = frame_times()
    inside = (start >= 2400) & (start + duration <= 3600)
    curve = np.array(made.tacs["Cerebellum"])[inside] / 1000
    expected = (curve * duration[inside]).sum() / duration[inside].sum() / (400 / (80 * factor))
    assert values(product, "SUV", "suv")["Cerebellum"] == pytest.approx(expected)
    assert {s.unit for s in product.scores} == {"g/mL"}
    assert product.meta["Models"]["suv"]["dose_from"] == "InjectedRadioactivity"
    assert product.meta["Models"]["suv"]["weight_from"] == "participants.tsv"
    (table,) = [t for t in product.tables if t.name.endswith("_kinpar")]
    assert table.frame["SUV"].notna().all()


def test_suv_takes_the_weight_of_the_scan_first(made: Made) -> None:
    _weighed(made, "kg")
    made.settings = {"model": "suv", "window": [40, 60], "figures": False}
    before = values(made.run(), "SUV", "suv")["Cerebellum"]
    made.pet["PatientWeight"] = 40.0
    product = made.run()
    assert values(product, "SUV", "suv")["Cerebellum"] == pytest.approx(before / 2)
    assert product.meta["Models"]["suv"]["weight_from"] == "PatientWeight"


def test_suv_refuses_what_it_would_have_to_guess(made: Made) -> None:
    made.settings = {"model": "suv", "window": [40, 60], "figures": False}
    with pytest.raises(Refused, match="needs the weight"):
        made.run()
    _weighed(made, None)  # a number without a unit is no weight
    with pytest.raises(Refused, match="needs the weight"):
        made.run()
    _weighed(made, "kg")
    made.pet["RadionuclideTotalDose"] = 380e6
    with pytest.raises(Refused, match="Two fields state different") as no:
        made.run()
    assert "380.0 MBq" in str(no.value.found)
    made.settings["dose_from"] = "RadionuclideTotalDose"
    one = values(made.run(), "SUV", "suv")["Cerebellum"]
    made.settings["dose_from"] = "InjectedRadioactivity"
    assert values(made.run(), "SUV", "suv")["Cerebellum"] == pytest.approx(one * 380 / 400)
    made.pet = {k: v for k, v in made.pet.items() if k != "InjectedRadioactivityUnits"}
    with pytest.raises(Refused, match="needs the injected activity"):
        made.run()
    with pytest.raises(ValidationError, match="needs a window"):
        PETSettings(model="suv")


def test_tables_of_petprep_under_other_names(made: Made) -> None:
    """Frame times, partial volume correction and reference curves as PETPrep has named them."""
    plain = values(made.run(), "VT", "2tcm")

    def rename(study: Made) -> None:
        names = {"frame_start": "FrameTimesStart", "frame_end": "FrameTimesEnd"}
        table = {names.get(k, k): v for k, v in study.tacs.items()}
        stem = study.tacs_file.parent / "sub-01_ses-a"
        study.tacs_file.unlink()
        for old in study.tacs_file.parent.glob("*desc-gtmseg*"):
            old.unlink()
        write_tsv(stem.with_name("sub-01_ses-a_seg-gtm_desc-preproc_timeseries.tsv"), table)
        lifted = {k: v if k in names.values() else [1.1 * x for x in v] for k, v in table.items()}
        write_tsv(
            stem.with_name("sub-01_ses-a_seg-gtm_pvc-agtm_desc-preproc_timeseries.tsv"), lifted
        )
        one = {k: table[k] for k in (*names.values(), "Cerebellum")}
        write_tsv(
            stem.with_name("sub-01_ses-a_seg-gtm_ref-cerebellum_desc-preproc_timeseries.tsv"), one
        )
        motion = {"trans_x": [0] * len(table["Cerebellum"])}
        write_tsv(stem.with_name("sub-01_ses-a_desc-confounds_timeseries.tsv"), motion)

    made.after.append(rename)
    product = made.run()
    assert {s.region.partition(":")[0] for s in product.scores} == {"gtm"}
    assert values(product, "VT", "2tcm") == pytest.approx(plain, rel=1e-6)
    made.settings["partial_volume"] = "agtm"
    lifted = values(made.run(), "VT", "2tcm")
    assert all(lifted[name] > 1.05 * plain[name] for name in plain)
    made.settings["partial_volume"] = "mg"
    with pytest.raises(Refused, match="partial volume correction") as no:
        made.run()
    assert no.value.found == "agtm, none"


def test_words_of_the_other_models() -> None:
    said = words.methods(
        PETSettings(model=["spectral", "patlak", "2tcm-irreversible", "suv"], window=(40, 60))
    )
    for part in ("Cunningham", "Patlak", "irreversible", "100 rates", "K_i", "40 to 60 min"):
        assert part in said, part
    only = words.methods(PETSettings(model="suv", window=(40, 60)))
    assert "input function" not in only
    assert "weighted" not in only
