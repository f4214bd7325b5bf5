"""What is drawn beside the data: means, intervals, lines, bands, limits.

These repeat in plain closed form what :mod:`ekbom.inference` says in its
tables; the tables are what counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """A regression line with its 95 % band.

    Parameters
    ----------
    x, y : (n,) array
        Covariate, and outcome adjusted to the means of the other terms.
    grid, fitted, lower, upper : (G,) array
        The line and its pointwise band.
    slope : float
        Of the line, in units of y a unit of x.
    """

    x: Array
    y: Array
    grid: Array
    fitted: Array
    lower: Array
    upper: Array
    slope: float


def line(x: Array, y: Array, others: Array | None = None, *, points: int = 60) -> Line:
    """Fit y on x and other covariates, and hold these at their means.

    Parameters
    ----------
    x, y : (n,) array
        Covariate and outcome; rows with a missing number are left out.
    others : (n, k) array, optional
        Other columns of the design, without the intercept.
    points : int
        Points of the grid.

    Returns
    -------
    Line
        The slope equals that of x in the full model.
    """
    extra = np.empty((len(x), 0)) if others is None else np.asarray(others, float)
    keep = np.isfinite(x) & np.isfinite(y) & np.isfinite(extra).all(axis=1)
    x, y, extra = x[keep], y[keep], extra[keep]
    extra = extra - extra.mean(axis=0) if len(x) else extra
    design = np.column_stack([np.ones_like(x), x, extra])
    inverse = np.linalg.pinv(design.T @ design)
    beta = inverse @ design.T @ y
    rank = int(np.linalg.matrix_rank(design)) if len(x) else 0
    df = len(y) - rank
    grid = np.linspace(x.min(), x.max(), points) if len(x) else np.array([0.0])
    rows = np.column_stack([np.ones_like(grid), grid, np.zeros((len(grid), extra.shape[1]))])
    fitted = rows @ beta
    if df > 0:
        variance = float(np.sum((y - design @ beta) ** 2)) / df
        half = stats.t.ppf(0.975, df) * np.sqrt(
            variance * np.einsum("ij,jk,ik->i", rows, inverse, rows)
        )
    else:
        half = np.full_like(fitted, np.nan)
    adjusted = y - extra @ beta[2:]
    return Line(x, adjusted, grid, fitted, fitted - half, fitted + half, float(beta[1]))


def mean_half_width(values: Array) -> tuple[float, float]:
    """Return the mean and half the width of its 95 % interval.

    Parameters
    ----------
    values : (n,) array
        Missing numbers are left out.

    Returns
    -------
    tuple of float
        The half width is NaN below two values.
    """
    v = values[np.isfinite(values)]
    if v.size < 2:
        return (float(v.mean()) if v.size else math.nan), math.nan
    half = stats.t.ppf(0.975, v.size - 1) * v.std(ddof=1) / math.sqrt(v.size)
    return float(v.mean()), float(half)


def paired_half_width(first: Array, second: Array) -> float:
    """Return half the width of within-person 95 % intervals of two means.

    The interval of each mean after differences between people are taken out
    (Morey 2008, 10.20982/tqmp.04.2.p061): it is
    ``t * SD(difference) / sqrt(2 n)``.

    Parameters
    ----------
    first, second : (n,) array
        The same people in the same order.

    Returns
    -------
    float
        NaN below two pairs.
    """
    difference = second - first
    difference = difference[np.isfinite(difference)]
    n = difference.size
    if n < 2:
        return math.nan
    return float(stats.t.ppf(0.975, n - 1) * difference.std(ddof=1) / math.sqrt(2 * n))


def agreement(first: Array, second: Array) -> tuple[float, float, float, float, float]:
    """Return bias, limits of agreement, and half widths of their intervals.

    Bland and Altman 1999 (10.1177/096228029900800204): the variance of a limit
    is about ``SD² (1/n + 1.96² / (2 (n - 1)))``.

    Parameters
    ----------
    first, second : (n,) array
        The same people in the same order.

    Returns
    -------
    tuple of float
        Bias (second - first), lower and upper limit, half width of the
        interval of the bias and of a limit.
    """
    d = (second - first)[np.isfinite(second - first)]
    n = d.size
    if n < 2:
        return (math.nan,) * 5
    bias, sd = float(d.mean()), float(d.std(ddof=1))
    t = float(stats.t.ppf(0.975, n - 1))
    limit = 1.959963984540054
    return (
        bias,
        bias - limit * sd,
        bias + limit * sd,
        t * sd / math.sqrt(n),
        t * sd * math.sqrt(1 / n + limit**2 / (2 * (n - 1))),
    )


def fences(values: Array) -> tuple[float, float]:
    """Return limits of an axis that outliers do not stretch.

    Parameters
    ----------
    values : (n,) array
        Missing numbers are left out.

    Returns
    -------
    tuple of float
        The range of values within three interquartile ranges of the quartiles.
    """
    v = values[np.isfinite(values)]
    if not v.size:
        return 0.0, 1.0
    first, third = np.quantile(v, [0.25, 0.75])
    reach = 3 * (third - first)
    inside = v[(v >= first - reach) & (v <= third + reach)]
    return float(inside.min()), float(inside.max())


def spread(values: Array, *, width: float = 0.18) -> Array:
    """Return sideways shifts that keep near dots apart, without chance.

    Parameters
    ----------
    values : (n,) array
        Heights of the dots.
    width : float
        Largest shift.

    Returns
    -------
    (n,) array
        Neighbours in height are shifted in turn left and right.
    """
    order = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    turn = np.array([0.0, 1.0, -1.0, 0.5, -0.5])
    shifts: Array = width * turn[order % len(turn)]
    return shifts
