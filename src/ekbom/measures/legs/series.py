"""Series of periodic movements: which candidates follow each other at which intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ekbom.measures.legs.events import TOLERANCE, Array, Bools, Ints
from ekbom.measures.legs.rules import RuleSet

#: What a movement is to the series.
IN_SERIES, SHORT, LONG, NON_CLM, RUN_SHORT = (
    "series",
    "imi_short",
    "imi_long",
    "nonclm_between",
    "run_short",
)
#: A candidate that was removed before the series were found again.
RESPIRATORY = "respiratory"


@dataclass(frozen=True)
class Series:
    """Runs of movements, and the intervals they were judged by.

    Parameters
    ----------
    series : (M,) array of int
        Number of the series from 1; 0 for movements in none.
    rank : (M,) array of int
        Place in the series from 1.
    imi : (M,) array
        Onset-to-onset interval from the candidate just before, s; NaN when
        there is none or a movement that is no candidate lies between and the
        rules let it end a series.
    run : (M,) array of int
        Length of the run a candidate lies in, 0 for what was skipped.
    why : tuple of str
        One word a movement; empty for what is no candidate.
    value : (M,) array
        The interval (s) that `why` speaks of, NaN when it speaks of none.
    """

    series: Ints
    rank: Ints
    imi: Array
    run: Ints
    why: tuple[str, ...]
    value: Array

    @property
    def periodic(self) -> Bools:
        """(M,) whether each movement is a PLM."""
        return self.series > 0

    @property
    def imi_after(self) -> Array:
        """(M,) interval to the next candidate, s; NaN when undefined."""
        after = np.full(self.imi.size, np.nan)
        clm = np.flatnonzero([w not in ("", RESPIRATORY) for w in self.why])
        after[clm[:-1]] = self.imi[clm[1:]]
        return after


def find_series(onset: Array, candidate: Bools, rules: RuleSet) -> Series:
    """Find the series.

    Parameters
    ----------
    onset : (M,) array
        Movements in order, s.
    candidate : (M,) array of bool
        Whether each is a candidate.
    rules : RuleSet

    Returns
    -------
    Series
        The last movement is tested like every other.
    """
    n = onset.size
    before = [np.nan] * n
    skipped = np.zeros(n, bool)
    broken_by = [""] * n  # what ended the run before this candidate
    broken_at = np.full(n, np.nan)
    runs: list[list[int]] = []
    run: list[int] = []
    previous = -1
    blocked = False
    times = onset.tolist()
    for k, is_candidate in enumerate(candidate.tolist()):
        if not is_candidate:
            if rules.non_clm == "end" and run:
                runs.append(run)
                run = []
            blocked = blocked or rules.non_clm == "end"
            continue
        if previous >= 0 and not blocked:
            before[k] = times[k] - times[previous]
        if blocked and previous >= 0:
            broken_by[k] = NON_CLM
        blocked, previous = False, k
        # From the candidate before; where short ones are skipped, from the last of the run.
        step = before[k] if rules.short_imi == "end" or not run else times[k] - times[run[-1]]
        if step < rules.imi_min - TOLERANCE and (run or rules.short_imi == "end"):
            broken_by[k], broken_at[k] = SHORT, step
            if rules.short_imi == "skip":
                skipped[k] = True
                continue
            runs.append(run)
            skipped[k] = not rules.short_imi_can_open
            run = [k] if rules.short_imi_can_open else []
        elif step > rules.imi_max + TOLERANCE:
            broken_by[k], broken_at[k] = LONG, step
            runs.append(run)
            run = [k]
        else:
            run.append(k)
    if run:
        runs.append(run)
    return _named(n, runs, candidate, skipped, broken_by, broken_at, np.array(before), rules)


def _named(
    n: int,
    runs: list[list[int]],
    candidate: Bools,
    skipped: Bools,
    broken_by: list[str],
    broken_at: Array,
    imi: Array,
    rules: RuleSet,
) -> Series:
    series, rank, length = (np.zeros(n, np.int64) for _ in range(3))
    why = [""] * n
    value = np.full(n, np.nan)
    number = 0
    runs = [run for run in runs if run]
    following = _next_candidate(candidate)
    for run in runs:
        length[run] = len(run)
        if len(run) >= rules.min_run:
            number += 1
            series[run] = number
            rank[run] = np.arange(1, len(run) + 1)
        for k in run:
            if len(run) >= rules.min_run:
                why[k], value[k] = IN_SERIES, imi[k]
            elif len(run) > 1:
                why[k] = RUN_SHORT
            else:
                why[k], value[k] = _alone(k, following[k], broken_by, broken_at)
    for k in np.flatnonzero(skipped).tolist():
        why[k], value[k] = SHORT, broken_at[k]
    return Series(series, rank, imi, length, tuple(why), value)


def _alone(k: int, after: int, broken_by: list[str], broken_at: Array) -> tuple[str, float]:
    """Name the interval that kept a single movement out, a short one first."""
    sides = [j for j in (k, after) if j >= 0 and broken_by[j]]
    for word in (SHORT, NON_CLM, LONG):
        for j in sides:
            if broken_by[j] == word:
                return word, float(broken_at[j])
    return RUN_SHORT, np.nan


def _next_candidate(candidate: Bools) -> list[int]:
    found = [-1] * candidate.size
    later = -1
    for k in range(candidate.size - 1, -1, -1):
        found[k] = later
        if candidate[k]:
            later = k
    return found
