"""Tables for the page: from a data frame to cells that know how to be printed.

Each cell of a number keeps the number itself (``data-v``), so that sorting,
copying and checking work on what the TSV holds and not on what is shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from markupsafe import Markup, escape

from ekbom.report import numbers


@dataclass(frozen=True)
class Head:
    """The head of a column: what it says, what it means, how it is aligned."""

    label: Markup
    title: str
    numeric: bool


@dataclass(frozen=True)
class Cell:
    """One cell: what is shown, the exact value behind it, and its look."""

    shown: Markup
    value: str = ""
    numeric: bool = False
    strong: bool = False


@dataclass(frozen=True)
class Grid:
    """A table ready for the template."""

    caption: Markup
    heads: Sequence[Head]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[Markup] = field(default_factory=tuple)


#: Heads of columns that have a name of their own in print.
_LABELS = {
    "region": "Region",
    "participant_id": "Participant",
    "session_id": "Session",
    "run_id": "Run",
    "n": "<i>n</i>",
    "df": "df",
    "t": "<i>t</i>",
    "T": "<i>T</i>",
    "F": "<i>F</i>",
    "Z": "<i>Z</i>",
    "z": "<i>z</i>",
    "r": "<i>r</i>",
    "g": "Hedges <i>g</i>",
    "p": "<i>p</i>",
    "p_unc": "<i>p</i>",
    "p_uncorrected": "<i>p</i>",
    "p_perm": "<i>p</i><sub>perm</sub>",
    "p_holm": "<i>p</i><sub>Holm</sub>",
    "p_fdr": "<i>p</i><sub>FDR</sub>",
    "p_maxT": "<i>p</i><sub>max-T</sub>",
    "p_max_t": "<i>p</i><sub>max-T</sub>",
    "p_maxt": "<i>p</i><sub>max-T</sub>",
    "p_fwe": "<i>p</i><sub>FWE</sub>",
    "p_bonf": "<i>p</i><sub>Bonf</sub>",
    "p_tfce": "<i>p</i><sub>TFCE</sub>",
    "p_rft_peak": "<i>p</i><sub>RF</sub>",
    "p_rft_cluster": "<i>p</i><sub>RF</sub>",
    "p_fdr_cluster": "<i>p</i><sub>FDR</sub>",
    "p_extent": "<i>p</i><sub>extent</sub>",
    "p_mass": "<i>p</i><sub>mass</sub>",
    "p_svc": "<i>p</i><sub>RF</sub>",
    "p_svc_holm": "<i>p</i><sub>RF, Holm</sub>",
    "p_maxT_svc": "<i>p</i><sub>max-T</sub>",
    "p_maxT_svc_holm": "<i>p</i><sub>max-T, Holm</sub>",
    "p_tfce_svc": "<i>p</i><sub>TFCE</sub>",
    "p_tfce_svc_holm": "<i>p</i><sub>TFCE, Holm</sub>",
    "percent": "%",
    "loo_p": "<i>p</i>",
    "trt": "TRV, %",
    "icc31": "ICC(3,1)",
    "icc11": "ICC(1,1)",
    "bias": "Bias",
    "mean": "Mean",
    "effect": "Effect",
    "sd_within": "SD within",
    "loa_low": "Lower limit",
    "loa_high": "Upper limit",
    "label": "Region",
    "note": "Note",
    "k_vox": "Voxels",
    "k_mm3": "mm³",
    "se": "SE",
    "sd": "SD",
}


def is_p(name: str) -> bool:
    """Tell whether a column holds p values, by its name."""
    return name == "p" or name.startswith("p_")


def build(
    frame: pd.DataFrame,
    columns: Sequence[str],
    *,
    caption: str | Markup = "",
    about: Mapping[str, Any] | None = None,
    labels: Mapping[str, str | Markup] | None = None,
    intervals: Mapping[str, tuple[str, str]] | None = None,
    strong: Callable[[pd.Series], bool] | None = None,
    notes: Sequence[str | Markup] = (),
) -> Grid:
    """Turn columns of a data frame into a printable table.

    Parameters
    ----------
    frame : pandas.DataFrame
        Rows in the order to be shown.
    columns : sequence of str
        Columns to show; those that `frame` lacks, or that are empty, are left out.
    caption : str
        Above the table.
    about : mapping, optional
        Column descriptions in the form of a BIDS sidecar: they become the
        tool tips of the heads.
    labels : mapping of str to str, optional
        Heads that differ from the usual.
    intervals : mapping of str to (str, str), optional
        After which column to print an interval, and the columns of its limits.
    strong : callable, optional
        Which rows stand out.
    notes : sequence of str
        Under the table.

    Returns
    -------
    Grid
        Escaped.
    """
    about, labels, intervals = about or {}, labels or {}, intervals or {}
    shown = [c for c in columns if c in frame and frame[c].notna().any()]
    heads: list[Head] = []
    cells: list[list[Cell]] = []
    for name in shown:
        numeric = pd.api.types.is_numeric_dtype(frame[name]) and frame[name].dtype != bool
        tip = str(dict(about.get(name) or {}).get("Description", ""))
        limits = intervals.get(name)
        if limits and not (limits[0] in frame and limits[1] in frame):
            limits = None
        heads.append(Head(head(name, labels), tip, numeric))
        if not numeric:
            cells.append([_words(v) for v in frame[name]])
            continue
        together = [name, *(limits or ())]
        places = _places(name, frame[together].to_numpy(float).ravel().tolist())
        cells.append([_number(name, float(v), places) for v in frame[name]])
        if limits:
            heads.append(Head(labels_of(limits, labels), _tip(about, limits), True))
            cells.append(
                [
                    Cell(
                        Markup("<span class=ci>{}</span>").format(
                            numbers.interval(float(a), float(b), places=places)
                        ),
                        f"{float(a)!r} {float(b)!r}",
                        True,
                    )
                    for a, b in zip(frame[limits[0]], frame[limits[1]], strict=True)
                ]
            )
    bold = [bool(strong(row)) if strong else False for _, row in frame.iterrows()]
    rows = [
        [Cell(c.shown, c.value, c.numeric, b) for c in row]
        for row, b in zip(zip(*cells, strict=True), bold, strict=True)
    ]
    return Grid(Markup(escape(caption)), heads, rows, [Markup(escape(n)) for n in notes])


def head(name: str, labels: Mapping[str, str | Markup]) -> Markup:
    """Return the head of a column as HTML."""
    if name in labels:
        return Markup(escape(labels[name]))
    if name in _LABELS:
        return Markup(_LABELS[name])
    return numbers.symbols(name.replace("_", " ").strip())


def labels_of(limits: tuple[str, str], labels: Mapping[str, str | Markup]) -> Markup:
    """Return the head of an interval: ``95 % CI`` unless said otherwise."""
    return Markup(escape(labels.get(limits[0], "95 % CI")))


def _tip(about: Mapping[str, Any], limits: tuple[str, str]) -> str:
    return str(dict(about.get(limits[0]) or {}).get("Description", ""))


def _places(name: str, values: list[float]) -> int | None:
    if is_p(name):
        return None
    finite = [abs(v) for v in values if math.isfinite(v) and v != 0]
    if all(v.is_integer() for v in finite) and max(finite, default=0.0) < 1e7:
        return 0
    if finite and max(finite) / min(finite) > 1e6:
        return None
    return numbers.decimals(values)


def _number(name: str, value: float, places: int | None) -> Cell:
    text = numbers.p_value(value) if is_p(name) else numbers.number(value, places=places)
    return Cell(Markup(escape(text)), "" if math.isnan(value) else repr(value), True)


def _words(value: object) -> Cell:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return Cell(Markup(numbers.NOTHING))
    if isinstance(value, bool):
        return Cell(Markup("yes" if value else "no"))
    return Cell(Markup(escape(str(value))))
