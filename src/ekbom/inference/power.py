"""What a design can find: power, detectable size and sample size.

The noncentral t distribution gives one test exactly. For many regions or voxels tested
by their largest statistic, noise with the covariance of the residuals is drawn through
the user's own design: random combinations of the residual rows, which keep the
correlation of regions and the smoothness of maps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ekbom.inference.strata import Model

SHOWN = 200
"""So many voxels stand for all of them when a true effect is put in."""


def power_of_t(shift: float, df: float, critical: float, sign: str = "two-sided") -> float:
    """Return the power of a t test.

    Parameters
    ----------
    shift : float
        Noncentrality: true effect over its true standard error.
    df : float
        Degrees of freedom.
    critical : float
        |t| that must be passed.
    sign : {"two-sided", "positive", "negative"}
        Alternative.

    Returns
    -------
    float
        Probability of passing.

    Examples
    --------
    15 against 12 people, d = .8, two-sided .05:

    >>> shift = 0.8 / (1 / 15 + 1 / 12) ** 0.5
    >>> round(power_of_t(shift, 25, 2.0595), 3)
    0.51
    """
    if not math.isfinite(critical):
        return 0.0
    above = 1.0 - float(special.nctdtr(df, shift, critical))
    below = float(special.nctdtr(df, shift, -critical))
    if not math.isfinite(above):  # far out in the tail
        above = 1.0 if shift > critical else 0.0
    if not math.isfinite(below):
        below = 1.0 if shift < -critical else 0.0
    return {"positive": above, "negative": below}.get(sign, above + below)


def detectable_shift(df: float, critical: float, power: float, sign: str = "two-sided") -> float:
    """Return the noncentrality that is found with the wished power.

    Parameters
    ----------
    df, critical, sign
        As in :func:`power_of_t`.
    power : float
        What is wished.

    Returns
    -------
    float
        Above 0 (below for ``"negative"``); infinite when no effect can be found.
    """
    if not math.isfinite(critical):
        return math.inf
    way = -1.0 if sign == "negative" else 1.0
    low, high = 0.0, critical + 10.0
    while power_of_t(way * high, df, critical, sign) < power:
        high *= 2
        if high > 1e6:
            return math.inf
    for _ in range(100):
        middle = (low + high) / 2
        if power_of_t(way * middle, df, critical, sign) < power:
            low = middle
        else:
            high = middle
    return way * high


@dataclass(frozen=True)
class Drawn:
    """Noise through a design: what tests would have seen without an effect.

    Parameters
    ----------
    largest : (S,) float64
        Largest statistic over all outcomes, in the direction tested.
    noise, error : (S, W) float64
        Estimate over its true standard error, and estimated over true standard error, of W
        outcomes.
    columns : (W,) int
        Which outcomes they are.
    """

    largest: NDArray[np.float64]
    noise: NDArray[np.float64]
    error: NDArray[np.float64]
    columns: NDArray[np.intp]

    def critical(self, alpha: float) -> tuple[float, tuple[float, float]]:
        """Return the statistic that the largest passes with probability alpha, and its interval.

        Parameters
        ----------
        alpha : float
            Level.

        Returns
        -------
        value, (low, high)
            95 % interval from the number of draws (order statistics).
        """
        s = len(self.largest)
        ordered = np.sort(self.largest)
        half = 1.96 * math.sqrt(alpha * (1 - alpha) / s)
        places = [min(max(round(s * (1 - a)), 0), s - 1) for a in (alpha, alpha + half,
                                                                  alpha - half)]  # fmt: skip
        return float(ordered[places[0]]), (float(ordered[places[1]]), float(ordered[places[2]]))

    def power(self, shift: float, critical: float, sign: str = "two-sided") -> NDArray[np.float64]:
        """Return the power of each kept outcome when the effect is in it.

        Parameters
        ----------
        shift : float
            True effect over its true standard error.
        critical : float
            Statistic that must be passed.
        sign : {"two-sided", "positive", "negative"}
            Alternative.

        Returns
        -------
        (W,) float64
            Shares of the draws.
        """
        t = (self.noise + shift) / self.error
        hit = {"positive": t > critical, "negative": -t > critical}.get(sign, np.abs(t) > critical)
        return np.asarray(hit.mean(axis=0))


def draw(
    residuals: NDArray[np.float64],
    model: Model,
    draws: int,
    seed: int,
    sign: str = "two-sided",
) -> Drawn:
    """Draw noise with the covariance of the residuals through the design.

    Parameters
    ----------
    residuals : (m, V) float64
        Of the model, in its rows.
    model : Model
        Design and t effect.
    draws : int
        How many studies.
    seed : int
        Of the draws.
    sign : {"two-sided", "positive", "negative"}
        Alternative.

    Returns
    -------
    Drawn
        Largest statistics, and what is needed for true effects of any size.
    """
    m, v = residuals.shape
    rng = np.random.default_rng(seed)
    x, c = model.x, model.c
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    basis = u[:, s > 1e-10 * s[0]]
    pinv = np.linalg.pinv(x)
    row = (c @ pinv)[0]
    size = math.sqrt(float(row @ row))
    unit = residuals / np.sqrt(np.square(residuals).sum(axis=0))
    columns = np.sort(rng.choice(v, SHOWN, replace=False)) if v > SHOWN else np.arange(v)
    largest, noise, error = np.empty(draws), [], []
    for k in range(draws):
        # a row is a random combination of the residual rows: covariance R'R / (rows of R)
        e = rng.standard_normal((m, m)) @ unit
        if model.stratum == "within":
            e -= _person_means(e, model)
        est = (row @ e) / size
        rss = np.square(e).sum(axis=0) - np.square(basis.T @ e).sum(axis=0)
        sigma = np.sqrt(np.maximum(rss, 1e-300) / model.df)
        t = est / sigma
        largest[k] = {"positive": t, "negative": -t}.get(sign, np.abs(t)).max()
        noise.append(est[columns])
        error.append(sigma[columns])
    return Drawn(largest, np.array(noise), np.array(error), columns)


def _person_means(e: NDArray[np.float64], model: Model) -> NDArray[np.float64]:
    counts = np.bincount(model.person).astype(float)
    sums = np.zeros((len(counts), e.shape[1]))
    np.add.at(sums, model.person, e)
    return np.asarray((sums / counts[:, None])[model.person])


def people_needed(
    standard: float,
    unit_variance: float,
    people: int,
    df: int,
    alpha: float,
    power: float,
    sign: str = "two-sided",
    most: int = 100_000,
) -> int | None:
    """Return how many people a design of the same make needs.

    Parameters
    ----------
    standard : float
        True effect in residual standard deviations.
    unit_variance : float
        Variance of the estimate for a residual variance of 1, now.
    people, df : int
        Now.
    alpha : float
        Level of one test (that of the corrected threshold when there are many).
    power : float
        What is wished.
    sign : {"two-sided", "positive", "negative"}
        Alternative.
    most : int
        Nothing above it is looked for.

    Returns
    -------
    int or None
        None above `most`. Groups keep their proportions, covariates their spread.

    Examples
    --------
    Two equal groups, d = .5: 64 in each.

    >>> people_needed(0.5, 2 / 20, 40, 38, 0.05, 0.8)
    128
    """
    if standard == 0:
        return None
    lost = people - df

    def enough(n: int) -> bool:
        left = n - lost
        tail = alpha / 2 if sign == "two-sided" else alpha
        critical = float(special.stdtrit(left, 1 - tail))
        shift = standard / math.sqrt(unit_variance * people / n)
        return power_of_t(shift, left, critical, sign) >= power

    low, high = lost + 1, lost + 2
    while not enough(high):
        low, high = high, high * 2
        if high > most:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
