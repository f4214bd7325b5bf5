"""How figures look, and how they become SVG that is the same every time.

Figures are drawn without pyplot, under a style that starts from Matplotlib's
own defaults, so that no user's ``matplotlibrc`` and no open window matters.
Text stays text: the reader's sans-serif font is used, it can be searched and
selected, and files stay small.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape

import matplotlib.style
from cycler import cycler
from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

#: Okabe and Ito's colours, told apart by all kinds of colour vision.
BLUE, VERMILION, GREEN = "#0072B2", "#D55E00", "#009E73"
PURPLE, ORANGE, SKY = "#AA4499", "#E69F00", "#56B4E9"
INK, SOFT, FAINT = "#222222", "#6b6b6b", "#d9d9d9"
CYCLE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P")

#: Width of a full figure in inches: the text column on screen; print makes it a sixth smaller.
FULL = 8.3

_RC = {
    "svg.fonttype": "none",
    "svg.hashsalt": "ekbom",
    "figure.dpi": 72,
    "savefig.dpi": 144,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "normal",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.labelcolor": INK,
    "axes.edgecolor": SOFT,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=list(CYCLE)),
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.1,
    "lines.markersize": 4,
    "text.color": INK,
}

_FONTS = "'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"


@contextmanager
def look() -> Iterator[None]:
    """Draw everything inside in the house's style, whatever the user's settings."""
    with matplotlib.style.context(["default", _RC]):
        yield


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure with an SVG canvas (call inside :func:`look`).

    Parameters
    ----------
    width, height : float
        Inches.

    Returns
    -------
    matplotlib.figure.Figure
        Not known to pyplot.
    """
    figure = Figure(figsize=(width, height))
    FigureCanvasSVG(figure)
    return figure


def svg(figure: Figure, *, key: str, alt: str) -> Markup:
    """Return a figure as SVG to be placed inside HTML (call inside :func:`look`).

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The finished figure.
    key : str
        Letters and digits, put before every id, so that two figures on one
        page do not mix up their clip paths.
    alt : str
        What the figure shows, for those who cannot see it.

    Returns
    -------
    markupsafe.Markup
        An ``<svg>`` element without date, metadata or references outside.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = small_svg(buffer.getvalue())
    text = re.sub(r'(?<=[\s(])id="', f'id="{key}-', text)
    text = re.sub(r'((?:xlink:)?href="#|url\(#)', rf"\g<1>{key}-", text)
    text = re.sub(r"'DejaVu Sans'", _FONTS, text)
    text = _lower(text)
    width = figure.get_size_inches()[0] * 96
    head = (
        f'<svg role="img" aria-label="{escape(alt, quote=True)}" '
        f'style="width:100%;max-width:{width:.0f}px;height:auto"'
    )
    # The size in points would fight with the style; the view box is enough.
    text = re.sub(r"<svg\b", head, text, count=1)
    text = re.sub(r'(<svg[^>]*?)\s+width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?)\s+height="[^"]*"', r"\1", text, count=1)
    return Markup(text)


def small_svg(text: str) -> str:
    """Return an SVG without prologue, metadata, comments and needless digits.

    Parameters
    ----------
    text : str
        A whole SVG file.

    Returns
    -------
    str
        From ``<svg`` on; what is drawn moves by less than 0.01 point.
    """
    start = text.find("<svg")
    text = text[max(start, 0) :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'(?<= d=")[^"]*|(?<= points=")[^"]*', _short, text)
    text = re.sub(
        r' (?:x|y|x1|x2|y1|y2|cx|cy)="-?\d+\.\d{3,}"|(?:translate|rotate)\([^)]*\)', _short, text
    )
    return re.sub(r">\s+<", "><", text).strip()


def _short(path: re.Match[str]) -> str:
    rounded = re.sub(r"-?\d+\.\d{3,}", lambda m: f"{float(m[0]):.2f}", path[0])
    return re.sub(r"\s+", " ", rounded)


def _lower(text: str) -> str:
    # dy works in every browser; baseline-shift does not.
    return re.sub(
        r"‹([^‹›<>]*)›([^‹›<>]?)",
        r'<tspan dy="2" font-size="75%">\1</tspan><tspan dy="-2">\2</tspan>',
        text,
    )
