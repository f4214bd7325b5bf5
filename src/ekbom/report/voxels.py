"""Answers over voxels: mosaic, peaks, scatter at peaks, slice viewer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from markupsafe import Markup

from ekbom.report import brain, data, figures, lines, numbers, searched, style
from ekbom.report.blocks import Block
from ekbom.report.columns import alpha_of, effect_of, nested, outcome_of, unit_of
from ekbom.report.output import Answered, read_table

_STATISTICS = ("stat-t_statmap", "stat-F_statmap", "stat-z_statmap")


def blocks(answer: Answered, key: str) -> list[Block]:
    """Return figures and tables of an answer over voxels.

    Parameters
    ----------
    answer : Answered
        Files of the answer, with maps.
    key : str
        Letters and digits, for ids.

    Returns
    -------
    list of Block
        Nothing when there is no statistic map.
    """
    name = next((n for n in _STATISTICS if n in answer.maps), None)
    if name is None:
        return []
    statistic = brain.load(answer.maps[name])
    symbol = name.removeprefix("stat-").split("_")[0]
    space = space_of(answer.maps[name])
    rule = searched.rule(answer)
    significant, said = _significant(answer, statistic, rule)
    mean_name = next((n for n in answer.maps if "mean" in n), None)
    mean = brain.load(answer.maps[mean_name]) if mean_name else None
    under, under_name = brain.background(space, mean, statistic)
    start, (wise, of) = _start(answer, statistic), searched.threshold(answer)
    shown = significant if significant is not None and significant.values.any() else None
    drawn = brain.mosaic(under, statistic, shown, full=wise, label=f"{symbol} statistic")
    step = " × ".join(f"{s:g}" for s in statistic.step)
    words = Markup(
        "Axial slices over {}, height in mm, left is left; {}, statistic on a {} mm grid. {}"
    ).format(under_name, space, step, said)
    alt = f"Axial slices of the {symbol} map of {effect_of(answer)}; peaks are in the table."
    out = [Block("figure", style.svg(drawn, key=f"mosaic{key}", alt=alt), words)]
    out += searched.tables(answer, rule, f"viewer-{key}")
    peaks = answer.table("peaks")
    seen = brain.viewer(statistic, _labels(answer), threshold=start, name=symbol, full=wise)
    below = brain.grey_volume(under)
    digest = hashlib.sha256(below["data"].encode()).hexdigest()[:12]
    level = numbers.level(alpha_of(answer))
    said = f"family-wise p ≤ {level} at {numbers.number(wise)} ({of})" if wise else ""
    content = {
        "said": said,
        "id": f"viewer-{key}",
        "data": seen,
        "under": f"under-{digest}",
        "volume": below,
    }
    out.append(Block("viewer", content))
    return out + _at_peaks(answer, peaks, key)


def space_of(path: Path) -> str:
    """Return the space label of an image's name, ``unknown`` when it has none."""
    found = [p for p in path.name.split("_") if p.startswith("space-")]
    return found[0].removeprefix("space-") if found else "unknown"


def _significant(
    answer: Answered, statistic: brain.Image, rule: searched.Rule | None
) -> tuple[brain.Image | None, str]:
    if rule is None:
        return None, "No corrected map was made."
    alpha = alpha_of(answer)
    if rule.map:
        image = brain.load(answer.maps[rule.map])
        # A p of 1 is stored as 0, which reads as missing: not significant either way.
        # Maps are float32: a p of just alpha must not be lost to rounding.
        hit = np.nan_to_num(image.values) >= -np.log10(alpha) - 1e-5
    else:
        image = statistic
        toward = {"positive": 1.0, "negative": -1.0}.get(str(nested(answer.about, "sign")))
        height = np.abs(image.values) if toward is None else toward * image.values
        # A corrected p falls as the statistic rises, so the threshold says the same.
        hit = np.nan_to_num(height) >= rule.threshold
    shown = np.where(np.isfinite(statistic.values) & hit, 1.0, 0.0)
    count = int(shown.sum())
    level = f"family-wise p ≤ {numbers.level(alpha)} ({rule.words})"
    said = f"{numbers.whole(count)} voxels are" if count > 1 else "1 voxel is"
    return (
        brain.Image(shown, image.affine),
        f"{said if count else 'No voxel is'} significant at {level}.",
    )


def _start(answer: Answered, statistic: brain.Image) -> float:
    """Return where the viewer starts: at the forming threshold when it is known."""
    formed = nested(answer.about, "forming_threshold")
    finite = np.abs(statistic.values[np.isfinite(statistic.values)])
    start = float(np.quantile(finite, 0.95)) if finite.size else 0.0
    return float(formed) if isinstance(formed, (int, float)) else start


def _at_peaks(answer: Answered, peaks: pd.DataFrame, key: str) -> list[Block]:
    """Draw the outcome at peaks against the covariate or by group."""
    values = answer.table("values")
    kind = data.contrast(answer)
    if kind is None or not len(values):
        return []
    columns = [c for c in values.columns if str(c).startswith("peak")]
    if not columns:
        return []
    columns = columns[:10]
    titles = _titles(peaks, columns)
    unit = unit_of(answer)
    label = numbers.plot_symbols(outcome_of(answer) + (f" ({unit})" if unit else ""))
    if not kind.drawn:
        x = values[kind.column].to_numpy(float)
        others, _ = data.covariates(answer, kind.column, columns)
        panels = [
            (t, lines.line(x, values[c].to_numpy(float), others))
            for t, c in zip(titles, columns, strict=True)
        ]
        drawn = figures.regressions(panels, x_label=kind.column, label=label)
        words = Markup("{} at peaks against {}, with line and 95 % band.").format(
            numbers.symbols(outcome_of(answer)), kind.column
        )
    else:
        sets = data.by_level(answer, kind, list(zip(titles, columns, strict=True)))
        drawn = figures.groups(sets, label=label)
        words = Markup("{} at peaks.").format(numbers.symbols(outcome_of(answer)))
    words += Markup(
        " Peaks were found in these same data, so what is seen here is larger than what "
        "new data would show."
    )
    alt = f"{outcome_of(answer)} at {len(columns)} peaks."
    return [Block("figure", style.svg(drawn, key=f"peaks{key}", alt=alt), words)]


def _titles(peaks: pd.DataFrame, columns: list[str]) -> list[str]:
    """Return region and place of each peak column, ``peak-<cluster>.<peak>``."""
    titles = []
    for column in columns:
        title = str(column)
        if {"cluster", "peak", "x", "y", "z"} <= set(peaks):
            name = "peak-" + peaks["cluster"].astype(str) + "." + peaks["peak"].astype(str)
            for _, row in peaks[name == column].iterrows():
                at = ", ".join(f"{float(row[c]):.0f}" for c in ("x", "y", "z"))
                region = row.get("label")
                title = (region if isinstance(region, str) else "no label") + "\n"
                title += f"({at})".replace("-", numbers.MINUS)
        titles.append(title)
    return titles


def _labels(answer: Answered) -> tuple[brain.Image, Mapping[int, str]] | None:
    name = next((n for n in answer.maps if n.endswith("dseg")), None)
    if name is None:
        return None
    path = answer.maps[name]
    table = read_table(path.with_name(path.name.split(".")[0] + ".tsv"))
    if not {"index", "name"} <= set(table):
        return None
    words: dict[int, str] = {
        int(i): str(n) for i, n in zip(table["index"], table["name"], strict=True)
    }
    return brain.load(path), words
