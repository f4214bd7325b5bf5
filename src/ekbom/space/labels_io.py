"""Label files of this room: ``*_dseg.nii.gz`` with ``*_dseg.tsv``."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from ekbom.errors import Refused
from ekbom.space import checks
from ekbom.space.io import read_volume
from ekbom.space.labels import LabelImage


def read_labels(
    path: str | Path,
    table: str | Path | None = None,
    *,
    segmentation: str | None = None,
    space: str | None = None,
) -> LabelImage:
    """Read a label image and its table of names.

    Parameters
    ----------
    path : path-like
        ``*_dseg.nii.gz``.
    table : path-like, optional
        ``*_dseg.tsv`` with the columns ``index`` and ``name``; the file of the
        same stem by default.
    segmentation, space : str, optional
        From the file name by default: the first of ``seg-``, ``atlas-`` and
        ``desc-`` (``dseg`` without any), and ``space-``.

    Returns
    -------
    LabelImage
        With notes on rows without voxels and labels without rows.

    Raises
    ------
    Refused
        Labels that are not whole numbers, an index or name listed twice, a
        table without the two columns, a missing table.
    """
    path = Path(path)
    stem = path.name.removesuffix(".gz").removesuffix(".nii")
    rows = path.with_name(stem + ".tsv") if table is None else Path(table)
    entities = dict(part.split("-", 1) for part in stem.split("_") if "-" in part)
    named = next((entities[k] for k in ("seg", "atlas", "desc") if k in entities), "dseg")
    names = _read_label_table(rows, image=path)
    volume = read_volume(path)
    try:
        return LabelImage(
            volume.values,  # type: ignore[arg-type]  # checked and converted by the class
            volume.grid,
            names,
            segmentation or named,
            space or entities.get("space", ""),
            volume.notes,
        )
    except Refused as no:
        file = rows if no.field == "name" else path
        raise Refused(
            no.what, file=file, field=no.field, found=no.found, expected=no.expected, mend=no.mend
        ) from no


def label_table_bytes(names: Mapping[int, str]) -> bytes:
    """Return a ``dseg.tsv``.

    Parameters
    ----------
    names : mapping of int to str
        Label to name.

    Returns
    -------
    bytes
        Columns index and name, in order of the labels.
    """
    lines = ["index\tname", *(f"{k}\t{names[k]}" for k in sorted(names))]
    return ("\n".join(lines) + "\n").encode()


def _read_label_table(path: Path, *, image: Path) -> dict[int, str]:
    if not path.is_file():
        raise checks.LABEL_TABLE_MISSING.refused(file=image, found=f"no {path.name}")
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
    except (UnicodeDecodeError, csv.Error) as fault:
        raise checks.LABEL_TABLE.refused(file=path, found=str(fault)) from fault
    columns = list(rows[0]) if rows else []
    if not {"index", "name"} <= set(columns):
        raise checks.LABEL_TABLE.refused(file=path, found=", ".join(map(str, columns)) or "no row")
    names: dict[int, str] = {}
    for number, row in enumerate(rows, start=2):
        try:
            label = int(row["index"])
        except (TypeError, ValueError) as fault:
            raise checks.LABEL_TABLE.refused(
                file=path, field=f"index, line {number}", found=repr(row["index"])
            ) from fault
        name = (row["name"] or "").strip()
        if not name:
            raise checks.LABEL_TABLE.refused(
                file=path, field=f"name, line {number}", found="no name"
            )
        if label in names:
            raise checks.LABEL_TWICE.refused(file=path, found=f"{label} (line {number})")
        names[label] = name
    return names
