"""From the mean of a dynamic scan straight to a template of its tracer, without a T1.

Noise is followed by a fine deformation, so the way is affine.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import BaseModel

from ekbom.nouns import Figure, Inputs, Note, Product
from ekbom.space.assess import Number, warped_mask, way_numbers
from ekbom.space.io import read_volume
from ekbom.space.normalise import NO_SIDE_NOTE, pet_to_template
from ekbom.space.pictures import outlined
from ekbom.space.steps.align import LABEL, mean_of
from ekbom.space.steps.given import WaySettings, once, own_instead, scores, way_files
from ekbom.space.template import template
from ekbom.space.transform import Rigid
from ekbom.space.warp import warp


class TracerSettings(WaySettings):
    """What the way from PET to a tracer template depends on."""


class PETToTemplate:
    """Affine transform and its quality."""

    def run(self, inputs: Inputs, settings: BaseModel) -> Product:
        """Register the mean of the frames with the tracer template.

        Parameters
        ----------
        inputs : Inputs
            Roles ``frames`` (with ``desc-mean_pet``) and ``tracer`` (image and JSON).
        settings : TracerSettings
            Backend.

        Returns
        -------
        Product
            Transforms both ways, numbers, picture.

        Raises
        ------
        Refused
            A registration that failed, or an image that covers too little.
        """
        assert isinstance(settings, TracerSettings)
        pet_path = mean_of(inputs.files["frames"])
        scan = pet_path.name.partition("_desc-")[0]
        pet = read_volume(pet_path)
        fixed = read_volume(Path(inputs.files["tracer"][0]))
        head = template(2.0)
        inside = warped_mask(np.asarray(head.brain), head.grid, fixed.grid, Rigid(np.eye(4)))
        found = pet_to_template(
            pet, fixed, tracer_mask=inside, backend="numba", seed=settings.seed, file=scan
        )
        way, _ = way_numbers(fixed.grid, inside, found.transform, found.inverse)
        nmi = found.quality["nmi"]
        numbers = [
            Number("NMI_start", found.quality["nmi_start"]),
            Number("NMI", nmi),
            *way,
            Number("coverage", 100 * found.quality["coverage"], "%"),
            Number("turn", found.quality["turn_deg"], "degrees"),
        ]
        meta = {
            "Software": f"ekbom, backend {found.backend} {found.version}",
            "Settings": dict(found.settings),
            "Convention": "RAS+ mm here; ITK files are LPS",
            "Quality": {one.name: one.value for one in numbers},
            "Inputs": [pet_path.name, "tracer template"],
        }
        image = warp(pet.values, pet.grid, fixed.grid, found.transform)
        caption = (
            f"Mean of the frames brought to the tracer template ({settings.template}); outline: "
            f"brain of the template. Left is left. NMI {nmi:.3f}. The template is "
            "symmetric and cannot tell the side."
        )
        return Product(
            scores=scores(numbers, "PET-to-template"),
            figures=[
                Figure("desc-PETToTemplate", outlined(image, inside, fixed.grid), caption, "png")
            ],
            notes=once(
                [
                    *own_instead(settings.backend, "PET to the tracer template"),
                    *(
                        Note("no-T1w" if text == NO_SIDE_NOTE else "registration", text)
                        for text in found.notes
                    ),
                ]
            ),
            files=way_files(
                LABEL,
                settings.template,
                found.transform,
                found.inverse,
                settings.formats,
                meta,
            ),
        )
