"""Broken input, one kind a test: refused with file, field, found, expected and how to mend.

Kinds that belong to an instrument are tested with it; these are the kinds of the
study itself: folder, tables, plan, questions, output.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from small_study import PLAN

from ekbom.errors import OutputRefused, Refused
from ekbom.study.run import Summary, run_study

Break = Callable[[Path], object]


def edit(path: str, old: str, new: str) -> Break:
    def change(study: Path) -> None:
        text = (study / path).read_text()
        assert old in text, f"{old!r} is not in {path}"
        (study / path).write_text(text.replace(old, new, 1))

    return change


def plan(old: str, new: str) -> Break:
    return edit("code/plan.toml", old, new)


def write(path: str, text: str) -> Break:
    def change(study: Path) -> None:
        (study / path).parent.mkdir(parents=True, exist_ok=True)
        (study / path).write_text(text)

    return change


def delete(path: str) -> Break:
    def change(study: Path) -> None:
        place = study / path
        shutil.rmtree(place) if place.is_dir() else place.unlink()

    return change


def no_subjects(study: Path) -> None:
    for place in study.glob("sub-*"):
        shutil.rmtree(place)


QUESTION = """
[questions.extra]
outcome = "fake.VT"
method = "a"
model = "~ group"
test = "rls - control"
"""


def add(text: str) -> Break:
    return plan(PLAN, PLAN + text)


#: name: (how to break it, part of what is said, part of file, field, found, part of mend)
KINDS: dict[str, tuple[Break, str, str, str | None, str, str]] = {
    "no description": (
        delete("dataset_description.json"), "not a BIDS data set", "dataset_description.json",
        None, "no dataset_description", "top folder",
    ),
    "description cut short": (
        write("dataset_description.json", '{"Name": "x", '), "JSON file is broken",
        "dataset_description.json", None, "line 1", "copy the file again",
    ),
    "no subjects": (
        no_subjects, "no subjects", "bids", None, "no folder called sub-*", "top folder",
    ),
    "participants twice": (
        edit("participants.tsv", "sub-02\t", "sub-01\t"), "names sub-01 twice",
        "participants.tsv", "participant_id", "lines 2 and 3", "delete the wrong row",
    ),
    "participants without prefix": (
        edit("participants.tsv", "sub-02\t", "02\t"), "no prefix", "participants.tsv",
        "participant_id", "02", "write sub-02",
    ),
    "participants cut short": (
        edit("participants.tsv", "sub-08\tcontrol\t51\tn/a", "sub-08\tcont"),
        "another number of columns", "participants.tsv", "line 9", "2 columns", "cut short",
    ),
    "participants with commas": (
        write("participants.tsv", "participant_id,age\nsub-01,3\n"), "no column participant_id",
        "participants.tsv", "participant_id", "commas", "tabs",
    ),
    "a column twice": (
        edit("phenotype/scales.tsv", "burden\tmood", "burden\tburden"), "names a column twice",
        "scales.tsv", "burden", "burden", "rename",
    ),
    "table not UTF-8": (
        lambda s: (s / "phenotype/scales.tsv").write_bytes(b"participant_id\tm\nsub-01\t\xe9\n"),
        "not UTF-8", "scales.tsv", None, "0xe9", "UTF-8",
    ),
    "table without participants": (
        write("phenotype/extra.tsv", "id\tx\n1\t2\n"), "whose its rows are", "extra.tsv",
        "participant_id", "id, x", "add it",
    ),
    "plan missing": (delete("code/plan.toml"), "does not exist", "plan.toml", None, "", "path"),
    "plan not TOML": (
        plan("method = \"a\"", "method = a"), "not TOML", "plan.toml", "line 14", "method = a",
        "quotes",
    ),
    "unknown key": (
        plan("among =", "amongst ="), "key that is not known: amongst", "plan.toml",
        "questions.group.amongst", "amongst", "did you mean 'among'?",
    ),
    "unknown table": (
        plan("[measures.fake]", "[measure.fake]"), "key that is not known: measure", "plan.toml",
        "measure", "measure", "did you mean 'measures'?",
    ),
    "unknown measure": (
        plan("[measures.fake]", "[measures.fakes]"), "no measure called 'fakes'", "plan.toml",
        "measures.fakes", "fakes", "did you mean 'fake'?",
    ),
    "wrong type in a measure": (
        plan('model = ["a", "b"]', "scale = \"two\""), "cannot be used", "plan.toml",
        "measures.fake.scale", "'two'", "correct the value",
    ),
    "unknown setting of a measure": (
        plan('model = ["a", "b"]', "sclae = 2"), "not known: sclae", "plan.toml",
        "measures.fake.sclae", "sclae", "did you mean 'scale'?",
    ),
    "permission for a scan that does not exist": (
        add("\n[measures.fake.scans.sub-03_ses-tow]\nnegative = true\n"),
        "scan that does not exist", "plan.toml", "measures.fake.scans.sub-03_ses-tow",
        "sub-03_ses-tow", "sub-03_ses-two",
    ),
    "choice that does not exist": (
        plan('method = "max-t"', 'method = "maxt"'), "not one of the choices", "plan.toml",
        "questions.change.inference.method", "'maxt'", "did you mean 'max-t'?",
    ),
    "number out of range": (
        plan("permutations = 100", "permutations = 100, alpha = 5"), "between 0 and 1",
        "plan.toml", "questions.change.inference.alpha", "5", "correct",
    ),
    "outcome of no measure": (
        add(QUESTION.replace("fake.VT", "fake.TV")), "no outcome of this name", "plan.toml",
        "questions.extra.outcome", "fake.TV", "did you mean 'fake.VT'?",
    ),
    "measure not taken": (
        add(QUESTION.replace("fake.VT", "pet.VT")), "does not take", "plan.toml",
        "questions.extra.outcome", "pet.VT", "add [measures.pet]",
    ),
    "question without test": (
        add(QUESTION.replace('test = "rls - control"\n', "")), "no test", "plan.toml",
        "questions.extra.test", "nothing", "reliability",
    ),
    "two questions, one folder": (
        add(QUESTION.replace("questions.extra", 'questions."group a"')), "one folder",
        "plan.toml", 'questions.group a', "question-groupA", "rename",
    ),
    "formula with a typo": (
        plan('"~ group + age"', '"~ group + aeg"'), "nothing called aeg", "plan.toml",
        "questions.group.aeg", "aeg", "did you mean 'age'?",
    ),
    "formula that does not parse": (
        plan('"~ group + age"', '"~ group + (age"'), "formula", "plan.toml",
        "questions.group.model", "~ group + (age", "formula",
    ),
    "formula that runs code": (
        plan('"~ group + age"', '"~ group + exec(age)"'), "", "plan.toml",
        "questions.group.model", "exec", "",
    ),
    "name found in two tables": (
        write("phenotype/more.tsv", "participant_id\tage\nsub-01\t3\n"), "in two tables",
        "plan.toml", "questions.group.age", "more.tsv: age", "participants.age or more.age",
    ),
    "effect with a typo": (
        plan('test = "rls - control"', 'test = "rls - controls"'), "no effect named",
        "plan.toml", "questions.group.test", "rls - controls", "rls - control",
    ),
    "among nobody": (
        plan("among = \"session == 'one'\"", 'among = "age > 200"'), "nobody is left",
        "plan.toml", "questions.group.among", "0 of 16", "age",
    ),
    "among with a word that nobody has": (
        plan("session == 'one'", "session == 'oen'"), "that nobody has", "plan.toml",
        "questions.group.among", "'oen'", "did you mean 'one'?",
    ),
    "among that is no expression": (
        plan("session == 'one'", "session = 'one'"), "not an expression", "plan.toml",
        "questions.group.among", "session = 'one'", "==",
    ),
    "group with one member": (
        plan("session == 'one'", "session == 'one' and (group == 'rls' or age == 33)"),
        "one member", "plan.toml", "questions.group.group", "sub-02", "leave",
    ),
    "group with other words": (
        lambda s: (s / "participants.tsv").write_text(
            (s / "participants.tsv").read_text().replace("\tcontrol", "\thealthy")
        ),
        "other words than rls and control", "participants.tsv", "group", "healthy", "use these",
    ),
    "severity scored in controls": (
        lambda s: (
            plan('"~ group + age"', '"~ irls_total"')(s),
            plan('test = "rls - control"', 'test = "irls_total"')(s),
            (s / "participants.tsv").write_text(
                (s / "participants.tsv").read_text().replace("\tn/a", "\t0")
            ),
        ),
        "severity", "plan.toml", "questions.group.irls_total", "4 controls", "among",
    ),
    "table that is not listed": (
        lambda s: (
            plan("table:phenotype/scales.tsv", "table:derivatives/x.tsv")(s),
            write("derivatives/x.tsv", "participant_id\tburden\nsub-01\t1\n")(s),
        ),
        "does not read", "x.tsv", "outcome", "derivatives/x.tsv", "tables = ",
    ),
    "table that does not exist": (
        plan("table:phenotype/scales.tsv", "table:phenotype/scale.tsv"), "does not read",
        "scale.tsv", "outcome", "does not exist", "phenotype/scales.tsv",
    ),
    "column that does not exist": (
        plan("scales.tsv:burden", "scales.tsv:burdn"), "no such column", "scales.tsv", "burdn",
        "burdn", "did you mean 'burden'?",
    ),
    "outcome that is text": (
        plan("scales.tsv:burden", "scales.tsv:mood"), "not a number", "scales.tsv", "mood",
        "'high'", "column of numbers",
    ),
    "reliability of one session": (
        plan("session in ['one', 'two']", "session in ['one']"), "two sessions", "plan.toml",
        "questions.retest.among", "one", "retest",
    ),
    "paired without pairs": (
        plan('model = "~ session + participant"',
             'among = "session == \'one\'"\nmodel = "~ session + participant"'),
        "nobody has two", "plan.toml", "questions.change.among", "8 scans of 8 people", "include",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(KINDS))
def test_refused_before_anything_is_measured(study: Path, tmp_path: Path, kind: str) -> None:
    broken, what, file, field, found, mend = KINDS[kind]
    broken(study)
    out = tmp_path / "out"
    with pytest.raises(Refused) as no:
        run_study(study, out, "all", study / "code" / "plan.toml")
    said = no.value
    assert what in said.what
    assert file in str(said.file)
    assert said.field == field
    assert found in str(said.found or "")
    assert mend in str(said.mend)
    assert not (out / ".ekbom" / "steps").exists()


def answers(study: Path, out: Path) -> Summary:
    return run_study(study, out, "all", study / "code" / "plan.toml")


#: Kinds that only the measurements show: the question is refused, the rest is kept.
LATE: dict[str, tuple[Break, str, str, str, str]] = {
    "region that does not exist": (
        plan('"thalamus", "insula"', '"thalamus", "insular"'), "declared region", "regions",
        "insular", "did you mean 'insula'?",
    ),
    "method that was not used": (
        plan('method = "a"\nregions', 'method = "c"\nregions'),
        "no number comes by this method", "method", "c", "use one of the methods",
    ),
    "method not named": (
        plan('method = "a"\nregions', "regions"),
        "several methods", "method", "a, b", 'method = "a"',
    ),
    "segmentation that does not exist": (
        plan('regions = ["thalamus"', 'segmentation = "sge"\nregions = ["thalamus"'),
        "no number comes by this segmentation", "segmentation", "sge", "did you mean 'seg'?",
    ),
    "voxels without maps": (
        plan('regions = ["thalamus", "insula"]', 'over = "voxels"'), "no scan has a map", "over",
        "nothing", "over = ",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(LATE))
def test_question_refused_and_the_rest_kept(study: Path, tmp_path: Path, kind: str) -> None:
    broken, what, field, found, mend = LATE[kind]
    broken(study)
    summary = answers(study, tmp_path / "out")
    refused = {one.name: one.refused for one in summary.answers if one.refused is not None}
    assert list(refused) == ["change"]
    said = refused["change"]
    assert said is not None
    assert what in str(said["what"])
    assert said["field"] == f"questions.change.{field}"
    assert str(said["file"]).endswith("plan.toml")
    assert found in str(said["found"])
    assert mend in str(said["mend"])
    assert summary.exit_code == 2
    assert (tmp_path / "out/group/question-groupA/answer.json").exists()
    assert (tmp_path / "out/manifest.tsv").exists()


def test_no_such_folder(tmp_path: Path, study: Path) -> None:
    with pytest.raises(Refused, match="does not exist") as no:
        run_study(tmp_path / "nowhere", tmp_path / "out", "all", study / "code/plan.toml")
    assert no.value.file == str(tmp_path / "nowhere")


def test_no_such_participant(tmp_path: Path, study: Path) -> None:
    with pytest.raises(Refused, match="no participant of this label") as no:
        run_study(study, tmp_path / "out", "all", study / "code/plan.toml", participants=["9"])
    assert "sub-09" not in str(no.value.expected)


def test_output_of_ekbom_is_not_a_study(tmp_path: Path, study: Path) -> None:
    answers(study, tmp_path / "out")
    with pytest.raises(Refused, match="an output of ekbom, not a study"):
        run_study(tmp_path / "out", tmp_path / "more", "all", study / "code/plan.toml")


def test_data_not_fetched(tmp_path: Path, study: Path) -> None:
    path = study / "sub-01/ses-one/beh/sub-01_ses-one_task-rest_beh.tsv"
    path.unlink()
    path.symlink_to("../../../.git/annex/objects/x")
    summary = answers(study, tmp_path / "out")
    assert [s.unit.label for s in summary.found.stopped] == ["sub-01_ses-one"]
    assert "datalad get" in str(summary.found.stopped[0].parts["mend"])


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
@pytest.mark.parametrize("after", [0, 40, 110])
def test_disk_refuses_in_the_middle_and_nothing_is_lost(
    tmp_path: Path, study: Path, monkeypatch: pytest.MonkeyPatch, code: int, after: int
) -> None:
    out, calls, real = tmp_path / "out", [0], os.fsync

    def fail(descriptor: int) -> None:
        calls[0] += 1
        if calls[0] > after:
            raise OSError(code, os.strerror(code))
        real(descriptor)

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fail)
        with pytest.raises(OutputRefused) as no:
            answers(study, out)
    assert str(out) in str(no.value.file)
    assert errno.errorcode[code] in str(no.value.found)
    assert no.value.mend
    kept = len(list((out / ".ekbom" / "steps").glob("*")))
    assert kept >= after // 20
    summary = answers(study, out)
    assert summary.exit_code == 0
    answers(study, tmp_path / "reference")
    assert (out / "manifest.tsv").read_bytes() == (tmp_path / "reference/manifest.tsv").read_bytes()
