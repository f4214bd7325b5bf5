"""Every arterial model on two real data sets: tables and pictures of the page "Real scans".

python docs/pet/real_data.py [FOLDER] [--out TABLES] [--draw-only]

FOLDER holds ``ds004869`` and ``pbr28`` (EKBOM_REAL_DATA, or shared/data beside the
copy, by default). Without them the script says so and ends. The fits take about three
minutes of one core and are kept in TABLES, from which the pictures can be drawn again.
"""

from __future__ import annotations

import argparse
import os
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from real_pictures import draw

from ekbom.errors import Refused
from ekbom.measures.pet.arterial import fit_arterial
from ekbom.measures.pet.blood import BloodData
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input_fit import InputFit, fit_input
from ekbom.measures.pet.io.bids import read_scan
from ekbom.measures.pet.io.blood import read_blood
from ekbom.measures.pet.io.petprep import read_tacs as read_petprep
from ekbom.measures.pet.io.petprep import read_volumes
from ekbom.measures.pet.io.plain import read_input, read_tacs
from ekbom.measures.pet.measure import PETMeasure
from ekbom.measures.pet.parent import FORMS as PARENT_FORMS
from ekbom.measures.pet.plasma import FORMS as PLASMA_FORMS
from ekbom.measures.pet.regional import Regional, fit_regions
from ekbom.measures.pet.regions import Curves, join, tissue_curve
from ekbom.measures.pet.residuals import residuals, runs_p
from ekbom.measures.pet.settings import PETSettings
from ekbom.study.index import Study

ROOT = Path(__file__).parents[2]
ASKED = ("1tcm", "logan", "ma1", "spectral")
MODELS = ("1tcm", "2tcm", "2tcm-irreversible", "logan", "ma1", "spectral", "patlak")
#: Minutes: for Logan and MA1 of both data sets, as in the plan of the example.
TSTAR = 30.0


@dataclass(frozen=True)
class RealScan:
    """Curves and blood of one scan, read and ready to be fitted."""

    data: str
    person: str
    session: str
    group: str
    regions: tuple[str, ...]
    values: np.ndarray
    whole: np.ndarray
    frames: Frames
    blood: BloodData
    extrapolate: bool
    weights: np.ndarray | None = None

    @property
    def name(self) -> dict[str, str]:
        """Columns that say which scan a row is of."""
        return {"data": self.data, "person": self.person, "session": self.session,
                "group": self.group}  # fmt: skip

    def input(self, **how: str) -> InputFit:
        """Make the input function, lines between samples unless told otherwise."""
        return fit_input(self.blood, frames=self.frames, extrapolate=self.extrapolate, **how)


def mc1(folder: Path) -> Iterator[RealScan]:
    """Read the 24 scans of ds004869 with the permissions of the example's plan."""
    plan = tomllib.loads((ROOT / "examples/ds004869/plan.toml").read_text(encoding="utf-8"))
    settings = PETSettings.model_validate(plan["measures"]["pet"])
    wanted = settings.regions["gtmseg"]
    study, measure = Study.open(folder / "ds004869"), PETMeasure()
    for unit in measure.units(study):
        inputs = measure.inputs(unit, study, settings)
        scan = read_scan(inputs.files["pet_json"])
        blood, _, _ = read_blood(
            (inputs.files["manual"][0], inputs.files["manual_json"]),
            injection_s=scan.injection_s,
            factor=scan.blood_factor,
            sort=bool(inputs.extra["blood.sort"]),
        )
        path = inputs.files["tacs:gtmseg"][0]
        names, values = read_petprep(path, scan, inputs.files["tacs_json:gtmseg"])
        volumes = read_volumes(inputs.files["morph:gtmseg"][0])
        curves = join(Curves("gtmseg", names, values, volumes, path, {}), wanted)
        rows = [curves.names.index(name) for name in wanted]
        session = str(unit.session)
        yield RealScan(
            "ds004869", unit.participant, session,
            "blocking" if session in ("baseline", "blocked") else "retest",
            tuple(wanted), curves.values[rows], tissue_curve([curves]), scan.frames, blood,
            bool(inputs.extra["blood.extrapolate"]),
        )  # fmt: skip


def pbr28(folder: Path) -> Iterator[RealScan]:
    """Read the 10 scans of pbr28."""
    place = folder / "pbr28"
    people = pd.read_csv(place / "participants.tsv", sep="\t")
    for row in people.itertuples():
        if not (place / f"{row.PET}_tacs.tsv").is_file():
            continue
        read = read_tacs(
            place / f"{row.PET}_tacs.tsv", unit="kBq/mL", decay_corrected=True, half_life=20.364
        )
        blood, _ = read_input(place / f"{row.PET}_procblood.tsv", unit="kBq/mL")
        yield RealScan(
            "pbr28", str(row.Subjname), "test" if row.PETNo == 1 else "retest",
            str(row.Genotype), read.names, read.values,
            read.values[read.names.index("WB")], read.frames, blood, False, read.weights,
        )  # fmt: skip


def main_fits(scan: RealScan) -> tuple[list[dict], dict, Regional, InputFit]:
    """Fit all models to all regions of one scan; rows of two tables."""
    fitted = scan.input()
    settings = PETSettings(model=list(MODELS), tstar=TSTAR)
    found = fit_regions(scan.values, scan.regions, scan.whole, scan.frames, fitted, settings)
    runs = {
        model: runs_p(r[:, np.isfinite(r).all(axis=0)])
        for model, r in residuals(scan.values, found, scan.frames).items()
    }
    rows = []
    for model, fit in found.fits.items():
        for i, region in enumerate(scan.regions):
            rows.append(
                scan.name
                | {
                    "region": region, "model": model, "outcome": fit.outcome,
                    "value": fit.params[fit.outcome][i], "se": fit.se[fit.outcome][i],
                    "K1": fit.params["K1"][i] if "K1" in fit.params else np.nan,
                    "vB": fit.params["vB"][i] if "vB" in fit.params else np.nan,
                    "rss": fit.rss[i], "aicc": fit.aicc[i], "runs_p": runs[model][i],
                    "flags": ";".join(fit.flags[i]) or "n/a",
                }
            )  # fmt: skip
    # the slowest rate of the spectrum is a choice: the same with rates ten times slower
    slow = PETSettings(
        model="spectral", delay=60 * found.delay_min,
        spectral={"beta_min": 0.1 / float(scan.frames.end[-1]), "draws": 2},
    )  # fmt: skip
    far = fit_regions(scan.values, scan.regions, scan.whole, scan.frames, fitted, slow)
    for i, region in enumerate(scan.regions):
        one = far.fits["spectral"]
        rows.append(scan.name | {
            "region": region, "model": "spectral-slow", "outcome": "VT",
            "value": one.params["VT"][i], "rss": one.rss[i],
            "flags": ";".join(one.flags[i]) or "n/a",
        })  # fmt: skip
    rows += expected(scan, found)
    delay = found.delay
    told = {model: found.straight[model] for model in ("logan", "ma1") if model in found.straight}
    about = scan.name | {
        "frames": scan.frames.n, "end_min": scan.frames.end[-1],
        "delay_s": 60 * found.delay_min, "delay_se_s": np.nan if delay is None else 60 * delay.se,
        "delay_flag": "not fitted" if delay is None else delay.flag or "n/a",
        "samples": fitted.samples_t.size,
        "extrapolated_percent": 100 * fitted.extrapolated_share,
        **{f"tstar_{model}": one.value for model, one in told.items()},
    }  # fmt: skip
    return rows, about, found, fitted


def expected(scan: RealScan, found: Regional) -> list[dict]:
    """Fit curves made from the two-tissue fits with their own noise: what models would differ by.

    The noise of a frame has the variance that the weights say and the size that the
    residuals of the fit show.
    """
    two = found.fits["2tcm"]
    rng = np.random.default_rng(1)
    scale = np.sqrt(two.rss / two.df)[:, None] / np.sqrt(found.weights)
    made = two.fitted + scale * rng.normal(size=two.fitted.shape)
    settings = PETSettings(model=list(ASKED), tstar=TSTAR, spectral={"draws": 2})
    rows = []
    for model in ASKED:
        start = TSTAR if model in ("logan", "ma1") else None
        again = fit_arterial(
            made, scan.frames, found.input, model, settings, found.weights, tstar=start
        )
        for i, region in enumerate(scan.regions):
            rows.append(
                scan.name
                | {
                    "region": region,
                    "model": f"{model}-expected",
                    "outcome": "VT",
                    "value": again.params["VT"][i],
                    "flags": ";".join(again.flags[i]) or "n/a",
                }
            )
    return rows


def weight_choices(scan: RealScan, found: Regional, fitted: InputFit) -> list[dict]:
    """V_T of 2TCM and MA1 with other weights of the frames, the delay held."""
    rows = []
    kinds = ("poisson", "duration", "uniform", *(["published"] if scan.weights is not None else []))
    for kind in kinds:
        settings = PETSettings(
            model=["2tcm", "ma1"], tstar=TSTAR, delay=60 * found.delay_min,
            weights="uniform" if kind == "published" else kind,
        )  # fmt: skip
        again = fit_regions(
            scan.values, scan.regions, scan.whole, scan.frames, fitted, settings,
            weights=scan.weights if kind == "published" else None,
        )  # fmt: skip
        for model, fit in again.fits.items():
            base = found.fits[model].params["VT"]
            for i, region in enumerate(scan.regions):
                rows.append(
                    scan.name
                    | {
                        "weights": kind, "model": model, "region": region,
                        "change_percent": 100 * (fit.params["VT"][i] / base[i] - 1),
                    }
                )  # fmt: skip
    return rows


def blood_choices(scan: RealScan, found: Regional, fitted: InputFit) -> tuple[list, list]:
    """Fit parent fraction and parent plasma by every form, and V_T with each of them."""
    candidates, values = [], []
    delay = 60 * found.delay_min
    for kind, table in (("parent", fitted.parent_table), ("plasma", fitted.table)):
        for row in table.itertuples():
            candidates.append(
                scan.name
                | {"kind": kind, "form": row.model, "n_free": row.n_free, "aicc": row.aicc,
                   "loo_rmse": getattr(row, "loo_rmse", np.nan),
                   "auc_percent": getattr(row, "auc_difference_percent", np.nan)}
            )  # fmt: skip
    for kind, forms in (("parent", PARENT_FORMS), ("plasma", PLASMA_FORMS)):
        for form in forms:
            settings = PETSettings(model=["2tcm", "ma1"], tstar=TSTAR, delay=delay)
            try:
                given = scan.input(**{kind: form})
            except Refused:
                continue
            again = fit_regions(scan.values, scan.regions, scan.whole, scan.frames, given, settings)
            for model, fit in again.fits.items():
                base = found.fits[model].params["VT"]
                for i, region in enumerate(scan.regions):
                    values.append(
                        scan.name
                        | {"kind": kind, "form": form, "model": model, "region": region,
                           "VT": fit.params["VT"][i],
                           "change_percent": 100 * (fit.params["VT"][i] / base[i] - 1)}
                    )  # fmt: skip
    return candidates, values


def example_rows(scan: RealScan, found: Regional, region: str) -> pd.DataFrame:
    """Return measured and fitted frames of one region, for the picture of one fit."""
    i = scan.regions.index(region)
    frame = pd.DataFrame(
        {"start": scan.frames.start, "end": scan.frames.end, "mid": scan.frames.mid,
         "measured": scan.values[i], "weight": found.weights}
    )  # fmt: skip
    for model, fit in found.fits.items():
        frame[model] = fit.fitted[i]
    return frame


def compute(folder: Path, out: Path) -> None:
    """Fit everything and write the tables."""
    rows, scans, candidates, values, weighted = [], [], [], [], []
    for scan in (*pbr28(folder), *mc1(folder)):
        print(scan.data, scan.person, scan.session, flush=True)
        fits, about, found, fitted = main_fits(scan)
        rows += fits
        scans.append(about)
        weighted += weight_choices(scan, found, fitted)
        if scan.data == "ds004869":
            more, changed = blood_choices(scan, found, fitted)
            candidates += more
            values += changed
        if (scan.data, scan.person, scan.session) == ("pbr28", "cgyu", "test"):
            example_rows(scan, found, "THA").to_csv(out / "example.tsv", sep="\t", index=False)
    for name, table in (
        ("fits", rows), ("scans", scans), ("candidates", candidates), ("choices", values),
        ("weights", weighted),
    ):  # fmt: skip
        frame = pd.DataFrame(table)
        frame.to_csv(out / f"{name}.tsv", sep="\t", index=False, na_rep="n/a")


def main() -> int:
    """Fit, draw, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    beside = Path(os.environ.get("EKBOM_REAL_DATA", ROOT / "shared" / "data"))
    parser.add_argument("folder", nargs="?", type=Path, default=beside)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "pet-real")
    parser.add_argument("--draw-only", action="store_true")
    asked = parser.parse_args()
    absent = [name for name in ("ds004869", "pbr28") if not (asked.folder / name).is_dir()]
    if not asked.draw_only and absent:
        print(f"nothing done: no {' and '.join(absent)} in {asked.folder} (see its licence and"
              " source in docs/pet/real-data.md)", file=sys.stderr)  # fmt: skip
        return 0
    asked.out.mkdir(parents=True, exist_ok=True)
    if not asked.draw_only:
        compute(asked.folder, asked.out)
    draw(asked.out, ROOT / "docs" / "_static")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
