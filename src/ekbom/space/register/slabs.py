"""Threads for kernels that release the interpreter lock: a slab of planes each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

#: ``run(kernel, planes, *rest)`` calls ``kernel(*rest, low, high)`` for slabs of planes.
Run = Callable[..., None]


def serial(kernel: Callable[..., None], planes: int, *rest: Any) -> None:
    """Run a kernel over all planes in this thread; a :data:`Run`.

    Parameters
    ----------
    kernel : callable
        The kernel.
    planes : int
        How many.
    *rest
        Its arguments before the planes.
    """
    kernel(*rest, 0, planes)


@contextmanager
def slabs(threads: int) -> Iterator[Run]:
    """Offer threads that share the planes of an image.

    Every plane is computed from input that no plane of the same call writes, so
    where the cuts lie changes no bit of the result.

    Parameters
    ----------
    threads : int
        At least 1; with 1 nothing is started.

    Yields
    ------
    callable
        ``run(kernel, planes, *rest)`` calls ``kernel(*rest, low, high)`` for slabs
        that fill 0 to `planes`.
    """
    if threads <= 1:
        yield serial
        return
    with ThreadPoolExecutor(threads) as pool:

        def run(kernel: Callable[..., None], planes: int, *rest: Any) -> None:
            # Two slabs a thread: planes at the rim of a head are cheaper than those in it.
            cuts = [planes * k // (2 * threads) for k in range(2 * threads + 1)]
            jobs = [pool.submit(kernel, *rest, a, b) for a, b in pairwise(cuts) if b > a]
            for job in jobs:
                job.result()

        yield run
