"""Turns what pydantic says about a plan into refusals for people."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from ekbom.errors import Refused
from ekbom.study.words import choices, did_you_mean


def refusal(
    error: ValidationError,
    raw: Mapping[str, Any],
    model: type[BaseModel],
    *,
    file: Path,
    at: str = "",
) -> Refused:
    """Return the refusal for the first thing wrong; the other keys are named too.

    Parameters
    ----------
    error : pydantic.ValidationError
        What validation said.
    raw : mapping
        The table that was validated.
    model : type of BaseModel
        What it was validated against.
    file : Path
        The plan.
    at : str
        Path of the table in the plan.

    Returns
    -------
    Refused
        With key path, found, expected, mend.
    """
    problems: dict[str, tuple[Any, ...]] = {}
    for item in error.errors(include_url=False):
        cause = item.get("ctx", {}).get("error")
        if isinstance(cause, Refused):
            return _with(cause, file, at)
        path = _real_path(item["loc"], raw)
        problems.setdefault(_join(at, path), (item, path))
    key, (item, path) = next(iter(problems.items()))
    same = [e for e in error.errors(include_url=False) if _real_path(e["loc"], raw) == path]
    what, expected, mend = _say(item, same, path, raw, model)
    others = [other for other in problems if other != key]
    if others:
        mend = f"{mend}; then look at {choices(others)}"
    return Refused(
        what, file=file, field=key, found=_show(item, path), expected=expected, mend=mend
    )


@contextlib.contextmanager
def at_key(file: Path, key: str) -> Iterator[None]:
    """Add the plan and the path of the key to refusals that do not know them.

    Parameters
    ----------
    file : Path
        The plan.
    key : str
        Path of the table, ``questions.severity``.

    Yields
    ------
    None
        Around the checks.

    Raises
    ------
    Refused
        With file and full field.
    """
    try:
        yield
    except Refused as no:
        raise _with(no, file, key) from no.__cause__


def _with(no: Refused, file: Path, key: str) -> Refused:
    if no.file is not None:
        return no
    parts: dict[str, Any] = no.as_dict()
    what = parts.pop("what")
    field = no.field
    if field is None:
        field = key
    elif not field.startswith(key):
        field = _join(key, field.split("."))
    return type(no)(what, **{**parts, "file": file, "field": field})


def _join(at: str, path: Sequence[str | int]) -> str:
    text = at
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            quoted = part if part.replace("_", "").replace("-", "").isalnum() else f'"{part}"'
            text += f".{quoted}" if text else quoted
    return text


def _real_path(loc: Sequence[str | int], raw: Any) -> tuple[str | int, ...]:
    """Drop what pydantic adds to a location for unions and dictionary keys."""
    path: list[str | int] = []
    here = raw
    for index, part in enumerate(loc):
        if _holds(here, part):
            here = here[part]
        elif isinstance(here, Mapping) and index == len(loc) - 1 and isinstance(part, str):
            pass  # a key that is missing
        else:
            continue
        path.append(part)
    return tuple(path)


def _holds(value: Any, part: str | int) -> bool:
    if isinstance(value, Mapping):
        return part in value
    return isinstance(value, list) and isinstance(part, int) and part < len(value)


def _say(
    item: Any, same: Sequence[Any], path: Sequence[str | int], raw: Any, model: type[BaseModel]
) -> tuple[str, str, str]:
    kind = item["type"]
    last = path[-1] if path else ""
    if kind == "extra_forbidden":
        known = list(_fields(model, path[:-1]))
        return (
            f"the plan has a key that is not known: {last}",
            choices(known),
            did_you_mean(str(last), known) or "remove it or correct the spelling",
        )
    if kind == "missing":
        return f"the plan lacks the key {last}", "a value", f"add {last}"
    expected = " or ".join(dict.fromkeys(_expected(e) for e in same))
    if kind == "literal_error":
        options = [part.strip(" '") for part in str(item["ctx"]["expected"]).split(",")]
        options = [o.strip(" '") for option in options for o in option.split(" or ")]
        return (
            f"the plan gives {last} a value that is not one of the choices",
            choices(options),
            did_you_mean(str(item["input"]), options) or "use one of the choices",
        )
    return f"the plan gives {last} a value that cannot be used", expected, "correct the value"


_TYPES = {
    "string_type": "text in quotes",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list, [...]",
    "tuple_type": "a list, [...]",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}


def _expected(item: Any) -> str:
    known = _TYPES.get(item["type"])
    if known:
        return known
    text = str(item["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
    return text[:1].lower() + text[1:]


def _show(item: Any, path: Sequence[str | int]) -> str:
    if item["type"] == "missing":
        return "nothing"
    if item["type"] == "extra_forbidden":
        return str(path[-1])
    text = repr(item["input"])
    return text if len(text) <= 200 else text[:197] + "..."


def _fields(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """Return the keys known at a path below a model."""
    here: Any = model
    for part in path:
        if isinstance(here, type) and issubclass(here, BaseModel):
            field = here.model_fields.get(str(part))
            here = None if field is None else field.annotation
        else:
            # A dictionary (or a union with one): its values are described last.
            here = next((a for a in reversed(get_args(here)) if a is not type(None)), None)
        here = _model_in(here)
    if isinstance(here, type) and issubclass(here, BaseModel):
        return list(here.model_fields)
    return []


def _model_in(annotation: Any) -> Any:
    """Return the model of ``Model | None``; leave other annotations alone."""
    models = [a for a in get_args(annotation) if isinstance(a, type) and issubclass(a, BaseModel)]
    origin = getattr(annotation, "__origin__", None)
    if origin in (dict, Mapping):
        return annotation
    return models[0] if models else annotation
