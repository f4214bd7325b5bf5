"""Small panels of curves as SVG, drawn here and not by a plotting library.

Every scan of a study has a figure with a panel for each region; a plotting library
takes half a second for it, most of that for ticks. The house's colours and sizes
(:mod:`ekbom.canvas`); points (1/72 inch); the same numbers give the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from ekbom.canvas import GREY, INK

Array = NDArray[np.float64]

#: Dashes by matplotlib's words, in widths of the line.
_DASHES = {"-": "", "--": "3.7 1.6", ":": "1 1.65"}


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Return round numbers within a range.

    Parameters
    ----------
    low, high : float
        The range.
    count : int
        At most so many steps.

    Returns
    -------
    list of float
        Multiples of 1, 2, 2.5 or 5 times a power of ten.

    Examples
    --------
    >>> ticks(0.0, 17.0)
    [0.0, 5.0, 10.0, 15.0]
    """
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return [low] if math.isfinite(low) else []
    power = 10.0 ** math.floor(math.log10(span / count))
    step = next(m * power for m in (1.0, 2.0, 2.5, 5.0, 10.0) if span / (m * power) <= count + 1e-9)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


@dataclass
class Panel:
    """One pair of axes.

    Parameters
    ----------
    left, top, width, height : float
        Where on the sheet, points.
    x, y : two floats
        Ranges; `y` from 0 or of the logarithm's own ends.
    log : bool
        Whether the upright axis is logarithmic.
    """

    left: float
    top: float
    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]
    log: bool = False
    _parts: list[str] = field(default_factory=list)

    def _across(self, x: Array) -> Array:
        return self.left + self.width * (x - self.x[0]) / (self.x[1] - self.x[0])

    def _up(self, y: Array) -> Array:
        low, high = self.y
        if self.log:
            low, high = math.log10(low), math.log10(high)
            y = np.log10(np.maximum(y, 1e-300))
        return self.top + self.height * (1.0 - (y - low) / (high - low))

    def line(
        self,
        x: Array,
        y: Array,
        color: str,
        *,
        width: float = 1.1,
        dash: str = "-",
        dots: bool = False,
    ) -> None:
        """Draw a curve; it is broken where a value is missing.

        Parameters
        ----------
        x, y : (N,) array
            The curve; NaN is missing.
        color : str
            Of the line.
        width : float
            Points.
        dash : {"-", "--", ":"}
            As matplotlib calls them.
        dots : bool
            Whether its points are marked.
        """
        across, up = self._across(np.asarray(x)), self._up(np.asarray(y))
        known = np.isfinite(across) & np.isfinite(up)
        runs = np.split(np.arange(known.size), np.flatnonzero(np.diff(known)) + 1)
        moves = [
            " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(across[r], up[r], strict=True))
            for r in runs
            if r.size and known[r[0]]
        ]
        if not moves:
            return
        pattern = " ".join(f"{width * float(n):.2f}" for n in _DASHES[dash].split())
        dashes = f' stroke-dasharray="{pattern}"' if pattern else ""
        path = "".join(f"M{move}" for move in moves)
        self._parts.append(
            f'<path d="{path}" fill="none" stroke="{color}" stroke-width="{width:g}" '
            f'stroke-linejoin="round"{dashes}/>'
        )
        if dots:
            self._parts += [
                f'<circle cx="{a:.1f}" cy="{b:.1f}" r="1.3" fill="{color}"/>'
                for a, b in zip(across[known], up[known], strict=True)
            ]

    def bars(self, start: Array, end: Array, y: Array, color: str) -> None:
        """Draw values as bars as long as they last.

        Parameters
        ----------
        start, end, y : (N,) array
            From, to, and the value; NaN is missing.
        color : str
            Of the bars.
        """
        a, b, up = self._across(start), self._across(end), self._up(y)
        known = np.isfinite(up)
        path = "".join(
            f"M{p:.1f},{h:.1f}H{q:.1f}"
            for p, q, h in zip(a[known], b[known], up[known], strict=True)
        )
        self._parts.append(
            f'<path d="{path}" stroke="{color}" stroke-width="2.2" stroke-opacity="0.55"/>'
        )

    def upright(self, x: float, color: str) -> None:
        """Draw a line from foot to top.

        Parameters
        ----------
        x : float
            Where.
        color : str
            Of the line.
        """
        at = float(self._across(np.array(x)))
        self._parts.append(
            f'<path d="M{at:.1f},{self.top:.1f}V{self.top + self.height:.1f}" stroke="{color}" '
            'stroke-width="0.9"/>'
        )

    def finish(self, *, title: str = "", label_x: bool = True) -> str:
        """Return the panel with its axes and ticks.

        Parameters
        ----------
        title : str
            Above, on the left.
        label_x : bool
            Whether the ticks along the foot have numbers.

        Returns
        -------
        str
            SVG.
        """
        foot, right = self.top + self.height, self.left + self.width
        marks = [f"M{self.left:.1f},{self.top:.1f}V{foot:.1f}H{right:.1f}"]
        words = []
        for value in ticks(*self.x):
            at = float(self._across(np.array(value)))
            marks.append(f"M{at:.1f},{foot:.1f}v3.5")
            if label_x:
                words.append(text(at, foot + 12.5, f"{value:g}", anchor="middle"))
        for value in _decades(*self.y) if self.log else ticks(*self.y):
            at = float(self._up(np.array(value)))
            marks.append(f"M{self.left:.1f},{at:.1f}h-3.5")
            words.append(text(self.left - 6, at + 3.2, f"{value:g}", anchor="end"))
        if title:
            words.append(text(self.left, self.top - 3, title))
        axes = f'<path d="{"".join(marks)}" fill="none" stroke="{GREY}" stroke-width="0.8"/>'
        return axes + "".join(self._parts) + "".join(words)


def text(x: float, y: float, words: str, *, anchor: str = "start", turned: bool = False) -> str:
    """Return a piece of text.

    Parameters
    ----------
    x, y : float
        Where its line stands, points.
    words : str
        What.
    anchor : {"start", "middle", "end"}
        Which end of it is there.
    turned : bool
        Whether it is read from below.

    Returns
    -------
    str
        SVG.
    """
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{turn}>{escape(words)}</text>'


def key(x: float, y: float, entries: Sequence[tuple[str, str, str, float]]) -> str:
    """Return a legend in one line.

    Parameters
    ----------
    x, y : float
        Its middle, and where the text stands, points.
    entries : sequence of (words, color, dash, width)
        A line of width 2.2 is pale, as bars are.

    Returns
    -------
    str
        SVG.
    """
    lengths = [22.0 + 5.0 * len(words) + 16.0 for words, *_ in entries]
    at, out = x - sum(lengths) / 2, []
    for (words, color, dash, width), length in zip(entries, lengths, strict=True):
        pattern = " ".join(f"{width * float(n):.2f}" for n in _DASHES[dash].split())
        dashes = f' stroke-dasharray="{pattern}"' if pattern else ""
        pale = ' stroke-opacity="0.55"' if width > 2 else ""
        out.append(
            f'<path d="M{at:.1f},{y - 3:.1f}h18" stroke="{color}" stroke-width="{width:g}"'
            f"{dashes}{pale}/>"
        )
        out.append(text(at + 22, y, words))
        at += length
    return "".join(out)


def sheet(width: float, height: float, parts: Sequence[str]) -> bytes:
    """Return a figure.

    Parameters
    ----------
    width, height : float
        Points.
    parts : sequence of str
        SVG.

    Returns
    -------
    bytes
        SVG, text left as text.
    """
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}pt" height="{height:g}pt" '
        f'viewBox="0 0 {width:g} {height:g}" font-size="9" fill="{INK}" '
        'font-family="DejaVu Sans, Arial, Helvetica, sans-serif">'
        f'<rect width="{width:g}" height="{height:g}" fill="#ffffff"/>{"".join(parts)}</svg>\n'
    ).encode()


def _decades(low: float, high: float) -> list[float]:
    """Round numbers of a logarithmic axis: powers of ten, or finer when there are few."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for within in ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0)):
        found = [m * 10.0**e for e in exponents for m in within if low <= m * 10.0**e <= high]
        if len(found) >= 3:
            return found[:: -(-len(found) // 6)]
    return found if len(found) > 1 else ticks(low, high)
