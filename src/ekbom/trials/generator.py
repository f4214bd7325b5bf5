"""Calibration of the generator of leg movements to surveys and to many nights of patients.

The anchors (``anchor`` in ``population.toml``) are shares of people over a number of
movements an hour in one night or in the highest of five, what twenty patients differed
between nights (Trotti 2009), and the periodicity of 150 patients (Shin 2016); none of them
is a row of the findings. Nights are simulated
once over the log hazard of episodes, for three lengths of episodes, and counted by
``measures.legs`` under the rule of 5 to 90 s; the parameters then follow by least squares
with a weak prior, and the length of episodes is the one with the least distance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import least_squares

from ekbom.disease import cohort as co
from ekbom.disease.cohort import data
from ekbom.disease.plm import night
from ekbom.trials.columns import OLD, periodicity, scored, value

Array = NDArray[np.float64]
#: Free parameters with centre and SD of their prior, on the scale on which they are fitted.
FREE = {
    "rate": (np.log(0.1), 1.5), "person_sd": (1.3, 0.4), "male": (0.2, 0.3),
    "per_year": (0.04, 0.02), "b_drive": (0.8, 0.4), "night_sd": (0.5, 0.3),
}  # fmt: skip
#: Lengths of an episode that are tried, min.
LENGTHS = (5.0, 10.0, 20.0)
_GRID = np.arange(-4.5, 3.51, 0.5)
#: Nights of the highest and the lowest of a patient.
_MANY = 12


@dataclass(frozen=True)
class Nights:
    """Indices of simulated nights over the log hazard, without an effect of the night.

    Parameters
    ----------
    young, old : (G, K) float
        Movements an hour at 45 and at 75 years.
    young_pi, old_pi : (G, K) float
        Periodicity index of Ferri 2006 of the same nights.
    """

    young: Array
    old: Array
    young_pi: Array
    old_pi: Array


def simulated(length: float, seed: int, nights: int = 50) -> Nights:
    """Simulate nights over the log hazard.

    Parameters
    ----------
    length : float
        Mean length of an episode, min.
    seed : int
        Of the nights.
    nights : int
        At each hazard.

    Returns
    -------
    Nights
        Indices.
    """
    made, made_pi = [], []
    for age in (45.0, 75.0):
        out, pi = np.zeros((2, len(_GRID), nights))
        for i, g in enumerate(_GRID):
            rng = np.random.default_rng([seed, 51, i])
            person = g - np.log(value("plm", "rate")) - value("plm", "per_year") * (age - 50)
            for j in range(nights):
                short = float(rng.normal())
                one = night(rng, age, person, 0.1, night_sd=0.0, tau_on=length, short=short)
                onset = one.onset
                out[i, j], pi[i, j] = scored(onset, 7.5, OLD)[0], periodicity(onset)
        made.append(out)
        made_pi.append(pi)
    return Nights(*made, *made_pi)


def people_table(n: int, seed: int) -> pd.DataFrame:
    """Return people with what the generator asks of them.

    Parameters
    ----------
    n, seed : int
        Number, and seed.

    Returns
    -------
    pandas.DataFrame
        Table of :func:`ekbom.disease.cohort.table` with diagnosis and severity.
    """
    frame = pd.DataFrame(co.table(co.settled(co.draw(n, seed)[0])))
    z = frame["z"].to_numpy()
    cut = co.threshold(z)
    score = co.irls(z, cut, np.random.default_rng([seed, 3]))
    return frame.assign(rls=z > cut, irls=score)


def fit_generator(
    people: pd.DataFrame, seed: int = 1, lengths: tuple[float, ...] = LENGTHS
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Fit the generator to the anchors.

    Parameters
    ----------
    people : pandas.DataFrame
        Of :func:`people_table`.
    seed : int
        Of the nights.
    lengths : tuple of float
        Lengths of an episode that are tried, min.

    Returns
    -------
    tuple of pandas.DataFrame
        Parameters (prior, value, posterior SD, whether the anchors move it), their
        covariance, and anchors (wanted and fitted, for every length that was tried).
    """
    fits = [_fit(people, simulated(k, seed), seed) for k in lengths]
    best = int(np.argmin([f[2] for f in fits]))
    theta, spread, _, shares = fits[best]
    centre, sd = np.array(list(FREE.values())).T
    values = theta.copy()
    values[0] = np.exp(values[0])
    own = np.sqrt(np.diag(spread))
    parameters = pd.DataFrame({
        "parameter": list(FREE), "prior_centre": np.r_[np.exp(centre[0]), centre[1:]],
        "prior_sd": sd, "value": values, "posterior_sd": own,
        "identified": np.where(own < 0.8 * sd, "yes", "not identified"),
    })  # fmt: skip
    anchors = data("population")["anchor"]
    table = pd.DataFrame({
        "anchor": [a["name"] for a in anchors], "wanted": [a["share"] for a in anchors],
        "error": [a["error"] for a in anchors], "fitted": shares,
    })  # fmt: skip
    for k, f in zip(lengths, fits, strict=True):
        table[f"episodes of {k:g} min"] = f[3]
    last: dict[str, Any] = {"anchor": "distance", "fitted": fits[best][2]}
    last |= {f"episodes of {k:g} min": f[2] for k, f in zip(lengths, fits, strict=True)}
    table = pd.concat([table, pd.DataFrame([last])], ignore_index=True)
    return parameters, pd.DataFrame(spread, columns=list(FREE)), table


def _fit(people: pd.DataFrame, made: Nights, seed: int) -> tuple[Array, Array, float, Array]:
    anchors = data("population")["anchor"]
    frame = people.assign(general=True, patient=people["rls"] & (people["irls"] >= 10))
    who = [np.asarray(frame.eval(a["where"]), bool) for a in anchors]
    (locus,) = (x for x in data("population")["locus"] if x["id"] == "btbd9")
    gene = value("plm", "per_liability") * np.log(locus["odds"]) * (
        frame["btbd9"].to_numpy() - 2 * locus["frequency"]
    )  # fmt: skip
    z, men = frame["z_plm"].to_numpy(), 1 - frame["female"].to_numpy()
    age, drive = frame["age"].to_numpy(), frame["plm_drive@0"].to_numpy()
    old = np.clip((age - 55) / 10, 0, 1)[:, None]
    rng = np.random.default_rng([seed, 53])
    effect, pick = rng.normal(size=(len(age), _MANY)), rng.random((len(age), _MANY))
    at, weight = np.polynomial.hermite_e.hermegauss(9)
    weight = weight / weight.sum()
    curve = {
        over: [np.maximum.accumulate((m > over).mean(1)) for m in (made.young, made.old)]
        for over in {a["over"] for a in anchors if "kind" not in a}
    }

    def chance(hazard: Array, night_sd: float, over: float) -> Array:
        h = hazard[:, None] + night_sd * at
        a, b = (np.interp(h, _GRID, c) for c in curve[over])
        out: Array = ((1 - old) * a + old * b) @ weight
        return out

    def many(hazard: Array, night_sd: float) -> tuple[Array, Array]:
        h = hazard[:, None] + night_sd * effect
        i = np.clip(np.round((h - _GRID[0]) / 0.5).astype(int), 0, len(_GRID) - 1)
        j = (pick * made.young.shape[1]).astype(int)
        index: Array = np.where(old > 0.5, made.old[i, j], made.young[i, j])
        pi: Array = np.where(old > 0.5, made.old_pi[i, j], made.young_pi[i, j])
        return index, pi

    def shares(theta: Array) -> Array:
        rate, sd, male, per_year, slope, night_sd = theta
        hazard = rate + sd * z + gene + male * men + per_year * (age - 50) + slope * drive
        out = []
        for a, w in zip(anchors, who, strict=True):
            if a.get("kind") == "range":
                x = many(hazard, night_sd)[0][w]
                out.append(float(np.mean(x.max(1) - x.min(1))))
            elif a.get("kind") == "periodicity":
                x, pi = many(hazard, night_sd)
                out.append(100 * float(np.mean(pi[w][x[w] > a["over"]])))
            else:
                p = chance(hazard, night_sd, a["over"])[w]
                out.append(100 * float(np.mean(1 - (1 - p) ** a.get("nights", 1))))
        return np.array(out)

    centre, sd = np.array(list(FREE.values())).T
    wanted: Any = np.array([a["share"] for a in anchors])
    error: Any = np.array([a["error"] for a in anchors])

    def off(theta: Array) -> Array:
        out: Array = np.r_[(shares(theta) - wanted) / error, (theta - centre) / sd]
        return out

    lower = np.full(len(centre), -np.inf)
    lower[[1, 5]] = 0.05
    found = least_squares(
        off, centre, diff_step=[0.02] * len(centre), bounds=(lower, np.full(len(centre), np.inf))
    )
    jac: Array = np.asarray(found.jac, dtype=np.float64)
    theta: Array = np.asarray(found.x, dtype=np.float64)
    spread: Array = np.asarray(np.linalg.inv(jac.T @ jac), dtype=np.float64)
    return theta, spread, 2 * float(found.cost), shares(theta)
