"""Where in an answer things stand: columns of its tables, keys of its JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ekbom.report import numbers
from ekbom.report.output import Answered

VALUE = ("effect", "estimate", "beta")
LOWER = ("ci_low", "lower")
UPPER = ("ci_high", "upper")
STATISTIC = ("t", "F")
#: The corrected p by which markers are filled and rows are bold: the first there is.
_CORRECTED = ("p_maxT", "p_fwe", "p_holm", "p_bonf", "p_fdr")


def pick(frame: pd.DataFrame, candidates: Sequence[str]) -> str | None:
    """Return the first of these columns that the table has."""
    return next((c for c in candidates if c in frame), None)


def corrected(frame: pd.DataFrame) -> str | None:
    """Return the column of the corrected p by which things stand out."""
    return next((c for c in _CORRECTED if c in frame and frame[c].notna().any()), None)


def nested(about: Mapping[str, Any], key: str) -> Any:
    """Return a value of an answer's JSON: from what was used, at the top, or as asked."""
    for place in (about.get("meta"), about, about.get("inference"), about.get("question")):
        if isinstance(place, Mapping) and place.get(key) is not None:
            return place[key]
    return None


def effect_of(answer: Answered) -> str:
    """Return the effect as the plan names it."""
    value = answer.about.get("effect")
    if isinstance(value, Mapping):
        value = value.get("text")
    return str(value or nested(answer.about, "test") or answer.effect)


def is_reliability(answer: Answered) -> bool:
    """Tell whether the question was about test and retest."""
    return answer.about.get("kind") == "reliability"


def alpha_of(answer: Answered) -> float:
    """Return the level at which the answer speaks of a finding."""
    value = nested(answer.about, "alpha")
    return float(value) if isinstance(value, (int, float)) else 0.05


def unit_of(answer: Answered) -> str:
    """Return the unit of the outcome in Unicode."""
    value = nested(answer.about, "unit")
    frame = answer.table("regions")
    if not isinstance(value, str) and "unit" in frame and len(frame):
        value = str(frame["unit"].iloc[0])
    return numbers.unit_text(value if isinstance(value, str) else None)


def outcome_of(answer: Answered) -> str:
    """Return the outcome's name without measure or file: ``VT``."""
    told = answer.about.get("outcome_name") or nested(answer.about, "outcome") or "value"
    text = str(told).rsplit(":", 1)[-1].rsplit(".", 1)[-1]
    return text.replace("V_T", "VT")


def methods_of(answer: Answered) -> str:
    """Return the paragraph for the methods section, without the results."""
    words = answer.about.get("words")
    text = words.get("methods") if isinstance(words, Mapping) else None
    return str(text or answer.methods).strip()


def bare(region: str) -> str:
    """Return a region without its segmentation.

    Examples
    --------
    >>> bare("gtmseg:Left-Thalamus"), bare("insula")
    ('Left-Thalamus', 'insula')
    """
    return region.split(":", 1)[1] if ":" in region else region
