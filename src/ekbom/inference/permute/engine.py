"""Freedman-Lane permutation of the maximum statistic.

The outcomes are freed of the nuisance terms once; then only rows of the design
move (Freedman & Lane 1983, 10.2307/1391660). With an orthonormal basis of the
design, each relabelling needs one product a column, and t follows from the
shares of variance, since the length of a residual does not change when it is
relabelled. Sums run over rows in one fixed order, so that nothing depends on
threads or on how relabellings are batched.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import null_space

from ekbom.errors import Refused
from ekbom.inference.permute._kernel import BATCH, maxima
from ekbom.inference.permute.blocks import matched, planned, rows_of, signs_of
from ekbom.inference.permute.plan import PermutationPlan, exchange, flip
from ekbom.inference.permute.sequential import in_order, sequential_p, stopping_draw
from ekbom.inference.settings import Settings
from ekbom.inference.strata import Model
from ekbom.inference.sums import products, squares

BLOCK = 64
"""Relabellings handed to the kernel at once."""
_CHUNK = 16_384


@dataclass(frozen=True)
class Permuted:
    """What the permutation gives.

    Parameters
    ----------
    p_corrected : (V,)
        Share of relabellings whose maximum over the family reaches the observed
        statistic, the identity counted (so at least 1 / N); NaN where there is none.
    p_uncorrected : (V,) or None
        The same for each outcome alone; None when it was not asked for, or when drawing
        was to stop early (the rule looks at the largest statistic only).
    maxima : (N,)
        Maximum of each relabelling, of the statistic in the tested direction.
    threshold : float
        Smallest statistic with corrected p at or under alpha; infinity when the
        relabellings are too few.
    plan : PermutationPlan
        What was done.
    """

    p_corrected: NDArray[np.float64]
    p_uncorrected: NDArray[np.float64] | None
    maxima: NDArray[np.float64]
    threshold: float
    plan: PermutationPlan


@dataclass(frozen=True)
class Basis:
    """Orthonormal directions of the data: tested, and nuisance that relabelling can move."""

    tested: NDArray[np.float64]
    moving: NDArray[np.float64]
    nuisance: NDArray[np.float64]


def plan_for(
    model: Model, settings: Settings, blocks: NDArray[Any] | None = None
) -> PermutationPlan:
    """Choose what is exchangeable for an effect.

    Parameters
    ----------
    model : Model
        Design rows of the effect's stratum.
    settings : Settings
        ``permutations`` and ``seed``.
    blocks : (m,) array or None
        Further blocks (a scanner), by row of the model.

    Returns
    -------
    PermutationPlan
        Within persons the sessions of each person are exchanged; else people are,
        within blocks; an effect that no exchange can move (a mean) by changes of sign.
    """
    basis = directions(model, None)
    m, count, seed = len(model.x), settings.permutations, settings.seed
    how, errors = settings.exchange, settings.errors
    if model.stratum == "within":
        if how != "within":
            raise _no_blocks(how, "an effect within persons", "sessions are exchanged inside each")
        if errors == "exchangeable":
            return exchange(model.x, model.person, count, seed)
        # the changes of a person keep their sign together: they share the person's mean
        if errors == "symmetric":
            return flip(m, model.person, count, seed)
        rows = rows_of(model.x, model.person, "within")
        return planned(rows, signs_of(model.person), m, count, seed, "within")
    label = None if blocks is None else np.unique(blocks, return_inverse=True)[1].ravel()
    if label is None and how != "within":
        raise _no_blocks(how, "no blocks", "name a column by inference.blocks")
    if how == "within":
        if errors == "symmetric" or (
            errors == "exchangeable" and _immovable(basis.tested, label, None)
        ):
            return flip(m, None, count, seed)
        if errors == "exchangeable":
            return exchange(model.x, label, count, seed)
        everybody = np.zeros(m, np.intp) if label is None else label
        return planned(
            rows_of(model.x, everybody, how), signs_of(np.arange(m)), m, count, seed, how
        )
    assert label is not None
    # rows of a block are alike: when only wholes may move, they change sign together
    signs = signs_of(label if how == "whole" else np.arange(m))
    if errors == "symmetric":
        return planned(None, signs, m, count, seed, how)
    if errors == "exchangeable" and _immovable(basis.tested, label, how):
        return planned(None, signs, m, count, seed, how)
    rows = rows_of(model.x, label, how)
    return planned(rows, signs if errors == "both" else None, m, count, seed, how)


def directions(model: Model, plan: PermutationPlan | None, blocks: Any = None) -> Basis:
    """Split the span of the design into the tested directions and the nuisance."""
    x, c = model.x, model.c
    pinv = np.linalg.pinv(x)
    tested = pinv.T @ c.T
    if model.kind == "t":
        tested = tested / np.sqrt(np.square(tested).sum(axis=0))
    else:
        tested = _orthonormal(tested)
    nuisance = _orthonormal(x @ null_space(c))
    moving = nuisance
    if plan is not None and plan.mode == "exchange" and nuisance.shape[1]:
        label = model.person if model.stratum == "within" else blocks
        label = np.zeros(len(x), int) if label is None else np.unique(label, return_inverse=True)[1]
        if plan.how == "both":
            label = np.zeros(len(x), int)
        elif plan.how == "whole":
            label = _position(x, label.ravel())
        indicators = np.eye(int(label.max()) + 1)[label]
        indicators /= np.sqrt(indicators.sum(axis=0))
        # Directions constant in each set of exchanged rows stay; the residuals have none of them.
        u, s, _ = np.linalg.svd(nuisance.T @ indicators, full_matrices=True)
        still = np.zeros(u.shape[1], bool)
        still[: len(s)] = s > 1.0 - 1e-9
        moving = nuisance @ u[:, ~still]
    return Basis(tested, moving, nuisance)


def permute(
    values: NDArray[np.floating[Any]],
    model: Model,
    settings: Settings,
    *,
    blocks: NDArray[Any] | None = None,
    each: bool = False,
    workers: int = 1,
) -> Permuted:
    """Permute, and correct over all outcomes by the maximum.

    Parameters
    ----------
    values : (n, V) float
        Rows of the design.
    model : Model
        From :func:`~ekbom.inference.strata.model`.
    settings : Settings
        ``permutations``, ``seed``, ``sign``, ``alpha``.
    blocks : (m,) array or None
        Exchange only inside these, by row of the model.
    each : bool
        Also count for every outcome alone.
    workers : int
        Threads; the result does not depend on them.

    Returns
    -------
    Permuted
        Corrected p and the distribution of the maximum.
    """
    plan = plan_for(model, settings, blocks)
    basis = directions(model, plan, blocks)
    u, whole = unit_residuals(values, model, basis)
    w = np.concatenate([basis.tested, basis.moving], axis=1).T.copy()
    k1 = basis.tested.shape[1]
    sign = settings.sign if model.kind == "t" else "two-sided"
    observed = _observed(u, w, k1)
    stat = _statistic(np.abs(observed), model.df, k1) * np.sign(observed)
    tolerance = 1e-6 if values.dtype == np.float32 else 1e-10
    # a change of the data moves t by so much more as the fit nears perfection
    slack = tolerance * np.maximum(1.0, np.abs(stat)) * (1.0 + np.square(stat) / model.df)
    directed = {"two-sided": np.abs(stat), "positive": stat, "negative": -stat}[sign]
    cut = _share(directed - slack, model.df, k1)
    rule = 0 if plan.exhaustive else settings.enough
    tops: list[NDArray[np.float64]] = []
    count = np.zeros(u.shape[1] if each and not rule else 1, np.int64)
    data, reached_so_far = float(np.max(directed - slack)), 0
    for high, low, counted in _run(u, w, k1, plan, cut, sign, each and not rule, workers):
        best = {"two-sided": np.maximum(high, low), "positive": high, "negative": low}[sign]
        tops.append(_statistic(np.abs(best), model.df, k1) * np.sign(best))
        count += counted
        if rule:
            reached = tops[-1][:, None] >= data
            reached[0] &= len(tops) > 1  # the data are no draw
            last = stopping_draw(reached, rule - reached_so_far)
            if last is not None:
                tops[-1] = tops[-1][:last]
                break
            reached_so_far += int(reached.sum())
    top = np.concatenate(tops)
    ordered = np.sort(top)
    p, alone = np.full(len(whole), np.nan), np.full(len(whole), np.nan)
    if rule:
        plan = plan.first(len(top), rule)
        p[whole] = sequential_p(top, directed - slack, rule)
    else:
        p[whole] = (plan.n - np.searchsorted(ordered, directed - slack, side="left")) / plan.n
        if each:
            alone[whole] = count / plan.n
    threshold = threshold_of(ordered, settings.alpha)
    if model.kind == "F" and k1 == 1:
        top, threshold = np.square(top), threshold**2
    return Permuted(p, alone if each and not rule else None, top, threshold, plan)


def unit_residuals(
    values: NDArray[np.floating[Any]], model: Model, basis: Basis, *, compact: bool = True
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return residuals of the nuisance model of length one, and where there are any.

    Columns without residuals are left out (``compact``) or 0.
    """
    u = np.empty((len(model.x), values.shape[1]))
    whole = np.empty(values.shape[1], bool)
    for start in range(0, values.shape[1], _CHUNK):
        part = slice(start, start + _CHUNK)
        y = model.take(values[:, part])
        size = squares(y)
        z = basis.nuisance
        for _ in range(2):  # twice: the second pass takes off what rounding of large means left
            y = y - products(z, products(z.T, y))
        length = squares(y)
        good = np.isfinite(length) & (length > 1e-20 * size) & (length > 0.0)
        u[:, part] = np.where(good, y / np.sqrt(np.where(good, length, 1.0)), 0.0)
        whole[part] = good
    return (u if whole.all() or not compact else np.ascontiguousarray(u[:, whole])), whole


def _observed(u: NDArray[np.float64], w: NDArray[np.float64], k1: int) -> NDArray[np.float64]:
    """Signed share of variance of the data as they are, (V,)."""
    d = products(w, u)
    rest = 1.0 - np.square(d[k1:]).sum(axis=0)
    share = np.square(d[:k1]).sum(axis=0) / np.where(rest > 1e-9, rest, np.inf)
    return np.asarray(share * np.sign(d[0]) if k1 == 1 else share)


def _statistic(share: NDArray[np.float64], df: int, k1: int) -> NDArray[np.float64]:
    ratio = share / np.maximum(1.0 - share, 1e-300) * df
    return np.sqrt(ratio) if k1 == 1 else ratio / k1


def _share(stat: NDArray[np.float64], df: int, k1: int) -> NDArray[np.float64]:
    """Inverse of :func:`_statistic`; a negative statistic gives a negative share."""
    ratio = np.square(stat) * np.sign(stat) if k1 == 1 else stat * k1
    return np.asarray(ratio / (np.abs(ratio) + df))


def _run(
    u: NDArray[np.float64],
    w: NDArray[np.float64],
    k1: int,
    plan: PermutationPlan,
    cut: NDArray[np.float64],
    sign: str,
    each: bool,
    workers: int,
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]]:
    """Yield, block by block, the largest shares of both signs and how often each was reached."""
    v = u.shape[1]
    size = BLOCK if plan.n >= BLOCK else -(-plan.n // BATCH) * BATCH
    counting = {"two-sided": 1, "positive": 2, "negative": 3}[sign] if each else 0

    def one(start: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        real = min(size, plan.n - start)
        part = np.zeros((size, *w.shape))
        part[:real] = relabelled(w, plan, slice(start, start + real))
        top, bottom = np.empty(size), np.empty(size)
        count = np.zeros(v if each else 1, np.int64)
        maxima(u, part, k1, top, bottom, count, cut, counting, real)
        return top[:real], bottom[:real], count

    return in_order(one, range(0, plan.n, size), workers)


def relabelled(w: NDArray[np.float64], plan: PermutationPlan, part: slice) -> NDArray[np.float64]:
    """Return the rows of a basis (k, m) for some relabellings, (B, k, m)."""
    out = w[None]
    if plan.rows is not None:
        out = np.ascontiguousarray(w[:, plan.rows[part]].transpose(1, 0, 2))
    if plan.signs is not None:
        out = out * plan.signs[part][:, None, :]
    return out


def threshold_of(ordered: NDArray[np.float64], alpha: float) -> float:
    """Return the smallest of the sorted maxima that at most a share alpha of them reaches."""
    n = len(ordered)
    allowed = int(np.floor(alpha * n + 1e-9))  # so many maxima may reach it
    return float(ordered[n - allowed]) if allowed >= 1 else float("inf")


def _immovable(
    tested: NDArray[np.float64], label: NDArray[np.intp] | None, how: str | None
) -> bool:
    """Whether no exchange changes the tested directions."""
    groups = np.zeros(len(tested), int) if label is None or how == "both" else label
    if how == "whole":
        groups = _position(tested, groups)
    return all(float(np.ptp(tested[groups == g], axis=0).max()) < 1e-9 for g in np.unique(groups))


def _position(x: NDArray[np.float64], label: NDArray[np.intp]) -> NDArray[np.intp]:
    """Place of each row in its block."""
    rows = matched(x, label)
    out = np.empty(len(x), np.intp)
    out[rows] = np.arange(rows.shape[1])
    return out


def _no_blocks(how: str, found: str, mend: str) -> Refused:
    return Refused(
        f"inference.exchange = {how!r} needs blocks of people.",
        field="inference.exchange",
        found=found,
        expected="a column of blocks, each with several rows of the model",
        mend=mend,
    )


def _orthonormal(a: NDArray[np.float64]) -> NDArray[np.float64]:
    if a.shape[1] == 0:
        return a
    u, s, _ = np.linalg.svd(a, full_matrices=False)
    return np.asarray(u[:, s > 1e-10 * max(float(s[0]), 1e-300)]) if s[0] > 0 else u[:, :0]
