"""Writer of the compiled model: right-hand side, sparse Jacobian, sparse LU.

The Jacobian is exact (chain rule through the assignments), and its LU factors
are written out entry by entry in a fixed pivot order, as the Kinetic
PreProcessor does for chemistry (Sandu and Sander 2006,
doi:10.5194/acp-6-187-2006). Numba can cache only what lies in a file, so the
result is the module ``solve/_generated.py``.
"""

from __future__ import annotations

import ast

from ekbom.disease import expr
from ekbom.disease.model import Assign, Model, Param

_HEAD = '''"""Written by ``python -m ekbom.disease.writers``: do not edit."""
# ruff: noqa
# fmt: off
# mypy: ignore-errors

from math import cos, exp, log, sqrt, tanh

from numba import njit

'''


def module(model: Model) -> str:
    """Return the source of the compiled model.

    Parameters
    ----------
    model : Model
        Checked model.

    Returns
    -------
    str
        A Python module.
    """
    pattern, columns = _jacobian(model)
    order, fill = _fill(pattern, len(model.states))
    text = "\n".join(
        [
            _HEAD,
            f"PARAMS = {tuple(p.id for p in model.params)!r}",
            f"DERIVED = {tuple(d.id for d in model.derived)!r}",
            f"STATES = {tuple(s.id for s in model.states)!r}",
            f"OUTPUTS = {tuple(a.id for a in (*model.assigns, *model.readouts))!r}",
            f"N_ENTRIES = {len(pattern)}",
            f"N_FACTORS = {len(fill)}",
            "\n",
            *_derive(model),
            *_rhs(model),
            *_outputs(model),
            *columns,
            *_lu(pattern, order, fill),
            *_solve(order, fill),
        ]
    )
    return text.rstrip("\n") + "\n"


def _function(name: str, arguments: str, body: list[str]) -> list[str]:
    lines = [f"    {line}" for line in body] or ["    pass"]
    return ["@njit(cache=True, error_model='numpy')", f"def {name}({arguments}):", *lines, "\n"]


def _unpack(model: Model, used: set[str]) -> list[str]:
    constants: list[Param | Assign] = [*model.params, *model.derived]
    lines = [f"{p.id} = p[{i}]" for i, p in enumerate(constants) if p.id in used]
    return lines + [f"{s.id} = y[{i}]" for i, s in enumerate(model.states) if s.id in used]


def _needed(model: Model, roots: list[ast.expr], assigns: tuple[Assign, ...]) -> list[Assign]:
    """Assignments that the roots need, in order."""
    wanted = set().union(*(expr.names(r) for r in roots))
    kept = []
    for a in reversed(assigns):
        if a.id in wanted:
            kept.append(a)
            wanted |= expr.names(a.tree)
    return kept[::-1]


def _derive(model: Model) -> list[str]:
    n = len(model.params)
    used = set().union(*(expr.names(d.tree) for d in model.derived))
    body = _unpack(model, used)
    for i, d in enumerate(model.derived):
        body += [f"{d.id} = {expr.source(d.tree)}", f"p[{n + i}] = {d.id}"]
    return _function("derive", "p", body)


def _rhs(model: Model) -> list[str]:
    rates = [expr.parse(model.rates[s.id]) for s in model.states]
    assigns = _needed(model, rates, model.assigns)
    used = set().union(*(expr.names(x) for x in [*rates, *(a.tree for a in assigns)]))
    body = _unpack(model, used) + [f"{a.id} = {expr.source(a.tree)}" for a in assigns]
    body += [f"dy[{i}] = {expr.source(r)}" for i, r in enumerate(rates)]
    return _function("rhs", "t, y, p, dy", body)


def _outputs(model: Model) -> list[str]:
    every = (*model.assigns, *model.readouts)
    used = set().union(*(expr.names(a.tree) for a in every))
    body = _unpack(model, used)
    for i, a in enumerate(every):
        body += [f"{a.id} = {expr.source(a.tree)}", f"out[{i}] = {a.id}"]
    return _function("outputs", "t, y, p, out", body)


def _jacobian(model: Model) -> tuple[dict[tuple[int, int], int], list[str]]:
    """Entries of the Jacobian and the function that fills them and the time derivative."""
    rates = [expr.parse(model.rates[s.id]) for s in model.states]
    assigns = _needed(model, rates, model.assigns)
    variables = [s.id for s in model.states] + ["t"]
    used = set().union(*(expr.names(x) for x in [*rates, *(a.tree for a in assigns)]))
    body = _unpack(model, used)
    total: dict[tuple[str, str], ast.expr] = {}
    for a in assigns:
        body.append(f"{a.id} = {expr.source(a.tree)}")
        for v in variables:
            d = _total(a.tree, v, total)
            if d is not expr.ZERO:
                name = f"d_{a.id}_{v}"
                body.append(f"{name} = {expr.source(d)}")
                total[a.id, v] = ast.Name(id=name)
    pattern: dict[tuple[int, int], int] = {}
    for i, r in enumerate(rates):
        for j, v in enumerate(variables):
            d = _total(r, v, total)
            if v == "t":
                body.append(f"ft[{i}] = {expr.source(d)}")
            elif d is not expr.ZERO:
                body.append(f"entry[{len(pattern)}] = {expr.source(d)}")
                pattern[i, j] = len(pattern)
    return pattern, _function("jacobian", "t, y, p, entry, ft", body)


def _total(node: ast.expr, variable: str, total: dict[tuple[str, str], ast.expr]) -> ast.expr:
    result = expr.derivative(node, variable)
    if isinstance(result, ast.Constant) and result.value == 0.0:
        result = expr.ZERO
    for name in sorted(expr.names(node)):
        if (name, variable) in total:
            partial = expr.derivative(node, name)
            result = expr.plus(result, expr.times(partial, total[name, variable]))
    return result


def _fill(
    pattern: dict[tuple[int, int], int], n: int
) -> tuple[list[int], dict[tuple[int, int], int]]:
    """Pivot order of least Markowitz cost on the diagonal, and entries after fill-in."""
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


def _lu(
    pattern: dict[tuple[int, int], int], order: list[int], fill: dict[tuple[int, int], int]
) -> list[str]:
    body = []
    for (r, c), k in fill.items():
        parts = ["shift"] if r == c else []
        if (r, c) in pattern:
            parts.append(f"- entry[{pattern[r, c]}]")
        body.append(f"w[{k}] = {' '.join(parts) or '0.0'}")
    place = {v: i for i, v in enumerate(order)}
    for i, k in enumerate(order):
        rows = [r for r in order[i + 1 :] if (r, k) in fill]
        cols = [c for c in order[i + 1 :] if (k, c) in fill]
        if rows:
            body.append(f"s = 1.0 / w[{fill[k, k]}]")
        for r in rows:
            body.append(f"f = w[{fill[r, k]}] * s")
            body.append(f"w[{fill[r, k]}] = f")
            body += [f"w[{fill[r, c]}] -= f * w[{fill[k, c]}]" for c in cols]
    assert len(place) == len(order)
    return _function("factorise", "entry, shift, w", body)


def _solve(order: list[int], fill: dict[tuple[int, int], int]) -> list[str]:
    body = []
    for i, r in enumerate(order):
        terms = [f"w[{fill[r, k]}] * b[{k}]" for k in order[:i] if (r, k) in fill]
        if terms:
            body.append(f"b[{r}] -= " + " + ".join(terms))
    for i in reversed(range(len(order))):
        r = order[i]
        terms = [f"w[{fill[r, c]}] * b[{c}]" for c in order[i + 1 :] if (r, c) in fill]
        inner = f"b[{r}] - (" + " + ".join(terms) + ")" if terms else f"b[{r}]"
        body.append(f"b[{r}] = ({inner}) / w[{fill[r, r]}]")
    return _function("substitute", "w, b", body)
