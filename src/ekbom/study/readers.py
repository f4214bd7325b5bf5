"""Reading JSON and TSV files, with refusals that say where."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ekbom.errors import Refused
from ekbom.study.words import choices, did_you_mean

#: Columns that are names even when they look like numbers.
IDENTIFIERS = frozenset({"participant_id", "session_id", "run_id", "sample_id", "group", "region"})

_MISSING = frozenset({"n/a", "", "N/A", "NA", "nan", "NaN"})
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file.

    Parameters
    ----------
    path : Path
        File to read.

    Returns
    -------
    str
        Without a byte-order mark.

    Raises
    ------
    Refused
        The file is missing, unreadable or not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise absent(path) from None
    except OSError as no:
        raise Refused("the file cannot be read", file=path, found=no.strerror) from None
    except UnicodeDecodeError as no:
        raise Refused(
            "the file is not UTF-8 text",
            file=path,
            found=f"byte {no.start}: 0x{no.object[no.start]:02x}",
            expected="UTF-8, as BIDS asks",
            mend="save it as UTF-8",
        ) from None


def absent(path: Path) -> Refused:
    """Return the refusal for a file that is not there.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    Refused
        Says whether it is a link to content that was not fetched.
    """
    if path.is_symlink():
        return Refused(
            "the content of the file is not here",
            file=path,
            found=f"a link to {path.readlink()}, which does not exist",
            expected="the file",
            mend="fetch it (`datalad get` or `git annex get`)",
        )
    return Refused("the file does not exist", file=path, expected="a file", mend="check the path")


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object.

    Parameters
    ----------
    path : Path
        File to read.

    Returns
    -------
    dict
        Its content.

    Raises
    ------
    Refused
        Not JSON (with line and column), a key given twice, or not an object.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        for key, count in Counter(key for key, _ in pairs).items():
            if count > 1:
                raise Refused(
                    "a JSON key is given twice",
                    file=path,
                    field=key,
                    found=f"{count} times",
                    expected="once",
                    mend="delete the wrong one",
                )
        return dict(pairs)

    try:
        content = json.loads(read_text(path), object_pairs_hook=unique)
    except json.JSONDecodeError as no:
        raise Refused(
            "the JSON file is broken (cut short, or a comma or quote is wrong)",
            file=path,
            found=f"{no.msg} at line {no.lineno}, column {no.colno}",
            expected="a JSON object",
            mend="mend that line, or copy the file again",
        ) from None
    if not isinstance(content, dict):
        raise Refused(
            "the JSON file does not hold an object",
            file=path,
            found=type(content).__name__,
            expected='{"key": value, ...}',
        )
    return content


def read_tsv(path: Path, *, keys: Sequence[str] = ()) -> pd.DataFrame:
    """Return a BIDS table; ``n/a`` becomes NaN, numbers become float64.

    Parameters
    ----------
    path : Path
        Tab-separated file with a header.
    keys : sequence of str
        Columns that must be there, be filled, and together name a row once.

    Returns
    -------
    pandas.DataFrame
        A column is float64 when all its values are numbers (none with leading
        zeros) and it is not an identifier; else it holds str or None.

    Raises
    ------
    Refused
        No header, rows of different length (a file cut short), a column given
        twice, a key column missing or empty, or two rows with one key.
    """
    lines = read_text(path).splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise Refused("the table is empty", file=path, found="no header", expected="a header row")
    header = [name.strip() for name in lines[0].split("\t")]
    _check_header(path, header, keys)
    rows = [line.split("\t") for line in lines[1:]]
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise Refused(
                "a row of the table has another number of columns than the header",
                file=path,
                field=f"line {number}",
                found=f"{len(row)} columns",
                expected=f"{len(header)} columns, separated by tabs",
                mend="mend that line; if it is the last one the file may be cut short",
            )
    columns = {
        name: _typed(name, [row[i].strip() for row in rows]) for i, name in enumerate(header)
    }
    frame = pd.DataFrame(columns, columns=pd.Index(header, dtype=object))
    _check_keys(path, frame, keys)
    return frame


def _check_header(path: Path, header: list[str], keys: Sequence[str]) -> None:
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice or "" in header:
        raise Refused(
            "the header of the table names a column twice" if twice else "a column has no name",
            file=path,
            field=choices(twice) if twice else f"column {header.index('') + 1}",
            found=choices(header),
            expected="every column once, with a name",
            mend="rename one of them",
        )
    for key in keys:
        if key not in header:
            comma = len(header) == 1 and "," in header[0]
            raise Refused(
                f"the table has no column {key}",
                file=path,
                field=key,
                found="columns separated by commas" if comma else choices(header),
                expected=f"{key}, separated by tabs" if comma else key,
                mend="save it with tabs" if comma else did_you_mean(key, header) or "add it",
            )


def _check_keys(path: Path, frame: pd.DataFrame, keys: Sequence[str]) -> None:
    if not keys:
        return
    seen: dict[tuple[Any, ...], int] = {}
    columns = [frame[key].tolist() for key in keys]
    for number, row in enumerate(zip(*columns, strict=True), start=2):
        if any(value is None or value != value for value in row):
            raise Refused(
                "a row of the table does not say whose it is",
                file=path,
                field=f"line {number}, {' and '.join(keys)}",
                found="n/a",
                expected="a label",
                mend="fill it in or delete the row",
            )
        if row in seen:
            raise Refused(
                f"the table names {' '.join(map(str, row))} twice",
                file=path,
                field=" and ".join(keys),
                found=f"lines {seen[row]} and {number}",
                expected="one row each",
                mend="delete the wrong row",
            )
        seen[row] = number


def _typed(name: str, values: list[str]) -> pd.Series[Any]:
    present = [value for value in values if value not in _MISSING]
    number = (
        name not in IDENTIFIERS
        and all(_NUMBER.fullmatch(value) for value in present)
        and not any(re.match(r"[+-]?0\d", value) for value in present)
    )
    if number:
        floats = [np.nan if value in _MISSING else float(value) for value in values]
        return pd.Series(floats, dtype="float64")
    return pd.Series([None if value in _MISSING else value for value in values], dtype=object)
