"""What one person does to an answer: all leave-one-out fits in closed form.

Deleting the rows I of a person changes the coefficients by
(X'X)- x_I (I - H_II)^-1 e_I and the residual sum of squares by
e_I' (I - H_II)^-1 e_I, so no model is fitted again (Cook 1977, 10.2307/1268249).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ekbom.inference.glm import Fit, fit, residuals
from ekbom.inference.strata import Model
from ekbom.inference.sums import products, squares


@dataclass(frozen=True)
class Influence:
    """Answers without each person, (persons, V); NaN when the effect cannot be estimated then.

    Parameters
    ----------
    people : tuple of str
        Who was left out.
    estimate, statistic : (P, V)
        Effect (first row of it) and t or F without the person.
    df : (P,)
        Degrees of freedom then.
    dfbetas : (P, V)
        Change of the effect in units of its standard error without the person.
    cook : (P, V)
        Cook's distance over all coefficients.
    """

    people: tuple[str, ...]
    estimate: NDArray[np.float64]
    statistic: NDArray[np.float64]
    df: NDArray[np.int64]
    dfbetas: NDArray[np.float64]
    cook: NDArray[np.float64]


def influence(
    values: NDArray[np.floating[Any]], model: Model, found: Fit | None = None
) -> Influence:
    """Return all leave-one-person-out answers.

    Parameters
    ----------
    values : (n, V)
        Rows of the design.
    model : Model
        Model of the effect.
    found : Fit, optional
        Its fit, when it is there already.

    Returns
    -------
    Influence
        Estimates, statistics, DFBETAS and Cook's distances.
    """
    found = found or fit(values, model)
    e = residuals(values, model)
    x, c = model.x, model.c
    xtx_inv = np.linalg.pinv(x.T @ x)
    rank = model.rank
    rss = np.square(found.sigma) * model.df
    v = values.shape[1]
    many = model.n
    estimate, statistic = np.full((many, v), np.nan), np.full((many, v), np.nan)
    dfbetas, cook = np.full((many, v), np.nan), np.full((many, v), np.nan)
    dfs = np.zeros(many, np.int64)
    for person in range(many):
        rows = np.flatnonzero(model.person == person)
        xi, ei = x[rows], e[rows]
        gap = np.eye(len(rows)) - xi @ xtx_inv @ xi.T
        lost = 1 if model.stratum == "within" else 0
        dfs[person] = model.df - (len(rows) - lost)
        if np.linalg.eigvalsh(gap)[0] < 1e-9 or dfs[person] < 1:
            continue  # the effect or a column hangs on this person alone
        inner = np.linalg.inv(gap)
        weighted = products(inner, ei)
        shift = products(xtx_inv @ xi.T, weighted)
        left = rss - np.sum(ei * weighted, axis=0)
        xtx_inv_left = xtx_inv + xtx_inv @ xi.T @ inner @ xi @ xtx_inv
        spread = c @ xtx_inv_left @ c.T
        sigma = np.sqrt(np.where(left > 1e-12 * rss, left, np.nan) / dfs[person])
        effect = found.estimate - products(c, shift)
        estimate[person] = effect[0]
        if found.kind == "t":
            statistic[person] = effect[0] / (sigma * np.sqrt(spread[0, 0]))
        else:
            middle = np.linalg.pinv(spread)
            quadratic = np.multiply(effect, products(middle, effect)).sum(axis=0)
            statistic[person] = quadratic / (found.df1 * np.square(sigma))
        if len(c) == 1:
            unit = np.sqrt((c @ xtx_inv @ c.T)[0, 0])
            dfbetas[person] = products(c, shift)[0] / (sigma * unit)
        cook[person] = squares(products(x, shift)) / (rank * np.square(found.sigma))
    return Influence(model.people, estimate, statistic, dfs, dfbetas, cook)
