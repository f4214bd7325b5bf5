"""`ekbom run`, `ekbom plan`, `ekbom doctor`: exit codes and what is printed."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import ekbom
import ekbom.report
from ekbom.cli.app import call
from ekbom.study import health
from ekbom.study.index import Study
from ekbom.study.manifest import check_manifest, read_manifest
from ekbom.study.plan import Plan


@pytest.fixture
def quick_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ekbom.report, "render", lambda out: b"<html></html>")


def negative(study: Path, label: str = "sub-03_ses-two") -> None:
    sub, ses = label.split("_")
    path = study / sub / ses / "beh" / f"{label}_task-rest_beh.tsv"
    path.write_text("region\tvalue\nthalamus\t-1\ncaudate\t2\ninsula\t3\n")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["--version"]) == 0
    assert ekbom.__version__ in capsys.readouterr().out


@pytest.mark.parametrize("room", ["", "clinic", "legs", "model", "pet", "power", "space"])
def test_every_command_says_what_it_does(room: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call([*room.split(), "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line.strip("│ ") for line in lines if line[:1] == "│" and line[2] != " "]
    assert len(rows) > 1
    assert [row for row in rows if len(row.split()) < 3] == []


@pytest.mark.parametrize(
    "arguments", [["rnu"], ["run"], ["run", "a", "b", "groups"], ["run", "--x"]]
)
def test_wrong_use_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert call(arguments) == 2
    assert "refused" in capsys.readouterr().err


def test_run_and_exit_codes(
    study: Path, tmp_path: Path, quick_report: None, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert call(["run", str(study), str(out), "all"]) == 0  # code/plan.toml is the default
    said = capsys.readouterr().out
    assert "16 scans measured, 0 refused" in said
    assert "data first seen with this plan" in said
    assert "groupA: `rls - control`" in said
    assert f"report: {out / 'report.html'}" in said
    assert "report.html" in dict(read_manifest(out))
    assert check_manifest(out) == []

    negative(study)
    assert call(["run", str(study), str(out), "all"]) == 3
    said = capsys.readouterr().out
    assert "15 scans measured, 1 refused" in said
    assert "sub-03_ses-two" in said
    assert "kept from before" in said

    plan = tmp_path / "plan.toml"
    text = (study / "code" / "plan.toml").read_text()
    plan.write_text(text + "\n[measures.fake.scans.sub-03_ses-two]\nnegative = true\n")
    assert call(["run", str(study), str(out), "all", "--plan", str(plan)]) == 0
    said = capsys.readouterr().out
    assert "by permission of the plan: sub-03_ses-two (negative)" in said
    assert "without sub-03:" in said
    assert "data first seen with plan" in said

    plan.write_text(text.replace("~ group + age", "~ group + aeg"))
    assert call(["run", str(study), str(out), "all", "--plan", str(plan)]) == 2
    error = capsys.readouterr().err
    for words in ("file:", "questions.group.aeg", "found:", "expected:", "did you mean 'age'?"):
        assert words in error


def test_internal_error_in_a_question_is_ours(
    study: Path, tmp_path: Path, quick_report: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ekbom import inference

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(inference, "answer_reliability", broken)
    out = tmp_path / "out"
    assert call(["run", str(study), str(out), "all"]) == 1
    assert "internal error: ZeroDivisionError" in (out / "refused.tsv").read_text()
    assert (out / "group/question-groupA/answer.json").exists()


def test_participants_then_group(study: Path, tmp_path: Path, quick_report: None) -> None:
    out = str(tmp_path / "out")
    base = ["run", str(study), out]
    assert call([*base, "participant", "--participant-label", "01", "02"]) == 0
    assert call([*base, "group"]) == 2  # not everybody is measured
    assert call([*base, "participant", "--workers", "2"]) == 0
    assert call([*base, "group"]) == 0


def test_no_plan(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (study / "code" / "plan.toml").unlink()
    assert call(["run", str(study), str(tmp_path / "out"), "all"]) == 2
    assert "ekbom plan init" in capsys.readouterr().err


def test_real_report_is_made(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert call(["run", str(study), str(out), "all"]) == 0
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "groupA" in page or "group" in page
    first = (out / "manifest.tsv").read_bytes()
    assert call(["run", str(study), str(out), "all"]) == 0
    assert (out / "manifest.tsv").read_bytes() == first


def uncommented(text: str) -> str:
    """Return a drafted plan with its first question switched on."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("# [questions."))
    for i in range(start, len(lines)):
        if not lines[i].startswith("#"):
            break
        lines[i] = lines[i].removeprefix("# ")
    return "\n".join(lines) + "\n"


@pytest.mark.real_data
def test_drafted_plan_of_a_real_study(shared_data: Path, tmp_path: Path) -> None:
    study, plan = shared_data / "ds004869", tmp_path / "plan.toml"
    assert call(["plan", "init", str(study), "--out", str(plan)]) == 0
    text = plan.read_text()
    assert "session in ['baseline', 'blocked']" in text
    assert "session in ['test', 'retest']" in text
    assert "gtmseg" in text
    assert call(["plan", "check", str(plan), str(study)]) == 0
    plan.write_text(uncommented(text))
    assert list(Plan.read(plan).questions) == ["blocked"]
    assert call(["plan", "check", str(plan), str(study)]) == 0


def test_drafted_plan_of_a_patient_study(study: Path, tmp_path: Path) -> None:
    from ekbom.study.draft import draft

    text = draft(Study.open(study))
    tomllib.loads(text)
    assert "#   group: control 4, rls 4" in text
    assert "rls - control" in text
    assert "irls_total" in text
    assert call(["plan", "init", str(study)]) == 2  # there is one
    assert call(["plan", "init", str(study), "--force"]) == 0
    assert (study / "code" / "plan.toml").read_text() == text


def test_plan_check(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = study / "code" / "plan.toml"
    assert call(["plan", "check", str(plan)]) == 0
    assert call(["plan", "check", str(plan), str(study)]) == 0
    assert "group: 8 scans" in capsys.readouterr().out
    plan.write_text(plan.read_text().replace("rls - control", "rls - contrl"))
    assert call(["plan", "check", str(plan)]) == 0
    assert call(["plan", "check", str(plan), str(study)]) == 2


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    code = call(["doctor"])
    said = capsys.readouterr().out
    for word in ("ekbom", "python", "numba", "cores", "memory", "kernel cache", "measure pet"):
        assert word in said
    assert code in (0, 2)


def test_doctor_and_a_cache_that_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # A file in the place of the folder: permission bits do not stop root.
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file" / "cache"))
    assert call(["doctor"]) == 2
    assert "NUMBA_CACHE_DIR" in capsys.readouterr().out


def test_a_first_run_says_that_it_compiles(
    study: Path,
    tmp_path: Path,
    quick_report: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(cache))
    command = ["run", str(study), str(tmp_path / "out"), "participant"]
    assert call(command) == 0
    assert "compiling numerical kernels" in capsys.readouterr().out
    cache.mkdir()
    (cache / "kernel.nbi").write_bytes(b"")
    assert call(command) == 0
    assert "compiling" not in capsys.readouterr().out


def test_warm_calls_every_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    monkeypatch.setattr(health, "WARM", ("ekbom.nowhere:warm", "ekbom.study.health:_made_up"))
    monkeypatch.setattr(health, "_made_up", lambda: called.append(1), raising=False)
    lines = list(health.warm())
    assert called == [1]
    assert lines[0] == "compiling ekbom.study.health ..."
    assert "all kernels" in lines[-1]
