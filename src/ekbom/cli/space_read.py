"""Options by which the `ekbom space` commands read images, and how they do it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cyclopts import Parameter
from rich.console import Console

from ekbom.errors import Refused

if TYPE_CHECKING:
    from ekbom.space.image import Volume
    from ekbom.space.io import Header
    from ekbom.space.transform import Transform

_out = Console(highlight=False, soft_wrap=True)


@Parameter(name="*")
@dataclass(frozen=True)
class Reading:
    """How headers that leave a doubt are read.

    Parameters
    ----------
    trust
        Which of the two is right in images where sform and qform differ.
    assume_affine
        `header`: believe the header of an image whose sform_code and qform_code are both 0.
    """

    trust: Literal["sform", "qform"] | None = None
    assume_affine: Literal["header"] | None = None

    def header(self, path: str | Path) -> Header:
        """Read and check a header.

        Parameters
        ----------
        path : path-like
            NIfTI file.

        Returns
        -------
        ekbom.space.io.Header
            With its notes.
        """
        from ekbom.space.io import read_header

        return read_header(path, trust=self.trust, assume_affine=self.assume_affine is not None)

    def volume(self, path: str | Path, volume: int | None = None) -> Volume:
        """Read a 3-D image, or one volume of a 4-D image.

        Parameters
        ----------
        path : path-like
            NIfTI file.
        volume : int, optional
            Counted from 1.

        Returns
        -------
        ekbom.space.image.Volume
            float64.
        """
        from ekbom.space.io import read_volume

        return read_volume(
            path, volume=volume, trust=self.trust, assume_affine=self.assume_affine is not None
        )

    def mask(self, path: str | Path, like: Volume, of: object) -> Volume:
        """Read a mask that must lie on the grid of an image.

        Parameters
        ----------
        path : path-like
            NIfTI file.
        like : ekbom.space.image.Volume
            The image.
        of : object
            Its file, for the message.

        Returns
        -------
        ekbom.space.image.Volume
            Boolean.
        """
        from ekbom.space.io import read_mask

        mask = read_mask(path, trust=self.trust, assume_affine=self.assume_affine is not None)
        like.grid.require(mask.grid, mine=of, theirs=path)
        return mask


def read_chain(
    files: list[Path] | None, turned: list[Path] | None
) -> tuple[list[Transform], list[str]]:
    """Read transforms in the order from the image to the reference.

    Parameters
    ----------
    files : list of Path or None
        Transform files.
    turned : list of Path or None
        Those of them that are turned round.

    Returns
    -------
    parts : list of Transform
        As they are applied.
    words : list of str
        A line each.

    Raises
    ------
    Refused
        One is to be turned round that is not among them.
    """
    from ekbom.space.transforms_io import read_transform

    parts, words = [], []
    for path in turned or []:
        if path not in (files or []):
            raise Refused(
                "A transform to be turned round is not among the transforms.",
                file=path,
                field="--invert",
                mend="name it under --transform too",
            )
    for path in files or []:
        one = read_transform(path)
        around = path in (turned or [])
        parts.append(one.inverse() if around else one)
        word = ", turned round" if around else ""
        words.append(f"  through {path} ({type(one).__name__}{word})")
    return parts, words


def say(text: str) -> None:
    """Print a line as it is.

    Parameters
    ----------
    text : str
        The line.
    """
    _out.print(text, markup=False)
