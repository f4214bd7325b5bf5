"""A small and fast simulation of what the calibration compares with print.

People are drawn with patients over-represented (half of them with a higher spinal
set point) and weighted back, so that a few hundred people give a hundred patients.
The draws are the same for every set of parameters, so that summaries are smooth.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from ekbom.disease import cohort as co
from ekbom.disease.simulate import Cohort
from ekbom.trials import columns as col
from ekbom.trials.compare import Array
from ekbom.trials.treatment import change_of_score
from ekbom.trials.world import error_of

#: Shift of the inherited set point of the second half, in SD.
_SHIFT = 1.5
#: Mean and SD of severity of the patients of the diprenorphine study (assumed).
DPN_SCORE = (24.0, 7.0)
#: Shifts of the drive at which the share of people with the disease is kept.
SHIFTS = (-2.5, -2.0, -1.5, -1.0, -0.5, 0.0)
#: Arms: treatment, weeks, least severity, summary.
ARMS = (
    ("pramipexole_0.5", 12.0, 15.0, "pramipexole"),
    ("pregabalin_300", 12.0, 15.0, "pregabalin"),
    ("levodopa", 4.0, 15.0, "levodopa"),
    ("oxycodone_20", 12.0, 22.0, "oxycodone"),
    ("fcm_1000", 8.0, 15.0, "iron"),
    ("pramipexole_0.25", 52.0, 15.0, "augmentation"),
)


class Setting(NamedTuple):
    """What is free and what is aimed at."""

    free: tuple[dict[str, Any], ...]
    targets: tuple[dict[str, Any], ...]


@cache
def setting() -> Setting:
    """Return the free parameters and targets of ``calibration.toml``.

    Returns
    -------
    Setting
        As shipped.
    """
    text = files("ekbom.trials.data").joinpath("calibration.toml").read_text("utf-8")
    raw = tomllib.loads(text)
    return Setting(tuple(raw["free"]), tuple(raw["target"]))


def values_of(unit: Array) -> dict[str, float]:
    """Return parameter values of a point of the unit cube.

    Parameters
    ----------
    unit : (P,) float
        Coordinates in 0 to 1, in the order of :func:`setting`.

    Returns
    -------
    dict of str to float
        Values within the prior.
    """
    out = {}
    for x, f in zip(unit, setting().free, strict=True):
        low, high = float(f["low"]), float(f["high"])
        out[f["id"]] = (
            low * (high / low) ** float(x) if f["scale"] == "log" else low + (high - low) * float(x)
        )
    return out


def _people(n: int, seed: int) -> tuple[co.People, Array]:
    people = co.draw(n, seed)[0]
    pop = co.data("population")["distributions"]
    z = people.facts["z_g0"].copy()
    move = np.where(np.arange(n) % 2 == 1, _SHIFT, 0.0)
    params = dict(people.cohort.params)
    params["g0"] = np.asarray(params["g0"]) + pop["g0"]["scale"] * move
    z += move
    weight = norm.pdf(z) / (0.5 * norm.pdf(z) + 0.5 * norm.pdf(z - _SHIFT))
    return co.People(Cohort(n, params), people.facts), weight / weight.sum()


def summaries(
    values: Mapping[str, float],
    *,
    n: int = 600,
    patients: int = 80,
    seed: int = 1,
    more: Mapping[str, float] | None = None,
    only: Sequence[str] = (),
) -> dict[str, float]:
    """Return the summaries that the calibration compares with print.

    Parameters
    ----------
    values : mapping of str to float
        Free parameters.
    n, patients : int
        People of the population, and patients of each arm at most.
    seed : int
        Of every draw, the same for all parameters.
    more : mapping of str to float, optional
        Further parameters of the equations, for everyone.
    only : sequence of str, optional
        Summaries of the arms that are run; all by default.

    Returns
    -------
    dict of str to float
        Summary to value; ``lnb_*`` hold the supply of the brain, from which
        :func:`finish` takes the CSF values.
    """
    settled, weight, t, cut = _population(values, n, seed, more)
    z = t["z"].to_numpy()
    case, clinic, control = z > cut, t["score"].to_numpy() >= 15, z <= cut
    out: dict[str, float] = {}
    lnb = np.log(t["b@10"].to_numpy())
    for word, who in (("case", clinic), ("control", control)):
        m = np.average(lnb[who], weights=weight[who])
        out[f"lnb_mean_{word}"] = float(m)
        out[f"lnb_var_{word}"] = float(np.average((lnb[who] - m) ** 2, weights=weight[who]))
    severe = t["score"].to_numpy() >= 20 if (t["score"] >= 20).sum() >= 12 else clinic
    for word, column in (("tfr", "cell_tfr@10"), ("ferritin", "cell_ferritin@10"),
                         ("irp", "irp_activity@10")):  # fmt: skip
        x, cv = t[column].to_numpy(), error_of(column)
        a, va = _moments(x, weight * severe, cv)
        b, vb = _moments(x, weight * control, cv)
        out[f"z_{word}"] = float((a - b) / np.sqrt(va / 18 + vb / 12))
    tone = t["o_t@10"].to_numpy()
    ratio = np.average(tone[severe], weights=weight[severe])
    out["opioid_percent"] = float(
        100 * (ratio / np.average(tone[control], weights=weight[control]) - 1)
    )
    mild = t["score"].to_numpy() >= 10
    vt, s, w = t["vt_dpn@10"].to_numpy()[mild], t["score"].to_numpy()[mild], weight[mild]
    vs = _moments(s, w, 0.0)[1] + 2.5**2  # the answers of ten items
    cov = np.average((vt - np.average(vt, weights=w)) * (s - np.average(s, weights=w)), weights=w)
    r = cov / np.sqrt(_moments(vt, w, error_of("vt_dpn@10"))[1] * vs)
    out["z_vt_irls"] = float(np.arctanh(np.clip(r, -0.99, 0.99)))
    shift = values["x_asia"] * (1 - t["e@0"].to_numpy())
    # smooth in the shift: a logistic step of width 0.1
    out["asia"] = float(100 * np.sum(weight / (1 + np.exp(-(z + shift - cut) / 0.1))))
    rows = _some(case, patients)
    # the log share over the threshold at several shifts of the drive, as above
    for k, move in enumerate(SHIFTS):
        over = 1 / (1 + np.exp(-(z + move * (1 - t["e@0"].to_numpy()) - cut) / 0.1))
        out[f"asia_{k}"] = float(np.log(100 * np.sum(weight * over)))
    return out | _arms(settled, t, rows, weight, cut, values, seed, only)


def _population(
    values: Mapping[str, float], n: int, seed: int, more: Mapping[str, float] | None
) -> tuple[co.People, Array, pd.DataFrame, float]:
    """Return settled people, their weights, their table with expected scores, the threshold."""
    people, weight = _people(n, seed)
    changed: dict[str, Array | float] = dict(more or {})
    for f in setting().free:
        v = values[f["id"]]
        if f["kind"] == "spread":
            changed[f["target"]] = np.exp(v * people.facts[f"z_{f['target']}"])
        elif f["id"] == "al_aug":
            own = np.asarray(people.cohort.params["al_aug"])
            changed["al_aug"] = (
                own * v / co.data("population")["distributions"]["al_aug"]["location"]
            )
        elif f["kind"] == "model":
            changed[f["target"]] = v
    if "ec_g3" in changed:  # the other agonist sites keep their ratio
        changed["ec_g2"] = 6.0 * float(values["ec_g3"])
    settled = co.settled(co.People(people.cohort.with_params(**changed), people.facts))
    t = pd.DataFrame(co.table(settled))
    z = t["z"].to_numpy()
    order = np.argsort(z)
    share = np.cumsum(weight[order])
    k = float(co.data("population")["reference"]["prevalence"]["value"])
    cut = float(z[order][np.searchsorted(share, 1 - k)])
    t["score"] = co.expected_irls(z - cut)
    return settled, weight, t, cut


def _some(who: NDArray[np.bool_], count: int) -> NDArray[np.intp]:
    rows = np.flatnonzero(who)
    if len(rows) > count:
        rows = rows[np.linspace(0, len(rows) - 1, count).astype(int)]
    return rows


def _moments(x: Array, weight: Array, cv: float) -> tuple[float, float]:
    m = np.average(x, weights=weight)
    v = np.average((x - m) ** 2, weights=weight)
    return float(m), float(v + cv**2 * (v + m**2))


def _arms(
    people: co.People,
    t: pd.DataFrame,
    rows: NDArray[np.intp],
    weight: Array,
    cut: float,
    values: Mapping[str, float],
    seed: int,
    only: Sequence[str],
) -> dict[str, float]:
    out: dict[str, float] = {}
    before = t.iloc[rows].reset_index(drop=True)
    # patients in proportion to their weight, fixed draws
    pick = np.random.default_rng([seed, 7]).choice(
        len(rows), (40, 60), p=weight[rows] / weight[rows].sum()
    )
    level = col.level_of_onset(t, cut)
    for name, weeks, least, summary in ARMS:
        if only and summary not in only:
            continue
        treated, events = co.treated(people.take(rows), name, weeks)
        after = pd.DataFrame(co.table(treated, events))
        arm = after.assign(before_z=before["z"])
        if summary == "augmentation":
            out[summary] = _augmented(before, after, pick, level, seed)
            continue
        score = []
        for frame in (arm, before.assign(before_z=before["z"])):
            rng = np.random.default_rng([seed, 8])
            change, _, first = change_of_score(
                frame, pick, cut, least, rng, expectancy=values["expectancy"]
            )
            score.append(change.mean())
        out[summary] = float(score[0] - score[1])
        if summary == "pramipexole":
            out["placebo"] = float(np.mean(change.mean(1) / first.std(1)))
        if summary == "pregabalin":
            out["waso"] = _waso(before, after, cut, values["glutamate"])
    return out


def _augmented(before: pd.DataFrame, after: pd.DataFrame, pick: NDArray[np.intp], level: float,
               seed: int) -> float:  # fmt: skip
    rng = np.random.default_rng([seed, 9])
    error = float(col.value("augmentation", "onset_sd"))
    visit = float(col.value("placebo", "visit_sd"))
    earlier = (col.onset_hour(before, level) - col.onset_hour(after, level))[pick]
    earlier = earlier + error * np.sqrt(2) * rng.normal(size=pick.shape)
    worse = (after["z"] - before["z"]).to_numpy()[pick]
    worse = worse + visit * np.sqrt(2) * rng.normal(size=pick.shape)
    return float(100 * np.mean((earlier >= 4) | ((earlier >= 2) & (worse > 0))))


def augmentation_curve(
    values: Mapping[str, float],
    strengths: Array,
    years: Sequence[float],
    *,
    n: int = 600,
    patients: int = 80,
    seed: int = 1,
) -> Array:
    """Return how many patients augment on 0.25 mg of pramipexole if all had one strength.

    Parameters
    ----------
    values : mapping of str to float
        Free parameters.
    strengths : (A,) float
        Strength of augmentation of everyone.
    years : sequence of float
        Times at which they are asked, rising.
    n, patients, seed : int
        As for :func:`summaries`.

    Returns
    -------
    (A, T) array
        Per cent, by the rule of the evidence, each answer with its error.
    """
    settled, weight, t, cut = _population(values, n, seed, None)
    rows = _some(t["z"].to_numpy() > cut, patients)
    own = weight[rows] / weight[rows].sum()
    before = t.iloc[rows].reset_index(drop=True)
    level = col.level_of_onset(t, cut)
    out = np.zeros((len(strengths), len(years)))
    for i, v in enumerate(strengths):
        now, last = settled.take(rows), 0.0
        now = co.People(now.cohort.with_params(al_aug=float(v)), now.facts)
        for j, year in enumerate(years):
            now, events = co.treated(now, "pramipexole_0.25", 52 * (year - last))
            last = year
            after = pd.DataFrame(co.table(now, events))
            earlier = col.onset_hour(before, level) - col.onset_hour(after, level)
            worse = (after["z"] - before["z"]).to_numpy()
            out[i, j] = 100 * float(own @ col.augmentation_chance(earlier, worse))
    return out


def _waso(before: pd.DataFrame, after: pd.DataFrame, cut: float, glutamate: float) -> float:
    minutes = []
    for frame in (after, before):
        odds = (
            col.value("sleep", "wake")
            + col.value("sleep", "per_year") * (frame["age"] - 50)
            + col.value("sleep", "urge") * np.log1p(np.exp(frame["z"] - cut))
            + glutamate * np.log(frame["glx@0"])
        )
        minutes.append(60 * col.value("sleep", "hours") * np.mean(1 / (1 + np.exp(-odds))))
    return float(minutes[0] - minutes[1])


def finish(raw: Mapping[str, Any], nu: Any, mu: Any) -> dict[str, Any]:
    """Add the CSF differences, which follow from the supply of the brain.

    Parameters
    ----------
    raw : mapping
        Summaries with ``lnb_mean_*`` and ``lnb_var_*``; numbers or arrays.
    nu, mu : float or array
        Exponents of ferritin and transferrin.

    Returns
    -------
    dict
        With ``csf_ferritin`` and ``csf_transferrin``, differences of means of a
        log-normal supply.
    """
    from ekbom.disease.model import load

    base = load().defaults

    def mean(word: str, power: Any) -> Any:
        v = np.maximum(raw[f"lnb_var_{word}"], 0.0)
        return np.exp(power * raw[f"lnb_mean_{word}"] + power**2 * v / 2)

    return dict(raw) | {
        "csf_ferritin": base["csf_ferritin0"] * (mean("case", nu) - mean("control", nu)),
        "csf_transferrin": base["csf_tf0"] * (mean("case", -mu) - mean("control", -mu)),
    }
