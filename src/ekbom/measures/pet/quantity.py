"""A number from the literature: value, unit, how sure, and from where."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

#: ``verified``: seen in the source named; ``recalled``: from memory, not looked
#: up; ``assumed``: chosen by us.
Status = Literal["verified", "recalled", "assumed"]


class Quantity(BaseModel):
    """A value with its unit, status and source.

    Parameters
    ----------
    value : float
        The number, in ``unit``.
    unit : str
        ``"1/min"``, ``"mL/cm3"`` ...; ``"1"`` for a pure number.
    status : {"verified", "recalled", "assumed"}
        ``verified`` means seen in the source named, ``recalled`` from memory,
        ``assumed`` chosen by us.
    source : str
        Where it is from; for an assumed value, why it was chosen.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: float
    unit: str = Field(min_length=1)
    status: Status
    source: str = Field(min_length=1)
