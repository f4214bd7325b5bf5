"""A page of tables for the model held to print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd

_STYLE = (
    "body{font:15px/1.5 Georgia,serif;margin:2rem auto;max-width:80rem;padding:0 1rem}"
    "table{border-collapse:collapse;font-size:.85em}td,th{padding:.2em .6em;text-align:left;"
    "border-bottom:1px solid #ccc;vertical-align:top}.scroll{overflow-x:auto}"
)


def page(title: str, lines: Sequence[str], tables: Mapping[str, pd.DataFrame], about: str) -> str:
    """Return an HTML page.

    Parameters
    ----------
    title : str
        Heading.
    lines : sequence of str
        What to read first.
    tables : mapping of str to pandas.DataFrame
        Heading to table.
    about : str
        Model, parameters, and what the page is not.

    Returns
    -------
    str
        A page without outside resources.
    """
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>',
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1><p><strong>{escape(about)}</strong></p>",
        *(f"<p>{escape(line)}</p>" for line in lines),
    ]
    for head, frame in tables.items():
        body = frame.to_html(index=False, na_rep="", float_format=lambda v: f"{v:.3g}", border=0)
        parts.append(f'<h2>{escape(head)}</h2><div class="scroll">{body}</div>')
    return "\n".join([*parts, f"<p><em>{escape(about)}</em></p></html>", ""])
