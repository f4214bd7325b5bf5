"""The linear part of a voxel: at most two exponentials and blood, solved in their box.

Amplitudes are not negative and the blood volume lies in 0 to its bound. The normal
equations are solved on the face of the box where the optimum lies; the residual is formed
from the columns, not from the normal equations.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ekbom.measures.pet._varpro import VB_MAX

_DEPENDENT = 1e-11


@njit(cache=True, error_model="numpy")
def solve3(G, h, use, x):  # type: ignore[no-untyped-def]
    """Solve the normal equations over the columns in use by Cholesky; False when dependent."""
    L00 = L11 = L22 = 1.0
    L10 = L20 = L21 = 0.0
    z0 = z1 = z2 = 0.0
    if use[0]:
        L00 = np.sqrt(G[0, 0])
        z0 = h[0] / L00
    if use[1]:
        L10 = G[0, 1] / L00 if use[0] else 0.0
        left = G[1, 1] - L10 * L10
        if not left > _DEPENDENT * G[1, 1]:
            return False
        L11 = np.sqrt(left)
        z1 = (h[1] - L10 * z0) / L11
    if use[2]:
        L20 = G[0, 2] / L00 if use[0] else 0.0
        L21 = (G[1, 2] - L10 * L20) / L11 if use[1] else 0.0
        left = G[2, 2] - L20 * L20 - L21 * L21
        if not left > _DEPENDENT * G[2, 2]:
            return False
        L22 = np.sqrt(left)
        z2 = (h[2] - L20 * z0 - L21 * z1) / L22
    x[2] = z2 / L22 if use[2] else 0.0
    x[1] = (z1 - L21 * x[2]) / L11 if use[1] else 0.0
    x[0] = (z0 - L10 * x[1] - L20 * x[2]) / L00 if use[0] else 0.0
    return True


@njit(cache=True, error_model="numpy")
def linear(A, y, n_exp, vb_free, G, h, x, h2, use, face, coef, r):  # type: ignore[no-untyped-def]
    """Solve the linear part.

    Parameters
    ----------
    A : (3, F) array
        Two exponentials and blood, weighted.
    y : (F,) array
    n_exp : int
    vb_free : bool
    G, h, x, h2, use
        Scratch: (3, 3), and (3,) each. G is left with the products of the columns.
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
    h[0], h[1], h[2] = h0, h1, hq
    two = n_exp == 2
    blood = vb_free and g22 > 0.0
    use[0], use[1], use[2] = True, two, blood
    if (
        solve3(G, h, use, x)
        and x[0] > 0.0
        and (x[1] > 0.0 or not two)
        and ((x[2] > 0.0 and x[2] <= VB_MAX) or not blood)
    ):
        coef[0], coef[1], coef[2] = x[0], x[1], x[2]
        face[0], face[1], face[2] = True, two, blood
    else:
        top = -1.0
        coef[0] = coef[1] = coef[2] = 0.0
        face[0] = face[1] = face[2] = False
        for code in range(12):
            use[0] = code & 1 == 1
            use[1] = code & 2 == 2 and two
            state = code >> 2
            use[2] = state == 1
            if (code & 2 == 2 and not two) or (state > 0 and not blood):
                continue
            held = VB_MAX if state == 2 else 0.0
            h2[0], h2[1], h2[2] = h0 - held * g02, h1 - held * g12, hq - held * g22
            if not solve3(G, h2, use, x):
                continue
            if (
                (use[0] and not x[0] > 0.0)
                or (use[1] and not x[1] > 0.0)
                or (use[2] and not (x[2] > 0.0 and x[2] <= VB_MAX))
            ):
                continue
            fall = x[0] * h2[0] + x[1] * h2[1] + x[2] * h2[2] + held * (2.0 * hq - held * g22)
            if fall > top:
                top = fall
                coef[0], coef[1], coef[2] = x[0], x[1], x[2] + held
                face[0], face[1], face[2] = use[0], use[1], use[2]
    rss = 0.0
    for f in range(F):
        r[f] = y[f] - coef[0] * A[0, f] - coef[1] * A[1, f] - coef[2] * A[2, f]
        rss += r[f] * r[f]
    return rss
