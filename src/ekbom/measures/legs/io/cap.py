"""CAP Sleep Database (PhysioNet, doi:10.13026/C2VC79): scorings as text of REMlogic.

Below a head of free text stands a table with the columns Sleep Stage, Position (not
always), Time [hh:mm:ss], Event, Duration[s], Location. Times are of the clock; the
start of the recording stands in the EDF file of the same name.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import replace
from pathlib import Path

from ekbom.errors import Refused
from ekbom.measures.legs.io.annotations import Annotations, Row, sort_out

_STAGES = {"s0": "W", "w": "W", "s1": "1", "s2": "2", "s3": "3", "s4": "4", "rem": "R", "r": "R",
           "mt": "?", "unscored": "?"}  # fmt: skip
_TIME = re.compile(r"^(\d{1,2})[:.](\d{2})[:.](\d{2})$")
DAY = 86_400.0


def is_cap(head: str) -> bool:
    """Say whether a text file holds the head of such a table."""
    return any(_columns(line) for line in head.splitlines())


def read_cap(path: str | Path, start: datetime.time | None = None) -> Annotations:
    """Return what a scoring of the CAP Sleep Database says.

    Parameters
    ----------
    path : path-like
        ``plm1.txt``; the start of the recording is read from ``plm1.edf`` beside it.
    start : datetime.time, optional
        Clock time at which the recording starts, instead of that file.

    Returns
    -------
    Annotations
        Stages of Rechtschaffen and Kales; events whose words this room knows. Without
        a start, times count from the first row, which the flag
        ``times-from-first-row`` says.

    Raises
    ------
    Refused
        No such table, or a row whose time or duration cannot be read.
    """
    path = Path(path)
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    at = next((k for k, line in enumerate(lines) if _columns(line)), None)
    if at is None:
        raise Refused(
            "The text holds no table of a scoring.",
            file=path,
            expected="a line 'Sleep Stage ... Time [hh:mm:ss] ... Event ... Duration[s]'",
        )
    columns = _columns(lines[at])
    zero = _seconds(start) if start is not None else _start_of(path.with_suffix(".edf"))
    rows: list[Row] = []
    flags: tuple[str, ...] = ()
    last = -float("inf")
    for number, line in enumerate(lines[at + 1 :], at + 2):
        if not line.strip():
            continue
        cells = [c.strip() for c in line.split("\t")]
        if "position" in columns and _TIME.match(cells[min(columns["time"], len(cells)) - 1]):
            # some rows leave the position out altogether
            cells.insert(columns["position"], "")
        try:
            time = _clock(cells[columns["time"]])
            length = float(cells[columns["duration"]].replace(",", "."))
            event = cells[columns["event"]]
        except (ValueError, IndexError) as fault:
            raise Refused(
                "A row of the scoring cannot be read.",
                file=path,
                field=f"line {number}",
                found=line.strip(),
                expected="hh:mm:ss, an event and its length in seconds, between tabs",
            ) from fault
        if zero is None:
            zero, flags = time, ("times-from-first-row",)
        onset = (time - zero) % DAY
        # rows are in order: a recording longer than a day goes on
        while onset < last - DAY / 2:
            onset += DAY
        last = max(last, onset)
        place = cells[columns["location"]] if len(cells) > columns.get("location", 99) else ""
        rows.append(Row(onset, length, _word(event), place))
    said = sort_out(rows, path)
    return replace(said, flags=tuple(dict.fromkeys((*said.flags, *flags))))


def _columns(line: str) -> dict[str, int]:
    names = [c.strip().lower() for c in line.split("\t")]
    if not names or names[0] != "sleep stage":
        return {}
    found: dict[str, int] = {}
    for word in ("position", "time", "event", "duration", "location"):
        hit = [k for k, name in enumerate(names) if name.startswith(word)]
        if hit:
            found[word] = hit[0]
    return found if {"time", "event", "duration"} <= set(found) else {}


def _word(event: str) -> str:
    lowered = event.lower()
    if lowered.startswith("sleep-"):
        stage = _STAGES.get(lowered.removeprefix("sleep-"))
        return f"Sleep stage {stage}" if stage is not None else event
    return event


def _clock(cell: str) -> float:
    found = _TIME.match(cell)
    if found is None:
        raise ValueError(cell)
    h, m, s = (int(g) for g in found.groups())
    if h > 23 or m > 59 or s > 59:
        raise ValueError(cell)
    return 3600.0 * h + 60.0 * m + s


def _seconds(time: datetime.time) -> float:
    return 3600.0 * time.hour + 60.0 * time.minute + time.second + 1e-6 * time.microsecond


def _start_of(edf: Path) -> float | None:
    """Read the start time from the head of an EDF file; None when there is none."""
    if not edf.is_file():
        return None
    with edf.open("rb") as stream:
        cell = stream.read(256)[176:184].decode("latin-1")
    try:
        return _clock(cell)
    except ValueError as fault:
        raise Refused(
            "The start time of the recording cannot be read.",
            file=edf,
            field="start time in the header",
            found=cell,
            expected="hh.mm.ss",
        ) from fault
