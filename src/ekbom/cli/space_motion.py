"""`ekbom space motion`: a dynamic image and its JSON to motion and a corrected image."""

from __future__ import annotations

import json as jsons
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from ekbom.cli.space_read import Reading, say
from ekbom.errors import Refused
from ekbom.space import checks

_READING = Reading()


def motion(
    pet: Path,
    out: Path,
    /,
    *,
    json: Path | None = None,
    mask: Path | None = None,
    window: tuple[float, float] = (10.0, 40.0),
    min_counts: float = 0.1,
    seed: int = 0,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    reading: Reading = _READING,
) -> int:
    """Find the motion of the head between PET frames, and undo it.

    Parameters
    ----------
    pet : Path
        Dynamic image with its BIDS JSON beside it.
    out : Path
        Folder.
    json : Path
        JSON of the image, when it is not beside it.
    mask : Path
        Brain on the grid of the image, with a rim.
    window : tuple of float
        Minutes of which the first reference is made.
    min_counts : float
        Frames with fewer counts than this share of those of later frames are not estimated.
    seed : int
        Of the points at which images are compared.
    dry_run : bool
        Only look at the files and say what would be done.
    reading : Reading
        How doubtful headers are read.

    Returns
    -------
    int
        Exit code.
    """
    import numpy as np
    import pandas as pd

    from ekbom.measures.pet.io.bids import read_scan
    from ekbom.space.image import Series, Volume
    from ekbom.space.io import nifti_bytes, read_frames
    from ekbom.space.motion import correct_motion, estimate_motion
    from ekbom.study.files import json_bytes, tsv_bytes, write_bytes

    stem = pet.name.removesuffix(".gz").removesuffix(".nii")
    sidecar = pet.with_name(f"{stem}.json") if json is None else json
    scan = read_scan([sidecar] if sidecar.is_file() else [])
    header = reading.header(pet)
    _require_frames(pet, sidecar, header.n_frames, scan.start_s.size)
    if window[0] >= window[1]:
        raise Refused("The window ends before it begins.", field="--window", found=window,
                      expected="two times in minutes")  # fmt: skip
    _say_plan(pet, out, header, scan, window, min_counts)
    if dry_run:
        return 0
    values = np.empty((*header.grid.shape, header.n_frames), dtype=np.float32)
    for k, frame in enumerate(read_frames(header)):
        values[..., k] = frame
    length = np.maximum(scan.end_s - scan.start_s, 1e-6) / 60.0
    told: dict[str, Any] = jsons.loads(sidecar.read_text())
    series = Series(values, header.grid, scan.start_s / 60.0, length, str(told.get("Units", "")))
    inside = None
    if mask is not None:
        volume = reading.mask(mask, Volume(values[..., 0], header.grid), pet)
        inside = np.asarray(volume.values, dtype=bool)
    say(f"{series.n_frames} frames; the first run compiles, which takes a few seconds")
    found = estimate_motion(
        series,
        half_life=scan.frames.half_life,
        decay_corrected=bool(told["ImageDecayCorrected"]),
        mask=inside,
        window=window,
        min_counts=min_counts,
        seed=seed,
    )
    rows = []
    for k, pose in enumerate(found.transforms):
        p = pose.parameters()
        row: dict[str, Any] = {"frame": k + 1, "estimated": bool(found.estimated[k])}
        row |= dict(zip(("rot_x", "rot_y", "rot_z"), np.degrees(p[:3]), strict=True))
        row |= dict(zip(("trans_x", "trans_y", "trans_z"), p[3:], strict=True))
        row |= {
            "framewise_displacement": found.framewise[k],
            "rms_displacement": found.rms[k],
            "max_displacement": found.largest[k],
            "flag": found.flags[k] or "n/a",
        }
        row |= {f"m{i}{j}": pose.matrix[i, j] for i in range(3) for j in range(4)}
        rows.append(row)
    base = stem.removesuffix("_pet")
    write_bytes(out / f"{base}_desc-motion_xfm.tsv", tsv_bytes(pd.DataFrame(rows)))
    fixed = correct_motion(series, found)
    write_bytes(out / f"{base}_desc-moco_pet.nii.gz", nifti_bytes(fixed.values, header.grid.affine))
    told["MotionCorrection"] = {
        "Method": "rigid, frame to mean of frames; one cubic interpolation",
        "Direction": "matrices map points (RAS mm) of the reference to points of the frame",
        "Interpolations": 1,
        "Notes": list(found.notes),
    }
    write_bytes(out / f"{base}_desc-moco_pet.json", json_bytes(told))
    say(f"{int(found.estimated.sum())} of {series.n_frames} frames estimated")
    say(f"largest displacement {found.largest.max():.1f} mm, rms {found.rms.max():.1f} mm")
    for note in found.notes:
        say(f"note: {note}")
    say(str(out))
    return 0


def _require_frames(pet: Path, sidecar: Path, volumes: int, declared: int) -> None:
    if volumes == 1 and declared > 1:
        raise checks.NOT_4D.refused(
            file=pet, found="one volume", expected=f"{declared} frames ({sidecar.name})"
        )
    if volumes != declared:
        raise checks.FRAMES_DIFFER.refused(
            file=pet, found=f"{volumes} volumes, {declared} frames in {sidecar.name}"
        )


def _say_plan(
    pet: Path, out: Path, header: Any, scan: Any, window: tuple[float, float], share: float
) -> None:
    say(f"{pet}: {header.grid}, {header.n_frames} frames, {scan.end_s[-1] / 60:.1f} minutes")
    say(
        f"  reference: mean of {window[0]:g} to {window[1]:g} minutes, twice; frames below "
        f"{100 * share:g} % of the counts of later ones take the place of the nearest"
    )
    say(f"  one cubic interpolation; to {out}")
    for note in header.notes:
        say(f"  note: {note}")
