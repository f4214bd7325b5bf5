"""Two compartments of many tissues, stepped through time on a fixed grid.

One pass over the grid, all tissues at each step: nothing is kept but the states
that are asked for, and other threads go on meanwhile. float64; every tissue is
stepped alone.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def stepped(weights: Array, u: Array, edges: NDArray[np.int64], out: Array) -> None:
    """Step ``x <- M x + e u_before + l u_after`` from zero.

    Parameters
    ----------
    weights : (8, R) array
        Of each tissue: M row by row, then e and l of the two compartments.
    u : (G,) array
        Input at the points of the grid.
    edges : (E,) array of int
        Points of the grid at which the state is asked, increasing, the first 0.
    out : (E, 2, R) array
        Written: the states there.
    """
    R = weights.shape[1]
    x = np.zeros((2, R))
    out[0] = 0.0
    for e in range(1, edges.shape[0]):
        for k in range(edges[e - 1], edges[e]):
            before, after = u[k], u[k + 1]
            for r in range(R):
                a, b = x[0, r], x[1, r]
                x[0, r] = (weights[0, r] * a + weights[1, r] * b) + (
                    weights[4, r] * before + weights[6, r] * after
                )
                x[1, r] = (weights[2, r] * a + weights[3, r] * b) + (
                    weights[5, r] * before + weights[7, r] * after
                )
        out[e] = x
