"""`ekbom space check`: where images are, what is wrong with them, whether sides agree."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ekbom.cli.space_read import Reading, say
from ekbom.errors import Refused

if TYPE_CHECKING:
    from ekbom.space.grid import Grid

_READING = Reading()


def check(
    *images: Path,
    sides: Annotated[bool, Parameter(negative=())] = False,
    reading: Reading = _READING,
) -> int:
    """Say where images are, and what is wrong with them.

    Parameters
    ----------
    images : Path
        NIfTI files.
    sides : bool
        The images are of one person: do the others agree with the first in left and right?
    reading : Reading
        How doubtful headers are read.

    Returns
    -------
    int
        Exit code: 2 when one of them is refused.
    """
    import numpy as np

    from ekbom.space.checks import require_values
    from ekbom.space.io import read_frames

    if not images:
        raise Refused("There is no image to check.", expected="one or more NIfTI files")
    if sides and len(images) < 2:
        raise Refused("One image has nothing to agree with.", field="--sides", found="1 image",
                      expected="two or more images of one person")  # fmt: skip
    bad, means = 0, []
    for path in images:
        try:
            header = reading.header(path)
            seen, total = 0, np.zeros(header.grid.shape)
            for frame in read_frames(header):
                values = np.asarray(frame)
                require_values(values[np.isfinite(values)], file=path)
                seen += int((~np.isfinite(values)).sum())
                total += np.nan_to_num(values)
        except Refused as no:
            say(f"refused: {no}")
            bad += 1
            continue
        means.append((path, total / header.n_frames, header.grid))
        say(f"{path}: {header.grid}, {header.n_frames} volume(s), axes "
             f"{header.grid.orientation}, oblique by {header.grid.obliquity:.1f} degrees, "
             f"{seen} values not finite")  # fmt: skip
        for note in header.notes:
            say(f"  note: {note}")
    if sides and not bad:
        bad = _compare_sides(means)
    return 2 if bad else 0


def _compare_sides(means: list[tuple[Path, Any, Grid]]) -> int:
    """Say of each image whether it agrees with the first in left and right."""
    import numpy as np

    from ekbom.space.handed import require_side
    from ekbom.space.image import Volume
    from ekbom.space.transform import Rigid

    bad = 0
    first, values, grid = means[0]
    still, rest = Volume(values, grid), Rigid(np.eye(4))
    for path, other, where in means[1:]:
        said = f"{first} and {path}"
        try:
            found, note = require_side(still, Volume(other, where), rest, file=said)
        except Refused as no:
            say(f"refused: {no}")
            bad += 1
            continue
        numbers = f"NMI {found.as_is:.4f} as it is, {found.mirrored:.4f} mirrored"
        say(f"{said}: {note or f'agree in left and right ({numbers})'}")
    return bad
