"""Words and bits that say what to doubt in a fit."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

#: Each flag with its meaning; the position is its bit in a map of flags.
MEANINGS = {
    "at_lower": "a parameter lies on its lower bound",
    "at_upper": "a parameter lies on its upper bound",
    "k4_small": "the slow rate times the scan is below 0.3: V_T is not determined by the scan",
    "slow_at_edge": "the slowest component lies on the lowest rate: V_T is a lower bound",
    "extrapolated": "more than half of V_T comes from components slower than the scan is long",
    "no_convergence": "the search did not end at a minimum",
    "singular": "the parameters cannot be told apart",
    "cv_high": "the standard error of the main outcome is above 50 % of it",
    "negative_value": "an outcome that cannot be negative is",
    "delay_bound": "the delay lies on its bound or cannot be told",
    "blood_extrapolated": "blood samples end well before the scan",
    "no_data": "the curve holds no signal or a missing value",
    "fast_at_edge": "a component lies on the highest rate: it is like blood, left out of K1",
}

#: CV of the main outcome (per cent) above which ``cv_high`` is set.
CV_HIGH = 50.0
#: Slow rate times scan end below which ``k4_small`` is set.
K4_SMALL = 0.3
#: Share of V_T from rates below 1 / scan end above which ``extrapolated`` is set.
EXTRAPOLATED = 0.5

_BITS = {name: 1 << i for i, name in enumerate(MEANINGS)}


def bits(flags: Iterable[str]) -> int:
    """Return flags as a bit mask.

    Parameters
    ----------
    flags : iterable of str
        ``at_lower_vB`` counts as ``at_lower``.

    Returns
    -------
    int

    Examples
    --------
    >>> bits(["at_upper_vB", "singular"])
    66
    """
    mask = 0
    for flag in flags:
        mask |= _BITS[general(flag)]
    return mask


def words(mask: int) -> tuple[str, ...]:
    """Return the general flags in a bit mask."""
    return tuple(name for name, bit in _BITS.items() if mask & bit)


def general(flag: str) -> str:
    """Return a flag without the parameter it names: ``at_lower_vB`` is ``at_lower``."""
    for stem in ("at_lower", "at_upper"):
        if flag == stem or flag.startswith(stem + "_"):
            return stem
    return flag


class FlagList:
    """Flags of N fits as they are found, in order of :data:`MEANINGS`."""

    def __init__(self, n: int) -> None:
        self._found: list[list[str]] = [[] for _ in range(n)]

    def add(self, flag: str, where: NDArray[np.bool_]) -> None:
        """Give a flag to the fits where ``where`` (N,) is true."""
        for i in np.flatnonzero(where):
            self._found[int(i)].append(flag)

    def tuples(self) -> tuple[tuple[str, ...], ...]:
        """Return the flags of each fit."""
        order = list(MEANINGS)
        return tuple(
            tuple(sorted(row, key=lambda flag: (order.index(general(flag)), flag)))
            for row in self._found
        )
