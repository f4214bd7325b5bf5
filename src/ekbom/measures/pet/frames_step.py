"""A step before the measurement of a native scan: head motion between frames, and their mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel

from ekbom.measures.pet.io.bids import Scan, read_scan
from ekbom.nouns import Column, Figure, Inputs, Map, Note, Product, Score, Table
from ekbom.space import checks
from ekbom.space.image import Series
from ekbom.space.io import read_frames, read_header
from ekbom.space.motion import NOT_MENDED, Motion, estimate_motion
from ekbom.space.pictures import lines
from ekbom.space.settings import HeaderSettings
from ekbom.space.transform import Rigid
from ekbom.space.warp import warp

Array = NDArray[np.float64]

#: Step by which the rows of ``measures.tsv`` are known.
METHOD = "motion"
#: Frames that moved less than this at the brain surface stay as they are.
UNTOUCHED_MM = 0.05


class FramesSettings(HeaderSettings):
    """What the motion between frames depends on."""

    motion: bool | Literal["auto"] = "auto"
    motion_frames: int = 6
    motion_window: tuple[float, float] = (10.0, 40.0)
    seed: int = 0


class Frames:
    """Motion of a dynamic scan, and the mean of its frames."""

    def run(self, inputs: Inputs, settings: BaseModel) -> Product:
        """Look at the frames of one scan.

        Parameters
        ----------
        inputs : Inputs
            Roles ``image`` and ``pet_json``.
        settings : FramesSettings
            Whether and how motion is looked for.

        Returns
        -------
        Product
            ``desc-motion_xfm.tsv`` when motion was looked for, ``desc-mean_pet``,
            numbers, picture.

        Raises
        ------
        Refused
            An image that cannot be trusted, or no frame with enough counts.
        """
        assert isinstance(settings, FramesSettings)
        path = inputs.files["image"][0]
        scan = read_scan(inputs.files["pet_json"])
        series = read_series(path, scan, settings)
        notes = [Note("image", text) for text in series.notes]
        wanted = settings.motion
        if wanted == "auto":
            wanted = series.n_frames >= settings.motion_frames
        found: Motion | None = None
        if wanted:
            found = estimate_motion(
                series,
                half_life=scan.frames.half_life,
                window=settings.motion_window,
                seed=settings.seed,
            )
            notes += [Note("motion", text) for text in found.notes]
        poses = found.transforms if found is not None else (Rigid(np.eye(4)),) * series.n_frames
        mean = _mean(series, poses, scan)
        checks.require_values(mean[np.isfinite(mean)], file=path)
        meta: dict[str, Any] = {
            "Description": "mean of the frames, weighted by their counts",
            "Units": "kBq/mL",
            "MotionCorrected": found is not None,
            "Sources": path.name,
        }
        return Product(
            scores=[] if found is None else _scores(found),
            tables=[] if found is None else [_table(found, scan)],
            maps=[
                Map("desc-mean_pet", mean, series.grid.affine, "kBq/mL", "orig", "mean", METHOD,
                    meta)
            ],
            figures=[] if found is None else [_figure(found, scan)],
            notes=tuple(dict.fromkeys(notes)),
        )  # fmt: skip


def read_series(path: Path, scan: Scan, settings: HeaderSettings) -> Series:
    """Read the used frames of a dynamic image, decay-corrected to injection.

    Parameters
    ----------
    path : Path
        4-D image.
    scan : Scan
        What its JSON says.
    settings : HeaderSettings
        How doubtful headers are read.

    Returns
    -------
    Series
        kBq/mL, float32.

    Raises
    ------
    Refused
        3-D, or another number of frames than the JSON.
    """
    header = read_header(path, trust=settings.trust, assume_affine=settings.assume_affine)
    declared = scan.start_s.size
    if header.n_frames == 1 and declared > 1:
        raise checks.NOT_4D.refused(
            file=path, found="one volume", expected=f"{declared} frames ({scan.file.name})"
        )
    if header.n_frames != declared:
        raise checks.FRAMES_DIFFER.refused(
            file=path, found=f"{header.n_frames} volumes, {declared} frames in {scan.file}"
        )
    # Each frame in one piece, as it is written and read.
    frames = np.empty((int(scan.keep.sum()), *header.grid.shape), dtype=np.float32)
    values = np.moveaxis(frames, 0, -1)
    used = 0
    for wanted, frame in zip(scan.keep, read_frames(header), strict=True):
        if wanted:
            values[..., used] = frame * (scan.to_kbq * scan.factor[used])
            used += 1
    start, end = np.asarray(scan.frames.start), np.asarray(scan.frames.end)
    return Series(values, header.grid, start, end - start, "kBq/mL", header.notes)


def read_motion(paths: Sequence[Path]) -> tuple[Rigid, ...] | None:
    """Read the motion that the step has written.

    Parameters
    ----------
    paths : sequence of Path
        Files of the step.

    Returns
    -------
    tuple of Rigid or None
        By used frame, from points of the reference to points of the frame;
        None when motion was not looked for.
    """
    table = next((p for p in paths if p.name.endswith("desc-motion_xfm.tsv")), None)
    if table is None:
        return None
    frame = pd.read_csv(table, sep="\t", na_values=["n/a"])
    out = []
    for _, row in frame.iterrows():
        matrix = np.eye(4)
        matrix[:3] = [[float(row[f"m{i}{j}"]) for j in range(4)] for i in range(3)]
        u, _, vt = np.linalg.svd(matrix[:3, :3])  # rounded on disk
        matrix[:3, :3] = u @ vt
        out.append(Rigid(matrix))
    return tuple(out)


def _mean(series: Series, poses: Sequence[Rigid], scan: Scan) -> Array:
    rate = np.log(2) / scan.frames.half_life
    weight = series.frame_duration * np.exp(
        -rate * (series.frame_start + series.frame_duration / 2)
    )
    total, there = np.zeros(series.grid.shape), np.zeros(series.grid.shape)
    for k, pose in enumerate(poses):
        image = np.asarray(series.values[..., k], dtype=np.float64)
        if not np.array_equal(pose.matrix, np.eye(4)):
            image = warp(image, series.grid, series.grid, pose)
        known = np.isfinite(image)
        total += np.where(known, image, 0.0) * weight[k]
        there += known * weight[k]
    out: Array = np.divide(total, there, out=np.zeros(series.grid.shape), where=there > 0)
    return out


def _scores(found: Motion) -> list[Score]:
    seen = found.estimated
    named = {
        "motion_max": (float(found.largest.max()), "mm"),
        "motion_rms": (float(found.rms.max()), "mm"),
        "framewise_max": (float(found.framewise.max()), "mm"),
        "frames_estimated": (float(seen.sum()), "1"),
    }
    return [Score(name, value, unit, method=METHOD) for name, (value, unit) in named.items()]


_COLUMNS = {
    "frame": Column("Frame of the image, from 1"),
    "estimated": Column("false: too few counts, the transform of the nearest estimated frame"),
    "rot_x": Column("Turn about x, then y, then z, about the origin of the world", "degrees"),
    "rot_y": Column("Turn about y", "degrees"),
    "rot_z": Column("Turn about z", "degrees"),
    "trans_x": Column("Shift along x (RAS+)", "mm"),
    "trans_y": Column("Shift along y", "mm"),
    "trans_z": Column("Shift along z", "mm"),
    "framewise_displacement": Column("Power 2012, sphere of 50 mm", "mm"),
    "rms_displacement": Column("Jenkinson 2002, over the brain, from the reference", "mm"),
    "max_displacement": Column("Largest over the brain, from the reference", "mm"),
    "flag": Column("What should be known"),
}


def _table(found: Motion, scan: Scan) -> Table:
    rows = []
    for k, (number, pose) in enumerate(
        zip(np.flatnonzero(scan.keep) + 1, found.transforms, strict=True)
    ):
        p = pose.parameters()
        row: dict[str, Any] = {"frame": int(number), "estimated": bool(found.estimated[k])}
        row |= dict(zip(("rot_x", "rot_y", "rot_z"), np.degrees(p[:3]), strict=True))
        row |= dict(zip(("trans_x", "trans_y", "trans_z"), p[3:], strict=True))
        row |= {
            "framewise_displacement": found.framewise[k],
            "rms_displacement": found.rms[k],
            "max_displacement": found.largest[k],
            "flag": found.flags[k] or None,
        }
        row |= {f"m{i}{j}": pose.matrix[i, j] for i in range(3) for j in range(4)}
        rows.append(row)
    columns = {
        **_COLUMNS,
        **{
            f"m{i}{j}": Column(f"Row {i}, column {j} of the matrix, RAS mm")
            for i in range(3)
            for j in range(4)
        },
    }
    meta = {
        "Direction": "matrices map points (RAS, mm) of the reference to points of the frame",
        "Method": "rigid, frame to mean of frames; see docs/space/registration",
        "NotMended": NOT_MENDED,
    }
    return Table("desc-motion_xfm", pd.DataFrame(rows), columns, meta)


def _figure(found: Motion, scan: Scan) -> Figure:
    mid = np.asarray(scan.frames.mid)
    numbers = np.array([t.parameters() for t in found.transforms])
    turns = [(n, np.degrees(numbers[:, k])) for k, n in enumerate("xyz")]
    panels = [
        ("Turns", "degrees", turns),
        ("Displacement", "mm", [("rms", found.rms), ("largest", found.largest)]),
        ("Framewise displacement", "mm", [("FD", found.framewise)]),
    ]
    caption = (
        f"Head motion by frame: {int(found.estimated.sum())} of {found.estimated.size} frames "
        f"estimated, largest displacement in the brain {found.largest.max():.1f} mm."
    )
    return Figure("desc-motion", lines(panels, mid, "min"), caption)
