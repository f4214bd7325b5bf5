"""`ekbom power`: what a study that is still to be made could find."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cyclopts import App
from rich.console import Console

from ekbom.errors import Refused
from ekbom.study.files import json_bytes, tsv_bytes, write_bytes

if TYPE_CHECKING:
    from ekbom.trials.petpower import PetPlan
    from ekbom.trials.petstudy import PetStudy

app = App(name="power", help="Power curve and sample size of a planned study.")
app.command("ekbom.cli.model_trial:trial", name="trial", help="The same as `ekbom model trial`.")
_out = Console(highlight=False, soft_wrap=True)
_STATEMENT = (
    "Power speaks of studies like this one before they are made: it rests on the effect that was"
    " put in, and says nothing about whether that effect is there."
)


@app.command
def pet(
    *,
    out: Path,
    n: int = 15,
    r: float | None = None,
    slope: float = 0.014,
    score_sd: float = 7.0,
    score_error: float = 0.0,
    cv: float = 0.08,
    error: float = 0.05,
    tracer: str = "diprenorphine",
    specific: float | None = None,
    regions: int = 6,
    affected: int | None = None,
    shared: float = 0.3,
    covariates: int = 0,
    correction: Literal["none", "bonferroni", "holm", "max-t", "field"] = "holm",
    volume: float = 1200.0,
    fwhm: float = 10.0,
    alpha: float = 0.05,
    recruited: Literal["random", "spread"] = "random",
    wish: Literal["each", "any", "all"] = "each",
    power: float = 0.8,
    lost: float = 0.0,
    sizes: str = "",
    studies: int = 10_000,
    seed: int = 1,
) -> int:
    """Power curve and sample size of a PET study of severity, with the winner's curse.

    Many studies are drawn: patients with a score and a value of V_T or BP_ND in each region.
    The effect is a true correlation (--r), or a slope of occupancy on the score (--slope and
    the spreads), which makes one.

    Parameters
    ----------
    out
        Folder for tables and power.html.
    n
        Patients planned.
    r
        True correlation of value and score in the affected regions; the slope then counts not.
    slope
        Occupancy of receptors a point of the score.
    score_sd, score_error
        Points: standard deviation of the recorded scores, and of their error.
    cv
        Spread of specific binding between patients of one severity, as a share.
    error
        Error of one V_T (within person), as a share.
    tracer
        Gives the share of V_T that is specific binding, where --specific does not.
    specific
        That share itself.
    regions, affected
        Tested; of these with the effect (all by default).
    shared
        Share of the rest of the variance that the regions of a person have in common.
    covariates
        Nuisance columns, such as age: 1.
    correction
        holm, bonferroni, max-t, none, or field: the peak of each region against the
        random-field threshold of the whole search volume.
    volume, fwhm
        cm3 and mm, for field.
    alpha
        Two-sided, of the whole family.
    recruited
        random: scores as they come; spread: one patient from each of n bands.
    wish
        each affected region on average, any of them, or all.
    power
        Wished for.
    lost
        Share of scans that give nothing; the people to recruit are more by that.
    sizes
        Numbers of patients on the curve, separated by commas.
    studies
        Drawn at each number of patients.
    seed
        Of every draw.
    """
    from ekbom.report.petpower import power_page
    from ekbom.trials.petpower import plan
    from ekbom.trials.petstudy import PetStudy

    if not 0 <= lost < 1:
        raise Refused("The share of lost scans is none.", field="--lost", found=lost,
                      expected="0 or more, below 1")  # fmt: skip
    if r is not None:
        words = f"true r {r:g}, as given"
    else:
        share = _specific(tracer) if specific is None else specific
        r, words = _from_slope(slope, share, score_sd, score_error, cv, error)
    study = PetStudy(
        n, r, regions, regions if affected is None else affected, shared, covariates, alpha,
        correction, volume, fwhm, recruited,
    )  # fmt: skip
    done = plan(study, wish=wish, power=power, sizes=_sizes(sizes, study.least), studies=studies,
                seed=seed)  # fmt: skip
    lines = _lines(study, done, wish, power, lost, words, studies)
    write_bytes(out / "power.tsv", tsv_bytes(done.curve))
    about = {
        "Statement": _STATEMENT, "Study": asdict(study), "Effect": words, "Wish": wish,
        "Power": power, "Lost": lost, "Studies": studies, "Seed": seed, "Patients": done.n,
        "PatientsRange": [done.n_low, done.n_high],
        "DetectableR": None if math.isnan(done.detectable) else done.detectable,
    }  # fmt: skip
    write_bytes(out / "power.json", json_bytes(about))
    write_bytes(out / "power.html", power_page(lines, done.curve, wish, _STATEMENT).encode())
    for line in lines:
        _out.print(line, markup=False)
    _out.print(f"written to {out}", markup=False)
    return 0


def _specific(name: str) -> float:
    """Return the mean share of specific binding over the regions of a tracer file."""
    from ekbom.measures.pet.tracers import tracer

    one = tracer(name)
    if "VT" not in one.regional or "general" not in one.kinetics:
        raise Refused(
            "The tracer file does not say how much of V_T is specific binding.",
            file=f"{name}.toml", field="regional.VT", mend="give --specific or --r",
        )  # fmt: skip
    nonspecific = one.kinetics["general"].VND
    values = [v for v in one.regional["VT"].values.values() if v > nonspecific]
    return sum(1 - nonspecific / v for v in values) / len(values)


def _from_slope(
    slope: float, share: float, score_sd: float, score_error: float, cv: float, error: float
) -> tuple[float, str]:
    from ekbom.trials.petstudy import correlation

    r = correlation(slope, specific=share, score_sd=score_sd, score_error=score_error, cv=cv,
                    error=error)  # fmt: skip
    fall = 100 * slope * share
    return r, (
        f"occupancy {slope:g} a point ({fall:.2f} % of V_T, {100 * share:.0f} % of which is"
        f" specific), scores {score_sd:g} +- {score_error:g}, between patients {100 * cv:g} %,"
        f" error of a scan {100 * error:g} %: true r {r:.3f}"
    )


def _sizes(text: str, least: int) -> tuple[int, ...]:
    try:
        found = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        found = (0,)
    if any(size < least for size in found):
        raise Refused("Numbers of patients are whole.", field="--sizes", found=text,
                      expected=f"numbers of {least} or more separated by commas",
                      mend="--sizes 10,15,20,40")  # fmt: skip
    return found


def _lines(
    study: PetStudy, done: PetPlan, wish: str, power: float, lost: float, words: str, studies: int
) -> list[str]:
    from ekbom.trials.petpower import WISHES
    from ekbom.trials.petstudy import CORRECTIONS, least_correlation

    at = done.curve[done.curve["n"] == study.n].iloc[0]
    lines = [
        f"effect: {words}",
        f"{study.n} patients, {study.affected} of {study.regions} regions affected, two-sided"
        f" {study.alpha:g}, {CORRECTIONS[study.correction]}; {studies} studies drawn",
        f"power with {study.n}: each {_share(at, 'each')}, any {_share(at, 'any')}, all"
        f" {_share(at, 'all')} %; one uncorrected test {100 * at['single_exact']:.1f} %"
        " (closed form)",
    ]
    if done.n is None:
        lines.append(f"{100 * power:g} % power for {WISHES[wish]} is not reached with any number")
    else:
        more = f", {math.ceil(done.n / (1 - lost))} to recruit" if lost else ""
        ends = f"{done.n_low} to {done.n_high}" if done.n_high else f"{done.n_low} or more"
        lines.append(f"{100 * power:g} % power for {WISHES[wish]} takes {done.n} patients"
                     f" (error of the simulation: {ends}){more}")  # fmt: skip
    if math.isnan(done.detectable):
        lines.append(f"with {study.n} patients no correlation reaches that power")
    else:
        lines.append(f"with {study.n} patients that power needs a true |r| of"
                     f" {done.detectable:.2f}")  # fmt: skip
    one = least_correlation(study.n, study.alpha, study.covariates)
    strict = least_correlation(study.n, 0.001, study.covariates)
    lines.append(f"one test is significant from |r| {one:.2f} on at {study.alpha:g}, from"
                 f" {strict:.2f} at .001")  # fmt: skip
    if at["r_found"] == at["r_found"]:
        lines.append(
            f"winner's curse: what is found has |r| {at['r_found']:.2f} on average,"
            f" {at['inflation']:.2f} times the truth; {100 * at['wrong_sign']:.2g} % of findings"
            " in affected regions have the wrong sign"
        )
    lines.append(f"finding where there is none, or of the wrong sign: {_share(at, 'false')} % of"
                 " studies")  # fmt: skip
    return lines


def _share(at: object, name: str) -> str:
    values: dict[str, float] = at  # type: ignore[assignment]
    return f"{100 * values[name]:.1f} +- {100 * values[f'{name}_se']:.1f}"
