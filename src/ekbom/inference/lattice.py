"""The voxels of a mask and who is whose neighbour.

Voxels keep their C order; neighbours are reached by offsets in a grid cropped to the
mask with a border of one voxel, where nothing is ever visited. Connectivity 6 joins
voxels that share a face, 18 also an edge, 26 also a corner.

Neighbours of a voxel that touch each other, or share a neighbour above the voxel, are in one
component: the tables say which of them need not be asked.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ekbom.inference._uphill import BRUIJN

CONNECTIVITIES = (6, 18, 26)
_REACH = {6: 1, 18: 2, 26: 3}
GAP = 40
"""Cells outside the mask that are gone through rather than jumped."""
WHOLE = 32
"""Stretches are multiples of this, so that none ends in cells taken one by one."""
_FACES = ((-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1))


@dataclass(frozen=True)
class Around:
    """The neighbours of a voxel, each with a bit; see :func:`~ekbom.inference._uphill.higher`.

    Parameters
    ----------
    offsets, bits : (3 k,) int64, int32
        Offset and bit of what is looked at, those before the voxel first.
    joining : int
        Number of neighbours: faces, then edges, then corners are the first bits.
    touching : (joining,) int32
        Earlier neighbours that are neighbours of this one.
    linked, links : (m,) int64, int32
        A neighbour, and an earlier one with what joins the two.
    step : (32,) uint64
        Offset of a neighbour by the de Bruijn place of its bit.
    """

    offsets: NDArray[np.int64]
    bits: NDArray[np.int32]
    joining: int
    touching: NDArray[np.int32]
    linked: NDArray[np.int64]
    links: NDArray[np.int32]
    step: NDArray[np.uint64]


@dataclass(frozen=True)
class Lattice:
    """A mask as a graph.

    Parameters
    ----------
    connectivity : {6, 18, 26}
        Which voxels are neighbours.
    place : (V,) int32
        Position of each voxel of the mask (C order) in the cropped grid with border.
    cells : int
        Size of that grid, with room behind for the last stretch.
    runs : (R, 3) int64
        Voxels in a row: first cell, first voxel, length.
    spans : (S, 2) int64
        First cell and length of stretches of runs with short gaps; they do not overlap.
    around : Around
        Neighbours.
    """

    connectivity: int
    place: NDArray[np.int32]
    cells: int
    runs: NDArray[np.int64]
    spans: NDArray[np.int64]
    around: Around

    @property
    def n(self) -> int:
        """Number of voxels."""
        return len(self.place)


def lattice(mask: NDArray[np.bool_], connectivity: int = 26) -> Lattice:
    """Make the graph of a mask.

    Parameters
    ----------
    mask : (X, Y, Z) bool
        Voxels.
    connectivity : {6, 18, 26}
        Which voxels are neighbours.

    Returns
    -------
    Lattice
        With V = mask.sum() voxels.

    Examples
    --------
    >>> lattice(np.ones((2, 2, 2), bool)).n
    8
    """
    if connectivity not in CONNECTIVITIES:
        raise ValueError(f"connectivity {connectivity}: one of {CONNECTIVITIES}")
    where = np.argwhere(mask)
    low, high = where.min(axis=0), where.max(axis=0)
    size = high - low + 3
    step = np.array([size[1] * size[2], size[2], 1])
    place = (where - low + 1) @ step

    cut = np.flatnonzero(np.diff(place) > 1) + 1
    first = np.concatenate([[0], cut])
    length = np.diff(np.append(first, len(place)))
    runs = np.stack([place[first], first, length], axis=1).astype(np.int64)
    spans = _stretches(place)
    around = _around(step, connectivity)
    return Lattice(
        connectivity, place.astype(np.int32), int(size.prod()) + WHOLE, runs, spans, around
    )


def _stretches(place: NDArray[np.intp]) -> NDArray[np.int64]:
    """Return first cell and length of stretches of whole blocks that hold all places."""
    apart = np.flatnonzero(np.diff(place) > GAP) + 1
    begin = place[np.concatenate([[0], apart])]
    end = place[np.append(apart - 1, len(place) - 1)] + 1
    blocks = -(-(end - begin) // WHOLE)
    # GAP exceeds WHOLE, so that no stretch that is filled up reaches the next
    return np.stack([begin, blocks * WHOLE], axis=1).astype(np.int64)


def _around(step: NDArray[np.intp], connectivity: int) -> Around:
    every = list(itertools.product((-1, 0, 1), repeat=3))
    near = [d for d in every if _near(d, (0, 0, 0), connectivity)]
    joining = [*_FACES, *(d for d in near if d not in _FACES)]
    looked = list(joining)
    if connectivity == 6:  # two faces do not touch, but the edge between them touches both
        looked += [d for d in every if sum(map(abs, d)) == 2]
    touching = np.zeros(len(joining), np.int32)
    pairs: list[tuple[int, int]] = []
    for k, d in enumerate(joining):
        for j, other in enumerate(joining[:k]):
            between = tuple(a + b for a, b in zip(d, other, strict=True))
            if _near(d, other, connectivity):
                touching[k] |= 1 << j
            elif connectivity == 6 and between in looked:
                pairs.append((k, 1 << j | 1 << looked.index(between)))
    offset = np.array(looked) @ step
    step_of = np.zeros(32, np.int64)
    for k in range(len(joining)):
        step_of[(BRUIJN << k & 0xFFFFFFFF) >> 27] = offset[k]
    order: list[int] = []
    for side in (-1, 1):
        which = [k for k in range(len(looked)) if np.sign(offset[k]) == side]
        order += which + which[:1] * (-len(which) % 3)  # the first again, to make up threes
    return Around(
        offset[order],
        np.array([1 << k for k in order], np.int32),
        len(joining),
        touching,
        np.array([k for k, _ in pairs], np.int64),
        np.array([mask for _, mask in pairs], np.int32),
        step_of.view(np.uint64),
    )


def structure(connectivity: int) -> NDArray[np.bool_]:
    """Return the (3, 3, 3) neighbourhood of a connectivity, centre included."""
    out = np.zeros((3, 3, 3), bool)
    for d in itertools.product((-1, 0, 1), repeat=3):
        out[d[0] + 1, d[1] + 1, d[2] + 1] = sum(map(abs, d)) <= _REACH[connectivity]
    return out


def _near(a: tuple[int, ...], b: tuple[int, ...], connectivity: int) -> bool:
    gap = [abs(p - q) for p, q in zip(a, b, strict=True)]
    return max(gap) == 1 and sum(gap) <= _REACH[connectivity]
