"""Effects by name: each is a linear function of the means of the cells.

``rls - control`` is the mean of the cells of ``rls`` less that of ``control``,
covariates at their reference; ``age`` is the slope averaged over the cells;
``age[rls]`` that of one level. So no name depends on how factors are coded.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.inference.design import Design, cells
from ekbom.inference.prepare import CONTROL, SESSION

Quantity = Literal["difference", "slope", "mean", "several"]


@dataclass(frozen=True)
class Effect:
    """A named effect as rows of contrasts on the columns of a design.

    Parameters
    ----------
    name : str
        As asked.
    matrix : (r, p) float64
        Contrast rows.
    kind : {"t", "F"}
        One signed number, or several jointly.
    quantity : {"difference", "slope", "mean", "several"}
        What the number is: of two means, per unit of a covariate, a mean.
    meaning : str
        One phrase: ``"mean of rls less mean of control"``.
    baseline : (p,) float64 or None
        Row that gives the mean to which a difference is compared.
    over : str or None
        Factor of a difference, or covariate of a slope.
    levels : tuple of str
        The two levels of a difference, first less second.
    terms : tuple of str
        Terms of the formula that carry it.
    """

    name: str
    matrix: NDArray[np.float64]
    kind: Literal["t", "F"]
    quantity: Quantity
    meaning: str
    baseline: NDArray[np.float64] | None = None
    over: str | None = None
    levels: tuple[str, ...] = ()
    terms: tuple[str, ...] = field(default=())


def effect(design: Design, text: str) -> Effect:
    """Return the effect that a name asks for.

    Parameters
    ----------
    design : Design
        From :func:`~ekbom.inference.design.build_design`.
    text : str
        ``"rls - control"``, ``"group"``, ``"age"``, ``"age[rls]"``,
        ``"group:age"``, ``"session: blocked - baseline"``, ``"intercept"``, or
        several with commas between them (a joint F test).

    Returns
    -------
    Effect
        Named effect.

    Raises
    ------
    Refused
        Unknown name (with the effects that exist), a level that two factors
        share, or an effect that the design cannot estimate.
    """
    asked = text.strip()
    found = _one(design, asked)
    if found is None and "," in asked:
        parts = [p.strip() for p in _split(asked, ",")]
        pieces = [_one(design, p) for p in parts]
        for part, piece in zip(parts, pieces, strict=True):
            if piece is None:
                raise _unknown(design, part)
        whole = [p for p in pieces if p is not None]
        found = Effect(
            asked,
            np.vstack([p.matrix for p in whole]),
            "F",
            "several",
            "any of " + ", ".join(parts),
            terms=tuple(dict.fromkeys(t for p in whole for t in p.terms)),
        )
    if found is None:
        raise _unknown(design, asked)
    _estimable(design, found)
    return found


def effect_names(design: Design) -> list[str]:
    """Return the names of the effects that a design has, most asked first.

    Parameters
    ----------
    design : Design
        From :func:`~ekbom.inference.design.build_design`.

    Returns
    -------
    list of str
        What may be asked for by name.
    """
    names: list[str] = []
    for factor, levels in design.factors.items():
        for b, a in itertools.combinations(_ordered(levels), 2):
            plain = f"{a} - {b}"
            names.append(f"{factor}: {plain}" if _ambiguous(design, a, b, factor) else plain)
        if (factor,) in design.term_factors:
            names.append(factor)
    names.extend(design.covariates)
    for term in design.term_factors:
        if len(term) > 1:
            names.append(":".join(term))
            slopes = [f for f in term if f in design.covariates]
            split = [f for f in term if f in design.factors]
            names += [f"{s}[{level}]" for s in slopes for f in split for level in design.factors[f]]
    if not design.within:
        names.append("intercept")
    return list(dict.fromkeys(names))


def _one(design: Design, text: str) -> Effect | None:
    found = _name(design, text) or _difference(design, text, None)
    if found is not None:
        return found
    conditioned = re.fullmatch(r"(.+?)\s*\[([^\[\]]+)\]", text)
    if conditioned and "[" not in conditioned[1]:
        where = _conditions(design, conditioned[2])
        if where is None:
            return None
        inner = conditioned[1].strip()
        found = _name(design, inner, where) or _difference(design, inner, where)
        if found is None:
            return None
        return _renamed(found, text, f"{found.meaning}, in {conditioned[2].strip()}")
    for left, right in _cuts(text):
        a, b = _one(design, left), _one(design, right)
        if a is not None and b is not None and a.kind == b.kind == "t" and a.quantity == b.quantity:
            return Effect(
                text,
                a.matrix - b.matrix,
                "t",
                a.quantity,
                f"{a.meaning}, less {b.meaning}",
                over=a.over,
                terms=tuple(dict.fromkeys(a.terms + b.terms)),
            )
    return None


def _name(design: Design, text: str, where: dict[str, str] | None = None) -> Effect | None:
    where = where or {}
    if text == "intercept" and (design.intercept or design.factors):
        if design.within:
            return None
        row = _mean(design, where)
        return Effect(text, row[None], "t", "mean", "mean of the cells", terms=design.terms)
    if text in design.covariates:
        row = _slope(design, (text,), where)
        crossed = {f for t in design.term_factors if text in t for f in t if f in design.factors}
        several = bool(crossed - set(where))
        meaning = f"slope on {text}" + (", averaged over the cells" if several else "")
        return Effect(text, row[None], "t", "slope", meaning, over=text, terms=_with(design, text))
    if text in design.factors:
        rows = _differences(design, (text,), where)
        meaning = f"any difference between {', '.join(design.factors[text])}"
        return Effect(
            text,
            rows,
            "F",
            "several",
            meaning,
            over=text,
            terms=_with(design, text),
            levels=design.factors[text],
        )
    parts = tuple(p.strip() for p in text.split(":"))
    for term in design.term_factors:
        if len(term) > 1 and set(term) == set(parts):
            return _interaction(design, text, term, where)
    return None


def _interaction(design: Design, text: str, term: tuple[str, ...], where: dict[str, str]) -> Effect:
    factors = tuple(f for f in term if f in design.factors)
    slopes = tuple(f for f in term if f in design.covariates)
    rows = (
        _differences(design, factors, where, slopes)
        if factors
        else _slope(design, slopes, where)[None]
    )
    what = f"slope on {' by '.join(slopes)}" if slopes else "difference"
    if len(rows) > 1:
        return Effect(text, rows, "F", "several", f"any difference of the {what}", terms=(text,))
    ways = [f"{a} less {b}" for b, a in (_ordered(design.factors[f]) for f in factors)]
    meaning = (
        f"{what}: {' of '.join(ways)}"
        if slopes
        else f"difference of differences: {', '.join(ways)}"
    )
    quantity: Quantity = "slope" if slopes else "difference"
    over = slopes[0] if slopes else None
    return Effect(text, rows, "t", quantity, meaning, over=over, terms=(text,))


def _difference(design: Design, text: str, where: dict[str, str] | None) -> Effect | None:
    named = re.fullmatch(r"([^:]+):\s+(.+)", text)
    only = named[1].strip() if named and named[1].strip() in design.factors else None
    body = named[2] if named and only else text
    for a, b in _cuts(body):
        homes = [
            f
            for f, levels in design.factors.items()
            if a in levels and b in levels and only in (None, f)
        ]
        if not homes:
            continue
        if len(homes) > 1:
            raise Refused(
                f"{a} and {b} are levels of {' and of '.join(homes)}.",
                field="test",
                found=text,
                expected=", ".join(f"{h}: {a} - {b}" for h in homes),
                mend="say which is meant",
            )
        if a == b:
            return None
        home = homes[0]
        there = dict(where or {})
        base = _mean(design, {**there, home: b})
        row = _mean(design, {**there, home: a}) - base
        return Effect(
            text,
            row[None],
            "t",
            "difference",
            f"mean of {a} less mean of {b}",
            baseline=base,
            over=home,
            levels=(a, b),
            terms=_with(design, home),
        )
    return None


def _grid(design: Design, where: dict[str, str]) -> pd.DataFrame:
    grid = cells(design)
    for factor, level in where.items():
        grid = grid[grid[factor] == level]
    return grid.reset_index(drop=True)


def _mean(design: Design, where: dict[str, str]) -> NDArray[np.float64]:
    return np.asarray(design.rows_at(_grid(design, where)).mean(axis=0))


def _slope(
    design: Design, covariates: tuple[str, ...], where: dict[str, str]
) -> NDArray[np.float64]:
    # The model is linear in each covariate, so a step of one is the derivative;
    # for a product of covariates the mixed difference is.
    total = np.zeros(len(design.columns))
    for steps in itertools.product((0, 1), repeat=len(covariates)):
        grid = _grid(design, where)
        for name, step in zip(covariates, steps, strict=True):
            grid[name] = grid[name] + float(step)
        total += (-1.0) ** (len(covariates) - sum(steps)) * design.rows_at(grid).mean(axis=0)
    return total


def _differences(
    design: Design,
    factors: tuple[str, ...],
    where: dict[str, str],
    covariates: tuple[str, ...] = (),
) -> NDArray[np.float64]:
    """Return (r, p): all products of differences from each factor's first level."""
    choices = []
    for factor in factors:
        first, *others = _ordered(design.factors[factor])
        choices.append([(factor, other, first) for other in others])
    rows = []
    for picked in itertools.product(*choices):
        row = np.zeros(len(design.columns))
        for sides in itertools.product((0, 1), repeat=len(picked)):
            here = dict(where)
            for (factor, a, b), side in zip(picked, sides, strict=True):
                here[factor] = b if side else a
            value = _slope(design, covariates, here) if covariates else _mean(design, here)
            row += (-1.0) ** sum(sides) * value
        rows.append(row)
    return np.array(rows)


def _conditions(design: Design, text: str) -> dict[str, str] | None:
    where: dict[str, str] = {}
    for part in (p.strip() for p in text.split(",")):
        named = re.fullmatch(r"([^=]+)=\s*(.+)", part)
        if named and named[1].strip() in design.factors:
            homes, level = [named[1].strip()], named[2].strip()
        else:
            homes, level = [f for f, levels in design.factors.items() if part in levels], part
        if len(homes) != 1 or level not in design.factors[homes[0]]:
            return None
        where[homes[0]] = level
    return where


def _ordered(levels: tuple[str, ...]) -> list[str]:
    """Reference level first: ``control`` or ``baseline`` when there is one, else alphabetical."""
    return sorted(levels, key=lambda v: (v not in (CONTROL, "baseline"), v))


def _with(design: Design, name: str) -> tuple[str, ...]:
    return tuple(t for t, f in zip(design.terms, design.term_factors, strict=True) if name in f)


def _ambiguous(design: Design, a: str, b: str, factor: str) -> bool:
    shared = any(a in levels and b in levels for f, levels in design.factors.items() if f != factor)
    return shared or factor == SESSION


def _cuts(text: str) -> list[tuple[str, str]]:
    places = [m.start() for m in re.finditer(r"\s-\s|\s−\s", text)]
    return [(text[:i].strip(), text[i + 3 :].strip()) for i in places]


def _split(text: str, mark: str) -> list[str]:
    out, depth, start = [], 0, 0
    for i, c in enumerate(text):
        depth += (c in "[(") - (c in "])")
        if c == mark and depth == 0:
            out.append(text[start:i])
            start = i + 1
    return [*out, text[start:]]


def _renamed(found: Effect, name: str, meaning: str) -> Effect:
    return Effect(
        name,
        found.matrix,
        found.kind,
        found.quantity,
        meaning,
        found.baseline,
        found.over,
        found.levels,
        found.terms,
    )


def _unknown(design: Design, text: str) -> Refused:
    names = effect_names(design)
    close = get_close_matches(text, names, n=1, cutoff=0.6)
    return Refused(
        f"The model has no effect named {text!r}.",
        field="test",
        found=text,
        expected=", ".join(names) or "a formula with terms",
        mend=f"did you mean {close[0]!r}?" if close else "use one of the names",
    )


def _estimable(design: Design, asked: Effect) -> None:
    c, x = asked.matrix, design.matrix
    gap = np.abs(c - c @ np.linalg.pinv(x) @ x).max()
    if gap > 1e-8 * max(1.0, np.abs(c).max()) or not np.abs(c).max() > 1e-12:
        raise Refused(
            f"The effect {asked.name!r} cannot be estimated from these rows.",
            field="test",
            found=design.formula,
            expected="cells that hold data",
            mend="remove the interaction, or ask for a level that has rows",
        )
