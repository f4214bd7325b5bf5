"""Which relabellings of a design are distinct, and which of them are used.

Rows whose design is the same cannot be told apart, so a relabelling is an
arrangement of classes of rows: with 15 patients and 12 controls there are
C(27, 12) of them, with six pairs 2 to the sixth.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ekbom.errors import Refused

ENUMERATE = 20_000
"""Up to this many distinct relabellings are all used, whatever was asked for."""


@dataclass(frozen=True)
class PermutationPlan:
    """Relabellings to be used; the first is the identity.

    Parameters
    ----------
    mode : {"exchange", "flip", "both"}
        Rows of the design change places, outcomes change sign, or both together.
    rows : (N, m) int32 or None
        The design row that stands at each place; ``None`` for ``"flip"``.
    signs : (N, m) int8 or None
        ``None`` for ``"exchange"``.
    possible : int
        Number of distinct relabellings.
    exhaustive : bool
        Whether ``N == possible``.
    seed : int or None
        ``None`` when exhaustive: nothing was drawn.
    enough : int or None
        Drawing was to stop when the largest statistic was reached so often
        (Besag & Clifford 1991); ``None``: a fixed number was drawn.
    how : {"within", "whole", "both"}
        Inside blocks, whole blocks, or both.
    """

    mode: Literal["exchange", "flip", "both"]
    rows: NDArray[np.int32] | None
    signs: NDArray[np.int8] | None
    possible: int
    exhaustive: bool
    seed: int | None
    enough: int | None = None
    how: Literal["within", "whole", "both"] = "within"

    def first(self, n: int, enough: int) -> PermutationPlan:
        """Return the first relabellings of a plan that stopped by a rule."""
        rows = None if self.rows is None else self.rows[:n]
        signs = None if self.signs is None else self.signs[:n]
        return replace(self, rows=rows, signs=signs, enough=enough)

    @property
    def n(self) -> int:
        """Number of relabellings, the identity counted."""
        table = self.rows if self.rows is not None else self.signs
        return 0 if table is None else len(table)


def exchange(
    x: NDArray[np.float64],
    blocks: NDArray[np.intp] | None,
    permutations: int,
    seed: int,
) -> PermutationPlan:
    """Plan the exchange of rows, within blocks when there are any.

    Parameters
    ----------
    x : (m, p) float64
        Design rows, tested and nuisance columns: equal rows are one class.
    blocks : (m,) int or None
        Rows are exchanged only inside a block.
    permutations : int
        How many to draw when there are more than this and more than 20,000.
    seed : int
        Seed of the draw.

    Returns
    -------
    PermutationPlan
        Identity first; no relabelling twice.
    """
    m = len(x)
    label = np.zeros(m, int) if blocks is None else np.asarray(blocks)
    members = [np.flatnonzero(label == b) for b in np.unique(label)]
    classes = classes_of(x)
    possible = math.prod(arrangements(classes[rows]) for rows in members)
    if possible < 2:
        raise Refused(
            "There is nothing to exchange: every relabelling is the same as the data.",
            field="inference",
            found=f"{m} rows in {len(members)} blocks",
            expected="rows of different kinds inside a block",
            mend='use method = "parametric", or other blocks',
        )
    place = {int(c): [int(i) for i in np.flatnonzero(classes == c)] for c in set(classes.tolist())}
    representative = np.array([place[int(c)][0] for c in classes])
    identity = representative.astype(np.int32)
    if possible <= max(permutations, ENUMERATE):
        every = np.array(list(_all(representative, members)), dtype=np.int32)
        first = int(np.flatnonzero((every == identity).all(axis=1))[0])
        every[[0, first]] = every[[first, 0]]
        return PermutationPlan("exchange", every, None, possible, True, None)
    drawn = _draw(identity, members, permutations, seed)
    return PermutationPlan("exchange", drawn, None, possible, False, seed)


def flip(m: int, blocks: NDArray[np.intp] | None, permutations: int, seed: int) -> PermutationPlan:
    """Plan changes of sign, whole blocks together when there are any.

    Parameters
    ----------
    m : int
        Rows.
    blocks : (m,) int or None
        Rows of a block change sign together.
    permutations, seed : int
        As in :func:`exchange`.

    Returns
    -------
    PermutationPlan
        Identity first; no relabelling twice.
    """
    label = np.arange(m) if blocks is None else np.unique(blocks, return_inverse=True)[1]
    k = int(label.max()) + 1
    possible = 2**k
    if possible <= max(permutations, ENUMERATE):
        codes = np.arange(possible, dtype=np.int64)[:, None] >> np.arange(k) & 1
        signs = (1 - 2 * codes).astype(np.int8)[:, label]
        return PermutationPlan("flip", None, signs, possible, True, None)
    rng = np.random.default_rng(seed)
    seen = {np.ones(k, np.int8).tobytes()}
    kept = [np.ones(k, np.int8)]
    while len(kept) < permutations:
        row = (1 - 2 * rng.integers(0, 2, k)).astype(np.int8)
        if row.tobytes() not in seen:
            seen.add(row.tobytes())
            kept.append(row)
    return PermutationPlan("flip", None, np.array(kept)[:, label], possible, False, seed)


def classes_of(x: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return a number for each row; equal rows have the same."""
    scale = np.maximum(np.abs(x).max(axis=0), 1e-300)
    return np.unique(np.round(x / scale, 10), axis=0, return_inverse=True)[1].ravel()


def arrangements(classes: NDArray[np.intp]) -> int:
    """Return the number of distinct orders of a list of classes."""
    counts = np.bincount(classes)
    return math.factorial(len(classes)) // math.prod(math.factorial(int(c)) for c in counts)


def _all(
    representative: NDArray[np.intp], members: Sequence[NDArray[np.intp]]
) -> Iterator[NDArray[np.intp]]:
    inside = [list(orders(sorted(representative[rows].tolist()))) for rows in members]
    for picked in itertools.product(*inside):
        out = representative.copy()
        for rows, arrangement in zip(members, picked, strict=True):
            out[rows] = arrangement
        yield out


def orders(items: list[int]) -> Iterator[tuple[int, ...]]:
    """Yield all distinct orders of a sorted list (Knuth, TAOCP 7.2.1.2, algorithm L)."""
    a = list(items)
    while True:
        yield tuple(a)
        j = len(a) - 2
        while j >= 0 and a[j] >= a[j + 1]:
            j -= 1
        if j < 0:
            return
        k = len(a) - 1
        while a[j] >= a[k]:
            k -= 1
        a[j], a[k] = a[k], a[j]
        a[j + 1 :] = a[j + 1 :][::-1]


def _draw(
    identity: NDArray[np.int32], members: Sequence[NDArray[np.intp]], permutations: int, seed: int
) -> NDArray[np.int32]:
    rng = np.random.default_rng(seed)
    out = np.empty((permutations, len(identity)), np.int32)
    out[0] = identity
    seen = {identity.tobytes()}
    filled = 1
    while filled < permutations:
        row = identity.copy()
        for rows in members:
            row[rows] = identity[rng.permutation(rows)]
        key = row.tobytes()
        if key not in seen:
            seen.add(key)
            out[filled] = row
            filled += 1
    return out
