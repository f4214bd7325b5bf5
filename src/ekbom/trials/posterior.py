"""Draws from what the calibrations left open: a world of simulated studies for each."""

from __future__ import annotations

import io
from importlib.resources import files

import numpy as np
import pandas as pd

from ekbom.trials.summary import setting

#: Parameters of the generator of movements that differ between draws.
GENERATOR = ("rate", "person_sd", "male", "per_year", "b_drive")


def draws(count: int, seed: int) -> list[dict[str, float]]:
    """Return changes of the shipped values, one set a draw.

    Parameters
    ----------
    count : int
        Number of draws.
    seed : int
        Of the draws.

    Returns
    -------
    list of dict
        Changes for :class:`ekbom.trials.world.World`: the free parameters of the
        calibration jointly from its posterior, those of its second step from theirs, and
        those of the generator of leg movements from the normal approximation.
    """
    rng = np.random.default_rng([seed, 61])
    particles = _table("posterior")
    weight = particles["weight"].to_numpy()
    rows = rng.choice(len(particles), count, p=weight / weight.sum())
    generator, spread = _table("generator").set_index("parameter"), _table("generator-covariance")
    second = _table("second")
    later = second.iloc[rng.choice(len(second), count)].reset_index(drop=True)
    names = list(generator.index)
    centre = generator["value"].to_numpy(float).copy()
    centre[names.index("rate")] = np.log(centre[names.index("rate")])
    root = np.linalg.cholesky(spread[names].to_numpy() + 1e-12 * np.eye(len(names)))
    out = []
    for i, r in enumerate(rows):
        own: dict[str, float] = {"k_tsat": float(later["k_tsat"].iloc[i])}
        own["spread:al_aug"] = float(later["sd_aug"].iloc[i])
        for f in setting().free:
            key = {"spread": f"spread:{f['target']}", "population": f["target"]}.get(
                f["kind"], f["target"]
            )
            key = "median:al_aug" if f["id"] == "al_aug" else key
            table, at = (later, i) if f["id"] in second else (particles, r)
            own[key] = float(table[f["id"]].iloc[at])
        own["ec_g2"] = 6.0 * own["ec_g3"]
        move = dict(zip(names, centre + root @ rng.normal(size=len(names)), strict=True))
        move["rate"] = float(np.exp(move["rate"]))
        move["person_sd"] = max(move["person_sd"], 0.1)
        own |= {f"plm.{k}": float(move[k]) for k in GENERATOR}
        out.append(own)
    return out


def _table(name: str) -> pd.DataFrame:
    text = files("ekbom.trials.data").joinpath(f"{name}.tsv").read_text("utf-8")
    return pd.read_csv(io.StringIO(text), sep="\t")
