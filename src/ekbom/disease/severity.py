"""The threshold of the disease, and the severity score: ten items of graded response."""

from __future__ import annotations

import numpy as np

from ekbom.disease.people import data, value_of
from ekbom.disease.simulate import Array


def threshold(z: Array) -> float:
    """Return the threshold at which the reference population has its prevalence.

    Parameters
    ----------
    z : (n,) float
        Log evening urge of the reference population.

    Returns
    -------
    float
        On the scale of ``z``.
    """
    k = value_of(data("population")["reference"], "prevalence")
    return float(np.quantile(z, 1 - k))


def irls(z: Array, cut: float, rng: np.random.Generator) -> Array:
    """Return simulated severity totals (0 to 40): ten items of graded response.

    Parameters
    ----------
    z : (n,) float
        Log evening urge.
    cut : float
        Threshold of the disease.
    rng : numpy.random.Generator
        Of the answers.

    Returns
    -------
    (n,) float
        Totals. Items are numbers only; no wording is shipped.
    """
    entry = data("population")["irls"]
    slope, items = value_of(entry, "slope"), int(value_of(entry, "items"))
    steps = np.asarray(entry["steps"]["value"])
    p = 1 / (1 + np.exp(-slope * (z[:, None] - cut - steps)))
    answer = rng.random((len(z), items, 1)) < p[:, None, :]
    total: Array = answer.sum(axis=(1, 2)).astype(np.float64)
    return total


def expected_irls(above: Array) -> Array:
    """Return the expected severity total.

    Parameters
    ----------
    above : (n,) float
        Log evening urge over the threshold.

    Returns
    -------
    (n,) float
        Points.
    """
    entry = data("population")["irls"]
    steps = np.asarray(entry["steps"]["value"])
    p = 1 / (1 + np.exp(-value_of(entry, "slope") * (above[:, None] - steps)))
    out: Array = value_of(entry, "items") * p.sum(axis=1)
    return out
