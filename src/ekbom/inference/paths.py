"""A question of mediation: over regions or voxels, to an answer in words."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.inference import pathwords, words
from ekbom.inference.answer import Answer
from ekbom.inference.columns import WHO
from ekbom.inference.formula import PARTICIPANT, Factor
from ekbom.inference.kinds import Ask
from ekbom.inference.mediation import Mediation, Paths, mediate, paths_of
from ekbom.inference.multiple import holm
from ekbom.inference.onmaps import Grid, image, peak_rows, usable_maps
from ekbom.inference.permute.engine import permute
from ekbom.inference.prepare import GROUP, check_severity, normalised, read_columns
from ekbom.inference.question import ask as ask_effect
from ekbom.inference.retest import checked
from ekbom.inference.settings import Settings
from ekbom.nouns import Column, Table

Place = Literal["x", "m", "y"]
_COLUMN = {"x": "cause_", "m": "mediator_", "y": "outcome_"}


def answer_mediation(
    ask: Ask,
    values: NDArray[np.floating[Any]],
    names: list[str],
    unit: str,
    table: pd.DataFrame,
    settings: Settings,
    outcome: str,
    grid: Grid | None = None,
    *,
    asked_as: str = "",
) -> Answer:
    """Answer whether one thing goes with another by way of a third.

    Parameters
    ----------
    ask, values, names, unit, table, settings, outcome, grid, asked_as
        As in :func:`~ekbom.inference.kinds.answer_kind`.

    Returns
    -------
    Answer
        Table ``regions`` (or ``peaks`` over voxels) with the paths a, b, c, c', the
        indirect path a b, its intervals and the test of joint significance; ``values``;
        maps over voxels.

    Raises
    ------
    Refused
        The path does not hold the outcome; a name is missing, not a number, or constant;
        fewer than 8 people; a map as the cause.
    """
    tally: dict[str, int] | None = None
    place, others = _place(ask, asked_as, outcome)
    frame, covariates = _columns(ask, table, others, settings)
    if grid is None:
        kept = checked(values, names, table).astype(float)
        _constant(kept, names)
    else:
        if place == "x":
            raise Refused(
                "The first of the path may not be a map.",
                field="path",
                found=ask.path,
                expected="the map as mediator or as last",
                mend="ask over regions, or take a region of it as the cause",
            )
        kept, grid, counted = usable_maps(values, grid, settings)
        kept, tally = kept.astype(float), counted.as_dict()
    n = len(frame)
    if n < 8:
        raise Refused("There are too few people for a path.", field="among", found=f"{n} people",
                      expected="8 or more; 30 or more for an interval to be trusted")  # fmt: skip
    triple = {p: frame[_COLUMN[p]].to_numpy(float) for p in _COLUMN if p != place}
    z = covariates.to_numpy(float) if covariates.shape[1] else None
    three = {**triple, place: kept}
    found = paths_of(three["x"], three["m"], three["y"], z)
    tests = _joint(place, triple, kept, frame, covariates, settings)
    strata = _strata(table)
    tests.said["strata"] = strata is not None
    asked = ask.steps()
    facts = pathwords.Facts(
        ask, asked, place, outcome, unit, n, covariates.shape[1],
        tests, settings, _warnings(n, strata, covariates, ask),
    )  # fmt: skip
    effect = " -> ".join(asked)
    meta: dict[str, Any] = {
        "kind": "mediation", "outcome": outcome, "unit": unit, "path": asked, "place": place,
        "n": n, "df": int(found.df), "covariates": list(ask.covariates), "effect": effect,
        "alpha": settings.alpha, "interval": settings.interval, "seed": settings.seed,
        "bootstrap": settings.bootstrap, "detectable_r": facts.detectable, "tests": tests.said,
        "strata": None if strata is None else sorted(set(strata.tolist())),
        "warnings": list(facts.warnings),
        "references": words.references("preacher2008", "taylor2012", "mackinnon2002",
                                       "tibbe2022", "freedman1983"),
    }  # fmt: skip

    def one(v: int) -> Mediation:
        three = {**triple, place: kept[:, v]}
        return mediate(
            three["x"], three["m"], three["y"], z, strata=strata,
            draws=settings.bootstrap, interval=settings.interval, seed=settings.seed,
        )  # fmt: skip

    given = normalised(table)
    shown = pd.DataFrame({"participant_id": given[PARTICIPANT], "session_id": "n/a"})
    if GROUP in given:
        shown[GROUP] = given[GROUP].to_numpy()
    for p, name in zip("xmy", asked, strict=True):
        if p != place:
            shown[name] = triple[p]
    for name in map(str, covariates):
        shown[f"covariate {name}"] = covariates[name].to_numpy()
    if grid is None:
        rows = [
            {"region": name, "n": n, **_row(one(j), tests, j), "note": "n/a"}
            for j, name in enumerate(names)
        ]
        result = pd.DataFrame(rows)
        shown = pd.concat([shown, pd.DataFrame(kept, columns=list(names))], axis=1)
        tables = (
            Table("regions", result, pathwords.columns(facts, result)),
            Table("values", shown, _meanings(shown)),
        )  # fmt: skip
        meta["regions"] = list(names)
        return Answer("mediation", effect, tables, (), pathwords.methods(facts),
                      pathwords.results(facts, result), meta)  # fmt: skip
    score = np.sign(found.indirect) * np.minimum(np.abs(found.t_a), np.abs(found.t_b))
    score = np.broadcast_to(score, (kept.shape[1],)).copy()
    passed = tests.p <= settings.alpha
    level = float(np.abs(score[passed]).min()) * (1 - 1e-9) if passed.any() else math.inf
    listed = peak_rows(grid, score, level, connectivity=settings.connectivity)
    rows = [
        {**where, "n": n, "score": score[v], **_row(one(v), tests, v), "selected": True}
        for v, where in listed
    ]
    result = pd.DataFrame(rows)
    maps = _maps(grid, found, score, tests, kept.shape[1])
    meta |= {
        "mask": tally,
        "space": grid.space,
        "voxels": kept.shape[1],
        "significant": int(passed.sum()),
    }
    for k, (v, _) in enumerate(listed):
        shown[f"peak {k + 1}"] = kept[:, v]
    tables = (
        Table("peaks", result, pathwords.columns(facts, result)),
        Table(
            "values",
            shown,
            _meanings(shown),
        ),
    )
    return Answer("mediation", effect, tables, maps, pathwords.methods(facts, grid),
                  pathwords.results(facts, result, meta), meta)  # fmt: skip


def _meanings(shown: pd.DataFrame) -> dict[str, Column]:
    return {**WHO, **{str(c): Column("Value used") for c in shown if c not in WHO}}


def _place(ask: Ask, asked_as: str, outcome: str) -> tuple[Place, dict[str, str]]:
    steps = ask.steps()
    for p, name in zip(("x", "m", "y"), steps, strict=True):
        if name in (asked_as, outcome, asked_as.split(":")[-1]):
            rest = {q: s for q, s in zip("xmy", steps, strict=True) if q != p}
            return p, rest  # type: ignore[return-value]
    raise Refused(
        "The path does not hold the outcome of the question.",
        field="path",
        found=ask.path,
        expected=f"{asked_as or outcome} as one of the three",
        mend="name it in the path as in outcome",
    )


def _columns(
    ask: Ask, table: pd.DataFrame, others: dict[str, str], settings: Settings
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the two named steps and the columns of the covariates, as numbers."""
    frame = normalised(table)
    if frame[PARTICIPANT].duplicated().any():
        twice = frame[PARTICIPANT][frame[PARTICIPANT].duplicated()].iloc[0]
        raise Refused(
            "A path is asked of people who were measured once.",
            field="among",
            found=f"two rows of {twice}",
            expected="one row a person",
            mend="choose one session by `among`",
        )
    steps = {name: Factor(name, name) for name in others.values()}
    data, factors = read_columns(steps, frame)
    for word in factors:
        raise Refused("A step of the path is not a number.", field="path", found=word,
                      expected="a column of numbers")  # fmt: skip
    check_severity(steps, frame, settings)
    for name in map(str, data):
        if not np.ptp(data[name].to_numpy(float)) > 0:
            raise Refused("A step of the path is the same in everybody.", field="path", found=name,
                          expected="a column that varies")  # fmt: skip
    columns = pd.DataFrame({_COLUMN[p]: data[name] for p, name in others.items()})
    held, levels = read_columns({c: Factor(c, c) for c in ask.covariates}, frame)
    parts: dict[str, Any] = {}
    for name in map(str, held):
        if name in levels:
            for level in levels[name][1:]:
                parts[f"{name} {level}"] = (held[name] == level).to_numpy(float)
        else:
            parts[name] = held[name].to_numpy(float) - float(held[name].mean())
    columns.insert(0, PARTICIPANT, frame[PARTICIPANT])
    return columns, pd.DataFrame(parts, index=frame.index)


def _constant(kept: NDArray[np.float64], names: list[str]) -> None:
    for j, name in enumerate(names):
        if not np.isfinite(kept[:, j]).all() or not np.ptp(kept[:, j]) > 0:
            raise Refused("A region cannot be put into the path.", field="regions", found=name,
                          expected="a finite number in everybody, that varies")  # fmt: skip


class Tests:
    """Joint significance by permutation: p of each path, and the larger of both.

    Parameters
    ----------
    p_a, p_b : (V,) float
        Corrected over all outcomes when the path holds them, else of one test.
    alone_a, alone_b : (V,) float
        Uncorrected.
    said : mapping
        How each was corrected, and with how many relabellings.
    """

    def __init__(
        self,
        p_a: NDArray[np.float64],
        p_b: NDArray[np.float64],
        alone_a: NDArray[np.float64],
        alone_b: NDArray[np.float64],
        said: dict[str, Any],
    ) -> None:
        self.p_a, self.p_b, self.alone_a, self.alone_b, self.said = p_a, p_b, alone_a, alone_b, said
        self.p = np.maximum(p_a, p_b)
        self.alone = np.maximum(alone_a, alone_b)


def _joint(
    place: Place,
    triple: dict[str, NDArray[np.float64]],
    kept: NDArray[np.float64],
    frame: pd.DataFrame,
    covariates: pd.DataFrame,
    settings: Settings,
) -> Tests:
    table = frame.copy()
    held = [f"covariate_{k}" for k in range(covariates.shape[1])]
    for name, column in zip(held, covariates, strict=True):
        table[name] = covariates[column].to_numpy(float)
    tail = "".join(f" + {name}" for name in held)
    how = replace(settings, sign="two-sided", blocks=None, method="max-t")

    def run(outcomes: NDArray[np.float64], formula: str, test: str) -> tuple[Any, Any, Any]:
        question = ask_effect(table, formula, test, "", how)
        done = permute(np.ascontiguousarray(outcomes), question.model, how, each=True)
        return done.p_corrected, done.p_uncorrected, done.plan

    v = kept.shape[1]
    x, m, y = (_COLUMN[p] for p in "xmy")
    corrected = {"a": "the largest statistic", "b": "the largest statistic"}
    if place == "m":
        # the partial correlation of m and y given x is the same from either side
        p_a, alone_a, plan = run(kept, f"~ {x}{tail}", x)
        p_b, alone_b, _ = run(kept, f"~ {y} + {x}{tail}", y)
    elif place == "y":
        p_a, alone_a, plan = run(triple["m"][:, None], f"~ {x}{tail}", x)
        p_a, alone_a = np.full(v, p_a[0]), np.full(v, alone_a[0])
        p_b, alone_b, _ = run(kept, f"~ {m} + {x}{tail}", m)
        corrected["a"] = "one test"
    else:
        p_a, alone_a, plan = run(kept, f"~ {m}{tail}", m)
        each = []
        for j in range(v):
            table["cause_"] = kept[:, j]
            each.append(run(triple["y"][:, None], f"~ {m} + cause_{tail}", m)[1][0])
        alone_b = np.array(each)
        p_b = holm(alone_b)
        corrected["b"] = "Holm"
    if v == 1:
        corrected = {"a": "one test", "b": "one test"}
    said = {"corrected": corrected, "relabellings": plan.n, "exhaustive": plan.exhaustive}
    return Tests(p_a, p_b, alone_a, alone_b, said)


def _strata(table: pd.DataFrame) -> NDArray[Any] | None:
    frame = normalised(table)
    if GROUP not in frame or frame[GROUP].nunique() < 2:
        return None
    return frame[GROUP].astype(str).to_numpy()


def _warnings(
    n: int, strata: NDArray[Any] | None, covariates: pd.DataFrame, ask: Ask
) -> tuple[str, ...]:
    out = []
    if n < 30:
        out.append(
            f"With {n} people (fewer than 30) intervals of an indirect path are not reliable, and "
            "only very strong paths could have been found."
        )
    if strata is not None and GROUP not in ask.covariates:
        out.append(
            "Groups are mixed and group is not held constant: a difference between them would "
            "pose as a path."
        )
    return tuple(out)


def _row(one: Mediation, tests: Tests, v: int) -> dict[str, float]:
    p = one.paths
    return {
        "a": float(p.a), "t_a": float(p.t_a), "p_a": tests.p_a[v],
        "b": float(p.b), "t_b": float(p.t_b), "p_b": tests.p_b[v],
        "c": float(p.c), "t_c": float(p.t_c), "c_direct": float(p.direct),
        "t_direct": float(p.t_direct),
        "effect": float(p.indirect), "ci_low": one.percentile[0], "ci_high": one.percentile[1],
        "reduced_low": one.reduced[0], "reduced_high": one.reduced[1],
        "permuted_low": one.permuted[0], "permuted_high": one.permuted[1],
        "se": one.se, "standardised": one.standardised, "df": p.df,
        "p": tests.alone[v], "p_joint": tests.p[v],
        "moderation": one.moderation, "p_moderation": one.moderation_p,
    }  # fmt: skip


def _maps(
    grid: Grid, found: Paths, score: NDArray[np.float64], tests: Tests, v: int
) -> tuple[Any, ...]:
    def full(value: Any) -> NDArray[np.float64]:
        return np.broadcast_to(np.asarray(value, float), (v,))

    return (
        image(grid, "a", full(found.a), "", "path from the first to the mediator"),
        image(grid, "b", full(found.b), "", "path from the mediator to the last, the first held"),
        image(grid, "indirect", full(found.indirect), "", "product of a and b"),
        image(grid, "stat-a", full(found.t_a), "", "t of a", df=int(found.df)),
        image(grid, "stat-b", full(found.t_b), "", "t of b", df=int(found.df) - 1),
        image(grid, "stat-joint", score, "", "the smaller |t| of both, with the sign of a b"),
        image(grid, "pmap-fweJoint", -np.log10(tests.p), "-log10 p",
              "joint significance, each path corrected by its permuted maximum"),
        image(grid, "mask", np.ones(v), "", "voxels that were tested"),
    )  # fmt: skip
