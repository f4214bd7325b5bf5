"""Closed loops of inference: error rates in null studies, coverage of intervals.

Each cell is a number of studies without an effect; the count of those that find one at
.05 has a binomial 99.9 % gate. What is known to be wrong stands beside, without a gate.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom.inference import Settings, effect_sizes, fit, permute
from ekbom.inference.permute.engine import plan_for
from ekbom.inference.question import Question, ask
from ekbom.inference.reliability import reliability
from ekbom.inference.variance import Welch, groups_of
from ekbom.validate import blockmaps, claims, relabelled
from ekbom.validate.kept import once
from ekbom.validate.nullmaps import ALPHA, Cell, null_maps, two_groups
from ekbom.validate.result import Check, binomial_gate

Tell = Callable[[str], None]
Loop = Callable[[int, int], list[Check]]


@dataclass(frozen=True)
class Size:
    """How much is run: studies a cell, relabellings, grid of the maps."""

    studies: int
    permutations: int
    shape: tuple[int, int, int]
    designs: tuple[tuple[int, int], ...]
    widths: tuple[float, ...]


SHORT = Size(100, 200, (12, 14, 12), ((10, 10),), (3.0,))
FULL = Size(1000, 1000, (20, 24, 20), ((10, 10), (15, 12)), (3.0, 5.0))


def validate_inference(
    *,
    full: bool = False,
    studies: int | None = None,
    seed: int = 1,
    kept: Path | None = None,
    workers: int | None = None,
    tell: Tell = lambda text: None,
) -> list[Check]:
    """Run every loop.

    Parameters
    ----------
    full : bool
        1,000 studies a cell, all designs and widths, 1,000 relabellings; else a short run.
    studies : int, optional
        Studies a cell, instead.
    seed : int
        Of every random draw.
    kept : Path, optional
        Folder of finished null studies and loops: those found there are not run again.
    workers : int, optional
        Threads; all cores by default. Nothing depends on them.
    tell : callable
        Told which cell is done.

    Returns
    -------
    list of Check
        In order; a failed gate is a fault of the room.
    """
    size = FULL if full else SHORT
    count = studies or size.studies
    out: list[Check] = []
    threads = workers or os.cpu_count() or 1
    for cell in cells(size, seed):
        out += null_maps(cell, count, kept=kept, workers=threads, tell=tell)
        tell(f"maps, {cell.name}")
    for name, loop in LOOPS:
        out += _kept(name, loop, count, seed, kept)
        tell(name)
    outside = [c for c in out if c.gated and not _usual(c)]
    gated = sum(c.gated for c in out)
    out.append(
        Check(
            "gated cells outside the 95 % range",
            len(outside),
            gated,
            "cells",
            note="1 in 20 is expected",
        )
    )
    return out


def _kept(name: str, loop: Loop, count: int, seed: int, kept: Path | None) -> list[Check]:
    """Run a loop, or read what it found before."""
    return once(f"{name}-{count}-seed{seed}", lambda: loop(count, seed), kept)


def cells(size: Size, seed: int) -> list[Cell]:
    """Return the cells of null maps of a size."""
    return [
        Cell(noise, n1, n2, width, size.shape, size.permutations, seed)
        for noise in ("Gaussian", "skewed")
        for n1, n2 in size.designs
        for width in size.widths
    ]


def _usual(c: Check) -> bool:
    if c.unit != "null studies":
        return True
    low, high = binomial_gate(c.n, ALPHA, 0.95)
    return low <= c.value <= high or (c.low != c.low and c.value <= high)


def _regions(count: int, seed: int) -> list[Check]:
    rng = np.random.default_rng([seed, 20])
    question = ask(two_groups(7, 6), "~ group", "rls - control", "u", Settings("max-t"))
    mix = np.linalg.cholesky(0.6 * np.ones((12, 12)) + 0.4 * np.eye(12))
    hits = 0
    for _ in range(count):
        y = np.exp(rng.normal(size=(13, 12)) @ mix.T)
        hits += permute(y, question.model, question.settings).p_corrected.min() <= ALPHA
    return [_gated("max-T over 12 skewed regions, 7 + 6, all relabellings", hits, count)]


def _nuisance(count: int, seed: int) -> list[Check]:
    rng = np.random.default_rng([seed, 30])
    n, settings = 15, Settings("max-t", 200, seed=seed)
    good = wrong = 0
    for _ in range(count):
        age = rng.normal(size=n)
        score = 0.8 * age + 0.6 * rng.normal(size=n)
        table = pd.DataFrame(
            {"participant": [f"s{i:02d}" for i in range(n)], "score": score, "age": age}
        )
        y = 3 * age[:, None] + rng.normal(size=(n, 4))
        question = ask(table, "~ score + age", "score", "u", settings)
        good += permute(y, question.model, settings).p_corrected.min() <= ALPHA
        wrong += _manly(y, question, settings) <= ALPHA
    return [
        _gated("Freedman-Lane, nuisance r .8 with score and outcome", good, count),
        Check("the same by permuting raw outcomes (Manly)", wrong, count, "null studies",
              note="wrong way, shown beside"),
    ]  # fmt: skip


def _manly(y: NDArray[np.float64], question: Question, settings: Settings) -> float:
    plan = plan_for(question.model, settings)
    assert plan.rows is not None
    x, c = question.model.x, question.model.c
    pinv = np.linalg.pinv(x)
    unit = float((c @ pinv @ pinv.T @ c.T)[0, 0])
    moved = y[plan.rows]  # (N, n, V)
    beta = pinv @ moved
    rss = np.square(moved - x @ beta).sum(axis=1)
    t = np.abs((c @ beta)[:, 0] / np.sqrt(rss / question.model.df * unit)).max(axis=1)
    return float((t >= t[0] - 1e-10).mean())


def _unequal(count: int, seed: int) -> list[Check]:
    out = []
    for n1, n2 in ((15, 12), (5, 20)):
        rng = np.random.default_rng([seed, 40, n1])
        settings = Settings("max-t", 200, seed=seed, variance="voxel")
        question = ask(two_groups(n1, n2), "~ group", "rls - control", "u", settings)
        label = groups_of(question.design, question.model, settings)
        wide = np.where(np.arange(n1 + n2) < n1, np.sqrt(3.0), 1.0)[:, None]
        flips = plain = single = 0
        for _ in range(count):
            y = wide * rng.normal(size=(n1 + n2, 30))
            welch = Welch(y, question.model, label, settings)
            null = np.empty((welch.plan.n, y.shape[1]), np.float32)
            welch.fill(0, null)
            most = np.abs(null).max(axis=1)
            flips += (most >= most[0] - 1e-5).mean() <= ALPHA
            one = np.abs(null[:, 0])
            single += (one >= one[0] - 1e-5).mean() <= ALPHA
            plain += permute(y, question.model, settings).p_corrected.min() <= ALPHA
        cell = f"variance 3:1, {n1} v {n2}, 30 outcomes"
        if (n1, n2) == (15, 12):
            out.append(_gated(f"largest v by changes of sign, {cell}", flips, count))
            out.append(_gated(f"v of one outcome by changes of sign, {cell}", single, count))
        else:
            out.append(Check(f"largest v by changes of sign, {cell}", flips, count, "null studies"))
        out.append(
            Check(f"largest t by exchange, {cell}", plain, count, "null studies",
                  note="wrong way, shown beside")
        )  # fmt: skip
    return out


def _coverage(count: int, seed: int) -> list[Check]:
    count = max(count, 300)
    rng = np.random.default_rng([seed, 50])
    question = ask(two_groups(15, 12), "~ group", "rls - control", "u", Settings())
    delta, rho, icc = 0.8, 0.6, 0.7
    y = rng.normal(size=(27, count))
    y[:15] += delta
    found = fit(y, question.model)
    sizes = [effect_sizes(found, question.model, question.effect, v) for v in range(count)]
    in_g = sum(s.g_ci[0] <= delta <= s.g_ci[1] for s in sizes)
    in_r = 0
    for _ in range(count):
        x = rng.normal(size=15)
        z = rho * x + np.sqrt(1 - rho**2) * rng.normal(size=15)
        table = pd.DataFrame({"participant": [f"s{i:02d}" for i in range(15)], "irls": x})
        asked = ask(table, "~ irls", "irls", "u", Settings())
        low, high = effect_sizes(fit(z[:, None], asked.model), asked.model, asked.effect, 0).r_ci
        in_r += low <= rho <= high
    person = rng.normal(size=(12, 1, count)) * np.sqrt(icc)
    pairs = person + np.sqrt(1 - icc) * rng.normal(size=(12, 2, count))
    in_icc = 0
    for v in range(count):
        got = reliability(pairs[:, :, v], bootstrap=100)
        in_icc += got.icc31_low <= icc <= got.icc31_high
    return [
        Check(f"coverage of the 95 % interval of {name}", 100 * hits / count, count, "%", 92, 98,
              se=100 * float(np.sqrt(0.95 * 0.05 / count)))
        for name, hits in (("g, 15 + 12", in_g), ("r, n 15", in_r), ("ICC(3,1), n 12", in_icc))
    ]  # fmt: skip


def _gated(name: str, hits: int, count: int) -> Check:
    low, high = binomial_gate(count, ALPHA)
    return Check(name, int(hits), count, "null studies", low, high)


# name for the progress, and what takes the studies of a cell and a seed
LOOPS: list[tuple[str, Loop]] = [
    ("regions", _regions),
    ("nuisance", _nuisance),
    ("unequal variances", _unequal),
    ("coverage", _coverage),
    ("correlations", relabelled.correlations),
    ("families", relabelled.families),
    ("repeated scans", relabelled.repeated),
    ("maps of repeated scans and families", blockmaps.blocks),
    ("tail and stopping", relabelled.few_draws),
    ("exact tests", relabelled.exact_tests),
    *claims.LOOPS,
]
