"""Leg movements of a night: episodes, periodic intervals, short ones, isolated ones.

Rate and periodicity are separate, so that the index varies between nights far
more than the periodicity does. The generator never scores; times are exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ekbom.disease.cohort import data
from ekbom.disease.simulate import Array


@dataclass(frozen=True)
class LegEvents:
    """Movements of one night.

    Parameters
    ----------
    onset, duration : (M,) float
        Seconds from lights off, in order.
    periodic : (M,) bool
        Whether the generator made it in an episode.
    """

    onset: Array
    duration: Array
    periodic: Array


def mode_of_age(age: float) -> float:
    """Return the mode of the interval, s: falling between 55 and 65 years.

    Parameters
    ----------
    age : float
        Years.

    Returns
    -------
    float
        Seconds.
    """
    p = data("population")["plm"]
    young, old = float(p["mode_young"]["value"]), float(p["mode_old"]["value"])
    return float(np.interp(age, [55.0, 65.0], [young, old]))


def night(
    rng: np.random.Generator,
    age: float,
    person: float,
    excitability: float,
    *,
    hours: float = 7.5,
    wake: bool = False,
    short: float = 0.0,
    **own: float,
) -> LegEvents:
    """Make the movements of one night, or of a time of quiet wake.

    Parameters
    ----------
    rng : numpy.random.Generator
        Of all draws; the night effect is one of them.
    age : float
        Years.
    person : float
        Log effect of the person on the hazard of episodes at the time:
        the column ``plm_log`` of the table of people.
    excitability : float
        Spinal excitability at the time, 0 to 1; it acts in quiet wake.
    hours : float
        Length.
    wake : bool
        Quiet wake: shorter intervals.
    short : float
        Standard normal trait of the person: how often a movement of an episode is doubled
        (column ``z_short`` of the table of people).
    **own : float
        Values in place of those of the population file (part ``plm``).

    Returns
    -------
    LegEvents
        In order.
    """
    p = {k: float(v["value"]) for k, v in data("population")["plm"].items()} | own
    log_rate = np.log(p["rate"]) + person + p["per_year"] * (age - 50)
    night_effect = p["night_sd"] * rng.normal()
    log_rate += night_effect
    if wake:
        log_rate += p["b_e"] * (excitability - 0.1)
    off = 3600.0 / np.exp(min(log_rate, 5.0))
    mode = p["mode_wake"] if wake else mode_of_age(age)
    centre = np.log(mode) + (0.0 if wake else p["s_imi"] ** 2)
    least = np.log(2.0 if wake else p["least"])
    doubled = min(p["p_short"] * float(np.exp(p["short_sd"] * short)), 0.6)
    end, t = hours * 3600.0, 0.0
    onsets: list[float] = []
    first: list[bool] = []
    spans: list[tuple[float, float]] = []
    while True:
        t += rng.exponential(off)
        if t >= end:
            break
        stop = min(end, t + rng.gamma(p["shape_on"], p["tau_on"] * 60.0 / p["shape_on"]))
        spans.append((t, stop))
        z = rng.normal()
        while t < stop:
            onsets.append(t)
            first.append(True)
            if rng.random() < doubled:
                onsets.append(t + rng.uniform(2.0, 8.0))
                first.append(True)
            z = p["rho"] * z + np.sqrt(1 - p["rho"] ** 2) * rng.normal()
            ln = centre + p["s_imi"] * z
            # too soon to be periodic: as much later on the log scale, which keeps the peaks apart
            t += float(np.clip(np.exp(least + abs(ln - least)), 2.0, 120.0))
    alone = _isolated(rng, end, spans, p, p["isolated"] * float(np.exp(night_effect)))
    onset = np.concatenate([onsets, alone])
    kind = np.concatenate([np.array(first, bool), np.zeros(alone.size, bool)])
    order = np.argsort(onset, kind="stable")
    duration = np.clip(np.exp(np.log(2.5) + 0.4 * rng.normal(size=len(onset))), 0.5, 10.0)
    return LegEvents(onset[order], duration, kind[order])


def _isolated(
    rng: np.random.Generator,
    end: float,
    spans: list[tuple[float, float]],
    p: dict[str, float],
    rate: float,
) -> Array:
    """Return movements between episodes, single or doubled; in an episode its own clock runs."""
    at = rng.uniform(0, end, rng.poisson(rate * end / 3600.0))
    second = at + rng.uniform(2.0, 8.0, at.size)
    twice = rng.random(at.size) < p["p_double"]
    edges = np.array(spans).reshape(-1, 2)
    inside = ((at[:, None] >= edges[:, 0]) & (at[:, None] < edges[:, 1])).any(axis=1)
    return np.concatenate([at[~inside], second[~inside & twice & (second < end)]])
