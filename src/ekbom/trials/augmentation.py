"""Augmentation over a year of treatment: symptoms that begin earlier than before it.

Counted by the rule of the evidence and of the calibration: excitability of the cord at rest
passes the level of symptoms four hours earlier or more, or two to four hours earlier with
the evening urge above what it was without treatment; hours and severity as patients tell
them, with their errors. Thresholds follow the criteria of 2007 as recalled; they were not
checked against the text, whose wording is not shipped.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from ekbom.disease.simulate import Cohort, Event, simulate
from ekbom.disease.slow import months
from ekbom.errors import Refused
from ekbom.trials.columns import EARLIER, augmentation_chance
from ekbom.trials.recipes import findings
from ekbom.trials.responses import Progress
from ekbom.trials.trialdesign import Arm, TrialDesign
from ekbom.virtual.patients import Pool, draw_pool

Array = NDArray[np.float64]

#: Clock hour at which symptoms start in the median untreated patient (assumed).
ONSET = 18.0
#: Rise of log evening urge that counts as worse (assumed).
WORSE = 0.1


def _day(cohort: Cohort, daily: list[Event]) -> tuple[Array, Array]:
    """Return resting excitability from noon to the next noon by the hour, and log evening urge."""
    events = [Event(24.0 * d + e.time, e.target, e.amount) for d in range(3) for e in daily
              if 24.0 * d + e.time <= 60.0]  # fmt: skip
    run = simulate(cohort, 60, events=events)
    z = np.log(np.maximum(run.get("u")[:, 42:51].mean(axis=1), 1e-6))
    return run.get("e")[:, 36:61], z


def onset_hour(excitability: Array, level: Array | float) -> Array:
    """Return the clock hour after noon at which excitability first passes a level.

    Parameters
    ----------
    excitability : (n, 25) array
        From noon (12) to the next noon (36) by the hour.
    level : float or (n,) array

    Returns
    -------
    (n,) array
        12 when it is above at noon already, 36 when it never is.
    """
    level = np.broadcast_to(level, (len(excitability),))
    out = np.full(len(excitability), 36.0)
    for i, e in enumerate(excitability):
        above = np.flatnonzero(e >= level[i])
        if above.size:
            k = int(above[0])
            part = 0.0 if k == 0 else 1.0 - (e[k] - level[i]) / (e[k] - e[k - 1])
            out[i] = 12.0 if k == 0 else 12.0 + k - 1 + part
    return out


def run_augmentation(
    design: TrialDesign, *, people: int = 200, seed: int = 1, say: Progress | None = None
) -> pd.DataFrame:
    """Run patients for a year under each arm and count augmentation.

    Parameters
    ----------
    design : TrialDesign
        Of kind augmentation.
    people : int
        Patients of the pool; all take every arm.
    seed : int
    say : callable, optional

    Returns
    -------
    DataFrame
        One row an arm: expected share with augmentation and its 95 % interval, the
        components (in truth, without the errors of telling), mean hours earlier, mean
        change of the log urge early and late, and
        the power of the design (n shared by the arms, Fisher's test) against the reference.

    Raises
    ------
    Refused
        A design of another kind.
    """
    if design.design != "augmentation":
        raise Refused("The design is not one of augmentation.", field="design", found=design.design)
    tell = say or (lambda text: None)
    tell(f"drawing {people} patients")
    pool = draw_pool(seed, people, 0, (18, 85), 0.6)
    e0, z0 = _day(pool.people.cohort, [])
    level = float(np.median(e0[:, int(ONSET) - 12]))
    before = onset_hour(e0, level)
    rows = []
    for name in design.names:
        tell(f"running {len(pool)} patients through {name}, {design.weeks} weeks")
        rows.append(_of_arm(design.arms[name], name, design, pool, before, z0, level))
    frame = pd.DataFrame(rows)
    per_arm = design.n // len(design.names)
    rng = np.random.default_rng([seed, 5])
    frame["power_against_reference"] = [
        float("nan") if k == 0 else _power(rng, frame["share_percent"][k] / 100,
                                           frame["share_percent"][0] / 100, per_arm)
        for k in range(len(frame))
    ]  # fmt: skip
    printed = design.findings.get("augmentation")
    if printed:
        frame["printed_difference"] = float(str(findings().loc[printed, "effect"]))
        frame["model_difference"] = frame["share_percent"] - frame["share_percent"].iloc[0]
    return frame


def _of_arm(
    arm: Arm, name: str, design: TrialDesign, pool: Pool, before: Array, z0: Array, level: float
) -> dict[str, object]:
    daily, once = arm.events()
    cohort = pool.people.cohort.with_params(**arm.set) if arm.set else pool.people.cohort
    early, late = 7 * design.visits[0], 7 * design.weeks
    run = months(cohort, late, daily=daily, once=once, visits=[early])
    _, z1 = _day(Cohort(cohort.n, cohort.params, run.at(early).start), daily)
    e2, z2 = _day(Cohort(cohort.n, cohort.params, run.at(late).start), daily)
    after = onset_hour(e2, level)
    chance = augmentation_chance(before - after, z2 - z0)
    n, k = len(chance), float(chance.sum())
    low = 0.0 if k <= 0 else float(stats.beta.ppf(0.025, k, n - k + 1))
    high = 1.0 if k >= n else float(stats.beta.ppf(0.975, k + 1, n - k))
    return {
        "arm": name, "patients": n, "share_percent": 100 * k / n, "lower": 100 * low,
        "upper": 100 * high,
        "four_hours_earlier_percent": 100 * float(np.mean(before - after >= EARLIER)),
        "worse_than_untreated_percent": 100 * float(np.mean(z2 > z0 + WORSE)),
        "hours_earlier": float(np.mean(before - after)),
        "log_urge_early": float(np.mean(z1 - z0)), "log_urge_late": float(np.mean(z2 - z0)),
    }  # fmt: skip


def _power(rng: np.random.Generator, p: float, q: float, n: int, trials: int = 1000) -> float:
    a, b = rng.binomial(n, p, trials), rng.binomial(n, q, trials)
    found = [
        stats.fisher_exact(np.array([[x, n - x], [y, n - y]]))[1] < 0.05
        for x, y in zip(a, b, strict=True)
    ]
    return float(np.mean(found))
