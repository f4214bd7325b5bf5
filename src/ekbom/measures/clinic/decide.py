"""The decision: criteria met, failed, unknown; a status; and the reasons in order.

Three-valued throughout. Every status lies between the worst and the best
outcome that the unknown answers still allow; learning an answer can only
narrow that range: a yes never lowers either end, a no never raises one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from ekbom.errors import Refused
from ekbom.measures.clinic.facts import fact, under, unverified
from ekbom.measures.clinic.logic import NO, PAST, UNKNOWN, YES, Answer, all_of, any_of
from ekbom.measures.clinic.mimics import Fifth, judge_fifth
from ekbom.measures.clinic.presentation import LEGS, Presentation
from ekbom.measures.clinic.specifiers import specifiers, supportive

#: Said once, plainly, by everything this room prints about a person.
NOT_ADVICE = "Research use; not medical advice, and not a diagnosis by a clinician."


class Outcome(IntEnum):
    """What the answers can come to, from worst to best fit with RLS."""

    NOT_RLS = 0
    EXPLAINED = 1
    WITHOUT_IMPAIRMENT = 2
    MET = 3


class Status(StrEnum):
    """The words of a verdict."""

    NOT_RLS = "not RLS"
    EXPLAINED = "symptoms explained by another condition"
    WITHOUT_IMPAIRMENT = "criteria met, without impairment or distress"
    UNDETERMINED = "undetermined"
    FOUR_MET = "four met, fifth unknown"
    IMPAIRMENT_UNKNOWN = "criteria met, impairment unknown"
    DEFINITE = "definite"
    VARIANT_MET = "variant, criteria met"
    VARIANT_FOUR_MET = "variant, four met, fifth unknown"
    VARIANT_IMPAIRMENT_UNKNOWN = "variant, criteria met, impairment unknown"
    VARIANT_WITHOUT_IMPAIRMENT = "variant, criteria met, without impairment or distress"


_AS_VARIANT = {
    Status.DEFINITE: Status.VARIANT_MET,
    Status.FOUR_MET: Status.VARIANT_FOUR_MET,
    Status.IMPAIRMENT_UNKNOWN: Status.VARIANT_IMPAIRMENT_UNKNOWN,
    Status.WITHOUT_IMPAIRMENT: Status.VARIANT_WITHOUT_IMPAIRMENT,
}
_MODIFIED = "criteria applied in modified manner"
_OUTCOME_WORDS = {
    Outcome.NOT_RLS: "not RLS",
    Outcome.EXPLAINED: "explained by another condition",
    Outcome.WITHOUT_IMPAIRMENT: "criteria met without impairment",
    Outcome.MET: "criteria met",
}


def criteria_sets() -> tuple[str, ...]:
    """Return the names of the criteria sets: 1995, 2003, 2012, icsd3tr.

    Returns
    -------
    tuple of str
        In order of time.
    """
    return tuple(under("criteria.sets"))


@dataclass(frozen=True)
class Verdict:
    """The decision for one person under one criteria set.

    ``met``, ``failed`` and ``unknown`` hold criterion numbers; ``why`` the
    reasons in order; ``next_questions`` what to ask next; ``worst`` and
    ``best`` the outcomes that the unknown answers allow; ``facts`` the keys
    of the data rows used.
    """

    set: str
    status: Status
    part: str
    worst: Outcome
    best: Outcome
    met: tuple[int, ...]
    failed: tuple[int, ...]
    unknown: tuple[int, ...]
    why: tuple[str, ...]
    next_questions: tuple[str, ...] = ()
    specifiers: Mapping[str, str] = field(default_factory=dict)
    supportive: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()

    @property
    def verified(self) -> bool:
        """Whether every fact behind the status was checked.

        Returns
        -------
        bool
            False when any was not.
        """
        return not unverified(self.facts)

    def counts_as_rls(self, variants: bool = False) -> Answer:
        """Return whether a design counts this person as RLS.

        Parameters
        ----------
        variants : bool
            Count variants without the legs too.
        """
        if self.status is Status.DEFINITE:
            return YES
        if self.status in _AS_VARIANT.values() and not variants:
            return NO
        if self.status is Status.VARIANT_MET:
            return YES
        return UNKNOWN if self.best is Outcome.MET else NO


@dataclass(frozen=True)
class _Part:
    part: str
    answers: tuple[Answer, ...]
    status: Status
    worst: Outcome
    best: Outcome
    why: tuple[str, ...]


def decide(person: Presentation, criteria: str = "2012") -> Verdict:
    """Decide under one criteria set, with reasons.

    Parameters
    ----------
    person : Presentation
        Answers.
    criteria : str
        ``1995``, ``2003``, ``2012`` or ``icsd3tr``.

    Returns
    -------
    Verdict
        Status, criteria, reasons.

    Raises
    ------
    Refused
        For an unknown set.

    Examples
    --------
    >>> person = Presentation(c1=YES, c2=YES, c3=YES, c4=YES)
    >>> decide(person, "2012").status.value, decide(person, "2003").status.value
    ('four met, fifth unknown', 'definite')
    """
    if criteria not in criteria_sets():
        raise Refused(
            "The criteria set is not known.",
            field="criteria",
            found=criteria,
            expected=", ".join(criteria_sets()),
        )
    key = f"criteria.sets.{criteria}"
    rows = fact(key)
    fifth = judge_fifth(person) if rows["fifth"] else Fifth(YES)
    impaired = any_of((person.impairment, person.distress)) if rows["impairment"] else YES
    parts = {
        part: _one_part(person, part, criteria, fifth.answer, impaired)
        for part in dict.fromkeys(person.body_parts)
    }
    chosen = _choose(parts)
    variant = chosen.part != LEGS
    status = _AS_VARIANT.get(chosen.status, chosen.status) if variant else chosen.status
    used = [key, *fifth.facts]
    flags = list(fifth.flags)
    why = list(chosen.why)
    if PAST in (person.answer(name, chosen.part) for name in ("c1", "c2", "c3", "c4")):
        used.append("criteria.severe_rule")
    if rows["fifth"] and chosen.status is not Status.NOT_RLS:
        why += fifth.why
    if rows["impairment"] and chosen.status not in (Status.NOT_RLS, Status.UNDETERMINED):
        why.append(f"impairment or distress, which this set requires: {impaired.value}")
    if variant:
        used.append(f"criteria.variants.{chosen.part}")
        if status in _AS_VARIANT.values():
            flags.append(_MODIFIED)
            why.append(
                f"{_MODIFIED}: judged for the {_name(chosen.part)}, without the legs;"
                " never called definite RLS"
            )
    elif chosen.status in _AS_VARIANT:
        also = [_name(p) for p, v in parts.items() if p != LEGS and v.status is chosen.status]
        if also:
            why.append(f"{' and '.join(also)} also")
    why.append(_conclusion(status, chosen))
    spec = specifiers(person)
    presence = _presence(person, criteria, chosen)
    if presence:
        spec = {**spec, "presence": presence}
        why.append(presence)
    if person.treated is YES:
        flags.append("treated: the answers must be those of the untreated state")
    support, support_facts = supportive(person)
    numbers = range(1, len(chosen.answers) + 1)
    answered = dict(zip(numbers, chosen.answers, strict=True))
    if rows["fifth"]:
        answered[5] = fifth.answer
    flags += [f"unverified:{k}" for k in unverified([*used, *support_facts])]
    return Verdict(
        set=criteria,
        status=status,
        part=chosen.part,
        worst=chosen.worst,
        best=chosen.best,
        met=tuple(n for n, a in answered.items() if a is YES),
        failed=tuple(n for n, a in answered.items() if a is NO),
        unknown=tuple(n for n, a in answered.items() if a is UNKNOWN),
        why=tuple(why),
        next_questions=_next(chosen, fifth, rows["labels"], status),
        specifiers=spec,
        supportive=support,
        flags=tuple(dict.fromkeys(flags)),
        facts=tuple(dict.fromkeys(used)),
    )


def decide_all(person: Presentation, criteria: Sequence[str] | None = None) -> list[Verdict]:
    """Decide under several criteria sets side by side (all of them by default).

    Parameters
    ----------
    person : Presentation
        Answers.
    criteria : sequence of str, optional
        Names of sets.

    Returns
    -------
    list of Verdict
        One a set.
    """
    return [decide(person, name) for name in (criteria or criteria_sets())]


def _one_part(
    person: Presentation, part: str, criteria: str, fifth: Answer, impaired: Answer
) -> _Part:
    rows = fact(f"criteria.sets.{criteria}")
    answers, why = [], []
    for number, (label, bases) in enumerate(zip(rows["labels"][:4], rows["from"], strict=True), 1):
        given = {base: person.answer(base, part) for base in bases}
        resolved = [
            _resolve(a, person, severe_allowed=b in rows["past_allowed"]) for b, a in given.items()
        ]
        answer = all_of(resolved)
        answers.append(answer)
        word = {YES: "met", NO: "not met", UNKNOWN: "unknown"}[answer]
        here = label if part == LEGS else label.replace("the legs", f"the {_name(part)}")
        why.append(f"criterion {number} ({here}) {word}{_about_past(given, resolved)}")
    four = all_of(answers)
    if four is NO:
        return _Part(part, tuple(answers), Status.NOT_RLS, Outcome(0), Outcome(0), tuple(why))
    best = _top(fifth, impaired, unknown_is=YES)
    worst = Outcome.NOT_RLS if four is UNKNOWN else _top(fifth, impaired, unknown_is=NO)
    if four is UNKNOWN:
        status = Status.UNDETERMINED
    elif fifth is not YES:
        status = Status.EXPLAINED if fifth is NO else Status.FOUR_MET
    elif impaired is not YES:
        status = Status.WITHOUT_IMPAIRMENT if impaired is NO else Status.IMPAIRMENT_UNKNOWN
    else:
        status = Status.DEFINITE
    return _Part(part, tuple(answers), status, worst, best, tuple(why))


def _resolve(answer: Answer, person: Presentation, severe_allowed: bool) -> Answer:
    if answer is not PAST:
        return answer
    if severe_allowed and person.severe is not NO:
        return person.severe
    # What treatment may hide is unknown, not absent.
    return NO if person.treated is NO else UNKNOWN


def _about_past(given: Mapping[str, Answer], resolved: Sequence[Answer]) -> str:
    if PAST not in given.values():
        return ""
    if YES in (r for g, r in zip(given.values(), resolved, strict=True) if g is PAST):
        return ": present in the past, which counts in very severe disease"
    return ": present in the past only"


def _top(fifth: Answer, impaired: Answer, unknown_is: Answer) -> Outcome:
    if (unknown_is if fifth is UNKNOWN else fifth) is NO:
        return Outcome.EXPLAINED
    if (unknown_is if impaired is UNKNOWN else impaired) is NO:
        return Outcome.WITHOUT_IMPAIRMENT
    return Outcome.MET


def _choose(parts: Mapping[str, _Part]) -> _Part:
    legs = parts.get(LEGS)
    others = [p for name, p in parts.items() if name != LEGS]
    best_other = max(others, key=lambda p: (p.worst, p.best), default=None)
    if legs is None:
        assert best_other is not None
        return best_other
    # Legs decide, unless the criteria fail there and hold elsewhere.
    if legs.status is Status.NOT_RLS and best_other and best_other.worst > Outcome.NOT_RLS:
        return best_other
    return legs


def _name(part: str) -> str:
    return {"lower_back": "back", "perineal_bladder": "perineum or bladder"}.get(part, part)


def _conclusion(status: Status, part: _Part) -> str:
    if status is Status.UNDETERMINED:
        worst, best = _OUTCOME_WORDS[part.worst], _OUTCOME_WORDS[part.best]
        return f"undetermined: what is unknown allows anything from '{worst}' to '{best}'"
    if status is Status.NOT_RLS:
        numbers = [str(n) for n, a in enumerate(part.answers, 1) if a is NO]
        return f"not RLS: criterion {' and '.join(numbers)} not met"
    return str(status)


def _next(part: _Part, fifth: Fifth, labels: Sequence[str], status: Status) -> tuple[str, ...]:
    if status is Status.NOT_RLS:
        return ()
    ask = [
        f"criterion {n}: {labels[n - 1]}?" for n, a in enumerate(part.answers, 1) if a is UNKNOWN
    ]
    if fifth.answer is UNKNOWN:
        ask += fifth.ask
    if status in (Status.IMPAIRMENT_UNKNOWN, Status.VARIANT_IMPAIRMENT_UNKNOWN):
        ask.append("do the symptoms cause distress or impairment?")
    return tuple(ask)


def _presence(person: Presentation, criteria: str, now: _Part) -> str:
    """Say whether the criteria were met before, when they are not all met now."""
    names = ("c1", "c2", "c3", "c4")
    own = {n: person.answer(n, now.part) for n in names}
    if PAST not in own.values() or now.status not in (Status.NOT_RLS, Status.UNDETERMINED):
        return ""
    if all_of(YES if a is PAST else a for a in own.values()) is not YES:
        return ""
    if person.treated is YES:
        return "the four criteria were met in the past; treatment may hide them now"
    if person.treated is NO:
        return "the four criteria were met in the past; in remission without treatment"
    return "the four criteria were met in the past; whether treatment hides them is unknown"
