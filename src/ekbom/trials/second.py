"""The second step of the calibration: five parameters on the model itself.

The first step finds the posterior of all free parameters on an emulator, which is far off
for two summaries. Here parameters that act on few targets are fitted anew on the model, with
the shipped values of all else: the saturation at which the barrier is half supplied (held in
the first step) together with the exponents of ferritin and transferrin in the CSF, to every
target; the shift of the drive in East Asia to EP09; the strength of augmentation to TX12.
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
from ekbom.trials.summary import SHIFTS, finish, setting, summaries

Array = NDArray[np.float64]
#: Points of a posterior between the runs.
_FINE = 61
#: Parameters of the second step.
SECOND = ("k_tsat", "nu", "mu", "x_asia", "al_aug")


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


def augmentation(*, people: int = 500, seed: int = 1) -> pd.DataFrame:
    """Run the year on pramipexole over the strength of augmentation.

    Parameters
    ----------
    people, seed : int
        As for :func:`barrier`; the saturation at half supply, which hardly changes it, as
        shipped.

    Returns
    -------
    pandas.DataFrame
        A row a value, with ``augmentation`` in %.
    """
    own, entry = shipped_values(), _priors()["al_aug"]
    rows = []
    for v in _grid(entry, entry["points"]):
        changed = own | {"al_aug": float(v)}
        made = summaries(changed, n=people, seed=seed, only=("augmentation",))
        rows.append({"al_aug": float(v), "augmentation": made["augmentation"]})
    return pd.DataFrame(rows)


def combine(
    runs: pd.DataFrame, strength: pd.DataFrame, *, particles: int = 400, seed: int = 1
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the posterior of the second step and what the targets are at its medians.

    Parameters
    ----------
    runs : pandas.DataFrame
        Of :func:`barrier`.
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
    log = np.zeros(shape)
    for t in setting().targets:
        if t["summary"] not in ("asia", "augmentation"):
            log = log - 0.5 * distance(np.broadcast_to(made[t["summary"]], shape), t) ** 2
    rng = np.random.default_rng([seed, 71])
    weight = np.exp(log - log.max()).ravel()
    place = np.unravel_index(rng.choice(weight.size, particles, p=weight / weight.sum()), shape)
    out = {k: fine[k][i] for k, i in zip(SECOND[:3], place, strict=True)}
    middle = float(np.median(out["k_tsat"]))
    share = [np.interp(np.log(middle), np.log(runs["k_tsat"]), runs[f"asia_{k}"])
             for k in range(len(SHIFTS))]  # fmt: skip
    asia = np.exp(np.interp(fine["x_asia"], SHIFTS, share))
    year = np.interp(np.log(fine["al_aug"]), np.log(strength["al_aug"]), strength["augmentation"])
    for name, values, finding in (("x_asia", asia, "EP09"), ("al_aug", year, "TX12")):
        (target,) = (t for t in setting().targets if t["id"] == finding)
        p = np.exp(-0.5 * distance(values, target) ** 2)
        out[name] = rng.choice(fine[name], particles, p=p / p.sum())
    sample = pd.DataFrame(out)
    median = sample.median()
    last = {k: float(np.interp(np.log(middle), np.log(fine["k_tsat"]), v)) for k, v in at.items()}
    last = finish(last, float(median["nu"]), float(median["mu"]))
    last["asia"] = float(np.interp(median["x_asia"], fine["x_asia"], asia))
    last["augmentation"] = float(np.interp(median["al_aug"], fine["al_aug"], year))
    first = finish(dict(at_shipped(runs)), own["nu"], own["mu"])
    table = pd.DataFrame([
        {"finding": t["id"], "summary": t["summary"], "printed": t["value"], "se": t["se"],
         "bound": t.get("bound", ""), "first step": float(first[t["summary"]]),
         "second step": float(last[t["summary"]]),
         "distance_in_se": float(distance(np.asarray(last[t["summary"]]), t))}
        for t in setting().targets
    ])  # fmt: skip
    return sample, table


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


@cache
def _priors() -> dict[str, dict[str, Any]]:
    text = files("ekbom.trials.data").joinpath("calibration.toml").read_text("utf-8")
    return {e["id"]: e for e in tomllib.loads(text)["second"]}


def _grid(entry: dict[str, Any], count: int) -> Array:
    low, high = float(entry["low"]), float(entry["high"])
    out: Array = np.geomspace(low, high, count) if low > 0 else np.linspace(low, high, count)
    return out
