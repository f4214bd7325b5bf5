"""Designs: a formula and a table become a matrix whose effects have names."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from formulaic import Formula
from numpy.typing import NDArray

from ekbom.inference.formula import PARTICIPANT, parse
from ekbom.inference.prepare import (
    SESSION,
    centred,
    check_levels,
    check_names,
    check_severity,
    complete_rows,
    normalised,
    read_columns,
    refused,
    shown,
)
from ekbom.inference.settings import Settings


@dataclass(frozen=True)
class Design:
    """A model matrix with the meaning of its columns.

    Parameters
    ----------
    formula : str
        As written.
    matrix : (n, p) float64
        One row a scan, covariates centred as ``centre`` says.
    columns : tuple of str
        Names of the columns of ``matrix``.
    terms : tuple of str
        Terms of the formula, participant left out.
    term_factors : tuple of tuple of str
        Names that make up each term, in the order of ``terms``.
    intercept : bool
        Whether the formula has one.
    factors : mapping of str to tuple of str
        Categorical factors and their levels, in alphabetical order.
    covariates : mapping of str to float
        Continuous covariates and the value (on the scale of ``matrix``) that
        counts as their reference: 0 when centred, the mean when not.
    means : mapping
        What was subtracted: a number, or one a level of ``group``.
    participants, sessions : tuple of str, length n
        Who and when, row by row; ``"n/a"`` without sessions.
    within : bool
        True when the formula holds ``participant``: effects are asked within persons.
    centre : str
        How covariates were centred: ``"mean"``, ``"group"`` or ``"none"``.
    table : pandas.DataFrame
        The columns used, before centring.
    kept : (n,) int
        Rows of the table that are rows of the design.
    spec : object
        What formulaic needs to make the same columns for other rows.
    dropped : tuple of str
        Rows left out, with the reason.
    warnings : tuple of str
        What a reader should know about the balance of the design.
    """

    formula: str
    matrix: NDArray[np.float64]
    columns: tuple[str, ...]
    terms: tuple[str, ...]
    term_factors: tuple[tuple[str, ...], ...]
    intercept: bool
    factors: Mapping[str, tuple[str, ...]]
    covariates: Mapping[str, float]
    means: Mapping[str, Any]
    participants: tuple[str, ...]
    sessions: tuple[str, ...]
    within: bool
    centre: str
    table: pd.DataFrame = field(repr=False)
    kept: NDArray[np.intp] = field(repr=False)
    spec: Any = field(repr=False)
    dropped: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """Number of rows (scans)."""
        return len(self.participants)

    @property
    def repeated(self) -> bool:
        """Whether a participant has more than one row."""
        return len(set(self.participants)) < self.n

    @property
    def blocks(self) -> NDArray[np.intp]:
        """Participant of each row as a number, (n,)."""
        return np.unique(np.array(self.participants), return_inverse=True)[1]

    def rows_at(self, cells: pd.DataFrame) -> NDArray[np.float64]:
        """Return the model rows (k, p) of hypothetical cells (factors and covariates by name)."""
        return np.asarray(self.spec.get_model_matrix(cells), float)

    def digest(self) -> str:
        """SHA-256 of matrix, column names and row order."""
        h = hashlib.sha256()
        h.update(np.ascontiguousarray(np.round(self.matrix, 12)).tobytes())
        h.update("\x1f".join((*self.columns, *self.participants, *self.sessions)).encode())
        return h.hexdigest()


def build_design(
    formula: str,
    table: pd.DataFrame,
    settings: Settings | None = None,
    *,
    incomplete: bool = False,
) -> Design:
    """Build the design of a formula on a table.

    Parameters
    ----------
    formula : str
        For example ``"~ group + age"``.
    table : pandas.DataFrame
        One row a scan, with ``participant`` (or ``participant_id``), perhaps
        ``session`` (or ``session_id``) and the columns that the formula names.
    settings : Settings, optional
        ``centre`` and ``allow`` are used.
    incomplete : bool
        Whether persons who lack a session stay in (mixed models).

    Returns
    -------
    Design
        Rows in the order of the table; rows of persons that lack a session of a
        repeated design are dropped and named.

    Raises
    ------
    Refused
        Unknown or missing columns, missing values (with the persons), a factor of
        one level, a level with one person, severity scored in controls, aliased
        columns, no degrees of freedom.
    """
    settings = settings or Settings()
    parsed = parse(formula)
    frame = normalised(table)
    within = PARTICIPANT in parsed.factors
    wanted = {name: f for name, f in parsed.factors.items() if name != PARTICIPANT}
    check_names(parsed, frame)
    data, factors = read_columns(wanted, frame)
    kept, dropped = (
        (np.arange(len(frame)), ()) if incomplete else complete_rows(frame, data, factors, parsed)
    )
    frame = frame.iloc[kept].reset_index(drop=True)
    data = data.iloc[kept].reset_index(drop=True)
    factors = {f: tuple(sorted(set(data[f]))) for f in factors}
    participants = tuple(frame[PARTICIPANT])
    if within and len(set(participants)) == len(participants):
        raise refused(
            "The formula asks within participants, but everybody has one row.",
            "participant",
            found=f"{len(participants)} rows of {len(participants)} participants",
            expected="two or more rows a participant",
            mend="remove `+ participant`, or include further sessions",
        )
    check_levels(factors, data, participants)
    check_severity(wanted, frame, settings)
    used = data.copy()
    data, reference, means = centred(data, factors, frame, settings)
    terms = tuple(
        tuple(f.name for f in term)
        for term in parsed.terms
        if not any(f.name == PARTICIPANT for f in term)
    )
    for term in parsed.terms:
        if len(term) > 1 and any(f.name == PARTICIPANT for f in term):
            raise refused(
                "An interaction with participant leaves nothing to estimate errors from.",
                "model",
                found=formula,
                mend="use `+ participant`",
            )
    intercept = parsed.intercept or within
    text = ["1" if intercept else "0", *(":".join(f"`{f}`" for f in t) for t in terms)]
    built = Formula(" + ".join(text)).get_model_matrix(data, na_action="raise")
    matrix = np.array(built, dtype=float)
    columns = tuple(str(c) for c in built.columns)
    design = Design(
        formula=parsed.text,
        matrix=matrix,
        columns=columns,
        terms=tuple(":".join(t) for t in terms),
        term_factors=terms,
        intercept=intercept,
        factors=factors,
        covariates=reference,
        means=means,
        participants=participants,
        sessions=tuple(frame[SESSION]) if SESSION in frame else ("n/a",) * len(frame),
        within=within,
        centre=settings.centre,
        table=shown(frame, used),
        kept=kept,
        spec=built.model_spec,
        dropped=dropped,
    )
    _aliased(design)
    return design


def _aliased(design: Design) -> None:
    """Refuse columns that others already hold, by name."""
    x = design.matrix
    if design.n - np.linalg.matrix_rank(x) < 1:
        raise refused(
            "The model leaves no degrees of freedom.",
            "model",
            found=f"{design.n} rows for {x.shape[1]} columns ({', '.join(design.columns)})",
            expected="more rows than columns",
            mend="leave covariates out, or include more people",
        )
    bad = dependent(x, design.columns)
    if bad:
        column, others = bad
        raise refused(
            f"The column {column} is aliased: it is a sum of {', '.join(others)}.",
            "model",
            found=design.formula,
            expected="columns that are not functions of each other",
            mend=f"remove {column.split('[')[0]} or one of the others from the formula",
        )


def dependent(x: NDArray[np.float64], columns: tuple[str, ...]) -> tuple[str, list[str]] | None:
    """Return the first column that earlier ones span, and these; None when there is none."""
    scale = np.sqrt(np.square(x).sum(axis=0))
    for j in range(x.shape[1]):
        if scale[j] == 0.0:
            return columns[j], ["nothing (it is 0 in every row)"]
        if j == 0:
            continue
        unit = x[:, :j] / scale[:j]
        weights, *_ = np.linalg.lstsq(unit, x[:, j] / scale[j], rcond=None)
        rest = x[:, j] / scale[j] - unit @ weights
        if np.sqrt(np.square(rest).sum()) < 1e-8:
            return columns[j], [c for c, w in zip(columns, weights, strict=False) if abs(w) > 1e-6]
    return None


def cells(design: Design) -> pd.DataFrame:
    """Return all combinations of factor levels, covariates at their reference."""
    names = list(design.factors)
    rows = list(itertools.product(*(design.factors[name] for name in names))) or [()]
    frame = pd.DataFrame(rows, columns=names, index=range(len(rows)))
    for name, value in design.covariates.items():
        frame[name] = value
    return frame
