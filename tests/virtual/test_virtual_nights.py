"""Polysomnography of virtual people: written, validated, found and scored back."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest
from bids_errors import errors
from hypothesis import given, settings
from hypothesis import strategies as st

from ekbom.cli.app import call
from ekbom.errors import Refused
from ekbom.measures.legs.agreement import agree
from ekbom.measures.legs.detect import detect
from ekbom.measures.legs.hypnogram import N3, R
from ekbom.measures.legs.indices import find, indices
from ekbom.measures.legs.io.edf import ecg_channel, leg_channels, open_edf, read_annotations
from ekbom.measures.legs.io.table import read_table
from ekbom.measures.legs.rules import rule_set
from ekbom.measures.legs.score import score
from ekbom.virtual import load_protocol, make_clinical, protocol_names
from ekbom.virtual.nights import STAGE, make_night
from ekbom.virtual.protocol import parse_protocol, protocol_toml
from ekbom.virtual.psg import read_truth


@pytest.fixture(scope="module")
def emg(tmp_path_factory):
    """A patient and a volunteer: an hour and a half of sleep and an hour awake, with EMG."""
    design = load_protocol(
        "smoke-nights", {"nights.sit": True, "nights.scorers": 2, "nights.loss": 0.5}
    )
    return make_clinical(design, tmp_path_factory.mktemp("emg"), seed=5)


@pytest.fixture(scope="module")
def marks(tmp_path_factory):
    """The same without signal, two nights each."""
    design = load_protocol("smoke-nights", {"nights.nights": 2, "nights.sit": True})
    return make_clinical(design, tmp_path_factory.mktemp("marks"), size="rois", seed=5, subjects=4)


def digest(root):
    found = hashlib.sha256()
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        found.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return found.hexdigest()


def test_the_validator_finds_no_error(emg, marks):
    assert errors(emg.root) == []
    assert errors(marks.root) == []


def test_found_and_scored_back_with_error_against_truth(emg):
    hits = wrong = 0
    for label in emg.participants["participant_id"]:
        for task in ("sleep", "sit"):
            true = read_truth(emg.root, label, task)
            opened = open_edf(true.edf)
            found = detect(leg_channels(opened), ecg_channel(opened))
            got = agree(found.marks, true.truth)
            hits, wrong = hits + got.hits, wrong + got.false + got.missed
            said = read_table(str(true.edf).replace("_eeg.edf", "_events.tsv"))
            a = score(found.marks, said.hypnogram(found.lost), said.resp, said.arousal,
                      rules=rule_set("wasm2016"))  # fmt: skip
            b = score(true.truth, true.hypnogram, said.resp, said.arousal,
                      rules=rule_set("wasm2016"))  # fmt: skip
            stage = "sleep" if task == "sleep" else "wake"
            x, y = (find(indices(s), "PLM_index", stage) for s in (a, b))
            assert x.value == pytest.approx(y.value, abs=2.0)
            assert x.hours == pytest.approx(y.hours, abs=0.02)
    assert hits > 50
    assert 2 * hits / (2 * hits + wrong) > 0.95


def test_events_of_the_table_are_the_annotations_of_the_file(emg):
    for path in emg.root.glob("sub-*/eeg/*_events.tsv"):
        table = pd.read_csv(path, sep="\t")
        rows = open_edf(str(path).replace("_events.tsv", "_eeg.edf")).rows()
        assert len(rows) == len(table)
        assert sorted(round(r.onset, 3) for r in rows) == pytest.approx(sorted(table["onset"]))
        inside = read_annotations(str(path).replace("_events.tsv", "_eeg.edf"))
        beside = read_table(path)
        assert inside.hypnogram().minutes() == pytest.approx(
            beside.hypnogram().minutes(), nan_ok=True
        )
        if "sleep" in path.name:
            assert len(inside.arousal) == len(beside.arousal) > 0
            assert inside.marks is None


def test_nothing_of_the_truth_stands_in_the_raw_study(emg):
    keys = ("plm_person", "excitability", "periodic", "truth_", "bursts")
    for path in emg.root.rglob("*"):
        if path.is_file() and "derivatives" not in path.parts and path.suffix != ".edf":
            text = path.read_text("utf-8")
            assert not [k for k in keys if k in text], path


def test_run_answers_the_plan_of_the_nights(tmp_path, capsys):
    made = make_clinical("smoke-nights", tmp_path / "a", size="rois", seed=7, subjects=6)
    asked = ["run", str(made.root), str(tmp_path / "out"), "all"]
    assert call(asked) == 0, capsys.readouterr().err
    scores = pd.read_csv(tmp_path / "out" / "measures.tsv", sep="\t")
    assert set(scores["measure"]) == {"legs", "clinic"}
    rows = scores[(scores["parameter"] == "PLMS_index") & (scores["method"] == "wasm2016")]
    for row in rows.itertuples():
        true = read_truth(made.root, row.participant_id, "sleep")
        events = read_table(str(true.edf).replace("_eeg.edf", "_events.tsv"))
        want = score(true.truth, true.hypnogram, events.resp, rules=rule_set("wasm2016"))
        assert row.value == pytest.approx(find(indices(want), "PLM_index", "sleep").value)
    assert list((tmp_path / "out" / "group").glob("question-group/answer.json"))


def test_scorers_miss_and_wobble(emg):
    found = sorted((emg.root / "derivatives" / "scorers").rglob("*_events.tsv"))
    assert len(found) == 4
    one = read_table(found[0]).marks
    true = read_truth(emg.root, "sub-01", "sleep").truth
    got = agree(one, true)
    assert 0.8 < got.hits / len(true) < 1.0
    assert 0.02 < float(np.std(got.onset_error)) < 0.3


def test_the_same_bytes_whatever_the_number_of_threads(tmp_path):
    design = load_protocol("smoke-nights")
    made = [
        make_clinical(design, tmp_path / str(k), size="rois", seed=3, workers=k) for k in (1, 3)
    ]
    assert digest(made[0].root) == digest(made[1].root)
    other = make_clinical(design, tmp_path / "other", size="rois", seed=4)
    assert digest(other.root) != digest(made[0].root)


def test_one_channel_of_both_legs_in_millivolts(tmp_path):
    design = load_protocol(
        "smoke-nights", {"nights.legs": "one", "nights.unit": "mV", "nights.hours": 1}
    )
    made = make_clinical(design, tmp_path / "a", seed=2, subjects=1)
    opened = open_edf(made.root / "sub-01/eeg/sub-01_task-sleep_eeg.edf")
    (leg,) = leg_channels(opened)
    assert leg.name == "Leg"
    assert opened.units[0] == "mV"
    assert len(detect([leg], ecg_channel(opened)).marks) > 0


def test_designs_hold_together():
    for name in protocol_names():
        design = load_protocol(name)
        assert parse_protocol(protocol_toml(design)) == design
    with pytest.raises(Refused, match="no such key"):
        load_protocol("plm-norms", {"nights.sleep": 1})
    with pytest.raises(Refused, match="hold together") as no:
        load_protocol("plm-norms", {"nights.fs": {"quick": 50, "full": 512}})
    assert "100 Hz" in str(no.value.expected)
    with pytest.raises(Refused, match="hold together") as no:
        load_protocol("plm-norms", {"kind": "trial"})
    assert "[arms]" in str(no.value.expected)
    with pytest.raises(Refused, match="no such design"):
        load_protocol("nobody")
    with pytest.raises(Refused, match="not TOML"):
        parse_protocol("a = [")


def test_a_folder_that_holds_something_and_a_size_that_is_none(tmp_path):
    (tmp_path / "x").write_text("x")
    with pytest.raises(Refused, match="not empty"):
        make_clinical("smoke-nights", tmp_path)
    with pytest.raises(Refused, match="size"):
        make_clinical("smoke-nights", tmp_path / "a", size="huge")
    with pytest.raises(Refused, match="seed"):
        make_clinical("smoke-nights", tmp_path / "a", seed=-1)


@given(
    st.integers(0, 2**32), st.floats(18, 90), st.floats(-2, 2), st.floats(0, 40),
    st.sampled_from([1.0, 2.5, 8.0]), st.booleans(),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_what_holds_of_any_night(seed, age, person, ahi, hours, awake):
    night = make_night(
        np.random.default_rng(seed), age=age, person=person, excitability=0.1, hours=hours,
        ahi=ahi, awake=awake,
    )  # fmt: skip
    e = night.events
    assert (e["onset"] > 0).all()
    assert (e["onset"] + e["duration"] <= night.seconds).all()
    assert (e["duration"] >= 0.8).all()
    assert (np.diff(e["onset"]) >= 0).all()
    assert e.groupby("movement").size().max() in (1, 2) if len(e) else True
    if len(night.arousal) > 1:
        assert (night.arousal.onset[1:] >= night.arousal.end[:-1] + 10 - 1e-9).all()
    if len(night.resp) > 1:
        assert (night.resp.onset[1:] >= night.resp.end[:-1] + 20 - 1e-9).all()
    if awake:
        assert not len(night.resp)
        assert not (night.hypnogram.stage > 0).any()


def test_deep_sleep_and_rem_hold_fewer_movements():
    counts, hours = np.zeros(5), np.zeros(5)
    for seed in range(160):
        night = make_night(np.random.default_rng(seed), age=60, person=1.5, excitability=0.1)
        e = night.events[night.events["periodic"]]
        h = night.hypnogram
        stage = h.stage[np.searchsorted(h.onset, e["onset"], side="right") - 1]
        counts += np.bincount(stage, minlength=5)
        for k in range(5):
            hours[k] += h.duration[h.stage == k].sum() / 3600
    rate = counts / hours
    for k in (N3, R):
        assert rate[k] / rate[2] == pytest.approx(STAGE[k], rel=0.35)
