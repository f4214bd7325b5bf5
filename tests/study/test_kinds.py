"""Every kind of question, from the plan to the page, and on a table made elsewhere."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from small_study import make_study

from ekbom.cli.app import call
from ekbom.errors import Refused
from ekbom.study import registry
from ekbom.study.run import run_study

PLAN = """
[measures.fake]
model = ["a"]

[questions.same]
kind = "equivalence"
outcome = "fake.VT"
among = "session == 'one'"
model = "~ group + age"
test = "rls - control"
bounds = 0.5
bounds_in = "g"

[questions.what]
kind = "power"
outcome = "fake.VT"
among = "session == 'one'"
model = "~ group"
test = "rls - control"
inference = { permutations = 300 }

[questions.way]
kind = "mediation"
outcome = "fake.VT"
among = "session == 'one'"
path = "age -> fake.VT -> burden"
inference = { permutations = 200, bootstrap = 200 }

[questions.both]
kind = "conjunction"
outcome = "fake.VT"
among = "session == 'one'"
model = "~ group + age"
tests = ["rls - control", "age"]

[questions.time]
kind = "longitudinal"
outcome = "fake.VT"
model = "~ group * session"
test = "rls - control[two]"
covariance = "intercept"
simplify = true
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("kinds")
    registry.BUILT_IN["fake"] = "fake_measure:FakeMeasure"
    study = make_study(root / "study", n=12)
    (study / "code" / "plan.toml").write_text(PLAN)
    try:
        assert call(["run", str(study), str(root / "out"), "all", "--workers", "1"]) == 0
    finally:
        del registry.BUILT_IN["fake"]
    return root / "out"


@pytest.mark.parametrize("slug", ["same", "what", "way", "both", "time"])
def test_each_kind_is_answered_in_words_and_tables(run: Path, slug: str) -> None:
    said = json.loads((run / f"group/question-{slug}/answer.json").read_bytes())
    assert said["words"]["methods"]
    assert said["words"]["results"]
    assert said["meta"]["kind"] == said["kind"]
    table = next((run / f"group/question-{slug}").glob("desc-*_regions.tsv"))
    frame = pd.read_csv(table, sep="\t", na_values=["n/a"], keep_default_na=False)
    assert len(frame) == 3
    sidecar = json.loads(table.with_suffix(".json").read_bytes())
    assert set(frame.columns) <= set(sidecar) | {"region"}


def test_the_page_shows_every_kind(run: Path) -> None:
    page = (run / "report.html").read_text()
    for word in ("bounds of the plan", "Power of this design", "Slopes of the path",
                 "Least", "adjusted means by visit"):  # fmt: skip
        assert word in page, word


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (("bounds = 0.5\n", ""), "has no bounds"),
        (("bounds = 0.5", "bounds = [1, -1]"), "two numbers in order"),
        (('path = "age -> fake.VT -> burden"', 'path = "age -> burden"'), "three different"),
        (('tests = ["rls - control", "age"]', 'tests = ["age"]'), "two different effects"),
        (('tests = ["rls - control", "age"]', 'tests = ["rls - control", "weight"]'), "weight"),
        (('bounds_in = "g"', 'bounds_in = "g"\nbaseline = "one"'), "has no baseline"),
        (('outcome = "fake.VT"\nmodel = "~ group * session"',
          'outcome = "fake.VT"\nover = "voxels"\nmodel = "~ group * session"'), "over regions"),
        (('test = "rls - control[two]"', 'test = "rls - control[six]"'), "no effect named"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_before_anything_is_measured(
    tmp_path: Path, fake: None, change: tuple[str, str], word: str
) -> None:
    study = make_study(tmp_path / "study", n=12)
    text = PLAN.replace(*change, 1)
    assert text != PLAN
    (study / "code" / "plan.toml").write_text(text)
    with pytest.raises(Refused, match=word):
        run_study(study, tmp_path / "out", "all", study / "code" / "plan.toml")
    assert not list((tmp_path / "out").glob("group/**/answer.json"))


def _trial(path: Path, people: int = 24) -> pd.DataFrame:
    rng = np.random.default_rng(8)
    rows = []
    for k in range(people):
        level = rng.normal(24, 4)
        for j, visit in enumerate(("baseline", "week6", "week12")):
            value = level + rng.normal(0, 2) - j * (3 if k % 2 else 1)
            text = "n/a" if j == 2 and k % 5 == 0 else f"{value:.2f}"
            arm = "iron" if k % 2 else "placebo"
            rows.append((f"sub-{k:02d}", visit, arm, text))
    frame = pd.DataFrame(rows, columns=["participant_id", "session_id", "arm", "irls"])
    frame.to_csv(path, sep="\t", index=False)
    return frame


def test_ask_a_trial_from_table_to_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = _trial(tmp_path / "trial.tsv")
    code = call([
        "ask", str(tmp_path / "trial.tsv"), str(tmp_path / "out"), "--kind", "longitudinal",
        "--outcome", "irls", "--model", "~ arm * session + baseline * session",
        "--test", "iron - placebo[week6]", "--baseline", "baseline", "--unit", "points",
    ])  # fmt: skip
    assert code == 0
    assert "missing at random" in capsys.readouterr().out
    course = pd.read_csv(next((tmp_path / "out").glob("*_course.tsv")), sep="\t")
    seen = course.set_index(["visit", "what"])["n"]
    assert seen["week12", "iron"] + seen["week12", "placebo"] == 19
    # at week 6 everybody was seen; the week-12 values lend it nothing but their covariance
    frame["irls"] = pd.to_numeric(frame["irls"], errors="coerce")
    wide = frame.pivot_table(index="participant_id", columns="session_id", values="irls")
    iron = frame.groupby("participant_id")["arm"].first() == "iron"
    y, x = wide["week6"].to_numpy(), np.column_stack(
        [np.ones(24), iron.to_numpy(float), wide["baseline"] - wide["baseline"].mean()]
    )  # fmt: skip
    beta = np.linalg.lstsq(x, y, rcond=None)[0]
    got = pd.read_csv(next((tmp_path / "out").glob("*_regions.tsv")), sep="\t").iloc[0]
    assert got["effect"] == pytest.approx(beta[1], abs=0.05)


def test_ask_a_plain_effect_of_a_table_is_the_t_test(tmp_path: Path) -> None:
    rng = np.random.default_rng(9)
    y = rng.normal(20, 2, 20)
    table = pd.DataFrame({"participant_id": [f"s{i}" for i in range(20)],
                          "group": ["rls"] * 10 + ["control"] * 10, "vt": y})  # fmt: skip
    table.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    out = tmp_path / "out"
    code = call(["ask", str(tmp_path / "t.tsv"), str(out), "--outcome", "vt", "--model", "~ group",
                 "--test", "rls - control"])  # fmt: skip
    assert code == 0
    got = pd.read_csv(next(out.glob("*_regions.tsv")), sep="\t").iloc[0]
    assert got["t"] == pytest.approx(stats.ttest_ind(y[:10], y[10:]).statistic)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--outcome", "irl"], "irls"),
        (["--baseline", "week1"], "week6"),
        (["--model", "~ arm * session"], "does not use the baseline"),
        (["--covariance", "slope"], "time"),
        (["--bounds", "1"], "has no bounds"),
        (["--among", "arm == 'none'"], "none"),
    ],
)
def test_ask_refuses_by_name_with_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], word: str
) -> None:
    _trial(tmp_path / "trial.tsv")
    given = {
        "--kind": "longitudinal", "--outcome": "irls", "--baseline": "baseline",
        "--model": "~ arm * session + baseline", "--test": "iron - placebo",
    } | dict(zip(options[::2], options[1::2], strict=True))  # fmt: skip
    flat = [part for pair in given.items() for part in pair]
    assert call(["ask", str(tmp_path / "trial.tsv"), str(tmp_path / "out"), *flat]) == 2
    assert word in capsys.readouterr().err
    assert not list(tmp_path.glob("out/*"))


def _example(name: str, folder: Path) -> None:
    source = Path(__file__).parents[2] / "examples" / name / "make.py"
    spec = importlib.util.spec_from_file_location(f"example_{name}", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main(folder)


def test_the_iron_trial_of_the_page(tmp_path: Path) -> None:
    _example("iron_treatment", tmp_path)
    out = tmp_path / "out"
    given = ["--question", str(tmp_path / "question.toml"), "--unit", "points"]
    assert call(["ask", str(tmp_path / "irls.tsv"), str(out), *given]) == 0
    got = pd.read_csv(next(out.glob("*_regions.tsv")), sep="\t").iloc[0]
    assert got["effect"] == pytest.approx(-4.40, abs=0.005)
    assert got["ci_low"] < -4.0 < got["ci_high"]
    visits = pd.read_csv(next(out.glob("*_visits.tsv")), sep="\t")
    assert visits["n"].tolist() == [67, 10, 3]


def test_the_path_of_the_page_is_not_found_in_50_and_found_in_200(tmp_path: Path) -> None:
    _example("iron_dopamine", tmp_path)
    joint = {}
    for n in (50, 200):
        out = tmp_path / f"out{n}"
        given = ["--question", str(tmp_path / "question.toml"), "--permutations", "500"]
        given += ["--bootstrap", "500"]
        assert call(["ask", str(tmp_path / f"n{n}.tsv"), str(out), *given]) == 0
        joint[n] = pd.read_csv(next(out.glob("*_regions.tsv")), sep="\t").iloc[0]["p_joint"]
    assert joint[200] < 0.01 < 0.5 < joint[50]
