"""Speed of voxel-wise models on a made-up image of known V_T.

    python benchmarks/pet_voxel.py [--voxels 100000] [--noise 0.1] [--repeats 3] [--peers 40]
        [--only 2tcm,srtm]

Printed: compile time, seconds, ratio to one pass over the image (its sum),
bias and median absolute deviation of V_T, weighted residual, peak memory above
the image; standard errors in multiples of the fit; a warm start, which is a second
process that imports, loads the image and fits 1,000 voxels from cached kernels; peers on a few
voxels in the same run. Nothing is gated.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import numba
import numpy as np

from ekbom.measures.pet.compartment_maps import MODELS as COMPARTMENTS
from ekbom.measures.pet.compartment_maps import map_compartments
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction
from ekbom.measures.pet.parametric import map_voxels
from ekbom.measures.pet.reference_maps import MODELS as REFERENCE
from ekbom.measures.pet.reference_maps import map_reference
from ekbom.measures.pet.weights import weights

TARGETS = {
    "logan": 0.1,
    "ma1": 0.1,
    "spectral": 3.0,
    "2tcm": 2.0,
    "1tcm": 2.0,
    "srtm": 0.7,
    "srtm2": 0.7,
    "mrtm2": 0.7,
    "logan-ref": 0.7,
}
"""Seconds for 100,000 voxels of 30 frames on two cores."""


def scan() -> tuple[Frames, InputFunction]:
    # 30 frames, 90 minutes.
    frames = Frames.of_runs(
        [(6, 10), (6, 20), (3, 60), (4, 120), (4, 240), (5, 600), (2, 510)], 20.364
    )
    t = np.unique(np.concatenate([np.linspace(0, 3, 60), np.linspace(3, frames.end[-1], 60)]))
    plasma = np.where(
        t < 0.5,
        170 * t,
        60 * np.exp(-4 * (t - 0.5)) + 20 * np.exp(-0.5 * (t - 0.5)) + 5 * np.exp(-0.02 * (t - 0.5)),
    )
    return frames, InputFunction(t, plasma, 1.2 * plasma)


def image(voxels: int, noise: float, frames: Frames, input: InputFunction, seed: int = 1):
    """Curves of 200 tissues with noise, and the V_T of each voxel."""
    from ekbom.measures.pet.simulate import forward

    rng = np.random.default_rng(seed)
    spread = np.exp(0.25 * rng.normal(size=(200, 4)))
    K1, k2, k3, k4 = (np.array([0.4, 0.15, 0.4, 0.07]) * spread).T
    clean = forward("2tcm", {"K1": K1, "k2": k2, "k3": k3, "k4": k4}, input, frames, vB=0.05)
    which = rng.integers(0, 200, voxels)
    sd = np.sqrt(frames.decay_factor * np.maximum(clean, 0) / frames.duration)
    sd *= noise * clean[:, -1:] / sd[:, -1:]
    return clean[which] + rng.normal(size=(voxels, frames.n)) * sd[which], (
        K1 / k2 * (1 + k3 / k4)
    )[which]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--voxels", type=int, default=100_000)
    parser.add_argument("--noise", type=float, default=0.1, help="of the last frame")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peers", type=int, default=40, help="voxels that peers fit; 0 for none")
    parser.add_argument("--only", default="", help="models, with commas")
    parser.add_argument("--warm", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    frames, input = scan()
    if given.warm is not None:
        _first_fit(given.warm, frames, input)
        return
    from ekbom.measures.pet.simulate import forward

    curves, truth = image(given.voxels, given.noise, frames, input)
    w = weights("poisson", frames, curves.mean(axis=0))
    floor = min(_timed(lambda: curves.sum()) for _ in range(10))
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"{numba.get_num_threads()} threads, python {platform.python_version()}, "
        f"numpy {np.__version__}, numba {numba.__version__}"
    )
    print(f"{given.voxels} voxels x {frames.n} frames, noise {given.noise:g} in the last frame")
    print(f"one pass over the image: {1000 * floor:.2f} ms ({curves.nbytes / 1e6:.0f} MB)\n")
    print("model            first s    s    target  x pass  bias %   MAD %   wRSS   memory x image")
    cases = [
        ("logan", {"vB": 0.05, "tstar": 30.0}),
        ("ma1", {"vB": 0.05, "tstar": 30.0}),
        ("spectral", {"beta_min": 1.0 / float(frames.end[-1])}),
        ("spectral wide", {}),
        ("2tcm without SE", {"se": False}),
        ("2tcm", {}),
        ("1tcm without SE", {"se": False}),
        ("1tcm", {}),
        ("srtm", {}),
        ("srtm2", {}),
        ("mrtm2", {"k2prime": 0.15}),
        ("logan-ref", {"k2prime": 0.15, "tstar": 30.0}),
    ]
    # a reference of the tissues' mean non-displaceable rates, without binding or blood
    reference = forward("1tcm", {"K1": 0.4, "k2": 0.15}, input, frames)[0]
    only = [word for word in given.only.split(",") if word]
    spent: dict[str, float] = {}
    for name, more in cases:
        model = name.split()[0]
        if only and model not in only:
            continue

        def run(model=model, more=more):
            if model in COMPARTMENTS:
                return map_compartments(curves, frames, input, model=model, weights=w, **more)
            if model in REFERENCE:
                return map_reference(curves, reference, frames, model=model, weights=w, **more)
            return map_voxels(curves, frames, input, model=model, weights=w, **more)

        first = _timed(lambda run=run: run())
        best = min(_timed(lambda run=run: run()) for _ in range(given.repeats))
        spent[name] = best
        tracemalloc.start()
        fit = run()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        # a ratio to the reference stands for V_T over that of the reference
        found = fit.params["VT"] if "VT" in fit.params else (1 + fit.params["BPND"]) * 0.4 / 0.15
        error = found / truth - 1
        bias = 100 * float(np.nanmedian(error))
        spread = 100 * float(np.nanmedian(np.abs(error - np.nanmedian(error))))
        print(
            f"{name:16s} {first:6.2f} {best:7.3f} {TARGETS[model]:6.1f} {best / floor:8.0f}"
            f" {bias:8.2f} {spread:7.2f} {float(np.nanmedian(fit.rss)):8.3g}"
            f" {peak / curves.nbytes:7.2f}"
        )
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\nlargest resident memory {resident:.0f} MB")
    for model in COMPARTMENTS:
        if f"{model} without SE" in spent:
            ratio = spent[model] / spent[f"{model} without SE"]
            print(f"{model} with standard errors: {ratio:.2f} x the fit")
    _warm_start(curves)
    if given.peers:
        _beside(curves, reference, w, frames, input, given.peers, spent)


def _warm_start(curves: np.ndarray) -> None:
    """A second process: import, load, first fit."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "image.npy"
        np.save(file, curves)
        command = [sys.executable, __file__, "--warm", str(file)]
        for _ in range(2):  # the first fills the cache
            before = os.times()
            seconds = _timed(lambda: subprocess.run(command, check=True))
            after = os.times()
    used = after.children_user + after.children_system
    used -= before.children_user + before.children_system
    print(
        f"warm start, import to first 1,000 voxels: {seconds:.2f} s ({used:.2f} s of CPU; target 3)"
    )


def _first_fit(file: Path, frames: Frames, input: InputFunction) -> None:
    curves = np.load(file)
    w = weights("poisson", frames, curves.mean(axis=0))
    fit = map_compartments(curves[:1000], frames, input, model="2tcm", weights=w)
    assert np.isfinite(fit.params["VT"]).all()


def _beside(curves, reference, w, frames, input, voxels, spent) -> None:
    """Peers on some of the voxels, as if they had done all."""
    import pet_peers

    some = curves[:voxels]
    times = len(curves) / voxels
    print(f"\nbeside, from {voxels} voxels (weighted by the same, one process):")
    if "2tcm without SE" in spent:
        seconds, rss = pet_peers.scipy_two_tissue(some, w, frames, input)
        own = map_compartments(some, frames, input, model="2tcm", weights=w, se=False).rss
        above = float(np.mean(rss > own * 1.001))
        print(
            f"2tcm, SciPy least_squares, one start: {seconds * times:.0f} s, "
            f"{seconds * times / spent['2tcm without SE']:.0f} x; "
            f"{100 * above:.0f} % of its residual sums over .1 % above ours"
        )
    if "srtm" in spent:
        found = pet_peers.niftypad_srtm(some, reference, w, frames)
        if found is None:
            print("srtm, NiftyPAD: not installed")
        else:
            seconds, bound = found
            own = map_reference(some, reference, frames, model="srtm", weights=w).params["BPND"]
            print(
                f"srtm, NiftyPAD basis functions: {seconds * times:.0f} s, "
                f"{seconds * times / spent['srtm']:.0f} x; median BP_ND {np.median(bound):.3f}, "
                f"ours {np.median(own):.3f}"
            )


def _timed(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
