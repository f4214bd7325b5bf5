"""Kernel of the compartment models in voxels: no convolution, no allocation a step.

The same problem as :mod:`ekbom.measures.pet._varpro`: sum of one or two exponentials
and blood, amplitudes not negative, blood volume in its box. Columns come from a
table, starts from the valleys of a coarse one.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ekbom.measures.pet._covariance import covariance, room
from ekbom.measures.pet._varpro import AT_LIMIT, CONVERGED, LN_MAX, LN_MIN
from ekbom.measures.pet._voxel_polish import polish
from ekbom.measures.pet._voxel_starts import best_start
from ekbom.measures.pet._voxel_table import look_up
from ekbom.measures.pet._voxel_valleys import beside, products

_STEPS = 60
# Rates nearer than this, in ln, are one.
_ONE_RATE = 1e-3
# How often the other valleys are looked for, and how low one must seem to be looked into.
_LOOKS, _WORTH = 4, 1.3
# Steps after which it must be this near the best so far to go on; what counts as lower.
_GLANCE, _HOPE, _BETTER = 4, 1.05, 1e-9
# Rates of one valley seen from two places differ by less.
_CLOSE = 0.3


@njit(cache=True, error_model="numpy")
def scratch(blood):  # type: ignore[no-untyped-def]
    """Return columns, their slopes and bends, products, and what :func:`linear` fills."""
    F = blood.size
    A = np.zeros((3, F))
    A[2] = blood
    return (
        A, np.zeros((2, F)), np.zeros((2, F)), np.zeros((3, 3)), np.zeros(3, np.bool_),
        np.zeros(3), np.empty(F),
    )  # fmt: skip


@njit(cache=True, error_model="numpy")
def _search(  # type: ignore[no-untyped-def]
    lt, alone, y, n_exp, vb_free, first, step, table, slope, fine, work, base, with_y, score, best
):
    """Polish a start, then every other valley in sight of the best one.

    Fills best with ln rates, amplitudes and blood. Returns rss and status.
    """
    fine_ln, turned, tried = fine
    K = fine_ln.size
    q, coef = work[0][2], work[5]
    least, state, one = 0.0, CONVERGED, alone
    for part in range(2):
        found, how = polish(
            lt, n_exp if part == 0 else 1, y, vb_free, first, step, table, slope, work,
            _STEPS if part == 0 else _GLANCE,
        )  # fmt: skip
        if part == 0:
            least, state = found, how
            best[0], best[1], best[2], best[3], best[4] = lt[0], lt[1], coef[0], coef[1], coef[2]
            if n_exp == 1:
                best[3] = 0.0
                return least, state
            lt[0] = alone
            work[0][1, :] = 0.0
        else:
            one = lt[0]
    near = fine_ln[1] - fine_ln[0]
    products(y, turned, with_y)
    for look in range(_LOOKS):
        moved = False
        for side in range(3):
            # beside one rate alone, the first time; then beside either of the best two
            if side == 0:
                if look > 0:
                    continue
                t = one
            elif not best[1 + side] > 0.0 or moved:
                continue
            else:
                t = best[side - 1]
            beside(t, y, q, vb_free, first, step, table, slope, tried, with_y, base, score)
            two = best[2] > 0.0 and best[3] > 0.0 and abs(best[0] - best[1]) >= _ONE_RATE
            for k in range(K):
                s = score[k]
                if not s < _WORTH * least or (
                    (k > 0 and score[k - 1] < s) or (k < K - 1 and score[k + 1] <= s)
                ):
                    continue
                if two and (
                    (abs(fine_ln[k] - best[0]) <= near and abs(t - best[1]) < _CLOSE)
                    or (abs(fine_ln[k] - best[1]) <= near and abs(t - best[0]) < _CLOSE)
                ):
                    # the valley of the best
                    continue
                lt[0], lt[1] = t, fine_ln[k]
                found, how = least, AT_LIMIT
                for rounds in (_GLANCE, _STEPS):
                    if how != CONVERGED and found < _HOPE * least:
                        found, how = polish(
                            lt, 2, y, vb_free, first, step, table, slope, work, rounds
                        )
                if found < least * (1.0 - _BETTER):
                    least, state, moved = found, how, True
                    best[0], best[1] = lt[0], lt[1]
                    best[2], best[3], best[4] = coef[0], coef[1], coef[2]
        if not moved:
            break
    return least, state


@njit(cache=True, error_model="numpy", nogil=True)
def fit_rows(  # type: ignore[no-untyped-def]
    data, n_exp, vb_free, held, blood, first, step, table, slope, coarse, fine, want_se, theta, phi,
    volume, rss, cov, status,
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
    coarse : tuple
        The table of starts: ln rates (S,), and as of
        :func:`ekbom.measures.pet._voxel_starts.best_start` its columns (F, S), their products and
        those with blood.
    fine : tuple
        The table of further valleys: ln rates (T,), columns (F, T), and what
        :func:`ekbom.measures.pet._voxel_valleys.beside` wants of them.
    want_se : bool
    theta, phi : (N, 2) arrays
    volume, rss : (N,) arrays
    cov : (N, 5, 5) array
        Filled when standard errors are wanted.
    status : (N,) int array
        As of :mod:`ekbom.measures.pet._varpro`; 3 singular.
    """
    N, F = data.shape
    coarse_ln, turned, grams, cross = coarse
    S = coarse_ln.size
    work = scratch(blood)
    A, D, E, coef = work[0], work[1], work[2], work[5]
    lt, best = np.zeros(2), np.zeros(5)
    J, active, spare = np.zeros((5, F)), np.zeros(5, np.bool_), room()
    h, hp, row = np.empty(S), np.empty(S), np.empty(S)
    base, with_y, score = np.empty((3, F)), np.empty(fine[0].size), np.empty(fine[0].size)
    used = 0
    for f in range(F):
        nothing = True
        for k in range(0, table.shape[0], table.shape[0] // 4):
            nothing = nothing and table[k, f] == 0.0
        used += not nothing
    p = 2 * n_exp + (1 if vb_free else 0)
    for n in range(N):
        y = data[n]
        i, j, one = best_start(y, turned, grams, blood, cross, n_exp == 2, vb_free, h, hp, row)
        # where no rate has a part any start is as good
        lt[0] = coarse_ln[i] if i >= 0 else 0.5 * (LN_MIN + LN_MAX)
        lt[1] = coarse_ln[j] if j >= 0 else (lt[0] - 1.0 if lt[0] > LN_MIN + 1.0 else lt[0] + 1.0)
        alone = coarse_ln[one]
        least, state = _search(
            lt,
            alone,
            y,
            n_exp,
            vb_free,
            first,
            step,
            table,
            slope,
            fine,
            work,
            base,
            with_y,
            score,
            best,
        )
        lt[0], lt[1] = best[0], best[1]
        b0, b1, vB = float(best[2]), float(best[3]), float(best[4])
        if n_exp == 2:
            if b0 > 0.0 and b1 > 0.0 and abs(lt[0] - lt[1]) < _ONE_RATE:
                # two rates that are one are a single tissue
                lt[0] = (b0 * lt[0] + b1 * lt[1]) / (b0 + b1)
                A[1, :] = 0.0
                least, state = polish(lt, 1, y, vb_free, first, step, table, slope, work, _STEPS)
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
            look_up(lt[e], first, step, table, slope, A[e], D[e], E[e])
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
            good = covariance(J, active, least / (used - p), cov[n], spare)
            if (dropped or not good) and state == CONVERGED:
                status[n] = 3
        if n_exp == 1:
            A[1, :] = 0.0
