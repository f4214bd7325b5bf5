"""Whatever holds annotations, by the ending of its name."""

from __future__ import annotations

from pathlib import Path

from ekbom.errors import Refused
from ekbom.measures.legs.io.annotations import Annotations
from ekbom.measures.legs.io.cap import is_cap, read_cap
from ekbom.measures.legs.io.dreams import is_dreams, read_dreams
from ekbom.measures.legs.io.edf import read_annotations
from ekbom.measures.legs.io.foreign import FOREIGN, read_foreign
from ekbom.measures.legs.io.nsrr import read_nsrr
from ekbom.measures.legs.io.slpdb import read_slpdb
from ekbom.measures.legs.io.table import read_table


def read(path: str | Path, *, kind: str | None = None) -> Annotations:
    """Return what a file of annotations says.

    Parameters
    ----------
    path : path-like
        ``.edf``, ``.bdf`` (EDF+, BDF+), ``.xml`` (NSRR), ``.tsv``, ``.csv`` or ``.txt``
        (tables; text of the CAP and DREAMS databases), ``.st`` (MIT-BIH), ``.set`` and
        others of MNE (extra ``mne``).
    kind : {"resp"}, optional
        What rows of a table without words are.

    Returns
    -------
    Annotations

    Raises
    ------
    Refused
        For another ending, or a file that cannot be read.
    """
    path = Path(path)
    if not path.is_file():
        raise Refused("The file is not there.", file=path, expected="EDF+, NSRR XML or a table")
    ending = path.suffix.lower()
    if ending in (".edf", ".bdf"):
        return read_annotations(path)
    if ending == ".xml":
        return read_nsrr(path)
    if ending == ".st":
        return read_slpdb(path)
    if ending == ".txt":
        with path.open("rb") as stream:
            head = stream.read(65_536).decode("utf-8", errors="replace")
        if is_dreams(head):
            return read_dreams(path)
        if is_cap(head):
            return read_cap(path)
    if ending in (".tsv", ".csv", ".txt"):
        return read_table(path, kind=kind)
    if ending in FOREIGN:
        return read_foreign(path)
    raise Refused(
        "The format of the file is not known.",
        file=path,
        found=ending or "no ending",
        expected=".edf (EDF+), .xml (NSRR), .tsv or .csv, .txt (CAP, DREAMS), .st (MIT-BIH)",
    )
