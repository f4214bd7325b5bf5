"""Heart beats in the leg EMG: found, averaged over minutes, taken out, and counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ekbom.measures.legs.envelope import Envelope, powers
from ekbom.measures.legs.events import Array, Bools, Ints
from ekbom.measures.legs.filters import Channel, design, filtered

#: Peak of the beat-locked average above which beats are taken out, uV.
ENOUGH = 2.0
#: Seconds before and after the beat, of a window, and windows that are averaged.
BEFORE, AFTER, WINDOW, SMOOTH = 0.10, 0.20, 60.0, 5
#: Share of intervals near their neighbours' for peaks in a leg to be a heart.
REGULAR = 0.6


@dataclass(frozen=True)
class Heart:
    """What was done about heart beats in one leg.

    Parameters
    ----------
    source : str
        Where the beats were found: ``channel``, ``leg``, or that they were not looked for.
    found, removed : int
        Beats.
    peak : float
        Of the average before removal, uV.
    """

    source: str
    found: int = 0
    removed: int = 0
    peak: float = 0.0

    def facts(self) -> dict[str, Any]:
        """Return it for a sidecar."""
        return {
            "Source": self.source,
            "BeatsFound": self.found,
            "BeatsRemoved": self.removed,
            "PeakMicrovolts": self.peak,
        }


def find_beats(channel: Channel) -> Array:
    """Return the R waves of an ECG channel, s.

    Parameters
    ----------
    channel : Channel
        ECG of either polarity.

    Returns
    -------
    (B,) array
        s.
    """
    high = min(25.0, 0.45 * channel.fs)
    x = filtered(channel, design(channel.fs, 5.0, high))
    block = max(int(0.01 * channel.fs), 1)
    peak = _peaks(x, block)
    if not peak.size:
        return np.zeros(0)
    per_second = max(round(channel.fs / block), 1)
    top = _per_second(peak, per_second)
    keep = _alone(peak, 0.5 * _rolling_median(top, 21), per_second, round(0.3 * per_second))
    return _places(x, np.flatnonzero(keep), block) / channel.fs


def hidden_beats(x: Array, fs: float, env: Envelope, moving: Bools) -> Array:
    """Return beats seen in the leg itself, s; none unless the peaks are as regular as a heart.

    Parameters
    ----------
    x : (N,) array
        Filtered EMG, uV.
    fs : float
        Hz.
    env : Envelope
    moving : (K,) array of bool
        Blocks of movements, in which no beat is looked for.

    Returns
    -------
    (B,) array
        s.
    """
    if moving.mean() > 0.5:
        # Strong beats look like one long movement.
        moving = np.zeros(moving.size, bool)
    peak = _peaks(x, env.block)
    n = min(peak.size, moving.size)
    peak = peak[:n]
    per_second = max(round(1.0 / env.step), 1)
    # Beats are short: half of the blocks of two seconds hold none of them.
    # Every fourth is enough to tell their median.
    calm = np.sqrt(_per_second_median(powers(x, env.block, n, 4), per_second // 2))
    peak[moving[:n]] = 0.0
    keep = _alone(peak, 4.0 * calm, 4 * (per_second // 2), round(0.3 * per_second))
    beats = _places(x, np.flatnonzero(keep), env.block) / fs
    gaps = np.diff(beats)
    near = (gaps > 0.4) & (gaps < 1.5)
    if near.sum() < 30:
        return np.zeros(0)
    local = _rolling_median(np.where(near, gaps, np.median(gaps[near])), 11)
    regular = near & (np.abs(gaps - local) < 0.2 * local)
    share = float(regular.sum()) / gaps.size
    calm_seconds = float((~moving).sum()) * env.step
    often = beats.size > 0.5 * calm_seconds
    return np.asarray(beats) if share > REGULAR and often else np.zeros(0)


def remove_beats(x: Array, fs: float, beats: Array, rest: float, source: str) -> Heart:
    """Subtract the beat-locked average of the minutes about each beat, in place.

    The average is that of medians over the beats of a minute, which movements
    do not reach, however the beats themselves disturb the search for movements.

    Parameters
    ----------
    x : (N,) array
        Filtered EMG, uV; changed.
    fs : float
        Hz.
    beats : (B,) array
        s.
    rest : float
        Rest level, uV.
    source : str
        Where the beats come from.

    Returns
    -------
    Heart
        Nothing is removed when the average peaks at less than 2 uV or than its
        own scatter.
    """
    a, b = round(BEFORE * fs), round(AFTER * fs)
    at = np.round(beats * fs).astype(np.int64)
    at = at[(at >= a) & (at + b < x.size)]
    if at.size < 30:
        return Heart(source, int(at.size))
    windows = (at / (WINDOW * fs)).astype(np.int64)
    middle, counts = _medians(x, at, windows, a, b)
    kernel = np.ones(SMOOTH)
    summed = np.convolve(counts, kernel, mode="same")
    weighted = np.apply_along_axis(np.convolve, 0, middle * counts[:, None], kernel, mode="same")
    enough = summed >= 20
    template = np.where(enough[:, None], weighted / np.maximum(summed, 1)[:, None], 0.0)
    counts = summed
    if not enough.any():
        return Heart(source, int(at.size))
    peaks = np.max(np.abs(template[enough]), axis=1)
    peak = float(np.median(peaks))
    scatter = 4.0 * rest / float(np.sqrt(np.median(counts[enough])))
    if peak < max(ENOUGH, scatter):
        return Heart(source, int(at.size), 0, peak)
    use = enough[windows]
    _subtract(x, at[use], windows[use], template, a)
    return Heart(source, int(at.size), int(use.sum()), peak)


def _per_second(values: Array, width: int) -> Array:
    n = values.size // width
    if n == 0:
        return np.array([values.max()])
    return np.asarray(values[: n * width].reshape(n, width).max(axis=1))


def _per_second_median(values: Array, width: int) -> Array:
    n = values.size // width
    if n == 0:
        return np.array([np.median(values)])
    return np.asarray(np.median(values[: n * width].reshape(n, width), axis=1))


def _rolling_median(values: Array, width: int) -> Array:
    half = width // 2
    padded = np.pad(values, half, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, width)
    return np.asarray(np.median(windows, axis=1))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _peaks(x: Array, block: int) -> Array:  # pragma: no cover - compiled
    """Largest absolute value of each block."""
    peak = np.zeros(x.size // block)
    for k in range(peak.size):
        top = 0.0
        for i in range(k * block, (k + 1) * block):
            here = abs(x[i])
            if here > top:
                top = here
        peak[k] = top
    return peak


def _places(x: Array, blocks: Ints, block: int) -> Array:
    """Sample of the largest absolute value of some blocks."""
    if not blocks.size:
        return np.zeros(0)
    inside = np.abs(x[blocks[:, None] * block + np.arange(block)])
    return np.asarray(blocks * block + np.argmax(inside, axis=1), np.float64)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _alone(
    peak: Array, bars: Array, width: int, reach: int
) -> Bools:  # pragma: no cover - compiled
    """Blocks above the bar of their stretch of blocks that no block within reach exceeds."""
    out = np.zeros(peak.size, np.bool_)
    for k in range(peak.size):
        if peak[k] <= bars[min(k // width, bars.size - 1)]:
            continue
        best = True
        for j in range(max(k - reach, 0), min(k + reach + 1, peak.size)):
            if peak[j] > peak[k] or (peak[j] == peak[k] and j < k):
                best = False
                break
        out[k] = best
    return out


def _medians(x: Array, at: Ints, windows: Ints, a: int, b: int) -> tuple[Array, Array]:
    """Median over the beats of each window, sample by sample, and how many there are."""
    n = int(windows[-1]) + 1
    counts = np.bincount(windows, minlength=n).astype(np.float64)
    middle = np.zeros((n, a + b))
    edges = np.searchsorted(windows, np.arange(n + 1))
    steps = np.arange(-a, b)
    for w in range(n):
        mine = at[edges[w] : edges[w + 1]]
        if mine.size:
            middle[w] = np.median(x[mine[:, None] + steps], axis=0)
    return middle, counts


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _subtract(
    x: Array, at: Ints, windows: Ints, template: NDArray[Any], a: int
) -> None:  # pragma: no cover - compiled
    for k in range(at.size):
        for i in range(template.shape[1]):
            x[at[k] - a + i] -= template[windows[k], i]
