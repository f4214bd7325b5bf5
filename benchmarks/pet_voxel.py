"""Speed of voxel-wise models on a made-up image of known V_T.

    python benchmarks/pet_voxel.py [--voxels 100000] [--noise 0.1] [--repeats 3]

Printed: compile time, seconds, ratio to one pass over the image (its sum),
bias and median absolute deviation of V_T, weighted residual, peak memory above
the image. Nothing is gated.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import time
import tracemalloc

import numba
import numpy as np

from ekbom.measures.pet.compartment_maps import MODELS as COMPARTMENTS
from ekbom.measures.pet.compartment_maps import map_compartments
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction
from ekbom.measures.pet.parametric import map_voxels
from ekbom.measures.pet.reference_maps import MODELS as REFERENCE
from ekbom.measures.pet.reference_maps import map_reference
from ekbom.measures.pet.simulate import forward
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
    given = parser.parse_args()
    frames, input = scan()
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
        ("1tcm", {}),
        ("srtm", {}),
        ("srtm2", {}),
        ("mrtm2", {"k2prime": 0.15}),
        ("logan-ref", {"k2prime": 0.15, "tstar": 30.0}),
    ]
    # a reference of the tissues' mean non-displaceable rates, without binding or blood
    reference = forward("1tcm", {"K1": 0.4, "k2": 0.15}, input, frames)[0]
    for name, more in cases:
        model = name.split()[0]

        def run(model=model, more=more):
            if model in COMPARTMENTS:
                return map_compartments(curves, frames, input, model=model, weights=w, **more)
            if model in REFERENCE:
                return map_reference(curves, reference, frames, model=model, weights=w, **more)
            return map_voxels(curves, frames, input, model=model, weights=w, **more)

        first = _timed(lambda run=run: run())
        best = min(_timed(lambda run=run: run()) for _ in range(given.repeats))
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


def _timed(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
