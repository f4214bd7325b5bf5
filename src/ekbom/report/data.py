"""The data behind an answer: pairs, groups, or a slope, drawn region by region."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ekbom.report import figures, lines, numbers, style
from ekbom.report.blocks import Block
from ekbom.report.columns import STATISTIC, VALUE, bare, effect_of, outcome_of, pick, unit_of
from ekbom.report.output import Answered

#: Panels of one figure at most; more regions are left to the table.
PANELS = 15

_KEYS = frozenset({"participant_id", "session_id", "run_id", "participant", "session", "row"})


@dataclass(frozen=True)
class Contrast:
    """What an effect compares, as far as a figure needs to know.

    Parameters
    ----------
    column : str
        Column of the table of values.
    ends : tuple of str or None
        Levels compared, the one taken away first; None for a slope or a whole factor.
    within : bool
        Whether the same people are at both ends.
    factor : tuple of str
        All levels, when the effect is a whole factor (an F test); else empty.
    """

    column: str
    ends: tuple[str, str] | None
    within: bool
    factor: tuple[str, ...] = ()

    @property
    def drawn(self) -> tuple[str, ...]:
        """Levels in the order in which groups are drawn; none for a slope."""
        return self.factor or (() if self.ends is None else self.ends[::-1])


def contrast(answer: Answered) -> Contrast | None:
    """Find out from the effect's text and the data what is compared.

    Parameters
    ----------
    answer : Answered
        Files of the answer.

    Returns
    -------
    Contrast or None
        None for anything a simple figure cannot show (interactions, joint tests).
    """
    values = answer.table("values")
    text = effect_of(answer)
    if not len(values) or not text:
        return None
    columns = {str(c): str(c) for c in values.columns}
    for short, long in (("session", "session_id"), ("participant", "participant_id")):
        if short not in columns and long in columns:
            columns[short] = long
    if text in columns and pd.api.types.is_numeric_dtype(values[columns[text]]):
        return Contrast(columns[text], None, False)
    if text in columns:
        every = tuple(sorted({level_of(v) for v in values[columns[text]].dropna().unique()}))
        return Contrast(columns[text], None, False, every) if len(every) > 1 else None
    found = re.fullmatch(r"(?:\s*([\w.]+)\s*:)?\s*(.+?)\s+-\s+(.+?)\s*", text)
    if not found:
        return None
    name, high, low = found.groups()
    wanted = [columns[name]] if name in columns else [] if name else list(columns.values())
    for column in wanted:
        levels = {level_of(v) for v in values[column].dropna().unique()}
        if {high, low} <= levels:
            return Contrast(column, (low, high), _repeated(values, column, low, high))
    return None


def level_of(value: object) -> str:
    """Return a level of a factor as a plan writes it: ``ses-test`` as ``test``."""
    return f"{value:g}" if isinstance(value, float) else str(value).removeprefix("ses-")


def _repeated(values: pd.DataFrame, column: str, low: str, high: str) -> bool:
    if "participant_id" not in values:
        return False
    level = values[column].map(level_of)
    a = set(values.loc[level == low, "participant_id"])
    b = set(values.loc[level == high, "participant_id"])
    return len(a & b) >= 2


def chosen(answer: Answered) -> list[tuple[str, str]]:
    """Return title and column of the regions to draw.

    Parameters
    ----------
    answer : Answered
        Files of the answer.

    Returns
    -------
    list of (str, str)
        All, or those with the largest statistic when they are too many.
    """
    values, regions = answer.table("values"), answer.table("regions")
    listed = [str(r) for r in regions.get("region", [])]
    columns = [next((c for c in (r, bare(r)) if c in values), "") for r in listed]
    pairs = [(bare(r), c) for r, c in zip(listed, columns, strict=True) if c]
    if len(pairs) > PANELS:
        statistic = pick(regions, STATISTIC)
        size = regions[statistic].abs().fillna(-1).tolist() if statistic else [0.0] * len(listed)
        order = sorted(range(len(listed)), key=lambda k: (-size[k], k))[:PANELS]
        keep = {bare(listed[k]) for k in order}
        pairs = [p for p in pairs if p[0] in keep][:PANELS]
    return pairs


def axis_label(answer: Answered) -> str:
    """Return the outcome with its unit, for an axis."""
    unit = unit_of(answer)
    return numbers.plot_symbols(outcome_of(answer) + (f" ({unit})" if unit else ""))


def blocks(answer: Answered, key: str) -> list[Block]:
    """Return the figure of the data, when a simple one can show them.

    Parameters
    ----------
    answer : Answered
        Files of the answer.
    key : str
        Letters and digits, for ids.

    Returns
    -------
    list of Block
        One figure, or nothing.
    """
    kind, panels = contrast(answer), chosen(answer)
    if kind is None or not panels:
        return []
    name = outcome_of(answer)
    if not kind.drawn:
        figure, words = _slope(answer, kind, panels)
        what = f"Scatter plots of {name} against {kind.column}"
    elif kind.ends is not None and kind.within:
        figure, words = _pairs(answer, kind, panels)
        what = f"Paired lines of {name}, {kind.ends[0]} and {kind.ends[1]}"
    else:
        figure, words = _groups(answer, kind, panels)
        what = f"{name} by group"
    left = len(answer.table("regions")) - len(panels)
    if left > 0:
        words += Markup(
            " Drawn are the {} regions with the largest statistic; the table has all."
        ).format(len(panels))
    alt = f"{what} in {len(panels)} regions."
    return [Block("figure", style.svg(figure, key=f"data{key}", alt=alt), words)]


def _pairs(
    answer: Answered, kind: Contrast, panels: Sequence[tuple[str, str]]
) -> tuple[Figure, Markup]:
    assert kind.ends is not None
    first, second, both = two_sessions(answer, kind.column, kind.ends)
    drawn = figures.paired(
        [(t, first[c].to_numpy(float), second[c].to_numpy(float)) for t, c in panels],
        kind.ends,
        label=axis_label(answer),
    )
    words = Markup(
        "Each grey line is one of {} people. Red: means, with the 95 % interval that is left "
        "when differences between people are taken out."
    ).format(both)
    return drawn, words


def two_sessions(
    answer: Answered, column: str, ends: tuple[str, str]
) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """Return the values of people seen at both ends, in the same order.

    Parameters
    ----------
    answer : Answered
        Files of the answer.
    column : str
        Column of the table of values that holds the ends.
    ends : tuple of str
        First and second.

    Returns
    -------
    tuple of DataFrame, DataFrame, int
        First and second values, and how many people.
    """
    values = answer.table("values")
    level = values[column].map(level_of)
    a = values[level == ends[0]].drop_duplicates("participant_id").set_index("participant_id")
    b = values[level == ends[1]].drop_duplicates("participant_id").set_index("participant_id")
    both = [p for p in a.index if p in b.index]
    return a.loc[both], b.loc[both], len(both)


def _groups(
    answer: Answered, kind: Contrast, panels: Sequence[tuple[str, str]]
) -> tuple[Figure, Markup]:
    level = answer.table("values")[kind.column].map(level_of)
    drawn = figures.groups(by_level(answer, kind, panels), label=axis_label(answer))
    counts = ", ".join(f"{e} {int((level == e).sum())}" for e in kind.drawn)
    words = Markup(
        "Each dot is one person ({}). Diamonds: means with 95 % intervals, not adjusted for "
        "other terms of the model."
    ).format(counts)
    return drawn, words


def by_level(
    answer: Answered, kind: Contrast, panels: Sequence[tuple[str, str]]
) -> list[tuple[str, dict[str, NDArray[np.float64]]]]:
    """Return the values of each column, one array a level.

    Parameters
    ----------
    answer : Answered
        Files of the answer.
    kind : Contrast
        What is compared.
    panels : sequence of (title, column)
        Columns of the table of values.

    Returns
    -------
    list of (title, {level: values (n,)})
        Levels in the order to be drawn.
    """
    values = answer.table("values")
    level = values[kind.column].map(level_of)
    return [
        (t, {e: values.loc[level == e, c].to_numpy(float) for e in kind.drawn}) for t, c in panels
    ]


def _slope(
    answer: Answered, kind: Contrast, panels: Sequence[tuple[str, str]]
) -> tuple[Figure, Markup]:
    values = answer.table("values")
    x = values[kind.column].to_numpy(float)
    others, named = covariates(answer, kind.column, [c for _, c in panels])
    drawn = [(t, lines.line(x, values[c].to_numpy(float), others)) for t, c in panels]
    figure = figures.regressions(drawn, x_label=kind.column, label=axis_label(answer))
    held = Markup(", at the mean of {}").format(", ".join(named)) if named else Markup()
    told = answer.table("regions")
    effect = pick(told, VALUE)
    same = True
    if effect:
        slopes = dict(zip(map(bare, told["region"].astype(str)), told[effect], strict=True))
        same = all(
            np.isclose(line.slope, slopes[t], rtol=1e-4, atol=1e-12, equal_nan=True)
            for t, line in drawn
            if t in slopes
        )
    of = "of the model" if same else "of least squares (the model of the table says more)"
    words = Markup("{} against {}: line {} and its 95 % band{}.").format(
        numbers.symbols(outcome_of(answer)), kind.column, of, held
    )
    return figure, words


def covariates(
    answer: Answered, column: str, regions: Sequence[str]
) -> tuple[NDArray[np.float64] | None, list[str]]:
    """Return the other columns of the model as numbers, and their names.

    Parameters
    ----------
    answer : Answered
        Files of the answer. Its table of the design is used when it is there.
    column : str
        The covariate on the axis.
    regions : sequence of str
        Columns of the table of values that are outcomes.

    Returns
    -------
    tuple of array (n, k) or None, and list of str
        Without the intercept; from the table of values words become indicator
        columns, the first level left out.
    """
    values, design = answer.table("values"), answer.table("design")
    weights = answer.columns.get("design", {}).get("contrast")
    if len(design) == len(values) and isinstance(weights, list) and len(weights) == 1:
        names = [c for c in design.columns if c not in _KEYS]
        tested = [n for n, w in zip(names, weights[0], strict=False) if w]
        if len(tested) == 1:
            rest = design[[n for n in names if n not in tested]]
            rest = rest.loc[:, rest.max() > rest.min()]
            return (rest.to_numpy(float) if rest.shape[1] else None), list(map(str, rest.columns))
    every = {str(r) for r in answer.table("regions").get("region", [])}
    outcome = every | {bare(r) for r in every} | set(regions)
    parts, named = [], []
    for name in values.columns:
        if name in _KEYS or name == column or name in outcome or str(name).startswith("peak"):
            continue
        if values[name].nunique(dropna=True) < 2:
            continue
        if pd.api.types.is_numeric_dtype(values[name]):
            parts.append(values[[name]].to_numpy(float))
        else:
            parts.append(pd.get_dummies(values[name], drop_first=True).to_numpy(float))
        named.append(str(name))
    return (np.column_stack(parts) if parts else None), named
