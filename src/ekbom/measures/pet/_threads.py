"""Share rows between threads: kernels release the lock, rows do not know each other."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
from numpy.typing import NDArray

#: Fewer rows a thread than this cost more to share than to do.
_SMALL = 64


def share_rows(rows: NDArray[np.int64], work: Callable[[NDArray[np.int64]], None]) -> None:
    """Call ``work`` on parts of ``rows``, on as many threads as numba may use.

    Parameters
    ----------
    rows : (N,) int array
    work : callable
        Takes some of the rows and writes only what belongs to them.
    """
    threads = min(int(numba.get_num_threads()), rows.size // _SMALL)
    if threads < 2:
        work(rows)
        return
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, part) for part in np.array_split(rows, threads)]:
            done.result()
