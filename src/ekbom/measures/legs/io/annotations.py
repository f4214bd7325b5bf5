"""Rows of annotations, from whatever format, sorted into what scoring needs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ekbom.errors import Refused
from ekbom.measures.legs.events import LEG_WORDS, Array, Marks, Spans, union
from ekbom.measures.legs.hypnogram import Hypnogram
from ekbom.measures.legs.io import words


class Row(NamedTuple):
    """One annotation: seconds, seconds, words, and the channel it speaks of."""

    onset: float
    duration: float
    text: str
    channel: str = ""


@dataclass(frozen=True)
class Annotations:
    """What a file says about a night; None for what it does not speak of.

    Parameters
    ----------
    marks : Marks or None
    epochs : tuple of (onset, duration, stage) arrays, or None
    resp, arousal : Spans or None
    lights_off, lights_on : float
        s; NaN when not marked.
    flags : tuple of str
    ignored : mapping of str to int
        Words that mean nothing here, and how often they came.
    file : str
    lost : mapping of str to (K, 2) array
        Spans without a usable signal by leg, s.
    """

    marks: Marks | None = None
    epochs: tuple[Array, Array, Array] | None = None
    resp: Spans | None = None
    arousal: Spans | None = None
    lights_off: float = math.nan
    lights_on: float = math.nan
    flags: tuple[str, ...] = ()
    ignored: Mapping[str, int] = field(default_factory=dict)
    file: str = ""
    lost: Mapping[str, Array] = field(default_factory=dict)

    def hypnogram(self, lost: Mapping[str, Array] | None = None) -> Hypnogram:
        """Return the hypnogram.

        Parameters
        ----------
        lost : mapping of str to (K, 2) array, optional
            Spans without signal by leg, s.

        Returns
        -------
        Hypnogram

        Raises
        ------
        Refused
            The file holds no stages, or they contradict each other.
        """
        if self.epochs is None:
            raise Refused(
                "There are no sleep stages.",
                file=self.file,
                found="no annotation that names a stage",
                expected="stages such as 'Sleep stage N2' with onset and duration",
                mend="give them with --stages",
            )
        try:
            return Hypnogram(
                self.epochs[0], self.epochs[1], self.epochs[2].astype(np.int64),
                self.lights_off, self.lights_on, {**self.lost, **(lost or {})}, self.flags,
            )  # fmt: skip
        except Refused as no:
            no.file = no.file or self.file
            raise

    def over(self, other: Annotations) -> Annotations:
        """Return what this file says, and what only the other one does."""
        return replace(
            self,
            marks=self.marks if self.marks is not None else other.marks,
            epochs=self.epochs if self.epochs is not None else other.epochs,
            resp=self.resp if self.resp is not None else other.resp,
            arousal=self.arousal if self.arousal is not None else other.arousal,
            lights_off=other.lights_off if math.isnan(self.lights_off) else self.lights_off,
            lights_on=other.lights_on if math.isnan(self.lights_on) else self.lights_on,
            flags=tuple(dict.fromkeys((*self.flags, *other.flags))),
        )


def sort_out(rows: Iterable[Row], file: str | Path = "") -> Annotations:
    """Sort annotations by what their words mean.

    Parameters
    ----------
    rows : iterable of Row
    file : path-like
        For messages.

    Returns
    -------
    Annotations

    Raises
    ------
    Refused
        A time that is no number, stages without length of which the epoch
        cannot be told, or two times of lights off.
    """
    stages: list[tuple[float, float, int]] = []
    moves: list[Row] = []
    breaths: list[tuple[float, float, str]] = []
    arousals: list[Row] = []
    light: dict[str, list[float]] = {"off": [], "on": []}
    ignored: Counter[str] = Counter()
    lost: dict[str, list[tuple[float, float]]] = {}
    rk = False
    for row in rows:
        if not (math.isfinite(row.onset) and math.isfinite(row.duration)):
            raise Refused(
                "An annotation has no time.",
                file=file,
                field=row.text,
                found=f"onset {row.onset}, duration {row.duration}",
                expected="seconds",
            )
        stage = words.stage_of(row.text)
        switch = words.lights(row.text)
        kind = words.respiratory_kind(row.text)
        if row.text == words.LOST:
            leg = LEG_WORDS[words.leg_of(row.channel)]
            lost.setdefault(leg, []).append((row.onset, row.onset + row.duration))
        elif switch is not None:
            light[switch].append(row.onset)
        elif stage is not None:
            rk = rk or words.is_rk(row.text)
            stages.append((row.onset, row.duration, stage))
        elif words.is_movement(row.text):
            moves.append(row)
        elif kind is not None:
            breaths.append((row.onset, row.onset + row.duration, kind))
        elif words.is_arousal(row.text):
            arousals.append(row)
        else:
            ignored[row.text] += 1
    flags = ["stages-of-rechtschaffen-and-kales"] if rk else []
    return Annotations(
        _marks(moves, file) if moves else None,
        _epochs(stages, file) if stages else None,
        _spans(breaths) if breaths else None,
        _spans([(r.onset, r.onset + r.duration, "arousal") for r in arousals])
        if arousals
        else None,
        _light(light["off"], "off", file),
        _light(light["on"], "on", file),
        tuple(flags),
        dict(ignored),
        str(file),
        {leg: union(np.array(spans)) for leg, spans in lost.items()},
    )


def _marks(rows: Sequence[Row], file: str | Path) -> Marks:
    legs = []
    for row in rows:
        own = words.leg_of(row.channel) if row.channel else words.leg_of(row.text)
        legs.append(own)
    try:
        return Marks(
            np.array([r.onset for r in rows]),
            np.array([r.duration for r in rows]),
            np.array(legs),
            np.array([r.text != words.NOT_RAISED for r in rows]),
        )
    except Refused as no:
        no.file = str(file)
        raise


def _epochs(
    rows: Sequence[tuple[float, float, int]], file: str | Path
) -> tuple[Array, Array, Array]:
    ordered = sorted(set(rows))
    onset = np.array([r[0] for r in ordered])
    duration = np.array([r[1] for r in ordered])
    stage = np.array([r[2] for r in ordered], np.float64)
    if (duration == 0).all():
        # Some files mark only where a stage starts, or leave the length of epochs out.
        if onset.size < 2:
            raise Refused(
                "The stages have no length.", file=file, field="duration", found="0",
                expected="the length of each epoch",
            )  # fmt: skip
        gaps = np.diff(onset)
        duration = np.append(gaps, np.median(gaps))
    return onset, duration, stage


def _spans(rows: Sequence[tuple[float, float, str]]) -> Spans:
    return Spans(
        np.array([r[0] for r in rows]), np.array([r[1] for r in rows]), tuple(r[2] for r in rows)
    )


def _light(times: list[float], which: str, file: str | Path) -> float:
    distinct = sorted(set(times))
    if len(distinct) > 1:
        raise Refused(
            f"Lights {which} is marked more than once.",
            file=file,
            field=f"lights {which}",
            found=", ".join(f"{t:g} s" for t in distinct),
            expected="one time",
            mend="keep the one of the main sleep period",
        )
    return distinct[0] if distinct else math.nan
