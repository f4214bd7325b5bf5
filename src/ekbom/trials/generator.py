"""Calibration of the generator of leg movements to shares of people with many of them.

The shares are population surveys and a series of patients (``anchor`` in
``population.toml``), none of them a row of the findings. The chance of an index above
the limit is simulated once over the log hazard, night by night and scored by
``measures.legs``; the parameters then follow by least squares with a weak prior.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import least_squares

from ekbom.disease.cohort import data
from ekbom.disease.plm import night
from ekbom.trials.columns import scored, value
from ekbom.trials.world import World

Array = NDArray[np.float64]
#: Free parameters with centre and SD of their prior, on the scale on which they are fitted.
FREE = {
    "rate": (np.log(0.1), 1.5), "person_sd": (1.3, 0.3), "male": (0.2, 0.3),
    "per_year": (0.04, 0.02), "b_drive": (0.8, 0.4),
}  # fmt: skip


def chance(over: float, seed: int, nights: int = 40) -> tuple[Array, dict[str, Array]]:
    """Return the chance of an index above a limit over the log hazard, by age group.

    Parameters
    ----------
    over : float
        Periodic movements an hour of sleep.
    seed : int
        Of the nights.
    nights : int
        Nights at each hazard.

    Returns
    -------
    tuple of array and dict
        Log hazards, and for ``young`` and ``old`` the chance at each.
    """
    grid = np.linspace(-6.0, 3.0, 19)
    base = np.log(value("plm", "rate"))
    out = {}
    for word, age in (("young", 45.0), ("old", 75.0)):
        hits = np.empty(len(grid))
        for i, g in enumerate(grid):
            person = g - base - value("plm", "per_year") * (age - 50)
            rng = np.random.default_rng([seed, 51, i])
            index = [scored(night(rng, age, person, 0.1).onset, 7.5)[0] for _ in range(nights)]
            hits[i] = np.mean(np.asarray(index) > over)
        out[word] = np.maximum.accumulate(hits)
    return grid, out


def fit_generator(world: World, seed: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Fit the generator to the anchors.

    Parameters
    ----------
    world : World
        People.
    seed : int
        Of the nights.

    Returns
    -------
    tuple of pandas.DataFrame
        Parameters (prior, value, posterior SD, whether the anchors move it), and
        anchors (share wanted and fitted).
    """
    general = world.table("general")
    z = np.random.default_rng([seed, 52]).normal(size=len(general))
    loci = general["btbd9"].to_numpy()
    (locus,) = (x for x in data("population")["locus"] if x["id"] == "btbd9")
    gene = np.log(locus["odds"]) * (loci - 2 * locus["frequency"])
    old = general["age"].to_numpy() >= 60
    anchors = data("population")["anchor"]
    grid, curves = chance(15.0, seed)
    people = general.assign(general=True, patient=general["rls"] & (general["irls"] >= 10))
    who = [np.asarray(people.eval(a["where"]), dtype=bool) for a in anchors]

    def shares(theta: Array) -> Array:
        rate, sd, male, per_year, slope = theta
        hazard = rate + sd * z + gene + male * (1 - general["female"].to_numpy())
        hazard = hazard + per_year * (general["age"].to_numpy() - 50)
        hazard = hazard + slope * general["plm_drive@0"].to_numpy()
        p = np.where(old, np.interp(hazard, grid, curves["old"]),
                     np.interp(hazard, grid, curves["young"]))  # fmt: skip
        out: Array = np.array([100 * p[w].mean() for w in who])
        return out

    centre, sd = np.array(list(FREE.values())).T
    wanted = np.array([a["share"] for a in anchors])
    error = np.array([a["error"] for a in anchors])

    def off(theta: Array) -> Array:
        out: Array = np.r_[(shares(theta) - wanted) / error, (theta - centre) / sd]
        return out

    found = least_squares(off, centre, diff_step=[0.02] * len(centre))
    jac: Array = np.asarray(found.jac, dtype=np.float64)
    spread = np.sqrt(np.diag(np.linalg.inv(jac.T @ jac)))
    values = found.x.copy()
    values[0] = np.exp(values[0])
    parameters = pd.DataFrame({
        "parameter": list(FREE), "prior_centre": np.r_[np.exp(centre[0]), centre[1:]],
        "prior_sd": sd, "value": values, "posterior_sd": spread,
        "identified": np.where(spread < 0.8 * sd, "yes", "not identified"),
    })  # fmt: skip
    table = pd.DataFrame({
        "anchor": [a["name"] for a in anchors], "share": wanted, "error": error,
        "fitted": shares(found.x),
    })  # fmt: skip
    return parameters, table
