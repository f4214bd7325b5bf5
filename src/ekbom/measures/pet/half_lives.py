"""Physical half-lives of the PET nuclides: one table for analysis and simulation."""

from __future__ import annotations

import functools
import re
import tomllib
from importlib import resources

from ekbom.errors import Refused
from ekbom.measures.pet.quantity import Quantity

#: ``C11``, ``C-11``, ``[11C]``, ``11c`` and ``Carbon-11`` all mean ``11C``.
_MASS_FIRST = re.compile(r"^(\d+)-?([A-Za-z]+)$")
_SYMBOL_FIRST = re.compile(r"^([A-Za-z]+)-?(\d+)$")
_NAMES = {"carbon": "C", "nitrogen": "N", "oxygen": "O", "fluorine": "F", "gallium": "Ga"}


@functools.cache
def half_lives() -> dict[str, Quantity]:
    """Return the table: nuclide (``"11C"``) to half-life in minutes.

    Returns
    -------
    dict of str to Quantity
        With unit, status and source of each value.
    """
    text = (resources.files("ekbom.measures.pet") / "half_lives.toml").read_text("utf-8")
    return {name: Quantity(**entry) for name, entry in tomllib.loads(text).items()}


def nuclide(text: str) -> str:
    """Return the name of a nuclide as the table has it.

    Parameters
    ----------
    text : str
        ``"11C"``, ``"C11"``, ``"C-11"``, ``"[11C]"``, ``"Carbon-11"`` ...

    Returns
    -------
    str
        ``"11C"``.

    Raises
    ------
    Refused
        When it is not in the table.

    Examples
    --------
    >>> nuclide("C-11"), nuclide("[18F]"), nuclide("fluorine-18")
    ('11C', '18F', '18F')
    """
    word = text.strip().strip("[]").replace("^", "")
    if found := _MASS_FIRST.match(word):
        mass, symbol = found.group(1), found.group(2)
    elif found := _SYMBOL_FIRST.match(word):
        symbol, mass = found.group(1), found.group(2)
    else:
        mass = symbol = ""
    name = mass + _NAMES.get(symbol.lower(), symbol.capitalize())
    if name not in half_lives():
        raise Refused(
            "The nuclide is not in the table of half-lives.",
            field="TracerRadionuclide",
            found=repr(text),
            expected=", ".join(half_lives()),
            mend="state RadionuclideHalfLife (s) in the sidecar, or correct the name",
        )
    return name


def half_life(name: str) -> float:
    """Return the half-life of a nuclide in minutes.

    Parameters
    ----------
    name : str
        Any spelling that :func:`nuclide` knows.

    Returns
    -------
    float
        Half-life in minutes.

    Raises
    ------
    Refused
        When the nuclide is not in the table.

    Examples
    --------
    >>> half_life("11C")
    20.364
    """
    value = half_lives()[nuclide(name)].value
    assert isinstance(value, float)
    return value
