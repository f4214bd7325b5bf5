"""The two computed constraints, and calibration of the read-out exponents by ABC-SMC."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from ekbom.trials.recipes import recipes
from ekbom.trials.studies import simulate_study
from ekbom.trials.world import World

Array = NDArray[np.float64]
#: Printed means, spreads and n of FE01 and FE02 (Earley 2000, PMID 10764522).
_PRINTED = {
    "CSF ferritin": (1.11, 0.25, 16, 3.50, 0.55, 8, 2e-4),
    "CSF transferrin": (26.4, 5.1, 16, 6.71, 1.6, 8, 0.018),
}


def spread_readings() -> pd.DataFrame:
    """Return what the printed spread of FE01 and FE02 means, read as SE and as SD.

    Returns
    -------
    pandas.DataFrame
        Quantity, reading, SDs, d, pooled and Welch t, their p, printed p.
    """
    rows = []
    for name, (ma, sa, na, mb, sb, nb, printed) in _PRINTED.items():
        for reading in ("sem", "sd"):
            da = sa * np.sqrt(na) if reading == "sem" else sa
            db = sb * np.sqrt(nb) if reading == "sem" else sb
            pooled = np.sqrt(((na - 1) * da**2 + (nb - 1) * db**2) / (na + nb - 2))
            t, p = stats.ttest_ind_from_stats(ma, da, na, mb, db, nb)
            w, pw = stats.ttest_ind_from_stats(ma, da, na, mb, db, nb, equal_var=False)
            rows.append({
                "quantity": name, "reading": reading, "sd_a": da, "sd_b": db,
                "d": (ma - mb) / pooled, "t_pooled": float(t), "p_pooled": float(p),
                "t_welch": float(w), "p_welch": float(pw), "printed_p": printed,
            })  # fmt: skip
    return pd.DataFrame(rows)


def tonic_and_phasic(world: World, replicates: int = 2000, seed: int = 1) -> pd.DataFrame:
    """Return how often the diprenorphine study's pattern comes, with and without a tonic deficit.

    The pattern of OP01 and OP02: no group difference (15 v 12), and a fall of
    V_T with severity among the 15 at p < 0.001.

    Parameters
    ----------
    world : World
        People.
    replicates, seed
        Studies and seed.

    Returns
    -------
    pandas.DataFrame
        Scenario, probability of each part, and of the group null given the effect.
    """
    rows = []
    (group,), (slope,) = recipes("OP01"), recipes("OP02")
    for scenario in ("base", "no-tonic"):
        g, _, d = simulate_study(world, group, scenario, replicates, seed)
        s, _, r = simulate_study(world, slope, scenario, replicates, seed)
        rows.append({
            "scenario": scenario, "p_group_null": float(np.mean(g == "0")), "group_d": d,
            "p_slope": float(np.mean(s == "-")), "mean_r": r,
            "p_both_if_independent": float(np.mean(g == "0") * np.mean(s == "-")),
        })  # fmt: skip
    return pd.DataFrame(rows)


def calibrate(
    world: World, *, particles: int = 1000, generations: int = 8, seed: int = 1
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Fit the CSF exponents nu and mu to FE01 and FE02 by ABC-SMC, seeded.

    Both act on read-outs only, so the stored cohort serves for every particle.
    The rows used are marked ``calibrate`` and never counted.

    Parameters
    ----------
    world : World
        People.
    particles, generations, seed : int
        Size and seed of the run.

    Returns
    -------
    tuple of pandas.DataFrame
        Parameters (prior, posterior mean and SD, effective sample size, overlap of
        prior and posterior, whether identified), and the tolerance of each generation.
    """
    rng = np.random.default_rng([seed, 9])
    case = world.table("rls")["b@10"].to_numpy()
    control = world.table("control")["b@10"].to_numpy()
    prior = np.array([[0.5, 5.0], [0.5, 5.0]])
    target, error = np.array([-2.39, 19.69]), np.array([np.hypot(0.25, 0.55), np.hypot(5.1, 1.6)])

    def distance(theta: Array) -> Array:
        out = np.empty(len(theta))
        for i, (nu, mu) in enumerate(theta):
            ferritin = 3.5 * (np.mean(case**nu) - np.mean(control**nu))
            transferrin = 6.7 * (np.mean(case ** (-mu)) - np.mean(control ** (-mu)))
            out[i] = np.sqrt(np.sum(((np.array([ferritin, transferrin]) - target) / error) ** 2))
        return out

    theta = rng.uniform(prior[:, 0], prior[:, 1], (particles, 2))
    weight, far = np.full(particles, 1 / particles), distance(theta)
    history = [{"generation": 0, "tolerance": float(far.max()), "accepted": 1.0}]
    for g in range(1, generations):
        tolerance = float(np.quantile(far, 0.5))
        cov = 2 * np.cov(theta.T, aweights=weight) + 1e-9 * np.eye(2)
        root, inverse = np.linalg.cholesky(cov), np.linalg.inv(cov)
        new: Array = np.empty((0, 2))
        d_new: Array = np.empty(0)
        tried = 0
        while len(new) < particles and tried < 60 * particles:
            pick = theta[rng.choice(particles, particles, p=weight)]
            offer = pick + rng.normal(size=(particles, 2)) @ root.T
            tried += particles
            offer = offer[np.all((offer > prior[:, 0]) & (offer < prior[:, 1]), axis=1)]
            d = distance(offer)
            new, d_new = np.vstack([new, offer[d <= tolerance]]), np.r_[d_new, d[d <= tolerance]]
        if len(new) < particles:
            break  # the tolerance has reached what the model can do
        new, d_new = new[:particles], d_new[:particles]
        apart = new[:, None, :] - theta[None]
        kernel = np.exp(-0.5 * np.einsum("ijk,kl,ijl->ij", apart, inverse, apart))
        fresh = 1 / np.maximum(kernel @ weight, 1e-300)
        theta, weight, far = new, fresh / fresh.sum(), d_new
        history.append({"generation": g, "tolerance": tolerance, "accepted": particles / tried})
    rows: list[dict[str, Any]] = []
    for j, (name, used) in enumerate((("nu", "FE01"), ("mu", "FE02"))):
        mean = float(weight @ theta[:, j])
        sd = float(np.sqrt(weight @ (theta[:, j] - mean) ** 2))
        bins = np.linspace(prior[j, 0], prior[j, 1], 31)
        share = np.histogram(theta[:, j], bins, weights=weight)[0]
        overlap = float(np.minimum(share, 1 / 30).sum())
        rows.append({
            "parameter": name, "finding": used, "prior_low": prior[j, 0],
            "prior_high": prior[j, 1], "mean": mean, "sd": sd,
            "effective_n": float(1 / np.sum(weight**2)), "overlap": overlap,
            "identified": "yes" if overlap < 0.8 else "not identified",
        })  # fmt: skip
    return pd.DataFrame(rows), pd.DataFrame(history)
