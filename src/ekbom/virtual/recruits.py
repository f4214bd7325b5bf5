"""People for a study, drawn from the executable disease model.

A population is drawn and settled; who has the disease follows from the model's
threshold, as does the severity. Patients are then recruited towards the scores a
study says it had, volunteers from the rest, matched for age. What their receptors
see at the hour of a scan is read from the states of the same run.

Two numbers tie the model's phasic opioid to occupancy. The design states a slope on
severity and gets it by a gain; a tonic deficit then makes the groups' means equal, without
which patients would have much more occupancy than volunteers. Both are printed in the
truth as ``gain`` and ``deficit``. ``opioid.coupling = "model"`` takes the model's
own occupancy instead, whose slope is about as steep, and has no deficit.
"""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from ekbom.disease import cohort as model
from ekbom.disease.people import source_digest
from ekbom.disease.simulate import simulate, state_index
from ekbom.errors import Refused
from ekbom.virtual.design import Design
from ekbom.virtual.design_parts import Scale

Array = NDArray[np.float64]

#: Population and seed from which threshold and calibration come: 600 of them have the disease.
_REFERENCE_PEOPLE, _REFERENCE_SEED = 12_000, 1
#: Studies recruited from it, each of so many patients.
_REFERENCE_STUDIES, _REFERENCE_PATIENTS = 400, 15
#: Every person with the disease lies in this top share of long-run urge (5 % have it).
_SUSPECTS = 0.08


@dataclass(frozen=True, eq=False)
class Pool:
    """People from whom a study recruits.

    Parameters
    ----------
    age, female, z : (n,) array
        Years, 1 for women, log evening urge.
    rls : (n,) array of bool
        Whether the urge is over the threshold.
    phasic, theta, bp : (n, H) array
        Phasic opioid, the model's opioid occupancy, and relative D2 binding
        potential at each hour asked for.
    """

    age: Array
    female: Array
    z: Array
    rls: NDArray[np.bool_]
    phasic: Array
    theta: Array
    bp: Array


@dataclass(frozen=True)
class Reference:
    """What a large reference population says.

    Parameters
    ----------
    cut : float
        Threshold of log evening urge: 5 % of adults are over it.
    slope : float
        Phasic opioid a point of severity, in recruited patients.
    excess : float
        Phasic opioid of recruited patients beyond that of volunteers.
    phasic, theta, bp : float
        Means of volunteers at the hour of the first scan.
    model_slope : float
        Slope of the model's own occupancy on severity.
    """

    cut: float
    slope: float
    excess: float
    phasic: float
    theta: float
    bp: float
    model_slope: float


def pool(
    n: int, seed: int, hours: tuple[float, ...], scenario: str, cut: float | None,
    ages: tuple[int, int],
) -> tuple[Pool, float]:  # fmt: skip
    """Draw people and find out who has the disease.

    Parameters
    ----------
    n, seed : int
        People of the population, and seed.
    hours : tuple of float
        Clock hours at which states are read.
    scenario : str
        Scenario of the disease model.
    cut : float or None
        Threshold; the one of this population when ``None``.
    ages : tuple of int
        Range, years.

    Returns
    -------
    Pool, float
        The people who may be recruited (those with the disease, and twice as
        many without), and the threshold.
    """
    people, _ = model.draw(n, seed, age=(float(ages[0]), float(ages[1])))
    people = model.settled(people if scenario == "base" else model.scenario(people, scenario))
    assert people.cohort.start is not None
    urge = people.cohort.start[:, state_index()["ubar"]]
    # two days are run only for those who may have the disease and some others
    order = np.argsort(-urge, kind="stable")
    suspects = max(8, round(_SUSPECTS * n))
    others = np.random.default_rng([seed, 77]).permutation(order[suspects:])
    keep = np.concatenate([order[:suspects], others[: max(2 * suspects, 40)]])
    part = people.take(keep)
    run = simulate(part.cohort, 50)
    z = np.log(np.maximum(run.get("u")[:, 42:51].mean(axis=1), 1e-6))
    if cut is None:
        with_disease = max(1, round(0.05 * n))
        cut = float(np.sort(z)[::-1][with_disease - 1 : with_disease + 1].mean())
    at = [24 + round(h) for h in hours]
    states = {name: run.get(name)[:, at] for name in ("op", "theta", "bp_raclopride")}
    facts = part.facts
    out = Pool(
        facts["age"], facts["female"], z, z > cut,
        states["op"], states["theta"], states["bp_raclopride"],
    )  # fmt: skip
    return out, cut


def model_key(design: Design) -> str:
    """Return what the reference of a design depends on, as a short hash.

    Parameters
    ----------
    design : Design
        With a disease part.

    Returns
    -------
    str
        16 hex digits over the model's files and the recruitment.
    """
    assert design.disease is not None
    who = design.cohort
    return _key(
        design.disease.scenario, hours(design)[0], who.irls, who.age_range,
        design.disease.people_per_patient,
    )  # fmt: skip


def people_key(design: Design) -> str:
    """Return what the people of a design depend on, before any is recruited.

    Parameters
    ----------
    design : Design
        With a disease part.

    Returns
    -------
    str
        16 hex digits over the model's files, scenario, hours and ages.
    """
    assert design.disease is not None
    return _key(design.disease.scenario, hours(design), design.cohort.age_range)


def _key(*said: object) -> str:
    digest = source_digest().copy()
    digest.update(repr(said).encode())
    return digest.hexdigest()[:16]


def hours(design: Design) -> tuple[float, ...]:
    """Return the clock hours of a design's scans.

    Parameters
    ----------
    design : Design
        With a disease part.

    Returns
    -------
    tuple of float
        One a scan.
    """
    assert design.disease is not None
    return tuple(scan.hour for scan in design.scans) or (design.disease.hour,)


def reference(design: Design) -> Reference:
    """Return the reference of a design: stored when the model is unchanged, else computed.

    Parameters
    ----------
    design : Design
        With a disease part.

    Returns
    -------
    Reference
        Threshold and calibration.
    """
    key = model_key(design)
    stored = _stored().get(key)
    if stored is not None:
        return Reference(**{name: float(v) for name, v in stored.items() if name != "design"})
    return _computed(key, design.model_dump_json())


@functools.cache
def _stored() -> dict[str, dict[str, Any]]:
    text = (resources.files("ekbom.virtual") / "reference.toml").read_text("utf-8")
    return tomllib.loads(text)


@functools.lru_cache(maxsize=8)
def _computed(key: str, text: str) -> Reference:
    del key
    return compute_reference(Design.model_validate_json(text))


def compute_reference(design: Design) -> Reference:
    """Work out threshold and calibration from 12,000 people.

    Parameters
    ----------
    design : Design
        With a disease part.

    Returns
    -------
    Reference
        Takes about half a minute of CPU.
    """
    assert design.disease is not None
    base, cut = pool(
        _REFERENCE_PEOPLE, _REFERENCE_SEED, hours(design), design.disease.scenario, None,
        design.cohort.age_range,
    )  # fmt: skip
    rng = np.random.default_rng([_REFERENCE_SEED, 5])
    sick, well = base.rls, ~base.rls
    rows = np.flatnonzero(sick)
    # Recruited as a study recruits, as many from as many people, many times over: a larger
    # share would empty the bands at the ends, and these would not be a study's patients.
    there = min(rows.size, round(_REFERENCE_PATIENTS * design.disease.people_per_patient * 0.05))
    chosen, score = [], []
    for _ in range(_REFERENCE_STUDIES):
        part = rng.permutation(rows)[:there]
        told = model.irls(base.z[part], cut, rng)
        picked = recruit(told, design.cohort.irls, _REFERENCE_PATIENTS, rng)
        chosen.append(part[picked])
        score.append(told[picked])
    who, points = np.concatenate(chosen), np.concatenate(score)
    phasic, theta = base.phasic[:, 0], base.theta[:, 0]
    return Reference(
        cut=cut,
        slope=float(np.polyfit(points, phasic[who], 1)[0]),
        excess=float(phasic[who].mean() - phasic[well].mean()),
        phasic=float(phasic[well].mean()),
        theta=float(theta[well].mean()),
        bp=float(base.bp[well, 0].mean()),
        model_slope=float(np.polyfit(points, theta[who], 1)[0]),
    )


def recruit(score: Array, scale: Scale, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Choose patients whose scores lie as the design says.

    Parameters
    ----------
    score : (m,) array
        Scores of the patients there are.
    scale : Scale
        ``spread``: one patient nearest to a random score in each of n bands of equal
        probability; ``random``: whoever comes, inside the range.
    n : int
        How many.
    rng : numpy.random.Generator
        Of the choice.

    Returns
    -------
    (n,) array of int
        Rows, in random order.

    Raises
    ------
    Refused
        When there are not enough patients.
    """
    # in random order: many have the same score, and the first of them must not be the worst off
    usable = rng.permutation(np.flatnonzero((score >= scale.low) & (score <= scale.high)))
    if usable.size < n:
        raise Refused(
            "The population holds too few patients.",
            field="disease.people_per_patient",
            found=f"{usable.size} patients with scores from {scale.low} to {scale.high}",
            expected=f"at least {n}",
            mend="draw more people for each patient",
        )
    if scale.recruited == "random":
        return usable[:n]
    low, high = ndtr((np.array([scale.low - 0.5, scale.high + 0.5]) - scale.mean) / scale.sd)
    u = low + (np.arange(n) + rng.random(n)) / n * (high - low)
    wanted = scale.mean + scale.sd * ndtri(u)
    free = np.ones(usable.size, dtype=bool)
    out = np.empty(n, dtype=np.intp)
    # the extremes first: few patients are there
    for k in np.argsort(-np.abs(wanted - scale.mean), kind="stable"):
        apart = np.where(free, np.abs(score[usable] - wanted[k]), np.inf)
        best = int(np.argmin(apart))
        free[best] = False
        out[k] = usable[best]
    return rng.permutation(out)


def match(age: Array, partners: Array, rng: np.random.Generator) -> NDArray[np.intp]:
    """Choose volunteers of the partners' ages, each once.

    Parameters
    ----------
    age : (m,) array
        Ages of those without the disease.
    partners : (n,) array
        Ages wanted.
    rng : numpy.random.Generator
        Breaks ties.

    Returns
    -------
    (n,) array of int
        Rows.
    """
    apart = np.abs(age[None, :] - partners[:, None]) + 1e-6 * rng.random((1, age.size))
    out = np.empty(partners.size, dtype=np.intp)
    for k in range(partners.size):
        out[k] = int(np.argmin(apart[k]))
        apart[:, out[k]] = np.inf
    return out


def occupancies(design: Design, phasic: Array, theta: Array, sick: bool, ref: Reference) -> Array:
    """Return a person's occupancy beyond that of a volunteer, at each scan.

    Parameters
    ----------
    design : Design
        Slope, tonic deficit, coupling.
    phasic, theta : (H,) array
        Of the person.
    sick : bool
        Has the disease.
    ref : Reference
        Calibration.

    Returns
    -------
    (H,) array
        ``gain (phasic - volunteers' mean) - tonic * deficit``, or the model's own.
    """
    assert design.opioid is not None
    if design.opioid.coupling == "model":
        out: Array = (theta - ref.theta) / (1.0 - ref.theta)
        return out
    gain, deficit = calibration(design, ref)
    return gain * (phasic - ref.phasic) - design.opioid.tonic * deficit * sick


def calibration(design: Design, ref: Reference) -> tuple[float, float]:
    """Return gain and deficit of a design.

    Parameters
    ----------
    design : Design
        With an opioid part.
    ref : Reference
        Of the design.

    Returns
    -------
    gain : float
        Occupancy a unit of phasic opioid: the slope asked for over the model's.
    deficit : float
        Fall of tonic occupancy in the disease that makes the groups' means equal.
    """
    assert design.opioid is not None
    gain = design.opioid.slope / ref.slope
    return gain, gain * ref.excess


def main() -> None:
    """Write the references of the ready-made designs, and people, into the package."""
    from pathlib import Path

    from ekbom.virtual.design import design_names, load
    from ekbom.virtual.shipped import write_people

    lines = [
        "# Threshold and calibration of the disease cohorts, by what they depend on.",
        "# Written by `python -m ekbom.virtual.recruits`; when the model has changed since,",
        "# the numbers are computed anew at each simulation (half a minute).",
    ]
    for name in design_names():
        design = load(name)
        for label, built in (
            (name, design),
            *((f"{name} {v}", load(name, variant=v)) for v in design.variants),
        ):
            if built.disease is None or f"[{model_key(built)}]" in lines:
                continue
            lines += ["", f"[{model_key(built)}]", f'design = "{label}"']
            found = compute_reference(built)
            lines += [f"{k} = {v!r}" for k, v in vars(found).items()]
    here = Path(__file__)
    here.with_name("reference.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    _stored.cache_clear()
    people = write_people(load("von-spiczak-2005"))
    here.with_name("people.tsv").write_text(people, encoding="utf-8")


if __name__ == "__main__":
    main()
