"""What SUV divides by: injected activity and weight, read with their units or refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ekbom.errors import Refused
from ekbom.measures.pet.dose import Injected
from ekbom.measures.pet.io import units
from ekbom.measures.pet.io.text import read_json

#: Fields that may hold the injected activity.
DOSES = ("InjectedRadioactivity", "RadionuclideTotalDose")
#: Share by which the two may differ without a word.
TOLERANCE = 0.02
# Folders of a scan that may lie inside the study's: pet, ses, sub.
_ABOVE = 4
# kg for one of the declared units
_KILOGRAMS = {"kg": 1.0, "kilogram": 1.0, "kilograms": 1.0, "g": 1e-3, "lb": 0.45359237}


def injected(
    data: Mapping[str, Any],
    file: Path,
    *,
    dose_from: str | None,
    weight: float | None,
    weight_from: str,
) -> Injected:
    """Read the injected activity of a scan, at injection as BIDS has it, and the weight.

    Parameters
    ----------
    data : mapping
        ``_pet.json`` of the scan, inherited fields included.
    file : Path
        For messages.
    dose_from : str or None
        Field of :data:`DOSES`; the only one, or the one of both that agree, by default.
    weight : float or None
        kg, from the participants table; the scan's own ``PatientWeight`` (DICOM: kg) wins.
    weight_from : str
        Where that weight stands.

    Returns
    -------
    Injected

    Raises
    ------
    Refused
        When an activity or a weight is missing, or two activities differ by more than 2 %.
    """
    found = {
        DOSES[0]: units.dose(data.get(DOSES[0]), data.get("InjectedRadioactivityUnits")),
        DOSES[1]: units.dose(data.get(DOSES[1]), "Bq"),
    }
    there = {name: value for name, value in found.items() if value}
    if dose_from is not None:
        there = {name: value for name, value in there.items() if name == dose_from}
    if not there:
        raise Refused(
            "SUV needs the injected activity.",
            file=file,
            field=dose_from or DOSES[0],
            found="nothing, or no unit",
            expected=f"{DOSES[0]} with InjectedRadioactivityUnits (Bq, kBq, MBq, mCi ...)",
            mend="add the field to the scan's JSON",
        )
    values = list(there.values())
    if len(values) == 2 and abs(values[0] / values[1] - 1) > TOLERANCE:
        raise Refused(
            "Two fields state different injected activities, and SUV divides by one of them.",
            file=file,
            field=" and ".join(there),
            found=", ".join(f"{name} {value / 1e6:.1f} MBq" for name, value in there.items()),
            expected=f"the same within {TOLERANCE:.0%}",
            mend='say which is right: dose_from = "InjectedRadioactivity" (or'
            ' "RadionuclideTotalDose") in [measures.pet]',
        )
    name = next(iter(there))
    own = units.unwrap(data.get("PatientWeight"))
    if isinstance(own, int | float) and not isinstance(own, bool) and own > 0:
        weight, weight_from = float(own), "PatientWeight"
    if weight is None or not weight > 0:
        raise Refused(
            "SUV needs the weight of the person.",
            file=file,
            field="PatientWeight",
            found="nothing there, and no weight in kg in participants.tsv",
            expected="PatientWeight (kg) in the scan's JSON, or a column weight in participants.tsv"
            " whose unit participants.json declares (kg, g or lb)",
            mend="add one of the two",
        )
    return Injected(there[name] / 1e6, weight, name, weight_from)


def declared_weight(row: Mapping[str, Any], description: Mapping[str, Any]) -> float | None:
    """Return the weight of a participants table in kg, when its unit is declared.

    Parameters
    ----------
    row : mapping
        Of the person.
    description : mapping
        ``participants.json``.

    Returns
    -------
    float or None
        ``None`` without a number or without a declared unit: a weight is never guessed
        to be in kg.
    """
    about = description.get("weight")
    unit = units.unwrap(about.get("Units")) if isinstance(about, Mapping) else None
    factor = _KILOGRAMS.get(unit.strip().lower()) if isinstance(unit, str) else None
    try:
        value = float(row["weight"])
    except (KeyError, TypeError, ValueError):
        return None
    return value * factor if factor is not None and np.isfinite(value) else None


def weight_beside(image: Path) -> float | None:
    """Return the weight of the person of a scan that lies in a BIDS study, in kg.

    Parameters
    ----------
    image : Path
        Whose name begins with ``sub-``.

    Returns
    -------
    float or None
        Of ``participants.tsv`` in a folder above; ``None`` without one, without a row, or
        when its unit is not declared.
    """
    person = image.name.partition("_")[0]
    for folder in list(image.absolute().parents)[:_ABOVE]:
        table = folder / "participants.tsv"
        if not table.is_file():
            continue
        rows = pd.read_csv(table, sep="\t", dtype=str, na_values="n/a")
        if "participant_id" not in rows:
            return None
        rows = rows[rows["participant_id"] == person]
        described = folder / "participants.json"
        about = read_json([described]) if described.is_file() else {}
        row = {str(name): value for name, value in rows.iloc[0].items()} if len(rows) else {}
        return declared_weight(row, about)
    return None
