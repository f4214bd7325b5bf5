"""How sure a positive instrument makes one: predictive value with its interval.

Never part of a status; it depends on the prevalence where the person comes from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats

from ekbom.errors import Refused


@dataclass(frozen=True)
class PredictiveValue:
    """Positive predictive value, interval, and what the interval leaves out."""

    value: float
    lower: float
    upper: float
    why: str


def predictive_value(
    sensitivity: float,
    specificity: float,
    prevalence: float,
    *,
    n_with: int | None = None,
    n_without: int | None = None,
    level: float = 0.95,
) -> PredictiveValue:
    """Return the positive predictive value.

    Parameters
    ----------
    sensitivity, specificity, prevalence : float
        Proportions.
    n_with, n_without : int, optional
        Sizes behind sensitivity and specificity; without them no interval.
    level : float
        Coverage of the interval (delta method on the logit, Mercaldo 2007,
        doi:10.1002/sim.2677), prevalence taken as known.

    Returns
    -------
    PredictiveValue
        With NaN bounds when an interval cannot be formed.

    Raises
    ------
    Refused
        For a value outside 0 to 1.

    Examples
    --------
    >>> round(predictive_value(1.0, 0.84, 0.027).value, 3)
    0.148
    """
    for name, p in (
        ("sensitivity", sensitivity),
        ("specificity", specificity),
        ("prevalence", prevalence),
    ):
        if not 0.0 <= p <= 1.0:
            raise Refused("A proportion is out of range.", field=name, found=p, expected="0 to 1")
    nan = float("nan")
    true, false = sensitivity * prevalence, (1.0 - specificity) * (1.0 - prevalence)
    if true + false == 0.0:
        return PredictiveValue(nan, nan, nan, "no positive result is possible")
    value = true / (true + false)
    why = f"prevalence {prevalence:g} taken as known"
    if not n_without or specificity in (0.0, 1.0) or sensitivity == 0.0 or true == 0.0:
        return PredictiveValue(value, nan, nan, why + "; no interval without sample sizes")
    variance = specificity / ((1.0 - specificity) * n_without)
    if n_with and sensitivity < 1.0:
        variance += (1.0 - sensitivity) / (sensitivity * n_with)
    half = float(stats.norm.isf((1.0 - level) / 2.0)) * math.sqrt(variance)
    logit = math.log(true / false)
    lower, upper = (1.0 / (1.0 + math.exp(-x)) for x in (logit - half, logit + half))
    return PredictiveValue(value, lower, upper, why)
