"""The linear part of a voxel: at most two exponentials and blood, solved in their box.

Amplitudes are not negative and the blood volume lies in 0 to its bound. The normal
equations are solved on the face of the box where the optimum lies; the residual is formed
from the columns, not from the normal equations.
"""

from __future__ import annotations

from numba import njit

from ekbom.measures.pet._varpro import VB_MAX
from ekbom.measures.pet._voxel_table import FAST

_DEPENDENT = 1e-11


@njit(
    cache=True, error_model="numpy", fastmath=FAST, no_cpython_wrapper=True, no_cfunc_wrapper=True
)
def factor3(g00, g01, g02, g11, g12, g22, u0, u1, u2):  # type: ignore[no-untyped-def]
    """Factor the normal equations over the columns in use, without roots.

    Returns whether they are independent, and for :func:`solve3` the three inverse pivots and
    the multipliers; what is not in use is 0 there, and so in every solution.
    """
    i0 = 1.0 / g00 if u0 else 0.0
    l10, l20 = g01 * i0, g02 * i0
    left1 = g11 - l10 * g01
    i1 = 1.0 / left1 if u1 else 0.0
    m = g12 - l20 * g01
    l21 = m * i1
    left2 = g22 - l20 * g02 - l21 * m
    i2 = 1.0 / left2 if u2 else 0.0
    good = (
        (g00 > 0.0 or not u0)
        and (left1 > _DEPENDENT * g11 or not u1)
        and (left2 > _DEPENDENT * g22 or not u2)
    )
    return good, (i0, i1, i2, l10, l20, l21)


@njit(
    cache=True, error_model="numpy", fastmath=FAST, no_cpython_wrapper=True, no_cfunc_wrapper=True
)
def solve3(factor, h0, h1, h2):  # type: ignore[no-untyped-def]
    """Return the solution of the factored normal equations for a right side."""
    i0, i1, i2, l10, l20, l21 = factor
    z1 = h1 - l10 * h0
    x2 = (h2 - l20 * h0 - l21 * z1) * i2
    x1 = z1 * i1 - l21 * x2
    return h0 * i0 - l10 * x1 - l20 * x2, x1, x2


@njit(
    cache=True, error_model="numpy", fastmath=FAST, no_cpython_wrapper=True, no_cfunc_wrapper=True
)
def linear(A, y, n_exp, vb_free, G, face, coef, r):  # type: ignore[no-untyped-def]
    """Solve the linear part.

    Parameters
    ----------
    A : (3, F) array
        Two exponentials and blood, weighted.
    y : (F,) array
    n_exp : int
    vb_free : bool
    G : (3, 3) array
        Filled in its upper half: products of the columns.
    face : (3,) bool array
        Filled: columns that are free at the optimum.
    coef : (3,) array
        Filled.
    r : (F,) array
        Filled: residual.

    Returns
    -------
    float
        Residual sum of squares.
    """
    F = y.size
    g00 = g01 = g02 = g11 = g12 = g22 = h0 = h1 = hq = 0.0
    for f in range(F):
        a0, a1, a2, v = A[0, f], A[1, f], A[2, f], y[f]
        g00 += a0 * a0
        g01 += a0 * a1
        g02 += a0 * a2
        g11 += a1 * a1
        g12 += a1 * a2
        g22 += a2 * a2
        h0 += a0 * v
        h1 += a1 * v
        hq += a2 * v
    G[0, 0], G[0, 1], G[0, 2], G[1, 1], G[1, 2], G[2, 2] = g00, g01, g02, g11, g12, g22
    two = n_exp == 2
    blood = vb_free and g22 > 0.0
    top = -1.0
    coef[0] = coef[1] = coef[2] = 0.0
    face[0] = face[1] = face[2] = False
    # everything free first: if that lies inside the box it is the optimum
    for turn in range(13):
        u0, u1, u2, held = True, two, blood, 0.0
        if turn > 0:
            code = turn - 1
            state = code >> 2
            u0, u1, u2 = code & 1 == 1, code & 2 == 2, state == 1
            held = VB_MAX if state == 2 else 0.0
            if (u1 and not two) or (state > 0 and not blood):
                continue
        good, factor = factor3(g00, g01, g02, g11, g12, g22, u0, u1, u2)
        if not good:
            continue
        r0, r1, r2 = h0 - held * g02, h1 - held * g12, hq - held * g22
        x0, x1, x2 = solve3(factor, r0, r1, r2)
        if (
            (u0 and not x0 > 0.0)
            or (u1 and not x1 > 0.0)
            or (u2 and not (x2 > 0.0 and x2 <= VB_MAX))
        ):
            continue
        fall = x0 * r0 + x1 * r1 + x2 * r2 + held * (2.0 * hq - held * g22)
        if fall > top or turn == 0:
            top = fall
            coef[0], coef[1], coef[2] = x0, x1, x2 + held
            face[0], face[1], face[2] = u0, u1, u2
        if turn == 0:
            break
    c0, c1, c2 = coef[0], coef[1], coef[2]
    rss = 0.0
    for f in range(F):
        r[f] = y[f] - c0 * A[0, f] - c1 * A[1, f] - c2 * A[2, f]
        rss += r[f] * r[f]
    return rss
