"""What is read from files: units, time, decay, layouts."""
# ruff: noqa: E501

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pet_edge_study import Made, write_json, write_tsv

from ekbom.errors import Refused
from ekbom.measures.pet.io import plain, units
from ekbom.measures.pet.io.bids import mid_frame_scale, read_scan
from ekbom.measures.pet.io.blood import read_blood
from ekbom.measures.pet.io.bloodstream import read_inputfunction
from ekbom.measures.pet.io.petprep import read_tacs
from ekbom.measures.pet.io.text import read_json

DECAY = np.log(2) / 1220.04  # 1/s


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("Bq/mL", 1e-3), ("BQML", 1e-3), ("Bq/ml", 1e-3), ("kBq/mL", 1), ("kBq/cc", 1),
        ("kBq/cm3", 1), ("MBq/mL", 1e3), ("nCi/mL", 0.037), ("uCi/mL", 37), ("µCi/cc", 37),
        (["kBq/mL"], 1),
    ],
)  # fmt: skip
def test_units_become_kbq(unit: object, factor: float) -> None:
    assert units.concentration(unit, file="x", field="y") == pytest.approx(factor)


@pytest.mark.parametrize("unit", [None, "", "Bq", "kBq", "mBq/mL", "g/mL", 7, ["Bq/mL", "s"]])
def test_other_units_are_refused(unit: object) -> None:
    with pytest.raises(Refused):
        units.concentration(unit, file="x", field="y")


def test_bare_bq_only_where_it_is_known_to_mean_bq_per_ml() -> None:
    assert units.concentration("Bq", file="x", field="y", bare_bq=True) == 1e-3


def test_nearer_json_wins_and_lists_of_one_are_unwrapped(tmp_path: Path) -> None:
    write_json(tmp_path / "pet.json", {"Units": ["kBq/mL"], "TracerName": "A"})
    write_json(tmp_path / "sub.json", {"TracerName": ["B"]})
    merged = read_json([tmp_path / "pet.json", tmp_path / "sub.json"])
    assert merged == {"Units": "kBq/mL", "TracerName": "B"}


def _scan(made: Made):
    write_json(made.pet_file, made.pet)
    return read_scan([made.pet_file])


def test_minutes_from_injection_and_factors(made: Made) -> None:
    scan = _scan(made)
    assert scan.frames.end[-1] == pytest.approx(81.0)
    assert scan.to_kbq == 1e-3
    np.testing.assert_array_equal(scan.factor, 1)
    assert scan.blood_factor == 1
    assert not scan.notes


def test_a_later_decay_reference_scales_tissue_back(made: Made) -> None:
    made.pet["RadionuclideHalfLife"] = 1220.04
    made.pet["ImageDecayCorrectionTime"] = 30.0
    np.testing.assert_allclose(_scan(made).factor, np.exp(DECAY * 30))


def test_uncorrected_images_are_corrected_frame_by_frame(made: Made) -> None:
    made.pet["RadionuclideHalfLife"] = 1220.04
    made.pet["ImageDecayCorrected"] = False
    del made.pet["ImageDecayCorrectionTime"]
    scan = _scan(made)
    s, e = 60 * scan.frames.start[-1], 60 * scan.frames.end[-1]
    grid = np.linspace(s, e, 200001)
    mean_of_decay = np.trapezoid(np.exp(-DECAY * grid), grid) / (e - s)
    assert scan.factor[-1] == pytest.approx(1 / mean_of_decay, rel=1e-9)
    assert "image-decay-corrected-here" in [n.code for n in scan.notes]


def test_mid_frame_factors_are_seen_and_their_excess_taken_out(made: Made) -> None:
    start, duration = (np.array(made.pet[k]) for k in ("FrameTimesStart", "FrameDuration"))
    made.pet["RadionuclideHalfLife"] = 1220.04
    made.pet["DecayFactor"] = np.exp(DECAY * (start + duration / 2 + 4)).round(5).tolist()
    scan = _scan(made)
    assert scan.meta["DecayFactorConvention"] == "mid-frame"
    assert scan.meta["DecayFactorReference"] == pytest.approx(-4, abs=0.01)
    # a constant corrected curve, decaying within the frame, multiplied at mid-frame
    s, e = start[-1], start[-1] + duration[-1]
    grid = np.linspace(s, e, 200001)
    wrong = np.trapezoid(np.exp(-DECAY * grid), grid) / (e - s) * np.exp(DECAY * (s + e) / 2)
    assert wrong * scan.factor[-1] == pytest.approx(1, rel=1e-9)
    x = DECAY * duration[-1]
    assert 1 / scan.factor[-1] == pytest.approx(1 + x**2 / 24, rel=1e-5)
    (note,) = [n for n in scan.notes if n.code == "decay-reference-differs"]
    assert "-4.0 s" in note.text


def test_exact_frame_factors_are_left_alone(made: Made) -> None:
    start, duration = (np.array(made.pet[k]) for k in ("FrameTimesStart", "FrameDuration"))
    x = DECAY * duration
    made.pet["RadionuclideHalfLife"] = 1220.04
    made.pet["DecayFactor"] = (np.exp(DECAY * start) * x / (1 - np.exp(-x))).tolist()
    scan = _scan(made)
    assert scan.meta["DecayFactorConvention"] == "frame mean"
    np.testing.assert_array_equal(scan.factor, 1)
    assert [n.code for n in scan.notes] == ["half-life-differs"]


def test_mid_frame_scale_has_its_limit() -> None:
    np.testing.assert_allclose(mid_frame_scale(np.array([0.0, 1e-12])), 1)


def test_decay_factors_of_one_contradict_a_corrected_image(made: Made) -> None:
    made.pet["DecayFactor"] = [1.0] * len(made.pet["FrameDuration"])
    with pytest.raises(Refused, match="decay factors disagree"):
        _scan(made)


def test_dose_fields_are_compared(made: Made) -> None:
    made.pet["RadionuclideTotalDose"] = 430e6
    (note,) = _scan(made).notes
    assert note.code == "dose-differs"
    made.pet["RadionuclideTotalDose"] = 404e6
    assert not _scan(made).notes


def test_the_files_half_life_wins_and_the_difference_is_told(made: Made) -> None:
    made.pet["RadionuclideHalfLife"] = 1220.04
    scan = _scan(made)
    assert scan.frames.half_life == pytest.approx(20.334)
    assert [n.code for n in scan.notes] == ["half-life-differs"]


def test_frames_before_injection_are_dropped_and_one_across_is_cut(made: Made) -> None:
    made.pet["InjectionStart"] = 20.0  # in the second frame of 15 s
    scan = _scan(made)
    assert int((~scan.keep).sum()) == 1
    assert scan.frames.start[0] == 0
    assert scan.frames.end[0] == pytest.approx(10 / 60)
    # nothing before injection: the mean over 10 s is 15 / 10 of the mean over 15 s, but for decay
    assert scan.factor[0] / scan.factor[1] == pytest.approx(1.5, rel=0.01)
    assert "frames-before-injection" in [n.code for n in scan.notes]


def test_zero_length_frames_are_dropped_with_a_note(made: Made) -> None:
    made.pet["FrameTimesStart"].insert(0, 0.0)
    made.pet["FrameDuration"].insert(0, 0.0)
    scan = _scan(made)
    assert scan.frames.n == len(made.pet["FrameDuration"]) - 1
    assert "frames-zero-length" in [n.code for n in scan.notes]


def _blood(made: Made, **options):
    write_tsv(made.blood_file, made.blood)
    write_json(made.blood_file.with_suffix(".json"), made.blood_json)
    return read_blood((made.blood_file, [made.blood_file.with_suffix(".json")]), **options)


def test_each_series_has_its_own_times(made: Made) -> None:
    made.blood["metabolite_parent_fraction"] = [
        value if i % 5 == 0 else "n/a"
        for i, value in enumerate(made.blood["metabolite_parent_fraction"])
    ]
    made.blood["whole_blood_radioactivity"][0] = "n/a"
    blood, _, _ = _blood(made)
    assert blood.time_p.size == len(made.blood["time"])
    assert blood.time_f.size == -(-blood.time_p.size // 5)
    assert blood.time_wb.size == blood.time_p.size - 1


def test_columns_in_their_own_units_extra_ones_ignored_with_a_note(made: Made) -> None:
    expected, _, _ = _blood(made)
    made.blood["plasma_radioactivity"] = [1000 * v for v in made.blood["plasma_radioactivity"]]
    made.blood_json["plasma_radioactivity"] = {"Units": "Bq/mL"}
    made.blood["hplc_note"] = ["x"] * len(made.blood["time"])
    blood, notes, _ = _blood(made)
    np.testing.assert_allclose(blood.plasma, expected.plasma)
    assert [n.code for n in notes] == ["blood-columns-ignored"]


def test_blood_counts_from_injection_and_is_corrected_to_it(made: Made) -> None:
    blood, _, _ = _blood(made, injection_s=165.0, factor=np.exp(-DECAY * 165))
    plain_blood, _, _ = _blood(made)
    np.testing.assert_allclose(blood.time_p, plain_blood.time_p - 2.75)
    np.testing.assert_allclose(blood.plasma, plain_blood.plasma * np.exp(-DECAY * 165))


def test_percent_by_declaration(made: Made) -> None:
    expected, _, _ = _blood(made)
    made.blood["metabolite_parent_fraction"] = [
        100 * v for v in made.blood["metabolite_parent_fraction"]
    ]
    made.blood_json["metabolite_parent_fraction"] = {"Units": "percent"}
    blood, _, _ = _blood(made)
    np.testing.assert_allclose(blood.parent_fraction, expected.parent_fraction)


def test_manual_and_automatic_recordings_are_joined(made: Made) -> None:
    _blood(made)
    fast = made.blood_file.with_name("sub-01_ses-a_recording-autosampler_blood.tsv")
    write_tsv(fast, {"time": [0, 1, 2], "whole_blood_radioactivity": [0.0, 1.0, 2.0]})
    write_json(
        fast.with_suffix(".json"),
        {"whole_blood_radioactivity": {"Units": "kBq/mL"}, "WholeBloodAvail": True},
    )
    blood, _, _ = read_blood(
        (made.blood_file, [made.blood_file.with_suffix(".json")]),
        (fast, [fast.with_suffix(".json")]),
    )
    np.testing.assert_allclose(60 * blood.time_c, [0, 1, 2])
    assert blood.time_wb.size == len(made.blood["time"])


def test_a_unit_of_the_curves_own_json_wins_over_that_of_the_image(
    made: Made, tmp_path: Path
) -> None:
    scan = _scan(made)
    write_tsv(made.tacs_file, made.tacs)
    names, values = read_tacs(made.tacs_file, scan)
    write_json(tmp_path / "tacs.json", {"Units": "kBq/mL"})
    _, thousand = read_tacs(made.tacs_file, scan, [tmp_path / "tacs.json"])
    assert names[0] == "Left-Thalamus"
    np.testing.assert_allclose(thousand, 1000 * values)


def _plain(tmp_path: Path, columns: dict, name: str = "x_tacs.tsv") -> Path:
    write_tsv(tmp_path / name, columns)
    return tmp_path / name


KINFITR = {
    "Times": [0, 10, 25], "Weights": [0, 1, 2], "THA": [0.0, 3.0, 5.0],
    "StartTime": [0, 5, 15], "Duration": [0, 10, 20],
}  # fmt: skip


def test_plain_curves_in_both_layouts(tmp_path: Path) -> None:
    one = plain.read_tacs(
        _plain(tmp_path, KINFITR), unit="kBq/mL", decay_corrected=True, half_life=None
    )
    other = plain.read_tacs(
        _plain(tmp_path, {"frame_start": [5, 15], "frame_end": [15, 35], "THA": [3.0, 5.0]}, "y.tsv"),
        unit="kBq/mL", decay_corrected=True, half_life=None,
    )  # fmt: skip
    np.testing.assert_allclose(one.frames.start, other.frames.start)
    np.testing.assert_allclose(one.frames.end, other.frames.end)
    np.testing.assert_allclose(one.values, other.values)
    assert one.names == other.names == ("THA",)
    np.testing.assert_allclose(one.weights, [1, 2])
    assert other.weights is None
    assert one.frames.gaps == ((0.0, 5 / 60),)
    assert [n.code for n in one.notes] == ["frames-zero-length"]


def test_plain_curves_are_corrected_when_they_are_not(tmp_path: Path) -> None:
    read = plain.read_tacs(
        _plain(tmp_path, KINFITR), unit="kBq/mL", decay_corrected=False, half_life=20.0
    )
    x = np.log(2) / 1200 * 20
    expected = 5.0 * np.exp(np.log(2) / 1200 * 15) * x / (1 - np.exp(-x))
    assert read.values[0, 1] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("columns", "options", "words"),
    [
        (KINFITR, {"unit": None}, "not declared"),
        (KINFITR, {"decay_corrected": None}, "whether the curves are decay"),
        (KINFITR, {"decay_corrected": False}, "without the nuclide"),
        ({"t": [1, 2], "THA": [1, 2]}, {}, "layout of the curves"),
        ({"StartTime": [0, 5], "Duration": [5, 5]}, {}, "no region"),
        ({"StartTime": [0, 5], "Duration": [9, 5], "A": [1, 2]}, {}, "overlap"),
    ],
)
def test_plain_curves_refused(tmp_path: Path, columns: dict, options: dict, words: str) -> None:
    given = {"unit": "kBq/mL", "decay_corrected": True, "half_life": None} | options
    path = _plain(tmp_path, columns)
    with pytest.raises(Refused, match=words) as no:
        plain.read_tacs(path, **given)
    assert str(path) == no.value.file


def test_plain_blood_in_three_layouts(tmp_path: Path) -> None:
    t, c, w = [30.0, 60, 120], [9.0, 5, 2], [8.0, 4, 2]
    kinfitr, _ = plain.read_input(
        _plain(tmp_path, {"Time": t, "Cbl_dispcorr": w, "Cpl_metabcorr": c}, "a.tsv"), unit="kBq/mL"
    )
    stream, _ = plain.read_input(
        _plain(tmp_path, {"time": t, "AIF": c, "whole_blood_radioactivity": w}, "b.tsv"),
        unit="kBq/mL",
    )
    bids, _ = plain.read_input(
        _plain(
            tmp_path,
            {"time": t, "plasma_radioactivity": c, "metabolite_parent_fraction": [1, 1, 1], "whole_blood_radioactivity": w},
            "c.tsv",
        ),
        unit="kBq/mL",
    )  # fmt: skip
    for blood in (kinfitr, stream, bids):
        np.testing.assert_allclose(blood.plasma, c)
        np.testing.assert_allclose(blood.whole_blood, w)
        np.testing.assert_allclose(60 * blood.time_p, t)
    assert kinfitr.plasma_is_parent
    assert stream.plasma_is_parent
    assert not bids.plasma_is_parent


def test_plain_blood_refused_when_unknown_or_contradictory(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="layout of the blood"):
        plain.read_input(_plain(tmp_path, {"t": [1, 2]}), unit="kBq/mL")
    path = _plain(tmp_path, {"Time": [1, 2], "Cpl_metabcorr": [1, 2]}, "d.tsv")
    path.with_suffix(".json").write_text(json.dumps({"Units": "Bq/mL"}))
    with pytest.raises(Refused, match="not that of the JSON"):
        plain.read_input(path, unit="kBq/mL")


def test_an_input_function_of_bloodstream(tmp_path: Path) -> None:
    t = np.linspace(0, 3000, 3001)
    knots = np.array([0, 30, 90, 600, 3000.0])
    aif = np.interp(t, knots, [0, 0, 50000, 9000, 1000.0])
    whole = np.interp(t, knots, [0, 0, 30000, 6000, 900.0])
    path = tmp_path / "sub-01_inputfunction.tsv"
    write_tsv(path, {"time": t, "whole_blood_radioactivity": whole, "AIF": aif})
    write_json(
        path.with_suffix(".json"),
        {"time": {"Units": ["s"]}, "AIF": {"Units": ["Bq"]}, "whole_blood_radioactivity": {"Units": ["Bq"]}},
    )  # fmt: skip
    blood, notes = read_inputfunction(path, [path.with_suffix(".json")])
    np.testing.assert_allclose(60 * blood.time_p, knots)
    np.testing.assert_allclose(blood.plasma, [0, 0, 50, 9, 1])
    assert [n.code for n in notes].count("bare-bq") == 2
