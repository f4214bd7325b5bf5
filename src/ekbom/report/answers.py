"""Figures and tables of one answer, by what kind of answer it is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from markupsafe import Markup
from numpy.typing import NDArray

from ekbom.report import figures, lines, numbers, style
from ekbom.report.blocks import Block, paragraphs
from ekbom.report.columns import (
    LOWER,
    STATISTIC,
    UPPER,
    VALUE,
    alpha_of,
    bare,
    corrected,
    effect_of,
    is_reliability,
    outcome_of,
    pick,
    unit_of,
)
from ekbom.report.grid import Grid, build
from ekbom.report.output import Answered

#: Panels of one figure at most; more regions are left to the table.
PANELS = 15

_KEYS = frozenset({"participant_id", "session_id", "run_id", "participant", "session", "row"})


def blocks(answer: Answered, key: str) -> list[Block]:
    """Return everything about one answer but its sentence.

    Parameters
    ----------
    answer : Answered
        Files of the answer.
    key : str
        Letters and digits, for ids in its figures.

    Returns
    -------
    list of Block
        Forest plot, data, table, comparison, influence, words.
    """
    from ekbom.report import voxels

    out: list[Block] = []
    if answer.maps:
        out += voxels.blocks(answer, key)
    if is_reliability(answer):
        out += _reliability(answer, key)
    elif len(answer.table("regions")):
        out += [*_forest(answer, key), *_data(answer, key)]
    if len(answer.table("regions")):
        out.append(Block("grid", region_table(answer)))
    out += _with_and_without(answer)
    influence = answer.table("influence")
    if len(influence):
        out.append(
            Block(
                "grid",
                _plain(influence, answer, "influence"),
                fold="Influence: does the answer hang on one person?",
            )
        )
    if answer.methods.strip():
        out.append(Block("quote", paragraphs(answer.methods), fold="Words for the methods section"))
    return out


def series(name: str, frame: pd.DataFrame, alpha: float) -> figures.Series | None:
    """Return estimates and intervals of a table of regions for a forest plot."""
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
    name = f"{effect_of(answer)}, difference or slope in {outcome_of(answer)}"
    kind = contrast(answer)
    if kind is not None and kind.ends:
        name = f"{outcome_of(answer)}: {kind.ends[1]} {numbers.MINUS} {kind.ends[0]}"
    elif kind is not None:
        name = f"{outcome_of(answer)} per unit of {kind.column}"
    return numbers.plot_symbols(f"{name} ({unit})" if unit else name)


def _forest(answer: Answered, key: str) -> list[Block]:
    frame = answer.table("regions")
    one = series("", frame, alpha_of(answer))
    if one is None:
        return []
    rows = [bare(r) for r in frame["region"].astype(str)]
    drawn = figures.forest(rows, [one], label=effect_label(answer))
    alt = (
        f"Forest plot of {effect_of(answer)} in {len(rows)} regions; the numbers are in the table."
    )
    p = corrected(frame)
    filled = (
        Markup(" Filled: {} &lt; {}.").format(p_name(p), numbers.p_value(alpha_of(answer)))
        if p
        else Markup()
    )
    return [
        Block(
            "figure",
            style.svg(drawn, key=f"forest{key}", alt=alt),
            Markup("Effect per region with 95 % interval.") + filled,
        )
    ]


def p_name(column: str) -> Markup:
    """Return the symbol of a column of p values."""
    from ekbom.report.grid import head

    return head(column, {})


@dataclass(frozen=True)
class Contrast:
    """What an effect compares, as far as a figure needs to know.

    Parameters
    ----------
    column : str
        Column of the table of values.
    ends : tuple of str or None
        Levels compared, lower one first; None for a slope.
    within : bool
        Whether the same people are at both ends.
    """

    column: str
    ends: tuple[str, str] | None
    within: bool


def contrast(answer: Answered) -> Contrast | None:
    """Find out from the effect's text and the data what is compared.

    Parameters
    ----------
    answer : Answered
        Files of the answer.

    Returns
    -------
    Contrast or None
        None for anything a simple figure cannot show (interactions, F tests).
    """
    values = answer.table("values")
    text = effect_of(answer)
    if not len(values) or not text:
        return None
    columns = {c: c for c in values.columns}
    for short, long in (("session", "session_id"), ("participant", "participant_id")):
        if short not in columns and long in columns:
            columns[short] = long
    if text in columns and pd.api.types.is_numeric_dtype(values[columns[text]]):
        return Contrast(columns[text], None, False)
    found = re.fullmatch(r"(?:\s*([\w.]+)\s*:)?\s*(.+?)\s+-\s+(.+?)\s*", text)
    if not found:
        return None
    name, high, low = found.groups()
    wanted = [columns[name]] if name in columns else list(columns.values()) if not name else []
    for column in wanted:
        levels = {level_of(v): v for v in values[column].dropna().unique()}
        if high in levels and low in levels:
            return Contrast(column, (low, high), _repeated(values, column, low, high))
    return None


def level_of(value: object) -> str:
    """Return a level of a factor as a plan writes it: ``ses-test`` as ``test``."""
    return str(value).removeprefix("ses-") if not isinstance(value, float) else f"{value:g}"


def _repeated(values: pd.DataFrame, column: str, low: str, high: str) -> bool:
    if "participant_id" not in values:
        return False
    level = values[column].map(level_of)
    a = set(values.loc[level == low, "participant_id"])
    b = set(values.loc[level == high, "participant_id"])
    return len(a & b) >= 2


def _chosen(answer: Answered, values: pd.DataFrame) -> list[tuple[str, str]]:
    """Return (title, column) of the regions to draw: all, or those with the largest statistic."""
    regions = answer.table("regions")
    listed = [str(r) for r in regions.get("region", [])]
    pairs = [(r, c) for r in listed for c in (r, bare(r)) if c in values][: len(listed)]
    if len(pairs) > PANELS:
        statistic = pick(regions, STATISTIC)
        if statistic:
            size = dict(zip(listed, regions[statistic].abs(), strict=True))
            keep = set(sorted(listed, key=lambda r: -size[r])[:PANELS])
            pairs = [p for p in pairs if p[0] in keep]
        pairs = pairs[:PANELS]
    return [(bare(r), c) for r, c in pairs]


def _data(answer: Answered, key: str) -> list[Block]:
    values = answer.table("values")
    kind = contrast(answer)
    chosen = _chosen(answer, values)
    if kind is None or not chosen:
        return []
    unit = unit_of(answer)
    label = numbers.plot_symbols(outcome_of(answer) + (f" ({unit})" if unit else ""))
    left = len(answer.table("regions")) - len(chosen)
    more = (
        Markup(" The {} regions with the largest statistic are drawn; the table has all.").format(
            len(chosen)
        )
        if left > 0
        else Markup()
    )
    level = values[kind.column].map(level_of)
    if kind.ends is None:
        x = values[kind.column].to_numpy(float)
        others, named = covariates(values, kind.column, [c for _, c in chosen], answer)
        panels = [(t, lines.line(x, values[c].to_numpy(float), others)) for t, c in chosen]
        drawn = figures.regressions(panels, x_label=kind.column, label=label)
        held = (
            Markup(", points and line at the mean of {}").format(", ".join(named)) if named else ""
        )
        words = Markup("{} against {} with the line of the model and its 95 % band{}.").format(
            numbers.symbols(outcome_of(answer)), kind.column, held
        )
        what = f"Scatter plots of {outcome_of(answer)} against {kind.column}"
    elif kind.within:
        low, high = kind.ends
        a = values[level == low].set_index("participant_id")
        b = values[level == high].set_index("participant_id")
        both = [p for p in a.index if p in b.index]
        pairs = [
            (t, a.loc[both, c].to_numpy(float), b.loc[both, c].to_numpy(float)) for t, c in chosen
        ]
        drawn = figures.paired(pairs, kind.ends, label=label)
        words = Markup(
            "Each grey line is one of {} people; red: means, with the 95 % interval of a mean "
            "once differences between people are taken out."
        ).format(len(both))
        what = f"Paired lines of {outcome_of(answer)}, {low} and {high}"
    else:
        ends = (kind.ends[1], kind.ends[0])
        sets = [
            (t, {e: values.loc[level == e, c].to_numpy(float) for e in ends}) for t, c in chosen
        ]
        drawn = figures.groups(sets, label=label)
        counts = ", ".join(f"{e} {int((level == e).sum())}" for e in ends)
        words = Markup(
            "Each dot is one person ({}); diamonds: means with 95 % intervals, not adjusted."
        ).format(counts)
        what = f"Values of {outcome_of(answer)} by group"
    alt = f"{what} in {len(chosen)} regions."
    return [Block("figure", style.svg(drawn, key=f"data{key}", alt=alt), words + more)]


def covariates(
    values: pd.DataFrame,
    column: str,
    regions: Sequence[str],
    answer: Answered,
    *,
    ignore: str = "",
) -> tuple[NDArray[np.float64] | None, list[str]]:
    """Return the other columns of the model as numbers, and their names.

    Parameters
    ----------
    values : pandas.DataFrame
        One row a row of the design.
    column : str
        The covariate on the axis.
    regions : sequence of str
        Columns that are outcomes.
    answer : Answered
        For its other regions, which are no covariates either.
    ignore : str
        Columns that start like this are no covariates.

    Returns
    -------
    tuple of array (n, k) or None, and list of str
        Words become indicator columns, the first level left out.
    """
    every = {str(r) for r in answer.table("regions").get("region", [])}
    outcome = every | {bare(r) for r in every} | set(regions)
    parts, named = [], []
    for name in values.columns:
        if name in _KEYS or name == column or name in outcome:
            continue
        if ignore and str(name).startswith(ignore):
            continue
        if values[name].nunique(dropna=True) < 2:
            continue
        if pd.api.types.is_numeric_dtype(values[name]):
            parts.append(values[[name]].to_numpy(float))
        else:
            parts.append(pd.get_dummies(values[name], drop_first=True).to_numpy(float))
        named.append(str(name))
    return (np.column_stack(parts) if parts else None), named


def region_table(answer: Answered, name: str = "regions", caption: str | Markup = "") -> Grid:
    """Return the table of regions as a paper would print it.

    Parameters
    ----------
    answer : Answered
        Files of the answer.
    name : str
        Which of its tables.
    caption : str
        Above the table; a usual one when left out.

    Returns
    -------
    Grid
        Rows significant after correction stand out.
    """
    return _plain(answer.table(name), answer, name, caption or _caption(answer))


def _caption(answer: Answered) -> Markup:
    unit = unit_of(answer)
    tail = Markup(", {}").format(unit) if unit else Markup()
    if is_reliability(answer):
        return Markup("Reliability per region, {}{}").format(
            numbers.symbols(outcome_of(answer)), tail
        )
    return Markup("{} per region, {}{}").format(
        effect_of(answer), numbers.symbols(outcome_of(answer)), tail
    )


_SKIP = frozenset({"unit", "question", "method", "outcome", "segmentation", "alpha"})


def _plain(frame: pd.DataFrame, answer: Answered, name: str, caption: str | Markup = "") -> Grid:
    frame = frame.copy()
    if "region" in frame:
        frame["region"] = frame["region"].astype(str).map(bare)
    intervals = limits(list(frame.columns))
    ends = {e for pair in intervals.values() for e in pair}
    columns = [
        c for c in frame.columns if c not in ends and not (c in _SKIP and _constant(frame[c]))
    ]
    constant = [
        c for c in ("n", "df", "k") if c in columns and len(frame) > 1 and _constant(frame[c])
    ]
    notes: list[str | Markup] = []
    if constant:
        columns = [c for c in columns if c not in constant]
        said = ", ".join(f"{c} = {numbers.number(float(frame[c].iloc[0]))}" for c in constant)
        notes.append(f"In every row: {said}.")
    p = corrected(frame)
    alpha = alpha_of(answer)
    if p:
        notes.append(Markup("Bold: {} &lt; {}.").format(p_name(p), numbers.p_value(alpha)))
    return build(
        frame,
        columns,
        caption=caption,
        about=answer.columns.get(name, {}),
        intervals=intervals,
        strong=(lambda row: bool(row[p] < alpha)) if p else None,
        notes=notes,
    )


def _constant(column: pd.Series) -> bool:
    return bool((column == column.iloc[0]).all()) if len(column) else True


def limits(columns: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return which columns are limits of which: ``icc_lower`` of ``icc``.

    Parameters
    ----------
    columns : sequence of str
        Of a table.

    Returns
    -------
    dict of str to (str, str)
        ``lower`` and ``upper`` alone belong to the estimate.
    """
    known = set(columns)
    out = {}
    for column in columns:
        for low, high in (("lower", "upper"), ("ci_low", "ci_high"), ("low", "high")):
            if {f"{column}_{low}", f"{column}_{high}"} <= known:
                out[column] = (f"{column}_{low}", f"{column}_{high}")
    value = next((c for c in VALUE if c in known), None)
    if value and value not in out:
        for low, high in zip(LOWER, UPPER, strict=True):
            if {low, high} <= known:
                out[value] = (low, high)
                break
    return out


def _with_and_without(answer: Answered) -> list[Block]:
    frame = answer.table("regions")
    without = answer.table("regionsWithoutPermitted")
    value = pick(frame, VALUE)
    if not len(without) or not len(frame) or value is None or "region" not in without:
        return []
    p = corrected(frame)
    keep = [c for c in (value, pick(frame, LOWER), pick(frame, UPPER), p) if c]
    joined = frame[["region", *keep]].merge(
        without[["region", *[c for c in keep if c in without]]],
        on="region",
        how="left",
        suffixes=("", "_without"),
    )
    joined["region"] = joined["region"].astype(str).map(bare)
    low, high = pick(frame, LOWER), pick(frame, UPPER)
    columns = [
        "region",
        value,
        *([p] if p else []),
        f"{value}_without",
        *([f"{p}_without"] if p else []),
    ]
    intervals = (
        {value: (low, high), f"{value}_without": (f"{low}_without", f"{high}_without")}
        if low and high
        else {}
    )
    labels: dict[str, str | Markup] = {
        value: "With",
        f"{value}_without": "Without",
    }
    if p:
        labels[p] = Markup("{} with").format(p_name(p))
        labels[f"{p}_without"] = Markup("{} without").format(p_name(p))
    people = answer.about.get("permissions") or answer.about.get("permitted")
    told = _people(people)
    grid = build(
        joined,
        columns,
        caption="With and without the scans that needed a permission"
        + (f" ({told})" if told else ""),
        intervals=intervals,
        labels=labels,
    )
    return [Block("grid", grid)]


def _people(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(str(k) for k in value)
    if isinstance(value, (list, tuple)):
        names = []
        for v in value:
            if isinstance(v, Mapping):
                who = [str(v.get(k)) for k in ("participant_id", "session_id") if v.get(k)]
                names.append(" ".join(who) or str(v.get("unit", "")))
            else:
                names.append(str(v))
        return ", ".join(dict.fromkeys(n for n in names if n))
    return ""


def _reliability(answer: Answered, key: str) -> list[Block]:
    frame = answer.table("regions")
    out: list[Block] = []
    if not len(frame):
        return out
    rows = [bare(r) for r in frame["region"].astype(str)]
    found = limits(list(frame.columns))
    for column, label, zero in (
        ("trt", "test-retest variability (%)", None),
        ("icc31", "ICC(3,1)", 0.0),
        ("icc", "ICC", 0.0),
    ):
        name = next(
            (
                c
                for c in frame
                if re.sub(r"[^a-z0-9]", "", c.lower()).startswith(column) and c in found
            ),
            None,
        )
        if name is None:
            continue
        low, high = found[name]
        one = figures.Series(
            label,
            frame[name].to_numpy(float),
            frame[low].to_numpy(float),
            frame[high].to_numpy(float),
            np.ones(len(frame), bool),
        )
        drawn = figures.forest(rows, [one], label=label, zero=zero)
        alt = f"{label} of {len(rows)} regions with 95 % intervals; the numbers are in the table."
        out.append(
            Block(
                "figure",
                style.svg(drawn, key=f"{column}{key}", alt=alt),
                Markup("{} per region with 95 % interval.").format(label[:1].upper() + label[1:]),
            )
        )
        if column != "trt":
            break
    out += _bland_altman(answer, key)
    return out


def _bland_altman(answer: Answered, key: str) -> list[Block]:
    values = answer.table("values")
    chosen = _chosen(answer, values)
    session = "session_id" if "session_id" in values else "session"
    if not chosen or session not in values:
        return []
    order = list(dict.fromkeys(values[session].map(level_of)))
    planned = answer.about.get("sessions")
    if isinstance(planned, list) and set(map(level_of, planned)) == set(order):
        order = [level_of(s) for s in planned]
    if len(order) != 2:
        return []
    level = values[session].map(level_of)
    a = values[level == order[0]].set_index("participant_id")
    b = values[level == order[1]].set_index("participant_id")
    both = [p for p in a.index if p in b.index]
    unit = unit_of(answer)
    panels = [
        (t, a.loc[both, c].to_numpy(float), b.loc[both, c].to_numpy(float)) for t, c in chosen
    ]
    drawn = figures.bland_altman(panels, label=numbers.plot_symbols(outcome_of(answer)), unit=unit)
    words = Markup(
        "Bland–Altman plots, {} {} {}, {} people. Blue: bias; red, dashed: 95 % limits of "
        "agreement; bands: their 95 % intervals."
    ).format(order[1], numbers.MINUS, order[0], len(both))
    alt = f"Bland-Altman plots of {len(chosen)} regions."
    return [Block("figure", style.svg(drawn, key=f"ba{key}", alt=alt), words)]
