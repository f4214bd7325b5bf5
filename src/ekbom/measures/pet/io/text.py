"""Tab-separated and JSON text, read strictly: what is broken is refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.measures.pet.io.units import unwrap

Array = NDArray[np.float64]

_MISSING = {"n/a", "na", "nan", ""}


@dataclass(frozen=True)
class Tsv:
    """A table of text: column names in order and the cells of each.

    Attributes
    ----------
    path : Path
    columns : mapping of str to list of str
    """

    path: Path
    columns: Mapping[str, Sequence[str]]

    def numbers(self, column: str) -> Array:
        """Return a column as floats, ``n/a`` as NaN.

        Raises
        ------
        Refused
            When the column is absent or a cell is neither a number nor ``n/a``.
        """
        if column not in self.columns:
            raise Refused(
                "A column is missing.",
                file=self.path,
                field=column,
                found=", ".join(list(self.columns)[:12]),
                expected=column,
                mend="add the column or rename the one that holds it",
            )
        values = np.empty(len(self.columns[column]))
        for row, cell in enumerate(self.columns[column]):
            text = cell.strip()
            if text.lower() in _MISSING:
                values[row] = np.nan
                continue
            try:
                values[row] = float(text)
            except ValueError:
                raise Refused(
                    "A cell is not a number.",
                    file=self.path,
                    field=f"{column}, row {row + 1}",
                    found=repr(text),
                    expected="a number or n/a",
                    mend="correct the cell; decimals are written with a point",
                ) from None
        return values


def read_tsv(path: Path) -> Tsv:
    """Read a tab-separated file with one header line.

    Raises
    ------
    Refused
        When the file cannot be read, is empty, names a column twice, or a row
        has fewer or more cells than the header (a truncated file).
    """
    lines = [line for line in _text(path).splitlines() if line.strip()]
    return table_of(path, lines, lambda line: line.split("\t"), "or hold spaces for tabs")


def table_of(
    path: Path, lines: Sequence[str], split: Callable[[str], list[str]], also: str = ""
) -> Tsv:
    """Make a table of lines that are not empty, the header first.

    Parameters
    ----------
    path : Path
        For messages.
    lines : sequence of str
        Of the file.
    split : callable
        From a line to its cells.
    also : str
        What else can have made a row too short or too long.

    Returns
    -------
    Tsv
        Cells as text.

    Raises
    ------
    Refused
        Without rows, a column named twice, a row with fewer or more cells than the header.
    """
    if len(lines) < 2:
        raise Refused(
            "The table has no rows.",
            file=path,
            found=f"{len(lines)} lines",
            expected="a header and at least one row",
            mend="write the file again from its source",
        )
    header = [name.strip() for name in split(lines[0])]
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise Refused(
            "A column is named twice.",
            file=path,
            field=twice[0],
            mend="rename or remove one of them",
        )
    rows = []
    for number, line in enumerate(lines[1:], start=1):
        cells = split(line)
        if len(cells) != len(header):
            raise Refused(
                "A row has not as many cells as the header.",
                file=path,
                field=f"row {number}",
                found=f"{len(cells)} cells",
                expected=f"{len(header)} cells",
                mend=f"the file may be cut off{also and ', ' + also}: write it again",
            )
        rows.append(cells)
    return Tsv(path, {name: [row[i] for row in rows] for i, name in enumerate(header)})


def read_json(paths: Iterable[Path]) -> dict[str, Any]:
    """Read JSON files, outermost first; the nearer one wins key by key (BIDS inheritance).

    One-element lists are unwrapped.

    Raises
    ------
    Refused
        When a file is not JSON or does not hold an object.
    """
    merged: dict[str, Any] = {}
    for path in paths:
        try:
            found = json.loads(_text(path))
        except json.JSONDecodeError as fault:
            raise Refused(
                "The file is not JSON.",
                file=path,
                field=f"line {fault.lineno}",
                found=fault.msg,
                expected="a JSON object",
                mend="correct the file; it may be cut off",
            ) from None
        if not isinstance(found, dict):
            raise Refused("The file does not hold a JSON object.", file=path, expected="{...}")
        merged.update(found)
    return {key: unwrap(value) for key, value in merged.items()}


def column_field(metadata: Mapping[str, Any], column: str, key: str) -> Any:
    """Return what the JSON says of a column under a key, or ``None``."""
    entry = metadata.get(column)
    return unwrap(entry.get(key)) if isinstance(entry, Mapping) else None


def lines_of(path: Path) -> list[str]:
    """Return the lines of a text file.

    Raises
    ------
    Refused
        When the file cannot be read or is not UTF-8.
    """
    return _text(path).splitlines()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise Refused("The file does not exist.", file=path, mend="check the path") from None
    except UnicodeDecodeError:
        raise Refused("The file is not UTF-8 text.", file=path, mend="save it as UTF-8") from None
    except OSError as fault:
        raise Refused("The file cannot be read.", file=path, found=fault.strerror) from None
