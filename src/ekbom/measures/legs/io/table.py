"""Tables: plain TSV, BIDS events, and the table of events that this room writes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ekbom.errors import Refused
from ekbom.measures.legs.bilateral import MORPHOLOGY
from ekbom.measures.legs.io.annotations import Annotations, Row, sort_out
from ekbom.measures.legs.io.words import LOST, NOT_RAISED

_WORDS = ("trial_type", "stage", "type", "event", "text", "description", "value")


def read_table(path: str | Path, *, kind: str | None = None) -> Annotations:
    """Return what a table says.

    Parameters
    ----------
    path : path-like
        TSV (or CSV) with ``onset`` and ``duration`` in seconds and words in
        ``trial_type``, ``stage`` or ``type``; ``leg`` or ``channel`` for
        movements. A table with ``leg`` and no words holds movements. The table
        of events of this room gives back the marks it was made of.
    kind : {"resp"}, optional
        What rows without words are.

    Returns
    -------
    Annotations

    Raises
    ------
    Refused
        Columns are missing, or a cell is no number.
    """
    path = Path(path)
    if not path.is_file():
        raise Refused("The table is not there.", file=path, expected="a .tsv file")
    separator = "," if path.suffix.lower() == ".csv" else "\t"
    frame = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False)
    columns = {str(c).strip().lower(): str(c) for c in frame.columns}
    if "onset" not in columns or "duration" not in columns:
        raise Refused(
            "The table does not say when events are.",
            file=path,
            field="columns",
            found=", ".join(columns),
            expected="onset and duration, in seconds",
        )
    if {"status", "why", "rules", "id"} <= set(columns):
        frame = marks_of_events(frame)
    words = next((columns[w] for w in _WORDS if w in columns), None)
    place = columns.get("leg", columns.get("channel"))
    if words is None and place is None and kind is None:
        raise Refused(
            "The table does not say what its rows are.",
            file=path,
            field="columns",
            found=", ".join(columns),
            expected="trial_type, stage, type, or leg for movements",
        )
    rows = []
    for line, record in zip(frame.index, frame.to_dict("records"), strict=True):
        cells = {str(k): str(v) for k, v in record.items()}
        text = cells[words] if words is not None else "LM"
        if kind == "resp" and words is None:
            text = "hypopnoea"
        rows.append(
            Row(
                _number(cells[columns["onset"]], path, "onset", int(line)),
                _number(cells[columns["duration"]], path, "duration", int(line)),
                text,
                "" if place is None or cells[place] == "n/a" else cells[place],
            )
        )
    return sort_out(rows, path)


def marks_of_events(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of our own table that are marks as given, of one rule set.

    Parameters
    ----------
    frame : DataFrame
        Text cells. Movements that join several marks are left out, the marks
        themselves stand in rows of their own.

    Returns
    -------
    DataFrame
    """
    lost = frame["trial_type"] == LOST
    own = frame.loc[~lost, "rules"]
    first = own.iloc[0] if len(own) else ""
    kept = frame[lost | ((frame["rules"] == first) & ~frame["id"].str.contains("+", regex=False))]
    weak = kept["why"] == MORPHOLOGY
    return kept.assign(trial_type=kept["trial_type"].mask(weak, NOT_RAISED))


def _number(cell: str, path: Path, column: str, line: int) -> float:
    try:
        return 0.0 if column == "duration" and cell == "n/a" else float(cell)
    except ValueError as fault:
        raise Refused(
            "A cell is not a number.",
            file=path,
            field=f"{column}, row {line + 1}",
            found=cell or "nothing",
            expected="seconds",
        ) from fault
