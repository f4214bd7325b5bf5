"""Tables of a voxel question: peaks, clusters, declared volumes, values, influence, nulls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom.inference.clusters import highest
from ekbom.inference.columns import (
    WHO,
    chosen,
    cluster_columns,
    influence_columns,
    peak_columns,
    volume_columns,
)
from ekbom.inference.effects import effect_sizes
from ekbom.inference.glm import Fit
from ekbom.inference.influence import Influence
from ekbom.inference.multiple import holm
from ekbom.inference.permute.tail import TAIL, tail_p
from ekbom.inference.prepare import SESSION
from ekbom.inference.question import Question, labels, least, p_of, size_columns
from ekbom.inference.searched import Searched
from ekbom.nouns import Column, Table


@dataclass(frozen=True)
class Listed:
    """A row of the peak table: which cluster, which peak, which voxel (masked index)."""

    cluster: int
    peak: int
    voxel: int
    sign: int
    size: int
    volume: str = ""

    @property
    def name(self) -> str:
        """Name of the peak in other tables, ``peak-1.2``."""
        return f"volume-{self.volume}" if self.volume else f"peak-{self.cluster}.{self.peak}"


@dataclass(frozen=True)
class AtPeaks:
    """Fit and influence at the listed voxels."""

    listed: list[Listed]
    values: NDArray[np.floating[Any]]
    small: Fit
    left_out: Influence


def signs_of(found: Fit, sign: str) -> tuple[int, ...]:
    """Return the signs a question asks about."""
    if found.kind == "F":
        return (1,)
    return {"two-sided": (1, -1), "positive": (1,), "negative": (-1,)}[sign]


def listed_peaks(s: Searched) -> list[Listed]:
    """Return the peaks of all clusters, and the largest voxel of each volume."""
    signs = signs_of(s.found, s.settings.sign)
    stat = s.found.statistic
    out = [
        Listed(c, p, voxel, cluster.sign, cluster.size)
        for c, cluster in enumerate(s.clusters, start=1)
        for p, voxel in enumerate(cluster.peaks, start=1)
    ]
    if not out:  # the largest maxima are shown all the same, as belonging to no cluster
        out = [Listed(0, i, highest(stat, sign), sign, 0) for i, sign in enumerate(signs, start=1)]
    for volume in s.volumes:
        inside = np.flatnonzero(volume.inside & np.isfinite(stat))
        toward = stat[inside] * (signs[0] if len(signs) == 1 else np.sign(stat[inside]))
        voxel = int(inside[int(np.argmax(toward))])
        out.append(Listed(0, 0, voxel, 1 if stat[voxel] >= 0 else -1, 0, volume.name))
    return out


def peak_table(s: Searched, at: AtPeaks) -> Table:
    """Return one row a peak, with random-field and permutation p beside each other."""
    rows = []
    joint = s.found.kind == "F"
    for j, row in enumerate(at.listed):
        if row.volume:
            continue
        v = row.voxel
        x, y, z = s.mm(v)
        out: dict[str, Any] = {
            "cluster": row.cluster, "peak": row.peak, "sign": row.sign,
            "x": x, "y": y, "z": z, "label": s.name(v),
        }  # fmt: skip
        whole = s.extents[row.cluster - 1] if row.cluster else {"k_vox": 0, "k_mm3": 0.0}
        out |= {k: whole[k] for k in ("k_vox", "k_mm3", "k_resels", "k_rpv") if k in whole}
        out |= _estimate(s, at, j)
        out |= {
            "p_unc": s.p[v], "p_bonf": min(s.p[v] * s.tally.used, 1.0), "p_fdr": s.p_fdr[v],
        }  # fmt: skip
        if s.field.space is not None:
            p, rule = s.field.space.p_peak(abs(float(s.found.statistic[v])))
            out |= {"p_rft_peak": p, "rule": rule, "p_fdr_peak": s.by_height.get(v, math.nan)}
        for key in ("p_rft_cluster", "p_rft_cluster_fwhm", "p_fdr_cluster"):
            if s.extents and key in s.extents[0]:
                out[key] = whole.get(key, math.nan)
        if s.permuted is not None:
            out["p_maxT"] = s.permuted.p_corrected[v]
        if s.spatial is not None:
            out["p_tfce"] = s.spatial.p_tfce[v]
            out |= {key: whole.get(key, math.nan) for key in ("p_extent", "p_mass")}
        size = effect_sizes(at.small, s.question.model, s.question.effect, j, s.settings.interval)
        out |= size_columns(size, joint)
        stat, _, who = least(at.small, at.left_out, j, s.settings.sign)
        out |= {"loo_stat": stat, "loo_subject": who, "n": s.question.model.n, "selected": True}
        if s.spatial is not None:
            out |= {
                "connectivity": s.settings.connectivity, "E": s.settings.E, "H": s.settings.H,
                "enhanced_on": s.settings.on,
            }  # fmt: skip
        rows.append(out)
    frame = _with_tail(s, [row.voxel for row in at.listed if not row.volume], pd.DataFrame(rows))
    frame = _lean(frame)
    return Table("peaks", frame, chosen(_meanings(s), frame.columns))


def cluster_table(s: Searched) -> Table | None:
    """Return one row a cluster, or None when there is none."""
    if not s.clusters:
        return None
    rows = []
    for number, (cluster, whole) in enumerate(zip(s.clusters, s.extents, strict=True), start=1):
        weight = np.abs(s.found.statistic[cluster.voxels])
        centre = np.average(s.place[cluster.voxels], axis=0, weights=weight)
        # the mean of a curved cluster may lie outside it: the nearest of its voxels is told
        near = np.square(s.place[cluster.voxels] - centre).sum(axis=1)
        voxel = int(cluster.voxels[int(np.argmin(near))])
        x, y, z = s.mm(voxel)
        top = cluster.peaks[0]
        rows.append(
            {
                "cluster": number,
                "sign": cluster.sign,
                "x": x,
                "y": y,
                "z": z,
                "label": s.name(voxel),
                "peak_label": s.name(top),
                "top": float(s.found.statistic[top]),
                **whole,
            }
        )
    frame = pd.DataFrame(rows)
    meta: dict[str, Any] = {"forming_threshold": s.forming, "connectivity": s.settings.connectivity}
    space = s.field.space
    if space is not None and space.kind in ("Z", "T"):
        meta["expected_clusters"] = float(space.expected(s.forming))
        meta["p_set"] = space.p_set(len(rows), 0.0, s.forming)
    return Table("clusters", frame, chosen(cluster_columns(), frame.columns), meta)


def volume_table(s: Searched, at: AtPeaks) -> Table | None:
    """Return one row a declared volume, or None without one."""
    if not s.volumes:
        return None
    rows = []
    at_volume = [(j, row) for j, row in enumerate(at.listed) if row.volume]
    for (j, row), volume in zip(at_volume, s.volumes, strict=True):
        v = row.voxel
        x, y, z = s.mm(v)
        height = abs(float(s.found.statistic[v]))
        inner = s.field.inside(s.mask, volume.inside)
        out: dict[str, Any] = {
            "volume": volume.name, "shape": volume.meaning, "k_vox": volume.n,
            "k_mm3": volume.n * s.voxel_mm3, "x": x, "y": y, "z": z, "label": s.name(v),
        }  # fmt: skip
        out |= _estimate(s, at, j)
        out |= {"p_unc": s.p[v]}
        if inner is not None:
            p, rule = inner.p_peak(height)
            limit, _, _, _ = inner.threshold(s.settings.alpha)
            out |= {
                "resels": float(inner.resels[3]), "p_svc": p, "rule": rule, "threshold": limit,
            }  # fmt: skip
        else:
            out |= {"p_svc": min(s.p[v] * volume.n, 1.0), "rule": "Bonferroni"}
        if s.spatial is not None:
            toward = np.abs(s.spatial.enhanced[volume.inside]).max()
            out["p_maxT_svc"] = float(s.spatial.p(f"t:{volume.name}", _toward(s, v)))
            out["threshold_maxT"] = s.spatial.threshold(f"t:{volume.name}")
            out["p_tfce_svc"] = float(s.spatial.p(f"tfce:{volume.name}", toward))
        size = effect_sizes(at.small, s.question.model, s.question.effect, j, s.settings.interval)
        out |= size_columns(size, s.found.kind == "F")
        stat, _, who = least(at.small, at.left_out, j, s.settings.sign)
        out |= {"loo_stat": stat, "loo_subject": who, "n": s.question.model.n}
        out["post_hoc"] = volume.post_hoc
        rows.append(out)
    frame = _lean(pd.DataFrame(rows))
    for column in ("p_svc", "p_maxT_svc", "p_tfce_svc"):
        if column in frame:
            at_column = list(frame.columns).index(column) + 1
            frame.insert(at_column, f"{column}_holm", holm(frame[column].to_numpy(float)))
    return Table("volumes", frame, chosen(volume_columns(_meanings(s)), frame.columns))


def null_table(s: Searched) -> Table | None:
    """Return the maxima of every relabelling, the data first; None without TFCE."""
    if s.spatial is None:
        return None
    words = {"t": "Largest statistic", "tfce": "Largest TFCE", "extent": "Largest cluster extent",
             "mass": "Largest cluster mass"}  # fmt: skip
    frame = pd.DataFrame({f"max_{k.replace(':', '_')}": v for k, v in s.spatial.nulls.items()})
    meanings = {}
    for key in s.spatial.nulls:
        what, _, where = key.partition(":")
        inside = f" in {where}" if where else ""
        meanings[f"max_{key.replace(':', '_')}"] = Column(f"{words[what]}{inside}, by relabelling")
    return Table("null", frame, meanings, {"first_row": "the data as they are"})


def value_table(question: Question, at: AtPeaks) -> Table:
    """Return the outcome at the listed voxels, one row a row of the design."""
    design = question.design
    shown = design.table.drop(columns=[c for c in (SESSION,) if c in design.table])
    names = [row.name for row in at.listed]
    frame = pd.concat(
        [
            pd.DataFrame({"participant_id": design.participants, "session_id": design.sessions}),
            shown.reset_index(drop=True),
            pd.DataFrame(at.values, columns=names),
        ],
        axis=1,
    )
    meanings = dict(WHO)
    meanings |= {str(c): Column("Covariate or factor, as it was read") for c in shown.columns}
    meanings |= {n: Column("Value at the peak (cluster.peak)", question.unit) for n in names}
    return Table("values", frame, meanings)


def influence_table(question: Question, at: AtPeaks) -> Table:
    """Return what each person does to the listed voxels."""
    rows = []
    left_out = at.left_out
    for j, row in enumerate(at.listed):
        p = p_of(at.small, left_out.statistic[:, j], left_out.df, question.settings.sign)
        rows += [
            {
                "region": row.name,
                "participant_id": person,
                "effect_without": left_out.estimate[i, j] if at.small.kind == "t" else math.nan,
                "stat_without": left_out.statistic[i, j],
                "df_without": int(left_out.df[i]),
                "p_without": p[i],
                "dfbetas": left_out.dfbetas[i, j],
                "cook": left_out.cook[i, j],
            }
            for i, person in enumerate(left_out.people)
        ]
    meanings = influence_columns(question.effect_unit, at.small.kind)
    return Table("influence", pd.DataFrame(rows), meanings)


def _estimate(s: Searched, at: AtPeaks, j: int) -> dict[str, Any]:
    v, found = at.listed[j].voxel, s.found
    df = found.df if found.df_each is None else float(found.df_each[v])
    z = float(_z(found, v))
    if found.kind == "F":
        return {"F": found.statistic[v], "df1": found.df1, "Z": z, "df": df}
    size = effect_sizes(at.small, s.question.model, s.question.effect, j, s.settings.interval)
    return {
        "T": found.statistic[v], "Z": z, "df": df,
        "effect": found.estimate[0, v], "unit": s.question.effect_unit, "se": found.se[v],
        "ci_low": size.ci[0], "ci_high": size.ci[1],
    }  # fmt: skip


def _with_tail(s: Searched, voxels: list[int], frame: pd.DataFrame) -> pd.DataFrame:
    """Add p from the tail of the maxima that the method speaks of, with its limits."""
    if s.permuted is None or not s.settings.tail or s.permuted.plan.exhaustive:
        return frame
    if s.settings.method == "tfce" and s.spatial is not None:
        null, column = s.spatial.nulls["tfce"], "p_tfce"
        values = np.abs(s.spatial.enhanced[voxels])
    else:
        null, column = s.permuted.maxima, "p_maxT"
        seen = s.spatial.observed if s.spatial is not None else s.found.statistic
        values = np.abs(seen[voxels])
    tail = tail_p(null, values, frame[column].to_numpy(float), s.settings.seed, s.settings.interval)
    at = list(frame.columns).index(column) + 1
    for j, (name, p) in enumerate(zip(TAIL, tail, strict=True)):
        frame.insert(at + j, name, p)
    return frame


def _z(found: Fit, v: int) -> float:
    from ekbom.inference.tails import z_of_f, z_of_t

    df = found.df if found.df_each is None else found.df_each[v]
    if found.kind == "t":
        return float(z_of_t(found.statistic[v], df))
    return float(z_of_f(found.statistic[v], found.df1, df))


def _toward(s: Searched, v: int) -> float:
    assert s.spatial is not None
    value = float(s.spatial.observed[v])
    return {"two-sided": abs(value), "positive": value, "negative": -value}[s.spatial.sign]


def _lean(frame: pd.DataFrame) -> pd.DataFrame:
    groups: Sequence[tuple[str, ...]] = (
        ("g", "g_low", "g_high"), ("percent", "percent_low", "percent_high")
    )  # fmt: skip
    for group in groups:
        if group[0] in frame and frame[list(group)].isna().all(axis=None):
            frame = frame.drop(columns=list(group))
    return frame


def _meanings(s: Searched) -> dict[str, Column]:
    return peak_columns(
        s.question.unit,
        s.question.effect_unit,
        round(100 * s.settings.interval),
        labels(s.question),
    )
