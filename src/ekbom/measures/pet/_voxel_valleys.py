"""Other valleys: where else one rate could lie beside the other.

At an optimum one rate is held to its tangent - its column and the slope of that - and a second
column of any rate is added. The residual sum of this linear problem is, to second order in the
shift of the first rate, what a search from there would reach; where it is least among its
neighbours a valley begins. All rates cost a few products with an orthonormal base.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ekbom.measures.pet._varpro import VB_MAX
from ekbom.measures.pet._voxel_table import look_up

# A column that keeps less than this share of its square beside the tangent is part of it.
_PART = 1e-9


@njit(cache=True, error_model="numpy")
def beside(  # type: ignore[no-untyped-def]
    t, y, q, vb_free, first, step, table, slope, turned, square, cross, base, score
):
    """Fill score with the residual sum of every row beside the tangent at ``t``.

    Parameters
    ----------
    t : float
        ln rate that is held.
    y, q : (F,) arrays
        Weighted curve and whole blood.
    vb_free : bool
    first, step, table, slope
        As of :func:`ekbom.measures.pet._voxel_table.look_up`.
    turned : (F, K) array
        Rows that are tried, as columns.
    square, cross : (K,) arrays
        Their squares, and products with blood.
    base : (4, F) array
        Scratch.
    score : (4, K) array
        Filled: the first row; the rest is scratch.
    """
    F, K = turned.shape
    e1, e2, e3 = base[0], base[1], base[2]
    look_up(t, first, step, table, slope, e1, e2, base[3])
    size = 0.0
    for f in range(F):
        size += e1[f] * e1[f]
    size = 1.0 / np.sqrt(size)
    along = y1 = q1 = whole = 0.0
    for f in range(F):
        e1[f] *= size
        along += e1[f] * e2[f]
        y1 += e1[f] * y[f]
        q1 += e1[f] * q[f]
        whole += e2[f] * e2[f]
    size = 0.0
    for f in range(F):
        e2[f] -= along * e1[f]
        size += e2[f] * e2[f]
    size = 1.0 / np.sqrt(size) if size > _PART * whole else 0.0
    y2 = q2 = yy = yq = qq = 0.0
    for f in range(F):
        e2[f] *= size
        y2 += e2[f] * y[f]
        q2 += e2[f] * q[f]
        yy += y[f] * y[f]
        yq += y[f] * q[f]
        qq += q[f] * q[f]
    length = 0.0
    for f in range(F):
        e3[f] = q[f] - q1 * e1[f] - q2 * e2[f]
        length += e3[f] * e3[f]
    free = vb_free and length > _PART * qq
    length = np.sqrt(length)
    y3 = 0.0
    for f in range(F):
        e3[f] = e3[f] / length if free else 0.0
        y3 += e3[f] * y[f]
    d1, d2, d3 = score[1], score[2], score[3]
    dy = score[0]
    for k in range(K):
        d1[k] = d2[k] = d3[k] = dy[k] = 0.0
    for f in range(F):
        a, b, c, v = e1[f], e2[f], e3[f], y[f]
        for k in range(K):
            d1[k] += a * turned[f, k]
            d2[k] += b * turned[f, k]
            d3[k] += c * turned[f, k]
            dy[k] += v * turned[f, k]
    none = yy - y1 * y1 - y2 * y2
    z1, z2 = y1 - VB_MAX * q1, y2 - VB_MAX * q2
    full = yy - 2.0 * VB_MAX * yq + VB_MAX * VB_MAX * qq - z1 * z1 - z2 * z2
    for k in range(K):
        left = square[k] - d1[k] * d1[k] - d2[k] * d2[k]
        part = left > _PART * square[k]
        left = left if part else 1.0
        h = dy[k] - d1[k] * y1 - d2[k] * y2
        best = none - h * h / left if h > 0.0 else none
        if vb_free:
            u = dy[k] - VB_MAX * cross[k] - d1[k] * z1 - d2[k] * z2
            best = min(best, full - u * u / left if u > 0.0 else full)
        if free:
            left -= d3[k] * d3[k]
            part &= left > _PART * square[k]
            left = left if part else 1.0
            h -= d3[k] * y3
            a = h / left
            vb = (y3 - a * d3[k]) / length
            inside = (a > 0.0) & (vb >= 0.0) & (vb <= VB_MAX)
            best = none - y3 * y3 - a * h if inside else best
        score[0, k] = best if part else np.inf
