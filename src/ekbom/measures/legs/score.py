"""Scoring: marks, stages, respiratory events and arousals in, movements with reasons out.

Pure: no clock, no file. The same marks give the same events in whatever order
their rows came.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ekbom.measures.legs import associate
from ekbom.measures.legs.bilateral import Movements, movements
from ekbom.measures.legs.events import TOLERANCE, Array, Bools, Ints, Marks, Spans, inside
from ekbom.measures.legs.hypnogram import UNKNOWN_STAGE, Hypnogram, W, in_group
from ekbom.measures.legs.rules import RuleSet, rule_sets
from ekbom.measures.legs.series import RESPIRATORY, Series, find_series

#: Whether a movement is counted in the indices, and why not.
COUNTED, OUTSIDE_LIGHTS, STAGE_UNKNOWN, ARTEFACT = (
    "yes",
    "outside_lights",
    "stage_unknown",
    "artefact",
)


@dataclass(frozen=True)
class Scored:
    """The movements of a night by one rule set.

    Parameters
    ----------
    rules : RuleSet
    marks : Marks
        As given, in order of time.
    hypnogram : Hypnogram
    resp, arousal : Spans or None
        What the movements were held against; None when not given.
    movements : Movements
        What the rules score, in order of onset.
    series : Series
        Of all movements.
    series_nr : Series or None
        Of the movements that are left without respiratory ones (R15); None
        without respiratory events or where the rules exclude them anyway.
    stage : (M,) array of int
        At the onset.
    counts : tuple of str
        ``yes``, or why a movement is in no index.
    resp_id : (M,) array of int
        Row of the respiratory event each belongs to, -1 for none.
    resp_lag : (M,) array
        Onset minus end of that event, s.
    arousal_id : (M,) array of int
        Row of the arousal each belongs to, -1 for none.
    arousal_lag : (M,) array
        Onset of that arousal minus onset, s.
    dropped : dict of int to str
        Marks that are no scored movement, and why.
    """

    rules: RuleSet
    marks: Marks
    hypnogram: Hypnogram
    resp: Spans | None
    arousal: Spans | None
    movements: Movements
    series: Series
    series_nr: Series | None
    stage: Ints
    counts: tuple[str, ...]
    resp_id: Ints
    resp_lag: Array
    arousal_id: Ints
    arousal_lag: Array
    dropped: dict[int, str]

    @property
    def candidate(self) -> Bools:
        """(M,) whether each movement is a CLM."""
        return self.movements.candidate

    @property
    def periodic(self) -> Bools:
        """(M,) whether each movement is a PLM."""
        return self.series.periodic

    @property
    def respiratory(self) -> Bools:
        """(M,) whether each movement is a CLM related to respiration (CLMr)."""
        return (self.resp_id >= 0) & self.candidate

    @property
    def periodic_nr(self) -> Bools:
        """(M,) whether each movement is a PLM after the CLMr were removed."""
        if self.series_nr is None:
            return self.periodic
        return self.series_nr.periodic

    @cached_property
    def counted(self) -> Bools:
        """(M,) whether each movement is in the indices at all."""
        found = np.array([c == COUNTED for c in self.counts], bool)
        found.flags.writeable = False
        return found

    @cached_property
    def stage_of_marks(self) -> Ints:
        """(N,) stage at the onset of each mark."""
        return self.hypnogram.at(self.marks.onset)

    def within(self, group: str) -> Bools:
        """Return which movements are counted in a group of stages."""
        return self.counted & in_group(self.stage, group)

    def ids(self) -> list[str]:
        """Return the name of each movement: its marks from 1, joined by plus signs."""
        return ["+".join(str(k + 1) for k in m) for m in self.movements.members]


def score(
    marks: Marks,
    hypnogram: Hypnogram,
    resp: Spans | None = None,
    arousal: Spans | None = None,
    *,
    rules: RuleSet,
    rera: bool = False,
) -> Scored:
    """Score the marks of one night by one rule set.

    Parameters
    ----------
    marks : Marks
        Of any number of legs, in any order.
    hypnogram : Hypnogram
        Stages, lights, spans without signal.
    resp, arousal : Spans, optional
        Respiratory events and arousals; None when they were not scored, which
        is not the same as none found.
    rules : RuleSet
    rera : bool
        Whether respiratory events of kind ``rera`` count.

    Returns
    -------
    Scored
        Movements, series, associations.
    """
    events = resp if resp is None or rera else resp.without("rera")
    usable, unscored = _usable(marks, hypnogram, events, rules)
    found, dropped = movements(marks, rules, usable)
    dropped |= unscored
    onset, end = found.onset, found.end
    which_r, lag_r = associate.respiratory(onset, end, events or Spans(), rules)
    which_a, lag_a = associate.arousals(onset, end, arousal or Spans(), rules)
    series = find_series(onset, found.candidate, rules)
    series_nr = None
    if events is not None and rules.respiratory == "report":
        series_nr = _without(found, which_r >= 0, rules)
    stage = hypnogram.at(onset)
    return Scored(
        rules,
        marks,
        hypnogram,
        events,
        arousal,
        found,
        series,
        series_nr,
        stage,
        _counts(onset, stage, hypnogram),
        which_r,
        lag_r,
        which_a,
        lag_a,
        dropped,
    )


def score_all(
    marks: Marks,
    hypnogram: Hypnogram,
    resp: Spans | None = None,
    arousal: Spans | None = None,
    *,
    rules: Sequence[str | RuleSet] = ("wasm2016", "wasm2006", "aasm"),
    rera: bool = False,
) -> dict[str, Scored]:
    """Score the same marks by several rule sets side by side.

    Parameters
    ----------
    marks, hypnogram, resp, arousal
        As for :func:`score`.
    rules : sequence of str or RuleSet
        Names or own sets.
    rera : bool
        As for :func:`score`.

    Returns
    -------
    dict of str to Scored
        By name of the rule set.
    """
    sets = [rule_sets((r,))[0] if isinstance(r, str) else r for r in rules]
    return {s.name: score(marks, hypnogram, resp, arousal, rules=s, rera=rera) for s in sets}


def _usable(
    marks: Marks, hypnogram: Hypnogram, resp: Spans | None, rules: RuleSet
) -> tuple[Bools, dict[int, str]]:
    """Leave out marks that the rules do not score at all: in wake, about respiration."""
    usable = np.ones(len(marks), bool)
    why: dict[int, str] = {}
    if rules.wake == "exclude":
        stage = hypnogram.at(marks.onset)
        for code, word in ((W, "wake"), (UNKNOWN_STAGE, STAGE_UNKNOWN)):
            for k in np.flatnonzero(stage == code):
                why[int(k)] = word
    if resp is not None and rules.respiratory == "exclude":
        near, _ = associate.respiratory(marks.onset, marks.onset + marks.duration, resp, rules)
        for k in np.flatnonzero(near >= 0):
            why.setdefault(int(k), RESPIRATORY)
    usable[list(why)] = False
    return usable, why


def _without(found: Movements, related: Bools, rules: RuleSet) -> Series:
    """Score again without the CLMr; a respiratory nonCLM stays and still ends a series."""
    keep = np.flatnonzero(~(related & found.candidate))
    part = find_series(found.onset[keep], found.candidate[keep], rules)
    n = len(found)
    series, rank, run = (np.zeros(n, np.int64) for _ in range(3))
    imi, value = np.full(n, np.nan), np.full(n, np.nan)
    why = [RESPIRATORY if c else "" for c in found.candidate]
    series[keep], rank[keep], run[keep] = part.series, part.rank, part.run
    imi[keep], value[keep] = part.imi, part.value
    for k, word in zip(keep, part.why, strict=True):
        why[k] = word
    return Series(series, rank, imi, run, tuple(why), value)


def _counts(onset: Array, stage: Ints, hypnogram: Hypnogram) -> tuple[str, ...]:
    outside = (onset < hypnogram.lights_off - TOLERANCE) | (
        onset >= hypnogram.lights_on - TOLERANCE
    )
    lost = inside(onset, hypnogram.lost_any)
    code = np.select([outside, lost, stage == UNKNOWN_STAGE], [1, 2, 3], 0)
    words = (COUNTED, OUTSIDE_LIGHTS, ARTEFACT, STAGE_UNKNOWN)
    return tuple([words[k] for k in code.tolist()])
