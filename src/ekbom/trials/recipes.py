"""Findings and recipes: read from the package's tables, checked."""

from __future__ import annotations

import io
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from importlib.resources import files
from typing import Any

import pandas as pd

from ekbom.errors import Refused

CLASSES = ("required", "null-required", "contested")
#: Keys each design needs beside id, class, use, design, printed.
DESIGNS: Mapping[str, tuple[str, ...]] = {
    "group": ("measure", "a", "b", "n_a", "n_b"),
    "paired": ("measure", "a", "n_a"),
    "correlation": ("measure", "a", "n_a"),
    "share": ("a", "n_a", "where_hit"),
    "ratio": ("a", "b", "n_a", "n_b", "where_hit"),
    "odds": ("a", "b", "n_a", "n_b", "locus"),
    "phase": ("a", "n_a"),
    "night_ratio": ("a", "n_a"),
    "sibling": ("a", "n_a"),
    "conditions": ("a", "conditions", "n_a"),
    "one_sample": ("measure", "against", "a", "b", "n_a", "n_b"),
    "family": ("a", "n_a", "relatives"),
    "augment": ("arm_a", "weeks", "n_a"),
    "trial": ("arm_a", "arm_b", "weeks", "n_a", "n_b", "outcome"),
    "none": (),
}


@dataclass(frozen=True)
class Recipe:
    """How a finding is simulated.

    Parameters
    ----------
    id : str
        Row of the findings.
    kind : str
        ``required``, ``null-required`` or ``contested``.
    use : str
        ``check``, or ``calibrate`` (never counted).
    design : str
        Key of :data:`DESIGNS`.
    printed : float, str or list
        The printed number, two numbers for a range, or signs.
    entry : mapping
        All keys of the recipe.
    """

    id: str
    kind: str
    use: str
    design: str
    printed: float | str | list[Any]
    entry: Mapping[str, Any]

    @property
    def scenarios(self) -> list[str]:
        """Scenarios (or tables) in which it is tried."""
        return list(self.entry.get("scenario", self.entry.get("tables", ["base"])))


@cache
def findings() -> pd.DataFrame:
    """Return the table of published findings, indexed by id.

    Returns
    -------
    pandas.DataFrame
        As shipped, all text.
    """
    text = files("ekbom.trials.data").joinpath("findings.tsv").read_text("utf-8")
    return pd.read_csv(io.StringIO(text), sep="\t", dtype=str, keep_default_na=False).set_index(
        "id"
    )


@cache
def shipped() -> str:
    """Return the text of the shipped recipes."""
    return files("ekbom.trials.data").joinpath("recipes.toml").read_text("utf-8")


def without() -> dict[str, str]:
    """Return the findings without a recipe, and why.

    Returns
    -------
    dict of str to str
        Id to reason.
    """
    return dict(tomllib.loads(shipped())["without"])


def reasons() -> dict[str, str]:
    """Return what is known of findings that the model misses.

    Returns
    -------
    dict of str to str
        Id to words.
    """
    return dict(tomllib.loads(shipped()).get("missed", {}))


def recipes(
    rows: str = "*", text: str | None = None, table: pd.DataFrame | None = None
) -> list[Recipe]:
    """Return recipes, checked.

    Parameters
    ----------
    rows : str
        Pattern of ids, such as ``OP*``; several by commas.
    text : str, optional
        TOML; the shipped recipes by default.
    table : pandas.DataFrame, optional
        Findings; the shipped ones by default.

    Returns
    -------
    list of Recipe
        In the order of the file.

    Raises
    ------
    Refused
        On a recipe that lacks a key, names an unknown finding, or on a pattern
        without a match.
    """
    known = findings() if table is None else table
    found = [_recipe(e, known) for e in tomllib.loads(text or shipped())["recipe"]]
    patterns = [p.strip() for p in rows.split(",")]
    kept = [r for r in found if any(fnmatch(r.id, p) for p in patterns)]
    if not kept:
        raise Refused("No recipe matches.", field="rows", found=rows, expected="ids such as OP*")
    return kept


def _recipe(entry: dict[str, Any], known: pd.DataFrame) -> Recipe:
    name = str(entry.get("id"))
    for key in ("id", "class", "use", "design", "printed"):
        if key not in entry:
            raise Refused("A recipe lacks a key.", field=name, expected=key)
    if name not in known.index:
        raise Refused("A recipe names no finding.", field=name, expected="a row of findings.tsv")
    for key, allowed in (("class", CLASSES), ("use", ("check", "calibrate")), ("design", DESIGNS)):
        if entry[key] not in allowed:
            raise Refused("A recipe has an unknown word.", field=f"{name}: {key}",
                          found=entry[key], expected=", ".join(allowed))  # fmt: skip
    missing = [k for k in DESIGNS[entry["design"]] if k not in entry]
    if missing:
        raise Refused("A recipe lacks a key.", field=name, expected=", ".join(missing))
    return Recipe(
        name, entry["class"], entry["use"], entry["design"], entry["printed"], dict(entry)
    )
