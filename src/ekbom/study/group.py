"""The group level: every question of the plan to an answer.

Rows and numbers are gathered here, inference answers, and the answer is kept as
a step. A question that cannot be answered is refused by name; the others go on.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ekbom
from ekbom import inference
from ekbom.errors import OutputRefused, Refused
from ekbom.inference import Answer
from ekbom.inference.kinds import answer_kind
from ekbom.study import names, voxels
from ekbom.study.chunks import Chunks
from ekbom.study.files import canonical, json_bytes, plain, tsv_bytes
from ekbom.study.index import Study
from ekbom.study.kinds import ask_of
from ekbom.study.outcomes import Outcome, of_measure, of_table
from ekbom.study.participants import Measurements
from ekbom.study.plan import Plan
from ekbom.study.planerrors import at_key
from ekbom.study.products import made_by, map_bytes, map_sidecar, table_sidecar
from ekbom.study.question import Question
from ekbom.study.selection import Rows, flagged, select
from ekbom.study.store import Store, code_of, key_of, libraries
from ekbom.study.tables import Names

_WRITERS = ("ekbom.inference", "ekbom.space", "ekbom.nouns", "ekbom.study")


@dataclass(frozen=True)
class Answered:
    """A question with its answer, or why there is none.

    Parameters
    ----------
    name : str
        Key in the plan.
    method : str or None
        Kinetic model or rule set.
    slug : str
        Of the folder.
    about : mapping
        Content of ``answer.json``; empty when refused.
    files : mapping of str to Path
        Path inside the output tree to file of the store.
    refused : mapping or None
        Parts of the refusal.
    internal : bool
        The fault is ours.
    """

    name: str
    method: str | None
    slug: str
    about: Mapping[str, Any]
    files: Mapping[str, Path]
    refused: Mapping[str, str | None] | None = None
    internal: bool = False

    @property
    def sentence(self) -> str:
        """The answer, or the refusal, in words."""
        if self.refused is not None:
            return f"refused: {self.refused.get('what')}"
        return str(self.about.get("words", {}).get("results", ""))


@dataclass(frozen=True)
class Seen:
    """What the plan was when data were first seen in this output folder.

    Parameters
    ----------
    first, now : mapping of str to str
        Hashes of the plan's parts.
    """

    first: Mapping[str, str]
    now: Mapping[str, str]

    def of(self, name: str, question: Question) -> dict[str, Any]:
        """Return what ``answer.json`` says of this."""
        key = f"questions.{name}"
        measure = f"measures.{question.measure}"
        said: dict[str, Any] = {
            "changed_since_first_seen": self.first.get(key) != self.now[key],
            "added_since_first_seen": key not in self.first,
        }
        if measure in self.now:
            changed = self.first.get(measure) != self.now[measure]
            said["measure_changed_since_first_seen"] = changed
        return said


def asked(plan: Plan) -> Iterator[tuple[str, Question, str | None, str]]:
    """Yield name, question, method and slug of every answer of a plan.

    Parameters
    ----------
    plan : Plan
        The plan.

    Yields
    ------
    tuple
        One for each method of each question.
    """
    for name, question in plan.questions.items():
        listed = isinstance(question.method, list)
        for method in question.methods:
            yield name, question, method, names.question_slug(name, method if listed else None)


def answer_all(
    study: Study,
    plan: Plan,
    found: Measurements,
    tables: Names,
    seen: Seen,
    out: Path,
    tell: Callable[[Answered], None] = lambda answered: None,
) -> list[Answered]:
    """Answer every question, taking from the store what is answered.

    Parameters
    ----------
    study : Study
        The opened study.
    plan : Plan
        The plan.
    found : Measurements
        What the participant level got.
    tables : Names
        Tables and scores.
    seen : Seen
        The plan then and now.
    out : Path
        The output folder.
    tell : callable
        Told every answer.

    Returns
    -------
    list of Answered
        In the order of the plan.

    Raises
    ------
    OutputRefused
        The output cannot be written.
    """
    answers = []
    for name, _, method, slug in asked(plan):
        try:
            with at_key(plan.file, f"questions.{name}"):
                one = _answer(study, plan, found, tables, seen, out, name, method, slug)
        except OutputRefused:
            raise
        except Refused as no:
            one = Answered(name, method, slug, {}, {}, no.as_dict())
        except Exception as fault:
            said = {"what": f"internal error: {type(fault).__name__}: {fault}"}
            one = Answered(name, method, slug, {}, {}, said, internal=True)
        answers.append(one)
        tell(one)
    return answers


def _answer(
    study: Study,
    plan: Plan,
    found: Measurements,
    tables: Names,
    seen: Seen,
    out: Path,
    name: str,
    method: str | None,
    slug: str,
) -> Answered:
    question, settings = plan.questions[name], plan.settings_of(name)
    ask: Callable[[Rows], Answer]
    if question.over == "voxels":
        maps = voxels.gather(question, method, found, study, settings)
        outcome = maps.outcome
        rows = select(question, outcome, tables)
        digest = maps.digest(rows.units)

        if seen.of(name, question)["changed_since_first_seen"] and settings.volumes:
            late = tuple({**one, "post_hoc": True} for one in settings.volumes)
            settings = dataclasses.replace(settings, volumes=late)

        def ask(rows: Rows) -> Answer:
            who = hashlib.sha256(canonical([unit.label for unit in rows.units])).hexdigest()
            return voxels.ask(question, maps, rows, settings, Chunks(chunks / who[:16]))
    else:
        outcome = outcome_of(question, method, found, tables, study)
        rows = select(question, outcome, tables)
        digest = _digest(rows, outcome)

        def ask(rows: Rows) -> Answer:
            values, unit = rows.values(outcome), outcome.unit
            if question.kind == "reliability":
                return inference.answer_reliability(
                    values, rows.regions, unit, rows.table, settings, outcome=outcome.name
                )
            if question.kind != "effect":
                return answer_kind(
                    ask_of(question), values, rows.regions, unit, rows.table, settings,
                    outcome.name, asked_as=question.outcome,
                )  # fmt: skip
            return inference.answer_regions(
                values,
                rows.regions,
                unit,
                rows.table,
                str(question.model),
                str(question.test),
                settings,
                outcome=outcome.name,
            )

    story = _story(plan, name, method, slug, question, rows, outcome, seen)
    parts = {
        "step": f"answer {slug}",
        "code": code_of(*_WRITERS),
        "settings": plain(dataclasses.asdict(settings)),
        "story": story,
        "table": hashlib.sha256(tsv_bytes(rows.table)).hexdigest(),
        "numbers": digest,
    }
    store = Store(out)
    chunks = store.root / "chunks" / key_of(parts)
    step = store.get(key_of(parts))
    if step is None:
        content, about = _write(slug, story, ask, rows, parts)
        step = store.put(parts, content, about)
        Chunks(chunks).remove()
    return Answered(name, method, slug, step.result, {path: step.path(path) for path in step.files})


def outcome_of(
    question: Question, method: str | None, found: Measurements, tables: Names, study: Study
) -> Outcome:
    """Return the numbers of a question over regions.

    Parameters
    ----------
    question : Question
        What is asked.
    method : str or None
        Kinetic model or rule set.
    found : Measurements
        What the participant level got.
    tables : Names
        The tables.
    study : Study
        The opened study.

    Returns
    -------
    Outcome
        Of a measure, or of a table.
    """
    if question.measure is not None and question.measure in tables.outcomes:
        return of_measure(question, method, found)
    return of_table(question, method, tables, study)


def _digest(rows: Rows, outcome: Outcome) -> str:
    numbers = [
        [repr(outcome.values[unit][region].number) for region in rows.regions]
        for unit in rows.units
    ]
    flags = [[outcome.values[u][region].flags for region in rows.regions] for u in rows.units]
    return hashlib.sha256(canonical([rows.regions, numbers, flags])).hexdigest()


def _story(
    plan: Plan,
    name: str,
    method: str | None,
    slug: str,
    question: Question,
    rows: Rows,
    outcome: Outcome,
    seen: Seen,
) -> dict[str, Any]:
    """What is known of an answer before it is given."""
    permitted = [
        {**unit.as_columns(), "permissions": outcome.permissions[unit]}
        for unit in rows.units
        if unit in outcome.permissions
    ]
    out_of = [left.as_row() for left in rows.excluded if left.reason != "not among"]
    return {
        "slug": slug,
        "question": {"name": name, **plan.raw["questions"][name]},
        "kind": question.kind,
        "over": question.over,
        "outcome": question.outcome,
        "outcome_name": outcome.name,
        "outcome_method": method,
        "unit": outcome.unit,
        "regions": list(rows.regions),
        "regions_dropped": list(rows.regions_dropped),
        "rows": len(rows.units),
        "participants": len({unit.participant for unit in rows.units}),
        "sessions": list(dict.fromkeys(unit.session or "n/a" for unit in rows.units)),
        "dropped": [left.as_row() for left in rows.dropped],
        "excluded": out_of,
        "not_among": len(rows.excluded) - len(out_of),
        "permitted": permitted,
        "flagged": flagged(rows, outcome),
        **seen.of(name, question),
    }


def _write(
    slug: str,
    story: Mapping[str, Any],
    ask: Callable[[Rows], Answer],
    rows: Rows,
    parts: Mapping[str, Any],
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Answer, with and without those who needed a permission."""
    answer = _warned(ask(rows), story)
    effect = names.effect_slug(answer.effect)
    made = made_by(str(parts["step"]), key_of(parts), {})
    content = _files(slug, effect, answer, made, story)
    about: dict[str, Any] = {
        **story,
        "effect": {"text": answer.effect, "slug": effect},
        "n": answer.meta.get("n", len(rows.units)),
        "df": answer.meta.get("df"),
        "inference": parts["settings"],
        "seed": answer.meta.get("seed", parts["settings"]["seed"]),
        "words": {"methods": answer.methods, "results": answer.results},
        "meta": plain(answer.meta),
        "without_permitted": None,
    }
    people = {one["participant_id"] for one in story["permitted"]}
    if people:
        about["without_permitted"] = _without(slug, effect, ask, rows, people, made, content, story)
    about["versions"] = {"ekbom": ekbom.__version__, **libraries()}
    content[names.NAMES["answer"].format(slug=slug)] = json_bytes(about)
    return content, about


def _warned(answer: Answer, story: Mapping[str, Any]) -> Answer:
    """Let the words say that the question came after the data."""
    if not story["changed_since_first_seen"]:
        return answer
    what = "added" if story["added_since_first_seen"] else "changed"
    said = f" This question was {what} after the data were first seen."
    return dataclasses.replace(answer, methods=answer.methods + said, results=answer.results + said)


def _without(
    slug: str,
    effect: str,
    ask: Callable[[Rows], Answer],
    rows: Rows,
    people: set[str],
    made: Mapping[str, Any],
    content: dict[str, bytes],
    story: Mapping[str, Any],
) -> dict[str, Any]:
    said: dict[str, Any] = {"participants_left_out": sorted(people)}
    fewer = rows.without(people)
    try:
        if not fewer.units:
            raise Refused("nobody is left without those who needed a permission")
        answer = _warned(ask(fewer), story)
    except OutputRefused:
        raise
    except Refused as no:
        return {**said, "refused": no.as_dict()}
    content.update(_files(slug, f"{effect}WithoutPermitted", answer, made, story))
    return {
        **said,
        "n": answer.meta.get("n", len(fewer.units)),
        "df": answer.meta.get("df"),
        "words": {"methods": answer.methods, "results": answer.results},
        "meta": plain(answer.meta),
    }


def _files(
    slug: str, effect: str, answer: Answer, made: Mapping[str, Any], story: Mapping[str, Any]
) -> dict[str, bytes]:
    content: dict[str, bytes] = {}
    about = {"Question": story["question"], "Effect": answer.effect, "Unit": story["unit"]}

    def name(end: str, extension: str) -> str:
        return names.NAMES["answer_table"].format(
            slug=slug, effect=effect, name=end, extension=extension
        )

    for table in answer.tables:
        sidecar = table_sidecar(table, made)
        content[name(table.name, ".tsv")] = tsv_bytes(table.frame)
        content[name(table.name, ".json")] = json_bytes({**sidecar, "About": about})
    for image in answer.maps:
        stem = names.NAMES["answer_map"].format(
            slug=slug, effect=effect, space=image.space, name=image.name, extension=""
        )
        content[f"{stem}.nii.gz"] = map_bytes(image)
        content[f"{stem}.json"] = json_bytes({**map_sidecar(image, made), "About": about})
    words = f"{answer.methods}\n\n{answer.results}\n"
    content[name("methods", ".txt")] = words.encode()
    return content
