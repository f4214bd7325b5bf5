"""Virtual people: drawn, settled, run for two days, and read out.

Everyone is drawn from one population; the disease is what the threshold on
the evening urge yields. Deterministic by seed and independent of threads.
One name for what stands in :mod:`~ekbom.disease.people`, :mod:`~ekbom.disease.conditions`,
:mod:`~ekbom.disease.readout` and :mod:`~ekbom.disease.severity`.
"""

from ekbom.disease.conditions import condition, current, scenario, settled, treated
from ekbom.disease.people import (
    INHERITED,
    People,
    data,
    draw,
    drive_per_liability,
    relatives,
    typical,
    with_alleles,
)
from ekbom.disease.readout import EVENING, HOURS, table
from ekbom.disease.severity import expected_irls, irls, threshold
from ekbom.disease.simulate import Cohort

__all__ = [
    "EVENING",
    "HOURS",
    "INHERITED",
    "Cohort",
    "People",
    "condition",
    "current",
    "data",
    "draw",
    "drive_per_liability",
    "expected_irls",
    "irls",
    "relatives",
    "scenario",
    "settled",
    "table",
    "threshold",
    "treated",
    "typical",
    "with_alleles",
]
