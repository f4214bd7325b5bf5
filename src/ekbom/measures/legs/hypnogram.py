"""The hypnogram: stage at a time, hours of a stage, sleep onset, efficiency."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ekbom.errors import Refused
from ekbom.measures.legs.events import TOLERANCE, Array, Bools, Ints, overlap, union

#: Codes of the stages.
UNKNOWN_STAGE, W, N1, N2, N3, R = -1, 0, 1, 2, 3, 4
STAGE_WORDS: Mapping[int, str] = {-1: "?", 0: "W", 1: "N1", 2: "N2", 3: "N3", 4: "R"}

#: Groups of stages in which movements are counted.
GROUPS: Mapping[str, tuple[int, ...]] = {
    "sleep": (N1, N2, N3, R),
    "wake": (W,),
    "NREM": (N1, N2, N3),
    "REM": (R,),
    "N1": (N1,),
    "N2": (N2,),
    "N3": (N3,),
    "night": (W, N1, N2, N3, R),
}


#: Which codes from -1 on belong to each group.
_IN_GROUP = {g: np.isin(list(STAGE_WORDS), codes) for g, codes in GROUPS.items()}


def in_group(stage: Ints, group: str) -> Bools:
    """Return which stages belong to a group.

    Parameters
    ----------
    stage : array of int
        Codes of this module.
    group : str
        A key of :data:`GROUPS`.

    Returns
    -------
    array of bool
        Of the same shape.
    """
    return np.asarray(_IN_GROUP[group][stage + 1])


@dataclass(frozen=True)
class Hypnogram:
    """Stages of a recording.

    Parameters
    ----------
    onset, duration : (E,) array
        Seconds; epochs of any length, gaps are unknown.
    stage : (E,) array of int
        Codes of this module.
    lights_off, lights_on : float
        Seconds; the whole recording when NaN, which is flagged.
    lost : mapping of str to (K, 2) array
        Spans without a usable signal, by leg.
    flags : tuple of str
        What a reader must know.

    Raises
    ------
    Refused
        Epochs overlap, a stage is not known, lights on before lights off.
    """

    onset: Array
    duration: Array
    stage: Ints
    lights_off: float = math.nan
    lights_on: float = math.nan
    lost: Mapping[str, Array] = field(default_factory=dict)
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        onset = np.asarray(self.onset, np.float64).reshape(-1)
        duration = np.asarray(self.duration, np.float64).reshape(-1)
        stage = np.asarray(self.stage, np.int64).reshape(-1)
        order = np.argsort(onset, kind="stable")
        onset, duration, stage = onset[order], duration[order], stage[order]
        if not (np.isfinite(onset).all() and np.isfinite(duration).all()) or (duration < 0).any():
            raise Refused("An epoch has no time.", field="onset, duration", expected="seconds")
        if not np.isin(stage, list(STAGE_WORDS)).all():
            raise Refused("A stage is not known.", field="stage", expected="codes -1 to 4")
        over = np.flatnonzero(onset[1:] < (onset + duration)[:-1] - TOLERANCE)
        if over.size:
            k = int(over[0])
            raise Refused(
                "Two epochs of the hypnogram overlap.",
                field="onset",
                found=f"{onset[k]:g} + {duration[k]:g} s and {onset[k + 1]:g} s",
                expected="each epoch starts where the one before ends, or later",
                mend="give one scorer's stages only",
            )
        flags = list(self.flags)
        end = float((onset + duration)[-1]) if onset.size else 0.0
        off, on = float(self.lights_off), float(self.lights_on)
        if math.isnan(off):
            off = float(onset[0]) if onset.size else 0.0
            flags.append("lights-off-missing")
        if math.isnan(on):
            on = max(end, off)
            flags.append("lights-on-missing")
        if on < off:
            raise Refused(
                "Lights on comes before lights off.",
                field="lights",
                found=f"off at {off:g} s, on at {on:g} s",
                expected="off, then on",
            )
        for name, value in (
            ("onset", onset),
            ("duration", duration),
            ("stage", stage),
            ("lights_off", off),
            ("lights_on", on),
            ("lost", {k: union(v) for k, v in self.lost.items()}),
            ("flags", tuple(dict.fromkeys(flags))),
        ):
            object.__setattr__(self, name, value)

    @classmethod
    def constant(cls, stage: int, start: float, end: float) -> Hypnogram:
        """Return one long epoch with lights off at its start and on at its end."""
        length = max(end - start, 0.0)
        return cls(np.array([start]), np.array([length]), np.array([stage]), start, start + length)

    @cached_property
    def lost_any(self) -> Array:
        """(K, 2) spans in which at least one leg has no usable signal."""
        spans = [v for v in self.lost.values() if len(v)]
        return union(np.concatenate(spans)) if spans else np.zeros((0, 2))

    def at(self, times: Array) -> Ints:
        """Return the stage at each time; unknown outside all epochs."""
        times = np.asarray(times, np.float64)
        if not self.onset.size:
            return np.full(times.shape, UNKNOWN_STAGE)
        k = np.searchsorted(self.onset, times + TOLERANCE, side="right") - 1
        safe = np.maximum(k, 0)
        known = (k >= 0) & (times + TOLERANCE < (self.onset + self.duration)[safe])
        return np.where(known, self.stage[safe], UNKNOWN_STAGE)

    def seconds(self, group: str, start: float = -math.inf, end: float = math.inf) -> float:
        """Return the seconds of a group of stages in the night, without what was lost.

        Parameters
        ----------
        group : str
            A key of :data:`GROUPS`.
        start, end : float
            Further bounds in seconds; the night lies between lights off and on.

        Returns
        -------
        float
            Seconds.
        """
        low, high = max(start, self.lights_off), min(end, self.lights_on)
        if high <= low or not self.onset.size:
            return 0.0
        mine = in_group(self.stage, group)
        a = np.clip(self.onset[mine], low, high)
        b = np.clip((self.onset + self.duration)[mine], low, high)
        return float(np.sum(b - a - overlap(a, b, self.lost_any)))

    def minutes(self) -> dict[str, float]:
        """Return the measures of sleep itself, in minutes, and its efficiency in percent.

        Returns
        -------
        dict of str to float
            TST, WASO, SOL, N1 ... R, W, unknown, time in bed, SE (NaN without sleep
            or without a night).
        """
        low, high = self.lights_off, self.lights_on
        a = np.clip(self.onset, low, high)
        b = np.clip(self.onset + self.duration, low, high)
        length = b - a
        of = {w: float(length[self.stage == c].sum()) / 60.0 for c, w in STAGE_WORDS.items()}
        bed = (high - low) / 60.0
        asleep = in_group(self.stage, "sleep") & (length > 0)
        tst = float(length[asleep].sum()) / 60.0
        nan = math.nan
        onset = float(a[asleep][0]) if asleep.any() else nan
        waso = nan
        if asleep.any():
            # after sleep onset, to lights on
            waso = float(length[(self.stage == W) & (a >= onset)].sum()) / 60.0
        return {
            "TST": tst,
            "WASO": waso,
            "SOL": (onset - low) / 60.0,
            "N1": of["N1"],
            "N2": of["N2"],
            "N3": of["N3"],
            "R": of["R"],
            "W": of["W"],
            "unknown": max(round(bed - tst - of["W"], 9), 0.0),
            "time_in_bed": bed,
            "SE": 100.0 * tst / bed if bed > 0 else nan,
        }

    def sleep_onset(self) -> float:
        """Return the first second of sleep after lights off, NaN without sleep."""
        a = np.clip(self.onset, self.lights_off, self.lights_on)
        b = np.clip(self.onset + self.duration, self.lights_off, self.lights_on)
        asleep = in_group(self.stage, "sleep") & (b > a)
        return float(a[asleep][0]) if asleep.any() else math.nan

    def sleep_end(self) -> float:
        """Return the last second of sleep before lights on, NaN without sleep."""
        a = np.clip(self.onset, self.lights_off, self.lights_on)
        b = np.clip(self.onset + self.duration, self.lights_off, self.lights_on)
        asleep = in_group(self.stage, "sleep") & (b > a)
        return float(b[asleep][-1]) if asleep.any() else math.nan
