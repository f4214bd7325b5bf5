"""Phenotype tables with the names that the clinic reads, from the read-outs of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ekbom.disease import cohort as co
from ekbom.measures.clinic.io.columns import levodopa_columns
from ekbom.measures.clinic.mimics import listed_mimics
from ekbom.virtual import bids
from ekbom.virtual.cohort import IRLS_ITEMS
from ekbom.virtual.protocol import Sites

Array = NDArray[np.float64]
Cells = dict[str, Sequence[Any] | NDArray[Any]]

#: Coefficients of variation of laboratory values and of measurements (assumed).
FERRITIN_CV, HB_CV, TSAT_CV, TIBC_CV, TMS_CV = 0.08, 0.03, 0.10, 0.08, 0.175
#: Total iron-binding capacity of a typical adult, umol/L (assumed).
TIBC = 60.0
#: Resting motor threshold: mean and SD, % of the stimulator's output (assumed).
RMT = (45.0, 8.0)


@dataclass(frozen=True)
class PhenotypeTable:
    """One table: columns, and what its JSON says of them.

    Parameters
    ----------
    name : str
        File name without ending.
    cells : mapping of str to sequence
        Columns; ``None`` or NaN is ``n/a``.
    about : mapping of str to mapping
        JSON.
    whole : tuple of str
        Columns of which no cell is left out.
    """

    name: str
    cells: Cells
    about: Mapping[str, Mapping[str, Any]]
    whole: tuple[str, ...] = field(default=("participant_id", "session_id"))


def write_phenotype(
    root: Path, table: PhenotypeTable, rng: np.random.Generator, missing: float = 0.0
) -> None:
    """Write one table and its JSON, with a share of cells left out.

    Parameters
    ----------
    root : Path
        Raw study.
    table : PhenotypeTable
        What to write.
    rng : numpy.random.Generator
        Of the cells left out.
    missing : float
        Share.
    """
    cells: Cells = {}
    for name, column in table.cells.items():
        values = list(column)
        if missing > 0 and name not in table.whole:
            hole = rng.random(len(values)) < missing
            values = [None if h else v for v, h in zip(values, hole, strict=True)]
        cells[name] = values
    bids.write_tsv(root / "phenotype" / f"{table.name}.tsv", cells)
    about: dict[str, Any] = {
        "MeasurementToolMetadata": {"Description": f"{table.name}; simulated, no person was asked"}
    }
    about |= {k: dict(v) for k, v in table.about.items() if k in cells}
    bids.write_json(root / "phenotype" / f"{table.name}.json", about)


def ids(labels: Sequence[str], session: Sequence[str] | None = None) -> Cells:
    """Return the columns that say whose rows these are."""
    cells: Cells = {"participant_id": list(labels)}
    if session is not None:
        cells["session_id"] = list(session)
    return cells


_ID = {
    "participant_id": {"Description": "Person"},
    "session_id": {"Description": "Visit"},
}


def irls(first: Cells, answers: NDArray[np.int64]) -> PhenotypeTable:
    """Return the severity scale: ten answers by number, and their sum."""
    cells = dict(first)
    about: dict[str, Any] = dict(_ID)
    for k in range(IRLS_ITEMS):
        cells[f"irls_{k + 1:02d}"] = answers[:, k].tolist()
        about[f"irls_{k + 1:02d}"] = {"Description": f"Item {k + 1}; wording not shipped",
                                      "Units": "point"}  # fmt: skip
    cells["irls_total"] = answers.sum(axis=1).tolist()
    about["irls_total"] = {"Description": "Sum of the ten items", "Units": "point"}
    return PhenotypeTable("irls", cells, about)


def diagnosis(
    first: Cells, rng: np.random.Generator, rls: NDArray[np.bool_], mimic: Sequence[str]
) -> PhenotypeTable:
    """Return answers to the criteria: all met by patients, not all by others.

    Parameters
    ----------
    first : mapping
        Whose rows.
    rng : numpy.random.Generator
        Of the criterion that others do not meet.
    rls : (n,) array of bool
        Who has the disease.
    mimic : sequence of str
        What others have that resembles it; empty for none.
    """
    n = len(rls)
    fails = rng.integers(0, 4, n)
    cells = dict(first)
    about: dict[str, Any] = dict(_ID)
    for c in range(4):
        failed = ~rls & ((fails == c) | (np.array([m == "" for m in mimic]) & (c == 0)))
        cells[f"dx_c{c + 1}"] = ["no" if f else "yes" for f in failed]
        about[f"dx_c{c + 1}"] = {"Description": f"Diagnostic criterion {c + 1}"}
    for name in listed_mimics():
        cells[f"dx_mimic_{name}"] = ["yes" if m == name else "no" for m in mimic]
        about[f"dx_mimic_{name}"] = {"Description": f"Looked for and found: {name}"}
    cells["dx_coexisting"] = ["no"] * n
    about["dx_coexisting"] = {"Description": "Both at once"}
    cells["dx_frequency"] = [int(k) if r else 0 for k, r in zip(rng.integers(2, 8, n), rls,
                                                               strict=True)]  # fmt: skip
    about["dx_frequency"] = {"Description": "Days a week with symptoms", "Units": "d"}
    return PhenotypeTable("diagnosis", cells, about)


def iron(
    first: Cells, rng: np.random.Generator, table: Mapping[str, Array], factor: Array, site: Any
) -> PhenotypeTable:
    """Return blood values of a morning, as each site's assay reads them.

    Parameters
    ----------
    first : mapping
        Whose rows.
    rng : numpy.random.Generator
        Of the measurement.
    table : mapping of str to (n,) array
        Read-outs of the model.
    factor : (n,) array
        Of the site's ferritin assay.
    site : sequence of str
        Name of it.
    """
    n = factor.size

    def wobble(cv: float) -> Array:
        return np.asarray(np.exp(cv * rng.standard_normal(n)))

    tibc = TIBC * np.exp(0.12 * rng.standard_normal(n))
    tsat = np.clip(table["tsat_percent@8"] * wobble(TSAT_CV), 1.0, 95.0)
    cells = dict(first)
    cells["ferritin"] = np.round(table["ferritin@8"] * factor * wobble(FERRITIN_CV), 1)
    cells["iron"] = np.round(tsat / 100.0 * tibc, 2)
    cells["tibc"] = np.round(tibc, 2)
    cells["tsat"] = np.round(np.asarray(cells["iron"]) / np.asarray(cells["tibc"]) * 100.0, 1)
    cells["hb"] = np.round(table["hb@8"] * wobble(HB_CV), 1)
    cells["crp"] = np.round(np.exp(rng.normal(0.2, 0.7, n)), 1)
    cells["iron_hour"] = [8.0] * n
    cells["assay"] = [f"assay of site {s}" for s in site]
    about = dict(_ID) | {
        "ferritin": {"Description": "Serum ferritin", "Units": "ug/L"},
        "iron": {"Description": "Serum iron", "Units": "umol/L"},
        "tibc": {"Description": "Total iron-binding capacity", "Units": "umol/L"},
        "tsat": {"Description": "Transferrin saturation", "Units": "%"},
        "hb": {"Description": "Haemoglobin", "Units": "g/dL"},
        "crp": {"Description": "C-reactive protein", "Units": "mg/L"},
        "iron_hour": {"Description": "Clock hour of the sample", "Units": "h"},
        "assay": {"Description": "Assay of ferritin"},
    }
    return PhenotypeTable("iron", cells, about)


def genotype(first: Cells, table: Mapping[str, Array]) -> PhenotypeTable:
    """Return the number of risk alleles of each locus of the model."""
    cells = dict(first)
    about: dict[str, Any] = dict(_ID)
    for locus in co.data("population")["locus"]:
        cells[locus["id"]] = np.asarray(table[locus["id"]]).astype(int).tolist()
        about[locus["id"]] = {"Description": f"Risk alleles of {locus['variant']}",
                              "Levels": {"0": "none", "1": "one", "2": "two"}}  # fmt: skip
    return PhenotypeTable("genotype", cells, about)


def tms(first: Cells, rng: np.random.Generator, table: Mapping[str, Array]) -> PhenotypeTable:
    """Return cortical excitability of the evening."""
    n = len(table["csp@18"])
    cells = dict(first)
    cells["tms_rmt"] = np.round(np.clip(rng.normal(*RMT, n), 20.0, 95.0), 1)
    for name, key in (("tms_csp", "csp@18"), ("tms_sici", "sici@18")):
        wobble = np.exp(TMS_CV * rng.standard_normal(n))
        cells[name] = np.round(np.asarray(table[key]) * wobble, 3)
    about = dict(_ID) | {
        "tms_rmt": {"Description": "Resting motor threshold", "Units": "%"},
        "tms_csp": {"Description": "Cortical silent period", "Units": "ms"},
        "tms_sici": {"Description": "Short-interval intracortical inhibition", "Units": "1"},
    }
    return PhenotypeTable("tms", cells, about)


def levodopa(first: Cells, symptoms: Array, urge: Array) -> PhenotypeTable:
    """Return readings of a levodopa test, (n, 9) each, 0 to 100."""
    cells = dict(first)
    about: dict[str, Any] = dict(_ID)
    for which, values in (("vas", symptoms), ("urge", urge)):
        for k, name in enumerate(levodopa_columns(which)):
            cells[name] = np.clip(np.round(values[:, k]), 0, 100).astype(int).tolist()
            what = "symptoms" if which == "vas" else "urge"
            about[name] = {"Description": f"Analogue scale of {what}, {15 * k} min after the dose",
                           "Units": "0 to 100"}  # fmt: skip
    return PhenotypeTable("levodopa", cells, about)


def cgi(first: Cells, severity: Sequence[int], change: Sequence[int | None]) -> PhenotypeTable:
    """Return the clinician's global impression: severity, and change since the baseline."""
    about = dict(_ID) | {
        "cgi_s": {"Description": "Severity, 1 to 7", "Units": "point"},
        "cgi_i": {"Description": "Change since the baseline, 1 (very much better) to 7",
                  "Units": "point"},
    }  # fmt: skip
    return PhenotypeTable("cgi", {**first, "cgi_s": severity, "cgi_i": change}, about)


def brain_iron(
    first: Cells, rng: np.random.Generator, table: Mapping[str, Array]
) -> PhenotypeTable:
    """Return R2* of the substantia nigra."""
    n = len(table["r2s_sn@10"])
    value = np.asarray(table["r2s_sn@10"]) * np.exp(0.05 * rng.standard_normal(n))
    about = dict(_ID) | {"r2s_sn": {"Description": "R2* of the substantia nigra, 3 T",
                                    "Units": "1/s"}}  # fmt: skip
    return PhenotypeTable("brainiron", {**first, "r2s_sn": np.round(value, 2)}, about)


def sites(rng: np.random.Generator, n: int, known: Sites) -> tuple[list[str], Array]:
    """Return the site of each person and the factor of its ferritin assay."""
    which = rng.integers(0, len(known.names), n)
    return [known.names[k] for k in which], np.array(known.assay_factor)[which]
