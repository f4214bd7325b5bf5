"""Units as they are declared in files, turned into the room's own: kBq/mL and minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ekbom.errors import Refused

#: Declared unit of activity concentration -> factor to kBq/mL (1 Ci = 37 GBq exactly).
CONCENTRATION = {
    "Bq/mL": 1e-3,
    "kBq/mL": 1.0,
    "MBq/mL": 1e3,
    "nCi/mL": 0.037,
    "uCi/mL": 37.0,
}
_DOSE = {
    "Bq": 1.0,
    "kBq": 1e3,
    "MBq": 1e6,
    "GBq": 1e9,
    "uCi": 37e3,
    "mCi": 37e6,
}
_TIME = {
    "s": 1 / 60,
    "sec": 1 / 60,
    "second": 1 / 60,
    "seconds": 1 / 60,
    "min": 1.0,
    "minute": 1.0,
    "minutes": 1.0,
}
_KNOWN = "Bq/mL, BQML, kBq/mL, kBq/cc, MBq/mL, nCi/mL, uCi/mL"


def unwrap(value: Any) -> Any:
    """Return the element of a one-element list, anything else as it is.

    Some programs write every JSON value as a list (``["s"]``).
    """
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value


def _plain(unit: str) -> str:
    text = unit.strip().replace("µ", "u").replace("μ", "u").replace(" ", "")
    if text.upper() == "BQML":
        return "Bq/mL"
    for ending in ("/ml", "/cc", "/cm3", "/cm^3", "/ccm"):
        if text.endswith(ending):
            return text[: -len(ending)] + "/mL"
    return text


def concentration(
    unit: object,
    *,
    file: str | Path,
    field: str,
    bare_bq: bool = False,
) -> float:
    """Return the factor that turns a declared unit into kBq/mL.

    Parameters
    ----------
    unit : object
        As declared; ``None`` when nothing was declared.
    file, field : str or path
        Where it was declared, for the refusal.
    bare_bq : bool
        Whether ``Bq`` alone may stand for Bq/mL (bloodstream writes it so).

    Returns
    -------
    float
        Multiply the values by it.

    Raises
    ------
    Refused
        When the unit is absent or not known.
    """
    unit = unwrap(unit)
    if isinstance(unit, str):
        plain = _plain(unit)
        if plain in CONCENTRATION:
            return CONCENTRATION[plain]
        if bare_bq and plain == "Bq":
            return CONCENTRATION["Bq/mL"]
    raise Refused(
        "The unit of radioactivity is not declared."
        if unit is None or unit == ""
        else "The unit of radioactivity is not known.",
        file=file,
        field=field,
        found="nothing" if unit is None or unit == "" else repr(unit),
        expected=f"one of {_KNOWN}",
        mend="declare the unit the values were written in; a wrong one makes V_T wrong by 1000",
    )


def dose(value: object, unit: object) -> float | None:
    """Return an injected activity in Bq, or ``None`` when it cannot be told."""
    value, unit = unwrap(value), unwrap(unit)
    if not isinstance(value, int | float) or not isinstance(unit, str):
        return None
    factor = _DOSE.get(unit.strip().replace("µ", "u").replace("μ", "u"))
    return None if factor is None else float(value) * factor


def minutes(unit: object, *, file: str | Path, field: str) -> float:
    """Return the factor that turns a declared unit of time into minutes.

    Raises
    ------
    Refused
        When the unit is not known. Nothing declared means seconds (BIDS).
    """
    unit = unwrap(unit)
    if unit is None:
        return _TIME["s"]
    if isinstance(unit, str) and unit.strip().lower() in _TIME:
        return _TIME[unit.strip().lower()]
    raise Refused(
        "The unit of time is not known.",
        file=file,
        field=field,
        found=repr(unit),
        expected="s or min",
        mend="declare the unit of the times",
    )
