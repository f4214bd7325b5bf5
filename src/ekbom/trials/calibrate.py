"""Calibration by ABC-SMC over the free parameters, through a checked emulator.

The model is run at a Sobol design over the prior; each summary is emulated by a
Gaussian process on a linear trend (Rasmussen and Williams 2006, chapter 2);
sequential Monte Carlo with an adaptive tolerance and Markov moves (Del Moral, Doucet
and Jasra 2012, doi:10.1007/s11222-011-9271-y) then runs on the emulator, and the model
is run once more at accepted points to say how far the emulator is off. Rows used here
never count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.stats import qmc

from ekbom.errors import Refused
from ekbom.trials.summary import finish, setting, summaries, values_of

Array = NDArray[np.float64]
#: Above this overlap of prior and posterior a parameter is not identified.
OVERLAP = 0.8
_BINS = 20
#: Markov moves of every particle in a generation.
MOVES = 12


@dataclass(frozen=True)
class Emulator:
    """Gaussian processes of the summaries over the unit cube of the free parameters.

    Parameters
    ----------
    x : (M, P) float
        Design.
    names : tuple of str
        Summaries.
    trend : (1 + P, K) float
        Linear trend of each.
    weight : (M, K) float
        Weights of the kernel.
    lengths : (K,) float
        Length scales.
    """

    x: Array
    names: tuple[str, ...]
    trend: Array
    weight: Array
    lengths: Array

    def __call__(self, u: Array) -> dict[str, Array]:
        """Return each summary at (N, P) points."""
        line = np.column_stack([np.ones(len(u)), u]) @ self.trend
        apart = ((u[:, None, :] - self.x[None]) ** 2).sum(-1)
        return {
            k: line[:, j] + np.exp(-apart / (2 * self.lengths[j] ** 2)) @ self.weight[:, j]
            for j, k in enumerate(self.names)
        }


@dataclass(frozen=True)
class Calibration:
    """What the calibration found.

    Parameters
    ----------
    parameters : pandas.DataFrame
        A row a parameter: prior, posterior, effective sample size, overlap, label.
    targets : pandas.DataFrame
        A row a target: printed, posterior of the summary, distance in standard errors,
        error of the emulator.
    generations : pandas.DataFrame
        Tolerance and acceptance.
    particles : pandas.DataFrame
        Posterior: values and weight.
    """

    parameters: pd.DataFrame
    targets: pd.DataFrame
    generations: pd.DataFrame
    particles: pd.DataFrame


def design(runs: int, seed: int) -> Array:
    """Return the points at which the model is run.

    Parameters
    ----------
    runs : int
        Number of points.
    seed : int
        Of the scrambling.

    Returns
    -------
    (runs, P) array
        A scrambled Sobol sequence in the unit cube.
    """
    sampler = qmc.Sobol(len(setting().free), scramble=True, seed=seed)
    out: Array = sampler.random_base2(int(np.ceil(np.log2(max(runs, 2)))))[:runs]
    return out


def run_design(
    runs: int,
    seed: int,
    done: pd.DataFrame | None = None,
    keep: Callable[[pd.DataFrame], None] | None = None,
    *,
    people: int = 600,
) -> pd.DataFrame:
    """Run the model at the design, going on from what is done.

    Parameters
    ----------
    runs, seed : int
        As in :func:`design`.
    done : pandas.DataFrame, optional
        Earlier result of the same design.
    keep : callable, optional
        Called with the table after every run, to store it.
    people : int
        People of each run.

    Returns
    -------
    pandas.DataFrame
        A row a run, a column a summary.
    """
    x = design(runs, seed)
    rows: list[Any] = [] if done is None else done.to_dict("records")
    if len(rows) > runs:
        raise Refused("More runs are stored than asked for.", found=len(rows), expected=runs)
    for i in range(len(rows), runs):
        rows.append(summaries(values_of(x[i]), n=people, seed=seed))
        if keep is not None:
            keep(pd.DataFrame(rows))
    return pd.DataFrame(rows)


def emulate(x: Array, table: pd.DataFrame) -> tuple[Emulator, pd.Series]:
    """Fit the emulator; length scale and noise by leave-one-out error.

    Parameters
    ----------
    x : (M, P) float
        Design.
    table : pandas.DataFrame
        Summaries, M rows.

    Returns
    -------
    tuple of Emulator and pandas.Series
        Emulator, and the leave-one-out error of each summary (root mean square).
    """
    y = table.to_numpy(float)
    flat = np.column_stack([np.ones(len(x)), x])
    trend = np.linalg.lstsq(flat, y, rcond=None)[0]
    left = y - flat @ trend
    apart = ((x[:, None, :] - x[None]) ** 2).sum(-1)
    weight, lengths, errors = np.zeros_like(left), np.ones(y.shape[1]), np.zeros(y.shape[1])
    for j in range(y.shape[1]):
        best = np.inf
        size = max(float(left[:, j].var()), 1e-18)
        for length in (0.5, 0.8, 1.2, 2.0):
            kernel = np.exp(-apart / (2 * length**2))
            for noise in (1e-3, 1e-2, 0.05, 0.2, 0.5):
                inverse = cho_solve(cho_factor(kernel + noise * np.eye(len(x))), np.eye(len(x)))
                alpha = inverse @ left[:, j]
                loo = float(np.mean((alpha / np.diag(inverse)) ** 2))
                if loo < best:
                    best, weight[:, j], lengths[j] = loo, alpha, length
        errors[j] = np.sqrt(min(best, size))
    names = tuple(str(c) for c in table.columns)
    return Emulator(x, names, trend, weight, lengths), pd.Series(errors, index=names)


def distance(found: dict[str, Array], error: pd.Series) -> Array:
    """Return the distance of each particle: root mean square over targets, in standard errors.

    Parameters
    ----------
    found : dict of str to (N,) array
        Summaries.
    error : pandas.Series
        Error of the emulator, added to the printed standard error.

    Returns
    -------
    (N,) array
        Distance.
    """
    parts = [_apart(found, t, error) ** 2 for t in setting().targets]
    out: Array = np.sqrt(np.mean(parts, axis=0))
    return out


def _apart(found: dict[str, Array], target: dict[str, object], error: pd.Series) -> Array:
    name = str(target["summary"])
    se = np.hypot(float(target["se"]), float(error.get(name, 0.0)))  # type: ignore[arg-type]
    off: Array = (found[name] - float(target["value"])) / se  # type: ignore[arg-type]
    if target.get("bound") == "below":
        return np.maximum(off, 0.0)
    if target.get("bound") == "above":
        return np.minimum(off, 0.0)
    return off


def calibrate(
    x: Array, table: pd.DataFrame, *, particles: int = 1000, generations: int = 16, seed: int = 1,
    checks: int = 8, people: int = 600,
) -> Calibration:  # fmt: skip
    """Run ABC-SMC on the emulator and check it at accepted points.

    Parameters
    ----------
    x : (M, P) float
        Design.
    table : pandas.DataFrame
        Its summaries.
    particles, generations, seed : int
        Size and seed of the run.
    checks : int
        Accepted points at which the model itself is run.
    people : int
        People of each such run.

    Returns
    -------
    Calibration
        Posterior, targets, generations.
    """
    emulator, error = emulate(x, table)
    free = setting().free
    names = [f["id"] for f in free]
    where = {k: names.index(k) for k in ("nu", "mu")}

    def look(u: Array) -> dict[str, Array]:
        raw = emulator(u)
        for k in [k for k in raw if k.startswith("lnb_var")]:
            raw[k] = np.maximum(raw[k], 1e-4)
        own = {k: np.array([values_of(r)[k] for r in u]) for k in where}
        return finish(raw, own["nu"], own["mu"])

    rng = np.random.default_rng([seed, 31])
    p = len(free)
    u = rng.random((4 * particles, p))
    far = distance(look(u), error)
    first = np.argsort(far, kind="stable")[:particles]
    u, far = u[first], far[first]
    history = [{"generation": 0, "tolerance": float(far.max()), "accepted": 0.25}]
    for g in range(1, generations):
        tolerance = float(np.quantile(far, 0.6))
        alive = np.flatnonzero(far <= tolerance)
        root = np.linalg.cholesky(
            2.38**2 / p * np.cov(u[alive].T) + 1e-8 * np.eye(p)
        )  # Roberts, Gelman and Gilks 1997
        pick = rng.choice(alive, particles)
        u, far = u[pick].copy(), far[pick].copy()
        moved = 0
        for _ in range(MOVES):
            offer = u + 0.5 * rng.normal(size=u.shape) @ root.T
            d = distance(look(np.clip(offer, 0, 1)), error)
            good = (d <= tolerance) & np.all((offer > 0) & (offer < 1), axis=1)
            u[good], far[good] = offer[good], d[good]
            moved += int(good.sum())
        rate = moved / (MOVES * particles)
        history.append({"generation": g, "tolerance": tolerance, "accepted": rate})
        if rate < 0.01:
            break  # the tolerance has reached what the model can do
    weight = np.full(particles, 1 / particles)
    return Calibration(
        _parameters(u, weight),
        _targets(u, weight, look, error, rng, checks, people, seed),
        pd.DataFrame(history),
        pd.DataFrame([values_of(r) for r in u]).assign(weight=weight),
    )


def _parameters(u: Array, weight: Array) -> pd.DataFrame:
    rows = []
    # particles that the moves have left alike count once
    ess = float(len(np.unique(u, axis=0)))
    for j, f in enumerate(setting().free):
        share = np.histogram(u[:, j], np.linspace(0, 1, _BINS + 1), weights=weight)[0]
        overlap = float(np.minimum(share, 1 / _BINS).sum())
        value = np.array([values_of(r)[f["id"]] for r in u])
        order = np.argsort(value)
        low, mid, high = np.interp([0.05, 0.5, 0.95], np.cumsum(weight[order]), value[order])
        rows.append({
            "parameter": f["id"], "acts_on": f["target"], "prior_low": f["low"],
            "prior_high": f["high"], "prior": f["scale"], "median": mid, "q05": low, "q95": high,
            "effective_n": ess, "overlap": overlap,
            "identified": "yes" if overlap < OVERLAP else "not identified",
        })  # fmt: skip
    return pd.DataFrame(rows)


def _targets(
    u: Array, weight: Array, look: Callable[[Array], dict[str, Array]], error: pd.Series,
    rng: np.random.Generator, checks: int, people: int, seed: int,
) -> pd.DataFrame:  # fmt: skip
    found = look(u)
    pick = rng.choice(len(u), checks, p=weight)
    ran = []
    for r in u[pick]:
        own = values_of(r)
        ran.append(finish(summaries(own, n=people, seed=seed), own["nu"], own["mu"]))
    rows = []
    for t in setting().targets:
        x = found[t["summary"]]
        order = np.argsort(x)
        low, mid, high = np.interp([0.05, 0.5, 0.95], np.cumsum(weight[order]), x[order])
        off = np.array([m[t["summary"]] for m in ran]) - x[pick]
        rows.append({
            "finding": t["id"], "summary": t["summary"], "printed": t["value"], "se": t["se"],
            "bound": t.get("bound", ""), "median": mid, "q05": low, "q95": high,
            "distance_in_se": float(_apart({t["summary"]: np.array([mid])}, t, error * 0)[0]),
            "emulator_error_in_se": float(np.sqrt(np.mean(off**2)) / t["se"]) if checks else np.nan,
        })  # fmt: skip
    return pd.DataFrame(rows)
