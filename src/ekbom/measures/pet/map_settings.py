"""What a plan may say under ``[measures.pet.maps]``; ``[space]`` is handed down to it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ekbom.space.settings import SpaceSettings as SpaceSettings

#: Models that are fitted to every voxel.
MapModel = Literal[
    "logan", "ma1", "spectral", "1tcm", "2tcm", "srtm", "srtm2", "mrtm2", "logan-ref", "suvr", "suv"
]

#: Outcomes of each model that can be a map.
MAP_OUTCOMES: dict[str, tuple[str, ...]] = {
    "logan": ("VT",),
    "ma1": ("VT",),
    "spectral": ("VT", "K1", "vB", "IRF60", "extrapolated", "components"),
    "1tcm": ("VT", "K1", "k2", "vB", "extrapolated"),
    "2tcm": ("VT", "K1", "k2", "k3", "k4", "BPND", "VND", "vB", "extrapolated"),
    "srtm": ("BPND", "R1", "k2", "k2a", "k2prime"),
    "srtm2": ("BPND", "R1", "k2", "k2a"),
    "mrtm2": ("BPND", "R1", "k2", "k2a"),
    "logan-ref": ("BPND",),
    "suvr": ("SUVR",),
    "suv": ("SUV",),
}


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SpectralSettings(_Strict):
    """Basis of the spectral analysis, rates in 1/min."""

    beta_min: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="slowest rate; 1 / end of the scan by default"
    )
    beta_max: Annotated[float, Field(gt=0)] = Field(default=6.0, description="fastest rate")
    nodes: Annotated[int, Field(ge=10, le=400)] = Field(
        default=100, description="rates, evenly spaced in their logarithm"
    )
    vB: Annotated[float, Field(ge=0, lt=1)] | Literal["free"] = Field(
        default="free", description="blood volume"
    )
    draws: Annotated[int, Field(ge=2, le=2000)] = Field(
        default=50, description="bootstrap draws for standard errors, when maps.se is true"
    )


class MapsSettings(_Strict):
    """``[measures.pet.maps]``: models fitted to every voxel of the image."""

    model: Annotated[tuple[MapModel, ...], BeforeValidator(_listed)] = Field(
        default=(), description="models; none by default, then no image is read for maps"
    )
    outcome: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        default=("VT",),
        description="maps to keep: VT; K1, vB, IRF60 ... of spectral; BPND, R1 ... of srtm",
    )
    se: bool = Field(
        default=False, description="standard error and CV maps; spectral takes draws times as long"
    )
    flags: bool = Field(default=False, description="map of flags, a sum of powers of two")
    frame_fwhm: Annotated[float, Field(ge=0, le=20)] = Field(
        default=0.0, description="Gaussian smoothing of the frames before the fit, mm"
    )
    image: str = Field(
        default="auto",
        description='"raw", the name of a derivative with a desc-preproc image, or "auto"',
    )
    spectral: SpectralSettings = SpectralSettings()

    @model_validator(mode="after")
    def _known(self) -> MapsSettings:
        if len(set(self.model)) != len(self.model):
            raise ValueError("a model is named twice")
        if self.model:
            known = {outcome for model in self.model for outcome in MAP_OUTCOMES[model]}
            odd = [name for name in self.outcome if name not in known]
            if odd:
                raise ValueError(f"no map of {odd[0]!r}: choose among {', '.join(sorted(known))}")
        return self
