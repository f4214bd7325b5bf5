"""Leg movements as arrays: marks as given, movements of one leg, movements of both.

Times are float seconds from the start of the recording. Comparisons have a
tolerance of a microsecond, so that 0.5, 10 and 90 s are closed bounds although
a sum of floats is never exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ekbom.errors import Refused

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: Seconds within which two times are the same.
TOLERANCE = 1e-6

#: Words for the legs; a combined channel of both legs is ``n/a``.
LEFT, RIGHT, UNKNOWN, BOTH = 0, 1, 2, 3
LEG_WORDS = ("L", "R", "n/a", "B")


def leg_code(word: str) -> int:
    """Return the code of a leg given as a word (``L``, ``left``, ``R`` ..., ``n/a``).

    Parameters
    ----------
    word : str
        In any case.

    Returns
    -------
    int
        LEFT, RIGHT or UNKNOWN.

    Raises
    ------
    Refused
        For another word.
    """
    known = {"l": LEFT, "left": LEFT, "r": RIGHT, "right": RIGHT, "n/a": UNKNOWN, "": UNKNOWN}
    code = known.get(word.strip().lower())
    if code is None:
        raise Refused("A leg is not known.", field="leg", found=word, expected="L, R or n/a")
    return code


@dataclass(frozen=True)
class Marks:
    """Marks of leg movements, in order of time.

    Parameters
    ----------
    onset, duration : (N,) array
        Seconds; in any order when made, in order of onset afterwards.
    leg : (N,) array of int
        LEFT, RIGHT or UNKNOWN.
    shape_ok : (N,) array of bool, optional
        Whether a detected movement holds 0.5 s of raised median; all true for
        marks of people.

    Raises
    ------
    Refused
        A time that is no number, or a negative duration.
    """

    onset: Array
    duration: Array
    leg: Ints
    shape_ok: Bools | None = None

    def __post_init__(self) -> None:
        onset = np.asarray(self.onset, np.float64).reshape(-1)
        duration = np.asarray(self.duration, np.float64).reshape(-1)
        leg = np.asarray(self.leg, np.int64).reshape(-1)
        if not onset.size == duration.size == leg.size:
            raise Refused(
                "Onsets, durations and legs of the marks differ in number.",
                found=f"{onset.size}, {duration.size}, {leg.size}",
                expected="one of each a mark",
            )
        for name, values in (("onset", onset), ("duration", duration)):
            if not np.isfinite(values).all():
                first = int(np.flatnonzero(~np.isfinite(values))[0])
                raise Refused(
                    "A mark has no time.",
                    field=f"{name}, row {first + 1}",
                    found=values[first],
                    expected="seconds",
                    mend="remove the row, or give its time",
                )
        if (duration < 0).any():
            first = int(np.flatnonzero(duration < 0)[0])
            raise Refused(
                "A mark ends before it starts.",
                field=f"duration, row {first + 1}",
                found=duration[first],
                expected="0 or more seconds",
            )
        shape = np.ones(onset.size, bool) if self.shape_ok is None else np.asarray(self.shape_ok)
        order = np.lexsort((leg, duration, onset))
        for name, array in (
            ("onset", onset[order]),
            ("duration", duration[order]),
            ("leg", leg[order]),
            ("shape_ok", shape.astype(bool)[order]),
        ):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return int(self.onset.size)

    @classmethod
    def of(
        cls, onset: Sequence[float], duration: float | Sequence[float] = 1.0, leg: object = "L"
    ) -> Marks:
        """Return marks from plain lists; one duration or leg may stand for all.

        Parameters
        ----------
        onset : sequence of float
            Seconds.
        duration : float or sequence of float
            Seconds.
        leg : str or sequence of str
            ``L``, ``R`` or ``n/a``.

        Returns
        -------
        Marks
            In order of time.
        """
        n = len(onset)
        words = [leg] * n if isinstance(leg, str) else list(leg)  # type: ignore[call-overload]
        lengths = np.broadcast_to(np.asarray(duration, np.float64), (n,))
        return cls(np.asarray(onset, np.float64), lengths, np.array([leg_code(w) for w in words]))


@dataclass(frozen=True)
class Spans:
    """Events that movements are held against: respiratory events or arousals.

    Parameters
    ----------
    onset, end : (K,) array
        Seconds; sorted by onset when made.
    kind : sequence of str
        ``apnoea``, ``hypopnoea``, ``rera``, ``arousal`` ... one an event.
    """

    onset: Array = field(default_factory=lambda: np.zeros(0))
    end: Array = field(default_factory=lambda: np.zeros(0))
    kind: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        onset = np.asarray(self.onset, np.float64).reshape(-1)
        end = np.asarray(self.end, np.float64).reshape(-1)
        kind = tuple(self.kind) or ("event",) * onset.size
        if not onset.size == end.size == len(kind):
            raise Refused("Onsets, ends and kinds of events differ in number.")
        if not (np.isfinite(onset).all() and np.isfinite(end).all()) or (end < onset).any():
            raise Refused(
                "An event has no time, or ends before it starts.",
                expected="finite seconds, end at or after onset",
            )
        order = np.lexsort((end, onset))
        object.__setattr__(self, "onset", onset[order])
        object.__setattr__(self, "end", end[order])
        object.__setattr__(self, "kind", tuple(kind[i] for i in order))

    def __len__(self) -> int:
        return int(self.onset.size)

    def without(self, kind: str) -> Spans:
        """Return the events of other kinds."""
        keep = [i for i, k in enumerate(self.kind) if k != kind]
        return Spans(self.onset[keep], self.end[keep], tuple(self.kind[i] for i in keep))


def union(spans: Array) -> Array:
    """Return spans joined where they touch.

    Parameters
    ----------
    spans : (K, 2) array
        Start and end, any order.

    Returns
    -------
    (J, 2) array
        Sorted, apart from each other.
    """
    spans = np.asarray(spans, np.float64).reshape(-1, 2)
    spans = spans[spans[:, 1] > spans[:, 0]]
    if not spans.size:
        return spans
    spans = spans[np.argsort(spans[:, 0], kind="stable")]
    reach = np.maximum.accumulate(spans[:, 1])
    new = np.concatenate(([True], spans[1:, 0] > reach[:-1]))
    last = np.concatenate((np.flatnonzero(new)[1:] - 1, [len(spans) - 1]))
    return np.column_stack((spans[new, 0], reach[last]))


def inside(times: Array, spans: Array) -> Bools:
    """Return which times lie in spans that are apart and sorted; the end is outside."""
    if not len(spans):
        return np.zeros(np.shape(times), bool)
    at = np.searchsorted(spans[:, 0], times + TOLERANCE, side="right") - 1
    return np.asarray((at >= 0) & (times + TOLERANCE < spans[np.maximum(at, 0), 1]))


def overlap(start: Array, end: Array, spans: Array) -> Array:
    """Return how many seconds of each interval lie in spans that are apart and sorted."""
    if not len(spans):
        return np.zeros(np.shape(start))
    edges = np.concatenate((spans[:, 0], spans[:, 1]))
    order = np.argsort(edges, kind="stable")
    x = edges[order]
    slope = np.cumsum(np.where(order < len(spans), 1.0, -1.0))
    below = np.concatenate(([0.0], np.cumsum(slope[:-1] * np.diff(x))))
    covered = np.interp(end, x, below) - np.interp(start, x, below)
    return np.asarray(np.maximum(covered, 0.0))
