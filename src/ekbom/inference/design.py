"""Designs: a formula and a table become a matrix whose effects have names."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from formulaic import Formula
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.inference.formula import FUNCTIONS, PARTICIPANT, Factor, Parsed, parse
from ekbom.inference.settings import SEVERITY_WITH_CONTROLS, Settings

CONTROL = "control"
GROUP = "group"
SESSION = "session"
_MISSING = {"", "n/a", "N/A", "na", "NA", "nan", "NaN", "None"}
_SEVERITY = re.compile(r"irls", re.IGNORECASE)
_TREATMENT = re.compile(r"^(treated|treatment|medicated|medication|drug)$", re.IGNORECASE)


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
    table : pandas.DataFrame
        The columns used, before centring.
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


def build_design(formula: str, table: pd.DataFrame, settings: Settings | None = None) -> Design:
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
    _known(parsed, frame)
    data, factors = _columns(wanted, frame)
    kept, dropped = _complete(frame, data, factors, parsed)
    frame = frame.iloc[kept].reset_index(drop=True)
    data = data.iloc[kept].reset_index(drop=True)
    factors = {f: tuple(sorted(set(data[f]))) for f in factors}
    participants = tuple(frame[PARTICIPANT])
    if within and len(set(participants)) == len(participants):
        raise _no(
            "The formula asks within participants, but everybody has one row.",
            "participant",
            found=f"{len(participants)} rows of {len(participants)} participants",
            expected="two or more rows a participant",
            mend="remove `+ participant`, or include further sessions",
        )
    _levels(factors, data, participants)
    _severity(wanted, frame, settings)
    used = data.copy()
    data, reference, means = _centred(data, factors, frame, settings)
    terms = tuple(
        tuple(f.name for f in term)
        for term in parsed.terms
        if not any(f.name == PARTICIPANT for f in term)
    )
    for term in parsed.terms:
        if len(term) > 1 and any(f.name == PARTICIPANT for f in term):
            raise _no(
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
        table=_shown(frame, used),
        kept=kept,
        spec=built.model_spec,
        dropped=dropped,
    )
    _aliased(design)
    return design


def normalised(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with columns ``participant`` and, if any, ``session`` as text."""
    frame = table.reset_index(drop=True).copy()
    for house, bids in ((PARTICIPANT, "participant_id"), (SESSION, "session_id")):
        if house not in frame and bids in frame:
            frame = frame.rename(columns={bids: house})
    if PARTICIPANT not in frame:
        raise _no(
            "The table does not say whose rows these are.",
            "participant",
            found=", ".join(map(str, frame.columns)) or "no columns",
            expected="a column participant or participant_id",
            mend="add the column",
        )
    if len(frame) == 0:
        raise _no(
            "There is nobody in the model.",
            "among",
            found="0 rows",
            expected="rows with an outcome",
            mend="check who is included, and that their scans were measured",
        )
    frame[PARTICIPANT] = frame[PARTICIPANT].astype(str)
    if SESSION in frame:
        frame[SESSION] = frame[SESSION].where(frame[SESSION].notna(), "n/a").astype(str)
    return frame


def _known(parsed: Parsed, frame: pd.DataFrame) -> None:
    from difflib import get_close_matches

    for name in parsed.names:
        if name not in frame:
            close = get_close_matches(name, [str(c) for c in frame.columns], n=1)
            hint = f"did you mean {close[0]}?" if close else "correct the formula"
            raise _no(
                f"The formula names {name}, which is not there.",
                "model",
                found=parsed.text,
                expected=", ".join(map(str, frame.columns)),
                mend=hint,
            )


def _columns(
    wanted: Mapping[str, Factor], frame: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, tuple[str, ...]]]:
    """Return one column a factor: text for categorical ones, float64 for covariates."""
    data: dict[str, Any] = {}
    factors: dict[str, tuple[str, ...]] = {}
    for name, factor in wanted.items():
        raw = frame[factor.column]
        text = raw.astype(object)
        missing = raw.isna().to_numpy() | text.map(
            lambda v: isinstance(v, str) and v.strip() in _MISSING
        ).to_numpy(bool)
        if missing.any():
            who = [_who(frame, int(i)) for i in np.flatnonzero(missing)]
            raise _no(
                f"{factor.column} is missing for {len(who)} of {len(frame)} rows.",
                factor.column,
                found="missing for " + ", ".join(who),
                expected="a value for everybody in the model",
                mend="leave these people out by `among`, or complete the table",
            )
        numeric = pd.to_numeric(raw, errors="coerce")
        is_text = numeric.isna().any() or pd.api.types.is_bool_dtype(raw.dtype)
        if factor.categorical or is_text or isinstance(raw.dtype, pd.CategoricalDtype):
            if factor.function is not None:
                raise _no(f"{factor.name}: {factor.column} is not a number.", factor.column)
            data[name] = [_level(v) for v in text]
            factors[name] = tuple(sorted(set(data[name])))
            continue
        values = numeric.to_numpy(float)
        if factor.function is not None:
            with np.errstate(all="ignore"):
                values = FUNCTIONS[factor.function](values)
        if not np.isfinite(values).all():
            who = [_who(frame, int(i)) for i in np.flatnonzero(~np.isfinite(values))]
            raise _no(
                f"{name} is not a finite number for {len(who)} rows.",
                factor.column,
                found=", ".join(who),
                mend="correct the values, or use another function",
            )
        data[name] = values
    return pd.DataFrame(data, index=frame.index), factors


def _level(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _complete(
    frame: pd.DataFrame,
    data: pd.DataFrame,
    factors: Mapping[str, tuple[str, ...]],
    parsed: Parsed,
) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """Drop persons who lack a cell that varies within persons; refuse a cell held twice."""
    people = frame[PARTICIPANT]
    changing = [f for f in factors if _repeats(data[f], people)]
    everything = np.arange(len(frame))
    if not changing:
        if PARTICIPANT not in parsed.factors:
            return everything, ()
        counts = people.map(people.value_counts())
        alone = (counts < 2).to_numpy()
        if alone.all():
            return everything, ()
        return everything[~alone], tuple(f"{p}: one row only" for p in people[alone])
    cells = data[changing].agg("\x1f".join, axis=1)
    twice = pd.DataFrame({"p": people, "c": cells}).duplicated()
    if twice.any():
        who = _who(frame, int(np.flatnonzero(twice)[0]))
        raise _no(
            f"{who} has two rows for the same {' and '.join(changing)}.",
            changing[0],
            found=cells[twice].iloc[0].replace("\x1f", ", "),
            expected="one row each",
            mend="choose one run or session by `among`",
        )
    whole = set(cells)
    keep = np.ones(len(frame), bool)
    dropped = []
    for person, index in people.groupby(people, sort=False).groups.items():
        missing = whole - set(cells.loc[index])
        if missing:
            keep[np.asarray(index)] = False
            lacking = ", ".join(sorted(m.replace("\x1f", " ") for m in missing))
            dropped.append(f"{person}: no {lacking}")
    if not keep.any():
        raise _no(
            "No participant has every " + " and ".join(changing) + ".",
            changing[0],
            found="; ".join(dropped),
            expected="each of " + ", ".join(sorted(m.replace("\x1f", " ") for m in whole)),
            mend="restrict `among` to sessions that people share",
        )
    return everything[keep], tuple(dropped)


def _repeats(column: pd.Series[Any], people: pd.Series[Any]) -> bool:
    """Whether a factor is crossed with persons: most who change it hold all its levels.

    A scanner that was changed between the sessions of a few is not crossed, and
    nobody is dropped for it.
    """
    held = column.groupby(people).agg(lambda v: len(set(v)))
    changed = held[held > 1]
    return len(changed) > 0 and bool((changed == len(set(column))).mean() >= 0.5)


def _levels(
    factors: Mapping[str, tuple[str, ...]], data: pd.DataFrame, participants: tuple[str, ...]
) -> None:
    people = np.array(participants)
    for name, levels in factors.items():
        if len(levels) < 2:
            raise _no(
                f"{name} has one level only.",
                name,
                found=f"{levels[0]} in all {len(people)} rows" if levels else "none",
                expected="two or more levels",
                mend=f"remove {name} from the formula, or include the others by `among`",
            )
        for level in levels:
            members = sorted(set(people[(data[name] == level).to_numpy()]))
            if len(members) == 1:
                raise _no(
                    f"{name} {level} has one member.",
                    name,
                    found=members[0],
                    expected="two or more people in each level",
                    mend=f"leave {members[0]} out by `among`, or join levels",
                )


def _severity(wanted: Mapping[str, Factor], frame: pd.DataFrame, settings: Settings) -> None:
    if GROUP not in frame or SEVERITY_WITH_CONTROLS in settings.allow:
        return
    healthy = (frame[GROUP].astype(str) == CONTROL).to_numpy()
    for factor in wanted.values():
        if not _SEVERITY.search(factor.column) or not healthy.any():
            continue
        score = pd.to_numeric(frame[factor.column], errors="coerce").to_numpy(float)
        zero = healthy & (score == 0.0)
        if zero.any() and not healthy.all():
            raise _no(
                f"The model of severity ({factor.column}) includes healthy people scored 0: "
                "a difference between the groups would pose as a slope.",
                factor.column,
                found=f"{int(zero.sum())} controls with {factor.column} 0, "
                f"beginning with {_who(frame, int(np.flatnonzero(zero)[0]))}",
                expected="patients only",
                mend="restrict by among = \"group == 'rls'\"; if it is meant, say "
                f'inference.allow = ["{SEVERITY_WITH_CONTROLS}"]',
            )


def _centred(
    data: pd.DataFrame,
    factors: Mapping[str, tuple[str, ...]],
    frame: pd.DataFrame,
    settings: Settings,
) -> tuple[pd.DataFrame, dict[str, float], dict[str, Any]]:
    data = data.copy()
    reference: dict[str, float] = {}
    means: dict[str, Any] = {}
    # One vote a person: somebody with two scans does not weigh twice.
    people = frame[PARTICIPANT]
    for name in data.columns:
        if name in factors:
            continue
        person = data[name].groupby(people).transform("mean")
        votes = 1.0 / people.map(people.value_counts()).to_numpy(float)
        if settings.centre == "none":
            reference[name] = float(np.average(person, weights=votes))
            continue
        reference[name] = 0.0
        if settings.centre == "mean":
            mean = float(np.average(person, weights=votes))
            data[name] = data[name] - mean
            means[name] = mean
            continue
        if GROUP not in frame:
            raise _no(
                "Covariates cannot be centred within group: there is no column group.",
                "inference.centre",
                found="group",
                expected="mean or none",
                mend='use centre = "mean"',
            )
        levels = frame[GROUP].astype(str)
        by = {
            str(g): float(np.average(person[levels == g], weights=votes[(levels == g).to_numpy()]))
            for g in sorted(set(levels))
        }
        data[name] = data[name] - levels.map(by).astype(float)
        means[name] = by
    return data, reference, means


def _aliased(design: Design) -> None:
    """Refuse columns that others already hold, by name."""
    x = design.matrix
    if design.n - np.linalg.matrix_rank(x) < 1:
        raise _no(
            "The model leaves no degrees of freedom.",
            "model",
            found=f"{design.n} rows for {x.shape[1]} columns ({', '.join(design.columns)})",
            expected="more rows than columns",
            mend="leave covariates out, or include more people",
        )
    bad = dependent(x, design.columns)
    if bad:
        column, others = bad
        raise _no(
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


def _shown(frame: pd.DataFrame, used: pd.DataFrame) -> pd.DataFrame:
    keep = [c for c in (GROUP, "sex", "age") if c in frame and c not in used]
    extra = [c for c in frame.columns if _TREATMENT.match(str(c)) and c not in used]
    return pd.concat([used, frame[keep + extra]], axis=1)


def _who(frame: pd.DataFrame, row: int) -> str:
    name = str(frame[PARTICIPANT].iloc[row])
    if SESSION in frame and frame[SESSION].iloc[row] not in _MISSING:
        return f"{name} {frame[SESSION].iloc[row]}"
    return name


def _no(
    what: str,
    field: str,
    found: object = None,
    expected: object = None,
    mend: str | None = "correct the formula or the table",
) -> Refused:
    return Refused(what, field=field, found=found, expected=expected, mend=mend)
