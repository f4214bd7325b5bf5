"""What body and scanner make of one person in one scan, before anything is measured.

Writing a study and following one in memory start here, so that both see the same
numbers from the same streams.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ekbom.virtual.anatomy import draw_texture
from ekbom.virtual.binding import Tissue, draw_tissue
from ekbom.virtual.blood import Arterial, Samples, draw_samples
from ekbom.virtual.cohort import Person
from ekbom.virtual.scanner import noisy_labels
from ekbom.virtual.seeds import stream
from ekbom.virtual.shared import tissue_curves
from ekbom.virtual.study import VirtualStudy, arterial

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Signals:
    """True signals of one scan.

    Parameters
    ----------
    dose_MBq : float
        Injected.
    blood : Arterial
        True curves of blood.
    tissue : Tissue
        Rates, V_T and occupancy of every source.
    curves : (S, F) array
        Frame means of every source with its blood, kBq/mL decay-corrected, without noise.
    """

    dose_MBq: float
    blood: Arterial
    tissue: Tissue
    curves: Array


def signals(study: VirtualStudy, person: Person) -> Signals:
    """Draw dose, blood and tissue of a person, and the curves that follow.

    Parameters
    ----------
    study : VirtualStudy
        Says which scan.
    person : Person
        Whose.

    Returns
    -------
    Signals
        The same for the same seed, person and scan.
    """
    design = study.design
    rng = stream(study.seed, person.index, "blood", study.scan)
    dose = design.scanner.dose_MBq * float(np.exp(design.scanner.dose_cv * rng.standard_normal()))
    blood = arterial(design, study.tracer, rng, dose, person.weight, person.sex)
    tissue = draw_tissue(
        study.seed, person, study.sources, design.binding, study.tracer.kinetics, study.about,
        study.scan, study.dopamine,
    )  # fmt: skip
    curves = tissue_curves(
        tissue.rates, blood, study.timing, design.scanner.vB, shared=study.shared_physics
    )
    return Signals(dose, blood, tissue, curves)


def person_texture(study: VirtualStudy, person: Person) -> Array:
    """Draw how uptake varies smoothly inside a person's regions.

    Parameters
    ----------
    study : VirtualStudy
        Says size and smoothness.
    person : Person
        Whose; the same in all scans.

    Returns
    -------
    (X, Y, Z) array
        Factor on the grid of the study's anatomy; without images, only where a label looks.
    """
    scanner = study.design.scanner
    return draw_texture(
        stream(study.seed, person.index, "texture"),
        scanner.texture_sd,
        scanner.texture_fwhm_mm,
        study.anatomy.grid,
        None if study.images else study.mixing.box,
    )


def blood_samples(study: VirtualStudy, person: Person, blood: Arterial) -> Samples:
    """Draw and count blood samples, with their errors.

    Parameters
    ----------
    study : VirtualStudy
        Says when and how.
    person : Person
        Whose.
    blood : Arterial
        True curves.

    Returns
    -------
    Samples
        As the laboratory reports them.
    """
    rng = stream(study.seed, person.index, "samples", study.scan)
    return draw_samples(rng, blood, study.design.blood, study.timing.decay)


def label_curves(
    study: VirtualStudy, seen: Array, curves: Array, rng: np.random.Generator
) -> Array:
    """Return the mean curve of each label as measured, with the noise of such a mean.

    Parameters
    ----------
    study : VirtualStudy
        Says the noise.
    seen : (L, S) array
        Share of the sources in each label, blurred.
    curves : (S, F) array
        Of the sources.
    rng : numpy.random.Generator
        Stream of the scan.

    Returns
    -------
    (L, F) array
        kBq/mL decay-corrected.
    """
    floor = study.design.scanner.noise_floor * np.einsum("s,sf->f", study.share, curves)
    return noisy_labels(
        rng, np.einsum("ls,sf->lf", seen, curves), floor, study.noise, study.mixing.noise,
        study.timing,
    )  # fmt: skip
