"""Newton's method on the ln rates of a voxel, the linear part eliminated.

The residual sum, with amplitudes and blood at their best, is a function of one or two ln
rates (variable projection, Golub & Pereyra 1973, doi:10.1137/0710036). Its whole second
derivative costs two more products than the matrix of Gauss and Newton, since slopes and
bends of a column come from the same table. Where it is not positive definite that matrix
stands in, damped after Levenberg and Marquardt.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ekbom.measures.pet._varpro import AT_LIMIT, CONVERGED, LN_MAX, LN_MIN, STUCK
from ekbom.measures.pet._voxel_linear import factor3, linear, solve3
from ekbom.measures.pet._voxel_table import FAST, look_up

# A predicted fall of the residual sum below this share of it is the end: of a step with all
# second derivatives, whose error is of the square of that, and of one without.
_FALL, _FALL_PLAIN = 1e-9, 1e-10
_EXACT = 1e-24


@njit(
    cache=True, error_model="numpy", fastmath=FAST, no_cpython_wrapper=True, no_cfunc_wrapper=True
)
def polish(lt, n_exp, y, vb_free, first, step, table, slope, work, rounds):  # type: ignore[no-untyped-def]
    """Go down from a start, bounds kept.

    Parameters
    ----------
    lt : (2,) array
        ln rates, start and result.
    n_exp : int
        1 or 2.
    y : (F,) array
    vb_free : bool
    first, step : float
        ln rate of the first row of the table, and between rows.
    table, slope : (K, F) arrays
    work : tuple
        As of :func:`ekbom.measures.pet._voxel_varpro.scratch`.
    rounds : int
        Most steps.

    Returns
    -------
    rss : float
    status : int
        Of :mod:`ekbom.measures.pet._varpro`.
    """
    A, D, E, G, face, coef, r = work
    F = y.size
    yy = 0.0
    for f in range(F):
        yy += y[f] * y[f]
    t0, t1 = n0, n1 = lt[0], lt[1]
    damp, before, done = 1e-3, np.inf, 0
    small = back = whole = False
    s0 = s1 = j00 = j01 = j11 = 0.0
    # one place where columns are made, whatever they are for: a start, a step, the way back
    while True:
        look_up(n0, first, step, table, slope, A[0], D[0], E[0])
        if n_exp == 2:
            look_up(n1, first, step, table, slope, A[1], D[1], E[1])
        rss = linear(A, y, n_exp, vb_free, G, face, coef, r)
        if back:
            return rss, CONVERGED if small else STUCK
        if rss < before:
            lt[0], lt[1] = t0, t1 = n0, n1
            if done > 0:
                damp = max(damp / 8.0, 1e-12)
                if small and before - rss <= 10.0 * _FALL * before:
                    return rss, CONVERGED
            if done == rounds:
                return rss, AT_LIMIT
            if rss <= _EXACT * yy:
                return rss, CONVERGED
            # slopes of the residual sum, and the curvature of its projected columns
            c0, c1 = coef[0], coef[1] if n_exp == 2 else 0.0
            j00 = j01 = j11 = e0 = e1 = b0 = b1 = 0.0
            p0 = p1 = p2 = q0 = q1 = q2 = 0.0
            for f in range(F):
                u, rf = c0 * D[0, f], r[f]
                j00 += u * u
                e0 += D[0, f] * rf
                b0 += E[0, f] * rf
                p0 += u * A[0, f]
                p1 += u * A[1, f]
                p2 += u * A[2, f]
            if n_exp == 2:
                for f in range(F):
                    u, v, rf = c0 * D[0, f], c1 * D[1, f], r[f]
                    j01 += u * v
                    j11 += v * v
                    e1 += D[1, f] * rf
                    b1 += E[1, f] * rf
                    q0 += v * A[0, f]
                    q1 += v * A[1, f]
                    q2 += v * A[2, f]
            s0, s1 = c0 * e0, c1 * e1
            # all second derivatives: the residual's own bend, and that of a column's part in it
            n00, n01, n11 = j00 - c0 * b0, j01, j11 - c1 * b1
            full00, full11 = j00, j11
            good, factor = factor3(
                G[0, 0], G[0, 1], G[0, 2], G[1, 1], G[1, 2], G[2, 2], face[0], face[1], face[2]
            )
            if good:
                x0, x1, x2 = solve3(factor, p0, p1, p2)
                z0, z1, z2 = solve3(factor, q0, q1, q2)
                j00 -= x0 * p0 + x1 * p1 + x2 * p2
                j01 -= x0 * q0 + x1 * q1 + x2 * q2
                j11 -= z0 * q0 + z1 * q1 + z2 * q2
                # rounding must not make the curvature negative
                j00 = max(j00, 1e-12 * full00)
                j11 = max(j11, 1e-12 * full11)
                p0, q1 = p0 - e0, q1 - e1
                x0, x1, x2 = solve3(factor, p0, p1, p2)
                z0, z1, z2 = solve3(factor, q0, q1, q2)
                n00 -= x0 * p0 + x1 * p1 + x2 * p2
                n01 -= x0 * q0 + x1 * q1 + x2 * q2
                n11 -= z0 * q0 + z1 * q1 + z2 * q2
            held0 = (t0 <= LN_MIN and s0 < 0.0) or (t0 >= LN_MAX and s0 > 0.0) or not j00 > 0.0
            held1 = (t1 <= LN_MIN and s1 < 0.0) or (t1 >= LN_MAX and s1 > 0.0) or not j11 > 0.0
            if held0:
                s0 = j00 = n00 = 0.0
            if held1:
                s1 = j11 = n11 = 0.0
            if held0 or held1:
                j01 = n01 = 0.0
            if s0 == 0.0 and s1 == 0.0:
                return rss, CONVERGED
            whole = (
                (held0 or n00 > 0.0)
                and (held1 or n11 > 0.0)
                and (held0 or held1 or n00 * n11 > n01 * n01)
            )
            if whole:
                j00, j01, j11 = n00, n01, n11
                damp = min(damp, 1e-9)
            else:
                damp = max(damp, 1e-3)
            before = rss
            done += 1
        else:
            damp = max(8.0 * damp, 1e-3)
            if small or damp >= 1e12:
                n0, n1, back = t0, t1, True
                continue
        a, b = j00 * (1.0 + damp), j11 * (1.0 + damp)
        det = a * b - j01 * j01
        if a > 0.0 and b > 0.0 and det > 0.0:
            d0, d1 = (s0 * b - s1 * j01) / det, (s1 * a - s0 * j01) / det
        else:
            d0 = s0 / a if a > 0.0 else 0.0
            d1 = s1 / b if b > 0.0 else 0.0
        n0 = min(max(t0 + min(max(d0, -1.0), 1.0), LN_MIN), LN_MAX)
        n1 = min(max(t1 + min(max(d1, -1.0), 1.0), LN_MIN), LN_MAX)
        small = d0 * s0 + d1 * s1 <= (_FALL if whole else _FALL_PLAIN) * before
