"""Figures of what single models rest on: the choice of t*, and the spectrum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ekbom.measures.pet.qc_canvas import (
    GREY,
    INK,
    MODEL_STYLE,
    PURPLE,
    RED,
    canvas,
    panel_shape,
    panels,
    room,
    style,
    svg,
)
from ekbom.measures.pet.tstar import TStar
from ekbom.nouns import Figure

Array = NDArray[np.float64]

# Per cent: beyond this the line of a region leaves the plot.
_CEILING = 60.0


def tstar_figure(
    straight: Mapping[str, TStar],
    used: Mapping[str, float],
    *,
    name: str = "desc-tstar",
    words: str = "",
) -> Figure:
    """Draw how straight each graphical model is from each candidate of t* on.

    Parameters
    ----------
    straight : mapping of str to TStar
        By model.
    used : mapping of str to float
        Minutes: the t* of the fits.
    name : str
        End of the file name.
    words : str
        Settings, for the caption.

    Returns
    -------
    ekbom.nouns.Figure
        SVG; the largest residual over fitted value of every region, in per cent.
    """
    said = []
    with style():
        sheet = canvas(3.4 * len(straight) + 0.3, 2.6, layout=None)
        grid = sheet.subplots(1, len(straight), sharey=True, squeeze=False)
        room(sheet, 1, len(straight), across=0.15)
        for axes, (model, told) in zip(grid.flat, straight.items(), strict=True):
            color, _ = MODEL_STYLE.get(model, (PURPLE, "-"))
            percent = 100 * told.deviation
            known = np.isfinite(percent).any(axis=1)
            axes.plot(told.candidates, np.clip(percent[known], 0, _CEILING).T, color=color,
                      lw=0.5, alpha=0.35)  # fmt: skip
            axes.plot(told.candidates, np.nanmedian(percent[known], axis=0), color=INK, lw=1.5)
            axes.axhline(100 * told.limit, color=GREY, ls=(0, (4, 3)), lw=0.9)
            axes.axvline(used[model], color=RED, lw=1.0)
            axes.set_title(model, loc="left", pad=2, y=1.0)
            axes.set_ylim(0, _CEILING)
            axes.set_xlim(0, None)
            below = int((told.deviation[:, _column(told, used[model])] <= told.limit).sum())
            said.append(
                f"{model} uses {used[model]:.4g} min (rule: {told.value:.4g} min), from where"
                f" {below} of {int(known.sum())} regions stay within the limit"
            )
        grid[0, 0].set_ylabel("largest residual, % of fit")
        sheet.supxlabel("candidate of t*, minutes", fontsize=9)
        data = svg(sheet)
    limit = 100 * next(iter(straight.values())).limit
    caption = (
        "Largest residual over fitted value from each candidate of t* on: a thin line a region,"
        f" the median thick, the limit of {limit:g} % dashed, t* red. {'; '.join(said)}."
        f" {words}".strip()
    )
    return Figure(name, data, caption)


def _column(told: TStar, value: float) -> int:
    """Return the candidate nearest to a t*."""
    return int(np.argmin(np.abs(told.candidates - value)))


def spectrum_figure(
    names: Sequence[str],
    beta: Array,
    alpha: Array,
    VT: Array,
    end: float,
    *,
    name: str = "desc-spectrum",
    words: str = "",
) -> Figure:
    """Draw the spectrum of each region.

    Parameters
    ----------
    names : sequence of str
        N regions.
    beta : (M,) array
        Rates, 1/min.
    alpha : (N, M) array
        Coefficients, mL/cm3/min.
    VT : (N,) array
        mL/cm3.
    end : float
        End of the scan, min: slower than 1 / end is more than the scan shows.
    name : str
        End of the file name.
    words : str
        Settings, for the caption.

    Returns
    -------
    ekbom.nouns.Figure
        SVG.
    """
    rows, columns = panel_shape(names)
    with style():
        sheet = canvas(2.35 * columns + 0.4, 1.6 * rows + 0.6, layout=None)
        grid = sheet.subplots(rows, columns, sharex=True, squeeze=False)
        room(sheet, rows, columns)
        for i, axes in panels(grid, names):
            there = np.flatnonzero(alpha[i] > 0)
            axes.axvspan(0.5 * beta[0], 1 / end, color=GREY, alpha=0.15, lw=0)
            axes.vlines(beta[there], 0, alpha[i, there], color=PURPLE, lw=1.6)
            axes.plot(beta[there], alpha[i, there], "o", color=PURPLE, ms=2.5)
            axes.set_xscale("log")
            axes.set_xlim(0.7 * beta[0], 1.4 * beta[-1])
            axes.set_ylim(0, None)
            axes.set_title(f"{names[i]}, V_T {VT[i]:.3g}", loc="left", pad=2, y=1.0)
            axes.locator_params(axis="y", nbins=4)
        sheet.supxlabel("rate, 1/min", fontsize=9)
        sheet.supylabel("coefficient, mL/cm3/min", fontsize=9)
        data = svg(sheet)
    caption = (
        f"Spectra of {len(names)} regions: coefficients above zero among {beta.size} rates from"
        f" {beta[0]:.3g} to {beta[-1]:.3g}/min. Grey: rates slower than 1 / end of the scan."
        " A line at the lowest rate means that V_T is a lower bound; one at the highest is like"
        f" blood. {words}".strip()
    )
    return Figure(name, data, caption)
