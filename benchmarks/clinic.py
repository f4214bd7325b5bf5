"""Scoring a hundred thousand people, against reading their table.

    python benchmarks/clinic.py

Prints seconds and the ratio to the floor: reading the same answers from a TSV.
"""

from __future__ import annotations

import io
import platform
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from ekbom.measures.clinic.scales.definition import scale
from ekbom.measures.clinic.scales.score import score

PEOPLE = 100_000


def best(job: Callable[[], object], repeats: int = 3) -> float:
    """Return the shortest of a few runs, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        job()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Run and print."""
    irls = scale("irls")
    rng = np.random.default_rng(1)
    items = rng.integers(0, 5, (PEOPLE, 10)).astype(float)
    items[rng.random(items.shape) < 0.01] = np.nan
    text = pd.DataFrame(items, columns=[f"irls_{i:02d}" for i in range(1, 11)]).to_csv(
        sep="\t", index=False, na_rep="n/a"
    )
    floor = best(lambda: pd.read_csv(io.StringIO(text), sep="\t", na_values="n/a"))
    scored = best(lambda: score(irls, items))
    print(f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}")
    print(f"{PEOPLE} people, IRLS, 1 % of the answers missing")
    print(f"read the table   {floor:6.3f} s")
    print(f"score            {scored:6.3f} s   {scored / floor:5.2f} x the reading   target 1 s")


if __name__ == "__main__":
    main()
