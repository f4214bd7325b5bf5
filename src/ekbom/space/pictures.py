"""Pictures for quality control: slices with outlines, and lines over time.

Slices are drawn here rather than by a plotting library: every scan of a study
has several, and the same image gives the same bytes.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ekbom.space.grid import Grid

Array = NDArray[np.float64]

#: Slices of each of the three directions.
COLUMNS = 7
_EDGE = (214, 69, 32)
_WIDTH, _GAP = 150, 3
_PANEL = (300, 190)
_HUES = ("#0b5fa5", "#d64520", "#3a7d34", "#7a4fa3", "#8a6d00", "#555555")


def outlined(
    image: Array, outline: NDArray[np.bool_], grid: Grid, *, columns: int = COLUMNS
) -> bytes:
    """Draw an image in three directions with the outline of a mask.

    Parameters
    ----------
    image : (X, Y, Z) array
        Grey values; NaN is black.
    outline : (X, Y, Z) array of bool
        Its rim is drawn.
    grid : Grid
        Of both; drawn along its nearest axes, the left of the person on the left.
    columns : int
        Slices a direction.

    Returns
    -------
    bytes
        PNG; axial, coronal and sagittal rows.
    """
    picture, mask, size = _upright(np.nan_to_num(image), outline, grid)
    box = _box(mask)
    inside = picture[tuple(slice(a, b + 1) for a, b in box)]
    inside = inside[inside > 0.1 * float(inside.max())] if inside.max() > 0 else inside.ravel()
    low, high = 0.0, float(np.quantile(inside, 0.995))
    grey = np.clip((picture - low) / max(float(high - low), 1e-12), 0.0, 1.0)
    rim = mask & ~ndimage.binary_erosion(mask)
    rows = []
    for axis in (2, 1, 0):
        across, up = [k for k in range(3) if k != axis]
        places = np.linspace(box[axis][0], box[axis][1], columns + 2)[1:-1].round().astype(int)
        tiles = []
        for place in places:
            here = tuple(
                int(place) if k == axis else slice(box[k][0], box[k][1] + 1) for k in range(3)
            )
            tiles.append(_tile(grey[here], rim[here], size[across], size[up]))
        rows.append(np.concatenate([np.pad(t, ((0, _GAP), (0, _GAP), (0, 0))) for t in tiles], 1))
    width = max(row.shape[1] for row in rows)
    return png(
        np.concatenate([np.pad(r, ((0, 0), (0, width - r.shape[1]), (0, 0))) for r in rows], 0)
    )


def png(picture: NDArray[np.uint8]) -> bytes:
    """Return a picture as PNG.

    Parameters
    ----------
    picture : (H, W, 3) array of uint8
        Red, green, blue.

    Returns
    -------
    bytes
        The same for the same picture.
    """
    height, width = picture.shape[:2]
    lines = np.zeros((height, 1 + 3 * width), dtype=np.uint8)
    lines[:, 1:] = picture.reshape(height, -1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(lines.tobytes(), 6))
        + chunk(b"IEND", b"")
    )


def lines(
    panels: Sequence[tuple[str, str, Sequence[tuple[str, Array]]]], x: Array, x_label: str
) -> bytes:
    """Draw curves in panels side by side.

    Parameters
    ----------
    panels : sequence of (title, unit, curves)
        Curves are pairs of name and values at `x`.
    x : (N,) array
        Common to all.
    x_label : str
        With unit.

    Returns
    -------
    bytes
        SVG.
    """
    body = [_panel(k * _PANEL[0] + 44, one, x, x_label) for k, one in enumerate(panels)]
    total, high = _PANEL[0] * len(panels), _PANEL[1]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="{high}" '
        f'viewBox="0 0 {total} {high}" font-family="sans-serif">'
        f'<rect width="{total}" height="{high}" fill="#ffffff"/>{"".join(body)}</svg>\n'
    ).encode()


def _panel(
    x0: float, panel: tuple[str, str, Sequence[tuple[str, Array]]], x: Array, x_label: str
) -> str:
    title, unit, curves = panel
    span, top, tall, foot = _PANEL[0] - 58, 26, _PANEL[1] - 66, _PANEL[1] - 24
    values = np.concatenate([np.asarray(c, dtype=np.float64) for _, c in curves])
    finite = values[np.isfinite(values)]
    low, end = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if end > 0 and low > 0 and low < 0.5 * end:
        low = 0.0
    end = end if end - low > 1e-9 else low + 1.0
    first, gap = float(x[0]), max(float(x[-1] - x[0]), 1e-9)
    across = x0 + span * (np.asarray(x) - first) / gap
    parts = [_text(x0, 14, f"{title} ({unit})", 11, "start", bold=True)]
    for value in (low, end):
        y = top + tall * (1 - (value - low) / (end - low))
        parts.append(
            f'<line x1="{x0}" x2="{x0 + span}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>'
        )
        parts.append(_text(x0 - 4, y + 3, f"{value:.3g}", 9, "end"))
    parts.append(_text(x0, foot, f"{first:.3g}", 9, "start"))
    parts.append(_text(x0 + span, foot, f"{float(x[-1]):.3g}", 9, "end"))
    parts.append(_text(x0 + span / 2, foot, x_label, 9, "middle"))
    for k, (name, curve) in enumerate(curves):
        hue = _HUES[k % len(_HUES)]
        points = " ".join(
            f"{a:.1f},{top + tall * (1 - (v - low) / (end - low)):.1f}"
            for a, v in zip(across, curve, strict=True)
            if np.isfinite(v)
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{hue}" stroke-width="1.4"/>')
        parts.append(_text(x0 + k * 60, _PANEL[1] - 8, name, 9, "start", hue=hue))
    return "".join(parts)


def _text(
    x: float, y: float, words: str, size: int, anchor: str, *, bold: bool = False, hue: str = ""
) -> str:
    weight = ' font-weight="bold"' if bold else ""
    safe = words.replace("&", "&amp;").replace("<", "&lt;")
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}"{weight} '
        f'fill="{hue or "#222222"}">{safe}</text>'
    )


def _upright(
    image: Array, mask: NDArray[np.bool_], grid: Grid
) -> tuple[Array, NDArray[np.bool_], list[float]]:
    letters = grid.orientation
    order = [next(k for k in range(3) if letters[k] in pair) for pair in ("RL", "AP", "SI")]
    flips = tuple(slice(None) if letters[k] in "RAS" else slice(None, None, -1) for k in order)
    sizes = [grid.voxel_size[k] for k in order]
    return image.transpose(order)[flips], mask.transpose(order)[flips], sizes


def _box(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    out = []
    for axis in range(3):
        places = np.flatnonzero(mask.any(axis=tuple(k for k in range(3) if k != axis)))
        if not places.size:
            out.append((0, mask.shape[axis] - 1))
            continue
        out.append((max(int(places[0]) - 2, 0), min(int(places[-1]) + 2, mask.shape[axis] - 1)))
    return out


def _tile(grey: Array, rim: NDArray[np.bool_], across: float, up: float) -> NDArray[np.uint8]:
    zoom = _WIDTH / (grey.shape[0] * across)
    wide, high = _WIDTH, max(1, round(grey.shape[1] * up * zoom))
    x = np.minimum((np.arange(wide) / (zoom * across)).astype(int), grey.shape[0] - 1)
    y = np.minimum((np.arange(high) / (zoom * up)).astype(int), grey.shape[1] - 1)[::-1]
    tone = (grey[np.ix_(x, y)].T * 255).astype(np.uint8)
    out = np.repeat(tone[:, :, None], 3, axis=2)
    label = rim[np.ix_(x, y)].T
    # The rim of a large voxel is drawn one pixel wide, at its outer border.
    thin = label & (
        ~np.roll(label, 1, 0) | ~np.roll(label, -1, 0) | ~np.roll(label, 1, 1)
        | ~np.roll(label, -1, 1)
    ) if zoom * min(across, up) > 3 else label  # fmt: skip
    out[thin] = _EDGE
    return out
