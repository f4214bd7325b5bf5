"""Speed of the voxel model and of the permutation of the maximum, beside peers in the same run.

    python benchmarks/inference.py [--voxels 235375] [--subjects 27] [--permutations 200]

Ratios are printed and gate nothing.
"""

from __future__ import annotations

import argparse
import resource
import time
import warnings

import numpy as np
import pandas as pd

from ekbom.inference import Settings, build_design, effect, fit, model, permute
from ekbom.inference.permute.engine import BLOCK

TARGETS = {"GLM map": 500.0, "max-T": 2.0}
"""ms: whole map (t, z, p), and one permutation on one core."""


def _resident() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _timed(call, repeats: int = 1) -> float:
    best = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


def _per_permutation(call, few: int, many: int) -> float:
    """ms a permutation, what is done once taken off."""
    a = _timed(lambda: call(few), 2)
    b = _timed(lambda: call(many), 2)
    return 1000 * (b - a) / (many - few)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--voxels", type=int, default=235_375)
    parser.add_argument("--subjects", type=int, default=27)
    parser.add_argument("--permutations", type=int, default=320)
    parser.add_argument("--no-peers", action="store_true")
    told = parser.parse_args()
    n, v, many = told.subjects, told.voxels, told.permutations
    rng = np.random.default_rng(0)
    patients = round(n * 15 / 27)
    table = pd.DataFrame(
        {
            "participant": [f"sub-{i:02d}" for i in range(n)],
            "group": ["rls"] * patients + ["control"] * (n - patients),
            "age": rng.normal(50, 8, n),
        }
    )
    values = rng.standard_normal((n, v), dtype=np.float32) + np.float32(20)
    small = np.ascontiguousarray(values[:, :2000])
    print(f"{n} subjects x {v} voxels, float32 ({values.nbytes / 2**20:.0f} MiB)")

    rows: list[tuple[str, float]] = []
    for formula in ("~ group", "~ group + age"):
        design = build_design(formula, table)
        made = model(design, effect(design, "rls - control"))
        permute(small, made, Settings(permutations=64))  # compile
        before = _resident()
        seconds = _timed(lambda made=made: (f := fit(values, made), f.z, f.p()), 3)
        rows.append((f"GLM map t, z, p   {formula}", 1000 * seconds))
        for workers in (1, 2):
            ms = _per_permutation(
                lambda count, made=made, workers=workers: permute(
                    values, made, Settings(permutations=count), workers=workers
                ),
                BLOCK,
                many,
            )
            rows.append((f"max-T, {workers} thread(s)  {formula}", ms))
        print(f"peak memory above the resident size before: {_resident() - before:.0f} MiB")

    block = rng.standard_normal((64, n), dtype=np.float32)
    product = np.empty((64, v), np.float32)
    rows.append(("floor: GEMM 64 x n x V float32, all threads", 1000 * _timed(
        lambda: np.matmul(block, values, out=product), 5) / 64))  # fmt: skip
    if not told.no_peers:
        from nilearn.mass_univariate import permuted_ols

        code = (table.group == "rls").to_numpy(float)[:, None]
        covariate = table.age.to_numpy()[:, None]
        for name, confounds in (("~ group", None), ("~ group + age", covariate)):

            def peer(count: int, confounds: np.ndarray | None = confounds) -> None:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    permuted_ols(
                        code, values, confounding_vars=confounds, n_perm=count, n_jobs=1,
                        random_state=0, verbose=0,
                    )  # fmt: skip

            rows.append((f"nilearn permuted_ols, 1 job  {name}", _per_permutation(peer, 5, 25)))

    width = max(len(name) for name, _ in rows)
    for name, ms in rows:
        target = next((t for key, t in TARGETS.items() if name.startswith(key)), None)
        told_ = ""
        if target is not None and "2 thread" not in name:
            told_ = f"   target {target:g} {'met' if ms <= target else 'MISSED'}"
        print(f"{name:<{width}}  {ms:9.2f} ms{told_}")
    found = dict(rows)
    for formula in ("~ group", "~ group + age"):
        ours = found[f"max-T, 1 thread(s)  {formula}"]
        peer_ms = found.get(f"nilearn permuted_ols, 1 job  {formula}")
        if peer_ms:
            print(f"ratio nilearn / ekbom, one thread, {formula}: {peer_ms / ours:.1f}")


if __name__ == "__main__":
    main()
