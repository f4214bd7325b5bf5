"""DREAMS databases (University of Mons, doi:10.5281/zenodo.2650142): text beside the EDF.

The form is that of the sister databases as their readme describes it: a first line
in square brackets, then one number an epoch of five seconds (hypnogram) or onset and
duration in seconds (events). The files of the database of periodic movements
themselves were not at hand.
"""

from __future__ import annotations

from pathlib import Path

from ekbom.errors import Refused
from ekbom.measures.legs.events import UNKNOWN
from ekbom.measures.legs.io import words
from ekbom.measures.legs.io.annotations import Annotations, Row, sort_out

#: Seconds of one value of a hypnogram.
EPOCH = 5.0
#: Stages run downwards here: 5 is wake, 0 is stage 4.
_STAGES = {5: "W", 4: "R", 3: "1", 2: "2", 1: "3", 0: "4", -1: "?", -2: "?", -3: "?"}


def is_dreams(head: str) -> bool:
    """Say whether a text file starts like one of these databases."""
    first = head.lstrip("\ufeff \r\n").partition("\n")[0].strip()
    return first.startswith("[") and first.endswith("]")


def read_dreams(path: str | Path) -> Annotations:
    """Return what a text file of the DREAMS databases says.

    Parameters
    ----------
    path : path-like
        ``[hypnogram]`` and one number every five seconds, or another title in
        brackets and lines of onset and duration, s. One leg of the two was
        marked, which one only its title can say.

    Returns
    -------
    Annotations
        Stages of Rechtschaffen and Kales, or marks of movements.

    Raises
    ------
    Refused
        A line that does not fit its title, or a stage that is not known.
    """
    path = Path(path)
    text = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    lines = [(k + 1, line.strip()) for k, line in enumerate(text) if line.strip()]
    title = lines[0][1].strip("[]").strip()
    if "hypnogram" in title.lower():
        rows = [_stage(path, k, number, line) for k, (number, line) in enumerate(lines[1:])]
        return sort_out(rows, path)
    place = title.rpartition("/")[2].strip()
    leg = place if words.leg_of(place) != UNKNOWN else ""
    return sort_out([_event(path, number, line, leg) for number, line in lines[1:]], path)


def _stage(path: Path, k: int, number: int, line: str) -> Row:
    try:
        value = float(line)
        word = _STAGES[int(value)] if value == int(value) else ""
    except (ValueError, KeyError, OverflowError):
        word = ""
    if not word:
        raise Refused(
            "A stage of the hypnogram is not known.",
            file=path,
            field=f"line {number}",
            found=line,
            expected="5 (wake), 4 (REM), 3, 2, 1, 0 (stages 1 to 4), -1, -2 or -3",
        )
    return Row(EPOCH * k, EPOCH, f"Sleep stage {word}")


def _event(path: Path, number: int, line: str, leg: str) -> Row:
    cells = line.split()
    try:
        if len(cells) < 2:
            raise ValueError
        return Row(float(cells[0]), float(cells[1]), "LM", leg)
    except ValueError as fault:
        raise Refused(
            "A line is not an event.",
            file=path,
            field=f"line {number}",
            found=line,
            expected="onset and duration in seconds",
        ) from fault
