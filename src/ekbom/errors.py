"""The one way in which ekbom says no.

Everything a user can mend is a :class:`Refused`: it names the file, the field,
what was found, what was expected and how to mend it. Any other exception that
reaches the command line is a fault of ours.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


class EkbomError(Exception):
    """Base of every error that ekbom raises on purpose."""


class Refused(EkbomError):
    """Input that is not accepted, with all that is needed to mend it.

    Parameters
    ----------
    what : str
        One sentence: what is wrong.
    file : path-like or str, optional
        The file (or folder) at fault; ``None`` when there is none.
    field : str, optional
        Column, JSON key, plan key, row or formula term at fault.
    found, expected, mend : str, optional
        What was there, what is accepted, and what the user can do.

    Notes
    -----
    The class survives pickling, so that a worker process may refuse too.
    """

    def __init__(
        self,
        what: str,
        *,
        file: str | Path | None = None,
        field: str | None = None,
        found: object = None,
        expected: object = None,
        mend: str | None = None,
    ) -> None:
        self.what = what
        self.file = None if file is None else str(file)
        self.field = field
        self.found = None if found is None else str(found)
        self.expected = None if expected is None else str(expected)
        self.mend = mend
        super().__init__(what)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.as_dict())

    def as_dict(self) -> dict[str, str | None]:
        """Return the parts of the message by name."""
        return {
            "what": self.what,
            "file": self.file,
            "field": self.field,
            "found": self.found,
            "expected": self.expected,
            "mend": self.mend,
        }

    def __str__(self) -> str:
        lines = [self.what]
        for word, value in (
            ("file", self.file),
            ("field", self.field),
            ("found", self.found),
            ("expected", self.expected),
            ("to mend", self.mend),
        ):
            if value is not None:
                lines.append(f"  {word + ':':<10}{value}")
        return "\n".join(lines)


class OutputRefused(Refused):
    """The output could not be written (disk full, read-only, no permission).

    Parameters are those of :class:`Refused`.
    """


def _rebuild(kind: type[Refused], parts: dict[str, str | None]) -> Refused:
    what = parts.pop("what") or ""
    return kind(what, **parts)
