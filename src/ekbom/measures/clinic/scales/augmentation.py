"""Augmentation by the rule of the Max Planck Institute conference (2007).

Augmentation = A and (B or C1 or C2), three-valued. The whole rule is recalled,
not looked up: its fact is marked so and every result says it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ekbom.measures.clinic.facts import fact
from ekbom.measures.clinic.logic import UNKNOWN, Answer, all_of, any_of, compare, inverse

FACT = "scales.mpi"


@dataclass(frozen=True)
class Treatment:
    """What is known of a person under dopaminergic treatment.

    Parameters
    ----------
    worse_days : float or None
        Days of the last 7 with more symptoms than before.
    otherwise_explained : Answer
        Another cause explains the worsening.
    prior_response : Answer
        The treatment helped at first.
    paradoxical : Answer
        Worse after a higher dose, better after a lower one.
    onset_before, onset_now : float or None
        Usual clock hour of onset in [0, 24), before treatment and now.
    shorter_latency, spread, more_intense, shorter_relief : Answer
        Sooner at rest; other body parts; intensity or leg movements; relief.
    """

    worse_days: float | None = None
    otherwise_explained: Answer = UNKNOWN
    prior_response: Answer = UNKNOWN
    paradoxical: Answer = UNKNOWN
    onset_before: float | None = None
    onset_now: float | None = None
    shorter_latency: Answer = UNKNOWN
    spread: Answer = UNKNOWN
    more_intense: Answer = UNKNOWN
    shorter_relief: Answer = UNKNOWN


@dataclass(frozen=True)
class Augmentation:
    """Whether there is augmentation, what decided it, and why."""

    answer: Answer
    a: Answer
    b: Answer
    c1: Answer
    c2: Answer
    hours_earlier: float
    why: tuple[str, ...]
    facts: tuple[str, ...] = field(default=(FACT,))


def hours_earlier(before: float | None, now: float | None) -> float:
    """Return by how many hours onset moved forward, on the circular clock.

    Parameters
    ----------
    before, now : float or None
        Clock hours in [0, 24).

    Returns
    -------
    float
        In (-12, 12], positive when earlier; NaN when one is missing.

    Examples
    --------
    >>> hours_earlier(1, 23), hours_earlier(23, 1), hours_earlier(22, 16)
    (2.0, -2.0, 6.0)
    """
    if before is None or now is None:
        return float("nan")
    shift = (before - now) % 24.0
    return shift if shift <= 12.0 else shift - 24.0


def augmentation(given: Treatment) -> Augmentation:
    """Apply the rule.

    Parameters
    ----------
    given : Treatment
        Answers.

    Returns
    -------
    Augmentation
        yes, no or unknown, with its features.

    Examples
    --------
    >>> from ekbom.measures.clinic.logic import NO, YES
    >>> augmentation(Treatment(6, NO, YES, UNKNOWN, 22, 17)).answer.value
    'yes'
    """
    row = fact(FACT)
    earlier = hours_earlier(given.onset_before, given.onset_now)
    a = all_of(
        (
            compare(given.worse_days, row["worse_days"]),
            inverse(given.otherwise_explained),
            given.prior_response,
        )
    )
    b = given.paradoxical
    c1 = compare(earlier, row["c1_hours"])
    signs = any_of((given.shorter_latency, given.spread, given.more_intense, given.shorter_relief))
    c2 = all_of((compare(earlier, row["c2_hours"]), signs))
    answer = all_of((a, any_of((b, c1, c2))))
    why = (
        f"A, worse on most days, not otherwise explained, after a first response: {a.value}",
        f"B, paradoxical response to dose: {b.value}",
        f"C1, onset at least {row['c1_hours']:g} h earlier: {c1.value}"
        + ("" if earlier != earlier else f" ({earlier:g} h)"),
        f"C2, onset at least {row['c2_hours']:g} h earlier and a further sign: {c2.value}",
        f"augmentation = A and (B or C1 or C2): {answer.value}",
        "the rule is recalled, not checked against the paper",
    )
    return Augmentation(answer, a, b, c1, c2, earlier, why)
