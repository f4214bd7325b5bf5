"""A pool of virtual patients under every arm of a trial: read-outs at every visit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ekbom.disease import cohort as co
from ekbom.disease.plm import night
from ekbom.disease.simulate import Cohort, Event
from ekbom.disease.slow import months
from ekbom.errors import Refused
from ekbom.trials.trialdesign import Arm, TrialDesign
from ekbom.trials.world import scored
from ekbom.virtual.patients import Pool, draw_pool, movement_facts

Array = NDArray[np.float64]
Progress = Callable[[str], None]

#: Nights drawn for each person, treatment and visit; a trial takes one of them.
NIGHTS = 3
#: Hours of a night, and of the test awake.
_NIGHT, _WAKE = 7.5, 1.0


@dataclass(frozen=True, eq=False)
class Visit:
    """What is true of everybody in the pool at one visit under one treatment.

    Parameters
    ----------
    table : mapping of str to (P,) array
        Read-outs of the disease model, the doses of the day included.
    plms, plmw : (P, NIGHTS) array or None
        Scored movements an hour of several nights, and of tests awake.
    """

    table: Mapping[str, Array]
    plms: Array | None = None
    plmw: Array | None = None


@dataclass(frozen=True, eq=False)
class Responses:
    """A pool under every arm.

    Parameters
    ----------
    pool : Pool
        Patients.
    start : Visit
        Untreated.
    arms : mapping of (str, int) to Visit
        Arm and week.
    sequences : mapping of (str, int) to Visit
        Of a crossover: ``first>second`` and the period, 1 or 2.
    """

    pool: Pool
    start: Visit
    arms: Mapping[tuple[str, int], Visit]
    sequences: Mapping[tuple[str, int], Visit]


def respond(
    design: TrialDesign, *, people: int = 300, seed: int = 1, say: Progress | None = None
) -> Responses:
    """Run a pool of patients through the arms of a trial.

    Parameters
    ----------
    design : TrialDesign
    people : int
        Patients of the pool, before the eligibility of iron.
    seed : int
    say : callable, optional
        Told what is being run.

    Returns
    -------
    Responses
        Everybody under every arm: what a trial can only see one of.

    Raises
    ------
    Refused
        Nobody is left in the pool.
    """
    tell = say or (lambda text: None)
    tell(f"drawing {people} patients")
    pool = _eligible(draw_pool(seed, people, 0, (18, 85), 0.6), design)
    start = _visit(pool, pool.people.cohort, [], set(design.nights), [seed, 0])
    # the nights of screening are before treatment; later ones are made for endpoints alone
    moves = set(design.nights & set(design.endpoints))
    arms: dict[tuple[str, int], Visit] = {}
    sequences: dict[tuple[str, int], Visit] = {}
    if design.design == "crossover":
        for k, order in enumerate((design.names, design.names[::-1])):
            tell(f"running {len(pool)} patients through {order[0]}, then {order[1]}")
            cohort = pool.people.cohort
            for period, name in enumerate(order):
                if period:
                    if design.washout_weeks:
                        cohort = _back(months(cohort, 7 * design.washout_weeks).cohort, pool)
                    else:
                        cohort = _back(cohort, pool)
                found = _arm(pool, cohort, design.arms[name], [design.weeks], moves,
                             [seed, 10 + 2 * k + period])  # fmt: skip
                visit, cohort = found[design.weeks]
                sequences[">".join(order), period + 1] = visit
    else:
        for k, name in enumerate(design.names):
            tell(f"running {len(pool)} patients through {name}, {design.weeks} weeks")
            weeks = list(design.visits)
            found = _arm(pool, pool.people.cohort, design.arms[name], weeks, moves,
                         [seed, 1 + k])  # fmt: skip
            for week, (visit, _) in found.items():
                arms[name, week] = visit
    return Responses(pool, start, arms, sequences)


def _eligible(pool: Pool, design: TrialDesign) -> Pool:
    if design.ferritin_below is None:
        return pool
    low = pool.table["ferritin@8"] < design.ferritin_below
    rows = np.flatnonzero(low | (pool.table["tsat_percent@8"] < 20.0))
    if rows.size < 8:
        raise Refused("Too few virtual patients have so little iron.", field="ferritin_below",
                      found=f"{rows.size} of {len(pool)}", expected="8 or more",
                      mend="draw more with --people")  # fmt: skip
    return Pool(
        pool.people.take(rows), {k: v[rows] for k, v in pool.table.items()}, pool.rls[rows],
        pool.cut,
    )  # fmt: skip


def _back(cohort: Cohort, pool: Pool) -> Cohort:
    """Return people without what a drug has set."""
    return Cohort(cohort.n, pool.people.cohort.params, cohort.start)


def _arm(
    pool: Pool, cohort: Cohort, arm: Arm, weeks: list[int], moves: set[str], seed: list[int]
) -> dict[int, tuple[Visit, Cohort]]:
    """Return the pool at the end of these weeks of one treatment."""
    daily, once = arm.events()
    treated = cohort.with_params(**arm.set) if arm.set else cohort
    days = [7 * w for w in weeks]
    run = months(treated, days[-1], daily=daily, once=once, visits=days)
    out = {}
    for k, (week, day) in enumerate(zip(weeks, days, strict=True)):
        at = Cohort(treated.n, treated.params, run.at(day).start)
        out[week] = (_visit(pool, at, daily, moves, [*seed, k]), at)
    return out


def _visit(
    pool: Pool, cohort: Cohort, daily: list[Event], moves: set[str], seed: list[int]
) -> Visit:
    doses = [Event(24.0 * d + e.time, e.target, e.amount) for d in range(2) for e in daily]
    table = co.table(co.People(cohort, pool.people.facts), doses)
    made: dict[str, Array | None] = {"plms": None, "plmw": None}
    for name in sorted(moves):
        hours, wake = (_NIGHT, False) if name == "plms" else (_WAKE, True)
        values = np.empty((len(pool), NIGHTS))
        for i in range(len(pool)):
            facts = movement_facts(table, i)
            for j in range(NIGHTS):
                rng = np.random.default_rng([*seed, int(wake), i, j])
                made_night = night(rng, hours=hours, wake=wake, **facts)
                values[i, j] = scored(made_night.onset, hours)[0]
        made[name] = values
    return Visit(table, made["plms"], made["plmw"])
