"""Spectral analysis of voxels: known kinetics, optimality, bytes."""

from __future__ import annotations

import numpy as np
import pytest
import voxel_truth as truth
from scipy.optimize import nnls as scipy_nnls

from ekbom.errors import Refused
from ekbom.measures.pet.flags import bits
from ekbom.measures.pet.spectral import spectral, spectral_basis, spectrum
from ekbom.measures.pet.weights import weights

KINETICS = {
    "one tissue": ([(0.4, 0.15)], 0.4 / 0.15),
    "one tissue, fast": ([(0.1, 0.5)], 0.2),
    "diprenorphine-like": (truth.two_tissue(0.4, 0.15, 0.4, 0.07), 0.4 / 0.15 * (1 + 0.4 / 0.07)),
    "moderate": (truth.two_tissue(0.3, 0.3, 0.1, 0.1), 2.0),
    "fast exchange": (truth.two_tissue(0.5, 0.4, 0.2, 0.3), 0.5 / 0.4 * (1 + 0.2 / 0.3)),
}


@pytest.fixture(scope="module")
def scan():
    input = truth.input_function()
    return input, spectral_basis(truth.FRAMES, input)


@pytest.fixture(scope="module")
def curves(scan):
    return {name: truth.tissue(terms, 0.05, scan[0]) for name, (terms, _) in KINETICS.items()}


@pytest.fixture(scope="module")
def w(curves):
    return weights("poisson", truth.FRAMES, np.mean(list(curves.values()), axis=0))


@pytest.mark.parametrize("name", KINETICS)
def test_no_noise_no_bias(name, scan, curves, w):
    terms, VT = KINETICS[name]
    fit = spectral(curves[name][None], scan[1], w)
    assert fit.params["VT"][0] == pytest.approx(VT, rel=0.005)
    assert fit.params["K1"][0] == pytest.approx(sum(a for a, _ in terms), rel=0.01)
    assert fit.params["vB"][0] == pytest.approx(0.05, abs=0.001)
    irf = sum(a * np.exp(-60 * rate) for a, rate in terms)
    assert fit.params["IRF60"][0] == pytest.approx(irf, rel=0.01, abs=1e-4)
    assert fit.params["components"][0] == len(terms)
    assert not fit.flags[0] & ~(bits(["extrapolated"]))


def test_known_blood_volume_can_be_given(scan, curves, w):
    name = "moderate"
    fit = spectral(curves[name][None], scan[1], w, vB=0.05)
    assert fit.params["VT"][0] == pytest.approx(KINETICS[name][1], rel=0.005)
    assert fit.params["vB"][0] == 0.05
    wrong = spectral(curves[name][None], scan[1], w, vB=0.0)
    assert abs(wrong.params["K1"][0] / 0.3 - 1) > 0.02
    for value in (-0.1, 1.0, float("nan")):
        with pytest.raises(Refused):
            spectral(curves[name][None], scan[1], w, vB=value)


def test_same_as_scipy_voxel_by_voxel(scan, curves, w):
    base = scan[1]
    y = truth.noisy(curves["moderate"], 0.1, np.random.default_rng(1), 60)
    fit = spectral(y, base, w)
    root = np.sqrt(w)
    design = np.column_stack([base.columns, base.blood]) * root[:, None]
    for v in range(60):
        x, length = scipy_nnls(design, y[v] * root)
        tissue = 1 - x[-1]
        assert fit.rss[v] == pytest.approx(length**2, rel=1e-9)
        assert fit.params["VT"][v] == pytest.approx((x[:-1] / base.beta).sum() / tissue, rel=1e-6)
        assert fit.params["K1"][v] == pytest.approx(x[:-2].sum() / tissue, rel=1e-6)
        slow = base.beta < 1 / 90
        share = (x[:-1] / base.beta)[slow].sum() / (x[:-1] / base.beta).sum()
        assert fit.params["extrapolated"][v] == pytest.approx(share, rel=1e-6, abs=1e-9)
        assert bool(fit.flags[v] & bits(["slow_at_edge"])) == (x[0] > 0)
        assert bool(fit.flags[v] & bits(["fast_at_edge"])) == (x[-2] > 0)
    assert fit.meta["LargestOptimalityViolation"] < 1e-11


def test_spectrum_of_one_curve_has_the_outcomes_of_the_map(scan, curves, w):
    base = scan[1]
    y = truth.noisy(curves["moderate"], 0.05, np.random.default_rng(2), 1)
    alpha, vB = spectrum(y[0], base, w)
    fit = spectral(y, base, w)
    assert (alpha / base.beta).sum() == pytest.approx(fit.params["VT"][0], rel=1e-12)
    assert vB == pytest.approx(fit.params["vB"][0], rel=1e-12)
    assert (alpha >= 0).all()


def test_components_at_the_edges_are_said(scan, w):
    base = scan[1]
    slow = spectral(base.columns[:, 0][None] * 0.01, base, w)
    assert slow.flags[0] & bits(["slow_at_edge"])
    assert slow.flags[0] & bits(["extrapolated"])
    assert slow.params["extrapolated"][0] == pytest.approx(1)
    fast = spectral(base.columns[:, -1][None] * 0.5 + base.columns[:, 50][None] * 0.1, base, w)
    assert fast.flags[0] & bits(["fast_at_edge"])
    assert fast.params["K1"][0] == pytest.approx(0.1, rel=1e-6)
    assert fast.params["VT"][0] == pytest.approx(0.5 / 6 + 0.1 / base.beta[50], rel=1e-6)


def test_voxels_without_signal_are_missing_and_counted(scan, curves, w):
    y = np.stack([curves["moderate"], np.zeros(27), curves["moderate"], -curves["moderate"]])
    y[2, 5] = np.nan
    fit = spectral(y, scan[1], w)
    assert np.isfinite(fit.params["VT"]).tolist() == [True, False, False, True]
    assert fit.flags[1] == fit.flags[2] == bits(["no_data"])
    assert fit.meta["NoSignalVoxels"] == 2
    assert fit.count()["no_data"] == 2
    assert fit.params["VT"][3] == 0  # nothing positive to find
    assert fit.params["components"][3] == 0


def test_order_of_voxels_changes_no_bit(scan, curves, w):
    rng = np.random.default_rng(3)
    y = np.vstack([truth.noisy(c, 0.1, rng, 150) for c in curves.values()])
    order = rng.permutation(len(y))
    one, two = spectral(y, scan[1], w), spectral(y[order], scan[1], w)
    for name, values in one.params.items():
        assert values[order].tobytes() == two.params[name].tobytes()
    assert one.flags[order].tobytes() == two.flags.tobytes()
    part = spectral(y[:37], scan[1], w)
    assert part.params["VT"].tobytes() == one.params["VT"][:37].tobytes()


def test_bootstrap_error_is_of_the_size_of_the_spread(scan, curves, w):
    rng = np.random.default_rng(4)
    y = truth.noisy(curves["moderate"], 0.03, rng, 200)
    fit = spectral(y, scan[1], w, draws=40, seed=1)
    spread = np.std(fit.params["K1"])
    assert np.median(fit.se["K1"]) == pytest.approx(spread, rel=0.35)
    again = spectral(y, scan[1], w, draws=40, seed=1)
    assert again.se["VT"].tobytes() == fit.se["VT"].tobytes()
    assert spectral(y, scan[1], w, draws=40, seed=2).se["VT"].tobytes() != fit.se["VT"].tobytes()


def test_ranges_that_are_none_are_refused():
    for low, high, nodes in ((1.0, 0.5, 10), (0.0, 1.0, 10), (0.1, 1.0, 1)):
        with pytest.raises(Refused):
            spectral_basis(
                truth.FRAMES, truth.input_function(), beta_min=low, beta_max=high, nodes=nodes
            )
    base = spectral_basis(truth.FRAMES, truth.input_function(), nodes=20)
    with pytest.raises(Refused):
        spectral(np.ones((3, 5)), base, np.ones(27))
    with pytest.raises(Refused):
        spectral(np.ones((3, 27)), base, -np.ones(27))
