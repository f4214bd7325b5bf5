"""What the truth of a study says of the disease model: whose people, which coupling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ekbom.virtual.cohort import Person
from ekbom.virtual.design import Design

#: What occupancy goes with, by coupling.
_GOES_WITH = {
    "calibrated": "phasic opioid of the disease model, scaled to the slope",
    "model": "the disease model's own opioid occupancy",
    "score": "IRLS total as told, and nothing else of severity; stronger than the model allows",
}


def told_of(design: Design, people: Sequence[Person]) -> dict[str, Any]:
    """Return who the people are, and how their states became occupancy.

    Parameters
    ----------
    design : Design
        With a disease part.
    people : sequence of Person
        The study's.

    Returns
    -------
    dict
        Scenario, version of the model, threshold of the disease (log evening urge), where
        people come from; with an opioid part the slope planted and the one that the patients
        of this study came out with, and what made it.
    """
    # people of the disease model need its code, which takes a second to load
    from ekbom.virtual.recruits import calibration, model_key, reference
    from ekbom.virtual.shipped import shipped

    assert design.disease is not None
    found = shipped(design)
    ref = None if found is not None and _by_score(design) else reference(design)
    out: dict[str, Any] = {
        "scenario": design.disease.scenario,
        "model": model_key(design),
        "people": "shipped" if found is not None else "drawn",
        "threshold": found.cut if found is not None else ref.cut if ref is not None else None,
    }
    if ref is not None:
        out["own_slope"] = ref.model_slope
    if design.opioid is None:
        return out
    out |= {
        "coupling": design.opioid.coupling,
        "occupancy_goes_with": _GOES_WITH[design.opioid.coupling],
        "slope": design.opioid.slope,
        "slope_of_these_patients": slope_of(people),
        "tonic": design.opioid.tonic,
    }
    if ref is not None and design.opioid.coupling == "calibrated":
        gain, deficit = calibration(design, ref)
        out |= {"gain": gain, "deficit": deficit}
    return out


def _by_score(design: Design) -> bool:
    return design.opioid is not None and design.opioid.coupling == "score"


def slope_of(people: Sequence[Person]) -> float | None:
    """Return occupancy a point of IRLS among patients, at the first scan.

    Parameters
    ----------
    people : sequence of Person
        The study's.

    Returns
    -------
    float or None
        Least squares; ``None`` with fewer than three patients or without spread.
    """
    rows = [(p.irls_total, p.occupancy[0]) for p in people
            if p.irls_total is not None and p.occupancy is not None]  # fmt: skip
    if len(rows) < 3 or len({score for score, _ in rows}) < 2:
        return None
    score, taken = np.array(rows, dtype=np.float64).T
    return float(np.polyfit(score, taken, 1)[0])
