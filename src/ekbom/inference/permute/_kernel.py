"""One pass over voxels for a block of relabellings."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

TILE = 512
"""Voxels whose data (n x TILE x 8 bytes) stay in the second-level cache."""
BATCH = 4
"""Relabellings that share one load of the data."""
LANES = 8
"""Running maxima kept side by side."""


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _projected(
    u: NDArray[Any],
    w: NDArray[Any],
    first: int,
    q: int,
    start: int,
    width: int,
    acc: NDArray[Any],
) -> None:
    """Fill ``acc`` (BATCH, TILE) with the products of a column of the basis and a tile.

    People are taken three at a time, so that a sum is loaded and stored once for three; they
    are added in their order, one after the other. Rows are cut out first: an index that
    might be negative is looked at for each voxel, and nothing is done side by side.
    """
    n = u.shape[0]
    a0, a1, a2, a3 = acc[0], acc[1], acc[2], acc[3]
    for j in range(TILE):
        a0[j] = a1[j] = a2[j] = a3[j] = 0.0
    whole = n - n % 3
    # the caller pads B to a multiple of BATCH
    for i in range(0, whole, 3):
        x0, x1, x2, x3 = w[first, q, i], w[first + 1, q, i], w[first + 2, q, i], w[first + 3, q, i]
        y0, y1, y2, y3 = (
            w[first, q, i + 1],
            w[first + 1, q, i + 1],
            w[first + 2, q, i + 1],
            w[first + 3, q, i + 1],
        )
        z0, z1, z2, z3 = (
            w[first, q, i + 2],
            w[first + 1, q, i + 2],
            w[first + 2, q, i + 2],
            w[first + 3, q, i + 2],
        )
        one = u[i, start : start + width]
        two = u[i + 1, start : start + width]
        three = u[i + 2, start : start + width]
        for j in range(width):
            x, y, z = one[j], two[j], three[j]
            a0[j] = ((a0[j] + x0 * x) + y0 * y) + z0 * z
            a1[j] = ((a1[j] + x1 * x) + y1 * y) + z1 * z
            a2[j] = ((a2[j] + x2 * x) + y2 * y) + z2 * z
            a3[j] = ((a3[j] + x3 * x) + y3 * y) + z3 * z
    for i in range(whole, n):
        x0, x1, x2, x3 = w[first, q, i], w[first + 1, q, i], w[first + 2, q, i], w[first + 3, q, i]
        one = u[i, start : start + width]
        for j in range(width):
            x = one[j]
            a0[j] += x0 * x
            a1[j] += x1 * x
            a2[j] += x2 * x
            a3[j] += x3 * x


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _shares(
    u: NDArray[Any],
    w: NDArray[Any],
    first: int,
    tested: int,
    start: int,
    width: int,
    acc: NDArray[Any],
    effect: NDArray[Any],
    rest: NDArray[Any],
) -> None:
    """Fill ``effect`` with the signed share of variance of a tile and a batch."""
    k = w.shape[1]
    for g in range(BATCH):
        for j in range(TILE):
            effect[g, j] = 0.0
            rest[g, j] = 1.0
    for q in range(k):
        _projected(u, w, first, q, start, width, acc)
        if q < tested:
            if tested == 1:
                for g in range(BATCH):
                    for j in range(width):
                        effect[g, j] = acc[g, j] * abs(acc[g, j])
            else:
                for g in range(BATCH):
                    for j in range(width):
                        effect[g, j] += acc[g, j] * acc[g, j]
        else:
            for g in range(BATCH):
                for j in range(width):
                    rest[g, j] -= acc[g, j] * acc[g, j]
    if k > tested:  # else all is left to the effect
        for g in range(BATCH):
            for j in range(width):
                share = effect[g, j] / max(rest[g, j], 1e-9)
                effect[g, j] = share if rest[g, j] > 1e-9 else 0.0


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def maxima(
    u: NDArray[Any],
    w: NDArray[Any],
    tested: int,
    high: NDArray[Any],
    low: NDArray[Any],
    count: NDArray[Any],
    observed: NDArray[Any],
    counting: int,
    real: int,
) -> None:
    """Fill the largest share of variance of each relabelling.

    Parameters
    ----------
    u : (n, V) float64
        Residuals of the nuisance model, each column of length one (or zero).
    w : (B, k, n) float64
        Rows of the orthonormal model basis; the first ``tested`` carry the effect.
    high, low : (B,) float64, written
        Largest and least (turned) signed share d_e^2 / (1 - sum d_z^2), with the sign of
        d_e; for more than one tested column ``high`` alone.
    count : (V,) int64, added to
        Number of relabellings whose share reaches ``observed``.
    observed : (V,) float64
        Threshold of ``count`` (tolerance taken off).
    counting : {0, 1, 2, 3}
        Not at all; either sign; positive only; negative only.
    real : int
        Relabellings that count: those after it are padding.
    """
    v = u.shape[1]
    b = w.shape[0]
    acc = np.zeros((BATCH, TILE))
    effect = np.zeros((BATCH, TILE))
    rest = np.zeros((BATCH, TILE))
    upper = np.zeros(LANES)
    lower = np.zeros(LANES)
    for i in range(b):
        high[i] = -1.0
        low[i] = -1.0
    for start in range(0, v, TILE):
        width = min(TILE, v - start)
        for first in range(0, b, BATCH):
            _shares(u, w, first, tested, start, width, acc, effect, rest)
            for g in range(BATCH):
                # lanes, because a single running maximum is not vectorised
                for s in range(LANES):
                    upper[s] = -1.0
                    lower[s] = 1.0
                whole = width - width % LANES
                for j in range(0, whole, LANES):
                    for s in range(LANES):
                        value = effect[g, j + s]
                        upper[s] = value if value > upper[s] else upper[s]
                        lower[s] = value if value < lower[s] else lower[s]
                for j in range(whole, width):
                    upper[0] = max(upper[0], effect[g, j])
                    lower[0] = min(lower[0], effect[g, j])
                up = -1.0
                down = 1.0
                for s in range(LANES):
                    up = max(up, upper[s])
                    down = min(down, lower[s])
                high[first + g] = max(high[first + g], up)
                low[first + g] = max(low[first + g], -down)
                if first + g >= real or counting == 0:
                    continue
                reached, least = count[start : start + width], observed[start : start + width]
                if counting == 1:
                    for j in range(width):
                        reached[j] += 1 if abs(effect[g, j]) >= least[j] else 0
                elif counting == 2:
                    for j in range(width):
                        reached[j] += 1 if effect[g, j] >= least[j] else 0
                elif counting == 3:
                    for j in range(width):
                        reached[j] += 1 if -effect[g, j] >= least[j] else 0


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def statistics(u: NDArray[Any], w: NDArray[Any], tested: int, df: float, out: NDArray[Any]) -> None:
    """Fill the map of t (one tested column, with its sign) or F of each relabelling.

    Parameters
    ----------
    u, w, tested
        As in :func:`maxima`.
    df : float
        Residual degrees of freedom.
    out : (B, V) float32, written
        Statistic.
    """
    v = u.shape[1]
    acc = np.zeros((BATCH, TILE))
    effect = np.zeros((BATCH, TILE))
    rest = np.zeros((BATCH, TILE))
    for start in range(0, v, TILE):
        width = min(TILE, v - start)
        for first in range(0, w.shape[0], BATCH):
            _shares(u, w, first, tested, start, width, acc, effect, rest)
            for g in range(BATCH):
                row = out[first + g, start : start + width]
                for j in range(width):
                    share = abs(effect[g, j])
                    ratio = share / max(1.0 - share, 1e-300) * df
                    if tested == 1:
                        root = np.sqrt(ratio)
                        row[j] = root if effect[g, j] >= 0.0 else -root
                    else:
                        row[j] = ratio / tested
