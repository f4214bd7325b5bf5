"""Cohorts from the disease model: who is recruited, and what their receptors see."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from ekbom import virtual
from ekbom.errors import Refused
from ekbom.study.index import Study
from ekbom.virtual import recruits
from ekbom.virtual.binding import draw_tissue
from ekbom.virtual.cohort import draw_cohort
from ekbom.virtual.design import design_toml, parse
from ekbom.virtual.design_parts import Scale
from ekbom.virtual.study import VirtualStudy


def drawn(seed, **changes):
    keys = {key.replace("__", "."): value for key, value in changes.items()}
    return draw_cohort(virtual.load("von-spiczak-2005", keys), seed)


@pytest.fixture(scope="module")
def large():
    """Return a study of 40 patients and 32 volunteers."""
    return drawn(1, groups__rls=40, groups__control=32)


def split(people):
    taken = np.array([p.occupancy[0] for p in people])
    sick = np.array([p.group == "rls" for p in people])
    score = np.array([p.irls_total or 0 for p in people], dtype=float)
    return taken, sick, score


def test_slope_and_means_are_those_of_the_design(large):
    taken, sick, score = split(large)
    slope, covariance = np.polyfit(score[sick], taken[sick], 1, cov=True)
    assert abs(slope[0] - 0.014) < 4 * np.sqrt(covariance[0, 0])
    assert 0.008 < slope[0] < 0.02
    error = np.hypot(taken[sick].std() / np.sqrt(40), taken[~sick].std() / np.sqrt(32))
    assert abs(taken[sick].mean() - taken[~sick].mean()) < 3.5 * error
    assert 20 < score[sick].mean() < 26
    assert 4.5 < score[sick].std() < 9


def test_without_the_tonic_deficit_patients_have_more_occupancy(large):
    taken, sick, score = split(drawn(1, groups__rls=40, groups__control=32, opioid__tonic=0.0))
    before = split(large)
    np.testing.assert_array_equal(score, before[2])  # the same people
    np.testing.assert_array_equal(taken[~sick], before[0][~sick])
    gap = taken[sick] - before[0][sick]
    assert np.ptp(gap) < 1e-12
    assert gap[0] > 0.1


def test_volunteers_match_patients_and_other_seeds_are_other_people(large):
    ages = np.array([p.age for p in large])
    sick = np.array([p.group == "rls" for p in large])
    assert abs(ages[sick].mean() - ages[~sick].mean()) < 5
    assert len({p.urge for p in large}) == 72
    other = drawn(2)
    assert {p.urge for p in other}.isdisjoint({p.urge for p in large})
    assert drawn(2) == other


def test_permuted_brains_keep_their_values_and_lose_their_owners():
    plain, dealt = drawn(5), drawn(5, permuted=True)
    assert sorted(p.occupancy for p in plain) == sorted(p.occupancy for p in dealt)
    assert [p.irls for p in plain] == [p.irls for p in dealt]
    assert [p.occupancy for p in plain] != [p.occupancy for p in dealt]


def test_occupancy_lowers_the_six_regions_and_no_other():
    design = virtual.load("von-spiczak-2005", {"binding.affective_slope": 0.0})
    study = VirtualStudy.plan(design, None, "rois", 1)
    person = study.people[0]
    with_it, without = (
        draw_tissue(1, p, study.sources, design.binding, study.tracer.kinetics, study.about)
        for p in (person, dataclasses.replace(person, occupancy=(0.0,)))
    )
    VND = study.tracer.kinetics["general"].VND
    for s, source in enumerate(study.sources):
        if source.area in design.binding.severity_regions:
            left = (with_it.VT[s] - VND) / (without.VT[s] - VND)
            assert left == pytest.approx(1 - person.occupancy[0], rel=1e-9)
        else:
            assert with_it.VT[s] == without.VT[s]


def test_recruitment_follows_the_scale_and_refuses_an_empty_clinic():
    scores = np.repeat(np.arange(8, 39), 4).astype(float)
    scale = Scale(mean=24, sd=8.5, low=10, high=38, recruited="spread")
    chosen = recruits.recruit(scores, scale, 20, np.random.default_rng(0))
    assert len(set(chosen)) == 20
    assert scores[chosen].mean() == pytest.approx(24, abs=1.0)
    assert scores[chosen].std() == pytest.approx(7, abs=1.0)
    with pytest.raises(Refused, match="too few patients"):
        recruits.recruit(scores[:5], scale, 6, np.random.default_rng(0))


def test_the_reference_is_what_another_population_says():
    design = virtual.load("von-spiczak-2005")
    ref = recruits.reference(design)
    small, cut = recruits.pool(900, 4, (10.0,), "base", ref.cut, design.cohort.age_range)
    assert cut == ref.cut
    assert 0.02 < small.rls.sum() / 900 < 0.09  # 5 % have the disease
    well = ~small.rls
    assert small.phasic[well, 0].mean() == pytest.approx(ref.phasic, rel=0.5)
    gain, deficit = recruits.calibration(design, ref)
    assert gain * ref.slope == pytest.approx(0.014)
    assert gain * ref.excess - deficit == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(("scenario", "sign"), [("d2-up", 1), ("d2-down", -1), ("d2-null", 0)])
def test_the_scenarios_of_d2_say_what_they_say(scenario, sign):
    people = draw_cohort(virtual.load("cervenka-2006", variant=scenario), 1)
    bp = np.array([p.bp for p in people])
    sick = np.array([p.group == "rls" for p in people])
    assert bp.shape == (32, 4)
    gap = bp[sick].mean() - bp[~sick].mean()
    assert gap * sign > 0.02 if sign else abs(gap) < 0.02
    assert np.abs(bp[:, 2] - bp[:, 0]).max() < 0.05  # the time of day matters little


def test_sessions_and_tracers_are_written_read_and_true(tmp_path):
    made = virtual.make("cervenka-2006", tmp_path / "s", size="rois", seed=1, subjects=2)
    study = Study.open(made.root)
    scans = study.find(suffix="pet", scope="raw", extension=".json")
    assert len(scans) == 8
    assert {f.entities["trc"] for f in scans} == {"raclopride", "FLB457"}
    assert {f.entities["ses"] for f in scans} == {"morning", "evening"}
    assert not study.find(suffix="blood", scope="raw")
    sessions = pd.read_csv(made.root / "sub-01/sub-01_sessions.tsv", sep="\t")
    assert sessions["clock_hour"].tolist() == [11, 18]
    assert set(made.participants["tracer"]) == {"raclopride", "flb457"}
    reference = made.regions[made.regions["region"].str.contains("Cerebellum")]
    assert (reference[reference["tracer"] == "raclopride"]["k3"] == 0).all()
    assert parse(design_toml(made.design)) == made.design.model_copy(update={"variants": {}})
    assert len(virtual.StudyTruth.read(made.root).regions) == len(made.regions)
