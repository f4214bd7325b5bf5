"""Traps other programs fell into: each test also shows the naive version fail."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pet_numerics_truth import C11, SETS, VT, blood, schedule

from ekbom.errors import Refused
from ekbom.measures.pet import simulate
from ekbom.measures.pet.fit import fit
from ekbom.measures.pet.flags import MEANINGS, bits, words
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction
from ekbom.measures.pet.select import aicc, akaike_weights, choose
from ekbom.measures.pet.weights import weights


def test_frame_integrals_not_mid_frame_values():
    """T2: ten-minute frames."""
    model, params = SETS["diprenorphine"]
    frames, given = schedule("long"), blood()
    tac = simulate.forward_ode(model, params, given, frames, vB=0.05)
    exact = fit(tac, frames, given, model="2tcm")
    assert exact.params["VT"][0] == pytest.approx(VT(params), rel=1e-4)
    assert exact.params["k2"][0] == pytest.approx(params["k2"], rel=1e-4)
    point = Frames(frames.mid - 1e-4, frames.mid + 1e-4, C11)
    naive = fit(tac, point, given, model="2tcm", weights=exact.weights)
    assert abs(naive.params["VT"][0] / VT(params) - 1) > 1e-3
    assert abs(naive.params["k2"][0] / params["k2"] - 1) > 0.02


def test_plain_means_are_not_decay_weighted_ones():
    model, params = SETS["diprenorphine"]
    frames, given = schedule("dpn90"), blood()
    tac = simulate.forward(model, params, given, frames, vB=0.05, decay_weighted=False)
    plain = fit(tac, frames, given, model="2tcm", frame_mean="plain")
    assert plain.params["VT"][0] == pytest.approx(VT(params), rel=1e-6)
    other = fit(tac, frames, given, model="2tcm")
    assert abs(other.params["VT"][0] / VT(params) - 1) > 1e-4


def test_k4_near_zero_is_flagged():
    """T5: V_T of hundreds must not pass without a word."""
    params = {"K1": 0.1, "k2": 0.1, "k3": 0.05, "k4": 1e-5}
    frames, given = schedule("dpn90"), blood()
    clean = simulate.forward("2tcm", params, given, frames, vB=0.05)[0]
    tacs = simulate.add_noise(
        np.tile(clean, (50, 1)), frames, simulate.noise_scale(clean, frames, 0.01), 1
    )
    found = fit(tacs, frames, given, model="2tcm")
    assert np.median(found.params["VT"]) > 20
    assert all("k4_small" in row for row in found.flags)
    assert all("extrapolated" in row for row in found.flags)
    assert np.mean(["cv_high" in row for row in found.flags]) > 0.9
    usual = simulate.forward(*SETS["pbr28"], given, frames, vB=0.05)
    assert fit(usual, frames, given, model="2tcm").flags == ((),)


def test_a_fixed_parameter_is_not_counted():
    """T6."""
    model, params = SETS["pbr28"]
    frames, given = schedule("dpn90"), blood()
    clean = simulate.forward(model, params, given, frames, vB=0.05)[0]
    tac = simulate.add_noise(clean, frames, simulate.noise_scale(clean, frames, 0.03), 1)
    n = frames.n
    for vB, p in (("free", 6), (0.05, 5)):
        found = fit(tac, frames, given, model="2tcm", vB=vB)
        assert found.n_free == p - 1
        assert found.df == n - p + 1
        expected = n * np.log(found.rss[0] / n) + 2 * p + 2 * p * (p + 1) / (n - p - 1)
        assert found.aicc[0] == pytest.approx(expected)
    naive = found.rss[0]
    assert aicc(naive, n, 4) != aicc(naive, n, 5)
    assert aicc(1.0, 6, 5) == np.inf


@settings(max_examples=30, deadline=None)
@given(st.floats(-10, 10), st.floats(1e-3, 1e3))
def test_weights_do_not_know_the_decay_reference(reference, unit):
    """T7: neither when values were corrected to, nor their unit."""
    frames = schedule("dpn90")
    tac = simulate.forward(*SETS["pbr28"], blood(), frames)[0]
    moved = Frames(frames.start, frames.end, C11, decay_ref=reference)
    values = tac * unit * np.exp(-frames.decay_lambda * reference)
    np.testing.assert_allclose(
        weights("poisson", moved, values), weights("poisson", frames, tac), rtol=1e-9
    )
    raw = Frames(frames.start, frames.end, C11, decay_corrected=False)
    np.testing.assert_allclose(
        weights("poisson", raw, tac / frames.decay_factor),
        weights("poisson", frames, tac),
        rtol=1e-9,
    )


def test_another_decay_reference_gives_the_same_VT():
    """T7: a tracer injected 165 s after the time its image was corrected to."""
    model, params = SETS["pbr28"]
    frames, given = schedule("dpn90"), blood()
    clean = simulate.forward(model, params, given, frames, vB=0.05)[0]
    tac = simulate.add_noise(clean, frames, 0.05, 3)
    late = 165 / 60
    moved = Frames(frames.start, frames.end, C11, decay_ref=-late)
    values = tac * np.exp(frames.decay_lambda * late)
    raw = Frames(frames.start, frames.end, C11, decay_corrected=False)
    one = fit(tac, frames, given, model="2tcm").params["VT"][0]
    assert fit(values, moved, given, model="2tcm").params["VT"][0] == pytest.approx(one, rel=1e-8)
    uncorrected = fit(tac / frames.decay_factor, raw, given, model="2tcm")
    assert uncorrected.params["VT"][0] == pytest.approx(one, rel=1e-8)
    naive = fit(values, frames, given, model="2tcm").params["VT"][0]
    assert abs(naive / one - 1) > 0.05


def test_weights_are_the_inverse_variance_of_the_simulation():
    frames = schedule("dpn90")
    tac = simulate.forward(*SETS["pbr28"], blood(), frames)[0]
    draws = simulate.add_noise(np.tile(tac, (20000, 1)), frames, 0.3, 0)
    product = draws.var(axis=0) * weights("poisson", frames, tac)
    late = tac / frames.decay_factor > 0.02 * (tac / frames.decay_factor).max()
    assert np.abs(product[late] / product[late].mean() - 1).max() < 0.05
    assert weights("poisson", frames, tac).mean() == pytest.approx(1)
    # decay weights with no time in them would be equal in frames of one length
    assert not np.allclose(weights("poisson", frames, np.ones(frames.n))[-6:], 1, rtol=0.1)


def test_kinds_of_weights():
    frames = schedule("long")
    np.testing.assert_allclose(
        weights("duration", frames), frames.duration / frames.duration.mean()
    )
    assert (weights("uniform", frames) == 1).all()
    assert weights(np.arange(frames.n), frames).mean() == pytest.approx(1)
    for bad, word in (
        ("poisson", "need the curve"),
        ("counts", "not known"),
        (-np.ones(frames.n), "zero or more"),
        (np.zeros(frames.n), "zero or more"),
    ):
        with pytest.raises(Refused, match=word):
            weights(bad, frames)
    with pytest.raises(Refused, match="no activity"):
        weights("poisson", frames, np.zeros(frames.n))
    # a frame before the tracer arrives has a weight, not an infinite one
    early = np.ones(frames.n)
    early[0] = 0
    assert np.isfinite(weights("poisson", frames, early)).all()


def test_blood_volume_is_that_of_whole_blood():
    """T13: plasma in the blood term gives another blood volume."""
    model, params = SETS["pbr28"]
    frames, given = schedule("dpn90"), blood()
    tac = simulate.forward_ode(model, params, given, frames, vB=0.05)
    assert fit(tac, frames, given, model="2tcm").params["vB"][0] == pytest.approx(0.05, rel=0.01)
    plasma = InputFunction(given.t, given.plasma_parent, given.plasma_parent)
    naive = fit(tac, frames, plasma, model="2tcm").params["vB"][0]
    assert abs(naive / 0.05 - 1) > 0.1


def test_short_blood_is_said():
    model, params = SETS["pbr28"]
    frames, given = schedule("dpn90"), blood()
    tac = simulate.forward(model, params, given, frames)
    short = InputFunction(given.t, given.plasma_parent, given.whole_blood, covers=(0, 45.5))
    found = fit(tac, frames, short, model="2tcm")
    assert found.flags == (("blood_extrapolated",),)
    assert found.meta["input_extrapolated_share"] == pytest.approx(
        given.auc(45.5, 90) / given.auc(0, 90)
    )


def test_flags_as_bits():
    assert len({bits([name]) for name in MEANINGS}) == len(MEANINGS)
    assert bits(["at_lower_vB", "at_lower_theta2"]) == bits(["at_lower"])
    assert words(bits(["cv_high", "at_upper_vB"])) == ("at_upper", "cv_high")
    with pytest.raises(KeyError):
        bits(["unheard_of"])


def test_choice_between_models():
    frames, given = schedule("dpn90"), blood()
    clean = [simulate.forward(*SETS[k], given, frames, vB=0.05)[0] for k in ("pbr28", "one")]
    tacs = np.concatenate(
        [
            simulate.add_noise(
                np.tile(tac, (8, 1)), frames, simulate.noise_scale(tac, frames, 0.005), 1
            )
            for tac in clean
        ]
    )
    fits = {m: fit(tacs, frames, given, model=m) for m in ("1tcm", "2tcm")}
    two = choose({m: f.aicc[:8] for m, f in fits.items()})
    one = choose({m: f.aicc[8:] for m, f in fits.items()})
    assert two.model == "2tcm"
    assert two.best == ("2tcm",) * 8
    assert one.model == "1tcm"
    np.testing.assert_allclose(sum(one.weights.values()), 1)
    np.testing.assert_allclose(
        akaike_weights([[0.0, np.nan], [2.0, 5.0]]),
        [[1 / (1 + np.exp(-1)), 0], [np.exp(-1) / (1 + np.exp(-1)), 1]],
    )
    with pytest.raises(Refused, match="none has a criterion"):
        choose({"1tcm": [np.nan]})
