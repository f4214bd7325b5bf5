"""Label images: which region a voxel or a world point belongs to.

A label image is a BIDS ``*_dseg.nii.gz`` with a ``*_dseg.tsv`` of index and
name. What the two disagree about is reported, not guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from ekbom.space.checks import (
    EMPTY_LABELS_NOTE,
    LABEL_NAME_TWICE,
    MISSING_ROWS_NOTE,
    NOT_INTEGER_LABELS,
    UNKNOWN_REGION,
)
from ekbom.space.grid import Grid
from ekbom.space.resample import resample_labels


@dataclass(frozen=True)
class RegionMean:
    """Mean of a map over one region.

    Parameters
    ----------
    mean, sd : float
        Weighted mean and standard deviation; NaN when coverage is too small.
    voxels : int
        Voxels of the region with a value.
    coverage : float
        Share of the region's voxels (of their weight) that hold a value.
    """

    mean: float
    sd: float
    voxels: int
    coverage: float


@dataclass(frozen=True)
class Found:
    """The region at or nearest to a point.

    Parameters
    ----------
    name : str
        Region name, ``"n/a"`` when the point is in none.
    nearest : str
        Nearest region; the region itself when the point is inside.
    distance : float
        To the nearest voxel centre of that region in mm; 0 inside.
    """

    name: str
    nearest: str
    distance: float


@dataclass(frozen=True, eq=False)
class LabelImage:
    """A label image with names.

    Parameters
    ----------
    values : (X, Y, Z) array
        Labels, whole numbers; 0 is no region.
    grid : Grid
        Where the voxels are.
    table : mapping of int to str
        Name of each label. Rows without a voxel and voxels without a row are
        left out and written to `notes`.
    segmentation : str
        Name of the set of regions (``"gtmseg"``).
    space : str
        BIDS space label.
    notes : tuple of str
        What image and table disagree about.

    Raises
    ------
    Refused
        Labels that are not whole numbers, or a name listed twice.
    """

    values: NDArray[np.int32]
    grid: Grid
    table: Mapping[int, str]
    segmentation: str = "dseg"
    space: str = ""
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        values = np.asarray(self.values)
        whole = np.asarray(values, dtype=np.int32) if np.isfinite(values).all() else None
        if whole is None or not np.array_equal(whole, values):
            raise NOT_INTEGER_LABELS.refused(found=f"for example {_odd(values):g}")
        names = list(self.table.values())
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise LABEL_NAME_TWICE.refused(found=", ".join(twice))
        there = {int(v) for v in np.unique(whole)} - {0}
        listed = {int(k): str(v) for k, v in self.table.items() if int(k) != 0}
        notes = list(self.notes)
        missing = sorted(there - set(listed))
        if missing:
            notes.append(MISSING_ROWS_NOTE.format(labels=", ".join(map(str, missing))))
        empty = [listed[k] for k in sorted(set(listed) - there)]
        if empty:
            notes.append(EMPTY_LABELS_NOTE.format(names=", ".join(empty)))
        object.__setattr__(self, "values", whole)
        object.__setattr__(self, "table", {k: listed[k] for k in sorted(set(listed) & there)})
        object.__setattr__(self, "notes", tuple(dict.fromkeys(notes)))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the regions that have voxels, in order of their labels."""
        return tuple(self.table.values())

    def index(self, name: str) -> int:
        """Return the label of a region.

        Parameters
        ----------
        name : str
            As in the table.

        Returns
        -------
        int
            Its label.

        Raises
        ------
        Refused
            When no region with voxels has that name.
        """
        for label, known in self.table.items():
            if known == name:
                return label
        raise UNKNOWN_REGION.refused(found=name, expected="one of " + ", ".join(self.names))

    def mask(self, *names: str) -> NDArray[np.bool_]:
        """Voxels of one or more regions.

        Parameters
        ----------
        *names : str
            Regions; all of them without an argument.

        Returns
        -------
        (X, Y, Z) array of bool
            True inside.
        """
        labels = [self.index(name) for name in names] if names else list(self.table)
        return np.isin(self.values, labels)

    def volumes(self) -> dict[str, float]:
        """Volume of each region in mm3, by name."""
        counts = np.bincount(self._dense.ravel(), minlength=len(self.table) + 1)[1:]
        return {
            name: float(n) * self.grid.voxel_volume
            for name, n in zip(self.names, counts, strict=True)
        }

    def on(self, grid: Grid) -> LabelImage:
        """Return the label image on another grid of the same space.

        Parameters
        ----------
        grid : Grid
            Where to.

        Returns
        -------
        LabelImage
            The label with the largest linear weight wins a voxel.
        """
        if grid == self.grid:
            return self
        moved = resample_labels(self.values, self.grid, grid)
        return LabelImage(moved, grid, self.table, self.segmentation, self.space, self.notes)

    def region_means(
        self,
        values: NDArray[np.floating],
        *,
        weights: NDArray[np.floating] | None = None,
        coverage: float = 0.8,
    ) -> dict[str, RegionMean]:
        """Mean of a map over every region.

        Parameters
        ----------
        values : (X, Y, Z) array
            Map on the grid of the labels; NaN is missing.
        weights : (X, Y, Z) array, optional
            Weight of each voxel, for example the grey-matter share.
        coverage : float
            Regions of which less than this share has a value give NaN.

        Returns
        -------
        dict of str to RegionMean
            By name.
        """
        flat = np.asarray(values, dtype=np.float64).ravel()
        weight = np.ones(flat.size) if weights is None else np.asarray(weights, float).ravel()
        out: dict[str, RegionMean] = {}
        for name, inside in self.voxels().items():
            w, y = weight[inside], flat[inside]
            good = np.isfinite(y) & (w > 0)
            whole, held = float(w.sum()), float(w[good].sum())
            share = held / whole if whole > 0 else 0.0
            if held == 0 or share < coverage:
                out[name] = RegionMean(np.nan, np.nan, int(good.sum()), share)
                continue
            mean = float((w[good] * y[good]).sum() / held)
            spread = float((w[good] * (y[good] - mean) ** 2).sum() / held)
            out[name] = RegionMean(mean, float(np.sqrt(spread)), int(good.sum()), share)
        return out

    def voxels(self) -> dict[str, NDArray[np.intp]]:
        """Flat (C order) indices of the voxels of each region, by name."""
        flat = self._dense.ravel()
        order = np.argsort(flat, kind="stable")
        starts = np.searchsorted(flat[order], np.arange(1, len(self.table) + 2))
        return {name: order[starts[k] : starts[k + 1]] for k, name in enumerate(self.names)}

    def at(self, world: ArrayLike) -> Found:
        """Return the region at a world point and the nearest one.

        Parameters
        ----------
        world : (3,) array
            RAS+ mm.

        Returns
        -------
        Found
            Name, nearest region, distance in mm.
        """
        return self.look_up(np.asarray(world, dtype=np.float64).reshape(1, 3))[0]

    def look_up(self, world: ArrayLike) -> list[Found]:
        """Return the regions at world points.

        Parameters
        ----------
        world : (P, 3) array
            RAS+ mm.

        Returns
        -------
        list of Found
            One a point.
        """
        points = np.atleast_2d(np.asarray(world, dtype=np.float64))
        nearest = np.round(self.grid.to_index(points)).astype(int)
        inside = np.all((nearest >= 0) & (nearest < np.array(self.grid.shape)), axis=1)
        out = []
        for point, index, known in zip(points, nearest, inside, strict=True):
            label = int(self.values[tuple(index)]) if known else 0
            name = self.table.get(label)
            if name is not None:
                out.append(Found(name, name, 0.0))
                continue
            if not self.table:
                out.append(Found("n/a", "n/a", np.inf))
                continue
            distance, where = self._tree[0].query(point)
            out.append(Found("n/a", self.names[self._tree[1][where] - 1], float(distance)))
        return out

    @cached_property
    def _dense(self) -> NDArray[np.intp]:
        # 1, 2, 3 ... in the order of `names`; 0 elsewhere.
        keys = np.array(list(self.table), dtype=np.int64)
        place = np.searchsorted(keys, self.values)
        place[place == keys.size] = 0
        if keys.size == 0:
            return np.zeros(self.grid.shape, dtype=np.intp)
        return np.where(keys[place] == self.values, place + 1, 0).astype(np.intp)

    @cached_property
    def _tree(self) -> tuple[cKDTree, NDArray[np.intp]]:
        index = np.argwhere(self._dense > 0)
        return cKDTree(self.grid.to_world(index)), self._dense[tuple(index.T)]


def region_curves(
    curves: NDArray[np.floating],
    voxels: NDArray[np.intp],
    labels: LabelImage,
    *,
    weights: NDArray[np.floating] | None = None,
    coverage: float = 0.8,
) -> tuple[NDArray[np.float64], dict[str, float]]:
    """Mean time-activity curve of every region.

    Parameters
    ----------
    curves : (V, F) array
        Curves of voxels; a curve with a value that is not finite is left out.
    voxels : (V,) array of int
        Flat (C order) index of each curve on the grid of the labels.
    labels : LabelImage
        The regions.
    weights : (X, Y, Z) array, optional
        Weight of each voxel.
    coverage : float
        Regions of which less than this share has a curve give NaN.

    Returns
    -------
    means : (R, F) array
        In the order of ``labels.names``.
    shares : dict of str to float
        Coverage by region.
    """
    where = np.full(labels.grid.size, -1, dtype=np.intp)
    where[voxels] = np.arange(len(voxels))
    weight = None if weights is None else np.asarray(weights, dtype=np.float64).ravel()
    means = np.full((len(labels.names), curves.shape[1]), np.nan)
    shares: dict[str, float] = {}
    for k, (name, inside) in enumerate(labels.voxels().items()):
        rows = where[inside]
        w = np.ones(len(inside)) if weight is None else weight[inside]
        good = rows >= 0
        picked = np.asarray(curves[rows[good]], dtype=np.float64)
        sound = np.isfinite(picked).all(axis=1)
        held = w[good][sound]
        whole = float(w.sum())
        shares[name] = float(held.sum()) / whole if whole > 0 else 0.0
        if held.sum() > 0 and shares[name] >= coverage:
            means[k] = (held[:, None] * picked[sound]).sum(axis=0) / held.sum()
    return means, shares


def join(labels: LabelImage, parts: Mapping[str, Sequence[str]]) -> dict[str, NDArray[np.bool_]]:
    """Masks of regions that are made of several labels.

    Parameters
    ----------
    labels : LabelImage
        The regions there are.
    parts : mapping of str to sequence of str
        New name to the names it is made of.

    Returns
    -------
    dict of str to (X, Y, Z) array of bool
        By new name.
    """
    return {name: labels.mask(*names) for name, names in parts.items()}


def _odd(values: NDArray[np.generic]) -> float:
    numbers = np.asarray(values, dtype=np.float64).ravel()
    odd = numbers[~np.isfinite(numbers) | (numbers != np.round(numbers))]
    return float(odd[0]) if odd.size else float("nan")
