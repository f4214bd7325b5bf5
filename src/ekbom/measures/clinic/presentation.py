"""What is known of one person: the answers that a decision is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType

from ekbom.errors import Refused
from ekbom.measures.clinic.facts import under
from ekbom.measures.clinic.logic import PAST, UNKNOWN, Answer

LEGS = "legs"
#: Answers about the essential criteria, by the names that criteria sets use.
BASE = ("c1", "c2", "c3", "c4", "paraesthesia", "motor_restlessness")
_MAY_BE_PAST = ("c1", "c2", "c3", "c4", "c5", "paraesthesia", "motor_restlessness")


def known_mimics() -> tuple[str, ...]:
    """Return the mimics that can be assessed, those named by the criteria first.

    Returns
    -------
    tuple of str
        Keys.
    """
    rows = under("criteria.mimics")
    return tuple(sorted(rows, key=lambda m: not rows[m]["listed"]))


def known_parts() -> tuple[str, ...]:
    """Return the body parts that can be named, legs first.

    Returns
    -------
    tuple of str
        Keys.
    """
    return (LEGS, *under("criteria.variants"))


@dataclass(frozen=True)
class Presentation:
    """Answers of one person at one visit; what was not asked is unknown.

    Parameters
    ----------
    c1, c2, c3, c4, c5 : Answer
        Urge to move; worse at rest; relieved by movement; worse in the
        evening or at night; not solely accounted for by another condition.
        ``past`` means: not now, but before.
    paraesthesia, motor_restlessness : Answer
        Asked for by the 1995 set only.
    mimics : mapping of str to Answer
        Conditions looked for (:func:`known_mimics`).
    coexisting : Answer
        A mimic is there, and RLS beside it.
    severe : Answer
        Very severe disease, in which 3 and 4 count when present before.
    treated : Answer
        Under treatment for RLS now.
    impairment, distress : Answer
        Clinical significance.
    body_parts : tuple of str
        Where the symptoms are (:func:`known_parts`).
    by_part : mapping of str to mapping of str to Answer
        Answers ``c1`` to ``c4`` that hold for one part only.
    frequency_per_week : float or None
        Days with untreated symptoms in a week, mean of the past year.
    lifetime_events : float or None
        Episodes in life.
    onset_age, age : float or None
        Years.
    family_history, dopaminergic_response, no_sleepiness : Answer
        Supportive features.
    plms_index : float or None
        Periodic leg movements in sleep, 1/h.
    iron_lack, pregnancy, kidney_failure : Answer
        Conditions that make RLS secondary.

    Raises
    ------
    Refused
        For an unknown body part or mimic, or ``past`` where it has no meaning.
    """

    c1: Answer = UNKNOWN
    c2: Answer = UNKNOWN
    c3: Answer = UNKNOWN
    c4: Answer = UNKNOWN
    c5: Answer = UNKNOWN
    paraesthesia: Answer = UNKNOWN
    motor_restlessness: Answer = UNKNOWN
    mimics: Mapping[str, Answer] = field(default_factory=dict)
    coexisting: Answer = UNKNOWN
    severe: Answer = UNKNOWN
    treated: Answer = UNKNOWN
    impairment: Answer = UNKNOWN
    distress: Answer = UNKNOWN
    body_parts: tuple[str, ...] = (LEGS,)
    by_part: Mapping[str, Mapping[str, Answer]] = field(default_factory=dict)
    frequency_per_week: float | None = None
    lifetime_events: float | None = None
    onset_age: float | None = None
    age: float | None = None
    family_history: Answer = UNKNOWN
    dopaminergic_response: Answer = UNKNOWN
    no_sleepiness: Answer = UNKNOWN
    plms_index: float | None = None
    iron_lack: Answer = UNKNOWN
    pregnancy: Answer = UNKNOWN
    kidney_failure: Answer = UNKNOWN

    def __post_init__(self) -> None:
        object.__setattr__(self, "mimics", MappingProxyType(dict(self.mimics)))
        for kind, given, known in (
            ("mimic", tuple(self.mimics), known_mimics()),
            ("body part", (*self.body_parts, *self.by_part), known_parts()),
        ):
            strange = [g for g in given if g not in known]
            if strange:
                raise Refused(
                    f"A {kind} is not known.",
                    field=f"dx {kind}",
                    found=", ".join(strange),
                    expected=", ".join(known),
                )
        if not self.body_parts:
            raise Refused(
                "No body part is named.", field="dx_body_parts", found="none",
                expected="at least one of " + ", ".join(known_parts()),
            )  # fmt: skip
        for item in fields(self):
            if getattr(self, item.name) is PAST and item.name not in _MAY_BE_PAST:
                raise Refused(
                    "The answer 'past' has no meaning here.",
                    field=item.name,
                    found="past",
                    expected="yes, no or unknown",
                )

    def answer(self, name: str, part: str) -> Answer:
        """Return a base answer as it holds for one body part.

        Parameters
        ----------
        name : str
            Name.
        part : str
            Body part.

        Returns
        -------
        Answer
            As it holds there.
        """
        own = self.by_part.get(part, {})
        given: Answer = own[name] if name in own else getattr(self, name)
        return given
