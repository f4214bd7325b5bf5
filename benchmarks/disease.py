"""Speed of the disease model: people for a week at hourly output, and against libroadrunner.

    python benchmarks/disease.py [--people 10000] [--days 7] [--check 0]

The people are drawn, settled, and dosed each evening. Printed: wall and CPU
time, peak memory, failures by name, and with --check N (extra ``sbml``) the
largest disagreement with libroadrunner over N dosed people at rtol 1e-8, with
the ratio of CPU seconds a person at rtol 1e-6. Nothing is gated here.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from ekbom.disease import cohort as co
from ekbom.disease.model import load
from ekbom.disease.simulate import Event, simulate
from ekbom.disease.writers.sbml import sbml


def week(people: int, days: int) -> float:
    start = time.perf_counter()
    co.settled(co.draw(2, 1)[0])
    simulate(co.draw(2, 1)[0].cohort, 24)
    print(f"compile or load: {time.perf_counter() - start:.1f} s")
    drawn = co.settled(co.draw(people, 1)[0])
    doses = [Event(24.0 * d + 21.0, "l_gut", 100.0) for d in range(days)]
    wall, cpu, failures = time.perf_counter(), time.process_time(), []
    for low in range(0, people, 2000):  # hourly output of 2,000 people fits in memory
        part = drawn.cohort.take(np.arange(low, min(people, low + 2000)))
        run = simulate(part, 24 * days, events=doses)
        failures += [(low + f.person, f.time, f.why) for f in run.failures]
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{people} people x {days} days, one dose a day: {wall:.1f} s wall, {cpu:.1f} s CPU, "
          f"{1000 * cpu / people:.2f} CPU-ms a person, peak {peak:.2f} GiB")  # fmt: skip
    print(f"failures: {len(failures)} {failures[:10]}")
    return cpu / people


def against(count: int, days: int, own: float) -> None:
    import roadrunner

    model = load()
    ids = [s.id for s in model.states]
    drawn = co.draw(count, 2)[0].cohort
    doses = [(24.0 * d + 21.0, "l_gut", 100.0) for d in range(days)]
    events = [Event(*d) for d in doses]
    run = simulate(drawn, 24 * days, events=events, rtol=1e-8)
    keep = np.setdiff1d(np.arange(24 * days + 1), [int(d[0]) for d in doses])
    worst, spent = 0.0, 0.0
    for i in range(count):
        params = {k: float(np.broadcast_to(v, (count,))[i]) for k, v in drawn.params.items()}
        other = roadrunner.RoadRunner(sbml(model, params, doses=doses))
        other.timeCourseSelections = ids
        for rtol in (1e-8, 1e-6):
            other.resetAll()
            other.integrator.setValue("relative_tolerance", rtol)
            other.integrator.setValue("absolute_tolerance", rtol * 1e-4)
            other.integrator.setValue("maximum_time_step", 1.0)
            start = time.process_time()
            b = np.asarray(other.simulate(0, 24 * days, 24 * days + 1))
            if rtol == 1e-6:
                spent += time.process_time() - start
                continue
            a, b = run.states[i][keep], b[keep]
            floor = np.abs(b) + 1e-3 * np.abs(b).max(axis=0)
            worst = max(worst, float(np.max(np.abs(a - b) / np.where(floor > 0, floor, 1))))
    print(
        f"libroadrunner: largest disagreement {worst:.2g} over {count} people; "
        f"{1000 * spent / count:.2f} CPU-ms a person, {spent / count / own:.2f} x ours"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=10000)
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--check", type=int, default=0)
    given = parser.parse_args()
    own = week(given.people, given.days)
    if given.check:
        against(given.check, given.days, own)


if __name__ == "__main__":
    main()
