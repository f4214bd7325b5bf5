"""Kernels: who lies above whom, voxels in falling order, and the components they form.

A voxel that joins a component need not ask all its neighbours: those that touch each other
are together already. Which neighbours lie above a voxel does not hang on the order in which
voxels come, so one pass along the grid finds for each voxel one neighbour of every group above
it, and on the way down nine voxels of ten have one neighbour to ask.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

DIGIT = 2048
"""Bins of one of three passes of the sort: 3 x 11 bits hold the 31 bits of a magnitude."""
TILE = 512
"""Cells whose neighbours are looked at together."""
BRUIJN = 0x077CB531
"""De Bruijn sequence: the top five bits of its product with a power of two tell which one."""


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
def falling(
    bits: NDArray[Any],
    place: NDArray[Any],
    signs: int,
    out: NDArray[Any],
    spare: NDArray[Any],
    bins: NDArray[Any],
    cells: NDArray[Any],
    levels: NDArray[Any],
) -> int:
    """Sort the voxels by falling magnitude; equal ones stay in order.

    Parameters
    ----------
    bits : (V,) uint32
        Bit patterns of float32; those of positive floats have the order of the floats.
    place : (V,) int32
        Cell of each voxel.
    signs : {1, 2, 3}
        Voxels above 0, those under 0, or both.
    out, spare : (V,) uint64
        Scratch: complement of the magnitude's bits in the upper half, cell in the lower.
    bins : (3, 2048) uint32
        Scratch.
    cells : (V,) uint32, written
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
    one = np.uint32(1)
    for i in range(len(bits)):
        b = bits[i]
        magnitude = b & np.uint32(0x7FFFFFFF)
        if magnitude != 0 and (signs >> np.int64(b >> np.uint32(31))) & 1:
            key = np.uint32(0x7FFFFFFF) - magnitude
            spare[n] = (np.uint64(key) << np.uint64(32)) | np.uint64(place[i])
            bins[0, key & np.uint32(2047)] += one
            bins[1, (key >> np.uint32(11)) & np.uint32(2047)] += one
            bins[2, key >> np.uint32(22)] += one
            n += 1
    for d in range(3):
        total = np.uint32(0)
        for k in range(2048):
            count = bins[d, k]
            bins[d, k] = total
            total += count
    for i in range(n):
        r = spare[i]
        k = (r >> np.uint64(32)) & np.uint64(2047)
        at = bins[0, k]
        out[at] = r
        bins[0, k] = at + one
    for i in range(n):
        r = out[i]
        k = (r >> np.uint64(43)) & np.uint64(2047)
        at = bins[1, k]
        spare[at] = r
        bins[1, k] = at + one
    for i in range(n):
        r = spare[i]
        k = r >> np.uint64(54)
        at = bins[2, k]
        cells[at] = np.uint32(r & np.uint64(0xFFFFFFFF))
        levels[at] = np.uint32(0x7FFFFFFF) - np.uint32(r >> np.uint64(32))
        bins[2, k] = at + one
    return n


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _find(above: NDArray[Any], c: Any) -> Any:
    while above[c] != c:
        above[c] = above[above[c]]
        c = np.uint64(above[c])
    return c


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def descend(
    cells: NDArray[Any],
    levels: NDArray[Any],
    n: int,
    step: NDArray[Any],
    power: NDArray[Any],
    h: float,
    forming: float,
    excess: bool,
    label: NDArray[Any],
    above: NDArray[Any],
    size: NDArray[Any],
    level: NDArray[Any],
    best: NDArray[Any],
    mass: NDArray[Any],
    last: NDArray[Any],
    up: NDArray[Any],
    share: NDArray[Any],
    out: NDArray[Any],
) -> None:
    """Join voxels in falling order and keep what is largest.

    A component keeps its size, the level down to which it is accounted for (as the
    integral of x^H) and the largest sum of any of its voxels. Closing an interval adds
    the same to all of them, so the largest stays the largest; nothing is carried back.

    Parameters
    ----------
    cells, levels, n
        From :func:`falling`, the levels as float32.
    step : (32,) uint64
        Offset of the neighbour of a bit, by the top of its product with ``BRUIJN``.
    power : (V + 1,) float64
        Extent to the E, by extent.
    h : float
        Exponent of the level.
    forming : float
        Forming threshold of extent and mass; those above it are joined.
    excess : bool
        Mass sums what exceeds the threshold, else the statistic.
    label : (cells,) uint32
        From :func:`higher`; a cell that was visited holds its component instead.
    above : (V,) uint32
        Scratch: component that took another in.
    size, level, best, mass, last : (V,)
        Scratch, by component: voxels (uint32), level, largest sum, mass (float64), and the
        cell that stands for it (uint32).
    up : (cells,) int32 or (0,)
        For the map: the cell at which the component of a cell was closed.
    share : (cells,) float64 or (0,)
        For the map: what the voxels of that component gained until then.
    out : (3,) float64, raised
        Largest TFCE, extent and mass.
    """
    # unsigned throughout: a signed index is looked at for being negative each time
    free, one, low = np.uint64(0), np.uint64(1), np.uint64(0xFFFFFFFF)
    bruijn, top = np.uint64(BRUIJN), np.uint64(27)
    mapped = len(up) > 0
    # for the map: the last voxel of each component is the node that stands for it
    forming_open = True
    for i in range(n):
        p = np.uint64(cells[i])
        value = np.float64(levels[i])
        if forming_open and not value > forming:
            _settle(free, above, size, mass, out)
            forming_open = False
        now = value * value * value / 3.0 if h == 2.0 else value ** (h + 1.0) / (h + 1.0)
        ask = np.uint64(label[p])
        if ask == 0:
            here = free
            free += one
            above[here] = np.uint32(here)
            size[here] = 0
            level[here] = now
            best[here] = 0.0
            mass[here] = 0.0
        else:
            rest = ask & (ask - one)
            q = p + step[(((ask ^ rest) * bruijn) & low) >> top]
            # most components are two steps or less from the one that took them in
            here = np.uint64(above[above[label[q]]])
            if above[here] != here:
                here = _find(above, here)
            gain = power[size[here]] * (level[here] - now)
            best[here] += gain
            level[here] = now
            if mapped:
                up[last[here]] = p
                share[last[here]] = gain
            while rest != 0:
                ask = rest
                rest = ask & (ask - one)
                q = p + step[(((ask ^ rest) * bruijn) & low) >> top]
                c = _find(above, np.uint64(label[q]))
                if c == here:
                    continue
                gain = power[size[c]] * (level[c] - now)
                best[c] += gain
                level[c] = now
                if mapped:
                    up[last[c]] = p
                    share[last[c]] = gain
                if size[c] > size[here]:
                    c, here = here, c
                above[c] = np.uint32(here)
                size[here] += size[c]
                best[here] = max(best[here], best[c])
                mass[here] += mass[c]
        label[p] = np.uint32(here)
        size[here] += np.uint32(1)
        if forming_open:
            mass[here] += value - forming if excess else value
        if mapped:
            last[here] = p
    if forming_open:
        _settle(free, above, size, mass, out)
    for c in range(free):
        if above[c] == c:
            gain = power[size[c]] * level[c]
            out[0] = max(out[0], best[c] + gain)
            if mapped:
                up[last[c]] = -1
                share[last[c]] = gain


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _settle(
    free: int, above: NDArray[Any], size: NDArray[Any], mass: NDArray[Any], out: NDArray[Any]
) -> None:
    for c in range(free):
        if above[c] == c:
            out[1] = max(out[1], size[c])
            out[2] = max(out[2], mass[c])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def carry(
    cells: NDArray[Any], n: int, up: NDArray[Any], share: NDArray[Any], sum_to: NDArray[Any]
) -> None:
    """Sum the shares from each cell to the last of its component, rising."""
    for i in range(n - 1, -1, -1):
        p = cells[i]
        sum_to[p] = share[p] + (sum_to[up[p]] if up[p] >= 0 else 0.0)
