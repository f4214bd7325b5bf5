"""Per-person QC: the figures a measure left, as they are."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from ekbom.report import numbers
from ekbom.report.blocks import Block, Part
from ekbom.report.output import Output, Scan, read_json
from ekbom.report.style import small_svg

_SWAP = str.maketrans({'"': "'", "'": '"'})


def parts(output: Output) -> list[Part]:
    """Return a folded part for every scan with figures.

    Parameters
    ----------
    output : Output
        An opened output folder.

    Returns
    -------
    list of Part
        In the order of participants and sessions.
    """
    return [_part(scan, output) for scan in output.scans]


def _part(scan: Scan, output: Output) -> Part:
    blocks = [_picture(path, scan) for path in scan.figures]
    facts = []
    notes = output.notes
    if {"participant_id", "session_id"} <= set(notes):
        session = notes["session_id"].fillna("").map(lambda s: str(s).removeprefix("ses-"))
        mine = notes[
            (notes["participant_id"] == scan.participant)
            & (session == scan.session.removeprefix("ses-"))
        ]
        facts = [
            (str(c), numbers.prose(str(t))) for c, t in zip(mine["code"], mine["text"], strict=True)
        ]
    title = Markup("{} <small>{}</small>").format(scan.participant, scan.session)
    return Part(
        "scan-" + "".join(c for c in scan.name if c.isalnum() or c == "-"),
        title,
        blocks,
        facts=facts,
        fold=True,
    )


def _picture(path: Path, scan: Scan) -> Block:
    told = read_json(path.with_suffix(".json"))
    caption = str(told.get("Caption") or told.get("caption") or told.get("Description") or "")
    name = path.stem.removeprefix(scan.name).strip("_") or path.stem
    source = data_uri(path)
    picture = Markup('<img loading="lazy" decoding="async" alt="{}" src="{}">').format(
        caption or name, source
    )
    return Block("figure", picture, numbers.prose(caption or name))


def data_uri(path: Path) -> Markup:
    """Return a picture as a ``data:`` address.

    Inside ``<img>`` an SVG runs no script and loads nothing, whoever drew it.

    Parameters
    ----------
    path : pathlib.Path
        SVG or PNG.

    Returns
    -------
    markupsafe.Markup
        SVG without metadata, quoted so that it needs no escaping in an
        attribute in double quotes; PNG in base64.
    """
    data = path.read_bytes()
    if path.suffix == ".png":
        return Markup("data:image/png;base64," + base64.b64encode(data).decode("ascii"))
    text = small_svg(data.decode("utf-8", errors="replace"))
    # Quotes inside the address cost three letters each; the other kind costs one.
    text = re.sub(r"<[^>]+>", lambda m: m[0].translate(_SWAP), text)
    return Markup("data:image/svg+xml," + quote(text, safe=" :/?!$()*+,;=-._~@'[]{}|^`"))
