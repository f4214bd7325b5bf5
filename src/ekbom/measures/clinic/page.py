"""The tables of this room as one page: people with their reasons, change, endpoints.

Text in, text out; without outside files, so that it can be sent and printed.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

import pandas as pd

from ekbom.measures.clinic.explain import STATEMENT

_STYLE = """body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:72em;padding:0 1em}
table{border-collapse:collapse;margin:1em 0}td,th{padding:.3em .7em;border-bottom:1px solid #ccc;
text-align:left;vertical-align:top}th{border-bottom:2px solid #888}summary{cursor:pointer}
.word{border-left:4px solid #888;padding:.5em 1em;background:#f4f4f4}
svg text{font:12px system-ui,sans-serif}@media print{details>*{display:block}}"""
_BLUE, _ORANGE, _GREY = "#0072b2", "#d55e00", "#888888"


def page(tables: Mapping[str, pd.DataFrame]) -> str:
    """Return the page.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        By file stem: ``diagnosis``, ``desc-scored_irls``, ``iron``,
        ``response``, ``endpoints`` ...; those that are not there are left out.

    Returns
    -------
    str
        HTML.
    """
    parts = [f"<p class='word'>{html.escape(STATEMENT)}</p>", _people(tables)]
    if "response" in tables:
        parts.append(_waterfall(tables["response"]))
    if "endpoints" in tables:
        parts.append(_forest(tables["endpoints"]))
    body = "".join(parts)
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'><title>ekbom clinic</title>"
        f"<style>{_STYLE}</style><h1>Clinic</h1>{body}</html>\n"
    )


def _rows(frame: pd.DataFrame) -> list[Any]:
    return list(frame.itertuples(index=False))


def _people(tables: Mapping[str, pd.DataFrame]) -> str:
    rows: dict[tuple[str, str], dict[str, str]] = {}

    def cell(row: object, column: str, text: str) -> None:
        session = getattr(row, "session_id", "n/a")
        # An n/a of the table is read as a missing value.
        key = (
            str(getattr(row, "participant_id", "")),
            session if isinstance(session, str) else "n/a",
        )
        own = rows.setdefault(key, {})
        own[column] = own.get(column, "") + f"<div>{text}</div>"

    if "diagnosis" in tables:
        for row in _rows(tables["diagnosis"]):
            why = html.escape(str(row.why)).replace("; ", "<br>")
            text = f"{row.set}: {html.escape(str(row.status))}"
            cell(row, "criteria", f"<details><summary>{text}</summary>{why}</details>")
            if isinstance(row.flags, str) and row.flags != "n/a":
                cell(row, "flags", html.escape(row.flags))
    if "desc-scored_irls" in tables:
        scored = tables["desc-scored_irls"]
        for row in _rows(scored[scored["measure"] == "IRLS_total"]):
            band = "" if not isinstance(row.band, str) or row.band == "n/a" else f", {row.band}"
            shown = (
                f"{row.value:g}{band}"
                if row.value == row.value
                else f"{row.lower:g} to {row.upper:g}{band}; {row.missing} missing"
            )
            cell(row, "IRLS", html.escape(shown))
    if "iron" in tables:
        for row in _rows(tables["iron"]):
            text = html.escape(f"{row.guideline}: {row.status}")
            why = html.escape(str(row.why)).replace("; ", "<br>")
            cell(row, "iron", f"<details><summary>{text}</summary>{why}</details>")
    if not rows:
        return ""
    columns = [
        c for c in ("criteria", "IRLS", "iron", "flags") if any(c in r for r in rows.values())
    ]
    head = "".join(f"<th>{c}</th>" for c in ("participant", "session", *columns))
    lines = "".join(
        f"<tr><td>{html.escape(person)}</td><td>{html.escape(session)}</td>"
        + "".join(f"<td>{own.get(c, '')}</td>" for c in columns)
        + "</tr>"
        for (person, session), own in sorted(rows.items())
    )
    words = "Open a status to read the reasons in order."
    return f"<h2>People</h2><p>{words}</p><table><tr>{head}</tr>{lines}</table>"


def _waterfall(response: pd.DataFrame) -> str:
    """Change of each person at the last session, sorted; the fall of half marked."""
    last = response["session_id"].iloc[-1]
    own = response[(response["session_id"] == last) & response["delta"].notna()]
    own = own.sort_values("delta", ascending=False)
    if own.empty:
        return ""
    width, height, pad = 760, 240, 40
    step = (width - pad) / len(own)
    biggest = max(float(own["delta"].abs().max()), 1.0)
    middle, scale = height / 2, (height / 2 - 15) / biggest
    bars = []
    for i, row in enumerate(_rows(own)):
        colour = _BLUE if row.responder_50 == 1 else _GREY
        top = middle - max(row.delta, 0) * scale
        bars.append(
            f"<rect x='{pad + i * step:.1f}' y='{top:.1f}' width='{max(step - 1, 0.5):.1f}'"
            f" height='{abs(row.delta) * scale:.1f}' fill='{colour}'>"
            f"<title>{html.escape(str(row.participant_id))}: {row.delta:g}</title></rect>"
        )
    axis = "".join(
        f"<text x='0' y='{middle - v * scale + 4:.1f}'>{v:g}</text>" for v in (biggest, 0, -biggest)
    )
    words = (
        f"IRLS, session {html.escape(str(last))} minus baseline, one bar a person (n = {len(own)});"
        " blue: fell by at least half. Negative is better."
    )
    return (
        f"<h2>Change</h2><svg viewBox='0 0 {width} {height}' role='img' width='100%'>"
        f"{axis}<line x1='{pad}' x2='{width}' y1='{middle}' y2='{middle}' stroke='black'/>"
        f"{''.join(bars)}</svg><p>{words}</p>"
    )


def _forest(endpoints: pd.DataFrame) -> str:
    """Each endpoint with its interval, on its own scale around no difference."""
    rows = []
    for row in _rows(endpoints):
        text = html.escape(f"{row.endpoint}, {row.population}")
        numbers = f"{row.estimate:.3g} ({row.lower:.3g} to {row.upper:.3g}) {row.unit}"
        rows.append(
            f"<tr><td>{text}</td><td>{row.role}{', sensitivity' if row.sensitivity else ''}</td>"
            f"<td>{_interval(row.estimate, row.lower, row.upper, row.unit)}</td>"
            f"<td>{html.escape(numbers)}</td><td>{row.p:.3g}</td></tr>"
        )
    head = "<th>endpoint</th><th>role</th><th></th><th>difference (95 %)</th><th>p</th>"
    return f"<h2>Endpoints</h2><table><tr>{head}</tr>{''.join(rows)}</table>"


def _interval(estimate: float, lower: float, upper: float, unit: str) -> str:
    finite = all(abs(v) < 1e6 for v in (estimate, lower, upper))
    if unit == "people" or not finite:  # numbers needed to treat have no zero to stand around
        return ""
    reach = max(abs(lower), abs(upper), 1e-12) * 1.1

    def x(value: float) -> float:
        return 110 + 100 * value / reach

    return (
        "<svg viewBox='0 0 220 20' width='220' role='img'>"
        f"<line x1='110' x2='110' y1='0' y2='20' stroke='{_GREY}'/>"
        f"<line x1='{x(lower):.1f}' x2='{x(upper):.1f}' y1='10' y2='10' stroke='black'/>"
        f"<circle cx='{x(estimate):.1f}' cy='10' r='4' fill='{_ORANGE}'/></svg>"
    )
