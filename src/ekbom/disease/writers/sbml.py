"""SBML Level 3 Version 2 of the model, with units and annotations.

States are parameters under rate rules, assignments are assignment rules, and
time is in hours. Written as text, so that no library is needed to export;
libsbml (extra ``sbml``) checks it.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from fractions import Fraction
from xml.sax.saxutils import escape, quoteattr

from ekbom.disease import expr
from ekbom.disease.model import NOT_ADVICE, VERSION, Model, steady_values
from ekbom.disease.units import unit
from ekbom.errors import Refused

_MATH = 'xmlns="http://www.w3.org/1998/Math/MathML"'
_SBML = "http://www.sbml.org/sbml/level3/version2/core"
_TAGS = {ast.Add: "plus", ast.Sub: "minus", ast.Mult: "times", ast.Div: "divide", ast.Pow: "power"}
_CALLS = {"exp": "exp", "log": "ln", "sqrt": "root", "cos": "cos", "tanh": "tanh"}
#: Systems Biology Ontology: a quantitative parameter; an amount that is integrated.
_SBO_PARAM, _SBO_STATE, _SBO_ASSIGN = "SBO:0000002", "SBO:0000002", "SBO:0000002"
_KINDS = {
    "h": ("second", 3600.0),
    "mg": ("gram", 1e-3),
    "umol": ("mole", 1e-6),
    "L": ("litre", 1.0),
}


def sbml(
    model: Model,
    overrides: Mapping[str, float] | None = None,
    start: Mapping[str, float] | None = None,
    doses: Sequence[tuple[float, str, float]] = (),
) -> str:
    """Return the model as SBML.

    Parameters
    ----------
    model : Model
        The model.
    overrides : mapping, optional
        Parameter values of one person.
    start : mapping, optional
        State values at time 0; the healthy steady state by default.
    doses : sequence of (time, state, amount)
        Events that add to a state, hours.

    Returns
    -------
    str
        XML.

    Raises
    ------
    Refused
        On an unknown parameter or state.
    """
    values = model.defaults | dict(overrides or {})
    for d in model.derived:
        values[d.id] = expr.evaluate(d.tree, values)
    first = initial_values(model, values) | dict(start or {})
    ids = {s.id for s in model.states}
    odd = (set(overrides or {}) - set(model.defaults)) | (set(start or {}) - ids)
    odd |= {state for _, state, _ in doses} - ids
    if odd:
        raise Refused("The model has no such quantity.", field=", ".join(sorted(odd)))
    units = sorted({x.unit for x in model.everything} - {"1"})
    listed = [_unit_definition(u) for u in units]
    parameters = [_parameter(p.id, values[p.id], p.unit, True, _SBO_PARAM, "", f"{p.note}. Source: {model.references[p.source]} Status: {p.status}.") for p in model.params]  # fmt: skip  # noqa: E501
    parameters += [_parameter(d.id, values[d.id], d.unit, True, _SBO_PARAM, "", f"{d.doc}; follows from {d.expr}.") for d in model.derived]  # fmt: skip  # noqa: E501
    parameters += [_parameter(s.id, first[s.id], s.unit, False, _SBO_STATE, s.identity, s.doc) for s in model.states]  # fmt: skip  # noqa: E501
    sizes = {s.id: s.unit for s in model.states}
    rules = []
    for a in (*model.assigns, *model.readouts):
        parameters.append(_parameter(a.id, None, a.unit, False, _SBO_ASSIGN, "", a.doc))
        rules.append(f'<assignmentRule variable="{a.id}">{_math(a.tree)}</assignmentRule>')
    rules += [
        f'<rateRule variable="{s.id}">{_math(expr.parse(model.rates[s.id]))}</rateRule>'
        for s in model.states
    ]
    events = [_dose(i, *d, _unit_id(sizes[d[1]])) for i, d in enumerate(doses)]
    annotation = _miriam("model", ["http://identifiers.org/taxonomy/9606"], "hasTaxon")
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<sbml xmlns="{_SBML}" level="3" version="2">',
            '<model metaid="model" id="ekbom_disease" name="ekbom disease model" timeUnits="u_h" '
            'extentUnits="u_umol" substanceUnits="u_umol" volumeUnits="litre">',
            f"<notes>{_note(f'Version {VERSION}. {NOT_ADVICE}')}</notes>",
            annotation,
            "<listOfUnitDefinitions>",
            *listed,
            _unit_definition("h") if "h" not in units else "",
            _unit_definition("umol") if "umol" not in units else "",
            "</listOfUnitDefinitions>",
            "<listOfParameters>",
            *parameters,
            "</listOfParameters>",
            "<listOfRules>",
            *rules,
            "</listOfRules>",
            *(["<listOfEvents>", *events, "</listOfEvents>"] if events else []),
            "</model>",
            "</sbml>",
            "",
        ]
    )


def initial_values(model: Model, values: Mapping[str, float]) -> dict[str, float]:
    """Return the healthy start of a person.

    Parameters
    ----------
    model : Model
        The model.
    values : mapping
        Value of each parameter, derived ones included.

    Returns
    -------
    dict
        State to value.
    """
    stored = steady_values()
    return {
        s.id: stored[s.id]
        if s.initial == "steady"
        else expr.evaluate(expr.parse(s.initial), values)
        for s in model.states
    }


def _unit_id(text: str) -> str:
    if text == "1":
        return "dimensionless"
    return "u_" + "".join(c if c.isalnum() else "_" for c in text)


def _unit_definition(text: str) -> str:
    u = unit(text)
    rows, left = [], u.factor
    for (kind, size), e in zip(_KINDS.values(), u.exponents, strict=True):
        if e != 0:
            rows.append((kind, _exponent(e), size))
    if abs(left - 1) > 1e-12 or not rows:
        rows.append(("dimensionless", "1", left))
    inner = "".join(
        f'<unit kind="{k}" exponent="{e}" scale="0" multiplier="{m!r}"/>' for k, e, m in rows
    )
    return (
        f'<unitDefinition id="{_unit_id(text)}"><listOfUnits>{inner}</listOfUnits></unitDefinition>'
    )


def _exponent(e: Fraction) -> str:
    return str(int(e)) if e.denominator == 1 else repr(float(e))


def _parameter(
    name: str, value: float | None, text: str, constant: bool, sbo: str, identity: str, doc: str
) -> str:
    number = "" if value is None else f'value="{value!r}" '
    resource = []
    if identity:
        place = "CHEBI:" + identity[6:] if identity.startswith("CHEBI") else identity
        kind = "chebi" if identity.startswith("CHEBI") else "uniprot"
        resource = [f"http://identifiers.org/{kind}/{place}"]
    notes = f"<notes>{_note(doc)}</notes>" if doc else ""
    return (
        f'<parameter metaid="meta_{name}" id="{name}" {number}units="{_unit_id(text)}" '
        f'constant="{str(constant).lower()}" sboTerm="{sbo}">{notes}'
        f"{_miriam(f'meta_{name}', resource, 'isVersionOf') if resource else ''}</parameter>"
    )


def _note(text: str) -> str:
    return f'<p xmlns="http://www.w3.org/1999/xhtml">{escape(text)}</p>'


def _miriam(about: str, resources: list[str], relation: str) -> str:
    items = "".join(f"<rdf:li rdf:resource={quoteattr(r)}/>" for r in resources)
    return (
        '<annotation><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
        'xmlns:bqbiol="http://biomodels.net/biology-qualifiers/">'
        f'<rdf:Description rdf:about="#{about}"><bqbiol:{relation}><rdf:Bag>{items}</rdf:Bag>'
        f"</bqbiol:{relation}></rdf:Description></rdf:RDF></annotation>"
    )


def _dose(index: int, time: float, state: str, amount: float, size: str) -> str:
    # a number with the unit of the state is added when time passes the dose
    when = f"<apply><geq/>{_TIME}{_number(time, 'u_h')}</apply>"
    add = f"<apply><plus/><ci>{state}</ci>{_number(amount, size)}</apply>"
    return (
        f'<event id="dose_{index}" useValuesFromTriggerTime="true">'
        f'<trigger initialValue="false" persistent="true"><math {_MATH}>{when}</math></trigger>'
        f'<listOfEventAssignments><eventAssignment variable="{state}"><math {_MATH}>{add}</math>'
        "</eventAssignment></listOfEventAssignments></event>"
    )


def _number(value: float, size: str) -> str:
    return f'<cn xmlns:s="{_SBML}" s:units="{size}">{float(value)!r}</cn>'


_TIME = '<csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/time">t</csymbol>'


def _math(node: ast.expr) -> str:
    return f'<math {_MATH} xmlns:s="{_SBML}">{_ml(node)}</math>'


def _ml(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return f'<cn s:units="dimensionless">{float(node.value)!r}</cn>'  # type: ignore[arg-type]
    if isinstance(node, ast.Name):
        return _TIME if node.id == "t" else f"<ci>{node.id}</ci>"
    if isinstance(node, ast.UnaryOp):
        return f"<apply><minus/>{_ml(node.operand)}</apply>"
    if isinstance(node, ast.BinOp):
        return f"<apply><{_TAGS[type(node.op)]}/>{_ml(node.left)}{_ml(node.right)}</apply>"
    assert isinstance(node, ast.Call)
    assert isinstance(node.func, ast.Name)
    return f"<apply><{_CALLS[node.func.id]}/>{_ml(node.args[0])}</apply>"
