"""Arterial blood of a virtual person: true curves, and the samples drawn from it.

All concentrations are decay-corrected to the injection, kBq/mL; times are
minutes from it. What is assumed stands in the design and the tracer file.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ekbom.measures.pet.tracers import InputShape, ParentFraction
from ekbom.virtual.design_parts import Blood

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Arterial:
    """The true blood of one person.

    Parameters
    ----------
    scale : float
        Factor of the input shape, kBq/mL.
    a, rates : tuple of float
        Amplitudes and rates (1/min) of the shape.
    t50, n, f_inf : float
        Hill curve of the parent fraction (t50 in min).
    haematocrit : float
        Share of cells in blood.
    partition, exchange : float
        Cells over plasma at equilibrium, and its time constant, min.
    """

    scale: float
    a: tuple[float, float, float]
    rates: tuple[float, float, float]
    t50: float
    n: float
    f_inf: float
    haematocrit: float
    partition: float
    exchange: float

    def parent(self, t: Array) -> Array:
        """Return parent in plasma, kBq/mL, zero before the injection."""
        t = np.asarray(t, dtype=np.float64)
        a1, a2, a3 = self.a
        r1, r2, r3 = self.rates
        s = np.maximum(t, 0.0)
        shape = (a1 * s - a2 - a3) * np.exp(-r1 * s) + a2 * np.exp(-r2 * s) + a3 * np.exp(-r3 * s)
        out: Array = np.where(t > 0, self.scale * shape, 0.0)
        return out

    def parent_fraction(self, t: Array) -> Array:
        """Return the share of plasma activity that is parent."""
        p = np.maximum(np.asarray(t, dtype=np.float64), 0.0) ** self.n
        out: Array = 1.0 - (1.0 - self.f_inf) * p / (p + self.t50**self.n)
        return out

    def plasma(self, t: Array) -> Array:
        """Return all activity in plasma, kBq/mL."""
        return self.parent(t) / self.parent_fraction(t)

    def blood_over_plasma(self, t: Array) -> Array:
        """Return whole blood over plasma: cells fill slowly from plasma."""
        s = np.maximum(np.asarray(t, dtype=np.float64), 0.0)
        cells = self.partition * -np.expm1(-s / self.exchange)
        out: Array = 1.0 - self.haematocrit + self.haematocrit * cells
        return out

    def whole_blood(self, t: Array) -> Array:
        """Return activity in whole blood, kBq/mL."""
        return self.plasma(t) * self.blood_over_plasma(t)

    def courses(self, t: Array) -> tuple[Array, Array]:
        """Return parent in plasma and whole blood, kBq/mL, the parent worked out once."""
        parent = self.parent(t)
        return parent, parent / self.parent_fraction(t) * self.blood_over_plasma(t)

    @property
    def area(self) -> float:
        """Area of the parent curve to infinity, min kBq/mL: dose over clearance."""
        return self.scale * _shape_area(self.a, self.rates)


def _shape_area(a: tuple[float, float, float], rates: tuple[float, float, float]) -> float:
    r1, r2, r3 = rates
    return a[0] / r1**2 - (a[1] + a[2]) / r1 + a[1] / r2 + a[2] / r3


def draw_arterial(
    rng: np.random.Generator,
    shape: InputShape,
    fraction: ParentFraction,
    settings: Blood,
    *,
    dose_kBq: float,
    clearance_mL_min: float,
    sex: str,
) -> Arterial:
    """Draw the blood of one person.

    Parameters
    ----------
    rng : numpy.random.Generator
        Stream of the person's blood.
    shape : InputShape
        Typical course of the parent.
    fraction : ParentFraction
        Typical parent fraction.
    settings : Blood
        Spread between persons.
    dose_kBq : float
        Injected activity, kBq.
    clearance_mL_min : float
        Typical clearance of a person of this weight, mL/min.
    sex : str
        ``F`` or ``M``: sets the typical haematocrit.

    Returns
    -------
    Arterial
        With area = dose / the person's clearance.
    """
    spread = rng.standard_normal(6)
    clearance = clearance_mL_min * np.exp(settings.clearance_cv * spread[0])
    r1, r2, r3 = shape.rates
    rates = (
        r1,
        r2 * float(np.exp(settings.rate_cv * spread[1])),
        r3 * float(np.exp(settings.rate_cv * spread[2])),
    )
    return Arterial(
        scale=float(dose_kBq / clearance / _shape_area(shape.a, rates)),
        a=shape.a,
        rates=rates,
        t50=fraction.t50 * float(np.exp(settings.metabolism_cv * spread[3])),
        n=fraction.n,
        f_inf=float(np.clip(fraction.f_inf * np.exp(settings.metabolism_cv * spread[4]), 0.0, 0.9)),
        haematocrit=float(np.clip(settings.haematocrit[sex] + 0.025 * spread[5], 0.25, 0.6)),
        partition=settings.partition,
        exchange=settings.exchange_min,
    )


@dataclass(frozen=True)
class Samples:
    """Manual samples as a laboratory would report them.

    Parameters
    ----------
    time : (S,) array
        Seconds from injection, increasing, first above zero.
    plasma, whole_blood : (S,) array
        kBq/mL, decay-corrected to the injection; noisy, may be negative late.
    parent_fraction : (S,) array
        NaN where it was not measured.
    """

    time: Array
    plasma: Array
    whole_blood: Array
    parent_fraction: Array


def draw_samples(
    rng: np.random.Generator, blood: Arterial, settings: Blood, decay: float
) -> Samples:
    """Draw the manual samples of one scan.

    Parameters
    ----------
    rng : numpy.random.Generator
        Stream of the samples.
    blood : Arterial
        True curves.
    settings : Blood
        Times, volumes, counter, pipetting.
    decay : float
        Decay constant, 1/min.

    Returns
    -------
    Samples
        Counting noise is Poisson at the time of counting, background
        subtracted; pipetting error multiplies.
    """
    nominal = np.asarray(settings.sample_times_s, dtype=np.float64)
    # A hand is late by a second during the bolus and by a few later on.
    late = np.minimum(np.abs(rng.standard_normal(nominal.size)), 3.0)
    gap = np.diff(nominal, prepend=0.0)
    time = np.round(nominal + late * np.minimum(0.05 * gap, 5.0), 1)
    time[-1] = nominal[-1]
    t = time / 60.0
    # plasma and whole blood are pipetted apart
    plasma = _count(rng, blood.plasma(t), t, settings, decay)
    whole = _count(rng, blood.whole_blood(t), t, settings, decay)

    asked = np.isin(nominal, np.asarray(settings.parent_times_s, dtype=np.float64))
    true = blood.parent_fraction(t)
    counts = _expected_counts(blood.plasma(t), t, settings, decay) * settings.hplc_volume_factor
    parent = rng.poisson(true * counts).astype(np.float64)
    other = rng.poisson((1.0 - true) * counts).astype(np.float64)
    total = parent + other
    measured = np.divide(parent, total, out=np.full(t.size, np.nan), where=total > 0)
    return Samples(time, plasma, whole, np.where(asked, measured, np.nan))


def _expected_counts(conc: Array, t: Array, settings: Blood, decay: float) -> Array:
    per_kBq = 1000.0 * settings.volume_mL * settings.efficiency * settings.count_s
    out: Array = conc * per_kBq * np.exp(-decay * (t + settings.count_delay_min))
    return out


def _count(rng: np.random.Generator, conc: Array, t: Array, settings: Blood, decay: float) -> Array:
    pipetted = conc * (1.0 + settings.pipetting_cv * rng.standard_normal(t.size))
    background = settings.background_cps * settings.count_s
    expected = _expected_counts(np.maximum(pipetted, 0.0), t, settings, decay)
    counts = rng.poisson(expected + background) - background
    per_count = _expected_counts(np.ones(t.size), t, settings, decay)
    out: Array = counts / per_count
    return out
