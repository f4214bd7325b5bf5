"""Non-negative least squares for many curves on one design.

min over x >= 0 of |A x - y|, with A common to all curves. The Gram matrix is
made once; each curve runs the active-set method of Lawson and Hanson in the
form of Bro and de Jong (inner products only). Columns of a spectral design are
nearly parallel, so the Gram form alone would lose digits: the set it ends with
is the warm start of a second pass on an orthogonal decomposition of the
columns themselves, and the conditions of Karush, Kuhn and Tucker are checked
on the true residual.

A curve's result depends on that curve only, so it has the same bytes in any
order of voxels and on any number of threads.

References
----------
Lawson CL, Hanson RJ (1974). Solving Least Squares Problems. Prentice-Hall.

Bro R, de Jong S (1997). A fast non-negativity-constrained least squares
algorithm. J Chemometrics 11:393-401.
doi:10.1002/(SICI)1099-128X(199709/10)11:5<393::AID-CEM483>3.0.CO;2-L
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ekbom.measures.pet._threads import share_rows

Floats = NDArray[np.float64]

#: Columns with a positive coefficient that one curve may have; more would
#: interpolate the noise of a scan of 30 frames.
MAX_PASSIVE = 24

#: Largest gradient (columns and curve scaled to length 1) that counts as 0.
TOLERANCE = 1e-13

#: A column whose new part is shorter than this depends on those already in.
_DEPENDENT = 1e-9


@dataclass(frozen=True)
class NNLS:
    """Solutions of many non-negative least-squares problems.

    Parameters
    ----------
    linear : (V, L) array
        The linear functions of the solution that were asked for.
    rss : (V,) array
        Residual sum of squares.
    violation : (V,) array
        Largest violation of the optimality conditions, relative to the length
        of the curve.
    passive : (V, MAX_PASSIVE) int16 array
        Columns with a positive coefficient, ascending, then -1.
    coefficients : (V, MAX_PASSIVE) array
        Their coefficients, then 0.
    converged : (V,) array of bool
        Whether the conditions hold.
    """

    linear: Floats
    rss: Floats
    violation: Floats
    passive: NDArray[np.int16]
    coefficients: Floats
    converged: NDArray[np.bool_]


def nnls(
    design: NDArray[np.floating],
    curves: NDArray[np.floating],
    functions: NDArray[np.floating] | None = None,
) -> NNLS:
    """Solve min |design x - curve| with x >= 0 for every curve.

    Parameters
    ----------
    design : (F, N) array
        Columns, already weighted.
    curves : (V, F) array
        Curves, weighted alike; all finite.
    functions : (L, N) array, optional
        Linear functions of the solution to return; none by default.

    Returns
    -------
    NNLS
        Solutions and their checks.
    """
    matrix = np.ascontiguousarray(design, dtype=np.float64)
    length = np.sqrt((matrix**2).sum(axis=0))
    usable = length > 0
    scale = np.where(usable, length, 1.0)
    unit = matrix / scale
    gram = _gram(unit)
    wanted = np.zeros((0, matrix.shape[1])) if functions is None else np.asarray(functions, float)
    number = curves.shape[0]
    out = NNLS(
        np.zeros((number, wanted.shape[0])),
        np.zeros(number),
        np.zeros(number),
        np.full((number, MAX_PASSIVE), -1, dtype=np.int16),
        np.zeros((number, MAX_PASSIVE)),
        np.zeros(number, dtype=bool),
    )
    y = np.ascontiguousarray(curves, dtype=np.float64)
    back, wanted = 1.0 / scale, np.ascontiguousarray(wanted)

    def work(rows: NDArray[np.int64]) -> None:
        _solve(
            rows, unit, gram, usable, back, wanted, y, out.linear, out.rss, out.violation,
            out.passive, out.coefficients, out.converged,
        )  # fmt: skip

    share_rows(np.arange(number), work)
    return out


def _gram(unit: Floats) -> Floats:
    # Sums in a fixed order: a BLAS product may differ with its threads.
    out = np.zeros((unit.shape[1], unit.shape[1]))
    for row in unit:
        out += row[:, None] * row[None, :]
    return out


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _solve_gram(gram: Any, h: Any, P: Any, p: Any, C: Any, s: Any) -> Any:
    """Solve the normal equations on the passive set; index of a dependent column or -1."""
    for i in range(p):
        for j in range(i + 1):
            total = gram[P[i], P[j]]
            for k in range(j):
                total -= C[i, k] * C[j, k]
            if i == j:
                if total <= 1e-14:
                    return i
                C[i, i] = np.sqrt(total)
            else:
                C[i, j] = total / C[j, j]
    for i in range(p):
        total = h[P[i]]
        for k in range(i):
            total -= C[i, k] * s[k]
        s[i] = total / C[i, i]
    for i in range(p - 1, -1, -1):
        total = s[i]
        for k in range(i + 1, p):
            total -= C[k, i] * s[k]
        s[i] = total / C[i, i]
    return -1


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _solve_columns(unit: Any, y: Any, P: Any, p: Any, Q: Any, R: Any, r: Any, s: Any) -> Any:
    """Least squares on the passive columns by modified Gram-Schmidt; r becomes the residual."""
    F = unit.shape[0]
    for i in range(p):
        for f in range(F):
            Q[i, f] = unit[f, P[i]]
    for f in range(F):
        r[f] = y[f]
    for i in range(p):
        total = 0.0
        for f in range(F):
            total += Q[i, f] * Q[i, f]
        size = np.sqrt(total)
        if size <= _DEPENDENT:
            return i
        R[i, i] = size
        for f in range(F):
            Q[i, f] /= size
        for j in range(i + 1, p):
            total = 0.0
            for f in range(F):
                total += Q[i, f] * Q[j, f]
            R[i, j] = total
            for f in range(F):
                Q[j, f] -= total * Q[i, f]
        total = 0.0
        for f in range(F):
            total += Q[i, f] * r[f]
        s[i] = total
        for f in range(F):
            r[f] -= total * Q[i, f]
    for i in range(p - 1, -1, -1):
        total = s[i]
        for k in range(i + 1, p):
            total -= R[i, k] * s[k]
        s[i] = total / R[i, i]
    return -1


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _drop(P: Any, x: Any, p: Any, inside: Any, k: Any) -> Any:
    inside[P[k]] = False
    for i in range(k, p - 1):
        P[i] = P[i + 1]
        x[i] = x[i + 1]
    return p - 1


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _sort(P: Any, x: Any, p: Any) -> None:
    for i in range(1, p):
        j, column, value = i, P[i], x[i]
        while j > 0 and P[j - 1] > column:
            P[j], x[j] = P[j - 1], x[j - 1]
            j -= 1
        P[j], x[j] = column, value


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _feasible(
    exact: Any, unit: Any, gram: Any, h: Any, y: Any, P: Any, x: Any, p: Any, inside: Any, Q: Any,
    R: Any, r: Any, s: Any,
) -> Any:  # fmt: skip
    """Move x to the solution on the passive set, dropping columns that would turn negative."""
    while p > 0:
        if exact:
            bad = _solve_columns(unit, y, P, p, Q, R, r, s)
        else:
            bad = _solve_gram(gram, h, P, p, R, s)
        if bad >= 0:
            p = _drop(P, x, p, inside, bad)
            continue
        step, at = 1.0, -1
        for i in range(p):
            if s[i] <= 0.0:
                ratio = x[i] / (x[i] - s[i]) if x[i] > s[i] else 0.0
                if at < 0 or ratio < step:
                    step, at = ratio, i
        if at < 0:
            for i in range(p):
                x[i] = s[i]
            return p
        for i in range(p):
            x[i] += step * (s[i] - x[i])
        for i in range(p - 1, -1, -1):
            if i == at or (x[i] <= 0.0 and s[i] <= 0.0):
                p = _drop(P, x, p, inside, i)
    if exact:
        for f in range(r.size):
            r[f] = y[f]
    return 0


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _one(
    unit: Any, gram: Any, usable: Any, y: Any, h: Any, g: Any, inside: Any, blocked: Any, P: Any,
    x: Any, Q: Any, R: Any, r: Any, s: Any,
) -> Any:  # fmt: skip
    """Solve one curve of length 1: passive count (-1: failed) and largest violation."""
    F, N = unit.shape
    for j in range(N):
        h[j] = 0.0
        inside[j] = False
        blocked[j] = not usable[j]
    for f in range(F):
        for j in range(N):
            h[j] += unit[f, j] * y[f]
    # typed: a constant would have all that is called with it compiled once more
    p = np.int64(0)
    exact: Any = np.bool_(False)
    worst = 0.0
    for _ in range(6 * N):
        if exact:
            for j in range(N):
                g[j] = 0.0
            for f in range(F):
                for j in range(N):
                    g[j] += unit[f, j] * r[f]
        else:
            for j in range(N):
                g[j] = h[j]
            for i in range(p):
                column = P[i]
                for j in range(N):
                    g[j] -= gram[column, j] * x[i]
        best, worst = -1, 0.0
        for j in range(N):
            if not inside[j] and usable[j] and g[j] > worst:
                worst = g[j]
        top = TOLERANCE if exact else 100.0 * TOLERANCE
        for j in range(N):
            if not inside[j] and not blocked[j] and g[j] > top:
                top, best = g[j], j
        if best < 0 or p == P.size:
            if exact:
                for i in range(p):
                    worst = max(worst, abs(g[P[i]]))
                return p, worst
            # Second part: the same method on the columns themselves.
            exact = np.bool_(True)
            _sort(P, x, p)
            p = _feasible(exact, unit, gram, h, y, P, x, p, inside, Q, R, r, s)
            for j in range(N):
                blocked[j] = not usable[j]
            if p == 0:
                for f in range(F):
                    r[f] = y[f]
            continue
        P[p], x[p] = best, 0.0
        inside[best] = True
        p += 1
        if exact:
            _sort(P, x, p)
        p = _feasible(exact, unit, gram, h, y, P, x, p, inside, Q, R, r, s)
        if inside[best]:
            for j in range(N):
                blocked[j] = not usable[j]
        else:
            # By rounding alone the column that should grow would shrink.
            blocked[best] = True
    return -1, worst


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _solve(
    rows: Any, unit: Any, gram: Any, usable: Any, back: Any, wanted: Any, curves: Any,
    linear: Any, rss: Any, violation: Any, passive: Any, coefficients: Any, converged: Any,
) -> None:  # fmt: skip
    F, N, L = curves.shape[1], unit.shape[1], wanted.shape[0]
    h, g = np.empty(N), np.empty(N)
    inside, blocked = np.empty(N, np.bool_), np.empty(N, np.bool_)
    P, x = np.empty(MAX_PASSIVE, np.int64), np.empty(MAX_PASSIVE)
    Q, R = np.empty((MAX_PASSIVE, F)), np.empty((MAX_PASSIVE, MAX_PASSIVE))
    r, s, y = np.empty(F), np.empty(MAX_PASSIVE), np.empty(F)
    for row in range(rows.size):
        v = rows[row]
        total = 0.0
        for f in range(F):
            total += curves[v, f] * curves[v, f]
        size = np.sqrt(total)
        if size == 0.0:
            converged[v] = True
            continue
        for f in range(F):
            y[f] = curves[v, f] / size
        p, worst = _one(unit, gram, usable, y, h, g, inside, blocked, P, x, Q, R, r, s)
        converged[v] = p >= 0 and worst <= 100.0 * TOLERANCE
        violation[v] = worst
        total = 0.0
        for f in range(F):
            total += r[f] * r[f]
        rss[v] = total * size * size
        for i in range(max(p, 0)):
            value = x[i] * size * back[P[i]]
            passive[v, i] = P[i]
            coefficients[v, i] = value
            for k in range(L):
                linear[v, k] += wanted[k, P[i]] * value
