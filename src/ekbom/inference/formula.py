"""Formulas: which names they use, and what they mean.

A formula is R-like (``~ group + irls_total * age``), parsed by formulaic.
Names may hold dots (``legs.PLMS_index``). Of functions only a few are known,
so that a plan can never run code.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass

import formulaic.parser.types
import numpy as np
from formulaic import Formula, SimpleFormula
from formulaic.errors import FormulaicError
from numpy.typing import NDArray

from ekbom.errors import Refused

FUNCTIONS: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "sqrt": np.sqrt,
    "square": np.square,
}
PARTICIPANT = "participant"

_DOTTED = re.compile(r"`[^`]*`|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
_DOT = "_DOT_"


@dataclass(frozen=True)
class Factor:
    """One factor of a term: a column, or a function of one.

    ``name`` is how effects call it (``age``, ``log(age)``), ``column`` the
    column it comes from, ``function`` a key of ``FUNCTIONS`` or ``None``;
    ``categorical`` is true for ``C(column)``.
    """

    name: str
    column: str
    function: str | None = None
    categorical: bool = False


@dataclass(frozen=True)
class Parsed:
    """A formula taken apart: ``terms`` hold factors; ``intercept`` says whether it has one."""

    text: str
    terms: tuple[tuple[Factor, ...], ...]
    intercept: bool

    @property
    def factors(self) -> dict[str, Factor]:
        """Factors by name, in the order of the formula."""
        return {factor.name: factor for term in self.terms for factor in term}

    @property
    def names(self) -> list[str]:
        """Columns that the formula needs, in the order of the formula."""
        return list(dict.fromkeys(factor.column for factor in self.factors.values()))


def formula_names(formula: str) -> list[str]:
    """Return the names that a formula uses, so that the caller can look them up.

    Parameters
    ----------
    formula : str
        For example ``"~ irls_total + legs.PLMS_index + log(age)"``.

    Returns
    -------
    list of str
        ``["irls_total", "legs.PLMS_index", "age"]``.

    Raises
    ------
    Refused
        When the formula cannot be read, has a left side, or calls an unknown function.
    """
    return parse(formula).names


def parse(formula: str) -> Parsed:
    """Take a formula apart (see :func:`formula_names` for what is refused)."""
    text = formula.strip()
    if not text:
        raise _refused("The model formula is empty.", formula)
    if "|" in text:
        raise _refused(
            "Random effects are not written with a bar here.",
            formula,
            mend="write `~ session + participant`, or `~ group * session` for repeated scans",
        )
    if not text.startswith("~"):
        if "~" in text:
            raise _refused(
                "A model formula has no left side: the outcome has its own key.",
                formula,
                mend="begin with `~`",
            )
        text = "~ " + text
    safe = _DOTTED.sub(lambda m: m[0] if m[0].startswith("`") else m[0].replace(".", _DOT), text)
    try:
        parsed = Formula(safe)
    except (FormulaicError, SyntaxError, ValueError) as error:
        raise _refused(f"The model formula cannot be read: {_first_line(error)}", formula) from None
    if not isinstance(parsed, SimpleFormula):
        raise _refused("A model formula has one side only.", formula)
    terms: list[tuple[Factor, ...]] = []
    intercept = False
    for term in parsed:
        factors = tuple(_factor(f, formula) for f in term.factors if str(f.expr) != "1")
        if not factors:
            intercept = True
        else:
            terms.append(factors)
    return Parsed(text, tuple(terms), intercept)


def _factor(written: formulaic.parser.types.Factor, formula: str) -> Factor:
    expression = str(written.expr)
    shown = expression.replace(_DOT, ".")
    if written.eval_method == formulaic.parser.types.Factor.EvalMethod.LOOKUP:
        return Factor(shown, shown)
    tree = ast.parse(expression, mode="eval").body
    if (
        isinstance(tree, ast.Call)
        and isinstance(tree.func, ast.Name)
        and len(tree.args) == 1
        and not tree.keywords
        and isinstance(tree.args[0], ast.Name)
    ):
        function, column = tree.func.id, tree.args[0].id.replace(_DOT, ".")
        if function == "C":
            return Factor(column, column, categorical=True)
        if function in FUNCTIONS:
            return Factor(f"{function}({column})", column, function)
    if isinstance(tree, ast.Constant):
        raise _refused(f"The formula holds a number that means nothing: {shown}.", formula)
    raise _refused(
        f"The formula holds something that is not known: {shown}.",
        formula,
        mend=f"use names, + - : *, C(name) and {', '.join(f'{f}(name)' for f in FUNCTIONS)}",
    )


def _first_line(error: BaseException) -> str:
    return re.sub(r"[⧛⧚]|\[[\d;]*m", "", str(error).strip().splitlines()[0]).replace("\x1b", "")


def _refused(what: str, formula: str, mend: str | None = None) -> Refused:
    return Refused(
        what,
        field="model",
        found=formula,
        expected="a formula such as `~ group + age`",
        mend=mend or "correct the formula",
    )
