"""Exact convolution of a piecewise-linear input with an exponential, as frame means.

``y' = -theta y + c(t)`` with ``c`` linear on each step ``h`` of the grid has the
exact recursion ``y_{i+1} = E y_i + G0 c_i + G1 c_{i+1}``, whatever the steps.
The mean over a frame is exact too: a scanner that decay-corrects the counts of
a whole frame ``[s, e]`` reports

    lambda int_s^e C(t) exp(-lambda t) dt / (exp(-lambda s) - exp(-lambda e)),

and over one step ``int_0^h y exp(-lambda t) dt = A0 y_i + A1 c_i + A2 c_{i+1}``.
All five weights are positive, so nothing cancels in the sums; near ``theta h =
0`` they come from series. ``theta = 0`` gives the running integral of the input.

Everything is float64: single precision loses whole per cents of V_T here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction

Array = NDArray[np.float64]

# Knots this close (min) to a frame edge are that edge.
_SAME_TIME = 1e-9
# Steps that differ by less than this (min) share their weights: above the rounding
# of a difference of minutes, far below anything that moves a result.
_SAME_STEP = 1e-13
# Below this |z| the phi functions come from their Taylor series.
_SERIES = 0.2
# Below this (theta + lambda) h the frame weights A1, A2 come from a double series.
_DOUBLE_SERIES = 0.03
_ORDERS = 7

#: Share of the scan that the knots of an input may fall short of.
SHORT_SHARE = 0.1


@dataclass(frozen=True, eq=False)
class Grid:
    """Frames and input on one time grid that holds every edge and every knot.

    Attributes
    ----------
    plasma, whole_blood : (M + 1,) arrays
        Input at the grid points, kBq/mL.
    steps : (S,) array
        The distinct steps, min.
    step : (M,) int array
        Which of them each interval is.
    frame : (M,) int array
        Frame that an interval lies in, -1 in a gap.
    share : (M,) array
        Turns a decay-weighted integral over the interval, from its start, into
        a part of the frame's mean.
    decay : float
        Weighting decay constant, 1/min; 0 for plain means.
    plasma_mean, whole_blood_mean : (F,) arrays
        Frame means of the input, kBq/mL.
    """

    plasma: Array
    whole_blood: Array
    steps: Array
    step: NDArray[np.int64]
    frame: NDArray[np.int64]
    share: Array
    decay: float
    n_frames: int
    plasma_mean: Array
    whole_blood_mean: Array

    @property
    def arrays(self) -> tuple[Any, ...]:
        """What the kernels take: plasma, steps, step, frame, share, decay."""
        return (self.plasma, self.steps, self.step, self.frame, self.share, self.decay)


def make_grid(frames: Frames, input: InputFunction, *, decay_weighted: bool = True) -> Grid:
    """Put frames and input on one grid.

    Parameters
    ----------
    frames : Frames
        F frames.
    input : InputFunction
        As tissue sees it (delay applied).
    decay_weighted : bool
        Whether a frame mean is that of a frame decay-corrected as a whole, or
        the plain mean over time.

    Returns
    -------
    Grid

    Raises
    ------
    Refused
        When the input ends more than a tenth of the scan before the scan does.
    """
    scan_end = float(frames.end[-1])
    if scan_end - float(input.t[-1]) > SHORT_SHARE * scan_end:
        raise Refused(
            "The input function ends long before the scan.",
            field="input",
            found=f"last knot at {input.t[-1]:.1f} min, scan to {scan_end:.1f} min",
            expected="an input that reaches the end of the scan",
            mend="extrapolate the blood curve, or leave out the late frames",
        )
    edges = np.unique(np.concatenate(([0.0], frames.start, frames.end)))
    knots = input.t[input.t < scan_end]
    near = edges[np.clip(np.searchsorted(edges, knots), 0, edges.size - 1)]
    before = edges[np.clip(np.searchsorted(edges, knots) - 1, 0, edges.size - 1)]
    apart = np.minimum(np.abs(near - knots), np.abs(before - knots)) > _SAME_TIME
    # a step up (two knots a nanominute apart) must keep its foot
    steep = np.zeros(knots.size, dtype=bool)
    steep[:-1] = np.diff(knots) < 10 * _SAME_TIME
    t = np.unique(np.concatenate((edges, knots[apart | steep])))
    h = np.diff(t)
    ordered = np.sort(h)
    steps = ordered[np.concatenate(([True], np.diff(ordered) > _SAME_STEP))]
    step = np.searchsorted(steps, h, side="right") - 1
    middle = (t[1:] + t[:-1]) / 2
    frame = np.searchsorted(frames.start, middle) - 1
    inside = (frame >= 0) & (middle < frames.end[np.maximum(frame, 0)])
    frame = np.where(inside, frame, -1)
    decay = frames.decay_lambda if decay_weighted else 0.0
    width = frames.duration if decay == 0 else -np.expm1(-decay * frames.duration) / decay
    share = np.where(inside, np.exp(-decay * (t[:-1] - frames.start[frame])) / width[frame], 0.0)
    plasma, blood = input.at(t), input.whole_blood_at(t)
    return Grid(
        plasma,
        blood,
        steps,
        step.astype(np.int64),
        frame.astype(np.int64),
        share,
        decay,
        frames.n,
        _curve_mean(plasma, steps[step], frame, share, decay, frames.n),
        _curve_mean(blood, steps[step], frame, share, decay, frames.n),
    )


def _curve_mean(
    c: Array, h: Array, frame: NDArray[np.int64], share: Array, decay: float, n: int
) -> Array:
    phi1, phi2, _ = _phi_array(decay * h)
    late = phi1 - phi2
    part = share * h * (c[:-1] * (phi1 - late) + c[1:] * late)
    inside = frame >= 0
    return np.bincount(frame[inside], weights=part[inside], minlength=n).astype(np.float64)


def frame_operator(grid: Grid) -> Array:
    """Return the operator from values at the grid points to frame means.

    Parameters
    ----------
    grid : Grid
        M steps, F frames.

    Returns
    -------
    (F, M + 1) array
        Exact for a curve that is linear on each step.
    """
    h = grid.steps[grid.step]
    phi1, phi2, _ = _phi_array(grid.decay * h)
    late = phi1 - phi2
    out = np.zeros((grid.n_frames, h.size + 1))
    inside = np.flatnonzero(grid.frame >= 0)
    part = (grid.share * h)[inside]
    np.add.at(out, (grid.frame[inside], inside), part * (phi1 - late)[inside])
    np.add.at(out, (grid.frame[inside], inside + 1), part * late[inside])
    return out


def _phi_array(x: Array) -> tuple[Array, Array, Array]:
    values, where = np.unique(x, return_inverse=True)
    out = np.array([_phi(float(v)) for v in values])[where]
    return out[:, 0], out[:, 1], out[:, 2]


def basis(theta: Array, grid: Grid) -> tuple[Array, Array]:
    """Return frame means of ``C_P`` convolved with exponentials, and their slopes.

    Parameters
    ----------
    theta : (K,) array
        Rates in 1/min, zero or more.
    grid : Grid

    Returns
    -------
    mean : (K, F) array
        Frame means of ``C_P (x) exp(-theta t)``, kBq/mL min.
    slope : (K, F) array
        Derivative with respect to ``theta``.
    """
    theta = np.ascontiguousarray(theta, dtype=np.float64)
    mean = np.empty((theta.size, grid.n_frames))
    slope = np.empty_like(mean)
    _basis_table(theta, *grid.arrays, mean, slope)
    return mean, slope


def running_input(grid: Grid) -> Array:
    """Return frame means of the running integral of parent plasma, (F,) kBq/mL min."""
    return np.asarray(basis(np.zeros(1), grid)[0][0])


@njit(cache=True, error_model="numpy")
def _phi(x):  # type: ignore[no-untyped-def]
    """Return phi_1, phi_2, phi_3 at -x: phi_0 = exp, phi_{k+1} = (phi_k - 1/k!)/z."""
    if x < _SERIES:
        term = 1.0 / 6.0
        phi3 = 0.0
        for k in range(12):
            phi3 += term
            term *= -x / (k + 4)
        phi2 = 0.5 - x * phi3
        return 1.0 - x * phi2, phi2, phi3
    phi1 = -np.expm1(-x) / x
    phi2 = (1.0 - phi1) / x
    return phi1, phi2, (0.5 - phi2) / x


@njit(cache=True, error_model="numpy")
def _double_series(a, b):  # type: ignore[no-untyped-def]
    """Return A2/h^2, (A1 + A2)/h^2 and their derivatives in a, for small a + b."""
    late = whole = d_late = d_whole = 0.0
    bj = 1.0  # (-b)^j / j!
    for j in range(_ORDERS):
        ak, dk = 1.0, 0.0  # (-a)^k and its derivative
        fact = 1.0  # (k + 1)!
        for k in range(_ORDERS - j):
            wide = bj / (fact * (j + k + 2))
            narrow = bj / (fact * (k + 2) * (j + k + 3))
            whole += wide * ak
            late += narrow * ak
            d_whole += wide * dk
            d_late += narrow * dk
            dk = -(k + 1) * ak
            ak *= -a
            fact *= k + 2
        bj *= -b / (j + 1)
    return late, whole, d_late, d_whole


@njit(cache=True, error_model="numpy")
def _step_weights(theta, decay, h, w):  # type: ignore[no-untyped-def]
    """Fill w (12,): E, G0, G1, A0, A1, A2 of a step, then their derivatives in theta."""
    a, b = theta * h, decay * h
    m = a + b
    p1, p2, p3 = _phi(a)
    # phi_k' = phi_k - k phi_{k+1}, and d/d theta = -h d/dz
    d1, d2 = p1 - p2, p2 - 2.0 * p3
    w[0] = np.exp(-a)
    w[1] = h * (p1 - p2)
    w[2] = h * p2
    w[6] = -h * w[0]
    w[7] = -h * h * (d1 - d2)
    w[8] = -h * h * d2
    m1, m2, _ = _phi(m)
    w[3] = h * m1
    w[9] = -h * h * (m1 - m2)
    h2 = h * h
    if m < _DOUBLE_SERIES:
        late, whole, d_late, d_whole = _double_series(a, b)
        w[4] = h2 * (whole - late)
        w[5] = h2 * late
        w[10] = h2 * h * (d_whole - d_late)
        w[11] = h2 * h * d_late
    else:
        q1, q2, _ = _phi(b)
        fall = np.exp(-b)
        late = (q1 - q2 - fall * p2) / m
        early = (q2 - fall * (p1 - p2)) / m
        w[4] = h2 * early
        w[5] = h2 * late
        w[10] = h2 * h * (fall * (d1 - d2) - early) / m
        w[11] = h2 * h * (fall * d2 - late) / m


@njit(cache=True, error_model="numpy")
def frame_means(theta, c, steps, step, frame, share, decay, w, mean, slope):  # type: ignore[no-untyped-def]
    """Frame means of ``c (x) exp(-theta t)`` and their derivative in theta.

    Parameters
    ----------
    theta : float
        1/min.
    c, steps, step, frame, share, decay
        As of :class:`Grid`.
    w : (S, 12) array
        Scratch.
    mean, slope : (F,) arrays
        Filled.
    """
    for s in range(steps.size):
        _step_weights(theta, decay, steps[s], w[s])
    mean[:] = 0.0
    slope[:] = 0.0
    y = z = 0.0
    for i in range(step.size):
        k = step[i]
        c0, c1 = c[i], c[i + 1]
        f = frame[i]
        if f >= 0:
            mean[f] += share[i] * (w[k, 3] * y + w[k, 4] * c0 + w[k, 5] * c1)
            slope[f] += share[i] * (w[k, 3] * z + w[k, 9] * y + w[k, 10] * c0 + w[k, 11] * c1)
        z = w[k, 0] * z + w[k, 6] * y + w[k, 7] * c0 + w[k, 8] * c1
        y = w[k, 0] * y + w[k, 1] * c0 + w[k, 2] * c1


@njit(cache=True, error_model="numpy", nogil=True)
def _basis_table(theta, c, steps, step, frame, share, decay, mean, slope):  # type: ignore[no-untyped-def]
    w = np.empty((steps.size, 12))
    for j in range(theta.size):
        frame_means(theta[j], c, steps, step, frame, share, decay, w, mean[j], slope[j])
