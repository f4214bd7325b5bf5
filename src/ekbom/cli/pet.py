"""``ekbom pet``: curves and blood in single files, without a study around them."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from ekbom.cli import petprint, petread
from ekbom.errors import Refused

if TYPE_CHECKING:
    from ekbom.nouns import Figure, Table

app = App(
    name="pet",
    help="PET and blood in single files. A whole study goes through `ekbom run`.",
)
app.command("ekbom.cli.pet_map:map_", name="map", help="Make parametric maps of one scan.")

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


@app.command
def fit(
    out: Path,
    /,
    *,
    tacs: Path,
    input: list[Path] | None = None,
    reference: str | None = None,
    k2prime: str = "auto",
    window: str | None = None,
    dose_mbq: Annotated[float | None, Parameter(name="--dose-MBq")] = None,
    weight_kg: float | None = None,
    tracer: str | None = None,
    units: str | None = None,
    input_units: str | None = None,
    decay_corrected: bool | None = None,
    nuclide: str | None = None,
    model: str = "2tcm",
    regions: str | None = None,
    tstar: str = "auto",
    vb: Annotated[float, Parameter(name="--vB")] = 0.05,
    compartment_vb: Annotated[str, Parameter(name="--compartment-vB")] = "free",
    parent: Parent = "interpolate",
    input_model: Literal["interpolate", "triexp", "feng", "feng_infusion", "auto"] = "interpolate",
    delay: str = "fit",
    weights: Literal["auto", "column", "poisson", "duration", "uniform"] = "auto",
    choose: Literal["aicc"] | None = None,
    blood_draws: int = 0,
    sort_blood: bool = False,
    extrapolate_blood: bool = False,
) -> int:
    """Fit regional curves of one scan.

    Parameters
    ----------
    out : Path
        Folder for tables and figures.
    tacs : Path
        Curves (TSV): frame_start, frame_end in seconds and one column a region;
        or StartTime, Duration, Weights and regions; or PMOD's .tac.
    input : Path
        Blood (TSV): time, plasma_radioactivity, metabolite_parent_fraction,
        whole_blood_radioactivity; or time, AIF; or Time, Cpl_metabcorr, Cbl_dispcorr;
        or PMOD's .bld, the option once a file. Not needed when no model reads blood.
    reference : str
        Reference region: a column of the curves.
    k2prime : str
        Efflux rate of the reference in srtm2, mrtm2 and logan-ref, 1/min, or auto.
    window : str
        Start and end of the window of suvr and suv in minutes, "40,60".
    dose_mbq : float
        Injected activity at injection, MBq; for suv.
    weight_kg : float
        Of the person, kg; for suv.
    tracer : str
        Name of the tracer: prints what its file says of the reference region.
    units : str
        Of the curves (kBq/mL, Bq/mL ...), unless a JSON beside them declares it.
    input_units : str
        Of the blood; that of the curves by default.
    decay_corrected : bool
        Whether curves and blood are decay-corrected to injection. Must be said.
    nuclide : str
        11C, 18F ...: lets the model decay within frames as the scanner's correction
        assumes, and makes Poisson weights.
    model : str
        1tcm, 2tcm, logan, ma1, spectral, 2tcm-irreversible, patlak with blood; srtm, srtm2,
        frtm, mrtm1, mrtm2, logan-ref, suvr with a reference region; suv; separated by commas.
    regions : str
        Names or patterns, separated by commas; all by default.
    tstar : str
        Minutes from which Logan, MA1 and Patlak use frames, or auto.
    vb : float
        Blood volume in Logan, MA1 and Patlak.
    compartment_vb : str
        Blood volume in compartment models and spectral analysis: free, or a share.
    parent : str
        Model of the parent fraction.
    input_model : str
        Curve through parent plasma.
    delay : str
        Seconds by which tissue sees the blood late, or fit on the mean curve.
    weights : str
        Of the frames; auto takes a Weights column, else poisson with a nuclide, else
        duration.
    choose : str
        aicc: say which compartment model has most evidence in each region.
    blood_draws : int
        Bootstrap draws of the blood carried to V_T, in a table of their own.
    sort_blood : bool
        Sort samples whose times do not increase.
    extrapolate_blood : bool
        Extrapolate blood that ends well before the scan.
    """
    import numpy as np

    from ekbom.measures.pet import results
    from ekbom.measures.pet.io.plain import read_tacs
    from ekbom.measures.pet.qc_canvas import PANELS
    from ekbom.measures.pet.qc_scan import scan_figures
    from ekbom.measures.pet.reference_regional import find_reference, reference_notes
    from ekbom.measures.pet.regional import check_sizes, fit_regions
    from ekbom.measures.pet.regions import Curves, tissue_curve

    half_life = _half_life(nuclide)
    read = read_tacs(tacs, unit=units, decay_corrected=decay_corrected, half_life=half_life)
    if regions is not None and reference is not None:
        regions = f"{regions},{reference}"
    names, values = _chosen(read.names, read.values, regions, tacs)
    kind = _weights(weights, read.weights is not None, half_life, tacs)
    volume = _number(compartment_vb, "free", "--compartment-vB")
    settings = _settings(
        model=[name.strip() for name in model.split(",") if name.strip()],
        tstar=_number(tstar, "auto", "--tstar"),
        vB=vb,
        compartment={"vB": volume},
        spectral={"vB": volume},
        parent=parent,
        input=input_model,
        delay=_number(delay, "fit", "--delay"),
        weights="uniform" if kind == "column" else kind,
        frame_mean="plain" if half_life is None else "decay-weighted",
        reference=reference,
        k2prime=_number(k2prime, "auto", "--k2prime"),
        blood_draws=blood_draws,
        window=None if window is None else petread.window(window),
    )
    notes = [*read.notes]
    row = find_reference(names, settings, tacs)
    if row is not None:
        notes += reference_notes(names[row], tracer)
    fitted = None
    if settings.needs_blood:
        if not input:
            raise Refused(
                "The model needs blood.",
                field="--input",
                found="nothing",
                expected=f"a table of blood for {', '.join(settings.model)}",
                mend="add --input, or use a model with a reference region",
            )
        fitted = petread.read_blood(
            input,
            settings,
            read.frames,
            unit=input_units or units,
            sort=sort_blood,
            decay_corrected=bool(decay_corrected),
            half_life=half_life,
            extrapolate=extrapolate_blood,
            notes=notes,
        )
        check_sizes(values, fitted, file=tacs, trust=False, notes=notes)
    stem = tacs.name.removesuffix(".tsv").removesuffix(".tac").removesuffix("_tacs")
    whole = Curves(stem, read.names, read.values, None, tacs, {})
    curves = Curves(stem, names, values, None, tacs, {})
    regional = fit_regions(
        values,
        names,
        tissue_curve([whole]),
        read.frames,
        fitted,
        settings,
        weights=read.weights if kind == "column" else None,
        injected=petread.injected(settings.model, dose_mbq, weight_kg),
    )
    notes += regional.notes
    meta = {"Weights": kind, "Nuclide": nuclide or "n/a"}
    share = float("nan")
    if row is not None:
        meta["ReferenceRegion"] = names[row]
    if fitted is not None:
        meta |= results.input_meta(fitted)
        share = fitted.extrapolated_share
    kinpar = results.kinpar(regional, curves, slice(None), share, meta)
    table = results.renamed(kinpar, "kinpar")
    figures = scan_figures(
        names, values, range(len(names))[:PANELS], regional, fitted, read.frames, settings, kind,
        prefix="",
    )  # fmt: skip
    tables = [table]
    if fitted is not None:
        tables.append(results.inputfunction(fitted, None, {}))
        tables += results.candidate_tables(fitted)
        if blood_draws:
            from ekbom.measures.pet.blood_draws import blood_errors

            errors = blood_errors(values, regional, fitted, read.frames, settings)
            parts = results.uncertainty(errors, curves, slice(None), blood_draws)
            tables.append(results.renamed(parts, "uncertainty"))
    if half_life is None:
        petprint.warn("no --nuclide: frames are compared with plain means of the model")
    petprint.show_notes(notes)
    petprint.show_fits(regional, np.asarray(table.frame["akaike_weight"]), choose)
    _write(out, stem, tables, figures)
    return 0


@app.command
def blood(
    *files: Path,
    units: str | None = None,
    decay_corrected: bool = True,
    nuclide: str | None = None,
    until: float | None = None,
    parent: Parent = "interpolate",
    parent_f0: str = "free",
    input: Literal["interpolate", "triexp", "feng", "feng_infusion", "auto"] = "interpolate",
    plasma_over_blood: float | None = None,
    sort_blood: bool = False,
    extrapolate_blood: bool = False,
) -> int:
    """Make the input function of one scan: BLOOD.tsv [AUTOSAMPLER.tsv] OUT; A.bld B.bld ... OUT.

    Parameters
    ----------
    files : Path
        One or two recordings, or PMOD's .bld files, then the folder for tables and
        figures. Units are read from a JSON beside each recording, or PMOD's header.
    units : str
        Of the activities, unless the JSON declares them.
    decay_corrected : bool
        Whether the blood is decay-corrected to injection, as BIDS asks.
    nuclide : str
        11C, 18F ...; needed when it is not.
    until : float
        End of the scan in minutes; that of the samples by default.
    parent : str
        Model of the parent fraction; auto takes the parametric form of lowest AICc.
    parent_f0 : str
        Parent fraction at injection: free, or a number.
    input : str
        Curve through parent plasma.
    plasma_over_blood : float
        Ratio that makes plasma or whole blood when one is absent.
    sort_blood : bool
        Sort samples whose times do not increase.
    extrapolate_blood : bool
        Extrapolate blood that ends well before the scan.
    """
    import numpy as np

    from ekbom.measures.pet import results
    from ekbom.measures.pet.blood import inspect
    from ekbom.measures.pet.frames import Frames
    from ekbom.measures.pet.input_fit import fit_input
    from ekbom.measures.pet.io.plain import read_input
    from ekbom.measures.pet.qc_blood import blood_figure, ratio_figure

    if len(files) < 2 or files[-1].is_file():
        raise Refused(
            "The command needs blood and a folder.",
            field="arguments",
            found=", ".join(str(path) for path in files) or "nothing",
            expected="BLOOD.tsv [AUTOSAMPLER.tsv] OUT, or PMOD's A.bld B.bld ... OUT",
            mend="give the folder for the results last",
        )
    *recordings, out = files
    half_life = _half_life(nuclide)
    data, said = read_input(
        recordings[0],
        more=recordings[1:],
        unit=units,
        sort=sort_blood,
        decay_corrected=decay_corrected,
        half_life=half_life,
    )
    last = max(float(t[-1]) for t in (data.time_p, data.time_wb, data.time_c) if t is not None)
    end = until if until is not None else last
    fitted = fit_input(
        data,
        frames=Frames(np.array([0.0]), np.array([end]), half_life or np.inf),
        parent=parent,
        plasma=input,
        parent_f0=_f0(parent_f0),
        plasma_over_blood=plasma_over_blood,
        extrapolate=extrapolate_blood,
        needs_whole_blood=False,
    )
    notes = [*said, *fitted.notes]
    if half_life is not None:
        notes += inspect(data, half_life)
    stem = recordings[0].name.removesuffix(".tsv").removesuffix(".bld").removesuffix("_blood")
    petprint.show_notes(notes)
    petprint.show_blood(fitted)
    ratio = ratio_figure(fitted, name="ratio")
    _write(
        out,
        stem,
        [results.inputfunction(fitted, None, {}), *results.candidate_tables(fitted)],
        [blood_figure(fitted, name="blood"), *([] if ratio is None else [ratio])],
    )
    return 0


def _settings(**given: Any) -> Any:
    from ekbom.cli.options import accepted
    from ekbom.measures.pet.settings import PETSettings

    return accepted(lambda: PETSettings.model_validate(given), "pet fit")


def _number(text: str, word: str, option: str) -> float | str:
    if text == word:
        return text
    try:
        return float(text)
    except ValueError:
        raise Refused(
            "An option is not a number.",
            field=option,
            found=repr(text),
            expected=f"a number or {word}",
            mend="see `ekbom pet fit --help`",
        ) from None


def _f0(text: str) -> float | None:
    value = _number(text, "free", "--parent-f0")
    return None if isinstance(value, str) else value


def _half_life(nuclide: str | None) -> float | None:
    if nuclide is None:
        return None
    from ekbom.measures.pet.half_lives import half_life

    return half_life(nuclide)


def _weights(asked: str, column: bool, half_life: float | None, tacs: Path) -> str:
    if asked == "auto":
        return "column" if column else "poisson" if half_life is not None else "duration"
    if asked == "column" and not column:
        raise Refused(
            "The curves have no column of weights.",
            file=tacs,
            field="Weights",
            mend="see --weights",
        )
    if asked == "poisson" and half_life is None:
        raise Refused(
            "Poisson weights need the nuclide.",
            field="--nuclide",
            found="nothing",
            expected="11C, 18F ...",
            mend="add --nuclide, or use --weights duration",
        )
    return asked


def _chosen(
    names: Sequence[str], values: Any, patterns: str | None, tacs: Path
) -> tuple[tuple[str, ...], Any]:
    if patterns is None:
        return tuple(names), values
    index: list[int] = []
    for pattern in (part.strip() for part in patterns.split(",")):
        hits = [i for i, name in enumerate(names) if fnmatchcase(name.lower(), pattern.lower())]
        if not hits:
            raise Refused(
                "A region is not there.",
                file=tacs,
                field="--regions",
                found=pattern,
                expected=", ".join(names[:12]),
                mend="name columns of the file; * stands for any letters",
            )
        index += [i for i in hits if i not in index]
    return tuple(names[i] for i in index), values[index]


def _write(out: Path, stem: str, tables: Sequence[Table], figures: Sequence[Figure]) -> None:
    import ekbom
    from ekbom.study import files
    from ekbom.study.products import table_sidecar

    made = {"Name": "ekbom", "Version": ekbom.__version__}
    for table in tables:
        files.write_bytes(out / f"{stem}_{table.name}.tsv", files.tsv_bytes(table.frame))
        sidecar = files.json_bytes(table_sidecar(table, made))
        files.write_bytes(out / f"{stem}_{table.name}.json", sidecar)
    for figure in figures:
        files.write_bytes(out / f"{stem}_{figure.name}.{figure.kind}", figure.data)
    petprint.line(f"written to {out}")
