"""The night as it goes: movements hour by hour, their slope, their bunching (R19)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ekbom.measures.legs.events import Array, Bools, Ints
from ekbom.measures.legs.indices import poisson_interval
from ekbom.measures.legs.periodicity import Value
from ekbom.measures.legs.score import Scored

#: Seconds of a bin, and the least share of it in a stage for it to count.
HOUR, LEAST = 3600.0, 1 / 12


@dataclass(frozen=True)
class Course:
    """Periodic movements by hour of the night.

    Parameters
    ----------
    start : float
        Where the first bin begins (sleep onset or lights off), s; NaN when there is none.
    since : str
        ``sleep onset`` or ``lights off``.
    group : str
        Stages counted.
    counts : (B,) array of int
    hours : (B,) array
        Of those stages in each bin.
    """

    start: float
    since: str
    group: str
    counts: Ints
    hours: Array

    @property
    def rates(self) -> Array:
        """(B,) per hour; NaN in bins with less than five minutes of the stages."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.hours >= LEAST, self.counts / self.hours, np.nan)

    def intervals(self) -> tuple[Array, Array]:
        """Return exact 95 % Poisson bounds of the rates, 1/h."""
        low, high = np.array([poisson_interval(int(n)) for n in self.counts]).reshape(-1, 2).T
        with np.errstate(divide="ignore", invalid="ignore"):
            known = self.hours >= LEAST
            return (
                np.where(known, low / self.hours, np.nan),
                np.where(known, high / self.hours, np.nan),
            )

    def slope(self) -> tuple[Value, float, float]:
        """Return the change of the rate an hour, with its 95 % Poisson interval.

        Returns
        -------
        value : Value
            1/h^2: least squares weighted by hours, unbiased for a straight line;
            NaN with fewer than two bins.
        lower, upper : float
            Chance alone; movements cluster, see :meth:`dispersion`.
        """
        use = self.hours >= LEAST
        if use.sum() < 2:
            return Value(math.nan, "fewer-than-two-hours"), math.nan, math.nan
        middle = np.arange(self.counts.size)[use] + 0.5
        hours, counts = self.hours[use], self.counts[use]
        apart = middle - np.average(middle, weights=hours)
        spread = float(np.sum(hours * apart**2))
        value = float(np.sum(apart * counts)) / spread
        se = math.sqrt(float(np.sum(apart**2 * counts))) / spread
        z = float(stats.norm.isf(0.025))
        return Value(value), value - z * se, value + z * se

    def dispersion(self) -> Value:
        """Return Pearson's chi-squared over its degrees of freedom, 1 for chance alone.

        Returns
        -------
        Value
            NaN with fewer than two bins or without movements.
        """
        use = self.hours >= LEAST
        total = float(self.counts[use].sum())
        if use.sum() < 2 or total == 0:
            return Value(math.nan, "no-movement" if total == 0 else "fewer-than-two-hours")
        expected = total * self.hours[use] / self.hours[use].sum()
        chi2 = float(np.sum((self.counts[use] - expected) ** 2 / expected))
        return Value(chi2 / (int(use.sum()) - 1))

    def peak_hour(self) -> Value:
        """Return the hour with the highest rate, counted from 1; NaN without movements."""
        rates = self.rates
        if not np.isfinite(rates).any() or np.nansum(self.counts) == 0:
            return Value(math.nan, "no-movement")
        return Value(float(np.nanargmax(rates) + 1))


def course(scored: Scored, group: str = "sleep", since: str = "sleep onset") -> Course:
    """Count periodic movements by hour.

    Parameters
    ----------
    scored : Scored
    group : str
        Stages.
    since : {"sleep onset", "lights off"}

    Returns
    -------
    Course
        Without bins when the night holds no sleep.
    """
    night = scored.hypnogram
    start = night.sleep_onset() if since == "sleep onset" else night.lights_off
    end = night.lights_on
    if math.isnan(start) or end <= start:
        return Course(math.nan, since, group, np.zeros(0, np.int64), np.zeros(0))
    bins = math.ceil((end - start) / HOUR - 1e-9)
    plm = _periodic(scored, group)
    k = np.floor((plm - start) / HOUR + 1e-9).astype(np.int64)
    counts = np.bincount(k[(k >= 0) & (k < bins)], minlength=bins).astype(np.int64)
    hours = np.array(
        [night.seconds(group, start + HOUR * b, start + HOUR * (b + 1)) / HOUR for b in range(bins)]
    )
    return Course(start, since, group, counts, hours)


def first_half(scored: Scored, group: str = "sleep") -> tuple[Value, float, float]:
    """Return the share of periodic movements before the middle of the sleep period, percent.

    Parameters
    ----------
    scored : Scored
    group : str

    Returns
    -------
    value : Value
        Percent; NaN without sleep or without movements.
    lower, upper : float
        Exact binomial 95 % bounds (Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404).
    """
    a, b = scored.hypnogram.sleep_onset(), scored.hypnogram.sleep_end()
    plm = _periodic(scored, group)
    if math.isnan(a) or not plm.size:
        return Value(math.nan, "no-movement"), math.nan, math.nan
    early = int((plm < (a + b) / 2).sum())
    bounds = stats.binomtest(early, plm.size).proportion_ci(method="exact")
    return Value(100.0 * early / plm.size), 100.0 * bounds.low, 100.0 * bounds.high


def _periodic(scored: Scored, group: str) -> Array:
    mine: Bools = scored.within(group) & scored.periodic
    return scored.movements.onset[mine]
