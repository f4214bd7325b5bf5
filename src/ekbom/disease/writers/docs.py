"""Documentation of the model, written from the declarative source."""

from __future__ import annotations

from ekbom.disease.model import NOT_ADVICE, STATUS, VERSION, Model


def pages(model: Model) -> dict[str, str]:
    """Return the pages.

    Parameters
    ----------
    model : Model
        The model.

    Returns
    -------
    dict of str to str
        File name to Markdown: states, equations and read-outs; parameters.
    """
    return {"equations.md": _equations(model), "parameters.md": _parameters(model)}


def _head(title: str) -> list[str]:
    return [
        f"# {title}",
        "",
        f"*Model version {VERSION}. {NOT_ADVICE}*",
        "",
        "This page is written by `python -m ekbom.disease.writers` from the declarative source; "
        "time is in hours from midnight (`t`).",
        "",
    ]


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(c).replace("|", "\\|") for c in cells) + " |"


def _table(heads: tuple[str, ...], rows: list[str]) -> list[str]:
    return [_row(*heads), _row(*["---"] * len(heads)), *rows, ""] if rows else []


def _equations(model: Model) -> str:
    lines = _head("Disease model: states and equations")
    for b in model.blocks:
        lines += [f"## {b.title}", "", b.doc, ""]
        states = [s for s in model.states if s.block == b.id]
        lines += _table(
            ("state", "meaning", "unit", "start", "rate per hour"),
            [_row(f"`{s.id}`", s.doc, s.unit, f"`{s.initial}`", f"`{model.rates[s.id]}`") for s in states],  # noqa: E501
        )  # fmt: skip
        for title, group in (
            ("derived constant", model.derived),
            ("assignment", model.assigns),
            ("read-out", model.readouts),
        ):
            own = [a for a in group if a.block == b.id]
            lines += _table(
                (title, "meaning", "unit", "expression"),
                [_row(f"`{a.id}`", a.doc, a.unit, f"`{a.expr}`") for a in own],
            )
    return "\n".join(lines)


def _parameters(model: Model) -> str:
    lines = _head("Disease model: parameters")
    shares = model.shares()
    lines += _table(
        ("status", "meaning", "share of the parameters"),
        [_row(s, w, f"{100 * shares[s]:.0f} %") for s, w in STATUS.items()],
    )
    for b in model.blocks:
        own = [p for p in model.params if p.block == b.id]
        lines += [f"## {b.title}", ""]
        lines += _table(
            ("parameter", "value", "unit", "status", "source", "what it is"),
            [_row(f"`{p.id}`", f"{p.value:.6g}", p.unit, p.status, p.source, p.note) for p in own],
        )
    lines += ["## Sources", ""]
    lines += _table(("key", "words"), [_row(k, w) for k, w in model.references.items()])
    return "\n".join(lines)
