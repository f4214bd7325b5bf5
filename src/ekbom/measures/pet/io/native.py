"""Curves of a scan in native space: frames at rest, brain and regions from the template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ekbom.measures.pet.frames_step import UNTOUCHED_MM, read_motion
from ekbom.measures.pet.io.bids import Scan
from ekbom.measures.pet.io.image import NATIVE, DynamicImage
from ekbom.measures.pet.settings import PETSettings
from ekbom.space import Grid, LabelImage, template
from ekbom.space.assess import warped_mask
from ekbom.space.atlas import atlas
from ekbom.space.checks import (
    BRAIN_CUT,
    COVERAGE_NOTE,
    COVERAGE_SETS_NOTE,
    EMPTY_MAP,
    FRAMES_DIFFER,
    NOT_4D,
    SPACE_MISMATCH_NOTE,
    TOO_LARGE,
    require_mask,
)
from ekbom.space.io import read_frames, read_header, read_mask
from ekbom.space.labels_io import read_labels
from ekbom.space.pose import brain_points, covered
from ekbom.space.settings import SpaceSettings
from ekbom.space.steps.given import Way, way_of
from ekbom.space.template import SPACE
from ekbom.space.transform import Rigid, Transform, compose
from ekbom.space.warp import interpolate, source_indices, warp_labels

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ToTemplate:
    """The way of a native image to the template.

    Parameters
    ----------
    transform, inverse : Transform
        From points of the template to points of the image, and back.
    parts : tuple of str
        Files it is made of, from the image to the template.
    space : str
        Label of the template's space.
    frames : int
        Frames that motion correction has interpolated.
    """

    transform: Transform
    inverse: Transform
    parts: tuple[str, ...]
    space: str
    frames: int = 0


def read_native(
    files: Mapping[str, Sequence[Path]], scan: Scan, settings: PETSettings
) -> DynamicImage:
    """Read the curves of a native scan, with the way to the template beside them.

    Parameters
    ----------
    files : mapping of str to sequence of Path
        ``image``; ``frames``, ``anat``, ``align`` or ``straight`` of the steps before;
        ``mask`` and ``dseg:<name>`` on the grid of the image; ``atlas:<name>`` in
        template space.
    scan : Scan
        What the JSON says.
    settings : PETSettings
        With ``[space]``.

    Returns
    -------
    DynamicImage
        In kBq/mL, frames at rest.

    Raises
    ------
    Refused
        The image cannot be trusted, or too little of the brain lies in it.
    """
    space, path = settings.space, files["image"][0]
    header = read_header(path, trust=space.trust, assume_affine=space.assume_affine)
    declared = scan.start_s.size
    if header.n_frames == 1 and declared > 1:
        raise NOT_4D.refused(
            file=path, found="one volume", expected=f"{declared} frames ({scan.file.name})"
        )
    if header.n_frames != declared:
        raise FRAMES_DIFFER.refused(
            file=path, found=f"{header.n_frames} volumes, {declared} frames in {scan.file}"
        )
    grid, notes = header.grid, list(header.notes)
    way = _way(files, space.template)
    head = template(2.0 if min(grid.voxel_size) < 3.0 else 4.0)
    seen = covered(way.transform, brain_points(head.grid, np.asarray(head.brain)), grid)
    labels = _labels(files, grid, way.inverse, space, notes)
    if seen < 0.7:
        raise BRAIN_CUT.refused(file=path, found=f"{100 * seen:.0f} %")
    if seen < 0.9:
        cut = _cut(files, way.transform, grid, space)
        said = COVERAGE_NOTE.format(share=100 * seen)
        notes.append(said + (COVERAGE_SETS_NOTE.format(names=", ".join(cut)) if cut else ""))
    brain, source = _brain(files, grid, way.inverse, settings, notes)
    outside = np.zeros(grid.shape, dtype=bool)
    for one in labels.values():
        outside |= one.values > 0
    inside = np.flatnonzero(brain.ravel())
    voxels = np.concatenate([inside, np.flatnonzero((outside & ~brain).ravel())])
    poses, moved = _poses(files, grid, brain, int(scan.keep.sum()))
    curves = np.empty((voxels.size, int(scan.keep.sum())))
    used = 0
    for wanted, frame in zip(scan.keep, read_frames(header), strict=True):
        if not wanted:
            continue
        if moved[used]:
            # Only where a curve is wanted: a tenth of the image.
            index = source_indices(grid, grid, poses[used]).reshape(3, -1)[:, voxels]
            seen_there = interpolate(frame, index, "cubic")
        else:
            seen_there = frame.ravel()[voxels]
        curves[:, used] = seen_there * (scan.to_kbq * scan.factor[used])
        used += 1
    largest = float(np.nanmax(np.abs(curves))) if np.isfinite(curves).any() else 0.0
    if largest == 0.0:
        raise EMPTY_MAP.refused(file=path, found="no activity inside the mask")
    if largest > 1e9:
        raise TOO_LARGE.refused(file=path, found=f"{largest:.3g} kBq/mL")
    known = ToTemplate(
        way.transform, way.inverse, tuple(way.name.split(" > ")), space.template, int(moved.sum())
    )
    return DynamicImage(
        curves,
        voxels,
        inside.size,
        grid,
        NATIVE,
        labels,
        path,
        source,
        tuple(dict.fromkeys(notes)),
        known,
    )


def _way(files: Mapping[str, Sequence[Path]], space: str) -> Way:
    if "straight" in files:
        return way_of(files["straight"], "PET", space)
    anat = way_of(files["anat"], "T1w", space)
    if "align" not in files:  # a pipeline has brought the frames to the T1 already
        return anat
    align = way_of(files["align"], "PET", "T1w")
    return Way(
        compose(align.transform, anat.transform),
        compose(anat.inverse, align.inverse),
        f"{align.name} > {anat.name}",
    )


def _poses(
    files: Mapping[str, Sequence[Path]], grid: Grid, brain: NDArray[np.bool_], count: int
) -> tuple[tuple[Rigid, ...], NDArray[np.bool_]]:
    """Motion of the used frames, and which of them are to be interpolated."""
    poses = read_motion(files["frames"]) if "frames" in files else None
    if poses is None:
        return (Rigid(np.eye(4)),) * count, np.zeros(count, dtype=bool)
    points = grid.to_world(np.argwhere(brain))
    points = points[:: max(1, len(points) // 5000)]
    far = [float(np.sqrt(((p.points(points) - points) ** 2).sum(axis=1)).max()) for p in poses]
    return poses, np.array(far) >= UNTOUCHED_MM


def _brain(
    files: Mapping[str, Sequence[Path]],
    grid: Grid,
    back: Transform,
    settings: PETSettings,
    notes: list[str],
) -> tuple[NDArray[np.bool_], str]:
    if "mask" in files:
        mask = read_mask(files["mask"][0])
        grid.require(mask.grid, mine=files["image"][0], theirs=files["mask"][0])
        return np.asarray(mask.values, dtype=bool), files["mask"][0].name
    head = template(2.0)
    inside = warped_mask(np.asarray(head.brain), head.grid, grid, back)
    require_mask(inside, file=files["image"][0], found=f"image grid {grid}")
    return inside, f"brain mask of {SPACE}, brought to the image"


def _template_labels(
    files: Mapping[str, Sequence[Path]], space: SpaceSettings
) -> dict[str, LabelImage]:
    out = {}
    for role, paths in files.items():
        kind, _, name = role.partition(":")
        if kind == "atlas":
            out[name] = read_labels(paths[0], paths[1], segmentation=name)
    if space.atlas is not None and space.atlas.upper() == "AAL3":
        out["AAL3"] = atlas("AAL3")
    return out


def _labels(
    files: Mapping[str, Sequence[Path]],
    grid: Grid,
    back: Transform,
    space: SpaceSettings,
    notes: list[str],
) -> dict[str, LabelImage]:
    """Label images on the grid of the image: its own, then those of the template, warped."""
    out: dict[str, LabelImage] = {}
    for role, paths in files.items():
        kind, _, name = role.partition(":")
        if kind == "dseg":
            one = read_labels(paths[0], paths[1])
            grid.require(one.grid, mine=files["image"][0], theirs=paths[0])
            notes += [f"{paths[0].name}: {note}" for note in one.notes]
            out[name] = one
    for name, one in _template_labels(files, space).items():
        if name in out:
            continue
        if one.space and one.space != space.template:
            notes.append(
                SPACE_MISMATCH_NOTE.format(what=name, theirs=one.space, mine=space.template)
            )
        values = warp_labels(one.values, source_indices(one.grid, grid, back))
        moved = LabelImage(values, grid, one.table, one.segmentation, NATIVE, one.notes)
        notes += [f"{name}: {note}" for note in moved.notes]
        out[name] = moved
    return out


def _cut(
    files: Mapping[str, Sequence[Path]], way: Transform, grid: Grid, space: SpaceSettings
) -> list[str]:
    """Regions of which less than 80 % lies in the field of view."""
    names = []
    for one in _template_labels(files, space).values():
        for name in one.names:
            if covered(way, brain_points(one.grid, one.mask(name)), grid) < 0.8:
                names.append(name)
    return names
