"""From the T1-weighted image of a person to the template."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel

from ekbom.errors import Refused
from ekbom.nouns import Figure, Inputs, Map, Note, Product
from ekbom.space import checks
from ekbom.space.assess import Assessed, warped_mask
from ekbom.space.assess import to_template as assess
from ekbom.space.image import Volume
from ekbom.space.normalise import Alignment, to_template
from ekbom.space.pictures import outlined
from ekbom.space.steps.given import WaySettings, head_of, once, scores, way_files
from ekbom.space.template import SPACE, Template, template
from ekbom.space.upright import upright

#: Label of the image in names of transforms.
LABEL = "T1w"


class AnatSettings(WaySettings):
    """What the way from T1 to the template depends on."""

    warp: Literal["deformable", "affine"] = "deformable"
    warp_resolution: float = 2.0


class T1ToTemplate:
    """Transform, masks, and how good they are."""

    def run(self, inputs: Inputs, settings: BaseModel) -> Product:
        """Register one T1-weighted image.

        Parameters
        ----------
        inputs : Inputs
            Role ``T1w``.
        settings : AnatSettings
            Backend, freedom, resolution.

        Returns
        -------
        Product
            Transforms both ways, brain mask, image on the template, numbers, picture.

        Raises
        ------
        Refused
            A file that cannot be trusted, a head that is not upright, a
            registration that failed.
        """
        assert isinstance(settings, AnatSettings)
        path = inputs.files["T1w"][0]
        t1 = head_of(path, settings)
        notes = [Note("T1w", text) for text in t1.notes]
        head = template(settings.warp_resolution)
        fixed = Volume(np.asarray(head.t1, dtype=np.float64), head.grid)
        rough = upright(fixed, t1, np.asarray(head.brain), seed=settings.seed)
        if rough.doubtful:
            raise checks.WRONG_ORIENTATION.refused(
                file=path, found=f"{rough.angle:.0f} degrees, axes {t1.grid.orientation}"
            )
        try:
            found = to_template(
                t1,
                head,
                backend=settings.backend,
                kind=settings.warp,
                resolution_mm=settings.warp_resolution,
                seed=settings.seed,
            )
        except Refused as no:
            raise at_file(no, path) from no
        looked = assess(head, t1, found.transform, found.inverse, seed=settings.seed)
        if not looked.around.interior:
            lower = sum(v < looked.around.value for v in looked.around.around)
            raise checks.NOT_A_MAXIMUM.refused(
                file=path, found=f"NMI {looked.around.value:.4f} falls in {lower} of 12 directions"
            )
        notes += [Note("registration", text) for text in found.notes]
        meta = {
            "Software": f"ekbom, backend {found.backend} {found.version}",
            "Settings": dict(found.settings),
            "Registration": dict(found.quality),
            "Convention": "RAS+ mm here; ITK files are LPS",
            "ObliquityDegrees": round(t1.grid.obliquity, 3),
            "Quality": {one.name: one.value for one in looked.numbers},
            "DisplacedCheck": asdict(looked.around) | {"interior": looked.around.interior},
            "Inputs": path.name,
        }
        brain = warped_mask(np.asarray(head.brain), head.grid, t1.grid, found.inverse)
        return Product(
            scores=scores(looked.numbers, "T1w-to-template"),
            maps=[_map(looked.image, head, meta), _mask(brain, t1, meta)],
            figures=[_figure(looked, head, found)],
            notes=once(notes),
            files=way_files(
                LABEL, settings.template, found.transform, found.inverse, settings.formats, meta
            ),
        )


def at_file(no: Refused, path: object) -> Refused:
    """Say of which file a refusal speaks.

    Parameters
    ----------
    no : Refused
        From the numerics.
    path : path-like or str
        The file.

    Returns
    -------
    Refused
        With the file, when it named none.
    """
    file = no.file or str(path)
    return Refused(
        no.what, file=file, field=no.field, found=no.found, expected=no.expected, mend=no.mend
    )


def _map(image: Any, head: Template, meta: dict[str, Any]) -> Map:
    name = f"space-{SPACE}_res-{head.grid.voxel_size[0]:g}_T1w".replace(".", "p")
    more = {"Interpolations": 1, **meta}
    return Map(
        name, image.astype(np.float32), head.grid.affine, "a.u.", SPACE, "T1w", "space", more
    )


def _mask(brain: Any, t1: Volume, meta: dict[str, Any]) -> Map:
    about = {"Description": "brain mask of the template, brought to the image", **meta}
    return Map("desc-brain_mask", brain, t1.grid.affine, "1", LABEL, "brain_mask", "space", about)


def _figure(looked: Assessed, head: Template, found: Alignment) -> Figure:
    overlap = looked.number("GM_Dice")
    caption = (
        f"T1-weighted image brought to {SPACE} by {found.backend} {found.version}; outline: grey "
        f"matter of the template. Left is left. Grey-matter Dice {overlap:.3f} (brightness "
        f"classes), NMI {looked.number('NMI_start'):.3f} at the start and "
        f"{looked.number('NMI'):.3f} now."
    )
    data = outlined(looked.image, head.grey_mask, head.grid)
    return Figure("desc-T1wToTemplate", data, caption, "png")
