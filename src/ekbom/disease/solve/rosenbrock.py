"""RODAS: a stiffly accurate Rosenbrock method of order 4(3), one person at a time.

Coefficients: Hairer and Wanner, Solving Ordinary Differential Equations II,
1996, section IV.7 (RODAS). Every step ends on the output grid, so that more
output changes no number; the solver starts anew at each event.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from ekbom.disease.solve._generated import (
    N_ENTRIES,
    N_FACTORS,
    derive,
    factorise,
    jacobian,
    outputs,
    rhs,
    substitute,
)

#: Fingerprint of the compiled model, written with it: numba then compiles the solver anew.
MODEL = "fd900262ad3f4a87"
_GAMMA = 0.25
_TIME = np.array([0.0, 0.386, 0.21, 0.63, 1.0, 1.0])
_SLOPE = np.array([0.25, -0.1043, 0.1035, -0.0362, 0.0, 0.0])
_A = np.zeros((6, 6))
_A[1, 0] = 1.544
_A[2, :2] = 0.9466785280815826, 0.2557011698983284
_A[3, :3] = 3.314825187068521, 2.896124015972201, 0.9986419139977817
_A[4, :4] = 1.221224509226641, 6.019134481288629, 12.53708332932087, -0.687886036105895
_A[5, :5] = 1.221224509226641, 6.019134481288629, 12.53708332932087, -0.687886036105895, 1.0
_C = np.zeros((6, 6))
_C[1, 0] = -5.6688
_C[2, :2] = -2.430093356833875, -0.2063599157091915
_C[3, :3] = -0.1073529058151375, -9.594562251023355, -20.47028614809616
_C[4, :4] = 7.496443313967647, -10.24680431464352, -33.99990352819905, 11.7089089320616
_C[5, :5] = (
    8.083246795921522,
    -7.981132988064893,
    -31.52159432874371,
    16.31930543123136,
    -6.058818238834054,
)

#: Codes of a person's run.
DONE, TOO_MANY_STEPS, STEP_TOO_SMALL, NOT_FINITE = 0, 1, 2, 3


@njit(cache=True, error_model="numpy")
def advance(t0, t1, y, p, rtol, atol, hmax, h, work):  # type: ignore[no-untyped-def]
    """Integrate one person from t0 to t1 in place.

    Parameters
    ----------
    t0, t1 : float
        Hours.
    y : (S,) float
        State, overwritten.
    p : (P,) float
        Parameters with the derived ones.
    rtol : float
        Relative tolerance.
    atol : (S,) float
        Absolute tolerance of each state.
    hmax, h : float
        Longest step and the first to be tried, hours.
    work : tuple
        Scratch of :func:`scratch`.

    Returns
    -------
    tuple of (int, float, float)
        Code, time reached, step to try next.
    """
    k, entry, w, ft, trial, dy = work
    n = y.shape[0]
    t, steps = t0, 0
    tiny = 1e-12 * max(1.0, abs(t1))
    while t1 - t > tiny:
        steps += 1
        if steps > 200000:
            return TOO_MANY_STEPS, t, h
        wanted = min(h, hmax)
        h = wanted
        last = t + h * 1.000001 >= t1
        if last:
            h = t1 - t
        jacobian(t, y, p, entry, ft)
        factorise(entry, 1.0 / (h * _GAMMA), w)
        for stage in range(6):
            for i in range(n):
                s = y[i]
                for j in range(stage):
                    s += _A[stage, j] * k[j, i]
                trial[i] = s
            rhs(t + _TIME[stage] * h, trial, p, dy)
            for i in range(n):
                s = dy[i] + h * _SLOPE[stage] * ft[i]
                for j in range(stage):
                    s += _C[stage, j] / h * k[j, i]
                k[stage, i] = s
            substitute(w, k[stage])
        # stage 6 starts from the embedded solution; its own k is the error
        error = 0.0
        for i in range(n):
            new = trial[i] + k[5, i]
            size = atol[i] + rtol * max(abs(y[i]), abs(new))
            error += (k[5, i] / size) ** 2
            trial[i] = new
        error = (error / n) ** 0.5
        if not np.isfinite(error):
            h *= 0.1
            if h < 1e-10:
                return NOT_FINITE, t, h
            continue
        factor = min(5.0, max(0.2, 0.9 / max(error, 1e-10) ** 0.25))
        if error <= 1.0:
            for i in range(n):
                y[i] = trial[i]
            t = t1 if last else t + h
            h = max(wanted, h * factor) if last and h < wanted else h * factor
        else:
            h *= min(factor, 0.9)
            if h < 1e-10:
                return STEP_TOO_SMALL, t, h
    return DONE, t1, h


@njit(cache=True)
def scratch(n):  # type: ignore[no-untyped-def]
    """Return scratch arrays of n states.

    Parameters
    ----------
    n : int
        Number of states.

    Returns
    -------
    tuple of arrays
        Stages, Jacobian entries, factors, time derivative, trial state, rate.
    """
    return (
        np.empty((6, n)),
        np.empty(N_ENTRIES),
        np.empty(N_FACTORS),
        np.empty(n),
        np.empty(n),
        np.empty(n),
    )


@njit(cache=True, error_model="numpy")
def person(y, p, times, events, rtol, atol, hmax, out_y, out_a, work):  # type: ignore[no-untyped-def]
    """Run one person over the output times, events included.

    Parameters
    ----------
    y : (S,) float
        State at ``times[0]``, overwritten.
    p : (P,) float
        Parameters, overwritten by events.
    times : (T,) float
        Output times, hours.
    events : (E, 4) float
        Time, kind (0 adds to a state, 1 sets a parameter), index, amount;
        sorted by time, none before ``times[0]``.
    rtol, atol, hmax
        As in :func:`advance`.
    out_y : (T, S) float
        States at the output times, after the events of that time.
    out_a : (T, A) float
        Assignments and read-outs.
    work : tuple
        Scratch.

    Returns
    -------
    tuple of (int, float)
        Code and the time reached.
    """
    derive(p)
    t, e, h = times[0], 0, min(hmax, 0.01)
    for i in range(times.shape[0]):
        while True:
            target, hit = times[i], False
            if e < events.shape[0] and events[e, 0] <= target:
                target, hit = events[e, 0], True
            if target > t:
                code, t, h = advance(t, target, y, p, rtol, atol, hmax, h, work)
                if code != DONE:
                    return code, t
            if not hit:
                break
            index = int(events[e, 2])
            if events[e, 1] == 0.0:
                y[index] += events[e, 3]
            else:
                p[index] = events[e, 3]
                derive(p)
            h = min(h, 0.01)
            e += 1
        out_y[i] = y
        outputs(t, y, p, out_a[i])
    return DONE, t


@njit(cache=True, parallel=True, error_model="numpy")
def people(y, p, times, events, first, rtol, atol, hmax, out_y, out_a, code, reached):  # type: ignore[no-untyped-def]
    """Run many people, each on its own, whatever the number of threads.

    Parameters
    ----------
    y : (N, S) float
        States, overwritten by the last ones.
    p : (N, P) float
        Parameters.
    times : (T,) float
        Output times, hours.
    events : (E, 4) float
        Events of all people, those of person i in ``first[i]:first[i + 1]``.
    first : (N + 1,) int
        See above.
    rtol, atol, hmax
        As in :func:`advance`.
    out_y : (N, T, S) float
        States.
    out_a : (N, T, A) float
        Assignments and read-outs.
    code : (N,) int
        How each run ended.
    reached : (N,) float
        The time each run reached, hours.
    """
    for i in prange(y.shape[0]):
        work = scratch(y.shape[1])
        own = events[first[i] : first[i + 1]]
        code[i], reached[i] = person(
            y[i], p[i], times, own, rtol, atol, hmax, out_y[i], out_a[i], work
        )
