"""Public databases: small files in the documented forms; real ones were not at hand."""

from __future__ import annotations

import struct
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekbom.cli.app import call
from ekbom.errors import Refused
from ekbom.measures.legs.events import LEFT, RIGHT, UNKNOWN
from ekbom.measures.legs.hypnogram import N1, N2, N3, UNKNOWN_STAGE, R, W
from ekbom.measures.legs.io import words
from ekbom.measures.legs.io.cap import read_cap
from ekbom.measures.legs.io.edf import channel, edf_bytes, leg_channels
from ekbom.measures.legs.io.foreign import open_recording
from ekbom.measures.legs.io.read import read
from ekbom.measures.legs.io.slpdb import Epoch, read_epochs

# ---- DREAMS


def test_dreams_hypnogram_runs_downwards(tmp_path):
    path = tmp_path / "Hypnogram_excerpt1.txt"
    path.write_text("[hypnogram]\r\n" + "\r\n".join(str(k) for k in (5, 4, 3, 2, 1, 0, -1, -2)))
    said = read(path)
    night = said.hypnogram()
    assert night.stage.tolist() == [W, R, N1, N2, N3, N3, UNKNOWN_STAGE, UNKNOWN_STAGE]
    assert night.onset.tolist() == [5.0 * k for k in range(8)]
    assert set(night.duration) == {5.0}
    assert "stages-of-rechtschaffen-and-kales" in said.flags


def test_dreams_marks(tmp_path):
    path = tmp_path / "Visual_scoring1_excerpt1.txt"
    path.write_text("[vis_PLMs/TIBIALIS L]\n100.25\t1.5\n125.5\t2\n")
    marks = read(path).marks
    assert marks.onset.tolist() == [100.25, 125.5]
    assert marks.duration.tolist() == [1.5, 2.0]
    assert marks.leg.tolist() == [LEFT, LEFT]
    path.write_text("[vis_PLMs/EMG]\n100.25 1.5\n")
    assert read(path).marks.leg.tolist() == [UNKNOWN]


@pytest.mark.parametrize(
    ("text", "field"),
    [("[hypnogram]\n5\n7\n", "line 3"), ("[hypnogram]\n2.5\n", "line 2"),
     ("[vis]\n12\n", "line 2"), ("[vis]\n1 2\nx 3\n", "line 3")],
)  # fmt: skip
def test_dreams_lines_that_do_not_fit(tmp_path, text, field):
    path = tmp_path / "a.txt"
    path.write_text(text)
    with pytest.raises(Refused) as no:
        read(path)
    assert no.value.field == field


# ---- CAP

HEAD = "RemLogic Event Export\nPatient:\tX\nRecording Date:\t01/01/2009\n\n"
COLUMNS = "Sleep Stage\tPosition\tTime [hh:mm:ss]\tEvent\tDuration[s]\tLocation\n"


def cap_file(path, rows, columns=COLUMNS):
    path.write_text(HEAD + columns + "".join("\t".join(r) + "\n" for r in rows))
    return path


def test_cap_times_count_from_the_start_of_the_recording(tmp_path):
    rows = [
        ("W", "Supine", "23:59:30", "SLEEP-S0", "30", "ROC-LOC"),
        ("S2", "Supine", "00:00:00", "SLEEP-S2", "30", "ROC-LOC"),
        ("S2", "Supine", "00:00:12", "MCAP-A1", "6", "C4-A1"),
        ("S4", "Supine", "00:00:30", "SLEEP-S4", "30", "ROC-LOC"),
        ("R", "Supine", "00:01:00", "SLEEP-REM", "30", "ROC-LOC"),
        ("MT", "Supine", "00:01:30", "SLEEP-MT", "30", "ROC-LOC"),
    ]
    path = cap_file(tmp_path / "plm1.txt", rows)
    alone = read(path)
    assert "times-from-first-row" in alone.flags
    assert alone.hypnogram().onset.tolist() == [0, 30, 60, 90, 120]
    x = np.zeros(512)
    (tmp_path / "plm1.edf").write_bytes(edf_bytes([("SX1-SX2", x, 512.0)]))  # 22.00.00
    said = read(path)
    assert "times-from-first-row" not in said.flags
    night = said.hypnogram()
    assert night.onset.tolist() == [7170, 7200, 7230, 7260, 7290]
    assert night.stage.tolist() == [W, N2, N3, R, UNKNOWN_STAGE]
    assert said.ignored == {"MCAP-A1": 1}
    assert "stages-of-rechtschaffen-and-kales" in said.flags


def test_cap_without_position_and_with_points_in_times(tmp_path):
    columns = "Sleep Stage\tTime [hh:mm:ss]\tEvent\tDuration[s]\tLocation\n"
    rows = [("S1", "22.10.00", "SLEEP-S1", "30", "x"), ("S1", "22.10.30", "SLEEP-S1", "30", "x")]
    got = read(cap_file(tmp_path / "a.txt", rows, columns))
    assert got.hypnogram().stage.tolist() == [N1, N1]
    # a head with a position, rows without
    rows = [("S1", "22:10:00", "SLEEP-S1", "30", "x")] * 1 + [
        ("S2", "22:10:30", "SLEEP-S2", "30", "x")
    ]
    got = read(cap_file(tmp_path / "b.txt", rows))
    assert got.hypnogram().stage.tolist() == [N1, N2]


@pytest.mark.parametrize(
    "row",
    [("S1", "Left", "25:00:00", "SLEEP-S1", "30", "x"), ("S1", "Left", "22:00", "S", "30", "x"),
     ("S1", "Left", "22:00:00", "SLEEP-S1", "long", "x"), ("S1",)],
)  # fmt: skip
def test_cap_rows_that_cannot_be_read(tmp_path, row):
    with pytest.raises(Refused, match="row") as no:
        read(cap_file(tmp_path / "a.txt", [row]))
    assert no.value.field == "line 6"
    (tmp_path / "b.txt").write_text("onset\tduration\n")
    with pytest.raises(Refused, match="no table of a scoring"):
        read_cap(tmp_path / "b.txt")


def test_names_of_legs_in_italian_recordings():
    for name, leg in (("SX1-SX2", LEFT), ("Dx1-DX2", RIGHT), ("TIB Dx", RIGHT), ("TIB Sx", LEFT),
                      ("tib sin", LEFT)):  # fmt: skip
        assert words.is_leg_channel(name)
        assert words.leg_of(name) == leg
    assert not words.is_leg_channel("EOG dx")


# ---- MIT-BIH


def wfdb(notes):
    """Write notes as the MIT annotation format has it: (sample, text)."""
    out, last = b"", 0
    for sample, text in notes:
        step = sample - last
        if step > 1023:
            out += struct.pack("<H", 59 << 10)
            out += struct.pack("<HH", step >> 16, step & 0xFFFF)
            step = 0
        out += struct.pack("<H", 22 << 10 | step)
        data = text.encode()
        out += struct.pack("<H", 63 << 10 | len(data)) + data + b"\0" * (len(data) % 2)
        last = sample
    return out + b"\0\0"


def slp(tmp_path, notes, name="slp01a"):
    (tmp_path / f"{name}.hea").write_text(f"{name} 4 250 1800000 23:07:00\n")
    path = tmp_path / f"{name}.st"
    path.write_bytes(wfdb(notes))
    return path


def test_slpdb_stages_and_epochs_with_movements(tmp_path):
    notes = [(1, "## time resolution: 250"), (1, "W"), (7501, "2 LA"), (15001, "3 L H"),
             (22501, "R"), (30001, "MT")]  # fmt: skip
    path = slp(tmp_path, notes)
    said = read(path)
    assert said.hypnogram().stage.tolist() == [W, N2, N3, R, UNKNOWN_STAGE]
    assert said.epochs[0].tolist() == pytest.approx([0.004 + 30 * k for k in range(5)])
    assert said.marks is None
    assert said.resp is None
    assert "leg-movements-by-epoch-only" in said.flags
    assert said.ignored["epochs with leg movements with arousal"] == 1
    assert read_epochs(path)[2] == Epoch(60.004, "3", ("L", "H"))


@given(
    st.lists(
        st.tuples(st.integers(1, 3_000_000), st.sampled_from(["W", "2 L", "4", "R", "1 LA"])),
        min_size=1, max_size=12,
    )
)  # fmt: skip
def test_slpdb_long_and_short_steps(tmp_path_factory, steps):
    sample, notes = 0, []
    for step, text in steps:
        sample += step
        notes.append((sample, text))
    got = read_epochs(slp(tmp_path_factory.mktemp("st"), notes))
    assert [round(250 * e.onset) for e in got] == [n[0] for n in notes]
    assert [" ".join((e.stage, *e.codes)) for e in got] == [n[1] for n in notes]


def test_slpdb_files_that_cannot_be_read(tmp_path):
    path = slp(tmp_path, [(1, "W"), (7501, "2 Q")])
    with pytest.raises(Refused, match="not known"):
        read(path)
    path.write_bytes(wfdb([(1, "W")])[:-3])
    with pytest.raises(Refused, match="cut off"):
        read(path)
    (tmp_path / "slp01a.hea").write_text("slp01a\n")
    with pytest.raises(Refused, match="sampling rate"):
        read(path)
    (tmp_path / "slp01a.hea").unlink()
    with pytest.raises(Refused, match="header of the record"):
        read(path)


def test_slpdb_movements_cannot_be_scored_and_the_command_says_so(tmp_path, capsys):
    path = slp(tmp_path, [(1, "W"), (7501, "2 LA")])
    assert call(["legs", "score", str(path), str(tmp_path / "out")]) == 2
    assert "epochs with leg movements" in capsys.readouterr().err


# ---- EEGLAB by MNE


def eeglab_file(path):
    import scipy.io

    x = np.random.default_rng(0).normal(0, 3, (2, 2560)).astype(np.float32)
    labels = np.array([("EMG LAT",), ("EMG RAT",)], dtype=[("labels", "O")])
    event = np.array(
        [("Sleep stage N2", 1.0, 2560.0)],
        dtype=[("type", "O"), ("latency", "O"), ("duration", "O")],
    )
    scipy.io.savemat(path, {"EEG": {
        "setname": "a", "nbchan": 2.0, "pnts": 2560.0, "trials": 1.0, "srate": 256.0,
        "xmin": 0.0, "xmax": 2559 / 256, "data": x, "icawinv": [], "icasphere": [],
        "icaweights": [], "icaact": [], "chanlocs": labels, "event": event, "epoch": [],
    }}, appendmat=False)  # fmt: skip
    return x


def test_eeglab_needs_mne_and_a_unit(tmp_path, monkeypatch):
    path = tmp_path / "a.set"
    x = eeglab_file(path)
    with monkeypatch.context() as m:
        m.setitem(sys.modules, "mne", None)
        with pytest.raises(Refused, match="MNE, which is not installed"):
            open_recording(path)
    pytest.importorskip("mne", reason="the extra mne is not installed")
    with pytest.raises(Refused, match="unit"):
        channel(open_recording(path), "EMG LAT")
    for unit, factor in (("uV", 1.0), ("mV", 1e3)):
        got = leg_channels(open_recording(path, unit))
        assert [c.leg for c in got] == [LEFT, RIGHT]
        assert np.allclose(got[0].microvolts(), factor * x[0], rtol=1e-6)
    with pytest.raises(Refused, match="unit told"):
        open_recording(path, "kg")
    assert read(path).hypnogram().stage.tolist() == [N2]


def test_a_unit_is_not_told_where_the_header_has_one(tmp_path):
    path = tmp_path / "a.edf"
    path.write_bytes(edf_bytes([("EMG LAT", np.zeros(512), 256.0)]))
    with pytest.raises(Refused, match="stands in the header"):
        open_recording(path, "mV")
    with pytest.raises(Refused, match="not there"):
        open_recording(tmp_path / "b.set")
