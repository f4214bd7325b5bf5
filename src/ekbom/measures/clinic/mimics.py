"""Criterion 5: are the symptoms solely accounted for by something else?"""

from __future__ import annotations

from dataclasses import dataclass

from ekbom.measures.clinic.facts import fact, under
from ekbom.measures.clinic.logic import NO, PAST, UNKNOWN, YES, Answer
from ekbom.measures.clinic.presentation import Presentation, known_mimics


@dataclass(frozen=True)
class Fifth:
    """Criterion 5 as judged, with reasons, next questions, flags and facts used."""

    answer: Answer
    why: tuple[str, ...] = ()
    ask: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()


def listed_mimics() -> tuple[str, ...]:
    """Return the mimics that the 2012 criteria name themselves.

    Returns
    -------
    tuple of str
        Keys.
    """
    return tuple(name for name, row in under("criteria.mimics").items() if row["listed"])


def label(mimic: str) -> str:
    """Return our own short label of a mimic.

    Parameters
    ----------
    mimic : str
        Key of a mimic.

    Returns
    -------
    str
        Words.
    """
    return str(fact(f"criteria.mimics.{mimic}")["label"])


def judge_fifth(person: Presentation) -> Fifth:
    """Judge criterion 5 from the examiner's answer and the mimics looked for.

    The examiner's answer counts when it is given. It becomes unknown when
    mimics were asked for one by one and none of them was assessed, or when it
    contradicts them. Without it, criterion 5 is met once every mimic that
    the criteria name was looked for and none is there, or those there are
    said to coexist with RLS; the word that decides is *solely*.

    Parameters
    ----------
    person : Presentation
        Answers.

    Returns
    -------
    Fifth
        Answer with reasons.
    """
    asked = {m: person.mimics.get(m, UNKNOWN) for m in known_mimics()}
    there = [m for m, a in asked.items() if a is YES]
    named = [m for m in listed_mimics() if asked[m] is UNKNOWN]
    ask: tuple[str, ...] = ()
    used = tuple(f"criteria.mimics.{m}" for m, a in asked.items() if a is not UNKNOWN)
    words = ", ".join(label(m) for m in there)
    missing = ", ".join(label(m) for m in named)
    if named:
        ask = (f"does any of these explain the symptoms: {missing}?",)

    if person.c5 is PAST:
        return Fifth(
            UNKNOWN,
            ("criterion 5 unknown: it is a judgement of now, 'past' does not answer it",),
            ask or ("are the symptoms solely accounted for by another condition?",),
            facts=used,
        )
    if person.c5 is NO:
        if person.coexisting is YES:
            return Fifth(
                UNKNOWN,
                ("criterion 5 unknown: answered no, but another condition is said to coexist",),
                ("does the other condition account for all of the symptoms?",),
                ("contradiction: criterion 5 and coexisting",),
                used,
            )
        what = words or "a condition that is not named"
        return Fifth(NO, (f"criterion 5 not met: explained by {what}",), facts=used)
    if person.c5 is YES:
        if there and person.coexisting is NO:
            return Fifth(
                UNKNOWN,
                (f"criterion 5 unknown: answered yes, but {words} is said not to coexist",),
                (f"does {words} account for all of the symptoms?",),
                ("contradiction: criterion 5 and coexisting",),
                used,
            )
        if person.mimics and all(a is UNKNOWN for a in asked.values()):
            return Fifth(
                UNKNOWN, (f"criterion 5 unknown: {missing} were not assessed",), ask, facts=used
            )
        if there:
            return Fifth(
                YES,
                (f"criterion 5 met: {words} there too, but not the sole account",),
                facts=used,
            )
        if not person.mimics:
            return Fifth(
                YES,
                ("criterion 5 met: by the examiner's answer, mimics not recorded one by one",),
                flags=("mimics not recorded",),
                facts=used,
            )
        if named:
            return Fifth(
                YES,
                (f"criterion 5 met: by the examiner's answer; not assessed: {missing}",),
                flags=("mimics partly assessed",),
                facts=used,
            )
        return Fifth(YES, ("criterion 5 met: no mimic found",), facts=used)
    if there and person.coexisting is NO:
        return Fifth(NO, (f"criterion 5 not met: explained by {words}",), facts=used)
    if there and person.coexisting is UNKNOWN:
        return Fifth(
            UNKNOWN,
            (f"criterion 5 unknown: {words} there, not said whether it is the sole account",),
            (f"does {words} account for all of the symptoms?", *ask),
            facts=used,
        )
    if named:
        return Fifth(UNKNOWN, (f"criterion 5 unknown: {missing} were not assessed",), ask,
                     facts=used)  # fmt: skip
    how = f"{words} coexists with RLS" if there else "every mimic named was looked for, none found"
    return Fifth(YES, (f"criterion 5 met: {how}",), facts=used)
