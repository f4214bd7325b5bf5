"""From the mean of a dynamic scan straight to a template of its tracer, without a T1.

Noise is followed by a fine deformation, so the way is affine.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from ekbom.nouns import Figure, Inputs, Note, Product
from ekbom.space import checks
from ekbom.space.assess import Number, brain_points, covered, turn, warped_mask, way_numbers
from ekbom.space.image import Volume
from ekbom.space.io import read_volume
from ekbom.space.normalise import NO_SIDE_NOTE
from ekbom.space.pictures import outlined
from ekbom.space.quality import displaced
from ekbom.space.register import backend
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
        still = Volume(np.nan_to_num(np.asarray(fixed.values, dtype=np.float64)), fixed.grid)
        found = backend("numba", "affine").register(
            still, pet, kind="affine", start="search", fixed_mask=inside, seed=settings.seed
        )
        image = warp(pet.values, pet.grid, fixed.grid, found.transform)
        around = displaced(
            still,
            Volume(np.nan_to_num(image), fixed.grid),
            Rigid(np.eye(4)),
            fixed_mask=inside,
            seed=settings.seed,
        )
        if not np.isfinite(around.value) or not around.interior:
            lower = sum(v < around.value for v in around.around)
            raise checks.NOT_A_MAXIMUM.refused(
                file=f"{settings.template} <- {scan}",
                found=f"NMI {around.value:.4f}, at the start {found.value_start:.4f}; "
                f"it falls in {lower} of 12 directions",
            )
        points = brain_points(fixed.grid, inside)
        angle = turn(found.transform, points)
        if angle > 45.0:
            raise checks.WRONG_ORIENTATION.refused(
                file=scan, found=f"{angle:.0f} degrees, axes {pet.grid.orientation}"
            )
        seen = covered(fixed.grid, inside, found.transform, pet.grid)
        if seen < 0.7:
            raise checks.BRAIN_CUT.refused(file=scan, found=f"{100 * seen:.0f} %")
        way, _ = way_numbers(fixed.grid, inside, found.transform, found.inverse)
        numbers = [
            Number("NMI_start", found.value_start),
            Number("NMI", around.value),
            *way,
            Number("coverage", 100 * seen, "%"),
            Number("turn", angle, "degrees"),
        ]
        meta = {
            "Software": f"ekbom, backend {found.backend} {found.version}",
            "Settings": dict(found.settings),
            "Metric": {found.metric: [found.value_start, found.value]},
            "Convention": "RAS+ mm here; ITK files are LPS",
            "Quality": {one.name: one.value for one in numbers},
            "DisplacedCheck": asdict(around) | {"interior": around.interior},
            "Inputs": [pet_path.name, "tracer template"],
        }
        caption = (
            f"Mean of the frames brought to the tracer template ({settings.template}); outline: "
            f"brain of the template. Left is left. NMI {found.value:.3f}. The template is "
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
                    Note("no-T1w", NO_SIDE_NOTE),
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
