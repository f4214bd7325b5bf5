"""Who stands apart in the numbers of quality control, listed before all of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from markupsafe import Markup

from ekbom.report import numbers
from ekbom.report.blocks import Block
from ekbom.report.grid import build

#: Robust z above which a number is listed (Iglewicz and Hoaglin 1993).
LIMIT = 3.5
#: Fewest scans of which one can stand apart.
LEAST = 5
#: Measure whose numbers are those of quality control.
MEASURE = "space"


def table(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the numbers that stand apart.

    Parameters
    ----------
    frame : pandas.DataFrame
        Rows of ``measures.tsv``: ``participant_id method parameter value``, and
        ``session_id``, ``run_id``, ``unit`` where known.

    Returns
    -------
    pandas.DataFrame
        ``scan step number value unit median z``, largest distance first. A number
        that is the same in most scans has no spread to measure by and lists nobody.
    """
    out = []
    for (step, name), rows in frame.groupby(["method", "parameter"], sort=False):
        values = rows["value"].to_numpy(dtype=np.float64)
        there = values[np.isfinite(values)]
        if there.size < LEAST:
            continue
        middle = float(np.median(there))
        spread = float(np.median(np.abs(there - middle)))
        if spread == 0:
            continue
        z = 0.6745 * (values - middle) / spread
        for k in np.flatnonzero(np.abs(z) > LIMIT):
            row = rows.iloc[int(k)]
            out.append(
                {
                    "scan": _scan(row),
                    "step": step,
                    "number": name,
                    "value": values[k],
                    "unit": str(row.get("unit", "") or ""),
                    "median": middle,
                    "z": float(z[k]),
                }
            )
    found = pd.DataFrame(out, columns=["scan", "step", "number", "value", "unit", "median", "z"])
    order = found["z"].abs().sort_values(ascending=False, kind="stable").index
    return found.loc[order].reset_index(drop=True)


def blocks(frame: pd.DataFrame) -> list[Block]:
    """Return the list of outliers as a part of the page.

    Parameters
    ----------
    frame : pandas.DataFrame
        Rows of one measure without regions.

    Returns
    -------
    list of Block
        A table, or a line that nobody stands apart; empty for fewer than five scans.
    """
    scans = frame.drop_duplicates(_keys(frame)).shape[0]
    if scans < LEAST:
        return []
    found = table(frame)
    if found.empty:
        return [
            Block(
                "quote",
                Markup("<p>No scan stands apart: no robust z above {} in any number.</p>").format(
                    LIMIT
                ),
            )
        ]
    shown = found.assign(
        unit=found["unit"].map(lambda u: numbers.unit_text(u) if u not in ("", "1", "nan") else "")
    )
    grid = build(
        shown,
        list(shown.columns),
        caption="Scans that stand apart from the group",
        labels={
            "scan": "Scan",
            "step": "Step",
            "number": "Number",
            "value": "Value",
            "unit": "Unit",
            "median": "Median",
            "z": "Robust z",
        },
        notes=[
            f"Distance from the median over 1.4826 times the median absolute deviation, above "
            f"{LIMIT}. To be looked at, not to be left out: see the pictures of these scans."
        ],
    )
    return [Block("grid", grid)]


def _keys(frame: pd.DataFrame) -> list[str]:
    return [c for c in ("participant_id", "session_id", "run_id") if c in frame]


def _scan(row: pd.Series) -> str:
    parts = [row["participant_id"], row.get("session_id"), row.get("run_id")]
    return " ".join(str(p) for p in parts if isinstance(p, str) and p)
