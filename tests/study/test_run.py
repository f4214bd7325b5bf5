"""Whole runs of a small study with the instrument for tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from small_study import PLAN, REGIONS, make_study

from ekbom.errors import Refused
from ekbom.study import store
from ekbom.study.executors import LocalProcesses
from ekbom.study.manifest import check_manifest, read_manifest
from ekbom.study.question import Question, check_question
from ekbom.study.run import Summary, run_study

COLUMNS = [
    *("participant_id", "session_id", "run_id", "measure", "region", "parameter", "value"),
    *("se", "lower", "upper", "unit", "method", "flags"),
]

WriteInPlan = Callable[[str], Path]


def go(study: Path, out: Path, plan: Path | None = None, **more: Any) -> Summary:
    level = more.pop("level", "all")
    return run_study(study, out, level, plan or study / "code" / "plan.toml", **more)


def table(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", keep_default_na=False, na_values=["n/a"])


def answer(out: Path, slug: str) -> dict[str, Any]:
    said: dict[str, Any] = json.loads((out / f"group/question-{slug}/answer.json").read_bytes())
    return said


def set_value(study: Path, unit: str, row: int, text: str) -> None:
    sub, ses = unit.split("_")
    path = study / sub / ses / "beh" / f"{unit}_task-rest_beh.tsv"
    lines = path.read_text().splitlines()
    lines[row + 1] = lines[row + 1].partition("\t")[0] + "\t" + text
    path.write_text("\n".join(lines) + "\n")


def raw(study: Path, region: str, session: str) -> dict[str, float]:
    found = {}
    for path in sorted(study.glob(f"sub-*/ses-{session}/beh/*_beh.tsv")):
        frame = table(path).set_index("region")
        found[path.name[:6]] = float(frame.loc[region, "value"])
    return found


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_what_a_run_leaves(study: Path, out: Path) -> None:
    summary = go(study, out, render=lambda folder: b"<html>")
    assert summary.exit_code == 0
    assert summary.first
    long = table(out / "measures.tsv")
    assert list(long.columns) == COLUMNS
    assert len(long) == 16 * (2 * len(REGIONS) + 2)
    assert set(json.loads((out / "measures.json").read_text())) == set(long.columns)
    one = long[(long.region == "seg:thalamus") & (long.method == "a") & (long.session_id == "one")]
    assert dict(zip(one.participant_id, one.value, strict=True)) == raw(study, "thalamus", "one")
    for path in (
        "dataset_description.json",
        ".bidsignore",
        "plan.toml",
        "plan.json",
        "notes.tsv",
        "notes.json",
        "refused.tsv",
        "refused.json",
        "report.html",
        "sub-01/ses-one/fake/sub-01_ses-one_desc-seg_kinpar.tsv",
        "sub-01/ses-one/fake/sub-01_ses-one_desc-seg_kinpar.json",
        "sub-01/ses-one/figures/sub-01_ses-one_desc-fit_qc.svg",
        "group/question-groupA/answer.json",
        "group/question-groupB/desc-rlsMinusControl_regions.tsv",
        "group/question-change/desc-sessionTwoMinusOne_values.tsv",
        "group/question-change/desc-sessionTwoMinusOne_methods.txt",
        "group/question-retest/desc-testRetest_regions.tsv",
        "group/question-burden/desc-irlsTotal_influence.tsv",
    ):
        assert (out / path).is_file(), path
    listed = [path for path, _ in read_manifest(out)]
    visible = sorted(
        p.relative_to(out).as_posix()
        for p in out.rglob("*")
        if p.is_file() and p.relative_to(out).parts[0] not in (".ekbom", "logs", "manifest.tsv")
    )
    assert listed == visible
    assert check_manifest(out) == []
    sidecar = json.loads(
        (out / "sub-01/ses-one/fake/sub-01_ses-one_desc-seg_kinpar.json").read_text()
    )
    assert sidecar["value"]["Units"] == "mL/cm3"
    assert set(sidecar["GeneratedBy"]["Inputs"]) == {
        "task-rest_beh.json",
        "sub-01/ses-one/beh/sub-01_ses-one_task-rest_beh.tsv",
    }
    assert list((out / "logs").glob("run-*.jsonl"))


def test_nothing_in_the_promise_depends_on_where_or_when(study: Path, tmp_path: Path) -> None:
    import shutil

    go(study, tmp_path / "a")
    shutil.copytree(study, tmp_path / "elsewhere" / "bids")
    go(tmp_path / "elsewhere" / "bids", tmp_path / "elsewhere" / "b")
    assert (tmp_path / "a/manifest.tsv").read_bytes() == (
        tmp_path / "elsewhere/b/manifest.tsv"
    ).read_bytes()


def test_paired_answer_is_the_paired_t_test(study: Path, out: Path) -> None:
    go(study, out)
    regions = table(out / "group/question-change/desc-sessionTwoMinusOne_regions.tsv")
    assert list(regions["region"]) == ["seg:thalamus", "seg:insula"]
    for region, t in zip(("thalamus", "insula"), regions["t"], strict=True):
        one, two = (list(raw(study, region, s).values()) for s in ("one", "two"))
        assert t == pytest.approx(stats.ttest_rel(two, one).statistic, abs=1e-9)


def test_regression_on_a_table_column(study: Path, out: Path) -> None:
    go(study, out)
    said = answer(out, "burden")
    assert said["unit"] == "points"
    assert said["outcome_name"] == "burden"
    assert said["rows"] == 4
    assert said["not_among"] == 4
    people = table(study / "participants.tsv").merge(table(study / "phenotype/scales.tsv"))
    mine = people[people.group == "rls"]
    slope = stats.linregress(mine.irls_total, mine.burden)
    regions = table(out / "group/question-burden/desc-irlsTotal_regions.tsv")
    assert regions["p"].iloc[0] == pytest.approx(slope.pvalue, rel=1e-9)


def test_one_and_two_workers_and_levels_give_the_same_bytes(study: Path, tmp_path: Path) -> None:
    manifests = []
    for name, steps in {
        "one": [("all", None)],
        "two": [("all", LocalProcesses(2))],
        "levels": [("participant", None), ("group", None)],
    }.items():
        for level, executor in steps:
            go(study, tmp_path / name, level=level, executor=executor)
        manifests.append((tmp_path / name / "manifest.tsv").read_bytes())
    assert len(set(manifests)) == 1


def test_refused_scan_drops_its_pair_by_name(study: Path, out: Path) -> None:
    set_value(study, "sub-03_ses-two", 0, "-1.5")
    summary = go(study, out)
    assert summary.exit_code == 3
    refused = table(out / "refused.tsv")
    assert refused.participant_id.tolist() == ["sub-03"]
    row = refused.iloc[0]
    assert row.file == "sub-03/ses-two/beh/sub-03_ses-two_task-rest_beh.tsv"
    assert row.field == "value"
    assert "negative = true" in row.mend
    for slug in ("change", "retest"):
        dropped = {d["session_id"]: d["reason"] for d in answer(out, slug)["dropped"]}
        assert dropped["two"] == "refused: a number is negative"
        assert dropped["one"] == "its pair sub-03_ses-two is left out"
        assert answer(out, slug)["rows"] == 14
        assert answer(out, slug)["participants"] == 7
    assert answer(out, "groupA")["rows"] == 8  # session one of sub-03 stays there
    assert answer(out, "groupA")["dropped"] == []


def test_permission_gives_answers_with_and_without(
    study: Path, out: Path, plan: WriteInPlan
) -> None:
    set_value(study, "sub-03_ses-two", 0, "-1.5")
    allowed = PLAN + "\n[measures.fake.scans.sub-03_ses-two]\nnegative = true\n"
    summary = go(study, out, plan(allowed))
    assert summary.exit_code == 0
    notes = table(out / "notes.tsv")
    assert notes.loc[0, "code"] == "negative"
    assert bool(notes.loc[0, "permission"])
    said = answer(out, "change")
    assert said["permitted"] == [
        {
            "participant_id": "sub-03",
            "session_id": "two",
            "run_id": "n/a",
            "permissions": ["negative"],
        }
    ]
    assert said["without_permitted"]["participants_left_out"] == ["sub-03"]
    folder = out / "group/question-change"
    both = table(folder / "desc-sessionTwoMinusOne_regions.tsv")
    fewer = table(folder / "desc-sessionTwoMinusOneWithoutPermitted_regions.tsv")
    one, two = raw(study, "thalamus", "one"), raw(study, "thalamus", "two")
    for frame, people in ((both, set(one)), (fewer, set(one) - {"sub-03"})):
        expected = stats.ttest_rel([two[p] for p in people], [one[p] for p in people]).statistic
        assert frame["t"].iloc[0] == pytest.approx(expected, abs=1e-9)
    assert answer(out, "groupA")["without_permitted"] is None  # session one needed none


def test_a_permission_for_one_scan_runs_that_scan_only(
    study: Path, out: Path, plan: WriteInPlan
) -> None:
    set_value(study, "sub-03_ses-two", 0, "-1.5")
    go(study, out)
    states: list[str] = []
    allowed = PLAN + "\n[measures.fake.scans.sub-03_ses-two]\nnegative = true\n"
    path = plan(allowed)
    go(study, out, path)
    log = sorted((out / "logs").glob("*.jsonl"), key=lambda p: p.stat().st_mtime_ns)[-1]
    for line in log.read_text().splitlines():
        event = json.loads(line)
        if event["event"] == "unit":
            states.append(event["state"])
    # Both runs may share a log when they start within a second.
    assert states[-16:].count("measured") == 1
    assert states[-16:].count("kept") == 15
    assert answer(out, "change")["measure_changed_since_first_seen"] is True
    assert answer(out, "change")["changed_since_first_seen"] is False


def test_changed_input_is_measured_again(study: Path, out: Path) -> None:
    go(study, out)
    before = dict(read_manifest(out))
    set_value(study, "sub-05_ses-one", 1, "25.5")
    go(study, out)
    changed = {p for p, h in read_manifest(out) if before.get(p) != h}
    assert "measures.tsv" in changed
    assert {p for p in changed if p.startswith("sub-")} == {
        "sub-05/ses-one/fake/sub-05_ses-one_desc-seg_kinpar.tsv",
        "sub-05/ses-one/fake/sub-05_ses-one_desc-seg_kinpar.json",
        "sub-05/ses-one/figures/sub-05_ses-one_desc-fit_qc.json",  # names its inputs
    }


def test_tree_says_what_the_plan_says(study: Path, out: Path, plan: WriteInPlan) -> None:
    go(study, out)
    first = (out / "manifest.tsv").read_bytes()
    path = plan(PLAN.replace("[questions.change]", "[questions.shift]").replace("+ age", ""))
    summary = go(study, out, path)
    assert not summary.first
    assert not (out / "group/question-change").exists()
    assert answer(out, "groupA")["changed_since_first_seen"] is True
    assert answer(out, "groupA")["added_since_first_seen"] is False
    assert answer(out, "shift")["added_since_first_seen"] is True
    assert answer(out, "burden")["changed_since_first_seen"] is False
    assert check_manifest(out) == []
    go(study, out)
    assert (out / "manifest.tsv").read_bytes() == first


def test_flagged_numbers_are_counted(study: Path, out: Path) -> None:
    set_value(study, "sub-02_ses-one", 2, "31")
    go(study, out)
    assert answer(out, "groupA")["flagged"] == [
        {"flag": "k4_small", "n": 1, "of": 24, "where": ["sub-02_ses-one seg:insula"]}
    ]


def test_a_flagged_number_can_be_kept_out_of_the_mean(
    study: Path, out: Path, plan: WriteInPlan
) -> None:
    set_value(study, "sub-02_ses-one", 2, "3000")  # V_T of a k4 near zero
    naive = go(study, out)
    assert naive.exit_code == 0
    assert answer(out, "groupA")["flagged"][0]["where"] == ["sub-02_ses-one seg:insula"]
    both = {}
    for missing in ("drop-scan", "drop-region"):
        other = out.with_name(missing)
        text = PLAN.replace(
            "[questions.group]",
            f'[questions.group]\nmissing = "{missing}"\ndrop_flagged = ["k4_small"]',
        )
        assert go(study, other, plan(text)).exit_code == 0
        both[missing] = answer(other, "groupA")
        assert not both[missing]["flagged"]
    assert both["drop-scan"]["dropped"][0]["reason"] == "k4_small in seg:insula"
    assert both["drop-region"]["regions_dropped"] == ["seg:insula: k4_small in sub-02_ses-one"]
    assert both["drop-scan"]["rows"] == answer(out, "groupA")["rows"] - 1
    slip = PLAN.replace("[questions.group]", '[questions.group]\ndrop_flagged = ["k4_smal"]')
    other = out.with_name("slip")
    assert go(study, other, plan(slip)).exit_code == 2
    assert "did you mean 'k4_small'?" in (other / "refused.tsv").read_text()


def test_flags_to_drop_are_of_regions() -> None:
    with pytest.raises(Refused, match="voxels"):
        check_question(
            Question(
                outcome="pet.VT",
                over="voxels",
                model="~ age",
                test="age",
                drop_flagged=["k4_small"],
            ),
            {},
        )


@pytest.mark.parametrize(
    ("missing", "rows", "regions"),
    [("drop-scan", 7, 3), ("drop-region", 8, 2), ("refuse", None, None)],
)
def test_missing_number_in_a_region(
    study: Path, out: Path, plan: WriteInPlan, missing: str, rows: int | None, regions: int | None
) -> None:
    set_value(study, "sub-02_ses-one", 2, "n/a")
    text = PLAN.replace("[questions.group]", f'[questions.group]\nmissing = "{missing}"')
    summary = go(study, out, plan(text))
    if rows is None:
        assert summary.exit_code == 2
        refused = table(out / "refused.tsv")
        assert refused.measure.tolist() == ["question groupA", "question groupB"]
        assert "sub-02_ses-one" in refused.found.iloc[0]
        assert (out / "group/question-burden/answer.json").exists()  # the rest is kept
        return
    said = answer(out, "groupA")
    assert (said["rows"], len(said["regions"])) == (rows, regions)
    if missing == "drop-scan":
        assert said["dropped"][0]["reason"] == "n/a in seg:insula"
    else:
        assert said["regions_dropped"] == ["seg:insula: n/a in sub-02_ses-one"]


def test_a_crash_in_one_scan_is_listed_and_the_rest_goes_on(study: Path, out: Path) -> None:
    set_value(study, "sub-04_ses-one", 0, "1\ncrash\t2")
    summary = go(study, out)
    assert summary.exit_code == 3
    assert "internal error: ZeroDivisionError" in table(out / "refused.tsv").what.iloc[0]
    assert answer(out, "change")["participants"] == 7


def test_covariate_missing_for_somebody_is_refused_by_name(study: Path, out: Path) -> None:
    path = study / "participants.tsv"
    path.write_text(path.read_text().replace("sub-02\tcontrol\t33", "sub-02\tcontrol\tn/a"))
    summary = go(study, out)
    assert summary.exit_code == 2
    refused = table(out / "refused.tsv")
    assert "sub-02" in refused.found.iloc[0]
    assert refused.measure.tolist() == ["question groupA", "question groupB"]


def test_value_missing_in_among_is_told(study: Path, out: Path, plan: WriteInPlan) -> None:
    text = PLAN.replace("among = \"session == 'one'\"", "among = \"session == 'one' and age < 60\"")
    path = study / "participants.tsv"
    path.write_text(path.read_text().replace("sub-02\tcontrol\t33", "sub-02\tcontrol\tn/a"))
    go(study, out, plan(text))
    assert answer(out, "groupA")["excluded"] == [
        {"participant_id": "sub-02", "session_id": "one", "run_id": "n/a", "reason": "age is n/a"}
    ]


def test_table_with_regions_sessions_and_methods(study: Path, out: Path, plan: WriteInPlan) -> None:
    rng = np.random.default_rng(3)
    rows = ["participant_id\tsession_id\tsegmentation\tregion\tmethod\tVT"]
    for k in range(8):
        for session in ("one", "two"):
            for method in ("logan", "ma1"):
                for region in ("left", "right"):
                    value = rng.normal(10 + (method == "ma1"), 1)
                    rows.append(
                        f"sub-{k + 1:02d}\tses-{session}\tatlas\t{region}\t{method}\t{value:.6f}"
                    )
    (study / "derivatives").mkdir()
    (study / "derivatives" / "vt.tsv").write_text("\n".join(rows) + "\n")
    summary = go(
        study,
        out,
        plan(
            """
tables = ["derivatives/vt.tsv"]
[questions.other]
outcome = "table:derivatives/vt.tsv:VT"
method = ["logan", "ma1"]
regions = ["right", "left"]
model = "~ session + participant"
test = "session: two - one"
"""
        ),
    )
    assert summary.exit_code == 0
    frame = table(study / "derivatives" / "vt.tsv")
    for method in ("logan", "ma1"):
        slug = f"other{method.capitalize()}"
        said = table(out / f"group/question-{slug}/desc-sessionTwoMinusOne_regions.tsv")
        assert list(said["region"]) == ["atlas:right", "atlas:left"]
        mine = frame[(frame.method == method) & (frame.region == "left")]
        wide = mine.pivot_table(index="participant_id", columns="session_id", values="VT")
        truth = stats.ttest_rel(wide["ses-two"], wide["ses-one"]).statistic
        assert said["t"].iloc[1] == pytest.approx(truth, abs=1e-9)


def test_bare_column_as_outcome(study: Path, out: Path, plan: WriteInPlan) -> None:
    go(
        study,
        out,
        plan(
            '[questions.mood]\noutcome = "scales.burden"\n'
            'model = "~ group"\ntest = "rls - control"\n'
        ),
    )
    assert answer(out, "mood")["regions"] == ["burden"]


def test_score_as_outcome_and_as_covariate(study: Path, out: Path, plan: WriteInPlan) -> None:
    summary = go(
        study,
        out,
        plan(
            """
[measures.fake]
[questions.index]
outcome = "fake.index"
among = "session == 'one'"
model = "~ group"
test = "rls - control"
[questions.slope]
outcome = "table:phenotype/scales.tsv:burden"
model = "~ group"
test = "rls - control"
[questions.covariate]
outcome = "fake.VT"
among = "session == 'one'"
regions = ["caudate"]
model = "~ fake.index"
test = "fake.index"
"""
        ),
    )
    assert summary.exit_code == 0, [a.refused for a in summary.answers]
    assert answer(out, "index")["unit"] == "1/h"
    x = [sum(raw(study, r, "one")[p] for r in REGIONS) for p in raw(study, "caudate", "one")]
    truth = stats.linregress(x, list(raw(study, "caudate", "one").values()))
    said = table(out / "group/question-covariate/desc-fakeIndex_regions.tsv")
    assert said["p"].iloc[0] == pytest.approx(truth.pvalue, rel=1e-8)


def test_voxels(study: Path, out: Path, plan: WriteInPlan) -> None:
    import nibabel as nib

    labels = np.zeros((4, 4, 4), np.int16)
    labels[:2] = 1
    labels[2:] = 2
    folder = study / "derivatives" / "atlas"
    folder.mkdir(parents=True)
    stem = "space-MNI152NLin2009aSym_desc-parts_dseg"
    nib.save(nib.Nifti1Image(labels, np.diag([2.0, 2, 2, 1])), folder / f"{stem}.nii.gz")
    (folder / f"{stem}.tsv").write_text("index\tname\n1\tlow\n2\thigh\n")
    own = study / "atlases"
    own.mkdir()
    nib.save(nib.Nifti1Image(labels, np.diag([2.0, 2, 2, 1])), own / "AAL3v1.nii.gz")
    (own / "AAL3v1.nii.txt").write_text("1 Left_One 2001\n2 Right_One 2002\n")
    summary = go(
        study,
        out,
        plan(
            """
[measures.fake]
maps = true
[questions.map]
outcome = "fake.VT"
over = "voxels"
model = "~ session + participant"
test = "session: two - one"
inference = { method = "max-t", permutations = 50, forming_p = 0.5 }
[questions.named]
outcome = "fake.VT"
over = "voxels"
segmentation = "atlases/AAL3v1.nii.gz"
model = "~ session + participant"
test = "session: two - one"
inference = { method = "max-t", permutations = 50, forming_p = 0.5 }
"""
        ),
    )
    assert summary.exit_code == 0, [a.refused for a in summary.answers]
    peaks = table(out / "group/question-named/desc-sessionTwoMinusOne_peaks.tsv")
    assert set(peaks["label"].dropna()) <= {"Left_One", "Right_One"}
    assert peaks["label"].notna().any()
    told = json.dumps(answer(out, "named"))
    assert "AAL3 is in the space MNIColin27, the maps are in MNI152NLin2009aSym" in told
    folder = out / "group/question-map"
    found = folder / ("space-MNI152NLin2009aSym_desc-sessionTwoMinusOne_stat-t_statmap.nii.gz")
    t = np.asanyarray(nib.load(found).dataobj)
    stacks = []
    for session in ("one", "two"):
        paths = sorted(out.glob(f"sub-*/ses-{session}/fake/*_mimap.nii.gz"))
        stacks.append(np.stack([np.asanyarray(nib.load(p).dataobj) for p in paths]))
    truth = stats.ttest_rel(stacks[1].astype(float), stacks[0].astype(float)).statistic
    inside = np.isfinite(t) & (t != 0)
    assert inside.sum() > 50
    np.testing.assert_allclose(t[inside], truth[inside], rtol=1e-5, atol=1e-5)
    peaks = table(folder / "desc-sessionTwoMinusOne_peaks.tsv")
    assert set(peaks["label"].dropna()) <= {"low", "high"}
    assert len(peaks) > 0


def test_participant_label(study: Path, out: Path) -> None:
    summary = go(study, out, level="participant", participants=["01", "sub-02"])
    assert len(summary.found.measured) == 4
    assert len(summary.found.waiting) == 12
    assert set(table(out / "measures.tsv").participant_id) == {"sub-01", "sub-02"}
    with pytest.raises(Refused, match="not every scan has been measured") as no:
        go(study, out, level="group")
    assert "12 missing" in str(no.value.found)
    go(study, out, level="participant")
    some = [f"0{k}" for k in range(1, 7)]
    summary = go(study, out, level="group", participants=some)
    assert answer(out, "change")["participants"] == 6
    assert answer(out, "groupA")["rows"] == 6
    assert set(table(out / "measures.tsv").participant_id) == {f"sub-0{k}" for k in range(1, 7)}


def test_every_scan_refused(study: Path, out: Path) -> None:
    (study / "task-rest_beh.json").unlink()
    with pytest.raises(Refused, match="no scan could be measured") as no:
        go(study, out)
    assert "16 refused" in str(no.value.found)
    assert len(table(out / "refused.tsv")) == 16


def test_study_without_sessions(tmp_path: Path, fake: None, plan: WriteInPlan) -> None:
    root = make_study(tmp_path / "s", sessions=("only",))
    for path in list(root.glob("sub-*/ses-only/beh/*.tsv")):
        new = root / path.name[:6] / "beh" / path.name.replace("_ses-only", "")
        new.parent.mkdir(parents=True)
        path.rename(new)
        path.parent.rmdir()
        path.parent.parent.rmdir()
    summary = go(
        root,
        tmp_path / "out",
        plan(
            '[measures.fake]\n[questions.g]\noutcome = "fake.VT"\nmodel = "~ group"\n'
            'test = "rls - control"\n'
        ),
    )
    assert summary.exit_code == 0
    assert set(table(tmp_path / "out/measures.tsv").session_id.isna()) == {True}


def test_other_code_measures_and_answers_again(
    study: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(study, out)
    before = {p.name for p in (out / ".ekbom" / "steps").iterdir()}
    monkeypatch.setattr(store, "sources", lambda *modules: "other code")
    go(study, out)
    after = {p.name for p in (out / ".ekbom" / "steps").iterdir()} - before
    assert len(after) == len(before) == 16 + 5
