import numpy as np
import pytest
from pet_numerics_truth import SETS, VT, blood, schedule
from scipy.optimize import least_squares
from scipy.special import stdtrit

from ekbom.errors import Refused
from ekbom.measures.pet import simulate
from ekbom.measures.pet.delay import fit_delay
from ekbom.measures.pet.fit import fit
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.uncertainty import bootstrap, profile_interval

N = 400


def _cell(truth, cv, seed=0, n=N):
    model, params = SETS[truth]
    frames, given = schedule("dpn90"), blood()
    clean = simulate.forward(model, params, given, frames, vB=0.05)[0]
    scale = simulate.noise_scale(clean, frames, cv)
    tacs = simulate.add_noise(np.tile(clean, (n, 1)), frames, scale, seed)
    return clean, tacs, frames, given


@pytest.mark.parametrize("truth", ["one", "pbr28", "diprenorphine"])
def test_standard_errors_are_the_spread(truth):
    model, params = SETS[truth]
    clean, tacs, frames, given = _cell(truth, 0.005)
    found = fit(tacs, frames, given, model=model, weight_reference=clean)
    for name in found.params:
        spread = found.params[name].std(ddof=1)
        assert np.median(found.se[name]) == pytest.approx(spread, rel=0.15), name
    covered = int(found.holds("VT", VT(params)).sum())
    # 99.9 % range of a binomial at 95 %
    assert 364 <= covered <= 393
    assert np.median(found.params["VT"]) == pytest.approx(VT(params), rel=0.01)


def test_naive_errors_that_hold_the_rates_fixed_are_too_small():
    model, _ = SETS["pbr28"]
    clean, tacs, frames, given = _cell("pbr28", 0.005, n=100)
    found = fit(tacs, frames, given, model=model, weight_reference=clean)
    cov = found.cov
    slope = 1 / np.stack([found.params["k2"], found.params["k4"]], axis=1)
    naive = np.sqrt(np.einsum("ni,nij,nj->n", slope, cov[:, 2:4, 2:4], slope))
    assert abs(np.median(naive) / found.params["VT"].std(ddof=1) - 1) > 0.15


def test_covariance_against_a_numeric_jacobian():
    model, _ = SETS["pbr28"]
    clean, tacs, frames, given = _cell("pbr28", 0.02, n=1)
    found = fit(tacs, frames, given, model=model, weight_reference=clean)
    names = ("K1", "k2", "k3", "k4", "vB")
    at = np.array([found.params[n][0] for n in names])

    def curve(x):
        rates = dict(zip(names[:4], x[:4], strict=True))
        return simulate.forward(model, rates, given, frames, vB=x[4])[0]

    J = np.empty((frames.n, 5))
    for i in range(5):
        step = np.zeros(5)
        step[i] = 1e-5 * at[i]
        J[:, i] = (curve(at + step) - curve(at - step)) / (2 * step[i])
    cov = np.linalg.inv(J.T @ (found.weights[:, None] * J)) * found.rss[0] / found.df
    for i, name in enumerate(names):
        assert found.se[name][0] == pytest.approx(np.sqrt(cov[i, i]), rel=1e-4)
    K1, k2, k3, k4, _ = at
    g = np.array([1 / k2 * (1 + k3 / k4), -K1 / k2**2 * (1 + k3 / k4), K1 / k2 / k4, 0, 0])
    g[3] = -K1 / k2 * k3 / k4**2
    assert found.se["VT"][0] == pytest.approx(np.sqrt(g @ cov @ g), rel=1e-4)
    h = np.array([0, 0, 1 / k4, -k3 / k4**2, 0])
    assert found.se["BPND"][0] == pytest.approx(np.sqrt(h @ cov @ h), rel=1e-4)
    v = np.array([1 / k2, -K1 / k2**2, 0, 0, 0])
    assert found.se["VND"][0] == pytest.approx(np.sqrt(v @ cov @ v), rel=1e-4)


def test_profile_interval():
    model, _ = SETS["diprenorphine"]
    clean, tacs, frames, given = _cell("diprenorphine", 0.005, n=3)
    for tac in tacs:
        found = fit(tac, frames, given, model=model, weight_reference=clean)
        low, high = profile_interval(tac, frames, given, weights=found.weights)
        wald = [float(v[0]) for v in found.interval("VT")]
        # little noise: the likelihood is nearly a parabola
        assert low == pytest.approx(wald[0], rel=0.005)
        assert high == pytest.approx(wald[1], rel=0.005)
        assert low < found.params["VT"][0] < high
    with pytest.raises(Refused, match="V_T"):
        profile_interval(tac, frames, given, model="logan")


def test_limits_are_where_an_independent_search_finds_the_residuals_of_the_quantile():
    params = {"K1": 0.15, "k2": 0.37, "k3": 0.6, "k4": 0.14}
    frames = Frames.of_runs([(3, 60), (4, 180), (6, 360)], 20.364)
    given = blood()
    clean = simulate.forward("2tcm", params, given, frames, vB=0.05)[0]
    tac = simulate.add_noise(clean, frames, simulate.noise_scale(clean, frames, 0.01), 1)
    found = fit(tac, frames, given, model="2tcm", weight_reference=clean)
    low, high = (float(v[0]) for v in found.interval("VT"))
    root = np.sqrt(found.weights)

    def least(fixed):
        def residual(x):
            K1, k2, k3 = np.exp(x[:3])
            rates = {"K1": K1, "k2": k2, "k3": k3, "k4": k3 / (fixed * k2 / K1 - 1)}
            return root * (tac - simulate.forward("2tcm", rates, given, frames, vB=x[3])[0])

        start = [*np.log([float(found.params[k][0]) for k in ("K1", "k2", "k3")]),
                 float(np.clip(found.params["vB"][0], 0.01, 0.19))]  # fmt: skip
        bounds = ([-7, -7, -7, 0], [2, 2, 3, 0.2])
        return 2 * least_squares(residual, start, bounds=bounds, x_scale=[1, 1, 1, 0.1]).cost

    wanted = found.rss[0] * (1 + stdtrit(found.df, 0.975) ** 2 / found.df)
    assert least(low) == pytest.approx(wanted, rel=0.005)
    assert least(high) == pytest.approx(wanted, rel=0.005)
    # the slope at the estimate ends elsewhere
    half = stdtrit(found.df, 0.975) * found.se["VT"][0]
    assert abs((high - low) / (2 * half) - 1) > 0.05
    # another parameter has no profile
    assert (
        found.interval("K1")[1][0]
        == found.params["K1"][0] + stdtrit(found.df, 0.975) * found.se["K1"][0]
    )


@pytest.mark.parametrize("cv", [0.01, 0.05])
def test_an_interval_ends_where_it_stops_holding(cv):
    clean, tacs, frames, given = _cell("diprenorphine", cv, n=25)
    found = fit(tacs, frames, given, model="2tcm", weight_reference=clean)
    for name in ("VT", "K1"):
        low, high = found.interval(name, 0.9)
        middle = found.params[name]
        for part, inside in ((0.98, True), (1.02, False)):
            ends = middle + part * (low - middle), middle + part * (high - middle)
            for i, row in enumerate(zip(*ends, strict=True)):
                for value in row:
                    if np.isfinite(value):
                        assert bool(found.holds(name, value, 0.9)[i]) is inside


def test_an_interval_holds_what_was_not_fitted_and_what_has_no_noise():
    model, params = SETS["one"]
    clean, tacs, frames, given = _cell("one", 0.005, n=2)
    tacs[1] = np.nan
    found = fit(np.vstack((tacs, clean)), frames, given, model=model, weights="duration")
    low, high = found.interval("VT")
    assert low[0] < found.params["VT"][0] < high[0]
    assert np.isnan([low[1], high[1]]).all()
    assert low[2] == pytest.approx(VT(params), rel=1e-6) == high[2]


def test_profile_interval_has_no_upper_end_where_the_scan_gives_none():
    params = {"K1": 0.1, "k2": 0.1, "k3": 0.05, "k4": 1e-4}
    frames, given = schedule("dpn90"), blood()
    clean = simulate.forward("2tcm", params, given, frames, vB=0.05)[0]
    tac = simulate.add_noise(clean, frames, simulate.noise_scale(clean, frames, 0.03), 2)
    low, high = profile_interval(tac, frames, given, weights="duration")
    assert 3 < low < 20
    assert np.isinf(high)
    found = fit(tac, frames, given, model="2tcm", weights="duration")
    for value, inside in ((0.9 * low, False), (1.1 * low, True), (1e4, True)):
        assert bool(found.holds("VT", value)[0]) is inside


def test_bootstrap_of_a_graphical_model():
    clean, tacs, frames, given = _cell("diprenorphine", 0.03)
    how = {"model": "logan", "vB": 0.05, "tstar": 30.0}
    spread = fit(tacs, frames, given, **how).params["VT"].std(ddof=1)
    one = bootstrap(tacs[:30], frames, given, seed=1, draws=100, weight_reference=clean, **how)
    assert np.median(one.se) == pytest.approx(spread, rel=0.2)
    again = bootstrap(tacs[:30], frames, given, seed=1, draws=100, weight_reference=clean, **how)
    assert one.se.tobytes() == again.se.tobytes()
    assert np.median(one.bias) < 0


@pytest.mark.parametrize("truth", [-0.4, 0.0, 0.23])
def test_delay_without_noise(truth):
    model, params = SETS["pbr28"]
    frames, given = schedule("dpn90"), blood().shifted(0.5)
    tac = simulate.forward(model, params, given, frames, vB=0.05, delay=truth)[0]
    found = fit_delay(tac, frames, given)
    assert found.flag == ""
    assert found.value == pytest.approx(truth, abs=1e-4)
    assert abs(found.profile_t[found.profile_rss.argmin()] - truth) <= 0.05


def test_delay_error_is_its_spread():
    model, params = SETS["pbr28"]
    frames, given = schedule("dpn90"), blood().shifted(0.5)
    clean = simulate.forward(model, params, given, frames, vB=0.05, delay=0.2)[0]
    scale = simulate.noise_scale(clean, frames, 0.01)
    found = [
        fit_delay(simulate.add_noise(clean, frames, scale, seed), frames, given)
        for seed in range(25)
    ]
    values = np.array([d.value for d in found])
    assert all(d.flag == "" for d in found)
    assert np.median([d.se for d in found]) == pytest.approx(values.std(ddof=1), rel=0.5)
    assert abs(values.mean() - 0.2) < 4 * values.std() / 5


def test_delay_that_cannot_be_told_is_zero():
    model, params = SETS["pbr28"]
    frames, given = schedule("dpn90"), blood().shifted(0.5)
    clean = simulate.forward(model, params, given, frames, vB=0.05, delay=0.2)[0]
    noisy = simulate.add_noise(clean, frames, simulate.noise_scale(clean, frames, 0.6), 0)
    found = fit_delay(noisy, frames, given)
    assert found.value == 0
    assert found.flag in ("delay_flat", "delay_bound")
    assert np.isnan(found.se)
    beyond = simulate.forward(model, params, given, frames, vB=0.05, delay=1.6)[0]
    assert fit_delay(beyond, frames, given).flag == "delay_bound"
    with pytest.raises(Refused, match="too few frames"):
        fit_delay(clean, frames, given, window=1.0)
    with pytest.raises(Refused, match="one number a frame"):
        fit_delay(clean[1:], frames, given)


def test_blood_samples_are_seeded_and_never_negative():
    given = blood()
    one = simulate.simulate_blood(given, [0.5, 1, 10, 60], 0.05, 3)
    two = simulate.simulate_blood(given, [0.5, 1, 10, 60], 0.05, 3)
    assert one.plasma_parent.tobytes() == two.plasma_parent.tobytes()
    many = simulate.simulate_blood(given, np.full(20000, 10.0), 0.05, 1)
    assert many.plasma_parent.mean() == pytest.approx(float(given.at(10.0)), rel=0.002)
    assert many.whole_blood.std() / many.whole_blood.mean() == pytest.approx(0.05, rel=0.03)
    assert (simulate.simulate_blood(given, np.full(500, 10.0), 2.0, 1).whole_blood >= 0).all()


def test_noise_has_the_size_that_was_asked_for():
    frames, given = schedule("mc1-120"), blood()
    clean = simulate.forward(*SETS["pbr28"], given, frames)[0]
    scale = simulate.noise_scale(clean, frames, 0.03)
    draws = simulate.add_noise(np.tile(clean, (4000, 1)), frames, scale, 0)
    assert (draws.std(axis=0) / clean)[-10:].mean() == pytest.approx(0.03, rel=0.03)
    with pytest.raises(Refused, match="rate constant is missing"):
        simulate.forward("2tcm", {"K1": 0.1, "k2": 0.1}, given, frames)
    with pytest.raises(Refused, match="cannot be simulated"):
        simulate.forward("logan", {}, given, frames)


def test_plain_means_all_the_way():
    model, params = SETS["pbr28"]
    frames, given = schedule("dpn90"), blood().shifted(0.5)
    how = {"vB": 0.05, "delay": 0.2, "decay_weighted": False}
    tac = simulate.forward(model, params, given, frames, **how)[0]
    plain = fit_delay(tac, frames, given, frame_mean="plain")
    assert plain.value == pytest.approx(0.2, abs=1e-4)
    tissue = given.shifted(0.2)
    noisy = simulate.add_noise(tac, frames, simulate.noise_scale(tac, frames, 0.003), 1)
    found = fit(noisy, frames, tissue, model=model, weights="duration", frame_mean="plain")
    low, high = profile_interval(noisy, frames, tissue, weights="duration", frame_mean="plain")
    assert low < found.params["VT"][0] < high
    again = bootstrap(
        tac, frames, tissue, model=model, seed=0, draws=5, weights="duration", frame_mean="plain"
    )
    np.testing.assert_allclose(again.draws, VT(params), rtol=1e-6)
