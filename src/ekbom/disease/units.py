"""Units of the model and the check that every expression agrees in them.

Base units are hour, milligram, micromole and litre; a unit is a factor and
four rational exponents.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from ekbom.disease import expr
from ekbom.errors import Refused

BASES = ("h", "mg", "umol", "L")


@dataclass(frozen=True)
class Unit:
    """A unit: a factor and exponents of hour, milligram, micromole, litre.

    Parameters
    ----------
    exponents : tuple of 4 Fraction
        Of :data:`BASES`.
    factor : float
        Size in base units.
    """

    exponents: tuple[Fraction, ...]
    factor: float = 1.0

    def times(self, other: Unit, power: Fraction = Fraction(1)) -> Unit:
        """Return the product with a power of another unit."""
        pairs = zip(self.exponents, other.exponents, strict=True)
        return Unit(
            tuple(a + power * b for a, b in pairs), self.factor * other.factor ** float(power)
        )


def _base(name: str, factor: float = 1.0) -> Unit:
    return Unit(tuple(Fraction(int(b == name)) for b in BASES), factor)


NONE = _base("")
_ATOMS = {
    "1": NONE,
    "h": _base("h"),
    "s": _base("h", 1 / 3600),
    "ms": _base("h", 1 / 3.6e6),
    "mg": _base("mg"),
    "ug": _base("mg", 1e-3),
    "g": _base("mg", 1e3),
    "umol": _base("umol"),
    "L": _base("L"),
    "dL": _base("L", 0.1),
    "mL": _base("L", 1e-3),
    "uM": _base("umol").times(_base("L"), Fraction(-1)),
}


def unit(text: str) -> Unit:
    """Read a unit such as ``mg/h`` or ``mg/(ug/L)``.

    Parameters
    ----------
    text : str
        Atoms joined by ``*`` and ``/``; brackets allowed.

    Returns
    -------
    Unit
        Its exponents and factor.

    Raises
    ------
    Refused
        On an unknown unit.
    """
    try:
        return _walk(ast.parse(re.sub(r"\b1\b", "_1", text), mode="eval").body)
    except (SyntaxError, KeyError, TypeError):
        raise Refused(
            "The unit is not known.", found=text, expected="of " + " ".join(_ATOMS)
        ) from None


def _walk(node: ast.expr) -> Unit:
    if isinstance(node, ast.Name):
        return _ATOMS[node.id.lstrip("_")]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div):
        sign = Fraction(1 if isinstance(node.op, ast.Mult) else -1)
        return _walk(node.left).times(_walk(node.right), sign)
    raise TypeError(node)


def unit_of(node: ast.expr, known: Mapping[str, Unit]) -> Unit:
    """Return the unit of an expression, refusing one that does not agree.

    Parameters
    ----------
    node : ast.expr
        Tree.
    known : mapping of str to Unit
        Unit of each name.

    Returns
    -------
    Unit
        Unit of the value.

    Raises
    ------
    Refused
        When a sum mixes units, or a function or exponent has one.
    """
    if isinstance(node, ast.Constant):
        return NONE
    if isinstance(node, ast.Name):
        return known[node.id]
    if isinstance(node, ast.UnaryOp):
        return unit_of(node.operand, known)
    if isinstance(node, ast.Call):
        inner = unit_of(node.args[0], known)
        assert isinstance(node.func, ast.Name)
        if node.func.id == "sqrt":
            return NONE.times(inner, Fraction(1, 2))
        _same(inner, NONE, node)
        return NONE
    assert isinstance(node, ast.BinOp)
    left, right = unit_of(node.left, known), unit_of(node.right, known)
    if isinstance(node.op, ast.Add | ast.Sub):
        _same(left, right, node)
        return left
    if isinstance(node.op, ast.Mult):
        return left.times(right)
    if isinstance(node.op, ast.Div):
        return left.times(right, Fraction(-1))
    _same(right, NONE, node)
    if isinstance(node.right, ast.Constant):
        return NONE.times(left, Fraction(node.right.value).limit_denominator(100))  # type: ignore[arg-type]
    _same(left, NONE, node)
    return NONE


def _same(a: Unit, b: Unit, node: ast.expr) -> None:
    close = abs(a.factor - b.factor) <= 1e-9 * abs(b.factor)
    if a.exponents != b.exponents or not close:
        raise Refused(
            "Units do not agree.",
            field=expr.source(node),
            found=words(a),
            expected=words(b),
        )


def words(value: Unit) -> str:
    """Return a unit as text, ``mg h^-1``.

    Parameters
    ----------
    value : Unit
        The unit.

    Returns
    -------
    str
        Text; ``1`` when it has no exponents.
    """
    parts = [f"{b}^{e}" for b, e in zip(BASES, value.exponents, strict=True) if e != 0]
    factor = "" if abs(value.factor - 1) < 1e-12 else f"{value.factor:g} "
    return factor + (" ".join(parts) or "1")
