"""Closed loops of the disease model: terminal, balances, second simulator, skipped days."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable

import numpy as np

from ekbom.disease import cohort as co
from ekbom.disease.model import load
from ekbom.disease.simulate import Cohort, Event, settle, simulate, state_index
from ekbom.disease.slow import months
from ekbom.disease.writers.sbml import sbml
from ekbom.validate.result import Check

#: Steady state of the corrected terminal, and its response in % to a change (eda, hva).
TERMINAL = {
    "bh2": 40.85, "bh4": 319.14, "tyr": 125.70, "ldopa": 0.3559, "cda": 2.647, "vda": 80.97,
    "eda": 0.0020237, "hva": 7.678, "pool": 942.8,
}  # fmt: skip
RESPONSES: tuple[tuple[dict[str, float], int, int], ...] = (
    ({"s_th": 0.5}, -17, -28), ({"s_th": 0.75}, -8, -13), ({"s_th": 1.5}, 12, 25),
    ({"s_th": 2.0}, 22, 50), ({"s_dat": 0.7}, 20, -26), ({"s_dat": 0.5}, 46, -41),
    ({"f0": 0.65}, -19, 55), ({"f0": 1.35}, 16, -23), ({"f0": 2.0}, 44, -40),
    ({"s_th": 0.75, "s_dat": 0.7}, 9, -37),
)  # fmt: skip
_DOSES = ((21.0, "l_gut", 100.0), (20.0, "g_gut", 0.25), (32.0, "o_gut", 10.0))


def validate_disease(
    *,
    people: int = 2000,
    against: int = 100,
    twenty: int = 20,
    days: int = 84,
    seed: int = 1,
    say: Callable[[str], None] = lambda _: None,
) -> list[Check]:
    """Run every check.

    Parameters
    ----------
    people : int
        People of the count of failures and of the timing.
    against : int
        People run in libroadrunner too (extra ``sbml``; left out where it is missing).
    twenty : int
        People of the skipped days.
    days : int
        Days of it.
    seed : int
        Of the people.
    say : callable
        Told what is being run.

    Returns
    -------
    list of Check
        With gates where the model states one.
    """
    say("steady states of the terminal, balances")
    first = [*_terminal(), *_balances(seed)]
    say(f"{people} people for a week")
    checks, own = _week(people, seed)
    say(f"libroadrunner, {against} people")
    second = _second(against, own, seed)
    say(f"skipped days, {twenty} people for {days} days, three treatments")
    return [*first, *checks, *second, *_skipped(twenty, days, seed)]


def _terminal() -> list[Check]:
    plain = simulate(Cohort(1, {"clock": 0.0}), 1).get
    out = [
        Check(f"terminal: {k} at rest, against {v:g}", 100 * (plain(k)[0, -1] / v - 1), 1, "%",
              -0.02, 0.02)
        for k, v in TERMINAL.items()
    ]  # fmt: skip
    for change, eda, hva in RESPONSES:
        start = settle(Cohort(1, dict(change)), 2000.0).start
        there = simulate(Cohort(1, {**change, "clock": 0.0}, start), 1).get
        for name, percent in (("eda", eda), ("hva", hva)):
            found = 100 * (there(name)[0, -1] / plain(name)[0, -1] - 1)
            words = ", ".join(f"{k} x {v:g}" for k, v in change.items())
            out.append(Check(f"terminal: {name} at {words}, against {percent:+d} %", found, 1, "%",
                             percent - 0.6, percent + 0.6))  # fmt: skip
    return out


def _balances(seed: int) -> list[Check]:
    from ekbom.disease.simulate import healthy_start, parameters
    from ekbom.disease.solve._generated import outputs, rhs

    model, place = load(), state_index()
    start = simulate(Cohort(1, {"clock": 0.0}), 240, step=24)
    scale = np.array([s.scale for s in model.states])
    drift = float(np.max(np.abs(start.states[0] - start.states[0, 0]) / scale))
    p = parameters(Cohort(1, {"loss": 0.07, "j_preg": 0.1, "bleed": 0.02}))[0]
    rng = np.random.default_rng(seed)
    iron, worst = ("fp", "fm", "fr", "fq", "fs", "fx"), 0.0
    for _ in range(50):
        y = healthy_start(model, p[None])[0] * rng.uniform(0.3, 2, len(place))
        dy, out = np.empty_like(y), np.empty(len(model.assigns) + len(model.readouts))
        rhs(3.0, y, p, dy)
        outputs(3.0, y, p, out)
        now = dict(zip([a.id for a in (*model.assigns, *model.readouts)], out, strict=True))
        flow = now["j_abs"] + now["j_oral"] - 0.17 * y[place["fp"]] / 3
        flow -= 0.02 * y[place["fr"]] / 2520
        worst = max(worst, abs(sum(dy[place[s]] for s in iron) - flow))
    drawn = co.draw(100, seed)[0].cohort
    run = simulate(drawn, 72, events=[Event(*d) for d in _DOSES])
    pterin = float(np.max(np.abs(run.get("bh2") + run.get("bh4") - 360.0)) / 360.0)
    return [
        Check("steady state: largest drift in 10 days", drift, 1, "of scale", 0, 1e-9),
        Check("iron: rates less flows, worst of random states", worst, 50, "mg/h", 0, 1e-8),
        Check("biopterin: change of the sum", pterin, 100, "relative", 0, 1e-8),
        Check("least state of dosed people", float(run.states.min()), 100, "", low=-1e-9),
    ]


def _week(people: int, seed: int) -> tuple[list[Check], float]:
    drawn = co.settled(co.draw(people, seed)[0])
    doses = [Event(24.0 * d + 21.0, "l_gut", 100.0) for d in range(7)]
    start, failures = time.process_time(), []
    for low in range(0, people, 1000):
        part = drawn.cohort.take(np.arange(low, min(people, low + 1000)))
        run = simulate(part, 168, events=doses)
        failures += [f"person {low + f.person} at {f.time:.1f} h: {f.state or '-'} {f.why}"
                     for f in run.failures]  # fmt: skip
    own = (time.process_time() - start) / people
    note = "; ".join(failures[:5])
    return [
        Check("failed runs per 10,000 people", 1e4 * len(failures) / people, people, "", 0, 10,
              note=note),
        Check("week of hourly output, a person", 1000 * own, people, "CPU-ms"),
    ], own  # fmt: skip


def _second(count: int, own: float, seed: int) -> list[Check]:
    if count == 0 or importlib.util.find_spec("roadrunner") is None:
        return []
    import roadrunner  # type: ignore[import-not-found, import-untyped, unused-ignore]

    model = load()
    ids = [s.id for s in model.states]
    drawn = co.draw(count, seed + 1)[0].cohort
    run = simulate(drawn, 48, events=[Event(*d) for d in _DOSES], rtol=1e-8)
    keep = np.setdiff1d(np.arange(49), [int(d[0]) for d in _DOSES])
    worst, spent = 0.0, 0.0
    for i in range(count):
        params = {k: float(np.broadcast_to(v, (count,))[i]) for k, v in drawn.params.items()}
        other = roadrunner.RoadRunner(sbml(model, params, doses=list(_DOSES)))
        other.timeCourseSelections = ids
        for rtol in (1e-8, 1e-6):
            other.resetAll()
            other.integrator.setValue("relative_tolerance", rtol)
            other.integrator.setValue("absolute_tolerance", rtol * 1e-4)
            other.integrator.setValue("maximum_time_step", 1.0)
            start = time.process_time()
            b = np.asarray(other.simulate(0, 48, 49))
            if rtol == 1e-6:
                spent += time.process_time() - start
                continue
            a, b = run.states[i][keep], b[keep]
            floor = np.abs(b) + 1e-3 * np.abs(b).max(axis=0)
            worst = max(worst, float(np.max(np.abs(a - b) / np.where(floor > 0, floor, 1))))
    ratio = (spent / count / 2) / (own / 7)  # a person and day; theirs ran 2 days, ours 7
    return [
        Check("libroadrunner: largest disagreement of dosed people", worst, count, "relative", 0,
              1e-4, note="rtol 1e-8; |a - b| / (|b| + 0.001 max|b|)"),
        Check("libroadrunner: CPU time a day over ours", ratio, count, "x",
              note="rtol 1e-6, hourly output"),
    ]  # fmt: skip


def _skipped(count: int, days: int, seed: int) -> list[Check]:
    model = load()
    slow = [i for i, s in enumerate(model.states) if s.slow]
    scale = np.array([s.scale for s in model.states])
    people = co.settled(co.draw(count, seed + 4)[0])
    cut = co.threshold(co.table(co.settled(co.draw(400, seed)[0]))["z"])
    out = []
    plans: dict[str, tuple[list[Event], list[Event]]] = {
        "pramipexole 0.5 mg": ([Event(20.0, "g_gut", 0.5)], []),
        "oral iron": ([Event(9.0, "fe_gut", 65.0), Event(19.0, "fe_gut", 65.0)], []),
        "carboxymaltose 1,000 mg": ([], [Event(10.0, "fx", 1000.0)]),
    }
    for name, (daily, once) in plans.items():
        visits = tuple(range(14, days, 14))
        spent, runs = [], []
        for stride in (1, 3):
            start = time.process_time()
            runs.append(months(people.cohort, days, daily=daily, once=once, visits=visits,
                               stride=stride))  # fmt: skip
            spent.append(time.process_time() - start)
        a, b = (r.states for r in runs)
        apart = (np.abs(b - a) / (np.abs(a) + 1e-3 * scale))[:, :, slow].max()
        two = [Event(24.0 * d + e.time, e.target, e.amount) for d in range(2) for e in daily]
        z = [co.table(co.People(r.cohort, people.facts), two)["z"] for r in runs]
        points = np.abs(co.expected_irls(z[0] - cut) - co.expected_irls(z[1] - cut)).max()
        note = f"{runs[1].full_days} of {days} days in full; {spent[0] / spent[1]:.1f} x faster"
        out += [
            Check(f"skipped days, {name}: slow states", 100 * float(apart), count, "%", 0, 1,
                  note=note),
            Check(f"skipped days, {name}: severity", float(points), count, "points", 0, 0.3),
        ]  # fmt: skip
    return out
