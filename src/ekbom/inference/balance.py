"""What a reader should know about a design before its answer."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ekbom.inference.design import Design
from ekbom.inference.prepare import GROUP, TREATMENT
from ekbom.inference.strata import Model

FEW_DF = 10
HIGH_VIF = 5.0
HIGH_CORRELATION = 0.5
BIG_IMBALANCE = 0.5
"""Standardised difference of a covariate, and difference in the share of a sex, that is named."""


def variance_inflation(design: Design) -> dict[str, float]:
    """Return the variance inflation factor of each column but the intercept.

    Parameters
    ----------
    design : Design
        Design.

    Returns
    -------
    dict
        1 / (1 - R^2) of the column on all others.
    """
    x = design.matrix
    out: dict[str, float] = {}
    for j, name in enumerate(design.columns):
        centred = x[:, j] - x[:, j].mean()
        total = float(centred @ centred)
        if name == "Intercept" or total == 0.0:
            continue
        others = np.column_stack([np.ones(len(x)), np.delete(x, j, axis=1)])
        rest = x[:, j] - others @ (np.linalg.pinv(others) @ x[:, j])
        left = float(rest @ rest)
        out[name] = total / left if left > 1e-12 * total else float("inf")
    return out


def balance(design: Design, model: Model) -> list[str]:
    """Return warnings: few degrees of freedom, collinear columns, groups that differ.

    Parameters
    ----------
    design : Design
        Design.
    model : Model
        Model of the effect, for its degrees of freedom.

    Returns
    -------
    list of str
        Sentences.
    """
    out = [f"Left out: {reason}." for reason in design.dropped]
    if model.df < FEW_DF:
        out.append(
            f"Only {model.df} degrees of freedom: intervals are wide and only large effects show."
        )
    crossed = {t for term in design.term_factors if len(term) > 1 for t in term}
    for name, vif in variance_inflation(design).items():
        if vif > HIGH_VIF and not crossed:
            out.append(
                f"{name} is largely explained by the other terms (variance inflation {vif:.1f})."
            )
    people = pd.Series(design.participants)
    table = design.table.loc[~people.duplicated().to_numpy()]
    if GROUP in table and table[GROUP].astype(str).nunique() == 2:
        out += _between_groups(design, table)
    for column in table.columns:
        if not TREATMENT.match(str(column)) or column in design.factors:
            continue
        rows = table[table[GROUP].astype(str) != "control"] if GROUP in table else table
        if len(set(rows[column].dropna().astype(str))) > 1:
            out.append(f"Treated and untreated people are mixed, and {column} is not in the model.")
    return out


def _between_groups(design: Design, table: pd.DataFrame) -> list[str]:
    out = []
    group = table[GROUP].astype(str).to_numpy()
    first, second = sorted(set(group))
    code = (group == second).astype(float)
    for name in design.covariates:
        values = table[name].to_numpy(float)
        if GROUP in design.factors and np.ptp(values) > 0:
            r = float(np.corrcoef(code, values)[0, 1])
            if abs(r) > HIGH_CORRELATION:
                out.append(f"{name} goes with group (r = {r:.2f}): their effects are hard to part.")
    if GROUP not in design.factors:
        return out
    if "age" in table and "age" not in design.covariates:
        age = pd.to_numeric(table["age"], errors="coerce").to_numpy(float)
        a, b = age[code == 0], age[code == 1]
        spread = np.sqrt((np.nanvar(a, ddof=1) + np.nanvar(b, ddof=1)) / 2)
        if spread > 0 and abs(np.nanmean(a) - np.nanmean(b)) / spread > BIG_IMBALANCE:
            out.append(
                f"{first} and {second} differ in age (means {np.nanmean(a):.1f} and "
                f"{np.nanmean(b):.1f}), and age is not in the model."
            )
    if "sex" in table and "sex" not in design.factors:
        sex = table["sex"].astype(str).to_numpy()
        one = sorted(set(sex))[0]
        share = [float(np.mean(sex[code == c] == one)) for c in (0.0, 1.0)]
        if abs(share[0] - share[1]) > BIG_IMBALANCE / 2:
            out.append(
                f"{first} and {second} differ in sex ({100 * share[0]:.0f} % and "
                f"{100 * share[1]:.0f} % {one}), and sex is not in the model."
            )
    return out
