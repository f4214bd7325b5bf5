"""Persons and binding: what is planted is what the design says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from ekbom import virtual
from ekbom.errors import Refused
from ekbom.measures.pet.tracers import tracer
from ekbom.virtual.binding import centres, draw_tissue
from ekbom.virtual.cohort import draw_cohort
from ekbom.virtual.regions import sources

DPN = tracer("diprenorphine")
SOURCES = sources(DPN)
SIX = {"medialthalamus", "amygdala", "caudate", "anteriorcingulate", "insula", "orbitofrontal"}


def plain(changes=None, variant=None):
    """Return a design of the size of the demo whose people are not of the disease model."""
    return virtual.load(
        "smoke", {"groups.rls": 15, "groups.control": 12, **(changes or {})}, variant
    )


def tissues(design, seed):
    people = draw_cohort(design, seed)
    about = centres(people)
    return people, [
        draw_tissue(seed, p, SOURCES, design.binding, DPN.kinetics, about) for p in people
    ]


def test_scores_stay_in_range_and_items_add_up():
    people = draw_cohort(plain({"groups.rls": 200}), 3)
    for person in people:
        if person.group == "control":
            assert person.irls is None
            assert person.affective is None
            continue
        assert len(person.irls) == 10
        assert set(person.irls) <= set(range(5))
        assert 10 <= person.irls_total <= 38
        assert len(person.affective) == 4
        assert set(person.affective) <= set(range(4))
        assert 0 <= person.mpq_affective <= 12
        assert person.onset_age <= person.age


def test_spread_recruitment_fills_every_band_once():
    people = draw_cohort(plain(), 8)
    irls = np.array([p.irls_total for p in people if p.group == "rls"])
    low, high = norm.cdf((np.array([9.5, 38.5]) - 24) / 8.5)
    edges = 24 + 8.5 * norm.ppf(low + (high - low) * np.arange(16) / 15)
    for k, value in enumerate(np.sort(irls)):
        assert edges[k] - 0.5 <= value <= edges[k + 1] + 0.5
    assert not np.array_equal(irls, np.sort(irls))
    assert irls.std(ddof=1) == pytest.approx(7, abs=0.7)


def test_random_recruitment_has_the_asked_moments_and_correlation():
    design = plain(
        {
            "groups.rls": 3000,
            "groups.control": 0,
            "cohort.irls": {"mean": 20, "sd": 4, "low": 0, "high": 40},
            "cohort.affective": {"mean": 6, "sd": 1.5, "low": 0, "high": 12},
        },
    )
    people = draw_cohort(design, 0)
    irls = np.array([p.irls_total for p in people])
    affective = np.array([p.mpq_affective for p in people])
    assert irls.mean() == pytest.approx(20, abs=0.3)
    assert irls.std() == pytest.approx(4, rel=0.05)
    assert affective.std() == pytest.approx(np.hypot(1.5, 0.29), rel=0.05)
    assert np.corrcoef(irls, affective)[0, 1] == pytest.approx(0.4, abs=0.06)


def test_a_larger_study_keeps_the_persons_it_shares():
    a = draw_cohort(plain({"groups.control": 0, "cohort.irls.recruited": "random"}), 5)
    b = draw_cohort(
        plain(
            {"groups.rls": 30, "groups.control": 0, "cohort.irls.recruited": "random"},
        ),
        5,
    )
    assert b[: len(a)] == a


def test_volunteers_are_matched_in_age():
    people = draw_cohort(plain({"groups.rls": 40, "groups.control": 40}), 2)
    pairs = np.array([[people[i].age, people[40 + i].age] for i in range(40)])
    assert np.std(np.diff(pairs, axis=1)) < 4


def test_groups_have_equal_occupancy_and_slopes_are_exact():
    design = plain()
    for seed in range(5):
        people, found = tissues(design, seed)
        patients = [p.group == "rls" for p in people]
        irls = np.array([p.irls_total or 0 for p in people])[patients]
        affective = np.array([p.mpq_affective or 0 for p in people])[patients]
        taken = np.array([f.occupancy for f in found])
        assert np.all(taken[np.logical_not(patients)] == 0)
        np.testing.assert_allclose(taken[patients].mean(axis=0), 0, atol=1e-12)
        for s, source in enumerate(SOURCES):
            expected = np.zeros(irls.size)
            if source.area in SIX:
                expected += 0.03 * (irls - irls.mean())
            if source.area in ("orbitofrontal", "anteriorcingulate"):
                expected += 0.03 * (affective - affective.mean())
            np.testing.assert_allclose(taken[patients, s], expected, atol=1e-12)


def test_occupancy_lowers_the_specific_part_only():
    design = plain()
    still = plain(variant="null")
    (_, with_slope), (_, without) = tissues(design, 4), tissues(still, 4)
    VND = DPN.kinetics["general"].VND
    for a, b in zip(with_slope, without, strict=True):
        np.testing.assert_allclose(a.VT - VND, (b.VT - VND) * (1 - a.occupancy), rtol=1e-12)
        np.testing.assert_allclose(a.rates.K1 / a.rates.k2, VND)
        np.testing.assert_array_equal(a.rates.K1, b.rates.K1)


def test_spread_between_persons_and_share_between_regions():
    design = plain({"groups.rls": 0, "groups.control": 1500, "binding.side_cv": 0.0})
    _, found = tissues(design, 1)
    VT = np.array([f.VT for f in found])
    named = [i for i, source in enumerate(SOURCES) if source.index]
    cv = VT[:, named].std(axis=0) / VT[:, named].mean(axis=0)
    np.testing.assert_allclose(cv, 0.08, rtol=0.08)
    np.testing.assert_allclose(VT[:, named].mean(axis=0), [SOURCES[i].VT for i in named], rtol=0.01)
    areas = np.log(VT[:, named[::2]])
    off = np.corrcoef(areas.T)[np.triu_indices(len(named) // 2, 1)]
    assert np.mean(off) == pytest.approx(0.3, abs=0.05)


def test_a_planted_group_difference_is_there():
    change = {"groups.rls": 800, "groups.control": 800, "binding.group_shift_percent": -10.0}
    people, found = tissues(plain(change, "null"), 0)
    VT = np.array([f.VT[0] for f in found])
    group = np.array([p.group == "rls" for p in people])
    assert VT[group].mean() / VT[~group].mean() == pytest.approx(0.9, abs=0.015)


def test_too_strong_a_slope_is_refused():
    with pytest.raises(Refused, match="more than all sites"):
        tissues(plain({"binding.severity_slope": 0.2}), 1)


def test_the_realistic_variant_is_within_the_models_range():
    assert 0.012 <= virtual.load("demo", variant="realistic").severity_slope <= 0.016
