"""From phenotype tables to what the numerics take: answers, samples, curves, items."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.measures.clinic.io.columns import (
    DX_ANSWERS,
    DX_NUMBERS,
    IRON_NUMBERS,
    JHSS,
    LABORATORY,
    MPI_ANSWERS,
    MPI_NUMBERS,
    levodopa_columns,
)
from ekbom.measures.clinic.io.phenotype import Phenotype
from ekbom.measures.clinic.iron import Sample, convert
from ekbom.measures.clinic.logic import UNKNOWN, Answer
from ekbom.measures.clinic.presentation import LEGS, Presentation, known_mimics, known_parts
from ekbom.measures.clinic.scales.augmentation import Treatment
from ekbom.measures.clinic.scales.definition import SCALES, Scale, scale
from ekbom.measures.clinic.scales.jhss import jhss
from ekbom.measures.clinic.scales.score import Scored, score

Array = NDArray[np.float64]


def has_diagnosis(table: Phenotype) -> bool:
    """Say whether a table holds answers to diagnostic criteria.

    Parameters
    ----------
    table : Phenotype
        The table.

    Returns
    -------
    bool
        Whether it does.
    """
    return any(c.startswith("dx_") for c in table.frame.columns)


def has_augmentation(table: Phenotype) -> bool:
    """Say whether a table holds answers about augmentation.

    Parameters
    ----------
    table : Phenotype
        The table.

    Returns
    -------
    bool
        Whether it does.
    """
    return any(c.startswith("mpi_") for c in table.frame.columns)


def has_iron(table: Phenotype) -> bool:
    """Say whether a table holds iron values.

    Parameters
    ----------
    table : Phenotype
        The table.

    Returns
    -------
    bool
        Whether it does.
    """
    return any(c in table for c in ("ferritin", "iron", "tsat"))


def levodopa_kinds(table: Phenotype) -> tuple[str, ...]:
    """Return which levodopa curves a table holds: ``symptoms``, ``urge``.

    Parameters
    ----------
    table : Phenotype
        The table.

    Returns
    -------
    tuple of str
        In order.
    """
    return tuple(
        kind
        for kind, prefix in (("symptoms", "vas"), ("urge", "urge"))
        if any(c in table for c in levodopa_columns(prefix))
    )


def scales_in(table: Phenotype) -> tuple[str, ...]:
    """Return the scales of which a table holds any column.

    Parameters
    ----------
    table : Phenotype
        The table.

    Returns
    -------
    tuple of str
        Keys of scales.
    """
    found = [key for key in SCALES if any(c in table for c in scale(key).columns)]
    return (*found, *(["jhss"] if any(c in table for c in JHSS) else []))


def presentations(
    table: Phenotype, more: Sequence[Mapping[str, Any]] | None = None
) -> list[Presentation]:
    """Return one presentation a row.

    Parameters
    ----------
    table : Phenotype
        With ``dx_`` columns.
    more : sequence of mapping, optional
        Per row, what participants.tsv says (``age``, ``onset_age``,
        ``family_history``), used where the table does not.

    Returns
    -------
    list of Presentation
        In order of rows.

    Raises
    ------
    Refused
        For answers, parts or numbers that are not accepted.
    """
    n = len(table)
    answers = {f: _first(table, columns) for f, columns in DX_ANSWERS.items()}
    numbers = {f: _first_number(table, *spec) for f, spec in DX_NUMBERS.items()}
    mimics = {m: table.answers(f"dx_mimic_{m}") for m in known_mimics() if f"dx_mimic_{m}" in table}
    own = {
        (part, c): table.answers(f"dx_{part}_{c}")
        for part in known_parts()
        for c in ("c1", "c2", "c3", "c4")
        if f"dx_{part}_{c}" in table
    }
    parts = _parts(table)
    people = []
    for i in range(n):
        row: dict[str, Any] = {f: a[i] for f, a in answers.items()}
        row |= {f: None if np.isnan(x[i]) else float(x[i]) for f, x in numbers.items()}
        by_part: dict[str, dict[str, Answer]] = {}
        for (part, c), given in own.items():
            # A cell left empty for a part says nothing of its own.
            if given[i] is not UNKNOWN:
                by_part.setdefault(part, {})[c] = given[i]
        extra = more[i] if more else {}
        for name in ("age", "onset_age"):
            if row[name] is None and isinstance(extra.get(name), (int, float)):
                row[name] = float(extra[name])
        if row["family_history"] is UNKNOWN and extra.get("family_history") in ("yes", "no"):
            row["family_history"] = Answer(extra["family_history"])
        try:
            person = Presentation(
                **row,
                mimics={m: a[i] for m, a in mimics.items()},
                body_parts=parts[i],
                by_part=by_part,
            )
        except Refused as no:
            where = np.zeros(n, dtype=bool)
            where[i] = True
            raise table.refusal(
                no.what, f"dx_{no.field}", where, found=no.found, expected=no.expected
            ) from no
        people.append(person)
    return people


def treatments(table: Phenotype) -> list[Treatment]:
    """Return what a table says about treatment and augmentation, one a row.

    Parameters
    ----------
    table : Phenotype
        The table.

    Returns
    -------
    list of Treatment
        In order of rows.
    """
    answers = {f: table.answers(c) for f, c in MPI_ANSWERS.items()}
    numbers = {f: table.numbers(c, low, high) for f, (c, low, high) in MPI_NUMBERS.items()}
    out = []
    for i in range(len(table)):
        row: dict[str, Any] = {f: a[i] for f, a in answers.items()}
        row |= {f: None if np.isnan(x[i]) else float(x[i]) for f, x in numbers.items()}
        out.append(Treatment(**row))
    return out


def samples(table: Phenotype, ages: Sequence[float | None] | None = None) -> list[Sample]:
    """Return one blood sample a row, in internal units.

    Parameters
    ----------
    table : Phenotype
        With laboratory columns and their units.
    ages : sequence of float or None, optional
        Years, used where the table has none.

    Returns
    -------
    list of Sample
        In order of rows.

    Raises
    ------
    Refused
        For a unit not named, or a value that cannot be.
    """
    values: dict[str, Array] = {}
    for name in LABORATORY:
        if name in table:
            given = table.numbers(name, 0.0, 1e6)
            values[name] = given * _factor(table, name)
    values |= {f: table.numbers(c, lo, hi) for f, (c, lo, hi) in IRON_NUMBERS.items()}
    age = table.numbers("age", 0.0, 120.0)
    kidney = table.answers("dx_kidney_failure")
    assay = table.text("assay")
    out = []
    for i in range(len(table)):
        numbers: dict[str, Any] = {
            f: None if np.isnan(x[i]) else float(x[i]) for f, x in values.items()
        }
        years = None if np.isnan(age[i]) else float(age[i])
        if years is None and ages is not None:
            years = ages[i]
        try:
            out.append(Sample(**numbers, age=years, kidney_failure=kidney[i], assay=assay[i]))
        except Refused as no:
            where = np.zeros(len(table), dtype=bool)
            where[i] = True
            raise table.refusal(
                no.what, str(no.field), where, found=no.found, expected=no.expected, mend=no.mend
            ) from no
    return out


def mixed_assays(table: Phenotype) -> tuple[str, ...]:
    """Return the ferritin assays of a table when there is more than one.

    Parameters
    ----------
    table : Phenotype
        The table.

    Returns
    -------
    tuple of str
        Names, empty with one assay or none.
    """
    names = tuple(dict.fromkeys(a for a in table.text("assay") if a))
    return names if len(names) > 1 else ()


def levodopa_curves(table: Phenotype, kind: str) -> Array:
    """Return the readings of a levodopa test, (N, 9), NaN when missing.

    Parameters
    ----------
    table : Phenotype
        The table.
    kind : str
        ``symptoms`` or ``urge``.

    Returns
    -------
    (N, 9) ndarray
        0 to 100.
    """
    prefix = "vas" if kind == "symptoms" else "urge"
    columns = [table.numbers(c, 0.0, 100.0) for c in levodopa_columns(prefix)]
    return np.stack(columns, axis=1)


def scored(
    table: Phenotype, key: str, *, prorate: bool = False, on_request: bool = False
) -> dict[str, Scored]:
    """Read and score one scale of a table.

    Parameters
    ----------
    table : Phenotype
        With columns of the scale.
    key : str
        Scale.
    prorate, on_request : bool
        As :func:`ekbom.measures.clinic.scales.score.score`.

    Returns
    -------
    dict
        :class:`Scored` by measure name; parts of which nothing was given are left out.

    Raises
    ------
    Refused
        For values out of range, or a given total that the items contradict.
    """
    if key == "jhss":
        return {"JHSS": _jhss(table)}
    what = scale(key)
    items = np.stack(
        [table.numbers(c, what.low, what.high, integer=what.integer) for c in what.items], axis=1
    )
    given = {
        part.given: table.numbers(
            part.given, what.low * len(part.items), what.high * len(part.items)
        )
        for part in what.parts
        if part.given is not None and part.given in table
    }
    result = score(what, items, given, prorate=prorate, on_request=on_request)
    _agree(table, what, items, given, on_request)
    there = {c for c in what.columns if c in table}
    asked = {p.name: {*(what.items[i - 1] for i in p.items), p.given} for p in what.parts}
    return {
        name: r
        for name, r in result.items()
        if there & asked[name]
        and (r.missing < r.n_items).any()
        and (
            what.part(name).given in there
            or all(there & asked[h.name] for h in what.halves(what.part(name)))
        )
    }


def _agree(
    table: Phenotype, what: Scale, items: Array, given: Mapping[str, Array], on_request: bool
) -> None:
    plain = score(what, items, on_request=on_request)
    for part in what.parts:
        if part.given in given and part.name in plain and part.given is not None:
            total, own = given[part.given], plain[part.name]
            wrong = (own.missing == 0) & ~np.isnan(total) & (np.abs(total - own.value) > 1e-9)
            # A total that even the missing items cannot make is as wrong.
            with np.errstate(invalid="ignore"):
                wrong |= (own.missing < own.n_items) & ((total < own.lower) | (total > own.upper))
            if wrong.any():
                first = int(np.flatnonzero(wrong)[0])
                raise table.refusal(
                    "A given total and the items disagree.",
                    part.given,
                    wrong,
                    found=f"{total[first]:g}",
                    expected=f"{own.value[first]:g}, the sum of the items"
                    if own.missing[first] == 0
                    else f"{own.lower[first]:g} to {own.upper[first]:g}, what the items allow",
                    mend="correct the items or the total, or leave the total out",
                )


def _jhss(table: Phenotype) -> Scored:
    column = "jhss_onset_hour"
    none = np.array([t.lower() == "none" for t in table.text(column)], dtype=bool)
    frame = table.frame.assign(
        **({column: table.frame[column].where(~none, "n/a")} if column in table else {})
    )
    hours = Phenotype(table.file, frame, table.units)
    given = table.numbers("jhss_total", 0.0, 4.0, integer=True)
    return jhss(
        hours.numbers(column, 0.0, 24.0), table.numbers("jhss_bedtime_hour", 0.0, 24.0), none, given
    )


def _factor(table: Phenotype, name: str) -> float:
    try:
        return convert(name, 1.0, table.units.get(name, ""))
    except Refused as no:
        no.file = table.file
        raise


def _first(table: Phenotype, columns: Iterable[str]) -> list[Answer]:
    for column in columns:
        if column in table:
            return table.answers(column)
    return [UNKNOWN] * len(table)


def _first_number(table: Phenotype, columns: Iterable[str], low: float, high: float) -> Array:
    for column in columns:
        if column in table:
            return table.numbers(column, low, high)
    return np.full(len(table), np.nan)


def _parts(table: Phenotype) -> list[tuple[str, ...]]:
    known = known_parts()
    out = []
    for i, text in enumerate(table.text("dx_body_parts")):
        named = tuple(p.strip() for p in text.split(",") if p.strip()) or (LEGS,)
        strange = [p for p in named if p not in known]
        if strange:
            where = np.zeros(len(table), dtype=bool)
            where[i] = True
            raise table.refusal(
                "A body part is not known.",
                "dx_body_parts",
                where,
                found=", ".join(strange),
                expected=", ".join(known) + "; several with commas",
            )
        out.append(named)
    return out
