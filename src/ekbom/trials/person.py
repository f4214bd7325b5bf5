"""One person of the model: who it is, and days to years of it with and without treatment."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom.disease import cohort as co
from ekbom.disease.model import load
from ekbom.disease.people import source_digest, value_of
from ekbom.disease.plm import night
from ekbom.disease.simulate import Event, Trajectory, simulate, state_index
from ekbom.errors import Refused
from ekbom.trials.columns import periodicity, scored

Array = NDArray[np.float64]
#: Population and seed of the stored threshold.
_PEOPLE, _SEED = 12_000, 1
#: People among whom one of a severity is looked for, their ages apart from the one asked for.
_AMONG, _YEARS = 2000, 5.0
#: Farthest severity of the person that is found, points.
_APART = 2.0
#: The evening of the threshold, hours of the clock from midnight before.
_EVENING = (18, 26)
#: Nights that say what to expect.
NIGHTS = 200
#: Read-outs of each day at ten in the morning, before anything is measured.
MORNING = ("ferritin", "tsat_percent", "hb", "fe_sn", "r2s_sn", "csf_ferritin", "csf_transferrin",
           "b2", "b3", "g_d1", "bp_raclopride", "theta", "vt_dpn", "csp", "sici")  # fmt: skip


@dataclass(frozen=True)
class Under:
    """What a person lives under.

    Parameters
    ----------
    params : mapping of str to float
        Parameters of the model in place of the person's own.
    scenario : str
        Of ``scenarios.toml``.
    condition : str or None
        Of ``conditions.toml``.
    """

    params: Mapping[str, float] = field(default_factory=dict)
    scenario: str = "base"
    condition: str | None = None


@dataclass(frozen=True)
class Person:
    """Somebody of the model.

    Parameters
    ----------
    title : str
        In words.
    people : People
        One, settled.
    """

    title: str
    people: co.People


@dataclass(frozen=True)
class Course:
    """What a person goes through.

    Parameters
    ----------
    hours : DataFrame
        A row an hour: ``hour``, states, assignments and read-outs.
    days : DataFrame
        A row a day, see :func:`course`.
    night : (N,) array
        Movements an hour of many nights like the last one, by the rules of 2016.
    """

    hours: pd.DataFrame
    days: pd.DataFrame
    night: Array


def threshold() -> float:
    """Return the log evening urge over which the share of the population has the disease.

    Returns
    -------
    float
        Stored when the model is unchanged, else computed (a minute of CPU).
    """
    text = (resources.files("ekbom.trials.data") / "threshold.toml").read_text("utf-8")
    stored = tomllib.loads(text)
    if stored["model"] == _key():
        return float(stored["log_urge"])
    return compute_threshold()


@functools.cache
def compute_threshold() -> float:
    """Work the threshold out from 12,000 people of all ages.

    Returns
    -------
    float
        Quantile of the log evening urge.
    """
    people = co.settled(co.draw(_PEOPLE, _SEED)[0])
    share = value_of(co.data("population")["reference"], "prevalence")
    # two days are run only for those who may be over it: 2.5 times as many of the highest urge
    z = _urge(people, round(2.5 * share * _PEOPLE))[1]
    least = np.full(_PEOPLE - len(z), z.min())
    return float(np.quantile(np.concatenate([least, z]), 1 - share))


def _urge(people: co.People, count: int) -> tuple[NDArray[np.intp], Array]:
    """Return who has the highest long-run urge, and the log evening urge of these."""
    assert people.cohort.start is not None
    rows = np.argsort(-people.cohort.start[:, state_index()["ubar"]], kind="stable")[:count]
    return rows, co.table(people.take(rows))["z"]


def _key() -> str:
    return source_digest().hexdigest()[:16]


def typical(
    age: float = 50.0,
    female: bool = False,
    *,
    genes: Mapping[str, int] | None = None,
    under: Under | None = None,
) -> Person:
    """Return the person in the middle of the population, changed as asked.

    Parameters
    ----------
    age : float
        Years, 18 to 90.
    female : bool
        A woman.
    genes : mapping of str to int, optional
        Risk alleles at a locus; the population's mean where nothing is said.
    under : Under, optional
        What else is not as in the middle of the population.

    Returns
    -------
    Person
        Settled.
    """
    _aged(age)
    people = co.typical(age, female)
    if genes:
        people = co.with_alleles(people, genes)
    return Person(f"Typical {_called(age, female)}", _under(people, under or Under()))


def drawn(
    irls: float,
    age: float = 50.0,
    female: bool | None = None,
    *,
    seed: int = 1,
    under: Under | None = None,
) -> Person:
    """Return a patient of about a severity: the nearest of 2,000 people of about that age.

    Parameters
    ----------
    irls : float
        Expected severity total, 0 to 40, without the changes asked for.
    age : float
        Years; people of five years less to five more are drawn.
    female : bool, optional
        A woman; either when ``None``.
    seed : int
        Another seed, another person.
    under : Under, optional
        What is changed in this person.

    Returns
    -------
    Person
        Settled.

    Raises
    ------
    Refused
        When nobody is within two points.
    """
    _aged(age)
    low, high = max(18.0, age - _YEARS), min(90.0, age + _YEARS)
    women = 0.5 if female is None else float(female)
    people = co.settled(co.draw(_AMONG, seed, age=(low, high), women=women)[0])
    rows, z = _urge(people, _AMONG // 4)
    has = co.expected_irls(z - threshold())
    k = int(np.argmin(np.abs(has - irls)))
    if abs(has[k] - irls) > _APART:
        raise Refused(
            f"Nobody of the {_AMONG} people drawn has about this severity.", field="irls",
            found=irls, expected=f"{max(0.0, has.min() - _APART):.0f} to {has.max() + _APART:.0f}",
            mend="ask for another severity, or try another seed",
        )  # fmt: skip
    one = people.take(rows[k : k + 1])
    called = _called(one.facts["age"][0], one.facts["female"][0] == 1)
    return Person(
        f"A {called}, drawn for a severity of {irls:g}",
        _under(one, under) if under is not None and under != Under() else one,
    )


def _called(age: float, female: bool) -> str:
    return f"{'woman' if female else 'man'} of {age:.0f}"


def _aged(age: float) -> None:
    if not 18 <= age <= 90:
        raise Refused("The age is outside the population.", field="age", found=age,
                      expected="18 to 90 years")  # fmt: skip


def _under(people: co.People, under: Under) -> co.People:
    if under.params:
        cohort = people.cohort.with_params(**under.params)
        people = co.People(co.Cohort(cohort.n, cohort.params, None), people.facts)
    people = co.settled(people if under.scenario == "base" else co.scenario(people, under.scenario))
    return people if under.condition is None else co.condition(people, under.condition)


def treatment(people: co.People, name: str, days: int) -> list[Event]:
    """Return the doses of a shipped treatment over all days.

    Parameters
    ----------
    people : People
        Who takes it; some drugs set parameters in proportion to the person's own.
    name : str
        Of ``treatments.toml``.
    days : int
        How long; an infusion is given at nine on day 0.

    Returns
    -------
    list of Event
        Doses, and the parameters the drug sets from the start.

    Raises
    ------
    Refused
        On a treatment that is not known.
    """
    known = co.data("treatments")
    if name not in known:
        raise Refused("The treatment is not known.", field="treatment", found=name,
                      expected=", ".join(known))  # fmt: skip
    entry = known[name]
    sets = {k: float(v) for k, v in entry.get("sets", {}).items()}
    for k, f in entry.get("times", {}).items():
        sets[k] = float(np.ravel(co.current(people.cohort, k))[0]) * f
    events = [Event(0.0, k, v) for k, v in sets.items()]
    events += [Event(9.0, state, amount) for state, amount in entry.get("once", {}).items()]
    return events + [
        Event(24.0 * d + h, state, amount)
        for d in range(days)
        for h, state, amount in entry.get("doses", [])
    ]


def course(person: Person, days: int, events: Sequence[Event] = (), *, seed: int = 1) -> Course:
    """Run a person day by day.

    Parameters
    ----------
    person : Person
        Who.
    days : int
        How many.
    events : sequence of Event
        Doses and changes.
    seed : int
        Of the nights.

    Returns
    -------
    Course
        Its days hold ``day`` (0 the first); ``urge``, mean of 18 to 02 h; ``severity``, the
        total that is expected of such evenings; ``over_hours``, hours from midnight to midnight
        in which the urge is over the threshold, and ``over_from``, the clock hour from noon at
        which it passes it (n/a: not before 02 h); ``plms`` and ``periodicity``, one night of
        movements scored by the rules of 2016; and read-outs at ten in the morning.
    """
    if days < 1:
        raise Refused("The run is shorter than a day.", field="days", found=days)
    run = simulate(person.people.cohort, 24 * days + 2, events=events)
    if run.failures:
        one = run.failures[0]
        raise Refused("The equations could not be solved for this person.", field=one.state,
                      found=f"{one.why} at hour {one.time:.1f}",
                      mend="look at the parameters that were changed")  # fmt: skip
    model = load()
    every = [s.id for s in model.states] + [a.id for a in (*model.assigns, *model.readouts)]
    whole = pd.DataFrame({"hour": run.times} | {k: run.get(k)[0] for k in every})
    cut = threshold()
    rows = [_day(run, d, cut) for d in range(days)]
    hazard = _hazard(person.people, run)
    for d, row in enumerate(rows):
        row |= _night(person.people, hazard, run, d, np.random.default_rng([seed, 31, d]))
    many = [
        _night(person.people, hazard, run, days - 1, np.random.default_rng([seed, 32, k]))["plms"]
        for k in range(NIGHTS)
    ]
    return Course(whole.iloc[: 24 * days + 1], pd.DataFrame(rows), np.array(many))


def _day(run: Trajectory, d: int, cut: float) -> dict[str, float]:
    u = run.get("u")[0]
    low, high = (24 * d + h for h in _EVENING)
    urge = float(u[low : high + 1].mean())
    above = np.log(max(urge, 1e-6)) - cut
    row = {"day": d, "urge": urge, "severity": float(co.expected_irls(np.array([above]))[0])}
    z = np.log(np.maximum(u, 1e-6)) - cut
    row["over_hours"] = _over(z[24 * d : 24 * d + 25])[1]
    row["over_from"] = 12.0 + _over(z[24 * d + 12 : high + 1])[0]
    return row | {k: float(run.get(k)[0, 24 * d + 10]) for k in MORNING}


def _over(z: Array) -> tuple[float, float]:
    """Return when an hourly curve is first above zero, and for how long it is, by the minute."""
    minutes = np.arange(60 * (len(z) - 1)) / 60
    above = np.interp(minutes, np.arange(len(z)), z) > 0
    if not above.any():
        return np.nan, 0.0
    return float(minutes[np.argmax(above)]), float(above.sum() / 60)


def _hazard(people: co.People, run: Trajectory) -> Array:
    """Return the log effect of the person and of the hour on the hazard of movements."""
    plm = co.data("population")["plm"]
    own = people.facts["plm_person"][0] + value_of(plm, "male") * (1 - people.facts["female"][0])
    out: Array = own + value_of(plm, "b_drive") * run.get("plm_drive")[0]
    return out


def _night(
    people: co.People, hazard: Array, run: Trajectory, d: int, rng: np.random.Generator
) -> dict[str, float]:
    midnight = 24 * (d + 1)
    onset = night(
        rng, float(people.facts["age"][0]), float(hazard[midnight]),
        float(run.get("e")[0, midnight]), short=float(people.facts["z_short"][0]),
    ).onset  # fmt: skip
    return {"plms": scored(onset, 7.5)[0], "periodicity": periodicity(onset)}


def main() -> None:
    """Write the threshold into the package."""
    from pathlib import Path

    lines = [
        "# Threshold of the disease: log evening urge over which the share of adults that",
        "# population.toml states has it. Written by `python -m ekbom.trials.person`.",
        f'model = "{_key()}"',
        f"log_urge = {compute_threshold()!r}",
    ]
    at = Path(__file__).with_name("data") / "threshold.toml"
    at.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
