"""The voxels of a mask and who is whose neighbour.

Voxels keep their C order; neighbours are reached by offsets in a grid cropped to the
mask with a border of one voxel, where nothing is ever visited. Connectivity 6 joins
voxels that share a face, 18 also an edge, 26 also a corner.

A voxel that joins a component need not ask all its neighbours: those that touch each
other are already together. After the six faces are looked at, a table of their 64
states names one face of each component among them and the neighbours that touch no
visited face.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CONNECTIVITIES = (6, 18, 26)
_REACH = {6: 1, 18: 2, 26: 3}
_FACES = ((-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1))


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
        Size of that grid.
    faces : (6,) int32
        Offsets of the face neighbours.
    join_start, join : (65,), (k,) int32
        Offsets of one visited face a component, by state of the faces.
    rest_start, rest : (65,), (k,) int32
        Offsets of the neighbours that touch no visited face.
    """

    connectivity: int
    place: NDArray[np.int32]
    cells: int
    faces: NDArray[np.int32]
    join_start: NDArray[np.int32]
    join: NDArray[np.int32]
    rest_start: NDArray[np.int32]
    rest: NDArray[np.int32]

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

    def offset(d: tuple[int, ...]) -> int:
        return int(np.array(d) @ step)

    around = [
        d for d in itertools.product((-1, 0, 1), repeat=3) if _near(d, (0, 0, 0), connectivity)
    ]
    join: list[list[int]] = []
    rest: list[list[int]] = []
    for state in range(64):
        visited = [d for k, d in enumerate(_FACES) if state >> k & 1]
        chosen: list[tuple[int, ...]] = []
        for group in _groups(visited, connectivity):
            chosen.append(group[0])
        join.append([offset(d) for d in chosen])
        rest.append(
            [
                offset(d)
                for d in around
                if d not in _FACES and not any(_near(d, f, connectivity) for f in visited)
            ]
        )
    faces = np.array([offset(d) for d in _FACES], np.int32)
    return Lattice(
        connectivity, place.astype(np.int32), int(size.prod()), faces, *_flat(join), *_flat(rest)
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


def _groups(points: list[Any], connectivity: int) -> list[list[Any]]:
    groups: list[list[Any]] = []
    for point in points:
        touched = [g for g in groups if any(_near(point, other, connectivity) for other in g)]
        groups = [g for g in groups if g not in touched]
        groups.append([point, *(other for g in touched for other in g)])
    return groups


def _flat(lists: list[list[int]]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    start = np.concatenate([[0], np.cumsum([len(x) for x in lists])]).astype(np.int32)
    return start, np.array([v for x in lists for v in x] or [0], np.int32)
