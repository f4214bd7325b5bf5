"""`ekbom validate`: closed loops with known truth, one report a room."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App
from rich.console import Console

from ekbom.study.files import json_bytes, tsv_bytes, write_bytes
from ekbom.validate.result import Check, as_frame, as_html

app = App(name="validate", help="Closed loops with known truth.")
_out = Console(highlight=False, soft_wrap=True)


@app.command
def clinic(*, out: Path, replicates: int = 2000, seed: int = 1) -> int:
    """Check diagnosis, scales and endpoints on made people.

    Parameters
    ----------
    out
        Folder for the report.
    replicates
        People of the cohort, and trials of the error rate.
    seed
        Of every random draw.
    """
    from ekbom.measures.clinic.decide import NOT_ADVICE
    from ekbom.validate.clinic import validate_clinic

    checks = validate_clinic(replicates=replicates, seed=seed)
    return _report("clinic", checks, out, {"Replicates": replicates, "Seed": seed}, NOT_ADVICE)


@app.command
def pet(
    *,
    out: Path,
    full: bool = False,
    fits: int = 200,
    seed: int = 1,
    tracers: str = "",
    voxels: int | None = None,
) -> int:
    """Check bias, coverage and flags of the kinetic models on simulated curves.

    Finished parts are kept in OUT/parts: an interrupted run goes on from there.

    Parameters
    ----------
    out
        Folder for the report.
    full
        2,000 fits and 10,000 voxels a cell: a quarter of an hour of one core.
    fits
        Fits a cell without it.
    seed
        Of every random draw.
    tracers
        Names separated by commas; all that have rate constants on file by default.
    voxels
        Voxels a cell held to an exhaustive search; five a fit by default, from 1,000 fits on.
    """
    from ekbom.errors import Refused
    from ekbom.validate.pet import validate_pet
    from ekbom.validate.pet_truth import TISSUES

    names = tuple(name.strip() for name in tracers.split(",") if name.strip()) or tuple(TISSUES)
    odd = [name for name in names if name not in TISSUES]
    if odd:
        raise Refused(
            "There are no rate constants to simulate the tracer with.",
            field="--tracers",
            found=odd[0],
            expected=", ".join(TISSUES),
        )
    number = 2000 if full else fits
    if number < 10:
        raise Refused("Too few fits.", field="--fits", found=number, expected="10 or more")
    if voxels is not None and voxels < 10:
        raise Refused("Too few voxels.", field="--voxels", found=voxels, expected="10 or more")
    checks = validate_pet(
        fits=number, seed=seed, tracers=names, voxels=voxels, kept=out / "parts",
        tell=lambda line: _out.print(line, markup=False),
    )  # fmt: skip
    settings: dict[str, object] = {
        "Fits": number, "Seed": seed, "Tracers": list(names), "Voxels": voxels,
    }  # fmt: skip
    more = (
        "Median bias, coverage of the 95 % interval and share of flagged fits; every fit counts,"
        " flagged ones too. Errors are Monte-Carlo standard errors. A model on the truth of another"
        " is printed and not gated."
    )
    return _report("pet", checks, out, settings, more)


@app.command
def legs(
    *,
    out: Path,
    nights: int = 2,
    hours: float = 8.0,
    seed: int = 1,
    virtual_only: bool = False,
) -> int:
    """Check detection and scoring of leg movements on made nights.

    Parameters
    ----------
    out
        Folder for the report.
    nights
        Made nights of each scene.
    hours
        Length of a night.
    seed
        Of every random draw.
    virtual_only
        Only the nights that the disease model makes: EDF+ written, read, found and scored.
    """
    from ekbom.validate.legs import validate_legs, validate_virtual

    run = validate_virtual if virtual_only else validate_legs
    checks = run(nights=nights, hours=hours, seed=seed)
    settings: dict[str, object] = {"Nights": nights, "Hours": hours, "Seed": seed}
    return _report("legs", checks, out, settings, "Research use; not medical advice.")


@app.command
def inference(
    *,
    out: Path,
    full: bool = False,
    studies: int | None = None,
    seed: int = 1,
    workers: int | None = None,
) -> int:
    """Count false findings in null studies, and the coverage of intervals.

    Finished null studies and loops are kept in OUT/cells: an interrupted run goes on from there.

    Parameters
    ----------
    out
        Folder for the report.
    full
        1,000 studies a cell of larger maps, two designs, two widths: an hour or more.
    studies
        Studies a cell, instead.
    seed
        Of every random draw.
    workers
        Threads; all cores by default. Nothing depends on them.
    """
    from ekbom.validate.inference import validate_inference

    checks = validate_inference(
        full=full,
        studies=studies,
        seed=seed,
        kept=out / "cells",
        workers=workers,
        tell=lambda text: _out.print(text, markup=False),
    )
    settings: dict[str, object] = {"Full": full, "Studies": studies or "default", "Seed": seed}
    more = (
        "Counts are of null studies in which something was found at .05. Gates are binomial "
        "99.9 % ranges; rows without one are shown beside."
    )
    return _report("inference", checks, out, settings, more)


@app.command
def space(
    *,
    out: Path,
    full: bool = False,
    seed: int = 1,
) -> int:
    """Check motion correction, T1 to template, PET to T1 and the side on made images.

    Parameters
    ----------
    out
        Folder for the report.
    full
        Voxels of 2 mm, 10 scans, 20 bent heads and 100 pairs: many minutes.
    seed
        Of every random draw.
    """
    from ekbom.validate.space import validate_space

    scans, heads, bent, resolution = (10, 100, 20, 2.0) if full else (3, 20, 3, 4.0)
    checks = validate_space(
        scans=scans,
        heads=heads,
        bent=bent,
        resolution=resolution,
        seed=seed,
        say=lambda text: _out.print(text, markup=False),
    )
    settings: dict[str, object] = {
        "Scans": scans,
        "Heads": heads,
        "Bent": bent,
        "Resolution": resolution,
    }
    return _report("space", checks, out, {**settings, "Seed": seed})


@app.command
def disease(
    *,
    out: Path,
    people: int = 2000,
    against: int = 100,
    days: int = 84,
    patients: int = 30,
    seed: int = 1,
) -> int:
    """Check the disease model: terminal, balances, failures, libroadrunner, long runs, nights.

    Parameters
    ----------
    out
        Folder for the report.
    people
        People of the count of failures; 10000 for the stated target.
    against
        People run in libroadrunner too (extra sbml).
    days
        Length of the comparison of skipped days with every day.
    patients
        Patients whose nights are scored and held to print, twelve each; 0 for none. With
        them a table and a figure of the intervals between movements are written.
    seed
        Of the people.
    """
    from ekbom.disease.model import load
    from ekbom.report.evidence import intervals_figure
    from ekbom.validate.disease import validate_disease
    from ekbom.validate.nights import nights

    checks = validate_disease(
        people=people, against=against, days=days, seed=seed,
        say=lambda text: _out.print(text, markup=False),
    )  # fmt: skip
    if patients:
        _out.print(f"nights of {patients} patients", markup=False)
        more, table = nights(people=100, patients=patients, seed=seed)
        checks += more
        write_bytes(out / "intervals.tsv", tsv_bytes(table))
        write_bytes(out / "intervals.svg", intervals_figure(table).encode())
    settings: dict[str, object] = {"People": people, "Against": against, "Days": days}
    settings["Patients"] = patients
    banner = load().banner()
    _out.print(banner, markup=False)
    return _report("disease", checks, out, {**settings, "Seed": seed}, banner)


@app.command
def design(*, out: Path, full: bool = False, seed: int = 1) -> int:
    """Print what designs of the model study's kind can find, by n, smoothing and threshold.

    Parameters
    ----------
    out
        Folder for the report.
    full
        20,000 studies a cell and 1,000 maps: some minutes.
    seed
        Of every random draw.
    """
    from ekbom.validate.design import validate_design

    studies, maps = (20_000, 1000) if full else (4000, 60)
    checks = validate_design(
        studies=studies, maps=maps, seed=seed, tell=lambda text: _out.print(text, markup=False)
    )
    more = (
        "Power and detectable effects are facts of a design and have no gate; gates hold what was"
        " counted in made studies to closed forms (binomial 99.99 % ranges, 3.9 standard errors)."
    )
    return _report("design", checks, out, {"Studies": studies, "Maps": maps, "Seed": seed}, more)


@app.command
def images(*, out: Path, people: int = 4, seed: int = 1) -> int:
    """Hold maps of V_T, made by the whole run from simulated images, to the truth.

    Parameters
    ----------
    out
        Folder for the report and for `bias.nii.gz`, the mean relative error by voxel.
    people
        Scans at each noise; some 4 CPU-seconds each.
    seed
        Of the study.
    """
    from ekbom.errors import Refused
    from ekbom.validate.pet_images import validate_images

    if people < 2:
        raise Refused("Too few people.", field="--people", found=people, expected="2 or more")
    checks = validate_images(
        people=people, seed=seed, bias_map=out / "bias.nii.gz",
        tell=lambda text: _out.print(text, markup=False),
    )  # fmt: skip
    more = (
        "MA1 with blood samples; the truth is V_T as the scanner's blur shows it, without noise."
        " The blood of a person has noise of its own, which moves all voxels of a map together:"
        " it is in the errors, which are over people. bias.nii.gz is of the last noise, in %."
    )
    return _report("images", checks, out, {"People": people, "Seed": seed}, more)


@app.command
def faults(*, out: Path, only: str = "") -> int:
    """Plant each mistake of real sites into a small study, and see that the run refuses it by name.

    Parameters
    ----------
    out
        Folder for the report.
    only
        Faults separated by commas; all by default (`ekbom simulate --faults`).
    """
    from tempfile import TemporaryDirectory

    from ekbom.errors import Refused
    from ekbom.validate.faults import validate_faults
    from ekbom.virtual.faults import FAULTS

    names = tuple(name.strip() for name in only.split(",") if name.strip()) or tuple(FAULTS)
    odd = [name for name in names if name not in FAULTS]
    if odd:
        raise Refused(
            "There is no such fault.", field="--only", found=odd[0], expected=", ".join(FAULTS)
        )
    with TemporaryDirectory() as place:
        checks = list(
            validate_faults(Path(place), names, lambda text: _out.print(text, markup=False))
        )
    more = (
        "1: the person with the fault alone is refused, by the field at fault, and the others are"
        " measured. The mirrored image is the only person of its study: it takes images."
    )
    return _report("faults", checks, out, {"Faults": list(names)}, more)


def _report(
    name: str, checks: list[Check], out: Path, settings: dict[str, object], more: str = ""
) -> int:
    """Print and write a report; a failed gate is an error of ours, exit code 1."""
    for c in checks:
        word = ("passed" if c.passed else "FAILED") if c.gated else "      "
        gate = f"  gate {c.low:g} to {c.high:g}" if c.gated else ""
        error = f" +- {c.error:.2g}" if c.error == c.error else ""
        note = f"  ({c.note})" if c.note else ""
        _out.print(f"{word}  {c.name}: {c.value:.4g}{error} {c.unit}, n {c.n}{gate}{note}",
                   markup=False)  # fmt: skip
    write_bytes(out / f"validate-{name}.tsv", tsv_bytes(as_frame(checks)))
    write_bytes(out / f"validate-{name}.json", json_bytes({"Report": name, **settings}))
    page = as_html(f"ekbom validate {name}", checks, more)
    write_bytes(out / f"validate-{name}.html", page.encode())
    _out.print(f"written to {out}", markup=False)
    return 0 if all(c.passed for c in checks) else 1
