"""A planned PET study of severity: what correlations of binding with a score it can find.

The study is n patients, one value of V_T or BP_ND in each of k regions, and a
score. In the affected regions value and score have a true correlation; the rest
of the variance is partly common to all regions of a person. Whole studies are
drawn by their sufficient statistics, which is exact: with a common share rho of
the residual variance, slope and residual sum of squares of a region are

    (delta sqrt(Q) + sqrt(rho) u + sqrt(1 - rho) v_j) and
    rho F + (1 - rho) (w_j^2 + c_j) + 2 sqrt(rho (1 - rho) F) w_j,

with Q the spread of the scores (chi-square of n - 1 less covariates where people
come at random), F and c_j chi-squares of df and df - 1, and u, v, w normal. So a
study of 1,000 people costs what one of 10 costs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from ekbom.errors import Refused
from ekbom.inference.power import power_of_t
from ekbom.inference.rft import RandomField

Array = NDArray[np.float64]
Correction = Literal["none", "bonferroni", "holm", "max-t", "field"]
#: Ways to correct for several regions, in words.
CORRECTIONS: dict[str, str] = {
    "none": "no correction",
    "bonferroni": "Bonferroni over the regions",
    "holm": "Holm over the regions",
    "max-t": "largest statistic over the regions, as permutation has it",
    "field": "random field over the search volume, at the peak of each region",
}


@dataclass(frozen=True)
class PetStudy:
    """A planned study.

    Parameters
    ----------
    n : int
        Patients whose scan and score can be used.
    r : float
        True correlation of value and score in the affected regions.
    regions, affected : int
        Tested, and of these with the correlation.
    shared : float
        Share of the residual variance that a person's regions have in common.
    covariates : int
        Nuisance columns beside the mean, unrelated to the score.
    alpha : float
        Two-sided level of the whole family.
    correction : {"none", "bonferroni", "holm", "max-t", "field"}
    volume_cm3, fwhm_mm : float
        Search volume and smoothness of maps; for "field" only.
    recruited : {"random", "spread"}
        Scores as they come (normal), or one patient from each of n bands of equal
        probability, so that studies do not differ in the spread of their scores.
    """

    n: int
    r: float
    regions: int = 6
    affected: int = 6
    shared: float = 0.3
    covariates: int = 0
    alpha: float = 0.05
    correction: Correction = "holm"
    volume_cm3: float = 1200.0
    fwhm_mm: float = 10.0
    recruited: Literal["random", "spread"] = "random"

    def __post_init__(self) -> None:
        least = self.least
        wrong = [
            ("n", self.n, self.n >= least, f"{least} or more, for residual degrees of freedom"),
            ("r", self.r, -1 < self.r < 1, "a number between -1 and 1"),
            ("regions", self.regions, self.regions >= 1, "1 or more"),
            ("affected", self.affected, 0 <= self.affected <= self.regions,
             f"0 to {self.regions}, the number of regions"),
            ("shared", self.shared, 0 <= self.shared <= 1, "a share from 0 to 1"),
            ("covariates", self.covariates, self.covariates >= 0, "0 or more"),
            ("alpha", self.alpha, 0 < self.alpha < 0.5, "a level between 0 and 0.5"),
            ("correction", self.correction, self.correction in CORRECTIONS,
             ", ".join(CORRECTIONS)),
            ("recruited", self.recruited, self.recruited in ("random", "spread"),
             "random or spread"),
            ("volume", self.volume_cm3, self.volume_cm3 > 0, "cm3, above 0"),
            ("fwhm", self.fwhm_mm, self.fwhm_mm > 0, "mm, above 0"),
        ]  # fmt: skip
        for field, found, fine, expected in wrong:
            if not fine:
                raise Refused("The planned study does not hold together.", field=field,
                              found=found, expected=expected)  # fmt: skip

    @property
    def least(self) -> int:
        """Fewest patients that the test can do with (a T field needs more)."""
        return self.covariates + (7 if self.correction == "field" else 4)

    @property
    def df(self) -> int:
        """Residual degrees of freedom of a region's slope."""
        return self.n - 2 - self.covariates

    @property
    def delta(self) -> float:
        """Slope in residual standard deviations a standard deviation of the score."""
        return self.r / math.sqrt(1.0 - self.r * self.r)

    def critical(self) -> float | None:
        """Return the |t| that one region must pass; None where the rule looks at all regions."""
        if self.correction in ("holm", "max-t"):
            return None
        if self.correction == "field":
            field = RandomField("T", (float(self.df),), ball(self.volume_cm3, self.fwhm_mm),
                                max(1, round(self.volume_cm3 * 1000 / 8)), tails=2)  # fmt: skip
            return field.threshold(self.alpha)[0]
        family = self.regions if self.correction == "bonferroni" else 1
        return float(special.stdtrit(self.df, 1.0 - self.alpha / (2 * family)))


def ball(volume_cm3: float, fwhm_mm: float) -> Array:
    """Return the resels of a ball.

    Parameters
    ----------
    volume_cm3, fwhm_mm : float
        Its volume, and the smoothness of the maps.

    Returns
    -------
    (4,) array
        R_0 to R_3 (Worsley 1996).
    """
    q = (3 * volume_cm3 * 1000 / (4 * math.pi)) ** (1 / 3) / fwhm_mm
    return np.array([1.0, 4 * q, 2 * math.pi * q * q, 4 / 3 * math.pi * q**3])


def correlation(
    slope: float, *, specific: float, score_sd: float, score_error: float, cv: float, error: float
) -> float:
    """Return the correlation of V_T with a score that a slope of occupancy makes.

    Parameters
    ----------
    slope : float
        Occupancy a point of the score; positive when binding falls with severity.
    specific : float
        Share of V_T that is specific binding.
    score_sd, score_error : float
        Standard deviation of the scores as they are recorded, and of their error.
    cv : float
        Spread of specific binding between persons of one severity.
    error : float
        Error of one V_T, as share of it (the square root of the within-person variance).

    Returns
    -------
    float
        To first order in spreads.

    Examples
    --------
    >>> round(correlation(0.014, specific=0.88, score_sd=7, score_error=0, cv=0.08, error=0), 3)
    -0.775
    """
    for field, found, fine, expected in (
        ("specific", specific, 0 < specific <= 1, "a share above 0, at most 1"),
        ("score-sd", score_sd, score_sd > 0, "points, above 0"),
        ("slope", slope, abs(slope) * score_sd < 0.5,
         "occupancy a point of the score, such as 0.014: occupancy lies between 0 and 1, so one SD "
         "of the scores to either side moves it by less than 0.5"),
        ("score-error", score_error, 0 <= score_error < score_sd,
         "points, below the standard deviation of the scores"),
        ("cv", cv, 0 <= cv < 1, "a share, such as 0.08"),
        ("error", error, 0 <= error < 1, "a share, such as 0.05"),
        ("cv", cv, cv > 0 or error > 0, "above 0 where the scans have no error"),
    ):  # fmt: skip
        if not fine:
            raise Refused("The planned study does not hold together.", field=field, found=found,
                          expected=expected)  # fmt: skip
    true = math.sqrt(score_sd**2 - score_error**2)
    signal = slope * true
    noise = cv * cv + (error / specific) ** 2
    return -signal / math.sqrt(signal * signal + noise) * true / score_sd


@dataclass(frozen=True)
class Draws:
    """Statistics of many studies.

    Parameters
    ----------
    t : (S, k) array
        Of the slopes; the affected regions first.
    found : (S, k) array of bool
        Significant by the rule of the study.
    df : int
    """

    t: Array
    found: NDArray[np.bool_]
    df: int

    @property
    def r(self) -> Array:
        """Estimated correlations."""
        return np.asarray(self.t / np.sqrt(self.t**2 + self.df))


def draw(study: PetStudy, studies: int, seed: int) -> Draws:
    """Draw studies and test them.

    Parameters
    ----------
    study : PetStudy
    studies : int
        How many.
    seed : int
        The stream is that of the seed and n.

    Returns
    -------
    Draws
    """
    rng = np.random.default_rng([seed, study.n, 1])
    t = _statistics(study, studies, rng, study.delta, study.affected)
    critical = study.critical()
    if study.correction == "holm":
        p = np.asarray(2 * special.stdtr(study.df, -np.abs(t)))
        order = np.argsort(p, axis=1)
        factor = np.arange(study.regions, 0, -1)
        adjusted = np.maximum.accumulate(np.take_along_axis(p, order, 1) * factor, axis=1)
        found = np.empty(t.shape, dtype=bool)
        np.put_along_axis(found, order, adjusted <= study.alpha, axis=1)
        return Draws(t, found, study.df)
    if critical is None:  # max-t: what its permutations tend to, drawn without any effect
        null = _statistics(study, max(studies, 10_000), np.random.default_rng([seed, study.n, 2]),
                           0.0, 0)  # fmt: skip
        critical = float(np.quantile(np.abs(null).max(axis=1), 1 - study.alpha))
    return Draws(t, np.abs(t) > critical, study.df)


def _statistics(
    study: PetStudy, studies: int, rng: np.random.Generator, delta: float, affected: int
) -> Array:
    k, df, rho = study.regions, study.df, study.shared
    spread = _spread(study, studies, rng)
    common, own = math.sqrt(rho), math.sqrt(1 - rho)
    z = common * rng.standard_normal((studies, 1)) + own * rng.standard_normal((studies, k))
    z[:, :affected] += delta * np.sqrt(spread)[:, None]
    shared = rng.chisquare(df, (studies, 1))
    across = rng.standard_normal((studies, k))
    alone = across**2 + (rng.chisquare(df - 1, (studies, k)) if df > 1 else 0.0)
    rss = rho * shared + own**2 * alone + 2 * common * own * np.sqrt(shared) * across
    return np.asarray(z / np.sqrt(rss / df))


def _spread(study: PetStudy, studies: int, rng: np.random.Generator) -> Array:
    """Sum of squares of the scores that is left for the slope, in variances of the score."""
    if study.recruited == "random":
        return np.asarray(rng.chisquare(study.n - 1 - study.covariates, studies))
    u = (np.arange(study.n) + rng.random((studies, study.n))) / study.n
    z = special.ndtri(u)
    whole = np.square(z - z.mean(axis=1, keepdims=True)).sum(axis=1)
    # a covariate that has nothing to do with the score takes its share
    left = rng.beta((study.n - 1 - study.covariates) / 2, study.covariates / 2, studies) if (
        study.covariates
    ) else 1.0  # fmt: skip
    return np.asarray(whole * left)


def exact_power(study: PetStudy, critical: float | None = None) -> float:
    """Return the power of one affected region, by quadrature.

    Parameters
    ----------
    study : PetStudy
        Its scores as they come: bivariate normal.
    critical : float, optional
        |t| to pass; that of the study's rule, or of one uncorrected test where that rule
        looks at all regions.

    Returns
    -------
    float
        Noncentral t, averaged over the chi-square of the scores' spread; right sign only.
    """
    if critical is None:
        critical = study.critical() or replace(study, correction="none").critical()
    assert critical is not None
    node, weight = np.polynomial.legendre.leggauss(96)
    spread = stats.chi2.ppf((node + 1) / 2, study.n - 1 - study.covariates)
    sign = "negative" if study.r < 0 else "positive"
    each = [power_of_t(study.delta * math.sqrt(q), study.df, critical, sign) for q in spread]
    return float(np.sum(weight / 2 * each))


def least_correlation(n: int, alpha: float, covariates: int = 0) -> float:
    """Return the |r| that one two-sided test at alpha must see.

    Parameters
    ----------
    n : int
    alpha : float
    covariates : int

    Returns
    -------
    float

    Examples
    --------
    >>> round(least_correlation(15, 0.001), 2), round(least_correlation(15, 0.05), 3)
    (0.76, 0.514)
    """
    df = n - 2 - covariates
    t = float(special.stdtrit(df, 1 - alpha / 2))
    return t / math.sqrt(t * t + df)
