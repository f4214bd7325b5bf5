"""Parts of a long check that are kept when they are done, so that an interrupted run goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from ekbom import __version__
from ekbom.validate.result import Check


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
        return [Check(**row) for row in json.loads(file.read_text("utf-8"))]
    checks = make()
    folder.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text(json.dumps([asdict(c) for c in checks], default=float), "utf-8")
    part.replace(file)
    return checks
