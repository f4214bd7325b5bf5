"""What one leg sees of the other: a constant share, found while only one leg moves."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from ekbom.measures.legs.envelope import Envelope
from ekbom.measures.legs.events import Array

#: Seconds of a window, uV that make a leg active, and by what factor it must exceed the other.
WINDOW, ACTIVE, FACTOR = 0.25, 20.0, 3.0
#: A share below this is left alone; fewer windows say nothing.
SMALLEST, WINDOWS = 0.02, 20


def separate(x: Array, y: Array, of_x: Envelope, of_y: Envelope) -> tuple[float, float]:
    """Take out of two channels what each sees of the other, in place.

    Independent muscles have no product on average, so the median over windows
    of ``sum(x y) / sum(x x)``, taken where x is much stronger, is the share of
    x in y; that of a movement of both legs is zero.

    Parameters
    ----------
    x, y : (N,) array
        Filtered, uV; changed.
    of_x, of_y : Envelope
        Of the same signals.

    Returns
    -------
    in_x, in_y : float
        Shares taken out; 0 when none stands out of its scatter.
    """
    width = max(round(WINDOW * of_x.fs), 1)
    xx, yy, xy = _products(x, y, width)
    active = ACTIVE**2 * width
    in_y = _share(xy, xx, (xx > active) & (xx > FACTOR**2 * yy))
    in_x = _share(xy, yy, (yy > active) & (yy > FACTOR**2 * xx))
    if in_x or in_y:
        _unmix(x, y, in_x, in_y)
    return in_x, in_y


def _share(xy: Array, xx: Array, use: Any) -> float:
    if use.sum() < WINDOWS:
        return 0.0
    beta = xy[use] / xx[use]
    middle = float(np.median(beta))
    spread = 1.4826 * float(np.median(np.abs(beta - middle)))
    sure = abs(middle) > 4.0 * spread / np.sqrt(beta.size)
    return middle if sure and abs(middle) >= SMALLEST else 0.0


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _products(x: Array, y: Array, width: int) -> Any:  # pragma: no cover - compiled
    n = x.size // width
    xx, yy, xy = np.empty(n), np.empty(n), np.empty(n)
    for k in range(n):
        a = b = c = 0.0
        for i in range(k * width, (k + 1) * width):
            a += x[i] * x[i]
            b += y[i] * y[i]
            c += x[i] * y[i]
        xx[k], yy[k], xy[k] = a, b, c
    return xx, yy, xy


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _unmix(x: Array, y: Array, in_x: float, in_y: float) -> None:  # pragma: no cover - compiled
    scale = 1.0 / (1.0 - in_x * in_y)
    for i in range(x.size):
        a, b = x[i], y[i]
        x[i] = (a - in_x * b) * scale
        y[i] = (b - in_y * a) * scale
