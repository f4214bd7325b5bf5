"""The head of the page: what was run, and every answer in a sentence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup, escape

from ekbom.report import numbers, questions
from ekbom.report.blocks import Block, Part
from ekbom.report.columns import nested
from ekbom.report.grid import build
from ekbom.report.output import Output


def title(output: Output) -> str:
    """Return the title of the page: the name of the study when it is known."""
    name = str(output.description.get("Name") or "").removeprefix("ekbom: ").strip()
    # COX-2 stays in one piece.
    whole = "Report of an answer" if output.lone else "Report of a study"
    return re.sub(r"(?<=[A-Z])-(?=\d)", "\u2011", name) or whole


def counts(output: Output) -> tuple[int, int, int]:
    """Return how many people and scans were measured, and how many scans were refused."""
    frame = output.measures
    people = scans = 0
    if {"participant_id", "session_id"} <= set(frame):
        keys = [c for c in ("participant_id", "session_id", "run_id") if c in frame]
        scans = len(frame[keys].fillna("").drop_duplicates())
        people = int(frame["participant_id"].nunique())
    else:
        scans = len(output.scans)
        people = len({s.participant for s in output.scans})
    refused = output.refused
    lost = 0
    if "participant_id" in refused:
        named = refused[refused["participant_id"].notna()]
        keys = [c for c in ("participant_id", "session_id", "run_id") if c in named]
        lost = len(named[keys].fillna("").drop_duplicates())
    return people, scans, lost


def lead(output: Output, asked: Sequence[questions.Asked]) -> Markup:
    """Return the sentence under the title."""
    if output.lone:
        people = nested(output.answers[0].about, "n") if output.answers else None
        who = f" in {_count(int(people), 'person', 'people')}" if people else ""
        return Markup(escape(f"One question, asked of a table made elsewhere{who}."))
    people, scans, lost = counts(output)
    parts = [f"{_count(scans, 'scan')} of {_count(people, 'person', 'people')} measured"]
    if lost:
        parts.append(f"{_count(lost, 'scan')} refused")
    parts.append(f"{_count(len(asked), 'question')} answered")
    unanswered = questions.refused(output)
    if unanswered:
        parts.append(f"{_count(len(unanswered), 'question')} refused")
    return Markup(escape("; ".join(parts) + "."))


def _count(n: int, one: str, many: str = "") -> str:
    return f"{n} {one if n == 1 else many or one + 's'}"


def brief(output: Output, asked: Sequence[questions.Asked]) -> list[tuple[str, Markup, Markup]]:
    """Return anchor, name and sentence of every question."""
    said = [
        (
            one.anchor,
            numbers.symbols(one.name),
            questions.short(one.answers[0][1]),
        )
        for one in asked
    ]
    for name, why in questions.refused(output):
        words = Markup("<em>Refused:</em> {}").format(numbers.symbols(why))
        said.append(("run", numbers.symbols(name), words))
    return said


def what_was_run(output: Output) -> Part:
    """Return the part on data, plan, refused scans, permissions and notes."""
    blocks: list[Block] = []
    facts = [] if output.lone else _facts(output)
    if len(output.refused):
        blocks.append(Block("grid", _refused(output.refused)))
    notes = output.notes
    if "permission" in notes:
        used = notes["permission"].astype(str).str.casefold().isin(["true", "1", "yes", "1.0"])
        if used.any():
            blocks.append(
                Block(
                    "grid",
                    _notes(notes[used], "Permissions used: done only because the plan allows it"),
                )
            )
        notes = notes[~used]
    if len(notes):
        fold = f"Notes ({len(notes)})"
        blocks.append(Block("grid", _notes(notes, "Notes"), fold=fold))
    if output.plan_text.strip():
        blocks.append(
            Block("code", Markup(escape(output.plan_text.strip())), fold="The plan as it was read")
        )
    return Part("run", Markup("What was run"), blocks, facts=facts)


def _facts(output: Output) -> list[tuple[str, Markup]]:
    facts: list[tuple[str, Markup]] = []
    people, scans, lost = counts(output)
    for source in output.description.get("SourceDatasets") or []:
        if isinstance(source, dict):
            told = source.get("Name") or source.get("DOI") or source.get("URL")
            version = source.get("Version")
            if told:
                facts.append(("Data", Markup(escape(f"{told}{f' {version}' if version else ''}"))))
    facts.append(
        (
            "Measured",
            Markup(escape(f"{_count(scans, 'scan')} of {_count(people, 'person', 'people')}")),
        )
    )
    facts.append(("Refused", Markup(escape(_count(lost, "scan") if lost else "none"))))
    for name, settings in dict(output.plan.get("measures") or {}).items():
        facts.append((str(name).upper(), numbers.symbols(_settings(settings))))
    digest = _first(output.plan, "hash", "sha256", "plan_hash", "digest")
    if digest:
        facts.append(("Plan", Markup("<code>{}</code>").format(str(digest)[:16])))
    return facts


_SHOWN = (
    ("tracer", "{}"),
    ("model", "model {}"),
    ("input", "input {}"),
    ("parent", "parent fraction {}"),
    ("tstar", "t* {} min"),
    ("vB", "vB {}"),
    ("weights", "weights {}"),
    ("rules", "rules {}"),
)


def _settings(settings: Any) -> str:
    if not isinstance(settings, dict):
        return str(settings)
    said = []
    for key, form in _SHOWN:
        value = settings.get(key)
        if value is None or isinstance(value, dict):
            continue
        if isinstance(value, list):
            value = ", ".join(map(str, value))
        said.append(form.format(value))
    return "; ".join(said) or "settings of the plan"


def _first(mapping: Any, *keys: str) -> Any:
    return next((mapping[k] for k in keys if mapping.get(k)), None)


def _refused(frame: pd.DataFrame) -> Any:
    shown = frame.copy()
    if {"participant_id", "session_id"} <= set(shown):
        shown["who"] = [
            " ".join(str(v) for v in row if isinstance(v, str))
            for row in shown[["participant_id", "session_id"]].itertuples(index=False)
        ]
        shown["who"] = shown["who"].where(shown["who"] != "", other=None)
    columns = ["who", "measure", "what", "file", "field", "found", "expected", "mend"]
    labels: dict[str, str | Markup] = {
        "who": "Scan",
        "measure": "Measure",
        "what": "Why",
        "file": "File",
        "field": "Field",
        "found": "Found",
        "expected": "Expected",
        "mend": "To mend",
    }
    return build(shown, columns, caption="Refused, and why", labels=labels)


def _notes(frame: pd.DataFrame, caption: str) -> Any:
    shown = frame.copy()
    if {"participant_id", "session_id"} <= set(shown):
        shown["who"] = [
            " ".join(str(v) for v in row if isinstance(v, str))
            for row in shown[["participant_id", "session_id"]].itertuples(index=False)
        ]
    labels: dict[str, str | Markup] = {
        "who": "Scan",
        "measure": "Measure",
        "code": "What",
        "text": "In words",
    }
    return build(shown, ["who", "measure", "code", "text"], caption=caption, labels=labels)
