"""Three-valued answers (Kleene): yes, no, unknown; and ``past`` for what was so before."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Answer(StrEnum):
    """What a person or an examiner answered to one question."""

    YES = "yes"
    NO = "no"
    PAST = "past"
    UNKNOWN = "unknown"


YES, NO, PAST, UNKNOWN = Answer.YES, Answer.NO, Answer.PAST, Answer.UNKNOWN


def all_of(answers: Iterable[Answer]) -> Answer:
    """Kleene *and*: no if any is no, else unknown if any is unknown, else yes.

    ``past`` is not a truth value; resolve it before.

    Parameters
    ----------
    answers : iterable of Answer
        yes, no or unknown.

    Returns
    -------
    Answer
        Of all together.

    Examples
    --------
    >>> all_of([YES, UNKNOWN]).value, all_of([UNKNOWN, NO]).value, all_of([]).value
    ('unknown', 'no', 'yes')
    """
    given = list(answers)
    if NO in given:
        return NO
    return UNKNOWN if UNKNOWN in given else YES


def any_of(answers: Iterable[Answer]) -> Answer:
    """Kleene *or*: yes if any is yes, else unknown if any is unknown, else no.

    Parameters
    ----------
    answers : iterable of Answer
        yes, no or unknown.

    Returns
    -------
    Answer
        Of all together.

    Examples
    --------
    >>> any_of([NO, UNKNOWN]).value, any_of([UNKNOWN, YES]).value, any_of([]).value
    ('unknown', 'yes', 'no')
    """
    given = list(answers)
    if YES in given:
        return YES
    return UNKNOWN if UNKNOWN in given else NO


def inverse(answer: Answer) -> Answer:
    """Kleene *not*; unknown stays unknown.

    Parameters
    ----------
    answer : Answer
        yes, no or unknown.

    Returns
    -------
    Answer
        The contrary.
    """
    return {YES: NO, NO: YES}.get(answer, answer)


def compare(value: float | None, least: float) -> Answer:
    """Return whether a number is at least a bound; unknown when there is none.

    Parameters
    ----------
    value : float or None
        Number.
    least : float
        Bound, included.

    Returns
    -------
    Answer
        Result.
    """
    if value is None or value != value:
        return UNKNOWN
    return YES if value >= least else NO
