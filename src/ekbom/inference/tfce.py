"""Threshold-free cluster enhancement, exact.

TFCE(v) is the integral over h from 0 to the statistic at v of e(h)^E h^H, with e(h)
the extent of the component of v above h (Smith & Nichols 2009,
10.1016/j.neuroimage.2008.03.061). Between two neighbouring values of the map the extent
does not change, so the integral is a sum and there is no step dh.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ekbom.inference._forest import DIGIT, carry, descend, falling
from ekbom.inference._uphill import LIST, climb, higher, hills, lay
from ekbom.inference.lattice import Lattice

SIGNS = {"positive": 1, "negative": 2, "two-sided": 3}


@dataclass(frozen=True)
class Enhancement:
    """How a map is enhanced.

    Parameters
    ----------
    E, H : float
        Exponents of extent and height.
    forming : float
        Forming threshold of clusters.
    sign : {"two-sided", "positive", "negative"}
        Signs that are enhanced, each apart.
    excess : bool
        Cluster mass sums t - threshold (else t).
    """

    E: float = 0.5
    H: float = 2.0
    forming: float = np.inf
    sign: str = "two-sided"
    excess: bool = True


@dataclass
class Enhancer:
    """Scratch memory for the maps of one lattice; one a thread."""

    lattice: Lattice
    how: Enhancement
    power: NDArray[np.float64] | None = None
    _order: NDArray[np.uint64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        n = self.lattice.n
        if self.power is None:
            self.power = np.arange(n + 1, dtype=float) ** self.how.E
        cells = self.lattice.cells
        # what is done with lends its room: memory that was just used is near
        self._order, self._ask = _shared(n, cells)
        self._grid = np.zeros(cells, np.float32)
        self._tops = self._grid.view(np.uint32)
        self._bins = np.empty((4, DIGIT), np.uint32)
        self._spare, self._number = _shared(n, cells)
        self._what = np.empty(n, np.uint32)
        self._lists = np.empty(LIST * n, np.uint32)  # little of it is ever touched
        self._above, self._size, self._heights, self._last = (
            np.empty(n + 1, np.uint32) for _ in range(4)
        )
        self._level, self._best, self._mass = (np.empty(n + 1) for _ in range(3))
        self._none = np.empty(0, np.uint32), np.empty(0, np.int32), np.empty(0)
        self._map: (
            tuple[NDArray[np.uint32], NDArray[np.int32], NDArray[np.float64], NDArray[np.float64]]
            | None
        ) = None

    def maxima(self, t: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the largest TFCE, cluster extent and cluster mass of a map, (3,)."""
        return self._run(t, mapped=False)

    def both(self, t: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the maxima, (3,), and TFCE without its sign, (V,)."""
        best = self._run(t, mapped=True)
        assert self._map is not None
        return best, self._map[3][self.lattice.place]

    def map(self, t: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the enhanced map, (V,), with the sign of the statistic."""
        return np.asarray(np.sign(t) * self.both(t)[1])

    def _run(self, t: NDArray[np.float32], *, mapped: bool) -> NDArray[np.float64]:
        g, how = self.lattice, self.how
        t = np.ascontiguousarray(t, np.float32)
        signs, bits, a = SIGNS[how.sign], t.view(np.uint32), g.around
        cells, up, share = self._none
        if mapped:
            if self._map is None:
                whole = np.empty(g.cells, np.int32), np.empty(g.cells), np.empty(g.cells)
                self._map = np.empty(g.n, np.uint32), *whole
            cells, up, share, total = self._map
            total.fill(0.0)
            n, _ = self._falling(bits, g.place.view(np.uint32))
            cells[:n] = self._order[:n] & 0xFFFFFFFF
        best = np.zeros(3)
        lay(t, g.runs, self._grid)
        higher(
            self._grid, g.spans, a.offsets, a.bits, a.joining, a.touching, a.linked, a.links,
            self._ask.view(np.int32),
        )  # fmt: skip
        climb(self._ask, g.place, g.runs, a.step, self._tops, self._what)
        count = hills(
            bits, g.place, signs, self._ask, a.step, self._tops, self._number, self._heights,
            self._lists, self._what,
        )  # fmt: skip
        n, most = self._falling(bits, self._what)
        descend(
            self._order, n, most, self._lists, self._heights.view(np.float32), count, self.power,
            how.H, how.forming, how.excess, self._above, self._size, self._level, self._best,
            self._mass, cells, self._last, up, share, best,
        )  # fmt: skip
        if mapped:
            carry(cells, n, up, share, total)
        return best

    def _falling(self, bits: NDArray[np.uint32], what: NDArray[np.uint32]) -> tuple[int, int]:
        signs = SIGNS[self.how.sign]
        n, most = falling(bits, what, signs, self._order, self._spare, self._bins)
        return int(n), int(most)


def _shared(n: int, cells: int) -> tuple[NDArray[np.uint64], NDArray[np.uint32]]:
    """Return room for n records and room for all cells, in one place."""
    room = np.empty(max(n, -(-cells // 2)), np.uint64)
    return room[:n], room.view(np.uint32)[:cells]


def tfce(
    stat: NDArray[np.floating[Any]],
    graph: Lattice,
    *,
    E: float = 0.5,
    H: float = 2.0,
    sign: str = "two-sided",
) -> NDArray[np.float64]:
    """Enhance a map.

    Parameters
    ----------
    stat : (V,) float
        Statistic of the voxels of the mask; taken as float32.
    graph : Lattice
        From :func:`~ekbom.inference.lattice.lattice`, with the connectivity.
    E, H : float
        Exponents of extent and height (.5 and 2 in three dimensions).
    sign : {"two-sided", "positive", "negative"}
        Positive and negative parts are enhanced apart and never joined.

    Returns
    -------
    ndarray, (V,)
        TFCE with the sign of the statistic; 0 where the sign is not asked for.

    Notes
    -----
    Scaling the statistic by c scales TFCE by c^(H + 1).

    Examples
    --------
    >>> from ekbom.inference.lattice import lattice
    >>> tfce(np.array([3.0]), lattice(np.ones((1, 1, 1), bool)))
    array([9.])
    """
    clean = np.nan_to_num(np.asarray(stat), nan=0.0).astype(np.float32)
    return Enhancer(graph, Enhancement(E, H, sign=sign)).map(clean)
