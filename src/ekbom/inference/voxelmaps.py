"""Maps of a voxel question."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ekbom.inference.searched import Searched
from ekbom.nouns import Map


def maps_of(s: Searched, space: str) -> list[Map]:
    """Return statistic, z, effect, error, mask and -log10 p maps.

    Parameters
    ----------
    s : Searched
        What was found.
    space : str
        BIDS label of the space of the maps.

    Returns
    -------
    list of Map
        float32, 0 outside the mask.
    """
    found, question = s.found, s.question
    log_p = found.log_p(s.settings.sign)
    bonferroni = -np.minimum(log_p + math.log(len(log_p)), 0.0) / math.log(10.0)
    stat = found.kind.lower() if found.kind == "t" else "F"
    wanted: list[tuple[str, NDArray[Any], str, str]] = [
        (f"stat-{stat}_statmap", found.statistic, "", f"{found.kind} statistic"),
        ("stat-z_statmap", found.z, "", "normal deviate with the same tail probability"),
    ]
    if found.kind == "t":
        wanted += [
            ("beta_statmap", found.estimate[0], question.effect_unit, question.effect.meaning),
            ("se_statmap", found.se, question.effect_unit, "standard error of the effect"),
        ]
    wanted += [
        ("mask_statmap", np.ones(len(log_p)), "", "voxels that were tested"),
        ("pmap-fweBonferroni_statmap", bonferroni, "-log10 p", "corrected by Bonferroni"),
    ]
    if s.field.smooth is not None:
        rpv = s.field.smooth.rpv
        wanted.append(("rpv_statmap", rpv, "resel", "resels a voxel"))
    if s.permuted is not None:
        p = -np.log10(s.permuted.p_corrected)
        wanted.append(("pmap-fweMaxT_statmap", p, "-log10 p", "corrected by the permuted maximum"))
    extra: dict[str, Any] = {}
    if s.spatial is not None:
        how = s.settings
        extra = {
            "E": how.E, "H": how.H, "Connectivity": how.connectivity, "EnhancedOn": how.on
        }  # fmt: skip
        wanted += [
            ("stat-tfce_statmap", s.spatial.enhanced, "", "threshold-free cluster enhancement"),
            (
                "pmap-fweTfce_statmap",
                -np.log10(s.spatial.p_tfce),
                "-log10 p",
                "TFCE, corrected by its permuted maximum",
            ),
        ]
    out = []
    for name, values, unit, meaning in wanted:
        volume = np.zeros(s.mask.shape, np.float32)
        volume[s.mask] = np.nan_to_num(values + 0.0, nan=0.0)
        about = {"Description": meaning, "df": found.df, "n": question.model.n}
        about["ResidualVarianceShrinkage"] = s.settings.shrinkage
        out.append(
            Map(
                name=name,
                values=volume,
                affine=s.affine,
                unit=unit or "1",
                space=space,
                parameter=name.removesuffix("_statmap"),
                method="glm",
                meta=about | (extra if "fce" in name else {}),
            )
        )
    return out
