"""A population of the model as tables: who has the disease, and how groups differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ekbom.disease import cohort as co
from ekbom.errors import Refused
from ekbom.measures.clinic.trialstats import wilson
from ekbom.trials import columns as col
from ekbom.trials.person import threshold

#: Draws of people from which the interval of a ratio comes.
_BOOTSTRAP = 2000
#: What groups are compared in: column, words.
COMPARED = {
    "age": "age, years",
    "female": "women, %",
    "irls": "severity, 0 to 40",
    "plms": "leg movements in sleep, 1/h, one night",
    "ferritin@10": "ferritin, ug/L",
    "tsat_percent@10": "transferrin saturation, %",
    "hb@10": "haemoglobin, g/dL",
    "csf_ferritin@10": "CSF ferritin, ug/L",
    "fe_sn@10": "nigral iron, healthy 1",
    "b2@10": "D2 receptors, healthy 1",
    "theta@10": "opioid occupancy, thalamus to orbitofrontal",
    "vt_dpn@10": "diprenorphine V_T, mL/mL",
}


@dataclass(frozen=True)
class Population:
    """People, and the same people without the condition when there is one.

    Parameters
    ----------
    people : DataFrame
        A row a person: facts, read-outs at clock hours (``name@hour``), ``z`` (log evening
        urge), ``rls``, ``irls`` as the person would answer, ``plms`` of one night.
    without : DataFrame or None
        The same, without the condition.
    """

    people: pd.DataFrame
    without: pd.DataFrame | None


def population(
    n: int, seed: int, *, condition: str | None = None, scenario: str = "base"
) -> Population:
    """Draw people, settle them and read them out.

    Parameters
    ----------
    n : int
        People, 20 or more.
    seed : int
        Of every draw.
    condition : str, optional
        Of ``conditions.toml``: everybody has it.
    scenario : str
        Of ``scenarios.toml``. The threshold stays that of the base scenario.

    Returns
    -------
    Population
        Tables.

    Raises
    ------
    Refused
        On fewer than 20 people, or a condition or scenario that is not known.
    """
    if n < 20:
        raise Refused("Too few people.", field="n", found=n, expected="at least 20")
    people = co.draw(n, seed)[0]
    people = co.settled(people if scenario == "base" else co.scenario(people, scenario))
    if condition is None:
        return Population(_told(people, seed), None)
    return Population(_told(co.condition(people, condition), seed), _told(people, seed))


def _told(people: co.People, seed: int) -> pd.DataFrame:
    made = pd.DataFrame(co.table(people))
    cut = threshold()
    made.insert(0, "rls", made["z"] > cut)
    made["irls"] = co.irls(made["z"].to_numpy(), cut, np.random.default_rng([seed, 3]))
    col.add_nights(made, np.arange(len(made)), seed)
    return made.rename(columns={"plmi": "plms", "pi": "periodicity"}).drop(
        columns=["peak", "short"]
    )


def by_age(people: pd.DataFrame) -> pd.DataFrame:
    """Return the share with the disease by fifteen years of age and by sex.

    Parameters
    ----------
    people : DataFrame
        ``age female rls``.

    Returns
    -------
    DataFrame
        ``sex from_age to_age n cases percent lower upper``: Wilson's 95 % interval.
    """
    rows = []
    for female, word in ((1, "women"), (0, "men")):
        for low in range(15, 90, 15):
            inside = (people["age"] >= low) & (people["age"] < low + 15 + (low == 75))
            own = people.loc[inside & (people["female"] == female), "rls"]
            if len(own):
                lower, upper = wilson(int(own.sum()), len(own))
                rows.append({"sex": word, "from_age": low, "to_age": low + 15, "n": len(own),
                             "cases": int(own.sum()), "percent": 100 * own.mean(),
                             "lower": 100 * lower, "upper": 100 * upper})  # fmt: skip
    return pd.DataFrame(rows)


def groups(people: pd.DataFrame) -> pd.DataFrame:
    """Return medians and ranges of those with and without the disease.

    Parameters
    ----------
    people : DataFrame
        Of :func:`population`.

    Returns
    -------
    DataFrame
        ``what with without``: median (5 to 95 %), or per cent.
    """
    hit = people["rls"].to_numpy(bool)
    rows = [{"what": "people", "with": f"{hit.sum()}", "without": f"{(~hit).sum()}"}]
    for name, words in COMPARED.items():
        row = {"what": words}
        for head, own in (("with", people.loc[hit, name]), ("without", people.loc[~hit, name])):
            if len(own) == 0:
                row[head] = ""
            elif name == "female":
                row[head] = f"{100 * own.mean():.0f}"
            else:
                low, mid, high = own.quantile([0.05, 0.5, 0.95])
                row[head] = f"{mid:.3g} ({low:.3g} to {high:.3g})"
        rows.append(row)
    return pd.DataFrame(rows)


def ratio(made: Population, seed: int) -> tuple[float, float, float] | None:
    """Return the prevalence under the condition over that of the same people without.

    Parameters
    ----------
    made : Population
        With a condition.
    seed : int
        Of the bootstrap.

    Returns
    -------
    tuple of float or None
        Ratio and 95 % interval, people drawn anew in pairs; ``None`` without a condition or
        when fewer than five have the disease without it.
    """
    if made.without is None or made.without["rls"].sum() < 5:
        return None
    a, b = (t["rls"].to_numpy(float) for t in (made.people, made.without))
    pick = np.random.default_rng([seed, 41]).integers(0, len(a), (_BOOTSTRAP, len(a)))
    with np.errstate(divide="ignore", invalid="ignore"):
        draws = a[pick].mean(1) / b[pick].mean(1)
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return float(a.mean() / b.mean()), float(low), float(high)
