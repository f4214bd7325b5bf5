"""What a page is made of: figures, tables, paragraphs, viewers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from ekbom.report.grid import Grid
from ekbom.report.numbers import prose


@dataclass(frozen=True)
class Block:
    """One thing on the page.

    Parameters
    ----------
    kind : {"figure", "grid", "quote", "warnings", "list", "code", "heading", "fold", "viewer"}
        Which template draws it.
    content : Markup or Grid or mapping
        SVG or ``<img>``, a table, paragraphs, or the data of a viewer.
    caption : Markup
        Under a figure.
    fold : str
        When not empty the block is folded away under this title.
    """

    kind: str
    content: Markup | Grid | Mapping[str, Any]
    caption: Markup = field(default_factory=Markup)
    fold: str = ""


@dataclass(frozen=True)
class Part:
    """Blocks under a heading.

    Parameters
    ----------
    anchor : str
        Letters, digits and hyphens; unique on the page.
    title : Markup
        The heading.
    blocks : sequence of Block
        In order.
    lead : Markup
        The sentence that comes first, set apart.
    facts : sequence of (str, Markup)
        Short facts in a line under the heading (model, n, method).
    fold : bool
        Whether the part starts folded.
    """

    anchor: str
    title: Markup
    blocks: Sequence[Block] = ()
    lead: Markup = field(default_factory=Markup)
    facts: Sequence[tuple[str, Markup]] = ()
    fold: bool = False


def paragraphs(text: str) -> Markup:
    """Return plain text as HTML paragraphs; an empty line starts a new one.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    markupsafe.Markup
        Escaped, symbols set.
    """
    parts = [" ".join(p.split()) for p in text.replace("\r", "").split("\n\n")]
    return Markup("").join(Markup("<p>{}</p>").format(prose(p)) for p in parts if p)
