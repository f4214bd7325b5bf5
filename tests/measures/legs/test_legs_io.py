"""Readers and writers: words, tables, EDF, XML, real hypnograms, a study from files to scores."""

from __future__ import annotations

import datetime
import json
import math

import edfio
import numpy as np
import pandas as pd
import pytest

from ekbom.cli.app import call
from ekbom.errors import Refused
from ekbom.measures.legs.events import LEFT, RIGHT, UNKNOWN, Marks
from ekbom.measures.legs.hypnogram import N1, N2, N3, UNKNOWN_STAGE, R, W
from ekbom.measures.legs.indices import find, indices
from ekbom.measures.legs.io import words
from ekbom.measures.legs.io.annotations import Row, sort_out
from ekbom.measures.legs.io.edf import channel, edf_bytes, leg_channels, open_edf
from ekbom.measures.legs.io.psgipa import read_scorers
from ekbom.measures.legs.io.read import read
from ekbom.measures.legs.io.tal import read_head
from ekbom.measures.legs.measure import LegsMeasure
from ekbom.measures.legs.rules import RULE_SETS, rule_set
from ekbom.measures.legs.score import score
from ekbom.measures.legs.settings import LegsSettings
from ekbom.measures.legs.simulate import CLEAN, Scene, simulate_night
from ekbom.nouns import Measure, Unit
from ekbom.study import registry
from ekbom.study.index import Study
from ekbom.validate.legs import night_file


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        ("Sleep stage W", W), ("Sleep stage N2", N2), ("Sleep stage R", R), ("Sleep stage ?", -1),
        ("Sleep stage 4", N3), ("Sleep stage 1", N1), ("REM sleep|5", R), ("Wake|0", W),
        ("Stage 3 sleep|3", N3), ("N1", N1), ("5", R), ("4", N3), ("0", W), ("Hypopnea", None),
        ("Movement time", UNKNOWN_STAGE), ("Arousal", None), ("Limb Movement (Left)", None),
    ],
)  # fmt: skip
def test_words_of_stages(text, stage):
    assert words.stage_of(text) == stage


@pytest.mark.parametrize(
    ("text", "leg"),
    [
        ("EMG LAT", LEFT), ("EMG RAT", RIGHT), ("Limb movement - left|Limb Movement (Left)", LEFT),
        ("Periodic leg movement - right|PLM (Right)", RIGHT), ("L", LEFT), ("R", RIGHT),
        ("Leg", UNKNOWN), ("LLEG", LEFT), ("Leg/R", RIGHT), ("RLEG", RIGHT), ("Tib_L", LEFT),
        ("n/a", UNKNOWN), ("B", UNKNOWN), ("Left Leg", LEFT), ("PLMr", RIGHT), ("EMG tib", UNKNOWN),
    ],
)  # fmt: skip
def test_words_of_legs(text, leg):
    assert words.leg_of(text) == leg


def test_other_words():
    assert words.respiratory_kind("Obstructive apnea|Obstructive Apnea") == "apnoea"
    assert words.respiratory_kind("Hypopnoea") == "hypopnoea"
    assert words.respiratory_kind("Respiratory effort related arousal|RERA") == "rera"
    assert not words.is_arousal("Respiratory effort related arousal|RERA")
    assert words.is_arousal("Arousal|Arousal ()")
    assert words.lights("Lights off") == "off"
    assert words.lights("lights_on") == "on"
    for text in ("Limb movement", "PLM (Left)", "LM", "leg movements", "plms", "nonCLM"):
        assert words.is_movement(text)
    for text in ("Film", "Body movement", "Movement", "SpO2 desaturation"):
        assert not words.is_movement(text)
    assert words.is_leg_channel("EMG LAT")
    assert words.is_leg_channel("Leg_L")
    assert not words.is_leg_channel("EMG chin")
    assert not words.is_leg_channel("Resp flow")
    assert words.is_ecg_channel("ECG II")


def test_annotations_are_sorted_out():
    rows = [
        Row(0, 30, "Sleep stage W"), Row(30, 30, "Sleep stage 3"),
        Row(5, 0, "Lights off", "EMG RAT"), Row(60, 0, "Lights on"),
        Row(31, 2, "Limb movement", "EMG RAT"), Row(40, 10, "Hypopnea"),
        Row(45, 3, "Arousal"), Row(50, 1, "SpO2 artifact"),
    ]  # fmt: skip
    got = sort_out(rows, "x.edf")
    assert got.marks is not None
    assert got.marks.leg.tolist() == [RIGHT]
    assert got.resp is not None
    assert got.resp.kind == ("hypopnoea",)
    assert got.arousal is not None
    assert got.ignored == {"SpO2 artifact": 1}
    night = got.hypnogram()
    assert (night.lights_off, night.lights_on) == (5, 60)
    assert night.flags == ("stages-of-rechtschaffen-and-kales",)
    none = sort_out(rows[:2])
    assert none.marks is None
    assert none.resp is None
    assert none.hypnogram().flags[-2:] == ("lights-off-missing", "lights-on-missing")
    with pytest.raises(Refused, match="no sleep stages"):
        sort_out(rows[4:5], "x.edf").hypnogram()
    with pytest.raises(Refused, match="more than once"):
        sort_out([Row(0, 0, "Lights off"), Row(9, 0, "Lights off")])
    with pytest.raises(Refused, match="no time"):
        sort_out([Row(math.nan, 0, "LM")])
    starts = sort_out([Row(0, 0, "N1"), Row(20, 0, "N2"), Row(40, 0, "W")])
    assert starts.hypnogram().duration.tolist() == [20, 20, 20]


def test_plain_tables(tmp_path):
    lm = tmp_path / "lm.tsv"
    lm.write_text("onset\tduration\tleg\n10.5\t1\tL\n40\t2\tright\n")
    assert read(lm).marks.leg.tolist() == [LEFT, RIGHT]
    stages = tmp_path / "st.csv"
    stages.write_text("onset,duration,stage\n0,20,W\n20,20,2\n")
    assert read(stages).hypnogram().stage.tolist() == [W, N2]
    resp = tmp_path / "resp.tsv"
    resp.write_text("onset\tduration\n5\t20\n")
    assert read(resp, kind="resp").resp.end.tolist() == [25]
    for text, match in (
        ("start\tend\n1\t2\n", "when events are"),
        ("onset\tduration\n1\t2\n", "what its rows are"),
        ("onset\tduration\tleg\none\t2\tL\n", "not a number"),
        ("onset\tduration\tleg\n1\t-2\tL\n", "ends before"),
    ):
        lm.write_text(text)
        with pytest.raises(Refused, match=match):
            read(lm)
    with pytest.raises(Refused, match="not there"):
        read(tmp_path / "none.tsv")
    (tmp_path / "a.doc").write_text("x")
    with pytest.raises(Refused, match="format"):
        read(tmp_path / "a.doc")


def test_nsrr_xml(tmp_path):
    def event(concept, start, length, place=""):
        return (
            f"<ScoredEvent><EventConcept>{concept}</EventConcept><Start>{start}</Start>"
            f"<Duration>{length}</Duration><SignalLocation>{place}</SignalLocation></ScoredEvent>"
        )

    body = (
        event("Recording Start Time", 0, 3600)
        + event("Stage 2 sleep|2", 0, 600)
        + event("Limb movement - left|Limb Movement (Left)", 100, 1.5, "EKG2")
        + event("Periodic leg movement - right|PLM (Right)", 120, 1)
        + event("Obstructive apnea|Obstructive Apnea", 200, 20)
        + event("Arousal|Arousal ()", 221, 5)
    )
    path = tmp_path / "a.xml"
    path.write_text(f"<PSGAnnotation><ScoredEvents>{body}</ScoredEvents></PSGAnnotation>")
    got = read(path)
    assert got.marks.leg.tolist() == [LEFT, RIGHT]
    assert len(got.resp) == len(got.arousal) == 1
    assert got.hypnogram().minutes()["N2"] == 10
    path.write_text("<!DOCTYPE x [<!ENTITY a 'b'>]><PSGAnnotation/>")
    with pytest.raises(Refused, match="entities"):
        read(path)
    path.write_text("<PSGAnnotation><ScoredEvents>")
    with pytest.raises(Refused, match="not XML"):
        read(path)
    path.write_text("<PSGAnnotation/>")
    with pytest.raises(Refused, match="no scored events"):
        read(path)


def short_edf(path, unit="uV", labels=("EMG LAT", "EMG RAT")):
    x = np.random.default_rng(1).normal(0, 3, 2560)
    path.write_bytes(edf_bytes([(label, x, 256.0) for label in labels], unit=unit))
    return x


def test_units_come_from_the_header_only(tmp_path):
    path = tmp_path / "a.edf"
    for unit in ("uV", "mV", "V"):
        x = short_edf(path, unit)
        got = leg_channels(open_edf(path))[0]
        assert np.max(np.abs(got.microvolts() - x)) < 1e-3
    data = path.read_bytes()
    place = 256 + 3 * 96
    x = short_edf(path)
    data = path.read_bytes()
    assert data[place : place + 2] == b"uV"
    for spelled in ("\u00b5V".encode("latin-1"), "\u00b5V".encode(), "\u03bcV".encode()):
        path.write_bytes(data[:place] + spelled.ljust(8) + data[place + 8 :])
        opened = open_edf(path)
        assert np.max(np.abs(channel(opened, "emg lat").microvolts() - x)) < 1e-3
    for wrong in (b"", b"g", b"?V"):
        path.write_bytes(data[:place] + wrong.ljust(8) + data[place + 8 :])
        with pytest.raises(Refused, match="unit") as no:
            channel(open_edf(path), "EMG LAT")
        assert "never guessed" in str(no.value.mend)


def test_channels_of_legs(tmp_path):
    path = tmp_path / "a.edf"
    short_edf(path, labels=("Leg1", "Leg2"))
    opened = open_edf(path)
    with pytest.raises(Refused, match="does not say its leg"):
        leg_channels(opened)
    assert [c.leg for c in leg_channels(opened, ["Leg1=L", "Leg2=R"])] == [LEFT, RIGHT]
    with pytest.raises(Refused, match="no such channel"):
        leg_channels(opened, ["Leg9"])
    short_edf(path, labels=("C3", "O1"))
    with pytest.raises(Refused, match="called like a leg"):
        leg_channels(open_edf(path))
    path.write_bytes(b"nonsense")
    with pytest.raises(Refused, match="cannot be read as EDF"):
        open_edf(path)


def test_edf_that_is_not_continuous_is_refused(tmp_path):
    path = tmp_path / "a.edf"
    short_edf(path)
    data = path.read_bytes()
    assert data[192:197] == b"EDF+C"
    data = data[:192] + b"EDF+D" + data[197:]
    path.write_bytes(data)
    assert open_edf(path).seconds == 10  # says so, but its records do follow each other
    path.write_bytes(data.replace(b"+9\x14\x14\x00\x00", b"+99\x14\x14\x00"))
    with pytest.raises(Refused, match="not continuous"):
        open_edf(path)


@pytest.mark.parametrize("start", [0.0, 0.25])
@pytest.mark.parametrize("kind", ["edf", "bdf"])
def test_annotations_are_those_of_edfio(tmp_path, kind, start):
    """Our reader of all records at once beside the one that edfio has, record by record."""
    rng = np.random.default_rng(3)
    texts = ["Sleep stage N2", "Limb movement@@EMG LAT", "", "\u00b5 \u00e4", "two  words"]
    notes = [
        edfio.EdfAnnotation(round(t, 3), None if d < 0.2 else round(d, 2), texts[k])
        for t, d, k in zip(rng.uniform(0, 60, 80), rng.uniform(0, 3, 80), rng.integers(0, 5, 80),
                           strict=True)
    ]  # fmt: skip
    path = tmp_path / f"a.{kind}"
    one, whole = (edfio.EdfSignal, edfio.Edf) if kind == "edf" else (edfio.BdfSignal, edfio.Bdf)
    signal = one(rng.normal(0, 3, 60 * 64), 64.0, label="EMG LAT", physical_dimension="uV")
    clock = datetime.time(22, 0, 0, round(1e6 * start))
    whole([signal], annotations=notes, starttime=clock, data_record_duration=0.5).write(path)
    edf = edfio.read_edf(path) if kind == "edf" else edfio.read_bdf(path)
    head = read_head(path)
    assert head.continuous
    assert head.units == ("uV",)
    assert [(n.onset, n.duration, n.text) for n in head.notes] == [
        tuple(a) for a in edf.annotations
    ]
    data = path.read_bytes()
    # A file in the older encoding of Western Europe is read too.
    old = data.replace("\u00b5 \u00e4".encode(), "\u00b5 \u00e4 ".encode("latin-1") + b"\x00")
    path.write_bytes(old.replace(b"\xe4 \x00\x14\x00", b"\xe4\x14\x00\x00\x00"))
    again = [n.text for n in read_head(path).notes]
    assert again == [n.text for n in head.notes]


def test_bdf_is_read_too(tmp_path):
    x = np.random.default_rng(2).normal(0, 3, 2560)
    signal = edfio.BdfSignal(x, 256.0, label="EMG LAT", physical_dimension="uV")
    path = tmp_path / "a.bdf"
    edfio.Bdf([signal], annotations=[edfio.EdfAnnotation(3, 1, "Limb movement@@EMG LAT")]).write(
        path
    )
    got = leg_channels(open_edf(path))[0]
    assert np.max(np.abs(got.microvolts() - x)) < 1e-4
    said = read(path)
    assert said.marks is not None
    assert said.marks.onset.tolist() == [3]


def test_a_night_over_midnight_and_longer_than_a_day(tmp_path):
    rows = [Row(30.0 * k, 30.0, "Sleep stage N2") for k in range(3000)]  # 25 h
    rows.append(Row(89_000.0, 2.0, "Limb movement", "EMG LAT"))
    path = tmp_path / "long.edf"
    path.write_bytes(edf_bytes([], sorted(rows)))
    got = read(path)
    assert got.marks is not None
    assert got.marks.onset.tolist() == [89_000.0]
    assert got.hypnogram().minutes()["N2"] == 1500


@pytest.mark.real_data
def test_real_hypnograms(shared_data):
    scorings = read_scorers(shared_data / "psg_ipa_hypnograms")
    assert [s.scorer for s in scorings] == [1, 2, 3]
    nights = [s.said.hypnogram() for s in scorings]
    first = nights[0]
    counts = {code: int((first.stage == code).sum()) for code in (W, N1, N2, N3, R, -1)}
    assert counts == {W: 46, N1: 47, N2: 475, N3: 159, R: 172, -1: 2}
    for night in nights:
        assert (night.lights_off, night.lights_on) == (83.21, 26980.45)
        assert not night.flags
        assert set(night.duration) == {30.0}
    assert [n.minutes()["TST"] for n in nights] == [426.5, 419.0, 427.5]
    # agreement of two scorers, Cohen's kappa by hand
    a, b = (n.stage for n in nights[:2])
    both = (a >= 0) & (b >= 0)
    share = float(np.mean(a[both] == b[both]))
    chance = sum(float(np.mean(a[both] == k) * np.mean(b[both] == k)) for k in range(5))
    assert 0.6 < (share - chance) / (1 - chance) < 1.0
    # the same movements under three hypnograms: only the stages differ
    marks = Marks.of(np.arange(100.0, 26900.0, 24.0).tolist())
    rows = [indices(score(marks, n, rules=rule_set("wasm2016"))) for n in nights]
    values = [find(r, "PLM_index", "sleep").value for r in rows]
    assert len(set(values)) > 1
    assert all(140 < v < 160 for v in values)  # 150 an hour, whatever the stage
    epochs = first.onset[first.stage == UNKNOWN_STAGE]
    lost = score(Marks.of([float(e) + 1 for e in epochs]), first, rules=rule_set("wasm2016"))
    assert "yes" not in lost.counts


def study_of(tmp_path, *, marks=False, sit=True):
    """One person with a night in the EMG, and another whose movements are marked."""
    root = tmp_path / "bids"
    root.mkdir()
    (root / "dataset_description.json").write_text(
        json.dumps({"Name": "legs", "BIDSVersion": "1.10.0"})
    )
    (root / "participants.tsv").write_text("participant_id\nsub-01\nsub-02\n")
    one, two = root / "sub-01" / "ses-a" / "eeg", root / "sub-02" / "eeg"
    one.mkdir(parents=True)
    two.mkdir(parents=True)
    scene = Scene(loss=True, ecg=15.0)
    night = simulate_night(seconds=5400, fs=256, scene=scene, seed=21, per_hour=90)
    stem = one / "sub-01_ses-a_task-sleep"
    night_file(night, stem.with_name(stem.name + "_eeg.edf"))
    stem.with_name(stem.name + "_channels.tsv").write_text(
        "name\ttype\tunits\nEMG LAT\tEMG\tuV\nEMG RAT\tEMG\tmV\nECG\tECG\tuV\n"
    )
    if sit:
        test = simulate_night(seconds=3600, fs=256, scene=CLEAN, seed=22, per_hour=60)
        channels = [(f"EMG {k}AT", test.emg[k], 256.0) for k in "LR"]
        (one / "sub-01_ses-a_task-sit_eeg.edf").write_bytes(edf_bytes(channels))
    lines = ["onset\tduration\ttrial_type\tchannel"]
    lines += [f"{30 * k}\t30\tN2\tn/a" for k in range(60)]
    lines += ["0\tn/a\tlights_off\tn/a", "1800\tn/a\tlights_on\tn/a"]
    lines += [f"{100 + 25 * k}\t1.5\tLM\tEMG LAT" for k in range(8)]
    lines += ["130\t12\thypopnea\tn/a", "175.5\t4\tarousal\tn/a"]
    (two / "sub-02_task-sleep_events.tsv").write_text("\n".join(lines) + "\n")
    return root, night


def test_the_measure_from_files_to_scores(tmp_path):
    root, night = study_of(tmp_path)
    study = Study.open(root)
    legs = registry.measure("legs")
    assert isinstance(legs, LegsMeasure)
    as_measure: Measure = legs
    units = as_measure.units(study)
    assert units == [Unit("sub-01", "a"), Unit("sub-02")]
    settings = LegsSettings()
    inputs = as_measure.inputs(units[0], study, settings)
    product = as_measure.run(inputs, settings)
    scores = {(s.parameter, s.method): s for s in product.scores}
    for rules in RULE_SETS:
        truth = score(night.truth, night.hypnogram, rules=rule_set(rules))
        want = find(indices(truth), "PLM_index", "sleep")
        got = scores["PLMS_index" if rules == RULE_SETS[0] else f"PLMS_index_{rules}", rules]
        assert got.value == pytest.approx(want.value, rel=0.08)
        assert got.lower < got.value < got.upper
    assert scores["SIT_index", "wasm2016"].value > 20
    assert scores["PLMSnr_index", "wasm2016"].flags == ("respiration-not-given",)
    assert {s.parameter for s in product.scores} <= {
        *legs.outcomes, "N1_minutes", "N2_minutes", "N3_minutes", "R_minutes", "W_minutes",
        "unknown_minutes", "time_in_bed_minutes",
    }  # fmt: skip
    codes = {n.code for n in product.notes}
    assert {"signal-lost", "units-of-header"} <= codes
    assert [t.name for t in product.tables][:2] == ["desc-legs_events", "desc-legs_scores"]
    for table in product.tables:
        assert set(table.frame.columns) == set(table.columns)
    assert len(product.figures) == 5
    again = as_measure.run(inputs, settings)
    assert [f.data for f in again.figures] == [f.data for f in product.figures]
    assert "not medical advice" in legs.words(settings)
    assert "as marked" in legs.words(LegsSettings(marks="given"))


def test_marks_given_in_a_study(tmp_path):
    root, _ = study_of(tmp_path, sit=False)
    study = Study.open(root)
    legs, settings = LegsMeasure(), LegsSettings(figures=False)
    product = legs.run(legs.inputs(Unit("sub-02"), study, settings), settings)
    scores = {(s.parameter, s.method): s.value for s in product.scores}
    assert scores["PLMS_index", "wasm2016"] == pytest.approx(16)
    # one movement is respiratory: the others keep intervals of 25 and 50 s
    assert scores["PLMSnr_index", "wasm2016"] == pytest.approx(14)
    assert scores["PLMS_arousal_index", "wasm2016"] == pytest.approx(2)
    assert scores["PI_2016", "wasm2016"] == 1
    assert not product.figures
    detecting = LegsSettings(marks="detect")
    with pytest.raises(Refused, match="neither marks"):
        legs.run(legs.inputs(Unit("sub-02"), study, detecting), detecting)
    with pytest.raises(Refused, match="no recording of this task"):
        legs.inputs(Unit("sub-02"), study, LegsSettings(task="nap", sit_task="none"))


def test_edf_in_derivative_out_and_back(tmp_path, capsys):
    night = simulate_night(seconds=3600, fs=256, scene=Scene(loss=True), seed=23, per_hour=90)
    path = tmp_path / "sub-01_task-sleep_eeg.edf"
    night_file(night, path)
    before = path.read_bytes()
    one, two = tmp_path / "one", tmp_path / "two"
    assert call(["legs", "detect", str(path), str(one), "--channels", "EMG LAT,EMG RAT"]) == 0
    events = one / "sub-01_task-sleep_desc-legs_events.tsv"
    assert call(["legs", "score", str(events), str(two), "--stages", str(path)]) == 0
    assert path.read_bytes() == before
    for name in ("events", "scores"):
        file = f"sub-01_task-sleep_desc-legs_{name}.tsv"
        assert (one / file).read_bytes() == (two / file).read_bytes()
    frame = pd.read_csv(one / "sub-01_task-sleep_desc-legs_scores.tsv", sep="\t")
    assert set(frame["rules"]) == set(RULE_SETS)
    said = json.loads((one / "sub-01_task-sleep_desc-legs_events.json").read_text())
    assert said["Detection"]["Legs"]["EMG RAT"]["MinutesLost"] == pytest.approx(3.75, abs=0.1)
    assert list(said["GeneratedBy"]["Inputs"]) == [path.name]
    assert len(list((one / "figures").glob("*.svg"))) == 5
    capsys.readouterr()
    asked = ["legs", "explain", str(events), "--event", "17", "--stages", str(path)]
    assert call(asked) == 0
    out = capsys.readouterr().out
    assert all(title in out for title in ("WASM 2016", "WASM 2006", "AASM 2.6"))
    # a file of our own is never replaced by what is made from it
    assert call(["legs", "score", str(events), str(one), "--stages", str(path)]) == 2
    assert call([*asked[:4], "99999", *asked[5:]]) == 2


def test_command_line_refusals_and_marks_only(tmp_path, capsys):
    x = simulate_night(seconds=300, fs=256, seed=24, per_hour=120)
    path = tmp_path / "rec.edf"
    path.write_bytes(edf_bytes([("EMG LAT", x.emg["L"], 256.0)]))
    assert call(["legs", "detect", str(path), str(tmp_path / "o")]) == 0
    assert "marks only" in capsys.readouterr().out
    assert (tmp_path / "o" / "rec_desc-detected_events.tsv").is_file()
    assert call(["legs", "score", str(path), str(tmp_path / "p")]) == 2
    assert "no marks" in capsys.readouterr().err
    assert call(["legs", "score", str(path), str(tmp_path / "p"), "--rules", "x"]) == 2
    table = tmp_path / "lm.tsv"
    table.write_text("onset\tduration\tleg\n10\t1\tL\n")
    assert call(["legs", "score", str(table), str(tmp_path / "p")]) == 2
    assert "--stages" in capsys.readouterr().err


def test_validation_runs(tmp_path, monkeypatch, capsys):
    import ekbom.validate.legs as loop

    kept = {k: loop.SCENES[k] for k in ("clean", "hard")}
    monkeypatch.setattr(loop, "SCENES", kept)
    asked = ["validate", "legs", "--out", str(tmp_path), "--nights", "1", "--hours", "1"]
    assert call(asked) == 0
    said = capsys.readouterr().out
    assert "clean: F1" in said
    assert (tmp_path / "validate-legs.html").is_file()
