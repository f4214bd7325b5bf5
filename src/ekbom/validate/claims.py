"""Closed loops of the kinds of question: equivalence, paths, visits, conjunctions, power.

Each is simulated with a known truth; error rates have binomial 99.9 % gates, coverage
92 to 98 %. What the specification only prints has no gate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats

from ekbom.errors import Refused
from ekbom.inference import Settings, fit, permute
from ekbom.inference.conjunction import GlobalNull, conjunction_p, least_statistic
from ekbom.inference.equivalence import tost
from ekbom.inference.glm import residuals
from ekbom.inference.longitudinal import mmrm, repeated
from ekbom.inference.mediation import detectable, mediate, paths_of
from ekbom.inference.power import draw, power_of_t
from ekbom.inference.question import Question, ask
from ekbom.inference.strata import Model
from ekbom.validate.result import Check, binomial_gate

ALPHA = 0.05
INTERVALS = {
    "reduced": "reduced bias correction",
    "percentile": "percentile",
    "permuted": "permuted residuals",
    "bca": "BCa",
}
STUDY = {"a": 0.35, "b": 0.35, "direct": 0.15}
"""Iron to dopamine, dopamine to symptom, and the rest, in standard deviations."""


def _table(n1: int, n2: int) -> pd.DataFrame:
    return pd.DataFrame({
        "participant": [f"s{i:02d}" for i in range(n1 + n2)],
        "group": ["rls"] * n1 + ["control"] * n2,
    })  # fmt: skip


def _question(n1: int, n2: int, settings: Settings | None = None) -> Question:
    return ask(_table(n1, n2), "~ group", "rls - control", "u", settings or Settings())


def _at_most(name: str, hits: int, count: int, note: str = "") -> Check:
    high = float(binomial_gate(count, ALPHA)[1])
    return Check(name, int(hits), count, "null studies", math.nan, high, note=note)


def _near(name: str, hits: int, count: int, note: str = "") -> Check:
    low, high = binomial_gate(count, ALPHA)
    return Check(name, int(hits), count, "null studies", low, high, note=note)


def _covers(name: str, hits: int, count: int, gated: bool = True, note: str = "") -> Check:
    # at few studies the range must leave room for chance
    room = max(3.0, 100 * 3.3 * math.sqrt(0.95 * 0.05 / count)) if gated else math.nan
    return Check(f"coverage of the 95 % interval of {name}", 100 * hits / count, count, "%",
                 95 - room, min(95 + room, 100.0), se=100 * math.sqrt(0.95 * 0.05 / count),
                 note=note or ("" if gated else "reported, no gate"))  # fmt: skip


def _equivalence(count: int, seed: int) -> list[Check]:
    rng = np.random.default_rng([seed, 100])
    question = _question(15, 12)
    out = []
    limit = count * ALPHA + 3 * math.sqrt(count * ALPHA * (1 - ALPHA))
    for scale, bound, sd in (("outcome", 1.6, 1.0), ("g", 1.2, 1.0), ("percent", 8.0, 1.0)):
        y = 20.0 + sd * rng.normal(size=(27, count))
        # the truth stands on the upper bound, in the unit of the bound
        y[:15] += {"outcome": bound, "g": bound * sd, "percent": 20.0 * bound / 100}[scale]
        got = tost(fit(y, question.model), question.model, question.effect, (-bound, bound), scale)
        hits = int((got.p <= ALPHA).sum())
        out.append(Check(f"equivalence claimed with the truth on the bound, bounds in {scale}",
                         hits, count, "studies", math.nan, limit))  # fmt: skip
    y = rng.normal(size=(27, count * 20)) * 0.5 + 0.5 * np.repeat(
        rng.normal(size=(27, count)), 20, 1
    )
    truth = np.zeros((27, 20 * count))
    truth[:15, ::20] = 1.6  # one region of 20 stands on the bound
    got = tost(fit(y + truth, question.model), question.model, question.effect, (-1.6, 1.6))
    everywhere = (got.p.reshape(count, 20) <= ALPHA).all(axis=1)
    out.append(Check("equivalence claimed everywhere, one of 20 regions on the bound",
                     int(everywhere.sum()), count, "studies", math.nan, limit))  # fmt: skip
    return out


def _chain(
    rng: np.random.Generator, n: int, a: float, b: float, direct: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    x = rng.normal(size=n)
    m = a * x + rng.normal(size=n)
    return x, m, b * m + direct * x + rng.normal(size=n)


def _both(
    maps: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64], seed: int
) -> NDArray[np.float64]:
    """Return p of joint significance, mediators as outcomes of both designs."""
    how, n = Settings("max-t", 200, seed=seed), len(x)
    first, second = _models(n)
    one = np.ones(n)
    a = permute(maps, replace(first, x=np.column_stack([one, x])), how)
    b = permute(maps, replace(second, x=np.column_stack([one, y, x])), how)
    return np.maximum(a.p_corrected, b.p_corrected)


@cache
def _models(n: int) -> tuple[Model, Model]:
    """Return the designs of both paths; their columns are put in for every study."""
    table = pd.DataFrame({"participant": [f"s{i:03d}" for i in range(n)],
                          "x": np.arange(n) % 7.0, "y": np.arange(n) % 5.0})  # fmt: skip
    how = Settings()
    return ask(table, "~ x", "x", "", how).model, ask(table, "~ y + x", "y", "", how).model


def _mediation(count: int, seed: int) -> list[Check]:
    out = _joint_sizes(count, seed)
    for n in (20, 50, 200):
        for a, b in ((0.4, 0.4), (0.0, 0.5)):
            out += _intervals(n, a, b, count, seed)
    return out


def _joint_sizes(count: int, seed: int) -> list[Check]:
    out = []
    for a, b in ((0.0, 0.0), (0.8, 0.0), (0.0, 0.8)):
        rng = np.random.default_rng([seed, 110, round(10 * a), round(10 * b)])
        hits = 0
        for k in range(count):
            x, m, y = _chain(rng, 40, a, b, 0.3)
            hits += bool(_both(m[:, None], x, y, k)[0] <= ALPHA)
        cell = f"joint significance by permutation, n 40, a = {a:g}, b = {b:g}"
        make = _at_most if a == b == 0 else _near
        out.append(make(cell, hits, count, "conservative as it must be" if a == b == 0 else ""))
    rng = np.random.default_rng([seed, 112])
    hits = 0
    for k in range(count):
        x = rng.normal(size=30)
        maps = rng.normal(size=(30, 25)) + 0.9 * x[:, None]  # every a is there, no b
        y = rng.normal(size=30) + 0.5 * x
        hits += bool(_both(maps, x, y, k).min() <= ALPHA)
    out.append(_near("joint significance in any of 25 mediators, all a there, no b", hits, count))
    return out


def _intervals(n: int, a: float, b: float, count: int, seed: int) -> list[Check]:
    rng = np.random.default_rng([seed, 114, n, round(10 * a)])
    inside = {"reduced": 0, "percentile": 0, "permuted": 0, "bca": 0}
    for k in range(count):
        got = mediate(*_chain(rng, n, a, b, 0.2), draws=1000, seed=k)
        for name in inside:
            low, high = getattr(got, name)
            inside[name] += low <= a * b <= high
    return [
        _covers(
            f"a b, {INTERVALS[name]}, n {n}, a = {a:g}, b = {b:g}",
            kept,
            count,
            n >= 30 and name != "bca",
            "not offered, shown beside" if name == "bca" else "",
        )
        for name, kept in inside.items()
    ]


def _visits(
    rng: np.random.Generator, n: int, effect: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.str_]]:
    """Return a trial: 3 visits, correlated, a fifth gone by the last for what was seen before."""
    root = np.linalg.cholesky(np.array([[1, 0.7, 0.6, 0.5], [0.7, 1, 0.7, 0.6],
                                        [0.6, 0.7, 1.2, 0.8], [0.5, 0.6, 0.8, 1.4]]))  # fmt: skip
    y = rng.normal(size=(n, 4)) @ root.T
    arm = np.where(np.arange(n) % 2 == 1, "iron", "placebo")
    y[:, 1:] += effect * (arm == "iron")[:, None]
    for j in (2, 3):  # who did badly before stays away more often
        gone = rng.random(n) < 2 * 0.11 * special.ndtr(y[:, j - 1])
        y[gone | np.isnan(y[:, j - 1]), j] = np.nan
    return y[:, 0], y[:, 1:], arm


def _longitudinal(count: int, seed: int) -> list[Check]:
    out = []
    for n, method in ((40, "satterthwaite"), (16, "satterthwaite"), (16, "kenward-roger")):
        out += _mmrm(n, method, count, seed)
    return out + _slopes(count, seed)


def _mmrm(n: int, method: str, count: int, seed: int) -> list[Check]:
    rng = np.random.default_rng([seed, 120, n])
    hits = joint = plain = inside = bad = gone = 0
    for _ in range(count):
        start, y, arm = _visits(rng, n, 0.5)
        gone += int(np.isnan(y[:, 2]).sum())
        how: Any = {"baseline": start, "reference": "placebo", "small_sample": method}
        try:
            got = mmrm(y, arm, **how)
        except Refused:
            bad += 1
            continue
        one = got.differences["iron", "3"]
        hits += abs(one.estimate - 0.5) / one.se > float(special.stdtrit(one.df, 0.975))
        inside += one.low <= 0.5 <= one.high
        y -= 0.5 * (arm == "iron")[:, None]
        null = mmrm(y, arm, **how)
        joint += null.overall.p <= ALPHA
        gaps = np.eye(6)[3:] - np.eye(6)[:3]
        rows = np.hstack([gaps, np.zeros((3, len(null.columns) - 6))])
        plain += null.model.fit.joint(rows, "satterthwaite").p <= ALPHA
    cell = f"MMRM, {n} people, {100 * gone / (count * n):.0f} % gone by visit 3, {method}"
    first = f"difference at visit 3, {cell}"
    out = [_near(first, hits, count)] if n == 40 else [
        Check(first, hits, count, "null studies", note="printed, no gate")
    ]  # fmt: skip
    if method == "satterthwaite":  # F of all visits does not hang on the choice for single ones
        trial = cell.rsplit(",", 1)[0]
        name = f"any difference at any visit, Kenward and Roger's F, {trial}"
        out.append(_near(name, joint, count))
        out.append(Check("the same by Fai and Cornelius", plain, count, "null studies",
                         note="degrees of freedom alone, shown beside"))  # fmt: skip
    out.append(_covers(f"the difference, {cell}", inside, count - bad, n == 40))
    if bad:
        out.append(Check(f"refused, {cell}", bad, count, "fits"))
    return out


def _slopes(count: int, seed: int) -> list[Check]:
    rng = np.random.default_rng([seed, 121])
    hits = {"slope": 0, "intercept": 0}
    for _ in range(count):
        level, slope = rng.normal(size=(30, 1)), 0.3 * rng.normal(size=(30, 1))
        y = level + slope * np.arange(4.0) + 0.7 * rng.normal(size=(30, 4))
        y[rng.random(y.shape) < 0.15] = np.nan
        who, visit = np.nonzero(np.isfinite(y))
        arm = (who % 2).astype(float)
        x = np.column_stack([np.ones(len(who)), visit, arm, arm * visit])
        for covariance in hits:
            got = repeated(y[who, visit], x, who, visit, time=visit.astype(float),
                           covariance=covariance, simplify=True)  # fmt: skip
            hits[covariance] += got.fit.contrast(np.array([0.0, 0, 0, 1])).p <= ALPHA
    name = "difference of slopes, random slopes, 30 people, 4 visits"
    return [
        _near(name, hits["slope"], count),
        Check(f"{name}, slopes wrongly taken as equal", hits["intercept"], count, "null studies",
              note="wrong way, shown beside"),
    ]  # fmt: skip


def _conjunction(count: int, seed: int) -> list[Check]:
    out = []
    table = pd.DataFrame({"participant": [f"s{i:02d}" for i in range(30)],
                          "arm": np.repeat(["a", "b", "c"], 10)})  # fmt: skip
    for there in (2.5, 0.0):
        rng = np.random.default_rng([seed, 130, round(there)])
        hits = 0
        models = [ask(table, "~ arm", test, "u", Settings()).model for test in ("a - c", "b - c")]
        for k in range(count):
            how = Settings("max-t", 200, seed=k)
            y = rng.normal(size=(30, 8))
            y[:10] += there  # a is there everywhere, b nowhere
            t = np.array([fit(y, m).statistic for m in models])
            least, way = least_statistic(t)
            nulls = [permute(y, m, how).maxima for m in models]
            p = conjunction_p(np.array([[(one >= abs(v) - 1e-9).mean() for v in least]
                                        for one in nulls]))  # fmt: skip
            hits += np.where(way == 0, 1.0, p).min() <= ALPHA
        cell = f"conjunction null, 8 regions, max-T, one effect {there:g} SD, the other absent"
        out.append(_at_most(cell, hits, count, "" if there else "conservative as it must be"))
    rng = np.random.default_rng([seed, 131])
    frame = pd.DataFrame({"participant": [f"s{i:02d}" for i in range(24)],
                          "g": np.tile(["a", "b"], 12),
                          "h": np.repeat(["c", "d"], 12)})  # fmt: skip
    one, two = (ask(frame, "~ g + h", test, "u", Settings()) for test in ("a - b", "c - d"))
    y = rng.normal(size=(24, count))
    t = np.array([fit(y, q.model).statistic for q in (one, two)])
    null = GlobalNull("T", (float(one.model.df),), 2, 2)
    p = null.p_many(np.abs(least_statistic(t)[0]))
    out.append(_near("global null, two orthogonal effects, one region", int((p <= ALPHA).sum()),
                     count))  # fmt: skip
    product = 2 * stats.t.sf(np.abs(least_statistic(t)[0]), one.model.df) ** 2
    product = np.where(least_statistic(t)[1] == 0, 1.0, product)
    out.append(Check("the same by the product of p values", int((product <= ALPHA).sum()), count,
                     "null studies", note="ignores the shared variance, shown beside"))  # fmt: skip
    return out


def _power(count: int, seed: int) -> list[Check]:
    """Predict power from one study, then count in others of the same make."""
    rng = np.random.default_rng([seed, 140])
    root = np.linalg.cholesky(0.5 * np.ones((12, 12)) + 0.5 * np.eye(12))
    settings = Settings("max-t", 500, seed=seed)
    question = _question(15, 12, settings)
    unit = math.sqrt(1 / 15 + 1 / 12)
    out = []
    pilot = rng.normal(size=(27, 12)) @ root.T
    drawn = draw(residuals(pilot, question.model), question.model, 4000, seed)
    single = float(special.stdtrit(25, 0.975))
    worst = 0.0
    for d in (0.4, 0.8, 1.2):
        exact = power_of_t(d / unit, 25, single)
        got = float(drawn.power(d / unit, single)[0])
        worst = max(worst, abs(got - exact) / math.sqrt(exact * (1 - exact) / 4000))
    out.append(Check("power by simulation less noncentral t, largest of 3 sizes", worst, 4000,
                     "standard errors", math.nan, 3.5))  # fmt: skip
    critical = drawn.critical(ALPHA)[0]
    predicted = float(drawn.power(1.2 / unit, critical).mean())
    found = 0
    for k in range(count):
        y = rng.normal(size=(27, 12)) @ root.T
        y[:15, 3] += 1.2
        how = Settings("max-t", 500, seed=k)
        found += permute(y, question.model, how).p_corrected[3] <= ALPHA
    se = math.sqrt(predicted * (1 - predicted) / count + 0.02**2)
    out.append(Check("studies that find g = 1.2 in one of 12 regions by permuted max-T, less power "
                     f"predicted from a pilot ({100 * predicted:.0f} %)",
                     100 * (found / count - predicted), count, "%", -330 * se, 330 * se,
                     se=100 * se))  # fmt: skip
    return out


def _postulate(count: int, seed: int) -> list[Check]:
    """What studies of iron, dopamine and symptom would report, by their size."""
    a, b, direct = STUDY["a"], STUDY["b"], STUDY["direct"]
    out = []
    for n in (50, 200, 1000):
        rng = np.random.default_rng([seed, 150, n])
        both = total = half = 0
        share = []
        for _ in range(count):
            got = paths_of(*_chain(rng, n, a, b, direct))
            ca, cb = special.stdtrit(got.df, 0.975), special.stdtrit(got.df - 1, 0.975)
            both += abs(got.t_a) > ca and abs(got.t_b) > cb
            total += abs(got.t_c) > ca
            share.append(float(got.indirect / got.c))
            half += share[-1] > 0.5
        r = [a / math.sqrt(1 + a * a), b / math.sqrt(1 + b * b)]
        want = 1.0
        for one, df in zip(r, (n - 2, n - 3), strict=True):
            shift = one / math.sqrt(1 - one * one) * math.sqrt(df + 1)
            want *= power_of_t(shift, df, float(special.stdtrit(df, 0.975)))
        cell = f"iron to symptom by dopamine (a b {a * b:.2f}), n {n}"
        out.append(Check(f"both paths found, {cell}", 100 * both / count, count, "%",
                         se=100 * math.sqrt(max(want * (1 - want), 1e-4) / count),
                         note=f"noncentral t {100 * want:.0f} %; paths of r "
                         f"{detectable(n, 0):.2f} are found in 80 %"))  # fmt: skip
        low, high = np.quantile(share, [0.05, 0.95])
        out.append(Check(f"median share of the total that goes by dopamine, {cell}",
                         float(np.median(share)), count, "",
                         note=f"truth {a * b / (a * b + direct):.2f}; 9 of 10 studies say "
                         f"{low:.2f} to {high:.2f}; total path found in {100 * total / count:.0f} %"
                         ))  # fmt: skip
    return out


# name for the progress, and what takes the studies of a cell and a seed
LOOPS: tuple[tuple[str, Callable[[int, int], list[Check]]], ...] = (
    ("equivalence", _equivalence),
    ("mediation", _mediation),
    ("longitudinal", _longitudinal),
    ("conjunction", _conjunction),
    ("power", _power),
    ("iron, dopamine, symptom", _postulate),
)
