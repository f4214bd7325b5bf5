"""Long tables (REDCap, ODK): one row an answer, turned into one row a person and session."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ekbom.errors import Refused
from ekbom.measures.clinic.io.phenotype import Phenotype, from_frame

#: Column names under which exports hold what is needed, first found wins.
NAMES = {
    "participant_id": ("participant_id", "record", "record_id", "KEY"),
    "session_id": ("session_id", "redcap_event_name", "event"),
    "item": ("item", "field_name", "question"),
    "value": ("value", "answer"),
}


def from_long(
    frame: pd.DataFrame,
    file: str,
    *,
    columns: Mapping[str, str] | None = None,
    sidecar: Mapping[str, object] | None = None,
) -> Phenotype:
    """Turn a long table of text into a phenotype table.

    Parameters
    ----------
    frame : DataFrame of str
        One row an answer.
    file : str
        Name in messages.
    columns : mapping of str to str, optional
        Local item names to names of this room.
    sidecar : mapping, optional
        Units.

    Returns
    -------
    Phenotype
        One row a person and session, in order of first appearance. Line
        numbers in later messages count these rows.

    Raises
    ------
    Refused
        For a missing column, or one item answered twice.
    """
    found = {}
    for what, names in NAMES.items():
        here = [n for n in names if n in frame.columns]
        if here:
            found[here[0]] = what
        elif what != "session_id":
            raise Refused(
                "A long table lacks a column.",
                file=file,
                field=what,
                found=", ".join(map(str, frame.columns[:8])),
                expected="one of " + ", ".join(names),
            )
    long = frame.rename(columns=found)
    if "session_id" not in long:
        long = long.assign(session_id="n/a")
    key = ["participant_id", "session_id", "item"]
    twice = long.duplicated(key, keep=False).to_numpy()
    if twice.any():
        first = int(np.flatnonzero(twice)[0])
        row = long.iloc[first]
        raise Refused(
            "One item is answered twice.",
            file=file,
            field=f"line {first + 2}: {row['participant_id']}, {row['session_id']}, {row['item']}",
            expected="one answer a person, session and item",
        )
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for person, session, item, value in long[[*key, "value"]].itertuples(index=False):
        rows.setdefault((person, session), {})[item] = value
    wide = pd.DataFrame(
        [{"participant_id": p, "session_id": s, **cells} for (p, s), cells in rows.items()]
    ).fillna("n/a")
    return from_frame(wide, file, columns, sidecar)


def is_long(frame: pd.DataFrame) -> bool:
    """Say whether a table holds one answer a row.

    Parameters
    ----------
    frame : DataFrame
        The table.

    Returns
    -------
    bool
        Whether it is.
    """
    return any(n in frame.columns for n in NAMES["item"]) and any(
        n in frame.columns for n in NAMES["value"]
    )
