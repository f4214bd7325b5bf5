"""PSG-IPA: one night, several scorers, one file each (doi:10.13026/esx0-nw71, CC BY 4.0)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ekbom.errors import Refused
from ekbom.measures.legs.io.annotations import Annotations
from ekbom.measures.legs.io.edf import read_annotations

_NAME = re.compile(r"(?P<night>[A-Za-z]+\d+)_(?P<what>.+)_manual_scorer(?P<scorer>\d+)\.edf$")


@dataclass(frozen=True)
class Scoring:
    """What one scorer said of one night.

    Parameters
    ----------
    night, what : str
        ``SN1``; ``SleepStages``, or what the file name says.
    scorer : int
    said : Annotations
    """

    night: str
    what: str
    scorer: int
    said: Annotations


def read_scorers(folder: str | Path, night: str | None = None) -> list[Scoring]:
    """Return every scoring of a folder, by night, kind and scorer.

    Parameters
    ----------
    folder : path-like
    night : str, optional
        One night only.

    Returns
    -------
    list of Scoring

    Raises
    ------
    Refused
        No file of this naming is there.
    """
    found = []
    for path in sorted(Path(folder).glob("*.edf")):
        name = _NAME.match(path.name)
        if name is None or (night is not None and name["night"] != night):
            continue
        said = read_annotations(path)
        found.append(Scoring(name["night"], name["what"], int(name["scorer"]), said))
    if not found:
        raise Refused(
            "No scoring of PSG-IPA is in this folder.",
            file=folder,
            expected="files such as SN1_SleepStages_manual_scorer1.edf",
        )
    return found
