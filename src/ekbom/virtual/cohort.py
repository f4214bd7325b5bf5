"""Who takes part: ages, weights, scores. Nothing here knows of the scanner."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from ekbom.virtual.design import Design
from ekbom.virtual.design_parts import Cohort, Scale
from ekbom.virtual.seeds import stream

#: Items of the scales that are published with their number and range only.
IRLS_ITEMS, IRLS_MAX = 10, 4
AFFECTIVE_ITEMS, AFFECTIVE_MAX = 4, 3


@dataclass(frozen=True)
class Person:
    """One virtual person.

    Parameters
    ----------
    index : int
        Place in the study, from 0.
    label : str
        ``sub-01``.
    group : {"rls", "control"}
        Patients come first.
    age : int
        Years.
    sex : {"F", "M"}
        Sex.
    weight : float
        kg.
    onset_age : int or None
        Age at which symptoms began; patients only.
    irls, affective : tuple of int or None
        Items; ``None`` for volunteers, who were not asked.
    occupancy, bp : tuple of float or None
        At each scan, from the disease model: opioid occupancy beyond a
        volunteer's, and D2 binding over a volunteer's mean.
    urge : float or None
        Latent severity, log evening urge of the disease model.
    """

    index: int
    label: str
    group: str
    age: int
    sex: str
    weight: float
    onset_age: int | None
    irls: tuple[int, ...] | None
    affective: tuple[int, ...] | None
    occupancy: tuple[float, ...] | None = None
    bp: tuple[float, ...] | None = None
    urge: float | None = None

    @property
    def irls_total(self) -> int | None:
        """Sum of the ten items."""
        return None if self.irls is None else sum(self.irls)

    @property
    def mpq_affective(self) -> int | None:
        """Sum of the four affective items."""
        return None if self.affective is None else sum(self.affective)


def draw_cohort(design: Design, seed: int) -> tuple[Person, ...]:
    """Draw the persons of a study, patients first.

    Parameters
    ----------
    design : Design
        Groups and their distributions.
    seed : int
        Seed of the study.

    Returns
    -------
    tuple of Person
        Each person depends on the seed and its place only, but a volunteer's
        age follows that of a patient (matched within three years or so).
    """
    n_rls, n = design.groups.rls, design.groups.rls + design.groups.control
    width = max(2, len(str(n)))
    if design.disease is not None:
        from ekbom.virtual.from_disease import recruited

        return recruited(design, seed, width)
    people: list[Person] = []
    bands = stream(seed, 0, "study").permutation(n_rls)
    for index in range(n):
        rng = stream(seed, index, "person")
        group = "rls" if index < n_rls else "control"
        partner = people[(index - n_rls) % n_rls] if group == "control" and n_rls else None
        label = f"sub-{index + 1:0{width}d}"
        band = (int(bands[index]), n_rls) if group == "rls" else (0, 1)
        people.append(_person(rng, design.cohort, index, label, group, partner, band))
    return tuple(people)


def _person(
    rng: np.random.Generator,
    cohort: Cohort,
    index: int,
    label: str,
    group: str,
    partner: Person | None,
    band: tuple[int, int],
) -> Person:
    low, high = cohort.age_range
    if partner is None:
        age = rng.normal(cohort.age_mean, cohort.age_sd)
    else:
        age = partner.age + rng.normal(0.0, 3.0)
    age = int(np.clip(round(age), low, high))
    sex = "F" if rng.random() < cohort.female else "M"
    typical = cohort.weight_mean_kg * (0.92 if sex == "F" else 1.08)
    weight = round(float(typical * np.exp(cohort.weight_cv * rng.standard_normal())), 1)
    if group == "control":
        return Person(index, label, group, age, sex, weight, None, None, None)
    irls, affective = _scores(rng, cohort, band)
    onset = int(rng.integers(min(18, age), age + 1))
    return Person(
        index,
        label,
        group,
        age,
        sex,
        weight,
        onset,
        items(rng, irls, IRLS_ITEMS, IRLS_MAX),
        items(rng, affective, AFFECTIVE_ITEMS, AFFECTIVE_MAX),
    )


def _scores(rng: np.random.Generator, cohort: Cohort, band: tuple[int, int]) -> tuple[int, int]:
    z = standard(rng, cohort.irls, 0.0, 1.0, band)
    r = cohort.affective_irls_correlation
    # given the severity; random whatever `recruited` says of the severity
    other = standard(rng, cohort.affective, r * z, float(np.sqrt(1.0 - r * r)), (0, 1))
    return points(z, cohort.irls), points(other, cohort.affective)


def standard(
    rng: np.random.Generator, scale: Scale, mean: float, sd: float, band: tuple[int, int]
) -> float:
    """Draw a standardised score inside the scale's range, in one of n equal bands.

    Parameters
    ----------
    rng : numpy.random.Generator
        Of the person.
    scale : Scale
        Range, and whether bands count.
    mean, sd : float
        Of the standardised score.
    band : tuple of int
        Which, of how many.

    Returns
    -------
    float
        In standard deviations of the scale from its mean.
    """
    edges = (np.array([scale.low - 0.5, scale.high + 0.5]) - scale.mean) / scale.sd
    low, high = ndtr((edges - mean) / sd)
    k, n = band if scale.recruited == "spread" else (0, 1)
    u = (k + rng.random()) / n
    return float(mean + sd * ndtri(low + u * (high - low)))


def points(z: float, scale: Scale) -> int:
    """Return a standardised score as whole points inside the range.

    Parameters
    ----------
    z : float
        Of :func:`standard`.
    scale : Scale
        Mean, spread and range.

    Returns
    -------
    int
        Points.
    """
    return int(np.clip(round(scale.mean + scale.sd * z), scale.low, scale.high))


def items(rng: np.random.Generator, total: int, number: int, highest: int) -> tuple[int, ...]:
    """Return items that add up: points dealt to the places of all items at random.

    Parameters
    ----------
    rng : numpy.random.Generator
        Of the person.
    total : int
        Points.
    number, highest : int
        Number of items, and the most that one can have.

    Returns
    -------
    tuple of int
        One an item.
    """
    dealt: NDArray[np.int64] = rng.multivariate_hypergeometric([highest] * number, total)
    return tuple(int(points) for points in dealt)
