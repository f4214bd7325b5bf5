"""EDF and EDF+: signals one channel at a time, annotations, units from the header only."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ekbom.errors import Refused
from ekbom.measures.legs.events import LEG_WORDS, UNKNOWN, Array, leg_code
from ekbom.measures.legs.filters import Channel
from ekbom.measures.legs.io import words
from ekbom.measures.legs.io.annotations import Annotations, Row, sort_out
from ekbom.measures.legs.io.tal import read_head

#: Microvolts of one unit; both spellings of micro, in either encoding of a header.
UNITS = {"v": 1e6, "mv": 1e3, "uv": 1.0, "\u00b5v": 1.0, "\u03bcv": 1.0, "nv": 1e-3}


@dataclass(frozen=True)
class Signals:
    """An opened EDF file: labels and units; samples are read when asked for."""

    path: Path
    labels: tuple[str, ...]
    units: tuple[str, ...]
    edf: Any
    notes: Sequence[Any] = ()

    @property
    def seconds(self) -> float:
        """Length of the recording, s."""
        return float(self.edf.duration)

    def rows(self) -> list[Row]:
        """Return the annotations; ``text@@channel`` is split."""
        found = []
        for note in self.notes:
            text, _, channel = note.text.partition("@@")
            found.append(Row(float(note.onset), float(note.duration or 0.0), text.strip(),
                             channel.strip()))  # fmt: skip
        return found


def open_edf(path: str | Path) -> Signals:
    """Open an EDF file; files with annotations only are accepted too.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    Signals

    Raises
    ------
    Refused
        The file is not there, is no EDF, or its records do not follow each other.
    """
    import edfio

    path = Path(path)
    if not path.is_file():
        raise Refused("The file is not there.", file=path, expected="an EDF or EDF+ file")
    try:
        # BDF has the same header, and samples of 24 bits.
        edf = edfio.read_bdf(path) if path.suffix.lower() == ".bdf" else edfio.read_edf(path)
        head = read_head(path)
    except Exception as fault:
        raise Refused(
            "The file cannot be read as EDF.",
            file=path,
            found=f"{type(fault).__name__}: {fault}",
            expected="EDF or EDF+C",
        ) from fault
    if not head.continuous:
        raise Refused(
            "The records of the file are not continuous.",
            file=path,
            field="reserved",
            found="EDF+D",
            expected="EDF+C, in which times follow from the samples",
            mend="export the night as one continuous recording",
        )
    return Signals(path, tuple(s.label for s in edf.signals), head.units, edf, head.notes)


def read_annotations(path: str | Path) -> Annotations:
    """Return what the annotations of an EDF+ file say.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    Annotations
    """
    opened = open_edf(path)
    return sort_out(opened.rows(), path)


def channel(opened: Signals, label: str, leg: int | None = None) -> Channel:
    """Return a channel in microvolts, as the header gives its unit.

    Parameters
    ----------
    opened : Signals
    label : str
        In any case.
    leg : int, optional
        By the label by default.

    Returns
    -------
    Channel

    Raises
    ------
    Refused
        No such channel, or a unit that is none of V, mV, uV, nV.
    """
    lowered = [name.lower() for name in opened.labels]
    if label.strip().lower() not in lowered:
        raise Refused(
            "The file has no such channel.",
            file=opened.path,
            field="channels",
            found=label,
            expected=", ".join(opened.labels) or "a file with signals",
        )
    k = lowered.index(label.strip().lower())
    factor = UNITS.get(opened.units[k].lower())
    if factor is None:
        raise Refused(
            "The unit of a channel is not one of voltage.",
            file=opened.path,
            field=f"physical dimension of {opened.labels[k]}",
            found=opened.units[k] or "nothing",
            expected="V, mV, uV or nV",
            mend="correct the header; a unit is never guessed from the numbers",
        )
    signal = opened.edf.signals[k]
    low, high = signal.digital_min, signal.digital_max
    span = (signal.physical_max - signal.physical_min) / (high - low)
    return Channel(
        opened.labels[k],
        words.leg_of(label) if leg is None else leg,
        signal.digital,
        float(signal.sampling_frequency),
        factor * span,
        factor * (signal.physical_min - span * low),
        getattr(signal, "rails", (float(low), float(high))),
    )


def leg_channels(opened: Signals, names: Sequence[str] = ()) -> list[Channel]:
    """Return the leg channels, those named or those whose label says so.

    Parameters
    ----------
    opened : Signals
    names : sequence of str
        Labels; ``LABEL=L`` says the leg too.

    Returns
    -------
    list of Channel

    Raises
    ------
    Refused
        None is found, or two are given where their legs cannot be told.
    """
    if names:
        found = []
        for name in names:
            label, said, leg = name.rpartition("=")
            found.append(
                channel(opened, label, leg_code(leg)) if said else channel(opened, name)
            )  # fmt: skip
    else:
        found = [channel(opened, name) for name in opened.labels if words.is_leg_channel(name)]
    if not found:
        raise Refused(
            "No channel of the file is called like a leg.",
            file=opened.path,
            field="channels",
            found=", ".join(opened.labels) or "no signals",
            expected="labels such as EMG LAT, EMG RAT, Leg L, Leg R, LLEG, Leg",
            mend="name them with --channels",
        )
    if len(found) > 1 and any(c.leg == UNKNOWN for c in found):
        raise Refused(
            "Of several leg channels one does not say its leg.",
            file=opened.path,
            field="channels",
            found=", ".join(f"{c.name}: {LEG_WORDS[c.leg]}" for c in found),
            expected="left and right, or one channel of both",
            mend="say it, such as --channels 'Leg1=L,Leg2=R'",
        )
    return found


def ecg_channel(opened: Signals, name: str | None = None) -> Channel | None:
    """Return the ECG channel, None when there is none."""
    if name is not None:
        return channel(opened, name, UNKNOWN)
    for label, unit in zip(opened.labels, opened.units, strict=True):
        if words.is_ecg_channel(label) and unit.lower() in UNITS:
            return channel(opened, label, UNKNOWN)
    return None


def edf_bytes(
    channels: Sequence[tuple[str, Array, float]],
    annotations: Sequence[Row] = (),
    *,
    unit: str = "uV",
    start: datetime.time = datetime.time(22, 0),
) -> bytes:
    """Return signals and annotations as EDF+C.

    Parameters
    ----------
    channels : sequence of (label, samples in uV, sampling rate in Hz)
        All of the same length in seconds.
    annotations : sequence of Row
        The channel of a row is written as ``text@@channel``.
    unit : {"uV", "mV", "V"}
        Of the file.
    start : datetime.time
        Clock time of the start.

    Returns
    -------
    bytes
        The same for the same data: the date is that of anonymous files.
    """
    import edfio

    factor = UNITS[unit.lower()]
    signals = []
    for label, values, fs in channels:
        reach = max(float(np.max(np.abs(values), initial=0.0)) / factor, 1e-6)
        # eight characters of header: rounded up, so that no sample is cut off
        top = float(f"{reach * 1.001:.4g}")
        top = top if top >= reach else float(f"{reach * 1.01:.3g}")
        signals.append(
            edfio.EdfSignal(
                np.asarray(values, np.float64) / factor,
                fs,
                label=label,
                physical_dimension=unit,
                physical_range=(-top, top),
            )
        )
    notes = [
        edfio.EdfAnnotation(
            r.onset, r.duration or None, f"{r.text}@@{r.channel}" if r.channel else r.text
        )
        for r in annotations
    ]
    recording = edfio.Recording(startdate=datetime.date(1985, 1, 1))
    edf = edfio.Edf(
        signals, recording=recording, starttime=start, annotations=notes,
        data_record_duration=1.0 if signals else None,
    )  # fmt: skip
    return bytes(edf.to_bytes())
