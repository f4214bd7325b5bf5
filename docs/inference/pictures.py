"""The pictures of the page "Which test?"; run it to draw them again.

python docs/inference/pictures.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ekbom.inference.power import power_of_t
from ekbom.report.kindfigures import path
from ekbom.report.style import BLUE, FAINT, GREEN, INK, PURPLE, SOFT, VERMILION, look, new_figure

OUT = Path(__file__).parents[1] / "_static"


def equivalence() -> Figure:
    """Four intervals and what each of them shows."""
    figure = new_figure(7.6, 2.5)
    axes = figure.add_subplot()
    axes.axvspan(-1, 1, color="#dcebf5", zorder=-3, linewidth=0)
    axes.axvline(0, color=SOFT, linewidth=0.8)
    cases = (
        (0.1, 0.6, "equivalence is shown, a difference is not", GREEN),
        (0.55, 0.35, "both: different from 0, and small", GREEN),
        (0.4, 1.3, "neither: the study was too small to say", PURPLE),
        (1.7, 0.9, "a difference is shown", VERMILION),
    )
    for k, (middle, half, text, colour) in enumerate(cases):
        axes.hlines(-k, middle - half, middle + half, color=colour, linewidth=2)
        axes.plot(middle, -k, "o", color=colour, markersize=6)
        axes.text(3.0, -k, text, va="center", fontsize=9, color=INK)
    axes.set_xlim(-1.8, 7.2)
    axes.set_ylim(-3.6, 0.8)
    axes.text(0, 0.5, "too small to matter", ha="center", fontsize=8.5, color=BLUE)
    axes.set_yticks([])
    axes.set_xticks([-1, 0, 1], ["lower bound", "no difference", "upper bound"], fontsize=8)
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_bounds(-1.8, 2.8)
    return figure


def visits() -> Figure:
    """Two arms, three visits, people who leave: what each analysis would use."""
    rng = np.random.default_rng(4)
    figure = new_figure(7.6, 2.6)
    for place, (title, keep) in enumerate(
        (("only those who finished", "all"), ("mixed model: everybody as far as seen", "seen"))
    ):
        rng = np.random.default_rng(4)
        axes = figure.add_subplot(1, 2, place + 1)
        for k in range(14):
            y = (
                24
                + rng.normal(0, 3)
                - np.array([0, 3, 5]) * (0.4 + 0.5 * (k % 2))
                + rng.normal(0, 1.2, 3)
            )
            seen = 3 if y[1] < 24 or k % 3 else 2
            colour = BLUE if k % 2 else VERMILION
            used = seen == 3 or keep == "seen"
            axes.plot([0, 6, 12][:seen], y[:seen], "o-", color=colour if used else FAINT,
                      linewidth=1.0, markersize=3.5, zorder=2 if used else 1)  # fmt: skip
        axes.set_title(title)
        axes.set_xticks([0, 6, 12], ["start", "week 6", "week 12"])
        axes.set_ylabel("score" if place == 0 else "")
    return figure


def conjunction() -> Figure:
    """Two effects in a row of places, and where their conjunction is."""
    figure = new_figure(7.6, 2.3)
    axes = figure.add_subplot()
    x = np.linspace(0, 10, 400)
    one = 5 * np.exp(-((x - 3.6) ** 2) / 2.4)
    two = 4.5 * np.exp(-((x - 5.8) ** 2) / 2.4)
    least = np.minimum(one, two)
    axes.plot(x, one, color=BLUE, label="t of effect 1")
    axes.plot(x, two, color=VERMILION, label="t of effect 2")
    axes.plot(x, least, color=INK, linewidth=2.2, label="the least of both")
    axes.axhline(2.4, color=SOFT, linestyle=(0, (4, 3)), linewidth=0.9)
    axes.fill_between(x, 0, least, where=least > 2.4, color="#cfe8dc", zorder=-2)
    axes.text(9.9, 2.55, "usual threshold", ha="right", fontsize=8.5, color=SOFT)
    axes.text(4.7, 0.5, "both are\nhere", ha="center", fontsize=8.5, color=GREEN)
    axes.set_xlabel("place")
    axes.set_ylabel("t")
    axes.set_xticks([])
    axes.legend(loc="upper right", fontsize=8)
    return figure


def power() -> Figure:
    """What 15 against 12, and more people, can see."""
    figure = new_figure(6.2, 2.6)
    axes = figure.add_subplot()
    sizes = np.linspace(0, 2, 60)
    for (n1, n2), colour in (((15, 12), VERMILION), ((30, 30), BLUE), ((64, 64), GREEN)):
        from scipy import stats

        unit, df = np.sqrt(1 / n1 + 1 / n2), n1 + n2 - 2
        t = float(stats.t.isf(0.025, df))
        axes.plot(sizes, [power_of_t(d / unit, df, t) for d in sizes], color=colour,
                  label=f"{n1} and {n2} people")  # fmt: skip
    axes.axhline(0.8, color=FAINT, zorder=0)
    axes.set_xlabel("true difference (standard deviations)")
    axes.set_ylabel("chance to find it")
    axes.legend(fontsize=8.5)
    return figure


def mediation() -> Figure:
    """Three things in a row."""
    row = {"a": 0.359, "b": 0.370, "c": 0.256, "c_direct": 0.123, "p_a": 0.0002, "p_b": 0.0002}
    return path(("iron", "dopamine", "symptom"), row)


def main() -> None:
    """Draw all."""
    for draw in (equivalence, visits, conjunction, power, mediation):
        with look():
            figure = draw()
            figure.patch.set_facecolor("white")
            figure.savefig(OUT / f"which-{draw.__name__}.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
