"""The page of an in-silico trial: tables and the power curve."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd

from ekbom.report.evidence import page

_HEADS = {
    "endpoints": "What trials of this design find",
    "first_trial": "The first of these trials: what one team would publish",
    "sample_size": "Power by number of people, primary endpoint",
    "parts": "What the change of severity is made of",
    "no_effect": "Trials without any effect that found one",
    "augmentation": "Augmentation",
}


def trial_page(
    title: str,
    lines: Sequence[str],
    tables: Mapping[str, pd.DataFrame],
    curve: pd.DataFrame,
    about: str,
) -> str:
    """Return the HTML page of a trial.

    Parameters
    ----------
    title : str
        Of the design.
    lines : sequence of str
        What to read first.
    tables : mapping of str to DataFrame
        By file name.
    curve : DataFrame
        Power by number of people; drawn when there are two sizes or more.
    about : str
        What the page is not.

    Returns
    -------
    str
        A page without outside resources.
    """
    named = {_HEADS.get(k, k): v for k, v in tables.items()}
    made = page(f"In-silico trial: {title}", lines, named, about)
    if len(curve) < 2:
        return made
    mark = f"<h2>{escape(_HEADS['sample_size'])}</h2>"
    return made.replace(mark, f"{mark}\n<figure>{power_figure(curve)}</figure>", 1)


def power_figure(curve: pd.DataFrame, people: str = "people in all") -> str:
    """Return the power curve as SVG: the same numbers give the same bytes.

    Parameters
    ----------
    curve : DataFrame
        ``n power lower upper wanted``.
    people : str
        What n counts.

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    import matplotlib as mpl

    style: Any = {"svg.hashsalt": "ekbom", "svg.fonttype": "none", "font.size": 9,
             "axes.spines.top": False, "axes.spines.right": False}  # fmt: skip
    with mpl.rc_context(style):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(5.2, 3.0), layout="constrained")
        axes = figure.add_subplot()
        n, p = curve["n"].to_numpy(float), curve["power"].to_numpy(float)
        axes.errorbar(n, p, [p - curve["lower"], curve["upper"] - p], fmt="o-", color="#0072B2",
                      ecolor="#8A8A8A", markersize=4, capsize=2)  # fmt: skip
        for _, row in curve[curve["wanted"] == "yes"].iterrows():
            axes.axvline(row["n"], color="#D55E00", linewidth=1)
            axes.text(row["n"], 0.03, f" {int(row['n'])}", color="#D55E00")
        axes.set(xlabel=people, ylabel="power", ylim=(0, 1.02))
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    return text[text.index("<svg") :]
