"""Other valleys: where else one rate could lie beside the other.

At an optimum one rate is held to its tangent - its column and the slope of that - and a second
column of any rate is added. The residual sum of this linear problem is, to second order in the
shift of the first rate, what a search from there would reach; where it is least among its
neighbours a valley begins. The products of a column at any rate with those that are tried are a
smooth function of the rate: they come from a table too, so that a column costs a few operations
and not a product over the frames.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ekbom.measures.pet._varpro import VB_MAX
from ekbom.measures.pet._voxel_table import FAST, look_up

# A column that keeps less than this share of its square beside the tangent is part of it.
_PART = 1e-9


@njit(
    cache=True, error_model="numpy", fastmath=FAST, no_cpython_wrapper=True, no_cfunc_wrapper=True
)
def products(y, turned, out):  # type: ignore[no-untyped-def]
    """Fill out (K,) with the products of y (F,) with the columns of turned (F, K)."""
    F, K = turned.shape
    for k in range(K):
        out[k] = 0.0
    for f in range(F):
        v = y[f]
        for k in range(K):
            out[k] += v * turned[f, k]


@njit(
    cache=True, error_model="numpy", fastmath=FAST, no_cpython_wrapper=True, no_cfunc_wrapper=True
)
def beside(t, y, q, vb_free, first, step, table, slope, tried, with_y, base, score):  # type: ignore[no-untyped-def]
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
    tried : tuple
        Of the K rows that are tried: squares (K,), products with blood (K,), and with the rows of
        the table and their slopes, (N, K) each.
    with_y : (K,) array
        Their products with y.
    base : (3, F) array
        Scratch.
    score : (K,) array
        Filled.
    """
    square, cross, values, slopes = tried
    F, K = y.size, square.size
    place = look_up(t, first, step, table, slope, base[0], base[1], base[2])
    bb = bd = dd = by = dy = bq = dq = yy = yq = qq = 0.0
    for f in range(F):
        b, d, v, u = base[0, f], base[1, f], y[f], q[f]
        bb += b * b
        bd += b * d
        dd += d * d
        by += b * v
        dy += d * v
        bq += b * u
        dq += d * u
        yy += v * v
        yq += v * u
        qq += u * u
    # an orthonormal base of column, slope and blood
    size1 = 1.0 / np.sqrt(bb)
    along = bd * size1
    left = dd - along * along
    size2 = 1.0 / np.sqrt(left) if left > _PART * dd else 0.0
    y1, q1 = by * size1, bq * size1
    y2, q2 = (dy - along * y1) * size2, (dq - along * q1) * size2
    left = qq - q1 * q1 - q2 * q2
    free = vb_free and left > _PART * qq
    length = np.sqrt(left) if free else 1.0
    size3 = 1.0 / length if free else 0.0
    y3 = (yq - q1 * y1 - q2 * y2) * size3
    none = yy - y1 * y1 - y2 * y2
    z1, z2 = y1 - VB_MAX * q1, y2 - VB_MAX * q2
    full = yy - 2.0 * VB_MAX * yq + VB_MAX * VB_MAX * qq - z1 * z1 - z2 * z2
    i, u = int(place), place - int(place)
    v = 1.0 - u
    h0, h1 = v * v * (1.0 + 2.0 * u), u * u * (1.0 + 2.0 * v)
    g0, g1 = u * v * v * step, -u * u * v * step
    e0 = -6.0 * u * v / step
    s0, s1 = v * (v - 2.0 * u), u * (u - 2.0 * v)
    for k in range(K):
        b0, b1, r0, r1 = values[i, k], values[i + 1, k], slopes[i, k], slopes[i + 1, k]
        d1 = (h0 * b0 + h1 * b1 + g0 * r0 + g1 * r1) * size1
        d2 = (e0 * (b0 - b1) + s0 * r0 + s1 * r1 - along * d1) * size2
        d3 = (cross[k] - q1 * d1 - q2 * d2) * size3
        left = square[k] - d1 * d1 - d2 * d2
        part = left > _PART * square[k]
        left = left if part else 1.0
        h = with_y[k] - d1 * y1 - d2 * y2
        best = none - h * h / left if h > 0.0 else none
        if vb_free:
            w = with_y[k] - VB_MAX * cross[k] - d1 * z1 - d2 * z2
            best = min(best, full - w * w / left if w > 0.0 else full)
        if free:
            left -= d3 * d3
            part &= left > _PART * square[k]
            left = left if part else 1.0
            h -= d3 * y3
            a = h / left
            vb = (y3 - a * d3) * size3
            inside = (a > 0.0) & (vb >= 0.0) & (vb <= VB_MAX)
            best = none - y3 * y3 - a * h if inside else best
        score[k] = best if part else np.inf
