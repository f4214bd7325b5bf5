"""People of the disease model who come with the program, so that a study need not draw them.

1,200 with the disease and as many without, of two populations of 12,000: age, sex, urge, and
what their receptors see at the hour of the scan. They are of one version of the model, one
scenario, hour and range of ages; for anything else people are drawn anew.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from ekbom.virtual.design import Design
from ekbom.virtual.recruits import Pool, hours, people_key, pool, reference

Array = NDArray[np.float64]

#: Seeds of the populations, and people of each; none is that of the calibration.
_SEEDS, _PEOPLE = (101, 102), 12_000
#: People without the disease who are kept.
_WELL = 1200
#: Of a population, those with the disease, and those without who could be volunteers.
_SICK_SHARE, _WELL_SHARE = 0.05, 0.19

_FILE = "people.tsv"
_COLUMNS = ("age", "female", "z", "phasic", "theta", "bp")


@dataclass(frozen=True, eq=False)
class Shipped:
    """Everybody who comes with the program.

    Parameters
    ----------
    key : str
        Of the model, scenario, hour and ages that they are of.
    cut : float
        Threshold of log evening urge.
    bp : float
        Mean D2 binding of those without the disease.
    people : Pool
        All, one hour.
    """

    key: str
    cut: float
    bp: float
    people: Pool


@functools.cache
def everybody() -> Shipped:
    """Return the people of the file.

    Returns
    -------
    Shipped
        Whatever model they are of.
    """
    text = (resources.files("ekbom.virtual") / _FILE).read_text("utf-8").splitlines()
    said = dict(line[1:].split("=") for line in text if line.startswith("#") and "=" in line)
    said = {name.strip(): value.strip() for name, value in said.items()}
    cut = float(said["cut"])
    age, female, z, phasic, theta, bp = np.loadtxt(text, comments="#", skiprows=0).T
    people = Pool(age, female, z, z > cut, phasic[:, None], theta[:, None], bp[:, None])
    return Shipped(said["key"], cut, float(said["bp"]), people)


def shipped(design: Design) -> Shipped | None:
    """Return the shipped people where a design may recruit from them.

    Parameters
    ----------
    design : Design
        With a disease part.

    Returns
    -------
    Shipped or None
        ``None`` where the design wants a population of its own, where they are of another
        model, scenario, hour or ages, and where they are too few.
    """
    assert design.disease is not None
    if design.disease.people != "shipped" or len(hours(design)) > 1:
        return None
    found = everybody()
    sick = int(found.people.rls.sum())
    few = design.groups.rls > sick // 2 or design.groups.control > found.people.rls.size - sick
    return None if few or found.key != people_key(design) else found


def some(design: Design, all_of_them: Shipped, n: int, rng: np.random.Generator) -> Pool:
    """Return those whom one study could ask: as many as a population of n holds.

    Parameters
    ----------
    design : Design
        Groups.
    all_of_them : Shipped
        Everybody.
    n : int
        Size of the population.
    rng : numpy.random.Generator
        Of the choice.

    Returns
    -------
    Pool
        In random order; never fewer than the groups.
    """
    people = all_of_them.people
    sick, well = np.flatnonzero(people.rls), np.flatnonzero(~people.rls)
    asked = max(round(_SICK_SHARE * n), design.groups.rls)
    others = max(round(_WELL_SHARE * n), design.groups.control)
    rows = np.concatenate([rng.permutation(sick)[:asked], rng.permutation(well)[:others]])
    return Pool(*(getattr(people, name)[rows] for name in Pool.__annotations__))


def write_people(design: Design) -> str:
    """Return the text of the file, of the model as it is.

    Parameters
    ----------
    design : Design
        Scenario, hour, ages.

    Returns
    -------
    str
        TSV below a few lines of comment; a minute of CPU.
    """
    assert design.disease is not None
    ref, kept = reference(design), []
    for seed in _SEEDS:
        drawn, _ = pool(
            _PEOPLE, seed, hours(design), design.disease.scenario, ref.cut, design.cohort.age_range
        )
        few = np.random.default_rng([seed, 3]).permutation(np.flatnonzero(~drawn.rls))
        rows = np.concatenate([np.flatnonzero(drawn.rls), np.sort(few[: _WELL // len(_SEEDS)])])
        kept.append(
            np.column_stack([np.asarray(getattr(drawn, name))[rows].reshape(rows.size, -1)[:, 0]
                             for name in _COLUMNS])
        )  # fmt: skip
    table = np.concatenate(kept)
    lines = [
        "# People of the disease model, simulated; not patient data. Written by",
        "# `python -m ekbom.virtual.recruits`; not used when the model has changed since.",
        f"# key = {people_key(design)}",
        f"# cut = {ref.cut!r}",
        f"# bp = {ref.bp!r}",
        "# age (years), female (1), log evening urge, phasic opioid, opioid occupancy, D2 binding",
    ]
    lines += ["\t".join([f"{row[0]:.1f}", f"{row[1]:.0f}", *(f"{v:.6g}" for v in row[2:])])
              for row in table]  # fmt: skip
    return "\n".join(lines) + "\n"
