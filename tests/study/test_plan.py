"""The plan: what is read, what is filled in, what its hash depends on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest
from fake_measure import FakeMeasure, FakeSettings
from pydantic import BaseModel, Field
from small_study import PLAN

from ekbom.errors import Refused
from ekbom.study import registry
from ekbom.study.plan import Plan

WriteInPlan = Callable[[str], Path]


def test_defaults_are_filled_in(plan: WriteInPlan) -> None:
    read = Plan.read(plan(PLAN))
    resolved = read.resolved()
    assert resolved["measures"]["fake"]["scale"] == 1.0
    assert resolved["questions"]["change"]["inference"]["alpha"] == 0.05
    assert resolved["questions"]["change"]["over"] == "regions"
    assert list(read.questions) == ["group", "change", "retest", "burden"]
    assert read.questions["group"].methods == ["a", "b"]
    assert read.questions["group"].measure == "fake"
    assert read.questions["burden"].measure is None


def test_hash_is_of_what_is_said(plan: WriteInPlan) -> None:
    first = Plan.read(plan(PLAN))
    again = Plan.read(plan("# a comment\n" + PLAN.replace(" = ", "  =  ")))
    assert first.hash == again.hash
    other = Plan.read(plan(PLAN.replace("+ age", "")))
    assert other.hash != first.hash
    before, after = first.hashes(), other.hashes()
    assert {k for k in before if before[k] != after[k]} == {"plan", "questions.group"}


def test_sign_and_blocks_may_stand_in_the_question(plan: WriteInPlan) -> None:
    read = Plan.read(plan(PLAN.replace('test = "irls', 'sign = "negative"\ntest = "irls')))
    assert read.settings_of("burden").sign == "negative"
    both = PLAN.replace(
        'test = "irls_total"',
        'test = "irls_total"\nsign = "negative"\ninference = { sign = "positive" }',
    )
    with pytest.raises(Refused, match="gives sign twice"):
        Plan.read(plan(both))


def test_all_mistakes_are_named(plan: WriteInPlan) -> None:
    text = PLAN.replace('over = "regions"', "").replace(
        "permutations = 100", 'permutations = "many", seed = "x"'
    )
    with pytest.raises(Refused) as no:
        Plan.read(plan(text))
    assert no.value.field == "questions.change.inference.permutations"
    assert no.value.expected == "a whole number"
    assert "questions.change.inference.seed" in str(no.value.mend)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('kind = "reliability"', 'kind = "reliability"\nmodel = "~ age"', "has no model"),
        ('method = ["a", "b"]', 'method = ["a", "a"]', "names one twice"),
        ('method = ["a", "b"]', "method = []", "empty"),
        ('["thalamus", "insula"]', '["insula", "insula"]', "names one twice"),
        ('["thalamus", "insula"]', "[]", "cannot be used"),
        (
            'outcome = "table:phenotype/scales.tsv:burden"',
            'outcome = "table:x"',
            "column of a table",
        ),
        ("among = \"group == 'rls'\"", 'over = "voxels"', "only a measure has maps"),
        ('kind = "reliability"', 'kind = "reliability"\nover = "voxels"', "asked over regions"),
        ("[questions.retest]", '[questions."--"]', "needs letters or digits"),
    ],
)
def test_questions_that_contradict_themselves(
    plan: WriteInPlan, old: str, new: str, said: str
) -> None:
    assert old in PLAN
    with pytest.raises(Refused, match=said) as no:
        Plan.read(plan(PLAN.replace(old, new)))
    assert str(no.value.field).startswith("questions.")
    assert str(no.value.file).endswith("plan.toml")


class WithSpace(FakeSettings):
    space: dict[str, object] = Field(default_factory=dict)


class SpaceMeasure(FakeMeasure):
    settings_model: ClassVar[type[BaseModel]] = WithSpace


def test_space_is_handed_to_measures_that_ask(
    plan: WriteInPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.BUILT_IN, "fake", f"{__name__}:SpaceMeasure")
    read = Plan.read(plan("[space]\nfwhm = 6\n" + PLAN))
    settings = read.measures["fake"].settings
    assert isinstance(settings, WithSpace)
    assert settings.space["fwhm"] == 6
    with pytest.raises(Refused, match="not known: fwmh"):
        Plan.read(plan("[space]\nfwmh = 6\n" + PLAN))


def test_example_plan() -> None:
    read = Plan.read(Path(__file__).parents[2] / "examples" / "ds004869" / "plan.toml")
    assert list(read.questions) == ["celecoxib", "retest"]
    assert read.settings_of("celecoxib").method == "max-t"
