"""Regional PET fits: seconds, against a floor and a plain least-squares program.

Run by hand: ``python benchmarks/pet.py [regions]``. The floor is one sum over the
curves; the plain program is :func:`scipy.optimize.least_squares` on all five
parameters from one start, with the same exact frame integrals. Compile time is
given apart. Numbers depend on the machine; nothing is gated here.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import scipy
from scipy.optimize import least_squares

from ekbom.measures.pet import simulate
from ekbom.measures.pet.convolve import basis, make_grid
from ekbom.measures.pet.delay import fit_delay
from ekbom.measures.pet.fit import fit
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction
from ekbom.measures.pet.uncertainty import profile_interval

FRAMES = Frames.of_runs([(6, 10), (3, 20), (3, 60), (5, 120), (5, 300), (5, 600)], 20.364)
TRUTHS = {
    "PBR28-like": {"K1": 0.12, "k2": 0.12, "k3": 0.08, "k4": 0.05},
    "diprenorphine": {"K1": 0.40, "k2": 0.15, "k3": 0.40, "k4": 0.07},
    "carfentanil": {"K1": 0.107, "k2": 0.201, "k3": 0.201, "k4": 0.06},
}
NAIVE_REGIONS = 40


def bolus() -> InputFunction:
    t = np.concatenate((np.arange(0, 5, 0.05), 5 + np.geomspace(0.3, 90, 40)))
    c = (120 * t - 22.5) * np.exp(-4 * t) + 18 * np.exp(-0.5 * t) + 4.5 * np.exp(-0.008 * t)
    c = np.maximum(c, 0)
    c[0] = 0
    return InputFunction(t, c, c * (0.75 + 0.9 * (1 - np.exp(-t / 25))))


def VT(p: dict[str, float]) -> float:
    return p["K1"] / p["k2"] * (1 + p["k3"] / p["k4"])


def timed(work: Callable[[], Any], times: int = 3) -> tuple[float, float, Any]:
    """Return seconds of the first call, the best of some more, and what came of it."""
    start = time.perf_counter()
    work()
    first = time.perf_counter() - start
    best, out = np.inf, None
    for _ in range(times):
        start = time.perf_counter()
        out = work()
        best = min(best, time.perf_counter() - start)
    return first, best, out


def naive(tacs: np.ndarray, given: InputFunction, w: np.ndarray) -> np.ndarray:
    grid, root = make_grid(FRAMES, given), np.sqrt(w)
    out = np.empty(len(tacs))

    def residual(x: np.ndarray, tac: np.ndarray) -> np.ndarray:
        rates = dict(zip(("K1", "k2", "k3", "k4"), np.abs(x[:4]), strict=True))
        theta, phi = simulate.exponentials("2tcm", rates)
        tissue = phi[0] @ basis(theta[0], grid)[0]
        return root * ((1 - x[4]) * tissue + x[4] * grid.whole_blood_mean - tac)

    for n, tac in enumerate(tacs):
        got = least_squares(
            residual, [0.1, 0.1, 0.1, 0.05, 0.05], args=(tac,),
            bounds=([1e-6] * 4 + [0], [5, 8, 8, 8, 0.2]), x_scale="jac",
        )  # fmt: skip
        out[n] = 2 * got.cost
    return out


def main(regions: int) -> None:
    given = bolus()
    name = "diprenorphine"
    clean = simulate.forward("2tcm", TRUTHS[name], given, FRAMES, vB=0.05)[0]
    scale = simulate.noise_scale(clean, FRAMES, 0.01)
    tacs = simulate.add_noise(np.tile(clean, (regions, 1)), FRAMES, scale, 0)
    print(f"{platform.machine()}, {os.cpu_count()} cores, numba threads {numba.get_num_threads()}")
    print(f"Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__},")
    print(f"numba {numba.__version__}; {regions} regions x {FRAMES.n} frames, 1 % noise, {name}\n")

    floor = timed(lambda: tacs.sum(), 20)[1]
    print(f"{'job':<24}{'s':>10}{'ms/region':>12}{'x floor':>10}{'first call':>12}")
    print(f"{'floor: one sum':<24}{floor:>10.2e}{1e3 * floor / regions:>12.2e}{1:>10}")
    for model, how in (
        ("2tcm", {}),
        ("1tcm", {}),
        ("logan", {"vB": 0.05, "tstar": 30}),
        ("ma1", {"vB": 0.05, "tstar": 30}),
    ):
        first, best, found = timed(
            lambda model=model, how=how: fit(
                tacs, FRAMES, given, model=model, weight_reference=clean, **how
            )
        )
        label = f"{model} + vB" if model.endswith("tcm") else model
        print(
            f"{label:<24}{best:>10.4f}{1e3 * best / regions:>12.4f}"
            f"{best / floor:>10.0f}{first:>12.2f}"
        )
    few = tacs[:NAIVE_REGIONS]
    w = fit(few, FRAMES, given, model="2tcm", weight_reference=clean).weights
    start = time.perf_counter()
    rss = naive(few, given, w)
    spent = (time.perf_counter() - start) / NAIVE_REGIONS
    own = timed(lambda: fit(few, FRAMES, given, model="2tcm", weights=w))
    per = own[1] / NAIVE_REGIONS
    worse = float((rss > own[2].rss * (1 + 1e-6)).mean())
    better = float((own[2].rss > rss * (1 + 1e-6)).mean())
    print(
        f"\nplain least_squares, 2tcm + vB: {1e3 * spent:.2f} ms/region, {spent / per:.0f} x ours;"
    )
    print(f"  ends above our RSS in {100 * worse:.0f} % of regions, below in {100 * better:.0f} %")
    for label, work in (
        ("one region, 2tcm + vB", lambda: fit(tacs[:1], FRAMES, given, model="2tcm")),
        ("delay, once a scan", lambda: fit_delay(clean, FRAMES, given)),
        ("profile interval", lambda: profile_interval(tacs[0], FRAMES, given)),
    ):
        print(f"{label:<24}{timed(work)[1]:>10.4f} s")

    print(f"\nV_T, all {regions} fits, flagged ones too (graphical with vB known, t* = 30 min)")
    print(f"{'truth':<15}{'noise':>6}{'model':>7}{'median bias %':>15}{'SD %':>8}{'covered':>9}"
          f"{'flagged %':>11}")  # fmt: skip
    for name, params in TRUTHS.items():
        clean = simulate.forward("2tcm", params, given, FRAMES, vB=0.05)[0]
        for cv in (0.01, 0.03, 0.06):
            scale = simulate.noise_scale(clean, FRAMES, cv)
            tacs = simulate.add_noise(np.tile(clean, (regions, 1)), FRAMES, scale, 1)
            for model in ("2tcm", "logan", "ma1"):
                how = {} if model == "2tcm" else {"vB": 0.05, "tstar": 30}
                found = fit(tacs, FRAMES, given, model=model, weight_reference=clean, **how)
                low, high = found.interval("VT")
                values, truth = found.params["VT"], VT(params)
                # a robust spread: the mean of squares has an infinite tail where k4 is small
                spread = 1.4826 * np.median(np.abs(values - np.median(values)))
                covered = np.mean((low <= truth) & (truth <= high))
                flagged = np.mean([bool(row) for row in found.flags])
                print(
                    f"{name:<15}{100 * cv:>5.0f}%{model:>7}"
                    f"{100 * (np.median(values) / truth - 1):>15.2f}{100 * spread / truth:>8.2f}"
                    f"{covered:>9.3f}{100 * flagged:>11.1f}"
                )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
