"""The end of the page: words for the methods section, references, versions, hashes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup, escape

from ekbom import __version__
from ekbom.report.blocks import Block, Part, paragraphs
from ekbom.report.columns import methods_of
from ekbom.report.grid import build
from ekbom.report.output import Output
from ekbom.report.questions import Asked

_DOI = re.compile(r"\b(?:doi:\s*)?(10\.\d{4,9}/[^\s;,<>\"]+[^\s;,.<>\")\]])", re.IGNORECASE)


def methods(output: Output, asked: Sequence[Asked]) -> Part:
    """Return the methods text of measures and answers, and the references.

    Parameters
    ----------
    output : Output
        An opened output folder.
    asked : sequence of Asked
        The questions.

    Returns
    -------
    Part
        Text to be copied into a paper.
    """
    blocks: list[Block] = []
    for name, text in _words(output.plan).items():
        blocks.append(Block("heading", Markup("Measurement: {}").format(name.upper())))
        blocks.append(Block("quote", paragraphs(text)))
    for one in asked:
        texts = [t for t in dict.fromkeys(methods_of(a) for _, a in one.answers) if t]
        if texts:
            blocks.append(Block("heading", Markup("Question: {}").format(one.name)))
            blocks.append(Block("quote", paragraphs(texts[0])))
    listed = references(output, asked)
    if listed:
        blocks.append(Block("heading", Markup("References")))
        items = Markup("").join(Markup("<li>{}</li>").format(with_doi(r)) for r in listed)
        blocks.append(Block("list", items))
    return Part("methods", Markup("Methods and references"), blocks)


def _words(plan: Mapping[str, Any]) -> dict[str, str]:
    told = plan.get("words") or plan.get("methods") or {}
    if isinstance(told, str):
        return {"measures": told}
    if isinstance(told, Mapping):
        return {str(k): str(v) for k, v in told.items()}
    return {}


def references(output: Output, asked: Sequence[Asked]) -> list[str]:
    """Return every reference that plan or answers carry, once, by name.

    Parameters
    ----------
    output : Output
        An opened output folder.
    asked : sequence of Asked
        The questions.

    Returns
    -------
    list of str
        Sorted.
    """
    found: set[str] = set()
    sources: list[Any] = [output.plan]
    sources += [a.about.get("meta") or {} for one in asked for _, a in one.answers]
    for source in sources:
        for key in ("citations", "references"):
            found |= _strings(source.get(key))
    return sorted(found, key=str.casefold)


def _strings(value: Any) -> set[str]:
    if isinstance(value, str):
        return {value.strip()} if value.strip() else set()
    if isinstance(value, Mapping):
        return {s for v in value.values() for s in _strings(v)}
    if isinstance(value, (list, tuple)):
        return {s for v in value for s in _strings(v)}
    return set()


def with_doi(text: str) -> Markup:
    """Return a reference as HTML; its DOI stays text, set apart.

    Examples
    --------
    >>> str(with_doi("A & B 1983. doi:10.2307/1391660."))
    'A &amp; B 1983. <span class="doi">doi:10.2307/1391660</span>.'
    """
    out, last = Markup(""), 0
    for found in _DOI.finditer(text):
        out += escape(text[last : found.start()])
        out += Markup('<span class="doi">doi:{}</span>').format(found[1])
        last = found.end()
    return out + escape(text[last:])


def part(output: Output, asked: Sequence[Asked]) -> Part:
    """Return the part on versions and hashes.

    Parameters
    ----------
    output : Output
        An opened output folder.
    asked : sequence of Asked
        The questions, whose answers name the versions they were made with.

    Returns
    -------
    Part
        Versions as recorded by the run, and SHA-256 of what was read.
    """
    versions = _versions(output, asked)
    blocks: list[Block] = []
    if versions:
        frame = pd.DataFrame(sorted(versions.items()), columns=["software", "version"])
        labels: dict[str, str | Markup] = {"software": "Software", "version": "Version"}
        blocks.append(
            Block(
                "grid",
                build(
                    frame.astype(str), ["software", "version"], caption="Versions", labels=labels
                ),
            )
        )
    digests = output.digests()
    if digests:
        frame = pd.DataFrame(digests, columns=["path", "sha256"])
        labels = {"path": "File", "sha256": "SHA-256"}
        grid = build(
            frame, ["path", "sha256"], caption="Files this report was made from", labels=labels
        )
        blocks.append(Block("grid", grid, fold=f"SHA-256 of the {len(digests)} files read"))
    return Part("provenance", Markup("Versions and hashes"), blocks)


def _versions(output: Output, asked: Sequence[Asked]) -> dict[str, str]:
    found: dict[str, str] = {"ekbom (this report)": __version__}
    sources: list[Any] = [output.plan, *(a.about for one in asked for _, a in one.answers)]
    for source in sources:
        told = source.get("versions")
        if isinstance(told, Mapping):
            found.update({str(k): str(v) for k, v in told.items()})
    for made in output.description.get("GeneratedBy") or []:
        if isinstance(made, Mapping) and made.get("Name") and made.get("Version"):
            found.setdefault(str(made["Name"]), str(made["Version"]))
    return found
