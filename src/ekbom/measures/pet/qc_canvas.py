"""What quality-control figures of a scan have in common: panels, colours of models, style."""

from __future__ import annotations

from typing import Any

from ekbom import canvas as house
from ekbom.canvas import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, RED, SKY, canvas, svg

__all__ = [
    "BLUE",
    "GREEN",
    "GREY",
    "INK",
    "MODEL_STYLE",
    "ORANGE",
    "PANELS",
    "PURPLE",
    "RED",
    "SKY",
    "canvas",
    "style",
    "svg",
]

#: At most so many regions are drawn.
PANELS = 12
MODEL_STYLE = {
    "2tcm": (RED, "-"),
    "1tcm": (ORANGE, "-"),
    "ma1": (BLUE, "--"),
    "logan": (GREEN, ":"),
    "spectral": (PURPLE, "-"),
    "patlak": (SKY, "--"),
    "2tcm-irreversible": (INK, ":"),
}


def style() -> Any:
    """Return a context in which the house style holds, with lines that end at their points.

    Returns
    -------
    context manager
        Of matplotlib's settings.
    """
    return house.style({"lines.solid_capstyle": "butt", "path.simplify": True})
