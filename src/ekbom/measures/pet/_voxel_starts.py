"""Where a voxel's search begins: the best pair of a coarse table of rates, scored under the box."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ekbom.measures.pet._varpro import VB_MAX
from ekbom.measures.pet._voxel_table import FAST

# Pairs of the table this nearly parallel are left to the polish.
_PARALLEL = 1e-10


def inverse_determinants(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 / (g_ii g_jj - g_ij^2), 0 where rows are as good as parallel."""
    size = np.diag(gram)
    square = np.outer(size, size)
    det = square - gram**2
    good = det > _PARALLEL * square
    return np.asarray(np.where(good, 1.0 / np.where(good, det, 1.0), 0.0))


@njit(
    cache=True, error_model="numpy", fastmath=FAST, no_cpython_wrapper=True, no_cfunc_wrapper=True
)
def _score_rows(square, apart, P, h, hp, base, yy, hq, qq, free, row):  # type: ignore[no-untyped-def]
    """Fill row (K,) with the residual sum of each row alone."""
    cap = yy - 2.0 * VB_MAX * hq + VB_MAX * VB_MAX * qq
    for j in range(h.size):
        best = yy - h[j] * h[j] / square[j] if h[j] > 0.0 else np.inf
        if free:
            top = h[j] - VB_MAX * P[j]
            if top > 0.0:
                best = min(best, cap - top * top / square[j])
            a = hp[j] / apart[j]
            vb = (hq - a * P[j]) / qq
            if a > 0.0 and vb >= 0.0 and vb <= VB_MAX:
                best = min(best, base - a * hp[j])
        row[j] = best


@njit(
    cache=True, error_model="numpy", fastmath=FAST, no_cpython_wrapper=True, no_cfunc_wrapper=True
)
def best_start(y, turned, grams, q, P, pairs, vb_free, h, hp, row):  # type: ignore[no-untyped-def]
    """Find the pair of rows with the least residual sum under the box, or the row.

    Parameters
    ----------
    y : (F,) array
        Weighted curve.
    turned : (F, K) array
        Coarse table, transposed.
    grams : four (K, K) and two (K,) arrays
        Products of rows, those of rows made orthogonal to blood, the inverse determinants
        of the pairs of both, and the diagonals of the first two.
    q : (F,) array
        Weighted whole blood.
    P : (K,) array
        Products of rows with blood.
    pairs, vb_free : bool
    h, hp, row : (K,) arrays
        Scratch.

    Returns
    -------
    i, j : int
        Rows; j = -1 when one alone is as good as any pair, i = -1 when none has a part.
    one : int
        Best row alone.
    """
    G, Gp, R, Rp, square, apart = grams
    F, K = turned.shape
    yy = hq = qq = 0.0
    for k in range(K):
        h[k] = 0.0
    for f in range(F):
        yf = y[f]
        yy += yf * yf
        hq += q[f] * yf
        qq += q[f] * q[f]
        for k in range(K):
            h[k] += yf * turned[f, k]
    free = vb_free and qq > 0.0
    base = yy - hq * hq / qq if free else yy
    for k in range(K):
        hp[k] = h[k] - P[k] * hq / qq if free else h[k]
    _score_rows(square, apart, P, h, hp, base, yy, hq, qq, free, row)
    one = bi = int(np.argmin(row))
    best = row[bi]
    if best == np.inf:
        bi = -1
    bj = -1
    if not pairs:
        return bi, bj, one
    cap = yy - 2.0 * VB_MAX * hq + VB_MAX * VB_MAX * qq
    per = 1.0 / qq if free else 0.0
    for j in range(1, K):
        hj, tj, pj, gj, mj = h[j], hp[j], P[j], square[j], apart[j]
        uj = hj - VB_MAX * pj
        for i in range(j):
            hi, pi, gi, g, det = h[i], P[i], square[i], G[j, i], R[j, i]
            # no blood
            a = (hi * gj - hj * g) * det
            b = (hj * gi - hi * g) * det
            low = yy - a * hi - b * hj if (a > 0.0) & (b > 0.0) else np.inf
            if free:
                # as much blood as may be
                ui = hi - VB_MAX * pi
                a = (ui * gj - uj * g) * det
                b = (uj * gi - ui * g) * det
                full = cap - a * ui - b * uj if (a > 0.0) & (b > 0.0) else np.inf
                low = min(low, full)
                ti, m, det = hp[i], Gp[j, i], Rp[j, i]
                a = (ti * mj - tj * m) * det
                b = (tj * apart[i] - ti * m) * det
                vb = (hq - a * pi - b * pj) * per
                inside = (a > 0.0) & (b > 0.0) & (vb >= 0.0) & (vb <= VB_MAX)
                low = base - a * ti - b * tj if inside else low
            row[i] = low
        for i in range(j):
            if row[i] < best:
                best, bi, bj = row[i], i, j
    return bi, bj, one
