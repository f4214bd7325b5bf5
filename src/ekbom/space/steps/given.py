"""Settings and files that the steps share."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ekbom.errors import Refused
from ekbom.nouns import Attachment, Note, Score
from ekbom.space import checks
from ekbom.space.assess import Number
from ekbom.space.image import Volume
from ekbom.space.io import read_volume
from ekbom.space.settings import HeaderSettings
from ekbom.space.transform import Affine, Chain, Transform
from ekbom.space.transforms_io import itk_text_bytes, read_transform, write_itk_h5, write_x5

DIRECTION = "maps points of the image named in To (RAS, mm) to points of the image named in From"


class WaySettings(HeaderSettings):
    """What a way from one image to another depends on."""

    backend: str = "auto"
    template: str
    formats: tuple[Literal["itk", "x5"], ...] = ("itk",)
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Way:
    """A transform and its inverse, from files.

    Parameters
    ----------
    transform : Transform
        From points of the reference to points of the image.
    inverse : Transform
        The other way.
    name : str
        File of the transform, for sidecars.
    """

    transform: Transform
    inverse: Transform
    name: str


def head_of(path: Path, settings: HeaderSettings) -> Volume:
    """Read a 3-D image and refuse what holds no head.

    Parameters
    ----------
    path : Path
        NIfTI file.
    settings : HeaderSettings
        How doubtful headers are read.

    Returns
    -------
    Volume
        float64.

    Raises
    ------
    Refused
        Unreadable, 4-D, without orientation, constant, or absurd values.
    """
    volume = read_volume(path, trust=settings.trust, assume_affine=settings.assume_affine)
    values = np.asarray(volume.values, dtype=np.float64)
    checks.require_values(values[np.isfinite(values)], file=path)
    return volume


def way_files(
    moving: str,
    fixed: str,
    transform: Transform,
    inverse: Transform,
    formats: Sequence[str],
    meta: Mapping[str, Any],
) -> list[Attachment]:
    """Return a transform and its inverse as files.

    Parameters
    ----------
    moving, fixed : str
        Labels of the images (``T1w``, ``PET``, a space).
    transform, inverse : Transform
        From points of the fixed image to points of the moving one, and back.
    formats : sequence of str
        ``"itk"``, ``"x5"``.
    meta : mapping
        For the sidecars.

    Returns
    -------
    list of Attachment
        ``from-<moving>_to-<fixed>_mode-image_xfm`` and the other way round.
    """
    out = []
    for a, b, one in ((moving, fixed, transform), (fixed, moving, inverse)):
        said = {"From": a, "To": b, "Direction": DIRECTION, **meta}
        name = f"from-{a}_to-{b}_mode-image_xfm"
        out.append(Attachment(name, transform_bytes(one, formats), said))
    return out


def transform_bytes(transform: Transform, formats: Sequence[str]) -> dict[str, bytes]:
    """Return a transform in several formats.

    Parameters
    ----------
    transform : Transform
        Matrices go to ITK text, what holds a field to ITK HDF5.
    formats : sequence of str
        ``"itk"``, ``"x5"``.

    Returns
    -------
    dict of str to bytes
        By extension.
    """
    parts = transform.parts if isinstance(transform, Chain) else (transform,)
    linear = all(isinstance(part, Affine) for part in parts)
    out: dict[str, bytes] = {}
    if linear:
        out[".txt"] = itk_text_bytes(transform)
    writers = {} if linear else {".h5": write_itk_h5}
    if "x5" in formats:
        writers[".x5"] = write_x5
    for extension, write in writers.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"transform{extension}"
            write(transform, path)
            out[extension] = path.read_bytes()
    return out


def way_of(paths: Sequence[Path], moving: str, fixed: str) -> Way:
    """Read a way from the files of a step, or from a transform made elsewhere.

    Parameters
    ----------
    paths : sequence of Path
        Files of a step; or one or two transform files of a derivative.
    moving, fixed : str
        Labels of the images.

    Returns
    -------
    Way
        The inverse is computed where its file is not there.

    Raises
    ------
    Refused
        When a file cannot be read, or no inverse can be had.
    """

    def pick(a: str, b: str) -> Path | None:
        ends = (".txt", ".tfm", ".h5", ".nii.gz", ".x5", ".lta")
        want = f"from-{a}_to-{b}_".lower()
        known = [p for p in paths if want in p.name.lower().replace("petref", "pet")]
        known = [p for p in known if p.name.endswith(ends)]
        return min(
            known, key=lambda p: [p.name.endswith(e) for e in ends].index(True), default=None
        )

    there = pick(moving, fixed)
    if there is None:
        raise Refused(
            "There is no transform among the files.",
            found=", ".join(p.name for p in paths),
            expected=f"from-{moving}_to-{fixed}_..._xfm",
        )
    back = pick(fixed, moving)
    transform = read_transform(there)
    return Way(
        transform, read_transform(back) if back is not None else transform.inverse(), there.name
    )


def own_instead(asked: str, what: str) -> list[Note]:
    """Say that our own backend did a step although another was asked for.

    Parameters
    ----------
    asked : str
        Backend of the plan.
    what : str
        The step, in words.

    Returns
    -------
    list of Note
        Empty when our own was asked for.
    """
    if asked in ("auto", "numba"):
        return []
    text = f"{what} is done by our own backend (numba); {asked} is used for T1w to template only"
    return [Note("backend", text)]


def scores(numbers: Sequence[Number], step: str) -> list[Score]:
    """Return numbers of quality control as rows of ``measures.tsv``.

    Parameters
    ----------
    numbers : sequence of Number
        The numbers.
    step : str
        ``"T1w-to-template"``; becomes the method.

    Returns
    -------
    list of Score
        In order.
    """
    return [Score(one.name, one.value, one.unit, method=step) for one in numbers]


def once(notes: Sequence[Note]) -> tuple[Note, ...]:
    """Return notes without repeats."""
    return tuple(dict.fromkeys(notes))
