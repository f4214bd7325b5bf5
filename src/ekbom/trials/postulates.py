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
from ekbom.disease.simulate import settle, simulate
from ekbom.trials.world import World

#: Conditions that compromise iron.
CONDITIONS = ("ida", "pregnancy", "esrd", "donation", "low_ferritin")
#: Parameters that carry iron to dopamine; at 0 the dopamine side is clamped.
_CARRIERS = ("i_th", "i_dat", "i_th_a", "i_b2", "i_b3", "h_fe")
#: What shows a fault: read-out or assignment, and its name in the table.
_SIGNS = {"th_activity": "TH", "dat": "DAT", "b2": "D2", "b3": "D3", "g_d1": "D1",
          "eda": "DA", "d_a": "A11", "csf_hva": "HVA"}  # fmt: skip
#: Kind, parameter, words, and whether it is raised.
_FAULTS = (
    ("iron", "q_bbb", "less transport through the barrier", False),
    ("iron", "g_irp", "less gain of the iron-regulatory proteins", False),
    ("iron", "loss", "more loss of iron", True),
    ("dopamine", "s_th", "less TH", False),
    ("dopamine", "s_th", "more TH", True),
    ("dopamine", "s_dat", "fewer transporters", False),
    ("dopamine", "s_dat", "more transporters", True),
    ("dopamine", "v_mat", "less vesicular uptake", False),
    ("dopamine", "a_f", "larger swing of striatal firing", True),
    ("dopamine", "a_a", "larger swing of A11 firing", True),
    ("dopamine", "w_3", "weaker D3 inhibition of the cord", False),
    ("dopamine", "k_d3", "lower affinity of D3", True),
    ("dopamine", "w_1", "stronger D1 excitation of the cord", True),
    ("dopamine", "k_d1", "higher affinity of D1", False),
)
#: Sizes of a fault that are tried, and the largest factor.
_SIZES, _LARGEST = 25, 4.0


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
    # a person just under the threshold, so that a fault of moderate size can cross it
    z = world.table("general")["z"].to_numpy()
    near = int(np.argmin(np.abs(z - (world.cut - 0.35))))
    person = world.people.take(np.array([near])).cohort
    sizes = np.exp(np.linspace(0, np.log(_LARGEST), _SIZES))  # the first is no change
    rows: list[dict[str, object]] = []
    seen: dict[str, set[str]] = {"iron": set(), "dopamine": set()}
    for kind, name, words, up in _FAULTS:
        factor = sizes if up else 1 / sizes
        own = float(np.ravel(co.current(person, name))[0])
        many = person.take(np.zeros(_SIZES, np.intp)).with_params(**{name: own * factor})
        run = simulate(settle(many), 50)
        urge = np.log(np.maximum(run.get("u")[:, 42:51].mean(axis=1), 1e-6))
        over = np.flatnonzero(urge > world.cut)
        at = int(over[0]) if len(over) else _SIZES - 1
        signs = "".join(_sign(float(v[at] / v[0] - 1)) for v in
                        (run.get(c)[:, 24 + 22] for c in _SIGNS))  # fmt: skip
        if len(over):
            seen[kind].add(signs)
        rows.append({"kind": kind, "fault": words, "parameter": name, "factor": factor[at],
                     "log_urge": urge[at], "crosses": "yes" if len(over) else "no",
                     " ".join(_SIGNS.values()): " ".join(signs)})  # fmt: skip
    column = " ".join(_SIGNS.values())
    for row in rows:
        pattern = str(row[column]).replace(" ", "")
        inside = pattern in seen["iron"]
        some = any(set(pattern) != {"0"} and _within(pattern, q) for q in seen["iron"])
        counts = row["kind"] == "dopamine" and row["crosses"] == "yes"
        row["as iron lack"] = ("yes" if inside else "in part" if some else "no") if counts else ""
    no, part = (
        [str(r["fault"]) for r in rows if r["as iron lack"] == w] for w in ("no", "in part")
    )
    note = (
        "Each fault is as large as it must be to cross the threshold in a person just under it, "
        f"at most {_LARGEST:g} times; signs are changes of more than 1 % at 22 h. "
        f"Not as lack of iron: {', '.join(no) or 'none'}. "
        f"Some of its signs and no other: {', '.join(part) or 'none'}."
    )
    claim = "dopamine faults that cause the disease are among those iron lack causes"
    holds = bool(seen["dopamine"]) and not (no or part)
    return Postulate(4, claim, holds, pd.DataFrame(rows), note)


def _sign(change: float) -> str:
    return "0" if abs(change) < 0.01 else "+" if change > 0 else "-"


def _within(pattern: str, other: str) -> bool:
    """Whether every sign of a pattern that is not 0 stands in the other."""
    return all(a in ("0", b) for a, b in zip(pattern, other, strict=True))
