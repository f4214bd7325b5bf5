"""A simple cohort and a simple trial with known truth, to test this room against.

Not a model of the disease: just enough structure that scores, criteria and
endpoints can be checked. Nobody simulated here is a patient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ekbom.measures.clinic.facts import fact
from ekbom.measures.clinic.mimics import listed_mimics
from ekbom.measures.clinic.scales.definition import scale

#: Symptoms of a made person: RLS, something else that resembles it, or none.
KINDS = ("rls", "mimic", "healthy")


@dataclass(frozen=True)
class Cohort:
    """Tables of made people, with and without holes, and what is true of them.

    Attributes
    ----------
    diagnosis, irls : DataFrame of str
        Cells as a phenotype table holds them, some ``n/a``.
    diagnosis_full, irls_full : DataFrame of str
        The same without holes.
    truth : DataFrame
        ``participant_id``, ``kind``, ``mimic``, ``irls_total``.
    """

    diagnosis: pd.DataFrame
    irls: pd.DataFrame
    diagnosis_full: pd.DataFrame
    irls_full: pd.DataFrame
    truth: pd.DataFrame


def cohort(
    n: int,
    seed: int,
    *,
    missing: float = 0.05,
    shares: Sequence[float] = (0.5, 0.3, 0.2),
    mean: float | None = None,
    sd: float | None = None,
) -> Cohort:
    """Make a cohort.

    Parameters
    ----------
    n : int
        People.
    seed : int
        Of every random draw.
    missing : float
        Chance that an answer is missing.
    shares : sequence of float
        Shares of :data:`KINDS`.
    mean, sd : float, optional
        IRLS total of those with RLS; reference values by default.

    Returns
    -------
    Cohort
        Tables and truth.
    """
    rng = np.random.default_rng(seed)
    norm = fact("norms.irls_untreated")
    kinds = rng.choice(KINDS, n, p=np.asarray(shares) / np.sum(shares))
    mimics = listed_mimics()
    which = np.where(kinds == "mimic", rng.choice(mimics, n), "")
    ids = [f"sub-{i + 1:0{len(str(n))}d}" for i in range(n)]

    yes = np.ones((n, 4), dtype=bool)
    # Of those with something else, as many meet all four as in the printed study.
    fooled = rng.random(n) < 1.0 - fact("criteria.four_criteria")["specificity"]
    fails = (kinds == "healthy") | ((kinds == "mimic") & ~fooled)
    yes[fails, rng.integers(0, 4, n)[fails]] = False
    yes[kinds == "healthy", 0] = False
    cells: dict[str, object] = {"participant_id": ids}
    for c in range(4):
        cells[f"dx_c{c + 1}"] = np.where(yes[:, c], "yes", "no")
    for m in mimics:
        cells[f"dx_mimic_{m}"] = np.where(which == m, "yes", "no")
    cells["dx_coexisting"] = np.full(n, "no")
    diagnosis_full = pd.DataFrame(cells).astype(str)

    items = scale("irls").items
    total = rng.normal(mean or norm["mean"], sd or norm["sd"], n)
    total = np.where(kinds == "rls", total, np.where(kinds == "mimic", total * 0.5, 0.0))
    level = np.clip(total, 0.0, 40.0)[:, None] / len(items)
    wobble = rng.normal(0.0, 0.8, (n, len(items))) * (level > 0)
    answers = np.clip(np.rint(level + wobble), 0, 4).astype(int)
    irls_full = pd.DataFrame(answers, columns=list(items)).astype(str)
    irls_full.insert(0, "participant_id", ids)

    truth = pd.DataFrame(
        {"participant_id": ids, "kind": kinds, "mimic": which, "irls_total": answers.sum(axis=1)}
    )
    holes = [_holes(t, missing, rng) for t in (diagnosis_full, irls_full)]
    return Cohort(holes[0], holes[1], diagnosis_full, irls_full, truth)


def _holes(table: pd.DataFrame, missing: float, rng: np.random.Generator) -> pd.DataFrame:
    hole = rng.random(table.shape) < missing
    hole[:, 0] = False
    return table.mask(hole, "n/a")


def trial(
    n_per_arm: int,
    effect: float,
    seed: int,
    *,
    visits: Sequence[str] = ("0", "4", "8", "12"),
    placebo: float = -7.0,
    dropout: float = 0.05,
) -> pd.DataFrame:
    """Make a two-arm trial on the IRLS.

    Parameters
    ----------
    n_per_arm : int
        People an arm.
    effect : float
        Treatment minus control at the last visit, points (negative = better).
    seed : int
        Of every random draw.
    visits : sequence of str
        Sessions, the first is the baseline; the effect grows evenly.
    placebo : float
        Change of the control arm at the last visit, points.
    dropout : float
        Chance to leave before each visit after the baseline, whatever the score.

    Returns
    -------
    DataFrame
        ``participant_id``, ``session_id``, ``arm``, ``irls_total``.
    """
    rng = np.random.default_rng(seed)
    norm = fact("norms.irls_untreated")
    n = 2 * n_per_arm
    arm = np.repeat(["active", "placebo"], n_per_arm)
    person = rng.normal(norm["mean"], norm["sd"], n)
    leaves = rng.random((n, len(visits))) < dropout
    leaves[:, 0] = False
    gone = np.cumsum(leaves, axis=1) > 0
    rows = []
    for k, visit in enumerate(visits):
        share = k / (len(visits) - 1)
        shift = share * (placebo + np.where(arm == "active", effect, 0.0))
        value = person + shift + rng.normal(0.0, 4.0, n)
        value = np.where(gone[:, k], np.nan, value)
        rows.append(
            pd.DataFrame(
                {
                    "participant_id": [f"sub-{i + 1:03d}" for i in range(n)],
                    "session_id": visit,
                    "arm": arm,
                    "irls_total": value,
                }
            )
        )
    return pd.concat(rows, ignore_index=True)
