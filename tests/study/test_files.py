"""The writer: whole files or none, and refusals that say what to do."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekbom.errors import OutputRefused, Refused
from ekbom.nouns import Unit
from ekbom.study import files, names
from ekbom.study.readers import read_tsv


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("rls - control", "rlsMinusControl"),
        ("age[rls]", "ageInRls"),
        ("session: blocked - baseline", "sessionBlockedMinusBaseline"),
        ("irls_total", "irlsTotal"),
        ("irls, mpq", "irlsAndMpq"),
        ("group:age", "groupByAge"),
        ("Größe - x", "GroeMinusX"),
        ("legs.PLMS_index", "legsPLMSIndex"),
    ],
)
def test_effect_slugs(text: str, slug: str) -> None:
    made = names.effect_slug(text)
    assert made.isascii()
    assert made.isalnum()
    if "ß" not in text:
        assert made == slug


def test_names_of_products() -> None:
    unit = Unit("sub-01", "x", "1", "DPN")
    assert (
        names.product(unit, "pet", "desc-ma1_kinpar", ".tsv")
        == "sub-01/ses-x/pet/sub-01_ses-x_trc-DPN_run-1_desc-ma1_kinpar.tsv"
    )
    assert names.figure(Unit("sub-01"), "fit", ".svg") == "sub-01/figures/sub-01_fit.svg"
    assert names.question_slug("celecoxib", "2tcm") == "celecoxib2tcm"


def test_write_is_whole_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.txt"
    files.write_bytes(path, b"one")
    files.write_bytes(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in path.parent.iterdir()] == ["b.txt"]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "no permission"),
        (errno.EDQUOT, "quota"),
    ],
)
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_what_the_system_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, said: str, call: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    path = tmp_path / "b.txt"
    files.write_bytes(path, b"before")
    if call == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OutputRefused, match=said) as no:
        files.write_bytes(path, b"after")
    assert no.value.file == str(path)
    assert no.value.mend
    assert errno.errorcode[code] in str(no.value.found)
    assert path.read_bytes() == b"before"
    assert [p.name for p in tmp_path.iterdir()] == ["b.txt"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_dev_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_temporary", lambda path: Path("/dev/full"))
    monkeypatch.setattr(Path, "unlink", lambda self, missing_ok=False: None)
    with pytest.raises(OutputRefused, match="disk is full"):
        files.write_bytes(tmp_path / "x", b"data")
    assert Path("/dev/full").is_char_device()


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(OutputRefused):
        files.write_bytes(tmp_path / "x" / "y", b"")


def test_place_links_or_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "s"
    source.write_bytes(b"data")
    files.place(source, tmp_path / "t" / "a")
    files.place(source, tmp_path / "t" / "a")  # again: nothing happens
    assert (tmp_path / "t" / "a").samefile(source)

    def no_links(*_: object) -> None:
        raise OSError(errno.EXDEV, "no")

    monkeypatch.setattr(os, "link", no_links)
    files.place(source, tmp_path / "t" / "b")
    assert not (tmp_path / "t" / "b").samefile(source)
    assert (tmp_path / "t" / "b").read_bytes() == b"data"


@given(st.lists(st.floats(width=64), min_size=1, max_size=8))
def test_floats_survive_tsv(tmp_path_factory: pytest.TempPathFactory, values: list[float]) -> None:
    values = [v for v in values if np.isfinite(v)] or [0.5]
    path = tmp_path_factory.mktemp("t") / "t.tsv"
    path.write_bytes(files.tsv_bytes(pd.DataFrame({"x": values})))
    assert read_tsv(path)["x"].tolist() == values


def test_cells(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "a": [1, 2],
            "b": [np.nan, 0.1],
            "c": [None, "x\ty"],
            "d": [True, False],
            "e": [(), ("f", "g")],
        }
    )
    assert files.tsv_bytes(frame).decode() == (
        "a\tb\tc\td\te\n1\tn/a\tn/a\ttrue\tn/a\n2\t0.1\tx y\tfalse\tf,g\n"
    )


def test_json_holds_no_nan_and_keeps_order() -> None:
    value = {"b": np.float64("nan"), "a": np.array([1, 2]), "p": Path("x/y"), "i": float("inf")}
    expected = '{"b": null, "a": [1, 2], "p": "x/y", "i": "inf"}'
    assert "".join(files.json_bytes(value).decode().split()) == expected.replace(" ", "")
    assert files.canonical({"b": 1, "a": 2}) == files.canonical({"a": 2, "b": 1})


def test_sha256_of_a_missing_file_and_a_dangling_link(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="does not exist"):
        files.sha256(tmp_path / "x")
    (tmp_path / "link").symlink_to(tmp_path / "annex" / "object")
    with pytest.raises(Refused, match="content of the file is not here") as no:
        files.sha256(tmp_path / "link")
    assert "datalad get" in str(no.value.mend)
