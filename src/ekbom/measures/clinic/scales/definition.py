"""What a scale is: items with a range, parts, bands, a rule for missing items."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from ekbom.errors import Refused
from ekbom.measures.clinic.facts import fact, under

#: Scales by item number, in the order in which they are scored.
SCALES = ("irls", "rls6", "cgi", "sfmpq", "ppi", "painvas", "mpq_full", "asrs")


@dataclass(frozen=True)
class Part:
    """A total or subscale: which items it sums, and what is known of its error.

    ``short`` is its key in the data, ``name`` that of the measure; ``items``
    are 1-based; ``given`` is the column of a total without items;
    ``prorate_max`` missing items are always prorated (and flagged),
    ``prorate_option_max`` only when asked; ``reliability`` is an alpha or NaN;
    ``facts`` the keys behind it.
    """

    short: str
    name: str
    items: tuple[int, ...]
    given: str | None
    prorate_max: int
    prorate_option_max: int
    reliability: float
    on_request: bool
    sum_of: tuple[str, ...]
    unit: str
    facts: tuple[str, ...]


@dataclass(frozen=True)
class Band:
    """A named range of totals, both ends included."""

    name: str
    low: float
    high: float
    fact: str


@dataclass(frozen=True)
class Scale:
    """A scale as its data rows define it."""

    key: str
    title: str
    items: tuple[str, ...]
    low: float
    high: float
    integer: bool
    reverse: frozenset[str]
    parts: tuple[Part, ...]
    bands: tuple[Band, ...]
    missing_rule: str
    licence: str

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns this scale reads: items and given totals.

        Returns
        -------
        tuple of str
            Names.
        """
        return (*self.items, *(p.given for p in self.parts if p.given))

    def part(self, name: str) -> Part:
        """Return a part by its measure name (``IRLS_total``).

        Parameters
        ----------
        name : str
            Name.

        Returns
        -------
        Part
            The part.
        """
        return next(p for p in self.parts if p.name == name)

    def halves(self, part: Part) -> tuple[Part, ...]:
        """Return the parts that a part is the sum of, none for a plain sum of items.

        Parameters
        ----------
        part : Part
            A part of this scale.

        Returns
        -------
        tuple of Part
            In order.
        """
        return tuple(p for p in self.parts if p.short in part.sum_of)


@cache
def scale(key: str) -> Scale:
    """Return a scale by its key.

    Parameters
    ----------
    key : str
        One of :data:`SCALES`.

    Returns
    -------
    Scale
        Definition.

    Raises
    ------
    Refused
        For an unknown scale.
    """
    if key not in SCALES:
        raise Refused(
            "The scale is not known.",
            field="scales",
            found=key,
            expected=", ".join((*SCALES, "jhss")),
        )
    root = f"scales.{key}"
    top, items = fact(root), fact(f"{root}.items")
    parts = []
    for short, row in under(f"{root}.parts").items():
        numbers = row["items"]
        parts.append(
            Part(
                short=short,
                name=row["name"],
                items=tuple(numbers),
                given=row.get("given"),
                prorate_max=row.get("prorate_max", 0),
                prorate_option_max=row.get("prorate_option_max", 0),
                reliability=row.get("reliability", float("nan")),
                on_request=row.get("on_request", False),
                sum_of=tuple(row.get("sum_of", ())),
                unit=row.get("unit", "points"),
                facts=(f"{root}.items", f"{root}.parts.{short}"),
            )
        )
    bands = tuple(
        Band(name, row["low"], row["high"], f"{root}.bands.{name}")
        for name, row in under(f"{root}.bands").items()
    )
    return Scale(
        key=key,
        title=top["title"],
        items=tuple(items["ids"]),
        low=items["low"],
        high=items["high"],
        integer=items["integer"],
        reverse=frozenset(items["reverse"]),
        parts=tuple(parts),
        bands=bands,
        missing_rule=fact(f"{root}.missing")["rule"],
        licence=top["licence"],
    )
