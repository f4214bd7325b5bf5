"""Indirect paths: does X go with Y by way of M?

M = a X and Y = b M + c' X, covariates held constant on both. In least squares the
indirect path a b is exactly c - c', the total less the direct path. Whether it differs
from 0 is asked in two ways: by intervals of a b (percentile and bias-corrected bootstrap over
people, Preacher & Hayes 2008, 10.3758/BRM.40.3.879; permutation of residuals, Taylor &
MacKinnon 2012, 10.3758/s13428-011-0181-x), and by joint significance of both paths.

Bias correction in full (BC, BCa) covers too seldom when one path is absent (Fritz, Taylor &
MacKinnon 2012, 10.1080/00273171.2012.640596; Chen & Fritz 2021, 10.1177/01632787211024356), so
the correction is reduced as Tibbe & Montoya (2022, 10.3389/fpsyg.2022.810258) propose: limits are
moved by z0 and not by 2 z0. BCa is computed for comparison alone.
None of this shows a direction: data of one moment fit the reverse order as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

_CHUNK = 1000


@dataclass(frozen=True)
class Paths:
    """Estimates of the four paths, each a number or one a column.

    Parameters
    ----------
    a, b, c, direct : float or (V,)
        X to M; M to Y given X; X to Y; X to Y given M.
    t_a, t_b, t_c, t_direct : float or (V,)
        Their t statistics.
    df : int
        Degrees of freedom of ``t_a`` and ``t_c``; those of ``t_b`` and ``t_direct`` are one less.
    """

    a: Any
    b: Any
    c: Any
    direct: Any
    t_a: Any
    t_b: Any
    t_c: Any
    t_direct: Any
    df: int

    @property
    def indirect(self) -> Any:
        """The product a b."""
        return self.a * self.b


@dataclass(frozen=True)
class Mediation:
    """An indirect path with its intervals.

    Parameters
    ----------
    paths : Paths
        Estimates.
    standardised : float
        a b in standard deviations of Y for one of X, covariates taken out.
    percentile, reduced, permuted : (low, high)
        Intervals of a b: percentile bootstrap, bootstrap with reduced bias correction,
        permutation of residuals.
    bca : (low, high)
        Bias-corrected and accelerated bootstrap, for comparison: too short when a path is absent.
    moderation, moderation_p : float
        Coefficient of X times M in the model of Y, and its p: paths are taken as constant.
    se : float
        Bootstrap standard error.
    """

    paths: Paths
    standardised: float
    percentile: tuple[float, float]
    reduced: tuple[float, float]
    permuted: tuple[float, float]
    bca: tuple[float, float]
    moderation: float
    moderation_p: float
    se: float


def paths_of(
    x: NDArray[np.float64],
    m: NDArray[np.float64],
    y: NDArray[np.float64],
    z: NDArray[np.float64] | None = None,
) -> Paths:
    """Return the paths for one or many triples at once.

    Parameters
    ----------
    x, m, y : (n,) or (n, V) float64
        Cause, mediator, outcome; at most V columns each.
    z : (n, k) float64, optional
        Covariates, without the constant, which is added.

    Returns
    -------
    Paths
        Numbers, or one a column.

    Examples
    --------
    A chain without noise returns its paths:

    >>> x = np.array([0.0, 1, 2, 3, 4]); e = np.array([1.0, -1, 0, -1, 1])
    >>> found = paths_of(x, 2 * x + e, 3 * (2 * x + e) + 0.5 * x)
    >>> round(float(found.a), 9), round(float(found.b), 9), round(float(found.direct), 9)
    (2.0, 3.0, 0.5)
    """
    n = len(x)
    q = _basis(n, z)
    x, m, y = (v - q @ (q.T @ v) for v in (x, m, y))
    df = n - q.shape[1] - 1

    def s(u: NDArray[np.float64], v: NDArray[np.float64]) -> Any:
        if u.ndim == v.ndim:
            return np.multiply(u, v).sum(axis=0)
        return u.T @ v if u.ndim == 2 else v.T @ u

    xx, mm, yy, xm, xy, my = s(x, x), s(m, m), s(y, y), s(x, m), s(x, y), s(m, y)
    det = xx * mm - xm * xm
    with np.errstate(all="ignore"):
        a, c = xm / xx, xy / xx
        b, direct = (xx * my - xm * xy) / det, (mm * xy - xm * my) / det
        left_m = np.maximum(mm - a * xm, 0.0) / df
        left_c = np.maximum(yy - c * xy, 0.0) / df
        left_y = np.maximum(yy - b * my - direct * xy, 0.0) / (df - 1)
        return Paths(
            a, b, c, direct,
            a / np.sqrt(left_m / xx), b / np.sqrt(left_y * xx / det),
            c / np.sqrt(left_c / xx), direct / np.sqrt(left_y * mm / det), df,
        )  # fmt: skip


def mediate(
    x: NDArray[np.float64],
    m: NDArray[np.float64],
    y: NDArray[np.float64],
    z: NDArray[np.float64] | None = None,
    *,
    strata: NDArray[Any] | None = None,
    draws: int = 5_000,
    interval: float = 0.95,
    seed: int = 0,
) -> Mediation:
    """Estimate an indirect path with its intervals.

    Parameters
    ----------
    x, m, y : (n,) float64
        Cause, mediator and outcome.
    z : (n, k) float64, optional
        Covariates without the constant.
    strata : (n,) array, optional
        People are drawn within these (a group).
    draws : int
        Of the bootstrap and of the permutation.
    interval : float
        Coverage.
    seed : int
        Of all draws.

    Returns
    -------
    Mediation
        Paths and intervals.
    """
    n = len(x)
    paths = paths_of(x, m, y, z)
    one = np.ones((n, 1))
    rows = np.column_stack([one, x] if z is None else [one, z, x])
    rows = np.column_stack([rows, m, y])
    centre = rows - np.where(np.arange(rows.shape[1]) == 0, 0.0, rows.mean(axis=0))
    scale = np.sqrt(np.square(centre).mean(axis=0))
    products = np.einsum("ij,ik->ijk", centre / scale, centre / scale).reshape(n, -1)
    unit = scale[-1] / scale[-3]
    rng = np.random.default_rng([seed, 1])
    drawn = unit * np.concatenate(
        [
            _indirect(_counts(rng, n, min(_CHUNK, draws - k), strata) @ products)
            for k in range(0, draws, _CHUNK)
        ]
    )
    drawn = drawn[np.isfinite(drawn)]
    jack = unit * _indirect((np.ones((n, n)) - np.eye(n)) @ products)
    tails = ((1 - interval) / 2, (1 + interval) / 2)
    low, high = np.quantile(drawn, tails)
    left = _residual_sd(x, z), _residual_sd(y, z)
    moderation, p = _moderated(x, m, y, z)
    return Mediation(
        paths,
        float(paths.indirect) * left[0] / left[1],
        (float(low), float(high)),
        _reduced(drawn, float(paths.indirect), tails),
        _residual_interval(x, m, y, z, paths, draws, tails, seed),
        _bca(drawn, float(paths.indirect), jack, tails),
        moderation,
        p,
        float(drawn.std(ddof=1)),
    )


def detectable(n: int, covariates: int, power: float = 0.8, alpha: float = 0.05) -> float:
    """Return the partial correlation that both paths must have to be found together.

    Parameters
    ----------
    n : int
        People.
    covariates : int
        Columns held constant, the constant not counted.
    power, alpha : float
        Wished power of joint significance, and level of each path.

    Returns
    -------
    float
        Each path alone is then found with the root of that power (noncentral t).
    """
    df = n - covariates - 3
    if df < 1:
        return math.nan
    wished = math.sqrt(power)
    critical = float(special.stdtrit(df, 1 - alpha / 2))
    low: float = 0.0
    high: float = 0.999999
    for _ in range(80):
        r = (low + high) / 2
        shift = r / math.sqrt(1 - r * r) * math.sqrt(df + 1)
        reached: float = 1 - float(special.nctdtr(df, shift, critical))
        if reached < wished:
            low = r
        else:
            high = r
    return (low + high) / 2


def _basis(n: int, z: NDArray[np.float64] | None) -> NDArray[np.float64]:
    one = np.ones((n, 1))
    u, s, _ = np.linalg.svd(one if z is None else np.column_stack([one, z - z.mean(axis=0)]),
                            full_matrices=False)  # fmt: skip
    return np.asarray(u[:, s > 1e-10 * s[0]])


def _counts(
    rng: np.random.Generator, n: int, draws: int, strata: NDArray[Any] | None
) -> NDArray[np.float64]:
    """Return how often each person is drawn, (draws, n)."""
    out = np.zeros((draws, n))
    label = np.zeros(n, int) if strata is None else np.unique(strata, return_inverse=True)[1]
    for level in np.unique(label):
        inside = np.flatnonzero(label == level)
        out[:, inside] = rng.multinomial(len(inside), np.full(len(inside), 1 / len(inside)), draws)
    return out


def _indirect(cross: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a b from sums of products of [1 z x m y], one a row of `cross`."""
    u = round(math.sqrt(cross.shape[1]))
    s = cross.reshape(-1, u, u)
    k = u - 3
    inner = s[:, :k, :k]
    with np.errstate(all="ignore"):
        try:
            w = np.linalg.solve(inner, s[:, :k, k:])
        except np.linalg.LinAlgError:
            w = np.linalg.pinv(inner, hermitian=True) @ s[:, :k, k:]
        r = s[:, k:, k:] - np.swapaxes(s[:, :k, k:], 1, 2) @ w
        xx, xm, xy, mm, my = r[:, 0, 0], r[:, 0, 1], r[:, 0, 2], r[:, 1, 1], r[:, 1, 2]
        det = xx * mm - xm * xm
        return np.where(det > 1e-12 * xx * mm, xm / xx * (xx * my - xm * xy) / det, np.nan)


def _bias(drawn: NDArray[np.float64], estimate: float) -> float:
    """Return z0: the normal quantile of the share of draws under the estimate."""
    less = np.count_nonzero(drawn < estimate) + 0.5 * np.count_nonzero(drawn == estimate)
    edge = 0.5 / len(drawn)
    return float(special.ndtri(np.clip(less / len(drawn), edge, 1 - edge)))


def _reduced(
    drawn: NDArray[np.float64], estimate: float, tails: tuple[float, float]
) -> tuple[float, float]:
    """Return the interval with reduced bias correction: tails moved by z0, half of what BC does."""
    z0 = _bias(drawn, estimate)
    low, high = np.quantile(drawn, special.ndtr(z0 + special.ndtri(np.array(tails))))
    return float(low), float(high)


def _bca(
    drawn: NDArray[np.float64],
    estimate: float,
    jack: NDArray[np.float64],
    tails: tuple[float, float],
) -> tuple[float, float]:
    """Return the bias-corrected and accelerated interval (Efron & Tibshirani 1993, ch. 14)."""
    z0 = _bias(drawn, estimate)
    gap = np.nanmean(jack) - jack[np.isfinite(jack)]
    spread = float(np.square(gap).sum()) ** 1.5
    bend = float((gap**3).sum()) / (6 * spread) if spread > 0 else 0.0
    moved = []
    for tail in tails:
        q = z0 + float(special.ndtri(tail))
        moved.append(float(special.ndtr(z0 + q / (1 - bend * q))))
    low, high = np.quantile(drawn, moved)
    return float(low), float(high)


def _residual_interval(
    x: NDArray[np.float64],
    m: NDArray[np.float64],
    y: NDArray[np.float64],
    z: NDArray[np.float64] | None,
    paths: Paths,
    draws: int,
    tails: tuple[float, float],
    seed: int,
) -> tuple[float, float]:
    """Interval by permuting the residuals of both models (not iterated)."""
    n = len(x)
    q = _basis(n, z)
    xr, mr, yr = (v - q @ (q.T @ v) for v in (x, m, y))
    em = mr - float(paths.a) * xr
    ey = yr - float(paths.b) * mr - float(paths.direct) * xr
    mx = em  # residual of m on x and z: the direction of b
    rng = np.random.default_rng([seed, 2])
    left = n - q.shape[1]
    # residuals are too short by the parameters fitted
    grow_m, grow_y = math.sqrt(n / (left - 1)), math.sqrt(n / (left - 2))
    out = []
    for k in range(0, draws, _CHUNK):
        size = min(_CHUNK, draws - k)
        order = rng.permuted(np.tile(np.arange(n), (size, 1)), axis=1)
        a = float(paths.a) + grow_m * (em[order] @ xr) / (xr @ xr)
        order = rng.permuted(order, axis=1)
        b = float(paths.b) + grow_y * (ey[order] @ mx) / (mx @ mx)
        out.append(a * b)
    low, high = np.quantile(np.concatenate(out), tails)
    return float(low), float(high)


def _residual_sd(v: NDArray[np.float64], z: NDArray[np.float64] | None) -> float:
    q = _basis(len(v), z)
    r = v - q @ (q.T @ v)
    return float(np.sqrt(r @ r / (len(v) - q.shape[1])))


def _moderated(
    x: NDArray[np.float64],
    m: NDArray[np.float64],
    y: NDArray[np.float64],
    z: NDArray[np.float64] | None,
) -> tuple[float, float]:
    """Return the coefficient of x m in the model of y, and its p."""
    n = len(x)
    xc, mc = x - x.mean(), m - m.mean()
    q = _basis(n, np.column_stack([v for v in (z, xc, mc) if v is not None]))
    prod = xc * mc
    e, r = prod - q @ (q.T @ prod), y - q @ (q.T @ y)
    df = n - q.shape[1] - 1
    size = float(e @ e)
    if df < 1 or size < 1e-20 * float(prod @ prod):
        return math.nan, math.nan
    slope = float(e @ r) / size
    left = float(r @ r) - slope * float(e @ r)
    t = slope / math.sqrt(max(left, 1e-300) / df / size)
    return slope, 2 * float(special.stdtr(df, -abs(t)))
