import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from ekbom.disease.model import load
from ekbom.disease.simulate import Cohort, Event, parameters, settle, simulate, state_index
from ekbom.errors import Refused

IRON = ("fp", "fm", "fr", "fq", "fs", "fx")


def test_steady_state_is_exact():
    run = simulate(Cohort(1, {"clock": 0.0}), 240, step=24)
    scale = np.array([s.scale for s in load().states])
    assert np.max(np.abs(run.states[0] - run.states[0, 0]) / scale) < 1e-9


def test_steady_state_of_the_terminal_as_published():
    run = simulate(Cohort(1, {"clock": 0.0}), 1)
    printed = {"bh2": 40.85, "bh4": 319.14, "tyr": 125.70, "ldopa": 0.3559, "cda": 2.647,
               "vda": 80.97, "eda": 0.0020237, "hva": 7.678, "pool": 942.8}  # fmt: skip
    for name, value in printed.items():
        assert run.get(name)[0, -1] == pytest.approx(value, rel=2e-4), name


@pytest.mark.parametrize(
    ("change", "eda", "hva"),
    [
        ({"s_th": 0.5}, -17, -28), ({"s_th": 0.75}, -8, -13), ({"s_th": 1.5}, 12, 25),
        ({"s_th": 2.0}, 22, 50), ({"s_dat": 0.7}, 20, -26), ({"s_dat": 0.5}, 46, -41),
        ({"f0": 0.65}, -19, 55), ({"f0": 1.35}, 16, -23), ({"f0": 2.0}, 44, -40),
        ({"s_th": 0.75, "s_dat": 0.7}, 9, -37),
    ],
)  # fmt: skip
def test_steady_responses_of_the_terminal_as_published(change, eda, hva):
    base = simulate(settle(Cohort(1)), 1).get
    both = settle(Cohort(1, change), 2000.0)
    there = simulate(Cohort(1, {**change, "clock": 0.0}, both.start), 1).get
    plain = simulate(Cohort(1, {"clock": 0.0}), 1).get
    for name, percent in (("eda", eda), ("hva", hva)):
        found = 100 * (there(name)[0, -1] / plain(name)[0, -1] - 1)
        assert found == pytest.approx(percent, abs=0.6), name
    assert base("eda")[0, 0] > 0


def test_second_solver_agrees():
    from ekbom.disease.solve._generated import rhs

    change = {"q_bbb": 0.6, "g_irp": 0.7, "g0": -1.5}
    cohort = Cohort(1, change)
    run = simulate(cohort, 48, events=[Event(21.0, "l_gut", 100.0)], rtol=1e-8)
    p = parameters(cohort)[0]
    scale = np.array([s.scale for s in load().states])

    def f(t, y):
        dy = np.empty_like(y)
        rhs(t, y, p, dy)
        return dy

    y = run.states[0, 0]
    there = []
    for t0, t1 in ((0, 21), (21, 48)):
        grid = np.arange(t0, t1 + 1.0)
        sol = solve_ivp(f, (t0, t1), y, "BDF", grid, rtol=1e-8, atol=1e-11 * scale, max_step=1.0)
        there.append(sol.y.T[:-1])
        y = sol.y[:, -1].copy()
        if t1 == 21:
            y[state_index()["l_gut"]] += 100.0
    there.append(y[None])
    b = np.concatenate(there)
    a = run.states[0]
    floor = np.abs(b) + 1e-3 * np.abs(b).max(axis=0)
    assert np.max(np.abs(a - b) / np.where(floor > 0, floor, 1)) < 1e-4


def test_the_order_of_the_method():
    # one dose of levodopa has a closed form: Bateman's
    p = load().defaults
    ka, ke, f = p["ka_l"], p["ke_l"], p["f_l"]
    run = simulate(Cohort(1), 12, events=[Event(0.0, "l_gut", 100.0)])
    t = run.times
    exact = f * 100 * ka / (ka - ke) * (np.exp(-ke * t) - np.exp(-ka * t))
    np.testing.assert_allclose(run.get("l_body")[0], exact, rtol=2e-6, atol=1e-6)
    loose = simulate(Cohort(1), 12, events=[Event(0.0, "l_gut", 100.0)], rtol=1e-3)
    tight = simulate(Cohort(1), 12, events=[Event(0.0, "l_gut", 100.0)], rtol=1e-9)
    wrong = [np.max(np.abs(r.get("l_body")[0] - exact)) for r in (loose, run, tight)]
    assert wrong[2] < wrong[1] < wrong[0]


def test_iron_is_balanced():
    change = {"loss": 0.12, "bleed": 0.05, "j_preg": 0.1}
    days = 20
    run = simulate(Cohort(1, change), 24 * days, events=[Event(30.0, "fx", 500.0)], rtol=1e-9)
    total = sum(run.get(s)[0] for s in IRON)
    # inflow less losses along the trajectory, by Simpson's rule on the hourly output
    flow = (run.get("j_abs") - 0.12 * run.get("fp") / 3 - 0.1 * run.get("fp") / 3
            - 0.05 * run.get("fr") / 2520)[0]  # fmt: skip
    part = flow[30:]
    assert (len(part) - 1) % 2 == 0
    integral = (part[0] + part[-1] + 4 * part[1:-1:2].sum() + 2 * part[2:-1:2].sum()) / 3
    assert total[-1] - total[30] == pytest.approx(integral, abs=1e-4)
    before = total[29] + (flow[29] + flow[30]) / 2
    assert total[30] - before == pytest.approx(500.0, abs=1e-3)


def test_rates_of_iron_sum_to_flows():
    from ekbom.disease.simulate import healthy_start
    from ekbom.disease.solve._generated import outputs, rhs

    model = load()
    p = parameters(Cohort(1, {"loss": 0.07, "j_preg": 0.1, "bleed": 0.02}))[0]
    rng = np.random.default_rng(2)
    place = state_index()
    for _ in range(20):
        y = healthy_start(model, p[None])[0] * rng.uniform(0.3, 2, len(place))
        y[place["fx"]], y[place["fe_gut"]] = rng.uniform(0, 500, 2)
        dy, out = np.empty_like(y), np.empty(len(model.assigns) + len(model.readouts))
        rhs(3.0, y, p, dy)
        outputs(3.0, y, p, out)
        now = dict(zip([a.id for a in (*model.assigns, *model.readouts)], out, strict=True))
        flows = now["j_abs"] + now["j_oral"] - 0.17 * y[place["fp"]] / 3
        flows -= 0.02 * y[place["fr"]] / 2520
        assert sum(dy[place[s]] for s in IRON) == pytest.approx(flows, abs=1e-8)


def test_biopterin_is_conserved_and_nothing_is_negative():
    rng = np.random.default_rng(7)
    n = 60
    people = Cohort(n, {"q_bbb": np.exp(0.4 * rng.normal(size=n)),
                        "g_irp": np.exp(0.4 * rng.normal(size=n)),
                        "g0": rng.normal(-2, 1.5, n)})  # fmt: skip
    doses = [Event(20.0, "l_gut", 200.0), Event(21.0, "g_gut", 0.5), Event(8.0, "o_gut", 10.0)]
    run = simulate(people, 72, events=doses)
    assert not run.failures
    np.testing.assert_allclose(run.get("bh2") + run.get("bh4"), 360.0, rtol=1e-10)
    assert run.states.min() > -1e-9


def test_more_output_changes_nothing_and_order_of_people_neither():
    people = Cohort(3, {"q_bbb": np.array([0.5, 1.0, 1.5])})
    hourly = simulate(people, 24)
    sparse = simulate(people, 24, step=2)
    assert np.array_equal(hourly.states[:, ::2], sparse.states) or np.allclose(
        hourly.states[:, ::2], sparse.states, rtol=2e-5, atol=1e-8
    )
    other = simulate(people.take(np.array([2, 0, 1])), 24)
    assert np.array_equal(other.states[0], hourly.states[2])


def test_relations_of_the_iron_loop_as_published():
    # low supply with an intact loop raises the receptor; a weak loop lowers all (autopsy signs)
    def at(**change):
        people = Cohort(1, {"clock": 0.0, "eta": 0.0, **change})
        return simulate(settle(people, 40000.0), 1).get

    low = at(q_bbb=0.5)
    assert low("lip")[0, 0] == pytest.approx(0.68, abs=0.01)
    assert low("tfr")[0, 0] == pytest.approx(1.19, abs=0.01)
    weak = at(g_irp=0.6)
    for name, value in (("lip", 0.73), ("tfr", 0.69), ("ftp", 0.86), ("fpn", 0.86), ("ftfe", 0.63)):
        assert weak(name)[0, 0] == pytest.approx(value, abs=0.01), name


def test_the_settling_of_nigral_iron_as_computed():
    people = Cohort(1, {"clock": 0.0, "tau_b": 1e-3, "q_bbb": 0.5})
    run = simulate(people, 24 * 84 + 24 * 1000, step=24, hmax=24.0)
    fe = run.get("fe_sn")[0]
    share = (fe - fe[0]) / (fe[-1] - fe[0])
    assert share[28] == pytest.approx(0.54, abs=0.05)
    assert share[84] == pytest.approx(0.90, abs=0.05)


def test_averaged_days_agree_with_full_days():
    rng = np.random.default_rng(11)
    n = 20
    people = Cohort(n, {"g_irp": np.exp(0.3 * rng.normal(size=n)), "g0": rng.normal(-2, 0.7, n)})
    full = simulate(people, 24 * 28, step=24)
    slow = settle(people, 24 * 28)
    place = state_index()
    for name in ("lip", "ftfe", "b", "fs", "fr"):
        a, b = full.last[:, place[name]], slow.start[:, place[name]]
        assert np.max(np.abs(a / b - 1)) < 0.01, name


@pytest.mark.parametrize(
    "event", [Event(5.0, "no_such", 1.0), Event(99.0, "l_gut", 1.0), Event(-1.0, "l_gut", 1.0)]
)
def test_an_event_that_makes_no_sense_is_refused(event):
    with pytest.raises(Refused):
        simulate(Cohort(1), 24, events=[event])


def test_an_unknown_or_infinite_parameter_is_refused():
    with pytest.raises(Refused):
        simulate(Cohort(1, {"nothing": 1.0}), 24)
    with pytest.raises(Refused):
        simulate(Cohort(1, {"q_bbb": math.inf}), 24)


def test_a_failed_run_is_named():
    people = Cohort(2, {"w_1": np.array([2.0, 1e300])})
    run = simulate(people, 24)
    assert [f.person for f in run.failures] in ([1], [])
    assert np.isfinite(run.states[0]).all()


def test_iron_raises_haemoglobin_where_it_is_lacking_and_nowhere_else():
    # healthy man, man with small stores, man who loses four times as much blood (anaemic)
    own = {"fs0": np.array([1000.0, 300.0, 350.0]), "loss": np.array([0.05, 0.05, 0.2])}
    people = settle(Cohort(3, own), 26000.0)
    before = simulate(people.with_params(clock=0.0), 1)
    hb = before.get("hb")[:, -1]
    assert hb[0] == pytest.approx(14.5, abs=0.01)
    assert 13.0 < hb[1] < 14.5
    assert hb[2] < 12.0
    dose = [Event(0.0, "fx", 1000.0)]
    run = simulate(people.with_params(clock=0.0), 84 * 24, step=24, events=dose)
    rise = run.get("hb") - hb[:, None]
    assert np.abs(rise[0]).max() < 0.3
    assert rise[1].max() < 1.0
    assert rise[2].max() > 2.0
    # transferrin is never more than full, and what the cells do not take is in the stores
    assert run.get("tsat").max() < 1.0
    stored = run.get("fs")[:, -1] - before.get("fs")[:, -1]
    assert stored[0] > 700
    assert stored[2] < 400


def test_numbers_do_not_depend_on_threads(monkeypatch):
    from ekbom.disease.solve import rosenbrock

    cohort = Cohort(40, {"q_bbb": np.linspace(0.6, 1.2, 40), "phi_c": np.linspace(-1, 1, 40)})
    events = [[Event(2.0 + i / 40, "l_gut", 100.0)] for i in range(40)]
    monkeypatch.setattr(rosenbrock, "get_num_threads", lambda: 1)
    one = simulate(cohort, 12, events=events)
    monkeypatch.setattr(rosenbrock, "get_num_threads", lambda: 3)
    three = simulate(cohort, 12, events=events)
    assert np.array_equal(one.states, three.states)
    assert np.array_equal(one.outputs, three.outputs)
    alone = simulate(cohort.take(np.array([17])), 12, events=[events[17]])
    assert np.array_equal(alone.states[0], one.states[17])
