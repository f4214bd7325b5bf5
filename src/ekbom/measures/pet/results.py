"""Fits turned into scores and tables."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom.measures.pet import select
from ekbom.measures.pet.input_fit import InputFit
from ekbom.measures.pet.io.bids import Scan
from ekbom.measures.pet.kinetic import KineticFit
from ekbom.measures.pet.regional import Regional
from ekbom.measures.pet.regions import Curves
from ekbom.measures.pet.settings import COMPARTMENT, REFERENCE
from ekbom.nouns import Column, Score, Table

if TYPE_CHECKING:
    from ekbom.measures.pet.blood_draws import BloodError
    from ekbom.measures.pet.delay import Delay

Array = NDArray[np.float64]

#: Order and units of what the models estimate (Innis et al. 2007).
OUTCOMES: Mapping[str, str] = {
    "VT": "mL/cm3",
    "VND": "mL/cm3",
    "K1": "mL/cm3/min",
    "k2": "1/min",
    "k3": "1/min",
    "k4": "1/min",
    "BPND": "1",
    "vB": "1",
    "DVR": "1",
    "SUVR": "1",
    "R1": "1",
    "k2a": "1/min",
    "k2prime": "1/min",
    "Ki": "mL/cm3/min",
    "V0": "mL/cm3",
    "IRF60": "mL/cm3/min",
    "SUV": "g/mL",
}
_MEANING = {
    "VT": "Total volume of distribution",
    "K1": "Rate of transfer from plasma to tissue",
    "k2": "Rate of transfer from tissue to plasma",
    "k3": "Rate of transfer from the first to the second tissue compartment",
    "k4": "Rate of transfer from the second to the first tissue compartment",
    "BPND": "Binding potential relative to nondisplaceable uptake",
    "DVR": "Distribution volume relative to the reference region",
    "SUVR": "Mean of the window relative to the reference region",
    "R1": "Delivery relative to the reference region",
    "k2a": "Apparent rate of transfer from tissue to plasma",
    "k2prime": "Rate of transfer from the reference region to plasma",
    "vB": "Blood volume as a share of tissue volume",
    "Ki": "Net rate of influx into the irreversible compartment",
    "V0": "Intercept of the Patlak plot",
    "IRF60": "Impulse response at 60 minutes",
    "SUV": "Mean of the window over injected activity per body weight",
}
_SHOWN = ("VT", "K1", "k2", "k3", "k4", "BPND", "vB")
KINPAR: Mapping[str, Column] = {
    "region": Column("Region of the segmentation"),
    "model": Column("Kinetic model"),
    "VT": Column(_MEANING["VT"], OUTCOMES["VT"]),
    "VT_se": Column("Standard error of VT", OUTCOMES["VT"]),
    "K1": Column(_MEANING["K1"], OUTCOMES["K1"]),
    "K1_se": Column("Standard error of K1", OUTCOMES["K1"]),
    **{name: Column(_MEANING[name], OUTCOMES[name]) for name in _SHOWN[2:]},
    "delay_s": Column("Delay of tissue after the sampling site", "s"),
    "tstar_min": Column("Start of the linear part: first frame used", "min"),
    "n_frames": Column("Frames with weight in the fit"),
    "rss": Column("Weighted residual sum of squares", "(kBq/mL)^2"),
    "aicc": Column("Corrected Akaike criterion"),
    "akaike_weight": Column("Share of evidence among the compartment models of this table"),
    "cv_percent": Column("100 SE / estimate of VT; of Ki where the model has no VT", "%"),
    "extrapolated_share": Column("Share of the input's area beyond the last blood sample", "1"),
    "flags": Column("What a reader should doubt, separated by semicolons"),
}


#: Columns that tables with a reference-region model have beside.
REFERENCE_KINPAR: Mapping[str, Column] = {
    "BPND_se": Column("Standard error of BPND", "1"),
    **{
        name: Column(_MEANING[name], OUTCOMES[name])
        for name in ("R1", "k2a", "k2prime", "DVR", "SUVR")
    },
}
#: Columns that tables with an irreversible model have beside.
IRREVERSIBLE_KINPAR: Mapping[str, Column] = {
    "Ki": Column(_MEANING["Ki"], OUTCOMES["Ki"]),
    "Ki_se": Column("Standard error of Ki", OUTCOMES["Ki"]),
    "V0": Column(_MEANING["V0"], OUTCOMES["V0"]),
}
#: Columns that tables with spectral analysis have beside.
SPECTRAL_KINPAR: Mapping[str, Column] = {
    "IRF60": Column(_MEANING["IRF60"], OUTCOMES["IRF60"]),
    "IRF60_se": Column("Standard error of IRF60", OUTCOMES["IRF60"]),
    "slow_share": Column("Share of VT from rates slower than 1 / end of the scan", "1"),
    "components": Column("Components of the spectrum after joining neighbouring rates", "1"),
}
#: Column that tables with SUV have beside.
UPTAKE_KINPAR: Mapping[str, Column] = {"SUV": Column(_MEANING["SUV"], OUTCOMES["SUV"])}


def scores(fit: KineticFit, labels: Sequence[str], keep: Sequence[str] = ()) -> list[Score]:
    """Return a score for each parameter and region of a fit.

    Parameters
    ----------
    fit : KineticFit
    labels : sequence of str
        Regions with their segmentation.
    keep : sequence of str
        Parameters to return; all of them when empty.

    Returns
    -------
    list of Score
        With 95 % intervals, as of :meth:`~ekbom.measures.pet.kinetic.KineticFit.interval`.
    """
    found: list[Score] = []
    for parameter in OUTCOMES:
        # a blood volume that was given is a setting, not a result
        given = parameter == "vB" and fit.meta["vB"] != "free"
        if parameter not in fit.params or given or (keep and parameter not in keep):
            continue
        lower, upper = fit.interval(parameter)
        columns = (fit.params[parameter], fit.se[parameter], lower, upper)
        rows = zip(labels, *(column.tolist() for column in columns), fit.flags, strict=True)
        found += [
            Score(
                parameter,
                value,
                fit.units[parameter],
                region=label,
                method=fit.model,
                se=error,
                lower=low,
                upper=high,
                flags=tuple(flags),
            )
            for label, value, error, low, high, flags in rows
        ]
    return found


def kinpar(
    regional: Regional, curves: Curves, where: slice, share: float, meta: Mapping[str, Any]
) -> Table:
    """Return the table of kinetic parameters of one segmentation.

    Parameters
    ----------
    regional : Regional
        Fits of all segmentations.
    curves : Curves
        The segmentation.
    where : slice
        Its rows in the fits.
    share : float
        Share of the input's area that was extrapolated.
    meta : mapping
        For the sidecar.

    Returns
    -------
    Table
        One row a region and model, columns of :data:`KINPAR`, and of
        :data:`REFERENCE_KINPAR`, :data:`IRREVERSIBLE_KINPAR`, :data:`SPECTRAL_KINPAR`
        or :data:`UPTAKE_KINPAR` when a model needs them.
    """
    rows: list[pd.DataFrame] = []
    columns = {**KINPAR}
    if any(model in REFERENCE for model in regional.fits):
        columns |= REFERENCE_KINPAR
    if any("Ki" in fit.params for fit in regional.fits.values()):
        columns |= IRREVERSIBLE_KINPAR
    columns |= SPECTRAL_KINPAR if "spectral" in regional.fits else {}
    columns |= UPTAKE_KINPAR if "suv" in regional.fits else {}
    weights = akaike_weights({m: f.aicc[where] for m, f in regional.fits.items()})
    for model, fit in regional.fits.items():
        count = len(curves.names)
        missing = np.full(count, np.nan)

        def column(name: str, source: Mapping[str, Array], empty: Array = missing) -> Array:
            values = source.get(name)
            return empty if values is None else np.asarray(values[where], dtype=np.float64)

        value, error = column("VT", fit.params), column("VT", fit.se)
        main = "Ki" if "Ki" in fit.params else "VT"
        with np.errstate(divide="ignore", invalid="ignore"):
            cv = 100 * column(main, fit.se) / column(main, fit.params)
        rows.append(
            pd.DataFrame(
                {
                    "region": curves.names,
                    "model": model,
                    "VT": value,
                    "VT_se": error,
                    "K1": column("K1", fit.params),
                    "K1_se": column("K1", fit.se),
                    **{name: column(name, fit.params) for name in _SHOWN[2:]},
                    "delay_s": 60 * regional.delay_min,
                    "tstar_min": regional.tstar.get(model, np.nan),
                    "n_frames": regional.n_frames[model],
                    "rss": fit.rss[where],
                    "aicc": fit.aicc[where],
                    "akaike_weight": weights.get(model, missing),
                    "cv_percent": cv,
                    "extrapolated_share": share,
                    "flags": [";".join(flags) or "n/a" for flags in fit.flags[where]],
                    "BPND_se": column("BPND", fit.se),
                    **{name: column(name, fit.params) for name in list(REFERENCE_KINPAR)[1:]},
                    "Ki": column("Ki", fit.params),
                    "Ki_se": column("Ki", fit.se),
                    "V0": column("V0", fit.params),
                    "IRF60": column("IRF60", fit.params),
                    "IRF60_se": column("IRF60", fit.se),
                    "slow_share": column("extrapolated_share", fit.extra),
                    "components": column("components", fit.extra),
                    "SUV": column("SUV", fit.params),
                }
            )
        )
    frame = pd.concat(rows, ignore_index=True)[list(columns)]
    described: dict[str, Any] = {
        "Segmentation": curves.segmentation,
        "JoinedRegions": {name: list(members) for name, members in curves.joined.items()},
        **meta,
    }
    return Table(f"desc-{entity(curves.segmentation)}_kinpar", frame, columns, described)


def akaike_weights(aicc: Mapping[str, Array]) -> dict[str, Array]:
    """Return Akaike weights among the models that were fitted to the same frames.

    Parameters
    ----------
    aicc : mapping of str to (N,) array
        By model; graphical models, fitted to late frames or to other
        quantities, are left out.

    Returns
    -------
    dict of str to (N,) array
        Empty when fewer than two models can be compared.
    """
    models = [name for name in aicc if name in COMPARTMENT]
    if len(models) < 2:
        return {}
    share = select.akaike_weights([aicc[name] for name in models])
    return dict(zip(models, share, strict=True))


def tacs(curves: Curves, frames: Any, meta: Mapping[str, Any]) -> Table:
    """Return the curves that were fitted, joined regions included."""
    frame = pd.DataFrame(
        {"frame_start": 60 * frames.start, "frame_end": 60 * frames.end}
        | dict(zip(curves.names, curves.values, strict=True))
    )
    columns = {
        "frame_start": Column("Start of the frame, from injection", "s"),
        "frame_end": Column("End of the frame, from injection", "s"),
    } | {
        name: Column(
            f"Volume-weighted mean of {', '.join(curves.joined[name])}"
            if name in curves.joined
            else "Mean radioactivity, decay-corrected to injection",
            "kBq/mL",
        )
        for name in curves.names
    }
    described = {"Segmentation": curves.segmentation, **meta}
    return Table(f"desc-{entity(curves.segmentation)}_tacs", frame, columns, described)


def inputfunction(fit: InputFit, scan: Scan | None, meta: Mapping[str, Any]) -> Table:
    """Return the input function with bloodstream's columns, Bq/mL and s from TimeZero."""
    t = fit.input.t
    start = 0.0 if scan is None else scan.injection_s
    scale = 1e3 if scan is None else 1e3 / scan.blood_factor
    missing = np.full(t.size, np.nan)
    whole = fit.input.whole_blood * scale if fit.whole_blood.model != "none" else missing
    frame = pd.DataFrame(
        {
            "time": 60 * t + start,
            "whole_blood_radioactivity": whole,
            "plasma_radioactivity": missing
            if fit.total_plasma is None
            else fit.total_plasma.at(t) * scale,
            "metabolite_parent_fraction": missing if fit.parent is None else fit.parent.at(t),
            "AIF": fit.input.plasma_parent * scale,
        }
    )
    corrected = "decay-corrected to TimeZero"
    columns = {
        "time": Column("Time from TimeZero of the PET scan", "s"),
        "whole_blood_radioactivity": Column(f"Whole blood, {corrected}", "Bq/mL"),
        "plasma_radioactivity": Column(f"Total plasma, {corrected}", "Bq/mL"),
        "metabolite_parent_fraction": Column("Share of plasma activity that is the tracer", "1"),
        "AIF": Column(f"Metabolite-corrected arterial plasma, {corrected}", "Bq/mL"),
    }
    return Table("inputfunction", frame, columns, {**input_meta(fit), **meta})


def input_meta(fit: InputFit) -> dict[str, Any]:
    """Return what a sidecar says of an input function."""
    return {
        "ParentPlasmaModel": fit.parent_plasma.model,
        "ParentPlasmaParameters": dict(fit.parent_plasma.params),
        "WholeBloodModel": fit.whole_blood.model,
        "WholeBloodParameters": dict(fit.whole_blood.params),
        "ParentFractionModel": "n/a" if fit.parent is None else fit.parent.model,
        "ParentFractionParameters": {} if fit.parent is None else dict(fit.parent.params),
        "ParentFractionStandardErrors": {} if fit.parent is None else dict(fit.parent.se),
        "CoveredMinutes": [0.0, fit.covers_end],
        "ExtrapolatedShare": fit.extrapolated_share,
    }


_CANDIDATES = {
    "model": Column("Model"),
    "chosen": Column("Whether it was used"),
    "n_samples": Column("Samples"),
    "n_free": Column("Free parameters"),
    "rss": Column("Weighted residual sum of squares"),
    "aicc": Column("Corrected Akaike criterion; n/a for the line through the samples"),
    "loo_rmse": Column("Root mean squared error of leave-one-out prediction of inner samples", "1"),
    "auc": Column("Area from injection to the end of the scan", "kBq/mL*min"),
    "auc_difference_percent": Column("Area relative to the curve used", "%"),
    "peak": Column("Largest value of the curve", "kBq/mL"),
    "parameters": Column("Parameters: fractions, min, 1/min, kBq/mL"),
    "se": Column("Standard errors of the parameters"),
    "flags": Column("What a reader should doubt"),
}


def candidate_tables(fit: InputFit) -> list[Table]:
    """Return the candidates of parent plasma and of parent fraction as tables."""
    found = []
    for name, frame in (
        ("desc-plasma_candidates", fit.table),
        ("desc-parentFraction_candidates", fit.parent_table),
    ):
        if len(frame):
            found.append(Table(name, frame, {c: _CANDIDATES[c] for c in frame.columns}))
    return found


def uncertainty(
    errors: Mapping[str, BloodError], curves: Curves, where: slice, draws: int
) -> Table:
    """Return the two parts of the uncertainty of one segmentation, a row a region and model."""
    rows = [
        pd.DataFrame(
            {
                "region": curves.names,
                "model": model,
                "parameter": one.parameter,
                "se_tissue": one.se_tissue[where],
                "se_blood": one.se_blood[where],
                "se": one.se[where],
            }
        )
        for model, one in errors.items()
    ]
    columns = {
        "region": Column("Region of the segmentation"),
        "model": Column("Kinetic model"),
        "parameter": Column("Outcome"),
        "se_tissue": Column("Standard error from the noise of the tissue curve", "mL/cm3"),
        "se_blood": Column("Standard deviation over bootstrap draws of the blood", "mL/cm3"),
        "se": Column("Both together, as independent", "mL/cm3"),
    }
    frame = pd.concat(rows, ignore_index=True)
    meta = {"Segmentation": curves.segmentation, "BloodDraws": draws}
    return Table(f"desc-{entity(curves.segmentation)}_uncertainty", frame, columns, meta)


def renamed(table: Table, name: str) -> Table:
    """Return the same table under another name."""
    return replace(table, name=name)


def entity(segmentation: str) -> str:
    """Return a segmentation as a BIDS label: letters and digits."""
    return re.sub(r"[^A-Za-z0-9]", "", segmentation) or "regions"


def delay_profile(delay: Delay) -> Table:
    """Return the profile over which a delay was found."""
    frame = pd.DataFrame({"delay_s": 60 * delay.profile_t, "rss": delay.profile_rss})
    columns = {
        "delay_s": Column("Delay of tissue after the sampling site", "s"),
        "rss": Column("Weighted residual sum of squares of the large region", "(kBq/mL)^2"),
    }
    meta = {"Seconds": 60 * delay.value, "SecondsSE": 60 * delay.se, "Flag": delay.flag or "n/a"}
    return Table("desc-delay_profile", frame, columns, meta)
