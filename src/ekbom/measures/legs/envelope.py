"""The envelope: root mean square of short windows, on a grid of about ten milliseconds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit

from ekbom.measures.legs.events import Array


@dataclass(frozen=True)
class Envelope:
    """The strength of the EMG over time.

    Parameters
    ----------
    power : (K,) array
        Mean square of each block, uV^2.
    block : int
        Samples of a block.
    fs : float
        Hz, of the signal.
    window : float
        Seconds of the window asked for.
    """

    power: Array
    block: int
    fs: float
    window: float

    @property
    def step(self) -> float:
        """Seconds of a block."""
        return self.block / self.fs

    @property
    def blocks(self) -> int:
        """Blocks of a window, an odd number so that windows have a middle."""
        return max(2 * round((self.window / self.step - 1) / 2) + 1, 1)

    @property
    def times(self) -> Array:
        """(K,) middle of each block, s."""
        return np.asarray((np.arange(self.power.size) + 0.5) * self.step, np.float64)

    @cached_property
    def values(self) -> Array:
        """(K,) root mean square of the window about each block, uV."""
        return np.asarray(_rms(self.power, self.blocks // 2), np.float64)


def envelope(x: Array, fs: float, window: float) -> Envelope:
    """Return the envelope of a filtered signal.

    Parameters
    ----------
    x : (N,) array
        uV.
    fs : float
        Hz.
    window : float
        s.

    Returns
    -------
    Envelope
        Of whole blocks; samples after the last one are left out.
    """
    block = max(math.floor(0.01 * fs + 1e-9), 1)
    return Envelope(np.asarray(_power(x, block)), block, fs, window)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _power(x: Array, block: int) -> Array:  # pragma: no cover - compiled
    out = np.empty(x.size // block)
    for k in range(out.size):
        total = 0.0
        for i in range(k * block, (k + 1) * block):
            total += x[i] * x[i]
        out[k] = total / block
    return out


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _rms(power: Array, half: int) -> Array:  # pragma: no cover - compiled
    n = power.size
    out = np.empty(n)
    for k in range(n):
        low, high = max(k - half, 0), min(k + half + 1, n)
        total = 0.0
        for i in range(low, high):
            total += power[i]
        out[k] = math.sqrt(total / (high - low))
    return out
