"""From marks to movements: bursts of one leg merged, legs joined, lengths tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

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
    marks : (K,) array of int
        Numbers of the marks of the first movement, of the second ..., from 0.
    starts : (M + 1,) array of int
        Where the marks of each movement begin, and the end of all.
    legs_joined : (M,) array of int
        Movements of one leg that were joined, 1 when none was.
    longest : (M,) array
        Length of the longest of those, s.
    no : tuple of str
        Why a movement is no candidate, empty when it is one.
    """

    onset: Array
    end: Array
    leg: Ints
    marks: Ints
    starts: Ints
    legs_joined: Ints
    longest: Array
    no: tuple[str, ...]

    def __len__(self) -> int:
        return int(self.onset.size)

    @cached_property
    def members(self) -> tuple[tuple[int, ...], ...]:
        """Numbers of the marks that make each movement, from 0."""
        marks, starts = self.marks.tolist(), self.starts.tolist()
        return tuple(tuple(marks[a:b]) for a, b in pairwise(starts))

    @cached_property
    def candidate(self) -> Bools:
        """(M,) whether each movement is a candidate (CLM)."""
        found = np.array([not reason for reason in self.no], bool)
        found.flags.writeable = False
        return found


@dataclass(frozen=True)
class _Bursts:
    """Movements of one leg, and of which of them each mark is (-1 for none)."""

    onset: Array
    end: Array
    leg: Ints
    of_mark: Ints

    @property
    def length(self) -> Array:
        return self.end - self.onset


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
    bursts = _merged(marks, rules, usable)
    short = bursts.length < rules.min_duration - TOLERANCE
    flat = np.zeros(short.size, bool)
    if rules.morphology and marks.shape_ok is not None:
        raised = bursts.of_mark[marks.shape_ok & (bursts.of_mark >= 0)]
        flat = np.bincount(raised, minlength=short.size) == 0
    # Marks in order of their bursts; those in none look at the last place.
    order = np.argsort(bursts.of_mark, kind="stable")
    lost = order[np.append(short | flat, False)[bursts.of_mark[order]]]
    dropped = {k: TOO_SHORT if short[bursts.of_mark[k]] else MORPHOLOGY for k in lost.tolist()}
    kept = np.flatnonzero(~(short | flat))
    return _as_movements(bursts, kept, _joined(bursts, kept, rules), rules), dropped


def _merged(marks: Marks, rules: RuleSet, usable: Bools | None) -> _Bursts:
    """Merge marks of one leg parted by less than the gap; overlapping ones too."""
    use = np.arange(len(marks)) if usable is None else np.flatnonzero(usable)
    onsets, legs = marks.onset[use].tolist(), marks.leg[use].tolist()
    ends = (marks.onset + marks.duration)[use].tolist()
    start: list[float] = []
    reach: list[float] = []
    leg: list[int] = []
    of: list[int] = []
    running: dict[int, int] = {}
    for onset, end, side in zip(onsets, ends, legs, strict=True):
        now = running.get(side, -1)
        if now >= 0 and onset - reach[now] < rules.merge_gap - TOLERANCE:
            reach[now] = max(reach[now], end)
        else:
            now = running[side] = len(start)
            start.append(onset)
            reach.append(end)
            leg.append(side)
        of.append(now)
    first, last, which = np.array(start), np.array(reach), np.array(leg, np.int64)
    order = np.lexsort((which, last, first))
    of_mark = np.full(len(marks), -1, np.int64)
    of_mark[use] = np.argsort(order)[np.array(of, np.int64)]
    return _Bursts(first[order], last[order], which[order], of_mark)


def _joined(bursts: _Bursts, kept: Ints, rules: RuleSet) -> Ints:
    """Chain bursts of the two legs; a channel of unknown leg joins nothing.

    Returns the number of the chain of each burst that is kept.
    """
    too_long = bursts.length[kept] > rules.max_duration + TOLERANCE
    alone = (bursts.leg[kept] == UNKNOWN) | (too_long if not rules.group_long else False)
    onsets, ends = bursts.onset[kept].tolist(), bursts.end[kept].tolist()
    legs, gap = bursts.leg[kept].tolist(), rules.join_gap - TOLERANCE
    number: list[int] = []
    count, chain, members, head, reach = 0, -1, 0, 0, 0.0
    for k, (onset, end, single) in enumerate(zip(onsets, ends, alone.tolist(), strict=True)):
        if single:
            number.append(count)
            count += 1
            continue
        if rules.join == "gap":
            joins = chain >= 0 and onset - reach < gap
        else:
            joins = members == 1 and legs[head] != legs[k] and onset - onsets[head] < gap
        if joins:
            members += 1
            reach = max(reach, end)
        else:
            chain, members, head, reach = count, 1, k, end
            count += 1
        number.append(chain)
    return np.array(number, np.int64)


def _as_movements(bursts: _Bursts, kept: Ints, chain: Ints, rules: RuleSet) -> Movements:
    length = bursts.length[kept]
    # Bursts come in order of onset, so the first of a chain is its earliest.
    _, first, joined = np.unique(chain, return_index=True, return_counts=True)
    onset, leg = bursts.onset[kept][first], bursts.leg[kept][first]
    end, longest = np.full(first.size, -np.inf), np.full(first.size, -np.inf)
    np.maximum.at(end, chain, bursts.end[kept])
    np.maximum.at(longest, chain, length)
    order = np.lexsort((leg, end, onset))
    place = np.full(bursts.onset.size + 1, -1, np.int64)
    place[kept] = np.argsort(order)[chain]
    # Marks in no burst look at the last place, which stays -1.
    of_mark = place[bursts.of_mark]
    marks = np.argsort(of_mark, kind="stable")[np.count_nonzero(of_mark < 0) :]
    counts = np.bincount(of_mark[marks], minlength=first.size)
    onset, end, joined, longest = onset[order], end[order], joined[order], longest[order]
    return Movements(
        onset,
        end,
        np.where(joined == 1, leg[order], BOTH),
        marks,
        np.concatenate(([0], np.cumsum(counts))),
        joined.astype(np.int64),
        longest,
        _refusals(joined, longest, end - onset, rules),
    )


def _refusals(joined: Ints, longest: Array, whole: Array, rules: RuleSet) -> tuple[str, ...]:
    many = joined > (rules.max_members or np.inf)
    long = whole > (rules.max_bilateral or np.inf) + TOLERANCE
    over = longest > rules.max_duration + TOLERANCE
    two = joined > 1
    code = np.select([~two & over, two & over, two & many, two & long], [1, 2, 3, 4], 0)
    words: Sequence[str] = ("", TOO_LONG, MEMBER_LONG, MANY, LONG)
    return tuple([words[k] for k in code.tolist()])
