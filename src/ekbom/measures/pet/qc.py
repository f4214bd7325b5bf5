"""Quality-control figures of one scan: blood, fits and residuals, as SVG.

The same numbers give the same bytes: no date, fixed ids, text left as text.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ekbom.measures.pet.input_fit import InputFit
from ekbom.measures.pet.residuals import runs_p
from ekbom.measures.pet.settings import REFERENCE
from ekbom.nouns import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from ekbom.measures.pet.delay import Delay
    from ekbom.measures.pet.regional import Regional
    from ekbom.measures.pet.settings import PETSettings

Array = NDArray[np.float64]

#: At most so many regions are drawn.
PANELS = 12
# Okabe and Ito's palette: told apart by colour-blind readers and in print.
_BLUE, _ORANGE, _GREEN, _RED, _PURPLE, _SKY = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
)
_INK, _GREY = "#222222", "#8A8A8A"
_MODEL_STYLE = {
    "2tcm": (_RED, "-"),
    "1tcm": (_ORANGE, "-"),
    "ma1": (_BLUE, "--"),
    "logan": (_GREEN, ":"),
    "spectral": (_PURPLE, "-"),
    "patlak": (_SKY, "--"),
    "2tcm-irreversible": (_INK, ":"),
}
_STYLE: Any = {
    "svg.hashsalt": "ekbom",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica", "sans-serif"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _GREY,
    "axes.labelcolor": _INK,
    "axes.titlesize": 9,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.solid_capstyle": "butt",
    "path.simplify": True,
}


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


def blood_figure(fit: InputFit, *, name: str = "desc-blood") -> Figure:
    """Draw samples and curves of the blood, with the peak enlarged, and the parent fraction.

    Parameters
    ----------
    fit : InputFit
    name : str
        End of the file name.

    Returns
    -------
    ekbom.nouns.Figure
        SVG.
    """
    two = bool(fit.parent_candidates)
    with _style():
        canvas = _canvas(9.2 if two else 6.0, 3.5)
        axes = canvas.subplots(
            1, 2 if two else 1, width_ratios=(1.35, 1) if two else None, squeeze=False
        )
        main = axes[0, 0]
        _draw_blood(main, fit)
        main.set(xlabel="minutes from injection", ylabel="kBq/mL", ylim=(0, None), xlim=(0, None))
        main.legend(loc="center right", bbox_to_anchor=(1.0, 0.3))
        inset = main.inset_axes((0.4, 0.5, 0.58, 0.48))
        _draw_blood(inset, fit)
        early = _peak_window(fit)
        inset.set(xlim=(0, early), ylim=(0, None))
        inset.tick_params(labelsize=7)
        if two:
            _draw_parent(axes[0, 1], fit)
        data = _svg(canvas)
    other = "; ".join(
        f"{row.model} {row.auc_difference_percent:+.1f} % of area"
        for row in fit.table.itertuples()
        if not row.chosen
    )
    parent = fit.parent.model if fit.parent is not None else "not corrected here"
    caption = (
        f"Blood. Parent plasma: {fit.parent_plasma.model}; parent fraction: {parent};"
        f" whole blood: {fit.whole_blood.model}."
        + (f" Not used, shown thin: {other}." if other else "")
        + (
            f" {100 * fit.extrapolated_share:.1f} % of the parent plasma area is extrapolated"
            f" beyond {fit.covers_end:.1f} min."
            if fit.extrapolated_share > 0
            else ""
        )
    )
    return Figure(name, data, caption)


def _draw_blood(axes: Axes, fit: InputFit) -> None:
    blood = fit.blood
    if blood.time_wb is not None and blood.whole_blood is not None:
        _curve_and_samples(
            axes,
            fit.whole_blood.t,
            fit.whole_blood.values,
            blood.time_wb,
            blood.whole_blood,
            _RED,
            "o",
            "whole blood",
        )
    if not blood.plasma_is_parent and fit.parent is not None:
        assert blood.time_p is not None
        assert blood.plasma is not None
        axes.plot(
            blood.time_p, blood.plasma, "s", color=_ORANGE, ms=3, mfc="none", label="total plasma"
        )
    for model, curve in fit.candidates.items():
        if curve is not fit.parent_plasma:
            axes.plot(curve.t, curve.values, color=_SKY, lw=0.8, label=f"parent plasma, {model}")
    _curve_and_samples(
        axes,
        fit.parent_plasma.t,
        fit.parent_plasma.values,
        fit.samples_t,
        fit.samples,
        _BLUE,
        "^",
        f"parent plasma, {fit.parent_plasma.model}",
    )


def _curve_and_samples(
    axes: Axes,
    t: Array,
    values: Array,
    ts: Array,
    samples: Array,
    color: str,
    mark: str,
    label: str,
) -> None:
    # a long record of an automatic sampler is its own curve: marks would hide it
    if ts.size <= 60:
        axes.plot(ts, samples, mark, color=color, ms=3)
    axes.plot(t, values, color=color, lw=1.2, label=label)


def _peak_window(fit: InputFit) -> float:
    curve = fit.parent_plasma
    peak = float(curve.t[int(np.argmax(curve.values))])
    return float(min(max(2.5 * peak, 3.0), curve.t[-1]))


def _draw_parent(axes: Axes, fit: InputFit) -> None:
    blood = fit.blood
    assert blood.time_f is not None
    assert blood.parent_fraction is not None
    end = float(fit.input.t[-1])
    t = np.concatenate(
        (np.linspace(0, min(10.0, end), 40), np.linspace(min(10.0, end), end, 60)[1:])
    )
    colors = iter((_ORANGE, _GREEN, _PURPLE, _SKY, _RED))
    for candidate in fit.parent_candidates:
        if candidate is fit.parent or candidate.model == "interpolate":
            continue
        axes.plot(t, candidate.at(t), color=next(colors), lw=0.9, label=candidate.model)
    if fit.parent is not None:
        knots = t
        if fit.parent.model == "interpolate":
            # after the last sample the product is extrapolated, not the fraction
            knots = np.concatenate(([0.0], blood.time_f))
        axes.plot(
            knots, fit.parent.at(knots), color=_BLUE, lw=1.8, label=f"{fit.parent.model} (used)"
        )
    axes.plot(blood.time_f, blood.parent_fraction, "o", color=_INK, ms=3)
    axes.set(
        xlabel="minutes from injection", ylabel="parent fraction", ylim=(0, 1.03), xlim=(0, None)
    )
    axes.legend(loc="upper right")


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
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    with _style():
        canvas = _canvas(2.35 * columns + 0.4, 1.75 * rows + 0.75)
        grid = canvas.subplots(rows, columns, sharex=True, squeeze=False)
        for i, axes in enumerate(grid.flat):
            if i >= len(names):
                axes.set_axis_off()
                continue
            axes.tick_params(labelbottom=i + columns >= len(names))
            axes.hlines(values[i], start, end, color=_INK, lw=2.2, alpha=0.55)
            for drawn in models:
                color, dash = _MODEL_STYLE.get(drawn.model, (_PURPLE, "-"))
                axes.plot(mid, drawn.fitted[i], color=color, ls=dash, lw=1.1)
            axes.set_title(names[i], loc="left", pad=2)
            axes.set_ylim(0, None)
            axes.locator_params(nbins=4)
        grid[0, 0].set_xlim(0, float(end[-1]))
        canvas.supxlabel("minutes from injection", fontsize=9)
        canvas.supylabel("kBq/mL", fontsize=9)
        canvas.legend(handles=_legend(models), loc="outside upper center", ncols=len(models) + 1)
        data = _svg(canvas)
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
    with _style():
        canvas = _canvas(3.1 * len(models) + 0.3, 2.5)
        grid = canvas.subplots(1, len(models), sharey=True, sharex=True, squeeze=False)
        for axes, (model, residual) in zip(grid.flat, models.items(), strict=True):
            color, _ = _MODEL_STYLE.get(model, (_PURPLE, "-"))
            used = np.isfinite(residual).any(axis=0)
            low, middle, high = np.nanquantile(residual[:, used], [0.1, 0.5, 0.9], axis=0)
            axes.axhline(0, color=_GREY, lw=0.8)
            axes.fill_between(mid[used], low, high, color=color, alpha=0.2, lw=0)
            axes.plot(mid[used], middle, color=color, lw=1.2, marker="o", ms=2.5)
            p = runs_p(residual[:, used])
            share = float(np.mean(p[np.isfinite(p)] < 0.05)) if np.isfinite(p).any() else 0.0
            axes.set_title(model, loc="left", pad=2)
            said.append(f"{model}: {100 * share:.0f} %")
        grid[0, 0].set_ylabel("weighted residual, SD")
        grid[0, 0].set_xlim(0, 1.02 * float(mid[-1]))
        canvas.supxlabel("minutes from injection", fontsize=9)
        data = _svg(canvas)
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
    with _style():
        canvas = _canvas(4.2, 2.6)
        axes = canvas.subplots()
        axes.semilogy(
            60 * delay.profile_t, delay.profile_rss, color=_BLUE, lw=1.2, marker="o", ms=2.5
        )
        axes.axvline(60 * delay.value, color=_RED, lw=0.9)
        axes.set(xlabel="delay, s", ylabel="weighted residual sum of squares")
        data = _svg(canvas)
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

    handles = [Line2D([], [], color=_INK, lw=2.2, alpha=0.55, label="measured")]
    for drawn in models:
        color, dash = _MODEL_STYLE.get(drawn.model, (_PURPLE, "-"))
        handles.append(Line2D([], [], color=color, ls=dash, lw=1.3, label=drawn.model))
    return handles


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def _style() -> Any:
    from matplotlib import rc_context

    return rc_context(_STYLE)


def _canvas(width: float, height: float) -> Canvas:
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(width, height), layout="constrained")
    FigureCanvasSVG(canvas)
    return canvas


def _svg(canvas: Canvas) -> bytes:
    stream = io.BytesIO()
    canvas.savefig(
        stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
    )
    return stream.getvalue()
