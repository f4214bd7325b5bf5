"""The plan: which measures to take with which settings, and the questions.

``plan.toml`` is read into checked settings. Everything wrong with it is refused
with the path of the key, what was found, the choices, and what may have been
meant, before any data are touched.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import BaseModel, Field, ValidationError, create_model

from ekbom.errors import Refused
from ekbom.inference.settings import Settings
from ekbom.nouns import Measure
from ekbom.space.settings import SpaceSettings as Space
from ekbom.study import names, registry
from ekbom.study.files import canonical, plain
from ekbom.study.kinds import KindKeys
from ekbom.study.planerrors import at_key, refusal
from ekbom.study.question import Question, Strict, check_question
from ekbom.study.readers import read_text
from ekbom.study.words import choices, did_you_mean


class _File(Strict):
    measures: dict[str, dict[str, Any]] = Field(default_factory=dict)
    space: Space = Space()
    tables: list[str] = Field(default_factory=list)
    questions: dict[str, Question] = Field(default_factory=dict)


@dataclass(frozen=True)
class Chosen:
    """A measure with its checked settings.

    Parameters
    ----------
    measure : Measure
        The instrument.
    settings : BaseModel
        ``[measures.<name>]``.
    place : str
        ``module:Class``, by which a worker process loads it.
    """

    measure: Measure
    settings: BaseModel
    place: str


@dataclass(frozen=True)
class Plan:
    """A checked plan; made by :meth:`Plan.read`.

    Parameters
    ----------
    file : Path
        Where it was read.
    text : str
        As it was read.
    raw : mapping
        The TOML as parsed.
    measures : mapping of str to Chosen
        By name.
    space : Space
        Where maps are brought together.
    tables : tuple of str
        Further TSV files, relative to the BIDS folder.
    questions : mapping of str to Question
        By name, in the order of the file.
    """

    file: Path
    text: str
    raw: Mapping[str, Any]
    measures: Mapping[str, Chosen]
    space: Space
    tables: tuple[str, ...]
    questions: Mapping[str, Question]

    @classmethod
    def read(cls, path: str | Path) -> Plan:
        """Read and check a plan.

        Parameters
        ----------
        path : path-like
            ``plan.toml``.

        Returns
        -------
        Plan
            The checked plan.

        Raises
        ------
        Refused
            Not TOML (with the line), an unknown key or measure, a wrong type, a
            question that asks nothing or contradicts itself.
        """
        file = Path(path)
        text = read_text(file)
        try:
            raw = tomllib.loads(text)
        except tomllib.TOMLDecodeError as no:
            raise _not_toml(file, text, no) from None
        try:
            parsed = _File.model_validate(raw)
        except ValidationError as no:
            raise refusal(no, raw, _File, file=file) from None
        plan = cls(
            file=file,
            text=text,
            raw=raw,
            measures={
                name: _choose(name, given, parsed.space, file)
                for name, given in parsed.measures.items()
            },
            space=parsed.space,
            tables=tuple(parsed.tables),
            questions=parsed.questions,
        )
        plan._check()
        return plan

    @property
    def hash(self) -> str:
        """SHA-256 of what the plan says; comments and layout do not count."""
        return hashlib.sha256(canonical(self.raw)).hexdigest()

    def hashes(self) -> dict[str, str]:
        """Return the SHA-256 of each part.

        Returns
        -------
        dict of str to str
            Keys ``plan``, ``measures.x``, ``questions.y``.
        """
        parts = {"plan": self.hash}
        for kind in ("measures", "questions"):
            for name, table in self.raw.get(kind, {}).items():
                parts[f"{kind}.{name}"] = hashlib.sha256(canonical(table)).hexdigest()
        return parts

    def resolved(self) -> dict[str, Any]:
        """Return the plan with all defaults filled in, for ``plan.json``.

        Returns
        -------
        dict
            Hash, measures, space, tables, questions.
        """
        return {
            "hash": self.hash,
            "measures": {
                name: chosen.settings.model_dump(mode="json")
                for name, chosen in self.measures.items()
            },
            "space": self.space.model_dump(mode="json"),
            "tables": list(self.tables),
            "questions": {
                name: {
                    **{
                        key: value
                        for key, value in question.model_dump(mode="json").items()
                        if value is not None or key not in KindKeys.model_fields
                    },
                    "inference": plain(dataclasses.asdict(self.settings_of(name))),
                }
                for name, question in self.questions.items()
            },
        }

    def settings_of(self, name: str) -> Settings:
        """Return how a question is inferred.

        Parameters
        ----------
        name : str
            Key of the question.

        Returns
        -------
        Settings
            With `sign` and `blocks` of the question taken in.

        Raises
        ------
        Refused
            A field is unknown, out of range, or given twice differently.
        """
        question = self.questions[name]
        given = dict(question.inference)
        where = f"questions.{name}"
        fields = [f.name for f in dataclasses.fields(Settings)]
        for key in given:
            if key not in fields:
                raise Refused(
                    f"the plan has a key that is not known: {key}",
                    file=self.file,
                    field=f"{where}.inference.{key}",
                    found=key,
                    expected=choices(fields),
                    mend=did_you_mean(key, fields) or "remove it",
                )
        for key in ("sign", "blocks"):
            value = getattr(question, key)
            if value is not None and given.setdefault(key, value) != value:
                raise Refused(
                    f"the question gives {key} twice",
                    file=self.file,
                    field=f"{where}.{key}",
                    found=f"{value!r}, and {given[key]!r} in inference",
                    expected="one value",
                    mend="remove one of them",
                )
        model = _inference_model()
        try:
            checked = model.model_validate(given)
        except ValidationError as no:
            raise refusal(no, given, model, file=self.file, at=f"{where}.inference") from None
        with at_key(self.file, where):
            return Settings(**{key: getattr(checked, key) for key in given})

    def _check(self) -> None:
        for name, question in self.questions.items():
            with at_key(self.file, f"questions.{name}"):
                check_question(question, {name: one.measure for name, one in self.measures.items()})
            self.settings_of(name)
        self._check_slugs()

    def _check_slugs(self) -> None:
        taken: dict[str, str] = {}
        for name, question in self.questions.items():
            listed = isinstance(question.method, list)
            for method in question.methods:
                made = names.question_slug(name, method if listed else None)
                before = taken.get(made.casefold())
                if not made or before is not None:
                    raise Refused(
                        "two answers would have one folder"
                        if before
                        else "the name of a question needs letters or digits",
                        file=self.file,
                        field=f"questions.{name}",
                        found=f"question-{made}, also of {before}" if before else name,
                        expected="names that differ in letters and digits",
                        mend="rename the question",
                    )
                taken[made.casefold()] = f"questions.{name}"


def _inference_model() -> type[BaseModel]:
    hints = get_type_hints(Settings)
    fields: dict[str, Any] = {
        f.name: (hints[f.name], f.default) for f in dataclasses.fields(Settings)
    }
    return create_model("inference", __base__=Strict, **fields)


def _choose(name: str, given: Mapping[str, Any], space: Space, file: Path) -> Chosen:
    measure = registry.measure(name, file=str(file))
    model = measure.settings_model
    table = dict(given)
    if "space" in model.model_fields and "space" not in table:
        table["space"] = space.model_dump()
    with at_key(file, f"measures.{name}"):
        try:
            settings = model.model_validate(table)
        except ValidationError as no:
            raise refusal(no, table, model, file=file, at=f"measures.{name}") from None
    return Chosen(measure, settings, registry.places()[name])


def _not_toml(file: Path, text: str, no: tomllib.TOMLDecodeError) -> Refused:
    said = re.search(r"\(at line (\d+), column (\d+)\)", str(no))
    line = int(said[1]) if said else len(text.splitlines())
    lines = text.splitlines()
    shown = lines[line - 1].strip() if 0 < line <= len(lines) else "end of the file"
    return Refused(
        "the plan is not TOML",
        file=file,
        field=f"line {line}",
        found=f"{shown}   ({str(no).partition(' (at')[0]})",
        expected='key = "value" lines and [tables]',
        mend="mend that line (text needs quotes, lists need commas, a key may stand once)",
    )
