"""Instruments in reverse: raw BIDS studies of virtual persons, with known truth.

Nothing simulated may be shown as patient data: every study says what it is in
``dataset_description.json`` and ``README``.
"""

from ekbom.virtual.design import Design, design_names, design_text, load
from ekbom.virtual.make import make
from ekbom.virtual.plans import plan_text
from ekbom.virtual.study import SIZES
from ekbom.virtual.truth import StudyTruth

__all__ = [
    "SIZES",
    "Design",
    "StudyTruth",
    "design_names",
    "design_text",
    "load",
    "make",
    "plan_text",
]
