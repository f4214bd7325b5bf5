"""A page of tables and figures for the model held to print."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE = (
    "body{font:15px/1.5 Georgia,serif;margin:2rem auto;max-width:82rem;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;font-size:.82em}td,th{padding:.2em .6em;text-align:left;"
    "border-bottom:1px solid #ddd;vertical-align:top}th{position:sticky;top:0;background:#fff}"
    ".scroll{overflow:auto;max-height:42rem;border:1px solid #eee}.lead{font-size:1.15em}"
    ".note{background:#f6f2e6;padding:.6em 1em}figure{margin:1em 0}figcaption{color:#555}"
    ".inside{color:#00694d;font-weight:bold}.outside,.low,.high{color:#b34700;font-weight:bold}"
)
_CANVAS: Any = {
    "svg.hashsalt": "ekbom", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False,
    "legend.frameon": False, "svg.fonttype": "none",
}  # fmt: skip


def page(
    title: str,
    lines: Sequence[str],
    tables: Mapping[str, pd.DataFrame],
    about: str,
    figures: Mapping[str, str] | None = None,
) -> str:
    """Return an HTML page.

    Parameters
    ----------
    title : str
        Heading.
    lines : sequence of str
        What to read first.
    tables : mapping of str to pandas.DataFrame
        Heading to table; a column ``verdict`` is coloured and in words.
    about : str
        Model, parameters, and what the page is not.
    figures : mapping of str to str, optional
        Caption to SVG, shown before the tables.

    Returns
    -------
    str
        A page without outside resources.
    """
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>',
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1>",
        f'<p class="note"><strong>{escape(about)}</strong></p>',
        *(f'<p class="lead">{escape(line)}</p>' for line in lines),
    ]
    for caption, svg in (figures or {}).items():
        parts.append(f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>")
    for head, frame in tables.items():
        body = frame.to_html(index=False, na_rep="", float_format=_number, border=0, justify="left")
        for word in ("inside", "outside", "low", "high"):
            body = body.replace(f"<td>{word}</td>", f'<td class="{word}">{word}</td>')
        parts.append(f'<h2>{escape(head)}</h2><div class="scroll">{body}</div>')
    return "\n".join([*parts, f"<p><em>{escape(about)}</em></p></html>", ""])


def _number(value: float) -> str:
    if abs(value) < 1e-9:
        return "0"
    return f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"


#: Columns of verdicts in words; the file has the short names.
_WORDS = {
    "median": "model", "q05": "5 % of studies", "q95": "95 % of studies",
    "probability": "chance of print", "verified": "source verified",
    "worlds": "cohorts", "worlds_inside": "cohorts inside alone",
}  # fmt: skip


def in_words(table: pd.DataFrame) -> pd.DataFrame:
    """Return verdicts with headings to be read, without columns that are the same for all.

    Parameters
    ----------
    table : pandas.DataFrame
        Of :func:`ekbom.trials.evidence.judged`.

    Returns
    -------
    pandas.DataFrame
        For the page.
    """
    dull = [c for c in ("class", "scenario", "calibrated", "replicates", "worlds", "worlds_inside")
            if c in table and table[c].nunique(dropna=False) < 2]  # fmt: skip
    return table.drop(columns=dull).rename(columns=_WORDS)


def verdict_figure(table: pd.DataFrame) -> str:
    """Draw where the printed number or direction of each counted row lies in the model.

    Parameters
    ----------
    table : pandas.DataFrame
        Required and null-required rows of :func:`ekbom.trials.evidence.judged`.

    Returns
    -------
    str
        SVG: numbers on the scale of the 90 % of simulated studies, directions by their
        chance.
    """
    counted = table[(table["calibrated"] == "no") & table["verdict"].notna()]
    value = counted[["printed", "q05", "q95", "probability"]].apply(pd.to_numeric, errors="coerce")
    number = value[["printed", "q05", "q95"]].notna().all(axis=1)
    numbers, signs = counted[number], counted[~number & value["probability"].notna()]
    rows = max(len(numbers), len(signs), 2)
    figure, axes = _canvas(9.6, 0.8 + 0.19 * rows, 2)
    half = (value["q95"] - value["q05"]) / 2
    x = (value["printed"] - value["q05"]) / half - 1
    for ax, own, at in (
        (axes[0], numbers, x[number]),
        (axes[1], signs, value.loc[signs.index, "probability"]),
    ):
        colour = ["#0072B2" if v == "inside" else "#D55E00" for v in own["verdict"]]
        face = [c if y == "yes" else "white" for c, y in zip(colour, own["verified"], strict=True)]
        order = np.argsort(at.to_numpy(float), kind="stable")
        ax.scatter(np.clip(at.to_numpy(float), -3, 3)[order], range(len(own)), s=26, zorder=3,
                   c=np.array(face)[order], edgecolors=np.array(colour)[order])  # fmt: skip
        ax.set_yticks(range(len(own)), list(own["id"].to_numpy()[order]), size=7)
        ax.set_ylim(-0.7, rows - 0.3)
        ax.grid(axis="y", color="#eee", zorder=0)
    axes[0].axvspan(-1, 1, color="#e6eef5", zorder=0)
    axes[0].set_xlim(-3.2, 3.2)
    axes[0].set_xlabel("printed number; band: 90 % of simulated studies, ends at 3 cut")
    axes[1].axvspan(0.1, 1.03, color="#e6eef5", zorder=0)
    axes[1].set_xlim(-0.03, 1.03)
    axes[1].set_xlabel("chance that a simulated study finds what is printed")
    return _svg(figure)


def spread_figure(table: pd.DataFrame) -> str:
    """Draw what the printed spreads of FE01 and FE02 say when read as SE and as SD.

    Parameters
    ----------
    table : pandas.DataFrame
        Of :func:`ekbom.trials.constraints.spread_readings`.

    Returns
    -------
    str
        SVG.
    """
    figure, axes = _canvas(7.2, 2.4, 1)
    ax = axes[0]
    names = list(dict.fromkeys(table["quantity"]))
    for i, name in enumerate(names):
        own = table[table["quantity"] == name].set_index("reading")
        for reading, colour, dy in (("sem", "#0072B2", 0.15), ("sd", "#D55E00", -0.15)):
            p = float(own.loc[reading, "p_welch"])
            word = f"read as {'SE' if reading == 'sem' else 'SD'}" if i == 0 else None
            ax.plot(-np.log10(p), i + dy, "o", color=colour, label=word)
        printed = -np.log10(float(own["printed_p"].iloc[0]))
        ax.plot([printed] * 2, [i - 0.35, i + 0.35], color="#222", lw=2,
                label="printed p" if i == 0 else None)  # fmt: skip
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(-0.6, len(names) - 0.4)
    ax.set_xlabel("-log10 p of Welch's t from the printed means, spreads and n")
    ax.legend(loc="lower right")
    return _svg(figure)


def opioid_figure(table: pd.DataFrame) -> str:
    """Draw how often the diprenorphine pattern comes over tonic deficit and phasic release.

    Parameters
    ----------
    table : pandas.DataFrame
        Of :func:`ekbom.trials.constraints.tonic_and_phasic`.

    Returns
    -------
    str
        SVG.
    """
    figure, axes = _canvas(9.6, 3.2, 3)
    for ax, (column, title) in zip(axes, (
        ("p_group_null", "no group difference (OP01)"),
        ("p_slope", "V_T falls with severity, p < 0.001 (OP02)"),
        ("p_pattern", "both in one study: the printed pattern"),
    ), strict=True):  # fmt: skip
        grid = table.pivot_table(index="del_o", columns="k_p", values=column)
        ax.imshow(grid.to_numpy(), vmin=0, vmax=1, origin="lower", cmap="cividis", aspect="auto")
        for i, row in enumerate(grid.to_numpy()):
            for j, v in enumerate(row):
                ax.text(j, i, f"{v:.2f}", ha="center", va="center", size=8,
                        color="white" if v < 0.5 else "black")  # fmt: skip
        ax.set_xticks(range(len(grid.columns)), [f"{k:.2g}" for k in grid.columns])
        ax.set_yticks(range(len(grid.index)), [f"{k:.2g}" for k in grid.index])
        ax.set_title(title, size=9)
        ax.set_xlabel("phasic release k_p, 1/h")
    axes[0].set_ylabel("tonic deficit del_o")
    return _svg(figure)


def intervals_figure(table: pd.DataFrame) -> str:
    """Draw how many intervals between movements of each length a night has.

    Parameters
    ----------
    table : pandas.DataFrame
        Of :func:`ekbom.validate.nights.nights`.

    Returns
    -------
    str
        SVG.
    """
    figure, axes = _canvas(7.2, 2.8, 1)
    ax = axes[0]
    edges = np.r_[table["from_s"], table["to_s"].iloc[-1]]
    ax.axvspan(15, 30, color="#eee", zorder=0, label="printed peak, 15 to 30 s")
    for column, colour, word in (
        ("patients", "#0072B2", "patients with more than 5 an hour"),
        ("young_controls", "#D55E00", "people of 20 to 40 years without the disease"),
    ):
        ax.stairs(table[column], edges, color=colour, lw=1.5, label=word)
    ax.set_xlabel("interval from onset to onset, s")
    ax.set_ylabel("intervals a night, in 2 s")
    ax.set_xlim(0, 90)
    ax.legend()
    return _svg(figure)


def _canvas(width: float, height: float, count: int) -> tuple[Figure, list[Any]]:
    import matplotlib as mpl
    from matplotlib.figure import Figure as Canvas

    with mpl.rc_context(_CANVAS):
        figure = Canvas(figsize=(width, height), layout="constrained")
        axes = figure.subplots(1, count, squeeze=False)[0]
    return figure, list(axes)


def _svg(figure: Figure) -> str:
    import matplotlib as mpl

    out = io.StringIO()
    with mpl.rc_context(_CANVAS):
        figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]
