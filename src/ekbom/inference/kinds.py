"""The kinds of question beside the plain effect: what each says, and who answers it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.inference.answer import Answer
from ekbom.inference.formula import formula_names
from ekbom.inference.onmaps import Grid
from ekbom.inference.settings import Settings


@dataclass(frozen=True)
class Ask:
    """What a question says beyond how it is inferred.

    Parameters
    ----------
    kind : {"equivalence", "mediation", "conjunction", "longitudinal", "power"}
        What is asked.
    formula, test : str or None
        Model and named effect.
    bounds : float or list of float, optional
        Equivalence: from which size on an effect would matter.
    bounds_in : {"outcome", "g", "percent"}
        Unit of the bounds.
    path : str or None
        Mediation: ``"ferritin -> pet.VT -> irls_total"``; one of the three is the outcome.
    covariates : tuple of str
        Mediation: names held constant on every path.
    tests : tuple of str
        Conjunction: the effects that shall all be there.
    null : {"conjunction", "global"}
        Conjunction: what is refuted.
    covariance : {"unstructured", "slope", "intercept"}
        Longitudinal: how measurements of a person belong together.
    baseline : str or None
        Longitudinal: session whose value is a covariate and no outcome.
    time : str or None
        Longitudinal: column with the time of each visit, for ``covariance = "slope"``.
    simplify : bool
        Longitudinal: whether a covariance that cannot be estimated may be simplified.
    sizes : tuple of float
        Power: true effects to try.
    sizes_in : {"g", "r", "outcome"} or None
        Power: their unit; standard deviations for a difference, partial correlations for a
        slope by default.
    power : float
        Power: what is wished.
    """

    kind: str
    formula: str | None = None
    test: str | None = None
    bounds: float | tuple[float, ...] | None = None
    bounds_in: str = "outcome"
    path: str | None = None
    covariates: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    null: str = "conjunction"
    covariance: str = "unstructured"
    baseline: str | None = None
    time: str | None = None
    simplify: bool = False
    sizes: tuple[float, ...] = ()
    sizes_in: str | None = None
    power: float = 0.8

    def names(self) -> list[str]:
        """Return the columns that the question needs beside its outcome."""
        found = list(formula_names(self.formula)) if self.formula else []
        found += self.covariates
        found += [self.time] if self.time else []
        found += [name for name in self.steps() if name]
        return list(dict.fromkeys(found))

    def steps(self) -> list[str]:
        """Return the three names of a path, empty without one.

        Raises
        ------
        Refused
            Not three names with arrows between them.
        """
        if self.path is None:
            return []
        parts = [p.strip() for p in self.path.split("->")]
        if len(parts) != 3 or not all(parts) or len(set(parts)) < 3:
            raise Refused(
                "The path does not name three different things.",
                field="path",
                found=self.path,
                expected="cause -> mediator -> outcome",
                mend='write it like "ferritin -> pet.VT -> irls_total"',
            )
        return parts


def answer_kind(
    ask: Ask,
    values: NDArray[np.floating[Any]],
    names: Sequence[str],
    unit: str,
    table: pd.DataFrame,
    settings: Settings,
    outcome: str,
    *,
    grid: Grid | None = None,
    asked_as: str = "",
    workers: int = 1,
) -> Answer:
    """Answer a question of one of these kinds.

    Parameters
    ----------
    ask : Ask
        What is asked.
    values : (n, V) float
        One row a scan, one column a region or voxel.
    names : sequence of str
        Regions; unused with a grid.
    unit : str
        Unit of the values.
    table : pandas.DataFrame
        n rows: ``participant``, perhaps ``session``, and :meth:`Ask.names`.
    settings : Settings
        How it is inferred.
    outcome : str
        What the values are, for the words.
    grid : Grid, optional
        Where voxels lie; None for regions.
    asked_as : str
        The outcome as the plan names it (``pet.VT``), as it may stand in a path.
    workers : int
        Threads; the answer does not depend on them.

    Returns
    -------
    Answer
        Tables, maps, words.

    Raises
    ------
    Refused
        What is wrong with the question or the data, by name.
    """
    given = (ask, np.asarray(values), list(names), unit, table, settings, outcome, grid)
    if ask.kind == "equivalence":
        from ekbom.inference.claims import answer_equivalence

        return answer_equivalence(*given)
    if ask.kind == "longitudinal":
        from ekbom.inference.courses import answer_longitudinal

        return answer_longitudinal(*given)
    if ask.kind == "mediation":
        from ekbom.inference.paths import answer_mediation

        return answer_mediation(*given, asked_as=asked_as)
    if ask.kind == "conjunction":
        from ekbom.inference.conjoint import answer_conjunction

        return answer_conjunction(*given)
    if ask.kind == "power":
        from ekbom.inference.planning import answer_power

        return answer_power(*given)
    raise ValueError(ask.kind)


def check_kind(ask: Ask, table: pd.DataFrame, settings: Settings) -> None:
    """Refuse what is wrong with a question whatever its numbers will be.

    Parameters
    ----------
    ask : Ask
        What is asked.
    table : pandas.DataFrame
        Its rows, without an outcome.
    settings : Settings
        How it is inferred.

    Raises
    ------
    Refused
        A formula or an effect that the design does not have.
    """
    from ekbom.inference.design import build_design
    from ekbom.inference.named import effect

    if ask.kind == "mediation" or ask.formula is None:
        return
    if ask.kind == "longitudinal":
        from ekbom.inference.courses import design_of

        design = design_of(ask, table, np.arange(float(len(table))), settings)[0]
    else:
        design = build_design(ask.formula, table, settings)
    for test in ask.tests or (str(ask.test),):
        effect(design, test)
