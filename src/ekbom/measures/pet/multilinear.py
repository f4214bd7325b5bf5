"""Multilinear reference-tissue models and the reference Logan plot, on frame means.

    MRTM1   <C_T> = g1 <int C_R> + g2 <int C_T> + g3 <C_R>        k2' = g1/g3
    MRTM2   <C_T> = g1 (<int C_R> + <C_R>/k2') + g2 <int C_T>     BP_ND = -g1/g2 - 1
    Logan   <int C_T> = DVR (<int C_R> + <C_R>/k2') + b <C_T>     BP_ND = DVR - 1

``<.>`` is the mean over a frame as the scanner makes it. Both running integrals
are those of the curves of :mod:`ekbom.measures.pet.lift`, whose frame means are
the data.

References
----------
Ichise M et al. (2003). Linearized reference tissue parametric imaging methods.
J Cereb Blood Flow Metab 23:1096-1112. doi:10.1097/01.WCB.0000085441.37552.CA

Logan J et al. (1996). Distribution volume ratios without blood sampling from
graphical analysis of PET data. J Cereb Blood Flow Metab 16:834-840.
doi:10.1097/00004647-199609000-00008
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: Models, and what :func:`fit_rows` calls them.
CODES = {"mrtm1": 0, "mrtm2": 1, "logan-ref": 2}
#: Columns of the results: values, then standard errors in the same order.
COLUMNS = ("BPND", "R1", "k2", "k2a", "k2prime", "intercept")

_DEPENDENT = 1e-9


@njit(cache=True, error_model="numpy")
def _least_squares(X, m, y, first, root, Q, R, inverse, coef, r):  # type: ignore[no-untyped-def]
    """Weighted least squares on m rows of X from frame ``first``; fills coef, r, (X'WX)^-1.

    Returns the residual sum of squares; NaN when the rows are dependent.
    """
    F = y.size
    for f in range(F):
        r[f] = root[f] * y[f] if f >= first else 0.0
    for j in range(m):
        length = 0.0
        for f in range(F):
            Q[j, f] = root[f] * X[j, f] if f >= first else 0.0
            length += Q[j, f] * Q[j, f]
        for k in range(m):
            R[k, j] = 0.0
        for _ in range(2):  # twice is enough
            for k in range(j):
                dot = 0.0
                for f in range(F):
                    dot += Q[k, f] * Q[j, f]
                R[k, j] += dot
                for f in range(F):
                    Q[j, f] -= dot * Q[k, f]
        left = 0.0
        for f in range(F):
            left += Q[j, f] * Q[j, f]
        if not left > _DEPENDENT * _DEPENDENT * length:
            return np.nan
        R[j, j] = np.sqrt(left)
        dot = 0.0
        for f in range(F):
            Q[j, f] /= R[j, j]
            dot += Q[j, f] * r[f]
        coef[j] = dot
        for f in range(F):
            r[f] -= dot * Q[j, f]
    rss = 0.0
    for f in range(F):
        rss += r[f] * r[f]
    for j in range(m - 1, -1, -1):
        for k in range(j + 1, m):
            coef[j] -= R[j, k] * coef[k]
        coef[j] /= R[j, j]
    # upper triangle of R^-1, then its product with its transpose
    for j in range(m):
        Q[j, 0] = 0.0
    T = np.zeros((3, 3))
    for j in range(m):
        T[j, j] = 1.0 / R[j, j]
        for i in range(j - 1, -1, -1):
            value = 0.0
            for k in range(i + 1, j + 1):
                value -= R[i, k] * T[k, j]
            T[i, j] = value / R[i, i]
    for i in range(m):
        for j in range(m):
            value = 0.0
            for k in range(max(i, j), m):
                value += T[i, k] * T[j, k]
            inverse[i, j] = value
    return rss


@njit(cache=True, error_model="numpy", nogil=True)
def fit_rows(  # type: ignore[no-untyped-def]
    rows, code, data, reference, running_reference, operator, k2p, root, first,
    result, rss, fitted, ratio,
):  # fmt: skip
    """Fit rows of data.

    Parameters
    ----------
    rows : (n,) int array
    code : int
        Of :data:`CODES`.
    data : (N, F) array
        kBq/mL.
    reference, running_reference : (F,) arrays
        Frame means of the reference and of its running integral.
    operator : (F, F) array
        Transposed :meth:`ekbom.measures.pet.lift.Lift.running`.
    k2p : float
        k2' (1/min); infinite leaves its term out.
    root : (F,) array
        Square roots of the weights.
    first : int
        First frame used.
    result : (N, 12) array
        Filled: :data:`COLUMNS`, then their standard errors; NaN where not estimated.
    rss : (N,) array
    fitted, ratio : (N, F) arrays
        Filled from ``first`` on: tissue, and residual over fitted value on the
        regression's own axis; (0, F) for none.
    """
    F = data.shape[1]
    X = np.zeros((3, F))
    Q, R, inverse = np.empty((3, F)), np.zeros((3, 3)), np.zeros((3, 3))
    coef, r, y, running = np.zeros(3), np.empty(F), np.zeros(F), np.empty(F)
    g = np.zeros(3)
    m = 3 if code == 0 else 2
    used = 0
    for f in range(first, F):
        used += root[f] > 0.0
    for row in range(rows.size):
        n = rows[row]
        for k in range(F):
            running[k] = 0.0
        for f in range(F):
            value = data[n, f]
            for k in range(F):
                running[k] += value * operator[f, k]
        usable = True
        for f in range(first, F):
            drive = running_reference[f]
            if code > 0:
                drive += reference[f] / k2p
            if code == 2:
                usable = usable and data[n, f] != 0.0
                X[0, f] = drive / data[n, f]
                X[1, f] = 1.0
                y[f] = running[f] / data[n, f]
            else:
                X[0, f] = drive
                X[1, f] = running[f]
                X[2, f] = reference[f]
                y[f] = data[n, f]
        if not usable:
            continue
        rss[n] = _least_squares(X, m, y, first, root, Q, R, inverse, coef, r)
        if np.isnan(rss[n]):
            continue
        a, b, c = coef[0], coef[1], coef[2]
        s2 = rss[n] / (used - m) if used > m else np.nan
        if code == 2:
            result[n, 0], result[n, 5] = a - 1.0, b
            result[n, 6], result[n, 11] = np.sqrt(s2 * inverse[0, 0]), np.sqrt(s2 * inverse[1, 1])
        else:
            result[n, 0] = -a / b - 1.0
            result[n, 2], result[n, 3] = a, -b
            result[n, 1] = c if code == 0 else a / k2p
            result[n, 8], result[n, 9] = np.sqrt(s2 * inverse[0, 0]), np.sqrt(s2 * inverse[1, 1])
            g[0], g[1] = -1.0 / b, a / (b * b)
            var = 0.0
            for i in range(2):
                for j in range(2):
                    var += g[i] * inverse[i, j] * g[j]
            result[n, 6] = np.sqrt(s2 * var)
            if code == 0:
                result[n, 4] = a / c
                result[n, 7] = np.sqrt(s2 * inverse[2, 2])
                var = inverse[0, 0] / (c * c) + a * a / c**4 * inverse[2, 2]
                result[n, 10] = np.sqrt(s2 * (var - 2.0 * a / c**3 * inverse[0, 2]))
            else:
                result[n, 4] = k2p
                result[n, 7] = result[n, 8] / k2p
        if fitted.shape[0] > 0:
            for f in range(first, F):
                line = a * X[0, f] + b * X[1, f] + (c * X[2, f] if code == 0 else 0.0)
                ratio[n, f] = (y[f] - line) / line
                # Logan solved for the tissue value
                fitted[n, f] = (running[f] - a * X[0, f] * data[n, f]) / b if code == 2 else line
