"""Settings of ``[measures.clinic]`` in a plan."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ekbom.measures.clinic.decide import criteria_sets
from ekbom.measures.clinic.scales.definition import SCALES


class ClinicSettings(BaseModel):
    """How answers become scores and a status.

    Attributes
    ----------
    criteria : list of str
        Criteria sets to decide under, side by side.
    variants : {"exclude", "include"}
        Whether variants without the legs count as RLS.
    scales : list of str or None
        Scales to score; all that have columns by default.
    prorate : bool
        Prorate also where the data allow it only on request.
    rls6_total : bool
        Give the sum of the RLS-6, which is not meant to be summed.
    columns : dict of str to str
        Local column names to names of this room.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    criteria: list[str] = Field(default=["2012"], min_length=1)
    variants: Literal["exclude", "include"] = "exclude"
    scales: list[str] | None = None
    prorate: bool = False
    rls6_total: bool = False
    columns: dict[str, str] = Field(default_factory=dict)

    @field_validator("criteria", mode="before")
    @classmethod
    def _one_is_a_list(cls, given: object) -> object:
        return [given] if isinstance(given, str) else given

    @field_validator("criteria")
    @classmethod
    def _known_sets(cls, given: list[str]) -> list[str]:
        strange = [c for c in given if c not in criteria_sets()]
        if strange:
            raise ValueError(f"one or more of {', '.join(criteria_sets())}")
        return given

    @field_validator("scales")
    @classmethod
    def _known_scales(cls, given: list[str] | None) -> list[str] | None:
        strange = [s for s in given or [] if s not in (*SCALES, "jhss")]
        if strange:
            raise ValueError(f"one or more of {', '.join((*SCALES, 'jhss'))}")
        return given
