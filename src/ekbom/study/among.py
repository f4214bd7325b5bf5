"""The expression that says which scans a question is about.

Python's syntax, a handful of its operators, and names of the study; parsed, never
executed: ``group == 'rls' and age < 70``, ``session in ['test', 'retest']``.
"""

from __future__ import annotations

import ast
import itertools
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ekbom.errors import Refused
from ekbom.study.words import choices, did_you_mean

_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda value, among: value in among,
    ast.NotIn: lambda value, among: value not in among,
}


class Missing(Exception):
    """A name the expression needs has no value in this row.

    Parameters
    ----------
    name : str
        The name.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name)


class Among:
    """A parsed expression.

    Parameters
    ----------
    text : str
        The expression.

    Raises
    ------
    Refused
        It does not parse, or holds anything but comparisons of names and
        literals joined by ``and``, ``or``, ``not``.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self._tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError) as no:
            hint = "use == to compare" if _single_equals(text) else "check quotes and brackets"
            raise self._no("is not an expression", str(no).partition(" (")[0], hint) from None
        self._names: list[str] = []
        self._check(self._tree)

    @property
    def names(self) -> list[str]:
        """Names used, in order, dotted ones whole."""
        return list(dict.fromkeys(self._names))

    def check(self, columns: Mapping[str, Sequence[Any]]) -> None:
        """Refuse comparisons that can never be meant.

        Parameters
        ----------
        columns : mapping of str to sequence
            All values of each name, None where missing.

        Raises
        ------
        Refused
            A number compared with text, or a word that the column never holds.
        """
        for node in ast.walk(self._tree):
            if not isinstance(node, ast.Compare):
                continue
            sides = [node.left, *node.comparators]
            for one, other in itertools.pairwise(sides):
                for named, literal in ((one, other), (other, one)):
                    name = _dotted(named)
                    if name is not None and _dotted(literal) is None:
                        self._check_literal(name, literal, columns[name])

    def __call__(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row is among them.

        Parameters
        ----------
        row : mapping of str to object
            Value of each name, None when missing.

        Returns
        -------
        bool
            The value of the expression.

        Raises
        ------
        Missing
            A value is needed and missing.
        """
        return bool(self._value(self._tree, row))

    def _value(self, node: ast.expr, row: Mapping[str, Any]) -> Any:
        if isinstance(node, ast.BoolOp):
            wanted = isinstance(node.op, ast.Or)
            for part in node.values:
                if bool(self._value(part, row)) is wanted:
                    return wanted
            return not wanted
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return not self._value(node.operand, row)
        if isinstance(node, ast.Compare):
            left = self._value(node.left, row)
            for op, right_node in zip(node.ops, node.comparators, strict=True):
                right = self._value(right_node, row)
                if not _COMPARE[type(op)](left, right):
                    return False
                left = right
            return True
        name = _dotted(node)
        if name is not None:
            if row[name] is None:
                raise Missing(name)
            return row[name]
        return ast.literal_eval(node)

    def _check(self, node: ast.expr) -> None:
        if isinstance(node, ast.BoolOp):
            for part in node.values:
                self._check(part)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            self._check(node.operand)
        elif isinstance(node, ast.Compare) and all(type(op) in _COMPARE for op in node.ops):
            for part in (node.left, *node.comparators):
                self._check_side(part)
        else:
            raise self._no("holds something that is not a comparison", ast.unparse(node))

    def _check_side(self, node: ast.expr) -> None:
        name = _dotted(node)
        if name is not None:
            self._names.append(name)
            return
        try:
            value = ast.literal_eval(node)
        except ValueError:
            raise self._no("holds something that is not known", ast.unparse(node)) from None
        items = value if isinstance(value, (list, tuple, set)) else [value]
        if not all(isinstance(item, (str, int, float)) for item in items):
            raise self._no("holds something that is not known", ast.unparse(node))

    def _check_literal(self, name: str, literal: ast.expr, values: Sequence[Any]) -> None:
        value = ast.literal_eval(literal)
        present = [v for v in values if v is not None]
        if not present:
            return
        text = isinstance(present[0], str)
        for item in value if isinstance(value, (list, tuple, set)) else [value]:
            if isinstance(item, str) is not text:
                raise self._no(
                    f"compares {name}, which holds {'text' if text else 'numbers'}",
                    repr(item),
                    f"write {item!r} in quotes" if text else "write the number without quotes",
                )
            if text and item not in present:
                levels = sorted(set(present))
                raise Refused(
                    f"the expression asks for a {name} that nobody has",
                    field="among",
                    found=repr(item),
                    expected=choices(repr(level) for level in levels),
                    mend=did_you_mean(item, levels) or "use one of the values",
                )

    def _no(self, what: str, found: str, mend: str | None = None) -> Refused:
        return Refused(
            f"the expression in among {what}",
            field="among",
            found=f"{found} in {self.text!r}" if found not in self.text else found,
            expected="comparisons (== != < <= > >= in, not in) joined by and, or, not",
            mend=mend or "write it like \"group == 'rls' and age < 70\"",
        )


def _dotted(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        head = _dotted(node.value)
        return None if head is None else f"{head}.{node.attr}"
    return None


def _single_equals(text: str) -> bool:
    bare = text.replace("==", "").replace("!=", "").replace("<=", "").replace(">=", "")
    return "=" in bare
