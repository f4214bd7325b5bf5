"""What all persons of a simulated study have in common, worked out once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.measures.pet.tracers import Tracer, tracer
from ekbom.space.template import template
from ekbom.virtual.anatomy import Anatomy, Mixing, anatomy, mixing
from ekbom.virtual.binding import Centres, centres
from ekbom.virtual.blood import Arterial, draw_arterial
from ekbom.virtual.cohort import Person, draw_cohort
from ekbom.virtual.design import Design
from ekbom.virtual.kinetics import Rates, frame_means, time_grid
from ekbom.virtual.native import pet_grid
from ekbom.virtual.regions import Source, sources
from ekbom.virtual.scanner import Timing, noise_scale
from ekbom.virtual.seeds import stream

#: Voxel edge of each size, mm; ``None`` writes no images.
SIZES: dict[str, float | None] = {"rois": None, "quick": 4.0, "full": 2.0}

#: Regional tables come from the anatomy of this resolution.
_ROI_RESOLUTION = 4.0


@dataclass(frozen=True, eq=False)
class VirtualStudy:
    """All that the persons of a study have in common.

    Parameters
    ----------
    design : Design
        As used.
    root : Path
        Raw study.
    size : str
        Key of :data:`SIZES`.
    seed : int
        Seed.
    tracer : Tracer
        Of the design.
    timing : Timing
        Frames and decay.
    people : tuple of Person
        Patients first.
    about : Centres
        Mean scores of the patients.
    sources : tuple of Source
        Tissues with a curve.
    anatomy, mixing
        Weights of the sources in voxels, and in labels.
    noise : float
        Noise scale of the scanner.
    share : (S,) array
        Mean share of each source in a voxel of the brain.
    scan : int
        Place of the scan in the design.
    shared_physics : bool
        Tissue curves come from the forward model of the analysis.
    """

    design: Design
    root: Path
    size: str
    seed: int
    tracer: Tracer
    timing: Timing
    people: tuple[Person, ...]
    about: Centres
    sources: tuple[Source, ...]
    anatomy: Anatomy
    mixing: Mixing
    noise: float
    share: NDArray[np.float64]
    scan: int = 0
    shared_physics: bool = False

    @classmethod
    def plan(cls, design: Design, root: Path, size: str, seed: int) -> VirtualStudy:
        """Work out what does not depend on the person."""
        return cls._plan(design, root, size, seed, 0, draw_cohort(design, seed))

    def scans(self) -> tuple[VirtualStudy, ...]:
        """Return the study once for every scan of the design, this one first."""
        again = range(1, len(self.design.scans))
        return self, *(
            replace(
                self._plan(self.design, self.root, self.size, self.seed, k, self.people),
                shared_physics=self.shared_physics,
            )
            for k in again
        )

    @property
    def session(self) -> str | None:
        """Session of the scan, without ``ses-``."""
        return self.design.scans[self.scan].session if self.design.scans else None

    def stem(self, person: Person) -> str:
        """Return the stem of the names of a person's scan, ``sub-01_ses-evening``."""
        parts = [person.label]
        if self.session is not None:
            parts.append(f"ses-{self.session}")
        label = self.design.scans[self.scan].label if self.design.scans else None
        if label is not None:
            parts.append(f"trc-{label}")
        return "_".join(parts)

    def folder(self, person: Person, kind: str = "pet") -> Path:
        """Return the folder of a person's scan below a study: ``sub-01/ses-evening/pet``."""
        session = () if self.session is None else (f"ses-{self.session}",)
        return Path(person.label, *session, kind)

    @property
    def dopamine(self) -> bool:
        """Whether the tracer binds to D2 receptors and is seen against a reference region."""
        return self.tracer.model == "srtm"

    @classmethod
    def _plan(
        cls,
        design: Design,
        root: Path,
        size: str,
        seed: int,
        scan: int,
        people: tuple[Person, ...],
    ) -> VirtualStudy:
        found = tracer(design.scans[scan].tracer if design.scans else design.tracer)
        for part in ("parent_fraction", "input_shape", "clearance"):
            if getattr(found, part) is None or "general" not in found.kinetics:
                raise Refused(
                    "The tracer file does not hold what a simulation needs.",
                    file=f"{found.name}.toml",
                    field=part,
                    expected="frames, parent_fraction, input_shape, clearance, kinetics.general",
                )
        timing = Timing.of(found)
        named = sources(found, fluid=design.head is not None)
        _check_regions(design, named)
        resolution = SIZES[size] or _ROI_RESOLUTION
        if design.head is not None:
            # images have their own anatomy; this one is the template's, for tables
            resolution = _ROI_RESOLUTION
        place = anatomy(named, resolution)
        return cls(
            design,
            root,
            size,
            seed,
            found,
            timing,
            people,
            centres(people),
            named,
            place,
            mixing(named, resolution, design.scanner.psf_fwhm_mm),
            _noise(design, found, timing),
            place.weights[place.brain].mean(axis=0),
            scan,
        )

    @property
    def images(self) -> bool:
        """Whether images are written."""
        return SIZES[self.size] is not None

    @property
    def bytes_needed(self) -> int:
        """Disk space for the whole study, generously."""
        return bytes_needed(self.design, self.size, len(self.people))

    @property
    def resolution(self) -> float:
        """Voxel edge of the PET images, mm; of the tables' anatomy without images."""
        return SIZES[self.size] or _ROI_RESOLUTION


def bytes_needed(design: Design, size: str, people: int | None = None) -> int:
    """Return the disk space of a study, generously.

    Parameters
    ----------
    design : Design
        Any.
    size : str
        Key of :data:`SIZES`.
    people : int, optional
        Persons; those of the design by default.

    Returns
    -------
    int
        Bytes.
    """
    if people is None:
        people = design.groups.rls + design.groups.control
    scans = max(1, len(design.scans))
    resolution = SIZES.get(size)
    if resolution is None:
        return people * scans * 200_000
    frames = tracer(design.tracer).frames
    assert frames is not None
    voxels, more = template(resolution).grid.size, 0
    if design.t1 is not None:
        voxels = pet_grid(resolution).size
        # T1w and its labels, transforms, true maps
        more = round(3.2e7 / design.t1.resolution_mm[size] ** 3) + 8_000_000
    return people * (scans * (2 * voxels * len(frames.durations) + 200_000) + more)


def _check_regions(design: Design, named: tuple[Source, ...]) -> None:
    known = {source.area for source in named if source.index}
    for field in ("severity_regions", "affective_regions"):
        for area in getattr(design.binding, field):
            if area not in known:
                raise Refused(
                    "The design names a region that does not exist.",
                    field=f"binding.{field}",
                    found=area,
                    expected=", ".join(sorted(known)),
                )


def arterial(
    design: Design,
    found: Tracer,
    rng: np.random.Generator,
    dose_MBq: float,
    weight: float,
    sex: str,
) -> Arterial:
    """Draw the blood of a person of this weight and sex after this dose.

    Parameters
    ----------
    design : Design
        Spread between persons.
    found : Tracer
        Typical blood.
    rng : numpy.random.Generator
        Stream of the person's blood.
    dose_MBq, weight : float
        MBq, kg.
    sex : {"F", "M"}
        Sex.

    Returns
    -------
    Arterial
        True curves.
    """
    assert found.input_shape is not None
    assert found.parent_fraction is not None
    assert found.clearance is not None
    return draw_arterial(
        rng,
        found.input_shape,
        found.parent_fraction,
        design.blood,
        dose_kBq=dose_MBq * 1000.0,
        clearance_mL_min=found.clearance.value * weight,
        sex=sex,
    )


def _noise(design: Design, found: Tracer, timing: Timing) -> float:
    """Return the noise scale from a typical person's grey matter."""
    still = design.blood.model_copy(
        update={"clearance_cv": 0.0, "rate_cv": 0.0, "metabolism_cv": 0.0}
    )
    typical = design.model_copy(update={"blood": still})
    weight = design.cohort.weight_mean_kg
    rng = stream(0, 0, "blood")  # all spreads but that of the haematocrit are zero
    blood = arterial(typical, found, rng, design.scanner.dose_MBq, weight, "F")
    t = time_grid(float(timing.end[-1]))
    general = found.kinetics["general"]
    rates = Rates(*(np.array([getattr(general, k)]) for k in ("K1", "k2", "k3", "k4")))
    curve = frame_means(
        rates, blood.parent(t), blood.whole_blood(t), timing.start, timing.end, timing.decay
    )
    return noise_scale(design.scanner.noise_cov, curve[0], timing)
