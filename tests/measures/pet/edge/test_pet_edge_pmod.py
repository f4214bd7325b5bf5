"""PMOD's exchange files: units in the header, one series a file, nothing guessed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ekbom.cli.app import call
from ekbom.errors import Refused
from ekbom.measures.pet.io import pmod
from ekbom.measures.pet.io.plain import read_input, read_tacs

TAC = "start[seconds]\tend[kBq/cc]\tputamen_l\tcerebellum\n0\t30\t1.5\t2\n30\t90\t4\t3.5\n"
WHOLE = "sample-time[seconds]\twhole-blood[kBq/cc]\n0\t0\n30\t20\n60\t10\n600\t2\n"
PLASMA = "sample-time[minutes]\tplasma[Bq/cc]\n0\t0\n0.5\t25000\n1\t12000\n10\t2500\n"
FRACTION = "sample-time[seconds]\tparent-fraction[1/1]\n30\t1\n600\t0.4\n"


def _file(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_curves_take_unit_of_time_and_activity_from_the_header(tmp_path: Path) -> None:
    read = pmod.read_tac(_file(tmp_path, "a.tac", TAC))
    assert read.names == ("putamen_l", "cerebellum")
    np.testing.assert_allclose(read.end_s, [30, 90])
    np.testing.assert_allclose(read.values, [[1.5, 4], [2, 3.5]])
    minutes = TAC.replace("seconds", "minutes").replace("kBq/cc", "nCi/mL")
    read = pmod.read_tac(_file(tmp_path, "b.tac", minutes))
    np.testing.assert_allclose(read.end_s, [1800, 5400])
    np.testing.assert_allclose(read.values[0], [1.5 * 0.037, 4 * 0.037])
    # both brackets a time: the unit stands with each region
    own = "start[seconds]\tend[seconds]\tx[kBq/cc]\ty[Bq/cc]\n0\t30\t1\t1000\n30\t60\t2\t2000\n"
    read = pmod.read_tac(_file(tmp_path, "c.tac", own))
    assert read.names == ("x", "y")
    np.testing.assert_allclose(read.values, [[1, 2], [1, 2]])


@pytest.mark.parametrize("mark", ["\t", ";", ",", "   "])
def test_separators_comments_and_byte_order_marks(tmp_path: Path, mark: str) -> None:
    text = "﻿// exported\n# for testing\n" + WHOLE.replace("\t", mark)
    blood, _ = pmod.read_bld([_file(tmp_path, "wb.bld", text)])
    np.testing.assert_allclose(blood.time_wb, [0, 0.5, 1, 10])
    np.testing.assert_allclose(blood.whole_blood, [0, 20, 10, 2])


def test_blood_of_three_files_is_one_scan(tmp_path: Path) -> None:
    files = [
        _file(tmp_path, "wb.bld", WHOLE),
        _file(tmp_path, "plasma.bld", PLASMA),
        _file(tmp_path, "pf.bld", FRACTION),
    ]
    for order in (files, files[::-1]):
        blood, said = read_input(order[0], more=order[1:], unit=None)
        assert said == ()
        np.testing.assert_allclose(blood.plasma, [0, 25, 12, 2.5])
        np.testing.assert_allclose(blood.time_p, [0, 0.5, 1, 10])
        np.testing.assert_allclose(blood.parent_fraction, [1, 0.4])
        assert not blood.plasma_is_parent
    parent = "TIME [min]\tParent [kBq/cc]\n0\t0\n1\t8.74E+00\n"
    blood, _ = pmod.read_bld([_file(tmp_path, "parent.bld", parent)])
    assert blood.plasma_is_parent
    np.testing.assert_allclose(blood.plasma, [0, 8.74])


def test_plasma_over_whole_blood(tmp_path: Path) -> None:
    ratio = "sample-time[seconds]\tplasma-fraction[%]\n0\t100\n600\t160\n"
    files = [_file(tmp_path, "wb.bld", WHOLE), _file(tmp_path, "ratio.bld", ratio)]
    blood, said = pmod.read_bld(files)
    assert [note.code for note in said] == ["plasma-from-ratio"]
    np.testing.assert_allclose(blood.plasma, [0, 20 * 1.03, 10 * 1.06, 2 * 1.6])
    with pytest.raises(Refused, match="needs whole blood"):
        pmod.read_bld(files[1:])
    with pytest.raises(Refused, match="say what the plasma is"):
        pmod.read_bld([*files, _file(tmp_path, "p.bld", PLASMA)])


@pytest.mark.parametrize(
    ("text", "words", "field"),
    [
        (
            WHOLE.replace("[kBq/cc]", ""),
            "unit of radioactivity is not in the header",
            "whole-blood",
        ),
        (WHOLE.replace("kBq/cc", "1/1"), "unit of radioactivity is not known", "whole-blood[1/1]"),
        (WHOLE.replace("[seconds]", ""), "unit of time is not in the header", "sample-time"),
        (WHOLE.replace("seconds", "h"), "unit of time is not known", "sample-time[h]"),
        (WHOLE.replace("whole-blood", "activity"), "not known what a column", "activity[kBq/cc]"),
        (WHOLE.replace("sample-time", "t"), "not the columns of a .bld", "header"),
        (FRACTION.replace("1/1", "kBq/cc"), "share has a unit", "parent-fraction[kBq/cc]"),
        (WHOLE + "700\n", "not as many cells", "row 5"),
        (WHOLE + "500\t3\n", "do not increase", "time"),
        (WHOLE.replace("20", "20,5x"), "not a number", "whole-blood[kBq/cc], row 2"),
    ],
)
def test_broken_blood_is_refused_by_name(tmp_path: Path, text: str, words: str, field: str) -> None:
    path = _file(tmp_path, "x.bld", text)
    with pytest.raises(Refused, match=words) as no:
        pmod.read_bld([path])
    assert no.value.field == field
    assert no.value.file == str(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TAC.replace("[kBq/cc]", ""), "unit of radioactivity is not in the header"),
        (TAC.replace("kBq/cc", "1/1"), "unit of radioactivity is not known"),
        (TAC.replace("[seconds]", ""), "unit of time is not in the header"),
        (TAC.replace("kBq/cc", "minutes"), "in different units"),
        (TAC.replace("start", "begin"), "not the columns of a .tac"),
        (TAC.replace("cerebellum", "putamen_l"), "named twice"),
    ],
)
def test_broken_curves_are_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(Refused, match=words):
        pmod.read_tac(_file(tmp_path, "x.tac", text))


def test_a_unit_that_is_said_fills_a_gap_and_must_not_contradict(tmp_path: Path) -> None:
    bare = _file(tmp_path, "x.tac", TAC.replace("[kBq/cc]", ""))
    np.testing.assert_allclose(pmod.read_tac(bare, unit="Bq/mL").values[0], [0.0015, 0.004])
    whole = _file(tmp_path, "y.tac", TAC)
    np.testing.assert_allclose(pmod.read_tac(whole, unit="kBq/mL").values[0], [1.5, 4])
    with pytest.raises(Refused, match="not that of the header"):
        pmod.read_tac(whole, unit="Bq/mL")
    two = [_file(tmp_path, "1.bld", WHOLE), _file(tmp_path, "2.bld", WHOLE)]
    with pytest.raises(Refused, match="hold the same series"):
        pmod.read_bld(two)


def test_curves_of_every_layout_are_the_same_curves(tmp_path: Path) -> None:
    """PMOD, PETPrep (both names of the frame times) and plain columns through one reader."""
    body = "0\t30\t1.5\t2\n30\t90\t4\t3.5\n"
    files = {
        "a.tac": TAC,
        "b_tacs.tsv": "frame_start\tframe_end\tputamen_l\tcerebellum\n" + body,
        "c_timeseries.tsv": "FrameTimesStart\tFrameTimesEnd\tputamen_l\tcerebellum\n" + body,
        "d.txt": TAC,
    }
    for name, text in files.items():
        unit = None if "[" in text else "kBq/mL"
        read = read_tacs(
            _file(tmp_path, name, text), unit=unit, decay_corrected=True, half_life=20.4
        )
        assert read.names == ("putamen_l", "cerebellum"), name
        np.testing.assert_allclose(read.frames.end, [0.5, 1.5])
        np.testing.assert_allclose(read.values, [[1.5, 4], [2, 3.5]])


def test_pet_blood_reads_pmod_files_and_names_the_broken_one(tmp_path: Path, capsys) -> None:
    t = np.array([0, 15, 30, 45, 60, 120, 300, 600, 1200, 2400, 3600])
    c = np.interp(t, [0, 30, 60, 300, 3600], [0, 40, 20, 6, 1])
    rows = "".join(f"{a}\t{b}\n" for a, b in zip(t, c, strict=True))
    whole = _file(tmp_path, "s_wb.bld", "sample-time[seconds]\twhole-blood[kBq/cc]\n" + rows)
    plasma = _file(tmp_path, "s_pl.bld", "sample-time[seconds]\tplasma[kBq/cc]\n" + rows)
    fraction = _file(
        tmp_path, "s_pf.bld", "sample-time[seconds]\tparent-fraction[1/1]\n60\t1\n3600\t0.2\n"
    )
    out = tmp_path / "out"
    base = ["pet", "blood", str(whole), str(plasma)]
    assert call([*base, str(fraction), str(out)]) == 0
    assert "parent plasma" in capsys.readouterr().out
    assert (out / "s_wb_inputfunction.tsv").is_file()
    assert call([*base, str(out)]) == 2
    assert "parent fraction" in capsys.readouterr().err
    assert call([*base, str(fraction)]) == 2
    assert "folder" in capsys.readouterr().err
