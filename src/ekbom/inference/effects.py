"""Sizes of effects, with intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from ekbom.inference.glm import Fit
from ekbom.inference.named import Effect
from ekbom.inference.strata import Model
from ekbom.inference.tails import noncentrality_of_f, noncentrality_of_t, t_critical

_NONE = (math.nan, math.nan)


@dataclass(frozen=True)
class Size:
    """Sizes of one effect in one outcome; NaN where one has no meaning.

    Parameters
    ----------
    ci : (low, high)
        Interval of the raw effect, in its unit.
    g, g_ci : float, (low, high)
        Hedges g: standardised mean difference, its bias at small n removed. Two
        groups: over the residual standard deviation. Two sessions: over that
        of the change from one to the other. A mean: over the deviation of persons.
    r, r_ci : float, (low, high)
        Partial correlation, with its sign.
    percent, percent_ci : float, (low, high)
        Difference as a percentage of the mean it is compared to, interval by Fieller.
    partial_r2, partial_r2_ci : float, (low, high)
        Share of variance left by the other terms.
    """

    ci: tuple[float, float] = _NONE
    g: float = math.nan
    g_ci: tuple[float, float] = _NONE
    r: float = math.nan
    r_ci: tuple[float, float] = _NONE
    percent: float = math.nan
    percent_ci: tuple[float, float] = _NONE
    partial_r2: float = math.nan
    partial_r2_ci: tuple[float, float] = _NONE


def small_sample(df: float) -> float:
    """Return Hedges' J(df), the factor that takes the bias off a standardised difference.

    Parameters
    ----------
    df : float
        Degrees of freedom, above 1.

    Returns
    -------
    float
        Gam(df/2) / (sqrt(df/2) Gam((df-1)/2)) (Hedges 1981, 10.3102/10769986006002107).

    Examples
    --------
    >>> round(small_sample(25), 5)
    0.96965
    """
    if df <= 1:
        return math.nan
    return float(np.exp(gammaln(df / 2) - gammaln((df - 1) / 2)) / math.sqrt(df / 2))


def effect_sizes(found: Fit, model: Model, asked: Effect, v: int, interval: float = 0.95) -> Size:
    """Return the sizes of an effect in outcome ``v``.

    Parameters
    ----------
    found : Fit
        Fit of the model.
    model : Model
        Model that was fitted.
    asked : Effect
        Effect that was asked for.
    v : int
        Which outcome.
    interval : float
        Coverage.

    Returns
    -------
    Size
        Raw interval, Hedges g, partial r and percentage as far as they have meaning.

    Notes
    -----
    The interval of g inverts the noncentral t distribution exactly and is that of
    the population value, so that g itself, which is shrunk, need not stand in its
    middle. The interval of r for a slope is Fisher's, in which the covariate is a
    sample as the outcome is; for a difference it follows from that of g.
    """
    t = float(found.statistic[v])
    if not np.isfinite(t):
        return Size()
    if found.kind == "F":
        return _joint(t, found, interval)
    estimate, se = float(found.estimate[0, v]), float(found.se[v])
    half = t_critical(found.df, interval) * se
    r = t / math.sqrt(t * t + found.df)
    low, high = noncentrality_of_t(t, found.df, interval)
    g, g_ci = math.nan, _NONE
    if asked.quantity in ("difference", "mean"):
        unit = math.sqrt(found.unit_variance) / (math.sqrt(2) if model.stratum == "within" else 1)
        g, g_ci = small_sample(found.df) * t * unit, (low * unit, high * unit)
    if asked.quantity == "slope":
        r_ci = _fisher(r, found.df, interval)
    else:
        r_ci = (_r(low, found.df), _r(high, found.df))
    percent, percent_ci = _percent(found, model, asked, v, interval)
    return Size(
        ci=(estimate - half, estimate + half),
        g=g,
        g_ci=g_ci,
        r=r,
        r_ci=r_ci,
        percent=percent,
        percent_ci=percent_ci,
        partial_r2=r * r,
    )


def _joint(f: float, found: Fit, interval: float) -> Size:
    low, high = noncentrality_of_f(f, found.df1, found.df, interval)
    share = f * found.df1 / (f * found.df1 + found.df)
    n = found.df + found.df1 + 1
    return Size(partial_r2=share, partial_r2_ci=(low / (low + n), high / (high + n)))


def _r(noncentrality: float, df: float) -> float:
    return noncentrality / math.sqrt(noncentrality**2 + df)


def _fisher(r: float, df: int, interval: float) -> tuple[float, float]:
    # df = n - 2 - k with k nuisance covariates, and the variance of atanh r is 1 / (n - k - 3)
    if df <= 1 or abs(r) >= 1.0:
        return _NONE
    from scipy.special import ndtri

    half = float(ndtri(0.5 + interval / 2)) / math.sqrt(df - 1)
    return math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half)


def _percent(
    found: Fit, model: Model, asked: Effect, v: int, interval: float
) -> tuple[float, tuple[float, float]]:
    """Ratio of the effect to the mean of its baseline, within one fit (Fieller 1954)."""
    if asked.baseline is None or model.stratum == "within":
        return math.nan, _NONE
    base = asked.baseline
    xtx_inv = np.linalg.pinv(model.x.T @ model.x)
    s2 = float(found.sigma[v]) ** 2
    a = float(found.estimate[0, v])
    b = float(base @ found.beta[:, v])
    c = asked.matrix[0]
    vaa, vab, vbb = (s2 * float(p @ xtx_inv @ q) for p, q in ((c, c), (c, base), (base, base)))
    return fieller(a, b, vaa, vab, vbb, t_critical(found.df, interval))


def fieller(
    a: float, b: float, vaa: float, vab: float, vbb: float, critical: float
) -> tuple[float, tuple[float, float]]:
    """Return 100 a / b and its interval (Fieller 1954, JRSS B 16:175).

    Parameters
    ----------
    a, b : float
        Effect and the mean it is compared to.
    vaa, vab, vbb : float
        Their variances and covariance.
    critical : float
        Critical t.

    Returns
    -------
    tuple
        Percentage and (low, high); the interval is NaN when ``b`` cannot be told from 0.
    """
    if b == 0.0:
        return math.nan, _NONE
    k = critical**2
    qa, qb, qc = b * b - k * vbb, a * b - k * vab, a * a - k * vaa
    inside = qb * qb - qa * qc
    if qa <= 0.0 or inside < 0.0:
        return 100 * a / b, _NONE
    root = math.sqrt(inside)
    return 100 * a / b, (100 * (qb - root) / qa, 100 * (qb + root) / qa)


def paired_percent(
    after: NDArray[np.float64], before: NDArray[np.float64], interval: float
) -> tuple[float, tuple[float, float]]:
    """Return the change as a percentage of the mean before, with Fieller's interval."""
    change = after - before
    n = len(change)
    if n < 2:
        return math.nan, _NONE
    cov = np.cov(np.vstack([change, before])) / n
    return fieller(
        float(change.mean()),
        float(before.mean()),
        float(cov[0, 0]),
        float(cov[0, 1]),
        float(cov[1, 1]),
        t_critical(n - 1, interval),
    )
