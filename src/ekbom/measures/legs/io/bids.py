"""Polysomnography in a BIDS study: ``sub-XX_task-sleep_eeg.edf`` and what stands beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from ekbom.errors import Refused
from ekbom.measures.legs.filters import Channel
from ekbom.measures.legs.io import words
from ekbom.measures.legs.io.annotations import Annotations, sort_out
from ekbom.measures.legs.io.edf import Signals, leg_channels, open_edf
from ekbom.measures.legs.io.table import read_table
from ekbom.nouns import BidsFile, Files, Unit


def units(study: Files) -> list[Unit]:
    """Return every subject-session-run with a recording or events in its ``eeg`` folder.

    Parameters
    ----------
    study : Files

    Returns
    -------
    list of Unit
        Sorted.
    """
    found = set()
    for file in _recordings(study):
        e = file.entities
        if "task" in e:
            found.add((f"sub-{e['sub']}", e.get("ses", ""), e.get("run", "")))
    return [Unit(p, s or None, r or None) for p, s, r in sorted(found)]


def _recordings(study: Files, unit: Unit | None = None, **entities: str) -> list[BidsFile]:
    signals = study.find(unit, suffix="eeg", extension=".edf", scope="raw", **entities)
    events = study.find(unit, suffix="events", extension=".tsv", scope="raw", **entities)
    return [f for f in (*signals, *events) if f.datatype == "eeg" and "sub" in f.entities]


def find_files(unit: Unit, study: Files, task: str, scorer: str | None) -> dict[str, list[Path]]:
    """Return the files of one recording by role; empty lists for what is not there.

    Parameters
    ----------
    unit : Unit
    study : Files
    task : str
    scorer : str or None
        Entity ``acq`` of the events file, when there are several.

    Returns
    -------
    dict of str to list of Path
        ``edf``, ``events``, ``channels``.

    Raises
    ------
    Refused
        Several recordings or events files.
    """
    out: dict[str, list[Path]] = {}
    for role, suffix, extension in (
        ("edf", "eeg", ".edf"),
        ("events", "events", ".tsv"),
        ("channels", "channels", ".tsv"),
    ):
        hits = study.find(unit, suffix=suffix, extension=extension, scope="raw", task=task)
        hits = [f for f in hits if f.datatype == "eeg"]
        if role == "events" and scorer is not None:
            hits = [f for f in hits if f.entities.get("acq") == scorer]
        if len(hits) > 1:
            raise Refused(
                "There are several files where one is needed.",
                file=hits[0].path.parent,
                field=suffix,
                found=", ".join(f.path.name for f in hits),
                expected=f"one {suffix} file of task {task}",
                mend="name the scorer in the plan (acq-<scorer>), or remove the others",
            )
        out[role] = [f.path for f in hits]
    return out


def read_night(files: Mapping[str, Sequence[Path]]) -> tuple[Annotations, Signals | None]:
    """Return annotations and, where there is a recording, its opened signals.

    Parameters
    ----------
    files : mapping
        Of :func:`find_files`; the events table goes before annotations in the EDF.

    Returns
    -------
    said : Annotations
    signals : Signals or None
    """
    signals = open_edf(files["edf"][0]) if files.get("edf") else None
    said = read_table(files["events"][0]) if files.get("events") else None
    inside = sort_out(signals.rows(), signals.path) if signals is not None else None
    if said is not None and inside is not None:
        said = said.over(inside)
    either = said if said is not None else inside
    assert either is not None
    return either, signals


def legs_of(
    signals: Signals, channels: Sequence[Path], names: Sequence[str]
) -> tuple[list[Channel], list[str]]:
    """Return the leg channels: those named, else EMG by ``channels.tsv``, else by label.

    Parameters
    ----------
    signals : Signals
    channels : sequence of Path
        ``channels.tsv`` or nothing.
    names : sequence of str
        As in the plan.

    Returns
    -------
    legs : list of Channel
    notes : list of str
        Units of the table that contradict the header, which decides.
    """
    notes: list[str] = []
    chosen = list(names)
    if channels:
        table = pd.read_csv(channels[0], sep="\t", dtype=str, keep_default_na=False)
        if not {"name", "type"} <= set(table.columns):
            raise Refused(
                "The table of channels lacks columns.",
                file=channels[0],
                found=", ".join(map(str, table.columns)),
                expected="name, type, units",
            )
        emg = table[table["type"].str.upper() == "EMG"]
        bad = emg["status"].str.lower() == "bad" if "status" in emg else emg["name"] == ""
        emg = emg[~bad]
        if not chosen:
            chosen = [n for n in emg["name"] if words.is_leg_channel(n)]
        notes = _other_units(signals, table, chosen)
    return leg_channels(signals, chosen), notes


def _other_units(signals: Signals, table: pd.DataFrame, chosen: Sequence[str]) -> list[str]:
    if "units" not in table:
        return []
    header = dict(zip(signals.labels, signals.units, strict=True))
    said = dict(zip(table["name"], table["units"], strict=True))
    out = []
    for name in (c.rpartition("=")[0] or c for c in chosen):
        a, b = header.get(name, ""), said.get(name, "")
        if a and b and b != "n/a" and _plain(a) != _plain(b):
            out.append(f"{name}: header {a}, channels.tsv {b}; the header was used")
    return out


def _plain(unit: str) -> str:
    return unit.strip().lower().replace("\u00b5", "u").replace("\u03bc", "u")
