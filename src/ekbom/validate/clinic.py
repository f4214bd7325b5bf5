"""Closed loops of the clinic room: made people through the real readers and rules."""

from __future__ import annotations

import math
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from scipy import stats

from ekbom.measures.clinic.cases import cases
from ekbom.measures.clinic.decide import Outcome, Verdict, decide
from ekbom.measures.clinic.endpoints import endpoint_change, long_table
from ekbom.measures.clinic.facts import fact
from ekbom.measures.clinic.io import people
from ekbom.measures.clinic.io.phenotype import read_phenotype
from ekbom.measures.clinic.logic import NO, YES
from ekbom.measures.clinic.response import change
from ekbom.measures.clinic.scales.definition import scale
from ekbom.measures.clinic.scales.score import Scored, error_of
from ekbom.measures.clinic.simulate import cohort, trial
from ekbom.measures.clinic.trialstats import risk_difference
from ekbom.validate.result import Check, binomial_gate

_ARMS = ("active", "placebo")
_VISITS = ("0", "4", "8", "12")


def validate_clinic(*, replicates: int = 2000, seed: int = 1) -> list[Check]:
    """Run every loop.

    Parameters
    ----------
    replicates : int
        People of the cohort, and trials of the error rate.
    seed : int
        Of every random draw.

    Returns
    -------
    list of Check
        In order; a failed gate is a fault of the room.
    """
    return [
        _made_cases(),
        *_diagnosis(replicates, seed),
        *_scales(replicates, seed),
        *_trials(replicates, seed),
        _chance_change(replicates, seed),
        *_coverage(),
    ]


def _made_cases() -> Check:
    wrong = [c.id for c in cases() if c.failures()]
    note = "cases " + ", ".join(map(str, wrong)) if wrong else "verdict and reasons as written"
    return Check("made cases with another verdict", len(wrong), len(cases()), "cases", 0, 0,
                 note=note)  # fmt: skip


def _through_files(frame: pd.DataFrame, name: str, folder: Path) -> Path:
    path = folder / f"{name}.tsv"
    frame.to_csv(path, sep="\t", index=False)
    return path


def _verdicts(path: Path, criteria: str) -> list[Verdict]:
    return [decide(p, criteria) for p in people.presentations(read_phenotype(path))]


def _diagnosis(n: int, seed: int) -> list[Check]:
    made = cohort(n, seed)
    true = (made.truth["kind"] == "rls").to_numpy()
    with TemporaryDirectory() as place:
        full = _through_files(made.diagnosis_full, "full", Path(place))
        holes = _through_files(made.diagnosis, "holes", Path(place))
        new, old = _verdicts(full, "2012"), _verdicts(full, "2003")
        torn = _verdicts(holes, "2012")
    said = np.array([v.counts_as_rls() is YES for v in new])
    said_old = np.array([v.counts_as_rls() is YES for v in old])
    other = (made.truth["kind"] == "mimic").to_numpy()
    spec = float(1 - said_old[other].mean())
    printed = fact("criteria.four_criteria")["specificity"]
    wrong = sum(v.counts_as_rls() is (NO if t else YES) for v, t in zip(torn, true, strict=True))
    outside = sum(not a.worst <= b.best <= a.best for a, b in zip(torn, new, strict=True))
    decided = np.mean([v.counts_as_rls() in (YES, NO) for v in torn])
    definite = [v for v, b in zip(torn, new, strict=True) if v.worst is Outcome.MET]
    return [
        Check("2012, sensitivity, all answers there", float(said[true].mean()), int(true.sum()),
              "share", 1, 1),
        Check("2012, specificity under mimics, all answers there",
              float(1 - said[~true].mean()), int((~true).sum()), "share", 1, 1),
        Check("2003, specificity among mimics", spec, int(other.sum()), "share",
              se=math.sqrt(spec * (1 - spec) / other.sum()), note=f"planted {printed:g}"),
        Check("2012, wrong decisions with 5 % of answers missing", wrong, n, "people", 0, 0),
        Check("2012, true outcome outside the range still allowed", outside, n, "people", 0, 0),
        Check("2012, people decided with 5 % of answers missing", float(decided), n, "share",
              se=math.sqrt(decided * (1 - decided) / n), note=f"{len(definite)} definite"),
    ]  # fmt: skip


def _scales(n: int, seed: int) -> list[Check]:
    made = cohort(n, seed + 1)
    true = made.truth["irls_total"].to_numpy(dtype=float)
    with TemporaryDirectory() as place:
        full = read_phenotype(_through_files(made.irls_full, "full", Path(place)))
        holes = read_phenotype(_through_files(made.irls, "holes", Path(place)))
    whole: Scored = people.scored(full, "irls")["IRLS_total"]
    torn = people.scored(holes, "irls")["IRLS_total"]
    filled = people.scored(holes, "irls", prorate=True)["IRLS_total"]
    inside = (torn.lower <= true) & (true <= torn.upper)
    silent = int(((torn.missing > 0) & ~np.isnan(torn.value)).sum())
    one = (torn.missing == 1) & ~np.isnan(filled.value)
    error = filled.value[one] - true[one]
    return [
        Check("IRLS total, error with all items", float(np.abs(whole.value - true).max()), n,
              "points", 0, 0),
        Check("IRLS total outside its range with items missing", int((~inside).sum()), n,
              "people", 0, 0),
        Check("IRLS total given although items are missing", silent, n, "people", 0, 0),
        Check("IRLS total, error when one item is prorated (RMS)",
              float(np.sqrt((error**2).mean())), int(one.sum()), "points",
              note="only on request"),
    ]  # fmt: skip


def _trials(runs: int, seed: int) -> list[Check]:
    hits = sum(_trial_p(50, 0.0, 10_000 + seed * runs + i) < 0.05 for i in range(runs))
    low, high = binomial_gate(runs, 0.05)
    some = max(runs // 10, 20)
    found = [_trial_p(50, -2.5, 20_000_000 + seed * runs + i) < 0.05 for i in range(some)]
    power = float(np.mean(found))
    return [
        Check("trial without an effect called significant at 5 %", hits, runs, "trials",
              low, high, note="binomial 99.9 %"),
        Check("power for 2.5 points, 50 an arm", power, some, "share",
              se=math.sqrt(max(power * (1 - power), 1e-9) / some)),
    ]  # fmt: skip


def _trial_p(n: int, effect: float, seed: int) -> float:
    long = long_table(trial(n, effect, seed), "irls_total", _VISITS)
    return endpoint_change(long, _ARMS, "irls_change").p


def _chance_change(n: int, seed: int) -> Check:
    """People who did not change must seldom be called reliably better."""
    rng = np.random.default_rng(seed + 2)
    norm = fact("norms.irls_untreated")
    sem = error_of(scale("irls").part("IRLS_total"))[0]
    person = rng.normal(norm["mean"], norm["sd"], n)
    before, after = (person + rng.normal(0, sem, n) for _ in range(2))
    called = int(np.nansum(change(before, after).reliable))
    low, high = binomial_gate(n, 0.025)
    return Check("unchanged people called reliably better", called, n, "people", low, high,
                 note="2.5 % by construction of the index")  # fmt: skip


def _coverage() -> list[Check]:
    """Exact coverage of the Newcombe interval, by counting every outcome."""
    out = []
    for n, p1, p2 in ((30, 0.5, 0.3), (60, 0.6, 0.45)):
        k = np.arange(n + 1)
        w1, w2 = stats.binom.pmf(k, n, p1), stats.binom.pmf(k, n, p2)
        covered = 0.0
        for a in k:
            for b in k:
                _, low, high = risk_difference(int(a), n, int(b), n)
                covered += w1[a] * w2[b] * (low <= p1 - p2 <= high)
        name = f"coverage of the risk difference, {n} an arm, {p1:g} v {p2:g}"
        out.append(Check(name, covered, (n + 1) ** 2, "share", 0.93, 0.98, note="counted exactly"))
    return out
