"""Runs a small study again and again, each time killed at a random moment.

A child is forked for each run, from a parent that has imported everything and
run nothing, so that a start costs milliseconds. Prints one line a trial.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

from ekbom.study import registry, store
from ekbom.study.run import run_study

registry.BUILT_IN["fake"] = "fake_measure:FakeMeasure"
# Somebody may edit the sources while the test runs; that is another matter.
store.sources = lambda *modules: "fixed"  # type: ignore[assignment]


def start(study: Path, out: Path) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            plan = study / "code" / "plan.toml"
            code = run_study(study, out, "all", plan, render=lambda f: b"<html>").exit_code
        finally:
            os._exit(code)
    return child


def finish(study: Path, out: Path) -> float:
    begin = time.perf_counter()
    _, status = os.waitpid(start(study, out), 0)
    if status != 0:
        raise SystemExit(f"the run ended with status {status}")
    return time.perf_counter() - begin


def main() -> None:
    study, place, kills = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    random.seed(20)
    finish(study, place / "warm")
    whole = finish(study, place / "reference")
    truth = (place / "reference" / "manifest.tsv").read_bytes()
    hits = trial = 0
    while hits < kills:
        out = place / f"trial-{trial}"
        for _ in range(4):  # kill, start again, kill again ...
            child = start(study, out)
            time.sleep(random.uniform(0.0, 0.8 * whole))
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            steps = len(list((out / ".ekbom" / "steps").glob("*")))
            hits += os.WIFSIGNALED(status)
            print("kill", os.WIFSIGNALED(status), steps, flush=True)
        finish(study, out)
        same = (out / "manifest.tsv").read_bytes() == truth
        left = list((out / ".ekbom" / "tmp").iterdir())
        print("end", same, len(left), flush=True)
        trial += 1


if __name__ == "__main__":
    main()
