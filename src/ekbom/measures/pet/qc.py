"""Quality-control figures of the fits of one scan: curves, residuals, delay, as SVG.

The same numbers give the same bytes: no date, fixed ids, text left as text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ekbom.measures.pet.qc_canvas import (
    BLUE,
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
from ekbom.measures.pet.residuals import runs_p
from ekbom.measures.pet.settings import REFERENCE
from ekbom.nouns import Figure

if TYPE_CHECKING:
    from ekbom.measures.pet.delay import Delay
    from ekbom.measures.pet.regional import Regional
    from ekbom.measures.pet.settings import PETSettings

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Drawn:
    """Fits of one model for the regions of a figure.

    Attributes
    ----------
    model : str
    fitted : (N, F) array
        kBq/mL; NaN where the model says nothing (before t*).
    """

    model: str
    fitted: Array


def fits_figure(
    mid: Array,
    start: Array,
    end: Array,
    names: Sequence[str],
    values: Array,
    models: Sequence[Drawn],
    *,
    name: str = "desc-fits",
    words: str = "",
) -> Figure:
    """Draw measured frames as bars as long as they last, with the fits of each model.

    Parameters
    ----------
    mid, start, end : (F,) arrays
        min from injection.
    names : sequence of str
        Regions, at most twelve.
    values : (N, F) array
        kBq/mL.
    models : sequence of Drawn
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
        sheet = canvas(2.35 * columns + 0.4, 1.75 * rows + 0.75, layout=None)
        grid = sheet.subplots(rows, columns, sharex=True, squeeze=False)
        room(sheet, rows, columns, top=0.5)
        for i, axes in panels(grid, names):
            axes.hlines(values[i], start, end, color=INK, lw=2.2, alpha=0.55)
            for drawn in models:
                color, dash = MODEL_STYLE.get(drawn.model, (PURPLE, "-"))
                axes.plot(mid, drawn.fitted[i], color=color, ls=dash, lw=1.1)
            axes.set_title(names[i], loc="left", pad=2, y=1.0)
            axes.set_ylim(0, None)
            axes.locator_params(nbins=4)
        grid[0, 0].set_xlim(0, float(end[-1]))
        sheet.supxlabel("minutes from injection", fontsize=9)
        sheet.supylabel("kBq/mL", fontsize=9)
        sheet.legend(handles=_legend(models), loc="upper center", ncols=len(models) + 1)
        data = svg(sheet)
    caption = (
        f"Measured frames (bars as long as the frame) and fits of"
        f" {_and([m.model for m in models])}. {words}".strip()
    )
    return Figure(name, data, caption)


def residuals_figure(
    mid: Array,
    models: Mapping[str, Array],
    *,
    name: str = "desc-residuals",
    words: str = "",
) -> Figure:
    """Draw weighted residuals over time: quartiles over all regions for each model.

    Parameters
    ----------
    mid : (F,) array
        min from injection.
    models : mapping of str to (N, F) array
        Weighted residuals in units of each region's residual SD; NaN where a
        frame was not used.
    name : str
        End of the file name.
    words : str
        Settings, for the caption.

    Returns
    -------
    ekbom.nouns.Figure
        SVG.
    """
    said = []
    with style():
        sheet = canvas(3.1 * len(models) + 0.3, 2.5, layout=None)
        grid = sheet.subplots(1, len(models), sharey=True, sharex=True, squeeze=False)
        room(sheet, 1, len(models), across=0.15)
        for axes, (model, residual) in zip(grid.flat, models.items(), strict=True):
            color, _ = MODEL_STYLE.get(model, (PURPLE, "-"))
            used = np.isfinite(residual).any(axis=0)
            low, middle, high = np.nanquantile(residual[:, used], [0.1, 0.5, 0.9], axis=0)
            axes.axhline(0, color=GREY, lw=0.8)
            axes.fill_between(mid[used], low, high, color=color, alpha=0.2, lw=0)
            axes.plot(mid[used], middle, color=color, lw=1.2, marker="o", ms=2.5)
            p = runs_p(residual[:, used])
            share = float(np.mean(p[np.isfinite(p)] < 0.05)) if np.isfinite(p).any() else 0.0
            axes.set_title(model, loc="left", pad=2, y=1.0)
            said.append(f"{model}: {100 * share:.0f} %")
        grid[0, 0].set_ylabel("weighted residual, SD")
        grid[0, 0].set_xlim(0, 1.02 * float(mid[-1]))
        sheet.supxlabel("minutes from injection", fontsize=9)
        data = svg(sheet)
    count = next(iter(models.values())).shape[0]
    caption = (
        f"Weighted residuals over {count} regions: median, and band from 10 to 90 %. Share of"
        " regions whose signs do not change as chance would have it (runs test, p < .05; 5 %"
        f" expected): {', '.join(said)}."
        f" {words}".strip()
    )
    return Figure(name, data, caption)


def delay_figure(delay: Delay, *, name: str = "desc-delay") -> Figure:
    """Draw the profile over which the delay was found.

    Parameters
    ----------
    delay : Delay
    name : str
        End of the file name.

    Returns
    -------
    ekbom.nouns.Figure
        SVG.
    """
    with style():
        sheet = canvas(4.2, 2.6, layout=None)
        axes = sheet.subplots()
        room(sheet, left=0.85, top=0.1)
        axes.semilogy(
            60 * delay.profile_t, delay.profile_rss, color=BLUE, lw=1.2, marker="o", ms=2.5
        )
        axes.axvline(60 * delay.value, color=RED, lw=0.9)
        axes.set(xlabel="delay, s", ylabel="weighted residual sum of squares")
        data = svg(sheet)
    # A flagged delay has no standard error.
    error = f" (SE {60 * delay.se:.1f} s)" if math.isfinite(delay.se) else ""
    used = f"; {delay.flag}: 0 s was used." if delay.flag else "."
    caption = f"Delay of tissue after the sampling site: {60 * delay.value:.1f} s{error}{used}"
    return Figure(name, data, caption)


def settings_words(regional: Regional, settings: PETSettings, weights: str) -> str:
    """Return the settings of the fits, for captions."""
    parts = [f"weights {weights}"]
    if regional.input is not None:
        parts.append(f"delay {60 * regional.delay_min:.1f} s")
    for model in regional.fits:
        volume = settings.blood_volume(model)
        text = f"{model} with v_B {volume if volume == 'free' else format(volume, 'g')}"
        if model in REFERENCE:
            text = f"{model} against {settings.reference}"
        if model == "suv":
            text = "suv"
        if model in regional.tstar:
            text += f" from {regional.tstar[model]:.4g} min"
        parts.append(text)
    return "Settings: " + "; ".join(parts) + "."


def _legend(models: Sequence[Drawn]) -> list[Any]:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=INK, lw=2.2, alpha=0.55, label="measured")]
    for drawn in models:
        color, dash = MODEL_STYLE.get(drawn.model, (PURPLE, "-"))
        handles.append(Line2D([], [], color=color, ls=dash, lw=1.3, label=drawn.model))
    return handles


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]
