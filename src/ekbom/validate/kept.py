"""Parts of a long check that are kept when they are done, so that an interrupted run goes on.

Beside a part stands the digest of the code that made it. A part of other code is used all the
same, since it may have taken hours, but every number of it says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from ekbom import __version__
from ekbom.study.store import sources
from ekbom.validate.result import Check

OTHER_CODE = "kept, made by other code: run again in a new folder"
"""What a number says whose part was not made by the code that reads it."""
_ROOMS = ("ekbom.inference", "ekbom.measures", "ekbom.validate")


def once(name: str, make: Callable[[], list[Check]], folder: Path | None) -> list[Check]:
    """Make the checks of a part, or read what it found before.

    Parameters
    ----------
    name : str
        Of the part, with all that its numbers hang on (counts, seed); letters and digits of it
        name the file, the version of the program too.
    make : callable
        Makes them.
    folder : Path, optional
        Where they are kept; without one nothing is.

    Returns
    -------
    list of Check
        As made.
    """
    if folder is None:
        return make()
    words = "-".join("".join(c if c.isalnum() else " " for c in name).split())
    file = folder / f"{words}-v{__version__}.json"
    if file.exists():
        return said_of(file, [Check(**row) for row in json.loads(file.read_text("utf-8"))])
    checks = make()
    folder.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text(json.dumps([asdict(c) for c in checks], default=float), "utf-8")
    part.replace(file)
    stamp(file)
    return checks


def stamp(file: Path) -> None:
    """Write beside a part which code made it.

    Parameters
    ----------
    file : Path
        The part.
    """
    _stamp(file).write_text(sources(*_ROOMS) + "\n", "utf-8")


def of_this_code(file: Path) -> bool:
    """Tell whether the code that runs made a part.

    Parameters
    ----------
    file : Path
        The part.

    Returns
    -------
    bool
        False as well when it is not known.
    """
    beside = _stamp(file)
    return beside.is_file() and beside.read_text("utf-8").strip() == sources(*_ROOMS)


def said_of(file: Path, checks: list[Check]) -> list[Check]:
    """Return the checks of a part; those of other code say so.

    Parameters
    ----------
    file : Path
        The part.
    checks : list of Check
        Read from it.

    Returns
    -------
    list of Check
        The same numbers.
    """
    if of_this_code(file):
        return checks
    return [replace(c, note="; ".join(filter(None, (c.note, OTHER_CODE)))) for c in checks]


def _stamp(file: Path) -> Path:
    return file.with_name(file.name + ".code")
