"""Figures of answers: forest plots, pairs, groups, regressions, agreement.

Every function takes arrays and returns a finished Matplotlib figure; call it
inside :func:`ekbom.report.style.look`. What is drawn beside the data (means,
lines, bands) is computed by the small functions of :mod:`ekbom.report.lines`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ekbom.report import lines
from ekbom.report.style import BLUE, CYCLE, FAINT, FULL, INK, MARKERS, SOFT, VERMILION, new_figure

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """One estimate a row with its interval.

    Parameters
    ----------
    name : str
        For the legend.
    value, lower, upper : (R,) array
        NaN where there is none.
    strong : (R,) array of bool
        Filled markers; the rest are open.
    """

    name: str
    value: Array
    lower: Array
    upper: Array
    strong: NDArray[np.bool_]


def forest(
    rows: Sequence[str],
    panels: Sequence[tuple[str, Sequence[Series], float | None]],
) -> Figure:
    """Draw estimates with intervals, a row a region.

    Parameters
    ----------
    rows : sequence of str
        Names, top first.
    panels : sequence of (label, series, zero)
        Side by side. `label` goes under the axis, with unit; each of `series`
        has a colour and marker of its own; a line stands at `zero` when it is
        a number.

    Returns
    -------
    matplotlib.figure.Figure
        Markers are at the estimates, bars at the limits.
    """
    most = max(len(series) for _, series, _ in panels)
    step = 0.21 if most == 1 else 0.14 * most + 0.09
    figure = new_figure(FULL, max(1.6, 0.8 + step * len(rows)))
    for k, (label, series, zero) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), k + 1)
        _forest(axes, rows if k == 0 else [""] * len(rows), series)
        if zero is not None:
            axes.axvline(zero, color=SOFT, linewidth=0.7, zorder=0)
        axes.set_xlabel(label)
        axes.xaxis.set_major_locator(MaxNLocator(7 if len(panels) == 1 else 5))
    if most > 1:
        figure.legend(
            *figure.axes[0].get_legend_handles_labels(),
            loc="outside upper left",
            ncols=most,
            handlelength=1.4,
        )
    return figure


def _forest(axes: Axes, rows: Sequence[str], series: Sequence[Series]) -> None:
    places = np.arange(len(rows), dtype=float)
    for k, one in enumerate(series):
        shift = 0.0 if len(series) == 1 else 0.62 * ((k + 0.5) / len(series) - 0.5)
        colour, mark = CYCLE[k % len(CYCLE)], MARKERS[k % len(MARKERS)]
        y = places + shift
        axes.hlines(y, one.lower, one.upper, color=colour, linewidth=1.3)
        for mask, face in ((one.strong, colour), (~one.strong, "white")):
            axes.plot(
                one.value[mask],
                y[mask],
                linestyle="none",
                marker=mark,
                markerfacecolor=face,
                markeredgecolor=colour,
                markeredgewidth=1.1,
                markersize=5,
            )
        axes.plot([], [], color=colour, marker=mark, label=one.name)
    _bands(axes, rows)


def _bands(axes: Axes, rows: Sequence[str]) -> None:
    for y in range(1, len(rows), 2):
        axes.axhspan(y - 0.5, y + 0.5, color="#f4f3ef", zorder=-2, linewidth=0)
    axes.set_yticks(range(len(rows)), [shorten(r, 34) for r in rows])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(rows) - 0.5, -0.5)


def paired(
    panels: Sequence[tuple[str, Array, Array]], ends: tuple[str, str], *, label: str
) -> Figure:
    """Draw a line a person between two conditions, a panel a region.

    Parameters
    ----------
    panels : sequence of (title, first (n,), second (n,))
        Values of the same people in the same order.
    ends : tuple of str
        Names of the two conditions.
    label : str
        Of the y axis, with unit.

    Returns
    -------
    matplotlib.figure.Figure
        Thin lines are people; the thick one joins the means, with their 95 %
        intervals for a within-person difference.
    """

    def draw(axes: Axes, panel: tuple[str, Array, Array]) -> None:
        _, first, second = panel
        for a, b in zip(first, second, strict=True):
            axes.plot(
                [0, 1], [a, b], color=SOFT, linewidth=0.7, marker="o", markersize=2.6, alpha=0.8
            )
        means = [float(np.nanmean(first)), float(np.nanmean(second))]
        half = lines.paired_half_width(first, second)
        axes.errorbar(
            [0, 1],
            means,
            yerr=[half, half],
            color=VERMILION,
            linewidth=1.8,
            marker="D",
            markersize=4,
        )
        axes.set_xlim(-0.35, 1.35)
        axes.set_xticks([0, 1], list(ends))

    return _panels(panels, draw, label=label, height=1.75)


def groups(panels: Sequence[tuple[str, Mapping[str, Array]]], *, label: str) -> Figure:
    """Draw people as dots by group, with mean and 95 % interval, a panel a region.

    Parameters
    ----------
    panels : sequence of (title, {group: values (n,)})
        Groups in the order to be drawn.
    label : str
        Of the y axis, with unit.

    Returns
    -------
    matplotlib.figure.Figure
        Dots are spread sideways only so that they can be told apart.
    """

    def draw(axes: Axes, panel: tuple[str, Mapping[str, Array]]) -> None:
        names = list(panel[1])
        for k, name in enumerate(names):
            values = panel[1][name]
            colour = CYCLE[k % len(CYCLE)]
            axes.plot(
                k + lines.spread(values), values, "o", color=colour, alpha=0.65, markersize=3, mew=0
            )
            mean, half = lines.mean_half_width(values)
            axes.errorbar([k + 0.32], [mean], yerr=[half], color=INK, marker="D", markersize=3.6)
        axes.set_xlim(-0.5, len(names) - 0.5 + 0.15)
        axes.set_xticks(range(len(names)), names)

    return _panels(panels, draw, label=label, height=1.8)


def regressions(panels: Sequence[tuple[str, lines.Line]], *, x_label: str, label: str) -> Figure:
    """Draw an outcome against a covariate with line and 95 % band, a panel a region.

    Parameters
    ----------
    panels : sequence of (title, Line)
        See :func:`ekbom.report.lines.line`.
    x_label, label : str
        Of the axes, with units.

    Returns
    -------
    matplotlib.figure.Figure
        Points are adjusted to the mean of the other covariates.
    """

    def draw(axes: Axes, panel: tuple[str, lines.Line]) -> None:
        one = panel[1]
        axes.fill_between(one.grid, one.lower, one.upper, color=BLUE, alpha=0.15, linewidth=0)
        axes.plot(one.grid, one.fitted, color=BLUE)
        axes.plot(one.x, one.y, "o", color=INK, markersize=2.8, alpha=0.75, mew=0)

    return _panels(panels, draw, label=label, height=1.9, x_label=x_label)


def bland_altman(panels: Sequence[tuple[str, Array, Array]], *, label: str, unit: str) -> Figure:
    """Draw differences against means of two sessions, a panel a region.

    Parameters
    ----------
    panels : sequence of (title, first (n,), second (n,))
        Values of the same people in the same order.
    label, unit : str
        Name of the outcome and its unit.

    Returns
    -------
    matplotlib.figure.Figure
        Full line: bias; dashed: 95 % limits of agreement; bands: their intervals.
    """

    def draw(axes: Axes, panel: tuple[str, Array, Array]) -> None:
        _, first, second = panel
        bias, low, high, half_bias, half_limit = lines.agreement(first, second)
        for centre, half, colour in (
            (bias, half_bias, BLUE),
            (low, half_limit, VERMILION),
            (high, half_limit, VERMILION),
        ):
            axes.axhspan(centre - half, centre + half, color=colour, alpha=0.09, linewidth=0)
        axes.axhline(0, color=FAINT, linewidth=0.7)
        axes.axhline(bias, color=BLUE)
        axes.axhline(low, color=VERMILION, linestyle="--", linewidth=0.9)
        axes.axhline(high, color=VERMILION, linestyle="--", linewidth=0.9)
        axes.plot((first + second) / 2, second - first, "o", color=INK, markersize=3, mew=0)

    suffix = f" ({unit})" if unit else ""
    return _panels(
        panels,
        draw,
        label=f"difference{suffix}",
        height=1.8,
        x_label=f"mean of the two sessions, {label}{suffix}",
    )


def agreement(
    x: Array, others: Mapping[str, Array], *, x_name: str, label: str, unit: str
) -> Figure:
    """Draw the estimates of other methods against those of one, a dot a region and scan.

    Parameters
    ----------
    x : (N,) array
        Estimates of the first method.
    others : mapping of str to (N,) array
        Estimates of the others, in the same order.
    x_name, label, unit : str
        Names for the axes.

    Returns
    -------
    matplotlib.figure.Figure
        The thin line is identity; axes end where estimates are outliers.
    """
    figure = new_figure(FULL * 0.62 if len(others) == 1 else FULL, 2.9)
    suffix = f" ({unit})" if unit else ""
    everything = np.concatenate([x, *others.values()])
    low, high = lines.fences(everything)
    margin = 0.05 * (high - low or 1.0)
    for k, (name, y) in enumerate(others.items()):
        axes = figure.add_subplot(1, len(others), k + 1)
        axes.axline((low, low), slope=1, color=SOFT, linewidth=0.7)
        axes.plot(x, y, "o", color=CYCLE[(k + 1) % len(CYCLE)], markersize=2.4, alpha=0.45, mew=0)
        axes.set_xlim(low - margin, high + margin)
        axes.set_ylim(low - margin, high + margin)
        axes.set_aspect("equal", anchor="W")
        axes.set_xlabel(f"{label}, {x_name}{suffix}")
        axes.set_ylabel(f"{label}, {name}{suffix}")
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_locator(MaxNLocator(5))
    return figure


def overview(rows: Sequence[str], values: Mapping[str, Sequence[Array]], *, label: str) -> Figure:
    """Draw every scan as a dot, a row a region, with median and quartiles for each method.

    Parameters
    ----------
    rows : sequence of str
        Regions, top first.
    values : mapping of str to sequence of (n,) array
        For each method the estimates of each region.
    label : str
        Of the axis, with unit.

    Returns
    -------
    matplotlib.figure.Figure
        The axis ends where estimates are outliers, which are drawn as triangles
        at the edge.
    """
    step = 0.12 * len(values) + 0.12
    figure = new_figure(FULL, max(1.5, 0.8 + step * len(rows)))
    axes = figure.add_subplot()
    low, high = lines.fences(np.concatenate([np.concatenate(list(v)) for v in values.values()]))
    margin = 0.04 * (high - low or 1.0)
    low, high = low - margin, high + margin
    for k, (name, columns) in enumerate(values.items()):
        colour, mark = CYCLE[k % len(CYCLE)], MARKERS[k % len(MARKERS)]
        shift = 0.0 if len(values) == 1 else 0.66 * ((k + 0.5) / len(values) - 0.5)
        for row, column in enumerate(columns):
            v = column[np.isfinite(column)]
            y = row + shift - 0.1 / len(values)
            inside = (v >= low) & (v <= high)
            axes.plot(
                v[inside],
                np.full(inside.sum(), y),
                "o",
                color=colour,
                alpha=0.35,
                mew=0,
                markersize=2.6,
            )
            for beyond, edge, arrow in ((v < low, low, "<"), (v > high, high, ">")):
                if beyond.any():
                    axes.plot([edge], [y], arrow, color=colour, markersize=4, mew=0, clip_on=False)
            if v.size > 1:
                first, middle, third = np.quantile(v, [0.25, 0.5, 0.75])
                y = row + shift + 0.16 / len(values)
                axes.hlines(y, max(first, low), min(third, high), color=colour, linewidth=1.4)
                if low <= middle <= high:
                    axes.plot([middle], [y], mark, color=colour, mec="white", mew=0.5, markersize=5)
        axes.plot([], [], color=colour, marker=mark, label=name)
    _bands(axes, rows)
    axes.set_xlim(low, high)
    axes.set_xlabel(label)
    if len(values) > 1:
        figure.legend(loc="outside upper left", ncols=len(values), handlelength=1.4)
    return figure


def shorten(text: str, width: int) -> str:
    """Return text cut in its middle to fit beside an axis.

    Examples
    --------
    >>> shorten("ctx-lh-caudalanteriorcingulate", 16)
    'ctx-lh-c…ngulate'
    """
    if len(text) <= width:
        return text
    head = (width - 1 + 1) // 2
    return text[:head] + "…" + text[len(text) - (width - 1 - head) :]


def _panels(
    panels: Sequence[Any], draw: Any, *, label: str, height: float, x_label: str = ""
) -> Figure:
    count = len(panels)
    # Few empty places, and panels neither tiny nor huge.
    choices = (3, 4) if count < 8 else (4, 5)
    columns = min(choices, key=lambda c: (-(-count // c) * c - count, -c))
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    figure = new_figure(FULL * min(1.0, columns / 3.2), rows * height + 0.35)
    for k, panel in enumerate(panels):
        axes = figure.add_subplot(rows, columns, k + 1)
        axes.set_title("\n".join(shorten(t, 26) for t in str(panel[0]).split("\n")))
        draw(axes, panel)
        axes.yaxis.set_major_locator(MaxNLocator(4))
        if x_label:
            axes.xaxis.set_major_locator(MaxNLocator(3))
    figure.supylabel(label, fontsize=9)
    if x_label:
        figure.supxlabel(x_label, fontsize=9)
    return figure
