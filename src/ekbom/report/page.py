"""The page: all parts put in order and poured into one file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from ekbom import __version__
from ekbom.report import measurements, provenance, questions, scans, summary
from ekbom.report.blocks import Block
from ekbom.report.output import Output
from ekbom.report.style import look


def render(out: Path) -> bytes:
    """Make the report of an output folder.

    Parameters
    ----------
    out : pathlib.Path
        Folder that ``ekbom run`` has written.

    Returns
    -------
    bytes
        One HTML file in UTF-8 that needs nothing beside it. The same files
        give the same bytes.

    Raises
    ------
    ekbom.errors.Refused
        The folder is not there, holds nothing to report, or a file in it is damaged.
    """
    output = Output.open(out)
    asked = questions.asked(output)
    with look():
        parts = [questions.part(one) for one in asked]
        context = {
            "title": summary.title(output),
            "lead": summary.lead(output, asked),
            "brief": summary.brief(output, asked),
            "run": summary.what_was_run(output),
            "answers": parts,
            "volumes": volumes(b for part in parts for b in part.blocks),
            "measurements": measurements.parts(output, asked),
            "scans": scans.parts(output),
            "methods": provenance.methods(output, asked),
            "provenance": provenance.part(output, asked),
            "version": __version__,
        }
    return _environment().get_template("page.html.j2").render(context).encode("utf-8")


def volumes(blocks: Iterable[Block]) -> dict[str, Any]:
    """Return the backgrounds that slice viewers on the page share, each once.

    Parameters
    ----------
    blocks : iterable of Block
        Of all parts; folded ones are looked into.

    Returns
    -------
    dict of str to dict
        Id to volume.
    """
    found: dict[str, Any] = {}
    for block in blocks:
        if isinstance(block.content, Mapping):
            if block.kind == "viewer":
                found[block.content["under"]] = block.content["volume"]
            found |= volumes(block.content.get("blocks", ()))
    return dict(sorted(found.items()))


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ekbom.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["asset"] = _asset
    return environment


def _asset(name: str) -> Markup:
    text = (files("ekbom.report") / "templates" / name).read_text(encoding="utf-8")
    return Markup(text)
