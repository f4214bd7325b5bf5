"""Who people are: drawn from one population, with their genes, and their relatives.

Everyone is drawn from one population; the disease is what the threshold on
the evening urge yields. Deterministic by seed and independent of threads.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from ekbom.disease.simulate import Array, Cohort
from ekbom.errors import Refused

#: Distributions of which relatives share half.
INHERITED = ("g0", "u_e", "q_bbb", "g_irp")


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


@cache
def source_digest() -> hashlib._Hash:
    """Return a hash of every source file of the model; copy it before adding to it.

    Returns
    -------
    hash object
        SHA-256.
    """
    digest = hashlib.sha256()
    folder = files("ekbom.disease.spec")
    for item in sorted(folder.iterdir(), key=lambda i: i.name):
        if item.name.endswith(".toml"):
            digest.update(item.read_bytes())
    return digest


def value_of(entry: Mapping[str, Any], key: str) -> float:
    """Return the value of an entry of a data file.

    Parameters
    ----------
    entry : mapping
        A part of the file.
    key : str
        Entry in it.

    Returns
    -------
    float
        Its ``value``.
    """
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
    low, high = age or (value_of(pop["age"], "low"), value_of(pop["age"], "high"))
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
    own = [value_of(pop["women"], k) for k in ("fs0_factor", "fs0_factor_60")]
    params["fs0"] = params["fs0"] * np.where(female == 1, np.interp(years, [50, 60], own), 1.0)
    menses = value_of(pop["women"], "menses") * np.exp(0.6 * rng.normal(size=n) - 0.18)
    params["loss"] = params["loss"] + menses * female * (years < 50)
    params["g0"] = params["g0"] + value_of(pop["age"], "x_per_year") * (years - 50)
    z_plm = rng.normal(size=n)
    plm = value_of(pop["plm"], "person_sd") * z_plm
    facts: dict[str, Array] = {"age": years, "female": female}
    # a stream of its own, so that nothing else about the people hangs on it
    facts |= {"z_plm": z_plm, "z_short": rng.spawn(1)[0].normal(size=n)} | {
        f"z_{k}": z[k] for k in INHERITED
    }
    counts = {x["id"]: loci[x["id"]].sum(axis=1).astype(float) for x in pop["locus"]}
    plm = plm + _act(counts, params)
    facts |= counts
    facts["plm_person"] = plm
    return People(Cohort(n, params), facts)


def typical(age: float, female: bool) -> People:
    """Return the person in the middle of the population, of one age and sex.

    Parameters
    ----------
    age : float
        Years.
    female : bool
        A woman.

    Returns
    -------
    People
        One, not settled: every distribution at its median, every locus at the population's mean.
    """
    pop = data("population")
    params: dict[str, Array | float] = {
        k: float(s["location"]) for k, s in pop["distributions"].items()
    }
    if female:
        own = [value_of(pop["women"], k) for k in ("fs0_factor", "fs0_factor_60")]
        params["fs0"] = params["fs0"] * float(np.interp(age, [50, 60], own))
        if age < 50:
            params["loss"] = params["loss"] + value_of(pop["women"], "menses") * np.exp(-0.18)
    params["g0"] = params["g0"] + value_of(pop["age"], "x_per_year") * (age - 50)
    facts = {"age": age, "female": float(female), "plm_person": 0.0, "z_plm": 0.0, "z_short": 0.0}
    facts |= {f"z_{k}": 0.0 for k in INHERITED}
    return People(
        Cohort(1, {k: np.array([v]) for k, v in params.items()}),
        {k: np.array([v]) for k, v in facts.items()},
    )


def with_alleles(people: People, counts: Mapping[str, int]) -> People:
    """Return the people with so many risk alleles in place of the population's mean.

    Parameters
    ----------
    people : People
        Of :func:`typical`, not settled.
    counts : mapping of str to int
        Locus, by its id or the name of its variant, to 0, 1 or 2.

    Returns
    -------
    People
        Not settled.

    Raises
    ------
    Refused
        On a locus that is not known, or another count.
    """
    known = {k: x["id"] for x in data("population")["locus"] for k in (x["id"], x["variant"])}
    own: dict[str, Array] = {}
    for name, count in counts.items():
        if name not in known:
            raise Refused("The locus is not known.", field="genes", found=name,
                          expected=", ".join(dict.fromkeys(known.values())))  # fmt: skip
        if count not in (0, 1, 2):
            raise Refused("The number of risk alleles is not known.", field=f"genes: {name}",
                          found=count, expected="0, 1 or 2")  # fmt: skip
        own[known[name]] = np.full(people.cohort.n, float(count))
    params, facts = dict(people.cohort.params), dict(people.facts)
    facts["plm_person"] = facts["plm_person"] + _act(own, params)
    return People(Cohort(people.cohort.n, params, None), facts | own)


def _act(counts: Mapping[str, Array], params: dict[str, Array | float]) -> Array | float:
    """Let alleles act on parameters (changed); return their log effect on leg movements."""
    pop, shift = data("population"), drive_per_liability()
    plm: Array | float = 0.0
    for x in pop["locus"]:
        if x["id"] not in counts:
            continue
        effect = np.log(x["odds"]) * (counts[x["id"]] - 2 * x["frequency"])
        if x["acts"] == "plm":
            plm = plm + value_of(pop["plm"], "per_liability") * effect
        else:
            params[x["acts"]] = params[x["acts"]] + shift * effect
    return plm


def drive_per_liability() -> float:
    """Return the shift of the drive per log odds: K (1 - K) / density(T) times its SD.

    Returns
    -------
    float
        First-order change of liability per log odds ratio at the prevalence K,
        times the standard deviation of the drive between people.
    """
    pop = data("population")
    k = value_of(pop["reference"], "prevalence")
    z = -ndtri(k)
    density = np.exp(-(z**2) / 2.0) / np.sqrt(2.0 * np.pi)
    return float(k * (1 - k) / density * value_of(pop["drive"], "sd"))


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
