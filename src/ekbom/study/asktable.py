"""A question of any kind to a table, or to maps that a table lists, made elsewhere."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from ekbom.errors import Refused
from ekbom.inference import Answer, Settings, answer_regions, answer_reliability
from ekbom.inference.kinds import answer_kind
from ekbom.inference.onmaps import Grid
from ekbom.space.atlas import atlas, atlas_files
from ekbom.space.io import read_stack
from ekbom.study import names
from ekbom.study.among import Among, Missing
from ekbom.study.elsewhere import MAP, settings_from
from ekbom.study.files import canonical, json_bytes, plain, sha256, tsv_bytes, write_bytes
from ekbom.study.kinds import ask_of, check_keys
from ekbom.study.named import namer, told_space
from ekbom.study.planerrors import refusal
from ekbom.study.products import made_by, map_bytes, map_sidecar, table_sidecar
from ekbom.study.question import Question
from ekbom.study.readers import read_text, read_tsv
from ekbom.study.store import code_of, key_of
from ekbom.study.words import choices, did_you_mean


def question_from(file: Path | None, given: Mapping[str, Any]) -> Question:
    """Return the question of a TOML file with the keys of a plan's question, and what was given.

    Parameters
    ----------
    file : Path or None
        TOML file.
    given : mapping
        What else was given, which counts; values of None do not.

    Returns
    -------
    Question
        Checked.

    Raises
    ------
    Refused
        Not TOML, an unknown key, a question that contradicts itself.
    """
    raw: dict[str, Any] = {}
    if file is not None:
        try:
            raw = tomllib.loads(read_text(file))
        except tomllib.TOMLDecodeError as no:
            raise Refused("the question is not TOML", file=file, found=str(no)) from None
    raw |= {key: value for key, value in given.items() if value is not None}
    try:
        question = Question.model_validate(raw)
    except ValidationError as no:
        raise refusal(no, raw, Question, file=file or Path("the question")) from None
    check_keys(question)
    return question


def ask_table(
    listed: Path,
    question: Question,
    out: Path,
    *,
    given: Mapping[str, Any] | None = None,
    unit: str = "1",
    space: str = "unknown",
    mask: Path | None = None,
    labels: Path | None = None,
) -> Answer:
    """Answer a question about the columns of a table, and write tables, maps and words.

    Parameters
    ----------
    listed : Path
        TSV with ``participant_id``, perhaps ``session_id``, and the names of the question.
    question : Question
        ``regions`` are columns, the outcome alone by default; over voxels the column ``map``
        lists images.
    out : Path
        Folder to write to.
    given : mapping, optional
        Further settings of inference.
    unit : str
        Of the outcome.
    space : str
        BIDS label of the maps.
    mask, labels : Path, optional
        Mask image; label image with its table beside it.

    Returns
    -------
    Answer
        As written.

    Raises
    ------
    Refused
        What is wrong with table, question or maps.
    """
    settings = settings_from(None, {**question.inference, **(given or {}),
                                    "sign": question.sign, "blocks": question.blocks})  # fmt: skip
    table = _among(read_tsv(listed), question, listed)
    people = _column(table, "participant_id", listed).astype(str)
    session = {"session": table["session_id"].astype(str)} if "session_id" in table else {}
    maps = question.over == "voxels"
    wanted = _wanted(question)
    frame = pd.DataFrame({"participant": people, **session})
    for name in wanted:
        if name not in frame and not (maps and name == question.outcome):
            frame[name] = _column(table, name, listed)
    if "group" in table and "group" not in frame:
        frame["group"] = table["group"]
    regions = () if maps else tuple(question.regions or (question.outcome.split(":")[-1],))
    inputs = {listed.name: sha256(listed)}
    grid = None
    left: list[str] = []
    if maps:
        labels = None if labels is None else atlas_files(labels)[0]
        stack, inputs = _stack(table, listed, mask, labels, inputs)
        label = None if labels is None else namer(atlas(labels))
        grid = Grid(stack.mask, stack.affine, space, label)
        values = np.asarray(stack.values)
    else:
        columns = [_column(table, name, listed) for name in regions]
        values = np.column_stack([pd.to_numeric(c, errors="coerce") for c in columns]).astype(float)
        keep = np.isfinite(values).all(axis=1)
        if question.kind != "longitudinal" and not keep.all():
            left = [f"Left out, without a value: {', '.join(people[~keep])}."]
            values, frame = values[keep], frame[keep].reset_index(drop=True)
    answer = _answer(question, values, regions, unit, frame, settings, grid)
    if maps:
        answer = told_space(answer, labels, space)
    if left:
        meta = {**answer.meta, "warnings": [*answer.meta.get("warnings", []), *left]}
        answer = dataclasses.replace(answer, meta=meta, results=" ".join([answer.results, *left]))
    parts = {
        "step": "ask",
        "code": code_of("ekbom.inference", "ekbom.space"),
        "question": plain(question.model_dump(mode="json")),
        "settings": plain(dataclasses.asdict(settings)),
        "table": hashlib.sha256(tsv_bytes(frame)).hexdigest(),
        "inputs": hashlib.sha256(canonical(sorted(inputs.items()))).hexdigest(),
    }
    for name, data in _content(question, answer, made_by("ask", key_of(parts), inputs)).items():
        write_bytes(out / name, data)
    return answer


def _answer(
    question: Question,
    values: np.ndarray,
    regions: tuple[str, ...],
    unit: str,
    frame: pd.DataFrame,
    settings: Settings,
    grid: Grid | None,
) -> Answer:
    name = question.outcome.split(":")[-1]
    if question.kind == "reliability":
        return answer_reliability(values, regions, unit, frame, settings, outcome=name)
    if question.kind == "effect":
        if grid is not None:
            raise Refused("a plain effect over maps is asked by `ekbom infer`", field="kind",
                          found="effect over voxels", expected="another kind")  # fmt: skip
        model, test = str(question.model), str(question.test)
        return answer_regions(values, regions, unit, frame, model, test, settings, outcome=name)
    return answer_kind(
        ask_of(question), values, regions, unit, frame, settings, name,
        grid=grid, asked_as=question.outcome, workers=os.cpu_count() or 1,
    )  # fmt: skip


def _wanted(question: Question) -> list[str]:
    from ekbom.inference.formula import formula_names

    if question.kind in ("effect", "reliability"):
        found = list(formula_names(question.model)) if question.model else []
    else:
        found = [n for n in ask_of(question).names() if n not in (question.outcome, "baseline")]
    found += [question.blocks] if question.blocks else []
    return [n for n in dict.fromkeys(found) if n not in ("participant", "session")]


def _among(table: pd.DataFrame, question: Question, file: Path) -> pd.DataFrame:
    if question.among is None:
        return table
    expression = Among(question.among)
    lists = {}
    for name in expression.names:
        plain_name = {"session": "session_id", "participant": "participant_id"}.get(name, name)
        column = _column(table, name if name in table else plain_name, file)
        lists[name] = [None if pd.isna(v) else v for v in column]
    expression.check(lists)
    keep = []
    for k in range(len(table)):
        try:
            keep.append(bool(expression({name: column[k] for name, column in lists.items()})))
        except Missing:
            keep.append(False)
    if not any(keep):
        raise Refused("nobody is left in the question", file=file, field="among",
                      found=question.among, expected="rows for which it is true")  # fmt: skip
    return table[keep].reset_index(drop=True)


def _column(table: pd.DataFrame, name: str, file: Path) -> pd.Series[Any]:
    if name not in table:
        there = list(map(str, table.columns))
        raise Refused(
            "the table has no such column",
            file=file,
            field=name,
            found="nothing",
            expected=choices(there),
            mend=did_you_mean(name, there) or "add the column",
        )
    return table[name]


def _stack(
    table: pd.DataFrame,
    listed: Path,
    mask: Path | None,
    labels: Path | None,
    inputs: dict[str, str],
) -> tuple[Any, dict[str, str]]:
    paths = [listed.parent / str(p) for p in _column(table, MAP, listed)]
    for row, path in enumerate(paths, start=2):
        if not path.is_file():
            raise Refused(
                "a map of the list does not exist",
                file=listed,
                field=f"row {row}, {MAP}",
                found=str(path),
                expected="a NIfTI image, relative to the list",
                mend="correct the path",
            )
    extra = [p for p in (mask, labels) if p is not None]
    return read_stack(paths, mask), inputs | {p.name: sha256(p) for p in [*paths, *extra]}


def _content(question: Question, answer: Answer, made: Mapping[str, Any]) -> dict[str, bytes]:
    effect = names.effect_slug(answer.effect)
    about = {"Question": plain(question.model_dump(mode="json", exclude_none=True))}
    out: dict[str, bytes] = {}
    for table in answer.tables:
        stem = f"desc-{effect}_{table.name}"
        out[f"{stem}.tsv"] = tsv_bytes(table.frame)
        out[f"{stem}.json"] = json_bytes({**table_sidecar(table, made), "About": about})
    for image in answer.maps:
        stem = f"space-{image.space}_desc-{effect}_{image.name}"
        out[f"{stem}.nii.gz"] = map_bytes(image)
        out[f"{stem}.json"] = json_bytes({**map_sidecar(image, made), "About": about})
    out[f"desc-{effect}_methods.txt"] = f"{answer.methods}\n\n{answer.results}\n".encode()
    said = {"words": {"methods": answer.methods, "results": answer.results}}
    out["answer.json"] = json_bytes(
        {**about, "kind": answer.kind, **said, "meta": plain(answer.meta), "GeneratedBy": made}
    )
    return out
