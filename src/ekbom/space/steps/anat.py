"""From the T1-weighted image of a person to the template."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel

from ekbom.errors import Refused
from ekbom.nouns import Figure, Inputs, Map, Note, Product
from ekbom.space import checks
from ekbom.space.assess import Assessed, to_template, upright, warped_mask
from ekbom.space.image import Volume
from ekbom.space.pictures import outlined
from ekbom.space.register import Registration, backend
from ekbom.space.register.base import Kind
from ekbom.space.steps.given import WaySettings, head_of, once, scores, way_files
from ekbom.space.template import SPACE, Template, template

#: Label of the image in names of transforms.
LABEL = "T1w"

AFFINE_ONLY = "no backend does deformable registration here: the way to the template is affine"


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
                file=path, found=f"axes {t1.grid.orientation}: turned by {rough.angle:.0f} degrees"
            )
        try:
            found = register(head, t1, settings)
        except Refused as no:
            raise _at(no, path) from no
        looked = to_template(head, t1, found.transform, found.inverse, seed=settings.seed)
        require(looked, path, found.metric, t1.grid.orientation)
        if looked.coverage < 0.9:
            notes.append(Note("coverage", checks.COVERAGE_NOTE.format(share=100 * looked.coverage)))
        notes += [Note("registration", text) for text in found.log]
        meta = {
            "Software": f"ekbom, backend {found.backend} {found.version}",
            "Settings": dict(found.settings),
            "Metric": {found.metric: [found.value_start, found.value]},
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


def register(head: Template, t1: Volume, settings: AnatSettings) -> Registration:
    """Bring an image to the template with the freedom the backends there are allow.

    Parameters
    ----------
    head : Template
        At the resolution of the warp.
    t1 : Volume
        The image.
    settings : AnatSettings
        Backend, freedom.

    Returns
    -------
    Registration
        From points of the template to points of the image.

    Raises
    ------
    Refused
        No such backend, or no result.
    """
    fixed = Volume(np.asarray(head.t1, dtype=np.float64), head.grid)
    kind: Kind = settings.warp
    log: tuple[str, ...] = ()
    try:
        registrar = backend(settings.backend, kind)
    except Refused as no:
        if settings.backend != "auto" or kind == "affine":
            raise
        registrar, kind, log = backend("auto", "affine"), "affine", (AFFINE_ONLY, no.what)
    found = registrar.register(
        fixed,
        t1,
        kind=kind,
        start="search",
        fixed_mask=np.asarray(head.brain),
        resolution=settings.warp_resolution,
        seed=settings.seed,
    )
    return replace(found, log=(*found.log, *log))


def require(looked: Assessed, path: object, metric: str, axes: str) -> None:
    """Refuse a registration that cannot be trusted.

    Parameters
    ----------
    looked : Assessed
        Its numbers.
    path : path-like
        The image.
    metric : str
        Of the backend.
    axes : str
        Orientation of the image.

    Raises
    ------
    Refused
        Turned by more than 45 degrees, no better than at the start, not the best
        around, folded, not finite, or less than 70 % of the brain seen.
    """
    if looked.angle > 45.0:
        raise checks.WRONG_ORIENTATION.refused(
            file=path, found=f"axes {axes}: turned by {looked.angle:.0f} degrees"
        )
    start, end = looked.number("NMI_start"), looked.number("NMI")
    if not np.isfinite(end) or end <= start or not looked.around.interior:
        lower = sum(v < looked.around.value for v in looked.around.around)
        raise checks.NOT_REGISTERED.refused(
            file=path,
            found=f"NMI {end:.4f}, at the start {start:.4f}; it falls in {lower} of 12 directions",
        )
    if looked.folds > 0:
        raise checks.FOLDS.refused(
            file=path, found=f"{100 * looked.folds:.3g} % of the voxels of the brain ({metric})"
        )
    if looked.coverage < 0.7:
        raise checks.TEMPLATE_NOT_SEEN.refused(file=path, found=f"{100 * looked.coverage:.0f} %")


def _at(no: Refused, path: object) -> Refused:
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


def _figure(looked: Assessed, head: Template, found: Registration) -> Figure:
    overlap = looked.number("GM_Dice")
    caption = (
        f"T1-weighted image brought to {SPACE} by {found.backend} {found.version}; outline: grey "
        f"matter of the template. Left is left. Grey-matter Dice {overlap:.3f} (brightness "
        f"classes), NMI {looked.number('NMI_start'):.3f} at the start and "
        f"{looked.number('NMI'):.3f} now."
    )
    data = outlined(looked.image, head.grey_mask, head.grid)
    return Figure("desc-T1wToTemplate", data, caption, "png")
