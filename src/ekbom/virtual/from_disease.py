"""The persons of a study, recruited from people of the disease model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ekbom.disease.cohort import irls as score_of
from ekbom.virtual.cohort import (
    AFFECTIVE_ITEMS,
    AFFECTIVE_MAX,
    IRLS_ITEMS,
    IRLS_MAX,
    Person,
    items,
    points,
    standard,
)
from ekbom.virtual.design import Design
from ekbom.virtual.recruits import Pool, hours, match, occupancies, pool, recruit, reference
from ekbom.virtual.seeds import stream
from ekbom.virtual.shipped import shipped, some

Array = NDArray[np.float64]


def recruited(design: Design, seed: int, width: int) -> tuple[Person, ...]:
    """Recruit patients and volunteers.

    Parameters
    ----------
    design : Design
        With a disease part.
    seed : int
        Of the study.
    width : int
        Digits of the labels.

    Returns
    -------
    tuple of Person
        Patients first, towards the scores of the design; volunteers of their ages.
    """
    cohort, groups = design.cohort, design.groups
    rng = stream(seed, 0, "study")
    drawn, cut, typical_bp = _people(design, rng)
    scores = score_of(drawn.z, cut, rng)
    sick, well = np.flatnonzero(drawn.rls), np.flatnonzero(~drawn.rls)
    patients = sick[recruit(scores[sick], cohort.irls, groups.rls, rng)]
    ages = drawn.age[patients] if groups.rls else drawn.age[well]
    wanted = ages[np.arange(groups.control) % ages.size] + 2.0 * rng.standard_normal(groups.control)
    volunteers = well[match(drawn.age[well], wanted, rng)]
    rows = np.concatenate([patients, volunteers])
    # whose states a person's receptors have: another's, when nothing is to go with anything
    brain = rng.permutation(rows.size) if design.permuted else np.arange(rows.size)
    taken = _taken(design, drawn, scores, rows)
    return tuple(
        _person(
            design, seed, index, f"sub-{index + 1:0{width}d}", int(scores[row]), drawn, row,
            None if taken is None else tuple(taken[brain[index]].tolist()),
            tuple((drawn.bp[rows[brain[index]]] / typical_bp).tolist()),
        )
        for index, row in enumerate(rows)
    )  # fmt: skip


def _people(design: Design, rng: np.random.Generator) -> tuple[Pool, float, float]:
    """Return the people who can be asked, the threshold, and the volunteers' D2 binding."""
    assert design.disease is not None
    n = max(design.groups.rls, design.groups.control // 2, 8) * design.disease.people_per_patient
    found = shipped(design)
    if found is not None:
        return some(design, found, n, rng), found.cut, found.bp
    ref = reference(design)
    drawn, _ = pool(
        n, int(rng.integers(2**31)), hours(design), design.disease.scenario, ref.cut,
        design.cohort.age_range,
    )  # fmt: skip
    return drawn, ref.cut, ref.bp


def _taken(design: Design, drawn: Pool, scores: Array, rows: NDArray[np.intp]) -> Array | None:
    """Return occupancy beyond that of a volunteer, (persons, scans), if the design has any."""
    if design.opioid is None:
        return None
    sick = np.arange(rows.size) < design.groups.rls
    if design.opioid.coupling == "score":
        points_of = scores[rows]
        about = points_of[sick].mean() if sick.any() else 0.0
        one = design.opioid.slope * (points_of - design.opioid.tonic * about) * sick
        return np.repeat(one[:, None], len(hours(design)), axis=1)
    ref = reference(design)
    return np.array(
        [
            occupancies(design, drawn.phasic[row], drawn.theta[row], bool(ill), ref)
            for row, ill in zip(rows, sick, strict=True)
        ]
    )


def _person(
    design: Design,
    seed: int,
    index: int,
    label: str,
    total: int,
    drawn: Pool,
    row: int,
    taken: tuple[float, ...] | None,
    bp: tuple[float, ...],
) -> Person:
    cohort, rng = design.cohort, stream(seed, index, "person")
    group = "rls" if index < design.groups.rls else "control"
    sex = "F" if drawn.female[row] else "M"
    typical = cohort.weight_mean_kg * (0.92 if sex == "F" else 1.08)
    weight = round(float(typical * np.exp(cohort.weight_cv * rng.standard_normal())), 1)
    age = int(drawn.age[row])
    onset, answers, pain = None, None, None
    if group == "rls":
        onset = int(rng.integers(min(18, age), age + 1))
        answers = items(rng, total, IRLS_ITEMS, IRLS_MAX)
        z, r = (total - cohort.irls.mean) / cohort.irls.sd, cohort.affective_irls_correlation
        other = standard(rng, cohort.affective, r * z, float(np.sqrt(1 - r * r)), (0, 1))
        pain = items(rng, points(other, cohort.affective), AFFECTIVE_ITEMS, AFFECTIVE_MAX)
    return Person(
        index, label, group, age, sex, weight, onset, answers, pain, taken, bp,
        float(drawn.z[row]),
    )  # fmt: skip
