"""Simulated studies: many replicates of a design at once, from tables of people.

Each function returns a statistic for each replicate, and the same under the
rival (no effect; for a null row an effect of 0.8 standard deviations). The
statistic is a number, or the text of signs such as ``-+0``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from ekbom.errors import Refused
from ekbom.trials.compare import Array, compare, signs
from ekbom.trials.recipes import Recipe
from ekbom.trials.treatment import augment, recruited, trial
from ekbom.trials.world import World, error_of

#: Draws of people in one go, to bound the memory.
_MOST = 400_000


def simulate_study(
    world: World, recipe: Recipe, scenario: str, replicates: int, seed: int
) -> tuple[NDArray[Any], NDArray[Any] | None, float]:
    """Simulate a study many times.

    Parameters
    ----------
    world : World
        People.
    recipe : Recipe
        The study.
    scenario : str
        Scenario, or table, in which it is tried.
    replicates : int
        How many; fewer for very large studies (at least 50).
    seed : int
        Of every draw.

    Returns
    -------
    tuple
        Statistic of each replicate, the same under the rival or ``None`` where
        there is no rival, and the standardised effect in the model (NaN where
        it has none).
    """
    e = recipe.entry
    n = int(e.get("n_a", 1)) + int(e.get("n_b", 0))
    count = int(np.clip(_MOST // max(n, 1), 50, replicates))
    rng = np.random.default_rng([seed, *map(ord, recipe.id + scenario)])
    made: tuple[NDArray[Any], NDArray[Any] | None, float]
    made = _RUN[recipe.design](world, recipe, scenario, count, rng)
    return made


def _people(world: World, e: Any, key: str, scenario: str) -> pd.DataFrame:
    name = e[key]
    if name == "all":
        parts = [world.table("rls", scenario), world.table("control", scenario)]
        frame = pd.concat(parts)
    elif "tables" in e:
        frame = world.table(scenario)
    else:
        frame = world.table(name, scenario if name in ("rls", "control") else "base")
    where = e.get(f"where_{key}", e.get("where"))
    if where:
        frame = frame.query(where)
    if len(frame) < 8:
        raise Refused("Too few virtual people match a recipe.", field=e["id"], found=len(frame),
                      expected="at least 8", mend="draw more people")  # fmt: skip
    return recruited(frame, e["recruit"]) if key == "a" and "recruit" in e else frame


def _measure(
    frame: pd.DataFrame,
    measure: str,
    rows: NDArray[Any],
    rng: np.random.Generator,
    error: float = 0.0,
) -> Array:
    """Measure people, each reading with its own error."""
    total: Array = np.zeros(rows.shape)
    sign = 1.0
    for word in measure.split():
        if word in "+-":
            sign = 1.0 if word == "+" else -1.0
            continue
        if word not in frame.columns:
            raise Refused("A recipe measures something the model has not.", field=word)
        values = frame[word].to_numpy(float)[rows]
        own = np.hypot(error_of(word), error)
        total += sign * values * (1 + own * rng.normal(size=rows.shape))
    return total


def _group(
    world: World, r: Recipe, scenario: str, count: int, rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any], float]:
    e = r.entry
    a, b = _people(world, e, "a", scenario), _people(world, e, "b", scenario)
    alpha = float(e.get("alpha", 0.05))
    null = isinstance(r.printed, list) and set(r.printed) == {"0"}
    rows = [rng.integers(0, len(a), (count, e["n_a"])), rng.integers(0, len(b), (count, e["n_b"]))]
    joined = pd.concat([a, b])
    mixed = [rng.integers(0, len(joined), (count, e[k])) for k in ("n_a", "n_b")]
    found: list[NDArray[Any]] = []
    rival: list[NDArray[Any]] = []
    effect = float("nan")
    for m in e["measure"]:
        error = float(e.get("error", 0.0))
        x, y = _measure(a, m, rows[0], rng, error), _measure(b, m, rows[1], rng, error)
        x0, y0 = (_measure(joined, m, k, rng, error) for k in mixed)
        if null:
            x0 = x0 + 0.8 * y0.std()
        if np.isnan(effect):
            pooled = np.sqrt((x.var() + y.var()) / 2)
            effect = float((x.mean() - y.mean()) / pooled) if pooled > 0 else 0.0
        found.append(compare(x, y, e.get("statistic"), alpha))
        rival.append(compare(x0, y0, e.get("statistic"), alpha))
    return _join(found), _join(rival), effect


def _join(parts: list[NDArray[Any]]) -> NDArray[Any]:
    if parts[0].dtype.kind == "f":
        return parts[0]
    return np.array(["".join(x) for x in zip(*parts, strict=True)])


def _paired(
    world: World, r: Recipe, scenario: str, count: int, rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any], float]:
    e = r.entry
    frame = _people(world, e, "a", scenario)
    rows = rng.integers(0, len(frame), (count, e["n_a"]))
    null = set(r.printed) == {"0"} if isinstance(r.printed, list) else False
    found: list[NDArray[Any]] = []
    rival: list[NDArray[Any]] = []
    effect = float("nan")
    for m in e["measure"]:
        x = _measure(frame, m, rows, rng)
        flipped = x * rng.choice([-1.0, 1.0], x.shape) + (0.8 * x.std() if null else 0.0)
        spread = float(x.std())
        flipped = flipped if spread > 1e-9 else rng.normal(size=x.shape)
        x = x if spread > 1e-9 else 1e-9 * rng.normal(size=x.shape)
        effect = (
            (float(x.mean()) / spread if spread > 1e-9 else 0.0) if np.isnan(effect) else effect
        )
        for z, out in ((x, found), (flipped, rival)):
            t, p = stats.ttest_1samp(z, 0.0, axis=1)
            out.append(signs(t, p, float(e.get("alpha", 0.05))))
    return _join(found), _join(rival), effect


def _correlation(
    world: World, r: Recipe, scenario: str, count: int, rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any], float]:
    e = r.entry
    frame = _people(world, e, "a", scenario)
    rows = _strata(frame, e, count, rng)
    x, y = (_measure(frame, m, rows, rng) for m in e["measure"])
    if e.get("statistic") == "spearman":
        x, y = stats.rankdata(x, axis=1), stats.rankdata(y, axis=1)
    shuffled = rng.permuted(y, axis=1)
    if r.printed == "0":  # a correlation of d 0.8, that is r 0.37
        spread = x.std(1, keepdims=True)
        shuffled = shuffled / shuffled.std(1, keepdims=True) + 0.4 * (
            x - x.mean(1, keepdims=True)) / spread  # fmt: skip
    found, rival = _r(x, y), _r(x, shuffled)
    effect = float(np.mean(found))
    if isinstance(r.printed, str):
        alpha = float(e.get("alpha", 0.05))
        n = e["n_a"]
        return _r_signs(found, n, alpha), _r_signs(rival, n, alpha), effect
    return found, rival, effect


def _strata(frame: pd.DataFrame, e: Any, count: int, rng: np.random.Generator) -> NDArray[Any]:
    """Draw rows, the same number from each stratum where a study took so many of each."""
    if "strata" not in e:
        return rng.integers(0, len(frame), (count, e["n_a"]))
    parts, each = [], e["n_a"] // len(e["strata"])
    for query in e["strata"]:
        own = np.flatnonzero(np.asarray(frame.eval(query), bool))
        if len(own) < 4:
            raise Refused("Too few virtual people match a stratum.", field=e["id"],
                          found=len(own), expected="at least 4")  # fmt: skip
        parts.append(own[rng.integers(0, len(own), (count, each))])
    return np.concatenate(parts, axis=1)


def _r(x: Array, y: Array) -> Array:
    x, y = x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True)
    size = np.sqrt((x**2).sum(1) * (y**2).sum(1))
    return np.asarray((x * y).sum(1) / np.where(size > 0, size, 1.0))


def _r_signs(r: Array, n: int, alpha: float) -> NDArray[Any]:
    t = r * np.sqrt((n - 2) / np.maximum(1 - r**2, 1e-12))
    return signs(t, 2 * stats.t.sf(np.abs(t), n - 2), alpha)


def _hits(frame: pd.DataFrame, where: str) -> NDArray[np.bool_]:
    return np.asarray(frame.eval(where), bool)


def _share(
    world: World, r: Recipe, scenario: str, count: int, rng: np.random.Generator
) -> tuple[NDArray[Any], None, float]:
    frame = _people(world, r.entry, "a", scenario)
    hit = _hits(frame, r.entry["where_hit"])
    rows = rng.integers(0, len(hit), (count, r.entry["n_a"]))
    return 100 * hit[rows].mean(1), None, float("nan")


def _ratio(
    world: World, r: Recipe, scenario: str, count: int, rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any], float]:
    e = r.entry
    a = _hits(_people(world, e, "a", scenario), e["where_hit"])
    b = _hits(_people(world, e, "b", scenario), e["where_hit"])
    top = a[rng.integers(0, len(a), (count, e["n_a"]))].mean(1)
    low = b[rng.integers(0, len(b), (count, e["n_b"]))].mean(1)
    same = b[rng.integers(0, len(b), (count, e["n_a"]))].mean(1)
    low = np.maximum(low, 0.5 / e["n_b"])
    return top / low, same / low, float("nan")


def _odds(
    world: World, r: Recipe, scenario: str, count: int, rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any], float]:
    e = r.entry
    a = _people(world, e, "a", scenario)[e["locus"]].to_numpy(float)
    b = _people(world, e, "b", scenario)[e["locus"]].to_numpy(float)
    p = a[rng.integers(0, len(a), (count, e["n_a"]))].mean(1) / 2
    q = b[rng.integers(0, len(b), (count, e["n_b"]))].mean(1) / 2
    q2 = b[rng.integers(0, len(b), (count, e["n_a"]))].mean(1) / 2
    return p / (1 - p) * (1 - q) / q, q2 / (1 - q2) * (1 - q) / q, float("nan")


def _phase(
    world: World, r: Recipe, scenario: str, count: int, rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any], float]:
    frame = _people(world, r.entry, "a", scenario)
    measure = r.entry.get("measure", ["acrophase"])[0]
    hour = frame[measure].to_numpy()[rng.integers(0, len(frame), (count, r.entry["n_a"]))]
    hour = hour + float(r.entry.get("error", 0.0)) * rng.normal(size=hour.shape)
    free = rng.uniform(0, 24, hour.shape)
    # as the distance from the printed hour, so that midnight is no edge
    return _around(hour, r.printed), _around(free, r.printed), float("nan")


def _around(hour: Array, printed: Any) -> Array:
    mean = np.angle(np.exp(2j * np.pi * hour / 24).mean(1)) * 24 / (2 * np.pi)
    return np.asarray((mean - float(printed) + 12) % 24 - 12 + float(printed))


def _night_ratio(
    world: World, r: Recipe, scenario: str, count: int, rng: np.random.Generator
) -> tuple[NDArray[Any], None, float]:
    frame = _people(world, r.entry, "a", scenario).dropna(subset=["pi", "pi2"])
    rows = rng.integers(0, len(frame), (count, r.entry["n_a"]))
    x = frame[["plmi", "plmi2", "pi", "pi2"]].to_numpy(float)[rows]
    spread = [
        np.abs(x[..., i] - x[..., i + 1]).mean(1) / x[..., i : i + 2].mean((1, 2)) for i in (0, 2)
    ]
    return spread[0] / np.maximum(spread[1], 1e-9), None, float("nan")


def _sibling(
    world: World, r: Recipe, scenario: str, count: int, rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any], float]:
    risk = world.table("general")["rls"].mean()
    hit = _people(world, r.entry, "a", scenario)["kin_0"].to_numpy(float)
    n = r.entry["n_a"]
    found = hit[rng.integers(0, len(hit), (count, n))].mean(1) / risk
    return found, rng.binomial(n, risk, count) / n / risk, float("nan")


def _conditions(
    world: World, r: Recipe, scenario: str, count: int, rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any], float]:
    e, n = r.entry, r.entry["n_a"]
    found, rival = np.full(count, "+"), np.full(count, "+")
    for name in e["conditions"]:
        hit, base = world.table(name), world.table(f"matched:{name}")
        if name.startswith("pregnancy"):
            hit, base = (t.query("female == 1 and age < 45") for t in (hit, base))
        with_it, without = (t["rls"].to_numpy(bool) for t in (hit, base))
        for values, out in ((with_it, found), (without, rival)):
            a = values[rng.integers(0, len(values), (count, n))].mean(1)
            b = without[rng.integers(0, len(without), (count, n))].mean(1)
            z = (a - b) / np.sqrt(np.maximum(a * (1 - a) + b * (1 - b), 1e-9) / n)
            out[z <= 1.96] = "0"
    return found, rival, float("nan")


def _one_sample(
    world: World, r: Recipe, scenario: str, count: int, rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any], float]:
    """Signs of the medians of patients against fixed values, and of the first against controls."""
    e = r.entry
    a, b = _people(world, e, "a", scenario), _people(world, e, "b", scenario)
    found: list[NDArray[Any]] = []
    rival: list[NDArray[Any]] = []
    for m, level in zip(e["measure"], e["against"], strict=True):
        for frame, out in ((a, found), (b, rival)):
            x = frame[m].to_numpy()[rng.integers(0, len(frame), (count, e["n_a"]))]
            out.append(_median_sign(x - level, float(e.get("alpha", 0.05))))
    first = e["measure"][0]
    y = b[first].to_numpy()[rng.integers(0, len(b), (count, e["n_b"]))]
    for frame, out in ((a, found), (b, rival)):
        x = frame[first].to_numpy()[rng.integers(0, len(frame), (count, e["n_a"]))]
        out.append(compare(np.log(x), np.log(y), None, 0.05))
    return _join(found), _join(rival), float("nan")


def _median_sign(x: Array, alpha: float) -> NDArray[Any]:
    over = (x > 0).sum(1)
    p = 2 * stats.binom.sf(np.maximum(over, x.shape[1] - over) - 1, x.shape[1], 0.5)
    return signs(over - x.shape[1] / 2, p, alpha)


def _family(
    world: World, r: Recipe, scenario: str, count: int, rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any], float]:
    """Share of patients with an affected relative among some, %."""
    n, k = r.entry["n_a"], int(r.entry["relatives"])
    frame = _people(world, r.entry, "a", scenario)
    hit: NDArray[np.bool_] = frame[[f"kin_{i}" for i in range(k)]].to_numpy(float).max(1) > 0
    risk = 1 - (1 - world.table("general")["rls"].mean()) ** k
    found = 100 * hit[rng.integers(0, len(hit), (count, n))].mean(1)
    return found, 100 * rng.binomial(n, risk, count) / n, float("nan")


_RUN: dict[str, Any] = {
    "group": _group,
    "paired": _paired,
    "correlation": _correlation,
    "share": _share,
    "ratio": _ratio,
    "odds": _odds,
    "phase": _phase,
    "night_ratio": _night_ratio,
    "sibling": _sibling,
    "conditions": _conditions,
    "trial": trial,
    "one_sample": _one_sample,
    "family": _family,
    "augment": augment,
}
