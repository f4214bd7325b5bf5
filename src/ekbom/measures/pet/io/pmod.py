"""Curves and blood as PMOD exchanges them: `.tac` and `.bld`, units in the header.

| file | header | rows |
|---|---|---|
| `.tac` | ``start[seconds]``, ``end[kBq/cc]``, one name a region | frames |
| `.bld` | ``sample-time[seconds]``, ``whole-blood[kBq/cc]`` | samples |

The bracket of ``start`` is the unit of time and that of ``end`` the unit of the values;
when both hold a unit of time, every region has a bracket of its own. A `.bld` file
usually holds one series, so several are read together. What the second column is, its
name says: ``whole-blood``, ``plasma`` (also ``plasma.1``), ``parent-fraction``,
``plasma-fraction`` (plasma over whole blood), or ``parent`` with a unit of activity.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.measures.pet.blood import BloodData
from ekbom.measures.pet.io import units
from ekbom.measures.pet.io.blood import sample_order
from ekbom.measures.pet.io.text import Tsv, lines_of, table_of
from ekbom.nouns import Note

Array = NDArray[np.float64]

_CELL = re.compile(r"^\s*(?P<name>[^\[\]]*?)\s*(?:\[(?P<unit>[^\]]*)\])?\s*$")
_TIMES = ("sample-time", "time")
_SERIES = {
    "whole-blood": "whole_blood",
    "wholeblood": "whole_blood",
    "blood": "whole_blood",
    "plasma": "plasma",
    "total-plasma": "plasma",
    "parent": "parent",
    "parent-plasma": "parent",
    "parent-fraction": "fraction",
    "parentfraction": "fraction",
    "plasma-fraction": "ratio",
    "plasma-whole-blood-ratio": "ratio",
}
_PURE = ("1/1", "1", "")
_KNOWN = "whole-blood, plasma, parent-fraction, plasma-fraction, parent"


@dataclass(frozen=True)
class PmodTacs:
    """A `.tac` file.

    Attributes
    ----------
    start_s, end_s : (F,) arrays
        Frames, s.
    names : tuple of str
    values : (N, F) array
        kBq/mL.
    """

    start_s: Array
    end_s: Array
    names: tuple[str, ...]
    values: Array


def is_pmod(path: Path) -> bool:
    """Return whether a file is PMOD's, by its ending or by the units in its header.

    Parameters
    ----------
    path : Path

    Returns
    -------
    bool

    Raises
    ------
    Refused
        When the file cannot be read.
    """
    if path.suffix.lower() in (".tac", ".bld"):
        return True
    lines = _rows(path)
    if not lines:
        return False
    name, unit = _split(_cells(lines[0])[0])
    return unit is not None and name in ("start", *_TIMES)


def read_tac(path: Path, *, unit: str | None = None) -> PmodTacs:
    """Read regional curves.

    Parameters
    ----------
    path : Path
    unit : str, optional
        Of the values when the header names none; must agree with one that it names.

    Returns
    -------
    PmodTacs

    Raises
    ------
    Refused
        When the header names no frames or no unit, or a row is broken.
    """
    table = _table(path)
    heads = {column: _split(column) for column in table.columns}
    order = list(table.columns)
    if len(order) < 3 or heads[order[0]][0] != "start" or heads[order[1]][0] != "end":
        raise Refused(
            "The curves have not the columns of a .tac file.",
            file=path,
            field="header",
            found=", ".join(order[:6]),
            expected="start[seconds], end[kBq/cc], then one column a region",
            mend="export the curves again, or rename the columns",
        )
    to_s = _seconds(heads[order[0]][1], path, order[0])
    shared = heads[order[1]][1]
    if shared is not None and _is_time(shared):
        if _seconds(shared, path, order[1]) != to_s:
            raise Refused(
                "Start and end of the frames are in different units.",
                file=path,
                field="header",
                found=f"{order[0]}, {order[1]}",
                expected="one unit of time",
            )
        shared = None
    names, rows = [], []
    for column in order[2:]:
        name, own = _bare(column)
        scale = _activity(own if own is not None else shared, unit, path, column)
        names.append(name)
        rows.append(table.numbers(column) * scale)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Refused("A region is named twice.", file=path, field=twice[0])
    start, end = table.numbers(order[0]) * to_s, table.numbers(order[1]) * to_s
    if not (np.isfinite(start).all() and np.isfinite(end).all()):
        raise Refused(
            "A frame has no time.", file=path, field="start, end", expected="a number in every row"
        )
    return PmodTacs(start, end, tuple(names), np.array(rows))


def read_bld(
    paths: Sequence[Path], *, unit: str | None = None, sort: bool = False
) -> tuple[BloodData, tuple[Note, ...]]:
    """Read the blood of one scan from one or several files.

    Parameters
    ----------
    paths : sequence of Path
    unit : str, optional
        Of activities for which the header names none.
    sort : bool
        Permission to sort samples whose times do not increase.

    Returns
    -------
    BloodData
        min, kBq/mL as the files have it.
    tuple of Note

    Raises
    ------
    Refused
        For units, names of columns, order, and series that are there twice.
    """
    notes: list[Note] = []
    series: dict[str, tuple[Array, Array, Path]] = {}
    for path in paths:
        for kind, t, values in _series(path, unit, sort, notes):
            if kind in series:
                raise Refused(
                    "Two files hold the same series.",
                    file=path,
                    field=kind.replace("_", " "),
                    found=f"also in {series[kind][2].name}",
                    expected="each series once",
                    mend="give one of them",
                )
            series[kind] = (t, values, path)
    _check_plasma(series)
    whole, plasma = series.get("whole_blood"), series.get("plasma")
    if "ratio" in series:
        plasma = _from_ratio(whole, series["ratio"], notes)
    parent = series.get("parent")
    fraction = series.get("fraction")
    used = parent or plasma
    return (
        BloodData(
            time_wb=whole[0] if whole else None,
            whole_blood=whole[1] if whole else None,
            time_p=used[0] if used else None,
            plasma=used[1] if used else None,
            time_f=fraction[0] if fraction else None,
            parent_fraction=fraction[1] if fraction else None,
            plasma_is_parent=parent is not None,
            source=", ".join(str(path) for path in paths),
        ),
        tuple(notes),
    )


def _series(
    path: Path, unit: str | None, sort: bool, notes: list[Note]
) -> list[tuple[str, Array, Array]]:
    table = _table(path)
    first, *others = table.columns
    name, time_unit = _split(first)
    if name not in _TIMES or not others:
        raise Refused(
            "The blood has not the columns of a .bld file.",
            file=path,
            field="header",
            found=", ".join(list(table.columns)[:6]),
            expected="sample-time[seconds], then whole-blood[kBq/cc], plasma[kBq/cc] ...",
            mend="export the samples again, or rename the columns",
        )
    seconds = table.numbers(first) * _seconds(time_unit, path, first)
    if np.isnan(seconds).any():
        raise Refused(
            "A blood sample has no time.",
            file=path,
            field=f"{first}, row {int(np.flatnonzero(np.isnan(seconds))[0]) + 1}",
            found="n/a",
            expected="a number",
        )
    order = sample_order(seconds, path, sort, notes)
    found = []
    for column in others:
        name, own = _split(column)
        kind = _SERIES.get(re.sub(r"\.1$", "", name))
        if kind is None:
            raise Refused(
                "It is not known what a column of the blood holds.",
                file=path,
                field=column,
                found=repr(column),
                expected=f"one of {_KNOWN}, with the unit in brackets",
                mend="rename the column",
            )
        values = table.numbers(column)[order]
        values = values * _scale(kind, own, unit, path, column)
        there = ~np.isnan(values)
        if there.any():
            found.append((kind, seconds[order][there] / 60, values[there]))
    return found


def _scale(kind: str, own: str | None, unit: str | None, path: Path, column: str) -> float:
    if kind not in ("fraction", "ratio"):
        return _activity(own, unit, path, column)
    plain = (own or "").strip().lower()
    if plain in ("%", "percent"):
        return 0.01
    if plain in _PURE:
        return 1.0
    raise Refused(
        "A share has a unit.",
        file=path,
        field=column,
        found=repr(own),
        expected="[1/1] or [%]",
        mend="correct the header; a curve in kBq/cc is called parent, not parent-fraction",
    )


def _check_plasma(series: dict[str, tuple[Array, Array, Path]]) -> None:
    for one, other in (("plasma", "ratio"), ("plasma", "parent"), ("parent", "fraction"),
                       ("parent", "ratio")):  # fmt: skip
        if one in series and other in series:
            raise Refused(
                "Two files say what the plasma is.",
                file=series[other][2],
                field=other.replace("ratio", "plasma-fraction"),
                found=f"beside {one} in {series[one][2].name}",
                expected="one of them: a correction made twice is wrong",
                mend="leave one of the files away",
            )


def _from_ratio(
    whole: tuple[Array, Array, Path] | None, ratio: tuple[Array, Array, Path], notes: list[Note]
) -> tuple[Array, Array, Path]:
    if whole is None:
        raise Refused(
            "Plasma over whole blood needs whole blood.",
            file=ratio[2],
            field="plasma-fraction",
            found="no whole-blood among the files",
            expected="a file with whole-blood[...]",
            mend="add it",
        )
    notes.append(
        Note(
            "plasma-from-ratio",
            f"plasma is whole blood times {ratio[2].name}, at the samples of whole blood",
        )
    )
    return whole[0], whole[1] * np.interp(whole[0], ratio[0], ratio[1]), ratio[2]


def _activity(own: str | None, said: str | None, path: Path, column: str) -> float:
    """Factor to kBq/mL of the unit in the header, or of one that was said; both must agree."""
    if own is None and said is None:
        raise Refused(
            "The unit of radioactivity is not in the header.",
            file=path,
            field=column,
            found=repr(column),
            expected="the unit in brackets, such as [kBq/cc], [Bq/cc], [nCi/cc]: behind end in a"
            " .tac file, behind the name of the series in a .bld file",
            mend="add it, or say --units; a wrong one makes V_T wrong by 1000",
        )
    declared = units.concentration(own if own is not None else said, file=path, field=column)
    if own is not None and said is not None:
        other = units.concentration(said, file=path, field="--units")
        if other != declared:
            raise Refused(
                "The unit of the command line is not that of the header.",
                file=path,
                field=column,
                found=f"{own} in the header, {said} on the command line",
                expected="one unit",
                mend="leave --units away, or correct the header",
            )
    return declared


def _seconds(unit: str | None, path: Path, column: str) -> float:
    if unit is None:
        raise Refused(
            "The unit of time is not in the header.",
            file=path,
            field=column,
            found=repr(column),
            expected="[seconds] or [minutes] behind the name",
            mend="add it; a time in the wrong unit makes every rate wrong by 60",
        )
    return 60 * units.minutes(unit, file=path, field=column)


def _is_time(unit: str) -> bool:
    try:
        units.minutes(unit, file="", field="")
    except Refused:
        return False
    return True


def _table(path: Path) -> Tsv:
    return table_of(path, _rows(path), _cells)


def _rows(path: Path) -> list[str]:
    return [
        line
        for line in lines_of(path)
        if line.strip() and not line.lstrip().startswith(("#", "//"))
    ]


def _cells(line: str) -> list[str]:
    """Split at tabs, else at commas or semicolons, else at blanks, whichever the line has."""
    for mark in ("\t", ";", ","):
        if mark in line:
            return [cell.strip() for cell in line.strip("\r\n").split(mark)]
    return line.split()


def _split(cell: str) -> tuple[str, str | None]:
    """Return a column's name as a keyword, and its unit (``None`` without brackets)."""
    name, unit = _bare(cell)
    return re.sub(r"[\s_]+", "-", name.lower()), unit


def _bare(cell: str) -> tuple[str, str | None]:
    match = _CELL.match(cell)
    if match is None:
        return cell.strip(), None
    return match["name"], match["unit"]
