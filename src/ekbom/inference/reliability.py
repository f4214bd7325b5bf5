"""Test-retest: how much a number changes when nothing did."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from ekbom.errors import Refused
from ekbom.inference.formula import PARTICIPANT
from ekbom.inference.prepare import SESSION
from ekbom.inference.tails import t_critical

# Words that say which session came first; others keep the order of the table.
_FIRST = {"test": 0, "baseline": 0, "pre": 0, "retest": 1, "post": 1, "followup": 1}
LIMIT = 1.96
"""Normal deviate of the 95 % limits of agreement."""


@dataclass(frozen=True)
class Reliability:
    """Reliability of one outcome over n persons and k sessions.

    All in the unit of the outcome, but ``trt`` (%) and the ICC (no unit). ``trt`` is the mean
    over persons of |a - b| / ((a + b) / 2), averaged over pairs of sessions when k > 2.
    Bland-Altman values (``bias``, ``loa_*``) need k = 2 and are of second less first session.
    """

    n: int
    k: int
    mean: float
    trt: float
    trt_low: float
    trt_high: float
    icc31: float
    icc31_low: float
    icc31_high: float
    icc11: float
    icc11_low: float
    icc11_high: float
    bias: float
    bias_low: float
    bias_high: float
    loa_low: float
    loa_low_low: float
    loa_low_high: float
    loa_high: float
    loa_high_low: float
    loa_high_high: float
    sd_within: float
    sd_within_low: float
    sd_within_high: float
    sd_between: float
    cv_within: float
    ms_rows: float
    ms_columns: float
    ms_error: float
    ms_within: float


def reliability(
    values: NDArray[np.floating[Any]],
    *,
    interval: float = 0.95,
    bootstrap: int = 5_000,
    seed: int = 0,
) -> Reliability:
    """Return the reliability of one outcome.

    Parameters
    ----------
    values : (n, k) float
        Persons by sessions, complete.
    interval : float
        Coverage of intervals.
    bootstrap : int
        Resamples of persons behind the interval of ``trt`` (percentile).
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    Reliability
        Test-retest variability, ICC(3,1) and ICC(1,1) with the intervals of McGraw
        and Wong (1996, 10.1037/1082-989X.1.1.30), Bland-Altman bias and limits (1986,
        10.1016/S0140-6736(86)90837-8), deviation within persons.

    Raises
    ------
    Refused
        Fewer than two persons or sessions.
    """
    y: NDArray[np.float64] = values.astype(np.float64)
    n, k = y.shape
    if n < 2 or k < 2:
        raise Refused(
            "Reliability needs two people with two sessions each.",
            field="among",
            found=f"{n} people, {k} sessions",
            expected="at least 2 and 2",
            mend="include more people",
        )
    person, session, grand = y.mean(axis=1), y.mean(axis=0), float(y.mean())
    ms_rows = k * float(np.square(person - grand).sum()) / (n - 1)
    ms_columns = n * float(np.square(session - grand).sum()) / (k - 1)
    rest = y - person[:, None] - session + grand
    ms_error = float(np.square(rest).sum()) / ((n - 1) * (k - 1))
    ms_within = float(np.square(y - person[:, None]).sum()) / (n * (k - 1))
    trt = _trt(y)
    rng = np.random.default_rng(seed)
    draws = trt[rng.integers(0, n, (bootstrap, n))].mean(axis=1)
    tail = (1 - interval) / 2
    # a pair of mean 0 has no percentage: then nothing is said, rather than infinity
    known = bool(np.isfinite(trt).all())
    limits = np.quantile(draws, [tail, 1 - tail]) if known else (math.nan, math.nan)
    trt_low, trt_high = (float(q) for q in limits)
    within = math.sqrt(ms_within)
    df = n * (k - 1)
    chi = [math.sqrt(df / float(stats.chi2.ppf(q, df))) for q in (1 - tail, tail)]
    nan = math.nan
    ba = _bland_altman(y[:, 1] - y[:, 0], interval) if k == 2 else (nan,) * 9
    icc31 = icc(ms_rows, ms_error, n, k, (n - 1) * (k - 1), interval)
    icc11 = icc(ms_rows, ms_within, n, k, df, interval)
    return Reliability(
        n=n, k=k, mean=grand,
        trt=float(trt.mean()) if known else math.nan, trt_low=trt_low, trt_high=trt_high,
        icc31=icc31[0], icc31_low=icc31[1], icc31_high=icc31[2],
        icc11=icc11[0], icc11_low=icc11[1], icc11_high=icc11[2],
        bias=ba[0], bias_low=ba[1], bias_high=ba[2],
        loa_low=ba[3], loa_low_low=ba[4], loa_low_high=ba[5],
        loa_high=ba[6], loa_high_low=ba[7], loa_high_high=ba[8],
        sd_within=within, sd_within_low=within * chi[0], sd_within_high=within * chi[1],
        sd_between=math.sqrt(max((ms_rows - ms_within) / k, 0.0)),
        cv_within=100 * within / grand if grand else nan,
        ms_rows=ms_rows, ms_columns=ms_columns, ms_error=ms_error, ms_within=ms_within,
    )  # fmt: skip


def icc(
    ms_rows: float, ms_rest: float, n: int, k: int, df: int, interval: float
) -> tuple[float, float, float]:
    """Return a single-measure intraclass correlation with its interval.

    Parameters
    ----------
    ms_rows, ms_rest : float
        Mean squares of persons, and of error (ICC(3,1)) or within persons (ICC(1,1)).
    n, k : int
        Persons and sessions.
    df : int
        Degrees of freedom of ``ms_rest``.
    interval : float
        Coverage.

    Returns
    -------
    tuple of float
        Value, low, high (McGraw & Wong 1996); NaN when persons do not vary at all.
    """
    if ms_rows <= 0.0 and ms_rest <= 0.0:
        return math.nan, math.nan, math.nan
    if ms_rest <= 1e-24 * ms_rows:
        return 1.0, 1.0, 1.0
    value = (ms_rows - ms_rest) / (ms_rows + (k - 1) * ms_rest)
    f = ms_rows / ms_rest
    tail = (1 - interval) / 2
    low = f / float(stats.f.ppf(1 - tail, n - 1, df))
    high = f * float(stats.f.ppf(1 - tail, df, n - 1))
    return value, (low - 1) / (low + k - 1), (high - 1) / (high + k - 1)


def sessions_of(table: pd.DataFrame) -> tuple[list[str], list[str], NDArray[np.intp], list[str]]:
    """Arrange rows as persons by sessions.

    Parameters
    ----------
    table : pandas.DataFrame
        ``participant`` and ``session``, one row a scan.

    Returns
    -------
    people : list of str
        Who has every session.
    sessions : list of str
        Sessions, earliest first as far as their names say.
    index : (n, k) int
        Row of the table of each person and session.
    dropped : list of str
        Who has not, and what is missing.

    Raises
    ------
    Refused
        A session held twice, one session only, or nobody with all of them.
    """
    people = list(dict.fromkeys(table[PARTICIPANT]))
    seen = list(dict.fromkeys(table[SESSION]))
    sessions = sorted(seen, key=lambda s: _FIRST.get(s, 0))
    place = pd.DataFrame({"p": table[PARTICIPANT], "s": table[SESSION]})
    if place.duplicated().any():
        row = place[place.duplicated()].iloc[0]
        raise Refused(
            f"{row['p']} has two rows for session {row['s']}.",
            field="session",
            found="two rows",
            expected="one",
            mend="choose one run by `among`",
        )
    if len(sessions) < 2:
        raise Refused(
            "Reliability needs two sessions a person.",
            field="session",
            found=", ".join(sessions),
            expected="two or more sessions",
            mend="include the retest by `among`",
        )
    rows = {(p, s): i for i, (p, s) in enumerate(zip(place["p"], place["s"], strict=True))}
    whole, dropped, index = [], [], []
    for person in people:
        lacking = [s for s in sessions if (person, s) not in rows]
        if lacking:
            dropped.append(f"{person}: no {', '.join(lacking)}")
        else:
            whole.append(person)
            index.append([rows[person, s] for s in sessions])
    if len(whole) < 2:
        raise Refused(
            f"Only {len(whole)} people have every session ({', '.join(sessions)}).",
            field="among",
            found="; ".join(dropped),
            expected="two or more people",
            mend="restrict `among` to the sessions that are repeated",
        )
    return whole, sessions, np.array(index, dtype=np.intp), dropped


def as_row(found: Reliability) -> dict[str, float]:
    """Return the numbers by column name."""
    return {f.name: getattr(found, f.name) for f in fields(found)}


def _trt(y: NDArray[np.float64]) -> NDArray[np.float64]:
    k = y.shape[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        pairs = [
            np.abs(y[:, a] - y[:, b]) / np.abs((y[:, a] + y[:, b]) / 2)
            for a in range(k)
            for b in range(a + 1, k)
        ]
    return np.asarray(100 * np.mean(pairs, axis=0))


def _bland_altman(d: NDArray[np.float64], interval: float) -> tuple[float, ...]:
    n = len(d)
    bias, sd = float(d.mean()), float(d.std(ddof=1))
    t = t_critical(n - 1, interval)
    half = t * sd / math.sqrt(n)
    # variance of bias +- 1.96 sd, with var(sd) = sd^2 / (2 (n - 1))
    limit = t * sd * math.sqrt(1 / n + LIMIT**2 / (2 * (n - 1)))
    low, high = bias - LIMIT * sd, bias + LIMIT * sd
    return (
        bias, bias - half, bias + half,
        low, low - limit, low + limit,
        high, high - limit, high + limit,
    )  # fmt: skip
