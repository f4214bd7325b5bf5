"""Change with treatment: one row a person and visit, every threshold beside the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom.measures.clinic.facts import Fact, fact
from ekbom.measures.clinic.scales.definition import scale
from ekbom.measures.clinic.scales.score import error_of

Array = NDArray[np.float64]

#: Thresholds of change in IRLS points; none of them is called "the" one.
THRESHOLDS = ("mcic_minimal", "mcic_much", "mcid_review", "cohort_change")
FACTS = tuple(
    f"response.{name}"
    for name in ("responder", *THRESHOLDS, "remission_mild", "remission_zero", "rci")
)


@dataclass(frozen=True)
class Change:
    """Change of N scores. Logical results are 1, 0 or NaN.

    ``delta`` is after minus before (negative = better), ``percent`` of the
    baseline (NaN at baseline 0); ``rci`` the reliable change index
    delta / (sqrt(2) SEM), which allows for error and with it for regression
    to the mean of a single score.
    """

    delta: Array
    percent: Array
    responder: Array
    beyond: dict[str, Array]
    remission_mild: Array
    remission_zero: Array
    rci: Array
    reliable: Array


def change(before: Array, after: Array, sem: float | None = None) -> Change:
    """Compare IRLS totals before and after.

    Parameters
    ----------
    before, after : (N,) ndarray
        Totals, NaN when missing.
    sem : float, optional
        Standard error of measurement; that of the data file by default.

    Returns
    -------
    Change
        With NaN where a total is missing.

    Examples
    --------
    >>> import numpy as np
    >>> c = change(np.array([30.0, 20, 0]), np.array([15.0, 11, 0]))
    >>> c.delta.tolist(), c.responder.tolist()
    ([-15.0, -9.0, 0.0], [1.0, 0.0, nan])
    """
    if sem is None:
        sem = error_of(scale("irls").part("IRLS_total"))[0]
    delta = after - before
    with np.errstate(divide="ignore", invalid="ignore"):
        percent = np.where(before > 0, delta / before * 100.0, np.nan)
        rci = delta / (np.sqrt(2.0) * sem)
    z = fact("response.rci")["z"]
    return Change(
        delta=delta,
        percent=percent,
        responder=_le(percent, -fact("response.responder")["percent_fall"]),
        beyond={n: _le(delta, fact(f"response.{n}")["points"]) for n in THRESHOLDS},
        remission_mild=_le(after, fact("response.remission_mild")["irls_max"]),
        remission_zero=_le(after, fact("response.remission_zero")["irls_max"]),
        rci=rci,
        reliable=_le(rci, -z),
    )


def thresholds() -> dict[str, Fact]:
    """Return the thresholds of change by name, with what each of them is.

    Returns
    -------
    dict
        Fact by name.
    """
    return {n: fact(f"response.{n}") for n in THRESHOLDS}


def response_table(long: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Return the change from baseline, one row a person and later visit.

    Parameters
    ----------
    long : DataFrame
        ``participant_id``, ``session_id``, ``value`` (IRLS total) and, when
        there, ``cgi_i``; one row a person and visit.
    baseline : str
        Session that is the baseline.

    Returns
    -------
    DataFrame
        One row a person and visit other than the baseline; people without a
        baseline value have NaN.
    """
    first = long.loc[long["session_id"] == baseline].set_index("participant_id")["value"]
    later = long.loc[long["session_id"] != baseline].reset_index(drop=True)
    before = later["participant_id"].map(first).to_numpy(dtype=float)
    after = later["value"].to_numpy(dtype=float)
    result = change(before, after)
    frame = later[["participant_id", "session_id"]].assign(
        baseline=before,
        value=after,
        delta=result.delta,
        percent=result.percent,
        responder_50=result.responder,
        **{n: result.beyond[n] for n in THRESHOLDS},
        remission_mild=result.remission_mild,
        remission_zero=result.remission_zero,
        rci=result.rci,
        reliable=result.reliable,
    )
    if "cgi_i" in later:
        cut = fact("response.cgi_responder")["max"]
        frame["cgi_responder"] = _le(later["cgi_i"].to_numpy(dtype=float), cut)
    return frame


def mean_over_time(time: Array, value: Array) -> float:
    """Return the area under a course divided by its length, by the trapezoid rule.

    Parameters
    ----------
    time, value : (T,) ndarray
        Increasing times and values; missing values are left out.

    Returns
    -------
    float
        NaN with fewer than two values.
    """
    known = ~np.isnan(value)
    if known.sum() < 2:
        return float("nan")
    t, v = time[known], value[known]
    return float(np.trapezoid(v, t) / (t[-1] - t[0]))


def first_response(time: Array, responded: Array) -> tuple[float, bool]:
    """Return the time of first response, or of the last visit seen without one.

    Parameters
    ----------
    time : (T,) ndarray
        Increasing.
    responded : (T,) ndarray
        1, 0 or NaN.

    Returns
    -------
    time : float
        NaN when no visit was seen.
    event : bool
        False when censored.
    """
    hits = np.flatnonzero(responded == 1)
    if hits.size:
        return float(time[hits[0]]), True
    seen = np.flatnonzero(~np.isnan(responded))
    return (float(time[seen[-1]]) if seen.size else float("nan")), False


def first_responses(table: pd.DataFrame, week: pd.Series) -> pd.DataFrame:
    """Return when each person first fell by half, or the last visit seen without.

    Parameters
    ----------
    table : DataFrame
        From :func:`response_table`.
    week : Series
        Time of each session by its name.

    Returns
    -------
    DataFrame
        ``participant_id``, ``time``, ``event``.
    """
    timed = table.assign(_t=table["session_id"].map(week).astype(float)).sort_values("_t")
    rows = []
    for person, own in timed.groupby("participant_id", sort=True):
        time, event = first_response(own["_t"].to_numpy(), own["responder_50"].to_numpy())
        rows.append((person, time, event))
    return pd.DataFrame(rows, columns=["participant_id", "time", "event"])


def kaplan_meier(time: Array, event: NDArray[np.bool_]) -> pd.DataFrame:
    """Return the Kaplan-Meier curve of the share without an event.

    Parameters
    ----------
    time : (N,) ndarray
        Times of event or censoring; NaN left out.
    event : (N,) ndarray of bool
        Whether it is an event.

    Returns
    -------
    DataFrame
        ``time``, ``at_risk``, ``events``, ``share`` with ``lower`` and
        ``upper`` (95 %, Greenwood on the log-log scale).
    """
    use = ~np.isnan(time)
    time, event = time[use], event[use]
    rows, share, green = [], 1.0, 0.0
    for t in np.unique(time[event]):
        at_risk, events = int((time >= t).sum()), int(((time == t) & event).sum())
        share *= 1.0 - events / at_risk
        if 0.0 < share < 1.0:
            green += events / (at_risk * (at_risk - events))
            half = 1.959964 * np.sqrt(green) / abs(np.log(share))
            lower, upper = share ** np.exp(half), share ** np.exp(-half)
        else:
            lower = upper = float("nan")
        rows.append((float(t), at_risk, events, share, float(lower), float(upper)))
    return pd.DataFrame(rows, columns=["time", "at_risk", "events", "share", "lower", "upper"])


def _le(value: Array, bound: float) -> Array:
    out: Array = np.where(np.isnan(value), np.nan, (value <= bound).astype(float))
    return out
