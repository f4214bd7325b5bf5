"""A run: participant level, group level, report and manifest, in one folder."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd

import ekbom
from ekbom.errors import Refused
from ekbom.nouns import Unit
from ekbom.study import names
from ekbom.study.check import check_questions
from ekbom.study.executors import Executor, Serial
from ekbom.study.files import json_bytes, tsv_bytes
from ekbom.study.group import Answered, Seen, answer_all, asked
from ekbom.study.health import kernels_are_cold
from ekbom.study.index import Study
from ekbom.study.log import Log
from ekbom.study.output import Output, check_place
from ekbom.study.participants import Measurements, State, measure_all, units_of
from ekbom.study.plan import Plan
from ekbom.study.progress import Voice
from ekbom.study.results import MEASURES_COLUMNS, measures_table
from ekbom.study.store import libraries
from ekbom.study.tables import Names
from ekbom.study.words import choices, did_you_mean

Level = Literal["participant", "group", "all"]
Tree = dict[str, bytes | Path]


@dataclass(frozen=True)
class Summary:
    """What a run did.

    Parameters
    ----------
    out : Path
        The output folder.
    plan_hash : str
        SHA-256 of the plan.
    first : bool
        Data were first seen in this run.
    found : Measurements
        Participant level.
    answers : list of Answered
        Group level.
    warnings : tuple of str
        About the data set.
    report : bool
        Whether a report was written.
    """

    out: Path
    plan_hash: str
    first: bool
    found: Measurements
    answers: list[Answered] = field(default_factory=list)
    warnings: tuple[str, ...] = ()
    report: bool = False

    @property
    def exit_code(self) -> int:
        """0 done; 1 a fault of ours in a question; 2 refused; 3 some scans failed."""
        if any(one.internal for one in self.answers):
            return 1
        if any(one.refused is not None for one in self.answers):
            return 2
        if self.found.stopped:
            return 3 if self.found.measured else 2
        return 0


def run_study(
    bids_dir: str | Path,
    out: str | Path,
    level: Level,
    plan: str | Path,
    *,
    participants: Sequence[str] = (),
    executor: Executor | None = None,
    render: Callable[[Path], bytes] | None = None,
    voice: Voice | None = None,
) -> Summary:
    """Run a study.

    Parameters
    ----------
    bids_dir, out : path-like
        Data set and output folder.
    level : {"participant", "group", "all"}
        Measure, answer, or both.
    plan : path-like
        ``plan.toml``.
    participants : sequence of str
        Labels, with or without ``sub-``; all by default. At the participant
        level only these are measured now; a group then holds only these.
    executor : Executor, optional
        Where units are measured; here by default.
    render : callable, optional
        Makes the report from the output folder.
    voice : Voice, optional
        Says how it goes.

    Returns
    -------
    Summary
        What was done.

    Raises
    ------
    Refused
        The study, the plan or the output folder is not accepted.
    """
    voice = voice or Voice()
    checked = Plan.read(plan)
    root, place = Path(bids_dir), Path(out)
    check_place(root, place)
    study = Study.open(root, ignore=[place])
    chosen = _chosen(study, participants)
    outcomes = {name: list(one.measure.outcomes) for name, one in checked.measures.items()}
    tables = Names.open(study, checked.tables, outcomes)
    # The participant level may be done a few people at a time; questions are about all.
    check_questions(study, checked, tables, frozenset() if level == "participant" else chosen)
    output = Output(place)
    with output.locked() as remarks:
        log = Log(output.root)
        try:
            return _Run(study, checked, tables, output, log, voice, chosen).go(
                level, executor or Serial(), render, [*remarks, *study.warnings]
            )
        except BaseException as stop:
            log.event("stopped", why=f"{type(stop).__name__}: {stop}")
            raise
        finally:
            log.close()


class _Run:
    """The parts of a run that hold the folder."""

    def __init__(
        self,
        study: Study,
        plan: Plan,
        tables: Names,
        output: Output,
        log: Log,
        voice: Voice,
        chosen: frozenset[str],
    ) -> None:
        self.study, self.plan, self.tables = study, plan, tables
        self.output, self.log, self.voice, self.chosen = output, log, voice, chosen

    def go(
        self,
        level: Level,
        executor: Executor,
        render: Callable[[Path], bytes] | None,
        remarks: list[str],
    ) -> Summary:
        for remark in remarks:
            self.log.event("remark", text=remark)
            self.voice.say(f"note: {remark}")
        first, now = self.output.first_seen(self.plan.hashes())
        words = "first seen with this plan" if now else f"first seen with plan {first['plan'][:12]}"
        self.voice.say(f"plan {self.plan.hash[:12]}: data {words}")
        self.log.event("plan", hash=self.plan.hash, first_seen=first["plan"], level=level)
        seen = Seen(first, self.plan.hashes())
        found = self._measure(level, executor)
        tree = self._participant_tree(found, first)
        self.output.publish(tree, prune=False)
        answers: list[Answered] = []
        if level != "participant":
            self._refuse_unfinished(level, found)
            answers = self._ask(found, seen)
            for one in answers:
                tree.update(one.files)
            tree.update(self._refusals(found, answers))
        self.output.publish(tree, prune=True)
        if render is not None:
            name = names.NAMES["report"]
            tree[name] = render(self.output.root)
            self.output.publish(tree, prune=True)
        self.output.seal(tree)
        summary = Summary(
            self.output.root,
            self.plan.hash,
            now,
            found,
            answers,
            tuple(self.study.warnings),
            render is not None,
        )
        self.log.event("end", exit_code=summary.exit_code, files=len(tree))
        return summary

    def _measure(self, level: Level, executor: Executor) -> Measurements:
        units = [u for many in units_of(self.study, self.plan).values() for u in many]
        total = sum(self._wanted(unit) for unit in units)

        def tell(measure: str, unit: Unit, state: State, text: str) -> None:
            self.log.event("unit", measure=measure, unit=unit.label, state=state, text=text)
            if measure not in self.plan.measures:
                self.voice.say(f"{measure} {unit.label}: {state}{f': {text}' if text else ''}")
                return
            said = {"kept": "kept from before", "measured": "done"}.get(state, f"{state}: {text}")
            self.voice.step(f"{measure} {unit.label}: {said}")

        if level != "group" and self.plan.measures and kernels_are_cold():
            self.voice.say(
                "compiling numerical kernels at their first use: a minute or two, once "
                "(`ekbom doctor --warm` does it beforehand)"
            )
        self.log.event("measure", units=total, executor=type(executor).__name__)
        with self.voice.counting("measuring", total):
            found = measure_all(
                self.study,
                self.plan,
                self.output.root,
                executor,
                among=self._wanted,
                run=level != "group",
                tell=tell,
            )
        if level == "participant":
            return found
        # A group of some participants holds nothing of the others.
        return Measurements(
            tuple(one for one in found.measured if self._wanted(one.unit)),
            tuple(one for one in found.stopped if self._wanted(one.unit)),
            tuple(place for place in found.waiting if self._wanted(place[1])),
            tuple(one for one in found.before if self._wanted(one.unit)),
        )

    def _wanted(self, unit: Unit) -> bool:
        return not self.chosen or unit.participant in self.chosen

    def _refuse_unfinished(self, level: Level, found: Measurements) -> None:
        if found.waiting:
            raise Refused(
                "not every scan has been measured with this plan, data and version",
                file=self.output.root,
                field="level",
                found=f"{len(found.waiting)} missing: "
                + choices((unit.label for _, unit in found.waiting), 6),
                expected="all of them in the output folder",
                mend="run the level participant (or all) first; finished scans are kept",
            )
        if self.plan.measures and not found.measured:
            one = found.stopped[0]
            raise Refused(
                "no scan could be measured",
                file=one.parts.get("file") or self.output.root,
                field=one.parts.get("field"),
                found=f"{len(found.stopped)} refused; {one.unit.label}: {one.what}",
                expected=one.parts.get("expected"),
                mend=one.parts.get("mend") or "see refused.tsv",
            )

    def _ask(self, found: Measurements, seen: Seen) -> list[Answered]:
        tables = Names(self.tables.sources, self.tables.outcomes, found.measured)

        def tell(one: Answered) -> None:
            self.log.event("answer", slug=one.slug, refused=one.refused)
            self.voice.step(f"question {one.slug}: {'refused' if one.refused else 'answered'}")

        if self.chosen:
            tables = _only(tables, self.chosen)
        with self.voice.counting("answering", sum(1 for _ in asked(self.plan))):
            return answer_all(self.study, self.plan, found, tables, seen, self.output.root, tell)

    def _participant_tree(self, found: Measurements, first: dict[str, str]) -> Tree:
        table = measures_table((*found.measured, *found.before))
        tree: Tree = {
            names.NAMES["description"]: json_bytes(_description(self.study)),
            names.NAMES["bidsignore"]: ("\n".join(names.BIDSIGNORE) + "\n").encode(),
            names.NAMES["plan"]: self.plan.text.encode(),
            names.NAMES["resolved_plan"]: json_bytes(
                {
                    **self.plan.resolved(),
                    "first_seen": first,
                    "words": {
                        name: one.measure.words(one.settings)
                        for name, one in self.plan.measures.items()
                    },
                    "citations": {
                        name: dict(one.measure.citations)
                        for name, one in self.plan.measures.items()
                    },
                    "participants": sorted(self.chosen) or "all",
                    "versions": {"ekbom": ekbom.__version__, **libraries()},
                    "warnings": list(self.study.warnings),
                }
            ),
            names.NAMES["measures"]: tsv_bytes(table),
            "measures.json": json_bytes({c: MEASURES_COLUMNS[c] for c in table.columns}),
            **_notes(found),
            **self._refusals(found, []),
        }
        for one in (*found.measured, *found.before):
            tree.update(one.files)
        return tree

    def _refusals(self, found: Measurements, answers: Sequence[Answered]) -> dict[str, bytes]:
        rows: list[dict[str, Any]] = [
            {**one.unit.as_columns(), "measure": one.measure, **one.parts} for one in found.stopped
        ]
        rows += [
            {"measure": f"question {one.slug}", **one.refused}
            for one in answers
            if one.refused is not None
        ]
        for row in rows:
            row["file"] = self._place(row.get("file"))
        frame = pd.DataFrame(rows, columns=pd.Index(list(_REFUSED)))
        return {
            names.NAMES["refused"]: tsv_bytes(frame.astype(object).where(frame.notna(), None)),
            "refused.json": json_bytes({k: {"Description": v} for k, v in _REFUSED.items()}),
        }

    def _place(self, file: object) -> str | None:
        """Paths inside the study and the output are written from their tops."""
        if file is None:
            return None
        path = Path(str(file))
        for top in (self.study.root, self.output.root):
            if path.is_absolute() and path.is_relative_to(top):
                return path.relative_to(top).as_posix()
        return path.name if path.is_absolute() else path.as_posix()


_REFUSED = {
    "participant_id": "Participant, n/a for a question",
    "session_id": "Session label without ses-",
    "run_id": "Run label",
    "measure": "Measure that refused, or question and its slug",
    "what": "What is wrong, in one sentence",
    "file": "File at fault, from the top of the BIDS folder",
    "field": "Column, key, row or term at fault",
    "found": "What was there",
    "expected": "What is accepted",
    "mend": "What can be done",
}

_NOTES = {
    "participant_id": "Participant",
    "session_id": "Session label without ses-",
    "run_id": "Run label",
    "measure": "Measure that says it",
    "code": "Short fixed word",
    "permission": "true when the plan had to allow it; answers are then given with and without",
    "text": "What a reader must know",
}


def _notes(found: Measurements) -> dict[str, bytes]:
    rows = [
        {
            **one.unit.as_columns(),
            "measure": one.measure,
            "code": note.code,
            "permission": note.permission,
            "text": note.text,
        }
        for one in (*found.measured, *found.before)
        for note in one.notes
    ]
    return {
        names.NAMES["notes"]: tsv_bytes(pd.DataFrame(rows, columns=pd.Index(list(_NOTES)))),
        "notes.json": json_bytes({k: {"Description": v} for k, v in _NOTES.items()}),
    }


def _description(study: Study) -> dict[str, Any]:
    source: dict[str, Any] = {}
    doi = study.description.get("DatasetDOI")
    if doi:
        source["DOI"] = doi
    return {
        "Name": f"ekbom: {study.description.get('Name', 'unnamed study')}",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [
            {
                "Name": "ekbom",
                "Version": ekbom.__version__,
                "Description": f"Python {platform.python_version()}",
            }
        ],
        "SourceDatasets": [source] if source else [],
    }


def _chosen(study: Study, participants: Sequence[str]) -> frozenset[str]:
    labels = [label if label.startswith("sub-") else f"sub-{label}" for label in participants]
    for label in labels:
        if label not in study.participants:
            raise Refused(
                "there is no participant of this label",
                file=study.root,
                field="--participant-label",
                found=label,
                expected=choices(study.participants),
                mend=did_you_mean(label, study.participants) or "correct the label",
            )
    return frozenset(labels)


def _only(tables: Names, chosen: frozenset[str]) -> Names:
    """Tables that hold the chosen participants only."""
    from dataclasses import replace

    sources = tuple(
        replace(s, frame=s.frame[s.frame["participant_id"].isin(chosen)]) for s in tables.sources
    )
    return Names(sources, tables.outcomes, tables.measured)
