"""A question over voxels: statistic maps, peaks and words."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats

from ekbom.errors import Refused
from ekbom.inference import words
from ekbom.inference.answer import Answer
from ekbom.inference.clusters import APART, CONNECTIVITY, Cluster, clusters, highest
from ekbom.inference.columns import WHO, chosen, influence_columns, peak_columns
from ekbom.inference.effects import effect_sizes
from ekbom.inference.glm import Fit, fit
from ekbom.inference.influence import Influence, influence
from ekbom.inference.multiple import benjamini_hochberg
from ekbom.inference.permute.engine import Permuted, permute
from ekbom.inference.prepare import SESSION
from ekbom.inference.question import (
    Question,
    ask,
    common_meta,
    design_table,
    labels,
    least,
    p_of,
    size_columns,
)
from ekbom.inference.settings import Settings
from ekbom.nouns import Column, Map, Table

Label = Callable[[float, float, float], str]
"""Name of the region at x, y, z mm."""


@dataclass(frozen=True)
class Tally:
    """How many voxels each rule of the mask removed."""

    given: int
    not_finite: int
    zero: int
    constant: int
    used: int

    def as_dict(self) -> dict[str, int]:
        """Return the numbers by name."""
        return dict(vars(self))


@dataclass(frozen=True)
class Listed:
    """A row of the peak table: which cluster, which peak, which voxel (masked index)."""

    cluster: int
    peak: int
    voxel: int
    sign: int
    size: int

    @property
    def name(self) -> str:
        """Name of the peak in other tables, ``peak-1.2``."""
        return f"peak-{self.cluster}.{self.peak}"


def answer_voxels(
    values: NDArray[np.floating[Any]],
    mask: NDArray[np.bool_],
    affine: NDArray[np.float64],
    unit: str,
    table: pd.DataFrame,
    formula: str,
    test: str,
    settings: Settings | None = None,
    label: Label | None = None,
    space: str = "unknown",
    outcome: str = "V_T",
    *,
    zero: str = "drop",
    workers: int = 1,
) -> Answer:
    """Answer a question over the voxels of a mask.

    Parameters
    ----------
    values : (n, V) float32 or float64
        One row a scan, one column a voxel, in C order of ``mask``.
    mask : (X, Y, Z) bool
        Mask with V voxels.
    affine : (4, 4) float
        Index to RAS+ mm.
    unit : str
        Unit of the values.
    table : pandas.DataFrame
        n rows: ``participant``, perhaps ``session``, and the names of the formula.
    formula, test : str
        Model and named effect.
    settings : Settings, optional
        Method, permutations, seed, level, sign, forming threshold.
    label : callable, optional
        ``label(x, y, z)`` in mm gives the name of the region there.
    space : str
        BIDS label of the space of the maps.
    outcome : str
        What the values are, for the words.
    zero : {"drop", "keep"}
        Whether a voxel that is exactly 0 in anybody leaves the mask.
    workers : int
        Threads of the permutation; the answer does not depend on them.

    Returns
    -------
    Answer
        Tables ``peaks``, ``values`` (at the peaks), ``influence`` (at the peaks) and
        ``design``; maps of statistic, z, effect, standard error, mask, and -log10 p
        corrected by Bonferroni and by the permuted maximum; words; meta.

    Raises
    ------
    Refused
        For what is wrong with formula, effect, table or values, by name.
    """
    settings = settings or Settings()
    values, mask = np.asarray(values), np.asarray(mask, dtype=bool)
    affine = np.asarray(affine, dtype=np.float64)
    if values.dtype != np.float32:
        values = values.astype(np.float64)
    if values.shape != (len(table), int(mask.sum())) or mask.ndim != 3:
        raise ValueError(f"values {values.shape}: {len(table)} rows, mask of {int(mask.sum())}")
    question = ask(table, formula, test, unit, settings)
    kept = values[question.design.kept]
    good, tally = _usable(kept, zero)
    kept = np.ascontiguousarray(kept[:, good])
    within = mask.copy()
    within[mask] = good
    found = fit(kept, question.model)
    permuted = (
        permute(kept, question.model, settings, blocks=question.blocks, workers=workers)
        if settings.method == "max-t"
        else None
    )
    warnings = [*question.warnings]
    if permuted is not None:
        warnings += words.few_relabellings(permuted.plan, settings)
    maps = _maps(question, found, permuted, within, affine, space)
    forming = forming_threshold(found, settings)
    listed = _listed(found, within, affine, settings, forming)
    at_peaks = np.ascontiguousarray(kept[:, [row.voxel for row in listed]])
    small = fit(at_peaks, question.model)
    left_out = influence(at_peaks, question.model, small)
    frame = _peaks(
        question, listed, found, small, left_out, permuted, within, affine, label, tally.used
    )
    tables = (
        frame,
        _values(question, listed, at_peaks),
        _influence(question, listed, small, left_out),
        design_table(question.design, question.effect, question.model),
    )
    meta = common_meta(question, found, permuted, warnings, outcome)
    meta |= {
        "kind": "voxels",
        "space": space,
        "mask": tally.as_dict(),
        "zero": zero,
        "voxel_mm3": _volume(affine),
        "forming_p": settings.forming_p,
        "forming_threshold": forming,
        "connectivity": CONNECTIVITY,
        "peaks_apart_mm": APART,
        "bonferroni_threshold": bonferroni_threshold(found, settings, tally.used),
        "labelled": label is not None,
    }
    facts = words.Facts(question, outcome, frame.frame, permuted, tuple(warnings), "voxels", meta)
    return Answer(
        "voxels",
        question.effect.name,
        tables,
        tuple(maps),
        words.methods(facts),
        words.voxel_results(facts),
        meta,
    )


def forming_threshold(found: Fit, settings: Settings) -> float:
    """Return the statistic above which voxels are joined into clusters."""
    if found.kind == "F":
        return float(stats.f.isf(settings.forming_p, found.df1, found.df))
    return float(special.stdtrit(found.df, 1.0 - settings.forming_p))


def bonferroni_threshold(found: Fit, settings: Settings, voxels: int) -> float:
    """Return the statistic with Bonferroni-corrected p of alpha."""
    p = settings.alpha / voxels
    if found.kind == "F":
        return float(stats.f.isf(p, found.df1, found.df))
    return float(stats.t.isf(p / 2 if settings.sign == "two-sided" else p, found.df))


def _usable(kept: NDArray[np.floating[Any]], zero: str) -> tuple[NDArray[np.bool_], Tally]:
    finite = np.isfinite(kept).all(axis=0)
    absent = finite & (kept == 0).any(axis=0) if zero == "drop" else np.zeros_like(finite)
    spread = np.zeros(len(finite), bool)
    rest = finite & ~absent
    spread[rest] = np.ptp(kept[:, rest], axis=0) > 0
    constant = rest & ~spread
    good = rest & spread
    if not good.any():
        raise Refused(
            "No voxel of the mask has a value in everybody.",
            field="mask",
            found=f"{len(finite)} voxels: {int((~finite).sum())} not finite, "
            f"{int(absent.sum())} zero in somebody, {int(constant.sum())} constant",
            expected="maps that cover the same brain",
            mend="check that the maps are in the same space and cover the mask",
        )
    counts = (len(finite), int((~finite).sum()), int(absent.sum()), int(constant.sum()))
    return good, Tally(*counts, used=int(good.sum()))


def _maps(
    question: Question,
    found: Fit,
    permuted: Permuted | None,
    mask: NDArray[np.bool_],
    affine: NDArray[np.float64],
    space: str,
) -> list[Map]:
    settings = question.settings
    log_p = found.log_p(settings.sign)
    bonferroni = -np.minimum(log_p + math.log(len(log_p)), 0.0) / math.log(10.0)
    stat = found.kind.lower() if found.kind == "t" else "F"
    wanted: list[tuple[str, NDArray[Any], str, str]] = [
        (f"stat-{stat}_statmap", found.statistic, "", f"{found.kind} statistic"),
        ("stat-z_statmap", found.z, "", "normal deviate with the same tail probability"),
    ]
    if found.kind == "t":
        wanted += [
            ("beta_statmap", found.estimate[0], question.effect_unit, question.effect.meaning),
            ("se_statmap", found.se, question.effect_unit, "standard error of the effect"),
        ]
    wanted += [
        ("mask_statmap", np.ones(len(log_p)), "", "voxels that were tested"),
        ("pmap-fweBonferroni_statmap", bonferroni, "-log10 p", "corrected by Bonferroni"),
    ]
    if permuted is not None:
        p = -np.log10(permuted.p_corrected)
        wanted.append(("pmap-fweMaxT_statmap", p, "-log10 p", "corrected by the permuted maximum"))
    out = []
    for name, values, unit, meaning in wanted:
        volume = np.zeros(mask.shape, np.float32)
        volume[mask] = np.nan_to_num(values + 0.0, nan=0.0)
        out.append(
            Map(
                name=name,
                values=volume,
                affine=affine,
                unit=unit or "1",
                space=space,
                parameter=name.removesuffix("_statmap"),
                method="glm",
                meta={"Description": meaning, "df": found.df, "n": question.model.n},
            )
        )
    return out


def _listed(
    found: Fit,
    mask: NDArray[np.bool_],
    affine: NDArray[np.float64],
    settings: Settings,
    forming: float,
) -> list[Listed]:
    signs = {"two-sided": (1, -1), "positive": (1,), "negative": (-1,)}[settings.sign]
    if found.kind == "F":
        signs = (1,)
    joined: list[Cluster] = clusters(found.statistic, mask, affine, forming, signs=signs)
    if not joined:  # the largest maxima are shown all the same, as belonging to no cluster
        return [
            Listed(0, i, highest(found.statistic, sign), sign, 0)
            for i, sign in enumerate(signs, start=1)
        ]
    return [
        Listed(c, p, voxel, cluster.sign, cluster.size)
        for c, cluster in enumerate(joined, start=1)
        for p, voxel in enumerate(cluster.peaks, start=1)
    ]


def _peaks(
    question: Question,
    listed: list[Listed],
    found: Fit,
    small: Fit,
    left_out: Influence,
    permuted: Permuted | None,
    mask: NDArray[np.bool_],
    affine: NDArray[np.float64],
    label: Label | None,
    voxels: int,
) -> Table:
    settings = question.settings
    place = np.argwhere(mask)
    p = found.p(settings.sign)
    fdr = benjamini_hochberg(p)
    z = found.z
    rows = []
    for j, row in enumerate(listed):
        v = row.voxel
        x, y, w = (float(c) for c in affine[:3, :3] @ place[v] + affine[:3, 3])
        out: dict[str, Any] = {
            "cluster": row.cluster, "peak": row.peak, "sign": row.sign,
            "x": x, "y": y, "z": w, "label": label(x, y, w) if label else "n/a",
            "k_vox": row.size, "k_mm3": row.size * _volume(affine),
        }  # fmt: skip
        size = effect_sizes(small, question.model, question.effect, j, settings.interval)
        if found.kind == "t":
            out |= {
                "T": found.statistic[v], "Z": z[v], "df": found.df,
                "effect": found.estimate[0, v], "unit": question.effect_unit, "se": found.se[v],
                "ci_low": size.ci[0], "ci_high": size.ci[1],
            }  # fmt: skip
        else:
            out |= {"F": found.statistic[v], "df1": found.df1, "Z": z[v], "df": found.df}
        out |= {"p_unc": p[v], "p_bonf": min(p[v] * voxels, 1.0), "p_fdr": fdr[v]}
        if permuted is not None:
            out["p_maxT"] = permuted.p_corrected[v]
        out |= size_columns(size, found.kind == "F")
        stat, _, who = least(small, left_out, j, settings.sign)
        out |= {"loo_stat": stat, "loo_subject": who, "n": question.model.n, "selected": True}
        rows.append(out)
    frame = pd.DataFrame(rows)
    for group in (("g", "g_low", "g_high"), ("percent", "percent_low", "percent_high")):
        if group[0] in frame and frame[list(group)].isna().all(axis=None):
            frame = frame.drop(columns=list(group))
    meanings = peak_columns(
        question.unit, question.effect_unit, round(100 * settings.interval), labels(question)
    )
    return Table("peaks", frame, chosen(meanings, frame.columns))


def _values(question: Question, listed: list[Listed], at_peaks: NDArray[np.floating[Any]]) -> Table:
    design = question.design
    shown = design.table.drop(columns=[c for c in (SESSION,) if c in design.table])
    names = [row.name for row in listed]
    frame = pd.concat(
        [
            pd.DataFrame({"participant_id": design.participants, "session_id": design.sessions}),
            shown.reset_index(drop=True),
            pd.DataFrame(at_peaks, columns=names),
        ],
        axis=1,
    )
    meanings = dict(WHO)
    meanings |= {str(c): Column("Covariate or factor, as it was read") for c in shown.columns}
    meanings |= {n: Column("Value at the peak (cluster.peak)", question.unit) for n in names}
    return Table("values", frame, meanings)


def _influence(question: Question, listed: list[Listed], small: Fit, left_out: Influence) -> Table:
    rows = []
    for j, row in enumerate(listed):
        p = p_of(small, left_out.statistic[:, j], left_out.df, question.settings.sign)
        rows += [
            {
                "region": row.name,
                "participant_id": person,
                "effect_without": left_out.estimate[i, j] if small.kind == "t" else math.nan,
                "stat_without": left_out.statistic[i, j],
                "df_without": int(left_out.df[i]),
                "p_without": p[i],
                "dfbetas": left_out.dfbetas[i, j],
                "cook": left_out.cook[i, j],
            }
            for i, person in enumerate(left_out.people)
        ]
    meanings = influence_columns(question.effect_unit, small.kind)
    return Table("influence", pd.DataFrame(rows), meanings)


def _volume(affine: NDArray[np.float64]) -> float:
    return round(abs(float(np.linalg.det(affine[:3, :3]))), 6)
