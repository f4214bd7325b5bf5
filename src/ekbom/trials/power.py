"""What a planned trial can find: power, interval, detectable effect, sample size."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from ekbom.errors import Refused
from ekbom.trials.recipes import findings
from ekbom.trials.responses import Responses
from ekbom.trials.trial import Estimate, analyse_trial, conduct, truth_of
from ekbom.trials.trialdesign import TrialDesign

Array = NDArray[np.float64]
#: People of a planned trial, at most.
LARGEST = 4000
ALPHA = 0.05


@dataclass(frozen=True)
class Planned:
    """What a design can find.

    Parameters
    ----------
    table : DataFrame
        One row an endpoint and arm: truth, mean estimate, range of 90 % of trials,
        coverage, power with its Monte-Carlo interval, smallest effect found with the
        power asked for, printed effect and whether it lies inside.
    curve : DataFrame
        Power of the primary endpoint by number of people, and the sample size found.
    first : DataFrame
        Estimates of the first of the trials: what one team would publish.
    """

    table: pd.DataFrame
    curve: pd.DataFrame
    first: pd.DataFrame


def many(
    design: TrialDesign,
    found: Responses,
    replicates: int,
    seed: int,
    *,
    n: int | None = None,
    null: bool = False,
    endpoints: tuple[str, ...] | None = None,
) -> dict[tuple[str, int], list[Estimate]]:
    """Simulate and analyse many trials.

    Parameters
    ----------
    design, found
        As for :func:`ekbom.trials.trial.conduct`.
    replicates : int
        Trials.
    seed : int
        Trial k has the stream ``[seed, k]``, whatever the number of trials.
    n, null
        As for :func:`ekbom.trials.trial.conduct`.
    endpoints : tuple of str, optional
        Those of the design by default.

    Returns
    -------
    dict of (endpoint, arm) to list of Estimate
    """
    asked = endpoints or design.endpoints
    arms = range(1, 2 if design.design == "crossover" else len(design.arms))
    out: dict[tuple[str, int], list[Estimate]] = {(e, a): [] for e in asked for a in arms}
    for k in range(replicates):
        one = conduct(design, found, np.random.default_rng([seed, k]), n, null=null)
        for endpoint, arm in out:
            out[endpoint, arm].append(analyse_trial(design, one, endpoint, arm))
    return out


def share_found(results: list[Estimate]) -> tuple[float, float, float]:
    """Return the share of trials with p < .05 and its 95 % Clopper-Pearson interval."""
    p = np.array([r.p for r in results])
    hits, n = int(np.sum(p < ALPHA)), int(np.isfinite(p).sum())
    if n == 0:
        return math.nan, math.nan, math.nan
    low = 0.0 if hits == 0 else float(stats.beta.ppf(0.025, hits, n - hits + 1))
    high = 1.0 if hits == n else float(stats.beta.ppf(0.975, hits + 1, n - hits))
    return hits / n, low, high


def plan(
    design: TrialDesign,
    found: Responses,
    *,
    replicates: int = 500,
    seed: int = 1,
    power: float = 0.8,
    search: int = 200,
    say: Callable[[str], None] | None = None,
) -> Planned:
    """Say what a design can find, and how many people the power asked for takes.

    Parameters
    ----------
    design, found
        As for :func:`ekbom.trials.trial.conduct`.
    replicates : int
        Trials of the size of the design.
    seed : int
    power : float
        Asked for.
    search : int
        Trials at each number of people tried by bisection.
    say : callable, optional
        Told what is being done.

    Returns
    -------
    Planned
    """
    if not 0.05 < power < 1:
        raise Refused("The power asked for is none.", field="power", found=power,
                      expected="a number between 0.05 and 1")  # fmt: skip
    tell = say or (lambda text: None)
    tell(f"{replicates} trials of {design.n} people")
    results = many(design, found, replicates, seed)
    rows = [_row(design, found, e, a, r, power) for (e, a), r in results.items()]
    first = pd.DataFrame(
        [
            {"endpoint": e, "arm": design.names[a], "estimate": r[0].estimate,
             "lower": r[0].lower, "upper": r[0].upper, "p": r[0].p}
            for (e, a), r in results.items()
        ]
    )  # fmt: skip
    curve = sample_size(design, found, seed=seed + 1, power=power, trials=search, say=tell)
    return Planned(pd.DataFrame(rows), curve, first)


def _row(
    design: TrialDesign,
    found: Responses,
    endpoint: str,
    arm: int,
    results: list[Estimate],
    power: float,
) -> dict[str, object]:
    ratio = endpoint == "responder"
    x = np.array([r.estimate for r in results])
    lower, upper = (np.array([getattr(r, k) for r in results]) for k in ("lower", "upper"))
    ok = np.isfinite(x)
    true = truth_of(design, found, endpoint, arm)
    wide = np.log(upper[ok] / lower[ok]) if ratio else upper[ok] - lower[ok]
    se = float(np.mean(wide)) / (2 * 1.959964) if ok.any() else math.nan
    smallest = (1.959964 + float(stats.norm.ppf(power))) * se
    share, low, high = share_found(results)
    q05, q95 = np.quantile(x[ok], [0.05, 0.95]) if ok.any() else (math.nan, math.nan)
    name = design.findings.get(endpoint, "")
    printed = _printed(name) if name else math.nan
    inside = "n/a" if not name else ("yes" if q05 <= printed <= q95 else "no")
    middle = float(np.exp(np.mean(np.log(x[ok])))) if ratio and ok.any() else float(np.mean(x[ok]))
    return {
        "endpoint": endpoint, "arm": design.names[arm], "against": design.reference,
        "n": design.n, "true": true, "estimate": middle, "q05": float(q05), "q95": float(q95),
        "coverage": float(np.mean((lower[ok] <= true) & (true <= upper[ok]))),
        "power": share, "power_lower": low, "power_upper": high,
        "smallest_effect": math.exp(smallest) if ratio else smallest,
        "finding": name or "n/a", "printed": printed, "printed_inside": inside,
    }  # fmt: skip


def _printed(name: str) -> float:
    table = findings()
    if name not in table.index:
        raise Refused("There is no such finding.", field="findings", found=name,
                      expected="an id of the table of findings, such as TX15")  # fmt: skip
    return float(str(table.loc[name, "effect"]))


def sample_size(
    design: TrialDesign,
    found: Responses,
    *,
    seed: int,
    power: float = 0.8,
    trials: int = 200,
    largest: int = LARGEST,
    say: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """Find the number of people for a power, by bisection over simulated trials.

    Parameters
    ----------
    design, found
        As for :func:`ekbom.trials.trial.conduct`; the primary endpoint and the first
        arm are asked about.
    seed : int
        The same streams serve every size.
    power : float
    trials : int
        At each size.
    largest : int
        Sizes above are not tried.
    say : callable, optional

    Returns
    -------
    DataFrame
        ``n``, ``power`` with its interval, ``wanted`` (whether it is the size found);
        without a size found when even the largest does not reach the power.
    """
    tell = say or (lambda text: None)
    endpoint = design.endpoints[0]
    least = 8 if design.design == "crossover" else 6 * len(design.arms)
    tried: dict[int, tuple[float, float, float]] = {}

    def reached(n: int) -> bool:
        if n not in tried:
            tell(f"{trials} trials of {n} people")
            got = many(design, found, trials, seed, n=n, endpoints=(endpoint,))
            tried[n] = share_found(got[endpoint, 1])
        return tried[n][0] >= power

    low, high = least, max(2 * least, min(design.n, largest))
    while not reached(high) and high < largest:
        low, high = high, min(2 * high, largest)
    answer: int | None = None
    if reached(high):
        if reached(low):
            high = low
        # to one in twenty of the size: nearer, the error of the simulation decides
        while high - low > max(2, high // 20):
            middle = (low + high) // 2
            low, high = (low, middle) if reached(middle) else (middle, high)
        answer = high
    rows = [
        {"n": n, "power": p, "lower": a, "upper": b, "wanted": "yes" if n == answer else "no"}
        for n, (p, a, b) in sorted(tried.items())
    ]
    return pd.DataFrame(rows)


def false_positives(
    design: TrialDesign, found: Responses, *, trials: int = 1000, seed: int = 2
) -> pd.DataFrame:
    """Count findings when every arm gets the reference.

    Parameters
    ----------
    design, found
        As for :func:`ekbom.trials.trial.conduct`.
    trials : int
    seed : int

    Returns
    -------
    DataFrame
        ``endpoint``, ``arm``, ``found``, ``of``, ``lower`` and ``upper`` (the binomial
        99.9 % range at .05) and ``inside``.
    """
    results = many(design, found, trials, seed, null=True)
    rows = []
    for (endpoint, arm), got in results.items():
        p = np.array([r.p for r in got])
        n, hits = int(np.isfinite(p).sum()), int(np.sum(p < ALPHA))
        low, high = (float(stats.binom.ppf(q, n, ALPHA)) for q in (0.0005, 0.9995))
        rows.append({
            "endpoint": endpoint, "arm": design.names[arm], "found": hits, "of": n,
            "lower": int(low), "upper": int(high), "inside": "yes" if low <= hits <= high else "no",
        })  # fmt: skip
    return pd.DataFrame(rows)
