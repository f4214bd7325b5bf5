"""How often a study of the model study's size shows its published pattern, and how V_T recovers.

    python benchmarks/pet_pattern.py --studies 20 --out DIR [--design KEY=VALUE ...]

The rule, stated before the counts: a study **shows the pattern** when
(1) no region of six differs between the groups (Welch t, two-sided p < .05 after
Holm over the six), and (2) V_T falls with IRLS in all six regions among the
patients, each Pearson r < 0 at one-sided p < .001 uncorrected (the threshold of
the statistical parametric mapping of the time). A weaker rule, (2b), asks for
all six r < 0 with Holm p < .05 (two-sided). Everything goes through the regional
path: noisy curves and blood samples, MA1 with the default input, no image.

A study that is done is kept in DIR and not done again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from scipy import stats

from ekbom import virtual
from ekbom.validate.pattern import SIX, bias_and_coverage, recover

ARMS = {
    "n 15 v 12": {},
    "n 15 v 12, no tonic deficit": {"opioid.tonic": 0.0},
    "n 15 v 12, null": {"permuted": True, "binding.affective_slope": 0.0},
    "n 60 v 48": {"groups.rls": 60, "groups.control": 48},
    "n 60 v 48, no tonic deficit": {"groups.rls": 60, "groups.control": 48, "opioid.tonic": 0.0},
}


def holm(p: np.ndarray) -> np.ndarray:
    """Return Holm's adjusted p."""
    order = np.argsort(p)
    out = np.empty(p.size)
    out[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)), 1.0)
    return out


def judge(table) -> dict[str, float]:
    """Return what one study shows."""
    sick = table["group"].to_numpy() == "rls"
    score = table["irls"].to_numpy(dtype=float)[sick]
    group, r, one = [], [], []
    for area in SIX:
        V = table[f"VT_{area}"].to_numpy()
        group.append(stats.ttest_ind(V[sick], V[~sick], equal_var=False).pvalue)
        found = stats.pearsonr(score, V[sick], alternative="less")
        r.append(found.statistic)
        one.append(found.pvalue)
    two = 2 * np.minimum(np.array(one), 1 - np.array(one))
    null = bool(np.all(holm(np.array(group)) >= 0.05))
    strict = bool(np.all(np.array(one) < 0.001))
    weak = bool(np.all(holm(two) < 0.05) and np.all(np.array(r) < 0))
    return {
        "group_null": null,
        "six_p001": strict,
        "six_holm": weak,
        "pattern": null and strict,
        "pattern_holm": null and weak,
        "any_p001": bool(np.any(np.array(one) < 0.001)),
        "mean_r": float(np.mean(r)),
    }


def main() -> None:
    """Run and print."""
    ask = argparse.ArgumentParser()
    ask.add_argument("--studies", type=int, default=20)
    ask.add_argument("--out", type=Path, required=True)
    ask.add_argument("--arms", nargs="*", default=list(ARMS))
    ask.add_argument("--set", nargs="*", default=[], help="binding.cv=0.12")
    given = ask.parse_args()
    extra = {k: json.loads(v) for k, v in (text.split("=") for text in given.set)}
    given.out.mkdir(parents=True, exist_ok=True)
    for arm in given.arms:
        rows = []
        for seed in range(1, given.studies + 1):
            word = "".join(c if c.isalnum() else "-" for c in f"{arm} {given.set}")
            path = given.out / f"{word}-{seed}.json"
            if not path.is_file():
                design = virtual.load("von-spiczak-2005", {**ARMS[arm], **extra})
                table = recover(design, seed)
                bias, covered, asked = bias_and_coverage(table)
                kept = judge(table) | {"bias": bias, "covered": covered, "asked": asked}
                path.write_text(json.dumps(kept))
            rows.append(json.loads(path.read_text()))
        n = len(rows)
        print(f"\n{arm} ({n} studies)")
        for key in ("group_null", "six_p001", "six_holm", "pattern", "pattern_holm", "any_p001"):
            k = sum(row[key] for row in rows)
            low, high = stats.binomtest(k, n).proportion_ci(method="wilson")
            print(f"  {key:13s} {k:3d} of {n}   95 % {low:.2f} to {high:.2f}")
        print(f"  mean r {np.mean([row['mean_r'] for row in rows]):.2f}")
        bias = np.array([row["bias"] for row in rows])
        error = bias.std(ddof=1) / np.sqrt(n)
        share = sum(row["covered"] for row in rows) / sum(row["asked"] for row in rows)
        print(
            f"  V_T bias {bias.mean():+.2f} % (Monte-Carlo error {error:.2f}), coverage {share:.3f}"
        )


if __name__ == "__main__":
    main()
