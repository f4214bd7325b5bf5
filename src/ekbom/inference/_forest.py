"""Kernels: voxels in falling order, and the components they form.

Each voxel comes with its hill (:mod:`ekbom.inference._uphill`), so components are joined hills:
their tables are small, and nine voxels of ten only make a component larger.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ekbom.inference._uphill import MEETING

DIGIT = 256
"""Bins of a pass of the sort: so few that the lines they are filling stay in the first-level
cache."""
HELD = 24
"""Bits that three passes sort by; what they leave in disorder is mended."""
LINE = 8
"""Records in a line of the cache."""
PATIENCE = 4
"""Moves a voxel that mending may take; after that the sort is done over all bits."""


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def falling(
    bits: NDArray[Any],
    what: NDArray[Any],
    signs: int,
    out: NDArray[Any],
    spare: NDArray[Any],
    bins: NDArray[Any],
) -> tuple[int, int]:
    """Sort the voxels by falling magnitude; equal ones stay in order.

    Parameters
    ----------
    bits : (V,) uint32
        Bit patterns of float32; those of positive floats have the order of the floats.
    what : (V,) uint32
        What goes with each voxel: its hill, or its cell.
    signs : {1, 2, 3}
        Voxels above 0, those under 0, or both.
    out : (V,) uint64, written
        Bits of the largest magnitude less those of the voxel in the upper half, ``what`` in
        the lower, rising.
    spare : (V,) uint64
        Scratch.
    bins : (4, DIGIT) uint32
        Scratch.

    Returns
    -------
    tuple of int
        How many there are, and the bits of the largest magnitude.
    """
    word, magnitude = np.uint64(32), np.uint32(0x7FFFFFFF)
    least, most = magnitude, np.uint32(0)
    for i in range(len(bits)):
        m = bits[i] & magnitude
        least = min(least, m if m != 0 else magnitude)
        most = max(most, m)
    shift = np.uint32(0)
    while most > least and (most - least) >> shift >> np.uint32(HELD) != 0:
        shift += np.uint32(1)
    one, mask, n = np.uint32(1), np.uint32(DIGIT - 1), 0
    bins[:] = 0
    for i in range(len(bits)):
        b = bits[i]
        if b & magnitude != 0 and (signs >> np.int64(b >> np.uint32(31))) & 1:
            key = most - (b & magnitude)
            spare[n] = (np.uint64(key) << word) | np.uint64(what[i])
            n += 1
            key >>= shift
            bins[0, key & mask] += one
            bins[1, (key >> np.uint32(8)) & mask] += one
            bins[2, key >> np.uint32(16)] += one
    # walked through once, memory comes near in order; dealt into, line by line as it is asked for
    for i in range(0, n, LINE):
        out[i] = np.uint64(0)
    _sort(spare, out, n, shift, bins)
    if shift > 0 and not _mend(out, n):
        bins[:] = 0
        for i in range(n):
            key = np.uint32(out[i] >> word)
            bins[3, key & mask] += one  # the bits left over, at most 7, are among these
            key >>= shift
            bins[0, key & mask] += one
            bins[1, (key >> np.uint32(8)) & mask] += one
            bins[2, key >> np.uint32(16)] += one
        _scatter(out, spare, n, 32, bins[3])
        _sort(spare, out, n, shift, bins)
    return n, int(most)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _sort(a: NDArray[Any], b: NDArray[Any], n: int, shift: Any, bins: NDArray[Any]) -> None:
    """Sort ``a`` into ``b`` by the HELD bits from ``32 + shift`` on, in order where equal."""
    _scatter(a, b, n, 32 + shift, bins[0])
    _scatter(b, a, n, 40 + shift, bins[1])
    _scatter(a, b, n, 48 + shift, bins[2])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _scatter(a: NDArray[Any], b: NDArray[Any], n: int, shift: Any, bins: NDArray[Any]) -> None:
    """Deal ``a`` into ``b`` by a digit that was counted."""
    one, mask, by, total = np.uint32(1), np.uint64(DIGIT - 1), np.uint64(shift), np.uint32(0)
    for k in range(DIGIT):
        count = bins[k]
        bins[k] = total
        total += count
    for i in range(n):
        r = a[i]
        k = (r >> by) & mask
        at = bins[k]
        b[at] = r
        bins[k] = at + one


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _mend(out: NDArray[Any], n: int) -> bool:
    """Put right what the bits not sorted by left in disorder; give up if that is much."""
    word, last = np.uint64(32), np.uint64(0)
    left = PATIENCE * n
    for i in range(n):
        r = out[i]
        key = r >> word
        if key >= last:
            last = key
            continue
        j = i
        while j > 0 and out[j - 1] >> word > key:
            out[j] = out[j - 1]
            j -= 1
        out[j] = r
        left -= i - j
        if left < 0:
            return False
    return True


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _find(above: NDArray[Any], c: Any) -> Any:
    while above[c] != c:
        above[c] = above[above[c]]
        c = np.uint64(above[c])
    return c


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _reach(
    c: Any,
    now: float,
    power: NDArray[Any],
    size: NDArray[Any],
    level: NDArray[Any],
    best: NDArray[Any],
) -> float:
    """Account for a component down to a level; return what its voxels gain."""
    gain = power[size[c]] * (level[c] - now)
    best[c] += gain
    level[c] = now
    return float(gain)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def descend(
    order: NDArray[Any],
    n: int,
    most: int,
    lists: NDArray[Any],
    heights: NDArray[Any],
    hills: int,
    power: NDArray[Any],
    h: float,
    forming: float,
    excess: bool,
    above: NDArray[Any],
    size: NDArray[Any],
    level: NDArray[Any],
    best: NDArray[Any],
    mass: NDArray[Any],
    cells: NDArray[Any],
    last: NDArray[Any],
    up: NDArray[Any],
    share: NDArray[Any],
    out: NDArray[Any],
) -> None:
    """Join hills where voxels, in falling order, meet several, and keep what is largest.

    A component keeps its size, the level down to which it is accounted for (as the
    integral of x^H) and the largest sum of any of its voxels. Closing an interval adds
    the same to all of them, so the largest stays the largest; nothing is carried back.

    Parameters
    ----------
    order, n, most
        From :func:`falling`, with hills or lists of hills.
    lists, heights, hills
        From :func:`~ekbom.inference._uphill.hills`; heights as float32.
    power : (V + 1,) float64
        Extent to the E, by extent.
    h : float
        Exponent of the level.
    forming : float
        Forming threshold of extent and mass; those above it are joined.
    excess : bool
        Mass sums what exceeds the threshold, else the statistic.
    above : (V + 1,) uint32
        Scratch: component that took a hill in.
    size, level, best, mass, last : (V + 1,)
        Scratch, by component: voxels (uint32), level, largest sum, mass (float64), and the
        cell that stands for it (uint32).
    cells : (V,) uint32 or (0,)
        For the map: cells in falling order.
    up : (cells,) int32 or (0,)
        For the map: the cell at which the component of a cell was closed.
    share : (cells,) float64 or (0,)
        For the map: what the voxels of that component gained until then.
    out : (3,) float64, raised
        Largest TFCE, extent and mass.
    """
    # unsigned throughout: a signed index is looked at for being negative each time
    meeting, one, free = np.uint64(MEETING), np.uint64(1), np.uint64(hills) + np.uint64(1)
    mapped = len(up) > 0
    word, low, top = np.uint64(32), np.uint64(0xFFFFFFFF), np.uint32(most)
    for j in range(free):
        above[j], size[j] = np.uint32(j), 0
        best[j] = mass[j] = 0.0
        # a top is accounted for down to itself
        value = np.float64(heights[j]) if j > 0 else 0.0
        level[j] = value * value * value / 3.0 if h == 2.0 else value ** (h + 1.0) / (h + 1.0)
    # for the map: the last voxel of each component is the node that stands for it
    forming_open = True
    for i in range(n):
        r = order[i]
        value = np.float64(np.uint32(top - np.uint32(r >> word)).view(np.float32))
        if forming_open and not value > forming:
            _settle(free, above, size, mass, out)
            forming_open = False
        now = value * value * value / 3.0 if h == 2.0 else value ** (h + 1.0) / (h + 1.0)
        w = r & low
        k = w ^ meeting
        if w >= meeting:
            w = np.uint64(lists[k])
        # most hills are two steps or less from the component that took them in
        here = np.uint64(above[above[w]])
        if above[here] != here:
            here = _find(above, here)
        gain = _reach(here, now, power, size, level, best)
        if mapped and size[here] > 0:
            up[last[here]] = np.int32(cells[i])
            share[last[here]] = gain
        if k < meeting:
            while True:
                k += one
                c = np.uint64(lists[k])
                if c == 0:
                    break
                c = _find(above, c)
                if c == here:
                    continue
                gain = _reach(c, now, power, size, level, best)
                if mapped:
                    up[last[c]] = np.int32(cells[i])
                    share[last[c]] = gain
                if size[c] > size[here]:
                    c, here = here, c
                above[c] = here
                size[here] += size[c]
                best[here] = max(best[here], best[c])
                mass[here] += mass[c]
        size[here] += np.uint32(1)
        if forming_open:
            mass[here] += value - forming if excess else value
        if mapped:
            last[here] = cells[i]
    if forming_open:
        _settle(free, above, size, mass, out)
    for j in range(one, free):
        if above[j] == j:
            gain = power[size[j]] * level[j]
            out[0] = max(out[0], best[j] + gain)
            if mapped:
                up[last[j]] = -1
                share[last[j]] = gain


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _settle(
    free: int, above: NDArray[Any], size: NDArray[Any], mass: NDArray[Any], out: NDArray[Any]
) -> None:
    for c in range(1, free):
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
