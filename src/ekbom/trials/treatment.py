"""Simulated trials: change under treatment, responders, augmentation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom.disease.cohort import data, irls
from ekbom.errors import Refused
from ekbom.trials.compare import Array, compare
from ekbom.trials.recipes import Recipe
from ekbom.trials.recruit import resampled, towards
from ekbom.trials.world import World

#: Rows to which patients are resampled when a study says what scores they had.
ROWS = 2000


def trial(
    world: World, r: Recipe, scenario: str, count: int, rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any] | None, float]:
    """Simulate a trial of two arms many times.

    Parameters
    ----------
    world : World
        People.
    r : Recipe
        The trial.
    scenario : str
        Not used: treatments are tried in the base scenario.
    count : int
        Replicates.
    rng : numpy.random.Generator
        Of every draw.

    Returns
    -------
    tuple
        Statistic of each replicate, the same without an effect, standardised effect.
    """
    e = r.entry
    moves = e["outcome"] == "plmi"
    arms = [arm_table(world, e[k], e["weeks"], moves) for k in ("arm_a", "arm_b")]
    for k, word in enumerate(("where_a", "where_b")):
        query = e.get(word, e.get("where"))
        arms[k] = arms[k].query(query) if query else arms[k]
        if "recruit" in e:
            arms[k] = recruited(arms[k], e["recruit"], f"before_{e['outcome']}")
    if min(map(len, arms)) < 4:
        raise Refused("Too few virtual people match a recipe.", field=r.id,
                      found=min(map(len, arms)))  # fmt: skip
    change = [
        _change(world, a, e, e[k], count, rng) for a, k in zip(arms, ("n_a", "n_b"), strict=True)
    ]
    same = _change(world, arms[1], e, e["n_a"], count, rng)
    scale = float(e.get("scale", 1.0))
    statistic = e.get("statistic")
    if statistic == "responders":
        return 100 * change[0][1].mean(1), None, float("nan")
    if statistic == "smd_pre_post":
        return change[0][0].mean(1) / change[0][2].std(1), None, float("nan")
    x, y, z = change[0][0], change[1][0], same[0]
    if statistic == "median_diff":
        a, b, c = (np.median(v, axis=1) for v in (x, y, z))
        return scale * (a - b), scale * (c - b), float("nan")
    effect = float((x.mean() - y.mean()) / max(np.sqrt((x.var() + y.var()) / 2), 1e-9))
    if isinstance(r.printed, str):
        if r.printed == "0":
            z = z - 0.8 * y.std()
        return compare(x, y, None, 0.05), compare(z, y, None, 0.05), effect
    return scale * (x.mean(1) - y.mean(1)), scale * (z.mean(1) - y.mean(1)), effect


def recruited(frame: pd.DataFrame, aim: list[float], column: str = "irls") -> pd.DataFrame:
    """Return people resampled towards the mean and SD that a study printed.

    Parameters
    ----------
    frame : pandas.DataFrame
        Who is eligible.
    aim : list of float
        Mean and SD.
    column : str
        What they are of.

    Returns
    -------
    pandas.DataFrame
        Rows, some of them several times.
    """
    weight = towards(frame[column].to_numpy(float), np.ones(len(frame)), *aim)
    return frame.iloc[resampled(weight, ROWS)]


def arm_table(
    world: World, arms: str | list[str], weeks: float, moves: bool = False
) -> pd.DataFrame:
    """Return the people of an arm, or of several arms taken together.

    Parameters
    ----------
    world : World
        People.
    arms : str or list of str
        Treatments.
    weeks : float
        How long.
    moves : bool
        Whether a night of movements is needed.

    Returns
    -------
    pandas.DataFrame
        A row a person and treatment.
    """
    names = [arms] if isinstance(arms, str) else arms
    look = world.with_nights if moves else world.table
    return pd.concat([look(f"arm:{a}:{weeks}") for a in names], ignore_index=True)


def _change(
    world: World, arm: pd.DataFrame, e: Any, n: int, count: int, rng: np.random.Generator
) -> tuple[Array, NDArray[np.bool_], Array]:
    """Change of the outcome, response, and baseline of (count, n) patients.

    Patients are taken in by their score: 15 points or more for a trial of severity;
    by what the recipe says for another outcome.
    """
    rows = rng.integers(0, len(arm), (count, n))
    if e["outcome"] != "irls":
        if "least" in e:
            rows = _eligible(arm, rows, world.cut, float(e["least"]), rng)
        late, early = arm[e["outcome"]].to_numpy(), arm[f"before_{e['outcome']}"].to_numpy()
        change: Array = (late - early)[rows]
        return change, change < -0.5 * early[rows], early[rows]
    hope = world.value("placebo", "expectancy")
    return change_of_score(arm, rows, world.cut, float(e.get("least", 15)), rng, expectancy=hope)


def _eligible(
    arm: pd.DataFrame, rows: NDArray[Any], cut: float, least: float, rng: np.random.Generator
) -> NDArray[Any]:
    """Ask other patients in place of those who score below."""
    visit = data("population")["placebo"]["visit_sd"]["value"]
    z, rows = arm["before_z"].to_numpy(), rows.copy()
    for _ in range(8):
        seen = z[rows] + visit * rng.normal(size=rows.shape)
        low = irls(seen.ravel(), cut, rng).reshape(rows.shape) < least
        if not low.any():
            break
        rows[low] = rng.integers(0, len(arm), int(low.sum()))
    return rows


def change_of_score(
    arm: pd.DataFrame,
    rows: NDArray[Any],
    cut: float,
    least: float,
    rng: np.random.Generator,
    *,
    expectancy: float | None = None,
) -> tuple[Array, NDArray[np.bool_], Array]:
    """Return changes of severity of patients who were taken in by their score.

    Parameters
    ----------
    arm : pandas.DataFrame
        Patients, with ``before_z`` and ``z``.
    rows : (count, n) int
        Patients of each trial.
    cut : float
        Threshold of the disease.
    least : float
        Least score of a patient who is taken in.
    rng : numpy.random.Generator
        Of visits and answers.
    expectancy : float, optional
        Mean fall of log urge by expectancy, on scores only; that of the
        population file by default.

    Returns
    -------
    tuple of (count, n) arrays
        Change, whether the score fell by half, score before.
    """
    p = data("population")["placebo"]
    visit = p["visit_sd"]["value"]
    hope = p["expectancy"]["value"] if expectancy is None else expectancy
    z0, z1 = arm["before_z"].to_numpy()[rows], arm["z"].to_numpy()[rows]
    before: Array = irls((z0 + visit * rng.normal(size=rows.shape)).ravel(), cut, rng)
    before = before.reshape(rows.shape)
    # whoever scores below is read again, and then another patient is asked
    for k in range(8):
        low = before < least
        if not low.any():
            break
        if k >= 2:
            other = rng.integers(0, len(arm), int(low.sum()))
            z0[low], z1[low] = arm["before_z"].to_numpy()[other], arm["z"].to_numpy()[other]
        before[low] = irls(z0[low] + visit * rng.normal(size=int(low.sum())), cut, rng)
    gain = z1 - hope * rng.exponential(1.0, rows.shape) + visit * rng.normal(size=rows.shape)
    after: Array = irls(gain.ravel(), cut, rng).reshape(rows.shape)
    return after - before, after <= 0.5 * before, before


def augment(
    world: World, r: Recipe, scenario: str, count: int, rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any], float]:
    """Share of treated patients who augment, %, or its difference between two arms.

    Onset of symptoms earlier by 4 h than before treatment, or by 2 h with more
    severe symptoms; each hour and severity is reported with error.

    Parameters
    ----------
    world : World
        People.
    r : Recipe
        The trial.
    scenario : str
        Not used: treatments are tried in the base scenario.
    count : int
        Replicates.
    rng : numpy.random.Generator
        Of every draw.

    Returns
    -------
    tuple
        Share or difference in each replicate, the same without treatment, NaN.
    """
    e = r.entry
    error = float(data("population")["augmentation"]["onset_sd"]["value"])
    visit = float(data("population")["placebo"]["visit_sd"]["value"])

    def share(arm: pd.DataFrame, n: int, changed: bool) -> Array:
        rows = rng.integers(0, len(arm), (count, n))
        noise = [rng.normal(size=rows.shape) for _ in range(4)]
        late = "" if changed else "before_"
        hour = arm["before_onset"].to_numpy()[rows] - arm[f"{late}onset"].to_numpy()[rows]
        hour = hour + error * (noise[0] - noise[1])
        worse = arm[f"{late}z"].to_numpy()[rows] - arm["before_z"].to_numpy()[rows]
        worse = worse + visit * (noise[2] - noise[3])
        return np.asarray(100 * ((hour >= 4) | ((hour >= 2) & (worse > 0))).mean(1))

    first = arm_table(world, e["arm_a"], e["weeks"])
    found, rival = share(first, e["n_a"], True), share(first, e["n_a"], False)
    if "arm_b" in e:
        second = arm_table(world, e["arm_b"], e["weeks"])
        other = share(second, e["n_b"], True)
        found, rival = found - other, rival - share(second, e["n_b"], False)
    return found, rival, float("nan")
