"""Nights of the disease model held to print: intervals between movements, and what psg says.

Movements are made, scored by ``measures.legs`` as those of a recording would be, and
compared with printed histograms and norms. A hypothesis engine: no medical advice.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ekbom.measures.legs.periodicity import intervals, pi_ferri2006
from ekbom.validate.psg import W06, index_of, norms, scored_night
from ekbom.validate.result import Check
from ekbom.virtual.patients import draw_pool

#: Edges of the intervals, s.
EDGES = np.arange(0.0, 92.0, 2.0)


def nights(*, people: int, patients: int, seed: int) -> tuple[list[Check], pd.DataFrame]:
    """Score nights of patients and of others, and hold them to print.

    Parameters
    ----------
    people, patients : int
        Others of 40 to 80 years, and patients of 20 to 80 with twelve nights each.
    seed : int
        Of everybody and every night.

    Returns
    -------
    list of Check, pandas.DataFrame
        Of :func:`lengths` and :func:`ekbom.validate.psg.norms`; printed values stand in
        the notes, nothing is gated.
    """
    checks, table = lengths(patients=patients, seed=seed)
    return [*checks, *norms(people=people, patients=patients, seed=seed)], table


def lengths(*, patients: int, seed: int) -> tuple[list[Check], pd.DataFrame]:
    """Count intervals between movements by their length, and the periodicity.

    Parameters
    ----------
    patients : int
        Patients of 20 to 80 years, and as many of 20 to 40 without the disease; a night each.
    seed : int
        Of everybody and every night.

    Returns
    -------
    list of Check, pandas.DataFrame
        What is printed of the intervals; and intervals a night by their length (columns
        ``from_s``, ``to_s``, ``patients``, those with more than 5 an hour, and
        ``young_controls``).
    """
    ill = draw_pool(seed + 2, patients, 0, (20, 80), 0.5)
    young = draw_pool(seed + 3, 0, patients, (20, 40), 0.5)
    scored = [scored_night(ill, k, seed + 2, 0, W06) for k in range(patients)]
    calm = [scored_night(young, k, seed + 3, 0, W06) for k in range(patients)]
    moving = [s for s in scored if index_of(s) > 5]
    count = [
        np.histogram(np.concatenate([np.diff(s.movements.onset) for s in group] or [np.zeros(0)]),
                     EDGES)[0] / max(len(group), 1)
        for group in (moving, calm)
    ]  # fmt: skip
    table = pd.DataFrame({"from_s": EDGES[:-1], "to_s": EDGES[1:], "patients": count[0],
                          "young_controls": count[1]})  # fmt: skip
    own = np.concatenate([intervals(s, "sleep") for s in moving] or [np.zeros(0)])
    pi = np.array([pi_ferri2006(s, "sleep").value for s in scored if index_of(s) > 15])
    wide, tail = _density(table, "patients", 15, 30), _density(table, "patients", 30, 90)
    checks = [
        Check("intervals: density of 15 to 30 s over 30 to 90 s, patients",
              wide / max(tail, 1e-9), len(moving), "", note="PL02: a wide peak at 15 to 30 s"),
        Check("intervals: density of 2 to 8 s over 8 to 10 s, patients",
              _density(table, "patients", 2, 8) / max(_density(table, "patients", 8, 10), 1e-9),
              len(moving), "", note="PL02: a second peak under 8 s"),
        Check("intervals: share of 10 to 90 s, patients",
              100 * float(np.mean((own >= 10) & (own <= 90))) if own.size else float("nan"),
              own.size, "%"),
        Check("intervals: of 15 to 30 s a night, patients over young controls",
              wide / max(_density(table, "young_controls", 15, 30), 1e-9), len(calm), "x",
              note="PL02: absent in young controls"),
        Check("periodicity index (Ferri 2006), patients with more than 15/h",
              float(pi.mean()) if pi.size else float("nan"), pi.size, "",
              note=f"SD {pi.std():.2f}; Korean patients .86 (SD .10)" if pi.size else "nobody"),
    ]  # fmt: skip
    return checks, table


def _density(table: pd.DataFrame, column: str, low: float, high: float) -> float:
    """Return intervals a night and second; a bin that an edge cuts counts by its part."""
    part = np.clip(table["to_s"], low, high) - np.clip(table["from_s"], low, high)
    return float((table[column] * part / (table["to_s"] - table["from_s"])).sum() / (high - low))
