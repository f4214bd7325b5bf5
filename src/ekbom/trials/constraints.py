"""The two computed constraints: how a printed spread is read, and tonic with phasic opioids."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from ekbom.disease import cohort as co
from ekbom.disease.model import load
from ekbom.trials.recruit import towards
from ekbom.trials.summary import DPN_SCORE
from ekbom.trials.world import World, error_of

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


def tonic_and_phasic(
    world: World,
    *,
    tonic: Sequence[float] = (0.0, 0.25, 0.5, 0.75, 1.0),
    phasic: Sequence[float] = (0.0, 0.1, 0.2, 0.35, 0.6, 1.0),
    patients: int = 120,
    replicates: int = 4000,
    seed: int = 1,
) -> pd.DataFrame:
    """Return how often the diprenorphine study's pattern comes over two opioid parameters.

    The pattern of OP01 and OP02, in the same simulated study: no group difference
    (15 patients, 12 controls), and a fall of V_T with severity among the 15 at
    p < 0.001. Patients are taken so that their severity has a mean of 24 and an SD of 7,
    as assumed for that study. The model is run anew for each pair; who is a patient, and
    the severity, stay those of the whole model.

    Parameters
    ----------
    world : World
        People.
    tonic : sequence of float
        Values of ``del_o``, the share of the tonic opioid that the disease takes.
    phasic : sequence of float
        Multiples of ``k_p``, the phasic release by urge.
    patients : int
        Patients, and controls, run for each pair.
    replicates, seed : int
        Studies and seed.

    Returns
    -------
    pandas.DataFrame
        Parameters, probability of the null between groups, of the slope, and of the
        pattern; group effect, mean V_T (ml/cm3) and mean correlation.
    """
    general = world.table("general")
    rls = world.cases[:patients]
    rows_all = np.concatenate([rls, world.controls[:patients]])
    score = general["irls"].to_numpy()[rls]
    weight = towards(score, np.ones(len(score)), *DPN_SCORE)
    own = float(co.current(world.drawn.cohort.take(rows_all[:1]), "k_p").ravel()[0])
    cv = error_of("vt_dpn@10")
    rows = []
    for d in tonic:
        for f in phasic:
            people = co.settled(world.drawn.take(rows_all), del_o=d, k_p=own * f)
            vt = co.table(people)["vt_dpn@10"]
            rng = np.random.default_rng([seed, 41])
            pick = rng.choice(len(rls), (replicates, 15), p=weight)
            other = rng.integers(len(rls), len(rows_all), (replicates, 12))
            a = vt[pick] * (1 + cv * rng.normal(size=pick.shape))
            b = vt[other] * (1 + cv * rng.normal(size=other.shape))
            p = stats.ttest_ind(a, b, axis=1).pvalue
            x = score[pick]
            x, y = x - x.mean(1, keepdims=True), a - a.mean(1, keepdims=True)
            r = (x * y).sum(1) / np.sqrt((x**2).sum(1) * (y**2).sum(1))
            t = r * np.sqrt(13 / (1 - r**2))
            slope = (2 * stats.t.sf(np.abs(t), 13) < 0.001) & (r < 0)
            rows.append({
                "del_o": d, "k_p": own * f, "p_group_null": float(np.mean(p >= 0.05)),
                "p_slope": float(np.mean(slope)), "p_pattern": float(np.mean((p >= 0.05) & slope)),
                "group_d": float((a.mean() - b.mean()) / np.sqrt((a.var() + b.var()) / 2)),
                "vt_patients": float(a.mean()), "vt_controls": float(b.mean()),
                "mean_r": float(r.mean()),
                "slope_occupancy_per_point": _slope(vt[: len(rls)], score),
            })  # fmt: skip
    return pd.DataFrame(rows)


def _slope(vt: Array, score: Array) -> float:
    """Return the rise of opioid occupancy per point of severity."""
    base = load().defaults
    theta = 1 - (vt - base["v_nd"]) / (base["v_t0"] - base["v_nd"])
    return float(np.polyfit(score, theta, 1)[0])
