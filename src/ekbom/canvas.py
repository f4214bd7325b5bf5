"""How figures of a measure look, and how they become bytes that stay the same.

A leaf that every measure may use: no date, fixed ids, text left as text. Matplotlib
is imported when something is drawn.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

# Okabe and Ito's palette: told apart by colour-blind readers and in print.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
)
INK, GREY = "#222222", "#8A8A8A"
_STYLE: dict[str, Any] = {
    "svg.hashsalt": "ekbom",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica", "sans-serif"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlesize": 9,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8,
}


def style(more: dict[str, Any] | None = None) -> Any:
    """Return a context in which the house style holds.

    Parameters
    ----------
    more : dict, optional
        Settings of matplotlib on top of it.

    Returns
    -------
    context manager
        Of matplotlib's settings.
    """
    from matplotlib import rc_context

    settings: Any = {**_STYLE, **(more or {})}
    return rc_context(settings)


def canvas(
    width: float, height: float, *, layout: Literal["constrained"] | None = "constrained"
) -> Canvas:
    """Return an empty figure that draws SVG.

    Parameters
    ----------
    width, height : float
        Inches.
    layout : {"constrained"} or None
        Engine of matplotlib that makes room for labels. It draws everything twice;
        with ``None`` the room is said with :func:`room`.

    Returns
    -------
    matplotlib.figure.Figure
        Empty.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas

    made = Canvas(figsize=(width, height), layout=layout)
    FigureCanvasSVG(made)
    return made


def room(
    canvas: Canvas,
    rows: int = 1,
    columns: int = 1,
    *,
    left: float = 0.62,
    right: float = 0.12,
    bottom: float = 0.5,
    top: float = 0.2,
    across: float = 0.42,
    down: float = 0.3,
) -> None:
    """Leave room around and between the panels of a figure without a layout engine.

    Parameters
    ----------
    canvas : matplotlib.figure.Figure
        Of :func:`canvas`.
    rows, columns : int
        Of its panels.
    left, right, bottom, top : float
        Around all of them, inches.
    across, down : float
        Between columns and between rows, inches.
    """
    width, height = canvas.get_size_inches()
    one = (width - left - right - (columns - 1) * across) / columns
    tall = (height - bottom - top - (rows - 1) * down) / rows
    canvas.subplots_adjust(
        left / width, bottom / height, 1 - right / width, 1 - top / height, across / one,
        down / tall,
    )  # fmt: skip


def svg(canvas: Canvas) -> bytes:
    """Return a figure as SVG without date, the same for the same numbers.

    Parameters
    ----------
    canvas : matplotlib.figure.Figure
        Of :func:`canvas`.

    Returns
    -------
    bytes
        SVG.
    """
    stream = io.BytesIO()
    canvas.savefig(
        stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
    )
    return stream.getvalue()
