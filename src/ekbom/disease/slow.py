"""Weeks to years: some days in full, the slow states carried over the days between.

One day in ``stride`` is integrated in full with its doses. Over the days between,
iron (body and brain, which the clock hardly touches) is integrated with the clock
averaged, in long steps, corrected by what that missed on the last full day; the slow
states of receptors and urge (marked ``slow`` in the source) go on at the rate of the
last full days and its trend, the second-order Adams and Bashforth rule. The fast
states follow within the next full day. After the start and after every single event
nine days are run in full. See Gear and Kevrekidis 2003
(doi:10.1137/S1064827501388157) for projective integration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ekbom.disease.model import load
from ekbom.disease.simulate import (
    RTOL,
    Array,
    Cohort,
    Event,
    Failure,
    Trajectory,
    healthy_start,
    parameters,
    simulate,
    state_index,
)
from ekbom.errors import Refused

#: Days from one full day to the next, at most.
STRIDE = 3
#: Days run in full after the start and after a single event.
WARM = 9
#: Iron that is dosed.
_IRON = ("fx", "fe_gut")


@dataclass(frozen=True)
class Months:
    """States at midnights over weeks to years.

    Parameters
    ----------
    days : (D,) float
        Days from the start, the first 0.
    states : (N, D, S) float
        States at midnight of these days.
    cohort : Cohort
        The people at the end, to go on from; parameters as last set.
    full_days : int
        Days that were integrated in full.
    failures : tuple of Failure
        Runs that did not reach the end.
    """

    days: Array
    states: Array
    cohort: Cohort
    full_days: int
    failures: tuple[Failure, ...] = ()

    def get(self, name: str) -> Array:
        """Return one state by name.

        Parameters
        ----------
        name : str
            Its id.

        Returns
        -------
        (N, D) array
            Values.
        """
        place = state_index()
        if name not in place:
            raise Refused("The model has no such state.", field=name)
        return self.states[:, :, place[name]]

    def at(self, day: float) -> Cohort:
        """Return the people at midnight of one of the days.

        Parameters
        ----------
        day : float
            One of ``days``.

        Returns
        -------
        Cohort
            To go on from.
        """
        where = np.flatnonzero(self.days == day)
        if len(where) == 0:
            raise Refused("The day was not kept.", field="day", found=day,
                          expected="a day of visits")  # fmt: skip
        return Cohort(self.cohort.n, self.cohort.params, self.states[:, where[0]].copy())


def schedule(days: int, marks: Sequence[int], stops: Sequence[int], stride: int) -> list[bool]:
    """Return which days are run in full.

    Parameters
    ----------
    days : int
        Number of days.
    marks : sequence of int
        Days of single events: that day and the eight after it are full.
    stops : sequence of int
        Days at whose midnight states are kept: the day before is full.
    stride : int
        Days from one full day to the next, at most.

    Returns
    -------
    list of bool
        A value a day. The last day is full.
    """
    full = [False] * days
    for m in (0, *marks):
        for d in range(m, min(days, m + WARM)):
            full[d] = True
    for s in (*stops, days):
        if 0 < s <= days:
            full[s - 1] = True
    skipped = 0
    for d in range(days):
        skipped = 0 if full[d] else skipped + 1
        if skipped == stride:
            full[d], skipped = True, 0
    return full


def months(
    cohort: Cohort,
    days: int,
    *,
    daily: Sequence[Event] = (),
    once: Sequence[Event] = (),
    visits: Sequence[int] = (),
    stride: int = STRIDE,
    rtol: float = RTOL,
) -> Months:
    """Run people for weeks to years.

    Parameters
    ----------
    cohort : Cohort
        People, with their start.
    days : int
        How long.
    daily : sequence of Event
        Doses of every day, at hours of 0 to 24.
    once : sequence of Event
        Doses or changes of parameters at hours from the start.
    visits : sequence of int
        Days at whose midnight the states are kept, beside the first and the last.
    stride : int
        Days from one full day to the next, at most; 1 runs every day in full.
    rtol : float
        Of the solver.

    Returns
    -------
    Months
        States at the visits.

    Raises
    ------
    Refused
        On a length below one day, a stride outside 1 to 3, a daily dose outside
        the day, or a visit or event outside the run.
    """
    if days < 1:
        raise Refused("The run is shorter than a day.", field="days", found=days)
    if not 1 <= stride <= STRIDE:
        raise Refused("The stride is not allowed.", field="stride", found=stride,
                      expected=f"1 to {STRIDE} days")  # fmt: skip
    for e in daily:
        if not 0 <= e.time < 24:
            raise Refused("A daily dose is not within the day.", field=e.target, found=e.time,
                          expected="0 to 24 h")  # fmt: skip
    for hour in (*(e.time for e in once), *(24.0 * v for v in visits)):
        if not 0 <= hour <= 24 * days:
            raise Refused("A visit or event lies outside the run.", found=hour,
                          expected=f"0 to {24 * days} h")  # fmt: skip
    params = {p.id for p in load().params}
    iron = np.array([s.block in ("systemic", "brain") for s in load().states])
    slow = np.array([s.slow for s in load().states]) & ~iron
    kept = sorted({0, days, *visits})
    full = schedule(days, [int(e.time // 24) for e in once], kept, stride)
    y = healthy_start(load(), parameters(cohort)) if cohort.start is None else cohort.start
    states = np.empty((cohort.n, len(kept), y.shape[1]))
    states[:, 0] = y
    failures: list[Failure] = []
    now = began = Cohort(cohort.n, cohort.params, y)
    rates: list[tuple[int, Array]] = []  # days in full and the change of the states over them
    day = 0
    while day < days:
        if full[day]:
            low, high = 24.0 * day, 24.0 * (day + 1)
            own = [e for e in once if low <= e.time < high or e.time == high == 24.0 * days]
            events = [*(Event(low + e.time, e.target, e.amount) for e in daily), *own]
            run = simulate(now, 24, begin=low, step=24, rtol=rtol, events=events)
            failures += run.failures
            rates = [*rates[-1:], (day, run.last - np.asarray(now.start))]
            began = now
            changed: dict[str, Array | float] = {
                e.target: e.amount for e in own if e.target in params
            }
            now = Cohort(now.n, {**now.params, **changed}, run.last)
            day += 1
        else:
            gap = next(k for k in range(1, days) if full[day + k])
            start = np.asarray(now.start)
            y = _over(start, rates, gap, slow)
            # supply goes with the clock and with plasma iron, so the mean of a day is not that of
            # a day without clock: what the last full day shows of it holds for the days between
            known = _averaged(began, 1, daily, rtol)
            run = _averaged(now, gap, daily, rtol)
            failures += known.failures + run.failures
            missed = (start - known.last)[:, iron]
            y[:, iron] = np.maximum(run.last[:, iron] + gap * missed, 0.0)
            now = Cohort(now.n, now.params, y)
            day += gap
        if day in kept:
            states[:, kept.index(day)] = now.start
    return Months(
        np.array(kept, dtype=np.float64),
        states,
        now,
        int(np.sum(full)),
        tuple(failures),
    )


def _averaged(cohort: Cohort, days: int, daily: Sequence[Event], rtol: float) -> Trajectory:
    """Run days with the clock averaged and the iron of every day."""
    doses = [
        Event(24.0 * d + e.time, e.target, e.amount)
        for d in range(days)
        for e in daily
        if e.target in _IRON
    ]
    still = Cohort(cohort.n, {**cohort.params, "clock": 0.0}, cohort.start)
    return simulate(still, 24 * days, step=24 * days, rtol=rtol, hmax=24.0, events=doses)


def _over(y: Array, rates: Sequence[tuple[int, Array]], gap: int, slow: NDArray[np.bool_]) -> Array:
    """Carry the slow states over days that are not run, by their rate and its trend."""
    (before, first), (last, rate) = rates[0], rates[-1]
    trend = (rate - first) / (last - before) if last > before else 0.0 * rate
    out = y.copy()
    out[:, slow] = np.maximum(y + gap * (rate + trend * (0.5 + gap / 2)), 0.0)[:, slow]
    return out
