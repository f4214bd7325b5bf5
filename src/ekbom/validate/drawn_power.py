"""Power of a simulated design, by drawing its people and their binding many times.

No curve is made: V_T of each region as the scanner's blur leaves it, with the error that
one scan has, tested as the plan of the study tests it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from ekbom.inference.multiple import holm
from ekbom.virtual.binding import centres, draw_tissue
from ekbom.virtual.cohort import draw_cohort
from ekbom.virtual.design import Design
from ekbom.virtual.study import VirtualStudy

Array = NDArray[np.float64]

#: Error of one V_T of a region by MA1 on blood and noise of this design, as a share: common
#: to the regions of a scan (its blood), and of a region. Measured, docs/virtual/model-study.md.
BLOOD_ERROR, REGION_ERROR = 0.022, 0.022
#: Studies drawn, and their first seed: none of them is the demo of a small seed.
STUDIES, FIRST = 100, 100_000
#: Level of the family of regions, two-sided.
ALPHA = 0.05


@dataclass(frozen=True, eq=False)
class DrawnPower:
    """How often a slope on severity is found.

    Parameters
    ----------
    regions : dict of str to float
        Share of the studies that find it, by region where it is planted.
    five : float
        Share that finds at least five regions.
    none : float
        Share that finds none.
    studies : int
        Studies drawn.
    """

    regions: dict[str, float]
    five: float
    none: float
    studies: int


def drawn_power(design: Design, studies: int = STUDIES) -> DrawnPower:
    """Draw a design many times and count what is found.

    Parameters
    ----------
    design : Design
        With a slope on severity; its people are those who come with the program, so that
        a study takes milliseconds.
    studies : int
        How many.

    Returns
    -------
    DrawnPower
        Shares; the error of one is at most half the root of 1 / studies.
    """
    design = _quick(design)
    plan = VirtualStudy.plan(design, Path(), "rois", FIRST)
    areas = list(dict.fromkeys(source.area for source in plan.sources if source.index))
    seen = _joined(plan, areas)
    six = [areas.index(area) for area in design.binding.severity_regions]
    found = np.array([_study(plan, seen, seed)[six] for seed in range(FIRST, FIRST + studies)])
    return DrawnPower(
        dict(zip(design.binding.severity_regions, found.mean(axis=0).tolist(), strict=True)),
        float((found.sum(axis=1) >= 5).mean()),
        float((found.sum(axis=1) == 0).mean()),
        studies,
    )


def _quick(design: Design) -> Design:
    """Return the design with people who need not be drawn, and the template's brain."""
    change: dict[str, object] = {"head": None, "t1": None}
    if design.disease is not None:
        change["disease"] = design.disease.model_copy(update={"people": "shipped"})
    return design.model_copy(update=change)


def _joined(plan: VirtualStudy, areas: list[str]) -> Array:
    """Return the share of each source in a region as the scanner sees it, (regions, S)."""
    seen, _ = plan.mixing.matrices(np.ones(plan.anatomy.grid.shape))
    labels = [source for source in plan.sources if source.index]
    join = np.array([[plan.mixing.voxels[k] * (source.area == area)
                      for k, source in enumerate(labels)] for area in areas])  # fmt: skip
    out: Array = (join / join.sum(axis=1, keepdims=True)) @ seen
    return out


def _study(plan: VirtualStudy, seen: Array, seed: int) -> NDArray[np.bool_]:
    """Return which regions one study finds, with the sign that was planted."""
    design = plan.design
    people = draw_cohort(design, seed)
    about = centres(people)
    patients = [person for person in people if person.irls_total is not None]
    kinetics = plan.tracer.kinetics
    VT = np.array(
        [
            seen @ draw_tissue(seed, p, plan.sources, design.binding, kinetics, about).VT
            for p in patients
        ]
    )
    rng = np.random.default_rng([seed, 9])
    VT = VT * np.exp(
        BLOOD_ERROR * rng.standard_normal((len(VT), 1))
        + REGION_ERROR * rng.standard_normal(VT.shape)
    )
    score = np.array([person.irls_total for person in patients], dtype=np.float64)
    age = np.array([person.age for person in patients], dtype=np.float64)
    X = np.column_stack([np.ones(score.size), score, age])
    inverse = np.linalg.inv(X.T @ X)
    slope = inverse @ X.T @ VT
    df = score.size - X.shape[1]
    error = np.sqrt(np.sum((VT - X @ slope) ** 2, axis=0) / df * inverse[1, 1])
    p = 2.0 * stdtr(df, -np.abs(slope[1] / error))
    return np.asarray((holm(p) < ALPHA) & (slope[1] < 0))
