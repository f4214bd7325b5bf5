"""The page of one person of the disease model: the last day, the course, and the numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ekbom.report import style

#: Drugs as they are in the body.
_BODY = {
    "l_body": "levodopa",
    "g_body": "agonist",
    "o_body": "oxycodone",
    "p_body": "pregabalin",
    "fx": "iron complex",
}
#: What is followed over the course, in reading order.
_COURSE = (
    ("severity", "severity, 0 to 40"),
    ("plms", "leg movements, 1/h, one night a day"),
    ("ferritin", "ferritin, ug/L"),
    ("hb", "haemoglobin, g/dL"),
    ("b3", "D3 receptors, healthy 1"),
    ("g_d1", "gain of D1, healthy 1"),
)


def day_figure(hours: pd.DataFrame, threshold: float, without: pd.DataFrame | None) -> str:
    """Draw the last day from noon to noon: urge, spinal dopamine and D3, drugs.

    Parameters
    ----------
    hours : DataFrame
        Of :class:`ekbom.trials.person.Course`.
    threshold : float
        Urge at the threshold of the disease.
    without : DataFrame, optional
        The same hours without treatment, drawn pale.

    Returns
    -------
    str
        SVG; the same numbers give the same bytes.
    """
    end = int(hours["hour"].iloc[-1])
    begin = max(0, end - 36)
    last = hours[(hours["hour"] >= begin) & (hours["hour"] <= begin + 24)]
    pale = None if without is None else without.loc[last.index]
    drugs = [k for k in _BODY if last[k].max() > 0.01 * max(hours[k].max(), 1e-6)]
    with style.look():
        figure = style.new_figure(style.FULL, 4.6 if drugs else 3.4)
        axes = figure.subplots(3 if drugs else 2, 1, sharex=True)
        clock = last["hour"].to_numpy()
        for ax in axes:
            _nights(ax, begin, begin + 24)
        _pair(axes[0], clock, last["u"], None if pale is None else pale["u"], style.BLUE)
        axes[0].axhline(threshold, color=style.VERMILION, linewidth=0.8)
        axes[0].text(clock[0] + 0.2, threshold, "threshold", color=style.VERMILION, va="bottom")
        axes[0].set(ylabel="urge", ylim=(0, None))
        _pair(axes[1], clock, last["d_a"], None if pale is None else pale["d_a"], style.GREEN,
              "spinal dopamine, healthy 1")  # fmt: skip
        _pair(axes[1], clock, last["occ3"], None if pale is None else pale["occ3"], style.PURPLE,
              "D3 occupancy")  # fmt: skip
        axes[1].set(ylabel="signal", ylim=(0, None))
        axes[1].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        if drugs:
            for k, colour in zip(drugs, style.CYCLE, strict=False):
                axes[2].plot(clock, last[k], color=colour, label=_BODY[k])
            axes[2].set(ylabel="in the body, mg", ylim=(0, None))
            axes[2].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        ticks = np.arange(begin, begin + 25, 3)
        axes[-1].set(xlim=(begin, begin + 24), xlabel="clock, h")
        axes[-1].set_xticks(ticks, [f"{t % 24:02d}" for t in ticks])
        return str(style.svg(figure, key="day", alt="Urge, dopamine and drugs over the last day"))


def course_figure(days: pd.DataFrame, without: pd.DataFrame | None) -> str:
    """Draw severity, leg movements, iron and receptors by day.

    Parameters
    ----------
    days : DataFrame
        Of :class:`ekbom.trials.person.Course`.
    without : DataFrame, optional
        The same days without treatment, drawn pale.

    Returns
    -------
    str
        SVG; the same numbers give the same bytes.
    """
    with style.look():
        figure = style.new_figure(style.FULL, 4.8)
        axes = figure.subplots(3, 2, sharex=True).ravel()
        for ax, (name, word) in zip(axes, _COURSE, strict=True):
            own = None if without is None else without[name]
            if name == "plms":
                if own is not None:
                    ax.plot(days["day"], own, "o", color=style.FAINT, markersize=3)
                ax.plot(days["day"], days[name], "o", color=style.BLUE, markersize=3)
            else:
                _pair(ax, days["day"], days[name], own, style.BLUE)
            ax.set_title(word)
            values = pd.concat([days[name]] if own is None else [days[name], own])
            low, high = float(values.min()), float(values.max())
            room = max(0.08 * (high - low), 0.02 * abs(high), 0.02)
            ax.set_ylim(max(0.0, low - room), high + room)
        for ax in axes[-2:]:
            ax.set_xlabel("day")
        return str(style.svg(figure, key="course", alt="Severity, movements and iron by day"))


def _pair(
    ax: Axes, x: object, y: pd.Series, without: pd.Series | None, colour: str, label: str = ""
) -> None:
    """Draw a curve, and under it the one without treatment, pale."""
    if without is not None:
        ax.plot(x, without.to_numpy(), color=colour, alpha=0.35, linewidth=1.0)  # type: ignore[arg-type]
    ax.plot(x, y.to_numpy(), color=colour, label=label or None)  # type: ignore[arg-type]


def _nights(ax: Axes, begin: int, end: int) -> None:
    """Shade 23 to 7 h."""
    for midnight in range(24 * (begin // 24), end + 24, 24):
        low, high = max(begin, midnight - 1), min(end, midnight + 7)
        if low < high:
            ax.axvspan(low, high, color="#eef1f5", linewidth=0, zorder=0)


def cohort_figure(
    people: pd.DataFrame,
    without: pd.DataFrame | None,
    by_age: pd.DataFrame,
    by_age_without: pd.DataFrame | None,
) -> str:
    """Draw who has the disease by age and sex, how severe it is, and serum ferritin.

    Parameters
    ----------
    people : DataFrame
        ``age``, ``female``, ``rls``, ``irls``, ``ferritin@10``.
    without : DataFrame, optional
        The same people without the condition, drawn pale.
    by_age, by_age_without : DataFrame
        ``sex from_age to_age percent lower upper``.

    Returns
    -------
    str
        SVG; the same numbers give the same bytes.
    """
    with style.look():
        figure = style.new_figure(style.FULL, 2.9)
        first, second, third = figure.subplots(1, 3)
        for table, alpha in ((by_age_without, 0.35), (by_age, 1.0)):
            if table is None:
                continue
            for word, colour, aside in (("women", style.VERMILION, 1), ("men", style.BLUE, -1)):
                own = table[table["sex"] == word]
                y = own["percent"]
                bars = np.maximum([y - own["lower"], own["upper"] - y], 0.0)
                first.errorbar((own["from_age"] + own["to_age"]) / 2 + aside, y, bars, fmt="o",
                               color=colour, alpha=alpha, markersize=3.5, linewidth=0.9,
                               label=word if table is by_age else None)  # fmt: skip
        first.set(xlabel="age, years", ylabel="with the disease, %", ylim=(0, None))
        first.legend(loc="upper left", ncols=2)
        for table, alpha in ((without, 0.35), (people, 1.0)):
            if table is None:
                continue
            hit = table["rls"].to_numpy(bool)
            second.hist(table["irls"][hit], bins=np.arange(0, 41, 4), histtype="step",
                        color=style.BLUE, alpha=alpha, linewidth=1.2)  # fmt: skip
            for rows, colour in ((~hit, style.SOFT), (hit, style.VERMILION)):
                at = np.sort(table["ferritin@10"].to_numpy()[rows])
                third.plot(at, 100 * np.arange(1, len(at) + 1) / max(len(at), 1), color=colour,
                           alpha=alpha)  # fmt: skip
        second.set(xlabel="severity of those with it", ylabel="people")
        third.set(xlabel="ferritin, ug/L", ylabel="people up to it, %", xscale="log", ylim=(0, 100))
        third.plot([], [], color=style.VERMILION, label="with")
        third.plot([], [], color=style.SOFT, label="without")
        third.legend(title="the disease", loc="upper left")
        return str(style.svg(figure, key="cohort", alt="Prevalence, severity and ferritin"))
