"""Spans without a usable signal: flat, at the rail, or the same on both legs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ekbom.measures.legs.events import Array, union
from ekbom.measures.legs.filters import Channel

#: Seconds without any change that are no signal; samples at the rail that are clipping.
FLAT_SECONDS, RAIL_SAMPLES = 10.0, 5
#: Correlation above which both channels carry one and the same signal.
SAME = 0.95


def flat_spans(channel: Channel) -> Array:
    """Return spans of more than ten seconds in which no sample changes.

    Parameters
    ----------
    channel : Channel

    Returns
    -------
    (K, 2) array
        s.
    """
    need = int(FLAT_SECONDS * channel.fs)
    starts, stops = _runs(np.ascontiguousarray(channel.raw), need)
    return union(np.column_stack((starts, stops)) / channel.fs)


def clipped_spans(channel: Channel) -> Array:
    """Return spans of five or more samples at a rail.

    Parameters
    ----------
    channel : Channel
        The rails are those of the format.

    Returns
    -------
    (K, 2) array
        s.
    """
    low, high = channel.rails
    if low != low or high != high or not channel.raw.size:
        return np.zeros((0, 2))
    if channel.raw.min() > low and channel.raw.max() < high:
        return np.zeros((0, 2))
    starts, stops = _at_rail(np.ascontiguousarray(channel.raw), low, high, RAIL_SAMPLES)
    return union(np.column_stack((starts, stops)) / channel.fs)


def same_spans(x: Array, y: Array, fs: float) -> Array:
    """Return the seconds in which two channels carry the same waveform.

    Parameters
    ----------
    x, y : (N,) array
        Filtered, of the same rate, uV.
    fs : float
        Hz.

    Returns
    -------
    (K, 2) array
        s.
    """
    n = min(x.size, y.size)
    width = int(fs)
    r = _correlation(x[:n], y[:n], width)
    hit = np.flatnonzero(r > SAME).astype(np.float64)
    return union(np.column_stack((hit, hit + 1.0)) * (width / fs))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _runs(raw: NDArray[Any], need: int) -> tuple[Any, Any]:  # pragma: no cover - compiled
    """Runs of more than `need` equal samples, most of which are never looked at."""
    starts, stops = [0], [0]
    start = 0
    while start + need < raw.size:
        # From the far end of what a run from here must cover, back to the first that differs.
        k = start + need
        while k > start and raw[k - 1] == raw[start + need]:
            k -= 1
        if k > start:
            start = k
            continue
        stop = start + need + 1
        while stop < raw.size and raw[stop] == raw[start]:
            stop += 1
        starts.append(start)
        stops.append(stop)
        start = stop
    return np.array(starts[1:], np.int64), np.array(stops[1:], np.int64)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _at_rail(
    raw: NDArray[Any], low: float, high: float, need: int
) -> tuple[Any, Any]:  # pragma: no cover - compiled
    starts, stops = [0], [0]
    start = -1
    for k in range(raw.size + 1):
        if k < raw.size and (raw[k] <= low or raw[k] >= high):
            if start < 0:
                start = k
        elif start >= 0:
            if k - start >= need:
                starts.append(start)
                stops.append(k)
            start = -1
    return np.array(starts[1:], np.int64), np.array(stops[1:], np.int64)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _correlation(x: Array, y: Array, width: int) -> Array:  # pragma: no cover - compiled
    out = np.zeros(x.size // width)
    for k in range(out.size):
        xx = yy = xy = 0.0
        for i in range(k * width, (k + 1) * width):
            xx += x[i] * x[i]
            yy += y[i] * y[i]
            xy += x[i] * y[i]
        if xx > 0 and yy > 0:
            out[k] = xy / np.sqrt(xx * yy)
    return out
