"""Relabellings of rows that are alike in blocks: families, sites, pairs of twins.

Rows may change places inside their block, whole blocks may change places, or both; signs
may change by row or by block, with or without exchange (Winkler 2015,
10.1016/j.neuroimage.2015.05.092). What is the same design is the same relabelling.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.inference.permute.plan import (
    ENUMERATE,
    PermutationPlan,
    arrangements,
    classes_of,
    orders,
)

How = Literal["within", "whole", "both"]
Errors = Literal["exchangeable", "symmetric", "both"]


@dataclass(frozen=True)
class Choice:
    """A set of relabellings: how many, all of them, one drawn at random."""

    possible: int
    every: Callable[[], Iterator[NDArray[Any]]]
    draw: Callable[[np.random.Generator], NDArray[Any]]


def matched(x: NDArray[np.float64], label: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the rows of each block in an order that is the same for all, (blocks, size).

    Parameters
    ----------
    x : (m, p) float
        Design rows.
    label : (m,) int
        Block of each.

    Raises
    ------
    Refused
        Blocks of different sizes, or whose designs differ inside.
    """
    sizes = np.bincount(label)
    if len(set(sizes.tolist())) != 1:
        raise _unequal(f"blocks of {sizes.min()} to {sizes.max()} rows")
    scale = np.maximum(np.abs(x).max(axis=0), 1e-300)
    rows, patterns = [], []
    for b in range(len(sizes)):
        members = np.flatnonzero(label == b)
        inside = np.round((x[members] - x[members].mean(axis=0)) / scale, 9) + 0.0
        order = np.lexsort(inside.T[::-1])
        rows.append(members[order])
        patterns.append(inside[order])
    worst = max(float(np.abs(p - patterns[0]).max()) for p in patterns)
    if worst > 1e-6:
        raise _unequal("a design that differs inside the blocks")
    return np.array(rows)


def rows_of(x: NDArray[np.float64], label: NDArray[np.intp], how: How) -> Choice:
    """Return the exchanges of rows: inside blocks, of whole blocks, or both."""
    classes = classes_of(x)
    first = {int(c): int(np.flatnonzero(classes == c)[0]) for c in set(classes.tolist())}
    stand = np.array([first[int(c)] for c in classes], np.int32)
    members = [np.flatnonzero(label == b) for b in range(int(label.max()) + 1)]
    if how == "within":
        inner = math.prod(arrangements(classes[rows]) for rows in members)
        return Choice(
            inner, lambda: _inside(stand, members), lambda rng: _shuffled(rng, stand, members)
        )
    rows = matched(x, label)
    held = [classes[r] if how == "whole" else np.sort(classes[r]) for r in rows]
    kinds = np.unique(np.array(held), axis=0, return_inverse=True)[1].ravel()
    outer = arrangements(kinds)
    inner = 1 if how == "whole" else math.prod(arrangements(classes[r]) for r in rows)
    leader = np.array([int(np.flatnonzero(kinds == k)[0]) for k in kinds])

    def placed(order: Any) -> NDArray[np.int32]:
        out = stand.copy()
        for place, block in zip(rows, order, strict=True):
            out[place] = stand[rows[block]]
        return out

    def every() -> Iterator[NDArray[np.int32]]:
        for order in orders(sorted(leader.tolist())):
            moved = placed(order)
            if how == "whole":
                yield moved
            else:
                yield from _inside(moved, list(rows))

    def draw(rng: np.random.Generator) -> NDArray[np.int32]:
        moved = placed(rng.permutation(leader))
        return moved if how == "whole" else _shuffled(rng, moved, list(rows))

    return Choice(outer * inner, every, draw)


def signs_of(label: NDArray[np.intp]) -> Choice:
    """Return the changes of sign of rows that carry the same number together."""
    k = int(label.max()) + 1

    def every() -> Iterator[NDArray[np.int8]]:
        for signs in itertools.product((1, -1), repeat=k):
            yield np.array(signs, np.int8)[label]

    def draw(rng: np.random.Generator) -> NDArray[np.int8]:
        return (1 - 2 * rng.integers(0, 2, k)).astype(np.int8)[label]

    return Choice(2**k, every, draw)


def planned(
    rows: Choice | None, signs: Choice | None, m: int, permutations: int, seed: int, how: How
) -> PermutationPlan:
    """Make a plan of exchanges, changes of sign, or both together.

    Parameters
    ----------
    rows, signs : Choice or None
        What may be done.
    m : int
        Rows of the design.
    permutations, seed : int
        As in :func:`~ekbom.inference.permute.plan.exchange`.
    how : {"within", "whole", "both"}
        What was exchanged, for the words.

    Returns
    -------
    PermutationPlan
        Identity first; no relabelling twice.
    """
    still = Choice(1, lambda: iter([np.arange(0)]), lambda rng: np.arange(0))
    a, b = rows or still, signs or still
    possible = a.possible * b.possible
    if possible < 2:
        raise Refused(
            "There is nothing to exchange: every relabelling is the same as the data.",
            field="inference",
            found=f"{m} rows, exchange = {how!r}",
            expected="blocks or rows of different kinds",
            mend='use another exchange, other blocks, or method = "parametric"',
        )
    exhaustive = possible <= max(permutations, ENUMERATE)
    if exhaustive:
        pairs = list(itertools.product(a.every(), b.every()))
    else:
        rng, seen, pairs = np.random.default_rng(seed), set(), []
        identity = _identity(rows, signs)
        seen.add(identity[0].tobytes() + identity[1].tobytes())
        pairs.append(identity)
        while len(pairs) < permutations:
            one = a.draw(rng), b.draw(rng)
            key = one[0].tobytes() + one[1].tobytes()
            if key not in seen:
                seen.add(key)
                pairs.append(one)
    table = None if rows is None else np.array([p[0] for p in pairs], np.int32)
    flips = None if signs is None else np.array([p[1] for p in pairs], np.int8)
    if exhaustive:
        identity = _identity(rows, signs)
        at = next(
            i for i, p in enumerate(pairs)
            if (p[0] == identity[0]).all() and (p[1] == identity[1]).all()
        )  # fmt: skip
        for part in (table, flips):
            if part is not None:
                part[[0, at]] = part[[at, 0]]
    mode: Any = "exchange" if signs is None else "flip" if rows is None else "both"
    return PermutationPlan(
        mode, table, flips, possible, exhaustive, None if exhaustive else seed, how=how
    )


def _identity(rows: Choice | None, signs: Choice | None) -> tuple[NDArray[Any], NDArray[Any]]:
    """The first of all: rows in the order of ``every`` are found by sorting, so ask for them."""
    left = np.arange(0) if rows is None else rows.draw(_Nothing())  # type: ignore[arg-type]
    right = np.arange(0) if signs is None else signs.draw(_Nothing())  # type: ignore[arg-type]
    return left, right


class _Nothing:
    """A generator that draws what changes nothing."""

    @staticmethod
    def permutation(items: NDArray[Any]) -> NDArray[Any]:
        return items

    @staticmethod
    def integers(low: int, high: int, size: int) -> NDArray[np.int64]:
        return np.zeros(size, np.int64)


def _inside(
    stand: NDArray[np.int32], members: list[NDArray[np.intp]]
) -> Iterator[NDArray[np.int32]]:
    inside = [list(orders(sorted(stand[rows].tolist()))) for rows in members]
    for picked in itertools.product(*inside):
        out = stand.copy()
        for rows, arrangement in zip(members, picked, strict=True):
            out[rows] = arrangement
        yield out


def _shuffled(
    rng: np.random.Generator, stand: NDArray[np.int32], members: list[NDArray[np.intp]]
) -> NDArray[np.int32]:
    out = stand.copy()
    for rows in members:
        out[rows] = stand[rng.permutation(rows)]
    return out


def _unequal(found: str) -> Refused:
    return Refused(
        "Whole blocks can change places only when they are alike.",
        field="inference.exchange",
        found=found,
        expected="blocks of one size with the same design inside, up to what is constant in each",
        mend='use exchange = "within", or errors = "symmetric"',
    )
