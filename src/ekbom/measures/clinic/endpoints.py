"""Trial endpoints from visit tables: the endpoint is named before the data are seen.

Parallel arms, two of them. Everything here is closed form; mixed models are
fitted elsewhere from the long tables that :func:`long_table` returns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from ekbom.errors import Refused
from ekbom.measures.clinic.facts import fact
from ekbom.measures.clinic.response import change
from ekbom.measures.clinic.trialstats import Array, ancova, crossover, nnt, risk_difference

HOW = ("observed", "completers", "locf")


@dataclass(frozen=True)
class Estimate:
    """One endpoint: treatment minus control, with interval and p."""

    endpoint: str
    population: str
    estimate: float
    lower: float
    upper: float
    p: float
    n_treatment: int
    n_control: int
    unit: str
    method: str
    sensitivity: bool = False


def long_table(
    frame: pd.DataFrame, value: str, visits: Sequence[str], covariates: Sequence[str] = ()
) -> pd.DataFrame:
    """Return one row a person and visit after baseline, with the baseline beside it.

    Parameters
    ----------
    frame : DataFrame
        ``participant_id``, ``session_id``, ``arm`` and the value.
    value : str
        Column.
    visits : sequence of str
        In order; the first is the baseline.
    covariates : sequence of str
        Columns kept as they stand at each visit (dose, clock time of the
        assessment: symptoms peak near midnight).

    Returns
    -------
    DataFrame
        ``participant_id``, ``arm``, ``visit``, ``baseline``, ``value``,
        ``change`` and the covariates.

    Raises
    ------
    Refused
        For a visit that is not in the table, or a person in two arms.
    """
    strange = [v for v in visits if v not in set(frame["session_id"])]
    if strange:
        raise Refused(
            "A visit is not in the table.",
            field="visits",
            found=", ".join(strange),
            expected=", ".join(sorted(set(frame["session_id"]))),
        )
    arms = frame.groupby("participant_id")["arm"].agg(lambda a: sorted(set(a)))
    torn = arms[arms.map(len) > 1]
    if len(torn):
        raise Refused(
            "A person is in two arms.",
            field=f"arm of {torn.index[0]}",
            found=", ".join(torn.iloc[0]),
            expected="one arm",
        )
    wide = _wide(frame, "session_id", value, visits)
    people, later = len(wide), list(visits[1:])
    base = np.repeat(wide[visits[0]].to_numpy(dtype=float), len(later))
    now = wide[later].to_numpy(dtype=float).ravel()
    more = {c: _wide(frame, "session_id", c, later).to_numpy(float).ravel() for c in covariates}
    return pd.DataFrame(
        {
            "participant_id": np.repeat(wide.index.to_numpy(), len(later)),
            "arm": np.repeat(arms.loc[wide.index].map(lambda a: a[0]).to_numpy(), len(later)),
            "visit": np.tile(np.array(later, dtype=object), people),
            "baseline": base,
            "value": now,
            "change": now - base,
            **more,
        }
    )


def missing_patterns(long: pd.DataFrame, visits: Sequence[str]) -> pd.DataFrame:
    """Return how many people of each arm have each pattern of missing visits.

    Parameters
    ----------
    long : DataFrame
        From :func:`long_table`.
    visits : sequence of str
        In order, baseline first.

    Returns
    -------
    DataFrame
        ``pattern`` (``x`` seen, ``.`` missing, baseline first), ``arm``, ``n``.
    """
    wide = _wide(long, "visit", "value", visits[1:])
    base = long.groupby("participant_id")["baseline"].first()
    arm = long.groupby("participant_id")["arm"].first()
    seen = np.column_stack([base.notna(), wide.loc[base.index].notna()])
    marks = ["".join("x" if s else "." for s in row) for row in seen]
    table = pd.DataFrame({"pattern": marks, "arm": arm.to_numpy()})
    return table.groupby(["pattern", "arm"], sort=True).size().rename("n").reset_index()


def endpoint_change(
    long: pd.DataFrame,
    arms: tuple[str, str],
    endpoint: str,
    how: str = "observed",
    covariates: Sequence[str] = (),
) -> Estimate:
    """Return the change at the last visit, adjusted for baseline.

    Parameters
    ----------
    long : DataFrame
        From :func:`long_table`.
    arms : (treatment, control)
        Names.
    endpoint : str
        Name in the result.
    how : str
        ``observed`` (all who were seen at the last visit, as randomised),
        ``completers`` (seen at every visit) or ``locf`` (last value carried
        forward; a sensitivity analysis and marked so).
    covariates : sequence of str
        Columns of `long` to adjust for, as they stand at the last visit.

    Returns
    -------
    Estimate
        Treatment minus control.
    """
    if how not in HOW:
        raise Refused("The analysis is not known.", field="how", found=how, expected=", ".join(HOW))
    wide = _wide(long, "visit", "change", list(dict.fromkeys(long["visit"])))
    first = long.groupby("participant_id")[["arm", "baseline"]].first().loc[wide.index]
    last = wide.iloc[:, -1]
    if how == "completers":
        last = last.where(wide.notna().all(axis=1))
    elif how == "locf":
        last = wide.ffill(axis=1).iloc[:, -1]
    use = first["arm"].isin(arms).to_numpy()
    treated = (first["arm"] == arms[0]).to_numpy()[use]
    y, base = last.to_numpy(dtype=float)[use], first["baseline"].to_numpy(dtype=float)[use]
    at_last = [
        _wide(long, "visit", c, list(wide.columns)).iloc[:, -1].to_numpy() for c in covariates
    ]
    extra = np.column_stack(at_last).astype(float)[use] if at_last else None
    effect, lower, upper, p = ancova(y, base, treated, extra)
    ok = ~np.isnan(y) & ~np.isnan(base)
    if extra is not None:
        ok &= ~np.isnan(extra).any(axis=1)
    return Estimate(
        endpoint, how, effect, lower, upper, p,
        int((ok & treated).sum()), int((ok & ~treated).sum()),
        "points", " and ".join(["ANCOVA with baseline", *covariates]),
        sensitivity=how != "observed",
    )  # fmt: skip


def endpoint_share(
    responded: Array, arm: Sequence[str], arms: tuple[str, str], endpoint: str
) -> list[Estimate]:
    """Return a difference of responder shares, and the number needed to treat.

    Parameters
    ----------
    responded : (N,) ndarray
        1, 0 or NaN (left out and counted nowhere).
    arm : sequence of str
        Arm of each person.
    arms : (treatment, control)
        Names.
    endpoint : str
        Name in the result.

    Returns
    -------
    list of Estimate
        Risk difference and NNT; p by Fisher's exact test.
    """
    names = np.array(arm)
    known = ~np.isnan(responded)
    a, b = (responded[known & (names == name)] for name in arms)
    if not len(a) or not len(b):
        raise Refused("An arm has nobody in it.", field="arm", found=f"{len(a)} and {len(b)}",
                      expected=f"people in {arms[0]} and {arms[1]}")  # fmt: skip
    x, y = int(a.sum()), int(b.sum())
    difference = risk_difference(x, len(a), y, len(b))
    p = float(stats.fisher_exact(np.array([[x, len(a) - x], [y, len(b) - y]]))[1])
    needed = nnt(difference)
    common = (p, len(a), len(b))
    return [
        Estimate(endpoint, "observed", *difference, *common, "share", "Newcombe interval"),
        Estimate(f"{endpoint}_nnt", "observed", *needed, *common, "people", "1 / risk difference"),
    ]


def tipping_point(
    long: pd.DataFrame, arms: tuple[str, str], steps: Array, alpha: float = 0.05
) -> pd.DataFrame:
    """Return how bad the missing outcomes of the treated must be to lose the effect.

    Parameters
    ----------
    long : DataFrame
        From :func:`long_table`.
    arms : (treatment, control)
        Names.
    steps : (K,) ndarray
        Points added to the arm's mean change for those missing in the
        treatment arm; those missing in the control arm get its mean change.
    alpha : float
        Level.

    Returns
    -------
    DataFrame
        ``shift``, ``estimate``, ``lower``, ``upper``, ``p``, ``significant``.
        Means are put in without their spread, so the intervals are narrow.
    """
    last = long[long["visit"] == long["visit"].iloc[-1]]
    last = last[last["arm"].isin(arms) & last["baseline"].notna()]
    treated = (last["arm"] == arms[0]).to_numpy()
    y, base = last["change"].to_numpy(dtype=float), last["baseline"].to_numpy(dtype=float)
    means = {flag: float(np.nanmean(y[treated == flag])) for flag in (True, False)}
    rows = []
    for shift in steps:
        filled = np.where(np.isnan(y), np.where(treated, means[True] + shift, means[False]), y)
        effect, lower, upper, p = ancova(filled, base, treated)
        rows.append((float(shift), effect, lower, upper, p, p < alpha))
    return pd.DataFrame(rows, columns=["shift", "estimate", "lower", "upper", "p", "significant"])


def gate(order: Sequence[str], p: Mapping[str, float], alpha: float = 0.05) -> pd.DataFrame:
    """Test endpoints in the order of the plan; the first that fails closes the gate.

    Parameters
    ----------
    order : sequence of str
        Endpoints, primary first.
    p : mapping of str to float
        Two-sided p values.
    alpha : float
        Level, kept for the family.

    Returns
    -------
    DataFrame
        ``endpoint``, ``p``, ``tested``, ``confirmed``.
    """
    missing = [name for name in order if name not in p]
    if missing:
        raise Refused(
            "An endpoint of the plan was not computed.", field="order",
            found=", ".join(missing), expected=", ".join(p),
        )  # fmt: skip
    is_open, rows = True, []
    for name in order:
        confirmed = is_open and p[name] <= alpha
        rows.append((name, p[name], is_open, confirmed))
        is_open = confirmed
    return pd.DataFrame(rows, columns=["endpoint", "p", "tested", "confirmed"])


def crossover_table(frame: pd.DataFrame, visits: Sequence[str], first_arm: str) -> pd.DataFrame:
    """Analyse a crossover from a table with one row a person and period.

    Parameters
    ----------
    frame : DataFrame
        ``participant_id``, ``session_id``, ``arm``, ``irls_total``.
    visits : (first, second)
        Sessions of the two periods.
    first_arm : str
        Arm that is the treatment.

    Returns
    -------
    DataFrame
        One row an effect.

    Raises
    ------
    Refused
        For other than two periods, or a person who got one treatment twice.
    """
    if len(visits) != 2:
        raise Refused("A crossover has two periods.", field="endpoints.visits",
                      found=", ".join(visits), expected="two sessions")  # fmt: skip
    wide = _wide(frame, "session_id", "irls_total", visits)
    arms = _wide(frame, "session_id", "arm", visits)
    whole = arms.notna().all(axis=1)
    same = whole & (arms[visits[0]] == arms[visits[1]])
    if same.any():
        raise Refused("A person got the same treatment twice.", field="arm",
                      found=str(same.index[same][0]), expected="each treatment once")  # fmt: skip
    wide, arms = wide[whole], arms[whole]
    got = crossover(
        wide[visits[0]].to_numpy(dtype=float),
        wide[visits[1]].to_numpy(dtype=float),
        (arms[visits[0]] == first_arm).to_numpy(),
    )
    rows = [(name, *getattr(got, name), *got.n) for name in ("treatment", "period", "carry_over")]
    names = ["effect", "estimate", "lower", "upper", "p", "n_treatment_first", "n_control_first"]
    return pd.DataFrame(rows, columns=names)


def all_endpoints(
    frame: pd.DataFrame,
    visits: Sequence[str],
    arms: tuple[str, str],
    order: Sequence[str],
    alpha: float = 0.05,
    covariates: Sequence[str] = (),
) -> dict[str, pd.DataFrame]:
    """Compute every endpoint of a plan, with its sensitivity analyses.

    Parameters
    ----------
    frame : DataFrame
        ``participant_id``, ``session_id``, ``arm``, ``irls_total`` and, when
        there, ``cgi_i``.
    visits : sequence of str
        In order; the first is the baseline.
    arms : (treatment, control)
        Names.
    order : sequence of str
        Endpoints, primary first: ``irls_change``, ``irls_responder``,
        ``cgi_responder``, ``remission``.
    alpha : float
        Level of the family.
    covariates : sequence of str
        Further columns the change is adjusted for.

    Returns
    -------
    dict
        Tables ``endpoints``, ``gate``, ``missing``, ``tipping`` and ``long``
        (for a mixed model).

    Raises
    ------
    Refused
        For an endpoint that is not known or has no data.
    """
    long = long_table(frame, "irls_total", visits, covariates)
    last = long[long["visit"] == visits[-1]]
    result = change(last["baseline"].to_numpy(dtype=float), last["value"].to_numpy(dtype=float))
    shares = {"irls_responder": result.responder, "remission": result.remission_mild}
    if "cgi_i" in frame:
        cgi = frame[frame["session_id"] == visits[-1]].set_index("participant_id")["cgi_i"]
        own = last["participant_id"].map(cgi).to_numpy(dtype=float)
        limit = fact("response.cgi_responder")["max"]
        shares["cgi_responder"] = np.where(np.isnan(own), np.nan, (own <= limit).astype(float))
    known = ("irls_change", *shares)
    strange = [name for name in order if name not in known]
    if strange or not order:
        raise Refused(
            "The plan names an endpoint that cannot be computed.",
            field="endpoints.order",
            found=", ".join(strange) or "none",
            expected=", ".join(known),
        )
    rows: list[Estimate] = []
    for name in order:
        if name == "irls_change":
            rows += [endpoint_change(long, arms, name, how, covariates) for how in HOW]
        else:
            rows += endpoint_share(shares[name], last["arm"].tolist(), arms, name)
    table = pd.DataFrame([vars(r) for r in rows])
    table.insert(1, "role", np.where(table["endpoint"] == order[0], "primary", "secondary"))
    p = {r.endpoint: r.p for r in rows if not r.sensitivity}
    return {
        "endpoints": table,
        "gate": gate(order, p, alpha),
        "missing": missing_patterns(long, visits),
        "tipping": tipping_point(long, arms, np.arange(0.0, 21.0, 2.0), alpha),
        "long": long,
    }


def _wide(frame: pd.DataFrame, columns: str, value: str, order: Sequence[str]) -> pd.DataFrame:
    # Not pivot_table: it would average duplicates and drop people without any value.
    wide = frame.pivot(index="participant_id", columns=columns, values=value)  # noqa: PD010
    return wide.reindex(columns=list(order))
