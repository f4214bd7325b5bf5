"""Phenotype tables: one row a person and session, columns by item id.

Only ``n/a`` and an empty cell are missing. Anything else that is not an
answer in range is refused with row, column, value and range; -9 and 999 too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.measures.clinic.io.columns import is_known
from ekbom.measures.clinic.logic import UNKNOWN, Answer

_MISSING = ("", "n/a")
_SHOWN = 5
_Result = TypeVar("_Result")


class RowsRefused(Refused):
    """Some rows are not accepted; the others may still be.

    Attributes
    ----------
    lines : tuple of int
        Lines of the file at fault.
    """

    lines: tuple[int, ...] = ()


@dataclass(frozen=True)
class Phenotype:
    """A phenotype table as text, with line numbers for messages.

    Attributes
    ----------
    file : str
        Name in messages.
    frame : DataFrame
        Text cells; ``participant_id`` with prefix, ``session_id`` without, or
        ``n/a``. Known columns only. The index is the line in the file.
    units : mapping of str to str
        Unit of a column, from the JSON beside the table.
    ignored : tuple of str
        Columns that are not known and were not read.
    """

    file: str
    frame: pd.DataFrame
    units: Mapping[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()

    def __contains__(self, column: object) -> bool:
        return column in self.frame.columns

    def __len__(self) -> int:
        return len(self.frame)

    def numbers(
        self,
        column: str,
        low: float = -np.inf,
        high: float = np.inf,
        *,
        integer: bool = False,
    ) -> NDArray[np.float64]:
        """Return a column as numbers, NaN when missing.

        Parameters
        ----------
        column : str
            Name; a column that is not there is all missing.
        low, high : float
            Range, both ends included.
        integer : bool
            Whole numbers only.

        Returns
        -------
        (N,) ndarray
            Values.

        Raises
        ------
        Refused
            For text, fractions or values out of range, with the rows.
        """
        if column not in self:
            return np.full(len(self), np.nan)
        text = self.frame[column]
        missing = text.isin(_MISSING).to_numpy()
        value: NDArray[np.float64] = pd.to_numeric(text, errors="coerce").to_numpy(
            dtype=float, copy=True
        )
        with np.errstate(invalid="ignore"):
            bad = ~missing & ~((value >= low) & (value <= high) & np.isfinite(value))
            if integer:
                bad |= ~missing & (value != np.floor(value))
        if bad.any():
            kind = "a whole number" if integer else "a number"
            bounds = f" from {low:g} to {high:g}" if np.isfinite([low, high]).all() else ""
            self._refuse(column, bad, f"{kind}{bounds}, or n/a")
        value[missing] = np.nan
        return value

    def answers(self, column: str) -> list[Answer]:
        """Return a column as answers; missing is unknown.

        Parameters
        ----------
        column : str
            Name; a column that is not there is all unknown.

        Returns
        -------
        list of Answer
            One a row.

        Raises
        ------
        Refused
            For anything but yes, no, past, unknown, n/a and empty.
        """
        if column not in self:
            return [UNKNOWN] * len(self)
        text = self.frame[column].str.lower()
        bad = ~text.isin([*_MISSING, *(a.value for a in Answer)]).to_numpy()
        if bad.any():
            self._refuse(column, bad, "yes, no, past, unknown, or n/a")
        return [UNKNOWN if t in _MISSING else Answer(t) for t in text]

    def text(self, column: str) -> list[str]:
        """Return a column as text, empty when missing or not there.

        Parameters
        ----------
        column : str
            Name.

        Returns
        -------
        list of str
            One a row.
        """
        if column not in self:
            return [""] * len(self)
        return ["" if t in _MISSING else t for t in self.frame[column]]

    def rows_at(self, where: NDArray[np.bool_]) -> str:
        """Return words for some rows: line and person, the first few.

        Parameters
        ----------
        where : (N,) ndarray of bool
            Rows.

        Returns
        -------
        str
            Words.
        """
        index = np.flatnonzero(where)
        people = self.frame["participant_id"]
        words = [f"line {people.index[i]} ({people.iloc[i]})" for i in index[:_SHOWN]]
        more = f" and {len(index) - _SHOWN} more" if len(index) > _SHOWN else ""
        return ", ".join(words) + more

    def refusal(
        self, what: str, column: str, where: NDArray[np.bool_], **parts: str | None
    ) -> RowsRefused:
        """Return the refusal of some rows, which names them.

        Parameters
        ----------
        what : str
            One sentence.
        column : str
            Column at fault.
        where : (N,) ndarray of bool
            Rows at fault.
        **parts : str
            ``found``, ``expected``, ``mend``.

        Returns
        -------
        RowsRefused
            To be raised.
        """
        fault = RowsRefused(what, file=self.file, field=f"{column}, {self.rows_at(where)}", **parts)
        fault.lines = tuple(int(i) for i in self.frame.index[where])
        return fault

    def without(self, lines: Collection[int]) -> Phenotype:
        """Return the table without the rows at these lines.

        Parameters
        ----------
        lines : collection of int
            Lines of the file.

        Returns
        -------
        Phenotype
            The other rows.
        """
        return replace(self, frame=self.frame.drop(index=list(lines)))

    def _refuse(self, column: str, bad: NDArray[np.bool_], expected: str) -> None:
        index = int(np.flatnonzero(bad)[0])
        found = str(self.frame[column].iloc[index])
        hint = "correct the cell"
        if found in ("-9", "-99", "-999", "9", "99", "999", "NA", "NaN", "nan", "."):
            hint = "if this means missing, write n/a"
        elif found in ("0", "1") and "yes" in expected:
            hint = "write yes or no"
        raise self.refusal(
            "A value is not accepted.", column, bad, found=found, expected=expected, mend=hint
        )


def read_phenotype(
    path: Path, *, columns: Mapping[str, str] | None = None, name: str | None = None
) -> Phenotype:
    """Read one phenotype table and the JSON beside it.

    Parameters
    ----------
    path : path
        ``.tsv``, or ``.csv`` with commas.
    columns : mapping of str to str, optional
        Local names to names of this room; those of the JSON's ``columns``
        are used too.
    name : str, optional
        Name in messages and results; the path by default.

    Returns
    -------
    Phenotype
        Checked for identifiers; values are checked when they are used.

    Raises
    ------
    Refused
        For an unreadable table, no ``participant_id``, a person and session
        twice, or a column map that does not fit.
    """
    file = name or str(path)
    try:
        frame = pd.read_csv(
            path,
            sep="," if path.suffix == ".csv" else "\t",
            dtype=str,
            keep_default_na=False,
            encoding="utf-8-sig",
        )
    except (OSError, ValueError) as fault:
        raise Refused(
            "The table cannot be read.",
            file=file,
            found=str(fault).splitlines()[0],
            expected="a table with tabs between columns and a header line",
        ) from fault
    beside = _sidecar(path)
    return from_frame(frame, file, {**beside.get("columns", {}), **(columns or {})}, beside)


def from_frame(
    frame: pd.DataFrame,
    file: str,
    columns: Mapping[str, str] | None = None,
    sidecar: Mapping[str, Any] | None = None,
) -> Phenotype:
    """Make a phenotype table of a frame of text.

    Parameters
    ----------
    frame : DataFrame
        Text cells.
    file : str
        Name in messages.
    columns : mapping of str to str, optional
        Local names to names of this room.
    sidecar : mapping, optional
        JSON of the table, for units.

    Returns
    -------
    Phenotype
        Known columns only.

    Raises
    ------
    Refused
        As :func:`read_phenotype`.
    """
    names = {local: new for local, new in (columns or {}).items() if local in frame.columns}
    strange = [new for new in names.values() if not is_known(new)]
    if strange:
        raise Refused(
            "The column map names a column that is not known here.",
            file=file,
            field="columns",
            found=", ".join(strange),
            expected="a column of this room, such as irls_01 (see the documentation)",
        )
    frame = frame.rename(columns=names)
    twice = frame.columns[frame.columns.duplicated()].tolist()
    if twice:
        raise Refused("A column is there twice.", file=file, field=", ".join(map(str, twice)))
    if "participant_id" not in frame:
        raise Refused(
            "The table does not say whose rows these are.",
            file=file,
            field="participant_id",
            found=", ".join(map(str, frame.columns[:8])),
            expected="a column participant_id",
        )
    known = [c for c in frame.columns if is_known(c)]
    ignored = tuple(str(c) for c in frame.columns if not is_known(c))
    kept = frame[known].apply(lambda column: column.astype(str).str.strip())
    kept["participant_id"] = _prefixed(kept["participant_id"], "sub-")
    sessions = kept["session_id"] if "session_id" in kept else pd.Series("n/a", kept.index)
    kept["session_id"] = sessions.str.removeprefix("ses-").replace("", "n/a")
    kept.index = pd.RangeIndex(2, len(kept) + 2)
    table = Phenotype(file, kept, _units(sidecar or {}, names), ignored)
    empty = kept["participant_id"].isin(["sub-", "sub-n/a"]).to_numpy()
    if empty.any():
        raise Refused("A row has no participant.", file=file, field=table.rows_at(empty))
    double = kept.duplicated(["participant_id", "session_id"], keep=False).to_numpy()
    if double.any():
        raise Refused(
            "A person and session stands in more than one row.",
            file=file,
            field=table.rows_at(double),
            expected="one row a person and session",
            mend="remove the rows that are wrong, or name the sessions",
        )
    return table


def _prefixed(column: pd.Series, prefix: str) -> pd.Series:
    return prefix + column.str.removeprefix(prefix)


def _sidecar(path: Path) -> dict[str, Any]:
    beside = path.with_suffix(".json")
    if not beside.is_file():
        return {}
    try:
        found = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise Refused("The JSON beside the table cannot be read.", file=beside,
                      found=str(fault)) from fault  # fmt: skip
    if not isinstance(found, dict):
        raise Refused("The JSON beside the table is not an object.", file=beside)
    return found


def _units(sidecar: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    units = {}
    for column, row in sidecar.items():
        if isinstance(row, dict) and isinstance(row.get("Units"), str):
            units[names.get(column, column)] = row["Units"]
    return units


def tolerant(
    table: Phenotype, work: Callable[[Phenotype], _Result]
) -> tuple[_Result, Phenotype, list[RowsRefused]]:
    """Do some work, leaving out rows that it refuses until it goes through.

    Parameters
    ----------
    table : Phenotype
        All rows.
    work : callable
        Takes a table; raises :class:`RowsRefused` for rows at fault.

    Returns
    -------
    result : object
        Of the work on the rows kept.
    kept : Phenotype
        Those rows.
    refused : list of RowsRefused
        What was left out, in the order found.

    Raises
    ------
    Refused
        What is wrong with the table as a whole, or with every row of it.
    """
    refused: list[RowsRefused] = []
    while True:
        try:
            return work(table), table, refused
        except RowsRefused as no:
            refused.append(no)
            table = table.without(no.lines)
            if not len(table):
                raise
