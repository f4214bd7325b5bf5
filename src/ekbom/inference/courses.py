"""A longitudinal question: measurements at several visits to an answer in words."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.inference import coursewords, words
from ekbom.inference.answer import Answer
from ekbom.inference.columns import WHO
from ekbom.inference.design import Design, build_design
from ekbom.inference.formula import formula_names
from ekbom.inference.kinds import Ask
from ekbom.inference.longitudinal import Repeated, repeated
from ekbom.inference.multiple import holm
from ekbom.inference.named import Effect, _difference, _mean, effect
from ekbom.inference.onmaps import Grid
from ekbom.inference.prepare import SESSION, normalised
from ekbom.inference.reml import Contrast
from ekbom.inference.retest import checked
from ekbom.inference.settings import Settings
from ekbom.nouns import Column, Table

BASELINE = "baseline"


def answer_longitudinal(
    ask: Ask,
    values: NDArray[np.floating[Any]],
    names: list[str],
    unit: str,
    table: pd.DataFrame,
    settings: Settings,
    outcome: str,
    grid: Grid | None = None,
) -> Answer:
    """Answer a question about measurements at several visits.

    Parameters
    ----------
    ask, values, names, unit, table, settings, outcome, grid
        As in :func:`~ekbom.inference.kinds.answer_kind`; ``grid`` must be None.

    Returns
    -------
    Answer
        Tables ``regions`` (the effect), ``course`` (adjusted means by visit, and the effect
        at each), ``covariance``, ``visits`` (who was seen when), ``values``.

    Raises
    ------
    Refused
        No sessions; a baseline that the model does not use or people lack; a covariance
        that cannot be estimated.
    """
    if grid is not None:
        raise Refused("A longitudinal question is asked over regions.", field="over",
                      found="voxels", expected="regions")  # fmt: skip
    numbers: NDArray[np.float64] = checked(values, names, table).astype(np.float64)
    rows, courses, parameters, warnings = [], [], [], []
    asked: Effect | None = None
    for j, name in enumerate(names):
        design, kept, dropped = design_of(ask, table, numbers[:, j], settings)
        asked = effect(design, str(ask.test))
        y = numbers[kept, j]
        good = np.isfinite(y)
        model = _fit(ask, design, y, good)
        row: dict[str, Any] = {
            "region": name, "n": len(set(np.array(design.participants)[good])),
            "measurements": int(good.sum()), "mean": float(y[good].mean()),
        }  # fmt: skip
        row |= _tested(model, asked, settings)
        row |= {"structure": model.structure, "note": "n/a"}
        rows.append(row)
        courses += _course(name, design, asked, model, settings, good)
        parameters += _parameters(name, model)
        extra = [*dropped, *(f"{name}: {w}" if len(names) > 1 else w for w in model.warnings)]
        warnings += [w for w in extra if w not in warnings]
    assert asked is not None
    frame = pd.DataFrame(rows)
    frame.insert(list(frame.columns).index("p") + 1, "p_holm", holm(frame["p"].to_numpy(float)))
    visits, seen = _visits(ask, table, numbers)
    facts = coursewords.Facts(
        ask, asked, frame, pd.DataFrame(courses), pd.DataFrame(parameters), seen, unit, outcome,
        settings, tuple(warnings),
    )  # fmt: skip
    warnings += coursewords.dropout_warnings(seen)
    meta = {
        "kind": "longitudinal", "outcome": outcome, "unit": unit, "effect_unit": facts.effect_unit,
        "formula": ask.formula, "effect": asked.name, "meaning": asked.meaning,
        "quantity": asked.quantity, "levels": list(asked.levels), "statistic": asked.kind,
        "n": int(frame["n"].max()), "rows": len(numbers), "covariance": ask.covariance,
        "structure": list(dict.fromkeys(frame["structure"])), "baseline": ask.baseline,
        "alpha": settings.alpha, "interval": settings.interval, "seen": seen,
        "df": float(frame["df"].iloc[0]), "regions": list(names), "warnings": warnings,
        "references": words.references("mallinckrodt2008", "satterthwaite1946", "kenward1997",
                                       "laird1982", "holm1979"),
    }  # fmt: skip
    given = normalised(table)
    shown = pd.DataFrame({"participant_id": given["participant"], "session_id": given[SESSION]})
    factors = [c for c in given.columns if c not in ("participant", SESSION)]
    shown = pd.concat([shown, given[factors], pd.DataFrame(numbers, columns=list(names))], axis=1)
    about = {**WHO, **{c: Column("Covariate or factor, as it was read") for c in factors}}
    about |= {name: Column("Value", unit) for name in names}
    tables = (
        Table("regions", frame, coursewords.columns(facts, frame)),
        Table("course", facts.course, coursewords.course_columns(unit, settings)),
        Table("covariance", facts.parameters, coursewords.covariance_columns(unit)),
        Table("visits", visits, coursewords.visit_columns()),
        Table("values", shown, about),
    )
    return Answer("longitudinal", asked.name, tables, (), coursewords.methods(facts),
                  coursewords.results(facts, warnings), meta)  # fmt: skip


def design_of(
    ask: Ask, table: pd.DataFrame, y: NDArray[np.float64], settings: Settings
) -> tuple[Design, NDArray[np.intp], list[str]]:
    """Return the design of a longitudinal question, its rows, and who had to be left out.

    Parameters
    ----------
    ask : Ask
        What is asked.
    table : pandas.DataFrame
        One row a measurement.
    y : (n,) float64
        The outcome; its value at the baseline session becomes the covariate ``baseline``.
    settings : Settings
        Centring and permissions.

    Returns
    -------
    design, kept, left_out
        ``kept`` are rows of the table.

    Raises
    ------
    Refused
        No sessions, no such baseline session, a model that does not use it.
    """
    frame = normalised(table)
    if SESSION not in frame or frame[SESSION].nunique() < 2:
        raise Refused(
            "A longitudinal question needs two or more sessions.",
            field="session",
            found=", ".join(sorted(set(frame[SESSION]))) if SESSION in frame else "none",
            expected="a row a person and visit, with session_id",
            mend="include the other visits",
        )
    formula = str(ask.formula)
    kept = np.arange(len(frame))
    left: list[str] = []
    uses = BASELINE in formula_names(formula)
    if ask.baseline is None and uses and BASELINE not in frame:
        raise Refused(
            "The model names baseline, but the question does not say which session that is.",
            field="baseline",
            found="nothing",
            expected=", ".join(sorted(set(frame[SESSION]))),
            mend='add baseline = "..." to the question',
        )
    if ask.baseline is not None:
        at = (frame[SESSION] == ask.baseline).to_numpy()
        if not at.any():
            raise Refused(
                "There is no session of the name of the baseline.",
                field="baseline",
                found=ask.baseline,
                expected=", ".join(sorted(set(frame[SESSION]))),
                mend="correct the name",
            )
        if not uses:
            raise Refused(
                "The model does not use the baseline that the question names.",
                field="model",
                found=formula,
                expected="baseline among the terms",
                mend=f'write model = "{formula} + baseline * session"',
            )
        start = dict(zip(frame["participant"][at], y[at], strict=True))
        without = [p for p in dict.fromkeys(frame["participant"]) if not
                   np.isfinite(start.get(p, np.nan))]  # fmt: skip
        if without:
            left = [f"Left out, without a baseline: {', '.join(without)}."]
        keep = ~at & ~frame["participant"].isin(without).to_numpy()
        kept = np.flatnonzero(keep)
        frame = frame.iloc[kept].reset_index(drop=True)
        frame[BASELINE] = [start[p] for p in frame["participant"]]
    return build_design(formula, frame, settings, incomplete=True), kept, left


def visit_order(sessions: list[str], time: dict[str, float] | None = None) -> list[str]:
    """Return sessions in order: by time, else by the numbers in their names.

    Parameters
    ----------
    sessions : list of str
        Names.
    time : dict of str to float, optional
        Mean time of each.

    Returns
    -------
    list of str
        ``baseline`` first when there is one.

    Examples
    --------
    >>> visit_order(["week12", "week6", "baseline"])
    ['baseline', 'week6', 'week12']
    """

    def key(name: str) -> tuple[Any, ...]:
        number = re.search(r"\d+", name)
        place = (time or {}).get(name, float(number[0]) if number else 0.0)
        return (name != BASELINE, place, name)

    return sorted(set(sessions), key=key)


def _fit(ask: Ask, design: Design, y: NDArray[np.float64], good: NDArray[np.bool_]) -> Repeated:
    who, when = np.array(design.participants)[good], np.array(design.sessions)[good]
    time = None
    if ask.time is not None:
        time = pd.to_numeric(design.table[ask.time], errors="coerce").to_numpy(float)[good] if (
            ask.time in design.table) else None  # fmt: skip
        if time is None:
            raise Refused(
                "The time of the visits is not in the model.",
                field="time",
                found=ask.time,
                expected="a covariate of the model",
                mend=f'add {ask.time} to the model, for example "~ arm * {ask.time}"',
            )
    elif ask.covariance == "slope":
        raise Refused(
            "A slope of each person needs the time of the visits.",
            field="time",
            found="nothing",
            expected="a column with weeks or months that the model names",
            mend='add time = "week"',
        )
    order = visit_order(when.tolist())
    return repeated(
        y[good], design.matrix[good], who, when,
        time=time, covariance=ask.covariance, simplify=ask.simplify, visits=order,
    )  # fmt: skip


def _tested(model: Repeated, asked: Effect, settings: Settings) -> dict[str, float]:
    if asked.kind == "F":
        joint = model.fit.joint(asked.matrix)
        return {"F": joint.F, "df1": joint.df1, "df": joint.df2, "p": joint.p}
    return _as_row(model.fit.contrast(asked.matrix[0], settings.interval))


def _as_row(one: Contrast) -> dict[str, float]:
    return {
        "effect": one.estimate, "se": one.se, "ci_low": one.low, "ci_high": one.high,
        "t": one.t, "df": one.df, "p": one.p,
    }  # fmt: skip


def _course(
    region: str,
    design: Design,
    asked: Effect,
    model: Repeated,
    settings: Settings,
    good: NDArray[np.bool_],
) -> list[dict[str, Any]]:
    """Return adjusted means by level and visit, and differences visit by visit."""
    if SESSION not in design.factors:
        return []
    factor = asked.over if asked.over in design.factors and asked.over != SESSION else next(
        (f for f in design.factors if f != SESSION), None
    )  # fmt: skip
    levels: tuple[str, ...] = design.factors[factor] if factor else ("all",)
    column = design.table[factor].astype(str).to_numpy() if factor else np.full(design.n, "all")
    session = np.array(design.sessions)
    out = []
    for visit in visit_order(list(design.factors[SESSION])):
        for level in levels:
            where = {SESSION: visit, **({factor: level} if factor else {})}
            n = int((good & (column == level) & (session == visit)).sum())
            one = model.fit.contrast(_mean(design, where), settings.interval)
            out.append({"region": region, "visit": visit, "what": level, "n": n, **_as_row(one)})
        if asked.levels and factor == asked.over:
            a, b = asked.levels
            gap = _difference(design, f"{a} - {b}", {SESSION: visit})
            if gap is not None:
                one = model.fit.contrast(gap.matrix[0], settings.interval)
                n = int((good & np.isin(column, [a, b]) & (session == visit)).sum())
                out.append({"region": region, "visit": visit, "what": f"{a} - {b}", "n": n,
                            **_as_row(one)})  # fmt: skip
    return out


def _parameters(region: str, model: Repeated) -> list[dict[str, Any]]:
    se = np.sqrt(np.maximum(np.diag(model.fit.theta_cov), 0.0))
    return [
        {"region": region, "parameter": name, "value": value, "se": error}
        for name, value, error in zip(model.names, model.fit.theta, se, strict=True)
    ]


def _visits(
    ask: Ask, table: pd.DataFrame, values: NDArray[np.float64]
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return who was seen at which visits, as patterns, and the numbers by visit."""
    frame = normalised(table)
    frame["there"] = np.asarray(np.isfinite(values).any(axis=1), dtype=object).astype(bool)
    order = visit_order(list(frame[SESSION]))
    held = frame[frame["there"]].groupby("participant")[SESSION].agg(set)
    patterns = held.map(lambda s: " ".join(v if v in s else "-" for v in order))
    counts = patterns.value_counts(sort=False)
    rows = pd.DataFrame({"pattern": counts.index, "n": counts.to_numpy()})
    rows = rows.sort_values(["n", "pattern"], ascending=[False, True]).reset_index(drop=True)
    seen = {v: int(held.map(lambda s, v=v: v in s).sum()) for v in order}
    return rows, seen
