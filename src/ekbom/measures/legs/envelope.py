"""The envelope: root mean square of short windows, on a grid of about ten milliseconds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from ekbom.measures.legs.events import Array

#: Blocks worked on at a time, so that their powers stay near the processor.
_TILE = 1024


@dataclass(frozen=True)
class Envelope:
    """The strength of the EMG over time.

    Parameters
    ----------
    values : (K,) array
        Root mean square of the window about each block, uV.
    block : int
        Samples of a block.
    fs : float
        Hz, of the signal.
    window : float
        Seconds of the window asked for.
    """

    values: Array
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
        return _blocks(self.block / self.fs, self.window)


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
    return Envelope(np.asarray(_rms(x, block, _blocks(block / fs, window) // 2)), block, fs, window)


def _blocks(step: float, window: float) -> int:
    return max(2 * round((window / step - 1) / 2) + 1, 1)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def powers(x: Array, block: int, count: int, every: int) -> Array:  # pragma: no cover - compiled
    """Mean square of the blocks 0, every, 2 every ... below count, uV^2."""
    out = np.empty((count + every - 1) // every)
    for k in range(out.size):
        total = 0.0
        for i in range(k * every * block, (k * every + 1) * block):
            total += x[i] * x[i]
        out[k] = total / block
    return out


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _rms(x: Array, block: int, half: int) -> Array:  # pragma: no cover - compiled
    n = x.size // block
    out = np.zeros(n)
    for start in range(0, n, _TILE):
        stop = min(start + _TILE, n)
        low, high = max(start - half, 0), min(stop + half, n)
        power = powers(x[low * block : high * block], block, high - low, 1)
        # Windows that are cut by an end of the recording, then whole ones side by side.
        first, past = min(max(start, half), stop), max(min(stop, n - half), start)
        for k in range(start, stop):
            if first <= k < past:
                continue
            a, b = max(k - half, 0), min(k + half + 1, n)
            for i in range(a, b):
                out[k] += power[i - low]
            out[k] = math.sqrt(out[k] / (b - a))
        whole = out[first:past]
        for j in range(2 * half + 1):
            whole += power[first - half - low + j : past - half - low + j]
        for k in range(whole.size):
            whole[k] = math.sqrt(whole[k] / (2 * half + 1))
    return out
