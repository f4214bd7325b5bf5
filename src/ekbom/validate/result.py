"""What a closed loop found: checks with their gates, as a table and as a page."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from scipy import stats


@dataclass(frozen=True)
class Check:
    """One number of a closed loop.

    Parameters
    ----------
    name : str
        What was measured.
    value : float
        Its value.
    n : int
        Runs or people behind it.
    unit : str
        Unit.
    low, high : float
        Gate, both ends included; NaN when the number is only printed.
    se : float
        Monte-Carlo standard error; NaN when the number is exact, or a count (see ``error``).
    note : str
        What a reader must know.
    """

    name: str
    value: float
    n: int
    unit: str = ""
    low: float = math.nan
    high: float = math.nan
    se: float = math.nan
    note: str = ""

    @property
    def gated(self) -> bool:
        """Whether there is a gate.

        Returns
        -------
        bool
            Whether there is.
        """
        return self.low == self.low or self.high == self.high

    @property
    def error(self) -> float:
        """Monte-Carlo standard error, of a count of studies the binomial one.

        Returns
        -------
        float
            ``se`` where it is given; else for so many of ``n`` studies or fits that of the
            count, after Agresti and Coull; NaN of what is exact.
        """
        if self.se == self.se or not self.unit.startswith(("null studies", "studies", "fits")):
            return self.se
        share = (self.value + 2.0) / (self.n + 4.0)
        return self.n * math.sqrt(share * (1.0 - share) / (self.n + 4.0))

    @property
    def passed(self) -> bool:
        """Whether the value lies in its gate; true without one.

        Returns
        -------
        bool
            Whether it does.
        """
        return not (self.value < self.low or self.value > self.high) and (
            not self.gated or self.value == self.value
        )


def binomial_gate(n: int, rate: float, level: float = 0.999) -> tuple[int, int]:
    """Return the central range of a binomial count.

    Parameters
    ----------
    n : int
        Trials.
    rate : float
        True rate.
    level : float
        Coverage.

    Returns
    -------
    low, high : int
        Both included.

    Examples
    --------
    >>> binomial_gate(2000, 0.05), binomial_gate(1000, 0.05)
    ((69, 133), (29, 74))
    """
    low, high = stats.binom.interval(level, n, rate)
    return int(low), int(high)


def as_frame(checks: Sequence[Check]) -> pd.DataFrame:
    """Return the checks as a table, one row each.

    Parameters
    ----------
    checks : sequence of Check
        In order.

    Returns
    -------
    DataFrame
        In order.
    """
    return pd.DataFrame(
        [
            {
                "check": c.name,
                "value": c.value,
                "se": c.error,
                "unit": c.unit or "n/a",
                "n": c.n,
                "gate_low": c.low,
                "gate_high": c.high,
                "result": ("passed" if c.passed else "FAILED") if c.gated else "printed",
                "note": c.note or "n/a",
            }
            for c in checks
        ]
    )


def as_html(title: str, checks: Sequence[Check], more: str = "") -> str:
    """Return the checks as one page without outside files.

    Parameters
    ----------
    title : str
        Heading.
    checks : sequence of Check
        In order.
    more : str
        Words under the table.

    Returns
    -------
    str
        HTML.
    """
    frame = as_frame(checks)
    head = "".join(f"<th>{html.escape(str(c))}</th>" for c in frame.columns)
    rows = "".join(
        "<tr class='{}'>{}</tr>".format(
            row["result"].lower(),
            "".join(f"<td>{html.escape(_cell(v))}</td>" for v in row),
        )
        for _, row in frame.iterrows()
    )
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{html.escape(title)}</title>"
        "<style>body{font:15px system-ui,sans-serif;margin:2em;max-width:75em}"
        "table{border-collapse:collapse}td,th{padding:.3em .6em;border-bottom:1px solid #ccc;"
        "text-align:left;vertical-align:top}tr.failed{background:#fdd}</style>"
        f"<h1>{html.escape(title)}</h1><table><tr>{head}</tr>{rows}</table>"
        f"<p>{html.escape(more)}</p></html>\n"
    )


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4g}"
    return str(value)
