"""Band, mains and zero phase: the EMG between 10 and 100 Hz, in chunks.

Every chunk is filtered with a margin on both sides in which the filters forget
what came before, so that a whole night and its pieces agree to 1e-9 while only
one chunk at a time is held twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import signal

from ekbom.measures.legs.events import Array, Ints

#: Seconds of a chunk, and of its margins.
CHUNK, MARGIN = 1800.0, 10.0
#: Chunks filtered side by side, and samples of them that stay near the processor.
LANES, _TILE = 8, 256
#: Mains are notched when their power stands out by this factor.
MAINS_FACTOR = 10.0


@dataclass(frozen=True)
class Channel:
    """One EMG or ECG channel as it was recorded.

    Parameters
    ----------
    name : str
        As in the file.
    leg : int
        LEFT, RIGHT or UNKNOWN.
    raw : (N,) array
        Samples as stored, integers or floats.
    fs : float
        Hz.
    gain, offset : float
        ``uV = gain * raw + offset``.
    rails : tuple of float
        Smallest and largest stored value; NaN when the format has none.
    """

    name: str
    leg: int
    raw: NDArray[Any]
    fs: float
    gain: float = 1.0
    offset: float = 0.0
    rails: tuple[float, float] = (float("nan"), float("nan"))

    @property
    def seconds(self) -> float:
        """Length of the recording, s."""
        return float(self.raw.size / self.fs)

    def microvolts(self, start: int = 0, stop: int | None = None) -> Array:
        """Return samples in uV."""
        return np.asarray(self.raw[start:stop], np.float64) * self.gain + self.offset


def mains_found(channel: Channel, high: float) -> tuple[float, ...]:
    """Return the mains frequencies and harmonics that stand out of the spectrum.

    Parameters
    ----------
    channel : Channel
    high : float
        Upper end of the band, Hz.

    Returns
    -------
    tuple of float
        Hz; empty when neither 50 nor 60 Hz is ten times as strong as its neighbours.
    """
    n = int(4 * channel.fs)
    if channel.raw.size < 2 * n:
        return ()
    starts = np.linspace(0, channel.raw.size - n, min(60, channel.raw.size // n)).astype(np.int64)
    window = signal.get_window("hann", n)
    spectra = [
        np.square(np.abs(np.fft.rfft(window * (x - x.mean()))))
        for x in (channel.microvolts(s, s + n) for s in starts.tolist())
    ]
    # The median over the night: movements and loose electrodes are short.
    power = np.median(spectra, axis=0)
    f = np.fft.rfftfreq(n, 1 / channel.fs)
    found: list[float] = []
    for base in (50.0, 60.0):
        for k in range(1, int(channel.fs / 2 // base) + 1):
            at = base * k
            if at > high + 5.0 or at > 0.48 * channel.fs or (k > 1 and base not in found):
                break
            peak = power[np.abs(f - at) <= 0.5].max()
            beside = power[(np.abs(f - at) > 1.5) & (np.abs(f - at) <= 6.0)]
            if beside.size and peak > MAINS_FACTOR * np.median(beside):
                found.append(at)
    return tuple(found)


def design(fs: float, low: float, high: float, notches: tuple[float, ...] = ()) -> Array:
    """Return the second-order sections of the band and the notches.

    Parameters
    ----------
    fs : float
        Hz.
    low, high : float
        Edges of a Butterworth band of second order, run both ways, Hz.
    notches : tuple of float
        Hz, Q 30.

    Returns
    -------
    (S, 6) array
        As of scipy.
    """
    sections = [signal.butter(2, [low, high], btype="bandpass", fs=fs, output="sos")]
    sections += [signal.tf2sos(*signal.iirnotch(at, 30.0, fs=fs)) for at in notches]
    return np.ascontiguousarray(np.concatenate(sections), np.float64)


def filtered(channel: Channel, sos: Array, chunk: float = CHUNK) -> Array:
    """Return a channel filtered both ways, so that no phase is shifted.

    Parameters
    ----------
    channel : Channel
    sos : (S, 6) array
    chunk : float
        Seconds worked on at a time.

    Returns
    -------
    (N,) array
        uV.
    """
    n = channel.raw.size
    out = np.empty(n)
    if n == 0:
        return out
    zi = np.ascontiguousarray(signal.sosfilt_zi(sos), np.float64)
    step, pad = max(int(chunk * channel.fs), 1), int(MARGIN * channel.fs)
    raw = np.ascontiguousarray(channel.raw)
    whole = n // step
    groups = np.array_split(step * np.arange(whole), max(-(-whole // LANES), 1))
    jobs = [(g, step) for g in groups if g.size]
    if n % step:
        jobs.append((np.array([whole * step]), n % step))
    # One piece of memory for all: a new one would have to be got page by page.
    memory = np.empty(max(g.size * (length + 2 * pad) for g, length in jobs))
    for starts, length in jobs:
        rows = length + 2 * pad
        buffer = memory[: starts.size * rows].reshape(rows, starts.size)
        _both_ways(raw, channel.gain, channel.offset, sos, zi, starts, pad, buffer, out)
    return out


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _both_ways(
    raw: NDArray[Any],
    gain: float,
    offset: float,
    sos: Array,
    zi: Array,
    starts: Ints,
    pad: int,
    buffer: Array,
    out: Array,
) -> None:  # pragma: no cover - compiled
    """Filter chunks of one length side by side, a column each.

    A recursion waits for its last result; those of several chunks do not wait
    for each other, and each goes through the same arithmetic as alone.
    """
    m, chunks = buffer.shape
    z = np.empty((sos.shape[0], 2, chunks))
    tiles = (m + _TILE - 1) // _TILE
    for tile in range(tiles):
        low, high = tile * _TILE, min((tile + 1) * _TILE, m)
        for c in range(chunks):
            _fill(raw, gain, offset, starts[c] - pad, low, high, buffer, c)
        if tile == 0:
            _settle(z, zi, buffer[0])
        for s in range(sos.shape[0]):
            _section(buffer, low, high, False, sos[s], z[s])
    _settle(z, zi, buffer[m - 1])
    for tile in range(tiles - 1, -1, -1):
        low, high = tile * _TILE, min((tile + 1) * _TILE, m)
        for s in range(sos.shape[0]):
            _section(buffer, low, high, True, sos[s], z[s])
        for c in range(chunks):
            for k in range(max(low, pad), min(high, m - pad)):
                out[starts[c] - pad + k] = buffer[k, c]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _fill(
    raw: NDArray[Any],
    gain: float,
    offset: float,
    at: int,
    low: int,
    high: int,
    buffer: Array,
    c: int,
) -> None:  # pragma: no cover - compiled
    """Samples in uV; odd reflection at the ends of the recording, as scipy does it."""
    n = raw.size
    if at + low >= 0 and at + high <= n:
        for k in range(low, high):
            buffer[k, c] = gain * raw[at + k] + offset
        return
    for k in range(low, high):
        i = at + k
        if i < 0:
            j = min(-i, n - 1)
            x = 2.0 * (gain * raw[0] + offset) - (gain * raw[j] + offset)
        elif i >= n:
            j = max(2 * (n - 1) - i, 0)
            x = 2.0 * (gain * raw[n - 1] + offset) - (gain * raw[j] + offset)
        else:
            x = gain * raw[i] + offset
        buffer[k, c] = x


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _settle(z: Array, zi: Array, first: Array) -> None:  # pragma: no cover - compiled
    """States as if the first value had always been there."""
    for s in range(z.shape[0]):
        for c in range(first.size):
            z[s, 0, c] = zi[s, 0] * first[c]
            z[s, 1, c] = zi[s, 1] * first[c]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _section(
    x: Array, low: int, high: int, back: bool, b: Array, z: Array
) -> None:  # pragma: no cover - compiled
    """One second-order section over some rows of x, in place."""
    b0, b1, b2, a1, a2 = b[0], b[1], b[2], b[4], b[5]
    for i in range(high - low):
        k = high - 1 - i if back else low + i
        for c in range(x.shape[1]):
            y = b0 * x[k, c] + z[0, c]
            z[0, c] = b1 * x[k, c] - a1 * y + z[1, c]
            z[1, c] = b2 * x[k, c] - a2 * y
            x[k, c] = y
