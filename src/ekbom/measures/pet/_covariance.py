"""Covariance of least squares, of the parameters that are free, without allocation."""

from __future__ import annotations

import numpy as np
from numba import njit

from ekbom.measures.pet._voxel_table import FAST

# Columns of the Jacobian, scaled to length 1, that leave less than this are dependent.
_SINGULAR = 1e-9


@njit(cache=True, error_model="numpy")
def room():  # type: ignore[no-untyped-def]
    """Return the scratch of :func:`covariance` for up to five parameters."""
    return np.zeros((5, 5)), np.zeros((5, 5)), np.zeros(5), np.zeros(5, np.int64)


@njit(cache=True, error_model="numpy", fastmath=FAST)
def covariance(J, use, variance, out, scratch):  # type: ignore[no-untyped-def]
    """Fill out (P, P) with ``variance (J J')^-1`` over the rows of J in use.

    Parameters
    ----------
    J : (P, F) array
        Weighted columns of the Jacobian, as rows; destroyed.
    use : (P,) bool array
    variance : float
    out : (P, P) array
    scratch : tuple
        Of :func:`room`.

    Returns
    -------
    bool
        False when the rows in use are dependent (out is left as it was).
    """
    R, inverse, scale, index = scratch
    F = J.shape[1]
    n = 0
    for p in range(use.size):
        if use[p]:
            index[n] = p
            n += 1
    for a in range(n):
        i = index[a]
        length = 0.0
        for f in range(F):
            length += J[i, f] * J[i, f]
        scale[a] = np.sqrt(length)
        if not scale[a] > 0.0:
            return False
        size = 1.0 / scale[a]
        for f in range(F):
            J[i, f] *= size
        for b in range(a):
            R[b, a] = 0.0
        for _ in range(2):  # twice is enough
            for b in range(a):
                j = index[b]
                dot = 0.0
                for f in range(F):
                    dot += J[j, f] * J[i, f]
                R[b, a] += dot
                for f in range(F):
                    J[i, f] -= dot * J[j, f]
        left = 0.0
        for f in range(F):
            left += J[i, f] * J[i, f]
        left = np.sqrt(left)
        if not left > _SINGULAR:
            return False
        R[a, a] = left
        size = 1.0 / left
        for f in range(F):
            J[i, f] *= size
    for a in range(n):
        inverse[a, a] = 1.0 / R[a, a]
        for b in range(a - 1, -1, -1):
            value = 0.0
            for k in range(b + 1, a + 1):
                value -= R[b, k] * inverse[k, a]
            inverse[b, a] = value / R[b, b]
    for a in range(n):
        for b in range(a + 1):
            value = 0.0
            for k in range(a, n):
                value += inverse[a, k] * inverse[b, k]
            value *= variance / (scale[a] * scale[b])
            out[index[a], index[b]] = value
            out[index[b], index[a]] = value
    return True
