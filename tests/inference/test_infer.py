"""`ekbom infer`: maps and a table made elsewhere, through files."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from ekbom.cli.app import call
from ekbom.study.chunks import Chunks

SHAPE = (6, 7, 5)
AFFINE = np.diag([3.0, 3, 3, 1])


@pytest.fixture
def listed(tmp_path):
    rng = np.random.default_rng(0)
    rows = []
    for i in range(10):
        data = rng.normal(20, 1, SHAPE).astype(np.float32)
        if i < 5:
            data[1:4, 1:4, 1:4] += 3
        # a trailing dimension of 1 is a 3-D map
        nib.Nifti1Image(data[..., None] if i == 0 else data, AFFINE).to_filename(
            tmp_path / f"map{i}.nii.gz"
        )
        rows.append((f"sub-{i:02d}", f"map{i}.nii.gz", "rls" if i < 5 else "control"))
    frame = pd.DataFrame(rows, columns=["participant_id", "map", "group"])
    frame.to_csv(tmp_path / "list.tsv", sep="\t", index=False)
    (tmp_path / "more.toml").write_text(
        'forming = 3.0\nvolumes = [{name = "centre", centre = [6, 6, 6], radius = 5}]\n'
    )
    return tmp_path


def _ask(folder, out, *more):
    return call(
        ["infer", str(folder / "list.tsv"), str(folder / out), "--model", "~ group", "--test",
         "rls - control", "--space", "unknown", *more]
    )  # fmt: skip


def test_tables_maps_and_words(listed, capsys):
    more = ("--method", "tfce", "--settings", str(listed / "more.toml"))
    assert _ask(listed, "out", *more) == 0
    out = listed / "out"
    assert "TFCE" in capsys.readouterr().out
    peaks = pd.read_csv(out / "desc-rlsMinusControl_peaks.tsv", sep="\t")
    for column in ("p_unc", "p_bonf", "p_maxT", "p_tfce", "p_extent", "p_mass"):
        assert peaks[column].notna().all()
    best = peaks.iloc[0]
    assert (best[["x", "y", "z"]] >= 3).all()
    assert (best[["x", "y", "z"]] <= 9).all()
    assert best.p_tfce == pytest.approx(2 / 252)
    volumes = pd.read_csv(out / "desc-rlsMinusControl_volumes.tsv", sep="\t")
    assert volumes.p_maxT_svc[0] <= 0.05
    image = nib.load(out / "space-unknown_desc-rlsMinusControl_stat-tfce_statmap.nii.gz")
    assert image.shape == SHAPE
    assert image.get_data_dtype() == np.float32
    said = json.loads((out / "desc-rlsMinusControl_peaks.json").read_text())
    assert said["Space"] == "unknown"
    assert said["About"]["Model"] == "~ group"
    about = json.loads((out / "answer.json").read_text())
    assert about["meta"]["exhaustive"] is True
    assert not (out / ".ekbom" / "chunks").exists() or not any(
        (out / ".ekbom" / "chunks").iterdir()
    )


def test_an_interrupted_run_goes_on_and_gives_the_same_bytes(listed, monkeypatch):
    from ekbom.inference.permute import spatial

    monkeypatch.setattr(spatial, "CHUNK", 64)
    more = ("--method", "tfce", "--workers")
    assert _ask(listed, "whole", *more, "1") == 0
    fill = spatial.Exchanged.fill
    seen = []

    def stops(self, start, out):
        seen.append(start)
        if start >= 128:
            raise KeyboardInterrupt
        fill(self, start, out)

    monkeypatch.setattr(spatial.Exchanged, "fill", stops)
    assert _ask(listed, "parts", *more, "1") == 130
    kept = list((listed / "parts" / ".ekbom" / "chunks").rglob("*.npy"))
    assert len(kept) == 2
    again = []

    def counts(self, start, out):
        again.append(start)
        fill(self, start, out)

    monkeypatch.setattr(spatial.Exchanged, "fill", counts)
    assert _ask(listed, "parts", *more, "2") == 0
    assert min(s for s in again if s) >= 128
    one = sorted(p for p in (listed / "whole").iterdir() if p.is_file())
    for path in one:
        assert path.read_bytes() == (listed / "parts" / path.name).read_bytes(), path.name


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda f: f.drop(columns="map"), "map"),
        (lambda f: f.assign(map="nothing.nii.gz"), "does not exist"),
        (lambda f: f.drop(columns="group"), "group"),
    ],
)
def test_faults_of_the_list_are_named(listed, capsys, change, word):
    table = pd.read_csv(listed / "list.tsv", sep="\t")
    change(table).to_csv(listed / "list.tsv", sep="\t", index=False)
    assert _ask(listed, "out") == 2
    assert word in capsys.readouterr().err


def test_four_dimensions_and_wrong_settings_are_refused(listed, capsys):
    (listed / "bad.toml").write_text("conectivity = 6\n")
    assert _ask(listed, "out", "--settings", str(listed / "bad.toml")) == 2
    assert "connectivity" in capsys.readouterr().err
    four = nib.Nifti1Image(np.ones((*SHAPE, 2), np.float32), AFFINE)
    four.to_filename(listed / "map3.nii.gz")
    assert _ask(listed, "out") == 2
    assert "map3" in capsys.readouterr().err


def test_a_damaged_chunk_counts_as_absent(tmp_path):
    kept = Chunks(tmp_path / "chunks")
    kept[0] = np.arange(4.0).reshape(2, 2)
    kept[256] = np.ones((1, 2))
    assert list(kept) == [0, 256]
    np.testing.assert_array_equal(kept[0], [[0, 1], [2, 3]])
    (tmp_path / "chunks" / "000000256.npy").write_bytes(b"cut")
    assert 256 not in kept
    kept.remove()
    assert len(kept) == 0


def test_ten_thousand_with_progress_interrupt_and_resume(tmp_path, capsys, monkeypatch):
    """The same bytes for one, two and three threads, and for a run that was stopped half-way."""
    from ekbom.inference.permute import spatial

    rng = np.random.default_rng(1)
    lines = ["participant_id\tmap\tgroup"]
    for i in range(20):
        data = rng.normal(20, 1, (3, 4, 3)).astype(np.float32)
        nib.Nifti1Image(data, AFFINE).to_filename(tmp_path / f"map{i}.nii.gz")
        lines.append(f"sub-{i:02d}\tmap{i}.nii.gz\t{'rls' if i < 10 else 'control'}")
    (tmp_path / "list.tsv").write_text("\n".join(lines) + "\n")
    more = ("--method", "tfce", "--permutations", "10000", "--seed", "4", "--workers")
    assert _ask(tmp_path, "one", *more, "1") == 0
    told = capsys.readouterr().err
    assert "10000 of 10000 relabellings" in told
    assert told.count("of 10000") >= 10
    fill = spatial.Exchanged.fill

    def stops(self, start, out):
        if start >= 5000:
            raise KeyboardInterrupt
        fill(self, start, out)

    monkeypatch.setattr(spatial.Exchanged, "fill", stops)
    assert _ask(tmp_path, "parts", *more, "2") == 130
    done = list((tmp_path / "parts" / ".ekbom" / "chunks").rglob("*.npy"))
    assert 15 <= len(done) <= 20
    monkeypatch.setattr(spatial.Exchanged, "fill", fill)
    assert _ask(tmp_path, "parts", *more, "3") == 0
    assert _ask(tmp_path, "two", *more, "2") == 0
    files = sorted(p.name for p in (tmp_path / "one").iterdir() if p.is_file())
    assert len(files) >= 8
    for name in files:
        first = (tmp_path / "one" / name).read_bytes()
        assert first == (tmp_path / "two" / name).read_bytes(), name
        assert first == (tmp_path / "parts" / name).read_bytes(), name
    about = json.loads((tmp_path / "one" / "answer.json").read_text())["meta"]
    assert (about["permutations"], about["possible"]) == (10_000, 184_756)


def test_an_answer_has_a_report_and_report_makes_it_again(listed, capsys):
    assert _ask(listed, "out") == 0
    page = listed / "out" / "report.html"
    assert str(page) in capsys.readouterr().out
    first = page.read_bytes()
    for part in (b"Report of an answer", b"rls - control", b"<svg", b"10 people"):
        assert part in first
    page.unlink()
    assert call(["report", str(listed / "out")]) == 0
    assert page.read_bytes() == first
