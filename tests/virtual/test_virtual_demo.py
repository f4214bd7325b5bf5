"""Commands, and the comparison of planted and found."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from ekbom import virtual
from ekbom.cli import app, demo
from ekbom.errors import Refused
from ekbom.validate.planted import compare


def call(*words):
    return app.call([str(word) for word in words])


def test_list_and_show_print_the_designs(capsys):
    assert call("simulate", "--list") == 0
    listed = capsys.readouterr().out
    assert all(f"{name}: " in listed for name in virtual.design_names())
    assert call("simulate", "demo", "--show") == 0
    shown = capsys.readouterr().out
    assert virtual.design.parse(shown) == virtual.load("demo")
    assert '# base = "von-spiczak-2005"' in shown
    assert "sample_times_s = [10.0," in shown


def test_simulate_writes_a_study_with_the_settings_given(tmp_path, capsys):
    out = tmp_path / "s"
    code = call(
        *("simulate", "smoke", out, "--size", "rois", "--seed", 9, "--variant", "realistic"),
        *("--set", "binding.cv=0.12", "--set", "blood.units=Bq/mL"),
    )
    assert code == 0
    assert "Simulated" in capsys.readouterr().out
    truth = virtual.StudyTruth.read(out)
    assert (truth.size, truth.seed) == ("rois", 9)
    assert truth.design.binding.cv == 0.12
    assert truth.design.binding.severity_slope == 0.014
    blood = pd.read_csv(out / "sub-01/pet/sub-01_recording-manual_blood.tsv", sep="\t")
    assert blood["plasma_radioactivity"].max() > 1000
    assert '"Units": "Bq/mL"' in (out / "sub-01/pet/sub-01_recording-manual_blood.json").read_text()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("simulate",), "Which design"),
        (("simulate", "smoke"), "Where"),
        (("simulate", "smoke", "OUT", "--set", "binding.cv"), "key=value"),
        (("simulate", "smoke", "OUT", "--set", "binding.sv=1"), "no such key"),
        (("simulate", "smoke", "OUT", "--variant", "odd"), "no such variant"),
        (("simulate", "other", "OUT"), "no such design"),
    ],
)
def test_mistakes_are_refused_in_words(words, says, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call(*words) == 2
    assert says in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_truth_is_read_back_as_it_was_returned(small_rois):
    again = virtual.StudyTruth.read(small_rois.root)
    assert again.design == small_rois.design.model_copy(update={"variants": {}})
    assert (again.size, again.seed, again.files) == ("rois", 11, small_rois.files)
    for name in ("participants", "regions", "effects"):
        a, b = getattr(again, name), getattr(small_rois, name)
        assert list(a.columns) == list(b.columns)
        numbers = b.select_dtypes("number").columns
        np.testing.assert_allclose(a[numbers], b[numbers], rtol=1e-7)


def test_another_folder_is_not_a_demo(tmp_path, small_rois):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "x").write_text("mine")
    design = virtual.load("demo")
    with pytest.raises(Refused, match="no finished simulated study"):
        demo._before(tmp_path / "raw", design, "rois", 1)
    with pytest.raises(Refused, match="another demo"):
        demo._before(small_rois.root, design, "rois", 11)
    smoke = virtual.load("smoke")
    assert demo._before(small_rois.root, smoke, "rois", 11) is not None
    assert demo._before(tmp_path / "new", design, "rois", 1) is None


def answers(results, truth, *, p, slope, group_p):
    """Write what a run leaves, by hand."""
    regions = list(truth.effects["region"])
    for name, table in (
        (
            "severity",
            {"effect": slope, "ci_low": slope - 1, "ci_high": slope + 1, "r": 0.1, "p_holm": p},
        ),
        (
            "group",
            {
                "effect": 0.1,
                "ci_low": -1.0,
                "ci_high": 1.0,
                "percent": 1.0,
                "percent_low": -5.0,
                "percent_high": 7.0,
                "p_holm": group_p,
            },
        ),
    ):
        folder = results / "group" / f"question-{name}"
        folder.mkdir(parents=True)
        frame = pd.DataFrame({"region": [f"sim:{r}" for r in regions], **table})
        frame.to_csv(folder / "desc-x_regions.tsv", sep="\t", index=False, na_rep="n/a")
    joined = truth.joined()
    pd.DataFrame(
        {
            "participant_id": joined["participant_id"],
            "parameter": "VT",
            "region": "sim:" + joined["area"],
            "value": 0.9 * joined["VT_label"],
        }
    ).to_csv(results / "measures.tsv", sep="\t", index=False)


def test_planted_and_found_are_counted_with_their_sign(small_rois, tmp_path):
    effects = small_rois.effects
    planted = effects["VT_per_irls"].to_numpy() != 0
    p = np.where(planted, 0.01, 0.5)
    slope = np.where(planted, effects["VT_per_irls_label"], 0.0)
    slope[np.flatnonzero(planted)[0]] *= -1  # significant, but the wrong way round
    p[np.flatnonzero(~planted)[0]] = 0.04
    answers(tmp_path, small_rois, p=p, slope=slope, group_p=0.6)
    found = compare(small_rois, tmp_path)
    assert (found.hits, found.planted, found.false) == (5, 6, 1)
    assert not found.group_significant
    assert found.affective is None
    np.testing.assert_allclose(found.bias["bias_percent"], -10.0, atol=1e-5)
    assert np.all(found.bias["bias_seen_percent"] > -40)


def test_a_run_without_the_answer_is_refused(small_rois, tmp_path):
    with pytest.raises(Refused, match="no answer"):
        compare(small_rois, tmp_path)


@pytest.mark.slow
def test_the_whole_demo_finds_what_was_planted(tmp_path, capsys):
    code = call("demo", tmp_path / "d", "--size", "rois", "--seed", 2, "--workers", 1)
    said = capsys.readouterr().out
    assert code == 0
    counted = re.search(r"(\d) of 6 planted regions found at Holm p < .05, (\d) of the", said)
    assert counted is not None
    assert int(counted[1]) >= 4
    assert "no difference" in said
    assert (tmp_path / "d/results/report.html").is_file()
    assert str(tmp_path / "d/results/report.html") in said.replace("\n", "")
    # again: nothing is simulated or measured twice
    assert call("demo", tmp_path / "d", "--size", "rois", "--seed", 2, "--workers", 1) == 0
    assert counted[0] in capsys.readouterr().out


def test_the_native_demo_is_the_demo_in_heads_of_its_own_or_the_model_study():
    strong, weak = (demo.chosen(realistic=r, native=True) for r in (False, True))
    assert (strong.name, strong.severity_slope) == ("demo-native", 0.03)
    assert (weak.name, weak.severity_slope) == ("von-spiczak-2005", 0.014)
    assert strong.head == weak.head is not None
    assert strong.t1 == weak.t1 is not None
    assert demo.chosen(realistic=True, native=False).severity_slope == 0.014
    assert demo.chosen(realistic=False, native=False).name == "demo"
