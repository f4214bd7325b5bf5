"""The tables of a study, and the look-up of names.

Participants, sessions, phenotype and the TSV files that the plan lists. A name in
a formula is a column of exactly one of them, ``file.column``, or a score of a
measure; two hits are refused naming both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from ekbom.errors import Refused
from ekbom.nouns import Unit
from ekbom.study.index import Study
from ekbom.study.readers import read_json, read_tsv
from ekbom.study.results import Measured
from ekbom.study.words import choices, did_you_mean

#: Names that are always there.
ALWAYS = ("participant", "session", "run", "tracer")

#: The fixed words of a column called ``group``.
GROUPS = ("control", "rls")

_KEYS = ("participant_id", "session_id", "run_id")


@dataclass(frozen=True)
class Source:
    """A table of the study.

    Parameters
    ----------
    name : str
        File name without extension: ``participants``, ``sessions``, ``irls``.
    file : Path
        Where it was read (the first one, for sessions).
    frame : pandas.DataFrame
        Its rows, participants with and sessions without prefix.
    about : mapping
        Its JSON.
    """

    name: str
    file: Path
    frame: pd.DataFrame
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def keys(self) -> tuple[str, ...]:
        """Columns that say whose a row is."""
        return tuple(key for key in _KEYS if key in self.frame.columns)

    @property
    def columns(self) -> list[str]:
        """Columns that hold something about the participant."""
        return [str(c) for c in self.frame.columns if c not in _KEYS]

    def unit(self, column: str) -> str:
        """Return the unit that the JSON gives a column, ``"n/a"`` without."""
        said = self.about.get(column)
        return str(said.get("Units", "n/a")) if isinstance(said, Mapping) else "n/a"

    def lookup(self, column: str) -> dict[tuple[str, ...], Any]:
        """Return value by key (participant, and session, run when it has them).

        Raises
        ------
        Refused
            Two rows have one key, so that a value is not the person's only one.
        """
        keys = self.keys
        values: dict[tuple[str, ...], Any] = {}
        rows = zip(*(self.frame[k] for k in keys), self.frame[column], strict=True)
        for *key, value in rows:
            label = tuple("" if k is None else str(k) for k in key)
            if label in values:
                raise Refused(
                    f"the table {self.name} has several rows for {' '.join(label)}",
                    file=self.file,
                    field=column,
                    found=f"two rows with {' and '.join(keys)} = {' '.join(label)}",
                    expected="one row each",
                    mend="add session_id, or keep one row",
                )
            values[label] = _clean(value)
        return values

    def value(self, found: Mapping[tuple[str, ...], Any], unit: Unit) -> Any:
        """Return a unit's value from :meth:`lookup`, None when it has none."""
        parts = {"participant_id": unit.participant, "session_id": unit.session, "run_id": unit.run}
        return found.get(tuple(parts[key] or "" for key in self.keys))


@dataclass(frozen=True)
class Names:
    """Every name a question may use, and its values.

    Parameters
    ----------
    sources : sequence of Source
        Tables, in the order of precedence of messages.
    outcomes : mapping of str to sequence of str
        Measure to its parameters.
    measured : sequence of Measured
        Scores; empty while nothing is measured.
    """

    sources: Sequence[Source]
    outcomes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    measured: Sequence[Measured] = ()

    @classmethod
    def open(
        cls,
        study: Study,
        listed: Iterable[str] = (),
        outcomes: Mapping[str, Sequence[str]] | None = None,
        measured: Sequence[Measured] = (),
    ) -> Names:
        """Read the tables of a study.

        Parameters
        ----------
        study : Study
            The opened study.
        listed : iterable of str
            TSV files named by the plan, relative to the BIDS folder.
        outcomes : mapping of str to sequence of str, optional
            Measure to its parameters.
        measured : sequence of Measured
            Scores.

        Returns
        -------
        Names
            Ready for look-up.

        Raises
        ------
        Refused
            A table is broken or not there.
        """
        return cls(tuple(read_sources(study, listed)), outcomes or {}, measured)

    def is_score(self, name: str) -> bool:
        """Tell whether a name is a score of a measure (checked against tables)."""
        return name not in ALWAYS and self._find(name) is None

    def has(self, column: str) -> bool:
        """Tell whether exactly one table has this column."""
        return sum(column in source.columns for source in self.sources) == 1

    def source(self, name: str) -> tuple[Source, str]:
        """Return the table and column of a name.

        Raises
        ------
        Refused
            No such name, two hits, or no column of a table.
        """
        hit = None if name in ALWAYS else self._find(name)
        if hit is None:
            raise Refused(
                f"{name} is not a column of a table",
                field="outcome",
                found=name,
                expected="measure.parameter, table:FILE:column or the name of a column",
                mend="correct the outcome",
            )
        return hit

    def column(self, name: str, units: Sequence[Unit]) -> list[Any]:
        """Return the values of a name for units.

        Parameters
        ----------
        name : str
            ``age``, ``irls.total``, ``legs.PLMS_index``, ``session``.
        units : sequence of Unit
            Whose values.

        Returns
        -------
        list
            str, float, or None when missing.

        Raises
        ------
        Refused
            No such name (with the nearest), two hits (naming both), a group
            with other words than ``rls`` and ``control``, or a score that is
            not one number a scan.
        """
        if name in ALWAYS:
            return [getattr(unit, name) for unit in units]
        hit = self._find(name)
        if hit is None:
            return self._scores(name, units)
        source, column = hit
        found = source.lookup(column)
        values = [source.value(found, unit) for unit in units]
        if column == "group":
            _check_groups(source, values)
        return values

    def place(self, name: str) -> str:
        """Return where a name is, for messages: file and column."""
        if name in ALWAYS:
            return f"{name} (from the file names)"
        hit = self._find(name)
        return f"score {name}" if hit is None else f"{hit[0].file}: {hit[1]}"

    def all_names(self) -> list[str]:
        """Return every name that can be written, plain ones first."""
        plain = [column for source in self.sources for column in source.columns]
        dotted = [f"{s.name}.{column}" for s in self.sources for column in s.columns]
        scores = [f"{m}.{p}" for m, ps in self.outcomes.items() for p in ps]
        return list(dict.fromkeys([*ALWAYS, *plain, *scores, *dotted]))

    def _find(self, name: str) -> tuple[Source, str] | None:
        hits = [(source, name) for source in self.sources if name in source.columns]
        head, dot, tail = name.partition(".")
        if dot:
            hits += [(s, tail) for s in self.sources if s.name == head and tail in s.columns]
        score = dot and tail in self.outcomes.get(head, ())
        if len(hits) + bool(score) > 1:
            where = [f"{source.file}: {column}" for source, column in hits]
            where += [f"score {name} of the measure {head}"] if score else []
            ways = [f"{source.name}.{column}" for source, column in hits]
            distinct = len(set(ways)) == len(ways) and not score and name not in ways
            raise Refused(
                f"the name {name} is in two tables",
                field=name,
                found=" and ".join(where),
                expected="one place",
                mend=f"write {' or '.join(ways)}" if distinct else "rename one of the columns",
            )
        if hits:
            return hits[0]
        if score:
            return None
        names = self.all_names()
        if dot and head in self.outcomes:
            names = [f"{head}.{parameter}" for parameter in self.outcomes[head]]
        raise Refused(
            f"there is nothing called {name} in the tables of the study",
            field=name,
            found=name,
            expected=choices(names),
            mend=did_you_mean(name, names) or "correct the name, or list its file under tables",
        )

    def _scores(self, name: str, units: Sequence[Unit]) -> list[Any]:
        measure, _, parameter = name.partition(".")
        found: dict[tuple[str, str | None, str | None], float] = {}
        for one in self.measured:
            if one.measure != measure:
                continue
            scores = [s for s in one.scores if s.parameter == parameter]
            if len(scores) > 1:
                raise Refused(
                    f"{name} is not one number a scan, so it cannot stand in a formula",
                    field=name,
                    found=choices(
                        f"{s.region} ({s.method})" if s.method != "n/a" else s.region
                        for s in scores
                    ),
                    expected="one number a scan",
                    mend="put the region you mean into a table and list the file under tables",
                )
            for score in scores:
                found[one.unit.participant, one.unit.session, one.unit.run] = score.value
        values = []
        for unit in units:
            label = (unit.participant, unit.session, unit.run)
            # What is known of a session holds for its runs, and of a person for all sessions.
            session = (unit.participant, unit.session, None)
            whole = (unit.participant, None, None)
            values.append(_clean(found.get(label, found.get(session, found.get(whole)))))
        return values


def read_sources(study: Study, listed: Iterable[str] = ()) -> list[Source]:
    """Read participants, sessions, phenotype and listed tables.

    Parameters
    ----------
    study : Study
        The opened study.
    listed : iterable of str
        Relative to the BIDS folder.

    Returns
    -------
    list of Source
        Those that exist.

    Raises
    ------
    Refused
        A table is broken, or a listed file does not exist or is not a TSV.
    """
    sources = []
    participants = study.root / "participants.tsv"
    if participants.is_file():
        sources.append(read_source(participants))
    sessions = _sessions(study)
    if sessions is not None:
        sources.append(sessions)
    seen = {participants}
    for path in sorted((study.root / "phenotype").glob("*.tsv")):
        sources.append(read_source(path))
        seen.add(path)
    for name in listed:
        path = study.root / name
        if path in seen:
            continue
        seen.add(path)
        if path.suffix != ".tsv":
            raise Refused(
                "a table of the plan is not a TSV file",
                file=path,
                field="tables",
                found=path.suffix or "no extension",
                expected=".tsv",
                mend="save it with tabs as .tsv",
            )
        sources.append(read_source(path))
    return sources


def read_source(path: Path, name: str | None = None) -> Source:
    """Read one table with its JSON.

    Parameters
    ----------
    path : Path
        A TSV with a column ``participant_id``.
    name : str, optional
        File name without extension by default.

    Returns
    -------
    Source
        With normalised labels.

    Raises
    ------
    Refused
        Broken, without participants, or with labels without ``sub-``.
    """
    frame = read_tsv(path, keys=("participant_id",) if path.stem == "participants" else ())
    if "participant_id" not in frame.columns:
        raise Refused(
            "the table does not say whose its rows are",
            file=path,
            field="participant_id",
            found=choices(str(c) for c in frame.columns),
            expected="a column participant_id",
            mend="add it, with labels like sub-01",
        )
    about = path.with_suffix(".json")
    return Source(
        name or path.stem, path, _labels(path, frame), read_json(about) if about.is_file() else {}
    )


def _sessions(study: Study) -> Source | None:
    frames, first, about = [], None, {}
    top = study.root / "sessions.tsv"
    if top.is_file():
        return read_source(top)
    for file in study.find(suffix="sessions", extension=".tsv", scope="raw"):
        frame = read_tsv(file.path, keys=("session_id",))
        frame.insert(0, "participant_id", f"sub-{file.entities['sub']}")
        frames.append(_labels(file.path, frame))
        if first is None:
            first, about = file.path, study.metadata(file)
    if first is None:
        return None
    merged = pd.concat([frame.astype(object) for frame in frames], ignore_index=True)
    return Source("sessions", first, _one_type_a_column(merged), about)


def _one_type_a_column(frame: pd.DataFrame) -> pd.DataFrame:
    # A column may be numbers in one person's file and text in another's.
    made = frame.astype(object).where(frame.notna(), None)
    for name in made.columns:
        values = [value for value in made[name] if value is not None]
        if values and not all(isinstance(value, float) for value in values):
            made[name] = [
                f"{value:g}" if isinstance(value, float) else value for value in made[name]
            ]
    return made


def _labels(path: Path, frame: pd.DataFrame) -> pd.DataFrame:
    wrong = [p for p in frame["participant_id"] if p is None or not str(p).startswith("sub-")]
    if wrong:
        raise Refused(
            "a participant label has no prefix",
            file=path,
            field="participant_id",
            found=wrong[0] if wrong[0] is not None else "n/a",
            expected="sub-<label>, as the folders are called",
            mend=f"write sub-{wrong[0]}" if wrong[0] is not None else "fill it in",
        )
    made = frame.copy()
    for key, prefix in (("session_id", "ses-"), ("run_id", "run-")):
        if key in made.columns:
            made[key] = [
                None if value is None else str(value).removeprefix(prefix) for value in made[key]
            ]
    return made


def _check_groups(source: Source, values: Sequence[Any]) -> None:
    other = sorted({str(v) for v in values if v is not None and v not in GROUPS})
    if other:
        raise Refused(
            "the column group holds other words than rls and control",
            file=source.file,
            field="group",
            found=choices(other),
            expected="rls or control",
            mend="use these words, or give the column another name",
        )


def _clean(value: Any) -> Any:
    if value is None or value != value:
        return None
    return value
