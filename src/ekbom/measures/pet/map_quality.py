"""What to doubt in a parametric map: coefficient of variation, extrapolated share, flags.

One PNG a model, the same slices as the map's own figure, one row a quantity.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ekbom.measures.pet.flags import CV_HIGH, EXTRAPOLATED, MEANINGS, words
from ekbom.measures.pet.map_figure import COLUMNS, Slices
from ekbom.nouns import Figure
from ekbom.space import Grid

Array = NDArray[np.float64]

# Okabe and Ito's colours; a voxel without a flag is pale.
_COLOURS = ("#D55E00", "#0072B2", "#E69F00", "#CC79A7", "#009E73", "#56B4E9", "#222222")
_NONE = "#e6e6e6"


def quality_figure(
    values: Array,
    grid: Grid,
    *,
    cv: Array | None = None,
    extrapolated: Array | None = None,
    flags: Array | None = None,
    name: str,
    parameter: str,
    model: str,
) -> Figure | None:
    """Draw the rows there are something to show for.

    Parameters
    ----------
    values : (X, Y, Z) array
        The map; NaN outside the brain.
    grid : Grid
    cv : (X, Y, Z) array, optional
        100 SE / estimate, %.
    extrapolated : (X, Y, Z) array, optional
        Share of V_T from rates slower than 1 / end of the scan.
    flags : (X, Y, Z) array, optional
        Bit masks of :mod:`ekbom.measures.pet.flags`; NaN outside the brain.
    name : str
        End of the file name.
    parameter, model : str
        For the caption.

    Returns
    -------
    Figure or None
        PNG; ``None`` when there is no row.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure as Canvas
    from matplotlib.patches import Patch

    slices = Slices(values, grid)
    rows: list[tuple[str, Array, Mapping[str, Any]]] = []
    said: list[str] = []
    if cv is not None:
        rows.append(("CV, %", cv, {"vmin": 0.0, "vmax": CV_HIGH, "cmap": "magma_r"}))
        known = cv[np.isfinite(cv)]
        if known.size:
            said.append(
                f"CV median {np.median(known):.3g} %, above {CV_HIGH:g} % in"
                f" {100 * np.mean(known > CV_HIGH):.1f} % of voxels"
            )
    if extrapolated is not None:
        rows.append(("extrapolated", extrapolated, {"vmin": 0.0, "vmax": 1.0, "cmap": "cividis"}))
        known = extrapolated[np.isfinite(extrapolated)]
        if known.size:
            said.append(
                f"share of {parameter} beyond the scan: median {np.median(known):.2g}, above"
                f" {EXTRAPOLATED:g} in {100 * np.mean(known > EXTRAPOLATED):.1f} % of voxels"
            )
    legend: list[str] = []
    if flags is not None:
        first, legend = _first(flags)
        palette = ListedColormap([_NONE, *_COLOURS[: max(len(legend), 1)]])
        rows.append(
            ("flags", first, {"vmin": -0.5, "vmax": max(len(legend), 1) + 0.5, "cmap": palette})
        )
        known = flags[np.isfinite(flags)]
        if known.size:
            said.append(f"{100 * np.mean(known > 0):.1f} % of voxels have a flag")
    if not rows:
        return None
    canvas = Canvas(figsize=(COLUMNS * 1.25 + 0.9, 1.6 * len(rows)), dpi=110, facecolor="white")
    FigureCanvasAgg(canvas)
    axes = canvas.subplots(len(rows), squeeze=False)[:, 0]
    canvas.subplots_adjust(0.035, 0.01, 0.905, 0.89 if len(rows) == 1 else 0.93, 0.03, 0.06)
    for r, (label, volume, look) in enumerate(rows):
        shown = slices.draw(axes[r], volume, titles=r == 0, **look)
        box = axes[r].get_position(original=True)
        canvas.text(
            0.012, (box.y0 + box.y1) / 2, label, rotation=90, ha="center", va="center", fontsize=8
        )
        if label == "flags":
            handles = [Patch(color=_NONE, label="none")]
            handles += [Patch(color=c, label=w) for w, c in zip(legend, _COLOURS, strict=False)]
            axes[r].legend(
                handles=handles, loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=6,
                frameon=False, handlelength=0.8, handletextpad=0.3, borderpad=0,
            )  # fmt: skip
            continue
        height = box.y1 - box.y0
        place = (0.915, box.y0 + 0.06 * height, 0.011, 0.88 * height)
        bar = canvas.colorbar(shown, cax=canvas.add_axes(place))
        bar.ax.tick_params(labelsize=7)
        bar.outline.set_visible(False)
    stream = io.BytesIO()
    canvas.savefig(stream, format="png", metadata={"Software": None})
    caption = (
        f"What to doubt in {parameter} by {model}, same slices as the map. {'; '.join(said)}."
        + (
            " A voxel with several flags has the colour of the first: "
            + "; ".join(f"{word}, {MEANINGS[word]}" for word in legend if word in MEANINGS)
            + "."
            if legend
            else ""
        )
    )
    return Figure(name, stream.getvalue(), caption, "png")


def _first(flags: Array) -> tuple[Array, list[str]]:
    """Return 0 (none) or 1 + place of a voxel's first flag, and the flags by how many have them."""
    there = np.isfinite(flags)
    masks = np.where(there, flags, 0).astype(np.int64)
    first: dict[int, str] = {int(m): words(int(m))[0] for m in np.unique(masks[there]) if m > 0}
    count: dict[str, int] = {}
    for mask, word in first.items():
        count[word] = count.get(word, 0) + int((masks == mask).sum())
    order = sorted(count, key=lambda word: (-count[word], word))
    named, rest = order[: len(_COLOURS) - 1], order[len(_COLOURS) - 1 :]
    legend = [*named, *(["other"] if rest else [])]
    place = {word: k + 1 for k, word in enumerate(named)} | dict.fromkeys(rest, len(named) + 1)
    out = np.full(flags.shape, np.nan)
    out[there] = 0.0
    for mask, word in first.items():
        out[there & (masks == mask)] = place[word]
    return out, legend
