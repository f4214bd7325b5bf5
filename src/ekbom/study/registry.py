"""The measures that a plan may name, by name.

A measure is registered here or by any installed package through the entry-point
group ``ekbom.measures`` (``name = "module:Class"``). Nothing is imported before
it is asked for, so that listing the measures costs nothing.
"""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points
from typing import cast

from ekbom.errors import Refused
from ekbom.nouns import Measure
from ekbom.study.words import choices, did_you_mean

#: Measures of this package: name in the plan to ``module:Class``.
BUILT_IN: dict[str, str] = {
    "pet": "ekbom.measures.pet.measure:PETMeasure",
    "clinic": "ekbom.measures.clinic.measure:ClinicMeasure",
    "legs": "ekbom.measures.legs.measure:LegsMeasure",
}


def places() -> dict[str, str]:
    """Return every registered measure as ``name -> "module:Class"``.

    Returns
    -------
    dict of str to str
        Built-in ones first; an entry point cannot take a built-in's name.
    """
    found = dict(BUILT_IN)
    for entry in sorted(entry_points(group="ekbom.measures"), key=lambda e: e.name):
        found.setdefault(entry.name, entry.value)
    return found


def load(place: str) -> Measure:
    """Import ``module:Class`` and make the measure.

    Parameters
    ----------
    place : str
        Where the class is; worker processes are told this, not the object.

    Returns
    -------
    Measure
        A fresh instance.
    """
    module, _, name = place.partition(":")
    return cast(Measure, getattr(importlib.import_module(module), name)())


def measure(name: str, *, file: str | None = None) -> Measure:
    """Return the measure of this name.

    Parameters
    ----------
    name : str
        Key in the plan, ``[measures.<name>]``.
    file : str, optional
        The plan, for the message.

    Returns
    -------
    Measure
        A fresh instance.

    Raises
    ------
    Refused
        No measure has this name.
    """
    known = places()
    if name not in known:
        raise Refused(
            f"there is no measure called {name!r}",
            file=file,
            field=f"measures.{name}",
            found=name,
            expected=choices(known),
            mend=did_you_mean(name, known) or "name one of the registered measures",
        )
    return load(known[name])
