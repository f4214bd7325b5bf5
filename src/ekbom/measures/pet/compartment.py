"""One- and two-tissue compartment models with arterial input.

``C_PET = (1 - vB) sum_i phi_i (C_P (x) exp(-theta_i t)) + vB C_WB``. The rates are
found by scanning every pair of a table of 512, so that no start is guessed,
and polishing the best pair with the exact recursion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ekbom.measures.pet._covariance import covariance, room
from ekbom.measures.pet._scan import EDGES, SLOW, best_row, scan, starts
from ekbom.measures.pet._threads import share_rows
from ekbom.measures.pet._varpro import LN_MAX, LN_MIN, polish
from ekbom.measures.pet.convolve import Grid, basis, frame_means

Array = NDArray[np.float64]

#: Compartment models: number of exponentials, and whether the second rate is zero.
MODELS = {"1tcm": (1, False), "2tcm": (2, False), "2tcm-irreversible": (2, True)}
#: Rates in the table that is scanned.
NODES = 512
#: Names of the columns of the covariance.
COLUMNS = ("theta1", "theta2", "phi1", "phi2", "vB")

# ln rates nearer than this are one rate: no scan tells 0.1 % apart.
_ONE_RATE = 1e-3
# A valley is looked into when its best pair is below this times the best so far; how often an
# amplitude that went to zero is tried again.
_WORTH, _TRIES = 1.5, 4


@dataclass(frozen=True, eq=False)
class Exponentials:
    """Fits of N curves as sums of exponentials.

    Attributes
    ----------
    theta, phi : (N, 2) arrays
        Rates (1/min) and amplitudes (mL/cm3/min), faster first; one without
        amplitude is second, and the second is NaN with one exponential.
    vB : (N,) array
    rss : (N,) array
        Weighted residual sum of squares.
    fitted : (N, F) array
        kBq/mL.
    cov : (N, 5, 5) array
        Of :data:`COLUMNS`; NaN where a parameter is not estimated.
    status : (N,) int array
        0 converged, 1 stuck, 2 too many steps, 3 singular Jacobian, 4 no data.
    """

    theta: Array
    phi: Array
    vB: Array
    rss: Array
    fitted: Array
    cov: Array
    status: NDArray[np.int64]


SINGULAR, NO_DATA = 3, 4


def fit_exponentials(
    tacs: Array,
    grid: Grid,
    weights: Array,
    *,
    n_exp: int,
    trap: bool = False,
    vB: float | None = None,
    nodes: int = NODES,
) -> Exponentials:
    """Fit every curve; each is on its own, so order and threads change nothing.

    Parameters
    ----------
    tacs : (N, F) array
        kBq/mL, decay-corrected to injection.
    grid : Grid
    weights : (F,) array
        Of squared residuals; 0 leaves a frame out.
    n_exp : int
        1 or 2.
    trap : bool
        Hold the second rate at zero (irreversible).
    vB : float or None
        Blood volume, or ``None`` to fit it within 0 to 0.2.
    nodes : int
        Rates in the table.

    Returns
    -------
    Exponentials
    """
    root = np.sqrt(weights)
    ln_rate = np.linspace(LN_MIN, LN_MAX, nodes)
    rates = np.exp(ln_rate)
    table = basis(np.concatenate((rates, [0.0])) if trap else rates, grid)[0] * root
    blood = grid.whole_blood_mean * root
    held = 0.0 if vB is None else vB
    # a frame without weight may hold anything, also nothing
    kept = np.where(weights > 0, tacs, 0.0)
    data = (kept - held * grid.whole_blood_mean) * root
    N, F = tacs.shape
    theta, phi = np.full((N, 2), np.nan), np.full((N, 2), np.nan)
    volume, rss = np.full(N, np.nan), np.full(N, np.nan)
    fitted, cov = np.full((N, F), np.nan), np.full((N, 5, 5), np.nan)
    status = np.full(N, NO_DATA, dtype=np.int64)
    usable = np.isfinite(kept).all(axis=1) & (kept > 0).any(axis=1)
    gram, cross = gram_matrix(table), products(table, blood)
    apart = apart_from(gram, cross, blood)
    clean = np.where(np.isfinite(data), data, 0.0)
    group = np.searchsorted(EDGES, ln_rate).astype(np.int64)

    def work(rows: NDArray[np.int64]) -> None:
        _fit_rows(
            rows, clean, ln_rate, table, gram, apart, cross, group, n_exp, trap, vB is None, held,
            root, blood, grid.whole_blood_mean, grid.arrays, theta, phi, volume, rss, fitted, cov,
            status,
        )  # fmt: skip

    share_rows(np.flatnonzero(usable), work)
    return Exponentials(theta, phi, volume, rss, fitted, cov, status)


@njit(cache=True, error_model="numpy")
def gram_matrix(B):  # type: ignore[no-untyped-def]
    """``B B'`` by plain loops: the same bits whatever BLAS and threads."""
    K, F = B.shape
    G = np.empty((K, K))
    for i in range(K):
        for j in range(i, K):
            dot = 0.0
            for f in range(F):
                dot += B[i, f] * B[j, f]
            G[i, j] = dot
            G[j, i] = dot
    return G


@njit(cache=True, error_model="numpy")
def products(B, q):  # type: ignore[no-untyped-def]
    """``B q`` by plain loops."""
    K, F = B.shape
    P = np.empty(K)
    for k in range(K):
        dot = 0.0
        for f in range(F):
            dot += B[k, f] * q[f]
        P[k] = dot
    return P


def apart_from(gram: Array, cross: Array, q: Array) -> Array:
    """Return the Gram matrix of rows made orthogonal to ``q``, given ``B q``."""
    length = float(np.sum(q * q))
    return gram - np.outer(cross, cross) / length if length > 0 else gram


@njit(cache=True, error_model="numpy")
def _best_valley(  # type: ignore[no-untyped-def]
    lt, coef, y, ln_rate, table, gram, apart, blood, P, group, n_exp, trap, vb_free, root, grid
):
    """Polish the best pair of each group of faster rates; fills lt and coef. Returns rss, status.

    Noise makes more than one valley, and the lowest point of the table need not lie in the
    deepest. ``n_exp`` is 2 and ``trap`` false: as arguments, since numba compiles all that is
    called with a constant once more for that constant.
    """
    K = ln_rate.size
    slow = np.searchsorted(ln_rate, SLOW)
    h, hp = np.empty(K), np.empty(K)
    where, score = np.zeros((group.max() + 2, 2), np.int64), np.zeros(group.max() + 2)
    starts(table, gram, apart, blood, P, y, True, vb_free, group, slow, h, hp, where, score)
    least, status = np.inf, 1
    t, c, r = np.zeros(2), np.zeros(3), np.empty(y.size)
    w = np.empty((grid[1].size, 12))
    b, d = np.empty(y.size), np.empty(y.size)
    for _ in range(score.size):
        a = np.argmin(score)
        if not score[a] < _WORTH * least:
            break
        score[a] = np.inf
        t[0] = ln_rate[where[a, 0]]
        # with one column as good as any pair the other rate is anywhere but there
        t[1] = ln_rate[where[a, 1]] if where[a, 1] >= 0 else t[0] - 1.0
        if t[1] < ln_rate[0]:
            t[1] = t[0] + 1.0
        found, how = polish(t, n_exp, trap, y, blood, vb_free, root, grid, 0.0, c)
        for _ in range(_TRIES):
            one = abs(t[0] - t[1]) < _ONE_RATE
            if c[0] > 0.0 and c[1] > 0.0 and not one:
                break
            # an amplitude of zero, or two rates that are one, have no slope to follow: which
            # rate would take some of the residual?
            for f in range(y.size):
                r[f] = y[f] - (c[2] * blood[f] if vb_free else 0.0)
            for e in range(2):
                frame_means(
                    np.exp(t[e]), grid[0], grid[1], grid[2], grid[3], grid[4], grid[5], w, b, d
                )
                for f in range(y.size):
                    r[f] -= c[e] * b[f] * root[f]
            k = best_row(table, r)
            if k < 0:
                break
            before, l0, l1, c0, c1, c2 = found, t[0], t[1], c[0], c[1], c[2]
            t[0 if c[0] <= 0.0 else 1] = ln_rate[k]
            found, how = polish(t, n_exp, trap, y, blood, vb_free, root, grid, 0.0, c)
            if not found < before:
                found, t[0], t[1], c[0], c[1], c[2] = before, l0, l1, c0, c1, c2
                break
        if found < least:
            least, status = found, how
            lt[0], lt[1] = t[0], t[1]
            coef[0], coef[1], coef[2] = c[0], c[1], c[2]
    return least, status


@njit(cache=True, error_model="numpy", nogil=True)
def _fit_rows(  # type: ignore[no-untyped-def]
    rows, data, ln_rate, table, gram, apart, P, group, n_exp, trap, vb_free, held, root, blood,
    blood_mean, grid, theta, phi, volume, rss, fitted, cov, status,
):  # fmt: skip
    F = data.shape[1]
    used = 0
    for f in range(F):
        if root[f] > 0.0:
            used += 1
    scratch = room()
    for row in range(rows.size):
        n = rows[row]
        y = data[n]
        lt, coef = np.zeros(2), np.zeros(3)
        if n_exp == 2 and not trap:
            rss[n], status[n] = _best_valley(
                lt, coef, y, ln_rate, table, gram, apart, blood, P, group, n_exp, trap, vb_free,
                root, grid,
            )  # fmt: skip
        else:
            i, _ = scan(table, gram, apart, blood, P, y, n_exp == 2, trap, vb_free)
            lt[0] = ln_rate[i]
            rss[n], status[n] = polish(lt, n_exp, trap, y, blood, vb_free, root, grid, 0.0, coef)
        if n_exp == 2 and not trap:
            if coef[0] > 0.0 and coef[1] > 0.0 and abs(lt[0] - lt[1]) < _ONE_RATE:
                # two rates that are one are a single tissue: fit that, and say so
                lt[0] = (coef[0] * lt[0] + coef[1] * lt[1]) / (coef[0] + coef[1])
                rss[n], status[n] = polish(
                    lt, n_exp - 1, trap, y, blood, vb_free, root, grid, 0.0, coef
                )
                coef[2], coef[1] = coef[1], 0.0
            if coef[0] <= 0.0 or (lt[1] > lt[0] and coef[1] > 0.0):
                lt[0], lt[1] = lt[1], lt[0]
                coef[0], coef[1] = coef[1], coef[0]
        vB = coef[n_exp] if vb_free else held
        volume[n] = vB
        J = np.zeros((5, F))
        use = np.zeros(5, np.bool_)
        w = np.empty((grid[1].size, 12))
        b, d = np.empty(F), np.empty(F)
        tissue = np.zeros(F)
        for e in range(n_exp):
            theta[n, e] = 0.0 if trap and e == 1 else np.exp(lt[e])
            phi[n, e] = coef[e] / (1.0 - vB)
            frame_means(theta[n, e], grid[0], grid[1], grid[2], grid[3], grid[4], grid[5], w, b, d)
            for f in range(F):
                tissue[f] += phi[n, e] * b[f]
                J[e, f] = coef[e] * d[f] * root[f]
                J[2 + e, f] = (1.0 - vB) * b[f] * root[f]
            # without amplitude neither of the two can be told
            use[e] = coef[e] > 0.0 and not (trap and e == 1)
            use[2 + e] = coef[e] > 0.0 or (trap and e == 1)
        p = n_exp * 2 - (1 if trap else 0) + (1 if vb_free else 0)
        for f in range(F):
            fitted[n, f] = (1.0 - vB) * tissue[f] + vB * blood_mean[f]
            J[4, f] = (blood_mean[f] - tissue[f]) * root[f]
        use[4] = vb_free
        dropped = False
        for e in range(n_exp):
            if not use[2 + e]:
                dropped = True
        if used > p:
            variance = rss[n] / (used - p)
            if (not covariance(J, use, variance, cov[n], scratch) or dropped) and status[n] == 0:
                status[n] = SINGULAR
