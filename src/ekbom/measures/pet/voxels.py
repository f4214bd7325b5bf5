"""What a fit of every voxel returns, and which voxels can be fitted at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ekbom.errors import Refused
from ekbom.measures.pet.flags import MEANINGS, bits

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class VoxelFit:
    """Parameters of a model in V voxels.

    Parameters
    ----------
    model : str
        ``"logan"``, ``"ma1"``, ``"spectral"``.
    params : mapping of str to (V,) array
        Estimates; NaN where there is none.
    se : mapping of str to (V,) array
        Standard errors of those parameters that have one.
    units : mapping of str to str
        Unit of each parameter.
    rss : (V,) array
        Weighted residual sum of squares.
    flags : (V,) int16 array
        Bit masks, see :mod:`ekbom.measures.pet.flags`.
    meta : mapping
        Settings for the sidecar.
    """

    model: str
    params: Mapping[str, Array]
    se: Mapping[str, Array]
    units: Mapping[str, str]
    rss: Array
    flags: NDArray[np.int16]
    meta: Mapping[str, Any] = field(default_factory=dict)

    def count(self, within: NDArray[np.bool_] | None = None) -> dict[str, int]:
        """Count voxels by flag.

        Parameters
        ----------
        within : (V,) array of bool, optional
            Which voxels; all by default.

        Returns
        -------
        dict of str to int
            Flags that no voxel has are left out.
        """
        flags = self.flags if within is None else self.flags[within]
        counts = {word: int(np.count_nonzero(flags & bits([word]))) for word in MEANINGS}
        return {word: n for word, n in counts.items() if n}


def with_signal(curves: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Tell voxels that hold a curve: all values finite, not all of them zero.

    Parameters
    ----------
    curves : (V, F) array
        Time-activity curves.

    Returns
    -------
    (V,) array of bool
        True where there is something to fit.
    """
    out = np.empty(curves.shape[0], dtype=bool)
    # In blocks, so that no second image is made for the comparison.
    for first in range(0, curves.shape[0], 65536):
        block = curves[first : first + 65536]
        out[first : first + 65536] = np.isfinite(block).all(axis=1) & (block != 0).any(axis=1)
    return out


def checked(curves: ArrayLike, weights: ArrayLike, n_frames: int) -> tuple[Array, Array]:
    """Return curves and weights as contiguous float64, or refuse them.

    Parameters
    ----------
    curves : (V, F) array
        kBq/mL.
    weights : (F,) array
        Not negative.
    n_frames : int
        F.

    Returns
    -------
    curves : (V, F) array
        As float64.
    weights : (F,) array
        As float64.

    Raises
    ------
    Refused
        Shapes that do not fit the frames, or a weight below 0.
    """
    values = np.ascontiguousarray(curves, dtype=np.float64)
    w = np.ascontiguousarray(weights, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != n_frames or w.shape != (n_frames,):
        raise Refused(
            "Curves and weights need one value a frame.",
            field="frames",
            found=f"curves {values.shape}, weights {w.shape}",
            expected=f"{n_frames} frames",
        )
    if not (np.isfinite(w).all() and (w >= 0).all() and (w > 0).any()):
        raise Refused("Weights must be numbers that are not negative.", field="weights")
    return values, w
