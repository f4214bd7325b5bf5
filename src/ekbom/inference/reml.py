"""Restricted maximum likelihood for repeated measurements, with its degrees of freedom.

People with the same visits enter by their cross products alone, so a fit costs the
same for 20 people as for 20,000. The likelihood is climbed by Newton steps in the
parameters of a covariance that is linear in them; the observed information there
gives Satterthwaite's degrees of freedom (Satterthwaite 1946, 10.2307/3002019; Fai &
Cornelius 1996, 10.1080/00949659608811740, for several rows), the expected one
Kenward and Roger's correction (1997, 10.2307/2533558).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ekbom.inference.covariance import Stack

SmallSample = Literal["satterthwaite", "kenward-roger"]
MAX_STEPS = 200
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Contrast:
    """An estimate that is a sum of coefficients, with its test.

    Parameters
    ----------
    estimate, se : float
        In units of the outcome.
    df : float
        Degrees of freedom of the t distribution.
    t, p : float
        Statistic and two-sided p.
    low, high : float
        Limits of the interval.
    """

    estimate: float
    se: float
    df: float
    t: float
    p: float
    low: float
    high: float


@dataclass(frozen=True)
class Joint:
    """Several contrasts tested together.

    Parameters
    ----------
    F, df1, df2, p : float
        Statistic, degrees of freedom and p.
    """

    F: float
    df1: int
    df2: float
    p: float


@dataclass(frozen=True)
class Reml:
    """A fitted model of repeated measurements.

    Parameters
    ----------
    beta : (q,) float64
        Coefficients.
    cov : (q, q) float64
        Their covariance, of generalised least squares.
    theta : (K,) float64
        Covariance parameters, in squared units of the outcome.
    theta_cov : (K, K) float64
        Their covariance: inverse of the observed information.
    expected_cov : (K, K) float64
        Inverse of the expected information.
    slopes : (K, q, q) float64
        Derivative of ``cov`` by each parameter.
    adjusted : (q, q) float64
        Covariance of the coefficients after Kenward and Roger.
    loglik : float
        Restricted log-likelihood.
    converged : bool
        Whether the climb ended at a maximum.
    steps : int
        Newton steps taken.
    n : int
        Measurements.
    people : int
        People.
    why : str
        What stopped the climb when it did not converge.
    """

    beta: NDArray[np.float64]
    cov: NDArray[np.float64]
    theta: NDArray[np.float64]
    theta_cov: NDArray[np.float64]
    expected_cov: NDArray[np.float64]
    slopes: NDArray[np.float64]
    adjusted: NDArray[np.float64]
    loglik: float
    converged: bool
    steps: int
    n: int
    people: int
    why: str = ""

    def contrast(
        self,
        c: NDArray[np.float64],
        interval: float = 0.95,
        small_sample: SmallSample = "satterthwaite",
    ) -> Contrast:
        """Test one sum of coefficients.

        Parameters
        ----------
        c : (q,) float64
            Weights.
        interval : float
            Coverage of the interval.
        small_sample : {"satterthwaite", "kenward-roger"}
            How the uncertainty of the covariance enters: in the degrees of freedom, or
            also in the standard error.

        Returns
        -------
        Contrast
            Estimate, interval and test.
        """
        plain, sloped = float(c @ self.cov @ c), np.einsum("i,kij,j->k", c, self.slopes, c)
        kr = small_sample == "kenward-roger"
        spread = float(sloped @ (self.expected_cov if kr else self.theta_cov) @ sloped)
        df = 2.0 * plain * plain / spread if spread > 0 else 1e12
        variance = float(c @ self.adjusted @ c) if kr else plain
        estimate, se = float(c @ self.beta), math.sqrt(variance)
        t = estimate / se
        half = float(special.stdtrit(df, (1 + interval) / 2)) * se
        p = 2 * float(special.stdtr(df, -abs(t)))
        return Contrast(estimate, se, df, t, p, estimate - half, estimate + half)

    def joint(self, c: NDArray[np.float64], small_sample: SmallSample = "kenward-roger") -> Joint:
        """Test several sums of coefficients together.

        Parameters
        ----------
        c : (r, q) float64
            Weights, one row a contrast.
        small_sample : {"kenward-roger", "satterthwaite"}
            F scaled, of the adjusted covariance, or degrees of freedom alone (Fai and
            Cornelius), which is liberal where people are few.

        Returns
        -------
        Joint
            F test.
        """
        values, vectors = np.linalg.eigh(c @ self.cov @ c.T)
        keep = values > 1e-10 * values.max()
        rows = vectors[:, keep].T @ c
        r = len(rows)
        if small_sample == "kenward-roger":
            scale, df2 = self._scaled(rows)
            if df2 > 2:
                inner = np.linalg.solve(rows @ self.adjusted @ rows.T, rows @ self.beta)
                f = scale * float((rows @ self.beta) @ inner) / r
                return Joint(f, r, df2, float(special.fdtrc(r, df2, f)))
        each = np.array([self.contrast(row).df for row in rows])
        t2 = np.square(rows @ self.beta) / values[keep]
        if r == 1:
            df2 = float(each[0])
        else:
            whole = float(np.where(each > 2, each / (each - 2), np.inf).sum())
            df2 = 2 * whole / (whole - r) if math.isfinite(whole) and whole > r else 2.0
        f = float(t2.sum()) / r
        return Joint(f, r, df2, float(special.fdtrc(r, df2, f)))

    def _scaled(self, rows: NDArray[np.float64]) -> tuple[float, float]:
        """Return Kenward and Roger's scale of F and its denominator degrees of freedom.

        The first two moments of F are expanded in the spread of the covariance parameters
        and matched to those of a scaled F; NaN where the expansion breaks down.
        """
        r = len(rows)
        middle = rows.T @ np.linalg.solve(rows @ self.cov @ rows.T, rows)
        turned = middle @ self.slopes  # (K, q, q)
        w = self.expected_cov
        traces = np.trace(turned, axis1=1, axis2=2)
        a1 = float(traces @ w @ traces)
        a2 = float(np.einsum("kl,kij,lji->", w, turned, turned, optimize=True))
        if not 0 < a2 < r:
            return (1.0, 1e12) if a2 == 0 else (math.nan, math.nan)
        b = (a1 + 6 * a2) / (2 * r)
        g = ((r + 1) * a1 - (r + 4) * a2) / ((r + 2) * a2)
        common = 3 * r + 2 * (1 - g)
        c1, c2, c3 = g / common, (r - g) / common, (r + 2 - g) / common
        mean = 1 / (1 - a2 / r)
        variance = (2 / r) * (1 + c1 * b) / ((1 - c2 * b) ** 2 * (1 - c3 * b))
        ratio = variance / (2 * mean**2)
        if not r * ratio > 1:
            return math.nan, math.nan
        df = 4 + (r + 2) / (r * ratio - 1)
        return df / (mean * (df - 2)), df


@dataclass(frozen=True)
class _Point:
    """Likelihood and derivatives at one set of parameters."""

    loglik: float
    score: NDArray[np.float64]
    observed: NDArray[np.float64]
    expected: NDArray[np.float64]
    beta: NDArray[np.float64]
    cov: NDArray[np.float64]
    first: NDArray[np.float64]
    second: NDArray[np.float64]


def climb(stack: Stack, start: NDArray[np.float64], n: int) -> Reml:
    """Maximise the restricted likelihood.

    Parameters
    ----------
    stack : Stack
        The data, columns of X orthonormal (for the sake of rounding).
    start : (K,) float64
        Parameters that give positive definite matrices.
    n : int
        Measurements in all.

    Returns
    -------
    Reml
        The maximum, or where the climb stopped, with ``converged`` False and the reason.
    """
    theta = start.astype(float).copy()
    point = _likelihood(stack, theta, n)
    if point is None:
        raise ValueError("the start is not positive definite")
    why, converged, steps = f"no maximum after {MAX_STEPS} steps", False, 0
    while steps < MAX_STEPS:
        steps += 1
        step = _direction(point)
        gain = float(step @ point.score)
        if gain < _TOLERANCE:
            # close enough that one more step lands within rounding of the maximum
            last = _likelihood(stack, theta + step, n)
            theta, point = (theta, point) if last is None else (theta + step, last)
            converged, why = True, ""
            break
        length, better = 1.0, None
        while length > 1e-8:
            better = _likelihood(stack, theta + length * step, n)
            if better is not None and better.loglik > point.loglik - 1e-10 * abs(gain):
                break
            length, better = length / 2, None
        if better is None:
            # no step goes up any more: rounding at a maximum, or the edge of the space
            converged = gain < 1e-7
            why = "" if converged else "the likelihood has no maximum inside the possible range"
            break
        theta, point = theta + length * step, better
    return _fitted(stack, theta, point, n, converged, why, steps)


def _direction(point: _Point) -> NDArray[np.float64]:
    try:
        np.linalg.cholesky(point.observed)
        return np.asarray(np.linalg.solve(point.observed, point.score))
    except np.linalg.LinAlgError:
        ridge = point.expected + 1e-10 * np.trace(point.expected) * np.eye(len(point.score))
        return np.asarray(np.linalg.solve(ridge, point.score))


def _likelihood(stack: Stack, theta: NDArray[np.float64], n: int) -> _Point | None:
    k, u = len(theta), stack.columns
    q = u - 1
    v = stack.filled + np.tensordot(theta, stack.bases, 1)
    try:
        roots = np.linalg.cholesky(v)
    except np.linalg.LinAlgError:
        return None
    diagonal = np.diagonal(roots, axis1=1, axis2=2)
    real = np.diagonal(stack.filled, axis1=1, axis2=2) == 0
    if diagonal[real].min() < 1e-7 * diagonal[real].max():
        return None
    w = np.linalg.inv(v)  # (G, m, m)
    wq = w @ stack.bases  # (K, G, m, m)
    wqw = wq @ w
    both = wq[:, None] @ wqw[None]  # (K, K, G, m, m)
    whole = (w.reshape(-1) @ stack.cross).reshape(u, u)
    first = wqw.reshape(k, -1) @ stack.cross
    second = both.reshape(k * k, -1) @ stack.cross
    trace1 = np.trace(wq, axis1=2, axis2=3) @ stack.counts
    heavy = wq * stack.counts[:, None, None]
    trace2 = heavy.reshape(k, -1) @ wq.swapaxes(2, 3).reshape(k, -1).T
    log_det = 2.0 * float(stack.counts @ np.log(diagonal).sum(axis=1))
    xx = whole[:q, :q]
    try:
        root = np.linalg.cholesky(xx)
    except np.linalg.LinAlgError:
        return None
    cov: NDArray[np.float64] = np.asarray(np.linalg.inv(xx), np.float64)
    beta = cov @ whole[:q, q]
    t = np.append(-beta, 1.0)
    a = first.reshape(k, u, u)
    b = second.reshape(k, k, u, u)
    b = 0.5 * (b + b.transpose(0, 1, 3, 2))
    fit = float(t @ whole @ t)
    tt = np.outer(t, t).reshape(-1)
    quad1 = a.reshape(k, -1) @ tt
    cross = a[:, :q] @ t
    quad2 = b.reshape(k, k, -1) @ tt - cross @ cov @ cross.T
    ca = cov @ a[:, :q, :q]
    p1 = trace1 - np.einsum("kii->k", ca)
    p2 = (
        trace2
        - 2.0 * b[:, :, :q, :q].reshape(k, k, -1) @ cov.reshape(-1)
        + ca.reshape(k, -1) @ ca.transpose(0, 2, 1).reshape(k, -1).T
    )
    loglik = -0.5 * (
        log_det + 2.0 * float(np.log(np.diag(root)).sum()) + fit + (n - q) * math.log(2 * math.pi)
    )
    observed = quad2 - 0.5 * p2
    return _Point(
        loglik,
        -0.5 * (p1 - quad1),
        0.5 * (observed + observed.T),
        0.25 * (p2 + p2.T),
        beta,
        cov,
        a[:, :q, :q],
        b[:, :, :q, :q],
    )


def _fitted(
    stack: Stack,
    theta: NDArray[np.float64],
    point: _Point,
    n: int,
    converged: bool,
    why: str,
    steps: int,
) -> Reml:
    k = len(theta)
    cov, a, b = point.cov, point.first, point.second
    try:
        np.linalg.cholesky(point.observed)
        theta_cov = np.asarray(np.linalg.inv(point.observed), np.float64)
    except np.linalg.LinAlgError:
        theta_cov = np.full((k, k), np.nan)
        converged, why = False, why or "the likelihood is flat at its maximum"
    expected_cov = np.asarray(np.linalg.pinv(point.expected), np.float64)
    middle = b - np.einsum("kij,jm,lmn->klin", a, cov, a, optimize=True)
    extra = np.einsum("kl,klij->ij", expected_cov, middle)
    adjusted = cov + 2.0 * cov @ extra @ cov
    return Reml(
        point.beta,
        cov,
        theta,
        theta_cov,
        expected_cov,
        np.einsum("ij,kjm,mn->kin", cov, a, cov, optimize=True),
        0.5 * (adjusted + adjusted.T),
        point.loglik,
        converged,
        steps,
        n,
        int(stack.counts.sum()),
        why,
    )
