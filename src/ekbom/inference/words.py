"""Methods and results paragraphs, from the values that were used.

The results paragraph never says more than the test: a test that is not
significant shows no effect, it does not show that there is none.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import pandas as pd

from ekbom.inference.permute.plan import PermutationPlan
from ekbom.inference.settings import Settings

if TYPE_CHECKING:
    from ekbom.inference.permute.engine import Permuted
    from ekbom.inference.question import Question

SMALL_N = 10
"""Under this many people the words say that the interval of reliability is wide."""


@dataclass(frozen=True)
class Facts:
    """What the words are made of."""

    question: Question
    outcome: str
    frame: pd.DataFrame
    permuted: Permuted | None
    warnings: tuple[str, ...]
    over: str
    meta: Mapping[str, Any] = field(default_factory=dict)


@cache
def _library() -> dict[str, dict[str, str]]:
    text = resources.files("ekbom.inference").joinpath("references.toml").read_text("utf-8")
    return tomllib.loads(text)


def references(*keys: str) -> list[str]:
    """Return references in full, with their DOI where there is one."""
    out = []
    for key in dict.fromkeys(keys):
        entry = _library()[key]
        out.append(entry["text"] + (f". doi:{entry['doi']}" if "doi" in entry else "."))
    return out


def cited(question: Question, permuted: Permuted | None, over: str = "") -> list[str]:
    """Return the keys of the references that an answer needs."""
    keys = ["holm1979", "benjamini1995", "cook1977"]
    if question.effect.quantity in ("difference", "mean"):
        keys += ["hedges1981", "fieller1954"]
    settings = question.settings
    if over == "voxels":
        keys += ["worsley1996", "kiebel1999", "friston1994", "hayasaka2004", "chumbley2010"]
        if settings.method == "tfce":
            keys.append("smith2009")
        if settings.variance == "voxel":
            keys.append("winkler2014")
    if permuted is not None:
        keys += ["freedman1983", "nichols2002", "winkler2014"]
        if permuted.plan.enough is not None:
            keys.append("besag1991")
        if settings.tail and not permuted.plan.exhaustive:
            keys += ["knijnenburg2009", "winkler2016"]
        if question.model.stratum != "persons" or question.blocks is not None:
            keys.append("winkler2015")
    return keys


def few_relabellings(plan: PermutationPlan, settings: Settings) -> list[str]:
    """Warn when the relabellings are too few for the level."""
    # the mirror of a relabelling has the same |t| when it is in the set
    least = (2.0 if settings.sign == "two-sided" and plan.exhaustive else 1.0) / plan.n
    if least > settings.alpha and plan.enough is None:
        return [
            f"With {plan.n} relabellings no p can be under {p_text(least)}: "
            f"permutation cannot reach {settings.alpha:g} in this design."
        ]
    return []


def p_text(p: float) -> str:
    """Return p as it is printed."""
    if not math.isfinite(p):
        return "n/a"
    if p < 0.0001:
        return f"{p:.1e}"
    return f"{p:.4f}" if p < 0.001 else f"{p:.3f}"


def named(outcome: str, unit: str) -> str:
    """Return what was measured with its unit; numbers without one (``1``) stand alone.

    Examples
    --------
    >>> named("V_T", "mL/cm3"), named("the map", "1")
    ('V_T (mL/cm3)', 'the map')
    """
    return outcome if unit == "1" else f"{outcome} ({unit})"


def amount(value: float, unit: str) -> str:
    """Return a number with its unit.

    Examples
    --------
    >>> amount(2.5, "mL/cm3"), amount(2.5, "1"), amount(2.5, "1 per unit of age")
    ('2.50 mL/cm3', '2.50', '2.50 per unit of age')
    """
    unit = "" if unit == "1" else unit.removeprefix("1 ")
    return f"{number(value)} {unit}" if unit else number(value)


def number(value: float, digits: int = 3) -> str:
    """Return a number with so many significant digits, without an exponent where possible."""
    if not math.isfinite(value):
        return "n/a"
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if -5 < size < 6:
        return f"{value:.{max(digits - 1 - size, 0)}f}"
    return f"{value:.{digits - 1}e}"


def methods(facts: Facts, search: str = "") -> str:
    """Return the methods paragraph of a question; ``search`` tells what was done over voxels."""
    q, settings = facts.question, facts.question.settings
    design, asked, made = q.design, q.effect, q.model
    who = f"{made.n} participants"
    if design.repeated:
        who += f" with {design.n} scans"
    out = [
        f"{named(facts.outcome, q.unit)} of {who} was modelled by least squares as "
        f"`{design.formula}`; the effect tested was `{asked.name}` ({asked.meaning})."
    ]
    if made.stratum == "within":
        out.append(
            "Scans of a person were compared with each other: each person's own mean was taken "
            "out, which is the paired comparison."
        )
    elif made.stratum == "between":
        out.append("Scans of a person were averaged, so that each person counts once.")
    out += _centring(facts)
    alternative = {"two-sided": "two-sided", "positive": "one-sided (greater than 0)",
                   "negative": "one-sided (less than 0)"}[settings.sign]  # fmt: skip
    degrees = f"{made.df} residual degrees of freedom"
    out.append(
        f"Tests were {alternative} t tests with {degrees}."
        if asked.kind == "t"
        else f"Tests were F tests with {len(asked.matrix)} and {degrees}."
    )
    if settings.correlation != "pearson":
        how = {
            "spearman": "mid-ranks (Spearman)",
            "bend": "percentage-bend scores (20 %, Wilcox)",
        }[settings.correlation]
        out.append(
            f"Outcome and continuous covariates were replaced by their {how} for the test and r; "
            "slope and its interval are those of the values themselves, and leaving out a person "
            "did not score the others anew."
        )
    if settings.exact and facts.over == "regions":
        out.append(
            "Beside the model stands an exact rank test (Wilcoxon's rank sum or signed rank, or "
            "Spearman's rho over every order), ties as they are, with the Hodges-Lehmann shift."
        )
    if facts.over == "regions":
        tested = int((facts.frame["note"] == "n/a").sum())
        out.append(
            f"p values were corrected over {count(tested, 'region')} by Holm's method; "
            "the false discovery rate was adjusted by Benjamini and Hochberg's."
        )
    if search:
        out.append(search)
    if facts.permuted is not None:
        out.append(_permutation(facts))
    percent = round(100 * settings.interval)
    sizes = [f"Intervals are {percent} % confidence intervals, not corrected over {facts.over}."]
    if asked.quantity in ("difference", "mean"):
        over = {
            "within": "the standard deviation of the change",
            "between": "the residual standard deviation between persons",
            "persons": "the residual standard deviation",
        }[made.stratum]
        sizes.append(
            f"Hedges g is the effect over {over}, its interval from the noncentral t distribution."
        )
    if asked.quantity == "slope":
        sizes.append("r is the partial correlation, its interval by Fisher's transformation.")
    if facts.over == "voxels":
        sizes.append("Peaks were chosen by their statistic, so their effects are biased upward.")
    sizes.append("Each participant was left out in turn to see what the answer owes to one.")
    return " ".join(out + sizes)


def results(facts: Facts) -> str:
    """Return the results paragraph of a region question."""
    q, settings = facts.question, facts.question.settings
    frame = facts.frame[facts.frame["note"] == "n/a"]
    column = "p_maxT" if "p_maxT" in frame else "p_holm"
    how = {
        "p_maxT": "corrected by permutation of the maximum",
        "p_holm": "corrected by Holm's method",
    }[column]
    found = frame[frame[column] <= settings.alpha].sort_values(column, kind="stable")
    m = len(frame)
    name = f"`{q.effect.name}`"
    out = []
    if len(found) == 0:
        best = frame.sort_values("p", kind="stable").iloc[0]
        out.append(
            f"{name}: none of {count(m, 'region')} was significant at {settings.alpha:g} "
            f"({how}). The smallest p was in {best['region']}: {sentence(best, q, column)}. "
            "This does not show that there is no effect: the intervals say which sizes remain "
            "possible."
        )
    else:
        out.append(
            f"{name}: {len(found)} of {count(m, 'region')} significant at {settings.alpha:g} "
            f"({how})."
        )
        out += [f"{row['region']}: {sentence(row, q, column)}." for _, row in found.iterrows()]
        frail = [
            f"{row['region']} (without {row['loo_subject']})"
            for _, row in found.iterrows()
            if not row["loo_p"] <= settings.alpha and row["p"] <= settings.alpha
        ]
        if frail:
            out.append(
                f"Leaving one participant out takes the uncorrected p above {settings.alpha:g} "
                f"in {', '.join(frail)}."
            )
        if len(found) < m:
            out.append("Regions that were not significant are not shown to be without the effect.")
    if column == "p_maxT":
        parametric = int((frame["p_holm"] <= settings.alpha).sum())
        out.append(
            f"By the {q.effect.kind} distribution with Holm's correction it would be {parametric} "
            f"of {m}."
        )
    out += list(facts.warnings)
    return " ".join(out)


def reliability_words(frame: pd.DataFrame, meta: Mapping[str, Any]) -> tuple[str, str]:
    """Return methods and results paragraphs of a reliability question."""
    percent = round(100 * float(meta["interval"]))
    sessions: Sequence[str] = meta["sessions"]
    methods = (
        f"Reliability of {named(meta['outcome'], meta['unit'])} was estimated from {meta['n']} "
        f"participants with {len(sessions)} sessions ({', '.join(sessions)}). Test-retest "
        "variability is the mean over participants of |a - b| / ((a + b) / 2), with a percentile "
        f"bootstrap interval over participants ({meta['bootstrap']} draws, seed {meta['seed']}). "
        "ICC(3,1) (two-way, consistency) and ICC(1,1) (one-way), both of a single measurement, "
        "have intervals by McGraw and Wong. Bias and 95 % limits of agreement are by Bland and "
        f"Altman. Intervals are {percent} % confidence intervals."
    )
    good = frame[frame["trt"].notna()]
    out = []
    if len(good):
        trt, icc = good["trt"], good["icc31"]
        out.append(
            f"Over {count(len(good), 'region')}, test-retest variability was "
            f"{number(trt.min())} to {number(trt.max())} % (median {number(trt.median())} %), "
            f"ICC(3,1) {icc.min():.2f} to {icc.max():.2f} (median {icc.median():.2f}), "
            f"ICC(1,1) {good['icc11'].min():.2f} to {good['icc11'].max():.2f}."
        )
        if (good["bias_low"] > 0).any() or (good["bias_high"] < 0).any():
            moved = good[(good["bias_low"] > 0) | (good["bias_high"] < 0)]["region"]
            out.append(
                f"The interval of the mean change between sessions excludes 0 in "
                f"{', '.join(moved)} (not corrected over regions)."
            )
    if meta["n"] < SMALL_N:
        out.append(
            f"With {meta['n']} participants the intervals are wide (ICC(3,1) from "
            f"{good['icc31_low'].min():.2f} to {good['icc31_high'].max():.2f} over the regions): "
            "reliability is known only roughly."
            if len(good)
            else f"There are only {meta['n']} participants."
        )
    out += list(meta["warnings"])
    return methods, " ".join(out)


def sentence(row: pd.Series[Any], q: Question, column: str) -> str:
    """Return statistic, p, size and interval of a row in words."""
    if "F" in row:
        stat = f"F({int(row['df1'])}, {int(row['df'])}) = {row['F']:.2f}"
        return f"{stat}, p = {p_text(row[column])}, uncorrected {p_text(row['p'])}"
    percent = round(100 * q.settings.interval)
    text = (
        f"{amount(row['effect'], row['unit'])} ({percent} % CI {number(row['ci_low'])} to "
        f"{number(row['ci_high'])}), t({int(row['df'])}) = {row['t']:.2f}, "
        f"p = {p_text(row[column])}, uncorrected {p_text(row['p'])}"
    )
    if "percent" in row and math.isfinite(row["percent"]):
        text += f", {number(row['percent'])} %"
    if "g" in row and math.isfinite(row["g"]):
        return text + f", g = {row['g']:.2f} ({row['g_low']:.2f} to {row['g_high']:.2f})"
    return text + f", r = {row['r']:.2f} ({row['r_low']:.2f} to {row['r_high']:.2f})"


def _centring(facts: Facts) -> list[str]:
    design = facts.question.design
    if not design.covariates:
        return []
    if design.centre == "none":
        return ["Covariates were not centred."]
    if design.centre == "group":
        return [
            "Covariates were centred within group, so that a difference between groups is at "
            "each group's own mean and is not adjusted for differences in the covariates."
        ]
    means = ", ".join(f"{n} {number(float(m), 4)}" for n, m in design.means.items())
    return [f"Covariates were centred on their mean over participants ({means})."]


def _permutation(facts: Facts) -> str:
    assert facts.permuted is not None
    plan, made = facts.permuted.plan, facts.question.model
    blocks = facts.question.settings.blocks
    if plan.mode == "flip":
        of = f" by whole {blocks}" if plan.how == "whole" else ""
        what = f"signs of the outcomes were changed{of}"
        basis = "errors symmetric about 0"
    elif made.stratum == "within":
        what = "sessions were exchanged within participants"
        basis = "sessions exchangeable within a participant when there is no effect"
    else:
        where = f" within {blocks}" if facts.question.blocks is not None else ""
        if plan.how == "whole":
            what = f"whole blocks of {blocks} were exchanged"
            basis = "blocks exchangeable when there is no effect"
        else:
            also = f", and whole blocks of {blocks}" if plan.how == "both" else ""
            what = f"participants were exchanged{where}{also}"
            basis = "participants exchangeable when there is no effect"
    if plan.mode == "both":
        what += " and signs of the outcomes changed at once"
        basis += ", and errors symmetric about 0"
    if facts.question.settings.variance == "voxel":
        basis += ", whatever the variance of each group"
    number_ = (
        f"all {plan.n} distinct relabellings were used, so that p is exact for the set"
        if plan.exhaustive
        else f"{plan.n} of {plan.possible:.3g} distinct relabellings were drawn without repeats, "
        f"the data as they are among them (seed {plan.seed})"
    )
    if plan.enough is not None:
        number_ = (
            f"of at most {facts.question.settings.permutations} of {plan.possible:.3g} distinct "
            f"relabellings {plan.n} were used (seed {plan.seed}): drawing was to stop when the "
            f"largest statistic of the data had been reached {plan.enough} times, and p is "
            f"{plan.enough} over the draw at which a statistic was reached so often (Besag and "
            "Clifford)"
        )
    elif facts.question.settings.tail and not plan.exhaustive:
        number_ += (
            "; under .1, p was also taken from a generalised Pareto tail of the drawn maxima "
            "(p_tail, an approximation)"
        )
    return (
        f"Permutation followed Freedman and Lane: {what}, which takes {basis}; {number_}. "
        f"The largest statistic over all {facts.over} of each relabelling gave p corrected for "
        f"the number of {facts.over}."
    )


def count(n: int, what: str) -> str:
    """Return a number of things, with their plural."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
