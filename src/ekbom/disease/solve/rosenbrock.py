"""RODAS: a stiffly accurate Rosenbrock method of order 4(3), one person at a time.

Coefficients: Hairer and Wanner, Solving Ordinary Differential Equations II,
1996, section IV.7 (RODAS). Every step ends on the output grid, so that more
output changes no number; the solver starts anew at each event. The first stage
is at the point of the Jacobian, which therefore gives its rates; the last two
are at the end of the step and share the clock with the next.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numba import get_num_threads, njit
from numpy.typing import NDArray

from ekbom.disease.solve._generated import (
    N_CLOCK,
    N_ENTRIES,
    N_FACTORS,
    N_FOLDED,
    clock,
    derive,
    factorise,
    fold,
    jacobian,
    outputs,
    slopes,
    substitute,
)
from ekbom.disease.solve.stages import five, four, lean, one, three, two

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
#: Fingerprint of the compiled model, written with it: numba then compiles the solver anew.
MODEL = "3922d439993fb82a"
_GAMMA = 0.25
T2, T3, T4 = 0.386, 0.21, 0.63
S1, S2, S3, S4 = 0.25, -0.1043, 0.1035, -0.0362
A21 = 1.544
A31, A32 = 0.9466785280815826, 0.2557011698983284
A41, A42, A43 = 3.314825187068521, 2.896124015972201, 0.9986419139977817
A51, A52, A53, A54 = 1.221224509226641, 6.019134481288629, 12.53708332932087, -0.687886036105895
C21 = -5.6688
C31, C32 = -2.430093356833875, -0.2063599157091915
C41, C42, C43 = -0.1073529058151375, -9.594562251023355, -20.47028614809616
C51, C52, C53, C54 = 7.496443313967647, -10.24680431464352, -33.99990352819905, 11.7089089320616
C61, C62, C63, C64, C65 = (
    8.083246795921522,
    -7.981132988064893,
    -31.52159432874371,
    16.31930543123136,
    -6.058818238834054,
)

#: People that a thread takes at a time.
CHUNK = 16
#: Codes of a person's run.
DONE, TOO_MANY_STEPS, STEP_TOO_SMALL, NOT_FINITE = 0, 1, 2, 3


@njit(cache=True, error_model="numpy", inline="always")
def advance(t0, t1, y, q, rtol, atol, hmax, h, work):  # type: ignore[no-untyped-def]
    """Integrate one person from t0 to t1 in place.

    Parameters
    ----------
    t0, t1 : float
        Hours.
    y : (S,) float
        State, overwritten.
    q : (Q,) float
        Parameters with the derived ones and what follows from them alone.
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
    k1, k2, k3, k4, k5, k6, entry, w, ft, trial, dy, base, now, end, mid = work
    n = y.shape[0]
    t, steps = t0, 0
    tiny = 1e-12 * max(1.0, abs(t1))
    known = np.nan  # the time of the clock at the end of the step before
    while t1 - t > tiny:
        steps += 1
        if steps > 200000:
            return TOO_MANY_STEPS, t, h
        wanted = min(h, hmax)
        h = wanted
        last = t + h * 1.000001 >= t1
        if last:
            h = t1 - t
        if known == t:
            now, end = end, now
        else:
            clock(t, q, now)
        known = t + h
        clock(known, q, end)
        jacobian(t, now, y, q, dy, entry, ft)
        factorise(entry, 1.0 / (h * _GAMMA), w)

        lean(dy, h * S1, ft, k1)
        substitute(w, k1)

        one(y, A21, k1, trial)
        clock(t + T2 * h, q, mid)
        slopes(mid, trial, q, dy)
        lean(dy, h * S2, ft, base)
        one(base, C21 / h, k1, k2)
        substitute(w, k2)

        two(y, A31, A32, k1, k2, trial)
        clock(t + T3 * h, q, mid)
        slopes(mid, trial, q, dy)
        lean(dy, h * S3, ft, base)
        two(base, C31 / h, C32 / h, k1, k2, k3)
        substitute(w, k3)

        three(y, A41, A42, A43, k1, k2, k3, trial)
        clock(t + T4 * h, q, mid)
        slopes(mid, trial, q, dy)
        lean(dy, h * S4, ft, base)
        three(base, C41 / h, C42 / h, C43 / h, k1, k2, k3, k4)
        substitute(w, k4)

        four(y, A51, A52, A53, A54, k1, k2, k3, k4, trial)
        slopes(end, trial, q, dy)
        four(dy, C51 / h, C52 / h, C53 / h, C54 / h, k1, k2, k3, k4, k5)
        substitute(w, k5)

        five(y, A51, A52, A53, A54, 1.0, k1, k2, k3, k4, k5, trial)
        slopes(end, trial, q, dy)
        five(dy, C61 / h, C62 / h, C63 / h, C64 / h, C65 / h, k1, k2, k3, k4, k5, k6)
        substitute(w, k6)
        # stage 6 starts from the embedded solution; its own k is the error
        error = 0.0
        for i in range(n):
            new = trial[i] + k6[i]
            size = atol[i] + rtol * max(abs(y[i]), abs(new))
            error += (k6[i] / size) ** 2
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
        Six stages, Jacobian entries, factors, time derivative, trial state, rate,
        start of a stage, and the clock now, at the end of the step and within it.
    """
    return (
        np.empty(n),
        np.empty(n),
        np.empty(n),
        np.empty(n),
        np.empty(n),
        np.empty(n),
        np.empty(N_ENTRIES),
        np.empty(N_FACTORS),
        np.empty(n),
        np.empty(n),
        np.empty(n),
        np.empty(n),
        np.empty(N_CLOCK),
        np.empty(N_CLOCK),
        np.empty(N_CLOCK),
    )


@njit(cache=True, error_model="numpy", inline="always")
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
    q = np.empty(N_FOLDED)
    derive(p)
    fold(p, q)
    t, e, h = times[0], 0, min(hmax, 0.01)
    for i in range(times.shape[0]):
        while True:
            target, hit = times[i], False
            if e < events.shape[0] and events[e, 0] <= target:
                target, hit = events[e, 0], True
            if target > t:
                code, t, h = advance(t, target, y, q, rtol, atol, hmax, h, work)
                if code != DONE:
                    out_y[i:] = np.nan
                    out_a[i:] = np.nan
                    return code, t
            if not hit:
                break
            index = int(events[e, 2])
            if events[e, 1] == 0.0:
                y[index] += events[e, 3]
            else:
                p[index] = events[e, 3]
                derive(p)
                fold(p, q)
            h = min(h, 0.01)
            e += 1
        for j in range(y.shape[0]):
            out_y[i, j] = y[j]
        outputs(t, y, p, out_a[i])
    return DONE, t


@njit(cache=True, nogil=True, error_model="numpy")
def some(low, high, y, p, times, events, first, rtol, atol, hmax, out_y, out_a, code, reached):  # type: ignore[no-untyped-def]
    """Run people ``low`` to ``high`` less one; arrays as in :func:`people`."""
    work = scratch(y.shape[1])
    for i in range(low, high):
        own = events[first[i] : first[i + 1]]
        code[i], reached[i] = person(
            y[i], p[i], times, own, rtol, atol, hmax, out_y[i], out_a[i], work
        )


def people(
    y: Array,
    p: Array,
    times: Array,
    events: Array,
    first: Ints,
    rtol: float,
    atol: Array,
    hmax: float,
    out_y: Array,
    out_a: Array,
    code: Ints,
    reached: Array,
) -> None:
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
    given: tuple[Any, ...] = (
        y,
        p,
        times,
        events,
        first,
        rtol,
        atol,
        hmax,
        out_y,
        out_a,
        code,
        reached,
    )
    threads = min(get_num_threads(), -(-len(y) // CHUNK))
    if threads < 2:
        some(0, len(y), *given)
        return
    pool = ThreadPoolExecutor(threads)
    try:
        for part in [
            pool.submit(some, low, min(low + CHUNK, len(y)), *given)
            for low in range(0, len(y), CHUNK)
        ]:
            part.result()
    finally:
        pool.shutdown(cancel_futures=True)
