"""Exact tests of few people: rank sum, signed rank, rank correlation, with exact intervals.

Every regrouping, change of sign or order is counted, ties as they are: no normal approximation.
The interval of a shift is the set of shifts that the test does not reject, found from the
ordered differences (Hodges & Lehmann 1963) with the exact counts.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from ekbom.errors import Refused

MOST = 2_000
"""Largest sum of doubled ranks times people that is counted; larger samples need no exact test."""
ORDERS = 9
"""Most people whose orders are all tried for a rank correlation."""


@dataclass(frozen=True)
class Exact:
    """An exact test.

    Parameters
    ----------
    statistic : float
        Rank sum of the first sample, sum of the ranks of positive changes, or rho.
    p : float
        Two-sided: share of all relabellings whose statistic is as far from its mean.
    possible : int
        How many relabellings there are.
    shift, low, high : float
        Hodges-Lehmann estimate and interval in the unit of the data; NaN for rho, and infinite
        where so few people cannot bound it.
    coverage : float
        Coverage of the interval, exact when there are no ties; at least what was asked for.
    """

    statistic: float
    p: float
    possible: int
    shift: float = math.nan
    low: float = math.nan
    high: float = math.nan
    coverage: float = math.nan


def rank_sum(a: ArrayLike, b: ArrayLike, interval: float = 0.95) -> Exact:
    """Compare two samples by the exact Wilcoxon-Mann-Whitney test.

    Parameters
    ----------
    a, b : (n,), (m,) float
        Samples.
    interval : float
        Coverage of the interval of the shift (a less b).

    Returns
    -------
    Exact
        Of the rank sum of ``a``, mid-ranks for ties.

    Examples
    --------
    >>> got = rank_sum([5.1, 6.0, 7.2], [1.0, 2.2, 3.9])
    >>> got.p, got.possible, round(got.shift, 6)
    (0.1, 20, 3.8)
    """
    x, y = _sample(a, "first"), _sample(b, "second")
    ranks = np.rint(2 * rankdata(np.concatenate([x, y]))).astype(np.int64)
    counts = _subsets(ranks, len(x))
    doubled = int(ranks[: len(x)].sum())
    possible = math.comb(len(ranks), len(x))
    p = _two_sided(counts, doubled, len(x) * (len(ranks) + 1))
    pairs = np.sort(np.subtract.outer(x, y).ravel())
    plain = _subsets(2 * np.arange(1, len(ranks) + 1), len(x))
    # of U = W - n (n + 1) / 2, untied
    u = plain[len(x) * (len(x) + 1) :: 2]
    low, high, coverage = _bounds(pairs, u, possible, interval)
    return Exact(doubled / 2, p, possible, float(np.median(pairs)), low, high, coverage)


def signed_rank(change: ArrayLike, interval: float = 0.95) -> Exact:
    """Test changes by the exact Wilcoxon signed-rank test.

    Parameters
    ----------
    change : (n,) float
        Changes; those of 0 are left out of the test (Wilcoxon), not of the estimate.
    interval : float
        Coverage of the interval of the shift.

    Returns
    -------
    Exact
        Of the sum of ranks of positive changes.

    Examples
    --------
    >>> signed_rank([1.0, 2.0, 3.0, 4.0, 5.0]).p
    0.0625
    """
    d = _sample(change, "sample of changes")
    moved = d[d != 0.0]
    if len(moved) == 0:
        return Exact(0.0, 1.0, 1, 0.0, -math.inf, math.inf, 1.0)
    ranks = np.rint(2 * rankdata(np.abs(moved))).astype(np.int64)
    counts = _sums(ranks)
    doubled = int(ranks[moved > 0].sum())
    p = _two_sided(counts, doubled, int(ranks.sum()) / 2)
    i, j = np.triu_indices(len(d))
    walsh = np.sort((d[i] + d[j]) / 2.0)
    plain = _sums(np.arange(1, len(d) + 1))
    low, high, coverage = _bounds(walsh, plain, 2 ** len(d), interval)
    return Exact(doubled / 2, p, 2 ** len(moved), float(np.median(walsh)), low, high, coverage)


def rank_correlation(x: ArrayLike, y: ArrayLike) -> Exact:
    """Test Spearman's rho against every order, for 3 to 9 people.

    Parameters
    ----------
    x, y : (n,) float
        Pairs.

    Returns
    -------
    Exact
        Of rho.

    Examples
    --------
    >>> rank_correlation([1, 2, 3, 4], [1, 2, 3, 4]).p == 2 / 24
    True
    """
    a, b = _sample(x, "first"), _sample(y, "second")
    if len(a) != len(b) or not 3 <= len(a) <= ORDERS:
        raise Refused(
            "An exact rank correlation tries every order.",
            field="rank_correlation",
            found=f"{len(a)} and {len(b)} values",
            expected=f"3 to {ORDERS} pairs",
            mend='for more people use method = "max-t" with correlation = "spearman"',
        )
    ra, rb = rankdata(a), rankdata(b)
    ra, rb = ra - ra.mean(), rb - rb.mean()
    scale = math.sqrt(float(ra @ ra) * float(rb @ rb))
    if scale == 0.0:
        return Exact(math.nan, math.nan, 0)
    orders = np.array(list(itertools.permutations(range(len(a)))))
    all_of = rb[orders] @ ra / scale
    rho = float(ra @ rb) / scale
    return Exact(rho, float((np.abs(all_of) >= abs(rho) - 1e-12).mean()), len(orders))


def _sample(values: ArrayLike, which: str) -> NDArray[np.float64]:
    out = np.asarray(values, float)
    if out.ndim != 1 or len(out) == 0 or not np.isfinite(out).all():
        raise Refused(
            f"The {which} is not a list of numbers.",
            field="exact",
            found=f"shape {out.shape}, {int((~np.isfinite(out)).sum())} not finite",
            expected="one finite number a person, at least one",
        )
    if len(out) > MOST // 10:
        raise Refused(
            "There are too many people to count every relabelling.",
            field="exact",
            found=f"{len(out)} in the {which}",
            expected=f"at most {MOST // 10}",
            mend='use method = "max-t"',
        )
    return out


def _subsets(ranks: NDArray[np.int64], size: int) -> NDArray[np.float64]:
    """Number of subsets of a size with each sum."""
    total = int(ranks.sum())
    table: NDArray[np.float64] = np.zeros((size + 1, total + 1))
    table[0, 0] = 1.0
    for r in ranks.tolist():
        for k in range(size, 0, -1):
            table[k, r:] += table[k - 1, : total + 1 - r]
    return np.asarray(table[size])


def _sums(ranks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Number of subsets of any size with each sum."""
    table = np.zeros(int(ranks.sum()) + 1)
    table[0] = 1.0
    for r in ranks.tolist():
        table[r:] += table[: len(table) - r].copy()
    return table


def _two_sided(counts: NDArray[np.float64], seen: int, mean: float) -> float:
    away = np.abs(np.arange(len(counts)) - mean)
    return float(counts[away >= abs(seen - mean) - 1e-9].sum() / counts.sum())


def _bounds(
    ordered: NDArray[np.float64], counts: NDArray[np.float64], possible: int, interval: float
) -> tuple[float, float, float]:
    """Order statistics between which the shift lies, and their coverage."""
    below = np.cumsum(counts) / possible
    k = int(np.searchsorted(below, (1.0 - interval) / 2.0, side="right"))
    if k == 0:
        return -math.inf, math.inf, 1.0
    return float(ordered[k - 1]), float(ordered[-k]), float(1.0 - 2.0 * below[k - 1])
