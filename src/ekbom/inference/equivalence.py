"""Two one-sided tests: showing that an effect is small, with bounds set beforehand.

A test that is not significant shows nothing. Equivalence is shown when the effect is
significantly above the lower bound and significantly below the upper one (Schuirmann
1987, 10.1007/BF01068419), which is when the 1 - 2 alpha interval lies between them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ekbom.errors import Refused
from ekbom.inference.glm import Fit
from ekbom.inference.named import Effect
from ekbom.inference.strata import Model
from ekbom.inference.tails import noncentrality_of_t

SCALES = ("outcome", "g", "percent")


@dataclass(frozen=True)
class Tost:
    """Two one-sided tests for V outcomes.

    Parameters
    ----------
    value : (V,)
        Effect on the scale of the bounds.
    p_low, p_high : (V,)
        Of the tests against the lower and the upper bound.
    p : (V,)
        The larger of them: that of equivalence.
    low, high : (V,)
        Limits of the 1 - 2 alpha interval, on the scale of the bounds.
    smallest : (V,)
        The smallest symmetric bound that would pass at alpha: the limit farther from 0.
    """

    value: NDArray[np.float64]
    p_low: NDArray[np.float64]
    p_high: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @property
    def p(self) -> NDArray[np.float64]:
        """The larger of both p, (V,)."""
        return np.maximum(self.p_low, self.p_high)

    @property
    def smallest(self) -> NDArray[np.float64]:
        """Smallest symmetric bound that would pass, (V,)."""
        return np.maximum(np.abs(self.low), np.abs(self.high))


def tost(
    found: Fit,
    model: Model,
    asked: Effect,
    bounds: tuple[float, float],
    scale: str = "outcome",
    alpha: float = 0.05,
) -> Tost:
    """Test that an effect lies between two bounds.

    Parameters
    ----------
    found : Fit
        Fit of a t effect.
    model : Model
        Model that was fitted.
    asked : Effect
        The effect.
    bounds : (low, high)
        With low < 0 < high as a rule.
    scale : {"outcome", "g", "percent"}
        Unit of the bounds: that of the effect; standard deviations (as Hedges g, exact by
        the noncentral t distribution); per cent of the mean that a difference is compared
        to (Fieller).
    alpha : float
        Level of each of the two tests.

    Returns
    -------
    Tost
        Tests and intervals.

    Raises
    ------
    Refused
        An effect without one signed number, or without a scale of this kind.
    """
    if found.kind != "t":
        raise Refused(
            "Equivalence is asked of one difference or slope.",
            field="test",
            found=f"{asked.name}, an F test",
            expected="a t effect, for example rls - control",
            mend="ask about each difference apart",
        )
    low, high = bounds
    est, se, df, t = found.estimate[0], found.se, found.dfs, found.statistic
    if scale == "outcome":
        half = special.stdtrit(df, 1 - alpha) * se
        return Tost(
            est,
            special.stdtr(df, -(est - low) / se),
            special.stdtr(df, (est - high) / se),
            est - half,
            est + half,
        )
    if scale == "g":
        if asked.quantity not in ("difference", "mean"):
            raise _no_scale(asked, "g", "a difference or a mean")
        unit = math.sqrt(found.unit_variance) / (math.sqrt(2) if model.stratum == "within" else 1)
        limits = np.array([noncentrality_of_t(float(v), found.df, 1 - 2 * alpha) for v in t])
        return Tost(
            t * unit,
            1 - special.nctdtr(found.df, low / unit, t),
            special.nctdtr(found.df, high / unit, t),
            limits[:, 0] * unit,
            limits[:, 1] * unit,
        )
    if asked.baseline is None or model.stratum == "within":
        raise _no_scale(asked, "percent", "a difference between people")
    pinv = np.linalg.pinv(model.x)
    v = pinv @ pinv.T
    c, b = asked.matrix[0], asked.baseline
    base = b @ found.beta
    tail = []
    for bound, sign in ((low, 1.0), (high, -1.0)):
        row = c - bound / 100.0 * b
        gap = est - bound / 100.0 * base
        tail.append(special.stdtr(df, -sign * gap / (found.sigma * np.sqrt(row @ v @ row))))
    lower, upper = _fieller(
        est, base, found.sigma, (float(c @ v @ c), float(b @ v @ b), float(c @ v @ b)), df, alpha
    )
    way = np.sign(base)
    return Tost(100 * est / base, np.where(way > 0, tail[0], 1 - tail[0]),
                np.where(way > 0, tail[1], 1 - tail[1]), lower, upper)  # fmt: skip


def _fieller(
    est: NDArray[np.float64],
    base: NDArray[np.float64],
    sigma: NDArray[np.float64],
    v: tuple[float, float, float],
    df: int | NDArray[np.float64],
    alpha: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return Fieller's limits of 100 est / base; infinite where the mean may be 0."""
    q = special.stdtrit(df, 1 - alpha) ** 2 * np.square(sigma)
    a = np.square(base) - q * v[1]
    h = est * base - q * v[2]
    root = np.sqrt(np.maximum(h * h - a * (np.square(est) - q * v[0]), 0.0))
    with np.errstate(all="ignore"):
        low, high = 100 * (h - root) / a, 100 * (h + root) / a
    none = a <= 0
    return np.where(none, -np.inf, low), np.where(none, np.inf, high)


def half_width(found: Fit, model: Model, alpha: float) -> float:
    """Return half the 1 - 2 alpha interval in residual standard deviations.

    Parameters
    ----------
    found : Fit
        Fit of a t effect.
    model : Model
        Its model.
    alpha : float
        Level.

    Returns
    -------
    float
        No bound under it can be passed whatever the data say, save by luck of the
        standard deviation.
    """
    unit = math.sqrt(found.unit_variance) / (math.sqrt(2) if model.stratum == "within" else 1)
    return float(special.stdtrit(found.df, 1 - alpha)) * unit


def checked_bounds(bounds: object, scale: str) -> tuple[float, float]:
    """Return bounds as a pair: one number stands for both sides.

    Parameters
    ----------
    bounds : float or sequence of two
        As a plan has them.
    scale : str
        One of :data:`SCALES`.

    Returns
    -------
    (low, high)
        Checked.

    Raises
    ------
    Refused
        No bounds, not numbers, the wrong order, an unknown scale.
    """
    if scale not in SCALES:
        raise Refused(
            "The bounds are on a scale that is not known.",
            field="bounds_in",
            found=scale,
            expected=", ".join(SCALES),
        )
    given = bounds if isinstance(bounds, (list, tuple)) else [bounds]
    numbers = [float(b) for b in given if isinstance(b, (int, float)) and math.isfinite(b)]
    if len(numbers) == 1 and len(given) == 1:
        numbers = [-abs(numbers[0]), abs(numbers[0])]
    if len(numbers) != 2 or len(given) > 2 or not numbers[0] < numbers[1]:
        raise Refused(
            "The bounds of equivalence are not two numbers in order.",
            field="bounds",
            found=bounds,
            expected="one number for both sides, or [low, high]",
            mend="say from which size on a difference would matter, before seeing the data",
        )
    return numbers[0], numbers[1]


def _no_scale(asked: Effect, scale: str, needs: str) -> Refused:
    return Refused(
        f"Bounds in {scale} need {needs}.",
        field="bounds_in",
        found=f"{asked.name}, a {asked.quantity}",
        expected="outcome",
        mend='say bounds_in = "outcome"',
    )
