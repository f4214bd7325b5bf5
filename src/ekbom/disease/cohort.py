"""Virtual people: drawn, settled, run for two days, and read out.

Everyone is drawn from one population; the disease is what the threshold on
the evening urge yields. Deterministic by seed and independent of threads.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from ekbom.disease.simulate import Array, Cohort, Event, settle, simulate
from ekbom.errors import Refused

#: Clock hours at which read-outs are kept.
HOURS = (0, 8, 10, 16, 18, 22)
#: Read-outs and assignments that the table of people holds at each of them.
_KEPT = [
    "ferritin",
    "tsat_percent",
    "hb",
    "csf_ferritin",
    "csf_transferrin",
    "irp_activity",
    "cell_tfr",
    "cell_transferrin",
    "cell_ferritin",
    "cell_fpn",
    "fe_sn",
    "r2s_sn",
    "csf_hva",
    "csf_bh4",
    "omd",
    "th_activity",
    "dat",
    "vt_dpn",
    "glx",
    "csp",
    "sici",
    "b2",
    "flexor",
    "plm_drive",
    "bp_extrastriatal",
    "fe_thalamus",
    "ubar",
    "op",
    "o_t",
    "beta_endorphin",
    "prolactin",
    "bp_raclopride",
    "lip",
    "b",
    "u",
    "e",
    "occ1",
    "theta",
]


#: Distributions of which relatives share half.
INHERITED = ("g0", "u_e", "q_bbb", "g_irp")
#: Hours of the afternoon and evening at which excitability is kept (24 is midnight).
EVENING = tuple(range(12, 27))


@dataclass(frozen=True)
class People:
    """People and what makes them differ.

    Parameters
    ----------
    cohort : Cohort
        Parameters and start.
    facts : mapping of str to (n,) array
        Age, sex (1 for women), genotypes, and the person effect on leg movements.
    """

    cohort: Cohort
    facts: Mapping[str, Array]

    def take(self, rows: NDArray[np.intp]) -> People:
        """Return some of the people."""
        return People(self.cohort.take(rows), {k: v[rows] for k, v in self.facts.items()})


@cache
def data(name: str) -> dict[str, Any]:
    """Return a data file of the model: population, treatments, conditions or scenarios.

    Parameters
    ----------
    name : str
        Without extension.

    Returns
    -------
    dict
        Its content.
    """
    text = files("ekbom.disease.spec").joinpath(f"{name}.toml").read_text("utf-8")
    return tomllib.loads(text)


def _value(entry: Mapping[str, Any], key: str) -> float:
    return float(entry[key]["value"])


def _draw(shape: Mapping[str, Any], z: Array) -> Array:
    location, scale = float(shape["location"]), float(shape["scale"])
    if shape["family"] == "normal":
        return location + scale * z
    return location * np.exp(scale * z)


def draw(
    n: int,
    seed: int,
    *,
    age: tuple[float, float] | None = None,
    women: float = 0.5,
    siblings: bool = False,
) -> tuple[People, People | None]:
    """Draw people, and a sibling for each when asked.

    Parameters
    ----------
    n : int
        Number of people.
    seed : int
        Of every draw.
    age : tuple of float, optional
        Range in years; that of the population by default.
    women : float
        Share of women.
    siblings : bool
        Whether to draw a sibling for each, who shares half of what is inherited
        (genes and spinal set point) and is of the same age.

    Returns
    -------
    tuple of People and (People or None)
        People, not yet settled, and siblings.
    """
    pop = data("population")
    rng = np.random.default_rng(seed)
    low, high = age or (_value(pop["age"], "low"), _value(pop["age"], "high"))
    years = rng.uniform(low, high, n)
    loci = {x["id"]: _alleles(rng, n, x["frequency"]) for x in pop["locus"]}
    inherited = {k: rng.normal(size=n) for k in INHERITED}
    first = _people(rng, years, women, loci, inherited)
    if not siblings:
        return first, None
    again = {}
    for x in pop["locus"]:
        # each sibling keeps every allele with probability one half, else a new one
        own = loci[x["id"]]
        kept = rng.random(own.shape) < 0.5
        again[x["id"]] = np.where(kept, own, _alleles(rng, n, x["frequency"]))
    half = {k: 0.5 * v + np.sqrt(0.75) * rng.normal(size=n) for k, v in inherited.items()}
    return first, _people(rng, years, women, again, half)


def _alleles(rng: np.random.Generator, n: int, frequency: float) -> NDArray[np.int64]:
    return (rng.random((n, 2)) < frequency).astype(np.int64)


def _people(
    rng: np.random.Generator,
    years: Array,
    women: float,
    loci: Mapping[str, NDArray[np.int64]],
    inherited: Mapping[str, Array],
) -> People:
    pop, n = data("population"), len(years)
    shapes = pop["distributions"]
    z = {k: inherited.get(k, rng.normal(size=n)) for k in shapes}
    params: dict[str, Array | float] = {k: _draw(s, z[k]) for k, s in shapes.items()}
    female = (rng.random(n) < women).astype(float)
    own = [_value(pop["women"], k) for k in ("fs0_factor", "fs0_factor_60")]
    params["fs0"] = params["fs0"] * np.where(female == 1, np.interp(years, [50, 60], own), 1.0)
    menses = _value(pop["women"], "menses") * np.exp(0.6 * rng.normal(size=n) - 0.18)
    params["loss"] = params["loss"] + menses * female * (years < 50)
    params["g0"] = params["g0"] + _value(pop["age"], "x_per_year") * (years - 50)
    z_plm = rng.normal(size=n)
    plm = _value(pop["plm"], "person_sd") * z_plm
    facts: dict[str, Array] = {"age": years, "female": female}
    facts |= {"z_plm": z_plm} | {f"z_{k}": z[k] for k in INHERITED}
    shift = drive_per_liability()
    for x in pop["locus"]:
        count = loci[x["id"]].sum(axis=1).astype(float)
        facts[x["id"]] = count
        effect = np.log(x["odds"]) * (count - 2 * x["frequency"])
        if x["acts"] == "plm":
            plm = plm + _value(pop["plm"], "per_liability") * effect
        else:
            params[x["acts"]] = params[x["acts"]] + shift * effect
    facts["plm_person"] = plm
    return People(Cohort(n, params), facts)


def drive_per_liability() -> float:
    """Return the shift of the drive per log odds: K (1 - K) / density(T) times its SD.

    Returns
    -------
    float
        First-order change of liability per log odds ratio at the prevalence K,
        times the standard deviation of the drive between people.
    """
    pop = data("population")
    k = _value(pop["reference"], "prevalence")
    return float(k * (1 - k) / norm.pdf(norm.isf(k)) * _value(pop["drive"], "sd"))


def relatives(people: People, seed: int, count: int) -> People:
    """Draw first-degree relatives: half of what is inherited is shared.

    Parameters
    ----------
    people : People
        As drawn, not settled; the inherited draws are taken from them.
    seed : int
        Of the draws.
    count : int
        Relatives of each; those of person i are ``i*count`` to ``(i + 1)*count - 1``.

    Returns
    -------
    People
        Not yet settled, of the same age as the proband.
    """
    pop, n = data("population"), people.cohort.n
    rng = np.random.default_rng([seed, 17])
    again = np.repeat(np.arange(n), count)
    loci = {}
    for x in pop["locus"]:
        own = people.facts[x["id"]].astype(np.int64)[again]
        pair = np.stack([own >= 1, own == 2], 1).astype(np.int64)
        kept = rng.random(pair.shape) < 0.5
        loci[x["id"]] = np.where(kept, pair, _alleles(rng, len(again), x["frequency"]))
    half = {
        k: 0.5 * people.facts[f"z_{k}"][again] + np.sqrt(0.75) * rng.normal(size=len(again))
        for k in INHERITED
    }
    return _people(rng, people.facts["age"][again], 0.5, loci, half)


def settled(people: People, hours: float = 20000.0, **params: Array | float) -> People:
    """Return the people after a long time with the clock averaged.

    Parameters
    ----------
    people : People
        Not yet settled.
    hours : float
        How long.
    **params
        Parameter values from now on.

    Returns
    -------
    People
        Settled.
    """
    cohort = people.cohort.with_params(**params) if params else people.cohort
    return People(settle(cohort, hours), people.facts)


def condition(people: People, name: str) -> People:
    """Return the people under a condition, settled in it.

    Parameters
    ----------
    people : People
        Settled or not.
    name : str
        Of ``conditions.toml``.

    Returns
    -------
    People
        After the hours of the condition.
    """
    known = data("conditions")
    if name not in known:
        raise Refused("The condition is not known.", found=name, expected=", ".join(known))
    entry = known[name]
    cohort = people.cohort
    params: dict[str, Array | float] = dict(entry.get("set", {}))
    for k, f in entry.get("scale", {}).items():
        params[k] = np.broadcast_to(current(cohort, k), (cohort.n,)) * f
    for k, d in entry.get("add", {}).items():
        params[k] = np.broadcast_to(current(cohort, k), (cohort.n,)) + d
    if "fs0" in params:  # new pools start from the new set point
        cohort = Cohort(cohort.n, cohort.params, None)
    changed = cohort.with_params(**params)
    return People(settle(changed, entry["hours"]), people.facts)


def current(cohort: Cohort, name: str) -> Array:
    """Return the value of a parameter of each person.

    Parameters
    ----------
    cohort : Cohort
        People.
    name : str
        Parameter.

    Returns
    -------
    (n,) or () array
        Value.
    """
    from ekbom.disease.model import load

    return np.asarray(cohort.params.get(name, load().defaults[name]), dtype=np.float64)


def scenario(people: People, name: str) -> People:
    """Return the people under a scenario, not settled.

    Parameters
    ----------
    people : People
        Anyone.
    name : str
        Of ``scenarios.toml``.

    Returns
    -------
    People
        With the overrides of the scenario.
    """
    known = data("scenarios")
    if name not in known:
        raise Refused("The scenario is not known.", found=name, expected=", ".join(known))
    changed = Cohort(people.cohort.n, people.cohort.params, None)
    return People(changed.with_params(**known[name]["set"]), people.facts)


def treated(people: People, name: str, weeks: float) -> tuple[People, list[Event]]:
    """Return the people after weeks of a treatment, and its doses for two days.

    Parameters
    ----------
    people : People
        Settled.
    name : str
        Of ``treatments.toml``.
    weeks : float
        How long, with the doses averaged over the day.

    Returns
    -------
    tuple of People and list of Event
        At the end, with the doses of the next two days.
    """
    known = data("treatments")
    if name not in known:
        raise Refused("The treatment is not known.", found=name, expected=", ".join(known))
    entry = known[name]
    sets = dict(entry.get("sets", {}))
    for k, f in entry.get("times", {}).items():
        sets[k] = current(people.cohort, k) * f
    cohort = people.cohort.with_params(**sets)
    if cohort.start is None:
        raise Refused("The people are not settled.")
    start = cohort.start.copy()
    index = {k: i for i, k in enumerate(_state_ids())}
    for state, amount in entry.get("once", {}).items():
        start[:, index[state]] += amount
    cohort = Cohort(cohort.n, cohort.params, start)
    daily = {"fe_gut"} & {d[1] for d in entry.get("doses", [])}
    if daily:  # oral iron has no rate: its doses are given as a mean at the gut
        events = _repeat(entry["doses"], round(weeks * 7))
        end = simulate(cohort.with_params(clock=0.0), round(weeks * 168), step=168, events=events)
        cohort = Cohort(cohort.n, cohort.params, end.last)
    elif weeks > 0:
        cohort = settle(cohort, weeks * 168.0, **entry.get("rate", {}))
    return People(cohort, people.facts), _repeat(entry.get("doses", []), 2)


def _state_ids() -> list[str]:
    from ekbom.disease.model import load

    return [s.id for s in load().states]


def _repeat(doses: Sequence[Sequence[Any]], days: int) -> list[Event]:
    return [Event(24.0 * d + h, s, a) for d in range(days) for h, s, a in doses]


def table(people: People, events: Sequence[Event] = ()) -> dict[str, Array]:
    """Run two days and return the second as a table of people.

    Parameters
    ----------
    people : People
        Settled.
    events : sequence of Event
        Doses of the two days, for everyone.

    Returns
    -------
    dict of str to (n,) array
        Facts; ``name@hour`` of each read-out; ``urge``, mean urge from 18 to 02 h;
        ``z``, its logarithm; ``day_urge``; ``acrophase``, clock hour of the most urge
        at rest; ``plm_phase``, that of the most drive of leg movements; ``plm_log``, log effect
        on the hazard of movements that night; ``e_12`` to ``e_26``,
        excitability from noon to 02 h.
    """
    columns: dict[str, list[Array]] = {}
    n = people.cohort.n
    for lo in range(0, n, 2000):  # bounds the memory
        part = people.cohort.take(np.arange(lo, min(n, lo + 2000)))
        run = simulate(part, 50, events=[e for e in events if e.time <= 50])
        for name in _KEPT:
            values = run.get(name)
            for h in HOURS:
                columns.setdefault(f"{name}@{h}", []).append(values[:, 24 + h])
        u, e = run.get("u"), run.get("e")
        columns.setdefault("urge", []).append(u[:, 42:51].mean(axis=1))
        columns.setdefault("day_urge", []).append(u[:, 33:41].mean(axis=1))
        hour = np.arange(24) * 2 * np.pi / 24
        around = (e[:, 24:48] * np.exp(1j * hour)).sum(axis=1)
        columns.setdefault("acrophase", []).append((np.angle(around) * 24 / (2 * np.pi)) % 24)
        plm = run.get("plm_drive")
        about = (plm[:, 24:48] * np.exp(1j * hour)).sum(axis=1)
        columns.setdefault("plm_phase", []).append((np.angle(about) * 24 / (2 * np.pi)) % 24)
        for h in EVENING:
            columns.setdefault(f"e_{h}", []).append(e[:, 24 + h])
    out = {k: np.concatenate(v) for k, v in columns.items()}
    out["z"] = np.log(np.maximum(out["urge"], 1e-6))
    plm = data("population")["plm"]
    out["plm_log"] = (
        people.facts["plm_person"]
        + _value(plm, "male") * (1 - people.facts["female"])
        + _value(plm, "b_drive") * out["plm_drive@0"]
    )
    return dict(people.facts) | out


def threshold(z: Array) -> float:
    """Return the threshold at which the reference population has its prevalence.

    Parameters
    ----------
    z : (n,) float
        Log evening urge of the reference population.

    Returns
    -------
    float
        On the scale of ``z``.
    """
    k = _value(data("population")["reference"], "prevalence")
    return float(np.quantile(z, 1 - k))


def irls(z: Array, cut: float, rng: np.random.Generator) -> Array:
    """Return simulated severity totals (0 to 40): ten items of graded response.

    Parameters
    ----------
    z : (n,) float
        Log evening urge.
    cut : float
        Threshold of the disease.
    rng : numpy.random.Generator
        Of the answers.

    Returns
    -------
    (n,) float
        Totals. Items are numbers only; no wording is shipped.
    """
    entry = data("population")["irls"]
    slope, items = _value(entry, "slope"), int(_value(entry, "items"))
    steps = np.asarray(entry["steps"]["value"])
    p = 1 / (1 + np.exp(-slope * (z[:, None] - cut - steps)))
    answer = rng.random((len(z), items, 1)) < p[:, None, :]
    total: Array = answer.sum(axis=(1, 2)).astype(np.float64)
    return total


def expected_irls(above: Array) -> Array:
    """Return the expected severity total.

    Parameters
    ----------
    above : (n,) float
        Log evening urge over the threshold.

    Returns
    -------
    (n,) float
        Points.
    """
    entry = data("population")["irls"]
    steps = np.asarray(entry["steps"]["value"])
    p = 1 / (1 + np.exp(-_value(entry, "slope") * (above[:, None] - steps)))
    out: Array = _value(entry, "items") * p.sum(axis=1)
    return out
