"""Names at places of maps: from a label image of the study, a file of one's own, or AAL3."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ekbom.inference import Answer
from ekbom.space.atlas import atlas, atlas_files
from ekbom.space.checks import SPACE_MISMATCH_NOTE
from ekbom.space.labels import LabelImage
from ekbom.study.files import sha256
from ekbom.study.index import Study


def labels_for(segmentation: str | None, space: str, study: Study) -> Path | None:
    """Find the label image that names places of maps.

    Parameters
    ----------
    segmentation : str, optional
        Of the question: the ``seg-``, ``atlas-`` or ``desc-`` of a label image of the study, a
        file relative to the BIDS folder, or ``"AAL3"`` of the installed package.
    space : str
        Of the maps.
    study : Study
        Where to look.

    Returns
    -------
    Path or None
        One of all people before one of a person; None without any.

    Raises
    ------
    Refused
        When AAL3 is asked for and not installed.
    """
    hits = [
        file
        for extension in (".nii.gz", ".nii")
        for file in study.find(suffix="dseg", extension=extension)
        if file.entities.get("space", file.entities.get("tpl")) == space
        and file.scope != "truth"
        and atlas_files(file.path)[1].is_file()
    ]
    if segmentation is not None:
        hits = [
            file
            for file in hits
            if segmentation in (file.entities.get(k) for k in ("seg", "atlas", "desc"))
        ]
    hits.sort(key=lambda file: ("sub" in file.entities, str(file.path)))
    if hits:
        return hits[0].path
    if segmentation is not None and segmentation.upper() == "AAL3":
        return atlas_files("AAL3")[0]
    if segmentation is not None and (study.root / segmentation).is_file():
        return study.root / segmentation
    return None


def labels_digest(path: Path) -> list[str]:
    """SHA-256 of a label image and of its names.

    Parameters
    ----------
    path : Path
        The image.

    Returns
    -------
    list of str
        Two.
    """
    return [sha256(one) for one in atlas_files(path)]


def namer(labels: LabelImage) -> Callable[[float, float, float], str]:
    """Return what names a place.

    Parameters
    ----------
    labels : LabelImage
        Label image.

    Returns
    -------
    callable
        From RAS+ mm to a name, empty where there is none.
    """

    def name(x: float, y: float, z: float) -> str:
        return labels.at(np.array([x, y, z])).name

    return name


def told_space(answer: Answer, labels: Path | str | None, space: str) -> Answer:
    """Say with an answer that its names were drawn in another space than its maps.

    Parameters
    ----------
    answer : Answer
        Of maps.
    labels : path-like, optional
        Label image.
    space : str
        Of the maps.

    Returns
    -------
    Answer
        With one more warning, or as it was.
    """
    if labels is None:
        return answer
    image = atlas(labels)
    if image.space in ("", space) or space == "unknown":
        return answer
    text = SPACE_MISMATCH_NOTE.format(what=image.segmentation, theirs=image.space, mine=space)
    meta = {**answer.meta, "warnings": [*answer.meta.get("warnings", []), text]}
    return dataclasses.replace(answer, meta=meta)
