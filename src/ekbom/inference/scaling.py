"""Global means, and what may be done about them.

V_T has a unit and a meaning, so the default does nothing. If groups differ in their
global means, proportional scaling takes part of the effect away: the means and the
test of them are always told.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.inference.glm import fit
from ekbom.inference.question import Question
from ekbom.inference.settings import Settings

COLUMN = "global_mean"
"""Name of the covariate that ``scaling = "ancova"`` adds."""


def global_means(values: NDArray[np.floating[Any]], how: str = "mask") -> NDArray[np.float64]:
    """Return the global mean of each map.

    Parameters
    ----------
    values : (n, V) float
        Maps over the mask that is tested.
    how : {"mask", "spm"}
        Mean of all voxels, or of those above an eighth of the mean of all.

    Returns
    -------
    ndarray, (n,)
        In the unit of the maps.
    """
    mean = values.mean(axis=1, dtype=np.float64)
    if how == "mask":
        return np.asarray(mean)
    return np.array(
        [row[row > m / 8.0].mean(dtype=np.float64) for row, m in zip(values, mean, strict=True)]
    )


def proportional(
    values: NDArray[np.floating[Any]], means: NDArray[np.float64], target: float
) -> NDArray[np.floating[Any]]:
    """Return the maps times ``target`` over their global mean.

    Raises
    ------
    Refused
        A global mean that is not above 0.
    """
    if not (means > 0.0).all():
        raise Refused(
            "Maps whose global mean is not above 0 cannot be scaled to it.",
            field="inference.scaling",
            found=f"{int((means <= 0).sum())} of {len(means)} maps",
            expected="positive global means",
            mend='use scaling = "none" or "ancova"',
        )
    return np.asarray(values * (target / means)[:, None].astype(values.dtype))


def told(means: NDArray[np.float64], question: Question, settings: Settings) -> dict[str, Any]:
    """Return the global means by group, and the test of the asked effect on them."""
    design = question.design
    found = fit(means[:, None], question.model)
    out: dict[str, Any] = {
        "how": settings.global_mean,
        "scaling": settings.scaling,
        "mean": float(means.mean()),
        "statistic": float(found.statistic[0]),
        "p": float(found.p("two-sided")[0]),
    }
    if settings.scaling == "proportional":
        out["target"] = settings.target
    if "group" in design.table:
        group = design.table["group"].astype(str).to_numpy()
        out["groups"] = {
            str(g): {
                "mean": float(means[group == g].mean()),
                "sd": float(means[group == g].std(ddof=1)) if (group == g).sum() > 1 else None,
            }
            for g in sorted(set(group))
        }
    return out


def with_global(
    table: pd.DataFrame, kept: NDArray[np.intp], means: NDArray[np.float64]
) -> pd.DataFrame:
    """Return the rows of a design with their global mean as a covariate."""
    out = table.iloc[kept].reset_index(drop=True).copy()
    out[COLUMN] = means
    return out
