"""The expression language of the model: ``+ - * / ^``, five functions, names, numbers.

No conditions and no rounding: clocks are cosines, doses are events, and
saturation is smooth, so that every solver and every exporter can follow.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

from ekbom.errors import Refused

#: Functions an expression may call, each of one argument.
FUNCTIONS = ("exp", "log", "sqrt", "cos", "tanh")

#: How each operator is written in Python.
OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Pow: "**",
}
ZERO, ONE = ast.Constant(0.0), ast.Constant(1.0)


def parse(text: str) -> ast.expr:
    """Read an expression.

    Parameters
    ----------
    text : str
        For example ``"k*x^2/(1 + x)"``.

    Returns
    -------
    ast.expr
        Its tree, of names, numbers, operators and calls only.

    Raises
    ------
    Refused
        When it is not an expression of the language.
    """
    try:
        tree = ast.parse(text.replace("^", "**"), mode="eval").body
    except SyntaxError as no:
        raise Refused("The expression cannot be read.", found=text, expected=str(no)) from None
    _check(tree, text)
    return tree


def _check(node: ast.expr, text: str) -> None:
    if isinstance(node, ast.Constant):
        ok = isinstance(node.value, int | float) and not isinstance(node.value, bool)
    elif isinstance(node, ast.Name):
        ok = True
    elif isinstance(node, ast.UnaryOp):
        ok = isinstance(node.op, ast.USub)
        _check(node.operand, text)
    elif isinstance(node, ast.BinOp):
        ok = type(node.op) in OPERATORS
        _check(node.left, text)
        _check(node.right, text)
    elif isinstance(node, ast.Call):
        ok = (
            isinstance(node.func, ast.Name)
            and node.func.id in FUNCTIONS
            and len(node.args) == 1
            and not node.keywords
        )
        if ok:
            _check(node.args[0], text)
    else:
        ok = False
    if not ok:
        raise Refused(
            "The expression holds something the language does not have.",
            found=text,
            expected="+ - * / ^, names, numbers, " + ", ".join(FUNCTIONS),
        )


def names(node: ast.expr) -> set[str]:
    """Return the names an expression uses, functions aside.

    Parameters
    ----------
    node : ast.expr
        Tree of :func:`parse`.

    Returns
    -------
    set of str
        Names.
    """
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and n.id not in FUNCTIONS}


def source(node: ast.expr, prefix: str = "") -> str:
    """Return Python source of an expression.

    Parameters
    ----------
    node : ast.expr
        Tree.
    prefix : str
        Before function names, such as ``"math."``.

    Returns
    -------
    str
        Source, fully bracketed.
    """
    if isinstance(node, ast.Constant):
        return repr(float(node.value))  # type: ignore[arg-type]
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.UnaryOp):
        return f"(-{source(node.operand, prefix)})"
    if isinstance(node, ast.BinOp):
        if isinstance(node.op, ast.Pow) and isinstance(node.right, ast.Constant):
            power = float(node.right.value)  # type: ignore[arg-type]
            if power in (2.0, 3.0, 4.0):  # products are faster and exact
                left = source(node.left, prefix)
                return "(" + "*".join([left] * int(power)) + ")"
        operator = OPERATORS[type(node.op)]
        return f"({source(node.left, prefix)} {operator} {source(node.right, prefix)})"
    assert isinstance(node, ast.Call)
    assert isinstance(node.func, ast.Name)
    return f"{prefix}{node.func.id}({source(node.args[0], prefix)})"


def derivative(node: ast.expr, name: str) -> ast.expr:
    """Return the partial derivative of an expression by one name.

    Parameters
    ----------
    node : ast.expr
        Tree.
    name : str
        The variable; all other names are constants.

    Returns
    -------
    ast.expr
        Tree of the derivative, with zeros and ones removed.
    """
    if isinstance(node, ast.Constant):
        return ZERO
    if isinstance(node, ast.Name):
        return ONE if node.id == name else ZERO
    if isinstance(node, ast.UnaryOp):
        return minus(ZERO, derivative(node.operand, name))
    if isinstance(node, ast.Call):
        inner = node.args[0]
        return times(_outer(node), derivative(inner, name))
    assert isinstance(node, ast.BinOp)
    a, b = node.left, node.right
    da, db = derivative(a, name), derivative(b, name)
    if isinstance(node.op, ast.Add):
        return plus(da, db)
    if isinstance(node.op, ast.Sub):
        return minus(da, db)
    if isinstance(node.op, ast.Mult):
        return plus(times(da, b), times(a, db))
    if isinstance(node.op, ast.Div):
        return over(minus(da, times(over(a, b), db)), b)
    if _is(db, 0.0):
        return times(times(b, power(a, minus(b, ONE))), da)
    grow = times(_call("log", a), db)
    return times(node, plus(grow, over(times(b, da), a)))


def _outer(node: ast.Call) -> ast.expr:
    assert isinstance(node.func, ast.Name)
    x = node.args[0]
    if node.func.id == "exp":
        return node
    if node.func.id == "log":
        return over(ONE, x)
    if node.func.id == "sqrt":
        return over(ast.Constant(0.5), node)
    if node.func.id == "cos":  # -sin(x), as the cosine a quarter turn later
        return _call("cos", plus(x, ast.Constant(1.5707963267948966)))
    return minus(ONE, power(node, ast.Constant(2.0)))


def _call(function: str, x: ast.expr) -> ast.expr:
    return ast.Call(func=ast.Name(id=function), args=[x], keywords=[])


def _is(node: ast.expr, value: float) -> bool:
    return isinstance(node, ast.Constant) and node.value == value


def _both(a: ast.expr, b: ast.expr) -> tuple[float, float] | None:
    if isinstance(a, ast.Constant) and isinstance(b, ast.Constant):
        return float(a.value), float(b.value)  # type: ignore[arg-type]
    return None


def plus(a: ast.expr, b: ast.expr) -> ast.expr:
    """Return a + b, simplified."""
    if _is(a, 0.0):
        return b
    if _is(b, 0.0):
        return a
    return ast.BinOp(a, ast.Add(), b)


def minus(a: ast.expr, b: ast.expr) -> ast.expr:
    """Return a - b, simplified."""
    if _is(b, 0.0):
        return a
    if (two := _both(a, b)) is not None:
        return ast.Constant(two[0] - two[1])
    if _is(a, 0.0):
        return ast.UnaryOp(ast.USub(), b)
    return ast.BinOp(a, ast.Sub(), b)


def times(a: ast.expr, b: ast.expr) -> ast.expr:
    """Return a * b, simplified."""
    if _is(a, 0.0) or _is(b, 0.0):
        return ZERO
    if _is(a, 1.0):
        return b
    if _is(b, 1.0):
        return a
    return ast.BinOp(a, ast.Mult(), b)


def over(a: ast.expr, b: ast.expr) -> ast.expr:
    """Return a / b, simplified."""
    if _is(a, 0.0) or _is(b, 1.0):
        return a
    return ast.BinOp(a, ast.Div(), b)


def power(a: ast.expr, b: ast.expr) -> ast.expr:
    """Return a ** b, simplified."""
    if _is(b, 1.0):
        return a
    if _is(b, 0.0):
        return ONE
    return ast.BinOp(a, ast.Pow(), b)


def evaluate(node: ast.expr, values: Mapping[str, float]) -> float:
    """Return the value of an expression by walking its tree, slowly.

    Parameters
    ----------
    node : ast.expr
        Tree.
    values : mapping of str to float
        Value of every name.

    Returns
    -------
    float
        Value.
    """
    import math

    if isinstance(node, ast.Constant):
        return float(node.value)  # type: ignore[arg-type]
    if isinstance(node, ast.Name):
        return float(values[node.id])
    if isinstance(node, ast.UnaryOp):
        return -evaluate(node.operand, values)
    if isinstance(node, ast.BinOp):
        a, b = evaluate(node.left, values), evaluate(node.right, values)
        match node.op:
            case ast.Add():
                return a + b
            case ast.Sub():
                return a - b
            case ast.Mult():
                return a * b
            case ast.Div():
                return a / b
            case _:
                return float(a**b)
    assert isinstance(node, ast.Call)
    assert isinstance(node.func, ast.Name)
    return float(getattr(math, node.func.id)(evaluate(node.args[0], values)))
