"""Agreement of two lists of movements: matched one to one by overlap."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ekbom.measures.legs.events import Array, Ints, Marks

#: Least intersection over union of a match.
IOU = 0.2


@dataclass(frozen=True)
class Agreement:
    """How two lists agree.

    Parameters
    ----------
    hits, false, missed : int
    onset_error, offset_error : (H,) array
        Found minus true, s, of the hits.
    """

    hits: int
    false: int
    missed: int
    onset_error: Array
    offset_error: Array

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and sensitivity; NaN when both lists are empty."""
        total = 2 * self.hits + self.false + self.missed
        return 2 * self.hits / total if total else math.nan


def match(found: Marks, true: Marks, iou: float = IOU) -> tuple[Ints, Ints]:
    """Return pairs of movements of the same leg that overlap enough, best overlap first.

    Parameters
    ----------
    found, true : Marks
    iou : float
        Intersection over union must exceed it.

    Returns
    -------
    of_found, of_true : (H,) array of int
    """
    pairs: list[tuple[float, int, int]] = []
    end_f, end_t = found.onset + found.duration, true.onset + true.duration
    longest = float(true.duration.max()) if len(true) else 0.0
    low = np.searchsorted(true.onset, found.onset - longest, side="left")
    high = np.searchsorted(true.onset, end_f, side="right")
    for i in range(len(found)):
        for j in range(int(low[i]), int(high[i])):
            if found.leg[i] != true.leg[j]:
                continue
            both = min(end_f[i], end_t[j]) - max(found.onset[i], true.onset[j])
            if both <= 0:
                continue
            share = both / (found.duration[i] + true.duration[j] - both)
            if share > iou:
                pairs.append((-float(share), i, j))
    used_f: set[int] = set()
    used_t: set[int] = set()
    kept = []
    for _, i, j in sorted(pairs):
        if i not in used_f and j not in used_t:
            used_f.add(i)
            used_t.add(j)
            kept.append((i, j))
    array = np.array(sorted(kept), np.int64).reshape(-1, 2)
    return array[:, 0], array[:, 1]


def agree(found: Marks, true: Marks, iou: float = IOU) -> Agreement:
    """Compare found movements with true ones.

    Parameters
    ----------
    found, true : Marks
    iou : float

    Returns
    -------
    Agreement
        Hits, false, missed, and errors of the times.
    """
    i, j = match(found, true, iou)
    end_f, end_t = found.onset + found.duration, true.onset + true.duration
    return Agreement(
        i.size,
        len(found) - i.size,
        len(true) - i.size,
        found.onset[i] - true.onset[j],
        end_f[i] - end_t[j],
    )
