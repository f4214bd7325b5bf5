"""Speed of the voxel model, of permuted maxima and of exact TFCE, beside peers in the same run.

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

TARGETS = {
    "GLM map": 500.0,
    "max-T": 2.0,
    "permutation, TFCE 6": 10.0,
    "permutation, TFCE 26": 20.0,
}
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


def _per_permutation(call, few: int, many: int, repeats: int = 2) -> float:
    """ms a permutation, what is done once taken off."""
    a = _timed(lambda: call(few), repeats)
    b = _timed(lambda: call(many), repeats)
    return 1000 * (b - a) / (many - few)


def _brain(voxels: int) -> np.ndarray:
    """Return an ellipsoid of about so many voxels on the 2 mm grid of the template."""
    x = np.indices((91, 109, 91)) - np.array([45, 54, 45])[:, None, None, None]
    away = (x[0] / 36) ** 2 + (x[1] / 44) ** 2 + (x[2] / 36) ** 2
    return away < np.partition(away.ravel(), voxels)[voxels]


def _tfce(
    v: int, n: int, table: pd.DataFrame, peers: bool, both: bool
) -> tuple[list[tuple[str, float]], float]:
    """ms a relabelling: model, two-sided exact TFCE, extent, mass and maximum.

    The second value is the share of the time that two threads take.
    """
    from scipy.ndimage import gaussian_filter

    from ekbom.inference import lattice
    from ekbom.inference.permute.spatial import BLOCK, Exchanged, permute_maps
    from ekbom.inference.question import ask
    from ekbom.inference.tfce import Enhancement, Enhancer

    rng = np.random.default_rng(1)
    mask = _brain(v)
    rows: list[tuple[str, float]] = []
    kinds = (("smooth, FWHM 8 mm", 8 / 2.355 / 2), ("white", 0.0))
    for noise, sigma in kinds if both else kinds[:1]:
        values = np.empty((n, int(mask.sum())), np.float32)
        for i in range(n):
            volume = rng.standard_normal(mask.shape, dtype=np.float32)
            if sigma:
                volume = gaussian_filter(volume, sigma)
            values[i] = 20 + volume[mask] / volume.std()
        question = ask(table, "~ group", "rls - control", "u", Settings("tfce", 64))
        maps = Exchanged(values, question.model, question.settings)
        t = np.empty((BLOCK, values.shape[1]), np.float32)
        maps.fill(0, t)
        for connectivity in (6, 26):
            graph = lattice(mask, connectivity)
            tool = Enhancer(graph, Enhancement(forming=3.0))
            tool.maxima(t[0])
            alone = _timed(lambda tool=tool, t=t: [tool.maxima(row) for row in t[:8]], 3)
            rows.append((f"TFCE {connectivity} alone, both signs, {noise}", 1000 * alone / 8))

            def run(count: int, workers: int = 1, graph=graph, values=values, q=question):
                asked = Settings("tfce", count)
                made = Exchanged(values, q.model, asked)
                permute_maps(made, graph, asked, forming=3.0, df=n - 2, workers=workers)

            name = f"permutation, TFCE {connectivity}, {{}} thread(s), {noise}"
            rows.append((name.format(1), _per_permutation(run, 16, 80, 6)))
            if sigma and connectivity == 26:
                # two threads take chunks of 256 relabellings each; in turns, since hosts wander
                turns = [[_timed(lambda k=k, run=run: run(512, k)) for k in (1, 2)] for _ in "abc"]
                one, two = np.min(turns, axis=0)
                print(
                    f"512 permutations, 1 and 2 threads in turns: {np.round(turns, 2).tolist()} s"
                )
                rows.append((name.format(2), 1000 * two / 512))
                share = two / one
        if peers:
            rows += _tfce_peers(mask, t[0], noise)
    return rows, share


def _tfce_peers(mask: np.ndarray, t: np.ndarray, noise: str) -> list[tuple[str, float]]:
    rows: list[tuple[str, float]] = []
    volume = np.zeros(mask.shape, np.float32)
    volume[mask] = t
    try:
        import tfce
    except ImportError:
        print("tfce (PyPI) is not installed: not timed")
    else:
        for connectivity in (6, 26):
            tfce.tfce(volume, connectivity=connectivity)
            ms = 1000 * _timed(lambda c=connectivity: tfce.tfce(volume, connectivity=c), 4)
            rows.append((f"tfce {tfce.__version__} {connectivity}, both signs, {noise}", ms))
    from nilearn.mass_univariate._utils import calculate_tfce
    from scipy.ndimage import generate_binary_structure

    for connectivity, order in ((6, 1), (26, 3)):
        shape = generate_binary_structure(3, order)
        ms = 1000 * _timed(
            lambda s=shape: calculate_tfce(volume[..., None], bin_struct=s, two_sided_test=True)
        )
        rows.append((f"nilearn TFCE {connectivity}, 100 steps, both signs, {noise}", ms))
    return rows


def _maxima(
    values: np.ndarray,
    small: np.ndarray,
    table: pd.DataFrame,
    many: int,
    rng: np.random.Generator,
    peers: bool,
) -> list[tuple[str, float]]:
    """ms of the model of a map, and of a relabelling with its largest t."""
    n, v = values.shape
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
    if peers:
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
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--voxels", type=int, default=235_375)
    parser.add_argument("--subjects", type=int, default=27)
    parser.add_argument("--permutations", type=int, default=320)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--smooth-only", action="store_true", help="no white noise")
    parser.add_argument("--part", choices=("all", "maxima", "tfce"), default="all")
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
    if told.part != "maxima":
        found_rows, share = _tfce(v, n, table, not told.no_peers, not told.smooth_only)
        rows += found_rows
    if told.part != "tfce":
        rows += _maxima(values, small, table, many, rng, not told.no_peers)
    width = max(len(name) for name, _ in rows)
    for name, ms in rows:
        target = next((t for key, t in TARGETS.items() if name.startswith(key)), None)
        told_ = ""
        if target is not None and "2 thread" not in name and "white" not in name:
            told_ = f"   target {target:g} {'met' if ms <= target else 'MISSED'}"
        print(f"{name:<{width}}  {ms:9.2f} ms{told_}")
    found = dict(rows)
    for formula in ("~ group", "~ group + age"):
        ours = found.get(f"max-T, 1 thread(s)  {formula}", np.nan)
        peer_ms = found.get(f"nilearn permuted_ols, 1 job  {formula}")
        if peer_ms:
            print(f"ratio nilearn / ekbom, one thread, {formula}: {peer_ms / ours:.1f}")
    if told.part == "maxima":
        return
    one, two = (found[f"permutation, TFCE 26, {k} thread(s), smooth, FWHM 8 mm"] for k in (1, 2))
    print(f"5,000 permutations, TFCE 26: {5 * one:.0f} s on one thread (target 100)")
    word = "met" if share <= 0.6 else "MISSED"
    print(f"on two threads {5 * two:.0f} s, {100 * share:.0f} % of it (target 60 %: {word})")
    for connectivity in (6, 26):
        ours = found[f"TFCE {connectivity} alone, both signs, smooth, FWHM 8 mm"]
        for name, ms in rows:
            peer = name.startswith(("tfce ", "nilearn TFCE")) and "smooth" in name
            if peer and f" {connectivity}," in name:
                print(f"ratio {name.split(',')[0]} / ekbom: {ms / ours:.1f}")


if __name__ == "__main__":
    main()
