"""Words of a question over voxels: mask, scaling, variance, field, enhancement, findings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from ekbom.inference.rft import RandomField
from ekbom.inference.words import Facts, count, number, p_text, sentence

HOW = {
    "p_tfce": "corrected over voxels by permutation of the largest TFCE",
    "p_maxT": "corrected over voxels by permutation of the maximum",
    "p_rft_peak": "corrected over voxels by the random field or Bonferroni, the less of them",
    "p_bonf": "corrected over voxels by Bonferroni",
}
"""Corrected p that a method speaks of."""


def column_of(method: str, frame: pd.DataFrame) -> str:
    """Return the corrected p that the words of a method speak of."""
    wanted = {"tfce": "p_tfce", "max-t": "p_maxT", "rft": "p_rft_peak"}.get(method, "p_bonf")
    return wanted if wanted in frame else "p_bonf"


def search(facts: Facts) -> str:
    """Return what was searched and how, for the methods paragraph."""
    meta = facts.meta
    out = [_mask(meta)]
    out += _global(meta)
    settings = facts.question.settings
    if meta["variance"] == "pooled":
        held = ", ".join(f"{k} {v:.2f}" for k, v in meta["group_variances"].items())
        out.append(
            "Groups were given variances of their own, pooled over voxels by restricted maximum "
            f"likelihood (relative: {held}), and rows were weighted by them, the same everywhere."
        )
    elif meta["variance"] == "voxel":
        out.append(
            "Groups were given variances of their own at each voxel: the statistic is the "
            "Aspin-Welch v (G for joint tests) with its own degrees of freedom; sizes and "
            "influence are those of least squares."
        )
    if "shrinkage" in meta:
        wild = meta["shrinkage"]
        out.append(
            "As SPM does in PET, a thousandth of the largest residual variance "
            f"({number(wild['largest_variance'])} at {wild['at_mm']} mm) was added everywhere."
        )
    field = meta["field"]
    if field["used"]:
        wide = " x ".join(f"{w:.1f}" for w in field["fwhm_mm"])
        factor = "with" if field["convention"] == "unbiased" else "without"
        out.append(
            f"The residuals had a smoothness of {wide} mm FWHM ({factor} Kiebel's factor), the "
            f"mask {field['resels'][3]:.0f} resels. Random-field p of peaks is never above "
            "Bonferroni's; that of clusters uses local resels."
        )
    else:
        out.append(f"Random-field theory was not used ({field['why']}).")
    if "tfce" in meta:
        t = meta["tfce"]
        on = {"t": "the statistic", "z": "its normal deviate"}[t["on"]]
        mass = "excess over the threshold" if t["mass"] == "excess" else "statistic"
        out.append(
            f"TFCE (E {t['E']:g}, H {t['H']:g}, connectivity {t['connectivity']}, on {on}, each "
            "sign apart) was integrated exactly; cluster extent and mass (sum of the "
            f"{mass}) came from the same relabellings."
        )
    for volume in meta.get("volumes", ()):
        when = "after the data had been seen" if volume["post_hoc"] else "beforehand"
        out.append(
            f"The search volume {volume['name']} ({volume['shape']}, {volume['voxels']} voxels) "
            f"was declared {when}."
        )
    if settings.preset == "spm":
        out.append("Zeros of the maps were kept as values, as SPM does with float images.")
    return " ".join(out)


def results(facts: Facts, space: RandomField | None) -> str:
    """Return the results paragraph of a voxel question."""
    q, settings = facts.question, facts.question.settings
    frame = facts.frame
    column = column_of(settings.method, frame)
    how = HOW[column]
    found = frame[frame[column] <= settings.alpha]
    name = f"`{q.effect.name}`"
    out = []
    if len(found) == 0:
        best = frame.iloc[int(frame["p_unc"].to_numpy().argmin())]
        out.append(
            f"{name}: no voxel was significant at {settings.alpha:g} ({how}). The largest "
            f"statistic was at {_place(best)}: {sentence(_as_region(best), q, column)}. "
            "This does not show that there is no effect."
        )
    else:
        n = len(set(found["cluster"]))
        out.append(
            f"{name}: {count(len(found), 'listed peak')} in {count(n, 'cluster')} significant "
            f"at {settings.alpha:g} ({how})."
        )
        shown = found.drop_duplicates("cluster").head(8)
        out += [
            f"{_place(row)}: {sentence(_as_region(row), q, column)}." for _, row in shown.iterrows()
        ]
        if n > len(shown):
            out.append(f"The table lists {n - len(shown)} more clusters.")
        out.append("Voxels that were not significant are not shown to be without the effect.")
    others = [
        f"{label} {int((frame[key] <= settings.alpha).sum())}"
        for key, label in (
            ("p_rft_peak", "random field (peak)"), ("p_rft_cluster", "random field (cluster)"),
            ("p_maxT", "permuted maximum"), ("p_tfce", "TFCE"), ("p_extent", "permuted extent"),
            ("p_mass", "permuted mass"),
        )
        if key in frame and key != column
    ]  # fmt: skip
    if others:
        out.append(f"Listed peaks at {settings.alpha:g} by the others: {', '.join(others)}.")
    out.append(_reach(facts, space))
    out += _volumes(facts)
    out += list(facts.warnings)
    return " ".join(out)


def _reach(facts: Facts, space: RandomField | None) -> str:
    q, meta, alpha = facts.question, facts.meta, facts.question.settings.alpha
    stat, limit, df = q.effect.kind, meta["bonferroni_threshold"], q.model.df

    def partial(t: float) -> str:
        return f" (|r| {abs(t) / math.sqrt(t**2 + df):.2f})" if stat == "t" else ""

    reach = f"Bonferroni over {meta['mask']['used']} voxels asks for {stat} {limit:.2f}"
    reach += partial(limit)
    if space is not None:
        t = space.threshold(alpha)[2]
        reach += f", the random field for {t:.2f}{partial(t)}"
    if facts.permuted is not None and math.isfinite(facts.permuted.threshold):
        t = facts.permuted.threshold
        reach += f", the permuted maximum for {t:.2f}"
        reach += partial(t) if q.settings.on == "t" else " (as a normal deviate)"
    return reach + "."


def _volumes(facts: Facts) -> list[str]:
    table = facts.meta.get("volume_rows", ())
    out = []
    for row in table:
        text = f"In {row['volume']}: {facts.question.effect.kind} {row['stat']:.2f}, p "
        text += f"{p_text(row['p_svc'])} ({row['rule']})"
        if "p_maxT_svc" in row:
            text += f", by permutation {p_text(row['p_maxT_svc'])}, TFCE "
            text += p_text(row["p_tfce_svc"])
        if len(table) > 1:
            text += f"; over the {len(table)} volumes {p_text(row['p_svc_holm'])} by Holm"
        out.append(text + (" (declared after the data were seen)." if row["post_hoc"] else "."))
    return out


def _mask(meta: Mapping[str, Any]) -> str:
    m = meta["mask"]
    removed = [
        f"{m[key]} {word}"
        for key, word in (
            ("not_finite", "not finite in somebody"),
            ("zero", "0 in somebody"),
            ("under_threshold", "under the threshold in somebody"),
            ("constant", "constant"),
        )
        if m.get(key)
    ]
    left = f" (of {m['given']}; left out: {', '.join(removed)})" if removed else ""
    return (
        f"{m['used']} voxels of {meta['voxel_mm3']:g} mm3 in space {meta['space']} were tested"
        f"{left}. Clusters were formed above {meta['forming_threshold']:.2f} "
        f"(connectivity {meta['connectivity']})."
    )


def _global(meta: Mapping[str, Any]) -> list[str]:
    told = meta["global"]
    if told is None:
        return []
    words = {
        "none": "Maps were not scaled.",
        "proportional": f"Maps were scaled to a global mean of {told.get('target', 0):g}.",
        "ancova": "The global mean was a covariate.",
    }[told["scaling"]]
    if "groups" in told:
        means = ", ".join(f"{k} {number(v['mean'])}" for k, v in told["groups"].items())
    else:
        means = number(told["mean"])
    test = f"the asked effect on it has p {p_text(told['p'])}"
    caution = ""
    if told["scaling"] == "proportional" and told["p"] < 0.05:
        caution = " Scaling took that part of the effect away."
    return [f"{words} Global mean: {means}; {test}.{caution}"]


def _place(row: pd.Series[Any]) -> str:
    where = f"x {row['x']:.0f}, y {row['y']:.0f}, z {row['z']:.0f} mm"
    return where if row["label"] == "n/a" else f"{row['label']} ({where})"


def _as_region(row: pd.Series[Any]) -> pd.Series[Any]:
    return row.rename({"T": "t", "p_unc": "p"})
