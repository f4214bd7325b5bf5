"""Running people: parameters and doses in, trajectories out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ekbom.disease import expr
from ekbom.disease.model import Model, load, steady_values
from ekbom.errors import Refused

Array = NDArray[np.float64]
RTOL = 1e-6
_CODES = ("done", "too many steps", "step too small", "not finite")
#: More failures than this share of the people is an error.
FAILURE_SHARE = 1e-3


@dataclass(frozen=True)
class Event:
    """Something that happens at a time: a dose, or a parameter set anew.

    Parameters
    ----------
    time : float
        Hours after midnight of the first day.
    target : str
        A state (``amount`` is added) or a parameter (``amount`` is its new value).
    amount : float
        In the unit of the target.
    """

    time: float
    target: str
    amount: float


@dataclass(frozen=True)
class Failure:
    """A run that did not reach its end.

    Parameters
    ----------
    person : int
        Index in the cohort.
    time : float
        Hours reached.
    why : str
        What stopped it.
    state : str
        The state that moved most out of its scale, the first suspect.
    """

    person: int
    time: float
    why: str
    state: str = ""


@dataclass(frozen=True)
class Trajectory:
    """States and read-outs of people over time.

    Parameters
    ----------
    times : (T,) float
        Hours.
    states : (N, T, S) float
        In the units of the model; NaN after a failure.
    outputs : (N, T, A) float
        Assignments and read-outs without measurement error.
    last : (N, S) float
        States at the end, to go on from.
    failures : tuple of Failure
        Runs that did not reach the end.
    """

    times: Array
    states: Array
    outputs: Array
    last: Array
    failures: tuple[Failure, ...] = ()

    def get(self, name: str) -> Array:
        """Return one state, assignment or read-out by name.

        Parameters
        ----------
        name : str
            Its id.

        Returns
        -------
        (N, T) array
            Values.
        """
        states, outputs = state_index(), output_index()
        if name in states:
            return self.states[:, :, states[name]]
        if name in outputs:
            return self.outputs[:, :, outputs[name]]
        raise Refused("The model has no such quantity.", field=name)


@dataclass(frozen=True)
class Cohort:
    """People: what differs from the default parameters, and where they start.

    Parameters
    ----------
    n : int
        Number of people.
    params : mapping of str to (n,) float or float
        Parameter values other than the defaults.
    start : (n, S) float or None
        States at the start; the healthy steady state when ``None``.
    """

    n: int
    params: Mapping[str, Array | float] = field(default_factory=dict)
    start: Array | None = None

    def with_params(self, **params: Array | float) -> Cohort:
        """Return the same people with other parameter values."""
        return Cohort(self.n, {**self.params, **params}, self.start)

    def take(self, rows: NDArray[np.intp]) -> Cohort:
        """Return some of the people."""
        params = {k: np.broadcast_to(v, (self.n,))[rows] for k, v in self.params.items()}
        start = None if self.start is None else self.start[rows]
        return Cohort(len(rows), params, start)


def state_index() -> dict[str, int]:
    """Return the place of each state."""
    return {s.id: i for i, s in enumerate(load().states)}


def output_index() -> dict[str, int]:
    """Return the place of each assignment and read-out."""
    model = load()
    return {a.id: i for i, a in enumerate((*model.assigns, *model.readouts))}


def parameters(cohort: Cohort) -> Array:
    """Return the parameter matrix, derived parameters included.

    Parameters
    ----------
    cohort : Cohort
        People.

    Returns
    -------
    (N, P) array
        Values.

    Raises
    ------
    Refused
        On an unknown parameter or a value that is not finite.
    """
    from ekbom.disease.solve._generated import derive

    model = load()
    place = {p.id: i for i, p in enumerate(model.params)}
    n_all = len(model.params) + len(model.derived)
    p = np.empty((cohort.n, n_all))
    p[:, : len(model.params)] = [q.value for q in model.params]
    for name, value in cohort.params.items():
        if name not in place:
            raise Refused("The model has no such parameter.", field=name)
        if not np.all(np.isfinite(value)):
            raise Refused("A parameter is not a finite number.", field=name, found=value,
                          expected=model.params[place[name]].unit)  # fmt: skip
        p[:, place[name]] = value
    for row in p:
        derive(row)
    return p


def healthy_start(model: Model, p: Array) -> Array:
    """Return the start of each person: pools of the person's own set points.

    Parameters
    ----------
    model : Model
        The model.
    p : (N, P) float
        Parameters of :func:`parameters`.

    Returns
    -------
    (N, S) array
        States.
    """
    stored = steady_values()
    place = model.constants
    y = np.empty((len(p), len(model.states)))
    for i, s in enumerate(model.states):
        if s.initial == "steady":
            y[:, i] = stored[s.id]
        elif s.initial in place:
            y[:, i] = p[:, place[s.initial]]
        else:
            y[:, i] = expr.evaluate(expr.parse(s.initial), {})
    return y


def simulate(
    cohort: Cohort,
    hours: float,
    *,
    events: Sequence[Event] | Sequence[Sequence[Event]] = (),
    step: int = 1,
    begin: float = 0.0,
    rtol: float = RTOL,
    hmax: float = 1.0,
) -> Trajectory:
    """Run people for some hours.

    Parameters
    ----------
    cohort : Cohort
        People, with their start.
    hours : float
        How long, a whole number of ``step``.
    events : sequence of Event, or one such sequence a person
        Doses and changes.
    step : int
        Hours between outputs.
    begin : float
        Clock time of the start, hours after midnight.
    rtol : float
        Relative tolerance; the absolute one is ``rtol * 1e-3`` of each state's scale.
    hmax : float
        Longest step, hours; 1, so that no pulse is stepped over.

    Returns
    -------
    Trajectory
        States and read-outs; failures are named, their values NaN.

    Raises
    ------
    Refused
        On an unknown target, an event outside the run, or more than 1 in 1,000
        failures (and more than one).
    """
    from ekbom.disease.solve.rosenbrock import people

    model = load()
    if hours <= 0 or abs(hours / step - round(hours / step)) > 1e-9:
        raise Refused("The run is not a whole number of output steps.", found=hours, expected=step)
    p = parameters(cohort)
    y = healthy_start(model, p) if cohort.start is None else np.array(cohort.start, dtype=float)
    times: Array = begin + np.arange(round(hours / step) + 1, dtype=np.float64) * float(step)
    table, first = _events(model, events, cohort.n, times)
    n, s, a = cohort.n, len(model.states), len(model.assigns) + len(model.readouts)
    out_y, out_a = np.empty((n, len(times), s)), np.empty((n, len(times), a))
    code, reached = np.zeros(n, np.int64), np.zeros(n)
    atol = rtol * 1e-3 * np.array([q.scale for q in model.states])
    people(y, p, times, table, first, rtol, atol, hmax, out_y, out_a, code, reached)
    failed = tuple(
        Failure(int(i), float(reached[i]), _CODES[code[i]], _suspect(model, y[i], p[i], reached[i]))
        for i in np.flatnonzero(code)
    )
    if len(failed) > max(1.0, FAILURE_SHARE * n):
        raise Refused(
            f"{len(failed)} of {n} runs failed.", field="person", found=failed[:5],
            expected="at most 1 in 1,000",
        )  # fmt: skip
    y[code != 0] = np.nan
    return Trajectory(times, out_y, out_a, y, failed)


def _suspect(model: Model, y: Array, p: Array, time: float) -> str:
    """Name the state whose rate is not finite, or else the fastest in units of its scale."""
    from ekbom.disease.solve._generated import rhs

    dy = np.empty_like(y)
    rhs(time, y, p, dy)
    speed = np.abs(dy) / np.array([s.scale for s in model.states])
    speed = np.where(np.isfinite(speed) & np.isfinite(y), speed, np.inf)
    return model.states[int(np.argmax(speed))].id


def settle(cohort: Cohort, hours: float = 20000.0, **params: Array | float) -> Cohort:
    """Return the people after a long time with the clock averaged.

    The fast daily swing is replaced by its mean (``clock = 0``), so that steps
    of weeks are possible; slow states reach what they would reach. Doses are
    given as rates (``patch``, ``in_l``, ``in_o``, ``in_p``).

    Parameters
    ----------
    cohort : Cohort
        People.
    hours : float
        How long.
    **params
        Parameter values for this time only.

    Returns
    -------
    Cohort
        The same people and parameters, started where this ended.
    """
    averaged = cohort.with_params(**{**params, "clock": 0.0})
    step = max(1, round(hours))
    end = simulate(averaged, step, step=step, hmax=500.0)
    return Cohort(cohort.n, cohort.params, end.last)


def _events(
    model: Model, events: Sequence[Event] | Sequence[Sequence[Event]], n: int, times: Array
) -> tuple[Array, NDArray[np.int64]]:
    shared = all(isinstance(e, Event) for e in events)
    lists: list[list[Event]] = (
        [sorted(events, key=lambda e: e.time)] * n  # type: ignore[arg-type]
        if shared
        else [sorted(own, key=lambda e: e.time) for own in events]  # type: ignore[arg-type]
    )
    if len(lists) != n:
        raise Refused("Events are not one list a person.", found=len(lists), expected=n)
    states = {s.id: i for i, s in enumerate(model.states)}
    params = {q.id: i for i, q in enumerate(model.params)}
    rows: list[tuple[float, float, float, float]] = []
    first = [0]
    for own in lists:
        for e in own:
            if not times[0] <= e.time <= times[-1]:
                raise Refused("An event lies outside the run.", field=e.target, found=e.time,
                              expected=f"{times[0]:g} to {times[-1]:g} h")  # fmt: skip
            if e.target in states:
                rows.append((e.time, 0.0, states[e.target], e.amount))
            elif e.target in params:
                rows.append((e.time, 1.0, params[e.target], e.amount))
            else:
                raise Refused("An event changes something the model lacks.", field=e.target)
        first.append(len(rows))
    return np.array(rows, dtype=float).reshape(-1, 4), np.array(first)
