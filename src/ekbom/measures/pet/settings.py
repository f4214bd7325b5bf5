"""What a plan may say under ``[measures.pet]``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from ekbom.measures.pet.map_settings import MapsSettings, SpaceSettings, SpectralSettings

Model = Literal[
    "1tcm",
    "2tcm",
    "2tcm-irreversible",
    "logan",
    "ma1",
    "patlak",
    "spectral",
    "srtm",
    "srtm2",
    "frtm",
    "mrtm1",
    "mrtm2",
    "logan-ref",
    "suvr",
    "suv",
]
Parent = Literal[
    "interpolate",
    "auto",
    "hill",
    "power",
    "exponential",
    "single-exponential",
    "inverse-gamma",
    "none",
]

#: Models that estimate the blood volume; the others take it as given.
COMPARTMENT = ("1tcm", "2tcm", "2tcm-irreversible")
GRAPHICAL = ("logan", "ma1", "patlak")
#: Models against a reference region, which need no blood.
REFERENCE = ("srtm", "srtm2", "frtm", "mrtm1", "mrtm2", "logan-ref", "suvr")
#: Models that read no blood.
BLOODLESS = (*REFERENCE, "suv")


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CompartmentSettings(_Strict):
    """Settings of the compartment models only."""

    vB: Annotated[float, Field(ge=0, lt=1)] | Literal["free"] = Field(
        default="free", description='blood volume: "free" to fit it, or a share (0.05)'
    )


class BloodPermissions(_Strict):
    """What must be allowed to use the blood of one scan."""

    sort: bool = Field(default=False, description="sort samples whose times do not increase")
    extrapolate: bool = Field(
        default=False, description="extrapolate blood that ends well before the scan"
    )


class ScanSettings(_Strict):
    """Permissions of one scan, ``[measures.pet.scans.sub-13_ses-retest]``."""

    blood: BloodPermissions = BloodPermissions()
    trust_units: bool = Field(
        default=False, description="accept tissue and plasma whose sizes do not fit together"
    )


class PETSettings(_Strict):
    """``[measures.pet]``: from dynamic PET and blood to regional values.

    Times are minutes except ``delay``, which is seconds as on the sampler's label.
    """

    model: Annotated[tuple[Model, ...], BeforeValidator(_listed)] = Field(
        default=("ma1",), description="kinetic models, each with its own results"
    )
    outcome: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        default=(), description="parameters to keep (VT, K1 ...); all of them by default"
    )
    tstar: Annotated[float, Field(gt=0)] | Literal["auto"] = Field(
        default="auto",
        description="minutes: Logan, MA1 and Patlak use frames that begin here or later",
    )
    vB: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.05, description="blood volume in Logan, MA1 and Patlak, which cannot estimate it"
    )
    compartment: CompartmentSettings = CompartmentSettings()
    spectral: SpectralSettings = Field(
        default=SpectralSettings(),
        description="basis of regional spectral analysis; that of maps has its own",
    )
    reference: str | None = Field(
        default=None, description='reference region of models without blood, "gtmseg:cerebellum"'
    )
    k2prime: Annotated[float, Field(gt=0)] | Literal["auto"] = Field(
        default="auto",
        description="1/min: efflux rate of the reference in SRTM2, MRTM2 and reference Logan;"
        " from regions with BP_ND above 0.5 by default",
    )
    window: tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(gt=0)]] | None = Field(
        default=None, description="minutes: start and end of the window of SUVR and SUV"
    )
    dose_from: Literal["InjectedRadioactivity", "RadionuclideTotalDose"] | None = Field(
        default=None,
        description="field of the scan's JSON that SUV divides by; must be said when both are"
        " there and differ",
    )
    blood: Literal["auto", "raw", "bloodstream"] = Field(
        default="auto", description="raw samples, or the input function bloodstream made"
    )
    input: Literal["interpolate", "triexp", "feng", "feng_infusion", "auto"] = Field(
        default="interpolate",
        description="curve through parent plasma; auto takes the form of lowest AICc",
    )
    blood_draws: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=0,
        description="bootstrap draws of the blood carried to V_T: its own part of the error",
    )
    parent: Parent = Field(default="interpolate", description="parent fraction")
    parent_f0: Annotated[float, Field(gt=0, le=1)] | Literal["free"] = Field(
        default="free", description="parent fraction at injection in the parametric forms"
    )
    plasma_over_blood: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="ratio that makes plasma or whole blood when one is absent"
    )
    dispersion: Annotated[float, Field(gt=0)] | None = Field(
        default=None,
        description="seconds: time constant of the automatic sampler's tube, to be corrected for",
    )
    delay: float | Literal["fit"] = Field(
        default="fit",
        description="seconds by which tissue sees the blood later than the sampling site",
    )
    weights: Literal["poisson", "duration", "uniform"] = Field(
        default="poisson", description="weights of the frames"
    )
    weight_reference: str = Field(
        default="auto", description='region whose curve makes the weights, "gtmseg:putamen"'
    )
    frame_mean: Literal["decay-weighted", "plain"] = Field(
        default="decay-weighted", description="how a frame averages a decay-corrected curve"
    )
    tracer: str | None = Field(default=None, description="name of the tracer, for the words")
    tacs: Literal["auto", "petprep", "dseg"] = Field(
        default="auto", description="regional curves of a pipeline, or image and labels"
    )
    pipeline: str | None = Field(
        default=None, description="derivative that holds the curves, when there are several"
    )
    partial_volume: str | None = Field(
        default=None,
        description="pvc- entity of the curves (PETPrep's partial volume correction); those"
        " without correction by default",
    )
    reconstruction: str | None = Field(
        default=None, description="rec- entity of the image, when there are several"
    )
    segmentations: tuple[str, ...] | None = Field(
        default=None, description="segmentations to use; all that are found by default"
    )
    regions: dict[str, dict[str, tuple[str, ...]]] = Field(
        default_factory=dict, description="joined regions by segmentation: name = [patterns]"
    )
    maps: MapsSettings = MapsSettings()
    space: SpaceSettings = SpaceSettings()
    figures: bool = Field(default=True, description="draw quality-control figures")
    scans: dict[str, ScanSettings] = Field(
        default_factory=dict, description="permissions, scan by scan"
    )

    @field_validator("model")
    @classmethod
    def _some_model(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("name at least one model")
        if len(set(value)) != len(value):
            raise ValueError("a model is named twice")
        return value

    @field_validator("tstar", mode="before")
    @classmethod
    def _no_flag(cls, value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError("minutes, or auto")
        return value

    @model_validator(mode="after")
    def _patterns(self) -> PETSettings:
        for segmentation, joined in self.regions.items():
            for name, patterns in joined.items():
                if not patterns:
                    raise ValueError(f"regions.{segmentation}.{name} names no region")
        return self

    @model_validator(mode="after")
    def _referred(self) -> PETSettings:
        asked = [m for m in (*self.model, *self.maps.model) if m in REFERENCE]
        if asked and self.reference is None:
            raise ValueError(f"{asked[0]} needs a reference region: reference = ...")
        for model in ("suvr", "suv"):
            if model in (*self.model, *self.maps.model) and (
                self.window is None or self.window[0] >= self.window[1]
            ):
                raise ValueError(f"{model} needs a window: window = [40, 60], minutes")
        return self

    @property
    def needs_blood(self) -> bool:
        """Whether any model has arterial input."""
        return any(m not in BLOODLESS for m in (*self.model, *self.maps.model))

    def permissions(self, label: str) -> ScanSettings:
        """Return the permissions of one scan (none unless the plan gives them)."""
        return self.scans.get(label, ScanSettings())

    def blood_volume(self, model: str) -> float | Literal["free"]:
        """Return v_B of a model: its own when it can be fitted, or the one given for all others."""
        if model in BLOODLESS:
            return 0.0
        if model == "spectral":
            return self.spectral.vB
        return self.compartment.vB if model in COMPARTMENT else self.vB
