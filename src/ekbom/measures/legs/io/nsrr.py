"""Annotations of the National Sleep Research Resource (XML)."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from ekbom.errors import Refused
from ekbom.measures.legs.io.annotations import Annotations, Row, sort_out


def read_nsrr(path: str | Path) -> Annotations:
    """Return what an NSRR annotation file says.

    Parameters
    ----------
    path : path-like
        ``PSGAnnotation`` with ``ScoredEvents``. Marks of periodic movements
        are read as movements; their periodicity is scored anew.

    Returns
    -------
    Annotations

    Raises
    ------
    Refused
        The file is no such XML, or an event has no times.
    """
    path = Path(path)
    data = path.read_bytes()
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise Refused(
            "The XML declares entities, which annotation files do not need.",
            file=path,
            expected="plain PSGAnnotation XML",
        )
    try:
        root = ET.fromstring(data)
    except ET.ParseError as fault:
        raise Refused(
            "The file is not XML.", file=path, found=str(fault), expected="PSGAnnotation XML"
        ) from fault
    events = root.findall(".//ScoredEvent")
    if not events:
        raise Refused("The file holds no scored events.", file=path, expected="ScoredEvent")
    rows = []
    for k, event in enumerate(events):
        concept = _text(event, "EventConcept") or _text(event, "Name")
        try:
            onset, length = float(_text(event, "Start")), float(_text(event, "Duration"))
        except ValueError as fault:
            raise Refused(
                "A scored event has no times.",
                file=path,
                field=f"ScoredEvent {k + 1}, {concept}",
                found=f"{_text(event, 'Start')!r}, {_text(event, 'Duration')!r}",
                expected="Start and Duration in seconds",
            ) from fault
        own = concept.partition("|")[0]
        sided = any(word in own.lower() for word in ("left", "right"))
        place = "" if sided else _text(event, "SignalLocation")
        if "recording start" in concept.lower():
            continue
        rows.append(Row(onset, length, concept, place))
    return sort_out(rows, path)


def _text(event: ET.Element, name: str) -> str:
    found = event.find(name)
    return "" if found is None or found.text is None else found.text.strip()
