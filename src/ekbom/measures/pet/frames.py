"""Frames of a dynamic scan: when each value was measured, and how it decayed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ekbom.errors import Refused

Array = NDArray[np.float64]

#: Frame edges closer than this (min) are one edge: seconds / 60 do not meet exactly.
EDGE_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Frames:
    """Frames of a scan, in minutes from injection.

    Parameters
    ----------
    start, end : (F,) array
        Frame edges in minutes from injection, in order. Gaps are allowed.
    half_life : float
        Of the nuclide, min; ``inf`` for none.
    decay_ref : float
        Time (min from injection) to which decay-corrected values were corrected.
    decay_corrected : bool
        Whether values on these frames are decay-corrected.

    Raises
    ------
    Refused
        When an edge is missing or negative, a frame does not end after it
        starts, frames overlap or are not in order, or the half-life is not positive.

    Examples
    --------
    >>> frames = Frames([0, 1, 3], [1, 2, 8], half_life=20.364)
    >>> frames.mid.tolist(), frames.gaps
    ([0.5, 1.5, 5.5], ((2.0, 3.0),))
    """

    start: Array
    end: Array
    half_life: float
    decay_ref: float = 0.0
    decay_corrected: bool = True

    def __post_init__(self) -> None:
        start = np.array(self.start, dtype=np.float64)
        end = np.array(self.end, dtype=np.float64)
        if start.ndim != 1 or start.shape != end.shape or start.size == 0:
            raise Refused(
                "Frames need one start and one end each.",
                field="frames",
                found=f"shapes {start.shape} and {end.shape}",
                expected="two lists of the same length",
            )
        if not (np.isfinite(start).all() and np.isfinite(end).all()):
            raise Refused("A frame time is missing.", field="frames", expected="numbers, min")
        if start[0] < 0:
            raise Refused(
                "The first frame starts before injection.",
                field="frames",
                found=f"{start[0]:g} min",
                expected="minutes from injection",
                mend="cut the frame at injection",
            )
        _refuse_first(
            end <= start, start, end, "A frame does not end after it starts.", "end > start"
        )
        touching = np.abs(start[1:] - end[:-1]) <= EDGE_TOLERANCE
        end[:-1][touching] = start[1:][touching]
        late = np.concatenate(([False], start[1:] < end[:-1]))
        _refuse_first(
            late,
            start,
            end,
            "Frames overlap or are not in order.",
            "start at or after the last end",
        )
        if not self.half_life > 0:
            raise Refused("The half-life is not positive.", field="half_life", found=self.half_life)
        if not math.isfinite(self.decay_ref):
            raise Refused("The decay reference is not a number.", field="decay_ref")
        start.setflags(write=False)
        end.setflags(write=False)
        object.__setattr__(self, "start", start)
        object.__setattr__(self, "end", end)

    @classmethod
    def without_empty(
        cls,
        start: ArrayLike,
        end: ArrayLike,
        half_life: float,
        decay_ref: float = 0.0,
        decay_corrected: bool = True,
    ) -> tuple[Frames, NDArray[np.bool_], tuple[str, ...]]:
        """Drop frames of no length, and say so.

        Parameters
        ----------
        start, end : (F0,) array
            Minutes from injection, zero-length frames among them.
        half_life, decay_ref, decay_corrected
            As of the class.

        Returns
        -------
        frames : Frames
            Of the F frames that last.
        keep : (F0,) bool array
            Which frames (columns of a table) those are.
        notes : tuple of str
            One sentence when any was dropped.
        """
        s, e = np.asarray(start, dtype=np.float64), np.asarray(end, dtype=np.float64)
        keep = s != e
        dropped = int((~keep).sum())
        notes = (f"{dropped} frame(s) of no length dropped",) if dropped else ()
        return cls(s[keep], e[keep], half_life, decay_ref, decay_corrected), keep, notes

    @classmethod
    def of_runs(cls, runs: Sequence[Sequence[float]], half_life: float) -> Frames:
        """Make a schedule without gaps from (number, seconds) pairs.

        Parameters
        ----------
        runs : sequence of (int, float)
            ``[(6, 10), (3, 20)]`` is six frames of 10 s, then three of 20 s.
        half_life : float
            Minutes.

        Returns
        -------
        Frames
            From injection on.
        """
        seconds = np.concatenate([np.full(int(n), float(s)) for n, s in runs])
        edges = np.concatenate(([0.0], np.cumsum(seconds))) / 60.0
        return cls(edges[:-1], edges[1:], half_life)

    @property
    def n(self) -> int:
        """Number of frames F."""
        return int(self.start.size)

    @cached_property
    def mid(self) -> Array:
        """Middle of each frame, min: for figures, never for a model."""
        return (self.start + self.end) / 2

    @cached_property
    def duration(self) -> Array:
        """Length of each frame, min."""
        return self.end - self.start

    @property
    def decay_lambda(self) -> float:
        """Decay constant, 1/min (0 when the half-life is infinite)."""
        return math.log(2.0) / self.half_life

    @cached_property
    def gaps(self) -> tuple[tuple[float, float], ...]:
        """Times without data, (from, to) in min: before the first frame and between frames."""
        last = np.concatenate(([0.0], self.end[:-1]))
        return tuple(
            (float(a), float(b))
            for a, b in zip(last, self.start, strict=True)
            if b - a > EDGE_TOLERANCE
        )

    @cached_property
    def decay_factor(self) -> Array:
        """Factor that corrects the mean of each whole frame for decay to injection, (F,)."""
        x = self.decay_lambda * self.duration
        ratio = np.where(x > 0, x / -np.expm1(-np.where(x > 0, x, 1.0)), 1.0)
        return np.asarray(np.exp(self.decay_lambda * self.start) * ratio, dtype=np.float64)

    def to_injection(self, values: ArrayLike) -> Array:
        """Return values decay-corrected to injection.

        Parameters
        ----------
        values : (..., F) array
            Frame means as these frames say they are: corrected to
            ``decay_ref``, or not corrected.

        Returns
        -------
        (..., F) array
        """
        out = np.asarray(values, dtype=np.float64)
        if not self.decay_corrected:
            return np.asarray(out * self.decay_factor)
        if self.decay_ref == 0:
            return out
        return np.asarray(out * math.exp(self.decay_lambda * self.decay_ref))


def _refuse_first(
    bad: NDArray[np.bool_], start: Array, end: Array, what: str, expected: str
) -> None:
    if bad.any():
        i = int(np.argmax(bad))
        raise Refused(
            what,
            field=f"frame {i + 1}",
            found=f"{start[i]:g} to {end[i]:g} min"
            + (f" after one that ends at {end[i - 1]:g}" if i else ""),
            expected=expected,
        )
