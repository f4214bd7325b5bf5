"""Print held against print: published numbers that speak of one thing, no model between them."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats


def pairs(text: str | None = None) -> pd.DataFrame:
    """Return how far printed numbers that speak of one thing lie apart.

    Sides are sums of printed numbers; two treatments that were each held against placebo
    are compared through it, as in an indirect comparison (Bucher and others 1997). The
    numbers are taken as independent and their errors as normal.

    Parameters
    ----------
    text : str, optional
        Pairs in TOML in place of the shipped ones.

    Returns
    -------
    pandas.DataFrame
        What is compared, both sides with standard errors, their difference, z, and the
        two-sided p of a difference as large between two studies of one truth.
    """
    if text is None:
        text = files("ekbom.trials").joinpath("data/prints.toml").read_text("utf-8")
    rows = []
    for pair in tomllib.loads(text)["pair"]:
        (a, sa), (b, sb) = _side(pair["a"]), _side(pair["b"])
        z = (a - b) / float(np.hypot(sa, sb))
        rows.append({
            "what": pair["what"], "unit": pair["unit"], "a": _name(pair["a"]), "value_a": a,
            "se_a": sa, "b": _name(pair["b"]), "value_b": b, "se_b": sb, "difference": a - b,
            "z": z, "p": float(2 * stats.norm.sf(abs(z))), "note": pair["note"],
        })  # fmt: skip
    return pd.DataFrame(rows)


def _side(numbers: Sequence[dict[str, Any]]) -> tuple[float, float]:
    value = sum(float(x["value"]) * x.get("sign", 1) for x in numbers)
    return value, float(np.sqrt(sum(float(x["se"]) ** 2 for x in numbers)))


def _name(numbers: Sequence[dict[str, Any]]) -> str:
    parts = [("less " if x.get("sign", 1) < 0 else "") + str(x["id"]) for x in numbers]
    return " ".join(parts)
