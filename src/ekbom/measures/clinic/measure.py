"""The clinic as a measure of a study: phenotype tables to scores, by person and session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import pandas as pd
from pydantic import BaseModel

from ekbom.errors import Refused
from ekbom.measures.clinic import tables
from ekbom.measures.clinic.decide import NOT_ADVICE, Verdict, decide_all
from ekbom.measures.clinic.facts import fact, sources, unverified
from ekbom.measures.clinic.io import people
from ekbom.measures.clinic.io.columns import IDS, is_text
from ekbom.measures.clinic.io.phenotype import Phenotype, from_frame, read_phenotype
from ekbom.measures.clinic.iron import iron_status
from ekbom.measures.clinic.levodopa import levodopa_test
from ekbom.measures.clinic.logic import NO, YES, Answer
from ekbom.measures.clinic.scales.augmentation import augmentation
from ekbom.measures.clinic.scales.definition import SCALES, scale
from ekbom.measures.clinic.scales.score import Scored
from ekbom.measures.clinic.settings import ClinicSettings
from ekbom.nouns import Files, Inputs, Note, Product, Score, Table, Unit

_FROM_PARTICIPANTS = ("age", "onset_age", "family_history")
_NUMBER = {YES: 1.0, NO: 0.0}


def _outcomes() -> dict[str, str]:
    out = {p.name: p.unit for key in SCALES for p in scale(key).parts}
    out["JHSS"] = "ordinal 0-4"
    out |= {f"RLS_{name}": "1 yes, 0 no" for name in ("1995", "2003", "2012", "icsd3tr")}
    out |= {"augmentation": "1 yes, 0 no", "ferritin": "ug/L", "TSAT": "%"}
    out |= {"iron_candidate_AASM2025": "1 yes, 0 no"}
    out |= {f"levodopa_fall_{kind}": "% of baseline" for kind in ("symptoms", "urge")}
    return out


class ClinicMeasure:
    """Scores, criteria, iron and augmentation of one person and session.

    A score that the rules do not give (items missing, answers unknown) is NaN
    with the range that is possible and a flag; it is never filled in silently.
    ``lower`` and ``upper`` of a scale score are the range that missing items
    allow, ``se`` is the standard error of measurement.
    """

    name: ClassVar[str] = "clinic"
    settings_model: ClassVar[type[BaseModel]] = ClinicSettings
    outcomes: ClassVar[Mapping[str, str]] = _outcomes()
    citations: ClassVar[Mapping[str, str]] = {
        "irls": sources()["abetz2006"].reference,
        "criteria-1995": sources()["irlssg1995"].reference,
        "criteria-2003": sources()["allen2003"].reference,
        "criteria-2012": sources()["allen2014"].reference,
        "criteria-icsd3tr": sources()["icsd3tr"].reference,
        "sfmpq": sources()["melzack1987"].reference,
        "asrs": sources()["garciaborreguero2007"].reference,
        "jhss": sources()["allen2001"].reference,
        "mpi": sources()["garciaborreguero2007mpi"].reference,
        "levodopa": sources()["stiasny2006"].reference,
        "aasm2025": sources()["aasm2025"].reference,
    }

    def units(self, study: Files) -> list[Unit]:
        """Return every person and session of the phenotype tables, in order.

        Parameters
        ----------
        study : Files
            The study.

        Returns
        -------
        list of Unit
            Without runs.
        """
        found = set()
        for path in _paths(study):
            frame = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
            if "participant_id" not in frame:
                continue
            sessions = frame["session_id"] if "session_id" in frame else [""] * len(frame)
            for person, session in zip(frame["participant_id"], sessions, strict=True):
                bare = session.strip().removeprefix("ses-")
                label = "sub-" + person.strip().removeprefix("sub-")
                found.add((label, "" if bare == "n/a" else bare))
        return [Unit(person, session or None) for person, session in sorted(found)]

    def inputs(self, unit: Unit, study: Files, settings: BaseModel) -> Inputs:
        """Return the rows of this unit; their cells are part of the step's key.

        Parameters
        ----------
        unit : Unit
            Person and session.
        study : Files
            The study.
        settings : ClinicSettings
            Column names.

        Returns
        -------
        Inputs
            Without files: a change of another person's row changes nothing here.

        Raises
        ------
        Refused
            For a table that cannot be read, or one scale in two tables.
        """
        asked = cast(ClinicSettings, settings)
        rows: dict[str, Any] = {}
        for path in _paths(study):
            table = _read(path, study.root, tuple(sorted(asked.columns.items())))
            own = table.frame.index[
                (table.frame["participant_id"] == unit.participant)
                & (table.frame["session_id"] == (unit.session or "n/a"))
            ]
            if table.frame.columns.difference(list(IDS)).empty or not len(own):
                continue
            cells = table.frame.loc[own[0]]
            rows[table.file] = {
                "line": int(own[0]),
                "cells": {str(c): str(v) for c, v in cells.items() if not is_text(str(c))},
                "units": dict(table.units),
            }
        known = {k: v for k, v in study.participant(unit).items() if k in _FROM_PARTICIPANTS}
        return Inputs(unit, {}, {"rows": rows, "participant": _plain(known)})

    def run(self, inputs: Inputs, settings: BaseModel) -> Product:
        """Score one person and session.

        Parameters
        ----------
        inputs : Inputs
            From :meth:`inputs`.
        settings : ClinicSettings
            Rules asked for.

        Returns
        -------
        Product
            Scores, tables and notes.
        """
        asked = cast(ClinicSettings, settings)
        scores: list[Score] = []
        made: list[Table] = []
        notes: list[Note] = []
        keys: list[str] = []
        ids = [(inputs.unit.participant, inputs.unit.session or "n/a")]
        where: dict[str, str] = {}
        all_scored: dict[str, Scored] = {}
        for file, row in inputs.extra["rows"].items():
            table = _one(file, row)
            for key in people.scales_in(table):
                if asked.scales is not None and key not in asked.scales:
                    continue
                got = people.scored(table, key, prorate=asked.prorate, on_request=asked.rls6_total)
                for name, result in got.items():
                    if name in where:
                        raise Refused(
                            "One score comes from two tables.",
                            file=file,
                            field=name,
                            found=f"{where[name]} and {file}",
                            expected="one table a scale",
                            mend="remove the columns from one of the tables",
                        )
                    where[name] = file
                    scores.append(_score(result, key))
                    keys += result.facts_of(0)
                all_scored |= got
            person = [inputs.extra["participant"]]
            if people.has_diagnosis(table):
                verdicts = decide_all(people.presentations(table, person)[0], asked.criteria)
                made.append(tables.diagnosis_table(ids, [verdicts], asked.variants == "include"))
                scores += [_verdict(v, asked.variants == "include") for v in verdicts]
                keys += [k for v in verdicts for k in v.facts]
            if people.has_iron(table):
                more, extra = self._iron(table, ids, person[0])
                scores += more
                made.append(extra)
            if people.has_augmentation(table):
                result_ = augmentation(people.treatments(table)[0])
                scores.append(_answer("augmentation", result_.answer, "mpi", result_.facts))
                made.append(tables.augmentation_table(ids, [result_]))
                keys += result_.facts
            for kind in people.levodopa_kinds(table):
                test = levodopa_test(people.levodopa_curves(table, kind)[0], kind)
                flags = (test.status.replace(" ", "-"), *(["unverified"] if test.flags else []))
                scores.append(
                    Score(
                        f"levodopa_fall_{kind}", test.fall_best, "% of baseline",
                        method="levodopa", flags=flags,
                    )
                )  # fmt: skip
                made.append(tables.levodopa_table(ids, [test]))
                keys += test.facts
        if all_scored:
            made.insert(0, tables.scale_table("clinic", ids, all_scored))
        open_facts = unverified(keys)
        if open_facts:
            notes.append(Note("unverified-facts", "used but not checked: " + ", ".join(open_facts)))
        return Product(
            scores=scores,
            tables=_renamed(made),
            notes=notes,
            meta={"Statement": NOT_ADVICE},
        )

    def words(self, settings: BaseModel) -> str:
        """Return the methods paragraph.

        Parameters
        ----------
        settings : ClinicSettings
            Rules asked for.

        Returns
        -------
        str
            Sentences.
        """
        asked = cast(ClinicSettings, settings)
        names = ", ".join(fact(f"criteria.sets.{c}")["title"] for c in asked.criteria)
        parts = [
            f"Diagnostic criteria were applied to the recorded answers with three-valued logic"
            f" ({names}); an unknown answer was never taken as met.",
            "People who met the criteria without involvement of the legs were "
            + ("counted as RLS." if asked.variants == "include" else "not counted as RLS."),
            "Scales were scored from item answers; a score with missing items was "
            + (
                "prorated where one item was missing, and flagged."
                if asked.prorate
                else "left out, with the range of scores that the missing items allow."
            ),
            NOT_ADVICE,
        ]
        return " ".join(parts)

    def _iron(
        self, table: Phenotype, ids: tables.Ids, person: Mapping[str, Any]
    ) -> tuple[list[Score], Table]:
        age = person.get("age")
        sample = people.samples(table, [float(age) if isinstance(age, (int, float)) else None])[0]
        status = iron_status(sample)
        aasm = status.rules[0]
        candidate = {"candidate": 1.0, "not a candidate": 0.0}.get(aasm.status, np.nan)
        flags = tuple(["unverified"] if aasm.flags else []) + (
            () if candidate == candidate else (aasm.status.replace(" ", "-"),)
        )
        ferritin = np.nan if sample.ferritin is None else sample.ferritin
        scores = [
            Score("ferritin", ferritin, "ug/L", method="laboratory"),
            Score("TSAT", status.tsat, "%", method="laboratory"),
            Score(
                "iron_candidate_AASM2025", candidate, "1 yes, 0 no", method="aasm2025", flags=flags
            ),
        ]
        return scores, tables.iron_table(ids, [status])


def _paths(study: Files) -> list[Path]:
    return sorted((study.root / "phenotype").glob("*.tsv"))


def _read(path: Path, root: Path, columns: tuple[tuple[str, str], ...]) -> Phenotype:
    """Read a table once, as long as it and its JSON do not change."""
    stamps = tuple(
        (p.stat().st_mtime_ns, p.stat().st_size)
        for p in (path, path.with_suffix(".json"))
        if p.is_file()
    )
    return _read_cached(path, path.relative_to(root).as_posix(), columns, stamps)


@lru_cache(maxsize=64)
def _read_cached(
    path: Path, name: str, columns: tuple[tuple[str, str], ...], stamps: tuple[Any, ...]
) -> Phenotype:
    del stamps
    header = pd.read_csv(path, sep="\t", dtype=str, nrows=0).columns
    if "participant_id" not in {*header, *(new for _, new in columns)}:
        # A phenotype file of someone else's; nothing in it is ours.
        empty = pd.DataFrame({"participant_id": []}, dtype=str)
        return from_frame(empty, name)
    return read_phenotype(path, columns=dict(columns), name=name)


def _one(file: str, row: Mapping[str, Any]) -> Phenotype:
    table = from_frame(
        pd.DataFrame([row["cells"]], dtype=str),
        file,
        sidecar={column: {"Units": unit} for column, unit in row["units"].items()},
    )
    return Phenotype(table.file, table.frame.set_axis([row["line"]]), table.units)


def _plain(known: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what JSON can hold, numbers as floats."""
    out: dict[str, Any] = {}
    for key, value in known.items():
        if isinstance(value, str):
            out[key] = value
        elif isinstance(value, (int, float, np.integer, np.floating)) and value == value:
            out[key] = float(value)
    return out


def _score(result: Scored, method: str) -> Score:
    flags = str(result.flags[0])
    return Score(
        parameter=result.name,
        value=float(result.value[0]),
        unit=result.unit,
        method=method,
        se=result.sem,
        lower=float(result.lower[0]),
        upper=float(result.upper[0]),
        flags=tuple(flags.split(",")) if flags else (),
    )


def _verdict(verdict: Verdict, variants: bool) -> Score:
    answer = verdict.counts_as_rls(variants)
    status = verdict.status.value.replace(", ", "-").replace(" ", "-")
    flags = (status, *(["unverified"] if not verdict.verified else []))
    return Score(
        parameter=f"RLS_{verdict.set}",
        value=_NUMBER.get(answer, float("nan")),
        unit="1 yes, 0 no",
        method=f"criteria-{verdict.set}",
        flags=flags,
    )


def _answer(name: str, answer: Answer, method: str, keys: Sequence[str]) -> Score:
    flags = ("unverified",) if unverified(keys) else ()
    value = _NUMBER.get(answer, float("nan"))
    return Score(parameter=name, value=value, unit="1 yes, 0 no", method=method, flags=flags)


def _renamed(made: Sequence[Table]) -> list[Table]:
    """Give each table a BIDS-like end, ``desc-diagnosis_clinic``; number what repeats."""
    out: list[Table] = []
    seen: dict[str, int] = {}
    for table in made:
        name = "scored" if table.name.startswith("desc-scored") else table.name
        seen[name] = seen.get(name, 0) + 1
        label = name if seen[name] == 1 else f"{name}{seen[name]}"
        out.append(Table(f"desc-{label}_clinic", table.frame, table.columns, table.meta))
    return out
