"""Which voxels are tested: rules by AND, each with the number of voxels it removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.inference.settings import Settings


@dataclass(frozen=True)
class Tally:
    """How many voxels each rule of the mask removed.

    Parameters
    ----------
    given : int
        Voxels of the mask that was given.
    not_finite, zero, constant : int
        Removed for a value that is no number, an exact zero, no variance.
    used : int
        Voxels that remain.
    under_threshold : int
        Removed by the threshold.
    zeros_kept : int
        Voxels with an exact zero that were kept because zeros count.
    """

    given: int
    not_finite: int
    zero: int
    constant: int
    used: int
    under_threshold: int = 0
    zeros_kept: int = 0

    def as_dict(self) -> dict[str, int]:
        """Return the numbers by name; rules that were not asked for and removed none are left."""
        return {k: v for k, v in vars(self).items() if v or k not in _OPTIONAL}


_OPTIONAL = ("under_threshold", "zeros_kept")


def usable(kept: NDArray[np.floating[Any]], settings: Settings) -> tuple[NDArray[np.bool_], Tally]:
    """Apply the rules of the mask.

    Parameters
    ----------
    kept : (n, V) float
        Values of the rows of the model.
    settings : Settings
        ``zero``, ``preset``, ``threshold``.

    Returns
    -------
    tuple of (V,) bool and Tally
        Voxels that are tested, and the numbers.

    Raises
    ------
    Refused
        When none is left.
    """
    finite = np.isfinite(kept).all(axis=0)
    absent = finite & (kept == 0).any(axis=0)
    kept_zeros = int(absent.sum()) if settings.keeps_zeros else 0
    if settings.keeps_zeros:
        absent = np.zeros_like(finite)
    rest = finite & ~absent
    under = np.zeros_like(finite)
    if settings.threshold is not None:
        limit = np.full(len(kept), settings.threshold)
        if settings.threshold_of == "global":
            limit = settings.threshold * kept[:, rest].mean(axis=1, dtype=np.float64)
        under[rest] = ~(kept[:, rest] > limit[:, None]).all(axis=0)
        rest &= ~under
    spread = np.zeros(len(finite), bool)
    spread[rest] = np.ptp(kept[:, rest], axis=0) > 0
    constant = rest & ~spread
    good = rest & spread
    counts = {
        "given": len(finite),
        "not_finite": int((~finite).sum()),
        "zero": int(absent.sum()),
        "constant": int(constant.sum()),
        "used": int(good.sum()),
        "under_threshold": int(under.sum()),
        "zeros_kept": kept_zeros,
    }
    if not good.any():
        raise Refused(
            "No voxel of the mask has a value in everybody.",
            field="mask",
            found=f"{counts['given']} voxels: {counts['not_finite']} not finite, "
            f"{counts['zero']} zero in somebody, {counts['under_threshold']} under the "
            f"threshold, {counts['constant']} constant",
            expected="maps that cover the same brain",
            mend="check that the maps are in the same space and cover the mask",
        )
    return good, Tally(**counts)
