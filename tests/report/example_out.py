"""An output folder like the one a run leaves, made up from seeds: for the report's tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from scipy import stats

REGIONS = ["frontal", "orbitofrontal", "cingulate", "insula", "temporal", "thalamus", "caudate"]
METHODS = ["ma1", "logan"]
HOSTILE = "<script>alert('x')</script> & \"quoted\" </td>"


def tsv(path: Path, frame: pd.DataFrame, about: dict[str, Any] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, sep="\t", index=False, na_rep="n/a", lineterminator="\n")
    path.with_suffix(".json").write_text(json.dumps(about or {}, indent=1))


def effect_table(
    y: np.ndarray, design: np.ndarray, c: np.ndarray, regions: list[str]
) -> pd.DataFrame:
    """Ordinary least squares, one row a region."""
    inverse = np.linalg.pinv(design.T @ design)
    beta = inverse @ design.T @ y
    rank = int(np.linalg.matrix_rank(design))
    df = len(y) - rank
    s2 = ((y - design @ beta) ** 2).sum(axis=0) / df
    effect = c @ beta
    se = np.sqrt(s2 * (c @ inverse @ c))
    t = effect / se
    p = 2 * stats.t.sf(np.abs(t), df)
    order = np.argsort(p)
    holm = np.empty_like(p)
    holm[order] = np.minimum(1, np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p)))))
    half = stats.t.ppf(0.975, df) * se
    mean = y.mean(axis=0)
    return pd.DataFrame(
        {
            "region": [f"gtmseg:{r}" for r in regions],
            "n": len(y),
            "effect": effect,
            "unit": "mL/cm3",
            "se": se,
            "ci_low": effect - half,
            "ci_high": effect + half,
            "t": t,
            "df": df,
            "p": p,
            "p_holm": holm,
            "p_maxT": np.clip(holm * 0.9, 1e-4, 1),
            "percent": 100 * effect / mean,
            "percent_low": 100 * (effect - half) / mean,
            "percent_high": 100 * (effect + half) / mean,
            "g": t / np.sqrt(len(y)),
            "g_low": t / np.sqrt(len(y)) - 0.5,
            "g_high": t / np.sqrt(len(y)) + 0.5,
            "loo_stat": t * 0.8,
            "loo_p": np.clip(p * 3, 0, 1),
            "loo_subject": "sub-02",
            "note": np.nan,
        }
    )


def as_left(about: dict[str, Any], slug: str) -> dict[str, Any]:
    """Put what is known of an answer in the places where a run leaves it."""
    about = dict(about)
    question = about["question"]
    meta = {
        "alpha": about.pop("alpha"),
        "references": about.pop("references"),
        "warnings": [],
        "method": "max-t",
        "permutations": 64,
        "exhaustive": True,
        "threshold": 4.5,
    }
    return {
        **about,
        "effect": {"text": about["effect"], "slug": slug},
        "over": question["over"],
        "outcome": question["outcome"],
        "outcome_name": "VT",
        "outcome_method": question["method"],
        "words": {"results": about.pop("results"), "methods": ""},
        "meta": meta,
        "dropped": [
            {
                "participant_id": "sub-13",
                "session_id": "retest",
                "run_id": "n/a",
                "reason": "refused: blood samples are not in order of time",
            }
        ],
    }


def answer(
    folder: Path,
    effect: str,
    about: dict[str, Any],
    regions: pd.DataFrame,
    values: pd.DataFrame,
    methods: str = "Methods were used (Freedman and Lane 1983). Values: VT in mL/cm3.",
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "answer.json").write_text(json.dumps(as_left(about, effect), indent=1))
    described = {"effect": {"Description": "Estimate of the effect", "Units": "mL/cm3"}}
    tsv(folder / f"desc-{effect}_regions.tsv", regions, described)
    tsv(folder / f"desc-{effect}_values.tsv", values)
    (folder / f"desc-{effect}_methods.txt").write_text(methods)


def make(out: Path, *, seed: int = 0, people: int = 6, hostile: bool = False) -> Path:
    """Write an output folder: paired, group, regression, reliability and voxel questions."""
    rng = np.random.default_rng(seed)
    out.mkdir(parents=True, exist_ok=True)
    study = HOSTILE if hostile else "COX-2 binding after celecoxib"
    (out / "dataset_description.json").write_text(
        json.dumps(
            {
                "Name": study,
                "BIDSVersion": "1.10.0",
                "DatasetType": "derivative",
                "GeneratedBy": [{"Name": "ekbom", "Version": "0.1.0"}],
                "SourceDatasets": [{"URL": "doi:10.18112/openneuro.ds004869.v1.1.1"}],
            }
        )
    )
    questions = {
        "celecoxib": {
            "kind": "effect",
            "outcome": "pet.VT",
            "method": METHODS,
            "over": "regions",
            "among": "session in ['baseline', 'blocked']",
            "model": "~ session + participant",
            "test": "session: blocked - baseline",
        },
        "group": {
            "kind": "effect",
            "outcome": "pet.VT",
            "method": "ma1",
            "over": "regions",
            "model": "~ group + age",
            "test": "rls - control",
        },
        "severity": {
            "kind": "effect",
            "outcome": "pet.VT",
            "method": "ma1",
            "over": "regions",
            "among": "group == 'rls'",
            "model": "~ irls_total + age",
            "test": "irls_total",
        },
        "retest": {
            "kind": "reliability",
            "outcome": "pet.VT",
            "method": METHODS,
            "over": "regions",
            "among": "session in ['test', 'retest']",
        },
        "severityMap": {
            "kind": "effect",
            "outcome": "pet.VT",
            "over": "voxels",
            "method": "ma1",
            "model": "~ irls_total",
            "test": "irls_total",
        },
    }
    plan = {
        "questions": questions,
        "hash": "5f1d" * 16,
        "measures": {"pet": {"model": METHODS, "tstar": 30, "vB": 0.05, "input": "interpolate"}},
    }
    (out / "plan.json").write_text(json.dumps(plan))
    (out / "plan.toml").write_text(
        "[measures.pet]\nmodel = ['ma1', 'logan']\n# "
        + (HOSTILE if hostile else "a comment")
        + "\n"
    )
    _measures(out, rng, people)
    _questions(out, rng, people, questions, hostile)
    return out


def _measures(out: Path, rng: np.random.Generator, people: int) -> None:
    rows, notes = [], []
    for k in range(people):
        base = rng.normal(1.6, 0.2)
        for session in ("baseline", "blocked"):
            who = {"participant_id": f"sub-{k + 1:02d}", "session_id": session, "run_id": "n/a"}
            for m, method in enumerate(METHODS):
                for r, region in enumerate(REGIONS):
                    value = (
                        base + 0.1 * r - (0.3 if session == "blocked" else 0) + rng.normal(0, 0.05)
                    )
                    rows.append(
                        {
                            **who,
                            "measure": "pet",
                            "region": f"gtmseg:{region}",
                            "parameter": "VT",
                            "value": value + 0.02 * m,
                            "se": 0.05,
                            "lower": value - 0.1,
                            "upper": value + 0.1,
                            "unit": "mL/cm3",
                            "method": method,
                            "flags": "cv_high" if (k, r) == (1, 2) else "n/a",
                        }
                    )
            folder = out / who["participant_id"] / f"ses-{session}" / "figures"
            folder.mkdir(parents=True)
            stem = f"{who['participant_id']}_ses-{session}"
            (folder / f"{stem}_desc-blood_qc.svg").write_text(
                '<?xml version="1.0"?>\n'
                '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 60 20">'
                "<metadata>made at http://example.org</metadata>"
                f'<path d="M 0 0 L 60.123456 {10 + k}"/><text x="1" y="9">{stem}</text></svg>'
            )
            (folder / f"{stem}_desc-blood_qc.json").write_text(
                json.dumps({"Caption": "Blood: samples and input function."})
            )
    tsv(out / "measures.tsv", pd.DataFrame(rows))
    notes.append(
        {
            "participant_id": "sub-02",
            "session_id": "blocked",
            "run_id": "n/a",
            "measure": "pet",
            "code": "blood-sorted",
            "permission": "true",
            "text": "Rows 3 and 4 were put in order.",
        }
    )
    notes.append(
        {
            "participant_id": "sub-01",
            "session_id": "baseline",
            "run_id": "n/a",
            "measure": "pet",
            "code": "decay-reference",
            "permission": "false",
            "text": "TimeZero was assumed.",
        }
    )
    tsv(out / "notes.tsv", pd.DataFrame(notes))
    tsv(
        out / "refused.tsv",
        pd.DataFrame(
            [
                {
                    "participant_id": "sub-13",
                    "session_id": "retest",
                    "run_id": "n/a",
                    "measure": "pet",
                    "what": "Blood samples are not in order of time.",
                    "file": "sub-13/ses-retest/pet/sub-13_ses-retest_recording-manual_blood.tsv",
                    "field": "time",
                    "found": "100.8, 178.2, 133.8 in rows 4 to 6",
                    "expected": "increasing",
                    "mend": "correct the file, or allow it for this scan: blood.sort = true",
                }
            ]
        ),
    )


def _questions(
    out: Path, rng: np.random.Generator, people: int, questions: dict[str, Any], hostile: bool
) -> None:
    columns = [f"gtmseg:{r}" for r in REGIONS]
    base = {
        "n": people,
        "alpha": 0.05,
        "seed": 0,
        "unit": "mL/cm3",
        "kind": "regions",
        "versions": {"ekbom": "0.1.0", "numpy": "2.4.0"},
        "references": ["Freedman D, Lane D, 1983. J Bus Econ Stat 1:292-298. doi:10.2307/1391660"],
    }
    # paired, by two methods
    for m, method in enumerate(METHODS):
        level = rng.normal(1.6, 0.25, (people, 1)) + 0.1 * np.arange(len(REGIONS))
        first = level + rng.normal(0, 0.08, level.shape)
        second = (
            level
            - np.array([0.4, 0.35, 0.3, 0.25, 0.2, 0.02, 0.0])
            + rng.normal(0, 0.08, level.shape)
        )
        table = effect_table(second - first + 0.01 * m, np.ones((people, 1)), np.ones(1), REGIONS)
        who = [f"sub-{k + 1:02d}" for k in range(people)]
        values = pd.DataFrame(
            {"participant_id": who * 2, "session_id": ["baseline"] * people + ["blocked"] * people}
        )
        values[columns] = np.vstack([first, second])
        folder = out / "group" / f"question-celecoxib{method.capitalize()}"
        text = (
            HOSTILE
            if hostile
            else ("VT was lower when blocked than at baseline in 5 of 7 regions after correction.")
        )
        answer(
            folder,
            "sessionBlockedMinusBaseline",
            {
                **base,
                "question": {"name": "celecoxib", **questions["celecoxib"], "method": method},
                "effect": "session: blocked - baseline",
                "results": text,
                "permitted": [
                    {
                        "participant_id": "sub-02",
                        "session_id": "blocked",
                        "run_id": "n/a",
                        "permissions": ["blood-sorted"],
                    }
                ],
            },
            table,
            values,
        )
        fewer = effect_table((second - first)[1:], np.ones((people - 1, 1)), np.ones(1), REGIONS)
        tsv(folder / "desc-sessionBlockedMinusBaselineWithoutPermitted_regions.tsv", fewer)
        influence = pd.DataFrame(
            [
                {
                    "region": c,
                    "participant_id": w,
                    "effect_without": -0.3 + 0.01 * i,
                    "stat_without": -4.0,
                    "df_without": people - 2,
                    "p_without": 0.01,
                    "dfbetas": 0.1 * i,
                    "cook": 0.2,
                }
                for c in columns
                for i, w in enumerate(who)
            ]
        )
        tsv(folder / "desc-sessionBlockedMinusBaseline_influence.tsv", influence)
    # groups and severity
    n1, n2 = 15, 12
    age = rng.uniform(40, 70, n1 + n2)
    irls = rng.uniform(12, 36, n1)
    y = 20 + rng.normal(0, 1.5, (n1 + n2, len(REGIONS))) - 0.02 * (age - 55)[:, None]
    y[:n1] -= 0.12 * (irls - 24)[:, None]
    who = [f"sub-{k + 1:02d}" for k in range(n1 + n2)]
    group = np.array(["rls"] * n1 + ["control"] * n2)
    values = pd.DataFrame({"participant_id": who, "session_id": "n/a", "group": group, "age": age})
    values[columns] = y
    design = np.column_stack([group == "rls", group == "control", age]).astype(float)
    answer(
        out / "group" / "question-group",
        "rlsMinusControl",
        {
            **base,
            "n": n1 + n2,
            "question": {"name": "group", **questions["group"]},
            "effect": "rls - control",
            "results": "No difference between rls and control was found in any of 7 regions.",
        },
        effect_table(y, design, np.array([1.0, -1.0, 0.0]), REGIONS),
        values,
    )
    values = pd.DataFrame(
        {"participant_id": who[:n1], "session_id": "n/a", "irls_total": irls, "age": age[:n1]}
    )
    values[columns] = y[:n1]
    design = np.column_stack([np.ones(n1), irls, age[:n1]])
    answer(
        out / "group" / "question-severity",
        "irlsTotal",
        {
            **base,
            "n": n1,
            "question": {"name": "severity", **questions["severity"]},
            "effect": "irls_total",
            "results": "VT fell with irls_total in 6 of 7 regions after correction.",
        },
        effect_table(y[:n1], design, np.array([0.0, 1.0, 0.0]), REGIONS),
        values,
    )
    _retest(out, rng, people, base, questions)
    _voxels(out, rng, base, questions, irls)


def _retest(
    out: Path,
    rng: np.random.Generator,
    people: int,
    base: dict[str, Any],
    questions: dict[str, Any],
) -> None:
    columns = [f"gtmseg:{r}" for r in REGIONS]
    for method in METHODS:
        level = rng.normal(1.6, 0.25, (people, 1)) + 0.1 * np.arange(len(REGIONS))
        a, b = level + rng.normal(0, 0.06, level.shape), level + rng.normal(0, 0.06, level.shape)
        values = pd.DataFrame(
            {
                "participant_id": [f"sub-{k + 7:02d}" for k in range(people)] * 2,
                "session_id": ["test"] * people + ["retest"] * people,
            }
        )
        values[columns] = np.vstack([a, b])
        d = b - a
        trt = 100 * np.mean(np.abs(d) / ((a + b) / 2), axis=0)
        bias, sd = d.mean(axis=0), d.std(axis=0, ddof=1)
        table = pd.DataFrame(
            {
                "region": columns,
                "n": people,
                "k": 2,
                "mean": (a + b).mean(axis=0) / 2,
                "unit": "mL/cm3",
                "trt": trt,
                "trt_low": trt * 0.6,
                "trt_high": trt * 1.5,
                "icc31": 0.93,
                "icc31_low": 0.62,
                "icc31_high": 0.99,
                "icc11": 0.92,
                "icc11_low": 0.6,
                "icc11_high": 0.99,
                "bias": bias,
                "bias_low": bias - sd,
                "bias_high": bias + sd,
                "loa_low": bias - 1.96 * sd,
                "loa_low_low": bias - 3 * sd,
                "loa_low_high": bias - sd,
                "loa_high": bias + 1.96 * sd,
                "loa_high_low": bias + sd,
                "loa_high_high": bias + 3 * sd,
                "sd_within": sd / np.sqrt(2),
                "note": np.nan,
            }
        )
        answer(
            out / "group" / f"question-retest{method.capitalize()}",
            "testRetest",
            {
                **base,
                "kind": "reliability",
                "effect": "test-retest",
                "question": {"name": "retest", **questions["retest"], "method": method},
                "results": "VT changed by 3.1 % from test to retest (median of 7 regions).",
            },
            table,
            values,
        )


def _voxels(
    out: Path,
    rng: np.random.Generator,
    base: dict[str, Any],
    questions: dict[str, Any],
    irls: np.ndarray,
) -> None:
    from scipy.ndimage import gaussian_filter

    from ekbom.space.template import template

    known = template(4.0)
    brain = known.brain
    noise = gaussian_filter(rng.normal(size=brain.shape), 1.6)
    t = np.where(brain, noise / noise[brain].std(), 0.0)
    world = (
        np.moveaxis(np.indices(brain.shape), 0, -1) @ known.grid.affine[:3, :3].T
        + known.grid.affine[:3, 3]
    )
    for at in ((6, -14, 6), (-38, 8, -4), (2, 30, 24)):
        t -= np.where(brain, 7.5 * np.exp(-((world - at) ** 2).sum(-1) / (2 * 8.0**2)), 0)
    p = np.where(brain, np.clip(np.exp(-((np.abs(t) / 3.2) ** 3)), 1e-4, 1.0), 0.0)
    folder = out / "group" / "question-severityMap"
    folder.mkdir(parents=True)
    for name, values in (
        ("stat-t_statmap", t),
        ("pmap-fweMaxT_statmap", -np.log10(np.where(brain, p, 1.0))),
    ):
        image = nib.Nifti1Image(values.astype(np.float32), known.grid.affine)
        nib.save(image, folder / f"space-{known.space}_desc-irlsTotal_{name}.nii.gz")
    peaks = pd.DataFrame(
        {
            "peak": [1, 1, 1],
            "cluster": [1, 2, 3],
            "x": [6.0, -38.0, 2.0],
            "y": [-14.0, 8.0, 30.0],
            "z": [6.0, -4.0, 24.0],
            "label": ["Thalamus medial", "Insula", "Anterior cingulate"],
            "k_vox": [84, 66, 71],
            "T": [-8.1, -7.4, -7.0],
            "effect": [-0.21, -0.19, -0.17],
            "ci_low": [-0.27, -0.25, -0.23],
            "ci_high": [-0.15, -0.13, -0.11],
            "p_unc": [1e-6, 3e-6, 8e-6],
            "p_maxT": [0.0004, 0.0012, 0.0031],
        }
    )
    tsv(folder / "desc-irlsTotal_peaks.tsv", peaks)
    values = pd.DataFrame(
        {
            "participant_id": [f"sub-{k + 1:02d}" for k in range(len(irls))],
            "session_id": "n/a",
            "irls_total": irls,
        }
    )
    for k in (1, 2, 3):
        values[f"peak-{k}.1"] = 20 - 0.2 * irls + rng.normal(0, 0.8, len(irls))
    tsv(folder / "desc-irlsTotal_values.tsv", values)
    (folder / "answer.json").write_text(
        json.dumps(
            as_left(
                {
                    **base,
                    "kind": "voxels",
                    "n": len(irls),
                    "question": {"name": "severityMap", **questions["severityMap"]},
                    "effect": "irls_total",
                    "results": "VT fell with irls_total at 3 peaks after family-wise correction.",
                },
                "irlsTotal",
            )
        )
    )


if __name__ == "__main__":
    import sys

    make(Path(sys.argv[1]), people=12 if "--large" in sys.argv else 6)
