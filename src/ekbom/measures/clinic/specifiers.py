"""Course, clinical significance, onset, causes; and features that support, never decide."""

from __future__ import annotations

from ekbom.measures.clinic.facts import fact
from ekbom.measures.clinic.logic import NO, UNKNOWN, YES, Answer, any_of, compare
from ekbom.measures.clinic.presentation import Presentation


def course(per_week: float | None, lifetime_events: float | None) -> str:
    """Return the course by frequency of untreated symptoms in the past year.

    Parameters
    ----------
    per_week : float or None
        Mean days a week with untreated symptoms, past year.
    lifetime_events : float or None
        Episodes in life.

    Returns
    -------
    str
        ``chronic-persistent`` from 2 a week on; ``intermittent`` below that
        with at least 5 events in life; ``below both`` or ``unknown``.

    Examples
    --------
    >>> course(2, None), course(1.99, 5), course(1.99, 4), course(1, None)
    ('chronic-persistent', 'intermittent', 'below both', 'unknown')
    """
    row = fact("criteria.course")
    often = compare(per_week, row["chronic_per_week"])
    events = compare(lifetime_events, row["lifetime_events"])
    if often is YES:
        return "chronic-persistent"
    if often is UNKNOWN or events is UNKNOWN:
        return "unknown"
    return "intermittent" if events is YES else "below both"


def specifiers(person: Presentation) -> dict[str, str]:
    """Return the specifiers of a person; unknown ones say so.

    Parameters
    ----------
    person : Presentation
        Answers.

    Returns
    -------
    dict
        ``course``, ``significance``, ``onset``, ``familial``, ``secondary_to``,
        ``treated``.
    """
    significant = any_of((person.distress, person.impairment))
    late = compare(person.onset_age, fact("criteria.onset")["early_below_years"])
    causes = {
        "iron lack": person.iron_lack,
        "pregnancy": person.pregnancy,
        "kidney failure": person.kidney_failure,
    }
    named = [name for name, answer in causes.items() if answer is YES]
    none = "none named" if all(a is NO for a in causes.values()) else "unknown"
    return {
        "course": course(person.frequency_per_week, person.lifetime_events),
        "significance": {YES: "clinically significant", NO: "not significant"}.get(
            significant, "unknown"
        ),
        "onset": {YES: "late", NO: "early"}.get(late, "unknown"),
        "familial": person.family_history.value,
        "secondary_to": ", ".join(named) or none,
        "treated": person.treated.value,
    }


def plm_above_norm(index: float | None, age: float | None) -> Answer:
    """Return whether a PLM index lies above the cut for the age; unknown without age.

    Parameters
    ----------
    index : float or None
        Periodic leg movements in sleep, 1/h.
    age : float or None
        Years.

    Returns
    -------
    Answer
        Above the cut (15/h in adults, 5/h in children), or unknown.
    """
    if index is None or index != index or age is None or age != age:
        return UNKNOWN
    adult = fact("norms.plmi_adult")
    row = adult if age >= adult["from_years"] else fact("norms.plmi_child")
    return YES if index > row["cut"] else NO


def supportive(person: Presentation) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return supportive features that are there, and the facts behind them.

    Parameters
    ----------
    person : Presentation
        Answers.

    Returns
    -------
    labels : tuple of str
        Own short labels.
    facts : tuple of str
        Keys of the data rows.
    """
    answers = {
        "family_history": person.family_history,
        "dopaminergic_response": person.dopaminergic_response,
        "plm": plm_above_norm(person.plms_index, person.age),
        "no_sleepiness": person.no_sleepiness,
    }
    keys = tuple(f"criteria.supportive.{n}" for n, a in answers.items() if a is YES)
    return tuple(str(fact(k)["label"]) for k in keys), keys
