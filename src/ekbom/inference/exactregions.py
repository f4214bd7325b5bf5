"""Exact rank tests beside the model of a region table, where the design is simple enough."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.inference.exact import Exact, rank_correlation, rank_sum, signed_rank
from ekbom.inference.multiple import holm
from ekbom.inference.question import Question


def exact_columns(
    values: NDArray[np.floating[Any]], tested: NDArray[np.bool_], question: Question
) -> dict[str, NDArray[np.float64]]:
    """Return p by exact rank tests, Holm over the regions, and the shift with its interval.

    Parameters
    ----------
    values : (n, V)
        Rows of the design.
    tested : (V,) bool
        Regions that are tested.
    question : Question
        Two groups, two sessions of each person, a mean, or a score in 3 to 9 people; no
        other term.

    Raises
    ------
    Refused
        Any other design.
    """
    made, asked, interval = question.model, question.effect, question.settings.interval
    rows: list[Exact] = []
    for j in range(values.shape[1]):
        y = values[:, j].astype(float)
        rows.append(_one(y, question, interval) if tested[j] else Exact(math.nan, math.nan, 0))
    p = np.array([row.p for row in rows])
    out = {"p_exact": p, "p_exact_holm": holm(p)}
    if asked.quantity != "slope" and made.kind == "t":
        out["shift"] = np.array([row.shift for row in rows])
        out["shift_low"] = np.array([row.low for row in rows])
        out["shift_high"] = np.array([row.high for row in rows])
    return out


def _one(y: NDArray[np.float64], question: Question, interval: float) -> Exact:
    design, made, asked = question.design, question.model, question.effect
    if question.settings.sign == "two-sided" and made.kind == "t":
        if made.stratum == "persons" and made.rank == 2 and asked.quantity == "difference":
            column = design.table[asked.over].astype(str).to_numpy()
            a, b = (y[column == level] for level in asked.levels)
            if len(a) + len(b) == len(y):
                return rank_sum(a, b, interval)
        if made.stratum == "persons" and made.rank == 1 and asked.quantity == "mean":
            return signed_rank(y, interval)
        if made.stratum == "persons" and made.rank == 2 and asked.quantity == "slope":
            return rank_correlation(design.table[asked.over].to_numpy(float), y)
        if made.stratum == "within" and made.rank == 1 and asked.quantity == "difference":
            column = design.table[asked.over].astype(str).to_numpy()
            sides = [column == level for level in asked.levels]
            if all((np.bincount(design.blocks[s], minlength=made.n) == 1).all() for s in sides):
                after, before = (y[s][np.argsort(design.blocks[s])] for s in sides)
                return signed_rank(after - before, interval)
    raise Refused(
        "There is no exact rank test of this question.",
        field="inference.exact",
        found=f"{design.formula}, {asked.name}, {question.settings.sign}",
        expected="two groups, two sessions, a mean, or a score in 3 to 9 people; no other term",
        mend='use method = "max-t", which uses all relabellings of small designs',
    )
