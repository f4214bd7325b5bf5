"""What a measure got out of one unit, as the study keeps it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ekbom.nouns import Note, Score, Unit


@dataclass(frozen=True)
class MapFile:
    """A map of a unit, where it lies and what it shows.

    Parameters
    ----------
    name : str
        Path inside the output tree.
    path : Path
        Where it can be read.
    parameter, method, unit, space : str
        As in :class:`ekbom.nouns.Map`.
    """

    name: str
    path: Path
    parameter: str
    method: str
    unit: str
    space: str


@dataclass(frozen=True)
class Measured:
    """Scores, notes, maps and files of one unit by one measure.

    Parameters
    ----------
    measure : str
        Name of the measure.
    unit : Unit
        Who and when.
    key : str
        Key of the step.
    scores : sequence of Score
        Named numbers.
    notes : sequence of Note
        What a reader must know.
    maps : sequence of MapFile
        Images.
    files : mapping of str to Path
        Path inside the output tree to file of the store.
    """

    measure: str
    unit: Unit
    key: str
    scores: Sequence[Score]
    notes: Sequence[Note]
    maps: Sequence[MapFile]
    files: Mapping[str, Path]

    @property
    def permissions(self) -> list[str]:
        """Codes of the permissions that this unit needed."""
        return sorted({note.code for note in self.notes if note.permission})


def score_to_json(score: Score) -> list[Any]:
    """Return a score as a list that JSON can hold.

    Parameters
    ----------
    score : Score
        The score.

    Returns
    -------
    list
        In the order of :func:`score_from_json`.
    """
    numbers = [score.value, score.se, score.lower, score.upper]
    words = [score.parameter, score.unit, score.region, score.method, list(score.flags)]
    return [*words, *(_number_out(value) for value in numbers)]


def score_from_json(parts: Sequence[Any]) -> Score:
    """Return the score of a list.

    Parameters
    ----------
    parts : sequence
        From :func:`score_to_json`.

    Returns
    -------
    Score
        The same numbers, bit for bit.
    """
    parameter, unit, region, method, flags, *numbers = parts
    value, se, lower, upper = (_number_in(number) for number in numbers)
    return Score(parameter, value, unit, region, method, se, lower, upper, tuple(flags))


def _number_out(value: float) -> float | str | None:
    value = float(value)
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else ("inf" if value > 0 else "-inf")


def _number_in(value: float | str | None) -> float:
    return math.nan if value is None else float(value)


def measures_table(measured: Iterable[Measured]) -> pd.DataFrame:
    """Return the long table of all scores, ``measures.tsv``.

    Parameters
    ----------
    measured : iterable of Measured
        In the order of the table.

    Returns
    -------
    pandas.DataFrame
        One row a score. A column ``tracer`` is added when file names hold one.
    """
    rows = []
    for one in measured:
        head = {**one.unit.as_columns(), "measure": one.measure}
        for score in one.scores:
            row: dict[str, Any] = {
                **head,
                "region": score.region,
                "parameter": score.parameter,
                "value": score.value,
                "se": score.se,
                "lower": score.lower,
                "upper": score.upper,
                "unit": score.unit,
                "method": score.method,
                "flags": " ".join(score.flags) or "n/a",
            }
            if one.unit.tracer is not None:
                row["tracer"] = one.unit.tracer
            rows.append(row)
    columns = [
        *("participant_id", "session_id", "run_id", "measure", "region", "parameter"),
        *("value", "se", "lower", "upper", "unit", "method", "flags"),
    ]
    extra = ["tracer"] if any("tracer" in row for row in rows) else []
    return pd.DataFrame(rows, columns=pd.Index([*columns, *extra]))


#: What the columns of ``measures.tsv`` mean.
MEASURES_COLUMNS: dict[str, dict[str, Any]] = {
    "participant_id": {"Description": "Participant, as in participants.tsv"},
    "session_id": {"Description": "Session label without ses-, n/a when there is none"},
    "run_id": {"Description": "Run label, n/a when there is none"},
    "measure": {"Description": "Measure that gave the number"},
    "region": {"Description": "Segmentation and region, segmentation:region; n/a for a scalar"},
    "parameter": {"Description": "Name of the number"},
    "value": {"Description": "The number, in the unit of the same row; n/a when not defined"},
    "se": {"Description": "Standard error, same unit"},
    "lower": {"Description": "Lower limit of the 95 % interval, same unit"},
    "upper": {"Description": "Upper limit of the 95 % interval, same unit"},
    "unit": {"Description": "Unit of value, se, lower and upper"},
    "method": {"Description": "Kinetic model or rule set"},
    "flags": {"Description": "Warnings about this number, separated by spaces; n/a for none"},
    "tracer": {"Description": "Tracer label (trc-) of the file name"},
}
