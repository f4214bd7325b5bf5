"""Where to start: every pair of a table of rates, scored under the box.

The optimum over the box lies inside one of its faces, where it is the plain
least-squares solution. For a pair of rates with both amplitudes positive the
faces are three (blood volume free, 0, at its bound); with one amplitude zero
it is a single row, scored beforehand.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ekbom.measures.pet._varpro import VB_MAX

# Pairs of the table this nearly parallel are left to the polish.
_PARALLEL = 1e-10
# A column that meets the residual by more than this share of both would lower it.
_MEETS = 1e-6
#: Where the faster rate of a start lies: groups between these ln rates are tried one by one.
EDGES = (-3.5, -2.0, -0.5, 0.8)
#: Pairs whose slower ln rate is below this are a group of their own.
SLOW = -6.0


@njit(cache=True, error_model="numpy")
def _better_pair(h1, h2, g11, g22, g12):  # type: ignore[no-untyped-def]
    """Return (reduction of the RSS, beta1, beta2) of two columns."""
    det = g11 * g22 - g12 * g12
    if not det > _PARALLEL * g11 * g22:
        return 0.0, -1.0, -1.0
    b1 = (h1 * g22 - h2 * g12) / det
    b2 = (h2 * g11 - h1 * g12) / det
    return b1 * h1 + b2 * h2, b1, b2


@njit(cache=True, error_model="numpy")
def scan(B, G, Gp, q, P, y, pairs, last_fixed, vb_free):  # type: ignore[no-untyped-def]
    """Find the pair of table rows (or the row) with the least RSS under the box.

    Parameters
    ----------
    B : (K, F) array
        Weighted table; the last row is the fixed second column if ``last_fixed``.
    G : (K, K) array
        ``B B'``.
    Gp : (K, K) array
        The same of rows made orthogonal to ``q``.
    q : (F,) array
        Weighted whole blood; ignored when ``vb_free`` is false.
    P : (K,) array
        ``B q``.
    y : (F,) array
    pairs, last_fixed, vb_free : bool

    Returns
    -------
    i, j : int
        Rows, i <= j; j = -1 when one column alone is as good as any pair.
    """
    K, F = B.shape
    h = np.empty(K)
    yy = hq = qq = 0.0
    for f in range(F):
        yy += y[f] * y[f]
        hq += q[f] * y[f]
        qq += q[f] * q[f]
    for k in range(K):
        dot = 0.0
        for f in range(F):
            dot += B[k, f] * y[f]
        h[k] = dot
    free = vb_free and qq > 0.0
    hp = np.empty(K)
    for k in range(K):
        hp[k] = h[k] - P[k] * hq / qq if free else h[k]
    # rss of blood alone at 0, at its own best and at its upper bound
    cap = yy - 2.0 * VB_MAX * hq + VB_MAX * VB_MAX * qq
    best = np.inf
    bi, bj = 0, -1
    tops = K - 1 if last_fixed else K
    for i in range(tops):
        # one column: the three states of the blood volume
        if h[i] > 0.0:
            rss = yy - h[i] * h[i] / G[i, i]
            if rss < best:
                best, bi, bj = rss, i, -1
        if free:
            g, top = Gp[i, i], hp[i]
            if g > _PARALLEL * G[i, i] and top > 0.0:
                rss = yy - hq * hq / qq - top * top / g
                vb = (hq - top / g * P[i]) / qq
                if rss < best and vb >= 0.0 and vb <= VB_MAX:
                    best, bi, bj = rss, i, -1
            top = h[i] - VB_MAX * P[i]
            if top > 0.0:
                rss = cap - top * top / G[i, i]
                if rss < best:
                    best, bi, bj = rss, i, -1
    if not pairs:
        return bi, bj
    # with the blood free nothing a pair can reach on any face is below `base - num/det`
    M, t, base = (Gp, hp, yy - hq * hq / qq) if free else (G, h, yy)
    diagonal = np.empty(K)
    for k in range(K):
        diagonal[k] = M[k, k]
    for i in range(tops):
        ti, mi = t[i], diagonal[i]
        need = base - best
        for j in range(K - 1 if last_fixed else i + 1, K):
            tj, mj, mij = t[j], diagonal[j], M[i, j]
            det = mi * mj - mij * mij
            if ti * ti * mj - 2.0 * ti * tj * mij + tj * tj * mi <= need * det:
                continue
            if free:
                low, b1, b2 = _better_pair(ti, tj, mi, mj, mij)
                vb = (hq - b1 * P[i] - b2 * P[j]) / qq
                if b1 > 0.0 and b2 > 0.0 and vb >= 0.0 and vb <= VB_MAX:
                    if base - low < best:
                        best, bi, bj = base - low, i, j
                        need = base - best
                    continue
                low, b1, b2 = _better_pair(
                    h[i] - VB_MAX * P[i], h[j] - VB_MAX * P[j], G[i, i], G[j, j], G[i, j]
                )
                if b1 > 0.0 and b2 > 0.0 and cap - low < best:
                    best, bi, bj = cap - low, i, j
            low, b1, b2 = _better_pair(h[i], h[j], G[i, i], G[j, j], G[i, j])
            if b1 > 0.0 and b2 > 0.0 and yy - low < best:
                best, bi, bj = yy - low, i, j
            need = base - best
    return bi, bj


@njit(cache=True, error_model="numpy")
def starts(B, G, Gp, q, P, y, pairs, vb_free, group, slow, h, hp, where, score):  # type: ignore[no-untyped-def]
    """Best pair (or row, second index -1) of the table in each group of its faster rate.

    As :func:`scan`, whose faces these are; ``group`` (K,) gives the group of a row, pairs with
    one of the first ``slow`` rows have the last group. Fills where (groups, 2), score (groups,).
    """
    K, F = B.shape
    yy = hq = qq = 0.0
    for f in range(F):
        yy += y[f] * y[f]
        hq += q[f] * y[f]
        qq += q[f] * q[f]
    free = vb_free and qq > 0.0
    for k in range(K):
        dot = 0.0
        for f in range(F):
            dot += B[k, f] * y[f]
        h[k] = dot
        hp[k] = dot - P[k] * hq / qq if free else dot
    cap = yy - 2.0 * VB_MAX * hq + VB_MAX * VB_MAX * qq
    for a in range(score.size):
        score[a] = np.inf
        where[a, 0] = -1
    base = yy - hq * hq / qq if free else yy
    for j in range(K):
        a = group[j]
        best, bi, bj = score[a], where[a, 0], where[a, 1]
        if h[j] > 0.0 and yy - h[j] * h[j] / G[j, j] < best:
            best, bi, bj = yy - h[j] * h[j] / G[j, j], j, -1
        if free:
            vb = (hq - hp[j] / Gp[j, j] * P[j]) / qq
            low = base - hp[j] * hp[j] / Gp[j, j]
            if hp[j] > 0.0 and low < best and vb >= 0.0 and vb <= VB_MAX:
                best, bi, bj = low, j, -1
            top = h[j] - VB_MAX * P[j]
            if top > 0.0 and cap - top * top / G[j, j] < best:
                best, bi, bj = cap - top * top / G[j, j], j, -1
        tj, mj = hp[j], Gp[j, j] if free else G[j, j]
        for part in range(2 if pairs else 0):
            if part == 1:
                # beside a rate that hardly falls the valley is another one
                score[a], where[a, 0], where[a, 1] = best, bi, bj
                a = score.size - 1
                best, bi, bj = score[a], where[a, 0], where[a, 1]
            for i in range(slow if part == 0 else 0, j if part == 0 else min(slow, j)):
                ti, mi, mij = hp[i], Gp[i, i] if free else G[i, i], Gp[i, j] if free else G[i, j]
                det = mi * mj - mij * mij
                fall = ti * ti * mj - 2.0 * ti * tj * mij + tj * tj * mi
                if fall <= (base - best) * det:
                    continue
                b1, b2 = ti * mj - tj * mij, tj * mi - ti * mij
                if free:
                    vb = (hq - (b1 * P[i] + b2 * P[j]) / det) / qq
                    if b1 > 0.0 and b2 > 0.0 and vb >= 0.0 and vb <= VB_MAX:
                        best, bi, bj = base - fall / det, i, j
                        continue
                    u, v = h[i] - VB_MAX * P[i], h[j] - VB_MAX * P[j]
                    low, b1, b2 = _better_pair(u, v, G[i, i], G[j, j], G[i, j])
                    if b1 > 0.0 and b2 > 0.0 and cap - low < best:
                        best, bi, bj = cap - low, i, j
                low, b1, b2 = _better_pair(h[i], h[j], G[i, i], G[j, j], G[i, j])
                if b1 > 0.0 and b2 > 0.0 and yy - low < best:
                    best, bi, bj = yy - low, i, j
        score[a], where[a, 0], where[a, 1] = best, bi, bj


@njit(cache=True, error_model="numpy")
def best_row(table, r):  # type: ignore[no-untyped-def]
    """Return the row that the residual leans on most, -1 when on none."""
    size = 0.0
    for f in range(r.size):
        size += r[f] * r[f]
    best, top = -1, _MEETS * np.sqrt(size)
    for k in range(table.shape[0]):
        dot = length = 0.0
        for f in range(r.size):
            dot += table[k, f] * r[f]
            length += table[k, f] * table[k, f]
        value = dot / np.sqrt(length)
        if value > top:
            best, top = k, value
    return best
