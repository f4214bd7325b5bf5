"""What people live under: a long time, conditions, scenarios of the model, treatments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ekbom.disease.people import People, data
from ekbom.disease.simulate import Array, Cohort, Event, settle, simulate
from ekbom.errors import Refused


def settled(people: People, hours: float = 20000.0, **params: Array | float) -> People:
    """Return the people after a long time with the clock averaged.

    Parameters
    ----------
    people : People
        Not yet settled.
    hours : float
        How long.
    **params
        Parameter values from now on.

    Returns
    -------
    People
        Settled.
    """
    cohort = people.cohort.with_params(**params) if params else people.cohort
    return People(settle(cohort, hours), people.facts)


def condition(people: People, name: str) -> People:
    """Return the people under a condition, settled in it.

    Parameters
    ----------
    people : People
        Settled or not.
    name : str
        Of ``conditions.toml``.

    Returns
    -------
    People
        After the hours of the condition.
    """
    known = data("conditions")
    if name not in known:
        raise Refused("The condition is not known.", found=name, expected=", ".join(known))
    entry = known[name]
    cohort = people.cohort
    params: dict[str, Array | float] = dict(entry.get("set", {}))
    for k, f in entry.get("scale", {}).items():
        params[k] = np.broadcast_to(current(cohort, k), (cohort.n,)) * f
    for k, d in entry.get("add", {}).items():
        params[k] = np.broadcast_to(current(cohort, k), (cohort.n,)) + d
    if "fs0" in params:  # new pools start from the new set point
        cohort = Cohort(cohort.n, cohort.params, None)
    changed = cohort.with_params(**params)
    return People(settle(changed, entry["hours"]), people.facts)


def current(cohort: Cohort, name: str) -> Array:
    """Return the value of a parameter of each person.

    Parameters
    ----------
    cohort : Cohort
        People.
    name : str
        Parameter.

    Returns
    -------
    (n,) or () array
        Value.
    """
    from ekbom.disease.model import load

    return np.asarray(cohort.params.get(name, load().defaults[name]), dtype=np.float64)


def scenario(people: People, name: str) -> People:
    """Return the people under a scenario, not settled.

    Parameters
    ----------
    people : People
        Anyone.
    name : str
        Of ``scenarios.toml``.

    Returns
    -------
    People
        With the overrides of the scenario.
    """
    known = data("scenarios")
    if name not in known:
        raise Refused("The scenario is not known.", found=name, expected=", ".join(known))
    changed = Cohort(people.cohort.n, people.cohort.params, None)
    return People(changed.with_params(**known[name]["set"]), people.facts)


def treated(people: People, name: str, weeks: float) -> tuple[People, list[Event]]:
    """Return the people after weeks of a treatment, and its doses for two days.

    Parameters
    ----------
    people : People
        Settled.
    name : str
        Of ``treatments.toml``.
    weeks : float
        How long, with the doses averaged over the day.

    Returns
    -------
    tuple of People and list of Event
        At the end, with the doses of the next two days.
    """
    known = data("treatments")
    if name not in known:
        raise Refused("The treatment is not known.", found=name, expected=", ".join(known))
    entry = known[name]
    sets = dict(entry.get("sets", {}))
    for k, f in entry.get("times", {}).items():
        sets[k] = current(people.cohort, k) * f
    cohort = people.cohort.with_params(**sets)
    if cohort.start is None:
        raise Refused("The people are not settled.")
    start = cohort.start.copy()
    index = {k: i for i, k in enumerate(_state_ids())}
    for state, amount in entry.get("once", {}).items():
        start[:, index[state]] += amount
    cohort = Cohort(cohort.n, cohort.params, start)
    daily = {"fe_gut"} & {d[1] for d in entry.get("doses", [])}
    if daily:  # oral iron has no rate: its doses are given as a mean at the gut
        events = _repeat(entry["doses"], round(weeks * 7))
        end = simulate(cohort.with_params(clock=0.0), round(weeks * 168), step=168, events=events)
        cohort = Cohort(cohort.n, cohort.params, end.last)
    elif weeks > 0:
        cohort = settle(cohort, weeks * 168.0, **entry.get("rate", {}))
    return People(cohort, people.facts), _repeat(entry.get("doses", []), 2)


def _state_ids() -> list[str]:
    from ekbom.disease.model import load

    return [s.id for s in load().states]


def _repeat(doses: Sequence[Sequence[Any]], days: int) -> list[Event]:
    return [Event(24.0 * d + h, s, a) for d in range(days) for h, s, a in doses]
