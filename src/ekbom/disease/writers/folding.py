"""Parts of expressions that hold no state, each named so that it is computed once.

A part of parameters alone keeps its value until a parameter changes; a part of
parameters and time alone is shared by stages at the same time. Taking such parts
out changes no bit of a result: the same operations run on the same numbers.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from ekbom.disease import expr
from ekbom.disease.model import Assign


class Folding:
    """Named parts, collected while expressions are rewritten.

    Parameters
    ----------
    constants : iterable of str
        Names of parameters.
    assigns : sequence of Assign
        In order; those of parameters and time alone become parts of the clock.

    Attributes
    ----------
    fixed : dict of str to ast.expr
        Parts of parameters alone, by their new name.
    clock : dict of str to ast.expr
        Parts of parameters and time, by their new name.
    timed : list of Assign
        Assignments of parameters and time alone.
    """

    def __init__(self, constants: Iterable[str], assigns: Iterable[Assign]) -> None:
        self._constants = set(constants)
        self._times = {"t"}
        self.fixed: dict[str, ast.expr] = {}
        self.clock: dict[str, ast.expr] = {}
        self.timed: list[Assign] = []
        self._known: dict[str, str] = {}
        for a in assigns:
            if expr.names(a.tree) <= self._constants | self._times:
                self._times.add(a.id)
                self.timed.append(a)

    def __call__(self, node: ast.expr, *, collect: bool = True) -> ast.expr:
        """Rewrite an expression with its stateless parts named.

        Parameters
        ----------
        node : ast.expr
            Tree.
        collect : bool
            Name new parts of time too; otherwise only those known already, and
            the rest stays in place.

        Returns
        -------
        ast.expr
            Tree of states, parameters and names of parts.
        """
        used = expr.names(node)
        leaf = isinstance(node, ast.Name | ast.Constant)
        if used and used <= self._constants | set(self.fixed):
            return node if leaf else self._name(node, self.fixed, "fixed")
        if used and used <= self._constants | set(self.fixed) | self._times:
            if isinstance(node, ast.Name):
                if node.id != "t":
                    self.clock.setdefault(node.id, node)
                return node
            whole = self._inside(node, collect=False, names=False)
            if collect or ast.dump(whole) in self._known:
                return self._name(whole, self.clock, "timed")
        return self._inside(node, collect)

    def _inside(self, node: ast.expr, collect: bool, names: bool = True) -> ast.expr:
        def go(x: ast.expr) -> ast.expr:
            if names:
                return self(x, collect=collect)
            if expr.names(x) & self._times:
                return self._inside(x, collect, names)
            return self(x, collect=collect)

        if isinstance(node, ast.UnaryOp):
            return ast.UnaryOp(node.op, go(node.operand))
        if isinstance(node, ast.BinOp):
            return ast.BinOp(go(node.left), node.op, go(node.right))
        if isinstance(node, ast.Call):
            return ast.Call(func=node.func, args=[go(node.args[0])], keywords=[])
        return node

    def _name(self, node: ast.expr, parts: dict[str, ast.expr], stem: str) -> ast.Name:
        key = ast.dump(node)
        if key not in self._known:
            name = f"{stem}_{len(parts)}"
            self._known[key] = name
            parts[name] = node
        return ast.Name(id=self._known[key])
