"""Correlation by ranks, or with bent margins, in the place of least squares on raw values.

Each outcome and each continuous covariate is replaced once by its mid-ranks (Spearman) or by
its percentage-bend scores (Wilcox 1994); then everything is as before, and since scores travel
with the people, relabelling them is relabelling the scores. With nuisance covariates it is the
partial correlation of scores. The slope in the table stays the plain one, in its unit.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from ekbom.errors import Refused
from ekbom.inference.glm import Fit, fit
from ekbom.inference.influence import Influence, influence
from ekbom.inference.question import Question
from ekbom.inference.strata import Model

BEND = 0.2
"""Share of values that bending keeps from counting in full (Wilcox)."""
_CHUNK = 16_384


def mid_ranks(values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return mid-ranks along the first axis.

    Examples
    --------
    >>> mid_ranks(np.array([[3.0], [1.0], [3.0]]))[:, 0]
    array([2.5, 1. , 2.5])
    """
    out = np.empty(values.shape)
    for start in range(0, values.shape[1], _CHUNK):
        part = slice(start, start + _CHUNK)
        out[:, part] = rankdata(values[:, part], axis=0)
    return out


def bent(values: NDArray[np.floating[Any]], beta: float = BEND) -> NDArray[np.float64]:
    """Return percentage-bend scores along the first axis, from -1 to 1.

    Parameters
    ----------
    values : (n, V)
        Outcomes.
    beta : float
        Share of the smallest deviations from the median that sets the scale is 1 - beta.

    Returns
    -------
    ndarray, (n, V)
        (x - phi) / omega cut at -1 and 1; 0 where more than 1 - beta of the values are the same.
    """
    x = np.asarray(values, float)
    n = len(x)
    median = np.median(x, axis=0)
    m = int(np.floor((1.0 - beta) * n + 0.5))
    omega = np.sort(np.abs(x - median), axis=0)[m - 1]
    safe = np.where(omega > 0.0, omega, 1.0)
    psi = (x - median) / safe
    below, above = psi < -1.0, psi > 1.0
    inside = np.where(below | above, 0.0, x).sum(axis=0)
    outside = below.sum(axis=0) + above.sum(axis=0)
    shift = omega * (above.sum(axis=0) - below.sum(axis=0).astype(float))
    phi = (shift + inside) / (n - outside)
    return np.where(omega > 0.0, np.clip((x - phi) / safe, -1.0, 1.0), 0.0)


def scored(
    values: NDArray[np.floating[Any]], question: Question
) -> tuple[NDArray[np.floating[Any]], Model, Fit]:
    """Return what is tested: the values, the model and its fit.

    Parameters
    ----------
    values : (n, V)
        Rows of the design.
    question : Question
        With ``settings.correlation``.

    Returns
    -------
    tuple of (n, V) array, Model, Fit
        For ``"pearson"`` the values and the model as they are. Else scores and their model;
        the fit has the statistic of the scores, and the slope and its error of the values.

    Raises
    ------
    Refused
        An effect that is no slope, repeated rows, products of covariates.
    """
    how, model, design = question.settings.correlation, question.model, question.design
    plain = fit(values, model)
    if how == "pearson":
        return values, model, plain
    wrong = None
    if question.effect.quantity != "slope" or model.kind != "t":
        wrong = f"{question.effect.name}, which is no slope"
    elif model.stratum != "persons" or model.weight is not None:
        wrong = "repeated or weighted rows"
    elif any(":" in c for c in design.columns):
        wrong = ", ".join(c for c in design.columns if ":" in c)
    if wrong is not None:
        raise Refused(
            f"inference.correlation = {how!r} is for a slope over people.",
            field="inference.correlation",
            found=wrong,
            expected="a continuous covariate as the effect, one row a person, no products",
            mend='use correlation = "pearson"',
        )
    score = mid_ranks if how == "spearman" else bent
    x = model.x.copy()
    for j, name in enumerate(design.columns):
        if name in design.covariates:
            column = score(x[:, [j]])
            x[:, j] = (column - column.mean(axis=0))[:, 0]
    made = dataclasses.replace(model, x=x)
    if made.rank < model.rank:
        raise Refused(
            "The covariates cannot be told apart by their scores.",
            field="inference.correlation",
            found=design.formula,
            expected="covariates with different orders",
            mend='leave one out, or use correlation = "pearson"',
        )
    scores = score(values)
    return scores, made, dataclasses.replace(
        fit(scores, made), estimate=plain.estimate, se=plain.se, beta=plain.beta, sigma=plain.sigma
    )  # fmt: skip


def influence_of(
    values: NDArray[np.floating[Any]], scores: NDArray[np.floating[Any]],
    question: Question, made: Model,
) -> Influence:  # fmt: skip
    """Return leave-one-out answers: statistics of the scores (not scored anew), the rest plain."""
    plain = influence(values, question.model)
    if made is question.model:
        return plain
    return dataclasses.replace(plain, statistic=influence(scores, made).statistic)
