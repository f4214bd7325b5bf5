"""Who is in a question: the rows, the numbers, and everybody left out by name."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.inference.formula import formula_names
from ekbom.nouns import Unit
from ekbom.study.among import Among, Missing
from ekbom.study.kinds import ask_of
from ekbom.study.outcomes import Outcome, Value, is_missing
from ekbom.study.question import Question
from ekbom.study.tables import Names
from ekbom.study.words import choices, did_you_mean


@dataclass(frozen=True)
class Left:
    """A unit that is not in the answer, and why.

    Parameters
    ----------
    unit : Unit
        Who and when.
    reason : str
        In words.
    """

    unit: Unit
    reason: str

    def as_row(self) -> dict[str, str]:
        """Return participant, session, run and reason."""
        return {**self.unit.as_columns(), "reason": self.reason}


@dataclass(frozen=True)
class Rows:
    """The rows of a question.

    Parameters
    ----------
    units : tuple of Unit
        One a row.
    table : pandas.DataFrame
        ``participant``, ``session`` and what the formula names, row by row.
    excluded : tuple of Left
        Not among those asked about.
    dropped : tuple of Left
        Asked about, but refused, without a number, or half of a pair.
    regions : tuple of str
        Columns of the values.
    regions_dropped : tuple of str
        Declared regions left out, with the scans that lack them.
    """

    units: tuple[Unit, ...]
    table: pd.DataFrame
    excluded: tuple[Left, ...]
    dropped: tuple[Left, ...]
    regions: tuple[str, ...]
    regions_dropped: tuple[str, ...] = ()

    def values(self, outcome: Outcome) -> NDArray[np.float64]:
        """Return the numbers, (n, V)."""
        return np.array(
            [[outcome.values[unit][r].number for r in self.regions] for unit in self.units],
            dtype=np.float64,
        ).reshape(len(self.units), len(self.regions))

    def without(self, participants: set[str]) -> Rows:
        """Return the rows of the other participants."""
        keep = [i for i, unit in enumerate(self.units) if unit.participant not in participants]
        gone = [u for u in self.units if u.participant in participants]
        return replace(
            self,
            units=tuple(self.units[i] for i in keep),
            table=self.table.iloc[keep].reset_index(drop=True),
            dropped=(*self.dropped, *(Left(u, "a permission was needed") for u in gone)),
        )


def asked_about(
    question: Question, units: Sequence[Unit], names: Names
) -> tuple[list[Unit], list[Left]]:
    """Return the units that a question is about, and the others.

    Parameters
    ----------
    question : Question
        With its `among`.
    units : sequence of Unit
        All there are.
    names : Names
        The tables.

    Returns
    -------
    kept : list of Unit
        Ordered by participant, then by the order of sessions in `among`.
    excluded : list of Left
        The others; those with a missing value by name.

    Raises
    ------
    Refused
        The expression is wrong, or nobody is left.
    """
    if question.among is None:
        return list(units), []
    expression = Among(question.among)
    columns = {name: names.column(name, units) for name in expression.names}
    expression.check(columns)
    kept, excluded = [], []
    for index, unit in enumerate(units):
        row = {name: column[index] for name, column in columns.items()}
        try:
            if expression(row):
                kept.append(unit)
            else:
                excluded.append(Left(unit, "not among"))
        except Missing as gap:
            excluded.append(Left(unit, f"{gap.name} is n/a"))
    if not kept:
        raise Refused(
            "nobody is left in the question",
            field="among",
            found=f"0 of {len(units)} scans with {question.among}",
            expected="scans for which it is true",
            mend="; ".join(
                f"{name} is one of {choices(sorted({str(v) for v in column}), 8)}"
                for name, column in columns.items()
            ),
        )
    order = _sessions_in(question.among)
    rank = {session: index for index, session in enumerate(order)}
    kept.sort(key=lambda u: (u.participant, rank.get(u.session or "", len(rank))))
    return kept, excluded


def select(question: Question, outcome: Outcome, names: Names) -> Rows:
    """Return the rows of a question.

    Parameters
    ----------
    question : Question
        What is asked.
    outcome : Outcome
        Its numbers.
    names : Names
        The tables.

    Returns
    -------
    Rows
        Complete: every row has a number in every region.

    Raises
    ------
    Refused
        Nobody is left, or a number is missing and the plan says to refuse.
    """
    kept, excluded = asked_about(question, outcome.units, names)
    dropped = [Left(u, f"refused: {outcome.stopped[u]}") for u in kept if u in outcome.stopped]
    left = [unit for unit in kept if unit not in outcome.stopped]
    left, gaps, regions, regions_dropped = _complete(question, outcome, left)
    dropped += gaps
    if is_within(question):
        left, halves = _pairs(left, kept)
        dropped += halves
    if not left:
        raise Refused(
            "nobody is left in the question",
            field="among" if question.among else "outcome",
            found=f"{len(kept)} scans asked about; "
            + choices((f"{d.unit.label}: {d.reason}" for d in dropped), 6),
            expected="scans with a number",
            mend="look into refused.tsv and measures.tsv for the reasons",
        )
    return Rows(
        tuple(left),
        table_of(question, left, names),
        tuple(excluded),
        tuple(sorted(dropped, key=lambda d: kept.index(d.unit))),
        regions,
        tuple(regions_dropped),
    )


def is_within(question: Question) -> bool:
    """Tell whether a question compares scans of the same person.

    Parameters
    ----------
    question : Question
        What is asked.

    Returns
    -------
    bool
        About reliability, or with ``participant`` as a term.
    """
    if question.kind == "reliability":
        return True
    return "participant" in formula_names(question.model or "~ 1")


def table_of(question: Question, units: Sequence[Unit], names: Names) -> pd.DataFrame:
    """Return the columns that inference needs, one row a unit.

    Parameters
    ----------
    question : Question
        With its formula.
    units : sequence of Unit
        The rows.
    names : Names
        The tables.

    Returns
    -------
    pandas.DataFrame
        ``participant``, ``session``, the names of the formula and of the
        blocks, and ``group`` when the study has one (for checks of severity).
    """
    columns: dict[str, list[Any]] = {
        "participant": [unit.participant for unit in units],
        "session": [unit.session or "n/a" for unit in units],
    }
    wanted = [] if question.model is None else list(formula_names(question.model))
    if question.kind not in ("effect", "reliability"):
        wanted = [n for n in ask_of(question).names() if n not in (question.outcome, "baseline")]
    blocks = question.blocks or question.inference.get("blocks")
    wanted += [blocks] if isinstance(blocks, str) else []
    for name in wanted:
        if name not in columns:
            columns[name] = names.column(name, units)
    if question.model is not None and "group" not in columns and names.has("group"):
        columns["group"] = names.column("group", units)
    frame = pd.DataFrame({"participant": columns["participant"]})
    for name, values in columns.items():
        text = any(isinstance(value, str) for value in values)
        frame[name] = pd.Series(values, dtype=object if text else "float64")
    return frame


def flagged(rows: Rows, outcome: Outcome) -> list[dict[str, Any]]:
    """Return what is flagged among the numbers used.

    Parameters
    ----------
    rows : Rows
        The rows.
    outcome : Outcome
        Their numbers.

    Returns
    -------
    list of dict
        ``flag``, ``n``, ``of`` and ``where`` (scan and region), most frequent first.
    """
    where: dict[str, list[str]] = {}
    for unit in rows.units:
        for region in rows.regions:
            for flag in outcome.values[unit][region].flags:
                where.setdefault(flag, []).append(f"{unit.label} {region}")
    total = len(rows.units) * len(rows.regions)
    return [
        {"flag": flag, "n": len(places), "of": total, "where": places}
        for flag, places in sorted(where.items(), key=lambda item: (-len(item[1]), item[0]))
    ]


def _complete(
    question: Question, outcome: Outcome, units: list[Unit]
) -> tuple[list[Unit], list[Left], tuple[str, ...], list[str]]:
    """Leave out what has no number, as the plan says: the scan or the region."""
    empty: dict[str, Value] = {}
    unwanted = frozenset(question.drop_flagged)
    seen = {f for values in outcome.values.values() for v in values.values() for f in v.flags}
    for word in sorted(unwanted - seen):
        # a flag that nothing has is no fault, unless it is nearly one that something has
        if meant := did_you_mean(word, sorted(seen)):
            raise Refused(
                "no number has this flag",
                field="drop_flagged",
                found=word,
                expected=choices(sorted(seen)),
                mend=meant,
            )

    def reason(unit: Unit, region: str) -> str:
        """Why a number is not used: missing, or a flag that the plan does not take."""
        value = outcome.values.get(unit, empty).get(region)
        if value is None or is_missing(value):
            return "n/a"
        return " ".join(sorted(unwanted.intersection(value.flags)))

    why = {(unit, r): reason(unit, r) for unit in units for r in outcome.regions}
    lacking = {unit: [r for r in outcome.regions if why[unit, r]] for unit in units}
    some = {unit: gaps for unit, gaps in lacking.items() if gaps}

    def told_of(unit: Unit, gaps: list[str], most: int) -> str:
        """Regions by what is wrong with them."""
        by: dict[str, list[str]] = {}
        for r in gaps:
            by.setdefault(why[unit, r], []).append(r)
        return "; ".join(f"{word} in {choices(regions, most)}" for word, regions in by.items())

    if not some:
        return units, [], outcome.regions, []
    if question.missing == "refuse":
        unit, gaps = next(iter(some.items()))
        raise Refused(
            "a scan has no number in a declared region",
            field="missing",
            found=f"{unit.label}: {told_of(unit, gaps, 6)}; {len(some)} scans in all",
            expected="a number in every region of every scan",
            mend='say missing = "drop-scan" or "drop-region"',
        )
    if question.missing == "drop-region":
        # A scan without any number is left out; it says nothing about a region.
        bare = [u for u, gaps in some.items() if len(gaps) == len(outcome.regions)]
        told = {u: gaps for u, gaps in some.items() if u not in bare}
        gone = {r for gaps in told.values() for r in gaps}
        said = []
        for r in outcome.regions:
            scans: dict[str, list[str]] = {}
            for u, gaps in told.items():
                if r in gaps:
                    scans.setdefault(why[u, r], []).append(u.label)
            said += [f"{r}: {word} in {choices(labels, 8)}" for word, labels in scans.items()]
        regions = tuple(r for r in outcome.regions if r not in gone)
        if not regions:
            raise Refused(
                "no region has a number in every scan",
                field="missing",
                found=choices(said, 4),
                expected="at least one region",
                mend='say missing = "drop-scan"',
            )
        kept = [unit for unit in units if unit not in bare]
        words = "n/a or flagged" if unwanted else "n/a"
        return kept, [Left(u, f"{words} in every region") for u in bare], regions, said
    kept = [unit for unit in units if unit not in some]
    gone_units = [Left(u, told_of(u, gaps, 6)) for u, gaps in some.items()]
    return kept, gone_units, outcome.regions, []


def _pairs(left: list[Unit], asked: list[Unit]) -> tuple[list[Unit], list[Left]]:
    """Drop everybody who lost a scan, and everybody who has only one."""
    missing = {u.participant: u for u in asked if u not in left}
    counts: dict[str, int] = {}
    for unit in left:
        counts[unit.participant] = counts.get(unit.participant, 0) + 1
    kept, dropped = [], []
    for unit in left:
        other = missing.get(unit.participant)
        if other is not None:
            dropped.append(Left(unit, f"its pair {other.label} is left out"))
        elif counts[unit.participant] < 2:
            dropped.append(Left(unit, "has no second scan"))
        else:
            kept.append(unit)
    return kept, dropped


def _sessions_in(text: str) -> list[str]:
    """Sessions in the order in which an expression lists them."""
    found: list[str] = []
    for node in ast.walk(ast.parse(text.strip(), mode="eval")):
        if (
            isinstance(node, ast.Compare)
            and isinstance(node.left, ast.Name)
            and node.left.id == "session"
        ):
            for side in node.comparators:
                for item in ast.walk(side):
                    if isinstance(item, ast.Constant) and isinstance(item.value, str):
                        found.append(item.value)
    return list(dict.fromkeys(found))
