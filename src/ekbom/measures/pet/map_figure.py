"""A mosaic of one parametric map, as a PNG that is the same for the same map."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ekbom.nouns import Figure
from ekbom.space import Grid

Array = NDArray[np.float64]

#: Slices a row.
COLUMNS = 7


class Slices:
    """Which axial slices of a brain are drawn, and how.

    Parameters
    ----------
    values : (X, Y, Z) array
        A map of the grid; NaN outside the brain.
    grid : Grid
        Slices are drawn with the left of the person on the left, whatever the order of storage.
    """

    def __init__(self, values: Array, grid: Grid) -> None:
        there = np.isfinite(upright(values, grid))
        self._grid = grid
        self._heights = _heights(there)
        self._sizes = _upright_sizes(grid)
        self._across = _extent(np.any(there, axis=(1, 2)))
        self._along = _extent(np.any(there, axis=(0, 2)))
        self._z0 = float(grid.corners()[:, 2].min())

    def draw(self, axis: Any, values: Array, *, titles: bool, **look: Any) -> Any:
        """Draw one row as one picture; return it (for its colour bar).

        Parameters
        ----------
        axis : Axes
            As wide as :data:`COLUMNS` slices.
        values : (X, Y, Z) array
        titles : bool
            Whether the heights stand above.
        **look
            Of ``imshow``: colours and their range.
        """
        volume = upright(values, self._grid)[self._across, self._along]
        tall, wide = volume.shape[1], volume.shape[0]
        step = wide + max(1, round(0.03 * wide))
        row = np.full((tall, COLUMNS * step - (step - wide)), np.nan)
        for n, k in enumerate(self._heights):
            row[:, n * step : n * step + wide] = volume[:, :, k].T
            if titles:
                height = self._z0 + k * self._sizes[2]
                axis.text(
                    n * step + (wide - 1) / 2, tall, f"{height:.0f} mm", fontsize=8,
                    color="#222222", ha="center", va="bottom",
                )  # fmt: skip
        axis.set_axis_off()
        return axis.imshow(
            row, origin="lower", aspect=self._sizes[1] / self._sizes[0], interpolation="nearest",
            **look,
        )  # fmt: skip


def map_figure(
    values: Array,
    grid: Grid,
    *,
    smoothed: Array | None = None,
    name: str,
    parameter: str,
    unit: str,
    model: str,
    fwhm: float = 0.0,
) -> Figure:
    """Draw axial slices of a map, and of its smoothed form below.

    Parameters
    ----------
    values : (X, Y, Z) array
        The map; NaN outside the brain.
    grid : Grid
        Where its voxels are: slices are drawn with the left of the person on
        the left, whatever the order of storage.
    smoothed : (X, Y, Z) array, optional
        The same map after smoothing, on the same grid.
    name : str
        End of the file name.
    parameter, unit, model : str
        For the caption.
    fwhm : float
        Of the smoothing, mm.

    Returns
    -------
    Figure
        PNG; one colour scale from 0 to the 99th percentile of the map.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    rows = [values] if smoothed is None else [values, smoothed]
    finite = values[np.isfinite(values)]
    top = float(np.quantile(finite, 0.99)) if finite.size else 1.0
    top = top if top > 0 else 1.0
    slices = Slices(values, grid)
    canvas = Canvas(figsize=(COLUMNS * 1.25 + 0.7, 1.6 * len(rows)), dpi=110, facecolor="white")
    FigureCanvasAgg(canvas)
    axes = canvas.subplots(len(rows), squeeze=False)[:, 0]
    canvas.subplots_adjust(0.005, 0.01, 0.925, 0.89, 0.03, 0.05)
    shown: Any = None
    for r, volume in enumerate(rows):
        shown = slices.draw(axes[r], volume, titles=r == 0, vmin=0.0, vmax=top, cmap="viridis")
    bar = canvas.colorbar(shown, cax=canvas.add_axes((0.935, 0.08, 0.012, 0.8)))
    bar.ax.tick_params(labelsize=7)
    bar.outline.set_visible(False)
    stream = io.BytesIO()
    # Without this entry matplotlib writes its version, and with it bytes change.
    canvas.savefig(stream, format="png", metadata={"Software": None})
    low, middle, high = (
        (float(q) for q in np.quantile(finite, [0.05, 0.5, 0.95]))
        if (finite.size)
        else (np.nan, np.nan, np.nan)
    )
    caption = (
        f"{parameter} ({unit}) by {model}, axial slices, left is left, colour from 0 to "
        f"{top:.3g}. {finite.size} voxels: median {middle:.3g}, 5 % below {low:.3g}, 5 % above "
        f"{high:.3g}."
    )
    if smoothed is not None:
        caption += f" Below: smoothed inside the mask, FWHM {fwhm:g} mm."
    return Figure(name, stream.getvalue(), caption, "png")


def upright(values: Array, grid: Grid) -> Array:
    """Turn an array for drawing so that its axes run right, anterior, superior.

    Parameters
    ----------
    values : (X, Y, Z) array
        As stored.
    grid : Grid
        Its orientation; an oblique image is drawn along its nearest axes.

    Returns
    -------
    (x, y, z) array
        A view; never written to a file.
    """
    letters = grid.orientation
    order = [next(k for k in range(3) if letters[k] in pair) for pair in ("RL", "AP", "SI")]
    out = values.transpose(order)
    flips = tuple(slice(None) if letters[k] in "RAS" else slice(None, None, -1) for k in order)
    return out[flips]


def _upright_sizes(grid: Grid) -> tuple[float, float, float]:
    letters, sizes = grid.orientation, grid.voxel_size
    order = [next(k for k in range(3) if letters[k] in pair) for pair in ("RL", "AP", "SI")]
    return sizes[order[0]], sizes[order[1]], sizes[order[2]]


def _extent(there: NDArray[np.bool_]) -> slice:
    places = np.flatnonzero(there)
    if not places.size:
        return slice(None)
    return slice(max(int(places[0]) - 1, 0), int(places[-1]) + 2)


def _heights(there: NDArray[np.bool_]) -> list[int]:
    levels = np.flatnonzero(there.any(axis=(0, 1)))
    if not levels.size:
        return [there.shape[2] // 2]
    low, high = levels[0], levels[-1]
    places = np.linspace(low, high, COLUMNS + 2)[1:-1]
    return sorted({round(float(z)) for z in places})
