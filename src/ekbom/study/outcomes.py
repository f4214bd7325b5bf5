"""The numbers a question is about: scores of a measure, or a column of a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ekbom.errors import Refused
from ekbom.nouns import Unit
from ekbom.study.index import Study
from ekbom.study.participants import Measurements
from ekbom.study.question import Question
from ekbom.study.tables import Names, Source
from ekbom.study.words import choices, did_you_mean


@dataclass(frozen=True)
class Value:
    """One number with its flags.

    Parameters
    ----------
    number : float
        NaN when missing.
    flags : tuple of str
        Short words.
    """

    number: float
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """The outcome of a question, before anybody is left out.

    Parameters
    ----------
    name : str
        Name of the number: ``VT``, ``irls_total``.
    unit : str
        Its unit.
    regions : tuple of str
        Columns, ``segmentation:region``, or the name itself for a plain number.
    values : mapping of Unit to mapping of str to Value
        By unit and region.
    stopped : mapping of Unit to str
        Units that were refused, and why.
    permissions : mapping of Unit to list of str
        Permissions that a unit needed.
    """

    name: str
    unit: str
    regions: tuple[str, ...]
    values: Mapping[Unit, Mapping[str, Value]]
    stopped: Mapping[Unit, str] = field(default_factory=dict)
    permissions: Mapping[Unit, list[str]] = field(default_factory=dict)

    @property
    def units(self) -> list[Unit]:
        """Every unit there is a word about, in order."""
        return sorted([*self.values, *self.stopped], key=_order)


def _order(unit: Unit) -> tuple[str, ...]:
    return (unit.participant, unit.session or "", unit.run or "", unit.tracer or "")


def of_measure(question: Question, method: str | None, found: Measurements) -> Outcome:
    """Return the outcome of a question about a measure.

    Parameters
    ----------
    question : Question
        With an outcome ``measure.parameter``.
    method : str or None
        Kinetic model or rule set.
    found : Measurements
        What the participant level got.

    Returns
    -------
    Outcome
        Declared regions in their order.

    Raises
    ------
    Refused
        No such parameter, method, segmentation or region; several methods or
        segmentations and none named; units of measurement that differ.
    """
    measure, _, parameter = question.outcome.partition(".")
    mine = [one for one in found.measured if one.measure == measure]
    scores = [(one.unit, s) for one in mine for s in one.scores if s.parameter == parameter]
    if not scores:
        there = sorted({s.parameter for one in mine for s in one.scores})
        raise Refused(
            f"no scan has a number called {parameter}",
            field="outcome",
            found=question.outcome,
            expected=choices(f"{measure}.{name}" for name in there),
            mend="name one that was measured, or look why every scan was refused",
        )
    methods = list(dict.fromkeys(s.method for _, s in scores))
    chosen = _one_of("method", method, methods)
    scores = [(unit, s) for unit, s in scores if s.method == chosen]
    regions = _regions(question, list(dict.fromkeys(s.region for _, s in scores)), parameter)
    values: dict[Unit, dict[str, Value]] = {one.unit: {} for one in mine}
    units: set[str] = set()
    for unit, score in scores:
        name = parameter if score.region == "n/a" else score.region
        if name in regions:
            values[unit][name] = Value(score.value, score.flags)
            units.add(score.unit)
    return Outcome(
        parameter,
        _one_unit(units, question.outcome),
        regions,
        values,
        {one.unit: one.what for one in found.stopped if one.measure == measure},
        {one.unit: one.permissions for one in mine if one.permissions},
    )


def of_table(question: Question, method: str | None, names: Names, study: Study) -> Outcome:
    """Return the outcome of a question about a column of a table.

    Parameters
    ----------
    question : Question
        With an outcome ``table:FILE:column`` or the name of a column.
    method : str or None
        Rows of this word in a column ``method``, when the table has one.
    names : Names
        The tables.
    study : Study
        For the place of FILE.

    Returns
    -------
    Outcome
        One column, or one a region when the table has a column ``region``.

    Raises
    ------
    Refused
        A table the plan does not list, no such column, text where numbers are
        needed, two rows for one scan and region.
    """
    source, column = _source(question, names, study)
    frame = source.frame
    if frame[column].dtype == object and any(v is not None for v in frame[column]):
        text = next(v for v in frame[column] if v is not None)
        raise Refused(
            "the outcome is not a number",
            file=source.file,
            field=column,
            found=repr(text),
            expected="a column of numbers, n/a where missing",
            mend="name a column of numbers",
        )
    rows: list[dict[str, Any]] = [
        {str(k): v for k, v in r.items()} for r in frame.to_dict("records")
    ]
    if "method" in frame.columns:
        chosen = _one_of("method", method, list(dict.fromkeys(str(r["method"]) for r in rows)))
        rows = [row for row in rows if str(row["method"]) == chosen]
    elif method is not None:
        raise Refused(
            "the table has no column method",
            file=source.file,
            field="method",
            found=method,
            expected="a question without method",
            mend="remove method",
        )
    named = [_region_of(row, column) for row in rows]
    regions = _regions(question, list(dict.fromkeys(named)), column)
    values: dict[Unit, dict[str, Value]] = {}
    for row, region in zip(rows, named, strict=True):
        unit = Unit(str(row["participant_id"]), row.get("session_id"), row.get("run_id"))
        mine = values.setdefault(unit, {})
        name = column if region == "n/a" else region
        if name in mine:
            raise Refused(
                f"the table has two rows for {unit.label}",
                file=source.file,
                field=column,
                found=f"two rows for {name}",
                expected="one row a scan and region",
                mend="keep one of them, or add session_id",
            )
        if name in regions:
            mine[name] = Value(float(row[column]))
    return Outcome(column, source.unit(column), regions, values)


def _source(question: Question, names: Names, study: Study) -> tuple[Source, str]:
    if not question.outcome.startswith("table:"):
        return names.source(question.outcome)
    _, file, column = question.outcome.split(":")
    path = study.root / file
    source = next((s for s in names.sources if s.file == path), None)
    if source is None:
        known = [study.relative(s.file) for s in names.sources]
        raise Refused(
            "the outcome names a table that the study does not read",
            file=path,
            field="outcome",
            found=f"{file}" if path.is_file() else f"{file}, which does not exist",
            expected=choices(known),
            mend=f'add tables = ["{file}"] at the top of the plan'
            if path.is_file()
            else did_you_mean(file, known) or "correct the path (relative to the BIDS folder)",
        )
    if column not in source.columns:
        raise Refused(
            "the table has no such column",
            file=source.file,
            field=column,
            found=column,
            expected=choices(source.columns),
            mend=did_you_mean(column, source.columns) or "correct the name",
        )
    return source, column


def _region_of(row: Mapping[str, Any], column: str) -> str:
    region = row.get("region")
    if region is None:
        return "n/a"
    segmentation = row.get("segmentation")
    return f"{segmentation}:{region}" if segmentation else str(region)


def _regions(question: Question, there: Sequence[str], scalar: str) -> tuple[str, ...]:
    """Return the declared family among the regions that there are."""
    if list(there) == ["n/a"]:
        if question.regions is not None or question.segmentation is not None:
            raise Refused(
                "the outcome is one number a scan and has no regions",
                field="regions" if question.regions is not None else "segmentation",
                found=choices(question.regions or [str(question.segmentation)]),
                expected="a question without regions",
                mend="remove regions and segmentation",
            )
        return (scalar,)
    segmentations = list(dict.fromkeys(r.partition(":")[0] if ":" in r else "" for r in there))
    segmentation = question.segmentation
    declared = question.regions
    if segmentation is None and declared and all(":" in region for region in declared):
        segmentation = declared[0].partition(":")[0]
    segmentation = _one_of("segmentation", segmentation, segmentations)
    mine = [r for r in there if (r.partition(":")[0] if ":" in r else "") == segmentation]
    if declared is None:
        return tuple(mine)
    prefix = f"{segmentation}:" if segmentation else ""
    picked = []
    for region in declared:
        full = region if region.startswith(prefix) else f"{prefix}{region}"
        if full not in mine:
            bare = [r.removeprefix(prefix) for r in mine]
            raise Refused(
                "no scan has a number in a declared region",
                field="regions",
                found=region,
                expected=choices(bare),
                mend=did_you_mean(region, bare) or "name a region of this segmentation",
            )
        picked.append(full)
    return tuple(picked)


def _one_of(key: str, asked: str | None, there: Sequence[str]) -> str:
    listed = [name or "none" for name in there]
    if asked is None:
        if len(there) == 1:
            return there[0]
        raise Refused(
            f"the outcome comes by several {key}s and the question names none",
            field=key,
            found=choices(listed),
            expected=f"one {key}" + (", or a list of them" if key == "method" else ""),
            mend=f'add {key} = "{listed[0]}" to the question',
        )
    if asked not in there:
        raise Refused(
            f"no number comes by this {key}",
            field=key,
            found=asked,
            expected=choices(listed),
            mend=did_you_mean(asked, listed) or f"use one of the {key}s",
        )
    return asked


def _one_unit(units: set[str], outcome: str) -> str:
    if len(units) > 1:
        raise Refused(
            "the outcome comes in several units of measurement",
            field="outcome",
            found=choices(sorted(units)),
            expected="one unit",
            mend=f"ask about {outcome} in scans that share a unit",
        )
    return next(iter(units), "n/a")


def is_missing(value: Value | None) -> bool:
    """Tell whether there is no usable number.

    Parameters
    ----------
    value : Value or None
        What was found.

    Returns
    -------
    bool
        True when absent or not finite.
    """
    return value is None or not math.isfinite(value.number)
