import numpy as np
import pytest

from ekbom.disease import cohort as co
from ekbom.disease.model import load
from ekbom.disease.simulate import Event
from ekbom.disease.slow import STRIDE, WARM, months, schedule
from ekbom.errors import Refused

SLOW = [i for i, s in enumerate(load().states) if s.slow]


@pytest.fixture(scope="module")
def twenty():
    return co.settled(co.draw(20, 5)[0])


@pytest.mark.parametrize(
    ("daily", "once"),
    [
        ([Event(20.0, "g_gut", 0.5), Event(9.0, "fe_gut", 65.0)], []),
        ([], [Event(34.0, "fx", 1000.0), Event(34.0, "k_x", 0.02)]),
    ],
)
def test_skipped_days_agree_with_the_full_run(twenty, daily, once):
    full = months(twenty.cohort, 42, daily=daily, once=once, visits=(21,), stride=1)
    fast = months(twenty.cohort, 42, daily=daily, once=once, visits=(21,))
    assert full.full_days == 42
    assert fast.full_days < 26
    scale = np.array([s.scale for s in load().states])
    apart = np.abs(fast.states - full.states) / (np.abs(full.states) + 1e-3 * scale)
    assert apart[:, :, SLOW].max() < 0.01
    # severity: 0.3 points of the expected score, wherever the threshold lies
    a, b = (co.table(co.People(m.cohort, twenty.facts))["z"] for m in (full, fast))
    for cut in np.linspace(min(a) - 1, max(a) + 1, 40):
        assert np.max(np.abs(co.expected_irls(a - cut) - co.expected_irls(b - cut))) < 0.3
    if once:
        assert np.all(np.asarray(fast.cohort.params["k_x"]) == 0.02)


def test_a_week_is_full_after_the_start_and_each_event_and_the_day_before_each_visit():
    full = schedule(60, [20], [40, 60], STRIDE)
    assert all(full[:WARM])
    assert all(full[20 : 20 + WARM])
    assert full[39]
    assert full[59]
    gaps = np.diff(np.flatnonzero(full))
    assert gaps.max() == STRIDE
    assert all(schedule(10, [], [], 1))


def test_the_end_goes_on_and_a_visit_is_found(twenty):
    run = months(twenty.cohort, 9, visits=(8,))
    assert np.array_equal(run.at(9).start, run.cohort.start)
    assert run.get("b").shape == (20, 3)
    with pytest.raises(Refused):
        run.at(5)
    with pytest.raises(Refused):
        run.get("no_such")


@pytest.mark.parametrize(
    "wrong",
    [{"days": 0}, {"days": 3, "stride": 9}, {"days": 3, "visits": (5,)},
     {"days": 3, "daily": [Event(25.0, "l_gut", 1.0)]},
     {"days": 3, "once": [Event(100.0, "fx", 1.0)]}],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(twenty, wrong):
    with pytest.raises(Refused):
        months(twenty.cohort, **wrong)
