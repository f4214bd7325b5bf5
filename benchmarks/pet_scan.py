"""A full-size simulated scan through `ekbom run`: seconds and memory by step.

    python benchmarks/pet_scan.py [--maps ma1,2tcm] [--runs 6x10,6x20,6x60,6x180,9x420]
        [--keep FOLDER] [--raw FOLDER/raw]

One person of the demo at 2 mm is simulated as raw BIDS and goes through the demo's plan, with maps
of the models given, in this process. The frames are 33 in 90 minutes or those given as
number x seconds; `--runs tracer` takes those of the tracer's file. Twenty times a second the
innermost step at work and the memory held are written down: a step's seconds are its share of
these looks, its memory the most that was seen.
Kernels are compiled before. Nothing is gated.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path

import numba

from ekbom import virtual
from ekbom.measures.pet import tracers
from ekbom.measures.pet.warm import warm
from ekbom.study.executors import executor
from ekbom.study.run import run_study

EVERY = 0.05
"""Seconds between looks."""


def resident() -> float:
    """Return the memory held now, MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _is_step(module: str) -> bool:
    """Whether a module is one of ours, and not the waiting for threads."""
    return module.startswith("ekbom.") and not module.endswith("._threads")


def with_frames(runs: str) -> None:
    """Give every tracer these frames, in this process."""
    made = tuple((int(n), float(s)) for n, s in (one.split("x") for one in runs.split(",")))
    schedule = tracers.Schedule(runs=made, status="assumed", source="asked of the benchmark")
    read = tracers.parse_tracer

    def parse(text: str, source: str = "tracer") -> tracers.Tracer:
        return read(text, source).model_copy(update={"frames": schedule})

    tracers.parse_tracer = parse
    tracers.tracer.cache_clear()


class Looks(threading.Thread):
    """Write down which module of ekbom is at work, and the memory."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.main = threading.main_thread().ident
        self.seconds: dict[str, float] = defaultdict(float)
        self.memory: dict[str, float] = defaultdict(float)
        self.done = threading.Event()

    def run(self) -> None:
        last = time.perf_counter()
        while not self.done.wait(EVERY):
            frame = sys._current_frames().get(self.main)
            while frame is not None and not _is_step(frame.f_globals.get("__name__", "")):
                frame = frame.f_back
            now = time.perf_counter()
            if frame is not None:
                name = f"{frame.f_globals['__name__'][6:]}.{frame.f_code.co_name}"
                self.seconds[name] += now - last
                self.memory[name] = max(self.memory[name], resident())
            last = now


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--maps", default="ma1,2tcm")
    parser.add_argument("--runs", default="6x10,6x20,6x60,6x180,9x420")
    parser.add_argument("--raw", type=Path, help="a study simulated before")
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    if given.runs != "tracer":
        with_frames(given.runs)
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        raw = given.raw or folder / "raw"
        if given.raw is None:
            start = time.perf_counter()
            virtual.make(virtual.load("demo"), raw, size="full", seed=1, subjects=2)
            print(f"simulated in {time.perf_counter() - start:.0f} s", flush=True)
        models = ", ".join(f'"{name}"' for name in given.maps.split(","))
        # one person answers no question
        text = re.sub(
            r"(?ms)^\[questions\..*?(?=^\[(?!questions)|\Z)", "", virtual.plan_text("full")
        )
        section, rest = text.split("[measures.pet.maps]", 1)
        rest = re.sub(r"model = \[[^\]]*\]", f"model = [{models}]", rest, count=1)
        plan = folder / "plan.toml"
        plan.write_text(section + "[measures.pet.maps]" + rest)
        warm()
        one = sorted(p.name for p in raw.glob("sub-*"))[0]
        before = resident()
        looks = Looks()
        looks.start()
        start = time.perf_counter()
        summary = run_study(
            raw, folder / "results", "participant", plan, executor=executor(1), participants=[one]
        )
        spent = time.perf_counter() - start
        looks.done.set()
        looks.join()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, {numba.get_num_threads()} threads; "
        f"exit {summary.exit_code}; {spent:.1f} s in all, "
        f"most memory {max(looks.memory.values()):.0f} MB, {before:.0f} MB of it before the run"
    )
    print(f"{'step':60s} {'s':>7s} {'MB':>7s}")
    for name, seconds in sorted(looks.seconds.items(), key=lambda item: -item[1])[:20]:
        print(f"{name:60s} {seconds:7.2f} {looks.memory[name]:7.0f}")


if __name__ == "__main__":
    main()
