"""Simulated scan to files to the measure, and back to the truth."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from pet_edge_study import TRUTH, VOLUMES, Made, blood_curves, true_vt, write_json, write_tsv
from pydantic import ValidationError

from ekbom.errors import Refused
from ekbom.measures.pet import words
from ekbom.measures.pet.dispersion import disperse
from ekbom.measures.pet.measure import PETMeasure
from ekbom.measures.pet.regions import Curves, tissue_curve
from ekbom.measures.pet.residuals import runs_p
from ekbom.measures.pet.results import KINPAR, akaike_weights
from ekbom.measures.pet.settings import PETSettings
from ekbom.nouns import Product, Unit
from ekbom.study.index import Study


def values(product: Product, parameter: str, method: str = "2tcm") -> dict[str, float]:
    return {
        score.region.partition(":")[2]: score.value
        for score in product.scores
        if (score.parameter, score.method) == (parameter, method)
    }


def test_truth_comes_back_through_the_files(made: Made) -> None:
    made.settings["model"] = ["2tcm", "logan", "ma1"]
    made.settings["tstar"] = 30
    made.settings["vB"] = 0.05
    product = made.run()
    found = {name: values(product, name) for name in ("VT", "K1", "k2", "k3", "k4", "BPND", "vB")}
    for region, (k1, k2, k3, k4, v_b) in TRUTH.items():
        assert found["VT"][region] == pytest.approx(true_vt(region), rel=1e-4)
        assert found["K1"][region] == pytest.approx(k1, rel=1e-3)
        assert found["k2"][region] == pytest.approx(k2, rel=2e-3)
        assert found["k3"][region] == pytest.approx(k3, rel=5e-3)
        assert found["k4"][region] == pytest.approx(k4, rel=2e-3)
        assert found["BPND"][region] == pytest.approx(k3 / k4, rel=5e-3)
        assert found["vB"][region] == pytest.approx(v_b, rel=1e-2)  # whole blood, not plasma
    for model in ("logan", "ma1"):
        for region, vt in values(product, "VT", model).items():
            assert vt == pytest.approx(true_vt(region), rel=0.02)
    assert {s.unit for s in product.scores if s.parameter == "VT"} == {"mL/cm3"}


def test_moving_time_zero_changes_nothing(made: Made, tmp_path: Path) -> None:
    before = values(made.run(), "VT")
    moved, shift = Made(tmp_path / "moved"), 165.0
    decay = np.log(2) / (20.364 * 60)
    for key in ("ScanStart", "InjectionStart", "ImageDecayCorrectionTime"):
        moved.pet[key] = shift
    moved.pet["FrameTimesStart"] = [t + shift for t in moved.pet["FrameTimesStart"]]
    for column in ("frame_start", "frame_end"):
        moved.tacs[column] = [t + shift for t in moved.tacs[column]]
    moved.blood["time"] = [t + shift for t in moved.blood["time"]]
    # blood is decay-corrected to TimeZero, which is now earlier than injection
    for column in ("plasma_radioactivity", "whole_blood_radioactivity"):
        moved.blood[column] = [v * np.exp(decay * shift) for v in moved.blood[column]]
    after = values(moved.run(), "VT")
    for region, vt in before.items():
        assert after[region] == pytest.approx(vt, rel=1e-6)


def test_uncorrected_image_gives_the_same(made: Made, tmp_path: Path) -> None:
    before = values(made.run(), "VT")
    raw = Made(tmp_path / "raw")
    raw.pet["ImageDecayCorrected"] = False
    decay = np.log(2) / 20.364
    start = np.array(raw.tacs["frame_start"]) / 60
    end = np.array(raw.tacs["frame_end"]) / 60
    factor = decay * (end - start) / (np.exp(-decay * start) - np.exp(-decay * end))
    for region in TRUTH:
        raw.tacs[region] = (np.array(raw.tacs[region]) / factor).tolist()
    product = raw.run()
    assert "image-decay-corrected-here" in [note.code for note in product.notes]
    for region, vt in before.items():
        assert values(product, "VT")[region] == pytest.approx(vt, rel=1e-9)


@pytest.mark.parametrize("unit", ["kBq/mL", "MBq/mL", "nCi/mL"])
def test_the_unit_of_a_file_changes_nothing_when_it_is_declared(made: Made, unit: str) -> None:
    factor = {"kBq/mL": 1e-3, "MBq/mL": 1e-6, "nCi/mL": 1 / 37}[unit]
    made.pet["Units"] = unit
    for region in TRUTH:
        made.tacs[region] = [factor * v for v in made.tacs[region]]
    for region, vt in values(made.run(), "VT").items():
        assert vt == pytest.approx(true_vt(region), rel=1e-4)


def test_a_delay_is_found_and_taken_out(made: Made) -> None:
    made.blood["time"] = [t - 9.0 for t in made.blood["time"]]  # the sampler is 9 s early
    keep = [i for i, t in enumerate(made.blood["time"]) if t >= 0]
    made.blood = {k: [v[i] for i in keep] for k, v in made.blood.items()}
    made.settings["delay"] = "fit"
    made.settings["figures"] = True
    product = made.run()
    assert product.meta["Delay"]["Seconds"] == pytest.approx(9.0, abs=0.3)
    assert values(product, "vB")["Cerebellum"] == pytest.approx(0.06, rel=0.05)
    assert "desc-delay_profile" in [t.name for t in product.tables]
    assert "desc-delay" in [f.name for f in product.figures]
    made.settings["delay"] = 9.0
    fixed = made.run()
    assert fixed.meta["Delay"] == {"Seconds": 9.0, "Fitted": False}
    assert values(fixed, "VT")["Cerebellum"] == pytest.approx(true_vt("Cerebellum"), rel=1e-3)


def test_a_delay_that_cannot_be_told_is_zero_with_a_note(made: Made) -> None:
    # one long frame in the first six minutes
    start, duration = made.pet["FrameTimesStart"], made.pet["FrameDuration"]
    keep = [i for i, s in enumerate(start) if s >= 480]
    made.pet["FrameTimesStart"] = [start[i] for i in keep]
    made.pet["FrameDuration"] = [duration[i] for i in keep]
    made.tacs = {k: [v[i] for i in keep] for k, v in made.tacs.items()}
    made.settings["model"] = ["ma1"]
    product = made.run()
    assert "delay-not-identifiable" in [note.code for note in product.notes]
    assert product.meta["Delay"]["Seconds"] == 0


def test_joined_regions_are_means_by_volume(made: Made) -> None:
    made.settings["regions"] = {"gtmseg": {"thalamus": ["*-Thalamus"]}}
    product = made.run()
    (table,) = [t for t in product.tables if t.name == "desc-gtmseg_tacs"]
    left, right = VOLUMES["Left-Thalamus"], VOLUMES["Right-Thalamus"]
    expected = (left * table.frame["Left-Thalamus"] + right * table.frame["Right-Thalamus"]) / (
        left + right
    )
    np.testing.assert_allclose(table.frame["thalamus"], expected)
    assert "thalamus" in values(product, "VT")
    (kinpar,) = [t for t in product.tables if t.name == "desc-gtmseg_kinpar"]
    assert kinpar.meta["JoinedRegions"] == {"thalamus": ["Left-Thalamus", "Right-Thalamus"]}


def test_curves_in_a_pet_folder_and_bloodstream_input_are_used_too(
    made: Made, tmp_path: Path
) -> None:
    plain = values(made.run(), "VT")
    other = Made(tmp_path / "other")
    table = next(t for t in made.run().tables if t.name == "inputfunction")

    def rearrange(study: Made) -> None:
        folder = study.tacs_file.parent / "pet"
        folder.mkdir()
        for file in study.tacs_file.parent.glob("*.tsv"):
            file.rename(folder / file.name)
        study.blood_file.unlink()
        made_by = study.root / "derivatives" / "bloodstream"
        write_json(made_by / "dataset_description.json", {"Name": "b", "BIDSVersion": "1.8.0"})
        file = made_by / "sub-01" / "ses-a" / "pet" / "sub-01_ses-a_inputfunction.tsv"
        write_tsv(file, {c: table.frame[c].tolist() for c in table.frame.columns})
        write_json(
            file.with_suffix(".json"),
            {"time": {"Units": ["s"]}, "AIF": {"Units": ["Bq"]}}
            | {"whole_blood_radioactivity": {"Units": ["Bq"]}},
        )

    other.after.append(rearrange)
    product = other.run()
    codes = [note.code for note in product.notes]
    assert "bare-bq" in codes
    assert "input-from-bloodstream" in codes
    for region, vt in plain.items():
        assert values(product, "VT")[region] == pytest.approx(vt, rel=1e-5)


def test_our_input_function_has_the_columns_of_bloodstream(made: Made) -> None:
    (table,) = [t for t in made.run().tables if t.name == "inputfunction"]
    assert list(table.frame.columns) == [
        "time", "whole_blood_radioactivity", "plasma_radioactivity",
        "metabolite_parent_fraction", "AIF",
    ]  # fmt: skip
    assert table.columns["AIF"].unit == "Bq/mL"
    assert table.frame["AIF"].max() > 1000


def test_kinpar_holds_what_its_page_promises(made: Made) -> None:
    made.settings["model"] = ["1tcm", "2tcm", "logan"]
    made.settings["tstar"] = 30
    (table,) = [t for t in made.run().tables if t.name == "desc-gtmseg_kinpar"]
    assert list(table.frame.columns) == list(KINPAR)
    rows = table.frame.set_index(["model", "region"])
    two = rows.loc["2tcm", "Cerebellum"]
    assert two["cv_percent"] == pytest.approx(100 * two["VT_se"] / two["VT"])
    assert two["akaike_weight"] + rows.loc["1tcm", "Cerebellum"]["akaike_weight"] == pytest.approx(
        1
    )
    assert two["akaike_weight"] > 0.99
    assert np.isnan(rows.loc["logan", "Cerebellum"]["akaike_weight"])
    assert rows.loc["logan", "Cerebellum"]["tstar_min"] == 31
    assert two["n_frames"] == 30


def test_akaike_weights_by_hand() -> None:
    got = akaike_weights(
        {"1tcm": np.array([10.0]), "2tcm": np.array([8.0]), "ma1": np.array([0.0])}
    )
    assert set(got) == {"1tcm", "2tcm"}
    assert got["2tcm"][0] == pytest.approx(1 / (1 + np.exp(-1)))


def test_automatic_tstar(made: Made) -> None:
    made.settings["model"] = ["ma1"]
    product = made.run()
    (table,) = [t for t in product.tables if t.name == "desc-gtmseg_kinpar"]
    starts = np.cumsum([0, *(d / 60 for d in made.pet["FrameDuration"])])
    assert np.isclose(starts, table.frame["tstar_min"].iloc[0]).any()


def test_outcomes_can_be_kept_to_some(made: Made) -> None:
    made.settings["outcome"] = "VT"
    assert {score.parameter for score in made.run().scores} == {"VT"}


def test_a_given_blood_volume_is_no_result(made: Made) -> None:
    made.settings["compartment"] = {"vB": 0.05}
    assert not values(made.run(), "vB")


def test_a_region_without_signal_gives_a_flag_not_a_crash(made: Made) -> None:
    made.tacs["Left-Putamen"] = ["n/a"] * len(made.tacs["frame_start"])
    made.settings["figures"] = True
    product = made.run()
    (score,) = [
        s for s in product.scores if s.region == "gtmseg:Left-Putamen" and s.parameter == "VT"
    ]
    assert np.isnan(score.value)
    assert "no_data" in score.flags
    assert values(product, "VT")["Cerebellum"] == pytest.approx(true_vt("Cerebellum"), rel=1e-4)


def test_figures_have_the_same_bytes_each_time_and_captions(made: Made) -> None:
    made.settings["figures"] = True
    one, two = made.run(), made.run()
    names = [f.name for f in one.figures]
    assert names == ["desc-blood", "desc-ratio", "desc-fits", "desc-residuals", "desc-delay"]
    assert [f.data for f in one.figures] == [f.data for f in two.figures]
    assert all(f.data.startswith(b"<?xml") and f.caption for f in one.figures)


def test_inputs_cross_a_process_and_settings_stand_in_json(made: Made) -> None:
    study = Study.open(made.write())
    settings = PETSettings()
    inputs = PETMeasure().inputs(Unit("sub-01", "a"), study, settings)
    assert pickle.loads(pickle.dumps(inputs)) == inputs
    json.dumps(dict(inputs.extra))
    assert PETSettings.model_validate_json(settings.model_dump_json()) == settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"modell": "ma1"}, {"model": "3tcm"}, {"model": []}, {"model": ["ma1"] * 2}, {"tstar": 0},
        {"tstar": True}, {"tstar": "late"}, {"vB": "free"}, {"vB": 1.2}, {"parent": "spline"},
        {"scans": {"sub-01": {"blood": {"sorted": True}}}}, {"regions": {"gtmseg": {"x": []}}},
        {"compartment": {"vB": "fit"}},
    ],
)  # fmt: skip
def test_settings_refuse_what_they_do_not_know(wrong: dict) -> None:
    with pytest.raises(ValidationError):
        PETSettings.model_validate(wrong)


def test_words_name_what_was_done() -> None:
    text = words.methods(
        PETSettings(model=["ma1", "2tcm"], tstar=30, tracer="[11C]MC1", parent="hill")
    )
    for part in ("MA1", "two-tissue", "t* = 30 min", "[11C]MC1", "hill", "volume of 0.05"):
        assert part in text
    assert set(PETMeasure.citations) >= {"logan", "ma1", "varpro", "nomenclature"}


def test_the_curve_for_weights_leaves_out_what_is_not_tissue() -> None:
    rows = np.array([[1.0, 2.0], [3.0, 6.0], [100.0, 100.0], [7.0, 7.0]])
    curves = Curves(
        "gtmseg", ("Left-Putamen", "Cerebellum", "Skull", "both"), rows,
        {"Left-Putamen": 1.0, "Cerebellum": 3.0, "Skull": 50.0}, Path("x"), {"both": ("a",)},
    )  # fmt: skip
    np.testing.assert_allclose(tissue_curve([curves]), [2.5, 5.0])


def test_runs_test_against_its_exact_distribution() -> None:
    # all arrangements of 4 + and 4 -: 2 runs in 2 of 70; the normal p is near the exact 4/70
    signs = np.array([[1, 1, 1, 1, -1, -1, -1, -1.0], [1, -1, 1, -1, 1, -1, 1, -1]])
    p = runs_p(signs)
    assert p == pytest.approx([0.0218, 0.0218], abs=0.002)
    assert np.isnan(runs_p(np.ones((1, 8))))[0]


def _autosampler(made: Made, seconds: float, corrected: bool) -> None:
    t, _, _, whole = blood_curves()
    grid = np.arange(0.0, 600.0, 1.0)
    curve = np.interp(grid, np.concatenate(([0.0], t)), np.concatenate(([0.0], whole)))
    seen = disperse(grid / 60, curve, seconds / 60)
    file = made.blood_file.with_name("sub-01_ses-a_recording-autosampler_blood.tsv")
    made.after.append(
        lambda study: (
            write_tsv(file, {"time": grid.tolist(), "whole_blood_radioactivity": seen.tolist()}),
            write_json(
                file.with_suffix(".json"),
                {
                    "DispersionCorrected": corrected,
                    "time": {"Units": "s"},
                    "whole_blood_radioactivity": {"Units": "kBq/mL"},
                },
            ),
        )
    )


def test_an_automatic_record_is_corrected_for_dispersion_once(made: Made, tmp_path: Path) -> None:
    made.settings |= {"delay": 0.0, "dispersion": 8.0}
    _autosampler(made, 8.0, corrected=False)
    product = made.run()
    assert product.meta["DispersionSeconds"] == 8.0
    for region, vt in values(product, "VT").items():
        assert vt == pytest.approx(true_vt(region), rel=0.01)
    twice = Made(tmp_path / "twice")
    twice.settings |= {"dispersion": 8.0}
    _autosampler(twice, 8.0, corrected=True)
    with pytest.raises(Refused, match="corrected for dispersion already"):
        twice.run()
