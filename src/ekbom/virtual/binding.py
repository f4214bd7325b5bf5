"""From scores to distribution volumes: occupancy, spread between persons, rates.

``V_T = V_ND + V_S (1 - occupancy)``. ``V_S`` is the specific part of a
volunteer, who has own opioids too; occupancy counts the share of those sites
that the patient's opioids take beyond a volunteer's. It is ``slope (score -
mean score of the patients)``, negative below the mean (less opioid released
than in a volunteer), so that its mean over the patients is zero and the groups
do not differ on average.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.measures.pet.tracers import KineticSet
from ekbom.virtual.cohort import Person
from ekbom.virtual.design_parts import Binding
from ekbom.virtual.kinetics import Rates
from ekbom.virtual.regions import Source
from ekbom.virtual.seeds import stream

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Centres:
    """Mean scores of the patients, about which the slopes act."""

    irls: float
    affective: float


def centres(people: Sequence[Person]) -> Centres:
    """Return the mean scores of the patients (zero without patients).

    Parameters
    ----------
    people : sequence of Person
        The whole study.

    Returns
    -------
    Centres
        Means.
    """
    irls = [p.irls_total for p in people if p.irls_total is not None]
    affective = [p.mpq_affective for p in people if p.mpq_affective is not None]
    return Centres(
        float(np.mean(irls)) if irls else 0.0, float(np.mean(affective)) if affective else 0.0
    )


def occupancy(person: Person, area: str, binding: Binding, about: Centres, scan: int = 0) -> float:
    """Return the occupancy of one person in one area, relative to a volunteer.

    Parameters
    ----------
    person : Person
        Volunteers have none.
    area : str
        Name without side, ``"caudate"``.
    binding : Binding
        Slopes and the regions they act in.
    about : Centres
        Mean scores.
    scan : int
        Place of the scan in the design.

    Returns
    -------
    float
        Share of the sites free in a volunteer.
    """
    value = 0.0
    if person.occupancy is not None and area in binding.severity_regions:
        value += person.occupancy[scan]
    if person.irls_total is None or person.mpq_affective is None:
        return value
    if person.occupancy is None and area in binding.severity_regions:
        value += binding.severity_slope * (person.irls_total - about.irls)
    if area in binding.affective_regions:
        value += binding.affective_slope * (person.mpq_affective - about.affective)
    return value


@dataclass(frozen=True)
class Tissue:
    """Kinetics of one person in all sources.

    Parameters
    ----------
    rates : Rates
        K1..k4 of each source.
    occupancy : (S,) array
        Relative to a volunteer.
    """

    rates: Rates
    occupancy: Array

    @property
    def VT(self) -> Array:
        """Distribution volume of each source, mL/cm3."""
        return self.rates.VT


def draw_tissue(
    seed: int,
    person: Person,
    sources: Sequence[Source],
    binding: Binding,
    kinetics: Mapping[str, KineticSet],
    about: Centres,
    scan: int = 0,
    dopamine: bool = False,
) -> Tissue:
    """Draw the kinetics of one person.

    Parameters
    ----------
    seed : int
        Seed of the study.
    person : Person
        Whose.
    sources : sequence of Source
        Sides of regions, other grey, white matter.
    binding : Binding
        Slopes and spread.
    kinetics : mapping of str to KineticSet
        The tracer's sets; ``general`` gives V_ND, K1 and k4 where a source
        names no other.
    about : Centres
        Mean scores of the patients.
    scan : int
        Place of the scan in the design; persons keep their draws, but for the
        retest error.
    dopamine : bool
        A D2 ligand: the person's D2 binding of the disease model scales BP_ND,
        whose spread ``cv`` then is.

    Returns
    -------
    Tissue
        ``k2 = K1 / V_ND``; ``k3 = k4 V_S (1 - occupancy) / V_ND``.

    Raises
    ------
    Refused
        When the slopes take more than all sites of somebody.
    """
    general = kinetics["general"]
    areas = list(dict.fromkeys(source.area for source in sources))
    variance = np.log1p(binding.cv**2)
    rng = stream(seed, person.index, "binding")
    common = np.sqrt(binding.shared_variance * variance) * rng.standard_normal()
    own = np.sqrt((1.0 - binding.shared_variance) * variance) * rng.standard_normal(len(areas))
    side = binding.side_cv * rng.standard_normal(len(sources))
    flow = stream(seed, person.index, "flow")
    uptake = binding.K1_cv * flow.standard_normal()
    uptake_own = binding.K1_region_cv * flow.standard_normal(len(areas))
    retest = np.ones(len(sources))
    if binding.retest_cv > 0:
        again = stream(seed, person.index, "retest", scan)
        retest = np.exp(binding.retest_cv * again.standard_normal(len(sources)))
    density = 1.0 if person.bp is None or not dopamine else person.bp[scan]
    shift = 1.0 + (binding.group_shift_percent / 100.0 if person.group == "rls" else 0.0)
    K1, VS, ND, taken = (np.empty(len(sources)) for _ in range(4))
    for s, source in enumerate(sources):
        a = areas.index(source.area)
        # minus half the variance keeps the mean where the prior has it
        factor = shift * np.exp(common + own[a] + side[s] - variance / 2.0)
        if dopamine:  # the spread is that of BP_ND
            ND[s] = min(source.VT, general.VND)
            VS[s] = (source.VT - ND[s]) * factor * density
        else:
            ND[s] = min(source.VT * factor, general.VND)  # fluid holds less than tissue
            VS[s] = source.VT * factor - ND[s]
        VS[s] *= retest[s]
        K1[s] = (source.K1 or general.K1) * np.exp(uptake + uptake_own[a])
        taken[s] = occupancy(person, source.area, binding, about, scan)
    if np.any(taken >= 1.0):
        worst = int(np.argmax(taken))
        raise Refused(
            "The planted slopes take more than all sites.",
            field="binding",
            found=f"occupancy {taken[worst]:.2f} in {sources[worst].name} of {person.label}",
            expected="less than 1",
            mend="plant weaker slopes or narrower scores",
        )
    k4 = np.full(len(sources), general.k4)
    rates = Rates(K1=K1, k2=K1 / ND, k3=k4 * VS * (1.0 - taken) / ND, k4=k4)
    return Tissue(rates, taken)
