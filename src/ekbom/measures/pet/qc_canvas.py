"""How quality-control figures of a scan look, and how they become bytes that stay the same."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

#: At most so many regions are drawn.
PANELS = 12
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
MODEL_STYLE = {
    "2tcm": (RED, "-"),
    "1tcm": (ORANGE, "-"),
    "ma1": (BLUE, "--"),
    "logan": (GREEN, ":"),
    "spectral": (PURPLE, "-"),
    "patlak": (SKY, "--"),
    "2tcm-irreversible": (INK, ":"),
}
_STYLE: Any = {
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
    "lines.solid_capstyle": "butt",
    "path.simplify": True,
}


def style() -> Any:
    """Return a context in which the house style holds."""
    from matplotlib import rc_context

    return rc_context(_STYLE)


def canvas(width: float, height: float) -> Canvas:
    """Return an empty figure of this size in inches."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas

    made = Canvas(figsize=(width, height), layout="constrained")
    FigureCanvasSVG(made)
    return made


def svg(canvas: Canvas) -> bytes:
    """Return a figure as SVG without date, the same for the same numbers."""
    stream = io.BytesIO()
    canvas.savefig(
        stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
    )
    return stream.getvalue()
