"""Regional curves of PETPrep: `_tacs.tsv`, with volumes in `_morph.tsv`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.measures.pet.io import units
from ekbom.measures.pet.io.bids import Scan
from ekbom.measures.pet.io.text import read_json, read_tsv

Array = NDArray[np.float64]

_TIME_TOLERANCE_S = 0.5
# Columns of the frame times, as versions of PETPrep have called them.
_TIMES = (("frame_start", "frame_end"), ("FrameTimesStart", "FrameTimesEnd"))


def read_tacs(
    path: Path, scan: Scan, sidecars: Sequence[Path] = ()
) -> tuple[tuple[str, ...], Array]:
    """Read the regional curves of one segmentation.

    Parameters
    ----------
    path : Path
        TSV with ``frame_start``, ``frame_end`` (or ``FrameTimesStart``, ``FrameTimesEnd``;
        s) and one column a region.
    scan : Scan
        Frames, unit and decay of the image.
    sidecars : sequence of Path
        JSON files of the curves, outermost first. The unit is theirs if they
        declare one, else that of the image.

    Returns
    -------
    names : tuple of str
        Regions, without their segmentation.
    values : (N, F) array
        kBq/mL decay-corrected to injection, for the used frames.

    Raises
    ------
    Refused
        When the frames are not those of the image.
    """
    table = read_tsv(path)
    times = next((pair for pair in _TIMES if set(pair) <= set(table.columns)), _TIMES[0])
    start, end = (table.numbers(name) for name in times)
    if start.size != scan.start_s.size:
        raise Refused(
            "The curves have not as many frames as the image.",
            file=path,
            field=times[0],
            found=f"{start.size} frames",
            expected=f"{scan.start_s.size} frames ({scan.file.name})",
            mend="make the curves again from this image, or correct FrameTimesStart",
        )
    off = np.maximum(np.abs(start - scan.start_s), np.abs(end - scan.end_s))
    # `not (x <= y)` so that a missing time is refused too
    if not (off <= _TIME_TOLERANCE_S).all():
        i = int(np.argmax(np.where(np.isnan(off), np.inf, off)))
        raise Refused(
            "The frames of the curves are not those of the image.",
            file=path,
            field=f"{times[0]}, row {i + 1}",
            found=f"{start[i]:g} to {end[i]:g} s",
            expected=f"{scan.start_s[i]:g} to {scan.end_s[i]:g} s ({scan.file.name})",
            mend="frame times are seconds from TimeZero in both files",
        )
    names = tuple(name for name in table.columns if name not in times)
    if not names:
        raise Refused("The table holds no region.", file=path, expected="one column a region")
    values = np.array([table.numbers(name) for name in names])
    declared = read_json(sidecars).get("Units")
    to_kbq = (
        scan.to_kbq
        if declared is None
        else units.concentration(declared, file=sidecars[-1], field="Units")
    )
    return names, values[:, scan.keep] * (to_kbq * scan.factor)


def read_volumes(path: Path) -> dict[str, float]:
    """Return region volumes in mm3 from a `_morph.tsv`.

    Raises
    ------
    Refused
        When the columns ``name`` and ``volume-mm3`` are not there.
    """
    table = read_tsv(path)
    volumes = table.numbers("volume-mm3")
    if "name" not in table.columns:
        table.numbers("name")
    return dict(zip(table.columns["name"], map(float, volumes), strict=True))
