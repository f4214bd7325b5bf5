"""Closed loops of inference: error rates in null studies, coverage of intervals.

Each cell is a number of studies without an effect; the count of those that find one at
.05 has a binomial 99.9 % gate. What is known to be wrong stands beside, without a gate.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ekbom.inference import Settings, effect_sizes, fit, lattice, permute
from ekbom.inference.clusters import clusters
from ekbom.inference.permute.engine import plan_for
from ekbom.inference.permute.spatial import Exchanged, permute_maps
from ekbom.inference.question import Question, ask
from ekbom.inference.reliability import reliability
from ekbom.inference.searched import field_of, forming_threshold
from ekbom.inference.variance import Welch, groups_of
from ekbom.validate.result import Check, binomial_gate

ALPHA = 0.05
Tell = Callable[[str], None]


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
    for noise in ("Gaussian", "skewed"):
        for n1, n2 in size.designs:
            for width in size.widths:
                out += _maps(noise, n1, n2, width, size, count, seed)
                tell(f"maps, {noise}, {n1} + {n2}, FWHM {width:g}")
    out += _regions(count, seed)
    out += _nuisance(count, seed)
    tell("regions, nuisance")
    out += _unequal(count, seed)
    tell("unequal variances")
    out += _coverage(max(count, 300), seed)
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


def _usual(c: Check) -> bool:
    if c.unit == "%":
        return True
    low, high = binomial_gate(c.n, ALPHA, 0.95)
    return low <= c.value <= high or (c.low != c.low and c.value <= high)


def _table(n1: int, n2: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "participant": [f"s{i:02d}" for i in range(n1 + n2)],
            "group": ["rls"] * n1 + ["control"] * n2,
        }
    )


def noise_maps(
    rng: np.random.Generator, n: int, shape: Sequence[int], width: float, kind: str
) -> NDArray[np.float32]:
    """Return stationary noise maps.

    Parameters
    ----------
    rng : Generator
        Source.
    n : int
        How many.
    shape : sequence of int
        Grid.
    width : float
        FWHM in voxels.
    kind : {"Gaussian", "skewed"}
        Marginal distribution: normal, or its exponential.

    Returns
    -------
    ndarray, (n, X, Y, Z)
        float32, of mean about 0 and SD 1.
    """
    sigma = width / np.sqrt(8 * np.log(2))
    pad = int(np.ceil(3 * sigma))
    wide = tuple(s + 2 * pad for s in shape)
    cut = (slice(pad, -pad),) * 3
    out = np.stack([gaussian_filter(rng.standard_normal(wide), sigma)[cut] for _ in range(n)])
    out /= out.std()
    if kind == "skewed":
        out = np.exp(out)
        out = (out - out.mean()) / out.std()
    return out.astype(np.float32)


def _maps(
    noise: str, n1: int, n2: int, width: float, size: Size, count: int, seed: int
) -> list[Check]:
    rng = np.random.default_rng([seed, n1, n2, round(10 * width), len(noise)])
    mask = np.ones(size.shape, bool)
    table = _table(n1, n2)
    settings = Settings("tfce", size.permutations, seed=seed)
    question = ask(table, "~ group", "rls - control", "u", settings)
    ball = np.zeros(size.shape, bool)
    x = np.indices(size.shape) - np.array(size.shape)[:, None, None, None] // 2
    ball[(x**2).sum(axis=0) <= 9] = True
    graph = lattice(mask)
    hits = dict.fromkeys(
        ("max-T", "TFCE", "cluster extent", "cluster mass", "small volume, max-T",
         "small volume, TFCE", "random field, peak", "random field, cluster at .001, local resels",
         "random field, cluster at .001, global width",
         "random field, cluster at .01, local resels",
         "random field, cluster at .01, global width"), 0,
    )  # fmt: skip
    keys = ("t", "tfce", "extent", "mass", "t:ball", "tfce:ball")
    for _ in range(count):
        values = noise_maps(rng, n1 + n2, size.shape, width, noise)[:, mask]
        found = fit(values, question.model)
        spatial = permute_maps(
            Exchanged(values, question.model, settings),
            graph,
            settings,
            forming=forming_threshold(found, settings),
            volumes=[("ball", ball[mask])],
            df=found.df,
            workers=os.cpu_count() or 1,
        )
        for name, key in zip(hits, keys, strict=False):
            hits[name] += bool(spatial.p(key, spatial.nulls[key][0]) <= ALPHA)
        for name, p in _field_p(values, question, mask).items():
            hits[name] += p <= ALPHA
    cell = f"{noise}, {n1} + {n2}, FWHM {width:g}"
    low, high = binomial_gate(count, ALPHA)
    out = []
    for name, value in hits.items():
        gate = (float(low), float(high))
        note = ""
        if name.startswith("random"):
            bound = noise == "Gaussian" and name.endswith("peak")
            gate = (np.nan, float(high) if bound else np.nan)
            note = "may exceed" if " .01," in name else ""
        out.append(Check(f"{name}: {cell}", value, count, "null studies", *gate, note=note))
    return out


def _field_p(
    values: NDArray[np.float32], question: Question, mask: NDArray[np.bool_]
) -> dict[str, float]:
    found = fit(values, question.model)
    affine = np.eye(4)
    field = field_of(values, question, found, mask, affine)
    out = {"random field, peak": 1.0}
    if field.space is None or field.smooth is None:
        return out
    out["random field, peak"] = field.space.p_peak(float(np.abs(found.statistic).max()))[0]
    for forming_p in (0.001, 0.01):
        u = forming_threshold(found, Settings(forming_p=forming_p))
        joined = clusters(found.statistic, mask, affine, u)
        name = f"random field, cluster at {'.001' if forming_p == 0.001 else '.01'}"
        local = max((float(field.smooth.rpv[c.voxels].sum()) for c in joined), default=0.0)
        whole = max((c.size for c in joined), default=0) / np.prod(field.smooth.fwhm_vox)
        for how, k in (("local resels", local), ("global width", float(whole))):
            out[f"{name}, {how}"] = field.space.p_cluster(k, u) if joined else 1.0
    return out


def _regions(count: int, seed: int) -> list[Check]:
    rng = np.random.default_rng([seed, 20])
    question = ask(_table(7, 6), "~ group", "rls - control", "u", Settings("max-t"))
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
        question = ask(_table(n1, n2), "~ group", "rls - control", "u", settings)
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
    rng = np.random.default_rng([seed, 50])
    question = ask(_table(15, 12), "~ group", "rls - control", "u", Settings())
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
