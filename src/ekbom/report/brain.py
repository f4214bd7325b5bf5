"""Statistic maps for the eye: mosaics of slices, and data for the slice viewer."""

from __future__ import annotations

import base64
import gzip
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import ndimage

from ekbom.report.numbers import MINUS
from ekbom.report.style import FULL, SOFT, new_figure

Floats = NDArray[np.float64]

#: Blue for less, orange to red for more; pale where the statistic is small.
SIGNED = LinearSegmentedColormap.from_list(
    "signed", ["#08306b", "#2171b5", "#9ecae1", "#f2f0eb", "#fdbe85", "#e6550d", "#7f2704"]
)
_TEMPLATE_SPACES = ("MNI152NLin2009aSym", "MNI152NLin2009bSym", "MNI152NLin2009cSym")


@dataclass(frozen=True)
class Image:
    """A volume and where it is.

    Parameters
    ----------
    values : (X, Y, Z) array
        NaN outside.
    affine : (4, 4) array
        Index to world, RAS+ mm.
    """

    values: Floats
    affine: Floats

    @property
    def step(self) -> Floats:
        """Voxel edges in mm."""
        edges: Floats = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))
        return edges

    def at(self, points: Floats, *, order: int) -> Floats:
        """Return values at world points, NaN outside.

        Parameters
        ----------
        points : (..., 3) array
            World coordinates in mm.
        order : {0, 1}
            Nearest voxel, or linear between voxels (then a neighbour without
            a value takes no part).

        Returns
        -------
        (...) array
            Values.
        """
        inverse = np.linalg.inv(self.affine)
        index = points @ inverse[:3, :3].T + inverse[:3, 3]
        where: Any = np.moveaxis(index, -1, 0)
        mode: Any = {"order": order, "cval": 0.0}
        known = np.isfinite(self.values)
        share = ndimage.map_coordinates(known.astype(float), where, **mode)
        total = ndimage.map_coordinates(np.where(known, self.values, 0.0), where, **mode)
        return np.where(share >= 0.5, total / np.where(share > 0, share, 1.0), np.nan)


def load(path: Path) -> Image:
    """Read a 3-D image; zeros outside the mask of a statistic become NaN.

    Parameters
    ----------
    path : pathlib.Path
        NIfTI file.

    Returns
    -------
    Image
        In float64.
    """
    image = nib.load(path)
    values = np.asarray(image.dataobj, dtype=np.float64)
    values = values.reshape(values.shape[:3])
    return Image(np.where(values == 0.0, np.nan, values), np.asarray(image.affine, float))


def background(space: str, mean: Image | None, statistic: Image) -> tuple[Image, str]:
    """Return what lies under the statistic, and its name for the caption.

    Parameters
    ----------
    space : str
        BIDS space label of the statistic.
    mean : Image, optional
        Mean map of the study, used where there is no template.
    statistic : Image
        Shape of the brain when there is neither.

    Returns
    -------
    tuple of Image and str
        Grey values between 0 and 1, NaN outside the brain.
    """
    if space in _TEMPLATE_SPACES:
        from ekbom.space.template import SPACE, template

        known = template(2.0)
        grey = np.where(known.brain, known.t1 / float(known.t1.max()), np.nan)
        return Image(grey.astype(float), np.asarray(known.grid.affine, float)), f"{SPACE} (T1)"
    if mean is not None:
        inside = mean.values[np.isfinite(mean.values)]
        low, high = np.quantile(inside, [0.02, 0.98]) if inside.size else (0.0, 1.0)
        grey = np.clip((mean.values - low) / (high - low or 1.0), 0, 1)
        return Image(grey, mean.affine), "mean map of the study"
    return Image(np.where(np.isfinite(statistic.values), 0.6, np.nan), statistic.affine), "the mask"


def slices(
    under: Image, statistic: Image, count: int, significant: Image | None = None
) -> list[float]:
    """Return heights (mm) of axial slices.

    Parameters
    ----------
    under, statistic : Image
        Background, whose voxels give the step, and what is shown.
    count : int
        How many.
    significant : Image, optional
        The slice nearest to the peak of each of its largest pieces is moved there.

    Returns
    -------
    list of float
        Rising; evenly through the mask of the statistic otherwise.
    """
    inside = np.argwhere(np.isfinite(statistic.values))
    if not len(inside):
        return []
    world = inside @ statistic.affine[:3, :3].T + statistic.affine[:3, 3]
    low, high = np.quantile(world[:, 2], [0.03, 0.985])
    step = float(under.step[2])
    heights = [float(step * round(z / step)) for z in np.linspace(low, high, count)]
    if significant is not None:
        pieces, n = ndimage.label(np.nan_to_num(significant.values) > 0.5, np.ones((3, 3, 3)))
        size = np.abs(np.nan_to_num(statistic.values))
        peaks = ndimage.maximum_position(size, pieces, range(1, n + 1)) if n else []
        moved: set[int] = set()
        for at in sorted(peaks, key=lambda p: -size[p])[: count // 2]:
            z = float((statistic.affine[:3, :3] @ np.array(at) + statistic.affine[:3, 3])[2])
            if z in heights:
                continue
            free = [k for k in range(len(heights)) if k not in moved]
            nearest = min(free, key=lambda k: abs(heights[k] - z))
            heights[nearest] = z
            moved.add(nearest)
    return sorted(heights)


def mosaic(
    under: Image,
    statistic: Image,
    significant: Image | None,
    *,
    label: str,
    full: float | None = None,
    columns: int = 7,
    count: int = 14,
) -> Figure:
    """Draw axial slices: above only what is significant, below everything.

    Parameters
    ----------
    under : Image
        Grey background, 0 to 1.
    statistic : Image
        What is coloured.
    significant : Image, optional
        1 where the corrected p is below alpha; without it only the lower
        part is drawn.
    label : str
        Under the colour bar.
    full : float, optional
        Statistic of full colour is at least this: that of corrected
        significance, so that a map of nothing looks like one.
    columns, count : int
        Slices a row, and in all.

    Returns
    -------
    matplotlib.figure.Figure
        In the lower part colour fades where the statistic is small, and a line
        goes round what is significant. Left is left.
    """
    heights = slices(under, statistic, count, significant)
    rows = -(-len(heights) // columns)
    parts = 2 if significant is not None else 1
    box = _box(under)
    across, along = box[0][1] - box[0][0], box[1][1] - box[1][0]
    cell = FULL / columns
    figure = new_figure(FULL, parts * (rows * cell * along / across + 0.3) + 0.5)
    figure.set_layout_engine("none")
    finite = statistic.values[np.isfinite(statistic.values)]
    top = float(np.quantile(np.abs(finite), 0.999)) if finite.size else 1.0
    if significant is not None and finite.size:
        top = max(top, float(np.abs(finite).max()) * 0.9)
    top = max(top, full or 0.0)
    total = figure.get_size_inches()[1]
    y = total
    for part in range(parts):
        thresholded = significant is not None and part == 0
        title = "Significant after correction" if thresholded else "All voxels, fading below"
        if not thresholded and significant is None:
            title = "All voxels, fading where the statistic is small"
        if not thresholded and significant is not None:
            title = "All voxels, fading where the statistic is small; outlined where significant"
        figure.text(0.0, (y - 0.13) / total, title, fontsize=9, color=SOFT)
        y -= 0.22
        for k, z in enumerate(heights):
            row, column = divmod(k, columns)
            height = cell * along / across
            axes = figure.add_axes(
                (
                    column * cell / FULL,
                    (y - (row + 1) * height) / total,
                    cell / FULL * 0.98,
                    height / total * 0.98,
                )
            )
            _slice(axes, under, statistic, significant, z, box, top, thresholded)
        y -= rows * cell * along / across + 0.08
    bar = figure.add_axes((0.36, 0.30 / total, 0.28, 0.09 / total))
    ramp = np.linspace(-top, top, 255)[None, :]
    bar.imshow(
        ramp, cmap=SIGNED, norm=Normalize(-top, top), aspect="auto", extent=(-top, top, 0, 1)
    )
    bar.set_yticks([])
    bar.tick_params(length=2)
    for side in bar.spines.values():
        side.set_visible(False)
    bar.set_xlabel(label, labelpad=1)
    return figure


def _box(under: Image) -> tuple[tuple[float, float], ...]:
    inside = np.argwhere(np.isfinite(under.values))
    world = inside @ under.affine[:3, :3].T + under.affine[:3, 3]
    half = under.step / 2
    low, high = world.min(axis=0) - half, world.max(axis=0) + half
    return tuple((float(a), float(b)) for a, b in zip(low, high, strict=True))


def _slice(
    axes: Axes,
    under: Image,
    statistic: Image,
    significant: Image | None,
    z: float,
    box: Sequence[tuple[float, float]],
    top: float,
    thresholded: bool,
) -> None:
    step = float(under.step[:2].min())
    xs = np.arange(box[0][0] + step / 2, box[0][1], step)
    ys = np.arange(box[1][0] + step / 2, box[1][1], step)
    points = np.stack([*np.meshgrid(xs, ys), np.full((len(ys), len(xs)), z)], axis=-1)
    grey = under.at(points, order=0)
    picture = np.ones((*grey.shape, 4))
    picture[..., :3] = np.clip(0.32 + 0.66 * np.nan_to_num(grey), 0, 1)[..., None]
    picture[..., 3] = np.isfinite(grey)
    value = statistic.at(points, order=1)
    share = np.zeros_like(value)
    outline = None
    if significant is not None:
        here = np.nan_to_num(significant.at(points, order=0)) > 0.5
        outline = here if here.any() else None
    if thresholded:
        share = np.where(here & np.isfinite(value), 0.95, 0.0)
    else:
        size = np.clip(np.abs(np.nan_to_num(value)) / (0.75 * top), 0, 1)
        share = np.where(np.isfinite(value), 0.9 * size**1.3, 0.0)
    colour = SIGNED(0.5 + 0.5 * np.nan_to_num(value) / top)
    share = share[..., None] * (picture[..., 3:] > 0)
    picture[..., :3] = (1 - share) * picture[..., :3] + share * colour[..., :3]
    extent = (box[0][0], box[0][1], box[1][0], box[1][1])
    axes.imshow(picture, origin="lower", extent=extent, interpolation="bilinear", resample=True)
    if outline is not None and not thresholded and min(outline.shape) > 1:
        # A contour needs two points each way: a map one voxel wide goes without.
        axes.contour(xs, ys, outline.astype(float), levels=[0.5], colors="#111111", linewidths=0.6)
    axes.set_axis_off()
    axes.text(
        box[0][0] + 4, box[1][0] + 2, f"{z:.0f}".replace("-", MINUS), fontsize=7.5, color=SOFT
    )


def grey_volume(under: Image) -> dict[str, Any]:
    """Return a background for the slice viewer: 0 outside the brain, else 1 to 255."""
    grey = np.where(np.isfinite(under.values), 1 + np.round(254 * np.nan_to_num(under.values)), 0)
    inside = np.argwhere(grey > 0)
    low, high = (
        (inside.min(axis=0), inside.max(axis=0) + 1) if len(inside) else ((0,) * 3, (1,) * 3)
    )
    kept = grey[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    affine = under.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ np.asarray(low, float)
    return _volume(np.clip(kept, 0, 255).astype("<u1"), affine)


def viewer(
    statistic: Image,
    labels: tuple[Image, Mapping[int, str]] | None,
    *,
    threshold: float,
    name: str,
    full: float | None = None,
) -> dict[str, Any]:
    """Return what the slice viewer on the page needs, as JSON-ready values.

    Parameters
    ----------
    statistic : Image
        On a grid of its own.
    labels : (Image, names), optional
        Label image and names of its numbers.
    threshold : float
        Where the slider of ``|statistic|`` starts.
    name : str
        Name of the statistic (``t``).
    full : float, optional
        Statistic of full colour is at least this.

    Returns
    -------
    dict
        Volumes as gzip, base64; the statistic in 16 bits (its error is below
        1/32,000 of the largest value).
    """
    finite = statistic.values[np.isfinite(statistic.values)]
    top = float(np.abs(finite).max()) if finite.size else 1.0
    scale = (top or 1.0) / 32000.0
    coded = np.where(
        np.isfinite(statistic.values), np.round(np.nan_to_num(statistic.values) / scale), -32768
    )
    data: dict[str, Any] = {
        "name": name,
        "threshold": round(float(threshold), 4),
        "top": round(top, 4),
        "full": round(max(top, full or 0.0), 4),
        "peak": _peak(statistic),
        "stat": {**_volume(coded.astype("<i2"), statistic.affine), "scale": scale},
    }
    if labels is not None:
        image, names = labels
        numbers = np.nan_to_num(image.values).astype("<u2")
        data["labels"] = {
            **_volume(numbers, image.affine),
            "names": {str(k): v for k, v in sorted(names.items())},
        }
    return data


def _peak(statistic: Image) -> list[float]:
    if not np.isfinite(statistic.values).any():
        return [0.0, 0.0, 0.0]
    where = np.unravel_index(np.nanargmax(np.abs(statistic.values)), statistic.values.shape)
    world = statistic.affine[:3, :3] @ np.array(where, float) + statistic.affine[:3, 3]
    return [round(float(w), 2) for w in world]


def _volume(values: NDArray[Any], affine: Floats) -> dict[str, Any]:
    buffer = io.BytesIO()
    # The first axis runs fastest, as in NIfTI; no name and no time in the header.
    with gzip.GzipFile(filename="", fileobj=buffer, mode="wb", compresslevel=9, mtime=0) as out:
        out.write(values.tobytes(order="F"))
    return {
        "shape": list(values.shape),
        "affine": [[round(float(a), 6) for a in row] for row in affine[:3]],
        "data": base64.b64encode(buffer.getvalue()).decode("ascii"),
    }
