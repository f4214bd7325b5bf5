"""The model held to print: a verdict for every finding that has a recipe.

A failed verdict is a result. With N rows about one in ten falls outside even
if the model is right, and nothing here is tuned to reach all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.trials.recipes import Recipe, findings, reasons, without
from ekbom.trials.studies import simulate_study
from ekbom.trials.world import World

#: Simulated studies of one row in one world: statistic, that of the rival, effect.
Part = tuple[NDArray[Any], NDArray[Any] | None, float]
#: The central share of replicates in which a printed number is inside.
CENTRAL = 0.90
#: The least simulated probability of a printed category.
CATEGORY = 0.10


@dataclass(frozen=True)
class Shares:
    """Counts of one set of rows.

    Parameters
    ----------
    inside, counted : int
        Rows inside, and rows counted (required and null-required, check).
    """

    inside: int
    counted: int

    @property
    def expected(self) -> float:
        """Rows expected inside if the model is right."""
        return CENTRAL * self.counted

    @property
    def share(self) -> float:
        """Inside over counted; NaN without rows."""
        return self.inside / self.counted if self.counted else float("nan")


@dataclass(frozen=True)
class Evidence:
    """The table of verdicts.

    Parameters
    ----------
    table : pandas.DataFrame
        A row a finding and scenario.
    verified, unverified : Shares
        Counted rows by whether the source is verified.
    alone : tuple of int
        Verified rows inside by the studies of each cohort alone: what is left when the
        width of the posterior does not help. Empty with one cohort.
    """

    table: pd.DataFrame
    verified: Shares
    unverified: Shares
    alone: tuple[int, ...] = ()


def judge(
    printed: float | str | Sequence[Any],
    found: NDArray[Any],
    rival: NDArray[Any] | None,
) -> dict[str, Any]:
    """Return the verdict of one row.

    Parameters
    ----------
    printed : float, str or sequence
        Printed number, two numbers for a range, or signs.
    found : (R,) array
        Replicates.
    rival : (R,) array or None
        Replicates of the rival.

    Returns
    -------
    dict
        ``verdict`` (inside, low, high, outside), median, 5 % and 95 %, probability,
        ``informative`` (whether the rival fails the same test; n/a without a rival).
    """
    if found.dtype.kind != "f":
        text = "".join(printed) if not isinstance(printed, str | float | int) else str(printed)
        p = float(np.mean(found == text))
        words, counts = np.unique(found, return_counts=True)
        informative = "n/a" if rival is None else _yes(float(np.mean(rival == text)) < CATEGORY)
        return {
            "printed": text, "median": str(words[np.argmax(counts)]), "q05": "", "q95": "",
            "probability": p, "verdict": "inside" if p >= CATEGORY else "outside",
            "informative": informative, "surprise": -np.log10(max(p, 1e-4)),
        }  # fmt: skip
    edge = (1 - CENTRAL) / 2
    low, middle, high = np.quantile(found, [edge, 0.5, 1 - edge])
    shown = " to ".join(f"{v:g}" for v in np.atleast_1d(np.asarray(printed, dtype=float)))
    if isinstance(printed, Sequence) and not isinstance(printed, str):
        # a range: its value nearest to the model
        value = float(np.clip(middle, float(printed[0]), float(printed[1])))
    else:
        value = float(printed)
    tail = min(np.mean(found <= value), np.mean(found >= value))
    p = min(1.0, 2 * float(tail))
    informative = "n/a"
    if rival is not None:
        a, b = np.quantile(rival, [edge, 1 - edge])
        informative = _yes(not a <= value <= b)
    verdict = "inside" if low <= value <= high else ("high" if middle > value else "low")
    return {
        "printed": shown, "median": f"{middle:.4g}", "q05": f"{low:.4g}",
        "q95": f"{high:.4g}", "probability": p, "verdict": verdict,
        "informative": informative, "surprise": -np.log10(max(p, 1e-4)),
    }  # fmt: skip


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def evidence(
    world: World,
    found: Sequence[Recipe],
    *,
    scenario: str | None = None,
    replicates: int = 1000,
    seed: int = 1,
    table: pd.DataFrame | None = None,
    skip: bool = False,
) -> Evidence:
    """Hold one world to the findings.

    Parameters
    ----------
    world : World
        People.
    found : sequence of Recipe
        Recipes.
    scenario : str, optional
        Only this scenario; every scenario of each recipe by default.
    replicates : int
        Simulated studies a row.
    seed : int
        Of every draw.
    table : pandas.DataFrame, optional
        Findings; the shipped ones by default.
    skip : bool
        Whether a study for which too few people are found gets the verdict
        ``no people`` in place of an error.

    Returns
    -------
    Evidence
        Verdicts and counts, most surprising first.
    """
    made = simulated(world, found, scenario=scenario, replicates=replicates, seed=seed, skip=skip)
    return judged([made], found, table)


def simulated(
    world: World,
    found: Sequence[Recipe],
    *,
    scenario: str | None = None,
    replicates: int = 1000,
    seed: int = 1,
    skip: bool = False,
) -> dict[tuple[str, str], Part | None]:
    """Simulate every study in one world.

    Parameters
    ----------
    world : World
        People.
    found : sequence of Recipe
        Recipes.
    scenario : str, optional
        Only this scenario.
    replicates, seed : int
        Simulated studies a row, and seed.
    skip : bool
        Whether a study for which too few people are found gives ``None`` in place of
        an error.

    Returns
    -------
    dict
        Id and scenario to the studies, in the order of the recipes.
    """
    out: dict[tuple[str, str], Part | None] = {}
    for r in found:
        for s in r.scenarios:
            if r.design == "none" or (scenario is not None and s != scenario):
                continue
            try:
                out[r.id, s] = simulate_study(world, r, s, replicates, seed)
            except Refused as no:
                if not (skip and no.what.startswith("Too few")):
                    raise
                out[r.id, s] = None
    return out


def judged(
    parts: Sequence[dict[tuple[str, str], Part | None]],
    found: Sequence[Recipe],
    table: pd.DataFrame | None = None,
) -> Evidence:
    """Judge studies that were simulated in one or several worlds, taken together.

    Parameters
    ----------
    parts : sequence of dict
        Of :func:`simulated`, one a world: a draw from the posterior each.
    found : sequence of Recipe
        Recipes.
    table : pandas.DataFrame, optional
        Findings; the shipped ones by default.

    Returns
    -------
    Evidence
        Verdicts and counts, most surprising first.
    """
    known = findings() if table is None else table
    rows: list[dict[str, Any]] = []
    alone: NDArray[np.int64] = np.zeros(len(parts), dtype=np.int64)
    for r in found:
        line = known.loc[r.id]
        verified = "yes" if line["verified"].startswith("yes") else "no"
        for s in r.scenarios:
            if r.design != "none" and (r.id, s) not in parts[0]:
                continue
            row: dict[str, Any] = {
                "id": r.id, "claim": line["claim"], "class": r.kind, "scenario": s,
                "verified": verified, "calibrated": _yes(r.use == "calibrate"),
                "note": r.entry.get("note", ""),
            }  # fmt: skip
            own = [p for p in (part.get((r.id, s)) for part in parts) if p is not None]
            if r.design == "none":
                row |= {"verdict": "calibrated", "printed": str(r.printed), "surprise": -1.0}
            elif not own:
                row |= {"verdict": "no people", "printed": str(r.printed), "surprise": 9.0}
            else:
                values = np.concatenate([p[0] for p in own])
                rivals = [p[1] for p in own if p[1] is not None]
                row |= judge(r.printed, values, np.concatenate(rivals) if rivals else None)
                row |= {"effect": float(np.mean([p[2] for p in own])), "replicates": len(values),
                        "worlds": len(own)}  # fmt: skip
                if len(parts) > 1:
                    by = [p is not None and judge(r.printed, p[0], None)["verdict"] == "inside"
                          for p in (part.get((r.id, s)) for part in parts)]  # fmt: skip
                    row["worlds_inside"] = sum(by)
                    if verified == "yes" and r.use != "calibrate" and r.kind != "contested":
                        alone += by
            rows.append(row)
    order = ["id", "claim", "class", "scenario", "printed", "median", "q05", "q95", "probability",
             "verdict", "effect", "informative", "verified", "calibrated", "replicates", "worlds",
             "worlds_inside", "note", "surprise"]  # fmt: skip
    frame = pd.DataFrame(rows).reindex(columns=order)
    frame = frame.sort_values(["surprise", "id"], ascending=[False, True], kind="stable")
    frame = frame.drop(columns="surprise").reset_index(drop=True)
    each = tuple(int(k) for k in alone) if len(parts) > 1 else ()
    return Evidence(frame, _shares(frame, "yes"), _shares(frame, "no"), each)


def _shares(frame: pd.DataFrame, verified: str) -> Shares:
    rows = frame[
        (frame["verified"] == verified)
        & (frame["calibrated"] == "no")
        & frame["class"].isin(["required", "null-required"])
    ]
    return Shares(int((rows["verdict"] == "inside").sum()), len(rows))


def left_out() -> pd.DataFrame:
    """Return the findings that have no recipe, with the reason.

    Returns
    -------
    pandas.DataFrame
        Columns id, claim, reason.
    """
    known = findings()
    return pd.DataFrame(
        [{"id": k, "claim": known.loc[k, "claim"], "reason": v} for k, v in without().items()]
    )


def discussed(result: Evidence) -> pd.DataFrame:
    """Return the counted findings that are outside, with what is known of the reason.

    Parameters
    ----------
    result : Evidence
        Verdicts.

    Returns
    -------
    pandas.DataFrame
        Columns id, claim, printed, model, reason.
    """
    t = result.table
    rows = t[(t["class"] != "contested") & (t["calibrated"] == "no")
             & ~t["verdict"].isin(["inside", "calibrated"])]  # fmt: skip
    words = reasons()
    return pd.DataFrame({
        "id": rows["id"], "claim": rows["claim"], "printed": rows["printed"],
        "model": rows["median"], "source verified": rows["verified"],
        "reason": [words.get(i, "not discussed yet") for i in rows["id"]],
    })  # fmt: skip


def summary(result: Evidence) -> list[str]:
    """Return the counts in words.

    Parameters
    ----------
    result : Evidence
        Verdicts.

    Returns
    -------
    list of str
        Verified rows, unverified rows, contested rows, what is not counted.
    """
    t = result.table
    lines = []
    for word, s in (("verified", result.verified), ("unverified", result.unverified)):
        share = f"{100 * s.share:.0f} %" if s.counted else "n/a"
        lines.append(
            f"Required and null-required, {word}: {s.inside} of {s.counted} inside ({share}); "
            f"{s.expected:.1f} expected if the model were right."
        )
    if result.alone:
        lines.append(
            f"By the studies of one cohort alone, {min(result.alone)} to {max(result.alone)} of "
            f"{result.verified.counted} verified: the rest of the share is what the calibration "
            "leaves open."
        )
    counted = t[
        (t["class"] != "contested") & (t["calibrated"] == "no") & (t["verdict"] == "inside")
    ]
    if len(counted):
        says = counted[counted["verified"] == "yes"]["informative"].value_counts()
        lines.append(
            f"Of the verified inside, {says.get('yes', 0)} are informative (a rival without the "
            f"effect fails the same test), {says.get('no', 0)} are not, and {says.get('n/a', 0)} "
            "have no rival."
        )
    contested = t[t["class"] == "contested"]
    if len(contested):
        inside = contested[contested["verdict"] == "inside"]
        lines.append(
            f"Contested: {inside['id'].nunique()} of {contested['id'].nunique()} findings are "
            "inside in at least one scenario; they are never counted together."
        )
    used = t[t["calibrated"] == "yes"]["id"].nunique()
    lines.append(
        f"Used for calibration and not counted: {used}. Without a recipe: {len(without())}."
    )
    return lines
