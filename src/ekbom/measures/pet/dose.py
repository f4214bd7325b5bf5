"""What was injected, and into whom."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Injected:
    """What SUV divides by.

    Attributes
    ----------
    dose : float
        Activity at injection, MBq.
    weight : float
        Of the person, kg.
    dose_from, weight_from : str
        Fields they were read from.
    """

    dose: float
    weight: float
    dose_from: str
    weight_from: str
