"""Sparse LU factors written out entry by entry in a fixed pivot order."""

from __future__ import annotations

from collections import Counter

from ekbom.disease.writers.lines import function


def fill_in(
    pattern: dict[tuple[int, int], int], n: int
) -> tuple[list[int], dict[tuple[int, int], int]]:
    """Return the pivot order of least Markowitz cost on the diagonal, and all entries.

    Parameters
    ----------
    pattern : dict of (int, int) to int
        Row and column of each entry of the Jacobian, and its place.
    n : int
        Number of states.

    Returns
    -------
    tuple of (list of int, dict of (int, int) to int)
        Order of the pivots; row and column of each entry after fill-in, and its place.
    """
    have = set(pattern) | {(i, i) for i in range(n)}
    left, order = set(range(n)), []
    while left:
        rows = {i: [r for r in left if r != i and (r, i) in have] for i in left}
        cols = {i: [c for c in left if c != i and (i, c) in have] for i in left}
        best = min(sorted(left), key=lambda i: len(rows[i]) * len(cols[i]))
        have |= {(r, c) for r in rows[best] for c in cols[best]}
        order.append(best)
        left.remove(best)
    return order, {rc: k for k, rc in enumerate(sorted(have))}


def factorise(
    pattern: dict[tuple[int, int], int], order: list[int], fill: dict[tuple[int, int], int]
) -> list[str]:
    """Return the function that factorises ``shift I - J``, entry by entry.

    Parameters
    ----------
    pattern : dict of (int, int) to int
        Row and column of each entry of the Jacobian, and its place.
    order, fill
        Of :func:`fill_in`.

    Returns
    -------
    list of str
        Lines.
    """
    body, step = [], Counter[int]()

    def old(r: int, c: int) -> str:
        k = fill[r, c]
        return f"w{k}_{step[k]}"

    def new(r: int, c: int) -> str:  # a name is assigned once, which numba types much faster
        step[fill[r, c]] += 1
        return old(r, c)

    for r, c in fill:
        parts = ["shift"] if r == c else []
        if (r, c) in pattern:
            parts.append(f"- entry[{pattern[r, c]}]")
        body.append(f"{old(r, c)} = {' '.join(parts) or '0.0'}")
    for i, k in enumerate(order):
        rows = [r for r in order[i + 1 :] if (r, k) in fill]
        cols = [c for c in order[i + 1 :] if (k, c) in fill]
        if rows:
            body.append(f"s{k} = 1.0 / {old(k, k)}")
        for r in rows:
            was = old(r, k)
            body.append(f"{new(r, k)} = {was} * s{k}")
            for c in cols:
                was = old(r, c)
                body.append(f"{new(r, c)} = {was} - {old(r, k)} * {old(k, c)}")
    body += [f"w[{k}] = {old(r, c)}" for (r, c), k in fill.items()]
    return function("factorise", "entry, shift, w", body)


def substitute(order: list[int], fill: dict[tuple[int, int], int]) -> list[str]:
    """Return the function that solves with the factors, in place.

    Parameters
    ----------
    order, fill
        Of :func:`fill_in`.

    Returns
    -------
    list of str
        Lines.
    """
    body = []
    for i, r in enumerate(order):
        terms = [f"w[{fill[r, k]}] * b{k}" for k in order[:i] if (r, k) in fill]
        body.append(f"b{r} = b[{r}]" + (f" - ({' + '.join(terms)})" if terms else ""))
    for i in reversed(range(len(order))):
        r = order[i]
        terms = [f"w[{fill[r, c]}] * x{c}" for c in order[i + 1 :] if (r, c) in fill]
        inner = f"(b{r} - ({' + '.join(terms)}))" if terms else f"b{r}"
        body.append(f"x{r} = {inner} / w[{fill[r, r]}]")
    body += [f"b[{r}] = x{r}" for r in order]
    return function("substitute", "w, b", body)
