"""Stopping a permutation when enough is known (Besag & Clifford 1991).

Draws go on until the observed value was reached h times; with the h-th at draw l, p is
h / l, and (g + 1) / (N + 1) when only g of N draws reached it. Both are valid p at any level.
The rule looks at draws one by one, so it does not depend on how they are batched.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Made = TypeVar("Made")


def stopping_draw(reached: NDArray[np.bool_], enough: ArrayLike) -> int | None:
    """Return the draw (counted from 1) at which every column was reached often enough.

    Parameters
    ----------
    reached : (N, m) bool
        Whether a draw reached the observed value; the data themselves are not a draw.
    enough : int or (m,) int
        How often is enough.

    Returns
    -------
    int or None
        The draw, or None when some column was not reached so often.

    Examples
    --------
    >>> stopping_draw(np.array([[1], [0], [1], [1]], bool), 2)
    3
    """
    draws = stopping_draws(reached, enough)
    return int(draws.max()) if draws.all() else None


def stopping_draws(reached: NDArray[np.bool_], enough: ArrayLike) -> NDArray[np.intp]:
    """Return for each column the draw (from 1) at which it was reached often enough, or 0.

    Examples
    --------
    >>> stopping_draws(np.array([[1, 0], [0, 1], [1, 0]], bool), 2)
    array([3, 0])
    """
    done = np.cumsum(reached, axis=0) >= np.asarray(enough)
    return np.where(done.any(axis=0), done.argmax(axis=0) + 1, 0)


def sequential_p(null: NDArray[np.float64], cut: NDArray[Any], enough: int) -> NDArray[np.float64]:
    """Return the p of Besag and Clifford of many values against one sequence of maxima.

    Parameters
    ----------
    null : (N + 1,) float
        Maxima in the order in which they were drawn; the first is that of the data.
    cut : (V,) float
        A draw of at least this reaches the value (its tolerance taken off).
    enough : int
        h.

    Returns
    -------
    ndarray, (V,)
        h over the draw at which a value was reached for the h-th time, else (g + 1) / (N + 1).

    Examples
    --------
    >>> sequential_p(np.array([9.0, 1, 5, 5, 1]), np.array([5.0, 1.0, 8.0]), 2)
    array([0.66666667, 1.        , 0.2       ])
    """
    draws = np.asarray(null[1:], float)
    cut = np.asarray(cut, float)
    # the h-th largest so far never falls: a value is reached for the h-th time when it passes it
    so_far = np.full(len(draws), -np.inf)
    heap: list[float] = []
    for i, value in enumerate(draws.tolist()):
        if len(heap) < enough:
            heapq.heappush(heap, value)
        elif value > heap[0]:
            heapq.heapreplace(heap, value)
        if len(heap) == enough:
            so_far[i] = heap[0]
    at = np.searchsorted(so_far, cut, side="left")
    ordered = np.sort(draws)
    few = len(draws) - np.searchsorted(ordered, cut, side="left")
    late = (few + 1.0) / (len(draws) + 1.0)
    return np.asarray(np.where(at < len(draws), enough / (at + 1.0), late))


def in_order(chunk: Callable[[int], Made], starts: Sequence[int], workers: int) -> Iterator[Made]:
    """Yield chunks in order; no more than a few are begun before the first is asked for."""
    if workers <= 1:
        yield from map(chunk, starts)
        return
    pool = ThreadPoolExecutor(workers)
    try:
        begun = deque(pool.submit(chunk, start) for start in starts[: 2 * workers])
        for start in starts[2 * workers :]:
            yield begun.popleft().result()
            begun.append(pool.submit(chunk, start))
        while begun:
            yield begun.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
