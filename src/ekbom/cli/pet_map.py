"""``ekbom pet map``: a dynamic image and blood in single files to parametric maps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from ekbom.errors import Refused

if TYPE_CHECKING:
    from ekbom.measures.pet.images import Maps
    from ekbom.measures.pet.settings import PETSettings

Parent = Literal[
    "interpolate",
    "auto",
    "hill",
    "power",
    "exponential",
    "single-exponential",
    "inverse-gamma",
    "none",
]


def map_(
    out: Path,
    /,
    *,
    image: Path,
    input: list[Path] | None = None,
    json: Path | None = None,
    mask: Path | None = None,
    dseg: Path | None = None,
    input_units: str | None = None,
    model: str = "ma1",
    outcome: str | None = None,
    se: bool = False,
    flags: bool = False,
    tstar: str = "auto",
    vb: Annotated[float, Parameter(name="--vB")] = 0.05,
    beta_min: float | None = None,
    beta_max: float = 6.0,
    reference: str | None = None,
    k2prime: float | None = None,
    window: str | None = None,
    dose_mbq: Annotated[float | None, Parameter(name="--dose-MBq")] = None,
    weight_kg: Annotated[float | None, Parameter(name="--weight-kg")] = None,
    dose_from: Literal["InjectedRadioactivity", "RadionuclideTotalDose"] | None = None,
    parent: Parent = "interpolate",
    input_model: Literal["interpolate", "triexp", "feng", "feng_infusion", "auto"] = "interpolate",
    delay: float = 0.0,
    weights: Literal["poisson", "duration", "uniform"] = "poisson",
    fwhm: float = 0.0,
    frame_fwhm: float = 0.0,
    resolution: float | None = None,
    sort_blood: bool = False,
    extrapolate_blood: bool = False,
) -> int:
    """Make parametric maps of one scan.

    Parameters
    ----------
    out : Path
        Folder for maps and figures.
    image : Path
        Dynamic image (.nii.gz), with its BIDS JSON beside it: frame times, unit, decay.
    input : Path
        Blood (TSV): time, plasma_radioactivity, metabolite_parent_fraction,
        whole_blood_radioactivity; or time, AIF; or PMOD's .bld, the option once a file.
        Times count from injection. Not needed when every model has a reference region.
    json : Path
        JSON of the image, when it is not beside it.
    mask : Path
        Brain mask on the grid of the image, or another grid of the same space. Without
        it that of the template, for an image whose name says its space.
    dseg : Path
        Label image with a table beside it; t* and weights come from its regions.
    input_units : str
        Of the blood, unless a JSON beside it declares them.
    model : str
        logan, ma1, spectral, 1tcm, 2tcm; srtm, srtm2, mrtm2, logan-ref, suvr with a reference
        region; suv; separated by commas.
    outcome : str
        VT; of spectral also K1, vB, IRF60, extrapolated, components; BPND, R1; SUVR; SUV.
        The main one of each model by default.
    se : bool
        Standard error and CV maps too.
    flags : bool
        A map of flags too.
    tstar : str
        Minutes from which Logan and MA1 use frames, or auto.
    vb : float
        Blood volume in Logan and MA1; spectral analysis fits it.
    beta_min : float
        Slowest rate of the spectrum, 1/min; 1 / end of the scan by default.
    beta_max : float
        Fastest rate of the spectrum, 1/min.
    reference : str
        Reference region: a name of the label image.
    k2prime : float
        Efflux rate of the reference in srtm2, mrtm2 and logan-ref, 1/min; from the data
        by default.
    window : str
        Start and end of the window of suvr and suv in minutes, "40,60".
    dose_mbq : float
        Injected activity at injection, MBq, for suv; InjectedRadioactivity of the JSON by default.
    weight_kg : float
        Of the person, kg, for suv; PatientWeight of the JSON by default, else weight of the
        study's participants.tsv where participants.json declares its unit.
    dose_from : str
        Which field counts when two in the JSON state different activities.
    parent : str
        Model of the parent fraction.
    input_model : str
        Curve through parent plasma.
    delay : float
        Seconds by which tissue sees the blood late.
    weights : str
        Of the frames.
    fwhm : float
        Smoothing of the maps in mm, written beside the maps as they are.
    frame_fwhm : float
        Smoothing of the frames before the fit, mm.
    resolution : float
        Voxel edge of the smoothed maps in mm; that of the image by default.
    sort_blood : bool
        Sort samples whose times do not increase.
    extrapolate_blood : bool
        Extrapolate blood that ends well before the scan.
    """
    import numpy as np

    from ekbom.cli import petprint, petread
    from ekbom.measures.pet import images
    from ekbom.measures.pet.input_fit import fit_input
    from ekbom.measures.pet.io.bids import read_scan
    from ekbom.measures.pet.io.image import read_image
    from ekbom.measures.pet.io.plain import read_input
    from ekbom.measures.pet.reference_regional import find_reference, reference_notes
    from ekbom.measures.pet.regional import check_sizes
    from ekbom.measures.pet.regions import tissue_curve
    from ekbom.measures.pet.results import input_meta
    from ekbom.measures.pet.settings import BLOODLESS
    from ekbom.measures.pet.weights import weights as frame_weights
    from ekbom.nouns import Note

    # the regional model is not run; it only says whether blood is needed
    models = _words(model)
    arterial = any(name not in BLOODLESS for name in models)
    stand_in = "ma1" if arterial else "suv" if set(models) == {"suv"} else "srtm"
    settings = _settings(
        tstar=tstar if tstar == "auto" else _minutes(tstar),
        vB=vb,
        model=stand_in,
        reference=reference,
        window=None if window is None else petread.window(window),
        k2prime="auto" if k2prime is None else k2prime,
        parent=parent,
        input=input_model,
        weights=weights,
        maps={
            "model": models,
            "outcome": _outcomes(models) if outcome is None else _words(outcome),
            "se": se,
            "flags": flags,
            "frame_fwhm": frame_fwhm,
            "spectral": {"beta_min": beta_min, "beta_max": beta_max},
        },
        space={"fwhm": fwhm, "resolution": resolution},
    )
    stem = image.name.removesuffix(".gz").removesuffix(".nii")
    sidecar = _beside(json, image, stem)
    scan = read_scan([sidecar])
    given = petread.injected_of(
        image, sidecar, models, dose_mbq=dose_mbq, weight_kg=weight_kg, dose_from=dose_from
    )
    files = {"image": [image]}
    if mask is not None:
        files["mask"] = [mask]
    if dseg is not None:
        table = dseg.with_name(dseg.name.removesuffix(".gz").removesuffix(".nii") + ".tsv")
        files["dseg:dseg"] = [dseg, table]
    dynamic = read_image(files, scan)
    notes = [*scan.notes]
    if abs(scan.injection_s) > 0.5:
        text = (
            f"injection is {scan.injection_s:g} s from TimeZero; blood times count from injection"
        )
        notes.append(Note("blood-from-injection", text))
    fitted = None
    if settings.needs_blood:
        if not input:
            raise Refused(
                "The model needs blood.",
                field="--input",
                found="nothing",
                expected=f"a table of blood for {model}",
                mend="add --input, or use a model with a reference region",
            )
        blood, said = read_input(
            input[0],
            more=input[1:],
            unit=input_units,
            sort=sort_blood,
            half_life=scan.frames.half_life,
        )
        fitted = fit_input(
            blood,
            frames=scan.frames,
            parent=settings.parent,
            plasma="interpolate" if blood.plasma_is_parent else settings.input,
            extrapolate=extrapolate_blood,
        )
        notes += [*said, *fitted.notes]
    curves = images.regional_curves(dynamic, settings)
    regions = np.vstack([one.values for one in curves])
    labels = [label for one in curves for label in one.labels]
    row = find_reference(labels, settings, dseg)
    if row is not None:
        notes += reference_notes(labels[row], scan.tracer)
    w = frame_weights(settings.weights, scan.frames, tissue_curve(curves))
    used = None
    if fitted is not None:
        check_sizes(regions, fitted, file=image, trust=False, notes=notes)
        used = fitted.input.shifted(delay / 60) if delay else fitted.input
    meta = {
        **scan.meta,
        **({} if fitted is None else input_meta(fitted)),
        "Weights": weights,
        "FrameWeights": [round(float(x), 6) for x in w],
        "Delay": {"Seconds": delay, "Fitted": False},
        "DecayConvention": "decay-corrected to injection",
    }
    made = images.maps_of(
        dynamic, scan.frames, used, w, settings, regions=regions, tstar={}, meta=meta,
        reference=None if row is None else regions[row], injected=given,
    )  # fmt: skip
    petprint.show_notes([*notes, *made.notes])
    _write(out, stem, made)
    petprint.line(f"{len(made.maps)} maps written to {out}")
    return 0


def _write(out: Path, stem: str, made: Maps) -> None:
    import ekbom
    from ekbom.study import files
    from ekbom.study.products import map_bytes, map_sidecar

    told = {"Name": "ekbom", "Version": ekbom.__version__}
    # Space and description are those of the map, not of the image.
    own = [p for p in stem.split("_") if not p.startswith(("space-", "desc-", "res-"))]
    start = "_".join(p for p in own if p != "pet")
    for image in made.maps:
        files.write_bytes(out / f"{start}_{image.name}.nii.gz", map_bytes(image))
        about = files.json_bytes(map_sidecar(image, told))
        files.write_bytes(out / f"{start}_{image.name}.json", about)
    for figure in made.figures:
        files.write_bytes(out / f"{start}_{figure.name}.{figure.kind}", figure.data)


def _beside(json: Path | None, image: Path, stem: str) -> Path:
    path = image.with_name(f"{stem}.json") if json is None else json
    if not path.is_file():
        raise Refused(
            "The image has no JSON.",
            file=path,
            field="--json",
            found="no such file",
            expected="FrameTimesStart, FrameDuration, Units, ImageDecayCorrected ...",
            mend="put the BIDS sidecar beside the image, or name it with --json",
        )
    return path


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _outcomes(models: list[str]) -> list[str]:
    from ekbom.measures.pet.map_settings import MAP_OUTCOMES

    # a model that is not known is refused with the settings
    return list(dict.fromkeys(MAP_OUTCOMES.get(model, ("VT",))[0] for model in models))


def _minutes(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Refused(
            "An option is not a number.",
            field="--tstar",
            found=repr(text),
            expected="minutes, or auto",
            mend="see `ekbom pet map --help`",
        ) from None


def _settings(**given: object) -> PETSettings:
    from ekbom.cli.options import accepted
    from ekbom.measures.pet.settings import PETSettings

    return accepted(lambda: PETSettings.model_validate(given), "pet map")
