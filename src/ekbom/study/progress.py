"""What a run says while it goes: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Voice:
    """Speaks for a run.

    Parameters
    ----------
    console : Console or None
        Where; None says nothing.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console
        self._bar: Progress | None = None
        self._done = 0
        self._total = 0

    def say(self, text: str) -> None:
        """Print a line.

        Parameters
        ----------
        text : str
            Without markup.
        """
        if self.console is not None:
            self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    @contextlib.contextmanager
    def counting(self, what: str, total: int) -> Iterator[None]:
        """Count steps until the block ends.

        Parameters
        ----------
        what : str
            ``"measuring"``.
        total : int
            Number of steps.

        Yields
        ------
        None
            Call :meth:`step` inside.
        """
        self._done, self._total = 0, total
        if self.console is None or not self.console.is_terminal or total == 0:
            yield
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeRemainingColumn(), console=self.console, transient=True) as bar:
            self._bar = bar
            bar.add_task(what, total=total)
            try:
                yield
            finally:
                self._bar = None

    def step(self, text: str) -> None:
        """Count one step.

        Parameters
        ----------
        text : str
            What was done.
        """
        self._done += 1
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], advance=1, description=text)
        else:
            self.say(f"[{self._done}/{self._total}] {text}")
