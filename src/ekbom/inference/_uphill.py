"""Kernels: who lies above whom, and the hill each voxel stands on.

A voxel that joins a component need not ask all its neighbours: those that touch each other
are together already. Which neighbours lie above a voxel does not hang on the order in which
voxels come, so one pass along the grid finds one neighbour of every group above it.

From a voxel one goes up, neighbour by neighbour, to a top. All the way is above the voxel, so
voxel and top are in one component at every level that the voxel reaches: the voxels of a top
are its hill, and only where two hills meet can components join.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

TILE = 512
"""Cells whose neighbours are looked at together."""
BRUIJN = 0x077CB531 << 1
"""De Bruijn sequence: the top five bits of its product with a power of two tell which one.
Moved by one, so that they are 0 for no bit alone."""
MEETING = 0x80000000
"""Bit of a voxel where hills meet: the rest is where its list of hills begins."""
LIST = 10
"""Room for lists of hills, by voxel. Where k neighbours are asked a list takes k + 1 entries
at most. Those asked do not touch: 8 of 26 (the corners) can be so, 9 entries. Of 18 and 6
neighbours each pair of voxels asks once: 9 and 3 a voxel, and one entry more."""


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def lay(t: NDArray[Any], runs: NDArray[Any], grid: NDArray[Any]) -> None:
    """Write the voxels (V,) into the grid, run by run (first cell, first voxel, length)."""
    for r in range(len(runs)):
        width = runs[r, 2]
        to = grid[runs[r, 0] : runs[r, 0] + width]
        source = t[runs[r, 1] : runs[r, 1] + width]
        for j in range(width):
            to[j] = source[j]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def higher(
    grid: NDArray[Any],
    spans: NDArray[Any],
    offsets: NDArray[Any],
    bits: NDArray[Any],
    joining: int,
    touching: NDArray[Any],
    linked: NDArray[Any],
    links: NDArray[Any],
    out: NDArray[Any],
) -> None:
    """Find one neighbour of each group of those that lie above a cell.

    Parameters
    ----------
    grid : (cells,) float32
        Statistic; 0 outside.
    spans : (S, 2) int64
        First cell and length of the stretches that hold voxels.
    offsets, bits : (3 k,) int64, int32
        Offset and bit of the neighbours that are looked at, in threes of one direction.
    joining : int
        So many bits are neighbours; the rest are only looked at.
    touching : (joining,) int32
        Earlier neighbours that touch this one.
    linked, links : (m,) int64, int32
        This neighbour is joined to an earlier one when all these lie above.
    out : (cells,) int32, written
        Bits of the neighbours to ask. Of equal statistics that of the lower cell is higher.
    """
    size, seen = np.empty(TILE, np.float32), np.empty(TILE, np.int32)
    sign, drop = np.empty(TILE, np.float32), np.empty(TILE, np.int32)
    every, none = np.int32((1 << joining) - 1), np.int32(0)
    for s in range(len(spans)):
        stop = spans[s, 0] + spans[s, 1]
        for start in range(spans[s, 0], stop, TILE):
            width = min(TILE, stop - start)
            row = grid[start : start + width]
            for j in range(width):
                sign[j] = np.float32(1.0) if row[j] > 0 else np.float32(-1.0)
                size[j] = abs(row[j])
                seen[j] = 0
                drop[j] = 0
            for k in range(0, len(offsets), 3):
                a = grid[start + offsets[k] : start + offsets[k] + width]
                b = grid[start + offsets[k + 1] : start + offsets[k + 1] + width]
                c = grid[start + offsets[k + 2] : start + offsets[k + 2] + width]
                bit_a, bit_b, bit_c = bits[k], bits[k + 1], bits[k + 2]
                if offsets[k] < 0:
                    for j in range(width):
                        x, y = size[j], sign[j]
                        seen[j] |= (
                            (bit_a if a[j] * y >= x else none)
                            | (bit_b if b[j] * y >= x else none)
                            | (bit_c if c[j] * y >= x else none)
                        )
                else:
                    for j in range(width):
                        x, y = size[j], sign[j]
                        seen[j] |= (
                            (bit_a if a[j] * y > x else none)
                            | (bit_b if b[j] * y > x else none)
                            | (bit_c if c[j] * y > x else none)
                        )
            for k in range(joining):
                if touching[k] != 0:
                    bit, near = np.int32(1 << k), touching[k]
                    for j in range(width):
                        drop[j] |= bit if (seen[j] & near) != 0 else none
            for k in range(len(linked)):
                bit, all_of = np.int32(1 << linked[k]), links[k]
                for j in range(width):
                    drop[j] |= bit if (seen[j] & all_of) == all_of else none
            ask = out[start : start + width]
            for j in range(width):
                ask[j] = seen[j] & every & ~drop[j]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def climb(
    ask: NDArray[Any],
    place: NDArray[Any],
    runs: NDArray[Any],
    step: NDArray[Any],
    tops: NDArray[Any],
    waiting: NDArray[Any],
) -> None:
    """Find the top above each cell.

    Parameters
    ----------
    ask : (cells,) uint32
        From :func:`higher`.
    place : (V,) int32
        Cell of each voxel.
    step : (32,) uint64
        Offset of the neighbour of a bit, by the top of its product with ``BRUIJN``.
    runs : (R, 3) int64
        Voxels in a row: first cell, first voxel, length.
    tops : (cells,) uint32, written
        Cell of the top. Every cell first points to itself; then each takes over where one
        neighbour above it points, and on the way back where its target points, and again
        where that is no top yet. So nothing is asked that would often be guessed wrong.
    waiting : (V,) uint32
        Scratch: cells whose target is no top yet.
    """
    bruijn, top, low, one = np.uint64(BRUIJN), np.uint64(27), np.uint64(0xFFFFFFFF), np.uint64(1)
    n = len(place)
    for r in range(len(runs)):
        first, width = runs[r, 0], runs[r, 2]
        row = tops[first : first + width]
        for j in range(width):
            row[j] = np.uint32(first + j)
    for i in range(n):
        p = np.uint64(place[i])
        a = np.uint64(ask[p])
        tops[p] = tops[p + step[(((a & (~a + one)) * bruijn) & low) >> top]]
    left = np.uint64(0)
    for i in range(n - 1, -1, -1):
        p = np.uint64(place[i])
        target = tops[np.uint64(tops[p])]
        tops[p] = target
        waiting[left] = np.uint32(p)
        left += one if tops[np.uint64(target)] != target else np.uint64(0)
    while left != 0:
        count, left = left, np.uint64(0)
        for i in range(count):
            p = np.uint64(waiting[i])
            target = tops[np.uint64(tops[p])]
            tops[p] = target
            waiting[left] = np.uint32(p)
            left += one if tops[np.uint64(target)] != target else np.uint64(0)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def hills(
    bits: NDArray[Any],
    place: NDArray[Any],
    signs: int,
    ask: NDArray[Any],
    step: NDArray[Any],
    tops: NDArray[Any],
    number: NDArray[Any],
    heights: NDArray[Any],
    lists: NDArray[Any],
    out: NDArray[Any],
) -> int:
    """Number the hills, and find where they meet.

    Parameters
    ----------
    bits : (V,) uint32
        Bit patterns of the statistic, float32.
    place : (V,) int32
        Cell of each voxel.
    signs : {1, 2, 3}
        Tops above 0, those under 0, or both.
    ask, step, tops
        From :func:`higher`, the lattice and :func:`climb`.
    number : (cells,) uint32
        Scratch: hill of a top.
    heights : (V + 1,) uint32, written
        Bit pattern of the magnitude of each hill's top; hills count from 1.
    lists : (LIST V,) uint32, written
        Where hills meet: those of the voxel and of its neighbours above, then 0.
    out : (V,) uint32, written
        The voxel's hill, or ``MEETING`` and where its list begins.

    Returns
    -------
    int
        How many hills there are.
    """
    bruijn, top, low, one = np.uint64(BRUIJN), np.uint64(27), np.uint64(0xFFFFFFFF), np.uint64(1)
    count = np.uint32(0)
    for i in range(len(place)):
        p = np.uint64(place[i])
        if tops[p] == np.uint32(p):
            b = bits[i]
            magnitude = b & np.uint32(0x7FFFFFFF)
            if magnitude != 0 and (signs >> np.int64(b >> np.uint32(31))) & 1:
                count += np.uint32(1)
                number[p] = count
                heights[count] = magnitude
    n = np.uint64(0)
    for i in range(len(place)):
        p = np.uint64(place[i])
        mine = tops[p]
        a = np.uint64(ask[p])
        hill = number[mine]
        start = n
        rest = a & (a - one)  # 0 where there is nobody or one to ask
        while rest != 0:
            left = rest & (rest - one)
            q = p + step[(((rest ^ left) * bruijn) & low) >> top]
            rest = left
            other = tops[q]
            if other != mine:
                if n == start:
                    lists[n] = hill
                    n += one
                lists[n] = number[other]
                n += one
        if n != start:
            lists[n] = np.uint32(0)
            n += one
            hill = np.uint32(MEETING) | np.uint32(start)
        out[i] = hill
    return int(count)
