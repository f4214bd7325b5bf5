"""The levodopa test of virtual people: readings every fifteen minutes for two hours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ekbom.disease.simulate import Cohort, Event, simulate
from ekbom.measures.clinic.levodopa import MINUTES
from ekbom.measures.clinic.mimics import listed_mimics
from ekbom.virtual import bids, tables
from ekbom.virtual.clinical import Making, write_participants
from ekbom.virtual.patients import irls_answers, visit_z

Array = NDArray[np.float64]


def urge_after(cohort: Cohort, dose_mg: float, clock_h: float) -> Array:
    """Return the urge at 0, 15 ... 120 min after an oral dose, sitting still.

    Parameters
    ----------
    cohort : Cohort
        Settled people.
    dose_mg : float
        Levodopa; 0 for none.
    clock_h : float
        Clock hour of the dose on the second day.

    Returns
    -------
    (n, 9) array
        Urge of the model.
    """
    at = 24.0 + clock_h
    events = [Event(at - 0.5, "hold", 1.0), Event(at - 0.5, "hold_pos", 1.0)]
    if dose_mg > 0:
        events.append(Event(at, "l_gut", dose_mg))
    out = np.empty((cohort.n, MINUTES.size))
    # outputs stand whole hours apart: four runs give the quarters
    for quarter in range(4):
        begin = clock_h + quarter / 4 - np.floor(clock_h + quarter / 4)
        run = simulate(cohort, 48, events=events, begin=float(begin))
        u = run.get("u")
        for k in range(quarter, MINUTES.size, 4):
            column = int(np.argmin(np.abs(run.times - (at + MINUTES[k] / 60.0))))
            out[:, k] = u[:, column]
    return out


def write_levodopa(study: Making) -> dict[str, Any]:
    """Write the tables of the test; return columns of the truth.

    Parameters
    ----------
    study : Making
        With a design of kind levodopa.

    Returns
    -------
    dict of str to (n,) array
        True fall of the urge by the drug, and the mimic of others.
    """
    asked, pool, n = study.design.test, study.pool, len(study.labels)
    assert asked is not None
    rng = study.rng(0)
    rls = pool.rls[:n]
    known = listed_mimics()
    mimic = ["" if r else known[int(k)] for r, k in zip(rls, rng.integers(0, len(known), n),
                                                         strict=True)]  # fmt: skip
    ratio = np.ones((n, MINUTES.size))
    rows = np.flatnonzero(rls)
    if rows.size:
        treated = urge_after(pool.people.cohort.take(rows), asked.dose_mg, asked.clock_h)
        alone = urge_after(pool.people.cohort.take(rows), 0.0, asked.clock_h)
        ratio[rows] = treated / np.maximum(alone, 1e-9)
    level = asked.vas_mean + asked.vas_sd * rng.standard_normal(n)
    level = np.where(rls, level + asked.vas_per_z * (pool.table["z"][:n] - pool.cut), level)
    level = np.clip(level, 25.0, 95.0)
    drift = np.clip(asked.placebo_fall + asked.placebo_sd * rng.standard_normal(n), -0.2, 0.6)
    fall = 1.0 - drift[:, None] * MINUTES[None, :] / MINUTES[-1]
    readings = []
    for share in (1.0, 0.9):  # urge is told less changed than symptoms (assumed)
        own = level[:, None] * (1.0 - share * (1.0 - ratio)) * fall
        readings.append(own + asked.reading_sd * rng.standard_normal(own.shape))
    first = tables.ids(study.labels, ["ses-test"] * n)
    patients = tables.ids([study.labels[k] for k in rows], ["ses-test"] * rows.size)
    bids.write_json(
        study.root / "sessions.json", {"clock": {"Description": "Clock hour of the dose",
                                                 "Units": "h"}}
    )  # fmt: skip
    for label in study.labels:
        bids.write_tsv(
            study.root / label / f"{label}_sessions.tsv",
            {"session_id": ["ses-test"], "clock": [asked.clock_h]},
        )
    write_participants(study, {}, {})
    z = visit_z(rng, pool.table["z"][rows], expectancy=False)
    named, factor = tables.sites(rng, n, study.design.sites)
    every = [
        tables.diagnosis(first, rng, rls, mimic), tables.levodopa(first, *readings),
        tables.iron(first, rng, pool.table, factor, named),
    ]  # fmt: skip
    if rows.size:
        every.append(tables.irls(patients, irls_answers(rng, z, pool.cut)))
    for table in every:
        tables.write_phenotype(study.root, table, rng, asked.missing)
    return {
        "mimic": np.array([m or "none" for m in mimic]),
        "drug_fall_percent": 100.0 * (1.0 - ratio.min(axis=1)),
        "placebo_fall_percent": 100.0 * drift,
    }
