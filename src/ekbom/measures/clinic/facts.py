"""Facts of the clinic room: every threshold, with its source and whether it was checked.

The numbers live in TOML files beside this module. A table that holds values
must name a ``source`` that stands in ``sources.toml`` and say ``verified``;
otherwise the file does not load. Results carry the keys of the facts they
used, so that any output can say where it comes from.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from ekbom.errors import Refused

#: Data files that hold facts; ``sources.toml`` and ``cases.toml`` are of another kind.
FILES = ("criteria", "scales", "iron", "response", "norms")
_SEEN = ("full", "abstract", "secondary", "recalled", "own")
_MARKS = ("source", "verified", "note")


@dataclass(frozen=True)
class Source:
    """Where a fact comes from, and what of it was seen.

    ``seen`` is one of ``full``, ``abstract``, ``secondary``, ``recalled`` or
    ``own`` (a choice of this project).
    """

    key: str
    authors: str
    year: int
    reference: str
    seen: str

    def __str__(self) -> str:
        return f"{self.authors} {self.year}"


@dataclass(frozen=True)
class Fact:
    """One row of a data file: values, source, and whether it was checked."""

    key: str
    source: str
    verified: bool
    note: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value, or the default when the row does not have it.

        Parameters
        ----------
        name : str
            Name.
        default : object
            What is returned without one.

        Returns
        -------
        object
            Value or default.
        """
        return self.values.get(name, default)


def read_facts(text: str, file: str, sources: Mapping[str, Source], prefix: str) -> dict[str, Fact]:
    """Read one data file; every table with values must say source and verified.

    Parameters
    ----------
    text : str
        TOML.
    file : str
        Name used in messages.
    sources : mapping
        Known sources by key.
    prefix : str
        First part of the keys.

    Returns
    -------
    dict
        Facts by dotted key.

    Raises
    ------
    Refused
        When a table has values but no known source or no ``verified``.
    """
    return {fact.key: fact for fact in _walk(tomllib.loads(text), prefix, file, sources)}


def _walk(
    table: Mapping[str, Any], key: str, file: str, sources: Mapping[str, Source]
) -> Iterator[Fact]:
    values = {k: v for k, v in table.items() if not isinstance(v, dict)}
    if values:
        source, verified = values.get("source"), values.get("verified")
        if source not in sources:
            raise Refused(
                "A fact without a known source is not accepted.",
                file=file,
                field=key,
                found=source or "no source",
                expected="a key of sources.toml",
                mend="name the source of this row, and add it to sources.toml if it is new",
            )
        if not isinstance(verified, bool):
            raise Refused(
                "A fact must say whether it was checked.",
                file=file,
                field=f"{key}.verified",
                found=verified,
                expected="true or false",
            )
        kept = MappingProxyType({k: v for k, v in values.items() if k not in _MARKS})
        yield Fact(key, str(source), verified, values.get("note", ""), kept)
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _walk(value, f"{key}.{name}", file, sources)


def read_sources(text: str, file: str = "sources.toml") -> dict[str, Source]:
    """Read the table of sources.

    Parameters
    ----------
    text : str
        TOML.
    file : str
        Name used in messages.

    Returns
    -------
    dict
        Sources by key.

    Raises
    ------
    Refused
        When a row is incomplete or its ``seen`` is not a known word.
    """
    out = {}
    for key, row in tomllib.loads(text).items():
        missing = [n for n in ("authors", "year", "reference", "seen") if n not in row]
        if missing or row["seen"] not in _SEEN:
            raise Refused(
                "A source row is incomplete.",
                file=file,
                field=key,
                found=f"without {', '.join(missing)}" if missing else row["seen"],
                expected=f"authors, year, reference, seen ({' | '.join(_SEEN)})",
            )
        out[key] = Source(key, row["authors"], row["year"], row["reference"], row["seen"])
    return out


def data_text(name: str) -> str:
    """Return the text of a data file of this room, by name without ending.

    Parameters
    ----------
    name : str
        Name.

    Returns
    -------
    str
        TOML.
    """
    return (files(__package__) / "data" / f"{name}.toml").read_text(encoding="utf-8")


@cache
def sources() -> Mapping[str, Source]:
    """Return every source by key.

    Returns
    -------
    mapping
        Source by key.
    """
    return MappingProxyType(read_sources(data_text("sources")))


@cache
def facts() -> Mapping[str, Fact]:
    """Return every fact by dotted key (``scales.irls.bands.severe``).

    Returns
    -------
    mapping
        Fact by key.
    """
    out: dict[str, Fact] = {}
    for name in FILES:
        out.update(read_facts(data_text(name), f"{name}.toml", sources(), name))
    return MappingProxyType(out)


def fact(key: str) -> Fact:
    """Return one fact by its dotted key.

    Parameters
    ----------
    key : str
        Dotted key.

    Returns
    -------
    Fact
        The row.
    """
    return facts()[key]


def under(key: str) -> dict[str, Fact]:
    """Return the facts one level below a key, by their last name, in file order.

    Parameters
    ----------
    key : str
        Dotted key.

    Returns
    -------
    dict
        Fact by last name.
    """
    start = key + "."
    found = ((k[len(start) :], f) for k, f in facts().items() if k.startswith(start))
    return {name: f for name, f in found if "." not in name}


def all_verified(keys: Iterable[str]) -> bool:
    """Say whether every one of these facts was checked.

    Parameters
    ----------
    keys : iterable of str
        Keys of facts.

    Returns
    -------
    bool
        False when any was not.
    """
    return all(facts()[k].verified for k in keys)


def unverified(keys: Iterable[str]) -> tuple[str, ...]:
    """Return the keys of the facts that were not checked, in order, once each.

    Parameters
    ----------
    keys : iterable of str
        Keys of facts.

    Returns
    -------
    tuple of str
        Keys.
    """
    return tuple(k for k in dict.fromkeys(keys) if not facts()[k].verified)


def cite(keys: Iterable[str]) -> str:
    """Return the sources of these facts as text: ``authors year; authors year``.

    Parameters
    ----------
    keys : iterable of str
        Keys of facts.

    Returns
    -------
    str
        Authors and years.
    """
    names = dict.fromkeys(facts()[k].source for k in keys)
    return "; ".join(str(sources()[n]) for n in names)
