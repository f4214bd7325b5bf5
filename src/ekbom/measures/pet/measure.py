"""The PET measure: one scan's files to scores, tables, figures and notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from ekbom.errors import Refused
from ekbom.measures.pet import find, images, results, words
from ekbom.measures.pet.blood import BloodData, inspect
from ekbom.measures.pet.blood_draws import blood_errors
from ekbom.measures.pet.dispersion import undisperse
from ekbom.measures.pet.dose import Injected
from ekbom.measures.pet.input_fit import InputFit, fit_input
from ekbom.measures.pet.io.bids import Scan, read_scan
from ekbom.measures.pet.io.blood import read_blood
from ekbom.measures.pet.io.bloodstream import read_inputfunction
from ekbom.measures.pet.io.dose import injected
from ekbom.measures.pet.io.petprep import read_tacs, read_volumes
from ekbom.measures.pet.io.text import read_json
from ekbom.measures.pet.qc_canvas import PANELS
from ekbom.measures.pet.qc_scan import scan_figures
from ekbom.measures.pet.reference_regional import find_reference, reference_notes
from ekbom.measures.pet.regional import Regional, check_sizes, fit_regions
from ekbom.measures.pet.regions import Curves, join, tissue_curve
from ekbom.measures.pet.settings import BLOODLESS, GRAPHICAL, REFERENCE, PETSettings
from ekbom.nouns import Files, Inputs, Note, Product, Score, Table, Unit

Array = NDArray[np.float64]


class PETMeasure:
    """Dynamic PET with arterial blood: regional V_T, K1, BPND ... with their errors.

    Implements :class:`ekbom.nouns.Measure`. Regional curves are those of a
    PETPrep derivative; the input function is made from raw samples, or taken
    from a bloodstream derivative.
    """

    name: ClassVar[str] = "pet"
    settings_model: ClassVar[type[BaseModel]] = PETSettings
    outcomes: ClassVar[Mapping[str, str]] = {**images.OUTCOMES, **results.OUTCOMES}
    citations: ClassVar[Mapping[str, str]] = words.CITATIONS

    def units(self, study: Files) -> list[Unit]:
        """Return the subject-sessions that have a PET scan.

        Parameters
        ----------
        study : Files

        Returns
        -------
        list of Unit
        """
        return find.units(study)

    def inputs(self, unit: Unit, study: Files, settings: BaseModel) -> Inputs:
        """Name the files of one scan.

        Parameters
        ----------
        unit : Unit
        study : Files
        settings : PETSettings

        Returns
        -------
        Inputs

        Raises
        ------
        Refused
            When one is missing or there are two of it.
        """
        return find.inputs(unit, study, _checked(settings))

    def words(self, settings: BaseModel) -> str:
        """Return the methods paragraph for these settings.

        Parameters
        ----------
        settings : PETSettings

        Returns
        -------
        str
        """
        return words.methods(_checked(settings))

    def run(self, inputs: Inputs, settings: BaseModel) -> Product:
        """Measure one scan.

        Parameters
        ----------
        inputs : Inputs
        settings : PETSettings

        Returns
        -------
        Product

        Raises
        ------
        Refused
            When a file of the scan cannot be trusted.
        """
        chosen = _checked(settings)
        notes: list[Note] = []
        scan = read_scan(inputs.files["pet_json"])
        notes += scan.notes
        blood_meta: dict[str, Any] = {"BloodSource": "none: reference region"}
        fitted: InputFit | None = None
        if chosen.needs_blood:
            blood, blood_meta = _read_blood(inputs, scan, chosen, notes)
            fitted = fit_input(
                blood,
                frames=scan.frames,
                parent=chosen.parent,
                plasma="interpolate" if blood.plasma_is_parent else chosen.input,
                parent_f0=None if chosen.parent_f0 == "free" else chosen.parent_f0,
                plasma_over_blood=chosen.plasma_over_blood,
                extrapolate=bool(inputs.extra.get("blood.extrapolate")),
                needs_whole_blood=any(chosen.blood_volume(m) != 0 for m in chosen.model)
                or any(m not in BLOODLESS for m in chosen.maps.model),
            )
            notes += fitted.notes
        image = images.load(inputs.files, scan, chosen)
        curves = _read_curves(inputs, scan, chosen) or images.regional_curves(image, chosen)
        trust = bool(inputs.extra.get("trust_units"))
        for one in curves if fitted is not None else ():
            assert fitted is not None
            check_sizes(one.values, fitted, file=one.source, trust=trust, notes=notes)
        labels = [label for one in curves for label in one.labels]
        values = np.vstack([one.values for one in curves])
        reference = _reference(curves, labels, values, chosen)
        row = find_reference(labels, chosen, curves[0].source)
        if row is not None:
            notes += reference_notes(labels[row], chosen.tracer or scan.tracer)
        given = _injected(inputs, chosen)
        regional = fit_regions(
            values, labels, reference, scan.frames, fitted, chosen, injected=given
        )
        notes += regional.notes

        permissions = [note.text for note in notes if note.permission]
        meta = _meta(scan, fitted, regional, chosen, blood_meta, permissions)
        scores: list[Score] = []
        for fit in regional.fits.values():
            scores += results.scores(fit, labels, chosen.outcome)
        voxels = images.maps_of(
            image,
            scan.frames,
            regional.input,
            regional.weights,
            chosen,
            regions=values,
            tstar=regional.tstar,
            meta=meta,
            reference=regional.reference,
            injected=given,
        )
        notes += voxels.notes
        parts: list[Table] = []
        if chosen.blood_draws and fitted is not None:
            errors = blood_errors(values, regional, fitted, scan.frames, chosen)
            first = 0
            for one in curves:
                where = slice(first, first + len(one.names))
                first = where.stop
                parts.append(results.uncertainty(errors, one, where, chosen.blood_draws))
        figures: list[Any] = []
        if chosen.figures:
            figures = _figures(curves, labels, values, regional, fitted, scan, chosen)
        return Product(
            scores=scores,
            tables=[*_tables(curves, regional, fitted, scan, meta), *parts],
            maps=voxels.maps,
            figures=[*figures, *voxels.figures],
            notes=_once(notes),
            meta=meta,
        )


def _checked(settings: BaseModel) -> PETSettings:
    assert isinstance(settings, PETSettings)
    return settings


def _read_blood(
    inputs: Inputs, scan: Scan, settings: PETSettings, notes: list[Note]
) -> tuple[BloodData, dict[str, Any]]:
    files = inputs.files
    meta: dict[str, Any]
    if "inputfunction" in files:
        blood, said = read_inputfunction(
            files["inputfunction"][0],
            files["inputfunction_json"],
            injection_s=scan.injection_s,
            factor=scan.blood_factor,
        )
        meta = {"BloodSource": "bloodstream"}
    else:

        def recording(kind: str) -> tuple[Path, Sequence[Path]] | None:
            return (files[kind][0], files[f"{kind}_json"]) if kind in files else None

        blood, said, meta = read_blood(
            recording("manual"),
            recording("autosampler"),
            injection_s=scan.injection_s,
            factor=scan.blood_factor,
            sort=bool(inputs.extra.get("blood.sort")),
        )
        meta = {"BloodSource": "raw samples", **meta}
        if settings.dispersion is not None:
            blood = _undispersed(blood, settings.dispersion, meta, notes)
    notes += said
    notes += inspect(blood, scan.frames.half_life)
    return blood, meta


def _undispersed(
    blood: BloodData, seconds: float, meta: dict[str, Any], notes: list[Note]
) -> BloodData:
    if blood.time_c is None or blood.continuous is None:
        notes.append(Note("dispersion-not-used", "manual samples have no dispersion to correct"))
        return blood
    if meta.get("DispersionCorrected") is True:
        raise Refused(
            "The automatic record is corrected for dispersion already.",
            file=blood.source,
            field="measures.pet.dispersion",
            found="DispersionCorrected is true",
            expected="one correction, not two",
            mend="take dispersion out of the plan",
        )
    meta["DispersionSeconds"] = seconds
    return replace(blood, continuous=undisperse(blood.time_c, blood.continuous, seconds / 60))


def _read_curves(inputs: Inputs, scan: Scan, settings: PETSettings) -> list[Curves]:
    found = []
    for role, paths in inputs.files.items():
        kind, _, segmentation = role.partition(":")
        if kind != "tacs":
            continue
        sidecars = inputs.files.get(f"tacs_json:{segmentation}", ())
        names, values = read_tacs(paths[0], scan, sidecars)
        morph = inputs.files.get(f"morph:{segmentation}")
        volumes = read_volumes(morph[0]) if morph else None
        curves = Curves(segmentation, names, values, volumes, paths[0], {})
        found.append(join(curves, settings.regions.get(segmentation, {})))
    return found


def _injected(inputs: Inputs, settings: PETSettings) -> Injected | None:
    if "suv" not in (*settings.model, *settings.maps.model):
        return None
    files = inputs.files["pet_json"]
    weight = inputs.extra.get("weight_kg")
    return injected(
        read_json(files),
        files[-1],
        dose_from=settings.dose_from,
        weight=None if weight is None else float(weight),
        weight_from="participants.tsv",
    )


def _reference(
    curves: Sequence[Curves], labels: Sequence[str], values: Array, settings: PETSettings
) -> Array:
    if settings.weight_reference == "auto":
        return tissue_curve(curves)
    if settings.weight_reference in labels:
        return np.asarray(values[labels.index(settings.weight_reference)])
    raise Refused(
        "The region that should make the weights is not there.",
        file=curves[0].source,
        field="measures.pet.weight_reference",
        found=settings.weight_reference,
        expected="a region with its segmentation, such as " + ", ".join(labels[:4]),
    )


def _meta(
    scan: Scan,
    fitted: InputFit | None,
    regional: Regional,
    settings: PETSettings,
    blood: Mapping[str, Any],
    permissions: Sequence[str],
) -> dict[str, Any]:
    models: dict[str, Any] = {}
    for model, fit in regional.fits.items():
        models[model] = {"vB": settings.blood_volume(model), "Frames": regional.n_frames[model]}
        if model in REFERENCE:
            named = (("ReferenceRegion", settings.reference), ("k2prime", fit.meta.get("k2prime")))
            models[model] |= {key: value for key, value in named if value is not None}
            models[model]["FreeParameters"] = fit.n_free
            if model in regional.tstar:
                models[model]["tstar_min"] = regional.tstar[model]
            if model == "suvr":
                models[model] |= {"WindowMinutes": fit.meta["window_min"]}
        if model in GRAPHICAL:
            models[model]["tstar_min"] = regional.tstar[model]
        elif model not in BLOODLESS:
            models[model]["FreeParameters"] = fit.n_free
        if model == "spectral":
            models[model] |= {k: fit.meta[k] for k in ("BetaRange", "BetaNodes", "BootstrapDraws")}
        if model == "suv":
            names = ("window_min", "dose_MBq", "dose_from", "weight_kg", "weight_from")
            models[model] |= {name: fit.meta[name] for name in names}
    return {
        **scan.meta,
        **blood,
        **({} if fitted is None else results.input_meta(fitted)),
        "Models": models,
        "Weights": settings.weights,
        "WeightReference": settings.weight_reference,
        "FrameWeights": [round(float(w), 6) for w in regional.weights],
        "FrameMean": settings.frame_mean,
        "Delay": {
            "Seconds": 60 * regional.delay_min,
            "Fitted": regional.delay is not None,
            **(
                {"SecondsSE": 60 * regional.delay.se, "Flag": regional.delay.flag or "n/a"}
                if regional.delay is not None
                else {}
            ),
        },
        "DecayConvention": "decay-corrected to injection",
        "PermissionsUsed": list(permissions),
    }


def _tables(
    curves: Sequence[Curves],
    regional: Regional,
    fitted: InputFit | None,
    scan: Scan,
    meta: Mapping[str, Any],
) -> list[Table]:
    found: list[Table] = []
    share = float("nan")
    if fitted is not None:
        found.append(results.inputfunction(fitted, scan, {"Permissions": meta["PermissionsUsed"]}))
        found += results.candidate_tables(fitted)
        share = fitted.extrapolated_share
    if regional.delay is not None:
        found.append(results.delay_profile(regional.delay))
    first = 0
    for one in curves:
        where = slice(first, first + len(one.names))
        first = where.stop
        found.append(results.kinpar(regional, one, where, share, meta))
        found.append(results.tacs(one, scan.frames, {}))
    return found


def _figures(
    curves: Sequence[Curves],
    labels: Sequence[str],
    values: Array,
    regional: Regional,
    fitted: InputFit | None,
    scan: Scan,
    settings: PETSettings,
) -> list[Any]:
    names = [label.partition(":")[2] for label in labels]
    return scan_figures(
        names, values, _shown(curves), regional, fitted, scan.frames, settings, settings.weights
    )


def _shown(curves: Sequence[Curves]) -> list[int]:
    """Rows of the regions to draw: joined ones first, then the largest."""
    first = curves[0]
    for one in curves:
        if one.joined or (one.volumes and not first.joined and not first.volumes):
            first = one
            break
    offset = 0
    for one in curves:
        if one is first:
            break
        offset += len(one.names)
    volumes = first.volumes or {}
    order = sorted(
        range(len(first.names)),
        key=lambda i: (
            (first.names[i] not in first.joined, -volumes.get(first.names[i], 0.0), i)
            if first.names[i] not in first.joined
            else (False, 0.0, i)
        ),
    )
    return [offset + i for i in order[:PANELS]]


def _once(notes: Sequence[Note]) -> tuple[Note, ...]:
    return tuple(dict.fromkeys(notes))
