"""The basis of SRTM: the reference convolved with exponentials, on a table of rates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ekbom.measures.pet.convolve import Grid, basis

Array = NDArray[np.float64]

#: Rates k2a that are looked at: from 0.1 / end of the scan to this, 1/min.
K2A_MAX = 3.0


def k2a_table(grid: Grid, root: Array, end: float, nodes: int) -> tuple[Array, Array, Array]:
    """Return ln k2a, and the weighted basis with its derivative in ln k2a.

    Parameters
    ----------
    grid : Grid
        With the reference as input.
    root : (F,) array
        Square roots of the weights.
    end : float
        End of the scan, min.
    nodes : int
        K.

    Returns
    -------
    ln_rate : (K,) array
    table, slope : (K, F) arrays
    """
    ln_rate = np.linspace(np.log(0.1 / end), np.log(K2A_MAX), nodes)
    mean, slope = basis(np.exp(ln_rate), grid)
    return ln_rate, mean * root, slope * root * np.exp(ln_rate)[:, None]


def searched(table: Array, q: Array, ln_rate: Array, k2prime: float) -> Array:
    """Return the searched column of every row of the table, of length 1, (F, K).

    Parameters
    ----------
    table : (K, F) array
        Weighted basis.
    q : (F,) array
        Weighted reference.
    ln_rate : (K,) array
    k2prime : float
        Of SRTM2; NaN for SRTM, whose column is made orthogonal to ``q``.

    Returns
    -------
    (F, K) array
    """
    if np.isnan(k2prime):
        across = (table * q).sum(axis=1) / (q * q).sum()
        column = table - across[:, None] * q
    else:
        column = q + (k2prime - np.exp(ln_rate))[:, None] * table
    length = np.sqrt((column**2).sum(axis=1))
    return np.ascontiguousarray((column / length[:, None]).T)
