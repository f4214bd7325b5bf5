"""What quality-control figures of a scan have in common: panels, colours of models, style."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ekbom import canvas as house
from ekbom.canvas import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, RED, SKY, canvas, room, svg

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
    "panel_shape",
    "panels",
    "room",
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


def panel_shape(names: Sequence[str]) -> tuple[int, int]:
    """Return rows and columns of small panels, one a region.

    Parameters
    ----------
    names : sequence of str
        Regions.

    Returns
    -------
    tuple of int
        Rows, columns (at most four).
    """
    columns = min(4, len(names))
    return -(-len(names) // columns), columns


def panels(grid: Any, names: Sequence[str]) -> Iterator[tuple[int, Any]]:
    """Give the panel of each region; others are hidden, and only the lowest label their x axis.

    Parameters
    ----------
    grid : (rows, columns) array of matplotlib axes
        Of :func:`panel_shape`, sharing their x axis.
    names : sequence of str
        Regions.

    Yields
    ------
    tuple
        Number of the region, axes.
    """
    columns = grid.shape[1]
    for i, axes in enumerate(grid.flat):
        if i >= len(names):
            axes.set_axis_off()
            continue
        axes.tick_params(labelbottom=i + columns >= len(names))
        yield i, axes
