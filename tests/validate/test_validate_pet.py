"""The loop that checks the kinetic models must pass, and must be able to fail."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ekbom.errors import Refused
from ekbom.validate import pet
from ekbom.validate.kept import OTHER_CODE, once
from ekbom.validate.result import Check

SMALL = {"fits": 20, "seed": 2, "tracers": ("raclopride",), "noise": (3.0,)}


def test_every_gate_holds_on_a_small_run() -> None:
    checks = pet.validate_pet(fits=60, tracers=("carfentanil", "fallypride"), noise=(1.0, 6.0))
    assert not [c.name for c in checks if not c.passed]
    names = {c.name for c in checks}
    assert len(names) == len(checks)
    for model in ("1tcm", "2tcm", "srtm", "srtm2"):
        found = next(c for c in checks if c.name == f"carfentanil {model}, 1 %: coverage of "
                     + ("VT" if "tcm" in model else "BPND"))  # fmt: skip
        assert found.gated
        assert found.se > 0
    # what the scan does not hold is said, not gated
    lost = next(c for c in checks if c.name == "fallypride 2tcm, 6 %: coverage of VT")
    assert not lost.gated
    flagged = next(c for c in checks if c.name == "fallypride 2tcm, 6 %: flagged")
    assert flagged.value > 0.9


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small run and the folder of its parts."""
    folder = tmp_path_factory.mktemp("parts")
    told: list[str] = []
    return pet.validate_pet(**SMALL, kept=folder, tell=told.append), folder, told


def test_the_same_seed_gives_the_same_numbers(small) -> None:
    again = pet.validate_pet(**SMALL)
    assert [x.value for x in again] == [x.value for x in small[0]]
    truth = pet.truth_of("raclopride")
    own, other = (pet._own(truth, 3.0, 20, seed) for seed in (2, 3))
    assert {c.name: c.value for c in own}.items() <= {c.name: c.value for c in again}.items()
    assert [x.value for x in own] != [x.value for x in other]


def test_finished_parts_are_read_not_made_again(small, monkeypatch) -> None:
    first, folder, told = small
    assert len(told) == len(list(folder.glob("*.json")))
    next(f for f in folder.glob("*.json") if "own" in f.name).unlink()
    asked = []
    monkeypatch.setattr(pet, "_own", lambda *_: asked.append("own") or [])
    monkeypatch.setattr(pet, "_other", lambda *_: asked.append("other") or [])
    again = pet.validate_pet(**SMALL, kept=folder)
    assert asked == ["own"]
    rest = [(c.name, c.value) for c in again]
    assert rest == [(c.name, c.value) for c in first if (c.name, c.value) in rest]
    assert 0 < len(rest) < len(first)
    assert not any(OTHER_CODE in c.note for c in again)


def test_a_part_of_other_code_is_used_and_says_so(tmp_path) -> None:
    made = [Check("a", 1.0, 10, note="said"), Check("b", 2.0, 10)]
    assert once("loop", lambda: made, tmp_path) == made
    assert [c.note for c in once("loop", lambda: [], tmp_path)] == ["said", ""]
    next(tmp_path.glob("*.code")).write_text("of another day\n")
    a, b = once("loop", lambda: [], tmp_path)
    assert (a.value, b.value) == (1.0, 2.0)
    assert a.note == f"said; {OTHER_CODE}"
    assert b.note == OTHER_CODE


@pytest.mark.parametrize("fault", ["interval too narrow", "biased"])
def test_a_fault_fails_its_gate(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    right = pet.fit

    def wrong(*args, **given):
        done = right(*args, **given)
        if fault == "biased":
            return replace(done, params={**done.params, "VT": 1.05 * done.params["VT"]})
        # limits where RSS has risen by a tenth of what it should
        return replace(done, profile=replace(done.profile, df=10 * done.profile.df))

    monkeypatch.setattr(pet, "fit", wrong)
    checks = pet._own(pet.truth_of("carfentanil"), 1.0, 60, 1)
    failed = {c.name for c in checks if not c.passed}
    assert any("2tcm, 1 %" in name for name in failed)
    assert not any("srtm" in name for name in failed)


def test_bias_and_its_error_by_hand() -> None:
    truth = pet.truth_of("carfentanil")
    values = np.array([0.9, 1.0, 1.1, 1.2, np.nan])
    found = pet.bias_check("x", values, 1.0, truth, True)
    assert found.value == pytest.approx(5.0)
    assert found.n == 4
    assert found.se == pytest.approx(np.sqrt(np.pi / 2) * 1.4826 * 10 / 2)
    assert not found.passed


def test_command_writes_its_report(tmp_path, capsys) -> None:
    from ekbom.cli.validate import app

    given = ["pet", "--out", str(tmp_path), "--fits", "30", "--tracers", "raclopride"]
    assert app(given, result_action="return_value") == 0
    frame = pd.read_csv(tmp_path / "validate-pet.tsv", sep="\t")
    assert {"check", "value", "se", "n", "gate_low", "gate_high", "result"} <= set(frame.columns)
    assert (tmp_path / "validate-pet.html").read_text().startswith("<!doctype html>")
    assert "raclopride 2tcm, 1 %" in capsys.readouterr().out
    with pytest.raises(Refused, match="no rate constants"):
        app([*given[:-1], "mc1"], result_action="return_value")
