"""Logan and MA1 of voxels are the regional fits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import voxel_truth as truth

from ekbom.errors import Refused
from ekbom.measures.pet.convolve import make_grid
from ekbom.measures.pet.flags import bits
from ekbom.measures.pet.graphical import fit_line
from ekbom.measures.pet.parametric import map_voxels
from ekbom.measures.pet.weights import weights

MODELS = ("logan", "ma1")


@pytest.fixture(scope="module")
def input():
    return truth.input_function()


@pytest.fixture(scope="module")
def curve(input):
    return truth.tissue(truth.two_tissue(0.3, 0.3, 0.1, 0.1), 0.05, input)


@pytest.fixture(scope="module")
def w(curve):
    return weights("poisson", truth.FRAMES, curve)


@pytest.mark.parametrize("model", MODELS)
def test_a_voxel_is_a_region(model, input, curve, w):
    y = truth.noisy(curve, 0.1, np.random.default_rng(1), 700)
    fit = map_voxels(y, truth.FRAMES, input, model=model, weights=w, vB=0.05, tstar=30)
    grid = make_grid(truth.FRAMES, input)
    first = int(np.searchsorted(truth.FRAMES.start, 30 - 1e-9))
    line = fit_line(model, y, truth.FRAMES, grid, w, first=first, vB=0.05)
    assert np.allclose(fit.params["VT"], line.value, rtol=1e-10, atol=0)
    assert np.allclose(fit.se["VT"], line.se, rtol=1e-10, atol=0)
    assert np.allclose(fit.rss, line.rss, rtol=1e-10, atol=0)
    assert fit.meta["tstar_min"] == 30
    assert fit.meta["Frames"] == truth.FRAMES.n - first


@pytest.mark.parametrize("model", MODELS)
def test_no_noise_no_bias(model, input, w):
    # One tissue compartment: both equations hold from the first frame on.
    one = truth.tissue([(0.3, 0.1)], 0.05, input)
    fit = map_voxels(one[None], truth.FRAMES, input, model=model, weights=w, vB=0.05, tstar=20)
    assert fit.params["VT"][0] == pytest.approx(3.0, rel=0.005)
    two = truth.tissue(truth.two_tissue(0.3, 0.3, 0.1, 0.1), 0.05, input)
    late = map_voxels(two[None], truth.FRAMES, input, model=model, weights=w, vB=0.05, tstar=40)
    assert late.params["VT"][0] == pytest.approx(2.0, rel=0.01)


def test_brute_force_logan(input, curve, w):
    """Against numpy's own least squares on axes made with a fine grid."""
    t = truth.fine_times()
    running = np.concatenate(
        [[0], np.cumsum((input.at(t)[1:] + input.at(t)[:-1]) * truth.STEP / 2)]
    )
    plasma = truth.frame_mean(running)
    y = truth.noisy(curve, 0.03, np.random.default_rng(5), 20)
    fit = map_voxels(y, truth.FRAMES, input, model="logan", weights=w, vB=0, tstar=30)
    middle = (truth.FRAMES.start + truth.FRAMES.end) / 2
    used = truth.FRAMES.start >= 30 - 1e-9
    for v in range(20):
        before = np.cumsum(y[v] * truth.FRAMES.duration) - y[v] * truth.FRAMES.duration
        integral = before + y[v] * truth.FRAMES.duration / 2
        axes = np.column_stack([plasma / y[v], np.ones(27)])[used] * np.sqrt(w[used])[:, None]
        slope = np.linalg.lstsq(axes, (integral / y[v])[used] * np.sqrt(w[used]), rcond=None)[0][0]
        # The mid-frame rule is coarser than the package's; both must tell one story.
        assert fit.params["VT"][v] == pytest.approx(slope, rel=0.02)
    assert middle.size == 27


def test_noise_lowers_logan_and_not_ma1(input):
    slow = truth.tissue(truth.two_tissue(0.4, 0.15, 0.4, 0.07), 0.05, input)
    w = weights("poisson", truth.FRAMES, slow)
    shift = {}
    for model in MODELS:
        fits = [
            map_voxels(y, truth.FRAMES, input, model=model, weights=w, vB=0.05, tstar=30)
            for y in (
                slow[None],
                truth.noisy(slow, 0.05, np.random.default_rng(3), 4000),
                truth.noisy(slow, 0.1, np.random.default_rng(3), 4000),
            )
        ]
        VT = [float(np.nanmedian(fit.params["VT"])) for fit in fits]
        shift[model] = [100 * (VT[k] / VT[0] - 1) for k in (1, 2)]
    # The error in the denominator grows as the square of the noise.
    assert -1.6 < shift["logan"][0] < -0.4
    assert -6 < shift["logan"][1] < -2.5
    assert max(abs(x) for x in shift["ma1"]) < 0.8


@pytest.mark.parametrize("model", MODELS)
def test_voxels_without_signal_and_flags(model, input, curve, w):
    y = np.stack([curve, np.zeros(27), np.full(27, np.nan), curve])
    y[3, 3] = np.inf
    fit = map_voxels(y, truth.FRAMES, input, model=model, weights=w, tstar=30)
    assert np.isfinite(fit.params["VT"]).tolist() == [True, False, False, False]
    assert fit.flags.tolist() == [0] + [bits(["no_data"])] * 3
    assert fit.meta["NoSignalVoxels"] == 3
    wild = truth.noisy(curve, 3.0, np.random.default_rng(4), 3000)
    wild[0, -1] = 0.0
    fit = map_voxels(wild, truth.FRAMES, input, model=model, weights=w, tstar=30)
    VT = fit.params["VT"]
    with np.errstate(invalid="ignore"):
        assert np.array_equal((fit.flags & bits(["negative_value"])) > 0, VT < 0)
        high = 100 * fit.se["VT"] > 50 * np.abs(VT)
    assert np.array_equal((fit.flags & bits(["cv_high"])) > 0, high)
    assert (fit.flags & bits(["negative_value"])).any()
    if model == "logan":
        assert fit.flags[0] == bits(["singular"])
        assert np.isnan(VT[0])
    assert set(fit.count()) <= {"negative_value", "cv_high", "singular"}


def test_order_of_voxels_changes_no_bit(input, curve, w):
    y = truth.noisy(curve, 0.2, np.random.default_rng(6), 1111)
    order = np.random.default_rng(7).permutation(1111)
    for model in MODELS:
        one = map_voxels(y, truth.FRAMES, input, model=model, weights=w, tstar=30)
        two = map_voxels(y[order], truth.FRAMES, input, model=model, weights=w, tstar=30)
        assert one.params["VT"][order].tobytes() == two.params["VT"].tobytes()
        assert one.se["VT"][order].tobytes() == two.se["VT"].tobytes()
        part = map_voxels(y[:300], truth.FRAMES, input, model=model, weights=w, tstar=30)
        assert part.params["VT"].tobytes() == one.params["VT"][:300].tobytes()


_BYTES = """
import hashlib, sys
sys.path.insert(0, {here!r})
import numpy as np, voxel_truth as truth
from ekbom.measures.pet.parametric import map_voxels
input = truth.input_function()
base = np.interp(truth.FRAMES.mid, [0, 5, 90], [0, 30, 10])
y = truth.noisy(base, 0.1, np.random.default_rng(1), 3000)
digest = hashlib.sha256()
for model in ("logan", "ma1", "spectral"):
    fit = map_voxels(y, truth.FRAMES, input, model=model, weights=np.ones(27), vB=0.05, tstar=20)
    for values in (*fit.params.values(), *fit.se.values(), fit.rss, fit.flags):
        digest.update(values.tobytes())
print(digest.hexdigest())
"""


def test_same_bytes_with_one_and_two_threads():
    code = _BYTES.format(here=str(Path(truth.__file__).parent))
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "NUMBA_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    }
    assert len(digests) == 1


def test_single_precision_images_are_computed_in_double(input, curve, w):
    y = truth.noisy(curve, 0.1, np.random.default_rng(8), 50)
    single = y.astype(np.float32)
    for model in ("logan", "ma1", "spectral"):
        one = map_voxels(single, truth.FRAMES, input, model=model, weights=w, tstar=30)
        two = map_voxels(
            single.astype(np.float64), truth.FRAMES, input, model=model, weights=w, tstar=30
        )
        assert one.params["VT"].tobytes() == two.params["VT"].tobytes()
        assert one.params["VT"].dtype == np.float64


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": "2tcm"},
        {"tstar": None},
        {"tstar": 75.0},
        {"vB": "free"},
        {"vB": 1.0},
        {"weights": np.ones(5)},
    ],
)
def test_what_cannot_be_done_is_refused(wrong, input, curve, w):
    settings = {"model": "ma1", "tstar": 30.0, "vB": 0.05, "weights": w, **wrong}
    with pytest.raises(Refused):
        map_voxels(curve[None], truth.FRAMES, input, **settings)
