"""Settings as TOML text."""

from __future__ import annotations

from typing import Any


def toml_text(tree: dict[str, Any]) -> str:
    """Return nested settings as TOML.

    Parameters
    ----------
    tree : dict
        Strings, numbers, booleans, lists, tables, lists of tables.

    Returns
    -------
    str
        TOML that reads back to the same settings.
    """
    lines: list[str] = []
    _toml(tree, [], lines)
    return "\n".join(lines) + "\n"


def _toml(tree: dict[str, Any], path: list[str], lines: list[str]) -> None:
    plain = {k: v for k, v in tree.items() if not isinstance(v, dict) and not _is_tables(v)}
    if path:
        lines += ["", f"[{'.'.join(_key(part) for part in path)}]"]
    lines += [f"{_key(key)} = {_toml_value(value)}" for key, value in plain.items()]
    for key, value in tree.items():
        if isinstance(value, dict):
            _toml(value, [*path, key], lines)
        elif _is_tables(value):
            for one in value:
                lines += ["", f"[[{'.'.join([*path, key])}]]"]
                lines += [f"{k} = {_toml_value(v)}" for k, v in one.items()]


def _key(word: str) -> str:
    """Return a key as TOML wants it: in quotes where it is more than letters and digits."""
    return word if word.replace("_", "").replace("-", "").isalnum() else _toml_value(word)


def _is_tables(value: object) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and isinstance(value[0], dict)


def _toml_value(value: object) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml_value(v) for v in value) + "]"
    return repr(value)
