"""What comes back to a question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ekbom.nouns import Map, Table


@dataclass(frozen=True)
class Answer:
    """The answer to one question, in tables, maps and words.

    Parameters
    ----------
    kind : {"regions", "voxels", "reliability"}
        What was asked.
    effect : str
        Effect as asked; ``"test-retest"`` for reliability.
    tables : tuple of Table
        ``regions`` or ``peaks`` first; then ``values``, ``influence``, ``design``.
    maps : tuple of Map
        Statistic maps of a voxel question.
    methods : str
        Methods paragraph, from the values that were used.
    results : str
        Results paragraph; it says no more than the test does.
    meta : mapping
        n, df, relabellings, seed, warnings, dropped rows, references and the like.
    """

    kind: str
    effect: str
    tables: tuple[Table, ...]
    maps: tuple[Map, ...]
    methods: str
    results: str
    meta: Mapping[str, Any] = field(default_factory=dict)

    def table(self, name: str) -> Table:
        """Return the table of that name.

        Raises
        ------
        KeyError
            When there is none.
        """
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)


def describe(answer: Answer) -> str:
    """Return the methods and results paragraphs of an answer, and the references.

    Parameters
    ----------
    answer : Answer
        Answer to any question.

    Returns
    -------
    str
        Plain text, for a methods section and the reader who checks it.
    """
    listed = "\n".join(f"- {reference}" for reference in answer.meta.get("references", ()))
    return f"{answer.methods}\n\n{answer.results}\n\nReferences\n{listed}\n"
