"""What the JSON files of a simulated study say. No truth may stand in here."""

from __future__ import annotations

from typing import Any

from ekbom import __version__
from ekbom.measures.pet.tracers import Tracer
from ekbom.virtual.design import Design
from ekbom.virtual.design_parts import T1
from ekbom.virtual.scanner import Timing

BIDS_VERSION = "1.10.0"

WORD = (
    "Simulated by ekbom.virtual. No person was examined: these are not patient data, "
    "and nothing here is medical advice."
)

#: What a study says whose curves come from the analysis' own model.
SHARED = "physics shared with the analysis"


def generated_by(
    design: Design, size: str, seed: int, *, shared: bool = False
) -> list[dict[str, Any]]:
    """Return the GeneratedBy entry.

    Parameters
    ----------
    design : Design
        Whose name is given.
    size : str
        Size asked for.
    seed : int
        Seed of the study.
    shared : bool
        Whether tissue curves come from the forward model of the analysis.

    Returns
    -------
    list of dict
        One entry.
    """
    words = f"Simulated study: design {design.name}, size {size}, seed {seed}"
    return [
        {
            "Name": "ekbom.virtual",
            "Version": __version__,
            "Description": words + (f"; {SHARED}" if shared else ""),
        }
    ]


def description(
    design: Design, size: str, seed: int, *, kind: str = "raw", name: str | None = None,
    shared: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Return dataset_description.json of the study or of one of its derivatives.

    Parameters
    ----------
    design, size, seed
        What was simulated.
    kind : {"raw", "derivative"}
        DatasetType.
    name : str, optional
        Title; the design's by default.
    shared : bool
        As in :func:`generated_by`; the title says so too.

    Returns
    -------
    dict
        JSON content.
    """
    said = "" if "simulated" in design.title.lower() else " (simulated)"
    return {
        "Name": (name or f"{design.title}{said}") + (f" [{SHARED}]" if shared else ""),
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": kind,
        "License": "CC0",
        "Authors": ["ekbom.virtual (a program)", "nobody else"],
        "Acknowledgements": WORD,
        "GeneratedBy": generated_by(design, size, seed, shared=shared),
    }


def readme(design: Design, size: str, seed: int, images: bool, *, shared: bool = False) -> str:
    """Return the README of the raw study.

    Parameters
    ----------
    design, size, seed
        What was simulated.
    images : bool
        Whether there are images.
    shared : bool
        As in :func:`generated_by`.

    Returns
    -------
    str
        Plain text.
    """
    lines = [
        f"{design.title}",
        "",
        WORD,
        "",
        f"Design {design.name}, size {size}, seed {seed}, ekbom {__version__}.",
        f"{design.groups.rls} patients, {design.groups.control} volunteers: {design.description}.",
        "",
        "Raw: participants, questionnaires, blood samples and "
        + (
            (
                "T1w images and dynamic PET images, each in its own space."
                if design.head is not None
                else "dynamic PET images already in template space (MNI152NLin2009aSym)."
            )
            if images
            else "PET sidecars; this size has no images."
        ),
        "derivatives/ekbom-sim: "
        + ("segmentation and brain mask" if images else "regional time-activity curves")
        + (" of the template." if images and design.head is not None else "."),
        "code/plan.toml: a plan for `ekbom run`.",
        "derivatives/truth: what was put in. Nobody who analyses blindly looks there.",
        "",
        "Question texts of the scales are not shipped; items stand under their numbers.",
        "The same design, size, seed and version give the same bytes.",
    ]
    if shared:
        lines += ["", f"Labelled: {SHARED}. A mistake common to both cannot show in it."]
    if not images:
        lines += [
            "",
            "*_pet.json has no image beside it here and is therefore listed in .bidsignore.",
        ]
    return "\n".join(lines)


def pet(
    tracer: Tracer, design: Design, timing: Timing, dose_MBq: float, weight: float
) -> dict[str, Any]:
    """Return ``_pet.json`` of one scan.

    Parameters
    ----------
    tracer : Tracer
        Tracer.
    design : Design
        Scanner settings.
    timing : Timing
        Frames.
    dose_MBq : float
        Injected activity.
    weight : float
        kg; sets the injected mass at an assumed specific activity.

    Returns
    -------
    dict
        JSON content; times in s.
    """
    specific = 50.0  # MBq/nmol, assumed; nothing depends on it
    start = [round(float(t) * 60.0, 3) for t in timing.start]
    length = [round(float(b - a) * 60.0, 3) for a, b in zip(timing.start, timing.end, strict=True)]
    return {
        "Manufacturer": "Ekbom-Sim",
        "ManufacturersModelName": "Virtual-1",
        "InstitutionName": "none (simulated)",
        "Units": "Bq/mL",
        "TracerName": tracer.bids_name,
        "TracerRadionuclide": tracer.nuclide,
        "RadionuclideHalfLife": round(tracer.half_life * 60.0, 4),
        "InjectedRadioactivity": round(dose_MBq, 2),
        "InjectedRadioactivityUnits": "MBq",
        "InjectedMass": round(dose_MBq / specific, 3),
        "InjectedMassUnits": "nmol",
        "InjectedMassPerWeight": round(dose_MBq / specific / weight, 5),
        "InjectedMassPerWeightUnits": "nmol/kg",
        "SpecificRadioactivity": specific,
        "SpecificRadioactivityUnits": "MBq/nmol",
        "ModeOfAdministration": "bolus",
        "TimeZero": "12:00:00",
        "ScanStart": 0,
        "InjectionStart": 0,
        "InjectionEnd": 0,
        "FrameTimesStart": start,
        "FrameDuration": length,
        "AcquisitionMode": "list mode",
        "ImageDecayCorrected": True,
        "ImageDecayCorrectionTime": 0,
        "ReconMethodName": "simulated, Gaussian point spread and noise",
        "ReconMethodParameterLabels": ["none"],
        "ReconMethodParameterUnits": ["none"],
        "ReconMethodParameterValues": [0],
        "ReconFilterType": "Gauss",
        "ReconFilterSize": design.scanner.psf_fwhm_mm,
        "AttenuationCorrection": "none needed (simulated)",
        "BodyPart": "brain",
    }


def t1w(settings: T1) -> dict[str, Any]:
    """Return the JSON of the T1w image.

    Parameters
    ----------
    settings : T1
        Contrast.

    Returns
    -------
    dict
        JSON content.
    """
    return {
        "Modality": "MR",
        "Manufacturer": "Ekbom-Sim",
        "ManufacturersModelName": "Virtual-MR",
        "InstitutionName": "none (simulated)",
        "MagneticFieldStrength": 3,
        "MRAcquisitionType": "3D",
        "PulseSequenceType": "simulated T1 contrast: no sequence was run",
        "BodyPart": "brain",
        "SNROfWhiteMatter": settings.snr,
    }


def blood(design: Design) -> dict[str, Any]:
    """Return the JSON of the manual blood samples.

    Parameters
    ----------
    design : Design
        Units.

    Returns
    -------
    dict
        JSON content.
    """
    unit = design.blood.units
    return {
        "PlasmaAvail": True,
        "WholeBloodAvail": True,
        "MetaboliteAvail": True,
        "MetaboliteMethod": "HPLC (simulated)",
        "MetaboliteRecoveryCorrectionApplied": False,
        "DispersionCorrected": False,
        "WithdrawalRate": 0,
        "TubingType": "none (manual samples)",
        "TubingLength": 0,
        "TubingLengthUnits": "m",
        "time": {
            "Description": "Time of the sample after TimeZero of the PET scan",
            "Units": "s",
        },
        "plasma_radioactivity": {
            "Description": "Activity in plasma, decay-corrected to TimeZero, background subtracted",
            "Units": unit,
        },
        "whole_blood_radioactivity": {
            "Description": "Activity in whole blood, decay-corrected to TimeZero, "
            "background subtracted",
            "Units": unit,
        },
        "metabolite_parent_fraction": {
            "Description": "Unchanged tracer as a share of plasma activity; n/a: not measured",
            "Units": "arbitrary",
        },
    }


PARTICIPANTS: dict[str, Any] = {
    "participant_id": {"Description": "Person; virtual"},
    "age": {"Description": "Age at the scan", "Units": "year"},
    "sex": {"Description": "Sex", "Levels": {"F": "female", "M": "male"}},
    "group": {
        "Description": "Group",
        "Levels": {"rls": "restless legs syndrome", "control": "healthy volunteer"},
    },
    "weight": {"Description": "Body weight at the scan", "Units": "kg"},
    "onset_age": {
        "Description": "Age at first symptoms; n/a for volunteers",
        "Units": "year",
    },
}


def scale_items(prefix: str, items: int, highest: int) -> dict[str, Any]:
    """Return the JSON entries of numbered items.

    Parameters
    ----------
    prefix : str
        ``"irls_"``.
    items, highest : int
        Number of items and highest score of each.

    Returns
    -------
    dict
        One entry an item, without its wording.
    """
    return {
        f"{prefix}{i:02d}": {"Description": f"Item {i}, 0 to {highest}; wording not shipped"}
        for i in range(1, items + 1)
    }


def irls(items: int, highest: int) -> dict[str, Any]:
    """Return ``phenotype/irls.json``.

    Parameters
    ----------
    items, highest : int
        Of the scale.

    Returns
    -------
    dict
        JSON content.
    """
    return {
        "MeasurementToolMetadata": {
            "Description": "International RLS severity scale, by item number; simulated"
        },
        "participant_id": {"Description": "Person"},
        "irls_total": {"Description": f"Sum of the items, 0 to {items * highest}"},
        **scale_items("irls_", items, highest),
    }


def sfmpq(items: int, highest: int) -> dict[str, Any]:
    """Return ``phenotype/sfmpq.json``.

    Parameters
    ----------
    items, highest : int
        Affective items.

    Returns
    -------
    dict
        JSON content.
    """
    return {
        "MeasurementToolMetadata": {
            "Description": "Short-form McGill Pain Questionnaire, affective part, by item number; "
            "simulated"
        },
        "participant_id": {"Description": "Person"},
        "mpq_affective": {"Description": f"Sum of the affective items, 0 to {items * highest}"},
        **scale_items("mpq_a", items, highest),
    }
