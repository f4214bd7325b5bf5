"""Writer of the compiled model: right-hand side, sparse Jacobian, sparse LU.

The Jacobian is exact (chain rule through the assignments), and its LU factors
are written out entry by entry in a fixed pivot order, as the Kinetic
PreProcessor does for chemistry (Sandu and Sander 2006,
doi:10.5194/acp-6-187-2006). Numba can cache only what lies in a file, so the
result is the module ``solve/_generated.py``.

``rhs`` and ``outputs`` are the model as it reads. The solver uses ``fold`` (parts of
parameters alone, once a person), ``clock`` (parts of time, once for all stages at a
time), ``slopes`` (the rates from these) and ``jacobian`` (with the rates, which share
its assignments); bit for bit the rates of ``rhs``.
"""

from __future__ import annotations

import ast

from ekbom.disease import expr
from ekbom.disease.model import Assign, Model, Param
from ekbom.disease.writers.folding import Folding
from ekbom.disease.writers.lines import assignments, function
from ekbom.disease.writers.sparse import factorise, fill_in, substitute

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
    constants = _constants(model)
    folding = Folding(constants, model.assigns)
    slopes = _slopes(model, folding)
    pattern, columns = _jacobian(model, folding)
    order, fill = fill_in(pattern, len(model.states))
    text = "\n".join(
        [
            _HEAD,
            f"PARAMS = {tuple(p.id for p in model.params)!r}",
            f"DERIVED = {tuple(d.id for d in model.derived)!r}",
            f"STATES = {tuple(s.id for s in model.states)!r}",
            f"OUTPUTS = {tuple(a.id for a in (*model.assigns, *model.readouts))!r}",
            f"N_ENTRIES = {len(pattern)}",
            f"N_FACTORS = {len(fill)}",
            f"N_FOLDED = {len(constants) + len(folding.fixed)}",
            f"N_CLOCK = {len(folding.clock)}",
            "\n",
            *_derive(model),
            *_rhs(model),
            *_outputs(model),
            *_fold(model, folding),
            *_clock(model, folding),
            *slopes,
            *columns,
            *factorise(pattern, order, fill),
            *substitute(order, fill),
        ]
    )
    return text.rstrip("\n") + "\n"


def _constants(model: Model) -> list[str]:
    return [p.id for p in model.params] + [d.id for d in model.derived]


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
    return function("derive", "p", body)


def _rhs(model: Model) -> list[str]:
    rates = [expr.parse(model.rates[s.id]) for s in model.states]
    assigns = _needed(model, rates, model.assigns)
    used = set().union(*(expr.names(x) for x in [*rates, *(a.tree for a in assigns)]))
    body = _unpack(model, used) + [f"{a.id} = {expr.source(a.tree)}" for a in assigns]
    body += [f"dy[{i}] = {expr.source(r)}" for i, r in enumerate(rates)]
    return function("rhs", "t, y, p, dy", body)


def _outputs(model: Model) -> list[str]:
    every = (*model.assigns, *model.readouts)
    used = set().union(*(expr.names(a.tree) for a in every))
    body = _unpack(model, used)
    body += assignments([(a.id, a.tree) for a in every])
    body += [f"out[{i}] = {a.id}" for i, a in enumerate(every)]
    return function("outputs", "t, y, p, out", body)


def _folded(model: Model, folding: Folding, trees: list[ast.expr]) -> list[str]:
    """Lines that read parameters, named parts and states where the trees use them."""
    used = set().union(*(expr.names(x) for x in trees))
    constants = _constants(model)
    lines = [f"{c} = q[{i}]" for i, c in enumerate([*constants, *folding.fixed]) if c in used]
    lines += [f"{c} = z[{i}]" for i, c in enumerate(folding.clock) if c in used]
    return lines + [f"{s.id} = y[{i}]" for i, s in enumerate(model.states) if s.id in used]


def _fold(model: Model, folding: Folding) -> list[str]:
    constants: list[Param | Assign] = [*model.params, *model.derived]
    n = len(constants)
    body = [f"for i in range({n}):", "    q[i] = p[i]"]
    body += [*_unpack(model, set().union(*map(expr.names, folding.fixed.values())))]
    body += assignments([(f"q[{n + i}]", x) for i, x in enumerate(folding.fixed.values())])
    return function("fold", "p, q", body)


def _clock(model: Model, folding: Folding) -> list[str]:
    parts = list(folding.clock.values())
    timed = _needed(model, parts, tuple(folding.timed))
    trees = [*parts, *(a.tree for a in timed)]
    own = {a.id for a in timed}
    body = [x for x in _folded(model, folding, trees) if x.split(" = ")[0] not in own]
    body = [x for x in body if "= z[" not in x]
    body += assignments(
        [*((a.id, a.tree) for a in timed), *((f"z[{i}]", x) for i, x in enumerate(parts))]
    )
    return function("clock", "t, q, z", body)


def _slopes(model: Model, folding: Folding) -> list[str]:
    rates = [expr.parse(model.rates[s.id]) for s in model.states]
    timed = {a.id for a in folding.timed}
    assigns = [a for a in _needed(model, rates, model.assigns) if a.id not in timed]
    inner = [folding(a.tree) for a in assigns]
    outer = [folding(r) for r in rates]
    made = {a.id for a in assigns}
    body = [x for x in _folded(model, folding, [*inner, *outer]) if x.split(" = ")[0] not in made]
    named = [(a.id, x) for a, x in zip(assigns, inner, strict=True)]
    body += assignments([*named, *((f"dy[{i}]", x) for i, x in enumerate(outer))])
    return function("slopes", "z, y, q, dy", body)


def _jacobian(model: Model, folding: Folding) -> tuple[dict[tuple[int, int], int], list[str]]:
    """Entries of the Jacobian, and the function of rates, entries and the time derivative."""
    rates = [expr.parse(model.rates[s.id]) for s in model.states]
    assigns = _needed(model, rates, model.assigns)
    timed = {a.id for a in folding.timed}
    variables = [s.id for s in model.states] + ["t"]
    body: list[tuple[str, ast.expr]] = []
    total: dict[tuple[str, str], ast.expr] = {}
    for a in assigns:
        if a.id not in timed:
            body.append((a.id, folding(a.tree, collect=False)))
        for v in variables:
            d = _total(a.tree, v, total)
            if d is not expr.ZERO:
                name = f"d_{a.id}_{v}"
                body.append((name, folding(d, collect=False)))
                total[a.id, v] = ast.Name(id=name)
    pattern: dict[tuple[int, int], int] = {}
    for i, r in enumerate(rates):
        body.append((f"dy[{i}]", folding(r, collect=False)))
        for j, v in enumerate(variables):
            d = _total(r, v, total)
            if v == "t":
                body.append((f"ft[{i}]", folding(d, collect=False)))
            elif d is not expr.ZERO:
                body.append((f"entry[{len(pattern)}]", folding(d, collect=False)))
                pattern[i, j] = len(pattern)
    made = {name for name, _ in body}
    lines = _folded(model, folding, [x for _, x in body])
    lines = [x for x in lines if x.split(" = ")[0] not in made]
    return pattern, function("jacobian", "t, z, y, q, dy, entry, ft", [*lines, *assignments(body)])


def _total(node: ast.expr, variable: str, total: dict[tuple[str, str], ast.expr]) -> ast.expr:
    result = expr.derivative(node, variable)
    if isinstance(result, ast.Constant) and result.value == 0.0:
        result = expr.ZERO
    for name in sorted(expr.names(node)):
        if (name, variable) in total:
            partial = expr.derivative(node, name)
            result = expr.plus(result, expr.times(partial, total[name, variable]))
    return result
