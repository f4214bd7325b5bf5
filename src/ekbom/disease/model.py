"""The model as data: read from the block files and checked when read."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib.resources import files
from keyword import iskeyword

from ekbom.disease import expr
from ekbom.disease.units import Unit, unit, unit_of
from ekbom.errors import Refused

#: What each status of a parameter means.
STATUS = {
    "verified": "seen in a public source",
    "unverified": "from general knowledge, to be looked up",
    "assumed": "assumed or free",
}
#: The version of the model, printed with every result.
VERSION = "0.1"
#: The sentence that stands wherever results show.
NOT_ADVICE = (
    "Hypothesis engine: most parameters are assumed. Not a diagnostic tool, not a dosing tool, "
    "and nothing in it is medical advice."
)
_BLOCKS = ("clock", "systemic", "brain", "terminal", "cord")
_CPP = {"auto", "register", "double", "float", "int", "long", "short", "union", "signed", "const"}


@dataclass(frozen=True)
class Param:
    """A parameter, with where its value comes from.

    Parameters
    ----------
    id : str
        Name in expressions.
    value : float
        Default, in ``unit``.
    unit : str
        Of :mod:`ekbom.disease.units`.
    source : str
        Key of the references.
    status : str
        Key of :data:`STATUS`.
    note : str
        What it is.
    block : str
        Part of the model.
    family : str
        How it varies between people, if it does.
    spread : float
        By how much.
    """

    id: str
    value: float
    unit: str
    source: str
    status: str
    note: str
    block: str
    family: str = ""
    spread: float = 0.0


@dataclass(frozen=True)
class State:
    """A quantity that is integrated.

    Parameters
    ----------
    id : str
        Name in expressions.
    initial : str
        Number, name of a constant, or ``steady`` (the stored steady state).
    unit : str
        Of :mod:`ekbom.disease.units`.
    scale : float
        Typical size, for the absolute tolerance.
    doc : str
        What it is.
    block : str
        Part of the model.
    identity : str
        ChEBI or UniProt identifier, if it has one.
    slow : bool
        Whether it changes over days to months, so that days may be skipped.
    """

    id: str
    initial: str
    unit: str
    scale: float
    doc: str
    block: str
    identity: str = ""
    slow: bool = False


@dataclass(frozen=True)
class Assign:
    """A named expression: a derived constant, an assignment or a read-out.

    Parameters
    ----------
    id : str
        Its name.
    expr : str
        Of the language of :mod:`ekbom.disease.expr`.
    unit : str
        Of :mod:`ekbom.disease.units`.
    doc : str
        What it is.
    block : str
        Part of the model.
    cv : float
        Coefficient of variation of its measurement (read-outs).
    """

    id: str
    expr: str
    unit: str
    doc: str
    block: str
    cv: float = 0.0

    @property
    def tree(self) -> ast.expr:
        """Parsed expression."""
        return expr.parse(self.expr)


@dataclass(frozen=True)
class Block:
    """A part of the model.

    Parameters
    ----------
    id, title, doc : str
        Name of its file, heading, and words.
    """

    id: str
    title: str
    doc: str


@dataclass(frozen=True)
class Model:
    """The whole model.

    Parameters
    ----------
    blocks : tuple of Block
        Parts, in order.
    params : tuple of Param
        Constants a person or scenario may change.
    derived : tuple of Assign
        Constants that follow from them.
    states : tuple of State
        What is integrated.
    assigns : tuple of Assign
        In order of use.
    rates : mapping of str to str
        State to expression of its derivative per hour.
    readouts : tuple of Assign
        What can be measured, with the coefficient of variation of the measurement.
    references : mapping of str to str
        Source key to words.
    """

    blocks: tuple[Block, ...]
    params: tuple[Param, ...]
    derived: tuple[Assign, ...]
    states: tuple[State, ...]
    assigns: tuple[Assign, ...]
    rates: Mapping[str, str]
    readouts: tuple[Assign, ...]
    references: Mapping[str, str]

    @property
    def defaults(self) -> dict[str, float]:
        """Default value of each parameter."""
        return {p.id: p.value for p in self.params}

    def shares(self) -> dict[str, float]:
        """Return the share of parameters of each status."""
        n = len(self.params)
        return {s: sum(p.status == s for p in self.params) / n for s in STATUS}

    def banner(self) -> str:
        """Return the line that every output carries."""
        parts = ", ".join(f"{100 * v:.0f} % {k}" for k, v in self.shares().items())
        return f"ekbom disease model {VERSION}; parameters: {parts}. {NOT_ADVICE}"

    def units(self) -> dict[str, Unit]:
        """Return the unit of every name."""
        return {x.id: unit(x.unit) for x in self.everything} | {"t": unit("h")}

    @property
    def constants(self) -> dict[str, int]:
        """Place of each parameter and derived constant in a row of parameters."""
        ids = [p.id for p in self.params] + [d.id for d in self.derived]
        return {name: i for i, name in enumerate(ids)}

    @property
    def everything(self) -> list[Param | State | Assign]:
        """Parameters, derived constants, states, assignments and read-outs."""
        return [*self.params, *self.derived, *self.states, *self.assigns, *self.readouts]


@cache
def load() -> Model:
    """Read and check the model.

    Returns
    -------
    Model
        The model, checked: every name once and before use, units consistent,
        every parameter with source and status.

    Raises
    ------
    Refused
        Naming the block and the entry at fault.
    """
    here = files("ekbom.disease.spec")
    texts = {b: here.joinpath(f"{b}.toml").read_text("utf-8") for b in _BLOCKS}
    references = tomllib.loads(here.joinpath("references.toml").read_text("utf-8"))
    return read(texts, references)


def steady_values() -> dict[str, float]:
    """Return the stored steady state of the default person with the clock averaged.

    Returns
    -------
    dict
        State to value, in the unit of the state.
    """
    text = files("ekbom.disease.spec").joinpath("steady.toml").read_text("utf-8")
    return {k: float(v) for k, v in tomllib.loads(text).items()}


def read(texts: Mapping[str, str], references: Mapping[str, str]) -> Model:
    """Build a model from block texts (TOML), checking it.

    Parameters
    ----------
    texts : mapping of str to str
        Block name to TOML.
    references : mapping of str to str
        Source key to words.

    Returns
    -------
    Model
        Checked.

    Raises
    ------
    Refused
        Naming the block and the entry at fault.
    """
    raw = [(name, tomllib.loads(text)) for name, text in texts.items()]
    raw.sort(key=lambda item: item[1]["order"])
    blocks, params, states, rates = [], [], [], {}
    assigns: dict[str, list[Assign]] = {"derived": [], "assigns": [], "readouts": []}
    for name, b in raw:
        blocks.append(Block(name, b["title"], b["doc"]))
        params += [Param(**p, block=name) for p in b["params"]]
        for s in b["states"]:
            s["identity"] = s.pop("is", "")
            states.append(State(**s, block=name))
        for kind, found in assigns.items():
            found += [Assign(**a, block=name) for a in b[kind]]
        for r in b["rates"]:
            if r["state"] in rates:
                raise Refused("A state has two rates.", file=name, field=r["state"])
            rates[r["state"]] = r["expr"]
    model = Model(
        tuple(blocks),
        tuple(params),
        tuple(assigns["derived"]),
        tuple(states),
        tuple(assigns["assigns"]),
        rates,
        tuple(assigns["readouts"]),
        dict(references),
    )
    check(model)
    return model


def check(model: Model) -> None:
    """Check a model: names, order, units, sources.

    Parameters
    ----------
    model : Model
        The model.

    Raises
    ------
    Refused
        On the first fault.
    """
    seen: set[str] = {"t"}
    for x in model.everything:
        bad = not x.id.isidentifier() or x.id != x.id.lower() or iskeyword(x.id) or x.id in _CPP
        if bad or x.id in expr.FUNCTIONS:
            raise Refused("The name is not allowed.", file=x.block, field=x.id)
        if x.id in seen:
            raise Refused("The name is used twice.", file=x.block, field=x.id)
        seen.add(x.id)
    for p in model.params:
        if p.status not in STATUS:
            raise Refused("Unknown status.", file=p.block, field=p.id, found=p.status)
        if p.source not in model.references:
            raise Refused("Unknown source.", file=p.block, field=p.id, found=p.source)
    known = model.units()
    usable = {p.id for p in model.params}
    for d in model.derived:
        _usable(d, usable)
        usable.add(d.id)
    usable |= {s.id for s in model.states} | {"t"}
    for a in (*model.assigns, *model.readouts):
        _usable(a, usable)
        usable.add(a.id)
    for a in (*model.derived, *model.assigns, *model.readouts):
        _agree(a.tree, known, known[a.id], a.block, a.id, a in model.readouts)
    if set(model.rates) != {s.id for s in model.states}:
        odd = sorted(set(model.rates) ^ {s.id for s in model.states})
        raise Refused("States and rates do not match.", field=", ".join(odd))
    for s in model.states:
        tree = expr.parse(model.rates[s.id])
        _usable(Assign(s.id, model.rates[s.id], s.unit, "", s.block), usable)
        want = known[s.id].times(unit("h"), Fraction(-1))
        _agree(tree, known, want, s.block, f"rate of {s.id}", False)


def _usable(a: Assign, usable: set[str]) -> None:
    missing = sorted(expr.names(a.tree) - usable)
    if missing:
        raise Refused(
            "A name is used before it is defined.",
            file=a.block,
            field=a.id,
            found=", ".join(missing),
        )


def _agree(
    tree: ast.expr, known: Mapping[str, Unit], want: Unit, block: str, name: str, loose: bool
) -> None:
    try:
        have = unit_of(tree, known)
    except Refused as no:
        raise Refused(no.what, file=block, field=f"{name}: {no.field}", found=no.found,
                      expected=no.expected) from None  # fmt: skip
    # a read-out may be printed in another size of the same unit
    factor = loose or abs(have.factor - want.factor) <= 1e-9 * want.factor
    if have.exponents != want.exponents or not factor:
        raise Refused(
            "Units do not agree.", file=block, field=name, found=str(have), expected=str(want)
        )
