"""Where steps run: here, in local processes, or on a dask cluster.

All share one protocol, :meth:`Executor.map`. This module imports nothing that
loads NumPy, so that a fresh worker process can set its numbers of threads first.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol, TypeVar

from ekbom.errors import Refused

Item = TypeVar("Item")
Result = TypeVar("Result")


class Executor(Protocol):
    """Something that runs a function over items."""

    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item]
    ) -> Iterator[tuple[int, Result]]:
        """Yield ``(index, result)`` in order of completion.

        Parameters
        ----------
        function : callable
            Of one item; a module-level function.
        items : sequence
            What to run it on; picklable.
        """
        ...


class Serial:
    """Runs everything in this process, in order."""

    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item]
    ) -> Iterator[tuple[int, Result]]:
        """Yield ``(index, result)`` in order.

        Parameters
        ----------
        function : callable
            Of one item.
        items : sequence
            What to run it on.

        Yields
        ------
        tuple of int and object
            Index of the item, and result.
        """
        for index, item in enumerate(items):
            yield index, function(item)


class LocalProcesses:
    """Runs items in processes of this machine.

    Processes are spawned, not forked: forking a process with threads (numba,
    BLAS) may hang. Cores are divided among them.

    Parameters
    ----------
    workers : int
        Number of processes.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item]
    ) -> Iterator[tuple[int, Result]]:
        """Yield ``(index, result)`` in order of completion.

        Parameters
        ----------
        function : callable
            Of one item; a module-level function.
        items : sequence
            Picklable.

        Yields
        ------
        tuple of int and object
            Index of the item, and result.

        Raises
        ------
        Refused
            A worker died, mostly for want of memory.
        """
        if not items:
            return
        workers = min(self.workers, len(items))
        pool = ProcessPoolExecutor(
            workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start_worker,
            initargs=(max(1, cores() // workers),),
        )
        try:
            futures = {pool.submit(function, item): index for index, item in enumerate(items)}
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool:
            raise Refused(
                "a worker process died before it had finished",
                found=f"{workers} workers; the system may have stopped one for want of memory",
                expected="workers that live",
                mend="start again with fewer --workers; what was finished is kept",
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


class Dask:
    """Runs items through a ``dask.distributed`` client (the extra ``hpc``).

    Parameters
    ----------
    client : dask.distributed.Client
        Connected; its workers must see the same files.
    """

    def __init__(self, client: Any) -> None:
        self.client = client

    @classmethod
    def connect(cls, address: str) -> Dask:
        """Connect to a scheduler.

        Parameters
        ----------
        address : str
            ``tcp://host:port`` of the scheduler, or its scheduler file.

        Returns
        -------
        Dask
            Ready to use.

        Raises
        ------
        Refused
            ``distributed`` is not installed, or nothing answers.
        """
        try:
            from distributed import Client  # type: ignore[import-not-found, unused-ignore]
        except ImportError:
            raise Refused(
                "dask.distributed is not installed",
                field="--dask",
                found=address,
                expected="the extra hpc",
                mend='pip install "ekbom[hpc]"',
            ) from None
        try:
            known = {"address": address} if "://" in address else {"scheduler_file": address}
            return cls(Client(**known))
        except (OSError, ValueError) as no:
            raise Refused(
                "no dask scheduler answers",
                field="--dask",
                found=f"{address}: {no}",
                expected="tcp://host:port or a scheduler file",
                mend="start the scheduler first",
            ) from None

    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item]
    ) -> Iterator[tuple[int, Result]]:
        """Yield ``(index, result)`` in order of completion.

        Parameters
        ----------
        function : callable
            Of one item; importable on the workers.
        items : sequence
            Picklable.

        Yields
        ------
        tuple of int and object
            Index of the item, and result.
        """
        from distributed import (  # type: ignore[import-not-found, unused-ignore]
            as_completed as completed,
        )

        futures = self.client.map(function, list(items), pure=False)
        index = {future.key: i for i, future in enumerate(futures)}
        for future, result in completed(futures, with_results=True):
            yield index[future.key], result


def executor(workers: int = 1, dask: str | None = None) -> Executor:
    """Return what runs the steps.

    Parameters
    ----------
    workers : int
        Local processes; 1 runs here.
    dask : str, optional
        Address of a dask scheduler, which then does the work.

    Returns
    -------
    Executor
        Serial, local processes or dask.

    Raises
    ------
    Refused
        Fewer than one worker, or no such scheduler.
    """
    if dask is not None:
        return Dask.connect(dask)
    if workers < 1:
        raise Refused(
            "there must be a worker",
            field="--workers",
            found=workers,
            expected=f"1 to {cores()}",
            mend="leave it out to run in this process",
        )
    return Serial() if workers == 1 else LocalProcesses(workers)


def cores() -> int:
    """Return how many cores this process may use.

    Returns
    -------
    int
        At least 1.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _start_worker(threads: int) -> None:
    if "numba" in sys.modules:
        # The user's script imported it at the top, and spawning imports that script again;
        # once its threads have started, numba refuses a change of the variable.
        import numba

        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    else:
        os.environ["NUMBA_NUM_THREADS"] = str(threads)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    # A killed parent cannot tell its workers; without this they would wait for ever.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
