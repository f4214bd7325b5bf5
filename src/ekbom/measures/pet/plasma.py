"""Curves through activity samples: straight lines, and linear rise with three exponentials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares, nnls

from ekbom.errors import Refused
from ekbom.measures.pet.parent import aicc

Array = NDArray[np.float64]

#: Ways to an input curve that a plan may name.
CHOICES = ("interpolate", "triexp", "feng", "feng_infusion")
#: Those of them with parameters.
FORMS = CHOICES[1:]
_MIN_SAMPLES = 9
_TAIL_SAMPLES = 3
_TAIL_FROM = 0.75
#: A fitted peak below this share of the largest sample is flagged.
PEAK_LOW = 0.8
# Variance of a counted sample grows with its activity; the floor keeps the
# near-zero samples before the bolus from ruling the fit.
_WEIGHT_FLOOR = 0.02


@dataclass(frozen=True)
class Curve:
    """A piecewise-linear curve of one fitted or interpolated activity.

    Attributes
    ----------
    model : str
        Of :data:`CHOICES`.
    t, values : (G,) arrays
        Knots: min from injection and kBq/mL, ``t[0] == 0``, values >= 0.
    covers : float
        Last sample, min; later knots are extrapolated.
    params : mapping of str to float
        Of the form (min, kBq/mL, 1/min); ``tail_rate`` of an extrapolated tail.
    rss, aicc : float
        Weighted; NaN for ``interpolate``.
    n_free : int
    flags : tuple of str
        ``peak_low``, ``tail_flat``.
    search : array or None
        Where the search of a form ended, to begin there again.
    """

    model: str
    t: Array
    values: Array
    covers: float
    params: Mapping[str, float]
    rss: float = np.nan
    aicc: float = np.nan
    n_free: int = 0
    flags: tuple[str, ...] = ()
    search: Array | None = None

    def at(self, t: Array) -> Array:
        """Return the curve at times ``t`` (min), kBq/mL."""
        return np.asarray(np.interp(t, self.t, self.values))

    def auc(self, start: float, end: float) -> float:
        """Return the area between two times, kBq/mL x min."""
        inner = self.t[(self.t > start) & (self.t < end)]
        grid = np.concatenate(([start], inner, [end]))
        return float(np.trapezoid(self.at(grid), grid))


def interpolated(time: Array, values: Array, end: float) -> Curve:
    """Return straight lines through the samples, from zero at injection.

    Parameters
    ----------
    time : (N,) array
        min from injection, increasing. Samples at or before injection are
        replaced by zero at injection.
    values : (N,) array
        kBq/mL; negative ones become zero.
    end : float
        End of the scan, min. Beyond the last sample the curve falls as one
        exponential whose rate is that of the samples in the last quarter of the
        time they cover, but at least of the last three.

    Returns
    -------
    Curve
    """
    later = time > 0
    t = np.concatenate(([0.0], time[later]))
    v = np.concatenate(([0.0], np.maximum(values[later], 0.0)))
    covers = float(t[-1])
    params: dict[str, float] = {}
    flags: tuple[str, ...] = ()
    if covers < end:
        rate = _tail_rate(time, values)
        params["tail_rate"] = rate
        if rate == 0:
            flags = ("tail_flat",)
        steps = max(2, int(np.ceil((end - covers) * max(20 * rate, 0.2))))
        tail = np.linspace(covers, end, steps + 1)[1:]
        t = np.concatenate((t, tail))
        v = np.concatenate((v, v[-1] * np.exp(-rate * (tail - covers))))
    return Curve("interpolate", t, v, covers, params, flags=flags)


def _tail_rate(time: Array, values: Array) -> float:
    """Rate of one exponential through the last samples above zero; 0 if it does not fall."""
    above = np.flatnonzero(values > 0)
    if above.size < _TAIL_SAMPLES or int(above[-1]) - int(np.argmax(values)) < 2:
        return 0.0
    # of a dense record the last quarter, so that three neighbours do not make the tail
    late = above[time[above] >= _TAIL_FROM * time[above[-1]]]
    last = late if late.size > _TAIL_SAMPLES else above[-_TAIL_SAMPLES:]
    return max(0.0, -float(np.polyfit(time[last], np.log(values[last]), 1)[0]))


def sample_root(values: Array) -> Array:
    """Return square roots of the weights of samples (N,): inverse activity, mean square 1."""
    root = 1 / np.sqrt(np.maximum(values, _WEIGHT_FLOOR * float(values.max())))
    return np.asarray(root / np.sqrt(np.mean(root**2)))


def triexponential(time: Array, values: Array, end: float, *, start: Array | None = None) -> Curve:
    """Fit zero until t0, a linear rise to the peak, then three exponentials.

    ``C = C_pk (t - t0)/(t_pk - t0)`` to the peak and
    ``sum A_i exp(-l_i (t - t_pk))`` after it with ``sum A_i = C_pk``. The
    amplitudes are linear and solved by non-negative least squares inside the
    search over t0, t_pk and the rates (variable projection).

    Parameters
    ----------
    time, values : (N,) arrays
        min and kBq/mL; negative samples take part in the fit.
    end : float
        End of the scan, min.
    start : array, optional
        Where to begin, as found before (:attr:`Curve.search`); a grid by default.

    Returns
    -------
    Curve

    Raises
    ------
    Refused
        With fewer than nine samples.
    """
    if time.size < _MIN_SAMPLES:
        raise Refused(
            "Too few blood samples for a rise and three exponentials.",
            field="input",
            found=f"{time.size} samples",
            expected=f"at least {_MIN_SAMPLES}",
            mend='use input = "interpolate"',
        )
    top = int(np.argmax(values))
    peak = float(time[top])
    root = sample_root(values)

    def solve(x: Array) -> tuple[Array, Array]:
        basis = root[:, None] * _basis(time, x)
        amplitudes, _ = nnls(basis, root * values)
        return amplitudes, basis @ amplitudes - root * values

    lower = np.array([0.0, 0.6 * peak, *np.log([1e-2, 1e-3, 1e-5])])
    upper = np.array([0.98, 1.4 * peak, *np.log([60.0, 6.0, 0.6])])
    if top > 0:
        lower[1] = min(lower[1], time[top - 1])
    if top + 1 < time.size:
        upper[1] = max(upper[1], time[top + 1])
    nodes = (
        []
        if start is not None
        else [
            np.array([u, peak, *np.log(rates)])
            for u, *rates in product((0.2, 0.7), (6.0, 2.0, 0.8), (0.4, 0.12), (0.03, 0.01, 0.003))
        ]
    )
    if start is None:
        start = min(nodes, key=lambda node: float(np.sum(solve(node)[1] ** 2)))
    else:
        start = np.clip(start, lower + 1e-9, upper - 1e-9)

    def misfit(x: Array) -> Array:
        return solve(x)[1]

    done = least_squares(
        misfit,
        start,
        bounds=(lower, upper),
        x_scale=[0.3, 0.3 * peak, 1, 1, 1],
        max_nfev=60,
    )
    amplitudes, residual = solve(done.x)
    rss = float(residual @ residual)
    t0, t_pk = done.x[0] * done.x[1], float(done.x[1])
    rates = np.exp(done.x[2:])
    order = np.argsort(-rates)
    # knots close together where the curve bends, further apart later: chord error below 1e-4
    late = t_pk + np.concatenate(([0.0], np.geomspace(0.01, max(end - t_pk, 0.02), 160)))
    knots = np.unique(np.concatenate(([0.0, t0], late[late <= end], [end])))
    fitted = _basis(knots, done.x) @ amplitudes
    flags = ("peak_low",) if amplitudes.sum() < PEAK_LOW * values.max() else ()
    params = {"t0": float(t0), "t_pk": t_pk}
    for i, j in enumerate(order, start=1):
        params[f"A{i}"] = float(amplitudes[j])
        params[f"lambda{i}"] = float(rates[j])
    return Curve(
        "triexp",
        knots,
        np.maximum(fitted, 0.0),
        float(time[-1]),
        params,
        rss,
        aicc(rss, time.size, 8),
        8,
        flags,
        done.x,
    )


def _basis(t: Array, x: Array) -> Array:
    """Columns of the rise and one exponential each; (N, 3)."""
    t_pk = x[1]
    t0 = x[0] * t_pk
    rise = np.clip((t - t0) / (t_pk - t0), 0.0, 1.0)
    after = np.maximum(t - t_pk, 0.0)
    return np.asarray(rise[:, None] * np.exp(-after[:, None] * np.exp(x[2:])[None, :]))
