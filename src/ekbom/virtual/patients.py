"""People of the disease model: patients are whoever its threshold yields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ekbom.disease import cohort as co
from ekbom.errors import Refused
from ekbom.virtual.cohort import IRLS_ITEMS, IRLS_MAX

Array = NDArray[np.float64]

#: People drawn for each patient wanted, and at least; the prevalence is 1 in 20.
_PER_PATIENT, _LEAST = 30, 400


@dataclass(frozen=True, eq=False)
class Pool:
    """Patients first, then others, of one drawn population.

    Parameters
    ----------
    people : People
        Settled, in the order of the study.
    table : mapping of str to (n,) array
        Read-outs of the disease model, untreated.
    rls : (n,) array of bool
        Who has the disease.
    cut : float
        Threshold of the log evening urge.
    """

    people: co.People
    table: dict[str, Array]
    rls: NDArray[np.bool_]
    cut: float

    def __len__(self) -> int:
        return int(self.rls.size)


def draw_pool(
    seed: int, rls: int, control: int, ages: tuple[int, int], women: float, spare: float = 1.0
) -> Pool:
    """Draw a population and take patients and others of it.

    Parameters
    ----------
    seed : int
        Of every draw.
    rls, control : int
        How many of each are wanted.
    ages : tuple of int
        Range, years.
    women : float
        Share.
    spare : float
        Patients taken over those wanted, for a selection that follows.

    Returns
    -------
    Pool
        At least as many patients as wanted times `spare`, patients first; others of
        the patients' ages.

    Raises
    ------
    Refused
        The population yields too few.
    """
    wanted = int(np.ceil(rls * spare))
    n = max(_LEAST, _PER_PATIENT * wanted, 2 * control)
    drawn, _ = co.draw(n, seed, age=(float(ages[0]), float(ages[1])), women=women)
    settled = co.settled(drawn)
    table = co.table(settled)
    cut = co.threshold(table["z"])
    patients = np.flatnonzero(table["z"] > cut)
    others = np.flatnonzero(table["z"] <= cut)
    if len(patients) < wanted or len(others) < control:
        raise Refused(
            "The drawn population holds too few people.",
            field="groups",
            found=f"{len(patients)} patients, {len(others)} others of {n}",
            expected=f"{wanted} and {control}",
        )
    chosen = patients[:wanted]
    matched = _of_age(table["age"], others, chosen, control)
    rows = np.concatenate([chosen, matched])
    return Pool(
        settled.take(rows), {k: v[rows] for k, v in table.items()},
        np.arange(rows.size) < wanted, cut,
    )  # fmt: skip


def _of_age(
    age: Array, others: NDArray[np.intp], patients: NDArray[np.intp], count: int
) -> NDArray[np.intp]:
    """Return others of the patients' ages, one patient after the other; any without patients."""
    if not patients.size:
        return others[:count]
    free = np.ones(others.size, bool)
    picked = []
    for k in range(count):
        apart = np.abs(age[others] - age[patients[k % patients.size]])
        best = int(np.argmin(np.where(free, apart, np.inf)))
        free[best] = False
        picked.append(int(others[best]))
    return np.array(picked, np.intp)


def movement_facts(table: Mapping[str, Array], k: int) -> dict[str, Any]:
    """Return what the generator of leg movements takes of one person.

    Parameters
    ----------
    table : mapping of str to (n,) array
        Read-outs of the disease model.
    k : int
        Row.

    Returns
    -------
    dict
        Arguments of :func:`ekbom.disease.plm.night`; the effect of the person holds sex
        and the drive of the hour.
    """
    return {
        "age": float(table["age"][k]),
        "person": float(table["plm_log"][k]),
        "excitability": float(table["e@0"][k]),
        "short": float(table["z_short"][k]),
    }


def irls_answers(rng: np.random.Generator, z: Array, cut: float) -> NDArray[np.int64]:
    """Return the ten answers of the severity scale.

    Parameters
    ----------
    rng : numpy.random.Generator
        Of the answers.
    z : (n,) array
        Log evening urge, with the error of a visit.
    cut : float
        Threshold of the disease.

    Returns
    -------
    (n, 10) array of int
        0 to 4 each; totals are those of the disease model, dealt to the items.
    """
    totals = co.irls(z, cut, rng)
    out = np.zeros((len(z), IRLS_ITEMS), np.int64)
    for i, total in enumerate(totals):
        out[i] = rng.multivariate_hypergeometric([IRLS_MAX] * IRLS_ITEMS, int(total))
    return out


def visit_z(rng: np.random.Generator, z: Array, expectancy: bool) -> Array:
    """Return the log urge as people tell it at a visit.

    Parameters
    ----------
    rng : numpy.random.Generator
        Of the visit.
    z : (n,) array
        True log evening urge.
    expectancy : bool
        Whether people believe that they may be treated: scores fall, movements do not.

    Returns
    -------
    (n,) array
        Told.
    """
    entry = co.data("population")["placebo"]
    told = z + float(entry["visit_sd"]["value"]) * rng.standard_normal(z.size)
    if expectancy:
        told = told - float(entry["expectancy"]["value"]) * rng.exponential(1.0, z.size)
    return np.asarray(told, np.float64)
