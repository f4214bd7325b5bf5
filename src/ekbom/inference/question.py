"""A question taken apart, and what the answers over regions and voxels share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.inference import words
from ekbom.inference.balance import balance, variance_inflation
from ekbom.inference.columns import WHO
from ekbom.inference.design import Design, build_design
from ekbom.inference.effects import Size
from ekbom.inference.formula import PARTICIPANT
from ekbom.inference.glm import Fit
from ekbom.inference.influence import Influence
from ekbom.inference.named import Effect, effect
from ekbom.inference.permute.engine import Permuted
from ekbom.inference.settings import Settings
from ekbom.inference.strata import Model, model
from ekbom.inference.tails import log_sf_f, p_of_t
from ekbom.nouns import Column, Table


@dataclass(frozen=True)
class Question:
    """A question taken apart: what regions and voxels have in common."""

    design: Design
    effect: Effect
    model: Model
    settings: Settings
    blocks: NDArray[Any] | None
    unit: str
    effect_unit: str
    warnings: tuple[str, ...]


def ask(table: pd.DataFrame, formula: str, test: str, unit: str, settings: Settings) -> Question:
    """Build design, effect and model of a question.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a scan.
    formula, test : str
        Model and named effect.
    unit : str
        Unit of the outcome.
    settings : Settings
        Choices.

    Returns
    -------
    Question
        All that fitting needs.
    """
    design = build_design(formula, table, settings)
    asked = effect(design, test)
    if asked.kind == "F" and settings.sign != "two-sided":
        raise Refused(
            f"{asked.name!r} is tested by F, which has no sign.",
            field="inference.sign",
            found=settings.sign,
            expected="two-sided",
            mend="ask for a difference or a slope, or remove the sign",
        )
    made = model(design, asked)
    blocks = _blocks(table, design, made, settings)
    warnings = balance(design, made)
    effect_unit = f"{unit} per unit of {asked.over}" if asked.quantity == "slope" else unit
    return Question(design, asked, made, settings, blocks, unit, effect_unit, tuple(warnings))


def size_columns(size: Size, joint: bool) -> dict[str, float]:
    """Return the columns of an effect's size."""
    if joint:
        low, high = size.partial_r2_ci
        return {
            "partial_r2": size.partial_r2, "partial_r2_low": low, "partial_r2_high": high
        }  # fmt: skip
    return {
        "percent": size.percent, "percent_low": size.percent_ci[0],
        "percent_high": size.percent_ci[1],
        "g": size.g, "g_low": size.g_ci[0], "g_high": size.g_ci[1],
        "r": size.r, "r_low": size.r_ci[0], "r_high": size.r_ci[1],
    }  # fmt: skip


def least(found: Fit, left_out: Influence, v: int, sign: str) -> tuple[float, float, str]:
    """Return the statistic nearest to none when one person is left out, its p and who it is."""
    column = left_out.statistic[:, v]
    if not np.isfinite(column).any():
        return math.nan, math.nan, "n/a"
    toward = column * np.sign(found.statistic[v]) if found.kind == "t" else column
    who = int(np.nanargmin(toward))
    stat, df = float(column[who]), int(left_out.df[who])
    return stat, float(p_of(found, np.array([stat]), df, sign)[0]), left_out.people[who]


def p_of(found: Fit, stat: NDArray[np.float64], df: Any, sign: str) -> NDArray[np.float64]:
    """Return the uncorrected p of statistics of the kind of a fit, at other degrees of freedom."""
    if found.kind == "t":
        return p_of_t(stat, df, sign)
    return np.asarray(np.exp(log_sf_f(stat, found.df1, df)))


def labels(question: Question) -> dict[str, str]:
    """Return the words that the columns of an effect table need."""
    asked = question.effect
    out = {"effect": asked.meaning}
    if len(asked.levels) == 2:
        out["a"], out["b"] = asked.levels
    out["g"] = {
        "within": "change over the standard deviation of the change",
        "persons": "difference over the residual standard deviation",
        "between": "difference over the residual standard deviation of persons",
    }[question.model.stratum]
    return out


def design_table(design: Design, asked: Effect, made: Model) -> Table:
    """Return the matrix of a design with its rows named, and the effect as contrast."""
    frame = pd.DataFrame({"participant_id": design.participants, "session_id": design.sessions})
    matrix = pd.DataFrame(design.matrix, columns=list(design.columns))
    vif = variance_inflation(design)
    meanings = dict(WHO)
    for column in design.columns:
        word = f", variance inflation {vif[column]:.2f}" if column in vif else ""
        meanings[column] = Column(f"Column of the model{word}")
    meta = {
        "formula": design.formula,
        "terms": list(design.terms),
        "effect": asked.name,
        "contrast": np.round(asked.matrix, 12).tolist(),
        "columns": list(design.columns),
        "centring": design.centre,
        "means": dict(design.means),
        "stratum": made.stratum,
        "sha256": design.digest(),
    }
    return Table("design", pd.concat([frame, matrix], axis=1), meanings, meta)


def common_meta(
    question: Question,
    found: Fit,
    permuted: Permuted | None,
    warnings: Sequence[str],
    outcome: str,
    over: str = "",
) -> dict[str, Any]:
    """Return what the sidecars of any answer say."""
    design, asked, made, settings = (
        question.design, question.effect, question.model, question.settings
    )  # fmt: skip
    out: dict[str, Any] = {
        "outcome": outcome,
        "unit": question.unit,
        "effect_unit": question.effect_unit,
        "formula": design.formula,
        "effect": asked.name,
        "meaning": asked.meaning,
        "quantity": asked.quantity,
        "levels": list(asked.levels),
        "statistic": found.kind,
        "n": made.n,
        "rows": design.n,
        "participants": list(made.people),
        "df": found.df,
        "df1": found.df1,
        "stratum": made.stratum,
        "sign": settings.sign if found.kind == "t" else "none (F)",
        "alpha": settings.alpha,
        "interval": settings.interval,
        "method": settings.method,
        "correlation": settings.correlation,
        "centring": design.centre,
        "means": dict(design.means),
        "design_sha256": design.digest(),
        "dropped": list(design.dropped),
        "warnings": list(warnings),
        "references": words.references(*words.cited(question, permuted, over)),
    }
    if permuted is not None:
        plan = permuted.plan
        out |= {
            "permutations": plan.n,
            "possible": plan.possible,
            "exhaustive": plan.exhaustive,
            "exchange": plan.mode,
            "exchange_of": plan.how,
            "seed": plan.seed,
            "enough": plan.enough,
            "tail": settings.tail and not plan.exhaustive,
            "threshold": permuted.threshold if math.isfinite(permuted.threshold) else None,
        }
    return out


def _blocks(
    table: pd.DataFrame, design: Design, made: Model, settings: Settings
) -> NDArray[Any] | None:
    """Return the blocks of exchange, by row of the model."""
    name = settings.blocks
    if name is None or name in (PARTICIPANT, "participant_id"):
        return None
    if name not in table:
        raise Refused(
            f"There is no column {name} for blocks of exchange.",
            field="inference.blocks",
            found=name,
            expected=", ".join(map(str, table.columns)),
            mend="correct the name",
        )
    column = table[name].astype(str).to_numpy()[design.kept]
    if made.stratum == "within":
        return None  # sessions are exchanged within persons, who lie inside the blocks
    if made.stratum == "persons":
        return column
    first = np.array([np.flatnonzero(design.blocks == b)[0] for b in range(made.n)])
    if any(len(set(column[design.blocks == b])) > 1 for b in range(made.n)):
        raise Refused(
            f"{name} changes within participants, and the effect is between them.",
            field="inference.blocks",
            found=name,
            expected="a column that is constant within participants",
            mend="use another column",
        )
    return np.asarray(column[first])
