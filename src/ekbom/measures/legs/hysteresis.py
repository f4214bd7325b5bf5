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

    Parameters
    ----------
    env : Envelope
    rest : (K,) array
        Rest level of each block, uV.
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
    first, past = _bursts(env.values, rest, on, off, hold_blocks, usable)
    return np.asarray(first), np.asarray(past)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _bursts(
    values: Array, rest: Array, on: float, off: float, hold: int, usable: Bools
) -> tuple[Ints, Ints]:  # pragma: no cover - compiled
    n = values.size
    first, past = np.empty(n // 2 + 2, np.int64), np.empty(n // 2 + 2, np.int64)
    count, active, low = 0, False, 0
    for k in range(n):
        if not active:
            if usable[k] and values[k] >= rest[k] + on:
                first[count] = k
                active, low = True, 0
        elif not usable[k]:
            past[count] = k - low
            count += 1
            active = False
        elif values[k] < rest[k] + off:
            low += 1
            if low == hold:
                past[count] = k - hold + 1
                count += 1
                active = False
        else:
            low = 0
    if active:
        # what stayed low for less than the hold at the very end is still low
        past[count] = n - low
        count += 1
    return first[:count].copy(), past[:count].copy()
