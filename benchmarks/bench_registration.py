"""Which registration should be the default: accuracy, time, memory, size, folds, inverse.

    python benchmarks/bench_registration.py --work DIR --cases 20 --resolution 4 2
    python benchmarks/bench_registration.py --work DIR --table

Every candidate chain gets the same made heads (`ekbom.space.simulate_heads`). One
process a head and candidate (for all resolutions, so that a head is made once);
each result is a small JSON file under DIR, so a
run that was stopped goes on, and candidates may be run in another environment
(`--python PATH` for antspyx, which pins old numpy). What is not installed is said.
Own rule for the default: the fastest chain whose mean Dice is within .005 of the
best, without failure (Dice < .85), without folds, with wheels on Linux, macOS and
Windows, and at most 400 MB to install.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ekbom.space.simulate_heads import BentHead

#: Affine step, deformable step, packages beyond the core, wheels (read on their package pages).
CHAINS = {
    "numba": ("numba", "numba", (), "all"),
    "niimath+numba": ("niimath", "numba", ("niimath",), "Linux, macOS arm, Windows"),
    "niimath+greedy": (
        "niimath", "greedy", ("niimath", "picsl-greedy", "simpleitk"), "Linux, macOS arm, Windows",
    ),
    "greedy": ("greedy", "greedy", ("picsl-greedy", "simpleitk"), "all"),
    "dipy": (
        "dipy", "dipy", ("dipy", "h5py", "tqdm", "trx-python", "deepdiff"),
        "Linux, macOS arm, Windows",
    ),
    "ants": (
        "ants", "ants", ("antspyx", "statsmodels", "pandas", "matplotlib", "webcolors"),
        "Linux x86, Windows; not 3.14",
    ),
}  # fmt: skip


def one(
    chain: str, case: int, head: BentHead, resolution: float, threads: int
) -> dict[str, object]:
    """Register one head and measure; everything is compiled before the clock starts."""
    import numpy as np

    from ekbom.space import Volume, template
    from ekbom.space.quality import dice
    from ekbom.space.register import backend
    from ekbom.space.transform import Affine, jacobian, round_trip
    from ekbom.space.warp import warp

    linear, deformable, *_ = CHAINS[chain]
    target = template(resolution)
    fixed = Volume(np.asarray(target.t1, dtype=float), target.grid)
    brain = np.asarray(target.brain)
    if "numba" in (linear, deformable):
        small = template(8.0)
        toy = Volume(np.asarray(small.t1, dtype=float), small.grid)
        bend = np.roll(np.asarray(small.t1, dtype=np.float32), 1, axis=0)
        backend("numba").register(
            toy, Volume(bend, small.grid), kind="deformable", resolution=8.0, threads=threads,
            fixed_mask=np.asarray(small.brain),
        )  # fmt: skip
    options = {"fixed_mask": brain, "threads": threads}
    out: dict[str, object] = {"chain": chain, "case": case, "resolution": resolution}
    usage = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    began, cpu = time.perf_counter(), sum(u.ru_utime + u.ru_stime for u in usage)
    try:
        first = backend(linear).register(
            fixed, head.t1, kind="affine", resolution=max(resolution, 4.0), **options
        )
        assert isinstance(first.transform, Affine)
        middle = time.perf_counter()
        start = Affine(first.transform.matrix)
        found = backend(deformable).register(
            fixed, head.t1, kind="deformable", start=start, resolution=resolution, **options
        )
    except Exception as no:
        return out | {"failed": str(no)}
    usage = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    out["seconds"] = time.perf_counter() - began
    out["affine_seconds"] = middle - began
    out["cpu_seconds"] = sum(u.ru_utime + u.ru_stime for u in usage) - cpu
    out["peak_mb"] = max(u.ru_maxrss for u in usage) / 1024
    grey = warp(head.grey.values, head.grey.grid, target.grid, found.transform)
    seen = np.isfinite(grey)
    out["dice"] = dice((np.nan_to_num(grey) > 0.5) & seen, target.grey_mask & seen)
    begun = warp(head.grey.values, head.grey.grid, target.grid, first.transform)
    out["dice_affine"] = dice(np.nan_to_num(begun) > 0.5, target.grey_mask & np.isfinite(begun))
    points = target.grid.to_world(np.argwhere(brain & seen))[::7]
    miss = np.sqrt(((head.psi.points(found.transform.points(points)) - points) ** 2).sum(axis=1))
    out["miss_median"], out["miss_p95"] = float(np.median(miss)), float(np.percentile(miss, 95))
    apart = round_trip(found.transform, found.inverse, points)
    out["inverse_p95"] = float(np.percentile(apart, 95))
    volume = jacobian(found.transform, target.grid)[brain]
    out["jacobian_min"], out["folded"] = float(volume.min()), float((volume <= 0).mean())
    return out


def run(args: argparse.Namespace) -> None:
    args.work.mkdir(parents=True, exist_ok=True)
    for case in range(args.first, args.cases):
        for chain in args.chains:
            paths = [args.work / f"{chain}-{mm:g}mm-{case}.json" for mm in args.resolution]
            left = [mm for mm, p in zip(args.resolution, paths, strict=True) if not p.is_file()]
            if not left:
                continue
            command = [args.python, __file__, "--work", str(args.work), "--one", chain]
            command += ["--cases", str(case), "--resolution", *(str(mm) for mm in left)]
            command += ["--threads", str(args.threads)]
            environment = os.environ | {"OMP_NUM_THREADS": str(args.threads)}
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, env=environment,
                timeout=1800,
            )  # fmt: skip
            if done.returncode:
                print(f"{chain} {case}: {done.stderr.strip().splitlines()[-1:]}", flush=True)
                continue
            for path in paths:
                print(path.name, path.read_text(), flush=True)


def size_mb(packages: tuple[str, ...]) -> float:
    total = 0
    for name in packages:
        try:
            files = distribution(name).files or []
        except PackageNotFoundError:
            return float("nan")
        total += sum(p.stat().st_size for f in files if (p := Path(str(f.locate()))).is_file())
    return total / 1e6


def table(args: argparse.Namespace) -> None:
    import numpy as np

    rows = [json.loads(p.read_text()) for p in sorted(args.work.glob("*-*mm-*.json"))]
    sizes = args.work / "sizes.json"
    known = json.loads(sizes.read_text()) if sizes.is_file() else {}
    for chain, (*_, packages, _w) in CHAINS.items():
        mb = size_mb(packages)
        if mb == mb:
            known[chain] = round(mb, 1)
    sizes.write_text(json.dumps(known))
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} CPUs")
    for resolution in sorted({r["resolution"] for r in rows}):
        print(f"\n{resolution:g} mm\n")
        print(
            "| chain | heads | failed | GM Dice median (min) | error mm median, 95 % | s median"
            " (max) | CPU s | peak MB | inverse mm 95 % | folds | MB beyond core | wheels |"
        )
        print("|" + "---|" * 12)
        best: dict[str, tuple[float, float]] = {}
        for chain, (*_, wheels) in CHAINS.items():
            mine = [r for r in rows if r["chain"] == chain and r["resolution"] == resolution]
            good = [r for r in mine if "dice" in r]
            if not good:
                print(
                    f"| {chain} | {len(mine)} | {'not run' if not mine else len(mine)} |" + " |" * 9
                )
                continue
            col = {k: np.array([r[k] for r in good]) for k in good[0] if k not in ("chain",)}
            bad = len(mine) - len(good) + int((col["dice"] < 0.85).sum())
            folds = int((col["folded"] > 0).sum())
            mb = known.get(chain, float("nan"))
            print(
                f"| {chain} | {len(mine)} | {bad} | {np.median(col['dice']):.4f} "
                f"({col['dice'].min():.4f}) | {np.median(col['miss_median']):.2f}, "
                f"{np.median(col['miss_p95']):.2f} | {np.median(col['seconds']):.1f} "
                f"({col['seconds'].max():.1f}) | {np.median(col['cpu_seconds']):.1f} | "
                f"{col['peak_mb'].max():.0f} | {col['inverse_p95'].max():.2f} | {folds} | "
                f"{mb:.0f} | {wheels} |"
            )
            if bad == 0 and folds == 0 and mb <= 400 and "x86" not in wheels:
                best[chain] = (float(np.mean(col["dice"])), float(np.median(col["cpu_seconds"])))
        if best:
            top = max(d for d, _ in best.values())
            near = {c: t for c, (d, t) in best.items() if d >= top - 0.005}
            print(f"\nBy the rule (CPU time decides): {min(near, key=lambda c: near[c])}")
        print("\nAgainst our own, on the heads both have:")
        for chain in CHAINS:
            pairs = [
                (a["dice"], b["dice"]) for a in rows for b in rows
                if a["chain"] == "numba" and b["chain"] == chain != "numba" and "dice" in a
                and "dice" in b and a["case"] == b["case"]
                and a["resolution"] == b["resolution"] == resolution
            ]  # fmt: skip
            if pairs:
                own, other = np.median(np.array(pairs), axis=0)
                print(f"- {chain}: {len(pairs)} heads, median Dice {own:.4f} against {other:.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("--resolution", type=float, nargs="+", default=[2.0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--chains", nargs="+", default=list(CHAINS), choices=list(CHAINS))
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--one")
    args = parser.parse_args()
    if args.one:
        from ekbom.space.simulate_heads import bent_head

        head = bent_head(args.cases)
        # Coarse first: the peak of memory of a finer one hides that of a coarser one.
        for mm in sorted(args.resolution, reverse=True):
            out = one(args.one, args.cases, head, mm, args.threads)
            path = args.work / f"{args.one}-{mm:g}mm-{args.cases}.json"
            path.write_text(json.dumps(out))
    elif args.table:
        table(args)
    else:
        run(args)
        table(args)


if __name__ == "__main__":
    main()
