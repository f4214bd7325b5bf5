"""What a question of a table leaves: its report, and the answer on the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from rich.console import Console

from ekbom.report import render
from ekbom.study.files import write_bytes


class _Words(Protocol):
    @property
    def methods(self) -> str: ...

    @property
    def results(self) -> str: ...


def told(answer: _Words, out: Path) -> None:
    """Write ``report.html`` beside the answer's files, and print the answer.

    Parameters
    ----------
    answer : object with ``methods`` and ``results``
        As it was written to ``out``.
    out : Path
        Folder of the answer.
    """
    page = out / "report.html"
    write_bytes(page, render(out))
    shown = Console(highlight=False, soft_wrap=True)
    shown.print(answer.results + "\n\nHow: " + answer.methods + "\n", markup=False)
    shown.print(f"report {page}\ntables and words in {out}", markup=False)
