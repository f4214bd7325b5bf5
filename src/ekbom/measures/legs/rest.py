"""The level of rest, second by second: what the thresholds stand on.

A global percentile would silence the detector in a night with noisy hours, and a
plain rolling one lags behind steps of the floor. Here the rest at a time is the
middle one of three low quantiles: of the minute before, of the minute after, and
of the seconds about it. A movement raises only the last, a step of the floor
moves it to one of the others at once.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy import stats

from ekbom.measures.legs.envelope import Envelope
from ekbom.measures.legs.events import Array, Bools, Ints

#: Seconds of the windows: on each side, and about the time.
SIDE, NEAR = 60, 5
#: Seconds without anything that reaches the on threshold that make a new floor, and the
#: quantile that must not reach it: a twitch is no movement.
CALM, MOST = 10, 0.95
#: Histogram of ln uV from 1e-3 to 1e5 in steps of 1 %.
_LOW, _STEP, _BINS = float(np.log(1e-3)), 0.01, 1843
#: Bins that are counted together, so that a quantile is found in two short walks.
_GROUP = 32
#: Windows a second that enter the quantiles, about independent of each other.
_RATE = 10


def rest_level(
    env: Envelope, quantile: float, band: float, moving: Bools | None = None
) -> tuple[Array, Array]:
    """Return the rest level on a grid of one second.

    Parameters
    ----------
    env : Envelope
    quantile : float
        Of the windows that are taken for rest.
    band : float
        Width of the band of the signal, Hz: says how far a quantile of short
        windows of noise lies from its root mean square.
    moving : (K,) array of bool, optional
        Blocks to leave out, from a first pass.

    Returns
    -------
    times : (S,) array
        s.
    level : (S,) array
        uV.
    """
    k, use, seconds = _sampled(env, moving)
    after = _rolling(k, use, seconds, 0, SIDE, quantile)
    before = np.concatenate((np.full(SIDE, np.nan), after[:-SIDE])) if seconds > SIDE else (
        np.full(seconds, np.nan)
    )  # fmt: skip
    near = _rolling(k, use, seconds, -(NEAR // 2), NEAR - NEAR // 2, quantile)
    level = _middle(before[:seconds], near, after)
    known = ~np.isnan(level)
    grid: Array = np.arange(seconds) + np.float64(0.5)
    if not known.any():
        return grid, np.zeros(seconds)
    level = np.interp(grid, grid[known], level[known])
    return grid, level / _bias(env, band, quantile)


def follow_tone(env: Envelope, level: Array, on: float, band: float, usable: Bools) -> Array:
    """Let the rest level follow spells of raised tone that no movement explains.

    Tone that lasts less than the side windows leaves both of them low. But ten
    seconds that stay below the on threshold hold no onset: they are a floor of
    their own, and what lies between two such floors rests on them.

    Parameters
    ----------
    env : Envelope
    level : (S,) array
        Of :func:`rest_level`, uV.
    on : float
        uV above rest.
    band : float
        Hz.
    usable : (K,) array of bool
        Blocks with a signal.

    Returns
    -------
    (S,) array
        uV.
    """
    k, use, seconds = _sampled(env, ~usable)
    middle = _rolling(k, use, seconds, 0, CALM, 0.5) / _bias(env, band, 0.5)
    most = _rolling(k, use, seconds, 0, CALM, MOST)
    after = np.where(most < level[:seconds] + on, middle, np.nan)
    after[max(seconds - CALM + 1, 0) :] = np.nan
    before = np.full(seconds, np.nan)
    before[CALM - 1 :] = after[: max(seconds - CALM + 1, 0)]
    now = _rolling(k, use, seconds, 0, 1, 0.5)
    nearer = np.where(np.abs(after - now) <= np.abs(before - now), after, before)
    own = np.where(np.isnan(after), before, np.where(np.isnan(before), after, nearer))
    calm = np.flatnonzero(~np.isnan(own))
    if not calm.size:
        return level
    s = np.arange(seconds)
    last = own[calm[np.maximum(np.searchsorted(calm, s, side="right") - 1, 0)]]
    following = own[calm[np.minimum(np.searchsorted(calm, s), calm.size - 1)]]
    return np.asarray(np.clip(level, np.minimum(last, following), np.maximum(last, following)))


def _sampled(env: Envelope, leave: Bools | None) -> tuple[Ints, Bools, int]:
    """Bin ten windows a second; says which of them count."""
    per_second = 1.0 / env.step
    seconds = max(int(env.values.size / per_second), 1)
    at = ((np.arange(seconds * _RATE) + 0.5) * per_second / _RATE).astype(np.int64)
    at = at[at < env.values.size]
    values = env.values[at]
    use = np.ones(at.size, bool) if leave is None else ~leave[at]
    use &= values > 0
    k = np.clip((np.log(np.maximum(values, 1e-300)) - _LOW) / _STEP, 0, _BINS - 1)
    return k.astype(np.int64), use, seconds


def _bias(env: Envelope, band: float, quantile: float) -> float:
    """Quantile of the windows of noise over its root mean square.

    Mean squares of band-limited noise scatter as chi-squared with 2 B T degrees of freedom.
    """
    df = max(2.0 * band * env.blocks * env.step, 1.0)
    return float(np.sqrt(stats.chi2.ppf(quantile, df) / df))


def _middle(before: Array, near: Array, after: Array) -> Array:
    """Return the middle of three, and what there is where one is missing."""
    low, high = np.fmin(before, after), np.fmax(before, after)
    # with one side only, that side: the seconds about a movement are no rest
    return np.where(np.isnan(near), low, np.fmin(np.fmax(near, low), high))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _rolling(
    k: Array, use: Bools, seconds: int, first: int, last: int, q: float
) -> Array:  # pragma: no cover - compiled
    """Quantile of the values of seconds [s + first, s + last), by a sliding histogram."""
    counts = np.zeros(_BINS, np.int64)
    coarse = np.zeros(_BINS // _GROUP + 1, np.int64)
    out = np.full(seconds, np.nan)
    n, total, a, b = k.size, 0, 0, 0
    for s in range(seconds):
        low, high = max(s + first, 0) * _RATE, min(max(s + last, 0) * _RATE, n)
        while b < high:
            if use[b]:
                counts[k[b]] += 1
                coarse[k[b] // _GROUP] += 1
                total += 1
            b += 1
        while a < low:
            if use[a]:
                counts[k[a]] -= 1
                coarse[k[a] // _GROUP] -= 1
                total -= 1
            a += 1
        if total < min(2, last - first) * _RATE // 2:
            continue
        want, below, g = q * total, 0, 0
        while below + coarse[g] < want:
            below += coarse[g]
            g += 1
        j = g * _GROUP
        while below + counts[j] < want:
            below += counts[j]
            j += 1
        part = (want - below) / max(counts[j], 1)
        out[s] = np.exp(_LOW + _STEP * (j + part))
    return out
