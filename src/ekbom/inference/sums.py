"""Products whose sums run in one order, so that no outcome depends on its place."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def products(a: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """Return ``a @ y`` summed row of ``y`` by row, the same for every column.

    Parameters
    ----------
    a : (p, n) float64
        Small matrix.
    y : (n, V) float64
        Many columns. (Matrix libraries and ``einsum`` take other paths at the
        edges of blocks, which changes last digits with the place of a column.)

    Returns
    -------
    ndarray, (p, V)
        Products.
    """
    out = np.zeros((len(a), y.shape[1]))
    term = np.empty(y.shape[1])
    for p in range(len(a)):
        for i in range(len(y)):
            if a[p, i] != 0.0:
                out[p] += np.multiply(y[i], a[p, i], out=term)
    return out


def squares(y: NDArray[Any]) -> NDArray[np.float64]:
    """Return the sum of squares of each column of ``y`` (n, V)."""
    out = np.zeros(y.shape[1])
    for row in y:
        out += row * row
    return out
