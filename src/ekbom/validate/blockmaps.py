"""Null studies of maps whose rows may not be exchanged freely: repeated scans, families.

Decided as in the cells of :mod:`ekbom.validate.nullmaps`; free exchange stands beside, without a
gate.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom.inference import Settings, fit, lattice
from ekbom.inference.lattice import Lattice
from ekbom.inference.permute.spatial import Exchanged, permute_maps
from ekbom.inference.question import Question, ask
from ekbom.inference.searched import forming_threshold
from ekbom.validate.nullmaps import ALPHA, STATISTICS, found_something, noise_maps
from ekbom.validate.result import Check, binomial_gate

SHAPE = (9, 10, 9)
WIDTH = 3.0
HOW = {key: name for key, name in STATISTICS.items() if ":" not in key}
WRONG = "wrong way, shown beside"


def blocks(count: int, seed: int) -> list[Check]:
    """Session within people, group of people scanned three times, group of families of two."""
    people, scans = 18, 3
    repeated = pd.DataFrame(
        {
            "participant": np.repeat([f"s{i:02d}" for i in range(people)], scans),
            "session": ["one", "two", "three"] * people,
            "group": np.repeat(["rls", "control"] * (people // 2), scans),
        }
    )
    kin = pd.DataFrame(
        {
            "participant": [f"s{i:02d}" for i in range(36)],
            "group": np.repeat(["rls", "control"] * 9, 2),
            "family": np.repeat([f"f{i:02d}" for i in range(18)], 2),
        }
    )
    flat = repeated.assign(participant=[f"x{i:02d}" for i in range(len(repeated))])
    group = "rls - control"
    right = {
        f"session, {people} people of {scans} scans, exchanged within people": _asked(
            repeated, "~ session + participant", "session: two - one"
        ),
        f"group, {people} people of {scans} scans, people exchanged whole": _asked(
            repeated, "~ group * session", group
        ),
        "group, 18 families of 2, whole families exchanged": _asked(
            kin, "~ group", group, blocks="family", exchange="whole"
        ),
    }
    wrong = {
        f"group, {people} people of {scans} scans, scans exchanged freely": _asked(
            flat, "~ group", group
        ),
        "group, 18 families of 2, people exchanged freely": _asked(kin, "~ group", group),
    }
    hits = {(how, name): 0 for name in (*right, *wrong) for how in HOW.values()}
    for study in range(count):
        rng = np.random.default_rng([seed, 95, study])
        scanned = _nested(rng, people, scans)
        related = _nested(rng, 18, 2)
        for name, question in (*right.items(), *wrong.items()):
            values = related if "families" in name else scanned
            for how, found in _found(values, question, seed * 100_003 + study).items():
                hits[how, name] += found
    low, high = binomial_gate(count, ALPHA)
    cell = f"maps, Gaussian, FWHM {WIDTH:g}"
    return [
        Check(f"{how}: {name}; {cell}", n, count, "null studies", low, high)
        if name in right
        else Check(f"{how}: {name}; {cell}", n, count, "null studies", note=WRONG)
        for (how, name), n in hits.items()
    ]


def _nested(rng: np.random.Generator, blocks: int, each: int) -> NDArray[np.float32]:
    """Return maps that share half of their variance within a block, (blocks * each, V)."""
    whole = noise_maps(rng, blocks, SHAPE, WIDTH, "Gaussian").reshape(blocks, -1)
    own = noise_maps(rng, blocks * each, SHAPE, WIDTH, "Gaussian").reshape(blocks * each, -1)
    return np.asarray(np.repeat(whole, each, axis=0) + own, np.float32)


def _asked(table: pd.DataFrame, formula: str, test: str, **more: object) -> Question:
    return ask(table, formula, test, "u", Settings("tfce", 400, **more))  # type: ignore[arg-type]


def _found(values: NDArray[np.float32], question: Question, seed: int) -> dict[str, bool]:
    settings = replace(question.settings, seed=seed)
    found = fit(values, question.model)
    spatial = permute_maps(
        Exchanged(values, question.model, settings, question.blocks),
        _lattice(),
        settings,
        forming=forming_threshold(found, settings),
        df=found.df,
        enough=round(ALPHA * settings.permutations),
        alone=True,
    )
    return {name: found_something(spatial, key) for key, name in HOW.items()}


@cache
def _lattice() -> Lattice:
    return lattice(np.ones(SHAPE, bool))
