"""From the mean of a dynamic scan to the T1-weighted image of the same person."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from ekbom.nouns import Figure, Inputs, Note, Product
from ekbom.space.assess import Number
from ekbom.space.handed import mirror_in
from ekbom.space.image import Volume
from ekbom.space.io import read_mask, read_volume
from ekbom.space.normalise import RIM_MM, Alignment, pet_to_t1
from ekbom.space.pictures import outlined
from ekbom.space.pose import brain_points
from ekbom.space.quality import curve, displaced, single_peak
from ekbom.space.rim import with_rim
from ekbom.space.steps.given import (
    WaySettings,
    head_of,
    once,
    own_instead,
    scores,
    way_files,
    way_of,
)
from ekbom.space.template import template
from ekbom.space.transform import Affine, Rigid
from ekbom.space.warp import warp

#: Label of the mean of the frames in names of transforms.
LABEL = "PET"


class AlignSettings(WaySettings):
    """What the way from PET to T1 depends on."""


class PETToT1:
    """Rigid transform, its quality, and the guard against a mirrored image."""

    def run(self, inputs: Inputs, settings: BaseModel) -> Product:
        """Register the mean of the frames.

        Parameters
        ----------
        inputs : Inputs
            Roles ``T1w``, ``frames`` (the step before, with ``desc-mean_pet``) and
            ``anat`` (transforms between T1 and template).
        settings : AlignSettings
            Backend.

        Returns
        -------
        Product
            Transforms both ways, numbers, picture.

        Raises
        ------
        Refused
            A registration that failed, or a PET image that fits better mirrored.
        """
        assert isinstance(settings, AlignSettings)
        path, pet_path = inputs.files["T1w"][0], mean_of(inputs.files["frames"])
        t1 = head_of(path, settings)
        pet = read_volume(pet_path)
        anat = way_of(inputs.files["anat"], "T1w", settings.template)
        head = template(4.0)
        brain = _brain_of(inputs.files["anat"])
        inside = None if brain is None else with_rim(brain, t1.grid.voxel_size, RIM_MM)
        scan = pet_path.name.partition("_desc-")[0]
        found = pet_to_t1(
            pet,
            t1,
            backend="numba",
            t1_mask=brain,
            mirror=mirror_in(anat.transform, brain_points(head.grid, np.asarray(head.brain))),
            seed=settings.seed,
            file=f"{path.name} and {scan}",
        )
        way, around, side = found.transform, found.around, found.side
        assert isinstance(way, Affine)
        assert around is not None
        assert side is not None
        start = displaced(
            t1, pet, Rigid(np.eye(4)), fixed_mask=inside, shift=1.0, turn=1.0, seed=settings.seed
        ).value
        notes = own_instead(settings.backend, "PET to T1w")
        texts = list(found.notes)
        if side.verdict == "undecided":
            notes.append(Note("side-undecided", texts.pop()))
        notes += [Note("registration", text) for text in texts]
        places, values = curve(t1, pet, way, fixed_mask=inside, seed=settings.seed)
        single = single_peak(values)
        numbers = [
            Number("NMI_start", start),
            Number("NMI", around.value),
            Number("NMI_mirrored", side.mirrored),
            Number("single_peak", float(single)),
            Number("shift", _shift(way, t1, inside), "mm"),
        ]
        meta = {
            "Software": f"ekbom, backend {found.backend} {found.version}",
            "Settings": dict(found.settings),
            "Metric": {"nmi": [found.quality["nmi_start"], found.quality["nmi"]]},
            "Convention": "RAS+ mm here; ITK files are LPS",
            "Quality": {one.name: one.value for one in numbers},
            "DisplacedCheck": asdict(around) | {"interior": around.interior},
            "Curve": {"Places": places.tolist(), "NMI": values.round(6).tolist()},
            "Side": side.verdict,
            "Inputs": [path.name, pet_path.name],
        }
        return Product(
            scores=scores(numbers, "PET-to-T1w"),
            figures=[_figure(t1, pet, inputs.files["anat"], found)],
            notes=once(notes),
            files=way_files(LABEL, "T1w", found.transform, found.inverse, settings.formats, meta),
        )


def mean_of(paths: object) -> Path:
    """Return the mean of the frames among the files of a step."""
    assert isinstance(paths, list | tuple)
    return next(Path(p) for p in paths if str(p).endswith("desc-mean_pet.nii.gz"))


def _brain(paths: object) -> Path | None:
    assert isinstance(paths, list | tuple)
    return next((Path(p) for p in paths if str(p).endswith("desc-brain_mask.nii.gz")), None)


def _brain_of(paths: object) -> NDArray[np.bool_] | None:
    mask = _brain(paths)
    return None if mask is None else np.asarray(read_mask(mask).values, dtype=bool)


def _shift(way: Affine, t1: Volume, inside: NDArray[np.bool_] | None) -> float:
    where = np.ones(t1.grid.shape, dtype=bool) if inside is None else inside
    points = brain_points(t1.grid, where)
    return float(np.sqrt(((way.points(points) - points) ** 2).sum(axis=1).mean()))


def _figure(t1: Volume, pet: Volume, anat: object, found: Alignment) -> Figure:
    mask = _brain(anat)
    inside = (
        np.asarray(read_mask(mask).values, dtype=bool)
        if mask is not None
        else np.asarray(t1.values) > 0
    )
    image = warp(pet.values, pet.grid, t1.grid, found.transform)
    side = found.side
    assert side is not None
    words = {"same": "agree in left and right", "undecided": "cannot be told apart by side"}
    caption = (
        f"Mean of the frames on the T1-weighted image; outline: brain of the T1. Left is left. "
        f"NMI {found.quality['nmi_start']:.3f} at the start, {found.quality['nmi']:.3f} now; "
        f"the images {words[side.verdict]}."
    )
    return Figure("desc-PETToT1w", outlined(image, inside, t1.grid), caption, "png")
