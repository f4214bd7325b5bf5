"""Null studies of what may be relabelled: scores, families, repeated scans, the tail, stopping.

The wrong way stands beside the right one, without a gate.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom.inference import Settings, permute
from ekbom.inference.correlation import scored
from ekbom.inference.exact import rank_sum, signed_rank
from ekbom.inference.permute.tail import TAIL, tail_p
from ekbom.inference.question import Question, ask
from ekbom.validate.nullmaps import ALPHA, two_groups
from ekbom.validate.result import Check, binomial_gate

WRONG = "wrong way, shown beside"


def correlations(count: int, seed: int) -> list[Check]:
    """Max-T over correlated heavy-tailed outcomes by mid-ranks and by bent scores."""
    rng = np.random.default_rng([seed, 60])
    mix = np.linalg.cholesky(0.5 * np.ones((10, 10)) + 0.5 * np.eye(10))
    hits = {"mid-ranks (Spearman)": 0, "bent scores": 0, "mid-ranks, age as nuisance": 0}
    for _ in range(count):
        age = rng.normal(size=15)
        table = pd.DataFrame(
            {
                "participant": [f"s{i:02d}" for i in range(15)],
                "irls": np.exp(rng.normal(size=15)) + 0.8 * age,
                "age": age,
            }
        )
        y = rng.standard_t(2, size=(15, 10)) @ mix.T
        for name, how, formula, values in (
            ("mid-ranks (Spearman)", "spearman", "~ irls", y),
            ("bent scores", "bend", "~ irls", y),
            ("mid-ranks, age as nuisance", "spearman", "~ irls + age", y + age[:, None]),
        ):
            settings = Settings("max-t", 200, seed=seed, correlation=how)  # type: ignore[arg-type]
            question = ask(table, formula, "irls", "u", settings)
            scores, made, _ = scored(values, question)
            hits[name] += permute(scores, made, settings).p_corrected.min() <= ALPHA
    return [_gated(f"max-T over 10 outcomes by {name}, n 15", h, count) for name, h in hits.items()]


def families(count: int, seed: int) -> list[Check]:
    """Groups of whole families whose members are alike: exchange of wholes, and of anybody."""
    rng = np.random.default_rng([seed, 70])
    table = pd.DataFrame(
        {
            "participant": [f"s{i:02d}" for i in range(24)],
            "group": np.repeat(["rls", "control"] * 6, 2),
            "family": np.repeat([f"f{i:02d}" for i in range(12)], 2),
        }
    )
    right = _asked(table, "~ group", "rls - control", blocks="family", exchange="whole")
    signed = _asked(
        table, "~ group", "rls - control", blocks="family", exchange="whole", errors="both"
    )
    free = _asked(table, "~ group", "rls - control")
    hits = [0, 0, 0]
    for _ in range(count):
        y = np.repeat(rng.normal(size=(12, 8)), 2, axis=0) + rng.normal(size=(24, 8))
        for j, question in enumerate((right, signed, free)):
            hits[j] += _found(y, question)
    name = "max-T over 8 outcomes, 12 families of 2"
    return [
        _gated(f"{name}, whole families exchanged", hits[0], count),
        _gated(f"{name}, whole families exchanged with signs", hits[1], count),
        Check(f"{name}, people exchanged freely", hits[2], count, "null studies", note=WRONG),
    ]


def repeated(count: int, seed: int) -> list[Check]:
    """Three sessions of each person: an effect of session, and one of group."""
    rng = np.random.default_rng([seed, 80])
    people, sessions = 14, 3
    table = pd.DataFrame(
        {
            "participant": np.repeat([f"s{i:02d}" for i in range(people)], sessions),
            "session": ["one", "two", "three"] * people,
            "group": np.repeat(["rls", "control"] * (people // 2), sessions),
        }
    )
    within = _asked(table, "~ session + participant", "session: two - one")
    between = _asked(table, "~ group * session", "rls - control")
    flat = table.assign(participant=[f"x{i:02d}" for i in range(len(table))])
    wrong = _asked(flat, "~ group", "rls - control")
    hits = [0, 0, 0]
    for _ in range(count):
        y = np.repeat(rng.normal(size=(people, 8)), sessions, axis=0)
        y = y + 0.5 * np.exp(rng.normal(size=(people * sessions, 8)))
        for j, question in enumerate((within, between, wrong)):
            hits[j] += _found(y, question)
    name = "max-T over 8 outcomes, 14 people of 3 scans"
    return [
        _gated(f"{name}, session, exchanged within people", hits[0], count),
        _gated(f"{name}, group, people exchanged whole", hits[1], count),
        Check(f"{name}, group, scans exchanged freely", hits[2], count, "null studies", note=WRONG),
    ]


def few_draws(count: int, seed: int) -> list[Check]:
    """Maximum over regions from 250 draws with a tail, and stopped at 20 of at most 1,000."""
    rng = np.random.default_rng([seed, 90])
    tail = small = stopped = draws = 0
    for study in range(count):
        y = rng.normal(size=(20, 12))
        kind = seed * 100_003 + study
        question = ask(two_groups(10, 10), "~ group", "rls - control", "u", Settings("max-t"))
        got = permute(y, question.model, Settings("max-t", 251, seed=kind))
        p = float(got.p_corrected.min())
        top = got.maxima[:1]
        by_tail = dict(zip(TAIL, tail_p(got.maxima, top, np.array([p]), kind), strict=True))
        extended = float(by_tail["p_tail"][0])
        tail += (extended if np.isfinite(extended) else p) <= ALPHA
        small += (extended if np.isfinite(extended) else p) <= ALPHA / 10
        one = permute(y, question.model, Settings("max-t", 1000, seed=kind, enough=20))
        stopped += one.p_corrected.min() <= ALPHA
        draws += one.plan.n
    low, high = (float(g) for g in binomial_gate(count, ALPHA / 10))
    return [
        _gated("max-T over 12 regions, tail of 250 draws", tail, count),
        Check("the same at .005, under one in 250 draws can tell surely", small, count,
              "null studies at .005", low, high),
        _gated("max-T over 12 regions, stopped at 20 of at most 1,000", stopped, count),
        Check("draws it took, mean", draws / count, count, "draws"),
    ]  # fmt: skip


def exact_tests(count: int, seed: int) -> list[Check]:
    """Size and coverage of exact rank tests of five against six, and of nine pairs."""
    rng = np.random.default_rng([seed, 100])
    sums = signs = inside = within = 0
    for _ in range(count):
        a, b, d = (rng.standard_t(2, size=n) for n in (5, 6, 9))
        got, pair = rank_sum(a + 1.0, b), signed_rank(d + 1.0)
        inside += got.low <= 1.0 <= got.high
        within += pair.low <= 1.0 <= pair.high
        sums += rank_sum(a, b).p <= ALPHA
        signs += signed_rank(d).p <= ALPHA
    # both are discrete: the true size is the largest attainable one under .05
    size = {"rank sum, 5 v 6": (sums, 14 / 462), "signed rank, 9 pairs": (signs, 20 / 512)}
    out = []
    for name, (hits, true) in size.items():
        low, high = (float(g) for g in binomial_gate(count, true))
        note = f"attainable size {true:.4f}"
        unit = "null studies at its own size"
        out.append(Check(f"exact {name}", hits, count, unit, low, high, note=note))
    se = 100 * float(np.sqrt(0.95 * 0.05 / count))
    for name, hits in (("5 v 6", inside), ("9 pairs", within)):
        out.append(
            Check(f"coverage of the exact 95 % interval of a shift, {name}", 100 * hits / count,
                  count, "%", 92, 98 if count >= 500 else 100, se=se)
        )  # fmt: skip
    return out


def _asked(table: pd.DataFrame, formula: str, test: str, **more: object) -> Question:
    return ask(table, formula, test, "u", Settings("max-t", 200, seed=1, **more))  # type: ignore[arg-type]


def _found(y: NDArray[np.float64], question: Question) -> bool:
    got = permute(y, question.model, question.settings, blocks=question.blocks)
    return bool(got.p_corrected.min() <= ALPHA)


def _gated(name: str, hits: int, count: int) -> Check:
    low, high = binomial_gate(count, ALPHA)
    return Check(name, int(hits), count, "null studies", low, high)
