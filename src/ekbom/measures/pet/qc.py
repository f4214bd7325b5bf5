"""Quality-control figures of the fits of one scan: curves, residuals, delay, as SVG.

The same numbers give the same bytes: no date, fixed ids, text left as text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
    room,
    style,
    svg,
)
from ekbom.measures.pet.qc_panels import Panel, key, sheet, text
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
    wide, tall, across, down = 127.0, 96.0, 30.0, 22.0
    left, top = 45.0, 36.0
    width = left + columns * (wide + across) - across + 9.0
    height = top + rows * (tall + down) - down + 36.0
    colors = [MODEL_STYLE.get(drawn.model, (PURPLE, "-")) for drawn in models]
    entries = [("measured", INK, "-", 2.2)]
    entries += [(d.model, c, dash, 1.3) for d, (c, dash) in zip(models, colors, strict=True)]
    parts = [key(width / 2, 12.0, entries)]
    for i, region in enumerate(names):
        curves = np.concatenate([values[i], *(drawn.fitted[i] for drawn in models)])
        known = curves[np.isfinite(curves)]
        highest = 1.05 * max(float(known.max()) if known.size else 0.0, 1e-12)
        row, column = divmod(i, columns)
        panel = Panel(
            left + column * (wide + across), top + row * (tall + down), wide, tall,
            (0.0, float(end[-1])), (0.0, highest),
        )  # fmt: skip
        panel.bars(start, end, values[i], INK)
        for drawn, (color, dash) in zip(models, colors, strict=True):
            panel.line(mid, drawn.fitted[i], color, dash=dash)
        parts.append(panel.finish(title=region, label_x=i + columns >= len(names)))
    parts.append(text(left + (width - left) / 2, height - 4, "minutes from injection",
                      anchor="middle"))  # fmt: skip
    parts.append(text(11.0, height / 2, "kBq/mL", anchor="middle", turned=True))
    data = sheet(width, height, parts)
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
        page = canvas(3.1 * len(models) + 0.3, 2.5, layout=None)
        grid = page.subplots(1, len(models), sharey=True, sharex=True, squeeze=False)
        room(page, 1, len(models), across=0.15)
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
        page.supxlabel("minutes from injection", fontsize=9)
        data = svg(page)
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
    seconds, rss = 60 * delay.profile_t, delay.profile_rss
    known = np.isfinite(rss) & (rss > 0)
    low, high = (float(rss[known].min()), float(rss[known].max())) if known.any() else (1.0, 10.0)
    room_above = max((high / low) ** 0.05, 1.001)
    gap = 0.05 * float(seconds.max() - seconds.min()) or 1.0
    panel = Panel(
        61.0, 7.0, 232.0, 144.0,
        (float(seconds.min()) - gap, float(seconds.max()) + gap),
        (low / room_above, high * room_above), log=True,
    )  # fmt: skip
    panel.upright(60 * delay.value, RED)
    panel.line(seconds, np.where(known, rss, np.nan), BLUE, width=1.2, dots=True)
    parts = [panel.finish(), text(177.0, 181.0, "delay, s", anchor="middle")]
    parts.append(text(12.0, 79.0, "weighted residual sum of squares", anchor="middle", turned=True))
    data = sheet(302.0, 187.0, parts)
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


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]
