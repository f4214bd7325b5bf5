"""Figures of a night, as SVG: the same numbers give the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ekbom.canvas import BLUE, GREEN, GREY, INK, ORANGE, RED, SKY, canvas, style, svg
from ekbom.measures.legs.analyse import Analysis
from ekbom.measures.legs.detect import Detection
from ekbom.measures.legs.events import BOTH, LEFT, RIGHT, Array
from ekbom.measures.legs.filters import Channel, design, filtered
from ekbom.measures.legs.hypnogram import N1, N2, N3, Hypnogram, R, W
from ekbom.measures.legs.indices import find
from ekbom.measures.legs.night import course
from ekbom.measures.legs.periodicity import histogram, intervals
from ekbom.measures.legs.score import Scored
from ekbom.measures.legs.uncertainty import band
from ekbom.nouns import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEVEL = {W: 5, R: 4, N1: 3, N2: 2, N3: 1}
_ROWS = {LEFT: 2.0, RIGHT: 1.0, BOTH: 0.0}


def night_figure(one: Analysis, *, name: str = "desc-legsNight") -> Figure:
    """Draw hypnogram and movements: grey, blue (CLM), red (PLM), ringed when respiratory.

    Parameters
    ----------
    one : Analysis
    name : str
        End of the file name.

    Returns
    -------
    ekbom.nouns.Figure
        SVG.
    """
    scored, night = one.scored, one.scored.hypnogram
    with style():
        page = canvas(9.2, 3.6)
        top, low = page.subplots(2, 1, sharex=True, height_ratios=(1, 1.1))
        _draw_stages(top, night)
        for spans, color, at in ((scored.resp, SKY, 0.94), (scored.arousal, ORANGE, 0.88)):
            if spans is not None and len(spans):
                top.hlines(np.full(len(spans), 0.55 + 5.2 * at), spans.onset / 3600,
                           spans.end / 3600 + 1e-3, color=color, lw=3)  # fmt: skip
        _draw_movements(low, scored)
        for start, end in night.lost_any:
            low.axvspan(start / 3600, end / 3600, color=GREY, alpha=0.2, lw=0)
        for at in (night.lights_off, night.lights_on):
            top.axvline(at / 3600, color=INK, lw=0.6, ls=":")
        low.set_xlabel("hours from the start of the recording")
        data = svg(page)
    plms = find(one.indices, "PLM_index", "sleep")
    caption = (
        f"Hypnogram and leg movements by {scored.rules.title}: LM grey, CLM blue, PLM red,"
        " respiratory CLM ringed; respiratory events sky blue and arousals orange above."
        f" {plms.n} PLM in {plms.hours:.2f} h of sleep, {_number(plms.value)}/h."
    )
    return Figure(name, data, caption)


def interval_figure(one: Analysis, *, name: str = "desc-legsIntervals") -> Figure:
    """Draw the histogram of ln intervals in sleep, with the bounds of the rules.

    Parameters
    ----------
    one : Analysis
    name : str

    Returns
    -------
    ekbom.nouns.Figure
        SVG.
    """
    rules = one.scored.rules
    imi = intervals(one.scored, "sleep")
    edges, counts = histogram(imi, ln=True)
    with style():
        page = canvas(4.6, 2.8)
        axes = page.subplots()
        axes.bar(np.exp(edges[:-1]), counts, np.diff(np.exp(edges)), align="edge", color=BLUE,
                 lw=0)  # fmt: skip
        for at in (rules.imi_min, rules.imi_max):
            axes.axvline(at, color=RED, lw=0.9)
        axes.set(xscale="log", xlim=(0.5, 400), xlabel="interval, s (bins of 0.1 ln s)",
                 ylabel="intervals")  # fmt: skip
        at_s = (1, 2, 5, 10, 20, 50, 100, 200)
        axes.set_xticks(at_s, [str(t) for t in at_s])
        axes.minorticks_off()
        data = svg(page)
    new, old = find(one.indices, "PI_2016"), find(one.indices, "PI_Ferri2006")
    caption = (
        f"Intervals between candidate movements in sleep by {rules.title} (n = {imi.size}), with"
        f" the bounds of a series at {rules.imi_min:g} and {rules.imi_max:g} s."
        f" PI 2016 (PLM/CLM): {_number(new.value)}; PI of Ferri 2006 (intervals in runs):"
        f" {_number(old.value)}."
    )
    return Figure(name, data, caption)


def hours_figure(one: Analysis, *, name: str = "desc-legsHours") -> Figure:
    """Draw periodic movements by hour from sleep onset, with the straight line.

    Parameters
    ----------
    one : Analysis
    name : str

    Returns
    -------
    ekbom.nouns.Figure
        SVG.
    """
    of = course(one.scored)
    slope, low, high = of.slope()
    rates, (a, b) = of.rates, of.intervals()
    with style():
        page = canvas(4.6, 2.8)
        axes = page.subplots()
        hour = np.arange(rates.size) + 0.5
        shown = np.isfinite(rates)
        axes.bar(hour[shown], rates[shown], 0.85, color=BLUE, alpha=0.6)
        axes.vlines(hour[shown], a[shown], b[shown], color=INK, lw=1)
        if slope.value == slope.value:
            weight = of.hours[shown]
            middle = float(np.average(hour[shown], weights=weight))
            level = float(np.average(rates[shown], weights=weight))
            axes.plot(hour[shown], level + slope.value * (hour[shown] - middle), color=RED)
        axes.set(xlabel="hour from sleep onset", ylabel="PLMS per hour of sleep", ylim=(0, None))
        data = svg(page)
    caption = (
        "Periodic movements by hour of sleep with 95 % Poisson intervals. Slope"
        f" {_number(slope.value)} ({_number(low)} to {_number(high)}) per hour and hour;"
        f" dispersion {_number(of.dispersion().value)} (1 by chance alone)."
    )
    return Figure(name, data, caption)


def sensitivity_figure(one: Analysis, *, name: str = "desc-legsSensitivity") -> Figure:
    """Draw PLMS an hour under every change of rules and thresholds.

    Parameters
    ----------
    one : Analysis
    name : str

    Returns
    -------
    ekbom.nouns.Figure
        SVG.
    """
    base, *changed = one.variants
    with style():
        page = canvas(5.4, 0.6 + 0.25 * max(len(changed), 1))
        axes = page.subplots()
        for k, v in enumerate(reversed(changed)):
            if v.value == v.value and base.value == base.value:
                axes.barh(k, v.value - base.value, left=base.value, color=SKY, height=0.7)
                axes.plot([v.value], [k], "|", color=INK, ms=7)
        if base.value == base.value:
            axes.axvline(base.value, color=RED, lw=0.9)
        axes.set_yticks(range(len(changed)), [f"{v.what}: {v.setting}" for v in reversed(changed)])
        axes.set_xlabel("PLMS per hour of sleep")
        data = svg(page)
    low, high = band(one.variants)
    caption = (
        f"PLMS per hour by {one.scored.rules.title} ({_number(base.value)}) under other rules and"
        f" thresholds: {_number(low)} to {_number(high)}."
    )
    return Figure(name, data, caption)


def snippet_figure(
    scored: Scored,
    found: Detection,
    channels: Sequence[Channel],
    *,
    seed: int = 0,
    name: str = "desc-legsEMG",
) -> Figure:
    """Draw the EMG about six random movements of each class, with rest and thresholds.

    Parameters
    ----------
    scored : Scored
    found : Detection
        What the movements come from.
    channels : sequence of Channel
        As given to the detector.
    seed : int
        Of the draw.
    name : str

    Returns
    -------
    ekbom.nouns.Figure
        SVG.
    """
    rng = np.random.default_rng(seed)
    plm, clm = scored.periodic, scored.candidate
    classes: Mapping[str, Any] = {"PLM": plm, "CLM": clm & ~plm, "nonCLM": ~clm}
    s = found.settings
    with style():
        page = canvas(9.2, 4.2)
        grid = page.subplots(3, 6, squeeze=False)
        for row, (word, mask) in enumerate(classes.items()):
            pool = np.flatnonzero(mask)
            drawn = np.sort(rng.choice(pool, min(6, pool.size), replace=False))
            for col in range(6):
                axes = grid[row, col]
                if col >= drawn.size:
                    axes.set_axis_off()
                    continue
                i = int(drawn[col])
                k = int(scored.marks.leg[scored.movements.members[i][0]])
                c = next(j for j, one in enumerate(channels) if one.leg == k)
                _draw_snippet(axes, scored, i, channels[c], found, c)
                axes.set_title(f"{word}, {scored.movements.onset[i] / 60:.1f} min", loc="left")
        page.supxlabel("seconds from onset", fontsize=9)
        page.supylabel("rectified EMG, uV", fontsize=9)
        data = svg(page)
    caption = (
        "Rectified EMG about random movements of each class, with the rest level (green),"
        f" rest + {s.on:g} uV (red) and rest + {s.off:g} uV (orange); the movement is shaded."
    )
    return Figure(name, data, caption)


def _draw_snippet(
    axes: Axes, scored: Scored, i: int, channel: Channel, found: Detection, c: int
) -> None:
    onset, end = float(scored.movements.onset[i]), float(scored.movements.end[i])
    a = max(int((onset - 4.0) * channel.fs), 0)
    b = min(int((onset + min(end - onset, 8.0) + 4.0) * channel.fs), channel.raw.size)
    part = Channel(channel.name, channel.leg, channel.raw[a:b], channel.fs, channel.gain,
                   channel.offset)  # fmt: skip
    track = found.tracks[c]
    x = np.abs(filtered(part, design(channel.fs, found.settings.low, track.high, track.notches)))
    keep = max(x.size // 400, 1)
    n = x.size // keep
    t = (a + keep * np.arange(n)) / channel.fs
    axes.plot(t - onset, x[: n * keep].reshape(n, keep).max(axis=1), color=INK, lw=0.5)
    rest = np.interp(t, found.legs[c].rest_times, found.legs[c].rest)
    for add, color in ((0.0, GREEN), (found.settings.on, RED), (found.settings.off, ORANGE)):
        axes.plot(t - onset, rest + add, color=color, lw=0.8)
    axes.axvspan(0, end - onset, color=SKY, alpha=0.25, lw=0)
    axes.set_xlim(t[0] - onset, t[-1] - onset)
    axes.tick_params(labelsize=6)


def _draw_stages(axes: Axes, night: Hypnogram) -> None:
    x: list[float] = []
    y: list[float] = []
    for onset, length, stage in zip(night.onset, night.duration, night.stage, strict=True):
        level = float(_LEVEL.get(int(stage), np.nan))
        if x and y[-1] == level and abs(x[-1] - onset / 3600) < 1e-9:
            x[-1] = (onset + length) / 3600
            continue
        x += [onset / 3600, (onset + length) / 3600]
        y += [level, level]
    axes.plot(x, y, color=INK, lw=0.9)
    axes.set_yticks([5, 4, 3, 2, 1], ["W", "R", "N1", "N2", "N3"])
    axes.set_ylim(0.5, 5.9)


def _draw_movements(axes: Axes, scored: Scored) -> None:
    m = scored.movements
    hours: Array = m.onset / 3600
    row = np.array([_ROWS.get(int(k), 0.0) for k in m.leg])
    clm, plm = scored.candidate, scored.periodic
    for mask, color in ((~clm, GREY), (clm & ~plm, BLUE), (plm, RED)):
        axes.vlines(hours[mask], row[mask] - 0.36, row[mask] + 0.36, color=color, lw=0.6)
    ringed = scored.respiratory
    axes.plot(hours[ringed], row[ringed], "o", mfc="none", mec=INK, ms=5, mew=0.5)
    axes.set_yticks([2, 1, 0], ["left", "right", "both"])
    axes.set_ylim(-0.5, 2.5)


def _number(value: float) -> str:
    return "n/a" if value != value else f"{value:.3g}"
