"""The demo over many seeds: what was planted, how often it is found.

    python benchmarks/demo_seeds.py [--seeds 20] [--first 1] [--realistic] [--size rois]
                                    [--workers 2] [--keep FOLDER] [--out TABLE.tsv]

Each seed is a new study: simulated raw data, then the same run as `ekbom run`.
Printed: regions found at Holm p < .05, regions found where nothing was planted,
the group answer, and the bias of V_T by region. Nothing is gated here.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

SIZES = ("rois", "quick", "full")


def one(seed: int, folder: Path, variant: str | None, size: str, workers: int):
    # Workers import this file first: what they need comes later, when their
    # number of threads is set.
    from ekbom import virtual
    from ekbom.study.executors import executor
    from ekbom.study.run import run_study
    from ekbom.validate.planted import compare

    design = virtual.load("demo", variant=variant)
    truth = virtual.make(design, folder / "raw", size=size, seed=seed)
    plan = folder / "plan.toml"
    # figures take most of the time and change no number
    plan.write_text(
        virtual.plan_text(size, design).replace("vB = 0.05", "vB = 0.05\nfigures = false")
    )
    summary = run_study(folder / "raw", folder / "results", "all", plan, executor=executor(workers))
    if summary.exit_code != 0:
        raise SystemExit(f"seed {seed}: the run ended with {summary.exit_code}")
    return compare(truth, folder / "results")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--realistic", action="store_true")
    parser.add_argument("--size", default="rois", choices=SIZES)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    variant = "realistic" if given.realistic else None
    rows: list[dict[str, object]] = []
    found: list[pd.DataFrame] = []
    bias: list[pd.DataFrame] = []
    for seed in range(given.first, given.first + given.seeds):
        started = time.perf_counter()
        folder = given.keep / f"seed-{seed}" if given.keep else Path(tempfile.mkdtemp())
        folder.mkdir(parents=True, exist_ok=True)
        try:
            result = one(seed, folder, variant, given.size, given.workers)
        finally:
            if not given.keep:
                shutil.rmtree(folder)
        smallest = result.group.loc[result.group["p_holm"].idxmin()]
        row: dict[str, object] = {
            "seed": seed,
            "found": result.hits,
            "planted": result.planted,
            "other": result.false,
            "group": "yes" if result.group_significant else "no",
            "group_p": round(float(smallest["p_holm"]), 3),
            "affective": int(result.affective["found"].sum())
            if result.affective is not None
            else 0,
        }
        for name, peaks in result.peaks.items():
            corrected = next(c for c in ("p_maxT", "p_fwe", "p_bonf") if c in peaks)
            row[name] = int((peaks[corrected] < 0.05).sum())
        row["seconds"] = round(time.perf_counter() - started, 1)
        rows.append(row)
        found.append(result.severity.assign(seed=seed))
        bias.append(result.bias)
        print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    report(pd.DataFrame(rows), pd.concat(found), pd.concat(bias), variant, given.size)
    if given.out:
        pd.DataFrame(rows).to_csv(given.out, sep="\t", index=False)


def report(
    rows: pd.DataFrame, found: pd.DataFrame, bias: pd.DataFrame, variant: str | None, size: str
) -> None:
    from ekbom import virtual

    n = len(rows)
    slope = virtual.load("demo", variant=variant).severity_slope
    print(f"\n{n} seeds, size {size}, slope {slope} occupancy per point")
    print(f"at least 5 of 6 regions at Holm p < .05: {(rows['found'] >= 5).sum()} of {n}")
    print(f"all 6: {(rows['found'] == 6).sum()} of {n}; none: {(rows['found'] == 0).sum()} of {n}")
    print(
        f"more than one other region: {(rows['other'] > 1).sum()} of {n}; "
        f"any: {(rows['other'] > 0).sum()} of {n}"
    )
    print(f"group answer not significant: {(rows['group'] == 'no').sum()} of {n}")
    print(
        f"affective pain found, orbitofrontal and anterior cingulate: "
        f"{rows['affective'].sum()} of {2 * n}"
    )
    table = found.groupby("region", sort=False).agg(
        planted=("slope_planted", "mean"),
        blurred=("slope_seen", "mean"),
        slope=("slope", "mean"),
        sd=("slope", "std"),
        r=("r", "mean"),
        power=("found", "mean"),
    )
    means = bias.groupby("region", sort=False).mean(numeric_only=True)
    table = table.join(means[["VT_true", "VT_found", "bias_percent", "bias_seen_percent"]])
    print("\n" + table.round(2).to_string())
    print("\nplanted, slope: mL/cm3 per IRLS point; power: share of seeds at Holm p < .05")
    print(
        "bias_percent: V_T against the tissue in the label; bias_seen_percent: against the same "
        "after the scanner's blur"
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3
    print(
        f"peak memory: {peak:.0f} MB here, {child:.0f} MB in the largest worker; "
        f"Python {sys.version.split()[0]}"
    )


if __name__ == "__main__":
    main()
