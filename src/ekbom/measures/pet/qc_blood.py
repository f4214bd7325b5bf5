"""Figures of the blood of one scan: samples and curves, parent fraction, plasma over blood."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ekbom.measures.pet.input_fit import InputFit
from ekbom.measures.pet.qc_canvas import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    canvas,
    room,
    style,
    svg,
)
from ekbom.nouns import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

# Whole blood below this share of its largest value is too near zero to divide by.
_RATIO_FLOOR = 0.02


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
    with style():
        sheet = canvas(9.2 if two else 6.0, 3.5, layout=None)
        axes = sheet.subplots(
            1, 2 if two else 1, width_ratios=(1.35, 1) if two else None, squeeze=False
        )
        room(sheet, 1, 2 if two else 1, top=0.5, across=0.55)
        main = axes[0, 0]
        _draw_blood(main, fit)
        main.set(xlabel="minutes from injection", ylabel="kBq/mL", ylim=(0, None), xlim=(0, None))
        main.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2)
        inset = main.inset_axes((0.42, 0.58, 0.56, 0.4))
        _draw_blood(inset, fit)
        early = _peak_window(fit)
        inset.set(xlim=(0, early), ylim=(0, None))
        inset.tick_params(labelsize=7)
        if two:
            _draw_parent(axes[0, 1], fit)
        data = svg(sheet)
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
            RED,
            "o",
            "whole blood",
        )
    if not blood.plasma_is_parent and fit.parent is not None:
        assert blood.time_p is not None
        assert blood.plasma is not None
        axes.plot(
            blood.time_p, blood.plasma, "s", color=ORANGE, ms=3, mfc="none", label="total plasma"
        )
    # they are drawn alike, so one word does for all
    others = {m: c for m, c in fit.candidates.items() if c is not fit.parent_plasma}
    words = f"not used: {', '.join(others)}"
    for k, curve in enumerate(others.values()):
        axes.plot(curve.t, curve.values, color=SKY, lw=0.8, label="_" if k else words)
    _curve_and_samples(
        axes,
        fit.parent_plasma.t,
        fit.parent_plasma.values,
        fit.samples_t,
        fit.samples,
        BLUE,
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
    colors = iter((ORANGE, GREEN, PURPLE, SKY, RED))
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
            knots, fit.parent.at(knots), color=BLUE, lw=1.8, label=f"{fit.parent.model} (used)"
        )
    axes.plot(blood.time_f, blood.parent_fraction, "o", color=INK, ms=3)
    axes.set(
        xlabel="minutes from injection", ylabel="parent fraction", ylim=(0, 1.03), xlim=(0, None)
    )
    axes.legend(loc="upper right")


def ratio_figure(fit: InputFit, *, name: str = "desc-ratio") -> Figure | None:
    """Draw total plasma over whole blood at the plasma samples.

    Parameters
    ----------
    fit : InputFit
    name : str
        End of the file name.

    Returns
    -------
    ekbom.nouns.Figure or None
        ``None`` when total plasma or whole blood was not measured, or no sample of
        plasma lies where whole blood can be divided by.
    """
    blood = fit.blood
    if blood.plasma_is_parent or blood.time_p is None or blood.plasma is None:
        return None
    if blood.time_wb is None or blood.whole_blood is None:
        return None
    whole = np.interp(blood.time_p, blood.time_wb, blood.whole_blood, left=np.nan, right=np.nan)
    usable = whole > _RATIO_FLOOR * float(blood.whole_blood.max())
    if not usable.any():
        return None
    t, ratio = blood.time_p[usable], blood.plasma[usable] / whole[usable]
    with style():
        sheet = canvas(4.2, 2.6, layout=None)
        axes = sheet.subplots()
        room(sheet, top=0.1)
        axes.axhline(1.0, color=GREY, lw=0.8)
        axes.plot(t, ratio, color=RED, lw=1.2, marker="o" if t.size <= 60 else "", ms=3)
        axes.set(
            xlabel="minutes from injection",
            ylabel="plasma over whole blood",
            xlim=(0, None),
            ylim=(0, 1.08 * max(float(ratio.max()), 1.0)),
        )
        data = svg(sheet)
    caption = (
        f"Total plasma over whole blood at {t.size} samples, from {ratio[0]:.2f} at"
        f" {t[0]:.1f} min to {ratio[-1]:.2f} at {t[-1]:.0f} min; whole blood is interpolated to the"
        f" plasma samples, those below {_RATIO_FLOOR:.0%} of its peak are left out."
    )
    return Figure(name, data, caption)
