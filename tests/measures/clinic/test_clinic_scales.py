"""Scores by hand, by brute force, and with items missing."""

from __future__ import annotations

import time
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ekbom.errors import Refused
from ekbom.measures.clinic.logic import NO, UNKNOWN, YES, all_of, any_of, compare, inverse
from ekbom.measures.clinic.scales.augmentation import Treatment, augmentation, hours_earlier
from ekbom.measures.clinic.scales.definition import SCALES, scale
from ekbom.measures.clinic.scales.jhss import jhss
from ekbom.measures.clinic.scales.score import measurement_error, score

IRLS = scale("irls")
NAN = float("nan")


def irls(*items: float) -> dict:  # type: ignore[type-arg]
    return score(IRLS, np.array([items], dtype=float))


def filled(total: int) -> list[int]:
    """Ten answers 0-4 with this sum."""
    return [min(4, max(0, total - 4 * i)) for i in range(10)]


@pytest.mark.parametrize(
    ("total", "band"),
    [
        (0, "none"), (1, "mild"), (10, "mild"), (11, "moderate"), (20, "moderate"),
        (21, "severe"), (30, "severe"), (31, "very severe"), (40, "very severe"),
    ],
)  # fmt: skip
def test_irls_bands(total: int, band: str) -> None:
    r = irls(*filled(total))["IRLS_total"]
    assert (r.value[0], r.band[0], r.lower[0], r.upper[0]) == (total, band, total, total)


def test_irls_by_hand() -> None:
    r = irls(3, 2, 3, 1, 2, 3, 3, 2, 1, 2)
    assert [r[n].value[0] for n in ("IRLS_total", "IRLS_symptoms", "IRLS_impact")] == [22, 14, 5]
    assert r["IRLS_symptoms"].flags[0] == "unverified"
    assert r["IRLS_total"].flags[0] == ""


def test_one_missing_gives_the_range_that_brute_force_gives() -> None:
    items = [3, 2, NAN, 1, 2, NAN, 3, 2, 1, 2]
    r = irls(*items)["IRLS_total"]
    totals = [np.nansum(items) + a + b for a, b in product(range(5), repeat=2)]
    assert np.isnan(r.value[0])
    assert (r.lower[0], r.upper[0]) == (min(totals), max(totals))
    assert r.band[0] == "moderate or severe"
    assert r.flags[0] == "missing_items,unverified"
    assert "interval" in r.rule[0]


def test_nothing_answered() -> None:
    r = irls(*[NAN] * 10)["IRLS_total"]
    assert np.isnan(r.value[0])
    assert (r.lower[0], r.upper[0], r.band[0], r.missing[0]) == (0, 40, "n/a", 10)


def test_proration_only_when_asked_only_for_one_and_flagged() -> None:
    one = np.array([[4, 4, 4, 4, 4, 4, 4, 4, 4, NAN], [4, 4, 4, 4, 4, 4, 4, 4, NAN, NAN]])
    r = score(IRLS, one, prorate=True)["IRLS_total"]
    assert r.value[0] == 40
    assert "prorated" in r.flags[0]
    assert np.isnan(r.value[1])
    assert np.isnan(score(IRLS, one)["IRLS_total"].value).all()
    # A sixth of the items of the short part is too much to be filled in.
    six = score(IRLS, np.array([[NAN, 1, 1, 1, 1, 1, 1, 1, 1, 1.0]]), prorate=True)
    assert six["IRLS_symptoms"].value[0] == 6
    assert np.isnan(
        score(IRLS, np.array([[1, 1, 1, 1, NAN, 1, 1, 1, 1, 1.0]]), prorate=True)[
            "IRLS_impact"
        ].value[0]
    )


def test_one_person_does_not_change_another() -> None:
    """Values, flags and words of a row are the same alone and among others."""
    rng = np.random.default_rng(3)
    items = rng.integers(0, 5, (40, 10)).astype(float)
    items[rng.random(items.shape) < 0.05] = NAN
    together = score(IRLS, items)
    order = rng.permutation(40)
    shuffled = score(IRLS, items[order])
    for name, r in together.items():
        for field in ("value", "lower", "upper", "band", "flags", "rule", "missing"):
            np.testing.assert_array_equal(getattr(shuffled[name], field), getattr(r, field)[order])
            alone = [getattr(score(IRLS, items[[i]])[name], field)[0] for i in range(40)]
            np.testing.assert_array_equal(np.array(alone, dtype=object).astype(str),
                                          getattr(r, field).astype(str))  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    key=st.sampled_from(SCALES),
    seed=st.integers(0, 10_000),
    which=st.integers(0, 100),
)
def test_a_worse_answer_never_lowers_a_total(key: str, seed: int, which: int) -> None:
    what = scale(key)
    rng = np.random.default_rng(seed)
    items = rng.integers(what.low, what.high + 1, (1, len(what.items))).astype(float)
    items[rng.random(items.shape) < 0.1] = NAN
    column = which % len(what.items)
    worse = items.copy()
    worse[0, column] = min(what.high, worse[0, column] + 1)
    before = score(what, items, on_request=True)
    after = score(what, worse, on_request=True)
    for name in before:
        for end in ("value", "lower", "upper"):
            a, b = getattr(before[name], end)[0], getattr(after[name], end)[0]
            assert np.isnan(a) or b >= a


@pytest.mark.parametrize("key", SCALES)
def test_both_ends_of_every_scale(key: str) -> None:
    what = scale(key)
    low = score(what, np.full((1, len(what.items)), float(what.low)), on_request=True)
    high = score(what, np.full((1, len(what.items)), float(what.high)), on_request=True)
    for part in what.parts:
        assert low[part.name].value[0] == what.low * len(part.items)
        assert high[part.name].value[0] == what.high * len(part.items)
        # Bands leave no gap: both ends have exactly one.
        if part.name.endswith("_total") and what.bands:
            assert " or " not in low[part.name].band[0] + high[part.name].band[0]


def test_short_mcgill_missing_rule() -> None:
    what = scale("sfmpq")
    items = np.full((4, 15), 2.0)
    items[1, 0] = NAN  # one sensory
    items[2, :2] = NAN  # two sensory
    items[3, 11] = NAN  # one affective
    r = score(what, items)
    np.testing.assert_allclose(r["SFMPQ_sensory"].value, [22, 22, NAN, 22])
    np.testing.assert_allclose(r["SFMPQ_affective"].value, [8, 8, 8, NAN])
    np.testing.assert_allclose(r["SFMPQ_total"].value, [30, 30, NAN, NAN])
    assert "prorated" in r["SFMPQ_total"].flags[1]
    assert (r["SFMPQ_total"].lower[2], r["SFMPQ_total"].upper[2]) == (26, 32)


def test_rls6_has_no_total_unless_asked() -> None:
    items = np.full((1, 6), 5.0)
    assert "RLS6_total" not in score(scale("rls6"), items)
    r = score(scale("rls6"), items, on_request=True)["RLS6_total"]
    assert r.value[0] == 30
    assert r.flags[0] == "unverified"


def test_measurement_error() -> None:
    sem, mdc = measurement_error(10.0, 0.91)
    assert sem == pytest.approx(3.0)
    assert mdc == pytest.approx(1.645 * np.sqrt(2) * 3.0)
    assert irls(*[1] * 10)["IRLS_total"].sem == pytest.approx(5.2 * np.sqrt(0.19))
    assert np.isnan(irls(*[1] * 10)["IRLS_impact"].sem)


def test_given_total_is_used_where_no_item_is_answered() -> None:
    items = np.array([[NAN] * 10, [1.0] * 10])
    r = score(IRLS, items, {"irls_total": np.array([25.0, NAN])})["IRLS_total"]
    assert r.value.tolist() == [25, 10]
    assert r.flags[0] == "total_given"
    assert r.rule[0] == "total as given"
    assert r.band[0] == "severe"
    assert r.missing[0] == 0


def test_jhss_cuts_and_ranges() -> None:
    #        at 23 h bed: 22.0 edge, just before, 18, 17.99, 12, 11.99, 4, 3.99 (still the night)
    hours = np.array([22.0, 21.99, 18.0, 17.99, 12.0, 11.99, 4.0, 3.99])
    r = jhss(hours, np.full(8, 23.0), np.zeros(8, bool))
    assert r.value.tolist() == [1, 2, 2, 3, 3, 4, 4, 1]
    late = jhss(np.array([23.5, 1.0]), np.array([0.5, 0.5]), np.zeros(2, bool))
    assert late.value.tolist() == [1, 1]
    open_ = jhss(np.array([20.0, NAN]), np.array([NAN, 23.0]), np.array([False, True]))
    assert np.isnan(open_.value[0])
    assert (open_.lower[0], open_.upper[0]) == (1, 2)
    assert open_.value[1] == 0


def test_augmentation_over_all_answers() -> None:
    """Every combination against worlds that settle what is unknown."""

    def truth(a: bool, b: bool, hours: float, sign: bool) -> bool:
        return a and (b or hours >= 4 or (hours >= 2 and sign))

    for a, b, sign in product((YES, NO, UNKNOWN), repeat=3):
        for now, hours in ((17, 5.0), (18, 4.0), (19, 3.0), (20, 2.0), (21, 1.0), (23, -1.0)):
            given_ = Treatment(5 if a is YES else 4 if a is NO else None, NO, YES, b, 22, now,
                               sign, NO, NO, NO)  # fmt: skip
            options = [{YES: [True], NO: [False], UNKNOWN: [True, False]}[x] for x in (a, b, sign)]
            possible = {truth(x, y, hours, z) for x, y, z in product(*options)}
            expected = UNKNOWN if len(possible) > 1 else (YES if possible.pop() else NO)
            assert augmentation(given_).answer is expected, (a, b, sign, hours)


def test_augmentation_edges() -> None:
    full = {"otherwise_explained": NO, "prior_response": YES, "onset_before": 22, "onset_now": 16}
    assert augmentation(Treatment(5, **full)).answer is YES
    assert augmentation(Treatment(4, **full)).answer is NO
    assert augmentation(Treatment(7, **{**full, "otherwise_explained": YES})).answer is NO
    assert "recalled" in augmentation(Treatment()).why[-1]
    assert hours_earlier(1, 23) == 2
    assert np.isnan(hours_earlier(None, 3))


def test_kleene() -> None:
    """Against the worlds of each pair."""
    sets = {YES: {True}, NO: {False}, UNKNOWN: {True, False}}
    back = {frozenset({True}): YES, frozenset({False}): NO, frozenset({True, False}): UNKNOWN}
    for a, b in product(sets, repeat=2):
        assert all_of((a, b)) is back[frozenset(x and y for x in sets[a] for y in sets[b])]
        assert any_of((a, b)) is back[frozenset(x or y for x in sets[a] for y in sets[b])]
    assert [inverse(x) for x in sets] == [NO, YES, UNKNOWN]
    assert (compare(5, 5), compare(4.9, 5), compare(None, 5)) == (YES, NO, UNKNOWN)


def test_unknown_scale() -> None:
    with pytest.raises(Refused, match="scale is not known"):
        scale("madeup")


def test_a_hundred_thousand_people(capsys: pytest.CaptureFixture[str]) -> None:
    """The whole table is scored at once; the time is printed, not gated."""
    items = np.random.default_rng(0).integers(0, 5, (100_000, 10)).astype(float)
    start = time.perf_counter()
    r = score(IRLS, items)["IRLS_total"]
    with capsys.disabled():
        print(f" [100 000 people scored in {time.perf_counter() - start:.2f} s] ", end="")
    np.testing.assert_array_equal(r.value, items.sum(axis=1))
