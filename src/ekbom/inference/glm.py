"""Least squares for many outcomes at once: the same code for regions and voxels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ekbom.inference.strata import Model
from ekbom.inference.sums import products, squares
from ekbom.inference.tails import log_sf_f, log_sf_t, z_of_f, z_of_t

# Fixed, so that sums do not depend on memory or machine.
_CHUNK = 16_384


@dataclass(frozen=True)
class Fit:
    """Estimates of one effect for V outcomes.

    Parameters
    ----------
    estimate : (r, V)
        C beta, in units of the outcome (per unit of a covariate).
    se : (V,)
        Standard error of the estimate when r is 1, else NaN.
    statistic : (V,)
        t (with its sign) or F; NaN where the residuals vanish or a value is missing.
    df : int
        Residual degrees of freedom.
    df1 : int
        Rank of the effect.
    sigma : (V,)
        Residual standard deviation.
    beta : (p, V)
        Minimum-norm coefficients.
    partial_r2 : (V,)
        Share of the variance left by the other terms that the effect takes.
    df_each : (V,) or None
        Degrees of freedom by outcome, when each has its own (unequal variances).
    """

    kind: str
    estimate: NDArray[np.float64]
    se: NDArray[np.float64]
    statistic: NDArray[np.float64]
    df: int
    df1: int
    sigma: NDArray[np.float64]
    beta: NDArray[np.float64]
    unit_variance: float
    df_each: NDArray[np.float64] | None = None

    @property
    def dfs(self) -> int | NDArray[np.float64]:
        """Degrees of freedom of the statistic: one number, or one a voxel."""
        return self.df if self.df_each is None else self.df_each

    @property
    def partial_r2(self) -> NDArray[np.float64]:
        """Partial R squared, (V,)."""
        f = np.square(self.statistic) if self.kind == "t" else self.statistic * self.df1
        return np.asarray(f / (f + self.df))

    @property
    def z(self) -> NDArray[np.float64]:
        """Normal deviate with the same tail probability, (V,)."""
        if self.kind == "t":
            return z_of_t(self.statistic, self.dfs)
        return z_of_f(self.statistic, self.df1, self.dfs)

    def log_p(self, sign: str = "two-sided") -> NDArray[np.float64]:
        """Return the natural logarithm of the uncorrected p, (V,)."""
        if self.kind == "F":
            return log_sf_f(self.statistic, self.df1, self.dfs)
        if sign == "two-sided":
            both = np.log(2.0) + log_sf_t(np.abs(self.statistic), self.dfs)
            return np.asarray(np.minimum(both, 0.0))
        return log_sf_t(self.statistic if sign == "positive" else -self.statistic, self.dfs)

    def p(self, sign: str = "two-sided") -> NDArray[np.float64]:
        """Return the uncorrected p, (V,)."""
        return np.asarray(np.exp(self.log_p(sign)))


def fit(values: NDArray[np.floating[Any]], model: Model) -> Fit:
    """Fit a model to outcomes.

    Parameters
    ----------
    values : (n, V) float32 or float64
        Rows of the design; sums are float64, and taken from centred data.
    model : Model
        From :func:`~ekbom.inference.strata.model`.

    Returns
    -------
    Fit
        Estimates, V long. An outcome with a missing value, or without residual
        variance, gets NaN.
    """
    x, c = model.x, model.c
    pinv = np.linalg.pinv(x)
    xtx_inv = pinv @ pinv.T
    v = values.shape[1]
    r = len(c)
    middle = np.linalg.pinv(c @ xtx_inv @ c.T)
    rank = int(np.linalg.matrix_rank(c @ xtx_inv @ c.T))
    beta = np.empty((x.shape[1], v))
    rss = np.empty(v)
    scale = np.empty(v)
    for part, y in _centred(values, model):
        beta[:, part] = products(pinv, y)
        residual = y - products(x, beta[:, part])
        rss[part] = squares(residual)
        scale[part] = squares(y)
    # centring took x times this off the coefficients; give it back
    offset = _offset(values, model)
    if offset is not None:
        beta += np.outer(pinv @ np.ones(len(x)), offset)
    estimate = products(c, beta)
    # beneath the rounding of the data nothing is left to test against
    empty = ~(rss > 1e-20 * scale) | ~(rss > 0.0)
    sigma = np.sqrt(np.where(empty, np.nan, rss) / model.df)
    kind = model.kind if r == 1 else "F"
    variance = float((c @ xtx_inv @ c.T)[0, 0]) if r == 1 else float("nan")
    se = sigma * np.sqrt(variance)
    if kind == "t":
        statistic = estimate[0] / se
    else:
        quadratic = np.multiply(estimate, products(middle, estimate)).sum(axis=0)
        statistic = quadratic / (rank * np.square(sigma))
    return Fit(kind, estimate, se, statistic, model.df, rank, sigma, beta, variance)


def residuals(values: NDArray[np.floating[Any]], model: Model) -> NDArray[np.float64]:
    """Return the residuals (m, V) of a model, from centred data."""
    pinv = np.linalg.pinv(model.x)
    out = np.empty((len(model.x), values.shape[1]))
    for part, y in _centred(values, model):
        out[:, part] = np.subtract(y, products(model.x, products(pinv, y)))
    return out


def _centred(
    values: NDArray[np.floating[Any]], model: Model
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    centre = _holds_mean(model)
    for start in range(0, values.shape[1], _CHUNK):
        part = slice(start, start + _CHUNK)
        y = model.take(values[:, part])
        yield part, y - y.mean(axis=0) if centre else y


def _offset(values: NDArray[np.floating[Any]], model: Model) -> NDArray[np.float64] | None:
    if not _holds_mean(model):
        return None
    return np.concatenate(
        [
            model.take(values[:, s : s + _CHUNK]).mean(axis=0)
            for s in range(0, values.shape[1], _CHUNK)
        ]
    )


def _holds_mean(model: Model) -> bool:
    """Whether the constant lies in the span of the rows (within persons it is gone already)."""
    one = np.ones(len(model.x))
    return bool(np.abs(one - model.x @ (np.linalg.pinv(model.x) @ one)).max() < 1e-9)
