"""Feng's input function, and the same convolved with an infusion of constant rate.

``C = (A1 u - A2 - A3) exp(-L1 u) + A2 exp(-L2 u) + A3 exp(-L3 u)``, ``u = t - t0 >= 0``
(Feng D, Huang SC, Wang X 1993. Models for computer simulation studies of input
functions for tracer kinetic modeling with positron emission tomography. Int J
Biomed Comput 32:95-110. doi:10.1016/0020-7101(93)90049-C). Written as
``A1 u exp(-L1 u) + A2 (exp(-L2 u) - exp(-L1 u)) + A3 (exp(-L3 u) - exp(-L1 u))``
with ``L1 > L2 > L3`` and ``A >= 0`` it is never negative, and its amplitudes are
linear: they are solved inside the search over t0, the rates and the length D of
the infusion, ``(1/D) int_{u-D}^u C``.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares, nnls

from ekbom.errors import Refused
from ekbom.measures.pet.parent import aicc
from ekbom.measures.pet.plasma import PEAK_LOW, Curve, sample_root

Array = NDArray[np.float64]

#: Fewest samples of the bolus; an infusion of unknown length needs one more.
MIN_SAMPLES = 9

# ln L1, and ln of L1/L2 and of L2/L3
_LOWER = np.array([np.log(0.3), 0.1, 0.1])
_UPPER = np.array([np.log(60.0), 6.0, 8.0])
_STARTS = tuple(product((0.0, 1.2, 2.5), (1.5, 3.0), (1.5, 3.5)))


def feng(
    time: Array,
    values: Array,
    end: float,
    *,
    infusion: bool = False,
    length: float | None = None,
    start: Array | None = None,
) -> Curve:
    """Fit Feng's form to samples.

    Parameters
    ----------
    time, values : (N,) arrays
        min and kBq/mL; negative samples take part in the fit.
    end : float
        End of the scan, min.
    infusion : bool
        Convolve with a constant infusion.
    length : float, optional
        Of the infusion, min; fitted when ``None``.
    start : array, optional
        Where to begin, as found before (:attr:`Curve.search`); a grid by default.

    Returns
    -------
    Curve
        ``feng`` or ``feng_infusion``.

    Raises
    ------
    Refused
        With too few samples.
    """
    fit_length = infusion and length is None
    needed = MIN_SAMPLES + int(fit_length)
    if time.size < needed:
        raise Refused(
            "Too few blood samples for Feng's input function.",
            field="input",
            found=f"{time.size} samples",
            expected=f"at least {needed}",
            mend='use input = "interpolate"',
        )
    peak = max(float(time[int(np.argmax(values))]), 1e-3)
    root = sample_root(values)

    def box(x: Array) -> float:
        if not infusion:
            return 0.0
        return float(np.exp(x[4])) if length is None else length

    def solve(x: Array) -> tuple[Array, Array]:
        columns = root[:, None] * columns_of(time - x[0], x[1:4], box(x))
        amplitudes, _ = nnls(columns, root * values)
        return amplitudes, columns @ amplitudes - root * values

    def misfit(x: Array) -> Array:
        return solve(x)[1]

    lower = np.concatenate(([0.0], _LOWER))
    upper = np.concatenate(([max(0.98 * peak, 1e-2)], _UPPER))
    if fit_length:
        lower, upper = np.append(lower, np.log(0.02)), np.append(upper, np.log(2 * peak + 1.0))
    if start is None:
        nodes = [
            np.array([u * peak, ln - np.log(max(peak, 0.2)), a, b])
            for u in (0.1, 0.5, 0.8)
            for ln, a, b in _STARTS
        ]
        if fit_length:
            nodes = [np.append(x, np.log(s * peak + 0.03)) for x in nodes for s in (0.3, 0.8)]
        nodes = [np.clip(x, lower + 1e-6, upper - 1e-6) for x in nodes]
        start = min(nodes, key=lambda x: float(np.sum(solve(x)[1] ** 2)))
    done = least_squares(
        misfit,
        np.clip(start, lower + 1e-9, upper - 1e-9),
        bounds=(lower, upper),
        max_nfev=80,
    )
    amplitudes, residual = solve(done.x)
    rss = float(residual @ residual)
    t0, width = float(done.x[0]), box(done.x)
    rates = rates_of(done.x[1:4])
    # knots where the curve bends: after t0, and after the infusion ends
    late = np.concatenate(([0.0], np.geomspace(1e-3, max(end - t0, 0.02), 240)))
    knots = [np.array([0.0, t0, end]), t0 + late]
    if infusion:
        knots += [t0 + np.linspace(0.0, width, 60), t0 + width + late]
    t = np.unique(np.concatenate(knots))
    t = t[t <= end]
    curve = np.maximum(columns_of(t - t0, done.x[1:4], width) @ amplitudes, 0.0)
    params = {"t0": t0}
    for i in range(3):
        params[f"A{i + 1}"] = float(amplitudes[i])
        params[f"lambda{i + 1}"] = float(rates[i])
    if infusion:
        params["infusion"] = width
    n_free = 7 + int(fit_length)
    flags = ("peak_low",) if curve.max() < PEAK_LOW * values.max() else ()
    name = "feng_infusion" if infusion else "feng"
    return Curve(
        name, t, curve, float(time[-1]), params, rss, aicc(rss, time.size, n_free), n_free, flags,
        done.x,
    )  # fmt: skip


def rates_of(x: Array) -> Array:
    """Return L1 > L2 > L3 (1/min) from ln L1, ln L1/L2 and ln L2/L3."""
    return np.asarray(np.exp(np.array([x[0], x[0] - x[1], x[0] - x[1] - x[2]])))


def columns_of(u: Array, x: Array, box: float) -> Array:
    """Return the column of each amplitude.

    Parameters
    ----------
    u : (N,) array
        Minutes since t0.
    x : (3,) array
        As of :func:`rates_of`.
    box : float
        Length of the infusion, min; 0 for a bolus.

    Returns
    -------
    (N, 3) array
        Of A1, A2, A3; zero before t0.
    """
    rates = rates_of(x)
    after = np.maximum(u, 0.0)
    if box <= 0:
        first = after * np.exp(-rates[0] * after)
        falls = np.exp(-after[:, None] * rates)
        return np.column_stack((first, falls[:, 1] - falls[:, 0], falls[:, 2] - falls[:, 0]))
    return np.asarray((_areas(after, rates) - _areas(np.maximum(u - box, 0.0), rates)) / box)


def _areas(u: Array, rates: Array) -> Array:
    z = u * rates[0]
    # 1 - exp(-z)(1 + z) cancels near 0
    ramp = np.where(z < 1e-3, z**2 / 2 - z**3 / 3, -np.expm1(-z) - z * np.exp(-z))
    whole = -np.expm1(-u[:, None] * rates) / rates
    return np.column_stack(
        (ramp / rates[0] ** 2, whole[:, 1] - whole[:, 0], whole[:, 2] - whole[:, 0])
    )
