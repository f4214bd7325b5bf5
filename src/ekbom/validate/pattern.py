"""A whole PET study in memory: from disease states to V_T of regions, beside the truth.

The regional path of the simulator without its files: the same people, curves,
noise and blood samples, then the analysis as a plan with MA1 asks for it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom.measures.pet.blood import BloodData
from ekbom.measures.pet.fit import fit
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input_fit import fit_input
from ekbom.virtual.anatomy import draw_texture
from ekbom.virtual.binding import draw_tissue
from ekbom.virtual.blood import draw_samples
from ekbom.virtual.design import Design
from ekbom.virtual.kinetics import frame_means, time_grid
from ekbom.virtual.scanner import noisy_labels
from ekbom.virtual.seeds import stream
from ekbom.virtual.study import VirtualStudy, arterial

Array = NDArray[np.float64]

#: Regions of the published pattern.
SIX = ("medialthalamus", "amygdala", "caudate", "anteriorcingulate", "insula", "orbitofrontal")
_TSTAR = 20.0


def recover(design: Design, seed: int) -> pd.DataFrame:
    """Simulate a study's regional curves and estimate V_T from them.

    Parameters
    ----------
    design : Design
        With arterial blood.
    seed : int
        Of the study; the same as `ekbom simulate --rois-only --seed` uses.

    Returns
    -------
    pandas.DataFrame
        A row a person: ``group``, ``irls`` (NaN for volunteers), and for each of
        the six regions, sides joined by volume, ``VT_``, ``true_`` (as the
        scanner sees it, without noise), ``low_`` and ``high_`` of the 95 %
        interval that the fit prints.
    """
    study = VirtualStudy.plan(design, Path(), "rois", seed)
    rows = [_person(study, k) for k in range(len(study.people))]
    return pd.DataFrame(rows)


def _person(study: VirtualStudy, index: int) -> dict[str, object]:
    design, timing, person = study.design, study.timing, study.people[index]
    rng = stream(study.seed, index, "blood")
    dose = design.scanner.dose_MBq * float(np.exp(design.scanner.dose_cv * rng.standard_normal()))
    blood = arterial(design, study.tracer, rng, dose, person.weight, person.sex)
    t = time_grid(float(timing.end[-1]))
    tissue = draw_tissue(
        study.seed, person, study.sources, design.binding, study.tracer.kinetics, study.about
    )
    curves = frame_means(
        tissue.rates, blood.parent(t), blood.whole_blood(t), timing.start, timing.end,
        timing.decay, design.scanner.vB,
    )  # fmt: skip
    texture = draw_texture(
        stream(study.seed, index, "texture"),
        design.scanner.texture_sd,
        design.scanner.texture_fwhm_mm,
        study.anatomy.grid,
    )
    seen, _ = study.mixing.matrices(texture)
    samples = draw_samples(stream(study.seed, index, "samples"), blood, design.blood, timing.decay)
    floor = design.scanner.noise_floor * np.einsum("s,sf->f", study.share, curves)
    noisy = noisy_labels(
        stream(study.seed, index, "scan"), seen @ curves, floor, study.noise, study.mixing.noise,
        timing,
    )  # fmt: skip
    labels = [s for s in study.sources if s.index]
    join = np.zeros((len(SIX), len(labels)))
    for row, area in enumerate(SIX):
        for k, source in enumerate(labels):
            if source.area == area:
                join[row, k] = study.mixing.voxels[k]
    join /= join.sum(axis=1, keepdims=True)
    frames = Frames(timing.start, timing.end, study.tracer.half_life)
    minutes = samples.time / 60.0
    measured = np.isfinite(samples.parent_fraction)
    taken = fit_input(
        BloodData(
            time_wb=minutes,
            whole_blood=samples.whole_blood,
            time_p=minutes,
            plasma=samples.plasma,
            time_f=minutes[measured],
            parent_fraction=samples.parent_fraction[measured],
        ),
        frames=frames,
    )
    found = fit(
        join @ noisy, frames, taken.input, model="ma1", vB=design.scanner.vB, tstar=_TSTAR,
        names=SIX,
    )  # fmt: skip
    low, high = found.interval("VT")
    true = join @ (seen @ tissue.VT)
    out: dict[str, object] = {
        "group": person.group,
        "irls": np.nan if person.irls_total is None else float(person.irls_total),
    }
    for k, area in enumerate(SIX):
        out |= {
            f"VT_{area}": float(found.params["VT"][k]),
            f"true_{area}": float(true[k]),
            f"low_{area}": float(low[k]),
            f"high_{area}": float(high[k]),
        }
    return out


def bias_and_coverage(table: pd.DataFrame) -> tuple[float, int, int]:
    """Return what the estimates are worth against the truth.

    Parameters
    ----------
    table : pandas.DataFrame
        Of :func:`recover`.

    Returns
    -------
    bias : float
        Median relative error of V_T, %.
    covered, asked : int
        Intervals that hold the truth, and all.
    """
    error, covered = [], 0
    for area in SIX:
        true = table[f"true_{area}"].to_numpy(dtype=float)
        error.append(table[f"VT_{area}"].to_numpy(dtype=float) / true - 1.0)
        inside = (table[f"low_{area}"] <= true) & (true <= table[f"high_{area}"])
        covered += int(inside.sum())
    flat = np.concatenate(error)
    return float(100.0 * np.median(flat)), covered, int(flat.size)
