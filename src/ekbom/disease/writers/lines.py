"""Lines of Python of the compiled model: functions, and assignments with shared parts."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Sequence

from ekbom.disease import expr


def function(name: str, arguments: str, body: list[str]) -> list[str]:
    """Return the lines of a compiled function.

    Parameters
    ----------
    name, arguments : str
        Of the function.
    body : list of str
        Its lines, not indented.

    Returns
    -------
    list of str
        Lines.
    """
    lines = [f"    {line}" for line in body] or ["    pass"]
    return ["@njit(cache=True, error_model='numpy')", f"def {name}({arguments}):", *lines, "\n"]


def assignments(body: Sequence[tuple[str, ast.expr]]) -> list[str]:
    """Return assignments as source; a part that occurs more than once is computed once.

    That changes no bit of a result, and numba types half as many operations.

    Parameters
    ----------
    body : sequence of (str, ast.expr)
        Targets and trees, in order; a target that is a name is assigned once.

    Returns
    -------
    list of str
        Lines.
    """
    count: Counter[str] = Counter()

    def look(node: ast.expr) -> None:
        inner = list(_children(node))
        if inner:
            key = _text(node)
            count[key] += 1
            if count[key] > 1:
                return  # what lies within is counted with the first
        for x in inner:
            look(x)

    for _, tree in body:
        look(tree)
    named: dict[str, str] = {}
    lines: list[str] = []

    def write(node: ast.expr, whole: bool = False) -> str:
        if not any(True for _ in _children(node)):
            return expr.source(node)
        key = _text(node)
        if key in named:
            return named[key]
        text = _text(node, write)
        if count[key] > 1 and not whole:
            named[key] = f"part_{len(named)}"
            lines.append(f"{named[key]} = {text}")
            return named[key]
        return text

    for name, tree in body:
        key = _text(tree)
        text = write(tree, whole=True)
        lines.append(f"{name} = {text}")
        if count[key] > 1 and name.isidentifier():
            named.setdefault(key, name)
    return lines


def _children(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.UnaryOp):
        return [node.operand]
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    return list(node.args) if isinstance(node, ast.Call) else []


def _text(node: ast.expr, inner: Callable[[ast.expr], str] | None = None) -> str:
    """Source of an expression with powers of 0 and 1 short-cut, which are exact and common here."""
    go = inner or _text
    if isinstance(node, ast.UnaryOp):
        return f"(-{go(node.operand)})"
    if isinstance(node, ast.Call):
        assert isinstance(node.func, ast.Name)
        return f"{node.func.id}({go(node.args[0])})"
    if not isinstance(node, ast.BinOp):
        return expr.source(node)
    x, n = go(node.left), go(node.right)
    if not isinstance(node.op, ast.Pow):
        return f"({x} {expr.OPERATORS[type(node.op)]} {n})"
    if isinstance(node.right, ast.Constant) and float(n) in (2.0, 3.0, 4.0):
        return "(" + "*".join([x] * int(float(n))) + ")"
    return f"(1.0 if {n} == 0.0 else {x} if {n} == 1.0 else {x} ** {n})"
