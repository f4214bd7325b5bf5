"""A question over voxels: statistic maps, peaks and words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from ekbom.errors import Refused
from ekbom.inference import scaling, variance, voxelwords, words
from ekbom.inference.answer import Answer
from ekbom.inference.clusters import APART, clusters
from ekbom.inference.correlation import influence_of, scored
from ekbom.inference.glm import Fit
from ekbom.inference.lattice import lattice
from ekbom.inference.masking import Tally, usable
from ekbom.inference.permute.engine import Permuted, permute
from ekbom.inference.permute.spatial import (
    Exchanged,
    Maps,
    Spatial,
    permute_maps,
    rounding_of,
)
from ekbom.inference.question import Question, ask, common_meta, design_table
from ekbom.inference.searched import (
    Field,
    Label,
    Searched,
    field_of,
    forming_threshold,
    permuted_forming,
)
from ekbom.inference.settings import Settings
from ekbom.inference.volumes import search_volumes
from ekbom.inference.voxelmaps import maps_of
from ekbom.inference.voxeltables import (
    AtPeaks,
    cluster_table,
    influence_table,
    listed_peaks,
    null_table,
    peak_table,
    signs_of,
    value_table,
    volume_table,
)


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
    zero: str | None = None,
    workers: int = 1,
    volume_images: Mapping[str, NDArray[np.bool_]] | None = None,
    kept: MutableMapping[int, NDArray[np.float64]] | None = None,
    tell: Callable[[int, int], None] = lambda done, whole: None,
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
    zero : {"drop", "keep"}, optional
        As in :class:`Settings`, which it overrides.
    workers : int
        Threads of the permutation; the answer does not depend on them.
    volume_images : mapping of str to (X, Y, Z) bool, optional
        Images of declared volumes that are masks, by name of the volume.
    kept : mutable mapping, optional
        Finished chunks of a permutation of maps (see
        :func:`~ekbom.inference.permute.spatial.permute_maps`).
    tell : callable
        Told the progress of it.

    Returns
    -------
    Answer
        Tables ``peaks``, ``clusters``, ``volumes``, ``values`` and ``influence`` (at the
        peaks), ``null`` and ``design``; maps of statistic, z, effect, standard error, mask,
        resels a voxel, TFCE, and -log10 p by Bonferroni and the permuted maxima; words; meta.

    Raises
    ------
    Refused
        For what is wrong with formula, effect, table or values, by name.
    """
    settings = settings or Settings()
    if zero is not None:
        settings = replace(settings, zero=zero)  # type: ignore[arg-type]
    _possible(settings)
    values, mask = np.asarray(values), np.asarray(mask, dtype=bool)
    affine = np.asarray(affine, dtype=np.float64)
    if values.dtype != np.float32:
        values = values.astype(np.float64)
    if values.shape != (len(table), int(mask.sum())) or mask.ndim != 3:
        raise ValueError(f"values {values.shape}: {len(table)} rows, mask of {int(mask.sum())}")
    question = ask(table, formula, test, unit, settings)
    rows = values[question.design.kept]
    good, tally = usable(rows, settings)
    faults = _not_finite(rows, question)
    rows = np.ascontiguousarray(rows[:, good])
    within = mask.copy()
    within[mask] = good
    means = scaling.global_means(rows, settings.global_mean)
    about_global = scaling.told(means, question, settings) if question.model.df > 1 else None
    if settings.scaling == "proportional":
        rows = scaling.proportional(rows, means, settings.target)
    elif settings.scaling == "ancova":
        both = scaling.with_global(table, question.design.kept, means)
        question = ask(both, f"{formula} + {scaling.COLUMN}", test, unit, settings)
    extra: dict[str, Any] = {}
    maps: Maps | None = None
    if settings.variance == "pooled":
        label_of = variance.groups_of(question.design, question.model, settings)
        weighted, h = variance.pooled(rows, question.model, label_of)
        question = replace(question, model=weighted)
        extra["group_variances"] = _by_level(question, settings, h)
    scores, made, found = scored(rows, question)
    if settings.variance == "voxel":
        label_of = variance.groups_of(question.design, question.model, settings)
        welch = variance.Welch(rows, question.model, label_of, settings)
        found, maps = welch.fitted(found), welch
    if settings.shrinkage:
        found, where, largest = variance.shrunk(found)
        place = affine[:3, :3] @ np.argwhere(within)[where] + affine[:3, 3]
        extra["shrinkage"] = {"largest_variance": largest, "at_mm": place.round(3).tolist()}
    asked = replace(question, model=made)
    field = field_of(scores, asked, found, within, affine)
    if settings.method == "rft" and field.space is None:
        raise Refused(
            "Random-field theory cannot be used on these maps.",
            field="inference.method",
            found=field.why,
            expected="smooth maps (FWHM of 2 voxels or more), in three dimensions",
            mend='use method = "tfce" or "max-t", or smooth the maps',
        )
    volumes = search_volumes(settings.volumes, within, affine, _cut(volume_images, mask), label)
    forming = forming_threshold(found, settings)
    spatial: Spatial | None = None
    permuted: Permuted | None = None
    if settings.method == "tfce" or (settings.method == "max-t" and (volumes or maps is not None)):
        if maps is None:
            maps = Exchanged(scores, made, settings, question.blocks)
        spatial = permute_maps(
            maps,
            lattice(within, settings.connectivity),
            settings,
            forming=permuted_forming(found, settings),
            volumes=[(v.name, v.inside) for v in volumes],
            joint=found.kind == "F",
            df=found.df,
            rounding=rounding_of(scores),
            workers=workers,
            enough=settings.enough,
            kept=kept,
            tell=tell,
        )
        permuted = spatial.permuted()
    elif settings.method == "max-t":
        permuted = permute(scores, made, settings, blocks=question.blocks, workers=workers)
    warnings = [*question.warnings, *faults, *field.warnings]
    if permuted is not None:
        warnings += words.few_relabellings(permuted.plan, settings)
    if tally.zeros_kept:
        warnings.append(
            f"{tally.zeros_kept} voxels are exactly 0 in somebody and were kept as values."
        )
    joined = clusters(
        found.statistic,
        within,
        affine,
        forming,
        signs=signs_of(found, settings.sign),
        connectivity=settings.connectivity,
    )
    s = Searched(
        question, found, field, permuted, spatial, joined, forming, within, affine, tally, volumes,
        label,
    )  # fmt: skip
    listed = listed_peaks(s)
    at_values = np.ascontiguousarray(rows[:, [row.voxel for row in listed]])
    at_scores, _, small = scored(at_values, question)
    left_out = influence_of(at_values, at_scores, question, made)
    at = AtPeaks(listed, at_values, small, left_out)
    peaks = peak_table(s, at)
    in_volumes = volume_table(s, at)
    tables = (
        peaks,
        cluster_table(s),
        in_volumes,
        value_table(question, at),
        influence_table(question, at),
        null_table(s),
        design_table(question.design, question.effect, question.model),
    )
    meta = common_meta(question, found, permuted, warnings, outcome, "voxels")
    meta |= _about(s, space, about_global, extra)
    if in_volumes is not None:
        told = in_volumes.frame.assign(stat=in_volumes.frame[found.kind.upper()])
        meta["volume_rows"] = [
            {str(k): v for k, v in row.items() if k in _TOLD} for row in told.to_dict("records")
        ]
    facts = words.Facts(question, outcome, peaks.frame, permuted, tuple(warnings), "voxels", meta)
    return Answer(
        "voxels",
        question.effect.name,
        tuple(made for made in tables if made is not None),
        tuple(maps_of(s, space)),
        words.methods(facts, voxelwords.search(facts)),
        voxelwords.results(facts, s.field.space),
        meta,
    )


_TOLD = ("volume", "stat", "rule", "p_svc", "p_svc_holm", "p_maxT_svc", "p_tfce_svc", "post_hoc")


def bonferroni_threshold(found: Fit, settings: Settings, voxels: int) -> float:
    """Return the statistic with Bonferroni-corrected p of alpha.

    Parameters
    ----------
    found : Fit
        Its kind of statistic and degrees of freedom.
    settings : Settings
        ``alpha`` and ``sign``.
    voxels : int
        How many are tested.

    Returns
    -------
    float
        t or F.
    """
    p = settings.alpha / voxels
    if found.kind == "F":
        return float(stats.f.isf(p, found.df1, found.df))
    return float(stats.t.isf(p / 2 if settings.sign == "two-sided" else p, found.df))


def _not_finite(rows: NDArray[np.floating[Any]], question: Question) -> list[str]:
    """Name the scans that have voxels without a finite value."""
    design = question.design
    counts = (~np.isfinite(rows)).sum(axis=1)
    named = [
        f"{who}{'' if when == 'n/a' else ' ' + when} {count}"
        for who, when, count in zip(design.participants, design.sessions, counts, strict=True)
        if count
    ]
    return [f"Voxels that are not finite: {', '.join(named)}."] if named else []


def _possible(settings: Settings) -> None:
    permuting = settings.method in ("max-t", "tfce")
    wrong = None
    if settings.shrinkage and permuting:
        wrong = ("shrinkage", "permutation compares statistics without it")
    elif settings.shrinkage and settings.variance == "voxel":
        wrong = ("shrinkage", "variance = voxel")
    elif settings.correlation != "pearson" and settings.variance != "equal":
        wrong = ("correlation", f"variance = {settings.variance}")
    elif settings.exact:
        wrong = ("exact", "over = voxels")
    if wrong is not None:
        raise Refused(
            f"inference.{wrong[0]} does not go with the other choices.",
            field=f"inference.{wrong[0]}",
            found=wrong[1],
            expected="choices that can be had together",
            mend=f"leave {wrong[0]} out",
        )


def _cut(
    images: Mapping[str, NDArray[np.bool_]] | None, mask: NDArray[np.bool_]
) -> dict[str, NDArray[np.bool_]]:
    return {
        name: np.asarray(image, bool) for name, image in (images or {}).items()
        if image.shape == mask.shape
    }  # fmt: skip


def _by_level(question: Question, settings: Settings, h: NDArray[np.float64]) -> dict[str, float]:
    column = question.design.table[settings.variance_groups].astype(str)
    return {level: float(v) for level, v in zip(sorted(set(column)), h, strict=True)}


def _about(
    s: Searched, space: str, about_global: dict[str, Any] | None, extra: dict[str, Any]
) -> dict[str, Any]:
    settings, field = s.settings, s.field
    out: dict[str, Any] = {
        "kind": "voxels",
        "space": space,
        "mask": s.tally.as_dict(),
        "zero": "keep" if settings.keeps_zeros else "drop",
        "voxel_mm3": s.voxel_mm3,
        "forming_p": settings.forming_p,
        "forming_threshold": s.forming,
        "connectivity": settings.connectivity,
        "peaks_apart_mm": APART,
        "bonferroni_threshold": bonferroni_threshold(s.found, settings, s.tally.used),
        "labelled": s.label is not None,
        "global": about_global,
        "variance": settings.variance,
        "ResidualVarianceShrinkage": settings.shrinkage,
        "field": _field(field, settings.alpha),
        **extra,
    }
    if s.spatial is not None:
        out["tfce"] = {
            "E": settings.E, "H": settings.H, "connectivity": settings.connectivity,
            "on": settings.on, "mass": settings.mass,
            "threshold": {k: _finite(s.spatial.threshold(k)) for k in s.spatial.nulls},
        }  # fmt: skip
    if s.volumes:
        out["volumes"] = [
            {"name": v.name, "shape": v.meaning, "voxels": v.n, "post_hoc": v.post_hoc}
            for v in s.volumes
        ]
    return out


def _field(field: Field, alpha: float) -> dict[str, Any]:
    if field.space is None:
        return {"used": False, "why": field.why}
    assert field.smooth is not None
    threshold, rule, by_field, by_count = field.space.threshold(alpha)
    return {
        "used": True,
        "kind": field.space.kind,
        "convention": field.smooth.convention,
        "fwhm_vox": list(field.smooth.fwhm_vox),
        "fwhm_mm": list(field.smooth.fwhm_mm),
        "resels": field.space.resels.tolist(),
        "threshold": threshold,
        "rule": rule,
        "threshold_rf": by_field,
        "threshold_bonferroni": by_count,
    }


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


__all__ = ["Label", "Tally", "answer_voxels", "bonferroni_threshold", "forming_threshold"]
