"""Input functions that bloodstream made: `_inputfunction.tsv` and `.json`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ekbom.measures.pet.blood import BloodData
from ekbom.measures.pet.io import units
from ekbom.measures.pet.io.text import column_field, read_json, read_tsv
from ekbom.nouns import Note

Array = NDArray[np.float64]

_TOLERANCE = 1e-7


def read_inputfunction(
    path: Path,
    sidecars: Sequence[Path],
    *,
    injection_s: float = 0.0,
    factor: float = 1.0,
    unit: str | None = None,
) -> tuple[BloodData, tuple[Note, ...]]:
    """Read an input function made by bloodstream.

    Parameters
    ----------
    path : Path
        TSV with ``time``, ``AIF`` and ``whole_blood_radioactivity``.
    sidecars : sequence of Path
        JSON files, outermost first. A bare ``Bq`` is read as Bq/mL.
    injection_s, factor : float
        See :func:`ekbom.measures.pet.io.blood.read_blood`.
    unit : str, optional
        Of columns for which the JSON declares none.

    Returns
    -------
    BloodData
        With ``plasma_is_parent``; knots that lie on a straight line are left out.
    tuple of Note

    Raises
    ------
    Refused
        For units and columns.
    """
    table, metadata = read_tsv(path), read_json(sidecars)
    to_minutes = units.minutes(
        column_field(metadata, "time", "Units"), file=path, field="time: Units"
    )
    t = table.numbers("time") * to_minutes - injection_s / 60
    notes = [Note("input-from-bloodstream", f"the input function is that of {path.name}")]
    curves: dict[str, Array] = {}
    for column in ("AIF", "whole_blood_radioactivity"):
        if column not in table.columns and column != "AIF":
            continue
        declared = column_field(metadata, column, "Units") or unit
        scale = units.concentration(declared, file=path, field=f"{column}: Units", bare_bq=True)
        if declared == "Bq":
            notes.append(Note("bare-bq", f"{path.name}: {column} in Bq, read as Bq/mL"))
        curves[column] = table.numbers(column) * scale * factor
    tp, plasma = _finite(t, curves["AIF"])
    time_wb, whole = (None, None)
    if "whole_blood_radioactivity" in curves:
        time_wb, whole = _finite(t, curves["whole_blood_radioactivity"])
        time_wb, whole = thin(time_wb, whole)
    tp, plasma = thin(tp, plasma)
    return (
        BloodData(time_wb, whole, tp, plasma, plasma_is_parent=True, source=str(path)),
        tuple(notes),
    )


def _finite(t: Array, values: Array) -> tuple[Array, Array]:
    there = np.isfinite(values)
    return t[there], values[there]


def thin(t: Array, values: Array, tolerance: float = _TOLERANCE) -> tuple[Array, Array]:
    """Leave out points that lie on the line between their neighbours.

    Parameters
    ----------
    t, values : (N,) arrays
        A piecewise-linear curve, ``t`` increasing.
    tolerance : float
        Largest error at a left-out point, relative to the largest value.

    Returns
    -------
    t, values : (M,) arrays
        M <= N; first and last points stay.
    """
    limit = tolerance * float(np.abs(values).max())
    keep = np.zeros(t.size, dtype=bool)
    keep[[0, -1]] = True
    stack = [(0, t.size - 1)]
    while stack:
        a, b = stack.pop()
        if b - a < 2:
            continue
        inner = slice(a + 1, b)
        line = values[a] + (values[b] - values[a]) * (t[inner] - t[a]) / (t[b] - t[a])
        error = np.abs(values[inner] - line)
        worst = int(np.argmax(error))
        if error[worst] > limit:
            middle = a + 1 + worst
            keep[middle] = True
            stack += [(a, middle), (middle, b)]
    return t[keep], values[keep]
