"""Conjunctions: several effects at the same place.

The conjunction null is that at least one of the effects is absent; refuting it shows
that all are there (Nichols et al. 2005, 10.1016/j.neuroimage.2004.12.005). The global
null is that none is there; refuting it shows at least one (Friston et al. 1999,
10.1006/nimg.1999.0484), which is little, and needs effects that are independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ekbom.errors import Refused
from ekbom.inference.fields import Kind, ec_density
from ekbom.inference.strata import Model

_SAME = 1e-6
"""Effects count as orthogonal when their estimates correlate less than this."""


def least_statistic(
    t: NDArray[np.float64], sign: str = "two-sided"
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the least of several t statistics, and in which direction.

    Parameters
    ----------
    t : (k, V) float64
        One row an effect.
    sign : {"two-sided", "positive", "negative"}
        Direction that all effects must share; either one by default.

    Returns
    -------
    least : (V,) float64
        Signed; 0 where the effects do not share a direction.
    way : (V,) int
        1, -1 or 0.

    Examples
    --------
    >>> least_statistic(np.array([[3.0, -2.0, 1.0], [2.0, -4.0, -5.0]]))[0].tolist()
    [2.0, -2.0, 0.0]
    """
    up, down = np.maximum(t.min(axis=0), 0.0), np.maximum((-t).min(axis=0), 0.0)
    if sign == "positive":
        down = np.zeros_like(down)
    if sign == "negative":
        up = np.zeros_like(up)
    least = np.where(up >= down, up, -down)
    return least, np.sign(least).astype(np.int64)


def correlation_of(models: list[Model]) -> NDArray[np.float64]:
    """Return the correlation of the estimates of t effects of one design, (k, k)."""
    pinv = np.linalg.pinv(models[0].x)
    rows = np.array([(m.c @ pinv)[0] for m in models])
    rows = rows / np.sqrt(np.square(rows).sum(axis=1))[:, None]
    return np.asarray(rows @ rows.T)


def check_orthogonal(models: list[Model], names: list[str]) -> None:
    """Refuse the global null for effects whose estimates are correlated.

    Parameters
    ----------
    models : list of Model
        One an effect, of one design.
    names : list of str
        Of the effects.

    Raises
    ------
    Refused
        Naming the two that correlate most.
    """
    r = correlation_of(models)
    np.fill_diagonal(r, 0.0)
    i, j = np.unravel_index(np.argmax(np.abs(r)), r.shape)
    if abs(r[i, j]) > _SAME:
        raise Refused(
            "The global null needs effects that are independent, and these are not.",
            field="null",
            found=f"estimates of {names[i]} and {names[j]} correlate {r[i, j]:.2f} in this design",
            expected="orthogonal effects",
            mend='use null = "conjunction", which shows more as well',
        )


@dataclass(frozen=True)
class GlobalNull:
    """The least of n independent fields, under the null that no effect is there.

    Parameters
    ----------
    kind : {"Z", "T"}
        Field of each effect.
    df : tuple of float
        As :func:`~ekbom.inference.fields.ec_density` takes them.
    n : int
        Effects.
    tails : {1, 2}
        2 when either shared direction counts.
    """

    kind: Kind
    df: tuple[float, ...]
    n: int
    tails: int = 1

    def expected(self, u: float, resels: NDArray[np.float64]) -> float:
        """Return the expected Euler characteristic of the least above a level.

        Parameters
        ----------
        u : float
            Level.
        resels : (4,)
            R_0 to R_3.

        Returns
        -------
        float
            sum R_d (T^n)_0d / g_d with T the upper Toeplitz matrix of rho_d g_d.
        """
        g = np.sqrt(np.pi) / special.gamma((np.arange(4) + 1) / 2)
        row = ec_density(self.kind, u, *self.df) * g
        t = np.zeros((4, 4))
        for k in range(4):
            t[k, k:] = row[: 4 - k]
        power = np.linalg.matrix_power(t, self.n)[0]
        return float(self.tails * (resels * power / g).sum())

    def p(self, u: float) -> float:
        """Return the uncorrected p of one place.

        Parameters
        ----------
        u : float
            Least statistic, above 0.

        Returns
        -------
        float
            For t exact: the effects share one estimate of the variance, so the mean of
            Q(u s)^n over its distribution, not the product of p values.
        """
        if self.kind == "Z":
            return min(1.0, self.tails * float(special.ndtr(-u)) ** self.n)
        v = self.df[0]
        s = np.linspace(1e-4, 1.0 + 12.0 / np.sqrt(v), 6000)
        log = special.xlogy(v - 1, s) - v * s * s / 2
        weight = np.exp(log - log.max())
        share = weight @ special.ndtr(-u * s) ** self.n / weight.sum()
        return min(1.0, self.tails * float(share))

    def p_many(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return :meth:`p` of many places; 1 where the least statistic is 0.

        Parameters
        ----------
        u : (V,) float64
            Least statistics, 0 or above.

        Returns
        -------
        (V,) float64
            From a fine table in log p when there are many.
        """
        if len(u) <= 500:
            return np.array([self.p(float(v)) if v > 0 else 1.0 for v in u])
        grid = np.linspace(0.0, float(u.max()) + 1e-9, 600)
        table = np.log([max(self.p(float(v)), 1e-300) for v in grid])
        return np.where(u > 0, np.exp(np.interp(u, grid, table)), 1.0)


def conjunction_p(p: NDArray[Any]) -> NDArray[np.float64]:
    """Return p of the conjunction null: the largest of the effects.

    Parameters
    ----------
    p : (k, V) float
        p of each effect, by whatever correction.

    Returns
    -------
    (V,) float64
        Their maximum; no further correction over effects is needed.
    """
    return np.asarray(np.max(p, axis=0), float)
