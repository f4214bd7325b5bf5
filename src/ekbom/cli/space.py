"""`ekbom space`: register, warp, label, motion and check, on plain image files."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from ekbom.cli.space_read import Reading, read_chain, say
from ekbom.errors import Refused

if TYPE_CHECKING:
    from ekbom.space.grid import Grid
    from ekbom.space.transform import Transform

app = App(name="space", help="Where a voxel is: register, warp, label, motion, template, check.")

app.command(
    "ekbom.cli.space_label:label", name="label", help="Name points, or average a map over regions."
)
app.command(
    "ekbom.cli.space_motion:motion",
    name="motion",
    help="Find head motion between PET frames, undo it.",
)
app.command(
    "ekbom.cli.space_check:check", name="check", help="Say where images are, and what is wrong."
)
app.command(
    "ekbom.cli.space_template:make_template",
    name="template",
    help="Average maps to a template of the tracer.",
)

TEMPLATE = "template"
_READING = Reading()


@app.command
def register(
    fixed: str,
    moving: Path,
    out: Path,
    /,
    *,
    kind: Literal["rigid", "affine", "deformable"] = "rigid",
    backend: str = "auto",
    resolution: float = 2.0,
    start: str = "search",
    fixed_mask: Path | None = None,
    moving_mask: Path | None = None,
    volume: int | None = None,
    threads: int = 1,
    seed: int = 0,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    reading: Reading = _READING,
) -> int:
    """Find the transform that brings one image onto another.

    Parameters
    ----------
    fixed : str
        The image to which the other is brought, or `template`.
    moving : Path
        The image that is brought.
    out : Path
        Transform file: .txt (ITK), .h5 (ITK), .x5; a JSON is written beside it.
    kind : str
        rigid (the same head), affine or deformable (another head).
    backend : str
        auto is our own.
    resolution : float
        Finest step, mm.
    start : str
        search, com (centres of mass), header, or a transform file.
    fixed_mask, moving_mask : Path
        Where the images count. That of the template is its brain.
    volume : int
        Which volume of a 4-D moving image, counted from 1.
    threads : int
        Of our own program; the result is the same for any number.
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

    from ekbom.space.image import Volume
    from ekbom.space.register import backend as chosen
    from ekbom.space.template import template
    from ekbom.space.transform import Affine
    from ekbom.space.transforms_io import read_transform
    from ekbom.study.files import json_bytes, sha256, write_bytes

    registrar = chosen(backend, kind)
    if fixed == TEMPLATE:
        head = template(max(resolution, 1.0))
        still = Volume(np.asarray(head.t1, dtype=float), head.grid)
        inside = np.asarray(head.brain)
    else:
        still = reading.volume(fixed)
        inside = None
    image = reading.volume(moving, volume)
    _ending(out)
    within = None
    if fixed_mask is not None:
        inside = np.asarray(reading.mask(fixed_mask, still, fixed).values, dtype=bool)
    if moving_mask is not None:
        within = np.asarray(reading.mask(moving_mask, image, moving).values, dtype=bool)
    first: Any = start
    if start not in ("search", "com", "header"):
        first = read_transform(start)
        if not isinstance(first, Affine):
            raise Refused("A start must be a matrix.", file=start, expected="an ITK .txt or .lta")
    one = "" if volume is None else f", volume {volume}"
    say(f"{moving}{one}: {image.grid}")
    say(f"  onto {fixed}: {still.grid}")
    say(f"  {kind}, backend {registrar.name} {registrar.version}, start {start}, finest step "
         f"{resolution:g} mm, {_counts(inside, 'fixed')}, {_counts(within, 'moving')}")  # fmt: skip
    say(f"  the transform takes points of {fixed} to points of {moving}: {out}")
    for note in (*still.notes, *image.notes):
        say(f"  note: {note}")
    if dry_run:
        return 0
    try:
        found = registrar.register(
            still,
            image,
            kind=kind,
            start=first,
            fixed_mask=inside,
            moving_mask=within,
            resolution=resolution,
            threads=threads,
            seed=seed,
        )
    except Refused as no:
        raise Refused(
            no.what,
            file=no.file or moving,
            field=no.field,
            found=no.found,
            expected=no.expected,
            mend=no.mend,
        ) from no
    write_bytes(out, _transform_bytes(found.transform, out))
    about = {
        "From": str(moving),
        "To": fixed,
        "Direction": "maps points of the image named in To to points of the image named in From",
        "Software": f"ekbom, backend {found.backend} {found.version}",
        "Settings": dict(found.settings),
        "Metric": found.metric,
        "MetricValue": found.value,
        "MetricValueAtStart": found.value_start,
        "Notes": [*still.notes, *image.notes, *found.log],
        "Inputs": {str(p): sha256(Path(p)) for p in (fixed, moving) if p != TEMPLATE},
    }
    write_bytes(_json_name(out), json_bytes(about))
    say(f"{found.metric} {found.value_start:.4f} at the start, {found.value:.4f} at the end")
    say(str(out))
    return 0


@app.command
def warp(
    image: Path,
    out: Path,
    /,
    *,
    reference: str,
    transform: Annotated[list[Path] | None, Parameter(consume_multiple=True)] = None,
    invert: Annotated[list[Path] | None, Parameter(consume_multiple=True)] = None,
    interpolation: Literal["linear", "cubic", "nearest", "label"] = "linear",
    fwhm: float = 0.0,
    mask: Path | None = None,
    volume: int | None = None,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    reading: Reading = _READING,
) -> int:
    """Bring an image through transforms onto a grid, with one interpolation.

    Parameters
    ----------
    image : Path
        3-D image.
    out : Path
        .nii.gz file.
    reference : str
        Image whose grid is taken, or `template`, or `template:4` (mm).
    transform : list of Path
        In the order from the image to the reference.
    invert : list of Path
        Those of the transforms that are to be turned round.
    interpolation : str
        linear, cubic, nearest or label.
    fwhm : float
        Smoothing afterwards, mm.
    mask : Path
        Where the image counts, on its grid.
    volume : int
        Which volume of a 4-D image, counted from 1.
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

    from ekbom.space.io import nifti_bytes
    from ekbom.space.smooth import smooth
    from ekbom.space.transform import compose
    from ekbom.space.warp import warp as warped
    from ekbom.study.files import write_bytes

    parts, words = read_chain(transform, invert)
    if interpolation == "label" and fwhm:
        raise Refused("Labels are not smoothed.", field="--fwhm", found=fwhm, expected="0")
    target, space = _target(reference, reading)
    one = reading.volume(image, volume)
    valid = None
    if mask is not None:
        valid = np.asarray(reading.mask(mask, one, image).values, dtype=bool)
    say(f"{image}{'' if volume is None else f', volume {volume}'}: {one.grid}")
    for line in words:
        say(line)
    after = f"; then smoothed, FWHM {fwhm:g} mm" if fwhm > 0 else ""
    say(f"  onto {reference}: {target}; one interpolation, {interpolation}{after}")
    for note in one.notes:
        say(f"  note: {note}")
    if dry_run:
        return 0
    if interpolation == "label":
        from ekbom.space.labels import LabelImage

        LabelImage(one.values, one.grid, {})  # type: ignore[arg-type]  # refuses odd labels
    values = warped(
        one.values, one.grid, target, compose(*parts), interpolation=interpolation, mask=valid
    )
    if not np.isfinite(values).any() or (interpolation == "label" and not values.any()):
        raise Refused(
            "Nothing of the image falls onto the reference.",
            file=image,
            found=f"{one.grid}",
            expected=f"an image that meets {target}",
            mend="Look at the order of the transforms and at --invert.",
        )
    if fwhm > 0:
        values = smooth(values, target.voxel_size, fwhm)
    data = values.astype(np.int32) if interpolation == "label" else values
    write_bytes(out, nifti_bytes(data, target.affine, space=space))
    say(str(out))
    return 0


def _counts(mask: Any, which: str) -> str:
    return f"{which} image everywhere" if mask is None else f"{int(mask.sum())} {which} voxels"


def _target(reference: str, reading: Reading) -> tuple[Grid, str]:
    from ekbom.space.template import template

    name, _, size = reference.partition(":")
    if name != TEMPLATE:
        return reading.header(reference).grid, ""
    try:
        head = template(float(size or 2.0))
    except ValueError:
        raise Refused("The resolution is not a number.", field="--reference", found=size) from None
    return head.grid, head.space


def _transform_bytes(transform: Transform, out: Path) -> bytes:
    from ekbom.space.transforms_io import itk_text_bytes, write_itk_h5, write_x5

    writers = {".h5": write_itk_h5, ".x5": write_x5}
    if out.suffix in (".txt", ".tfm"):
        return itk_text_bytes(transform)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / out.name
        writers[out.suffix](transform, path)
        return path.read_bytes()


def _ending(out: Path) -> None:
    """Refuse a name that no transform can be written to, before anything is computed."""
    if out.suffix not in (".txt", ".tfm", ".h5", ".x5"):
        raise Refused(
            "The ending of the transform file is not known.",
            file=out,
            found=out.suffix or "none",
            expected=".txt, .h5 or .x5",
        )


def _json_name(out: Path) -> Path:
    return out.with_suffix(".json")
