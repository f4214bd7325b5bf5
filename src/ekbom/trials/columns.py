"""What is read off people after the equations: sleep, onset of the day, age at onset, movements."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from ekbom.disease.cohort import EVENING, data
from ekbom.disease.plm import night
from ekbom.measures.legs.periodicity import ferri2006
from ekbom.measures.legs.rules import rule_sets
from ekbom.measures.legs.series import find_series

Array = NDArray[np.float64]
#: The rule by which studies before 2016 counted.
OLD = "wasm2006"
_BINS = np.array([0.5, 2, 4, 6, 8, 10, 15, 20, 25, 30, 35, 40, 50, 60, 75, 90.0])


def value(part: str, key: str) -> Any:
    """Return a value of the population file.

    Parameters
    ----------
    part, key : str
        Its place.

    Returns
    -------
    float or list
        The value.
    """
    return data("population")[part][key]["value"]


def add_sleep(
    frame: pd.DataFrame, cut: float, people: int, night_seed: list[int], glutamate: float
) -> None:
    """Add wake in bed (min), sleep efficiency (%) and sleep disturbance (0 to 100).

    Parameters
    ----------
    frame : pandas.DataFrame
        People, with ``z``, ``age``, ``person`` and ``glx@0``; changed.
    cut : float
        Threshold of the disease.
    people : int
        Seed of the effect of each person, the same in every table.
    night_seed : list of int
        Seed of the night.
    glutamate : float
        Log odds of wake per log thalamic glutamate.
    """
    person = np.random.default_rng([people, 21]).normal(size=int(frame["person"].max()) + 1)
    own = person[frame["person"].to_numpy()]
    here = np.random.default_rng(night_seed).normal(size=len(frame))
    above = frame["z"].to_numpy() - cut
    odds = (
        value("sleep", "wake")
        + value("sleep", "per_year") * (frame["age"].to_numpy() - 50)
        + value("sleep", "urge") * np.log1p(np.exp(above))
        + glutamate * np.log(frame["glx@0"].to_numpy())
        + value("sleep", "person_sd") * own
        + value("sleep", "night_sd") * here
    )
    wake = 1 / (1 + np.exp(-odds))
    level, on_wake, on_urge = value("sleep", "score")
    frame["waso"] = 60 * value("sleep", "hours") * wake
    frame["efficiency"] = 100 * (1 - wake)
    frame["mos"] = 100 / (1 + np.exp(-(level + on_wake * odds + on_urge * above)))


def level_of_onset(frame: pd.DataFrame, cut: float) -> float:
    """Return the excitability at which symptoms begin: that of people at the threshold.

    Parameters
    ----------
    frame : pandas.DataFrame
        Reference population.
    cut : float
        Threshold of the disease.

    Returns
    -------
    float
        Median of the evening's largest excitability of the fifty people nearest.
    """
    near = np.argsort(np.abs(frame["z"].to_numpy() - cut))[:50]
    return float(np.median(frame[[f"e_{h}" for h in EVENING]].to_numpy()[near].max(axis=1)))


def onset_hour(frame: pd.DataFrame, level: float) -> Array:
    """Return the first hour from noon at which symptoms at rest would begin (26: none).

    Parameters
    ----------
    frame : pandas.DataFrame
        People.
    level : float
        Of :func:`level_of_onset`.

    Returns
    -------
    (n,) array
        Hours from 12 to 26, interpolated.
    """
    e = frame[[f"e_{h}" for h in EVENING]].to_numpy()
    over = e >= level
    first = np.argmax(over, axis=1)
    out: Array = np.asarray(EVENING, dtype=np.float64)[first]
    inside = over.any(axis=1) & (first > 0)
    rows = np.flatnonzero(inside)
    a, b = e[rows, first[rows] - 1], e[rows, first[rows]]
    out[rows] -= (b - level) / np.maximum(b - a, 1e-12)
    out[~over.any(axis=1)] = 26.0
    return out


#: Hours by which symptoms begin earlier: augmentation by itself, and with a further sign.
EARLIER, EARLIER_WITH = 4.0, 2.0


def augmentation_chance(earlier: Array, worse: Array) -> Array:
    """Return the chance that a patient is counted as augmented, as hours and scores are told.

    Symptoms that begin four hours earlier than before treatment, or two to four hours with
    severity above that before treatment; each of the two hours and scores has its error.

    Parameters
    ----------
    earlier : (n,) float
        Hours by which symptoms begin earlier.
    worse : (n,) float
        Rise of the log evening urge.

    Returns
    -------
    (n,) array
        0 to 1.
    """
    hours = np.sqrt(2) * float(value("augmentation", "onset_sd"))
    visit = np.sqrt(2) * float(value("placebo", "visit_sd"))
    four, two = (ndtr((earlier - h) / hours) for h in (EARLIER, EARLIER_WITH))
    return np.asarray(four + (two - four) * ndtr(worse / visit))


def onset_age(frame: pd.DataFrame, cut: float) -> Array:
    """Return the age at which the drive, as it grows with age, first crossed the threshold.

    Parameters
    ----------
    frame : pandas.DataFrame
        People.
    cut : float
        Threshold of the disease.

    Returns
    -------
    (n,) array
        Years, at least 5 and at most the age.
    """
    e = frame["e@0"].to_numpy()
    per_year = value("age", "x_per_year") * (1 - e)  # slope of log urge
    years = (frame["z"].to_numpy() - cut) / np.maximum(per_year, 1e-4)
    age = frame["age"].to_numpy()
    out: Array = np.clip(age - np.maximum(years, 0.0), 5.0, age)
    return out


def add_nights(frame: pd.DataFrame, rows: NDArray[np.intp], seed: int) -> None:
    """Add a night of some people: index by the rule of 5 to 90 s, periodicity of Ferri 2006.

    Parameters
    ----------
    frame : pandas.DataFrame
        People; changed.
    rows : (M,) int
        Whose nights.
    seed : int
        Of the movements.
    """
    made = {c: np.full(len(frame), np.nan) for c in ("plmi", "pi", "peak", "short")}
    for i in rows:
        rng, (facts, short) = np.random.default_rng([seed, 4, int(i)]), _own(frame, i)
        onset = night(rng, *facts, short=short).onset
        made["plmi"][i], made["pi"][i] = scored(onset, 7.5, OLD)[0], periodicity(onset)
        # density per second of intervals of 15 to 30 s over that of 30 to 90 s and of 8 to 10 s
        count = np.histogram(np.diff(onset), _BINS)[0].astype(float)
        made["peak"][i] = (count[6:9].sum() / 15 + 0.01) / (count[9:].sum() / 60 + 0.01)
        made["short"][i] = (count[1:4].sum() / 6 + 0.01) / (count[4] / 2 + 0.01)
    for c, values in made.items():
        frame[c] = values


def add_second_nights(frame: pd.DataFrame, rows: NDArray[np.intp], seed: int) -> None:
    """Add a second night and an hour of quiet wake of some people.

    Parameters
    ----------
    frame : pandas.DataFrame
        People; changed.
    rows : (M,) int
        Whose.
    seed : int
        Of the movements.
    """
    made = {c: np.full(len(frame), np.nan) for c in ("plmi2", "pi2", "plmw")}
    for i in rows:
        rng = np.random.default_rng([seed, 8, int(i)])
        facts, short = _own(frame, i)
        onset = night(rng, *facts, short=short).onset
        made["plmi2"][i], made["pi2"][i] = scored(onset, 7.5, OLD)[0], periodicity(onset)
        wake = night(rng, *facts, hours=1.0, wake=True, short=short).onset
        made["plmw"][i] = scored(wake, 1.0, OLD)[0]
    for c, values in made.items():
        frame[c] = values


def _own(frame: pd.DataFrame, i: int) -> tuple[tuple[float, float, float], float]:
    names = ("age", "plm_log", "e@0", "z_short")
    age, person, e, short = (float(frame[c].to_numpy()[i]) for c in names)
    return (age, person, e), short


def periodicity(onset: NDArray[np.float64]) -> float:
    """Return the periodicity index of Ferri 2006 of movements.

    Parameters
    ----------
    onset : (M,) float
        Seconds, in order.

    Returns
    -------
    float
        Share of intervals in runs of three or more of 10 to 90 s; NaN without intervals.
    """
    times = onset[_apart(onset)]
    imi = np.diff(times, prepend=np.nan)
    return ferri2006(imi, np.ones(len(times), bool)).value


def _apart(onset: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.r_[True, np.diff(onset) > 0.5] if len(onset) else np.zeros(0, bool)


def scored(
    onset: NDArray[np.float64], hours: float, rules: str = "wasm2016"
) -> tuple[float, float]:
    """Return index and periodicity of movements, by the scorer of ``measures.legs``.

    Parameters
    ----------
    onset : (M,) float
        Seconds, in order.
    hours : float
        Time that the index refers to.
    rules : str
        Rule set: ``wasm2016`` (10 to 90 s), or ``wasm2006`` (5 to 90 s), by which most of
        the printed indices were counted.

    Returns
    -------
    tuple of float
        Periodic movements an hour and the share of movements that are periodic; NaN
        without movements.
    """
    times = onset[_apart(onset)]
    if len(times) == 0:
        return 0.0, np.nan
    found = find_series(times, np.ones(len(times), bool), rule_sets((rules,))[0])
    count = int(np.sum(found.periodic))
    return count / hours, count / len(times)
