"""How often a study of the model study's size shows its published pattern, and how V_T recovers.

    python benchmarks/pet_pattern.py --studies 20 --out DIR [--arms WORDS ...] [--set KEY=VALUE ...]

The rule, stated before the counts: a study **shows the pattern** when
(1) no region of six differs between the groups (Welch t, two-sided p < .05 after
Holm over the six), and (2) V_T falls with IRLS in all six regions among the
patients, each Pearson r < 0 at one-sided p < .001 uncorrected (the threshold of
the statistical parametric mapping of the time). A weaker rule, (2b), asks for
all six r < 0 with Holm p < .05 (two-sided). Everything goes through the regional
path: noisy curves and blood samples, MA1, the input of the study's plan (parent
fraction by the form of lowest AICc), no image. In the first studies of the first arm the
interval of V_T is made with the error of the blood as well (bootstrap of the samples).

A study that is done is kept in DIR and not done again; `table.md` there is the
table of the docs.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from scipy import stats

from ekbom import virtual
from ekbom.validate.pattern import SIX, bias_and_coverage, recover

#: Arm: what is changed.
ARMS = {
    "n 15 v 12": {},
    "n 60 v 48": {"groups.rls": 60, "groups.control": 48},
    "n 15 v 12, no tonic deficit": {"opioid.tonic": 0.0},
    "n 15 v 12, null": {"permuted": True, "binding.affective_slope": 0.0},
    "n 60 v 48, no tonic deficit": {"groups.rls": 60, "groups.control": 48, "opioid.tonic": 0.0},
}
#: Bootstrap draws of the blood in so many studies of the first arm.
DRAWS, DRAWN = 40, 20

#: What is counted, and how the docs call it.
COUNTS = {
    "pattern": "pattern, strict rule",
    "pattern_holm": "pattern, weaker rule",
    "group_null": "no group difference",
    "six_p001": "all six r at p < .001",
    "six_holm": "all six r, Holm p < .05",
    "any_p001": "some r at p < .001",
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
    taken = table["occupancy"].to_numpy(dtype=float)
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
    bias, covered, wide, asked = bias_and_coverage(table)
    return {
        "group_null": null,
        "six_p001": strict,
        "six_holm": weak,
        "pattern": null and strict,
        "pattern_holm": null and weak,
        "any_p001": bool(np.any(np.array(one) < 0.001)),
        "mean_r": float(np.mean(r)),
        "r": [float(x) for x in r],
        "bias": bias,
        "covered": covered,
        "wide": wide if np.isfinite(table[f"wide_{SIX[0]}"]).all() else None,
        "asked": asked,
        "occupancy_difference": float(taken[sick].mean() - taken[~sick].mean()),
        "occupancy_slope": float(np.polyfit(score, taken[sick], 1)[0]),
    }


def counted(rows: list[dict[str, float]], key: str) -> str:
    """Return a count with its 95 % range (Wilson)."""
    k, n = sum(row[key] for row in rows), len(rows)
    low, high = stats.binomtest(k, n).proportion_ci(method="wilson")
    return f"{k} of {n} ({low:.2f} to {high:.2f})"


def mean_of(rows: list[dict[str, float]], key: str, digits: int) -> str:
    """Return a mean over studies with its Monte-Carlo error."""
    value = np.array([row[key] for row in rows])
    error = value.std(ddof=1) / np.sqrt(value.size) if value.size > 1 else np.nan
    return f"{value.mean():.{digits}f} ({error:.{digits}f})"


def column(rows: list[dict[str, float]]) -> dict[str, str]:
    """Return one column of the table."""
    out = {word: counted(rows, key) for key, word in COUNTS.items()}
    out["mean r of the six regions"] = mean_of(rows, "mean_r", 2)
    out["occupancy, patients less volunteers"] = mean_of(rows, "occupancy_difference", 4)
    out["occupancy a point of IRLS"] = mean_of(rows, "occupancy_slope", 4)
    out["median error of V_T, %"] = mean_of(rows, "bias", 2)
    for key, word in (("covered", "error of the fit alone"), ("wide", "error of the blood in it")):
        asked = [row for row in rows if row[key] is not None]
        if asked:
            # regions of a person share its blood: the error is that over studies
            share = [row | {"share": row[key] / row["asked"]} for row in asked]
            much = f", {len(asked)} studies" if len(asked) < len(rows) else ""
            out[f"95 % interval of V_T holds the truth, {word}"] = mean_of(share, "share", 3) + much
    return out


def main() -> None:
    """Run and print."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--studies", type=int, default=20)
    ask.add_argument("--out", type=Path, required=True)
    ask.add_argument("--arms", nargs="*", default=list(ARMS), choices=list(ARMS))
    ask.add_argument("--set", nargs="*", default=[], help="binding.cv=0.12")
    given = ask.parse_args()
    extra = {k: json.loads(v) for k, v in (text.split("=") for text in given.set)}
    given.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, dict[str, str]] = {}
    for arm in given.arms:
        rows = []
        for seed in range(1, given.studies + 1):
            word = "".join(c if c.isalnum() else "-" for c in f"{arm} {given.set}")
            path = given.out / f"{word}-{seed}.json"
            if not path.is_file():
                design = virtual.load("von-spiczak-2005", {**ARMS[arm], **extra})
                draws = DRAWS if arm == next(iter(ARMS)) and seed <= DRAWN else 0
                path.write_text(json.dumps(judge(recover(design, seed, draws=draws))))
                print(path.name, flush=True)
            rows.append(json.loads(path.read_text()))
        found[arm] = column(rows)
    words = list(dict.fromkeys(word for one in found.values() for word in one))
    lines = ["| | " + " | ".join(found) + " |", "|---" * (len(found) + 1) + "|"]
    for word in words:
        lines.append(
            f"| {word} | " + " | ".join(one.get(word, "") for one in found.values()) + " |"
        )
    text = "\n".join(lines) + "\n"
    (given.out / "table.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
