"""Limits of V_T by the profile likelihood.

The standard error is a slope at the estimate. Where the slow rate can hardly be told, V_T
depends on it like 1/rate, and the slope at an estimate that noise moved says little of the
spread: errors come out too large and the interval covers too often. The least residual sum at
a fixed V_T does not depend on how the model is written, knows the bounds, and its limits are
those of t where the model is a straight line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from ekbom.measures.pet import compartment
from ekbom.measures.pet._scan import scan
from ekbom.measures.pet._varpro import LN_MAX, LN_MIN, polish
from ekbom.measures.pet.convolve import Grid, basis

Array = NDArray[np.float64]

#: V_T is looked for up to this many times its estimate, and down to that part of it.
REACH = 1e3

# The equation that fixes V_T counts this much more than the data.
_HARD = 1e3
_NODES = 96
# Starts nearer than this in ln rate, two steps of the table, go down the same valley.
_ONE_VALLEY = 2.0 * (LN_MAX - LN_MIN) / (_NODES - 1)
# A rate (ln) that lies on its bound.
_LOWEST = LN_MIN + 1e-6
# A residual sum below this share of the data is rounding: the slope at the estimate is exact.
_EXACT = 1e-20
# Shortest and longest step in ln V_T; how exact a limit is, as a share of its distance from the
# estimate; how often it is looked for.
_SHORTEST, _LONGEST, _NEAR, _ROUNDS = 1e-6, 1.0, 1e-3, 60


@dataclass(frozen=True, eq=False)
class Profile:
    """What a compartment fit of N curves was made of, to ask it about other values of V_T.

    Attributes
    ----------
    values : (N, F) array
        kBq/mL decay-corrected to injection.
    grid : Grid
    weights : (F,) array
    vB : float or None
        Blood volume that was held, ``None`` when it was fitted.
    ln_rate : (N, n) array
        ln of the rates found (1/min), one or two.
    VT, se, rss : (N,) array
        Estimate, its standard error (NaN when unknown), weighted residual sum of squares.
    df : int
        Frames used less free parameters.
    """

    values: Array
    grid: Grid
    weights: Array
    vB: float | None
    ln_rate: Array
    VT: Array
    se: Array
    rss: Array
    df: int

    def interval(self, level: float = 0.95) -> tuple[Array, Array]:
        """Return the limits of V_T.

        Parameters
        ----------
        level : float
            Of confidence.

        Returns
        -------
        lower, upper : (N,) array
            Where the least RSS at a fixed V_T exceeds the least of all by the
            factor ``1 + t_level(df)^2/df``. ``inf`` when that does not happen below
            1000 times the estimate, or only because the slowest rate may not be
            slower than its bound: the scan does not bound V_T from above. 0 when it
            does not happen above a thousandth.
        """
        lower, upper = np.full(self.VT.size, np.nan), np.full(self.VT.size, np.nan)
        if self.df <= 0:
            return lower, upper
        reach = float(stdtrit(self.df, 0.5 + level / 2))
        for n in np.flatnonzero(np.isfinite(self.VT) & (self.VT > 0) & np.isfinite(self.rss)):
            lower[n], upper[n] = self._of_curve(int(n), reach)
        return lower, upper

    def holds(self, VT: float, level: float = 0.95) -> NDArray[np.bool_]:
        """Tell which intervals hold a value, in a fraction of the time of finding their limits.

        Parameters
        ----------
        VT : float
            mL/cm3, above 0.
        level : float
            Of confidence.

        Returns
        -------
        (N,) array of bool
            False where there is no fit.
        """
        inside = np.zeros(self.VT.size, dtype=bool)
        if self.df > 0:
            reach = float(stdtrit(self.df, 0.5 + level / 2))
            for n in np.flatnonzero(np.isfinite(self.VT) & (self.VT > 0) & np.isfinite(self.rss)):
                found, slowest = self._least(int(n))(VT)
                inside[n] = found <= self.rss[n] * (1 + reach**2 / self.df)
                if not inside[n] and self.VT[n] < VT and slowest <= _LOWEST:
                    # only the bound of the rate is against it
                    inside[n] = np.isinf(self._of_curve(int(n), reach)[1])
        return inside

    @cached_property
    def _table(self) -> tuple[Array, Array, Array, Array, Array, Array]:
        """What does not depend on the curve nor on V_T: rates, weights, table, products."""
        root = np.append(np.sqrt(self.weights), 0.0)
        ln_rate = np.linspace(LN_MIN, LN_MAX, _NODES)
        columns = basis(np.exp(ln_rate), self.grid)[0]
        table = np.column_stack((columns, np.zeros(_NODES))) * root
        blood = np.append(self.grid.whole_blood_mean, 0.0) * root
        cross = compartment.products(table, blood)
        return ln_rate, root, table, blood, compartment.gram_matrix(table), cross

    def _of_curve(self, n: int, reach: float) -> tuple[float, float]:
        VT, rss = float(self.VT[n]), float(self.rss[n])
        least = self._least(n)
        size = float(np.sum(self.weights * np.where(self.weights > 0, self.values[n], 0.0) ** 2))
        half = reach * float(self.se[n])
        if rss <= _EXACT * size:
            return VT - half, VT + half

        def root(ln_value: float) -> tuple[float, bool]:
            found, slowest = least(float(np.exp(ln_value)))
            more = float(np.sqrt(max(found - rss, 0.0) * self.df / rss)) - reach
            return more, slowest <= _LOWEST

        first = half / VT if np.isfinite(half) else 0.02
        first = min(max(first, _SHORTEST), _LONGEST)
        lower, upper = (_limit(root, float(np.log(VT)), sign * first, reach) for sign in (-1, 1))
        return lower, upper

    def _least(self, n: int) -> Callable[[float], tuple[float, float]]:
        """Return the least RSS, and ln of the slowest rate there, as functions of V_T.

        Given the rates, V_T is a linear condition on amplitudes and blood volume,
        ``sum beta_i/theta_i + vB V_T = V_T``: one more, hard equation of the linear
        part, as a frame after the last.
        """
        ln_rate, root, table, blood, gram, cross = self._table
        rates, table, blood = np.exp(ln_rate), table.copy(), blood.copy()
        held = self.vB or 0.0
        rest = self.values[n] - held * self.grid.whole_blood_mean
        y = np.append(np.where(self.weights > 0, rest, 0.0), 0.0) * root
        hard = _HARD * float(np.linalg.norm(y))
        blood[-1], y[-1] = hard, hard * (1 - held)
        n_exp = self.ln_rate.shape[1]
        last = [np.clip(self.ln_rate[n], LN_MIN, LN_MAX)]

        def least(VT: float) -> tuple[float, float]:
            column = hard / VT / rates
            table[:, -1] = column
            products = gram + np.outer(column, column)
            with_blood = cross + column * hard
            apart = compartment.apart_from(products, with_blood, blood)
            free = self.vB is None
            i, j = scan(table, products, apart, blood, with_blood, y, n_exp == 2, False, free)
            found = ln_rate[[i, j if j >= 0 else max(i - 1, 0)]][:n_exp]
            near = last[0]
            best = np.inf
            for start in (near, found):
                if start is found and np.abs(found - near).max() < _ONE_VALLEY:
                    continue
                ln, coef = np.zeros(2), np.zeros(3)
                ln[:n_exp] = start
                rss, _ = polish(
                    ln, n_exp, False, y, blood, free, root, self.grid.arrays, hard / VT, coef
                )
                if rss < best:
                    best, last[0] = float(rss), ln[:n_exp]
            return best, float(last[0].min())

        return least


def _limit(
    root: Callable[[float], tuple[float, bool]], start: float, step: float, reach: float
) -> float:
    """Walk from the estimate until ``root`` is positive, and go back to where it is zero.

    The root of the likelihood ratio is nearly a straight line in ln V_T, so its rise tells how
    far to go, and a secant that stays inside (Illinois) ends after a few points. Upward the
    walk ends without a limit where the slowest rate lies on its bound.
    """
    inside, below, outside = start, -reach, start + step
    while True:
        if abs(outside - start) > np.log(REACH):
            return float("inf") if step > 0 else 0.0
        above, on_bound = root(outside)
        if above > 0:
            break
        if on_bound and step > 0:
            return float("inf")
        rise = (above - below) / abs(outside - inside)
        inside, below = outside, above
        far = min(2.0 * abs(inside - start), _LONGEST)
        ahead = -1.2 * above / rise if rise > 0 else far
        outside = inside + float(np.copysign(min(max(ahead, 0.05 * far), far), step))
    side = 0
    for _ in range(_ROUNDS):
        middle = outside - above * (outside - inside) / (above - below)
        value, on_bound = root(middle)
        if step > 0 and on_bound and value <= _NEAR * reach:
            return float("inf")
        if abs(value) <= _NEAR * reach:
            return float(np.exp(middle))
        if value > 0:
            outside, above = middle, value
            below *= 0.5 if side == 1 else 1.0
            side = 1
        else:
            inside, below = middle, value
            above *= 0.5 if side == -1 else 1.0
            side = -1
    return float(np.exp(outside))
