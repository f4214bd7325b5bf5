"""Values of the literature shown beside results, with source and whether they were checked."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Reference:
    """One value: for which parameter, what it is, where it comes from."""

    key: str
    parameter: str
    value: float
    unit: str
    words: str
    source: str
    verified: bool

    def __str__(self) -> str:
        mark = "" if self.verified else ", not checked"
        return f"{self.value:g} {self.unit}, {self.words} ({self.source}{mark})"


@cache
def references() -> tuple[Reference, ...]:
    """Return every value in the order of the data file."""
    text = (files(__package__) / "data" / "references.toml").read_text(encoding="utf-8")
    return tuple(Reference(key, **row) for key, row in tomllib.loads(text).items())


def beside(parameter: str) -> tuple[Reference, ...]:
    """Return the values that belong beside a parameter."""
    return tuple(r for r in references() if r.parameter == parameter)


def cut(child: bool) -> float:
    """Return the usual cut of the PLMS index, 1/h: 5 in children, 15 in adults (R20)."""
    key = "PLMS_cut_child" if child else "PLMS_cut_adult"
    return next(r.value for r in references() if r.key == key)


def single_night_words(index: float, child: bool = False) -> str:
    """Return what one night with this index does and does not say.

    Parameters
    ----------
    index : float
        PLMS an hour.
    child : bool

    Returns
    -------
    str
        A sentence; empty when the index is unknown.
    """
    limit = cut(child)
    if index != index:
        return ""
    if index > limit:
        return f"Above {limit:g}/h on this night."
    return (
        f"Not above {limit:g}/h on this night. Movements vary much between nights: one night below"
        " the cut does not show that they are absent."
    )
