"""Header and annotations of EDF+ and BDF+, read from the bytes in one go.

A night has a time stamp every record, tens of thousands of them, and a thousand
annotations between: the stamps are checked, and only what is more than a stamp is
taken apart (Kemp and Olivan 2003, doi:10.1016/S1388-2457(03)00123-8).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

#: Onset, duration and texts of one list of annotations with the same time.
_LIST = re.compile(
    rb"([+-]\d+(?:\.\d*)?)(?:\x15(\d+(?:\.\d*)?))?\x14(?:([^\x00]*)\x14)?\x00", re.DOTALL
)
_ANNOTATIONS = ("EDF Annotations", "BDF Annotations")


@dataclass(frozen=True)
class Note:
    """One annotation.

    Parameters
    ----------
    onset : float
        Seconds from the start of the recording.
    duration : float or None
        Seconds.
    text : str
    """

    onset: float
    duration: float | None
    text: str


@dataclass(frozen=True)
class Head:
    """What the header and the annotations say.

    Parameters
    ----------
    units : tuple of str
        Physical dimension of each signal, without those of annotations.
    notes : tuple of Note
        In order of onset.
    continuous : bool
        Whether every record starts where the one before ends.
    """

    units: tuple[str, ...]
    notes: tuple[Note, ...]
    continuous: bool


def read_head(path: Path) -> Head:
    """Read units, annotations and whether the records follow each other.

    Parameters
    ----------
    path : Path
        EDF, EDF+, BDF or BDF+.

    Returns
    -------
    Head
        Without notes for a file without annotations.

    Raises
    ------
    ValueError
        A header that is none, or a record without its time stamp.
    """
    with path.open("rb") as stream:
        head = stream.read(256)
        count, length = int(head[252:256]), int(head[184:192])
        fields = stream.read(256 * count)
    labels = _column(fields, 0, 16, count)
    units = _column(fields, 96, 8, count)
    samples = [int(cell) for cell in _column(fields, 216, 8, count)]
    width = 3 if head[:1] == b"\xff" else 2
    ends = [width * sum(samples[: k + 1]) for k in range(count)]
    notes: list[Note] = []
    first, continuous, stamps = Decimal(0), True, True
    for k in (k for k in range(count) if labels[k] in _ANNOTATIONS):
        cells = _cells(path, length, ends[-1])[:, ends[k] - width * samples[k] : ends[k]]
        if stamps:
            first, continuous = _stamps(cells, Decimal(head[244:252].decode()))
        notes += _notes(cells, float(first), stamps)
        stamps = False
    notes.sort(key=lambda n: (n.onset, -1.0 if n.duration is None else n.duration, n.text))
    own = tuple(u for u, label in zip(units, labels, strict=True) if label not in _ANNOTATIONS)
    return Head(own, tuple(notes), continuous)


def _column(fields: bytes, start: int, width: int, count: int) -> list[str]:
    """One field of all signals; `start` is where it would stand with one signal."""
    at = start * count
    return [_words(fields[at + width * k : at + width * (k + 1)]).strip() for k in range(count)]


def _words(cell: bytes) -> str:
    """Text in whichever of the two encodings it is: a micro sign is not ASCII."""
    try:
        return cell.decode("utf-8")
    except UnicodeDecodeError:
        return cell.decode("latin-1")


def _cells(path: Path, offset: int, width: int) -> NDArray[np.uint8]:
    """All whole records as rows of bytes, not loaded."""
    records = (path.stat().st_size - offset) // width if width else 0
    if records <= 0:
        return np.zeros((0, width), np.uint8)
    return np.memmap(path, np.uint8, "r", offset, (records, width))


def _stamps(cells: NDArray[np.uint8], duration: Decimal) -> tuple[Decimal, bool]:
    """Start of the first record, and whether the others follow from it."""
    data, width = cells.tobytes(), cells.shape[1]
    first, plain = Decimal(0), False
    for row in range(cells.shape[0]):
        at = row * width
        # Nearly every file counts in whole seconds: no number needs to be read.
        if plain and data.startswith(b"+%d\x14" % (int(first) + row * int(duration)), at):
            continue
        found = _LIST.search(data, at, at + width)
        if found is None:
            raise ValueError(f"record {row + 1} has no time stamp")
        stamp = Decimal(found[1].decode())
        if row == 0:
            first, plain = stamp, stamp >= 0 and stamp == int(stamp) and duration == int(duration)
        elif stamp != first + row * duration:
            return first, False
    return first, True


def _notes(cells: NDArray[np.uint8], first: float, stamps: bool) -> list[Note]:
    """Take apart the records that hold more than their time stamp."""
    marks = np.count_nonzero(cells == 0x14, axis=1)
    found = []
    for row in np.flatnonzero(marks > (2 if stamps else 0)).tolist():
        in_row = []
        for onset, duration, texts in _LIST.findall(cells[row].tobytes()):
            seconds = float(duration) if duration else None
            at = round(float(onset) - first, 12)
            in_row += [Note(at, seconds, _words(text)) for text in texts.split(b"\x14")]
        found += in_row[1:] if stamps else in_row
    return found
