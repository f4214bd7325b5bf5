"""The images of one person in native space, and the truth that belongs to them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ekbom.space.transform import Rigid
from ekbom.space.transforms_io import field_bytes, itk_text_bytes
from ekbom.virtual import bids, sidecars
from ekbom.virtual.anatomy import FWHM_PER_SIGMA, label_table, noise_gain
from ekbom.virtual.binding import Tissue
from ekbom.virtual.cohort import Person
from ekbom.virtual.design_parts import Head as HeadSettings
from ekbom.virtual.head import Head, draw_head, draw_position
from ekbom.virtual.motion import draw_motion, motion_table, moved
from ekbom.virtual.native import Place, near_brain, place
from ekbom.virtual.scanner import noise_field
from ekbom.virtual.seeds import stream
from ekbom.virtual.study import VirtualStudy
from ekbom.virtual.t1 import draw_t1

Array = NDArray[np.float64]

#: Transform file names say from the moving to the fixed image; a transform maps
#: points of the fixed image to points of the moving one.
TEMPLATE = "MNI152NLin2009aSym"


def write_head(study: VirtualStudy, person: Person) -> Head:
    """Draw a person's head, write its T1w image and the true transforms.

    Parameters
    ----------
    study : VirtualStudy
        Study.
    person : Person
        Whose.

    Returns
    -------
    Head
        Anatomy and positions.
    """
    settings, t1 = study.design.head, study.design.t1
    assert settings is not None
    assert t1 is not None
    head = draw_head(stream(study.seed, person.index, "head"), settings, person.age)
    image, labels, grid = draw_t1(
        stream(study.seed, person.index, "t1"),
        head.to_template,
        t1,
        t1.resolution_mm[study.size],
        study.sources,
    )
    place = study.folder(person, "anat")
    label = person.label if study.session is None else f"{person.label}_ses-{study.session}"
    anat = study.root / place
    bids.write_nifti(anat / f"{label}_T1w.nii.gz", image, grid.affine, scaled=True, native=True)
    bids.write_json(anat / f"{label}_T1w.json", sidecars.t1w(t1))
    true = study.root / "derivatives" / "truth" / place
    stem = f"{label}_desc-truth"
    bids.write_nifti(true / f"{stem}_dseg.nii.gz", labels, grid.affine, scaled=False, native=True)
    bids.write_tsv(true / f"{stem}_dseg.tsv", dseg_columns(study))
    there = f"{label}_from-{TEMPLATE}_to-T1w_mode-image"
    back = f"{label}_from-T1w_to-{TEMPLATE}_mode-image"
    bids.write_bytes(true / f"{there}_desc-affine_xfm.txt", itk_text_bytes(head.affine))
    bids.write_bytes(true / f"{there}_desc-warp_xfm.nii.gz", bids.zipped(field_bytes(head.warp)))
    bids.write_bytes(true / f"{back}_desc-affine_xfm.txt", itk_text_bytes(head.affine.inverse()))
    bids.write_bytes(true / f"{back}_desc-warp_xfm.nii.gz", bids.zipped(field_bytes(head.unwarp)))
    source = [f"bids::{place}/{label}_T1w.nii.gz"]
    bids.write_json(
        true / f"{there}_xfm.json",
        {
            "Description": "Points of the T1w image go through the warp, then the affine matrix, "
            "and are then points of the template. Exactly what made the image.",
            "Units": "mm",
            "JacobianOfWarp": [round(v, 4) for v in head.jacobian],
            "VentriclesWider": round(head.ventricles, 4),
            "Sources": source,
        },
    )
    bids.write_json(
        true / f"{back}_xfm.json",
        {
            "Description": "The other way: points of the template go through the affine matrix, "
            "then the warp. Inverted to 0.01 mm at its lattice points, about 0.2 mm between.",
            "Units": "mm",
            "Sources": source,
        },
    )
    return head


def lie_again(rng: np.random.Generator, head: Head, settings: HeadSettings) -> Head:
    """Return the same head in another scan: it lies anew in the PET scanner.

    Parameters
    ----------
    rng : numpy.random.Generator
        Stream of the head in that scan.
    head : Head
        In the first scan.
    settings : ekbom.virtual.design_parts.Head
        Spreads.

    Returns
    -------
    Head
        Same anatomy.
    """
    return dataclasses.replace(head, pet=draw_position(rng, settings))


def dseg_columns(study: VirtualStudy) -> dict[str, Any]:
    """Return the look-up table of the labels.

    Parameters
    ----------
    study : VirtualStudy
        Study.

    Returns
    -------
    dict
        Columns ``index`` and ``name``.
    """
    labels = label_table(study.sources)
    return {"index": [i for i, _ in labels], "name": [name for _, name in labels]}


def native_place(study: VirtualStudy, head: Head, texture: Array) -> Place:
    """Return where the sources lie in a person's PET image.

    Parameters
    ----------
    study : VirtualStudy
        Study.
    head : Head
        Anatomy.
    texture : (x, y, z) array
        Factor of uptake on the grid of the study's template anatomy.

    Returns
    -------
    Place
        True and seen shares.
    """
    return place(
        study.sources,
        head.pet_to_template(),
        texture,
        study.anatomy.grid,
        study.resolution,
        study.design.scanner.psf_fwhm_mm,
    )


def write_native_pet(
    study: VirtualStudy,
    person: Person,
    head: Head,
    where: Place,
    curves: Array,
    tissue: Tissue,
    texture: Array,
    seeds: tuple[np.random.Generator, np.random.Generator],
) -> tuple[Rigid, ...]:
    """Write the dynamic image in its own frame of reference, and its truth.

    Parameters
    ----------
    study : VirtualStudy
        Study.
    person : Person
        Whose scan.
    head : Head
        Anatomy and position.
    where : Place
        Sources in the image.
    curves : (S, F) array
        Curves of the sources, kBq/mL.
    tissue : Tissue
        Kinetics.
    texture : (x, y, z) array
        Factor of uptake on the grid of the template anatomy.
    seeds : tuple of numpy.random.Generator
        Streams of the noise and of the motion.

    Returns
    -------
    tuple of Rigid
        Pose of each frame.
    """
    settings = study.design.head
    assert settings is not None
    poses = draw_motion(seeds[1], settings, study.timing.end)
    image = _frames(study, where, curves, poses, head, seeds[0])
    affine, scan = where.grid.affine, study.stem(person)
    path = study.root / study.folder(person) / f"{scan}_pet.nii.gz"
    bids.write_nifti(path, image, affine, scaled=True, factor=1000.0)
    true = study.root / "derivatives" / "truth" / study.folder(person)
    stem = f"{scan}_desc-truth"
    source = [f"bids::{study.folder(person)}/{scan}_pet.nii.gz"]
    shape = where.grid.shape
    VT = (where.true @ tissue.VT).reshape(shape)
    bids.write_nifti(true / f"{stem}_VT.nii.gz", VT, affine, scaled=True, native=True)
    seen = (where.seen @ tissue.VT).reshape(shape)
    bids.write_nifti(
        true / f"{scan}_desc-blurred_VT.nii.gz", seen, affine, scaled=True, native=True
    )
    bids.write_nifti(true / f"{stem}_dseg.nii.gz", where.labels, affine, scaled=False, native=True)
    bids.write_tsv(true / f"{stem}_dseg.tsv", dseg_columns(study))
    if study.dopamine:
        rates = tissue.rates
        specific = (where.true @ (rates.k3 / rates.k4)).reshape(shape)
        bids.write_nifti(true / f"{stem}_BPND.nii.gz", specific, affine, scaled=True, native=True)
        said = {"Description": "True k3/k4 before the scanner's blur", "Units": "1"}
        bids.write_json(true / f"{stem}_BPND.json", {**said, "Sources": source})
    place = study.anatomy
    common = np.einsum("xyzs,s->xyz", place.weights, tissue.VT) * texture
    bids.write_nifti(
        true / f"{scan}_space-{place.space}_desc-truth_VT.nii.gz",
        common,
        place.grid.affine,
        scaled=True,
    )
    for name, words in (
        (f"{stem}_VT", "True distribution volume before the scanner's blur, head at rest"),
        (f"{scan}_desc-blurred_VT", "The same as the scanner sees it, without noise"),
        (f"{scan}_space-{place.space}_desc-truth_VT", "True distribution volume in template space"),
    ):
        bids.write_json(
            true / f"{name}.json", {"Description": words, "Units": "mL/cm3", "Sources": source}
        )
    bids.write_bytes(true / f"{scan}_from-T1w_to-PET_mode-image_xfm.txt", itk_text_bytes(head.pet))
    bids.write_tsv(
        true / f"{stem}_motion.tsv",
        {"frame": list(range(len(poses))), **motion_table(poses)},
    )
    bids.write_json(
        true / f"{stem}_motion.json",
        {
            "Description": "By frame: from points of the head at rest to points in that frame; "
            "angles about the origin in degrees (x first), shifts in mm, and the matrix",
            "Sources": source,
        },
    )
    return poses


def _frames(
    study: VirtualStudy,
    where: Place,
    curves: Array,
    poses: tuple[Rigid, ...],
    head: Head,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    scanner, grid = study.design.scanner, where.grid
    # frames lie one behind the other, as in the file
    out = np.empty((*grid.shape, curves.shape[1]), dtype=np.float32, order="F")
    relative = study.timing.relative_sd()
    sigma = scanner.psf_fwhm_mm / FWHM_PER_SIGMA / np.asarray(grid.voxel_size)
    gain = noise_gain(scanner.psf_fwhm_mm, grid)
    near = near_brain(grid, head.pet_to_template())
    for f, pose in enumerate(poses):
        mean = moved((where.seen @ curves[:, f]).reshape(grid.shape), grid, pose, near)
        if study.noise > 0:
            randoms = scanner.noise_floor * float(mean[where.brain].mean())
            field = noise_field(rng, grid.shape, sigma, gain)
            mean = mean + study.noise * relative[f] * np.sqrt(np.maximum(mean, 0) + randoms) * field
        out[..., f] = mean
    return out


def write_atlas(study: VirtualStudy) -> None:
    """Write the labels and the brain mask in template space, once for the study.

    Parameters
    ----------
    study : VirtualStudy
        Study.
    """
    where = study.anatomy
    folder = study.root / "derivatives" / "ekbom-sim" / f"tpl-{where.space}"
    stem = f"tpl-{where.space}"
    bids.write_nifti(
        folder / f"{stem}_desc-sim_dseg.nii.gz", where.labels, where.grid.affine, scaled=False
    )
    bids.write_tsv(folder / f"{stem}_desc-sim_dseg.tsv", dseg_columns(study))
    bids.write_nifti(
        folder / f"{stem}_desc-brain_mask.nii.gz", where.brain, where.grid.affine, scaled=False
    )
