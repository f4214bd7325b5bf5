"""The rule sets as frozen objects, read from the data files beside this module."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal

from ekbom.errors import Refused

#: Names of the rule sets, in the order in which they are shown.
RULE_SETS = ("wasm2016", "wasm2006", "aasm")


@dataclass(frozen=True)
class RuleSet:
    """One way of scoring leg movements. Times in seconds.

    Parameters
    ----------
    name, title, reference : str
        ``wasm2016``; ``WASM 2016``; the publication.
    min_duration, max_duration : float
        Length of a candidate movement of one leg, both ends included.
    merge_gap : float
        Two bursts of one leg parted by less are one movement.
    join : {"gap", "onset"}
        Movements of two legs are one when the next starts less than
        `join_gap` after the end ("gap") or after the onset ("onset").
    join_gap : float
    max_members, max_bilateral : int, float
        Bounds of a joined candidate; 0 for none.
    group_long : bool
        Whether movements above `max_duration` join others (which makes the
        whole no candidate), or are left out before.
    imi_min, imi_max : float
        Onset-to-onset interval within a series, both ends included.
    min_run : int
        Movements of a series.
    short_imi : {"end", "skip"}
        What an interval below `imi_min` does to a series.
    short_imi_can_open : bool
        Whether the movement after a short interval may open a new series.
    non_clm : {"end", "skip"}
        What a movement that is no candidate does to a series.
    wake : {"score", "exclude"}
    respiratory : {"report", "exclude"}
        ``report``: kept, and scored again without them; ``exclude``: such
        movements are not scored.
    resp_from : {"end", "event"}
        The window lies about the end of a respiratory event, or about all of it.
    resp_before, resp_after : float
    arousal_gap : float
    arousal_closed : bool
        Whether a gap of exactly `arousal_gap` counts.
    morphology : bool
        Whether detected movements must hold 0.5 s of raised median.
    seen : str
        What of the publication was seen.
    unverified : tuple of str
        Fields that were not checked against the publication's full text.
    notes : mapping of str to str
        What is open about them.
    """

    name: str
    title: str
    reference: str
    min_duration: float
    max_duration: float
    merge_gap: float
    join: Literal["gap", "onset"]
    join_gap: float
    max_members: int
    max_bilateral: float
    group_long: bool
    imi_min: float
    imi_max: float
    min_run: int
    short_imi: Literal["end", "skip"]
    short_imi_can_open: bool
    non_clm: Literal["end", "skip"]
    wake: Literal["score", "exclude"]
    respiratory: Literal["report", "exclude"]
    resp_from: Literal["end", "event"]
    resp_before: float
    resp_after: float
    arousal_gap: float
    arousal_closed: bool
    morphology: bool
    seen: str = "secondary"
    unverified: tuple[str, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict, compare=False)

    def settings(self) -> dict[str, Any]:
        """Return every number and choice, for a sidecar."""
        left = ("reference", "notes", "unverified", "title")
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in left}


@cache
def rule_set(name: str) -> RuleSet:
    """Return a rule set by name.

    Parameters
    ----------
    name : str
        One of :data:`RULE_SETS`.

    Returns
    -------
    RuleSet
        Frozen; vary it by :func:`dataclasses.replace`.

    Raises
    ------
    Refused
        For another name.
    """
    if name not in RULE_SETS:
        raise Refused(
            "There is no such rule set.",
            field="rules",
            found=name,
            expected=", ".join(RULE_SETS),
            mend="name one or several of them",
        )
    row = tomllib.loads((files(__package__) / f"{name}.toml").read_text(encoding="utf-8"))
    row["unverified"] = tuple(row["unverified"])
    row["notes"] = MappingProxyType(row["notes"])
    return RuleSet(**row)


def rule_sets(names: Sequence[str] = RULE_SETS) -> tuple[RuleSet, ...]:
    """Return several rule sets in the order asked for.

    Parameters
    ----------
    names : sequence of str
        All by default.

    Returns
    -------
    tuple of RuleSet
        Each once.
    """
    return tuple(rule_set(name) for name in dict.fromkeys(names))
