"""The decision against every world that the unknown answers allow."""

from __future__ import annotations

from itertools import product

import pytest

from ekbom.errors import Refused
from ekbom.measures.clinic.cases import cases
from ekbom.measures.clinic.decide import Outcome, Status, criteria_sets, decide, decide_all
from ekbom.measures.clinic.logic import NO, PAST, UNKNOWN, YES, Answer
from ekbom.measures.clinic.mimics import listed_mimics
from ekbom.measures.clinic.presentation import Presentation, known_mimics
from ekbom.measures.clinic.specifiers import course, plm_above_norm, specifiers

ANSWERS = (YES, NO, PAST, UNKNOWN)
EVERY = list(product(ANSWERS, repeat=5))
FOUR = {"c1": YES, "c2": YES, "c3": YES, "c4": YES}


def worlds(answers: tuple[Answer, ...], severe: Answer, treated: Answer) -> set[int]:
    """Outcomes of 2012 over all complete worlds, written without the engine.

    A world settles every unknown. What was there only in the past counts in
    3 and 4 when disease is severe; otherwise it may or may not be hidden by
    treatment, and is absent without treatment.
    """
    out = set()
    options = []
    for number, answer in enumerate(answers, 1):
        if answer is YES:
            options.append([True])
        elif answer is NO:
            options.append([False])
        elif answer is UNKNOWN or number == 5:
            options.append([True, False])
        elif number in (3, 4) and severe is YES:
            options.append([True])
        elif number in (3, 4) and severe is UNKNOWN:
            options.append([True, False])
        else:
            options.append([False] if treated is NO else [True, False])
    for c1, c2, c3, c4, c5 in product(*options):
        out.add(0 if not (c1 and c2 and c3 and c4) else (3 if c5 else 1))
    return out


@pytest.mark.parametrize("severe", [YES, NO, UNKNOWN])
@pytest.mark.parametrize("treated", [YES, NO, UNKNOWN])
def test_truth_table(severe: Answer, treated: Answer) -> None:
    """All 4^5 answers: the range is that of the worlds, the word follows from it."""
    seen = set()
    for answers in EVERY:
        person = Presentation(*answers, severe=severe, treated=treated)
        verdict = decide(person, "2012")
        possible = worlds(answers, severe, treated)
        assert (verdict.worst, verdict.best) == (min(possible), max(possible)), answers
        four_open = 0 in possible and len(possible) > 1
        expected = (
            Status.UNDETERMINED
            if four_open
            else {
                (0, 0): Status.NOT_RLS,
                (1, 1): Status.EXPLAINED,
                (1, 3): Status.FOUR_MET,
                (3, 3): Status.DEFINITE,
            }[(min(possible), max(possible))]
        )
        assert verdict.status is expected, answers
        assert verdict.why
        assert sorted((*verdict.met, *verdict.failed, *verdict.unknown)) == [1, 2, 3, 4, 5]
        seen.add(verdict.status)
    assert len(seen) == 5


@pytest.mark.parametrize("criteria", ["1995", "2003", "2012", "icsd3tr"])
def test_learning_an_answer_never_turns_the_range(criteria: str) -> None:
    """An unknown that becomes yes lowers neither end; one that becomes no raises neither."""
    names = ("c1", "c2", "c3", "c4", "c5", "impairment", "paraesthesia", "motor_restlessness")
    used = {"2003": names[:4], "2012": names[:5], "icsd3tr": names[:6]}.get(criteria, names)
    if criteria == "1995":
        used = ("c1", "c2", "c3", "c4", "paraesthesia", "motor_restlessness")
    for answers in product((YES, NO, UNKNOWN), repeat=len(used)):
        given = dict(zip(used, answers, strict=True))
        given.setdefault("distress", NO)
        before = decide(Presentation(**given), criteria)
        for name in used:
            if given[name] is not UNKNOWN:
                continue
            up = decide(Presentation(**{**given, name: YES}), criteria)
            down = decide(Presentation(**{**given, name: NO}), criteria)
            assert up.worst >= before.worst
            assert up.best >= before.best
            assert down.worst <= before.worst
            assert down.best <= before.best
            assert before.worst <= up.worst <= up.best <= before.best
            assert before.worst <= down.worst <= down.best <= before.best


def test_fifth_unknown_is_never_definite() -> None:
    """Also when the box is ticked but no mimic was assessed, or one is not settled."""
    for c5, mimics in (
        (UNKNOWN, {}),
        (UNKNOWN, dict.fromkeys(listed_mimics()[:-1], NO)),
        (YES, dict.fromkeys(known_mimics(), UNKNOWN)),
        (UNKNOWN, {**dict.fromkeys(listed_mimics(), NO), "cramps": YES}),
        (PAST, dict.fromkeys(listed_mimics(), NO)),
    ):
        verdict = decide(Presentation(**FOUR, c5=c5, mimics=mimics))
        assert verdict.status is Status.FOUR_MET
        assert "definite" not in "; ".join(verdict.why)
        assert verdict.next_questions


def test_sets_differ_only_by_what_they_ask() -> None:
    """The same person under every set, side by side."""
    person = Presentation(**FOUR, paraesthesia=NO, motor_restlessness=YES, impairment=NO,
                          distress=NO, c5=YES)  # fmt: skip
    got = {v.set: v.status for v in decide_all(person)}
    assert got == {
        "1995": Status.NOT_RLS,
        "2003": Status.DEFINITE,
        "2012": Status.DEFINITE,
        "icsd3tr": Status.WITHOUT_IMPAIRMENT,
    }
    assert set(got) == set(criteria_sets())


@pytest.mark.parametrize("part", ["lower_back", "abdomen", "arms", "perineal_bladder"])
def test_without_the_legs_never_definite(part: str) -> None:
    """Whatever the answers, a part without the legs is called a variant or less."""
    for answers in product((YES, NO, UNKNOWN), repeat=5):
        for criteria in criteria_sets():
            person = Presentation(
                *answers, paraesthesia=YES, motor_restlessness=YES, impairment=YES,
                body_parts=(part,),
            )  # fmt: skip
            verdict = decide(person, criteria)
            assert verdict.status is not Status.DEFINITE
            assert all("definite" not in w or "never" in w for w in verdict.why)
    met = decide(Presentation(**FOUR, c5=YES, body_parts=(part,)))
    assert met.status is Status.VARIANT_MET
    assert "criteria applied in modified manner" in met.flags
    assert met.counts_as_rls() is NO
    assert met.counts_as_rls(variants=True) is YES


def test_levodopa_relief_supports_and_never_decides() -> None:
    """Relief by a low dose stands among the supportive features; the status is the same."""
    for parts in (("legs",), ("lower_back",), ("legs", "lower_back")):
        without = decide(Presentation(**FOUR, body_parts=parts))
        with_it = decide(Presentation(**FOUR, body_parts=parts, dopaminergic_response=YES))
        assert without.status is with_it.status
        assert with_it.supportive == ("response to a dopaminergic drug",)


def test_past_counts_only_in_three_and_four_and_only_when_severe() -> None:
    for name in FOUR:
        for severe in (YES, NO):
            given = {**FOUR, name: PAST}
            verdict = decide(Presentation(**given, c5=YES, severe=severe, treated=NO))
            met = severe is YES and name in ("c3", "c4")
            assert verdict.status is (Status.DEFINITE if met else Status.NOT_RLS), (name, severe)


def test_a_mimic_beside_rls_keeps_the_fifth() -> None:
    """'Solely' decides: coexisting keeps it met; the contrary answer contradicts itself."""
    mimics = {**dict.fromkeys(listed_mimics(), NO), "arthritis": YES}
    assert decide(Presentation(**FOUR, mimics=mimics, coexisting=YES)).status is Status.DEFINITE
    assert decide(Presentation(**FOUR, mimics=mimics, coexisting=NO)).status is Status.EXPLAINED
    torn = decide(Presentation(**FOUR, mimics=mimics, c5=YES, coexisting=NO))
    assert torn.status is Status.FOUR_MET
    assert any("contradiction" in f for f in torn.flags)
    torn = decide(Presentation(**FOUR, c5=NO, coexisting=YES))
    assert any("contradiction" in f for f in torn.flags)


@pytest.mark.parametrize("case", cases(), ids=lambda c: f"{c.id}-{c.title[:40]}")
def test_made_case(case) -> None:  # type: ignore[no-untyped-def]
    assert case.failures() == []


def test_there_are_forty_cases_and_they_can_fail() -> None:
    from dataclasses import replace

    assert len(cases()) == 40
    wrong = replace(cases()[0], expect={"2012": "not RLS"}, say=("nothing of the kind",))
    assert len(wrong.failures()) == 2


def test_every_mimic_is_among_the_cases() -> None:
    told = " ".join(k for c in cases() for k, v in c.cells.items() if v == "yes")
    assert all(f"dx_mimic_{m}" in told for m in known_mimics())


@pytest.mark.parametrize(
    ("week", "events", "word"),
    [
        (2.0, None, "chronic-persistent"),
        (1.999, 5, "intermittent"),
        (1.999, 4, "below both"),
        (0.0, 5, "intermittent"),
        (1.0, None, "unknown"),
        (None, 50, "unknown"),
    ],
)
def test_course_edges(week: float | None, events: float | None, word: str) -> None:
    assert course(week, events) == word


def test_specifiers_and_norm() -> None:
    got = specifiers(Presentation(onset_age=45, distress=YES, impairment=UNKNOWN, pregnancy=YES))
    assert (got["onset"], got["significance"], got["secondary_to"]) == (
        "late", "clinically significant", "pregnancy",
    )  # fmt: skip
    assert specifiers(Presentation(onset_age=44.9))["onset"] == "early"
    assert plm_above_norm(15.0, 40) is NO
    assert plm_above_norm(15.1, 40) is YES
    assert plm_above_norm(5.1, 17.9) is YES
    assert plm_above_norm(30.0, None) is UNKNOWN


def test_counts_as_rls_is_open_when_it_is() -> None:
    assert decide(Presentation(**FOUR)).counts_as_rls() is UNKNOWN
    assert decide(Presentation(**FOUR, c5=NO)).counts_as_rls() is NO
    assert decide(Presentation(c5=NO)).counts_as_rls() is NO
    assert decide(Presentation(**FOUR)).best is Outcome.MET


def test_unverified_facts_are_flagged() -> None:
    plain = decide(Presentation(**FOUR, c5=YES))
    assert plain.verified
    assert not plain.flags or all("unverified" not in f for f in plain.flags)
    open_ = decide(Presentation(**FOUR, c5=YES, body_parts=("arms",)))
    assert not open_.verified
    assert "unverified:criteria.variants.arms" in open_.flags


def test_refusals() -> None:
    with pytest.raises(Refused, match="criteria set is not known"):
        decide(Presentation(), "1999")
    with pytest.raises(Refused, match="body part is not known"):
        Presentation(body_parts=("tail",))
    with pytest.raises(Refused, match="mimic is not known"):
        Presentation(mimics={"boredom": YES})
    with pytest.raises(Refused, match="'past' has no meaning"):
        Presentation(impairment=PAST)
    with pytest.raises(Refused, match="No body part"):
        Presentation(body_parts=())
