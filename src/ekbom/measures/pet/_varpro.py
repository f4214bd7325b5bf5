"""Kernels of the compartment fit: box-constrained linear part, and polish.

A model is ``y = sum_i beta_i b(theta_i) + vB c_WB`` with ``beta >= 0`` and
``0 <= vB <= VB_MAX``; columns and data come multiplied by the square roots of
the weights. Only the rates are searched: the linear part is solved exactly, on
the face of the box where its optimum lies, at every step (variable projection,
Golub & Pereyra 1973, doi:10.1137/0710036; Jacobian of Kaufman 1975,
doi:10.1007/BF01932995). With the residual orthogonal to the free columns the
gradient is exact; only the curvature is approximate.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ekbom.measures.pet.convolve import frame_means

#: Upper bound of a fitted blood volume.
VB_MAX = 0.2
#: Bounds of ln(rate), rate in 1/min.
LN_MIN, LN_MAX = -7.0, 2.1

_MAX_STEPS = 200
# A column that keeps less than this of its length beside the others is no direction of its own.
_DEPENDENT = 1e-10
_GRADIENT = 1e-9
_STEP = 1e-10
_EXACT = 1e-28
# Rounds of Gauss-Newton before second derivatives, and the difference they are taken over.
_SECOND_ORDER = 6
_DELTA = 1e-4

CONVERGED, STUCK, AT_LIMIT = 0, 1, 2


@njit(cache=True, error_model="numpy")
def _face(A, y, m, state, upper, Q, R, order, coef, r):  # type: ignore[no-untyped-def]
    """Least squares with some columns held at a bound (state 1: 0, state 2: upper).

    Fills coef and residual r, and Q with an orthonormal base of the free
    columns. Returns (free columns, whether it exists and is inside the box).
    """
    F = y.size
    for f in range(F):
        r[f] = y[f]
    n = 0
    for j in range(m):
        coef[j] = 0.0
        if state[j] == 2:
            coef[j] = upper[j]
            for f in range(F):
                r[f] -= upper[j] * A[j, f]
        elif state[j] == 0:
            length = 0.0
            for f in range(F):
                Q[n, f] = A[j, f]
                length += A[j, f] * A[j, f]
            for k in range(n):
                R[k, n] = 0.0
            for _ in range(2):  # twice is enough
                for k in range(n):
                    dot = 0.0
                    for f in range(F):
                        dot += Q[k, f] * Q[n, f]
                    R[k, n] += dot
                    for f in range(F):
                        Q[n, f] -= dot * Q[k, f]
            left = 0.0
            for f in range(F):
                left += Q[n, f] * Q[n, f]
            if not left > _DEPENDENT * _DEPENDENT * length:
                return n, False
            R[n, n] = np.sqrt(left)
            for f in range(F):
                Q[n, f] /= R[n, n]
            order[n] = j
            n += 1
    for k in range(n):
        dot = 0.0
        for f in range(F):
            dot += Q[k, f] * r[f]
        for f in range(F):
            r[f] -= dot * Q[k, f]
        R[k, n] = dot
    for k in range(n - 1, -1, -1):
        value = R[k, n]
        for i in range(k + 1, n):
            value -= R[k, i] * coef[order[i]]
        coef[order[k]] = value / R[k, k]
    for k in range(n):
        j = order[k]
        if not (coef[j] > 0.0 and coef[j] <= upper[j]):
            return n, False
    return n, True


@njit(cache=True, error_model="numpy")
def solve_box(A, y, m, upper, Q, R, coef, r, state):  # type: ignore[no-untyped-def]
    """Least squares with ``0 <= coef <= upper``, exact: the best feasible face.

    Parameters
    ----------
    A : (>= m, F) array
        Columns of the problem, as rows.
    y : (F,) array
    m : int
        1 to 3.
    upper : (m,) array
        May be ``inf``.
    Q, R, coef, r, state
        Filled: base of the free columns, scratch, solution, residual, face.

    Returns
    -------
    rss : float
    n : int
        Rows of ``Q`` that hold the base of the free columns.
    """
    order = np.empty(3, np.int64)
    trial = np.zeros(3, np.int64)
    n, inside = _face(A, y, m, trial, upper, Q, R, order, coef, r)
    if not inside:
        best = np.inf
        keep = 0
        for code in range(1, 3**m):
            rest = code
            allowed = True
            for j in range(m):
                trial[j] = rest % 3
                rest //= 3
                if trial[j] == 2 and upper[j] == np.inf:
                    allowed = False
            if not allowed:
                continue
            n, inside = _face(A, y, m, trial, upper, Q, R, order, coef, r)
            if inside:
                rss = 0.0
                for f in range(y.size):
                    rss += r[f] * r[f]
                if rss < best:
                    best = rss
                    keep = code
        for j in range(m):
            trial[j] = keep % 3
            keep //= 3
        n, inside = _face(A, y, m, trial, upper, Q, R, order, coef, r)
    rss = 0.0
    for f in range(y.size):
        rss += r[f] * r[f]
    for j in range(m):
        state[j] = trial[j]
    return rss, n


@njit(cache=True, error_model="numpy")
def evaluate(  # type: ignore[no-untyped-def]
    lt, n_exp, trap, y, q, vb_free, root, grid, rule, w, A, D, Q, R, coef, r, state, upper
):
    """Solve the linear part at ln rates ``lt``; fills A, D (d/d ln theta), Q, coef, r.

    Returns rss and the number of free columns.
    """
    c, steps, step, frame, share, decay = grid
    for e in range(n_exp):
        theta = 0.0 if trap and e == 1 else np.exp(lt[e])
        frame_means(theta, c, steps, step, frame, share, decay, w, A[e], D[e])
        for f in range(y.size):
            A[e, f] *= root[f]
            D[e, f] *= root[f] * theta
        if rule > 0.0:
            A[e, y.size - 1] = rule / theta
            D[e, y.size - 1] = -rule / theta
        upper[e] = np.inf
    m = n_exp
    if vb_free:
        for f in range(y.size):
            A[m, f] = q[f]
        upper[m] = VB_MAX
        m += 1
    return solve_box(A, y, m, upper, Q, R, coef, r, state)


@njit(cache=True, error_model="numpy")
def polish(lt, n_exp, trap, y, q, vb_free, root, grid, rule, coef):  # type: ignore[no-untyped-def]
    """Levenberg-Marquardt on the ln rates from a start, bounds kept.

    Parameters
    ----------
    lt : (2,) array
        ln rates, start and result.
    n_exp : int
        1 or 2 exponentials.
    trap : bool
        Whether the second rate is held at 0.
    y, q, root : (F,) arrays
        Weighted data, weighted whole blood, square roots of the weights.
    vb_free : bool
    grid : tuple
        :attr:`ekbom.measures.pet.convolve.Grid.arrays`.
    rule : float
        When positive, the last entry of ``y`` is no frame but the equation
        ``rule sum_i beta_i / theta_i`` (+ ``q`` vB): a condition on V_T.
    coef : (3,) array
        Filled: beta of each exponential, then vB if free.

    Returns
    -------
    rss : float
    status : int
        0 converged, 1 stuck, 2 too many steps.
    """
    F = y.size
    w = np.empty((grid[1].size, 12))
    A, D = np.empty((3, F)), np.empty((2, F))
    Q, R, J = np.empty((3, F)), np.zeros((3, 4)), np.empty((2, F))
    r, state, upper = np.empty(F), np.zeros(3, np.int64), np.empty(3)
    trial, step = np.empty(2), np.zeros(2)
    bent, held = np.zeros((2, 2)), np.zeros(2, np.bool_)
    free = 1 if trap else n_exp
    yy = 0.0
    for f in range(F):
        yy += y[f] * y[f]
    rss, nq = evaluate(
        lt, n_exp, trap, y, q, vb_free, root, grid, rule, w, A, D, Q, R, coef, r, state, upper
    )
    damp = 1e-3
    status = AT_LIMIT
    for round_ in range(_MAX_STEPS):
        if rss <= _EXACT * yy:
            status = CONVERGED
            break
        # Kaufman's Jacobian of the projected residual, and its normal equations
        g = np.zeros(2)
        H = np.zeros((2, 2))
        steep = 0.0
        for e in range(free):
            for f in range(F):
                J[e, f] = coef[e] * D[e, f]
            for k in range(nq):
                dot = 0.0
                for f in range(F):
                    dot += Q[k, f] * J[e, f]
                for f in range(F):
                    J[e, f] -= dot * Q[k, f]
            length = 0.0
            for f in range(F):
                g[e] += J[e, f] * r[f]
                length += J[e, f] * J[e, f]
            outward = (lt[e] <= LN_MIN and g[e] < 0.0) or (lt[e] >= LN_MAX and g[e] > 0.0)
            held[e] = outward or length <= 0.0
            if held[e]:
                g[e] = 0.0
                for f in range(F):
                    J[e, f] = 0.0
            else:
                steep = max(steep, abs(g[e]) / np.sqrt(length * rss))
        if steep <= _GRADIENT:
            status = CONVERGED
            break
        for a in range(free):
            for b in range(free):
                for f in range(F):
                    H[a, b] += J[a, f] * J[b, f]
        before = rss
        size = 0.0
        moved = False
        if round_ >= _SECOND_ORDER:
            # noise bends what is left, and steps that do not know it creep along a valley: the
            # whole second derivative, by differences of the gradient, which is exact on a face
            for a in range(free):
                trial[0], trial[1] = lt[0], lt[1]
                ahead = _DELTA if lt[a] < 0.5 * (LN_MIN + LN_MAX) else -_DELTA
                trial[a] += ahead
                evaluate(
                    trial, n_exp, trap, y, q, vb_free, root, grid, rule, w, A, D, Q, R, coef, r,
                    state, upper,
                )  # fmt: skip
                for b in range(free):
                    slope = 0.0
                    for f in range(F):
                        slope += coef[b] * D[b, f] * r[f]
                    bent[a, b] = 0.0 if held[a] or held[b] else (g[b] - slope) / ahead
            if free == 1 or held[0] or held[1]:
                good = True
                for a in range(free):
                    good = good and (held[a] or bent[a, a] > 0.0)
            else:
                bent[0, 1] = bent[1, 0] = 0.5 * (bent[0, 1] + bent[1, 0])
                good = bent[0, 0] > 0.0 and bent[0, 0] * bent[1, 1] > bent[0, 1] * bent[0, 1]
            if good:
                H[:] = bent
                damp = min(damp, 1e-6)
        while damp < 1e12:
            h00, h11, h01 = H[0, 0] * (1.0 + damp), H[1, 1] * (1.0 + damp), H[0, 1]
            det = h00 * h11 - h01 * h01
            if h00 > 0.0 and h11 > 0.0 and det > 0.0:
                step[0] = (g[0] * h11 - g[1] * h01) / det
                step[1] = (g[1] * h00 - g[0] * h01) / det
            else:
                step[0] = g[0] / h00 if h00 > 0.0 else 0.0
                step[1] = g[1] / h11 if h11 > 0.0 else 0.0
            size = 0.0
            for e in range(2):
                trial[e] = lt[e]
                if e < free:
                    # a step is a hint, not an order: at most a factor e
                    trial[e] = min(max(lt[e] + min(max(step[e], -1.0), 1.0), LN_MIN), LN_MAX)
                    size = max(size, abs(trial[e] - lt[e]))
            if size <= 1e-14:
                break
            rss, nq = evaluate(
                trial,
                n_exp,
                trap,
                y,
                q,
                vb_free,
                root,
                grid,
                rule,
                w,
                A,
                D,
                Q,
                R,
                coef,
                r,
                state,
                upper,
            )
            if rss < before:
                moved = True
                break
            damp *= 8.0
        if not moved:
            rss, nq = evaluate(
                lt,
                n_exp,
                trap,
                y,
                q,
                vb_free,
                root,
                grid,
                rule,
                w,
                A,
                D,
                Q,
                R,
                coef,
                r,
                state,
                upper,
            )
            # no direction goes down any more: rounding, if the slope is small
            status = CONVERGED if steep < 1e-4 or size <= 1e-12 else STUCK
            break
        lt[0], lt[1] = trial[0], trial[1]
        damp = max(damp / 8.0, 1e-12)
        if size <= _STEP and before - rss <= 1e-14 * before:
            status = CONVERGED
            break
    return rss, status
