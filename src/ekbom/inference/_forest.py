"""Kernels: voxels in falling order, and the components they form on the way down."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

DIGIT = 2048
"""Bins of one of three passes of the sort: 3 x 11 bits hold the 31 bits of a magnitude."""


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def falling(
    bits: NDArray[Any],
    place: NDArray[Any],
    sign: int,
    out: NDArray[Any],
    spare: NDArray[Any],
    bins: NDArray[Any],
    cells: NDArray[Any],
    levels: NDArray[Any],
) -> int:
    """Sort the voxels of one sign by falling magnitude; equal ones stay in order.

    Parameters
    ----------
    bits : (V,) uint32
        Bit patterns of float32; those of positive floats have the order of the floats.
    place : (V,) int32
        Cell of each voxel.
    sign : {0, 1}
        0 for voxels above 0, 1 for those under 0.
    out, spare : (V,) uint64
        Scratch: complement of the magnitude's bits in the upper half, cell in the lower.
    bins : (3, 2048) int64
        Scratch.
    cells : (V,) int32, written
        Cells in falling order.
    levels : (V,) uint32, written
        Bit patterns of their magnitudes.

    Returns
    -------
    int
        How many there are.
    """
    bins[:] = 0
    n = 0
    for i in range(len(bits)):
        b = bits[i]
        magnitude = b & np.uint32(0x7FFFFFFF)
        if magnitude != 0 and np.int64(b >> np.uint32(31)) == sign:
            key = np.uint32(0x7FFFFFFF) - magnitude
            spare[n] = (np.uint64(key) << np.uint64(32)) | np.uint64(place[i])
            bins[0, key & np.uint32(2047)] += 1
            bins[1, (key >> np.uint32(11)) & np.uint32(2047)] += 1
            bins[2, key >> np.uint32(22)] += 1
            n += 1
    for d in range(3):
        total = 0
        for k in range(2048):
            count = bins[d, k]
            bins[d, k] = total
            total += count
    for i in range(n):
        k = (spare[i] >> np.uint64(32)) & np.uint64(2047)
        out[bins[0, k]] = spare[i]
        bins[0, k] += 1
    for i in range(n):
        k = (out[i] >> np.uint64(43)) & np.uint64(2047)
        spare[bins[1, k]] = out[i]
        bins[1, k] += 1
    for i in range(n):
        k = spare[i] >> np.uint64(54)
        at = bins[2, k]
        cells[at] = np.int32(spare[i] & np.uint64(0xFFFFFFFF))
        levels[at] = np.uint32(0x7FFFFFFF) - np.uint32(spare[i] >> np.uint64(32))
        bins[2, k] += 1
    return n


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _find(above: NDArray[Any], c: int) -> int:
    while above[c] != c:
        above[c] = above[above[c]]
        c = above[c]
    return c


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def descend(
    cells: NDArray[Any],
    levels: NDArray[Any],
    n: int,
    faces: NDArray[Any],
    join_start: NDArray[Any],
    join: NDArray[Any],
    rest_start: NDArray[Any],
    rest: NDArray[Any],
    power: NDArray[Any],
    h: float,
    forming: float,
    excess: bool,
    label: NDArray[Any],
    first: int,
    above: NDArray[Any],
    state: NDArray[Any],
    up: NDArray[Any],
    share: NDArray[Any],
    out: NDArray[Any],
) -> int:
    """Join voxels in falling order and keep what is largest.

    A component keeps its size, the level down to which it is accounted for (as the
    integral of x^H) and the largest sum of any of its voxels. Closing an interval adds
    the same to all of them, so the largest stays the largest; nothing is carried back.

    Parameters
    ----------
    cells, levels, n
        From :func:`falling`, the levels as float32.
    faces, join_start, join, rest_start, rest
        Of the lattice.
    power : (V + 1,) float64
        Extent to the E, by extent.
    h : float
        Exponent of the level.
    forming : float
        Forming threshold of extent and mass; those above it are joined.
    excess : bool
        Mass sums what exceeds the threshold, else the statistic.
    label : (cells,) int32
        Component of a visited cell; less than ``first``: not visited.
    first : int
        First free number of a component.
    above : (V,) int32
        Component that took another in.
    state : (V, 5) float64
        Level, largest sum, mass, voxels, and the cell that stands for it.
    up : (cells,) int32 or (0,)
        For the map: the cell at which the component of a cell was closed.
    share : (cells,) float64 or (0,)
        For the map: what the voxels of that component gained until then.
    out : (3,) float64, raised
        Largest TFCE, extent and mass.

    Returns
    -------
    int
        Next free number of a component.
    """
    free = first
    mapped = len(up) > 0
    # for the map: the last voxel of each component is the node that stands for it
    forming_open = True
    for i in range(n):
        p = cells[i]
        value = np.float64(levels[i])
        if forming_open and not value > forming:
            _settle(first, free, above, state, out)
            forming_open = False
        now = value * value * value / 3.0 if h == 2.0 else value ** (h + 1.0) / (h + 1.0)
        m = 0
        for k in range(6):
            if label[p + faces[k]] >= first:
                m |= 1 << k
        here = -1
        for j in range(join_start[m], join_start[m + 1] + rest_start[m + 1] - rest_start[m]):
            if j < join_start[m + 1]:
                q = p + join[j]
            else:
                q = p + rest[rest_start[m] + j - join_start[m + 1]]
            c = label[q]
            if c < first:
                continue
            if c == here:
                continue
            root = _find(above, c)
            if root != c:
                label[q] = root  # the next neighbour need not climb
                c = root
            if c == here:
                continue
            gain = power[np.int64(state[c, 3])] * (state[c, 0] - now)
            state[c, 1] += gain
            state[c, 0] = now
            if mapped:
                node = np.int64(state[c, 4])
                up[node] = p
                share[node] = gain
            if here < 0:
                here = c
            else:
                if state[c, 3] > state[here, 3]:
                    c, here = here, c
                above[c] = here
                state[here, 3] += state[c, 3]
                state[here, 1] = max(state[here, 1], state[c, 1])
                state[here, 2] += state[c, 2]
        if here < 0:
            here = free
            free += 1
            above[here] = here
            state[here, 3] = 0.0
            state[here, 0] = now
            state[here, 1] = 0.0
            state[here, 2] = 0.0
        label[p] = here
        state[here, 3] += 1.0
        if forming_open:
            state[here, 2] += value - forming if excess else value
        if mapped:
            state[here, 4] = p
    if forming_open:
        _settle(first, free, above, state, out)
    for c in range(first, free):
        if above[c] == c:
            gain = power[np.int64(state[c, 3])] * state[c, 0]
            out[0] = max(out[0], state[c, 1] + gain)
            if mapped:
                node = np.int64(state[c, 4])
                up[node] = -1
                share[node] = gain
    return free


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _settle(
    first: int, free: int, above: NDArray[Any], state: NDArray[Any], out: NDArray[Any]
) -> None:
    for c in range(first, free):
        if above[c] == c:
            out[1] = max(out[1], state[c, 3])
            out[2] = max(out[2], state[c, 2])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def carry(
    cells: NDArray[Any], n: int, up: NDArray[Any], share: NDArray[Any], sum_to: NDArray[Any]
) -> None:
    """Sum the shares from each cell to the last of its component, rising."""
    for i in range(n - 1, -1, -1):
        p = cells[i]
        sum_to[p] = share[p] + (sum_to[up[p]] if up[p] >= 0 else 0.0)
