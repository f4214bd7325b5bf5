"""`ekbom space template`: maps of a group in template space to a template of the tracer."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ekbom.errors import Refused


def make_template(
    out: Path,
    /,
    *maps: Path,
    tracer: str,
    model: str = "",
    participants: Path | None = None,
    fwhm: float = 8.0,
) -> int:
    """Average parametric maps in template space to a template of the tracer.

    The folder can be named in a plan (`pet_template`), so that scans without a
    T1 find their way.

    Parameters
    ----------
    out : Path
        Folder: template.nii.gz and template.json.
    maps : Path
        One map a person (`*_space-MNI152NLin2009aSym*_mimap.nii.gz`), on one grid.
    tracer : str
        Its name; goes into the JSON.
    model : str
        Of the maps, e.g. ma1; goes into the JSON.
    participants : Path
        participants.tsv with the column group: groups then count the same.
    fwhm : float
        Smoothing afterwards, mm.

    Returns
    -------
    int
        Exit code.
    """
    from dataclasses import replace

    from ekbom import __version__
    from ekbom.cli.space_read import say
    from ekbom.space.io import nifti_bytes, read_volume
    from ekbom.space.template import SPACE
    from ekbom.space.tracer_template import tracer_template
    from ekbom.study.files import json_bytes, sha256, write_bytes

    people = [_person(path) for path in maps]
    twice = sorted({p for p in people if people.count(p) > 1})
    if twice:
        raise Refused(
            "A person has more than one map.",
            found=", ".join(twice),
            expected="one map a person",
            mend="Leave out sessions or average them before.",
        )
    for path in maps:
        space = re.search(r"_space-([A-Za-z0-9]+)", path.name)
        if space is None or space[1] != SPACE:
            raise Refused(
                "The map does not lie in the space of the template.",
                file=path,
                found=space[1] if space else "no space-<label> in the name",
                expected=f"space-{SPACE}",
                mend="Bring it there with ekbom space warp, or run the study with T1w images.",
            )
    groups = _groups(participants, people) if participants is not None else None
    images = [replace(read_volume(path), unit=_unit(path)) for path in maps]
    made = tracer_template(images, [str(path) for path in maps], groups, fwhm=fwhm)
    data = nifti_bytes(made.mean.values, made.mean.grid.affine, space=SPACE)
    write_bytes(out / "template.nii.gz", data)
    about: dict[str, Any] = {
        "Space": SPACE,
        "Tracer": tracer,
        "Model": model or "n/a",
        "Units": made.mean.unit or "n/a",
        "People": len(maps),
        "Groups": made.counts,
        "FWHM": made.fwhm,
        "Weights": "groups count the same, people within a group too",
        "Software": f"ekbom {__version__}",
        "Inputs": {path.name: sha256(path) for path in maps},
    }
    write_bytes(out / "template.json", json_bytes(about))
    told = ", ".join(f"{n} {group}" for group, n in made.counts.items())
    say(f"{len(maps)} people ({told}), {tracer}, {made.fwhm:g} mm smooth")
    if len(maps) < 10:
        say("note: fewer than 10 people; their own anatomy shows in the mean")
    say(f'{out}: in the plan, [space] pet_template = "{out.resolve()}"')
    return 0


def _person(path: Path) -> str:
    found = re.match(r"(sub-[A-Za-z0-9]+)_", path.name)
    if found is None:
        raise Refused("The name of the map says no person.", file=path, expected="sub-<label>_...")
    return found[1]


def _unit(path: Path) -> str:
    sidecar = path.with_name(path.name.removesuffix(".gz").removesuffix(".nii") + ".json")
    if not sidecar.is_file():
        return ""
    try:
        told = json.loads(sidecar.read_text())
    except ValueError:
        raise Refused("The sidecar is not JSON.", file=sidecar) from None
    return str(told.get("Units", "")) if isinstance(told, dict) else ""


def _groups(path: Path, people: list[str]) -> list[str]:
    import pandas as pd

    if not path.is_file():
        raise Refused("There is no table of participants.", file=path, found="no such file")
    table = pd.read_csv(path, sep="\t", dtype=str)
    for column in ("participant_id", "group"):
        if column not in table:
            raise Refused(
                "The table of participants lacks a column.",
                file=path,
                field=column,
                found=", ".join(table.columns),
            )
    known = dict(zip(table["participant_id"], table["group"], strict=True))
    missing = [p for p in people if not isinstance(known.get(p), str)]
    if missing:
        raise Refused(
            "The table of participants names no group for a person.",
            file=path,
            field="group",
            found=", ".join(missing),
        )
    return [known[p] for p in people]
