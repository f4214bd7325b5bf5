"""Which files of a study one scan is measured from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ekbom.errors import Refused
from ekbom.measures.pet.io.dose import declared_weight
from ekbom.measures.pet.io.text import read_json
from ekbom.measures.pet.settings import PETSettings
from ekbom.nouns import BidsFile, Files, Inputs, Unit

if TYPE_CHECKING:
    from ekbom.measures.pet.native import NativeWay

# Entities in which pipelines write the name of a segmentation, first found first.
_SEGMENTATION = ("seg", "atlas", "desc", "label")


def units(study: Files) -> list[Unit]:
    """Return the subject-sessions that have a raw PET image or its JSON."""
    found = {
        Unit(
            f"sub-{file.entities['sub']}",
            file.entities.get("ses"),
            file.entities.get("run"),
            file.entities.get("trc"),
        )
        for file in study.find(suffix="pet", scope="raw")
        if "sub" in file.entities and file.extension in (".json", ".nii.gz", ".nii")
    }
    return sorted(
        found, key=lambda u: (u.participant, u.session or "", u.tracer or "", u.run or "")
    )


def inputs(unit: Unit, study: Files, settings: PETSettings) -> Inputs:
    """Name the files of one scan.

    Parameters
    ----------
    unit : Unit
    study : Files
    settings : PETSettings

    Returns
    -------
    Inputs
        Roles: ``pet_json``, ``manual`` and ``autosampler`` (with ``_json``) or
        ``inputfunction``, ``tacs:<segmentation>``, ``morph:<segmentation>``;
        ``image``, ``mask``, ``dseg:<segmentation>`` where the image is needed.

    Raises
    ------
    Refused
        When something is missing or there are two of it.
    """
    roles: dict[str, list[Path]] = {}
    image = _image(unit, study, settings)
    roles["pet_json"] = study.metadata_files(image)
    if settings.needs_blood:
        _blood(unit, study, settings, roles)
    way = _curves(unit, study, settings, image, roles)
    permitted = settings.permissions(unit.label)
    extra: dict[str, Any] = {
        "blood.sort": permitted.blood.sort,
        "blood.extrapolate": permitted.blood.extrapolate,
        "trust_units": permitted.trust_units,
    }
    if "suv" in (*settings.model, *settings.maps.model):
        extra |= {"weight_kg": _weight(unit, study)}
    if way is None:
        return Inputs(unit, roles, extra)
    return Inputs(unit, roles, {**extra, **way.extra}, way.before)


def _weight(unit: Unit, study: Files) -> float | None:
    """Return the person's weight in kg from the participants table, when its unit is declared."""
    described = study.root / "participants.json"
    return declared_weight(
        study.participant(unit), read_json([described]) if described.is_file() else {}
    )


def segmentation(file: BidsFile) -> str:
    """Return the segmentation that a derivative file's name holds (``n/a`` without one)."""
    return next((file.entities[key] for key in _SEGMENTATION if key in file.entities), "n/a")


def _image(unit: Unit, study: Files, settings: PETSettings) -> BidsFile:
    files = [
        file
        for file in study.find(unit, suffix="pet", scope="raw")
        if "sub" in file.entities and file.extension in (".nii.gz", ".nii", ".json")
    ]
    by_stem: dict[str, BidsFile] = {}
    for file in files:
        stem = file.path.name.removesuffix(file.extension)
        # the image rather than its JSON, so that more general JSON files are not taken for scans
        if stem not in by_stem or file.extension != ".json":
            by_stem[stem] = file
    chosen = list(by_stem.values())
    images = [file for file in chosen if file.extension != ".json"]
    chosen = images or chosen
    if settings.reconstruction is not None:
        chosen = [f for f in chosen if f.entities.get("rec") == settings.reconstruction]
    elif len(chosen) > 1:
        dynamic = [f for f in chosen if "dyn" in f.entities.get("rec", "")]
        chosen = dynamic if len(dynamic) == 1 else chosen
    if len(chosen) == 1:
        return chosen[0]
    raise Refused(
        f"{unit.label} has {'no' if not chosen else 'more than one'} PET scan.",
        file=study.root / unit.folder,
        field="measures.pet.reconstruction",
        found=", ".join(f.path.name for f in chosen or by_stem.values()) or "nothing",
        expected="one dynamic image or its JSON",
        mend="name the rec- entity in the plan, or check the file names",
    )


def _one(files: Iterable[BidsFile], what: str, field: str, mend: str) -> BidsFile | None:
    found = list(files)
    if len(found) > 1:
        raise Refused(
            f"There are two {what} for one scan.",
            file=found[0].path,
            field=field,
            found=", ".join(str(f.path) for f in found),
            expected="one",
            mend=mend,
        )
    return found[0] if found else None


def _blood(unit: Unit, study: Files, settings: PETSettings, roles: dict[str, list[Path]]) -> None:
    raw = study.find(unit, suffix="blood", extension=".tsv", scope="raw")
    if settings.blood != "bloodstream" and raw:
        for kind in ("manual", "autosampler"):
            automatic = kind == "autosampler"
            file = _one(
                (f for f in raw if (f.entities.get("recording") == "autosampler") is automatic),
                f"{kind} blood recordings",
                "recording",
                "keep one of them, or name the run of each",
            )
            if file is not None:
                roles[kind] = [file.path]
                roles[f"{kind}_json"] = study.metadata_files(file)
        return
    if settings.blood != "raw":
        made = _one(
            study.find(unit, suffix="inputfunction", extension=".tsv", scope="derivatives"),
            "input functions",
            "inputfunction",
            "keep one of the derivatives",
        )
        if made is not None:
            roles["inputfunction"] = [made.path]
            roles["inputfunction_json"] = study.metadata_files(made)
            return
    raise Refused(
        f"There is no blood for {unit.label}.",
        file=study.root / unit.folder,
        field="measures.pet.blood",
        found=f"no file for blood = {settings.blood!r}",
        expected="_recording-manual_blood.tsv, or _inputfunction.tsv of bloodstream",
        mend="add the blood, or take the scan out of the study",
    )


def _curves(
    unit: Unit,
    study: Files,
    settings: PETSettings,
    image: BidsFile,
    roles: dict[str, list[Path]],
) -> NativeWay | None:
    scope = settings.pipeline or "derivatives"
    found: dict[str, BidsFile] = {}
    for file in _tables_of_curves(unit, study, settings, scope):
        name = segmentation(file)
        if name in found:
            _one(
                (found[name], file),
                f"tables of curves of {name}",
                "measures.pet.pipeline",
                "name the derivative in the plan, or remove one",
            )
        found[name] = file
    from_labels = settings.tacs == "dseg" or (
        settings.tacs == "auto" and not found and image.extension != ".json"
    )
    way = None
    if from_labels or settings.maps.model:
        from ekbom.measures.pet.io.image import image_roles
        from ekbom.measures.pet.native import find_way

        roles.update(image_roles(unit, study, settings, image))
        way = find_way(unit, study, settings, roles, roles["pet_json"])
        if way is not None:
            roles.update(way.files)
    if from_labels:
        _label_images(unit, study, settings, roles)
        return way
    wanted = list(found) if settings.segmentations is None else list(settings.segmentations)
    lost = [name for name in (*wanted, *settings.regions) if name not in found]
    if lost or not wanted:
        raise Refused(
            f"There are no regional curves for {unit.label}"
            + (f" in the segmentation {lost[0]}." if lost else "."),
            file=study.root / unit.folder,
            field="measures.pet.segmentations" if lost else "measures.pet.tacs",
            found=", ".join(found) or "no _tacs.tsv in any derivative",
            expected=", ".join(lost) or "_tacs.tsv, one a segmentation",
            mend="make the curves (PETPrep), or name the segmentations that are there",
        )
    for name in sorted(wanted):
        file = found[name]
        roles[f"tacs:{name}"] = [file.path]
        roles[f"tacs_json:{name}"] = study.metadata_files(file)
        volumes = [
            f
            for f in study.find(unit, suffix="morph", extension=".tsv", scope=file.scope)
            if segmentation(f) == name
        ]
        morph = _one(volumes, f"tables of volumes of {name}", "morph", "remove one of them")
        if morph is not None:
            roles[f"morph:{name}"] = [morph.path]
    return way


def _tables_of_curves(
    unit: Unit, study: Files, settings: PETSettings, scope: str
) -> list[BidsFile]:
    """Return tables of regional curves, without or with the partial volume correction asked for.

    PETPrep writes ``_tacs.tsv``; for a time it wrote ``seg-X_desc-preproc_timeseries.tsv``.
    A curve of one reference mask (``ref-``) is no segmentation.
    """
    files = [
        *study.find(unit, suffix="tacs", extension=".tsv", scope=scope),
        *(
            file
            for file in study.find(unit, suffix="timeseries", extension=".tsv", scope=scope)
            if "seg" in file.entities and file.entities.get("desc") == "preproc"
        ),
    ]
    files = [file for file in files if "ref" not in file.entities]
    wanted = settings.partial_volume
    chosen = [file for file in files if file.entities.get("pvc") == wanted]
    if files and not chosen:
        there = sorted({file.entities.get("pvc", "none") for file in files})
        raise Refused(
            f"There are no regional curves of {unit.label} with that partial volume correction.",
            file=files[0].path.parent,
            field="measures.pet.partial_volume",
            found=", ".join(there),
            expected="no correction" if wanted is None else wanted,
            mend=f'set partial_volume = "{there[-1]}" in [measures.pet], or leave it out for curves'
            " without correction",
        )
    return chosen


def _label_images(
    unit: Unit, study: Files, settings: PETSettings, roles: dict[str, list[Path]]
) -> None:
    """Refuse segmentations of the plan that no label image on the grid of the image has."""
    there = [
        role.partition(":")[2] for role in roles if role.partition(":")[0] in ("dseg", "atlas")
    ]
    if settings.space.atlas is not None and settings.space.atlas.upper() == "AAL3":
        there.append("AAL3")
    lost = [n for n in (*(settings.segmentations or ()), *settings.regions) if n not in there]
    if lost:
        raise Refused(
            f"There is no label image of {lost[0]} for {unit.label}.",
            file=study.root / unit.folder,
            field="measures.pet.segmentations",
            found=", ".join(there) or f"no _dseg.nii.gz in the space of {roles['image'][0].name}",
            expected=", ".join(lost),
            mend="add the label image on the grid of the PET image, or name one that is there",
        )
