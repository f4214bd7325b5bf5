"""Time and memory of one night of leg EMG, from file to scores and figure.

    python benchmarks/legs.py [--hours 8] [--fs 512] [--repeat 3]

The floor is reading the two channels of the file once. The first round compiles.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from ekbom.measures.legs.analyse import analyse
from ekbom.measures.legs.detect import detect, rethreshold
from ekbom.measures.legs.events import Marks
from ekbom.measures.legs.figures import night_figure
from ekbom.measures.legs.hypnogram import Hypnogram
from ekbom.measures.legs.indices import find, indices
from ekbom.measures.legs.io.annotations import sort_out
from ekbom.measures.legs.io.edf import leg_channels, open_edf
from ekbom.measures.legs.rules import rule_set
from ekbom.measures.legs.score import score
from ekbom.measures.legs.settings import LegsSettings
from ekbom.measures.legs.simulate import Scene, simulate_night
from ekbom.measures.legs.tables import events_table, scores_table
from ekbom.validate.legs import night_file


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--hours", type=float, default=8.0)
    asked.add_argument("--fs", type=float, default=512.0)
    asked.add_argument("--repeat", type=int, default=3)
    args = asked.parse_args()
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "night.edf"
        scene = Scene(ecg_channel=False)
        night_file(simulate_night(seconds=3600 * args.hours, fs=args.fs, scene=scene, seed=1), path)
        print(f"{args.hours:g} h x 2 legs x {args.fs:g} Hz, {path.stat().st_size / 1e6:.0f} MB")
        warm = Path(place) / "warm.edf"
        night_file(simulate_night(seconds=900, fs=args.fs, scene=scene, seed=1), warm)
        t = time.perf_counter()
        one_round(warm)
        print(f"first round, 15 min, with compiling or its cache: {time.perf_counter() - t:.2f} s")
        floors, wholes = [], []
        for _ in range(args.repeat):
            t = time.perf_counter()
            opened = open_edf(path)
            for channel in leg_channels(opened):
                np.asarray(channel.raw).sum()
            floors.append(time.perf_counter() - t)
            cpu = time.process_time()
            parts = one_round(path)
            wholes.append(sum(parts.values()))
            print(
                f"whole {wholes[-1]:.2f} s: "
                + ", ".join(f"{k} {v:.2f}" for k, v in parts.items())
                + f"; processor {time.process_time() - cpu:.2f} s over its cores"
            )
        signal = 8e-6 * args.hours * 3600 * args.fs
        print(f"floor (reading once) {min(floors):.2f} s; whole / floor"
              f" {min(wholes) / min(floors):.1f}; one channel in float64 {signal:.0f} MB;"
              f" peak of the process {peak():.0f} MB")  # fmt: skip
    rng = np.random.default_rng(0)
    onset = np.cumsum(rng.uniform(8, 50, 1000))
    marks = Marks(onset, rng.uniform(0.5, 5, 1000), rng.integers(0, 2, 1000))
    night = Hypnogram.constant(2, 0, float(onset[-1]) + 10)
    for name in ("wasm2016", "wasm2006", "aasm"):
        times = []
        for _ in range(5):
            t = time.perf_counter()
            rows = indices(score(marks, night, rules=rule_set(name)))
            times.append(time.perf_counter() - t)
        print(f"1000 events by {name}: {1e3 * min(times):.1f} ms"
              f" (PLMS {find(rows, 'PLM_index').value:.1f}/h)")  # fmt: skip


def one_round(path: Path) -> dict[str, float]:
    """Read, find, score, draw; seconds of each."""
    stamps = [time.perf_counter()]
    opened = open_edf(path)
    channels, said = leg_channels(opened), sort_out(opened.rows(), path)
    stamps.append(time.perf_counter())
    found = detect(channels)
    stamps.append(time.perf_counter())
    night = said.hypnogram(found.lost)
    settings = LegsSettings(ecg="none")
    result = analyse(found.marks, night, settings=settings, again=partial(rethreshold, found))
    events_table(result, {})
    scores_table(result, {})
    stamps.append(time.perf_counter())
    night_figure(next(iter(result.values())))
    stamps.append(time.perf_counter())
    names = ("read", "detect", "score", "figure")
    return dict(zip(names, np.diff(stamps).tolist(), strict=True))


def peak() -> float:
    """Largest memory of the process so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
