"""Power curve, sample size and winner's curse of a planned PET study."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.trials.petstudy import Draws, PetStudy, draw, exact_power

#: What a study may be asked to find.
WISHES: dict[str, str] = {
    "each": "an affected region, on average over them",
    "any": "at least one affected region",
    "all": "all affected regions",
}
#: People of a planned study, at most.
LARGEST = 5000


@dataclass(frozen=True)
class PetPlan:
    """What a planned PET study can find.

    Parameters
    ----------
    curve : DataFrame
        Power by number of patients.
    n, n_low, n_high : int or None
        Patients for the power wished, and the range that the error of the simulation
        leaves; None above :data:`LARGEST`.
    detectable : float
        Smallest |r| that is found with that power at the n of the study; NaN where none is.
    """

    curve: pd.DataFrame
    n: int | None
    n_low: int | None
    n_high: int | None
    detectable: float


def row(study: PetStudy, studies: int, seed: int) -> dict[str, float]:
    """Return what studies of one size find.

    Parameters
    ----------
    study : PetStudy
    studies : int
        Drawn.
    seed : int

    Returns
    -------
    dict
        ``n``; ``each any all`` with ``_se``; ``single_exact``: one uncorrected test in closed
        form; ``each_exact`` where the rule has one threshold; ``false`` share of studies
        with a finding in an unaffected region or of the wrong sign; ``r_needed`` least |r|
        found; ``r_found`` mean |r| of what was found; ``inflation`` its ratio to the truth;
        ``wrong_sign`` share of findings with the wrong sign.
    """
    done = draw(study, studies, seed)
    hit, wrong, elsewhere = _hits(study, done)
    each = hit.mean(axis=1) if study.affected else np.zeros(studies)
    out: dict[str, float] = {"n": study.n}
    for name, values in (
        ("each", each),
        ("any", hit.any(axis=1)),
        ("all", hit.all(axis=1) if study.affected else np.zeros(studies)),
    ):
        out |= {name: float(values.mean()), f"{name}_se": _se(values)}  # fmt: skip
    out["single_exact"] = exact_power(replace(study, correction="none"))
    plain = study.correction in ("none", "bonferroni", "field") and study.recruited == "random"
    out["each_exact"] = exact_power(study) if plain else math.nan
    false = elsewhere.any(axis=1) | wrong.any(axis=1)
    out |= {"false": float(false.mean()), "false_se": _se(false)}
    size = np.abs(done.r)
    found = int(hit.sum()) + int(wrong.sum())
    seen = size[:, : study.affected][hit]
    out["r_needed"] = float(size[done.found].min()) if done.found.any() else math.nan
    out["r_found"] = float(seen.mean()) if seen.size else math.nan
    out["inflation"] = out["r_found"] / abs(study.r) if study.r else math.nan
    out["wrong_sign"] = int(wrong.sum()) / found if found else math.nan
    return out


def _hits(
    study: PetStudy, done: Draws
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Findings in affected regions with the right sign, with the wrong one, and elsewhere."""
    t, found, a = done.t, done.found, study.affected
    right = np.sign(t[:, :a]) == np.sign(study.r)
    return found[:, :a] & right, found[:, :a] & ~right, found[:, a:]


def _se(values: Any) -> float:
    x = np.asarray(values, dtype=float)
    # a share of 0 or 1 has an error too: one study more either way
    return max(float(x.std(ddof=1)), 1.0 / math.sqrt(x.size)) / math.sqrt(x.size)


def plan(
    study: PetStudy,
    *,
    wish: str = "each",
    power: float = 0.8,
    sizes: Sequence[int] = (),
    studies: int = 10_000,
    seed: int = 1,
) -> PetPlan:
    """Say what a planned study can find, and how many patients the power wished for takes.

    Parameters
    ----------
    study : PetStudy
    wish : {"each", "any", "all"}
        What the power is of.
    power : float
    sizes : sequence of int
        Numbers of patients on the curve; round the answer by default.
    studies : int
        Drawn at each size.
    seed : int

    Returns
    -------
    PetPlan

    Raises
    ------
    Refused
        No affected region, no effect, or a power that is none.
    """
    if wish not in WISHES:
        raise Refused("There is no such wish.", field="wish", found=wish,
                      expected=", ".join(WISHES))  # fmt: skip
    if not 0.05 < power < 1:
        raise Refused("The power asked for is none.", field="power", found=power,
                      expected="a number between 0.05 and 1")  # fmt: skip
    if study.r == 0 or study.affected == 0:
        raise Refused("Without an effect there is no power.", field="r", found=study.r,
                      expected="a correlation other than 0, in one region or more")  # fmt: skip
    if studies < 200:
        raise Refused("Too few studies for a share.", field="studies", found=studies,
                      expected="200 or more")  # fmt: skip
    done: dict[int, dict[str, float]] = {}

    def at(n: int) -> dict[str, float]:
        if n not in done:
            done[n] = row(replace(study, n=n), studies, seed)
        return done[n]

    least = study.least

    def reached(errors: float) -> Callable[[int], bool]:
        return lambda n: at(n)[wish] + errors * at(n)[f"{wish}_se"] >= power

    n, low, high = (_search(reached(errors), least) for errors in (0.0, 1.96, -1.96))
    shown = {*(sizes or _round(study.n, n or study.n, least)), study.n, *((n,) if n else ())}
    curve = pd.DataFrame([at(size) for size in sorted(shown)]).astype({"n": int})
    curve["wanted"] = np.where(curve["n"] == n, "yes", "no")
    return PetPlan(curve, n, low, high, _detectable(study, wish, power, studies, seed))


def _round(n: int, wanted: int, least: int) -> list[int]:
    top = max(n, wanted)
    ends = {least, *(max(least, round(top * share)) for share in
                     (0.25, 0.4, 0.55, 0.7, 0.85, 1.0, 1.25, 1.6))}  # fmt: skip
    return sorted(ends)


def _search(enough: Callable[[int], bool], least: int) -> int | None:
    low, high = least - 1, 2 * least
    while not enough(high):
        if high >= LARGEST:
            return None
        low, high = high, min(2 * high, LARGEST)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _detectable(study: PetStudy, wish: str, power: float, studies: int, seed: int) -> float:
    low, high = 0.0, 0.999
    sign = math.copysign(1.0, study.r)

    def enough(r: float) -> bool:
        return row(replace(study, r=sign * r), studies, seed)[wish] >= power

    if not enough(high):
        return math.nan
    while high - low > 0.002:
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
