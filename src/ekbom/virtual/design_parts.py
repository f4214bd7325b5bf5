"""The parts of a design: groups, people, binding, blood, scanner, heads; each checked."""

from __future__ import annotations

import itertools
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Checked(BaseModel):
    """A part of a design: no unknown keys, cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Groups(Checked):
    """Number of persons in each group; the names are fixed words."""

    rls: int = Field(ge=0, le=10_000)
    control: int = Field(ge=0, le=10_000)

    @model_validator(mode="after")
    def _someone(self) -> Self:
        if self.rls + self.control < 1:
            raise ValueError("a study needs at least one person")
        return self


class Scale(Checked):
    """A clinical score: whole numbers, truncated normal.

    ``recruited = "spread"`` takes one person from each of n bands of equal
    probability, as a study of severity does that fills its range on purpose;
    ``"random"`` takes whoever comes.
    """

    mean: float
    sd: float = Field(gt=0)
    low: int = Field(ge=0)
    high: int
    recruited: Literal["random", "spread"] = "random"

    @model_validator(mode="after")
    def _range(self) -> Self:
        if not self.low <= self.mean <= self.high:
            raise ValueError("the mean of a score must lie between low and high")
        return self


class Cohort(Checked):
    """Who takes part."""

    age_mean: float = Field(gt=0)
    age_sd: float = Field(ge=0)
    age_range: tuple[int, int]
    female: float = Field(ge=0, le=1)
    weight_mean_kg: float = Field(gt=0)
    weight_cv: float = Field(ge=0, lt=0.5)
    irls: Scale
    affective: Scale
    affective_irls_correlation: float = Field(ge=-0.95, le=0.95)


class Binding(Checked):
    """How distribution volume goes with the scores, and how persons differ.

    Slopes are occupancy per point: the share of the sites that are free in a
    volunteer, taken by the person's own opioids. They act around the mean score
    of the patients, so that the groups do not differ on average.
    """

    severity_slope: float
    severity_regions: tuple[str, ...]
    affective_slope: float
    affective_regions: tuple[str, ...]
    group_shift_percent: float = 0.0
    cv: float = Field(ge=0, lt=0.5)
    shared_variance: float = Field(ge=0, le=1)
    side_cv: float = Field(ge=0, lt=0.2)
    retest_cv: float = Field(default=0.0, ge=0, lt=0.2)
    K1_cv: float = Field(ge=0, lt=0.5)
    K1_region_cv: float = Field(ge=0, lt=0.5)


class Blood(Checked):
    """Blood of persons, its sampling and counting."""

    clearance_cv: float = Field(ge=0, lt=0.5)
    rate_cv: float = Field(ge=0, lt=0.5)
    metabolism_cv: float = Field(ge=0, lt=0.5)
    haematocrit: dict[str, float]
    partition: float = Field(ge=0)
    exchange_min: float = Field(gt=0)
    sample_times_s: tuple[float, ...] = Field(min_length=3)
    parent_times_s: tuple[float, ...] = Field(min_length=3)
    volume_mL: float = Field(gt=0)
    hplc_volume_factor: float = Field(gt=0)
    efficiency: float = Field(gt=0, le=1)
    count_s: float = Field(gt=0)
    count_delay_min: float = Field(ge=0)
    background_cps: float = Field(ge=0)
    pipetting_cv: float = Field(ge=0, lt=0.5)
    units: Literal["kBq/mL", "Bq/mL"] = "kBq/mL"

    @model_validator(mode="after")
    def _times(self) -> Self:
        if set(self.haematocrit) != {"F", "M"}:
            raise ValueError("haematocrit needs F and M")
        times = self.sample_times_s
        if times[0] <= 0 or any(b <= a for a, b in itertools.pairwise(times)):
            raise ValueError("sample_times_s must start above 0 and increase")
        if not set(self.parent_times_s) <= set(times):
            raise ValueError("parent_times_s must be among sample_times_s")
        return self


class Scanner(Checked):
    """Dose, resolution and noise."""

    dose_MBq: float = Field(gt=0)
    dose_cv: float = Field(ge=0, lt=0.5)
    vB: float = Field(ge=0, lt=0.5)
    psf_fwhm_mm: float = Field(ge=0, le=15)
    noise_cov: float = Field(ge=0, lt=2)
    noise_floor: float = Field(ge=0, le=1)
    texture_sd: float = Field(ge=0, lt=0.2)
    texture_fwhm_mm: float = Field(gt=0, le=40)


class Disease(Checked):
    """The people come from the executable disease model, in one of its scenarios.

    ``people = "drawn"`` draws a population anew for every study; ``"shipped"`` recruits as
    many of the people who come with the program (:mod:`ekbom.virtual.shipped`), which takes
    no time, and draws where these are not of the same model, scenario, hour or ages.
    """

    scenario: str = "base"
    hour: float = Field(ge=0, lt=24)
    people_per_patient: int = Field(ge=25, le=2000)
    people: Literal["drawn", "shipped"] = "drawn"


class Opioid(Checked):
    """How the model's opioid states become occupancy of the receptors.

    ``slope`` is occupancy a point of severity among the patients; ``tonic`` is
    the tonic deficit, 1 where it makes the groups' means equal, 0 the rival
    without any. ``coupling = "calibrated"`` scales the model's phasic opioid to that
    slope, ``"model"`` takes the model's own occupancy, and ``"score"`` makes occupancy
    go with the IRLS itself and nothing else, which is stronger than the model allows.
    """

    slope: float = Field(ge=0, le=0.04)
    tonic: float = Field(ge=0, le=2)
    coupling: Literal["calibrated", "model", "score"] = "calibrated"


class Scan(Checked):
    """One PET scan of every person."""

    tracer: str
    session: str | None = None
    hour: float = Field(ge=0, lt=24)
    label: str | None = None


class Head(Checked):
    """How heads differ from the template, how they lie, and how they move.

    Without this part of a design everybody has the template's brain, and images
    are in template space.
    """

    scale_sd: float = Field(ge=0, le=0.1)
    shear_sd: float = Field(ge=0, le=0.05)
    turn_deg: float = Field(ge=0, le=15)
    shift_mm: float = Field(ge=0, le=20)
    warp_sd_mm: float = Field(ge=0, le=6)
    warp_knot_mm: float = Field(ge=20, le=60)
    ventricle_percent_per_year: float = Field(ge=0, le=3)
    ventricle_sd: float = Field(ge=0, le=0.3)
    torque_mm: float = Field(ge=0, le=4)
    pet_offset_deg: float = Field(ge=0, le=15)
    pet_offset_mm: float = Field(ge=0, le=20)
    motion_mm: float = Field(ge=0, le=10)
    motion_deg: float = Field(ge=0, le=10)
    jump_mm: float = Field(ge=0, le=10)
    jump_probability: float = Field(ge=0, le=1)


class T1(Checked):
    """The anatomical image."""

    resolution_mm: dict[str, float]
    bias_percent: float = Field(ge=0, le=60)
    snr: float = Field(gt=2)
    grey: float = Field(gt=0)
    white: float = Field(gt=0)
    csf: float = Field(ge=0)

    @model_validator(mode="after")
    def _sizes(self) -> Self:
        if set(self.resolution_mm) != {"quick", "full"} or min(self.resolution_mm.values()) < 1:
            raise ValueError("resolution_mm needs quick and full, at least 1 mm each")
        return self
