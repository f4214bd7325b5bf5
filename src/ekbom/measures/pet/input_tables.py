"""Tables of the candidates of an input function: the chosen one and those beside it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ekbom.measures.pet.parent import ParentFit
from ekbom.measures.pet.plasma import Curve


def plasma_table(candidates: Mapping[str, Curve], wanted: str, end: float) -> pd.DataFrame:
    """Return a row for each curve through parent plasma.

    Parameters
    ----------
    candidates : mapping of str to Curve
    wanted : str
        Which was chosen: areas are compared with its own.
    end : float
        Of the scan, min.

    Returns
    -------
    DataFrame
        Criterion, area to ``end`` (kBq min/mL) and its difference, peak, parameters, flags.
    """
    chosen = candidates[wanted].auc(0.0, end)
    rows = []
    for name, curve in candidates.items():
        area = curve.auc(0.0, end)
        rows.append(
            {
                "model": name,
                "chosen": name == wanted,
                "n_free": curve.n_free,
                "rss": curve.rss,
                "aicc": curve.aicc,
                "auc": area,
                "auc_difference_percent": 100 * (area / chosen - 1) if chosen > 0 else np.nan,
                "peak": float(curve.values.max()),
                "parameters": _words(curve.params),
                "flags": ";".join(curve.flags) or "n/a",
            }
        )
    return pd.DataFrame(rows)


def parent_table(fits: list[ParentFit], chosen: ParentFit | None) -> pd.DataFrame:
    """Return a row for each model of the parent fraction.

    Parameters
    ----------
    fits : list of ParentFit
    chosen : ParentFit or None

    Returns
    -------
    DataFrame
        Criterion, leave-one-out error, parameters and their standard errors.
    """
    rows = [
        {
            "model": fit.model,
            "chosen": fit is chosen,
            "n_samples": fit.n_samples,
            "n_free": fit.n_free,
            "rss": fit.rss,
            "aicc": fit.aicc,
            "loo_rmse": fit.loo_rmse,
            "parameters": _words(fit.params),
            "se": _words(fit.se),
        }
        for fit in fits
    ]
    names = (
        "model",
        "chosen",
        "n_samples",
        "n_free",
        "rss",
        "aicc",
        "loo_rmse",
        "parameters",
        "se",
    )
    return pd.DataFrame(rows, columns=list(names))


def _words(params: Mapping[str, float]) -> str:
    return " ".join(f"{name}={value:.6g}" for name, value in params.items()) or "n/a"
