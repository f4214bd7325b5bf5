"""The four iron postulates of Allen and Earley 2007 (doi:10.1002/mds.21607) as checks.

A failed postulate is a result, not a fault of the program.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from ekbom.disease import cohort as co
from ekbom.disease.model import load
from ekbom.trials.world import World

#: Conditions that compromise iron.
CONDITIONS = ("ida", "pregnancy", "esrd", "donation", "low_ferritin")
#: Parameters that carry iron to dopamine; at 0 the dopamine side is clamped.
_CARRIERS = ("i_th", "i_dat", "i_th_a", "i_b2", "i_b3", "h_fe")


@dataclass(frozen=True)
class Postulate:
    """A postulate and what the model gives.

    Parameters
    ----------
    number : int
        1 to 4.
    claim : str
        In words.
    holds : bool
        Whether the check passes.
    table : pandas.DataFrame
        The numbers.
    note : str
        What to know when reading them.
    """

    number: int
    claim: str
    holds: bool
    table: pd.DataFrame
    note: str


def postulates(world: World) -> list[Postulate]:
    """Check all four.

    Parameters
    ----------
    world : World
        People.

    Returns
    -------
    list of Postulate
        In order.
    """
    return [_first(world), _second(world), _third(world), _fourth(world)]


def _first(world: World) -> Postulate:
    base = world.table("general")
    rows = []
    for name in CONDITIONS:
        hit = world.table(name)["rls"].to_numpy(bool)
        same = base["rls"].to_numpy(bool)[: len(hit)]  # the same people without it
        a, b = max(hit.sum(), 0.5), max(same.sum(), 0.5)
        ratio = a / b
        # unpaired standard error of the log ratio: wider than the pairing would allow
        se = np.sqrt(1 / a - 1 / len(hit) + 1 / b - 1 / len(hit))
        low, high = ratio * np.exp(-1.96 * se), ratio * np.exp(1.96 * se)
        rows.append({"condition": name, "prevalence": hit.mean(), "without": same.mean(),
                     "ratio": ratio, "lower": low, "upper": high, "n": len(hit)})  # fmt: skip
    decile = pd.qcut(base["ferritin@10"], 10, labels=False, duplicates="drop")
    risk = base.groupby(decile)["rls"].mean().to_numpy()
    trend = stats.spearmanr(np.arange(len(risk)), risk).statistic
    rows.append({"condition": "rank correlation of risk with ferritin decile", "ratio": trend})
    frame = pd.DataFrame(rows)
    holds = bool((frame["lower"].dropna() > 1).all() and trend < -0.5)
    return Postulate(1, "conditions that compromise iron raise the risk", holds, frame, "")


def _second(world: World) -> Postulate:
    base = world.table("general")
    normal = (base["ferritin@10"] > 75) & (base["tsat_percent@10"] >= 20)
    low = base["lip@10"] < base["lip@10"].quantile(0.25)
    share = float((base["rls"] & normal & low).sum() / max(base["rls"].sum(), 1))
    hit = world.table("low_ferritin")["rls"].to_numpy(bool)
    part = base.iloc[: len(hit)]
    gain = hit.astype(float) - part["rls"].to_numpy(float)
    reserve = part["lip@10"].to_numpy()
    cuts = np.quantile(reserve, [0.25, 0.75])
    a, b = gain[reserve < cuts[0]], gain[reserve > cuts[1]]
    difference = a.mean() - b.mean()
    se = np.sqrt(a.var() / len(a) + b.var() / len(b))
    frame = pd.DataFrame([
        {"what": "share of patients with normal serum iron and low central iron", "value": share},
        {"what": "low stores move over the threshold, lowest reserve", "value": a.mean()},
        {"what": "the same, highest quarter", "value": b.mean()},
        {"what": "difference", "value": difference, "lower": difference - 1.96 * se,
         "upper": difference + 1.96 * se},
    ])  # fmt: skip
    holds = share > 0 and difference - 1.96 * se > 0
    return Postulate(2, "marginal central iron", bool(holds), frame, "")


def _third(world: World) -> Postulate:
    rows = np.arange(min(world.n, 600))
    people = world.people.take(rows)

    def effect(clamped: bool) -> NDArray[np.float64]:
        off = dict.fromkeys(_CARRIERS, 0.0) if clamped else {}
        low = np.broadcast_to(co.current(people.cohort, "q_bbb"), (len(rows),)) * 0.6
        before = co.table(co.settled(people, 20000.0, **off))["z"]
        after = co.table(co.settled(people, 20000.0, **off, q_bbb=low))["z"]
        return np.asarray(after - before)

    free, clamped = effect(False), effect(True)
    rng = np.random.default_rng([world.seed, 11])
    pick = rng.integers(0, len(rows), (2000, len(rows)))
    share = 1 - clamped[pick].mean(1) / free[pick].mean(1)
    low, high = np.quantile(share, [0.05, 0.95])
    frame = pd.DataFrame([
        {"what": "change of log urge, free", "value": free.mean()},
        {"what": "change of log urge, dopamine clamped", "value": clamped.mean()},
        {"what": "proportion mediated", "value": 1 - clamped.mean() / free.mean(),
         "lower": low, "upper": high},
    ])  # fmt: skip
    note = (
        "In these equations iron reaches the cord through dopamine only, so this is a property of "
        "the equations and no evidence. The interval is over people, not over a posterior."
    )
    return Postulate(3, "iron works largely through dopamine", bool(low > 0.5), frame, note)


def _fourth(world: World) -> Postulate:
    names = ("th_activity@10", "dat@10", "b2@10", "csf_hva@10")
    faults: dict[str, dict[str, float]] = {
        "iron: barrier x 0.5": {"q_bbb": 0.5},
        "iron: loop gain x 0.6": {"g_irp": 0.6},
        "TH x 0.5": {"s_th": 0.5},
        "TH x 1.5": {"s_th": 1.5},
        "DAT x 0.5": {"s_dat": 0.5},
        "DAT x 1.5": {"s_dat": 1.5},
        "A11 amplitude x 2": {"a_a": 0.6},
        "A11 vesicular loss x 4": {"k_a": 0.2},
        "A11 recycling 0.2": {"r_a": 0.2},
        "D3 effect x 0.7": {"w_3": 0.7 * load().defaults["w_3"]},
    }
    # a person just under the threshold, so that a fault of moderate size can cross it
    z = world.table("general")["z"].to_numpy()
    near = int(np.argmin(np.abs(z - (world.cut - 0.35))))
    person = world.people.take(np.array([near]))
    base = co.table(co.settled(person))
    seen: dict[str, list[str]] = {"iron": [], "dopamine": []}
    rows = []
    for name, change in faults.items():
        now = {
            k: (v if k in ("a_a", "k_a", "r_a", "w_3") else v * co.current(person.cohort, k))
            for k, v in change.items()
        }
        t = co.table(co.settled(person, 20000.0, **now))
        signs = "".join(
            "0" if abs(t[c][0] / base[c][0] - 1) < 0.01 else "+" if t[c][0] > base[c][0] else "-"
            for c in names
        )
        reached = bool(t["z"][0] > world.cut)
        kind = "iron" if name.startswith("iron") else "dopamine"
        if reached:
            seen[kind].append(signs)
        rows.append({"fault": name, "TH DAT D2 HVA": signs, "log_urge": t["z"][0],
                     "over_threshold": "yes" if reached else "no"})  # fmt: skip
    extra = set(seen["dopamine"]) - set(seen["iron"])
    note = "Counter-examples: " + (", ".join(sorted(extra)) or "none") + "."
    holds = bool(seen["dopamine"]) and not extra
    claim = "dopamine faults that cause the disease are among those iron lack causes"
    return Postulate(4, claim, holds, pd.DataFrame(rows), note)
