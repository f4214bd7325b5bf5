import numpy as np
import pytest
from pet_numerics_truth import C11, SETS, VT, blood, schedule

from ekbom.errors import Refused
from ekbom.measures.pet import simulate
from ekbom.measures.pet.fit import first_frame, fit
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.graphical import tissue_integral
from ekbom.measures.pet.input import InputFunction
from ekbom.measures.pet.tstar import choose_tstar


@pytest.mark.parametrize("decay_weighted", [True, False])
def test_running_integral_is_exact_for_a_line_through_zero(decay_weighted):
    """A curve that rises linearly from injection has no shape to guess, gaps or not."""
    frames = schedule("dpn90", gap=True)
    decay = frames.decay_lambda if decay_weighted else 0.0
    x, w = np.polynomial.legendre.leggauss(30)
    t = frames.mid[:, None] + frames.duration[:, None] / 2 * x
    fall = w * np.exp(-decay * (t - frames.start[:, None]))
    fall /= fall.sum(axis=1, keepdims=True)
    tac = (fall * 3 * t).sum(axis=1)
    truth = (fall * 1.5 * t**2).sum(axis=1)
    got = tissue_integral(frames, decay_weighted=decay_weighted).mean(tac[None])[0]
    np.testing.assert_allclose(got, truth, rtol=1e-9)


def test_running_integral_of_a_real_curve():
    frames, given = schedule("dpn90"), blood()
    model, params = SETS["pbr28"]
    tac = simulate.forward(model, params, given, frames)
    fine = Frames.of_runs([(5400, 1)], C11)
    dense = simulate.forward(model, params, given, fine, decay_weighted=False)[0]
    before = np.concatenate(([0], np.cumsum(dense) / 60))
    truth = np.array(
        [
            np.average(
                (before[s:e] + before[s + 1 : e + 1]) / 2,
                weights=np.exp(-frames.decay_lambda * np.arange(s, e) / 60),
            )
            for s, e in zip(
                np.rint(frames.start * 60).astype(int),
                np.rint(frames.end * 60).astype(int),
                strict=True,
            )
        ]
    )
    got = tissue_integral(frames).mean(tac)[0]
    late = frames.start >= 10
    np.testing.assert_allclose(got[late], truth[late], rtol=3e-4)
    # the naive version: mid-frame values and the trapezium rule
    mid = np.concatenate(([0], frames.mid))
    naive = np.cumsum(np.diff(mid) * (np.append(0, tac[0, :-1]) + tac[0]) / 2)
    assert np.abs(naive[late] / truth[late] - 1).max() > 3 * np.abs(got / truth - 1)[late].max()


@pytest.mark.parametrize("gap", [False, True])
@pytest.mark.parametrize("name", ["dpn90", "mc1-120", "long"])
@pytest.mark.parametrize("model", ["logan", "ma1"])
def test_exact_where_the_model_is(model, name, gap):
    """One tissue is a straight line from the start: what is left is the tissue integral."""
    truth, params = SETS["one"]
    frames, given = schedule(name, gap=gap), blood()
    for decay_weighted, kind in ((True, "decay-weighted"), (False, "plain")):
        tac = simulate.forward(truth, params, given, frames, vB=0.05, decay_weighted=decay_weighted)
        for tstar in (20, 45):
            found = fit(tac, frames, given, model=model, vB=0.05, tstar=tstar, frame_mean=kind)
            assert found.params["VT"][0] == pytest.approx(VT(params), rel=0.0005)
            # the intercept of both is -1/k2
            assert found.params["intercept"][0] == pytest.approx(-1 / params["k2"], rel=0.005)


def test_two_tissues_bend_the_line_by_a_known_amount():
    """No claim of exactness: V_T is low until the slow tissue leads, and less so later."""
    frames, given = schedule("dpn90"), blood()
    for name in ("pbr28", "diprenorphine", "carfentanil"):
        model, params = SETS[name]
        tac = simulate.forward(model, params, given, frames, vB=0.05)
        for graphical in ("logan", "ma1"):
            bias = [
                fit(tac, frames, given, model=graphical, vB=0.05, tstar=t).params["VT"][0]
                / VT(params)
                - 1
                for t in (10, 30, 50)
            ]
            assert -0.06 < bias[0] < bias[1] < bias[2] < 0
            assert bias[2] > -0.02


def test_noise_makes_logan_low_and_ma1_less_so():
    """Trap T14: sign of the noise bias."""
    model, params = SETS["diprenorphine"]
    frames, given = schedule("dpn90"), blood()
    clean = simulate.forward(model, params, given, frames, vB=0.05)[0]
    tacs = simulate.add_noise(
        np.tile(clean, (3000, 1)), frames, simulate.noise_scale(clean, frames, 0.10), 2
    )
    bias = {}
    for graphical in ("logan", "ma1"):
        how = {"model": graphical, "vB": 0.05, "tstar": 30, "weights": "uniform"}
        truth = fit(clean, frames, given, **how).params["VT"][0]
        bias[graphical] = np.median(fit(tacs, frames, given, **how).params["VT"]) / truth - 1
    assert bias["logan"] < -0.01
    assert abs(bias["ma1"]) < abs(bias["logan"])


def test_regression_errors_are_those_of_least_squares():
    model, params = SETS["pbr28"]
    frames, given = schedule("mc1-120"), blood()
    tac = simulate.add_noise(simulate.forward(model, params, given, frames)[0], frames, 0.3, 0)
    found = fit(tac, frames, given, model="logan", vB=0.0, tstar=30, weights="duration")
    first = first_frame(frames, 30)
    from ekbom.measures.pet.convolve import make_grid, running_input

    y = (tissue_integral(frames).mean(tac[None])[0] / tac)[first:]
    x = (running_input(make_grid(frames, given)) / tac)[first:]
    w = np.sqrt(found.weights[first:])
    A = np.column_stack((x, np.ones_like(x))) * w[:, None]
    beta, rss, *_ = np.linalg.lstsq(A, y * w)
    se = np.sqrt(rss[0] / (y.size - 2) * np.linalg.inv(A.T @ A)[0, 0])
    assert found.params["VT"][0] == pytest.approx(beta[0], rel=1e-9)
    assert found.params["intercept"][0] == pytest.approx(beta[1], rel=1e-9)
    assert found.se["VT"][0] == pytest.approx(se, rel=1e-7)
    assert found.se_kind == "se_regression"
    assert found.df == y.size - 2
    assert np.isnan(found.fitted[0, :first]).all()
    assert np.isfinite(found.fitted[0, first:]).all()


def test_tstar_is_minutes_not_frames():
    """Trap T10."""
    frames, given = schedule("dpn90"), blood()
    model, params = SETS["pbr28"]
    tac = simulate.forward(model, params, given, frames, vB=0.05)
    found = fit(tac, frames, given, model="logan", vB=0.05, tstar=10)
    assert found.meta["tstar_min"] == pytest.approx(frames.start[first_frame(frames, 10)])
    assert found.meta["tstar_min"] >= 10 - 1e-6
    # the naive version takes the last ten frames
    naive = fit(tac, frames, given, model="logan", vB=0.05, tstar=frames.start[-10])
    assert naive.meta["n_frames"] == 10 != found.meta["n_frames"]
    with pytest.raises(Refused, match="not a number of frames"):
        fit(tac, frames, given, model="logan", vB=0.05, tstar=85)


def test_tstar_from_seconds_is_not_lost_to_rounding():
    frames = Frames.of_runs([(30, 7), (60, 61)], C11)
    for f in range(30, 60):
        assert first_frame(frames, round(float(frames.start[f]), 7)) == f


def test_choice_of_tstar():
    frames, given = schedule("mc1-120"), blood()
    tacs = np.concatenate(
        [
            simulate.forward(*SETS[k], given, frames, vB=0.05)
            for k in ("one", "pbr28", "carfentanil")
        ]
    )
    chosen = choose_tstar(tacs, frames, given, model="logan", vB=0.05)
    # one tissue is straight from the first frame that is not dominated by blood
    assert chosen.regions[0] == chosen.regions.min()
    assert chosen.value == np.sort(chosen.regions)[1]
    assert chosen.value in frames.start
    for n, t in enumerate(chosen.regions):
        c = int(np.flatnonzero(chosen.candidates == t)[0])
        assert chosen.deviation[n, c] <= 0.10
        assert (chosen.deviation[n, :c] > 0.10).all()
    assert (frames.start >= chosen.candidates[-1]).sum() == 5
    strict = choose_tstar(tacs, frames, given, model="logan", vB=0.05, max_deviation=0.01)
    assert strict.value > chosen.value
    with pytest.raises(Refused, match="No region is straight"):
        choose_tstar(tacs, frames, given, model="logan", vB=0.05, max_deviation=1e-9)
    with pytest.raises(Refused, match="too few frames"):
        choose_tstar(tacs[:, :4], Frames(frames.start[:4], frames.end[:4], C11), given)


def test_negative_values_are_flagged():
    frames = schedule("mc1-120")
    given = blood()
    # tissue that grows faster than any reversible binding allows
    tac = np.exp(0.05 * frames.mid)
    found = fit(tac, frames, given, model="ma1", vB=0.0, tstar=30)
    assert found.params["VT"][0] < 0
    assert "negative_value" in found.flags[0]


def test_share_of_the_integral_that_is_guessed():
    given = InputFunction([0, 1, 130], [1, 1, 1], [1, 1, 1])
    frames = Frames([1.0, 10, 60], [10, 50, 120], C11)
    tac = np.ones((1, 3))
    share = fit(tac, frames, given, model="ma1", vB=0.0, tstar=0, weights="uniform").extra[
        "guessed_share"
    ][0]
    assert 0.08 < share < 0.1  # ten minutes of about 119
