"""Which mechanism decides which finding: one taken out at a time, verdicts compared."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any

import pandas as pd

from ekbom.trials.evidence import evidence
from ekbom.trials.recipes import Recipe
from ekbom.trials.world import World


def lesions() -> dict[str, dict[str, Any]]:
    """Return the mechanisms that are taken out: title and parameters.

    Returns
    -------
    dict
        Name to title and ``set``.
    """
    return tomllib.loads(files("ekbom.trials.data").joinpath("lesions.toml").read_text("utf-8"))


def decides(
    found: Sequence[Recipe],
    *,
    people: int = 2000,
    replicates: int = 200,
    seed: int = 1,
    only: Sequence[str] | None = None,
    say: Callable[[str], None] = lambda _: None,
    kept: Callable[[str], pd.DataFrame | None] = lambda _: None,
    keep: Callable[[str, pd.DataFrame], None] = lambda _, __: None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Take one mechanism out at a time and compare the verdicts of the base scenario.

    Parameters
    ----------
    found : sequence of Recipe
        Recipes; contested ones and those never simulated are left out.
    people, replicates, seed : int
        Size and seed of each cohort and study.
    only : sequence of str, optional
        Names of lesions.
    say : callable
        Told the name of each lesion.
    kept : callable
        Verdicts of an earlier run by the name of the lesion, None when there are none.
    keep : callable
        Given name and verdicts once they are made.

    Returns
    -------
    tuple of pandas.DataFrame
        A row a mechanism: findings lost (inside before, outside after) and gained; and
        a row a finding: verdict with the whole model and under each lesion, median
        and use.
    """
    rows = [r for r in found if r.kind != "contested" and r.design != "none"]

    def verdicts(name: str, changes: Mapping[str, Any]) -> pd.DataFrame:
        made = kept(name)
        if made is None:
            made = _verdicts(World(people, seed, _numbers(changes)), rows, replicates, seed)
            keep(name, made)
        return made

    whole = verdicts("whole", {})
    every = lesions()
    table = whole.rename(columns={"verdict": "whole model", "median": "median"})
    lines = []
    for name, entry in every.items():
        if only is not None and name not in only:
            continue
        say(name)
        own = verdicts(name, entry["set"])
        table[name] = own["verdict"]
        was, now = whole["verdict"] == "inside", own["verdict"] == "inside"
        lines.append({
            "mechanism": name, "taken out": entry["title"],
            "findings lost": " ".join(whole.index[was & ~now]),
            "findings gained": " ".join(whole.index[~was & now]),
        })  # fmt: skip
    return pd.DataFrame(lines), table.reset_index()


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {k: float(v) for k, v in values.items()}


def _verdicts(world: World, rows: Sequence[Recipe], replicates: int, seed: int) -> pd.DataFrame:
    made = evidence(world, rows, scenario="base", replicates=replicates, seed=seed, skip=True).table
    return made.set_index("id")[["verdict", "median", "calibrated"]].sort_index()
