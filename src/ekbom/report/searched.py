"""What was searched among voxels: the rule of an answer, its peaks, clusters and volumes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup

from ekbom.report import numbers
from ekbom.report.blocks import Block
from ekbom.report.columns import alpha_of, nested
from ekbom.report.grid import Cell, Grid, Head, build, head
from ekbom.report.output import Answered
from ekbom.report.regiontables import limits


@dataclass(frozen=True)
class Rule:
    """By what a voxel counts as significant: the p the question's method speaks of.

    Parameters
    ----------
    method : str
        Choice of ``inference.method``.
    map : str
        End of the name of the map of corrected -log10 p; empty for a threshold.
    column : str
        Corrected p in the table of peaks.
    volume : str
        Corrected p in the table of declared volumes.
    words : str
        How p was corrected.
    threshold : float
        On the statistic, where there is no map.
    """

    method: str
    map: str
    column: str
    volume: str
    words: str
    threshold: float = float("nan")


_TFCE = Rule(
    "tfce", "pmap-fweTfce_statmap", "p_tfce", "p_tfce_svc", "permutation of the largest TFCE"
)
_MAX_T = Rule("max-t", "pmap-fweMaxT_statmap", "p_maxT", "p_maxT_svc", "permutation of the maximum")
_BONFERRONI = Rule("parametric", "pmap-fweBonferroni_statmap", "p_bonf", "p_svc", "Bonferroni")
_FIELD = "random field or Bonferroni, the less of them"
_LEFT_OUT = {
    "not_finite": "not finite in somebody",
    "zero": "0 in somebody",
    "under_threshold": "under the threshold in somebody",
    "constant": "constant",
}
_PLACE: dict[str, str | Markup] = {"x": "x", "y": "y", "z": "z", "F": Markup("<i>F</i>")}


def rule(answer: Answered) -> Rule | None:
    """Return the rule of an answer.

    Parameters
    ----------
    answer : Answered
        Files of the answer.

    Returns
    -------
    Rule or None
        That of its method when it left what is needed, otherwise the permuted maximum or
        Bonferroni; None without any.
    """
    method = nested(answer.about, "method")
    limit = _field(answer).get("threshold")
    if method == "rft" and isinstance(limit, (int, float)):
        return Rule("rft", "", "p_rft_peak", "p_svc", _FIELD, float(limit))
    known = [r for r in (_MAX_T, _BONFERRONI, _TFCE) if r.map in answer.maps]
    return next((r for r in known if r.method == method), known[0] if known else None)


def threshold(answer: Answered) -> tuple[float | None, str]:
    """Return the statistic of corrected significance, and by which rule.

    TFCE has no threshold on the statistic; the permuted maximum then stands for scale.

    Parameters
    ----------
    answer : Answered
        Files of the answer.

    Returns
    -------
    float or None
        None when it is not known in units of the statistic.
    str
        Words of the rule.
    """
    meta = answer.about.get("meta")
    meta = meta if isinstance(meta, Mapping) else answer.about
    chosen = rule(answer)
    if chosen is not None and chosen.method == "rft":
        return chosen.threshold, chosen.words
    found = meta.get("threshold")
    # The maximum of normal deviates is no threshold on t.
    if isinstance(found, (int, float)) and nested(answer.about, "on") != "z":
        return float(found), _MAX_T.words
    found = meta.get("bonferroni_threshold")
    return (float(found), _BONFERRONI.words) if isinstance(found, (int, float)) else (None, "")


def tested(answer: Answered) -> str | None:
    """Return how many voxels were tested and why others were not, in words."""
    tally = nested(answer.about, "mask")
    if not isinstance(tally, Mapping) or "used" not in tally:
        return None
    text = f"{numbers.whole(float(tally['used']))} tested"
    lost = [
        f"{numbers.whole(float(tally[key]))} {why}"
        for key, why in _LEFT_OUT.items()
        if tally.get(key)
    ]
    if lost:
        text += f" of {numbers.whole(float(tally['given']))}; left out: {', '.join(lost)}"
    if tally.get("zeros_kept"):
        text += f"; {numbers.whole(float(tally['zeros_kept']))} with zeros kept as values"
    return text


def tables(answer: Answered, by: Rule | None, viewer: str) -> list[Block]:
    """Return the tables of peaks, clusters and declared volumes.

    Parameters
    ----------
    answer : Answered
        Files of the answer.
    by : Rule or None
        Whose p makes rows stand out.
    viewer : str
        Id of the slice viewer that shows a place.

    Returns
    -------
    list of Block
        Volumes first, because they were declared; tables with every column are folded.
    """
    out = []
    for name, made in (("volumes", _volumes), ("peaks", _peaks), ("clusters", _clusters)):
        frame = answer.table(name)
        if not len(frame):
            continue
        grid = _linked(made(answer, frame, by), frame, viewer)
        out.append(Block("grid", grid))
        every = [c for c in frame.columns if c not in {"unit", "question"}]
        whole = build(
            frame,
            [c for c in every if not c.endswith(("_low", "_high"))],
            caption="Every column of the table",
            about=answer.columns.get(name, {}),
            intervals=limits(every),
        )
        if name != "clusters":
            out.append(Block("grid", whole, fold="Every column of this table"))
    return out


def _peaks(answer: Answered, peaks: pd.DataFrame, by: Rule | None) -> Grid:
    column = by.column if by is not None and by.column in peaks else None
    columns = [
        *("cluster", "peak", "x", "y", "z", "label", "T", "F", "effect", "p_unc"),
        *("p_tfce", "p_maxT", "p_rft_peak", "p_fdr"),
    ]
    if column == "p_bonf":
        columns.insert(columns.index("p_unc") + 1, "p_bonf")
    notes: list[str | Markup] = [
        "Values at peaks are chosen for being large; region means are not."
    ]
    if "p_rft_peak" in peaks:
        notes.append(Markup("{}: {}.").format(head("p_rft_peak", {}), _FIELD))
    if not len(answer.table("clusters")):  # otherwise what is of clusters stands there
        columns.insert(columns.index("T"), "k_vox")
        columns += ["p_extent", "p_mass"]
        if {"p_extent", "p_mass"} & set(peaks):
            notes.append("p of extent and mass are those of the whole cluster, not of the peak.")
    return build(
        peaks,
        columns,
        caption="Peaks; coordinates in mm, choose one to see it in the viewer",
        about=answer.columns.get("peaks", {}),
        intervals=limits(list(peaks.columns)),
        labels={**_PLACE, "peak": "Peak", "cluster": "Cluster"},
        strong=_strong(answer, column),
        notes=[*notes, *_bold(answer, column)],
    )


def _clusters(answer: Answered, frame: pd.DataFrame, by: Rule | None) -> Grid:
    formed = nested(answer.about, "forming_threshold")
    above = f" above {numbers.number(formed)}" if isinstance(formed, (int, float)) else ""
    columns = [
        *("cluster", "x", "y", "z", "label", "peak_label", "k_vox", "top"),
        *("p_rft_cluster", "p_fdr_cluster", "p_extent", "p_mass", "p_tfce"),
    ]
    return build(
        frame,
        columns,
        caption=f"Clusters{above}; coordinates of their middle in mm",
        about=answer.columns.get("clusters", {}),
        labels={
            **_PLACE,
            "cluster": "Cluster",
            "label": "Region in the middle",
            "peak_label": "Region at the peak",
            "top": "Highest",
        },
        notes=[
            "p of a cluster is of the whole of it: it does not say that each voxel, or each "
            "region it reaches, has the effect."
        ],
    )


def _volumes(answer: Answered, frame: pd.DataFrame, by: Rule | None) -> Grid:
    holm = "_holm" if len(frame) > 1 else ""
    column = by.volume + holm if by is not None and by.volume + holm in frame else None
    columns = ["volume", "k_vox", "x", "y", "z", "label", "T", "F", "effect"]
    if column:
        columns += [column.removesuffix("_holm"), column]
    columns += ["p_tfce_svc", "p_maxT_svc", "p_svc"]
    late = frame["post_hoc"].astype(str).str.lower() == "true" if "post_hoc" in frame else None
    notes: list[str | Markup] = ["Each row is the largest statistic in its volume."]
    if {"volume", "shape"} <= set(frame):
        shapes = zip(frame["volume"].astype(str), frame["shape"].astype(str), strict=True)
        told = "; ".join(f"{name}: {what}" for name, what in shapes)
        notes.append(re.sub(r"(?<!\w)-(?=\d)", numbers.MINUS, told) + ".")
    if late is not None and late.any():
        names = ", ".join(frame.loc[late, "volume"].astype(str))
        notes.append(f"Declared after the data had been seen: {names}.")
    if "p_svc" in frame:
        notes.append(Markup("{}: {}.").format(head("p_svc", {}), _FIELD))
    if holm:
        notes.append("Holm: corrected over the declared volumes as well.")
    return build(
        frame,
        list(dict.fromkeys(columns)),
        caption="Declared search volumes; p corrected over the voxels of each",
        about=answer.columns.get("volumes", {}),
        intervals=limits(list(frame.columns)),
        labels={**_PLACE, "volume": "Volume"},
        strong=_strong(answer, column),
        notes=[*notes, *_bold(answer, column)],
    )


def _strong(answer: Answered, column: str | None) -> Callable[[pd.Series], bool] | None:
    alpha = alpha_of(answer)
    return (lambda row: bool(row[column] <= alpha)) if column else None


def _bold(answer: Answered, column: str | None) -> list[Markup]:
    if column is None:
        return []
    return [Markup("Bold: {} ≤ {}.").format(head(column, {}), numbers.level(alpha_of(answer)))]


def _linked(grid: Grid, frame: pd.DataFrame, viewer: str) -> Grid:
    """Put a button before each row that shows its place in the viewer."""
    if not {"x", "y", "z"} <= set(frame):
        return grid
    heads = [Head(Markup(""), "", False), *grid.heads]
    rows = []
    for row, (_, place) in zip(grid.rows, frame.iterrows(), strict=True):
        at = " ".join(f"{float(place[c]):g}" for c in ("x", "y", "z"))
        link = Markup(
            '<button type="button" class="goto" data-goto="{}" data-at="{}" '
            'aria-label="show {} in the viewer">show</button>'
        ).format(viewer, at, at)
        # The look of a row is that of its first cell.
        rows.append([Cell(link, strong=bool(row) and row[0].strong), *row])
    return Grid(grid.caption, heads, rows, grid.notes)


def _field(answer: Answered) -> Mapping[str, Any]:
    field = nested(answer.about, "field")
    return field if isinstance(field, Mapping) else {}
