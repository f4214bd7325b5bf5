"""Dynamic images: which files they are, and their curves in kBq/mL.

An image is read frame by frame, and only voxels inside the brain or a region
are kept, so that memory is that of the curves and one frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.measures.pet.io.bids import Scan
from ekbom.measures.pet.settings import PETSettings
from ekbom.nouns import BidsFile, Files, Unit
from ekbom.space import Grid, LabelImage, resample, template
from ekbom.space.checks import (
    EMPTY_MAP,
    FRAMES_DIFFER,
    NOT_4D,
    TOO_LARGE,
    require_mask,
)
from ekbom.space.io import read_frames, read_header, read_mask
from ekbom.space.labels_io import read_labels
from ekbom.space.template import SPACE

if TYPE_CHECKING:
    from ekbom.measures.pet.io.native import ToTemplate

Array = NDArray[np.float64]

_IMAGES = (".nii.gz", ".nii")
#: Space label of an image of which nothing says where it lies.
NATIVE = "orig"


@dataclass(frozen=True, eq=False)
class DynamicImage:
    """Curves of the voxels of one scan.

    Parameters
    ----------
    curves : (V, F) array
        kBq/mL, decay-corrected to injection, used frames only.
    voxels : (V,) array of int
        Flat (C order) index of each curve: first those inside the brain mask,
        then those only inside a region.
    n_brain : int
        How many of them are inside the brain mask.
    grid : Grid
        Where the voxels are.
    space : str
        BIDS space label.
    labels : mapping of str to LabelImage
        Segmentations on this grid.
    source : Path
        The image.
    mask_source : str
        Where the brain mask came from, for the sidecar.
    notes : tuple of str
        What was accepted but should be known.
    way : ToTemplate, optional
        Of an image in native space: how its maps get to the template.
    """

    curves: Array
    voxels: NDArray[np.intp]
    n_brain: int
    grid: Grid
    space: str
    labels: Mapping[str, LabelImage]
    source: Path
    mask_source: str
    notes: tuple[str, ...] = ()
    way: ToTemplate | None = None

    @property
    def brain_curves(self) -> Array:
        """Curves inside the brain mask, (n_brain, F); no copy."""
        return self.curves[: self.n_brain]

    @property
    def brain_mask(self) -> NDArray[np.bool_]:
        """The brain mask, (X, Y, Z)."""
        out = np.zeros(self.grid.size, dtype=bool)
        out[self.voxels[: self.n_brain]] = True
        return out.reshape(self.grid.shape)

    def image(self, values: NDArray[np.generic]) -> Array:
        """Put values of the brain's voxels into a volume, NaN elsewhere.

        Parameters
        ----------
        values : (n_brain,) array
            One value a voxel.

        Returns
        -------
        (X, Y, Z) array
            Float64.
        """
        out = np.full(self.grid.size, np.nan)
        out[self.voxels[: self.n_brain]] = values
        return out.reshape(self.grid.shape)


def image_roles(
    unit: Unit, study: Files, settings: PETSettings, raw: BidsFile
) -> dict[str, list[Path]]:
    """Name the image of a scan, its brain mask and its label images.

    A derivative image (``desc-preproc``) is preferred to the raw one unless
    the plan says otherwise. Labels and mask are those of the person, or of
    the whole data set, that lie in the space of the image; where the raw
    image's name says no space, those that lie on its grid.

    Parameters
    ----------
    unit : Unit
        Whose scan.
    study : Files
        Of the plan.
    settings : PETSettings
        Of the plan.
    raw : BidsFile
        The raw image, or its JSON when there is no image.

    Returns
    -------
    dict of str to list of Path
        Roles ``image``, ``mask`` (when there is one) and ``dseg:<name>``
        (image and table).

    Raises
    ------
    Refused
        No image, or two of one thing.
    """
    image = _image(unit, study, settings, raw)
    space = image.entities.get("space")
    roles: dict[str, list[Path]] = {"image": [image.path]}
    grid = None
    if not space:
        trust, believe = settings.space.trust, settings.space.assume_affine
        grid = read_header(image.path, trust=trust, assume_affine=believe).grid

    def fits(file: BidsFile) -> bool:
        if space is not None:
            return file.entities.get("space") == space
        return read_header(file.path).grid == grid

    masks = [f for f in _candidates(unit, study, "mask") if f.entities.get("desc") == "brain"]
    mask = _own([f for f in masks if fits(f)], "brain masks", unit)
    if mask:
        roles["mask"] = [next(iter(mask.values())).path]
    for name, file in sorted(
        _own([f for f in _candidates(unit, study, "dseg") if fits(f)], "label images", unit).items()
    ):
        table = file.path.with_name(file.path.name.removesuffix(file.extension) + ".tsv")
        roles[f"dseg:{name}"] = [file.path, table]
    return roles


def read_image(
    files: Mapping[str, Sequence[Path]], scan: Scan, *, regions: bool = True
) -> DynamicImage:
    """Read the curves of all voxels inside the brain or a region.

    Parameters
    ----------
    files : mapping of str to sequence of Path
        Roles of :func:`image_roles`.
    scan : Scan
        What the JSON says: unit, decay, frames used.
    regions : bool
        Keep voxels of regions outside the brain too.

    Returns
    -------
    DynamicImage
        In kBq/mL.

    Raises
    ------
    Refused
        The image is 3-D or has another number of frames than the JSON, it is
        empty, values are absurd, no brain mask can be had.
    """
    path = files["image"][0]
    header = read_header(path)
    if header.n_frames == 1 and scan.start_s.size > 1:
        raise NOT_4D.refused(
            file=path, found="one volume", expected=f"{scan.start_s.size} frames ({scan.file.name})"
        )
    if header.n_frames != scan.start_s.size:
        raise FRAMES_DIFFER.refused(
            file=path,
            found=f"{header.n_frames} volumes, {scan.start_s.size} frames in {scan.file}",
        )
    notes = list(header.notes)
    labels = {
        name.partition(":")[2]: _labels(paths, header.grid, notes)
        for name, paths in files.items()
        if name.startswith("dseg:")
    }
    space = _space(path, files)
    brain, source = _brain(files, header.grid, space, labels, notes)
    outside = np.zeros(header.grid.shape, dtype=bool)
    for one in labels.values() if regions else ():
        outside |= one.values > 0
    inside = np.flatnonzero(brain.ravel())
    voxels = np.concatenate([inside, np.flatnonzero((outside & ~brain).ravel())])
    curves = np.empty((voxels.size, int(scan.keep.sum())))
    used = iter(range(curves.shape[1]))
    for wanted, frame in zip(scan.keep, read_frames(header), strict=True):
        if wanted:
            column = next(used)
            curves[:, column] = frame.ravel()[voxels] * (scan.to_kbq * scan.factor[column])
    largest = float(np.nanmax(np.abs(curves))) if np.isfinite(curves).any() else 0.0
    if largest == 0.0:
        raise EMPTY_MAP.refused(file=path, found="no activity inside the mask")
    if largest > 1e9:
        raise TOO_LARGE.refused(file=path, found=f"{largest:.3g} kBq/mL")
    return DynamicImage(
        curves,
        voxels,
        inside.size,
        header.grid,
        space,
        labels,
        path,
        source,
        tuple(dict.fromkeys(notes)),
    )


def _image(unit: Unit, study: Files, settings: PETSettings, raw: BidsFile) -> BidsFile:
    chosen = settings.maps.image
    if chosen != "raw":
        scope = "derivatives" if chosen == "auto" else chosen
        made = [
            f
            for f in study.find(unit, suffix="pet", scope=scope, desc="preproc")
            if f.extension in _IMAGES
        ]
        near = [f for f in made if f.entities.get("space") == settings.space.template]
        made = near or made
        if len(made) > 1:
            raise _two("preprocessed images", unit, made, "measures.pet.maps.image")
        if made:
            return made[0]
        if chosen != "auto":
            raise Refused(
                f"There is no preprocessed image for {unit.label}.",
                file=study.root / "derivatives" / chosen,
                field="measures.pet.maps.image",
                found=f"no desc-preproc_pet.nii.gz in {chosen}",
                mend='name the derivative that holds it, or set image = "raw"',
            )
    if raw.extension not in _IMAGES:
        raise Refused(
            f"There is no image for {unit.label}.",
            file=raw.path,
            field="measures.pet.maps",
            found="a JSON without an image beside it",
            expected="_pet.nii.gz",
            mend="add the image; or leave [measures.pet.maps] out and give regional curves",
        )
    return raw


def _candidates(unit: Unit, study: Files, suffix: str) -> list[BidsFile]:
    own = study.find(unit, suffix=suffix, scope="derivatives")
    common = [f for f in study.find(suffix=suffix, scope="derivatives") if "sub" not in f.entities]
    # What a simulation has put in is no input.
    return [f for f in (*own, *common) if f.extension in _IMAGES and f.scope != "truth"]


def _own(files: Sequence[BidsFile], what: str, unit: Unit) -> dict[str, BidsFile]:
    """By segmentation; a person's own file goes before that of the whole data set."""
    found: dict[str, BidsFile] = {}
    for file in files:
        keys = ("seg", "atlas", "desc", "label")
        name = next((file.entities[k] for k in keys if k in file.entities), "dseg")
        if name in found:
            if "sub" in found[name].entities and "sub" not in file.entities:
                continue
            raise _two(what, unit, [found[name], file], "space, seg, desc")
        found[name] = file
    return found


def _two(what: str, unit: Unit, files: Sequence[BidsFile], field: str) -> Refused:
    return Refused(
        f"There are several {what} for {unit.label}.",
        file=files[0].path,
        field=field,
        found=", ".join(str(f.path) for f in files),
        expected="one",
        mend="keep one of them, or name the derivative in the plan",
    )


def _entities(path: Path) -> dict[str, str]:
    stem = path.name.partition(".")[0]
    return dict(part.split("-", 1) for part in stem.split("_") if "-" in part)


def _space(path: Path, files: Mapping[str, Sequence[Path]]) -> str:
    # The raw image of a simulated or already normalised study cannot name its
    # space; mask and labels that were found on its grid can.
    for file in (path, *(p[0] for role, p in sorted(files.items()) if role.startswith("dseg:"))):
        if "space" in _entities(file):
            return _entities(file)["space"]
    mask = files.get("mask")
    return _entities(mask[0]).get("space", NATIVE) if mask else NATIVE


def _labels(paths: Sequence[Path], grid: Grid, notes: list[str]) -> LabelImage:
    labels = read_labels(paths[0], paths[1])
    if labels.grid != grid:
        notes.append(f"{paths[0].name} was brought to the grid of the image")
        labels = labels.on(grid)
    notes += [f"{paths[0].name}: {note}" for note in labels.notes]
    return labels


def _brain(
    files: Mapping[str, Sequence[Path]],
    grid: Grid,
    space: str,
    labels: Mapping[str, LabelImage],
    notes: list[str],
) -> tuple[NDArray[np.bool_], str]:
    if "mask" in files:
        path = files["mask"][0]
        mask = read_mask(path)
        inside = np.asarray(mask.values, dtype=bool)
        if mask.grid != grid:
            notes.append(f"{path.name} was brought to the grid of the image")
            inside = _half(inside, mask.grid, grid)
        require_mask(inside, file=path, found=f"image grid {grid}")
        return inside, path.name
    if space == SPACE:
        known = template(2.0)
        inside = _half(known.brain, known.grid, grid)
        require_mask(inside, file=files["image"][0], found=f"image grid {grid}")
        notes.append("no brain mask in the study: that of the template was used")
        return inside, f"brain mask of {SPACE}"
    if labels:
        inside = np.zeros(grid.shape, dtype=bool)
        for one in labels.values():
            inside |= one.values > 0
        notes.append("no brain mask in the study: the voxels of all regions were used")
        return inside, "voxels of all regions"
    raise Refused(
        "There is no brain mask for the image.",
        file=files["image"][0],
        field="mask",
        found=f"space {space}, no mask and no label image in that space",
        expected=f"*_space-{space}_desc-brain_mask.nii.gz in a derivative, or a T1w image",
        mend="add a T1-weighted image of the person, or a brain mask on the grid of the image",
    )


def _half(inside: NDArray[np.bool_], source: Grid, target: Grid) -> NDArray[np.bool_]:
    share = resample(inside.astype(np.float64), source, target, antialias=True)
    return np.asarray(np.nan_to_num(share) >= 0.5)
