"""Kernel of the simplified reference tissue models: one rate searched, the rest solved.

SRTM: ``y = R1 q + beta b(theta)`` with ``theta = k2a`` and ``beta = k2 - R1 k2a``;
SRTM2: ``y = R1 (q + (k2' - theta) b(theta))``. ``q`` holds the frame means of the
reference, ``b`` those of its convolution with ``exp(-theta t)``. The best row of a
table brackets the optimum, and the slope of the residual sum along ``ln theta``,
exact because the residual is orthogonal to the solved columns (Golub & Pereyra
1973), is brought to zero inside the bracket.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ekbom.measures.pet._covariance import covariance, room
from ekbom.measures.pet.convolve import frame_means

CONVERGED, STUCK, AT_LOWER, AT_UPPER, NO_DATA = 0, 1, 2, 3, 4
#: Columns of the results: values, then standard errors in the same order.
COLUMNS = ("R1", "k2", "k2a", "BPND", "k2prime")

_STEPS = 80
_LN = 1e-11
# A residual below this share of the data is rounding: it has no slope to follow.
_NOTHING = 1e-24


@njit(cache=True, error_model="numpy")
def _column(lt, exact, ln_first, ln_step, table, slope, grid, root, w, b, d):  # type: ignore[no-untyped-def]
    """Fill b and d = db/dtheta, weighted, by the recursion or by cubics between rows."""
    F = b.size
    theta = np.exp(lt)
    if exact:
        c, steps, step, frame, share, decay = grid
        frame_means(theta, c, steps, step, frame, share, decay, w, b, d)
        for f in range(F):
            b[f] *= root[f]
            d[f] *= root[f]
        return
    place = (lt - ln_first) / ln_step
    i = min(max(int(place), 0), table.shape[0] - 2)
    u = place - i
    v = 1.0 - u
    # cubic Hermite in ln theta and its derivative; slope is d/d ln theta
    h0, h1 = v * v * (1.0 + 2.0 * u), u * u * (1.0 + 2.0 * v)
    g0, g1 = u * v * v * ln_step, -u * u * v * ln_step
    e0 = -6.0 * u * v / ln_step
    s0, s1 = v * (v - 2.0 * u), u * (u - 2.0 * v)
    for f in range(F):
        b0, b1, d0, d1 = table[i, f], table[i + 1, f], slope[i, f], slope[i + 1, f]
        b[f] = h0 * b0 + h1 * b1 + g0 * d0 + g1 * d1
        d[f] = (e0 * (b0 - b1) + s0 * d0 + s1 * d1) / theta


@njit(cache=True, error_model="numpy")
def _solve(lt, y, q, qq, qy, k2p, b, d, out, r):  # type: ignore[no-untyped-def]
    """Solve the linear part; fills out (R1, beta) and r. Returns rss and its slope in ln theta."""
    F = y.size
    theta = np.exp(lt)
    rss = slope = 0.0
    if np.isnan(k2p):
        qb = 0.0
        for f in range(F):
            qb += q[f] * b[f]
        uu = uy = 0.0
        for f in range(F):
            u = b[f] - qb / qq * q[f]
            uu += u * u
            uy += u * y[f]
        beta = uy / uu
        R1 = (qy - beta * qb) / qq
        for f in range(F):
            r[f] = y[f] - R1 * q[f] - beta * b[f]
            rss += r[f] * r[f]
            slope -= 2.0 * r[f] * beta * d[f] * theta
    else:
        gap = k2p - theta
        cc = cy = 0.0
        for f in range(F):
            c = q[f] + gap * b[f]
            cc += c * c
            cy += c * y[f]
        R1 = cy / cc
        beta = R1 * gap
        for f in range(F):
            r[f] = y[f] - R1 * (q[f] + gap * b[f])
            rss += r[f] * r[f]
            slope -= 2.0 * r[f] * R1 * (gap * d[f] - b[f]) * theta
    out[0], out[1] = R1, beta
    return rss, slope


@njit(cache=True, error_model="numpy", nogil=True)
def fit_rows(  # type: ignore[no-untyped-def]
    rows, data, q, k2p, exact, ln_rate, table, slope, unit, grid, root, result, rss, status, fitted,
):  # fmt: skip
    """Fit rows of data.

    Parameters
    ----------
    rows : (n,) int array
    data : (N, F) array
        Weighted curves.
    q : (F,) array
        Weighted reference.
    k2p : float
        k2' of SRTM2; NaN for SRTM.
    exact : bool
        By the recursion, or by cubics between the rows of the table.
    ln_rate : (K,) array
        Evenly spaced.
    table, slope : (K, F) arrays
        Weighted basis and its derivative in ln theta.
    unit : (F, K) array
        The searched column of each row, orthogonal to the other, of length 1.
    grid : tuple
        :attr:`ekbom.measures.pet.convolve.Grid.arrays`.
    root : (F,) array
        Square roots of the weights.
    result : (N, 10) array
        Filled: :data:`COLUMNS`, then their standard errors.
    rss : (N,) array
    status : (N,) int array
    fitted : (N, F) array
        Filled, unweighted by the caller; (0, F) for none.
    """
    K, F = table.shape
    score = np.empty(K)
    b, d, r = np.empty(F), np.empty(F), np.empty(F)
    w = np.empty((grid[1].size, 12))
    out = np.empty(2)
    J = np.empty((3, F))
    cov, scratch = np.empty((3, 3)), room()
    g = np.zeros(3)
    first, step = ln_rate[0], ln_rate[1] - ln_rate[0]
    simple = np.isnan(k2p)
    p = 3 if simple else 2
    use = np.array([True, True, simple])
    used = 0
    qq = 0.0
    for f in range(F):
        qq += q[f] * q[f]
        used += root[f] > 0.0
    for row in range(rows.size):
        n = rows[row]
        y = data[n]
        qy = yy = 0.0
        for k in range(K):
            score[k] = 0.0
        for f in range(F):
            qy += q[f] * y[f]
            yf = y[f]
            yy += yf * yf
            for k in range(K):
                score[k] += yf * unit[f, k]
        best, top = 0, -1.0
        for k in range(K):
            value = score[k] * score[k]
            if value > top:
                best, top = k, value
        lt = ln_rate[best]
        _column(lt, exact, first, step, table, slope, grid, root, w, b, d)
        least, g0 = _solve(lt, y, q, qq, qy, k2p, b, d, out, r)
        state = CONVERGED
        other = best + 1 if g0 < 0.0 else best - 1
        if other < 0:
            state = AT_LOWER
        elif other >= K:
            state = AT_UPPER
        else:
            a, ga = lt, g0
            c = ln_rate[other]
            _column(c, exact, first, step, table, slope, grid, root, w, b, d)
            least, gc = _solve(c, y, q, qq, qy, k2p, b, d, out, r)
            if ga * gc > 0.0:
                state = STUCK
            else:
                # false position with the Illinois rule
                for _ in range(_STEPS):
                    if abs(c - a) <= _LN or ga == gc:
                        break
                    lt = (a * gc - c * ga) / (gc - ga)
                    _column(lt, exact, first, step, table, slope, grid, root, w, b, d)
                    least, gt = _solve(lt, y, q, qq, qy, k2p, b, d, out, r)
                    if gt == 0.0:
                        break
                    if gt * gc < 0.0:
                        moved = abs(lt - c)
                        a, ga = c, gc
                    else:
                        moved = abs(lt - c)
                        ga *= 0.5
                    c, gc = lt, gt
                    if moved <= 1e-9:
                        break
            if state == STUCK:
                if least <= _NOTHING * yy:
                    state = CONVERGED
                lt = ln_rate[best]
                _column(lt, exact, first, step, table, slope, grid, root, w, b, d)
                least, _g = _solve(lt, y, q, qq, qy, k2p, b, d, out, r)
        R1, beta, theta = out[0], out[1], np.exp(lt)
        rss[n] = least
        result[n, 0] = R1
        result[n, 1] = beta + R1 * theta if simple else R1 * k2p
        result[n, 2] = theta
        result[n, 3] = R1 + beta / theta - 1.0
        result[n, 4] = theta + beta / R1 if simple else k2p
        if fitted.shape[0] > 0:
            for f in range(F):
                fitted[n, f] = y[f] - r[f]
        status[n] = state
        if used > p:
            for f in range(F):
                if simple:
                    J[0, f], J[1, f], J[2, f] = q[f], beta * d[f], b[f]
                else:
                    J[0, f] = q[f] + (k2p - theta) * b[f]
                    J[1, f] = R1 * ((k2p - theta) * d[f] - b[f])
                    J[2, f] = 0.0
            if covariance(J, use, least / (used - p), cov, scratch):
                for j in range(5):
                    # order of the Jacobian: R1, theta, beta
                    g[0], g[1], g[2] = 0.0, 0.0, 0.0
                    if j == 0:
                        g[0] = 1.0
                    elif j == 1:
                        g[0] = theta if simple else k2p
                        g[1] = R1 if simple else 0.0
                        g[2] = 1.0
                    elif j == 2:
                        g[1] = 1.0
                    elif j == 3:
                        g[0] = 1.0 if simple else k2p / theta
                        g[1] = -beta / theta**2 if simple else -R1 * k2p / theta**2
                        g[2] = 1.0 / theta
                    elif simple:
                        g[0], g[1], g[2] = -beta / R1**2, 1.0, 1.0 / R1
                    else:
                        continue
                    var = 0.0
                    for i in range(p):
                        for k in range(p):
                            var += g[i] * cov[i, k] * g[k]
                    result[n, 5 + j] = np.sqrt(var)
