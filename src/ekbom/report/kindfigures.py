"""Figures of equivalence, courses over visits, paths and power."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.ticker import MaxNLocator

from ekbom.report import figures, numbers
from ekbom.report.style import BLUE, CYCLE, FAINT, FULL, INK, MARKERS, SOFT, new_figure


def equivalence(
    rows: Sequence[str], series: figures.Series, bounds: tuple[float, float], label: str
) -> Figure:
    """Draw intervals between the bounds of equivalence.

    Parameters
    ----------
    rows : sequence of str
        Names, top first.
    series : Series
        Effects with the interval that the tests look at; filled where they pass.
    bounds : (low, high)
        Of the plan.
    label : str
        Under the axis, with unit.

    Returns
    -------
    matplotlib.figure.Figure
        The bounds are a grey band; an interval inside it passes.
    """
    figure = figures.forest(rows, [(label, [series], 0.0)])
    axes = figure.axes[0]
    axes.axvspan(*bounds, color="#dcebf5", zorder=-1, linewidth=0)
    for bound in bounds:
        axes.axvline(bound, color=BLUE, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    return figure


def course(frame: pd.DataFrame, label: str) -> Figure:
    """Draw adjusted means over visits, and differences beside.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns ``visit``, ``what``, ``n``, ``effect``, ``ci_low``, ``ci_high``; a difference
        has " - " in ``what``.
    label : str
        Axis of the means, with unit.

    Returns
    -------
    matplotlib.figure.Figure
        Bars are intervals; numbers under the visits are people seen.
    """
    visits = list(dict.fromkeys(frame["visit"].astype(str)))
    gap = frame["what"].astype(str).str.contains(" - ", regex=False)
    levels = list(dict.fromkeys(frame.loc[~gap, "what"].astype(str)))
    panels = 2 if gap.any() else 1
    figure = new_figure(FULL if panels == 2 else FULL * 0.6, 2.9)
    axes = figure.add_subplot(1, panels, 1)
    at = np.arange(len(visits), dtype=float)
    for k, level in enumerate(levels):
        mine = frame[~gap & (frame["what"] == level)].set_index("visit").reindex(visits)
        x = at + 0.07 * (k - (len(levels) - 1) / 2)
        colour = CYCLE[k % len(CYCLE)]
        axes.vlines(x, mine["ci_low"], mine["ci_high"], color=colour, linewidth=1.3)
        axes.plot(x, mine["effect"], color=colour, marker=MARKERS[k % len(MARKERS)], markersize=5,
                  label=f"{level} (n {', '.join(f'{n:.0f}' for n in mine['n'])})")  # fmt: skip
    axes.set_xticks(at, visits)
    axes.set_xlim(-0.4, len(visits) - 0.6)
    axes.set_ylabel(label)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=4, fontsize=8)
    if panels == 2:
        mine = frame[gap].set_index("visit").reindex(visits)
        axes = figure.add_subplot(1, 2, 2)
        axes.axhline(0.0, color=SOFT, linewidth=0.7, zorder=0)
        axes.vlines(at, mine["ci_low"], mine["ci_high"], color=INK, linewidth=1.4)
        axes.plot(at, mine["effect"], color=INK, marker="o", markersize=5, linewidth=0.9)
        axes.set_xticks(at, visits)
        axes.set_xlim(-0.4, len(visits) - 0.6)
        axes.set_ylabel(numbers.plot_symbols(str(mine["what"].dropna().iloc[0])))
    return figure


def path(names: Sequence[str], row: Mapping[str, float]) -> Figure:
    """Draw a path with its slopes.

    Parameters
    ----------
    names : sequence of str
        First, mediator, last.
    row : mapping
        ``a``, ``b``, ``c``, ``c_direct``, ``p_a``, ``p_b``.

    Returns
    -------
    matplotlib.figure.Figure
        Three boxes; lines without a head, since no direction is shown.
    """
    figure = new_figure(FULL * 0.72, 2.0)
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set_xlim(0, 10)
    axes.set_ylim(0, 4.2)
    places = ((1.5, 0.8), (5.0, 3.4), (8.5, 0.8))
    for (x, y), name in zip(places, names, strict=True):
        box = {"boxstyle": "round,pad=0.45", "facecolor": "white", "edgecolor": INK}
        text = figures.shorten(name, 22)
        axes.text(x, y, text, ha="center", va="center", fontsize=9, bbox=box)
    number = numbers.number
    ends = (((2.2, 1.35), (4.1, 2.9)), ((5.9, 2.9), (7.8, 1.35)), ((2.9, 0.8), (7.1, 0.8)))
    texts = (
        (2.45, 2.45, f"a = {number(row['a'])}\np {numbers.p_value(row['p_a'])}", BLUE, "right"),
        (7.55, 2.45, f"b = {number(row['b'])}\np {numbers.p_value(row['p_b'])}", BLUE, "left"),
        (5.0, 1.05, f"c′ = {number(row['c_direct'])}   (c = {number(row['c'])})", SOFT, "center"),
    )
    for (start, end), (x, y, text, colour, side) in zip(ends, texts, strict=True):
        axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-", color=colour, linewidth=1.4))
        axes.text(x, y, numbers.plot_symbols(text), color=INK, ha=side, va="bottom", fontsize=8.5)
    return figure


def power(frame: pd.DataFrame, label: str, wished: float) -> Figure:
    """Draw power against size, simulated over analytic.

    Parameters
    ----------
    frame : pandas.DataFrame
        ``size``, ``test``, ``power``, ``se``, ``power_analytic``.
    label : str
        Axis of the size.
    wished : float
        A line stands there.

    Returns
    -------
    matplotlib.figure.Figure
        Markers: simulation with its error; lines: noncentral t.
    """
    figure = new_figure(FULL * 0.62, 2.9)
    axes = figure.add_subplot()
    axes.axhline(wished, color=FAINT, linewidth=1.0, zorder=0)
    for k, (test, mine) in enumerate(frame.groupby("test", sort=False)):
        colour = CYCLE[k % len(CYCLE)]
        axes.plot(mine["size"], mine["power_analytic"], color=colour, linewidth=1.0)
        axes.errorbar(mine["size"], mine["power"], 1.96 * mine["se"], linestyle="none",
                      marker=MARKERS[k % len(MARKERS)], color=colour, markersize=4.5,
                      label=str(test))  # fmt: skip
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel(label)
    axes.set_ylabel("power")
    axes.xaxis.set_major_locator(MaxNLocator(7))
    axes.legend(fontsize=8)
    return figure
