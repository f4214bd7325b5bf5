"""In-silico trials: many trials of one design, analysed as a trial would be.

A hypothesis engine: nothing here is medical advice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from ekbom.disease import cohort as co
from ekbom.errors import Refused
from ekbom.inference.longitudinal import mmrm
from ekbom.measures.clinic.trialstats import ancova, crossover
from ekbom.trials.recruit import towards
from ekbom.trials.responses import Responses, Visit
from ekbom.trials.trialdesign import TrialDesign
from ekbom.virtual.patients import visit_z

Array = NDArray[np.float64]

#: Measurement error of what is measured at a visit, as a coefficient of variation.
_CV = {"ferritin": 0.08, "r2s_sn": 0.05}
_COLUMN = {"ferritin": "ferritin@8", "r2s_sn": "r2s_sn@10"}
#: Points of the urge scale a unit of log urge, its level at the threshold, and its error (assumed).
_VAS = (25.0, 45.0, 8.0)
_SCREENS = 200


@dataclass(frozen=True, eq=False)
class One:
    """One simulated trial.

    Parameters
    ----------
    arm : (n,) array of int
        Number of the arm (of the sequence, in a crossover).
    person : (n,) array of int
        Row of the pool.
    values : mapping of str to (n, 1 + T) array
        Baseline and visits of each outcome; NaN after somebody has left.
    """

    arm: NDArray[np.int64]
    person: NDArray[np.int64]
    values: Mapping[str, Array]


@dataclass(frozen=True)
class Estimate:
    """One endpoint of one arm against the reference, of one trial."""

    estimate: float
    lower: float
    upper: float
    p: float

    @property
    def se(self) -> float:
        """Standard error, from the interval."""
        return (self.upper - self.lower) / (2 * 1.959964)


def outcomes_of(design: TrialDesign) -> tuple[str, ...]:
    """Return what has to be measured for the endpoints of a design."""
    name = {"irls_change": "irls", "responder": "irls"}
    return tuple(dict.fromkeys(name.get(e, e) for e in design.endpoints if e != "augmentation"))


def conduct(
    design: TrialDesign,
    found: Responses,
    rng: np.random.Generator,
    n: int | None = None,
    *,
    null: bool = False,
) -> One:
    """Simulate one trial.

    Parameters
    ----------
    design : TrialDesign
    found : Responses
        The pool under every arm.
    rng : numpy.random.Generator
        Of this trial: who, which arm, every measurement, who leaves.
    n : int, optional
        People; those of the design by default.
    null : bool
        Give everybody the reference, whatever the arm is called.

    Returns
    -------
    One
    """
    size = design.n if n is None else n
    names = design.names
    person, screened = _screen(design, found, rng, size)
    if design.design == "crossover":
        arm = _dealt(rng, size, (0.5, 0.5))
    else:
        arm = _dealt(rng, size, design.shares())
    values: dict[str, Array] = {}
    left = _leaving(rng, size, 2 if design.design == "crossover" else len(design.visits),
                    design.dropout)  # fmt: skip
    for outcome in outcomes_of(design):
        first = screened if outcome == "irls" and design.baseline == "screening" else _told(
            outcome, found.start, person, found, rng, False
        )  # fmt: skip
        columns = [first]
        if design.design == "crossover":
            orders = (">".join(names), ">".join(names[::-1]))
            for period in (1, 2):
                columns.append(
                    _by_arm(
                        outcome,
                        [
                            found.sequences[o, period]
                            for o in ((orders[0], orders[0]) if null else orders)
                        ],
                        arm,
                        person,
                        found,
                        rng,
                    )
                )
        else:
            for week in design.visits:
                at = [found.arms[names[0] if null else a, week] for a in names]
                columns.append(_by_arm(outcome, at, arm, person, found, rng))
        table = np.column_stack(columns)
        table[:, 1:][left] = np.nan
        values[outcome] = table
    return One(arm, person, values)


def _screen(
    design: TrialDesign, found: Responses, rng: np.random.Generator, size: int
) -> tuple[NDArray[np.int64], Array]:
    """Screen patients of the pool until there are enough; return who, and the score they said."""
    pool, of = found.pool, _towards(design, found.start)
    who: list[NDArray[np.int64]] = []
    said: list[Array] = []
    have = 0
    for _ in range(_SCREENS):
        rows = rng.integers(0, len(pool), 2 * size) if of is None else (
            rng.choice(of.size, 2 * size, p=of.ravel()) // of.shape[1])  # fmt: skip
        told = co.irls(visit_z(rng, found.start.table["z"][rows], False), pool.cut, rng)
        ok = told >= design.irls_least
        if of is None and design.plms_least is not None:
            ok &= _told("plms", found.start, rows, found, rng, False) >= design.plms_least
        who.append(rows[ok])
        said.append(told[ok])
        have += int(ok.sum())
        if have >= size:
            return np.concatenate(who)[:size], np.concatenate(said)[:size]
    asked = {"irls_least": design.irls_least, "plms_least": design.plms_least}
    raise Refused(
        "Hardly any virtual patient is as severe as the trial asks.",
        field=", ".join(name for name, bound in asked.items() if bound),
        found=", ".join(f"{bound:g}" for bound in asked.values() if bound),
        expected="lower bounds",
    )


def _towards(design: TrialDesign, start: Visit) -> Array | None:
    """Return the chance of each night of the pool to be the one of screening; None: all alike."""
    if design.plms_like is None:
        return None
    assert start.plms is not None
    index = start.plms.ravel()
    enough = index >= (design.plms_least or 0.0)
    if not enough.any():
        raise Refused("No virtual patient moves as much as the trial asks.", field="plms_least",
                      found=f"{design.plms_least:g}", expected="a lower bound")  # fmt: skip
    chance = np.zeros(index.size)
    chance[enough] = towards(index[enough], np.ones(int(enough.sum())), *design.plms_like)
    return chance.reshape(start.plms.shape)


def _dealt(rng: np.random.Generator, n: int, shares: tuple[float, ...]) -> NDArray[np.int64]:
    exact = n * np.array(shares)
    count = np.floor(exact).astype(int)
    for k in np.argsort(-(exact - count), kind="stable")[: n - int(count.sum())]:
        count[k] += 1
    return np.asarray(rng.permutation(np.repeat(np.arange(len(shares)), count)), np.int64)


def _leaving(rng: np.random.Generator, n: int, visits: int, share: float) -> NDArray[np.bool_]:
    """Say at which visits people are no longer there; once gone, gone."""
    hazard = 1.0 - (1.0 - share) ** (1.0 / visits)
    return np.asarray(np.cumsum(rng.random((n, visits)) < hazard, axis=1) > 0)


def _by_arm(
    outcome: str,
    at: list[Visit],
    arm: NDArray[np.int64],
    person: NDArray[np.int64],
    found: Responses,
    rng: np.random.Generator,
) -> Array:
    out = np.empty(arm.size)
    for k, visit in enumerate(at):
        rows = np.flatnonzero(arm == k)
        out[rows] = _told(outcome, visit, person[rows], found, rng, True)
    return out


def _told(
    outcome: str,
    visit: Visit,
    person: NDArray[np.int64],
    found: Responses,
    rng: np.random.Generator,
    expectancy: bool,
) -> Array:
    """Measure an outcome of some people; expectancy acts on what people say, never on movements."""
    if outcome in ("plms", "plmw"):
        made = visit.plms if outcome == "plms" else visit.plmw
        assert made is not None
        return np.asarray(made[person, rng.integers(0, made.shape[1], person.size)])
    if outcome in _COLUMN:
        true = np.asarray(visit.table[_COLUMN[outcome]])[person]
        return np.asarray(true * np.exp(_CV[outcome] * rng.standard_normal(person.size)))
    z = visit_z(rng, np.asarray(visit.table["z"])[person], expectancy)
    if outcome == "vas":
        slope, level, error = _VAS
        noisy = level + slope * (z - found.pool.cut) + error * rng.standard_normal(z.size)
        return np.asarray(np.clip(noisy, 0.0, 100.0))
    return np.asarray(co.irls(z, found.pool.cut, rng))


def analyse_trial(design: TrialDesign, one: One, endpoint: str, arm: int = 1) -> Estimate:
    """Analyse one endpoint of one trial.

    Parameters
    ----------
    design : TrialDesign
    one : One
    endpoint : str
    arm : int
        Number of the arm compared with the reference, from 1.

    Returns
    -------
    Estimate
        Difference (odds ratio for responders) with 95 % interval and p.
    """
    outcome = {"irls_change": "irls", "responder": "irls"}.get(endpoint, endpoint)
    values = one.values[outcome]
    if design.design == "crossover":
        got = crossover(values[:, 1], values[:, 2], one.arm == 1)
        return Estimate(*got.treatment)
    use = (one.arm == 0) | (one.arm == arm)
    treated = one.arm[use] == arm
    before, last = values[use, 0], values[use, -1]
    if endpoint == "responder":
        seen = np.isfinite(last)
        return odds_ratio((last <= 0.5 * before)[seen], treated[seen])
    if design.analysis == "mmrm" and endpoint == "irls_change":
        y = values[use, 1:]
        name = np.where(treated, "active", "reference")
        fit = mmrm(y, name, baseline=before, reference="reference", simplify=True)
        c = fit.differences["active", fit.visits[-1]]
        return Estimate(c.estimate, c.low, c.high, c.p)
    return Estimate(*ancova(last - before, before, treated))


def odds_ratio(hit: NDArray[np.bool_], treated: NDArray[np.bool_]) -> Estimate:
    """Return the odds ratio of responders, treated over reference.

    Parameters
    ----------
    hit, treated : (n,) array of bool

    Returns
    -------
    Estimate
        With half a person added to each cell (Haldane and Anscombe), the interval of
        Woolf; p by the chi-squared test of N - 1 (Campbell 2007,
        doi:10.1002/sim.2832), whose errors are near what they say where those of an exact
        test are too few.
    """
    a, b = int((hit & treated).sum()), int((~hit & treated).sum())
    c, d = int((hit & ~treated).sum()), int((~hit & ~treated).sum())
    if a + b == 0 or c + d == 0:
        return Estimate(math.nan, math.nan, math.nan, math.nan)
    log = math.log((a + 0.5) * (d + 0.5) / ((b + 0.5) * (c + 0.5)))
    half = 1.959964 * math.sqrt(sum(1 / (k + 0.5) for k in (a, b, c, d)))
    margins = (a + b) * (c + d) * (a + c) * (b + d)
    x2 = (a * d - b * c) ** 2 * (a + b + c + d - 1) / margins if margins else 0.0
    p = float(stats.chi2.sf(x2, 1))
    return Estimate(math.exp(log), math.exp(log - half), math.exp(log + half), p)


def truth_of(design: TrialDesign, found: Responses, endpoint: str, arm: int = 1) -> float:
    """Return the effect in the whole pool, without error of sampling.

    Parameters
    ----------
    design, found, endpoint, arm
        As for :func:`analyse_trial`.

    Returns
    -------
    float
        Mean difference at the last visit over everybody who would be selected, or the
        odds ratio, from 40,000 people an arm; of a crossover, over both periods.
    """
    rng = np.random.default_rng([77, arm])
    size = 40_000
    person, screened = _screen(design, found, rng, size)
    outcome = {"irls_change": "irls", "responder": "irls"}.get(endpoint, endpoint)
    names = design.names
    if design.design == "crossover":
        order = (">".join(names), ">".join(names[::-1]))
        first, second = (
            [_told(outcome, found.sequences[o, k], person, found, rng, True) for k in (1, 2)]
            for o in order
        )
        return float(np.mean(second[0] - first[0] + first[1] - second[1]) / 2)
    last = [
        _told(outcome, found.arms[a, design.weeks], person, found, rng, True)
        for a in (names[0], names[arm])
    ]
    if endpoint == "responder":
        odds = [float(np.mean(x <= 0.5 * screened)) for x in last]
        odds = [min(max(q, 1e-4), 1 - 1e-4) for q in odds]
        return odds[1] / (1 - odds[1]) * (1 - odds[0]) / odds[0]
    return float(np.mean(last[1] - last[0]))


def parts(design: TrialDesign, found: Responses, arm: int = 1) -> pd.DataFrame:
    """Return what the change of severity of the treated is made of.

    Parameters
    ----------
    design : TrialDesign
        Not a crossover.
    found : Responses
    arm : int

    Returns
    -------
    DataFrame
        ``part``, ``points``, ``share`` (%): regression to the mean after selection,
        expectancy (both also in the reference arm), and the drug.
    """
    rng = np.random.default_rng([78, arm])
    person, screened = _screen(design, found, rng, 40_000)
    start = screened if design.baseline == "screening" else _told(
        "irls", found.start, person, found, rng, False
    )  # fmt: skip
    ref = found.arms[design.reference, design.weeks]
    act = found.arms[design.names[arm], design.weeks]
    again = _told("irls", ref, person, found, rng, False)
    placebo = _told("irls", ref, person, found, rng, True)
    active = _told("irls", act, person, found, rng, True)
    points = [
        float(np.mean(again - start)), float(np.mean(placebo - again)),
        float(np.mean(active - placebo)),
    ]  # fmt: skip
    whole = sum(points)
    frame = pd.DataFrame(
        {
            "arm": design.names[arm],
            "part": ["regression to the mean", "expectancy (placebo)", "drug", "whole change"],
            "points": [*points, whole],
            "share_percent": [100 * x / whole if whole else math.nan for x in (*points, whole)],
        }
    )
    responders = float(np.mean(placebo <= 0.5 * start))
    smd = float(np.mean(placebo - start) / np.std(start))
    frame.attrs["placebo_responders_percent"] = 100 * responders
    frame.attrs["placebo_smd"] = smd
    return frame
