"""Figures and tables of one answer, by what kind of answer it is."""

from __future__ import annotations

import numpy as np
import pandas as pd
from markupsafe import Markup

from ekbom.report import data, figures, kinds, numbers, regiontables, style, voxels
from ekbom.report.blocks import Block, paragraphs
from ekbom.report.columns import (
    LOWER,
    UPPER,
    VALUE,
    alpha_of,
    bare,
    corrected,
    effect_of,
    is_reliability,
    methods_of,
    nested,
    outcome_of,
    pick,
    unit_of,
)
from ekbom.report.output import Answered


def blocks(answer: Answered, key: str, *, alone: bool = True) -> list[Block]:
    """Return everything about one answer but its sentence.

    Parameters
    ----------
    answer : Answered
        Files of the answer.
    key : str
        Letters and digits, for ids in its figures.
    alone : bool
        Whether to draw a forest plot; without it one of all methods stands above.

    Returns
    -------
    list of Block
        Forest plot, data, table, comparison, influence, words.
    """
    out: list[Block] = []
    if kinds.kind_of(answer):
        out += [*kinds.blocks(answer, key), *regiontables.with_and_without(answer)]
        words = methods_of(answer)
        return [*out, Block("quote", paragraphs(words), fold="Words for the methods section")]
    if answer.maps:
        out += voxels.blocks(answer, key)
    if is_reliability(answer):
        out += _reliability(answer, key)
    elif len(answer.table("regions")):
        out += [*(_forest(answer, key) if alone else []), *data.blocks(answer, key)]
    out += regiontables.region_blocks(answer)
    out += regiontables.with_and_without(answer)
    out += regiontables.influence(answer)
    words = methods_of(answer)
    if words:
        out.append(Block("quote", paragraphs(words), fold="Words for the methods section"))
    return out


def series(name: str, frame: pd.DataFrame, alpha: float) -> figures.Series | None:
    """Return estimates and intervals of a table of regions for a forest plot.

    Parameters
    ----------
    name : str
        For the legend.
    frame : pandas.DataFrame
        Table of regions.
    alpha : float
        Level below which a corrected p fills the marker.

    Returns
    -------
    ekbom.report.figures.Series or None
        None when the table has no interval (an F test).
    """
    value, low, high = pick(frame, VALUE), pick(frame, LOWER), pick(frame, UPPER)
    if value is None or low is None or high is None:
        return None
    p = corrected(frame)
    strong = frame[p].to_numpy(float) < alpha if p else np.ones(len(frame), bool)
    return figures.Series(
        name,
        frame[value].to_numpy(float),
        frame[low].to_numpy(float),
        frame[high].to_numpy(float),
        strong,
    )


def effect_label(answer: Answered) -> str:
    """Return the label of the axis on which effects are drawn, with unit."""
    unit = unit_of(answer)
    outcome, kind = outcome_of(answer), data.contrast(answer)
    if kind is None or kind.factor:
        name = f"{outcome}, {effect_of(answer)}"
    elif kind.ends is not None:
        name = f"{outcome}: {kind.ends[1]} {numbers.MINUS} {kind.ends[0]}"
    else:
        name = f"change in {outcome} for one unit of {kind.column}"
    return numbers.plot_symbols(f"{name} ({unit})" if unit else name)


def _forest(answer: Answered, key: str) -> list[Block]:
    frame = answer.table("regions")
    alpha = alpha_of(answer)
    one = series("", frame, alpha)
    if one is None:
        return []
    rows = [bare(r) for r in frame["region"].astype(str)]
    drawn = figures.forest(rows, [(effect_label(answer), [one], 0.0)])
    alt = f"Forest plot of {effect_of(answer)} in {len(rows)} regions; the table has the numbers."
    p = corrected(frame)
    words = Markup("Effect per region with 95 % interval.")
    if p:
        words += Markup(" Filled: {} &lt; {}.").format(regiontables.p_name(p), numbers.level(alpha))
    return [Block("figure", style.svg(drawn, key=f"forest{key}", alt=alt), words)]


def _reliability(answer: Answered, key: str) -> list[Block]:
    frame = answer.table("regions")
    out: list[Block] = []
    rows = [bare(r) for r in frame["region"].astype(str)] if len(frame) else []
    found = regiontables.limits(list(frame.columns))
    panels: list[tuple[str, list[figures.Series], float | None]] = []
    for column, label in (("trt", "test-retest variability (%)"), ("icc31", "ICC(3,1)")):
        if column in found:
            low, high = found[column]
            one = figures.Series(
                label,
                frame[column].to_numpy(float),
                frame[low].to_numpy(float),
                frame[high].to_numpy(float),
                np.ones(len(frame), bool),
            )
            panels.append((label, [one], 0.0))
    if panels and rows:
        drawn = figures.forest(rows, panels)
        what = " and ".join(p[0] for p in panels)
        alt = f"{what} of {len(rows)} regions with 95 % intervals; the table has the numbers."
        words = Markup("{} per region, with 95 % intervals.").format(what[:1].upper() + what[1:])
        out.append(Block("figure", style.svg(drawn, key=f"reliability{key}", alt=alt), words))
    return [*out, *_bland_altman(answer, key)]


def _bland_altman(answer: Answered, key: str) -> list[Block]:
    values, panels = answer.table("values"), data.chosen(answer)
    session = "session_id" if "session_id" in values else "session"
    if not panels or session not in values:
        return []
    told = nested(answer.about, "sessions")
    order = [data.level_of(s) for s in told] if isinstance(told, list) else []
    seen = list(dict.fromkeys(values[session].map(data.level_of)))
    order = order if set(order) == set(seen) else seen
    if len(order) != 2:
        return []
    first, second, both = data.two_sessions(answer, session, (order[0], order[1]))
    drawn = figures.bland_altman(
        [(t, first[c].to_numpy(float), second[c].to_numpy(float)) for t, c in panels],
        label=numbers.plot_symbols(outcome_of(answer)),
        unit=unit_of(answer),
    )
    words = Markup(
        "Bland–Altman plots, {} {} {}, {} people. Blue: bias. Red, dashed: 95 % limits of "
        "agreement. Bands: their 95 % intervals."
    ).format(order[1], numbers.MINUS, order[0], both)
    alt = f"Bland-Altman plots of {len(panels)} regions."
    return [Block("figure", style.svg(drawn, key=f"ba{key}", alt=alt), words)]
