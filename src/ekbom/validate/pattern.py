"""A whole PET study in memory: from disease states to V_T of regions, beside the truth.

The regional path of the simulator without its files: the same people, curves,
noise and blood samples, then the analysis as the study's plan asks for it: MA1,
the parent fraction by the form of lowest AICc, and, on request, the error of the
blood in the interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom.measures.pet.blood import BloodData
from ekbom.measures.pet.blood_draws import draw_inputs
from ekbom.measures.pet.fit import fit
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction
from ekbom.measures.pet.input_fit import fit_input
from ekbom.virtual.cohort import Person
from ekbom.virtual.design import Design
from ekbom.virtual.seeds import stream
from ekbom.virtual.signals import Signals, blood_samples, label_curves, person_texture, signals
from ekbom.virtual.study import VirtualStudy

Array = NDArray[np.float64]

#: Regions of the published pattern.
SIX = ("medialthalamus", "amygdala", "caudate", "anteriorcingulate", "insula", "orbitofrontal")
#: Start of the straight line of MA1, min.
TSTAR = 20.0
#: Half width of a 95 % interval in standard errors.
WIDE = 1.959964


@dataclass(frozen=True, eq=False)
class Measured:
    """One scan of one person: what there is, and what is measured of it.

    Parameters
    ----------
    frames : Frames
        Of the scan.
    true : Signals
        Blood, tissue and curves as they are.
    seen : (6, S) array
        Share of each source in the six regions, sides joined, blurred by the scanner.
    curves : (6, F) array
        Measured, kBq/mL decay-corrected.
    samples : BloodData
        Of the laboratory.
    """

    frames: Frames
    true: Signals
    seen: Array
    curves: Array
    samples: BloodData

    @property
    def VT(self) -> Array:
        """V_T of the six regions as the scanner sees them, without noise."""
        return np.asarray(self.seen @ self.true.tissue.VT)


def joined(study: VirtualStudy) -> Array:
    """Return what makes the six regions of the labels, (6, L): sides joined by volume."""
    labels = [source for source in study.sources if source.index]
    join = np.zeros((len(SIX), len(labels)))
    for row, area in enumerate(SIX):
        for k, source in enumerate(labels):
            join[row, k] = study.mixing.voxels[k] * (source.area == area)
    return np.asarray(join / join.sum(axis=1, keepdims=True))


def measured(study: VirtualStudy, person: Person) -> Measured:
    """Scan one person.

    Parameters
    ----------
    study : VirtualStudy
        With arterial blood.
    person : Person
        Whom.

    Returns
    -------
    Measured
        The numbers that `ekbom simulate --rois-only` writes, before they are rounded.
    """
    true = signals(study, person)
    seen, _ = study.mixing.matrices(person_texture(study, person))
    drawn = blood_samples(study, person, true.blood)
    noisy = label_curves(
        study, seen, true.curves, stream(study.seed, person.index, "scan", study.scan)
    )
    minutes, known = drawn.time / 60.0, np.isfinite(drawn.parent_fraction)
    join = joined(study)
    return Measured(
        Frames(study.timing.start, study.timing.end, study.tracer.half_life),
        true,
        join @ seen,
        join @ noisy,
        BloodData(
            time_wb=minutes,
            whole_blood=drawn.whole_blood,
            time_p=minutes,
            plasma=drawn.plasma,
            time_f=minutes[known],
            parent_fraction=drawn.parent_fraction[known],
        ),
    )


def estimate(
    curves: Array, frames: Frames, given: InputFunction, vB: float, tstar: float = TSTAR
) -> tuple[Array, Array]:
    """Fit MA1 to the six regions.

    Parameters
    ----------
    curves : (6, F) array
        kBq/mL decay-corrected.
    frames : Frames
        Of the scan.
    given : InputFunction
        Blood.
    vB : float
        Share of blood.
    tstar : float
        min.

    Returns
    -------
    VT, se : (6,) array
        mL/cm3.
    """
    found = fit(curves, frames, given, model="ma1", vB=vB, tstar=tstar, names=SIX)
    low, high = found.interval("VT")
    return np.asarray(found.params["VT"]), np.asarray((high - low) / (2.0 * WIDE))


def recover(design: Design, seed: int, *, parent: str = "auto", draws: int = 0) -> pd.DataFrame:
    """Simulate a study's regional curves and estimate V_T from them.

    Parameters
    ----------
    design : Design
        With arterial blood.
    seed : int
        Of the study; the same as `ekbom simulate --rois-only --seed` uses.
    parent : str
        Parent fraction, as a plan says it.
    draws : int
        Bootstrap draws of the blood for the interval; 0 leaves its error out.

    Returns
    -------
    pandas.DataFrame
        A row a person: ``group``, ``irls`` (NaN for volunteers), ``occupancy`` beyond that
        of a volunteer where the disease model says it (NaN elsewhere), and for each of
        the six regions, sides joined by volume, ``VT_``, ``true_`` (as the
        scanner sees it, without noise), ``low_`` and ``high_`` of the 95 %
        interval with the error of the tissue curve alone, and ``wide_``, half the
        width of the interval with that of the blood in it (NaN without draws).
    """
    study = VirtualStudy.plan(design, Path(), "rois", seed)
    return pd.DataFrame([_person(study, person, parent, draws) for person in study.people])


def _person(study: VirtualStudy, person: Person, parent: str, draws: int) -> dict[str, object]:
    scan, vB = measured(study, person), study.design.scanner.vB
    taken = fit_input(scan.samples, frames=scan.frames, parent=parent, compare=draws > 0)
    value, se = estimate(scan.curves, scan.frames, taken.input, vB)
    wide = np.full(len(SIX), np.nan)
    if draws:
        inputs = draw_inputs(taken, scan.frames, draws, seed=0)
        again = [estimate(scan.curves, scan.frames, one, vB)[0] for one in inputs]
        wide = WIDE * np.hypot(se, np.std(again, axis=0, ddof=1))
    out: dict[str, object] = {
        "group": person.group,
        "irls": np.nan if person.irls_total is None else float(person.irls_total),
        "occupancy": np.nan if person.occupancy is None else float(person.occupancy[0]),
    }
    for k, area in enumerate(SIX):
        out |= {
            f"VT_{area}": float(value[k]),
            f"true_{area}": float(scan.VT[k]),
            f"low_{area}": float(value[k] - WIDE * se[k]),
            f"high_{area}": float(value[k] + WIDE * se[k]),
            f"wide_{area}": float(wide[k]),
        }
    return out


def bias_and_coverage(table: pd.DataFrame) -> tuple[float, int, int, int]:
    """Return what the estimates are worth against the truth.

    Parameters
    ----------
    table : pandas.DataFrame
        Of :func:`recover`.

    Returns
    -------
    bias : float
        Median relative error of V_T, %.
    covered, wide, asked : int
        Intervals that hold the truth, with the error of the tissue alone and with that of
        the blood (0 without draws), and all.
    """
    error, covered, wide = [], 0, 0
    for area in SIX:
        true = table[f"true_{area}"].to_numpy(dtype=float)
        value = table[f"VT_{area}"].to_numpy(dtype=float)
        error.append(value / true - 1.0)
        inside = (table[f"low_{area}"] <= true) & (true <= table[f"high_{area}"])
        covered += int(inside.sum())
        wide += int((np.abs(value - true) <= table[f"wide_{area}"].to_numpy(dtype=float)).sum())
    flat = np.concatenate(error)
    return float(100.0 * np.median(flat)), covered, wide, int(flat.size)
