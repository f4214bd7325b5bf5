"""Kernel of the compartment models in voxels: no convolution, no allocation a step.

The same problem as :mod:`ekbom.measures.pet._varpro`: sum of one or two exponentials
and blood, amplitudes not negative, blood volume in its box. Columns come from a
table on an even grid of ln theta by cubics through values and slopes, and the linear
part from the normal equations of at most three columns, solved on the face of the
box where its optimum lies. The residual is formed from the columns, not from the
normal equations.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ekbom.measures.pet._scan import SLOW, best_row, starts
from ekbom.measures.pet._varpro import AT_LIMIT, CONVERGED, LN_MAX, LN_MIN, STUCK, VB_MAX
from ekbom.measures.pet.compartment import covariance

_STEPS = 60
# A predicted fall of the residual sum below this share of it is the end.
_FALL = 1e-10
_EXACT = 1e-24
_DEPENDENT = 1e-11
_ONE_RATE = 1e-3
# Rounds of Gauss-Newton before second derivatives, and the difference they are taken over.
_SECOND_ORDER = 5
_DELTA = 1e-4
_TRIES = 4
# A start is tried when its residual sum, on the coarse table, is below this times the best so far.
_WORTH = 2.0
# Rounds after which a further start must be this near the best so far to go on.
_GLANCE, _HOPE = 4, 1.05


@njit(cache=True, error_model="numpy", inline="always")
def _look_up(lt, first, step, table, slope, b, d):  # type: ignore[no-untyped-def]
    """Fill b and d = db/d ln theta between rows of the table."""
    place = (lt - first) / step
    i = min(max(int(place), 0), table.shape[0] - 2)
    u = place - i
    v = 1.0 - u
    h0, h1 = v * v * (1.0 + 2.0 * u), u * u * (1.0 + 2.0 * v)
    g0, g1 = u * v * v * step, -u * u * v * step
    e0 = -6.0 * u * v / step
    s0, s1 = v * (v - 2.0 * u), u * (u - 2.0 * v)
    for f in range(b.size):
        b0, b1, d0, d1 = table[i, f], table[i + 1, f], slope[i, f], slope[i + 1, f]
        b[f] = h0 * b0 + h1 * b1 + g0 * d0 + g1 * d1
        d[f] = e0 * (b0 - b1) + s0 * d0 + s1 * d1


@njit(cache=True, error_model="numpy", inline="always")
def _solve3(G, h, use, x):  # type: ignore[no-untyped-def]
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
def _linear(A, y, n_exp, vb_free, G, h, x, h2, use, best_use, best, r):  # type: ignore[no-untyped-def]
    """Solve the linear part in its box; fills best (3,), best_use (3,) and r. Returns rss."""
    F = y.size
    g00 = g01 = g02 = g11 = g12 = g22 = h0 = h1 = hq = yy = 0.0
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
        yy += v * v
    G[0, 0], G[0, 1], G[0, 2], G[1, 1], G[1, 2], G[2, 2] = g00, g01, g02, g11, g12, g22
    h[0], h[1], h[2] = h0, h1, hq
    two = n_exp == 2
    blood = vb_free and g22 > 0.0
    use[0], use[1], use[2] = True, two, blood
    if (
        _solve3(G, h, use, x)
        and x[0] > 0.0
        and (x[1] > 0.0 or not two)
        and ((x[2] > 0.0 and x[2] <= VB_MAX) or not blood)
    ):
        best[0], best[1], best[2] = x[0], x[1], x[2]
        best_use[0], best_use[1], best_use[2] = True, two, blood
    else:
        top = -1.0
        best[0] = best[1] = best[2] = 0.0
        best_use[0] = best_use[1] = best_use[2] = False
        for code in range(12):
            use[0] = code & 1 == 1
            use[1] = code & 2 == 2 and two
            state = code >> 2
            use[2] = state == 1
            if (code & 2 == 2 and not two) or (state > 0 and not blood):
                continue
            held = VB_MAX if state == 2 else 0.0
            h2[0], h2[1], h2[2] = h0 - held * g02, h1 - held * g12, hq - held * g22
            if not _solve3(G, h2, use, x):
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
                best[0], best[1], best[2] = x[0], x[1], x[2] + held
                best_use[0], best_use[1], best_use[2] = use[0], use[1], use[2]
    rss = 0.0
    for f in range(F):
        r[f] = y[f] - best[0] * A[0, f] - best[1] * A[1, f] - best[2] * A[2, f]
        rss += r[f] * r[f]
    return rss


@njit(cache=True, error_model="numpy", inline="always")
def _gradient(  # type: ignore[no-untyped-def]
    t0, t1, y, vb_free, first, step, table, slope, A, D, G, h, x, h2, use, face, coef, r
):
    """Minus half the gradient of the residual sum in both ln rates; exact on a face."""
    _look_up(t0, first, step, table, slope, A[0], D[0])
    _look_up(t1, first, step, table, slope, A[1], D[1])
    _linear(A, y, 2, vb_free, G, h, x, h2, use, face, coef, r)
    s0 = s1 = 0.0
    for f in range(y.size):
        s0 += D[0, f] * r[f]
        s1 += D[1, f] * r[f]
    return coef[0] * s0, coef[1] * s1


@njit(cache=True, error_model="numpy")
def polish(  # type: ignore[no-untyped-def]
    lt, n_exp, y, vb_free, first, step, table, slope, A, D, G, h, x, h2, use, face, coef, r, rounds
):
    """Levenberg-Marquardt on the ln rates from a start, bounds kept. Returns rss and status."""
    F = y.size
    for e in range(n_exp):
        _look_up(lt[e], first, step, table, slope, A[e], D[e])
    rss = _linear(A, y, n_exp, vb_free, G, h, x, h2, use, face, coef, r)
    damp = 1e-3
    yy = 0.0
    for f in range(F):
        yy += y[f] * y[f]
    t0, t1 = lt[0], lt[1]
    for round_ in range(rounds):
        if rss <= _EXACT * yy:
            lt[0], lt[1] = t0, t1
            return rss, CONVERGED
        # slopes of the residual and the curvature of its projected columns
        c0, c1 = coef[0], coef[1] if n_exp == 2 else 0.0
        j00 = j01 = j11 = s0 = s1 = 0.0
        p0 = p1 = p2 = q0 = q1 = q2 = 0.0
        for f in range(F):
            u = c0 * D[0, f]
            j00 += u * u
            s0 += u * r[f]
            p0 += u * A[0, f]
            p1 += u * A[1, f]
            p2 += u * A[2, f]
            if n_exp == 2:
                v = c1 * D[1, f]
                j01 += u * v
                j11 += v * v
                s1 += v * r[f]
                q0 += v * A[0, f]
                q1 += v * A[1, f]
                q2 += v * A[2, f]
        h[0], h[1], h[2] = p0, p1, p2
        if _solve3(G, h, face, x):
            full00, full11 = j00, j11
            j00 -= x[0] * p0 + x[1] * p1 + x[2] * p2
            j01 -= x[0] * q0 + x[1] * q1 + x[2] * q2
            h[0], h[1], h[2] = q0, q1, q2
            _solve3(G, h, face, x)
            j11 -= x[0] * q0 + x[1] * q1 + x[2] * q2
            # rounding must not make the curvature negative
            j00 = max(j00, 1e-12 * full00)
            j11 = max(j11, 1e-12 * full11)
        if (t0 <= LN_MIN and s0 < 0.0) or (t0 >= LN_MAX and s0 > 0.0) or not j00 > 0.0:
            s0 = j01 = 0.0
            j00 = 0.0
        if (t1 <= LN_MIN and s1 < 0.0) or (t1 >= LN_MAX and s1 > 0.0) or not j11 > 0.0:
            s1 = j01 = 0.0
            j11 = 0.0
        if s0 == 0.0 and s1 == 0.0:
            lt[0], lt[1] = t0, t1
            return rss, CONVERGED
        before = rss
        moved = False
        small = False
        if round_ >= _SECOND_ORDER and n_exp == 2 and j00 > 0.0 and j11 > 0.0:
            # noise bends what is left: the whole second derivative, by differences
            a0, a1 = _gradient(
                t0 + _DELTA, t1, y, vb_free, first, step, table, slope, A, D, G, h, x, h2, use,
                face, coef, r,
            )  # fmt: skip
            b0, b1 = _gradient(
                t0, t1 + _DELTA, y, vb_free, first, step, table, slope, A, D, G, h, x, h2, use,
                face, coef, r,
            )  # fmt: skip
            f00, f11 = (s0 - a0) / _DELTA, (s1 - b1) / _DELTA
            f01 = 0.5 * ((s1 - a1) + (s0 - b0)) / _DELTA
            if f00 > 0.0 and f11 > 0.0 and f00 * f11 > f01 * f01:
                j00, j01, j11 = f00, f01, f11
                damp = min(damp, 1e-6)
        while damp < 1e12:
            a, b = j00 * (1.0 + damp), j11 * (1.0 + damp)
            det = a * b - j01 * j01
            if a > 0.0 and b > 0.0 and det > 0.0:
                d0, d1 = (s0 * b - s1 * j01) / det, (s1 * a - s0 * j01) / det
            else:
                d0 = s0 / a if a > 0.0 else 0.0
                d1 = s1 / b if b > 0.0 else 0.0
            n0 = min(max(t0 + min(max(d0, -1.0), 1.0), LN_MIN), LN_MAX)
            n1 = min(max(t1 + min(max(d1, -1.0), 1.0), LN_MIN), LN_MAX)
            small = (d0 * s0 + d1 * s1) <= _FALL * before
            _look_up(n0, first, step, table, slope, A[0], D[0])
            if n_exp == 2:
                _look_up(n1, first, step, table, slope, A[1], D[1])
            rss = _linear(A, y, n_exp, vb_free, G, h, x, h2, use, face, coef, r)
            if rss < before:
                t0, t1 = n0, n1
                moved = True
                break
            if small:
                break
            damp *= 8.0
        if not moved:
            for e in range(n_exp):
                _look_up(t0 if e == 0 else t1, first, step, table, slope, A[e], D[e])
            rss = _linear(A, y, n_exp, vb_free, G, h, x, h2, use, face, coef, r)
            lt[0], lt[1] = t0, t1
            return rss, CONVERGED if small else STUCK
        damp = max(damp / 8.0, 1e-12)
        if small and before - rss <= 1e-9 * before:
            lt[0], lt[1] = t0, t1
            return rss, CONVERGED
    lt[0], lt[1] = t0, t1
    return rss, AT_LIMIT


@njit(cache=True, error_model="numpy", nogil=True)
def fit_rows(  # type: ignore[no-untyped-def]
    data, n_exp, vb_free, held, blood, first, step, table, slope,
    coarse_ln, coarse, gram, apart, cross, group, want_se, theta, phi, volume, rss, cov, status,
):  # fmt: skip
    """Fit rows of data.

    Parameters
    ----------
    data : (N, F) array
        Weighted curves, held blood taken off.
    n_exp : int
        1 or 2.
    vb_free : bool
    held : float
        Blood volume when it is not free.
    blood : (F,) array
        Weighted whole blood.
    first, step : float
        ln rate of the first row of the table, and between rows.
    table, slope : (K, F) arrays
        Weighted basis, and its derivative in ln theta.
    coarse_ln, coarse, gram, apart, cross
        The table of starts, as of :func:`ekbom.measures.pet._scan.scan`.
    group : (S,) int array
        Group of each of its rows.
    want_se : bool
    theta, phi : (N, 2) arrays
    volume, rss : (N,) arrays
    cov : (N, 5, 5) array
        Filled when standard errors are wanted.
    status : (N,) int array
        As of :mod:`ekbom.measures.pet._varpro`; 3 singular.
    """
    N, F = data.shape
    A, D = np.zeros((3, F)), np.zeros((2, F))
    G, h, x, h2 = np.zeros((3, 3)), np.zeros(3), np.zeros(3), np.zeros(3)
    use, face = np.zeros(3, np.bool_), np.zeros(3, np.bool_)
    coef, r, lt = np.zeros(3), np.empty(F), np.zeros(2)
    J, active = np.zeros((5, F)), np.zeros(5, np.bool_)
    dots, across = np.empty(coarse_ln.size), np.empty(coarse_ln.size)
    groups = group.max() + 2
    slow = np.searchsorted(coarse_ln, SLOW)
    where, score = np.zeros((groups, 2), np.int64), np.zeros(groups)
    used = 0
    for f in range(F):
        A[2, f] = blood[f]
        nothing = True
        for k in range(0, table.shape[0], table.shape[0] // 4):
            nothing = nothing and table[k, f] == 0.0
        used += not nothing
    p = 2 * n_exp + (1 if vb_free else 0)
    for n in range(N):
        y = data[n]
        starts(
            coarse, gram, apart, blood, cross, y, n_exp == 2, vb_free, group, slow, dots, across,
            where,
            score,
        )  # fmt: skip
        least = np.inf
        state = STUCK
        vB = b0 = b1 = l0 = l1 = 0.0
        for _ in range(score.size):
            a = np.argmin(score)
            if not score[a] < _WORTH * least:
                break
            score[a] = np.inf
            lt[0] = coarse_ln[where[a, 0]]
            lt[1] = coarse_ln[where[a, 1]] if where[a, 1] >= 0 else lt[0] - 1.0
            if lt[1] < LN_MIN:
                lt[1] = lt[0] + 1.0
            if least < np.inf:
                found, how = polish(
                    lt, n_exp, y, vb_free, first, step, table, slope, A, D, G, h, x, h2, use, face,
                    coef, r, _GLANCE,
                )  # fmt: skip
                if found > _HOPE * least:
                    continue
            found, how = polish(
                lt, n_exp, y, vb_free, first, step, table, slope, A, D, G, h, x, h2, use, face,
                coef, r, _STEPS,
            )  # fmt: skip
            for _ in range(_TRIES if n_exp == 2 else 0):
                if coef[0] > 0.0 and coef[1] > 0.0:
                    break
                # an amplitude of zero has no slope to follow: which rate would take some?
                k = best_row(table, r)
                if k < 0:
                    break
                lt[0 if coef[0] <= 0.0 else 1] = first + k * step
                found, how = polish(
                    lt, n_exp, y, vb_free, first, step, table, slope, A, D, G, h, x, h2, use,
                    face, coef, r, _STEPS,
                )  # fmt: skip
            if found < least:
                least, state, vB, l0, l1 = found, how, coef[2], lt[0], lt[1]
                b0, b1 = coef[0], coef[1] if n_exp == 2 else 0.0
        lt[0], lt[1] = l0, l1
        if n_exp == 2:
            if b0 > 0.0 and b1 > 0.0 and abs(lt[0] - lt[1]) < _ONE_RATE:
                # two rates that are one are a single tissue
                lt[0] = (b0 * lt[0] + b1 * lt[1]) / (b0 + b1)
                for f in range(F):
                    A[1, f] = 0.0
                least, state = polish(
                    lt, 1, y, vb_free, first, step, table, slope, A, D, G, h, x, h2, use, face,
                    coef, r, _STEPS,
                )  # fmt: skip
                b0, b1, vB = coef[0], 0.0, coef[2]
            if b0 <= 0.0 or (lt[1] > lt[0] and b1 > 0.0):
                lt[0], lt[1] = lt[1], lt[0]
                b0, b1 = b1, b0
        if not vb_free:
            vB = held
        volume[n], rss[n], status[n] = vB, least, state
        for e in range(n_exp):
            theta[n, e] = np.exp(lt[e])
            phi[n, e] = (b0 if e == 0 else b1) / (1.0 - vB)
        if not want_se:
            continue
        dropped = False
        for e in range(n_exp):
            b = b0 if e == 0 else b1
            _look_up(lt[e], first, step, table, slope, A[e], D[e])
            for f in range(F):
                J[e, f] = b * D[e, f] / theta[n, e]
                J[2 + e, f] = (1.0 - vB) * A[e, f]
            active[e] = active[2 + e] = b > 0.0
            dropped = dropped or not b > 0.0
        for f in range(F):
            J[4, f] = blood[f] - phi[n, 0] * A[0, f]
            if n_exp == 2:
                J[4, f] -= phi[n, 1] * A[1, f]
        active[4] = vb_free
        if used > p:
            good = covariance(J, active, least / (used - p), cov[n])
            if (dropped or not good) and state == CONVERGED:
                status[n] = 3
        if n_exp == 1:
            for f in range(F):
                A[1, f] = 0.0
