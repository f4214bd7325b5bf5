"""Iron status at every edge, the levodopa test, predictive values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ekbom.errors import Refused
from ekbom.measures.clinic.certainty import predictive_value
from ekbom.measures.clinic.iron import Sample, convert, iron_status, tsat
from ekbom.measures.clinic.levodopa import MINUTES, exact_interval, levodopa_test
from ekbom.measures.clinic.logic import YES

NAN = float("nan")
MORNING = {"hour": 8.0, "off_iron_h": 24.0, "age": 50.0}
AASM, ORAL, IV = 0, 1, 2


def rule(which: int, **values: float):  # type: ignore[no-untyped-def]
    return iron_status(Sample(**{**MORNING, **values})).rules[which]


@pytest.mark.parametrize(
    ("ferritin", "iron", "status", "route"),
    [
        (75.0, 15.0, "candidate", "oral or IV iron"),
        (75.0001, 15.0, "candidate", "IV iron only"),
        (100.0, 15.0, "candidate", "IV iron only"),
        (100.0001, 15.0, "not a candidate", ""),
        (200.0, 9.9999, "candidate", "oral or IV iron"),
        (200.0, 10.0, "not a candidate", ""),  # TSAT exactly 20 %
    ],
)
def test_aasm_adult(ferritin: float, iron: float, status: str, route: str) -> None:
    got = rule(AASM, ferritin=ferritin, iron=iron, tibc=50.0)
    assert (got.status, got.candidate_for) == (status, route)


def test_aasm_child() -> None:
    assert rule(AASM, ferritin=49.9, age=10).status == "candidate"
    assert rule(AASM, ferritin=50.0, age=10).status == "not a candidate"
    assert "unverified:iron.aasm2025.child_route" in rule(AASM, ferritin=49.9, age=10).flags
    assert rule(AASM, ferritin=60.0, age=18).status == "candidate"


@pytest.mark.parametrize(
    ("ferritin", "iron", "status"),
    [
        (299.9, 22.4999, "candidate"),
        (299.9, 22.5, "not a candidate"),  # TSAT exactly 45 %
        (300.0, 10.0, "not a candidate"),
    ],
)
def test_irlssg_iv(ferritin: float, iron: float, status: str) -> None:
    got = rule(IV, ferritin=ferritin, iron=iron, tibc=50.0)
    assert got.status == status
    assert got.flags == ("unverified:iron.irlssg2018.iv_tsat",)


def test_missing_is_undetermined_unless_the_rest_decides() -> None:
    assert rule(AASM, ferritin=200.0).status == "undetermined"  # TSAT could be low
    assert rule(AASM, ferritin=60.0).status == "candidate"
    assert rule(AASM, iron=5.0, tibc=50.0).status == "candidate"
    assert rule(IV, ferritin=400.0).status == "not a candidate"
    assert rule(IV, ferritin=200.0).status == "undetermined"


def test_inflammation_never_leaves_replete() -> None:
    got = iron_status(Sample(ferritin=400, iron=25, tibc=50, crp=5.1, **MORNING))
    assert {r.status for r in got.rules} == {"not informative low"}
    calm = iron_status(Sample(ferritin=400, iron=25, tibc=50, crp=5.0, **MORNING))
    assert {r.status for r in calm.rules} == {"not a candidate"}
    low = iron_status(Sample(ferritin=40, iron=25, tibc=50, crp=50, **MORNING))
    assert low.rules[AASM].status == "candidate"


def test_sampling_not_as_asked_is_repeated() -> None:
    assert rule(AASM, ferritin=60.0, hour=15.0).status == "repeat"
    assert rule(AASM, ferritin=60.0, off_iron_h=23.9).status == "repeat"
    open_ = iron_status(Sample(ferritin=60.0, age=50)).rules[AASM]
    assert open_.status == "candidate"
    assert any("time of day not given" in w for w in open_.why)


def test_conflict_and_kidney() -> None:
    got = iron_status(Sample(ferritin=150, iron=15, tibc=50, **MORNING))
    assert got.conflict == "the guidelines differ: AASM: not a candidate; IRLSSG: candidate"
    same = iron_status(Sample(ferritin=60, iron=15, tibc=50, **MORNING))
    assert same.conflict == ""
    renal = iron_status(Sample(ferritin=199.9, iron=9.9, tibc=50, kidney_failure=YES, **MORNING))
    assert (renal.rules[3].status, renal.rules[3].candidate_for) == ("candidate", "review")


def test_tsat_three_ways() -> None:
    assert tsat(Sample(iron=10, tibc=50))[0] == 20.0
    value, how, facts = tsat(Sample(iron=10, transferrin=2))
    assert value == pytest.approx(10 / 50.2 * 100)
    assert "25.1" in how
    assert facts == ("iron.tibc_from_transferrin",)
    assert tsat(Sample(tsat=18.5))[:2] == (18.5, "as given")
    assert np.isnan(tsat(Sample(ferritin=5))[0])
    used = iron_status(Sample(ferritin=150, iron=10, transferrin=2, **MORNING)).rules[AASM]
    assert "unverified:iron.tibc_from_transferrin" in used.flags


@settings(max_examples=50, deadline=None)
@given(
    ferritin=st.floats(1, 500), iron=st.floats(1, 60), tibc=st.floats(20, 100),
)  # fmt: skip
def test_units_do_not_matter(ferritin: float, iron: float, tibc: float) -> None:
    """The same blood in other units gives the same answers."""
    here = iron_status(Sample(ferritin=ferritin, iron=iron, tibc=tibc, **MORNING))
    ug = 5.5845  # ug/dL per umol/L
    there = iron_status(
        Sample(
            ferritin=convert("ferritin", ferritin, "ng/mL"),
            iron=convert("iron", iron * ug, "ug/dL"),
            tibc=convert("tibc", tibc * ug, "µg/dL"),
            **MORNING,
        )
    )
    assert there.tsat == pytest.approx(here.tsat)
    if abs(here.tsat - 20) > 1e-9 and abs(here.tsat - 45) > 1e-9:
        assert [r.status for r in there.rules] == [r.status for r in here.rules]


def test_impossible_values_and_units_are_refused() -> None:
    with pytest.raises(Refused) as no:
        Sample(iron=900.0)
    assert no.value.expected == "0.5 to 120 umol/L"
    with pytest.raises(Refused, match="unit of ferritin is not known"):
        convert("ferritin", 75, "pmol/L")
    with pytest.raises(Refused) as no:
        convert("iron", 75, "")
    assert no.value.found == "no unit"


def test_levodopa_by_hand() -> None:
    r = levodopa_test(np.array([80, 70, 60, 50, 45, 38, 30, 30, 40.0]))
    assert (r.status, r.fall_best, r.fall_end) == ("positive", 62.5, 50.0)
    # 50 % is 40: between 45 (60 min) and 38 (75 min).
    assert r.minutes_to_half == pytest.approx(60 + 15 * 5 / 7)
    by_hand = np.trapezoid([80, 70, 60, 50, 45, 38, 30, 30, 40], MINUTES) / 120 / 80 * 100
    assert r.auc == pytest.approx(by_hand)


def test_levodopa_edges() -> None:
    flat = np.full(9, 60.0)
    assert levodopa_test(flat).status == "negative"
    half = flat.copy()
    half[-1] = 30.0
    assert levodopa_test(half).status == "positive"
    half[-1] = 30.1
    assert levodopa_test(half).status == "negative"
    assert levodopa_test(np.full(9, 19.9)).status == "not testable"
    assert levodopa_test(np.full(9, 20.0)).status == "negative"
    cut = flat.copy()
    cut[6:] = NAN
    assert levodopa_test(cut).status == "undetermined"
    assert levodopa_test(np.r_[NAN, flat[1:]]).status == "undetermined"
    gap = flat.copy()
    gap[3:5] = NAN
    r = levodopa_test(gap)
    assert (r.status, r.interpolated) == ("negative", 2)
    assert levodopa_test(flat, "urge").lr_negative == pytest.approx(0.2)


def test_exact_interval_against_its_definition() -> None:
    """At each bound the tail beyond the data has 2.5 %."""
    from scipy.stats import binom

    for k, n in ((3, 10), (9, 10), (1, 7)):
        low, high = exact_interval(k, n)
        assert binom.sf(k - 1, n, low) == pytest.approx(0.025)
        assert binom.cdf(k, n, high) == pytest.approx(0.025)
    assert exact_interval(0, 5)[0] == 0
    assert exact_interval(8, 8) == (pytest.approx(0.025 ** (1 / 8)), 1.0)


def test_predictive_value_by_counting() -> None:
    """10 000 people, prevalence 3 %: count the true and the false positives."""
    got = predictive_value(0.9, 0.84, 0.03, n_with=100, n_without=788)
    assert got.value == pytest.approx(270 / (270 + 0.16 * 9700))
    assert got.lower < got.value < got.upper
    rng = np.random.default_rng(0)
    sens, spec = rng.binomial(100, 0.9, 20_000) / 100, rng.binomial(788, 0.84, 20_000) / 788
    drawn = sens * 0.03 / (sens * 0.03 + (1 - spec) * 0.97)
    np.testing.assert_allclose(
        [got.lower, got.upper], np.quantile(drawn, [0.025, 0.975]), rtol=0.02
    )
    assert np.isnan(predictive_value(0.9, 0.84, 0.03).lower)
    with pytest.raises(Refused):
        predictive_value(1.2, 0.84, 0.03)
