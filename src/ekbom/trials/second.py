"""The second step of the calibration: eight parameters on the model itself.

The first step finds the posterior of all free parameters on an emulator, which is far off
for two summaries. Here parameters that act on few targets are fitted anew on the model, with
the shipped values of all else: the saturation at which the barrier is half supplied (held in
the first step) together with the exponents of ferritin and transferrin in the CSF, to every
target; the shift of the drive in East Asia to EP09; the potencies of pramipexole and of
levodopa to TX09 and TX05; the strength of augmentation and its spread between people to both
numbers of TX12, the share after a year and that after 2.7 years.
Posterior: prior times the normal likelihood of the targets with their printed errors.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom.disease import cohort as co
from ekbom.disease.model import load
from ekbom.trials.summary import SHIFTS, augmentation_curve, finish, setting, summaries

Array = NDArray[np.float64]
#: Points of a posterior between the runs.
_FINE = 61
#: Parameters of the second step.
SECOND = ("k_tsat", "nu", "mu", "x_asia", "ec_g3", "lam_l", "al_aug", "sd_aug")
#: Potencies, the summary of each and the finding it is fitted to (a key of the summaries).
POTENCY = {"ec_g3": ("pramipexole", "TX09"), "lam_l": ("levodopa", "TX05")}


def shipped_values() -> dict[str, float]:
    """Return the shipped value of every free parameter of the first step.

    Returns
    -------
    dict of str to float
        By the id of ``calibration.toml``.
    """
    defaults, population = load().defaults, co.data("population")
    out = {}
    for f in setting().free:
        if f["kind"] == "spread":
            out[f["id"]] = float(population["distributions"][f["target"]]["scale"])
        elif f["kind"] == "population":
            part, key = f["target"].split(".")
            out[f["id"]] = float(population[part][key]["value"])
        elif f["id"] == "al_aug":
            out[f["id"]] = float(population["distributions"]["al_aug"]["location"])
        else:
            out[f["id"]] = float(defaults[f["target"]])
    return out


def barrier(*, people: int = 500, seed: int = 1) -> pd.DataFrame:
    """Run the model over the saturation at half supply.

    Parameters
    ----------
    people : int
        People of each run.
    seed : int
        Of every draw, the same for all runs.

    Returns
    -------
    pandas.DataFrame
        A row a value, a column a summary (before :func:`ekbom.trials.summary.finish`).
    """
    own, entry = shipped_values(), _priors()["k_tsat"]
    rows = []
    for v in _grid(entry, entry["points"]):
        made = summaries(own, n=people, seed=seed, more={"k_tsat": float(v)})
        rows.append({"k_tsat": float(v)} | made)
    return pd.DataFrame(rows)


def potencies(*, people: int = 500, seed: int = 1) -> pd.DataFrame:
    """Run the trials of pramipexole and levodopa over the potency of each.

    Parameters
    ----------
    people, seed : int
        As for :func:`barrier`; the saturation at half supply as shipped.

    Returns
    -------
    pandas.DataFrame
        A row a value: ``parameter``, ``at``, and the ``change`` of severity against placebo.
    """
    own, rows = shipped_values(), []
    for name, (summary, _) in POTENCY.items():
        entry = _priors()[name]
        for v in _grid(entry, entry["points"]):
            made = summaries(own | {name: float(v)}, n=people, seed=seed, only=(summary,))
            rows.append({"parameter": name, "at": float(v), "change": made[summary]})
    return pd.DataFrame(rows)


def augmentation(potency: pd.DataFrame, *, people: int = 500, seed: int = 1) -> pd.DataFrame:
    """Run years on pramipexole over the strength of augmentation, the same for everyone.

    Parameters
    ----------
    potency : pandas.DataFrame
        Of :func:`potencies`: the drug is as strong as TX09 asks.
    people, seed : int
        As for :func:`barrier`.

    Returns
    -------
    pandas.DataFrame
        A row a strength and time: ``al_aug``, ``years``, ``augmentation`` in %.
    """
    grid = _grid(_priors()["ec_g3"], _FINE)
    p = _of_potency(potency, "ec_g3", grid)
    middle = float(np.interp(0.5, np.cumsum(p), grid))
    entry = _priors()["al_aug"]
    years = [float(y) for y in entry["years"]]
    low, high = (float(v) for v in entry["runs"])
    at: Array = np.geomspace(low, high, int(entry["points"]))
    made = augmentation_curve(shipped_values() | {"ec_g3": middle}, at, years, n=people, seed=seed)
    return pd.DataFrame([
        {"al_aug": a, "years": y, "augmentation": made[i, j]}
        for i, a in enumerate(at) for j, y in enumerate(years)
    ])  # fmt: skip


def _of_potency(potency: pd.DataFrame, name: str, grid: Array) -> Array:
    summary, finding = POTENCY[name]
    runs = potency[potency["parameter"] == name]
    change = np.interp(np.log(grid), np.log(runs["at"]), runs["change"])
    p = np.exp(-0.5 * distance(change, _target(finding, summary)) ** 2)
    return np.asarray(p / p.sum())


def shares(strength: pd.DataFrame, median: Array, spread: Array) -> dict[float, Array]:
    """Return how many augment when strengths differ between people.

    Parameters
    ----------
    strength : pandas.DataFrame
        Of :func:`augmentation`.
    median, spread : array
        Of the log-normal strength; shapes that broadcast.

    Returns
    -------
    dict of float to array
        Years to per cent.
    """
    z, w = np.polynomial.hermite_e.hermegauss(31)
    at = np.log(np.asarray(median))[..., None] + np.asarray(spread)[..., None] * z
    return {
        float(year): np.interp(at, np.log(t["al_aug"]), t["augmentation"]) @ (w / w.sum())
        for year in strength["years"].unique()
        for t in [strength[strength["years"] == year]]
    }


def combine(
    runs: pd.DataFrame,
    potency: pd.DataFrame,
    strength: pd.DataFrame,
    *,
    particles: int = 400,
    seed: int = 1,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the posterior of the second step and what the targets are at its medians.

    Parameters
    ----------
    runs : pandas.DataFrame
        Of :func:`barrier`.
    potency : pandas.DataFrame
        Of :func:`potencies`.
    strength : pandas.DataFrame
        Of :func:`augmentation`.
    particles, seed : int
        Size and seed of the sample.

    Returns
    -------
    tuple of pandas.DataFrame
        Sample, a column a parameter; and a row a target: printed, value, distance in
        standard errors.
    """
    prior, own = _priors(), shipped_values()
    fine = {k: _grid(prior[k], _FINE) for k in SECOND}
    at = {c: np.interp(np.log(fine["k_tsat"]), np.log(runs["k_tsat"]), runs[c])
          for c in runs.columns if c != "k_tsat"}  # fmt: skip
    # saturation, with both exponents beside it; the exponents act on FE01 and FE02 only
    wide = {k: v[:, None, None] for k, v in at.items()}
    made = finish(wide, fine["nu"][None, :, None], fine["mu"][None, None, :])
    shape = (_FINE, _FINE, _FINE)
    later_on = {"asia", "augmentation"} | {summary for summary, _ in POTENCY.values()}
    log = np.zeros(shape)
    for t in setting().targets:
        if t["summary"] not in later_on:
            log = log - 0.5 * distance(np.broadcast_to(made[t["summary"]], shape), t) ** 2
    rng = np.random.default_rng([seed, 71])
    weight = np.exp(log - log.max()).ravel()
    place = np.unravel_index(rng.choice(weight.size, particles, p=weight / weight.sum()), shape)
    out = {k: fine[k][i] for k, i in zip(SECOND[:3], place, strict=True)}
    middle = float(np.median(out["k_tsat"]))
    share = [np.interp(np.log(middle), np.log(runs["k_tsat"]), runs[f"asia_{k}"])
             for k in range(len(SHIFTS))]  # fmt: skip
    asia = np.exp(np.interp(fine["x_asia"], SHIFTS, share))
    p = np.exp(-0.5 * distance(asia, _target("EP09", "asia")) ** 2)
    out["x_asia"] = rng.choice(fine["x_asia"], particles, p=p / p.sum())
    for name in POTENCY:
        out[name] = rng.choice(fine[name], particles, p=_of_potency(potency, name, fine[name]))
    first_year, later = prior["al_aug"]["years"]
    made_share = shares(strength, fine["al_aug"][:, None], fine["sd_aug"][None, :])
    off = distance(made_share[first_year], _target("TX12", "augmentation")) ** 2
    off = off + ((made_share[later] - prior["al_aug"]["later"]) / prior["al_aug"]["later_se"]) ** 2
    p = np.exp(-0.5 * off).ravel()
    place = np.unravel_index(rng.choice(p.size, particles, p=p / p.sum()), off.shape)
    out["al_aug"], out["sd_aug"] = fine["al_aug"][place[0]], fine["sd_aug"][place[1]]
    sample = pd.DataFrame(out)
    median = sample.median()
    last = {k: float(np.interp(np.log(middle), np.log(fine["k_tsat"]), v)) for k, v in at.items()}
    last = finish(last, float(median["nu"]), float(median["mu"]))
    last["asia"] = float(np.interp(median["x_asia"], fine["x_asia"], asia))
    for name, (summary, _) in POTENCY.items():
        of = potency[potency["parameter"] == name]
        last[summary] = float(np.interp(np.log(median[name]), np.log(of["at"]), of["change"]))
    ended = shares(strength, np.array(median["al_aug"]), np.array(median["sd_aug"]))
    last["augmentation"] = float(ended[first_year])
    first = finish(dict(at_shipped(runs)), own["nu"], own["mu"])
    table = pd.DataFrame([
        {"finding": t["id"], "summary": t["summary"], "printed": t["value"], "se": t["se"],
         "bound": t.get("bound", ""), "first step": float(first[t["summary"]]),
         "second step": float(last[t["summary"]]),
         "distance_in_se": float(distance(np.asarray(last[t["summary"]]), t))}
        for t in setting().targets
    ])  # fmt: skip
    entry, found = prior["al_aug"], float(ended[later])
    extra = {"finding": "TX12", "summary": f"augmentation, {later:g} years",
             "printed": entry["later"], "se": entry["later_se"], "bound": "",
             "first step": np.nan, "second step": found,
             "distance_in_se": (found - entry["later"]) / entry["later_se"]}  # fmt: skip
    return sample, pd.concat([table, pd.DataFrame([extra])], ignore_index=True)


def at_shipped(runs: pd.DataFrame) -> dict[str, float]:
    """Return the summaries at the saturation that the first step held.

    Parameters
    ----------
    runs : pandas.DataFrame
        Of :func:`barrier`.

    Returns
    -------
    dict of str to float
        Interpolated in the logarithm.
    """
    held = float(_priors()["k_tsat"]["held"])
    x = np.log(runs["k_tsat"])
    return {c: float(np.interp(np.log(held), x, runs[c])) for c in runs.columns if c != "k_tsat"}


def distance(values: Array, target: dict[str, Any]) -> Array:
    """Return how far a summary is from print, in standard errors.

    Parameters
    ----------
    values : array
        Summary.
    target : dict
        Of ``calibration.toml``; beyond a bound nothing is far.

    Returns
    -------
    array
        Signed distance.
    """
    off: Array = (values - float(target["value"])) / float(target["se"])
    if target.get("bound") == "below":
        return np.maximum(off, 0.0)
    return np.minimum(off, 0.0) if target.get("bound") == "above" else off


def _target(finding: str, summary: str) -> dict[str, Any]:
    (out,) = (t for t in setting().targets if (t["id"], t["summary"]) == (finding, summary))
    return out


@cache
def _priors() -> dict[str, dict[str, Any]]:
    text = files("ekbom.trials.data").joinpath("calibration.toml").read_text("utf-8")
    return {e["id"]: e for e in tomllib.loads(text)["second"]}


def _grid(entry: dict[str, Any], count: int) -> Array:
    low, high = float(entry["low"]), float(entry["high"])
    out: Array = np.geomspace(low, high, count) if low > 0 else np.linspace(low, high, count)
    return out
