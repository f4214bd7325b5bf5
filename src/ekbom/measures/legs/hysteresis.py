"""From envelope and rest level to movements: on high, off low, off for long enough."""

from __future__ import annotations

import numpy as np
from numba import njit

from ekbom.measures.legs.envelope import Envelope
from ekbom.measures.legs.events import Array, Bools, Ints


def bursts(
    env: Envelope, rest: Array, on: float, off: float, hold: float, usable: Bools
) -> tuple[Ints, Ints]:
    """Find bursts by their blocks.

    The rest level of a block lies on the straight line between those of the
    middles of the seconds about it.

    Parameters
    ----------
    env : Envelope
    rest : (S,) array
        Rest level of each second, uV.
    on, off : float
        uV above rest: reached at the onset, not reached after the offset.
    hold : float
        Seconds the envelope must stay low.
    usable : (K,) array of bool
        Where there is a signal; a burst ends where it does not.

    Returns
    -------
    first : (B,) array of int
        First block of a burst.
    past : (B,) array of int
        First block after it; the number of blocks when the recording ends first.
    """
    # Windows whose middle lies a half window inside the span see only that span.
    hold_blocks = max(round(hold / env.step) - (env.blocks - 1), 1)
    first, past = _bursts(env.values, env.step, rest, on, off, hold_blocks, usable)
    return np.asarray(first), np.asarray(past)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _line(rest: Array, second: int) -> tuple[float, float]:  # pragma: no cover - compiled
    """Slope and start of the level from the middle of a second (-1: before the first) on."""
    if second < 0 or second >= rest.size - 1:
        return 0.0, float(rest[max(second, 0)])
    return float(rest[second + 1] - rest[second]), float(rest[second])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _bursts(
    values: Array, step: float, rest: Array, on: float, off: float, hold: int, usable: Bools
) -> tuple[Ints, Ints]:  # pragma: no cover - compiled
    n = values.size
    # A burst is ended by the hold, or where the signal ends.
    most = n // (hold + 1) + 2
    for k in range(1, n):
        most += usable[k - 1] and not usable[k]
    first, past = np.empty(most, np.int64), np.empty(most, np.int64)
    count, active, low, k = 0, False, 0, 0
    for second in range(-1, rest.size):
        slope, start = _line(rest, second)
        middle = second + 0.5
        until = second + 1.5 if second < rest.size - 1 else np.inf
        while k < n:
            t = (k + 0.5) * step
            if t >= until:
                break
            level = slope * (t - middle) + start
            if not active:
                if values[k] >= level + on and usable[k]:
                    first[count] = k
                    active, low = True, 0
            elif not usable[k]:
                past[count] = k - low
                count += 1
                active = False
            elif values[k] < level + off:
                low += 1
                if low == hold:
                    past[count] = k - hold + 1
                    count += 1
                    active = False
            else:
                low = 0
            k += 1
    if active:
        # what stayed low for less than the hold at the very end is still low
        past[count] = n - low
        count += 1
    return first[:count].copy(), past[:count].copy()


def judged(
    env: Envelope, rest: Array, first: Ints, past: Ints, on: float, off: float, asked: Bools
) -> Ints:
    """Tell movements from steps of the floor, and those of enough shape (R4).

    Parameters
    ----------
    env : Envelope
    rest : (S,) array
        Rest level of each second, uV.
    first, past : (B,) array of int
        Of :func:`bursts`.
    on, off : float
        uV above rest.
    asked : (B,) array of bool
        Bursts to look at.

    Returns
    -------
    (B,) array of int
        1 when some half second has a median at or above rest + off, 0 when none
        has, -1 for a step of the floor (no block of the burst stands `on` above both
        the five seconds before and those after), or when not asked.
    """
    five, half = round(5.0 / env.step), round(0.5 / env.step)
    found = _judged(env.values, env.step, rest, first, past, on, off, five, half, asked)
    return np.asarray(found)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _judged(
    values: Array,
    step: float,
    rest: Array,
    first: Ints,
    past: Ints,
    on: float,
    off: float,
    five: int,
    half: int,
    asked: Bools,
) -> Ints:  # pragma: no cover - compiled
    out = np.full(first.size, -1)
    for i in range(first.size):
        a, b = first[i], past[i]
        if not asked[i]:
            continue
        top = values[a:b].max()
        if _is_step(values[max(a - five, 0) : a], top, on):
            continue
        if _is_step(values[b : b + five], top, on):
            continue
        above = np.empty(b - a)
        second = max(int((a + 0.5) * step) - 2, -1)
        slope, start = _line(rest, second)
        for k in range(a, b):
            t = (k + 0.5) * step
            while second + 1 < rest.size and second + 1.5 <= t:
                second += 1
                slope, start = _line(rest, second)
            above[k - a] = values[k] - (slope * (t - (second + 0.5)) + start + off)
        out[i] = _raised(above, half)
    return out


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _is_step(beside: Array, top: float, on: float) -> bool:  # pragma: no cover - compiled
    """Whether the top lies less than `on` above the upper median of what stands beside."""
    if not beside.size:
        return top < on
    above = 0
    for v in beside:
        above += top < v + on
    return above >= beside.size - beside.size // 2


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _raised(above: Array, width: int) -> bool:  # pragma: no cover - compiled
    """Whether some half second has a median at or above zero."""
    if above.size < width:
        return bool(np.median(above) >= 0)
    high = 0
    for k in range(width):
        high += above[k] >= 0
    most = high
    for k in range(width, above.size):
        high += above[k] >= 0
        high -= above[k - width] >= 0
        most = max(most, high)
    return bool(most * 2 >= width)
