"""Euler-characteristic densities of Gaussian, t, chi-square and F fields.

Worsley 1996, Hum Brain Mapp 4:58. Densities are per resel, for dimensions 0 to 3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Kind = Literal["Z", "T", "X", "F"]
_L = 4.0 * np.log(2.0)
_TWO_PI = 2.0 * np.pi


def ec_density(kind: Kind, u: ArrayLike, *df: float) -> NDArray[np.float64]:
    """Return the EC densities of a field at a level.

    Parameters
    ----------
    kind : {"Z", "T", "X", "F"}
        Gaussian, t, chi-square or F field.
    u : array_like
        Level; above 0 for X and F.
    *df : float
        None for Z; v for T and X; k, v for F.

    Returns
    -------
    ndarray, (4, ...)
        rho_0 (the tail probability) to rho_3.

    Examples
    --------
    >>> ec_density("Z", 3.0).round(8).tolist()
    [0.0013499, 0.002944, 0.00586694, 0.01039282]
    """
    level = np.asarray(u, float)
    densities: dict[str, Callable[..., tuple[Any, ...]]] = {"Z": _z, "T": _t, "X": _x, "F": _f}
    return np.stack([np.asarray(d, float) for d in densities[kind](level, *df)])


def _z(z: NDArray[Any]) -> tuple[Any, ...]:
    e = np.exp(-z * z / 2.0)
    return (
        special.ndtr(-z),
        _L**0.5 * e / _TWO_PI,
        _L * z * e / _TWO_PI**1.5,
        _L**1.5 * (z * z - 1.0) * e / _TWO_PI**2,
    )


def _t(t: NDArray[Any], v: float) -> tuple[Any, ...]:
    b = np.exp(-(v - 1.0) / 2.0 * np.log1p(t * t / v))
    ratio = np.exp(special.gammaln((v + 1.0) / 2.0) - special.gammaln(v / 2.0)) / np.sqrt(v / 2.0)
    return (
        special.stdtr(v, -t),
        _L**0.5 * b / _TWO_PI,
        _L * b * t * ratio / _TWO_PI**1.5,
        _L**1.5 * b * ((v - 1.0) * t * t / v - 1.0) / _TWO_PI**2,
    )


def _x(x: NDArray[Any], v: float) -> tuple[Any, ...]:
    a = np.exp(-x / 2.0 - (v - 2.0) / 2.0 * np.log(2.0) - special.gammaln(v / 2.0))
    c = _L / _TWO_PI
    return (
        special.chdtrc(v, x),
        c**0.5 * x ** ((v - 1.0) / 2.0) * a,
        c * x ** ((v - 2.0) / 2.0) * a * (x - (v - 1.0)),
        c**1.5 * x ** ((v - 3.0) / 2.0) * a * (x * x - (2.0 * v - 1.0) * x + (v - 1.0) * (v - 2.0)),
    )


def _f(f: NDArray[Any], k: float, v: float) -> tuple[Any, ...]:
    x = k * f / v
    c = _L / _TWO_PI
    base = -(v + k - 2.0) / 2.0 * np.log1p(x) - special.gammaln(v / 2.0) - special.gammaln(k / 2.0)

    def b(d: float) -> Any:
        return np.exp(base + special.gammaln((v + k - d) / 2.0))

    third = (v - 1.0) * (v - 2.0) * x * x - (2.0 * v * k - v - k - 1.0) * x
    return (
        special.fdtrc(k, v, f),
        c**0.5 * np.sqrt(2.0) * b(1) * x ** ((k - 1.0) / 2.0),
        c * b(2) * x ** ((k - 2.0) / 2.0) * ((v - 1.0) * x - (k - 1.0)),
        c**1.5 / np.sqrt(2.0) * b(3) * x ** ((k - 3.0) / 2.0)
        * (third + (k - 1.0) * (k - 2.0)),
    )  # fmt: skip
