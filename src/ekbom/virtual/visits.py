"""A trial with visits: severity, global impression, ferritin and brain iron of each arm."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom.disease import cohort as co
from ekbom.errors import Refused
from ekbom.virtual import bids, tables
from ekbom.virtual.clinical import Making, write_participants
from ekbom.virtual.patients import Pool, irls_answers, visit_z

Array = NDArray[np.float64]


def write_visits(study: Making) -> dict[str, Any]:
    """Write the tables of a trial; return columns of the truth.

    Parameters
    ----------
    study : Making
        With a design of kind trial.

    Returns
    -------
    dict of str to (n,) array
        Arm, and the true change of the log urge at the last visit.
    """
    asked = study.design.arms
    assert asked is not None
    rng, n = study.rng(0), len(study.labels)
    pool = _selected(study, rng)
    object.__setattr__(study, "pool", pool)
    arm = _allocated(rng, n, asked.shares)
    at = {day: _under(pool, arm, asked.treatments, day) for day in asked.days}
    named, factor = tables.sites(rng, n, study.design.sites)
    arms = [asked.names[k] for k in arm]
    baseline = irls_answers(rng, visit_z(rng, pool.table["z"], False), pool.cut)
    left = np.full(n, len(asked.days))
    parts: dict[str, list[tables.PhenotypeTable]] = {}
    for k, day in enumerate(asked.days):
        table = at[day]
        if k:
            gone = rng.random(n) < asked.dropout
            left = np.where(gone & (left == len(asked.days)), k, left)
        here = np.flatnonzero(left > k)
        first = tables.ids([study.labels[i] for i in here], [f"ses-day{day:02d}"] * here.size)
        seen = {name: values[here] for name, values in table.items()}
        z = visit_z(rng, seen["z"], expectancy=k > 0)
        answers = baseline[here] if k == 0 else irls_answers(rng, z, pool.cut)
        fell = baseline[here].sum(axis=1) - answers.sum(axis=1)
        severity = np.clip(1 + np.round(answers.sum(axis=1) / 7.0 + rng.normal(0, 0.5, here.size)),
                           1, 7).astype(int)  # fmt: skip
        change = np.clip(np.round(4.0 - fell / 4.5 + rng.normal(0, 0.7, here.size)), 1, 7)
        made = [
            tables.irls(first, answers),
            tables.cgi(first, severity.tolist(),
                       [None if k == 0 else int(c) for c in change]),
            tables.iron(first, rng, seen, factor[here], [named[i] for i in here]),
        ]  # fmt: skip
        if asked.brain_iron:
            made.append(tables.brain_iron(first, rng, seen))
        for one in made:
            parts.setdefault(one.name, []).append(one)
            # a phenotype table of BIDS holds one row a person: one table a visit
            own = replace(one, name=f"{one.name}Day{day:02d}")
            tables.write_phenotype(study.root, own, rng, asked.missing)
    _long(study, [parts["irls"], parts["cgi"]], arms)
    bids.write_json(
        study.root / "sessions.json", {"day": {"Description": "Days since the first dose",
                                               "Units": "d"}}
    )  # fmt: skip
    for i, label in enumerate(study.labels):
        days = asked.days[: left[i]]
        bids.write_tsv(
            study.root / label / f"{label}_sessions.tsv",
            {"session_id": [f"ses-day{d:02d}" for d in days], "day": list(days)},
        )
    write_participants(
        study,
        {"arm": arms, "site": named, "irls_baseline": baseline.sum(axis=1).tolist()},
        {"arm": {"Description": "Treatment that was drawn for the person"},
         "site": {"Description": "Where the person was seen"},
         "irls_baseline": {"Description": "Severity before treatment", "Units": "point"}},
    )  # fmt: skip
    last = at[asked.days[-1]]
    truth = study.root / "derivatives" / "truth"
    bids.write_tsv(
        truth / "visits_truth.tsv",
        {
            "participant_id": [p for _ in asked.days for p in study.labels],
            "session_id": [f"ses-day{d:02d}" for d in asked.days for _ in range(n)],
            "z": np.concatenate([at[d]["z"] for d in asked.days]),
            "ferritin": np.concatenate([at[d]["ferritin@8"] for d in asked.days]),
            "fe_sn": np.concatenate([at[d]["fe_sn@10"] for d in asked.days]),
        },
    )
    return {"arm": np.array(arms), "z_change": last["z"] - pool.table["z"]}


def _long(study: Making, parts: list[list[tables.PhenotypeTable]], arms: list[str]) -> None:
    """Write all visits as one table, for `ekbom clinic endpoints`."""
    frames = [
        pd.concat([pd.DataFrame(dict(t.cells), dtype=object) for t in several]) for several in parts
    ]
    keys = ["participant_id", "session_id"]
    frame = frames[0].merge(frames[1], on=keys).sort_values(keys, kind="stable")
    frame.insert(2, "arm", frame["participant_id"].map(dict(zip(study.labels, arms, strict=True))))
    folder = study.root / "derivatives" / "ekbom-sim"
    bids.write_tsv(folder / "visits.tsv", {str(c): frame[c].tolist() for c in frame.columns})
    words = {"arm": {"Description": "Treatment that was drawn for the person"}}
    about = {k: dict(v) for several in parts for k, v in several[0].about.items()}
    bids.write_json(folder / "visits.json", {**about, **words})


def _selected(study: Making, rng: np.random.Generator) -> Pool:
    """Return patients whose severity at screening is high enough, in the number asked for."""
    asked, pool = study.design.arms, study.pool
    assert asked is not None
    n, z = len(study.labels), pool.table["z"]
    screened = irls_answers(rng, visit_z(rng, z, False), pool.cut).sum(axis=1)
    rows = np.flatnonzero((screened >= asked.irls_least) & pool.rls)[:n]
    if rows.size < n:
        raise Refused(
            "Too few virtual patients are as severe as the trial asks.",
            field="arms.irls_least", found=f"{rows.size} of {int(pool.rls.sum())}",
            expected=f"{n} with {asked.irls_least} points or more",
            mend="lower arms.irls_least",
        )  # fmt: skip
    return Pool(
        pool.people.take(rows), {k: v[rows] for k, v in pool.table.items()},
        pool.rls[rows], pool.cut,
    )  # fmt: skip


def _allocated(rng: np.random.Generator, n: int, shares: tuple[int, ...]) -> NDArray[np.int64]:
    """Deal people to arms in the shares asked for, in random order."""
    exact = n * np.array(shares) / sum(shares)
    count = np.floor(exact).astype(int)
    for k in np.argsort(-(exact - count), kind="stable")[: n - count.sum()]:
        count[k] += 1
    return np.asarray(rng.permutation(np.repeat(np.arange(len(shares)), count)), np.int64)


def _under(
    pool: Pool, arm: NDArray[np.int64], treatments: tuple[str, ...], day: int
) -> dict[str, Array]:
    """Return the read-outs of everybody after these days of the own arm."""
    if day == 0:
        return dict(pool.table)
    out: dict[str, Array] = {}
    for k, name in enumerate(treatments):
        rows = np.flatnonzero(arm == k)
        if not rows.size:
            continue
        people, events = co.treated(pool.people.take(rows), name, day / 7.0)
        for column, values in co.table(people, events).items():
            out.setdefault(column, np.full(len(pool), np.nan))[rows] = values
    return out
