"""Names of the columns this room reads."""

from __future__ import annotations

from functools import cache

from ekbom.measures.clinic.presentation import known_mimics, known_parts
from ekbom.measures.clinic.scales.definition import SCALES, scale

IDS = ("participant_id", "session_id")
#: Field of :class:`Presentation` to the columns that may hold it, first found wins.
DX_ANSWERS = {
    "c1": ("dx_c1",),
    "c2": ("dx_c2",),
    "c3": ("dx_c3",),
    "c4": ("dx_c4",),
    "c5": ("dx_c5",),
    "paraesthesia": ("dx_paraesthesia",),
    "motor_restlessness": ("dx_motor_restlessness",),
    "coexisting": ("dx_coexisting",),
    "severe": ("dx_severe",),
    "treated": ("dx_treated",),
    "impairment": ("dx_impairment",),
    "distress": ("dx_distress",),
    "family_history": ("dx_family_history", "family_history"),
    "dopaminergic_response": ("dx_dopaminergic_response",),
    "no_sleepiness": ("dx_no_sleepiness",),
    "iron_lack": ("dx_iron_lack",),
    "pregnancy": ("dx_pregnancy",),
    "kidney_failure": ("dx_kidney_failure",),
}
#: The same for numbers, with the range accepted.
DX_NUMBERS = {
    "frequency_per_week": (("dx_frequency", "frequency"), 0.0, 7.0),
    "lifetime_events": (("dx_lifetime_events",), 0.0, 1e6),
    "onset_age": (("dx_onset_age", "onset_age"), 0.0, 120.0),
    "age": (("age",), 0.0, 120.0),
    "plms_index": (("plms_index",), 0.0, 400.0),
}
MPI_ANSWERS = {
    "otherwise_explained": "mpi_otherwise_explained",
    "prior_response": "mpi_prior_response",
    "paradoxical": "mpi_paradoxical",
    "shorter_latency": "mpi_shorter_latency",
    "spread": "mpi_spread",
    "more_intense": "mpi_more_intense",
    "shorter_relief": "mpi_shorter_relief",
}
MPI_NUMBERS = {
    "worse_days": ("mpi_worse_days", 0.0, 7.0),
    "onset_before": ("mpi_onset_before", 0.0, 24.0),
    "onset_now": ("mpi_onset_now", 0.0, 24.0),
}
LABORATORY = ("ferritin", "iron", "tibc", "transferrin", "tsat", "hb", "crp")
IRON_NUMBERS = {"hour": ("iron_hour", 0.0, 24.0), "off_iron_h": ("off_iron_h", 0.0, 1e4)}
JHSS = ("jhss_onset_hour", "jhss_bedtime_hour", "jhss_total")
_DESIGN = ("arm", "visit", "week", "period", "sequence", "group", "dose_mg", "clock_h")
_TEXT = ("assay", "dx_body_parts")


def levodopa_columns(which: str = "vas") -> tuple[str, ...]:
    """Return the nine columns of a levodopa test (``vas`` symptoms, ``urge`` urge).

    Parameters
    ----------
    which : str
        ``vas`` or ``urge``.

    Returns
    -------
    tuple of str
        Nine names.
    """
    return tuple(f"ldopa_{which}_{minute:03d}" for minute in range(0, 121, 15))


@cache
def known() -> frozenset[str]:
    """Return every column name this room reads.

    Returns
    -------
    frozenset of str
        Names.
    """
    names = {*IDS, *JHSS, *LABORATORY, *_DESIGN, *_TEXT}
    for key in SCALES:
        names.update(scale(key).columns)
    for many in DX_ANSWERS.values():
        names.update(many)
    for many, _, _ in DX_NUMBERS.values():
        names.update(many)
    names.update(MPI_ANSWERS.values())
    names.update(c for c, _, _ in (*MPI_NUMBERS.values(), *IRON_NUMBERS.values()))
    names.update(f"dx_mimic_{m}" for m in known_mimics())
    names.update(f"dx_{p}_c{i}" for p in known_parts() for i in range(1, 5))
    names.update((*levodopa_columns("vas"), *levodopa_columns("urge")))
    return frozenset(names)


def is_known(column: str) -> bool:
    """Say whether this room reads a column.

    Parameters
    ----------
    column : str
        Name.

    Returns
    -------
    bool
        Whether it is.
    """
    return column in known()


def is_text(column: str) -> bool:
    """Say whether a column holds free text, which never goes into results.

    Parameters
    ----------
    column : str
        Name.

    Returns
    -------
    bool
        Whether it does.
    """
    return column == "assay"
