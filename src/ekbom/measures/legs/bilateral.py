"""From marks to movements: bursts of one leg merged, legs joined, lengths tested."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ekbom.measures.legs.events import BOTH, TOLERANCE, UNKNOWN, Array, Bools, Ints, Marks
from ekbom.measures.legs.rules import RuleSet

#: Reasons for which a movement is no candidate, or a mark no movement.
TOO_SHORT, TOO_LONG = "too_short", "too_long"
MANY, LONG, MEMBER_LONG = "bilateral_many", "bilateral_long", "bilateral_member_long"
MORPHOLOGY = "morphology"


@dataclass(frozen=True)
class Movements:
    """Movements in order of onset; several marks may make one.

    Parameters
    ----------
    onset, end : (M,) array
        Seconds.
    leg : (M,) array of int
        LEFT, RIGHT, UNKNOWN, or BOTH.
    members : tuple of tuple of int
        Numbers of the marks that make each movement, from 0.
    legs_joined : (M,) array of int
        Movements of one leg that were joined, 1 when none was.
    lengths : tuple of tuple of float
        Lengths of those.
    no : tuple of str
        Why a movement is no candidate, empty when it is one.
    """

    onset: Array
    end: Array
    leg: Ints
    members: tuple[tuple[int, ...], ...]
    legs_joined: Ints
    lengths: tuple[tuple[float, ...], ...]
    no: tuple[str, ...]

    def __len__(self) -> int:
        return int(self.onset.size)

    @property
    def candidate(self) -> Bools:
        """(M,) whether each movement is a candidate (CLM)."""
        return np.array([not reason for reason in self.no], bool)


@dataclass
class _Burst:
    onset: float
    end: float
    leg: int
    marks: list[int]


def movements(
    marks: Marks, rules: RuleSet, usable: Bools | None = None
) -> tuple[Movements, dict[int, str]]:
    """Merge, join and test the marks.

    Parameters
    ----------
    marks : Marks
    rules : RuleSet
    usable : (N,) array of bool, optional
        False leaves a mark out before anything else.

    Returns
    -------
    found : Movements
    dropped : dict of int to str
        Marks that are no movement, and why.
    """
    dropped: dict[int, str] = {}
    kept: list[_Burst] = []
    for burst in _bursts(marks, rules, usable):
        if burst.end - burst.onset < rules.min_duration - TOLERANCE:
            dropped |= dict.fromkeys(burst.marks, TOO_SHORT)
        elif rules.morphology and marks.shape_ok is not None and not any(
            marks.shape_ok[k] for k in burst.marks
        ):  # fmt: skip
            dropped |= dict.fromkeys(burst.marks, MORPHOLOGY)
        else:
            kept.append(burst)
    return _as_movements(_joined(kept, rules), rules), dropped


def _bursts(marks: Marks, rules: RuleSet, usable: Bools | None) -> list[_Burst]:
    """Merge marks of one leg parted by less than the gap; overlapping ones too."""
    done: list[_Burst] = []
    running: dict[int, _Burst] = {}
    onsets, legs = marks.onset.tolist(), marks.leg.tolist()
    ends = (marks.onset + marks.duration).tolist()
    for k, (onset, end, leg) in enumerate(zip(onsets, ends, legs, strict=True)):
        if usable is not None and not usable[k]:
            continue
        now = running.get(leg)
        if now is not None and onset - now.end < rules.merge_gap - TOLERANCE:
            now.end = max(now.end, end)
            now.marks.append(k)
        else:
            running[leg] = _Burst(onset, end, leg, [k])
            done.append(running[leg])
    done.sort(key=lambda b: (b.onset, b.end, b.leg))
    return done


def _joined(bursts: list[_Burst], rules: RuleSet) -> list[list[_Burst]]:
    """Chain bursts of the two legs; a channel of unknown leg joins nothing."""
    groups: list[list[_Burst]] = []
    chain: list[_Burst] | None = None
    reach = 0.0
    for b in bursts:
        too_long = b.end - b.onset > rules.max_duration + TOLERANCE
        if b.leg == UNKNOWN or (too_long and not rules.group_long):
            groups.append([b])
            continue
        if rules.join == "gap":
            joins = chain is not None and b.onset - reach < rules.join_gap - TOLERANCE
        else:
            joins = (
                chain is not None
                and len(chain) == 1
                and chain[0].leg != b.leg
                and b.onset - chain[0].onset < rules.join_gap - TOLERANCE
            )
        if joins and chain is not None:
            chain.append(b)
            reach = max(reach, b.end)
        else:
            chain, reach = [b], b.end
            groups.append(chain)
    groups.sort(key=lambda g: (g[0].onset, max(b.end for b in g), g[0].leg))
    return groups


def _as_movements(groups: list[list[_Burst]], rules: RuleSet) -> Movements:
    onset, end, leg, members, joined, lengths, no = [], [], [], [], [], [], []
    for group in groups:
        start, stop = group[0].onset, max(b.end for b in group)
        each = tuple(b.end - b.onset for b in group)
        onset.append(start)
        end.append(stop)
        leg.append(group[0].leg if len(group) == 1 else BOTH)
        members.append(tuple(sorted(k for b in group for k in b.marks)))
        joined.append(len(group))
        lengths.append(each)
        no.append(_refusal(each, stop - start, rules))
    return Movements(
        np.array(onset, np.float64),
        np.array(end, np.float64),
        np.array(leg, np.int64),
        tuple(members),
        np.array(joined, np.int64),
        tuple(lengths),
        tuple(no),
    )


def _refusal(each: tuple[float, ...], whole: float, rules: RuleSet) -> str:
    if len(each) == 1:
        return TOO_LONG if each[0] > rules.max_duration + TOLERANCE else ""
    if any(one > rules.max_duration + TOLERANCE for one in each):
        return MEMBER_LONG
    if rules.max_members and len(each) > rules.max_members:
        return MANY
    if rules.max_bilateral and whole > rules.max_bilateral + TOLERANCE:
        return LONG
    return ""
