"""Instruments in reverse: raw BIDS studies of virtual persons, with known truth.

Nothing simulated may be shown as patient data: every study says what it is in
``dataset_description.json`` and ``README``.
"""

from ekbom.virtual.clinical import ClinicalTruth, make_clinical
from ekbom.virtual.design import Design, design_names, design_text, load, shown_text
from ekbom.virtual.make import make
from ekbom.virtual.plans import plan_text
from ekbom.virtual.planted import planted_lines
from ekbom.virtual.protocol import Protocol, load_protocol, protocol_names, protocol_text
from ekbom.virtual.study import SIZES, bytes_needed
from ekbom.virtual.truth import StudyTruth

__all__ = [
    "SIZES",
    "ClinicalTruth",
    "Design",
    "Protocol",
    "StudyTruth",
    "bytes_needed",
    "design_names",
    "design_text",
    "load",
    "load_protocol",
    "make",
    "make_clinical",
    "plan_text",
    "planted_lines",
    "protocol_names",
    "protocol_text",
    "shown_text",
]
