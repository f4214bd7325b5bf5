"""BIDS blood recordings, manual and automatic, with declared units."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.measures.pet.blood import BloodData
from ekbom.measures.pet.io import units
from ekbom.measures.pet.io.text import Tsv, column_field, read_json, read_tsv
from ekbom.nouns import Note

Array = NDArray[np.float64]

WHOLE, PLASMA, FRACTION = (
    "whole_blood_radioactivity",
    "plasma_radioactivity",
    "metabolite_parent_fraction",
)
_AVAILABLE = {WHOLE: "WholeBloodAvail", PLASMA: "PlasmaAvail", FRACTION: "MetaboliteAvail"}


def read_blood(
    manual: tuple[Path, Sequence[Path]] | None,
    automatic: tuple[Path, Sequence[Path]] | None = None,
    *,
    injection_s: float = 0.0,
    factor: float = 1.0,
    sort: bool = False,
    unit: str | None = None,
) -> tuple[BloodData, tuple[Note, ...], dict[str, Any]]:
    """Read the blood of one scan.

    Parameters
    ----------
    manual, automatic : (TSV path, JSON paths outermost first) or None
        The recordings.
    injection_s : float
        Injection in s from TimeZero, the origin of the files' times.
    factor : float
        Times an activity gives one decay-corrected to injection (BIDS blood is
        corrected to TimeZero).
    sort : bool
        Permission to sort samples whose times do not increase.
    unit : str, optional
        Of activities for which the JSON declares none.

    Returns
    -------
    BloodData
        min from injection, kBq/mL.
    tuple of Note
    dict
        For the sidecar.

    Raises
    ------
    Refused
        For units, order, columns and contradictions of the JSON.
    """
    notes: list[Note] = []
    series: dict[str, tuple[Array, Array]] = {}
    meta: dict[str, Any] = {"BloodDecayReference": "TimeZero (BIDS)"}
    source: Path | None = None
    for recording, kind in ((manual, "manual"), (automatic, "autosampler")):
        if recording is None:
            continue
        path, sidecars = recording
        source = source or path
        table, metadata = read_tsv(path), read_json(sidecars)
        _check_available(table, metadata, path)
        found = _series(table, metadata, injection_s, factor, sort, unit, notes)
        if kind == "autosampler":
            meta["DispersionCorrected"] = metadata.get("DispersionCorrected", "n/a")
            if WHOLE in found:
                series["continuous"] = found.pop(WHOLE)
        for name, pair in found.items():
            if name in series:
                raise Refused(
                    "Two recordings hold the same series.",
                    file=path,
                    field=name,
                    expected="plasma and parent fraction in one recording",
                )
            series[name] = pair
        extra = sorted(set(table.columns) - {"time", WHOLE, PLASMA, FRACTION})
        if extra:
            notes.append(Note("blood-columns-ignored", f"{path.name}: {', '.join(extra)}"))
    if source is None:
        raise Refused(
            "There is no blood for this scan.",
            expected="a file _recording-manual_blood.tsv or an _inputfunction.tsv",
            mend="add it, or take the scan out of the study",
        )
    none = (None, None)
    (time_wb, whole), (time_p, plasma) = series.get(WHOLE, none), series.get(PLASMA, none)
    (time_f, fraction), (time_c, fast) = series.get(FRACTION, none), series.get("continuous", none)
    data = BloodData(
        time_wb, whole, time_p, plasma, time_f, fraction, time_c, fast, source=str(source)
    )
    return data, tuple(notes), meta


def _check_available(table: Tsv, metadata: dict[str, Any], path: Path) -> None:
    for column, key in _AVAILABLE.items():
        if metadata.get(key) is True and column not in table.columns:
            if key != "MetaboliteAvail" and "autosampler" in path.name:
                continue
            raise Refused(
                "The JSON promises a column that the table does not have.",
                file=path,
                field=column,
                found=f"{key} is true; columns {', '.join(table.columns)}",
                expected=column,
                mend=f"add the column, or set {key} to false",
            )


def _series(
    table: Tsv,
    metadata: dict[str, Any],
    injection_s: float,
    factor: float,
    sort: bool,
    fallback: str | None,
    notes: list[Note],
) -> dict[str, tuple[Array, Array]]:
    path = table.path
    to_minutes = units.minutes(
        column_field(metadata, "time", "Units"), file=path, field="time: Units"
    )
    seconds = table.numbers("time") * to_minutes * 60
    if np.isnan(seconds).any():
        raise Refused(
            "A blood sample has no time.",
            file=path,
            field=f"time, row {int(np.flatnonzero(np.isnan(seconds))[0]) + 1}",
            found="n/a",
            expected="seconds from TimeZero",
        )
    order = sample_order(seconds, path, sort, notes)
    t = (seconds[order] - injection_s) / 60
    found: dict[str, tuple[Array, Array]] = {}
    for column in (WHOLE, PLASMA, FRACTION):
        if column not in table.columns:
            continue
        values = table.numbers(column)[order]
        there = ~np.isnan(values)
        if not there.any():
            continue
        unit = column_field(metadata, column, "Units")
        if column == FRACTION:
            if isinstance(unit, str) and unit.strip().lower() in ("percent", "%"):
                values = values / 100
        else:
            unit = unit or fallback
            values = (
                values * units.concentration(unit, file=path, field=f"{column}: Units") * factor
            )
        found[column] = _merge_same_times(t[there], values[there])
    return found


def sample_order(seconds: Array, path: Path, sort: bool, notes: list[Note]) -> NDArray[np.intp]:
    """Return the order of the samples; one that is not that of the file needs permission.

    Parameters
    ----------
    seconds : (N,) array
    path : Path
        For messages.
    sort : bool
        The permission.
    notes : list of Note
        A used permission is appended.

    Returns
    -------
    (N,) int array

    Raises
    ------
    Refused
        When times do not increase and no permission is given.
    """
    wrong = np.flatnonzero(np.diff(seconds) <= 0)
    if wrong.size == 0:
        return np.arange(seconds.size)
    pairs = "; ".join(
        f"row {i + 1}: {seconds[i]:g} s, row {i + 2}: {seconds[i + 1]:g} s" for i in wrong[:4]
    )
    if not sort:
        raise Refused(
            "The times of the blood samples do not increase.",
            file=path,
            field="time",
            found=pairs,
            expected="strictly increasing times",
            mend="correct the times, or set blood.sort = true for this scan in the plan"
            " ([measures.pet.scans.<scan>]), which is then recorded",
        )
    notes.append(Note("blood-sorted", f"samples sorted by permission ({pairs})", permission=True))
    return np.argsort(seconds, kind="stable")


def _merge_same_times(t: Array, values: Array) -> tuple[Array, Array]:
    """Average samples of the same time (only a sorted file can hold them)."""
    times, where = np.unique(t, return_inverse=True)
    if times.size == t.size:
        return t, values
    return times, np.bincount(where, weights=values) / np.bincount(where)
